"""Pathways: what synapses do when a spike arrives, and after what delay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codegen.expr import Index

from .clocks import Clock
from .objects import Weak
from .views import VariableView

if TYPE_CHECKING:
    from .synapses import Connectable, Synapses

__all__ = ["Pathway"]

SIDES = {Index.PRE: ("pre", -1), Index.POST: ("post", 1)}
"""What a side is called, and the place of its pathways in their slot."""


def delay_name(key: str) -> str:
    """The variable that holds the delays of a pathway."""
    return f"_delay_{key}"


class Pathway:
    """What happens for each synapse of a neuron that spiked, after a delay: `S.pre`, `S.post`, or a name of the user's.

    Attributes
    ----------
    name : str
        Its name in the schedule, such as `synapses_pre`.
    key : str
        Its name within the Synapses object.
    side : Index
        Whose spikes it receives: PRE or POST.
    code : str
    event : str
        The event that it waits for: `spike`, or one of the group's own.
    when, order : str, int
        Its slot of the schedule, and its place there; those of `on_pre` come before those of `on_post`.
    active : bool
    delay_name : str
        The variable that holds its delays.
    """

    __slots__ = ("_synapses", "key", "name", "side", "code", "event", "when", "order", "active", "delay_name")

    def __init__(self, synapses: Synapses, key: str, side: Index, code: str, event: str = "spike"):
        self._synapses = Weak(synapses)
        self.key, self.side, self.code, self.event = key, side, code, event
        self.name, self.delay_name = f"{synapses.name}_{key}", delay_name(key)
        self.when, self.order, self.active = "synapses", SIDES[side][1], True

    @property
    def synapses(self) -> Synapses:
        """The object it belongs to."""
        owner = self._synapses()
        if owner is None:
            raise ReferenceError(f"the Synapses object of pathway {self.name!r} exists no more")
        return owner

    @property
    def source(self) -> Connectable:
        """The group whose spikes it receives."""
        return self.synapses.source if self.side is Index.PRE else self.synapses.target

    @property
    def target(self) -> Connectable:
        """The group at the other end."""
        return self.synapses.target if self.side is Index.PRE else self.synapses.source

    @property
    def prepost(self) -> str:
        """`pre` or `post`: the side whose spikes it receives."""
        return SIDES[self.side][0]

    @property
    def clock(self) -> Clock:
        """The clock of the group whose spikes it receives."""
        clock: Clock = self.source.clock
        return clock

    @property
    def delay(self) -> VariableView:
        """Time from the spike to its effect (s): one value for each synapse, or one for all if given to the constructor."""
        return self.synapses._delay_view(self.key)

    @delay.setter
    def delay(self, value: object) -> None:
        view = self.delay
        if not (isinstance(value, VariableView) and value.is_same(view)):
            view.set_item(slice(None), value)

    def __repr__(self) -> str:
        return f"<pathway {self.name!r} on {SIDES[self.side][0]}: {self.code!r}>"
