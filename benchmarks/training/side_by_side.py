"""What the training benchmarks share: fresh processes that take turns, ratios, a table, JSON.

A benchmark describes a `Comparison` and hands it to `main`. Ours runs in the interpreter that started it; the libraries on torch in the one that
`--torch-peers` or TRAINING_PEERS_PYTHON names, JAX in that of `--jax` or JAX_PYTHON. A peer that is not there is said to be missing and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from machine import describe  # noqa: E402
from measure import Missing, arguments, ask, environment, figure  # noqa: E402
from tasks import Task  # noqa: E402
from trainer import FIRST  # noqa: E402

OURS, DISTURBED = "brianlike", 0.1
AGREEMENT, COMPARED = 0.02, 3
"""Relative difference of the first losses; rounding turns a few spikes, and these the later ones."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A library in one of its modes. `same`: it computes our equations to the last constant, so its losses have to be ours. `at_least`: times ours."""

    name: str
    library: str
    where: str = "torch"
    options: Mapping[str, Any] = field(default_factory=dict)
    at_least: float | None = None
    same: bool = False


ENGINE = Peer(OURS, "ours", "ours", same=True)
SPIKINGJELLY = Peer("SpikingJelly", "spikingjelly_multi_step")
SNNTORCH = Peer("snnTorch", "snntorch_synaptic")
NORSE = Peer("Norse", "norse_lif")
COMPILED = Peer("torch.compile", "torch_compiled", same=True)
JAX = Peer("JAX scan", "jax_scan", "jax", same=True)
JAX_HALVES = Peer("JAX scan, batch on two devices", "jax_scan", "jax", {"devices": 2}, same=True)


@dataclass(frozen=True, slots=True)
class Case:
    """A training step, and who makes it; the limits of hidden activity that a fair comparison keeps to."""

    what: str
    task: Task
    peers: Sequence[Peer]
    active: tuple[float, float] = (0.0, 1.0)
    times: float = 1.0  # of the step that is measured, in what is shown
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a peer's smallest and median step, its first one, in which it compiles, and how busy its hidden neurons were."""

    what: str
    peer: str
    threads: int
    minimum: float
    median: float
    values: tuple[float, ...]
    first: float
    activity: float
    ratio: float | None
    target: float | None


Answers = Sequence[tuple[Peer, Sequence[Mapping[str, Any]]]]
TINY = {"steps": 6, "batch": 4, "inputs": 30, "hidden": 16, "outputs": 3, "input_rate": 0.1}


def options_of(text: str) -> argparse.ArgumentParser:
    """The options that all training benchmarks have."""
    parser = arguments(text)
    parser.add_argument("--torch-peers", metavar="PYTHON", help="interpreter of an environment with the libraries on torch (TRAINING_PEERS_PYTHON)")
    parser.add_argument("--jax", metavar="PYTHON", help="interpreter of an environment with JAX and optax (JAX_PYTHON)")
    parser.add_argument("--engine", help="of ours: auto, torch, cython")
    parser.add_argument("--steps", type=int, default=5, help="timed training steps in each process (5)")
    parser.add_argument("--only", help="cases whose names contain this")
    parser.set_defaults(repeats=3, kept=False)
    for action in parser._actions:
        if action.dest == "peers":
            action.help = "only these, separated by commas, by the start of their names: brianlike, JAX, Norse ..."
    return parser


def interpreter(where: str, options: argparse.Namespace) -> str:
    """The Python that has a library; Missing, with what to do, if none was named."""
    if where == "ours":
        return sys.executable
    option, variable = {"torch": ("torch_peers", "TRAINING_PEERS_PYTHON"), "jax": ("jax", "JAX_PYTHON")}[where]
    found = getattr(options, option) or os.environ.get(variable, "")
    if not found:
        raise Missing(f"no interpreter named: give --{option.replace('_', '-')} PYTHON or set {variable}")
    return str(found)


def answer(case: Case, peer: Peer, options: argparse.Namespace) -> dict[str, Any]:
    """One process of a peer."""
    threads = options.threads or 2
    task = asdict(replace(case.task, **TINY) if options.quick else case.task) | {"seed": options.seed}
    chosen = dict(peer.options) | ({"engine": options.engine} if peer.where == "ours" and options.engine and "engine" not in peer.options else {})
    job = {"library": peer.library, "task": task, "threads": threads, "steps": options.steps, "warm_up": 2, "options": chosen}
    if options.kept:
        job["kept"] = True
    if options.quick:
        job |= {"steps": 1, "warm_up": 0}
    return ask([interpreter(peer.where, options), str(HERE / "trainer.py"), json.dumps(job)], environment(threads))


def wanted(case: Case, options: argparse.Namespace) -> list[Peer]:
    if options.quick:
        return [peer for peer in case.peers if peer.where == "ours"]
    names = options.peers.split(",") if options.peers else [""]
    return [peer for peer in case.peers if any(peer.name.startswith(name) for name in names)]


def measured(case: Case, options: argparse.Namespace) -> tuple[Answers, list[str]]:
    """What each peer answered, in turns; and what is to be said of those that could not."""
    answers: dict[str, list[dict[str, Any]]] = {}
    peers, said = wanted(case, options), []
    for _ in range(1 if options.quick else options.repeats):
        for peer in list(peers):
            try:
                answers.setdefault(peer.name, []).append(answer(case, peer, options))
            except Missing as why:
                peers.remove(peer)
                said.append(f"{peer.name} is not measured: {why}")
    return [(peer, answers[peer.name]) for peer in case.peers if answers.get(peer.name)], said


def rows(case: Case, answers: Answers, threads: int) -> list[Row]:
    found = []
    own = [value for peer, given in answers if peer.name == OURS for one in given for value in one["seconds"]]
    for peer, given in answers:
        values = tuple(case.times * value for one in given for value in one["seconds"])
        ratio = min(values) / case.times / min(own) if own and peer.where != "ours" else None
        first = min(one["measured"][FIRST] for one in given)
        found.append(Row(case.what, peer.name, threads, min(values), statistics.median(values), values, first, given[0]["activity"], ratio, peer.at_least))
    return found


def doubts(case: Case, answers: Answers) -> list[str]:
    """Other losses than ours under the same equations are an error, a network that is too silent or too busy as well; other work on the machine is said."""
    found = []
    ours = next((given[0] for peer, given in answers if peer.name == OURS), None)
    for peer, given in answers:
        loss, busy = given[0]["losses"], max(one["others"] for one in given)
        if ours is not None and peer.same and any(abs(a - b) > AGREEMENT * abs(b) for a, b in zip(loss[:COMPARED], ours["losses"])):
            found.append(f"ERROR: {case.what}: {peer.name} has the losses {loss}, ours {ours['losses']}")
        if not case.active[0] <= given[0]["activity"] <= case.active[1]:
            found.append(f"ERROR: {case.what}: in {peer.name} {given[0]['activity']:.1%} of the hidden neurons fire in a step")
        if busy > DISTURBED:
            found.append(f"{case.what}: other processes took up to {busy:.0%} of a core from {peer.name}.")
    return found


def as_text(table: Sequence[Row]) -> str:
    lines = ["| training step | who | minimum (s) | median (s) | first step (s) | activity | times ours | at least |", "|---|---|---|---|---|---|---|---|"]
    for r in table:
        ratio, target = "" if r.ratio is None else f"{r.ratio:.3g}", "" if r.target is None else f"{r.target:g}"
        lines.append(f"| {r.what} | {r.peer} | {figure(r.minimum)} | {figure(r.median)} | {figure(r.first)} | {r.activity:.1%} | {ratio} | {target} |")
    return "\n".join(lines)


def report(name: str, table: Sequence[Any], text: str, said: Sequence[str], options: argparse.Namespace) -> int:
    """Print and write; the exit status: 1 if something is wrong. A target that is missed is a figure, and no error."""
    sys.stdout.write(f"{describe()}\n\n{text}\n\n" + "".join(f"{line}\n" for line in said))
    if options.json is not None:
        found = {"benchmark": name, "machine": describe(), "rows": [asdict(row) for row in table], "said": list(said)}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(line.startswith("ERROR") for line in said))


def compare(cases: Sequence[Case], options: argparse.Namespace) -> tuple[list[Row], list[str]]:
    """All rows of all cases, and what is to be said."""
    table: list[Row] = []
    said: list[str] = []
    for case in cases:
        if not options.only or options.only in case.what:
            answers, missing = measured(case, options)
            table += rows(case, answers, options.threads or 2)
            said += [line for line in [*missing, *([] if options.quick else doubts(case, answers))] if line not in said]
    if not any(row.peer == OURS for row in table) and not options.peers:
        said.append("ERROR: ours was not measured")
    return table, said


def main(name: str, text: str, cases: Sequence[Case], note: str = "") -> int:
    """Measure all cases, print the table, and say what is missing or wrong."""
    options = options_of(text).parse_args()
    table, said = compare(cases, options)
    return report(name, table, as_text(table), [*([note] if note else []), *said], options)
