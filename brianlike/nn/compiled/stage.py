"""One direction of a training run under construction: where every array is, and what is done with it before, in and after the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from codegen.emit.cython import LENGTH, storage
from codegen.expr import DType, Index
from codegen.ir import Array, Map, Role, Source

from ...build import NativeKernel
from ...simulate import Connection
from .buffers import buffers
from .operations import LINE, Kind, Memory, Operations, Place, operation, padded

SIDES = (Index.PRE, Index.POST)
ITEMS: dict[str, np.dtype] = {
    name: np.dtype(kind) for name, kind in dict(double="f8", float="f4", int32_t="i4", int64_t="i8", uint8_t="u1").items()
}


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a run is: steps, members of the batch, members of a tile, number of the first step (one, or one for each member), dt in seconds, and whether
    reals are doubles.

    What is kept for the backward run: the state of every `checkpoint` steps, or (0) all steps, `half`: as bfloat16. `lengths` are the numbers
    of steps of the members, the longest first, where they have numbers of their own.
    """

    steps: int
    members: int
    tile: int
    first: tuple[int, ...]
    dt: float
    wide: bool
    checkpoint: int = 0
    half: bool = False
    lengths: tuple[int, ...] = ()

    @property
    def real(self) -> np.dtype:
        """The type of reals."""
        return np.dtype(np.float64 if self.wide else np.float32)

    @property
    def active(self) -> np.ndarray:
        """How many members are left in each step, and none after the last; empty if all have the same number of steps."""
        ends = np.sort(np.array(self.lengths, np.int64))
        return len(ends) - np.searchsorted(ends, np.arange(self.steps + 1), side="right").astype(np.int64) if self.lengths else ends

    @property
    def tiles(self) -> int:
        """How many tiles the batch has."""
        return -(-self.members // self.tile)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A Map that was compiled: its text's parameters, and its address."""

    kernel: Map
    source: Source
    native: NativeKernel


def aligned(count: int, dtype: np.dtype, sparse: bool = False) -> np.ndarray:
    """An array that begins with a line of cache; its values are whatever was there. `sparse`: few of them will be touched."""
    item = np.dtype(dtype).itemsize
    whole = buffers.take(count * item + LINE, sparse)
    start = -whole.ctypes.data % LINE
    return whole[start : start + count * item].view(dtype)


def tensor(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A tensor of whatever values, in memory that may have been used before."""
    count = math.prod(shape)
    return torch.from_numpy(aligned(count * dtype.itemsize, np.dtype(np.uint8))).view(dtype).view(shape) if count else torch.empty(shape, dtype=dtype)


def address(array: np.ndarray) -> int:
    """Where its first value is."""
    return int(array.ctypes.data)


@dataclass(slots=True)
class Stage:
    """Arrays and operations of one direction.

    Parameters
    ----------
    arrays : those of the Program, by name.
    sizes : number of elements of each space.
    connections : of the spaces of synapses.
    extent : of the run.
    """

    arrays: Mapping[str, Array]
    sizes: Mapping[str, int]
    connections: Mapping[str, Connection]
    extent: Extent
    operations: Operations = field(default_factory=Operations)
    places: dict[str, Place] = field(default_factory=dict)
    kept: list[object] = field(default_factory=list)
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    memory: Memory = field(init=False)
    tape: Memory = field(init=False)

    def __post_init__(self) -> None:
        self.memory, self.tape = Memory(self.extent.tile), Memory(self.extent.tile)

    def beside(self) -> Stage:
        """A stage for what is computed again: with operations and arrays of its own, in the same memory."""
        other = Stage(self.arrays, self.sizes, self.connections, self.extent, Operations(entries=self.operations.entries), kept=self.kept)
        other.memory, other.tape = self.memory, self.tape
        return other

    # ----------------------------------------------------------------------------------------------------------------------------------------- arrays
    def size(self, name: str) -> int:
        """The number of elements of an array."""
        array = self.arrays[name]
        return self.sizes[array.space] if array.space else array.length

    def dtype(self, name: str) -> np.dtype:
        """The type of an array's elements in memory."""
        return ITEMS[storage(self.arrays[name], "double" if self.extent.wide else "float")]

    def own(self, name: str) -> Place:
        """An array of which each member has its own, in the tile."""
        if name not in self.places:
            self.places[name] = self.memory.members(self.size(name), self.dtype(name).itemsize)
        return self.places[name]

    def common(self, name: str) -> Place:
        """An array of which a tile has one."""
        if name not in self.places:
            self.places[name] = self.memory.shared(self.size(name), self.dtype(name).itemsize)
        return self.places[name]

    def constant(self, name: str, value: torch.Tensor) -> Place:
        """An array that nothing changes: a copy whose padding repeats the last value."""
        if name not in self.places:
            n, dtype = self.size(name), self.dtype(name)
            copy = aligned(padded(n), dtype)
            copy[:n] = value.detach().reshape(-1).numpy()
            copy[n:] = copy[n - 1] if n else 0
            self.kept.append(copy)
            self.places[name] = Place(1, address(copy), n, dtype.itemsize, 0)
        return self.places[name]

    def elsewhere(self, name: str, array: np.ndarray, per_step: int, per_member: int) -> Place:
        """An array that lies in another one, which has a row for each step and member."""
        item = self.dtype(name).itemsize
        self.kept.append(array)
        self.places[name] = Place(2, address(array), self.size(name), item, per_member // item, per_step, per_member)
        return self.places[name]

    # ------------------------------------------------------------------------------------------------------------------------------------- operations
    def step(self, kind: Kind, **fields: int) -> None:
        """What every step does next."""
        self.operations.step.append(operation(kind, wide=self.extent.wide, **fields))

    def before(self, kind: Kind, **fields: int) -> None:
        """What is done before the first step."""
        self.operations.begin.append(operation(kind, wide=self.extent.wide, **fields))

    def after(self, kind: Kind, **fields: int) -> None:
        """What is done after the last step."""
        self.operations.end.append(operation(kind, wide=self.extent.wide, **fields))

    def count(self, name: str) -> int:
        """Where an operation counts how often it took only some elements, and how often all."""
        return address(self.counts.setdefault(name, np.zeros(2, np.int64)))

    def map(self, compiled: Compiled, **drawing: int) -> None:
        """Run a Map in every step; `drawing` is what one needs that draws."""
        kernel, first = compiled.kernel, len(self.operations.entries)
        for name in compiled.source.parameters:
            if name.startswith(LENGTH):
                length = np.array([self.size(name.removeprefix(LENGTH))], np.int64)
                self.kept.append(length)
                self.operations.entries.append((1, address(length), 0, 0, 0))
            else:
                self.operations.entries.append(self.places[name].entry)
        size = self.sizes[kernel.space] if kernel.space else 1
        ends = {}
        connection = self.connections.get(kernel.space)
        if connection is not None:
            i, j = (np.ascontiguousarray(connection.ends(side)[0], np.int32) for side in SIDES)
            self.kept += [i, j]
            ends = {"index": address(i), "value": address(j)}
        self.step(
            Kind.MAP, function=compiled.native.address, size=size, padded=padded(size), entries=first, n_entries=len(self.operations.entries) - first, **ends,
            **drawing,
        )

    def clock(self, name: str) -> None:
        """Keep the time of a clock, and the number of its step; of each member, if they are at different steps."""
        make = self.common if len(self.extent.first) == 1 else self.own
        t, number = make(f"{name}.t"), make(f"{name}.t_in_timesteps")
        assert t.row == number.row  # both have elements of eight bytes
        self.step(Kind.CLOCK, place=t.address, extra=number.address, stride=t.row)


def is_event(array: Array) -> bool:
    """Whether an array holds events: bytes in memory."""
    return array.role is Role.EVENT


def is_bits(array: Array) -> bool:
    """Whether an array is kept as bits for the backward run."""
    return array.role is Role.TAPE and array.dtype is DType.BOOL and array.space is not None
