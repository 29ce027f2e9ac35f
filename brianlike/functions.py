"""Functions of the user's in equations and code: Python functions with units, which run on whole arrays."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from codegen.dims import DIMENSIONLESS, Dimensions, unit_name
from codegen.expr import Access, Call, DType, Expr
from codegen.functions import FunctionSpec, Signature

from .preferences import prefs
from .units import DimensionMismatchError, Quantity, asarray_si, get_dimensions

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["Function", "declare_types", "implementation"]

_LOG = logging.getLogger("brianlike")
_TYPES = {"float": DType.FLOAT, "integer": DType.INT32, "boolean": DType.BOOL, "highest": None}
_NUMPY: dict[DType, Any] = {DType.FLOAT: np.dtype(np.float64), DType.INT32: np.dtype(np.int32), DType.BOOL: np.dtype(np.bool_)}
_CONDITIONS = {"boolean": True, "integer": False, "float": False, "any": None}


@dataclass(frozen=True, slots=True)
class Specified:
    """What the compiler needs of a function, and the values (SI) of the variables that its definition reads."""

    spec: FunctionSpec
    numbers: dict[str, float] = field(default_factory=dict)
    tables: dict[str, np.ndarray] = field(default_factory=dict)


@runtime_checkable
class Specifiable(Protocol):
    """What equations can call."""

    def specify(self, name: str, owner: VariableOwner) -> Specified:
        """The function as the texts of `owner` see it under this name."""


# ------------------------------------------------------------------------------------------------------------------------------- on arrays, with units
@dataclass(frozen=True)
class OnArrays:
    """A Python function made to take and give arrays of SI numbers. `units`: it wants and gives quantities.

    A function that cannot take arrays, because it asks `if x > 0`, is called element by element.
    """

    name: str
    function: Callable[..., Any]
    signature: Signature
    dtype: DType | None
    units: bool

    def __call__(self, *values: Any) -> np.ndarray:
        arrays = [np.asarray(value) for value in values]
        size = max((array.size for array in arrays), default=1)
        attempts = [[array.reshape(()) if array.size == 1 else array for array in arrays]]
        if any(array.ndim and array.size == 1 for array in arrays):
            attempts.append(arrays)
        failure: Exception | None = None
        for attempt in attempts:
            try:
                return self._plain(self._call(attempt), attempt)
            except DimensionMismatchError:
                raise
            except (TypeError, ValueError, IndexError) as error:
                failure = failure or error
        if size == 1:
            raise failure or AssertionError
        return self._one_by_one(arrays, failure)

    def _call(self, values: list[Any]) -> Any:
        plain = [value[()] if value.ndim == 0 else value for value in values]
        return self.function(*(self._with_units(plain) if self.units else plain))

    def _with_units(self, values: list[Any]) -> list[Any]:
        dimensions = self._dimensions(values)
        return [value if wanted is None or wanted.is_dimensionless else Quantity(value, wanted) for value, wanted in zip(values, dimensions)]

    def _dimensions(self, values: list[Any]) -> list[Dimensions | None]:
        given = dict(zip(self.signature.names, self.signature.arguments))
        chosen = [given.get(wanted) if isinstance(wanted, str) else wanted for wanted in self.signature.arguments[: len(values)]]
        return [wanted if isinstance(wanted, Dimensions) else None for wanted in chosen]

    def _plain(self, result: Any, values: list[np.ndarray]) -> np.ndarray:
        """The result in SI units, as an array of its type."""
        if self.units:
            wanted, found = self.signature.result, get_dimensions(result)
            if isinstance(wanted, Dimensions) and found != wanted and np.any(np.asarray(result) != 0):
                raise DimensionMismatchError(
                    f"the function {self.name!r} returned {result!r}, but it should return a quantity in {unit_name(wanted)}", wanted, found
                )
        plain = asarray_si(result) if isinstance(result, Quantity) else np.asarray(result)
        shape = np.broadcast_shapes(*(np.shape(value) for value in values))
        if plain.size > 1 and plain.shape != shape:
            raise ValueError(f"the function {self.name!r} returned values of shape {plain.shape} for arguments of shape {shape}")
        if self.dtype is not None:
            plain = plain.astype(_NUMPY[self.dtype], copy=False)
        return plain.copy() if any(np.may_share_memory(plain, value) for value in values) else plain  # kernels change arrays in place

    def _one_by_one(self, arrays: list[np.ndarray], failure: Exception | None) -> np.ndarray:
        full = np.broadcast_arrays(*arrays)
        found: list[np.ndarray] = []
        for n in range(full[0].size):
            values = [array.reshape(-1)[n] for array in full]
            try:
                found.append(self._plain(self._call(values), values))
            except (TypeError, ValueError, IndexError) as error:
                raise (failure or error) from error
        return np.array([value.reshape(()) for value in found]).reshape(full[0].shape)


# ------------------------------------------------------------------------------------------------------------------------------------------ Function
class Implementations:
    """How a function is computed. Only Python is ever run: text in C++ or Cython is accepted and left alone."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._given: dict[str, object] = {}
        self._dynamic: dict[str, Callable[[Any], object]] = {}
        self._units: bool | None = False

    def add_implementation(
        self,
        target: object,
        code: object,
        namespace: object = None,
        dependencies: object = None,
        availability_check: object = None,
        name: object = None,
        compiler_kwds: object = None,
    ) -> None:
        """Accept code for a target: a Python function of plain arrays for 'numpy', text for anything else."""
        target = getattr(target, "class_name", target)
        self._given[str(target)] = code
        if target == "numpy":
            self._units = False
        else:
            _say_that_text_is_ignored(self._function, str(target))

    def add_numpy_implementation(
        self, wrapped_func: Callable[..., object], dependencies: object = None, discard_units: bool | None = None, compiler_kwds: object = None
    ) -> None:
        """A Python function of quantities, or of plain numbers with `discard_units=True`."""
        self._given["numpy"] = wrapped_func
        self._units = not (prefs["codegen.runtime.numpy.discard_units"] if discard_units is None else discard_units)

    def add_dynamic_implementation(
        self,
        target: object,
        code: Callable[[Any], object],
        namespace: object = None,
        dependencies: object = None,
        availability_check: object = None,
        name: object = None,
        compiler_kwds: object = None,
    ) -> None:
        """Code that depends on the group: a function of the group which gives it."""
        target = getattr(target, "class_name", target)
        self._dynamic[str(target)] = code
        if target != "numpy":
            _say_that_text_is_ignored(self._function, str(target))

    def __contains__(self, target: object) -> bool:
        return target in self._given or target in self._dynamic or target == "numpy"

    def chosen(self, owner: object) -> tuple[Callable[..., object], bool]:
        """The Python function to run for a group, and whether it wants units."""
        if "numpy" in self._dynamic:
            return self._dynamic["numpy"](owner), False  # type: ignore[return-value]
        if "numpy" in self._given:
            return self._given["numpy"], bool(self._units)  # type: ignore[return-value]
        function = self._function.pyfunc
        if function is None:
            raise TypeError("this Function has no Python code; give it some as its first argument, or with implementations.add_numpy_implementation")
        if prefs["codegen.runtime.numpy.discard_units"]:
            return getattr(function, "_orig_func", function), False
        return function, True


_SAID: set[tuple[str, str]] = set()


def _say_that_text_is_ignored(function: Function, target: str) -> None:
    name = getattr(function.pyfunc, "__name__", "a function")
    if (name, target) not in _SAID:
        _SAID.add((name, target))
        _LOG.info("The %s code of %s is not used: its Python code runs instead.", target, name)


class Function:
    """A Python function that equations and code can call.

    Parameters
    ----------
    pyfunc : callable
        Takes and gives quantities, on whole arrays (or on single numbers).
    sympy_func : object
        Accepted, as in Brian, and not used.
    arg_units, return_unit : list, Quantity
        The unit of each argument and of the result, as for `check_units`, which gives them otherwise.
    arg_names : list of str
        Names of the arguments, for units that refer to another argument.
    arg_types, return_type : list of str, str
        'float', 'integer', 'boolean' ('any' for arguments, 'highest' for the result), as for `declare_types`, which gives them otherwise.
    stateless : bool
        Whether equal arguments give equal results.
    auto_vectorise : bool
        Whether it gets one more argument, an array with one entry an element.

    Raises
    ------
    ValueError
        Without units.

    Examples
    --------
    >>> from brianlike import *
    >>> double = Function(lambda x: 2*x, arg_units=[volt], return_unit=volt)
    >>> G = NeuronGroup(2, 'v : volt')
    >>> G.v = 'double((1 + i)*mV)'
    >>> G.v[:]
    array([2., 4.]) * mV
    """

    def __init__(
        self,
        pyfunc: Callable[..., Any] | None,
        sympy_func: object = None,
        arg_units: Any = None,
        arg_names: Any = None,
        return_unit: Any = None,
        arg_types: Any = None,
        return_type: str | None = None,
        stateless: bool = True,
        auto_vectorise: bool = False,
    ):
        self.pyfunc, self.sympy_func, self.stateless, self.auto_vectorise = pyfunc, sympy_func, stateless, auto_vectorise
        name = getattr(pyfunc, "__name__", repr(pyfunc))
        self._arg_units = list(_known("arg_units", arg_units if arg_units is not None else getattr(pyfunc, "_arg_units", None), name))
        self._return_unit = _known("return_unit", return_unit if return_unit is not None else getattr(pyfunc, "_return_unit", None), name)
        self._arg_names = tuple(arg_names or getattr(pyfunc, "_arg_names", None) or (f"_{n}" for n in range(len(self._arg_units))))
        if inspect.ismethod(pyfunc) and arg_units is None:  # the facts are those of the function, which has `self` too
            self._arg_units, self._arg_names = self._arg_units[1:], self._arg_names[1:]
        if len(self._arg_names) != len(self._arg_units):
            raise ValueError(f"{name} has {len(self._arg_names)} names of arguments, but {len(self._arg_units)} units for them")
        self._arg_types = list(arg_types or getattr(pyfunc, "_arg_types", None) or [_kind(unit) for unit in self._arg_units])[-len(self._arg_units) or None :]
        for given in self._arg_types:
            if given not in _CONDITIONS:
                raise ValueError(f"an argument of {name} cannot have the type {given!r}; the types are {', '.join(_CONDITIONS)}")
        declared = return_type or getattr(pyfunc, "_return_type", None)
        self._return_type = declared or ("boolean" if self._return_unit is bool else "float")
        if self._return_type not in _TYPES:
            raise ValueError(f"the result of {name} cannot have the type {self._return_type!r}; the types are {', '.join(_TYPES)}")
        self.implementations = Implementations(self)
        if pyfunc is not None:
            self.__name__, self.__doc__ = name, pyfunc.__doc__ or self.__doc__

    def __call__(self, *arguments: Any) -> Any:
        """Call the Python function."""
        if self.pyfunc is None:
            raise TypeError("this Function has no Python code")
        return self.pyfunc(*arguments)

    def is_locally_constant(self, dt: object) -> bool:
        """Whether the result stays the same during a step, although it depends on the time."""
        return False

    def specify(self, name: str, owner: VariableOwner) -> Specified:
        """The function as the texts of `owner` see it under this name."""
        signature = self._signature()
        python, units = self.implementations.chosen(owner)
        dtype = _TYPES[self._return_type]
        if not self.auto_vectorise:
            body = OnArrays(name, python, signature, dtype, units)
            return Specified(FunctionSpec(name, len(signature.names), {}, dimensions=signature, dtype=dtype, stateless=self.stateless, implementation=body))
        longer = Signature((*signature.names, "_vectorisation_idx"), (*signature.arguments, None), signature.result, (*signature.conditions, None))
        body = OnArrays(name, python, longer, dtype, units)
        inner = FunctionSpec(name, len(longer.names), {}, dimensions=longer, dtype=dtype, stateless=self.stateless, implementation=body)
        outer = FunctionSpec(name, len(signature.names), {}, dimensions=signature, dtype=dtype, stateless=self.stateless, definition=ForEveryElement(inner))
        return Specified(outer)

    def _signature(self) -> Signature:
        arguments = tuple(_argument_dimensions(unit) for unit in self._arg_units)
        conditions = tuple(_CONDITIONS[given] for given in self._arg_types)
        return Signature(self._arg_names, arguments, _result_dimensions(self._return_unit, self._arg_units), conditions)


@dataclass(frozen=True, slots=True)
class ForEveryElement:
    """A call whose last argument, added here, has one value for each element."""

    spec: FunctionSpec

    def __call__(self, arguments: tuple[Expr, ...]) -> Expr:
        return Call(self.spec.name, (*arguments, Access("i")), None, self.spec)


def _known(keyword: str, given: Any, name: str) -> Any:
    if given is None:
        raise ValueError(f"the units of the Python function {name!r} are not known: give {keyword}=, or decorate it with @check_units")
    return given


def _kind(unit: object) -> str:
    return "boolean" if unit is bool else "any"


def _argument_dimensions(unit: Any) -> Dimensions | str | None:
    if unit is None or isinstance(unit, str | Dimensions):
        return unit
    return DIMENSIONLESS if unit is bool else get_dimensions(unit)


@dataclass(frozen=True, slots=True)
class ResultOf:
    """The dimensions of a result whose unit is a function of those of the arguments."""

    unit: Callable[..., Any]

    def __call__(self, arguments: tuple[Dimensions, ...]) -> Dimensions:
        found = self.unit(*arguments)
        return found if isinstance(found, Dimensions) else get_dimensions(found)


def _result_dimensions(unit: Any, arguments: Any) -> Any:
    if unit is bool:
        return DIMENSIONLESS
    if isinstance(unit, Dimensions):
        return unit
    return ResultOf(unit) if callable(unit) and not isinstance(unit, Quantity) else get_dimensions(unit)


def implementation(
    target: object,
    code: object = None,
    namespace: object = None,
    dependencies: object = None,
    discard_units: bool | None = None,
    name: object = None,
    **compiler_kwds: object,
) -> Callable[[Any], Function]:
    """Give a function code for a target.

    Parameters
    ----------
    target : str
        With 'numpy', the decorated Python function (or `code`, another one) runs. Text for 'cpp' or 'cython' is accepted, so that scripts written for Brian
        run, and is not used: the Python function runs instead.
    code : callable or str
    discard_units : bool
        Give the Python function plain SI numbers instead of quantities.
    namespace, dependencies, name, **compiler_kwds
        Accepted, as in Brian, and not used.

    Examples
    --------
    >>> from brianlike import *
    >>> @implementation('cpp', 'double half(double x) { return x/2; }')
    ... @check_units(x=volt, result=volt)
    ... def half(x):
    ...     return x/2
    >>> half(3*mV)
    1.5 * mV
    """

    def decorate(function: Any) -> Function:
        made = function if isinstance(function, Function) else Function(function)
        if target == "numpy":
            body: Any = code if callable(code) else made.pyfunc
            discard = prefs["codegen.runtime.numpy.discard_units"] if discard_units is None else discard_units
            made.implementations.add_numpy_implementation(getattr(body, "_orig_func", body) if discard else body, discard_units=bool(discard))
        else:
            made.implementations.add_implementation(target, code)
            if discard_units is not None and "numpy" not in made.implementations._given:
                body = made.pyfunc
                made.implementations.add_numpy_implementation(getattr(body, "_orig_func", body) if discard_units else body, discard_units=discard_units)
        return made

    return decorate


def declare_types(**types: str) -> Callable[[Any], Any]:
    """Say which types a function takes and gives, by the names of its arguments and `result`.

    Examples
    --------
    >>> from brianlike import *
    >>> @check_units(n=1, result=1)
    ... @declare_types(n='integer', result='integer')
    ... def twice(n):
    ...     return 2*n
    """

    def decorate(function: Any) -> Any:
        original = getattr(function, "_orig_func", function)
        names = list(inspect.signature(original).parameters)
        function._arg_types = [types.get(name, "any") for name in names]
        function._return_type = types.get("result", "float")
        unknown = types.keys() - {"result", *names}
        strange = [given for given in types.values() if given not in _TYPES and given not in _CONDITIONS]
        if strange:
            raise ValueError(f"{strange[0]!r} is not a type; the types are {', '.join(dict.fromkeys((*_CONDITIONS, *_TYPES)))}")
        if unknown:
            raise ValueError(f"{original.__name__}() has no argument {sorted(unknown)[0]!r} whose type could be declared")
        return function

    return decorate
