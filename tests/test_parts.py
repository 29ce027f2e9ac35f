"""What concerns part of a group costs no more than the part, and comes to the same as the whole group's way: code, inputs, monitors, pathways."""

from dataclasses import replace

import numpy as np
import pytest

from brianlike import *  # noqa: F403
from brianlike import _runtime, build, deferred, deliveries, prepare
from brianlike.layout import NARROW
from brianlike.simulate import Inputs, NumpyEngine
from codegen.adjoint import adjoint
from codegen.emit.cython import render
from codegen.expr import Binary, Index, Name, Number
from codegen.ir import Array, Let, Load, Map, Program, Role, Store
from codegen.surrogate import TrueGradient
from codegen.widen import widen

CUTS = (0, 37, 100, 203)
EQUATIONS = """dv/dt = (1.2 - v)/(10*ms) : 1 (unless refractory)
               height = 2*v + i : 1
               total : 1"""


@pytest.fixture
def threads_for_everything():
    before = _runtime.set_threads_from(1)
    yield
    _runtime.set_threads_from(before)
    prefs.core.threads, prefs.codegen.target = 1, "auto"


def cells(name="neurons"):
    return NeuronGroup(CUTS[-1], EQUATIONS, threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name=name)


def parts(group):
    return [group[first:stop] for first, stop in zip(CUTS, CUTS[1:])]


def everything():
    """A group with something of each kind on each of its parts; what it comes to after 10 ms."""
    seed(8)
    G = cells()
    G.v = "rand()"
    found = [G]
    for number, part in enumerate(parts(G)):
        found.append(PoissonInput(part, "v", N=(1000, 20, 300)[number], rate=100 * Hz, weight="0.001*(i + 1)/N"))
        part.run_regularly("v += 0.01*rand() + 0.001*i/N", dt=(0.1, 0.2, 0.3)[number] * ms)
        found.append(StateMonitor(part, ["v", "height"], record=([0, 5], True, [20])[number]))
        found.append(SpikeMonitor(part, variables="height"))
        found.append(PopulationRateMonitor(part))
        S = Synapses(part, part, "w : 1\ntotal_post = w*v_pre : 1 (summed)", on_pre="v_post += 0.001*w")
        S.connect(p=0.2)
        S.w = "rand()"
        found.append(S)
    net = Network(*found)
    net.run(10 * ms)
    results = [np.array(G.v[:]), np.array(G.total[:])]
    for item in found:
        if isinstance(item, StateMonitor):
            results += [item.v[:], item.height[:]]
        elif isinstance(item, SpikeMonitor):
            results += [item.i[:], item.t_[:], item.height[:]]
        elif isinstance(item, PopulationRateMonitor):
            results.append(item.rate_[:])
    return results, net


def test_parts_come_to_the_same_in_every_way(monkeypatch, threads_for_everything):
    """On the numpy engine for the part and for the whole group, and compiled in one and several threads."""
    runs = []
    for target, threads in (("numpy", 1), ("cython", 1), ("cython", 3)):
        prefs.codegen.target, prefs.core.threads = target, threads
        runs.append(everything()[0])
    compile_program = prepare.compile_program
    monkeypatch.setattr(prepare, "compile_program", lambda *given: widen(compile_program(*given)))
    prefs.codegen.target = "numpy"
    runs.append(everything()[0])
    assert sum(len(spikes) for spikes in runs[0]) > 600
    for mine, compiled, in_threads, whole in zip(*runs, strict=True):
        np.testing.assert_allclose(compiled, mine, rtol=1e-11, atol=1e-13)
        np.testing.assert_array_equal(in_threads, compiled)
        np.testing.assert_array_equal(whole, mine)


def test_maps_of_a_part_run_for_the_part(threads_for_everything):
    prefs.codegen.target = "numpy"
    _, net = everything()
    program = net._engine.prepared.program
    maps = {kernel.name: kernel.part for kernel in program.kernels if isinstance(kernel, Map)}
    ranges = set(zip(CUTS, CUTS[1:]))
    for what in ("poissoninput", "run_regularly", "_zero", "record_spikemonitor"):
        assert {part for name, part in maps.items() if what in name} == ranges, what
    assert {part for name, part in maps.items() if "record_statemonitor" in name} == {(0, 6), (37, 100), (120, 121)}
    assert maps["neurons.update+threshold"] is None


def test_sums_that_arrive_are_added_to_what_they_can_reach(threads_for_everything):
    prefs.codegen.target = "cython"
    G = cells()
    found = [Synapses(*ends, on_pre="v_post += 0.1", name=f"s{n}") for n, ends in enumerate(zip(parts(G), parts(G)[1:]))]
    for S in found:
        S.connect()
    net = Network(G, *found)
    net.run(1 * ms)
    engine = net._engine
    (add,) = [kernel for kernel in engine.prepared.program.kernels if isinstance(kernel, Map) and kernel.after]
    accumulator = next(load.array for load in add.loads if load.array in engine._accumulators)
    assert engine._deliveries.reached(add.after, accumulator) == (37, 203)
    assert engine._deliveries.reached(add.after[:1], accumulator) == (37, 100)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("part", [(0, 100), (0, 7), (40, 41), (48, 64), (17, 99), (5, 5), None])
def test_the_driver_runs_the_elements_of_a_part(part, threads, threads_for_everything):
    body = (Let("y", Binary("+", Name("x"), Number(1.0))),)
    kernel = Map("k", "g", (Load("x", "x", Index.SELF),), body, (Store("x", Index.SELF, "y"),))
    source = render(kernel, {"x": Array("x", "g", Role.STATE)})
    x = np.zeros(112)
    driver = _runtime.Driver()
    driver.add_map(build.build_cython([source])[source.name], [x], 100, part=part)
    driver.run(2, threads=threads)
    first, stop = part or (0, 100)
    np.testing.assert_array_equal(x[:100], np.where((np.arange(100) >= first) & (np.arange(100) < stop), 2, 0))


def test_a_part_that_a_map_has_not_is_refused():
    kernel = Map("k", "g", (), (Let("y", Number(1.0)),), (Store("x", Index.SELF, "y"),))
    source = render(kernel, {"x": Array("x", "g", Role.STATE)})
    native = build.build_cython([source])[source.name]
    for part in ((3, 101), (4, 3), (-1, 3)):
        with pytest.raises(ValueError, match="a Map over 100 elements has none"):
            _runtime.Driver().add_map(native, [np.zeros(112)], 100, part=part)
    total = replace(kernel, stores=(Store("x", Index.SHARED, "y", add=True),))
    source = render(total, {"x": Array("x", None, Role.STATE)})
    native = build.build_cython([source])[source.name]
    with pytest.raises(ValueError, match="cannot run for part of its elements"):
        _runtime.Driver().add_map(native, [np.zeros(1)], 100, part=(0, 30))


def test_a_wide_map_keeps_what_is_not_of_its_part():
    """A name of its own for all that is added, also where the body has these names, and numbers of elements that it did not have."""
    body = (Let("inside", Binary("+", Name("i"), Number(1.0))),)
    kernel = Map("k", "g", (Load("i", "g.x", Index.SELF),), body, (Store("g.x", Index.SELF, "inside"), Store("g.y", Index.SELF, "i")), part=(2, 4))
    program = widen(Program(tuple(Array(name, "g", Role.STATE) for name in ("g.x", "g.y")), (), (kernel,)))
    assert program.array("g.i").role is Role.INDEX and program.kernels[0].part is None
    values = {"g.x": np.arange(6.0), "g.y": np.full(6, 9.0), "g.i": np.arange(6, dtype=np.int32)}
    engine = NumpyEngine(program, Inputs(values, {"g": 6}))
    engine.run(1)
    np.testing.assert_array_equal(values["g.x"], [0, 1, 3, 4, 4, 5])
    np.testing.assert_array_equal(values["g.y"], [9, 9, 2, 3, 9, 9])
    with pytest.raises(TypeError, match="take the adjoint of the Program that `widen` makes"):
        adjoint(replace(program, kernels=(kernel,)), TrueGradient(), ())
    with pytest.raises(TypeError, match="writes more than its own elements"):
        widen(replace(program, kernels=(replace(kernel, stores=(Store("g.x", Index.SHARED, "i"),)),)))


# ------------------------------------------------------------------------------------------------------------------------------------------ pathways
def connected(delays, pairs):
    """Parts of one group, connected in pairs."""
    seed(5)
    G = cells("G")
    G.v = "rand()"
    ends = [*parts(G), G]
    made = []
    for source, target in pairs:
        S = Synapses(ends[source], ends[target], "w : 1", on_pre="v_post += w", name=f"s{len(made)}")
        S.connect(p=0.3)
        S.w = "0.02*rand() - 0.005"
        if delays:
            S.delay = delays
        made.append(S)
    monitor = SpikeMonitor(G)
    return Network(G, *made, monitor), G, made, monitor


PAIRS = [(a, b) for a in range(3) for b in range(3)]
TOGETHER = [
    (PAIRS, 3),
    (sorted(PAIRS, key=lambda pair: pair[::-1]), 3),
    ([(0, 1), (0, 1), (0, 2)], 2),  # two onto the same neurons stay apart
    ([(0, 0), (1, 0), (0, 1)], 2),
    ([(0, 0), (1, 0), (0, 0)], 3),  # sums keep their order
    ([(0, 0), (3, 1), (0, 2)], 2),
    ([(0, 3), (0, 1), (1, 2)], 3),
]


DRAWN = "0.1*ms + 1*ms*rand()"


@pytest.mark.parametrize(("delays", "pairs", "count"), [("", PAIRS, 3), ("1*ms", PAIRS, 3), *((DRAWN, *row) for row in TOGETHER)], ids=str)
def test_pathways_between_parts_run_as_one(delays, pairs, count, threads_for_everything, monkeypatch):
    for name, value in (("DEFER_FROM", 1), ("CHUNK", 50)):
        monkeypatch.setattr(deferred, name, value)
    monkeypatch.setattr(deliveries, "COMPACT_FROM", 1)
    results = []
    for target, threads in (("numpy", 1), ("cython", 1), ("cython", 2)):
        prefs.codegen.target, prefs.core.threads = target, threads
        net, G, made, monitor = connected(delays, pairs)
        net.run(8 * ms)
        if target == "cython":
            assert len({leader for leader, _ in net._engine._deliveries.shares().values()}) == count
            if delays:
                assert all({"i", "j", "w"} <= S.state.pending.keys() for S in made), "where synapses end is kept in few bits, also for parts"
        made[1].w = "0.02*rand()"
        made[-1].connect(i=0, j=1)
        made[-1].w[-1] = 0.1
        net.run(4 * ms)
        results.append([np.array(G.v[:]), monitor.i[:], monitor.t_[:], *(np.array(S.state[name]) for S in made for name in ("w", "i", "j"))])
    assert len(results[0][1]) > 50
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(theirs, mine)


def test_parts_far_from_the_first_neuron_are_reached_by_16_bits(threads_for_everything):
    size = NARROW + 5000
    results = []
    for target, threads in (("numpy", 1), ("cython", 1), ("cython", 2)):
        prefs.codegen.target, prefs.core.threads = target, threads
        G = NeuronGroup(size, "v : 1", threshold="i >= N - 100", reset="")
        first, second = G[size - 3000 : size - 1000], G[size - 1000 :]
        found = []
        for source in (first, second):
            S = Synapses(source, second, "w : 1", on_pre="v_post += w")
            S.connect(j="(i*7 + k) % N_post for k in range(20)")
            S.w = "i + 0.1*j"
            found.append(S)
        net = Network(G, *found)
        net.run(0.3 * ms)
        results.append(np.array(G.v[:]))
        if target == "cython":
            for bundle in net._engine._deliveries._bundles.values():
                assert bundle.layout.ends.dtype == np.uint16 and bundle.layout.bases[0] == (size - 1000) // 16 * 16
                assert len(bundle.layout.rows) <= 2000 * len(bundle.layout.bases) + 1, "rows are those of the sources that can have synapses"
    assert np.count_nonzero(results[0]) > 500
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])
