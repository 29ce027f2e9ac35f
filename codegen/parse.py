"""Text -> equations and statements: units, flags, assignments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .dims import DIMENSIONLESS, SCALES, UNITS, Dimensions, unit_name
from .errors import EquationError, ModelError, Span, UnitError, UnknownNameError
from .expr import Binary, DType, Expr, Name, Number, names
from .functions import CONSTANTS, USER_FUNCTIONS
from .grammar import Piece, blank_comments, clip, identifier, literal, piece_of, read_expression, suggest
from .grammar import parse_expression as parse_expression
from .ir import Statement

MAX_EXPONENT = 100  # of a unit


# -------------------------------------------------------------------------------------------------------------------------------------- statements
_ASSIGNMENT = re.compile(r"(\w+)\s*(\*\*|//|[-+*/%]|)=(?!=)")


def parse_statements(text: str) -> tuple[Statement, ...]:
    """The assignments that `text` lists, one on each line or separated by `;`; targets stay plain names."""
    return tuple(_statement(part) for part in _split(piece_of(text)) if part.code)


def _split(piece: Piece) -> Iterator[Piece]:
    """The parts between `;` and line ends, except inside brackets."""
    depth = start = 0
    for match in re.finditer(r"[();\n\r]", piece.code):
        if match[0] in "()":
            depth = max(0, depth + (1 if match[0] == "(" else -1))
        elif depth == 0:
            yield piece.cut(start, match.start())
            start = match.end()
    rest = piece.cut(start)
    if depth:
        bracket = piece.start + _innermost_open(piece.code)
        raise EquationError("the bracket is never closed", Span(piece.text, bracket, bracket + 1), "Add `)`.")
    yield rest


def _innermost_open(code: str) -> int:
    """Where the bracket stands that is opened last and never closed."""
    opened: list[int] = []
    for match in re.finditer(r"[()]", code):
        if match[0] == "(":
            opened.append(match.start())
        elif opened:
            opened.pop()
    return opened[-1]


def _statement(piece: Piece) -> Statement:
    match = _ASSIGNMENT.match(piece.code)
    if match is None:
        raise EquationError("this is not an assignment", piece.span(), "Write `name = expression`, or `+=`, `-=`, `*=`, `/=`, `//=`, `%=`, `**=`.")
    name = _assignable(match[1], piece.span(0, match.end(1)))
    return Statement(name, match[2] + "=", read_expression(piece.cut(match.end())), piece.span())


def _assignable(word: str, span: Span | None) -> str:
    """`word` as a name that may be given a value: not that of a function, a constant or a unit."""
    name = identifier(word, span)
    kind = "function" if name in USER_FUNCTIONS else "constant" if name in CONSTANTS else "unit" if name in UNITS or name in SCALES else None
    if kind:
        raise EquationError(f"`{name}` is the name of a {kind}", span, "Choose another name.")
    return name


# ------------------------------------------------------------------------------------------------------------------------------------------- units
_TYPES = {"boolean": DType.BOOL, "integer": DType.INT32}
_TYPE_HINTS = {"bool": "boolean", "int": "integer", "float": "1", "real": "1"}


def parse_unit(text: str, span: Span | None = None) -> tuple[Dimensions, DType]:
    """What the text after the `:` of an equation says; `span` is where it stands in the user's text."""
    return _unit(piece_of(text) if span is None else Piece(span.text, span.start, blank_comments(span.excerpt)).cut(0))


def _unit(piece: Piece) -> tuple[Dimensions, DType]:
    if not piece.code:
        raise EquationError("the unit is missing", piece.span(), "Write a unit such as `volt`, or `1` for a plain number.")
    if piece.code in _TYPES:
        return DIMENSIONLESS, _TYPES[piece.code]
    if piece.code in _TYPE_HINTS:
        raise EquationError(f"`{piece.code}` is not a unit", piece.span(), f"Write `{_TYPE_HINTS[piece.code]}`.")
    try:
        return _dimensions(read_expression(piece)), DType.FLOAT
    except ModelError:
        raise
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise UnitError("the exponents of this unit are too large", piece.span(), f"Exponents go up to {MAX_EXPONENT}.") from error


def _dimensions(expr: Expr) -> Dimensions:
    match expr:
        case Number(1):
            return DIMENSIONLESS
        case Name(name) if name in UNITS:
            return UNITS[name]
        case Name(name, span):
            raise _not_a_unit(name, span)
        case Binary("*", left, right):
            return _dimensions(left) * _dimensions(right)
        case Binary("/", left, right):
            return _dimensions(left) / _dimensions(right)
        case Binary("**", base, power):
            exponent = literal(power)
            if exponent is None or abs(exponent) > MAX_EXPONENT:
                raise EquationError("the exponent of a unit is a plain number", power.span, "Write it as in `metre**2` or `second**-0.5`.")
            return _dimensions(base) ** exponent
    raise EquationError("this is not a unit", expr.span, "Write products, quotients and powers of units, such as `volt` or `siemens/metre**2`, or `1`.")


def _not_a_unit(name: str, span: Span | None) -> ModelError:
    if name in SCALES:
        return UnitError(f"`{name}` cannot be the unit of an equation, which are in SI units", span, f"Write `{unit_name(SCALES[name][1])}`.")
    if name in _TYPES:
        return EquationError(f"`{name}` cannot be part of a larger unit", span, f"Write `{name}` alone.")
    known = {unit for unit in UNITS if len(unit) > 2 and not unit[-1].isdigit()} | set(_TYPES)
    return UnknownNameError(f"`{name}` is not a unit", span, suggest(name, known) or "Write a unit such as `volt`, or `1` for a plain number.")


# --------------------------------------------------------------------------------------------------------------------------------------- equations
Kind = Literal["differential", "subexpression", "parameter"]
FLAGS: dict[Kind, frozenset[str]] = {
    "differential": frozenset({"unless refractory", "event-driven", "clock-driven"}),
    "subexpression": frozenset({"shared", "constant over dt", "summed"}),
    "parameter": frozenset({"constant", "shared", "input", "linked"}),
}


@dataclass(frozen=True, slots=True)
class Equation:
    """One line of equations: `dx/dt = value : unit (flags)`, `x = value : unit (flags)` or `x : unit (flags)`."""

    kind: Kind
    name: str
    value: Expr | None
    dimensions: Dimensions
    dtype: DType
    flags: tuple[str, ...] = ()
    span: Span | None = field(default=None, compare=False, repr=False)


_LEFT = re.compile(r"(?:d(?P<of>\w+)\s*/\s*d(?P<by>\w+)|(?P<name>\w+))\s*(?P<equals>=(?!=))?")
_LONE_NAME = re.compile(r"[\n\r][^\S\n\r]*\w+\Z")
_CONTINUES = re.compile(r"(?:[-+*/%<>=(,]|\b(?:and|or|not))\Z")
_NEXT = re.compile(r"[\n\r][^\S\n\r]*\w+(?:\s*/\s*\w+)?\s*=(?!=)")
_NO_FLAGS: tuple[str, ...] = ()
_FLAGS_AT_END = re.compile(r"\(([^()]*)\)\s*\Z")
_UNIT_MISSING = "End it with `: unit`, such as `: volt`, or `: 1` for a plain number."


def parse_equations(text: str) -> tuple[Equation, ...]:
    """The equations that `text` lists, in written order; an expression may continue on further lines, until the `:` of its unit."""
    piece = piece_of(text)
    found: list[Equation] = []
    while piece.code:
        colon = piece.code.find(":")
        head = piece.cut(0, colon if colon >= 0 else None)
        kind, name, value = _left_side(head, colon < 0)
        end = _end_of_tail(piece.code, colon + 1)
        found.append(_equation(kind, name, value, piece.cut(0, end), piece.cut(colon + 1, end)))
        piece = piece.cut(end)
    _check_noise(found)
    return tuple(found)


def _check_noise(lines: Sequence[Equation]) -> None:
    """Refuse the plain `xi` in two equations: do they mean one noise or two?"""
    first: str | None = None
    for line in lines:
        used = names(line.value).get("xi") if line.value is not None else None
        if used is None:
            continue
        if line.kind != "differential":
            raise EquationError(f"`xi` stands in the subexpression `{line.name}`", used.span, "Give the noise a name there, such as `xi_1`.")
        if first is not None:
            hint = "Name the noises: `xi_1` in both is one noise, `xi_1` and `xi_2` are independent."
            raise EquationError(f"`xi` is already in the equation of `{first}`", used.span, hint)
        first = line.name


def _left_side(head: Piece, unit_missing: bool) -> tuple[Kind, str, Expr | None]:
    """Kind, name and value of the equation whose text before the `:` is `head`."""
    match = _LEFT.match(head.code)
    if match is None:
        raise EquationError("this is not an equation", head.span(), "Write `dx/dt = ... : unit`, `x = ... : unit` or `x : unit`.")
    if match["by"] not in (None, "t"):
        hint = "Write `dx/dt`, and a further variable for each higher derivative."
        raise EquationError("only first derivatives by time can be given", head.span(0, match.end("by")), hint)
    start = "of" if match["of"] else "name"
    name = _assignable(match[start], head.span(match.start(start), match.end(start)))
    rest = head.code[match.end() :]
    left = match.end("by" if match["by"] else "name")
    following = _next_equation(head.code, match.end() if match["equals"] else left, match["equals"] is not None)
    if following is not None or unit_missing:
        raise EquationError(f"the equation of `{name}` has no unit", head.cut(0, following).span(), _UNIT_MISSING)
    if match["equals"]:
        return "differential" if match["of"] else "subexpression", name, read_expression(head.cut(match.end()))
    if match["of"]:
        raise EquationError(f"the right side of `d{name}/dt` is missing", head.span(), f"Write `d{name}/dt = ... : unit`.")
    if rest.strip():
        hint = "Declare one variable on each line." if rest.lstrip().startswith(",") else "Write `dx/dt = ... : unit`, `x = ... : unit` or `x : unit`."
        raise EquationError("this is not an equation", head.span(), hint)
    return "parameter", name, None


def _next_equation(head: str, start: int, has_value: bool) -> int | None:
    """Where the next equation begins, if the one whose right side begins at `start` went on without a unit."""
    if not has_value:
        match = re.compile(r"\s*[\n\r]\s*\S").match(head, start)
        return match.start() if match else None
    match = _NEXT.search(head, start)
    if match is None:
        # A name that stands alone on the last line continues an expression only after an operator or inside brackets.
        match = _LONE_NAME.search(head, start)
        value = head[start : match.start()].rstrip() if match else ""
        if not value or value.count("(") != value.count(")") or _CONTINUES.search(value):
            return None
    return match.start() if match else None


def _end_of_tail(code: str, start: int) -> int:
    """Where the unit and the flags end: at the end of the line, or of that on which their brackets close."""
    depth = 0
    for match in re.compile(r"[()\n\r]").finditer(code, start):
        if match[0] in "()":
            depth += 1 if match[0] == "(" else -1
        elif depth <= 0:
            return match.start()
    return len(code)


def _equation(kind: Kind, name: str, value: Expr | None, whole: Piece, tail: Piece) -> Equation:
    match = _FLAGS_AT_END.search(tail.code)
    before = tail.code[: match.start()].rstrip() if match else ""
    # `1/(volt*second)` ends with a bracket that holds no flags.
    if match is None or before.endswith(("*", "/")) or (not before and not _only_flags(match[1])):
        unit, flags = tail, _NO_FLAGS
    else:
        unit, flags = tail.cut(0, match.start()), _flags(kind, tail, match)
    dimensions, dtype = _unit(unit)
    if kind == "differential" and dtype is not DType.FLOAT:
        raise EquationError(f"`{name}` has a differential equation and cannot be {unit.code}", unit.span(), "Give it a unit, or `1` for a plain number.")
    return Equation(kind, name, value, dimensions, dtype, flags, whole.span())


def _only_flags(text: str) -> bool:
    return bool(text.strip()) and all(" ".join(part.split()) in set().union(*FLAGS.values()) for part in text.split(","))


def _flags(kind: Kind, tail: Piece, match: re.Match[str]) -> tuple[str, ...]:
    flags: list[str] = []
    position = match.start(1)
    for part in match[1].split(","):
        flag, span = " ".join(part.split()), tail.cut(position, position + len(part)).span()
        if flag not in FLAGS[kind]:
            article = {"differential": "a differential equation", "subexpression": "a subexpression", "parameter": "a parameter"}[kind]
            hint = suggest(flag, FLAGS[kind]) or f"Such a line may have the flags {', '.join(sorted(FLAGS[kind]))}."
            raise EquationError(f"`{clip(flag)}` is not a flag of {article}" if flag else "a flag is missing", span, hint)
        if flag in flags:
            raise EquationError(f"the flag `{flag}` is given twice", span, "Remove one of them.")
        flags.append(flag)
        position += len(part) + 1
    return tuple(flags)
