"""`SpikeMonitor` and `EventMonitor`: which elements had an event, when, and what their variables were."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codegen.dims import UNITS

from ..groups import Group
from ..objects import checked_order, choose_name
from ..subgroups import Subgroup
from ..units import Quantity
from .base import Column, Live, Monitor, Number, dtype_of, require_variables
from .smoothing import smooth, steps_in, window_of

_SECOND, _HERTZ = UNITS["second"], UNITS["hertz"]
_NONE: Mapping[str, np.ndarray] = {}


class EventRecorder(Monitor, ABC):
    """What monitors of spikes and of other events have in common.

    Attributes
    ----------
    event : str
    variables : tuple of str
        What is recorded along, except `i` and `t`.
    record : bool or array
        As given.
    selected : array of bool, shape (elements,), or None
        The elements whose events are kept one by one; None: all.
    """

    source: Group | Subgroup
    event: str
    variables: tuple[str, ...]
    selected: np.ndarray | None

    def _set_up(self, source: object, event: str, variables: object, record: object, when: str | None, order: int | None, name: str | None, stem: str) -> None:
        if not isinstance(source, Group | Subgroup):
            raise TypeError(f"{type(self).__name__} records the spikes of a group of neurons, not of {type(source).__name__}")
        chosen = choose_name(name, stem)
        slot, place = _place(source, event, when, order)
        names = _names(variables)
        require_variables(source, names, type(self))
        self.source, self.event, self.variables = source, event, names
        self.record, self.selected = record, None if names and record is False else _selected(source, record)
        self._indices, self._times = Column(np.int32), Column(np.float64)
        self._columns = {name: Column(dtype_of(source, name)) for name in names}
        self._count = np.zeros(len(source), dtype=np.int64)
        self._register(chosen, when=slot, order=place, clock=source.clock)

    @property
    def sources(self) -> tuple[int, int]:
        """First and last + 1 element, counted in the whole group, whose events count."""
        return self.source._first, self.source._first + len(self.source)

    @property
    def record_variables(self) -> set[str]:
        """What is recorded at each event."""
        return {*self.variables, *(("i", "t") if self._shows else ())}

    @property
    def _keeps(self) -> bool:
        return self.selected is None or bool(self.selected.any())

    @property
    def _shows(self) -> bool:
        """Whether elements and times can be read; without them, `record=False`, variables are still recorded."""
        return self._keeps and self.record is not False

    # --------------------------------------------------------------------------------------------------------------------------------- recording
    def append(self, indices: np.ndarray, steps: np.ndarray, values: Mapping[str, np.ndarray] = _NONE, count: bool = True) -> None:
        """Add events: element `indices[k]` in step `steps[k]` of the clock, in order of time, with `values[name][k]`; without `count`, they do not count."""
        if len(indices) != len(steps):
            raise ValueError(f"{len(indices)} neurons but {len(steps)} steps")
        if values.keys() != self._columns.keys():
            raise ValueError(f"{self.name!r} records {', '.join(self._columns) or 'no variables'}, not {', '.join(values) or 'none'}")
        if not len(indices):
            return
        if count:
            self._count += np.bincount(indices, minlength=self._count.size)
        if not self._keeps:
            return
        self._indices.append(indices)
        # Times, not steps, are kept: dt may change between two runs.
        self._times.append(np.asarray(steps) * self.clock.dt_)
        for name, column in self._columns.items():
            column.append(values[name])

    def add_counts(self, counts: np.ndarray) -> None:
        """Add to the numbers of events, shape (elements,)."""
        self._count += counts

    # ----------------------------------------------------------------------------------------------------------------------------------- reading
    def _recorded(self) -> None:
        if not self._shows:
            raise AttributeError(f"{self.name!r} counts spikes only (record=False): it has count and num_spikes")

    @property
    def i(self) -> np.ndarray:
        """Element of each event, in order of time."""
        self._recorded()
        self._fetch()
        return self._indices.copied()

    @property
    def t_(self) -> np.ndarray:
        """Time of each event in seconds, without units."""
        self._recorded()
        self._fetch()
        return self._times.copied()

    @property
    def it(self) -> tuple[np.ndarray, Quantity]:
        """Elements and times."""
        return self.i, self.t

    @property
    def it_(self) -> tuple[np.ndarray, np.ndarray]:
        """Elements and times in seconds."""
        return self.i, self.t_

    @property
    def count(self) -> np.ndarray:
        """Number of events of each element, also of those that are not recorded one by one; kept in a variable, it goes on counting. `count[:]` does not."""
        self._fetch()
        return Live.of(self._count)

    @property
    def N(self) -> int:
        """Number of events of all elements."""
        return Number(self.count.sum())

    @property
    def num_events(self) -> int:
        """Number of events of all elements."""
        return self.N

    def __len__(self) -> int:
        return self.N

    def _values_of(self, name: str) -> Any:
        """The values of a variable at each event; without units if the name ends in `_`."""
        plain = name not in self._columns and name.endswith("_")
        column = self._columns.get(name[:-1] if plain else name)
        if column is None:
            known = ", ".join(["i", "t", *self.variables])
            raise AttributeError(f"{self.name!r} has no record or attribute {name!r}; it records {known}")
        self._fetch()
        variable = self.source.variable(name[:-1] if plain else name)
        assert variable is not None
        values = column.copied()
        return values if plain or variable.dimensions.is_dimensionless else Quantity(values, variable.dimensions)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "_columns" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        if hasattr(type(self), name):  # a property that refused: let it say why
            self._recorded()
        return self._values_of(name)

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.variables]

    def values(self, var: str, sort: bool = True) -> dict[int, Any]:
        """The values of a variable at the events of each element, by element.

        Parameters
        ----------
        var : str
            A recorded variable, or `'t'`.
        sort : bool
            True: with a key for every element, in ascending order; False: only for elements that had events, in the order of their first one.
        """
        values = self.t if var == "t" else self.i if var == "i" else self._values_of(var)
        indices = self._indices.joined()
        order = np.argsort(indices, kind="stable")
        kept = np.bincount(indices, minlength=self._count.size)
        ends = np.cumsum(kept)
        elements = range(self._count.size) if sort else list(dict.fromkeys(indices.tolist()))
        return {element: values[order[ends[element] - kept[element] : ends[element]]] for element in elements}

    def all_values(self) -> dict[str, dict[int, Any]]:
        """`values` of every recorded variable, also of `t`, by its name."""
        return {name: self.values(name) for name in ("t", *self.variables)}

    def event_trains(self) -> dict[int, Quantity]:
        """The times of the events of each element, also of those that had none."""
        return self.values("t")

    # ------------------------------------------------------------------------------------------------------------------------------------- rates
    def binned_rate(self, bin_size: object) -> tuple[Quantity, Quantity]:
        """The rate of each element in bins of time.

        Parameters
        ----------
        bin_size : Quantity
            A multiple of dt (s).

        Returns
        -------
        bins : Quantity, shape (bins,)
            The beginning of each bin (s), from 0 on.
        rates : Quantity, shape (elements, bins)
            In Hz.
        """
        dt = self.clock.dt_
        steps = steps_in(bin_size, dt)
        counts = self._per_step(steps)
        return Quantity(np.arange(counts.shape[1]) * steps * dt, _SECOND), Quantity(counts / (steps * dt), _HERTZ)

    def smooth_rate(self, window: Any = "gaussian", width: object = None) -> Quantity:
        """The rate of each element (Hz) at each step from 0 on, shape (elements, steps); parameters as for `PopulationRateMonitor.smooth_rate`."""
        dt = self.clock.dt_
        return Quantity(smooth(self._per_step(1) / dt, window_of(window, width, dt)), _HERTZ)

    def _per_step(self, steps: int) -> np.ndarray:
        """The numbers of events, shape (elements, bins of so many steps)."""
        bins = -(-self.clock.timestep // steps)
        places = np.rint(self.t_ / self.clock.dt_).astype(np.int64) // steps
        inside = places < bins
        counts = np.zeros((self._count.size, bins))
        np.add.at(counts, (self.i[inside], places[inside]), 1)
        return counts

    # -------------------------------------------------------------------------------------------------------------------------------- snapshots
    def _names(self) -> list[str]:
        return [*(("i", "t") if self._shows else ()), *self.variables, "count", "N"]

    def snapshot(self) -> dict[str, np.ndarray]:
        """What has been recorded, for `restore`."""
        columns = {f"{name}_values": column.joined() for name, column in self._columns.items()}
        return {"i": self._indices.joined(), "t": self._times.joined(), "count": self._count.copy(), **columns}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot."""
        self._indices.replace(snapshot["i"])
        self._times.replace(snapshot["t"])
        self._count[:] = snapshot["count"]
        for name, column in self._columns.items():
            column.replace(snapshot[f"{name}_values"])


class SpikeMonitor(EventRecorder):
    """Records which neurons spiked, and when.

    Parameters
    ----------
    source : group or part of a group
    variables : str or list of str, optional
        Variables, also subexpressions, of the neuron to record at each spike, before its reset.
    record : bool, or array of int or bool
        Whether to keep every spike, or only count them; or the neurons whose spikes are kept (all are counted).
    when, order : str, int, optional
        Place in the schedule; right after the threshold of the source if left out.
    name : str, optional
    codeobj_class : None
        Accepted for scripts written for Brian.

    Attributes
    ----------
    i : array of int32, shape (spikes,)
    t : Quantity, shape (spikes,)
        Times (s), the beginning of the step; `t_` without units.
    count : array of int64, shape (neurons,)
        Number of spikes of each neuron.

    Raises
    ------
    ValueError
        If the source never spikes, or for an order without a slot.
    UnknownNameError
        For a variable that the source has not.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(3, "dv/dt = (i + 1)/ms : 1", threshold="v > 0.95", reset="v = 0", method="euler")
    >>> monitor = SpikeMonitor(G, "v")
    >>> Network(G, monitor).run(1*ms)
    >>> monitor.count, monitor.spike_trains()[2]
    (array([1, 2, 2]), array([300., 700.]) * us)
    >>> monitor.v.round(2)
    array([1.2, 1. , 1.2, 1. , 1. ])
    """

    def __init__(
        self,
        source: Group | Subgroup,
        variables: object = None,
        record: object = True,
        when: str | None = None,
        order: int | None = None,
        name: str | None = None,
        codeobj_class: object = None,
    ):
        self._set_up(source, "spike", variables, record, when, order, name, "spikemonitor")

    @property
    def num_spikes(self) -> int:
        """Number of spikes of all neurons."""
        return self.N

    def spike_trains(self) -> dict[int, Quantity]:
        """The spike times of each neuron, also of those that never spiked."""
        return self.values("t")

    def __repr__(self) -> str:
        return f"<SpikeMonitor {self.name!r} of {self.source.name!r}: {self.num_spikes} spikes>"


class EventMonitor(EventRecorder):
    """Records which neurons had a custom event, and when.

    Parameters
    ----------
    source : group or part of a group
    event : str
        A name in the `events` of the group.
    variables, record, when, order, name, codeobj_class
        As for SpikeMonitor.

    Raises
    ------
    ValueError
        If the source has no such event, or for an order without a slot.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(2, "dv/dt = (i + 1)/ms : 1", events={"high": "v > 0.35"}, method="euler")
    >>> monitor = EventMonitor(G, "high")
    >>> Network(G, monitor).run(0.5*ms)
    >>> monitor.event_trains()
    {0: array([300., 400.]) * us, 1: array([100., 200., 300., 400.]) * us}
    """

    def __init__(
        self,
        source: Group | Subgroup,
        event: str,
        variables: object = None,
        record: object = True,
        when: str | None = None,
        order: int | None = None,
        name: str | None = None,
        codeobj_class: object = None,
    ):
        self._set_up(source, event, variables, record, when, order, name, "eventmonitor")

    def __repr__(self) -> str:
        return f"<EventMonitor {self.name!r} of {self.event!r} in {self.source.name!r}: {self.N} events>"


def _place(source: Group | Subgroup, event: str, when: str | None, order: int | None) -> tuple[str, int]:
    """Slot and order: right after the event has been found, unless given."""
    group = source._whole  # what decides about the events
    events = getattr(group, "events", {"spike": ""})
    if event not in events:
        hint = "give it a threshold" if event == "spike" else f"its events are {', '.join(map(repr, events)) or 'none'}"
        raise ValueError(f"{source.name!r} has no event {event!r} to record; {hint}")
    if when is not None:
        return when, 0 if order is None else checked_order(order)
    if order is not None:
        raise ValueError("order needs when: give the slot of the schedule as well")
    slot, place = getattr(group, "_schedules", {}).get(event, (None, group.order))
    if slot is None:
        slot = "after_thresholds" if event != "spike" else group.when if group.when != "groups" else "thresholds"
    return slot, place + 1


def _names(variables: object) -> tuple[str, ...]:
    """The variables to record, each once; `i` and `t` are recorded anyway."""
    if variables is None or variables is False:
        return ()
    names: Sequence[object] | None = [variables] if isinstance(variables, str) else None
    if isinstance(variables, list | tuple | set | frozenset):
        names = list(variables)
    if names is None or not all(isinstance(name, str) for name in names):
        raise TypeError(f"variables takes a name or a list of names, not {variables!r}")
    return tuple(dict.fromkeys(str(name) for name in names if name not in ("i", "t")))


def _selected(source: Group | Subgroup, record: object) -> np.ndarray | None:
    """The elements whose events are kept one by one; None: all."""
    if isinstance(record, bool | np.bool_):
        return None if record else np.zeros(len(source), dtype=bool)
    if record is None or isinstance(record, str):
        raise TypeError(f"record takes True, False, or the neurons to record, not {record!r}")
    chosen = np.zeros(len(source), dtype=bool)
    chosen[source.element_indices(record)] = True
    return chosen
