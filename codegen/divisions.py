"""Divisions in differential equations become products: a division takes as long as ten of them."""

from __future__ import annotations

from .expr import ONE, Access, Binary, Call, Cast, Compare, Expr, Number, children, rebuild, walk
from .functions import call
from .ir import Line, Model, Role
from .lines import rewrite_line

STEADY = (Role.PARAMETER, Role.EXTERNAL, Role.INDEX)


def by_products(line: Line, model: Model) -> Line:
    """`line -> line`: `x/tau` becomes `x*(1.0/tau)`, so that `hoist` can move the division into the set-up, and `x/exprel(z)` is one division, not two.

    Only for lines that an integrator wrote, and not in conditions: what users compare keeps its rounding.
    """

    def steady(expr: Expr) -> bool:
        leaves = [node for node in walk(expr) if not children(node)]
        known = all(isinstance(leaf, Number) or (isinstance(leaf, Access) and _is_steady(leaf, model)) for leaf in leaves)
        return known and not any(isinstance(node, Call) for node in walk(expr))

    def product(node: Expr) -> Expr:
        if isinstance(node, Compare | Cast) or not children(node):
            return node
        node = rebuild(node, tuple(map(product, children(node))))
        match node:
            case Binary("/", left, Call("exprel", (z,))):
                return Binary("*", left, call("_inverse_exprel", z), node.span)
            case Binary("/", left, right) if steady(right) and not steady(left):
                return Binary("*", left, Binary("/", ONE, right), node.span)
        return node

    return rewrite_line(line, product)


def _is_steady(access: Access, model: Model) -> bool:
    return access.variable == "dt" or model.variable(access).role in STEADY
