"""How long until a simulation runs: the import, the first step, and the whole process of a CUBA script, with an empty and a filled cache.

Every time is taken in a fresh process. "From process start" counts from the moment at which the parent starts it; "whole process" is what the parent waits.
An empty cache is a new folder for compiled kernels (ours), for Cython's modules (Brian's runtime) or for the program (Brian's standalone mode); the second
run of a script has the folder of the first. Processes keep their bytecode in a folder of their own, filled by runs that do not count: installed packages
have theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from measure import HERE, Missing, Row, arguments, ask, environment, interpreter, report

HEAVY = ("sympy", "torch", "matplotlib", "scipy", "Cython", "setuptools")
END = f"""
import json, sys, time
print(json.dumps({{**stamps, "now": time.time(), "loaded": [name for name in {HEAVY} if name in sys.modules]}}))
"""
SCRIPT = """
import json, sys, time
sys.path.insert(0, {here!r})
import worker
stamps = {{}}
job = {job!r}
space = worker.names_after_import(job)
worker.make(job, space)

def note(elapsed, completed, start, duration):
    stamps.setdefault("first step", time.time())

space["note"] = note
exec("network.run({duration}*second, report=note)" if job["package"] == "brianlike" else "network.run({duration}*second)", space)
if job["directory"]:
    space["device"].build(directory=job["directory"], compile=True, run=True, debug=False, with_output=False)
stamps["spikes"] = int(space["spikes"].num_spikes)
"""
IMPORTS = {"python -c pass": "", "import numpy": "import numpy", "from brianlike import *": "from brianlike import *"}
FIRST, SECOND = "CUBA script, whole process, empty cache (s)", "CUBA script, whole process, second run (s)"
TARGETS = {("brian2", "runtime", FIRST): 6.0, ("brian2", "runtime", SECOND): 4.0}
PEERS = (("brianlike", "runtime"), ("brian2", "runtime"), ("brian2", "standalone"))
NAMES = {("brianlike", "runtime"): "brianlike", ("brian2", "runtime"): "Brian 2 runtime", ("brian2", "standalone"): "Brian 2 standalone"}


@contextmanager
def place() -> Iterator[tuple[dict[str, str], Path]]:
    """An environment whose Python keeps its bytecode, as that of an installed package does, and a folder for caches."""
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        variables = environment(1, PYTHONPYCACHEPREFIX=str(Path(folder) / "bytecode"))
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        yield variables, Path(folder)


def timed(python: str, text: str, variables: Mapping[str, str]) -> dict[str, object]:
    """What a fresh process reports; its stamps count from its start, and `whole` is what we waited."""
    start = time.time()
    found = ask([python, "-c", text + END], variables)
    moved = {name: value - start if name in ("now", "first step") else value for name, value in found.items()}
    return {**moved, "whole": time.time() - start}


def imports(variables: Mapping[str, str], repeats: int) -> Iterator[Row]:
    for what, text in IMPORTS.items():
        runs = [timed(sys.executable, f"{text}\nstamps = {{}}", variables) for _ in range(repeats + 1)][1:]
        yield row(f"{what}, from process start (s)", "brianlike", [run["now"] for run in runs], limit=0.35 if "brianlike" in what else None)
        if what == "from brianlike import *" and (loaded := {name for run in runs for name in run["loaded"]}):  # type: ignore[attr-defined]
            raise AssertionError(f"the import loads {', '.join(sorted(loaded))}")


def row(what: str, peer: str, values: Sequence[object], ratio: float | None = None, target: float | None = None, limit: float | None = None) -> Row:
    numbers = tuple(float(value) for value in values)  # type: ignore[arg-type]
    return Row(what, peer, 1, min(numbers), statistics.median(numbers), numbers, ratio, target, limit)


def script(package: str, mode: str, cache: Path, quick: bool) -> str:
    """The program of a peer, whose cache is this folder."""
    directory = str(cache / "program") if mode == "standalone" else ""
    given = {"N": 100} if quick else {}
    job = {"package": package, "model": "cuba", "threads": 1, "given": given, "directory": directory, "cache": str(cache) if mode == "runtime" else ""}
    return SCRIPT.format(here=str(HERE), job=job, duration=0.01 if quick else 1.0)


def scripts(options: argparse.Namespace, variables: Mapping[str, str], folder: Path) -> tuple[dict, list[str]]:
    """The answers of (package, mode) with an empty and with a filled cache, peers in turn."""
    answers: dict[tuple[str, str], dict[str, list[dict[str, object]]]] = {}
    said: list[str] = []
    for number in range(1 if options.quick else options.repeats + 1):  # the first fills Python's own caches and does not count
        for peer in PEERS[:1] if options.quick else PEERS:
            if number and peer not in answers:
                continue
            cache = folder / f"{'-'.join(peer)}-{number}"
            cache.mkdir()
            try:
                python, own = interpreter(peer[0], options), {**variables, "BRIANLIKE_CACHE_DIR": str(cache)}
                both = [timed(python, script(*peer, cache, options.quick), own) for _ in range(2)]
            except Missing as why:
                said.append(f"{NAMES[peer]} is not measured: {why}")
                continue
            kept = answers.setdefault(peer, {FIRST: [], SECOND: []})
            if number or options.quick:
                kept[FIRST].append(both[0])
                kept[SECOND].append(both[1])
    return answers, said


def table(options: argparse.Namespace) -> tuple[list[Row], list[str]]:
    with place() as (variables, folder):
        rows = list(imports(variables, options.repeats))
        answers, said = scripts(options, variables, folder)
    ours = answers["brianlike", "runtime"]
    if len({run["spikes"] for runs in ours.values() for run in runs}) != 1:
        said.append("ERROR: the runs of one network with one seed differ")
    for what, cache, limit in ((FIRST, "empty cache", 3.0), (SECOND, "second run", 0.6)):
        rows.append(row(f"CUBA script, first step, {cache} (s)", "brianlike", [run["first step"] for run in ours[what]], limit=limit))
    for what in (FIRST, SECOND):
        for peer, runs in answers.items():
            values = [run["whole"] for run in runs[what]]
            own = min(float(run["whole"]) for run in ours[what])  # type: ignore[arg-type]
            ratio = None if peer[0] == "brianlike" else min(values) / own  # type: ignore[type-var]
            rows.append(row(what, NAMES[peer], values, ratio, TARGETS.get((*peer, what))))
    loaded = {name: sorted({x for run in ours[what] for x in run["loaded"]}) for name, what in (("empty", FIRST), ("filled", SECOND))}  # type: ignore[attr-defined]
    return rows, [f"Of {', '.join(HEAVY)}, ours loads with an empty and a filled cache: {json.dumps(loaded)}", *said]


def main() -> int:
    options = arguments(__doc__).parse_args()
    options.repeats = 1 if options.quick else options.repeats
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.stdout.write("PYTHONDONTWRITEBYTECODE is set: ignored in the processes that are measured\n")
    rows, said = table(options)
    return report("startup", rows, said, options)


if __name__ == "__main__":
    sys.exit(main())
