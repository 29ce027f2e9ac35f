"""What few scripts do, yet some: texts that reach constants through another object, monitors of nothing, states of another program."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from brianlike import BrianObject, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, defaultclock, ms, prefs, run, start_scope
from brianlike.magic import MagicNetwork
from brianlike.network import Network


@pytest.fixture(params=["numpy", "cython"], autouse=True)
def target(request: pytest.FixtureRequest) -> object:
    prefs.codegen.target = request.param
    yield
    prefs.codegen.target = "auto"


def test_subexpressions_of_the_neurons_find_their_constants_in_connect() -> None:
    width = 2  # noqa: F841  (used in the text)
    cells = NeuronGroup(4, "column = i // int(width) : integer")
    wires = Synapses(cells, cells, "w : 1")
    wires.connect("column_pre == column_post and i != j")
    assert list(wires.i) == [0, 1, 2, 3] and list(wires.j) == [1, 0, 3, 2]
    wires.w = "column_pre + i"
    assert list(wires.w) == [0, 1, 3, 4]
    assert list(wires.column_post) == [0, 0, 1, 1] and list(wires.w["column_post == 1"]) == [3, 4]


def test_the_namespace_of_connect_holds_for_subexpressions_too() -> None:
    cells = NeuronGroup(4, "x = i*scale : 1")
    wires = Synapses(cells, cells)
    wires.connect("x_pre + x_post == 6", namespace={"scale": 3})
    assert list(wires.i) == [0, 1, 2] and list(wires.j) == [2, 1, 0]


def test_state_monitor_of_no_variable_records_times() -> None:
    cells = NeuronGroup(2, "v : 1")
    nothing = StateMonitor(cells, [], record=True)
    Network(cells, nothing).run(0.3 * ms)
    np.testing.assert_allclose(nothing.t_, [0, 1e-4, 2e-4])
    assert nothing.get_states().keys() == {"t", "N"}


def test_all_variables_include_those_of_refractoriness() -> None:
    cells = NeuronGroup(2, "dv/dt = 0/ms : 1", threshold="v > 1", reset="v = 0", refractory=0.2 * ms, method="euler")
    cells.v = [0, 2]
    trace = StateMonitor(cells, True, record=True)
    Network(cells, trace).run(0.4 * ms)
    assert set(trace.variables) == {"v", "lastspike", "not_refractory"}
    np.testing.assert_array_equal(trace.not_refractory, [[True] * 4, [True, False, False, True]])


def test_records_are_not_found_by_text() -> None:
    cells = NeuronGroup(2, "v : 1")
    with pytest.raises(TypeError, match="by the indices of elements"):
        StateMonitor(cells, "v", record=True)["v > 1"]


def test_variables_are_recorded_where_spikes_are_only_counted() -> None:
    cells = NeuronGroup(2, "dv/dt = (i + 1)/ms : 1", threshold="v > 0.35", reset="v = 0", method="euler")
    spikes = SpikeMonitor(cells, "v", record=False)
    Network(cells, spikes).run(0.5 * ms)
    np.testing.assert_allclose(spikes.v, [0.4, 0.4, 0.4])
    assert list(spikes.count) == [1, 2] and spikes.num_spikes == 3
    assert {name: list(map(float, np.round(values, 3))) for name, values in spikes.values("v").items()} == {0: [0.4], 1: [0.4, 0.4]}
    assert spikes.record_variables == {"v"} and spikes.get_states().keys() == {"v", "count", "N"}
    with pytest.raises(AttributeError, match="counts spikes only"):
        spikes.i  # noqa: B018


def test_synapses_from_a_file_need_no_connect(tmp_path: Path) -> None:
    def made() -> tuple[Network, Synapses]:
        cells = NeuronGroup(4, "x : 1", threshold="True", name="cells")
        wires = Synapses(cells, cells, on_pre="x += 1", name="wires")
        return Network(cells, wires), wires

    net, wires = made()
    wires.connect(i=[1, 3], j=[2, 0])
    net.store(filename=tmp_path / "state")
    net, wires = made()
    net.restore(filename=tmp_path / "state")
    net.run(2 * defaultclock.dt)
    assert list(wires.i) == [1, 3] and list(wires.target.x) == [2, 0, 2, 0]


def test_a_missing_group_is_named_before_missing_synapses() -> None:
    cells = NeuronGroup(1, "x : 1", threshold="False")
    wires = Synapses(cells, cells, on_pre="x += 1")
    with pytest.raises(ValueError, match="not in the network"):
        Network(wires).run(0 * ms)


def test_what_a_network_does_not_take() -> None:
    net = Network()
    with pytest.raises(TypeError, match="list of slots"):
        net.schedule = ["start", 1]  # type: ignore[list-item]
    with pytest.raises(TypeError, match="by their names"):
        net[0]  # type: ignore[index]
    with pytest.raises(TypeError, match="by their names"):
        del net[0:1]  # type: ignore[misc]
    with pytest.raises(ValueError, match="one magic network"):
        MagicNetwork()


def test_run_switches_off_what_has_lost_its_group_even_if_nothing_else_is_left() -> None:
    start_scope()
    alone = SpikeMonitor(NeuronGroup(1, "v : 1", threshold="False"))
    run(0.1 * ms)
    assert not alone.active


class Counter(BrianObject):
    add_to_magic_network = True

    def __init__(self, **keywords: object):
        super().__init__(**keywords)
        self.calls: list[str] = []

    def before_run(self, run_namespace: object) -> None:
        self.calls.append("before")

    def run(self) -> None:
        self.calls.append("step")

    def after_run(self) -> None:
        self.calls.append("after")


def test_objects_of_a_class_of_the_users_take_part_in_steps() -> None:
    start_scope()
    slow, fast = Counter(dt=0.2 * ms, when="end"), Counter(order=1)
    run(0.4 * ms)
    assert slow.calls == ["before", "step", "step", "after"] and fast.calls.count("step") == 4
    fast.active = False
    run(0.2 * ms)
    assert slow.calls.count("step") == 3 and fast.calls.count("step") == 4


def test_groups_that_act_and_bring_objects_along() -> None:
    class Watched(NeuronGroup):
        def __init__(self) -> None:
            super().__init__(2, "dv/dt = 1/ms : 1", threshold="v > 0.15", reset="v = 0", method="euler")
            self._seen: list[float] = []
            self.add_attribute("record")
            self.record = SpikeMonitor(self)
            self.contained_objects.append(self.record)

        def run(self) -> None:
            self._seen.append(float(self.v[0]))

    cells = Watched()
    net = Network(cells)
    assert len(net.objects) == 1 and len(net) == 2 and cells.record.name in net
    net.run(0.4 * ms)
    assert cells.record.num_spikes == 4 and len(cells._seen) == 4
    np.testing.assert_array_equal(net[cells.name].v, cells.v)


def test_an_error_in_such_an_object_ends_the_run() -> None:
    class Failing(BrianObject):
        def run(self) -> None:
            raise OverflowError("too much")

    with pytest.raises(OverflowError, match="too much"):
        Network(Failing()).run(1 * ms)


def test_monitors_take_attributes_of_the_users() -> None:
    trace = StateMonitor(NeuronGroup(1, "v : 1"), "v", record=True)
    trace.add_attribute("condition")
    assert trace.condition is None
    trace.condition = "control"
    assert trace.condition == "control"
    for name in ("v", "v_", "t", "record"):
        with pytest.raises(AttributeError, match="already"):
            trace.add_attribute(name)


def test_numbers_of_spikes_taken_before_a_run_go_on_counting() -> None:
    cells = NeuronGroup(2, "dv/dt = (i + 1)/ms : 1", threshold="v > 0.35", reset="v = 0", method="euler")
    spikes = SpikeMonitor(cells)
    net = Network(cells, spikes)
    counts, now = spikes.count, spikes.count[:]
    net.store()
    net.run(0.5 * ms)
    assert list(counts) == [1, 2] and list(now) == [0, 0]
    first, doubled, total = counts[1], counts * 2, counts.sum()
    net.run(0.5 * ms)
    assert list(counts) == [2, 5] and first == 2 and list(doubled) == [2, 4] and total == 3
    assert type(counts[:]) is type(doubled) is type(counts.copy()) is type(pickle.loads(pickle.dumps(counts))) is np.ndarray
    assert repr(counts) == "array([2, 5])"
    with pytest.raises(ValueError, match="read-only"):
        counts += 1
    net.restore()
    assert list(counts) == [0, 0]
