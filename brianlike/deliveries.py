"""The pathways of a network for the driver: which of them run as one, and the memory that they work on.

Pathways of equal code whose events come from one group, such as those of a population to all others, run as one where their rows are short: each spike then has
one row for all its targets. Their accumulators lie in one block, so that a target is one number, whatever its group.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from codegen.dataflow import late, reads, writes
from codegen.emit import cython
from codegen.expr import DType, Index
from codegen.ir import Array, Deliver, Draw, Extern, Kernel, Map, Program, Role, Source

from . import layout as layouts
from .deferred import Deferred, park_ends
from .layout import LINE, NARROW, Layout, arranged_pieces, leap
from .prepare import Prepared
from .shares import OWN, PER_SYNAPSE, arranged_groups, bases, divided, group_costs, targets
from .simulate import Inputs
from .sorting import Piece, gathered
from .state import State, VariableOwner, padded

SHORT = 256  # synapses of a spike that arrive at a time; longer rows gain nothing from being joined
FEW_DELAYS = 10  # at least so many are taken for granted where delays differ between synapses
LIMIT = 2**31 - 1
SAMPLED = 1 << 17  # synapses of a pathway, about, from which it is seen where they lead
COMPACT_FROM = 1 << 20  # synapses of a bundle; from here on memory counts more than the time to sort them once more


@dataclass(slots=True)
class Bundle:
    """Pathways that the driver runs as one operation."""

    members: tuple[Deliver, ...]
    layout: Layout | None = None
    sorted_apart: bool = False
    sorted: dict[str, np.ndarray] = field(default_factory=dict)
    stamps: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def first(self) -> Deliver:
        return self.members[0]


class Deliveries:
    """Every pathway of a prepared network.

    Parameters
    ----------
    prepared, inputs : the network and its arrays as users have them.
    arrays : the memory behind each array.
    sources : the generated text of each pathway's kernel.
    plain : names of pathways that only mark what arrives, for numpy.
    steady : arrays that nothing changes in a run.
    """

    def __init__(
        self,
        prepared: Prepared,
        inputs: Inputs,
        arrays: Mapping[str, np.ndarray],
        sources: Mapping[str, Source],
        plain: Collection[str],
        steady: Collection[str],
    ) -> None:
        self._prepared, self._inputs, self._arrays, self._sources, self._plain, self._steady = prepared, inputs, arrays, sources, plain, steady
        self._kernels = [kernel for kernel in prepared.program.kernels if isinstance(kernel, Deliver)]
        self._rowed = {k.name: frozenset() if k.name in plain else cython.by_row(k, steady) for k in self._kernels}
        self._offsets = _offsets(prepared.program, inputs.sizes)
        self._cuts: dict[str, tuple[int, ...]] = {}
        self._elsewhere = self._read_elsewhere()
        self._users = [(state, variable, name) for name in (a.name for a in prepared.program.arrays) for state, variable in self._variable(name)]
        self._scratch = np.zeros(0, np.uint8)
        self.threads = 0

    def arrange(self, threads: int) -> None:
        """Sort synapses for so many threads."""
        self.threads = threads
        self._bundles = {members[0].name: Bundle(tuple(members)) for members in self._joined()}
        for bundle in self._bundles.values():
            self._settle_ends(bundle)
        self._cuts = self._divided() if threads > 1 and sum(map(self._size, self._kernels)) >= layouts.SHARED_FROM else {}
        for bundle in self._bundles.values():
            bundle.layout = self._layout(bundle)
            bundle.sorted_apart = bundle.layout.order is not None
            self._copy(bundle)
            if sum(self._size(member) for member in bundle.members) >= COMPACT_FROM:
                self._compact(bundle)
        self._scratch = np.zeros(0, np.uint8)
        self.copied = frozenset(name for bundle in self._bundles.values() for name in self._copies(bundle))
        """Arrays of which there are sorted copies."""

    def _divided(self) -> dict[str, tuple[int, ...]]:
        """The neurons of each thread in the groups that something is delivered to."""
        program = self._prepared.program
        costs = group_costs(program, self._inputs.sizes)
        each = {name: np.full(padded(self._inputs.sizes[name]), own[OWN] / self._inputs.sizes[name]) for name, own in costs.items()}
        for kernel in self._kernels:
            for space, index in targets(program, kernel):
                connection = self._inputs.connections[kernel.space]
                reached = connection.within(index)[:: max(1, self._size(kernel) // SAMPLED)]
                counts = np.bincount(reached + np.int64(connection.part(index)[0]), minlength=len(each[space]))
                each[space] += counts * (PER_SYNAPSE * self._size(kernel) / max(len(reached), 1))
        return divided(arranged_groups(costs), each, self.threads)

    def cuts(self, space: str) -> tuple[int, ...]:
        """The first element of each thread in a group, and the end; empty if threads may take any."""
        return self._cuts.get(space, ())

    def _size(self, kernel: Deliver) -> int:
        return self._inputs.sizes[kernel.space]

    def _state(self, kernel: Deliver) -> State:
        item = self._prepared.objects[kernel.space]
        assert isinstance(item, VariableOwner)
        return item.state

    # ------------------------------------------------------------------------------------------------------------------------------ what runs as one
    def _joined(self) -> list[list[Deliver]]:
        """The pathways, each with those that can run at its place."""
        order: list[Kernel | list[Deliver]] = list(self._prepared.program.kernels)
        place = 0
        while place < len(order):
            kernel = order[place]
            if isinstance(kernel, Deliver):
                order[place] = group = [kernel]
                if self._joinable(kernel):
                    self._gather(group, order, place)
            place += 1
        return [item for item in order if isinstance(item, list)]

    def _gather(self, group: list[Deliver], order: list[Kernel | list[Deliver]], place: int) -> None:
        """Move into `group` what does the same later, unless something in between touches what it reads or writes."""
        seen: set[str] = set()
        changed: set[str] = set()
        passed: list[Deliver] = []
        n = place + 1
        while n < len(order):
            other = order[n]
            assert not isinstance(other, list)
            if isinstance(other, Deliver) and self._fits(group, other) and not (writes(other) & (seen | changed) or reads(other) & changed):
                if not any(self._meet(one, other) for one in passed):
                    group.append(other)
                    del order[n]
                    continue
            seen |= reads(other)
            if isinstance(other, Deliver) and self._joinable(other):
                passed.append(other)  # it adds to some elements of an accumulator only
            else:
                changed |= writes(other)
            n += 1

    def _reached(self, kernel: Deliver, index: Index) -> tuple[int, int]:
        """The first and last + 1 neuron that the synapses of a pathway can have on one side."""
        return self._inputs.connections[kernel.space].part(index)

    def _meet(self, one: Deliver, other: Deliver) -> bool:
        """Whether two pathways that add to one accumulator each can add to the same element."""
        (first, stop), (begin, end) = self._reached(one, _other(one)), self._reached(other, _other(other))
        return one.stores[0].array == other.stores[0].array and max(first, begin) < min(stop, end)

    def _joinable(self, kernel: Deliver) -> bool:
        """Whether it adds values of its synapses to one accumulator, and rows are short."""
        far = _other(kernel)
        if kernel.name in self._plain or kernel.sequential or any(isinstance(line, Draw) for line in kernel.body):
            return False
        if len(kernel.stores) != 1 or kernel.stores[0].index is not far or kernel.stores[0].array not in self._offsets:
            return False
        own = self._rowed[kernel.name]
        if any(load.index in (far, Index.WHOLE) or (load.index is Index.SELF and load.array not in own) for load in kernel.loads):
            return False
        connection = self._inputs.connections[kernel.space]
        several = FEW_DELAYS if kernel.delay is not None and self._prepared.has_delays(kernel) else 1
        first, stop = connection.part(kernel.side)
        return self._size(kernel) < SHORT * (stop - first) * several

    def _fits(self, group: Sequence[Deliver], other: Deliver) -> bool:
        first = group[0]
        if not self._joinable(other) or self._sources[other.name].name != self._sources[first.name].name:
            return False
        if (first.events, first.side, first.clock, first.slot) != (other.events, other.side, other.clock, other.slot):
            return False
        if self._reached(first, first.side) != self._reached(other, other.side) or any(self._meet(one, other) for one in group):
            return False
        total = sum(self._size(one) for one in (*group, other))
        common = zip(self._sources[first.name].parameters, self._sources[other.name].parameters)
        own = {load.array for one in (first, other) for load in one.loads if load.index is Index.SELF} | {first.stores[0].array, other.stores[0].array}
        return total <= LIMIT and all(mine == theirs or (mine in own and theirs in own) for mine, theirs in common)

    # ------------------------------------------------------------------------------------------------------------------------------------------ memory
    def _layout(self, bundle: Bundle) -> Layout:
        """The rows of a bundle, with delays as the driver counts them."""
        kernel, far = bundle.first, _other(bundle.first)
        divisible = not kernel.sequential and kernel.name not in self._plain and all(store.index in (Index.SELF, far) for store in kernel.stores)
        ends = [self._inputs.connections[member.space] for member in bundle.members]
        offsets = [self._offsets[member.stores[0].array] if len(ends) > 1 else 0 for member in bundle.members]
        steps = [self._prepared.delay_steps(member) for member in bundle.members]
        parts = [one.part(far) for one in ends]
        lowest = min(offset + first for (first, _), offset in zip(parts, offsets)) // LINE * LINE
        pieces = [
            Piece(one.within(kernel.side), delays, one.within(far), offset + first - lowest)
            for one, delays, (first, _), offset in zip(ends, steps, parts, offsets)
        ]
        n_far = max(offset + stop for (_, stop), offset in zip(parts, offsets)) - lowest
        first, stop = ends[0].part(kernel.side)
        own = self._owners(bundle, lowest, lowest + n_far)
        wanted = bases(own, n_far, NARROW) if own and divisible else None
        layout = arranged_pieces(pieces, stop - first, n_far, self.threads, divisible, wanted)
        layout = replace(layout, bases=layout.bases + lowest)
        if len(ends) > 1 and layout.order is None:
            layout = replace(layout, order=np.arange(len(layout.ends), dtype=np.int32))
        return replace(layout, delays=layout.delays + late(self._prepared.program, kernel, kernel.events))

    def _owners(self, bundle: Bundle, first: int, stop: int) -> list[tuple[int, tuple[int, ...]]]:
        """The groups that lie between two targets of a bundle: where they begin, counted from the first one, and their division among threads."""
        found = targets(self._prepared.program, bundle.first)
        if not found or not self._cuts:
            return []
        if len(bundle.members) == 1:
            return [(-first, self._cuts[found[0][0]])]
        spaces = {name: str(self._prepared.program.array(name).space) for name in self._offsets}
        ends = {name: offset + self._inputs.sizes[spaces[name]] for name, offset in self._offsets.items()}
        return [(offset - first, self._cuts[spaces[name]]) for name, offset in self._offsets.items() if offset < stop and first < ends[name]]

    def _copies(self, bundle: Bundle) -> list[str]:
        return [] if not bundle.sorted_apart else [name for member in bundle.members for name in sorted(self._rowed[member.name])]

    # ------------------------------------------------------------------------------------------------------------------------------------------ copies
    def _copy(self, bundle: Bundle) -> None:
        """Make the sorted copies of a bundle."""
        if bundle.sorted_apart:
            for name in sorted(self._rowed[bundle.first.name]):
                bundle.sorted[name] = np.empty(sum(map(self._size, bundle.members)), self._arrays[name].dtype)
                self._sort(bundle, name)

    def renew(self) -> None:
        """Make sorted copies anew where somebody can have changed the values."""
        for bundle in self._bundles.values():
            for parameter in bundle.sorted:
                self._sort(bundle, parameter)
        self._scratch = np.zeros(0, np.uint8)

    def _settle(self, name: str) -> None:
        for state, variable in self._variable(name):
            if variable in state.pending:
                state.pending[variable].settle()

    def _variable(self, name: str) -> list[tuple[State, str]]:
        """The state and the variable behind an array, if it is a user's."""
        owner, _, variable = name.partition(".")
        item = self._prepared.objects.get(owner)
        return [(item.state, variable)] if isinstance(item, VariableOwner) and variable in item.state else []

    def settle_others(self) -> None:
        """Work out deferred values of which there are no sorted copies."""
        for state, variable, name in self._users:
            if state.pending and isinstance(state.pending.get(variable), Deferred) and (name not in self.copied or name in self._elsewhere):
                state.pending[variable].settle()

    def _sort(self, bundle: Bundle, parameter: str) -> None:
        """Renew the sorted copy of what is `parameter` for the first member, and of the same for the others."""
        place = self._sources[bundle.first.name].parameters.index(parameter)
        names = [self._sources[member.name].parameters[place] for member in bundle.members]
        stamps = tuple(self._stamp(name) for name in names)
        if min(stamps) >= 0 and bundle.stamps.get(parameter) == stamps:
            return
        bundle.stamps[parameter] = stamps
        order, target = self._order(bundle), bundle.sorted[parameter]
        gathered([self._together(names, bundle)], order, target, self.threads)
        if min(stamps) < 0 and bundle.layout is not None:  # it has to be sorted again at every run
            bundle.layout = replace(bundle.layout, order=order)

    def _together(self, names: Sequence[str], bundle: Bundle) -> np.ndarray:
        """The values of synaptic variables by creation, those of one member behind the other; deferred ones stay deferred."""
        dtype, sizes = self._arrays[names[0]].dtype, [self._size(member) for member in bundle.members]
        if self._scratch.size * self._scratch.itemsize < sum(sizes) * dtype.itemsize:
            self._scratch = np.empty(sum(sizes) * dtype.itemsize, np.uint8)  # fresh memory for each bundle would take longer than its values
        values, first = self._scratch[: sum(sizes) * dtype.itemsize].view(dtype), 0
        for name, member, size in zip(names, bundle.members, sizes):
            own, first = values[first : first + size], first + size
            owner, _, variable = name.partition(".")
            state = self._state(member)
            waiting = state.pending.get(variable) if owner == member.space else None
            if isinstance(waiting, Deferred) and name not in self._elsewhere:
                waiting.each(own.__setitem__)
            else:
                own[...] = state[variable] if waiting is not None else self._arrays[name][:size]
        return values

    def _order(self, bundle: Bundle) -> np.ndarray:
        """The synapses of a bundle in the order of its rows."""
        assert bundle.layout is not None
        if bundle.layout.order is not None:
            return bundle.layout.order
        self._settle_ends(bundle)
        order = self._layout(bundle).order
        assert order is not None
        return order

    def _settle_ends(self, bundle: Bundle) -> None:
        for member in bundle.members:
            for name in ("i", "j"):
                self._settle(f"{member.space}.{name}")

    def _compact(self, bundle: Bundle) -> None:
        """Give back memory that a run does not need: the order of sorted copies, and where synapses begin and end."""
        assert bundle.layout is not None
        for member in bundle.members:
            own = self._rowed[member.name]
            numbered = any(load.index is Index.SELF and load.array not in own for load in member.loads)
            numbered = numbered or any(store.index is Index.SELF for store in member.stores)
            if numbered or any(isinstance(line, Draw) for line in member.body):
                return
        bundle.layout = replace(bundle.layout, order=None)
        for member in bundle.members:
            connection = self._inputs.connections[member.space]
            state = self._state(member)
            whole = connection.pre.base is state.memory("i").base and connection.post.base is state.memory("j").base
            alone = self._pathways(member.space) == 1 and not self._prepared.compiled[member.space].core.event_driven
            if whole and alone and not self._elsewhere & {f"{member.space}.i", f"{member.space}.j", member.space}:
                park_ends(state, *(stop - first for first, stop in map(connection.part, (Index.PRE, Index.POST))))

    def _pathways(self, space: str) -> int:
        return sum(kernel.space == space for kernel in self._kernels)

    def _read_elsewhere(self) -> set[str]:
        """The arrays that something reads by creation, and the objects whose synapses something goes through."""
        program, found = self._prepared.program, set()
        for kernel in (*program.setup, *program.kernels):
            if isinstance(kernel, Deliver) and kernel.name not in self._plain:
                found |= reads(kernel) - self._rowed[kernel.name]
                continue
            found |= set() if isinstance(kernel, Extern) else reads(kernel)  # Python code reads what it finds in the objects
            found |= {kernel.space} if isinstance(kernel, Map | Deliver) else set()
        return found

    def _stamp(self, name: str) -> int:
        """How often a variable was assigned to; -1 where that cannot be known."""
        for state, variable in self._variable(name):
            return -1 if variable in state.exposed else int(state.written[variable])
        return -1

    # -------------------------------------------------------------------------------------------------------------------------------------- the driver
    def bundle(self, kernel: Deliver) -> Bundle | None:
        """What runs at the place of a pathway; None if another one runs it."""
        return self._bundles.get(kernel.name)

    def add(self, driver: Any, bundle: Bundle, native: Any, event: int, arrays: Mapping[str, np.ndarray]) -> int:
        """Add a bundle to the driver; `arrays` has what the kernel takes beside sorted copies. Returns the number of the operation."""
        kernel, layout, source = bundle.first, bundle.layout, self._sources[bundle.first.name]
        assert layout is not None
        given = {**arrays, **bundle.sorted}
        if len(bundle.members) > 1:
            given[kernel.stores[0].array] = _block_of(self._arrays[kernel.stores[0].array])
        number: int = driver.add_deliver(
            native, [given[name] for name in source.parameters], event, layout.rows, ends=layout.ends, bases=layout.bases, delays=layout.delays,
            order=layout.order, leap=leap(layout), sources=self._reached(kernel, kernel.side), stream=self._inputs.stream(kernel),
            every=self._prepared.program.every(kernel),
        )  # fmt: skip
        return number

    def reached(self, pathways: Sequence[str], accumulator: str) -> tuple[int, int]:
        """The first and last + 1 element of an accumulator that any of these pathways can add to."""
        kernels = [kernel for kernel in self._kernels if kernel.name in pathways]
        parts = [self._reached(kernel, store.index) for kernel in kernels for store in kernel.stores if store.array == accumulator]
        return min(first for first, _ in parts), max(stop for _, stop in parts)

    def window(self, leader: str, accumulators: Sequence[str]) -> int:
        """Which of the targets of a bundle is the first element of the group that an accumulator belongs to."""
        return self._offsets[accumulators[0]] if len(self._bundles[leader].members) > 1 else 0

    def shares(self) -> dict[str, tuple[str, float]]:
        """For each pathway the one whose operation runs it, and its part of the synapses there."""
        found = {}
        for bundle in self._bundles.values():
            sizes = [self._size(member) for member in bundle.members]
            for member, size in zip(bundle.members, sizes):
                found[member.name] = (bundle.first.name, size / sum(sizes) if sum(sizes) else 1.0)
        return found


def _other(kernel: Deliver) -> Index:
    return Index.POST if kernel.side is Index.PRE else Index.PRE


def _offsets(program: Program, sizes: Mapping[str, int]) -> dict[str, int]:
    """Where each accumulator of floating point numbers begins in the block of all of them: those of one variable side by side, groups in one order."""
    order = {name: place for place, name in enumerate(arranged_groups(group_costs(program, sizes)))}
    lanes: dict[tuple[str, int], list[Array]] = {}
    for array in program.arrays:
        if array.role is Role.ACCUMULATOR and array.space and array.dtype is DType.FLOAT:
            variable, number = array.name.rpartition(":")[2], 0
            while any(other.space == array.space for other in lanes.get((variable, number), ())):
                number += 1
            lanes.setdefault((variable, number), []).append(array)
    found, place = {}, 0
    for lane in lanes.values():
        for array in sorted(lane, key=lambda array: order[str(array.space)]):
            found[array.name] = place
            place += padded(sizes[str(array.space)])
    return found


def accumulator_block(program: Program, sizes: Mapping[str, int], dtype: Any) -> dict[str, np.ndarray]:
    """The memory of these accumulators, side by side."""
    offsets = _offsets(program, sizes)
    lengths = {array.name: padded(sizes[str(array.space)]) for array in program.arrays if array.name in offsets}
    block = np.zeros(max((offsets[name] + length for name, length in lengths.items()), default=0), dtype)
    return {name: block[offsets[name] :][:length] for name, length in lengths.items()}


def _block_of(accumulator: np.ndarray) -> np.ndarray:
    block = accumulator.base
    assert isinstance(block, np.ndarray)
    return block
