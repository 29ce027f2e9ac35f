"""The functions of numpy that Brian wraps so that they respect units. numpy asks our quantities itself, except in `arange`; `exprel` is not numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    cos,
    cosh,
    diagonal,
    dot,
    exp,
    expm1,
    linspace,
    log,
    log1p,
    log10,
    ones_like,
    ptp,
    ravel,
    sin,
    sinh,
    tan,
    tanh,
    trace,
    where,
    zeros_like,
)

from .units import DimensionMismatchError, arange, get_dimensions

__all__ = [
    "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cos", "cosh", "diagonal", "dot", "exp", "expm1", "exprel", "linspace", "log",
    "log10", "log1p", "ones_like", "ptp", "ravel", "sin", "sinh", "tan", "tanh", "trace", "where", "zeros_like",
]  # fmt: skip


def exprel(x: Any) -> Any:
    """`(exp(x) - 1)/x`, which is 1 at 0.

    Parameters
    ----------
    x : array
        Numbers without unit.

    Examples
    --------
    >>> exprel(0.0), round(float(exprel(1.0)), 4)
    (1.0, 1.7183)
    """
    dims = get_dimensions(x)
    if not dims.is_dimensionless:
        raise DimensionMismatchError("exprel needs a number without unit; divide by a unit first", dims)
    numbers = np.asarray(x, dtype=float)
    small = np.abs(numbers) < 1e-16
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.where(small, 1.0, np.expm1(numbers) / np.where(small, 1.0, numbers))
    values = np.where(numbers == np.inf, np.inf, values)
    return values if values.ndim else float(values)
