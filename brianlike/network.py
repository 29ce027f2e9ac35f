"""Networks: what runs together, in which order, for how long."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from codegen.dims import UNITS

from ._runtime import within
from .blueprints import Blueprint, blueprint
from .choosing import make_engine
from .clocks import seconds
from .engines import Engine
from .inputs import SpikeSource
from .interrupts import ctrl_c
from .logger import get_logger
from .monitors import Monitor
from .namespaces import caller_namespace
from .objects import Simulation, SimulationObject, with_contained
from .poisson_input import PoissonInput
from .preference_table import checked_schedule
from .preferences import prefs
from .prepare import Prepared, prepare
from .progress import Progress, Report, progress_of
from .seeding import SOURCE
from .state import VariableOwner
from .store import (
    StoredState,
    check_names,
    random_state,
    read_state,
    set_random_state,
    state_of_objects,
    write_state,
)
from .summaries import ScheduleEntry, SchedulingSummary, entries_of
from .synapses import Synapses
from .ticks import recounted, steps_before
from .units import Quantity
from .waiting import Waiting, dense_events, sparse_events

__all__ = ["Network"]

_LOG = get_logger(__name__)
RUNNING: list[Network] = []  # the networks that run now, the innermost last
_TOO_LARGE = 1e50  # beyond it a variable has lost its meaning, as in Brian
CHUNK_SECONDS = 0.05  # how long a call into an engine lasts: between calls Ctrl-C and reports have their turn


class Observer(Protocol):
    """Who is told of every run: the device."""

    def before_run(self, network: Network, duration: object, names: Mapping[str, object]) -> None: ...

    def after_run(self, network: Network) -> None: ...


OBSERVERS: list[Observer] = []


def require_different_names(objects: Sequence[SimulationObject]) -> None:
    """Raise ValueError unless all names differ."""
    names = [item.name for item in objects]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"two objects of a network cannot both be called {twice[0]!r}; give one of them another name=")


class Network:
    """Objects that run together.

    Parameters
    ----------
    *objects : groups, synapses, monitors, or lists of them

    Attributes
    ----------
    schedule : list of str
        The slots of a step, in order.
    t : Quantity
        Time simulated so far.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(2, 'dv/dt = (1 - v)/(10*ms) : 1', method='exact')
    >>> net = Network(G)
    >>> net.run(10*ms)
    >>> net.t
    10. * ms
    """

    def __init__(self, *objects: object, name: str = "network") -> None:
        self.name = name
        self.objects: list[SimulationObject] = []
        self._schedule: list[str] | None = None
        self._simulation: Simulation | None = Simulation()
        self._t = 0.0  # in seconds, as far as it has been simulated
        self._clocks: dict[str, float] = {}  # by the name of each object, the step of its clock in the last run
        self._engine: Engine | None = None
        self._running = False
        self._waiting: Waiting | None = None  # what the next engine has to deliver, where no engine holds it
        self._blueprint: Blueprint | None = None
        self._stopped = False
        self._spent: dict[str, float] | None = None  # seconds by kernel in the last run, if they were measured
        self._stored: dict[str, StoredState] = {}
        self.add(*objects)

    @property
    def schedule(self) -> list[str]:
        """The slots of a step, in order; None stands for those of `prefs.core.network.default_schedule`."""
        return list(prefs["core.network.default_schedule"]) if self._schedule is None else self._schedule

    @schedule.setter
    def schedule(self, slots: Sequence[str] | None) -> None:
        if isinstance(slots, str) or not isinstance(slots, Sequence | None) or not all(isinstance(slot, str) for slot in slots or ()):
            raise TypeError(f"a schedule is a list of slots, not {slots!r}")
        try:
            self._schedule = None if slots is None else checked_schedule(slots)
        except ValueError as error:
            raise ValueError(f"a schedule is {error}, not {slots!r}") from None

    def __getstate__(self) -> dict[str, Any]:
        waiting = self._waiting if self._engine is None else self._engine.past()
        return {**self.__dict__, "_engine": None, "_blueprint": None, "_waiting": waiting}

    def add(self, *objects: object) -> None:
        """Add objects, or lists and dicts of them."""
        for item in _flat(objects):
            if item not in self.objects:
                self.objects.append(item)
        require_different_names(self._members)

    def remove(self, *objects: object) -> None:
        """Take objects out."""
        for item in _flat(objects):
            if item not in self.objects:
                raise KeyError(f"{getattr(item, 'name', item)!r} is not in the network")
            self.objects.remove(item)

    @property
    def _members(self) -> list[SimulationObject]:
        """All objects, also those that others contain."""
        return with_contained(self.objects)

    def __iter__(self) -> Iterator[SimulationObject]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __delitem__(self, name: str) -> None:
        self.remove(self[name])

    def __contains__(self, name: object) -> bool:
        return any(item.name == name or item is name for item in self._members)

    def __getitem__(self, name: str) -> SimulationObject:
        if not isinstance(name, str):
            raise TypeError(f"the objects of a network are found by their names, not by {name!r}; net.objects is a list")
        for item in self._members:
            if item.name == name:
                return item
        raise KeyError(f"the network has no object {name!r}; it has {', '.join(sorted(o.name for o in self._members))}")

    @property
    def sorted_objects(self) -> list[ScheduleEntry]:
        """What a step does, in its order: each with `name`, `when`, `order`, `clock`, and the object that it is part of as `owner`."""
        return entries_of(self._members, self.schedule)

    def __repr__(self) -> str:
        return f"Network({', '.join(item.name for item in self._members)})"

    @property
    def t(self) -> Quantity:
        """Time simulated so far; during a run, the time of the step under way."""
        return Quantity(self.t_, UNITS["second"])

    @property
    def t_(self) -> float:
        """Time simulated so far in seconds, without units."""
        return self._engine.prepared.ticks.time(self._engine.step) if self._running and self._engine is not None else self._t

    # --------------------------------------------------------------------------------------------------------------------------------------- running
    def run(
        self,
        duration: object,
        report: Report = None,
        report_period: object = None,
        namespace: Mapping[str, object] | None = None,
        profile: bool | None = None,
        level: int = 0,
    ) -> None:
        """Simulate for `duration`.

        Parameters
        ----------
        duration : Quantity
            In seconds. Of each clock, the steps run that begin before the end.
        report : 'tqdm', 'text', 'stdout', 'stderr', callable or None
            A progress bar; a line now and then; or a function of (elapsed time, fraction done, start, duration), called also at the start and the end.
        report_period : Quantity
            Time between reports (10 s of waiting, by default).
        namespace : dict, optional
            Values of constants in the texts; by default the names visible where `run` is called.
        profile : bool
            Whether to measure what takes the time (see `profiling_summary`).
        level : int
            How many callers further up those names are looked for.

        Raises
        ------
        ValueError
            For a negative duration, or a clock whose dt has changed to one that does not divide the time simulated so far.
        RuntimeError
            If an object has run in another network.
        ModelError
            For texts that cannot be run, with a caret at the place.
        """
        if self in RUNNING:
            raise RuntimeError(f"network {self.name!r} is running already")
        length = seconds(duration, "the duration of a run")
        if length < 0:
            raise ValueError(f"a run cannot last {duration!r}: the duration must not be negative")
        members = self._members
        if not members:
            return
        names = caller_namespace(level) if namespace is None else namespace
        self._check_membership(members)
        for observer in OBSERVERS:
            observer.before_run(self, duration, names)
        for item in members:
            item.before_run(names)
        engine = self._prepare(self._members if any(_prepares_itself(item) for item in members) else members, names)
        members = engine.prepared.members
        for item in members:
            item._simulation = self._simulation
        ticks, end = engine.prepared.ticks, self._t + length
        first, last = ticks.count(self._t), ticks.count(end)
        self._stopped = False
        progress = self._progress(report, report_period, last - first, ticks.length)
        engine.begin(first, last - first)
        RUNNING.append(self)
        try:
            with ctrl_c(self.stop):
                self._advance(engine, first, last, progress, bool(profile))
        finally:
            RUNNING.remove(self)
            self._running = False
            self._t = end if engine.step >= last else ticks.time(engine.step)
            engine.end()
            for clock, rate in engine.prepared.clocks:
                clock.timestep = ticks.steps(rate, engine.step)
            progress.close()
        for item in members:
            item.after_run()
        for observer in OBSERVERS:
            observer.after_run(self)
        self._check_values(engine.prepared)

    def _progress(self, report: Report, period: object, steps: int, dt: float) -> Progress:
        if report is None and period is None:
            return Progress()
        return progress_of(report, 10.0 if period is None else seconds(period, "report_period"), self.t, steps, dt)

    def _advance(self, engine: Engine, first: int, end: int, progress: Progress, profile: bool) -> None:
        chunk = min(end - first, 16)
        engine.calls.begin()
        self._running, self._spent = True, None
        if profile:
            engine.measure(True)
        while engine.step < end and not self._stopped:
            chunk = min(chunk, end - engine.step)
            start = time.perf_counter()
            engine.advance(chunk)
            elapsed = max(time.perf_counter() - start, 1e-9)
            progress.update(engine.step - first)
            chunk = max(1, int(chunk * min(4.0, max(0.25, CHUNK_SECONDS / elapsed))))
        if profile:
            self._spent = engine.spent()
            engine.measure(False)

    def stop(self) -> None:
        """End the run with the step under way; to be called from a network operation or a report function."""
        self._stopped = True
        if self in RUNNING and self._engine is not None:
            self._engine.stop()

    def _recount(self, members: Sequence[SimulationObject]) -> None:
        """Count what is still to be delivered in steps of the clocks as they are now: a dt may have changed since the last run."""
        changed = [item for item in members if self._clocks.get(item.name, item.clock.dt_) != item.clock.dt_]
        for item in changed:
            item.clock.check_change(self._clocks[item.name], self._t)
        if changed:
            past = self._waiting if self._engine is None else self._engine.past()
            lengths = {item.name: (self._clocks[item.name], item.clock.dt_) for item in changed}
            moved = dense_events({name: lists for name, lists in (past or {}).items() if name.partition(".")[0] in lengths})
            for name, events in moved.items():
                old, new = lengths[name.partition(".")[0]]
                moved[name] = recounted(events, steps_before(self._t, old), steps_before(self._t, new), old / new)
            past = {**(past or {}), **sparse_events(moved)}
            self._waiting, self._engine = past, None
        self._clocks = {item.name: item.clock.dt_ for item in members}

    def _prepare(self, members: list[SimulationObject], names: Mapping[str, object]) -> Engine:
        """The engine for the network as it is now; the last one if only values have changed."""
        found = blueprint(prefs["codegen.target"], self.schedule, members)
        if self._engine is None or found != self._blueprint:
            members = self._complete(members)
            for item in members:
                if isinstance(item, Synapses):
                    item._ready()
            self._recount(members)
            found = blueprint(prefs["codegen.target"], self.schedule, members)
        for item in members:
            if isinstance(item, SpikeSource):
                item._ready()
        if self._engine is not None and found == self._blueprint and self._engine.prepared.read_constants(names):
            return self._engine
        prepared = prepare(members, self.schedule, names)
        past = self._waiting if self._engine is None else self._engine.past()
        engine = make_engine(prepared)
        if past:
            epoch = SOURCE.epoch
            engine.begin(prepared.ticks.count(self._t), 0)
            SOURCE.epoch = epoch  # a run has the same random numbers whether or not it needed a new engine
            engine.set_past(past)
        self._engine, self._blueprint, self._waiting = engine, found, None
        return engine

    @staticmethod
    def _missing(members: Sequence[SimulationObject]) -> Iterator[tuple[SimulationObject, SimulationObject]]:
        """The objects that cannot run, with what they need and the network does not have."""
        present = {id(item) for item in members}
        for item in members:
            needs: list[VariableOwner] = []
            if isinstance(item, Synapses):
                needs = [item.source, item.target]
            elif isinstance(item, Monitor):
                needs = [item.source]
            elif isinstance(item, PoissonInput):
                needs = [item.target]
            for need in (end._whole for end in needs):
                if id(need) not in present:
                    yield item, need

    def _complete(self, members: list[SimulationObject]) -> list[SimulationObject]:
        """The members that can run: all, or this is a ValueError."""
        for item, need in self._missing(members):
            raise ValueError(f"{item.name!r} needs {need.name!r}, which is not in the network; add it")
        return members

    def _check_membership(self, members: Sequence[SimulationObject]) -> None:
        """Refuse objects that have run in another network."""
        for item in members:
            if item._simulation is not None and item._simulation is not self._simulation:
                raise RuntimeError(f"{item.name!r} has already run in another network; add to or remove from that network instead of making a new one")

    def _forget_runs(self) -> None:
        """Begin again at t = 0."""
        self._t, self._clocks, self._engine, self._waiting, self._blueprint = 0.0, {}, None, None, None

    def _give_away(self) -> object:
        """What the next run needs; the network itself forgets it."""
        kept = (self._engine, self._waiting, self._blueprint)
        self._engine, self._waiting, self._blueprint = None, None, None
        return kept

    def _take_back(self, kept: Any) -> None:
        self._engine, self._waiting, self._blueprint = kept

    def _check_values(self, prepared: Prepared) -> None:
        """One warning (or error) for the first variable that is no longer a number."""
        for item, name in prepared.states:
            if within(item.state.distinct(name), _TOO_LARGE):
                continue
            values = item.state[name]
            bad = np.flatnonzero(~(np.abs(values) < (_TOO_LARGE if values.dtype.itemsize == 8 else np.inf)))  # also NaN; float32 has no number as large
            if not len(bad):
                continue
            element = "synapse" if isinstance(item, Synapses) else "neuron"
            text = f"{item.name}.{name} of {element} {bad[0]} is {values[bad[0]]} at t = {self.t_:g} s ({len(bad)} of {len(values)} values)"
            hint = "a smaller dt or another method= often helps"
            if prefs["core.on_invalid"] == "raise":
                raise FloatingPointError(f"{text}; {hint}")
            _LOG.warn(f"{text}; {hint}", "invalid_values")
            return

    def store(self, name: str = "default", filename: str | os.PathLike[str] | None = None) -> None:
        """Keep the state of all objects, to go back to it with `restore`: variables, connections, delays, spikes on their way, clocks, and records.

        Parameters
        ----------
        name : str
            A network, or a file, can keep several states under different names.
        filename : path, optional
            Keep it in this file (beside other states there may be), which is data only; in memory if left out. Equations and code are not kept.

        Examples
        --------
        >>> from brianlike import *
        >>> G = NeuronGroup(1, 'dv/dt = 1/ms : 1', method='euler')
        >>> net = Network(G)
        >>> net.store()
        >>> net.run(1*ms)
        >>> net.restore()
        >>> net.t, G.v[0]
        (0. * second, np.float64(0.0))
        """
        if self._running:
            raise RuntimeError("the state of a network cannot be stored in the middle of a step; store it between two runs")
        past = (self._waiting if self._engine is None else self._engine.past()) or {}
        clocks = {item.name: item.clock.dt_ for item in self._members}
        state = StoredState(self._t, clocks, state_of_objects(self._members), past, random_state())
        if filename is None:
            self._stored[name] = state
        else:
            write_state(filename, name, state)

    def restore(self, name: str = "default", filename: str | os.PathLike[str] | None = None, restore_random_state: bool = False) -> None:
        """Go back to what `store` kept.

        Parameters
        ----------
        name, filename
            As for `store`.
        restore_random_state : bool
            Whether random numbers, also those of `np.random`, come again as they did; if not, runs after `restore` are independent of each other.

        Raises
        ------
        KeyError
            If there is no such state, or it is one of other objects.
        ValueError
            If the file is no file of stored states.
        """
        if self._running:
            raise RuntimeError("a network cannot go back to a stored state in the middle of a step; call restore between two runs")
        if filename is None and name not in self._stored:
            raise KeyError(f"there is no stored state {name!r}; there is {', '.join(map(repr, self._stored)) or 'none'}")
        state = self._stored[name] if filename is None else read_state(filename, name)
        check_names(self._members, state)
        for item in self._members:
            if item.name in state.clocks and item.clock.dt_ != state.clocks[item.name]:
                item.clock.dt = Quantity(state.clocks[item.name], UNITS["second"])
        for item in self._members:
            if item.name in state.objects:
                item.restore(state.objects[item.name])  # type: ignore[attr-defined]
            item.clock.timestep = steps_before(state.t, item.clock.dt_)
        if self._engine is not None and all(self._clocks.get(name) == dt for name, dt in state.clocks.items()):
            self._engine.rewind(self._engine.prepared.ticks.count(state.t), state.waiting)
        else:
            self._engine, self._waiting = None, state.waiting
        self._t, self._clocks = state.t, dict(state.clocks)
        if restore_random_state:
            set_random_state(state.random)

    @contextlib.contextmanager
    def holding(self, objects: Sequence[SimulationObject]) -> Iterator[None]:
        """The network with these objects, which it has anyway; the magic network has none between runs."""
        yield

    def get_states(
        self, units: bool = True, format: str = "dict", subexpressions: bool = False, read_only_variables: bool = True, level: int = 0
    ) -> dict[str, Any]:
        """Copies of the values of all objects' variables, by the object's name; parameters as for `NeuronGroup.get_states`."""
        owners = [item for item in self._members if hasattr(item, "get_states")]
        return {item.name: item.get_states(None, units, format, subexpressions, read_only_variables, level) for item in owners}

    def set_states(self, values: Mapping[str, Any], units: bool = True, format: str = "dict", level: int = 0) -> None:
        """Set the variables of several objects, given by their names; parameters as for `NeuronGroup.set_states`."""
        for item in [self[name] for name in values]:
            item.set_states(values[item.name], units, format, level)  # type: ignore[attr-defined]

    @property
    def profiling_info(self) -> list[tuple[str, Quantity]]:
        """What took how long in the last run, the longest first; ValueError if that was not `run(..., profile=True)`."""
        if self._spent is None:
            raise ValueError("nothing was measured: the last run was without profile=True")
        longest_first = sorted(self._spent.items(), key=lambda item: -item[1])
        return [(name.replace(".", "_"), Quantity(seconds, UNITS["second"])) for name, seconds in longest_first]

    def scheduling_summary(self) -> SchedulingSummary:
        """What a step does, in its order, as a table."""
        return SchedulingSummary(entries_of(self._members, self.schedule))

    def explain(self) -> str:
        """The compiled network as text: the Program that a run executes."""
        return str(prepare(self._members, self.schedule, caller_namespace()).program)


def _prepares_itself(item: SimulationObject) -> bool:
    """Whether a class of the user's does something when a run begins; it may have changed the network."""
    return type(item).before_run is not SimulationObject.before_run


def _flat(objects: object) -> Iterator[SimulationObject]:
    if isinstance(objects, SimulationObject):
        yield objects
    elif isinstance(objects, Mapping):
        for item in objects.values():
            yield from _flat(item)
    elif isinstance(objects, list | tuple | set | Network):
        for item in objects:
            yield from _flat(item)
    else:
        raise TypeError(f"a network holds groups, synapses and monitors (or lists of them), not {objects!r}")
