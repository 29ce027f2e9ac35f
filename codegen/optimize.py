"""Passes that change no result: fold literals, share repeated subexpressions, prune what nobody reads, hoist what no step changes.

They work on the bodies of kernels, where every type is known.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from .dataflow import constant_in_run, writes
from .expr import Access, Binary, Call, Cast, DType, Element, Expr, Index, Name, Negate, Number, Truth, children, rebuild, transform, walk
from .functions import calls_python, dtype_of, lasting
from .ir import Array, Deliver, Draw, Extern, Fire, Force, Let, Line, Load, Map, Program, Propagator, Role, Select, Store, defined, expressions
from .lines import rewrite_line

Body = Map | Deliver


def optimize(kernel: Body) -> Body:
    """`Kernel -> Kernel`: folded, shared, pruned."""
    body, names = share(fold(kernel.body), {load.name: load.dtype for load in kernel.loads})
    stores = tuple(replace(s, name=names.get(s.name, s.name)) for s in kernel.stores)
    body = prune(body, [s.name for s in stores])
    read = names_read(body) | {s.name for s in stores}
    return replace(kernel, loads=tuple(load for load in kernel.loads if load.name in read), body=body, stores=stores)


def names_read(body: Sequence[Line]) -> set[str]:
    """The names that the lines evaluate."""
    return {node.name for line in body for expr in expressions(line) for node in walk(expr) if isinstance(node, Name)}


def line_types(body: Sequence[Line], loads: dict[str, DType]) -> dict[str, DType]:
    """The type of every name of a body."""
    types = dict(loads)
    for line in body:
        dtype = line.dtype if isinstance(line, Let | Select | Draw) else DType.BOOL if isinstance(line, Fire | Force) else DType.FLOAT
        types |= dict.fromkeys(defined(line), dtype)
    return types


def fold(body: Sequence[Line]) -> tuple[Line, ...]:
    """`lines -> lines`: arithmetic on literals, done now."""
    return tuple(rewrite_line(line, lambda e: transform(e, _fold)) for line in body)


def _fold(node: Expr) -> Expr:
    match node:
        case Cast(DType.FLOAT, Number(value)):
            return Number(float(value), node.span)
        case Negate(Number(value)) if value > 0:
            return Number(-value, node.span)
        case Binary(operator, Number(left), Number(right)) if operator in "+-*" or (operator == "/" and right != 0):
            value = {"+": left + right, "-": left - right, "*": left * right, "/": left / right if right else 0.0}[operator]
            if isinstance(value, float) and not math.isfinite(value):
                return node
            return Number(value, node.span) if abs(value) < 2**31 or isinstance(value, float) else node
    return node


def share(body: Sequence[Line], loads: dict[str, DType]) -> tuple[tuple[Line, ...], dict[str, str]]:
    """`lines -> lines`: what is computed more than once gets a name, and names that only repeat another go (the second result tells which)."""
    alias: dict[Expr, Expr] = {}
    known: dict[Expr, Name] = {}
    uses = _uses(body)
    single = {node for line in body for expr in expressions(line) if not lasting(expr) for node in walk(expr) if not lasting(node)}  # never shared
    types = line_types(body, loads)
    count = 0
    new: list[Line] = []

    def visit(node: Expr) -> Expr:
        nonlocal count
        if node in alias:
            return alias[node]
        if node in known:
            return known[node]
        parts = children(node)
        if not parts:
            return node
        rewritten = rebuild(node, tuple(visit(part) for part in parts))
        if node in single:
            return rewritten
        if rewritten in known:
            return known[rewritten]
        if uses[node] < 2 or not _worth_a_name(node):
            return rewritten
        count += 1
        while f"s_{count}" in types:
            count += 1
        name = Name(f"s_{count}")
        types[name.name] = dtype_of(rewritten, types)
        new.append(Let(name.name, rewritten, types[name.name]))
        known[node] = known[rewritten] = name
        return name

    for line in body:
        if isinstance(line, Let):
            value = line.value
            inner = rebuild(value, tuple(visit(part) for part in children(value))) if children(value) else visit(value)
            if isinstance(inner, Name):
                alias[Name(line.name)] = inner
                continue
            if value in single:
                new.append(replace(line, value=inner))
                continue
            if inner in known:
                alias[Name(line.name)] = known[inner]
                continue
            new.append(replace(line, value=inner))
            if children(inner):
                known[value] = known[inner] = Name(line.name)
        else:
            new.append(rewrite_line(line, visit))
    named = {key.name: target.name for key, target in alias.items() if isinstance(key, Name) and isinstance(target, Name)}
    return tuple(new), named


def _uses(body: Sequence[Line]) -> Counter[Expr]:
    """How many places need each distinct subtree, a repeated parent counting once."""
    uses: Counter[Expr] = Counter()
    seen: set[Expr] = set()
    todo: list[Expr] = []
    for line in body:
        for expr in expressions(line):
            uses[expr] += 1
            todo.append(expr)
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        for part in children(node):
            uses[part] += 1
            todo.append(part)
    return uses


def _worth_a_name(node: Expr) -> bool:
    return not isinstance(node, Name | Access | Number | Truth)



def prune(body: Sequence[Line], results: Iterable[str]) -> tuple[Line, ...]:
    """`lines -> lines`: without those that no result needs."""
    needed = set(results)
    kept: list[Line] = []
    for line in reversed(body):
        if needed.isdisjoint(defined(line)):
            continue
        kept.append(_without_unread(line, needed) if isinstance(line, Propagator) else line)
        needed |= names_read([line])
    return tuple(reversed(kept))


def _without_unread(line: Propagator, needed: set[str]) -> Propagator:
    def keep(table: tuple[tuple[str | None, ...], ...]) -> tuple[tuple[str | None, ...], ...]:
        return tuple(tuple(name if name in needed else None for name in row) for row in table)

    return replace(line, transition=keep(line.transition), input_response=keep(line.input_response))


# ------------------------------------------------------------------------------------------------------------------------------------------ a Program
def hoist(program: Program) -> Program:
    """`Program -> Program`: what depends only on arrays that no step writes is computed once, by kernels of `setup`.

    Where users' functions may write an array, what is quickly computed from it stays in the step: each time they do, the set-up is repeated.
    """
    fixed = constant_in_run(program)
    reachable = frozenset(array for kernel in program.kernels if isinstance(kernel, Extern) for array in writes(kernel))
    setup, kernels, arrays = list(program.setup), [], list(program.arrays)
    for kernel in program.kernels:
        if isinstance(kernel, Map | Deliver):
            kernel, extra, new = _hoist_body(kernel, fixed, reachable)
            setup += extra
            arrays += new
        kernels.append(kernel)
    return replace(program, arrays=tuple(arrays), setup=tuple(setup), kernels=tuple(kernels))


def _hoist_body(kernel: Body, fixed: frozenset[str], reachable: frozenset[str]) -> tuple[Body, list[Map], list[Array]]:
    """A delivery hands over only what all its synapses share: most synapses receive nothing in most steps."""
    bound: dict[str, bool] = {}  # name -> whether it differs between elements
    unsteady = {load.name for load in kernel.loads if load.array in reachable}
    for load in kernel.loads:
        differs = load.index not in (Index.SHARED, Index.WHOLE)
        if load.array in fixed and not (differs and isinstance(kernel, Deliver)):
            bound[load.name] = differs
    setup_lines: list[Line] = []
    body: list[Line] = []
    exported: dict[str, DType] = {}
    types = line_types(kernel.body, {load.name: load.dtype for load in kernel.loads})
    count = 0

    def is_bound(expr: Expr) -> bool:
        return all(node.name in bound for node in walk(expr) if isinstance(node, Name)) and not calls_python(expr)

    def varies(expr: Expr) -> bool:
        return any(bound[node.name] for node in walk(expr) if isinstance(node, Name))

    def note(expr: Expr, results: Iterable[str]) -> None:
        """What is computed from what is unsteady is so, too."""
        if any(node.name in unsteady for node in walk(expr) if isinstance(node, Name)):
            unsteady.update(results)

    def worth(expr: Expr) -> bool:
        steady = not any(node.name in unsteady for node in walk(expr) if isinstance(node, Name))
        return _worth_hoisting(expr, varies(expr)) if steady else _takes_long(expr)

    def export(expr: Expr) -> Expr:
        """Replace the largest bound subtrees that are worth it by names computed in the set-up."""
        nonlocal count
        if not children(expr):
            return expr
        if is_bound(expr) and worth(expr):
            count += 1
            while f"h_{count}" in types:
                count += 1
            name = f"h_{count}"
            dtype = dtype_of(expr, types)
            setup_lines.append(Let(name, expr, dtype))
            bound[name], exported[name], types[name] = varies(expr), dtype, dtype
            note(expr, (name,))
            return Name(name)
        return rebuild(expr, tuple(export(part) for part in children(expr)))

    for line in kernel.body:
        whole = isinstance(line, Let | Propagator) and all(map(is_bound, expressions(line)))
        if whole:
            differs = any(map(varies, expressions(line)))
            setup_lines.append(line)
            costly = isinstance(line, Propagator) or worth(line.value)  # type: ignore[union-attr]
            for expr in expressions(line):
                note(expr, defined(line))
            for name in defined(line):
                bound[name] = differs
                if costly:
                    exported[name] = types[name]
            if not costly:
                body.append(line)
            continue
        body.append(rewrite_line(line, export))
    return _split(kernel, body, setup_lines, exported, bound)


def _takes_long(expr: Expr) -> bool:
    """Whether to compute it in every step would cost more than to repeat the set-up now and then: anything but plain arithmetic."""
    return any(isinstance(n, Call | Element) or (isinstance(n, Binary) and n.operator in ("//", "%", "**")) for n in walk(expr))


def _worth_hoisting(expr: Expr, differs: bool) -> bool:
    """A value for all elements always is; one for each element costs a load, so only a function, a division or a power is."""
    if not children(expr):
        return False
    costly = any(isinstance(n, Call | Element) or (isinstance(n, Binary) and n.operator in ("/", "//", "%", "**")) for n in walk(expr))
    return costly or not differs


def _split(kernel: Body, body: list[Line], lines: list[Line], exported: dict[str, DType], bound: dict[str, bool]) -> tuple[Body, list[Map], list[Array]]:
    pruned = prune(body, [s.name for s in kernel.stores])
    read = names_read(pruned) | {s.name for s in kernel.stores}
    out = [name for name in exported if name in read]
    loads = tuple(load for load in kernel.loads if load.name in read)
    if not out:
        return replace(kernel, loads=loads, body=pruned), [], []
    arrays = [Array(f"{kernel.name}:{name}", kernel.space if bound[name] else None, Role.PARAMETER, exported[name]) for name in out]
    index = {True: Index.SELF, False: Index.SHARED}
    new_loads = tuple(Load(name, array.name, index[bound[name]], array.dtype) for name, array in zip(out, arrays))
    stores = tuple(Store(array.name, index[bound[name]], name, array.dtype) for name, array in zip(out, arrays))
    setup_body = prune(lines, out)
    needed = names_read(setup_body) | set(out)
    setup_loads = tuple(load for load in kernel.loads if load.name in needed)
    setup = Map(f"{kernel.name}:setup", kernel.space, setup_loads, setup_body, stores)
    return replace(kernel, loads=(*loads, *new_loads), body=pruned), [setup], arrays
