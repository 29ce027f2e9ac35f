"""Random events with a known probability, drawn for whole blocks of elements: `rand() < p` becomes a Bernoulli draw.

Most thresholds of this form hold for few elements (`rand() < rates*dt` of a PoissonGroup: one in a thousand), and a uniform number for each of them takes
most of the time. A Bernoulli draw (`brianlike/randomness.py`) finds the elements where it holds by gaps. It has to know the probabilities of a block before
it begins: they get an array of their own, computed in the set-up where no step changes them, and otherwise by a Map just before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from .dataflow import constant_in_run, writes
from .expr import Cast, Compare, DType, Expr, Index, Name, Number, substitute, walk
from .fresh import Fresh
from .functions import call, calls_python, dtype_of, lasting
from .ir import Array, Draw, Extern, Fire, Kernel, Let, Line, Load, Map, Program, Role, Select, Store, expressions
from .lines import rewrite_line
from .optimize import line_types, names_read, prune

FREQUENT = 0.0625
"""From this probability on each element has a uniform number of its own, so that nothing is gained."""


def draw_by_blocks(program: Program) -> Program:
    """`Program -> Program`: where a uniform number serves one comparison `rand() < p` only, a Bernoulli draw with probability p takes the place of both."""
    reachable = {array for kernel in program.kernels if isinstance(kernel, Extern) for array in writes(kernel)}
    fixed = constant_in_run(program) - reachable
    setup, arrays, kernels = list(program.setup), list(program.arrays), list[Kernel]()
    for kernel in program.kernels:
        while isinstance(kernel, Map) and (found := _find(kernel)) is not None:
            parts = _part(kernel, found, fixed)
            setup += parts.setup
            arrays += parts.arrays
            kernels += parts.before
            if parts.rest is None:
                break
            kernel = parts.rest
        else:
            kernels.append(kernel)
    return replace(program, arrays=tuple(arrays), setup=tuple(setup), kernels=tuple(kernels))


def draws_by_blocks(kernel: Kernel) -> bool:
    """Whether a kernel draws for whole blocks of elements, which it then does alone."""
    return isinstance(kernel, Map) and any(isinstance(line, Draw) and line.law == "bernoulli" for line in kernel.body)


@dataclass(frozen=True, slots=True)
class _Found:
    """The line that draws the uniform number, the comparison that it serves, and the lines that compute the probability."""

    draw: Draw
    comparison: Compare
    probability: Expr
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    """A Map taken apart: kernels of the set-up, those that run before what is left of it (None: nothing is), and their arrays."""

    setup: tuple[Map, ...]
    arrays: tuple[Array, ...]
    before: tuple[Map, ...]
    rest: Map | None


def _find(kernel: Map) -> _Found | None:
    if kernel.only is not None or not kernel.space:
        return None
    for line in kernel.body:
        if isinstance(line, Draw) and line.law == "uniform":
            found = _comparison(kernel, line)
            if found is not None:
                return found
    return None


def _comparison(kernel: Map, draw: Draw) -> _Found | None:
    """What a uniform number is compared with, if it serves nothing else (margins are for gradients)."""
    number = Name(draw.name)
    evaluated = [expr for line in kernel.body for expr in expressions(replace(line, margin=None) if isinstance(line, Fire) else line)]
    uses = [node for expr in evaluated for node in walk(expr) if node == number]
    if len(uses) != 1 or any(store.name == draw.name for store in kernel.stores):
        return None
    for node in (node for expr in evaluated for node in walk(expr)):
        match node:
            case Compare("<", left, probability) | Compare(">", probability, left) if left == number:
                lines = prune(kernel.body, {part.name for part in walk(probability) if isinstance(part, Name)})
                return _Found(draw, node, probability, lines) if _computable(probability, lines) else None
    return None


def _computable(probability: Expr, lines: Sequence[Line]) -> bool:
    """Whether a kernel of its own can compute the probability, and it may be small."""
    if isinstance(probability, Number):
        return probability.value < FREQUENT
    values = [probability, *(expr for line in lines for expr in expressions(line))]
    return all(isinstance(line, Let | Select) for line in lines) and all(lasting(value) and not calls_python(value) for value in values)


def _part(kernel: Map, found: _Found, fixed: Collection[str]) -> _Parts:
    name = found.draw.name
    setup, before, arrays = _probabilities(kernel, found, fixed)
    probabilities, classes = (array.name.partition(":")[2] for array in arrays)
    loads = (Load(probabilities, arrays[0].name, Index.WHOLE), Load(classes, arrays[1].name, Index.SHARED, DType.INT64))
    draw = Draw(name, "bernoulli", found.draw.number, (Name(probabilities),), Name(classes))
    rest = _without(kernel, found)
    event = _only_event(rest, Name(name))
    if event is not None:
        return _Parts(setup, arrays, (*before, replace(kernel, loads=loads, body=(draw,), stores=(replace(event, name=name),), part=None)), None)
    hits = Array(f"{kernel.name}:{name}", kernel.space, Role.HIDDEN, DType.BOOL)
    store = Store(hits.name, Index.SELF, name, DType.BOOL)
    drawing = replace(kernel, name=f"{kernel.name}:draw_{name}", loads=loads, body=(draw,), stores=(store,), part=None)  # others have no probability
    rest = replace(rest, loads=(*rest.loads, Load(name, hits.name, Index.SELF, DType.BOOL)))
    return _Parts(setup, (*arrays, hits), (*before, drawing), rest)


def _probabilities(kernel: Map, found: _Found, fixed: Collection[str]) -> tuple[tuple[Map, ...], tuple[Map, ...], tuple[Array, Array]]:
    """What computes the probabilities, and tells which classes of them occur: kernels of the set-up, and kernels of each step."""
    types = line_types(kernel.body, {load.name: load.dtype for load in kernel.loads})
    stem, fresh = f"{kernel.name}:{found.draw.name}", Fresh(set(types))
    read = names_read(found.lines) | {node.name for node in walk(found.probability) if isinstance(node, Name)}
    loads = tuple(load for load in kernel.loads if load.name in read)
    differs = any(load.index not in (Index.SHARED, Index.WHOLE) for load in loads)
    known = all(load.array in fixed for load in loads)
    space = kernel.space if differs else ""
    array = Array(f"{stem}_p", space or None, Role.PARAMETER)
    kinds = Array(f"{stem}_classes", None, Role.PARAMETER, DType.INT64)
    value = found.probability
    p = Let(fresh("p"), value if dtype_of(value, types) is DType.FLOAT else Cast(DType.FLOAT, value))
    classes = Let(fresh("classes"), call("_probability_classes", Name(p.name) if known else Number(-1.0)), DType.INT64)
    store = Store(array.name, Index.SELF if differs else Index.SHARED, p.name)
    keeping = Store(kinds.name, Index.SHARED, classes.name, DType.INT64)
    if known:
        return (Map(f"{stem}:setup", space, loads, (*found.lines, p, classes), (store, keeping)),), (), (array, kinds)
    part = kernel.part if differs else None
    computing = replace(kernel, name=array.name, space=space, part=part, loads=loads, body=(*found.lines, p), stores=(store,))
    return (Map(f"{stem}:setup", "", (), (classes,), (keeping,)),), (computing,), (array, kinds)


def _without(kernel: Map, found: _Found) -> Map:
    """What is left of the Map, where the comparison is a name that it loads."""
    hit = Name(found.draw.name)
    body: list[Line] = []
    for line in kernel.body:
        if line == found.draw:
            continue
        if isinstance(line, Fire) and line.margin is not None and hit in walk(line.margin):
            line = replace(line, margin=None)
        body.append(rewrite_line(line, lambda e: substitute(e, {found.comparison: hit})))
    pruned = prune(body, [store.name for store in kernel.stores])
    read = names_read(pruned) | {store.name for store in kernel.stores}
    return replace(kernel, loads=tuple(load for load in kernel.loads if load.name in read), body=pruned)


def _only_event(rest: Map, hit: Name) -> Store | None:
    """The store of a Map that does nothing but say where the draw holds."""
    match rest.body, rest.stores:
        case (Fire(name, condition, _, None),), (Store(_, Index.SELF, stored, _, False, False) as store,) if condition == hit and stored == name:
            return store
    return None
