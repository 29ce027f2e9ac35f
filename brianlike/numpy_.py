"""numpy, with those functions in which numpy itself would lose units; scripts have it as `np` and `numpy`.

>>> from brianlike.units import ms
>>> arange(0*ms, 3*ms, 1*ms)
array([0., 1., 2.]) * ms
"""

from __future__ import annotations

from typing import Any

import numpy

from .pylab_names import RARE, summed
from .unit_safe import *  # noqa: F403

globals().update({name: getattr(numpy, name) for name in numpy.__all__ if name not in RARE and name not in globals()})
sum = summed
__all__ = sorted(set(numpy.__all__) - RARE)


# What numpy 2 has removed and scripts of Brian's time still use.
_REMOVED = {
    "Inf": "inf", "Infinity": "inf", "NaN": "nan", "alltrue": "all", "complex_": "complex128", "cumproduct": "cumprod", "float_": "float64", "infty": "inf",
    "int0": "intp", "product": "prod", "row_stack": "vstack", "sometrue": "any", "trapz": "trapezoid",
}  # fmt: skip


def in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each value of `ar1`, as one long list, is among those of `ar2`; `numpy.isin` keeps the shape."""
    return numpy.isin(numpy.ravel(ar1), ar2, assume_unique=assume_unique, invert=invert)


def __getattr__(name: str) -> Any:
    if not hasattr(numpy, name) and name in _REMOVED:
        return globals().get(_REMOVED[name], getattr(numpy, _REMOVED[name]))
    return getattr(numpy, name)


def __dir__() -> list[str]:
    return dir(numpy)
