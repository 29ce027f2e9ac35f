"""What the benchmarks share: fresh processes, repeats that take turns, a table of ratios, JSON.

A benchmark describes a `Workload` and hands it to `main`. Peers run in environments of their own, whose interpreters are named by `--brian2` and `--nest` or
by the variables BRIAN2_PYTHON and NEST_PYTHON; one that is not there is said to be missing and left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from machine import describe

HERE = Path(__file__).resolve().parent
WORKER = HERE / "worker.py"
RUN, BEHIND = "run (s)", "run without before_run (s)"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Missing(Exception):
    """A peer that cannot be measured here, and why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is measured: a package in one of its modes, with so many threads.

    `targets` says how many times as long as ours it is meant to take, at least, for what is measured; ours are those with as many threads.
    `given` are names that its model begins with, beside those of the workload.
    """

    package: str
    mode: str = "runtime"
    threads: int = 1
    targets: Mapping[str, float] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return {"brianlike": "brianlike", "brian2": f"Brian 2 {self.mode}", "nest": "NEST"}[self.package]


OURS = Peer("brianlike")


@dataclass(frozen=True, slots=True)
class Workload:
    """A model of `models/`, who runs it, and what it is held to.

    `limits` are for ours, in the unit of what is measured. `tolerance` is for the activity (spikes, usually), relative to ours, of peers with the same `given`.
    `quick` replaces `given` and the duration where only the benchmark itself is tested. `shown` is what the table has; JSON has all.
    """

    name: str
    model: str
    peers: tuple[Peer, ...]
    duration: float = 1.0
    given: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    tolerance: float = 0.05
    quick: Mapping[str, Any] = field(default_factory=dict)
    quick_duration: float = 0.02
    shown: tuple[str, ...] = (RUN, BEHIND)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure of a peer, smallest and median over the repeats, and how many times ours it is."""

    what: str
    peer: str
    threads: int
    minimum: float
    median: float
    values: tuple[float, ...]
    ratio: float | None
    target: float | None
    limit: float | None


# --------------------------------------------------------------------------------------------------------------------------------------------- processes
def environment(threads: int = 1, **more: str) -> dict[str, str]:
    """For a process that computes: as many threads as said, our packages importable."""
    paths = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **{name: str(threads) for name in ONE_THREAD}, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONWARNINGS": "ignore", **more}


def interpreter(package: str, options: argparse.Namespace) -> str:
    """The Python that has a package; Missing, with what to do, if none was named."""
    if package == "brianlike":
        return sys.executable
    found = getattr(options, package) or os.environ.get(f"{package.upper()}_PYTHON", "")
    if not found:
        raise Missing(f"no interpreter named: give --{package} PYTHON or set {package.upper()}_PYTHON")
    return str(found)


def ask(command: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """The JSON in the last line that a process prints; Missing with its last words if it fails."""
    try:
        answer = subprocess.run(command, env=dict(variables), capture_output=True, text=True)
    except OSError as error:
        raise Missing(str(error)) from None
    if answer.returncode:
        raise Missing((answer.stderr.strip().splitlines() or [f"exit status {answer.returncode}"])[-1])
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def job(workload: Workload, peer: Peer, options: argparse.Namespace) -> dict[str, Any]:
    given = dict(workload.quick) if options.quick else {**workload.given, **options.given}
    package = {"nest": "_nest"}.get(peer.package, "")
    duration = workload.quick_duration if options.quick else options.duration or workload.duration
    return {
        "package": peer.package,
        "model": workload.model + package,
        "duration": duration,
        "threads": peer.threads,
        "seed": options.seed,
        "given": given if options.quick else {**given, **peer.given},
        "float32": options.float32 and peer.package == "brianlike",
        "digest": options.digest and peer.package == "brianlike",
    }


class Measured:
    """A peer with all that it answered; standalone programs are built once, in a folder of their own."""

    def __init__(self, workload: Workload, peer: Peer, options: argparse.Namespace, place: Path) -> None:
        self.peer, self.answers = peer, list[dict[str, Any]]()
        self._python = interpreter(peer.package, options)
        self._job, self._folder = job(workload, peer, options), None
        if peer.mode == "standalone":
            text = json.dumps(self._job, sort_keys=True) + (HERE / "models" / f"{workload.model}.py").read_text(encoding="utf-8")
            self._folder = (options.builds or place).absolute() / f"{workload.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
            if not (self._folder / "main").exists():
                ask([self._python, str(WORKER), json.dumps({**self._job, "directory": str(self._folder)})], environment(1))

    def once_more(self) -> None:
        if self._folder is None:
            self.answers.append(ask([self._python, str(WORKER), json.dumps(self._job)], environment(self.peer.threads)))
        else:
            self.answers.append(standalone(self._folder, environment(self.peer.threads)))


def standalone(folder: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Run a program that Brian 2 has built: the seconds that it counts itself (`device._last_run_time`), without its set-up, and its spikes."""
    results = folder / "results"
    results.mkdir(exist_ok=True)
    answer = subprocess.run([str(folder / "main"), "--results_dir", f"{results}/"], cwd=folder, env=dict(variables), capture_output=True, text=True)
    if answer.returncode:
        raise Missing(f"the standalone program failed: {answer.stderr.strip()[-200:]}")
    seconds = float((results / "last_run_info.txt").read_text().split()[0])
    counts = [int.from_bytes(path.read_bytes()[:4], sys.byteorder) for path in results.glob("_array_*spikemonitor*_N_*")]
    return {"measured": {RUN: seconds}, "activity": sum(counts)}


# ----------------------------------------------------------------------------------------------------------------------------------------------- figures
def measure(workload: Workload, options: argparse.Namespace) -> tuple[list[Measured], list[str]]:
    """All peers in turn, again and again, so that what the machine does meanwhile hits all alike; and what is to be said of those that are not there."""
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        taking_part = []
        for peer in chosen(workload, options):
            try:
                taking_part.append(Measured(workload, peer, options, Path(place)))
            except Missing as why:
                said.append(f"{peer.name} is not measured: {why}")
        for _ in range(options.repeats):
            for one in list(taking_part):
                try:
                    one.once_more()
                except Missing as why:
                    taking_part.remove(one)
                    said.append(f"{one.peer.name} is not measured: {why}")
    return taking_part, said


def chosen(workload: Workload, options: argparse.Namespace) -> list[Peer]:
    """The peers of a workload, with other numbers of threads if the caller wants them; only ours in a quick test."""
    peers = list(workload.peers)
    if options.quick:
        peers = [peer for peer in peers if peer.package == "brianlike"][: len(peers) if options.digest else 1]
    if options.peers:
        wanted = options.peers.split(",")
        peers = [peer for peer in peers if peer.package in wanted or f"{peer.package}:{peer.mode}" in wanted]
    if options.threads:
        changed = [Peer(p.package, p.mode, options.threads, p.targets, p.given) for p in peers]
        peers = [peer for n, peer in enumerate(changed) if peer.name not in [other.name for other in changed[:n]]]
    return peers


def rows(workload: Workload, taking_part: Sequence[Measured]) -> list[Row]:
    found = []
    measured = dict.fromkeys(what for one in taking_part for answer in one.answers for what in answer["measured"])
    for what in [what for what in measured if what in workload.shown] or measured:
        for one in taking_part:
            values = [float(answer["measured"][what]) for answer in one.answers if what in answer["measured"]]
            if not values:
                continue
            compared = RUN if what == BEHIND else what
            own = [answer["measured"][compared] for other in taking_part if is_ours(other.peer, one.peer.threads) for answer in other.answers]
            ratio = min(values) / min(own) if own and min(own) > 0 and one.peer.package != "brianlike" else None
            limit = workload.limits.get(what) if one.peer.package == "brianlike" else None
            target = one.peer.targets.get(what)
            found.append(Row(what, one.peer.name, one.peer.threads, min(values), statistics.median(values), tuple(values), ratio, target, limit))
    return found


def is_ours(peer: Peer, threads: int) -> bool:
    return peer.package == "brianlike" and peer.threads == threads


def disagreements(workload: Workload, taking_part: Sequence[Measured]) -> list[str]:
    """Nobody is to measure a silent network, or another one than ours."""
    ours = next((one for one in taking_part if one.peer.package == "brianlike" and one.answers), None)
    if ours is None:
        return []
    expected = ours.answers[0]["activity"]
    found = [] if expected else ["ERROR: nothing happens in this network"]
    for one in taking_part:
        if one.answers and one.peer.given == ours.peer.given:
            counted = one.answers[0]["activity"]
            if abs(counted - expected) > workload.tolerance * expected:
                found.append(f"ERROR: {one.peer.name} counts {counted}, ours {expected}: more than {workload.tolerance:.0%} apart")
    return found


def as_text(table: Sequence[Row]) -> str:
    lines = ["| measured | who | threads | minimum | median | times ours | at least |", "|---|---|---|---|---|---|---|"]
    for r in table:
        held = f"<= {r.limit:g}" if r.limit is not None else f"{r.target:g}" if r.target is not None else ""
        ratio = "" if r.ratio is None else f"{r.ratio:.3g}"
        lines.append(f"| {r.what} | {r.peer} | {r.threads} | {figure(r.minimum)} | {figure(r.median)} | {ratio} | {held} |")
    return "\n".join(lines)


def figure(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def activities(taking_part: Iterable[Measured]) -> str:
    parts = [f"{one.peer.name} ({one.peer.threads}) {one.answers[0]['activity']}" for one in taking_part if one.answers]
    return "Spikes, or what else is counted: " + ", ".join(parts) + "."


# ---------------------------------------------------------------------------------------------------------------------------------------------- programs
def arguments(text: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="fresh processes for each peer (5)")
    parser.add_argument("--brian2", metavar="PYTHON", help="interpreter of an environment with Brian 2 (BRIAN2_PYTHON)")
    parser.add_argument("--nest", metavar="PYTHON", help="interpreter of an environment with NEST (NEST_PYTHON)")
    parser.add_argument("--peers", help="only these, separated by commas: brianlike, brian2, brian2:runtime, brian2:standalone, nest")
    parser.add_argument("--threads", type=int, help="of all peers, instead of the benchmark's own choice")
    parser.add_argument("--duration", type=float, help="seconds simulated")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument("--builds", type=Path, metavar="FOLDER", help="keep Brian's standalone programs here, and take those that are there")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--float32", action="store_true", help="ours with float32")
    parser.add_argument("--quick", action="store_true", help="ours only, once, and tiny: shows that the benchmark works")
    parser.set_defaults(given={}, digest=False)
    return parser


def report(name: str, table: Sequence[Row], said: Sequence[str], options: argparse.Namespace, more: Mapping[str, Any] | None = None) -> int:
    """Print and write; the exit status: 1 if something is wrong. A target that is missed is a figure, and no error."""
    sys.stdout.write(f"{describe()}\n\n{as_text(table)}\n\n" + "".join(f"{line}\n" for line in said))
    if options.json is not None:
        found = {"benchmark": name, "machine": describe(), "rows": [asdict(row) for row in table], "said": list(said), **(more or {})}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(line.startswith("ERROR") for line in said))


def main(workload: Workload, options: argparse.Namespace) -> int:
    """Measure a workload, print its table, and say what is missing or wrong."""
    if options.quick:
        options.repeats = 1
    taking_part, missing = measure(workload, options)
    said = [*([workload.note] if workload.note else []), activities(taking_part), *missing, *([] if options.quick else disagreements(workload, taking_part))]
    ours = [one for one in taking_part if one.peer.package == "brianlike"]
    if not all(one.answers for one in ours) or not ours:
        said.append("ERROR: ours was not measured")
    details = {f"{one.peer.name} ({one.peer.threads})": one.answers[0] for one in taking_part if one.answers}
    return report(workload.name, rows(workload, taking_part), said, options, {"answers": details})
