"""Synaptic equations that are solved from event to event: exactly, over the time since the synapse was last updated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import IntegrationError, UnsupportedError
from .expr import Access, Binary, Expr, Name, accesses, substitute, walk
from .fresh import Fresh
from .functions import DT, T
from .integrate import integrate
from .ir import Flow, Let, Line, Model, Result, Step, defined, expressions
from .lines import rewrite_line

LAST_UPDATE = Access("lastupdate")
IN_STEPS = "traces"
"""The Step that solves them in every step."""
_BETWEEN = "whose value between events only the simulator has: it is that of the last event"
_CLOCK_DRIVEN = "Write (clock-driven) instead of (event-driven)."


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


def in_every_step(flows: Sequence[Flow]) -> tuple[Step, ...]:
    """`Flows -> Steps`: the same equations, solved from step to step by one Step that precedes all others.

    What the pathways read is the same, and every value between two events is there, too. So an event has the derivative that the equations give it: where
    traces are only caught up with at events, a spike that nearly happened would count as one that catches up half.
    """
    if not flows:
        return ()
    taken = {node.variable for flow in flows for node in walk(flow.drift) if isinstance(node, Access)} | {flow.variable for flow in flows}
    fresh = Fresh(taken)
    elapsed, stamp = fresh("elapsed"), fresh("now")
    table: dict[Expr, Expr] = {DT: Name(elapsed)}
    flowed, new = solved(flows, fresh)
    lines = (Let(elapsed, Binary("-", T, LAST_UPDATE)), *(rewrite_line(line, lambda e: substitute(e, table)) for line in flowed), Let(stamp, T))
    results = [Result(Access(name), value) for name, value in new.items()]
    return (Step(IN_STEPS, "before_start", 0, lines, (*results, Result(LAST_UPDATE, stamp))),)


def refuse_between_events(model: Model) -> None:
    """Refuse what sees the traces of a core model otherwise than in its pathways: it would see other values where they are solved in every step."""
    traces: set[Access | str] = {Access(flow.variable) for flow in model.event_driven}
    if not traces:
        return
    for pathway in model.pathways:
        for statement in pathway.code:
            if LAST_UPDATE == statement.target or LAST_UPDATE in accesses(statement.value):
                raise UnsupportedError(f"pathway {pathway.name} of {model.name} uses `lastupdate`, {_BETWEEN}", statement.span, _CLOCK_DRIVEN)
    for code in model.codes:
        for statement in code.statements:
            seen = {node for node in (*accesses(statement.value), statement.target)} & {*traces, LAST_UPDATE}
            if seen:
                name = min(node.variable for node in seen if isinstance(node, Access))
                raise UnsupportedError(f"the code {code.name} of {model.name} uses `{name}`, {_BETWEEN}", statement.span, _CLOCK_DRIVEN)


def solved(flows: Sequence[Flow], fresh: Fresh) -> tuple[list[Line], dict[str, str]]:
    """The lines that solve the equations over `dt`, and the name of each variable's new value."""
    try:
        lines, new, _ = integrate(flows, "exact", fresh)
    except IntegrationError as error:
        message = f"the equation of `{flows[0].variable}` cannot be solved from event to event: {error.message}"
        raise UnsupportedError(message, error.span, "Write (clock-driven) instead of (event-driven).") from None
    return lines, new
