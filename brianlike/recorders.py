"""Monitors in a compiled network: the kernels that record for them, and how they get what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.desugar import readings, seen_from_synapse
from codegen.expr import Access, Expr, Index
from codegen.fuse import Part
from codegen.ir import Kernel, Model, Record, Result, Role, Step, Variable
from codegen.lower import lower_expression
from codegen.pipeline import Compiled

from .expressions import refuse_noise
from .monitors import EventRecorder, Monitor, PopulationRateMonitor, StateMonitor
from .objects import SimulationObject

Parts = MutableMapping[str, Part]
_ONLY_TIMES = "N"  # what is recorded, and dropped, for monitors of no variable: every object has it


def record_kernels(monitor: Monitor, parts: Parts, compiled: Mapping[str, Compiled], clock: str) -> list[Kernel]:
    """The records of a monitor; what is not stored is computed into an array of its own first, by a Step that joins its part in `parts`."""
    owner = monitor.source._whole.name
    match monitor:
        case StateMonitor():
            return [
                Record(f"{monitor.name}.{name}", _array(monitor, name, parts, compiled, clock), monitor.when, monitor.order, clock)
                for name in monitor.variables or (_ONLY_TIMES,)
            ]
        case EventRecorder():
            event = f"_{monitor.event}"
            arrays = tuple(_array(monitor, name, parts, compiled, clock, event) for name in monitor.variables)
            return [Record(monitor.name, f"{owner}.{event}", monitor.when, monitor.order, clock, arrays)]
        case PopulationRateMonitor():
            return [Record(monitor.name, f"{owner}._spike", monitor.when, monitor.order, clock, count=True)]
    raise TypeError(f"not a monitor: {monitor!r}")


def _array(monitor: Monitor, name: str, parts: Parts, compiled: Mapping[str, Compiled], clock: str, event: str | None = None) -> str:
    """The array that holds the values of a variable when the monitor records them, one for each element if an event selects some."""
    owner = monitor.source._whole.name
    model, part = compiled[owner].model, parts[owner]
    reached = _reached(model, name)
    declared = model.variable(reached)
    shown = readings(model, _inner(compiled, part.pre), _inner(compiled, part.post))
    if reached.index in (Index.PRE, Index.POST):
        group = part.pre if reached.index is Index.PRE else part.post
        inner = _inner(compiled, group).get(reached.variable)
        shown = {name: reached if inner is None else seen_from_synapse(inner, reached.index)}
    shared = declared.shared and declared.array is None and event is None
    if name not in shown and declared.array is None and declared.shared == shared:
        return f"{owner}.{name}"
    refuse_noise(model, Access(name))
    value: Expr = shown.get(name, Access(name, Index.SHARED if declared.shared else Index.SELF))
    lines, result, dtype = lower_expression(part.model, value)
    hidden = Variable(f"_{monitor.name}_{name}", Role.HIDDEN, declared.dimensions, dtype, shared)
    access = Access(hidden.name, Index.SHARED if shared else Index.SELF)
    where = None if shared else _part(monitor)
    step = Step(f"record_{monitor.name}_{name}", monitor.when, monitor.order, lines, (Result(access, result),), event=event, part=where)
    tie = monitor.name if event is not None else f"{monitor.name}_{name}"  # with the record, and before it
    parts[owner] = replace(
        part,
        model=replace(part.model, variables=(*part.model.variables, hidden)),
        steps=(*part.steps, step),
        orders={**(part.orders or {}), step.name: monitor.order},
        ties={**(part.ties or {}), step.name: tie},
        clocks={**(part.clocks or {}), step.name: clock},
    )
    return f"{owner}.{hidden.name}"


def _part(monitor: Monitor) -> tuple[int, int] | None:
    """The first and the last + 1 element that are recorded; None if these are all."""
    source, size = monitor.source, len(monitor.source._whole)
    first, stop = source._first, source._first + len(source)
    if isinstance(monitor, StateMonitor):
        elements = monitor.elements
        first, stop = (int(elements.min()), int(elements.max()) + 1) if elements.size else (0, 0)
    return None if (first, stop) == (0, size) else (first, stop)


def _reached(model: Model, name: str) -> Access:
    """What a recorded name means: a variable of the object, or of the neurons that synapses connect."""
    if any(variable.name == name for variable in model.variables):
        return Access(name)
    for suffix, table, index in (("_pre", model.pre, Index.PRE), ("_post", model.post, Index.POST), ("", model.post, Index.POST)):
        if name.endswith(suffix) and any(variable.name == name.removesuffix(suffix) for variable in table):
            return Access(name.removesuffix(suffix), index)
    raise KeyError(name)


def _inner(compiled: Mapping[str, Compiled], group: str | None) -> dict[str, Expr]:
    return {} if group is None or group not in compiled else readings(compiled[group].model)


def hand_over(objects: Mapping[str, SimulationObject], found: Mapping[str, tuple[Any, ...]]) -> None:
    """Give monitors what their records have collected.

    `found` has by the name of the record (steps, rows) of values and of numbers of events, and (indices, steps, gathered arrays, counts) of events,
    where counts are those of all elements, or None if the events themselves are all there is to count.
    """
    states: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for record, values in found.items():
        name, _, variable = record.partition(".")
        match objects.get(name):
            case StateMonitor():
                states.setdefault(name, {})[variable] = (values[0], values[1])
            case PopulationRateMonitor() as monitor:
                if len(values[0]):
                    monitor.append(values[0], values[1])
            case EventRecorder() as monitor:
                indices, steps, gathered, counts = values
                monitor.append(indices, steps, dict(zip(monitor.variables, gathered, strict=True)), count=counts is None)
                if counts is not None:
                    monitor.add_counts(counts)
    for name, columns in states.items():
        owner = objects[name]
        assert isinstance(owner, StateMonitor)
        steps = next(iter(columns.values()))[0]
        columns.pop(_ONLY_TIMES if not owner.variables else "", None)
        if len(steps):
            owner.append(steps * owner.clock.dt_, {variable: _relative(owner, variable, rows) for variable, (_, rows) in columns.items()})


def _relative(monitor: StateMonitor, variable: str, rows: np.ndarray) -> np.ndarray:
    """Indices within the source, where that is a part of a group."""
    return rows - rows.dtype.type(monitor.source._first) if variable == "i" and monitor.source._first else rows
