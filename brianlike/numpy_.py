"""numpy, with those functions in which numpy itself would lose units; scripts have it as `np` and `numpy`.

>>> from brianlike.units import ms
>>> arange(0*ms, 3*ms, 1*ms)
array([0., 1., 2.]) * ms
"""

from __future__ import annotations

from typing import Any

import numpy

from .pylab_names import RARE
from .unit_safe import *  # noqa: F403

globals().update({name: getattr(numpy, name) for name in numpy.__all__ if name not in RARE and name not in globals()})
__all__ = sorted(set(numpy.__all__) - RARE)


def __getattr__(name: str) -> Any:
    return getattr(numpy, name)


def __dir__() -> list[str]:
    return dir(numpy)
