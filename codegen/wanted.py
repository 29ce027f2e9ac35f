"""Which cotangents of events a backward Program has a use for: none where all it does with them is multiply by 0.

The derivative of a spike is exactly 0 far from threshold where the surrogate has compact support, and in refractory periods. So a product of matrices need
not compute what is multiplied by it: a Map tells, from what is kept of a step, the neurons whose cotangents count, before pathways return them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .derivative import prune, used
from .expr import ZERO, Binary, Call, Cast, Compare, DType, Expr, Index, Logical, Name, Negate, Not, Number, Truth, Where, is_zero
from .ir import Array, Let, Line, Map, Program, Record, Role, Store, defined

BAR = "~"
WANTED = "?"
"""After the name of an array of events: whether the cotangent of each counts."""


def wanted_cotangents(forward: Program, backward: Program) -> tuple[tuple[Array, ...], Mapping[str, Map]]:
    """`Program, Program -> Maps`: for each array of events some of whose cotangents may not count, the Map that finds those that do, and what it stores to.

    The Map stores a boolean to `<events>?`, and reads what the backward Program reads in the same step. Of other events all cotangents count: those that
    are recorded, that several Maps read, or that are used in another way than as a factor.
    """
    kept = _definitions(forward)
    arrays: list[Array] = []
    maps: dict[str, Map] = {}
    for array in backward.arrays:
        events = array.name.removesuffix(BAR)
        if array.role is not Role.COTANGENT or not any(a.name == events and a.role is Role.EVENT for a in backward.arrays):
            continue
        made = _wanted(backward, events, kept)
        if made is not None:
            arrays.append(Array(events + WANTED, array.space, Role.PARAMETER, DType.BOOL))
            maps[events] = made
    return tuple(arrays), maps


def _wanted(backward: Program, events: str, kept: Mapping[str, tuple[str, Mapping[str, Expr]]]) -> Map | None:
    bar = events + BAR
    readers = [kernel for kernel in backward.kernels if isinstance(kernel, Map) and any(load.array == bar for load in kernel.loads)]
    if len(readers) != 1 or any(isinstance(kernel, Record) and kernel.array == bar for kernel in backward.kernels):
        return None
    reader = readers[0]
    loads = [load for load in reader.loads if load.array == bar]
    if len(loads) != 1 or loads[0].index is not Index.SELF or loads[0].delayed:
        return None
    condition = _Uses(backward, reader, kept).condition(loads[0].name)
    if condition == TRUE:
        return None
    taken = {name for line in reader.body for name in defined(line)} | {load.name for load in reader.loads}
    name = "_wanted"
    while name in taken:
        name = f"_{name}"
    body = prune((*reader.body, Let(name, condition, DType.BOOL)), [name])
    read = {name for line in body for name in used(line)}
    found = tuple(load for load in reader.loads if load.name in read)
    store = Store(events + WANTED, Index.SELF, name, DType.BOOL)
    return Map(f"{reader.name}{WANTED}", reader.space, found, body, (store,), reader.slot, reader.order)


def _definitions(forward: Program) -> dict[str, tuple[str, Mapping[str, Expr]]]:
    """For each array of role TAPE, the name that a Map stores to it, and that Map's lines."""
    found: dict[str, tuple[str, Mapping[str, Expr]]] = {}
    tapes = {array.name for array in forward.arrays if array.role is Role.TAPE}
    for kernel in forward.kernels:
        if isinstance(kernel, Map):
            lines = _lines(kernel.body)
            found |= {store.array: (store.name, lines) for store in kernel.stores if store.array in tapes}
    return found


def _lines(body: tuple[Line, ...]) -> dict[str, Expr]:
    return {line.name: line.value for line in body if isinstance(line, Let)}


# ------------------------------------------------------------------------------------------------------------------------------------------ conditions
TRUE, FALSE = Truth(True), Truth(False)


def _both(left: Expr, right: Expr) -> Expr:
    if FALSE in (left, right):
        return FALSE
    return right if left == TRUE else left if right in (TRUE, left) else Logical("and", left, right)


def _either(left: Expr, right: Expr) -> Expr:
    if TRUE in (left, right):
        return TRUE
    return right if left == FALSE else left if right in (FALSE, left) else Logical("or", left, right)


@dataclass(slots=True)
class _Uses:
    """What a Map of the backward Program does with names that depend on cotangents."""

    program: Program
    reader: Map
    kept: Mapping[str, tuple[str, Mapping[str, Expr]]]
    lines: Mapping[str, Expr] = field(init=False)
    dependent: frozenset[str] = field(init=False)
    known: dict[str, Expr] = field(init=False)

    def __post_init__(self) -> None:
        self.lines, self.known = _lines(self.reader.body), {}
        cotangents = {array.name for array in self.program.arrays if array.role is Role.COTANGENT}
        dependent = {load.name for load in self.reader.loads if load.array in cotangents}
        for line in self.reader.body:
            if used(line) & dependent:
                dependent |= set(defined(line))
        self.dependent = frozenset(dependent)

    def condition(self, name: str) -> Expr:
        """When the value of a name counts, as an expression in names that depend on no cotangent."""
        if name not in self.known:
            found: Expr = TRUE if any(store.name == name for store in self.reader.stores) else FALSE
            for line in self.reader.body:
                if name in used(line):
                    found = _either(found, self.in_line(name, line))
            self.known[name] = found
        return self.known[name]

    def in_line(self, name: str, line: Line) -> Expr:
        if not isinstance(line, Let) or line.dtype is DType.BOOL and not self.guards(name, line):
            return TRUE
        this = Name(name)
        match line.value:
            case Binary("*", left, right) if left != right:
                factor = right if left == this else left
                return _both(self.is_not_zero(factor), self.condition(line.name)) if this in (left, right) else TRUE
            case Binary("+" | "-" | "/", left, right) if this in (left, right) and not (line.value.operator == "/" and right == this):
                return self.condition(line.name)
            case Negate(operand) | Cast(DType.FLOAT, operand) | (Name() as operand) if operand == this:
                return self.condition(line.name)
            case Where(condition, then, otherwise) if self.is_free(condition):
                of_then = _both(self.holds(condition, True), self.condition(line.name)) if then == this else FALSE
                of_otherwise = _both(self.holds(condition, False), self.condition(line.name)) if otherwise == this else FALSE
                return _either(of_then, of_otherwise)
            case Where(Name(condition), _, otherwise) if otherwise == this and self.is_guard(condition):
                return self.condition(line.name)
            case Compare():  # a guard: what it guards is 0 with it
                return FALSE
        return TRUE

    def guards(self, name: str, line: Let) -> bool:
        """Whether a line is `name == 0`, and only chooses 0 there instead of a product or quotient of the same name."""
        if line.value != Compare("==", Name(name), ZERO):
            return False
        for user in self.reader.body:
            if line.name not in used(user):
                continue
            match user:
                case Let(_, Where(Name(condition), then, Name(product))) if condition == line.name and is_zero(then):
                    value = self.lines.get(product)
                    if not (isinstance(value, Binary) and value.operator in "*/" and Name(name) in (value.left, value.right)):
                        return False
                case _:
                    return False
        return all(store.name != line.name for store in self.reader.stores)

    def is_guard(self, condition: str) -> bool:
        match self.lines.get(condition):
            case Compare("==", Name(name), zero) if is_zero(zero):
                return self.guards(name, Let(condition, self.lines[condition], DType.BOOL))
        return False

    def is_free(self, expr: Expr) -> bool:
        return not isinstance(expr, Name) or expr.name not in self.dependent

    def is_not_zero(self, factor: Expr) -> Expr:
        """When a factor is not 0; TRUE where it depends on a cotangent, or there is no reason why it should be."""
        if isinstance(factor, Number):
            return FALSE if factor.value == 0 else TRUE
        if not self.is_free(factor) or not self.vanishes(factor, self.lines, self.loaded()):
            return TRUE
        return Compare("!=", factor, ZERO)

    def holds(self, condition: Expr, value: bool) -> Expr:
        """When a condition has a value; TRUE where there is no reason why it should have another one."""
        if isinstance(condition, Truth):
            return TRUE if condition.value is value else FALSE
        if value and not self.fails(condition, self.lines, self.loaded()):
            return TRUE
        return condition if value else Not(condition)

    def loaded(self) -> dict[str, str]:
        return {load.name: load.array for load in self.reader.loads}

    # -- what the values of expressions can be; `arrays` are those behind the names that are loaded
    def vanishes(self, expr: Expr, lines: Mapping[str, Expr], arrays: Mapping[str, str]) -> bool:
        """Whether a number is exactly 0 for a reason: a choice, a limit, or a factor that is."""

        def part(inner: Expr) -> bool:
            return self.vanishes(inner, lines, arrays)

        match expr:
            case Number(value):
                return value == 0
            case Name(name):
                return self.followed(name, lines, arrays, self.vanishes, False)
            case Where(_, then, otherwise):
                return part(then) or part(otherwise)
            case Binary("*", left, right):
                return part(left) or part(right)
            case Binary("/", left, _) | Binary("**", left, _):
                return part(left)
            case Negate(operand):
                return part(operand)
            case Cast(DType.FLOAT, operand):
                return self.fails(operand, lines, arrays) or part(operand)
            case Call("clip", (operand, low, high)):
                return is_zero(low) or is_zero(high) or part(operand)
        return False

    def fails(self, expr: Expr, lines: Mapping[str, Expr], arrays: Mapping[str, str]) -> bool:
        """Whether a condition is false for another reason than that a number is not finite."""
        match expr:
            case Truth(value):
                return not value
            case Name(name):
                return self.followed(name, lines, arrays, self.fails, True)
            case Logical("and", left, right):
                return self.fails(left, lines, arrays) or self.fails(right, lines, arrays)
            case Logical("or", left, right):
                return self.fails(left, lines, arrays) and self.fails(right, lines, arrays)
            case Call("_finite"):
                return False
            case Compare() | Not():
                return True
        return False

    def followed(self, name: str, lines: Mapping[str, Expr], arrays: Mapping[str, str], ask: object, unknown: bool) -> bool:
        """What is asked of a name, of its definition: a line, or, of what is kept, the line of the forward pass."""
        assert callable(ask)
        if name in lines:
            return bool(ask(lines[name], lines, arrays))
        stored, other = self.kept.get(arrays.get(name, ""), ("", {}))
        return bool(ask(other[stored], other, {})) if stored in other else unknown
