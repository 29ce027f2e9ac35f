"""Code besides equations, on both engines: run_regularly, custom events, what is shared, and what a write guard protects."""

import numpy as np
import pytest

import brianlike
from brianlike.only import *

STEPS = 8


@pytest.fixture(autouse=True, params=["numpy", "cython"])
def engine(request):
    start_scope()
    defaultclock.dt = 0.1 * ms
    prefs.codegen.target = request.param
    yield request.param
    prefs.reset_to_defaults()


def simulate(steps=STEPS, **recorded):
    """The network of the given groups, and what their variables are at the start of each step: {name: (group, variable)}."""
    monitors = {name: StateMonitor(*target, record=True) for name, target in recorded.items()}
    net = Network({id(group): group for group, _ in recorded.values()}, monitors)
    net.run(steps * defaultclock.dt)
    return {name: getattr(monitor, recorded[name][1] + "_") for name, monitor in monitors.items()}


# ------------------------------------------------------------------------------------------------------------------------------------- run_regularly
def test_code_runs_in_every_step_before_the_monitor_of_its_slot():
    G = NeuronGroup(3, "v : 1", name="cells")
    G.run_regularly("v += i + 1")
    np.testing.assert_array_equal(simulate(3, v=(G, "v"))["v"], [[1, 2, 3], [2, 4, 6], [3, 6, 9]])


def test_when_order_and_name_decide_which_code_is_first():
    G = NeuronGroup(1, "a : 1\nb : 1\nc : 1\nd : 1", name="cells")
    G.run_regularly("a = a*10 + 1")
    G.run_regularly("a = a*10 + 2")  # cells_run_regularly_1
    G.run_regularly("b = b*10 + 1", order=1)
    G.run_regularly("b = b*10 + 2")
    G.run_regularly("c = c*10 + 1", when="end")
    G.run_regularly("c = c*10 + 2", when="before_start")
    G.run_regularly("d = d*10 + 1", name="zebra")
    G.run_regularly("d = d*10 + 2", name="ant")
    Network(G).run(defaultclock.dt)
    assert [G.a[0], G.b[0], G.c[0], G.d[0]] == [12, 21, 21, 21]


def test_code_can_be_switched_off_and_taken_out():
    G = NeuronGroup(1, "v : 1\nw : 1")
    first, second = G.run_regularly("v += 1"), G.run_regularly("w += 1")
    net = Network(G)
    net.run(2 * defaultclock.dt)
    first.active = False
    G.contained_objects.remove(second)
    net.run(2 * defaultclock.dt)
    assert (G.v[0], G.w[0]) == (2, 2)
    first.active = True
    net.run(2 * defaultclock.dt)
    assert G.v[0] == 4


def test_names_are_those_of_brian():
    G = NeuronGroup(1, "v : 1", name="cells")
    assert [G.run_regularly("v += 1").name for _ in range(3)] == ["cells_run_regularly", "cells_run_regularly_1", "cells_run_regularly_2"]
    with pytest.raises(ValueError, match="has code called"):
        G.run_regularly("v += 1", name="cells_run_regularly")


def test_all_types_and_local_names():
    G = NeuronGroup(2, "v : volt\nn : integer\nb : boolean")
    G.run_regularly("up = 2*mV\nv += up\nn += 2\nb = not b and n > 3\nold = n; n = int(v/mV) + old")
    found = simulate(4, v=(G, "v"), n=(G, "n"), b=(G, "b"))
    np.testing.assert_allclose(found["v"][0], [0.002, 0.004, 0.006, 0.008])
    np.testing.assert_array_equal(found["n"][0], [4, 10, 18, 28])
    np.testing.assert_array_equal(found["b"][0], [False, True, False, True])


def test_values_are_passed_on_through_local_names():
    G = NeuronGroup(2, "v : 1\nw : 1")
    G.v, G.w = [1, 2], [3, 4]
    G.run_regularly("tmp = v\nv = w\nw = tmp")
    found = simulate(3, v=(G, "v"), w=(G, "w"))
    np.testing.assert_array_equal(found["v"], [[3, 1, 3], [4, 2, 4]])
    np.testing.assert_array_equal(found["w"], [[1, 3, 1], [2, 4, 2]])


def test_shared_variables_are_written_once_before_the_others():
    G = NeuronGroup(4, "v : 1\nx : 1\ns : 1 (shared)\nk : integer (shared)")
    G.run_regularly("old = s\ns = s + 1\nk += 2\nv = 10*old + s\nx = v + k")
    found = simulate(3, v=(G, "v"), s=(G, "s"), x=(G, "x"))
    np.testing.assert_array_equal(found["s"], [[1, 2, 3]] * 4)
    np.testing.assert_array_equal(found["v"], [[1, 12, 23]] * 4)
    np.testing.assert_array_equal(found["x"], [[3, 16, 29]] * 4)


def test_random_numbers_are_shared_or_not_as_their_target():
    G = NeuronGroup(5, "v : 1\ns : 1 (shared)\nw : 1")
    G.run_regularly("s = rand()\nx = rand()\nv = x\nw = s")
    G.run_regularly("w = w - s")
    found = simulate(3, v=(G, "v"), s=(G, "s"), w=(G, "w"))
    assert len(np.unique(found["v"])) == 15 and len(np.unique(found["s"])) == 3
    assert not np.isin(found["s"], found["v"]).any()
    np.testing.assert_array_equal(found["w"], np.zeros((5, 3)))


def test_two_codes_of_a_group_draw_different_numbers():
    G = NeuronGroup(100, "v : 1\nw : 1", threshold="rand() < 0.5", reset="")
    G.run_regularly("v = rand()")
    G.run_regularly("w = rand()")
    spikes = SpikeMonitor(G)
    Network(G, spikes).run(defaultclock.dt)
    assert not np.isin(G.v, G.w[:]).any()
    assert set(spikes.i) != set(np.flatnonzero(G.v[:] < 0.5))


def test_write_guards_hold_for_code_and_not_for_resets():
    G = NeuronGroup(1, "dv/dt = 0*Hz : 1 (unless refractory)\nw : 1", threshold="v >= 2", reset="v = 0.5", refractory=0.3 * ms, method="euler")
    G.run_regularly("v += 1\nw += 1")
    found = simulate(8, v=(G, "v"), w=(G, "w"))
    # Spikes in step 1; steps 2 and 3 start before the neuron may change again (not_refractory is renewed in the update).
    np.testing.assert_array_equal(found["v"][0], [1, 2, 0.5, 0.5, 0.5, 1.5, 2.5, 0.5])
    np.testing.assert_array_equal(found["w"][0], np.arange(1, 9))


def test_synapses_run_code_of_their_own_and_add_to_neurons():
    G = NeuronGroup(3, "v : 1\nx : 1")
    G.x = "i"
    S = Synapses(G, G, "w : 1\ns : 1 (shared)")
    S.connect(i=[0, 0, 1], j=[1, 2, 2])
    S.run_regularly("s += 1\nw += x_pre + s\nv_post += 1")
    net = Network(G, S)
    net.run(2 * defaultclock.dt)
    np.testing.assert_array_equal(S.w, [3, 3, 5])
    np.testing.assert_array_equal(G.v, [0, 2, 4])


# ------------------------------------------------------------------------------------------------------------------------------------------ errors
def error(text, equations="v : 1\ns : 1 (shared)\nc : 1 (constant)\nb : boolean"):
    G = NeuronGroup(2, equations)
    with pytest.raises(brianlike.ModelError) as caught:
        G.run_regularly(text)
        Network(G).run(defaultclock.dt)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("s = v", "`s` is shared, but gets a value that differs from element to element\n  s = v\n      ^"),
        ("v = 1\ns = 2", "`s` is shared, but written after code for single elements\n  s = 2\n  ^^^^^"),
        ("x = rand()\ns = 2", "`s` is shared, but written after code for single elements"),
        ("x = rand()\ns = x", "`s` is shared, but gets a value that differs from element to element\n  s = x"),
        ("c = 2", "`c` cannot be written: it is declared constant"),
        ("v = b", "`v` is a number, but gets a condition"),
        ("v = 2*mV", "`v` is a plain number, but gets volt"),
        ("v + 1", "this is not an assignment"),
        ("i = 2", "`i` cannot be written"),
        ("u += 1", "`u` is not known"),
    ],
)
def test_code_that_cannot_run(text, part):
    assert part in error(text)


@pytest.mark.parametrize("code", ["v_post *= w", "w = v_post\nv_post = 3", "v_post = w\nv_pre = w", "v_post = w\nv_post += w", "v_post = v_pre", "s_post = 1"])
def test_code_of_synapses_that_depends_on_their_order_is_refused(code):
    G = NeuronGroup(2, "v : 1\ns : 1 (shared)")
    S = Synapses(G, G, "w : 1")
    S.connect()
    S.run_regularly(code)
    with pytest.raises(brianlike.ModelError, match="cannot"):
        Network(G, S).run(defaultclock.dt)


def test_code_of_synapses_sets_variables_of_neurons_and_the_last_synapse_wins():
    """Order of creation, however the neurons are numbered; what a guard protects stays."""
    G, H = (
        NeuronGroup(4, "v : 1\nn : integer"),
        NeuronGroup(23, "v : 1\nu : 1\non : boolean\ndr/dt = 0*Hz : 1 (unless refractory)", threshold="i % 2 == 0", refractory=1 * ms),
    )
    pre, post = np.arange(200) * 7 % 4, np.arange(200)[::-1] ** 2 % 23
    S = Synapses(G, H, "w : 1")
    S.connect(i=pre, j=post)
    S.w = np.arange(200)
    S.run_regularly("w += 1\nv_post = 2*w\nu_post += w\nv_pre = w + t/dt\nn_pre = int(w)\non_post = w > 190\nr_post = w")
    Network(G, H, S).run(2 * defaultclock.dt)
    last_pre, last_post = ({int(n): k + 2 for k, n in enumerate(ends)} for ends in (pre, post))
    assert list(G.v) == [last_pre[n] + 1 for n in range(4)] and list(G.n) == [last_pre[n] for n in range(4)]
    assert list(H.v) == [2 * last_post.get(n, 0) for n in range(23)] and list(H.on) == [last_post.get(n, 0) > 190 for n in range(23)]
    assert list(H.u) == list(np.bincount(post, 2 * np.arange(200) + 3.0, minlength=23))
    assert list(H.r) == [last_post[n] - (n % 2 == 0) if n in last_post else 0 for n in range(23)]


def test_text_is_asked_for():
    with pytest.raises(TypeError, match="must be text"):
        NeuronGroup(1, "v : 1").run_regularly(3)


# ------------------------------------------------------------------------------------------------------------------------------------ custom events
def test_events_of_ones_own():
    G = NeuronGroup(3, "v : 1\nw : 1\nn : integer", events={"high": "v > 2"})
    G.run_regularly("v += i + 1")
    G.run_on_event("high", "v = 0\nn += 1")
    found = simulate(4, v=(G, "v"), n=(G, "n"))
    np.testing.assert_array_equal(found["v"], [[1, 2, 3, 1], [2, 4, 2, 4], [3, 3, 3, 3]])
    np.testing.assert_array_equal(found["n"], [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 2, 3]])


def test_events_are_not_refractory_and_their_code_is_not_guarded():
    equations = "dv/dt = 0*Hz : 1 (unless refractory)\nn : integer"
    G = NeuronGroup(1, equations, threshold="v > 0", reset="", refractory=1 * second, events={"again": "v > 0"}, method="euler")
    G.v = 1
    G.run_on_event("again", "v += 1\nn += 1")
    spikes = SpikeMonitor(G)
    Network(G, spikes).run(3 * defaultclock.dt)
    assert (G.v[0], G.n[0], spikes.num_spikes) == (4, 3, 1)


def test_the_slot_of_an_event_can_be_chosen():
    G = NeuronGroup(1, "v : 1\nn : integer\nm : integer", threshold="v > 1.5", reset="v = 0", events={"early": "v > 0.5", "late": "v > 0.5"})
    G.run_regularly("v += 1")
    G.set_event_schedule("late", when="end")
    G.run_on_event("early", "n += 1")
    G.run_on_event("late", "m += 1", when="after_end")
    Network(G).run(4 * defaultclock.dt)
    assert (G.n[0], G.m[0]) == (4, 2)  # the reset comes before the late check


def test_code_before_its_event_is_found_sees_the_step_before():
    G = NeuronGroup(1, "v : 1\nn : integer", events={"high": "v > 0"})
    G.v = 1
    G.run_on_event("high", "n += 1", when="start")
    Network(G).run(3 * defaultclock.dt)
    assert G.n[0] == 2


def test_events_that_do_not_exist():
    G = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0", events={"high": "v > 2"})
    with pytest.raises(ValueError, match="has no event 'low'"):
        G.run_on_event("low", "v = 0")
    with pytest.raises(ValueError, match="has no event 'low'"):
        G.set_event_schedule("low")
    with pytest.raises(ValueError, match="has code already"):
        G.run_on_event("spike", "v = 0")
    G.run_on_event("high", "v = 0")
    with pytest.raises(ValueError, match="has code already"):
        G.run_on_event("high", "v = 0")
    with pytest.raises(ValueError, match="both a threshold"):
        NeuronGroup(1, "v : 1", threshold="v > 1", events={"spike": "v > 1"})
    spiking = NeuronGroup(1, "v : 1", events={"spike": "v > 1"})
    spiking.run_on_event("spike", "v = 0", when="resets")
    assert spiking.events == {"spike": "v > 1"}


def test_shared_variables_cannot_be_written_by_single_neurons():
    G = NeuronGroup(2, "v : 1\ns : 1 (shared)", events={"high": "v > 0"})
    G.run_on_event("high", "s = 1")
    with pytest.raises(brianlike.ModelError, match="`s` cannot be written here: it is shared"):
        Network(G).run(defaultclock.dt)


# ----------------------------------------------------------------------------------------------------------------------------- events and synapses
def test_pathways_wait_for_events_of_ones_own():
    G = NeuronGroup(2, "v : 1", threshold="v > 2.5", reset="v = 0", events={"high": "v > 1.5"})
    G.run_regularly("v += i + 1")
    H = NeuronGroup(2, "n : integer\nm : integer")
    both = {"a": "n_post += 1", "b": "m_post += 1"}
    S = Synapses(G, H, on_pre=both, on_event={"b": "high"}, delay={"b": 0.1 * ms})
    S.connect("i == j")
    T = Synapses(H, G, "k : integer", on_post="k += 1", on_event="high")
    T.connect("i == j")
    Network(G, H, S, T).run(6 * defaultclock.dt)
    # v before the threshold: 1 2 3 | 1 2 3 for the first neuron, 2 4 | 2 4 | 2 4 for the second.
    np.testing.assert_array_equal(H.n, [2, 3])
    np.testing.assert_array_equal(H.m, [3, 5])
    np.testing.assert_array_equal(T.k, [4, 6])
    assert (S.a.event, S.b.event) == ("spike", "high")


def test_an_event_that_does_not_exist_is_named():
    G = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    with pytest.raises(ValueError, match="waits for the event 'high'"):
        S = Synapses(G, G, on_pre="v_post += 1", on_event="high")
        S.connect()
        Network(G, S).run(defaultclock.dt)
    with pytest.raises(TypeError, match="on_event must be"):
        Synapses(G, G, on_pre="v_post += 1", on_event=3)


def test_a_threshold_alone_is_said():
    with brianlike.logger.catch_logs() as caught:
        NeuronGroup(1, "v : 1", threshold="v > 1", name="forgotten")
        NeuronGroup(1, "v : 1", threshold="v > 1", reset="", name="meant")
        NeuronGroup(1, "v : 1", threshold="v > 1", refractory=1 * ms, name="paused")
        NeuronGroup(1, "v : 1", events={"high": "v > 1"}, name="other")
    assert [(level, name) for level, name, _ in caught] == [("WARNING", "brianlike.groups.neurongroup.only_threshold")]
    assert "'forgotten'" in caught[0][2]
