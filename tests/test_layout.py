"""How synapses lie in memory: rows, parts, sorted copies, sums that pathways share; and that no result depends on any of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brianlike import *  # noqa: F403
from brianlike import _runtime, deferred, deliveries
from brianlike.layout import NARROW, arranged
from codegen.arrivals import share_accumulators
from codegen.costs import nanoseconds
from codegen.ir import Deliver, Map


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 200), st.integers(0, 400), st.integers(1, 4), st.booleans(), st.booleans())
def test_rows_hold_every_synapse_once_and_in_order(seed, n_near, n_far, count, threads, delayed, divisible):
    rng = np.random.default_rng(seed)
    near, far = rng.integers(0, n_near, count).astype(np.int32), rng.integers(0, n_far, count).astype(np.int32)
    delays = rng.integers(0, 7, count) * 3 if delayed else 4
    _check(arranged(near, far, delays, n_near, n_far, threads, divisible), near, far, delays, n_near, n_far)


def _check(layout, near, far, delays, n_near, n_far):
    count, parts = len(near), len(layout.bases)
    order = np.arange(count) if layout.order is None else layout.order
    assert sorted(order.tolist()) == list(range(count)) and layout.rows[0] == 0 and layout.rows[-1] == count
    row = np.repeat(np.arange(len(layout.rows) - 1), np.diff(layout.rows))
    source, rest = np.divmod(row, len(layout.delays) * parts)
    delay, part = np.divmod(rest, parts)
    np.testing.assert_array_equal(source, near[order])
    np.testing.assert_array_equal(layout.delays[delay], np.broadcast_to(delays, (count,))[order])
    np.testing.assert_array_equal(layout.bases[part] + layout.ends, far[order])
    stops = np.append(layout.bases[1:], n_far)
    assert count == 0 or ((layout.ends >= 0).all() and (layout.bases[part] + layout.ends < stops[part]).all())
    assert (np.diff(order)[np.diff(row) == 0] > 0).all()  # by creation within a row
    assert layout.ends.dtype == (np.uint16 if np.diff(np.append(layout.bases, n_far)).max(initial=0) <= NARROW else np.int32)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("n_far", [70_000, 200_001, 65_536, 100])
def test_parts_keep_targets_within_16_bits(n_far, threads):
    rng = np.random.default_rng(1)
    near, far = np.sort(rng.integers(0, 50, 40_000)).astype(np.int32), rng.integers(0, n_far, 40_000).astype(np.int32)
    layout = arranged(near, far, 1, 50, n_far, threads)
    assert layout.ends.dtype == np.uint16 and len(layout.bases) % threads == 0 and len(layout.bases) >= -(-n_far // NARROW)
    _check(layout, near, far, 1, 50, n_far)
    shares = np.bincount(np.searchsorted(layout.bases, far, side="right") - 1)
    assert shares.max() < 2 * shares.mean()
    assert arranged(near, far, 1, 50, n_far, threads, divisible=False).ends.dtype == (np.uint16 if n_far <= NARROW else np.int32)


@pytest.fixture
def threads_for_everything():
    before = _runtime.set_threads_from(1)
    yield
    _runtime.set_threads_from(before)
    prefs.core.threads = 1


def network(delays: str, plastic: bool, shuffled: bool):
    """Excitation and inhibition into one variable of 3000 neurons that must not change while refractory."""
    seed(3)
    G = NeuronGroup(3000, "dv/dt = (1.2 - v)/(10*ms) : 1 (unless refractory)", threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name="G")
    G.v = "rand()"
    both = []
    for name, sign in (("up", "+"), ("down", "-")):
        code = f"v_post {sign}= w" + ("\nw = clip(w + 0.0001*v_post, 0, 0.02)" if plastic else "")
        S = Synapses(G, G, "w : 1", on_pre=code, name=name)
        S.connect(p=0.02)
        if shuffled:
            order = np.random.default_rng(5).permutation(len(S))
            i, j = S.i[:][order], S.j[:][order]
            S = Synapses(G, G, "w : 1", on_pre=code, name=name + "2")
            S.connect(i=i, j=j)
        S.w = "0.01*rand()"
        if delays:
            S.delay = delays
        both.append(S)
    M = SpikeMonitor(G, name="M")
    return Network(G, *both, M), G, both, M


KINDS = [(delays, plastic, shuffled) for delays in ("", "1*ms", "0.1*ms + 2*ms*rand()") for plastic in (False, True) for shuffled in (False, True)]


@pytest.mark.parametrize(("delays", "plastic", "shuffled"), KINDS, ids=str)
def test_bits_do_not_depend_on_threads_and_layout(delays, plastic, shuffled, threads_for_everything):
    results = []
    for target, threads in (("numpy", 1), ("cython", 1), ("cython", 2), ("cython", 3)):
        prefs.codegen.target, prefs.core.threads = target, threads
        net, G, both, M = network(delays, plastic, shuffled)
        net.run(12 * ms)
        results.append((M.i[:], M.t_[:], np.array(G.v[:]), *(np.array(S.w[:]) for S in both)))
    prefs.codegen.target = "auto"
    assert len(results[0][0]) > 1000
    for other in results[1:]:
        for mine, theirs in zip(results[0], other):
            if plastic or target == "numpy":
                np.testing.assert_allclose(theirs, mine, rtol=1e-12, atol=1e-15)
            else:
                np.testing.assert_array_equal(theirs, mine)
    for other in results[2:]:
        for mine, theirs in zip(results[1], other):
            np.testing.assert_array_equal(theirs, mine)


def test_sorted_copies_follow_what_users_assign():
    seed(0)
    G = NeuronGroup(2, "x : 1", threshold="i == 0", reset="", name="G")
    S = Synapses(G, G, "w : 1", on_pre="x_post += w", name="S")
    S.connect(i=[0, 0, 0], j=[1, 0, 1])
    S.delay = [3, 1, 2] * defaultclock.dt
    S.w = [1, 10, 100]
    net = Network(G, S)
    net.run(5 * defaultclock.dt)
    assert G.x[:].tolist() == [10 * 4, 100 * 3 + 1 * 2]
    G.x = 0
    S.w = [2, 20, 200]
    net.run(1 * defaultclock.dt)
    assert G.x[:].tolist() == [20, 202]
    weights = S.w[:]
    net.run(1 * defaultclock.dt)
    weights[:] = [3, 30, 300]
    G.x = 0
    net.run(1 * defaultclock.dt)
    assert G.x[:].tolist() == [30, 303]

    @network_operation(when="start")
    def change():
        S.w[0] = 4

    net.add(change)
    G.x = 0
    net.run(1 * defaultclock.dt)
    assert G.x[:].tolist() == [30, 304]


def test_another_number_of_threads_takes_effect_between_runs(threads_for_everything):
    results = []
    for threads in ((1, 1), (1, 2), (2, 1)):
        prefs.core.threads = threads[0]
        net, G, _, _ = network("0.1*ms + 2*ms*rand()", False, False)
        net.run(5 * ms)
        prefs.core.threads = threads[1]
        net.run(5 * ms)
        results.append(np.array(G.v[:]))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def program(*pathways, model="dv/dt = -v/(10*ms) : 1\ndu/dt = -u/(10*ms) : 1", operation=False, method="exact"):
    G = NeuronGroup(3, model, threshold="v > 1", reset="v = 0", method=method, name="G")
    items = [Synapses(G, G, "w : 1", on_pre=code, name=f"S{n}") for n, code in enumerate(pathways)]
    for item in items:
        item.connect()
    if operation:
        items.append(NetworkOperation(lambda: None, when="synapses", order=-1, name="S0_z"))
    from brianlike.prepare import prepare

    return prepare([G, *items], Network(G).schedule, {}).program


def sums(program):
    return [(kernel.name, kernel.after) for kernel in program.kernels if isinstance(kernel, Map) and kernel.after]


def test_pathways_into_one_variable_share_one_sum():
    shared = program("v_post += w", "v_post -= w", "v_post += 2*w")
    assert sums(shared) == [("S2.pre:apply", ("S0.pre", "S1.pre", "S2.pre"))]
    assert len({store.array for kernel in shared.kernels if isinstance(kernel, Deliver) for store in kernel.stores}) == 1


@pytest.mark.parametrize(
    ("pathways", "operation", "count"),
    [
        (("v_post += w", "u_post += w"), False, 2),  # two variables
        (("v_post += w", "u_post += w", "v_post += w"), False, 2),
        (("v_post += w", "w += v_post", "v_post += w"), False, 2),  # one in between reads it
        (("v_post += w", "u_post += w*v_post", "v_post += w"), False, 3),
        (("v_post += w", "v_post += w"), True, 2),  # Python code may read it
    ],
    ids=str,
)
def test_what_lies_between_keeps_sums_apart(pathways, operation, count):
    assert len(sums(program(*pathways, operation=operation))) == count


def test_sharing_changes_nothing_twice():
    once = program("v_post += w", "v_post -= w")
    assert share_accumulators(once) == once


@pytest.mark.parametrize("size", [64, 4096])
def test_few_arrivals_are_added_where_they_arrive(size):
    """The same bits whether all elements or only those reached are gone through: few spikes at first, many later."""
    results = []
    for target in ("numpy", "cython"):
        prefs.codegen.target = target
        equations = "dv/dt = -v/(10*ms) : 1 (unless refractory)\ndrive : 1"
        G = NeuronGroup(size, equations, threshold="rand() < drive", refractory=0.3 * ms, method="exact", name="G")
        G.drive = "i/N*0.5*int(i % 40 == 0)"
        S = Synapses(G, G, on_pre="v_post += 0.1*(i + 1)", name="S")
        S.connect(j="(i*7 + k*11) % N_post for k in range(9)")
        seed(4)
        net = Network(G, S)
        net.run(3 * ms)
        few = np.array(G.v[:])
        G.drive = 0.5
        net.run(1 * ms)
        results.append((few, np.array(G.v[:])))
    prefs.codegen.target = "auto"
    assert np.count_nonzero(results[0][0]) > 5
    for mine, theirs in zip(*results):
        np.testing.assert_array_equal(mine, theirs)


def populations(delays: str, apart: bool):
    """Three populations, all connected with all; `apart` makes them by target rather than by source."""
    seed(8)
    equations = "dv/dt = (1.2 - v)/(10*ms) : 1 (unless refractory)"
    groups = [
        NeuronGroup(n, equations, threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name=f"g{n}") for n in (170, 33, 65)
    ]
    for group in groups:
        group.v = "rand()"
    pairs = [(a, b) for a in range(3) for b in range(3)]
    made = []
    for a, b in sorted(pairs, key=lambda pair: pair[::-1]) if apart else pairs:
        S = Synapses(groups[a], groups[b], "w : 1", on_pre="v_post += w", name=f"s{len(made)}")
        S.connect(p=0.3)
        S.w = "0.02*rand() - 0.005"
        if delays:
            S.delay = delays
        made.append(S)
    monitors = [SpikeMonitor(group) for group in groups]
    return Network(*groups, *made, *monitors), groups, made, monitors


@pytest.mark.parametrize("apart", [False, True], ids=["by source", "by target"])
@pytest.mark.parametrize("delays", ["", "1*ms", "0.1*ms + 1*ms*rand()"])
def test_pathways_of_equal_code_run_as_one(delays, apart, threads_for_everything):
    results = []
    for target, threads in (("numpy", 1), ("cython", 1), ("cython", 2)):
        prefs.codegen.target, prefs.core.threads = target, threads
        net, groups, made, monitors = populations(delays, apart)
        net.run(20 * ms)
        made[4].w = 0.01
        net.run(5 * ms, profile=True)
        if target == "cython":
            engine = net._engine
            assert len({leader for leader, _ in engine._deliveries.shares().values()}) == 3
            assert sorted(name for name, _ in net.profiling_info if name.startswith("s") and name.endswith("pre")) == sorted(f"{S.name}_pre" for S in made)
        results.append([np.array(group.v[:]) for group in groups] + [M.i[:] for M in monitors])
    prefs.codegen.target = "auto"
    assert sum(len(spikes) for spikes in results[0][3:]) > 300
    for other in results[1:]:
        for mine, theirs in zip(results[0], other):
            np.testing.assert_array_equal(theirs, mine)


@pytest.fixture
def small_is_large(monkeypatch):
    """Everything that saves memory takes effect for small networks, too."""
    monkeypatch.setattr(deferred, "DEFER_FROM", 1)
    monkeypatch.setattr(deferred, "CHUNK", 50)
    monkeypatch.setattr(deliveries, "COMPACT_FROM", 1)


def pending(made):
    return [sorted(S.state.pending) for S in made]


@pytest.mark.parametrize("delays", ["", "1*ms", "0.1*ms + 1*ms*rand()"])
def test_what_is_not_needed_takes_up_no_memory_and_is_there_when_asked_for(delays, small_is_large, threads_for_everything):
    results = []
    for target, threads in (("numpy", 1), ("cython", 1), ("cython", 2)):
        prefs.codegen.target, prefs.core.threads = target, threads
        net, groups, made, monitors = populations(delays, False)
        assert all("w" in waiting for waiting in pending(made))
        net.run(20 * ms)
        if target == "cython" and delays:
            assert all({"i", "j", "w"} <= set(waiting) for waiting in pending(made)), "the run has sorted copies of its own"
        before = [(S.i[:5], S.j[:5], np.array(S.delay[:5]), S.w[:5]) for S in made[:2]]  # from now on, these are in memory
        made[4].w = "0.01*rand()"
        net.run(5 * ms)
        made[3].w[3] = 0.02
        weights = made[2].w[:]
        net.run(5 * ms)
        weights[:] *= 2
        net.run(5 * ms)
        made[6].connect(i=0, j=1)
        made[6].w[-1] = 0.005
        net.run(5 * ms)
        results.append([np.array(group.v[:]) for group in groups] + [M.i[:] for M in monitors])
        results[-1] += [np.array(S.state[name]) for S in made for name in ("w", "i", "j")] + [x for row in before for x in row]
    prefs.codegen.target = "auto"
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(theirs, mine)


def test_deferred_values_are_those_of_the_assignment(small_is_large, monkeypatch):
    scale = 2.0
    seed(5)
    G = NeuronGroup(300, "x : 1")
    S = Synapses(G, G, "w : 1\nu : 1")
    S.connect(p=0.5)
    S.w = "scale*rand() + i"
    scale += 1.0
    seed(5)
    S.u = "scale*rand()"
    assert sorted(S.state.pending) == ["u", "w"]
    seed(5)
    again = Synapses(G, G, "w : 1")
    again.connect(p=0.5)
    monkeypatch.setattr(deferred, "DEFER_FROM", 10**9)
    again.w = "2.0*rand() + i"
    assert not again.state.pending
    monkeypatch.setattr(deferred, "DEFER_FROM", 1)
    np.testing.assert_array_equal(S.i[:], again.i[:])
    np.testing.assert_array_equal(S.w[:], again.w[:])
    assert not S.state.pending.keys() - {"u"} and 2.9 < np.max(S.u[:]) < 3
    S.w = "x_pre"  # may change
    assert not S.state.pending
    store_w = S.w[:].copy()
    S.w = "7*rand()"
    saved = S.state.snapshot()
    assert not S.state.pending and saved["w"].max() > 6 and store_w.max() == 0


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_deferred_values_have_the_clock_of_the_assignment(target, small_is_large):
    """`t` and `dt` are what they were, however much later somebody looks."""
    prefs.codegen.target = target
    G = NeuronGroup(10, "v : 1", threshold="i == 0", reset="", name="cells")
    S = Synapses(G, G, "w : 1\nmade : second\nsteps : 1", on_pre="v_post += w")
    S.connect()
    S.w = "dt/(0.1*ms) + 0.001*j"
    assert "w" in S.state.pending
    net = Network(G, S)
    net.run(0.3 * ms)
    S.made, S.steps = "t + dt", "t_in_timesteps*1.0"
    assert {"made", "steps"} <= set(S.state.pending)
    net.run(0.2 * ms)
    np.testing.assert_allclose(G.v, 5 * (1 + 0.001 * np.arange(10)))
    assert target == "numpy" or {"made", "steps"} <= set(S.state.pending)
    defaultclock.dt = 0.2 * ms
    np.testing.assert_allclose(S.made_, 0.0004)
    np.testing.assert_array_equal(S.steps, 3)
    np.testing.assert_allclose(S.w, 1 + 0.001 * np.asarray(S.j))


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_what_a_function_assigns_in_a_run_is_there_at_once(target, small_is_large):
    prefs.codegen.target = target
    seed(1)
    G = NeuronGroup(2, "x : 1", threshold="i == 0", reset="")
    S = Synapses(G, G, "w : 1", on_pre="x_post += w")
    S.connect(i=[0, 0], j=[1, 0])
    S.delay = "(1 + j)*0.1*ms"
    S.w = "1.0 + 0*rand()"

    @network_operation(when="start")
    def change(t):
        if t > 0.15 * ms:
            S.w = "10.0 + 0*rand()"

    Network(G, S, change).run(0.4 * ms)
    prefs.codegen.target = "auto"
    assert G.x[:].tolist() == [1 + 10 * 2, 10 * 2]


def test_monitors_and_summed_variables_see_deferred_values(small_is_large):
    for target in ("numpy", "cython"):
        prefs.codegen.target = target
        seed(1)
        G = NeuronGroup(20, "x : 1\ntotal : 1", threshold="i % 3 == 0", reset="")
        S = Synapses(G, G, "w : 1\ntotal_post = w : 1 (summed)", on_pre="x_post += w")
        S.connect(p=0.5)
        S.delay = "0.1*ms*(1 + j % 3)"
        S.w = "1.0 + i + 0*rand()"
        M = StateMonitor(S, "w", record=[0, 3])
        Network(G, S, M).run(1 * ms)
        wanted = np.bincount(S.j[:], S.i[:] + 1.0, minlength=20)
        np.testing.assert_allclose(G.total[:], wanted)
        assert (M.w[:] == (S.i[:][[0, 3]] + 1.0)[:, None]).all(), target
    prefs.codegen.target = "auto"


def test_the_cost_of_kernels_goes_by_what_they_compute():
    def cost(equations):
        return max(nanoseconds(kernel) for kernel in program(model=equations, method="euler").kernels if isinstance(kernel, Map))

    leaky = cost("dv/dt = -v/(10*ms) : 1")
    assert leaky < cost("dv/dt = -v/(10*ms) : 1\ndu/dt = -u/(5*ms) : 1") < cost("dv/dt = -v/(10*ms) + exp(-v)/ms : 1") / 2
    assert 0.1 < leaky < 1.5


def test_copies_of_a_network_leave_others_on_the_same_clock_alone():
    """And what counts steps of the clock counts those of its copy."""
    import copy
    import pickle

    names = {"f": check_units(v=1, result=1)(lambda v: 0 * v)}  # which pickle refuses
    other = NeuronGroup(2, "dv/dt = 1/ms : 1 (unless refractory)", threshold="v > 1", reset="v = f(v)", refractory=1 * ms, method="euler", namespace=names)
    G = NeuronGroup(3, "dv/dt = 1/(2*ms) : 1 (unless refractory)", threshold="v > 1", reset="v = 0", refractory=1 * ms, method="euler")
    G.lastspike = 4 * ms
    net = Network(G)
    assert G.clock is other.clock
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        (found,) = copied.objects
        clock = found.clock
        assert clock is not G.clock and list(clock._counting) == [found]
        clock.dt = clock.dt / 2
        assert found.lastspike[0] == G.lastspike[0] == 4 * ms


def test_copies_of_a_network_have_the_values(small_is_large):
    import copy
    import pickle

    seed(2)
    G = NeuronGroup(100, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
    G.v = "2*rand()"
    S = Synapses(G, G, "w : 1", on_pre="v += w")
    S.connect(p=0.5)
    S.w = "0.1*rand()"
    S.delay = "1*ms*rand()"
    net = Network(G, S)
    net.run(0.2 * ms)
    assert S.state.pending
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        other = next(item for item in copied.objects if isinstance(item, Synapses))
        for name in ("w", "i", "j", "_delay_pre"):
            np.testing.assert_array_equal(other.state[name], S.state[name])
        copied.run(2 * ms)
