"""Between which limits an expression lies for many elements at once: interval arithmetic on expression trees, with numpy.

Limits hold up to rounding of the last digits. Where nothing is known, or where a value may be NaN, they are in doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from codegen.expr import Binary, Call, Cast, Compare, DType, Expr, Logical, Name, Negate, Not, Number, Truth, Where

LARGEST = 2.0**31  # whole numbers may be computed in 32 bits


@dataclass(frozen=True, slots=True)
class Limits:
    """Values from `low` to `high` for each of many sets of elements; where `doubt` is true nothing is known. Truth values lie between 0 and 1."""

    low: np.ndarray
    high: np.ndarray
    doubt: np.ndarray
    whole: bool = False


def limits(low: object, high: object, doubt: object = False, whole: bool = False) -> Limits:
    """Limits, in doubt where they are not finite.

    >>> bool(limits(0, np.inf).doubt), bool(limits(0, 1).doubt)
    (True, False)
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    doubt = np.asarray(doubt) | ~np.isfinite(low) | ~np.isfinite(high)
    if whole:
        doubt = doubt | (np.abs(low) >= LARGEST) | (np.abs(high) >= LARGEST)
    return Limits(np.where(doubt, -np.inf, low), np.where(doubt, np.inf, high), doubt, whole)


UNKNOWN = limits(-np.inf, np.inf)


def limits_of(expr: Expr, names: Mapping[str, Limits]) -> Limits:
    """The limits of an expression, from those of its names.

    >>> x = limits(-2, 3)
    >>> found = limits_of(Binary("**", Name("x"), Number(2)), {"x": x})
    >>> float(found.low), float(found.high)
    (0.0, 9.0)
    """

    def inner(part: Expr) -> Limits:
        return limits_of(part, names)

    match expr:
        case Number(value):
            return limits(value, value, whole=isinstance(value, int))
        case Truth(value):
            return limits(value, value)
        case Name(name):
            return names.get(name, UNKNOWN)
        case Negate(operand):
            x = inner(operand)
            return limits(-x.high, -x.low, x.doubt, x.whole)
        case Not(operand):
            x = inner(operand)
            return limits(1 - x.high, 1 - x.low, x.doubt)
        case Binary("**", left, Number(power)):
            return _power(inner(left), power)
        case Binary(operator, left, right) if operator in _ARITHMETIC:
            return _ARITHMETIC[operator](inner(left), inner(right))
        case Compare(operator, left, right):
            return _compared(operator, inner(left), inner(right))
        case Logical(operator, left, right):
            a, b, join = inner(left), inner(right), np.minimum if operator == "and" else np.maximum
            return limits(join(_truth(a.low, 0.0), _truth(b.low, 0.0)), join(_truth(a.high, 1.0), _truth(b.high, 1.0)))
        case Where(condition, then, otherwise):
            return _either(inner(condition), inner(then), inner(otherwise))
        case Cast(dtype, operand):
            return _cast(dtype, inner(operand))
        case Call(function, arguments, _, None) if function in _FUNCTIONS:
            return _FUNCTIONS[function](*map(inner, arguments))
    return UNKNOWN


def _truth(values: np.ndarray, unknown: float) -> np.ndarray:
    return np.where(np.isfinite(values), values, unknown)


def _corners(function: Callable[[np.ndarray, np.ndarray], np.ndarray], a: Limits, b: Limits, doubt: object, whole: bool) -> Limits:
    """The limits of a function that is monotonic in each argument."""
    corners = [function(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return limits(np.minimum.reduce(np.broadcast_arrays(*corners)), np.maximum.reduce(np.broadcast_arrays(*corners)), doubt, whole)


def _add(a: Limits, b: Limits) -> Limits:
    return limits(a.low + b.low, a.high + b.high, a.doubt | b.doubt, a.whole and b.whole)


def _subtract(a: Limits, b: Limits) -> Limits:
    return limits(a.low - b.high, a.high - b.low, a.doubt | b.doubt, a.whole and b.whole)


def _multiply(a: Limits, b: Limits) -> Limits:
    return _corners(np.multiply, a, b, a.doubt | b.doubt, a.whole and b.whole)


def _divide(a: Limits, b: Limits) -> Limits:
    return _corners(np.divide, a, b, a.doubt | b.doubt | ((b.low <= 0) & (b.high >= 0)), False)


def _modulo(a: Limits, b: Limits) -> Limits:
    return limits(np.zeros_like(b.high), b.high, a.doubt | b.doubt | (b.low <= 0), a.whole and b.whole)


def _power(x: Limits, power: float) -> Limits:
    if power == int(power) and power >= 0:
        ends = x.low**power, x.high**power
        low = np.minimum(*ends)
        return limits(np.where((x.low < 0) & (x.high > 0), np.minimum(low, 0.0), low), np.maximum(*ends), x.doubt)
    return _corners(lambda values, _: values**power, x, x, x.doubt | (x.low <= 0), False)


_ARITHMETIC: dict[str, Callable[[Limits, Limits], Limits]] = {"+": _add, "-": _subtract, "*": _multiply, "/": _divide, "%": _modulo}


def _compared(operator: str, a: Limits, b: Limits) -> Limits:
    if operator in (">", ">="):
        return _compared("<" if operator == ">" else "<=", b, a)
    if operator == "!=":
        same = _compared("==", a, b)
        return limits(1 - same.high, 1 - same.low)
    doubt = a.doubt | b.doubt
    match operator:
        case "<":
            sure, never = a.high < b.low, a.low >= b.high
        case "<=":
            sure, never = a.high <= b.low, a.low > b.high
        case _:
            sure, never = (a.low == a.high) & (b.low == b.high) & (a.low == b.low), (a.high < b.low) | (b.high < a.low)
    return limits(sure & ~doubt, ~never | doubt)


def _either(condition: Limits, then: Limits, otherwise: Limits) -> Limits:
    may, may_not = _truth(condition.high, 1.0) > 0, _truth(condition.low, 0.0) < 1
    low = np.minimum(np.where(may, then.low, np.inf), np.where(may_not, otherwise.low, np.inf))
    high = np.maximum(np.where(may, then.high, -np.inf), np.where(may_not, otherwise.high, -np.inf))
    return limits(low, high, (may & then.doubt) | (may_not & otherwise.doubt), then.whole and otherwise.whole)


def _cast(dtype: DType, x: Limits) -> Limits:
    if dtype is DType.BOOL:
        return limits((x.low > 0) | (x.high < 0), (x.low != 0) | (x.high != 0))
    return x if dtype is DType.FLOAT else limits(np.trunc(x.low), np.trunc(x.high), x.doubt, True)


def _rising(function: Callable[[np.ndarray], np.ndarray], least: float = -np.inf) -> Callable[[Limits], Limits]:
    """The limits of a function that rises, and is known above `least`."""
    return lambda x: limits(function(x.low), function(x.high), x.doubt | (x.low < least))


def _abs(x: Limits) -> Limits:
    nearest = np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
    return limits(nearest, np.maximum(np.abs(x.low), np.abs(x.high)), x.doubt, x.whole)


def _clip(x: Limits, a: Limits, b: Limits) -> Limits:
    low, high = (np.minimum(np.maximum(x_, a_), b_) for x_, a_, b_ in ((x.low, a.low, b.low), (x.high, a.high, b.high)))
    return limits(low, high, x.doubt | a.doubt | b.doubt, x.whole and a.whole and b.whole)


def _wave(x: Limits) -> Limits:
    return limits(-np.ones_like(x.low), np.ones_like(x.low), x.doubt)


_FUNCTIONS: dict[str, Callable[..., Limits]] = {
    "abs": _abs,
    "clip": _clip,
    "exp": _rising(np.exp),
    "sqrt": _rising(np.sqrt, 0.0),
    "log": _rising(np.log, 1e-300),
    "tanh": _rising(np.tanh),
    "arctan": _rising(np.arctan),
    "floor": _rising(np.floor),
    "ceil": _rising(np.ceil),
    "sin": _wave,
    "cos": _wave,
}
