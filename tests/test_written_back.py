"""After training and `write_back()`, `run` simulates what the module computes: every network of these tests and every tutorial, spike for spike."""

import importlib.util
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dynamics  # noqa: E402
import test_learned_delays  # noqa: E402
import test_models_agree  # noqa: E402
import trained_models  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
import codegen.pipeline  # noqa: E402
from brianlike.datasets import EventLists  # noqa: E402
from brianlike.nn.recording import Recorder, is_event, parts  # noqa: E402
from brianlike.only import *  # noqa: E402
from brianlike.seeding import next_run  # noqa: E402

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"
NOISE = 7
every_engine = pytest.mark.parametrize("engine", ["cython", pytest.param("numpy", marks=pytest.mark.slow)])
EVENT_DRIVEN = {"short_term_plasticity": ("u", "r"), "stdp": ("x",)}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(1)
    seed(1)
    monkeypatch.setattr(codegen.pipeline, "draw_by_blocks", lambda program: program)  # `run` draws rare spikes by their gaps: the same law, other numbers
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --------------------------------------------------------------------------------------------------------------------------------------------- training
def cost(y: tuple, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Every record counts, each number with a weight of its own."""
    return sum((getattr(y, key) * weight).sum() / max(1.0, float(getattr(y, key).detach().abs().max())) for key, weight in weights.items())


def train(module: bnn.NetworkModule, x: Mapping[str, torch.Tensor], steps: int = 3, rate: float = 0.02) -> None:
    """A few steps of Adam, each of `rate` times the size of a parameter. Afterwards every parameter with a gradient is another."""
    groups = [{"params": [p], "lr": rate * float(p.detach().abs().mean() + 1e-3)} for p in module.parameters()]
    optimizer = torch.optim.Adam(groups)
    optimizer.register_step_post_hook(module.clamp_)
    before = [p.detach().clone() for p in module.parameters()]
    generator, weights = torch.Generator().manual_seed(1), None
    for _ in range(steps):
        y = module(seed=NOISE, **x)
        weights = weights or {key: torch.randn(value.shape, generator=generator, dtype=value.dtype) for key, value in y._asdict().items()}
        optimizer.zero_grad()
        cost(y, weights).backward()
        optimizer.step()
    changed = [name for (name, p), old in zip(module.named_parameters(), before) if not torch.equal(p, old)]
    with_gradient = [name for name, p in module.named_parameters() if p.grad is not None and (p.grad != 0).any()]
    assert changed and set(with_gradient) <= set(changed)
    assert len(changed) == len(before), f"{set(dict(module.named_parameters())) - set(changed)} did not change"


# -------------------------------------------------------------------------------------------------------------------------------------------------- run
def run_written_back(module: bnn.NetworkModule, x: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same record from `run` and its monitors: `x` is one sample, of shape (T, N).

    `run` feeds no `(input)` variables: with them, it is the simulation of a module that is made anew from the objects and learns nothing.
    """
    dt = defaultclock.dt_
    steps = len(next(iter(x.values())))
    if not all(holds_spikes for _, _, holds_spikes in module._feeding.inputs.values()):
        again = bnn.NetworkModule(Network(*module.objects), module._specs, gradient=module._gradient, dtype=torch.float64, namespace={})
        return again.simulate(seed=NOISE, **x)._asdict()
    for key, (table, _, _) in module._feeding.inputs.items():
        times, neurons = np.nonzero(x[key].numpy())
        module[table.split(".")[0]].set_spikes(neurons, times * dt * second)
    monitors = {}
    for key, spec in module._specs.items():
        owner, variable, _ = parts(spec)
        if not is_event(owner, variable):
            monitors[key] = StateMonitor(owner, variable, record=True, when="end")
        elif variable == "_spike":
            monitors[key] = SpikeMonitor(owner)
        else:
            monitors[key] = EventMonitor(owner, variable.removeprefix("_"))
    with next_run(NOISE, 0):
        Network(*module.objects, *monitors.values()).run(steps * dt * second)
    found = {}
    for key, spec in module._specs.items():
        owner, variable, reduction = parts(spec)
        monitor = monitors[key]
        if is_event(owner, variable):
            rows = torch.zeros(steps, len(owner), dtype=torch.float64)
            rows[np.rint(monitor.t_ / dt).astype(int), np.asarray(monitor.i)] = 1
        else:
            rows = torch.from_numpy(monitor.values_of(f"{variable}_").T.copy())
            rows = rows[:, :1] if owner.variable(variable).shared else rows
        recorder = Recorder(reduction)
        for row in rows:
            recorder.add(row)
        found[key] = recorder.result(steps, rows[0])
    return found


def assert_the_simulator_goes_on(module: bnn.NetworkModule, x: Mapping[str, torch.Tensor], traces: Collection[tuple[object, str]] = ()) -> None:
    """Train with a batch, write back, and run its first sample: the module's spikes, and its states to rounding.

    `traces` are event-driven: the module records them in every step, a monitor their values at the last event. They are compared by what they do.
    """
    one = {key: value[:, 0] for key, value in x.items()}
    with torch.no_grad():
        untrained = module(seed=NOISE, **one)
    train(module, x)
    with torch.no_grad():
        expected = module(seed=NOISE, **one)
    assert any(not torch.equal(a, b) for a, b in zip(untrained, expected))
    module.write_back()
    found = run_written_back(module, one)
    events = 0
    for key, spec in module._specs.items():
        owner, variable, _ = parts(spec)
        if (owner, variable) in traces:
            continue
        ours, theirs = getattr(expected, key), found[key]
        assert ours.shape == theirs.shape, key
        if is_event(owner, variable):
            assert torch.equal(ours, theirs), f"{key}: {int((ours != theirs).sum())} of {int(ours.sum())} spikes differ"
            events += int(ours.sum())
        else:
            torch.testing.assert_close(theirs, ours, rtol=1e-9, atol=1e-9 * float(ours.abs().max()), msg=lambda text, key=key: f"{key}: {text}")
    assert events > 5


# ---------------------------------------------------------------------------------------------------------------------------------------------- networks
@every_engine
@pytest.mark.parametrize("name", dynamics.MODELS)
def test_whatever_runs_inside_a_module(name: str, engine: str) -> None:
    prefs.codegen.target = engine
    module, built = dynamics.build(name)
    traces = [target for target in built.record.values() if isinstance(target, tuple) and target[1] in EVENT_DRIVEN.get(name, ())]
    assert_the_simulator_goes_on(module, {"source": dynamics.inputs()}, traces)


@every_engine
@pytest.mark.parametrize("name", trained_models.NEURONS)
def test_neurons_with_all_their_parameters(name: str, engine: str) -> None:
    prefs.codegen.target = engine
    module, x = trained_models.network(trained_models.NEURONS[name])
    assert_the_simulator_goes_on(module, {key: (value > 0).double() for key, value in x.items()})


@pytest.mark.parametrize("name", test_models_agree.MODELS)
def test_recurrent_networks_at_a_tenth_of_a_millisecond(name: str) -> None:
    built = test_models_agree.MODELS[name](12)
    record = {"spikes": built.cells, **{key: (built.cells, key) for key in built.scales if key != "margin"}}
    learn = [bnn.Learn(S, "w") for S in built.synapses] + [bnn.Learn(built.cells, "drive")]
    gradient = bnn.Surrogate(width=10 * mV if "volt" in str(built.cells.equations) else None)
    module = bnn.NetworkModule(Network(built.objects), record, learn, gradient, dtype=torch.float64, namespace={})
    steps = 80 if name == "hodgkin_huxley" else 150
    x = np.stack([test_models_agree.poisson_spikes(30, steps, 150.0, number) for number in range(2)], axis=1)
    assert_the_simulator_goes_on(module, {module.inputs[0]: torch.from_numpy(x)})


def test_learned_delays_and_two_pathways() -> None:
    defaultclock.dt = 1 * ms
    module, _, _ = test_learned_delays.recurrent()
    assert_the_simulator_goes_on(module, {"inputs": test_learned_delays.spikes()})


def test_layers_with_inputs_and_parameters() -> None:
    defaultclock.dt = 1 * ms
    layer = bnn.NeuronModule(
        5, "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second", threshold="v > 1", reset="v -= 1", parameters={"tau": "(8 + i)*ms"},
        learn={"variable": "tau", "unit": ms, "bounds": (2 * ms, 50 * ms)}, method="exact", dtype=torch.float64, namespace={},
    )  # fmt: skip
    group = layer.group
    learn = [held.learn for held in layer.network.learned.values()]
    module = bnn.NetworkModule(Network(*layer.network.objects), {"spikes": group, "v": (group, "v")}, learn, dtype=torch.float64, namespace={})
    assert_the_simulator_goes_on(module, {"J": 4 * torch.rand(50, 3, 5, dtype=torch.float64)})


# --------------------------------------------------------------------------------------------------------------------------------------------- tutorials
def tutorial(name: str, **sizes: int) -> ModuleType:
    """The script as a module, with other sizes."""
    specification = importlib.util.spec_from_file_location(f"tutorial_{name}", TUTORIALS / f"{name}.py")
    made = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(made)
    for key, size in sizes.items():
        assert hasattr(made, key)
        setattr(made, key, size)
    return made


def spytorch_1() -> bnn.NetworkModule:
    return tutorial("spytorch_1", INPUTS=30).build(bnn.Surrogate(bnn.SuperSpike(beta=100)))


def spytorch_2() -> bnn.NetworkModule:
    return tutorial("spytorch_2", INPUTS=40, HIDDEN=12).build(7.0)


def spytorch_4() -> bnn.NetworkModule:
    generator = np.random.default_rng(1)
    starts = np.arange(0, 801, 200)
    times = np.sort(generator.uniform(0, 1.4, (4, 200)), 1).ravel()
    return tutorial("spytorch_4", HIDDEN=12).build(EventLists(times, generator.integers(30, size=800), starts, np.arange(4), 30))


def braille() -> bnn.NetworkModule:
    return tutorial("braille", COPIES=3, HIDDEN=12).build()


def randman() -> bnn.NetworkModule:
    return tutorial("randman", UNITS=30, HIDDEN=12).build()


def sound_localisation() -> bnn.NetworkModule:
    return tutorial("sound_localisation", FIBRES=20, DETECTORS=8).build()[0]


def time_constants() -> bnn.NetworkModule:
    return tutorial("time_constants", CHANNELS=20, HIDDEN=10).build("spread and learned")[0]


BUILDERS: dict[str, tuple[Callable[[], bnn.NetworkModule], float, float]] = {
    "spytorch_1": (spytorch_1, 1, 0.05),
    "spytorch_2": (spytorch_2, 1, 0.03),
    "spytorch_4": (spytorch_4, 14, 0.07),
    "braille": (braille, 1, 0.0),
    "randman": (randman, 1, 0.05),
    "sound_localisation": (sound_localisation, 1, 0.2),
    "time_constants": (time_constants, 2, 0.05),
}
"""How a tutorial's network is made, its step (ms), and the probability of an input spike in a step."""


def test_every_tutorial_is_here() -> None:
    """`ten_lines` compares itself with the simulator after training, and fails where they differ."""
    assert {path.stem for path in TUTORIALS.glob("*.py")} == {*BUILDERS, "ten_lines"}
    text = (TUTORIALS / "ten_lines.py").read_text(encoding="utf-8")
    assert text.index("optimizer.step()") < text.index("module.write_back()") < text.index("run(30*ms)") < text.index("assert torch.equal(expected, simulated)")


@pytest.mark.parametrize("name", BUILDERS)
def test_networks_of_tutorials(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, step, probability = BUILDERS[name]
    defaultclock.dt = step * ms
    made = bnn.NetworkModule

    def recording_all(network: Network, record: dict, **options: object) -> bnn.NetworkModule:
        groups = [item for item in network.objects if isinstance(item, NeuronGroup)]
        record = record | {f"all_{n}": (group, "v") for n, group in enumerate(groups)}
        record |= {f"events_{n}": group for n, group in enumerate(groups) if group.threshold}
        return made(network, record, dtype=torch.float64, namespace={}, **options)

    with monkeypatch.context() as patched:
        patched.setattr(bnn, "NetworkModule", recording_all)
        module = build()
    generator = torch.Generator().manual_seed(2)
    x = {}
    for key, (_, size, holds_spikes) in module._feeding.inputs.items():
        values = torch.rand(80, 4, size, generator=generator, dtype=torch.float64)
        x[key] = (values < probability).double() if holds_spikes else values
    assert_the_simulator_goes_on(module, x)
