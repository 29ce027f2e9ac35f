"""Values at computed positions, and random numbers with parameters, in kernels: numpy defines them, compiled code gives the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from brianlike import Network, NeuronGroup, build, defaultclock, prefs, seed
from brianlike.randomness import binomial, poisson
from brianlike.simulate import Connection, Inputs, NumpyEngine
from codegen.algebra import linear_coefficients
from codegen.derivative import reverse
from codegen.emit import torch as emit_torch
from codegen.emit.cython import LENGTH, render
from codegen.errors import UnsupportedError
from codegen.expr import Access, Binary, Cast, DType, Element, Expr, Index, Name, Number, show
from codegen.fuse import fuse
from codegen.ir import Array, Draw, Let, Load, Map, Program, Role, Store
from codegen.optimize import hoist
from codegen.surrogate import SuperSpike, Surrogate
from codegen.verify import verify_program

SELF, SHARED, POST, WHOLE = Index.SELF, Index.SHARED, Index.POST, Index.WHOLE
SIZES = {"g": 37, "t": 5, "s": 60}


def array(name: str, space: str | None = "g", dtype: DType = DType.FLOAT, role: Role = Role.STATE) -> Array:
    return Array(name, space, role, dtype)


def look_up(value: Expr, dtype: DType = DType.FLOAT) -> Map:
    loads = (Load("k", "k", SELF, DType.INT32), Load("table", "table", WHOLE, dtype))
    return Map("f", "g", loads, (Let("r", value, dtype),), (Store("out", SELF, "r", dtype),))


def on_numpy(program: Program, values: dict[str, np.ndarray], float_dtype: str = "float64") -> dict[str, np.ndarray]:
    verify_program(program)
    ends = Connection(np.arange(60) % 37, (np.arange(60) * 7) % 37, 37, 37)
    inputs = Inputs({name: v.copy() for name, v in values.items()}, SIZES, {"s": ends}, seed=3, epoch=4, float_dtype=float_dtype)
    engine = NumpyEngine(program, inputs)
    engine.set_up()
    engine.run(1)
    return engine.values


def compiled(kernel: Map, table: dict[str, Array], values: dict[str, np.ndarray], float_dtype: str = "float64", stream: int = 0) -> dict[str, np.ndarray]:
    """What one step of the kernel leaves in the arrays."""
    pytest.importorskip("brianlike._runtime")
    from brianlike._runtime import Driver

    source = render(kernel, table, float_dtype)
    native = build.build_cython([source])[source.name]
    memory = {}
    for name, given in values.items():
        memory[name] = np.zeros(-(-len(given) // 16) * 16, given.dtype)
        memory[name][: len(given)] = given
    memory |= {LENGTH + name: np.array([len(v)], np.int64) for name, v in values.items()}
    driver = Driver(seed=3, epoch=4)
    driver.add_map(native, [memory[name] for name in source.parameters], SIZES[kernel.space], stream=stream)
    driver.run(1)
    return {name: memory[name][: len(v)] for name, v in values.items()}


K = np.resize(np.array([0, 1, 2, 3, 4, 5, -1, 2**31 - 1, -(2**31), 4, 3], np.int32), 37)


@pytest.mark.parametrize("kind", ["float64", "float32", "int32", "int64", "bool"])
def test_positions_outside_read_nan_or_zero(kind):
    """Five values: positions 0 to 4; compiled code never reads outside, not even the padding behind an array."""
    dtype = {"int32": DType.INT32, "int64": DType.INT64, "bool": DType.BOOL}.get(kind, DType.FLOAT)
    given = np.array([3, 0, 5, 7, 9]).astype(kind)
    kernel = look_up(Element(Name("table"), Name("k")), dtype)
    table = {a.name: a for a in (array("k", dtype=DType.INT32), array("table", "t", dtype, Role.TABLE), array("out", dtype=dtype))}
    real = kind if dtype is DType.FLOAT else "float64"
    absent = np.nan if dtype is DType.FLOAT else 0
    inside = (K >= 0) & (K < 5)
    wanted = np.where(inside, given[np.clip(K, 0, 4)], absent)
    values = {"k": K, "table": given, "out": np.zeros(37, kind)}
    np.testing.assert_array_equal(on_numpy(Program(tuple(table.values()), (), (kernel,)), values, real)["out"], wanted)
    np.testing.assert_array_equal(compiled(kernel, table, values, real)["out"], wanted)


def test_a_constant_position_is_looked_up_once():
    """In the set-up, if nothing in the step changes the array."""
    kernel = look_up(Binary("*", Element(Name("table"), Number(3)), Cast(DType.FLOAT, Name("k"))))
    table = (array("k", dtype=DType.INT32), array("table", "t", role=Role.TABLE), array("out"), array("clock.t", None, role=Role.CLOCK))
    writes_k = Map("w", "g", (Load("k", "k", SELF, DType.INT32),), (Let("k2", Binary("+", Name("k"), Number(1)), DType.INT32),),
                   (Store("k", SELF, "k2", DType.INT32),))  # fmt: skip
    program = hoist(Program(table, (), (kernel, writes_k)))
    assert [load.index for load in program.setup[0].loads] == [WHOLE]
    assert all(load.index is not WHOLE for load in program.kernels[0].loads)
    values = {"k": K, "table": np.arange(5.0) * 2, "out": np.zeros(37)}
    np.testing.assert_array_equal(on_numpy(program, values)["out"], 6.0 * K)


def writer(name: str, target: str, value: Expr, loads: tuple[Load, ...], index: Index = SELF, space: str = "g", add: bool = False) -> Map:
    return Map(name, space, loads, (Let("r", value),), (Store(target, index, "r", add=add),))


X = Load("x", "x", SELF)
DOUBLE = writer("double", "x", Binary("*", Name("x"), Number(2.0)), (X,))
READS_OTHERS = writer("gather", "y", Element(Name("whole"), Name("k")), (Load("whole", "x", WHOLE), Load("k", "k", SELF, DType.INT32)))


@pytest.mark.parametrize("order", [(DOUBLE, READS_OTHERS), (READS_OTHERS, DOUBLE)], ids=["write first", "read first"])
def test_maps_that_reach_other_elements_are_not_merged(order):
    """Merged, an element would read its neighbour before (or after) the neighbour had its turn."""
    arrays = (array("x"), array("y"), array("k", dtype=DType.INT32))
    program = fuse(Program(arrays, (), order))
    assert len(program.kernels) == 2
    values = {"x": np.arange(37.0), "y": np.zeros(37), "k": ((np.arange(37, dtype=np.int32) + 5) % 37).astype(np.int32)}
    np.testing.assert_array_equal(on_numpy(program, values)["y"], (2.0 if order[0] is DOUBLE else 1.0) * values["k"])


@pytest.mark.parametrize("add", [True, False])
def test_maps_over_synapses_that_share_neurons_are_not_merged(add):
    """The second reads, through its postsynaptic neuron, what all synapses of the first have written there."""
    first = writer("sum", "total", Name("w"), (Load("w", "w", SELF),), POST, "s", add=add)
    second = writer("copy", "seen", Name("total"), (Load("total", "total", POST),), SELF, "s")
    arrays = (array("w", "s"), array("seen", "s"), array("total", "g"))
    assert len(fuse(Program(arrays, (), (first, second))).kernels) == 2
    other = replace(second, stores=(Store("other", SELF, "r"),), loads=(Load("total", "w", SELF),))
    assert len(fuse(Program((*arrays, array("other", "s")), (), (first, other))).kernels) == 1  # they only share what both read


def test_a_map_that_changes_what_it_reaches_elsewhere_is_not_compiled():
    kernel = writer("shift", "x", Element(Name("whole"), Name("k")), (Load("whole", "x", WHOLE), Load("k", "k", SELF, DType.INT32)))
    table = {"x": array("x"), "k": array("k", dtype=DType.INT32)}
    with pytest.raises(UnsupportedError, match="reaches other elements of x, which it changes at the same time"):
        render(kernel, table)
    k = ((np.arange(37) + 1) % 37).astype(np.int32)
    np.testing.assert_array_equal(on_numpy(Program(tuple(table.values()), (), (kernel,)), {"x": np.arange(37.0), "k": k})["x"], k)


def test_torch_gathers_with_a_gradient():
    torch = pytest.importorskip("torch")
    kernel = look_up(Binary("*", Element(Name("table"), Name("k")), Number(2.0)))
    function = build.build_python(emit_torch.render(kernel, Surrogate(SuperSpike(beta=10.0))))
    table = torch.arange(5.0, dtype=torch.float64, requires_grad=True)
    (value,) = function(torch.tensor([4, 4, 1]), table)
    value.sum().backward()
    assert value.tolist() == [8.0, 8.0, 2.0] and table.grad.tolist() == [0, 2, 0, 0, 4]
    batch = torch.arange(10.0, dtype=torch.float64).reshape(2, 5)
    assert function(torch.tensor([4, 0]), batch)[0].tolist() == [[8.0, 0.0], [18.0, 10.0]]


def test_reverse_mode_counts_an_element_as_constant_or_refuses():
    body = (Let("r", Binary("*", Element(Name("table"), Name("k")), Name("x"))),)
    types = {"table": DType.FLOAT, "k": DType.INT32, "x": DType.FLOAT, "g": DType.FLOAT}
    lines, found = reverse(body, types, ["x"], [("r", "g")], Surrogate(SuperSpike(beta=10.0)))
    assert set(found) == {"x"}
    with pytest.raises(UnsupportedError, match="reaches other elements of an array that is trained"):
        reverse(body, types, ["table"], [("r", "g")], Surrogate(SuperSpike(beta=10.0)))


def test_algebra_keeps_an_element_as_one_symbol():
    v, element = Access("v"), Element(Access("table", WHOLE), Access("k"))
    (slope,), rest = linear_coefficients(Binary("-", Binary("*", element, v), element), [v])
    assert slope == element and show(rest) == "-table[k]"
    assert linear_coefficients(Element(Access("table", WHOLE), Cast(DType.INT32, v)), [v]) is None


# ------------------------------------------------------------------------------------------------------------------- random numbers with parameters
MEANS = (-1.0, 0.0, 1e-3, 0.7, 9.999, 10.0, 11.5, 40.0, 900.0, 1e6, 1e13, np.nan, np.inf)
TRIALS = ((0, 0.5), (10, 0.0), (10, 1.0), (10, 1.5), (7, 0.3), (7, 0.9), (100, 0.05), (100, 0.5), (1000, 0.93), (10**7, 1e-7), (10**9, 0.4), (10, np.nan))


@pytest.mark.parametrize("law", ["poisson", "binomial"])
def test_numpy_and_compiled_code_draw_the_same_integers(law, monkeypatch):
    monkeypatch.setitem(SIZES, "g", 13_000)
    names = ("a", "b")[: 1 if law == "poisson" else 2]
    columns = np.array([MEANS] if law == "poisson" else list(zip(*TRIALS)), float)
    values = {name: np.resize(column, 13_000) for name, column in zip(names, columns)} | {"out": np.zeros(13_000, np.int64)}
    draw = Draw("r", law, 2, tuple(map(Name, names)))
    kernel = Map("f", "g", tuple(Load(name, name, SELF) for name in names), (draw,), (Store("out", SELF, "r", DType.INT64),))
    table = {name: array(name) for name in names} | {"out": array("out", dtype=DType.INT64)}
    wanted = on_numpy(Program(tuple(table.values()), (), (kernel,)), values)["out"]
    assert len(np.unique(wanted)) > 1000
    np.testing.assert_array_equal(compiled(kernel, table, values)["out"], wanted)


def chi_square(found: np.ndarray, law) -> float:
    """The probability of a worse agreement, over classes in which at least 20 are expected."""
    edges = np.unique(law.ppf(np.linspace(0, 1, 41)[1:-1]))
    expected = np.diff(np.concatenate([[0.0], law.cdf(edges), [1.0]])) * len(found)
    counts = np.bincount(np.searchsorted(edges, found), minlength=len(edges) + 1)
    keep = expected > 20
    statistic = ((counts - expected)[keep] ** 2 / expected[keep]).sum()
    return float(stats.chi2.sf(statistic, max(1, keep.sum() - 1)))


@pytest.mark.parametrize("mean", [0.05, 2.5, 9.9, 10.0, 25.0, 300.0, 1e5, 1e9])
def test_poisson_numbers_have_their_distribution(mean):
    found = poisson(1, 2, 3, 200_000, 0, 0, mean)
    assert chi_square(found, stats.poisson(mean)) > 1e-4


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (20, 0.2), (20, 0.8), (100, 0.1), (200, 0.5), (1000, 0.97), (10**6, 1e-5), (10**6, 0.3), (10**9, 0.5)])
def test_binomial_numbers_have_their_distribution(n, p):
    found = binomial(1, 2, 3, 200_000, 0, 0, n, p)
    assert chi_square(found, stats.binom(n, p)) > 1e-4


def test_draws_of_one_object_differ_between_its_texts():
    """The threshold's random number is not the reset's: v would never exceed 0.5 otherwise."""
    G = NeuronGroup(2000, "v : 1", threshold="rand() < 0.5", reset="v = rand()")
    Network(G).run(1 * defaultclock.dt)
    assert (G.v_ > 0.5).sum() > 300


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_poisson_in_code(target):
    prefs.codegen.target = target
    seed(5)
    G = NeuronGroup(1000, "n : integer\nm : 1", threshold="i >= 0", reset="n = poisson(m)")
    G.m = "poisson(3)*2 + 1"
    Network(G).run(1 * defaultclock.dt)
    assert abs(G.n_.mean() - 7) < 0.5
    np.testing.assert_array_equal(np.unique(G.m_ % 2), [1])
