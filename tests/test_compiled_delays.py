"""Delays of many values, and learned ones, on compiled kernels: what the torch engine computes, whatever pathways, orders, inputs and runs are."""

import itertools

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.compiled import backwards  # noqa: E402
from brianlike.nn.compiled import engine as compiled_engine  # noqa: E402
from brianlike.only import *  # noqa: E402

LATE = ["start", "groups", "synapses", "thresholds", "resets", "end"]  # what fires in a step is delivered in the next one
SOURCES, CELLS, STEPS = 5, 4, 50


ON_PRE = {
    "sums": "I_post += w",
    "two sums": "I_post += w; b_post += 0.3*w",
    "each synapse": "used = 1; I_post += w",
    "state": "I_post += w*(1.5 - v_post)",
}
"""What synapses do: products of matrices, computing at each synapse, and reading what changes."""


def network(
    engine="cython", on_pre="sums", schedule=None, longest=7, share=None, surrogate=None, dtype=torch.float64, learned=("w", "delay"), spikes=True, **options
):
    """Inputs, and neurons that are connected to themselves both ways; all delays are between 0 and `longest` steps, and usually learned."""
    start_scope()
    seed(3)
    defaultclock.dt = 1 * ms
    inputs = InputGroup(SOURCES, name="inputs")
    equations = "dv/dt = (I + b + h - v)/(8*ms) : 1\ndI/dt = -I/(4*ms) : 1\ndb/dt = -b/(30*ms) : 1\ndh/dt = -h/(9*ms) : 1"
    cells = NeuronGroup(CELLS, equations, threshold="v > 1", reset="v = 0", method="exact", name="cells")
    cells.v = "0.2*i"
    feed = Synapses(inputs, cells, "w : 1\nused : 1", on_pre=ON_PRE[on_pre], name="feed")
    feed.connect()
    loop = Synapses(cells, cells, "w : 1\nused : 1", on_pre=ON_PRE[on_pre], on_post={"back": "b_pre += 0.1*w"}, name="loop")
    loop.connect("i != j")
    feed.w, loop.w = "1 + rand()", "0.6*randn()"
    if share == "source":
        feed.delay, loop.delay, loop.back.delay = f"(i*{longest}/4.0)*ms", f"i*{longest}/3.0*ms", "(i % 2)*ms"
    else:
        feed.delay, loop.delay, loop.back.delay = f"{longest}*rand()*ms", f"{longest}*rand()*ms", "2*rand()*ms"
    net = Network(inputs, cells, feed, loop)
    if schedule:
        net.schedule = schedule
    delays = [(feed, "delay"), (loop, "delay"), (loop, "back.delay")]
    learn = [bnn.Learn(feed, "w"), bnn.Learn(loop, "w")] if "w" in learned else []
    learn += [bnn.Learn(owner, name, unit=ms, share=share if name == "delay" else None) for owner, name in delays] if "delay" in learned else []
    record = {"v": (cells, "v")} | ({"spikes": cells, "count": bnn.Count(cells)} if spikes else {})
    return bnn.NetworkModule(net, record, learn, surrogate or bnn.Surrogate(bnn.SuperSpike(beta=5)), dtype=dtype, engine=engine, namespace={}, **options)


def drive(batch=3, graded=False, dtype=torch.float64, steps=STEPS):
    generator = torch.Generator().manual_seed(1)
    x = (torch.rand(steps, batch, SOURCES, generator=generator) < 0.25).to(dtype)
    return x * (0.6 + 0.8 * torch.rand(x.shape, generator=generator, dtype=dtype)) if graded else x


def as_events(x):
    t, b, n = x.nonzero().to(torch.int32).unbind(1)
    return bnn.Events(t, b, n, x.shape, x[x != 0])


END = ("v", "I", "b", "h", "_spike_past")


def results(module, x, cuts=(), wanted=False, lengths=None, events=False, changed=False):
    """Records, state and gradients of a random sum of all of them; `changed`: delays are others in each piece."""
    x = x.clone().requires_grad_(wanted)
    state, found, loss, generator = None, {}, 0.0, torch.Generator().manual_seed(2)
    for number, (first, last) in enumerate(zip((0, *cuts), (*cuts, len(x)))):
        piece = as_events(x[first:last]) if events else x[first:last]
        y, state = module.run(piece, state=state, **({} if lengths is None else {"lengths": lengths}))
        found |= {f"{key} of {number}": value for key, value in y._asdict().items()}
        if changed:  # the gradients of both pieces are added up, each by its own delays
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    parameter.data = parameter.data + 1.7 * (number + 1) if "delay" in name else parameter.data
    for owner, values in state.items():
        found |= {f"{owner} {name}": value.expand(*value.shape[: name.endswith("_past")], x.shape[1], -1) for name, value in values.items() if name in END}
    for value in found.values():
        loss = loss + (value * torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)).sum()
    parameters = dict(module.named_parameters()) | ({"x": x} if wanted else {})
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    return {key: value.detach() for key, value in found.items()}, dict(zip(parameters, gradients))


def same(one, other, rtol=1e-9):
    for ours, theirs in zip(one, other):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            scale = float(value.abs().max())
            torch.testing.assert_close(ours[key], value, rtol=rtol, atol=0.1 * rtol * scale, msg=lambda text, key=key: f"{key}: {text}")


def compiled(module):
    return module._choice._compiled[module._engines[()]][1]


OPTIONS = {
    "whole": ({}, {}, {}),
    "checkpoint": ({"checkpoint": 7}, {}, {}),
    "one step kept": ({"checkpoint": 1}, {}, {}),
    "pieces": ({}, {}, {"cuts": (1, 3, 20)}),
    "pieces with checkpoints": ({"checkpoint": 4}, {}, {"cuts": (21,), "wanted": True}),
    "gradients of inputs": ({}, {"graded": True}, {"wanted": True}),
    "graded": ({}, {"graded": True}, {"cuts": (9,)}),
    "lengths": ({}, {"batch": 4}, {"lengths": torch.tensor([50, 7, 33, 50])}),
    "lengths with checkpoints": ({"checkpoint": 6}, {"batch": 4}, {"lengths": torch.tensor([9, 50, 33, 50])}),
    "events": ({}, {"graded": True}, {"events": True}),
    "events in pieces": ({"checkpoint": 9}, {}, {"events": True, "cuts": (5, 30)}),
    "long delays": ({"longest": 37}, {}, {}),
    "delays longer than the run": ({"longest": 70}, {}, {"cuts": (6, 20)}),
    "a delay for each source": ({"share": "source"}, {}, {"cuts": (9,)}),
    "compact slopes": ({"surrogate": bnn.Surrogate(bnn.Triangle(), width=0.4), "spikes": False}, {}, {"cuts": (9,)}),
    "compact slopes and checkpoints": ({"surrogate": bnn.Surrogate(bnn.Triangle(), width=0.4), "spikes": False, "checkpoint": 8}, {}, {}),
    "delays alone": ({"learned": ("delay",)}, {}, {}),
    "fixed": ({"learned": ("w",)}, {}, {"cuts": (9,), "wanted": True}),
    "fixed with checkpoints": ({"learned": ("w",), "checkpoint": 6}, {"batch": 4}, {"lengths": torch.tensor([9, 50, 33, 50])}),
    "fixed and graded": ({"learned": ("w",), "longest": 20}, {"graded": True}, {"events": True, "cuts": (30,)}),
    "many members": ({}, {"batch": 19}, {}),
    "one member": ({}, {"batch": 1}, {}),
}
"""Of a network, its inputs, and the run."""
FEWER = ("pieces with checkpoints", "graded", "gradients of inputs", "lengths with checkpoints", "events in pieces", "delays longer than the run", "fixed")
PAIRS = [*(("sums", None, name) for name in OPTIONS), *(("each synapse", None, name) for name in FEWER)]
PAIRS += [("sums", LATE, name) for name in ("whole", "pieces with checkpoints", "lengths")]
PAIRS += [("each synapse", LATE, name) for name in ("pieces with checkpoints", "events in pieces")]
PAIRS += [("two sums", None, "pieces"), ("state", None, "lengths with checkpoints")]
ALL = [case for case in itertools.product(ON_PRE, (None, LATE), OPTIONS) if case not in PAIRS]


def compare(on_pre, schedule, name):
    made, given, asked = OPTIONS[name]
    x = drive(**given)
    modules = [network(engine, on_pre, schedule, **made) for engine in ("torch", "cython")]
    expected, found = (results(module, x, **asked) for module in modules)
    engine = compiled(modules[1])
    assert bool(engine.learned) == ("delay" in made.get("learned", ("delay",))) and ("sums" in on_pre) == ("feed.pre>0" in engine.network.delayed)
    assert all(value.any() for value in expected[1].values())
    assert any(value.any() for key, value in expected[0].items() if "_spike_past" in key)
    same(found, expected)


@pytest.mark.parametrize("on_pre, schedule, name", PAIRS, ids=lambda value: str(value[1] if isinstance(value, list) else value or "").replace(" ", "_"))
def test_engines_agree(on_pre, schedule, name):
    compare(on_pre, schedule, name)


@pytest.mark.slow
@pytest.mark.parametrize("on_pre, schedule, name", ALL, ids=lambda value: str(value[1] if isinstance(value, list) else value or "").replace(" ", "_"))
def test_engines_agree_in_everything(on_pre, schedule, name):
    compare(on_pre, schedule, name)


@pytest.mark.parametrize("on_pre", ["sums", "each synapse"])
def test_delays_that_change_compile_nothing(on_pre, monkeypatch):
    """Two runs before one backward pass, and streaming, with other delays in every piece."""
    modules = [network(engine, on_pre) for engine in ("torch", "cython")]
    results(modules[1], drive(), cuts=(5,))
    monkeypatch.setattr(compiled_engine, "build_cython", lambda sources: pytest.fail(f"compiled {[source.name for source in sources]}"))
    expected, found = (results(module, drive(), cuts=(11, 24), changed=True) for module in (network("torch", on_pre), modules[1]))
    same(found, expected)


@pytest.mark.parametrize("on_pre", ["sums", "each synapse"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_no_bit_depends_on_threads_checkpoints_or_periods(on_pre, dtype, monkeypatch):
    x = drive(batch=19, dtype=dtype)
    expected = results(network("cython", on_pre, dtype=dtype), x, wanted=True)
    for checkpoint, threads, rows in ((7, 2, None), (None, 3, 19 * 16 * 8 * 3), (20, 1, 19 * 16 * 8)):
        torch.set_num_threads(threads)
        if rows is not None:
            monkeypatch.setattr(backwards, "ROWS", rows)
        found = results(network("cython", on_pre, dtype=dtype, checkpoint=checkpoint), x, wanted=True)
        for one, other in zip(expected, found):
            assert all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("rows", [1, 19 * 16 * 8 * 20])
def test_gradients_in_periods_shorter_than_a_delay(rows, monkeypatch):
    monkeypatch.setattr(backwards, "ROWS", rows)
    expected, found = (results(network(engine, longest=37), drive(batch=19), cuts=(9,)) for engine in ("torch", "cython"))
    same(found, expected)


def test_what_is_kept_in_two_bytes():
    x = drive()
    exact = results(network(), x)
    found = results(network(keep="bfloat16"), x)
    for ours, theirs in zip(found[0].items(), exact[0].items()):
        assert torch.equal(ours[1], theirs[1])
    for key, value in exact[1].items():
        error = (found[1][key] - value).abs().max() / value.abs().max()
        assert 0 < error < 0.02, key


def test_float32_is_float64_to_rounding():
    """Replayed spikes, so that rounding changes nothing but the last digits."""
    modules = [network("cython", dtype=dtype) for dtype in (torch.float32, torch.float64)]
    spikes = modules[0](drive(dtype=torch.float32)).spikes.detach()
    found = []
    for module, dtype in zip(modules, (torch.float32, torch.float64)):
        cells = next(item for item in module.objects if item.name == "cells")
        y = module(drive(dtype=dtype), force={cells: spikes.to(dtype)})
        found.append((y.v, *torch.autograd.grad(y.v.square().sum(), list(module.parameters()))))
    for one, other in zip(*found):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4 * float(other.detach().abs().max()))


@pytest.mark.parametrize("schedule", [None, LATE], ids=["", "late"])
@pytest.mark.parametrize("checkpoint", [None, 6])
def test_only_cotangents_that_count_are_computed(schedule, checkpoint, monkeypatch):
    monkeypatch.setattr(backwards, "FEW", 0)
    options = {"surrogate": bnn.Surrogate(bnn.Boxcar(), width=0.3), "spikes": False, "schedule": schedule, "checkpoint": checkpoint}
    modules = [network(engine, **options) for engine in ("torch", "cython")]
    expected, found = (results(module, drive(batch=9), cuts=(8,)) for module in modules)
    same(found, expected)
    assert compiled(modules[1]).counts["loop.pre>0:~"] == ((16, 0) if schedule is None else (14, 2))  # of the first eight steps, in two tiles


def test_what_is_not_finite_is_not_left_out(monkeypatch):
    """Where a cotangent is NaN, those that would not count are NaN, too, whether they are looked at or not."""
    found = []
    for few in (0, 99):
        monkeypatch.setattr(backwards, "FEW", few)
        module = network(surrogate=bnn.Surrogate(bnn.Boxcar(), width=0.1), spikes=False)
        v = module(drive(batch=9)).v
        weights = torch.ones_like(v)
        weights[40, 2] = float("nan")
        found.append(torch.autograd.grad((v * weights).sum(), list(module.parameters())))
    assert all(value.isnan().any() for value in found[0])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_a_delay_that_is_not_finite_is_named():
    module = network()
    with torch.no_grad():
        module.learned["synapses_0_delay"].raw.view(-1)[2] = float("nan")
    with pytest.raises(FloatingPointError, match="the learned delay of synapse 2 is nan s; a smaller learning rate or bounds= may help"):
        module(drive())


def test_delays_without_bounds_go_to_torch(caplog, monkeypatch):
    """Kernels have a window on all steps up to the longest delay."""
    monkeypatch.setattr(compiled_engine, "LONGEST", 1000)
    module, expected = network(), network("torch")
    for one in (module, expected):
        with torch.no_grad():
            one.learned["synapses_0_delay"].raw.view(-1)[3] = 3000
    assert torch.equal(module(drive(steps=9)).v, expected(drive(steps=9)).v)
    assert any("runs on torch, because a learned delay is 3,000 steps" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("learned", [("w",), ("w", "delay")], ids=["fixed", "learned"])
def test_windows_have_a_largest_size(learned, caplog, monkeypatch):
    """Fixed delays are parts then, one for each; learned ones go to torch."""
    monkeypatch.setattr(compiled_engine, "MOST", 100)
    expected, found = (results(network(engine, learned=learned), drive()) for engine in ("torch", "cython"))
    same(found, expected)
    said = "learned delays are too long for so many neurons" if "delay" in learned else "runs on compiled kernels"
    assert any(said in record.getMessage() for record in caplog.records)
