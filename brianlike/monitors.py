"""Monitors: what is kept of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from codegen.dims import UNITS
from codegen.errors import UnknownNameError
from codegen.ir import Role

from .clocks import Clock, choose_clock
from .groups import Group
from .objects import SimulationObject, choose_name
from .subgroups import Subgroup
from .synapses import Synapses
from .units import Quantity

__all__ = ["SpikeMonitor", "StateMonitor"]

_SECOND = UNITS["second"]


class Column:
    """Values that grow at the end: chunks are kept as they come and joined when somebody looks."""

    __slots__ = ("_chunks", "_empty")

    def __init__(self, dtype: object, shape: tuple[int, ...] = ()):
        self._empty = np.zeros((0, *shape), dtype=dtype)  # type: ignore[call-overload]
        self._chunks: list[np.ndarray] = []

    def append(self, values: np.ndarray) -> None:
        self._chunks.append(np.array(values, dtype=self._empty.dtype, copy=True))

    def joined(self) -> np.ndarray:
        """All values, first axis time; not to be written to."""
        if len(self._chunks) != 1:
            self._chunks = [np.concatenate([self._empty, *self._chunks])]
        values = self._chunks[0]
        values.flags.writeable = False
        return values

    def replace(self, values: np.ndarray) -> None:
        self._chunks = [np.array(values, dtype=self._empty.dtype, copy=True)]


def _fetch(monitor: SpikeMonitor | StateMonitor) -> None:
    """Let a run under way hand over what it has recorded so far."""
    if monitor._collect is not None:
        monitor._collect()


class SpikeMonitor(SimulationObject):
    """Records which neurons spiked, and when.

    Parameters
    ----------
    source : group
    variables : None
        Recording variables at spikes is not supported yet.
    record : bool
        Whether to keep every spike, or only count them.
    when, order : str, int, optional
        Place in the schedule; right after the threshold of the source if left out.
    name : str, optional

    Attributes
    ----------
    i : array of int32, shape (spikes,)
    t : Quantity, shape (spikes,)
        Times (s), the beginning of the step; `t_` without units.
    count : array of int64, shape (neurons,)
        Number of spikes of each neuron.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> G = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> monitor = SpikeMonitor(G)
    >>> monitor.append(np.array([0, 2]), np.array([5, 7]))   # what a run does
    >>> monitor.t
    array([500., 700.]) * us
    >>> monitor.spike_trains()[2]
    array([700.]) * us
    """

    invalidates_magic_network = False

    def __init__(
        self,
        source: Group | Subgroup,
        variables: object = None,
        record: bool = True,
        when: str | None = None,
        order: int | None = None,
        name: str | None = None,
    ):
        if not isinstance(source, Group | Subgroup):
            raise TypeError(f"SpikeMonitor records the spikes of a group of neurons, not of {type(source).__name__}")
        if variables is not None:
            raise NotImplementedError("SpikeMonitor(variables=...) comes in a later version; use a StateMonitor")
        if not isinstance(record, (bool, np.bool_)):
            raise NotImplementedError("SpikeMonitor(record=...) takes True or False; recording some neurons only comes in a later version")
        self.source, self.record = source, bool(record)
        self.variables: tuple[str, ...] = ()
        spiking = source._whole  # what decides about the spikes
        slot = spiking.when if spiking.when != "groups" else "thresholds"
        self._clear()
        self._register(
            choose_name(name, "spikemonitor"), when=slot if when is None else when, order=spiking.order + 1 if order is None else order, clock=source.clock
        )

    _collect: Callable[[], None] | None = None  # fetches what a run under way has recorded

    def _clear(self) -> None:
        self._indices, self._times = Column(np.int32), Column(np.float64)
        self._count = np.zeros(self.source.N, dtype=np.int64)

    def append(self, indices: np.ndarray, steps: np.ndarray) -> None:
        """Add spikes: neuron `indices[k]` in step `steps[k]` of the clock, in order of time."""
        if len(indices) != len(steps):
            raise ValueError(f"{len(indices)} neurons but {len(steps)} steps")
        if not len(indices):
            return
        self._count += np.bincount(indices, minlength=self._count.size)
        if self.record:
            self._indices.append(indices)
            # Times, not steps, are kept: dt may change between two runs.
            self._times.append(np.asarray(steps) * self.clock.dt_)

    def _recorded(self) -> None:
        if not self.record:
            raise AttributeError(f"{self.name!r} counts spikes only (record=False): it has count and num_spikes")

    @property
    def i(self) -> np.ndarray:
        """Neuron of each spike, in order of time."""
        self._recorded()
        _fetch(self)
        return self._indices.joined()

    @property
    def t_(self) -> np.ndarray:
        """Time of each spike in seconds, without units."""
        self._recorded()
        _fetch(self)
        return self._times.joined()

    @property
    def t(self) -> Quantity:
        """Time of each spike."""
        return Quantity(self.t_, _SECOND)

    @property
    def it(self) -> tuple[np.ndarray, Quantity]:
        """Neurons and times."""
        return self.i, self.t

    @property
    def it_(self) -> tuple[np.ndarray, np.ndarray]:
        """Neurons and times in seconds."""
        return self.i, self.t_

    @property
    def count(self) -> np.ndarray:
        """Number of spikes of each neuron."""
        _fetch(self)
        return self._count.copy()

    @property
    def num_spikes(self) -> int:
        """Number of spikes of all neurons."""
        _fetch(self)
        return int(self._count.sum())

    @property
    def N(self) -> int:
        """Number of spikes of all neurons."""
        return self.num_spikes

    def __len__(self) -> int:
        return self.num_spikes

    def spike_trains(self) -> dict[int, Quantity]:
        """The spike times of each neuron, also of those that never spiked."""
        order = np.argsort(self.i, kind="stable")
        times = np.split(self.t_[order], np.cumsum(self._count)[:-1])
        return {neuron: Quantity(train, _SECOND) for neuron, train in enumerate(times)}

    def values(self, name: str, sort: bool = True) -> dict[int, Any]:
        """The spike times of each neuron (`'t'`, the one variable that is recorded)."""
        if name != "t":
            raise NotImplementedError("SpikeMonitor(variables=...) comes in a later version; only 't' is recorded")
        return self.spike_trains()

    def snapshot(self) -> dict[str, np.ndarray]:
        """What has been recorded, for `restore`."""
        return {"i": self._indices.joined(), "t": self._times.joined(), "count": self._count.copy()}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot."""
        self._indices.replace(snapshot["i"])
        self._times.replace(snapshot["t"])
        self._count = snapshot["count"].copy()

    def __repr__(self) -> str:
        return f"<SpikeMonitor {self.name!r} of {self.source.name!r}: {self.num_spikes} spikes>"


class StateMonitor(SimulationObject):
    """Records variables at every step.

    Parameters
    ----------
    source : group or Synapses
    variables : str, list of str, or True
        Which variables, also subexpressions; True: all of the equations.
    record : bool, int or array of int
        Which elements: True for all, False for none. Synapses must be connected before.
    when, order : str, int
        Place in the schedule: before everything else in a step unless given.
    name : str, optional

    Attributes
    ----------
    t : Quantity, shape (times,)
    record : array of int64
        The recorded elements.

    Notes
    -----
    `monitor.v` has the shape (recorded, times), `monitor[5].v` is the row of element 5; `monitor.v_` is without units. A shared variable has one row.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> G = NeuronGroup(3, "v : volt")
    >>> monitor = StateMonitor(G, "v", record=[0, 2])
    >>> monitor.append(np.array([0, 1e-4]), {"v": np.array([[0.001, 0.002], [0.003, 0.004]])})   # what a run does
    >>> monitor[2].v
    array([2., 4.]) * mV
    """

    invalidates_magic_network = False

    def __init__(
        self,
        source: Group | Subgroup | Synapses,
        variables: str | Sequence[str] | bool,
        record: object,
        dt: object = None,
        clock: Clock | None = None,
        when: str = "start",
        order: int = 0,
        name: str | None = None,
    ):
        if not isinstance(source, Group | Subgroup | Synapses):
            raise TypeError(f"StateMonitor records the variables of a group or of Synapses, not of {type(source).__name__}")
        own = source.clock if dt is None and clock is None else choose_clock(dt, clock)
        self.source = source
        self.variables = _checked_variables(source, variables)
        self.record = _checked_record(source, record)
        self._clear()
        self._register(choose_name(name, "statemonitor"), when=when, order=order, clock=own)

    _collect: Callable[[], None] | None = None  # fetches what a run under way has recorded

    def _clear(self) -> None:
        self._times = Column(np.float64)
        self._columns = {name: Column(self._dtype(name), (self._rows(name),)) for name in self.variables}

    def _dtype(self, name: str) -> object:
        state, variable = self.source.state, self.source.variable(name)
        assert variable is not None
        if name in state:
            return state.dtype(name)
        return np.bool_ if variable.dtype.value == "bool" else state.float_dtype

    def _rows(self, name: str) -> int:
        variable = self.source.variable(name)
        return 1 if variable is not None and variable.shared else self.record.size

    def append(self, times: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Add records: `values[name]`, shape (times, recorded) in SI units, at `times` (seconds)."""
        if values.keys() != self._columns.keys():
            raise ValueError(f"{self.name!r} records {', '.join(self._columns)}, not {', '.join(values)}")
        for name, rows in values.items():
            if np.shape(rows) != (len(times), self._rows(name)):
                raise ValueError(f"{self.name!r} needs {name} of shape {(len(times), self._rows(name))}, not {np.shape(rows)}")
        self._times.append(times)
        for name, rows in values.items():
            self._columns[name].append(rows)

    @property
    def elements(self) -> np.ndarray:
        """The recorded elements, counted in the whole group where the source is a part of one."""
        return self.record + self.source._first

    @property
    def record_indices(self) -> np.ndarray:
        """The recorded elements, shape (recorded,)."""
        return self.record

    @property
    def t_(self) -> np.ndarray:
        """Time of each record in seconds, without units."""
        _fetch(self)
        return self._times.joined()

    @property
    def t(self) -> Quantity:
        """Time of each record: the beginning of the step."""
        return Quantity(self.t_, _SECOND)

    @property
    def N(self) -> int:
        """Number of times recorded."""
        return len(self.t_)

    def __len__(self) -> int:
        return self.N

    def values_of(self, name: str, rows: Any = slice(None)) -> Any:
        """The record of a variable, shape (recorded, times); without units if the name ends in `_`."""
        _fetch(self)
        plain = name not in self._columns and name.endswith("_")
        column = self._columns.get(name[:-1] if plain else name)
        if column is None:
            near = get_close_matches(name, self._columns)
            hint = f"did you mean {near[0]!r}?" if near else f"it records {', '.join(self._columns)}"
            raise AttributeError(f"{self.name!r} has no record or attribute {name!r}; {hint}")
        variable = self.source.variable(name[:-1] if plain else name)
        assert variable is not None
        data = column.joined().T
        if variable.shared:
            data = data if isinstance(rows, slice) or np.ndim(rows) else data[0]
        else:
            data = data[rows]
        return data if plain or variable.dimensions.is_dimensionless else Quantity(data, variable.dimensions)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "_columns" not in self.__dict__:
            raise AttributeError(f"StateMonitor has no attribute {name!r}")
        return self.values_of(name)

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.variables]

    def __getitem__(self, index: object) -> Record:
        """The records of one or several elements, by their index in the source."""
        wanted = self.source.element_indices(index)
        if isinstance(wanted, slice):
            wanted = np.intersect1d(np.arange(len(self.source))[wanted], self.record)
        places = np.searchsorted(self._sorted, wanted)
        found = places < self._sorted.size
        found = found & (self._sorted[np.where(found, places, 0)] == wanted) if self._sorted.size else np.zeros(np.shape(wanted), dtype=bool)
        if not np.all(found):
            missing = np.atleast_1d(wanted)[~np.atleast_1d(found)]
            raise IndexError(f"element {missing[0]} of {self.source.name!r} is not recorded by {self.name!r}")
        return Record(self, self._places[places])

    @property
    def _places(self) -> np.ndarray:
        return np.argsort(self.record, kind="stable")

    @property
    def _sorted(self) -> np.ndarray:
        return self.record[self._places]

    def snapshot(self) -> dict[str, np.ndarray]:
        """What has been recorded, for `restore`."""
        return {"t": self._times.joined(), **{f"{name}_values": column.joined() for name, column in self._columns.items()}}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot."""
        self._times.replace(snapshot["t"])
        for name, column in self._columns.items():
            column.replace(snapshot[f"{name}_values"])

    def __repr__(self) -> str:
        return f"<StateMonitor {self.name!r} of {self.source.name!r}: {', '.join(self.variables)} at {self.N} times>"


class Record:
    """Part of a StateMonitor: `monitor[5].v`, `monitor[5].t`."""

    __slots__ = ("_monitor", "_rows")

    def __init__(self, monitor: StateMonitor, rows: Any):
        self._monitor, self._rows = monitor, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._monitor, name) if name in ("t", "t_") else self._monitor.values_of(name, self._rows)

    def __dir__(self) -> list[str]:
        return ["t", "t_", *self._monitor.variables]


def _checked_variables(source: Group | Subgroup | Synapses, variables: object) -> tuple[str, ...]:
    if variables is True:
        return tuple(v.name for v in source.model.variables if v.role in (Role.STATE, Role.PARAMETER, Role.SUBEXPRESSION, Role.INPUT, Role.LINKED))
    names = (variables,) if isinstance(variables, str) else tuple(variables) if isinstance(variables, (list, tuple, set, frozenset)) else None
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"StateMonitor records a variable, a list of variables, or True for all, not {variables!r}")
    for name in names:
        if source.variable(name) is None or name.startswith("_"):
            near = get_close_matches(name, source.variable_names())
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(source.variable_names())}"
            raise UnknownNameError(f"{source.name!r} has no variable {name!r} to record; {hint}")
        if name == "lastspike":
            raise NotImplementedError("recording 'lastspike' comes in a later version; a SpikeMonitor has all spike times")
        if name in ("t", "record", "variables", "N") or hasattr(StateMonitor, name):
            raise ValueError(f"{name!r} cannot be recorded: monitors have an attribute of that name")
    return tuple(dict.fromkeys(names))


def _checked_record(source: Group | Subgroup | Synapses, record: object) -> np.ndarray:
    """The recorded elements."""
    if record is False or record is None:
        return np.zeros(0, dtype=np.int64)
    if isinstance(source, Synapses) and not source.connected:
        raise TypeError(f"{source.name!r} has no synapses yet: call {source.name}.connect(...) before the StateMonitor is made")
    if record is True:
        return np.arange(len(source), dtype=np.int64)
    if isinstance(record, str):
        raise TypeError("record takes True, False or indices, not text")
    chosen = source.element_indices(record)
    chosen = np.arange(len(source))[chosen] if isinstance(chosen, slice) else chosen
    return np.atleast_1d(np.asarray(chosen, dtype=np.int64))
