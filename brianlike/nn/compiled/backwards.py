"""The backward run as operations: the steps from the last to the first, tile by tile, and then the gradients of weights, column by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from codegen.emit import products
from codegen.ir import Map, Program, Record, Role, Table
from codegen.outside import Arrivals
from codegen.wanted import WANTED

from ..states import sum_is_finite
from .delayed import SHIFT, Delayed, pull
from .draws import draw, drawing, is_simple
from .inputs import LISTS, given_lists, list_names, spread
from .linear import Part
from .network import PAST, Network, Tensors, flat, gathering, reduction_kind, rows_of_vectors
from .operations import PAGE, VECTOR, Kind, Place, padded
from .stage import Compiled, Extent, Stage, address, aligned, is_bits, is_event, tensor
from .tapes import is_number, several

BAR = "~"
ROWS = 32 * 2**20  # bytes, about, of cotangents that wait for the gradients of weights
LOW = 0.1  # of the cotangents of a dense part: where fewer must count to be worth a choice, there is none
FEW = 8  # synapses of a source of a sparse part, likewise


@dataclass(frozen=True, slots=True)
class WeightGradient:
    """The gradient of the weights of one part, which is made after the steps: from its cotangents in every step, and its events.

    Attributes
    ----------
    cotangents : rows of whole vectors, one for each step and member.
    gradient : what is added to: a matrix of whole vectors, or the amounts of synapses.
    events : what the forward run kept of them, by name: bits, or first, index, value and graded.
    """

    part: Part
    cotangents: np.ndarray
    gradient: np.ndarray
    events: Mapping[str, np.ndarray]
    shift: int


@dataclass(frozen=True, slots=True)
class DelayedGradient:
    """The gradients of the weights and delays of synapses with learned delays, likewise.

    Attributes
    ----------
    bars : cotangents, of shape (members, steps, targets), `head` steps before and `tail` steps behind those of a period among them.
    sums : what is added to, in the order of the part's rows: for weights alone, or (pairs) for weights and delays side by side.
    events : what the forward run kept of them.
    past : the row of the first step among them.
    """

    part: Delayed
    bars: np.ndarray
    head: int
    tail: int
    sums: np.ndarray
    events: Mapping[str, np.ndarray]
    past: int


class Backward:
    """Writes the operations of a backward run.

    Parameters
    ----------
    network, stage, kernels, functions : as for Forward; the stage has the arrays of the backward Program.
    forward, program : the forward and the backward Program.
    tensors : the values that the forward run was given.
    tape : what it kept.
    gradients : of what it handed out, by name; those that are missing are 0.
    wanted : the names of the tensors whose gradients are asked for.
    useful : for arrays of events, the Maps that find the cotangents that count.
    """

    def __init__(
        self,
        network: Network,
        forward: Program,
        program: Program,
        stage: Stage,
        kernels: Mapping[str, Compiled],
        functions: Mapping[str, int],
        tensors: Tensors,
        tape: Tensors,
        gradients: Tensors,
        wanted: frozenset[str],
        useful: Mapping[str, Compiled],
    ) -> None:
        self.network, self.program, self.stage, self.kernels, self.functions = network, program, stage, kernels, functions
        self.tensors, self.tape, self.gradients, self.wanted = tensors, tape, gradients, wanted
        self.extent: Extent = stage.extent
        self.real = torch.float64 if self.extent.wide else torch.float32
        self.inputs, self.useful = network.inputs(), useful
        self.found: dict[tuple[str, int], Place | None] = {}
        self.pairs = frozenset(f"{kernel}:{array}" for kernel, array in forward.tape)
        self.out: dict[str, torch.Tensor] = {}
        self.sums: dict[str, list[np.ndarray]] = {}
        self.weights: list[WeightGradient] = []
        self.delayed: list[DelayedGradient] = []
        self.slopes: dict[str, list[np.ndarray]] = {}
        self.rings: dict[str, int] = {}
        self.kept_rows: dict[str, tuple[int, np.ndarray]] = {}
        self.period = self._period()

    # -------------------------------------------------------------------------------------------------------------------------------------------- run
    def write(self) -> None:
        """All operations."""
        for name in (a.name for a in self.program.arrays if a.role is Role.COTANGENT):
            self._cotangent(name)
        for kernel in self.program.kernels:
            if isinstance(kernel, Map):
                for name in dict.fromkeys(load.array for load in kernel.loads):
                    self._place(name)
        for kernel in self.program.kernels:
            match kernel:
                case Map():
                    self.stage.map(self.kernels[kernel.name])
                    self._forget({store.array for store in kernel.stores})
                case Table():
                    self._add_record(kernel)
                    self._forget({kernel.array})
                case Record():
                    self._hand_out(kernel)
        self._final()

    def _period(self) -> int:
        """How many steps go back before the gradients of weights take what they need of them: then its memory is used again."""
        extent = self.extent
        bars = {one.array: padded(parts[0].n_target) for name, one in self.network.arrivals.items() for parts in [self.network.parts.get(name, ())]
                if any(part.name in self.wanted for part in parts)}
        bars |= {one.name: one.width for one in self.network.delayed.values() if self.wanted & {one.name, one.shift}}
        of_step = sum(bars.values()) * extent.members * extent.real.itemsize
        steps = max(1, ROWS // max(1, of_step))
        if extent.checkpoint:
            steps = max(1, steps // extent.checkpoint) * extent.checkpoint
        return min(steps, extent.steps)

    # ----------------------------------------------------------------------------------------------------------------------------------------- arrays
    def _cotangent(self, name: str) -> None:
        """Where a cotangent is: one for each member, but for constants one for each tile; of events one for each step that can still be reached."""
        original = name.partition(BAR)[0]
        array = self.stage.arrays.get(original)
        if array is None or original in self.network.fixed:
            self.stage.common(name)
            return
        place = self.stage.own(name)
        bytes_of_tile = self.extent.tile * place.row
        if is_event(array) or original in self.inputs and original in self.network.sources:
            past = self.network.past(original)
            if not past:
                self.stage.step(Kind.ZERO, place=place.address, size=bytes_of_tile)
                self._last_events(original, place)
                return
            ring = self.rings[original] = self.stage.memory.take((past + 1) * bytes_of_tile)
            self._enter_ring(original, place, ring, past)
            self.stage.step(Kind.TURN, place=place.address, size=bytes_of_tile, delay=past, extra=ring)
            self._last_events(original, place)
        elif original in self.gradients and original in self.network.moving:
            value = flat(self.gradients[original].to(self.real), self.extent.members)
            self._before(Kind.COPY_IN, place, value)

    def _last_events(self, name: str, place: Place) -> None:
        """What came after the run says of its last events as part of the state."""
        if name in self.gradients:
            value = flat(self.gradients[name].to(self.real), self.extent.members)
            self.stage.kept.append(value)
            row = value.stride(0) * value.element_size()
            self.stage.step(Kind.LAST_IN, place=place.address, stride=place.row, size=place.size, address=value.data_ptr(), per_member=row)

    def _before(self, kind: Kind, place: Place, value: torch.Tensor) -> None:
        self.stage.kept.append(value)
        row = value.stride(0) * value.element_size()
        self.stage.before(kind, place=place.address, stride=place.row, size=place.size * place.item, address=value.data_ptr(), per_member=row)

    def _enter_ring(self, events: str, place: Place, ring: int, past: int) -> None:
        """What is known of the cotangents of the last steps' events, from what came after the run."""
        given = self.gradients.get(events + PAST)
        if given is None:
            return
        rows = flat(given.to(self.real), self.extent.members, past)
        self.stage.kept.append(rows)
        for row in range(past):
            value = rows[row]
            self.stage.before(
                Kind.RING_IN, place=ring, stride=place.row, size=place.size * place.item, address=value.data_ptr(),
                per_member=value.stride(0) * value.element_size(), delay=past - row, n_source=past + 1,
            )

    def _place(self, name: str) -> None:
        """Where a Map of the backward Program finds what it reads."""
        stage = self.stage
        if name in stage.places:
            return
        array = stage.arrays[name]
        if is_bits(array) and name not in self.pairs:
            self._unpack(name, -(-stage.size(name) // 64), 0)
        elif array.role is Role.TAPE:
            self._on_tape(name)
        elif array.role is Role.CLOCK and not name.endswith(".dt"):
            stage.clock(name.partition(".")[0])
        elif name in self.network.fixed:
            stage.constant(name, self.tensors[name])
        elif name in self.inputs:
            self._read_input(name)
        elif is_event(array):
            self._unpack(name, self.tape[name].shape[-1], self.network.past(name))
        else:
            raise TypeError(f"the backward Program reads {name}, which is nowhere")

    def _unpack(self, name: str, words: int, past: int) -> None:
        place = self.stage.own(name)
        fields = dict(function=self.functions["unpack_bits"], address=self.tape[name].data_ptr(), words=words, delay=past)
        self.stage.step(Kind.UNPACK, place=place.address, stride=place.row, size=place.size, **fields)

    def _on_tape(self, name: str) -> None:
        kept = self.tape.get(name)
        if kept is None:  # a clock's: known from the number of the step
            clock = next(a for a in self.stage.arrays if name.endswith(":" + a) and self.stage.arrays[a].role is Role.CLOCK)
            self._place(clock)
            self.stage.places[name] = self.stage.places[clock]
            return
        row, members = padded(self.stage.size(name)) * self.stage.dtype(name).itemsize, self.extent.members
        if self.extent.half and is_number(self.stage, name):
            place, row = self.stage.own(name), 2 * padded(self.stage.size(name))
            self.stage.step(Kind.HALF_IN, place=place.address, size=place.stride, address=kept.data_ptr(), per_step=members * row, per_member=row)
            return
        self.stage.elsewhere(name, kept.numpy(), members * row, row)

    def _read_input(self, name: str) -> None:
        lists = given_lists(self.tensors, name)
        if lists is not None:
            place = self.stage.own(name)
            spread(self.stage, lists, place.address, place.row, place.size, delay=self.network.past(name))
            return
        if name in self.network.noises:
            self._draw(name)
            return
        rows = flat(self.tensors[self.inputs[name]], self.extent.members, self.extent.steps)
        self.stage.kept.append(rows)
        place, item = self.stage.own(name), rows.element_size()
        self.stage.step(
            Kind.COPY_IN, place=place.address, stride=place.row, size=place.size * place.item, address=rows.data_ptr(), per_step=rows.stride(0) * item,
            per_member=rows.stride(1) * item,
        )

    def _draw(self, name: str) -> None:
        """The random numbers that the forward run had."""
        (noise, stream), place = self.network.noises[name], self.stage.own(name)
        if is_simple(noise, self.tensors):
            draw(self.stage, noise, stream, self.tensors, place)
            return
        compiled = self.kernels[self.network.draws[name].name]
        for load in compiled.kernel.loads:
            self._place(load.array)
        self.stage.map(compiled, **drawing(self.stage, self.network.streams, compiled.kernel.name, self.tensors))

    def _forget(self, arrays: set[str]) -> None:
        """Cotangents that were kept before are no longer those of these arrays."""
        for name in arrays:
            self.kept_rows.pop(name, None)

    # ---------------------------------------------------------------------------------------------------------------------------------------- kernels
    def _add_record(self, table: Table) -> None:
        """What the loss says of a record."""
        given = self.gradients.get(table.name)
        if given is None or table.array not in self.stage.places:
            return
        extent, place = self.extent, self.stage.places[table.array]
        kind = reduction_kind(self.network.reductions[table.name])
        value = flat(given.to(self.real), extent.members, None if kind is not None else extent.steps)
        self.stage.kept.append(value)
        item = value.element_size()
        fields = dict(place=place.address, stride=place.row, size=place.size, address=value.data_ptr(), per_member=value.stride(-2) * item)
        if kind is Kind.MAXIMUM:
            ties, when, bits = (self.tape[f"{table.name}|{part}"] for part in ("ties", "when", "bits"))
            again = several(ties)
            rows = np.where(again, np.cumsum(again) - 1, -1).astype(np.int32)
            self.stage.kept.append(rows)
            fields |= dict(value=ties.data_ptr(), index=when.data_ptr(), first=bits.data_ptr(), words=-(-place.size // 8))
            self.stage.step(Kind.ADD_MAXIMUM, rows=address(rows), n_source=int(again.sum()), **fields)
        elif kind is Kind.LAST_OUT:
            self.stage.step(Kind.LAST_IN, **fields)
        else:
            self.stage.step(Kind.ADD_IN, per_step=value.stride(0) * item if kind is None else 0, **fields)

    def _hand_out(self, record: Record) -> None:
        """The cotangent of what came from outside: inputs, or what pathways delivered."""
        arrivals = self.network.arrivals.get(record.name)
        place = self.stage.places[record.array]
        if arrivals is None:
            if record.name in self.wanted:
                out = tensor((self.extent.steps, self.extent.members, place.size), self.real)
                if self.extent.lengths:
                    out.zero_()
                row = place.size * place.item
                self.stage.step(
                    Kind.COPY_OUT, place=place.address, stride=place.row, size=row, address=out.data_ptr(), per_step=self.extent.members * row, per_member=row
                )
                self.out[record.name] = out
        elif arrivals.store is None:
            if arrivals.pathway.name + SHIFT in self.wanted:
                self._slope(arrivals, place)
            self._scatter(arrivals, place)
        else:
            for part in self.network.parts.get(record.name, ()):
                self._transpose(part, record.array, place)
            if record.name in self.network.delayed:
                self._pull(self.network.delayed[record.name], place)

    def _scatter(self, arrivals: Arrivals, place: Place) -> None:
        events = arrivals.pathway.events
        if events + BAR not in self.stage.places:
            return
        target, past = self.stage.places[events + BAR], self.network.past(events)
        fields = gathering(self.network, self.stage, arrivals)
        self.stage.step(
            Kind.SCATTER, place=place.address, stride=place.row, size=place.size, delay=past, address=self.rings.get(events, 0), value=target.address,
            extra=target.row, **fields,
        )

    def _transpose(self, part: Part, bar: str, place: Place) -> None:
        """The cotangents of the events and of the weights of one part."""
        events = part.arrivals.pathway.events
        if part.name in self.wanted:
            self._keep_for_weights(part, bar, place)
        if events + BAR not in self.stage.places:
            return
        target, past = self.stage.places[events + BAR], self.network.past(events)
        ring = part.delay > 0
        fields = dict(place=self.rings[events] if ring else target.address, stride=target.stride, delay=part.delay, rows=past + 1, extra=place.address)
        fields |= dict(words=place.stride, n_source=part.n_source)
        if part.dense:
            back = self._transposed(part)
            fields |= dict(function=self.functions["product"], matrix=address(back), matrix_stride=back.shape[1], size=part.n_target)
            fields["padded"] = padded(part.n_source)
        else:
            assert part.row is not None and part.target is not None
            amounts = rows_of_vectors(self.stage, self.tensors[part.name], False)
            fields |= dict(function=self.functions["sparse_back"], matrix=address(amounts), index=address(part.row), targets=address(part.target))
        some = self._some(part)
        self.stage.step(Kind.RETURN, flags=(0 if part.dense else 1) | (2 if ring else 0) | (4 if some else 0), **fields, **some)

    def _some(self, part: Part) -> dict[str, int]:
        """How a part returns only the cotangents that count, if that can be less work."""
        events, limit = part.arrivals.pathway.events, 1.0
        if part.dense:
            limit = products.density_limits(part.n_source, part.n_target, products.LEVEL_2, self.extent.real.name).wanted
        elif part.target is not None and len(part.target) < FEW * part.n_source:
            limit = 0
        if limit < LOW or events not in self.useful or events in self.wanted or not sum_is_finite(self.tensors[part.name].detach()):
            return {}
        place = self._find(events, part.delay)
        if place is None:
            return {}
        fields = dict(first=place.address, value=place.stride, entries=self.stage.count(f"{part.name}{BAR}"))
        if part.dense:
            weights = rows_of_vectors(self.stage, self.tensors[part.name], True)
            fields |= dict(address=self.functions["some_products"], per_step=address(weights), per_member=weights.shape[1])
            fields["n_entries"] = int(limit * part.n_source)
        return fields

    def _find(self, events: str, delay: int) -> Place | None:
        """Whether the cotangent counts of each event that was sent so many steps before; None if that is not known yet."""
        if (events, delay) not in self.found:
            self.found[events, delay] = self._kept(events, delay) if delay else self._now(self.useful[events])
        return self.found[events, delay]

    def _now(self, compiled: Compiled) -> Place:
        """What the Map says of this step's events."""
        place = self.stage.own(compiled.kernel.stores[0].array)
        self.stage.map(compiled)
        return place

    def _kept(self, events: str, delay: int) -> Place | None:
        """What the forward run kept of earlier events."""
        bits = self.tape.get(events + WANTED)
        if bits is None:
            return None
        place = self.stage.memory.members(self.stage.size(events), 1)
        fields = dict(function=self.functions["unpack_bits"], address=bits.data_ptr(), words=bits.shape[-1], delay=-delay)
        self.stage.step(Kind.UNPACK, place=place.address, stride=place.row, size=place.size, **fields)
        return place

    def _transposed(self, part: Part) -> np.ndarray:
        """The matrix from targets to sources. Rows that begin at one place of their pages would share a few lines of cache; there they are a little longer."""
        width = padded(part.n_source)
        if width * self.extent.real.itemsize % PAGE == 0:
            width += VECTOR
        back = aligned(part.n_target * width, self.extent.real).reshape(part.n_target, width)
        torch.from_numpy(back)[:, : part.n_source].copy_(self.tensors[part.name].detach().t())
        back[:, part.n_source :] = 0
        self.stage.kept.append(back)
        return back

    def _keep_for_weights(self, part: Part, bar: str, place: Place) -> None:
        extent = self.extent
        if bar not in self.kept_rows:
            row = padded(place.size) * place.item
            rows = aligned(self.period * extent.members * row, np.dtype(np.uint8))
            self.stage.step(Kind.ROWS, place=place.address, size=row, address=address(rows), per_step=extent.members * row, per_member=row)
            self.kept_rows[bar] = (0, rows.view(extent.real))
        cotangents = self.kept_rows[bar][1]
        count = part.n_source * padded(part.n_target) if part.dense else len(part.target)  # type: ignore[arg-type]
        gradient = aligned(count, extent.real)
        if not part.dense:
            gradient[:] = 0
        events = part.arrivals.pathway.events
        self.weights.append(WeightGradient(part, cotangents, gradient, self._kept_events(events), self.network.past(events) - part.delay))
        shaped = torch.from_numpy(gradient)
        self.out[part.name] = shaped.view(part.n_source, -1)[:, : part.n_target] if part.dense else shaped

    def _kept_events(self, events: str) -> Mapping[str, np.ndarray]:
        """What the forward run kept of events, or was given: bits, or lists."""
        if events not in self.inputs:
            return {"": self.tape[events].numpy()}
        if (lists := given_lists(self.tensors, events)) is not None:
            return dict(zip(LISTS, lists))
        return {part: self.tape[name].numpy() for part, name in zip(LISTS, list_names(events))}

    # --------------------------------------------------------------------------------------------------------------------------------- learned delays
    def _pull(self, part: Delayed, place: Place) -> None:
        """The cotangents of the events, weights and delays of synapses with learned delays."""
        events = part.arrivals.pathway.events
        if self.wanted & {part.name, part.shift}:
            self._keep_for_delays(part, place)
        if events + BAR not in self.stage.places:
            return
        some: dict[str, int] = {}
        free = events in self.useful and events not in self.wanted and len(part.place) >= FEW * part.n_source
        found = self._find(events, part.arrivals.late) if free and sum_is_finite(self.tensors[part.name].detach()) else None
        if found is not None:
            some = dict(first=found.address, value=found.stride, entries=self.stage.count(f"{part.name}{BAR}"))
        weights = rows_of_vectors(self.stage, self.tensors[part.name], False)
        target, past = self.stage.places[events + BAR], self.network.past(events)
        ring, function = self.rings.get(events), self.functions["delayed_back"]
        pull(self.stage, part, weights, place, target, ring, past, function, some, events + PAST in self.wanted)

    def _keep_for_delays(self, part: Delayed, place: Place) -> None:
        """Cotangents of some more steps than those of a period: what events deliver to them lies up to the longest delay apart."""
        extent, events = self.extent, part.arrivals.pathway.events
        earlier = events + PAST in self.tensors and bool(self.tensors[events + PAST].any())
        head = min(part.reach + 2, self.network.past(events) - part.arrivals.late + 1) if earlier else 0
        tail = part.reach + part.block
        row = part.width * place.item
        bars = aligned(extent.members * (head + self.period + tail) * part.width, extent.real).reshape(extent.members, -1, part.width)
        bars[:] = 0
        fields = dict(size=row, address=address(bars), per_step=row, per_member=bars.shape[1] * row, delay=head)
        self.stage.step(Kind.ROWS_APART, place=place.address, stride=place.row, **fields)
        sums = np.zeros((len(part.place), 2) if part.shift in self.wanted else len(part.place), extent.real)
        self.delayed.append(DelayedGradient(part, bars, head, tail, sums, self._kept_events(events), self.network.past(events)))

    def _slope(self, arrivals: Arrivals, place: Place) -> None:
        """The gradients of the delays of synapses that compute, a row for each tile."""
        events, stage, extent = arrivals.pathway.events, self.stage, self.extent
        past, fields = self.network.past(events), gathering(self.network, stage, arrivals)
        lists = given_lists(self.tensors, events)
        if lists is not None:
            size, slots = stage.size(events), int(self.network.delays[arrivals.name].max(initial=0)) + 2
            row = padded(size) * extent.real.itemsize
            near = stage.memory.take(slots * extent.tile * row)
            for number in range(slots - 1):
                spread(stage, lists, near, row, size, delay=0, slots=slots, before=extent.steps - 1 + past - number)
            spread(stage, lists, near, row, size, delay=past - slots + 1, slots=slots)
            fields |= dict(flags=2, address=near, per_member=row, n_entries=slots)
        elif events in self.inputs:
            rows = flat(self.tensors[self.inputs[events]], extent.members, extent.steps)
            rows = torch.cat([flat(self.tensors[events + PAST], extent.members, past).to(rows.dtype), rows]).contiguous()
            stage.kept.append(rows)
            fields |= dict(flags=1, address=rows.data_ptr(), n_source=rows.shape[-1])
        else:
            kept = self.tape[events]
            fields |= dict(address=kept.data_ptr(), words=kept.shape[-1])
        width = padded(place.size)
        sums = stage.memory.take(width * place.item)
        stage.step(Kind.SLOPE, place=place.address, stride=place.row, size=place.size, delay=past, value=arrivals.late, extra=sums, **fields)
        found = aligned(extent.tiles * width, extent.real).reshape(extent.tiles, -1)
        stage.after(Kind.TILE_OUT, place=sums, size=width * place.item, address=address(found))
        self.slopes.setdefault(arrivals.pathway.name + SHIFT, []).append(found[:, : place.size])

    # ------------------------------------------------------------------------------------------------------------------------------------------ after
    def _final(self) -> None:
        extent = self.extent
        for name in sorted(self.wanted):
            place = self.stage.places.get(name + BAR)
            if name in self.network.moving and place is not None and name + BAR not in self.out:
                out = torch.empty(extent.members, place.size, dtype=self.real)
                row = place.size * place.item
                self.stage.after(Kind.COPY_OUT, place=place.address, stride=place.row, size=row, address=out.data_ptr(), per_member=row)
                self.out[name] = out
            elif name.endswith(PAST):
                self._leave_ring(name.removesuffix(PAST))
        for array in self.program.arrays:
            original = array.name.partition(BAR)[0]
            if array.role is Role.COTANGENT and original in self.network.fixed and original in self.wanted:
                self._sum_tiles(original, self.stage.places[array.name])

    def _leave_ring(self, events: str) -> None:
        if events not in self.rings:
            return
        place, past = self.stage.places[events + BAR], self.network.past(events)
        out = torch.empty(past, self.extent.members, place.size, dtype=self.real)
        row = place.size * place.item
        for number in range(past):
            self.stage.after(
                Kind.RING_OUT, place=self.rings[events], stride=place.row, size=row, address=out[number].data_ptr(), per_member=row, delay=past - number,
                n_source=past + 1,
            )
        self.out[events + PAST] = out

    def _sum_tiles(self, name: str, place: Place) -> None:
        """What the tiles found for a constant, a row each; `finish` sums them."""
        rows = aligned(self.extent.tiles * padded(place.size), self.extent.real).reshape(self.extent.tiles, -1)
        self.stage.after(Kind.TILE_OUT, place=place.address, size=padded(place.size) * place.item, address=address(rows))
        self.sums.setdefault(name, []).append(rows[:, : place.size])

    def finish(self) -> dict[str, torch.Tensor]:
        """The gradients that are wanted, after the run and the gradients of weights."""
        for name, found in self.sums.items():
            size = self.stage.size(name)
            total = torch.zeros(size, dtype=self.real)
            for rows in found:
                summed = torch.from_numpy(rows).sum(0)
                total += summed if len(summed) == size else summed.sum()
            self.out[name] = total
        return self.out

