"""Long calculations side by side: a processor goes on with hundreds of operations at a time, if they do not wait for each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .expr import Call, DType, Expr, Index, Name, children, rebuild, walk
from .ir import Let, Line, Load, defined, expressions
from .lines import rewrite_line

LONG = frozenset(
    "exp expm1 log log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan exprel "
    "_erf _inverse_exprel _exprel_slope _exprel_curvature _exp_difference".split()
)


def abreast(body: Sequence[Line], loads: Sequence[Load]) -> tuple[Line, ...]:
    """`lines -> lines`: calls of functions get lines of their own, and those with equally many others before them stand together.

    Results are the same, bit for bit. As they are written, the equations of a conductance-based neuron are one chain after the other, of exponentials
    each of which waits for the one before, and a processor does not look far enough ahead to find the next chain.
    """
    shared = {load.name for load in loads if load.index in (Index.SHARED, Index.WHOLE)}
    place = {load.name: 0 for load in loads}
    new: list[tuple[int, bool, Line]] = []

    def names(expr: Expr) -> list[str]:
        return [node.name for node in walk(expr) if isinstance(node, Name)]

    def add(line: Line, long: bool) -> None:
        read = [name for expr in expressions(line) for name in names(expr)]
        depth = max((place[name] for name in read), default=0) + long
        new.append((depth, not long, line))
        place.update(dict.fromkeys(defined(line), depth))
        if isinstance(line, Let) and shared.issuperset(read):
            shared.add(line.name)

    def is_long(expr: Expr) -> bool:
        return isinstance(expr, Call) and expr.function in LONG and not shared.issuperset(names(expr))

    def inside(expr: Expr) -> Expr:
        return rebuild(expr, tuple(map(outside, children(expr)))) if children(expr) else expr

    def outside(expr: Expr) -> Expr:
        """The expression with a name in place of each call."""
        expr = inside(expr)
        if not is_long(expr):
            return expr
        name = f"l{len(new)}"
        add(Let(name, expr, DType.FLOAT), True)
        return Name(name)

    for line in body:
        if isinstance(line, Let) and is_long(line.value):
            add(replace(line, value=inside(line.value)), True)
        else:
            add(rewrite_line(line, outside), False)
    return tuple(line for _, _, line in sorted(new, key=lambda entry: entry[:2]))
