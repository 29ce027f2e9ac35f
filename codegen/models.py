"""Equations -> Model: what the user declared, and what every group and every Synapses object has besides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from .dims import UNITS, unit_name
from .errors import EquationError, Span, UnitError
from .expr import Compare, DType, Expr, Index, Logical, Name, Not, Number, Truth, names
from .functions import CLOCK_NAMES, is_noise
from .grammar import identifier, parse_expression, piece_of
from .ir import Code, Event, Flow, Model, Pathway, Refractory, Role, Statement, Subexpression, Summed, Variable
from .parse import Equation, parse_equations, parse_statements

RESERVED = frozenset({*CLOCK_NAMES, "xi", "i", "N", "not_refractory", "refractory", "refractory_until", "lastspike"})
RESERVED_IN_SYNAPSES = RESERVED | {"j", "delay", "N_incoming", "N_outgoing"}
_ROLES = {"differential": Role.STATE, "subexpression": Role.SUBEXPRESSION, "parameter": Role.PARAMETER}
_CLOCK = (
    Variable("t", Role.CLOCK, UNITS["second"], shared=True),
    Variable("dt", Role.CLOCK, UNITS["second"], shared=True, constant=True),
    Variable("t_in_timesteps", Role.CLOCK, dtype=DType.INT64, shared=True),
)
_NEURON_INDEX = (Variable("i", Role.INDEX, dtype=DType.INT32, constant=True), Variable("N", Role.INDEX, dtype=DType.INT32, shared=True, constant=True))
_SYNAPSE_INDEX = (
    *(Variable(name, Role.INDEX, dtype=DType.INT32, constant=True) for name in ("i", "j", "N_incoming", "N_outgoing")),
    *(Variable(name, Role.INDEX, dtype=DType.INT32, shared=True, constant=True) for name in ("N", "N_pre", "N_post")),
)
_LAST_UPDATE = Variable("lastupdate", Role.PARAMETER, UNITS["second"])
_REFRACTORY = (
    Variable("lastspike", Role.HIDDEN, UNITS["second"]),  # what equations read
    Variable("_lastspike_step", Role.HIDDEN, dtype=DType.INT64),  # what is stored: the number of the step
    Variable("not_refractory", Role.HIDDEN, dtype=DType.BOOL),
)


def parse_group(
    name: str,
    equations: str | tuple[Equation, ...],
    threshold: str | None = None,
    reset: str | None = None,
    refractory: None | str | float = None,
    events: Mapping[str, str] | None = None,
) -> Model:
    """The Model of a group of neurons: its declared variables, those every group has, and its events.

    Parameters
    ----------
    refractory : None, a number of seconds, or a text that gives a duration or a condition.
    events : conditions of further events by name; that of `threshold` is called `spike`.
    """
    lines = parse_equations(equations) if isinstance(equations, str) else equations
    _check_declarations(lines, RESERVED, frozenset({"unless refractory", "constant", "shared", "input", "linked", "constant over dt"}))
    pause = _refractory(refractory)
    guard = "not_refractory" if pause else None
    variables = tuple(_variable(line, guard) for line in lines)
    implicit = (*_noises(lines), *_CLOCK, *_NEURON_INDEX, *(_REFRACTORY if pause else ()))
    inner, codes = _subexpressions(lines)
    return Model(
        identifier(name, None),
        variables + implicit,
        _flows(lines),
        inner,
        _events(threshold, reset, dict(events or {})),
        refractory=pause,
        codes=codes,
    )


def parse_synapses(
    name: str,
    equations: str | tuple[Equation, ...],
    on_pre: Mapping[str, str] | None = None,
    on_post: Mapping[str, str] | None = None,
    pre: tuple[Variable, ...] = (),
    post: tuple[Variable, ...] = (),
    events: Mapping[str, str] | None = None,
) -> Model:
    """The Model of synapses between groups with the variables `pre` and `post`; `on_pre` and `on_post` map names of pathways to their code.

    `events` names the events of pathways that do not wait for spikes.
    """
    lines = parse_equations(equations) if isinstance(equations, str) else equations
    summed, lines = [line for line in lines if "summed" in line.flags], tuple(line for line in lines if "summed" not in line.flags)
    _check_declarations(lines, RESERVED_IN_SYNAPSES, frozenset({"constant", "shared", "linked", "constant over dt", "event-driven", "clock-driven"}))
    neurons = {variable.name for variable in (*pre, *post) if variable.role is not Role.EXTERNAL}
    for line in lines:
        if line.name in neurons and line.name != "lastupdate":
            raise EquationError(f"`{line.name}` is also a variable of the neurons", _name_span(line), "Choose another name for the variable of the synapses.")
    paths = [(key, Index.PRE, code) for key, code in (on_pre or {}).items()] + [(key, Index.POST, code) for key, code in (on_post or {}).items()]
    for key in {key for key, _, _ in paths}:
        if sum(key == other for other, _, _ in paths) > 1:
            raise EquationError(f"two pathways are called `{key}`", None, "Give each pathway a name of its own.")
    pathways = tuple(Pathway(identifier(key, None), side, parse_statements(code), (events or {}).get(key, "spike")) for key, side, code in paths)
    traces = tuple(line for line in lines if "event-driven" in line.flags)
    _check_timing(lines, summed)
    variables = (*(_variable(line, None) for line in lines), *((_LAST_UPDATE,) if traces else ()), *_noises(lines), *_CLOCK, *_SYNAPSE_INDEX)
    inner, codes = _subexpressions(lines)
    return Model(
        identifier(name, None),
        variables,
        _flows(tuple(line for line in lines if line not in traces)),
        inner,
        pathways=pathways,
        pre=pre,
        post=post,
        codes=codes,
        event_driven=_flows(traces),
        summed=tuple(_summed(line, variables, pre, post) for line in summed),
    )


def _check_timing(lines: tuple[Equation, ...], summed: list[Equation]) -> None:
    """Refuse what reads a variable that is only up to date at events, or at every step, where that is not when it is needed."""
    values = {line.name: line.value for line in lines if line.kind == "subexpression" and line.value is not None}
    traces = {line.name: line for line in lines if "event-driven" in line.flags}
    continuous = {line.name: line for line in lines if line.kind == "differential" and line.name not in traces}
    if traces and any(line.name == "lastupdate" for line in lines):
        line = next(line for line in lines if line.name == "lastupdate")
        raise EquationError("`lastupdate` is declared by event-driven equations", _name_span(line), "Remove the line.")
    for line in (*continuous.values(), *summed):
        kind = "summed" if line in summed else "clock-driven"
        for other, node in _reads(line, values).items():
            if other in traces:
                message = f"the {kind} `{line.name}` cannot read the event-driven `{other}`, which is only up to date at events"
                raise EquationError(message, node.span, f"Declare `{other}` as (clock-driven).")
    for line in traces.values():
        for other, node in _reads(line, values).items():
            if other in continuous:
                message = f"the event-driven `{line.name}` cannot read the clock-driven `{other}`, which changes between events"
                raise EquationError(message, node.span, f"Declare `{line.name}` as (clock-driven).")
            if is_noise(other):
                raise EquationError(f"the event-driven `{line.name}` cannot have noise", node.span, "Declare it as (clock-driven).")


def _reads(line: Equation, values: Mapping[str, Expr]) -> dict[str, Name]:
    """The names that the right side of an equation reads, itself or through subexpressions, each with the place in this right side."""
    found: dict[str, Name] = {}
    todo = list(names(line.value).items()) if line.value is not None else []
    while todo:
        name, place = todo.pop()
        if name not in found:
            found[name] = place
            todo += [(inner, place) for inner in names(values[name])] if name in values else []
    return found


def _summed(line: Equation, own: tuple[Variable, ...], pre: tuple[Variable, ...], post: tuple[Variable, ...]) -> Summed:
    """`x_post = value : unit (summed)`."""
    assert line.value is not None
    if len(line.flags) > 1:
        raise EquationError("`summed` cannot be combined with other flags", _flag_span(line, "summed"), "Keep `summed` alone.")
    plain, _, side = line.name.rpartition("_")
    if side not in ("pre", "post") or not plain:
        raise EquationError(f"the summed `{line.name}` is no variable of the neurons", _name_span(line), "Write `x_post = ... (summed)`, or `x_pre`.")
    target = next((v for v in (pre if side == "pre" else post) if v.name == plain), None)
    group = "presynaptic" if side == "pre" else "postsynaptic"
    if target is None or target.role is not Role.PARAMETER or target.shared:
        message = f"the summed `{line.name}` needs a parameter `{plain}` of the {group} neurons"
        raise EquationError(message, _name_span(line), f"Declare it in their equations: `{plain} : {unit_name(line.dimensions)}`.")
    if target.dimensions != line.dimensions:
        message = f"the summed `{line.name}` has the unit {unit_name(line.dimensions)}, but `{plain}` of the neurons has {unit_name(target.dimensions)}"
        raise UnitError(message, line.span, "Give both the same unit.")
    return Summed(f"summed_variable_{line.name}", line.name, line.value, line.dimensions, span=line.span)


def check_names(lines: Sequence[Equation]) -> None:
    """Refuse names that mean the same in every model, names declared twice, and subexpressions that need each other in a circle."""
    _check_declared_once(lines, RESERVED - {"lastspike"})
    _subexpressions(tuple(lines))


def _check_declared_once(lines: Sequence[Equation], reserved: frozenset[str]) -> None:
    seen: set[str] = set()
    for line in lines:
        if line.name in reserved or is_noise(line.name):
            raise EquationError(f"`{line.name}` is reserved: it means the same in every model", _name_span(line), "Choose another name.")
        if line.name in seen:
            raise EquationError(f"`{line.name}` is declared twice", _name_span(line), "Remove or rename one of the two.")
        seen.add(line.name)


def _check_declarations(lines: tuple[Equation, ...], reserved: frozenset[str], flags: frozenset[str]) -> None:
    """Refuse flags that the object does not have, names that mean something else, and names declared twice."""
    _check_declared_once(lines, reserved)
    for line in lines:
        for flag in line.flags:
            if flag not in flags:
                raise EquationError(f"`{flag}` has no meaning here", _flag_span(line, flag), "Remove the flag.")
        if {"input", "constant"} <= set(line.flags):
            raise EquationError(f"`{line.name}` cannot be both input and constant", _flag_span(line, "constant"), "An input changes: remove `constant`.")
        if {"event-driven", "clock-driven"} <= set(line.flags):
            raise EquationError(f"`{line.name}` cannot be both event-driven and clock-driven", _flag_span(line, "clock-driven"), "Remove one of the flags.")
        if "linked" in line.flags and len(line.flags) > 1:
            raise EquationError(f"`{line.name}` is linked and cannot have further flags", _flag_span(line, "linked"), "Remove them: the other group's count.")
        if line.name.endswith(("_pre", "_post")):
            hint = "Names with `_pre` and `_post` mean a neuron's variable seen from a synapse: choose another one."
            raise EquationError(f"`{line.name}` cannot be declared", _name_span(line), hint)


def _name_span(line: Equation) -> Span | None:
    if line.span is None:
        return None
    start = line.span.text.find(line.name, line.span.start + (line.kind == "differential"), line.span.end)
    return Span(line.span.text, start, start + len(line.name)) if start >= 0 else line.span


def _flag_span(line: Equation, flag: str) -> Span | None:
    if line.span is None:
        return None
    found = list(re.finditer(r"\s+".join(map(re.escape, flag.split())), line.span.excerpt))
    return Span(line.span.text, line.span.start + found[-1].start(), line.span.start + found[-1].end()) if found else line.span


def _variable(line: Equation, guard: str | None) -> Variable:
    role = Role.INPUT if "input" in line.flags else Role.LINKED if "linked" in line.flags else _ROLES[line.kind]
    role = Role.PARAMETER if "constant over dt" in line.flags else role
    guard = guard if "unless refractory" in line.flags else None
    return Variable(line.name, role, line.dimensions, line.dtype, "shared" in line.flags, "constant" in line.flags, guard, _name_span(line))


def _noises(lines: tuple[Equation, ...]) -> tuple[Variable, ...]:
    """The noises of differential equations, and of the subexpressions that they may use."""
    found = dict.fromkeys(name for line in lines if line.value is not None for name in names(line.value) if is_noise(name))
    return tuple(Variable(name, Role.NOISE, UNITS["second"] ** -0.5) for name in found)


def _flows(lines: tuple[Equation, ...]) -> tuple[Flow, ...]:
    return tuple(Flow(line.name, line.value, line.span) for line in lines if line.kind == "differential" and line.value is not None)


def _subexpressions(lines: tuple[Equation, ...]) -> tuple[tuple[Subexpression, ...], tuple[Code, ...]]:
    """In an order in which each uses only those before it; those that are constant over dt are code that stores their values before a step."""
    ordered = _by_need(lines)
    stored = {line.name: line for line in lines if "constant over dt" in line.flags}
    first = sorted((s for s in ordered if s.variable in stored), key=lambda s: "shared" not in stored[s.variable].flags)  # keeps the order otherwise
    updates = tuple(Statement(s.variable, "=", s.value, s.span) for s in first)
    inner = tuple(s for s in ordered if s.variable not in stored)
    return inner, (Code("subexpression_update", updates, "before_start"),) if updates else ()


def _by_need(lines: tuple[Equation, ...]) -> tuple[Subexpression, ...]:
    values = {line.name: (line.value, line) for line in lines if line.kind == "subexpression" and line.value is not None}
    needs = {name: [other for other in names(value) if other in values] for name, (value, _) in values.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        first = min(range(len(cycle) - 1), key=lambda n: list(values).index(cycle[n]))
        ring = " -> ".join(f"`{name}`" for name in [*cycle[first:-1], *cycle[:first], cycle[first]])
        place = _name_span(values[cycle[first]][1])
        raise EquationError(f"subexpressions need each other in a circle: {ring}", place, "Make one of them a parameter.") from None
    return tuple(Subexpression(name, values[name][0], values[name][1].span) for name in order)


def _refractory(refractory: None | str | float) -> Refractory | None:
    if refractory is None or refractory is False:
        return None
    if isinstance(refractory, str):
        value = parse_expression(refractory)
        return Refractory(value, isinstance(value, Compare | Logical | Not | Truth))
    if not (math.isfinite(refractory) and refractory >= 0) or refractory is True:
        raise EquationError(f"a refractory period of {refractory} seconds is not possible", None, "Give a time of zero or more.")
    return Refractory(Number(float(refractory)), False)


def _events(threshold: str | None, reset: str | None, others: Mapping[str, str]) -> tuple[Event, ...]:
    if "spike" in others:
        raise EquationError("the event `spike` is that of the threshold", None, "Give its condition as `threshold=`, or choose another name.")
    if threshold is None and reset is not None:
        raise EquationError("a reset without a threshold would never happen", piece_of(reset).span(), "Add `threshold='...'`, or remove the reset.")
    spike = () if threshold is None else (Event("spike", parse_expression(threshold), parse_statements(reset or "")),)
    return spike + tuple(Event(identifier(key, None), parse_expression(condition)) for key, condition in others.items())
