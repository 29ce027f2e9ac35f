"""The compiled engine: forward and backward runs of whole batches as compiled kernels, tile by tile, on several threads.

It takes from the torch engine what is computed once a run (set-up, amounts that synapses add), so autograd knows of it; what steps do is one operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import torch

from codegen.adjoint import active_arrays
from codegen.emit import cython, products
from codegen.errors import UnsupportedError
from codegen.expr import DType, Index
from codegen.ir import Array, Draw, Extern, Map, Program, Record, Role, Table
from codegen.noise import draw_apart, drawing_map
from codegen.outside import Arrivals, feed_pathways, trained_arrays
from codegen.pipeline import joined_program, training_programs
from codegen.surrogate import Gradients
from codegen.wanted import wanted_cotangents

from ..._training import run_tiles
from ...build import build_cython
from ...simulate import Connection
from ..delivery import Values
from ..engine import TorchEngine, memory_of
from ..maps import Elements
from ..recording import Reduction
from .backwards import BAR, Backward
from .delay_gradients import DelayGradients
from .delayed import SHIFT, STEPS, Learned, delayed_of
from .draws import SAMPLES, SEED
from .forwards import Forward, Results
from .inputs import given_lists, list_names, rows_of_lists
from .linear import parts_of, takes_longer
from .network import PAST, Network, Tensors
from .packing import BYTES, TILES, Packing, no_bytes, unpack
from .parallel import thread_count, together
from .stage import Compiled, Extent, Stage, aligned
from .tapes import with_ties
from .weights import WeightGradients

LONGEST = 2**20  # steps of a learned delay
MOST = 2**22  # elements of a member's window on the steps that delays reach


class Refused(Exception):
    """What this engine cannot do: the torch engine does it. The message says what, as the end of a sentence."""


_measuring: ContextVar[bool] = ContextVar("measuring", default=False)


class Measured(Exception):
    """How many bytes a run would keep for the backward run, and hand out, by name; but for events of dense inputs, of which nobody knows how many there are."""

    def __init__(self, tape: Mapping[str, int], out: Mapping[str, int]) -> None:
        super().__init__("a run was measured")
        self.tape, self.out = tape, out


@contextmanager
def measuring() -> Iterator[None]:
    """Runs end with `Measured` where they would begin; their memory is asked for, but never touched."""
    token = _measuring.set(True)
    try:
        yield
    finally:
        _measuring.reset(token)


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
    useful: Mapping[str, Compiled] = field(default_factory=dict)
    out: tuple[str, ...] = ()
    tapes: dict[tuple[bool, bool], tuple[str, ...]] = field(default_factory=dict)
    """What runs keep, by whether they save beginnings only, and whether in halves."""

    def tape(self, extent: Extent) -> tuple[str, ...]:
        """The names of what a run keeps."""
        return self.tapes[bool(extent.checkpoint), extent.half]


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
        self.key = engine.key
        self.set_ups = SetUps(engine._setup)
        program, arrivals = feed_pathways(joined_program(replace(engine.program, setup=())))
        program = draw_apart(program)
        for kernel in program.kernels:
            if isinstance(kernel, Extern):
                raise Refused(f"it calls the function {kernel.name}")
            if isinstance(kernel, Map) and not cython.compilable(kernel):
                raise Refused(f"{kernel.name} needs a matrix exponential or a Python function in every step")
        self.learned = {name: Learned(engine.deliveries[name], dt, late_of(arrivals, name)) for name, dt in engine.learned.items()}
        deliveries = engine.deliveries
        linear = [one for one in arrivals if one.store is not None]
        parts = {one.name: tuple(parts_of(one, deliveries[one.pathway.name])) for one in linear if one.pathway.name not in self.learned}
        delayed = {one.name: delayed_of(one, deliveries[one.pathway.name]) for one in linear if one.pathway.name in self.learned}
        for one in linear:
            if one.name in parts and takes_longer(parts[one.name]):
                part = delayed_of(one, deliveries[one.pathway.name]).after(_delays(engine, one))
                if part.elements <= MOST:
                    del parts[one.name]
                    delayed[one.name] = part
        delays = {one.name: _delays(engine, one) for one in arrivals if one.store is None}
        memory = memory_of({name: one for name, one in deliveries.items() if name not in self.learned})
        memory |= {one.events: max(1, memory.get(one.events, 0)) for one in self.learned.values()}
        fed = {kernel.array for kernel in program.kernels if isinstance(kernel, Table)}
        moving = tuple(name for name in moving if name not in fed)
        known = [noise for noise in engine.noises if noise.parameters is not None]
        noises = {noise.name: (noise, engine.streams.get(noise.owner, 0)) for noise in known}
        draws = {noise.name: drawing_map(program, noise) for noise in known if noise.parameters}
        drawing = (*draws.values(), *(kernel for kernel in program.kernels if isinstance(kernel, Map) and any(isinstance(line, Draw) for line in kernel.body)))
        streams = {kernel.name: engine.streams.get(kernel.space or kernel.name.partition(".")[0], 0) for kernel in drawing}
        fed_by = {one.name: one for one in arrivals}
        self.network = Network(program, fed_by, parts, delayed, delays, memory, engine.fixed, moving, dict(reductions), noises, draws, streams)
        """Without the delays that a run is given: see `network_of`."""
        self._delayed: tuple[Mapping[str, np.ndarray], Network] | None = None
        inputs = self.network.inputs()
        self.arrays = {a.name: _as_numbers(a) if a.name in inputs else a for a in program.arrays}
        self.fed_events = tuple(a.name for a in program.arrays if a.name in inputs and a.role is Role.EVENT)
        """The inputs that hold events: lists are taken for them."""
        maps = [kernel for kernel in (*program.kernels, *draws.values()) if isinstance(kernel, Map)]
        loaded = dict.fromkeys(load.array for kernel in maps for load in kernel.loads)
        self.constants = tuple(name for name in loaded if name in engine.fixed)
        for kernel in program.kernels:
            if isinstance(kernel, Map) and any(load.index is Index.WHOLE and load.array not in engine.fixed for load in kernel.loads):
                raise Refused(f"{kernel.name} reaches other elements of what changes during a run")
        self.counts: dict[str, tuple[int, int]] = {}
        """Of the last run, for each dense part how many steps of tiles added rows of events, and how many made a product; for each part with a `~` behind its
        name, how many returned the cotangents that count, and how many all; with a `'`, for pieces of the gradient, rows of events or products."""
        self._variants: dict[tuple[bool, frozenset[str]], Variant | Refused] = {}
        self.names = self._names()
        """The names of the tensors that the operator takes, in order."""

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
        kernels = (*forward.kernels, *(backward.kernels if backward is not None else ()), *self.network.draws.values())
        maps = [kernel for kernel in kernels if isinstance(kernel, Map)]
        float_dtype = "float64" if wide else "float32"
        more_arrays, useful = wanted_cotangents(forward, backward) if backward is not None else ((), {})
        arrays |= {a.name: a for a in more_arrays}
        maps += useful.values()
        sources = {kernel.name: cython.render(kernel, arrays, float_dtype, batch=True) for kernel in maps}
        built = build_cython(list(sources.values()))
        compiled = {kernel.name: Compiled(kernel, sources[kernel.name], built[sources[kernel.name].name]) for kernel in maps}
        events = {a.name for a in self.network.program.arrays if a.role is Role.EVENT}
        read = {load.array for kernel in backward.kernels if isinstance(kernel, Map) for load in kernel.loads} & events if backward is not None else set()
        counting = {events: compiled[kernel.name] for events, kernel in useful.items()}
        records = [kernel.name for kernel in forward.kernels if isinstance(kernel, Record) and kernel.array not in self.network.fixed]
        out = (*records, *self.network.moving, *(events + PAST for events in self.network.memory))
        return Variant(forward, backward, arrays, compiled, frozenset(read), active, counting, out)

    def _trained(self, wanted: frozenset[str]) -> tuple[str, ...]:
        """The arrays whose cotangents are needed for the gradients of these tensors."""
        network = self.network
        tables = {table: array for array, table in network.inputs().items()}
        arrays = {tables.get(name, name.removesuffix(PAST)) for name in wanted}
        known = {a.name for a in network.program.arrays}
        amounts = [name for name, parts in network.parts.items() if any(part.name in wanted for part in parts)]
        amounts += [name for name, part in network.delayed.items() if part.name in wanted]
        amounts += [name for name, one in network.arrivals.items() if one.pathway.name + SHIFT in wanted]
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
    def _names(self) -> tuple[str, ...]:
        network = self.network
        tables = [kernel.name for kernel in network.program.kernels if isinstance(kernel, Table) and kernel.name not in network.arrivals]
        parts = [part.name for found in network.parts.values() for part in found] + [part.name for part in network.delayed.values()]
        parts += [name + kind for name in self.learned for kind in (STEPS, SHIFT)]
        pasts = [events + PAST for events in network.memory]
        lists = [name for events in self.fed_events for name in list_names(events)]
        noise = (SEED, SAMPLES) if self.engine.noises else ()
        return (*self.constants, *network.moving, *tables, *lists, *noise, *parts, *pasts)

    def size(self, name: str) -> int:
        """The number of elements of an array."""
        array = self.arrays[name]
        return self.engine.sizes[array.space] if array.space else array.length

    def amounts(self, values: Values) -> dict[str, torch.Tensor]:
        """The weights of the linear pathways, and delays that are learned."""
        found = {part.name: part.amounts(values) for found in self.network.parts.values() for part in found}
        found |= {part.name: part.amounts(values) for part in self.network.delayed.values()}
        return found | {name: tensor for one in self.learned.values() for name, tensor in one.given(values).items()}

    def network_of(self, tensors: Tensors) -> Network:
        """The network with the learned delays of a run; that of the last run if they are still the same."""
        if not self.learned:
            return self.network
        steps = {name: tensors[name + STEPS].numpy() for name in self.learned}
        known = self._delayed
        if known is not None and all(np.array_equal(known[0][name], found) for name, found in steps.items()):
            return known[1]
        network = self.network
        memory = dict(network.memory)
        for name, found in steps.items():
            events, longest = self.learned[name].events, int(found.max(initial=0))
            memory[events] = max(memory[events], longest + 1)
            if longest > LONGEST:
                raise Refused(f"a learned delay is {longest:,} steps")
        delayed = {name: part.after(steps[part.pathway]) if part.pathway in steps else part for name, part in network.delayed.items()}
        if any(part.elements > MOST for part in delayed.values()):
            raise Refused("learned delays are too long for so many neurons")
        delays = {name: steps.get(network.arrivals[name].pathway.name, found) for name, found in network.delays.items()}
        made = replace(network, delayed=delayed, delays=delays, memory=memory)
        self._delayed = {name: found.copy() for name, found in steps.items()}, made
        return made

    def read_back(self, variant: Variant, again: bool) -> frozenset[str]:
        """The names of the tensors whose values a backward run reads; `again`: one that does steps of the forward run again."""
        assert variant.backward is not None
        network = self.network
        delayed = {*(one.events for one in self.learned.values()), *(part.arrivals.pathway.events for part in network.delayed.values())}
        kernels = [*variant.backward.kernels, *(one.kernel for one in variant.useful.values()), *(variant.forward.kernels if again else ())]
        loaded = {load.array for kernel in kernels if isinstance(kernel, Map) for load in kernel.loads}
        gathered = {one.pathway.events for one in network.arrivals.values() if one.store is None and (again or one.pathway.name in self.learned)}
        known = {*self.constants, *(name for events in self.fed_events for name in list_names(events)), SEED, SAMPLES, *network.noises}
        known |= {table for array, table in network.inputs().items() if array in loaded | gathered} | {events + PAST for events in gathered | delayed}
        returned = {a.name for a in variant.backward.arrays if a.role is Role.COTANGENT}
        sending = {name for name, one in network.arrivals.items() if again or one.pathway.events + BAR in returned}
        known |= {part.name for name in sending for part in network.parts.get(name, ())} | {part.name for part in network.delayed.values()}
        return frozenset(known | {name + part for name in self.learned for part in (STEPS, SHIFT)})

    # ------------------------------------------------------------------------------------------------------------------------------------------- runs
    def extent(
        self, steps: int, members: int, first: Sequence[int], wide: bool, checkpoint: int = 0, half: bool = False, lengths: Sequence[int] = ()
    ) -> Extent:
        """How a run is divided; never by the number of threads. `first` is the number of the first step, one or one for each member."""
        tile = min(tile_of(self.network, wide), max(1, members))
        return Extent(steps, members, tile, tuple(first), self.dt, wide, min(checkpoint, steps), half and not checkpoint, tuple(lengths))

    def run(self, tensors: Tensors, extent: Extent, wanted: frozenset[str]) -> Results:
        """The forward run."""
        variant, network, forward = self._forward(tensors, extent, wanted)
        stage, results = forward.stage, forward.write()
        for events in forward.listed() if wanted else ():  # a tape has the same names whatever an input is
            results.tape |= no_bytes(events)
        if _measuring.get():
            raise Measured({name: value.nbytes for name, value in results.tape.items()}, {name: value.nbytes for name, value in results.out.items()})
        read = [events for events in forward.scanned if events not in forward.given and self._lists_are_read(events, wanted, extent)]
        packings = {events: Packing(stage, forward.scanned[events], self.size(events)) for events in read}
        _carry_out(stage, Desks(stage, extent.steps))
        self._count(stage)
        if not wanted:
            results.tape = {}
        results.tape |= with_ties(results.tape, extent)
        for events, packing in packings.items():
            results.tape |= packing.kept(events)
        for events, past in network.memory.items():
            results.out[events + PAST] = self._last_events(forward, tensors, events, past)
        assert tuple(results.out) == variant.out
        variant.tapes[bool(extent.checkpoint), extent.half] = tuple(results.tape)
        return results

    def _lists_are_read(self, events: str, wanted: frozenset[str], extent: Extent) -> bool:
        """Whether the backward run reads the lists of an input."""
        network, names = self.network, set[str]()
        for name, one in network.arrivals.items():
            if one.pathway.events == events:
                names |= {part.name for part in network.parts.get(name, ())}
                names |= {network.delayed[name].name, network.delayed[name].shift} if name in network.delayed else set()
        return bool(names & wanted or wanted and extent.checkpoint)

    def _forward(self, tensors: Tensors, extent: Extent, wanted: frozenset[str]) -> tuple[Variant, Network, Forward]:
        """A forward run, not yet written."""
        variant, network = self.variant(extent.wide, wanted), self.network_of(tensors)
        stage = Stage(variant.arrays, self.engine.sizes, self.connections, extent)
        functions = product_functions(extent.real.name)
        return variant, network, Forward(network, variant.forward, stage, variant.kernels, tensors, functions, variant.read if wanted else None, variant.useful)

    def outline(self, tensors: Tensors, extent: Extent, wanted: frozenset[str]) -> tuple[Results, frozenset[str]]:
        """What a run would hand out and keep, with values that nobody has computed; and the names of what is as long as there are events."""
        variant, network, forward = self._forward(tensors, extent, wanted)
        results, counted = forward.write(), set[str]()
        results.tape = results.tape if wanted else {}
        for name in [name for name in results.tape if name.endswith("|bits")]:  # of those samples whose maxima have ties
            results.tape[name] = torch.empty(0, dtype=torch.uint8)
            counted.add(name)
        for events in forward.listed() if wanted else ():
            results.tape |= no_bytes(events)
            if events not in forward.given and self._lists_are_read(events, wanted, extent):
                results.tape[events + TILES] = torch.empty(extent.tiles, 4, dtype=torch.int64)
                counted.add(events + BYTES)
        for events, past in network.memory.items():
            results.out[events + PAST] = torch.empty(past, extent.members, self.size(events), dtype=forward.real)
        assert tuple(results.out) == variant.out
        variant.tapes[bool(extent.checkpoint), extent.half] = tuple(results.tape)
        return results, frozenset(counted)

    def _count(self, stage: Stage) -> None:
        self.counts = self.counts | {name: (int(some), int(every)) for name, (some, every) in stage.counts.items()}

    def _last_events(self, forward: Forward, tensors: Tensors, events: str, past: int) -> torch.Tensor:
        """The events of the last steps of a run."""
        extent, real = forward.extent, torch.float64 if forward.extent.wide else torch.float32
        size, own = self.size(events), np.array(extent.lengths, np.int64)
        if extent.lengths:
            each = own + np.arange(past)[:, None], np.arange(extent.members)
            if events in forward.rasters:
                bits = forward.rasters[events][each].view(np.uint8)
                return torch.from_numpy(np.unpackbits(bits, axis=-1, count=size, bitorder="little")).to(real)
            if (lists := given_lists(tensors, events)) is not None:
                return torch.from_numpy(rows_of_lists(lists, each[0], size))
            parts = tensors[events + PAST], tensors[self.network.inputs()[events]]
            return torch.cat([part.expand(-1, extent.members, size).to(real) for part in parts])[each]
        if events in forward.rasters:
            bits = forward.rasters[events][-past:].view(np.uint8)
            return torch.from_numpy(np.unpackbits(bits, axis=-1, count=size, bitorder="little")).to(real)
        lists = given_lists(tensors, events)
        if lists is not None:
            last = np.broadcast_to(extent.steps + np.arange(past)[:, None], (past, extent.members))
            return torch.from_numpy(rows_of_lists(lists, last, size))
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
        network = self.network_of(tensors)
        tape = dict(tape)
        for events in [name.removesuffix(TILES) for name in tape if name.endswith(TILES)]:
            tape |= unpack(stage, events, tape, network.past(events), self.size(events))
        backward = Backward(
            network, variant.forward, variant.backward, stage, variant.kernels, functions, tensors, tape, gradients, wanted, variant.useful
        )
        again = None
        if extent.checkpoint:
            again = stage.beside()
            stage.places |= Forward(network, variant.forward, again, variant.kernels, tensors, functions, variant.read).write_again(tape).places
        backward.write()
        desks, sums = Desks(stage, backward.period), WeightGradients(backward.weights, extent, functions)
        delays = DelayGradients(backward.delayed, backward.slopes, extent, functions, backward.period)
        for first in range((extent.steps - 1) // backward.period * backward.period, -1, -backward.period):
            last = min(first + backward.period, extent.steps)
            _carry_out(stage, desks, again, (first, last))
            sums.add(first, last)
            delays.add(first, last)
        sums.finish()
        delays.finish(backward.out, tensors)
        self._count(stage)
        self.counts |= sums.counts()
        return backward.finish()


def tile_of(network: Network, wide: bool) -> int:
    """How many members of a batch run together: 8; 32 where a weight matrix does not fit half of a level 2 cache, so that what is read of it serves more."""
    item = 8 if wide else 4
    largest = max((part.n_source * part.n_target * item for found in network.parts.values() for part in found if part.dense), default=0)
    return 32 if largest > 768 * 1024 else 8


def late_of(arrivals: Sequence[Arrivals], pathway: str) -> int:
    """The steps after which an event without a delay arrives."""
    return next(one.late for one in arrivals if one.pathway.name == pathway)


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


class SetUps:
    """The set-up of a Program, which the torch engine computes: again only where what it reads is not what it was, or is learned."""

    def __init__(self, maps: Sequence[Elements]) -> None:
        self._maps = maps
        self._known: dict[int, tuple[list[tuple[torch.Tensor, int]], Values]] = {}

    def run(self, values: Values) -> None:
        """Put the arrays of the set-up among the values."""
        for number, one in enumerate(self._maps):
            if torch.compiler.is_compiling() or torch.is_inference_mode_enabled():  # its tensors have no versions, and autograd takes none of them later
                one.run(values, {})
                continue
            read = [(values[name], values[name]._version) for name in one.reads]
            known = self._known.get(number)
            if known is not None and all(a is b and m == n for (a, m), (b, n) in zip(known[0], read)):
                values |= known[1]
                continue
            one.run(values, {})
            if not any(value.requires_grad for value, _ in read):
                self._known[number] = read, {name: values[name] for name in one.writes}


class Desks:
    """Memory for tiles: one for each thread, or for each tile where tiles are left and taken up again; and for the tapes of threads."""

    def __init__(self, stage: Stage, period: int) -> None:
        extent = stage.extent
        self.threads, self.apart = thread_count(extent.tiles), period < extent.steps
        shared = aligned(extent.tiles * stage.memory.bytes + 1, np.dtype(np.int8)) if self.apart else None
        self.memory = [aligned(stage.memory.bytes + 1, np.dtype(np.int8)) if shared is None else shared for _ in range(self.threads)]
        self.tapes = [aligned(stage.tape.bytes + 1, np.dtype(np.int8)) for _ in range(self.threads)]


def _carry_out(stage: Stage, desks: Desks, again: Stage | None = None, back: tuple[int, int] | None = None) -> None:
    """All steps of all tiles, or `back` through some, with what is computed `again`."""
    extent = stage.extent
    begin, step, end, entries = stage.operations.tables()
    enter, repeated = again.operations.tables()[:2] if again is not None else (begin[:0], step[:0])
    following, stop = np.zeros(1, np.int64), np.zeros(1, np.int32)
    first, last = back or (0, extent.steps)
    active, lengths = extent.active, np.array(extent.lengths, np.int64)
    number, firsts = extent.first[0], np.array(extent.first if len(extent.first) > 1 else (), np.int64)

    def work(thread: int) -> int:
        pointers, strides = np.zeros(len(entries) + 1, np.int64), np.zeros(len(entries) + 1, np.int64)
        return run_tiles(
            begin, step, end, enter, repeated, entries, extent.steps, extent.members, extent.tile, number, extent.dt, back is not None, first, last,
            extent.checkpoint if again is not None else 0, desks.apart, stage.memory.bytes, desks.memory[thread], desks.tapes[thread], pointers, strides,
            following, stop, thread == 0, active, lengths, firsts,
        )

    together(work, desks.threads, stop)
