"""Quantities: numpy arrays with physical dimensions, stored in SI units, that refuse to be mixed up.

>>> R, I = 100*Mohm, 0.1*nA
>>> R*I
10. * mV
>>> 10*ms/ms
10.0
>>> R*I + 1*ms
Traceback (most recent call last):
    ...
brianlike.units.DimensionMismatchError: `+`: 10. mV (volt) and 1. ms (second) have different units

A result without dimensions is a plain number or a plain array. What numpy cannot tell us about stays bare: `np.full(3, 1*mV)` and `plain[:] = 1*mV` copy
the SI numbers and forget the unit; write `np.full(3, 1)*mV`.
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from codegen.dims import DIMENSIONLESS, SCALES, Dimensions, unit_name

from . import _unit_text
from ._quantity import Quantity, Unit, get_dimensions, named_dimensions, split, unit_quantity, wrapped
from ._quantity import asarray_si as asarray_si
from ._quantity import dimensions_of as dimensions_of
from ._unit_functions import DimensionMismatchError, common_dimensions, describe, fits

_LOG = logging.getLogger("brianlike")


def is_dimensionless(obj: Any) -> bool:
    """Whether `obj` is a pure number.

    >>> is_dimensionless(mV/volt), is_dimensionless(mV)
    (True, False)
    """
    return get_dimensions(obj).is_dimensionless


def have_same_dimensions(obj1: Any, obj2: Any) -> bool:
    """Whether two values can be added.

    >>> have_same_dimensions(1*mV, 2*nA*Mohm)
    True
    """
    return get_dimensions(obj1) == get_dimensions(obj2)


def fail_for_dimension_mismatch(left: Any, right: Any = 1, message: str = "units must agree") -> tuple[Dimensions, Dimensions]:
    """The dimensions of two values, or a `DimensionMismatchError` naming both if they differ; 0, inf and nan fit any unit.

    >>> [str(dimensions) for dimensions in fail_for_dimension_mismatch(1*mV, 0)]
    ['volt', '1']
    """
    dimensions = get_dimensions(left), get_dimensions(right)
    common_dimensions(message, (left, right), dimensions)
    return dimensions


def get_unit(d: Any) -> Unit:
    """The SI unit of a quantity, or of dimensions.

    >>> get_unit(3*mV)
    volt
    """
    dims = get_dimensions(d)
    return unit_quantity("1" if dims.is_dimensionless else unit_name(dims), 1.0, dims)


def in_unit(x: Any, u: Quantity, precision: int | None = None) -> str:
    """`x` as text, in the unit `u`.

    >>> in_unit(0.25*mV, uvolt)
    '250. uvolt'
    """
    return Quantity(x).in_unit(u, precision)


def in_best_unit(x: Any, precision: int | None = None) -> str:
    """`x` as text, in the unit that keeps its numbers short.

    >>> in_best_unit(3e-9*siemens)
    '3. nS'
    """
    return Quantity(x).in_best_unit(precision)


def arange(*limits: Any, start: Any = 0, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """`np.arange` that takes quantities: numpy's own cannot, as it asks nobody before it converts to float.

    >>> arange(0*ms, 3*ms, 1*ms)
    array([0., 1., 2.]) * ms
    """
    if len(limits) > 3:
        raise TypeError(f"arange takes start, stop and step, not {len(limits)} limits")
    if len(limits) > 1 or stop is None:
        start, stop, step = {1: (start, *limits, step), 2: (*limits, step), 3: limits}.get(len(limits), (start, None, step))
    elif limits:
        (start,) = limits
    if stop is None:
        raise TypeError("arange needs a stop")
    dims = common_dimensions("arange", (start, stop), (get_dimensions(start), get_dimensions(stop)))
    if get_dimensions(step) != dims:
        raise DimensionMismatchError(f"arange of {unit_name(dims)} needs a step in {unit_name(dims)}, not {describe(step, get_dimensions(step))}", dims)
    return wrapped(np.arange(*(split(limit).bare for limit in (start, stop, step)), dtype=dtype), dims)


def check_units(**units: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Check the units of a function's arguments and of its result.

    Parameters
    ----------
    **units
        For each argument a unit, 1 for a pure number, `bool`, the name of an argument that has the same unit, or None for anything; `result` may also be a
        function from the arguments' dimensions to a unit or to dimensions.

    Examples
    --------
    >>> @check_units(I=amp, R=ohm, result=volt)
    ... def voltage(I, R):
    ...     return I*R
    >>> voltage(1*nA, 10*Mohm)
    10. * mV
    >>> voltage(1*mV, 10*Mohm)
    Traceback (most recent call last):
        ...
    brianlike.units.DimensionMismatchError: argument 'I' of voltage() must be in amp, not 1. mV (volt)
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        names = list(signature.parameters)
        for unknown in sorted(units.keys() - {"result", *names}):
            _LOG.warning("check_units: %s() has no argument %r whose unit could be checked", function.__name__, unknown)

        @functools.wraps(function)
        def checked(*arguments: Any, **keywords: Any) -> Any:
            bound = signature.bind(*arguments, **keywords).arguments
            for name in bound.keys() & units.keys():
                _check_argument(function.__name__, name, bound, units[name])
            result = function(*arguments, **keywords)
            if units.get("result") is not None:
                _check_result(function.__name__, units["result"], result, [bound[name] for name in names if name in bound])
            return result

        # Functions called from equations find here what the checker needs.
        facts = {
            "_orig_func": function,
            "_arg_names": names,
            "_arg_units": [units.get(name) for name in names],
            "_return_unit": units.get("result"),
            "_returns_bool": units.get("result") is bool,
        }
        checked.__dict__.update(facts)
        return checked

    return decorate


def _check_argument(function: str, name: str, bound: dict[str, Any], unit: Any) -> None:
    value = bound[name]
    # Text is an expression: its units are checked when it is parsed. None stands for an argument left out.
    if unit is None or value is None or isinstance(value, str):
        return
    if unit is bool:
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"argument {name!r} of {function}() must be True or False, not {value!r}")
        return
    wanted = get_dimensions(bound[unit] if isinstance(unit, str) else unit)
    given = get_dimensions(value)
    if not fits(value, given, wanted):
        unit_text = "a number without unit" if wanted.is_dimensionless else f"in {unit_name(wanted)}"
        raise DimensionMismatchError(f"argument {name!r} of {function}() must be {unit_text}, not {describe(value, given)}", wanted, given)


def _check_result(function: str, unit: Any, result: Any, arguments: list[Any]) -> None:
    if unit is bool:
        if np.asarray(result).dtype != bool:
            raise TypeError(f"{function}() must return True or False, not {result!r}")
        return
    if callable(unit) and not isinstance(unit, Quantity):
        unit = unit(*(get_dimensions(argument) for argument in arguments))
    wanted, given = get_dimensions(unit), get_dimensions(result)
    if not fits(result, given, wanted):
        raise DimensionMismatchError(f"{function}() must return {unit_name(wanted)}, not {describe(result, given)}", wanted, given)


def get_or_create_dimension(*exponents: Any, **named: float) -> Dimensions:
    """The dimensions with seven exponents (metre, kilogram, second, ampere, kelvin, mole, candela), or with those named.

    >>> get_or_create_dimension(length=1, time=-2) == get_or_create_dimension([1, 0, -2, 0, 0, 0, 0])
    True
    """
    if not exponents:
        return named_dimensions(**named)
    if named or len(exponents) > 1 or len(exponents[0]) != 7:
        raise TypeError("give either one sequence of 7 exponents, or exponents by name")
    return Dimensions(tuple(exponents[0]))


def get_unit_for_display(d: Any) -> str | int:
    """The name of the SI unit of a quantity or of dimensions, as text; the number 1 if there is none.

    >>> get_unit_for_display(3*mV)
    'volt'
    """
    dims = get_dimensions(d)
    return 1 if dims.is_dimensionless else unit_name(dims)


def quantity_with_dimensions(numbers: Any, dims: Any) -> Quantity:
    """The quantity of these numbers in SI units, of the dimensions `dims`.

    >>> quantity_with_dimensions(0.5, volt.dimensions)
    500. * mV
    """
    return Quantity.with_dimensions(numbers, get_dimensions(dims))


def is_scalar_type(obj: Any) -> bool:
    """Whether `obj` is one number without unit.

    >>> is_scalar_type(3), is_scalar_type(3*mV), is_scalar_type([3])
    (True, False, False)
    """
    return bool(np.ndim(obj) == 0 and not isinstance(obj, str) and get_dimensions(obj).is_dimensionless)


def register_new_unit(u: Unit) -> None:
    """Let quantities be written in the unit `u`, where that keeps their numbers short."""
    _unit_text.register(u.name, float(asarray_si(u)), u.dimensions)


class _Celsius:
    """Refuses to be a unit: 20 degrees may be a temperature or a difference of two, and only the second is `20*kelvin`."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError("celsius is ambiguous: write a temperature as `20*kelvin + zero_celsius` (brianlike.unit_constants), a difference as `20*kelvin`")

    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __array__ = __float__ = _refuse
    __array_ufunc__ = None

    def __repr__(self) -> str:
        return "celsius"


celsius = _Celsius()


def __getattr__(name: str) -> Unit:
    # The unit names are set below by a loop; this tells type checkers that they exist.
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; a unit that has no name is made from others, as in mV/ms")


UNIT_NAMES = tuple(SCALES)
globals().update({name: unit_quantity(name, scale, dims) for name, (scale, dims) in SCALES.items()})

__all__ = [
    "DIMENSIONLESS",
    "DimensionMismatchError",
    "Quantity",
    "Unit",
    "celsius",
    "check_units",
    "fail_for_dimension_mismatch",
    "get_dimensions",
    "get_or_create_dimension",
    "get_unit",
    "have_same_dimensions",
    "in_best_unit",
    "in_unit",
    "is_dimensionless",
    "is_scalar_type",
    "register_new_unit",
    *UNIT_NAMES,
]
