"""Pathways of many delays, and those whose delays are learned: what a run is given of these, and linear ones as operations, whose synapses reach all delays
in one window on time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from codegen.outside import Arrivals

from ..delays import shift_of
from ..delivery import Delivery, Values
from .linear import rows_of
from .operations import Kind, Place, padded
from .stage import Stage, address

STEPS, SHIFT = "|steps", "|shift"
"""After the name of a pathway: the delays of its synapses in a run, and what passes gradients to them."""
BLOCK = 32
"""The fewest steps of a block of gradients."""
TRAVEL = 16
"""By how many steps a window moves on before it is moved back; `_delays.h` has the same number."""


@dataclass(frozen=True, eq=False)
class Learned:
    """A pathway whose delays are learned.

    Parameters
    ----------
    delivery : the torch engine's.
    dt : the step of its clock in seconds.
    late : the steps after which an event without a delay arrives.
    """

    delivery: Delivery
    dt: float
    late: int

    @property
    def events(self) -> str:
        """The events that it delivers."""
        return self.delivery.kernel.events

    def given(self, values: Values) -> dict[str, torch.Tensor]:
        """The delays of a run in steps, and a shift of 0 that has their gradient (empty if nobody asks for it), by the names of their tensors."""
        name, count = self.delivery.kernel.name, len(self.delivery.places)
        found = shift_of(values[str(self.delivery.kernel.delay)], self.dt, count)
        steps = np.minimum(found.steps + self.late, np.iinfo(np.int32).max).astype(np.int32)
        return {name + STEPS: torch.from_numpy(steps), name + SHIFT: torch.empty(0) if found.shift is None else found.shift}


@dataclass(frozen=True, eq=False)
class Delayed:
    """The synapses of a linear pathway with delays of their own, sorted by source.

    Attributes
    ----------
    name : of the arrivals, and of their amounts.
    arrivals : what the pathway adds to.
    delivery : the torch engine's, which computes the amounts.
    n_source, n_target : the numbers of neurons.
    row, target : where the synapses of each source begin, and the target of each.
    chosen : the synapses in the order of the rows; None if that is their own.
    place : where each synapse reaches the window, by its delay and target; of learned delays, those of a run.
    reach : by how many steps the longest delay exceeds the shortest possible one.
    flat : for each source, whether the places of its synapses follow each other.
    """

    name: str
    arrivals: Arrivals
    delivery: Delivery
    n_source: int
    n_target: int
    row: np.ndarray
    target: np.ndarray
    chosen: torch.Tensor | None
    place: np.ndarray
    reach: int = 0
    flat: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))

    @property
    def width(self) -> int:
        """The elements of a row of the window."""
        return padded(self.n_target)

    @property
    def elements(self) -> int:
        """Those of the window of one member."""
        return (TRAVEL + self.reach) * self.width

    @property
    def pathway(self) -> str:
        """The name of the pathway."""
        return self.arrivals.pathway.name

    @property
    def shift(self) -> str:
        """The name of what passes gradients to the delays."""
        return self.pathway + SHIFT

    def amounts(self, values: Values) -> torch.Tensor:
        """What the operator is given: the amounts of the synapses in the order of the rows."""
        assert self.arrivals.store is not None
        amount = self.delivery.amounts(values)[self.arrivals.store]
        return amount if self.chosen is None else amount[self.chosen]

    def after(self, steps: np.ndarray) -> Delayed:
        """The same with some delays."""
        waits = (steps if self.chosen is None else steps[self.chosen.numpy()]) - self.arrivals.late
        place = waits * np.int32(self.width) + self.target
        breaks = np.zeros(len(place) + 1, np.int32)
        np.cumsum(np.diff(place) != 1, out=breaks[1:-1])
        first, last = self.row[:-1], np.maximum(self.row[1:] - 1, self.row[:-1])
        return replace(self, place=place, reach=int(waits.max(initial=0)), flat=(breaks[first] == breaks[last]).astype(np.uint8))

    @property
    def block(self) -> int:
        """How many steps of a member are added to gradients before the next member comes: windows on them are made for so many."""
        return max(BLOCK, 1 << max(0, self.reach // 2).bit_length())

    @cached_property
    def early(self) -> bool:
        """Whether an event arrives at some synapse as soon as it can."""
        return bool((self.place < self.width).any())

    @cached_property
    def pairs(self) -> np.ndarray:
        """Where each synapse finds a pair of its cotangent and its slope; what arrives as soon as it can has a slope of its own, behind those of a block."""
        there = 2 * (self.block + self.reach) * self.width
        return 2 * self.place + np.where(self.place < self.width, np.int32(there), np.int32(0)) if self.early else 2 * self.place

    def in_order(self, values: np.ndarray) -> np.ndarray:
        """Values of the synapses in their own order, from those in the order of the rows."""
        if self.chosen is None:
            return values
        found = np.empty_like(values)
        found[self.chosen.numpy()] = values
        return found


def delayed_of(arrivals: Arrivals, delivery: Delivery) -> Delayed:
    """A linear pathway, without delays yet."""
    assert arrivals.store is not None
    side, store = arrivals.pathway.side, arrivals.pathway.stores[arrivals.store]
    places, cpu = delivery.places, torch.device("cpu")
    row, order, target = rows_of(places.ends(side, cpu).numpy(), places.ends(store.index, cpu).numpy(), places.n[side])
    chosen = None if order is None else torch.from_numpy(order)
    return Delayed(f"{arrivals.name}:", arrivals, delivery, places.n[side], places.n[store.index], row, target, chosen, target)


# ------------------------------------------------------------------------------------------------------------------------------------------ operations
def send(stage: Stage, part: Delayed, weights: np.ndarray, to: Place, past: int, function: int, source: Mapping[str, int]) -> None:
    """Events go ahead into the window when they can arrive at the earliest; what arrives is added to an accumulator.

    `source` says where the events are: lists, or bits and room to list those of a step.
    """
    size = part.elements
    window = stage.memory.take(stage.extent.tile * size * stage.extent.real.itemsize)
    fields = dict(function=function, matrix=address(weights), rows=address(part.row), targets=address(part.place), padded=part.width, size=size)
    fields |= dict(entries=window, n_entries=part.reach, delay=past - part.arrivals.late, per_step=address(part.flat), **source)
    stage.kept += [part, weights]
    stage.before(Kind.REFILL, **fields)
    stage.step(Kind.SEND, place=to.address, stride=to.stride, **fields)


def pull(
    stage: Stage, part: Delayed, weights: np.ndarray, bar: Place, to: Place, ring: int | None, past: int, function: int, some: Mapping[str, int], before: bool
) -> None:
    """The cotangents of events, from those of what they deliver in this step and later ones; `before`: also those of the events before the run."""
    extent, late = stage.extent, part.arrivals.late
    groups, size = -(-extent.tile // 8), part.elements * 8
    window = stage.memory.take(64 + groups * size * extent.real.itemsize) + 64
    in_ring = ring is not None and late > 0
    fields = dict(function=function, matrix=address(weights), index=address(part.row), targets=address(part.place), n_source=part.n_source, stride=to.stride)
    fields |= dict(address=window, size=size, padded=part.width, n_entries=part.reach, delay=late, rows=past + 1)
    stage.kept += [part, weights]
    place = ring if in_ring and ring is not None else to.address
    flags = (2 if in_ring else 0) | (4 if some else 0)
    stage.step(Kind.PULL, place=place, extra=bar.address, words=bar.stride, per_member=part.n_target, flags=flags, **some, **fields)
    if before and ring is not None:
        stage.after(Kind.PULL_PAST, place=ring, **fields)
