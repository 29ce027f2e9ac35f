"""Functions of the user's in equations and code, on both engines: Brian's numpy target is the model, text in C++ or Cython is left alone."""

# ruff: noqa: F841  (the texts of models use the names)
from __future__ import annotations

import logging

import numpy as np
import pytest

from brianlike import *
from brianlike import only
from brianlike.only import DEFAULT_FUNCTIONS, BinomialFunction, Function, declare_types, implementation
from codegen.errors import DataTypeError, EquationError, UnitError, UnknownNameError

ENGINES = pytest.mark.parametrize("target", ["numpy", "cython"])


@pytest.fixture(autouse=True)
def _target(request):
    if "target" in request.fixturenames:
        prefs.codegen.target = request.getfixturevalue("target")


def written(f: object, code: str = "y = f(x)", y: str = "volt", x: str = "volt") -> np.ndarray:
    """What one step of the code leaves in y (SI units), for x of 0, 1, 2 and 3 mV."""
    G = NeuronGroup(4, f"x : {x}\ny : {y}", namespace={"f": f})
    G.x_ = np.arange(4) * 1e-3
    G.run_regularly(code)
    Network(G).run(defaultclock.dt)
    return G.y_[:]


SEEN: list[object] = []


@check_units(x=volt, result=volt)
def doubled(x):
    SEEN.append(x)
    return 2 * x


@ENGINES
def test_a_function_with_units_is_called_once_with_all_values(target):
    SEEN.clear()
    np.testing.assert_allclose(written(doubled), [0, 2e-3, 4e-3, 6e-3])
    assert len(SEEN) == 1 and isinstance(SEEN[0], Quantity) and SEEN[0].shape == (4,)


@check_units(x=volt, result=volt)
def step_function(x):
    if x > 1 * mV:
        return x
    return 0 * mV


@declare_types(n="integer", result="integer")
@check_units(n=1, result=1)
def cut(n):
    return np.asarray(n) * 2.7


class Gain:
    def __init__(self, factor):
        self.factor = factor

    @check_units(x=volt, result=volt)
    def amplified(self, x):
        return self.factor * x


class Caller:
    _arg_units = [volt]
    _return_unit = volt

    def __call__(self, x):
        return x / 2


numpy_function = Function(lambda x: 0 * x, arg_units=[1], return_unit=1)
numpy_function.implementations.add_numpy_implementation(lambda x: x * 7, discard_units=True)
plain_function = Function(None, arg_units=[1], return_unit=1)
plain_function.implementations.add_implementation("numpy", lambda x: x * 8)
of_the_group = Function(None, arg_units=[1], return_unit=1)
of_the_group.implementations.add_dynamic_implementation("numpy", lambda owner: lambda x: x + len(owner))
MV = np.arange(4) * 1e-3
CASES = {
    "element by element": (step_function, "y = f(x)", {}, [0, 0, 2e-3, 3e-3]),
    "constant result": (check_units(x=volt, result=volt)(lambda x: 3 * mV), "y = f(x)", {}, np.full(4, 3e-3)),
    "discard units": (implementation("numpy", discard_units=True)(check_units(x=volt, result=volt)(lambda x: np.asarray(x) * 2)), "y = f(x)", {}, 2 * MV),
    "Function": (Function(lambda x: 2 * x, arg_units=[volt], return_unit=volt), "y = f(x)", {}, 2 * MV),
    "result of the arguments": (check_units(x=None, result=lambda d: d)(lambda x: 2 * x), "y = f(x)", {}, 2 * MV),
    "squared units": (check_units(x=volt, result=lambda d: d**2)(lambda x: x * x), "y = f(x)", {"y": "volt**2"}, MV * MV),
    "same unit": (check_units(a=volt, b="a", result=volt)(lambda a, b: a + b), "y = f(x, 1*mV)", {}, MV + 1e-3),
    "integers": (cut, "y = f(i)", {"y": "integer"}, [0, 2, 5, 8]),
    "condition": (check_units(x=volt, result=bool)(lambda x: x > 1.5 * mV), "y = f(x)", {"y": "boolean"}, [False, False, True, True]),
    "of a condition": (check_units(a=bool, result=1)(lambda a: np.where(a, 1.0, 5.0)), "y = f(x > 1.5*mV)", {"y": "1"}, [5, 5, 1, 1]),
    "no arguments": (check_units(result=1)(lambda: 4.5), "y = f()", {"y": "1"}, np.full(4, 4.5)),
    "method": (Gain(3).amplified, "y = f(x)", {}, 3 * MV),
    "object": (Caller(), "y = f(x)", {}, MV / 2),
    "numpy implementation": (numpy_function, "y = f(x/volt)", {"y": "1"}, 7 * MV),
    "plain implementation": (plain_function, "y = f(x/volt)", {"y": "1"}, 8 * MV),
    "dynamic implementation": (of_the_group, "y = f(x/volt)", {"y": "1"}, MV + 4),
    "unit of time": (check_units(t=second, result=1)(lambda t: float(t / ms) if t < 1 * ms else 9.0), "y = f(t + 0.5*ms)", {"y": "1"}, np.full(4, 0.5)),
    "one more argument": (
        Function(lambda x, _vectorisation_idx: x + np.arange(np.size(_vectorisation_idx)), arg_units=[1], return_unit=1, auto_vectorise=True),
        "y = f(1.0)",
        {"y": "1"},
        [1, 2, 3, 4],
    ),
    "passed through": (check_units(x=volt, result=volt)(lambda x: x), "tmp = f(x); x = 0*mV; y = tmp", {}, MV),
}


@ENGINES
@pytest.mark.parametrize("case", CASES)
def test_kinds_of_functions(case, target):
    function, code, units, wanted = CASES[case]
    np.testing.assert_allclose(written(function, code, **units), wanted, rtol=1e-15)


def test_text_for_other_languages_is_accepted_and_said_to_be_unused(caplog):
    with caplog.at_level(logging.INFO, logger="brianlike"):

        @implementation("cython", "cdef double other(double x):\n    return 3*x")
        @implementation("cpp", "inline double other(double x) { return 3*x; }")
        @check_units(x=volt, result=volt)
        def other(x):
            return 2 * x

    assert isinstance(other, Function) and other(1 * mV) == 2 * mV
    said = [record.getMessage() for record in caplog.records if "is not used" in record.getMessage()]
    assert said == ["The cpp code of other is not used: its Python code runs instead.", "The cython code of other is not used: its Python code runs instead."]
    np.testing.assert_allclose(written(other), 2 * MV)


# ----------------------------------------------------------------------------------------------------------------------------- in a whole network
@check_units(v=volt, result=amp)
def current(v):
    return 1 * nA * np.tanh(v / (10 * mV))


EQUATIONS = "dv/dt = (I - v/(100*Mohm))/(100*pF) : volt\nI = current(v) + 0.1*nA*(1 + i) : amp"
WRITTEN_OUT = EQUATIONS.replace("current(v)", "1*nA*tanh(v/(10*mV))")


@ENGINES
@pytest.mark.parametrize("method", ["euler", "rk4", "exponential_euler"])
def test_a_function_means_what_it_computes(method, target):
    """Equations with a function of the user's, and the same written out, in states and spikes."""
    if method == "exponential_euler":
        text, plain = (t.replace("current(v)", "current(u)") + "\nu : volt" for t in (EQUATIONS, EQUATIONS))
        plain = plain.replace("current(u)", "1*nA*tanh(u/(10*mV))")
    else:
        text, plain = EQUATIONS, WRITTEN_OUT
    results = []
    for equations in (text, plain):
        G = NeuronGroup(5, equations, threshold="v > 8*mV", reset="v = 0*mV", refractory=1 * ms, method=method)
        H = NeuronGroup(5, "w : 1")
        S = Synapses(G, H, on_pre="w_post += 1", delay=0.3 * ms)
        S.connect("i == j")
        M, spikes = StateMonitor(G, "v", record=True), SpikeMonitor(G)
        Network(G, H, S, M, spikes).run(20 * ms)
        results.append((M.v_, spikes.i[:], spikes.t_, H.w_[:]))
    assert len(results[0][1]) > 5
    for one, other in zip(*results):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-15)


@ENGINES
def test_in_threshold_reset_refractoriness_and_synapses(target):
    """The spikes that a Python function finds are delivered, recorded and reset as any others."""
    above = check_units(v=1, limit=1, result=bool)(lambda v, limit: v > limit)
    lower = check_units(v=1, result=1)(lambda v: 0 * v + 0.25)
    weight = check_units(w=1, result=1)(lambda w: w / 2)
    results = []
    for threshold, reset, code in (("above(v, 1)", "v = lower(v)", "u_post += weight(w)"), ("v > 1", "v = 0.25", "u_post += w/2")):
        names = {"above": above, "lower": lower, "weight": weight}
        drift = "dv/dt = (1 + 0.1*i)/(2*ms) : 1 (unless refractory)"
        G = NeuronGroup(6, drift, threshold=threshold, reset=reset, refractory=0.5 * ms, method="euler", namespace=names)
        H = NeuronGroup(3, "u : 1")
        S = Synapses(G, H, "w : 1", on_pre=code, namespace=names)
        S.connect(i=[0, 1, 2, 3, 4, 5, 0], j=[0, 0, 1, 1, 2, 2, 2])
        S.w = "1 + i"
        S.pre.delay = "0.2*ms*j"
        M, spikes = StateMonitor(H, "u", record=True), SpikeMonitor(G)
        net = Network(G, H, S, M, spikes)
        net.run(5 * ms)
        net.run(5 * ms)
        results.append((M.u_, spikes.i[:], spikes.t_))
    for one, other in zip(*results):
        np.testing.assert_array_equal(one, other)


def test_only_the_calling_kernel_runs_on_numpy():
    """The rest of the network stays compiled."""
    pytest.importorskip("brianlike._runtime")
    from brianlike.drive import CythonSimulation

    prefs.codegen.target = "cython"
    G = NeuronGroup(3, "dv/dt = (doubled(v) - v)/ms : volt", method="euler")
    H = NeuronGroup(3, "dv/dt = -v/ms : volt", method="exact")
    net = Network(G, H)
    net.run(defaultclock.dt)
    assert isinstance(net._engine, CythonSimulation)
    assert [name.partition(".")[0] for name in net._engine._interpreted] == [G.name]


def test_coefficients_that_change_every_step_are_solved_under_the_driver():
    """`exact` with a matrix exponential in every step: its kernel runs on numpy, with the results of the numpy engine."""
    results = []
    for target in ("numpy", "cython"):
        prefs.codegen.target = target
        G = NeuronGroup(3, "da/dt = -k*(a - 2*b)/(10*ms) : 1\ndb/dt = (0.1*a - b)/(7*ms) : 1\nk : 1", method="exact")
        G.a, G.k = 1, "1 + i"
        G.run_regularly("k *= 1.01")
        M = StateMonitor(G, ["a", "b"], record=True)
        net = Network(G, M)
        net.run(5 * ms)
        results.append((M.a, M.b))
        if target == "cython":
            assert net._engine._interpreted
    np.testing.assert_array_equal(results[0], results[1])


@ENGINES
def test_an_exception_of_a_function_ends_the_run(target):
    @check_units(t=second, result=1)
    def fails(t):
        if t > 0.25 * ms:
            raise RuntimeError("enough")
        return 1.0

    G = NeuronGroup(2, "x : 1")
    G.run_regularly("x += fails(t)")
    with pytest.raises(Exception) as caught:
        Network(G).run(1 * ms)
    error: BaseException | None = caught.value
    while error is not None and "enough" not in str(error):
        error = error.__cause__
    assert error is not None
    np.testing.assert_array_equal(G.x, [3, 3])


@ENGINES
def test_a_function_with_state_is_called_as_often_as_it_is_written(target):
    calls: list[int] = []

    def counter():
        calls.append(1)
        return float(len(calls))

    once = Function(counter, arg_units=[], return_unit=1, stateless=False)
    assert written(once, "y = f() + f()", y="1").tolist() == [3.0] * 4
    assert len(calls) == 2
    calls.clear()
    G = NeuronGroup(1, "dx/dt = once()/dt - 0*x/ms : 1", namespace={"once": once}, method="rk4")
    Network(G).run(2 * defaultclock.dt)
    assert len(calls) == 8 and G.x[0] == pytest.approx((1 + 2 * 2 + 2 * 3 + 4 + 5 + 2 * 6 + 2 * 7 + 8) / 6)
    exact = NeuronGroup(1, "dx/dt = (once() - x)/ms : 1", namespace={"once": once}, method="exact")
    with pytest.raises(ModelError, match=r"reads `once\(\)`, which changes during a step"):
        Network(exact).run(1 * ms)


@ENGINES
def test_a_function_is_called_in_every_step(target):
    """Also where its arguments never change: it may look at the world."""
    outside = {"value": 0.0}

    @check_units(x=1, result=1)
    def look(x):
        outside["value"] += 1
        return outside["value"]

    G = NeuronGroup(1, "x : 1")
    G.run_regularly("x = look(3)")
    Network(G).run(5 * defaultclock.dt)
    assert G.x[0] == 5


def test_the_namespace_of_each_run_gives_the_function():
    G = NeuronGroup(1, "x : 1")
    G.run_regularly("x = f(2)")
    net = Network(G)
    net.run(defaultclock.dt, namespace={"f": check_units(x=1, result=1)(lambda x: x + 1)})
    assert G.x[0] == 3
    net.run(defaultclock.dt, namespace={"f": check_units(x=1, result=1)(lambda x: x * 10)})
    assert G.x[0] == 20


def test_in_texts_outside_a_run():
    shift = check_units(x=1, result=volt)(lambda x: (x + 1) * mV)
    G = NeuronGroup(3, "v : volt\nw = shift(v/mV) : volt")
    G.v = "shift(i)"
    np.testing.assert_allclose(G.v / mV, [1, 2, 3])
    np.testing.assert_allclose(G.w[:] / mV, [2, 3, 4])
    np.testing.assert_allclose(G.v["shift(i) > 1.5*mV"] / mV, [2, 3])
    S = Synapses(G, G)
    S.connect("shift(i) > shift(j)")
    assert len(S) == 3


# ------------------------------------------------------------------------------------------------------------------------------------------- errors
def strange(x):
    return x


@pytest.mark.parametrize(
    ("function", "code", "error", "text"),
    [
        (strange, "y = f(x)", UnknownNameError, "`f` is a function whose units are not known\n  y = f(x)\n      ^^^^\nSay what it takes and gives"),
        (3.0, "y = f(x)", UnknownNameError, "`f` is not a function, but 3.0"),
        (doubled, "y = g(x)", UnknownNameError, "`g` is not a function\n  y = g(x)\n      ^\nTo multiply, write `g*(...)`."),
        (doubled, "y = exo(x)", UnknownNameError, "Did you mean `exp`?"),
        (doubled, "y = f(x, x)", EquationError, "`f` takes 1 argument, not 2"),
        (doubled, "y = f(x/volt)", UnitError, "`f` takes volt, but `x/volt` is a plain number"),
        (doubled, "y = f(3)", UnitError, "Give the number a unit: `3*volt`."),
        (doubled, "y = f(x)*volt", UnitError, "`y` is volt, but gets volt**2"),
        (check_units(x=bool, result=volt)(lambda x: 0), "y = f(x)", DataTypeError, "`f` takes a condition, but `x` is a number"),
        (check_units(x=volt, result=volt)(lambda x: np.ones(4)), "y = f(x)", DimensionMismatchError, "volt"),
        (Function(lambda x: [1, 2] * mV, arg_units=[volt], return_unit=volt), "y = f(x)", ValueError, r"values of shape \(2,\) for arguments of shape \(4,\)"),
    ],
)
def test_errors(function, code, error, text):
    with pytest.raises(Exception) as caught:
        written(function, code)
    found: BaseException | None = caught.value
    while found is not None and not isinstance(found, error):
        found = found.__cause__
    assert found is not None, repr(caught.value)
    assert text.replace("\\", "") in str(found)


def test_what_cannot_be_a_function():
    with pytest.raises(ValueError, match="units of the Python function 'strange' are not known: give arg_units="):
        Function(strange)
    with pytest.raises(ValueError, match="give return_unit="):
        Function(strange, arg_units=[1])
    with pytest.raises(ValueError, match="cannot have the type 'strange'"):
        Function(strange, arg_units=[1], return_unit=1, arg_types=["strange"])
    with pytest.raises(ValueError, match="has no argument 'z' whose type could be declared"):
        declare_types(z="float")(strange)


# ------------------------------------------------------------------------------------------------------------------------- the functions that there are
def test_default_functions_are_those_of_brian():
    wanted = """abs arccos arcsin arctan ceil clip cos cosh exp expm1 exprel floor int log log10 log1p poisson rand randn sign sin sinh sqrt tan tanh
                timestep"""
    assert set(wanted.split()) == set(DEFAULT_FUNCTIONS)
    for name in ("Function", "implementation", "declare_types", "BinomialFunction", "TimedArray", "DEFAULT_FUNCTIONS", "check_units"):
        assert hasattr(only, name)


ELEMENTARY = {
    "arcsin(x)": np.arcsin, "arccos(x)": np.arccos, "arctan(x)": np.arctan, "ceil(3*x)": lambda x: np.ceil(3 * x), "floor(3*x)": lambda x: np.floor(3 * x),
    "expm1(x)": np.expm1, "log1p(x)": np.log1p, "exprel(x)": lambda x: np.where(x == 0, 1, np.expm1(x) / np.where(x == 0, 1, x)), "sign(x)": np.sign,
    "abs(x)": np.abs, "sinh(x)": np.sinh, "cosh(x)": np.cosh, "tanh(x)": np.tanh, "tan(x)": np.tan, "log10(x + 2)": lambda x: np.log10(x + 2),
    "sqrt(x + 2)": lambda x: np.sqrt(x + 2), "clip(x, -0.5, 0.5)": lambda x: np.clip(x, -0.5, 0.5), "int(5*x)": lambda x: np.trunc(5 * x),
    "timestep(x*second, 0.1*second)": lambda x: np.trunc((x + 1e-4) / 0.1), "floor(3*x*volt)/volt": lambda x: np.floor(3 * x),
}  # fmt: skip


@ENGINES
def test_elementary_functions(target):
    text = "\n".join(f"y{n} : 1" for n in range(len(ELEMENTARY)))
    G = NeuronGroup(21, f"x : 1\n{text}")
    G.x = "-0.99 + i/10.2"
    G.run_regularly("\n".join(f"y{n} = {expression}" for n, expression in enumerate(ELEMENTARY)))
    Network(G).run(defaultclock.dt)
    for n, function in enumerate(ELEMENTARY.values()):
        np.testing.assert_allclose(getattr(G, f"y{n}_")[:], function(G.x_[:]), rtol=1e-12, atol=1e-15)


@ENGINES
def test_a_replaced_default_is_used(target, monkeypatch):
    """As Brian's own tests do it, to know the numbers."""
    monkeypatch.setitem(DEFAULT_FUNCTIONS, "randn", Function(lambda _vectorisation_idx: 0.5, arg_units=[], return_unit=1, auto_vectorise=True))
    G = NeuronGroup(3, "x : 1")
    G.x = "1 + randn()"
    assert G.x[:].tolist() == [1.5] * 3
    G.run_regularly("x = randn()")
    Network(G).run(defaultclock.dt)
    assert G.x[:].tolist() == [0.5] * 3


@ENGINES
def test_binomial_functions(target):
    seed(3)
    few, many = BinomialFunction(10, 0.5), BinomialFunction(1000, 0.3)
    whole = BinomialFunction(1000, 0.3, approximate=False)
    G = NeuronGroup(5000, "a : 1\nb : 1\nc : 1")
    G.run_regularly("a = few(); b = many(); c = whole()")
    Network(G).run(defaultclock.dt)
    a, b, c = G.a[:], G.b[:], G.c[:]
    assert np.all(a == np.round(a)) and np.all(c == np.round(c)) and not np.all(b == np.round(b))
    for values, n, p in ((a, 10, 0.5), (b, 1000, 0.3), (c, 1000, 0.3)):
        width = np.sqrt(n * p * (1 - p))
        assert abs(values.mean() - n * p) < 5 * width / np.sqrt(5000) and abs(values.std() / width - 1) < 0.05
    assert 0 <= few() <= 10
    with pytest.raises(ValueError, match="whole number from 0"):
        BinomialFunction(-1, 0.5)
    with pytest.raises(ValueError, match="from 0 to 1"):
        BinomialFunction(5, 1.5)


def test_a_module_refuses_python_functions_by_name():
    torch = pytest.importorskip("torch")
    import brianlike.nn as bnn

    inputs = InputGroup(1)
    G = NeuronGroup(2, "dv/dt = (doubled(v) - v)/ms : volt", method="euler")
    with pytest.raises(Exception, match="`doubled` is a Python function, which code in torch cannot call"):
        bnn.NetworkModule(Network(inputs, G), record={"v": (G, "v")}, dtype=torch.float64)


def test_with_clocks_of_their_own():
    """Kernels that numpy runs keep the pace of their clock, and see its random numbers."""
    results = []
    for target in ("numpy", "cython"):
        prefs.codegen.target = target
        seed(4)
        start_scope()
        same = check_units(x=1, result=1)(lambda x: x)
        above = check_units(x=1, result=bool)(lambda x: x > 0.8)
        G = NeuronGroup(5, "x : 1\nn : 1", threshold="above(x)", reset="n = same(n) + 1", dt=0.2 * ms, name="slow")
        G.run_regularly("x = same(rand())", dt=0.2 * ms, name="slow_code")
        H = NeuronGroup(5, "y : 1", dt=0.1 * ms, name="fast")
        H.run_regularly("y += same(t/ms)", dt=0.1 * ms, name="fast_code")
        S = Synapses(G, H, on_pre="y_post += same(100)", name="between")
        S.connect("i == j")
        S.pre.delay = "0.2*ms*i"
        M = SpikeMonitor(G, name="monitor")
        net = Network(G, H, S, M)
        net.run(6 * ms, namespace={"same": same, "above": above})
        results.append((M.i[:], M.t_[:], G.n[:], H.y[:]))
    assert len(results[0][0]) > 20
    for one, other in zip(*results):
        np.testing.assert_array_equal(one, other)
