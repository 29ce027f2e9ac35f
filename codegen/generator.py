"""Generators, the texts that tell `connect` where synapses go: `k for k in range(i - 3, i + 4) if i != k` -> the expressions it consists of.

The words `for`, `in` and `if` outside of brackets part the text; what lies between them passes the grammar of expressions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_letters

from .errors import EquationError, Span
from .expr import Expr, Number
from .functions import CLOCK_NAMES, CONSTANTS, USER_FUNCTIONS
from .grammar import Piece, clip, identifier, piece_of, read_expression, suggest

_EXAMPLE = "Write it as in `k for k in range(i - 3, i + 4) if i != k`."
_FIXED = frozenset({"i", "j", "N", "N_pre", "N_post", *CLOCK_NAMES})
_WORD = re.compile(r"\w+")
_CALL = re.compile(r"(\w+)\s*\(")
_KEYWORD = re.compile(r"(\w+)\s*=(?!=)")


@dataclass(frozen=True, slots=True)
class Range:
    """Every `step`-th number from `low` up to, but without, `high`."""

    low: Expr
    high: Expr
    step: Expr


@dataclass(frozen=True, slots=True)
class Sample:
    """Some numbers of a Range, in its order: each with probability `p`, or `size` different ones."""

    range: Range
    p: Expr | None = None
    size: Expr | None = None


@dataclass(frozen=True, slots=True)
class Generator:
    """`element for variable in source if condition`; without `for`, one element for each neuron."""

    element: Expr
    variable: str | None = None
    source: Range | Sample | None = None
    condition: Expr | None = None


def parse_generator(text: str) -> Generator:
    """The parts of a generator; names stay `Name` nodes, and every node knows where it stands in `text`.

    >>> generator = parse_generator("i + k for k in range(1, 3)")
    >>> generator.variable, generator.condition
    ('k', None)
    """
    piece = piece_of(text)
    loops = _places(piece, "for")
    if not loops:
        element, condition = _conditional(piece, "an element")
        return Generator(read_expression(element), condition=condition)
    if len(loops) > 1:
        raise EquationError("a generator has only one `for`", piece.span(*loops[1]), "Call connect() several times, or number the pairs with one variable.")
    variable, piece, tail = _loop(piece, *loops[0])
    source, condition = _conditional(tail, "what the variable runs over")
    return Generator(read_expression(piece), variable, _source(source), condition)


def is_generator(text: str) -> bool:
    """Whether the word `for` stands in a text."""
    return any(match[0] == "for" for match in _WORD.finditer(text))


def _loop(piece: Piece, start: int, end: int) -> tuple[str, Piece, Piece]:
    """The variable of the loop, the text before `for` and that after `in`."""
    inside = [place for place in _places(piece, "in") if place[0] > start]
    if not inside:
        raise EquationError("`for` needs an `in`", piece.span(start, end), _EXAMPLE)
    named = piece.cut(end, inside[0][0])
    if not re.fullmatch(r"[^\W\d]\w*", named.code):
        raise EquationError("one variable must stand between `for` and `in`", named.span() if named.code else piece.span(start, end), _EXAMPLE)
    variable, span = named.code, named.span()
    if variable.startswith("_"):
        piece, variable = _without_underscore(piece, variable)
    variable = identifier(variable, span)
    if variable in _FIXED or variable in CONSTANTS or variable in USER_FUNCTIONS:
        raise EquationError(f"`{variable}` cannot be the variable of a generator: it has a meaning already", span, "Choose another name, such as `k`.")
    return variable, piece.cut(0, start), piece.cut(inside[0][1])


def _without_underscore(piece: Piece, variable: str) -> tuple[Piece, str]:
    """The text with a variable such as `_` or `_k` spelt as the grammar allows, character for character."""
    rest = variable.lstrip("_")
    used = {match[0] for match in _WORD.finditer(piece.code)} | _FIXED | set(CONSTANTS) | USER_FUNCTIONS
    spelt = next(name for name in (letter * (len(variable) - len(rest)) + rest for letter in ascii_letters) if name not in used)
    return Piece(piece.text, piece.start, re.sub(rf"(?<!\w){variable}(?!\w)", spelt, piece.code)), spelt


def _conditional(piece: Piece, what: str) -> tuple[Piece, Expr | None]:
    """What stands before `if`, and the condition after it."""
    places = _places(piece, "if")
    if not places:
        return piece, None
    if len(places) > 1:
        raise EquationError("a generator has only one `if`", piece.span(*places[1]), "Join the conditions by `and`.")
    start, end = places[0]
    before, after = piece.cut(0, start), piece.cut(end)
    for part, name in ((before, f"{what} must stand before `if`"), (after, "a condition must follow `if`")):
        if not part.code:
            raise EquationError(name, piece.span(start, end), _EXAMPLE)
    return before, read_expression(after)


def _source(piece: Piece) -> Range | Sample:
    """`range(...)` or `sample(...)`."""
    call = _CALL.match(piece.code)
    if call is None or _end_of_call(piece, call.end()) != len(piece.code):
        raise EquationError("a generator runs over `range(...)` or `sample(...)`", piece.span(), _EXAMPLE)
    function, name = call[1], piece.span(*call.span(1))
    if function not in ("range", "sample"):
        hint = suggest(function, {"range", "sample"}) or _EXAMPLE
        raise EquationError(f"a generator runs over `range(...)` or `sample(...)`, not `{clip(function)}`", name, hint)
    values, options = _arguments(piece, call.end(), len(piece.code) - 1)
    allowed = {"p", "size"} if function == "sample" else set()
    for key, (place, _) in options.items():
        if key not in allowed:
            hint = "Write `sample(N_post, p=0.1)` or `sample(N_post, size=10)`." if allowed else "Write `range(high)` or `range(low, high, step)`."
            raise EquationError(f"`{function}` has no argument `{clip(key)}`", place, hint)
    if not 1 <= len(values) <= 3:
        hint = f"Write `{function}(high)`, `{function}(low, high)` or `{function}(low, high, step)`."
        raise EquationError(f"`{function}` takes one to three numbers, not {len(values)}", piece.span(), hint)
    zero, one = Number(0, name), Number(1, name)
    numbers = [read_expression(value) for value in values]
    low, high, step = {1: (zero, *numbers, one), 2: (*numbers, one), 3: tuple(numbers)}[len(numbers)]
    if function == "range":
        return Range(low, high, step)
    if len(options) != 1:
        raise EquationError("`sample` needs either `p` or `size`", name, "Write `sample(N_post, p=0.1)` or `sample(N_post, size=10)`.")
    p, size = (read_expression(options[key][1]) if key in options else None for key in ("p", "size"))
    return Sample(Range(low, high, step), p, size)


def _arguments(piece: Piece, start: int, end: int) -> tuple[list[Piece], dict[str, tuple[Span, Piece]]]:
    """The arguments between brackets: those by position, and those by keyword with the place of the keyword."""
    commas = [place for place, character in _outside_brackets(piece, start, end) if character == ","]
    edges = [start - 1, *commas, end]
    parts = [piece.cut(a + 1, b) for a, b in zip(edges, edges[1:])]
    values: list[Piece] = []
    options: dict[str, tuple[Span, Piece]] = {}
    for part in parts if len(parts) > 1 or parts[0].code else []:
        keyword = _KEYWORD.match(part.code)
        if keyword is None:
            if options:
                raise EquationError("a number must stand before arguments with a name", part.span(), "Put `p=` or `size=` last.")
            values.append(part)
        elif keyword[1] in options:
            raise EquationError(f"`{keyword[1]}` is given twice", part.span(*keyword.span(1)), "Remove one of the two.")
        else:
            options[keyword[1]] = part.span(*keyword.span(1)), part.cut(keyword.end())
    return values, options


def _outside_brackets(piece: Piece, start: int, end: int) -> Iterator[tuple[int, str]]:
    """The characters that no bracket encloses, with their places; brackets themselves left out."""
    depth = 0
    for place in range(start, end):
        character = piece.code[place]
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and character not in ")]}":
            yield place, character


def _end_of_call(piece: Piece, start: int) -> int:
    """Where the bracket that was opened before `start` is closed: the place after it."""
    depth = 1
    for place in range(start, len(piece.code)):
        depth += (piece.code[place] == "(") - (piece.code[place] == ")")
        if depth == 0:
            return place + 1
    return -1


def _places(piece: Piece, word: str) -> list[tuple[int, int]]:
    """Where a word stands outside of brackets."""
    outside = {place for place, _ in _outside_brackets(piece, 0, len(piece.code))}
    return [match.span() for match in _WORD.finditer(piece.code) if match[0] == word and match.start() in outside]
