"""Spikes that are given in place of those that thresholds find, on both engines."""

import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402

STEPS, BATCH, N = 20, 3, 4
LEAK = "dv/dt = (J - v)/(10*ms) : 1 (unless refractory)\nJ : 1 (input)"
ENGINES = pytest.mark.parametrize("engine", ["torch", "cython"])


def module(engine="torch", *, equations=LEAK, record=None, more=(), gradient=None, **options):
    """Cells that are fed with currents, and what there is with them."""
    start_scope()
    defaultclock.dt = 0.5 * ms
    arguments = {"threshold": "v > 1", "reset": "v = 0", "refractory": 2 * ms, "method": "euler"}
    arguments |= {name: options.pop(name) for name in (*arguments, "events") if name in options}
    cells = NeuronGroup(N, equations, **arguments, name="cells")
    if "events" in arguments:
        cells.run_on_event("high", "v += 0.01")
    objects = [cells, *(make(cells) for make in more)]
    spikes = {"spikes": cells} if arguments["threshold"] else {}
    gradient = bnn.Surrogate(detach_reset=False) if gradient is None else gradient
    options = {"dtype": torch.float64, "namespace": {}, "engine": engine} | options
    return bnn.NetworkModule(Network(*objects), {**spikes, "v": (cells, "v"), **(record(*objects) if record else {})}, gradient=gradient, **options), cells


def currents(*shape):
    return 3 * torch.rand(*shape, N, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def some(*shape, p=0.2, seed=2):
    return (torch.rand(*shape, N, generator=torch.Generator().manual_seed(seed)) < p).double()


X, F = currents(STEPS, BATCH), some(STEPS, BATCH)
HIGH = {"events": {"high": "v > 0.5"}, "record": lambda cells, *_: {"high": (cells, "high")}}


@ENGINES
def test_given_spikes_are_the_spikes_and_set_refractoriness_and_resets(engine):
    model, cells = module(engine)
    y = model(X, force={cells: F})
    assert torch.equal(y.spikes, F) and not y.v[F > 0].any()
    assert not y.v[1:][F[:-1] > 0].any()  # refractory in the next step, too
    assert torch.equal(model(X, force={cells: F.bool()}).v, y.v)
    assert not torch.equal(model(X).v, y.v)


@ENGINES
def test_where_the_mask_holds(engine):
    model, cells = module(engine)
    for mask in (True, torch.tensor([True, False, True, False]), torch.arange(STEPS)[:, None, None] < 7, some(STEPS, BATCH, p=0.5, seed=3)):
        where = torch.as_tensor(mask).bool().expand_as(F)
        found = model(X, force={cells: (torch.where(where, F, torch.nan), mask)}).spikes
        assert torch.equal(found[where], F[where]) and set(found.unique().tolist()) == {0, 1}
        assert where.all() or found[~where].any()


@ENGINES
def test_part_of_a_group(engine):
    model, cells = module(engine)
    free, forced = model(X), model(X, force={cells[1:3]: F[..., 1:3]})
    assert torch.equal(forced.spikes[..., 1:3], F[..., 1:3]) and torch.equal(forced.spikes[..., [0, 3]], free.spikes[..., [0, 3]])
    both = model(X, force={cells[:1]: F[..., :1], cells[2:][1:]: (F[..., 3:], F[..., 3:])})
    assert torch.equal(both.spikes[..., 0], F[..., 0]) and torch.equal(both.spikes[..., 1:3], free.spikes[..., 1:3])
    assert both.spikes[..., 3][F[..., 3] > 0].all()
    one = model(X, force={cells[:2]: F[:, 0, :2], cells[1:3]: F[..., 1:3]})  # one for the whole batch; the later counts
    assert torch.equal(one.spikes[..., 0], F[:, :1, 0].expand(STEPS, BATCH)) and torch.equal(one.spikes[..., 1:3], F[..., 1:3])


@ENGINES
def test_events_of_its_own(engine):
    model, cells = module(engine, **HIGH)
    other = some(STEPS, BATCH, seed=5)
    free, one, both = model(X), model(X, force={(cells, "high"): F}), model(X, force={(cells, "high"): F, (cells[:2], "spike"): other[..., :2]})
    assert torch.equal(one.high, F) and torch.equal(both.high, F) and not torch.equal(free.high, F)
    assert one.spikes.any() and torch.equal(both.spikes[..., :2], other[..., :2]) and torch.equal(both.spikes[..., 2:], one.spikes[..., 2:])
    only, cells = module(engine, threshold=None, reset=None, refractory=False, **HIGH)
    assert torch.equal(only(X, force={(cells, "high"): F}).high, F)


@ENGINES
def test_spikes_by_chance_and_thresholds_of_two_conditions(engine):
    def noisy(cells):
        return PoissonGroup(N, 50 * Hz, name="noise")

    model, _ = module(engine, more=[noisy], record=lambda cells, noise: {"noise": noise}, gradient=bnn.TrueGradient(), threshold="v > 1 and v < 5")
    noise, cells = model["noise"], model["cells"]
    y = model(X, force={noise: F, cells: 1 - F}, seed=1)
    assert torch.equal(y.noise, F) and torch.equal(y.spikes, 1 - F)


@ENGINES
def test_lists_of_events_and_sparse_tensors(engine):
    for batch_first in (False, True):
        model, cells = module(engine, batch_first=batch_first)
        swap = (lambda value: value.transpose(0, 1)) if batch_first else (lambda value: value)
        for given in (swap(F), swap(F).to_sparse(), bnn.Events.from_dense(F)):
            assert torch.equal(swap(model(swap(X), force={cells: (given, True)}).spikes), F)


@ENGINES
def test_one_for_the_whole_batch_and_a_batch_for_one_input(engine):
    model, cells = module(engine)
    for given in (F[:, 0], F[:, :1]):
        assert torch.equal(model(X, force={cells: given}).spikes, F[:, :1].expand_as(F))
    assert torch.equal(model(X[:, 0], force={cells: F}).spikes, F)


@ENGINES
def test_lengths_pieces_and_steps(engine):
    model, cells = module(engine, checkpoint=4)
    lengths = torch.tensor([5, STEPS, 11])
    y = model(X, force={cells: F})
    short = model(X, force={cells: F}, lengths=lengths).spikes
    assert torch.equal(short, F * (torch.arange(STEPS)[:, None] < lengths)[..., None])
    state, pieces = None, []
    for piece in (slice(0, 9), slice(9, STEPS)):
        z, state = model.run(X[piece], state=state, force={cells: F[piece]})
        pieces.append(z.v)
    assert torch.equal(torch.cat(pieces), y.v)
    state = None
    for t in range(STEPS):
        z, state = model.step(X[t], state=state, force={cells: (F[t], torch.tensor([True, True, False, True]))})
        assert torch.equal(z.spikes[:, :2], F[t, :, :2])
    swapped, cells = module(engine, batch_first=True)
    z, _ = swapped.step(X[0], force={cells: (F[3], some(BATCH, p=1))})
    assert torch.equal(z.spikes, F[3]) and F[3].any()


@ENGINES
def test_gradients_pass_to_the_spikes_that_are_replaced(engine):
    model, cells = module(engine)
    gradients = []
    for force in (None, {cells: model(X).spikes}):
        x = X.clone().requires_grad_()
        y = model(x, force=force)
        gradients.append(torch.autograd.grad((y.v + y.spikes.cumsum(0)).sum(), x)[0])
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-14)
    assert gradients[0].any()


def wrong(what):
    """What cannot be forced, with the text of the error."""
    model, cells = module(more=[lambda cells: InputGroup(N, name="fed"), lambda cells: NeuronGroup(N, "x : 1", name="still")], **HIGH)
    half = torch.where(F > 0, 0.5, 0.0)
    no_threshold = ValueError, "force= names {!r}, which is not a group with a threshold in this network; what is fed is given as an input"
    return model, {
        "of an input": ({model["fed"]: F}, no_threshold[0], no_threshold[1].format("fed")),
        "without a threshold": ({model["still"]: F}, no_threshold[0], no_threshold[1].format("still")),
        "of another network": ({NeuronGroup(N, "v : 1", threshold="v > 1", reset="v = 0", name="away"): F}, no_threshold[0], no_threshold[1].format("away")),
        "other events": ({(cells, "low"): F}, ValueError, "'cells', which force= names, has no 'low', but 'spike', 'high': write (cells, 'spike')"),
        "neurons": ({cells: F[..., :3]}, ValueError, "force= of 'cells' must have the shape (T, ..., 4), not (20, 3, 3)"),
        "steps": ({cells: F[:10]}, ValueError, "all inputs must have the same number of steps, not [10, 20]"),
        "steps of two parts": ({cells[:2]: F[:10, :, :2], cells[2:]: F[..., 2:]}, ValueError, "force= gives 'cells' 10 and 20 steps"),
        "values": ({cells: half}, ValueError, "force= gives 'cells' spikes that are 0.5; a spike is 1, and none is 0"),
        "mask": ({cells: (F, [True, False])}, ValueError, "the mask of force= of 'cells' has the shape (2,), which does not fit that of its spikes"),
        "no group": ({"cells": F}, TypeError, "force= takes groups, parts of them, and tuples such as (group, 'event'), not 'cells'"),
    }[what]  # fmt: skip


@pytest.mark.parametrize(
    "what",
    ["of an input", "without a threshold", "of another network", "other events", "neurons", "steps", "steps of two parts", "values", "mask", "no group"],
)
def test_what_cannot_be_forced(what):
    model, (force, error, text) = wrong(what)
    with pytest.raises(error) as caught:
        model(torch.zeros(STEPS, BATCH, N), X, force=force)
    assert str(caught.value) == text


def test_the_rows_of_a_step():
    model, cells = module()
    with pytest.raises(ValueError, match=r"^force= of 'cells' must have the shape \(\.\.\., 4\), not \(3, 3\)$"):
        model.step(X[0], force={cells: F[0, :, :3]})
    with pytest.raises(TypeError, match="give them to run"):
        model.step(X[0], force={cells: bnn.Events.from_dense(F)})
