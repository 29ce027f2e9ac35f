"""What all monitors have in common: columns that grow, and a look into the run under way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from codegen.dims import UNITS
from codegen.errors import UnknownNameError

from ..groups import Group
from ..objects import SimulationObject
from ..subgroups import Subgroup
from ..synapses import Synapses
from ..units import Quantity
from ..views import Number as Number

Source = Group | Subgroup | Synapses
FEW, LARGE = 16, 1 << 24  # chunks and bytes: fewer chunks of more memory are not joined to show a part of them
_SECOND = UNITS["second"]


class Column:
    """Values that grow at the end: chunks are kept as they come and joined when somebody looks."""

    __slots__ = ("_chunks", "_empty")

    def __init__(self, dtype: object, shape: tuple[int, ...] = ()):
        self._empty = np.zeros((0, *shape), dtype=dtype)  # type: ignore[call-overload]
        self._chunks: list[np.ndarray] = []

    def append(self, values: np.ndarray) -> None:
        """Take over an array that nobody else writes into."""
        self._chunks.append(np.asarray(values, dtype=self._empty.dtype).view())

    def joined(self) -> np.ndarray:
        """All values, first axis time; not to be written to."""
        if len(self._chunks) != 1:
            self._chunks = [np.concatenate([self._empty, *self._chunks])]
        values = self._chunks[0]
        values.flags.writeable = False
        return values

    def copied(self) -> np.ndarray:
        """All values, for users, who may write into what they get."""
        return self.joined().copy()

    def columns(self, chosen: Any) -> np.ndarray:
        """A copy of some columns, first axis time. Where there is much, nothing else is copied."""
        if len(self._chunks) > FEW or sum(chunk.nbytes for chunk in self._chunks) < LARGE:
            return np.array(self.joined()[:, chosen])
        return np.concatenate([self._empty[:, chosen], *(chunk[:, chosen] for chunk in self._chunks)])

    def replace(self, values: np.ndarray) -> None:
        """Take over an array that nobody else writes into, in place of all values."""
        self._chunks = [np.asarray(values, dtype=self._empty.dtype).view()]


class Live(np.ndarray):
    """An array that goes on to show what its monitor counts, also in runs to come; its parts, and what is computed from it, are plain arrays of the moment."""

    @classmethod
    def of(cls, values: np.ndarray) -> Live:
        """The values, not to be written to."""
        shown = values.view(cls)
        shown.flags.writeable = False
        return shown

    def __getitem__(self, item: Any) -> Any:
        return np.array(np.asarray(self)[item])[()]

    def __array_wrap__(self, array: np.ndarray, context: Any = None, return_scalar: bool = False) -> Any:
        return np.asarray(array)[()] if return_scalar else np.asarray(array)

    def copy(self, order: Any = "C") -> np.ndarray:  # type: ignore[override]
        return np.array(self, order=order, subok=False)

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def __reduce__(self) -> Any:
        return np.array(self, subok=False).__reduce__()


class Monitor(SimulationObject, ABC):
    """An object that records. It never changes what is simulated, so `run` accepts new ones between two runs.

    Attributes
    ----------
    source : group or Synapses
    t : Quantity
        Time of each record (s), the beginning of the step; `t_` without units.
    """

    invalidates_magic_network = False
    source: Source
    _times: Column
    _collect: Callable[[], None] | None = None  # fetches what a run under way has recorded

    def _fetch(self) -> None:
        """Let a run under way hand over what it has recorded so far."""
        if self._collect is not None:
            self._collect()

    @property
    def t_(self) -> np.ndarray:
        """Time of each record in seconds, without units."""
        self._fetch()
        return self._times.copied()

    @property
    def t(self) -> Quantity:
        """Time of each record: the beginning of the step."""
        return Quantity(self.t_, _SECOND)

    def add_attribute(self, name: str) -> None:
        """Make room for a value of your own, `monitor.name = ...`; AttributeError for a name that the monitor has."""
        if name in self.__dict__ or hasattr(type(self), name) or name.removesuffix("_") in self._names():
            raise AttributeError(f"{self.name!r} has {name!r} already")
        setattr(self, name, None)

    @abstractmethod
    def _names(self) -> list[str]:
        """The names of what has been recorded, for `get_states`."""

    def get_states(
        self,
        vars: Sequence[str] | None = None,
        units: bool = True,
        format: str = "dict",
        subexpressions: bool = False,
        read_only_variables: bool = True,
        level: int = 0,
    ) -> dict[str, Any]:
        """Copies of what has been recorded, by name; as in Brian, records of several elements have the shape (times, elements) here.

        Parameters
        ----------
        vars : list of str, optional
            All of it if left out.
        units : bool
            Quantities, or plain SI numbers.
        format : 'dict'
        subexpressions, level
            Without meaning here.
        read_only_variables : bool
            False leaves everything out: nobody can set what was recorded.
        """
        if format != "dict":
            raise NotImplementedError(f"{self.name!r} gives what it has recorded as a dict, not as {format!r}")
        names = [*(self._names() if read_only_variables else ())] if vars is None else list(vars)
        unknown = [name for name in names if name not in self._names()]
        if unknown:
            raise KeyError(f"{self.name!r} records {', '.join(self._names())}, not {unknown[0]!r}")
        return {name: _by_time(np.copy(self._plain(name)) if not units else _copied(getattr(self, name))) for name in names}

    def _plain(self, name: str) -> Any:
        return getattr(self, name if name in ("i", "N", "count") else f"{name}_")

    @abstractmethod
    def snapshot(self) -> dict[str, np.ndarray]:
        """What has been recorded, for `restore`."""

    @abstractmethod
    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot."""


def _by_time(value: Any) -> Any:
    return value.T if np.ndim(value) == 2 else value


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def require_variables(source: Source, names: Sequence[str], monitor: type) -> None:
    """Refuse what cannot be recorded."""
    taken = {"t", "record", "variables", "N", *(name for kind in monitor.__mro__ for name in kind.__dict__.get("__annotations__", ()))}
    for name in names:
        if name in taken or hasattr(monitor, name):
            raise ValueError(f"{name!r} cannot be recorded: monitors have an attribute of that name")
        if source.variable(name) is None or name.startswith("_"):
            near = get_close_matches(name, source.variable_names())
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(source.variable_names())}"
            raise UnknownNameError(f"{source.name!r} has no variable {name!r} to record; {hint}")


def dtype_of(source: Source, name: str) -> Any:
    """The type in which a variable is recorded."""
    state, variable = source.state, source.variable(name)
    assert variable is not None
    if name in state:
        return state.dtype(name)
    if name == "lastspike":
        return np.float64
    return {"bool": np.dtype(np.bool_), "int32": np.dtype(np.int32), "int64": np.dtype(np.int64)}.get(variable.dtype.value, state.float_dtype)
