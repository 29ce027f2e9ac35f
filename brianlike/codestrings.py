"""Text of the language as an object: one expression, or statements."""

from __future__ import annotations

import re
from typing import Any

from codegen.desugar import split_noise
from codegen.expr import Access, names, show, substitute
from codegen.grammar import parse_expression
from codegen.ir import Flow

__all__ = ["Expression", "Statements"]

_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_OPERATORS = frozenset({"and", "or", "not", "True", "False"})


def identifiers_of(code: str) -> set[str]:
    """The names in a text: variables, functions, constants, units."""
    return set(_WORD.findall(code)) - _OPERATORS


class Statements:
    """Assignments, one a line or separated by `;`.

    Examples
    --------
    >>> sorted(Statements("x = 3; y += x").identifiers)
    ['x', 'y']
    """

    __slots__ = ("code", "identifiers")

    def __init__(self, code: str):
        self.code = code.strip()
        self.identifiers = identifiers_of(code)

    def __str__(self) -> str:
        return self.code

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r})"

    def __eq__(self, other: object) -> bool:
        return self.code == other.code if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.code))


class Expression:
    """One expression.

    Parameters
    ----------
    code : str
        Its text.
    sympy_expression : sympy expression
        Instead of `code`.

    Raises
    ------
    EquationError
        If the text is no expression of the language, with a caret at the place.

    Examples
    --------
    >>> Expression("-v/tau + sigma*xi").stochastic_variables
    {'xi'}
    """

    __slots__ = ("code", "identifiers")

    def __init__(self, code: str | None = None, sympy_expression: Any = None):
        if (code is None) == (sympy_expression is None):
            raise TypeError("an expression is made from a text or from a sympy expression: give one of the two")
        self.code = str(sympy_expression if code is None else code).strip()
        parse_expression(self.code)
        self.identifiers = identifiers_of(self.code)

    @property
    def stochastic_variables(self) -> set[str]:
        """The names of noise in it: `xi` and `xi_...`."""
        return {name for name in self.identifiers if name == "xi" or name.startswith("xi_")}

    def split_stochastic(self) -> tuple[Expression, dict[str, Expression] | None]:
        """What does not depend on noise, and the factor of each noise: (f, {xi: g}) for `f + g*xi`; (itself, None) without noise.

        Raises
        ------
        ValueError
            If the expression is not linear in the noise.

        Examples
        --------
        >>> Expression("-v/tau").split_stochastic()
        (Expression('-v/tau'), None)
        >>> Expression("f + g*xi").split_stochastic()
        (Expression('f'), {'xi': Expression('g')})
        """
        if not self.stochastic_variables:
            return self, None
        tree = parse_expression(self.code)
        flow = split_noise(Flow("x", substitute(tree, {leaf: Access(name) for name, leaf in names(tree).items()})))
        return Expression(show(flow.drift)), {name: Expression(show(factor)) for name, factor in flow.noise.items()}

    def __str__(self) -> str:
        return self.code

    def __repr__(self) -> str:
        return f"Expression({self.code!r})"

    def __eq__(self, other: object) -> bool:
        return self.code == other.code if isinstance(other, Expression) else NotImplemented

    def __hash__(self) -> int:
        return hash(("Expression", self.code))
