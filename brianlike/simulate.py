"""The numpy engine: it runs a Program kernel by kernel, forwards or backwards in time, and defines what every other engine must compute.

Values are arrays of shape (elements,), one value for shared variables of shape (1,). With a batch, arrays that change during a run have the batch as a
leading axis.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from codegen.dataflow import constant_in_run, every, late
from codegen.emit import python
from codegen.errors import UnsupportedError
from codegen.expr import DType, Index
from codegen.ir import Array, Deliver, Draw, Extern, Kernel, Load, Map, Program, Record, Role, Store, Table

from .build import build_python
from .randomness import drawn
from .sorting import sorted_rows


@dataclass(frozen=True, slots=True)
class Connection:
    """Which neurons the synapses of one object connect, in the order in which they were created.

    Attributes
    ----------
    pre, post : array of int32, shape (synapses,)
        The neurons, counted within the part of the group that is connected.
    n_pre, n_post : int
        How many neurons the whole groups have.
    pre_part, post_part : tuple of int, optional
        The first and last + 1 neuron of this part; the whole group by default.
    """

    pre: np.ndarray
    post: np.ndarray
    n_pre: int
    n_post: int
    pre_part: tuple[int, int] | None = None
    post_part: tuple[int, int] | None = None
    _counted: dict[Index, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    def ends(self, index: Index) -> tuple[np.ndarray, int]:
        """The neuron of each synapse on one side, counted in the whole group, and how many neurons that has."""
        first, count = self.part(index)[0], self.n_pre if index is Index.PRE else self.n_post
        if not first:
            return self.within(index), count
        if index not in self._counted:
            self._counted[index] = self.within(index) + np.int32(first)
        return self._counted[index], count

    def within(self, index: Index) -> np.ndarray:
        """The neuron of each synapse on one side, counted within the part that is connected."""
        return self.pre if index is Index.PRE else self.post

    def part(self, index: Index) -> tuple[int, int]:
        """The first and last + 1 neuron of the group on one side that can have synapses."""
        given, count = (self.pre_part, self.n_pre) if index is Index.PRE else (self.post_part, self.n_post)
        return (0, count) if given is None else given


@dataclass(slots=True)
class Inputs:
    """What a Program needs from outside.

    Parameters
    ----------
    values : the array behind each name; engines write into them.
    sizes : number of elements of each space.
    connections : the synapses of each Synapses object.
    tables : for each Table kernel, a function of the step of its clock that gives its row.
    recorders : for each Record kernel, a function of the step of its clock, the array's values, and those of the arrays it gathers.
    calls : for each Extern kernel, the function; it must not raise.
    streams : ordinal of each object, which keeps its random numbers apart from those of the others.
    """

    values: dict[str, np.ndarray]
    sizes: dict[str, int]
    connections: dict[str, Connection] = field(default_factory=dict)
    tables: dict[str, Callable[[int], np.ndarray]] = field(default_factory=dict)
    recorders: dict[str, Callable[..., None]] = field(default_factory=dict)
    calls: dict[str, Callable[[], None]] = field(default_factory=dict)
    streams: dict[str, int] = field(default_factory=dict)
    seed: int = 0
    epoch: int = 0
    float_dtype: str = "float64"

    def stream(self, kernel: Map | Deliver) -> int:
        """The ordinal of the object that a kernel belongs to; what runs once for a whole object has that object's."""
        return self.streams.get(kernel.space or kernel.name.partition(".")[0], 0)


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """A Map made ready to run again and again: where its arguments come from and where its results go, each with the elements that synapses reach."""

    function: Callable[..., tuple[Any, ...]]
    outside: tuple[Any, ...]
    loads: tuple[tuple[str, np.ndarray | slice | None], ...]
    draws: tuple[Draw, ...]
    elements: np.ndarray
    stores: tuple[Store, ...]
    chosen: slice | None
    """Those of the elements that need to run, if not all of them do."""
    idle: str | None
    """The event without which nothing would change."""
    delayed: bool


class NumpyEngine:
    """Runs a Program on numpy.

    Parameters
    ----------
    program : what to run.
    inputs : arrays, connections, tables and recorders.
    batch : size of the batch axis; None for none.
    keep : how many steps of events are kept; None for as many as the longest delay needs. A backward Program needs the whole run.
    forward : for a backward Program, the engine that ran the forward one, with its tape.
    """

    def __init__(self, program: Program, inputs: Inputs, batch: int | None = None, keep: int | None = None, forward: NumpyEngine | None = None) -> None:
        self.program, self.inputs, self.batch = program, inputs, batch
        self.values = inputs.values
        self.step: int = 0 if forward is None else forward.step
        self.spent: defaultdict[str, float] | None = None  # seconds by kernel, where they are measured
        self._forward = forward
        bodies = [k for k in (*program.setup, *program.kernels) if isinstance(k, Map | Deliver)]
        self._functions = {k.name: build_python(python.render(k, inputs.float_dtype)) for k in bodies}
        self._outside = {k.name: [spec.implementation for spec in python.functions(k)] for k in bodies}
        self._delivered: dict[str, bool] = {}
        self._plans: dict[str, _Plan] = {}
        self._actions = [(kernel, program.every(kernel), self._action(kernel)) for kernel in program.kernels]
        self._rows: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._events = [a.name for a in program.arrays if a.role is Role.EVENT]
        self._every = {name: every(program, name) for name in self._events}
        self._clocks = program.clocks
        self._clock_names = [(f"{clock}.t", f"{clock}.dt", f"{clock}.t_in_timesteps") for clock, _ in program.clocks]
        self._prepare(keep)

    # ------------------------------------------------------------------------------------------------------------------------------------- set-up
    def _prepare(self, keep: int | None) -> None:
        longest = 0
        for kernel in self.program.kernels:
            if isinstance(kernel, Deliver):
                order, rows, delays = self._sort(kernel)
                self._rows[kernel.name] = order, rows, delays + late(self.program, kernel, kernel.events)
                longest = max(longest, int(self._rows[kernel.name][2][-1]))
        self.keep = keep or longest + 1
        fixed = constant_in_run(self.program)
        for array in self.program.arrays:
            self._allocate(array, array.name in fixed or array.role is Role.CLOCK)
        self.history: dict[str, np.ndarray] = {}
        if self._forward is None:
            self.history = {name: np.zeros((self.keep, *self.values[name].shape), self.values[name].dtype) for name in self._events}
        else:
            self._remember(self._forward)
        self._stored = [] if self._forward else [array.name for array in self.program.arrays if array.role is Role.TAPE]
        self.tape: dict[str, list[np.ndarray]] = {name: [] for name in (*self._stored, *(f"{name}:{array}" for name, array in self.program.tape))}

    def _remember(self, forward: NumpyEngine) -> None:
        """Events as the forward run had them, and room for a cotangent of each in each step."""
        self.history = dict(forward.history)
        for name in self._events:
            self.values[name] = forward.values[name]
            if f"{name}~" in self.values:
                self.history[f"{name}~"] = np.zeros(forward.history[name].shape, self.inputs.float_dtype)
        self._delays = {f"{k.name}~": self.values[k.delay] for k in forward.program.kernels if isinstance(k, Deliver) and k.delay is not None}

    def _allocate(self, array: Array, fixed: bool) -> None:
        name, size = array.name, self.inputs.sizes[array.space] if array.space else array.length
        if name not in self.values:
            kind = {DType.FLOAT: self.inputs.float_dtype, DType.BOOL: "bool"}.get(array.dtype, array.dtype.value)
            self.values[name] = np.zeros(size, kind)
        if self.batch is not None and not fixed and self.values[name].ndim == 1:
            self.values[name] = np.broadcast_to(self.values[name], (self.batch, size)).copy()

    def _sort(self, kernel: Deliver) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ends, count = self.inputs.connections[kernel.space].ends(kernel.side)
        delays = np.zeros(len(ends), np.int64) if kernel.delay is None else self.values[kernel.delay]
        order, rows, distinct = sorted_rows(ends, delays, count)
        return np.arange(len(ends), dtype=np.int32) if order is None else order, rows, distinct

    def set_up(self) -> None:
        """Compute what no step changes; call it again when parameters have changed."""
        with np.errstate(all="ignore"):
            for kernel in self.program.setup:
                self._map(kernel)

    # -------------------------------------------------------------------------------------------------------------------------------------- running
    def run(self, steps: int) -> None:
        """Advance by `steps` steps (fewer if `stop` is called), or go back as many for a backward Program."""
        self._stop = False
        with np.errstate(all="ignore"):
            end = self.step + steps
            for _ in range(steps):
                if self._stop or (self.step >= end and not self.program.reverse):
                    return
                if self.program.reverse:
                    self.step -= 1
                    self.one_step()
                else:
                    self.one_step()
                    self.step = min(end, self._following(self.step + 1))

    def begun(self, events: str) -> int:
        """The steps, of the clock of these events, that began before the tick that comes next."""
        return -(-self.step // self._every[events])

    def _following(self, tick: int) -> int:
        """The first tick from this one on at which a clock begins a step."""
        if len(self._clocks) == 1:
            ticks = self._clocks[0][1]
            return -(-tick // ticks) * ticks
        return min(-(-tick // ticks) * ticks for _, ticks in self._clocks)

    def stop(self) -> None:
        """Let `run` end with the step under way."""
        self._stop = True

    def one_map(self, kernel: Map) -> None:
        """Run one kernel of the step under way."""
        with np.errstate(all="ignore"):
            self._map(kernel)

    def one_delivery(self, kernel: Deliver, arrived: np.ndarray) -> None:
        """Run a pathway for the synapses where `arrived` holds: earliest sent first, then by source, then by creation."""
        synapses = np.flatnonzero(arrived)
        sources = self.inputs.connections[kernel.space].ends(kernel.side)[0][synapses]
        delays = np.zeros(len(synapses)) if kernel.delay is None else self.values[kernel.delay][synapses]
        synapses = synapses[np.lexsort((synapses, sources, -delays))]
        with np.errstate(all="ignore"):
            self._deliver_all(kernel, np.zeros(len(synapses), np.int64), synapses, np.ones(len(synapses), bool))

    def one_step(self) -> None:
        """Run every kernel once."""
        self._set_clock()
        if self._forward is not None:
            for name, kept in self._forward.tape.items():
                self.values[name] = kept[self.step]
            for name in self.history:
                self.values[name] = self.history[name][self.step]
        step = self.step
        for kernel, ticks, act in self._actions:
            if ticks > 1 and step % ticks:
                continue
            if self.program.tape:
                self._keep_tape(kernel)
            if self.spent is None:
                act()
                continue
            began = time.perf_counter()
            act()
            if self.spent is not None:  # a function may have ended the measurement
                self.spent[kernel.name] += time.perf_counter() - began
        if self._forward is None:
            for name in self._stored:
                self.tape[name].append(self.values[name].copy())
            for name, ticks in self._every.items():
                if step % ticks == 0:
                    self.history[name][step // ticks % self.keep] = self.values[name]

    def _set_clock(self) -> None:
        values = self.values
        for (t, dt, numbers), (_, ticks) in zip(self._clock_names, self._clocks):
            number = -(-self.step // ticks)
            if dt in values:
                if t not in values:
                    values[t] = np.zeros(1)
                values[t][...] = number * values[dt]
            if numbers not in values:
                values[numbers] = np.zeros(1, np.int64)
            values[numbers][...] = number

    def _keep_tape(self, kernel: Kernel) -> None:
        for name, array in self.program.tape:
            if name == kernel.name:
                self.tape[f"{name}:{array}"].append(self.values[array].copy())

    def _action(self, kernel: Kernel) -> Callable[[], None]:
        """What a kernel does in a step."""
        match kernel:
            case Map(after=()):
                return partial(self._map, kernel)
            case Map():
                return partial(self._map_after, kernel)
            case Deliver():
                return partial(self._deliver, kernel)
            case Record():
                return partial(self._record, kernel)
            case Table():
                return partial(self._table, kernel)
            case Extern():
                return lambda: self.inputs.calls[kernel.name]()
        raise TypeError(f"not a kernel: {kernel!r}")

    def _map_after(self, kernel: Map) -> None:
        if any(self._delivered.get(name, True) for name in kernel.after):
            self._map(kernel)

    def _record(self, kernel: Record) -> None:
        self.inputs.recorders[kernel.name](self._own_step(kernel), self.values[kernel.array], *(self.values[array] for array in kernel.gather))

    def _table(self, kernel: Table) -> None:
        row = self.inputs.tables[kernel.name](self._own_step(kernel))
        if kernel.add:
            self.values[kernel.array] += row
        else:
            self.values[kernel.array][...] = row

    def _own_step(self, kernel: Kernel) -> int:
        """The number of the step of the kernel's clock."""
        return self.step // self.program.every(kernel)

    def _map(self, kernel: Map) -> None:
        plan = self._plans.get(kernel.name)
        if plan is None:
            plan = self._plans[kernel.name] = self._plan(kernel)
        values = self.values
        if plan.idle is not None and not values[plan.idle].any():
            return
        arguments: list[Any]
        if plan.delayed:
            arguments = [self._past(load, kernel) if load.delayed else self._whole(load, kernel.space) for load in kernel.loads]
        else:
            arguments = [values[name] if ends is None else values[name][..., ends] for name, ends in plan.loads]
        if plan.draws:
            arguments += [self._draw(line, kernel, plan.elements) for line in plan.draws]
        given = set(map(id, arguments))
        for store, value in zip(plan.stores, self._kept(plan.function(*arguments, *plan.outside), given)):
            if store.delayed:
                self._add_to_past(store, value, kernel)
            else:
                self._store_whole(store, value, kernel.space, plan.chosen)

    @staticmethod
    def _kept(results: Sequence[Any], given: set[int]) -> list[Any]:
        """What is only passed on (`tmp = v; v = w; w = tmp`) is an array that an earlier store would overwrite."""
        return [value.copy() if id(value) in given else value for value in results]

    def _plan(self, kernel: Map) -> _Plan:
        chosen = None if kernel.part is None else slice(*kernel.part)
        loads = tuple((load.array, self._places_of(load.index, kernel.space, chosen)) for load in kernel.loads)
        outside = tuple(self._outside[kernel.name])
        return _Plan(
            self._functions[kernel.name],
            outside,
            loads,
            tuple(line for line in kernel.body if isinstance(line, Draw)),
            np.arange(self.inputs.sizes[kernel.space] if kernel.space else 1)[slice(None) if chosen is None else chosen],
            kernel.stores,
            chosen,
            kernel.only if not outside and self._forward is None else None,
            any(load.delayed for load in kernel.loads) or any(store.delayed for store in kernel.stores),
        )

    def _past(self, load: Load, kernel: Map) -> np.ndarray:
        """The value that each synapse's neuron had when it sent what arrives now; nothing before the first step."""
        ends, _ = self.inputs.connections[kernel.space].ends(load.index)
        sent = self.step - self._delays[kernel.name]
        values = self.history[load.array][np.maximum(sent, 0), ..., ends]  # (synapses, *batch)
        values = np.moveaxis(values, 0, -1)
        return np.where(sent >= 0, values, np.zeros((), values.dtype))

    def _add_to_past(self, store: Store, value: np.ndarray, kernel: Map) -> None:
        ends, count = self.inputs.connections[kernel.space].ends(store.index)
        sent = self.step - self._delays[kernel.name]
        history = self.history[store.array]
        full = np.broadcast_to(value, (*np.shape(value)[:-1], len(ends)))
        for step in np.unique(sent[sent >= 0]):
            chosen = sent == step
            history[step] += _scatter(full[..., chosen], ends[chosen], count)

    def _whole(self, load: Load, space: str) -> np.ndarray:
        values = self.values[load.array]
        if load.index in (Index.PRE, Index.POST):
            return values[..., self.inputs.connections[space].ends(load.index)[0]]
        return values

    def _places_of(self, index: Index, space: str, chosen: slice | None) -> np.ndarray | slice | None:
        """Where the elements of a Map have their values in an array; None if the array is taken as it is."""
        if index is Index.SELF:
            return chosen
        if index not in (Index.PRE, Index.POST):
            return None
        ends = self.inputs.connections[space].ends(index)[0]
        return ends if chosen is None else ends[chosen]

    def _store_whole(self, store: Store, value: np.ndarray, space: str, chosen: slice | None) -> None:
        target = self.values[store.array]
        places = self._places_of(store.index, space, chosen)
        if not store.add:
            target[... if places is None else (..., places)] = value  # of several synapses of one neuron, the last one counts
            return
        if isinstance(places, slice):
            target = target[..., places]
        elif places is not None:
            ends, count = places, self.inputs.connections[space].ends(store.index)[1]
            value = _scatter(np.broadcast_to(value, (*np.shape(value)[:-1], len(ends))), ends, count)
        elif store.index is Index.SHARED:
            size = self.inputs.sizes[space] if space else 1
            full = np.broadcast_shapes(np.shape(value), (size if chosen is None else chosen.stop - chosen.start,))
            value = np.broadcast_to(value, full).sum(axis=-1, keepdims=True)
        target += value.sum(axis=tuple(range(value.ndim - target.ndim))) if np.ndim(value) > target.ndim else value

    def _draw(self, line: Draw, kernel: Map | Deliver, elements: np.ndarray) -> np.ndarray | Callable[..., np.ndarray]:
        return drawn(line, self.inputs.seed, self.inputs.epoch, self._own_step(kernel), elements, self.inputs.stream(kernel))

    # ------------------------------------------------------------------------------------------------------------------------------------- delivery
    def arriving(self, kernel: Deliver) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Batch index, synapse and event value of everything that arrives in this step: earliest sent first, then by source, then by creation."""
        order, rows, delays = self._rows[kernel.name]
        parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for place in range(len(delays) - 1, -1, -1):
            delay = int(delays[place])
            events = self.values[kernel.events] if delay == 0 else self.history[kernel.events][(self._own_step(kernel) - delay) % self.keep]
            if not events.any():
                continue
            flat = events.reshape(-1, events.shape[-1])
            batch, sources = np.nonzero(flat)
            first, last = rows[sources * len(delays) + place], rows[sources * len(delays) + place + 1]
            count = last - first
            if not count.sum():
                continue
            inside = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            synapses = order[np.repeat(first, count) + inside]
            parts.append((np.repeat(batch, count), synapses, np.repeat(flat[batch, sources], count)))
        if not parts:
            empty = np.zeros(0, np.int64)
            return empty, empty, empty
        return tuple(np.concatenate(p) for p in zip(*parts))  # type: ignore[return-value]

    def _deliver(self, kernel: Deliver) -> None:
        batch, synapses, events = self.arriving(kernel)
        if len(synapses):
            self._deliver_all(kernel, batch, synapses, events)
        self._delivered[kernel.name] = len(synapses) > 0

    def _deliver_all(self, kernel: Deliver, batch: np.ndarray, synapses: np.ndarray, events: np.ndarray) -> None:
        if not kernel.sequential:
            self._deliver_some(kernel, batch, synapses, events)
            return
        for n in range(len(synapses)):
            self._deliver_some(kernel, batch[n : n + 1], synapses[n : n + 1], events[n : n + 1])

    def _deliver_some(self, kernel: Deliver, batch: np.ndarray, synapses: np.ndarray, events: np.ndarray) -> None:
        arguments: list[Any] = [self._loaded(load, kernel, synapses, batch) for load in kernel.loads]
        arguments += [self._draw(line, kernel, synapses) for line in kernel.body if isinstance(line, Draw)]
        results = self._functions[kernel.name](*arguments, *self._outside[kernel.name])
        for store, value in zip(kernel.stores, results):
            places = self._places(store.index, kernel, synapses)
            target = self.values[store.array]
            if store.add:
                amount = np.broadcast_to(value, places.shape) * (events if events.dtype.kind == "f" else 1)
                flat = target.reshape(-1)
                where = places if target.ndim == 1 else batch * target.shape[-1] + places
                np.add.at(flat, where, amount.astype(flat.dtype, copy=False))  # one after the other, in the order of arrival
            elif target.ndim == 1:
                target[places] = value
            else:
                target[batch, places] = value

    def _loaded(self, load: Load, kernel: Deliver, synapses: np.ndarray, batch: np.ndarray) -> np.ndarray:
        if load.index is not Index.WHOLE:
            return self._at(load.array, self._places(load.index, kernel, synapses), batch)
        if self.values[load.array].ndim > 1:
            raise UnsupportedError(f"pathway {kernel.name} reaches other elements of {load.array}, which differ between the members of a batch")
        return self.values[load.array]

    def _places(self, index: Index, kernel: Deliver, synapses: np.ndarray) -> np.ndarray:
        if index is Index.SHARED:
            return np.zeros(len(synapses), np.int64)
        return synapses if index is Index.SELF else self.inputs.connections[kernel.space].ends(index)[0][synapses]

    def _at(self, array: str, places: np.ndarray, batch: np.ndarray) -> np.ndarray:
        values = self.values[array]
        return values[places] if values.ndim == 1 else values[batch, places]


def _scatter(values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """Sum `values` (over the last axis) into `count` places, in order."""
    flat = values.reshape(-1, values.shape[-1])
    sums = np.stack([np.bincount(places, row, minlength=count) for row in flat]) if len(flat) else np.zeros((0, count))
    return sums.reshape(*values.shape[:-1], count).astype(values.dtype, copy=False)
