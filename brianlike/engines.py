"""What runs a prepared network: the numpy engine, or compiled kernels under the static driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from codegen.dataflow import writes
from codegen.ir import Extern, Record, Role, Table

from .calls import Calls
from .inputs import InputGroup, SpikeGeneratorGroup
from .monitors import EventRecorder, Monitor, PopulationRateMonitor, StateMonitor
from .prepare import Prepared
from .recorders import hand_over
from .seeding import next_epoch
from .simulate import NumpyEngine
from .state import VariableOwner
from .waiting import Waiting, dense_events, sparse_events


class Engine(ABC):
    """A prepared network that can advance. Variables of the objects change in place; monitors fill when `collect` is called."""

    prepared: Prepared
    calls: Calls
    copied: frozenset[str] = frozenset()

    @property
    @abstractmethod
    def step(self) -> int:
        """The tick that comes next, or is under way."""

    @abstractmethod
    def set_up(self) -> None:
        """Compute anew what no step changes."""

    @abstractmethod
    def begin(self, step: int, steps: int, tables: Mapping[str, np.ndarray] | None = None) -> None:
        """Make ready for `steps` ticks from number `step` on: spikes of inputs, constants computed once, fresh random numbers.

        `tables` gives rows of shape (steps, elements) for Table kernels that no object of the network feeds.
        """

    @abstractmethod
    def advance(self, steps: int) -> None:
        """Run that many ticks, fewer if `stop` is called. What a user's function raises comes from here, behind the step under way."""

    @abstractmethod
    def stop(self) -> None:
        """Let `advance` end with the step under way."""

    @abstractmethod
    def spikes_now(self, event: str, kernel: Extern | None) -> np.ndarray:
        """The neurons that fired last, as the function behind `kernel` sees it while it runs."""

    @abstractmethod
    def measure(self, on: bool) -> None:
        """Measure from now on how long each kernel takes, or do so no more."""

    @abstractmethod
    def spent(self) -> dict[str, float]:
        """Seconds by kernel since `measure(True)`."""

    @abstractmethod
    def take(self, kernel: Record) -> tuple[Any, ...]:
        """What a record has collected (see `recorders.hand_over`); then forget it."""

    def collect(self) -> None:
        """Hand what was recorded since the last call to the monitors."""
        hand_over(self.prepared.objects, {kernel.name: self.take(kernel) for kernel in self._records_of_monitors})

    @cached_property
    def _records_of_monitors(self) -> list[Record]:
        records = [kernel for kernel in self.prepared.program.kernels if isinstance(kernel, Record)]
        return [kernel for kernel in records if self._monitor(kernel) is not None]

    def records(self) -> dict[str, tuple[np.ndarray, ...]]:
        """What Record kernels that belong to no monitor collected, by name: (indices, steps) of events, (steps, rows) of values; then forget it."""
        records = [kernel for kernel in self.prepared.program.kernels if isinstance(kernel, Record)]
        return {kernel.name: self.take(kernel)[:2] for kernel in records if self._monitor(kernel) is None}

    def _monitor(self, kernel: Record) -> Monitor | None:
        monitor = self.prepared.objects.get(kernel.name.partition(".")[0])
        return monitor if isinstance(monitor, Monitor) else None

    def end(self) -> None:
        """A run is over: hand what was recorded to the monitors, and the last step's spikes to the groups."""
        self.calls.end()
        self.collect()
        for group, event in self.calls.spiking:
            group._fired = self.spikes_now(event, None)

    @abstractmethod
    def forget(self) -> None:
        """Drop what is still to be delivered."""

    @abstractmethod
    def past(self) -> Waiting:
        """The events of the last steps (of their clock), by array name: what is still to be delivered."""

    @abstractmethod
    def rewind(self, step: int, past: Waiting) -> None:
        """Go to a step, with just these events of the steps before it still to be delivered."""

    @abstractmethod
    def set_past(self, past: Waiting) -> None:
        """Take over what another engine had still to deliver."""


class NumpySimulation(Engine):
    """The definition, in numpy."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self._records: dict[str, list[Any]] = {}
        self._counts: dict[str, np.ndarray] = {}
        inputs = prepared.inputs()
        for kernel in prepared.program.kernels:
            if isinstance(kernel, Record):
                inputs.recorders[kernel.name] = self._recorder(kernel)
        self.engine = NumpyEngine(prepared.program, inputs)
        self._found = {array for kernel in prepared.program.kernels for array in writes(kernel)}
        self.calls = Calls(prepared, self)
        inputs.calls.update(self.calls.functions)

    def _recorder(self, kernel: Record) -> Any:
        monitor, array = self._monitor(kernel), self.prepared.program.array(kernel.array)
        rows = self._records[kernel.name] = []
        if array.role is not Role.EVENT:
            chosen: Any = monitor.elements if isinstance(monitor, StateMonitor) and array.space is not None else slice(None)

            def record_values(step: int, values: np.ndarray) -> None:
                rows.append((step, np.array(values[chosen])))  # a copy: kernels change arrays in place

            return record_values
        first, stop = monitor.sources if isinstance(monitor, EventRecorder | PopulationRateMonitor) else (0, None)
        if kernel.count:
            return lambda step, fired: rows.append((step, np.count_nonzero(fired[first:stop])))
        selected = monitor.selected if isinstance(monitor, EventRecorder) else None
        counts = None if selected is None else self._counts.setdefault(kernel.name, np.zeros(len(selected), np.int64))

        def record_events(step: int, fired: np.ndarray, *gathered: np.ndarray) -> None:
            found = np.flatnonzero(fired[first:stop])
            if counts is not None and selected is not None:
                counts[found] += 1
                found = found[selected[found]]
            if len(found):
                rows.append((found.astype(np.int32), np.full(len(found), step, np.int64), *(values[found + first] for values in gathered)))

        return record_events

    def begin(self, step: int, steps: int, tables: Mapping[str, np.ndarray] | None = None) -> None:
        for item in self.prepared.objects.values():
            if isinstance(item, VariableOwner):
                item.state.settle()
        self.engine.step = step
        self.engine.inputs.seed, self.engine.inputs.epoch = next_epoch()
        self.engine.values.update(self.prepared.from_outside())
        for kernel in self.prepared.program.kernels:
            if isinstance(kernel, Table):
                given = (tables or {}).get(kernel.name)
                self.engine.inputs.tables[kernel.name] = (
                    self._table(kernel, step, steps) if given is None else _rows(given, self.prepared.own_steps(kernel, step, 0)[0])
                )
        self.calls.set_up_if_changed()

    @property
    def step(self) -> int:
        return self.engine.step

    def set_up(self) -> None:
        self.engine.set_up()

    def _table(self, kernel: Table, first: int, steps: int) -> Any:
        offsets, indices = events_of(self.prepared, kernel, first, steps)
        first = self.prepared.own_steps(kernel, first, 0)[0]
        size = self.engine.values[kernel.array].shape[-1]

        def row(step: int) -> np.ndarray:
            fired = np.zeros(size, bool)
            fired[indices[offsets[step - first] : offsets[step - first + 1]]] = True
            return fired

        return row

    def advance(self, steps: int) -> None:
        self.engine.run(steps)
        self.calls.raise_failure()

    def stop(self) -> None:
        self.engine.stop()

    def spikes_now(self, event: str, kernel: Extern | None) -> np.ndarray:
        return np.flatnonzero(self.engine.values[event]).astype(np.int32)

    def measure(self, on: bool) -> None:
        self.engine.spent = defaultdict(float) if on else None

    def spent(self) -> dict[str, float]:
        return dict(self.engine.spent or {})

    def take(self, kernel: Record) -> tuple[Any, ...]:
        rows = self._records[kernel.name]
        columns = list(zip(*rows, strict=True))
        rows.clear()
        if self.prepared.program.array(kernel.array).role is not Role.EVENT or kernel.count:
            return (np.array(columns[0], np.int64), np.stack(columns[1])) if columns else (np.zeros(0, np.int64), np.zeros(0))
        counts = self._counts.get(kernel.name)
        total = None if counts is None else counts.copy()
        if counts is not None:
            counts[:] = 0
        if not columns:
            return np.zeros(0, np.int32), np.zeros(0, np.int64), [np.zeros(0)] * len(kernel.gather), total
        return np.concatenate(columns[0]), np.concatenate(columns[1]), [np.concatenate(column) for column in columns[2:]], total

    def forget(self) -> None:
        for history in self.engine.history.values():
            history[...] = False

    def past(self) -> Waiting:
        keep, step = self.engine.keep, self.engine.begun
        return sparse_events({name: values[[(step(name) + n) % keep for n in range(keep)]] for name, values in self.engine.history.items()})

    def set_past(self, past: Waiting) -> None:
        keep, step = self.engine.keep, self.engine.begun
        for name, values in dense_events(past).items():
            if name in self.engine.history and values.shape[1:] == self.engine.history[name].shape[1:]:
                for back in range(1, min(keep, len(values)) + 1):
                    self.engine.history[name][(step(name) - back) % keep] = values[-back]
                if len(values) and name in self._found:  # for what comes before a step has found its events
                    self.engine.values[name][...] = values[-1]

    def rewind(self, step: int, past: Waiting) -> None:
        self.engine.step = step
        self.forget()
        self.set_past(past)


def events_of(prepared: Prepared, kernel: Table, first: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The spikes of an input group in `steps` ticks from `first` on: offsets by step of its clock, and indices."""
    source = prepared.objects[kernel.array.partition(".")[0]]
    assert isinstance(source, InputGroup | SpikeGeneratorGroup)
    return source.events_by_step(*prepared.own_steps(kernel, first, steps), source.clock.dt_)


def _rows(table: np.ndarray, first: int) -> Any:
    """A table as a function of the step."""
    return lambda step: table[step - first]
