"""Candidates for synapses, row by row, and the ones that chance and a condition choose: compiled draws, a bounded number at a time, in several threads.

Chance is counter-based: whether a candidate is chosen depends on (seed, epoch), its row and its place there, so neither the number of threads nor the
size of chunks changes anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from . import _connections
from .arrays import reserve, shortened

Key = tuple[int, int]
Pairs = tuple[np.ndarray, np.ndarray]
Filter = Callable[[np.ndarray, np.ndarray, "np.ndarray | float"], Pairs]
"""Rows, columns and the probabilities with which they were drawn -> rows and columns that stay."""

SEGMENT = 1 << 16  # columns of a run: what is drawn at once where something is asked about it
LONGEST = 1 << 22  # columns of a run where nothing is asked
RUNS = 1 << 14  # runs that are listed at once


@dataclass(frozen=True, slots=True)
class Runs:
    """Consecutive candidates of rows: run r has those from start to stop of a row, each with probability p."""

    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    p: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    @property
    def most(self) -> float:
        """How many are chosen, with hardly ever more: the mean and eight standard deviations."""
        size = self.stop.astype(np.int64) - self.start
        mean, variance = float(np.sum(size * self.p)), float(np.sum(size * self.p * (1 - self.p)))
        return mean + 8 * math.sqrt(variance) + 64


def uniform_runs(first: int, last: int, n_post: int, p: np.ndarray, longest: int) -> Iterator[Runs]:
    """All candidates of the rows `first` to `last`, with one probability, or one for each row."""
    edges = np.append(np.arange(0, n_post, longest, dtype=np.int64), n_post)
    together = max(1, RUNS // (edges.size - 1))
    for begin in range(first, last, together):
        end = min(last, begin + together)
        yield segments(begin, end, edges, p if p.ndim == 0 else p[begin:end, None])


def segments(first: int, last: int, edges: np.ndarray, p: np.ndarray) -> Runs:
    """The rows `first` to `last`, each cut at `edges`, with probabilities that fit the shape (rows, parts)."""
    return cut_rows(first, last, edges[:-1], edges[1:], p)


def cut_rows(first: int, last: int, start: np.ndarray, stop: np.ndarray, p: np.ndarray) -> Runs:
    """The parts from start to stop of the rows `first` to `last`, with probabilities that fit the shape (rows, parts)."""
    shape = (last - first, start.size)
    row = np.broadcast_to(np.arange(first, last, dtype=np.int32)[:, None], shape)
    sides = (np.broadcast_to(side.astype(np.int32), shape) for side in (start, stop))
    return Runs(*(np.ascontiguousarray(array).ravel() for array in (row, *sides, np.broadcast_to(np.asarray(p, np.float64), shape))))


@dataclass(frozen=True, slots=True)
class Tiles:
    """Candidates by tiles, rectangles of rows and columns. `most(rows, columns)`, given the edges of tiles, returns upper limits of the probability there.

    With `p`, one probability or one for each row, candidates are drawn with just these, except where the limit is 0.
    """

    n_pre: int
    n_post: int
    most: Callable[[np.ndarray, np.ndarray], np.ndarray]
    p: np.ndarray | None = None

    @property
    def columns(self) -> np.ndarray:
        """The edges of tiles."""
        return np.append(np.arange(0, self.n_post, _side(self.n_post)), self.n_post)

    def runs(self, first: int, last: int) -> Iterator[Runs]:
        """The candidates of some rows; where none has a chance they are left out, and where limits are about equal they are one run."""
        side, columns = _side(self.n_pre), self.columns
        together = max(1, 4 * RUNS // columns.size) * side
        for begin in range(first // side * side, last, together):
            rows = np.append(np.arange(begin, min(begin + together, self.n_pre), side), min(begin + together, self.n_pre))
            most = np.broadcast_to(self.most(rows, columns), (rows.size - 1, columns.size - 1))
            levels = _level(most) if self.p is None else np.where(most > 0, 1.0, 0.0)
            tops, bottoms = np.maximum(rows[:-1], first), np.minimum(rows[1:], last)
            changes = np.flatnonzero(np.append(True, np.any(levels[1:] != levels[:-1], axis=1)))
            for begins, ends in zip(changes, np.append(changes[1:], tops.size)):  # rows of tiles that have the same limits
                top, bottom = int(tops[begins]), int(bottoms[ends - 1])
                if top < bottom:
                    start, stop, chance = _joined(columns, levels[begins])
                    yield cut_rows(top, bottom, start, stop, chance if self.p is None else self.p if self.p.ndim == 0 else self.p[top:bottom, None])


def _side(size: int) -> int:
    """How many neurons a tile has along one side: few enough tiles, and not too small ones."""
    return max(32, -(-size // 512))


def _level(p: np.ndarray) -> np.ndarray:
    """Probabilities rounded up to powers of the square root of 2."""
    steps = np.floor(-2 * np.log2(np.clip(p * (1 + 1e-9), 2.0**-64, 1.0)))
    return np.where(p > 0, np.exp2(-0.5 * steps), 0.0)


def _joined(edges: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours of one level as one, up to a length that can be drawn at once; without those of no chance."""
    new = np.append(True, (level[1:] != level[:-1]) | (edges[1:-1] // SEGMENT != edges[:-2] // SEGMENT))
    begin = np.flatnonzero(new)
    start, stop, p = edges[begin], edges[np.append(begin[1:], level.size)], level[begin]
    return start[p > 0], stop[p > 0], p[p > 0]


class Growing:
    """Pairs that are appended to each other, in memory that grows where the estimate was too small."""

    def __init__(self, capacity: float):
        self.used = 0
        self.rows, self.columns = reserve(int(capacity), np.int32), reserve(int(capacity), np.int32)

    def room(self, extra: int) -> None:
        """Make room for `extra` more pairs."""
        needed = self.used + extra
        if needed <= self.columns.size:
            return
        for name in ("rows", "columns"):
            old = getattr(self, name)
            new = reserve(max(needed, old.size + old.size // 2), np.int32)
            new[: self.used] = old[: self.used]
            setattr(self, name, new)

    def append(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """Add these pairs at the end."""
        self.room(rows.size)
        end = self.used + rows.size
        self.rows[self.used : end], self.columns[self.used : end] = rows, columns
        self.used = end

    def taken(self) -> Pairs:
        """The pairs; the memory behind them is given back."""
        return shortened(self.rows, self.used), shortened(self.columns, self.used)


def drawn(runs: Iterator[Runs], key: Key, capacity: float, check: Callable[[int], None]) -> Growing:
    """The candidates of runs that chance chooses."""
    found = Growing(capacity)
    for some in runs:
        run = 0
        while run < len(some):
            run, found.used = _connections.draw_runs(some.row, some.start, some.stop, some.p, key, run, len(some), found.rows, found.columns, found.used)
            check(found.used)
            if run < len(some):
                found.room(int(some.stop[run]) - int(some.start[run]) + int(max(0.0, Runs(*(a[run:] for a in _arrays(some))).most)) + 64)
    return found


def filtered(runs: Iterator[Runs], key: Key, keep: Filter, chunk: int, capacity: float, check: Callable[[int], None]) -> Growing:
    """The candidates of runs that chance chooses and `keep` lets pass; it is asked about at most `chunk` at a time."""
    found = Growing(capacity)
    rows, columns = (np.empty(2 * SEGMENT + 64, np.int32) for _ in range(2))
    for some in runs:
        counts = np.zeros(len(some), np.int32)
        run = 0
        while run < len(some):
            first = run
            run, used = _connections.draw_runs(some.row, some.start, some.stop, some.p, key, run, len(some), rows, columns, 0, counts)
            one = bool(np.all(some.p[first:run] == some.p[first]))
            p: np.ndarray | float = float(some.p[first]) if one else np.repeat(some.p[first:run], counts[first:run])
            for start in range(0, used, chunk):
                part = slice(start, min(start + chunk, used))
                found.append(*keep(rows[part], columns[part], p if isinstance(p, float) else p[part]))
            check(found.used)
    return found


def _arrays(runs: Runs) -> tuple[np.ndarray, ...]:
    return runs.row, runs.start, runs.stop, runs.p


def in_parts(rows: int, threads: int, work: Callable[[int, int], Growing]) -> Pairs:
    """The pairs of consecutive rows, each part of them found by a thread."""
    parts = 1 if threads <= 1 or rows < 4 * threads else threads
    bounds = [rows * part // parts for part in range(parts + 1)]
    if parts == 1:
        return work(0, rows).taken()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda part: work(bounds[part], bounds[part + 1]), range(parts)))
    total = sum(part.used for part in found)
    first, rest = found[0], found[1:]
    first.room(total - first.used)
    for n, part in enumerate(rest):
        first.append(part.rows[: part.used], part.columns[: part.used])
        rest[n] = None  # type: ignore[call-overload]  # memory that is not needed any more
    return first.taken()
