"""The expression tree: small frozen nodes with spans.

The tree keeps what the user wrote, in the order it was written. sympy is used elsewhere, for what it is best at (flows, integrators), because it
rewrites on construction: `v/v` becomes 1, `0*v` becomes 0, booleans and integers lose their type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from .errors import Span

if TYPE_CHECKING:
    from .functions import FunctionSpec


class DType(Enum):
    """The data types of the language; `FLOAT` is float64 or float32, chosen when a kernel is rendered."""

    FLOAT = "float"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"

    def __repr__(self) -> str:
        return self.value


class Index(Enum):
    """How an element reaches a variable: its own value, one value for all, the value at the pre- or postsynaptic neuron, or the whole array."""

    SELF = "self"
    SHARED = "shared"
    PRE = "pre"
    POST = "post"
    WHOLE = "whole"

    def __repr__(self) -> str:
        return self.value


def _span() -> Span | None:
    return field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Number:
    """A literal; `int` and `float` stay apart (`1` is not equal to `1.0` here) because they give results of different types."""

    value: int | float
    span: Span | None = _span()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Number) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Truth:
    """`True` or `False`."""

    value: bool
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Name:
    """In a parsed text: an identifier not yet resolved. In a Step: a value computed earlier in the same Step."""

    name: str
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Access:
    """A variable, reached by `index` from the element that computes."""

    variable: str
    index: Index = Index.SELF
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Negate:
    operand: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic: one of `+ - * / // % **` (Python's meaning: true division, floor semantics)."""

    operator: str
    left: Expr
    right: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Compare:
    """One of `< <= > >= == !=`."""

    operator: str
    left: Expr
    right: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Logical:
    """`and` or `or` of two booleans."""

    operator: str
    left: Expr
    right: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Where:
    """`then` where the condition holds, else `otherwise`; the value not chosen never leaks into the result."""

    condition: Expr
    then: Expr
    otherwise: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Cast:
    dtype: DType
    operand: Expr
    span: Span | None = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `codegen.functions` applied to positional arguments; `spec` tells about one from outside (`functions.spec_of`)."""

    function: str
    arguments: tuple[Expr, ...]
    span: Span | None = _span()
    spec: FunctionSpec | None = None


@dataclass(frozen=True, slots=True)
class Element:
    """The value of an array at a computed position: `table` is an Access by `Index.WHOLE` (in a kernel, the name of such a load), `index` a whole number.

    Positions outside the array read NaN (0 from integers, False from booleans). The variable of a WHOLE access has a name of its own in the network, so
    that it means the same from a synapse as from the neuron. `steady`: the value stays the same within each step, although the index reads the time.
    """

    table: Expr
    index: Expr
    steady: bool = False
    span: Span | None = _span()


Leaf = Number | Truth | Name | Access
Expr = Number | Truth | Name | Access | Negate | Not | Binary | Compare | Logical | Where | Cast | Call | Element

ZERO, ONE = Number(0.0), Number(1.0)


def children(expr: Expr) -> tuple[Expr, ...]:
    """The operands of a node, in written order."""
    match expr:
        case Number() | Truth() | Name() | Access():
            return ()
        case Negate(operand) | Not(operand) | Cast(_, operand):
            return (operand,)
        case Binary(_, left, right) | Compare(_, left, right) | Logical(_, left, right):
            return (left, right)
        case Where(condition, then, otherwise):
            return (condition, then, otherwise)
        case Call(_, arguments):
            return arguments
        case Element(table, index):
            return (table, index)
    raise TypeError(f"not an expression: {expr!r}")


def rebuild(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    """The same node over other operands."""
    match expr:
        case Number() | Truth() | Name() | Access():
            return expr
        case Negate(_, span):
            return Negate(parts[0], span)
        case Not(_, span):
            return Not(parts[0], span)
        case Cast(dtype, _, span):
            return Cast(dtype, parts[0], span)
        case Binary(operator, _, _, span):
            return Binary(operator, parts[0], parts[1], span)
        case Compare(operator, _, _, span):
            return Compare(operator, parts[0], parts[1], span)
        case Logical(operator, _, _, span):
            return Logical(operator, parts[0], parts[1], span)
        case Where(_, _, _, span):
            return Where(parts[0], parts[1], parts[2], span)
        case Call(function, _, span, spec):
            return Call(function, parts, span, spec)
        case Element(_, _, steady, span):
            return Element(parts[0], parts[1], steady, span)
    raise TypeError(f"not an expression: {expr!r}")


def transform(expr: Expr, rule: Callable[[Expr], Expr]) -> Expr:
    """Rewrite bottom-up: `rule` sees every node after its operands were rewritten."""
    parts = children(expr)
    if not parts:
        return rule(expr)
    new = tuple(transform(part, rule) for part in parts)
    changed = any(a is not b for a, b in zip(new, parts))
    return rule(rebuild(expr, new) if changed else expr)


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node, operands before the node that uses them."""
    for part in children(expr):
        yield from walk(part)
    yield expr


def names(expr: Expr) -> dict[str, Name]:
    """The identifiers of an expression with their first occurrence, in written order."""
    found: dict[str, Name] = {}
    for node in walk(expr):
        if isinstance(node, Name):
            found.setdefault(node.name, node)
    return found


def accesses(expr: Expr) -> tuple[Access, ...]:
    """The distinct variables that an expression reads, in written order."""
    return tuple(dict.fromkeys(node for node in walk(expr) if isinstance(node, Access)))


def substitute(expr: Expr, replacements: Mapping[Expr, Expr]) -> Expr:
    """Replace leaves (and whole subtrees) that equal a key; simultaneous, not repeated."""
    if expr in replacements:
        return replacements[expr]
    parts = children(expr)
    if not parts:
        return expr
    new = tuple(substitute(part, replacements) for part in parts)
    return rebuild(expr, new) if any(a is not b for a, b in zip(new, parts)) else expr


def depends(expr: Expr, leaves: set[Expr] | frozenset[Expr]) -> bool:
    """Whether any of the leaves occurs in the expression."""
    return any(node in leaves for node in walk(expr))


# Constructors for code that the compiler writes itself. They drop exact neutral elements (0 + x, 1*x), which is safe for text that no user wrote:
# `0*x` is only dropped where the factor 0 says that a term is absent.
def add(left: Expr, right: Expr) -> Expr:
    if _is(left, 0):
        return right
    if _is(right, 0):
        return left
    if isinstance(right, Negate):
        return Binary("-", left, right.operand)
    return Binary("+", left, right)


def subtract(left: Expr, right: Expr) -> Expr:
    if _is(right, 0):
        return left
    return negate(right) if _is(left, 0) else Binary("-", left, right)


def multiply(left: Expr, right: Expr) -> Expr:
    if _is(left, 0) or _is(right, 0):
        return ZERO
    if _is(left, 1):
        return right
    if _is(right, 1):
        return left
    if _is(left, -1):
        return negate(right)
    return negate(left) if _is(right, -1) else Binary("*", left, right)


def divide(left: Expr, right: Expr) -> Expr:
    if _is(left, 0):
        return ZERO
    return left if _is(right, 1) else Binary("/", left, right)


def negate(operand: Expr) -> Expr:
    match operand:
        case Negate(inner):
            return inner
        case Number(value):
            return Number(-value) if value else operand
    return Negate(operand)


def total(terms: list[Expr] | tuple[Expr, ...]) -> Expr:
    """The sum of terms, left to right; 0 for none."""
    result: Expr = ZERO
    for term in terms:
        result = add(result, term)
    return result


def is_zero(expr: Expr) -> bool:
    """Whether the expression is the literal 0."""
    return _is(expr, 0)


def _is(expr: Expr, value: int) -> bool:
    return isinstance(expr, Number) and expr.value == value


PRECEDENCE = {"or": 1, "and": 2, "not": 3, "compare": 4, "+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6, "negate": 7, "**": 8, "leaf": 9}


def show(expr: Expr) -> str:
    """The expression as the user would write it, with no bracket too many."""
    return _show(expr)[0]


def _show(expr: Expr) -> tuple[str, int]:
    match expr:
        case Number(value):
            return (repr(value), PRECEDENCE["leaf"] if value >= 0 else PRECEDENCE["negate"])
        case Truth(value):
            return str(value), PRECEDENCE["leaf"]
        case Name(name):
            return name, PRECEDENCE["leaf"]
        case Access(variable, index):
            suffix = {Index.PRE: "_pre", Index.POST: "_post"}.get(index, "")
            return variable + suffix, PRECEDENCE["leaf"]
        case Negate(operand):
            return "-" + _bracket(operand, PRECEDENCE["negate"]), PRECEDENCE["negate"]
        case Not(operand):
            return "not " + _bracket(operand, PRECEDENCE["not"]), PRECEDENCE["not"]
        case Binary("**", left, right):
            return f"{_bracket(left, PRECEDENCE['**'] + 1)}**{_bracket(right, PRECEDENCE['negate'])}", PRECEDENCE["**"]
        case Binary(operator, left, right):
            level = PRECEDENCE[operator]
            space = " " if operator in "+-" else ""
            return f"{_bracket(left, level)}{space}{operator}{space}{_bracket(right, level + 1)}", level
        case Compare(operator, left, right):
            level = PRECEDENCE["compare"]
            return f"{_bracket(left, level + 1)} {operator} {_bracket(right, level + 1)}", level
        case Logical(operator, left, right):
            level = PRECEDENCE[operator]
            return f"{_bracket(left, level)} {operator} {_bracket(right, level + 1)}", level
        case Where(condition, then, otherwise):
            return f"where({show(condition)}, {show(then)}, {show(otherwise)})", PRECEDENCE["leaf"]
        case Cast(dtype, operand):
            return f"{'int' if dtype in (DType.INT32, DType.INT64) else dtype.value}({show(operand)})", PRECEDENCE["leaf"]
        case Call(function, arguments):
            return f"{function}({', '.join(map(show, arguments))})", PRECEDENCE["leaf"]
        case Element(table, index):
            return f"{show(table)}[{show(index)}]", PRECEDENCE["leaf"]
    raise TypeError(f"not an expression: {expr!r}")


def _bracket(expr: Expr, level: int) -> str:
    text, own = _show(expr)
    return text if own >= level else f"({text})"
