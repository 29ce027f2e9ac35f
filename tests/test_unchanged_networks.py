"""What makes repeated runs cheap never hides a change: the kept network does what one that is prepared anew does."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from brianlike.only import *


@pytest.fixture(params=["numpy", "cython"], autouse=True)
def backend(request):
    before = prefs.codegen.target
    prefs.codegen.target = request.param
    yield
    prefs.codegen.target = before


def world():
    """A network of everything that a run may take from outside, with what users hold of it."""
    seed(3)
    w = SimpleNamespace()
    w.names = {"gain": Quantity(2.0), "other": 0.5, "stimulus": TimedArray(np.array([1.0, 2.0, 3.0, 4.0]), dt=0.5 * ms), "bend": bend}
    w.generator = SpikeGeneratorGroup(2, [0, 1, 0, 1], [0.2, 0.7, 1.3, 1.6] * ms, name="generator")
    model = """dv/dt = (gain*stimulus(t) + bend(drive) + x - v)/tau : 1
               dx/dt = -x/(other*10*ms) + 0.3*xi*ms**-0.5 : 1
               tau : second (constant)
               drive : 1"""
    w.cells = NeuronGroup(3, model, threshold="v > 0.6", reset="v = 0", method="euler", name="cells")
    w.decaying = NeuronGroup(2, "dy/dt = (level - y)/time : 1\ntime : second (constant)\nlevel : 1", method="exact", name="decaying")
    w.cells.tau, w.cells.drive, w.decaying.time, w.decaying.level, w.decaying.y = [5, 6, 7] * ms, 0.2, [2, 3] * ms, 1, [0.1, 0.2]
    w.path = Synapses(w.generator, w.cells, "w : 1", on_pre="v_post += w", name="path")
    w.path.connect(i=[0, 1, 1], j=[0, 1, 2])
    w.path.w, w.path.delay = [0.1, 0.2, 0.3], 0.2 * ms
    w.back = Synapses(w.cells, w.cells, on_pre="x_post += 0.1", delay=0.3 * ms, name="back")
    w.back.connect()
    w.steady = w.cells.run_regularly("drive += 0.01", dt=0.2 * ms, name="steady")
    w.record = StateMonitor(w.cells, "v", record=[0, 2], name="record")
    w.spikes = SpikeMonitor(w.cells, name="spikes")
    w.network = Network(w.generator, w.cells, w.decaying, w.path, w.back, w.record, w.spikes)
    w.delays, w.taus, w.times, w.levels = w.path.delay[:], w.cells.tau[:], w.decaying.time[:], w.decaying.level[:]
    return w


@implementation("numpy", discard_units=True)
@check_units(x=1, result=1)
def bend(x):
    return np.tanh(x)


@implementation("numpy", discard_units=True)
@check_units(x=1, result=1)
def twist(x):
    return 2 * np.sin(x)


def values_of(w):
    owners = [w.cells, w.decaying, w.path]
    states = {f"{o.name}.{name}": values for o in owners for name, values in o.state.snapshot().items()}
    return {**states, "record": w.record.v, "i": w.spikes.i[:], "t": w.spikes.t_}


def put(target, value):
    target[...] = value


def set_name(w, name, value):
    w.names[name] = value


def added(w):
    w.more = NeuronGroup(2, "dz/dt = 1/ms : 1", method="euler", threshold="z > 0.4", reset="z = 0", name="more")
    w.link = Synapses(w.more, w.cells, on_pre="v_post += 0.2", name="link")
    w.link.connect()
    w.network.add(w.more, w.link)


def moved_reset(w):
    w.cells.resetter["spike"].when = "before_groups"


def other_names_of_the_group(w):
    w.cells.namespace["gain"] = 5.0


def more_code(w):
    w.cells.run_regularly("v += 0.05", name="more_code")


CHANGES = {
    "a constant": lambda w: set_name(w, "gain", 3.0),
    "a constant, in place": lambda w: put(w.names["gain"], 3.0),
    "a constant to the same number, boxed otherwise": lambda w: set_name(w, "other", np.float64(0.25)),
    "the namespace of a group": other_names_of_the_group,
    "the values of a TimedArray, in place": lambda w: put(w.names["stimulus"].values, [4.0, 3.0, 2.0, 1.0]),
    "the values of a TimedArray": lambda w: setattr(w.names["stimulus"], "values", np.array([4.0, 3.0, 2.0, 9.0])),
    "another TimedArray": lambda w: set_name(w, "stimulus", TimedArray([0.5, 4.0, 0.5, 5.0], dt=0.5 * ms)),
    "another TimedArray of another length": lambda w: set_name(w, "stimulus", TimedArray([0.5, 4.0, 0.5, 5.0, 7.0, 8.0, 9.0, 1.0], dt=0.25 * ms)),
    "another function": lambda w: set_name(w, "bend", twist),
    "a parameter": lambda w: setattr(w.cells, "tau", 3 * ms),
    "a parameter of the set-up": lambda w: setattr(w.decaying, "time", 1 * ms),
    "a parameter through its array": lambda w: put(w.taus, 3 * ms),
    "a parameter of the set-up through its array": lambda w: put(w.times, 1 * ms),
    "another parameter of the set-up through its array": lambda w: put(w.levels, 7),
    "a state": lambda w: setattr(w.cells, "v", 0.3),
    "weights": lambda w: setattr(w.path, "w", 0.9),
    "delays": lambda w: setattr(w.path, "delay", [0.1, 0.4, 0.5] * ms),
    "delays through their array": lambda w: put(w.delays, [0.1, 0.4, 0.5] * ms),
    "the delay of a pathway": lambda w: setattr(w.back, "delay", 0.1 * ms),
    "synapses": lambda w: w.path.connect(i=0, j=[1, 2]),
    "the dt of a group's code": lambda w: setattr(w.steady.clock, "dt", 0.1 * ms),
    "a list of spikes": lambda w: w.generator.set_spikes([1, 0], [1.1, 1.4] * ms),
    "code that is switched off": lambda w: setattr(w.steady, "active", False),
    "the slot of code": lambda w: setattr(w.steady, "when", "end"),
    "more code": more_code,
    "an object that is switched off": lambda w: setattr(w.path, "active", False),
    "a pathway that is switched off": lambda w: setattr(w.path.pre, "active", False),
    "a stage that is switched off": lambda w: setattr(w.cells.thresholder["spike"], "active", False),
    "a stage in another slot": moved_reset,
    "the schedule": lambda w: setattr(w.network, "schedule", ["start", "synapses", "thresholds", "resets", "groups", "end"]),
    "an object more": added,
    "an object less": lambda w: w.network.remove(w.path),
    "where a monitor records": lambda w: setattr(w.record, "when", "end"),
}


def two_runs(change, anew):
    w = world()
    w.network.run(1 * ms, namespace=w.names)
    change(w)
    if anew:  # nothing of the run before is used again
        w.network._blueprint = None
    w.network.run(1 * ms, namespace=w.names)
    return values_of(w)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_counts(change):
    found, wanted, unchanged = (two_runs(*case) for case in ((CHANGES[change], False), (CHANGES[change], True), (lambda w: None, False)))
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert any(not np.array_equal(values, unchanged[name]) for name, values in found.items())


def test_nothing_is_prepared_or_set_up_again_without_a_change():
    w = world()
    w.network.run(1 * ms, namespace=w.names)
    w.network.run(0 * ms, namespace=w.names)
    engine, done = w.network._engine, []
    set_up = engine.set_up
    engine.set_up = lambda: (done.append(1), set_up())
    for _ in range(3):
        w.network.run(0.1 * ms, namespace={**w.names, "gain": Quantity(2.0), "other": np.float64(0.5)})
    assert w.network._engine is engine
    assert not done
    w.decaying.time = 1 * ms
    w.network.run(0.1 * ms, namespace=w.names)
    assert done == [1] and w.network._engine is engine


def test_many_runs_are_one_run():
    parts, whole = world(), world()
    for _ in range(20):
        parts.network.run(0.1 * ms, namespace=parts.names)
    whole.network.run(2 * ms, namespace=whole.names)
    for name in ("decaying.y", "path.w"):  # the cells have noise, which is another one in every run
        np.testing.assert_allclose(values_of(parts)[name], values_of(whole)[name], rtol=1e-12)
    assert parts.record.v.shape == whole.record.v.shape


def test_a_refused_run_leaves_no_constants_half_read():
    first = NeuronGroup(1, "dv/dt = a/ms : 1", method="euler", name="first")
    second = NeuronGroup(1, "dv/dt = b/ms : 1", method="euler", name="second")
    network = Network(first, second)
    for _ in range(2):
        network.run(1 * ms, namespace={"a": 1.0, "b": 1.0})
    with pytest.raises(ModelError):
        network.run(1 * ms, namespace={"a": 5.0, "b": 1 * mV})
    network.run(1 * ms, namespace={"a": 5.0, "b": 1.0})
    np.testing.assert_allclose([first.v[0], second.v[0]], [2 + 5, 3])


def test_constants_of_the_callers_frame_are_read_at_every_run():
    cells = NeuronGroup(1, "dv/dt = rate : 1", method="euler", name="cells")
    network, rate = Network(cells), 1 / ms
    for _ in range(3):
        network.run(1 * ms)
        rate = rate + 1 / ms
    np.testing.assert_allclose(cells.v, [1 + 2 + 3])


def test_a_refused_list_of_spikes_can_be_replaced():
    w = world()
    w.network.run(1 * ms, namespace=w.names)
    w.generator.set_spikes([0, 0], [1.11, 1.12] * ms)
    with pytest.raises(ValueError, match="twice"):
        w.network.run(1 * ms, namespace=w.names)
    assert w.network.t == 1 * ms
    w.generator.set_spikes([0], [1.1] * ms)
    before = w.cells.state["v"].copy()
    w.network.run(0.2 * ms, namespace=w.names)
    assert (w.cells.state["v"] != before).any()


def test_an_error_in_a_function_leaves_a_network_that_goes_on():
    cells = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler", name="cells")
    failing = [True]

    @network_operation(dt=1 * ms)
    def fail(t):
        if t > 0.5 * ms and failing:
            failing.clear()
            raise KeyError("once")

    record = StateMonitor(cells, "v", record=True, name="record")
    network = Network(cells, fail, record)
    with pytest.raises(KeyError):
        network.run(3 * ms)
    done = float(network.t / ms)
    network.run(3 * ms)
    np.testing.assert_allclose(cells.v, [done + 3])
    np.testing.assert_allclose(record.v[0], record.t / ms, atol=1e-12)


def test_an_array_that_users_hold_counts_during_a_run():
    cells = NeuronGroup(1, "dv/dt = (1 - v)/time : 1\ntime : second (constant)", method="exact", name="cells")
    cells.time = 10 * ms
    times = cells.time[:]

    @network_operation(dt=1 * ms)
    def change(t):
        if t > 0.5 * ms:
            times[:] = 2 * ms

    Network(cells, change).run(2 * ms)
    np.testing.assert_allclose(cells.v, [1 - np.exp(-1 / 10 - 1 / 2)])


def test_another_target_and_another_default_schedule_count():
    w = world()
    w.network.run(0.5 * ms, namespace=w.names)
    first = w.network._engine
    prefs.codegen.target = "numpy" if prefs.codegen.target == "cython" else "cython"
    w.network.run(0.5 * ms, namespace=w.names)
    assert type(w.network._engine) is not type(first)
    second, before = w.network._engine, prefs.core.network.default_schedule
    prefs.core.network.default_schedule = ["start", "synapses", "thresholds", "resets", "groups", "end"]
    try:
        w.network.run(0.5 * ms, namespace=w.names)
    finally:
        prefs.core.network.default_schedule = before
    assert w.network._engine is not second


def test_magic_runs_see_new_names():
    gain = 1 / ms
    G = NeuronGroup(1, "dv/dt = gain : 1", method="euler")
    run(1 * ms)
    gain = 2 / ms  # noqa: F841
    run(1 * ms)
    M = StateMonitor(G, "v", record=True)
    run(1 * ms)
    np.testing.assert_allclose(G.v, [5])
    np.testing.assert_allclose(M.v[0], 3 + 0.2 * np.arange(10))


def test_a_restored_network_is_the_same_network():
    w = world()
    w.network.run(0.5 * ms, namespace=w.names)
    w.network.store()
    engine = w.network._engine
    seen = []
    for tau in (5, 50, 5):
        w.network.restore(restore_random_state=True)
        w.cells.tau = tau * ms
        w.network.run(1 * ms, namespace=w.names)
        assert w.network._engine is engine
        seen.append(values_of(w))
    for name, values in seen[0].items():
        np.testing.assert_array_equal(values, seen[2][name], err_msg=name)
    assert not np.array_equal(seen[0]["cells.v"], seen[1]["cells.v"])
