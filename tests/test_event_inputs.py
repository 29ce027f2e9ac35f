"""Inputs as events: the same spikes, states and gradients as dense inputs give, in both engines, and no dense copy in the compiled one."""

import pickle

import numpy as np
import pytest
import torch

import brianlike.nn as bnn
from brianlike import InputGroup, Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms
from brianlike.datasets import EventLists
from brianlike.encoders import latency, latency_times
from brianlike.nn.compiled import inputs as compiled_inputs
from brianlike.nn.compiled.inputs import sorted_events
from brianlike.nn.compiled.stage import Extent
from brianlike.nn.events import dense

STEPS, MEMBERS, CHANNELS, CELLS = 14, 11, 9, 5
EQUATIONS = "dv/dt = -v/(10*ms) : 1"
PLASTIC = """w : 1
             dx/dt = (1 - x)/(30*ms) : 1 (clock-driven)"""


@pytest.fixture(autouse=True)
def _clock():
    defaultclock.dt, threads = 1 * ms, torch.get_num_threads()
    yield
    defaultclock.dt = 0.1 * ms
    torch.set_num_threads(threads)


def network(case, engine, dtype=torch.float64, **options):
    """A network with an input of events, in the variants of what may happen to these."""
    inputs = InputGroup(CHANNELS, name="inputs")
    cells = NeuronGroup(CELLS, EQUATIONS, threshold="v > 1", reset="v = 0", method="exact", name="cells")
    random = np.random.default_rng(2)
    if case == "plastic":  # what a synapse adds changes: its events are read one by one
        feed = Synapses(inputs, cells, PLASTIC, on_pre="v_post += w*x; x *= 0.8", method="exact", name="feed")
    else:
        feed = Synapses(inputs, cells, "w : 1", on_pre="v_post += w", name="feed")
    if case == "sparse":
        feed.connect(i=np.arange(CHANNELS), j=random.integers(0, CELLS, CHANNELS))
    else:
        feed.connect()
    feed.w = random.normal(0.3, 0.4, len(feed))
    if case in ("delays", "plastic"):
        feed.delay = random.integers(0, 4, len(feed)) * ms
    if case == "plastic":
        feed.x = 1
    again = Synapses(cells, cells, "w : 1", on_pre="v_post += w", delay=1 * ms, name="again")
    again.connect()
    again.w = random.normal(0.0, 0.3, len(again))
    record = {"v": (cells, "v"), "spikes": cells} | ({"fed": inputs, "counted": bnn.Count(inputs)} if case == "recorded" else {})
    learn = [bnn.Learn(feed, "w"), bnn.Learn(again, "w")]
    return bnn.NetworkModule(Network(inputs, cells, feed, again), record=record, learn=learn, dtype=dtype, engine=engine, **options)


def spikes(graded=False, dtype=torch.float64, steps=STEPS, members=MEMBERS):
    generator = torch.Generator().manual_seed(4)
    x = (torch.rand(steps, members, CHANNELS, generator=generator) < 0.15).to(dtype)
    x[3] = 0
    return x * torch.randint(1, 4, x.shape, generator=generator).to(dtype) / 2 if graded else x


def results(model, x, **how):
    """What a run and its gradients are."""
    record, state = model.run(x, **how)
    loss = sum((value * torch.linspace(0.5, 1.5, value.shape[-1], dtype=value.dtype)).square().mean() for value in record)
    model.zero_grad()
    loss.backward()
    found = {f"record {name}": value.detach() for name, value in record._asdict().items()}
    found |= {f"gradient {name}": parameter.grad for name, parameter in model.named_parameters()}
    return found | {f"state {owner}.{name}": value.detach() for owner, part in state.items() for name, value in part.items()}


def never_dense(monkeypatch):
    """From now on, events that become dense are an error."""

    def refuse(self, dtype=None):
        raise AssertionError("events became dense")

    monkeypatch.setattr(bnn.Events, "to_dense", refuse)


CASES = ("plain", "delays", "sparse", "plastic", "recorded")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_events_are_what_a_dense_input_is(case, graded, dtype, monkeypatch):
    x = spikes(graded, dtype)
    wanted, expected = results(network(case, "torch", dtype), x), results(network(case, "cython", dtype), x)
    in_torch = results(network(case, "torch", dtype), bnn.Events.from_dense(x))
    never_dense(monkeypatch)
    found = results(network(case, "cython", dtype), bnn.Events.from_dense(x))
    assert found.keys() == expected.keys() == wanted.keys()
    tolerance = 1e-12 if dtype is torch.float64 else 1e-5
    assert wanted["record spikes"].sum() > 0
    for name, value in wanted.items():
        assert torch.equal(in_torch[name], value), name
        assert torch.equal(found[name], expected[name]), name  # the same additions in the same order
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("case", ("delays", "plastic"))
def test_a_run_goes_on_with_the_events_before_it(case, monkeypatch):
    x = spikes(graded=True)
    model = network(case, "cython")
    whole, _ = model.run(x)
    never_dense(monkeypatch)
    for cut in (2, 7):  # fewer steps than the longest delay, and more
        first, state = model.run(bnn.Events.from_dense(x[:cut]))
        second, _ = model.run(bnn.Events.from_dense(x)[cut:], state=bnn.detached(state))
        assert torch.equal(torch.cat([first.v, second.v]), whole.v)


def test_events_that_are_fed_again_are_sorted_once(monkeypatch):
    sorts = []
    monkeypatch.setattr(compiled_inputs, "sorted_events", lambda *given: sorts.append(given[4]) or sorted_events(*given))
    x, model = spikes(), network("delays", "cython")
    lists = [part.to(torch.int32) for part in x.nonzero().unbind(1)]
    events = bnn.Events(*lists, tuple(x.shape))
    expected = results(model, x)
    for counted in (1, 2, 2, 2):
        found = results(model, events)
        assert len(sorts) == counted and all(torch.equal(found[name], value) for name, value in expected.items())
    lists[2].copy_(lists[2].flip(0))  # events of other neurons, in the same tensors
    changed = results(model, bnn.Events.from_dense(events.to_dense()))
    sorts.clear()
    found = results(model, events)
    assert len(sorts) == 1 and all(torch.equal(found[name], value) for name, value in changed.items())
    assert events._sorted.known[1] is None
    results(model, events)
    assert events._sorted.known[1] is not None and pickle.loads(pickle.dumps(events))._sorted.known == (None, None)


def test_events_keep_what_they_were_made_of():
    t, b, n = (np.array(part, np.int32) for part in ([0, 1], [0, 1], [2, 0]))
    values = np.array([1.0, 2.0])
    x = bnn.Events(t, b, n, (2, 2, 3), values)
    before = x.to_dense()
    for array in (t, b, n, values):
        array[:] = 0
    assert torch.equal(x.to_dense(), before)


def test_order_and_repetition_of_events_do_not_matter():
    t, b, n = spikes().nonzero().unbind(1)
    values = torch.rand(len(t), dtype=torch.float64)
    x = bnn.Events(t, b, n, (STEPS, MEMBERS, CHANNELS), values)
    mixed = torch.randperm(2 * len(t))
    twice = bnn.Events(*(part.repeat(2)[mixed] for part in (t, b, n)), x.shape, (values / 2).repeat(2)[mixed])
    assert torch.equal(twice.to_dense(), x.to_dense())
    model = network("plain", "cython")
    assert torch.equal(model(twice).v, model(x).v)
    assert torch.equal(model(x).v, model(x.to_dense()).v)
    nothing = bnn.Events([], [], [], (STEPS, MEMBERS, CHANNELS))
    assert torch.equal(model(nothing).v, model(torch.zeros(STEPS, MEMBERS, CHANNELS)).v)
    cancelled = bnn.Events([1, 1], [0, 0], [2, 2], (STEPS, MEMBERS, CHANNELS), [1.0, -1.0])
    assert torch.equal(model(cancelled).v, model(nothing).v)


@pytest.mark.parametrize("engine", ["torch", "cython"])
def test_sparse_tensors(engine):
    x = spikes(graded=True)
    expected = network("delays", engine)(x).v
    assert torch.equal(network("delays", engine)(x.to_sparse()).v, expected)
    t, b, n = x.nonzero().unbind(1)
    uncoalesced = torch.sparse_coo_tensor(torch.stack([t, b, n]).repeat(1, 2), (x[t, b, n] / 2).repeat(2), x.shape, check_invariants=True)
    assert torch.equal(network("delays", engine)(uncoalesced).v, expected)
    batch_first = network("delays", engine, batch_first=True)
    assert torch.equal(batch_first(x.transpose(0, 1).to_sparse()).v.transpose(0, 1), expected)
    assert torch.equal(batch_first(bnn.Events.from_dense(x)).v.transpose(0, 1), expected)


def test_a_sparse_tensor_that_wants_a_gradient_gets_one():
    x = spikes()
    grown = x.clone().requires_grad_()
    network("plain", "cython")(grown).v.square().sum().backward()
    sparse = x.to_sparse().requires_grad_()
    network("plain", "cython")(sparse).v.square().sum().backward()
    places = x.nonzero(as_tuple=True)
    torch.testing.assert_close(sparse.grad.to_dense()[places], grown.grad[places])
    assert (grown.grad[places] != 0).any()


@pytest.mark.parametrize("engine", ["torch", "cython"])
def test_axes_of_a_batch(engine):
    x = spikes(members=6).reshape(STEPS, 2, 3, CHANNELS)
    model = network("delays", engine)
    found, state = model.run(bnn.Events.from_dense(x))
    expected, known = model.run(x)
    assert torch.equal(found.v, expected.v)
    assert torch.equal(state["inputs"]["_spike"], known["inputs"]["_spike"])
    assert torch.equal(model(bnn.Events.from_dense(x[:, 0, 0])).v, model(x[:, 0, 0]).v)
    assert torch.equal(model(bnn.Events.from_dense(x[:, :, :1]), batch=(2, 3)).v, model(x[:, :, :1], batch=(2, 3)).v)
    assert torch.equal(model(bnn.Events(x[:, 0, 0].nonzero()[:, 0], None, x[:, 0, 0].nonzero()[:, 1], (STEPS, CHANNELS))).v, model(x[:, 0, 0]).v)


def test_a_run_on_torch_takes_events_too():
    x = spikes()
    model, lengths = network("delays", "cython"), torch.arange(MEMBERS) % 5 + 3
    assert torch.equal(model(bnn.Events.from_dense(x), lengths=lengths).v, model(x, lengths=lengths).v)
    assert torch.equal(model.simulate(bnn.Events.from_dense(x)).v, model.simulate(x).v)


@pytest.mark.parametrize("case", CASES)
def test_checkpoints_compute_the_same_from_events(case, monkeypatch):
    x = spikes(graded=True)
    expected = results(network(case, "cython"), x)
    never_dense(monkeypatch)
    found = results(network(case, "cython", checkpoint=4), bnn.Events.from_dense(x))
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_backward_passes_of_dense_and_listed_inputs_do_not_meet():
    """What a run keeps for its backward pass is its own."""
    model, x = network("plain", "cython"), spikes()
    (weights, _) = model.parameters()
    a, b = model(x).v.square().sum(), model(bnn.Events.from_dense(x)).v.square().sum()
    (first,) = torch.autograd.grad(a, [weights])
    (second,) = torch.autograd.grad(b, [weights])
    assert torch.equal(first, second)


# ------------------------------------------------------------------------------------------------------------------------------------------- events alone
def test_there_and_back():
    x = spikes(graded=True)
    events = bnn.Events.from_dense(x)
    assert torch.equal(events.to_dense(), x) and len(events) == STEPS
    assert torch.equal(bnn.Events.from_sparse(x.to_sparse()).to_dense(), x)
    assert bnn.Events.from_dense(spikes()).values is None
    assert torch.equal(events[4:9].to_dense(), x[4:9]) and events[4:9].shape == x[4:9].shape
    assert torch.equal(dense(events, torch.zeros((), dtype=torch.float32)), x.float())


@pytest.mark.parametrize(
    "given, message",
    [
        (dict(t=[5], b=[0], n=[0]), "t goes from 5 to 5, but the shape (5, 2, 3) has room for 0 to 4"),
        (dict(t=[0, 1], b=[0, 2], n=[0, 0]), "b goes from 0 to 2, but the shape (5, 2, 3) has room for 0 to 1"),
        (dict(t=[0], b=[0], n=[2**32]), "n goes from 4294967296 to 4294967296, but the shape (5, 2, 3) has room for 0 to 2"),
        (dict(t=[0], b=[0], n=[-1]), "n goes from -1 to -1, but the shape (5, 2, 3) has room for 0 to 2"),
        (dict(t=[0, 1], b=[0], n=[0]), "events need lists of one length: t has the shape (2,), b has the shape (1,), n has the shape (1,)"),
        (dict(t=[0.5], b=[0], n=[0]), "t holds whole numbers, not torch.float32"),
    ],
)
def test_events_outside_their_shape(given, message):
    with pytest.raises(ValueError) as error:
        bnn.Events(**given, shape=(5, 2, 3))
    assert str(error.value) == message


@pytest.mark.parametrize("outside", [dict(t=[4]), dict(b=[3]), dict(n=[-1])])
def test_lists_have_no_room_for_events_outside_a_run(outside):
    """What reaches the compiled kernels is checked once more where memory depends on it."""
    given = {name: np.array(outside.get(name, [0]), np.int32) for name in ("t", "b", "n")}
    with pytest.raises(IndexError, match="^there are events outside the run$"):
        sorted_events(*given.values(), None, 0, Extent(4, 3, 2, 0, 1e-3, True), 5)


def listed(rows, tile):
    """What is not 0 in rows (T, members, N) as lists of tiles, and their values."""
    first, index, values = [], [], []
    for begin in range(0, rows.shape[1], tile):
        for row in rows:
            part = np.zeros((tile, rows.shape[2]), rows.dtype)
            part[: len(row[begin : begin + tile])] = row[begin : begin + tile]
            for member in part:
                first.append(len(index))
                index += np.flatnonzero(member).tolist()
                values += member[member != 0].tolist()
            first.append(len(index))
    return np.array(first), np.array(index), np.array(values)


@pytest.mark.parametrize("kind", ["in order", "by samples", "mixed", "repeated", "graded", "graded in order", "cancelled"])
@pytest.mark.parametrize("wide", [False, True])
def test_any_number_of_threads_sorts_events_of_any_order(kind, wide):
    rng, rows, members, size, past = np.random.default_rng(8), 17, 29, 9000 if kind == "mixed" else 130, 2
    real = np.float64 if wide else np.float32
    t, b, n = np.nonzero(rng.random((rows, members, size)) < 20 / size)
    amounts = rng.integers(1, 5, len(t)) / 4 if "graded" in kind or kind == "cancelled" else None
    if kind == "cancelled":  # an entry of 0, and two that make 0
        amounts[:3], (t[2], b[2], n[2]), amounts[1] = 0, (t[1], b[1], n[1]), 0.5
        amounts[2] = -0.5
    order = np.lexsort((t, b)) if kind == "by samples" else np.arange(len(t)) if "in order" in kind else rng.permutation(len(t))
    if kind == "repeated":
        order = np.concatenate([order, order[t[order] == 9]])
    t, b, n = t[order], b[order], n[order]
    amounts = None if amounts is None else amounts[order].astype(real)
    dense_rows = np.zeros((rows + past, members, size), real)
    np.add.at(dense_rows, (t + past, b, n), 1 if amounts is None else amounts)
    first, index, values = listed(dense_rows, 8)
    given = [part.astype(np.int32) for part in (t, b, n)]
    for threads, piece in ((1, 10**6), (2, 50), (3, 333)):
        torch.set_num_threads(threads)
        found = sorted_events(*given, amounts, past, Extent(rows, members, 8, 0, 1e-3, wide), size, piece)
        graded = np.repeat(found[3], [(found[0][tile][-1, -1] - found[0][tile][0, 0]) for tile in range(4)])
        begins = found[0][:, 0, 0] - np.array([first[tile * (rows + past) * 9] for tile in range(4)])  # tiles may have room behind them
        assert np.array_equal(found[0] - begins[:, None, None], first.reshape(4, rows + past, 9)), (kind, threads)
        ends = [slice(part[0, 0], part[-1, -1]) for part in found[0]]
        assert np.array_equal(np.concatenate([found[1][end] for end in ends]), index), (kind, threads)
        assert np.array_equal(np.where(graded, np.concatenate([found[2][end] for end in ends]), 1), values), (kind, threads)


def test_events_where_they_cannot_be():
    model = network("plain", "cython")
    with pytest.raises(ValueError, match=r"^input 'inputs' must have the shape \(T, \.\.\., 9\), not \(5, 2, 3\)$"):
        model(bnn.Events([0], [0], [0], (5, 2, 3)))
    with pytest.raises(TypeError, match=r"^step\(\) takes the rows of one step: events have steps of their own, so give them to run\(\)$"):
        model.step(bnn.Events([0], [0], [0], (1, 2, 9)))
    cells = NeuronGroup(2, "dv/dt = (I - v)/(10*ms) : 1\nI : 1 (input)", method="exact")
    driven = bnn.NetworkModule(Network(cells), record={"v": (cells, "v")})
    with pytest.raises(TypeError, match="^input 'I' is a variable, which has a value in every step: give a dense tensor$"):
        driven(bnn.Events([0], [0], [0], (1, 2, 2)))


def lists():
    random = np.random.default_rng(1)
    lengths = np.array([30, 0, 45, 20])
    times = random.random(lengths.sum()) * 20e-3
    return EventLists(times, random.integers(0, CHANNELS, len(times)), np.concatenate([[0], np.cumsum(lengths)]), np.arange(4), CHANNELS)


@pytest.mark.parametrize("binary", [False, True])
def test_from_lists_of_spikes(binary):
    data = lists()
    expected = torch.from_numpy(data.dense([2, 0, 1], STEPS, 1 * ms, binary))
    assert expected.max() == (1 if binary else 2)
    assert torch.equal(bnn.Events.from_lists(data, STEPS, 1 * ms, chosen=[2, 0, 1], binary=binary).to_dense(), expected)
    samples = [data[n][:2] for n in (2, 0, 1)]
    assert torch.equal(bnn.Events.from_lists(samples, STEPS, 1 * ms, size=CHANNELS, binary=binary).to_dense(), expected)


def test_loader_and_fit_with_events(monkeypatch):
    """From lists of events to gradients, and nothing is dense on the way."""
    data = lists()

    def trained(batches):
        model = network("delays", "cython")
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        history = bnn.fit(model, batches, loss=lambda y, labels: (y.v.mean((0, 2)) - labels).square().mean(), optimizer=optimizer, epochs=3, progress=False)
        return history.values["loss"], [parameter.detach().clone() for parameter in model.parameters()]

    expected = trained(bnn.loader(data, batch_size=2, encode=lambda chosen: data.dense(chosen, STEPS, 1 * ms)))
    never_dense(monkeypatch)
    monkeypatch.setattr(EventLists, "dense", None)
    found = trained(bnn.loader(data, batch_size=2, steps=STEPS, dt=1 * ms))
    assert found[0] == expected[0] and found[0][-1] < found[0][0]
    assert all(torch.equal(a, b) for a, b in zip(found[1], expected[1]))
    with pytest.raises(ValueError, match="^a loader takes encode=, or steps= and dt=, not both$"):
        bnn.loader(data, steps=3, encode=len)
    with pytest.raises(ValueError, match="^steps= is for EventLists; arrays have their steps, or encode= makes them$"):
        bnn.loader(np.zeros((2, 3, 4)), np.zeros(2), steps=3)


def test_events_from_times_are_those_of_the_dense_encoder():
    intensities = np.random.default_rng(3).random((7, 20))
    times = latency_times(intensities, 15 * ms)
    events = bnn.Events.from_times(times, 40, 1 * ms)
    defaultclock.dt = 1 * ms
    assert torch.equal(events.to_dense(), torch.from_numpy(latency(intensities, 40, 15 * ms)).float()) and len(events.t) > 50
    assert torch.equal(bnn.Events.from_times(times, 40).t, events.t)
    with pytest.raises(ValueError, match="not negative"):
        bnn.Events.from_times(-times, 40)
    with pytest.raises(ValueError, match="shape"):
        bnn.Events.from_times(times[0], 40)


# --------------------------------------------------------------------------------------------------------------------- lengths, and what is stored in groups
@pytest.mark.parametrize("case", CASES)
def test_events_of_samples_with_lengths_of_their_own(case, monkeypatch):
    """They stay lists; what comes after the end of a sample does not matter, and the run goes on from there."""
    x = spikes(graded=True)
    lengths = torch.tensor([3, 14, 1, 9, 14, 2, 7, 5, 12, 1, 6])
    expected = results(network(case, "cython"), x, lengths=lengths)
    state = bnn.detached(network(case, "cython").run(x, lengths=lengths)[1])
    after = results(network(case, "cython"), x, state=state)
    never_dense(monkeypatch)
    found = results(network(case, "cython"), bnn.Events.from_dense(x), lengths=lengths)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    for name, value in results(network(case, "cython"), bnn.Events.from_dense(x), state=state).items():
        assert torch.equal(value, after[name]), name


def generated(kind, engine, dtype=torch.float64, **options):
    """A network that is driven by what is stored in a SpikeGeneratorGroup, and by an input."""
    random = np.random.default_rng(3)
    t, n = np.nonzero(random.random((2 * STEPS, 12)) < 0.15)
    stored = SpikeGeneratorGroup(12, n, t * ms, name="stored")
    inputs = InputGroup(CHANNELS, name="inputs")
    cells = NeuronGroup(CELLS, EQUATIONS, threshold="v > 1", reset="v = 0", method="exact", name="cells")
    if kind == "plastic":
        drive = Synapses(stored, cells, PLASTIC, on_pre="v_post += w*x; x *= 0.8", method="exact", name="drive")
    else:
        drive = Synapses(stored, cells, "w : 1", on_pre="v_post += w", name="drive")
    feed = Synapses(inputs, cells, "w : 1", on_pre="v_post += w", name="feed")
    for one in (drive, feed):
        one.connect()
        one.w = random.normal(0.2, 0.3, len(one))
    drive.delay = (random.integers(0, 4, len(drive)) if kind == "delays" else 1) * ms
    if kind == "plastic":
        drive.x = 1
    record = {"v": (cells, "v"), "spikes": cells} | ({"stored": stored} if kind == "recorded" else {})
    learn = [bnn.Learn(drive, "w"), bnn.Learn(feed, "w")]
    return bnn.NetworkModule(Network(stored, inputs, cells, drive, feed), record=record, learn=learn, dtype=dtype, engine=engine, **options)


@pytest.mark.parametrize("kind", ["plain", "delays", "plastic", "recorded"])
def test_stored_spikes_are_events(kind, monkeypatch):
    x = spikes()
    expected = results(generated(kind, "torch"), x)
    simulated = generated(kind, "torch").simulate(x)
    lengths = torch.tensor([3, 14, 1, 9, 14, 2, 7, 5, 12, 1, 6])
    ragged = results(generated(kind, "torch"), x, lengths=lengths)
    state = bnn.detached(generated(kind, "torch").run(x, lengths=lengths)[1])
    after = results(generated(kind, "torch"), x, state=state)
    never_dense(monkeypatch)
    assert expected["record spikes"].sum() > 10 and torch.equal(simulated.spikes, expected["record spikes"])
    for wanted, how in ((expected, {}), (ragged, {"lengths": lengths}), (after, {"state": state})):
        found = results(generated(kind, "cython"), x, **how)
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value.expand(found[name].shape), rtol=1e-11, atol=1e-12, msg=name)  # a row may be common to all
    whole, parts, known = generated(kind, "cython"), generated(kind, "cython"), None
    y, pieces = whole(x), []
    for cut in (slice(0, 2), slice(2, 9), slice(9, STEPS)):
        piece, known = parts.run(x[cut], state=known)
        pieces.append(piece.v)
    assert torch.equal(torch.cat(pieces), y.v)


def test_samples_at_different_steps_have_the_stored_spikes_of_their_own_step():
    x, lengths = spikes(), torch.tensor([3, 14, 1, 9, 14, 2, 7, 5, 12, 1, 6])
    for engine in ("torch", "cython"):
        model = generated("delays", engine)
        _, state = model.run(x, lengths=lengths)
        y = model.run(x, state=state)[0]
        for member in (0, 3, 9):
            own = model.run(x[: int(lengths[member]), member])[1]
            torch.testing.assert_close(model.run(x[:, member], state=own)[0].v, y.v[:, member], rtol=1e-12, atol=1e-12)


def test_what_all_samples_share_is_written_down_once(monkeypatch):
    """Lists for one tile, whatever the batch."""
    sizes = []
    monkeypatch.setattr(compiled_inputs, "sorted_events", lambda *given: sizes.append(len(given[0])) or sorted_events(*given))
    module = generated("plain", "cython")
    for members in (16, 80):
        module(spikes(members=members))
    assert sizes[0] == sizes[1] > 0
