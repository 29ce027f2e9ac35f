"""Synapses sorted for delivery: by source neuron, then delay, then creation. Compiled counting sorts, in several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import _connections

FEW = 1 << 16  # delays that are looked up in a table
SHARED_FROM = 1 << 20  # synapses; below this a second thread is not worth its start

Rows = tuple["np.ndarray | None", np.ndarray, np.ndarray]


def sorted_rows(
    source_index: np.ndarray,
    delays_in_steps: np.ndarray | int,
    n_source: int,
    *,
    targets: np.ndarray | None = None,
    part_of: np.ndarray | None = None,
    threads: int = 1,
) -> Rows:
    """Sort synapses by source neuron, then delay, then part of the targets, then creation.

    Parameters
    ----------
    source_index : array of int, shape (synapses,)
        The neuron whose spikes a synapse receives.
    delays_in_steps : array of int, shape (synapses,), or int
    n_source : int
    targets : array of int, shape (synapses,), optional
        The neuron at the other end.
    part_of : array of int, optional
        The part, 0 to P - 1, that each of these neurons belongs to; without it there is one part.
    threads : int
        The result does not depend on it.

    Returns
    -------
    order : array of int32, shape (synapses,), or None
        Creation numbers of the synapses in sorted order; None where that is the order of creation.
    rows : array of int32, shape (n_source*D*P + 1,)
        Synapses of neuron `s` with the `d`-th of D delays onto part `p` are `order[rows[r]:rows[r + 1]]`, where `r = (s*D + d)*P + p`.
    delays : array of int64, shape (D,)
        The distinct delays, ascending.

    Examples
    --------
    >>> sorted_rows(np.array([1, 0, 1, 1]), np.array([5, 0, 0, 5]), 2)
    (array([1, 2, 0, 3], dtype=int32), array([0, 1, 1, 2, 4], dtype=int32), array([0, 5]))
    """
    source = np.ascontiguousarray(source_index, np.int32)
    shares = threads if source.size >= SHARED_FROM else 1
    kinds, place, distinct = _kinds(source, delays_in_steps)
    n_kinds = distinct.size
    if targets is not None and part_of is not None:
        kinds, place, n_kinds = _with_parts(kinds, place, distinct.size, np.ascontiguousarray(targets, np.int32), np.asarray(part_of, np.int32), shares)
    starts = np.empty(n_source + 2, np.int32)
    in_order = _connections.ascending(source)
    before = None if in_order else np.empty(source.size, np.int32)
    _connections.group(source, n_source, starts, before)
    if kinds is None:
        return before, starts[: n_source + 1], distinct
    rows, order = np.zeros(n_source * n_kinds + 1, np.int32), np.empty(source.size, np.int32)
    edges = np.searchsorted(starts[: n_source + 1], source.size * np.arange(1, shares) // shares)
    bounds = [0, *edges.tolist(), n_source]
    in_shares(shares, lambda n: _connections.group_within(starts, bounds[n], bounds[n + 1], before, kinds, place, n_kinds, rows, order))
    return None if in_order and _connections.is_identity(order) else order, rows, distinct


def in_shares(shares: int, work: Callable[[int], object]) -> None:
    """Do each share of some work, in a thread each."""
    if shares == 1:
        work(0)
        return
    with ThreadPoolExecutor(shares) as pool:
        list(pool.map(work, range(shares)))


def looked_up(table: np.ndarray, keys: np.ndarray, order: np.ndarray | None, threads: int = 1) -> np.ndarray:
    """`table[keys[order]]` for a table of uint16 or int32 (without `order`: `table[keys]`).

    >>> looked_up(np.array([5, 7], np.uint16), np.array([1, 1, 0], np.int32), None)
    array([7, 7, 5], dtype=uint16)
    """
    keys, found = np.ascontiguousarray(keys, np.int32), np.empty(len(keys), table.dtype)
    shares = threads if found.size >= SHARED_FROM else 1
    in_shares(shares, lambda n: _connections.looked_up(table, keys, order, found.size * n // shares, found.size * (n + 1) // shares, found))
    return found


def counted(keys: np.ndarray, size: int) -> np.ndarray:
    """How many of the keys are below 0, 1, ... size.

    >>> counted(np.array([2, 0, 2], np.int32), 3)
    array([0, 1, 1, 3], dtype=int32)
    """
    starts = np.empty(size + 2, np.int32)
    _connections.group(np.ascontiguousarray(keys, np.int32), size, starts, None)
    return starts[: size + 1]


def _kinds(source: np.ndarray, delays: np.ndarray | int) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Something small for each synapse, what number it stands for, and the distinct delays; nothing for each synapse where all delays are equal."""
    none = np.zeros(1, np.int32)
    if np.ndim(delays) == 0 or not source.size:
        distinct = np.array([delays if np.ndim(delays) == 0 else 0], dtype=np.int64)
        _refuse_negative(int(distinct[0]))
        return None, none, distinct
    steps = np.ascontiguousarray(delays, np.int32)
    low, high = _connections.largest(steps)
    _refuse_negative(low)
    if low == high:
        return None, none, np.array([low], np.int64)
    if high >= max(FEW, 4 * steps.size):
        found, which = np.unique(steps, return_inverse=True)
        return which.astype(np.int32), np.arange(found.size, dtype=np.int32), found.astype(np.int64)
    seen = np.zeros(high + 1, np.uint8)
    _connections.present(steps, seen)
    return steps, np.cumsum(seen, dtype=np.int32) - 1, np.flatnonzero(seen)


def _with_parts(
    kinds: np.ndarray | None, place: np.ndarray, n_kinds: int, targets: np.ndarray, part_of: np.ndarray, shares: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Delay and part of each synapse as one number; the second array is then the identity."""
    parts = int(part_of.max(initial=0)) + 1
    if kinds is None:
        return looked_up(part_of, targets, None, shares), np.arange(parts, dtype=np.int32), parts
    both, table = np.empty(targets.size, np.int32), place * np.int32(parts)
    bounds = [targets.size * n // shares for n in range(shares + 1)]
    in_shares(shares, lambda n: _connections.joined(kinds, table, targets, part_of, bounds[n], bounds[n + 1], both))
    return both, np.arange(n_kinds * parts, dtype=np.int32), n_kinds * parts


def _refuse_negative(delay: int) -> None:
    if delay < 0:
        raise ValueError(f"a delay cannot be negative, but one is {delay} steps")
