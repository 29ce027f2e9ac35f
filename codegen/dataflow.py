"""Who reads and writes what in a Program, and what follows from it: when a value can change."""

from __future__ import annotations

from .expr import Index
from .ir import Deliver, Extern, Kernel, Load, Map, Program, Record, Role, Store, Table


def reads(kernel: Kernel) -> set[str]:
    """The arrays that a kernel reads."""
    match kernel:
        case Map():
            return {load.array for load in kernel.loads} | ({kernel.only} if kernel.only else set())
        case Deliver():
            return {load.array for load in kernel.loads} | {kernel.events} | ({kernel.delay} if kernel.delay else set())
        case Record():
            return {kernel.array, *kernel.gather}
        case Table():
            return set()
        case Extern():
            return set(kernel.reads)
    raise TypeError(f"not a kernel: {kernel!r}")


def writes(kernel: Kernel) -> set[str]:
    """The arrays that a kernel writes."""
    match kernel:
        case Map() | Deliver():
            return {store.array for store in kernel.stores}
        case Record():
            return set()
        case Table():
            return {kernel.array}
        case Extern():
            return set(kernel.writes)
    raise TypeError(f"not a kernel: {kernel!r}")


def elementwise(first: Map, second: Map) -> bool:
    """Whether two Maps over the same elements can run one element after the other: what one of them writes, the other reaches at its own element only."""
    own = {Index.SELF, Index.SHARED} if not first.space else {Index.SELF}
    ends: tuple[Load | Store, ...] = (*first.loads, *second.loads, *first.stores, *second.stores)
    added = {store.array for store in (*first.stores, *second.stores) if store.add}
    common = (writes(first) & (reads(second) | writes(second))) | (writes(second) & reads(first))
    return common.isdisjoint(added) and all(end.index in own for end in ends if end.array in common)


CHANGEABLE = frozenset({Role.STATE, Role.PARAMETER, Role.HIDDEN})
"""The roles of arrays that users can assign to, also while an Extern runs."""

MOVING = frozenset({Role.EVENT, Role.ACCUMULATOR, Role.INPUT, Role.TAPE, Role.COTANGENT})


def constant_in_run(program: Program) -> frozenset[str]:
    """The arrays that keep their value through a run: nothing in the loop writes them, and they are not the running time.

    What an Extern may write is not among what moves: it tells the engine when it has, and the engine repeats the set-up.
    """
    moving = {array for kernel in program.kernels if not isinstance(kernel, Extern) for array in writes(kernel)}
    return frozenset(
        a.name for a in program.arrays if a.name not in moving and a.role not in MOVING and not (a.role is Role.CLOCK and not a.name.endswith(".dt"))
    )


def every(program: Program, events: str) -> int:
    """How many ticks lie between two steps of what finds these events, or else of what delivers them."""
    finders = [kernel for kernel in program.kernels if not isinstance(kernel, Extern) and events in writes(kernel)]
    readers = [kernel for kernel in program.kernels if not isinstance(kernel, Extern) and events in reads(kernel)]
    return next((program.every(kernel) for kernel in (*finders, *readers)), 1)


def late(program: Program, kernel: Kernel, events: str) -> int:
    """1 if the kernel comes before the step has found these events, so that it sees those of the step before; else 0."""
    found = [n for n, other in enumerate(program.kernels) if events in writes(other)]
    return int(bool(found) and program.kernels.index(kernel) < found[-1])
