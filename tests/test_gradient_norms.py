"""How large gradients are by layer and step: the probe against gradients worked out otherwise."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from trained_models import NEURONS, network  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike import plots  # noqa: E402
from brianlike.only import *  # noqa: E402

LEAKY = "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second"


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    torch.manual_seed(3)


def net(**options):
    options = {"parameters": {"tau": 10 * ms}, "method": "exact", "dtype": torch.float64, "namespace": {}} | options
    first = bnn.NeuronModule(4, LEAKY, threshold="v > 1", reset="v = 0", **options)
    second = bnn.NeuronModule(3, LEAKY, **options)
    layers = nn.Sequential(nn.Linear(2, 4).double(), first, nn.Linear(4, 3).double(), second)
    nn.init.uniform_(layers[0].weight, 1.0, 3.0)
    return layers


def test_the_norms_are_those_of_total_derivatives():
    """The derivative by a leaky potential in step t of one in the last step is exp(-(T - 1 - t)/tau), whatever comes in."""
    layers, x = net(), torch.rand(12, 5, 2).double()
    with bnn.GradientNorms(layers) as norms:
        layers(x)[-1].sum().backward()
    assert norms.names == ["1.v", "3.v"] and norms.values.shape == (12, 2)
    expected = np.sqrt(5 * 3) * np.exp(-(11 - np.arange(12)) / 10)
    np.testing.assert_allclose(norms.values[:, 1], expected, rtol=1e-12)
    assert norms.values[-1, 0] == 0 and (norms.values[:8, 0] > 0).all()  # what the first layer does at the end comes too late


@pytest.mark.parametrize("neuron", ["LIF", "adaptive"])
@pytest.mark.parametrize("checkpoint", [None, 4])
def test_the_norms_are_those_of_autograd_by_the_state(neuron, checkpoint):
    module, inputs = network(NEURONS[neuron], delays=False)
    x = next(iter(inputs.values()))
    module.checkpoint = checkpoint
    with bnn.GradientNorms(module) as norms:
        module(x).v.square().sum().backward()
    assert norms.names == ["cells.v"] and norms.values.shape == (len(x), 1)
    _, state = module.run(x[:9])
    state = bnn.detached(state)
    state["cells"]["v"].requires_grad_()
    y, _ = module.run(x[9:], state=state)
    (after,) = torch.autograd.grad(y.v.square().sum(), state["cells"]["v"])
    total = after + 2 * state["cells"]["v"].detach()  # v of step 8 is a record of its own
    assert norms.values[8, 0] == pytest.approx(total.norm().item(), rel=1e-10)


def test_passes_add_up_and_lengths_end_them():
    layers, x = net(), torch.rand(12, 5, 2).double()
    with bnn.GradientNorms(layers[3]) as once:
        layers[3](layers[2](layers[1](layers[0](x)))).sum().backward()
    with bnn.GradientNorms(layers[3]) as twice:
        for part in (x[:, :2], x[:, 2:]):
            layers(part).sum().backward()
    np.testing.assert_allclose(once.values, twice.values, rtol=1e-12)
    assert once.names == [f"{layers[3].group.name}.v"]
    with bnn.GradientNorms(layers[3]) as short:
        layers[3](torch.rand(12, 2, 3, dtype=torch.float64, requires_grad=True), lengths=[3, 5])[:5].sum().backward()
    assert (short.values[:5] > 0).all() and not short.values[5:].any()


def test_the_probe_leaves_nothing_behind():
    layers, x = net(), torch.rand(6, 2, 2).double()
    with pytest.raises(ZeroDivisionError), bnn.GradientNorms(layers) as norms:
        with pytest.raises(RuntimeError, match="another GradientNorms looks at this model already"):
            bnn.GradientNorms(layers).__enter__()
        raise ZeroDivisionError
    layers(x).sum().backward()
    assert norms.values.shape == (0, 2)


def test_what_to_look_at():
    module, inputs = network(NEURONS["adaptive"])
    cells = next(item for item in module.objects if item.name == "cells")
    with bnn.GradientNorms(module, {cells: "b"}) as norms:
        module(next(iter(inputs.values()))).v.sum().backward()
    assert norms.names == ["cells.b"] and norms.values.any()
    with pytest.raises(ValueError, match="'cells' has no variable 'beta' with a differential equation; it has v, I, b"):
        bnn.GradientNorms(module, {cells: "beta"})
    with pytest.raises(ValueError, match="the model contains no NeuronModule and no NetworkModule with neurons"):
        bnn.GradientNorms(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="variables= names 'cells', which the model does not contain"):
        bnn.GradientNorms(net(), {cells: "b"})


def test_a_picture_of_the_norms():
    axes = plots._figure(4, 3).subplots()
    plots.gradient_norms(axes, np.array([[1.0, 0.0], [0.1, 10.0]]), ["a", "b"])
    first, second = axes.get_lines()
    assert first.get_ydata().tolist() == [1.0, 0.1] and np.isnan(second.get_ydata()[0]) and second.get_ydata()[1] == 10
    assert axes.get_yscale() == "log" and [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    with pytest.raises(ValueError, match=r"the norms must have the shape \(steps, 3\), one column for each name, not \(2, 2\)"):
        plots.gradient_norms(axes, np.ones((2, 2)), ["a", "b", "c"])
