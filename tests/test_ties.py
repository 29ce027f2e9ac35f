"""What is in one slot and has one order: names decide where the order matters, and have no influence on anything else."""

import itertools

import numpy as np
import pytest

from brianlike.only import *
from codegen.expr import Index, Name
from codegen.ir import Let, Load, Map, Store
from codegen.ties import in_order_of_creation

NAMES = ("source", "first", "second", "feed", "loop", "back", "across")


def network(names=None, wasted=0):
    """Two populations with several pathways into each, one with plastic weights, made after so many other objects."""
    start_scope()
    defaultclock.dt = 0.5 * ms
    chosen = dict(zip(NAMES, names)) if names else {}
    others = [Synapses(InputGroup(1), NeuronGroup(1, "v : 1"), on_pre="v_post += 1") for _ in range(wasted)]
    source = InputGroup(20, name=chosen.get("source"))
    equations = "dv/dt = (1.05 + I - v)/tau : 1 (unless refractory)\ndI/dt = -I/(4*ms) : 1\ntau : second\nvr : 1"
    groups = [NeuronGroup(9, equations, "exact", threshold="v > 1", reset="v = vr", refractory=1 * ms, name=chosen.get(name)) for name in ("first", "second")]
    for group in groups:
        group.tau, group.v, group.vr = "(5 + i)*ms", "0.1*i", "0.01*i"
    first, second = groups
    learning = "w : 1\ndx/dt = -x/(10*ms) : 1 (event-driven)"
    made = [Synapses(source, first, "w : 1", on_pre="I_post += w", name=chosen.get("feed"))]
    made += [Synapses(first, first, "w : 1", on_pre="I_post += w; v_post += 0.01*w", on_post="v_pre += 0.013*w", delay=1 * ms, name=chosen.get("loop"))]
    made += [Synapses(second, first, learning, on_pre="I_post += w; x += 0.1", on_post="w = clip(w - 0.1*x, -1, 1)", name=chosen.get("back"))]
    made += [Synapses(first, second, "w : 1", on_pre="I_post += w", name=chosen.get("across"))]
    for synapses, weight in zip(made, (0.21, -0.05, -0.13, 0.19)):
        synapses.connect()
        synapses.w = f"{weight}*(0.5 + ((3*i + 5*j) % 7)/7.3)"
    return source, groups, made, others


def orders():
    """Names by which kernels come in different orders, and how many other objects come before."""
    letters = "abcdefg"
    yield None, 0
    yield None, 3
    yield None, 9
    yield letters, 0
    yield letters[::-1], 0
    yield "daegbfc", 0


@pytest.mark.parametrize("engine", ["torch", "cython"])
def test_no_bit_of_a_module_depends_on_names(engine):
    torch = pytest.importorskip("torch")
    bnn = pytest.importorskip("brianlike.nn")
    x = (torch.rand(60, 3, 20, generator=torch.Generator().manual_seed(1)) < 0.2).float()
    found = []
    for names, wasted in orders():
        source, groups, made, others = network(names, wasted)
        learn = [bnn.Learn(one, "w") for one in made] + [bnn.Learn(group, name) for group in groups for name in ("tau", "vr", "v")]
        record = {f"{name}{n}": spec for n, group in enumerate(groups) for name, spec in (("v", (group, "v")), ("s", group))}
        gradient = bnn.Surrogate(detach_reset=False)
        module = bnn.NetworkModule(Network(source, *groups, *made), record, learn, gradient, engine=engine, dtype=torch.float32, namespace={})
        y = module(x)
        loss = sum((value * torch.linspace(-1, 1, value.numel()).view(value.shape)).sum() for value in y)
        found.append([*y, *torch.autograd.grad(loss, list(module.parameters()))])
        assert 0.02 < y.s1.detach().mean() < 0.5
    for one in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(one, found[0]))


@pytest.mark.parametrize("target", ["numpy", "cython"])
def test_no_bit_of_a_simulation_depends_on_names(target):
    found = []
    for names, wasted in orders():
        source, groups, made, others = network(names, wasted)
        given = SpikeGeneratorGroup(20, np.arange(200) % 20, np.arange(200) // 7 * 0.5 * ms)
        feed = Synapses(given, groups[0], "w : 1", on_pre="I_post += w")
        feed.connect()
        feed.w = "0.2*(0.5 + ((3*i + 5*j) % 7)/7.3)"
        prefs.codegen.target = target
        Network(given, *groups, *made[1:], feed).run(40 * ms)
        found.append([*(group.v[:] for group in groups), *(group.I[:] for group in groups), made[2].w[:]])
    for one in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(one, found[0]))


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_names_decide_where_one_sees_what_the_other_does(names):
    source, cells = SpikeGeneratorGroup(1, [0], [0] * ms), NeuronGroup(1, "v : 1")
    pathways = [Synapses(source, cells, on_pre=f"v_post = {n}", name=name) for n, name in enumerate(names)]
    codes = NeuronGroup(1, "v : 1")
    for n, name in enumerate(names):
        codes.run_regularly(f"v = 10*v + {n + 1}", name=f"code_{name}")
        pathways[n].connect()
    Network(source, cells, codes, *pathways).run(defaultclock.dt)
    assert cells.v[0] == names.index("b") and codes.v[0] == (12 if names[0] == "a" else 21)


def _map(name, read, written):
    return Map(name, "space", tuple(Load(array, array, Index.SELF) for array in read), (Let("result", Name("x")),),
               tuple(Store(array, Index.SELF, "result") for array in written))  # fmt: skip


def test_kernels_that_see_each_other_stay_in_their_order():
    writes, reads, again, apart = _map("writes", "", "a"), _map("reads", "a", "b"), _map("again", "", "a"), _map("apart", "c", "d")
    for numbers in itertools.permutations(range(4)):
        found = in_order_of_creation(list(zip(numbers, (writes, reads, again, apart))))
        assert [kernel for kernel in found if kernel is not apart] == [writes, reads, again]
        sooner = [number < numbers[3] for number in numbers[:3]]
        assert found.index(apart) == (sooner.index(False) if False in sooner else 3)  # as early as its number allows
