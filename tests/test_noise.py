"""Noise: orders of strong convergence, moments against theory, independence, and the same bits from both engines."""

import logging

import numpy as np
import pytest

from brianlike import *
from brianlike.prepare import prepare
from brianlike.randomness import LAWS
from brianlike.stateupdaters import ExplicitStateUpdater, StateUpdateMethod, UnsupportedEquationsException, gsl_rk2, heun, linear, milstein, rk4
from brianlike.stateupdaters import euler as euler_method
from codegen.errors import EquationError, IntegrationError, ModelError
from codegen.fuse import DEFAULT_SCHEDULE

EULER_MARUYAMA = ExplicitStateUpdater("x_new = x + dt*f(x, t) + g(x, t)*dW", stochastic="multiplicative")


@pytest.fixture(autouse=True)
def on_numpy():
    prefs.codegen.target = "numpy"
    before = defaultclock.dt
    seed(1)
    yield
    prefs.reset_to_defaults()
    defaultclock.dt = before


def simulate(equations, start, duration, dt, method=None, n=1, **values):
    """The state variables after `duration` (ms), each an array of n numbers."""
    group = NeuronGroup(n, equations, method=method, dt=dt * ms)
    for name, value in {**start, **values}.items():
        setattr(group, name, value)
    Network(group).run(duration * ms, namespace={})
    return np.array([np.asarray(getattr(group, f"{name}_")) for name in start])


def chosen_method(equations, method=None):
    group = NeuronGroup(1, equations, method=method)
    return prepare([group], DEFAULT_SCHEDULE, {}).compiled[group.name].method


# -------------------------------------------------------------------------------------------------------------------------- strong convergence
FINEST = 1 / 64  # ms
PATHS = 500


class Brownian:
    """The paths that all step sizes share: a step's normal number is the sum of those of the finest steps in it."""

    def __init__(self, dt):
        self.fine = np.random.default_rng(7).normal(size=(3, int(4 / FINEST), PATHS))
        self.ratio = round(dt / FINEST)

    def normal(self, seed, epoch, step, elements, stream, number, *more):
        part = self.fine[number, step * self.ratio : (step + 1) * self.ratio]
        return part.sum(axis=0) / np.sqrt(self.ratio)

    def end(self, number=0):
        """The value of the path after 4 ms, in ms**0.5."""
        return self.fine[number].sum(axis=0) * np.sqrt(FINEST)


# Stratonovich equations with known solutions as functions of the path: x(4 ms) = solution(W_1, W_2).
GEOMETRIC = "dx/dt = 0.1*x/ms + 0.3*x*xi*ms**-0.5 : 1"
CURVED = "dx/dt = 0.3*cos(x)**2*xi*ms**-0.5 : 1"
COMMUTING = "dx/dt = 0.1*x/ms + (0.3*x*xi_1 + 0.2*x*xi_2)*ms**-0.5 : 1"
SHARED = "dx/dt = 0.3*y*xi_1*ms**-0.5 : 1\ndy/dt = -0.3*x*xi_1*ms**-0.5 : 1"  # a rotation by the angle 0.3 W
ADDITIVE = "dx/dt = 0.2*t/ms**2 + 0.3*xi*ms**-0.5 : 1"

CASES = {
    "milstein, geometric": (GEOMETRIC, "milstein", 1.0, lambda a, b: np.exp(0.4 + 0.3 * a)),
    "heun, geometric": (GEOMETRIC, "heun", 1.0, lambda a, b: np.exp(0.4 + 0.3 * a)),
    "milstein, curved": (CURVED, "milstein", 1.0, lambda a, b: np.arctan(0.3 * a + np.tan(1.0))),
    "heun, curved": (CURVED, "heun", 1.0, lambda a, b: np.arctan(0.3 * a + np.tan(1.0))),
    "heun, two noises that commute": (COMMUTING, "heun", 1.0, lambda a, b: np.exp(0.4 + 0.3 * a + 0.2 * b)),
    "heun, one noise in two equations": (SHARED, "heun", 1.0, lambda a, b: np.cos(0.3 * a)),
    "euler, additive": (ADDITIVE, "euler", 1.0, lambda a, b: 1 + 1.6 + 0.3 * a),
    "heun, additive": (ADDITIVE, "heun", 1.0, lambda a, b: 1 + 1.6 + 0.3 * a),
    "milstein, additive": (ADDITIVE, "milstein", 1.0, lambda a, b: 1 + 1.6 + 0.3 * a),
    # Without the terms of Heun and Milstein the limit is Ito's solution, at half the order; `euler` refuses such noise.
    "Euler-Maruyama, geometric, Ito": (GEOMETRIC, EULER_MARUYAMA, 0.5, lambda a, b: np.exp(0.4 - 0.18 + 0.3 * a)),
}


@pytest.mark.parametrize("case", CASES)
def test_strong_order(case, monkeypatch):
    equations, method, order, solution = CASES[case]
    start = {"x": 0.0, "y": 1.0} if equations == SHARED else {"x": 1.0}
    errors = []
    for ratio in (16, 8, 4, 2):
        paths = Brownian(ratio * FINEST)
        monkeypatch.setitem(LAWS, "normal", paths.normal)
        wanted = solution(paths.end(0), paths.end(1)) if equations != SHARED else np.sin(0.3 * paths.end(0))
        found = simulate(equations, start, 4, ratio * FINEST, method, PATHS)[0]
        errors.append(np.abs(found - wanted).mean())
    slope = np.polyfit(np.log([16, 8, 4, 2]), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.12), errors
    assert errors[-1] < (0.05 if order == 0.5 else 0.02)


def test_euler_refuses_noise_whose_factor_changes_within_a_step():
    for factor in ("x", "t/ms", "y"):
        with pytest.raises(IntegrationError, match="`euler` needs additive noise"):
            simulate(f"dx/dt = {factor}*xi*ms**-0.5 : 1\ndy/dt = -y/ms : 1", {"x": 1.0}, 1, 0.1, "euler")


def test_milstein_stays_on_the_side_where_a_root_exists():
    """The slope of sqrt(x) is infinite at 0, where the noise is 0."""
    assert (simulate("dx/dt = 0.5*sqrt(x)*xi*ms**-0.5 : 1", {"x": 0.0}, 1, 0.1, "milstein", 3) == 0).all()
    found = simulate("dx/dt = sqrt(x)*xi*ms**-0.5 : 1", {"x": 1e-6}, 0.1, 0.1, "milstein", 100)
    assert np.isfinite(found).all()


# ------------------------------------------------------------------------------------------------------------------------------- moments
def test_moments_of_an_ornstein_uhlenbeck_process():
    """Mean exp(-t/tau), variance sigma**2 (1 - exp(-2t/tau)), correlation exp(-|s - t|/tau); Euler's own values at this dt."""
    n, steps, a = 100_000, 100, 0.02  # dt/tau
    x = simulate("dx/dt = -x/tau + sigma*sqrt(2/tau)*xi : 1\nsigma : 1\ntau : second", {"x": 1.0}, 2, 0.02, "euler", n, sigma=0.5, tau=1 * ms)[0]
    mean, variance = (1 - a) ** steps, 2 * 0.25 * a * (1 - (1 - a) ** (2 * steps)) / (1 - (1 - a) ** 2)
    assert x.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / n))
    assert x.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / n))
    assert variance == pytest.approx(0.25 * (1 - np.exp(-4)), rel=0.02) and mean == pytest.approx(np.exp(-2), rel=0.03)


@pytest.mark.parametrize("method", ["heun", "milstein"])
def test_moments_of_geometric_brownian_motion(method):
    """In Stratonovich's sense the mean is exp((mu + sigma**2/2) t); in Ito's it would be exp(mu t)."""
    n = 100_000
    x = simulate("dx/dt = -0.2*x/ms + 0.6*x*xi*ms**-0.5 : 1", {"x": 1.0}, 2, 0.01, method, n)[0]
    mean, second = np.exp(2 * (-0.2 + 0.18)), np.exp(2 * (-0.4 + 0.72))
    assert x.mean() == pytest.approx(mean, abs=6 * np.sqrt((second - mean**2) / n))
    assert np.log(x).mean() == pytest.approx(-0.4, abs=6 * 0.6 * np.sqrt(2 / n))
    assert np.log(x).std() == pytest.approx(0.6 * np.sqrt(2), rel=0.02)


# ------------------------------------------------------------------------------------------------------------------------------- independence
def noise_of(equations, names, n=2, steps=4000, **more):
    """What each variable gains in each step, in units of the standard deviation of the noise: (name, step, neuron)."""
    group = NeuronGroup(n, equations, dt=1 * ms, **more)
    monitor = StateMonitor(group, names, record=True)
    Network(group, monitor).run((steps + 1) * ms, namespace={})
    return np.array([np.diff(np.asarray(getattr(monitor, f"{name}_")), axis=1).T / np.sqrt(1e-3) for name in names])


def test_neurons_steps_and_names_are_independent_and_one_name_is_one_noise():
    equations = """dx/dt = xi_a*second**-0.5 : 1
                   dy/dt = xi_b*second**-0.5 : 1
                   dz/dt = 2*xi_a*second**-0.5 : 1"""
    x, y, z = noise_of(equations, ("x", "y", "z")) / np.sqrt(1.0)
    np.testing.assert_allclose(z, 2 * x, rtol=1e-10)
    series = np.array([x[1:, 0], x[1:, 1], y[1:, 0], y[1:, 1], x[:-1, 0], y[:-1, 1]])
    correlation = np.corrcoef(series)
    assert np.abs(correlation - np.eye(len(series))).max() < 5 / np.sqrt(series.shape[1])
    assert series.std() == pytest.approx(1.0, rel=0.03) and abs(series.mean()) < 0.03


def test_noise_and_random_numbers_of_other_code_are_independent():
    group = NeuronGroup(200, "dx/dt = xi*second**-0.5 : 1\nlast : 1", threshold="rand() < 0.5", reset="last = x; x = 0", dt=1 * ms)
    gained = []
    network = Network(group)
    for _ in range(50):
        group.x = group.last = 0
        network.run(1 * ms)
        spiked = np.isin(np.arange(200), group.spikes)
        gained.append((np.where(spiked, group.last_, group.x_), spiked))
    values, spiked = (np.concatenate(part) for part in zip(*gained))
    assert abs(values[spiked].mean() - values[~spiked].mean()) < 5 * 2 * np.sqrt(1e-3 / len(values))
    assert 0.45 < spiked.mean() < 0.55


def test_subexpressions_carry_noise():
    direct = simulate("dx/dt = -x/ms + 0.3*xi_1*ms**-0.5 : 1", {"x": 1.0}, 5, 0.1, n=3)
    seed(1)
    by_name = simulate("dx/dt = -x/ms + I : 1\nI = 0.3*xi_1*ms**-0.5 : Hz", {"x": 1.0}, 5, 0.1, n=3)
    np.testing.assert_allclose(by_name, direct, rtol=1e-13)
    with pytest.raises(EquationError, match="`I` contains noise"):
        group = NeuronGroup(1, "dx/dt = -x/ms + I : 1\nI = 0.3*xi_1*ms**-0.5 : Hz")
        np.asarray(group.I)
    with pytest.raises(EquationError, match="`I` contains noise"):
        Network(group, StateMonitor(group, "I", record=True)).run(1 * ms)


def test_noise_has_no_value_outside_of_equations():
    group = NeuronGroup(1, "dx/dt = xi*second**-0.5 : 1")
    with pytest.raises(EquationError, match="`xi` is noise"):
        group.x = "xi*second**0.5"
    with pytest.raises(EquationError, match="`xi_2` is noise"):
        group.x = "xi_2*second**0.5"
    with pytest.raises(AttributeError):
        group.xi  # noqa: B018
    assert "xi" not in group.get_states()


def test_a_namespace_does_not_replace_noise():
    xi = 3  # noqa: F841
    with pytest.raises(EquationError, match="`xi` is noise"):
        run_network(NeuronGroup(1, "v : 1", threshold="v > xi", reset=""))
    group = NeuronGroup(50, "dx/dt = xi*second**-0.5 : 1")
    run_network(group)
    assert np.std(np.asarray(group.x_)) > 0


def run_network(group):
    xi = 3  # noqa: F841
    Network(group).run(1 * ms)


# ----------------------------------------------------------------------------------------------------------------------- refractoriness, parameters
@pytest.mark.parametrize("method", ["euler", "heun", "milstein"])
def test_the_whole_right_side_stops_while_refractory(method):
    group = NeuronGroup(5, "dx/dt = 1/ms + xi*ms**-0.5 : 1 (unless refractory)\ndy/dt = 1/ms + xi_2*ms**-0.5 : 1", threshold="True", reset="x = 0; y = 0",
                        refractory=1 * ms, method=method)  # fmt: skip
    monitor = StateMonitor(group, ("x", "y"), record=True)
    Network(group, monitor).run(2 * ms)
    x, y = np.asarray(monitor.x_), np.asarray(monitor.y_)
    spikes = np.arange(len(monitor.t)) % 10 == 1  # a step after each spike, and so on until the period is over
    assert (x[:, 1:10] == 0).all() and spikes.any()
    assert (y[:, 2:10] != 0).all()


def test_factors_may_be_parameters_and_functions():
    found = simulate("dx/dt = clip(s, 0, 1)*int(i > 0)*xi*ms**-0.5 : 1\ns : 1", {"x": 0.0}, 3, 0.1, "euler", 3, s=[5.0, 0.0, 1.0])
    assert found[0, 0] == 0 and found[0, 1] == 0 and found[0, 2] != 0


# ------------------------------------------------------------------------------------------------------------------------------- engines
ENGINES = {
    "euler": ("dx/dt = -x/(2*ms) + 0.3*xi*ms**-0.5 : 1\ndy/dt = (x - y)/ms + 0.1*xi_2*ms**-0.5 : 1", "euler"),
    "heun": ("dx/dt = -x/(2*ms) + 0.3*x*y*xi_1*ms**-0.5 : 1\ndy/dt = (x - y)/ms + 0.1*(xi_2 + x*xi_1)*ms**-0.5 : 1", "heun"),
    "milstein": ("dx/dt = -x/(2*ms) + 0.3*x*xi_1*ms**-0.5 : 1\ndy/dt = (x - y)/ms + 0.1*y*xi_2*ms**-0.5 : 1", "milstein"),
}


@pytest.mark.parametrize("case", ENGINES)
def test_cython_draws_the_numbers_of_numpy(case):
    equations, method = ENGINES[case]
    results = []
    for target in ("numpy", "cython"):
        prefs.codegen.target = target
        seed(3)
        results.append(simulate(equations, {"x": 1.0, "y": 0.5}, 10, 0.1, method, 37))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-10)
    assert np.std(results[0][0]) > 1e-3


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_synapses_have_noise(target):
    prefs.codegen.target = target
    neurons = NeuronGroup(20, "v : 1")
    one, two = (Synapses(neurons, neurons, "dw/dt = xi*second**-0.5 : 1 (clock-driven)") for _ in range(2))
    for synapses in (one, two):
        synapses.connect()
    Network(neurons, one, two).run(100 * ms, namespace={})
    values = np.array([np.asarray(one.w_), np.asarray(two.w_)])
    assert values.std() * np.sqrt(10) == pytest.approx(1, abs=5 / np.sqrt(2 * values.size))
    assert abs(np.corrcoef(values)[0, 1]) < 5 / np.sqrt(400)
    others = NeuronGroup(20, "v : 1\nI = v + xi_1*second**0.5 : 1")
    reading = Synapses(others, others, "dw/dt = I_post/second : 1 (clock-driven)")
    reading.connect()
    with pytest.raises(EquationError, match="synapses read a subexpression with it"):
        Network(others, reading).run(1 * ms)


def test_a_seed_repeats_a_run_and_runs_differ():
    runs = []
    for number in (5, 5, 6):
        seed(number)
        runs.append(simulate(GEOMETRIC, {"x": 1.0}, 3, 0.1, None, 10))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).all()


# ------------------------------------------------------------------------------------------------------------------------------- which method
def test_the_first_method_that_can():
    assert chosen_method("dx/dt = -x/ms + xi*ms**-0.5 : 1") == "euler"
    assert chosen_method("dx/dt = -x/ms + s*xi*ms**-0.5 : 1\ns : 1") == "euler"
    assert chosen_method("dx/dt = -x/ms + x*xi*ms**-0.5 : 1") == "heun"
    assert chosen_method("dx/dt = -x/ms + t/ms*xi*ms**-0.5 : 1") == "heun"
    assert chosen_method("dx/dt = -x/ms + x*xi*ms**-0.5 : 1", ("exact", "milstein")) == "milstein"
    assert chosen_method("dx/dt = -x/ms : 1", "independent") == chosen_method("dx/dt = -x/ms : 1", "linear") == "exact"
    assert chosen_method("dx/dt = -x/ms : 1", "RK4") == "rk4"
    with pytest.raises(IntegrationError, match="`exact` cannot integrate noise"):
        chosen_method("dx/dt = -x/ms + x*xi*ms**-0.5 : 1", ("exact", "rk4"))


def test_methods_as_objects():
    for method, name in ((euler_method, "euler"), (heun, "heun"), (milstein, "milstein"), (rk4, "rk4"), (linear, "exact")):
        assert chosen_method("dx/dt = -x/ms : 1", method) == name
    assert chosen_method("dx/dt = -x/ms : 1", (euler_method,)) == "euler"
    with pytest.raises(IntegrationError, match="'gsl_rk2' is a method of the GNU Scientific Library"):
        chosen_method("dx/dt = -x/ms : 1", gsl_rk2)
    assert euler_method(Equations("dv/dt = -v/tau + xi*tau**-0.5 : 1")).splitlines()[-1] == "v = _v"


def test_the_code_of_a_method():
    apply = StateUpdateMethod.apply_stateupdater
    assert apply(Equations("dv/dt = v*xi*second**-0.5 : 1"), {}, ["exact", "euler", milstein]).endswith("v = _v")
    for method in ("exact", "independent", "rk4", "exponential_euler", euler_method):
        with pytest.raises(UnsupportedEquationsException):
            apply(Equations("dv/dt = v*xi*second**-0.5 : 1"), {}, method)
    assert apply(Equations("dv/dt = -v/tau : 1"), {}, lambda *_: "x_new = x") == "x_new = x"
    with pytest.raises(ValueError, match="there is no integration method 'rk5'"):
        apply(Equations("dv/dt = -v/tau : 1"), {}, "rk5")


def test_the_log_tells_which_method_was_chosen(caplog):
    group = NeuronGroup(1, "dx/dt = -x/ms + x*xi*ms**-0.5 : 1", name="walkers")
    with caplog.at_level(logging.INFO, logger="brianlike.stateupdaters"):
        Network(group).run(1 * ms)
        Network(NeuronGroup(1, "dx/dt = -x/ms : 1", method="rk4")).run(1 * ms)
    assert [record.getMessage() for record in caplog.records] == ["walkers is integrated by 'heun', the first of the methods that can"]


def test_options():
    NeuronGroup(1, "dx/dt = -x/ms : 1", "exact", {"simplify": False})
    NeuronGroup(1, "dx/dt = -x/ms : 1", method_options={"simplify": True})
    for method, options in (("exact", {"simplfy": True}), ("euler", {"simplify": True}), ("independent", {"simplify": True}), (EULER_MARUYAMA, {"a": 1})):
        with pytest.raises(KeyError, match="is not an option of method="):
            NeuronGroup(1, "dx/dt = -x/ms : 1", method=method, method_options=options)


# ---------------------------------------------------------------------------------------------------------------------------- methods of a user's own
LORENZ = "dx/dt = (y - x)*10*Hz : 1\ndy/dt = (28*x - y - x*z + sin(t/ms))*Hz : 1\ndz/dt = (x*y - 8*z/3)*Hz : 1"
START = {"x": 1.0, "y": 2.0, "z": 20.0}
DESCRIPTIONS = {
    "rk2": "k = dt*f(x, t)\nx_new = x + dt*f(x + k/2, t + dt/2)",
    "rk4": """k_1 = dt*f(x,t)
              k_2 = dt*f(x+k_1/2,t+dt/2)
              k_3 = dt*f(x+k_2/2,t+dt/2)
              k_4 = dt*f(x+k_3,t+dt)
              x_new = x+(k_1+2*k_2+2*k_3+k_4)/6""",
    "euler": "x_new = x + dt * f(x,t) + g(x,t) * dW",
}


@pytest.mark.parametrize("method", DESCRIPTIONS)
def test_a_description_is_the_method_it_describes(method):
    own = ExplicitStateUpdater(DESCRIPTIONS[method])
    np.testing.assert_allclose(simulate(LORENZ, START, 20, 1.0, own), simulate(LORENZ, START, 20, 1.0, method), rtol=1e-13)


def test_descriptions_with_noise():
    own = ExplicitStateUpdater(
        """
        x_support = x + .001*dt**.5 * g(x, t)   # Milstein's
        g_support = g(x_support, t)
        k = 1/(.002*dt**.5)*(g_support - g(x, t))*(dW**2)
        x_new = x + dt*f(x,t) + g(x, t) * dW + k
        """,
        stochastic="multiplicative",
    )
    equations, _ = ENGINES["milstein"]
    found = simulate(equations, {"x": 1.0, "y": 0.5}, 5, 0.1, own, 4)
    seed(1)
    np.testing.assert_allclose(found, simulate(equations, {"x": 1.0, "y": 0.5}, 5, 0.1, "milstein", 4), rtol=1e-9)
    with pytest.raises(IntegrationError, match="cannot integrate noise"):
        simulate(GEOMETRIC, {"x": 1.0}, 1, 0.1, ExplicitStateUpdater("x_new = x + dt*f(x, t)"))
    with pytest.raises(IntegrationError, match="needs additive noise"):
        simulate(GEOMETRIC, {"x": 1.0}, 1, 0.1, ExplicitStateUpdater(DESCRIPTIONS["euler"], stochastic="additive"))


def test_several_noises_count_what_has_no_noise_once():
    predictor = ExplicitStateUpdater("y = x + dt*f(x, t) + g(x, t)*dW\nx_new = y", stochastic="multiplicative")
    found = simulate(COMMUTING, {"x": 1.0}, 3, 0.1, predictor, 5)
    seed(1)
    np.testing.assert_allclose(found, simulate(COMMUTING, {"x": 1.0}, 3, 0.1, EULER_MARUYAMA, 5), rtol=1e-12)
    corrector = ExplicitStateUpdater("y = x + g(x, t)*dW\nx_new = x + dt*f(y, t) + g(x, t)*dW", stochastic="multiplicative")
    simulate(GEOMETRIC, {"x": 1.0}, 3, 0.1, corrector)
    with pytest.raises(IntegrationError, match="does not say how the noises `xi_1`, `xi_2` combine"):
        simulate(COMMUTING, {"x": 1.0}, 3, 0.1, corrector)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("x_new = x + dt*h(x, t)", "`h` is not"),
        ("x_new = x + k", "`k` is not known\n  x_new = x \\+ k\n              \\^"),
        ("x_new = x + f(x)", "`f` and `g` take a state and a time"),
        ("k = dt*f(x, t)", "does not say what `x_new` is"),
        ("x_new = x\nk = 3", "not a line of a description"),
        ("dt = 3\nx_new = x", "`dt` is given"),
        ("print(x)", "not a line of a description"),
        ("x_new = x + dt*f(x + f(x, t)*dt, t", "take a state and a time"),
        ("", "does not say what `x_new` is"),
    ],
)
def test_wrong_descriptions(description, message):
    with pytest.raises(ModelError, match=message):
        ExplicitStateUpdater(description)


def test_custom_check_and_lists():
    def refuse(equations, variables):
        raise UnsupportedEquationsException("not these")

    own = ExplicitStateUpdater("x_new = x", custom_check=refuse)
    with pytest.raises(IntegrationError, match="not these"):
        chosen_method("dx/dt = -x/ms : 1", own)
    assert chosen_method("dx/dt = -x/ms : 1", (own, "rk2")) == "rk2"


def test_registered_methods(monkeypatch):
    monkeypatch.setattr(StateUpdateMethod, "stateupdaters", dict(StateUpdateMethod.stateupdaters))
    StateUpdateMethod.register("Half", ExplicitStateUpdater("x_new = x + dt*f(x, t)/2"))
    assert simulate("dx/dt = 1/ms : 1", {"x": 0.0}, 1, 0.1, "half") == pytest.approx(0.5)
    with pytest.raises(ValueError, match="already"):
        StateUpdateMethod.register("euler", ExplicitStateUpdater("x_new = x"))
    with pytest.raises(ValueError, match="a method is a StateUpdateMethod"):
        StateUpdateMethod.register("other", 3)


def test_functions_write_the_code_of_a_step():
    seen = []

    def backward(equations, variables, options):
        seen.append((sorted(equations.diff_eq_names), sorted(variables)[:2], options))
        return "_tmp = x + dt*y/ms\n_x = _tmp/(1 + dt/(2*ms))\nx = _x\ny = _tmp"

    found = simulate("dx/dt = (y - x/2)/ms : 1\ndy/dt = -y/ms : 1", {"x": 1.0, "y": 1.0}, 0.1, 0.1, backward)
    np.testing.assert_allclose(found.ravel(), [1.1 / 1.05, 1.1], rtol=1e-13)
    assert seen == [(["x", "y"], ["N", "dt"], {})]


def test_written_code_stops_while_refractory():
    found = []
    for method in ("euler", lambda *_: "x = x + dt/ms"):
        group = NeuronGroup(1, "dx/dt = 1/ms : 1 (unless refractory)", threshold="x > 0.25", reset="x = 0", refractory=0.5 * ms, method=method)
        monitor = StateMonitor(group, "x", record=True)
        Network(group, monitor).run(1 * ms)
        found.append(np.asarray(monitor.x_)[0])
    np.testing.assert_allclose(found[1], found[0], atol=1e-12)
    np.testing.assert_allclose(found[0], [0, 0.1, 0.2, 0, 0, 0, 0, 0, 0.1, 0.2], atol=1e-12)


def test_what_cannot_be_a_method():
    with pytest.raises(TypeError, match="method must be the name of an integrator"):
        NeuronGroup(1, "v : 1", method=5)
    with pytest.raises(TypeError, match="method must be the name of an integrator"):
        NeuronGroup(1, "v : 1", method=())
    with pytest.raises(TypeError, match="cannot be one of several methods"):
        Network(NeuronGroup(1, "dv/dt = -v/ms : 1", method=("exact", lambda *_: "v = v"))).run(1 * ms)
    with pytest.raises(TypeError, match="returns the code of a step as text, not 3"):
        Network(NeuronGroup(1, "dv/dt = -v/ms : 1", method=lambda *_: 3)).run(1 * ms)


@pytest.mark.parametrize("method", ["euler", "rk4", "exponential_euler", None])
def test_random_functions_in_equations_draw_anew_wherever_the_method_evaluates_them(method: str | None) -> None:
    steps, n, ends = 10, 4000, []
    for target in ("numpy", "cython"):
        prefs.codegen.target = target
        seed(11)
        G = NeuronGroup(n, "dx/dt = randn()/dt : 1", method=method) if method else NeuronGroup(n, "dx/dt = randn()/dt : 1")
        Network(G).run(steps * 0.1 * ms)
        ends.append(G.x[:])
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-10, atol=1e-10)
    # rk4 has four draws a step, with the weights 1/6, 1/3, 1/3, 1/6.
    variance = steps * (2 / 36 + 2 / 9 if method == "rk4" else 1)
    assert abs(ends[0].var() / variance - 1) < 6 * np.sqrt(2 / n) and abs(ends[0].mean()) < 6 * np.sqrt(variance / n)


def test_exact_refuses_random_functions() -> None:
    with pytest.raises(IntegrationError, match=r"reads `randn\(\)`, which changes during a step"):
        Network(NeuronGroup(1, "dx/dt = randn()/ms : 1", method="exact")).run(0.1 * ms)


def test_the_factor_of_additive_noise_may_come_from_a_table() -> None:
    table = TimedArray([0, 1], dt=1 * ms)
    G = NeuronGroup(1, "dv/dt = table(t)*xi*(5*ms)**-0.5 : 1", method="euler", namespace={"table": table}, dt=0.1 * ms)
    net = Network(G)
    net.run(1 * ms)
    assert G.v[0] == 0
    net.run(0.1 * ms)
    assert G.v[0] != 0
