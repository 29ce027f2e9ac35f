"""What the compiled engine keeps for the backward pass: checkpoints, halves, buffers that are used again. None of it changes what it must not change."""

import pytest

torch = pytest.importorskip("torch")

import trained_models  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.compiled import backwards  # noqa: E402
from brianlike.only import *  # noqa: E402

STEPS, BATCH, INPUTS, HIDDEN, OUTPUTS = 23, 11, 30, 20, 5  # 11 samples: a whole tile and a part of one


@pytest.fixture(autouse=True)
def _fresh():
    threads, before = torch.get_num_threads(), defaultclock.dt
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
    defaultclock.dt = before
    start_scope()


def network(*, delay=0 * ms, refractory=False, dtype=torch.float32, sparse=False, **options):
    """Inputs, recurrent neurons and a read-out, with every kind of record."""
    seed(3)
    defaultclock.dt = 1 * ms
    equations = """dv/dt = (I - v)/tau_m : 1
                   dI/dt = -I/(5*ms) : 1
                   tau_m : second (constant)"""
    inputs = InputGroup(INPUTS)
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", refractory=refractory, method="exact")
    readout = NeuronGroup(OUTPUTS, equations, method="exact")
    hidden.tau_m, readout.tau_m = 20 * ms, 20 * ms
    objects = [inputs, hidden, readout]
    for source, target, scale, late in ((inputs, hidden, 1.5, delay), (hidden, hidden, 0.5, delay), (hidden, readout, 0.5, 0 * ms)):
        synapses = Synapses(source, target, "w : 1", on_pre="I_post += w", delay=late)
        synapses.connect(p=0.15 if sparse else 1)
        synapses.w = f"{scale}*randn()"
        objects.append(synapses)
    record = {"v": (readout, "v"), "spikes": hidden, "count": bnn.Count(hidden), "high": bnn.Max((readout, "v")), "reached": bnn.Max(hidden)}
    record |= {"mean": bnn.Mean((hidden, "I")), "last": bnn.Last((readout, "v")), "first": bnn.FirstSpike(hidden)}
    learn = [*(bnn.Learn(item, "w") for item in objects[3:]), bnn.Learn(hidden, "tau_m", unit=ms)]
    return bnn.NetworkModule(Network(*objects), record, learn, dtype=dtype, engine="cython", namespace={}, **options)


def inputs_of(dtype=torch.float32, graded=False):
    generator = torch.Generator().manual_seed(5)
    fired = (torch.rand(STEPS, BATCH, INPUTS, generator=generator) < 0.2).to(dtype)
    return fired * (1 + 0.5 * torch.rand(fired.shape, generator=generator, dtype=dtype)) if graded else fired


def loss_of(record):
    generator = torch.Generator().manual_seed(1)
    return sum((value * torch.randn(value.shape, generator=generator).to(value.dtype)).sum() for value in record)


def gradients(module, x, retain=False):
    x = x.clone().requires_grad_()
    record = module(x)
    return (*record, *torch.autograd.grad(loss_of(record), [x, *module.parameters()], retain_graph=retain))


def assert_same_bits(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert torch.equal(one, other)


# ------------------------------------------------------------------------------------------------------------------------------------------ checkpoints
OPTIONS = {
    "plain": {}, "delays": {"delay": 3 * ms}, "refractory": {"refractory": 2 * ms}, "double": {"dtype": torch.float64},
    "sparse": {"sparse": True, "delay": 2 * ms},
}  # fmt: skip


@pytest.mark.parametrize("graded", [False, True], ids=["spikes", "graded"])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_checkpoint_changes_no_bit(name, graded):
    module = network(**OPTIONS[name])
    x = inputs_of(module._like.dtype, graded)
    expected = gradients(module, x)
    assert float(expected[1].detach().sum()) > 100 and all(bool(torch.count_nonzero(one)) for one in expected)
    for steps in (1, 4, 7, STEPS - 1, STEPS, 100):
        module.checkpoint = steps
        assert_same_bits(gradients(module, x), expected)


@pytest.mark.parametrize("name", ["plain", "delays", "sparse"])
def test_how_many_steps_wait_for_the_gradients_of_weights_changes_no_bit(name, monkeypatch):
    module, x = network(**OPTIONS[name]), inputs_of()
    expected = gradients(module, x)
    of_step = (2 * 32 + 16) * 4 * BATCH
    for steps in (1, 5, 11, 40):
        monkeypatch.setattr(backwards, "ROWS", steps * of_step)
        for checkpoint in (None, 3, 8):
            module.checkpoint = checkpoint
            assert_same_bits(gradients(module, x), expected)


@pytest.mark.parametrize("neuron", trained_models.NEURONS)
def test_a_checkpoint_in_every_neuron(neuron):
    module, x = trained_models.network(trained_models.NEURONS[neuron])
    module = bnn.NetworkModule(
        Network(*module.objects), module._specs, [held.learn for held in module.learned.values()], module._gradient, dtype=torch.float64, engine="cython",
        namespace={},
    )  # fmt: skip
    (x,) = x.values()
    expected = gradients(module, x)
    for steps in (4, 13):
        module.checkpoint = steps
        assert_same_bits(gradients(module, x), expected)


def test_pieces_of_a_run_under_checkpoints():
    module, x = network(delay=3 * ms, refractory=2 * ms), inputs_of()

    def in_two():
        first, state = module.run(x[:9])
        second, _ = module.run(x[9:], state=state)
        return torch.autograd.grad(loss_of(first) + loss_of(second), list(module.parameters()))

    expected = in_two()
    module.checkpoint = 4
    assert_same_bits(in_two(), expected)
