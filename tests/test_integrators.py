"""One step of time: orders of convergence, exact solutions of linear equations, and the same numbers from every backend."""

import logging

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import exprel

from brianlike.only import *
from brianlike.prepare import prepare
from codegen.errors import IntegrationError
from codegen.fuse import DEFAULT_SCHEDULE
from codegen.integrate import METHODS
from codegen.ir import Map, Propagator

MS = 1e-3


@pytest.fixture(autouse=True)
def on_numpy():
    prefs.codegen.target = "numpy"
    before = defaultclock.dt
    yield
    prefs.reset_to_defaults()
    defaultclock.dt = before


def simulate(equations, start, duration, dt, method, n=1, **values):
    """The state variables after `duration` (ms), each an array of n numbers."""
    group = NeuronGroup(n, equations, method=method, dt=dt * ms)
    for name, value in {**start, **values}.items():
        setattr(group, name, value)
    Network(group).run(duration * ms, namespace={})
    return np.array([np.asarray(getattr(group, f"{name}_")) for name in start])


def chosen_method(equations, method):
    group = NeuronGroup(1, equations, method=method)
    return prepare([group], DEFAULT_SCHEDULE, {}).compiled[group.name].method


# ---------------------------------------------------------------------------------------------------------------------------------------------- orders
FREE = """dv/dt = (u - v**3 + sin(2*pi*t/(20*ms)))/(10*ms) : 1
          du/dt = (v - u*(1 + 0.5*cos(t/(7*ms))))/(8*ms) : 1"""
CONDITIONALLY_LINEAR = """dv/dt = (u - (1 + u**2)*v + sin(2*pi*t/(20*ms)))/(10*ms) : 1
                          du/dt = (v - u*(1 + 0.5*cos(t/(7*ms))))/(8*ms) : 1"""


def free(t, x):
    v, u = x
    return [(u - v**3 + np.sin(2 * np.pi * t / 20)) / 10, (v - u * (1 + 0.5 * np.cos(t / 7))) / 8]


def conditionally_linear(t, x):
    v, u = x
    return [(u - (1 + u**2) * v + np.sin(2 * np.pi * t / 20)) / 10, (v - u * (1 + 0.5 * np.cos(t / 7))) / 8]


@pytest.mark.parametrize("method", [m for m in METHODS if m != "exact"])
def test_measured_order(method):
    equations, slope = (CONDITIONALLY_LINEAR, conditionally_linear) if method == "exponential_euler" else (FREE, free)
    reference = solve_ivp(slope, (0, 32), [1.0, -0.5], method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    finest = {1: 0.03125, 2: 0.0625, 4: 0.25}[METHODS[method].order]
    errors = [np.abs(simulate(equations, {"v": 1.0, "u": -0.5}, 32, k * finest, method)[:, 0] - reference).max() for k in (2, 1)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(METHODS[method].order, abs=0.1)
    assert errors[1] < 0.02


def test_every_method_is_measured():
    assert set(METHODS) == {"exact", "euler", "heun", "milstein", "exponential_euler", "rk2", "rk4"}


WANG_BUZSAKI = """dv/dt = 35*m**3*h*(55 - v)/ms - 9*n**4*(v + 90)/ms - 0.1*(v + 65)/ms + 2.5/ms : 1
                  m = a/(a + 4*exp(-(v + 60)/18)) : 1
                  a = 1/exprel(-0.1*(v + 35)) : 1
                  dh/dt = 5*(0.07*exp(-(v + 58)/20)*(1 - h) - h/(exp(-0.1*(v + 28)) + 1))/ms : 1
                  dn/dt = 5*(0.1/exprel(-0.1*(v + 34))*(1 - n) - 0.125*exp(-(v + 44)/80)*n)/ms : 1"""


def test_exponential_euler_freezes_conditions_on_its_variable():
    found = simulate("dx/dt = -x*int(x > 0.4)*kHz : 1", {"x": 0.5}, 1, 0.1, "exponential_euler")
    assert np.isclose(np.ravel(found)[-1], 0.5 * np.exp(-0.3))  # three steps, until x is below 0.4


def test_exponential_euler_freezes_functions_of_its_variable():
    """Fast-spiking cells (Wang & Buzsaki 1996): the gate m follows v at once."""
    v, h, n, dt = -70.0, 0.9, 0.1, 0.02

    def step(x, a, b):
        return x * np.exp(a * dt) + b * np.expm1(a * dt) / a

    for _ in range(1000):
        a_m, a_h, a_n = 1 / exprel(-0.1 * (v + 35)), 0.07 * np.exp(-(v + 58) / 20), 0.1 / exprel(-0.1 * (v + 34))
        b_m, b_h, b_n = 4 * np.exp(-(v + 60) / 18), 1 / (np.exp(-0.1 * (v + 28)) + 1), 0.125 * np.exp(-(v + 44) / 80)
        sodium, potassium = 35 * (a_m / (a_m + b_m)) ** 3 * h, 9 * n**4
        v, h, n = (
            step(v, -(sodium + potassium + 0.1), 55 * sodium - 90 * potassium - 6.5 + 2.5),
            step(h, -5 * (a_h + b_h), 5 * a_h),
            step(n, -5 * (a_n + b_n), 5 * a_n),
        )
    found = simulate(WANG_BUZSAKI, {"v": -70.0, "h": 0.9, "n": 0.1}, 20, dt, "exponential_euler")
    np.testing.assert_allclose(found.ravel(), [v, h, n], rtol=1e-9)


@pytest.mark.parametrize("drift", ["-x**2", "x*exp(x)*x", "exp(x)", "-sin(x)", "1/(1 + x)"])
def test_exponential_euler_refuses_what_is_not_linear_beside_functions(drift):
    with pytest.raises(IntegrationError, match="`exponential_euler` needs each equation to be linear"):
        simulate(f"dx/dt = {drift}*Hz : 1", {"x": 1.0}, 1, 0.1, "exponential_euler")


# ------------------------------------------------------------------------------------------------------------------------------------- exact solutions
APART = np.array([-0.7, -1e-3, -1e-6, -1e-9, 0.0, 1e-9, 1e-6, 1e-3, 0.7])  # time constants on both sides of equality
DRIVEN = """dv/dt = (I - v)/tau_m : 1
            dI/dt = -I/tau_s : 1
            tau_m : second
            tau_s : second"""


def solution(matrix, constant, start, duration):
    """x(t) of x' = A x + b, by scipy's exponential of one matrix. It is turned away from triangular form, where scipy's own formula loses eight digits
    at nearly equal entries of the diagonal (checked with mpmath)."""
    size = len(start)
    block = np.zeros((size + 1, size + 1))
    block[:size, :size], block[:size, size] = matrix, constant
    turn = np.linalg.qr(np.vander(np.arange(1.0, size + 2)))[0]
    return (turn.T @ expm(turn @ block @ turn.T * duration) @ turn @ np.append(start, 1.0))[:size]


def expected(matrix_of, n, start, duration):
    return np.array([solution(*matrix_of(k), start, duration) for k in range(n)]).T


def assert_exact(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


@pytest.mark.parametrize("dt", [0.1, 1.0, 20.0])
def test_a_driven_decay_at_equal_and_nearly_equal_time_constants(dt):
    tau_s = 10 * (1 + APART)
    found = simulate(DRIVEN, {"v": 0.3, "I": 1.5}, 20, dt, "exact", len(APART), tau_m=10 * ms, tau_s=tau_s * ms)
    wanted = expected(lambda k: (np.array([[-0.1, 0.1], [0, -1 / tau_s[k]]]), np.zeros(2)), len(APART), [0.3, 1.5], 20)
    assert_exact(found, wanted)


@pytest.mark.parametrize("dt", [0.1, 1.0, 20.0])
def test_chains_of_three(dt):
    equations = """dv/dt = (u - v)/tau_m : 1
                   du/dt = (I - u)/tau_d : 1
                   dI/dt = (c - I)/tau_s : 1
                   c : 1
                   tau_m : second
                   tau_d : second
                   tau_s : second"""
    a, b = (x.ravel() for x in np.meshgrid(APART, APART))
    n, tau_d, tau_s = len(a), 10 * (1 + a), 10 * (1 + b)
    found = simulate(equations, {"v": 0.3, "u": -0.5, "I": 1.5}, 20, dt, "exact", n, c=0.7, tau_m=10 * ms, tau_d=tau_d * ms, tau_s=tau_s * ms)

    def matrix_of(k):
        rates = [1 / 10, 1 / tau_d[k], 1 / tau_s[k]]
        matrix = -np.diag(rates)
        matrix[0, 1], matrix[1, 2] = rates[0], rates[1]
        return matrix, [0, 0, 0.7 * rates[2]]

    assert_exact(found, expected(matrix_of, n, [0.3, -0.5, 1.5], 20))


def test_rates_that_are_zero():
    """dv/dt = k*v + c has a line as its solution where k is 0, and k may be 0 in some neurons only."""
    rates = np.array([-0.2, -1e-9, 0.0, 1e-9, 0.1])
    equations = """dv/dt = k*v + c + x/(5*ms) : 1
                   dx/dt = k*x : 1
                   k : Hz
                   c : Hz"""
    found = simulate(equations, {"v": 0.3, "x": 0.5}, 20, 1.0, "exact", 5, k=rates / ms, c=0.05 / ms)
    wanted = expected(lambda k: (np.array([[rates[k], 0.2], [0, rates[k]]]), np.array([0.05, 0])), 5, [0.3, 0.5], 20)
    assert_exact(found, wanted)


def test_no_flow_at_all_and_pure_integration():
    assert simulate("dv/dt = 0/second : 1", {"v": 2.0}, 5, 1.0, "exact") == 2.0
    assert simulate("dv/dt = 3/second : 1", {"v": 2.0}, 5, 1.0, "exact") == pytest.approx(2.015, rel=1e-14)
    found = simulate("dv/dt = u/(10*ms) : 1\ndu/dt = 0/second : 1", {"v": 1.0, "u": 2.0}, 5, 1.0, "exact")
    assert found.ravel() == pytest.approx([2.0, 2.0], rel=1e-14)


def test_drivers_with_constants():
    equations = """dv/dt = (g + E - v)/(20*ms) : 1
                   dg/dt = (c - g)/tau : 1
                   tau : second
                   c : 1
                   E : 1"""
    tau = 20 * (1 + APART)
    found = simulate(equations, {"v": 0.3, "g": 1.5}, 30, 3.0, "exact", len(APART), tau=tau * ms, c=0.4, E=-1.0)
    wanted = expected(lambda k: (np.array([[-0.05, 0.05], [0, -1 / tau[k]]]), np.array([-0.05, 0.4 / tau[k]])), len(APART), [0.3, 1.5], 30)
    assert_exact(found, wanted)


def test_two_drivers_and_a_constant_in_the_driven():
    equations = """dv/dt = (E + x - y - v)/(10*ms) : 1
                   dx/dt = -x/(10*ms) : 1
                   dy/dt = -y/(3*ms) : 1
                   E : 1"""
    matrix = np.array([[-0.1, 0.1, -0.1], [0, -0.1, 0], [0, 0, -1 / 3]])
    found = simulate(equations, {"v": 0.3, "x": 1.0, "y": 2.0}, 20, 1.0, "exact", E=0.5)[:, 0]
    assert_exact(found, solution(matrix, [0.05, 0, 0], [0.3, 1.0, 2.0], 20))


@pytest.mark.parametrize("coupling", [0.0, 1e-9, 0.3, 0.99, 1.0, 2.0])
def test_coupled_equations_with_real_solutions(coupling):
    """At a coupling of 1 one eigenvalue is 0, beyond it one grows."""
    equations = """dv/dt = (g*w - v)/(10*ms) : 1
                   dw/dt = (g*v - w)/tau : 1
                   g : 1
                   tau : second"""
    tau = 10 * (1 + APART)
    found = simulate(equations, {"v": 1.0, "w": -0.5}, 20, 1.0, "exact", len(APART), g=coupling, tau=tau * ms)
    wanted = expected(lambda k: (np.array([[-0.1, coupling / 10], [coupling / tau[k], -1 / tau[k]]]), np.zeros(2)), len(APART), [1.0, -0.5], 20)
    assert_exact(found, wanted)


@pytest.mark.parametrize("ratio", [1e-9, 1.0, 30.0, 1e3])
def test_steps_much_longer_and_shorter_than_time_constants(ratio):
    tau = np.array([1.0, 1.0 + 1e-9, 0.5, 2.0])
    with np.errstate(over="raise"):
        found = simulate(DRIVEN, {"v": 0.3, "I": 1.5}, 2 * ratio, ratio, "exact", 4, tau_m=1 * ms, tau_s=tau * ms)
    with mpmath.workdps(40):  # relative to every number, however small
        matrices = [mpmath.matrix([[-1, 1], [0, -1 / mpmath.mpf(x)]]) for x in tau]
        wanted = np.array([[float(x) for x in mpmath.expm(m * 2 * ratio) * mpmath.matrix([0.3, 1.5])] for m in matrices]).T
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)


# -------------------------------------------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("equations", "text"),
    [
        (
            "dv/dt = -v**2/(10*ms) : 1",
            "`exact` needs linear equations, and dv/dt = -v**2/(10*ms) is not linear in v\n"
            "  dv/dt = -v**2/(10*ms) : 1\n"
            "  ^^^^^^^^^^^^^^^^^^^^^^^^^\n"
            "Use method='rk4' or 'exponential_euler' (or leave `method` out to let the first suitable one be chosen).",
        ),
        (
            "dv/dt = (sin(t/(5*ms)) - v)/(10*ms) : 1",
            "`exact` needs coefficients that are constant over a step, and dv/dt reads `t`, which changes during a step\n"
            "  dv/dt = (sin(t/(5*ms)) - v)/(10*ms) : 1\n"
            "               ^\n"
            "Use method='rk4', 'exponential_euler' or 'euler' for these equations.",
        ),
        (
            "dv/dt = -u/(10*ms) : 1\ndu/dt = v/(10*ms) : 1",
            "`exact` has no real closed-form solution for the coupled equations of v, u\n"
            "  dv/dt = -u/(10*ms) : 1\n  ^^^^^^^^^^^^^^^^^^^^^^\nUse method='rk4' or 'euler' for these equations.",
        ),
    ],
    ids=["not linear", "reads t", "oscillates"],
)
def test_exact_refuses(equations, text):
    with pytest.raises(IntegrationError) as error:
        chosen_method(equations, "exact")
    assert str(error.value) == text


def test_exponential_euler_refuses_what_is_not_linear_in_its_own_variable():
    with pytest.raises(IntegrationError) as error:
        chosen_method("dv/dt = (u - v**3)/(10*ms) : 1\ndu/dt = -u/(10*ms) : 1", "exponential_euler")
    assert str(error.value) == (
        "`exponential_euler` needs each equation to be linear in its own variable, and dv/dt is not linear in v\n"
        "  dv/dt = (u - v**3)/(10*ms) : 1\n"
        "  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "Use method='rk4' (or 'rk2', 'euler') for these equations."
    )


@pytest.mark.parametrize(
    ("equations", "methods", "expected"),
    [
        ("dv/dt = -v/(10*ms) : 1", ("exact", "rk4"), "exact"),
        ("dv/dt = -v/(10*ms) : 1", ("rk4", "exact"), "rk4"),
        ("dv/dt = -v**2/(10*ms) : 1", ("exact", "exponential_euler", "rk2"), "rk2"),
        ("dv/dt = (t/second - v)/(10*ms) : 1", ("exact", "exponential_euler", "rk2"), "exponential_euler"),
        ("dv/dt = -v**2/(10*ms) : 1", None, "euler"),
        ("dv/dt = -v/(10*ms) : 1", None, "exact"),
        ("dv/dt = -v/(10*ms) : 1", "linear", "exact"),
        ("v : 1", None, None),
    ],
)
def test_the_first_method_that_fits_is_taken(equations, methods, expected):
    assert chosen_method(equations, methods) == expected


def test_unknown_methods_and_lists_in_which_none_fits():
    with pytest.raises(
        IntegrationError, match=r"there is no integration method 'rk5'\nThe methods are: exact, euler, heun, milstein, exponential_euler, rk2, rk4\."
    ):
        chosen_method("dv/dt = -v/(10*ms) : 1", "rk5")
    with pytest.raises(IntegrationError, match="`exact` needs linear equations"):
        chosen_method("dv/dt = -v**2/(10*ms) : 1", ("exact", "exponential_euler"))


# -------------------------------------------------------------------------------------------------------------------------------------------- backends
COUPLED = """dv/dt = (0.4*w - v)/tau : 1
             dw/dt = (0.5*v + 0.2 - w)/(7*ms) : 1
             tau : second"""
CASES = {
    "euler": (FREE, "euler", ("v", "u")),
    "rk2": (FREE, "rk2", ("v", "u")),
    "rk4": (FREE, "rk4", ("v", "u")),
    "exponential_euler": (CONDITIONALLY_LINEAR, "exponential_euler", ("v", "u")),
    "exact": (DRIVEN, "exact", ("v", "I")),
    "exact, coupled": (COUPLED, "exact", ("v", "w")),
    "exact, parameters that change": (DRIVEN, "exact", ("v", "I")),
    "exact, coupled, parameters that change": (COUPLED, "exact", ("v", "w")),
}
TIMES = {"tau": "(5 + i)*ms", "tau_m": "(5 + i)*ms", "tau_s": "(8 - i)*ms"}


def _population(case):
    equations, method, states = CASES[case]
    tau = "tau" if "tau :" in equations else "tau_m"
    events = {"threshold": "v > 0.3", "reset": f"v -= 0.4; {tau} *= 1.1"} if case.endswith("change") else {}
    group = NeuronGroup(6, equations, method=method, dt=0.5 * ms, **events)
    for name in states:
        setattr(group, name, "1 - 0.2*i")
    for name, value in TIMES.items():
        if group.variable(name) is not None:
            setattr(group, name, value)
    return group, states


def _trajectory(case, target):
    prefs.codegen.target = target
    group, states = _population(case)
    monitor = StateMonitor(group, states, record=True, when="end")
    Network(group, monitor).run(20 * ms, namespace={})
    return np.array([np.asarray(getattr(monitor, f"{name}_")).T for name in states])


@pytest.mark.parametrize("case", CASES)
def test_torch_gives_the_trajectories_of_numpy(case):
    torch = pytest.importorskip("torch")
    import brianlike.nn as bnn

    group, states = _population(case)
    inputs = InputGroup(1, dt=0.5 * ms)
    record = {name: (group, name) for name in states}
    module = bnn.NetworkModule(Network(inputs, group), record, dtype=torch.float64, gradient=bnn.TrueGradient(), namespace={})
    found = module(torch.zeros(40, 1))
    np.testing.assert_allclose(np.array([getattr(found, name).numpy() for name in states]), _trajectory(case, "numpy"), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", [case for case in CASES if case != "exact, coupled, parameters that change"])
def test_cython_gives_the_trajectories_of_numpy(case):
    np.testing.assert_allclose(_trajectory(case, "cython"), _trajectory(case, "numpy"), rtol=1e-12, atol=1e-13)


def test_the_changing_matrix_is_computed_in_the_kernel():
    group, _ = _population("exact, coupled, parameters that change")
    program = prepare([group], DEFAULT_SCHEDULE, {}).program
    assert any(isinstance(line, Propagator) for kernel in program.kernels if isinstance(kernel, Map) for line in kernel.body)


@pytest.mark.parametrize("target", ["auto", "cython"])
def test_what_cython_cannot_do_runs_on_numpy_under_the_driver(target, caplog):
    """A matrix exponential in every step: the values of the numpy engine, and nothing to say."""
    case = "exact, coupled, parameters that change"
    with caplog.at_level(logging.WARNING, logger="brianlike"):
        found = _trajectory(case, target)
    np.testing.assert_array_equal(found, _trajectory(case, "numpy"))
    assert not caplog.records


# What Brian 2.9 does with method='exact', and without a method, where `exact` is the first of its list.
OSCILLATES = "no real closed-form solution"
TAUS = "\ntau : second (constant)\ntau2 : second (constant)\ng : 1 (constant)"
COUPLINGS = [
    ("dv/dt = (-v - u)/(10*ms) : 1\ndu/dt = (v - u)/(10*ms) : 1", OSCILLATES, "euler"),
    ("dv/dt = (-v - g*u)/tau : 1\ndu/dt = (g*v - u)/tau : 1", OSCILLATES, "euler"),
    ("dv/dt = (-0.4*u - v)/(5*ms) : 1\ndu/dt = (0.5*v + 0.2 - u)/(5*ms) : 1", OSCILLATES, "euler"),
    ("dv/dt = (u - v)/tau : 1\ndu/dt = (w - u)/tau : 1\ndw/dt = (v - w)/tau : 1", OSCILLATES, "euler"),
    ("dv/dt = (-v - g*u)/tau : 1\ndu/dt = (g*v - u)/tau2 : 1", None, "exact"),
    ("dv/dt = (-v - u)/tau : 1\ndu/dt = (v - u)/tau2 : 1", None, "exact"),
    ("dv/dt = (0.4*u - v)/(5*ms) : 1\ndu/dt = (0.5*v + 0.2 - u)/(7*ms) : 1", None, "exact"),
    ("dv/dt = y/ms : 1\ndy/dt = -2*y/tau - v*ms/tau**2 : 1", None, "exact"),  # critically damped
    ("dv/dt = (u - 2*v)/tau : 1\ndu/dt = (v - 3*u + w)/tau2 : 1\ndw/dt = (u - 2*w)/tau : 1", None, "exact"),
    # no single equilibrium: Brian refuses method='exact', too
    ("dv/dt = (u - v)/tau : 1\ndu/dt = (v - u)/tau2 : 1", None, "euler"),
    ("dv/dt = (u - v)/tau : 1\ndu/dt = (v - 2*u + w)/tau2 : 1\ndw/dt = (u - w)/tau : 1", None, "euler"),
    ("dv/dt = u/tau : 1\ndu/dt = -u/tau : 1", None, "euler"),
    ("dv/dt = 1/second : 1\ndu/dt = -u/tau : 1", None, "euler"),
    ("dv/dt = g/second : 1 (unless refractory)", None, "euler"),
]


@pytest.mark.parametrize(("equations", "refusal", "default"), COUPLINGS)
def test_exact_is_taken_by_default_where_brian_takes_it(equations, refusal, default):
    assert chosen_method(equations + TAUS, None) == default
    if refusal is None:
        assert chosen_method(equations + TAUS, "exact") == "exact"
    else:
        with pytest.raises(IntegrationError, match=refusal):
            chosen_method(equations + TAUS, "exact")


# --------------------------------------------------------------------------------------------------------------------------- inputs and gradients
def _module(equations, method="exact", learn=(), n=1, record=("v",), **values):
    torch = pytest.importorskip("torch")
    import brianlike.nn as bnn

    group = NeuronGroup(n, equations, method=method, dt=1 * ms)
    for name, value in values.items():
        setattr(group, name, value)
    learned = [bnn.Learn(group, name, unit=ms) for name in learn]
    return torch, bnn.NetworkModule(Network(group), {name: (group, name) for name in record}, learned, bnn.TrueGradient(), dtype=torch.float64, namespace={})


def test_an_input_is_held_over_its_step():
    torch, module = _module("dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second", tau=5 * ms)
    drive = np.random.default_rng(0).normal(size=20)
    v, expected = 0.0, []
    for x in drive:
        v = x + (v - x) * np.exp(-1 / 5)
        expected.append(v)
    np.testing.assert_allclose(module(torch.tensor(drive)[:, None]).v[:, 0].numpy(), expected, rtol=0, atol=1e-15)


CHAIN = """dv/dt = (u - v)/tau_m : 1
           du/dt = (I - u)/tau_d : 1
           dI/dt = (J - I)/tau_s : 1
           J : 1 (input)
           tau_m : second
           tau_d : second
           tau_s : second"""
PAIR = """dv/dt = (I - v)/tau_m : 1
          dI/dt = J/(2*ms) - I/tau_s : 1
          J : 1 (input)
          tau_m : second
          tau_s : second"""
TWO_DECAYS = """dv/dt = (I - v + J)/tau_m : 1
                dI/dt = -I/tau_s : 1
                J : 1 (input)
                tau_m : second
                tau_s : second"""


@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-6, 1e-3, 0.3])
@pytest.mark.parametrize("equations", [CHAIN, PAIR, TWO_DECAYS], ids=["chain of three", "driver with a constant", "closed form"])
def test_gradients_at_equal_and_nearly_equal_time_constants(equations, apart):
    names = tuple(name for name in ("tau_m", "tau_d", "tau_s") if f"{name} :" in equations)
    taus = {name: 6 * (1 + k * apart) * ms for k, name in enumerate(names)}
    torch, module = _module(equations, learn=names, record=("v", "I"), I=1.0, **taus)
    x = torch.randn(6, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    keys = [f"learned.neurongroup_0_{name}.parametrizations.value.original" for name in names]

    def run(x, *values):
        record = torch.func.functional_call(module, dict(zip(keys, values)), (x,))
        return record.v, record.I

    start = [module.parameter(module._objects[0], name).detach().clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(run, (x.requires_grad_(), *start), eps=1e-5, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("equations", [CHAIN, TWO_DECAYS], ids=["chain of three", "closed form"])
def test_gradients_stay_finite_for_steps_of_a_thousand_time_constants(equations):
    names = tuple(name for name in ("tau_m", "tau_d", "tau_s") if f"{name} :" in equations)
    torch, module = _module(equations, learn=names, I=1.0, **{name: (1 + k) * us for k, name in enumerate(names)})
    module(torch.ones(4, 1, dtype=torch.float64)).v.sum().backward()
    for parameter in module.parameters():
        assert torch.isfinite(parameter.grad).all()
