"""Synapses sorted for delivery: by source neuron, then delay, then creation. Compiled counting sorts, in several threads.

Synapses may come in pieces, one behind the other, as they were created; where sources ascend within each piece, which is what `connect` gives, threads take
ranges of sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from . import _connections

SHARED_FROM = 1 << 20  # synapses; below this a second thread is not worth its start


@dataclass(frozen=True, slots=True)
class Piece:
    """Synapses that were created one after the other.

    Attributes
    ----------
    sources : array of int32, shape (synapses,)
        The neuron whose spikes each receives.
    delays : array of int32, shape (synapses,), or int
        In steps.
    targets : array of int32, shape (synapses,), optional
        The neuron at the other end.
    offset : int
        The number of target 0 among the targets of all pieces.
    """

    sources: np.ndarray
    delays: np.ndarray | int
    targets: np.ndarray | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """Synapses in sorted order.

    Attributes
    ----------
    order : array of int32, shape (synapses,), or None
        Creation numbers of the synapses; None where they are sorted as created.
    rows : array of int32, shape (sources*D*P + 1,)
        Synapses of source `s` with the `d`-th of D delays onto part `p` of P are `order[rows[r]:rows[r + 1]]`, where `r = (s*D + d)*P + p`.
    delays : array of int64, shape (D,)
        The distinct delays, ascending.
    ends : array, shape (synapses,), or None
        The local number of each target.
    """

    order: np.ndarray | None
    rows: np.ndarray
    delays: np.ndarray
    ends: np.ndarray | None = None


def sorted_rows(source_index: np.ndarray, delays_in_steps: np.ndarray | int, n_source: int) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Sort synapses by source neuron, then delay, then creation: `order`, `rows` and `delays` of Rows.

    Examples
    --------
    >>> sorted_rows(np.array([1, 0, 1, 1]), np.array([5, 0, 0, 5]), 2)
    (array([1, 2, 0, 3], dtype=int32), array([0, 1, 1, 2, 4], dtype=int32), array([0, 5]))
    """
    delays = delays_in_steps if np.ndim(delays_in_steps) == 0 else np.ascontiguousarray(delays_in_steps, np.int32)
    found = sorted_pieces([Piece(np.ascontiguousarray(source_index, np.int32), delays)], n_source)
    return found.order, found.rows, found.delays


def sorted_pieces(
    pieces: Sequence[Piece], n_source: int, *, part_of: np.ndarray | None = None, parts: int = 1, local: np.ndarray | None = None, threads: int = 1
) -> Rows:
    """Sort the synapses of all pieces by source neuron, then delay, then part of the targets, then creation.

    Parameters
    ----------
    part_of : array of int32, shape (targets,), optional
        The part, 0 to `parts` - 1, that each target belongs to; needed if there are several. A part may be empty.
    parts : int
    local : array of uint16 or int32, shape (targets,), optional
        What stands for each target in the result's `ends`.
    threads : int
        The result does not depend on it.
    """
    size = sum(piece.sources.size for piece in pieces)
    distinct, kind = _kinds(pieces)
    ascending = all(_connections.ascending(piece.sources) for piece in pieces)
    if ascending and len(pieces) == 1 and parts == 1 and distinct.size == 1:
        ends = None if local is None else looked_up(local, pieces[0], threads)
        return Rows(None, counted(pieces[0].sources, n_source), distinct, ends)
    rows, order = np.zeros(n_source * distinct.size * parts + 2, np.int32), np.empty(size, np.int32)
    ends = None if local is None else np.empty(size, local.dtype)
    shares = threads if ascending and size >= SHARED_FROM else 1
    cuts = _cuts(pieces, n_source, shares)
    bases = np.cumsum([0, *(piece.sources.size for piece in pieces)]).tolist()

    def arguments(n: int, share: int) -> tuple[object, ...]:
        piece, several = pieces[n], np.ndim(pieces[n].delays) > 0
        table = kind if several else kind[int(piece.delays) :]
        delays = piece.delays if several else None
        return (piece.sources, delays, piece.targets, piece.offset, n_source, table, part_of, distinct.size, parts, cuts[n][share], cuts[n][share + 1], rows)

    in_shares(shares, lambda share: [_connections.count_rows(*arguments(n, share)) for n in range(len(pieces))])
    np.cumsum(rows, dtype=np.int32, out=rows)
    in_shares(shares, lambda share: [_connections.place_rows(*arguments(n, share), bases[n], order, local, ends) for n in range(len(pieces))])
    identity = ascending and len(pieces) == 1 and _connections.is_identity(order)
    return Rows(None if identity else order, rows[:-1], distinct, ends)


def _kinds(pieces: Sequence[Piece]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct delays, ascending, and for each delay from 0 on its place among them."""
    lists, highest = [], 0
    for piece in pieces:
        if np.ndim(piece.delays) == 0:
            low = high = int(piece.delays)
        elif piece.sources.size:
            low, high = _connections.largest(piece.delays)
        else:
            continue
        if low < 0:
            raise ValueError(f"a delay cannot be negative, but one is {low} steps")
        highest = max(highest, high)
        lists.append((low, high, piece.delays))
    if highest >= 2**27:
        raise ValueError(f"a delay of {highest} steps is too long")
    seen = np.zeros(highest + 1, np.uint8)
    for low, high, delays in lists:
        if low == high:
            seen[low] = 1
        else:
            _connections.present(delays, seen)
    seen[0] |= not lists
    return np.flatnonzero(seen).astype(np.int64), np.cumsum(seen, dtype=np.int32) - 1


def _cuts(pieces: Sequence[Piece], n_source: int, shares: int) -> list[list[int]]:
    """Where each piece is cut, so that every share has whole sources and about equally many synapses."""
    if shares == 1:
        return [[0, piece.sources.size] for piece in pieces]
    total = np.sum([counted(piece.sources, n_source).astype(np.int64) for piece in pieces], axis=0)
    sources = np.searchsorted(total, total[-1] * np.arange(1, shares) // shares)
    return [[0, *np.searchsorted(piece.sources, sources).tolist(), piece.sources.size] for piece in pieces]


def in_shares(shares: int, work: Callable[[int], object]) -> None:
    """Do each share of some work, in a thread each."""
    if shares == 1:
        work(0)
        return
    with ThreadPoolExecutor(shares) as pool:
        list(pool.map(work, range(shares)))


def looked_up(local: np.ndarray, piece: Piece, threads: int = 1) -> np.ndarray:
    """The local numbers of the targets of a piece.

    >>> looked_up(np.array([9, 5, 7], np.uint16), Piece(np.zeros(3, np.int32), 0, np.array([1, 1, 0], np.int32), offset=1))
    array([7, 7, 5], dtype=uint16)
    """
    assert piece.targets is not None
    found, table = np.empty(piece.targets.size, local.dtype), local[piece.offset :]
    shares = threads if found.size >= SHARED_FROM else 1
    in_shares(shares, lambda n: _connections.looked_up(table, piece.targets, None, found.size * n // shares, found.size * (n + 1) // shares, found))
    return found


def gathered(pieces: Sequence[np.ndarray], order: np.ndarray, out: np.ndarray, threads: int = 1) -> None:
    """`out[k] = values[order[k]]`, where the values are those of all pieces, one piece behind the other.

    >>> sums = np.empty(3)
    >>> gathered([np.array([1.0, 2.0]), np.array([3.0])], np.array([2, 0, 1], np.int32), sums)
    >>> sums
    array([3., 1., 2.])
    """
    if out.itemsize not in (4, 8) or len(pieces) > 256:
        np.take(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), order, out=out)
        return
    shares = threads if out.size >= SHARED_FROM else 1
    in_shares(shares, lambda n: _connections.gathered(pieces, order, out.size * n // shares, out.size * (n + 1) // shares, out))


def counted(keys: np.ndarray, size: int) -> np.ndarray:
    """How many of the keys are below 0, 1, ... size.

    >>> counted(np.array([2, 0, 2], np.int32), 3)
    array([0, 1, 1, 3], dtype=int32)
    """
    starts = np.empty(size + 2, np.int32)
    _connections.group(np.ascontiguousarray(keys, np.int32), size, starts, None)
    return starts[: size + 1]
