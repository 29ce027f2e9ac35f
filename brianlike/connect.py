"""Connection rules: which pairs of neurons get synapses, in which order, and how synapses are sorted for delivery.

Pure functions on numpy arrays. Every rule returns `(i, j)`, int32 arrays of one length in the order in which the synapses are created: by presynaptic
neuron, then by postsynaptic neuron.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from . import _connections, sampling
from .arrays import reserve, shortened
from .sampling import Key as Key
from .sampling import Pairs as Pairs
from .sampling import Runs

PairFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]
RunsOfRows = Callable[[int, int], Iterator[Runs]]

CHUNK = 1 << 15  # candidate pairs that a text is evaluated for in one go: their numbers stay in the cache
FIRST_PAIRS = 1 << 26  # room that is reserved where only an upper limit of their number is known
LIMIT = 2**31 - 1
NOTHING: Pairs = (np.zeros(0, np.int32), np.zeros(0, np.int32))


def all_to_all(n_pre: int, n_post: int) -> Pairs:
    """Every pair.

    >>> all_to_all(2, 2)
    (array([0, 0, 1, 1], dtype=int32), array([0, 1, 0, 1], dtype=int32))
    """
    count = n_pre * n_post
    check_total(count)
    i, j = shortened(reserve(count, np.int32), count), shortened(reserve(count, np.int32), count)
    i.reshape(n_pre, n_post)[...] = np.arange(n_pre, dtype=np.int32)[:, None]
    j.reshape(n_pre, n_post)[...] = np.arange(n_post, dtype=np.int32)
    return i, j


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
    return _placed(pre), _placed(post)


def _placed(numbers: np.ndarray) -> np.ndarray:
    """Numbers in memory that a State can take over."""
    array = shortened(reserve(numbers.size, np.int32), numbers.size)
    array[...] = numbers.ravel()
    return array


def _checked_indices(given: object, size: int, name: str, side: str) -> np.ndarray:
    array = np.asarray(given)
    if array.ndim > 1:
        raise ValueError(f"{name} must be a number or a list of numbers, not an array of shape {array.shape}")
    if array.size == 0:
        return np.zeros(array.shape, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold whole numbers, not {array.dtype}")
    # Compared in the type given: a value of 2**32 would be 0 in 32 bits.
    if array.min() < 0 or array.max() >= size:
        bad = array[(array < 0) | (array >= size)]
        raise IndexError(f"{name} contains {bad.flat[0]}, but the {side} has neurons 0 to {size - 1}")
    return array


def by_condition(
    n_pre: int,
    n_post: int,
    condition: PairFunction | None = None,
    p: float | np.ndarray | PairFunction | None = None,
    key: Key | None = None,
    n: int | PairFunction = 1,
    *,
    chunk: int | None = None,
    runs: RunsOfRows | None = None,
    threads: int = 1,
) -> Pairs:
    """The pairs for which `condition(i, j)` holds, each with probability `p`, each `n` times.

    Parameters
    ----------
    condition : function of two index arrays, optional
        Returns booleans; it is called for a bounded number of pairs at a time. Where `p` is no function, it is asked only about pairs that chance has chosen
        already.
    p : float, array of float (one for each presynaptic neuron) or function of two index arrays, optional
        Probability; a function is asked only about pairs that fulfil the condition. Values outside 0 to 1 count as the nearest of them.
    key : (seed, epoch)
        Needed with `p`.
    n : int or function of two index arrays
        How many synapses a chosen pair gets.
    chunk : int
        For how many pairs a function is called at most. The result does not depend on it.
    runs : function of two rows, optional
        The candidates between these rows with upper limits of their probability, where these are known (see `bounds.py`).
    threads : int
        The result does not depend on it; functions are called from all of them.

    Examples
    --------
    >>> by_condition(3, 3, lambda i, j: i == j)
    (array([0, 1, 2], dtype=int32), array([0, 1, 2], dtype=int32))
    """
    rows = _row_probabilities(n_pre, p)
    seeds = _key(key) if callable(p) or bool(np.any((rows > 0) & (rows < 1))) else (0, 0)
    expected = float(np.mean(rows)) * n_pre * n_post if rows.size and n_post else 0.0
    if expected == 0:
        return NOTHING
    asked = condition is not None or callable(p) or callable(n) or n != 1
    if expected - 8 * math.sqrt(expected) > LIMIT and not asked:
        check_total(int(expected))
    chunk = CHUNK if chunk is None else chunk
    keep = _filter(condition, p if callable(p) else None, n, seeds)
    longest = sampling.SEGMENT if asked else sampling.LONGEST
    if rows.ndim == 0 and expected < n_pre / 4 * -(-n_post // longest):
        return _scattered(n_pre * n_post, n_post, float(rows), seeds, keep if asked else None, chunk)

    def work(first: int, last: int) -> sampling.Growing:
        candidates = sampling.uniform_runs(first, last, n_post, rows, longest) if runs is None else runs(first, last)
        if not asked:
            return sampling.drawn(candidates, seeds, expected + 8 * math.sqrt(expected) + longest + 64, check_total)
        return sampling.filtered(candidates, seeds, keep, chunk, min(expected + 8 * math.sqrt(expected) + chunk, FIRST_PAIRS), check_total)

    return sampling.in_parts(n_pre, threads, work)


def _row_probabilities(n_pre: int, p: float | np.ndarray | PairFunction | None) -> np.ndarray:
    """The probability with which candidates are drawn before anybody is asked: one, or one for each row."""
    if p is None or callable(p):
        return np.ones(())
    if np.ndim(p) == 0:
        return np.asarray(checked_probability(p))
    values = np.clip(_no_nan(np.asarray(p, np.float64)), 0.0, 1.0)
    if values.shape != (n_pre,):
        raise ValueError(f"p must be one probability, or one for each of {n_pre} neurons, not an array of shape {values.shape}")
    return values


def _filter(condition: PairFunction | None, p: PairFunction | None, n: int | PairFunction, key: Key) -> sampling.Filter:
    """What becomes of pairs that were drawn with certain probabilities, which are 1, or upper limits of p."""

    def keep(i: np.ndarray, j: np.ndarray, drawn: np.ndarray | float) -> Pairs:
        if condition is not None:
            chosen = _checked_condition(condition(i, j))
            chosen = chosen if chosen.shape == i.shape and chosen.flags.c_contiguous else np.ascontiguousarray(np.broadcast_to(chosen, i.shape))
            (i, j), drawn = _connections.keep(chosen, i, j), drawn if isinstance(drawn, float) else drawn[chosen]
        if p is not None and i.size:
            probability = _no_nan(p(i, j))
            level = _connections.fill("uniform", np.empty(i.size), key, 0, 0, _connections.THINNED, 0, i, j)
            i, j = _connections.keep(level * drawn < probability, i, j)
        return multiply(i, j, n)

    return keep


def _scattered(total: int, n_post: int, p: float, key: Key, keep: sampling.Filter | None, chunk: int) -> Pairs:
    """Chosen pairs where most rows have none: jumps through all rows as one."""
    found = [NOTHING]
    for flat in _bernoulli(total, p, _numbers(key), chunk):
        i, j = (part.astype(np.int32) for part in np.divmod(flat, n_post))
        found.append((i, j) if keep is None else keep(i, j, p))
        check_total(sum(part.size for part, _ in found))
    return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])


def _bernoulli(total: int, p: float, rng: np.random.Generator, chunk: int) -> Iterator[np.ndarray]:
    """The successes of `total` independent trials, by jumping from one to the next: the gaps have a geometric law."""
    last = -1
    while last < total - 1:
        left = total - 1 - last
        count = min(chunk, int(p * left + 6 * math.sqrt(p * left)) + 16, 2**62 // (left + 1))
        gaps = np.minimum(rng.geometric(p, count), left + 1)  # the sum must stay below 2**63
        flat = last + np.cumsum(gaps, dtype=np.int64)
        last = int(flat[-1])
        yield flat[flat < total]


def _key(key: Key | None) -> Key:
    if key is None:
        raise TypeError("a random rule needs a key (seed, epoch)")
    return key


def _numbers(key: Key) -> np.random.Generator:
    """Random numbers one after the other, for what is no matter of rows."""
    return np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))


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


def thin(i: np.ndarray, j: np.ndarray, p: float | PairFunction, key: Key) -> Pairs:
    """The given pairs, each kept with probability `p`."""
    found = [NOTHING]
    for start in range(0, i.size, CHUNK):
        part = slice(start, min(start + CHUNK, i.size))
        probability = _no_nan(np.asarray(p(i[part], j[part]))) if callable(p) else checked_probability(p)
        level = _connections.fill("uniform", np.empty(part.stop - start), key, 0, 0, _connections.THINNED, start)
        found.append((i[part][level < probability], j[part][level < probability]))
    return np.concatenate([left for left, _ in found]), np.concatenate([right for _, right in found])


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


def with_probability(sizes: np.ndarray, p: np.ndarray, key: Key, chunk: int) -> Candidates:
    """Each candidate of a row with the probability `p` of the row, at a cost that grows with the number of rows and of those chosen."""
    p = np.clip(_no_nan(p), 0.0, 1.0)
    if p.size and np.all(p == p[0]) and 0 < float(sizes.sum()) * float(p[0]) < sizes.size / 4:
        yield from (_rows(sizes, flat) for flat in _bernoulli(int(sizes.sum()), float(p[0]), _numbers(key), chunk))
        return
    pieces = -(-sizes // sampling.SEGMENT)
    rows, columns = (np.empty(2 * sampling.SEGMENT, np.int32) for _ in range(2))
    for span in _spans(pieces, sampling.RUNS):
        row = np.repeat(np.arange(span.start, span.stop), pieces[span])
        first = np.cumsum(pieces[span]) - pieces[span]
        start = (np.arange(row.size) - np.repeat(first, pieces[span])) * sampling.SEGMENT
        stop, run = np.minimum(start + sampling.SEGMENT, sizes[row]), 0
        while run < row.size:
            run, used = _connections.draw_runs(row, start, stop, p[row], key, run, row.size, rows, columns, 0)
            for begin in range(0, used, chunk):
                part = slice(begin, min(begin + chunk, used))
                yield rows[part].astype(np.int64), columns[part].astype(np.int64)


def of_size(sizes: np.ndarray, wanted: np.ndarray, key: Key, chunk: int) -> Candidates:
    """`wanted` different candidates of each row, all subsets of that size equally likely.

    Places are drawn until there are as many different ones as needed: of those chosen, or of those left out where that is fewer.
    """
    few, rng = np.minimum(wanted, sizes - wanted), _numbers(key)
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
