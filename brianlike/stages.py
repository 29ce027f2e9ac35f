"""The stages of a group's step as objects: its equations, conditions and resets, with a place in the schedule and a switch each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clocks import Clock
from .objects import Weak, checked_order, checked_slot

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["Stage"]


class Stage:
    """One stage of an object's step: `G.state_updater`, `G.thresholder['spike']`, `G.resetter['spike']`.

    Attributes
    ----------
    name : str
        Its name in the schedule.
    step : str
        The Step that it becomes.
    when, order : str, int
        Slot of the schedule, and place in it; both can be set.
    active : bool
        Set to False, the stage is left out.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(1, 'dv/dt = 1/ms : 1', threshold='v > 0.5', reset='v = 0', method='euler', name='cells')
    >>> G.resetter['spike'].active = False
    >>> run(1*ms)
    >>> G.v
    <cells.v: array([1.])>
    """

    def __init__(self, group: VariableOwner, name: str, step: str, when: str):
        self._group = Weak(group)
        self.name, self.step, self.active = f"{group.name}_{name}", step, True
        self._default, self._when, self._order = when, None, None

    _when: str | None
    _order: int | None

    @property
    def group(self) -> VariableOwner:
        """The object whose stage it is."""
        owner = self._group()
        if owner is None:
            raise ReferenceError(f"the group of {self.name!r} exists no more")
        return owner

    @property
    def clock(self) -> Clock:
        """The clock of the group."""
        return self.group.clock

    @property
    def when(self) -> str:
        """Slot of the schedule."""
        return self._default if self._when is None else self._when

    @when.setter
    def when(self, slot: str) -> None:
        self._when = checked_slot(slot)

    @property
    def order(self) -> int:
        """Place in the slot; that of the group unless set."""
        return self.group.order if self._order is None else self._order

    @order.setter
    def order(self, order: int) -> None:
        self._order = checked_order(order)

    @property
    def moved(self) -> bool:
        """Whether its place was set."""
        return self._when is not None or self._order is not None

    def place(self) -> tuple[object, ...]:
        """Equal as long as it runs where it did, in a group whose own place is the same."""
        return self._when, self._order, self.active

    def __repr__(self) -> str:
        return f"<{self.name!r} in slot {self.when!r}>"


def stages_of(item: object) -> list[Stage]:
    """All stages of an object."""
    first = item.__dict__.get("state_updater")
    return [*([] if first is None else [first]), *item.__dict__.get("thresholder", {}).values(), *_resets(item)]


def _resets(item: object) -> list[Stage]:
    return [stage for stage in item.__dict__.get("resetter", {}).values() if isinstance(stage, Stage)]
