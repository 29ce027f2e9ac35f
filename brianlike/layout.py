"""How the synapses of a pathway lie in memory while a network runs: in rows, so that what one spike reaches is in one piece.

Rows are sorted by source, delay, part of the targets, and creation. Parts divide the neurons at the other end into ranges: threads take different parts, so no
two of them write to one neuron, and what a neuron receives is summed in the same order whatever the number of threads. Within a part neurons are counted from
its first one, mostly in 16 bits. Where the synapses were not created in this order, values that no step changes are used as sorted copies, and others
through `order`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .sorting import Piece, counted, sorted_pieces

NARROW = 1 << 16  # neurons that 16 bits can tell apart
SHARED_FROM = 1 << 14  # synapses from which threads get parts of their own
LINE = 16  # neurons: parts begin at whole vectors, so threads do not share cache lines
MOST_PARTS = 64
EVEN = 8  # synapses in a row, on average, from which on it matters whether they lie without gaps


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of one pathway (see `_runtime.Driver.add_deliver`).

    Attributes
    ----------
    rows : array of int32, shape (sources*delays*parts + 1,)
    delays : array of int64
        Distinct ones, in steps, ascending.
    bases : array of int64
        The first neuron of each part.
    ends : array of uint16 or int32, shape (synapses,)
        The neuron at the other end, counted from the base of its part.
    order : array of int32, shape (synapses,), or None
        Numbers of the synapses by creation; None if they are in this order already.
    """

    rows: np.ndarray
    delays: np.ndarray
    bases: np.ndarray
    ends: np.ndarray
    order: np.ndarray | None


def arranged(near: np.ndarray, far: np.ndarray, delays: np.ndarray | int, n_near: int, n_far: int, threads: int = 1, divisible: bool = True) -> Layout:
    """The layout of a pathway.

    Parameters
    ----------
    near, far : array of int32, shape (synapses,)
        The neuron whose spikes each synapse receives, and the one at the other end.
    delays : array of int, shape (synapses,), or int
        In steps.
    n_near, n_far : int
        Numbers of neurons.
    threads : int
    divisible : bool
        Whether parts may run one after the other, or at the same time: nothing that a synapse changes is seen by one of another target.

    Examples
    --------
    >>> layout = arranged(np.array([1, 0, 1, 1], np.int32), np.array([0, 1, 2, 0], np.int32), np.array([5, 0, 0, 5]), 2, 3)
    >>> layout.delays, layout.order, layout.rows
    (array([0, 5]), array([1, 2, 0, 3], dtype=int32), array([0, 1, 1, 2, 4], dtype=int32))
    """
    steps = delays if np.ndim(delays) == 0 else np.ascontiguousarray(delays, np.int32)
    return arranged_pieces([Piece(np.ascontiguousarray(near, np.int32), steps, np.ascontiguousarray(far, np.int32))], n_near, n_far, threads, divisible)


def arranged_pieces(pieces: Sequence[Piece], n_near: int, n_far: int, threads: int = 1, divisible: bool = True, bases: np.ndarray | None = None) -> Layout:
    """The layout of pathways that run as one: their synapses are numbered through. `bases`: the first neuron of each part."""
    if bases is None:
        bases = _bases(pieces, n_far, threads) if divisible else np.zeros(1, np.int64)
    neurons = np.arange(n_far)
    part_of = None if len(bases) == 1 else (np.searchsorted(bases, neurons, side="right") - 1).astype(np.int32)
    narrow = int(np.diff(np.append(bases, n_far)).max(initial=0)) <= NARROW
    local = (neurons if part_of is None else neurons - bases[part_of]).astype(np.uint16 if narrow else np.int32)
    found = sorted_pieces(pieces, n_near, part_of=part_of, parts=len(bases), local=local, threads=threads)
    assert found.ends is not None
    return Layout(found.rows, found.delays, bases, found.ends, found.order)


def _bases(pieces: Sequence[Piece], n_far: int, threads: int) -> np.ndarray:
    """The first neuron of each part: parts have about equally many synapses, and few enough neurons for 16 bits."""
    fewest, size = -(-n_far // NARROW), sum(piece.sources.size for piece in pieces)
    wanted = fewest if size < SHARED_FROM else max(threads, -(-fewest // threads) * threads)
    if wanted <= 1 or wanted > MOST_PARTS or n_far < 2 * LINE * wanted:
        return np.zeros(1, np.int64)
    reached = np.zeros(n_far, np.int64)
    for piece in pieces:
        assert piece.targets is not None
        reached[piece.offset :] += counted(piece.targets, n_far - piece.offset)[1:]
    cuts = np.searchsorted(reached, reached[-1] * np.arange(1, wanted) / wanted) // LINE * LINE
    bases = np.unique(np.append(0, cuts)).astype(np.int64)
    if np.diff(np.append(bases, n_far)).max() <= NARROW:
        return bases
    even = np.arange(wanted) * n_far // wanted // LINE * LINE
    return even.astype(np.int64) if np.diff(np.append(even, n_far)).max() <= NARROW else bases


def leap(layout: Layout) -> int:
    """1 or more if neurons at the other end follow each other in every row: how far apart the numbers of their synapses are; -1 if at no constant distance,
    0 if rows have gaps (or are so short that it does not matter).

    Examples
    --------
    >>> near, far = np.repeat(np.arange(9, dtype=np.int32), 20), np.tile(np.arange(20, dtype=np.int32), 9)
    >>> leap(arranged(near, far, 0, 9, 20)), leap(arranged(far, near, 0, 20, 9))
    (1, 20)
    """
    placed = int(layout.rows[-1])
    filled = np.flatnonzero(layout.rows[1:] > layout.rows[:-1])
    if placed < EVEN * max(len(filled), 1):
        return 0
    starts = layout.rows[filled]
    for chosen in (starts[:2], starts):  # most rows have gaps, which the first one shows
        first, stop = int(chosen[0]), int(layout.rows[filled[len(chosen) - 1] + 1])
        inside = np.ones(stop - first, bool)
        inside[chosen - first] = False
        if not np.all(np.diff(layout.ends[first:stop].astype(np.int32), prepend=-1)[inside] == 1):
            return 0
    if layout.order is None:
        return 1
    jumps = np.diff(layout.order[:placed], prepend=-1)[inside]
    return int(jumps[0]) if jumps.size and jumps[0] > 0 and np.all(jumps == jumps[0]) else -1
