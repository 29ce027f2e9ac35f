"""What runs in both directions know of a network, and its values in the memory in which they want them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from codegen.expr import Index
from codegen.ir import Map, Program, Table
from codegen.noise import Noise
from codegen.outside import Arrivals

from ..recording import Count, Last, Max, Mean, Reduction
from .delayed import Delayed
from .linear import Part
from .operations import Kind, padded
from .stage import Stage, address, aligned

Tensors = Mapping[str, torch.Tensor]
PAST = "|past"
"""After the name of an array of events: those of the steps before a run, or after it."""


@dataclass(frozen=True, slots=True)
class Network:
    """What does not change from run to run.

    Parameters
    ----------
    program : with its pathways as tables.
    arrivals : these tables, by name.
    parts : of the linear ones, by their names.
    delayed : of the linear ones those with many delays, or learned ones, by their names.
    delays : of the others, after how many steps the event of each synapse arrives.
    memory : how many steps back the events of an array are needed.
    fixed, moving : the arrays that nothing changes, and those that make the state.
    reductions : of each record.
    noises : what tables of random numbers hold, by name, and the streams of their objects.
    draws : of the tables of laws with parameters, the Maps that draw what no thresholds give.
    streams : of every Map that draws, by its name.
    """

    program: Program
    arrivals: Mapping[str, Arrivals]
    parts: Mapping[str, Sequence[Part]]
    delayed: Mapping[str, Delayed]
    delays: Mapping[str, np.ndarray]
    memory: Mapping[str, int]
    fixed: frozenset[str]
    moving: tuple[str, ...]
    reductions: Mapping[str, Reduction | None]
    noises: Mapping[str, tuple[Noise, int]]
    draws: Mapping[str, Map]
    streams: Mapping[str, int]

    @property
    def sources(self) -> dict[str, None]:
        """The arrays of events that pathways deliver."""
        return dict.fromkeys(one.pathway.events for one in self.arrivals.values())

    def inputs(self) -> dict[str, str]:
        """The arrays that tables feed from outside, with the names of the tables."""
        return {kernel.array: kernel.name for kernel in self.program.kernels if isinstance(kernel, Table) and kernel.name not in self.arrivals}

    def returns_late(self, events: str) -> bool:
        """Whether a linear pathway returns cotangents of these events in steps after their own."""
        delays = [part.delay for parts in self.parts.values() for part in parts if part.arrivals.pathway.events == events]
        return any((*delays, *(part.arrivals.late for part in self.delayed.values() if part.arrivals.pathway.events == events)))

    def past(self, events: str) -> int:
        """How many steps back the events of an array are needed."""
        return self.memory.get(events, 0)


def flat(value: torch.Tensor, members: int, rows: int | None = None) -> torch.Tensor:
    """A tensor with one axis for the batch (and one for time, before it), whose last axis is contiguous."""
    lead = () if rows is None else (rows,)
    given = value.reshape(*lead, -1, value.shape[-1]) if value.dim() != len(lead) + 2 else value
    given = given.expand(*lead, members, value.shape[-1])
    return given if given.stride(-1) == 1 else given.contiguous()


def reduction_kind(reduction: Reduction | None) -> Kind | None:
    """The operation that makes a record; None for one that has a time axis, also where torch reduces it afterwards."""
    return {Count: Kind.SUM, Mean: Kind.SUM, Max: Kind.MAXIMUM, Last: Kind.LAST_OUT}.get(type(reduction))  # type: ignore[arg-type]


def gathering(network: Network, stage: Stage, arrivals: Arrivals) -> dict[str, int]:
    """The source and the delay of each synapse, as an operation finds them."""
    side = arrivals.pathway.side
    assert side in (Index.PRE, Index.POST)
    sources = np.ascontiguousarray(stage.connections[arrivals.pathway.space].ends(side)[0], np.int32)
    delays = np.ascontiguousarray(network.delays[arrivals.name], np.int32)
    stage.kept += [sources, delays]
    return dict(index=address(sources), first=address(delays))


def rows_of_vectors(stage: Stage, value: torch.Tensor, dense: bool) -> np.ndarray:
    """A matrix, or a list of amounts, in memory: its own where it begins with a line of cache and has rows of whole vectors, else a copy."""
    array = value.detach().numpy()
    if not dense:
        array = np.ascontiguousarray(array)
    elif array.shape[1] % 16 or not array.flags.c_contiguous or array.ctypes.data % 64:
        copy = aligned(array.shape[0] * padded(array.shape[1]), stage.extent.real).reshape(array.shape[0], -1)
        copy[:, : array.shape[1]] = array
        copy[:, array.shape[1] :] = 0
        array = copy
    stage.kept.append(array)
    return array
