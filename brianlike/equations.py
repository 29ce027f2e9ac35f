"""`Equations`: model text that can be combined, renamed and looked into before an object is made from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from codegen.dims import Dimensions, unit_name
from codegen.errors import EquationError
from codegen.expr import DType, Expr, Name, names, show, substitute
from codegen.grammar import blank_comments, parse_expression
from codegen.models import check_names
from codegen.parse import Equation, parse_equations

from .codestrings import Expression
from .expressions import resolve_model
from .namespaces import caller_namespace
from .units import Unit, asarray_si, get_dimensions, get_unit

__all__ = ["Dependency", "Equations", "SingleEquation"]

PARAMETER, DIFFERENTIAL_EQUATION, SUBEXPRESSION = "parameter", "differential equation", "subexpression"
_KINDS = {"differential": DIFFERENTIAL_EQUATION}
_TYPES = {DType.BOOL: "boolean", DType.INT32: "integer"}
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_DERIVATIVE = re.compile(r"\s*d([A-Za-z_]\w*)(?=\s*/\s*dt\s*=)")
_COMMENT = re.compile(r"#[^\n]*")


class SingleEquation:
    """One equation of `Equations`.

    Parameters
    ----------
    type : 'differential equation', 'subexpression' or 'parameter'
    varname : str
        The variable that it defines.
    dimensions : unit or Dimensions
    var_type : 'float', 'integer' or 'boolean'
    expr : Expression, optional
        The right side; parameters have none.
    flags : list of str

    Examples
    --------
    >>> Equations("dv/dt = -v/tau : volt (unless refractory)")["v"].expr
    Expression('-v/tau')
    """

    __slots__ = ("type", "varname", "dim", "var_type", "expr", "flags")

    def __init__(
        self,
        type: str,
        varname: str,
        dimensions: Any,
        var_type: str = "float",
        expr: Expression | None = None,
        flags: Iterable[str] | None = None,
    ):
        self.type, self.varname, self.dim, self.var_type = type, varname, get_dimensions(dimensions), var_type
        self.expr, self.flags = expr, list(flags or ())

    @property
    def unit(self) -> Unit:
        """The SI unit of the variable."""
        return get_unit(self.dim)

    @property
    def identifiers(self) -> set[str]:
        """The names on the right side."""
        return set() if self.expr is None else set(self.expr.identifiers)

    @property
    def stochastic_variables(self) -> set[str]:
        """The noise on the right side."""
        return set() if self.expr is None else self.expr.stochastic_variables

    def _key(self) -> tuple[object, ...]:
        code = None if self.expr is None else parse_expression(self.expr.code)
        return self.type, self.varname, self.dim, self.var_type, code, tuple(self.flags)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, SingleEquation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        left = f"d{self.varname}/dt" if self.type == DIFFERENTIAL_EQUATION else self.varname
        unit = unit_name(self.dim) if self.var_type == "float" else self.var_type
        right = "" if self.expr is None else f" = {self.expr}"
        return f"{left}{right} : {unit}" + (f" ({', '.join(self.flags)})" if self.flags else "")

    def __repr__(self) -> str:
        return f"<{self.type} {self}>"

    def _repr_latex_(self) -> str:
        return f"${_latex_row(self).replace('&', '')}$"


class Dependency(NamedTuple):
    """That an equation needs another one, directly or by way of others."""

    equation: SingleEquation
    via: tuple[str, ...] = ()


class Equations(Mapping[str, SingleEquation]):
    """Equations as data: a mapping from variable to equation, that prints as the text it was made from.

    Parameters
    ----------
    eqns : str or list of SingleEquation
        One equation a line: `dx/dt = ... : unit (flags)`, `x = ... : unit (flags)` or `x : unit (flags)`.
    **substitutions
        A string renames an identifier wherever it occurs (for one that is no variable, it may also be an expression, put there without brackets as in
        Brian); a number or quantity takes its place.

    Attributes
    ----------
    names, eq_names, diff_eq_names, parameter_names, subexpr_names : frozenset of str
        All variables; those with a right side; those of each kind.
    identifiers : frozenset of str
        The names on right sides that are no variables.
    dimensions : dict from name to Dimensions
    eq_expressions, diff_eq_expressions : list of (str, Expression)
    stochastic_variables : frozenset of str
    stochastic_type : None, 'additive' or 'multiplicative'

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

    __slots__ = ("_text", "_lines", "_equations")
    _checks: list[Callable[[str], None]] = []

    def __init__(self, eqns: str | Equations | Iterable[SingleEquation] = "", **substitutions: object):
        written = str(eqns) if isinstance(eqns, (str, Equations)) else _joined(eqns)
        if substitutions:
            _check_substitutions([line.name for line in parse_equations(written)], substitutions)
        self._text = _substitute(written, {name: _replacement(name, value) for name, value in substitutions.items()})
        self._lines = parse_equations(self._text)
        check_names(self._lines)
        self._equations = {line.name: _single(line) for line in self._lines}
        for check in self._checks:
            for name in self._equations:
                check(name)

    def substitute(self, **substitutions: object) -> Equations:
        """The same equations with identifiers renamed or replaced by values."""
        return Equations(self, **substitutions)

    @staticmethod
    def register_identifier_check(func: Callable[[str], None]) -> None:
        """Let `func` look at the name of every variable from now on; it raises for one that it does not accept."""
        if func not in Equations._checks:
            Equations._checks.append(func)

    @staticmethod
    def check_identifier(identifier: str) -> None:
        """Raise EquationError unless a variable may have this name.

        >>> Equations.check_identifier("v_2")
        """
        check_names(parse_equations(f"{identifier} : 1"))
        for check in Equations._checks:
            check(identifier)

    def check_identifiers(self) -> None:
        """The names were checked when the object was made."""

    def __add__(self, other: str | Equations) -> Equations:
        return Equations(f"{self._text}\n{other}") if isinstance(other, (str, Equations)) else NotImplemented

    def __radd__(self, other: str) -> Equations:
        return Equations(f"{other}\n{self._text}") if isinstance(other, str) else NotImplemented

    def __getitem__(self, name: str) -> SingleEquation:
        return self._equations[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._equations)

    def __len__(self) -> int:
        return len(self._equations)

    def __hash__(self) -> int:
        return hash(frozenset(self._equations.values()))

    def __eq__(self, other: object) -> bool:
        return self._equations == other._equations if isinstance(other, Equations) else NotImplemented

    def _of_type(self, kind: str) -> frozenset[str]:
        return frozenset(name for name, equation in self._equations.items() if equation.type == kind)

    @property
    def names(self) -> frozenset[str]:
        """All variables."""
        return frozenset(self._equations)

    @property
    def eq_names(self) -> frozenset[str]:
        """The variables with a right side."""
        return self.diff_eq_names | self.subexpr_names

    @property
    def diff_eq_names(self) -> frozenset[str]:
        """The variables with a differential equation."""
        return self._of_type(DIFFERENTIAL_EQUATION)

    @property
    def parameter_names(self) -> frozenset[str]:
        """The variables with a value only."""
        return self._of_type(PARAMETER)

    @property
    def subexpr_names(self) -> frozenset[str]:
        """The names for expressions."""
        return self._of_type(SUBEXPRESSION)

    @property
    def identifiers(self) -> frozenset[str]:
        """The names on right sides that are no variables: constants, units, functions."""
        return frozenset(name for equation in self.values() for name in equation.identifiers) - self.names

    @property
    def dimensions(self) -> dict[str, Dimensions]:
        """The dimensions of each variable."""
        return {name: equation.dim for name, equation in self._equations.items()}

    @property
    def eq_expressions(self) -> list[tuple[str, Expression]]:
        """The right sides."""
        return [(name, equation.expr) for name, equation in self.items() if equation.expr is not None]

    @property
    def diff_eq_expressions(self) -> list[tuple[str, Expression]]:
        """The right sides of differential equations."""
        return [(name, expr) for name, expr in self.eq_expressions if self[name].type == DIFFERENTIAL_EQUATION]

    @property
    def ordered(self) -> list[SingleEquation]:
        """Subexpressions, each behind those that it needs; then differential equations; then parameters."""
        rest = [*sorted(self.diff_eq_names), *sorted(self.parameter_names)]
        return [self[name] for name in [*self._subexpressions_in_order(), *rest]]

    def _subexpressions_in_order(self) -> list[str]:
        order: list[str] = []

        def visit(name: str) -> None:
            for other in sorted(self[name].identifiers & self.subexpr_names):
                visit(other)
            if name not in order:
                order.append(name)

        for name in sorted(self.subexpr_names):
            visit(name)
        return order

    def get_substituted_expressions(self, variables: object = None, include_subexpressions: bool = False) -> list[tuple[str, Expression]]:
        """The right sides of differential equations, with subexpressions put in.

        Parameters
        ----------
        variables : object
            Accepted and without effect.
        include_subexpressions : bool
            Subexpressions too.

        Examples
        --------
        >>> Equations("dv/dt = I/tau : 1; ".replace(";", "\\nI = 2*v : 1")).get_substituted_expressions()
        [('v', Expression('2*v/tau'))]
        """
        inner: dict[Expr, Expr] = {}
        found: list[tuple[str, Expression]] = []
        for equation in self.ordered:
            if equation.expr is None:
                continue
            tree = parse_expression(equation.expr.code)
            tree = substitute(tree, {leaf: inner[Name(name)] for name, leaf in names(tree).items() if Name(name) in inner})
            if equation.type == SUBEXPRESSION:
                inner[Name(equation.varname)] = tree
            if include_subexpressions or equation.type == DIFFERENTIAL_EQUATION:
                found.append((equation.varname, Expression(show(tree))))
        return found

    @property
    def dependencies(self) -> dict[str, list[Dependency]]:
        """For each equation with a right side, the equations that it needs: first those in its own text, then those of these, with the way there."""
        found: dict[str, list[Dependency]] = {}
        for equation in self.ordered:
            if equation.expr is None:
                continue
            direct = [name for name in self if name in equation.identifiers]
            needs = [Dependency(self[name]) for name in direct]
            for name in direct:
                for further in found.get(name, []) if name in self.subexpr_names else []:
                    if all(further.equation.varname != need.equation.varname for need in needs):
                        needs.append(Dependency(further.equation, (name, *further.via)))
            found[equation.varname] = needs
        return found

    @property
    def stochastic_variables(self) -> frozenset[str]:
        """The noise in them."""
        return frozenset(name for equation in self.values() for name in equation.stochastic_variables)

    @property
    def is_stochastic(self) -> bool:
        """Whether there is noise in them."""
        return bool(self.stochastic_variables)

    @property
    def stochastic_type(self) -> str | None:
        """None without noise; 'additive' if its factors read no variable with a differential equation and no time; otherwise 'multiplicative'."""
        if not self.is_stochastic:
            return None
        changing = self.diff_eq_names | {"t"}
        for _, expression in self.get_substituted_expressions():
            factors = expression.split_stochastic()[1] or {}
            if any(factor.identifiers & changing for factor in factors.values()):
                return "multiplicative"
        return "additive"

    def check_units(self, group: Any, run_namespace: Mapping[str, object] | None = None) -> None:
        """Raise UnitError if the units of an equation do not fit.

        Parameters
        ----------
        group : NeuronGroup or Synapses
            Made from these equations.
        run_namespace : dict, optional
            Values of constants; by default the names visible where this is called.
        """
        resolve_model(group.model, group, caller_namespace() if run_namespace is None else run_namespace)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Equations({self._text!r})"

    def _repr_latex_(self) -> str:
        return "\\begin{align*}" + r" \\ ".join(_latex_row(equation) for equation in self.values()) + "\\end{align*}"

    def _repr_html_(self) -> str:
        return f"$${self._repr_latex_()}$$"


def _single(line: Equation) -> SingleEquation:
    expr = None
    if line.value is not None and line.span is not None:
        code = blank_comments(line.span.excerpt)
        start = code.index("=") + 1
        expr = Expression(" ".join(code[start : code.index(":", start)].split()))
    return SingleEquation(_KINDS.get(line.kind, line.kind), line.name, line.dimensions, _TYPES.get(line.dtype, "float"), expr, line.flags)


def _joined(equations: Any) -> str:
    if not isinstance(equations, Iterable):
        raise TypeError(f"equations are given as text, not {type(equations).__name__}")
    single = list(equations)
    for equation in single:
        if not isinstance(equation, SingleEquation):
            raise TypeError(f"equations are given as text or as a list of single equations, not with {equation!r} in it")
    return "\n".join(map(str, single))


def _latex_row(equation: SingleEquation) -> str:
    left = _latex(Name(equation.varname))
    if equation.type == DIFFERENTIAL_EQUATION:
        left = rf"\frac{{d{left}}}{{dt}}"
    middle = "" if equation.expr is None else f" &= {_latex(parse_expression(equation.expr.code))}"
    return rf"{left}{middle} && \mathrm{{({unit_name(equation.dim).replace('**', '^')})}}"


def _latex(value: Expr) -> str:
    from codegen.algebra import latex  # loads sympy, and only notebooks want it

    return latex(value)


def _check_substitutions(variables: list[str], substitutions: Mapping[str, object]) -> None:
    for name in variables:
        new = substitutions.get(name, name)
        if not isinstance(new, str):
            raise ValueError(f"`{name}` is a variable of the equations and can be renamed, but not replaced by the value {new!r}")
        if not new.isidentifier():
            raise EquationError(f"`{name}` is a variable of the equations and can be renamed, but {new!r} is not a name")


def _replacement(name: str, value: object) -> str:
    """What stands for an identifier: another one, an expression, or a value in SI units."""
    if isinstance(value, str):
        parse_expression(value)
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
