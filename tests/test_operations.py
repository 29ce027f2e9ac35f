"""Network operations: Python functions that a run calls, on both engines."""

import numpy as np
import pytest

from brianlike import (
    Hz,
    Network,
    NetworkOperation,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    collect,
    defaultclock,
    ms,
    mV,
    network_operation,
    prefs,
    run,
    second,
    seed,
    start_scope,
)


@pytest.fixture(params=["numpy", "cython"], autouse=True)
def target(request):
    prefs["codegen.target"] = request.param
    defaultclock.dt = 0.1 * ms
    yield request.param
    prefs.reset_to_defaults()


def test_a_function_is_called_in_every_step():
    times = []
    group = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler")

    @network_operation
    def look():
        times.append((float(group.v[0]), float(group.t / ms), float(net.t / ms), defaultclock.timestep))

    net = Network(group, look)
    net.run(0.3 * ms)
    net.run(0.1 * ms)
    assert times == [pytest.approx((0.1 * n, 0.1 * n, 0.1 * n, n)) for n in range(4)]


def test_the_time_is_given_to_who_wants_it():
    times = []

    class Watcher:
        def look(self, t):
            times.append(t)

    operation = NetworkOperation(Watcher().look, when="end")
    Network(operation).run(0.2 * ms)
    assert [float(t / second) for t in times] == pytest.approx([0, 1e-4])


@pytest.mark.parametrize("when, expected", [("start", [0, 1, 0, 1]), ("before_thresholds", [1, 2, 1, 2]), ("synapses", [1, 2, 1, 2]), ("end", [1, 0, 1, 0])])
def test_the_slot_decides_what_is_seen(when, expected):
    """v rises by 1 a step, and is set back in the step in which it passes 1.5."""
    seen = []
    group = NeuronGroup(1, "v : 1", threshold="v > 1.5", reset="v = 0")

    def look():
        seen.append(float(group.v[0]))

    def push():
        group.v += 1

    Network(group, NetworkOperation(look, when=when), NetworkOperation(push, when="before_groups")).run(0.4 * ms)
    assert seen == expected


def test_assignments_hold_at_once_also_where_the_set_up_used_the_value(target):
    """tau is a parameter from which exp(-dt/tau) is computed before the run; it changes in the middle."""
    group = NeuronGroup(2, "dv/dt = -v/tau : 1\ntau : second", method="exact")
    group.v, group.tau = 1, 1 * ms

    @network_operation
    def change(t):
        if t > 0.45 * ms:
            group.tau = [0.5, 2] * ms

    Network(group, change).run(1 * ms)
    assert group.v[:] == pytest.approx(np.exp([-0.5 - 1, -0.5 - 0.25]))


def test_synapses_can_be_changed():
    source = SpikeGeneratorGroup(1, [0, 0, 0], [0.1, 0.3, 0.5] * ms)
    target = NeuronGroup(1, "v : volt")
    synapses = Synapses(source, target, "w : volt", on_pre="v_post += w")
    synapses.connect()
    synapses.w = 1 * mV

    @network_operation
    def double():
        synapses.w *= 2

    Network(source, target, synapses, double).run(0.7 * ms)
    assert target.v[0] / mV == pytest.approx(2**2 + 2**4 + 2**6)


def test_the_network_cannot_be_changed_while_it_runs():
    source = SpikeGeneratorGroup(1, [0], [0.1] * ms)
    target = NeuronGroup(1, "v : volt")
    synapses = Synapses(source, target, "w : volt", on_pre="v_post += w")
    synapses.connect()

    @network_operation
    def connect():
        synapses.connect()

    net = Network(source, target, synapses, connect)
    with pytest.raises(RuntimeError, match="^the number of elements cannot change while a run is under way"):
        net.run(1 * ms)
    assert len(synapses) == 1
    synapses.connect()
    assert len(synapses) == 2

    @network_operation
    def again():
        net.run(1 * ms)

    net = Network(NeuronGroup(1, "v : 1"), again)
    with pytest.raises(RuntimeError, match="^network 'network' is running already$"):
        net.run(1 * ms)


def test_monitors_and_spikes_are_those_of_the_moment():
    group = NeuronGroup(2, "dv/dt = 1/ms : 1", threshold="v > 0.15*(i + 1)", reset="v = 0", method="euler")
    spikes, states = SpikeMonitor(group), StateMonitor(group, "v", record=True)
    seen = []

    @network_operation(when="start", order=1)
    def early():
        seen.append((list(group.spikes), list(spikes.i), spikes.num_spikes, len(states.t), states.v.shape))

    late = []

    @network_operation(when="end")
    def later():
        late.append((list(group.spikes), list(spikes.i)))

    Network(group, spikes, states, early, later).run(0.5 * ms)
    assert [row[3] for row in seen] == [1, 2, 3, 4, 5] and [row[4] for row in seen] == [(2, n) for n in range(1, 6)]
    history = [row[0] for row in late]  # the spikes of each step
    assert [row[0] for row in seen] == [[], *history[:-1]]  # at the start of a step: those of the step before
    assert [row[1] for row in late] == [sum(history[: n + 1], []) for n in range(5)]
    assert [row[1] for row in seen] == [sum(history[:n], []) for n in range(5)]
    assert list(spikes.i) == sum(history, []) and len(states.t) == 5 and sum(history, [])


def test_stop_ends_behind_the_step_under_way():
    group = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler")
    calls = []

    @network_operation
    def end(t):
        if t > 0.25 * ms:
            net.stop()

    @network_operation(when="end")
    def count():
        calls.append(float(group.v[0]))

    net = Network(group, end, count)
    net.run(1 * ms)
    assert net.t / ms == pytest.approx(0.4) and calls == pytest.approx([0.1, 0.2, 0.3, 0.4])
    net.remove(end)
    net.run(0.1 * ms)
    assert net.t / ms == pytest.approx(0.5) and group.v[0] == pytest.approx(0.5)


def test_an_error_ends_the_run_behind_the_step_and_leaves_it_whole():
    source = PoissonGroup(50, 1000 * Hz)
    group = NeuronGroup(50, "dv/dt = 1/ms : 1", method="euler")
    monitor = SpikeMonitor(source)
    fail, seen = [True], []

    @network_operation(when="before_groups")
    def break_down(t):
        if fail and t > 0.25 * ms:
            raise KeyError("mine")

    @network_operation(when="end")
    def look():
        seen.append(float(group.v[0]))

    net = Network(source, group, monitor, break_down, look)
    with pytest.raises(KeyError, match="mine"):
        net.run(1 * ms)
    assert net.t / ms == pytest.approx(0.4) and group.v[0] == pytest.approx(0.4)
    assert seen == pytest.approx([0.1, 0.2, 0.3])  # no more functions are called in the step of the error
    fail.clear()
    net.run(0.6 * ms)
    assert net.t / ms == pytest.approx(1) and group.v[0] == pytest.approx(1) and len(seen) == 9


def test_inactive_operations_are_not_called():
    calls = []

    @network_operation
    def once():
        calls.append(1)
        once.active = False

    net = Network(once)
    net.run(1 * ms)
    assert calls == [1]
    net.run(1 * ms)
    assert calls == [1]


def test_run_finds_operations():
    start_scope()
    group = NeuronGroup(1, "v : 1")

    @network_operation
    def push():
        group.v += 1

    run(1 * ms)
    assert group.v[0] == 10 and push in collect()


def test_order_and_names():
    calls = []
    first = NetworkOperation(lambda: calls.append("b"), name="b_")
    second_ = NetworkOperation(lambda: calls.append("a"), name="a_")
    third = NetworkOperation(lambda: calls.append("c"), name="c_", order=-1)
    Network(first, second_, third).run(0.1 * ms)
    assert calls == ["c", "a", "b"]


def test_functions_that_cannot_be_called():
    with pytest.raises(TypeError, match="^'f' cannot be a network operation: it may take the time t, or nothing, but it takes 2 arguments$"):

        @network_operation
        def f(t, x):
            pass

    with pytest.raises(TypeError, match="^the first argument of 'g' is 'self'"):

        @network_operation(when="end")
        def g(self, t):
            pass

    with pytest.raises(TypeError, match="^network_operation takes its arguments as keywords"):
        network_operation("end")
    with pytest.raises(TypeError, match="^a network operation needs a function, not 3$"):
        NetworkOperation(3)


def test_decorated_functions_keep_their_name():
    @network_operation(when="end", order=3, name="mine")
    def shown():
        """What it does."""
        return 7

    assert (shown.__name__, shown.__doc__, shown.name, shown.when, shown.order) == ("shown", "What it does.", "mine", "end", 3)
    assert shown() == 7


def test_what_functions_may_write_is_not_computed_in_advance_where_that_saves_little():
    cells = NeuronGroup(3, "dv/dt = (I - v)/tau : 1\nI : 1\ntau : second", method="exact", name="cells")
    cells.I, cells.tau, cells.v = [1, 2, 3], [5, 10, 20] * ms, 0.1
    currents = [0.5, 0.7, 4.0, 0.1, 2.0]
    step = [0]

    @network_operation
    def change():
        cells.I = currents[step[0]]
        if step[0] == 3:
            cells.tau = 2 * ms
        step[0] += 1

    net = Network(cells, change)
    net.run(0.5 * ms)
    read = {load.array for kernel in net._engine.prepared.program.setup for load in kernel.loads}
    assert "cells.tau" in read and "cells.I" not in read
    v, taus = np.full(3, 0.1), np.array([5.0, 10.0, 20.0])
    for n, current in enumerate(currents):
        taus = np.full(3, 2.0) if n == 3 else taus
        v = current + (v - current) * np.exp(-0.1 / taus)
    np.testing.assert_allclose(cells.v, v, rtol=1e-12)


def test_a_function_that_only_looks_changes_no_bit():
    found = []
    for looks in (False, True):
        seed(1)
        cells = NeuronGroup(37, "dv/dt = (I - v)/tau + 0.1*xi*tau**-0.5 : 1\nI : 1\ntau : second", method="euler", name="cells")
        other = NeuronGroup(37, "dx/dt = (I - x)/tau + y/(3*ms) : 1\ndy/dt = -y/tau : 1\nI : 1\ntau : second", method="exact", name="other")
        for group in (cells, other):
            group.I, group.tau = "1 + 0.1*i", "(5 + i)*ms"
        other.y = "i"
        look = NetworkOperation(lambda: None)
        net = Network(cells, other, look) if looks else Network(cells, other)
        net.run(5 * ms)
        found.append(np.concatenate([cells.v, other.x, other.y]))
    np.testing.assert_array_equal(*found)
