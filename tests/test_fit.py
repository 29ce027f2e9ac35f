"""Batches, and the small training loop: early stopping, best weights, resuming to the same bits."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.datasets import EventLists  # noqa: E402
from brianlike.nn.resume import load_run, save_run  # noqa: E402
from brianlike.only import *  # noqa: E402


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms


# --------------------------------------------------------------------------------------------------------------------------------------------- batches
def test_arrays_are_encoded_batch_by_batch():
    seen = []

    def encode(x):
        seen.append(len(x))
        return np.repeat(x[None] > 0.5, 7, axis=0)

    x, y = np.linspace(0, 1, 10)[:, None], np.arange(10)
    batches = bnn.loader(x, y, 4, encode=encode)
    (first, labels), *others = batches
    assert first.shape == (7, 4, 1) and first.dtype == torch.float32 and labels.tolist() == [0, 1, 2, 3] and len(others) == 2 and seen == [4, 4, 2]
    assert others[1][0][:, :, 0].tolist() == [[1.0, 1.0]] * 7
    sample, label = batches.dataset[6]
    assert sample.shape == (7, 1) and int(label) == 6


def test_event_lists_become_batches():
    data = EventLists(np.array([0.0, 0.004, 0.002]), np.array([0, 1, 1]), np.array([0, 1, 3]), np.array([5, 6]), 2)
    ((x, y),) = bnn.loader(data, batch_size=2, encode=lambda chosen: data.dense(chosen, 5))
    assert y.tolist() == [5, 6] and torch.equal(x, torch.from_numpy(data.dense([0, 1], 5)))
    with pytest.raises(ValueError, match="^event lists need steps= and dt=, or encode="):
        bnn.loader(data)


def test_orders_are_drawn_from_the_generator():
    x, y = np.zeros((40, 2, 1), np.float32), np.arange(40)
    orders = [
        [label for _, labels in bnn.loader(x, y, 8, shuffle=True, generator=torch.Generator().manual_seed(n)) for label in labels.tolist()] for n in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == list(range(40))


def test_batches_that_cannot_be():
    with pytest.raises(ValueError, match="^labels are missing: give them after x$"):
        bnn.loader(np.zeros((4, 2, 1)))
    with pytest.raises(ValueError, match="^there are 4 samples, but 3 labels$"):
        bnn.loader(np.zeros((4, 2, 1)), np.zeros(3))
    with pytest.raises(ValueError, match=r"^without encode= samples have the shape \(samples, T, N\), not \(4, 2\)$"):
        list(bnn.loader(np.zeros((4, 2)), np.zeros(4)))


# ------------------------------------------------------------------------------------------------------------------------------------------------- fit
def task(generator=None, samples=48):
    """Which half of the inputs is the busier one?"""
    random = np.random.default_rng(1)
    y = random.integers(2, size=samples)
    rates = np.where((np.arange(8) < 4) == y[:, None].astype(bool), 0.3, 0.05)
    x = (random.random((samples, 25, 8)) < rates[:, None]).astype(np.float32)
    cut = samples * 2 // 3
    return bnn.loader(x[:cut], y[:cut], 8, shuffle=True, generator=generator), bnn.loader(x[cut:], y[cut:], 8)


def network():
    seed(4)
    inputs, hidden, readout = InputGroup(8), NeuronGroup(6, "dv/dt = -v/(8*ms) : 1", threshold="v > 1", reset="v = 0"), NeuronGroup(2, "dv/dt = -v/(20*ms) : 1")
    one, two = Synapses(inputs, hidden, "w : 1", on_pre="v_post += w"), Synapses(hidden, readout, "w : 1", on_pre="v_post += w")
    for synapses in (one, two):
        synapses.connect()
        synapses.w = "0.6*randn()"
    record = {"highest": bnn.Max((readout, "v")), "count": bnn.Count(hidden), "spikes": hidden}
    return bnn.NetworkModule(Network(inputs, hidden, readout, one, two), record, [bnn.Learn(one, "w"), bnn.Learn(two, "w")], namespace={})


def loss(y, labels):
    return functional.cross_entropy(y.highest, labels)


def score(y, labels):
    return (y.highest.argmax(1) == labels).float().mean()


def train(epochs, checkpoint=None, generator_seed=3, scheduled=True, **options):
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10) if scheduled else None
    batches, held_out = task(torch.Generator().manual_seed(generator_seed))
    options = {"score": score, "watch": {"spikes": lambda y, labels: y.count.mean()}} | options
    history = bnn.fit(
        model, batches, held_out, loss=loss, optimizer=optimizer, epochs=epochs, schedule=schedule, checkpoint=checkpoint, progress=False, **options
    )
    return model, history


def test_it_learns_and_keeps_the_best_weights():
    model, history = train(8)
    assert list(history.values) == ["loss", "score", "spikes", "validation loss", "validation score", "validation spikes", "seconds"] and len(history) == 8
    assert history.values["loss"][-1] < 0.7 * history.values["loss"][0] and max(history.values["validation score"]) > 0.8
    assert history.best == int(np.argmax(history.values["validation score"]))
    _, held_out = task()
    with torch.no_grad():
        right = np.mean([float(score(model(x), y)) for x, y in held_out])
    assert right == pytest.approx(max(history.values["validation score"]))


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path):
    whole, expected = train(6)
    path = tmp_path / "run.safetensors"
    train(2, path)

    def interrupted(y, labels):
        if len(interrupted.calls) == 5:
            raise KeyboardInterrupt
        interrupted.calls.append(1)
        return loss(y, labels)

    interrupted.calls = []
    with pytest.raises(KeyboardInterrupt):  # in the middle of an epoch, which is then begun anew
        train(6, path, generator_seed=99, watch={"spikes": interrupted})
    model, history = train(6, path, generator_seed=99)
    assert {k: v for k, v in history.values.items() if k != "seconds"} == {k: v for k, v in expected.values.items() if k != "seconds"}
    assert history.best == expected.best
    for one, other in zip(model.parameters(), whole.parameters()):
        assert torch.equal(one, other)
    again, same = train(6, path)
    assert len(same) == 6 and torch.equal(next(again.parameters()), next(whole.parameters()))


def test_a_checkpoint_is_no_pickle(tmp_path):
    path = tmp_path / "run.safetensors"
    train(1, path)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert set(json.loads(header["__metadata__"]["run"])) == {"dict"} and not list(tmp_path.glob("*.part"))
    assert any("exp_avg" in name for name in header) and any(name.startswith("best.") for name in header)
    with pytest.raises(ValueError, match="was written with a schedule= of the learning rate; go on in the same way$"):
        train(2, path, scheduled=False)


def test_other_files_are_no_checkpoints(tmp_path):
    from safetensors.torch import save_file

    (tmp_path / "text").write_text("nothing")
    with pytest.raises(ValueError, match="text is not a safetensors file"):
        load_run(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "weights")
    with pytest.raises(ValueError, match="weights was not written by fit"):
        load_run(tmp_path / "weights")
    with pytest.raises(TypeError, match="^a.0 is a object, which a checkpoint cannot hold; it takes tensors, numbers, texts, lists and dicts$"):
        save_run(tmp_path / "new", {"a": [object()]})
    assert not (tmp_path / "new").exists()


def test_what_a_checkpoint_holds(tmp_path):
    parts = {"a": [1, 2.5, None, True, "x", (3, 4)], "b": {0: torch.arange(3), "c": {"d": torch.zeros(0)}}, "e": np.float64(0.1)}
    save_run(tmp_path / "run", parts)
    back = load_run(tmp_path / "run")
    assert back["a"] == parts["a"] and back["e"] == 0.1 and list(back["b"]) == [0, "c"] and torch.equal(back["b"][0], torch.arange(3))
    assert back["b"]["c"]["d"].shape == (0,)


def test_patience_ends_a_run_that_gets_no_better():
    model, history = train(60, patience=2, score=None, watch={})
    losses = history.values["validation loss"]
    best = int(np.argmin(losses))
    assert history.best == best and len(history) == best + 3 < 60
    with torch.no_grad():
        kept = np.mean([float(loss(model(x), y)) for x, y in task()[1]])
    assert kept == pytest.approx(losses[best], rel=1e-6) and losses[best] < 0.999 * losses[-1]  # the weights are those of the best epoch, not of the last


def test_a_bar_shows_where_it_is(capfd):
    layer = torch.nn.Linear(2, 1)
    options = {"loss": functional.mse_loss, "optimizer": torch.optim.SGD(layer.parameters(), 0.1), "epochs": 3}
    bnn.fit(layer, [(torch.eye(2), torch.ones(2, 1))], **options)
    shown = capfd.readouterr().err
    assert "3/3" in shown and "epoch" in shown and "loss=" in shown
    bnn.fit(layer, [(torch.eye(2), torch.ones(2, 1))], progress=False, **options)
    assert not capfd.readouterr().err


def test_the_gradient_is_clipped():
    layer = torch.nn.Linear(2, 1, bias=False)
    before = layer.weight.detach().clone()
    batches = [(torch.full((1, 2), 1000.0), torch.zeros(1, 1))]
    bnn.fit(layer, batches, loss=functional.mse_loss, optimizer=torch.optim.SGD(layer.parameters(), 1.0), epochs=1, clip=0.5, progress=False)
    assert float((layer.weight.detach() - before).norm()) == pytest.approx(0.5, rel=1e-4)


def test_inputs_by_position_and_by_name():
    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(1))

        def forward(self, a, b):
            return self.w * (a + 2 * b)

    one = torch.ones(3, 1)
    for x in ((one, one), {"b": one, "a": one}):
        module = Sum()
        bnn.fit(module, [(x, 6 * one)], loss=functional.mse_loss, optimizer=torch.optim.SGD(module.parameters(), 0.05), epochs=30, progress=False)
        assert float(module.w.detach()) == pytest.approx(2, abs=1e-2)


def test_training_that_makes_no_sense_is_refused():
    layer = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    bad = [(torch.ones(1, 1), torch.ones(1, 1)), (torch.full((1, 1), torch.inf), torch.ones(1, 1))]
    with pytest.raises(FloatingPointError, match="^the loss is inf in epoch 0, batch 1; a smaller learning rate or clip= may help$"):
        bnn.fit(layer, bad, loss=functional.mse_loss, optimizer=optimizer, epochs=1, progress=False)
    with pytest.raises(ValueError, match="^there are no batches"):
        bnn.fit(layer, [], loss=functional.mse_loss, optimizer=optimizer, epochs=1, progress=False)


def test_modules_know_whether_they_are_trained():
    modes = []
    layer = torch.nn.Linear(1, 1)
    layer.register_forward_hook(lambda module, args, output: modes.append((module.training, torch.is_grad_enabled())))
    batches = [(torch.ones(1, 1), torch.ones(1, 1))]
    bnn.fit(layer, batches, batches, loss=functional.mse_loss, optimizer=torch.optim.SGD(layer.parameters(), 0.1), epochs=1, progress=False)
    assert modes == [(True, True), (False, False)]


def test_rasters_of_arrays():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from brianlike.plots import history_figure, raster_of

    spikes = np.zeros((5, 3))
    spikes[[1, 4], [2, 0]] = 1
    axes = Figure().subplots()
    raster_of(axes, spikes, dt=0.5)
    assert axes.collections[0].get_offsets().tolist() == [[0.5, 2], [2, 0]] and axes.get_xlim() == (-0.25, 2.25)
    values = {"loss": [2.0, 1.0], "validation loss": [2.5, 2.0], "rate": [4.0, 3.0], "seconds": [1.0, 1.0]}
    figure = history_figure(values, 1, {"hidden": spikes})
    assert [axes.get_title() for axes in figure.axes] == ["loss", "rate", "hidden"] and len(figure.axes[0].get_lines()) == 3  # two curves, and the best epoch


def test_the_history_as_numbers_and_as_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    model, history = train(2)
    ((x, _), *_), _ = task()
    history.picture(tmp_path / "history.png", {"hidden": model(x).spikes[:, 0]})
    assert (tmp_path / "history.png").stat().st_size > 10_000
    history.save(tmp_path / "history.json", seed=4)
    stored = json.loads((tmp_path / "history.json").read_text())
    assert stored["values"] == history.values and stored["best"] == history.best and stored["seed"] == 4 and stored["epochs"] == 2
