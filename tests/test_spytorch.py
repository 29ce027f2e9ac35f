"""SpyTorch's tutorials 1 and 4: their step, written out as their text describes it (Zenke, CC-BY-4.0), and the same network as equations.

In double precision: identical spikes, and gradients that agree to 1e-12.
"""

import math

import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402

STEP, TAU_MEM, TAU_SYN = 1.0, 10.0, 5.0  # ms
ALPHA, BETA = math.exp(-STEP / TAU_SYN), math.exp(-STEP / TAU_MEM)


class SuperSpike(torch.autograd.Function):
    """A step function whose derivative is 1/(100*|x| + 1)**2."""

    @staticmethod
    def forward(context, x):
        context.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient / (100.0 * x.abs() + 1.0) ** 2


def loop(x, w1, w2, v1=None):
    """The tutorials' loop: spikes from the potential of the last step, whose reset takes what arrives; the record of the read-out begins with 0."""
    h1 = torch.einsum("tbi,ij->tbj", x, w1)
    syn = mem = out = torch.zeros_like(h1[0])
    potentials, spikes = [], []
    for h in h1:
        if v1 is not None:
            h = h + out @ v1
        out = SuperSpike.apply(mem - 1.0)
        reset = out.detach()
        potentials.append(mem)
        spikes.append(out)
        syn, mem = ALPHA * syn + h, (BETA * mem + syn) * (1.0 - reset)
    h2 = torch.einsum("tbi,ij->tbj", torch.stack(spikes), w2)
    flt = read = torch.zeros_like(h2[0])
    reads = [read]
    for h in h2:
        flt, read = ALPHA * flt + h, BETA * read + flt
        reads.append(read)
    return torch.stack(potentials), torch.stack(spikes), torch.stack(reads)


def module(w1, w2, v1=None):
    """The same as equations; the unit gain of the current is what makes exponential Euler's step theirs."""
    defaultclock.dt = STEP * ms
    names = {"tau_mem": TAU_MEM * ms, "tau_syn": TAU_SYN * ms, "gain": 1 / (1 - BETA)}
    equations = """dmem/dt = (gain*syn - mem)/tau_mem : 1
                   dsyn/dt = -syn/tau_syn : 1"""
    inputs = InputGroup(w1.shape[0])
    hidden = NeuronGroup(w1.shape[1], equations, threshold="mem > 1", reset="mem = 0", method="exponential_euler")
    readout = NeuronGroup(w2.shape[1], equations, method="exponential_euler")
    paths = [(inputs, hidden, w1, 0 * ms), (hidden, readout, w2, 0 * ms)] + ([] if v1 is None else [(hidden, hidden, v1, STEP * ms)])
    synapses = []
    for source, target, weights, delay in paths:
        S = Synapses(source, target, "w : 1", on_pre="syn_post += w", delay=delay)
        S.connect()
        S.w = weights.flatten().numpy()
        synapses.append(S)
    network = Network(inputs, hidden, readout, synapses)
    network.schedule = bnn.spytorch_schedule
    return bnn.NetworkModule(
        network,
        {"mem": (hidden, "mem"), "spikes": hidden, "read": (readout, "mem")},
        [bnn.Learn(S, "w", name=name) for S, name in zip(synapses, ("w1", "w2", "v1"))],
        bnn.Surrogate(bnn.SuperSpike(beta=100)),
        dtype=torch.float64,
        namespace=names,
    )


@pytest.fixture(autouse=True)
def clock():
    before = defaultclock.dt
    yield
    defaultclock.dt = before


def normal(generator, *shape, scale):
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


def first_tutorial(generator):
    """100 Poisson inputs of 5 Hz, 4 hidden neurons, 2 classes, 200 steps."""
    x = (torch.rand(200, 256, 100, generator=generator) < 5e-3).double()
    w1, w2 = (normal(generator, n, m, scale=7 * (1 - BETA) / math.sqrt(n)) for n, m in ((100, 4), (4, 2)))
    return x, w1, w2, None


def fourth_tutorial(generator):
    """700 channels, 200 neurons with connections among themselves, 20 classes, 100 steps."""
    x = (torch.rand(100, 16, 700, generator=generator) < 0.02).double()
    w1, w2, v1 = (normal(generator, n, m, scale=s / math.sqrt(n)) for n, m, s in ((700, 200, 2.0), (200, 20, 0.2), (200, 200, 1.0)))
    return x, w1, w2, v1


@pytest.mark.parametrize("tutorial", [first_tutorial, fourth_tutorial])
def test_parity(tutorial):
    generator = torch.Generator().manual_seed(8)
    x, *weights = tutorial(generator)
    given = [w for w in weights if w is not None]
    network = module(*weights)
    labels = torch.randint(weights[1].shape[1], x.shape[1:2], generator=generator)

    def loss(spikes, read):
        """The tutorials' loss, with the regularisers of the fourth."""
        likelihood = torch.nn.functional.nll_loss(torch.log_softmax(read.max(0).values, 1), labels)
        return likelihood + 2e-6 * spikes.sum() + 2e-6 * spikes.sum((0, 1)).square().mean()

    ours = network(x)
    leaves = [w.clone().requires_grad_() for w in given]
    potentials, spikes, reads = loop(x, *leaves)
    assert torch.equal(ours.spikes, spikes) and spikes.sum() > 100
    torch.testing.assert_close(ours.mem[:-1], potentials[1:], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.read, reads[1:], rtol=1e-12, atol=1e-12)
    expected = torch.autograd.grad(loss(spikes, reads), leaves)
    read = torch.cat([torch.zeros_like(ours.read[:1]), ours.read])
    found = torch.autograd.grad(loss(ours.spikes, read), [network.learned[name].raw for name in ("w1", "w2", "v1")[: len(given)]])
    for one, other in zip(found, expected):
        assert other.abs().max() > 0
        assert (one - other).abs().max() <= 1e-12 * other.abs().max(), float((one - other).abs().max() / other.abs().max())


def test_another_order_is_another_network():
    """Without the schedule, or without the delay of a step, the spikes are others: the comparison can fail."""
    generator = torch.Generator().manual_seed(8)
    x, *weights = fourth_tutorial(generator)
    _, spikes, _ = loop(x, *weights)
    wrong = module(*weights)
    schedule = ["groups", "thresholds", "synapses", "resets"]
    network = Network(*wrong.objects)
    network.schedule = schedule
    group = next(item for item in wrong.objects if isinstance(item, NeuronGroup))
    other = bnn.NetworkModule(network, {"spikes": group}, dtype=torch.float64, namespace=wrong._names)
    assert not torch.equal(other(x).spikes, spikes)
