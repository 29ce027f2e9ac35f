"""The values of one object's variables: allocated for the kernels, shown to users with units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from codegen.expr import Access, DType
from codegen.functions import CLOCK_NAMES
from codegen.ir import Model, Role, Variable

from .arrays import padded as padded
from .arrays import reserve, whole_vectors
from .importexport import chosen_format
from .linked import LinkedVariable, Target, checked_target, index_name
from .objects import SimulationObject, Weak, checked_namespace, checked_order, checked_slot
from .preferences import prefs
from .variabletable import Variables
from .views import LAST_SPIKE as LAST_SPIKE
from .views import VariableView as VariableView

__all__ = ["State", "VariableOwner", "VariableView"]

NOT_REFRACTORY = "not_refractory"
SMALL = 1 << 16  # bytes that are compared as they are
NEVER = -(10**8)  # the step of the last spike of a neuron that never fired: -1e4 s at 0.1 ms, as in Brian
_NOT_STORED = (Role.SUBEXPRESSION, Role.EXTERNAL, Role.CLOCK, Role.NOISE, Role.LINKED)
_FILL: dict[str, object] = {NOT_REFRACTORY: True, LAST_SPIKE: NEVER}
_FIXED: dict[DType, np.dtype[Any]] = {DType.INT32: np.dtype(np.int32), DType.INT64: np.dtype(np.int64), DType.BOOL: np.dtype(np.bool_)}


class Waiting(Protocol):
    """What keeps values in another form."""

    def settle(self) -> None:
        """Write them into the arrays of the state, and no longer stand in its `pending`."""

    def distinct(self, name: str) -> np.ndarray:
        """What the values of a variable are worked out from, in any order and number."""


class Keeper(Waiting, Protocol):
    """What keeps values in another form through runs."""

    def kept(self) -> dict[str, np.ndarray]:
        """Copies of that form, for snapshots, under names with a colon; none where the arrays of the state are all there is."""


class State:
    """The arrays of one object, by name, in SI units.

    Every array is the beginning of a longer, aligned one (`base`), so that kernels can run over whole vectors; what lies behind the end has no meaning.

    Parameters
    ----------
    variables : tuple of Variable
        Those that are computed rather than stored are ignored.
    size : int
        Number of elements; shared variables have one value, whatever the size.
    float_dtype : dtype, optional
        Type of floating point variables; `prefs.core.default_float_dtype` if left out.

    Attributes
    ----------
    written : Counter
        How often each variable was assigned to from outside a run; who sorted by a variable sees here that it must do so again.
    exposed : set of str
        Variables whose own array somebody outside may have, and change without a word.
    locked : bool
        Set while a run holds the arrays: then the number of elements cannot change.
    pending : dict
        By variable, what works out its values when they are asked for: a run keeps them in another form (see `traces`).
    keeper : Keeper or None
        What has kept values in another form in the last run.
    beside : dict
        That form as it was in a snapshot that came back.

    Examples
    --------
    >>> state = State((Variable("v", Role.STATE),), 3)
    >>> state["v"][:] = 1, 2, 3
    >>> state["v"], state.base("v").size
    (array([1., 2., 3.]), 16)
    """

    owner: Weak | None = None

    def __init__(self, variables: tuple[Variable, ...], size: int, float_dtype: object = None):
        self.size = size
        default = prefs["core.default_float_dtype"]
        self.float_dtype = _dtype(default if float_dtype is None or _types_fit(float_dtype, variables, np.dtype(default)) else float_dtype)
        if self.float_dtype not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise TypeError(f"the variables of equations can be float64 or float32, not {self.float_dtype}")
        self.locked = False
        self.variables: dict[str, Variable] = {}
        self.written: Counter[str] = Counter()
        self.exposed: set[str] = set()
        self.pending: dict[str, Waiting] = {}
        self.keeper: Keeper | None = None
        self.beside: dict[str, np.ndarray] = {}
        self._dtypes: dict[str, np.dtype] = {}
        self._buffers: dict[str, np.ndarray] = {}
        self._views: dict[str, np.ndarray] = {}
        for variable in variables:
            if variable.role not in _NOT_STORED:
                self.add(variable)

    def add(self, variable: Variable, dtype: object = None) -> None:
        """Begin to store one more variable, all zeros; `dtype` overrides the type that its declaration asks for."""
        if variable.name in self.variables:
            raise ValueError(f"{variable.name!r} is stored already")
        self.variables[variable.name] = variable
        if dtype is not None:
            self._dtypes[variable.name] = _dtype(dtype)
        self._buffers[variable.name] = self._allocate(variable.name, self._count(variable.name))
        self._views[variable.name] = self._buffers[variable.name][: self._count(variable.name)]

    def dtype(self, name: str) -> np.dtype:
        """The type in which a variable is stored."""
        return self._dtypes[name] if name in self._dtypes else _FIXED.get(self.variables[name].dtype, self.float_dtype)

    def _count(self, name: str) -> int:
        return 1 if self.variables[name].shared else self.size

    def _allocate(self, name: str, count: int) -> np.ndarray:
        if name not in _FILL:
            return reserve(count, self.dtype(name), zero=True)
        buffer = reserve(count, self.dtype(name))
        buffer[:] = _FILL[name]
        return buffer

    def __getitem__(self, name: str) -> np.ndarray:
        if name in self.pending:
            self.pending[name].settle()
        return self._views[name]

    def distinct(self, name: str) -> np.ndarray:
        """Values of which one is not a number if one of the variable is not; where these wait to be worked out, they still do."""
        return self.pending[name].distinct(name) if name in self.pending else self._views[name]

    def settle(self) -> None:
        """Work out all values that wait for it."""
        while self.pending:
            next(iter(self.pending.values())).settle()

    def __call__(self, name: str, use_units: bool = True, level: int = 0) -> VariableView:
        """`owner.state('v')`, another way to write `owner.v`; without units `owner.v_`."""
        owner = None if self.owner is None else self.owner()
        variable = None if owner is None else owner.variable(name)
        if owner is None or variable is None:
            raise KeyError(f"there is no variable {name!r}")
        return VariableView(owner, variable, units=use_units)

    def __setitem__(self, name: str, value: object) -> None:
        self[name][:] = value
        self.written[name] += 1

    def version(self, name: str) -> object:
        """Equal as long as nobody but a run has changed the variable."""
        count = self.written.get(name, 0)
        return (count, self._views[name].tobytes()) if name in self.exposed else count

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def base(self, name: str, settled: bool = True) -> np.ndarray:
        """The aligned array, padded to whole vectors, that begins with the values of `name`; to be asked for again after `resize`."""
        if settled and name in self.pending:
            self.pending[name].settle()
        return self._buffers[name][: padded(self._count(name))]

    def __getstate__(self) -> dict[str, Any]:
        """For copies of objects: the values themselves, not what works them out."""
        self.settle()
        return {**self.__dict__, "keeper": None}

    def memory(self, name: str) -> np.ndarray:
        """The array of a variable as it lies there, also where its values wait to be worked out."""
        return self._views[name]

    def resize(self, size: int, given: Mapping[str, np.ndarray] = MappingProxyType({})) -> None:
        """Change the number of elements; old values stay, new ones are as after construction, or those given. Arrays handed out before are no longer
        the state's; those given become so where they lie in reserved memory, and nobody else may keep them.
        """
        if self.locked:
            raise RuntimeError("the number of elements cannot change while a run is under way; connect before the run, or between two runs")
        self.settle()
        old, self.size = self.size, size
        for name, variable in self.variables.items():
            if variable.shared:
                continue
            buffer = whole_vectors(given[name]) if old == 0 and name in given else None
            if buffer is None:
                buffer = self._longer(name, old, size)
                if name in given:
                    buffer[old:size] = given[name]
            buffer[size : padded(size)] = _FILL.get(name, 0)  # kernels run over whole vectors: an index there must be one
            self._buffers[name] = buffer
            self._views[name] = buffer[:size]
            self.written[name] += 1

    def _longer(self, name: str, old: int, size: int) -> np.ndarray:
        """The buffer of a variable with room for `size` elements."""
        buffer = self._buffers[name]
        if padded(size) > len(buffer):
            # One connect() gets exactly what it needs; many in a row must not copy everything each time.
            buffer = self._allocate(name, size if old == 0 else max(size, len(buffer) + len(buffer) // 2))
            buffer[:old] = self._buffers[name][:old]
        else:
            buffer[min(old, size) : padded(size)] = _FILL.get(name, 0)
        return buffer

    def snapshot(self) -> dict[str, np.ndarray]:
        """A copy of all values."""
        self.settle()
        return {name: view.copy() for name, view in self._views.items()} | ({} if self.keeper is None else self.keeper.kept())

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot of this object, also of one with another number of elements; nothing changes if it does not fit.

        Variables added since the snapshot become as they were when they were added.
        """
        self.settle()
        self.beside = {name: np.asarray(values) for name, values in snapshot.items() if ":" in name}
        snapshot = {name: values for name, values in snapshot.items() if ":" not in name}
        unknown = snapshot.keys() - self._views.keys()
        if unknown:
            raise ValueError(f"this snapshot has variables that the object has not: {', '.join(sorted(unknown))}")
        sizes = {len(values) for name, values in snapshot.items() if not self.variables[name].shared}
        if len(sizes) > 1:
            raise ValueError(f"the variables of a snapshot must have one common length, not {sorted(sizes)}")
        if sizes and sizes != {self.size}:
            self.resize(sizes.pop())
        for name, view in self._views.items():
            values = np.asarray(snapshot[name] if name in snapshot else _FILL.get(name, 0))
            if not _same(view, values):
                self[name] = values


def _same(view: np.ndarray, values: np.ndarray) -> bool:
    """Whether an array has these values."""
    if view.nbytes < SMALL and view.dtype == values.dtype and view.shape == values.shape:
        return view.tobytes() == values.tobytes()
    return np.array_equal(view, np.broadcast_to(values, view.shape))


def _types_fit(given: object, variables: tuple[Variable, ...], default: np.dtype[Any]) -> bool:
    """Whether these are types for single variables, all of which can be had; an error names one that cannot."""
    if not isinstance(given, Mapping):
        return False
    declared = {variable.name: variable.dtype for variable in variables}
    kinds = {DType.FLOAT: "f", DType.BOOL: "b", DType.INT32: "iu", DType.INT64: "iu"}
    for name, wanted in given.items():
        dtype = np.dtype(wanted)
        if name not in declared or (dtype.kind in kinds[declared[name]] and (dtype.kind != "f" or dtype == default)):
            continue
        hint = "all variables of a network have the float type of prefs.core.default_float_dtype" if dtype.kind == "f" else "its equation declares another kind"
        raise TypeError(f"{name!r} cannot have the type {dtype}: {hint}")
    return True


def _dtype(given: Any) -> np.dtype[Any]:
    return np.dtype(given)


class VariableOwner(SimulationObject, ABC):
    """An object with variables: `owner.v` shows them with units, `owner.v_` without, `owner.v = ...` sets them.

    A subclass sets `model` and `state`, and `_sealed` last; from then on only known names can be assigned.
    """

    model: Model
    state: State
    contained_objects: list[object]
    _sealed: bool
    _added: frozenset[str] = frozenset()
    _links: Mapping[str, Target] = MappingProxyType({})
    _given: Mapping[str, Any] = MappingProxyType({})
    """Arguments of the constructor that can be asked for like attributes, where no variable has their name."""

    @property
    def t_(self) -> float:
        """Time of the clock in seconds, without units."""
        return self.clock.t_

    @property
    def dt_(self) -> float:
        """Step of the clock in seconds, without units."""
        return self.clock.dt_

    @property
    def _whole(self) -> VariableOwner:
        """The object that has the arrays: itself, unless this is a part of a group."""
        return self

    @property
    def _first(self) -> int:
        """The element of `_whole` at which the own ones begin."""
        return 0

    def _range_of(self, part: SimulationObject) -> slice:
        """The elements that are those of a part of the same group: `G.v[G[2:5]]`."""
        if not isinstance(part, VariableOwner) or part._whole is not self._whole:
            raise IndexError(f"{part.name!r} is no part of {self.name!r}, so it cannot index its variables")
        start = part._first - self._first
        if start < 0 or start + part.state.size > self.state.size:
            raise IndexError(f"{part.name!r} has neurons outside of {self.name!r}, so it cannot index its variables")
        return slice(start, start + part.state.size)

    def _link(self, variable: Variable, given: LinkedVariable) -> None:
        """Let a variable that is flagged `linked` stand for that of another object."""
        target = checked_target(self, variable, given)
        if isinstance(target.index, np.ndarray):
            hidden = Variable(index_name(variable.name), Role.INDEX, dtype=DType.INT32, constant=True)
            if hidden.name not in self.state:
                self.state.add(hidden)
                object.__setattr__(self, "model", replace(self.model, variables=(*self.model.variables, hidden)))
            self.state[hidden.name] = target.index
        self._links = {**self._links, variable.name: target}
        self.state.written[variable.name] += 1

    def _linked(self, name: str, indices: Any) -> tuple[VariableView, Any]:
        """The variable behind a linked one, and its elements for the own ones at `indices`."""
        target = self._whole._links.get(name)
        if target is None:
            raise TypeError(f"{name!r} of {self.name!r} is not linked to anything yet: {self.name}.{name} = linked_var(group, 'variable')")
        chosen = np.arange(self.state.size)[indices] + self._first
        return target.source.view(target.name), target.places(self._whole, chosen)

    @abstractmethod
    def element_indices(self, item: object, namespace: Mapping[str, object] | None = None) -> Any:
        """What `owner.v[item]` selects: an int for one element, else a slice or an array of indices."""

    @abstractmethod
    def _ready(self) -> None:
        """Raise if variables cannot be used yet."""

    def variable(self, name: str) -> Variable | None:
        """The declaration of a variable that can be read here, or None."""
        state, model = self.__dict__.get("state"), self.__dict__.get("model")
        if state is None or model is None:
            return None
        if name in state.variables:
            return state.variables[name]
        return next((v for v in model.variables if v.name == name and (v.role in (Role.SUBEXPRESSION, Role.LINKED) or name == "lastspike")), None)

    def values_of(self, access: Access, indices: Any = slice(None), namespace: Mapping[str, object] | None = None) -> np.ndarray:
        """The values (SI) that `access` reaches from the elements at `indices`; one value if it is shared."""
        variable = self.state.variables.get(access.variable)
        if variable is None:  # computed from others
            return np.asarray(self.view(access.variable).read(indices, namespace))
        return self.state[access.variable][0] if variable.shared else self.state[access.variable][indices]

    @property
    def variables(self) -> Variables:
        """What each variable is, by name (see `Variables`)."""
        return Variables(self)

    def variable_names(self) -> list[str]:
        """The variables that can be read here, sorted; the machinery's own left out."""
        names = {*self.state.variables, *(v.name for v in self.model.variables)}
        return sorted(name for name in names if not name.startswith("_") and self.variable(name) is not None)

    def view(self, name: str) -> VariableView:
        """The variable `name`, with units; without if the name ends in `_`."""
        variable = self.variable(name)
        if variable is not None:
            return VariableView(self, variable)
        variable = self.variable(name[:-1]) if name.endswith("_") else None
        if variable is None:
            raise AttributeError(self._unknown(name))
        return VariableView(self, variable, units=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        if "state" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r} yet")
        if name in self._given and self.variable(name) is None:
            return self._given[name]
        return self.view(name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_") or "_sealed" not in self.__dict__ or name in self._added:
            object.__setattr__(self, name, value)
            if isinstance(value, State):
                value.owner = Weak(self)
            return
        taken = name in self.__dict__ or hasattr(type(self), name)
        hidden = name not in _CHECKS and self.variable(name) is not None  # an attribute that cannot be set hides a variable that can
        if (taken and not hidden) or (name in self._given and self.variable(name) is None):
            _set_attribute(self, name, value)
            return
        view = self.view(name)
        if isinstance(value, LinkedVariable):
            return self._link(view.variable, value)
        if view.variable.role is Role.LINKED:
            message = f"the linked variable {self.name}.{name} cannot be set; link it to another one with linked_var, or change that one"
            raise ValueError(message)
        if isinstance(value, VariableView) and value.is_same(view):
            return  # the end of `owner.v += ...`, which has already happened
        view.set_item(slice(None), value)

    def add_attribute(self, name: str) -> None:
        """Allow `owner.name = ...` for a name that is no variable."""
        if self.variable(name) is not None or name in self.__dict__ or hasattr(type(self), name):
            raise AttributeError(f"{self.name!r} has {name!r} already")
        self._added |= {name}
        object.__setattr__(self, name, None)

    def _unknown(self, name: str) -> str:
        known = [n for n in {*self.variable_names(), *dir(type(self)), *self.__dict__} if not n.startswith("_")]
        near = get_close_matches(name, sorted(known), n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"its variables are {', '.join(self.variable_names())}"
        return f"{self.name!r} has no variable or attribute {name!r}; {hint}"

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *(self.variable_names() if "state" in self.__dict__ else [])]

    def get_states(
        self,
        vars: Sequence[str] | None = None,
        units: bool = True,
        format: str = "dict",
        subexpressions: bool = False,
        read_only_variables: bool = True,
        level: int = 0,
    ) -> Any:
        """Copies of the values of variables.

        Parameters
        ----------
        vars : list of str, optional
            All stored variables if left out.
        units : bool
            Quantities, or plain SI numbers.
        format : str
            `'dict'`, `'pandas'` (with `units=False`), or a format made known with `ImportExport.register`.
        subexpressions, read_only_variables : bool
            Whether to include those, where `vars` is left out.
        level : int
            How many callers further up the constants of subexpressions are looked for.

        Raises
        ------
        KeyError
            If there is no such variable.
        NotImplementedError
            For an unknown format, and for units where the format has none.
        """
        chosen = chosen_format(format)
        names = self._state_names(subexpressions, read_only_variables) if vars is None else list(vars)
        for name in names if vars is not None else ():
            if name not in CLOCK_NAMES and not hasattr(self, name):
                raise KeyError(self._unknown(name))
        return chosen.export_data(self, names, units=units, level=level)

    def _state_names(self, subexpressions: bool, read_only: bool) -> list[str]:
        declared = {name: self.variable(name) for name in self.variable_names()}
        computed = {name for name, variable in declared.items() if variable is not None and variable.role is Role.SUBEXPRESSION}
        names = [name for name in declared if name not in computed and (read_only or self.view(name).writable)]
        return [*names, *(CLOCK_NAMES if read_only else ()), *(sorted(computed) if subexpressions else ())]

    def set_states(self, values: Any, units: bool = True, format: str = "dict", level: int = 0) -> None:
        """Set several variables at once.

        Parameters
        ----------
        values : dict from names to quantities (or, with `units=False`, to plain SI numbers), or what else `format` names
        units, format, level
            As for `get_states`.

        Raises
        ------
        TypeError
            If one of them is read-only; then none is set.
        """
        chosen_format(format).import_data(self, values, units=units, level=level)

    def snapshot(self) -> dict[str, np.ndarray]:
        """Copies of all that a run or an assignment can change, by name; for `restore`."""
        return self.state.snapshot()

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot of this object."""
        self.state.restore(snapshot)


# What users may change in an object that exists, beside its variables.
_CHECKS: dict[str, Callable[[Any], object]] = {
    "active": bool,
    "order": checked_order,
    "when": checked_slot,
    "namespace": checked_namespace,
    "spikes": np.asarray,
    "add_to_magic_network": bool,
}


def _set_attribute(owner: VariableOwner, name: str, value: object) -> None:
    if name not in _CHECKS:
        raise TypeError(f"{name!r} of {owner.name!r} cannot be changed")
    object.__setattr__(owner, name, _CHECKS[name](value))
