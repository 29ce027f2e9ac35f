"""Groups of neurons and of inputs: what their constructors accept, and which spikes inputs give."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brianlike.equations import Equations
from brianlike.groups import NeuronGroup
from brianlike.inputs import InputGroup, PoissonGroup, SpikeGeneratorGroup
from brianlike.logger import catch_logs
from brianlike.monitors import SpikeMonitor, StateMonitor
from brianlike.network import Network
from brianlike.preferences import prefs
from brianlike.units import DimensionMismatchError, Hz, kHz, ms, second, volt
from codegen.errors import EquationError, ModelError, UnitError, UnknownNameError
from codegen.ir import Model

LIF = "dv/dt = -v/tau : volt (unless refractory)\ntau : second (constant)"


# ------------------------------------------------------------------------------------------------------------------------------------- NeuronGroup
def test_a_group_knows_what_it_was_made_from() -> None:
    G = NeuronGroup(3, Equations(LIF), "euler", threshold="v > 1*mV", reset="v = 0*mV", refractory=5 * ms, order=2, namespace={"a": 1}, name="cells")
    assert (G.N, len(G), G.name, G.when, G.order, G.method, G.active) == (3, 3, "cells", "groups", 2, "euler", True)
    assert (G.threshold, G.reset, G.refractory, G.namespace) == ("v > 1*mV", "v = 0*mV", "0.005*second", {"a": 1})
    assert isinstance(G.model, Model) and G.model.refractory is not None and not G.model.refractory.conditional
    assert G.spikes.dtype == np.int32 and G.spikes.size == 0 and list(G.i) == [0, 1, 2] and G.t == 0 * ms and G.dt == 0.1 * ms
    assert G.equations.names == {"v", "tau"} and list(G.state["i"]) == [0, 1, 2] and G.state["N"] == 3
    assert eval(repr(G)).equations == G.equations and NeuronGroup(np.int64(2)).N == 2 and NeuronGroup(2.0).N == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("refractory", [False, 0 * ms, 3 * ms, "tau", "v > 1*mV", "3*ms"])
def test_refractory_takes_times_and_conditions(refractory: object) -> None:
    G = NeuronGroup(2, LIF, threshold="v > 1*mV", refractory=refractory)
    assert ("_lastspike_step" in G.state) is (refractory is not False)
    assert refractory is False or (G.model.refractory is not None and G.model.refractory.conditional == (refractory == "v > 1*mV"))


def test_the_time_before_the_first_spike_does_not_depend_on_dt() -> None:
    for dt in (0.1 * ms, 1 * ms, 0.01 * ms):
        G = NeuronGroup(1, LIF, threshold="v > 1*mV", refractory=1 * ms, dt=dt)
        assert np.allclose(G.lastspike_, -1e4)


WRONG: dict[str, tuple[type[Exception], str]] = {
    "NeuronGroup(0, LIF)": (ValueError, "N must be from 1 to 2**31 - 1, not 0"),
    "NeuronGroup(2**31, LIF)": (ValueError, "N must be from 1 to 2**31 - 1, not 2147483648"),
    "NeuronGroup(np.inf, LIF)": (TypeError, "N must be a whole number of neurons, not inf"),
    "NeuronGroup(1, 'v : 1', dtype={'v': int})": (TypeError, "'v' cannot have the type int64: its equation declares another kind"),
    "NeuronGroup(1, 'v : 1', name='no_w').get_states(['w'])": (KeyError, "\"'no_w' has no variable"),
    "NeuronGroup(3, 'v : 1', name='one_index').v[0, 1]": (IndexError, "variables of 'one_index' have one index, not 2"),
    "NeuronGroup(True, LIF)": (TypeError, "N must be a whole number of neurons, not True"),
    "NeuronGroup(LIF, 3)": (TypeError, "N must be a whole number of neurons"),
    "NeuronGroup(1, 3)": (TypeError, "equations are given as text, not int"),
    "NeuronGroup(1, 'dv/dt = -v/tau')": (EquationError, "the equation of `v` has no unit"),
    "NeuronGroup(1, 'v : mV')": (UnitError, "`mV` cannot be the unit of an equation"),
    "NeuronGroup(1, 'v : vlot')": (UnknownNameError, "`vlot` is not a unit"),
    "NeuronGroup(1, 'i : 1')": (EquationError, "`i` is reserved"),
    "NeuronGroup(1, LIF, reset='v = 0*mV')": (EquationError, "a reset without a threshold would never happen"),
    "NeuronGroup(1, LIF, threshold=3)": (TypeError, "threshold must be text, not 3"),
    "NeuronGroup(1, LIF, method=3)": (TypeError, "method must be the name of an integrator such as 'exact' or 'euler', a method, or a list of them, not 3"),
    "NeuronGroup(1, LIF, threshold='v > 0*mV', refractory=3)": (DimensionMismatchError, "refractory must be a time such as 0.1*ms, not 3 (no unit)"),
    "NeuronGroup(1, LIF, threshold='v > 0*mV', refractory=True)": (TypeError, "refractory must be False, a time or a string, not True"),
    "NeuronGroup(1, LIF, threshold='v > 0*mV', refractory=-1*ms)": (EquationError, "a refractory period of -0.001 seconds is not possible"),
    "NeuronGroup(2, LIF, threshold='v > 0*mV', refractory=[1, 2]*ms)": (TypeError, "refractory must be one time or a string; for one time a neuron"),
    "NeuronGroup(1, LIF, events={'burst': 3})": (TypeError, "events maps names to conditions in strings, not 'burst' to 3"),
    "NeuronGroup(1, LIF, namespace=[1])": (TypeError, "namespace must be a dict from names to values, not list"),
    "NeuronGroup(1, LIF, dt=3)": (DimensionMismatchError, "dt of 'clock' must be a time such as 0.1*ms, not 3 (no unit)"),
    "NeuronGroup(1, LIF, dtype=int)": (TypeError, "the variables of equations can be float64 or float32, not int64"),
    "NeuronGroup(1, LIF, name='a b')": (ValueError, "'a b' cannot be a name"),
    "NeuronGroup(1, LIF, order=0.5)": (TypeError, "order must be a whole number, not 0.5"),
    "NeuronGroup(1, LIF, name='a').run_regularly(0)": (TypeError, "the code of 'a' must be text, not int"),
    "PoissonGroup(2, 3)": (DimensionMismatchError, "poissongroup"),
    "PoissonGroup(2, -3*Hz)": (ValueError, "rates must be finite and not negative, but contain -3 Hz"),
    "PoissonGroup(2, [1, 2, 3]*Hz)": (ValueError, "poissongroup"),
    "PoissonGroup(2, 'i*')": (ModelError, "a value is missing after `*`"),
    "PoissonGroup(2, 'i*Hz').rates = 3*Hz": (TypeError, "'rates' of 'poissongroup"),
    "SpikeGeneratorGroup(2, [0, 2], [1, 2]*ms, name='g')": (IndexError, "'g' has neurons 0 to 1, but indices contains 2"),
    "SpikeGeneratorGroup(2, [0, -1], [1, 2]*ms, name='g')": (IndexError, "'g' has neurons 0 to 1, but indices contains -1"),
    "SpikeGeneratorGroup(2, [0.5], [1]*ms, name='g')": (TypeError, "indices of 'g' must be whole numbers, not float64"),
    "SpikeGeneratorGroup(2, [0, 1], [1]*ms, name='g')": (ValueError, "indices and times of 'g' must be lists of one length, but have shapes (2,) and (1,)"),
    "SpikeGeneratorGroup(2, [0], [1], name='g')": (DimensionMismatchError, "times of 'g' must be a time such as 0.1*ms, not [1] (no unit)"),
    "SpikeGeneratorGroup(2, [0], [-1]*ms, name='g')": (ValueError, "times of 'g' must be finite and not negative, but contain -0.001 s"),
    "SpikeGeneratorGroup(2, [0], [np.nan]*ms, name='g')": (ValueError, "times of 'g' must be finite and not negative, but contain nan s"),
    "SpikeGeneratorGroup(2, [1, 0, 1], [1, 1, 1]*ms, name='g')": (ValueError, "neuron 1 of 'g' spikes twice at 0.001 s"),
    "SpikeGeneratorGroup(2, [0, 1], [2, 1]*ms, sorted=True, name='g')": (ValueError, "sorted=True, but the spike times of 'g' are not in order"),
    "SpikeGeneratorGroup(2, [0], [2]*ms, period=2*ms, name='g')": (ValueError, "the last spike of 'g' (0.002 s) must come before the end of its period"),
    "SpikeGeneratorGroup(2, [0], [1]*ms, period=-2*ms, name='g')": (ValueError, "period of 'g' must not be negative"),
}


@pytest.mark.parametrize("code", WRONG)
def test_wrong_arguments_are_refused(code: str) -> None:
    error, text = WRONG[code]
    with pytest.raises(error) as caught:
        exec(code, dict(globals()))
    message = re.sub(r"'clock_\d+'", "'clock'", str(caught.value))  # the first name is taken while another clock is alive
    assert message.startswith(text)


def test_what_scripts_give_is_taken_as_brian_takes_it() -> None:
    with catch_logs() as caught:
        assert len(NeuronGroup(0.29 * 100, "v : 1")) == 28 and len(NeuronGroup(0.8 * 1000, "v : 1")) == 800
    assert [name for _, name, _ in caught] == ["brianlike.groups.neurongroup.size"]
    G = NeuronGroup(3, "v : volt\nn : integer\nf : Hz (shared)", dtype={"v": np.float64, "n": np.int64, "other": "float32"})
    assert np.asanyarray(G.v).dim == volt.dim and np.asanyarray(G.f).dim == Hz.dim
    assert type(np.asarray(G.v)) is np.ndarray and "volt" not in repr(np.asarray(G.v))
    assert G.name in G._repr_html_()


def test_a_flag_without_effect_is_reported() -> None:
    with catch_logs() as caught:
        NeuronGroup(1, LIF, threshold="v > 1*mV", reset="v = 0*mV")
        NeuronGroup(1, LIF, threshold="v > 1*mV", reset="v = 0*mV", refractory="v > 0*mV")
    assert [name for _, name, _ in caught] == ["brianlike.groups.neurongroup.no_refractory"]


def test_integer_subexpressions_drop_fractions() -> None:
    n = 2  # noqa: F841
    G = NeuronGroup(
        4,
        """k = i % n : integer
                          c = clip(i, -0.5, 1.5) : integer
                          dx/dt = c*Hz : 1""",
        method="euler",
    )
    monitor = StateMonitor(G, ["k", "c"], record=True)
    Network(G, monitor).run(0.1 * ms)
    assert list(G.k) == list(monitor.k[:, 0]) == [0, 1, 0, 1] and list(G.c) == list(monitor.c[:, 0]) == [0, 1, 1, 1]
    assert np.allclose(G.x, np.array([0, 1, 1, 1]) * 1e-4)


@pytest.mark.parametrize(
    ("model", "arguments", "error"),
    [
        ("v : 1", {"refractory": "3*Hz"}, TypeError),
        ("v : 1", {"refractory": "3"}, TypeError),
        ("y = rand() : 1\nv : 1", {}, SyntaxError),
    ],
)
def test_runs_raise_what_scripts_catch(model: str, arguments: dict[str, str], error: type[Exception]) -> None:
    with pytest.raises(error):
        Network(NeuronGroup(1, model, **arguments)).run(0 * ms)


# ------------------------------------------------------------------------------------------------------------------------------------------ inputs
def test_rates() -> None:
    P = PoissonGroup(3, [1, 2, 3] * Hz, name="noise")
    assert list(P.rates_) == [1, 2, 3] and P.when == "thresholds" and P.threshold == "rand() < rates*dt" and P.model.events[0].name == "spike"
    P.rates = 5 * kHz
    P.rates[0] = "2*rates"
    assert list(P.rates_) == [10_000, 5_000, 5_000]
    fast = 7 * Hz
    T = PoissonGroup(3, "i*fast + t*Hz/second")
    assert list(T.rates_) == [0, 7, 14] and fast == 7 * Hz
    with pytest.raises(AttributeError, match="did you mean 'rates'"):
        P.rate = 3 * Hz


@st.composite
def trains(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    spikes = draw(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 3)), unique=True, max_size=30))
    return spikes, draw(st.sampled_from([0, 20, 25, 33]))


@given(trains(), st.integers(0, 70), st.integers(0, 30), st.sampled_from([1e-4, 1e-3, 2.5e-5]), st.floats(-0.0009, 0.99))
def test_spikes_fall_into_the_right_steps(train: tuple[list[tuple[int, int]], int], first: int, steps: int, dt: float, within: float) -> None:
    """Any part of a run sees the same spikes; a time up to a thousandth of a step early belongs to the step it means."""
    spikes, period = train
    times = np.array([max(0.0, (step + within) * dt) for step, _ in spikes])
    G = SpikeGeneratorGroup(4, [n for _, n in spikes], times * second, dt=dt * second, period=period * dt * second)
    offsets, indices = G.events_by_step(first, steps, dt)
    assert offsets.dtype == np.int64 and indices.dtype == np.int32 and offsets.size == steps + 1 and offsets[0] == 0
    for k in range(steps):
        now = (first + k) % period if period else first + k
        assert sorted(indices[offsets[k] : offsets[k + 1]]) == sorted(n for step, n in spikes if step == now)


def test_set_spikes_replaces_all_or_nothing() -> None:
    G = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms)
    with pytest.raises(ValueError, match="spikes twice"):
        G.set_spikes([0, 0], [1, 1] * ms)
    assert list(G.events_by_step(0, 30, 1e-4)[1]) == [0, 1]
    G.set_spikes([1], [0.5] * ms, period=1 * ms)
    assert list(np.flatnonzero(np.diff(G.events_by_step(0, 30, 1e-4)[0]))) == [5, 15, 25]


@pytest.mark.parametrize("error", [ValueError, NotImplementedError])
def test_the_period_must_be_a_multiple_of_dt_when_the_run_begins(error: type[Exception]) -> None:
    G = SpikeGeneratorGroup(2, [0], [1] * ms, period=2.05 * ms, dt=0.1 * ms, name="g")
    with pytest.raises(error, match=r"the period of 'g' \(0.00205 s\) must be a multiple of its dt \(0.0001 s\)"):
        Network(G).run(0 * ms)
    G.clock.dt = 0.05 * ms
    Network(G).run(0 * ms)


def test_dt_may_become_smaller_after_the_spikes_are_given() -> None:
    G = SpikeGeneratorGroup(2, [0, 0], [1, 1.05] * ms, dt=0.1 * ms, name="g")
    monitor = SpikeMonitor(G)
    net = Network(G, monitor)
    with pytest.raises(ValueError, match="neuron 0 of 'g' spikes twice in the step at 0.001 s"):
        net.run(2 * ms)
    assert monitor.num_spikes == 0 and net.t == 0 * ms
    G.clock.dt = 0.05 * ms
    monitor.clock.dt = 0.05 * ms
    net.run(2 * ms)
    assert monitor.num_spikes == 2


def test_the_given_spikes_can_be_read() -> None:
    G = SpikeGeneratorGroup(3, [2, 0, 1], [3, 1, 2] * ms)
    assert list(G.neuron_index) == [0, 1, 2] and list(G.spike_time / ms) == [1, 2, 3]


def test_a_larger_dt_is_checked_when_it_is_used() -> None:
    G = SpikeGeneratorGroup(2, [0, 0], [1, 1.5] * ms, name="g")
    with pytest.raises(ValueError, match=r"neuron 0 of 'g' spikes twice in the step at 0.001 s \(dt is 0.001 s\)"):
        G.events_by_step(0, 3, 1e-3)


def test_input_groups_are_silent_until_told() -> None:
    inputs = InputGroup(5, "x")
    assert (inputs.N, inputs.name, inputs.when) == (5, "x", "thresholds") and inputs.events_by_step(0, 10, 1e-4)[1].size == 0
    inputs.set_spikes([4, 3], [0.2, 0.1] * ms)
    offsets, indices = inputs.events_by_step(0, 4, 1e-4)
    assert list(offsets) == [0, 0, 1, 2, 2] and list(indices) == [3, 4] and repr(inputs) == "InputGroup(5, name='x')"


def test_a_variable_may_be_called_like_an_attribute() -> None:
    G = NeuronGroup(2, "dv/dt = (threshold - v)/(10*ms) : 1 \n threshold : 1 \n state : 1", threshold="v > threshold", reset="v = 0", method="euler")
    with catch_logs() as logs:  # said once in a process
        NeuronGroup(1, "contained_objects : 1")
    assert logs[0][1].endswith("hidden_variable") and "group.view('contained_objects')[:]" in logs[0][2]
    G.threshold = [1, 2]
    G.state = 5
    assert G.view("threshold")[:].tolist() == [1, 2] and G.view("state")[:].tolist() == [5, 5] and G.threshold[:].tolist() == [1, 2]
    G.run_regularly("state = threshold")
    Network(G).run(0.1 * ms)
    assert G.view("state")[:].tolist() == [1, 2]


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_booleans_of_the_namespace_count_as_numbers(target: str) -> None:
    prefs.codegen.target = target
    ends = []
    for drive in (True, False):
        G = NeuronGroup(1, "dv/dt = (2*drive - v*drive)/(10*ms) : 1", threshold="v > 5 and drive", reset="v = 0", namespace={"drive": drive}, method="euler")
        Network(G).run(0.2 * ms)
        ends.append(G.v[0])
    assert ends == [pytest.approx(0.0398), 0]
    prefs.reset_to_defaults()
