"""Random numbers that depend on nothing but where they are used: Philox4x32-10 (Salmon et al. 2011) in numpy.

The key is (seed, epoch), the counter (step, element, stream, number of the draw), so neither the order of evaluation nor the number of threads
matters. Compiled kernels draw the same bits (`codegen/emit/prelude.py`); normal numbers agree to the last digits of log and cos.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Union

import numpy as np

from codegen.ir import Draw

from . import _connections, _runtime

Elements = Union[int, slice, np.ndarray, "tuple[np.ndarray, np.ndarray]"]
"""How many elements, or which: a slice, or an array; or pairs of neurons (pre, post), whose numbers take the place of step and element."""

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox(counter: tuple[np.ndarray, ...], key: tuple[int, int | np.ndarray]) -> tuple[np.ndarray, ...]:
    """Four words (as uint64 below 2**32) for each counter of four words; the second word of the key may differ between counters."""
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    k, m = key
    for _ in range(10):
        p, q = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (q >> _32) ^ b ^ np.uint64(k), q & _LOW, (p >> _32) ^ d ^ np.uint64(m), p & _LOW
        k, m = (k + _WEYL[0]) & 0xFFFFFFFF, (m + _WEYL[1]) & 0xFFFFFFFF
    return a, b, c, d


def uniform(seed: int, epoch: int, step: int, elements: Elements, stream: int, number: int, dtype: object = np.float64) -> np.ndarray:
    """Numbers on [0, 1), one for each of `elements`: 53 random bits, or 24 with `dtype=np.float32`."""
    if np.dtype(dtype) == np.float32:  # type: ignore[call-overload]
        a, _, _, _ = _words(seed, epoch, step, elements, stream, number)
        return (a >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    return _filled("uniform", seed, epoch, step, elements, stream, number)


def normal(seed: int, epoch: int, step: int, elements: Elements, stream: int, number: int, dtype: object = np.float64) -> np.ndarray:
    """Standard normal numbers, one for each of `elements` (Box-Muller)."""
    values = _filled("normal", seed, epoch, step, elements, stream, number)
    return values.astype(dtype, copy=False)  # type: ignore[call-overload]


def _filled(law: str, seed: int, epoch: int, step: int, elements: Elements, stream: int, number: int) -> np.ndarray:
    """Numbers of a law from compiled loops: `sqrt(-2 log(1 - u)) cos(2 pi v)` of two uniform ones for `normal`."""
    key, places = (seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF), (step & 0xFFFFFFFF, stream & 0xFFFFFFFF, _last(step, number))
    if isinstance(elements, tuple):
        rows, columns = elements
        return _connections.fill(law, np.empty(len(columns)), key, *places, 0, np.ascontiguousarray(rows, np.int32), np.ascontiguousarray(columns, np.int32))
    if isinstance(elements, slice):
        return _connections.fill(law, np.empty(max(0, elements.stop - elements.start)), key, *places, elements.start)
    if np.ndim(elements) == 0:
        return _connections.fill(law, np.empty(elements), key, *places)
    index = np.ascontiguousarray(elements, np.int64)
    return _connections.fill(law, np.empty(index.size), key, *places, index.ravel()).reshape(index.shape)


def _last(step: int, number: int) -> int:
    """The last word of a counter."""
    return ((number & 0xFFFF) | ((step >> 32) & 0xFFFF) << 16) & 0xFFFFFFFF


def _words(seed: int, epoch: int, step: int, elements: Elements, stream: int, number: int) -> tuple[np.ndarray, ...]:
    last = _last(step, number)
    if isinstance(elements, tuple):
        return philox((*elements, np.full(len(elements[0]), stream & 0xFFFFFFFF), np.full(len(elements[0]), last)), (seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF))
    elements = np.arange(elements.start, elements.stop) if isinstance(elements, slice) else elements
    index = np.arange(elements, dtype=np.uint64) if np.ndim(elements) == 0 else np.asarray(elements).astype(np.uint64)  # type: ignore[arg-type]
    # Philox in numpy takes a hundred calls, whatever the number of elements; the compiled form gives the same words.
    words: tuple[np.ndarray, ...] = _runtime.philox_words(seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF, step & 0xFFFFFFFF, index.ravel(), stream & 0xFFFFFFFF, last)
    return tuple(word.reshape(index.shape) for word in words)


def _unit(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return ((high >> np.uint64(5)).astype(np.float64) * 67108864.0 + (low >> np.uint64(6)).astype(np.float64)) * 2.0**-53


class _Pairs:
    """Two uniform numbers for each element, as often as they are asked for: Philox goes on from the words that it gave.

    The second word of the key may differ between elements.
    """

    def __init__(self, words: tuple[np.ndarray, ...], key: tuple[int, int | np.ndarray]) -> None:
        self._words, self._key = words, key

    def next(self, chosen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The next pair; from now on for the chosen elements only."""
        if chosen is not None:
            self.keep(chosen)
            self._words = philox(self._words, self._key)
        a, b, c, d = self._words
        return _unit(a, b), _unit(c, d)

    def keep(self, chosen: np.ndarray) -> None:
        """Leave the other elements out from now on."""
        seed, epoch = self._key
        self._words = tuple(word[chosen] for word in self._words)
        self._key = seed, epoch[chosen] if isinstance(epoch, np.ndarray) else epoch


def poisson(seed: int, epoch: int, step: int, elements: Elements, stream: int, number: int, mean: object) -> np.ndarray:
    """Poisson numbers (int64) with the given mean for each element; 0 where the mean is not positive.

    Exact in distribution: inversion below a mean of 10, transformed rejection above (PTRS; Hörmann 1993).
    """
    return _poisson(_words(seed, epoch, step, elements, stream, number), (seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF), mean)


def _poisson(words: tuple[np.ndarray, ...], key: tuple[int, int | np.ndarray], mean: object) -> np.ndarray:
    pairs = _Pairs(words, key)
    means = np.broadcast_to(np.asarray(mean, np.float64), words[0].shape)
    result = np.zeros(words[0].shape, np.int64)
    small = (means > 0) & (means < 10)
    if small.any():
        first, few = pairs.next()[0][small], means[small]
        result[small] = _invert(first, np.exp(-few), lambda k: few / k, np.full(first.shape, 64.0))
    large = means >= 10
    if large.any():
        result[large] = _rejected(pairs, large, _Ptrs(np.minimum(means[large], 1e18)))
    return result


def binomial(seed: int, epoch: int, step: int, elements: Elements, stream: int, number: int, trials: object, probability: object) -> np.ndarray:
    """Binomial numbers (int64); 0 where there are no trials or the probability is not positive, and a probability above 1 counts as 1.

    Exact in distribution: inversion below a mean of 10, transformed rejection above (BTRS; Hörmann 1993).
    """
    return _binomial(_words(seed, epoch, step, elements, stream, number), (seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF), trials, probability)


def _binomial(words: tuple[np.ndarray, ...], key: tuple[int, int | np.ndarray], trials: object, probability: object) -> np.ndarray:
    pairs = _Pairs(words, key)
    n = np.floor(np.broadcast_to(np.asarray(trials, np.float64), words[0].shape))
    given = np.broadcast_to(np.asarray(probability, np.float64), words[0].shape)
    p = np.where(given > 0.5, np.maximum(1.0 - given, 0.0), given)
    result = np.zeros(words[0].shape, np.int64)
    live = (n > 0) & (n <= 1e18) & (p > 0)
    small = live & (n * p < 10)
    if small.any():
        m, q = n[small], p[small]
        odds = q / (1.0 - q)
        first = pairs.next()[0][small]
        result[small] = _invert(first, np.exp(m * np.log1p(-q)), lambda k: (m + 1.0) * odds / k - odds, np.minimum(m, 64.0))
    large = live & (n * p >= 10)
    if large.any():
        result[large] = _rejected(pairs, large, _Btrs(n[large], p[large]))
    return np.where((given > 0.5) & (n > 0) & (n <= 1e18), np.where(n > 0, n, 0).astype(np.int64) - result, result)


def bernoulli(seed: int, epoch: int, step: int, elements: Elements, stream: int, number: int, probability: object) -> np.ndarray:
    """True with the given probability for each of the elements, which ascend; not where it is NaN.

    From a probability of 1/16 on, an element has a uniform number of its own. Below, it belongs to the class k of those from `2**-(k + 1)` up to `2**-k` (32
    for all that are smaller). Through each block of elements (`2**(k + 1)` of them, but at least 1024 and at most 8192), gaps of geometric length lead from
    one candidate to the next, as if every element were one with probability `2**-k`; one of the class is taken with probability `p*2**k`. So what an
    element draws depends on no probability but its own, and for most blocks a vector of numbers is enough.
    """
    index = np.arange(elements) if isinstance(elements, int) else np.asarray(elements)
    p = np.broadcast_to(np.asarray(probability, np.float64), index.shape)
    classes = np.where(p > 0, np.where(p >= 0.0625, 0, np.clip(-np.frexp(np.where(p > 0, p, 1.0))[1], 4, 32)), -1)
    result = np.zeros(index.shape, bool)
    frequent = classes == 0
    if frequent.any():
        result[frequent] = uniform(seed, epoch, step, index[frequent], stream, number) < p[frequent]
    for k in np.unique(classes[classes > 0]).tolist():
        members = np.flatnonzero(classes == k)
        places, level = _candidates(seed, epoch, step, np.unique(index[members] // _block(k)), stream ^ k << 24, number, k)
        at = np.searchsorted(index[members], places)
        found = at < members.size
        found[found] = index[members[at[found]]] == places[found]
        chosen = members[at[found]]
        result[chosen] = level[found] < p[chosen] * 2.0**k
    return result


def _block(k: int) -> int:
    """The number of elements of a block in class k."""
    return min(max(2 << k, 1024), 8192)


def _candidates(seed: int, epoch: int, step: int, blocks: np.ndarray, stream: int, number: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The elements of the blocks that are chosen with probability `2**-k` each, and a uniform number for each of them."""
    size = _block(k)
    first, reached, done = blocks * size, np.zeros((blocks.size, 1), np.int64), 0
    turns = math.ceil(size / 2**k + 4.0 * math.sqrt(size / 2**k)) + 1
    places, levels = [np.zeros(0, np.int64)], [np.zeros(0)]
    while first.size:
        a, b, c, d = _words(seed, epoch, step, first[:, None] + np.arange(done, done + turns), stream, number)
        gaps = np.searchsorted(_gaps(k), a << np.uint64(31) | b >> np.uint64(1), side="right")
        ahead = reached + np.cumsum(gaps + 1, axis=1) - 1
        within = ahead < size
        places.append((first[:, None] + ahead)[within])
        levels.append(_unit(c, d)[within])
        reached, done = ahead[:, -1:] + 1, done + turns
        first, reached = first[within[:, -1]], reached[within[:, -1]]
    return np.concatenate(places), np.concatenate(levels)


@lru_cache
def _gaps(k: int) -> np.ndarray:
    """How likely a gap of at most n elements is, for each n below the size of a block: `1 - (1 - 2**-k)**(n + 1)` in units of 2**-63, in whole numbers."""
    left, table = 1 << 126, []
    for _ in range(_block(k)):
        left -= left >> k
        table.append((1 << 63) - (left >> 63))
    return np.array(table, np.uint64)


def _invert(u: np.ndarray, first: np.ndarray, ratio: Callable[[float], np.ndarray], most: np.ndarray) -> np.ndarray:
    """The first k whose cumulative probability exceeds u; `ratio(k)` is P(k)/P(k - 1), and no k exceeds `most`."""
    result = np.zeros(u.shape)
    p, total = first.copy(), first.copy()
    for k in range(1, 65):
        more = (u >= total) & (result == k - 1) & (k <= most)
        if not more.any():
            break
        p = p * ratio(float(k))
        total = np.where(more, total + p, total)
        result[more] = k
    return result.astype(np.int64)


def _rejected(pairs: _Pairs, chosen: np.ndarray, law: _Ptrs | _Btrs) -> np.ndarray:
    """Draw for the chosen elements until every one has a number that its law accepts."""
    result = np.zeros(int(chosen.sum()))
    waiting = np.arange(result.size)
    selected: np.ndarray = chosen
    pairs.keep(selected)
    u, v = pairs.next()
    while True:
        k, accepted = law.trial(u, v, waiting)
        result[waiting[accepted]] = k[accepted]
        waiting = waiting[~accepted]
        if not waiting.size:
            return result.astype(np.int64)
        u, v = pairs.next(~accepted)


class _Ptrs:
    """Hörmann's PTRS: Poisson numbers with means from 10 on."""

    def __init__(self, mean: np.ndarray) -> None:
        self.mean = mean
        self.b = 0.931 + 2.53 * np.sqrt(mean)
        self.a = -0.059 + 0.02483 * self.b
        self.alpha = 1.1239 + 1.1328 / (self.b - 3.4)
        self.accept = 0.9277 - 3.6224 / (self.b - 2.0)

    def trial(self, u: np.ndarray, v: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, a, b = self.mean[at], self.a[at], self.b[at]
        u = u - 0.5
        us = 0.5 - np.abs(u)
        k = np.floor((2.0 * a / us + b) * u + mean + 0.43)
        bound = np.log(v * self.alpha[at] / (a / (us * us) + b))
        within = ~((k < 0) | ((us < 0.013) & (v > us))) & (k < 9e18)
        return k, within & (((us >= 0.07) & (v <= self.accept[at])) | (bound <= _log_poisson(np.maximum(k, 0.0), mean)))


class _Btrs:
    """Hörmann's BTRS: binomial numbers with means from 10 on and probabilities up to 1/2."""

    def __init__(self, n: np.ndarray, p: np.ndarray) -> None:
        self.n, self.p = n, p
        width = np.sqrt(n * p * (1.0 - p))
        self.b = 1.15 + 2.53 * width
        self.a = -0.0873 + 0.0248 * self.b + 0.01 * p
        self.alpha = (2.83 + 5.1 / self.b) * width
        self.accept = 0.92 - 4.2 / self.b
        self.top = _log_binomial(np.floor((n + 1.0) * p), n, p)

    def trial(self, u: np.ndarray, v: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n, p, a, b = self.n[at], self.p[at], self.a[at], self.b[at]
        u = u - 0.5
        us = 0.5 - np.abs(u)
        k = np.floor((2.0 * a / us + b) * u + n * p + 0.5)
        bound = np.log(v * self.alpha[at] / (a / (us * us) + b))
        within = (k >= 0) & (k <= n)
        inside = np.where(within, k, 0.0)
        return k, within & (((us >= 0.07) & (v <= self.accept[at])) | (bound <= _log_binomial(inside, n, p) - self.top[at]))


STIRLING = (
    0.0,
    0.08106146679532726,
    0.0413406959554093,
    0.02767792568499834,
    0.020790672103765093,
    0.016644691189821193,
    0.013876128823070748,
    0.01189670994589177,
    0.010411265261972096,
    0.009255462182712733,
    0.00833056343336287,
    0.007573675487951841,
    0.00694284010720953,
    0.006408994188004207,
    0.0059513701127588475,
    0.005554733551962801,
)
"""log(k!) - log(sqrt(2 pi k) (k/e)**k) for k up to 15."""


def _stirling(k: np.ndarray) -> np.ndarray:
    """What Stirling's formula leaves out of log(k!)."""
    k = np.asarray(k)
    r = 1.0 / np.maximum(k, 16.0)
    s = r * r
    series = r * (1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s * (1.0 / 1680.0 - s / 1188.0))))
    return np.where(k < 16, np.array(STIRLING)[np.minimum(k, 15.0).astype(np.int64)], series)


def _deviance(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """x log(x/mean) + mean - x without cancellation (Loader 2000)."""
    difference, total = x - mean, x + mean
    v = difference / total
    near = np.abs(difference) < 0.1 * total
    s, e, w = difference * v, 2.0 * x * v, v * v
    for j in range(1, 11):
        e = e * w
        s = s + e / (2.0 * j + 1.0)
    return np.where(near, s, x * np.log(x / mean) + mean - x)


def _log_poisson(k: np.ndarray, mean: np.ndarray) -> np.ndarray:
    inside = np.maximum(k, 1.0)
    value = -_stirling(inside) - _deviance(inside, mean) - 0.5 * np.log(6.283185307179586 * inside)
    return np.where(k < 1, -mean, value)


def _log_binomial(k: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    x = np.minimum(np.maximum(k, 1.0), n - 1.0)
    q = 1.0 - p
    value = _stirling(n) - _stirling(x) - _stirling(n - x) - _deviance(x, n * p) - _deviance(n - x, n * q)
    value = value + 0.5 * np.log(n / (6.283185307179586 * x * (n - x)))
    return np.where(k < 1, n * np.log1p(-p), np.where(k > n - 1.0, n * np.log(p), value))


LAWS: dict[str, Callable[..., np.ndarray]] = {"uniform": uniform, "normal": normal, "poisson": poisson, "binomial": binomial, "bernoulli": bernoulli}
"""The laws of `codegen.ir.Draw`, by name."""


def block(law: str, seed: int, samples: np.ndarray, first: np.ndarray, steps: int, size: int, stream: int, number: int, *parameters: object) -> np.ndarray:
    """What runs of several samples draw in several steps, shape (steps, samples, size): each as a run whose epoch is the number of the sample.

    Parameters
    ----------
    law, seed, stream, number : of the draw
    samples, first : arrays of int64
        The samples, and the number of the first step of each.
    steps : how many
    parameters : of a law that has some, each of a shape that can be spread over the result
    """
    if law in ("uniform", "normal"):
        filled: np.ndarray = _connections.fill_block(law, np.empty((steps, len(samples), size)), seed & 0xFFFFFFFF, samples, first, stream, number)
        return filled
    shape = (steps, len(samples), size)
    if not np.prod(shape):
        return np.zeros(shape, np.int64)
    rows = [_words(seed, int(sample), int(begin) + n, size, stream, number) for n in range(steps) for sample, begin in zip(samples, first)]
    words = tuple(map(np.concatenate, zip(*rows)))
    epochs = np.broadcast_to(samples.astype(np.uint64)[:, None], shape).ravel() & _LOW
    flat = [np.broadcast_to(np.asarray(value, np.float64), shape).ravel() for value in parameters]
    return _WITH_PARAMETERS[law](words, (seed & 0xFFFFFFFF, epochs), *flat).reshape(shape)


_WITH_PARAMETERS: dict[str, Callable[..., np.ndarray]] = {"poisson": _poisson, "binomial": _binomial}


def drawn(line: Draw, seed: int, epoch: int, step: int, elements: Elements, stream: int) -> np.ndarray | Callable[..., np.ndarray]:
    """The numbers of a Draw; for a law with arguments, the function of their values that gives them."""
    law = partial(LAWS[line.law], seed, epoch, step, elements, stream, line.number)
    return law if line.arguments else law()
