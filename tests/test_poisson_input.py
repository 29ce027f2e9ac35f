"""PoissonInput on both engines: how much arrives, where, and when not."""

import numpy as np
import pytest

from brianlike import *

DT = 0.1 * ms


@pytest.fixture(autouse=True, params=["numpy", "cython"])
def engine(request):
    start_scope()
    seed(12)
    prefs.codegen.target = request.param
    yield request.param


def increments(N, rate, weight, steps=50, size=2000, equations="v : volt\nw : volt"):
    """What each neuron gets in each step, shape (size, steps)."""
    G = NeuronGroup(size, equations, name="cells")
    P = PoissonInput(G, "v", N, rate, weight)
    values = StateMonitor(G, "v", record=True, when="end")
    Network(G, P, values).run(steps * DT)
    return np.diff(np.asarray(values.v), axis=1, prepend=0)


@pytest.mark.parametrize(("N", "rate"), [(20, 100 * Hz), (3, 4 * kHz), (1000, 100 * Hz), (5, 0 * Hz), (0, 10 * Hz), (4, 10 * kHz)])
def test_numbers_are_binomial_or_normal(N, rate):
    p = float(rate) * 1e-4
    mean, variance = N * p, N * p * (1 - p)
    got = increments(N, rate, 1 * volt)
    assert got.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / got.size) + 1e-9)
    assert got.var() == pytest.approx(variance, rel=0.05, abs=1e-9)
    whole = np.abs(got - np.round(got)).max() < 1e-6
    assert whole == (not (mean > 5 and N - mean > 5))
    if variance:
        assert abs(np.corrcoef(got[:, 0], got[:, 1])[0, 1]) < 0.15 and abs(np.corrcoef(got[0], got[1])[0, 1]) < 0.7


def test_weights_may_differ_between_neurons():
    G = NeuronGroup(3, "v : volt\nw : volt", name="cells", namespace={"scale": 2})
    G.w = [0, 1, 2] * mV
    P = PoissonInput(G, "v", 10, 10 * kHz, "scale*w + i*mV")
    Network(G, P).run(DT)
    np.testing.assert_allclose(G.v_, [0, 0.03, 0.06])
    assert (P.N, P.rate, P.weight, P.target_var, P.when, P.order) == (10, 10 * kHz, "scale*w + i*mV", "v", "synapses", 0) and P.target is G


def test_part_of_a_group_counts_from_its_own_first_neuron():
    G = NeuronGroup(5, "v : 1")
    Network(G, PoissonInput(G[2:4], "v", 10, 10 * kHz, "i + 1")).run(DT)
    np.testing.assert_array_equal(G.v, [0, 0, 10, 20, 0])


def test_part_of_a_group_runs_code_of_its_own():
    G = NeuronGroup(5, "v : 1\ns : 1 (shared)", name="cells")
    part = G[2:4]
    runner = part.run_regularly("s += 1\nv += i + N + s")
    Network(G).run(2 * DT)
    np.testing.assert_array_equal(G.v, [0, 0, 7, 9, 0])
    assert runner.name == f"{part.name}_run_regularly" and runner in G.contained_objects


def test_refractory_neurons_miss_what_comes():
    G = NeuronGroup(1, "dv/dt = 0*Hz : 1 (unless refractory)", threshold="v > 15", reset="v = 0", refractory=0.3 * ms, method="euler")
    values = StateMonitor(G, "v", record=True, when="end")
    Network(G, PoissonInput(G, "v", 10, 10 * kHz, 1), values).run(7 * DT)
    np.testing.assert_array_equal(values.v[0], [10, 20, 0, 0, 0, 10, 20])


def test_order_within_the_slot():
    source = SpikeGeneratorGroup(1, [0], [0.05] * ms)
    G = NeuronGroup(1, "v : 1")
    before, after = Synapses(source, G, on_pre="v_post = 1"), Synapses(source, G, on_pre="v_post *= 2")
    before.connect(), after.connect()
    after.pre.order = 1
    Network(source, G, before, after, PoissonInput(G, "v", 10, 10 * kHz, 1)).run(DT)
    assert G.v[0] == 22


def test_two_inputs_and_noise_are_independent():
    G = NeuronGroup(3000, "a : 1\nb : 1\nc : 1")
    G.run_regularly("c = randn()")
    Network(G, PoissonInput(G, "a", 1000, 1 * kHz, 1), PoissonInput(G, "b", 1000, 1 * kHz, 1)).run(DT)
    assert np.abs(np.corrcoef([G.a[:], G.b[:], G.c[:]]) - np.eye(3)).max() < 0.08


def test_it_acts_only_in_its_network_and_while_it_is_active():
    G = NeuronGroup(1, "v : 1")
    P = PoissonInput(G, "v", 10, 10 * kHz, 1)
    P.active = False
    net = Network(G, P)
    net.run(DT)
    assert G.v[0] == 0
    P.active = True
    net.run(DT)
    net.remove(P)
    net.run(DT)
    assert G.v[0] == 10
    with pytest.raises(ValueError, match="needs"):
        Network(PoissonInput(G, "v", 10, 10 * kHz, 1)).run(DT)


def test_wrong_arguments():
    G = NeuronGroup(1, "v : volt", name="cells")
    with pytest.raises(DimensionMismatchError, match="does not have the same unit as the target variable 'v'"):
        PoissonInput(G, "v", 10, 10 * Hz, 1)
    with pytest.raises(DimensionMismatchError, match="rate"):
        PoissonInput(G, "v", 10, 10 * ms, 1 * mV)
    with pytest.raises(KeyError, match="no variable 'u'"):
        PoissonInput(G, "u", 10, 10 * Hz, 1 * mV)
    with pytest.raises(TypeError, match="whole number"):
        PoissonInput(G, "v", 1.5, 10 * Hz, 1 * mV)
    with pytest.raises(TypeError, match="must be one rate"):
        PoissonInput(G, "v", 10, [10, 20] * Hz, 1 * mV)
    with pytest.raises(TypeError, match="must be a group"):
        PoissonInput("G", "v", 10, 10 * Hz, 1 * mV)
    with pytest.raises(ModelError, match="`2` adds a plain number to volt"):
        Network(G, PoissonInput(G, "v", 10, 10 * Hz, "2")).run(DT)


def test_dt_may_not_change_afterwards():
    G = NeuronGroup(1, "v : volt")
    P = PoissonInput(G, "v", 10, 10 * Hz, 1 * mV)
    defaultclock.dt = 0.2 * ms
    with pytest.raises(NotImplementedError, match="has changed since"):
        Network(G, P).run(1 * ms)
