"""Recurrent networks of five neuron models: the numpy simulation, the compiled one and the torch module give the same spikes in float64.

Where two engines first differ, the comparison must have been ill posed: the neuron was within 1e-9 of its threshold in both. Until then states agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from networks import DT, SIMULATORS, raster

import brianlike.nn as bnn
from brianlike.only import *

STEPS, SHORT = 10_000, 1_500
every_simulator = pytest.mark.parametrize("engine", SIMULATORS)


@pytest.fixture(autouse=True)
def _fresh():
    start_scope()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # these tensors are small: threads would only wait for each other
    yield
    torch.set_num_threads(threads)
    prefs.reset_to_defaults()
    defaultclock.dt = 0.1 * ms
    defaultclock.timestep = 0


@dataclass
class Built:
    """A network with one group of cells; `scale` is that of the distance to threshold and of each compared variable (SI)."""

    inputs: InputGroup
    cells: NeuronGroup
    synapses: Sequence[Synapses]
    scales: Mapping[str, float]

    @property
    def objects(self) -> list[object]:
        return [self.inputs, self.cells, *self.synapses]


def network(
    cells: NeuronGroup, target: str, weight: object, recurrent: object, scales: Mapping[str, float], unit: str = "1", sign: str = "1 - 2*int(i % 4 == 0)"
) -> Built:
    """The cells with inputs to some of them, and recurrent synapses with a delay of their own each (0 to 2.9 ms); every weight differs."""
    inputs = InputGroup(30)
    # Automatic names depend on what else exists, and the order in which F and R are added on their names: in the last bit the results would differ.
    F, R = (Synapses(source, cells, f"w : {unit}", on_pre=f"{target}_post += w", name=name) for source, name in ((inputs, "forward"), (cells, "recurrent")))
    F.connect("(3*i + j) % 4 == 0")
    F.w.set_item(slice(None), "weight*(1 + 0.1*((7*i + 3*j) % 11))", namespace={"weight": weight})
    R.connect("i != j and (5*i + 3*j) % 4 == 0")
    R.w.set_item(slice(None), f"recurrent*(1 + 0.1*((3*i + 5*j) % 13))*({sign})", namespace={"recurrent": recurrent})
    R.delay = "((7*i + 11*j) % 30)*0.1*ms"
    return Built(inputs, cells, (F, R), scales)


def lif(n: int = 20, refractory: object = 2 * ms) -> Built:
    eqs = """dv/dt = (drive + I - v)/tau : 1 (unless refractory)
             dI/dt = -I/(5*ms) : 1
             drive : 1 (constant)
             margin = v - 1 : 1"""
    cells = NeuronGroup(n, eqs, threshold="v > 1", reset="v = 0", refractory=refractory, method="exact", namespace={"tau": 10 * ms})
    cells.drive, cells.v = "0.6 + 0.03*i", "0.04*i"
    return network(cells, "I", 0.12, 0.1, {"margin": 1.0, "v": 1.0, "I": 1.0})


def adaptive_lif(n: int = 20, refractory: object = "1*ms + i*0.1*ms") -> Built:
    eqs = """dv/dt = (drive + I - v)/(10*ms) : 1 (unless refractory)
             dI/dt = -I/(5*ms) : 1
             dvt/dt = (1 - vt)/tau_a : 1
             tau_a : second (constant)
             drive : 1 (constant)
             margin = v - vt : 1"""
    cells = NeuronGroup(n, eqs, threshold="v > vt", reset="v -= vt; vt += 0.25", refractory=refractory, method="exact")
    cells.drive, cells.vt, cells.tau_a = "0.9 + 0.03*i", 1, "(40 + 3*i)*ms"
    return network(cells, "I", 0.2, 0.1, {"margin": 1.0, "v": 1.0, "I": 1.0, "vt": 1.0})


def izhikevich(n: int = 20, refractory: object = 3 * ms) -> Built:
    eqs = """dv/dt = (0.04*v**2 + 5*v + 140 - u + I + drive)/ms : 1 (unless refractory)
             du/dt = a*(0.2*v - u)/ms : 1
             dI/dt = -I/(3*ms) : 1
             a : 1 (constant)
             d : 1 (constant)
             drive : 1 (constant)
             margin = v - 30 : 1"""
    cells = NeuronGroup(n, eqs, threshold="v >= 30", reset="v = -65; u += d", refractory=refractory, method="euler")
    cells.v, cells.u, cells.a, cells.d, cells.drive = "-70 + 0.3*i", -13, "0.02 + 0.004*(i % 5)", "8 - 0.3*i", "2 + 0.4*i"
    return network(cells, "I", 2.0, 1.0, {"margin": 100.0, "v": 100.0, "u": 10.0, "I": 10.0})


def adex(n: int = 20, refractory: object = 2 * ms) -> Built:
    names = {"C": 281 * pF, "gL": 30 * nS, "EL": -70.6 * mV, "VT": -50.4 * mV, "DeltaT": 2 * mV, "tauz": 144 * ms, "a": 4 * nS}
    names |= {"b": 0.0805 * nA, "Vcut": names["VT"] + 5 * names["DeltaT"]}
    eqs = """dv/dt = (gL*(EL - v) + gL*DeltaT*exp((v - VT)/DeltaT) + I + drive - z)/C : volt (unless refractory)
             dz/dt = (a*(v - EL) - z)/tauz : amp
             dI/dt = -I/(4*ms) : amp
             drive : amp (constant)
             margin = v - Vcut : volt"""
    cells = NeuronGroup(n, eqs, threshold="v > Vcut", reset="v = EL; z += b", refractory=refractory, method="rk2", namespace=names)
    cells.v, cells.drive = -70.6 * mV, "(0.75 + 0.03*i)*nA"
    return network(cells, "I", 0.1 * nA, 0.1 * nA, {"margin": 0.1, "v": 0.1, "z": 1e-9, "I": 1e-9}, "amp")


def hodgkin_huxley(n: int = 20, refractory: object = 3 * ms) -> Built:
    area = 20000 * umetre**2
    names = {"Cm": 1 * uF * cm**-2 * area, "gl": 5e-5 * siemens * cm**-2 * area, "El": -60 * mV, "EK": -90 * mV, "ENa": 50 * mV}
    names |= {"g_na": 100 * msiemens * cm**-2 * area, "g_kd": 30 * msiemens * cm**-2 * area, "VT": -63 * mV, "taue": 5 * ms, "Ee": 0 * mV}
    eqs = """dv/dt = (gl*(El - v) + ge*(Ee - v) + drive - g_na*(m*m*m)*h*(v - ENa) - g_kd*(n*n*n*n)*(v - EK))/Cm : volt
             dm/dt = alpha_m*(1 - m) - beta_m*m : 1
             dn/dt = alpha_n*(1 - n) - beta_n*n : 1
             dh/dt = alpha_h*(1 - h) - beta_h*h : 1
             dge/dt = -ge/taue : siemens
             drive : amp (constant)
             alpha_m = 0.32*(mV**-1)*4*mV/exprel((13*mV - v + VT)/(4*mV))/ms : Hz
             beta_m = 0.28*(mV**-1)*5*mV/exprel((v - VT - 40*mV)/(5*mV))/ms : Hz
             alpha_h = 0.128*exp((17*mV - v + VT)/(18*mV))/ms : Hz
             beta_h = 4./(1 + exp((40*mV - v + VT)/(5*mV)))/ms : Hz
             alpha_n = 0.032*(mV**-1)*5*mV/exprel((15*mV - v + VT)/(5*mV))/ms : Hz
             beta_n = 0.5*exp((10*mV - v + VT)/(40*mV))/ms : Hz
             margin = v + 20*mV : volt"""
    cells = NeuronGroup(n, eqs, threshold="v > -20*mV", refractory=refractory, method="exponential_euler", namespace=names)
    cells.v, cells.drive = "-62*mV + i*0.2*mV", "(0.05 + 0.01*i)*nA"
    return network(cells, "ge", 3 * nS, 2 * nS, {"margin": 0.1, "v": 0.1, "m": 1.0, "n": 1.0, "h": 1.0, "ge": 1e-8}, "siemens", sign="1")


MODELS: dict[str, Callable[..., Built]] = {f.__name__: f for f in (lif, adaptive_lif, izhikevich, adex, hodgkin_huxley)}
PERIODS = {"lif": 20, "adaptive_lif": 10, "izhikevich": 30, "adex": 20, "hodgkin_huxley": 30}  # shortest refractory period of each, in steps


def poisson_spikes(n: int, steps: int, rate: float = 15.0, number: int = 0) -> np.ndarray:
    """Fixed spikes of the inputs, shape (steps, n)."""
    return (np.random.default_rng(100 + number).random((steps, n)) < rate * DT).astype(float)


def simulated(engine: str, built: Built, x: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes, distance to threshold when it is tested, and values at the end of each step: shape (steps, neurons)."""
    prefs.codegen.target = engine
    steps, neurons = np.nonzero(x)
    built.inputs.set_spikes(neurons, steps * DT * second)
    states = [name for name in built.scales if name != "margin"]
    margin, values = StateMonitor(built.cells, "margin", record=True, when="thresholds", order=1), StateMonitor(built.cells, states, record=True, when="end")
    spikes = SpikeMonitor(built.cells)
    Network(built.objects, margin, values, spikes).run(len(x) * DT * second)
    found = {name: values.values_of(f"{name}_").T for name in states} | {"margin": margin.margin_.T}
    return found | {"spikes": raster(list(zip(spikes.i, np.rint(spikes.t_ / DT).astype(int))), len(x), len(built.cells))}


def in_module(built: Built, x: np.ndarray) -> dict[str, np.ndarray]:
    """The same from the torch module."""
    targets = {name: (built.cells, name) for name in built.scales if name != "margin"} | {"margin": bnn.Margin(built.cells), "spikes": built.cells}
    width = 10 * mV if "volt" in str(built.cells.equations) else None
    module = bnn.NetworkModule(Network(built.objects), record=targets, gradient=bnn.Surrogate(width=width), dtype=torch.float64)
    with torch.no_grad():
        result = module(torch.from_numpy(x))
    return {name: getattr(result, name).numpy() for name in targets}


def run_model(engine: str, model: str, steps: int) -> tuple[dict[str, np.ndarray], Built]:
    start_scope()
    built = MODELS[model]()
    x = poisson_spikes(len(built.inputs), steps)
    return (in_module(built, x) if engine == "module" else simulated(engine, built, x)), built


def assert_agree(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], scales: Mapping[str, float], tolerance: float = 1e-9) -> int:
    """Two records agree until they may differ; the step of the first difference (the number of steps if there is none).

    Spikes are identical until the first difference, and neurons that differ there are within `tolerance` of their threshold, in units of its scale, in
    both records. Until then every state agrees to `tolerance` (of its scale, or of itself where it is larger).
    """
    differs = one["spikes"] != other["spikes"]
    steps = np.flatnonzero(differs.any(axis=1))
    first = int(steps[0]) if len(steps) else len(differs)
    if len(steps):
        for found in (one, other):
            close = np.abs(found["margin"][first, differs[first]]) < tolerance * scales["margin"]
            assert close.all(), f"step {first}: neurons {np.flatnonzero(differs[first])} differ, {found['margin'][first, differs[first]]} from threshold"
    for name, scale in scales.items():
        np.testing.assert_allclose(one[name][:first], other[name][:first], rtol=tolerance, atol=tolerance * scale, err_msg=name)
    return first


def test_the_criterion_finds_differences() -> None:
    good = {"spikes": np.eye(4), "margin": np.ones((4, 4)), "v": np.zeros((4, 4))}
    scales = {"margin": 1.0, "v": 1.0}
    assert assert_agree(good, good, scales) == 4
    other = good | {"spikes": np.eye(4) * (np.arange(4) < 2)[:, None]}
    with pytest.raises(AssertionError, match=r"step 2: neurons \[2\] differ"):
        assert_agree(good, other, scales)
    margins = np.ones((4, 4))
    margins[2, 2] = 1e-12
    ill_posed = [record | {"margin": margins} for record in (good, other)]
    assert assert_agree(*ill_posed, scales) == 2
    with pytest.raises(AssertionError, match="step 2"):
        assert_agree(good, ill_posed[1], scales)
    late = ill_posed[0] | {"v": np.where(np.arange(4)[:, None] < 2, 0.0, 1.0) + np.zeros((4, 4))}
    assert assert_agree(late, ill_posed[1], scales) == 2  # after the first difference anything goes
    with pytest.raises(AssertionError, match="v"):
        assert_agree(good | {"v": np.full((4, 4), 1e-8)}, good, scales)


@pytest.mark.parametrize("model", MODELS)
def test_simulators_agree_for_a_second(model: str) -> None:
    numpy, built = run_model("numpy", model, STEPS)
    cython, _ = run_model("cython", model, STEPS)
    assert numpy["spikes"].sum() > 50
    assert assert_agree(numpy, cython, built.scales) > STEPS // 2


@pytest.mark.parametrize("model", MODELS)
def test_refractoriness_acts(model: str) -> None:
    x = poisson_spikes(30, SHORT)
    resting, free = simulated("cython", MODELS[model](), x)["spikes"], simulated("cython", MODELS[model](refractory=False), x)["spikes"]
    assert min(np.diff(np.flatnonzero(train)).min(initial=SHORT) for train in resting.T) >= PERIODS[model]
    assert not np.array_equal(free, resting)


@pytest.mark.parametrize("steps", [SHORT, pytest.param(STEPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("model", MODELS)
def test_the_module_agrees_with_the_simulator(model: str, steps: int) -> None:
    module, built = run_model("module", model, steps)
    cython, _ = run_model("cython", model, steps)
    assert module["spikes"].sum() > 50
    assert assert_agree(module, cython, built.scales) > steps // 2


# ------------------------------------------------------------------------------------------------------------------------- the simulator of a module
def trained(gradient: bnn.Surrogate | None = None) -> tuple[bnn.NetworkModule, Built]:
    """A module with weights and time constants to be learned."""
    built = adaptive_lif(12)
    targets = {"v": (built.cells, "v"), "vt": (built.cells, "vt"), "spikes": built.cells, "count": bnn.Count(built.cells), "last": bnn.Last((built.cells, "v"))}
    targets |= {"mean": bnn.Mean((built.cells, "I")), "max": bnn.Max((built.cells, "v"))}
    learn = [bnn.Learn(S, "w") for S in built.synapses] + [bnn.Learn(built.cells, "tau_a", unit=ms, bounds=(10 * ms, 200 * ms))]
    return bnn.NetworkModule(Network(built.objects), record=targets, learn=learn, dtype=torch.float64), built


def assert_same_records(one: tuple, other: tuple) -> None:
    """Spikes and counts are identical, values agree to 1e-9."""
    assert one._fields == other._fields
    for name in one._fields:
        a, b = getattr(one, name), getattr(other, name)
        assert a.shape == b.shape and a.dtype == b.dtype, name
        if name in ("spikes", "count"):
            assert torch.equal(a, b), name
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@every_simulator
def test_a_module_simulates_its_batch(engine: str) -> None:
    prefs.codegen.target = engine
    model, built = trained()
    x = torch.from_numpy(np.stack([poisson_spikes(30, 250, 60.0, number) for number in range(3)], axis=1))
    before = {item.name: item.state.snapshot() for item in built.objects}
    with torch.no_grad():
        y = model(x)
    assert y.spikes.sum() > 50 and y.spikes.shape == (250, 3, 12) and y.count.shape == (3, 12)
    assert_same_records(y, model.simulate(x))
    for item in built.objects:  # nothing of the user's has changed
        after = item.state.snapshot()
        assert all(np.array_equal(after[name], value) for name, value in before[item.name].items())

    with torch.no_grad():  # other parameters
        for parameter in model.parameters():
            parameter.mul_(1.1)
        changed = model(x)
    assert not torch.equal(changed.spikes, y.spikes)
    assert_same_records(changed, model.simulate(x))

    model.write_back()
    with torch.no_grad():
        assert_same_records(changed, model(x))
    assert_same_records(changed, model.simulate(x))
    found = simulated(engine, Built(built.inputs, built.cells, built.synapses, {"margin": 1.0, "v": 1.0, "vt": 1.0}), x[:, 1].numpy())
    assert np.array_equal(found["spikes"], changed.spikes[:, 1].numpy())  # and run() simulates the same
    np.testing.assert_allclose(found["v"], changed.v[:, 1].numpy(), rtol=1e-9, atol=1e-9)


@every_simulator
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_module_simulates_any_batch_shape(engine: str, shape: tuple[int, ...]) -> None:
    prefs.codegen.target = engine
    model, _ = trained()
    x = torch.from_numpy((np.random.default_rng(5).random((60, *shape, 30)) < 0.02).astype(float))
    with torch.no_grad():
        y = model(x)
    assert y.v.shape == (60, *shape, 12)
    assert_same_records(y, model.simulate(x))


@every_simulator
def test_two_inputs_and_a_fed_variable(engine: str) -> None:
    prefs.codegen.target = engine
    a, b = InputGroup(3, name="a"), InputGroup(2, name="b")
    cells = NeuronGroup(4, "dv/dt = (J - v)/(5*ms) : 1\nJ : 1 (input)", threshold="v > 1", reset="v = 0", method="exact")
    A, B = (Synapses(source, cells, "w : 1", on_pre="v_post += w", delay=delay) for source, delay in ((a, None), (b, 0.3 * ms)))
    A.connect(), B.connect()
    A.w, B.w = "0.1*(1 + i + j)", "0.2*(1 + i)"
    model = bnn.NetworkModule(Network(a, b, cells, A, B), record={"v": (cells, "v"), "spikes": cells}, dtype=torch.float64)
    rng = np.random.default_rng(2)
    x = {"a": rng.random((200, 2, 3)) < 0.1, "b": rng.random((200, 2, 2)) < 0.1, "J": rng.random((200, 2, 4)) * 1.5}
    given = {name: torch.from_numpy(value.astype(float)) for name, value in x.items()}
    with torch.no_grad():
        y = model(**given)
    assert y.spikes.sum() > 20
    assert_same_records(y, model.simulate(**given))
    with torch.no_grad():  # step by step is the same
        state, rows = None, []
        for t in range(40):
            out, state = model.step(**{name: value[t] for name, value in given.items()}, state=state)
            rows.append(out.v)
    assert torch.equal(torch.stack(rows), y.v[:40])


# --------------------------------------------------------------------------------------------------------------------------------------- the same bits
def values_of(engine: str, n: int, threads: int, names: tuple[str, str] = ("forward", "recurrent")) -> dict[str, np.ndarray]:
    """Final values and all spikes of a network in which neuron k does not depend on how many others there are."""
    start_scope()
    prefs.codegen.target, prefs.core.threads = engine, threads
    eqs = """dv/dt = (1.3 + I - v + 0.1*sin(u))/tau : 1 (unless refractory)
             du/dt = (tanh(3*v) - u*exp(-v*v))/(7*ms) : 1
             dI/dt = -I/(3*ms) : 1
             tau : second (constant)"""
    cells = NeuronGroup(n, eqs, threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exponential_euler")
    cells.tau = "(5 + 0.1*i)*ms"
    inputs = InputGroup(3)
    times = np.arange(30) * 5 * DT
    inputs.set_spikes(np.arange(30) % 3, times * second)
    F = Synapses(inputs, cells, on_pre="I_post += 0.1*(i + 1)/(1 + j % 7)", name=names[0])
    R = Synapses(cells, cells, "w : 1", on_pre="I_post += w", name=names[1])
    F.connect()
    R.connect("j <= i + 1 and i <= j + 1 and i // 2 == j // 2 and j < N_pre - N_pre % 2 and i < N_pre - N_pre % 2")
    R.w, R.delay = "0.1 + 0.01*(i % 5)", "(j % 3)*0.4*ms"
    spikes = SpikeMonitor(cells)
    Network(inputs, cells, F, R, spikes).run(20 * ms)
    return {"v": cells.v_[:], "u": cells.u_[:], "I": cells.I_[:], "i": spikes.i, "t": spikes.t_}


@every_simulator
def test_a_neuron_has_the_same_bits_in_groups_of_any_size(engine: str) -> None:
    largest = values_of(engine, 67, 1)
    assert len(largest["i"]) > 50
    for n in range(1, 68) if engine == "cython" else (1, 2, 7, 8, 16, 33, 66):
        found = values_of(engine, n, 1)
        whole = n - n % 2  # the last of an odd number has no partner, which it has in a larger group
        chosen, mine = largest["i"] < whole, found["i"] < whole
        assert np.array_equal(found["i"][mine], largest["i"][chosen]) and np.array_equal(found["t"][mine], largest["t"][chosen]), n
        for name in ("v", "u", "I"):
            assert np.array_equal(found[name][:whole], largest[name][:whole]), (n, name)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33, 67, 1000, 5003])
def test_any_number_of_threads_gives_the_same_bits(n: int) -> None:
    one, two, three = (values_of("cython", n, threads) for threads in (1, 2, 3))
    assert len(one["i"]) > 0
    for other in (two, three):
        for name, values in one.items():
            assert np.array_equal(values, other[name]), name
