"""What all libraries train on: input spikes, labels and first weights, drawn by numpy, so that they are the same for all; and the equations of the models.

A model is one step of one group, written once with operators that arrays of numpy, torch and JAX share. It is what ours is given as equations: state update,
threshold, synapses, reset, in this order, so an input spike of step t acts on the potential in step t + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

DT, TAU_M, TAU_S, TAU_A = 1.0, 20.0, 5.0, 100.0  # ms
THRESHOLD, SHARPNESS, SLOPE, JUMP = 1.0, 0.2, 0.1, 0.2
ADEX_CUT = 1.5
BETA = 10.0
LEARNING_RATE = 1e-3
CALIBRATED_ON = 32


@dataclass(frozen=True, slots=True)
class Task:
    """Sizes of a training step, and how busy its network is.

    `activity` is the part of hidden neurons that fires in a step; first weights are scaled until it is met. `surrogate` is SuperSpike, Triangle or Boxcar.
    """

    steps: int = 100
    batch: int = 256
    inputs: int = 700
    hidden: int = 256
    outputs: int = 20
    recurrent: bool = False
    model: str = "current"
    surrogate: str = "SuperSpike"
    input_rate: float = 0.02
    activity: float = 0.05
    seed: int = 1

    @property
    def neuron_steps(self) -> int:
        """Of hidden and read-out neurons, in one training step."""
        return self.steps * self.batch * (self.hidden + self.outputs)


@dataclass(frozen=True, slots=True)
class Data:
    """Spikes (steps, batch, inputs) as float32, labels (batch,), first weights (sources, targets), and, if the model learns them, time constants in ms."""

    spikes: np.ndarray
    labels: np.ndarray
    weights: Mapping[str, np.ndarray]
    times: Mapping[str, np.ndarray]


# ------------------------------------------------------------------------------------------------------------------------------------------------ models
# A model has `constants(times, namespace)`, from time constants, and `step(state, constants, fire, stop, namespace) -> state, spikes, keep`: the state before
# synapses act, and by what its parts are multiplied or moved afterwards is the model's own business: `reset(state, spikes)`.
@dataclass(frozen=True, slots=True)
class Model:
    """`states` beside the synaptic current `I`, which is last; `learned` are the time constants that are trained."""

    states: tuple[str, ...]
    learned: Mapping[str, float]
    constants: Callable[..., Any]
    update: Callable[..., Any]
    margin: Callable[..., Any]
    reset: Callable[..., Any]


def exact(tau_m: Any, namespace: Any) -> tuple[Any, Any, float]:
    """Of dv/dt = (I - v)/tau_m, dI/dt = -I/tau_s over one step: v <- a*v + c*I, I <- b*I."""
    a, b = namespace.exp(-DT / tau_m), exp(-DT / TAU_S)
    return a, TAU_S * (a - b) / (tau_m - TAU_S), b


def current_constants(times: Mapping[str, Any], namespace: Any) -> tuple[Any, ...]:
    a, c, b = exact(np.float64(TAU_M), np)
    return float(a), float(c), b


def current_update(state: tuple, constants: tuple, namespace: Any) -> tuple:
    (v, i), (a, c, b) = state, constants
    return a * v + c * i, b * i


def adaptive_constants(times: Mapping[str, Any], namespace: Any) -> tuple[Any, ...]:
    return *exact(times["tau_m"], namespace), namespace.exp(-DT / times["tau_a"])


def adaptive_update(state: tuple, constants: tuple, namespace: Any) -> tuple:
    (v, z, i), (a, c, b, d) = state, constants
    return a * v + c * i, d * z, b * i


def adex_constants(times: Mapping[str, Any], namespace: Any) -> tuple[Any, ...]:
    return DT / times["tau_m"], DT / times["tau_a"], DT / TAU_S


def adex_update(state: tuple, constants: tuple, namespace: Any) -> tuple:
    (v, z, i), (m, w, s) = state, constants
    rise = SHARPNESS * namespace.exp((v - THRESHOLD) * (1 / SHARPNESS))
    return v + m * (rise - v + i - z), z + w * (SLOPE * v - z), i - s * i


def back_to_zero(state: tuple, spikes: Any, held: Any) -> tuple:
    """`held`: spikes as constants for gradients."""
    return state[0] * (1 - held), *state[1:]


def adapting(state: tuple, spikes: Any, held: Any) -> tuple:
    return state[0] * (1 - held), state[1] + JUMP * spikes, state[2]


MODELS = {
    "current": Model(("v",), {}, current_constants, current_update, lambda state: state[0] - THRESHOLD, back_to_zero),
    "adaptive": Model(
        ("v", "z"), {"tau_m": TAU_M, "tau_a": TAU_A}, adaptive_constants, adaptive_update, lambda state: state[0] - (THRESHOLD + state[1]), adapting
    ),
    "adex": Model(("v", "z"), {"tau_m": TAU_M, "tau_a": TAU_A}, adex_constants, adex_update, lambda state: state[0] - ADEX_CUT, adapting),
}
EQUATIONS = {
    "current": f"""dv/dt = (I - v)/({TAU_M}*ms) : 1
                   dI/dt = -I/({TAU_S}*ms) : 1""",
    "adaptive": f"""dv/dt = (I - v)/tau_m : 1
                    dz/dt = -z/tau_a : 1
                    dI/dt = -I/({TAU_S}*ms) : 1
                    tau_m : second (constant)
                    tau_a : second (constant)""",
    "adex": f"""dv/dt = ({SHARPNESS}*exp((v - {THRESHOLD})/{SHARPNESS}) - v + I - z)/tau_m : 1
                dz/dt = ({SLOPE}*v - z)/tau_a : 1
                dI/dt = -I/({TAU_S}*ms) : 1
                tau_m : second (constant)
                tau_a : second (constant)""",
}
"""The same for ours: equations, threshold, reset, method."""
CONDITIONS = {
    "current": (f"v > {THRESHOLD}", "v = 0", "exact"),
    "adaptive": (f"v > {THRESHOLD} + z", f"v = 0; z += {JUMP}", "exact"),
    "adex": (f"v > {ADEX_CUT}", f"v = 0; z += {JUMP}", "euler"),
}


# -------------------------------------------------------------------------------------------------------------------------------------------------- data
def draw(task: Task) -> Data:
    """Spikes, labels, weights and time constants of a task; weights give the activity asked for, in the task's own equations."""
    generator = np.random.default_rng(task.seed)
    spikes = (generator.random((task.steps, task.batch, task.inputs), dtype=np.float32) < task.input_rate).astype(np.float32)
    labels = generator.integers(task.outputs, size=task.batch)
    sizes = {"forward": (task.inputs, task.hidden), "output": (task.hidden, task.outputs)}
    if task.recurrent:
        sizes["recurrent"] = (task.hidden, task.hidden)
    normal = {name: generator.standard_normal(size, dtype=np.float32) for name, size in sorted(sizes.items())}
    arriving = {"forward": task.inputs * task.input_rate, "output": task.hidden * task.activity, "recurrent": task.hidden * task.activity}
    shares = {"forward": 1.0, "output": 1.0, "recurrent": 0.3}
    unit = {name: np.float32(shares[name] / arriving[name] ** 0.5) * weights for name, weights in normal.items()}
    times = {
        name: (value * np.clip(1 + 0.1 * generator.standard_normal(task.hidden), 0.7, 1.3)).astype(np.float32)
        for name, value in MODELS[task.model].learned.items()
    }
    few = spikes[:, :CALIBRATED_ON]
    gain = calibrated(lambda factor: firing(task, few, scaled(unit, factor), times), task.activity)
    return Data(spikes, labels, scaled(unit, gain), times)


def scaled(weights: Mapping[str, np.ndarray], factor: float) -> dict[str, np.ndarray]:
    """Weights onto hidden neurons times a factor; those of the read-out as they are."""
    return {name: w if name == "output" else np.float32(factor) * w for name, w in weights.items()}


def calibrated(activity: Callable[[float], float], wanted: float, low: float = 1e-2, high: float = 1e2, trials: int = 12) -> float:
    """The factor of weights at which the activity is as wanted, by bisection on a logarithmic scale."""
    factor = (low * high) ** 0.5
    for _ in range(trials):
        found = activity(factor)
        if abs(found - wanted) < 0.02 * wanted:
            break
        low, high = (factor, high) if found < wanted else (low, factor)
        factor = (low * high) ** 0.5
    return factor


def firing(task: Task, spikes: np.ndarray, weights: Mapping[str, np.ndarray], times: Mapping[str, np.ndarray]) -> float:
    """The part of hidden neurons that fires in a step, by numpy."""
    model = MODELS[task.model]
    constants = model.constants(times, np)
    amounts = spikes @ weights["forward"]
    state = (np.zeros(amounts.shape[1:], np.float32),) * (len(model.states) + 1)
    total = 0.0
    for amount in amounts:
        state = model.update(state, constants, np)
        fired = (model.margin(state) > 0).astype(np.float32)
        arriving = amount + fired @ weights["recurrent"] if task.recurrent else amount
        *rest, last = model.reset(state, fired, fired)
        state = (*rest, last + arriving)
        total += float(fired.mean())
    return total / task.steps
