"""The quantity class: a numpy array in SI units that knows its dimensions. `units` is its public face."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from codegen.dims import DIMENSIONLESS, Dimensions, unit_name
from codegen.dims import dimensions as _dimensions

from . import _unit_text as text
from ._unit_functions import (
    Call,
    DimensionMismatchError,
    Operand,
    apply,
    common_dimensions,
    describe,
    fits,
    mismatch,
    reduced_dimensions,
    ufunc_dimensions,
)

_NUMBERS = (int, float, complex, np.generic, np.ndarray, list, tuple)


class Quantity(np.ndarray):
    """An array of floating-point numbers in SI units, with their dimensions.

    Parameters
    ----------
    value
        Numbers in SI units, or quantities of one common unit. A floating-point array is shared, not copied.
    dimensions, dim
        Left out, those of `value`.
    dtype
        A floating-point type; that of `value` if left out.
    copy
        Never share memory with `value`.
    force_quantity
        Accepted and without effect: the class always makes a quantity.

    Examples
    --------
    >>> Quantity([0.001, 0.002], second.dimensions)
    array([1., 2.]) * ms
    >>> Quantity([1*mV, 2*mV]).sum()
    3. * mV
    """

    __slots__ = ("_name", "dimensions")
    __module__ = "brianlike.units"

    dimensions: Dimensions
    _name: str | None
    # numpy scalars and other arrays must leave mixed operations to us.
    __array_priority__ = 1000.0

    def __new__(
        cls, value: Any, dimensions: Dimensions | None = None, dtype: Any = None, copy: bool = False, force_quantity: bool = False, *, dim: Any = None
    ) -> Quantity:
        """Wrap SI numbers."""
        dimensions = get_dimensions(dim) if dim is not None else DIMENSIONLESS if dimensions is None else dimensions
        operand = split(value)
        if not operand.dimensions.is_dimensionless and dimensions not in (DIMENSIONLESS, operand.dimensions):
            raise mismatch("Quantity", (value, f"the given {unit_name(dimensions)}"), (operand.dimensions, dimensions))
        numbers = _floats(operand.bare)
        if dtype is not None:
            numbers = _floats(numbers.astype(dtype))
        if copy:
            numbers = numbers.copy()
        return _quantity(numbers, dimensions if operand.dimensions.is_dimensionless else operand.dimensions)

    @staticmethod
    def with_dimensions(value: Any, dimensions: Dimensions | None = None, **exponents: float) -> Quantity:
        """The quantity of bare SI numbers and either `dimensions` or named exponents.

        >>> Quantity.with_dimensions(2, metre=1, second=-1)
        2. * metre/second
        """
        return Quantity(value, named_dimensions(**exponents) if dimensions is None else get_dimensions(dimensions))

    def __array_finalize__(self, source: Any) -> None:
        self.dimensions = source.dimensions if isinstance(source, Quantity) else DIMENSIONLESS
        self._name = None

    # --- dimensions -------------------------------------------------------------------------------------------------------------------

    @property
    def dim(self) -> Dimensions:
        """The dimensions, under Brian's name."""
        return self.dimensions

    @property
    def is_dimensionless(self) -> bool:
        """Whether this is a pure number."""
        return self.dimensions.is_dimensionless

    def has_same_dimensions(self, other: Any) -> bool:
        """Whether `other` can be compared with this."""
        return self.dimensions == get_dimensions(other)

    # --- numpy's protocols --------------------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        bare: list[Any] = []
        dims: list[Dimensions] = []
        for value in inputs:
            if isinstance(value, Quantity):
                bare.append(value.view(np.ndarray))
                dims.append(value.dimensions)
            elif isinstance(value, (int, float)):
                bare.append(value)
                dims.append(DIMENSIONLESS)
            else:
                operand = _ufunc_operand(value)
                if operand is None:
                    return NotImplemented
                bare.append(operand.bare)
                dims.append(operand.dimensions)
        if method == "__call__":
            result_dims = ufunc_dimensions(ufunc, inputs, dims)
            if not keywords and ufunc.nout == 1:
                return _named(wrapped(ufunc(*bare), result_dims), ufunc, inputs)
        else:
            result_dims = _method_dimensions(ufunc, method, inputs, dims, keywords)
        return _run_ufunc(ufunc, method, bare, keywords, result_dims)

    def __array_function__(self, function: Callable[..., Any], types: Any, arguments: Any, keywords: Any) -> Any:
        if function is np.histogram2d:
            return _histogram2d(*arguments, **keywords)
        call = Call(function, tuple(split(value) for value in arguments), {name: split(value) for name, value in keywords.items()})
        result, dims = apply(call)
        return wrapped(result, dims)

    def __getitem__(self, index: Any) -> Any:
        return wrapped(self.view(np.ndarray)[index], self.dimensions)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.view(np.ndarray)[index] = self._accepted("assignment", value)

    def _accepted(self, action: str, value: Any) -> Any:
        operand = split(value)
        if not fits(operand.given, operand.dimensions, self.dimensions):
            raise mismatch(action, (self, value), (self.dimensions, operand.dimensions))
        return operand.bare

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("a single quantity cannot be iterated over")
        dims = self.dimensions
        return (wrapped(number, dims) for number in self.view(np.ndarray))

    def __eq__(self, other: object) -> Any:
        return np.ndarray.__eq__(self, other) if _is_quantitative(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return np.ndarray.__ne__(self, other) if _is_quantitative(other) else NotImplemented

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    # `x = mV; x += 1*mV` must rebind x, not change what mV is; and what gets another unit on the way is a new quantity, so that nobody else's changes.
    def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
        return np.ndarray.__iadd__(self, other) if self.ndim else self + other

    def __isub__(self, other: Any) -> Any:  # type: ignore[misc]
        return np.ndarray.__isub__(self, other) if self.ndim else self - other

    def __imul__(self, other: Any) -> Any:  # type: ignore[misc]
        return np.ndarray.__imul__(self, other) if self.ndim and get_dimensions(other).is_dimensionless else self * other

    def __itruediv__(self, other: Any) -> Any:  # type: ignore[misc]
        return np.ndarray.__itruediv__(self, other) if self.ndim and get_dimensions(other).is_dimensionless else self / other

    def __ifloordiv__(self, other: Any) -> Any:  # type: ignore[misc]
        return np.ndarray.__ifloordiv__(self, other) if self.ndim and get_dimensions(other).is_dimensionless else self // other

    def __imod__(self, other: Any) -> Any:  # type: ignore[misc]
        return np.ndarray.__imod__(self, other) if self.ndim else self % other

    def __ipow__(self, other: Any) -> Any:  # type: ignore[misc,override]
        return np.ndarray.__ipow__(self, other) if self.ndim and self.is_dimensionless else self**other

    # --- leaving quantities -------------------------------------------------------------------------------------------------------------

    def _number(self, action: str) -> Any:
        if not self.is_dimensionless:
            raise TypeError(f"{action} would lose the unit of {describe(self, self.dimensions)}; divide it by a unit first, as in `x/{self._best()[1]}`")
        return self.view(np.ndarray).item()

    # As in Brian, these give the number in SI units.
    def __float__(self) -> float:
        return float(self._single())

    def __int__(self) -> int:
        return int(self._single())

    def __complex__(self) -> complex:
        return complex(self._single())

    def _single(self) -> Any:
        if self.size != 1:
            raise TypeError(f"only a single quantity is a number, not an array of {self.size}")
        return self.view(np.ndarray).item()

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._number("round()"), digits)

    def _sympy_(self) -> NoReturn:
        # Without this sympy takes the bare SI number and the unit is silently gone.
        raise TypeError(f"{describe(self, self.dimensions)} cannot enter a sympy expression; divide it by a unit first")

    def item(self, *index: Any) -> Any:
        """One element, with its unit."""
        return wrapped(np.float64(self.view(np.ndarray).item(*index)), self.dimensions)

    def tolist(self) -> Any:
        """Nested lists of single quantities."""
        return [element.tolist() if isinstance(element, Quantity) else element for element in self] if self.ndim else self

    def astype(self, dtype: Any, *arguments: Any, **keywords: Any) -> Any:
        """The same quantity in another floating-point type."""
        if not self.is_dimensionless and np.dtype(dtype).kind not in "fc":
            raise TypeError(f"{np.dtype(dtype)} cannot hold {describe(self, self.dimensions)}; divide it by a unit first")
        return wrapped(self.view(np.ndarray).astype(dtype, *arguments, **keywords), self.dimensions)

    def __copy__(self) -> Quantity:
        return _quantity(self.view(np.ndarray).copy(), self.dimensions)

    def __deepcopy__(self, memo: Any) -> Quantity:
        return _quantity(self.view(np.ndarray).copy(), self.dimensions)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (np.array(self.view(np.ndarray)), self.dimensions, self._name)

    def compress(self, condition: Any, axis: Any = None) -> Any:  # type: ignore[override]
        """The elements for which `condition` is true."""
        return np.compress(condition, self, axis)

    # --- methods whose meaning depends on the unit, by way of numpy's functions -----------------------------------------------------------

    def fill(self, value: Any) -> None:
        """Set all elements."""
        self.view(np.ndarray).fill(self._accepted("fill", value))

    def put(self, indices: Any, values: Any, mode: Any = "raise") -> None:
        """Set the elements at flat `indices`."""
        self.view(np.ndarray).put(indices, self._accepted("put", values), mode)

    def _get_flat(self) -> Any:
        """The elements in one dimension: a view if there can be one, else a read-only copy."""
        flat = self.reshape(-1)
        if not np.shares_memory(flat.view(np.ndarray), self.view(np.ndarray)):
            flat.flags.writeable = False
        return flat

    def _set_flat(self, value: Any) -> None:
        self.view(np.ndarray).flat[:] = self._accepted("assignment", value)

    # numpy's own iterator would give bare numbers.
    flat = property(_get_flat, _set_flat)

    # --- text -----------------------------------------------------------------------------------------------------------------------------

    def _best(self) -> tuple[float, str]:
        return (self.view(np.ndarray).item(), self._name) if self._name else text.best_unit(self.view(np.ndarray), self.dimensions)

    def get_best_unit(self) -> Quantity:
        """The unit in which these numbers are short."""
        scale, name = text.best_unit(self.view(np.ndarray), self.dimensions)
        return unit_quantity(name, scale, self.dimensions)

    def in_unit(self, unit: Quantity, precision: int | None = None, python_code: bool = False) -> str:
        """This quantity as text, in `unit`.

        >>> (3*volt).in_unit(mV)
        '3000. mV'
        """
        if not self.has_same_dimensions(unit):
            raise mismatch("in_unit", (self, unit), (self.dimensions, get_dimensions(unit)))
        scale = float(asarray_si(unit))
        name = (unit._name if isinstance(unit, Quantity) else None) or (unit_name(self.dimensions) if scale == 1 else f"({unit})")
        write = text.quantity_code if python_code else text.quantity_text
        return write(self.view(np.ndarray), scale, name, precision)

    def in_best_unit(self, precision: int | None = None, python_code: bool = False) -> str:
        """This quantity as text, in the unit that keeps its numbers short.

        >>> (0.00123456*volt).in_best_unit(2)
        '1.23 mV'
        """
        write = text.quantity_code if python_code else text.quantity_text
        return write(self.view(np.ndarray), *text.best_unit(self.view(np.ndarray), self.dimensions), precision)

    def __str__(self) -> str:
        return self._name or self.in_best_unit()

    def __repr__(self) -> str:
        return self._name or self.in_best_unit(python_code=True)

    def __format__(self, specification: str) -> str:
        if not specification:
            return str(self)
        if self.ndim:
            raise TypeError("only a single quantity can be formatted; use in_unit(unit, precision)")
        # As in Brian, and as `"%.2f" % x` does: the number in SI units.
        return format(self.view(np.ndarray).item(), specification)

    def _repr_latex_(self) -> str:
        if self._name:
            return f"${text.unit_latex(self._name)}$"
        return text.quantity_latex(self.view(np.ndarray), *text.best_unit(self.view(np.ndarray), self.dimensions))


def _delegate(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def method(self: Quantity, *arguments: Any, **keywords: Any) -> Any:
        return function(self, *arguments, **keywords)

    return method


# ndarray's own methods are written in C and would return bare numbers, or the unit of the wrong power.
for _function in (
    "sum mean std var prod min max cumsum clip dot trace take repeat diagonal argmax argmin argsort argpartition nonzero searchsorted all any squeeze"
    " swapaxes round"
).split():
    setattr(Quantity, _function, _delegate(getattr(np, _function)))


def _refusing(name: str) -> Callable[..., NoReturn]:
    def method(self: Quantity, *arguments: Any, **keywords: Any) -> NoReturn:
        raise TypeError(f"{name}() is not defined for quantities; divide by a unit first")

    return method


for _function in ("cumprod", "choose", "setfield", "getfield", "byteswap", "__floor__", "__ceil__", "__trunc__", "__index__"):
    setattr(Quantity, _function, _refusing(_function))
del _function


_SAME_DIMENSION = (
    "metre meter metres meters m length displacement",
    "kilogram kilograms kilogramme kg mass",
    "second seconds s time",
    "ampere amperes amp amps A current",
    "kelvin K temperature",
    "mole moles mol substance",
    "candela candle cd luminosity",
)
_DIMENSION_NAMES = {other: names.split()[0] for names in _SAME_DIMENSION for other in (names, *names.split())} | {
    "electric current": "ampere",
    "quantity of substance": "mole",
}


def named_dimensions(**exponents: float) -> Dimensions:
    """The dimensions with these exponents, by name (`length`), unit (`metre`) or symbol (`m`)."""
    unknown = exponents.keys() - _DIMENSION_NAMES.keys()
    if unknown:
        raise TypeError(f"{sorted(unknown)[0]!r} is no dimension; there are length, mass, time, current, temperature, substance and luminosity")
    return _dimensions(**{_DIMENSION_NAMES[name]: exponent for name, exponent in exponents.items()})


# --- making quantities ----------------------------------------------------------------------------------------------------------------------


def _is_quantitative(value: object) -> bool:
    """Whether `value` can be compared with a quantity at all."""
    return isinstance(value, _NUMBERS) or isinstance(getattr(value, "dimensions", None), Dimensions)


def _floats(value: Any) -> np.ndarray:
    """`value` as an array of floating-point numbers, shared where it is one."""
    numbers = np.asarray(value)
    if numbers.dtype.kind in "fc":
        return numbers
    if numbers.dtype.kind in "biu":
        return numbers.astype(float)
    raise TypeError(f"a quantity holds numbers, not {value!r}")


def _quantity(numbers: np.ndarray, dims: Dimensions) -> Quantity:
    quantity = numbers.view(Quantity)
    quantity.dimensions = dims
    return quantity


class Unit(Quantity):
    """A quantity with a name: `mV`, `siemens/metre**2`. Arithmetic with anything but units gives quantities."""

    __slots__ = ()
    __module__ = "brianlike.units"

    # Units never change, so that they can be keys; two of them can be compared whatever they measure.
    def __eq__(self, other: object) -> Any:
        return False if isinstance(other, Unit) and other.dimensions != self.dimensions else Quantity.__eq__(self, other)

    def __ne__(self, other: object) -> Any:
        return True if isinstance(other, Unit) and other.dimensions != self.dimensions else Quantity.__ne__(self, other)

    def __hash__(self) -> int:  # type: ignore[override]
        return hash((self.view(np.ndarray).item(), self.dimensions))

    @property
    def name(self) -> str:
        """Its name, as text."""
        return self._name or text.best_unit(self.view(np.ndarray), self.dimensions)[1]

    dispname = name

    @property
    def latexname(self) -> str:
        """Its name in LaTeX."""
        return text.unit_latex(self.name)

    @property
    def scale(self) -> int:
        """The power of ten that leads to SI units."""
        return round(float(np.log10(self.view(np.ndarray))))

    @property
    def iscompound(self) -> bool:
        """Whether it was made from other units."""
        return not self.name.isidentifier()

    @staticmethod
    def create(dim: Any, name: str, dispname: str = "", latexname: str | None = None, scale: int = 0) -> Unit:
        """A new unit of these dimensions, worth `10**scale` SI units.

        >>> from brianlike.units import metre
        >>> 3*Unit.create(metre.dimensions, "furlong", scale=2)/metre
        300.0
        """
        return unit_quantity(name, float(f"1e{scale}"), get_dimensions(dim))

    @staticmethod
    def create_scaled_unit(baseunit: Unit, scalefactor: str) -> Unit:
        """`baseunit` with one of the prefixes y z a f p n u m c d da h k M G T P E Z Y.

        >>> from brianlike.units import volt
        >>> Unit.create_scaled_unit(volt, "f")
        fvolt
        """
        if scalefactor not in text.PREFIXES:
            raise ValueError(f"{scalefactor!r} is no prefix of a unit; there are {' '.join(text.PREFIXES)}")
        return unit_quantity(scalefactor + baseunit.name, baseunit.view(np.ndarray).item() * float(f"1e{text.PREFIXES[scalefactor]}"), baseunit.dimensions)


def unit_quantity(name: str | None, scale: float, dims: Dimensions) -> Unit:
    unit = np.array(scale).view(Unit)
    unit.dimensions, unit._name = dims, name
    unit.flags.writeable = False
    return unit


def _power_of_ten(number: float) -> float:
    """The power of ten that a product of units is, without its rounding error; any other number as it is."""
    nearest = float(f"1e{round(float(np.log10(number)))}") if number > 0 else number
    return nearest if abs(number - nearest) <= 1e-14 * nearest else number


def _restored(numbers: np.ndarray, dims: Dimensions, name: str | None) -> Quantity:
    return unit_quantity(name, numbers.item(), dims) if name else _quantity(numbers, dims)


def wrapped(result: Any, dims: Dimensions | tuple[Dimensions, ...]) -> Any:
    """Bare results with their dimensions: plain numbers and arrays if they have none."""
    if isinstance(result, (tuple, list)):
        each = dims if isinstance(dims, tuple) else (dims,) * len(result)
        return type(result)([wrapped(*pair) for pair in zip(result, each, strict=False)])
    first = dims[0] if isinstance(dims, tuple) else dims
    if first.is_dimensionless:
        return float(result) if isinstance(result, np.floating) else result
    if isinstance(result, np.ndarray) and result.dtype.kind in "fc":
        return _quantity(result, first)
    # Counts and indices stay what they are, beside quantities in one tuple.
    return _quantity(np.asarray(result), first) if isinstance(result, (np.inexact, float)) else result


def split(value: Any) -> Operand:
    """Any argument as its bare numbers and its dimensions; a list takes those that its elements share."""
    if isinstance(value, Quantity):
        return Operand(value, value.view(np.ndarray), value.dimensions)
    if isinstance(value, (list, tuple)):
        return _split_sequence(value)
    if not isinstance(value, (int, float, np.ndarray)):
        dims = getattr(value, "dimensions", None)
        if isinstance(dims, Dimensions):
            # Views on the variables of a group know their dimensions without being quantities.
            return Operand(value, np.asarray(value), dims)
    return Operand(value, value, DIMENSIONLESS)


def _split_sequence(values: list[Any] | tuple[Any, ...]) -> Operand:
    parts = [split(value) for value in values]
    if all(part.bare is part.given for part in parts):
        return Operand(values, values, DIMENSIONLESS)
    dims = common_dimensions("a list", [part.given for part in parts], [part.dimensions for part in parts])
    return Operand(values, [part.bare for part in parts], dims)


def _ufunc_operand(value: Any) -> Operand | None:
    """The operand of an operator, or None to leave the operation to the other side."""
    if isinstance(value, Fraction):
        value = float(value)
    if isinstance(value, range):
        value = list(value)
    operand = split(value)
    if not _is_quantitative(value):
        return None
    if isinstance(value, (list, tuple, np.ndarray)) and np.asarray(operand.bare).dtype.kind not in "biufc":
        raise TypeError(f"a quantity cannot be combined with {describe(value, DIMENSIONLESS)}")
    return operand


def _histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> tuple[Any, Any, Any]:
    """np.histogram2d, in which each axis has a unit of its own; its edges come back with that unit."""
    axes = [split(axis) for axis in (x, y)]

    def bare(values: Any, kind: str) -> Any:
        """One entry for each axis, in the units of that axis."""
        if values is None or not isinstance(values, (list, tuple)) or len(values) != 2:
            return values
        parts = [split(part) for part in values]
        for axis, part in zip(axes, parts, strict=True):
            if np.ndim(part.bare) and not fits(part.given, part.dimensions, axis.dimensions):
                raise mismatch(f"{kind} of np.histogram2d", (axis.given, part.given), (axis.dimensions, part.dimensions))
        return [part.bare for part in parts]

    density_unit = DIMENSIONLESS / (axes[0].dimensions * axes[1].dimensions) if density else DIMENSIONLESS
    counts, *edges = np.histogram2d(axes[0].bare, axes[1].bare, bare(bins, "bins"), bare(range, "range"), density, weights)
    return wrapped(counts, density_unit), wrapped(edges[0], axes[0].dimensions), wrapped(edges[1], axes[1].dimensions)


_NAMING = {np.multiply: "*", np.divide: "/"}


def _named(result: Any, ufunc: np.ufunc, inputs: tuple[Any, ...]) -> Any:
    """Let a product, quotient or power of named units be a named unit: `uS/cm2` prints as that."""
    left = inputs[0]
    if not (isinstance(left, Quantity) and left._name and isinstance(result, Quantity)):
        return result
    right = inputs[1] if len(inputs) > 1 else None
    if ufunc in _NAMING and isinstance(right, Quantity) and right._name:
        name = f"({right._name})" if ufunc is np.divide and ("*" in right._name.replace("**", "") or "/" in right._name) else right._name
        return unit_quantity(left._name + _NAMING[ufunc] + name, _power_of_ten(result.view(np.ndarray).item()), result.dimensions)
    if left._name.isidentifier() and (ufunc is np.square or (ufunc is np.power and isinstance(right, (int, float)))):
        return unit_quantity(f"{left._name}**{2 if right is None else right}", _power_of_ten(result.view(np.ndarray).item()), result.dimensions)
    return result


def _method_dimensions(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], dims: list[Dimensions], keywords: dict[str, Any]) -> Dimensions:
    if method == "outer":
        return ufunc_dimensions(ufunc, inputs, dims)
    if method == "at":
        result = ufunc_dimensions(ufunc, (inputs[0], *inputs[2:]), [dims[0], *dims[2:]])
        if result != dims[0]:
            raise DimensionMismatchError(f"np.{ufunc.__name__}.at would change the unit of {describe(inputs[0], dims[0])}", dims[0], result)
        return result
    initial = keywords.get("initial")
    operand = None if initial is None or initial is np._NoValue else split(initial)
    if operand is not None:
        keywords["initial"] = operand.bare
    count = None
    if method == "reduce" and keywords.get("where", True) is True:
        axes = keywords.get("axis", 0)
        shape = np.shape(inputs[0])
        count = int(np.prod([shape[axis] for axis in (range(len(shape)) if axes is None else np.atleast_1d(axes))]))
    return reduced_dimensions(ufunc, method, inputs[0], dims[0], operand, count)


def _place(dims: Dimensions) -> str:
    return "plain numbers" if dims.is_dimensionless else unit_name(dims)


def _run_ufunc(ufunc: np.ufunc, method: str, bare: list[Any], keywords: dict[str, Any], dims: Dimensions) -> Any:
    """The general way: several results, keywords, reductions, and results written in place."""
    # divmod is the one ufunc with two results that may have units.
    targets = [target for target in keywords.get("out", ()) or () if target is not None]
    if method == "__call__" and len(targets) == 1 and targets[0] is bare[0] and ufunc in _NAMING:
        # `numbers *= mV`: the array keeps its memory, its new name has the unit.
        return wrapped(ufunc(*bare, **keywords), dims)
    for target in targets:
        expected = target.dimensions if isinstance(target, Quantity) else DIMENSIONLESS
        if expected != dims:
            raise DimensionMismatchError(
                f"np.{ufunc.__name__} in place would turn an array in {_place(expected)} into {_place(dims)}: give the result a new name", expected, dims
            )
    if targets:
        keywords = keywords | {"out": tuple(target.view(np.ndarray) if isinstance(target, Quantity) else target for target in keywords["out"])}
    if isinstance(keywords.get("where"), Quantity):
        raise TypeError("`where` takes booleans, not a quantity")
    result = getattr(ufunc, method)(*bare, **keywords)
    return targets[0] if len(targets) == 1 else wrapped(result, dims)


def get_dimensions(obj: Any) -> Dimensions:
    """The dimensions of a quantity, a number, an array, or a list of them.

    >>> from brianlike.units import mV, volt
    >>> get_dimensions([1*mV, 2*mV]) == volt.dimensions
    True
    """
    if isinstance(obj, Dimensions):
        return obj
    operand = split(obj)
    if not _is_quantitative(obj):
        raise TypeError(f"{obj!r} has no dimensions: it is neither a number nor a quantity")
    return operand.dimensions


dimensions_of = get_dimensions


def asarray_si(value: Any) -> np.ndarray:
    """The bare floating-point numbers of `value` in SI units, shared where possible.

    >>> from brianlike.units import ms
    >>> asarray_si([1*ms, 2*ms])
    array([0.001, 0.002])
    """
    return _floats(split(value).bare)
