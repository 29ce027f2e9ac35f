"""Several clocks in one network: the same numbers as Brian 2 on both engines, and what is Brian's to refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
from clock_scenarios import SCENARIOS

import brianlike
from brianlike import Clock, Network, NetworkOperation, NeuronGroup, PoissonGroup, SpikeMonitor, StateMonitor, Synapses, defaultclock, kHz, ms, prefs, seed, us
from brianlike.ticks import common_ticks

ORACLE = json.loads((Path(__file__).parent / "oracle" / "clocks.json").read_text(encoding="utf-8"))


@pytest.fixture(params=["numpy", "cython"], autouse=True)
def target(request):
    prefs["codegen.target"] = request.param
    defaultclock.dt = 0.1 * ms
    yield request.param
    prefs.reset_to_defaults()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_as_brian(scenario):
    assert json.loads(json.dumps(scenario(brianlike))) == ORACLE[scenario.__name__]


@pytest.mark.parametrize(
    "steps, expected",
    [
        ([0.1], [1]),
        ([0.1, 0.25], [2, 5]),
        ([0.1, 1 / 3], [3, 10]),
        ([0.1, 0.3, 0.7], [1, 3, 7]),
        ([0.02, 0.025, 0.03], [4, 5, 6]),
        ([1e-3, 1000.0], [1, 10**6]),
        ([0.1, 0.1 * (1 + 5e-5)], [1, 1]),
        ([0.1, 0.0999], [999, 1000]),
    ],
)
def test_ticks(steps, expected):
    ticks = common_ticks([Clock(dt * ms) for dt in steps])
    assert [rate.every for rate in ticks.rates] == expected
    assert ticks.length == pytest.approx(min(steps) * 1e-3 / expected[0])


def test_a_time_is_a_tick_within_a_ten_thousandth_of_a_step():
    ticks = common_ticks([Clock(0.1 * ms), Clock(0.25 * ms)])
    assert [ticks.count(t * 1e-3) for t in (0, 0.05, 0.050004, 0.05002, 0.0499, 0.1)] == [0, 1, 1, 2, 1, 2]
    assert [ticks.following(tick) for tick in range(8)] == [0, 2, 2, 4, 4, 5, 6, 8]
    assert [ticks.time(tick) / 1e-3 for tick in (0, 2, 3, 5)] == pytest.approx([0, 0.1, 0.2, 0.25])


def test_a_network_with_thousands_of_ticks_a_step():
    calls = []
    slow = NetworkOperation(lambda t: calls.append(t / ms), dt=0.0999 * ms)
    fast = NetworkOperation(lambda t: calls.append(t / ms))
    Network(slow, fast).run(1 * ms)
    assert calls == pytest.approx([0, 0, *sorted([*(0.0999 * np.arange(1, 11)), *(0.1 * np.arange(1, 10))])])


def test_the_clocks_show_where_they_are():
    clock = Clock(0.25 * ms, name="mine")
    group, other = NeuronGroup(1, "v : 1", clock=clock), NeuronGroup(1, "v : 1")
    net = Network(group, other)
    net.run(0.3 * ms)
    assert (clock.timestep, defaultclock.timestep) == (2, 3) and group.t / ms == pytest.approx(0.5) and other.t / ms == pytest.approx(0.3)
    assert net.t / ms == pytest.approx(0.3)


def test_a_new_clock_between_two_runs_keeps_what_is_under_way():
    """The tick becomes finer while a spike is on its way."""
    source = NeuronGroup(1, "v : 1", threshold="t < 0.05*ms")
    sink = NeuronGroup(1, "v : 1")
    synapses = Synapses(source, sink, on_pre="v_post += 1", delay=0.5 * ms)
    synapses.connect()
    net = Network(source, sink, synapses)
    net.run(0.3 * ms)
    monitor = StateMonitor(sink, "v", record=True, dt=0.05 * ms)
    net.add(monitor)
    net.run(0.5 * ms)
    assert monitor.t / ms == pytest.approx(0.3 + 0.05 * np.arange(10)) and monitor.v[0].tolist() == [0] * 5 + [1] * 5


def test_random_numbers_do_not_depend_on_other_clocks(target):
    def spikes(*others):
        seed(7)
        group = PoissonGroup(20, 1 * kHz, name="the_poisson")
        monitor = SpikeMonitor(group)
        Network(group, monitor, *(others and [StateMonitor(group, "rates", record=True, dt=30 * us)])).run(10 * ms)
        return monitor.i.tolist(), monitor.t_.tolist()

    assert spikes() == spikes(1) and len(spikes()[0]) > 100


def test_a_dt_that_does_not_divide_the_time_is_refused():
    clock = Clock(0.1 * ms)
    group = NeuronGroup(1, "dv/dt = 1/ms : 1", clock=clock, method="euler")
    net = Network(group, NeuronGroup(1, "v : 1", dt=0.1 * ms))
    net.run(0.5 * ms)
    clock.dt = 0.2 * ms
    with pytest.raises(ValueError, match="^time 0.0005 s is no multiple of the step of 'clock.*' .0.0002 s.; choose a dt that divides it, or a new Network$"):
        net.run(0.5 * ms)
    assert group.v[0] == pytest.approx(0.5)
    clock.dt = 0.25 * ms
    net.run(0.5 * ms)
    assert group.v[0] == pytest.approx(1) and clock.timestep == 4


def test_an_interrupted_run_goes_on_with_all_clocks():
    ticks = []

    def once(t):
        if t > 0.25 * ms and not ticks:
            ticks.append(t)
            net.stop()

    fast, slow = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler"), NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler", dt=0.25 * ms)
    net = Network(NetworkOperation(once, dt=0.05 * ms), fast, slow)
    net.run(1 * ms)
    assert net.t / ms == pytest.approx(0.35) and fast.v[0] == pytest.approx(0.4) and slow.v[0] == pytest.approx(0.5)
    net.run(0.65 * ms)
    assert net.t / ms == pytest.approx(1) and fast.v[0] == pytest.approx(1) and slow.v[0] == pytest.approx(1)


def test_names_and_attributes_of_clocks():
    first, second_one, named = Clock(0.2 * ms, name="beat*"), Clock(0.2 * ms, name="beat*"), Clock(0.3 * ms, name="mine")
    assert (first.name, second_one.name, named.name, defaultclock.name) == ("beat", "beat_1", "mine", "defaultclock")
    named.dt_ = 0.0005
    assert named.dt == 0.5 * ms and Clock.epsilon_dt == 1e-4 and (named.t_, named.timestep) == (0, 0)
    with pytest.raises(ValueError, match="dt of 'mine' must be positive and finite"):
        named.dt_ = -1


def test_modules_have_one_clock():
    bnn = pytest.importorskip("brianlike.nn")
    a = NeuronGroup(1, "dv/dt = -v/ms : 1", method="exact", name="a")
    b = NeuronGroup(1, "dv/dt = -v/ms : 1", method="exact", dt=1 * ms, name="b")
    with pytest.raises(brianlike.ModelError, match="a module has one clock, but a has dt = 100. . us and b has dt = 1. . ms"):
        bnn.NetworkModule(Network(a, b), record={"v": (a, "v")})
