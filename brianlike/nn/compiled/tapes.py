"""What a forward run keeps of its steps for the backward run: all of it, or the state of every so many steps, from which a thread computes the rest again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from codegen.expr import DType, Index
from codegen.ir import Map, Program, Role, Table

from .operations import Kind, Memory, Place, padded
from .stage import Extent, Stage, address, aligned, is_bits

SAVED = "|saved"
"""After the name of an array: what it holds before every so many steps."""


class Tape(Protocol):
    """Where the arrays of the role TAPE are, and copies of others.

    Attributes
    ----------
    tensors : what stays after the run, by name.
    """

    tensors: dict[str, torch.Tensor]

    def place(self, name: str) -> None:
        """Where Maps write an array."""

    def stored(self, name: str) -> None:
        """A Map has written it."""

    def copy(self, name: str, array: str) -> None:
        """Keep, as `name`, what another array holds now."""


@dataclass(slots=True)
class EveryStep:
    """All steps of all members; `half`: numbers as bfloat16. `pack` is the address of the function that makes bits of bytes."""

    stage: Stage
    half: bool
    pack: int
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    def place(self, name: str) -> None:
        stage, extent = self.stage, self.stage.extent
        if is_bits(stage.arrays[name]) or self.half and is_number(stage, name):
            stage.own(name)
            return
        row = padded(stage.size(name)) * stage.dtype(name).itemsize
        rows = self._rows(name, row)
        stage.elsewhere(name, rows, extent.members * row, row)

    def stored(self, name: str) -> None:
        stage, extent, place = self.stage, self.stage.extent, self.stage.places[name]
        if self.half and is_number(stage, name):
            self._as_half(name, place)
        elif is_bits(stage.arrays[name]):
            words = -(-stage.size(name) // 64)
            bits = aligned(extent.steps * extent.members * words, np.dtype(np.uint64))
            stage.step(Kind.PACK, function=self.pack, place=place.address, stride=place.row, size=place.size, address=address(bits), words=words)
            self.tensors[name] = torch.from_numpy(bits.view(np.int64))

    def copy(self, name: str, array: str) -> None:
        stage, members, place = self.stage, self.stage.extent.members, self.stage.places[array]
        if self.half and is_number(stage, array):
            self._as_half(name, place)
            return
        row = padded(place.size) * place.item
        rows = self._rows(name, row)
        stage.step(Kind.COPY_OUT, place=place.address, stride=row, size=row, address=address(rows), per_step=members * row, per_member=row)

    def _rows(self, name: str, row: int) -> np.ndarray:
        rows = aligned(self.stage.extent.steps * self.stage.extent.members * row, np.dtype(np.uint8))
        self.tensors[name] = torch.from_numpy(rows)
        return rows

    def _as_half(self, name: str, place: Place) -> None:
        n = padded(place.size)
        rows = self._rows(name, 2 * n)
        self.stage.step(Kind.HALF_OUT, place=place.address, size=n, address=address(rows), per_step=self.stage.extent.members * 2 * n, per_member=2 * n)


@dataclass(slots=True)
class Beginnings:
    """The state of all members before every `steps` steps; of the rest nothing."""

    stage: Stage
    steps: int
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)

    def save(self, name: str) -> None:
        """Keep an array of the state; before anything else in a step."""
        stage, extent, place = self.stage, self.stage.extent, self.stage.places[name]
        count = -(-extent.steps // self.steps)
        rows = aligned(count * extent.members * place.row, np.dtype(np.uint8))
        self.tensors[name + SAVED] = torch.from_numpy(rows)
        stage.step(
            Kind.SAVE, place=place.address, size=place.row, address=address(rows), delay=self.steps, per_step=extent.members * place.row, per_member=place.row
        )

    def place(self, name: str) -> None:
        self.stage.own(name)

    def stored(self, name: str) -> None:
        pass

    def copy(self, name: str, array: str) -> None:
        pass


@dataclass(slots=True)
class OnThread:
    """So many steps of one tile, in memory of a thread; `places` are for the backward run."""

    stage: Stage
    steps: int
    tape: Memory
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)

    def enter(self, name: str, kept: Mapping[str, torch.Tensor]) -> None:
        """Begin with what an array of the state held."""
        stage, rows = self.stage, kept[name + SAVED]
        place = stage.own(name)
        stage.before(
            Kind.COPY_IN, place=place.address, stride=place.row, size=place.row, address=rows.data_ptr(), per_step=stage.extent.members * place.row,
            per_member=place.row,
        )

    def place(self, name: str) -> None:
        self.stage.places[name] = self._take(name, self.stage.size(name), self.stage.dtype(name).itemsize)

    def stored(self, name: str) -> None:
        pass

    def copy(self, name: str, array: str) -> None:
        place = self.stage.places[array]
        there = self._take(name, place.size, place.item)
        self.stage.step(Kind.KEEP, place=place.address, size=there.row, extra=there.address, per_step=there.per_step)

    def _take(self, name: str, size: int, item: int) -> Place:
        of_step = self.stage.extent.tile * padded(size) * item
        place = self.places[name] = Place(3, self.tape.take(self.steps * of_step), size, item, padded(size), of_step)
        return place


def is_number(stage: Stage, name: str) -> bool:
    """Whether bfloat16 can stand for an array: reals, but not times."""
    array = stage.arrays[name]
    return array.dtype is DType.FLOAT and array.role not in (Role.CLOCK, Role.EVENT) and stage.dtype(name) == stage.extent.real


def resumed(program: Program, moving: tuple[str, ...]) -> list[str]:
    """The arrays of the state whose values a step reads, or adds to; others are written anew."""
    read: set[str] = set()
    for kernel in program.kernels:
        if isinstance(kernel, Map):
            read |= {load.array for load in kernel.loads}
            read |= {store.array for store in kernel.stores if store.add or store.index is not Index.SELF}
        elif isinstance(kernel, Table) and kernel.add:
            read.add(kernel.array)
    return [name for name in moving if name in read]


def with_ties(tape: Mapping[str, torch.Tensor], extent: Extent) -> dict[str, torch.Tensor]:
    """Of the bits that tell when maxima were reached, those of members of which an element reached its own more than once; of others the first step says it.

    They are whole words for each step and member, of which only bytes that hold some are kept.
    """
    found = {}
    for name, bits in tape.items():
        if name.endswith("|bits"):
            ties = tape[name.removesuffix("bits") + "ties"]
            held = bits.numpy().reshape(extent.steps, extent.members, -1).take(np.flatnonzero(several(ties)), axis=1)
            found[name] = torch.from_numpy(held.view(np.uint8)[..., : -(-ties.shape[1] // 8)].flatten())
    return found


def several(ties: torch.Tensor) -> np.ndarray:
    """Which members have an element that reached its maximum more than once, or (it is not a number) never."""
    return (ties.numpy() != 1).any(1)
