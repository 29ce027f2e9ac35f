"""Neurons as layers of torch: any shape of elements, torch's layers between them, recurrence through torch's layers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402

LEAKY = "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second"
SPIKES = dict(threshold="v > 1", reset="v = 0", method="exact")


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    torch.manual_seed(4)


def double(*shape):
    return torch.rand(*shape, dtype=torch.float64)


def layer(N, *, tau=10 * ms, **options):
    return bnn.NeuronModule(N, LEAKY, parameters={"tau": tau}, **{"dtype": torch.float64, "namespace": {}} | SPIKES | options)


# --------------------------------------------------------------------------------------------------------------------------------------------- shapes
def test_neurons_of_any_shape_are_neurons():
    shaped, flat = layer((2, 3, 4), learn="tau"), layer(24, learn="tau")
    x = 4 * double(15, 5, 2, 3, 4)
    y, z = shaped(x), flat(x.reshape(15, 5, 24))
    assert y.shape == x.shape and y.sum() > 10 and torch.equal(y.reshape(z.shape), z)
    one, state = shaped.step(x[0])
    two, _ = shaped.step(x[1], state=state)
    assert one.shape == (5, 2, 3, 4) and torch.equal(torch.stack([one, two]), y[:2])
    first, state = shaped.run(x[:7])
    assert torch.equal(torch.cat([first, shaped.run(x[7:], state=state)[0]]), y)
    assert torch.equal(layer((2, 3, 4), batch_first=True)(x.transpose(0, 1)).transpose(0, 1), y)
    assert shaped(x[:, 0]).shape == (15, 2, 3, 4) and shaped(x.unflatten(1, (5, 1))).shape == (15, 5, 1, 2, 3, 4)
    assert "(2, 3, 4)" in repr(shaped)


def test_parameters_and_inputs_of_a_channel():
    tau = np.array([5.0, 20.0]).reshape(2, 1, 1) * ms
    cells = layer((2, 3, 4), tau=tau, output="v")
    np.testing.assert_allclose(cells.group.tau_, np.repeat([0.005, 0.02], 12))
    v = cells(torch.ones(10, 1, 1, 1, 1, dtype=torch.float64).expand(10, 1, 2, 1, 1))
    expected = 1 - torch.exp(-torch.arange(1, 11) / torch.tensor([[5.0], [20.0]], dtype=torch.float64))
    torch.testing.assert_close(v[:, 0, :, 1, 2].T, expected)
    with pytest.raises(ValueError, match=r"input 'J' must have the last axes \(2, 3, 4\), not the shape \(10, 1, 2, 4, 3\)"):
        cells(torch.ones(10, 1, 2, 4, 3))


def test_one_parameter_for_each_channel():
    cells = layer((3, 2, 2), learn={"variable": "tau", "unit": ms, "share": "channel"}, output="v")
    ((name, parameter),) = cells.named_parameters()
    assert parameter.shape == (3,) and torch.equal(parameter, torch.full((3,), 10.0, dtype=torch.float64))
    with torch.no_grad():
        parameter[1] = 5.0
    v = cells(torch.ones(10, 1, 3, 2, 2))
    v[-1].sum().backward()
    torch.testing.assert_close(v[:, 0, 1, 1, 0], 1 - torch.exp(-torch.arange(1, 11, dtype=torch.float64) / 5))
    torch.testing.assert_close(v[:, 0, 2, 1, 0], 1 - torch.exp(-torch.arange(1, 11, dtype=torch.float64) / 10))
    t = torch.tensor([10.0, 5.0, 10.0], dtype=torch.float64)
    torch.testing.assert_close(parameter.grad, -4 * 10 / t**2 * torch.exp(-10 / t))


def test_convolutions_between_neurons_train():
    """(T, B, C, H, W) through Conv, BatchNorm, Pool and neurons in one Sequential: horizontal and vertical bars."""
    net = nn.Sequential(
        bnn.OverTime(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)),
        layer((4, 6, 6), dtype=None, tau=5 * ms, learn={"variable": "tau", "unit": ms, "bounds": (2 * ms, 50 * ms)}),
        bnn.OverTime(nn.AvgPool2d(2)),
        bnn.OverTime(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)),
        layer((4, 1, 1), dtype=None, tau=5 * ms),
        nn.Flatten(2),
        nn.Linear(4, 2),
    )
    bars = torch.zeros(12, 1, 6, 6)
    for n in range(6):
        bars[n, 0, n] = bars[n + 6, 0, :, n] = 2.0
    x, labels = bars.expand(10, 12, 1, 6, 6), torch.arange(12) // 6
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        y = net(x)
        loss = nn.functional.cross_entropy(y.mean(0), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert y.shape == (10, 12, 2) and losses[-1] < 0.3 < losses[0]
    assert all(p.grad is not None for p in net.parameters())


# -------------------------------------------------------------------------------------------------------------------------------------------- over time
def test_layers_over_time_see_every_step_as_a_sample():
    layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)]
    for one in layers:
        one.double()
    over, x = bnn.OverTime(*layers), double(7, 5, 2, 4, 4)
    y = over(x)
    convolved = torch.stack([layers[0](x[t]) for t in range(7)])
    mean, variance = convolved.mean((0, 1, 3, 4), keepdim=True), convolved.var((0, 1, 3, 4), keepdim=True, correction=0)
    torch.testing.assert_close(y, (convolved - mean) / torch.sqrt(variance + layers[1].eps))
    assert list(over.state_dict())[:2] == ["layers.0.weight", "layers.0.bias"]
    with pytest.raises(ValueError, match=r"OverTime takes tensors of shape \(T, B, ...\), not \(7, 5\); layers take \(T, ...\) as a batch of T by themselves"):
        over(double(7, 5))
    with pytest.raises(ValueError, match="OverTime takes one layer or more"):
        bnn.OverTime()


@pytest.mark.parametrize("batch_first", [False, True])
def test_layers_over_time_see_nothing_after_the_end(batch_first):
    over, lengths, x = bnn.OverTime(nn.BatchNorm1d(3).double(), batch_first=batch_first), torch.tensor([4, 1, 7]), double(7, 3, 3)
    x[4:, 0] = x[1:, 1] = torch.nan
    y = over(x.transpose(0, 1) if batch_first else x, lengths=lengths)
    y = y.transpose(0, 1) if batch_first else y
    seen = torch.cat([x[:4, 0], x[:1, 1], x[:, 2]])
    expected = (seen - seen.mean(0)) / torch.sqrt(seen.var(0, correction=0) + 1e-5)
    torch.testing.assert_close(torch.cat([y[:4, 0], y[:1, 1], y[:, 2]]), expected)
    assert not y[4:, 0].any() and not y[1:, 1].any()


# -------------------------------------------------------------------------------------------------------------------------------------------- recurrence
def stepped(x, recurrent, tau=10.0, shape=(6,)):
    """The same by hand: exact leaky neurons, whose spikes of the last step come back through a layer."""
    decay = torch.exp(torch.tensor(-1.0 / tau, dtype=torch.float64))
    v, s, out = torch.zeros(x.shape[1:], dtype=torch.float64), torch.zeros(x.shape[1:], dtype=torch.float64), []
    for row in x:
        J = row + recurrent(s)
        v = J + (v - J) * decay
        s = (v > 1).double()
        v = torch.where(s > 0, 0.0, v)
        out.append(s)
    return torch.stack(out)


def test_a_recurrent_layer_returns_the_spikes_of_the_last_step():
    recurrent = nn.Linear(6, 6, dtype=torch.float64)
    nn.init.normal_(recurrent.weight, std=2.0)
    cells, x = layer(6, recurrent=recurrent), 4 * double(30, 5, 6)
    y = cells(x)
    assert torch.equal(y, stepped(x, recurrent)) and not torch.equal(y, layer(6)(x)) and y.sum() > 30
    assert dict(cells.named_parameters()).keys() == {"recurrent.J.weight", "recurrent.J.bias"}
    first, state = cells.run(x[:11])
    assert torch.equal(torch.cat([first, cells.run(x[11:], state=state)[0]]), y)
    state = None
    for t in range(4):
        one, state = cells.step(x[t], state=state)
        assert torch.equal(one, y[t])
    assert torch.equal(cells(x[:, 0]), y[:, 0])
    (gradient,) = torch.autograd.grad(y.sum(), recurrent.weight)
    assert gradient.abs().sum() > 0


def test_a_recurrent_convolution():
    recurrent = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, bias=False))
    cells = layer((2, 4, 4), recurrent=recurrent)  # float32 as it is made; the layer's dtype is its own, too
    assert recurrent[0].weight.dtype is torch.float64
    nn.init.normal_(recurrent[0].weight, std=2.0)
    x = 4 * double(20, 3, 2, 4, 4)
    assert torch.equal(cells(x), stepped(x, recurrent))
    assert torch.equal(cells(x[:, 0]), stepped(x[:, :1], recurrent)[:, 0])
    wide = cells(x[:, :2].unflatten(1, (2, 1)))
    assert torch.equal(wide[:, :, 0], stepped(x[:, :2], recurrent))


def test_recurrence_of_neurons_without_a_threshold_is_that_of_their_output():
    recurrent = nn.Linear(3, 3, bias=False, dtype=torch.float64)
    cells = bnn.NeuronModule(3, "dr/dt = (tanh(J) - r)/(10*ms) : 1\nJ : 1 (input)", method="euler", recurrent={"J": recurrent}, dtype=torch.float64)
    x, r, out = double(10, 2, 3), torch.zeros(2, 3, dtype=torch.float64), []
    for row in x:
        r = r + 0.1 * (torch.tanh(row + recurrent(r)) - r)
        out.append(r)
    torch.testing.assert_close(cells(x), torch.stack(out), rtol=1e-13, atol=1e-15)


def test_the_rules_of_time_hold_for_recurrent_layers():
    """Lengths, recomputed pieces and their gradients."""
    recurrent = nn.Linear(6, 6, dtype=torch.float64)
    cells, x, lengths = layer(6, recurrent=recurrent, learn="tau"), 4 * double(20, 3, 6), [5, 20, 9]
    weights = torch.randn(20, 3, 6, dtype=torch.float64)
    results = []
    for cells.network.checkpoint in (None, 3):
        y = cells(x, lengths=lengths)
        results.append((y, torch.autograd.grad((weights * y).sum(), list(cells.parameters()))))
    alone = sum((weights[:length, n] * cells(x[:length, n])).sum() for n, length in enumerate(lengths))
    alone = torch.autograd.grad(alone, list(cells.parameters()))
    assert torch.equal(results[0][0], results[1][0]) and not results[0][0][5:, 0].any()
    for one, other, third in zip(results[0][1], results[1][1], alone):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, third, rtol=1e-11, atol=1e-14)


def test_noise_of_layers_is_that_of_their_samples():
    cells = bnn.NeuronModule(
        (2, 3), "dv/dt = (J - v)/(10*ms) + 0.5*xi*(10*ms)**-0.5 : 1\nJ : 1 (input)", threshold="v > 1", reset="v = 0", method="euler",
        recurrent=nn.Linear(3, 3), output="v", dtype=torch.float64, namespace={},
    )  # fmt: skip
    x = double(12, 4, 2, 3)
    y = cells(x, seed=5)
    assert torch.equal(cells(x, seed=5), y) and not torch.equal(cells(x, seed=6), y) and not torch.equal(y[:, 0], y[:, 1])
    assert torch.equal(cells(x[:, 2:], seed=5, samples=2), y[:, 2:])
    one, state = cells.step(x[0], seed=5)
    two, _ = cells.step(x[1], state=state)
    assert torch.equal(torch.stack([one, two]), y[:2])
    lengths = [3, 12, 7, 1]
    for n, length in enumerate(lengths):
        torch.testing.assert_close(cells(x, lengths=lengths, seed=5)[:length, n], y[:length, n], rtol=1e-12, atol=1e-14)


def test_what_recurrent_takes():
    with pytest.raises(ValueError, match="recurrent= names 'K', which is not an input variable; there are J"):
        layer(3, recurrent={"K": nn.Linear(3, 3)})
    with pytest.raises(TypeError, match=r"recurrent= takes layers of torch, not 'Linear'"):
        layer(3, recurrent={"J": "Linear"})
