"""Variables of the connected neurons, seen from synapses; networks in another process; lists of spikes that share a step."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from brianlike import *


@pytest.fixture
def S() -> Synapses:
    G = NeuronGroup(4, "v : volt \n double = 2*v : volt \n gain : 1 (shared)", name="cells")
    G.v, G.gain = "i*mV", 3
    S = Synapses(G, G[1:], "w : 1", name="links")
    S.connect("i != j")
    S.add_attribute("whole")
    S.whole = G
    return S


def test_reading(S: Synapses) -> None:
    # As Brian 2.9.
    assert np.allclose(S.v_pre / mV, [0, 0, 1, 1, 2, 2, 3, 3, 3]) and np.allclose(S.v_post / mV, [2, 3, 1, 3, 1, 2, 1, 2, 3])
    assert S.v[0] == 2 * mV and S.v_pre_[2] == 0.001 and S.double_pre[8] == 6 * mV and float(S.gain_pre[:]) == 3.0
    assert len(S.v_pre) == 9 and np.allclose(S.v_pre["i == 2"] / mV, [2, 2]) and np.allclose(S.v_pre[3, :] / mV, 3)
    S.w = S.v_pre / mV + S.v_post / mV
    assert S.w[:4].tolist() == [2, 3, 2, 4]
    assert repr(S.v_pre).startswith("<links.v_pre: array([0., 0., 1.")


def test_shared_variables_of_the_neurons_are_written_as_a_whole(S: Synapses) -> None:
    for change, value in ((4, 4.0), ("2*3", 6.0)):
        S.gain_post = change
        assert float(S.whole.gain[:]) == value
    S.gain_pre[:] = 5
    assert float(S.whole.gain[:]) == 5.0
    with pytest.raises(IndexError, match="shared"):
        S.gain_pre[1] = 5


@pytest.mark.parametrize("error", [IndexError, TypeError])
def test_what_is_no_index(S: Synapses, error: type[Exception]) -> None:
    for item in (1.5, object()):
        with pytest.raises(error, match="indexed by whole numbers"):
            S.w[item]


@pytest.mark.parametrize("error", [IndexError, BrianObjectException])
def test_a_generator_beyond_the_neurons(S: Synapses, error: type[Exception]) -> None:
    with pytest.raises(error, match="gives j = 20"):
        S.connect(j="20")


def test_a_link_to_one_value_may_come_before_connect() -> None:
    leader, state = NeuronGroup(1, "x : 1", name="leader"), NeuronGroup(5, "y : 1 (shared)", name="state")
    leader.x, state.y = 2, 3
    G = NeuronGroup(4, "v : 1", name="cells")
    S = Synapses(G, G, name="links", model="x : 1 (linked) \n y : 1 (linked)")
    S.x, S.y = linked_var(leader.x), linked_var(state.y)
    S.connect(i=[0, 1], j=[2, 3])
    assert np.all(S.x[:] == 2) and np.all(S.y[:] == 3)


def test_writing(S: Synapses) -> None:
    S.v_post[0] = 7 * mV
    assert np.allclose(S.whole.v / mV, [0, 1, 7, 3])
    S.v_pre["i == 3"] = "10*j*mV"  # several synapses of one neuron: the last one counts
    assert S.whole.v[3] == 20 * mV
    with pytest.raises(DimensionMismatchError):
        S.v_pre = 3
    with pytest.raises(AttributeError, match="'links' has no variable or attribute 'nothing_pre'"):
        S.nothing_pre  # noqa: B018


def test_a_network_goes_to_another_process_and_on() -> None:
    P = SpikeGeneratorGroup(2, [0, 1, 0], [1, 9.5, 14] * ms, name="feed")
    G = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 0.4", reset="v = 0", refractory=1 * ms, method="exact", name="targets")
    links = Synapses(P, G, "w : 1", on_pre="v_post += w", delay=2 * ms, name="feeding")
    links.connect()
    links.w = 0.5
    M = SpikeMonitor(G, name="spikes")
    G.run_regularly("v = v + 0")
    net = Network(P, G, links, M)
    net.run(10 * ms)
    other = pickle.loads(pickle.dumps(net))
    for network in (net, other):
        network.run(10 * ms)
    # Thresholds come before synapses, so a neuron fires in the step after the arrival.
    expected = [0.0031, 0.0031, 0.0116, 0.0116, 0.0161, 0.0161]
    assert other.t == 20 * ms and other["spikes"].t_.round(9).tolist() == M.t_.round(9).tolist() == expected
    assert other["feeding"].pre.source is other["feed"] and other["targets"].clock is not G.clock


def test_spikes_of_one_step_may_come_in_any_order() -> None:
    feed = SpikeGeneratorGroup(3, [2.0, 0.0, 1.0], [1.01, 1.02, 1.03] * ms)  # whole numbers, as numpy's random functions give them
    M = SpikeMonitor(feed)
    run(2 * ms)
    assert M.i.tolist() == [0, 1, 2] and M.t_.round(9).tolist() == [0.001] * 3


def test_records_can_be_changed_without_changing_the_monitor() -> None:
    G = NeuronGroup(2, "dv/dt = 1/ms : 1", method="euler")
    M, N = StateMonitor(G, "v", record=True), SpikeMonitor(G) if G.threshold else None
    run(1 * ms)
    values, row = M.v, M[1].v
    values[:], row[:] = 5, 7
    M.t[0] = 3 * second
    assert M.v[1, 1] == pytest.approx(0.1) and M.t[0] == 0 * second and N is None


def test_names_that_numpy_has_removed() -> None:
    assert np.all(numpy_.in1d([[1, 2], [3, 4]], [2, 4]) == [False, True, False, True]) and numpy_.trapz([1, 1, 1]) == 2 and numpy_.product([2, 3]) == 6


def test_a_shared_subexpression_may_read_a_link_to_one_value() -> None:
    source = NeuronGroup(1, "x : 1")
    G = NeuronGroup(3, "b = 2*x : 1 (shared) \n x : 1 (linked) \n v : 1")
    G.x = linked_var(source, "x")
    source.x = 4
    G.run_regularly("v = b + i")
    net = Network(source, G)
    net.run(0.1 * ms)
    assert G.v[:].tolist() == [8, 9, 10]
    several = NeuronGroup(3, "x : 1")
    H = NeuronGroup(3, "b = 2*x : 1 (shared) \n x : 1 (linked) \n v : 1")
    H.x = linked_var(several, "x")
    H.run_regularly("v = b + i")
    with pytest.raises(ModelError, match="`b` is shared, but `x` is linked to a variable that differs"):
        Network(several, H).run(0.1 * ms)


@pytest.mark.parametrize("engine", ["numpy", "cython"])
def test_monitors_of_synapses_record_the_neurons_variables_too(engine: str) -> None:
    prefs.codegen.target = engine
    P = SpikeGeneratorGroup(2, [0, 1], [0.1, 0.2] * ms)
    G = NeuronGroup(2, "v : 1 \n g = 2*v : 1 \n k : 1 (shared)")
    G.v, G.k = [1, 2], 3
    S = Synapses(P, G, "w : 1", on_pre="v += w")
    S.connect()
    S.w = "1 + j"
    M = StateMonitor(S, ["v", "g_post", "i_pre", "w", "k"], record=[0, 3])
    net = Network(P, G, S, M)
    net.run(0.3 * ms)
    # As Brian 2.9; before the step's spikes.
    assert M.v.tolist() == [[1, 1, 2], [2, 2, 4]] and M.g_post.tolist() == [[2, 2, 4], [4, 4, 8]]
    assert M.i_pre[:, 0].tolist() == [0, 1] and M.w[:, 0].tolist() == [1, 2] and M[3].v.tolist() == [2, 2, 4] and M[0].k[0] == 3
    prefs.reset_to_defaults()


def test_a_variable_may_be_called_like_a_pathway() -> None:
    G = NeuronGroup(1, "v : 1", threshold="v > 1", reset="v = 0")
    S = Synapses(G, G, "dpre/dt = -pre/(20*ms) : 1 (event-driven)", on_pre="pre = 1 \n v_post += 0*pre")
    S.connect()
    G.v = 2
    M = StateMonitor(S, "pre", record=0)
    Network(G, S, M).run(0.3 * ms)
    assert S.pre.key == "pre" and M.pre[0].tolist() == [0, 1, 1]
