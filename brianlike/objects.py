"""What every object of a network has: a name, a place in the schedule, a clock; and what classes of the user's do in a run."""

from __future__ import annotations

import re
import weakref
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from .clocks import Clock, choose_clock

__all__ = ["SimulationObject", "live_objects", "SLOTS"]

SLOTS = ("start", "groups", "thresholds", "synapses", "resets", "end")
_LIVE: weakref.WeakSet[SimulationObject] = weakref.WeakSet()
_NUMBERS = count()


class Weak:
    """A weak reference that goes to another process with what it refers to."""

    __slots__ = ("_reference",)

    def __init__(self, target: object) -> None:
        self._reference = weakref.ref(target)

    def __call__(self) -> Any:
        return self._reference()

    def __getstate__(self) -> object:
        return self()

    def __setstate__(self, target: object) -> None:
        self._reference = weakref.ref(target)


class Simulation:
    """What objects that have run together share. It ends with them: nothing else refers to it for long.

    Attributes
    ----------
    kept : object
        What their network keeps from one run to the next.
    """

    __slots__ = ("kept", "__weakref__")

    def __init__(self) -> None:
        self.kept: Any = None

    def __reduce__(self) -> tuple[type[Simulation], tuple[()]]:
        return Simulation, ()  # what is kept are compiled kernels, which another process makes anew


class SimulationObject(ABC):
    """A part of a network: group, synapses, monitor. A class of your own that derives from it can take part in every step of a run.

    Parameters
    ----------
    dt, clock : Quantity, Clock, optional
        How often `run` is called: at every step of `defaultclock` unless given.
    when, order : str, int
        Place in the schedule.
    namespace : dict, optional
    name : str, optional

    Attributes
    ----------
    name : str
        Given, or made from the class: `neurongroup`, `neurongroup_1`, ... It breaks ties within a slot of the schedule.
    when, order : str, int
        The slot of the schedule, and the place in it.
    clock : Clock
    active : bool
        Inactive objects do nothing in a run.
    namespace : dict
        Values of the constants that the object's texts use; for other names, those visible where `run` is called.
    add_to_magic_network : bool
        Whether `run` picks the object up from the variables of its caller.
    invalidates_magic_network : bool
        Whether the object, when it is new, cannot join others that `run` has simulated before; monitors can.
    contained_objects : list
        Further objects that come into every network with this one.

    Notes
    -----
    Classes of your own override `run`, `before_run` or `after_run`. Objects of them are picked up by the function `run` if the class says
    `add_to_magic_network = True`.

    Examples
    --------
    >>> from brianlike import *
    >>> class Counter(BrianObject):
    ...     steps = 0
    ...     def run(self):
    ...         self.steps += 1
    >>> counter = Counter(dt=0.5*ms)
    >>> Network(counter).run(2*ms)
    >>> counter.steps
    4
    """

    name: str
    when: str
    order: int
    clock: Clock
    active: bool
    namespace: dict[str, object]
    add_to_magic_network: bool
    invalidates_magic_network: bool = True
    contained_objects: Sequence[object] = ()
    _number: int
    _simulation: Simulation | None = None
    _joins: bool = True  # whether it is part of a network itself where it is one of the contained_objects of another

    def __init__(
        self,
        dt: object = None,
        clock: Clock | None = None,
        when: str = "start",
        order: int = 0,
        namespace: Mapping[str, object] | None = None,
        name: str | None = None,
    ):
        self._register(choose_name(name, "brianobject"), when=when, order=order, clock=choose_clock(dt, clock), namespace=namespace)
        self.add_to_magic_network = getattr(type(self), "add_to_magic_network", False)
        self.contained_objects = []

    def run(self) -> None:  # noqa: B027  (most classes do nothing of their own)
        """What the object does at its place in every step: for classes of your own; other objects have their equations and code."""

    def before_run(self, run_namespace: Mapping[str, object]) -> None:  # noqa: B027  (most classes do nothing of their own)
        """What the object does when a run begins, with the constants of that run."""

    def after_run(self) -> None:  # noqa: B027  (most classes do nothing of their own)
        """What the object does when a run has ended."""

    def _register(self, name: str, *, when: str, order: int, clock: Clock, namespace: Mapping[str, object] | None = None) -> None:
        """Set what every object has, with a `name` from `choose_name`; to be called once, when nothing can fail any more."""
        self.name = name
        self.when = checked_slot(when)
        self.order = checked_order(order)
        self.clock = clock
        self.active = True
        self.namespace = checked_namespace(namespace)
        self.add_to_magic_network = getattr(type(self), "add_to_magic_network", True)
        self._number = next(_NUMBERS)
        _LIVE.add(self)


def with_contained(objects: Iterable[SimulationObject]) -> list[SimulationObject]:
    """The objects and those they contain, each once."""
    found: dict[int, SimulationObject] = {}
    _gather(objects, found)
    return list(found.values())


def _gather(items: Iterable[object], found: dict[int, SimulationObject]) -> None:
    for item in items:
        if isinstance(item, SimulationObject) and item._joins and id(item) not in found:
            found[id(item)] = item
            if item.contained_objects:
                _gather(item.contained_objects, found)


def acts(item: SimulationObject) -> bool:
    """Whether the class of the object says what it does in every step."""
    return type(item).run is not SimulationObject.run


def live_objects() -> list[SimulationObject]:
    """Every object that still exists, oldest first."""
    return sorted(_LIVE, key=lambda item: item._number)


def choose_name(name: str | None, stem: str) -> str:
    """The name as given; for None or `stem*`, the first free one of stem, stem_1, stem_2, ..."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a string, not {type(name).__name__}")
    text = f"{stem}*" if name is None else name
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\*?", text):
        raise ValueError(f"{text!r} cannot be a name; use letters, digits and _, beginning with a letter")
    if not text.endswith("*"):
        return text
    stem = text[:-1]
    taken = {item.name for item in _LIVE}
    return next(name for name in (stem if n == 0 else f"{stem}_{n}" for n in count()) if name not in taken)


def checked_slot(when: str) -> str:
    """`when`, if it is a slot of the default schedule (with `before_` or `after_`) or another name for one of the user's own."""
    if not isinstance(when, str) or not when.isidentifier():
        raise ValueError(f"when must name a slot of the schedule such as {', '.join(map(repr, SLOTS))}, not {when!r}")
    return when


def checked_order(order: int) -> int:
    try:
        whole = int(order)
    except (TypeError, ValueError):
        raise TypeError(f"order must be a whole number, not {order!r}") from None
    if whole != order:
        raise TypeError(f"order must be a whole number, not {order!r}")
    return whole


def checked_namespace(namespace: Mapping[str, object] | None) -> dict[str, object]:
    if namespace is None:
        return {}
    if not isinstance(namespace, Mapping):
        raise TypeError(f"namespace must be a dict from names to values, not {type(namespace).__name__}")
    return dict(namespace)
