"""Rates over time: windows to smooth them, bins to average them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..clocks import seconds


def window_of(window: Any, width: object, dt: float) -> np.ndarray:
    """The weights of a window, an odd number of them with sum 1.

    Parameters
    ----------
    window : 'gaussian', 'flat' or array
    width : Quantity
        The standard deviation, or the length (s), of a window given by name.
    dt : float
        In seconds.
    """
    if not isinstance(window, str):
        if width is not None:
            raise TypeError("width belongs to a window given by name; an array has its own")
        weights = np.asarray(window, dtype=np.float64)
        if weights.ndim != 1 or weights.size % 2 != 1:
            raise TypeError(f"a window must be one-dimensional with an odd number of values, not of shape {weights.shape}")
        return weights / weights.sum()
    if window not in ("gaussian", "flat"):
        raise NotImplementedError(f"there is no window {window!r}; take 'gaussian', 'flat' or an array")
    if width is None:
        raise TypeError(f"the window {window!r} needs a width")
    length = seconds(width, "the width of a window")
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"the width of a window must be positive, not {width!r}")
    if window == "flat":
        size = int(length / 2 / dt) * 2 + 1
        return np.ones(size) / size
    reach = round(2 * length / dt)  # two standard deviations on either side
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * (length / dt) ** 2))
    return np.asarray(weights / weights.sum())


def smooth(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The last axis convolved with a window; beyond the ends there is nothing."""
    if not values.shape[-1]:
        return values.astype(np.float64)
    full = np.apply_along_axis(np.convolve, -1, values, weights)
    first = (weights.size - 1) // 2
    return np.asarray(full[..., first : first + values.shape[-1]])


def steps_in(bin_size: object, dt: float) -> int:
    """The steps of a bin; ValueError unless it is a whole number of them."""
    length = seconds(bin_size, "the size of a bin")
    steps = round(length / dt)
    if steps < 1 or abs(steps * dt - length) > 1e-4 * dt:
        raise ValueError(f"the size of a bin ({length:g} s) must be a multiple of dt ({dt:g} s)")
    return steps
