"""How long until a simulation runs: import, the first run without and with compiled kernels in the cache, and one second of simulation.

Every time is taken in a fresh process and counted from the moment at which the parent starts it: `python benchmarks/startup.py [--repeats 7] [--json file]`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from machine import describe

HERE = Path(__file__).resolve().parent
HEAVY = ("sympy", "torch", "matplotlib", "scipy", "Cython", "setuptools")
END = f"""
import json, sys, time
print(json.dumps({{**stamps, "now": time.time(), "loaded": [name for name in {HEAVY} if name in sys.modules]}}))
"""
RUN = """
import os, time
stamps = {}
from brianlike import *
import networks
prefs.codegen.target = os.environ["BENCHMARK_TARGET"]
seed(1)
network = networks.cuba()

def note(elapsed, completed, start, duration):
    stamps.setdefault("first step", time.time())

network.run(1*second, report=note)
stamps["end"] = time.time()
stamps["spikes"] = network["spikes"].num_spikes
"""
PROGRAMS = {
    "python -c pass": "stamps = {}",
    "import numpy": "stamps = {}; import numpy",
    "from brianlike import *": "from brianlike import *; stamps = {}",
    "run": RUN,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: seconds, and what the process had loaded in the end."""

    what: str
    target_s: float | None
    minimum_s: float
    median_s: float
    loaded: tuple[str, ...]


def measure(program: str, environment: dict[str, str]) -> dict[str, object]:
    """What a fresh process reports; its stamps count from its start."""
    start = time.time()
    answer = subprocess.run([sys.executable, "-c", PROGRAMS[program] + END], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(answer.stdout.splitlines()[-1])
    return {name: value - start if name in ("now", "first step", "end") else value for name, value in found.items()}


def row(what: str, target: float | None, times: list[float], runs: list[dict[str, object]]) -> Row:
    return Row(what, target, min(times), statistics.median(times), tuple(sorted({str(name) for run in runs for name in run["loaded"]})))  # type: ignore[attr-defined]


@contextmanager
def environments() -> Iterator[tuple[dict[str, str], Path]]:
    """An environment whose Python keeps its bytecode, as that of an installed package does, and a folder for caches."""
    with tempfile.TemporaryDirectory(prefix="startup-") as place:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        paths = [str(HERE.parent), str(HERE), environment.get("PYTHONPATH", "")]
        yield environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONPYCACHEPREFIX": str(Path(place) / "bytecode")}, Path(place)


def table(repeats: int, target: str) -> list[Row]:
    """All measurements; the first of each kind, which fills Python's own caches, does not count."""
    with environments() as (environment, place):
        environment |= {"BENCHMARK_TARGET": target, "BRIANLIKE_CACHE_DIR": str(place / "warm")}
        rows = []
        for program, wanted in (("python -c pass", None), ("import numpy", None), ("from brianlike import *", 0.35)):
            runs = [measure(program, environment) for _ in range(repeats + 1)][1:]
            rows.append(row(program, wanted, [float(run["now"]) for run in runs], runs))  # type: ignore[arg-type]
        cold = [measure("run", environment | {"BRIANLIKE_CACHE_DIR": str(place / f"cold{n}")}) for n in range(repeats + 1)][1:]
        warm = [measure("run", environment) for _ in range(repeats + 1)][1:]
        if len({run["spikes"] for run in (*cold, *warm)}) != 1:
            raise AssertionError("the runs of one network with one seed differ")
        rows.append(row("CUBA: first step, empty cache", 3.0, [run["first step"] for run in cold], cold))  # type: ignore[misc]
        rows.append(row("CUBA: first step, warm cache", 0.6, [run["first step"] for run in warm], warm))  # type: ignore[misc]
        rows.append(row("CUBA: 1 s simulated", None, [run["end"] - run["first step"] for run in warm], warm))  # type: ignore[operator]
        return rows


def as_text(rows: list[Row]) -> str:
    lines = ["| from process start | target (s) | minimum (s) | median (s) | loaded |", "|---|---|---|---|---|"]
    for r in rows:
        wanted = "" if r.target_s is None else f"{r.target_s:g}"
        lines.append(f"| {r.what} | {wanted} | {r.minimum_s:.3f} | {r.median_s:.3f} | {', '.join(r.loaded) or 'none'} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="processes for each line (7)")
    parser.add_argument("--target", default="cython", choices=("cython", "numpy"), help="prefs.codegen.target of the runs (cython)")
    parser.add_argument("--json", type=Path, help="write the figures here as JSON; to the output, if left out")
    options = parser.parse_args()
    rows = table(max(5, options.repeats), options.target)
    report = json.dumps({"machine": describe(), "target": options.target, "rows": [asdict(r) for r in rows]}, indent=1)
    sys.stdout.write(f"{describe()}\n\n{as_text(rows)}\n\n")
    if options.json is None:
        sys.stdout.write(report + "\n")
    else:
        options.json.write_text(report + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
