"""Modules are used as torch's own: compiled, copied, cast, mapped, in threads and in several processes."""

import copy
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import distributed_training  # noqa: E402
from torch import nn  # noqa: E402
from trained_models import NEURONS, network  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402

LEAKY = "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second"


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    torch.manual_seed(1)


def layer(N=4, **options):
    options = {"parameters": {"tau": 10 * ms}, "learn": {"variable": "tau", "unit": ms}, "method": "exact", "namespace": {}} | options
    return bnn.NeuronModule(N, LEAKY, threshold="v > 1", reset="v = 0", **options)


def gradients(module, loss):
    return torch.autograd.grad(loss, list(module.parameters()), allow_unused=True, retain_graph=True)


# --------------------------------------------------------------------------------------------------------------------------------------------- compiled
def compare_steps(module, x, backend):
    """Steps in a whole compiled graph, with the state going around, are steps; and so are their gradients."""
    torch.compiler.reset()

    @torch.compile(fullgraph=True, backend=backend)
    def step(row, state):
        return module.step(row, state=state)

    state, other = module.initial_state(2), module.initial_state(2)
    loss = other_loss = 0
    for row in x:
        record, state = module.step(row, state=state)
        compiled, other = step(row, other)
        for one, two in zip(record, compiled):
            torch.testing.assert_close(one, two, rtol=1e-11, atol=1e-13)
        loss, other_loss = loss + record.v.square().sum(), other_loss + compiled.v.square().sum()
    for one, two in zip(gradients(module, loss), gradients(module, other_loss)):
        assert one is two is None or torch.allclose(one, two, rtol=1e-8, atol=1e-12 * float(one.abs().max()))


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_step_is_one_graph(neuron):
    module, inputs = network(NEURONS[neuron])
    compare_steps(module, next(iter(inputs.values()))[:5], "eager")


@pytest.mark.slow
@pytest.mark.parametrize("neuron", NEURONS)
def test_a_compiled_step(neuron):
    module, inputs = network(NEURONS[neuron])
    compare_steps(module, next(iter(inputs.values()))[:15], "inductor")


def test_a_step_of_a_recurrent_layer_is_one_graph():
    cells = layer((2, 3, 3), recurrent=nn.Conv2d(2, 2, 3, padding=1), dtype=torch.float64)
    torch.compiler.reset()

    @torch.compile(fullgraph=True, backend="eager")
    def step(row, state):
        return cells.step(row, state=state)

    state = other = cells.initial_state(5)
    for row in 3 * torch.rand(4, 5, 2, 3, 3, dtype=torch.float64):
        y, state = cells.step(row, state=state)
        z, other = step(row, other)
        assert torch.equal(y, z) and torch.equal(state[cells.group.name]["v"], other[cells.group.name]["v"])


def test_constants_follow_before_anything_runs():
    """What a compiled step reads is there: casting constants inside of it would be a break of its graph."""
    module = layer().double()
    assert module.network._cast_constants() is module.network._cast_constants()
    before = dict(module.network._cast)
    module.step(torch.rand(2, 4).double())
    assert module.network._cast == before
    module.write_back()
    assert module.network._cast


# ------------------------------------------------------------------------------------------------------------------------------------------ functional
def test_functional_calls_and_ensembles():
    """torch.func: other parameters for one call, many sets of parameters at once, and the gradient of each sample."""
    module, inputs = network(NEURONS["LIF"])
    x = next(iter(inputs.values()))
    module.check_finite = False  # whether a number is finite cannot be asked of many at once
    sets = [{name: value.detach() * factor for name, value in module.named_parameters()} for factor in (1.0, 1.1, 0.7)]
    stacked = {name: torch.stack([one[name] for one in sets]) for name in sets[0]}
    together = torch.func.vmap(lambda values: torch.func.functional_call(module, values, (x,)).v)(stacked)
    for n, values in enumerate(sets):
        alone = torch.func.functional_call(module, values, (x,)).v
        torch.testing.assert_close(together[n], alone, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(together[0], together[2])

    def loss(values, sample):
        return torch.func.functional_call(module, values, (sample,)).v.square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(sets[0], x)
    for name, gradient in each.items():
        alone = gradients(module, module(x[:, 1]).v.square().sum())[[n for n, _ in module.named_parameters()].index(name)]
        torch.testing.assert_close(gradient[1], alone, rtol=1e-9, atol=1e-12)


# --------------------------------------------------------------------------------------------------------------------------------------------- copies
def test_a_copy_has_parameters_of_its_own_for_the_same_network():
    module, inputs = network(NEURONS["adaptive"])
    x = next(iter(inputs.values()))
    other, y = copy.deepcopy(module), module(x).v
    assert torch.equal(other(x).v, y)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.1)
    assert torch.equal(module(x).v, y) and not torch.equal(other(x).v, y)
    cells = next(item for item in module.objects if item.name == "cells")
    before = cells.tau_m_[:].copy()
    other.write_back()
    assert not (cells.tau_m_[:] == before).any() and other.objects == module.objects
    other.load_state_dict(module.state_dict())
    assert torch.equal(other.parameter(cells, "tau_m"), module.parameter(cells, "tau_m"))


def test_copies_of_layers():
    """As averages of weights and target networks need them; recurrent layers are copied, too."""
    net = nn.Sequential(nn.Linear(3, 4), layer(recurrent=nn.Linear(4, 4)), nn.Linear(4, 2))
    nn.init.uniform_(net[0].weight, 0.2, 1.0)
    average = torch.optim.swa_utils.AveragedModel(net)
    x = 5 * torch.rand(20, 2, 3)
    y = net(x)
    assert torch.equal(average(x), y) and len(y.unique()) > 3 and average.module[1].group is net[1].group
    with torch.no_grad():
        average.module[1].recurrent["J"].weight.fill_(-9.0)
    assert not torch.equal(average(x), net(x)) and net[1].recurrent["J"].weight.min() > -1


def test_state_dicts_of_layers_with_shapes(tmp_path):
    one, other = (layer((2, 3, 3), recurrent=nn.Conv2d(2, 2, 3, padding=1), learn={"variable": "tau", "share": "channel"}) for _ in range(2))
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.mul_(1.3)
    x = 5 * torch.rand(10, 2, 2, 3, 3)
    assert not torch.equal(one(x), other(x))
    torch.save(one.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert torch.equal(one(x), other(x))
    with pytest.raises(ValueError, match="these parameters belong to another network: it differs in object0"):
        layer((3, 3, 3), recurrent=nn.Conv2d(2, 2, 3, padding=1), learn={"variable": "tau", "share": "channel"}).load_state_dict(one.state_dict())


# ----------------------------------------------------------------------------------------------------------------------------------------------- types
def test_to_a_type_and_a_device():
    cells = layer(recurrent=nn.Linear(4, 4))
    x = 3 * torch.rand(20, 2, 4)
    exact = cells(x)
    cells.to("cpu", torch.float64)
    y, state = cells.run(x)
    assert y.dtype is torch.float64 and {value.dtype for value in state[cells.group.name].values()} == {torch.float64}
    assert cells.recurrent["J"].weight.dtype is torch.float64 and (y - exact).abs().mean() < 0.05
    shapes = layer().to("meta")(x.to("meta"))
    assert shapes.device.type == "meta" and shapes.shape == (20, 2, 4)


def test_autocast_is_for_products_and_states_stay_in_full_precision():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), layer(8, recurrent=nn.Linear(8, 8)), nn.Linear(8, 2))
    x, seen = 4 * torch.rand(30, 5, 6), []
    net[0].register_forward_hook(lambda module, given, found: seen.append(found.dtype))
    net[1].recurrent["J"].register_forward_hook(lambda module, given, found: seen.append(found.dtype))
    exact = net(x)
    seen.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(x)
        spikes, state = net[1].run(net[0](x))
    assert set(seen) == {torch.bfloat16} and len(seen) == 2 + 2 * 30
    assert spikes.dtype is torch.float32 and {value.dtype for value in state[net[1].group.name].values()} == {torch.float32}
    assert (y - exact).abs().mean() < 0.1 * exact.abs().mean()
    y.float().square().mean().backward()
    assert all(p.grad.dtype is torch.float32 and p.grad.abs().sum() > 0 for p in net.parameters())


def test_autocast_of_a_network():
    """Sums over synapses are products of matrices in bfloat16; potentials, currents and records are not."""
    inputs, cells = InputGroup(20), NeuronGroup(6, "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 9", reset="v = 0", method="exact")
    feed = Synapses(inputs, cells, "w : 1", on_pre="I_post += w")
    feed.connect()
    feed.w = 1 + 2.0**-10  # bfloat16 has 8 bits: it becomes 1
    module = bnn.NetworkModule(Network(inputs, cells, feed), {"I": (cells, "I"), "v": (cells, "v")}, [bnn.Learn(feed, "w")], namespace={})
    x = torch.zeros(10, 1, 20)
    x[0] = 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, state = module.run(x)
    assert {value.dtype for value in (*y, *state[cells.name].values())} == {torch.float32}
    decay = torch.exp(-torch.arange(10) / 5.0)
    torch.testing.assert_close(y.I[:, 0, 0], 20 * decay, rtol=1e-6, atol=0)  # decays with all 24 bits
    torch.testing.assert_close(module(x).I[:, 0, 0], 20 * (1 + 2.0**-10) * decay, rtol=1e-6, atol=0)


# -------------------------------------------------------------------------------------------------------------------------------- threads and processes
def test_threads_share_a_module():
    """As DataParallel uses its copies: what one call computes, another one running at the same time does not see."""
    module, inputs = network(NEURONS["Izhikevich"], batch=4)
    x = next(iter(inputs.values()))
    pieces = [x.roll(n, 0) for n in range(8)]
    expected = [module(piece) for piece in pieces]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(expected, pool.map(module, pieces)):
            assert torch.equal(one.v, other.v) and torch.equal(one.spikes, other.spikes)


def with_learned_delays():
    inputs, cells = InputGroup(5), NeuronGroup(3, "dv/dt = -v/(5*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
    feed = Synapses(inputs, cells, "w : 1", on_pre="v_post += w")
    feed.connect()
    feed.w, feed.delay = 0.4, "rand()*6*ms"
    learn = [bnn.Learn(feed, "w"), bnn.Learn(feed, "delay", unit=ms)]
    return bnn.NetworkModule(Network(inputs, cells, feed), {"v": (cells, "v")}, learn, checkpoint=4, dtype=torch.float64, namespace={}), feed


def test_copies_with_delays_of_their_own():
    """Learned delays belong to a run: a copy that runs between a forward pass and its backward pass, which recomputes it, changes nothing."""
    module, feed = with_learned_delays()
    x = (torch.rand(20, 2, 5) < 0.3).double()
    other = copy.deepcopy(module)
    with torch.no_grad():
        other.parameter(feed, "delay").add_(3.0)
    expected = gradients(module, module(x).v.square().sum())
    y = module(x).v
    assert not torch.equal(other(x).v, y)
    for one, two in zip(expected, gradients(module, y.square().sum())):
        assert torch.equal(one, two) and one.abs().sum() > 0
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            first, second = pool.map(lambda one: one(x).v, [module, other])
            assert torch.equal(first, y) and torch.equal(second, other(x).v)
    _, state = other.run(x)
    longer = next(iter(value for variables in state.values() for name, value in variables.items() if name.endswith("_past")))
    _, state = module.run(x, state=state)
    assert len(longer) > max(len(value) for variables in state.values() for name, value in variables.items() if name.endswith("_past"))


def test_replicas_of_data_parallel():
    """What `torch.nn.parallel.replicate` does on every device: shallow copies, whose parameters are plain tensors."""
    module = layer(recurrent=nn.Linear(4, 4), batch_first=True)
    x = 4 * torch.rand(3, 10, 4)
    expected = module(x)

    def replica(original):
        copied = original._replicate_for_data_parallel()
        for name, child in original._modules.items():
            setattr(copied, name, replica(child)) if child is not None else None
        for name, parameter in original._parameters.items():
            setattr(copied, name, parameter * 1.0 if parameter is not None else None)
        return copied

    found = replica(module)(x)
    assert torch.equal(found, expected)
    found.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_two_processes_train_as_one(tmp_path):
    """DistributedDataParallel under torchrun, two gloo processes, equal shards: the parameters of one process with all samples, to 1e-6."""
    script = Path(distributed_training.__file__)
    path = os.pathsep.join([str(script.parent), str(script.parent.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    module, x, target = distributed_training.built()
    start = {name: value.detach().clone() for name, value in module.named_parameters()}
    one = distributed_training.trained(module, x, target)
    two = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for name, value in one.items():
        assert (value - start[name]).abs().max() > 1e-2
        torch.testing.assert_close(two[0][name], value, rtol=1e-6, atol=1e-9)
        assert torch.equal(two[0][name], two[1][name])
