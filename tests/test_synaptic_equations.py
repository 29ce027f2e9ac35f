"""Equations of synapses on both engines: at every step, from event to event, and summed into the neurons."""

import numpy as np
import pytest

import brianlike
from brianlike import *

TAU = 20 * ms
DT = 1e-4


@pytest.fixture(autouse=True, params=["numpy", "cython"])
def engine(request):
    start_scope()
    prefs.codegen.target = request.param
    yield request.param


def spikes(steps, size=1):
    """Inputs whose neuron 0 spikes in the given steps."""
    return SpikeGeneratorGroup(size, [0] * len(steps), [(s + 0.5) * DT for s in steps] * second)


def recorded(objects, *monitors, steps=20):
    net = Network(*objects, *monitors)
    net.run(steps * DT * second)
    return net


# ---------------------------------------------------------------------------------------------------------------------------------------- event-driven
def test_traces_are_solved_from_event_to_event():
    source, G = spikes([2, 12, 13]), NeuronGroup(1, "v : 1")
    S = Synapses(source, G, "dx/dt = -x/TAU : 1 (event-driven)\nlast : second", on_pre="last = lastupdate\nx += 1")
    S.connect()
    values = StateMonitor(S, ["x", "lastupdate", "last"], record=True)
    recorded([source, G, S], values)
    after = [1, 1 + np.exp(-10 * DT / 0.02)]
    after.append(1 + after[1] * np.exp(-DT / 0.02))
    # What is stored changes at events only; slot start comes before delivery.
    np.testing.assert_allclose(values.x[0], [0] * 3 + [after[0]] * 10 + [after[1]] + [after[2]] * 6, rtol=1e-12)
    np.testing.assert_allclose(values.lastupdate_[0], [0] * 3 + [2e-4] * 10 + [12e-4] + [13e-4] * 6)
    np.testing.assert_allclose(values.last_[0], [0] * 13 + [2e-4] + [12e-4] * 6)


def test_both_pathways_update_with_their_delays():
    source, G = spikes([2]), spikes([3])
    S = Synapses(source, G, "dx/dt = (5 - x)/TAU : 1 (event-driven)\ny : 1", on_pre="y += x", on_post="x += 1", delay={"pre": 0.4 * ms})
    S.connect()
    recorded([source, G, S])
    arrived = 5 - 5 * np.exp(-3 * DT / 0.02) + 1
    np.testing.assert_allclose(S.x[0], 5 + (arrived - 5) * np.exp(-3 * DT / 0.02), rtol=1e-12)
    np.testing.assert_allclose(S.y, S.x, rtol=1e-12)
    np.testing.assert_allclose(S.lastupdate_, 6e-4)


def test_values_and_times_can_be_set():
    source, G = spikes([10]), NeuronGroup(1, "v : 1")
    S = Synapses(source, G, "dx/dt = -x/tau : 1 (event-driven)\ntau : second", on_pre="v_post += x")
    S.connect(n=3)
    S.x, S.tau, S.lastupdate = [1, 2, 3], [1, 2, 3] * ms, [0, 0.5, 1] * ms
    recorded([source, G, S])
    expected = np.array([1, 2, 3]) * np.exp(-np.array([1, 0.25, 0]))
    np.testing.assert_allclose(S.x, expected, rtol=1e-12)
    np.testing.assert_allclose(G.v[0], expected.sum(), rtol=1e-12)
    S.connect()
    np.testing.assert_allclose(S.lastupdate_, [1e-3, 1e-3, 1e-3, 0])


def test_coupled_traces_have_closed_forms(engine):
    source, G = spikes([0, 7, 19]), NeuronGroup(1, "v : 1")
    equations = "dx/dt = (y - x)/(7*ms) : 1 (event-driven)\ndy/dt = -y/(3*ms) : 1 (event-driven)"
    S = Synapses(source, G, equations, on_pre="y += 1")
    S.connect()
    recorded([source, G, S])
    x = y = 0.0
    for gap in (0, 7e-4, 12e-4):
        a, b = np.exp(-gap / 7e-3), np.exp(-gap / 3e-3)
        x, y = x * a + y * (a - b) / (1 / 3e-3 - 1 / 7e-3) / 7e-3, y * b + 1
    np.testing.assert_allclose([S.x[0], S.y[0]], [x, y], rtol=1e-10)


def test_traces_may_read_parameters_and_neurons():
    source, G = spikes([4]), NeuronGroup(2, "v : 1")
    G.v = [1, 2]
    S = Synapses(source, G, "dx/dt = (goal - x)/TAU : 1 (event-driven)\ngoal = 2*v_post + w : 1\nw : 1", on_pre="v_post += 0")
    S.connect()
    S.w = "j"
    recorded([source, G, S])
    np.testing.assert_allclose(S.x, np.array([2, 5]) * -np.expm1(-4e-4 / 0.02), rtol=1e-12)


# ---------------------------------------------------------------------------------------------------------------------------------------- clock-driven
@pytest.mark.parametrize("flag", ["", " (clock-driven)"])
def test_equations_run_in_every_step(flag):
    source, G = spikes([3]), NeuronGroup(2, "v : 1")
    G.v = [1, 3]
    S = Synapses(source, G, f"dx/dt = (v_post - x)/TAU : 1{flag}", on_pre="x += 1", method="euler")
    S.connect()
    values = StateMonitor(S, "x", record=True, when="end")
    recorded([source, G, S], values, steps=6)
    x, expected = np.zeros(2), []
    for step in range(6):
        x = x + DT / 0.02 * (np.array([1, 3]) - x) + (step == 3)
        expected.append(x)
    np.testing.assert_allclose(values.x.T, expected, rtol=1e-12)


def test_the_method_of_synapses_is_chosen_as_that_of_neurons():
    G = NeuronGroup(1, "v : 1")
    S = Synapses(G, G, "dx/dt = (1 - x)/TAU : 1 (clock-driven)")
    S.connect()
    recorded([G, S], steps=5)
    np.testing.assert_allclose(S.x, -np.expm1(-5e-4 / 0.02), rtol=1e-12)


def test_synapses_of_all_types():
    G = NeuronGroup(2, "v : 1\nn : integer\non : boolean", threshold="v > 0", reset="v = 0")
    G.v = [1, 0]
    S = Synapses(G, G, "k : integer\nb : boolean\nc : 1 (constant)\ns : 1 (shared)\nboth = b and on_pre : boolean", on_pre="k += 1 + j\nb = k > 1\nn_post += k")
    S.connect(i=0, j=[0, 1])
    S.s, G.on = 3, [True, False]
    recorded([G, S], steps=2)
    np.testing.assert_array_equal(S.k, [1, 2])
    np.testing.assert_array_equal(S.b, [False, True])
    np.testing.assert_array_equal(S.both, [False, True])
    np.testing.assert_array_equal(G.n, [1, 2])


# --------------------------------------------------------------------------------------------------------------------------------------------- summed
def test_gap_junctions():
    G = NeuronGroup(3, "dv/dt = (gap - v)/TAU : 1\ngap : 1", method="euler")
    G.v = [1, 2, 4]
    S = Synapses(G, G, "w : 1\ngap_post = w*(v_pre - v_post) : 1 (summed)")
    S.connect(condition="i != j")
    S.w = 0.5
    values = StateMonitor(G, "gap", record=True)
    recorded([G, S], values, steps=3)
    v, gaps = np.array([1.0, 2, 4]), [np.zeros(3)]
    for _ in range(3):
        gaps.append(0.5 * (v.sum() - 3 * v))
        v = v + DT / 0.02 * (gaps[-1] - v)
    np.testing.assert_allclose(values.gap.T, gaps[:3], rtol=1e-12)
    np.testing.assert_allclose(G.v, v, rtol=1e-12)


def test_sums_into_both_sides_begin_at_zero_in_every_step():
    A, B = NeuronGroup(2, "a : volt\nx : volt"), NeuronGroup(3, "b : integer")
    A.x = [1, 2] * mV
    S = Synapses(A, B, "a_pre = x_pre*(j + 1) : volt (summed)\nb_post = i + 1 : integer (summed)")
    S.connect(i=[0, 0, 1], j=[0, 2, 2])
    recorded([A, B, S], steps=3)
    np.testing.assert_allclose(A.a_, [4e-3, 6e-3])
    np.testing.assert_array_equal(B.b, [1, 0, 3])


def test_the_place_of_a_sum_in_the_step_can_be_changed():
    G = NeuronGroup(1, "dv/dt = 1/ms : 1\nx : 1", method="euler")
    S = Synapses(G, G, "x_post = v_pre : 1 (summed)")
    S.connect()
    updater = S.summed_updaters["x_post"]
    assert (updater.when, updater.order, updater.name) == ("groups", -1, f"{S.name}_summed_variable_x_post")
    net = recorded([G, S], steps=2)
    assert G.x[0] == pytest.approx(0.1)
    updater.when = "end"
    net.run(DT * second)
    assert G.x[0] == pytest.approx(0.3)
    updater.active = False
    net.run(DT * second)
    assert G.x[0] == pytest.approx(0.3)


def test_sums_into_parts_of_a_group_leave_the_rest_alone():
    G = NeuronGroup(4, "x : 1\nv : 1")
    G.x, G.v = 9, [1, 2, 3, 4]
    first, second_part = Synapses(G, G[:2], "x_post = v_pre : 1 (summed)"), Synapses(G, G[2:3], "x_post = -v_pre : 1 (summed)")
    first.connect(), second_part.connect()
    recorded([G, first, second_part], steps=2)
    np.testing.assert_array_equal(G.x, [10, 10, -10, 9])


def test_two_sums_into_one_variable_are_refused():
    G = NeuronGroup(2, "x : 1")
    first, other = Synapses(G, G, "x_post = 1 : 1 (summed)"), Synapses(G, G, "x_post = 2 : 1 (summed)")
    first.connect(), other.connect()
    with pytest.raises(NotImplementedError, match="both sum into"):
        recorded([G, first, other])


# ------------------------------------------------------------------------------------------------------------------------------- constant over a step
def test_subexpressions_that_are_constant_over_dt_are_stored():
    G = NeuronGroup(3, "dv/dt = I/ms : 1\nI = rand() + s : 1 (constant over dt)\ns = t/ms : 1 (constant over dt, shared)", method="euler")
    np.testing.assert_array_equal(G.I, [0, 0, 0])
    values = StateMonitor(G, True, record=True)
    recorded([G], values, steps=5)
    np.testing.assert_allclose(values.s, [np.arange(5) / 10] * len(values.s))
    drawn = values.I - values.s
    assert len(np.unique(drawn)) == 15 and (drawn >= 0).all() and (drawn < 1).all()
    np.testing.assert_allclose(np.diff(values.v), 0.1 * values.I[:, :-1])
    np.testing.assert_array_equal(G.I, values.I[:, -1])


def test_synapses_store_subexpressions_too():
    source, G = spikes([1, 3]), NeuronGroup(1, "v : 1")
    S = Synapses(source, G, "I = 2*k + t/ms : 1 (constant over dt)\nk = 3 : 1", on_pre="v_post += I")
    S.connect()
    recorded([source, G, S], steps=5)
    np.testing.assert_allclose(G.v, 12.4)


def test_random_numbers_in_a_subexpression_need_the_flag():
    with pytest.raises(brianlike.ModelError, match=r"constant over dt"):
        recorded([NeuronGroup(1, "I = rand() : 1")])


# --------------------------------------------------------------------------------------------------------------------------------------------- errors
@pytest.mark.parametrize(
    ("equations", "part"),
    [
        ("dx/dt = -x/TAU : 1 (event-driven, clock-driven)", "cannot be both"),
        ("dx/dt = -x/TAU : 1 (event-driven)\ndy/dt = x/TAU : 1 (clock-driven)", "the clock-driven `y` cannot read the event-driven `x`"),
        ("dx/dt = -x/TAU : 1 (event-driven)\nz = 2*x : 1\ndy/dt = z/TAU : 1", "the clock-driven `y` cannot read the event-driven `x`"),
        ("dx/dt = y/TAU : 1 (event-driven)\ndy/dt = -y/TAU : 1", "the event-driven `x` cannot read the clock-driven `y`"),
        ("dx/dt = -x/TAU : 1 (event-driven)\na_post = x : 1 (summed)", "the summed `a_post` cannot read the event-driven `x`"),
        ("dx/dt = -x**2/TAU : 1 (event-driven)", "cannot be solved from event to event"),
        ("dx/dt = -x/TAU + xi*TAU**-0.5 : 1 (event-driven)", "cannot have noise"),
        ("dx/dt = -x/TAU : 1 (event-driven)\nlastupdate : second", "`lastupdate` is declared by event-driven equations"),
        ("a_post = 1 : 1 (summed, shared)", "`summed` cannot be combined"),
        ("a = 1 : 1 (summed)", "is no variable of the neurons"),
        ("b_post = 1 : 1 (summed)", "needs a parameter `b` of the postsynaptic neurons"),
        ("v_post = 1 : 1 (summed)", "needs a parameter `v` of the postsynaptic neurons"),
        ("a_post = 1*mV : volt (summed)", "the summed `a_post` has the unit volt, but `a` of the neurons has 1"),
        ("a_post = 1*mV : 1 (summed)", "`a_post` is a plain number, but gets volt"),
        ("a_post = True : 1 (summed)", "`a_post` is a number, but gets a condition"),
    ],
)
def test_equations_that_make_no_sense(equations, part):
    G = NeuronGroup(1, "dv/dt = -v/TAU : 1\na : 1", threshold="v > 1", reset="v = 0")
    with pytest.raises(brianlike.ModelError) as caught:
        S = Synapses(G, G, equations, on_pre="v_post += 0")
        S.connect()
        recorded([G, S])
    assert part in str(caught.value)


def test_lastupdate_is_a_name_like_others_without_traces():
    G = NeuronGroup(1, "v : 1", threshold="v > 0", reset="v = 0")
    G.v = 1
    S = Synapses(G, G, "lastupdate : second", on_pre="lastupdate = t + dt")
    S.connect()
    recorded([G, S], steps=1)
    np.testing.assert_allclose(S.lastupdate_, DT)


def test_coefficients_of_traces_are_computed_before_the_first_step():
    source, G = spikes([1]), NeuronGroup(1, "v : 1")
    S = Synapses(source, G, "dx/dt = -x/tau_x : 1 (event-driven)", on_pre="x += 1", name="plastic", namespace={"tau_x": 20 * ms})
    S.connect()
    program = explain(S)
    setup, delivery = program.split("setup map plastic.pre:setup")[1].split("step deliver plastic.pre")
    assert "/tau_x" in setup and "/tau_x" not in delivery.split("6. Source")[0] and "exp(" in delivery
