"""What numpy's functions do to dimensions: one row for each function that is handled; every other one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.dims import DIMENSIONLESS, Dimensions, unit_name
from codegen.errors import DimensionMismatchError as DimensionMismatchError


@dataclass(frozen=True, slots=True)
class Operand:
    """One argument of a numpy function: as the user gave it, its bare SI numbers, and its dimensions."""

    given: Any
    bare: Any
    dimensions: Dimensions


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a numpy function with its arguments taken apart."""

    function: Callable[..., Any]
    positional: tuple[Operand, ...]
    named: dict[str, Operand]

    @property
    def name(self) -> str:
        return f"np.{self.function.__name__}"

    def __iter__(self) -> Iterator[tuple[int | str, Operand]]:
        yield from enumerate(self.positional)
        yield from self.named.items()

    def argument(self, position: int, name: str) -> Operand | None:
        if position < len(self.positional):
            return self.positional[position]
        return self.named.get(name)

    def run(self, **extra: object) -> Any:
        return self.function(*(operand.bare for operand in self.positional), **{name: operand.bare for name, operand in self.named.items()}, **extra)


# A row returns the bare result and the dimensions of its floating-point parts: one for all, or one for each element of a tuple.
Outcome = tuple[Any, Dimensions | tuple[Dimensions, ...]]
Row = Callable[[Call], Outcome]


def describe(value: object, dimensions: Dimensions) -> str:
    """`value` and its unit for a message, shortened to one line.

    Plain numbers are told apart from quantities, since a forgotten unit is the usual mistake.
    """
    text = " ".join(str(value).split())
    if len(text) > 40:
        text = text[:37] + "..."
    return f"{text} ({'no unit' if dimensions.is_dimensionless else unit_name(dimensions)})"


def fits_any_unit(value: object) -> bool:
    """Whether all of `value` is 0, infinite or NaN: numbers that mean the same in every unit."""
    numbers = np.asarray(value)
    if numbers.dtype.kind not in "biufc":
        return False
    return bool(((numbers == 0) | ~np.isfinite(numbers)).all())


def fits(value: object, dims: Dimensions, wanted: Dimensions) -> bool:
    """Whether `value`, of dimensions `dims`, can stand where `wanted` is asked for."""
    return dims == wanted or (dims.is_dimensionless and fits_any_unit(value))


def common_dimensions(action: str, values: Sequence[object], dimensions: Sequence[Dimensions]) -> Dimensions:
    """The dimensions that all `values` share; numbers that fit any unit adapt to the others."""
    first = dimensions[0]
    if all(other is first or other == first for other in dimensions):
        return first
    leader = next(index for index, dims in enumerate(dimensions) if not dims.is_dimensionless)
    shared = dimensions[leader]
    for index, (value, dims) in enumerate(zip(values, dimensions, strict=True)):
        if not fits(value, dims, shared):
            left, right = sorted((leader, index))
            raise mismatch(action, (values[left], values[right]), (dimensions[left], dimensions[right]))
    return shared


def mismatch(action: str, values: tuple[object, object], dimensions: tuple[Dimensions, Dimensions]) -> DimensionMismatchError:
    """The error that names both operands."""
    left, right = (describe(value, dims) for value, dims in zip(values, dimensions, strict=True))
    return DimensionMismatchError(f"{action}: {left} and {right} have different units", *dimensions)


def require_number(action: str, value: object, dims: Dimensions) -> None:
    """Raise unless `value` is a pure number."""
    if not dims.is_dimensionless:
        raise DimensionMismatchError(f"{action} needs a number without unit, not {describe(value, dims)}; divide it by a unit first", dims)


# --- universal functions: (ufunc, values, dimensions) -> dimensions of the result -------------------------------------------------------

UfuncRow = Callable[[np.ufunc, Sequence[Any], Sequence[Dimensions]], Dimensions]

_SYMBOLS = {"add": "+", "subtract": "-", "equal": "==", "not_equal": "!=", "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">="}


def _action(ufunc: np.ufunc) -> str:
    return f"`{_SYMBOLS[ufunc.__name__]}`" if ufunc.__name__ in _SYMBOLS else f"np.{ufunc.__name__}"


def _ufunc_same(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    return common_dimensions(_action(ufunc), values, dimensions)


def _ufunc_compared(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    common_dimensions(_action(ufunc), values, dimensions)
    return DIMENSIONLESS


def _ufunc_kept(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    return dimensions[0]


def _ufunc_tested(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    return DIMENSIONLESS


def _ufunc_product(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    return dimensions[0] * dimensions[1]


def _ufunc_quotient(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    return dimensions[0] / dimensions[1]


def _ufunc_power(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    require_number("the exponent of `**`", values[1], dimensions[1])
    if dimensions[0].is_dimensionless:
        return DIMENSIONLESS
    exponent = np.asarray(values[1])
    if exponent.size != 1:
        raise TypeError(f"{describe(values[0], dimensions[0])} to an array of exponents would have many units")
    return dimensions[0] ** exponent.item()


def _ufunc_root(exponent: float) -> UfuncRow:
    def row(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
        return dimensions[0] ** exponent

    return row


def _ufunc_number(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    for value, dims in zip(values, dimensions, strict=True):
        require_number(_action(ufunc), value, dims)
    return DIMENSIONLESS


def _ufuncs(names: str, row: UfuncRow) -> dict[np.ufunc, UfuncRow]:
    # Some names are newer than the oldest numpy we run on.
    return {getattr(np, name): row for name in names.split() if hasattr(np, name)}


UFUNCS: dict[np.ufunc, UfuncRow] = (
    _ufuncs("add subtract maximum minimum fmax fmin hypot remainder fmod", _ufunc_same)
    | _ufuncs("equal not_equal less less_equal greater greater_equal arctan2", _ufunc_compared)
    # Rounding, like `//`, is that of the number in SI units, as in Brian.
    | _ufuncs("negative positive absolute fabs conjugate floor ceil rint trunc", _ufunc_kept)
    | _ufuncs("isfinite isinf isnan sign signbit logical_and logical_or logical_xor logical_not", _ufunc_tested)
    | _ufuncs("multiply matmul vecdot matvec vecmat", _ufunc_product)
    | _ufuncs("divide floor_divide", _ufunc_quotient)
    | _ufuncs("power float_power", _ufunc_power)
    | _ufuncs(
        "exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh",
        _ufunc_number,
    )
    | {np.sqrt: _ufunc_root(0.5), np.cbrt: _ufunc_root(1 / 3), np.square: _ufunc_root(2), np.reciprocal: _ufunc_root(-1)}
)


def ufunc_dimensions(ufunc: np.ufunc, values: Sequence[Any], dimensions: Sequence[Dimensions]) -> Dimensions:
    """The dimensions of `ufunc(*values)`, or an error if the units make it meaningless."""
    row = UFUNCS.get(ufunc)
    if row is not None:
        return row(ufunc, values, dimensions)
    for value, dims in zip(values, dimensions, strict=True):
        if not dims.is_dimensionless:
            raise TypeError(f"{_action(ufunc)} is not defined for quantities such as {describe(value, dims)}; divide by a unit first")
    return DIMENSIONLESS


def reduced_dimensions(ufunc: np.ufunc, method: str, value: Any, dims: Dimensions, initial: Operand | None, count: int | None) -> Dimensions:
    """The dimensions of `ufunc.reduce(value)` and its relatives; `count` is how many elements `reduce` folds into one."""
    row = UFUNCS.get(ufunc)
    if row is _ufunc_tested or dims.is_dimensionless:
        return DIMENSIONLESS
    if row is _ufunc_same:
        if initial is not None and initial.bare is not None:
            common_dimensions(_action(ufunc), (value, initial.given), (dims, initial.dimensions))
        return dims
    if ufunc is np.multiply and method == "reduce" and count is not None and initial is None:
        return dims**count
    raise DimensionMismatchError(f"np.{ufunc.__name__}.{method} has no meaning for {describe(value, dims)}", dims)


# --- other functions ----------------------------------------------------------------------------------------------------------------------


def _row(positions: tuple[int, ...], names: str, result: Callable[[Dimensions], Dimensions]) -> Row:
    """A row whose arguments at `positions`, or called `names`, share one dimension; all others are pure numbers."""
    shared: frozenset[int | str] = frozenset((*positions, *names.split()))

    def row(call: Call) -> Outcome:
        sharing = [operand for key, operand in call if key in shared and operand.bare is not None]
        for key, operand in call:
            if key not in shared:
                require_number(f"argument {key!r} of {call.name}", operand.given, operand.dimensions)
        dims = common_dimensions(call.name, [operand.given for operand in sharing], [operand.dimensions for operand in sharing])
        return call.run(), result(dims)

    return row


def _same(dims: Dimensions) -> Dimensions:
    return dims


def _square(dims: Dimensions) -> Dimensions:
    return dims**2


def _inverse(dims: Dimensions) -> Dimensions:
    return DIMENSIONLESS / dims


def _none(dims: Dimensions) -> Dimensions:
    return DIMENSIONLESS


def _any_units(call: Call) -> Outcome:
    return call.run(), DIMENSIONLESS


def _text(write: Callable[[object], str]) -> Row:
    return lambda call: (write(call.positional[0].given), DIMENSIONLESS)


def _product(call: Call) -> Outcome:
    left, right = call.argument(0, "a"), call.argument(1, "b")
    if left is None or right is None:
        raise TypeError(f"give {call.name} its two arrays by position")
    return call.run(), left.dimensions * right.dimensions


def _einsum(call: Call) -> Outcome:
    dims = DIMENSIONLESS
    for operand in call.positional:
        dims = dims * operand.dimensions
    return call.run(), dims


def _solve(call: Call) -> Outcome:
    matrix, right = call.positional
    return call.run(), right.dimensions / matrix.dimensions


def _det(call: Call) -> Outcome:
    matrix = call.positional[0]
    return call.run(), matrix.dimensions ** np.shape(matrix.bare)[-1]


def _eigen(call: Call) -> Outcome:
    # A pair of values and vectors, or the values alone.
    dims = call.positional[0].dimensions
    return call.run(), (dims, DIMENSIONLESS)


def _equal(call: Call) -> Outcome:
    left, right = call.argument(0, "a1"), call.argument(1, "a2")
    if left is None or right is None:
        raise TypeError(f"{call.name} takes two arrays")
    if not (fits(left.given, left.dimensions, right.dimensions) or fits(right.given, right.dimensions, left.dimensions)):
        return False, DIMENSIONLESS
    return call.run(), DIMENSIONLESS


def _norm(call: Call) -> Outcome:
    order = call.argument(1, "ord")
    if order is not None and order.bare == 0:
        raise TypeError("np.linalg.norm with ord=0 counts elements; use np.count_nonzero")
    return call.run(), call.positional[0].dimensions


def _prod(call: Call) -> Outcome:
    if call.named.keys() - {"a", "axis", "keepdims", "dtype"}:
        raise TypeError("np.prod of a quantity takes only axis, keepdims and dtype: anything else makes its unit ambiguous")
    array = call.positional[0]
    result = call.run()
    return result, array.dimensions ** (np.size(array.bare) // max(np.size(result), 1))


def _close(call: Call) -> Outcome:
    # numpy's default tolerance of 1e-8 is in SI units: it would call 1 nA and 9 nA equal. A quantity has no absolute default.
    if any(not operand.dimensions.is_dimensionless for _, operand in call) and call.argument(3, "atol") is None:
        call = Call(call.function, call.positional, call.named | {"atol": Operand(0, 0, DIMENSIONLESS)})
    return _row((0, 1, 3), "a b atol", _none)(call)


def _average(call: Call) -> Outcome:
    array, weights = call.positional[0], call.argument(2, "weights")
    return call.run(), (array.dimensions, DIMENSIONLESS if weights is None else weights.dimensions)


def _interp(call: Call) -> Outcome:
    x, xp, fp = (call.argument(*key) for key in ((0, "x"), (1, "xp"), (2, "fp")))
    outside = [operand for key, operand in call if key in {3, 4, "left", "right"} and operand.bare is not None]
    if x is None or xp is None or fp is None:
        raise TypeError("np.interp takes x, xp and fp")
    common_dimensions("np.interp", (x.given, xp.given), (x.dimensions, xp.dimensions))
    dims = common_dimensions("np.interp", [fp.given, *(o.given for o in outside)], [fp.dimensions, *(o.dimensions for o in outside)])
    return call.run(), dims


def _spacing(call: Call) -> Outcome:
    array, *spacings = [operand for key, operand in call if key not in {"axis", "edge_order"}]
    step = common_dimensions("np.gradient", [s.given for s in spacings], [s.dimensions for s in spacings]) if spacings else DIMENSIONLESS
    return call.run(), array.dimensions / step


def _trapezoid(call: Call) -> Outcome:
    y, x, dx = call.positional[0], call.argument(1, "x"), call.argument(2, "dx")
    step = x if x is not None and x.bare is not None else dx
    return call.run(), y.dimensions if step is None else y.dimensions * step.dimensions


def _histogram(call: Call) -> Outcome:
    array, bins, limits = call.positional[0], call.argument(1, "bins"), call.argument(2, "range")
    edges = [operand for operand in (bins, limits) if operand is not None and operand.bare is not None and np.ndim(operand.bare)]
    dims = common_dimensions(call.name, [array.given, *(e.given for e in edges)], [array.dimensions, *(e.dimensions for e in edges)])
    weights, density = call.argument(4, "weights"), call.argument(3, "density")
    if weights is not None:
        require_number(f"argument 'weights' of {call.name}", weights.given, weights.dimensions)
    if call.function is np.histogram_bin_edges:
        return call.run(), dims
    return call.run(), (DIMENSIONLESS / dims if density is not None and density.bare else DIMENSIONLESS, dims)


def _each(call: Call) -> Outcome:
    return tuple(call.run()), tuple(operand.dimensions for operand in call.positional)


def _write(position: int) -> Row:
    """A row that writes the argument at `position` into the first one, whose unit stays what it is."""

    def row(call: Call) -> Outcome:
        if position >= len(call.positional):
            raise TypeError(f"give {call.name} its arguments by position")
        target, source = call.positional[0], call.positional[position]
        if not fits(source.given, source.dimensions, target.dimensions):
            raise mismatch(call.name, (target.given, source.given), (target.dimensions, source.dimensions))
        return call.run(), DIMENSIONLESS

    return row


_ARRAY = "a A arr ary array m v x f y p"

_GROUPS: tuple[tuple[str, Row], ...] = (
    (
        "reshape ravel transpose permute_dims matrix_transpose squeeze expand_dims moveaxis rollaxis swapaxes flip fliplr flipud roll rot90 repeat tile resize"
        " atleast_1d atleast_2d atleast_3d broadcast_to sort partition unique take take_along_axis delete trim_zeros diag diagflat diagonal trace tril triu"
        " split array_split hsplit vsplit dsplit unstack copy real imag real_if_close zeros_like empty_like"
        " sum nansum cumsum nancumsum mean nanmean median nanmedian std nanstd percentile nanpercentile quantile nanquantile"
        " max min amax amin nanmax nanmin ptp round around fix lib.stride_tricks.sliding_window_view",
        _row((0,), f"{_ARRAY} initial mean", _same),
    ),
    ("var nanvar", _row((0,), f"{_ARRAY} mean", _square)),
    ("cov", _row((0,), "m", _square)),
    ("linalg.inv linalg.pinv", _row((0,), _ARRAY, _inverse)),
    (
        "ones_like argmax argmin nanargmax nanargmin"
        " argsort argpartition argwhere nonzero flatnonzero count_nonzero any all isposinf isneginf isreal iscomplex",
        _row((0,), _ARRAY, _none),
    ),
    ("array_equal array_equiv", _equal),
    ("isin in1d", _row((0, 1), "ar1 ar2 element test_elements", _none)),
    ("searchsorted digitize", _row((0, 1), "a v x bins", _none)),
    ("isclose allclose", _close),
    ("corrcoef shape ndim size result_type can_cast min_scalar_type common_type iscomplexobj isrealobj shares_memory may_share_memory lexsort", _any_units),
    ("array_str array2string", _text(str)),
    ("array_repr", _text(repr)),
    ("concatenate stack hstack vstack dstack column_stack block", _row((0,), "arrays arr tup", _same)),
    ("intersect1d union1d setdiff1d setxor1d append", _row((0, 1), "ar1 ar2 arr values", _same)),
    ("insert", _row((0, 2), "arr values", _same)),
    ("where", _row((1, 2), "x y", _same)),
    ("select", _row((1, 2), "choicelist default", _same)),
    ("choose extract compress", _row((1,), "choices arr a", _same)),
    ("clip", _row((0, 1, 2), "a a_min a_max min max", _same)),
    ("linspace geomspace", _row((0, 1), "start stop", _same)),
    ("diff", _row((0, 3, 4), "a prepend append", _same)),
    ("ediff1d", _row((0, 1, 2), "ary to_end to_begin", _same)),
    ("pad", _row((0,), "array constant_values end_values", _same)),
    ("full_like", _row((0, 1), "a fill_value", _same)),
    ("nan_to_num", _row((0,), "x nan posinf neginf", _same)),
    ("bincount", _row((1,), "weights", _same)),
    (
        "dot vdot inner outer cross kron tensordot convolve correlate linalg.outer linalg.cross linalg.matmul linalg.tensordot linalg.vecdot",
        _product,
    ),
    ("einsum", _einsum),
    ("linalg.det", _det),
    ("linalg.eig linalg.eigh", _eigen),
    ("linalg.eigvals linalg.eigvalsh linalg.trace linalg.diagonal linalg.matrix_transpose linalg.vector_norm linalg.matrix_norm", _row((0,), _ARRAY, _same)),
    (
        "fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft2 fft.rfftn fft.fftshift fft.ifftshift",
        _row((0,), _ARRAY, _same),
    ),
    # The coefficients of a polynomial have a unit each, and files have none: both get the numbers in SI units, as in Brian.
    ("polyfit save savetxt savez savez_compressed", _any_units),
    ("linalg.solve", _solve),
    ("linalg.norm", _norm),
    ("prod", _prod),
    ("average", _average),
    ("interp", _interp),
    ("gradient", _spacing),
    ("trapezoid trapz", _trapezoid),
    ("histogram histogram_bin_edges", _histogram),
    ("meshgrid broadcast_arrays", _each),
    ("copyto", _write(1)),
    ("place putmask put put_along_axis", _write(2)),
    ("fill_diagonal", _write(1)),
)


def _functions() -> dict[Callable[..., Any], Row]:
    table: dict[Callable[..., Any], Row] = {}
    for names, row in _GROUPS:
        for name in names.split():
            found: Any = np
            for part in name.split("."):
                # Some names are newer, and some older, than the numpy that runs.
                found = getattr(found, part, None)
            if found is not None:
                table[found] = row
    return table


FUNCTIONS: dict[Callable[..., Any], Row] = _functions()


def apply(call: Call) -> Outcome:
    """`Call -> (bare result, dimensions)`: by the function's row, or an error if it has none."""
    row = FUNCTIONS.get(call.function)
    if row is None:
        raise TypeError(f"{call.name} is not defined for quantities; divide by a unit first, as in `{call.name}(x/mV)`")
    out = call.named.get("out")
    if out is not None and out.bare is not None:
        raise TypeError(f"{call.name} of quantities takes no `out`; assign its result instead")
    return row(call)
