"""Parts of groups: what they show, what they write, and that both engines connect and record them. Expected values are Brian's."""

from __future__ import annotations

import numpy as np
import pytest
from networks import SIMULATORS

from brianlike.only import *

every_simulator = pytest.mark.parametrize("engine", SIMULATORS)


def cells(size: int = 10, name: str = "cells") -> NeuronGroup:
    G = NeuronGroup(size, "v : 1\nx : 1\nq = i*1.0 : 1\ns : 1 (shared)", threshold="v > 1", reset="v = 0", name=name)
    G.v = "i"
    return G


# ------------------------------------------------------------------------------------------------------------------------------------- which neurons
@pytest.mark.parametrize(
    ("item", "place"),
    [
        (slice(2, 6), (2, 6)),
        (slice(None, 4), (0, 4)),
        (slice(-3, None), (7, 10)),
        (slice(5, 30), (5, 10)),
        (3, (3, 4)),
        ([2, 3, 4], (2, 5)),
        (np.arange(4), (0, 4)),
    ],
)
def test_parts_are_neurons_in_a_row(item, place) -> None:
    part = cells()[item]
    assert (part.start, part.stop, len(part), part.N) == (*place, place[1] - place[0], place[1] - place[0])


@pytest.mark.parametrize(
    ("item", "kind", "words"),
    [
        (-1, IndexError, "counted from 0"),
        ([2, 4], IndexError, "neurons in a row"),
        ([4, 3], IndexError, "neurons in a row"),
        ([], IndexError, "neurons in a row"),
        (slice(None, None, 2), IndexError, "without a step"),
        (slice(5, 5), IndexError, "none from 5"),
        (slice(20, 30), IndexError, "has 10 neurons"),
        (12, IndexError, "has 10 neurons"),
        ("i > 3", TypeError, "a slice"),
        (1.5, TypeError, "a slice"),
        (np.arange(10) > 5, TypeError, "a slice"),
    ],
)
def test_what_is_no_part(item, kind, words) -> None:
    with pytest.raises(kind, match=words):
        cells()[item]


def test_parts_of_parts_are_slices() -> None:
    part = cells()[2:6]
    assert [(p.start, p.stop) for p in (part[1:3], part[2:9], part[-1:])] == [(3, 5), (4, 6), (5, 6)]
    for item in (1, [1, 2]):
        with pytest.raises(TypeError, match="slice"):
            part[item]
    with pytest.raises(IndexError, match="none from 3"):
        part[3:3]


def test_a_part_shows_what_its_group_has() -> None:
    G = cells()
    part, second = G[2:6], G[3:]
    assert (part.name, second.name) == ("cells_subgroup", "cells_subgroup_1")
    assert part.source is G and part.clock is G.clock and part.equations is G.equations and part.dt == G.dt and part.dt_ == G.dt_ == 1e-4 and part.t_ == 0
    assert repr(part) == "<Subgroup 'cells_subgroup' of 'cells' from 2 to 6>"
    with pytest.raises(AttributeError, match="no variable or attribute 'vv'; did you mean 'v'"):
        part.vv  # noqa: B018
    with pytest.raises(AttributeError, match="'foo'"):
        part.foo = 3


@pytest.mark.parametrize(
    "factory", [lambda: PoissonGroup(6, "i*Hz", name="g"), lambda: SpikeGeneratorGroup(6, [0], [0] * ms, name="g"), lambda: InputGroup(6, name="g")]
)
def test_every_kind_of_group_has_parts(factory) -> None:
    part = factory()[1:4]
    assert (part.name, part.start, part.stop, list(part.i)) == ("g_subgroup", 1, 4, [0, 1, 2])


# ---------------------------------------------------------------------------------------------------------------------------------- reading, writing
def test_values_are_those_of_the_group() -> None:
    G = cells()
    part = G[2:6]
    assert list(part.v) == [2, 3, 4, 5] and list(part.i) == [0, 1, 2, 3] and list(part.v["i > 1"]) == [4, 5] and list(part.v[1:3]) == [3, 4]
    assert list(part.q) == [2, 3, 4, 5]  # an equation of the group sees the group's i
    assert list(part[1:].q[1:]) == [4, 5] and part.q[0] == 2
    assert part.v[-1] == 5
    with pytest.raises(IndexError, match="out of range"):
        part.v[5]


def test_writing_writes_the_group() -> None:
    G = cells()
    part = G[2:6]
    part.v = "i*10"
    part.v[1:3] += 5
    part.v["i == 3"] = "v + 1"
    part.x = [1, 2, 3, 4]
    part.s = 5
    assert list(G.v) == [0, 1, 0, 15, 25, 31, 6, 7, 8, 9] and list(G.x) == [0, 0, 1, 2, 3, 4, 0, 0, 0, 0] and G.s == 5
    with pytest.raises(ValueError, match=r"shape \(4,\) here, but the value has shape \(2,\)"):
        part.v = [1, 2]
    with pytest.raises(TypeError, match="is read-only"):
        part.i = 3
    part.v["i > 2"] += [1]
    part.v["i > 2"] -= 1
    part.v += 1
    assert list(G.v) == [0, 1, 1, 16, 26, 32, 6, 7, 8, 9]


def test_parts_are_indices() -> None:
    G = cells()
    part = G[2:6]
    assert list(G.v[part]) == [2, 3, 4, 5] and list(part.v[G[3:5]]) == [3, 4]
    G.v[part] = 0
    assert list(G.v) == [0, 1, 0, 0, 0, 0, 6, 7, 8, 9]
    for wrong in (G[1:3], cells(name="other")[2:4]):
        with pytest.raises(IndexError, match="cells_subgroup"):
            part.v[wrong]


def test_indices_by_condition() -> None:
    G = cells()
    assert list(G.indices["v > 7"]) == [8, 9] and list(G.indices[1:3]) == [1, 2] and list(G[2:6].indices[1:3]) == [3, 4]
    assert list(G[2:6].indices["i > 1"]) == [2, 3]


def test_a_part_keeps_its_group() -> None:
    part = cells()[2:6]
    assert list(part.v) == [2, 3, 4, 5]


# ----------------------------------------------------------------------------------------------------------------------------------------------- runs
@every_simulator
def test_synapses_between_parts(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells()
    S = Synapses(G[2:5], G[6:], "w : 1\niw = i + 10*j : 1\nxp = q_pre : 1", on_pre="x_post += 100*j + 1000*i + 10000*N_pre", name="S")
    S.connect("i == j")
    S.w = "i + x_pre"
    Network(G, S).run(0.3 * ms)
    assert list(S.i) == list(S.j) == [0, 1, 2] and list(S.w) == [0, 1, 2] and list(S.iw) == [0, 11, 22] and list(S.xp) == [2, 3, 4]
    assert (S.N_pre, S.N_post) == (3, 4) and list(S.N_outgoing_pre) == [1, 1, 1] and list(S.N_incoming_post) == [1, 1, 1, 0]
    assert list(G.x) == [0, 0, 0, 0, 0, 0, 30000, 31100, 32200, 0]


@every_simulator
def test_relative_numbers_of_neurons_in_synaptic_code(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells()
    S = Synapses(
        G[2:5], G[6:], "own = i_pre + 10*i_post + 0.0 : 1", on_pre="x_post += i_pre + 10*i_post", on_post="x_pre += q_pre*100 + i_post", delay=0.1 * ms
    )
    S.connect(i=[1, 2], j=[0, 3])
    Network(G, S).run(0.3 * ms)
    assert list(S.own) == [1, 32]
    assert list(G.x) == [0, 0, 0, 300, 403, 0, 1, 0, 0, 32]


def test_synapses_of_parts_by_index() -> None:
    G = cells()
    S = Synapses(G[2:5], G[6:], "w : 1")
    S.connect()
    S.w = "i*10 + j"
    assert list(S.w[1, :]) == [10, 11, 12, 13] and list(S.w[G[2:4], :]) == [0, 1, 2, 3, 10, 11, 12, 13] and list(S.w[G[3], G[6]]) == [10]
    assert len(S.w[G[6:], :]) == 0  # no synapses begin there
    with pytest.raises(IndexError, match="0 to 2"):
        S.connect(i=[3], j=[0])


@every_simulator
def test_monitors_of_parts(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells()
    part = G[2:5]
    spikes, some, every = SpikeMonitor(part), StateMonitor(part, ["v", "q"], record=[0, 2]), StateMonitor(part, "v", record=True)
    Network(G, spikes, some, every).run(0.2 * ms)
    assert list(spikes.i) == [0, 1, 2] and list(spikes.count) == [1, 1, 1] and set(spikes.spike_trains()) == {0, 1, 2}
    np.testing.assert_array_equal(some.v, [[2, 0], [4, 0]])
    np.testing.assert_array_equal(some.q, [[2, 2], [4, 4]])
    np.testing.assert_array_equal(some[2].v, [4, 0])
    np.testing.assert_array_equal(every.v, [[2, 0], [3, 0], [4, 0]])
    assert list(every.record) == [0, 1, 2]


@every_simulator
def test_spikes_of_parts(engine: str) -> None:
    prefs.codegen.target = engine
    G = SpikeGeneratorGroup(6, [1, 3, 4], [0, 0, 0] * ms)
    part = G[3:]
    target = NeuronGroup(2, "v : 1")
    S = Synapses(part[:1], target, on_pre="v_post += 1")
    S.connect(j=1, i=0)
    Network(G, S, target, part).run(0.1 * ms)
    assert list(part.spikes) == [0, 1] and list(target.v) == [0, 1]


@every_simulator
def test_several_pathways_with_delays_onto_a_part(engine: str) -> None:
    prefs.codegen.target = engine
    G, T = cells(4, "g"), cells(6, "t")
    T.v = 0
    S = Synapses(G[2:], T[3:], on_pre={"fast": "x_post += 1", "slow": "x_post += 10"}, delay={"slow": 0.2 * ms})
    S.connect(i=[0, 1, 1], j=[0, 0, 2])
    S.fast.delay = "(i + i)*0.1*ms"
    record = StateMonitor(T[3:], "x", record=True, when="end")
    network = Network(G, T, S, record)
    network.run(0.4 * ms)
    np.testing.assert_array_equal(record.x, [[1, 1, 22, 22], [0, 0, 0, 0], [0, 0, 11, 11]])
    G.v, T.x, S.slow.delay = [0, 0, 0, 5], 0, 0.1 * ms
    network.run(0.3 * ms)
    np.testing.assert_array_equal(record.x[:, 4:], [[0, 10, 11], [0, 0, 0], [0, 10, 11]])


@every_simulator
def test_the_group_must_be_in_the_network_the_part_need_not(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells()
    M = SpikeMonitor(G[8:])
    with pytest.raises(ValueError, match="needs 'cells', which is not in the network"):
        Network(M).run(0.1 * ms)
    Network(G, M).run(0.1 * ms)
    assert list(M.i) == [0, 1]


def test_magic_run_takes_the_group_alone() -> None:
    prefs.codegen.target = "numpy"
    G = cells()
    part = G[2:4]
    run(0.1 * ms)
    assert list(part.v) == [0, 0]


# ---------------------------------------------------------------------------------------------------------------------------------------- other code
@every_simulator
def test_code_of_a_part_counts_within_it(engine: str) -> None:
    prefs.codegen.target = engine
    G = NeuronGroup(10, "v : 1\ns : 1 (shared)", name="G")
    part = G[2:5]
    runner = part.run_regularly("v += i + N*10")
    second = part.run_regularly("s = 5; v += 100*s*int(i == 1)", name="second")
    network = Network(G)
    network.run(0.1 * ms)
    assert list(G.v) == [0, 0, 30, 531, 32, 0, 0, 0, 0, 0] and G.s == 5
    assert (runner.name, second.name) == (f"{part.name}_run_regularly", "second")
    runner.active = False
    network.run(0.1 * ms)
    assert list(G.v[part]) == [30, 1031, 32]


@every_simulator
def test_sums_into_parts_leave_the_others(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells()
    G.x = 5
    S = Synapses(G[2:6], G[7:9], "w : 1\nx_post = w*v_pre : 1 (summed)")
    S.connect()
    T = Synapses(G[2:6], G[1:3], "w : 1\nx_post = w*v_pre : 1 (summed)")
    T.connect()
    S.w, T.w = 1, 2
    Network(G, S, T).run(0.1 * ms)
    assert list(G.x) == [5, 28, 28, 5, 5, 5, 5, 14, 14, 5]


def test_last_spikes_of_parts_can_be_written() -> None:
    prefs.codegen.target = "numpy"
    G = NeuronGroup(6, "dv/dt = 1/dt : 1", threshold="v > 0", reset="v = 0", refractory=1 * ms, method="euler", name="G")
    part = G[2:5]
    part.lastspike, part.not_refractory = "-i*0.5*ms", "i > 1"
    assert list(np.round(G.lastspike[1:] / ms, 6)) == [-1e7, 0, -0.5, -1, -1e7] and list(G.not_refractory) == [True, True, False, False, True, True]
    M = SpikeMonitor(part)
    Network(G, M).run(0.8 * ms)
    assert {n: list(np.round(train / ms, 6)) for n, train in M.spike_trains().items()} == {0: [], 1: [0.5], 2: [0]}


# ------------------------------------------------------------------------------------------------------------------------------------------ training
def test_modules_with_parts_and_links_equal_the_simulator() -> None:
    """The values of five steps, and a gradient for each weight between parts."""
    torch = pytest.importorskip("torch")
    import brianlike.nn as bnn

    inputs = InputGroup(4)
    G = NeuronGroup(6, "dv/dt = -v/(10*ms) : 1\nx : 1 (linked)", threshold="v > 1", reset="v = 0", method="exact", name="G")
    other = NeuronGroup(6, "dy/dt = 100*x*Hz : 1\nx : 1 (linked)", method="euler", name="other")
    other.x, G.x = linked_var(G, "v", index=[5, 4, 3, 2, 1, 0]), linked_var(other, "y")
    S = Synapses(inputs[1:3], G[2:5], "w : 1", on_pre="v_post += w + x_post")
    S.connect()
    S.w = "0.3 + 0.1*i + 0.2*j"
    network = Network(inputs, G, S, other, G[1:2])
    model = bnn.NetworkModule(network, record={"v": (G, "v"), "y": (other, "y")}, learn=[bnn.Learn(S, "w")], dtype=torch.float64)
    x = torch.zeros(5, 1, 4, dtype=torch.float64)
    x[1], x[3, 0, 2] = 1, 1
    found = model(x)
    (found.v.sum() + found.y.sum()).backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert len(gradients) == 1 and gradients[0].numel() == 6 and bool((gradients[0] != 0).all())
    inputs.set_spikes([0, 1, 2, 3, 2], [0.1, 0.1, 0.1, 0.1, 0.3] * ms)
    v, y = StateMonitor(G, "v", record=True, when="end"), StateMonitor(other, "y", record=True, when="end")
    network.add(v, y)
    network.run(0.5 * ms)
    np.testing.assert_allclose(v.v.T, found.v[:, 0].detach(), atol=1e-14)
    np.testing.assert_allclose(y.y.T, found.y[:, 0].detach(), atol=1e-14)
    for wrong, words in (((G[1:3], "v"), "modules record whole groups"), ((G, "x"), "from another object; record it there")):
        with pytest.raises(ModelError, match=words):
            bnn.NetworkModule(network, record={"v": wrong})
