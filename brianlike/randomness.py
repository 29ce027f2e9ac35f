"""Random numbers that depend on nothing but where they are used: Philox4x32-10 (Salmon et al. 2011) in numpy.

The key is (seed, epoch), the counter (step, element, stream, number of the draw), so neither the order of evaluation nor the number of threads
matters. Compiled kernels draw the same bits (`codegen/emit/prelude.py`); normal numbers agree to the last digits of log and cos.
"""

from __future__ import annotations

import numpy as np

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox(counter: tuple[np.ndarray, ...], key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Four words (as uint64 below 2**32) for each counter of four words."""
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    k, m = key
    for _ in range(10):
        p, q = _MULTIPLIERS[0] * a, _MULTIPLIERS[1] * c
        a, b, c, d = (q >> _32) ^ b ^ np.uint64(k), q & _LOW, (p >> _32) ^ d ^ np.uint64(m), p & _LOW
        k, m = (k + _WEYL[0]) & 0xFFFFFFFF, (m + _WEYL[1]) & 0xFFFFFFFF
    return a, b, c, d


def uniform(seed: int, epoch: int, step: int, elements: np.ndarray | int, stream: int, number: int, dtype: object = np.float64) -> np.ndarray:
    """Numbers on [0, 1), one for each of `elements`: 53 random bits, or 24 with `dtype=np.float32`."""
    a, b, _, _ = _words(seed, epoch, step, elements, stream, number)
    if np.dtype(dtype) == np.float32:  # type: ignore[call-overload]
        return (a >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
    return _unit(a, b)


def normal(seed: int, epoch: int, step: int, elements: np.ndarray | int, stream: int, number: int, dtype: object = np.float64) -> np.ndarray:
    """Standard normal numbers, one for each of `elements` (Box-Muller)."""
    a, b, c, d = _words(seed, epoch, step, elements, stream, number)
    values = np.sqrt(-2.0 * np.log(1.0 - _unit(a, b))) * np.cos(6.283185307179586 * _unit(c, d))
    return values.astype(dtype)  # type: ignore[call-overload]


def _words(seed: int, epoch: int, step: int, elements: np.ndarray | int, stream: int, number: int) -> tuple[np.ndarray, ...]:
    """`elements` is their number or their indices."""
    index = np.arange(elements, dtype=np.uint64) if np.ndim(elements) == 0 else np.asarray(elements).astype(np.uint64)  # type: ignore[arg-type]
    last = (number & 0xFFFF) | ((step >> 32) & 0xFFFF) << 16
    rest = (np.full(1, word & 0xFFFFFFFF, np.uint64) for word in (step, stream, last))
    low, origin, high = rest
    return philox((low, index & _LOW, origin, high), (seed & 0xFFFFFFFF, epoch & 0xFFFFFFFF))


def _unit(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return ((high >> np.uint64(5)).astype(np.float64) * 67108864.0 + (low >> np.uint64(6)).astype(np.float64)) * 2.0**-53


LAWS = {"uniform": uniform, "normal": normal}
"""The laws of `codegen.ir.Draw`, by name."""
