"""Make the stored results with Brian 2: `python tests/conformance/brian.py [name ...]`, in an environment that has it. Overwrites tests/conformance/results."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from conformance import HERE, SCRIPTS, execute, has_full_size, is_random  # noqa: E402

RESULTS = HERE / "results"
STEPS_KEPT = 25  # of every state: the first and last steps, and as many in between
SEEDS = 12  # runs of a random script
SAMPLED = 4  # of which the samples are kept


def kept(results: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Everything, but of the states only some steps, which `steps_<name>` lists."""
    stored: dict[str, np.ndarray] = {}
    for name, values in results.items():
        if name.startswith("states_"):
            last = values.shape[1] - 1
            chosen = np.concatenate([np.arange(STEPS_KEPT), np.linspace(0, last, STEPS_KEPT).astype(int), last - np.arange(STEPS_KEPT)])
            chosen = np.unique(chosen[(chosen >= 0) & (chosen <= last)]).astype(np.int32)
            stored[name.replace("states_", "steps_", 1)], values = chosen, values[:, chosen]
        stored[name] = values
    return stored


def reference(name: str, full: bool = False) -> dict[str, np.ndarray]:
    """What Brian 2 makes of a script; of a random one with `SEEDS` seeds, its samples and statistics one after the other."""
    import brian2

    brian2.prefs.codegen.target = "numpy"
    brian2.BrianLogger.log_level_error()
    if not is_random(name):
        return kept(execute(name, brian2, full=full))
    runs = [execute(name, brian2, seed, full) for seed in range(1, SEEDS + 1)]
    stored = {key: np.concatenate([run[key] for run in runs]) for key in runs[0] if key.startswith("statistics_")}
    stored |= {key: np.concatenate([run[key] for run in runs[:SAMPLED]]).astype(np.float32) for key in runs[0] if key.startswith("samples_")}
    return stored | kept({key: values for key, values in runs[0].items() if key not in stored})


def main() -> None:
    RESULTS.mkdir(exist_ok=True)
    for name in sys.argv[1:] or SCRIPTS:
        for full in (False, True) if has_full_size(name) else (False,):
            path = RESULTS / (f"{name}.full.npz" if full else f"{name}.npz")
            start = time.perf_counter()
            results = reference(name, full)
            np.savez_compressed(path, **results)
            sizes = ", ".join(f"{n} {v.shape[-1]}" for n, v in results.items() if not n.startswith(("states_", "steps_")))
            sys.stdout.write(f"{path.name}: {path.stat().st_size} bytes, {time.perf_counter() - start:.1f} s; {sizes}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
