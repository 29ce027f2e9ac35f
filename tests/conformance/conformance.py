"""Whole models as scripts that Brian 2 and brianlike both run, and what is compared of them.

A script in `scripts/` begins with `from brianlike import *`; Brian runs it with that line changed. It leaves some of

- `spikes`: name -> SpikeMonitor or EventMonitor: neuron and step of every event, equal;
- `states`: name -> (StateMonitor, variable): equal to 1e-9 of the variable's scale;
- `final`: name -> values, whatever they are (synapses' indices, weights at the end, ...): equal to 1e-9;
- `samples`: name -> independent draws of one random quantity: compared by the Kolmogorov-Smirnov test;
- `statistics`: name -> one number for each random seed the script was run with (`SEED`, which the script hands to `seed()`): compared by Welch's t test.

`SEED` and `FULL` are set before the script runs; a script that reads `FULL` has a larger size, which the slow tests run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
SCRIPTS = {path.stem: path.read_text() for path in sorted((HERE / "scripts").glob("*.py"))}
IMPORT = "from brianlike import *"
KINDS = ("spikes", "states", "final", "samples", "statistics")


def has_full_size(name: str) -> bool:
    return "FULL" in SCRIPTS[name]


def is_random(name: str) -> bool:
    return "SEED" in SCRIPTS[name]


def execute(name: str, package: Any, seed: int = 1, full: bool = False) -> dict[str, np.ndarray]:
    """What a script leaves when `package` (brian2 or brianlike) runs it; keys are `<kind>_<name>`, values in SI units."""
    text = SCRIPTS[name]
    if text.count(IMPORT) != 1:
        raise ValueError(f"{name}: exactly one line must be {IMPORT!r}")
    space: dict[str, Any] = {"SEED": seed, "FULL": full, "__name__": f"conformance_{name}"}
    package.start_scope()
    try:
        exec(compile(text.replace(IMPORT, f"from {package.__name__} import *"), f"{name}.py", "exec"), space)
        return _left(space)
    finally:
        package.defaultclock.dt = 0.1 * package.ms


def _left(space: dict[str, Any]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, monitor in space.get("spikes", {}).items():
        steps = np.rint(np.asarray(monitor.t) / float(np.asarray(monitor.source.clock.dt_))).astype(np.int32)
        neurons = np.asarray(monitor.i).astype(np.int32)
        order = np.lexsort((neurons, steps))
        found[f"spikes_{name}"] = np.stack([neurons[order], steps[order]])
    for name, (monitor, variable) in space.get("states", {}).items():
        found[f"states_{name}"] = np.atleast_2d(np.asarray(getattr(monitor, variable), dtype=np.float64))
    for kind in ("final", "samples", "statistics"):
        for name, values in space.get(kind, {}).items():
            found[f"{kind}_{name}"] = np.atleast_1d(np.asarray(values, dtype=np.float64))
    return found
