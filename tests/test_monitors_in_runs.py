"""What monitors record in runs: the same as Brian 2's on both engines, and what goes beyond them."""

import json
from pathlib import Path

import numpy as np
import pytest
from monitor_scenarios import SCENARIOS

import brianlike
from brianlike import (
    EventMonitor,
    Hz,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    defaultclock,
    ms,
    network_operation,
    prefs,
    run,
    second,
    start_scope,
)

ORACLE = json.loads((Path(__file__).parent / "oracle" / "monitors.json").read_text(encoding="utf-8"))


@pytest.fixture(params=["numpy", "cython"], autouse=True)
def target(request):
    prefs["codegen.target"] = request.param
    defaultclock.dt = 0.1 * ms
    yield request.param
    prefs.reset_to_defaults()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_as_brian(scenario):
    assert json.loads(json.dumps(scenario(brianlike))) == ORACLE[scenario.__name__]


def generator(**options):
    """Neuron 0 fires in steps 0, 2 and 9; 1 in 3; 2 in 2 and 3; 3 never."""
    return SpikeGeneratorGroup(4, [0, 0, 2, 1, 2, 0], [0, 0.2, 0.2, 0.3, 0.3, 0.9] * ms, **options)


@pytest.mark.parametrize("record", [[0, 1], np.array([True, True, False, False]), slice(0, 2)])
def test_some_neurons_are_recorded_and_all_counted(record):
    group = generator()
    monitor, part = SpikeMonitor(group, record=record), SpikeMonitor(group[1:], record=[1])
    net = Network(group, monitor, part)
    for _ in range(2):
        net.run(0.5 * ms)
    assert monitor.i.tolist() == [0, 0, 1, 0] and monitor.t / ms == pytest.approx([0, 0.2, 0.3, 0.9])
    assert monitor.count.tolist() == [3, 1, 2, 0] and monitor.N == monitor.N[:] == monitor.num_spikes == 6
    with pytest.raises(IndexError, match="this is one number"):
        monitor.N[0]
    assert part.i.tolist() == [1, 1] and part.count.tolist() == [1, 2, 0]
    assert [len(train) for train in monitor.spike_trains().values()] == [3, 1, 0, 0]


def test_recorded_variables_of_some_neurons():
    group = NeuronGroup(3, "dv/dt = (i + 1)/ms : 1\ntwice = 2*v : 1", threshold="v > 0.55", reset="v = 0", method="euler")
    monitor = SpikeMonitor(group, ["twice", "v"], record=[2])
    Network(group, monitor).run(1 * ms)
    assert monitor.twice == pytest.approx([1.2] * 5) and monitor.v_ == pytest.approx([0.6] * 5) and set(monitor.i) == {2}
    assert monitor.values("twice", sort=False)[2] == pytest.approx([1.2] * 5) and list(monitor.values("twice", sort=False)) == [2]
    assert monitor.record_variables == {"i", "t", "twice", "v"} and monitor.count[0] > 0


def test_synapses_see_subexpressions_of_neurons_in_records():
    source, sink = generator(), NeuronGroup(2, "v : 1\ntwice = 2*v : 1")
    synapses = Synapses(source, sink, "w : 1\nboth = w + twice_post : 1", on_pre="v_post += w")
    synapses.connect()
    synapses.w = "i + 1"
    monitor = StateMonitor(synapses, ["both", "w"], record=True)
    Network(source, sink, synapses, monitor).run(0.5 * ms)
    assert (monitor.both - monitor.w)[0].tolist() == [0, 2, 2, 10, 20]


def test_indices_of_a_part_are_relative():
    group = NeuronGroup(5, "v : 1\nh = 10*i : 1", threshold="i > 2", reset="")
    monitor, spikes = StateMonitor(group[2:], ["i", "h"], record=[1, 2]), SpikeMonitor(group[2:], ["i", "h"])
    Network(group, monitor, spikes).run(0.2 * ms)
    assert monitor.i[:, 0].tolist() == [1, 2] and monitor.h[:, 0].tolist() == [30, 40]
    assert spikes.i.tolist() == [1, 2, 1, 2] and spikes.h.tolist() == [30, 40, 30, 40]


def test_binned_and_smooth_rates():
    group = generator()
    rates, spikes = PopulationRateMonitor(group), SpikeMonitor(group)
    Network(group, rates, spikes).run(1 * ms)
    bins, binned = rates.binned_rate(0.4 * ms)
    assert bins / ms == pytest.approx([0, 0.4, 0.8]) and binned / Hz == pytest.approx(np.array([5 / 4, 0, 1 / 2]) / 4 / 1e-4)
    bins, binned = spikes.binned_rate(0.5 * ms)
    assert bins / ms == pytest.approx([0, 0.5]) and binned / Hz == pytest.approx(np.array([[2, 1], [1, 0], [2, 0], [0, 0]]) / 5e-4)
    smooth = spikes.smooth_rate("flat", width=0.3 * ms)
    assert smooth.shape == (4, 10) and smooth[0] / Hz == pytest.approx(np.array([1, 2, 1, 1, 0, 0, 0, 0, 1, 1]) / 3e-4)
    assert rates.smooth_rate("flat", 0.3 * ms) / Hz == pytest.approx(smooth.mean(axis=0) / Hz)
    for wrong, error, text in (
        (lambda: rates.smooth_rate(), TypeError, "the window 'gaussian' needs a width"),
        (lambda: rates.smooth_rate("round", 1 * ms), NotImplementedError, "there is no window 'round'; take 'gaussian', 'flat' or an array"),
        (lambda: rates.smooth_rate(np.ones(3), 1 * ms), TypeError, "width belongs to a window given by name; an array has its own"),
        (lambda: rates.smooth_rate(np.ones(4)), TypeError, "a window must be one-dimensional with an odd number of values, not of shape (4,)"),
        (lambda: rates.smooth_rate("flat", -1 * ms), ValueError, "the width of a window must be positive, not -1. * ms"),
        (lambda: rates.binned_rate(0.25 * ms), ValueError, "the size of a bin (0.00025 s) must be a multiple of dt (0.0001 s)"),
    ):
        with pytest.raises(error) as caught:
            wrong()
        assert str(caught.value) == text


def test_a_rate_in_the_making():
    group = generator()
    rates, spikes = PopulationRateMonitor(group), SpikeMonitor(group, record=False)
    seen = []

    @network_operation(when="end", order=1)
    def look():
        seen.append((len(rates.rate), spikes.count.tolist()))

    Network(group, rates, spikes, look).run(0.4 * ms)
    assert seen == [(1, [1, 0, 0, 0]), (2, [1, 0, 0, 0]), (3, [2, 0, 1, 0]), (4, [2, 1, 2, 0])]


def test_a_monitor_may_come_later():
    start_scope()
    group = generator(name="the_source")
    first = SpikeMonitor(group)
    run(0.25 * ms)
    second_one, rate = SpikeMonitor(group), PopulationRateMonitor(group)
    states = StateMonitor(group, "i", record=True)
    run(0.75 * ms)
    assert first.num_spikes == 6 and second_one.num_spikes == 3 and rate.N == states.N == 7 and rate.t[0] / ms == pytest.approx(0.3)


def test_a_single_step_needs_a_run():
    group = NeuronGroup(2, "dv/dt = rate : 1\nfast = v*factor : 1", method="euler")
    rate, factor = 1 / ms, 3
    monitor = StateMonitor(group, ["v", "fast"], record=[1])
    with pytest.raises(TypeError, match="can record a single step after a run only"):
        monitor.record_single_timestep()
    Network(group, monitor).run(0.2 * ms)
    del rate, factor  # the constants are those of the run
    monitor.record_single_timestep()
    assert monitor.v[0] == pytest.approx([0, 0.1, 0.2]) and monitor.fast[0] == pytest.approx([0, 0.3, 0.6]) and monitor.t[-1] == 0.2 * ms
    monitor.v[0][:] = 0  # what is handed out is a copy
    assert monitor.v[0] == pytest.approx([0, 0.1, 0.2])


def test_snapshots_hold_everything():
    group = NeuronGroup(2, "dv/dt = (i + 1)/ms : 1", threshold="v > 0.35", reset="v = 0", events={"high": "v > 0.25"}, method="euler")
    monitors = (
        SpikeMonitor(group, "v"),
        EventMonitor(group, "high", "v"),
        PopulationRateMonitor(group),
        StateMonitor(group, "v", True),
        SpikeMonitor(group, record=[1]),
    )
    net = Network(group, *monitors)
    net.run(1 * ms)
    kept, shown = [m.snapshot() for m in monitors], [m.get_states(units=False) for m in monitors]
    net.run(1 * ms)
    for monitor, snapshot, before in zip(monitors, kept, shown):
        assert len(monitor.t) > len(before["t"])
        monitor.restore(snapshot)
        for name, values in monitor.get_states(units=False).items():
            np.testing.assert_array_equal(values, before[name])
    assert monitors[0].get_states(["t"])["t"].dim == second.dim and monitors[0].get_states(read_only_variables=False) == {}
    with pytest.raises(KeyError, match="records t, N, v, not 'w'"):
        monitors[3].get_states(["w"])


def test_spikes_can_be_given_anew_between_runs(caplog):
    group, own = generator(), generator(dt=0.05 * ms)
    monitor, second_one = SpikeMonitor(group), SpikeMonitor(own)
    net = Network(group, own, monitor, second_one)
    net.run(0.25 * ms)
    net.run(0.05 * ms)
    assert not caplog.records
    group.set_spikes([3, 2, 1], [0.1, 0.2, 0.5] * ms)
    own.set_spikes([3, 0], [0.05, 0.1] * ms, period=0.2 * ms)
    net.run(0.4 * ms)
    net.run(0.1 * ms)
    expected = f"2 spikes of {group.name!r} come before the beginning of this run (t = 0.0003 s) and are left out"
    assert [record.getMessage() for record in caplog.records] == [expected]
    assert monitor.i.tolist() == [0, 0, 2, 1] and monitor.t / ms == pytest.approx([0, 0.2, 0.2, 0.5])
    assert second_one.i.tolist() == [0, 0, 2, 0, 3, 0, 3, 0] and second_one.t[3:] / ms == pytest.approx([0.3, 0.45, 0.5, 0.65, 0.7])


def test_parts_of_other_objects_are_refused():
    group, other = NeuronGroup(4, "v : 1"), NeuronGroup(4, "v : 1")
    with pytest.raises(IndexError, match="is no part of"):
        StateMonitor(group, "v", record=other[1:])
    with pytest.raises(IndexError, match="is no part of"):
        StateMonitor(group[2:], "v", record=group[1:3])
    assert StateMonitor(group[1:], "v", record=group[2:4]).record.tolist() == [1, 2]


def test_records_of_long_and_short_runs_are_those_of_one_run():
    found = []
    for parts in ((7, 900, 1, 1200, 3), (2111,)):
        G = NeuronGroup(20, "dv/dt = (i + 1)/ms : 1", threshold="v > 1.05", reset="v = 0", method="euler", name="cells")
        M, S, R = StateMonitor(G, "v", record=True), SpikeMonitor(G, "v"), PopulationRateMonitor(G)
        seen = []

        @network_operation(dt=20 * ms)
        def look(t):
            seen.append((len(M.t), M.v[3].sum(), S.count.sum(), len(S.i)))  # noqa: B023

        net = Network(G, M, S, R, look)
        for steps in parts:
            net.run(steps * 0.1 * ms)
        found.append((M.t_, M.v, S.i, S.t_, S.v, S.count[:], R.t_, R.rate_, seen))
        assert M.v.flags.writeable and S.i.flags.writeable
    for parted, whole in zip(*found):
        np.testing.assert_array_equal(parted, whole)
    assert len(found[0][2]) > 20_000


def test_what_was_read_stays_as_it_was():
    G = NeuronGroup(3, "dv/dt = 1/ms : 1", method="euler", name="cells")
    M = StateMonitor(G, "v", record=True)
    net = Network(G, M)
    net.run(5 * ms)
    net.store()
    first, kept = M.v, M.v.copy()
    first[:] = 7
    np.testing.assert_array_equal(M.v, kept)
    net.run(5 * ms)
    second = M.v
    net.restore()
    np.testing.assert_array_equal(M.v, kept)
    net.run(5 * ms)
    np.testing.assert_array_equal(M.v, second)
    net.restore()
    net.restore()
    np.testing.assert_array_equal(M.v, kept)


def test_parts_of_large_records(monkeypatch):
    monkeypatch.setattr(brianlike.monitors.base, "LARGE", 1)
    G = NeuronGroup(5, "dv/dt = (i + 1)/ms : 1\nn : integer (shared)", method="euler", name="cells")
    M = StateMonitor(G, ["v", "n"], record=[4, 0, 2])
    net = Network(G, M)
    assert M.v.shape == (3, 0) and M[2].v.shape == (0,)
    net.run(1 * ms)
    net.run(2 * ms)
    wanted = 0.1 * np.arange(30) * np.array([[5], [1], [3]])
    np.testing.assert_allclose(M.v, wanted)
    np.testing.assert_allclose(M[2].v, wanted[2])
    np.testing.assert_allclose(M[[0, 4]].v, wanted[[1, 0]])
    np.testing.assert_allclose(M[:].v, wanted[[1, 2, 0]])
    np.testing.assert_array_equal(M[0].n, np.zeros(30))
    M.v[:] = 0
    np.testing.assert_allclose(M.v, wanted)
