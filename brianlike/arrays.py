"""Memory for the values of very many elements: aligned, in whole vectors, and not touched before it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._connections import release

LANES, ALIGNMENT = 16, 64  # elements and bytes: kernels work on whole vectors


def padded(count: int) -> int:
    """The length of an array for `count` elements: whole vectors, at least one."""
    return max(LANES, -(-count // LANES) * LANES)


def reserve(count: int, dtype: Any, zero: bool = False) -> np.ndarray:
    """An aligned array of `padded(count)` elements. What is never written takes up no memory, also where it must read as zero.

    >>> reserve(3, float, zero=True).size
    16
    """
    kind, length = np.dtype(dtype), padded(count)
    raw = (np.zeros if zero else np.empty)(length * kind.itemsize + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + length * kind.itemsize].view(kind)


def shortened(array: np.ndarray, count: int) -> np.ndarray:
    """The first elements of a reserved array; the memory behind them is given back."""
    release(array, padded(count))
    return array[:count]


def whole_vectors(array: np.ndarray) -> np.ndarray | None:
    """The reserved array of whole vectors that begins with `array`, or None if it does not lie in such a one.

    >>> whole_vectors(reserve(30, float)[:17]).size
    32
    """
    owner = array.base
    if array.ndim != 1 or not isinstance(owner, np.ndarray) or owner.dtype != np.uint8 or not array.flags.c_contiguous:
        return None
    start, size = array.ctypes.data - owner.ctypes.data, padded(array.size) * array.itemsize
    if array.ctypes.data % ALIGNMENT or start < 0 or start + size > owner.nbytes:
        return None
    return owner[start : start + size].view(array.dtype)
