"""What a compiled network depends on beside values: as long as it is the same, the next run uses the network again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import is_
from typing import Any

from .codes import runners, summed_updaters
from .monitors import StateMonitor
from .objects import SimulationObject
from .stages import stages_of
from .state import VariableOwner
from .synapses import Synapses

Note = Callable[[Any, list[object], list[object]], None]


class Blueprint:
    """Numbers and names that are compared by value, and objects, which are kept, so that no other one can take their place, and compared by identity."""

    __slots__ = ("values", "things")

    def __init__(self, values: list[object], things: list[object]) -> None:
        self.values, self.things = values, things

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blueprint):
            return NotImplemented
        return self.values == other.values and len(self.things) == len(other.things) and all(map(is_, self.things, other.things))

    __hash__ = None  # type: ignore[assignment]


def blueprint(target: str, schedule: Sequence[str], objects: Iterable[SimulationObject]) -> Blueprint:
    """All that users can change between runs and a compiled network depends on, the constants apart; equal blueprints, equal networks.

    It is made before every run, so it looks at what can change and at nothing else.
    """
    values: list[object] = [target, *schedule]
    things: list[object] = []
    for item in objects:
        things.append(item)
        values += (item.active, item.when, item.order, item.clock.dt_)
        for note in _notes(type(item)):
            note(item, values, things)
    return Blueprint(values, things)


@cache
def _notes(kind: type) -> tuple[Note, ...]:
    """What to note of objects of a class."""
    rows: tuple[tuple[type, Note], ...] = ((VariableOwner, _note_code), (VariableOwner, _note_links), (Synapses, _note_synapses), (StateMonitor, _note_record))
    return tuple(note for wanted, note in rows if issubclass(kind, wanted))


def _note_code(item: VariableOwner, values: list[object], things: list[object]) -> None:
    if item.contained_objects:
        for runner in runners(item):
            things.append(runner)
            values += (runner.when, runner.order, runner.active, runner.clock.dt_)
    for stage in stages_of(item):
        values += stage.place()


def _note_links(item: VariableOwner, values: list[object], things: list[object]) -> None:
    if item._links:
        values += item._links
        things += item._links.values()


def _note_synapses(item: Synapses, values: list[object], things: list[object]) -> None:
    values += item.layout()
    for updater in summed_updaters(item):
        values += updater.place()


def _note_record(item: StateMonitor, values: list[object], things: list[object]) -> None:
    things.append(item.record)
