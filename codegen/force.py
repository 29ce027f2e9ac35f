"""Spikes that are given instead of found: teacher forcing, and the exact comparison of engines on one raster."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from .expr import DType, Index, Name
from .ir import Array, Fire, Force, Kernel, Line, Load, Map, Program, Role, Table


def force_events(program: Program, events: Collection[str]) -> Program:
    """`Program -> Program`: each event array in `events` takes the rows of the table `event:forced` where those of `event:mask` hold."""
    arrays: list[Array] = []
    tables: list[Kernel] = []
    kernels: list[Kernel] = []
    for event in events:
        space = program.array(event).space
        arrays += [Array(f"{event}:forced", space, Role.INPUT), Array(f"{event}:mask", space, Role.INPUT, DType.BOOL)]
        tables += [Table(f"{event}:forced", f"{event}:forced"), Table(f"{event}:mask", f"{event}:mask")]
    for kernel in program.kernels:
        found = {s.array: s.name for s in kernel.stores if s.array in events} if isinstance(kernel, Map) else {}
        for event, name in found.items():
            assert isinstance(kernel, Map)
            kernel = _force(kernel, event, name)
        kernels.append(kernel)
    return replace(program, arrays=(*program.arrays, *arrays), kernels=(*tables, *kernels))


def _force(kernel: Map, event: str, name: str) -> Map:
    """The Map in which everything after the Fire called `name` sees the forced spikes."""
    free = Name(f"{name}_free")
    value, mask = Load(f"{name}_forced", f"{event}:forced", Index.SELF), Load(f"{name}_mask", f"{event}:mask", Index.SELF, DType.BOOL)
    body: list[Line] = []
    for line in kernel.body:
        if isinstance(line, Fire) and line.name == name:
            body += [replace(line, name=free.name), Force(name, free, Name(value.name), Name(mask.name))]
        else:
            body.append(line)
    return replace(kernel, loads=(*kernel.loads, value, mask), body=tuple(body))


