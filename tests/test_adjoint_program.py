"""The adjoint of whole networks on numpy, against autograd: two backward passes written independently, to 1e-10 of the largest entry."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from adjoints import assert_same_gradients, random_cotangents, torch_gradients  # noqa: E402
from trained_models import LIF, NEURONS, custom, network  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.recording import Recorder  # noqa: E402
from brianlike.only import *  # noqa: E402
from codegen.ir import Map, Propagator  # noqa: E402


@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("shape", bnn.SURROGATES)
def test_every_surrogate_in_every_model(shape, neuron):
    module, inputs = network(NEURONS[neuron], bnn.SURROGATES[shape]())
    found = assert_same_gradients(module, inputs)
    assert found.records["spikes"].sum() >= 4


@pytest.fixture(autouse=True)
def default_step():
    before = defaultclock.dt
    yield
    defaultclock.dt = before


@pytest.mark.parametrize("detach", [None, True, False, {"v"}, {"b"}, set()], ids=str)
@pytest.mark.parametrize("neuron", ["LIF", "adaptive", "Izhikevich"])
def test_resets_keep_or_lose_their_gradient(neuron, detach):
    module, inputs = network(NEURONS[neuron], detach_reset=detach)
    found = assert_same_gradients(module, inputs)
    assert found.records["spikes"].sum() >= 4


def test_detaching_a_reset_changes_the_gradient_and_not_the_run():
    results = {}
    for detach in (True, False):
        module, inputs = network(NEURONS["adaptive"], detach_reset=detach)
        results[detach] = torch_gradients(module, inputs, random_cotangents(module, inputs))
    np.testing.assert_array_equal(results[True].records["v"], results[False].records["v"])
    first = {detach: next(iter(r.learned.values())) for detach, r in results.items()}
    assert np.abs(first[True] - first[False]).max() > 1e-3 * np.abs(first[True]).max()


SMOOTH = """dv/dt = (I - v + 0.3*sin(2*pi*v))/tau_m : 1
            dI/dt = -I/tau_s : 1
            tau_m : second
            tau_s : second (shared)"""
CONDITIONALLY_LINEAR = """dv/dt = (I*(1.5 - v) - v)/tau_m : 1
                          dI/dt = -I/tau_s : 1
                          tau_m : second
                          tau_s : second (shared)"""
TIMES = {"tau_m": "(10 + 5*rand())*ms", "tau_s": 5 * ms}


@pytest.mark.parametrize(
    ("method", "equations"),
    [("euler", SMOOTH), ("heun", SMOOTH), ("rk2", SMOOTH), ("rk4", SMOOTH), ("exponential_euler", CONDITIONALLY_LINEAR), ("exact", LIF.equations)],
    ids=lambda value: value if len(value) < 20 else "",
)
def test_every_method(method, equations):
    module, inputs, *_ = custom(equations, TIMES, ("tau_m", "tau_s", "v"), method=method)
    assert assert_same_gradients(module, inputs).records["spikes"].sum() >= 4


CHAIN = """dv/dt = (u - v)/tau_m : 1
           du/dt = (I - u)/tau_d : 1
           dI/dt = -I/tau_s : 1
           tau_m : second
           tau_d : second
           tau_s : second"""
COUPLED = """dv/dt = (I + g*u - v)/tau_m : 1
             du/dt = (g*v - u)/tau_d : 1
             dI/dt = -I/tau_s : 1
             g : 1
             tau_m : second
             tau_d : second (shared)
             tau_s : second"""


@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-6, 1e-3, 0.5])
def test_matrix_exponentials_with_learned_and_nearly_equal_time_constants(apart):
    values = {"tau_m": 10 * ms, "tau_d": 10 * (1 + apart) * ms, "tau_s": 10 * (1 - apart) * ms}
    module, inputs, *_ = custom(CHAIN, values, ("tau_m", "tau_d", "tau_s", "v", "u"), method="exact", weight=4.0)
    assert any(isinstance(line, Propagator) for kernel in module.prepared.program.setup for line in kernel.body)
    assert assert_same_gradients(module, inputs).records["spikes"].sum() >= 4


def test_a_coupled_system_with_a_matrix_for_each_neuron():
    values = {"tau_m": "(10 + 5*rand())*ms", "tau_d": 20 * ms, "tau_s": "(4 + rand())*ms", "g": "0.3*rand()"}
    module, inputs, *_ = custom(COUPLED, values, ("tau_m", "tau_d", "tau_s", "g", "v"), method="exact", weight=2.0)
    assert assert_same_gradients(module, inputs).records["spikes"].sum() >= 4


def test_a_propagator_whose_matrix_changes_during_the_run():
    values = {"tau_m": 10 * ms, "tau_d": 12 * ms, "tau_s": 5 * ms}
    module, inputs, *_ = custom(CHAIN, values, ("tau_m", "tau_d", "tau_s"), method="exact", weight=4.0, reset="v = 0; tau_m += 1*ms")
    assert any(isinstance(line, Propagator) for kernel in module.prepared.program.kernels if isinstance(kernel, Map) for line in kernel.body)
    assert assert_same_gradients(module, inputs).records["spikes"].sum() >= 4


PATHWAYS = {
    "short-term depression": dict(
        synapse="w : 1\nR : 1\nU : 1",
        on_pre="I_post += w*R*U; R *= 1 - U",
        synaptic={"R": 1, "U": "0.2 + 0.3*rand()"},
        learn_synaptic=("w", "R", "U"),
        weight=5.0,
    ),
    "traces, pre and post": dict(
        synapse="w : 1\nx : 1\ny : 1\neta : 1 (shared)",
        on_pre="I_post += w; x += 0.1; w = clip(w - eta*y, 0, 3)",
        on_post="y += 0.1; w = clip(w + eta*x, 0, 3)",
        synaptic={"eta": 0.3, "x": 0.1},
        learn_synaptic=("w", "eta", "x"),
    ),
    "reads both sides": dict(on_pre="I_post += w*(1.5 - v_post)"),
    "reads a neuron's parameter": dict(on_pre="I_post += w*tau_m_post/(10*ms)"),
    "two sums": dict(on_pre="I_post += w; v_post += 0.1*w**2"),
    "two pathways": dict(on_pre={"pre": "I_post += w", "late": "v_post -= 0.1*w"}),
}


@pytest.mark.parametrize("delay", [None, "rand()*4*ms"], ids=["no delay", "delays"])
@pytest.mark.parametrize("case", PATHWAYS)
def test_code_of_synapses(case, delay):
    module, inputs, *_ = custom(LIF.equations, TIMES, ("tau_m", "tau_s"), method="exact", delay=delay, **PATHWAYS[case])
    assert assert_same_gradients(module, inputs).records["spikes"].sum() >= 4


def test_input_variables_and_graded_events():
    equations = """dv/dt = (I + J - v)/tau_m : 1 (unless refractory)
                   dI/dt = -I/tau_s : 1
                   J : 1 (input)
                   tau_m : second
                   tau_s : second (shared)"""
    module, inputs, *_ = custom(equations, TIMES, ("tau_m", "tau_s"), method="exact", refractory=2 * ms)
    inputs = {key: x * (0.5 + torch.rand(x.shape, dtype=x.dtype)) for key, x in inputs.items()} | {"J": torch.randn(30, 2, 3, dtype=torch.float64)}
    found = assert_same_gradients(module, inputs)
    assert found.records["spikes"].sum() >= 4 and set(found.inputs) == set(inputs)


def test_no_batch_axis():
    module, inputs = network(LIF)
    assert_same_gradients(module, {key: x[:, 0] for key, x in inputs.items()})


def test_a_subexpression_and_its_parameters():
    equations = """dv/dt = (drive - v)/tau_m : 1
                   drive = gain*tanh(I)/(1 + c*v**2) : 1
                   dI/dt = -I/tau_s : 1
                   gain : 1
                   c : 1 (shared)
                   tau_m : second
                   tau_s : second (shared)"""
    module, inputs, *_ = custom(equations, TIMES | {"gain": "2 + rand()", "c": 0.2}, ("gain", "c", "tau_m", "tau_s", "I"), method="rk4")
    assert assert_same_gradients(module, inputs).records["spikes"].sum() >= 4


@pytest.mark.parametrize("masked", [False, True], ids=["all forced", "some forced"])
def test_forced_spikes(masked):
    module, inputs = network(NEURONS["adaptive"], detach_reset=False)
    cells = module._specs["spikes"]
    generator = torch.Generator().manual_seed(9)
    spikes = (torch.rand(25, 2, 4, generator=generator) < 0.2).double()
    mask = torch.rand(25, 2, 4, generator=generator) < 0.5 if masked else torch.ones_like(spikes, dtype=torch.bool)
    found = assert_same_gradients(module, inputs, force={cells: (spikes, mask)})
    np.testing.assert_array_equal(found.records["spikes"][mask], spikes[mask])


def test_forcing_the_own_spikes_changes_nothing():
    module, inputs = network(LIF)
    cells = module._specs["spikes"]
    cotangents = random_cotangents(module, inputs)
    free = torch_gradients(module, inputs, cotangents)
    forced = torch_gradients(module, inputs, cotangents, force={cells: (torch.from_numpy(free.records["spikes"].copy()), None)})
    np.testing.assert_array_equal(forced.records["v"], free.records["v"])
    for name, value in free.learned.items():  # autograd may add in another order
        np.testing.assert_allclose(forced.learned[name], value, rtol=0, atol=1e-13 * np.abs(value).max())


# ------------------------------------------------------------------------------------------------------------------------------------- true gradients
TRUE = {
    "LIF": (LIF.equations, "exact", TIMES, ("tau_m", "tau_s", "v")),
    "chain": (CHAIN, "exact", TIMES | {"tau_d": 7 * ms}, ("tau_m", "tau_d", "tau_s", "u")),
    "equal time constants": (LIF.equations, "exact", {"tau_m": 8 * ms, "tau_s": 8 * ms}, ("tau_m", "tau_s")),
    "coupled": (COUPLED, "exact", TIMES | {"tau_d": 20 * ms, "g": 0.3}, ("tau_m", "tau_d", "tau_s", "g")),
    "rk4": (SMOOTH, "rk4", TIMES, ("tau_m", "tau_s", "v")),
    "rk2": (SMOOTH, "rk2", TIMES, ("tau_m", "tau_s", "v")),
    "exponential Euler": (CONDITIONALLY_LINEAR, "exponential_euler", TIMES, ("tau_m", "tau_s", "v")),
}


@pytest.mark.parametrize("case", TRUE)
def test_true_gradients_are_finite_differences_where_no_spike_changes(case):
    equations, method, values, learn = TRUE[case]
    module, inputs, *_ = custom(equations, values, learn, method=method, gradient=bnn.TrueGradient(), weight=3.0)
    cotangents = random_cotangents(module, inputs)
    found = assert_same_gradients(module, inputs, cotangents, zero=())
    spikes = found.records["spikes"]
    assert spikes.sum() >= 4

    def loss():
        with torch.no_grad():
            record = module(**inputs)
        assert np.array_equal(record.spikes.numpy(), spikes), "a spike changed: choose a smaller difference"
        return sum((getattr(record, key) * cotangent).sum().item() for key, cotangent in cotangents.items())

    for held in module.learned.values():
        raw, exact = held.raw.data.view(-1), found.learned[held.learn.array] * held.scale
        place = int(np.abs(exact).argmax())
        start, step = raw[place].item(), 2e-4 * max(1e-2, abs(raw[place].item()))
        values = {}
        for k in (-2, -1, 1, 2):
            raw[place] = start + k * step
            values[k] = loss()
        raw[place] = start
        difference = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * step)  # fourth order
        assert difference == pytest.approx(exact[place], rel=1e-6), held.learn.array


# ------------------------------------------------------------------------------------------------------------------------------------------ reductions
def test_reductions_equal_those_of_the_full_record():
    module, inputs, cells, feed = custom(LIF.equations, TIMES, ("tau_m",), method="exact", record=("v", "I"))
    learn = [bnn.Learn(feed, "w"), bnn.Learn(cells, "tau_m")]
    v, i = (cells, "v"), (cells, "I")
    kinds = {"count": bnn.Count(cells), "mean": bnn.Mean(v), "max": bnn.Max(v), "last": bnn.Last(i), "margin": bnn.Margin(cells)}
    reduced = bnn.NetworkModule(Network(*module._objects), kinds, learn, module._gradient, dtype=torch.float64, namespace={})
    full, short = module(**inputs), reduced(**inputs)
    # `v` is recorded after the reset, the margin before it: equal where nobody fired
    expected = {"count": full.spikes.sum(0), "mean": full.v.mean(0), "max": full.v.amax(0), "last": full.I[-1]}
    assert full.spikes.sum() >= 4
    assert short.margin.shape == full.v.shape
    assert torch.equal(short.margin > 0, full.spikes > 0)
    silent = full.spikes == 0
    torch.testing.assert_close(short.margin[silent], (full.v - 1)[silent], rtol=0, atol=1e-15)
    for key, value in expected.items():
        torch.testing.assert_close(getattr(short, key), value, rtol=1e-14, atol=0)
        weights = torch.randn(value.shape, dtype=value.dtype, generator=torch.Generator().manual_seed(1))
        for owner, name in ((cells, "tau_m"), (feed, "w")):
            if (key, name) == ("last", "tau_m"):
                continue  # I does not depend on it
            one = torch.autograd.grad((getattr(short, key) * weights).sum(), reduced.parameter(owner, name), retain_graph=True)[0]
            other = torch.autograd.grad((value * weights).sum(), module.parameter(owner, name), retain_graph=True)[0]
            assert other.abs().max() > 0
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13 * float(other.abs().max()))


def test_gradient_of_a_recorded_margin():
    module, inputs, cells, feed = custom(LIF.equations, TIMES, ("tau_m",), method="exact")
    learn = [bnn.Learn(feed, "w"), bnn.Learn(cells, "tau_m")]
    with_margin = bnn.NetworkModule(Network(*module._objects), {"margin": bnn.Margin(cells)}, learn, module._gradient, dtype=torch.float64, namespace={})
    assert_same_gradients(with_margin, inputs)


def test_elements_that_all_fire_at_a_time_of_the_clock():
    """The margin `t - 4.5 ms` is one number for all neurons; spikes and margins have an entry for each."""
    gradient = bnn.Surrogate(width=1 * ms)
    module, inputs, cells, _ = custom(
        LIF.equations, TIMES, ("tau_m",), method="exact", threshold="t > 4.5*ms", refractory=3 * ms, reset="v -= 1", gradient=gradient
    )
    assert assert_same_gradients(module, inputs).records["spikes"].sum(0).min() >= 4
    margins = bnn.NetworkModule(Network(*module._objects), {"m": bnn.Margin(cells)}, gradient=gradient, dtype=torch.float64, namespace={})(**inputs).m
    np.testing.assert_allclose(margins.numpy(), np.broadcast_to((np.arange(30) * 1e-3 - 4.5e-3)[:, None, None], (30, 2, 3)), rtol=1e-12)


def test_equal_maxima_share_the_gradient():
    """As `torch.amax` does; a neuron at rest has the same potential in every step."""
    values = torch.tensor([[0.0, 1.0, 2.0], [0.0, 3.0, 2.0], [0.0, 3.0, 1.0], [0.0, 2.0, 2.0]], dtype=torch.float64)
    gradients = []
    for reduce in (lambda rows: rows.amax(0), _running_maximum):
        leaf = values.clone().requires_grad_()
        result = reduce(leaf)
        gradients.append(torch.autograd.grad((result * torch.tensor([1.0, 2.0, 3.0])).sum(), leaf)[0])
        assert result.tolist() == [0.0, 3.0, 2.0]
    torch.testing.assert_close(*gradients, rtol=1e-15, atol=0)


def _running_maximum(rows):
    recorder = Recorder(bnn.Max(NeuronGroup(3, "v : 1")))
    for row in rows:
        recorder.add(row)
    return recorder.result(len(rows), rows[0])
