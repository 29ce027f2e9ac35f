"""Linear structure of expressions, read off the tree; sympy is asked only where the tree does not show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .expr import ONE, ZERO, Binary, Expr, Negate, Where, add, depends, divide, multiply, negate, subtract

Linear = tuple[list[Expr], Expr]


def linear(expr: Expr, variables: Sequence[Expr]) -> Linear | None:
    """Coefficients c and remainder r with `expr = sum(c*x) + r`, none of them reading a variable; None if there are none.

    The tree is tried first, which keeps the user's own factors; where it does not show that it is linear (`(v + w)**2 - w**2 - v*v`), algebra decides.
    """
    found = _linear(expr, tuple(variables), frozenset(variables))
    if found is not None:
        return found
    from .algebra import linear_coefficients  # loads sympy, which most models never need

    return linear_coefficients(expr, variables)


def _linear(expr: Expr, variables: tuple[Expr, ...], leaves: frozenset[Expr]) -> Linear | None:
    if not depends(expr, leaves):
        return [ZERO] * len(variables), expr
    if expr in leaves:
        return [ONE if v == expr else ZERO for v in variables], ZERO
    match expr:
        case Negate(operand):
            return _each(_linear(operand, variables, leaves), negate)
        case Binary("+", left, right):
            return _combine(_linear(left, variables, leaves), _linear(right, variables, leaves), add)
        case Binary("-", left, right):
            return _combine(_linear(left, variables, leaves), _linear(right, variables, leaves), subtract)
        case Binary("*", left, right) if not depends(left, leaves):
            return _each(_linear(right, variables, leaves), lambda a: multiply(left, a))
        case Binary("*", left, right) if not depends(right, leaves):
            return _each(_linear(left, variables, leaves), lambda a: multiply(a, right))
        case Binary("/", left, right) if not depends(right, leaves):
            return _each(_linear(left, variables, leaves), lambda a: divide(a, right))
        case Where(condition, then, otherwise) if not depends(condition, leaves):
            first, second = _linear(then, variables, leaves), _linear(otherwise, variables, leaves)
            return _combine(first, second, lambda a, b: a if a == b else Where(condition, a, b))
    return None


def _each(form: Linear | None, rule: Callable[[Expr], Expr]) -> Linear | None:
    return None if form is None else ([rule(c) for c in form[0]], rule(form[1]))


def _combine(left: Linear | None, right: Linear | None, rule: Callable[[Expr, Expr], Expr]) -> Linear | None:
    if left is None or right is None:
        return None
    return [rule(a, b) for a, b in zip(left[0], right[0])], rule(left[1], right[1])
