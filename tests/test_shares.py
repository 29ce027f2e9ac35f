"""Which neurons threads work on, and which operations they run without waiting for each other."""

import numpy as np
import pytest

from brianlike import Hz, Network, NeuronGroup, PoissonInput, SpikeMonitor, Synapses, _runtime, layout, linked_var, ms, prefs, seed, shares


@pytest.fixture
def small_networks_too(monkeypatch):
    monkeypatch.setattr(layout, "SHARED_FROM", 0)
    before = _runtime.set_threads_from(0)
    prefs.codegen.target = "cython"
    yield
    _runtime.set_threads_from(before)
    prefs.codegen.target, prefs.core.threads = "auto", 1


def populations(sizes):
    """Groups that reach each other with delays, and a current for each neuron."""
    seed(4)
    equations = """dv/dt = (1.1 - v)/(10*ms) + I/ms : 1
                   dI/dt = -I/(2*ms) : 1
                   dJ/dt = -J/(3*ms) : 1"""
    groups = [NeuronGroup(n, equations, threshold="v > 1", reset="v = 0", method="exact", name=f"g{k}") for k, n in enumerate(sizes)]
    pathways = []
    for number, pre in enumerate(groups):
        pre.v = "rand()"
        for post in groups:
            S = Synapses(pre, post, "w : 1", on_pre="I_post += w" if number % 2 else "J_post -= w", name=f"s_{pre.name}_{post.name}")
            S.connect(p=0.2)
            S.w, S.delay = "0.01*rand()", "0.1*ms + 1*ms*rand()"
            pathways.append(S)
    inputs = [PoissonInput(group, "I", 20, 50 * Hz, 0.02) for group in groups]
    monitors = [SpikeMonitor(group, name=f"m_{group.name}") for group in groups]
    return Network(groups, pathways, inputs, monitors), groups, monitors


@pytest.mark.parametrize("sizes", [(100, 70, 333), (640, 17), (33, 33, 33, 400, 16, 90)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_groups_of_any_sizes(sizes, dtype, small_networks_too):
    prefs.core.default_float_dtype = dtype
    results = []
    for threads in (1, 2, 3, 7):
        prefs.core.threads = threads
        net, groups, monitors = populations(sizes)
        net.run(8 * ms)
        results.append(
            b"".join(array.tobytes() for item in (*groups, *monitors) for array in ([item.v_[:], item.I_[:]] if item in groups else [item.i[:], item.t_[:]]))
        )
    prefs.core.default_float_dtype = np.float64
    assert sum(monitor.num_spikes for monitor in monitors) > 100
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_do_not_wait_between_deliveries_and_what_follows(threads, small_networks_too):
    prefs.core.threads = threads
    net, groups, _ = populations((300, 200, 500, 100))
    net.run(1 * ms)
    together = net._engine._driver.together()
    operations = net._engine._operations
    update = min(number for name, number in operations.items() if "update" in name)
    assert together[update] == len(groups)  # spikes are looked for behind the last one
    first, last = min(number for name, number in operations.items() if ".pre" in name), max(number for name, number in operations.items() if "poisson" in name)
    assert together[first] == last - first + 1
    prefs.core.threads = 1
    net.run(1 * ms)
    assert set(net._engine._driver.together()) == {1}


def test_what_reads_the_neurons_of_other_threads_waits(small_networks_too):
    """A kernel that reaches across the cut must not be joined with the one that writes there."""
    prefs.core.threads = 2
    source = NeuronGroup(400, "dx/dt = 1/ms : 1", method="euler", name="source")
    reader = NeuronGroup(400, "dy/dt = z/ms : 1\nz : 1 (linked)", method="euler", name="reader")
    reader.z = linked_var(source, "x", index=np.arange(400)[::-1])
    net = Network(source, reader)
    net.run(1 * ms)
    assert set(net._engine._driver.together()) == {1}
    net = Network(*(NeuronGroup(400, "dy/dt = 1/ms : 1", method="euler", name=name) for name in ("one", "other")))
    net.run(1 * ms)
    assert net._engine._driver.together()[0] == 2


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("number", range(5))
def test_every_neuron_belongs_to_one_thread(threads, number):
    rng = np.random.default_rng(number)
    costs = {f"g{k}": rng.uniform(0.5, 2, 16 * int(rng.integers(1, 200))) for k in range(6)}
    order = shares.arranged_groups({name: {"own": float(own.sum()), "in": float(rng.uniform(0, 100))} for name, own in costs.items()})
    assert sorted(order) == sorted(costs)
    cuts = shares.divided(order, costs, threads)
    loads = np.zeros(threads)
    for name, own in cuts.items():
        assert own[0] == 0 and own[-1] == len(costs[name]) and list(own) == sorted(own) and not any(cut % shares.LINE for cut in own)
        loads += [costs[name][first:stop].sum() for first, stop in zip(own, own[1:])]
    assert loads.max() - loads.min() < 2 * shares.LINE * 2 * len(order)
    starts = np.cumsum([0, *(len(costs[name]) for name in order)])
    found = shares.bases([(int(start), cuts[name]) for start, name in zip(starts, order)], int(starts[-1]), 1 << 16)
    assert found is not None and len(found) == threads
    assert shares.bases([(int(start), cuts[name]) for start, name in zip(starts, order[::-1])], int(starts[-1]), 1 << 16) is None or threads == 1


@pytest.mark.parametrize("threads", [2, 3])
def test_groups_of_one_thread_alone(threads, small_networks_too):
    """A group's share may end where the group does, so that other threads have none of it: its rows have empty parts."""

    def spikes(threads):
        seed(3)
        prefs.core.threads = threads
        sizes = (333, 350, 341, 1750)
        groups = [NeuronGroup(n, "dv/dt = (1.1 - v)/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name=f"alone{n}") for n in sizes]
        synapses, monitors = [], [SpikeMonitor(group) for group in groups]
        for group in groups:
            group.v = "rand()"
            synapses.append(Synapses(group, group, "w : 1", on_pre="v_post += w", name=f"{group.name}_own"))
            synapses[-1].connect(p=0.5)
            synapses[-1].w = "0.001*randn()"
            synapses[-1].delay = "0.1*ms + 2*ms*rand()"
        net = Network(*groups, *synapses, *monitors)
        net.run(20 * ms)
        return [(np.array(monitor.i), np.array(monitor.t_)) for monitor in monitors], [np.array(group.v) for group in groups]

    expected, values = spikes(1)
    found, others = spikes(threads)
    assert sum(i.size for i, _ in expected) > 1000
    assert all([np.array_equal(a, b) for mine, theirs in zip(expected, found) for a, b in zip(mine, theirs)])
    assert all([np.array_equal(a, b) for a, b in zip(values, others)])


def test_a_division_must_be_whole():
    with pytest.raises(ValueError, match="do not divide 64 elements into blocks of 16"):
        _runtime.check_cuts((0, 24, 64), 64)
    with pytest.raises(ValueError, match="do not divide"):
        _runtime.check_cuts((0, 32, 48), 64)
    _runtime.check_cuts((0, 32, 32, 64), 64)
