"""Between our expression tree and sympy, the computer algebra system: the one door, used where rewriting is what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from .errors import UnsupportedError
from .expr import (
    Access,
    Binary,
    Call,
    Cast,
    Compare,
    Element,
    Expr,
    Logical,
    Name,
    Negate,
    Not,
    Number,
    Truth,
    Where,
    add,
    divide,
    multiply,
    negate,
    show,
    walk,
)

_FUNCTIONS: dict[str, Callable[..., sp.Expr]] = {
    "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "sinh": sp.sinh, "cosh": sp.cosh, "tanh": sp.tanh, "arcsin": sp.asin, "arccos": sp.acos,
    "arctan": sp.atan, "exp": sp.exp, "log": sp.log, "sqrt": sp.sqrt, "abs": sp.Abs, "sign": sp.sign,
}  # fmt: skip
_BACK = {sp.sin: "sin", sp.cos: "cos", sp.tan: "tan", sp.sinh: "sinh", sp.cosh: "cosh", sp.tanh: "tanh", sp.asin: "arcsin", sp.acos: "arccos",
         sp.atan: "arctan", sp.exp: "exp", sp.log: "log", sp.Abs: "abs", sp.sign: "sign"}  # fmt: skip


class Algebra:
    """A translation between trees and sympy in which every tree that sympy cannot know well stands as one real symbol."""

    def __init__(self, variables: Sequence[Expr] = ()) -> None:
        self._symbols: dict[Expr, sp.Symbol] = {}
        self._trees: dict[sp.Symbol, Expr] = {}
        for variable in variables:
            self.symbol(variable)

    def symbol(self, tree: Expr) -> sp.Symbol:
        if tree not in self._symbols:
            new = sp.Symbol(f"x{len(self._symbols)}", real=True)
            self._symbols[tree], self._trees[new] = new, tree
        return self._symbols[tree]

    def to_sympy(self, expr: Expr) -> sp.Expr:
        match expr:
            case Number(value):
                return sp.Integer(value) if isinstance(value, int) else sp.Float(value, 17)
            case Negate(operand):
                return -self.to_sympy(operand)
            case Binary("+", left, right):
                return self.to_sympy(left) + self.to_sympy(right)
            case Binary("-", left, right):
                return self.to_sympy(left) - self.to_sympy(right)
            case Binary("*", left, right):
                return self.to_sympy(left) * self.to_sympy(right)
            case Binary("/", left, right):
                return self.to_sympy(left) / self.to_sympy(right)
            case Binary("**", left, right):
                return self.to_sympy(left) ** self.to_sympy(right)
            case Call(function, arguments) if function in _FUNCTIONS:
                return _FUNCTIONS[function](*map(self.to_sympy, arguments))
            case Name() | Access() | Truth() | Not() | Compare() | Logical() | Where() | Cast() | Call() | Element() | Binary():
                return self.symbol(expr)
        raise TypeError(f"not an expression: {expr!r}")

    def from_sympy(self, expr: sp.Expr) -> Expr:
        if isinstance(expr, sp.Symbol):
            return self._trees[expr]
        if isinstance(expr, sp.Integer):
            return Number(int(expr))
        if isinstance(expr, sp.Number | sp.NumberSymbol):
            return Number(float(expr))
        if isinstance(expr, sp.Add):
            return self._sum(expr)
        if isinstance(expr, sp.Mul):
            return self._product(expr)
        if isinstance(expr, sp.Pow):
            return self._power(expr)
        if expr.func in _BACK:
            return Call(_BACK[expr.func], tuple(map(self.from_sympy, expr.args)))
        raise UnsupportedError(f"the algebra gave {expr.func}, which the language does not have")

    def _sum(self, expr: sp.Add) -> Expr:
        result: Expr = Number(0.0)
        for term in expr.as_ordered_terms():
            result = add(result, self.from_sympy(term))
        return result

    def _product(self, expr: sp.Mul) -> Expr:
        numerator, denominator = expr.as_numer_denom() if any(a.is_Pow and a.exp.is_negative for a in expr.args) else (expr, sp.S.One)
        if denominator != 1:
            return divide(self.from_sympy(numerator), self.from_sympy(denominator))
        coefficient, factors = expr.as_coeff_mul()
        result: Expr = Number(1.0)
        for factor in factors:
            result = multiply(result, self.from_sympy(factor))
        if coefficient == -1:
            return negate(result)
        return result if coefficient == 1 else multiply(self.from_sympy(coefficient), result)

    def _power(self, expr: sp.Pow) -> Expr:
        base, exponent = expr.as_base_exp()
        if exponent == sp.Rational(1, 2):
            return Call("sqrt", (self.from_sympy(base),))
        if exponent.is_negative or (exponent.is_Number and exponent < 0):
            return divide(Number(1.0), self.from_sympy(base**-exponent))
        return Binary("**", self.from_sympy(base), self.from_sympy(exponent))


def linear_coefficients(expr: Expr, variables: Sequence[Expr]) -> tuple[list[Expr], Expr] | None:
    """Coefficients and remainder of an expression that is linear in `variables` after algebra; None if it is not."""
    algebra = Algebra(variables)
    symbols = [algebra.symbol(v) for v in variables]
    value = sp.expand(algebra.to_sympy(expr))
    rows = [sp.simplify(sp.diff(value, s)) for s in symbols]
    if any(row.has(*symbols) for row in rows):
        return None
    rest = sp.simplify(value.subs(dict.fromkeys(symbols, 0)))
    inside = [tree for tree in algebra._trees.values() if tree not in variables and _reads(tree, variables)]
    if inside:  # a variable hides in something sympy saw as one symbol (a condition, floor, ...)
        return None
    return [algebra.from_sympy(row) for row in rows], algebra.from_sympy(rest)


def _reads(tree: Expr, variables: Sequence[Expr]) -> bool:
    return any(node in variables for node in walk(tree))


def oscillates(matrix: Sequence[Sequence[Expr]]) -> bool:
    """Whether the closed-form solution of `x' = A x` contains the imaginary unit (Brian refuses `exact` there), or has none at all."""
    algebra = Algebra()
    symbolic = sp.Matrix([[algebra.to_sympy(entry) for entry in row] for row in matrix])
    if symbolic.rows > 4:
        return True
    if symbolic.rows == 2 and sp.simplify(symbolic.trace() ** 2 - 4 * symbolic.det()) == 0:
        return False  # one eigenvalue, twice, which sympy may write with a root of 0
    return any(value.has(sp.I) for value in symbolic.eigenvals())


def is_singular(matrix: Sequence[Sequence[Expr]]) -> bool:
    """Whether the determinant of the matrix is 0 whatever its symbols are."""
    algebra = Algebra()
    return bool(sp.simplify(sp.Matrix([[algebra.to_sympy(entry) for entry in row] for row in matrix]).det()) == 0)


def latex(expr: Expr) -> str:
    """The expression as LaTeX; what sympy does not know stands as the user would write it."""
    algebra = Algebra()
    formula = algebra.to_sympy(expr)
    parts = {symbol: algebra.from_sympy(symbol) for symbol in formula.free_symbols}
    texts = {symbol: sp.latex(sp.Symbol(part.name)) if isinstance(part, Name) else rf"\mathtt{{{show(part)}}}" for symbol, part in parts.items()}
    return str(sp.latex(formula, symbol_names=texts))
