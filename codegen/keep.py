"""What the forward pass keeps for the backward one, in the smallest form.

`adjoint` puts every array on the tape that a transposed Map reads to repeat its forward lines. Often less will do: of `t - lastspike >= h` the backward
lines need one bit, of `P*v + Q*I` the sum. So the values of a step are a graph, from the arrays on the tape through the repeated lines to those that the
reversed lines read, and its smallest vertex cut, weighed in bits, is what has to be kept.

A forward Map stores what is kept to an array of the role TAPE: engines keep the value that such an array has at the end of each step, and a backward
Program loads it under the same name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from .dataflow import writes
from .derivative import used
from .expr import DType, Index
from .ir import Array, Kernel, Load, Map, Program, Propagator, Role, Store, Table, defined
from .optimize import line_types, optimize, prune

Node = tuple[str, ...]
"""(backward Map, name), or (array, how many kernels of the step have written it)."""

NEVER = 10**9
BITS = {DType.FLOAT: 32, DType.INT32: 32, DType.INT64: 64, DType.BOOL: 1}
UNIT = 1000
"""The weight of a bit; the rest is for choosing among what takes as many."""

FRESH = 100
"""What it weighs more if the forward pass would have to compute it for this alone."""
NEURONS = 0.01
"""What an array of neurons weighs to synapses, of which there are many more."""
SHARED = 0.001


def keep(forward: Program, backward: Program, again: Collection[str] = ()) -> tuple[Program, Program]:
    """`Program, Program -> Program, Program`: the same with as few bits on the tape as the backward lines need, and never more than before.

    What only whole arrays can be (arrays of neurons that Maps over synapses read, shared values, what pathways read) stays in `Program.tape`, each value once.
    `again` names the Tables that an engine can read backwards, too: what such a Table gave is read from it again.
    """
    scene = _scene(forward, backward, again)
    graph = _Graph()
    for reader in scene.readers:
        _add(graph, reader, scene)
    kept = graph.cut()
    return _rewritten(scene, kept)


# ------------------------------------------------------------------------------------------------------------------------------------------- the scene
@dataclass(frozen=True, slots=True)
class _Reader:
    """A backward Map that reads the tape, and the forward kernel that it transposes."""

    backward: Map
    forward: Kernel
    taped: Mapping[str, Node]
    """The version of an array behind each name that it loads from the tape."""
    repeated: frozenset[str]
    """Names whose values the forward pass knows."""
    types: Mapping[str, DType]
    fresh: frozenset[str]
    """Those of its names that the forward kernel does not compute."""
    candidates: frozenset[str]
    """Names that the forward kernel can store, one value for each element."""
    events: Mapping[str, str]
    """Names that are stored as events, whose past is known anyway; so whether a neuron fired is never decided again."""


@dataclass(frozen=True, slots=True)
class _Scene:
    forward: Program
    backward: Program
    readers: tuple[_Reader, ...]
    versions: Mapping[tuple[str, str], Node]
    """The version of an array that each kernel that reads it finds, for the pairs of the tape."""
    stored: Mapping[Node, tuple[str, str]]
    """The Map and the name of it that a version of an array is."""
    given: Mapping[Node, Table]
    """The Table that a version of an array comes from, where it can be read again."""


def _scene(forward: Program, backward: Program, again: Collection[str]) -> _Scene:
    versions: dict[tuple[str, str], Node] = {}
    given: dict[Node, Table] = {}
    stored: dict[Node, tuple[str, str]] = {}
    count: dict[str, int] = {}
    for kernel in forward.kernels:
        for name, array in forward.tape:
            if name == kernel.name:
                versions[name, array] = (array, str(count.get(array, 0)))
        for array in writes(kernel):
            count[array] = count.get(array, 0) + 1
        if isinstance(kernel, Table) and not kernel.add and kernel.name in again:
            given[kernel.array, str(count[kernel.array])] = kernel
        if isinstance(kernel, Map) and _runs_whole(kernel):
            for store in kernel.stores:
                if store.index is Index.SELF and not store.add:
                    stored[store.array, str(count[store.array])] = kernel.name, store.name
    given = {version: table for version, table in given.items() if count[version[0]] == 1}  # else two values of one name would meet
    pairs = {f"{name}:{array}": (name, array) for name, array in forward.tape}
    kernels = {kernel.name: kernel for kernel in forward.kernels}
    readers: list[_Reader] = []
    for kernel in backward.kernels:
        taped = {load.name: load.array for load in kernel.loads if load.array in pairs} if isinstance(kernel, Map) else {}
        if taped:
            assert isinstance(kernel, Map)
            owner = kernels[pairs[next(iter(taped.values()))][0]]
            readers.append(_reader(kernel, owner, {name: versions[pairs[array]] for name, array in taped.items()}, forward))
    return _Scene(forward, backward, tuple(readers), versions, stored, given)


def _runs_whole(kernel: Kernel) -> bool:
    return isinstance(kernel, Map) and kernel.only is None and not kernel.after and kernel.part is None


def _reader(kernel: Map, owner: Kernel, taped: Mapping[str, Node], forward: Program) -> _Reader:
    cotangents = {store.array for store in kernel.stores}
    known = {a.name for a in forward.arrays}
    repeated = {load.name for load in kernel.loads if load.name in taped or (load.array in known and load.array not in cotangents)}
    differs = {load.name for load in kernel.loads if load.name in repeated and load.index not in (Index.SHARED, Index.WHOLE)}
    single: set[str] = set()
    for line in kernel.body:
        if used(line) <= repeated:
            repeated |= set(defined(line))
            if used(line) & differs:
                differs |= set(defined(line))
                single |= set() if isinstance(line, Propagator) else set(defined(line))
    types = line_types(kernel.body, {load.name: load.dtype for load in kernel.loads})
    if not (isinstance(owner, Map) and _runs_whole(owner) and owner.space == kernel.space):
        return _Reader(kernel, owner, taped, frozenset(repeated), types, frozenset(), frozenset(), {})
    own = {name for line in owner.body for name in defined(line)}
    events = {
        store.name: store.array
        for store in owner.stores
        if forward.array(store.array).role is Role.EVENT and store.index is Index.SELF and not store.add and store.dtype is DType.BOOL
    }
    free = {name: array for name, array in events.items() if name in single and array not in {load.array for load in kernel.loads}}
    return _Reader(kernel, owner, taped, frozenset(repeated), types, frozenset(repeated - own), frozenset(single), free)


# ----------------------------------------------------------------------------------------------------------------------------------------- the smallest cut
@dataclass(slots=True)
class _Graph:
    """Values, what each weighs if it is kept, and which are computed from which."""

    weights: dict[Node, int] = field(default_factory=dict)
    edges: dict[Node, set[Node]] = field(default_factory=dict)
    sources: dict[Node, None] = field(default_factory=dict)
    sinks: dict[Node, None] = field(default_factory=dict)

    def node(self, node: Node, weight: int) -> None:
        self.weights[node] = min(weight, self.weights.get(node, NEVER))
        self.edges.setdefault(node, set())

    def cut(self) -> frozenset[Node]:
        """The lightest set of values that every way from a source to a sink passes; of several, the one nearest to the sinks (Ford and Fulkerson 1956).

        Every value is two vertices with an edge of its weight from the one where it comes in to the one where it goes out.
        """
        start: Node = ("start",)
        end: Node = ("end",)
        room: dict[tuple[Node, Node], int] = {}
        for node, weight in self.weights.items():
            room[(*node, "in"), (*node, "out")] = weight
            for target in sorted(self.edges[node]):
                room[(*node, "out"), (*target, "in")] = NEVER
        room |= {(start, (*node, "in")): NEVER for node in self.sources}
        room |= {((*node, "out"), end): NEVER for node in self.sinks}
        ways: dict[Node, list[Node]] = {start: [], end: []}
        for one, other in list(room):
            ways.setdefault(one, []).append(other)
            ways.setdefault(other, []).append(one)
            room.setdefault((other, one), 0)
        while (path := _path(ways, room, start, end)) is not None:
            flow = min(room[edge] for edge in path)
            for one, other in path:
                room[one, other] -= flow
                room[other, one] += flow
        near: set[Node] = {end}
        todo: list[Node] = [end]
        while todo:
            vertex = todo.pop()
            for other in ways[vertex]:
                if other not in near and room[other, vertex] > 0:
                    near.add(other)
                    todo.append(other)
        return frozenset(node for node in self.weights if (*node, "out") in near and (*node, "in") not in near)


def _path(ways: Mapping[Node, list[Node]], room: Mapping[tuple[Node, Node], int], start: Node, end: Node) -> list[tuple[Node, Node]] | None:
    """The edges of a shortest way with room left."""
    before: dict[Node, Node] = {start: start}
    todo = deque([start])
    while todo:
        vertex = todo.popleft()
        if vertex == end:
            path = []
            while vertex != start:
                path.append((before[vertex], vertex))
                vertex = before[vertex]
            return path
        for other in ways[vertex]:
            if other not in before and room[vertex, other] > 0:
                before[other] = vertex
                todo.append(other)
    return None


def _add(graph: _Graph, reader: _Reader, scene: _Scene) -> None:
    """The repeated lines of a backward Map, and which of their values its other lines and its stores read."""
    kernel = reader.backward

    def node(name: str) -> Node:
        return reader.taped[name] if name in reader.taped else (kernel.name, name, "")

    for load in kernel.loads:
        if load.name in reader.taped:
            graph.node(node(load.name), 1 if node(load.name) in scene.given else _weight_of_load(load))
            graph.sources[node(load.name)] = None
    reached = set(reader.taped)
    for line in kernel.body:
        names = used(line)
        if not set(defined(line)) <= reader.repeated:
            for name in sorted(names & reached):
                graph.sinks[node(name)] = None
            continue
        for name in defined(line) if names & reached and reader.events.keys().isdisjoint(defined(line)) else ():
            reached.add(name)
            graph.node(node(name), _weight_of_name(name, reader))
            for operand in sorted(names & reached - {name}):
                graph.edges[node(operand)].add(node(name))
    for store in kernel.stores:
        if store.name in reached:
            graph.sinks[node(store.name)] = None


def _weight_of_load(load: Load) -> int:
    share = {Index.SELF: 1.0, Index.SHARED: SHARED}.get(load.index, NEURONS)
    return max(1, int(BITS[load.dtype] * UNIT * share))


def _weight_of_name(name: str, reader: _Reader) -> int:
    if name not in reader.candidates:
        return NEVER
    return BITS[reader.types[name]] * UNIT + (FRESH if name in reader.fresh else 0)


# ------------------------------------------------------------------------------------------------------------------------------------------ what comes of it
@dataclass(slots=True)
class _Kept:
    """The kernels and arrays under construction; `at` is the array in which the backward Program finds a value."""

    kernels: dict[str, Kernel]
    taken: set[str]
    tapes: list[Array] = field(default_factory=list)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    at: dict[Node, str] = field(default_factory=dict)
    stored: dict[tuple[str, str], str] = field(default_factory=dict)
    """The array to which a forward Map stores one of its names."""

    def declare(self, array: Array) -> str:
        while array.name in self.taken:
            array = replace(array, name=f"{array.name}_")
        self.taken.add(array.name)
        self.tapes.append(array)
        return array.name

    def store(self, kernel: str, name: str, array: Array) -> str:
        """Let a forward Map store one of its names, once."""
        if (kernel, name) not in self.stored:
            made = self.stored[kernel, name] = self.declare(array)
            owner = self.kernels[kernel]
            assert isinstance(owner, Map)
            self.kernels[kernel] = replace(owner, stores=(*owner.stores, Store(made, Index.SELF, name, array.dtype)))
        return self.stored[kernel, name]


def _rewritten(scene: _Scene, chosen: frozenset[Node]) -> tuple[Program, Program]:
    forward, backward = scene.forward, scene.backward
    result = _Kept({kernel.name: kernel for kernel in forward.kernels}, {a.name for a in forward.arrays})
    for reader in scene.readers:
        _keep_names(reader, chosen, result)
    chosen_versions = dict.fromkeys(version for reader in scene.readers for version in reader.taped.values() if version in chosen)
    again = [scene.given[version] for version in chosen_versions if version in scene.given]
    result.at |= {version: version[0] for version in chosen_versions if version in scene.given}
    for version in chosen_versions:
        if version not in result.at:
            result.at[version] = _keep_version(scene, version, result)
    readers = {reader.backward.name: _reading(reader, chosen, result.at) for reader in scene.readers}
    kernels = tuple(readers.get(kernel.name, kernel) for kernel in backward.kernels)
    stored = {store.array for kernel in result.kernels.values() if isinstance(kernel, Map) for store in kernel.stores}
    arrays = (*forward.arrays, *(array for array in result.tapes if array.name in stored))
    known = (*(array for array in backward.arrays if array.role is not Role.TAPE), *result.tapes)
    order = tuple(result.kernels[kernel.name] for kernel in forward.kernels)
    return replace(forward, arrays=arrays, kernels=order, tape=tuple(result.pairs)), replace(backward, arrays=known, kernels=(*again, *kernels))


def _keep_names(reader: _Reader, chosen: frozenset[Node], result: _Kept) -> None:
    """Values that a forward Map computes, some of them for this alone."""
    body, owner = reader.backward.body, reader.forward
    wanted = [name for line in body for name in defined(line) if (reader.backward.name, name, "") in chosen]
    if not wanted:
        return
    assert isinstance(owner, Map)
    own = {name for line in owner.body for name in defined(line)}
    more = tuple(line for line in prune(body, [name for name in wanted if name in reader.fresh]) if own.isdisjoint(defined(line)))
    result.kernels[owner.name] = replace(owner, body=(*owner.body, *more))
    for name in wanted:
        array = Array(f"{owner.name}:{name}", owner.space, Role.TAPE, reader.types[name])
        result.at[reader.backward.name, name, ""] = result.store(owner.name, name, array)
    if more:
        complete = result.kernels[owner.name]
        assert isinstance(complete, Map)
        result.kernels[owner.name] = optimize(complete)


def _keep_version(scene: _Scene, version: Node, result: _Kept) -> str:
    """An array as a kernel finds it: stored by a Map that computes or reads it, or else copied before the kernel."""
    array = scene.forward.array(version[0])
    tape = replace(array, role=Role.TAPE)
    first = next(pair for pair, other in scene.versions.items() if other == version)
    if scene.stored.get(version) in result.stored:
        return result.stored[scene.stored[version]]
    for reader in scene.readers:
        if version in reader.taped.values() and isinstance(reader.forward, Map) and _runs_whole(reader.forward):
            load = next(load for load in reader.forward.loads if load.array == array.name)
            if load.index is Index.SELF:
                return result.store(reader.forward.name, load.name, replace(tape, name=f"{reader.forward.name}:{array.name}"))
    if version in scene.stored:
        kernel, name = scene.stored[version]
        return result.store(kernel, name, replace(tape, name=f"{kernel}:{array.name}"))
    result.pairs.append(first)
    return result.declare(replace(tape, name="{}:{}".format(*first)))


def _reading(reader: _Reader, chosen: frozenset[Node], at: Mapping[Node, str]) -> Map:
    """The backward Map with what is kept in place of what is repeated."""
    kernel = reader.backward
    kept = {name: at[node] for line in kernel.body for name in defined(line) if (node := (kernel.name, name, "")) in chosen} | dict(reader.events)
    body = prune([line for line in kernel.body if kept.keys().isdisjoint(defined(line))], [store.name for store in kernel.stores])
    read = {name for line in body for name in used(line)} | {store.name for store in kernel.stores}
    loads = [
        replace(load, array=at[reader.taped[load.name]]) if load.name in reader.taped else load for load in kernel.loads if load.name in read
    ]
    more = [Load(name, array, Index.SELF, reader.types[name]) for name, array in kept.items() if name in read]
    return replace(kernel, loads=(*loads, *more), body=body)
