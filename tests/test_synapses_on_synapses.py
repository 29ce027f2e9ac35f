"""Synapses whose source or target is another Synapses object; pathways of custom events. Expected values are Brian's, or worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from networks import SIMULATORS

from brianlike import *

every_simulator = pytest.mark.parametrize("engine", SIMULATORS)


def cells(size: int = 4, name: str = "G", **options: object) -> NeuronGroup:
    return NeuronGroup(size, "v : 1\nx : 1\ng : 1", threshold="v > -1", name=name, **options)


@every_simulator
def test_spikes_change_synapses_which_then_reach_neurons(engine: str) -> None:
    """Pathways of one slot and order run by name: S_pre sends the weights of the step before, then T_pre raises them."""
    prefs.codegen.target = engine
    G = cells()
    S = Synapses(G, G, "w : 1", on_pre="x_post += w", name="S")
    S.connect()
    S.w = "i + 10*j"
    T = Synapses(G, S, "u : 1", on_pre="w_post += u", name="T")
    T.connect("i == 0 and w_post > 20")
    T.u = "w_post + x_pre"
    monitor = StateMonitor(T, "u", record=True)
    Network(T, G, S, monitor).run(0.2 * ms)  # whatever the order in which they are given
    assert list(T.j) == [3, 6, 7, 10, 11, 14, 15] and list(T.u) == [30, 21, 31, 22, 32, 23, 33] and (T.N_pre, T.N_post) == (4, 16)
    assert list(S.w) == [0, 10, 20, 90, 1, 11, 63, 93, 2, 12, 66, 96, 3, 13, 69, 99] and monitor.u.shape == (7, 2)
    assert list(G.x) == [12, 92, 238, 378]


@every_simulator
def test_sums_over_synapses_into_synapses(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells()
    S = Synapses(G, G, "w : 1\ntotal : 1", name="S")
    S.connect()
    S.w = "i + 1"
    T = Synapses(G, S, "u : 1\ntotal_post = u*w_post + i : 1 (summed)", name="T")
    T.connect(i=[0, 1, 2, 1], j=[0, 5, 5, 15])
    T.u = 2
    Network(G, S, T).run(0.1 * ms)
    expected = np.zeros(16)
    expected[[0, 5, 15]] = 2 * 1 + 0, 2 * 2 + 1 + 2 * 2 + 2, 2 * 4 + 1
    np.testing.assert_array_equal(S.total, expected)


@every_simulator
def test_sums_from_synapses_into_neurons(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells()
    S = Synapses(G, G, "dw/dt = 10*Hz : 1 (clock-driven)", method="euler", name="S")
    S.connect()
    S.w = "i"
    T = Synapses(S, G, "u : 1\ng_post = u*w_pre : 1 (summed)", name="T")
    T.connect("i % 4 == j")
    T.u = 2
    Network(G, T, S).run(0.2 * ms)
    np.testing.assert_allclose(S.w, np.repeat([0.002, 1.002, 2.002, 3.002], 4))
    np.testing.assert_allclose(G.g, 12.008)
    assert list(T.i) == list(range(16)) and T.N_pre == 16


@every_simulator
def test_synapses_of_synapses_of_synapses(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells(2)
    S = Synapses(G, G, "w : 1", name="S")
    S.connect("i == j")
    T = Synapses(G, S, "u : 1", on_pre="w_post += 1 + u", name="A_first")
    T.connect("i == j")
    U = Synapses(G, T, on_pre="u_post += 10", delay=0.1 * ms, name="B_second")
    U.connect("i == j")
    Network(U, T, S, G).run(0.3 * ms)
    # step 0: w = 1; step 1: w += 1 + 0, then u = 10; step 2: w += 1 + 10, then u = 20
    assert list(S.w) == [13, 13] and list(T.u) == [20, 20]


@every_simulator
def test_the_target_may_grow(engine: str) -> None:
    prefs.codegen.target = engine
    G = cells(2)
    S = Synapses(G, G, "w : 1", name="S")
    T = Synapses(G, S, on_pre="w_post += 1", name="T")
    with pytest.raises(IndexError):
        T.connect(i=0, j=0)
    S.connect(i=0, j=0)
    T.connect()
    network = Network(G, S, T)
    network.run(0.1 * ms)
    S.connect(i=1, j=1)
    assert T.N_post == 2
    T.connect(i=1, j=1)
    network.run(0.1 * ms)
    assert list(S.w) == [4, 1]


def test_synapses_have_no_events() -> None:
    G = cells()
    S = Synapses(G, G, "w : 1", name="S")
    for code in ({"on_post": "w_post += 1"}, {"on_pre": "x_post += 1"}):
        ends = (G, S) if "on_post" in code else (S, G)
        with pytest.raises(ValueError, match="Synapses have no events"):
            Synapses(*ends, **code)
    with pytest.raises(TypeError, match="a group of neurons or Synapses, not int"):
        Synapses(G, 3)


# ------------------------------------------------------------------------------------------------------------------------------- events of pathways
def with_event(size: int = 10) -> NeuronGroup:
    G = NeuronGroup(size, "v : 1\nx : 1", threshold="v > -1", events={"high": "v > 3"}, name="G")
    G.v = "i"
    return G


@every_simulator
@pytest.mark.parametrize(
    ("codes", "on_event", "expected"),
    [
        ({"on_pre": "x_post += 1"}, "high", 2),
        ({"on_pre": {"a": "x_post += 1", "b": "x_post += 10"}}, {"a": "high", "b": "spike"}, 42),
        ({"on_pre": {"a": "x_post += 1", "b": "x_post += 10"}}, {"a": "high"}, 42),
        ({"on_pre": "x_post += 1", "on_post": "x_post += 100"}, {"pre": "high"}, 402),
        ({"on_pre": "x_post += 1", "on_post": "x_post += 100"}, "spike", 404),
    ],
)
def test_each_pathway_waits_for_its_event(engine: str, codes, on_event, expected: int) -> None:
    prefs.codegen.target = engine
    G = with_event()
    S = Synapses(G[2:6], G[:3], **codes, on_event=on_event)
    S.connect()
    Network(G, S).run(0.1 * ms)
    assert list(G.x[:4]) == [expected] * 3 + [0]


@every_simulator
def test_events_with_delays(engine: str) -> None:
    prefs.codegen.target = engine
    G = with_event(5)
    S = Synapses(G, G, on_pre="x_post += 1", on_event="high", delay=0.1 * ms)
    S.connect("i == j")
    Network(G, S).run(0.3 * ms)
    assert list(G.x) == [0, 0, 0, 0, 2] and S.pre.event == "high"


def test_unknown_events() -> None:
    G = with_event()
    for group in (G, G[2:5]):
        with pytest.raises(ValueError, match="waits for the event 'low' of 'G.*', whose events are 'high', 'spike'"):
            Synapses(group, G, on_pre="x_post += 1", on_event="low")
    with pytest.raises(ValueError, match="whose events are 'spike'"):
        Synapses(PoissonGroup(3, 1 * Hz), G, on_pre="x_post += 1", on_event="low")
    with pytest.raises(TypeError, match="on_event must be"):
        Synapses(G, G, on_pre="x_post += 1", on_event=3)
