"""The forward run as operations: what every step of a tile does, what it hands out, and what it keeps for the backward run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch

from codegen.emit import products
from codegen.ir import Map, Program, Record, Role, Table
from codegen.outside import Arrivals

from ..states import sum_is_finite
from .delayed import Delayed, send
from .draws import draw, drawing, is_simple
from .inputs import Lists, given_lists, list_names, places_of, spread
from .linear import Part
from .network import PAST, Network, Tensors, flat, gathering, reduction_kind, rows_of_vectors
from .operations import VECTOR, Kind, Place, padded
from .stage import Compiled, Extent, Stage, address, aligned, is_event, tensor
from .tapes import Beginnings, EveryStep, OnThread, Tape, resumed


@dataclass(slots=True)
class Results:
    """The tensors that a run hands out, by name, and those that it keeps for the backward run."""

    out: dict[str, torch.Tensor] = field(default_factory=dict)
    tape: dict[str, torch.Tensor] = field(default_factory=dict)


class Forward:
    """Writes the operations of a forward run.

    Parameters
    ----------
    network : what is run.
    program : the Program of this run: that of the network, or with a tape.
    stage : where its arrays and operations go.
    kernels : the compiled Maps, by name.
    tensors : the values of arrays, tables, parts and past events.
    functions : the addresses of the products, by name.
    keep : the arrays of events that the backward run reads; None if there will be none.
    useful : for arrays of events, the Maps that find the cotangents that count.
    """

    def __init__(
        self,
        network: Network,
        program: Program,
        stage: Stage,
        kernels: Mapping[str, Compiled],
        tensors: Tensors,
        functions: Mapping[str, int],
        keep: frozenset[str] | None,
        useful: Mapping[str, Compiled] = MappingProxyType({}),
    ) -> None:
        self.network, self.program, self.stage, self.kernels, self.tensors, self.functions, self.keep = (
            network, program, stage, kernels, tensors, functions, keep,
        )
        self.extent: Extent = stage.extent
        self.results = Results()
        self.real = torch.float64 if self.extent.wide else torch.float32
        self.inputs, self.useful = network.inputs(), useful
        self.lists: dict[tuple[str, int], tuple[int, int]] = {}
        self.recent: dict[str, int] = {}
        self.rasters: dict[str, np.ndarray] = {}
        self.rows_of_numbers: dict[int, int] = {}
        self.scanned: dict[str, Lists] = {}
        self.given = {events: lists for events in self.inputs if (lists := given_lists(tensors, events)) is not None}
        self.again = False
        self.tape: Tape = EveryStep(stage, self.extent.half, functions["pack_bits"])

    # -------------------------------------------------------------------------------------------------------------------------------------------- run
    def write(self) -> Results:
        """All operations."""
        self._initial()
        if self.keep is not None and self.extent.checkpoint:
            self.tape = saving = Beginnings(self.stage, self.extent.checkpoint)
            for name in resumed(self.program, self.network.moving):
                saving.save(name)
        for events in self._rasters():
            self._raster(events)
        for events in dict.fromkeys([*self.listed(), *self.given]):
            self._prepare_lists(events)
        self._kernels()
        for events in self.useful if self.keep is not None and not self.extent.half else ():
            if self.network.returns_late(events):
                self._keep_wanted(events)
        self._final()
        self.results.tape |= self.tape.tensors
        return self.results

    def write_again(self, kept: Tensors) -> OnThread:
        """What the steps between two states do again in the backward run: inputs are lists, events are bits, and records have been handed out."""
        self.again, self.tape = True, (tape := OnThread(self.stage, self.extent.checkpoint, self.stage.tape))
        for name in resumed(self.program, self.network.moving):
            tape.enter(name, kept)
        self.rasters = {events: kept[events].numpy() for events in self._rasters()}
        self.scanned = dict(self.given)
        for events in self.listed():
            if events not in self.given:
                first, index, value, graded = (kept[name].numpy() for name in list_names(events))
                self.scanned[events] = first, index, value, graded
        self._kernels()
        return tape

    def _keep_wanted(self, events: str) -> None:
        """Bits for the cotangents that count, which arrive before the steps to which they belong, where nothing else may be known of these."""
        compiled, stage = self.useful[events], self.stage
        for load in compiled.kernel.loads:
            if stage.arrays[load.array].role is not Role.TAPE:
                self._place(load.array)
            elif load.array not in stage.places:
                return
        name = compiled.kernel.stores[0].array
        place, words = stage.own(name), -(-stage.size(name) // 64)
        stage.map(compiled)
        bits = aligned(self.extent.steps * self.extent.members * words, np.dtype(np.uint64))
        pack = self.functions["pack_bits"]
        stage.step(Kind.PACK, function=pack, place=place.address, stride=place.row, size=place.size, address=address(bits), words=words)
        self.results.tape[name] = torch.from_numpy(bits.view(np.int64).reshape(-1, words))

    def _rasters(self) -> list[str]:
        """The arrays of events of which the bits of all steps are needed."""
        read = sorted((self.keep or frozenset()) - self.network.sources.keys())
        return [events for events in (*self.network.sources, *read) if events not in self.inputs]

    def _kernels(self) -> None:
        tapes: dict[str, list[str]] = {}
        for kernel, array in self.program.tape if self.keep is not None else ():
            tapes.setdefault(kernel, []).append(array)
        for one in self.program.kernels:
            for array in tapes.get(one.name, ()):
                self._keep(one.name, array)
            match one:
                case Map():
                    self._map(one)
                case Table():
                    self._table(one)
                case Record() if not self.again:
                    self._record(one)

    def _place(self, name: str) -> None:
        """Make sure that an array is somewhere."""
        stage = self.stage
        if name in stage.places:
            return
        array = stage.arrays[name]
        if array.role is Role.CLOCK and not name.endswith(".dt"):
            stage.clock(name.partition(".")[0])
        elif name in self.network.fixed:
            stage.constant(name, self.tensors[name])
        elif array.role is Role.TAPE:
            self.tape.place(name)
        else:
            stage.own(name)

    def _initial(self) -> None:
        for name in self.network.moving:
            place = self.stage.own(name)
            value = flat(self.tensors[name], self.extent.members)
            if is_event(self.stage.arrays[name]):
                value = (value != 0).to(torch.uint8)
            self._enter(place.address, place.row, place.item * place.size, value)

    def _enter(self, place: int, stride: int, size: int, value: torch.Tensor) -> None:
        self.stage.kept.append(value)
        self.stage.before(Kind.COPY_IN, place=place, stride=stride, size=size, address=value.data_ptr(), per_member=value.stride(0) * value.element_size())

    def _final(self) -> None:
        members = self.extent.members
        for name in self.network.moving:
            place, array = self.stage.places[name], self.stage.arrays[name]
            if is_event(array):
                out = torch.empty(members, place.size, dtype=self.real)
                row = out.stride(0) * out.element_size()
                self.stage.after(Kind.BYTES_OUT, place=place.address, stride=place.row, size=place.size, address=out.data_ptr(), per_member=row)
            else:
                out = torch.empty(members, place.size, dtype=self.tensors[name].dtype)
                row = place.size * place.item
                self.stage.after(Kind.COPY_OUT, place=place.address, stride=place.row, size=row, address=out.data_ptr(), per_member=row)
            self.results.out[name] = out

    # ---------------------------------------------------------------------------------------------------------------------------------------- kernels
    def _map(self, kernel: Map) -> None:
        for load in kernel.loads:
            self._place(load.array)
        for store in kernel.stores:
            self._place(store.array)
        self.stage.map(self.kernels[kernel.name], **drawing(self.stage, self.network.streams, kernel.name, self.tensors))
        for store in kernel.stores:
            if store.array in self.rasters:
                self._pack(store.array)
            elif self.stage.arrays[store.array].role is Role.TAPE:
                self.tape.stored(store.array)

    def _pack(self, events: str) -> None:
        if self.again:
            return
        place, raster = self.stage.places[events], self.rasters[events]
        fields = dict(address=address(raster), delay=self.network.past(events), words=raster.shape[-1], function=self.functions["pack_bits"])
        self.stage.step(Kind.PACK, place=place.address, stride=place.row, size=place.size, **fields)

    def _raster(self, events: str) -> None:
        """The bits of events in every step, those of the steps before the run first."""
        size, past = self.stage.size(events), self.network.past(events)
        raster = aligned((self.extent.steps + past) * self.extent.members * -(-size // 64), np.dtype(np.uint64))
        self.rasters[events] = raster = raster.reshape(self.extent.steps + past, self.extent.members, -1)
        if past:
            before = flat(self.tensors[events + PAST], self.extent.members, past) != 0
            packed = np.packbits(before.numpy(), axis=-1, bitorder="little")
            raster[:past] = 0
            raster[:past].view(np.uint8)[..., : packed.shape[-1]] = packed
        self.results.tape[events] = torch.from_numpy(raster.view(np.int64))

    def _keep(self, kernel: str, name: str) -> None:
        """Copy an array to the tape."""
        if self.stage.arrays[name].role is Role.CLOCK:
            return
        self._place(name)
        self.tape.copy(f"{kernel}:{name}", name)

    # ----------------------------------------------------------------------------------------------------------------------------------------- tables
    def _table(self, table: Table) -> None:
        arrivals = self.network.arrivals.get(table.name)
        if arrivals is None:
            self._feed(table)
        elif arrivals.store is None:
            self._gather(arrivals)
        else:
            self._place(table.array)
            for part in self.network.parts.get(table.name, ()):
                self._deliver(part)
            if table.name in self.network.delayed:
                self._send(self.network.delayed[table.name])

    def _rows(self, name: str) -> torch.Tensor:
        value = flat(self.tensors[name], self.extent.members, self.extent.steps)
        self.stage.kept.append(value)
        return value

    def _feed(self, table: Table) -> None:
        """An input: its row for the step, as numbers where something reads them, as lists of events where pathways deliver them."""
        if table.array in self.given:
            if self._is_read(table.array):
                self._place(table.array)
                place = self.stage.places[table.array]
                spread(self.stage, self.given[table.array], place.address, place.row, place.size, delay=self.network.past(table.array))
            return
        if table.name in self.network.noises:
            self._draw(table)
            return
        scanned, read = table.array in self.scanned and not self.again, self._is_read(table.array)
        if not scanned and not read:
            return
        rows = self._rows(table.name)
        item = rows.element_size()
        if scanned:
            self._scan(table.array, rows)
        if read:
            self._place(table.array)
            place = self.stage.places[table.array]
            self.stage.step(
                Kind.COPY_IN, place=place.address, stride=place.row, size=place.size * place.item, address=rows.data_ptr(), per_step=rows.stride(0) * item,
                per_member=rows.stride(1) * item,
            )

    def _draw(self, table: Table) -> None:
        """A row of random numbers."""
        self._place(table.array)
        noise, stream = self.network.noises[table.name]
        if is_simple(noise, self.tensors):
            draw(self.stage, noise, stream, self.tensors, self.stage.places[table.array])
        else:
            self._map(self.network.draws[table.name])

    def _is_read(self, name: str) -> bool:
        """Whether a Map or a record reads an array."""
        for kernel in self.program.kernels:
            if isinstance(kernel, Map) and any(load.array == name for load in kernel.loads):
                return True
            if isinstance(kernel, Record) and kernel.array == name and not self.again:
                return True
        return False

    def listed(self) -> list[str]:
        """The inputs whose events linear pathways deliver."""
        linear = {one.pathway.events for one in self.network.arrivals.values() if one.store is not None}
        return [events for events in self.network.sources if events in linear and events in self.inputs]

    def _prepare_lists(self, events: str) -> None:
        """Room for the lists of an input's events, and those of the steps before the run; or the lists that are given."""
        if events in self.given:
            self.scanned[events] = self.given[events]
            return
        extent, n, past = self.extent, self.stage.size(events), self.network.past(events)
        count = extent.steps + past
        first = aligned(extent.tiles * count * (extent.tile + 1), np.dtype(np.int64)).reshape(extent.tiles, count, extent.tile + 1)
        index = aligned(extent.members * count * n, np.dtype(np.int32), sparse=True)  # only as many pages as there are events are ever touched
        values, graded = aligned(extent.members * count * n, extent.real, sparse=True), np.zeros(extent.tiles, np.int32)
        self.scanned[events] = first, index, values, graded
        if past:
            before = flat(self.tensors[events + PAST], extent.members, past).to(self.real)
            self.stage.kept.append(before)
            item = before.element_size()
            for row in range(past):
                self.stage.before(Kind.SCAN, address=before[row].data_ptr(), per_member=before.stride(1) * item, delay=row, **self._lists_of(events))

    def _lists_of(self, events: str) -> dict[str, int]:
        lists = self.scanned[events]
        return dict(function=self.functions["scan"], n_source=self.stage.size(events), rows=lists[0].shape[1], **places_of(lists))

    def _scan(self, events: str, rows: torch.Tensor) -> None:
        item, past = rows.element_size(), self.network.past(events)
        strides = dict(per_step=rows.stride(0) * item, per_member=rows.stride(1) * item)
        self.stage.step(Kind.SCAN, address=rows.data_ptr(), delay=past, **strides, **self._lists_of(events))

    def _deliver(self, part: Part) -> None:
        """Add what arrives through the synapses of one delay."""
        stage, events = self.stage, part.arrivals.pathway.events
        acc, past = stage.places[part.arrivals.array], self.network.past(events)
        weights = self.weights(part)
        flags = 0 if part.dense else 1
        fields = dict(place=acc.address, stride=acc.stride, matrix=address(weights), delay=past - part.delay)
        if part.dense:
            fields |= dict(function=self.functions["event_rows"], matrix_stride=weights.shape[1], padded=padded(part.n_target))
            if sum_is_finite(self.tensors[part.name].detach()):
                flags |= 4
                fields |= self._dense_choice(part)
        else:
            assert part.row is not None and part.target is not None
            fields |= dict(function=self.functions["sparse_rows"], rows=address(part.row), targets=address(part.target))
        if events in self.inputs:
            lists = self.scanned[events]
            stage.step(Kind.DELIVER, flags=flags | 2, words=lists[0].shape[1], **places_of(lists), **fields)
        else:
            offsets, numbers = self._list(events, past - part.delay)
            stage.step(Kind.DELIVER, flags=flags, first=offsets, index=numbers, **fields)

    def _send(self, part: Delayed) -> None:
        """Send events ahead to where synapses with delays of their own deliver them, and take what has arrived."""
        stage, events = self.stage, part.arrivals.pathway.events
        if events in self.inputs:
            source = self._scanned_fields(events)
        else:
            raster, memory, n = self.rasters[events], self.stage.memory, self.stage.size(events)
            room = dict(first=memory.take((self.extent.tile + 1) * 8), index=memory.take((self.extent.tile * n + VECTOR) * 4))
            source = dict(address=address(raster), words=raster.shape[-1], **room)
        weights = rows_of_vectors(stage, self.tensors[part.name], False)
        send(stage, part, weights, stage.places[part.arrivals.array], self.network.past(events), self.functions["delayed_rows"], source)

    def _scanned_fields(self, events: str) -> dict[str, int]:
        """Where the lists of an input are."""
        lists = self.scanned[events]
        return dict(flags=2, words=lists[0].shape[1], **places_of(lists))

    def _dense_choice(self, part: Part) -> dict[str, int]:
        """From how many events on they are rows of numbers, and a product adds the same bits (where all weights are finite: 0 times infinity is NaN)."""
        width, item = padded(part.n_source), self.extent.real.itemsize
        if width not in self.rows_of_numbers:
            self.rows_of_numbers[width] = self.stage.memory.take(self.extent.tile * width * item)
        limit = products.density_limits(part.n_source, part.n_target, products.LEVEL_2, self.extent.real.name).rows
        fields = dict(address=self.functions["product"], targets=self.rows_of_numbers[width], rows=width, size=int(limit * part.n_source))
        return fields | dict(n_source=part.n_source, entries=self.stage.count(part.name))

    def _list(self, events: str, shift: int) -> tuple[int, int]:
        """Lists of the events of one step, made once for all pathways."""
        raster, n = self.rasters[events], self.stage.size(events)
        if (events, shift) not in self.lists:
            memory = self.stage.memory
            offsets, numbers = memory.take((self.extent.tile + 1) * 8), memory.take((self.extent.tile * n + VECTOR) * 4)
            fields = dict(address=address(raster), delay=shift, words=raster.shape[-1], function=self.functions["list_bits"])
            self.stage.step(Kind.LIST, place=offsets, extra=numbers, **fields)
            self.lists[events, shift] = offsets, numbers
        return self.lists[events, shift]

    def weights(self, part: Part) -> np.ndarray:
        """The amounts of a part in memory: rows of whole vectors."""
        return rows_of_vectors(self.stage, self.tensors[part.name], part.dense)

    def _gather(self, arrivals: Arrivals) -> None:
        """The event that arrives at each synapse."""
        events, stage = arrivals.pathway.events, self.stage
        place, past = stage.own(arrivals.array), self.network.past(events)
        fields = gathering(self.network, stage, arrivals)
        if events in self.given:
            fields |= self._recent(events)
        elif events in self.inputs:
            rows = self._rows(self.inputs[events])
            if past:
                rows = torch.cat([flat(self.tensors[events + PAST], self.extent.members, past).to(rows.dtype), rows])
            rows = rows.contiguous()
            stage.kept.append(rows)
            fields |= dict(flags=1, address=rows.data_ptr(), n_source=rows.shape[-1])
        else:
            raster = self.rasters[events]
            fields |= dict(address=address(raster), words=raster.shape[-1])
        stage.step(Kind.GATHER, place=place.address, stride=place.row, size=place.size, delay=past, **fields)

    def _recent(self, events: str) -> dict[str, int]:
        """Rows of numbers of the last steps in the tile, made from the lists of an input."""
        stage, size, past = self.stage, self.stage.size(events), self.network.past(events)
        row = padded(size) * self.extent.real.itemsize
        if events not in self.recent:
            place = self.recent[events] = stage.memory.take((past + 1) * self.extent.tile * row)
            for number in range(past):
                if self.again:  # steps that are done again begin anywhere
                    spread(stage, self.given[events], place, row, size, delay=number, slots=past + 1)
                else:
                    spread(stage, self.given[events], place, row, size, delay=past, slots=past + 1, before=number)
            spread(stage, self.given[events], place, row, size, delay=past, slots=past + 1)
        return dict(flags=2, address=self.recent[events], extra=row)

    # ---------------------------------------------------------------------------------------------------------------------------------------- records
    def _record(self, record: Record) -> None:
        if record.array in self.network.fixed:
            return
        self._place(record.array)
        extent, place = self.extent, self.stage.places[record.array]
        n, members, item = place.size, extent.members, extent.real.itemsize
        fields = dict(place=place.address, stride=place.row, size=n)
        events = is_event(self.stage.arrays[record.array])
        match reduction_kind(self.network.reductions[record.name]):
            case None:
                dtype = self.real if events or self.stage.dtype(record.array) == extent.real else self.tensors[record.array].dtype
                out = tensor((extent.steps, members, n), dtype)
                row = n * out.element_size()
                if not events:
                    fields["size"] = row
                self.stage.step(
                    Kind.BYTES_OUT if events else Kind.COPY_OUT, address=out.data_ptr(), per_step=members * row, per_member=row, **fields
                )
            case Kind.SUM:
                out = torch.zeros(members, n, dtype=self.real)
                function = self.functions["sum_bytes" if events else "sum"]
                self.stage.step(Kind.SUM, function=function, address=out.data_ptr(), per_member=n * item, extra=n, **fields | {"stride": place.stride})
            case Kind.LAST_OUT:
                out = torch.empty(members, n, dtype=self.real)
                if events:
                    self.stage.after(Kind.BYTES_OUT, address=out.data_ptr(), per_member=n * item, **fields)
                else:
                    fields["size"] = n * item
                    self.stage.step(Kind.LAST_OUT, address=out.data_ptr(), per_member=n * item, **fields)
            case _:
                out = self._maximum(record.name, place, events)
        self.results.out[record.name] = out

    def _maximum(self, name: str, place: Place, events: bool) -> torch.Tensor:
        extent, n = self.extent, place.size
        out, ties = torch.empty(extent.members, n, dtype=self.real), torch.empty(extent.members, n, dtype=self.real)
        when = torch.empty(extent.members, n, dtype=torch.int32)
        words = -(-n // 64)
        bits = torch.empty(extent.steps * extent.members * words if self.keep is not None else 0, dtype=torch.int64)
        self.stage.kept += [ties, when, bits]
        self.stage.step(
            Kind.MAXIMUM, function=self.functions["maximum_bytes" if events else "maximum"], address=out.data_ptr(), value=ties.data_ptr(),
            index=when.data_ptr(), first=bits.data_ptr() if len(bits) else 0, words=words, place=place.address, stride=place.stride, size=n,
        )
        self.results.tape |= {f"{name}|ties": ties, f"{name}|when": when, f"{name}|bits": bits}
        return out
