"""The grammar of expressions: text -> expression tree, by Python's `ast` and a whitelist. What the user wrote is data here; no text can run code.

Every expression passes `_scan` first, which knows each character and word of the language, the limits on size, and what to write instead of what is
refused. Python's own parser then only gives the structure, so that precedence is Python's. Positions always refer to the user's original text.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .errors import EquationError, ModelError, Span
from .expr import Binary, Call, Cast, Compare, DType, Expr, Logical, Name, Negate, Not, Number, Truth
from .functions import CONSTANTS, FUNCTIONS, USER_FUNCTIONS

MAX_CHARACTERS = 10_000  # of one expression
MAX_TEXT = 100_000  # of all equations together
MAX_NODES = 2_000
MAX_BRACKETS = 100
MAX_DEPTH = 200  # of the tree: every pass recurses over it

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<word>\w+)"
    r"|(?P<operator>\*\*|//|[<>=!]=|[-+*/%<>(),])|(?P<other>:=|.)",
    re.S,
)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_COMMENT = re.compile(r"#[^\n\r]*")
_REFUSED_CHARACTERS = {
    "=": ("`=` cannot stand inside an expression", "Write `==` to compare, and each assignment on a line of its own."),
    ":=": ("`:=` is not part of the language", "Name the value in a line of its own, `x = ... : unit`."),
    "^": ("`^` is not part of the language", "Write a power as `x**y`."),
    "&": ("`&` is not part of the language", "Write `and`."),
    "|": ("`|` is not part of the language", "Write `or`."),
    "~": ("`~` is not part of the language", "Write `not`."),
    "!": ("`!` is not part of the language", "Write `not`, or `!=` for unequal."),
    "@": ("`@` is not part of the language", "Equations describe one element; sums over elements are made by Synapses."),
    "[": ("`[` is not part of the language", "Equations describe one element: there are no lists and no indices. Write the name of the variable alone."),
    "{": ("`{` is not part of the language", "Write brackets as `(` and `)`."),
    ".": ("attributes (`.`) are not part of the language", "Use the names of variables, constants and functions alone."),
    ":": ("`:` cannot stand inside an expression", "A line of equations holds one equation, and its unit follows the only `:`."),
    ";": ("`;` cannot stand inside an expression", "Write one equation on each line."),
    "'": ("text in quotes is not part of the language", "Write numbers, names and calls of functions only."),
    '"': ("text in quotes is not part of the language", "Write numbers, names and calls of functions only."),
    "\\": ("`\\` is not part of the language", "An expression may simply continue on the next line."),
}
_CONDITIONAL = ("conditional expressions (`x if c else y`) are not part of the language", "Write `int(c)*x + int(not c)*y`.")
_REFUSED_WORDS = {
    "if": _CONDITIONAL,
    "else": _CONDITIONAL,
    "is": ("`is` is not part of the language", "Write `==`."),
    "in": ("`in` is not part of the language", "Compare with `==`, and join comparisons with `or`."),
    "lambda": ("`lambda` is not part of the language", "Write the expression itself, or name it in a line `x = ... : unit`."),
    "None": ("`None` is not part of the language", "Write a number, `True` or `False`."),
}
_SPLIT = "Split it into several lines `x = ... : unit`."
_OPERATOR_WORDS = frozenset({"and", "or", "not"})
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
_COMPARISONS: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


# ------------------------------------------------------------------------------------------------------------------------------- pieces of the text
@dataclass(frozen=True, slots=True)
class Piece:
    """`code` stands at `start` of the user's `text`, character for character, with comments blanked."""

    text: str
    start: int
    code: str

    def span(self, start: int = 0, end: int | None = None) -> Span:
        return Span(self.text, self.start + start, self.start + (len(self.code) if end is None else end))

    def cut(self, start: int, end: int | None = None) -> Piece:
        """The part from `start` to `end`, without white space around it."""
        part = self.code[start:end]
        code = part.strip()
        return Piece(self.text, self.start + start + len(part) - len(part.lstrip()), code)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def blank_comments(text: str) -> str:
    """The text with spaces in place of comments, character for character."""
    return _COMMENT.sub(lambda match: " " * len(match[0]), text)


def piece_of(text: str) -> Piece:
    """The whole text, without white space around it."""
    if len(text) > MAX_TEXT:
        raise EquationError(f"the text has {len(text)} characters, more than {MAX_TEXT}", None, "Split it into several objects.")
    return Piece(text, 0, blank_comments(text)).cut(0)


# ------------------------------------------------------------------------------------------------------- scanning: every character and word is known
def _tokens(piece: Piece) -> Iterator[_Token]:
    """The numbers, words and operators of an expression; anything else is refused by name."""
    for match in _TOKEN.finditer(piece.code):
        token = _Token(str(match.lastgroup), match[0], match.start(), match.end())
        match token.kind:
            case "number":
                _check_number(piece, token)
            case "word":
                _check_word(piece, token)
            case "other":
                message, hint = _REFUSED_CHARACTERS.get(token.text, (f"the character {ascii(token.text)} is not part of the language", None))
                raise EquationError(message, piece.span(token.start, token.end), hint)
        if token.kind != "space":
            yield token


def _check_number(piece: Piece, token: _Token) -> None:
    tail = re.compile(r"\w*").match(piece.code, token.end)
    if tail and tail[0]:
        hint = f"To multiply, write `{token.text}*{tail[0]}`." if tail[0][0].isalpha() else "Write digits, a point and an exponent only, such as `1.5e-3`."
        raise EquationError(f"`{clip(token.text + tail[0])}` is not a number", piece.span(token.start, tail.end()), hint)
    if token.text.isdigit() and token.text[0] == "0" and token.text.strip("0"):
        hint = f"Write `{clip(token.text.lstrip('0'))}`."
        raise EquationError(f"`{clip(token.text)}` begins with a zero", piece.span(token.start, token.end), hint)
    if token.text.isdigit():
        # The length comes first: Python refuses to convert thousands of digits.
        if len(token.text) > 19 or int(token.text) > 2**63 - 1:
            raise EquationError("the integer does not fit into 64 bits", piece.span(token.start, token.end), "Write it as a float, such as `1e20`.")
    elif not math.isfinite(float(token.text)):
        raise EquationError("the number is too large for a float", piece.span(token.start, token.end), "Write `inf` if infinity is meant.")


def _check_word(piece: Piece, token: _Token) -> None:
    span = piece.span(token.start, token.end)
    if token.text in _OPERATOR_WORDS or token.text in ("True", "False"):
        return
    if token.text in _REFUSED_WORDS:
        message, hint = _REFUSED_WORDS[token.text]
        raise EquationError(message, span, hint)
    identifier(token.text, span)


def identifier(word: str, span: Span | None) -> str:
    """`word` as Python reads it (NFKC), if it may name something."""
    name = unicodedata.normalize("NFKC", word)
    if name.startswith("_"):
        raise EquationError(f"`{clip(name)}` begins with an underscore", span, "Names begin with a letter; those with an underscore are the compiler's own.")
    if not _IDENTIFIER.fullmatch(name) or not word.isidentifier():
        raise EquationError(f"`{clip(name)}` is not a name", span, "Names have up to 64 characters: a letter a-z, then letters, digits and `_`.")
    if keyword.iskeyword(name):
        raise EquationError(f"`{name}` is a word of Python that the language does not have", span, "Choose another name.")
    return name


def clip(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _scan(piece: Piece) -> None:
    """Refuse what is not an expression of the language: too large, unbalanced, with a value or an operator missing."""
    if not piece.code:
        raise EquationError("an expression is missing", piece.span(), "Write a value here.")
    if len(piece.code) > MAX_CHARACTERS:
        raise EquationError(f"the expression has {len(piece.code)} characters, more than {MAX_CHARACTERS}", piece.span(0, 1), _SPLIT)
    opened: list[tuple[_Token, bool]] = []  # brackets, and whether each is that of a call
    previous: _Token | None = None
    nodes = 0
    for token in _tokens(piece):
        _check_neighbours(piece, previous, token, opened)
        if token.text == "(":
            opened.append((token, _ends_with_name(previous)))
            if len(opened) > MAX_BRACKETS:
                raise EquationError(f"more than {MAX_BRACKETS} brackets stand inside each other", piece.span(token.start, token.end), _SPLIT)
        elif token.text == ")":
            opened.pop()
        elif token.text != ",":
            nodes += 1
        previous = token
    if opened:
        bracket = opened[-1][0]
        raise EquationError("the bracket is never closed", piece.span(bracket.start, bracket.end), "Add `)`.")
    if previous is not None and _expects_value(previous):
        raise EquationError(f"a value is missing after `{previous.text}`", piece.span(previous.start, previous.end), "Complete the expression.")
    if nodes > MAX_NODES:
        raise EquationError(f"the expression has {nodes} numbers, names and operators, more than {MAX_NODES}", piece.span(0, 1), _SPLIT)


def _expects_value(token: _Token | None) -> bool:
    """Whether a value, not an operator, must follow the token."""
    if token is None or token.text in _OPERATOR_WORDS:
        return True
    return token.kind == "operator" and token.text != ")"


def _ends_with_name(token: _Token | None) -> bool:
    return token is not None and token.kind == "word" and token.text not in _OPERATOR_WORDS


def _check_neighbours(piece: Piece, previous: _Token | None, token: _Token, opened: list[tuple[_Token, bool]]) -> None:
    here = piece.span(token.start, token.end)
    if token.text == ")" and not opened:
        raise EquationError("the bracket was never opened", here, "Remove it, or add `(`.")
    starts_value = token.kind in ("number", "word") and token.text not in ("and", "or")
    if _expects_value(previous):
        empty_call = token.text == ")" and opened and opened[-1][1] and previous is opened[-1][0]
        if not (starts_value or empty_call or token.text in ("(", "+", "-")):
            raise EquationError(f"a value is missing before `{token.text}`", here, "Complete the expression.")
        if token.text == "not" and previous is not None and previous.kind == "operator" and previous.text not in ("(", ","):
            raise EquationError(f"`not` cannot follow `{previous.text}`", here, "Put it in brackets: `(not x)`.")
        return
    if starts_value or (token.text == "(" and not _ends_with_name(previous)):
        raise EquationError(f"an operator is missing before `{clip(token.text)}`", here, "To multiply, write `*`.")
    if token.text == "," and not (opened and opened[-1][1]):
        raise EquationError("a comma can only separate the arguments of a function", here, "Write a decimal point as `.`, and one expression only.")


# ------------------------------------------------------------------------------------------------------------------------------------- expressions
def parse_expression(text: str) -> Expr:
    """The expression that `text` says; names stay `Name` nodes, and every node knows where it stands in `text`."""
    return read_expression(piece_of(text))


def read_expression(piece: Piece) -> Expr:
    _scan(piece)
    try:
        tree = ast.parse(re.sub(r"\s", " ", piece.code), mode="eval").body
        return _convert(tree, _locator(piece), 0)
    except ModelError:
        raise
    except SyntaxError as error:
        raise EquationError("this is not an expression", piece.span(), "Write numbers, names, operators and calls of functions as in Python.") from error
    except (RecursionError, MemoryError, ValueError, OverflowError) as error:
        raise _too_deep(piece.span(0, 1)) from error


def _too_deep(span: Span) -> EquationError:
    return EquationError(f"the expression has more than {MAX_DEPTH} operations that need each other", span, _SPLIT)


def _locator(piece: Piece) -> Callable[[ast.expr], Span]:
    """Where a node of Python's tree stands; Python counts in bytes of UTF-8."""
    if piece.code.isascii():
        return lambda node: piece.span(node.col_offset, node.end_col_offset or 0)
    columns = [n for n, character in enumerate(piece.code) for _ in character.encode()] + [len(piece.code)]

    def at(node: ast.expr) -> Span:
        return piece.span(columns[node.col_offset], columns[node.end_col_offset or 0])

    return at


_At = Callable[[ast.expr], Span]


def _convert(node: ast.expr, at: _At, depth: int) -> Expr:
    """The whitelist: our node for Python's node."""
    if depth > MAX_DEPTH:
        raise _too_deep(at(node))
    match node:
        case ast.Constant(value=bool() as value):
            return Truth(value, at(node))
        case ast.Constant(value=int() | float() as value):
            return Number(value, at(node))
        case ast.Name(id=name):
            return _name(name, at(node))
        case ast.UnaryOp(operand=operand):
            return _unary(node, _convert(operand, at, depth + 1), at(node))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return Binary(_OPERATORS[type(operator)], _convert(left, at, depth + 1), _convert(right, at, depth + 1), at(node))
        case ast.BoolOp():
            return _logical(node, at, depth)
        case ast.Compare():
            return _compare(node, at, depth)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return _call(name, at(node.func), tuple(_convert(argument, at, depth + 1) for argument in arguments), at(node))
    raise EquationError(f"{type(node).__name__} is not part of the language", at(node), "Write numbers, names, operators and calls of functions.")


def _name(name: str, span: Span) -> Expr:
    if name in CONSTANTS:
        return Number(CONSTANTS[name], span)
    if name in USER_FUNCTIONS:
        arguments = ", ".join("xyz"[: _arity(name)])
        raise EquationError(f"`{name}` is a function", span, f"Call it: `{name}({arguments})`.")
    return Name(name, span)


def _unary(node: ast.UnaryOp, operand: Expr, span: Span) -> Expr:
    match node.op:
        case ast.USub():
            return Negate(operand, span)
        case ast.UAdd():
            return operand
        case ast.Not():
            return Not(operand, span)
    raise EquationError(f"{type(node.op).__name__} is not part of the language", span, "Write `not`.")


def _logical(node: ast.BoolOp, at: _At, depth: int) -> Expr:
    operator = "and" if isinstance(node.op, ast.And) else "or"
    # `a or b or c` is one node in Python's tree and as deep as it is long in ours.
    if depth + len(node.values) > MAX_DEPTH:
        raise _too_deep(at(node))
    whole = at(node)
    result = _convert(node.values[0], at, depth + len(node.values) - 1)
    for n, value in enumerate(node.values[1:], start=2):
        span = whole if n == len(node.values) else Span(whole.text, whole.start, _before(operator, at(value), at(node.values[n])))
        result = Logical(operator, result, _convert(value, at, depth + len(node.values) - n + 1), span)
    return result


def _before(operator: str, left: Span, right: Span) -> int:
    """Where the left operand ends, with the brackets around it, which Python's tree has not."""
    between = blank_comments(left.text[left.end : right.start])
    return left.end + len(between[: re.search(rf"\b{operator}\b", between).start()].rstrip())  # type: ignore[union-attr]


def _compare(node: ast.Compare, at: _At, depth: int) -> Expr:
    if len(node.ops) > 1:
        texts = [at(part).excerpt for part in (node.left, *node.comparators)]
        signs = [_COMPARISONS.get(type(operator), "?") for operator in node.ops]
        instead = " and ".join(f"{a} {sign} {b}" for a, sign, b in zip(texts, signs, texts[1:]))
        raise EquationError("comparisons cannot be chained", at(node), f"Write `{instead}`." if len(instead) < 80 else "Join single comparisons with `and`.")
    operator = _COMPARISONS.get(type(node.ops[0]))
    if operator is None:
        raise EquationError(f"{type(node.ops[0]).__name__} is not part of the language", at(node), "Compare with `< <= > >= == !=`.")
    return Compare(operator, _convert(node.left, at, depth + 1), _convert(node.comparators[0], at, depth + 1), at(node))


def _arity(function: str) -> int:
    return 1 if function == "int" else FUNCTIONS[function].arity


def _call(name: str, at_name: Span, arguments: tuple[Expr, ...], span: Span) -> Expr:
    if name not in USER_FUNCTIONS:
        return Call(name, arguments, span)  # the namespace must have it
    if len(arguments) != _arity(name):
        number = _arity(name)
        message = f"`{name}` takes {number or 'no'} argument{'' if number == 1 else 's'}, not {len(arguments)}"
        raise EquationError(message, span, "Separate the arguments by commas.")
    return Cast(DType.INT32, arguments[0], span) if name == "int" else Call(name, arguments, span)


def suggest(name: str, known: frozenset[str] | set[str]) -> str | None:
    """`Did you mean ...?`, if a known name is close."""
    close = difflib.get_close_matches(name, sorted(known), n=2, cutoff=0.6)
    folded = sorted(other for other in known if other.lower() == name.lower())
    found = list(dict.fromkeys(folded + close))[:2]
    return f"Did you mean {' or '.join(f'`{other}`' for other in found)}?" if found else None


def literal(expr: Expr) -> int | float | None:
    """The value of a literal number, with a sign or as a quotient such as `1/3`; None for anything else, and for infinities."""
    match expr:
        case Number(value):
            return value if math.isfinite(value) else None
        case Negate(operand):
            positive = literal(operand)
            return None if positive is None else -positive
        case Binary("/", left, right):
            above, below = literal(left), literal(right)
            return None if above is None or not below else above / below
    return None
