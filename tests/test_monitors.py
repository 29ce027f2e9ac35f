"""Monitors: what they keep, and how it is shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brianlike.groups import NeuronGroup
from brianlike.inputs import PoissonGroup
from brianlike.monitors import EventMonitor, PopulationRateMonitor, SpikeMonitor, StateMonitor
from brianlike.synapses import Synapses
from brianlike.units import Hz, ms, second, volt
from codegen.errors import UnknownNameError

TEXT = "dv/dt = -v/(10*ms) : volt\nx : 1\ntwice = 2*x : 1\non : boolean\ncommon : 1 (shared)"


@pytest.fixture
def G() -> NeuronGroup:
    return NeuronGroup(4, TEXT, threshold="v > 1*mV", reset="v = 0*mV", order=3, name="cells")


# ------------------------------------------------------------------------------------------------------------------------------------ SpikeMonitor
@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), max_size=10), max_size=5))
def test_spikes_are_kept_in_order_whatever_the_chunks(chunks: list[list[tuple[int, int]]]) -> None:
    G = NeuronGroup(4, TEXT, threshold="v > 1*mV")
    monitor, counter = SpikeMonitor(G), SpikeMonitor(G, record=False)
    chunks = [sorted(chunk) for chunk in chunks]
    spikes = [spike for chunk in chunks for spike in chunk]
    for n, chunk in enumerate(chunks):
        for one in (monitor, counter):
            one.append(np.array([i for _, i in chunk], dtype=np.int32), np.array([s for s, _ in chunk], dtype=np.int64))
        if n % 2:
            assert len(monitor.i) == monitor.num_spikes  # looking between two chunks changes nothing
    assert list(monitor.i) == [i for _, i in spikes] and np.allclose(monitor.t / ms, [s * 0.1 for s, _ in spikes])
    counts = [sum(i == neuron for _, i in spikes) for neuron in range(4)]
    assert list(monitor.count) == list(counter.count) == counts and monitor.N == counter.num_spikes == len(monitor) == len(spikes)
    trains = monitor.spike_trains()
    assert list(trains) == [0, 1, 2, 3]
    for neuron, train in trains.items():
        assert np.array_equal(train / second, monitor.t_[monitor.i == neuron])
    assert np.array_equal(monitor.it[1], monitor.t) and monitor.i.dtype == np.int32


def test_times_already_recorded_do_not_move_with_dt() -> None:
    G = NeuronGroup(1, "v : 1", threshold="v > 1", dt=0.1 * ms)
    monitor = SpikeMonitor(G)
    monitor.append(np.array([0]), np.array([10]))
    G.clock.dt = 0.5 * ms
    monitor.append(np.array([0]), np.array([10]))
    assert np.allclose(monitor.t / ms, [1, 5])


def test_place_in_the_schedule(G: NeuronGroup) -> None:
    assert (SpikeMonitor(G).when, SpikeMonitor(G).order) == ("thresholds", 4)
    early = PoissonGroup(1, 1 * Hz, when="start")
    assert (SpikeMonitor(early).when, SpikeMonitor(early, order=-1, when="end").when) == ("start", "end")
    assert (StateMonitor(G, "v", True).when, StateMonitor(G, "v", True, when="end", order=2).order) == ("start", 2)


def test_spike_monitor_snapshot(G: NeuronGroup) -> None:
    monitor = SpikeMonitor(G)
    monitor.append(np.array([1, 2]), np.array([3, 4]))
    kept = monitor.snapshot()
    monitor.append(np.array([1]), np.array([9]))
    monitor.restore(kept)
    assert list(monitor.i) == [1, 2] and list(monitor.count) == [0, 1, 1, 0]
    monitor.append(np.array([0]), np.array([9]))
    assert list(monitor.i) == [1, 2, 0] and list(kept["i"]) == [1, 2]


def test_spike_monitor_refuses(G: NeuronGroup) -> None:
    with pytest.raises(TypeError, match="records the spikes of a group of neurons, not of str"):
        SpikeMonitor("cells")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="'cells' has no variable 'twise' to record; did you mean 'twice'?"):
        SpikeMonitor(G, "twise")
    with pytest.raises(IndexError, match="index 4 is out of range for 'cells' with 4 elements"):
        SpikeMonitor(G, record=[0, 4])
    with pytest.raises(TypeError, match="record takes True, False, or the neurons to record, not 'i > 2'"):
        SpikeMonitor(G, record="i > 2")
    with pytest.raises(ValueError, match="^order needs when: give the slot of the schedule as well$"):
        SpikeMonitor(G, order=2)
    with pytest.raises(ValueError, match="^'silent' has no event 'spike' to record; give it a threshold$"):
        SpikeMonitor(NeuronGroup(1, "v : 1", name="silent"))
    with pytest.raises(ValueError, match="^'silent' has no event 'spike' to record; give it a threshold$"):
        PopulationRateMonitor(NeuronGroup(1, "v : 1", name="silent"))
    with pytest.raises(ValueError, match="^'cells' has no event 'high' to record; its events are 'spike'$"):
        EventMonitor(G, "high")
    with pytest.raises(AttributeError, match=r"counts spikes only \(record=False\)"):
        SpikeMonitor(G, record=False).i  # noqa: B018


# ------------------------------------------------------------------------------------------------------------------------------------ StateMonitor
def filled(monitor: StateMonitor, chunks: tuple[int, ...] = (2, 3)) -> StateMonitor:
    """Row of element e at time k: 100*e + k."""
    start = 0
    for size in chunks:
        times = np.arange(start, start + size)
        rows = 100.0 * monitor.record + times[:, None]
        monitor.append(times * 1e-4, {name: rows if name != "common" else times[:, None] for name in monitor.variables})
        start += size
    return monitor


@pytest.mark.parametrize("record, elements", [(True, [0, 1, 2, 3]), (2, [2]), ([3, 1], [3, 1]), (False, []), (slice(1, 3), [1, 2]), (np.array([-1]), [3])])
def test_values_have_one_row_an_element(G: NeuronGroup, record: object, elements: list[int]) -> None:
    monitor = filled(StateMonitor(G, ["v", "x", "common"], record))
    expected = 100.0 * np.array(elements)[:, None] + np.arange(5)
    assert list(monitor.record) == list(monitor.record_indices) == elements
    assert monitor.v.shape == expected.shape and np.all(monitor.v == expected * volt) and np.all(monitor.x == expected) and np.all(monitor.v_ == expected)
    assert np.allclose(monitor.t / ms, np.arange(5) * 0.1) and monitor.N == len(monitor) == 5 and monitor.common.tolist() == [[0, 1, 2, 3, 4]] * len(elements)
    for element, row in zip(elements, expected):
        assert np.all(monitor[element].v == row * volt) and np.all(monitor[[element]].x == row[None]) and np.all(monitor[element].t == monitor.t)
        assert list(monitor[element].common) == [0, 1, 2, 3, 4]
    for element in set(range(4)) - set(elements):
        with pytest.raises(IndexError, match=f"element {element} of 'cells' is not recorded"):
            monitor[element]
    if elements == [3, 1]:
        assert np.all(monitor[[1, 3]].x == expected[[1, 0]]) and np.all(monitor[:].x == expected[[1, 0]])


def test_all_variables_and_their_types(G: NeuronGroup) -> None:
    monitor = StateMonitor(G, True, record=[0])
    assert monitor.variables == ("v", "x", "twice", "on", "common") and monitor.v.shape == (1, 0) and monitor.common.shape == (1, 0)
    assert monitor.on.dtype == bool and StateMonitor(NeuronGroup(1, TEXT, dtype="float32"), "v", True).v_.dtype == np.float32
    assert StateMonitor(G, ("x", "x", "v"), True).variables == ("x", "v")


def test_state_monitor_snapshot(G: NeuronGroup) -> None:
    monitor = filled(StateMonitor(G, "x", True))
    kept = monitor.snapshot()
    filled(monitor, (1,))
    assert monitor.N == 6
    monitor.restore(kept)
    assert monitor.N == 5 and monitor.x.shape == (4, 5)


def test_synapses_can_be_recorded(G: NeuronGroup) -> None:
    S = Synapses(G, G, "w : 1", on_pre="v_post += w*mV", name="links")
    with pytest.raises(TypeError, match=r"call links.connect\(...\) before the StateMonitor is made"):
        StateMonitor(S, "w", True)
    S.connect("i == j")
    assert list(StateMonitor(S, "w", True).record) == [0, 1, 2, 3] and list(StateMonitor(S, "w", record=(2, 2)).record) == [2]
    assert np.all(filled(StateMonitor(S, "w", [1, 3]))[3].w == 300 + np.arange(5))


def test_state_monitor_refuses(G: NeuronGroup) -> None:
    monitor = filled(StateMonitor(G, "v", True, name="mon"))
    for error, text, call in (
        (TypeError, "StateMonitor records the variables of a group or of Synapses, not of int", lambda: StateMonitor(3, "v", True)),
        (UnknownNameError, "'cells' has no variable 'twise' to record; did you mean 'twice'?", lambda: StateMonitor(G, "twise", True)),
        (TypeError, "StateMonitor records a variable, a list of variables, or True for all, not 3", lambda: StateMonitor(G, 3, True)),
        (IndexError, "index 4 is out of range for 'cells' with 4 elements", lambda: StateMonitor(G, "v", [4])),
        (TypeError, "record takes True, False or indices, not text", lambda: StateMonitor(G, "v", "i > 2")),
        (ValueError, "'N' cannot be recorded: monitors have an attribute of that name", lambda: StateMonitor(G, "N", True)),
        (AttributeError, "'mon' has no record or attribute 'w'; it records v", lambda: monitor.w),
        (ValueError, "'mon' records v, not x", lambda: monitor.append(np.zeros(1), {"x": np.zeros((1, 4))})),
        (ValueError, "'mon' needs v of shape (1, 4), not (4, 1)", lambda: monitor.append(np.zeros(1), {"v": np.zeros((4, 1))})),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith(text)
    assert monitor.N == 5 and np.all(monitor[1].v[:2] == [100, 101] * volt)
