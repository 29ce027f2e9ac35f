"""The compiled engine is the torch engine: records and gradients, over models and everything that can be combined with them."""

import pytest

torch = pytest.importorskip("torch")

import trained_models  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402


@pytest.mark.parametrize("name", trained_models.NEURONS)
def test_all_parameters_of_the_well_known_neurons(name: str) -> None:
    found = {}
    for engine in ("torch", "cython"):
        start_scope()
        module, x = trained_models.network(trained_models.NEURONS[name])
        module = bnn.NetworkModule(
            Network(*module.objects), module._specs, [held.learn for held in module.learned.values()], module._gradient, dtype=torch.float64, engine=engine,
            namespace={},
        )  # fmt: skip
        x = {key: value.clone().requires_grad_() for key, value in x.items()}
        y = module(**x)
        generator = torch.Generator().manual_seed(1)
        loss = sum((value * torch.randn(value.shape, generator=generator, dtype=value.dtype)).sum() for value in y)
        found[engine] = (*y, *torch.autograd.grad(loss, [*x.values(), *module.parameters()]))
    for one, other in zip(*found.values()):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-11 * float(one.detach().abs().max()))
