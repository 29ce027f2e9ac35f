"""The compiled engine: forward and backward runs of whole batches as compiled kernels, tile by tile, on several threads.

It takes from the torch engine what is computed once a run (set-up, amounts that synapses add), so autograd knows of it; what steps do is one operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch

from codegen.adjoint import active_arrays
from codegen.emit import cython, products
from codegen.errors import UnsupportedError
from codegen.expr import DType, Index
from codegen.ir import Array, Extern, Map, Program, Role, Table
from codegen.outside import Arrivals, feed_pathways, trained_arrays
from codegen.pipeline import joined_program, training_programs
from codegen.surrogate import Gradients

from ..._training import dense_gradient, run_tiles, sparse_gradient
from ...build import build_cython
from ...simulate import Connection
from ..delivery import Values
from ..engine import TorchEngine
from ..recording import Reduction
from .backwards import Backward, WeightGradient
from .forwards import PAST, Forward, Network, Results, Tensors
from .linear import parts_of
from .parallel import thread_count, together
from .stage import Compiled, Extent, Stage, address, aligned

NEAR = 512 * 1024  # bytes of a gradient that a thread works on at a time: what stays in half of a level 2 cache


class Refused(Exception):
    """What this engine cannot do: the torch engine does it. The message says what, as the end of a sentence."""


@dataclass(slots=True)
class Variant:
    """Forward and backward Program for the tensors whose gradients are asked for, with their kernels.

    `read` are the events that the backward Program reads, `active` the arrays that have gradients; `out` and `tape` the names of what runs hand out and keep.
    """

    forward: Program
    backward: Program | None
    arrays: Mapping[str, Array]
    kernels: Mapping[str, Compiled]
    read: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()
    out: tuple[str, ...] = ()
    tape: tuple[str, ...] = ()


@cache
def product_functions(float_dtype: str) -> dict[str, int]:
    """The addresses of the compiled products, by name."""
    sources = products.sources(float_dtype)
    built = build_cython(list(sources.values()))
    return {name: built[source.name].address for name, source in sources.items()}


class CompiledEngine:
    """Runs a Program as compiled kernels.

    Parameters
    ----------
    engine : the torch engine of the same Program, which defines the results.
    gradient : how spikes count in gradients.
    connections : the synapses of each Synapses object.
    reductions : of each record.
    moving : the arrays that make the state.
    dt : in seconds.

    Raises
    ------
    Refused
        for Programs that hold what it cannot do.
    """

    def __init__(
        self,
        engine: TorchEngine,
        gradient: Gradients,
        connections: Mapping[str, Connection],
        reductions: Mapping[str, Reduction | None],
        moving: Sequence[str],
        dt: float,
    ) -> None:
        self.engine, self.gradient, self.connections, self.dt = engine, gradient, connections, dt
        if engine._learned:
            raise Refused("delays are learned")
        if any(noise.parameters is None for noise in engine.noises):
            raise Refused("random numbers have parameters that change during a run")
        program, arrivals = feed_pathways(joined_program(replace(engine.program, setup=())))
        for kernel in program.kernels:
            if isinstance(kernel, Extern):
                raise Refused(f"it calls the function {kernel.name}")
            if isinstance(kernel, Map) and not cython.compilable(kernel):
                raise Refused(f"{kernel.name} needs a matrix exponential or a Python function in every step")
        parts = {one.name: tuple(parts_of(one, engine.deliveries[one.pathway.name])) for one in arrivals if one.store is not None}
        delays = {one.name: _delays(engine, one) for one in arrivals if one.store is None}
        fed = {kernel.array for kernel in program.kernels if isinstance(kernel, Table)}
        moving = tuple(name for name in moving if name not in fed)
        self.network = Network(program, {one.name: one for one in arrivals}, parts, delays, engine.memory, engine.fixed, moving, dict(reductions))
        inputs = self.network.inputs()
        self.arrays = {a.name: _as_numbers(a) if a.name in inputs else a for a in program.arrays}
        loaded = dict.fromkeys(load.array for kernel in program.kernels if isinstance(kernel, Map) for load in kernel.loads)
        self.constants = tuple(name for name in loaded if name in engine.fixed)
        for kernel in program.kernels:
            if isinstance(kernel, Map) and any(load.index is Index.WHOLE and load.array not in engine.fixed for load in kernel.loads):
                raise Refused(f"{kernel.name} reaches other elements of what changes during a run")
        self._variants: dict[tuple[bool, frozenset[str]], Variant | Refused] = {}

    # --------------------------------------------------------------------------------------------------------------------------------------- variants
    def variant(self, wide: bool, wanted: frozenset[str]) -> Variant:
        """The Programs for the gradients of the tensors in `wanted`, compiled."""
        key = (wide, wanted)
        if key not in self._variants:
            try:
                self._variants[key] = self._compile(wide, wanted)
            except Refused as refused:
                self._variants[key] = refused
        found = self._variants[key]
        if isinstance(found, Refused):
            raise found
        return found

    def _compile(self, wide: bool, wanted: frozenset[str]) -> Variant:
        forward, backward, active = self.network.program, None, frozenset[str]()
        if wanted:
            tables, trained = frozenset(self.network.inputs().values()), self._trained(wanted)
            try:
                forward, backward = training_programs(self.network.program, self.gradient, trained, tables)
            except UnsupportedError as error:
                raise Refused(str(error)) from error
            active = active_arrays(self.network.program, self.gradient, trained)
            backward = self._summed_at_the_end(backward)
        more = (*forward.arrays, *(backward.arrays if backward is not None else ()))
        arrays = {**{a.name: a for a in more}, **self.arrays}
        maps = [k for k in (*forward.kernels, *(backward.kernels if backward is not None else ())) if isinstance(k, Map)]
        float_dtype = "float64" if wide else "float32"
        sources = {kernel.name: cython.render(kernel, arrays, float_dtype, batch=True) for kernel in maps}
        built = build_cython(list(sources.values()))
        kernels = {kernel.name: Compiled(kernel, sources[kernel.name], built[sources[kernel.name].name]) for kernel in maps}
        events = {a.name for a in self.network.program.arrays if a.role is Role.EVENT}
        read = {load.array for kernel in backward.kernels if isinstance(kernel, Map) for load in kernel.loads} & events if backward is not None else set()
        return Variant(forward, backward, arrays, kernels, frozenset(read), active)

    def _trained(self, wanted: frozenset[str]) -> tuple[str, ...]:
        """The arrays whose cotangents are needed for the gradients of these tensors."""
        network = self.network
        tables = {table: array for array, table in network.inputs().items()}
        arrays = {tables.get(name, name.removesuffix(PAST)) for name in wanted}
        known = {a.name for a in network.program.arrays}
        amounts = [name for name, parts in network.parts.items() if any(part.name in wanted for part in parts)]
        return trained_arrays(network.program, tuple(network.arrivals.values()), self.gradient, arrays & known, amounts)

    def _summed_at_the_end(self, backward: Program) -> Program:
        """`Program -> Program`: elements add to the cotangent of a constant that they share each on its own, and are summed after the run."""
        new: dict[str, Array] = {}
        kernels = []
        for kernel in backward.kernels:
            if isinstance(kernel, Map) and kernel.space:
                stores = []
                for store in kernel.stores:
                    original = store.array.removesuffix("~")
                    if store.index is Index.SHARED and store.add and original in self.network.fixed:
                        name = f"{store.array}:{kernel.space}"
                        new[name] = Array(name, kernel.space, Role.COTANGENT)
                        store = replace(store, array=name, index=Index.SELF)
                    stores.append(store)
                kernel = replace(kernel, stores=tuple(stores))
            kernels.append(kernel)
        return replace(backward, arrays=(*backward.arrays, *new.values()), kernels=tuple(kernels))

    # ---------------------------------------------------------------------------------------------------------------------------------------- tensors
    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tensors that the operator takes, in order."""
        network = self.network
        tables = [kernel.name for kernel in network.program.kernels if isinstance(kernel, Table) and kernel.name not in network.arrivals]
        parts = [part.name for found in network.parts.values() for part in found]
        pasts = [events + PAST for events in network.memory]
        return (*self.constants, *network.moving, *tables, *parts, *pasts)

    def size(self, name: str) -> int:
        """The number of elements of an array."""
        array = self.arrays[name]
        return self.engine.sizes[array.space] if array.space else array.length

    def amounts(self, values: Values) -> dict[str, torch.Tensor]:
        """The weights of the linear pathways."""
        return {part.name: part.amounts(values) for found in self.network.parts.values() for part in found}

    # ------------------------------------------------------------------------------------------------------------------------------------------- runs
    def extent(self, steps: int, members: int, first: int, wide: bool) -> Extent:
        """How a run is divided; never by the number of threads."""
        return Extent(steps, members, min(tile_of(self.network, wide), max(1, members)), first, self.dt, wide)

    def run(self, tensors: Tensors, extent: Extent, wanted: frozenset[str]) -> Results:
        """The forward run."""
        variant = self.variant(extent.wide, wanted)
        stage = Stage(variant.arrays, self.engine.sizes, self.connections, extent)
        functions = product_functions(extent.real.name)
        forward = Forward(self.network, variant.forward, stage, variant.kernels, tensors, functions, variant.read if wanted else None)
        results = forward.write()
        _carry_out(stage, reverse=False)
        if not wanted:
            results.tape = {}
        for events, past in self.network.memory.items():
            results.out[events + PAST] = self._last_events(forward, tensors, events, past)
        variant.out, variant.tape = tuple(results.out), tuple(results.tape)
        return results

    def _last_events(self, forward: Forward, tensors: Tensors, events: str, past: int) -> torch.Tensor:
        """The events of the last steps of a run."""
        extent, real = forward.extent, torch.float64 if forward.extent.wide else torch.float32
        size = self.size(events)
        if events in forward.rasters:
            bits = forward.rasters[events][-past:].view(np.uint8)
            return torch.from_numpy(np.unpackbits(bits, axis=-1, count=size, bitorder="little")).to(real)
        table = tensors[self.network.inputs()[events]]
        rows = table[max(0, len(table) - past) :].expand(-1, extent.members, size).to(real)
        before = tensors[events + PAST][len(rows) :].expand(-1, extent.members, size).to(real) if len(rows) < past else rows[:0]
        return torch.cat([before, rows]).clone()

    def run_back(self, tensors: Tensors, tape: Tensors, gradients: Tensors, extent: Extent, wanted: frozenset[str]) -> dict[str, torch.Tensor]:
        """The backward run: the gradients of the tensors in `wanted`; those that are missing are 0."""
        variant = self.variant(extent.wide, wanted)
        assert variant.backward is not None
        stage = Stage(variant.arrays, self.engine.sizes, self.connections, extent)
        functions = product_functions(extent.real.name)
        backward = Backward(self.network, variant.forward, variant.backward, stage, variant.kernels, functions, tensors, tape, gradients, wanted)
        backward.write()
        _carry_out(stage, reverse=True)
        _weight_gradients(backward.weights, extent, functions)
        return backward.finish()


def tile_of(network: Network, wide: bool) -> int:
    """How many members of a batch run together: 8; 32 where a weight matrix does not fit half of a level 2 cache, so that what is read of it serves more."""
    item = 8 if wide else 4
    largest = max((part.n_source * part.n_target * item for found in network.parts.values() for part in found if part.dense), default=0)
    return 32 if largest > 768 * 1024 else 8


def _as_numbers(array: Array) -> Array:
    """An input in memory: events may be graded."""
    return replace(array, role=Role.INPUT, dtype=DType.FLOAT) if array.role is Role.EVENT else array


def _delays(engine: TorchEngine, arrivals: Arrivals) -> np.ndarray:
    """After how many steps the event of each synapse arrives."""
    delivery = engine.deliveries[arrivals.pathway.name]
    found = np.zeros(len(delivery.places), np.int32)
    for delay, chosen in delivery.delays:
        found[slice(None) if chosen is None else chosen.numpy()] = delay
    return found


def _carry_out(stage: Stage, reverse: bool) -> None:
    """All steps of all tiles."""
    extent = stage.extent
    begin, step, end, entries = stage.operations.tables()
    threads, following, stop = thread_count(extent.tiles), np.zeros(1, np.int64), np.zeros(1, np.int32)

    def work(number: int) -> int:
        memory = np.empty(stage.memory.bytes + 64, np.int8)
        start = -memory.ctypes.data % 64
        pointers, strides = np.zeros(len(entries) + 1, np.int64), np.zeros(len(entries) + 1, np.int64)
        return run_tiles(
            begin, step, end, entries, extent.steps, extent.members, extent.tile, extent.first, extent.dt, reverse, stage.memory.bytes,
            memory[start:], pointers, strides, following, stop,
        )

    together(work, threads, stop)


def _weight_gradients(weights: Sequence[WeightGradient], extent: Extent, functions: Mapping[str, int]) -> None:
    """Threads own columns (or, of sparse parts, sources) and add in the order of steps and members: the same bits for any number of threads."""
    pieces: list[tuple[WeightGradient, int, int]] = []
    for one in weights:
        if one.part.dense:
            width, columns = len(one.gradient) // max(1, one.part.n_source), _columns(one.part.n_source, extent.real.itemsize)
            pieces += [(one, begin, min(begin + columns, width)) for begin in range(0, width, columns)]
        else:
            assert one.part.row is not None
            cuts = np.unique(np.searchsorted(one.part.row, np.linspace(0, one.part.row[-1], 9)))
            cuts[-1:] = one.part.n_source
            bounds = np.unique(np.concatenate([[0], cuts]))
            pieces += [(one, int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:])]
    if not pieces:
        return
    stop, taken = np.zeros(1, np.int32), iter(pieces)

    def work(number: int) -> None:
        for one, begin, end in taken:  # a list's iterator gives each piece to one thread
            if stop[0]:
                return
            _weight_gradient(one, begin, end, extent, functions, stop)

    together(work, thread_count(len(pieces)), stop)


def _columns(n_source: int, item: int) -> int:
    """How many columns of a gradient a thread works on at a time."""
    return min(max(NEAR // (max(1, n_source) * item) // 64 * 64, 64), 256)


def _weight_gradient(one: WeightGradient, begin: int, end: int, extent: Extent, functions: Mapping[str, int], stop: np.ndarray) -> None:
    events, item, part = one.events, extent.real.itemsize, one.part
    stride = len(one.cotangents) // (extent.steps * extent.members)
    bits = events.get("")
    lists = (0, 0, 0, 0) if bits is not None else (
        address(events["first"]), address(events["index"]), address(events["value"]) if events["graded"].any() else 0, events["first"].shape[1]
    )
    common = (stride, item, extent.steps, extent.members, extent.tile, one.shift)
    if part.dense:
        function = functions["gradient_rows" if bits is None else "gradient_bits"]
        near = aligned(part.n_source * (end - begin), extent.real)  # rows follow each other: in a matrix of 1024 columns they would share few lines of cache
        near[:] = 0
        dense_gradient(
            function, address(near) - begin * item, end - begin, begin, end, address(one.cotangents), *common, lists[3], lists[0], lists[1], lists[2],
            0 if bits is None else address(bits), 0 if bits is None else bits.shape[-1], stop,
        )
        one.gradient.reshape(part.n_source, -1)[:, begin:end] = near.reshape(part.n_source, -1)
        return
    assert part.row is not None and part.target is not None
    offsets, numbers = np.zeros(extent.tile + 1, np.int64), np.zeros(extent.tile * part.n_source, np.int32)
    sparse_gradient(
        functions["sparse_gradient"], address(one.gradient), begin, end, address(one.cotangents), *common, lists[3], lists[0], lists[1], lists[2],
        0 if bits is None else address(bits), 0 if bits is None else bits.shape[-1], address(part.row), address(part.target), offsets, numbers, stop,
    )
