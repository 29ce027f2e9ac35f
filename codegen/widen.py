"""Maps over part of a group as Maps over the whole group, for what computes whole arrays: gradients, and modules."""

from __future__ import annotations

from dataclasses import replace

from .dataflow import reads
from .expr import Compare, DType, Index, Logical, Name, Number
from .ir import Array, Let, Line, Load, Map, Program, Role, Select, Store, defined


def widen(program: Program) -> Program:
    """`Program -> Program`: elements that are not in the part of a Map run it, too, and keep what they had."""
    kernels = tuple(_widened(kernel) if isinstance(kernel, Map) and kernel.part is not None else kernel for kernel in program.kernels)
    known = {array.name for array in program.arrays}
    numbers = {name: kernel.space for kernel in kernels if isinstance(kernel, Map) for name in reads(kernel) - known}
    arrays = tuple(Array(name, space, Role.INDEX, DType.INT32) for name, space in numbers.items())
    return replace(program, arrays=(*program.arrays, *arrays), kernels=kernels)


def _widened(kernel: Map) -> Map:
    """`Map -> Map`: with the condition that the element is one of the part, at every store."""
    assert kernel.part is not None
    loads = {(load.array, load.index): load for load in kernel.loads}
    taken = {load.name for load in kernel.loads} | {name for line in kernel.body for name in defined(line)}

    def unused(stem: str) -> str:
        while stem in taken:
            stem = f"_{stem}"
        taken.add(stem)
        return stem

    def loaded(array: str, index: Index, stem: str, dtype: DType) -> Name:
        found = loads.setdefault((array, index), Load(stem, array, index, dtype))
        taken.add(found.name)
        return Name(found.name)

    place = loaded(f"{kernel.space}.i", Index.SELF, unused("i"), DType.INT32)
    inside = unused("inside")
    first, stop = (Number(number) for number in kernel.part)
    body: list[Line] = [*kernel.body, Let(inside, Logical("and", Compare(">=", place, first), Compare("<", place, stop)), DType.BOOL)]
    stores: list[Store] = []
    for store in kernel.stores:
        if store.index is not Index.SELF or store.add:
            raise TypeError(f"kernel {kernel.name} runs for part of {kernel.space}, and writes more than its own elements of {store.array}")
        name, old = unused(f"{store.name}_inside"), loaded(store.array, Index.SELF, unused(f"{store.name}_old"), store.dtype)
        body.append(Select(name, Name(inside), Name(store.name), old, store.dtype))
        stores.append(replace(store, name=name))
    return replace(kernel, loads=tuple(loads.values()), body=tuple(body), stores=tuple(stores), part=None)
