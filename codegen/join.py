"""Maps that a Program runs one after the other over the same elements become one: what the first writes, the second need not load again.

`fuse` joins what is near before anything is known of the use; this pass is for Programs that run all of their Maps in every step, such as those that
training differentiates: conditions are gone there (`adjoint.dense`), so that a reset meets the update of its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .dataflow import elementwise, reads, writes
from .fuse import merge, same_elements
from .ir import Kernel, Load, Map, Program, Store
from .rare import draws_by_blocks


def join(program: Program) -> Program:
    """`Program -> Program`: Maps over the same elements become one where the order of everything else allows it, those first that save most loads and stores.

    Kernels pass over others that do not touch what they touch. Names of kernels change, so nothing may be on the tape yet.
    """
    assert not program.tape, "join a Program before it keeps anything for its adjoint"
    kernels, merged = program.kernels, dict[tuple[str, str], Map]()
    while True:
        best = max(_joins(kernels, merged), key=lambda found: found[0], default=None)
        if best is None:
            return replace(program, kernels=kernels)
        kernels = best[1]


def _joins(kernels: tuple[Kernel, ...], known: dict[tuple[str, str], Map]) -> list[tuple[int, tuple[Kernel, ...]]]:
    """Every pair that can become one: how many loads and stores that saves, and the kernels with it done. `known` are the pairs tried before."""
    found: list[tuple[int, tuple[Kernel, ...]]] = []
    names = {kernel.name for kernel in kernels}
    for n, second in enumerate(kernels):
        for m, first in enumerate(kernels[:n]):
            if not (isinstance(first, Map) and isinstance(second, Map)) or not _joinable(first, second):
                continue
            between = kernels[m + 1 : n]
            earlier = _passes(second, between)
            before, behind = ([], list(between)) if earlier else _around(first, between)
            if not (earlier or _passes(second, behind)):
                continue
            if (first.name, second.name) not in known:
                known[first.name, second.name] = _merged(first, second, names)
            both = known[first.name, second.name]
            place = (*before, both, *behind)
            found.append((_ends(first) + _ends(second) - _ends(both), (*kernels[:m], *place, *kernels[n + 1 :])))
    return found


def _around(first: Map, between: Sequence[Kernel]) -> tuple[list[Kernel], list[Kernel]]:
    """The kernels that can come before the first, and those that see what it does, or what others of them do."""
    before: list[Kernel] = []
    behind: list[Kernel] = []
    for kernel in between:
        (before if _passes(kernel, [first, *behind]) else behind).append(kernel)
    return before, behind


def _merged(first: Map, second: Map, names: set[str]) -> Map:
    both = _without_idle_stores(merge(first, second))
    while both.name in names:
        both = replace(both, name=f"{both.name}_")
    return both


def _without_idle_stores(kernel: Map) -> Map:
    """`Map -> Map`: without stores of what the array holds anyway."""
    loaded = {(load.array, load.index, load.delayed, load.name) for load in kernel.loads}
    stores = tuple(s for s in kernel.stores if s.add or (s.array, s.index, s.delayed, s.name) not in loaded)
    return replace(kernel, stores=stores) if stores else kernel


def _joinable(first: Map, second: Map) -> bool:
    for kernel in (first, second):
        if kernel.only or kernel.after or not kernel.space or draws_by_blocks(kernel):
            return False
    return same_elements(first, second) and elementwise(first, second) and _same_types(first, second)


def _same_types(first: Map, second: Map) -> bool:
    """Whether both see every array they share as the same type; events are numbers to some and conditions to others."""
    ends: tuple[Load | Store, ...] = (*first.loads, *first.stores)
    types = {end.array: end.dtype for end in ends}
    return all(types.get(load.array, load.dtype) is load.dtype for load in second.loads)


def _passes(kernel: Kernel, others: Sequence[Kernel]) -> bool:
    """Whether a kernel can change places with all others."""
    read, written = reads(kernel), writes(kernel)
    return all(written.isdisjoint(reads(other) | writes(other)) and read.isdisjoint(writes(other)) for other in others)


def _ends(kernel: Map) -> int:
    return len(kernel.loads) + len(kernel.stores)
