"""One set-up for three engines: the numpy simulation, the compiled one, and the torch module give their records in one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

import brianlike.nn as bnn
from brianlike.only import *

SIMULATORS = ("numpy", "cython")
ENGINES = (*SIMULATORS, "module")
DT = 1e-4  # seconds; every network here runs at 0.1 ms

Spikes = Mapping[InputGroup, Sequence[tuple[int, int]]]  # (neuron, step) of every spike of an input
Targets = Mapping[str, object]  # name -> (object, variable), or a group for its spikes


def raster(spikes: Sequence[tuple[int, int]], steps: int, size: int) -> np.ndarray:
    """Spikes as 0 and 1, shape (steps, size)."""
    dense = np.zeros((steps, size))
    for neuron, step in spikes:
        dense[step, neuron] = 1.0
    return dense


def record(
    engine: str, objects: Sequence[object], inputs: Spikes, targets: Targets, steps: int, schedule: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """What one engine records at the end of each step, shape (steps, elements); spikes as 0 and 1."""
    if engine == "module":
        return _in_module(objects, inputs, targets, steps, schedule)
    prefs.codegen.target = engine
    for group, spikes in inputs.items():
        group.set_spikes([n for n, _ in spikes], [step * DT for _, step in spikes] * second)
    network = Network(*objects)
    monitors = {}
    for name, target in targets.items():
        if isinstance(target, tuple):
            monitors[name] = StateMonitor(target[0], target[1], record=True, when="end" if schedule is None else f"after_{schedule[-1]}")
        else:
            monitors[name] = SpikeMonitor(target)
    if schedule is not None:
        network.schedule = list(schedule)
    network.add(monitors)
    network.run(steps * DT * second)
    return {name: _values(monitor, targets[name], steps) for name, monitor in monitors.items()}


def _values(monitor, target, steps: int) -> np.ndarray:
    if isinstance(target, tuple):
        return monitor.values_of(f"{target[1]}_").T
    return raster(list(zip(monitor.i.tolist(), np.rint(monitor.t_ / DT).astype(int).tolist())), steps, len(target))


def _in_module(objects: Sequence[object], inputs: Spikes, targets: Targets, steps: int, schedule: Sequence[str] | None) -> dict[str, np.ndarray]:
    network = Network(*objects)
    if schedule is not None:
        network.schedule = list(schedule)
    module = bnn.NetworkModule(network, record=targets, dtype=torch.float64)
    with torch.no_grad():
        result = module(**{group.name: torch.from_numpy(raster(spikes, steps, len(group))) for group, spikes in inputs.items()})
    return {name: getattr(result, name).numpy() for name in targets}
