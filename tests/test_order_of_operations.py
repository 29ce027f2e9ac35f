"""Who comes first within a step: expected values are worked out by hand from Brian's rules, for every engine.

A step runs update, threshold, delivery, reset (in this order), so a group's spike of step n reaches others in step n (without delay), and the group's own
reset comes after everything that arrives. `10*kHz` at dt = 0.1 ms moves a variable by exactly 1 a step.
"""

from __future__ import annotations

import numpy as np
import pytest
from networks import DT, ENGINES, SIMULATORS, record

import brianlike.nn as bnn
from brianlike.only import *
from codegen.errors import UnsupportedError

every_engine = pytest.mark.parametrize("engine", ENGINES)
every_simulator = pytest.mark.parametrize("engine", SIMULATORS)


@pytest.fixture(autouse=True)
def _fresh():
    start_scope()
    yield
    prefs.reset_to_defaults()
    defaultclock.dt = 0.1 * ms
    defaultclock.timestep = 0


def fed(target: NeuronGroup, on_pre: str = "v_post += w", w: float = 0.5, delay: object = None, name: str = "ff", size: int = 1) -> tuple[InputGroup, Synapses]:
    """An input that reaches every neuron of a group."""
    source = InputGroup(size, name=f"{name}_input")
    synapses = Synapses(source, target, "w : 1", on_pre=on_pre, delay=delay, name=name)
    synapses.connect()
    synapses.w = w
    return source, synapses


def v_and_spikes(engine: str, group: NeuronGroup, source: InputGroup, spikes, *more: object, steps: int) -> tuple[list[float], list[int]]:
    """The end-of-step values and the spike steps of neuron 0."""
    found = record(engine, [source, group, *more], {source: spikes}, {"v": (group, "v"), "s": group}, steps)
    return found["v"][:, 0].tolist(), np.flatnonzero(found["s"][:, 0]).tolist()


# ------------------------------------------------------------------------------------------------------------------- inputs, resets, refractoriness
@every_engine
@pytest.mark.parametrize(("reset", "v", "spikes"), [("v = 0", [0, 0, 0], [0]), ("v -= 1", [1.5, 0.5, 0.5], [0, 1])])
def test_an_input_onto_a_spiking_neuron_arrives_before_its_reset(engine: str, reset: str, v: list[float], spikes: list[int]) -> None:
    # step 0: v = 2 > 1 fires; + 0.5 = 2.5; then the reset: 0, or 2.5 - 1 = 1.5, which fires in step 1 and leaves 0.5.
    G = NeuronGroup(1, "v : 1", threshold="v > 1", reset=reset)
    G.v = 2
    source, S = fed(G)
    assert v_and_spikes(engine, G, source, [(0, 0)], S, steps=3) == (v, spikes)


@every_engine
@pytest.mark.parametrize(
    ("flag", "v", "spikes"),
    [
        # refractory for 3 steps after the spike of step 1; v grows by 1 a step; the inputs of 0.25 come in steps 1 and 2.
        # step 0: 1. step 1: 2 fires, + 0.25 dropped (the spike has just made the neuron refractory), reset to 0. steps 2, 3: stands still, + 0.25
        # dropped. step 4 (4 - 1 >= 3): free, 1. step 5: 2 fires, 0.
        ("(unless refractory)", [1, 0, 0, 0, 1, 0], [1, 5]),
        # step 1: 2 fires, 2.25, reset to 0. step 2: 1 + 0.25. step 3: 2.25, may not fire. step 4: 3.25 fires, 0. step 5: 1.
        ("", [1, 0, 1.25, 2.25, 0, 1], [1, 4]),
    ],
)
def test_inputs_onto_a_refractory_neuron(engine: str, flag: str, v: list[float], spikes: list[int]) -> None:
    G = NeuronGroup(1, f"dv/dt = 10*kHz : 1 {flag}", threshold="v > 1.5", reset="v = 0", refractory=3 * DT * second, method="euler")
    source, S = fed(G, w=0.25)
    found = v_and_spikes(engine, G, source, [(0, 1), (0, 2)], S, steps=6)
    assert found[0] == pytest.approx(v, abs=1e-12) and found[1] == spikes


@every_engine
def test_a_reset_writes_what_is_guarded(engine: str) -> None:
    # The reset is the one writer that `unless refractory` does not stop: it runs in the very step that made the neuron refractory.
    G = NeuronGroup(1, "dv/dt = 0*Hz : 1 (unless refractory)", threshold="v > 1", reset="v = 0.75; v += 0.5", refractory=2 * DT * second, method="euler")
    G.v = 2
    source, S = fed(G, w=1.0)
    # step 0: fires; input dropped; reset to 1.25. step 1: refractory. step 2: 1.25 > 1 fires again.
    assert v_and_spikes(engine, G, source, [(0, 0), (0, 1)], S, steps=4) == ([1.25] * 4, [0, 2])


@every_engine
@pytest.mark.parametrize("refractory", [2 * ms, "2*ms", "ref", "ref + 1*ms - i*ms - 1*ms"])
def test_two_milliseconds_are_exactly_twenty_steps(engine: str, refractory: object) -> None:
    # v is always above threshold: neuron 0 fires in steps 0, 20, 40; neuron 1 has its own period where the text says so.
    G = NeuronGroup(2, "v : 1\nref : second", threshold="v > 1", refractory=refractory)
    G.v, G.ref = 2, [2, 1] * ms
    source, S = fed(G, w=0.0)
    found = record(engine, [source, G, S], {source: []}, {"s": G}, 50)["s"]
    second_period = {"2*ms": 20, "ref": 10, "ref + 1*ms - i*ms - 1*ms": 0}.get(refractory if isinstance(refractory, str) else "2*ms")
    assert np.flatnonzero(found[:, 0]).tolist() == [0, 20, 40]
    assert np.flatnonzero(found[:, 1]).tolist() == list(range(0, 50, max(1, second_period)))


@every_engine
@pytest.mark.parametrize("milliseconds", [0.1, 0.3, 0.7, 1.1, 2.3, 4.9])
def test_refractory_periods_are_counted_in_whole_steps(engine: str, milliseconds: float) -> None:
    G = NeuronGroup(1, "v : 1", threshold="v > 1", refractory=milliseconds * ms)
    G.v = 2
    source, S = fed(G, w=0.0)
    found = record(engine, [source, G, S], {source: []}, {"s": G}, 120)["s"]
    assert set(np.diff(np.flatnonzero(found[:, 0]))) == {round(milliseconds * 10)}


@every_engine
def test_a_refractory_condition_lasts_while_it_holds(engine: str) -> None:
    # v halves every step (1 - 5 kHz * 0.1 ms). The condition is looked at before the update, and can only be left, not entered:
    # 0: 2 fires | 1: looks at 2, stays, 1 | 2: looks at 1, stays, 0.5 | 3: looks at 0.5, free; 0.25, + 4 | 4: 2.125 fires | 5: 1.0625 | 6: 0.53125
    # 7: looks at 0.53125, free. Nothing fires in 1 although 1 > 0.8.
    G = NeuronGroup(1, "dv/dt = -v*5*kHz : 1", threshold="v > 0.8", refractory="v > 0.8", method="euler")
    G.v = 4
    source, S = fed(G, w=4.0)
    found = v_and_spikes(engine, G, source, [(0, 3)], S, steps=7)
    assert found[0] == pytest.approx([2, 1, 0.5, 4.25, 2.125, 1.0625, 0.53125], abs=1e-12) and found[1] == [0, 4]


@every_simulator
def test_last_spike_and_refractoriness_can_be_read(engine: str) -> None:
    prefs.codegen.target = engine
    eqs = "v : 1\nsince = t - lastspike : second\nwaiting = int(not not_refractory) : 1"
    G = NeuronGroup(2, eqs, threshold="v > 1", reset="v = 0", refractory=0.5 * ms)
    G.v = [2, 0]
    assert G.lastspike[1] == -1e4 * second and G.not_refractory[:].all()
    M = StateMonitor(G, ["since", "waiting"], record=True, when="end")
    net = Network(G, M)
    net.run(0.4 * ms)
    assert G.lastspike[0] == 0 * ms and G.lastspike[1] == -1e4 * second
    assert G.not_refractory[:].tolist() == [False, True]
    assert np.allclose(M.since_[0], [0, 1e-4, 2e-4, 3e-4], atol=1e-15) and M.waiting[0].tolist() == [1] * 4 and M.waiting[1].tolist() == [0] * 4
    net.run(0.2 * ms)  # 5 steps after the spike of step 0
    assert G.not_refractory[:].all() and M.waiting[0].tolist() == [1, 1, 1, 1, 1, 0]


# ------------------------------------------------------------------------------------------------------------------------------------------- delays
DELAYS = [0.0, 0.04, 0.05, 0.1, 0.14, 0.15, 0.25, 0.35, 1.0, 2.96]


@every_engine
@pytest.mark.parametrize("own", [True, False], ids=["per synapse", "one for all"])
def test_a_delay_is_rounded_to_steps_and_kept_exactly(engine: str, own: bool) -> None:
    # int(delay/dt + 0.5): 0.04 ms is the same step, 0.05 ms the next one.
    expected = [int(d * 1e-3 / DT + 0.5) for d in DELAYS]
    assert expected[:5] == [0, 0, 1, 1, 1]
    for chosen in [slice(None)] if own else [slice(n, n + 1) for n in (0, 1, 2, 6)]:
        delays = DELAYS[chosen]
        G = NeuronGroup(len(delays), "v : 1", threshold="v > 1")
        source, S = fed(G, delay=None if own else delays[0] * ms)
        if own:
            S.delay = np.array(delays) * ms
        v = record(engine, [source, G, S], {source: [(0, 2), (0, 4)]}, {"v": (G, "v")}, 40)["v"]
        for neuron, steps in enumerate(expected[chosen]):
            arrivals = 0.5 * ((np.arange(40) >= 2 + steps).astype(float) + (np.arange(40) >= 4 + steps))
            assert np.array_equal(v[:, neuron], arrivals), delays[neuron]


@every_engine
def test_an_input_that_comes_while_refractory_is_judged_on_arrival(engine: str) -> None:
    # The neuron fires in step 0 and is refractory until step 3; the spikes of steps 0 and 1 arrive two steps later: one too early, one just in time.
    G = NeuronGroup(1, "dv/dt = 0*Hz : 1 (unless refractory)", threshold="v > 1", reset="v = 0", refractory=3 * DT * second, method="euler")
    G.v = 2
    source, S = fed(G, delay=2 * DT * second)
    assert v_and_spikes(engine, G, source, [(0, 0), (0, 1)], S, steps=5) == ([0, 0, 0, 0.5, 0.5], [0])


@every_engine
def test_a_chain_of_groups_without_delays_takes_a_step_for_each(engine: str) -> None:
    # Thresholds come before deliveries: what A receives in step 1 makes it fire in step 2, B in step 3, C in step 4.
    A, B, C = (NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0", name=f"chain_{n}") for n in "cab")
    source, S = fed(A, w=2.0)
    AB, BC = (Synapses(p, q, on_pre="v_post += 2") for p, q in ((A, B), (B, C)))
    AB.connect(), BC.connect()
    found = record(engine, [BC, C, source, A, S, AB, B], {source: [(0, 1)]}, {"a": A, "b": B, "c": C, "va": (A, "v"), "vb": (B, "v")}, 6)
    assert [np.flatnonzero(found[g]).tolist() for g in "abc"] == [[2], [3], [4]]
    assert found["va"].ravel().tolist() == [0, 2, 0, 0, 0, 0]
    assert found["vb"].ravel().tolist() == [0, 0, 2, 0, 0, 0]


@every_engine
def test_a_recurrent_spike_arrives_before_the_reset_of_its_step(engine: str) -> None:
    # Neuron 0 fires in step 0 and again through its own synapse: 2 + 3 - 1 = 4, then 4 + 3 - 1 = 6. Neuron 1 gets 3 from neuron 0.
    G = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v -= 1")
    G.v = [2, 0]
    S = Synapses(G, G, "w : 1", on_pre="v_post += w")
    S.connect(i=[0, 0], j=[0, 1])
    S.w = 3
    source, idle = fed(G, w=0.0)
    found = record(engine, [source, idle, S, G], {source: []}, {"v": (G, "v"), "s": G}, 3)
    assert found["v"].tolist() == [[4, 3], [6, 5], [8, 7]] and found["s"].tolist() == [[1, 0], [1, 1], [1, 1]]


# ---------------------------------------------------------------------------------------------------------------------------- pathways among themselves
@every_engine
@pytest.mark.parametrize(("names", "v"), [(("a", "b"), 2.0), (("b", "a"), 1.0), (("x_1", "x_10"), 1.0), (("x_10", "x_2"), 2.0)])
def test_pathways_of_one_slot_and_order_run_by_name(engine: str, names: tuple[str, str], v: float) -> None:
    # The first assigns 1 and the second 2; the later in alphabetical order of `<name>_pre` wins (x_10_pre comes before x_1_pre). Modules refuse them.
    G = NeuronGroup(1, "v : 1", name="cells")
    source = InputGroup(1, name="source")
    S = [Synapses(source, G, on_pre=f"v_post = {n + 1}", name=name) for n, name in enumerate(names)]
    for synapses in S:
        synapses.connect()
    if engine == "module":
        with pytest.raises(UnsupportedError) as caught:
            record(engine, [source, G, *S], {source: [(0, 0)]}, {"v": (G, "v")}, 2)
        first = min(names, key=lambda name: f"{name}_pre")
        assert str(caught.value).startswith(f"the result of pathway {first}.pre depends on the order of its synapses, so it cannot be trained")
        return
    assert record(engine, [source, G, *S], {source: [(0, 0)]}, {"v": (G, "v")}, 2)["v"].ravel().tolist() == [v, v]


@every_simulator
def test_order_comes_before_the_name(engine: str) -> None:
    # a would be first by its name; order 0 puts it last. The sum of b (+=) is then lost, and kept the other way round. As in Brian, the order of the
    # Synapses is that of their equations and says nothing about pathways.
    for order, v in ((0, 1.0), (-1, 3.0)):
        G = NeuronGroup(1, "v : 1", threshold="v > 9")
        source = InputGroup(1)
        a, b = Synapses(source, G, on_pre="v_post = 1", name="a", order=7), Synapses(source, G, on_pre="v_post += 2", name="b")
        a.connect(), b.connect()
        a.pre.order = order
        assert record(engine, [source, G, a, b], {source: [(0, 0)]}, {"v": (G, "v")}, 1)["v"].item() == v
        del a, b


@every_simulator
def test_the_order_of_a_pathway_can_be_set(engine: str) -> None:
    for order, v in ((-1, 3.0), (5, 1.0)):
        G = NeuronGroup(1, "v : 1", threshold="v > 9")
        source = InputGroup(1)
        S = Synapses(source, G, on_pre={"first": "v_post = 1", "last": "v_post += 2"})
        S.connect()
        S.first.order = order
        assert record(engine, [source, G, S], {source: [(0, 0)]}, {"v": (G, "v")}, 1)["v"].item() == v


@every_simulator
def test_synapses_that_overwrite_each_other_run_in_the_order_of_creation(engine: str) -> None:
    # All three arrive together; the last one created wins. With delays, the ones sent earlier run first.
    G = NeuronGroup(1, "v : 1")
    source = InputGroup(3)
    S = Synapses(source, G, "w : 1", on_pre="v_post = 2*v_post + w")
    S.connect(i=[2, 0, 1], j=0)
    S.w = [1, 10, 100]  # from neurons 2, 0, 1
    v = record(engine, [source, G, S], {source: [(0, 0), (1, 0), (2, 0)]}, {"v": (G, "v")}, 1)["v"].item()
    # by source neuron, then creation: neuron 0 (10), neuron 1 (100), neuron 2 (1): ((10)*2 + 100)*2 + 1
    assert v == 241


@every_engine
def test_on_post_runs_after_on_pre_of_the_same_step(engine: str) -> None:
    # Input in steps 0, 1, 2; w begins at 2. Step 0: v = 2 (delivered), fires in step 1.
    # Step 1: fires (2 > 1); on_pre adds w = 2 and notes it; on_post doubles w to 4; reset to 0.
    # Step 2: v = 0 does not fire; on_pre adds w = 4. Step 3: fires, w = 8, reset. Step 4: nothing.
    G = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0")
    source = InputGroup(1)
    S = Synapses(source, G, "w : 1\nseen : 1", on_pre="v_post += w; seen = w", on_post="w = 2*w")
    S.connect()
    S.w = 2
    found = record(engine, [source, G, S], {source: [(0, 0), (0, 1), (0, 2)]}, {"v": (G, "v"), "w": (S, "w"), "seen": (S, "seen"), "s": G}, 5)
    assert found["v"].ravel().tolist() == [2, 0, 4, 0, 0] and found["s"].ravel().tolist() == [0, 1, 0, 1, 0]
    assert found["w"].ravel().tolist() == [2, 4, 4, 8, 8] and found["seen"].ravel().tolist() == [2, 2, 4, 4, 4]


@every_engine
def test_on_post_of_one_object_runs_after_on_pre_of_another(engine: str) -> None:
    # `a` notes the neuron's g when the neuron fires, `b` adds to it on input: both in step 0, and `a` comes second although its name is first.
    G = NeuronGroup(1, "v : 1\ng : 1", threshold="v > 1", reset="v = 0")
    G.v = 2
    source = InputGroup(1)
    a = Synapses(source, G, "last : 1", on_post="last = g_post", name="a")
    b = Synapses(source, G, on_pre="g_post += 3", name="b")
    a.connect(), b.connect()
    found = record(engine, [source, G, a, b], {source: [(0, 0)]}, {"last": (a, "last"), "g": (G, "g")}, 2)
    assert found["last"].ravel().tolist() == [3, 3] and found["g"].ravel().tolist() == [3, 3]


@every_engine
def test_pathways_with_delays_of_their_own(engine: str) -> None:
    # on_pre arrives one step later and on_post two steps later: x counts pre arrivals as 1 and post arrivals as 10.
    G = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0")
    G.v = 2  # fires in step 0
    source = InputGroup(1)
    S = Synapses(source, G, "x : 1", on_pre="x += 1", on_post="x += 10", delay={"pre": DT * second, "post": 2 * DT * second})
    S.connect()
    found = record(engine, [source, G, S], {source: [(0, 0), (0, 2)]}, {"x": (S, "x")}, 5)["x"]
    assert found.ravel().tolist() == [0, 1, 11, 12, 12]


@every_engine
def test_many_synapses_of_one_pair_and_several_groups(engine: str) -> None:
    # Two inputs onto one group, one of them with two synapses a pair; a second group listens to the first one. By hand, with v += 1 a step:
    G = NeuronGroup(2, "dv/dt = 10*kHz : 1", threshold="v > 5", reset="v = 0", method="euler", name="second")
    H = NeuronGroup(1, "g : 1", threshold="g > 100", name="first")
    one, two = InputGroup(1, name="one"), InputGroup(2, name="two")
    a, b = Synapses(one, G, "w : 1", on_pre="v_post += w"), Synapses(two, G, on_pre="v_post -= 0.5")
    c = Synapses(G, H, on_pre="g_post += 1 + i")
    a.connect(n=2), b.connect(j=[0, 1], i=[0, 1]), c.connect()
    a.w = [0.25, 0.5, 1, 2]  # neuron 0 gets 0.75, neuron 1 gets 3
    spikes = {one: [(0, 1)], two: [(0, 1), (1, 2)]}
    found = record(engine, [G, H, one, two, a, b, c], spikes, {"v": (G, "v"), "g": (H, "g"), "s": G}, 6)
    # neuron 0: 1, 2 + 0.75 - 0.5 = 2.25, 3.25, 4.25, 5.25 fires -> 0, 1.   neuron 1: 1, 2 + 3 = 5, 6 fires - 0.5 -> 0, 1, 2, 3.
    assert np.allclose(found["v"].T, [[1, 2.25, 3.25, 4.25, 0, 1], [1, 5, 0, 1, 2, 3]], atol=1e-12)
    assert found["g"].ravel().tolist() == [0, 0, 2, 2, 3, 3]  # i = 1 fires in step 2 and adds 2, i = 0 in step 4 and adds 1


# ------------------------------------------------------------------------------------------------------------------------------------------ records
@every_simulator
def test_what_monitors_record_and_when(engine: str) -> None:
    # v grows by 1 and fires above 2.5: values at the start, after the threshold (before the reset), and at the end of each step.
    prefs.codegen.target = engine
    G = NeuronGroup(1, "dv/dt = 10*kHz : 1\ndouble = 2*v : 1", threshold="v > 2.5", reset="v = 0", method="euler")
    G.v = 0.5
    places = {"start": {}, "threshold": {"when": "thresholds", "order": 1}, "delivery": {"when": "synapses"}, "end": {"when": "end"}}
    M = {name: StateMonitor(G, ["v", "double"], record=True, **place) for name, place in places.items()}
    spikes = SpikeMonitor(G)
    Network(G, M, spikes).run(5 * DT * second)
    expected = {
        "start": [0.5, 1.5, 2.5, 0, 1],  # the initial value first; the last step's result is not recorded
        "threshold": [1.5, 2.5, 3.5, 1, 2],  # pre-reset values
        "delivery": [1.5, 2.5, 3.5, 1, 2],
        "end": [1.5, 2.5, 0, 1, 2],
    }
    for name, values in expected.items():
        assert M[name].v[0] == pytest.approx(values, abs=1e-12) and M[name].double[0] == pytest.approx(2 * np.array(values), abs=1e-12)
        assert np.allclose(M[name].t_, np.arange(5) * DT, atol=0, rtol=1e-15)
    assert spikes.i.tolist() == [0] and np.allclose(spikes.t_, [2 * DT]) and spikes.count.tolist() == [1] and G.v[0] == pytest.approx(2)
    assert G.spikes.tolist() == []


@every_simulator
def test_spikes_of_the_last_step(engine: str) -> None:
    prefs.codegen.target = engine
    G = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    G.v = [2, 0, 2]
    net = Network(G)
    net.run(DT * second)
    assert G.spikes.tolist() == [0, 2]
    net.run(DT * second)
    assert G.spikes.tolist() == []


# ---------------------------------------------------------------------------------------------------------------------------------------- schedules
@every_engine
def test_resets_before_deliveries(engine: str) -> None:
    # With resets before synapses, the input that arrives with the spike survives the reset: 0 + 0.5.
    G = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0")
    G.v = 2
    source, S = fed(G)
    schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
    found = record(engine, [source, G, S], {source: [(0, 0), (0, 1)]}, {"v": (G, "v"), "s": G}, 3, schedule)
    assert found["v"].ravel().tolist() == [0.5, 1.0, 1.0] and found["s"].ravel().tolist() == [1, 0, 0]


@every_engine
def test_the_schedule_of_spytorch_is_its_loop(engine: str) -> None:
    """SpyTorch: spikes from the old potential, update from the old current, reset by the new spikes, current plus input and the last step's spikes."""
    rng = np.random.default_rng(1)
    steps, n_in, n = 200, 20, 10
    x = rng.random((steps, n_in)) < 0.15
    ff, recurrent = rng.normal(0.35, 0.4, (n_in, n)), rng.normal(0, 0.5, (n, n))
    inputs = InputGroup(n_in)
    hidden = NeuronGroup(n, "dmem/dt = (syn - 0.25*mem)*10*kHz : 1\ndsyn/dt = -0.5*syn*10*kHz : 1", threshold="mem > 1", reset="mem = 0", method="euler")
    F, R = Synapses(inputs, hidden, "w : 1", on_pre="syn_post += w"), Synapses(hidden, hidden, "w : 1", on_pre="syn_post += w", delay=0.1 * ms)
    F.connect(), R.connect()
    F.w, R.w = ff.ravel(), recurrent.ravel()
    spikes = {inputs: [(int(i), int(t)) for t, i in np.argwhere(x)]}
    found = record(engine, [inputs, hidden, F, R], spikes, {"mem": (hidden, "mem"), "syn": (hidden, "syn"), "s": hidden}, steps, bnn.spytorch_schedule)

    mem, syn, out = np.zeros(n), np.zeros(n), np.zeros(n)
    expected: dict[str, list[np.ndarray]] = {"mem": [], "syn": [], "s": []}
    for t in range(steps):
        h = x[t] @ ff + out @ recurrent
        out = (mem > 1.0).astype(float)
        mem, syn = (mem + (syn - 0.25 * mem)) * (1.0 - out), syn + -0.5 * syn + h
        for name, value in (("mem", mem), ("syn", syn), ("s", out)):
            expected[name].append(value)
    assert np.array_equal(found["s"], expected["s"]) and found["s"].sum() > 100
    for name in ("mem", "syn"):
        assert np.allclose(found[name], expected[name], rtol=0, atol=1e-12)


@every_simulator
def test_a_schedule_without_the_slot_of_an_object(engine: str) -> None:
    prefs.codegen.target = engine
    G = NeuronGroup(1, "v : 1", threshold="v > 1")
    net = Network(G, StateMonitor(G, "v", record=True))
    net.schedule = bnn.spytorch_schedule
    with pytest.raises(ValueError, match="the schedule has no slot 'start'; its slots are thresholds, groups, resets, synapses"):
        net.run(1 * ms)
