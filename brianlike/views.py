"""A variable as users see it: with units, indexed by numbers, slices, conditions in strings, and assigned to in place."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.dims import DIMENSIONLESS, Dimensions, unit_name
from codegen.errors import EquationError, ModelError
from codegen.expr import Access, DType, Expr, Index
from codegen.expr import names as names_in
from codegen.grammar import parse_expression
from codegen.ir import Role, Variable

from . import deferred
from ._unit_functions import describe, fits_any_unit
from .logger import get_logger
from .namespaces import caller_namespace
from .objects import SimulationObject
from .units import DimensionMismatchError, Quantity, Unit, asarray_si, get_dimensions, get_unit

if TYPE_CHECKING:
    from .expressions import Evaluation
    from .state import VariableOwner

__all__ = ["VariableView"]

LAST_SPIKE = "_lastspike_step"
_LOG = get_logger(__name__)
_READ_ONLY = (Role.SUBEXPRESSION, Role.EXTERNAL, Role.CLOCK, Role.INDEX)


class Number(int):
    """How many synapses or records there are. Scripts for Brian also write `S.N[:]` and `monitor.N[:]`."""

    def __getitem__(self, item: object) -> int:
        if item not in (slice(None), ...):
            raise IndexError(f"this is one number, not a list: [{item!r}] does not exist")
        return int(self)


class VariableView:
    """One variable of one object, as `owner.v` returns it: read and written in place, with units unless asked for as `owner.v_`.

    Reading (`[...]`, arithmetic, numpy functions) gives copies, except that `view[:]` of a stored variable of a whole object is its own array, as in Brian.
    `view[...] = value` and `view += value` change the object.

    Raises
    ------
    DimensionMismatchError
        If a value has other dimensions than the variable; 0, inf and nan fit any.
    TypeError
        If the variable is read-only, or a value has the wrong type.
    ValueError
        If a value has the wrong shape, or is no whole number where one is due.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> from brianlike.units import mV
    >>> G = NeuronGroup(4, "v : volt", name="cells")
    >>> G.v = [1, 2, 3, 4]*mV
    >>> G.v[1:3] += 10*mV
    >>> G.v
    <cells.v: array([ 1., 12., 13.,  4.]) * mV>
    >>> float(G.v_[0])
    0.001
    """

    __slots__ = ("_owner", "_variable", "_units", "_label")
    # A key of `run_args`; `==` compares values, so only the same view is the same key.
    __hash__ = object.__hash__

    def __init__(self, owner: VariableOwner, variable: Variable, units: bool = True, label: str | None = None):
        self._owner, self._variable, self._units, self._label = owner, variable, units, label

    @property
    def name(self) -> str:
        """The variable's name as the user wrote it."""
        return self._label or self._variable.name

    @property
    def group(self) -> VariableOwner:
        """The object whose variable this is."""
        return self._owner

    @property
    def variable(self) -> Variable:
        """Its declaration."""
        return self._variable

    @property
    def dimensions(self) -> Dimensions:
        """Those of the values as this view shows them."""
        return self._variable.dimensions if self._units else DIMENSIONLESS

    dim = dimensions

    @property
    def unit(self) -> Unit:
        """The SI unit of the values as this view shows them."""
        return get_unit(self.dimensions)

    @property
    def group_name(self) -> str:
        """The name of the object whose variable this is."""
        return self._owner.name

    @property
    def writable(self) -> bool:
        """Whether the variable can be set."""
        return self._variable.role not in _READ_ONLY

    def is_same(self, other: VariableView) -> bool:
        """Whether both show the same variable of the same object."""
        return self._owner is other._owner and self._variable.name == other._variable.name and self._units == other._units

    # ------------------------------------------------------------------------------------------------------------------------------ reading
    def read(self, indices: Any, namespace: Mapping[str, object] | None = None) -> Any:
        """The bare SI values at `indices`, which must be numbers or a slice."""
        owner, variable = self._owner, self._variable
        if variable.role is Role.SUBEXPRESSION:
            return _computed(variable, owner, indices, namespace)
        if variable.role is Role.LINKED:
            view, places = owner._linked(variable.name, indices)
            return np.broadcast_to(view.read(places, namespace), np.shape(places)).copy()[()]
        if variable.name == "lastspike":
            return owner.state[LAST_SPIKE][indices] * owner.clock.dt_
        values = owner.state[variable.name][indices]
        return values.copy() if isinstance(indices, slice) else values

    @property
    def _is_one(self) -> bool:
        """Whether all elements share one value: that of a shared variable, or of a group of one neuron, that this one is linked to."""
        target = self._owner._whole._links.get(self._variable.name) if self._variable.role is Role.LINKED else None
        return target is not None and target.single

    def get_item(self, item: object, level: int = 0, namespace: Mapping[str, object] | None = None) -> Any:
        """`view[item]`, with the names of strings looked up in `namespace`, or `level` frames above the caller."""
        names = caller_namespace(level) if namespace is None and level else namespace
        if self._variable.shared:
            _require_whole(item, self)
            values = self.read(0, names)
        else:
            whole = (isinstance(item, slice) and item == slice(None)) or item is Ellipsis
            values = self.read(0 if whole and self._is_one else self._owner.element_indices(item, names), names)
        if self.dimensions.is_dimensionless:
            return values
        return Quantity(values, self.dimensions)

    def __getitem__(self, item: object) -> Any:
        if isinstance(item, tuple) and any(part is None for part in item):  # numpy's way to ask for another axis, which plotting functions take
            return self._values_now()[item]
        if isinstance(item, slice) and item == slice(None) and self._lives_in_the_object:
            self._owner.state.exposed.add(self._variable.name)  # whoever has the array may write into it
            values = self._owner.state[self._variable.name]
            return values if self.dimensions.is_dimensionless else Quantity(values, self.dimensions)
        return self.get_item(item)

    @property
    def _lives_in_the_object(self) -> bool:
        """Whether `view[:]` is the object's own array, as in Brian, and not a copy."""
        owner, variable = self._owner, self._variable
        stored = variable.name in owner.state.variables and not variable.shared and variable.role is not Role.LINKED
        whole = owner._whole is owner and type(self) is VariableView
        return stored and variable.name != "lastspike" and self.writable and whole

    def _values_now(self) -> Any:
        """A copy of all values."""
        return self.get_item(slice(None))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values: np.ndarray = np.asanyarray(self._values_now())  # `np.asarray` drops the unit by itself, `np.asanyarray` keeps it
        return values if dtype is None else values.astype(dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if any(isinstance(target, VariableView) for target in keywords.get("out", ())):
            raise TypeError(f"np.{ufunc.__name__} cannot write into {self._owner.name}.{self.name}; assign its result")
        return getattr(ufunc, method)(*map(_values, inputs), **keywords)

    def __array_function__(self, function: Callable[..., Any], types: Any, arguments: Any, keywords: Any) -> Any:
        return function(*map(_values, arguments), **{name: _values(value) for name, value in keywords.items()})

    def __getattr__(self, name: str) -> Any:
        # What an array can do without being changed, on a copy of the values.
        if name.startswith("_") or name in _CHANGING:
            raise AttributeError(f"{self._owner.name}.{self.name if self._units else self.name + '_'} has no attribute {name!r}")
        return getattr(self._values_now() if not self._variable.shared else np.asanyarray(self._values_now()), name)

    def __len__(self) -> int:
        return 1 if self._variable.shared else self._owner.state.size

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values_now())

    def __contains__(self, value: object) -> bool:
        return bool(np.any(self._values_now() == value))

    def __bool__(self) -> bool:
        return bool(self._values_now())

    def __float__(self) -> float:
        return float(self._values_now())

    def __int__(self) -> int:
        return int(self._values_now())

    def __repr__(self) -> str:
        name = f"{self._owner.name}.{self.name}{'' if self._units else '_'}"
        try:
            return f"<{name}: {self._values_now()!r}>"
        except (ModelError, TypeError) as error:
            return f"<{name}: not available: {str(error).splitlines()[0]}>"

    # ------------------------------------------------------------------------------------------------------------------------------ writing
    def __setitem__(self, item: object, value: object) -> None:
        self.set_item(item, value)

    def set_item(self, item: object, value: object, level: int = 0, namespace: Mapping[str, object] | None = None) -> None:
        """`view[item] = value`, with the names of strings looked up in `namespace`, or `level` frames above the caller."""
        owner, variable = self._owner, self._variable
        if variable.role in _READ_ONLY:
            raise TypeError(f"{self.name!r} of {owner.name!r} is read-only")
        if not variable.shared:
            owner._ready()
        names = caller_namespace(level) if namespace is None and level else namespace
        if variable.shared:
            _require_whole(item, self)
            indices: Any = slice(None)
        else:
            indices = owner.element_indices(item, names)
        if isinstance(value, str):
            evaluation = _streamed(value, self, indices, names)
            if evaluation is not None:
                return self._fill(evaluation, indices)
            values = _from_text(value, self, indices, names)
        else:
            values = _from_value(value, self)
        self._write(indices, values)

    def _fill(self, evaluation: Evaluation, indices: slice) -> None:
        """Write the values of a text as they are computed; where there are very many and nothing they depend on changes, when somebody needs them."""
        owner, state, name = self._owner, self._owner.state, self._variable.name
        first, last, _ = indices.indices(state.size)
        if last - first == state.size >= deferred.DEFER_FROM and owner._whole is owner and not state.locked and evaluation.kept(owner):
            deferred.defer(state, name, evaluation)
            return
        target = state[name]
        deferred.by_slices(evaluation, owner, first, last, lambda chosen, values: target.__setitem__(chosen, values))
        state.written[name] += 1

    def _write(self, indices: Any, values: np.ndarray) -> None:
        owner, variable = self._owner, self._variable
        if variable.role is Role.LINKED:
            view, places = owner._linked(variable.name, indices)
            if view.variable.role in _READ_ONLY:
                raise TypeError(f"{self.name!r} of {owner.name!r} is read-only: it is linked to {view.group.name}.{view.name}")
            return view._write(places, values)
        stored = LAST_SPIKE if variable.name == "lastspike" else variable.name
        target = owner.state[stored]
        if values.ndim == 0 and target.dtype.kind == "f" and stored is not LAST_SPIKE:
            target[indices] = values
            owner.state.written[stored] += 1
            return
        needed = target[indices].shape
        if values.shape not in ((), (1,), needed):
            raise ValueError(f"{owner.name}.{self.name} has shape {needed} here, but the value has shape {values.shape}")
        if variable.name == "lastspike":
            values = np.rint(values / owner.clock.dt_)
        values = _fit(values, target.dtype, f"{owner.name}.{self.name}")
        target[indices] = values if values.shape == needed else values.reshape(-1)[0]
        owner.state.written[stored] += 1

    def _update(self, function: Callable[[Any, Any], Any], other: object) -> VariableView:
        if isinstance(other, str):
            raise TypeError(f"a string cannot change {self.name!r} in place; write {self._owner.name}.{self.name} = {self.name + ' + ...'!r} instead")
        if self._variable.role is Role.LINKED:
            raise ValueError(f"the linked variable {self._owner.name}.{self.name} cannot be set as a whole; change the variable that it is linked to")
        self.set_item(slice(None), function(self._values_now(), other))
        return self


class ReachedView(VariableView):
    """A variable of the pre- or postsynaptic neurons, seen from the synapses: `S.v_pre` has one value for each synapse."""

    __slots__ = ("_group", "_index")

    def __init__(self, owner: VariableOwner, variable: Variable, group: Any, index: Index, units: bool = True):
        super().__init__(owner, variable, units, f"{variable.name}_{index.value}")
        self._group, self._index = group, index

    def is_same(self, other: VariableView) -> bool:
        return isinstance(other, ReachedView) and other._index is self._index and super().is_same(other)

    def get_item(self, item: object, level: int = 0, namespace: Mapping[str, object] | None = None) -> Any:
        names = caller_namespace(level) if namespace is None and level else namespace
        indices = self._owner.element_indices(item, names)
        values = self._owner.values_of(Access(self._variable.name, self._index), indices, names)
        if not self._variable.shared:
            values = np.array(np.broadcast_to(values, np.shape(self._ends(indices))))[()]
        return values if self.dimensions.is_dimensionless else Quantity(values, self.dimensions)

    def set_item(self, item: object, value: object, level: int = 0, namespace: Mapping[str, object] | None = None) -> None:
        names = caller_namespace(level) if namespace is None and level else namespace
        if self._variable.shared:
            _require_whole(item, self)
            self._group.view(self._variable.name if self._units else self._variable.name + "_").set_item(slice(None), value, namespace=names)
            return
        indices = self._owner.element_indices(item, names)
        wanted = self._variable.dimensions if self._units else None
        if isinstance(value, str):
            boolean = self._variable.dtype is DType.BOOL
            value = evaluated(value, self._owner, np.arange(len(self))[indices], names, expect_boolean=boolean, dimensions=wanted)
            self._group.view(self._variable.name + "_").set_item(self._ends(indices), value)
            return
        self._group.view(self._variable.name if self._units else self._variable.name + "_").set_item(self._ends(indices), value)

    def _ends(self, indices: Any) -> np.ndarray:
        ends: np.ndarray = self._owner.state["i" if self._index is Index.PRE else "j"][indices]
        return ends

    def __len__(self) -> int:
        return self._owner.state.size


class IndexTypeError(IndexError, TypeError):
    """Something that cannot be an index; in Brian this is an IndexError."""


_CHANGING = frozenset("fill put sort partition resize setfield setflags itemset byteswap".split())


def _values(value: Any) -> Any:
    """`value` with the views in it, also within lists, replaced by their values."""
    if isinstance(value, VariableView):
        return value._values_now()
    return type(value)(map(_values, value)) if type(value) in (list, tuple) else value


def _require_whole(item: object, view: VariableView) -> None:
    whole = (isinstance(item, slice) and item == slice(None)) or item is Ellipsis or (isinstance(item, (int, tuple)) and item in (0, ()))
    if not whole:
        raise IndexError(f"{view.name!r} is shared: it has one value, {view._owner.name}.{view.name}[:]")


def _computed(variable: Variable, owner: VariableOwner, indices: Any, namespace: Mapping[str, object] | None) -> Any:
    """The values of a subexpression."""
    if variable.shared:
        return evaluated(variable.name, owner._whole, np.zeros(1, dtype=np.int64), namespace, expect_boolean=variable.dtype is DType.BOOL)[0]
    # The equations are those of the whole group, and so is their `i`.
    owner, chosen = owner._whole, np.arange(owner.state.size)[indices] + owner._first
    values = evaluated(variable.name, owner, np.atleast_1d(chosen), namespace, expect_boolean=variable.dtype is DType.BOOL)
    values = np.broadcast_to(values, np.shape(np.atleast_1d(chosen)))
    return values.copy() if np.ndim(chosen) else values[0]


def _streamed(text: str, view: VariableView, indices: Any, namespace: Mapping[str, object] | None) -> Evaluation | None:
    """The evaluation of a text whose values can be written as they come; None if all must be known first: where an error may come late, or where other
    elements may be read."""
    owner, variable = view._owner, view._variable
    simple = isinstance(indices, slice) and indices.step in (None, 1) and variable.dtype is DType.FLOAT and not variable.shared
    stored = variable.name in owner.state.variables and variable.role is not Role.LINKED and variable.name != "lastspike"
    if not (simple and stored and owner.state.size > deferred.CHUNK):
        return None
    evaluation = evaluation_of(text, owner, namespace, dimensions=variable.dimensions if view._units else None)
    return evaluation if evaluation.elementwise and not evaluation.calls_python else None


def _from_text(text: str, view: VariableView, indices: Any, namespace: Mapping[str, object] | None) -> np.ndarray:
    """The values of an expression for the elements at `indices`; its unit is not checked for a view without units."""
    owner, variable = view._owner, view._variable
    boolean, dimensions = variable.dtype is DType.BOOL, variable.dimensions if view._units else None
    if variable.shared:
        _refuse_elements(text, owner, view.name)
        return evaluated(text, owner, np.zeros(1, dtype=np.int64), namespace, expect_boolean=boolean, dimensions=dimensions)
    if isinstance(indices, slice) and indices.step in (None, 1):
        start, stop, _ = indices.indices(owner.state.size)
        return evaluated(text, owner, slice(start, max(start, stop)), namespace, expect_boolean=boolean, dimensions=dimensions)
    chosen = np.atleast_1d(np.arange(owner.state.size)[indices])
    values = evaluated(text, owner, chosen.ravel(), namespace, expect_boolean=boolean, dimensions=dimensions)
    values = np.broadcast_to(values, (chosen.size,)).reshape(chosen.shape)
    return values if np.ndim(indices) or isinstance(indices, slice) else values[0]


def _refuse_elements(text: str, owner: VariableOwner, variable: str) -> None:
    """Refuse an expression for a shared variable that differs from element to element."""
    for name, node in names_in(parse_expression(text)).items():
        used = owner.variable(name)
        if used is not None and not used.shared:
            message = f"`{variable}` is shared, but `{name}` differs from element to element"
            raise EquationError(message, node.span, "Use shared variables and constants only.")


def _from_value(value: object, view: VariableView) -> np.ndarray:
    """Numbers or quantities as an SI array, if their dimensions are those of the view."""
    if type(value) in (float, int) and view.dimensions.is_dimensionless:
        return np.asarray(value)
    if type(value) is Quantity and value.dimensions == view.dimensions:
        return value.view(np.ndarray)
    name = f"{view._owner.name}.{view.name}"
    value = np.asarray(value) if isinstance(value, range) else value
    try:
        dims = get_dimensions(value)
        numbers = np.asarray(value) if dims.is_dimensionless else asarray_si(value)  # booleans stay booleans
    except TypeError:
        raise TypeError(f"{name} takes numbers, quantities or an expression in a string, not {value!r}") from None
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name} takes real numbers, quantities or an expression in a string, not {describe(value, dims)}")
    if dims != view.dimensions and not (dims.is_dimensionless and fits_any_unit(numbers)):
        wanted = unit_name(view.dimensions)
        hint = f"; write value*{wanted}, or use {name}_ for plain SI numbers" if dims.is_dimensionless else ""
        raise DimensionMismatchError(f"{name} has the unit {wanted}, but the value is {describe(value, dims)}{hint}", view.dimensions, dims)
    return numbers


def _fit(values: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """The values in the type of a variable. Integers drop fractions, as in Brian, and the log says so once."""
    if dtype == np.bool_:
        if values.dtype != np.bool_ and values.dtype.kind in "iuf" and np.all((values == 0) | (values == 1)):
            return values.astype(np.bool_)
        if values.dtype != np.bool_:
            raise TypeError(f"{name} is boolean: it takes True, False or a condition, not {describe(values, DIMENSIONLESS)}")
        return values
    if dtype.kind == "i" and values.dtype.kind != "b":
        limits = np.iinfo(dtype)
        # In floating point `max` rounds up to a power of two that does not fit.
        if not np.all((values >= limits.min) & (values < float(limits.max) + (1 if dtype.itemsize < 8 else 0))):
            raise ValueError(f"{name} takes whole numbers from {limits.min} to {limits.max}, not {describe(values, DIMENSIONLESS)}")
        if not np.all(values == np.trunc(values)):
            _LOG.warn(f"{name} holds whole numbers, so the fractions of what it was given are dropped", "truncated_values", once=True)
    return values.astype(dtype, copy=False)


def _binary(function: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    def forward(self: VariableView, other: object) -> Any:
        return function(self._values_now(), _values(other))

    def backward(self: VariableView, other: object) -> Any:
        return function(_values(other), self._values_now())

    def in_place(self: VariableView, other: object) -> VariableView:
        return self._update(function, _values(other))

    return forward, backward, in_place


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda self: function(self._values_now())


for _name in "add sub mul truediv floordiv mod pow and or xor".split():
    _function = getattr(operator, _name + "_" if _name in ("and", "or") else _name)
    for _prefix, _method in zip(("", "r", "i"), _binary(_function), strict=True):
        setattr(VariableView, f"__{_prefix}{_name}__", _method)
for _name in "eq ne lt le gt ge matmul".split():
    setattr(VariableView, f"__{_name}__", _binary(getattr(operator, _name))[0])
for _name in "neg pos abs invert".split():
    setattr(VariableView, f"__{_name}__", _unary(getattr(operator, _name)))


def element_indices(item: object, size: int, owner: VariableOwner, namespace: Mapping[str, object] | None = None) -> Any:
    """An int, slice or array of int64 for what users write between brackets; IndexError or TypeError name what is wrong."""
    if type(item) is int and 0 <= item < size:
        return item
    if isinstance(item, str):
        condition = evaluated(item, owner, None, namespace, expect_boolean=True)
        return np.flatnonzero(np.broadcast_to(condition, (size,)))
    if isinstance(item, slice) or item is Ellipsis:
        return item if isinstance(item, slice) else slice(None)
    if isinstance(item, SimulationObject):
        return owner._range_of(item)
    if isinstance(item, tuple) and len(item) > 1:
        raise IndexError(f"variables of {owner.name!r} have one index, not {len(item)}; elements are given as a list: [[0, 5]]")
    array = np.asarray(item)
    if array.dtype == np.bool_:
        if array.shape != (size,):
            raise IndexError(f"a boolean index of {owner.name!r} must have shape ({size},), not {array.shape}")
        return np.flatnonzero(array)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise IndexTypeError(f"{owner.name!r} is indexed by whole numbers, slices, booleans or a condition in a string, not {item!r}")
    bad = array[(array < -size) | (array >= size)]
    if bad.size:
        raise IndexError(f"index {bad.flat[0]} is out of range for {owner.name!r} with {size} elements")
    index = np.where(array < 0, array + size, array).astype(np.int64)
    return int(index) if index.ndim == 0 else index


def evaluated(
    text: str | Expr,
    owner: VariableOwner,
    indices: Any,
    namespace: Mapping[str, object] | None,
    *,
    expect_boolean: bool = False,
    dimensions: Dimensions | None = None,
) -> np.ndarray:
    """The values (SI) of a user's expression for the elements of `owner` at `indices`: an array, a slice without a step, or None for all."""
    evaluation = evaluation_of(text, owner, namespace, expect_boolean=expect_boolean, dimensions=dimensions)
    chosen = slice(*slice(None).indices(owner.state.size)[:2]) if indices is None else indices
    size = chosen.stop - chosen.start if isinstance(chosen, slice) else len(chosen)
    if size <= deferred.CHUNK:
        return evaluation(owner, chosen)
    first = evaluation(owner, part_of(chosen, 0, deferred.CHUNK))
    values = np.empty(size, dtype=first.dtype)
    values[: deferred.CHUNK] = first
    for start in range(deferred.CHUNK, size, deferred.CHUNK):
        stop = min(start + deferred.CHUNK, size)
        values[start:stop] = evaluation(owner, part_of(chosen, start, stop))
    return values


def evaluation_of(
    text: str | Expr, owner: VariableOwner, namespace: Mapping[str, object] | None, *, expect_boolean: bool = False, dimensions: Dimensions | None = None
) -> Evaluation:
    """A user's expression, ready to be evaluated for elements of `owner`."""
    from .expressions import Evaluation  # above this module: it needs the compiler

    names = dict(caller_namespace() if namespace is None else namespace)
    return Evaluation(text, owner, names, expect_boolean=expect_boolean, dimensions=dimensions)


def part_of(chosen: Any, start: int, stop: int) -> Any:
    """The chosen elements from the `start`-th to before the `stop`-th."""
    return slice(chosen.start + start, chosen.start + stop) if isinstance(chosen, slice) else chosen[start:stop]
