"""Pathways as tables: what arrives in a step is computed outside the Program, which only adds it up. So a pathway can be a product of matrices, or an addition
of rows for the neurons that fired, and its transpose is that of the table.

A pathway is linear if the amounts that it adds are known before the run: then the table holds, for each target, the sum of what arrives there. Any other
becomes a Map over its synapses, and the table holds the event that arrives at each of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from .adjoint import active_arrays, dense
from .dataflow import constant_in_run, late
from .expr import DType, Index
from .ir import Array, Deliver, Draw, Kernel, Load, Map, Program, Role, Table
from .surrogate import Gradients


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What the table `name` holds: of a linear pathway the sums for the targets of its store number `store`, of any other (None) the event at each synapse.

    `late` is how many steps after it was sent an event without a delay arrives.
    """

    name: str
    array: str
    pathway: Deliver
    store: int | None
    late: int


def feed_pathways(program: Program) -> tuple[Program, tuple[Arrivals, ...]]:
    """`Program -> Program, arrivals`: every Deliver becomes Tables, and every Map one that all elements run."""
    fixed = constant_in_run(program)
    kernels: list[Kernel] = []
    found: list[Arrivals] = []
    arrays: list[Array] = []
    for kernel in program.kernels:
        match kernel:
            case Map():
                kernels.append(dense(kernel))
            case Deliver():
                delayed = late(program, kernel, kernel.events)
                if _is_linear(kernel, fixed):
                    new = [Arrivals(f"{kernel.name}>{n}", store.array, kernel, n, delayed) for n, store in enumerate(kernel.stores)]
                    kernels += [Table(one.name, one.array, True, kernel.slot, kernel.order, kernel.clock) for one in new]
                    found += new
                    continue
                one = Arrivals(f"{kernel.name}>", f"{kernel.name}:event", kernel, None, delayed)
                arrays.append(Array(one.array, kernel.space, Role.INPUT))
                kernels += [Table(one.name, one.array, False, kernel.slot, kernel.order, kernel.clock), _at_synapses(kernel, one.array)]
                found.append(one)
            case _:
                kernels.append(kernel)
    return replace(program, arrays=(*program.arrays, *arrays), kernels=tuple(kernels)), tuple(found)


def _is_linear(kernel: Deliver, fixed: Collection[str]) -> bool:
    if any(isinstance(line, Draw) for line in kernel.body) or not all(load.array in fixed for load in kernel.loads):
        return False
    return all(store.add and store.dtype is DType.FLOAT and store.index in (Index.PRE, Index.POST) for store in kernel.stores)


def _at_synapses(kernel: Deliver, events: str) -> Map:
    """The pathway as a Map over synapses, each of which finds its event in an array of its own."""
    whole = dense(kernel)
    own = [load for load in whole.loads if load not in kernel.loads and load.array == kernel.events]
    loads = tuple(Load(load.name, events, Index.SELF, DType.FLOAT) if load in own else load for load in whole.loads)
    return replace(whole, loads=loads)


def trained_arrays(program: Program, arrivals: Collection[Arrivals], gradient: Gradients, wrt: Collection[str], amounts: Collection[str]) -> tuple[str, ...]:
    """The arrays whose cotangents a backward pass needs: those in `wrt`, and the targets of arrivals that depend on something trained.

    `amounts` names the linear arrivals whose amounts are trained.
    """
    wanted = {*wrt, *(one.array for one in arrivals if one.name in amounts)}
    while True:
        active = active_arrays(program, gradient, wanted)
        more = {one.array for one in arrivals if one.pathway.events in active} - wanted
        if not more:
            return tuple(sorted(wanted))
        wanted |= more
