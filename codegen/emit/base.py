"""The printer that all languages share: a closed dispatch over expression nodes, with one table of templates a language.

A template is a format string in which `{0}`, `{1}`, ... stand for the operands, already written. A kernel reaches variables through Name (its loads),
so an Access never comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import UnsupportedError
from ..expr import Access, Binary, Call, Cast, Compare, DType, Element, Expr, Logical, Name, Negate, Not, Number, Truth, Where, children
from ..functions import spec_of

POWERS = {2: "square", 3: "cube", 4: "fourth"}
"""`x**2`, `x**3` and `x**4` are the products `x*x`, `(x*x)*x` and `(x*x)*(x*x)` in every language, by functions of these names in its prelude."""

COMPARISONS = {symbol: f"({{0}} {symbol} {{1}})" for symbol in ("<", "<=", ">", ">=", "==", "!=")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How a language writes each node.

    `name` is the key of `FunctionSpec.text`, `number` writes a literal, `identifier` a name; `arithmetic["**"]` serves the exponents that are not in
    POWERS.
    """

    name: str
    number: Callable[[int | float], str]
    truth: Callable[[bool], str] = str
    identifier: Callable[[str], str] = str
    negate: str = "(-{0})"
    invert: str = "(not {0})"
    arithmetic: Mapping[str, str]
    comparison: Mapping[str, str]
    logic: Mapping[str, str]
    where: str
    cast: Mapping[DType, str]

    def template(self, expr: Expr) -> str:
        """The format string of one node; TypeError for a node that is not in the language."""
        match expr:
            case Number(value):
                return self.number(value)
            case Truth(value):
                return self.truth(value)
            case Name(name):
                return self.identifier(name)
            case Negate():
                return self.negate
            case Not():
                return self.invert
            case Binary("**", _, Number(value)) if value in POWERS:
                return POWERS[int(value)] + "({0})"
            case Binary(operator):
                return self.arithmetic[operator]
            case Compare(operator):
                return self.comparison[operator]
            case Logical(operator):
                return self.logic[operator]
            case Where():
                return self.where
            case Cast(dtype):
                return self.cast[dtype]
            case Element():
                return "value_at({0}, {1})"
            case Call(function):
                text = spec_of(expr).text.get(self.name)
                if text is None:
                    raise UnsupportedError(f"`{function}` is a Python function, which code in {self.name} cannot call", expr.span)
                return text
            case Access():
                raise TypeError(f"{self.name} cannot print the access {expr!r}: kernels reach variables through their loads")
        raise TypeError(f"{self.name} cannot print {type(expr).__name__}: {expr!r}")


def write(expr: Expr, template: Callable[[Expr], str]) -> str:
    """`Expr -> text`: every node by its template, which is `language.template` or a function that wraps it."""
    text = template(expr)
    parts = children(expr)
    return text.format(*(write(part, template) for part in parts)) if parts or isinstance(expr, Call) else text
