"""Synaptic equations that are solved from event to event: exactly, over the time since the synapse was last updated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import IntegrationError, UnsupportedError
from .expr import Access, Binary, Expr, Name, substitute, walk
from .fresh import Fresh
from .functions import DT, T
from .integrate import integrate
from .ir import Flow, Let, Line, Result, Step, defined, expressions
from .lines import rewrite_line

LAST_UPDATE = Access("lastupdate")


def catch_up(step: Step, flows: Sequence[Flow]) -> Step:
    """`Step -> Step`: a pathway whose variables first flow from the synapse's last update to now, and which then notes the time of this one.

    The equations are linear, so the solution is exact for any time between; the method is that of `exact` with `t - lastupdate` in place of `dt`.
    """
    if not flows or step.side is None:
        return step
    taken = {name for line in step.body for name in defined(line)}
    taken |= {node.variable for line in step.body for expr in expressions(line) for node in walk(expr) if isinstance(node, Access)}
    fresh = Fresh(taken)
    elapsed = fresh("elapsed")
    table: dict[Expr, Expr] = {DT: Name(elapsed)}
    lines: list[Line] = [Let(elapsed, Binary("-", T, LAST_UPDATE))]
    flowed, new = solved(flows, fresh)
    lines += [rewrite_line(line, lambda e: substitute(e, table)) for line in flowed]
    now: dict[Expr, Expr] = {Access(name): Name(value) for name, value in new.items()}
    body = [rewrite_line(line, lambda e: substitute(e, now)) for line in step.body]
    stamp = fresh("now")
    written = {result.access for result in step.results} | {LAST_UPDATE}
    results = [*(r for r in step.results if r.access != LAST_UPDATE), Result(LAST_UPDATE, stamp)]
    results += [Result(Access(name), value) for name, value in new.items() if Access(name) not in written]
    return replace(step, body=(*lines, *body, Let(stamp, T)), results=tuple(results))


def solved(flows: Sequence[Flow], fresh: Fresh) -> tuple[list[Line], dict[str, str]]:
    """The lines that solve the equations over `dt`, and the name of each variable's new value."""
    try:
        lines, new, _ = integrate(flows, "exact", fresh)
    except IntegrationError as error:
        message = f"the equation of `{flows[0].variable}` cannot be solved from event to event: {error.message}"
        raise UnsupportedError(message, error.span, "Write (clock-driven) instead of (event-driven).") from None
    return lines, new
