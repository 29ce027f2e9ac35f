"""The gradients of weights: threads own columns (or, of sparse parts, sources), and add from the last step to the first and in the order of members.

So the bits are the same for any number of threads, and however many steps are added at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from codegen.emit import products

from ..._training import dense_gradient, sparse_gradient
from .backwards import WeightGradient
from .operations import VECTOR, padded
from .parallel import thread_count, together
from .stage import Extent, address, aligned

NEAR = 512 * 1024  # bytes of a gradient that a thread works on at a time: what stays in half of a level 2 cache


ROWS = 128


@dataclass(slots=True)
class _Piece:
    """Columns (or sources) of a gradient, with a matrix of their own whose rows follow each other: those of 1024 columns would share few lines of cache."""

    one: WeightGradient
    begin: int
    end: int
    near: np.ndarray | None = None
    counts: np.ndarray = field(default_factory=lambda: np.zeros(2, np.int64))

    @property
    def work(self) -> int:
        """About how much there is to do."""
        return (self.end - self.begin) * (self.one.part.n_source if self.one.part.dense else 1)


@dataclass(slots=True)
class WeightGradients:
    """The gradients of several parts, with what the backward run left for them of some steps at a time."""

    weights: Sequence[WeightGradient]
    extent: Extent
    functions: Mapping[str, int]
    active: np.ndarray = field(init=False)
    pieces: list[_Piece] = field(init=False)
    scratch: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.active = self.extent.active
        pieces = [piece for one in self.weights for piece in (_columns(one, self.extent) if one.part.dense else _sources(one))]
        self.pieces = sorted(pieces, key=lambda piece: piece.work, reverse=True)  # the largest first, so that all threads end together

    def add(self, first: int, last: int) -> None:
        """Add what the steps `first` to `last` say."""

        def work(piece: _Piece, scratch: np.ndarray, stop: np.ndarray) -> None:
            (self._add_dense if piece.one.part.dense else self._add_sparse)(piece, (first, last), scratch, stop)

        self._each(work)

    def finish(self) -> None:
        """Put the gradients together."""

        def work(piece: _Piece, scratch: np.ndarray, stop: np.ndarray) -> None:
            if piece.near is not None:
                piece.one.gradient.reshape(piece.one.part.n_source, -1)[:, piece.begin : piece.end] = piece.near

        self._each(work)

    def counts(self) -> dict[str, tuple[int, int]]:
        """For each dense part, with a `'` behind its name, how often rows of events were added, and how often products."""
        found: dict[str, np.ndarray] = {}
        for piece in self.pieces:
            if piece.one.part.dense:
                found[piece.one.part.name + "'"] = found.get(piece.one.part.name + "'", 0) + piece.counts
        return {name: (int(some), int(every)) for name, (some, every) in found.items()}

    def _each(self, work: Callable[[_Piece, np.ndarray, np.ndarray], None]) -> None:
        stop, taken = np.zeros(1, np.int32), iter(self.pieces)

        def share(number: int) -> None:
            for piece in taken:  # a list's iterator gives each piece to one thread
                if stop[0]:
                    return
                work(piece, self.scratch[number], stop)

        if self.pieces:
            threads = thread_count(len(self.pieces))
            while len(self.scratch) < threads:
                width = max(padded(one.part.n_source) for one in self.weights)
                self.scratch.append(aligned(_rows(self.extent) * width * self.extent.real.itemsize, np.dtype(np.int8)))
            together(share, threads, stop)

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

    def _add_dense(self, piece: _Piece, steps: tuple[int, int], scratch: np.ndarray, stop: np.ndarray) -> None:
        one, width, item = piece.one, piece.end - piece.begin, self.extent.real.itemsize
        if piece.near is None:
            piece.near = aligned(one.part.n_source * width, self.extent.real).reshape(one.part.n_source, width)
            piece.near[:] = 0
        n_source, name = one.part.n_source, "gradient_bits" if "" in one.events else "gradient_rows"
        limits = products.density_limits(n_source, one.part.n_target, products.LEVEL_2, self.extent.real.name)
        most, rows = int((limits.bits if "" in one.events else limits.lists) * n_source), _rows(self.extent)
        place = address(piece.near) - piece.begin * item
        dense_gradient(
            self.functions[name], place, width, piece.begin, piece.end, address(one.cotangents), *self._common(one, steps), self.active, stop,
            self.functions["gradient_product"], n_source, most, scratch, rows, piece.counts,
        )

    def _add_sparse(self, piece: _Piece, steps: tuple[int, int], scratch: np.ndarray, stop: np.ndarray) -> None:
        one, part, tile = piece.one, piece.one.part, self.extent.tile
        assert part.row is not None and part.target is not None
        offsets, numbers = np.zeros(tile + 1, np.int64), np.zeros(tile * part.n_source, np.int32)
        sparse_gradient(
            self.functions["sparse_gradient"], address(one.gradient), piece.begin, piece.end, address(one.cotangents), *self._common(one, steps),
            address(part.row), address(part.target), offsets, numbers, self.active, stop,
        )


def _rows(extent: Extent) -> int:
    """How many rows of a step are numbers at a time: whole tiles."""
    return max(1, ROWS // extent.tile) * extent.tile


def _columns(one: WeightGradient, extent: Extent) -> list[_Piece]:
    """Equal pieces, of so many columns that a thread has what it works on near."""
    width = padded(one.part.n_target)
    most = min(max(NEAR // (max(1, one.part.n_source) * extent.real.itemsize) // 64 * 64, 64), 128)
    cuts = np.linspace(0, width // VECTOR, -(-width // most) + 1).astype(int) * VECTOR
    return [_Piece(one, int(begin), int(end)) for begin, end in zip(cuts[:-1], cuts[1:])]


def _sources(one: WeightGradient) -> list[_Piece]:
    """Some eighth of the synapses."""
    assert one.part.row is not None
    cuts = np.unique(np.searchsorted(one.part.row, np.linspace(0, one.part.row[-1], 9)))
    cuts[-1:] = one.part.n_source
    bounds = np.unique(np.concatenate([[0], cuts]))
    return [_Piece(one, int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:])]
