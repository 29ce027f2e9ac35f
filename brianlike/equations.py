"""`Equations`: model text that can be combined, renamed and looked into before an object is made from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from codegen.dims import Dimensions, unit_name
from codegen.expr import Expr, Name
from codegen.parse import Equation, parse_equations

from .units import asarray_si, get_dimensions

__all__ = ["Equations"]

_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_DERIVATIVE = re.compile(r"\s*d([A-Za-z_]\w*)(?=\s*/\s*dt\s*=)")
_COMMENT = re.compile(r"#[^\n]*")


class Equations(Mapping[str, Equation]):
    """Equations as data: a mapping from variable to equation, that prints as the text it was made from.

    Parameters
    ----------
    text : str
        One equation a line: `dx/dt = ... : unit (flags)`, `x = ... : unit (flags)` or `x : unit (flags)`.
    **substitutions
        A string renames an identifier wherever it occurs; a number or quantity takes its place.

    Attributes
    ----------
    names, diff_eq_names, parameter_names, subexpr_names : frozenset of str
    dimensions : dict from name to Dimensions

    Raises
    ------
    EquationError, UnitError, UnknownNameError
        As soon as the text is not in the language, with a caret at the place.

    Examples
    --------
    >>> from brianlike.units import ms
    >>> leak = Equations("dx/dt = -x/tau : 1", x="v", tau=10*ms)
    >>> print(leak)
    dv/dt = -v/(0.01*second) : 1
    >>> sorted((leak + "I : amp").names)
    ['I', 'v']
    """

    __slots__ = ("_text", "_equations")

    def __init__(self, text: str | Equations, **substitutions: object):
        if not isinstance(text, (str, Equations)):
            raise TypeError(f"equations are given as text, not {type(text).__name__}")
        self._text = _substitute(str(text), {name: _replacement(name, value) for name, value in substitutions.items()})
        self._equations = {equation.name: equation for equation in parse_equations(self._text)}

    def substitute(self, **substitutions: object) -> Equations:
        """The same equations with identifiers renamed or replaced by values."""
        return Equations(self, **substitutions)

    def __add__(self, other: str | Equations) -> Equations:
        return Equations(f"{self._text}\n{other}") if isinstance(other, (str, Equations)) else NotImplemented

    def __radd__(self, other: str) -> Equations:
        return Equations(f"{other}\n{self._text}") if isinstance(other, str) else NotImplemented

    def __getitem__(self, name: str) -> Equation:
        return self._equations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._equations)

    def __len__(self) -> int:
        return len(self._equations)

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return self._equations == other._equations if isinstance(other, Equations) else NotImplemented

    def _of_kind(self, kind: str) -> frozenset[str]:
        return frozenset(name for name, equation in self._equations.items() if equation.kind == kind)

    @property
    def names(self) -> frozenset[str]:
        """All variables."""
        return frozenset(self._equations)

    @property
    def diff_eq_names(self) -> frozenset[str]:
        """The variables with a differential equation."""
        return self._of_kind("differential")

    @property
    def parameter_names(self) -> frozenset[str]:
        """The variables with a value only."""
        return self._of_kind("parameter")

    @property
    def subexpr_names(self) -> frozenset[str]:
        """The names for expressions."""
        return self._of_kind("subexpression")

    @property
    def dimensions(self) -> dict[str, Dimensions]:
        """The dimensions of each variable."""
        return {name: equation.dimensions for name, equation in self._equations.items()}

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Equations({self._text!r})"

    def _repr_latex_(self) -> str:
        rows = []
        for name, equation in self._equations.items():
            left = rf"\frac{{d{_latex(Name(name))}}}{{dt}}" if equation.kind == "differential" else _latex(Name(name))
            middle = "" if equation.value is None else f" &= {_latex(equation.value)}"
            unit = unit_name(equation.dimensions).replace("**", "^")
            rows.append(rf"{left}{middle} && \mathrm{{({unit})}}")
        return "\\begin{align*}" + r" \\ ".join(rows) + "\\end{align*}"


def _latex(value: Expr) -> str:
    from codegen.algebra import latex  # loads sympy, and only notebooks want it

    return latex(value)


def _replacement(name: str, value: object) -> str:
    """What stands for an identifier: another one, or a value in SI units."""
    if isinstance(value, str):
        if not value.isidentifier():
            raise ValueError(f"`{name}` can be replaced by another name or by a value, not by the text {value!r}; write the expression into the equations")
        return value
    try:
        number, dims = asarray_si(value), get_dimensions(value)
    except TypeError:
        number = np.zeros(0)
    if number.ndim != 0 or np.iscomplexobj(number):
        raise TypeError(f"`{name}` can be replaced by a name or one number, not by {value!r}")
    unit = "" if dims.is_dimensionless else f"*{unit_name(dims)}"
    return f"({value if isinstance(value, (int, bool)) else repr(float(number))}{unit})"


def _substitute(text: str, replacements: Mapping[str, str]) -> str:
    """Replace identifiers in names and expressions; units, flags and comments stay."""
    if not replacements:
        return text

    def word(match: re.Match[str]) -> str:
        return replacements.get(match[0], match[0])

    rows = []
    for row in text.split("\n"):
        code = _COMMENT.split(row, maxsplit=1)[0]
        end = code.find(":") if ":" in code else len(code)
        derivative = _DERIVATIVE.match(row[:end])
        start = derivative.end() if derivative else 0
        left = row[: derivative.start(1)] + replacements.get(derivative[1], derivative[1]) if derivative else ""
        rows.append(left + _WORD.sub(word, row[start:end]) + row[end:])
    return "\n".join(rows)
