"""What tests of simulations compare with."""

from __future__ import annotations

from typing import Any

import numpy as np

from .preferences import prefs
from .units import asarray_si, have_same_dimensions

__all__ = ["assert_allclose", "exc_isinstance"]


def assert_allclose(actual: Any, desired: Any, rtol: float = 4.5e8, atol: float = 1e-9, **keywords: Any) -> None:
    """Raise AssertionError unless two values have the same unit and nearly the same numbers.

    Parameters
    ----------
    rtol : float
        Relative tolerance, in units of the rounding error of `prefs.core.default_float_dtype`.
    atol : float
        Absolute tolerance (SI units).
    """
    assert have_same_dimensions(actual, desired), f"{actual!r} and {desired!r} have different units"
    exact = float(np.finfo(prefs["core.default_float_dtype"]).eps)
    np.testing.assert_allclose(asarray_si(actual), asarray_si(desired), rtol=rtol * exact, atol=atol, **keywords)


def exc_isinstance(exc_info: Any, expected_exception: type[BaseException], raise_not_implemented: bool = False) -> bool:
    """Whether an exception, or one that led to it, is of a class.

    Parameters
    ----------
    exc_info : Exception or pytest.ExceptionInfo
    expected_exception : type
    raise_not_implemented : bool
        Raise a NotImplementedError found on the way.
    """
    error = getattr(exc_info, "value", exc_info)
    while error is not None:
        if raise_not_implemented and isinstance(error, NotImplementedError):
            raise error
        if isinstance(error, expected_exception):
            return True
        error = error.__cause__
    return False
