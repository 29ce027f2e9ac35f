"""Make the reference results with Brian 2: `python tests/oracle/brian.py`, in an environment that has it. Overwrites tests/oracle/results."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from oracle_networks import NETWORKS, execute  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results"
STATES_KEPT = 40  # steps of the state at each end, and as many in between


def kept(results: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All spikes, and the state at some of the steps, which `steps_<name>` lists."""
    stored: dict[str, np.ndarray] = {}
    for name, values in results.items():
        if name.startswith("state_"):
            last = values.shape[1] - 1
            chosen = np.unique(np.concatenate([np.arange(STATES_KEPT), np.linspace(0, last, STATES_KEPT).astype(int), last - np.arange(STATES_KEPT)]))
            chosen = chosen[(chosen >= 0) & (chosen <= last)].astype(np.int32)
            stored[name.replace("state_", "steps_", 1)], values = chosen, values[:, chosen]
        stored[name] = values
    return stored


def reference(text: str) -> dict[str, np.ndarray]:
    """What Brian 2 makes of a network."""
    import brian2

    brian2.prefs.codegen.target = "numpy"
    names = {name: getattr(brian2, name) for name in brian2.__all__} if hasattr(brian2, "__all__") else dict(vars(brian2))
    brian2.start_scope()
    return execute(text, names)


def main() -> None:
    RESULTS.mkdir(exist_ok=True)
    for name, text in NETWORKS.items():
        results = reference(text)
        np.savez_compressed(RESULTS / f"{name}.npz", **kept(results))
        sizes = ", ".join(f"{n}: {v.shape[1]} spikes" for n, v in results.items() if n.startswith("spikes_"))
        sys.stdout.write(f"{name}: {(RESULTS / f'{name}.npz').stat().st_size} bytes; {sizes}\n")


if __name__ == "__main__":
    main()
