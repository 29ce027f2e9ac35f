"""Weights from the response of the membrane potential, whatever the equations."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402

CURRENT = """dv/dt = (I - v)/tau_m : 1
             dI/dt = -I/tau_s : 1
             tau_m : second (constant)"""
ADAPTIVE = """dv/dt = (I - b - v)/(20*ms) : 1
              db/dt = (0.5*v - b)/(50*ms) : 1
              dI/dt = -I/(5*ms) : 1
              v_th = 1 + 0.2*b : 1"""
CONDUCTANCE = """dv/dt = (10*nS*(-70*mV - v) + g*(0*mV - v))/(200*pF) : volt
                 dg/dt = -g/(5*ms) : siemens"""
EXPONENTIAL = """dv/dt = (30*nS*(-70.6*mV - v) + 30*nS*2*mV*exp((v + 50.4*mV)/(2*mV)) + I - u)/(281*pF) : volt
                 du/dt = (4*nS*(v + 70.6*mV) - u)/(144*ms) : amp
                 dI/dt = -I/(8*ms) : amp"""


@pytest.fixture(autouse=True)
def fine_steps():
    before = defaultclock.dt
    defaultclock.dt = 0.5 * ms
    seed(2)
    yield
    defaultclock.dt = before


def drive(equations, threshold, unit, on_pre, n=12, n_in=200, method="exact", p=None, **values):
    cells = NeuronGroup(n, equations, threshold=threshold, reset="v = v", method=method, namespace={"tau_s": 5 * ms})
    for name, value in values.items():
        setattr(cells, name, value)
    synapses = Synapses(InputGroup(n_in), cells, f"w : {unit}", on_pre=on_pre)
    synapses.connect() if p is None else synapses.connect(p=p)
    return cells, synapses


def test_the_response_is_the_textbooks():
    tau_m = np.linspace(8, 30, 4)
    cells, synapses = drive(CURRENT, "v > 1", "1", "I_post += w", n=4, tau_m=tau_m * ms)
    response = bnn.linear_response(synapses, namespace={})
    t = np.arange(len(response.kernel)) * 0.5
    later = lambda t: 5 / (tau_m - 5) * (np.exp(-t[:, None] / tau_m) - np.exp(-t[:, None] / 5))  # noqa: E731
    assert np.allclose(response.kernel, np.where(t[:, None] > 0, later(t), 0), atol=1e-9)  # a spike delivered in step 0 is seen by the threshold of step 1
    assert np.allclose(response.rest, -1) and response.integral == pytest.approx(5e-3, rel=1e-2)
    square = (5 / (tau_m - 5)) ** 2 * (tau_m / 2 + 2.5 - 10 * tau_m / (tau_m + 5)) * 1e-3
    assert response.square == pytest.approx(square, rel=1e-2)


@pytest.mark.slow
def test_the_response_of_a_nonlinear_model_is_its_linearisation():
    found = []
    for weight in (0, 1):
        cells, synapses = drive(EXPONENTIAL, "v > -50*mV", "amp", "I_post += w", n=2, n_in=1, method="euler", v=-70.6 * mV)
        monitor = StateMonitor(cells, "v", record=True)
        network = Network(cells, monitor)
        network.run(1 * second, namespace={})  # to rest
        cells.I = weight * pA
        network.run(100 * ms, namespace={})
        found.append(np.asarray(monitor.v / volt)[:, -200:].T)
    cells, synapses = drive(EXPONENTIAL, "v > -50*mV", "amp", "I_post += w", n=2, n_in=1, method="euler", v=-70.6 * mV)
    response = bnn.linear_response(synapses, namespace={})
    assert np.allclose((found[1] - found[0])[1:] * 1e12, response.kernel[1:200], atol=2e-3 * np.abs(response.kernel).max())
    assert response.rest == pytest.approx(-0.0206, abs=2e-4)


CASES = {
    "current": (CURRENT, "v > 1", "1", "I_post += w", {"tau_m": "(10 + 20*rand())*ms"}, "exact"),
    "adaptive": (ADAPTIVE, "v > v_th", "1", "I_post += w", {}, "rk4"),
    "voltage jumps": ("dv/dt = -v/(10*ms) : 1", "v > 1", "1", "v_post += w", {}, "exact"),
    "conductance": (CONDUCTANCE, "v > -50*mV", "siemens", "g_post += w", {"v": -70 * mV}, "exponential_euler"),
    "exponential": (EXPONENTIAL, "v > -50*mV", "amp", "I_post += w", {"v": -70.6 * mV}, "euler"),
}


@pytest.mark.parametrize("name", [name if name in ("current", "voltage jumps") else pytest.param(name, marks=pytest.mark.slow) for name in CASES])
def test_the_potential_fluctuates_as_wanted(name):
    """Poisson inputs of the given rate, weights as they were drawn, no spikes: the standard deviation of the potential over time and neurons."""
    equations, threshold, unit, on_pre, values, method = CASES[name]
    cells, synapses = drive(equations, threshold, unit, on_pre, n_in=100, method=method, p=0.7, **values)
    response = bnn.fluctuation_driven(synapses, 20 * Hz, xi=8.0, namespace={})  # small, where the linearisation holds
    seed(3)
    module = bnn.NetworkModule(
        Network(synapses.source, cells, synapses), {"m": bnn.Margin(cells)}, gradient=bnn.TrueGradient(), dtype=torch.float64, namespace={}
    )
    x = (torch.rand(1000, 8, 100, generator=torch.Generator().manual_seed(1)) < 0.01).double()
    with torch.no_grad():
        margin = module(x, force={cells: torch.zeros(1000, 8, len(cells), dtype=torch.float64)}).m[200:]
    wanted = -response.rest / 8
    assert np.sqrt(np.mean((margin.std(0).numpy() / wanted) ** 2)) == pytest.approx(1, abs=0.1)
    arriving = np.bincount(synapses.j, np.asarray(synapses.state["w"]), len(cells)) * 20 * response.integral
    assert (margin.mean((0, 1)).numpy() - response.rest) / wanted == pytest.approx(arriving / wanted, abs=0.6)


def test_each_neuron_by_its_own_inputs_and_rates():
    cells, synapses = drive(CURRENT, "v > 1", "1", "I_post += w", n=3000, n_in=40, tau_m=20 * ms)
    rates = np.r_[np.full(20, 5.0), np.full(20, 35.0)]
    response = bnn.fluctuation_driven(synapses, rates * Hz, xi=2.0, share=0.25, namespace={})
    expected = np.sqrt(0.25 * 0.5**2 / (rates.sum() * response.square[0]))
    assert np.std(synapses.w) == pytest.approx(expected, rel=0.02) and np.mean(synapses.w) == pytest.approx(0, abs=0.05 * expected)
    few = Synapses(synapses.source, cells, "w : 1", on_pre="I_post += w")
    few.connect(condition="i < 10 and j < 1500")
    few.connect(condition="i < 20 and j >= 1500")
    bnn.fluctuation_driven(few, 5 * Hz, namespace={})
    w, j = np.asarray(few.w), np.asarray(few.j)
    assert w[j < 1500].std() / w[j >= 1500].std() == pytest.approx(np.sqrt(2), rel=0.03)


def test_a_mean_and_a_deviation_of_ones_own():
    cells, synapses = drive("dv/dt = (-70*mV - v)/(20*ms) : volt", "v > -50*mV", "volt", "v_post += w", n=100, n_in=50, v=-60 * mV)
    response = bnn.fluctuation_driven(synapses, 10 * Hz, deviation=3 * mV, mean=2 * mV, namespace={})
    middle = 2e-3 / (500 * response.integral[0])
    deviation = np.sqrt(3e-3**2 / (500 * response.square[0]) - middle**2)
    assert np.mean(synapses.w / volt) == pytest.approx(middle, abs=4 * deviation / np.sqrt(len(synapses)))
    assert np.std(synapses.w / volt) == pytest.approx(deviation, rel=0.05)
    with pytest.raises(ValueError, match="^the mean alone gives the potential of neuron 0 a larger variance than wanted"):
        bnn.fluctuation_driven(synapses, 10 * Hz, deviation=0.1 * mV, mean=10 * mV, namespace={})


def test_read_outs_name_a_variable():
    readout = NeuronGroup(3, CURRENT, method="exact", namespace={"tau_s": 5 * ms})
    readout.tau_m = 20 * ms
    synapses = Synapses(InputGroup(500), readout, "w : 1", on_pre="I_post += w")
    synapses.connect()
    with pytest.raises(ValueError, match="has no threshold: name the variable that shall fluctuate with of=, such as of='v'$"):
        bnn.fluctuation_driven(synapses, 10 * Hz, namespace={})
    with pytest.raises(ValueError, match="^of= names a variable, which has no threshold: give the wanted deviation= too$"):
        bnn.fluctuation_driven(synapses, 10 * Hz, of="v", namespace={})
    response = bnn.fluctuation_driven(synapses, 10 * Hz, of="v", deviation=0.5, namespace={})
    assert np.std(synapses.w) == pytest.approx(0.5 / np.sqrt(5000 * response.square[0]), rel=0.05)


def test_recurrent_synapses_and_parts_of_groups():
    cells, synapses = drive(CURRENT, "v > 1", "1", "I_post += w", n=100, tau_m=20 * ms)
    loop = Synapses(cells[20:], cells[50:], "w : 1", on_pre="I_post += w")
    loop.connect()
    response = bnn.fluctuation_driven(loop, 10 * Hz, xi=1.0, share=0.1, namespace={})
    assert response.kernel.shape[1] == 100 and np.std(loop.w) == pytest.approx(np.sqrt(0.1 / (80 * 10 * response.square[0])), rel=0.05)
    assert cells.v[:].max() == 0 and not cells.state["I"].any()  # the group is as it was


@pytest.mark.parametrize(
    "on_pre, message",
    [
        ("I_post += w**2", "^what a spike adds through 'feed' is not proportional to 'w', so one weight says nothing about others$"),
        ("b_post += w", "^spikes that arrive through 'feed' do not change the threshold condition of 'cells'$"),
    ],
)
def test_what_has_no_response_is_refused(on_pre, message):
    cells = NeuronGroup(2, CURRENT + "\nb : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells", namespace={"tau_s": 5 * ms})
    cells.tau_m = 10 * ms
    feed = Synapses(InputGroup(2), cells, "w : 1", on_pre=on_pre, name="feed")
    feed.connect()
    with pytest.raises(ValueError, match=message):
        bnn.linear_response(feed, namespace={})


def test_what_has_no_fluctuations_is_refused(monkeypatch):
    monkeypatch.setattr(bnn.fluctuations, "LONGEST", 512)
    perfect = NeuronGroup(1, "dv/dt = 0/second : 1", threshold="v > 1", reset="v = 0", method="euler")
    synapses = Synapses(InputGroup(2), perfect, "w : 1", on_pre="v_post += w")
    synapses.connect()
    with pytest.raises(ValueError, match="has not decayed after 512 steps: a potential without a leak has no stationary fluctuations$"):
        bnn.linear_response(synapses, namespace={})
    cells, synapses = drive(CURRENT, "v > -1", "1", "I_post += w", tau_m=10 * ms)
    with pytest.raises(ValueError, match="rests at its threshold or above it, so it spikes without input"):
        bnn.fluctuation_driven(synapses, 10 * Hz, namespace={})
    with pytest.raises(DimensionMismatchError, match="rate must be in hertz"):
        bnn.fluctuation_driven(synapses, 10, deviation=1.0, namespace={})
    with pytest.raises(ValueError, match="has no parameter 'weight'; it has w$"):
        bnn.fluctuation_driven(synapses, 10 * Hz, "weight", deviation=1.0, namespace={})
    with pytest.raises(ValueError, match="^share must be between 0 and 1, not 2$"):
        bnn.fluctuation_driven(synapses, 10 * Hz, deviation=1.0, share=2, namespace={})
