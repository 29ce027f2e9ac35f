"""What a run costs beside its steps: `run(1*ms)` again and again on an unchanged network of 100 neurons.

`python benchmarks/repeated_runs.py [--runs 200]` prints microseconds for each run, and of those the part that the ten steps take themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from machine import describe
from networks import small

from brianlike import *


def microseconds(network: Network, duration: object, runs: int) -> float:
    """Of one run; the best of five batches."""
    batches = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(runs):
            network.run(duration)
        batches.append((time.perf_counter() - start) / runs * 1e6)
    return min(batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="runs in a batch (200)")
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    for target in ("cython", "numpy"):
        prefs.codegen.target = target
        network = small()
        start = time.perf_counter()
        network.run(1 * ms)
        first = (time.perf_counter() - start) * 1e6
        empty, short = microseconds(network, 0 * ms, options.runs), microseconds(network, 1 * ms, options.runs)
        long = microseconds(network, 101 * ms, max(1, options.runs // 20))
        step = (long - short) / 1000
        found[target] = {"first run (us)": first, "run(0*ms) (us)": empty, "run(1*ms) (us)": short, "of it ten steps (us)": 10 * step}
    sys.stdout.write(f"{describe()}\n\n| target | {' | '.join(found['numpy'])} |\n|---|---|---|---|---|\n")
    for target, row in found.items():
        sys.stdout.write(f"| {target} | {' | '.join(f'{value:.0f}' for value in row.values())} |\n")
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
