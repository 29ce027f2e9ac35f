"""Connection rules: which pairs of neurons get synapses, in which order, and how synapses are sorted for delivery.

Pure functions on numpy arrays. Every rule returns `(i, j)`, int32 arrays of one length in the order in which the synapses are created: by presynaptic
neuron, then by postsynaptic neuron.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

Pairs = tuple[np.ndarray, np.ndarray]
PairFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]

CHUNK = 1 << 20  # candidate pairs looked at in one go
LIMIT = 2**31 - 1
NOTHING: Pairs = (np.zeros(0, np.int32), np.zeros(0, np.int32))


def all_to_all(n_pre: int, n_post: int) -> Pairs:
    """Every pair.

    >>> all_to_all(2, 2)
    (array([0, 0, 1, 1], dtype=int32), array([0, 1, 0, 1], dtype=int32))
    """
    check_total(n_pre * n_post)
    i = np.repeat(np.arange(n_pre, dtype=np.int32), n_post)
    return i, np.tile(np.arange(n_post, dtype=np.int32), n_pre)


def from_arrays(i: object, j: object, n_pre: int, n_post: int) -> Pairs:
    """The pairs `(i[k], j[k])`, one synapse each, in the order given; a single number goes with all of the other side.

    Raises
    ------
    IndexError
        If there is no such neuron.

    Examples
    --------
    >>> from_arrays(0, [2, 1], 1, 3)
    (array([0, 0], dtype=int32), array([2, 1], dtype=int32))
    """
    pre, post = _checked_indices(i, n_pre, "i", "source"), _checked_indices(j, n_post, "j", "target")
    try:
        pre, post = np.broadcast_arrays(pre, post)
    except ValueError:
        raise ValueError(f"i has shape {pre.shape} and j has shape {post.shape}; they must match, or one of them be a single number") from None
    check_total(pre.size)
    return pre.astype(np.int32).ravel(), post.astype(np.int32).ravel()


def _checked_indices(given: object, size: int, name: str, side: str) -> np.ndarray:
    array = np.asarray(given)
    if array.ndim > 1:
        raise ValueError(f"{name} must be a number or a list of numbers, not an array of shape {array.shape}")
    if array.size == 0:
        return np.zeros(array.shape, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold whole numbers, not {array.dtype}")
    # Compared in the type given: a value of 2**32 would be 0 in 32 bits.
    bad = array[(array < 0) | (array >= size)]
    if bad.size:
        raise IndexError(f"{name} contains {bad.flat[0]}, but the {side} has neurons 0 to {size - 1}")
    return array.astype(np.int64)


def by_condition(
    n_pre: int,
    n_post: int,
    condition: PairFunction | None = None,
    p: float | PairFunction | None = None,
    rng: np.random.Generator | None = None,
    n: int | PairFunction = 1,
    chunk: int | None = None,
) -> Pairs:
    """The pairs for which `condition(i, j)` holds, each with probability `p`, each `n` times.

    Parameters
    ----------
    condition : function of two index arrays, optional
        Returns booleans; it is called for a bounded number of pairs at a time, in order. Where `p` is one number, it is asked only about pairs that chance
        has chosen already.
    p : float or function of two index arrays, optional
        Probability; a function is asked only about pairs that fulfil the condition. Values outside 0 to 1 count as the nearest of them.
    rng : numpy.random.Generator
        Needed with `p`.
    n : int or function of two index arrays
        How many synapses a chosen pair gets.
    chunk : int
        How many pairs are looked at in one go. The result does not depend on it.

    Examples
    --------
    >>> by_condition(3, 3, lambda i, j: i == j)
    (array([0, 1, 2], dtype=int32), array([0, 1, 2], dtype=int32))
    """
    chunk = CHUNK if chunk is None else chunk
    total = n_pre * n_post
    if callable(p):
        flats = _scan(total, n_post, condition, p, rng, chunk)
    else:
        flats = _bernoulli(total, 1.0 if p is None else checked_probability(p), rng, chunk)
    found, count = [], 0
    for flat in flats:
        i, j = np.divmod(flat, max(n_post, 1))
        if condition is not None and not callable(p) and flat.size:
            chosen = np.broadcast_to(_checked_condition(condition(i, j)), flat.shape)
            i, j = i[chosen], j[chosen]
        i, j = multiply(i, j, n)
        count += i.size
        check_total(count)
        found.append((i.astype(np.int32), j.astype(np.int32)))
    empty = np.zeros(0, dtype=np.int32)
    return np.concatenate([empty, *(i for i, _ in found)]), np.concatenate([empty, *(j for _, j in found)])


def _scan(total: int, n_post: int, condition: PairFunction | None, p: PairFunction, rng: np.random.Generator | None, chunk: int):
    """The chosen pairs, as numbers `i*n_post + j`, one array for each run of `chunk` candidates."""
    for start in range(0, total, chunk):
        i, j = _pairs_from(start, min(start + chunk, total), n_post)
        if condition is not None:
            chosen = np.broadcast_to(_checked_condition(condition(i, j)), i.shape)
            i, j = i[chosen], j[chosen]
        if i.size:
            probability = np.broadcast_to(_no_nan(p(i, j)), i.shape)
            chosen = np.flatnonzero(_generator(rng).random(i.size) < probability)
            i, j = i[chosen], j[chosen]
        yield i.astype(np.int64) * n_post + j


def _pairs_from(start: int, stop: int, n_post: int) -> Pairs:
    """The candidates `start` to `stop`, counted row by row; without a division for each."""
    first, last = start // n_post, -(-stop // n_post)
    cut = slice(start - first * n_post, stop - first * n_post)
    i = np.repeat(np.arange(first, last, dtype=np.int32), n_post)[cut]
    return i, np.tile(np.arange(n_post, dtype=np.int32), last - first)[cut]


def _bernoulli(total: int, p: float, rng: np.random.Generator | None, chunk: int):
    """The successes of `total` independent trials; where they are rare, by jumping from one to the next: the gaps have a geometric law."""
    if p == 0:
        return
    if p == 1:
        yield from (np.arange(start, min(start + chunk, total), dtype=np.int64) for start in range(0, total, chunk))
        return
    rng, last = _generator(rng), -1
    if p > 0.05:  # a comparison for every trial then costs less than a jump for every success
        for start in range(0, total, chunk):
            yield start + np.flatnonzero(rng.random(min(chunk, total - start)) < p)
        return
    while last < total - 1:
        left = total - 1 - last
        count = min(chunk, int(p * left + 6 * math.sqrt(p * left)) + 16, 2**62 // (left + 1))
        gaps = np.minimum(rng.geometric(p, count), left + 1)  # the sum must stay below 2**63
        flat = last + np.cumsum(gaps, dtype=np.int64)
        last = int(flat[-1])
        yield flat[flat < total]


def _generator(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise TypeError("a random rule needs rng")
    return rng


def multiply(i: np.ndarray, j: np.ndarray, n: int | PairFunction) -> Pairs:
    """Each pair `n` times in a row.

    >>> multiply(np.array([0, 1]), np.array([5, 6]), 2)
    (array([0, 0, 1, 1]), array([5, 5, 6, 6]))
    """
    if not callable(n) and n == 1:
        return i, j
    times = np.trunc(n(i, j)) if callable(n) else np.asarray(n)  # texts give their whole part, as in Brian
    if times.dtype.kind not in "iu":
        if times.dtype.kind != "f" or not np.all(times == np.floor(times)):
            raise TypeError(f"n must be a whole number of synapses, not {n if not callable(n) else 'NaN'}")
        times = times.astype(np.int64)
    if np.any(times < 0):
        raise ValueError(f"n must not be negative, but is {times.min()} for some pairs")
    times = np.broadcast_to(times, i.shape)
    check_total(int(times.sum(dtype=np.int64)))
    return np.repeat(i, times), np.repeat(j, times)


def thin(i: np.ndarray, j: np.ndarray, p: float | PairFunction, rng: np.random.Generator) -> Pairs:
    """The given pairs, each kept with probability `p`."""
    probability = _no_nan(p(i, j)) if callable(p) else checked_probability(p)
    kept = rng.random(i.size) < probability
    return i[kept], j[kept]


def checked_probability(p: object) -> float:
    """One probability; what is below 0 counts as 0, and what is above 1 as 1, as in Brian."""
    if p is None or isinstance(p, (bool, str)) or np.ndim(p) != 0:  # type: ignore[arg-type]
        raise TypeError(f"p must be a probability or an expression in a string, not {p!r}")
    number = float(p)  # type: ignore[arg-type]
    if np.isnan(number):
        raise ValueError("p must be a probability between 0 and 1, not nan")
    return min(max(number, 0.0), 1.0)


def _no_nan(values: np.ndarray) -> np.ndarray:
    if np.any(np.isnan(values)):
        raise ValueError("p is NaN for some pairs of neurons")
    return values


def _checked_condition(values: np.ndarray) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype != np.bool_:
        raise TypeError(f"a condition must be true or false for every pair, not {array.dtype}")
    return array


def check_total(count: int) -> None:
    """ValueError if there would be more synapses than 32-bit numbers can count."""
    if count > LIMIT:
        raise ValueError(f"one Synapses object can hold 2**31 - 1 synapses, not {count}; use a probability, or several objects")


# ------------------------------------------------------------------------------------------------------------------------------- rows of candidates
Candidates = Iterator[tuple[np.ndarray, np.ndarray]]
"""Rows, and places in their rows, of candidates: row by row, ascending, a bounded number at a time."""


def range_sizes(low: np.ndarray, high: np.ndarray, step: np.ndarray) -> np.ndarray:
    """How many numbers `range(low, high, step)` has, for each row.

    >>> range_sizes(np.array([0, 3, 5]), np.array([4, -1, 5]), np.array([3, -2, 1]))
    array([2, 2, 0])
    """
    if np.any(step == 0):
        raise ValueError(f"the step of a range must not be zero, but it is for {int(np.count_nonzero(step == 0))} neurons")
    return np.maximum(0, -((low - high) // step))


def every(sizes: np.ndarray, chunk: int) -> Candidates:
    """All candidates of rows with `sizes` of them.

    >>> list(every(np.array([2, 0, 1]), 10))
    [(array([0, 0, 2]), array([0, 1, 0]))]
    """
    total = int(sizes.sum())
    for start in range(0, total, chunk):
        yield _rows(sizes, np.arange(start, min(start + chunk, total), dtype=np.int64))


def _rows(sizes: np.ndarray, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row, and place in it, of candidates that are numbered through all rows."""
    ends = np.cumsum(sizes)
    row = np.searchsorted(ends, flat, side="right")
    return row, flat - (ends[row] - sizes[row])


def with_probability(sizes: np.ndarray, p: np.ndarray, rng: np.random.Generator, chunk: int) -> Candidates:
    """Each candidate of a row with the probability `p` of the row, at a cost that grows with the number of those chosen.

    Where all rows have one probability, by jumps of geometric length. Otherwise each candidate of a row gets a Poisson number of marks of mean
    `-log(1 - p)`, so that it has one or more with probability `p`: a Poisson number for the row, spread over it evenly. Rows with p > 1/2 are looked at
    candidate by candidate.
    """
    p = np.clip(_no_nan(p), 0.0, 1.0)
    if p.size and np.all(p == p[0]):
        yield from (_rows(sizes, flat) for flat in _bernoulli(int(sizes.sum()), float(p[0]), rng, chunk))
        return
    dense = p > 0.5
    rate = -np.log1p(-np.where(dense, 0.0, p))
    for rows in _spans(np.where(dense, sizes, sizes * rate), chunk):
        first = np.cumsum(sizes[rows]) - sizes[rows]
        thick = np.flatnonzero(dense[rows])
        row, place = _rows(sizes[rows][thick], np.arange(sizes[rows][thick].sum()))
        hit = rng.random(row.size) < p[rows][thick][row]
        marked = np.repeat(np.arange(first.size), rng.poisson(sizes[rows] * rate[rows]))
        marks = np.unique(first[marked] + rng.integers(0, sizes[rows][marked]))
        found = np.sort(np.concatenate([first[thick][row[hit]] + place[hit], marks]))
        row, place = _rows(sizes[rows], found)
        yield row + rows.start, place


def of_size(sizes: np.ndarray, wanted: np.ndarray, rng: np.random.Generator, chunk: int) -> Candidates:
    """`wanted` different candidates of each row, all subsets of that size equally likely.

    Places are drawn until there are as many different ones as needed: of those chosen, or of those left out where that is fewer.
    """
    few = np.minimum(wanted, sizes - wanted)
    inverted = wanted > few
    for rows in _spans(np.where(inverted, sizes, wanted), chunk):
        size, first = sizes[rows], np.cumsum(sizes[rows]) - sizes[rows]
        marks = np.zeros(0, dtype=np.int64)
        missing = few[rows].copy()
        while missing.any():
            drawn = np.repeat(np.arange(size.size), missing)
            marks = np.unique(np.concatenate([marks, first[drawn] + rng.integers(0, size[drawn])]))
            missing = few[rows] - np.bincount(_rows(size, marks)[0], minlength=size.size)
        turned = np.flatnonzero(inverted[rows])
        row, place = _rows(size[turned], np.arange(size[turned].sum()))
        all_of_turned = first[turned][row] + place
        # Marks in rows that are turned stand for those left out.
        found = np.setxor1d(marks, all_of_turned, assume_unique=True)
        row, place = _rows(size, found)
        yield row + rows.start, place


def _spans(work: np.ndarray, chunk: int) -> Iterator[slice]:
    """Consecutive rows with at most `chunk` of work together, or single ones with more."""
    done, start = np.cumsum(work), 0
    while start < work.size:
        before = done[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(done, before + chunk, side="right")))
        yield slice(start, stop)
        start = stop


def sorted_rows(source_index: np.ndarray, delays_in_steps: np.ndarray | int, n_source: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort synapses by source neuron, then delay, then creation.

    Parameters
    ----------
    source_index : array of int, shape (synapses,)
        The neuron whose spikes a synapse receives.
    delays_in_steps : array of int, shape (synapses,), or int
    n_source : int

    Returns
    -------
    order : array of int32 (int64 for more than 2**31 - 1), shape (synapses,)
        Creation numbers of the synapses in sorted order.
    rows : array of int64, shape (n_source*D + 1,)
        Synapses of neuron `s` with the `d`-th of D delays are `order[rows[s*D + d]:rows[s*D + d + 1]]`.
    delays : array of int64, shape (D,)
        The distinct delays, ascending.

    Examples
    --------
    >>> sorted_rows(np.array([1, 0, 1, 1]), np.array([5, 0, 0, 5]), 2)
    (array([1, 2, 0, 3], dtype=int32), array([0, 1, 1, 2, 4]), array([0, 5]))
    """
    source = np.asarray(source_index)
    if np.ndim(delays_in_steps) == 0:
        distinct, which = np.array([delays_in_steps], dtype=np.int64), None
    else:
        distinct, which = np.unique(np.asarray(delays_in_steps, dtype=np.int64), return_inverse=True)
        if distinct.size == 0:
            distinct = np.zeros(1, dtype=np.int64)
    if distinct[0] < 0:
        raise ValueError(f"a delay cannot be negative, but one is {distinct[0]} steps")
    key = source.astype(np.int64)
    if which is not None and distinct.size > 1:
        key = key * distinct.size + which
    rows = np.zeros(n_source * distinct.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(key, minlength=n_source * distinct.size), out=rows[1:])
    ascending = bool(np.all(key[1:] >= key[:-1]))  # the usual case: created in order, one delay
    order = np.arange(key.size) if ascending else np.argsort(key, kind="stable")
    return order.astype(np.int32 if key.size <= LIMIT else np.int64), rows, distinct
