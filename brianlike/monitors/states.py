"""`StateMonitor`: the values of variables over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from codegen.ir import Role

from ..clocks import Clock, choose_clock
from ..groups import Group
from ..objects import choose_name
from ..subgroups import Subgroup
from ..synapseindices import SynapticSubgroup
from ..synapses import Synapses
from ..units import Quantity
from .base import Column, Monitor, Number, Source, dtype_of, require_variables

__all__ = ["Record", "StateMonitor"]


class StateMonitor(Monitor):
    """Records variables at every step of a clock.

    Parameters
    ----------
    source : group, part of a group, or Synapses
    variables : str, list of str, or True
        Which variables, also subexpressions, `lastspike` and `not_refractory`; True: all of the equations.
    record : bool, int, array of int, part of the source
        Which elements: True for all, False for none; or a Subgroup, or `S[...]`. Synapses must be connected before.
    dt, clock : Quantity, Clock, optional
        How often; at every step of the source's clock unless given.
    when, order : str, int
        Place in the schedule: before everything else in a step unless given.
    name : str, optional
    codeobj_class : None
        Accepted for scripts written for Brian.

    Attributes
    ----------
    t : Quantity, shape (times,)
    record : array of int64
        The recorded elements.
    variables : tuple of str

    Raises
    ------
    UnknownNameError
        For a variable that the source has not.
    IndexError
        For elements that it has not.

    Notes
    -----
    `monitor.v` has the shape (recorded, times), `monitor[5].v` is the row of element 5; `monitor.v_` is without units. The rows of a shared variable are
    equal.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(3, "dv/dt = (i + 1)*mV/ms : volt", method="euler")
    >>> monitor = StateMonitor(G, "v", record=[0, 2], dt=0.2*ms)
    >>> Network(G, monitor).run(0.6*ms)
    >>> monitor[2].v
    array([0. , 0.6, 1.2]) * mV
    >>> monitor.record_single_timestep()
    >>> monitor.t
    array([  0., 200., 400., 600.]) * us
    """

    def __init__(
        self,
        source: Source,
        variables: str | Sequence[str] | bool,
        record: object,
        dt: object = None,
        clock: Clock | None = None,
        when: str = "start",
        order: int = 0,
        name: str | None = None,
        codeobj_class: object = None,
    ):
        if not isinstance(source, Group | Subgroup | Synapses):
            raise TypeError(f"StateMonitor records the variables of a group or of Synapses, not of {type(source).__name__}")
        own = source.clock if dt is None and clock is None else choose_clock(dt, clock)
        self.source = source
        self.variables = _checked_variables(source, variables)
        self.record_all = record is True
        self.record = _checked_record(source, record)
        self._times = Column(np.float64)
        self._columns = {name: Column(dtype_of(source, name), (self._rows(name),)) for name in self.variables}
        self._constants: Mapping[str, object] | None = None  # those of the last run
        self._register(choose_name(name, "statemonitor"), when=when, order=order, clock=own)

    @property
    def record_variables(self) -> list[str]:
        """The recorded variables."""
        return list(self.variables)

    needed_variables = record_variables

    @property
    def record_indices(self) -> np.ndarray:
        """The recorded elements, shape (recorded,)."""
        return self.record

    @property
    def n_indices(self) -> int:
        """Number of recorded elements."""
        return int(self.record.size)

    def _rows(self, name: str) -> int:
        variable = self.source.variable(name)
        return 1 if variable is not None and variable.shared else self.record.size

    # --------------------------------------------------------------------------------------------------------------------------------- recording
    @property
    def elements(self) -> np.ndarray:
        """The recorded elements, counted in the whole group where the source is a part of one."""
        return self.record + self.source._first

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

    def record_single_timestep(self) -> None:
        """Record the values as they are now, for instance those at the end of a run, which come after the last step.

        Raises
        ------
        TypeError
            Before the first run.
        """
        if self._constants is None:
            raise TypeError(f"{self.name!r} can record a single step after a run only; run(0*ms) is enough")
        self._fetch()
        values = {}
        for name in self.variables:
            variable = self.source.variable(name)
            indices: Any = 0 if variable is not None and variable.shared else self.record
            found = self.source.view(name).read(indices, self._constants)
            values[name] = np.reshape(found, (1, self._rows(name)))
        self.append(np.array([self.clock.t_]), values)

    # ----------------------------------------------------------------------------------------------------------------------------------- reading
    @property
    def N(self) -> int:
        """Number of times recorded."""
        return Number(len(self.t_))

    def __len__(self) -> int:
        return self.N

    def values_of(self, name: str, rows: Any = slice(None)) -> Any:
        """The record of a variable, shape (recorded, times); without units if the name ends in `_`."""
        self._fetch()
        plain = name not in self._columns and name.endswith("_")
        column = self._columns.get(name[:-1] if plain else name)
        if column is None:
            near = get_close_matches(name, self._columns)
            hint = f"did you mean {near[0]!r}?" if near else f"it records {', '.join(self._columns)}"
            raise AttributeError(f"{self.name!r} has no record or attribute {name!r}; {hint}")
        variable = self.source.variable(name[:-1] if plain else name)
        assert variable is not None
        if variable.shared:
            data = column.joined().T
            data = np.array(np.broadcast_to(data[:1], (self.record.size, data.shape[1]))[rows])
        else:
            data = column.columns(rows).T
        return data if plain or variable.dimensions.is_dimensionless else Quantity(data, variable.dimensions)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "_columns" not in self.__dict__:
            raise AttributeError(f"StateMonitor has no attribute {name!r}")
        return self.values_of(name)

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.variables]

    def __getitem__(self, index: object) -> Record:
        """The records of one or several elements, by their index in the source."""
        if isinstance(index, str):
            raise TypeError(f"{self.name!r} finds its records by the indices of elements, not by {index!r}")
        part = _part(self.source, index)
        wanted = self.source.element_indices(index) if part is None else part
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

    # -------------------------------------------------------------------------------------------------------------------------------- snapshots
    def _names(self) -> list[str]:
        return ["t", "N", *self.variables]

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


def _checked_variables(source: Source, variables: object) -> tuple[str, ...]:
    if variables is True:
        computed = ("lastspike", "not_refractory") if source.model.refractory is not None else ()
        kinds = (Role.STATE, Role.PARAMETER, Role.SUBEXPRESSION, Role.INPUT, Role.LINKED)
        return (*(v.name for v in source.model.variables if v.role in kinds), *computed)
    names = (variables,) if isinstance(variables, str) else tuple(variables) if isinstance(variables, (list, tuple, set, frozenset)) else None
    if names is None or not all(isinstance(name, str) for name in names):
        raise TypeError(f"StateMonitor records a variable, a list of variables, or True for all, not {variables!r}")
    require_variables(source, names, StateMonitor)
    return tuple(dict.fromkeys(names))


def _checked_record(source: Source, record: object) -> np.ndarray:
    """The recorded elements."""
    if record is False or record is None:
        return np.zeros(0, dtype=np.int64)
    if isinstance(source, Synapses) and not source.connected:
        raise TypeError(f"{source.name!r} has no synapses yet: call {source.name}.connect(...) before the StateMonitor is made")
    if record is True:
        return np.arange(len(source), dtype=np.int64)
    if isinstance(record, str):
        raise TypeError("record takes True, False or indices, not text")
    part = _part(source, record)
    chosen = source.element_indices(record) if part is None else part
    chosen = np.arange(len(source))[chosen] if isinstance(chosen, slice) else chosen
    return np.atleast_1d(np.asarray(chosen, dtype=np.int64))


def _part(source: Source, item: object) -> np.ndarray | None:
    """The elements of the source that `item`, a part of it, consists of; None if it is something else."""
    if isinstance(item, SynapticSubgroup):
        if item.synapses is not source:
            raise ValueError(f"{item!r} is no part of {source.name!r}")
        return np.asarray(item._indices, dtype=np.int64)
    if not isinstance(item, Subgroup):
        return None
    found = np.arange(item.start, item.stop) - source._first
    if item.source is not source._whole or found.min() < 0 or found.max() >= len(source):
        raise IndexError(f"{item!r} is no part of {source.name!r}")
    return found
