"""Compiled kernels and their driver, against plain numpy loops."""

from __future__ import annotations

import _thread
import shutil
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from brianlike import _runtime, build, randomness
from codegen.emit.cython import canonical, render, render_module
from codegen.errors import UnsupportedError
from codegen.expr import Access, Binary, Call, Cast, Compare, DType, Expr, Index, Logical, Name, Negate, Not, Number, Truth, Where
from codegen.ir import Array, Deliver, Draw, Fire, Let, Load, Map, Propagator, Role, Select, Store

try:
    build.find_compiler()
    from brianlike._runtime import Driver
except (build.CompilerUnavailable, ImportError) as error:
    pytest.skip(f"compiled kernels need a C compiler and brianlike._runtime: {error}", allow_module_level=True)

NASTY = ("template", "register", "NULL", "errno", "y0", "gamma", "I", "M_PI", "lambda_", "x0", "a0", "p", "c", "exp", "__class__", "größe")
SELF, SHARED, PRE, POST = Index.SELF, Index.SHARED, Index.PRE, Index.POST


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("BRIANLIKE_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


def arrays(**roles: Role | DType | None) -> dict[str, Array]:
    """One Array a name; a DType means state of that type."""
    found = {}
    for name, what in roles.items():
        role = what if isinstance(what, Role) else Role.STATE
        dtype = what if isinstance(what, DType) else DType.BOOL if role is Role.EVENT else DType.FLOAT
        found[name] = Array(name, "g", role, dtype)
    return found


def compiled(*kernels: Map | Deliver, table: dict[str, Array], float_dtype: str = "float64"):
    """The kernels, built, each with the names of its arrays."""
    sources = [render(kernel, table, float_dtype) for kernel in kernels]
    natives = build.build_cython(sources)
    return [(natives[source.name], source.parameters) for source in sources]


def padded(values, dtype=np.float64) -> np.ndarray:
    values = np.asarray(values, dtype)
    out = np.zeros(-(-len(values) // 16) * 16, dtype)
    out[: len(values)] = values
    return out


def n(name: str) -> Name:
    return Name(name)


def number(value: float) -> Number:
    return Number(value)


def b(operator: str, left: Expr, right: Expr) -> Binary:
    return Binary(operator, left, right)


def call(function: str, *parts: Expr) -> Call:
    return Call(function, parts)


def single(value: Expr, dtype: DType = DType.FLOAT, inputs: dict[str, DType] | None = None) -> Map:
    """A Map that stores one expression of x, y (or the given inputs) in `out`."""
    inputs = inputs or {"x": DType.FLOAT, "y": DType.FLOAT}
    loads = tuple(Load(name, name, SELF, kind) for name, kind in inputs.items())
    return Map("f", "g", loads, (Let("r", value, dtype),), (Store("out", SELF, "r", dtype),))


def evaluate(value: Expr, given: dict[str, np.ndarray], dtype: DType = DType.FLOAT, float_dtype: str = "float64") -> np.ndarray:
    kinds = {"f": DType.FLOAT, "i4": DType.INT32, "i8": DType.INT64, "b": DType.BOOL}
    inputs = {name: kinds.get(a.dtype.kind) or kinds[f"i{a.dtype.itemsize}"] for name, a in given.items()}
    table = arrays(out=dtype, **inputs)
    (kernel, parameters), *_ = compiled(single(value, dtype, inputs), table=table, float_dtype=float_dtype)
    size = len(next(iter(given.values())))
    out = {DType.FLOAT: float_dtype, DType.INT32: "i4", DType.INT64: "i8", DType.BOOL: "?"}[dtype]
    space = {name: padded(a, a.dtype) for name, a in given.items()} | {"out": padded(np.zeros(size), out)}
    driver = Driver()
    driver.add_map(kernel, [space[name] for name in parameters], size)
    assert driver.run(1) == (1, "done")
    return space["out"][:size]


# -------------------------------------------------------------------------------------------------------------------------------------- expressions
RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=100) * 2, RNG.normal(size=100) * 2
x, y = n("x"), n("y")
FLOAT_CASES = {
    "+": (b("+", x, y), X + Y),
    "-": (b("-", x, Negate(y)), X + Y),
    "*": (b("*", x, number(-2.5)), X * -2.5),
    "/": (b("/", number(1), x), 1 / X),
    "//": (b("//", x, y), X // Y),
    "%": (b("%", x, y), X % Y),
    "**2": (b("**", x, number(2)), X * X),
    "**3": (b("**", x, number(3)), X * X * X),
    "**4": (b("**", x, number(4)), (X * X) * (X * X)),
    "**": (b("**", call("abs", x), y), np.abs(X) ** Y),
    "where": (Where(Compare("<", x, y), x, y), np.minimum(X, Y)),
    "clip": (call("clip", x, number(-1), number(1.0)), np.clip(X, -1, 1)),
    "sign": (call("sign", x), np.sign(X)),
    "floor": (call("floor", x), np.floor(X)),
    "ceil": (call("ceil", x), np.ceil(X)),
    "int": (b("+", Cast(DType.INT32, x), number(0.5)), np.trunc(X) + 0.5),
    "exprel": (call("exprel", x), np.expm1(X) / X),
    "slope": (call("_exprel_slope", x), (np.exp(X) - np.expm1(X) / X) / X),
    "curvature": (call("_exprel_curvature", x), (np.exp(X) - 2 * (np.exp(X) - np.expm1(X) / X) / X) / X),
    "difference": (call("_exp_difference", x, y), (np.exp(X) - np.exp(Y)) / (X - Y)),
    **{f: (call(f, x), getattr(np, f)(X)) for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "exp", "expm1")},
    **{f: (call(f, call("abs", x)), getattr(np, f)(np.abs(X))) for f in ("log", "log10", "log1p", "sqrt")},
    **{f: (call(f, b("*", x, number(0.125))), getattr(np, f)(X * 0.125)) for f in ("arcsin", "arccos")},
    "inverse exprel": (call("_inverse_exprel", x), X / np.expm1(X)),
}


@pytest.fixture(scope="module")
def together(_cache):
    """All cases in one module, which is faster than a module for each."""
    for float_dtype in ("float64", "float32"):
        compiled(*(single(expr) for expr, _ in FLOAT_CASES.values()), table=arrays(x=DType.FLOAT, y=DType.FLOAT, out=DType.FLOAT), float_dtype=float_dtype)


@pytest.mark.parametrize("case", FLOAT_CASES)
def test_expressions(case, together):
    expr, wanted = FLOAT_CASES[case]
    tolerance = 1e-9 if case in ("slope", "curvature", "difference") else 2e-14  # the plain formulas cancel; libmvec is good to 4 ulp
    np.testing.assert_allclose(evaluate(expr, {"x": X, "y": Y}), wanted, rtol=tolerance)


@pytest.mark.parametrize("case", FLOAT_CASES)
def test_expressions_float32(case, together):
    expr, wanted = FLOAT_CASES[case]
    out = evaluate(expr, {"x": X.astype(np.float32), "y": Y.astype(np.float32)}, float_dtype="float32")
    assert out.dtype == np.float32
    ok = np.isclose(out, wanted, rtol=2e-4, atol=2e-5)
    assert ok.mean() >= (0.97 if case in ("//", "%", "int", "floor", "ceil") else 1.0)  # these jump where an argument was rounded


def test_divided_differences_at_their_removable_singularities():
    z = np.array([0.0, 1e-300, -1e-12, 1e-5, 0.4999, -0.5001, 0.99, -1.01, 600.0, -800.0])
    import mpmath

    mpmath.mp.dps = 60
    series = [lambda v, k=k: mpmath.quad(lambda s: s**k * mpmath.exp(mpmath.mpf(v) * s), [0, 0.01, 0.5, 0.99, 1]) for k in range(3)]
    for name, exact in zip(("exprel", "_exprel_slope", "_exprel_curvature"), series):
        np.testing.assert_allclose(evaluate(call(name, x), {"x": z}), [float(exact(v)) for v in z], rtol=2e-14)
    assert evaluate(call("exprel", x), {"x": np.array([np.inf, 1e4])}).tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers(dtype):
    i, j = np.meshgrid(np.arange(-7, 8, dtype=dtype), np.arange(-3, 4, dtype=dtype))
    i, j = i.ravel(), j.ravel()
    kind = DType.INT32 if dtype == np.int32 else DType.INT64
    with np.errstate(divide="ignore"):
        for operator, wanted in {"+": i + j, "-": i - j, "*": i * j, "//": i // j, "%": i % j}.items():
            np.testing.assert_array_equal(evaluate(b(operator, x, y), {"x": i, "y": j}, kind), wanted)
    np.testing.assert_array_equal(evaluate(b("/", x, call("clip", y, number(1), number(3))), {"x": i, "y": j}), i / np.clip(j, 1, 3))
    np.testing.assert_array_equal(evaluate(call("abs", x), {"x": i}, kind), abs(i))
    np.testing.assert_array_equal(evaluate(call("sign", x), {"x": i}, kind), np.sign(i))
    np.testing.assert_array_equal(evaluate(b("**", x, number(3)), {"x": i}, kind), i**3)
    np.testing.assert_array_equal(evaluate(Where(Compare("==", x, y), x, Negate(x)), {"x": i, "y": j}, kind), np.where(i == j, i, -i))


def test_booleans():
    p, q = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    given = {"x": p, "y": q}
    np.testing.assert_array_equal(evaluate(Logical("and", x, Not(y)), given, DType.BOOL), p & ~q)
    np.testing.assert_array_equal(evaluate(Logical("or", x, Compare("!=", x, y)), given, DType.BOOL), p | (p != q))
    np.testing.assert_array_equal(evaluate(Where(x, y, Truth(True)), given, DType.BOOL), np.where(p, q, True))
    np.testing.assert_array_equal(evaluate(Cast(DType.FLOAT, x), given), p.astype(float))
    np.testing.assert_array_equal(evaluate(call("_finite", x), {"x": np.array([1.0, np.nan, np.inf])}, DType.BOOL), [True, False, False])


def test_nan_and_infinity_keep_their_meaning():
    v = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0])
    np.testing.assert_array_equal(evaluate(Where(Compare("<", x, number(1.0)), number(5.0), x), {"x": v}), np.where(v < 1, 5, v))
    np.testing.assert_array_equal(evaluate(call("clip", x, number(-1.0), number(1.0)), {"x": v}), np.clip(v, -1, 1))
    np.testing.assert_array_equal(evaluate(call("sign", x), {"x": v}), np.sign(v))
    np.testing.assert_array_equal(evaluate(b("-", x, x), {"x": v}), [np.nan, np.nan, np.nan, 0, 0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(evaluate(b("%", number(3.0), x), {"x": v}), 3.0 % v)
        np.testing.assert_array_equal(evaluate(b("//", number(3.0), x), {"x": v}), 3.0 // v)
    np.testing.assert_array_equal(evaluate(number(float("inf")), {"x": v}), np.inf)


def test_timestep():
    dt = 1e-4
    times = np.arange(2000) * dt
    steps = evaluate(call("timestep", x, number(dt)), {"x": times}, DType.INT64)
    np.testing.assert_array_equal(steps, ((times + 1e-3 * dt) / dt).astype(np.int64))
    np.testing.assert_array_equal(steps, np.arange(2000))


def test_an_access_is_refused():
    with pytest.raises(TypeError, match="cannot type Access"):
        render(single(Access("v")), arrays(x=DType.FLOAT, y=DType.FLOAT, out=DType.FLOAT))


# ------------------------------------------------------------------------------------------------------------------------------------------- names
def rename(old: dict[str, str]) -> Map:
    def m(name: str) -> str:
        return old.get(name, name)

    return Map(
        m("k"), m("g"), (Load(m("v"), m("av"), SELF), Load(m("w"), m("aw"), SELF)),
        (Let(m("z"), b("*", call("exp", n(m("v"))), n(m("w")))), Fire(m("s"), Compare(">", n(m("z")), number(1.0)))),
        (Store(m("av"), SELF, m("z")), Store(m("e"), SELF, m("s"), DType.BOOL)),
    )  # fmt: skip


def test_equal_kernels_have_equal_text_and_no_user_name_comes_through():
    table = arrays(av=DType.FLOAT, aw=DType.FLOAT, e=Role.EVENT)
    plain = render(rename({}), table)
    for start in range(len(NASTY)):
        names = [NASTY[(start + k) % len(NASTY)] for k in range(7)]
        new = dict(zip(("v", "w", "z", "s", "av", "aw", "e"), names))
        source = render(rename(new), {new.get(name, name): array for name, array in table.items()})
        assert (source.name, source.text) == (plain.name, plain.text)
        assert source.parameters == tuple(new[name] for name in plain.parameters)
    assert canonical(rename({}))[0] == canonical(canonical(rename({}))[0])[0]
    assert render(rename({}), table) == plain
    assert render(rename({}), table, "float32").name != plain.name
    assert render_module([plain, plain]).count(f"cdef int {plain.name}(") == 1


def test_refused_by_name():
    line = Propagator(((number(1.0),),), number(1.0), (("p",),), ((None,),))
    with pytest.raises(UnsupportedError, match="no Propagator inside a step"):
        render(Map("k", "g", (), (line,), ()), {})
    with pytest.raises(UnsupportedError, match="cannot reach the past of v"):
        render(Map("k", "g", (Load("v", "v", SELF, delayed=True),), (), ()), arrays(v=DType.FLOAT))


# --------------------------------------------------------------------------------------------------------------------------- same bits, random numbers
def everything() -> Map:
    names = ["exp", "log1p", "sin", "tanh", "exprel", "_exprel_slope"]
    body = [Let(f"r{k}", call(f, call("abs", n("v")))) for k, f in enumerate(names)]
    total: Expr = n("u")
    for k in range(len(names)):
        total = b("+", total, n(f"r{k}"))
    body += [Draw("u0", "normal", 0), Let("v1", b("+", total, b("**", call("abs", n("v")), n("u0")))), Fire("s", Compare(">", n("v1"), number(8.0)))]
    return Map(
        "k", "g", (Load("v", "v", SELF), Load("u", "u", SHARED)), tuple(body),
        (Store("w", SELF, "v1"), Store("s", SELF, "s", DType.BOOL), Store("m", SELF, "s", DType.INT32)),
    )  # fmt: skip


def run_everything(size: int, threads: int = 1, steps: int = 3) -> tuple[np.ndarray, np.ndarray]:
    table = arrays(v=DType.FLOAT, u=DType.FLOAT, w=DType.FLOAT, s=Role.EVENT, m=DType.INT32)
    ((kernel, parameters),) = compiled(everything(), table=table)
    v = padded(np.random.default_rng(3).normal(size=20000)[:size])
    v[size:] = np.nan  # what is in the padding must not matter
    space = {"v": v, "u": np.array([0.25]), "w": np.zeros_like(v), "s": np.zeros(len(v), bool), "m": np.zeros(len(v), np.int32)}
    driver = Driver(seed=5, epoch=2)
    event = driver.add_event(size, space["s"])
    driver.add_map(kernel, [space[name] for name in parameters], size, events=[event], stream=9)
    recorder = driver.add_record_events(event)
    assert driver.run(steps, threads=threads) == (steps, "done")
    np.testing.assert_array_equal(driver.events(recorder)[0][-int(space["s"][:size].sum()) or 10**9 :], np.flatnonzero(space["s"][:size]))
    return space["w"][:size].copy(), driver.events(recorder)[0]


def test_same_bits_for_any_number_of_elements():
    whole, _ = run_everything(67)
    assert np.isfinite(whole).all()
    for size in range(1, 67):
        assert run_everything(size)[0].tobytes() == whole[:size].tobytes()


@pytest.fixture
def threads_from_the_first_element():
    """Kernels with few elements are shared among threads, too."""
    before = _runtime.set_threads_from(1)
    yield
    _runtime.set_threads_from(before)


@pytest.mark.parametrize("size", [1, 17, 67, 4096, 10001])
def test_same_bits_for_any_number_of_threads(size, threads_from_the_first_element):
    one = run_everything(size)
    for threads in (2, 3):
        more = run_everything(size, threads)
        assert one[0].tobytes() == more[0].tobytes() and one[1].tobytes() == more[1].tobytes()


def test_philox_known_answers():
    """The vectors of Random123's kat_vectors for philox4x32 with 10 rounds."""
    vectors = (
        ((0,) * 4, (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
    )
    for counter, key, wanted in vectors:
        assert tuple(int(word) for word in randomness.philox(tuple(np.uint64(c) for c in counter), key)) == wanted
        low, element, origin, high = counter
        assert tuple(int(word[0]) for word in _runtime.philox_words(*key, low, np.array([element], np.uint64), origin, high)) == wanted


@pytest.mark.parametrize("float_dtype", ["float64", "float32"])
@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_compiled_draws_are_those_of_numpy(law, float_dtype):
    kernel = Map("k", "g", (), (Draw("a", law, 0), Draw("b", law, 3)), (Store("a", SELF, "a"), Store("b", SELF, "b")))
    ((native, parameters),) = compiled(kernel, table=arrays(a=DType.FLOAT, b=DType.FLOAT), float_dtype=float_dtype)
    space = {name: padded(np.zeros(1000), float_dtype) for name in "ab"}
    driver = Driver(seed=0xDEADBEEF, epoch=7)
    driver.add_map(native, [space[name] for name in parameters], 1000, stream=4)
    for step in (0, 1, 2**33 + 5):
        driver.step = step
        driver.run(1)
        for name, draw in (("a", 0), ("b", 3)):
            wanted = getattr(randomness, law)(0xDEADBEEF, 7, step, 1000, 4, draw, dtype=float_dtype)
            if law == "uniform":
                assert space[name][:1000].tobytes() == wanted.tobytes()
            else:
                np.testing.assert_allclose(space[name][:1000], wanted, rtol=1e-12 if float_dtype == "float64" else 1e-6)


def test_draws_are_what_they_claim():
    u = randomness.uniform(1, 0, 0, 100_000, 0, 0)
    z = randomness.normal(1, 0, 0, np.arange(100_000), 0, 0)
    assert u.min() >= 0 and u.max() < 1 and abs(u.mean() - 0.5) < 0.005 and abs(u.var() - 1 / 12) < 0.002
    assert abs(z.mean()) < 0.02 and abs(z.var() - 1) < 0.02
    assert randomness.uniform(1, 0, 0, np.array([5, 17]), 0, 0).tolist() == u[[5, 17]].tolist()
    assert len({randomness.uniform(*key, 1, 0, 0)[0] for key in [(1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 1), (1, 0, 2**32)]}) == 5


# ----------------------------------------------------------------------------------------------------------------------------------------- a network
UPDATE = Map(
    "update", "g", (Load("v", "v", SELF), Load("I", "I", SELF), Load("dt", "dt", SHARED), Load("last", "last", SELF, DType.INT64),
     Load("k", "k", SHARED, DType.INT64)),
    (
        Let("ready", Compare(">=", b("-", n("k"), n("last")), number(5)), DType.BOOL),
        Let("v1", b("+", n("v"), b("*", n("dt"), b("-", n("I"), n("v"))))),
        Select("v2", n("ready"), n("v1"), n("v")),
        Fire("s", Compare(">", n("v2"), number(1.0)), None, n("ready")),
        Select("l2", n("s"), n("k"), n("last"), DType.INT64),
    ),
    (Store("v", SELF, "v2"), Store("s", SELF, "s", DType.BOOL), Store("last", SELF, "l2", DType.INT64)),
)  # fmt: skip
RESET = Map(
    "reset", "g", (Load("v", "v", SELF), Load("s", "s", SELF, DType.BOOL)), (Select("v2", n("s"), number(0.25), n("v")),), (Store("v", SELF, "v2"),), only="s"
)
ADD = Deliver("add", "syn", PRE, "s", None, (Load("w", "w", SELF),), (), (Store("acc", POST, "w", add=True),))
ARRIVE = Map(
    "arrive", "g", (Load("v", "v", SELF), Load("a", "acc", SELF)), (Let("v1", b("+", n("v"), n("a"))), Let("z", number(0.0))),
    (Store("v", SELF, "v1"), Store("acc", SELF, "z")), after=("add",),
)  # fmt: skip
# x_post depends on the order of arrival, and w remembers it
SEQUENTIAL = Deliver(
    "seq", "syn", PRE, "s", None, (Load("w", "w", SELF), Load("x", "x", POST), Load("vp", "v", PRE), Load("h", "h", SHARED)),
    (Let("x1", b("+", b("*", n("x"), number(0.5)), b("*", n("w"), n("vp")))), Let("w1", b("+", n("w"), n("x1"))),
     Let("h1", b("-", n("w1"), b("*", n("h"), number(0.5))))),
    (Store("x", POST, "x1"), Store("w", SELF, "w1"), Store("h", SHARED, "h1")), sequential=True,
)  # fmt: skip
TABLE = arrays(v=DType.FLOAT, I=DType.FLOAT, dt=Role.CLOCK, s=Role.EVENT, last=DType.INT64, w=DType.FLOAT, acc=Role.ACCUMULATOR, x=DType.FLOAT, h=DType.FLOAT)
TABLE["k"] = Array("k", None, Role.CLOCK, DType.INT64)


def connections(size: int, delays: tuple[int, ...], seed: int = 0) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    i = rng.integers(0, size, 6 * size).astype(np.int32)
    j = rng.integers(0, size, 6 * size).astype(np.int32)
    d = rng.integers(0, len(delays), 6 * size)
    order = np.lexsort((np.arange(len(i)), d, i)).astype(np.int32)
    rows = np.searchsorted((i * len(delays) + d)[order], np.arange(size * len(delays) + 1)).astype(np.int32)
    return SimpleNamespace(i=i, j=j, d=d, order=order, rows=rows, delays=delays, w=rng.normal(size=len(i)) * 0.05)


def space_of(size: int, c: SimpleNamespace) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    space = {name: padded(np.zeros(size)) for name in ("acc", "x")}
    space |= {"v": padded(rng.uniform(size=size)), "I": padded(rng.uniform(0.9, 1.5, size)), "dt": np.array([0.1]), "h": np.zeros(1)}
    return space | {"s": np.zeros(len(space["v"]), bool), "last": np.full(len(space["v"]), -1000), "k": np.zeros(1, np.int64), "w": c.w.copy()}


def network(size: int, c: SimpleNamespace, space: dict[str, np.ndarray], deliver: Deliver = ADD, event_at: int = 0) -> tuple[Driver, int]:
    kernels = dict(zip(("update", "deliver", "arrive", "reset"), compiled(UPDATE, deliver, ARRIVE, RESET, table=TABLE)))

    def pointers(name: str) -> list[np.ndarray]:
        return [space[a] for a in kernels[name][1]]

    driver = Driver()
    driver.add_clock(0.1, None, space["k"])
    event = driver.add_event(size, space["s"])
    driver.add_map(kernels["update"][0], pointers("update"), size, events=[event])
    recorder = driver.add_record_events(event)
    ends = c.j if c.order is None else c.j[c.order]
    delivered = driver.add_deliver(kernels["deliver"][0], pointers("deliver"), event, c.rows, ends=ends, delays=c.delays, order=c.order)
    if deliver is ADD:
        driver.add_map(kernels["arrive"][0], pointers("arrive"), size, after=[delivered])
    driver.add_map(kernels["reset"][0], pointers("reset"), size, only=event)
    return driver, recorder


def reference(size: int, c: SimpleNamespace, space: dict[str, np.ndarray], steps: int, deliver: Deliver = ADD) -> list[tuple[int, int]]:
    """The network as a plain loop; changes `space`."""
    v, last, w, x, h = (space[name] for name in ("v", "last", "w", "x", "h"))
    fired: list[list[int]] = []
    for k in range(steps):
        ready = k - last[:size] >= 5
        v[:size] = np.where(ready, v[:size] + 0.1 * (space["I"][:size] - v[:size]), v[:size])
        spikes = np.flatnonzero((v[:size] > 1.0) & ready)
        last[spikes] = k
        fired.append(spikes.tolist())
        acc = np.zeros(size)
        for d in reversed(range(len(c.delays))):
            for source in fired[k - c.delays[d]] if k >= c.delays[d] else ():
                for s in np.flatnonzero((c.i == source) & (c.d == d)):
                    if deliver is ADD:
                        acc[c.j[s]] += w[s]
                        continue
                    x1 = x[c.j[s]] * 0.5 + w[s] * v[c.i[s]]
                    w1 = w[s] + x1
                    h[0] = w1 - h[0] * 0.5
                    x[c.j[s]], w[s] = x1, w1
        v[:size] += acc
        v[spikes] = 0.25
    return [(k, spike) for k, row in enumerate(fired) for spike in row]


@pytest.mark.parametrize("deliver", [ADD, SEQUENTIAL], ids=["additive", "sequential"])
@pytest.mark.parametrize("delays", [(0,), (3,), (0, 1, 4, 17)], ids=str)
def test_network(deliver, delays):
    size, steps = 41, 200
    c = connections(size, delays)
    mine, theirs = space_of(size, c), space_of(size, c)
    driver, recorder = network(size, c, mine, deliver)
    assert driver.run(120) == (120, "done") and driver.run(80) == (80, "done") and driver.step == steps
    indices, when, _ = driver.events(recorder)
    wanted = reference(size, c, theirs, steps, deliver)
    assert len(wanted) > 100
    assert list(zip(when.tolist(), indices.tolist())) == wanted
    for name in ("v", "last", "w", "x", "h"):
        np.testing.assert_array_equal(mine[name][:size], theirs[name][:size])  # no function of libmvec in here: not one bit differs


def test_identity_order_and_part_of_the_sources():
    size = 20
    c = connections(size, (1,))
    c.i, c.j, c.w, c.d = c.i[c.order], c.j[c.order], c.w[c.order], c.d[c.order]  # created in order of the sources
    whole, part = space_of(size, c), space_of(size, c)
    c.order = None
    driver, recorder = network(size, c, whole)
    driver.run(100)
    kernels = compiled(UPDATE, ADD, RESET, table=TABLE)
    driver = Driver()
    driver.add_clock(0.1, timestep=part["k"])
    event = driver.add_event(size, part["s"])
    driver.add_map(kernels[0][0], [part[a] for a in kernels[0][1]], size, events=[event])
    driver.add_deliver(kernels[1][0], [part[a] for a in kernels[1][1]], event, c.rows[7:16].copy(), ends=c.j, sources=(7, 15), delays=(1,))
    rate = driver.add_record_rate(event, sources=(7, 15))
    counts = np.zeros(8, np.int64)
    driver.add_record_events(event, sources=(7, 15), counts=counts, store=False)
    driver.add_map(kernels[2][0], [part[a] for a in kernels[2][1]], size, only=event)
    driver.run(100)
    wanted = np.zeros(size)
    spikes = driver.rows(rate)[1]
    assert spikes.sum() == counts.sum() > 0
    sent = counts - np.isin(np.arange(7, 15), driver.spikes(event))  # those of the last step are under way
    for neuron, times in zip(range(7, 15), sent):
        for s in np.flatnonzero(c.i == neuron):
            wanted[c.j[s]] += times * c.w[s]
    np.testing.assert_allclose(part["acc"][:size], wanted, rtol=1e-12, atol=1e-14)


def test_spikes_under_way_survive_in_another_driver():
    size = 30
    c = connections(size, (2, 9))
    one, two = space_of(size, c), space_of(size, c)
    driver, recorder = network(size, c, one)
    driver.run(100)
    first, _ = network(size, c, two)
    first.run(57)
    second, rest = network(size, c, two)
    second.set_state(first.state())
    assert second.step == 57
    second.run(43)
    assert second.events(rest)[0].tolist() == driver.events(recorder)[0][driver.events(recorder)[1] >= 57].tolist()
    assert one["v"].tobytes() == two["v"].tobytes()
    assert [len(h) for h in second.state()["events"]] == [10]


# ---------------------------------------------------------------------------------------------------------------------------- maps that share targets
def test_sums_and_neighbours():
    """A Map over synapses that reads pre and post, adds into post and into a shared value, in synapse order."""
    m, size = 45, 7
    rng = np.random.default_rng(0)
    i, j = rng.integers(0, size, m).astype(np.int32), rng.integers(0, size, m).astype(np.int32)
    kernel = Map(
        "sum", "syn", (Load("w", "w", SELF), Load("a", "v", PRE), Load("b", "v", POST)), (Let("r", b("*", n("w"), b("-", n("a"), n("b")))),),
        (Store("acc", POST, "r", add=True), Store("h", SHARED, "r", add=True)),
    )  # fmt: skip
    ((native, parameters),) = compiled(kernel, table=TABLE)
    assert native.signature.split()[0] == "m"
    space = {"w": padded(rng.normal(size=m)), "v": rng.normal(size=size), "acc": np.zeros(size), "h": np.zeros(1)}
    driver = Driver()
    driver.add_map(native, [space[a] for a in parameters], m, i=i, j=j)
    driver.run(2, threads=2)
    r = space["w"][:m] * (space["v"][i] - space["v"][j])
    acc, h = np.zeros(size), 0.0
    for k in [*range(m)] * 2:
        acc[j[k]] += r[k]
        h += r[k]
    np.testing.assert_array_equal(space["acc"], acc)
    assert space["h"][0] == h


# ------------------------------------------------------------------------------------------------------------------------------------------ the driver
COUNT = Map("count", "g", (Load("v", "v", SELF),), (Let("r", b("+", n("v"), number(1.0))),), (Store("v", SELF, "r"),))


def counter(size: int = 3, **options):
    ((kernel, _),) = compiled(COUNT, table=TABLE)
    v, driver = padded(np.zeros(size)), Driver()
    driver.add_map(kernel, [v], size, **options)
    return driver, v, kernel


def test_record_values_of_every_type():
    driver, v, _ = counter()
    t, k = np.zeros(1), np.zeros(1, np.int64)
    driver.add_clock(0.5, t, k)
    others = [np.arange(4).astype(d) for d in (np.float32, np.int32, np.int64, bool)]
    numbers = [driver.add_record_values(a, [3, 1]) for a in others]
    every, some, time_of = driver.add_record_values(v), driver.add_record_values(v, np.array([2]), every=3), driver.add_record_values(t)
    for steps in (1, 1, 5):
        driver.run(steps)
    for a, m in zip(others, numbers):
        steps, rows = driver.rows(m)
        assert rows.dtype == a.dtype and rows.shape == (7, 2) and rows.tolist() == [a[[3, 1]].tolist()] * 7
    assert driver.rows(every)[1][:, :3].tolist() == [[k + 1.0] * 3 for k in range(7)]
    assert driver.rows(some)[0].tolist() == [0, 1, 2] and driver.rows(some)[1].ravel().tolist() == [1, 4, 7]
    assert driver.rows(time_of)[1].ravel().tolist() == [0.5 * k for k in range(7)]
    assert t[0] == 3.5 and k[0] == 7
    driver.clear(every)
    driver.run(1)
    assert driver.rows(every)[0].tolist() == [7]


def test_record_longer_than_was_reserved():
    driver, v, _ = counter(16)
    wide = np.zeros(1 << 20)
    recorder = driver.add_record_values(wide)
    driver.run(100)
    assert len(driver.rows(recorder)[0]) == 100


def test_tables():
    driver = Driver()
    mask = np.zeros(16, bool)
    event = driver.add_event(10, mask)
    held = padded(np.zeros(2))
    driver.add_table_values(held, np.array([[1.0, 2.0], [3.0, 4.0]]), steps_per_row=2)
    driver.add_table_events(event, np.array([0, 2, 2, 3]), np.array([3, 7, 9], np.int32), first_step=1)
    w = np.arange(10.0)
    recorder = driver.add_record_events(event, selected=np.arange(10) != 7, gather=[w, mask])
    values, masks = driver.add_record_values(held, [0, 1]), driver.add_record_values(mask)
    driver.run(6)
    indices, steps, (gathered, seen) = driver.events(recorder)
    assert indices.tolist() == [3, 9] and steps.tolist() == [1, 3] and gathered.tolist() == [3.0, 9.0] and seen.tolist() == [True, True]
    assert driver.rows(values)[1].tolist() == [[1, 2]] * 2 + [[3, 4]] * 4
    assert [np.flatnonzero(row).tolist() for row in driver.rows(masks)[1]] == [[], [3, 7], [], [9], [], []]


def test_call_returns_and_resumes_exactly_there():
    driver, v, kernel = counter()
    call_number = driver.add_call(every=2)
    driver.add_map(kernel, [v], 3)
    assert driver.run(3) == (0, "call") and driver.called == call_number and v[0] == 1
    with pytest.raises(RuntimeError, match="a step is under way"):
        driver.state()
    assert driver.run(3) == (2, "call") and v[0] == 5
    assert driver.run(1) == (1, "done") and v[0] == 6 and driver.called is None


def test_several_clocks():
    driver = Driver()
    t, slow = np.zeros(1), np.zeros(1)
    driver.add_clock(0.1, t)
    driver.add_clock(0.3, slow, every=3)
    a, s = driver.add_record_values(t), driver.add_record_values(slow, every=3)
    driver.run(7)
    assert driver.rows(a)[1].ravel().tolist() == [k * 0.1 for k in range(7)]
    assert driver.rows(s)[1].ravel().tolist() == [k * 0.3 for k in range(3)]
    assert t[0] == 7 * 0.1 and slow[0] == 3 * 0.3


def test_interrupt_and_time_limit():
    driver, v, _ = counter(16)
    done, reason = driver.run(10**12, seconds=0.1)
    assert reason == "time" and done == driver.step == v[0] > 0
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        driver.run(10**12, threads=2)
    assert time.monotonic() - began < 5 and driver.step == v[0]
    assert driver.run(5) == (5, "done") and driver.step == v[0]


def test_wrong_arrays_are_refused():
    _, _, kernel = counter()
    driver = Driver()
    with pytest.raises(ValueError, match="array 0 of a kernel: it has 3 values, 16 are needed"):
        driver.add_map(kernel, [np.zeros(3)], 3)
    with pytest.raises(TypeError, match="array 0 of a kernel: an array of type f8 is needed, not float32"):
        driver.add_map(kernel, [np.zeros(16, np.float32)], 3)
    with pytest.raises(ValueError, match="C-contiguous"):
        driver.add_map(kernel, [np.zeros(32)[::2]], 3)
    frozen = np.zeros(16)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        driver.add_map(kernel, [frozen], 3)
    with pytest.raises(ValueError, match="a kernel of 1 arrays was given 2"):
        driver.add_map(kernel, [np.zeros(16)] * 2, 3)
    with pytest.raises(ValueError, match="there is no event 4"):
        driver.add_map(kernel, [np.zeros(16)], 3, events=[4])
    ((two, parameters),) = compiled(single(b("+", x, y)), table=arrays(x=DType.FLOAT, y=DType.FLOAT, out=DType.FLOAT))
    whole = np.zeros(32)
    with pytest.raises(ValueError, match="overlap in memory"):
        driver.add_map(two, [whole[:16], np.zeros(16), whole[8:24]], 16)
    driver.add_map(two, [whole[:16], whole[:16], np.zeros(16)], 16)  # two that are only read may
    assert driver.run(1) == (1, "done")


def test_wrong_events_are_refused():
    _, _, kernel = counter()
    driver = Driver()
    mask = np.zeros(16, bool)
    bare, event = driver.add_event(3), driver.add_event(3, mask)
    with pytest.raises(ValueError, match="event 0 has no mask"):
        driver.add_map(kernel, [np.zeros(16)], 3, events=[bare])
    with pytest.raises(ValueError, match="the mask of event 1 is not among the arrays"):
        driver.add_map(kernel, [np.zeros(16)], 3, events=[event])
    for offsets, indices, message in (
        ([0, 2], [1, 0], "must ascend"),
        ([0, 2], [1, 1], "must ascend"),
        ([0, 1], [3], "does not exist"),
        ([0, 1], [-1], "does not exist"),
        ([0, 3], [0, 1], "end within"),
        ([1, 0], [0, 1], "end within"),
    ):
        with pytest.raises(ValueError, match=message):
            driver.add_table_events(event, np.array(offsets), np.array(indices, np.int32))
    driver.add_table_events(event, np.array([0, 2, 2, 3, 5]), np.array([1, 2, 0, 0, 2], np.int32))
    for sources in ((2, 1), (-1, 2), (0, 4)):
        with pytest.raises(ValueError, match="are not among the 3 elements"):
            driver.add_record_events(event, sources=sources)
        with pytest.raises(ValueError, match="are not among the 3 elements"):
            driver.add_record_rate(event, sources=sources)
    with pytest.raises(ValueError, match="cannot be negative"):
        driver.step = -1
    with pytest.raises(ValueError, match="a spike of an element that does not exist"):
        driver.set_state({"step": 3, "events": [[], [np.array([7])]]})
    with pytest.raises(TypeError, match="complex128 is not one that the driver knows"):
        driver.add_record_values(np.zeros(3, complex))
    with pytest.raises(ValueError, match="every must be 1 or more"):
        driver.add_call(every=0)
    driver.step = 7
    with pytest.raises(OverflowError):
        driver.run(2**63 - 1)
    assert driver.run(2) == (2, "done") and driver.step == 9


def test_a_running_driver_is_left_alone():
    driver, _, _ = counter(16)
    seen: list[str] = []

    def meddle() -> None:
        time.sleep(0.1)
        for action in (lambda: driver.run(1), lambda: driver.add_call(), lambda: driver.state()):
            try:
                action()
            except RuntimeError as error:
                seen.append(str(error))

    thread = threading.Thread(target=meddle)
    thread.start()
    driver.run(10**12, seconds=0.5)
    thread.join()
    assert seen == ["the driver is running"] * 3


def test_wrong_connections_are_refused():
    ((add, parameters),) = compiled(ADD, table=TABLE)
    driver = Driver()
    event = driver.add_event(2)
    w, acc, j = np.ones(3), np.zeros(4), np.array([0, 3, 2], np.int32)
    rows = np.array([0, 1, 3], np.int32)
    good = {"ends": j, "order": np.array([2, 0, 1], np.int32)}
    for arrays_, rows_, options, message in (
        ([w, acc], rows[:-1], good, "rows must ascend"),
        ([w, acc], rows[::-1].copy(), good, "rows must ascend"),
        ([w, acc], rows, {"ends": j[:2]}, "needs ends, one for each synapse"),
        ([w, acc], rows, {}, "needs ends"),
        ([w, acc], rows, {**good, "bases": (1, 0)}, "bases must ascend"),
        ([w, acc], rows, {**good, "bases": (0, 2)}, "rows must ascend"),
        ([w, acc], rows, {"ends": j, "bases": (2,)}, "array 1 of a kernel: it has 4 values, 6 are needed"),
        ([w, acc[:3]], rows, good, "array 1 of a kernel: it has 3 values, 4 are needed"),
        ([w[:2], acc], rows, good, "array 0 of a kernel: it has 2 values, 3 are needed"),
        ([w, acc], rows, {"ends": np.array([0, -1, 2], np.int32)}, "negative"),
        ([w, acc], rows, {**good, "delays": (3, 3)}, "delays must be distinct"),
        ([w, acc], rows, {**good, "sources": (1, 3)}, "are not among the 2 elements"),
        ([w, acc], rows, {**good, "order": np.array([0, 1], np.int32)}, "order is shorter"),
    ):
        with pytest.raises(ValueError, match=message):
            driver.add_deliver(add, arrays_, event, rows_, **options)
    driver.add_deliver(add, [w, acc], event, rows, **good)
    assert driver.run(3) == (3, "done")


def test_empty_things():
    driver = Driver()
    assert driver.run(5) == (5, "done") and driver.run(0) == (0, "done") and driver.run(-1) == (0, "done")
    ((add, _),) = compiled(ADD, table=TABLE)
    ((count, _),) = compiled(COUNT, table=TABLE)
    event = driver.add_event(0)
    nothing = np.zeros(0)
    driver.add_map(count, [nothing], 0)
    driver.add_deliver(add, [nothing, nothing], event, np.zeros(1, np.int32), ends=np.zeros(0, np.int32))
    recorder, values = driver.add_record_events(event), driver.add_record_values(nothing)
    assert driver.run(5) == (5, "done")
    assert driver.events(recorder)[0].size == 0 and driver.rows(values)[1].shape == (5, 0)


def test_the_driver_keeps_its_arrays_alive():
    import gc
    import weakref

    driver, v, _ = counter()
    alive = weakref.ref(v)
    del v
    gc.collect()
    assert alive() is not None
    driver.run(10)
    del driver
    gc.collect()
    assert alive() is None


def test_float32_reads_the_clock_in_double():
    kernel = Map("k", "g", (Load("t", "t", SHARED), Load("v", "v", SELF)), (Let("r", b("-", n("t"), number(1000.0))),), (Store("v", SELF, "r"),))
    ((native, parameters),) = compiled(kernel, table=arrays(t=Role.CLOCK, v=DType.FLOAT), float_dtype="float32")
    space = {"t": np.array([1000.0001]), "v": np.zeros(16, np.float32)}
    driver = Driver()
    driver.add_map(native, [space[a] for a in parameters], 3)
    driver.run(1)
    np.testing.assert_allclose(space["v"][:3], 1e-4, rtol=1e-6)


def test_generated_code_vectorises():
    """One call of libmvec for eight logarithms is what the speed rests on; only where there is a libmvec of that kind."""
    compiler = build.find_compiler()
    if "-lmvec" not in compiler.libraries or "-mprefer-vector-width=512" not in compiler.flags or shutil.which("nm") is None:
        pytest.skip("no gcc with glibc's libmvec and AVX-512 here")
    import subprocess

    source = render(everything(), arrays(v=DType.FLOAT, u=DType.FLOAT, w=DType.FLOAT, s=Role.EVENT, m=DType.INT32))
    path = build.cache_folder() / "probe.so"
    path.write_bytes(build._compile(compiler, "probe", render_module([source]), build.cache_folder()))
    symbols = subprocess.run(["nm", "-D", str(path)], capture_output=True, text=True, check=True).stdout
    assert "_ZGVeN8v_log" in symbols and "_ZGVeN8vv_pow" in symbols


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
@pytest.mark.parametrize("size", [0, 1, 17, 4096, 10_000])
def test_values_within_a_limit(dtype, size):
    values = np.linspace(-9, 9, size).astype(dtype)
    assert _runtime.within(values, 10.0)
    for place in {0, size // 2, size - 1} if size else ():
        for bad in (11, -10) if dtype is np.int32 else (10.0, -11.0, np.nan, np.inf, -np.inf):
            wrong = values.copy()
            wrong[place] = bad
            assert not _runtime.within(wrong, 10.0)
    assert _runtime.within(np.zeros(10)[::2], 1.0)
