"""The compiled engine chooses by density: rows of events or products, all cotangents of events or those that count. No choice shows."""

import itertools

import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402
from codegen.emit import products  # noqa: E402
from codegen.expr import ZERO, Binary, Call, Compare, DType, Index, Logical, Name, Negate, Number, Where, show  # noqa: E402
from codegen.ir import Array, Let, Load, Map, Program, Record, Role, Store  # noqa: E402
from codegen.wanted import wanted_cotangents  # noqa: E402

LEAKY = """dv/dt = (I - v)/(20*ms) : 1
           dI/dt = -I/(5*ms) : 1"""


def module(shape, engine="cython", dtype=torch.float64, delay=0.0, refractory=False, connect=1.0, detach=None, n=70, width=0.4, spread=False, checkpoint=None):
    """Objects have names of their own: the order of those that run at the same time is that of their names, and with it that of sums."""
    start_scope()
    defaultclock.dt = 1 * ms
    seed(4)
    inputs = InputGroup(40, name="inputs")
    hidden = NeuronGroup(n, LEAKY, threshold="v > 1", reset="v = 0", refractory=3 * ms if refractory else False, method="exact", namespace={}, name="hidden")
    readout = NeuronGroup(50, LEAKY, method="exact", namespace={}, name="readout")
    first = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w", name="first")
    first.connect()
    first.w = "1.5*randn()"
    again = Synapses(hidden, hidden, "w : 1", on_pre="I_post += w", delay=None if spread else delay * ms, name="again")
    again.connect(p=connect)
    again.w = "0.4*randn()"
    if spread:
        again.delay = "int(3*rand())*ms"
    last = Synapses(hidden, readout, "w : 1", on_pre="I_post += w", name="last")
    last.connect()
    last.w = "0.3*randn()"
    return bnn.NetworkModule(
        Network(inputs, hidden, readout, first, again, last), {"v": (readout, "v"), "n": bnn.Count(hidden), "spikes": hidden},
        [bnn.Learn(one, "w") for one in (first, again, last)], bnn.Surrogate(shape, width=width, detach_reset=detach), dtype=dtype, engine=engine,
        checkpoint=checkpoint, check_finite=False,
    )  # fmt: skip


def given(density=0.15, steps=25, members=11, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(steps, members, 40, generator=generator) < density).to(dtype)


def carried_out(made, x):
    """Records and gradients, and how often each kernel was chosen."""
    x = x.clone().requires_grad_()
    y = made(x)
    generator = torch.Generator().manual_seed(2)
    loss = sum((value * torch.randn(value.shape, generator=generator, dtype=value.dtype)).sum() for value in y)
    return [*y, *torch.autograd.grad(loss, [x, *made.parameters()])], counts_of(made)


def compiled(made):
    return [found for _, found in made._choice._compiled.values()]


def counts_of(made):
    return {name: count for one in compiled(made) if one is not None for name, count in one.counts.items()}


def total(counts, end):
    """Of parts whose names end so: how often some, how often all."""
    found = [count for name, count in counts.items() if name.endswith(end) and (end or name[-1] not in "~'")]
    return tuple(map(sum, zip(*found))) if found else (0, 0)


def assert_close(found, expected):
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11 * float(other.detach().abs().max()))


def forced(monkeypatch, **densities):
    """The limits of density for every matrix."""
    limits = products.Densities(**{"rows": 2.0, "lists": 2.0, "bits": 2.0, "wanted": 0.0, **densities})
    monkeypatch.setattr(products, "density_limits", lambda *_: limits)


# -------------------------------------------------------------------------------------------------------------------------------------- which cotangents
CASES = {
    "Boxcar": ({}, True),
    "Triangle": ({}, True),
    "SuperSpike": ({}, False),
    "Sigmoid": ({}, False),
    "Gaussian": ({}, False),
    "SuperSpike, refractory": ({"refractory": True}, True),
    "Boxcar, through the reset": ({"detach": False}, True),
}


@pytest.mark.parametrize("name", CASES)
def test_which_models_have_cotangents_that_do_not_count(name):
    options, expected = CASES[name]
    made = module(getattr(bnn, name.partition(",")[0])(), n=6, **options)
    carried_out(made, given(steps=2, members=1))
    (variant,) = compiled(made)[0]._variants.values()
    assert [*variant.useful] == (["hidden._spike"] if expected else [])


E, A, B, F, G, H = map(Name, "e a b f g h".split())


def backward(*lines, stores=("a",), kernels=(), loads=(), forward=()):
    """A Map that reads the cotangent `e`, a number `f` kept from a choice, one `g` that is never 0, and a condition `h`."""
    arrays = (Array("G.s", "G", Role.EVENT, DType.BOOL), Array("G.s~", "G", Role.COTANGENT), Array("G.v~", "G", Role.COTANGENT))
    tapes = (Array("K:f", "G", Role.TAPE), Array("K:g", "G", Role.TAPE), Array("K:h", "G", Role.TAPE, DType.BOOL))
    kept = Map(
        "K", "G", (Load("v", "G.v", Index.SELF),),
        (Let("g", Binary("/", Number(1.0), Call("exp", (Name("v"),)))), Let("f", Call("clip", (Name("v"), Number(0.0), Number(1.0)))),
         Let("h", Compare("<", Name("v"), Number(3.0)), DType.BOOL)),
        tuple(Store(f"K:{name}", Index.SELF, name, DType.BOOL if name == "h" else DType.FLOAT) for name in "fgh"),
    )  # fmt: skip
    read = (Load("e", "G.s~", Index.SELF), Load("b", "G.v~", Index.SELF), Load("f", "K:f", Index.SELF), Load("g", "K:g", Index.SELF))
    read = (*read, Load("h", "K:h", Index.SELF, DType.BOOL), *loads)
    main = Map("K~", "G", read, lines, tuple(Store("G.v~", Index.SELF, name) for name in stores))
    _, maps = wanted_cotangents(Program((*arrays, *tapes), (), (kept,)), Program((*arrays, *tapes), (), (*kernels, main), reverse=True))
    return {events: show(kernel.body[-1].value) for events, kernel in maps.items()}


ONLY = {"G.s": "f != 0.0"}
USES = {
    "a factor": ((Let("a", Binary("*", E, F)),), ONLY),
    "a factor, the other way": ((Let("a", Binary("*", F, E)),), ONLY),
    "a factor that is never 0": ((Let("a", Binary("*", E, G)),), {}),
    "a cotangent as factor": ((Let("a", Binary("*", E, B)),), {}),
    "itself as factor": ((Let("a", Binary("*", E, E)),), {}),
    "a sum": ((Let("a", Binary("+", E, B)),), {}),
    "a sum, and then a factor": ((Let("c", Binary("+", E, B)), Let("a", Binary("*", Name("c"), F))), ONLY),
    "negated": ((Let("c", Negate(E)), Let("a", Binary("*", Name("c"), F))), ONLY),
    "divided": ((Let("c", Binary("/", E, G)), Let("a", Binary("*", Name("c"), F))), ONLY),
    "a divisor": ((Let("c", Binary("/", G, E)), Let("a", Binary("*", Name("c"), F))), {}),
    "a choice": ((Let("a", Where(H, E, ZERO)),), {"G.s": "h"}),
    "the other choice": ((Let("a", Where(H, B, E)),), {"G.s": "not h"}),
    "a product that is chosen": ((Let("c", Binary("*", E, F)), Let("a", Where(H, Name("c"), ZERO))), {"G.s": "f != 0.0 and h"}),
    "a guard": (
        (Let("c", Binary("*", E, F)), Let("d", Compare("==", E, ZERO), DType.BOOL), Let("a", Where(Name("d"), ZERO, Name("c")))),
        ONLY,
    ),
    "a guard of something else": ((Let("c", Binary("*", E, F)), Let("d", Compare("==", E, ZERO), DType.BOOL), Let("a", Where(Name("d"), B, Name("c")))), {}),
    "in a condition": ((Let("d", Compare(">", E, ZERO), DType.BOOL), Let("a", Where(Name("d"), F, ZERO))), {}),
    "a nonlinear function": ((Let("c", Call("exp", (E,))), Let("a", Binary("*", Name("c"), F))), {}),
    "a finite number": ((Let("d", Call("_finite", (F,)), DType.BOOL), Let("a", Where(Name("d"), E, ZERO))), {}),
    "two uses": ((Let("c", Binary("*", E, F)), Let("d", Where(H, E, ZERO)), Let("a", Binary("+", Name("c"), Name("d")))), {"G.s": "f != 0.0 or h"}),
    "two uses, one without a factor": ((Let("c", Binary("*", E, F)), Let("a", Binary("+", Name("c"), E))), {}),
    "a factor kept as a product": ((Let("c", Binary("*", F, G)), Let("a", Binary("*", E, Name("c")))), {"G.s": "c != 0.0"}),
}


@pytest.mark.parametrize("name", USES)
def test_when_a_cotangent_counts(name):
    lines, expected = USES[name]
    assert backward(*lines) == expected


def test_what_is_handed_out_or_read_twice_counts():
    line = Let("a", Binary("*", E, F))
    assert backward(line, kernels=(Record("x", "G.s~"),)) == {}
    assert backward(line, kernels=(Map("L~", "G", (Load("q", "G.s~", Index.SELF),), (), (Store("G.v~", Index.SELF, "q"),)),)) == {}
    assert backward(line, stores=("a", "e")) == {}


def test_a_choice_of_both_is_either():
    assert backward(Let("c", Logical("and", H, H), DType.BOOL), Let("a", Where(Name("c"), E, ZERO))) == {"G.s": "c"}


# ------------------------------------------------------------------------------------------------------------------------------------------- gradients
NETWORKS = {
    "at once": {},
    "delayed": {"delay": 2.0},
    "several delays": {"spread": True},
    "sparse": {"connect": 0.2},
    "sparse, delayed": {"connect": 0.2, "delay": 1.0},
}


COMBINED = [(*one, refractory) for one, refractory in zip(itertools.product(NETWORKS, ("Boxcar", "Triangle")), itertools.cycle((True, False, False, True)))]


@pytest.mark.parametrize("network, shape, refractory", COMBINED)
def test_gradients_of_surrogates_with_compact_support(network, shape, refractory, monkeypatch):
    forced(monkeypatch, wanted=1.0)
    found = {
        engine: carried_out(module(getattr(bnn, shape)(), engine, refractory=refractory, **NETWORKS[network]), given()) for engine in ("torch", "cython")
    }
    assert_close(found["cython"][0], found["torch"][0])
    assert total(found["cython"][1], "~")[0] > 0


def test_all_cotangents_or_those_that_count(monkeypatch):
    results = []
    for limit in (0.0, 1.0):
        forced(monkeypatch, wanted=limit)
        results.append(carried_out(module(bnn.Boxcar(), delay=1.0, refractory=True), given()))
    assert_close(results[0][0], results[1][0])
    assert total(results[0][1], "~") == (0, 0)
    assert total(results[1][1], "~") == (2 * 2 * 25 - 2, 2)  # two parts, two tiles; what came a step before the first is not known

@pytest.mark.parametrize("options", [{}, {"delay": 1.0}])
def test_how_many_count_decides(options):
    assert total(carried_out(module(bnn.Boxcar(), n=256, width=0.05, **options), given())[1], "~")[0] > 50
    assert total(carried_out(module(bnn.Boxcar(), n=256, width=50.0, **options), given())[1], "~")[0] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("network", ["at once", "several delays"])
def test_events_or_products_have_the_same_bits(network, dtype, monkeypatch):
    results = []
    for limit in (-1.0, 2.0):
        forced(monkeypatch, rows=limit, lists=limit, bits=limit)
        results.append(carried_out(module(bnn.SuperSpike(), dtype=dtype, **NETWORKS[network]), given(dtype=dtype)))
    for one, other in zip(results[0][0], results[1][0]):
        assert torch.equal(one, other)
    (by_product, counts), (by_events, others) = results
    assert total(counts, "")[1] > 50 and total(counts, "'")[0] == 0 and total(counts, "'")[1] > 0
    assert total(others, "")[1] == 0 and total(others, "'")[1] == 0


def test_graded_events_as_numbers(monkeypatch):
    x = given() * torch.rand(given().shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    results = []
    for limit in (-1.0, 2.0):
        forced(monkeypatch, rows=limit, lists=limit, bits=limit)
        results.append(carried_out(module(bnn.SuperSpike()), x)[0])
    assert all(map(torch.equal, *results))


def test_density_decides_between_events_and_products():
    options = {"members": 16, "steps": 10}
    dense = carried_out(module(bnn.SuperSpike(), n=256), given(0.47, **options))[1]
    thin = carried_out(module(bnn.SuperSpike(), n=256), given(0.02, **options))[1]
    name = next(name for name in dense if name.startswith("first.") and name[-1] not in "~'")
    assert dense[name] == (0, 20) and dense[name + "'"][0] == 0
    assert thin[name][1] == 0 and thin[name + "'"][1] == 0


# -------------------------------------------------------------------------------------------------------------------------------- what must not change
@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_weights_that_are_not_finite(bad, monkeypatch):
    """0 times infinity is NaN: rows of events do not know of weights that no event reaches, and no cotangent hides behind a slope of 0."""
    results = []
    for limit, wanted in ((2.0, 0.0), (-1.0, 1.0)):
        forced(monkeypatch, rows=limit, lists=limit, bits=limit, wanted=wanted)
        made = module(bnn.Boxcar())
        with torch.no_grad():
            for weights in made.parameters():
                weights.view(-1)[7] = bad
        results.append(carried_out(made, given())[0])
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_cotangents_that_are_not_finite(monkeypatch):
    results = []
    for limit, wanted in ((2.0, 0.0), (-1.0, 1.0)):
        forced(monkeypatch, rows=limit, lists=limit, bits=limit, wanted=wanted)
        made = module(bnn.Boxcar())
        y = made(given())
        scale = torch.ones_like(y.v)
        scale[13, 2, 5] = float("inf")
        results.append(torch.autograd.grad((y.v * scale).sum(), list(made.parameters())))
    assert not results[0][0].isfinite().all()
    for one, other in zip(*results):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("network", ["at once", "several delays", "sparse, delayed"])
def test_threads_and_checkpoints_change_no_bit(network):
    results = []
    for threads, checkpoint in ((1, None), (2, None), (1, 4)):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            made = module(bnn.Boxcar(), n=130, checkpoint=checkpoint, **NETWORKS[network])
            x = given().requires_grad_()
            y = made(x)
            results.append(torch.autograd.grad(y.v.square().sum() + y.n.sum(), [x, *made.parameters()]))
            assert total(counts_of(made), "~")[0] > 0
        finally:
            torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_the_events_before_a_run_have_all_cotangents():
    """A run in two halves: what arrives late in the second has its gradient in the first."""
    found = {}
    for engine in ("torch", "cython"):
        made = module(bnn.Boxcar(), engine, delay=2.0, n=130)
        x = given().requires_grad_()
        y, state = made.run(x[:12])
        z, _ = made.run(x[12:], state=state)
        found[engine] = torch.autograd.grad(z.v.square().sum() + y.n.sum(), [x, *made.parameters()])
    assert_close(found["cython"], found["torch"])
