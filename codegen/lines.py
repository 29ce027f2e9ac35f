"""Lines of a body, with other expressions in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .expr import Expr
from .ir import Draw, Fire, Force, Let, Line, Propagator, Select


def rewrite_line(line: Line, change: Callable[[Expr], Expr]) -> Line:
    """The same line with `change` applied to every expression it evaluates."""
    match line:
        case Let():
            return replace(line, value=change(line.value))
        case Fire():
            margin, gate = (None if e is None else change(e) for e in (line.margin, line.gate))
            return replace(line, condition=change(line.condition), margin=margin, gate=gate)
        case Select():
            return replace(line, event=change(line.event), then=change(line.then), otherwise=change(line.otherwise))
        case Force():
            return replace(line, fired=change(line.fired), value=change(line.value), mask=change(line.mask))
        case Draw():
            thresholds = None if line.thresholds is None else change(line.thresholds)
            return replace(line, arguments=tuple(map(change, line.arguments)), thresholds=thresholds)
        case Propagator():
            return replace(line, matrix=tuple(tuple(change(e) for e in row) for row in line.matrix), dt=change(line.dt))
    return line
