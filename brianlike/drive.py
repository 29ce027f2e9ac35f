"""The Cython engine: compiled kernels under the static driver of `_runtime`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.costs import nanoseconds
from codegen.dataflow import constant_in_run, every, late
from codegen.emit import cython
from codegen.expr import DType, Index, Name, Truth
from codegen.ir import Array, Deliver, Extern, Kernel, Let, Load, Map, Record, Role, Store, Table

from ._runtime import Driver
from .build import build_cython
from .calls import Calls
from .deferred import Deferred
from .deliveries import Deliveries, accumulator_block
from .engines import Engine, events_of
from .monitors import EventRecorder, PopulationRateMonitor, StateMonitor
from .preferences import prefs
from .prepare import Prepared
from .seeding import next_epoch
from .simulate import NumpyEngine
from .state import padded
from .waiting import Waiting, by_age, from_ages

TOUCHED = "touched"
"""Stands for the elements to which anything was delivered."""
KINDS = {DType.BOOL: np.dtype(np.bool_), DType.INT32: np.dtype(np.int32), DType.INT64: np.dtype(np.int64)}


class _FormChanged(Exception):
    """A function of the user's has changed traces so that they can no longer live on neurons."""


class CythonSimulation(Engine):
    """A prepared network as a table of compiled kernels, which the driver walks without the interpreter."""

    def __init__(self, prepared: Prepared) -> None:
        self._plain, self._traces = prepared, prepared.traces()
        self._driver: Any = None
        self._stopping = False
        self.prepared = prepared
        self._use(self._on_neurons())

    def _on_neurons(self) -> frozenset[str]:
        """The Synapses whose traces live on neurons from now on."""
        return frozenset(name for name, traces in self._traces.items() if traces.ready(self.prepared.of))

    def _use(self, on_neurons: frozenset[str]) -> None:
        """Make ready to run the network with the traces of these Synapses on neurons."""
        self.prepared = prepared = replace(self._plain.with_traces(on_neurons), resolved=self.prepared.resolved, version=self.prepared.version)
        self.inputs = prepared.inputs(lean=True)
        sums = accumulator_block(prepared.program, self.inputs.sizes, self.inputs.float_dtype)
        self._accumulators = frozenset(array.name for array in prepared.program.arrays if array.role is Role.ACCUMULATOR)
        self.arrays = {array.name: sums[array.name] if array.name in sums else self._array(array) for array in prepared.program.arrays}
        table = {array.name: array for array in prepared.program.arrays}
        bodies = [k for k in prepared.program.kernels if isinstance(k, Map | Deliver)]
        self._interpreted = {k.name: k for k in bodies if not cython.compilable(k)}
        self._helpers = {k.name: helper for k in self._interpreted.values() if (helper := _helper(k, table)) is not None}
        for kernel in self._interpreted.values():
            if isinstance(kernel, Deliver) and kernel.delay is not None:
                self.arrays[kernel.delay][: self.inputs.sizes[kernel.space]] = prepared.delay_steps(kernel)
        marks = {_marks(k).name: _marks(k) for k in self._interpreted.values() if isinstance(k, Deliver)}
        self._arrived = {name: np.zeros(padded(self._size(array)), bool) for name, array in marks.items()}
        compiled = [*(k for k in bodies if k.name not in self._interpreted), *self._helpers.values()]
        self._steady = constant_in_run(prepared.program)
        self._sources = {k.name: cython.render(k, table | marks, self.inputs.float_dtype, self._steady) for k in compiled}
        adding = [k for k in compiled if isinstance(k, Map) and k.after and any(table[store.array].role is Role.ACCUMULATOR for store in k.stores)]
        self._sparse = {k.name: cython.render(replace(k, only=TOUCHED, after=()), table, self.inputs.float_dtype) for k in adding}
        self._kernels = build_cython([*self._sources.values(), *self._sparse.values()])
        self._deliveries = Deliveries(prepared, self.inputs, self.arrays, self._sources, self._interpreted, self._steady)
        self._arrange()
        views = {a.name: self.arrays[a.name][: self._size(a)] for a in prepared.program.arrays}
        self._numpy = NumpyEngine(replace(prepared.program, kernels=tuple(self._interpreted.values())), replace(self.inputs, values=views))
        self._first = 0
        self._events: dict[str, int] = {}
        self._operations: dict[str, int] = {}
        self._counts: dict[str, np.ndarray] = {}
        self.calls = Calls(prepared, self)
        self._tables = [kernel for kernel in prepared.program.kernels if isinstance(kernel, Table)]
        self._version = prepared.version

    def _size(self, array: Array) -> int:
        return self.inputs.sizes[array.space] if array.space else array.length

    def _array(self, array: Array) -> np.ndarray:
        """The padded memory behind an array: the object's own where it has it."""
        owner, _, variable = array.name.partition(".")
        traces = self._traces.get(owner.partition(":")[0])
        if traces is not None and array.name in traces.arrays:
            return traces.arrays[array.name]
        item = self.prepared.objects.get(owner)
        state = getattr(item, "state", None)
        if state is not None and variable in state:
            base: np.ndarray = state.base(variable, settled=not isinstance(state.pending.get(variable), Deferred))
            return base
        return self._memory(array, self.inputs.values.get(array.name))

    def _memory(self, array: Array, given: np.ndarray | None) -> np.ndarray:
        """Memory with the values that are given: of a table the very memory, where it has the right type, for kernels read nothing behind its end."""
        kind = self._kind(array)
        if array.role is Role.TABLE and given is not None and given.dtype == kind and given.flags.c_contiguous:
            return given
        memory = np.zeros(padded(self._size(array)), kind)
        if given is not None:
            memory[: len(given)] = given
        return memory

    def _kind(self, array: Array) -> np.dtype[Any]:
        real = "float64" if array.role is Role.CLOCK else self.inputs.float_dtype  # times stay exact enough in float32 networks
        return KINDS.get(array.dtype, np.dtype(real))

    def _arrange(self) -> None:
        self._deliveries.arrange(int(prefs["core.threads"]))
        self.copied = self._deliveries.copied

    # ------------------------------------------------------------------------------------------------------------------------------------------- runs
    def begin(self, step: int, steps: int, tables: Mapping[str, np.ndarray] | None = None) -> None:
        again = not self._choose() and self._deliveries.threads == int(prefs["core.threads"])
        self._run = step, steps, tables or {}
        again = not self._take_from_outside() and again and not tables
        self._deliveries.settle_others()
        self.calls.set_up_if_changed()
        seed, epoch = self._numpy.inputs.seed, self._numpy.inputs.epoch = next_epoch()
        if self._deliveries.threads != int(prefs["core.threads"]):
            self._arrange()
        if again and self._driver is not None and self._driver.step == step:  # nothing but numbers in arrays has changed
            self._driver.seed, self._driver.epoch = seed, epoch
            for kernel in self._tables:
                first, _ = self.prepared.own_steps(kernel, step, steps)
                self._driver.set_table_events(self._operations[kernel.name], *events_of(self.prepared, kernel, step, steps), first_step=first)
            return
        self._renew(step)
        self._first = step

    def _renew(self, step: int) -> None:
        """A new driver for the run, which goes on at this step with the events of the last one still to be delivered."""
        before = self._driver, self._events, self._operations
        past = None if self._driver is None else self._driver.state()["events"]
        try:
            self._driver = Driver(self._numpy.inputs.seed, self._numpy.inputs.epoch)
            self._build(*self._run)
            self._driver.set_state({"step": step, "events": [[] for _ in self._events] if past is None else past})
        except BaseException:  # half a driver must not be taken for a whole one
            self._driver, self._events, self._operations = before
            raise

    def _take_from_outside(self) -> bool:
        """Take constants and tables as they are now; True if a table now lies elsewhere in memory."""
        program, moved = self.prepared.program, False
        copied = [array for array in program.arrays if array.role is Role.TABLE and self._kind(array) != np.float64]  # others are the users' own memory
        if self._version == self.prepared.version and not copied:
            return False
        self._version = self.prepared.version
        for name, given in self.prepared.from_outside().items():
            array = program.array(name)
            memory = self._memory(array, given) if array.role is Role.TABLE else self.arrays[name]
            if memory.ctypes.data == given.ctypes.data:
                moved |= self.arrays[name].ctypes.data != memory.ctypes.data
                self.arrays[name] = self._numpy.values[name] = memory
            else:
                self.arrays[name][: len(given)] = given
        return moved

    def _choose(self) -> bool:
        """Let traces live on neurons, or on synapses, as their values allow now; whether this is another form than before."""
        if not self._traces:
            return False
        on_neurons = self._on_neurons()
        if on_neurons == self.prepared.on_neurons:
            return False
        if self._driver is not None:
            self.collect()
        self._use(on_neurons)
        return True

    @property
    def step(self) -> int:
        return self._first if self._driver is None else int(self._driver.step)

    def set_up(self) -> None:
        """Repeat what was made from values that no step changes: sums and products of the set-up, sorted copies."""
        self._numpy.set_up()
        self._deliveries.renew()

    def forget(self) -> None:
        """Drop what is still to be delivered."""
        self._driver = None

    def _build(self, step: int, steps: int, tables: Mapping[str, np.ndarray]) -> None:
        driver, program = self._driver, self.prepared.program
        for rate in self.prepared.ticks.rates:
            driver.add_clock(rate.dt, self.arrays.get(f"{rate.name}.t"), self.arrays.get(f"{rate.name}.t_in_timesteps"), rate.every)
        events = [a for a in program.arrays if a.role is Role.EVENT]
        self._events = {a.name: driver.add_event(self._size(a), self.arrays[a.name], every=every(program, a.name)) for a in events}
        self._operations = {}
        self._callers: dict[str, int] = {}
        self._shares = self._deliveries.shares()
        for kernel in program.kernels:
            match kernel:
                case Map(name) if name in self._interpreted:
                    driver.add_call(self._on_numpy(kernel), every=program.every(kernel))
                    if name in self._helpers:
                        self._add_map(self._helpers[name])  # type: ignore[arg-type]
                case Map():
                    self._operations[kernel.name] = self._add_map(kernel)
                case Deliver(name) if name in self._interpreted:
                    number = self._add_deliver(self._helpers[name])  # type: ignore[arg-type]
                    assert number is not None
                    self._operations[name] = number
                    driver.add_call(self._on_numpy(kernel), every=program.every(kernel))
                case Deliver():
                    number = self._add_deliver(kernel)
                    if number is not None:
                        self._operations[kernel.name] = number
                case Record():
                    self._operations[kernel.name] = self._add_record(kernel)
                case Table():
                    self._operations[kernel.name] = self._add_table(kernel, step, steps, tables)
                case Extern():
                    self._callers[kernel.name] = driver.add_call(self._calling(kernel), every=program.every(kernel))

    def _on_numpy(self, kernel: Map | Deliver) -> Callable[[], None]:
        """A kernel that cannot be compiled, as a function for the driver; what it raises is raised again behind the step, as from any call."""

        def run() -> None:
            if isinstance(kernel, Map):
                self._numpy.one_map(kernel)
                return
            arrived = self._arrived[_marks(kernel).name]
            if arrived.any():
                self._numpy.one_delivery(kernel, arrived)
                arrived[...] = False

        def call() -> None:
            if self.calls.failure is not None:
                return
            self._numpy.step = self.step
            try:
                run()
            except BaseException as error:
                self.calls.failure = error
                self.stop()

        return call

    def _parameters(self, kernel: Map) -> tuple[Any, list[np.ndarray]]:
        source = self._sources[kernel.name]
        return self._kernels[source.name], [self._parameter(name) for name in source.parameters]

    def _parameter(self, name: str) -> np.ndarray:
        if name in self._arrived:
            return self._arrived[name]
        array = name.removeprefix(cython.LENGTH)
        return self.arrays[name] if array == name else np.array([self._size(self.prepared.program.array(array))], np.int64)

    def _ends(self, kernel: Map) -> dict[str, np.ndarray]:
        """The neurons that the synapses of a Map connect, as far as it reaches them."""
        connection = self.inputs.connections.get(kernel.space)
        reached = {load.index for load in kernel.loads} | {store.index for store in kernel.stores}
        return {} if connection is None else {name: connection.ends(index)[0] for name, index in (("i", Index.PRE), ("j", Index.POST)) if index in reached}

    def _add_map(self, kernel: Map) -> int:
        native, arrays = self._parameters(kernel)
        sparse = self._sparse.get(kernel.name)
        events = tuple(self._events[s.array] for s in kernel.stores if s.array in self._events)
        only = None if kernel.only is None else self._events[kernel.only]
        leaders = list(dict.fromkeys(self._shares[name][0] for name in kernel.after))
        accumulators = [load.array for load in kernel.loads if load.array in self._accumulators]
        windows = [self._deliveries.window(leader, accumulators) for leader in leaders]
        part = kernel.part if sparse is None else self._deliveries.reached(kernel.after, accumulators[0])  # elsewhere it would add nothing
        stream, size = self.inputs.stream(kernel), self.inputs.sizes[kernel.space] if kernel.space else 1
        number: int = self._driver.add_map(
            native, arrays, size, part=part, events=events, only=only, after=[self._operations[name] for name in leaders],
            windows=windows, sparse=self._kernels[sparse.name] if sparse is not None else None, cost=nanoseconds(kernel),
            cuts=self._deliveries.cuts(kernel.space) if only is None else (),
            stream=stream, late=self._late(kernel, kernel.only), every=self.prepared.program.every(kernel), **self._ends(kernel),
        )  # fmt: skip
        return number

    def _late(self, kernel: Kernel, events: str | None) -> int:
        return 0 if events is None else late(self.prepared.program, kernel, events)

    def _add_deliver(self, kernel: Deliver) -> int | None:
        """The number of the operation; None for a pathway that another one's operation runs."""
        bundle = self._deliveries.bundle(kernel)
        if bundle is None:
            return None
        source = self._sources[kernel.name]
        arrays = {name: self._parameter(name) for name in source.parameters}
        return self._deliveries.add(self._driver, bundle, self._kernels[source.name], self._events[kernel.events], arrays)

    def _add_record(self, kernel: Record) -> int:
        monitor, array = self._monitor(kernel), self.prepared.program.array(kernel.array)
        every, late = self.prepared.program.every(kernel), self._late(kernel, kernel.array)
        if array.role is not Role.EVENT:
            elements = monitor.elements if isinstance(monitor, StateMonitor) and array.space is not None else np.arange(self._size(array))
            values: int = self._driver.add_record_values(self.arrays[kernel.array], elements, every=every)
            return values
        event = self._events[kernel.array]
        sources = monitor.sources if isinstance(monitor, EventRecorder | PopulationRateMonitor) else None
        if kernel.count:
            rate: int = self._driver.add_record_rate(event, sources=sources, late=late, every=every)
            return rate
        selected = monitor.selected if isinstance(monitor, EventRecorder) else None
        if selected is not None:
            self._counts.setdefault(kernel.name, np.zeros(len(selected), np.int64))
        number: int = self._driver.add_record_events(
            event, sources=sources, selected=selected, counts=self._counts.get(kernel.name), store=selected is None or bool(selected.any()),
            gather=[self.arrays[name] for name in kernel.gather], late=late, every=every,
        )  # fmt: skip
        return number

    def _add_table(self, kernel: Table, step: int, steps: int, tables: Mapping[str, np.ndarray]) -> int:
        array, ticks = self.prepared.program.array(kernel.array), self.prepared.program.every(kernel)
        own, count = self.prepared.own_steps(kernel, step, steps)
        if array.role is not Role.EVENT:
            memory = self.arrays[kernel.array]
            rows = np.zeros((max(count, 1), self._size(array)), memory.dtype)
            rows[:count] = tables[kernel.name]
            number: int = self._driver.add_table_values(memory, rows, first_step=own, every=ticks)
            return number
        offsets, indices = sparse(tables[kernel.name]) if kernel.name in tables else events_of(self.prepared, kernel, step, steps)
        number = self._driver.add_table_events(self._events[kernel.array], offsets, indices, first_step=own, every=ticks)
        return number

    def advance(self, steps: int) -> None:
        if self._choose():  # between two parts of a run, who watches it may change values
            self._deliveries.settle_others()
            self.set_up()
            self.calls.begin()
            self._renew(self.step)
        self._leave()
        end, self._stopping = self.step + steps, False
        while True:
            try:
                self._driver.run(end - self.step, threads=int(prefs["core.threads"]))
                break
            except _FormChanged:
                self._change_within_step()
                end = self.step + 1 if self._stopping else end
        self.calls.raise_failure()

    def _leave(self) -> None:
        for name in self.prepared.on_neurons:
            self._traces[name].leave()

    def _calling(self, kernel: Extern) -> Callable[[], None]:
        """A function of the user's for the driver, which minds what it does to traces on neurons."""
        function = self.calls.functions[kernel.name]
        traces = [self._traces[name] for name in self.prepared.on_neurons]
        if not traces:
            return function

        def call() -> None:
            for one in traces:
                one.before_call()
            function()
            if not all(one.untouched() for one in traces):
                if not all(one.ready(self.prepared.of) for one in traces):
                    raise _FormChanged
                self._leave()

        return call

    def _change_within_step(self) -> None:
        """Go on with traces on synapses behind the function that has just run, in the middle of a step."""
        before, arrays, failure = self._driver, self.arrays, self.calls.failure
        caller = next(name for name, number in self._callers.items() if number == before.called)
        self.collect()
        self._use(self._on_neurons() & self.prepared.on_neurons)
        for array in self.prepared.program.arrays:
            old, new = arrays.get(array.name), self.arrays[array.name]
            if array.role is not Role.TABLE and old is not None and old.ctypes.data != new.ctypes.data:
                new[...] = old
        self._deliveries.settle_others()
        self.set_up()
        self.calls.begin()
        self.calls.failure = failure
        self._driver = Driver(self._numpy.inputs.seed, self._numpy.inputs.epoch)
        self._build(*self._run)
        self._driver.take_over(before, self._callers[caller])
        self._leave()

    def end(self) -> None:
        super().end()
        for name in self.prepared.on_neurons:
            self._traces[name].end()

    def stop(self) -> None:
        self._stopping = True
        self._driver.stop()

    def measure(self, on: bool) -> None:
        self._driver.profiling = on
        self._before = self._spent()

    def spent(self) -> dict[str, float]:
        return {name: seconds - self._before[name] for name, seconds in self._spent().items()}

    def _spent(self) -> dict[str, float]:
        found = {name: self._driver.spent(number) for name, number in self._operations.items()}
        return found | {name: part * found[leader] for name, (leader, part) in self._shares.items()}

    def spikes_now(self, event: str, kernel: Extern | None) -> np.ndarray:
        found: np.ndarray = self._driver.spikes(self._events[event], 0 if kernel is None else self._late(kernel, event))
        return found

    def take(self, kernel: Record) -> tuple[Any, ...]:
        number = self._operations[kernel.name]
        if self.prepared.program.array(kernel.array).role is not Role.EVENT or kernel.count:
            rows: tuple[Any, ...] = self._driver.take(number)
            return rows
        indices, steps, gathered = self._driver.take(number)
        counts = self._counts.get(kernel.name)
        total = None if counts is None else counts.copy()
        if counts is not None:
            counts[:] = 0
        return indices, steps, gathered, total

    # ------------------------------------------------------------------------------------------------------------------------------------------- past
    def past(self) -> Waiting:
        if self._driver is None:
            return {}
        events = self._driver.state()["events"]
        return {name: from_ages(events[number], self._size(self.prepared.program.array(name))) for name, number in self._events.items()}

    def rewind(self, step: int, past: Waiting) -> None:
        if self._driver is None:
            self.begin(step, 0)
        self._driver.set_state({"step": step, "events": [by_age(past.get(name)) for name in self._events]})

    def set_past(self, past: Waiting) -> None:
        self.rewind(self.step, past)


def _marks(kernel: Deliver) -> Array:
    """Where a compiled kernel says which synapses numpy has to run."""
    return Array(f"{kernel.name}:arrived", kernel.space, Role.HIDDEN, DType.BOOL)


def _helper(kernel: Map | Deliver, arrays: Mapping[str, Array]) -> Map | Deliver | None:
    """The compiled kernel beside one that numpy runs: it marks the synapses at which something arrives, or hands over the events that numpy found."""
    if isinstance(kernel, Deliver):
        return replace(kernel, loads=(), body=(Let("one", Truth(True), DType.BOOL),), stores=(Store(_marks(kernel).name, Index.SELF, "one", DType.BOOL),))
    events = list(dict.fromkeys(store.array for store in kernel.stores if arrays[store.array].role is Role.EVENT))
    loads = tuple(Load(f"found_{n}", event, Index.SELF, DType.BOOL) for n, event in enumerate(events))
    body = tuple(Let(f"kept_{n}", Name(f"found_{n}"), DType.BOOL) for n in range(len(events)))
    stores = tuple(Store(event, Index.SELF, f"kept_{n}", DType.BOOL) for n, event in enumerate(events))
    return Map(f"{kernel.name}:events", kernel.space, loads, body, stores, clock=kernel.clock) if events else None


def sparse(dense: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets by step and indices of the events in a raster of shape (steps, elements)."""
    steps, indices = np.nonzero(dense)
    offsets = np.zeros(len(dense) + 1, np.int64)
    np.cumsum(np.bincount(steps, minlength=len(dense)), out=offsets[1:])
    return offsets, indices.astype(np.int32)
