"""Vectorised kernels: their own exponentials against long doubles, choices and integers against numpy, and draws by table against the laws."""

import numpy as np
import pytest

from brianlike import *
from brianlike import _runtime, build, randomness
from brianlike.prepare import prepare
from brianlike.simulate import Inputs, NumpyEngine
from codegen.emit import cython
from codegen.expr import Binary, Call, Cast, Compare, DType, Index, Logical, Name, Negate, Not, Number, Where
from codegen.fuse import DEFAULT_SCHEDULE
from codegen.ir import Array, Draw, Fire, Let, Load, Map, Program, Role, Select, Store
from codegen.tabulate import THRESHOLDS, tabulate

try:
    build.find_compiler()
except build.CompilerUnavailable as error:
    pytest.skip(f"compiled kernels need a C compiler: {error}", allow_module_level=True)

SELF, SHARED = Index.SELF, Index.SHARED
KINDS = {DType.FLOAT: np.float64, DType.INT32: np.int32, DType.INT64: np.int64, DType.BOOL: np.bool_}


@pytest.fixture(autouse=True)
def fresh():
    start_scope()
    yield
    prefs.reset_to_defaults()


def run_map(kernel, table, values, float_dtype="float64"):
    """What a Map leaves in `out` after one run."""
    source, space = run_arrays(kernel, table, values, float_dtype)
    return source, space["out"][: len(values["out"])]


def run_arrays(kernel, table, values, float_dtype="float64"):
    """The arrays after one run of a Map over as many elements as `out` has, padded."""
    size = len(values["out"])
    source = cython.render(kernel, table, float_dtype)
    native = build.build_cython([source])[source.name]
    space = {name: np.resize(value, max(1, -(-len(value) // 16) * 16)).copy() for name, value in values.items()}
    arrays = [space[name] if name in space else np.array([len(values[name.removeprefix(cython.LENGTH)])]) for name in source.parameters]
    driver = _runtime.Driver(seed=3, epoch=4)
    driver.add_map(native, arrays, size, stream=5)
    driver.run(1)
    return source, space


OF_X = {"x": Array("x", "g", Role.STATE), "out": Array("out", "g", Role.STATE)}
ALL_KINDS = {"x": DType.FLOAT, "y": DType.FLOAT, "k": DType.INT32, "l": DType.INT64, "b": DType.BOOL}


def map_of_x(function):
    return Map("k", "g", (Load("x", "x", SELF),), (Let("r", Call(function, (Name("x"),))),), (Store("out", SELF, "r"),))


def map_of_all(expr, out):
    """A Map that stores an expression of one variable of each type, and its arrays."""
    loads = tuple(Load(name, name, SELF, dtype) for name, dtype in ALL_KINDS.items())
    kernel = Map("k", "g", loads, (Let("r", expr, out),), (Store("out", SELF, "r", out),))
    return kernel, {name: Array(name, "g", Role.STATE, dtype) for name, dtype in (ALL_KINDS | {"out": out}).items()}


def of_x(function, x, float_dtype="float64"):
    """The values of a function."""
    x = np.asarray(x, float_dtype)
    return run_map(map_of_x(function), OF_X, {"x": x, "out": np.zeros_like(x)}, float_dtype)[1]


@pytest.fixture(scope="module", autouse=True)
def built_together():
    """One module for all kernels takes less time than a module for each."""
    for dtype in SPANS:
        functions = [cython.render(map_of_x(function), OF_X, dtype) for function in FUNCTIONS]
        build.build_cython([*functions, *(cython.render(*map_of_all(*case), dtype) for case in MIXED.values())])


# -------------------------------------------------------------------------------------------------------------------------------------- exponentials
def ulps(found, exact):
    """How far numbers are from exact ones (long doubles), in units of the last place."""
    rounded = exact.astype(found.dtype)
    spacing = np.spacing(np.maximum(np.abs(rounded), np.finfo(found.dtype).tiny))
    with np.errstate(invalid="ignore"):
        return np.where((found == rounded) | (np.isnan(found) & np.isnan(exact)), 0, np.abs(found.astype(np.longdouble) - exact) / spacing)


def exprel_of(x):
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return np.where(x == 0, 1, np.expm1(x) / np.where(x == 0, 1, x))


EXPONENTIALS = {"exp": (np.exp, 1.1), "expm1": (np.expm1, 2.1), "exprel": (exprel_of, 2.7), "_inverse_exprel": (lambda x: 1 / exprel_of(x), 2.7)}
FUNCTIONS = (*EXPONENTIALS, "log", "sin", "tanh", "_erf")
SPANS = {"float64": ((-1, 1), (-745, 709.7), (-40, 40), (-745, -700), (709.4, 709.7)), "float32": ((-1, 1), (-103, 88.7), (-20, 20), (-103, -86), (88, 88.7))}


@pytest.mark.parametrize("float_dtype", SPANS)
@pytest.mark.parametrize("function", EXPONENTIALS)
def test_exponentials_are_good_to_two_or_three_units_in_the_last_place(function, float_dtype):
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(low, high, 20_000) for low, high in SPANS[float_dtype]] + [s * np.exp(rng.uniform(-80, 3, 20_000)) for s in (1, -1)])
    x = x.astype(float_dtype)
    exact, bound = EXPONENTIALS[function]
    found = of_x(function, x, float_dtype)
    assert ulps(found, exact(x.astype(np.longdouble))).max() < bound


@pytest.mark.parametrize("float_dtype", SPANS)
@pytest.mark.parametrize("function", EXPONENTIALS)
def test_exponentials_of_special_numbers(function, float_dtype):
    tiny, large = np.finfo(float_dtype).smallest_subnormal, np.finfo(float_dtype).max
    x = np.array([0, np.nan, np.inf, -np.inf, tiny, -tiny, 1000 * tiny, large, -large, 1.0], float_dtype)
    limits = {"exp": [1, np.nan, np.inf, 0, 1, 1, 1, np.inf, 0, np.e], "expm1": [0, np.nan, np.inf, -1, tiny, -tiny, 1000 * tiny, np.inf, -1, np.e - 1]}
    limits["exprel"] = [1, np.nan, np.inf, 0, 1, 1, 1, np.inf, 1 / large, np.e - 1]
    limits["_inverse_exprel"] = [1, np.nan, 0, np.inf, 1, 1, 1, 0, large, 1 / (np.e - 1)]
    np.testing.assert_allclose(of_x(function, x, float_dtype), np.array(limits[function], float_dtype), rtol=4e-7)


@pytest.mark.parametrize("float_dtype", SPANS)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_value_does_not_depend_on_its_place(function, float_dtype):
    for size in (1, 7, 8, 9, 33, 100):
        found = of_x(function, np.full(size, 0.7), float_dtype)
        assert len(np.unique(found)) == 1 and found[0] == of_x(function, [0.7], float_dtype)[0]


def test_normal_numbers_are_those_of_the_definition():
    """To a few units in the last place of the logarithm and of the cosine; where the cosine is small, too."""
    kernel = Map("k", "g", (), (Draw("r", "normal", 1),), (Store("out", SELF, "r"),))
    found = run_map(kernel, OF_X, {"out": np.zeros(200_000)})[1]
    a, b, c, d = randomness.philox((np.uint64(0), np.arange(200_000, dtype=np.uint64), np.uint64(5), np.uint64(1)), (3, 4))
    first, second = randomness._unit(a, b), randomness._unit(c, d)
    np.testing.assert_allclose(found, np.sqrt(-2 * np.log(1 - first)) * np.cos(6.283185307179586 * second), rtol=4e-15)
    np.testing.assert_allclose(found, randomness.normal(3, 4, 0, 200_000, 5, 1), rtol=0, atol=1e-14)


@pytest.mark.parametrize("flags", ["-DBL_NO_BUILTINS", "-mno-avx512f"])
def test_other_instructions_give_the_same_bits(flags, monkeypatch):
    """Compilers without gcc's builtins, and processors with narrower vectors."""
    compiler = build.find_compiler()
    if "clang" in compiler.identity or "avx512f" not in build._processor():
        pytest.skip("no gcc and AVX-512 to compare with")
    x = np.concatenate([np.linspace(-750, 720, 5001), [0, np.nan, np.inf, -np.inf, 5e-324]])
    for float_dtype in SPANS:
        usual = [of_x(function, x, float_dtype) for function in EXPONENTIALS]
        with monkeypatch.context() as patch:
            patch.setenv("CC", f"{' '.join(compiler.command)} {flags}")
            build.build_cython([cython.render(map_of_x(function), OF_X, float_dtype) for function in EXPONENTIALS])  # together
            for function, wanted in zip(EXPONENTIALS, usual):
                np.testing.assert_array_equal(of_x(function, x, float_dtype), wanted)


# ------------------------------------------------------------------------------------------------------------------------- kinds of lanes and masks
X, Y, K, L, B = Name("x"), Name("y"), Name("k"), Name("l"), Name("b")
NOT_A_NUMBER = Binary("-", Binary("/", Y, Number(0.0)), Binary("/", Y, Number(0.0)))
PLUS, LESS = Binary("+", X, Y), Compare("<", X, Y)
MIXED = {
    "comparison of integers": (Compare(">=", Binary("-", L, Number(3)), K), DType.BOOL),
    "equal booleans": (Compare("==", LESS, B), DType.BOOL),
    "different booleans": (Compare("!=", LESS, B), DType.BOOL),
    "logic": (Logical("or", Logical("and", LESS, Not(B)), Compare("==", K, Number(2))), DType.BOOL),
    "choice of booleans": (Where(LESS, B, Not(B)), DType.BOOL),
    "choice of integers": (Where(Not(B), K, Number(7)), DType.INT32),
    "choice of long integers": (Where(LESS, L, Binary("*", L, Number(2))), DType.INT64),
    "integer of a boolean": (Binary("+", Cast(DType.INT32, LESS), K), DType.INT32),
    "float of a boolean": (Binary("*", Cast(DType.FLOAT, B), X), DType.FLOAT),
    "float of integers": (Binary("/", Negate(K), Binary("+", L, Number(1))), DType.FLOAT),
    "integers of floats": (Cast(DType.INT64, Binary("*", X, Number(10.0))), DType.INT64),
    "choice of floats": (Where(Compare("<", X, Binary("/", Y, Number(0.0))), X, PLUS), DType.FLOAT),
    "boolean of a float": (Cast(DType.BOOL, Binary("-", X, X)), DType.BOOL),
    **{f"NaN {operator}": (Compare(operator, X, NOT_A_NUMBER), DType.BOOL) for operator in ("<", "<=", ">", ">=", "==", "!=")},
    "not above NaN": (Not(Compare(">", NOT_A_NUMBER, X)), DType.BOOL),
    "minus a boolean": (Binary("*", Negate(Cast(DType.INT32, B)), K), DType.INT32),
    "clip": (Call("clip", (X, Y, Number(1.0))), DType.FLOAT),
    "sign": (Call("sign", (Binary("*", X, Cast(DType.FLOAT, K)),)), DType.FLOAT),
    "finite": (Call("_finite", (Binary("/", X, Cast(DType.FLOAT, B)),)), DType.BOOL),
}


def mixed_values(out, float_dtype, size=75):
    rng, real = np.random.default_rng(2), np.dtype(float_dtype)
    values = {"x": rng.normal(size=size).astype(real), "y": rng.normal(size=size).astype(real), "b": rng.random(size) < 0.5}
    values |= {"k": rng.integers(-3, 4, size).astype(np.int32), "l": rng.integers(0, 9, size)}
    return values | {"out": np.zeros(size, real if out is DType.FLOAT else KINDS[out])}


@pytest.mark.parametrize("float_dtype", SPANS)
@pytest.mark.parametrize("case", MIXED)
def test_kinds_of_lanes_agree_with_numpy(case, float_dtype):
    expr, out = MIXED[case]
    values, size, real = mixed_values(out, float_dtype), 75, np.dtype(float_dtype)
    kernel, table = map_of_all(expr, out)
    source, found = run_map(kernel, table, values, float_dtype)
    assert "splat" in source.text or "load_" in source.text  # it was vectorised
    engine = NumpyEngine(Program(tuple(table.values()), (), (kernel,)), Inputs({k: v.copy() for k, v in values.items()}, {"g": size}, float_dtype=float_dtype))
    engine.run(1)
    np.testing.assert_allclose(found, engine.values["out"], rtol=0 if out is not DType.FLOAT else 2 * np.finfo(real).eps)


@pytest.mark.parametrize("flags", ["-DBL_NO_BUILTINS", "-mno-avx512f", "-mno-avx2"])
def test_masks_by_other_instructions(flags, monkeypatch):
    """Where processors have no registers for masks, and where vectors are narrower."""
    compiler = build.find_compiler()
    if "clang" in compiler.identity or "avx512f" not in build._processor():
        pytest.skip("no gcc and AVX-512 to compare with")
    kernels = [(*map_of_all(expr, out), out, real) for expr, out in MIXED.values() for real in SPANS]
    usual = [run_map(kernel, table, mixed_values(out, real), real)[1] for kernel, table, out, real in kernels]
    monkeypatch.setenv("CC", f"{' '.join(compiler.command)} {flags}")
    build.build_cython([cython.render(kernel, table, real) for kernel, table, _, real in kernels])  # together
    for (kernel, table, out, real), wanted in zip(kernels, usual):
        np.testing.assert_array_equal(run_map(kernel, table, mixed_values(out, real), real)[1], wanted)


@pytest.mark.parametrize("float_dtype", SPANS)
@pytest.mark.parametrize("size", [1, 16, 17, 64, 65, 200])
def test_bytes_are_those_of_each_element(size, float_dtype):
    """Bytes are written for a block of vectors at a time; neither their order nor the end of the last block may differ."""
    table = {name: Array(name, "g", Role.STATE) for name in ("x", "y")} | {"e": Array("e", "g", Role.EVENT, DType.BOOL)}
    table |= {"out": Array("out", "g", Role.STATE, DType.BOOL), "now": Array("now", None, Role.EXTERNAL, DType.INT64)}
    table |= {"last": Array("last", "g", Role.HIDDEN, DType.INT64), "own": Array("own", "g", Role.HIDDEN, DType.INT64)}
    loads = (Load("x", "x", SELF), Load("y", "y", SELF), Load("now", "now", SHARED, DType.INT64), Load("b", "out", SELF, DType.BOOL))
    loads += (Load("l", "last", SELF, DType.INT64), Load("o", "own", SELF, DType.INT64))
    body = (Fire("s", Compare(">", X, Y)), Let("c", Logical("or", B, Compare("<", X, Number(0.0))), DType.BOOL))
    body += (Select("new", Name("s"), Name("now"), L, DType.INT64), Select("older", Name("s"), Binary("+", Name("o"), L), Name("o"), DType.INT64))
    stores = (Store("last", SELF, "new", DType.INT64), Store("own", SELF, "older", DType.INT64), Store("e", SELF, "s", DType.BOOL))
    kernel = Map("k", "g", loads, body, (*stores, Store("out", SELF, "c", DType.BOOL)))
    rng = np.random.default_rng(size)
    x, y, before = rng.normal(size=size).astype(float_dtype), rng.normal(1, size=size).astype(float_dtype), rng.random(size) < 0.2
    values = {"x": x, "y": y, "out": before, "e": np.ones(size, bool), "now": np.array([99]), "last": np.arange(size), "own": np.arange(size) * 2}
    source, space = run_arrays(kernel, table, values, float_dtype)
    assert "mark(" in source.text and "if any_" in source.text
    fired = x > y
    np.testing.assert_array_equal(space["e"][:size], fired)
    np.testing.assert_array_equal(space["out"][:size], before | (x < 0))
    np.testing.assert_array_equal(space["last"][:size], np.where(fired, 99, np.arange(size)))
    np.testing.assert_array_equal(space["own"][:size], np.where(fired, 3, 2) * np.arange(size))


@pytest.mark.parametrize("fired", [(), (3,), (0, 8, 31)])
def test_what_only_events_replace_keeps_its_value_elsewhere(fired):
    event = np.isin(np.arange(40), fired)
    table = {"e": Array("e", "g", Role.EVENT, DType.BOOL), "now": Array("now", None, Role.EXTERNAL, DType.INT64)}
    table["out"] = Array("out", "g", Role.HIDDEN, DType.INT64)
    loads = (Load("e", "e", SELF, DType.BOOL), Load("now", "now", SHARED, DType.INT64), Load("last", "out", SELF, DType.INT64))
    body = (Fire("s", Name("e")), Select("new", Name("s"), Name("now"), Name("last"), DType.INT64))
    kernel = Map("k", "g", loads, body, (Store("out", SELF, "new", DType.INT64),))
    source, found = run_map(kernel, table, {"e": event, "now": np.array([99]), "out": np.arange(40)})
    assert "if any_m" in source.text
    np.testing.assert_array_equal(found, np.where(event, 99, np.arange(40)))


def test_time_stays_a_double_in_float32():
    """A kernel that adds the time to a float of each element is not for vectors of floats; the step's length is."""
    clock = {name: Array(f"clock.{name}", None, Role.CLOCK) for name in ("t", "dt")}
    table = {"x": Array("x", "g", Role.STATE), "out": Array("out", "g", Role.STATE)} | {array.name: array for array in clock.values()}
    for name, vectors in (("t", False), ("dt", True)):
        loads = (Load("x", "x", SELF), Load(name, f"clock.{name}", SHARED))
        kernel = Map("k", "g", loads, (Let("r", Binary("+", X, Name(name))),), (Store("out", SELF, "r"),))
        assert ("load_f(" in cython.render(kernel, table, "float32").text) == vectors


# ------------------------------------------------------------------------------------------------------------------------------------ draws by table
MEANS = (-1.0, 0.0, 1e-300, 1e-3, 0.7, 2.0, 9.999, 10.0, 40.0, np.nan, np.inf)
TRIALS = ((0, 0.5), (10, 0.0), (10, 1.0), (7, 0.3), (7, 0.5), (7, 0.51), (3, 1e-20), (1000, 0.002), (100, 0.0999), (100, 0.5), (10**12, 1e-12), (10, np.nan))


def drawn_by(law, parameters, float_dtype):
    """A Map that draws a number for each of 5000 elements, compiled with its table, and the same from numpy's definition."""
    names = ("a", "b")[: len(parameters)]
    arrays = {name: Array(name, None, Role.EXTERNAL) for name in names} | {"out": Array("out", "g", Role.STATE, DType.INT64)}
    kernel = Map("m", "g", tuple(Load(n, n, SHARED) for n in names), (Draw("r", law, 1, tuple(map(Name, names))),), (Store("out", SELF, "r", DType.INT64),))
    program = tabulate(Program(tuple(arrays.values()), (), (kernel,)))
    (kernel,) = program.kernels
    values = {name: np.array([value], float_dtype) for name, value in zip(names, parameters)} | {"out": np.zeros(5000, np.int64)}
    engine = NumpyEngine(program, Inputs(values, {"g": 5000}, seed=3, epoch=4, streams={"g": 5}, float_dtype=float_dtype))
    engine.set_up()
    given = {name: array.copy() for name, array in engine.values.items() if array.ndim == 1}
    source, found = run_map(kernel, {a.name: a for a in program.arrays}, given, float_dtype)
    assert f"find_{law}" in source.text
    engine.run(1)
    return found, engine.values["out"]


@pytest.mark.parametrize("float_dtype", SPANS)
@pytest.mark.parametrize(("law", "parameters"), [*(("poisson", (mean,)) for mean in MEANS), *(("binomial", pair) for pair in TRIALS)])
def test_draws_by_table_are_those_of_the_law(law, parameters, float_dtype):
    found, wanted = drawn_by(law, parameters, float_dtype)
    np.testing.assert_array_equal(found, wanted)


INVERTED = [("poisson", (2.0,)), ("poisson", (9.9,)), ("binomial", (1000, 0.002)), ("binomial", (20, 0.49)), ("binomial", (3, 0.2))]


@pytest.mark.parametrize(("law", "parameters"), INVERTED)
def test_thresholds_are_where_the_number_changes(law, parameters):
    """Just below a threshold and on it, the definition gives neighbouring numbers."""
    table = build.prelude("python")[f"{law}_thresholds"](*map(np.array, parameters))
    inside = table[table < 2**53]
    assert len(table) == THRESHOLDS and (np.diff(table) >= 0).all() and len(inside) > 2
    units = np.concatenate([inside - 1, inside]) * 2.0**-53
    if law == "poisson":
        (mean,) = parameters
        found = randomness._invert(units, np.full(units.shape, np.exp(-mean)), lambda k: mean / k, np.full(units.shape, 64.0))
    else:
        n, p = parameters
        first = np.exp(n * np.log1p(-np.full(units.shape, p)))
        found = randomness._invert(units, first, lambda k: (n + 1.0) * (p / (1.0 - p)) / k - p / (1.0 - p), np.full(units.shape, min(n, 64.0)))
    np.testing.assert_array_equal(found, (units[:, None] * 2.0**53 >= table).sum(axis=1))


def test_tables_follow_what_users_change_between_runs():
    prefs.codegen.target = "cython"
    group = NeuronGroup(2000, "x : 1\nlam : 1 (shared)")
    group.run_regularly("x = poisson(lam)")
    network = Network(group)
    group.lam = 0.5
    network.run(0.1 * ms)
    first = group.x[:].mean()
    group.lam = 5
    network.run(0.1 * ms)
    assert 0.4 < first < 0.6 and 4.8 < group.x[:].mean() < 5.2
    program = prepare([group], DEFAULT_SCHEDULE, {}).program
    assert [line.thresholds is not None for kernel in program.kernels if isinstance(kernel, Map) for line in kernel.body if isinstance(line, Draw)] == [True]


def test_draws_whose_parameters_change_have_no_table():
    group = NeuronGroup(10, "dx/dt = 1/second : 1")
    group.run_regularly("x = poisson(x + t/second)")
    program = prepare([group], DEFAULT_SCHEDULE, {}).program
    assert [line.thresholds is None for kernel in program.kernels if isinstance(kernel, Map) for line in kernel.body if isinstance(line, Draw)] == [True]
