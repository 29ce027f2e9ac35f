"""Tables about a network: in which order its parts run, and which of them take the time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from .clocks import Clock
from .objects import SimulationObject
from .stages import Stage, stages_of
from .synapses import Synapses
from .units import Quantity

__all__ = ["ProfilingSummary", "ScheduleEntry", "SchedulingSummary"]


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """What runs at one place of the schedule: its name and kind, the object it belongs to, its slot, order and clock, and whether it runs."""

    name: str
    kind: str
    owner: SimulationObject
    when: str
    order: int
    clock: Clock
    active: bool

    @property
    def dt(self) -> Quantity:
        """The step of its clock (s)."""
        return self.clock.dt


def entries_of(objects: Iterable[SimulationObject], schedule: Sequence[str]) -> list[ScheduleEntry]:
    """Everything that a step does, in its order."""
    slots = [slot for name in schedule for slot in (f"before_{name}", name, f"after_{name}")]
    entries = [entry for item in objects for entry in _parts(item)]
    return sorted(entries, key=lambda entry: (slots.index(entry.when) if entry.when in slots else len(slots), entry.order, entry.name))


def _parts(item: SimulationObject) -> Iterator[ScheduleEntry]:
    model = getattr(item, "model", None)

    def entry(part: str, kind: str, when: str, order: int = item.order, active: bool = True, clock: Clock = item.clock) -> ScheduleEntry:
        return ScheduleEntry(f"{item.name}_{part}" if part else item.name, kind, item, when, order, clock, item.active and active)

    if model is None:
        yield entry("", type(item).__name__, item.when)
        return
    stages = {stage.step: stage for stage in stages_of(item)}
    if model.flows:
        yield entry("stateupdater", "StateUpdater", *_place(stages.get("update"), "groups", item.order))
    for event in model.events:
        step, slot = ("threshold", "thresholds") if event.name == "spike" else (f"threshold_{event.name}", "after_thresholds")
        yield entry(f"{event.name}_thresholder", "Thresholder", *_place(stages.get(step), slot if item.when == "groups" else item.when, item.order))
        if event.reset:
            yield entry(f"{event.name}_resetter", "Resetter", *_place(stages.get("reset"), "resets", item.order))
    if isinstance(item, Synapses):
        for pathway in item.pathways.values():
            yield entry(pathway.key, "SynapticPathway", pathway.when, pathway.order, pathway.active, pathway.source.clock)
    elif not model.events and not model.flows:
        yield entry("", type(item).__name__, item.when)
    for code in getattr(item, "contained_objects", ()):
        yield ScheduleEntry(code.name, type(code).__name__, item, code.when, code.order, code.clock, item.active and code.active)


def _place(stage: Stage | None, slot: str, order: int) -> tuple[str, int, bool]:
    """Slot and order, and whether it is switched on."""
    return (slot, order, True) if stage is None else (stage.when, stage.order, stage.active)


class SchedulingSummary:
    """The parts of a network in the order in which they run: prints as a table, in notebooks as an HTML one.

    Attributes
    ----------
    entries : list of ScheduleEntry
    """

    _HEAD = ("object", "part of", "Clock dt", "when", "order", "active")

    def __init__(self, entries: Sequence[ScheduleEntry]):
        self.entries = list(entries)

    def _rows(self) -> list[tuple[str, ...]]:
        fastest = min((entry.clock.dt_ for entry in self.entries), default=1.0)
        rows: list[tuple[str, ...]] = []
        for e in self.entries:
            steps = round(e.clock.dt_ / fastest)
            every = "every step" if steps == 1 else f"every {steps} steps"
            owner = f"{e.owner.name} ({type(e.owner).__name__})"
            rows.append((f"{e.name} ({e.kind})", owner, f"{e.dt} ({every})", e.when, str(e.order), "yes" if e.active else "no"))
        return rows

    def __repr__(self) -> str:
        return _table(self._HEAD, self._rows(), right=(4,))

    def _repr_html_(self) -> str:
        return _html(self._HEAD, self._rows())


class ProfilingSummary:
    """How long each part of a network took in its last run with `profile=True`, the longest first.

    Parameters
    ----------
    info : list of (name, Quantity)
        In seconds.
    show : int, optional
        How many to show; all if left out.

    Attributes
    ----------
    names : list of str
    times : list of Quantity
    percentages : list of float
    """

    _HEAD = ("part", "time", "share")

    def __init__(self, info: Sequence[tuple[str, Quantity]], show: int | None = None):
        total = sum(float(time) for _, time in info)
        chosen = list(info if show is None else info[:show])
        self.names = [name for name, _ in chosen]
        self.times = [time for _, time in chosen]
        self.percentages = [100 * float(time) / total if total else 0.0 for time in self.times]

    def _rows(self) -> list[tuple[str, ...]]:
        return [(name, f"{float(time) * 1e3:.2f} ms", f"{share:.2f} %") for name, time, share in zip(self.names, self.times, self.percentages, strict=True)]

    def __repr__(self) -> str:
        return _table(self._HEAD, self._rows(), right=(1, 2))

    def _repr_html_(self) -> str:
        return _html(self._HEAD, self._rows())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return " | ".join(cell.rjust(width) if n in right else cell.ljust(width) for n, (cell, width) in enumerate(zip(cells, widths, strict=True))).rstrip()

    return "\n".join([line(head), "-+-".join("-" * width for width in widths), *map(line, rows)])


def _html(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def row(kind: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells) + "</tr>"

    return "<table>" + row("th", head) + "".join(row("td", cells) for cells in rows) + "</table>"
