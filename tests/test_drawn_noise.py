"""Random numbers that the compiled engine draws in its tiles, forwards and again backwards: those of the torch engine, bit for bit."""

import numpy as np
import pytest
import torch

import brianlike.nn as bnn
from brianlike import BinomialFunction, Network, NeuronGroup, Synapses, defaultclock, ms
from brianlike.nn.compiled import unrolling

LAWS = {
    "normal": "v += 0.4*gain*randn()",
    "uniform": "v += gain*rand()",
    "both": "v += gain*rand()*randn()",
    "poisson": "v += 0.1*gain*poisson(2.5)",
    "poisson with a parameter": "v += 0.1*gain*poisson(level)",
    "many": "v += 0.01*gain*poisson(30.0)",
    "poisson with a parameter of each": "v += 0.1*gain*poisson(3*gain)",
    "many of each": "v += 0.01*gain*poisson(30*each)",
    "binomial": "v += 0.1*gain*few() + 0.01*gain*many()",
    "poisson that changes": "v += 0.1*gain*poisson(clip(3*v, 0, 5))",
    "many that change": "v += 0.01*gain*poisson(20*(1 + v**2))",
    "one from another": "v += 0.05*gain*poisson(poisson(2*each) + rand())",
    "compared": "v += gain*int(rand() < 0.3)",
}


@pytest.fixture(autouse=True)
def _clock():
    defaultclock.dt = 1 * ms
    yield
    defaultclock.dt = 0.1 * ms


def network(law, engine, dtype, **options):
    equations = "dv/dt = -v/(10*ms) + 0.3*xi*(10*ms)**-0.5 : 1\ngain : 1 (constant)\neach : 1 (constant)\nlevel : 1 (shared, constant)"
    cells = NeuronGroup(9, equations, threshold="v > 1", reset="v = 0", method="euler", name="cells")
    cells.run_regularly(LAWS[law], dt=defaultclock.dt)
    cells.gain, cells.each, cells.level = np.linspace(0.5, 1.5, 9), np.linspace(0.4, 1.6, 9), 1.5
    few, many = BinomialFunction(20, 0.1), BinomialFunction(60, 0.5, approximate=False)  # noqa: F841  in a law
    again = Synapses(cells, cells, "w : 1", on_pre="v_post += w", name="again")
    again.connect()
    again.w = np.random.default_rng(1).normal(0.0, 0.3, 81)
    learn = [bnn.Learn(again, "w"), bnn.Learn(cells, "gain")]
    return bnn.NetworkModule(Network(cells, again), record={"v": (cells, "v"), "spikes": cells}, learn=learn, dtype=dtype, engine=engine, **options)


def results(model, **how):
    y, state = model.run(steps=12, batch=(11,), **how)
    (y.v.square().mean() + y.spikes.mean()).backward()
    return {"v": y.v.detach(), "spikes": y.spikes.detach()} | {name: parameter.grad for name, parameter in model.named_parameters()}, bnn.detached(state)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("law", LAWS)
def test_noise_is_that_of_torch(law, dtype):
    tolerance = 1e-12 if dtype is torch.float64 else 2e-5
    expected, state = results(network(law, "torch", dtype), seed=5, samples=3)
    found, known = results(network(law, "cython", dtype), seed=5, samples=3)
    assert expected["spikes"].sum() > 0 and torch.equal(found["spikes"], expected["spikes"])
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=tolerance, msg=name)
    checked, _ = results(network(law, "cython", dtype, checkpoint=5), seed=5, samples=3)
    assert all(torch.equal(checked[name], value) for name, value in found.items())
    after, _ = results(network(law, "torch", dtype), state=state)
    went_on, _ = results(network(law, "cython", dtype), state=known)
    torch.testing.assert_close(went_on["v"], after["v"], rtol=tolerance, atol=tolerance)


def test_numbers_are_not_stored(monkeypatch):
    """No table of all steps is made where tiles draw."""
    monkeypatch.setattr(unrolling, "_spread", None)
    y = network("both", "cython", torch.float64)(steps=5, batch=(3,), seed=1)
    assert torch.isfinite(y.v).all()


@pytest.mark.parametrize("law", ["poisson with a parameter of each", "poisson that changes"])
def test_what_is_kept_roughly_draws_nothing_else(law):
    """A number is kept, or drawn again from what nothing rounds: parameters with three digits would give others."""
    exact, _ = results(network(law, "cython", torch.float32), seed=5)
    rough, _ = results(network(law, "cython", torch.float32, keep="bfloat16"), seed=5)
    assert torch.equal(rough["v"], exact["v"])
    for name in exact.keys() - {"v", "spikes"}:
        torch.testing.assert_close(rough[name], exact[name], rtol=0.02, atol=0.01 * float(exact[name].abs().max()))
