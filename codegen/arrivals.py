"""What arrives at one variable through several pathways is summed in one accumulator, and added to the variable once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .dataflow import reads, writes
from .ir import Array, Deliver, Extern, Kernel, Map, Program, Role


def share_accumulators(program: Program) -> Program:
    """`Program -> Program`: pathways whose sums reach the same variable one after the other, unseen by anything in between, share one accumulator."""
    accumulators = {array.name for array in program.arrays if array.role is Role.ACCUMULATOR}
    kernels = list(program.kernels)
    gone: set[str] = set()
    place = 0
    while place < len(kernels):
        other = _next(kernels, place, accumulators)
        if other is None:
            place += 1
            continue
        first, second = kernels[place], kernels[other]
        assert isinstance(first, Map) and isinstance(second, Map)
        kept, dropped = _accumulator(first, accumulators), _accumulator(second, accumulators)
        assert kept is not None and dropped is not None
        gone.add(dropped)
        kernels[other] = replace(second, after=(*first.after, *second.after))
        del kernels[place]
        kernels = [_redirected(kernel, dropped, kept) for kernel in kernels]
    arrays: tuple[Array, ...] = tuple(array for array in program.arrays if array.name not in gone)
    return replace(program, arrays=arrays, kernels=tuple(kernels))


def _accumulator(kernel: Kernel, accumulators: set[str]) -> str | None:
    """The accumulator that a Map adds to its variable, if that is what it does."""
    if not isinstance(kernel, Map) or not kernel.after:
        return None
    found = [load.array for load in kernel.loads if load.array in accumulators]
    return found[0] if len(found) == 1 else None


def _next(kernels: Sequence[Kernel], place: int, accumulators: set[str]) -> int | None:
    """The place of the next Map that could add what this one adds, too."""
    first = kernels[place]
    own = _accumulator(first, accumulators)
    if own is None or not isinstance(first, Map):
        return None
    seen, changed = writes(first), reads(first) | writes(first)
    for other in range(place + 1, len(kernels)):
        second = kernels[other]
        their = _accumulator(second, accumulators)
        if isinstance(second, Map) and their is not None and _same(first, _redirected(second, their, own)):
            return other
        if reads(second) & seen or writes(second) & changed:
            return None
    return None


def _same(first: Map, second: Kernel) -> bool:
    """Whether two Maps do the same to the same arrays."""
    if not isinstance(second, Map):
        return False
    return (first.space, first.clock, first.loads, first.body, first.stores) == (second.space, second.clock, second.loads, second.body, second.stores)


def _redirected(kernel: Kernel, old: str, new: str) -> Kernel:
    """The kernel with one accumulator in place of another."""
    if isinstance(kernel, Extern):
        return replace(kernel, reads=tuple(name for name in kernel.reads if name != old))
    if not isinstance(kernel, Map | Deliver):
        return kernel
    loads = tuple(replace(load, array=new) if load.array == old else load for load in kernel.loads)
    stores = tuple(replace(store, array=new) if store.array == old else store for store in kernel.stores)
    return replace(kernel, loads=loads, stores=stores)
