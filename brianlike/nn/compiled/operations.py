"""The operations of the training driver as rows of whole numbers, and where a tile has its arrays: what `_training.h` carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

LINE = 64  # bytes of a line of cache: every array begins with one
PAGE = 4096  # bytes
VECTOR = 16  # elements: arrays are padded to a multiple of it


class Kind(IntEnum):
    """What an operation does; `_training.h` has the same list, and says what each reads."""

    MAP = 0
    COPY_IN = 1
    COPY_OUT = 2
    ADD_IN = 3
    ZERO = 4
    BYTES_IN = 5
    BYTES_OUT = 6
    PACK = 7
    UNPACK = 8
    LIST = 9
    SCAN = 10
    DELIVER = 11
    RETURN = 12
    TURN = 13
    CLOCK = 14
    SUM = 15
    MAXIMUM = 16
    ADD_MAXIMUM = 17
    GATHER = 18
    SCATTER = 19
    RING_IN = 20
    RING_OUT = 21
    TILE_OUT = 22
    LAST_IN = 23
    LAST_OUT = 24
    SAVE = 25
    KEEP = 26
    ROWS = 27
    HALF_OUT = 28
    HALF_IN = 29
    SPREAD = 30
    DRAW = 31
    SEND = 32
    REFILL = 33
    PULL = 34
    PULL_PAST = 35
    SLOPE = 36
    ROWS_APART = 37
    PACK_LISTS = 38
    UNPACK_LISTS = 39


FIELDS = (
    "kind function size padded place stride address per_step per_member delay first index value words matrix matrix_stride n_source "
    "rows targets entries n_entries wide flags extra"
).split()
PLACES = {name: n for n, name in enumerate(FIELDS)}


def padded(n: int) -> int:
    """A number of elements, in whole vectors."""
    return -(-n // VECTOR) * VECTOR


def operation(kind: Kind, **fields: int) -> list[int]:
    """One operation; fields that are not given are 0."""
    row = [0] * len(FIELDS)
    row[0] = int(kind)
    for name, value in fields.items():
        row[PLACES[name]] = int(value)
    return row


@dataclass(slots=True)
class Operations:
    """What a run does for each tile before its first step, in every step, and after its last one."""

    begin: list[list[int]] = field(default_factory=list)
    step: list[list[int]] = field(default_factory=list)
    end: list[list[int]] = field(default_factory=list)
    entries: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The four tables as arrays of int64."""
        rows = [np.array(part, np.int64).reshape(-1, len(FIELDS)) for part in (self.begin, self.step, self.end)]
        return rows[0], rows[1], rows[2], np.array(self.entries, np.int64).reshape(-1, 5)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of an array are.

    Attributes
    ----------
    kind : 0 in the memory of the tile, 1 elsewhere and the same for all, 2 elsewhere and moving with the step and the member, 3 on the tape of a thread.
    address : offset in the memory or on the tape, or address.
    size, item : number of elements of a member, bytes of one.
    stride : elements from one member to the next.
    per_step, per_member : bytes, of kinds 2 and 3.
    """

    kind: int
    address: int
    size: int
    item: int
    stride: int
    per_step: int = 0
    per_member: int = 0

    @property
    def entry(self) -> tuple[int, int, int, int, int]:
        """As a pointer of a Map."""
        return self.kind, self.address, self.per_step, self.per_member, self.stride

    @property
    def row(self) -> int:
        """Bytes from one member to the next."""
        return self.stride * self.item


class Memory:
    """The memory of a tile: what of it is taken so far."""

    def __init__(self, tile: int) -> None:
        self.tile, self.bytes = tile, 0

    def take(self, count: int) -> int:
        """The offset of so many bytes."""
        place = self.bytes
        self.bytes += -(-count // LINE) * LINE
        return place

    def members(self, size: int, item: int) -> Place:
        """An array of which each member has its own values."""
        return Place(0, self.take(self.tile * padded(size) * item), size, item, padded(size))

    def shared(self, size: int, item: int) -> Place:
        """An array of which all members of the tile have one."""
        return Place(0, self.take(padded(size) * item), size, item, 0)
