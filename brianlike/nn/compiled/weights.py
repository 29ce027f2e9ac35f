"""The gradients of weights: threads own columns (or, of sparse parts, sources), and add from the last step to the first and in the order of members.

So the bits are the same for any number of threads, and however many steps are added at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..._training import dense_gradient, sparse_gradient
from .backwards import WeightGradient
from .operations import padded
from .parallel import thread_count, together
from .stage import Extent, address, aligned

NEAR = 512 * 1024  # bytes of a gradient that a thread works on at a time: what stays in half of a level 2 cache


@dataclass(slots=True)
class _Piece:
    """Columns (or sources) of a gradient, with a matrix of their own whose rows follow each other: those of 1024 columns would share few lines of cache."""

    one: WeightGradient
    begin: int
    end: int
    near: np.ndarray | None = None


@dataclass(slots=True)
class WeightGradients:
    """The gradients of several parts, with what the backward run left for them of some steps at a time."""

    weights: Sequence[WeightGradient]
    extent: Extent
    functions: Mapping[str, int]
    pieces: list[_Piece] = field(init=False)

    def __post_init__(self) -> None:
        self.pieces = [piece for one in self.weights for piece in (_columns(one, self.extent) if one.part.dense else _sources(one))]

    def add(self, first: int, last: int) -> None:
        """Add what the steps `first` to `last` say."""

        def work(piece: _Piece, stop: np.ndarray) -> None:
            (self._add_dense if piece.one.part.dense else self._add_sparse)(piece, (first, last), stop)

        self._each(work)

    def finish(self) -> None:
        """Put the gradients together."""

        def work(piece: _Piece, stop: np.ndarray) -> None:
            if piece.near is not None:
                piece.one.gradient.reshape(piece.one.part.n_source, -1)[:, piece.begin : piece.end] = piece.near

        self._each(work)

    def _each(self, work: Callable[[_Piece, np.ndarray], None]) -> None:
        stop, taken = np.zeros(1, np.int32), iter(self.pieces)

        def share(number: int) -> None:
            for piece in taken:  # a list's iterator gives each piece to one thread
                if stop[0]:
                    return
                work(piece, stop)

        if self.pieces:
            together(share, thread_count(len(self.pieces)), stop)

    def _lists(self, one: WeightGradient) -> tuple[int, ...]:
        """The events: `rows` steps of lists, or bits."""
        events = one.events
        if "" in events:
            return 0, 0, 0, 0, address(events[""]), events[""].shape[-1]
        graded = address(events["value"]) if events["graded"].any() else 0
        return events["first"].shape[1], address(events["first"]), address(events["index"]), graded, 0, 0

    def _common(self, one: WeightGradient, steps: tuple[int, int]) -> tuple[int, ...]:
        extent = self.extent
        return padded(one.part.n_target), extent.real.itemsize, *steps, extent.members, extent.tile, one.shift, *self._lists(one)

    def _add_dense(self, piece: _Piece, steps: tuple[int, int], stop: np.ndarray) -> None:
        one, width, item = piece.one, piece.end - piece.begin, self.extent.real.itemsize
        if piece.near is None:
            piece.near = aligned(one.part.n_source * width, self.extent.real).reshape(one.part.n_source, width)
            piece.near[:] = 0
        function = self.functions["gradient_bits" if "" in one.events else "gradient_rows"]
        place = address(piece.near) - piece.begin * item
        dense_gradient(function, place, width, piece.begin, piece.end, address(one.cotangents), *self._common(one, steps), stop)

    def _add_sparse(self, piece: _Piece, steps: tuple[int, int], stop: np.ndarray) -> None:
        one, part, tile = piece.one, piece.one.part, self.extent.tile
        assert part.row is not None and part.target is not None
        offsets, numbers = np.zeros(tile + 1, np.int64), np.zeros(tile * part.n_source, np.int32)
        sparse_gradient(
            self.functions["sparse_gradient"], address(one.gradient), piece.begin, piece.end, address(one.cotangents), *self._common(one, steps),
            address(part.row), address(part.target), offsets, numbers, stop,
        )


def _columns(one: WeightGradient, extent: Extent) -> list[_Piece]:
    """So many columns that a thread has what it works on near."""
    width = padded(one.part.n_target)
    columns = min(max(NEAR // (max(1, one.part.n_source) * extent.real.itemsize) // 64 * 64, 64), 256)
    return [_Piece(one, begin, min(begin + columns, width)) for begin in range(0, width, columns)]


def _sources(one: WeightGradient) -> list[_Piece]:
    """Some eighth of the synapses."""
    assert one.part.row is not None
    cuts = np.unique(np.searchsorted(one.part.row, np.linspace(0, one.part.row[-1], 9)))
    cuts[-1:] = one.part.n_source
    bounds = np.unique(np.concatenate([[0], cuts]))
    return [_Piece(one, int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:])]
