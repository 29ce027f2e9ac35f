"""Which of the neurons that other tools know a group of equations is: recognised by the algebra of its compiled equations, whatever they look like.

The neurons are those of the Neuromorphic Intermediate Representation (Pedersen et al. 2024). With an input S and a potential v,

    LIF, LI           tau*dv/dt = v_leak - v + r*S
    IF, I             dv/dt = r*S
    CubaLIF, CubaLI   tau_mem*dv/dt = v_leak - v + r*I,   tau_syn*dI/dt = w_in*S - I

where those with F spike if v > v_threshold, and are then set to v_reset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from codegen.dataflow import constant_in_run
from codegen.emit import python
from codegen.errors import Span, UnsupportedError
from codegen.expr import ZERO, Access, Binary, Compare, Expr, Index, Name, accesses, show, substitute, subtract
from codegen.ir import Event, Flow, Load, Map, Model, Role, Store
from codegen.linear import Linear, linear
from codegen.lines import rewrite_line
from codegen.lower import lower_expression

from ..build import build_python
from ..groups import Group

if TYPE_CHECKING:
    from .module import NetworkModule


@dataclass(frozen=True, slots=True)
class Form:
    """A neuron of another tool.

    Parameters
    ----------
    kind : LIF, LI, IF, I, CubaLIF or CubaLI.
    values : its parameters in SI units, one for each neuron.
    potential, current : the variables that are v and I (None without one).
    """

    kind: str
    values: dict[str, np.ndarray]
    potential: str
    current: str | None


def form_of(module: NetworkModule, group: Group, entry: str) -> Form:
    """The form of a group whose input comes through the variable `entry`; UnsupportedError says what does not fit.

    A variable flagged `(input)` is held over a step. What synapses add to a variable with a differential equation counts as a pulse of one step of the
    clock, as tools that integrate by steps have it: v += w is what r = tau/dt makes of a pulse of height w.
    """
    reader = _Reader(module, group)
    core = reader.core
    if not 1 <= len(core.flows) <= 2:
        reader.refuse(f"it has {len(core.flows)} differential equations, and such neurons have one or two")
    event = _spike(reader)
    flows = {flow.variable: flow for flow in core.flows}
    potential = _potential(reader, flows, event, entry)
    current = next((name for name in flows if name != potential), None)
    held = core.variable(entry).role is Role.INPUT
    threshold = {} if event is None else _threshold(reader, event, potential)
    dt = module.prepared.ticks.rates[0].dt
    source = current if current is not None else entry if held else None
    leak, gain, rest = _line(reader, flows[potential], potential, source)
    firing = "F" if event is not None else ""
    if current is not None:
        if leak is None:
            reader.refuse(f"its current {current} drives a potential without a leak")
        values = (
            _synapse(reader, flows[current], current, entry if held else None, dt)
            if entry != potential
            else reader.refuse(f"what arrives is added to {potential} past the current {current}")
        )
        tau = -1 / leak
        return Form(f"CubaLI{firing}", {"tau_mem": tau, "r": gain * tau, "v_leak": rest * tau, **values, **threshold}, potential, current)
    if leak is None:
        if rest.any():
            reader.refuse(f"{potential} changes by itself, without an input and without a leak")
        return Form(f"I{firing}", {"r": gain if held else np.full_like(rest, 1 / dt), **threshold}, potential, None)
    tau = -1 / leak
    return Form(f"LI{firing}", {"tau": tau, "r": gain * tau if held else tau / dt, "v_leak": rest * tau, **threshold}, potential, None)


def _potential(reader: _Reader, flows: Mapping[str, Flow], event: Event | None, entry: str) -> str:
    """The variable that the threshold reads, or that another one drives."""
    if event is not None:
        used = [name for name in flows if Access(name) in set(accesses(event.condition))]
        if len(used) != 1:
            reader.refuse(f"its threshold `{show(event.condition)}` does not read one of its differential equations", event.condition.span)
        return used[0]
    driven = [name for name, flow in flows.items() if any(Access(other) in set(accesses(flow.drift)) for other in flows if other != name)]
    return driven[0] if driven else next(iter(flows))


def _line(reader: _Reader, flow: Flow, own: str, source: str | None) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """`d own/dt = leak*own + gain*source + rest`: the three coefficients; None for a leak that is not there."""
    variables = [Access(own), *([] if source is None else [Access(source)])]
    found: Linear | None = None if flow.noise else linear(flow.drift, variables)
    if found is None:
        what = "has noise" if flow.noise else "is not linear in " + " and ".join(v.variable for v in variables)
        reader.refuse(f"its equation d{own}/dt = {show(flow.drift)} {what}", flow.span)
    (leak, *gain), rest = found
    for part in (leak, *gain, rest):
        reader.check_constant(part, f"d{own}/dt", flow.span)
    rate = reader.numbers(leak)
    if leak != ZERO and rate.any() and not (rate < 0).all():
        reader.refuse(f"its equation of {own} does not decay: the rate of the leak is {rate.max():g} per second", flow.span)
    return (rate if rate.any() else None), reader.numbers(gain[0] if gain else ZERO), reader.numbers(rest)


def _synapse(reader: _Reader, flow: Flow, current: str, source: str | None, dt: float) -> dict[str, np.ndarray]:
    """The time constant of the synaptic current, and the weight of what enters it."""
    leak, gain, rest = _line(reader, flow, current, source)
    if leak is None or rest.any():
        reader.refuse(f"its current {current} does not decay to 0", flow.span)
    tau = -1 / leak
    return {"tau_syn": tau, "w_in": tau / dt if source is None else gain * tau}


def _spike(reader: _Reader) -> Event | None:
    events = reader.core.events
    if reader.model.refractory is not None:
        reader.refuse("it has a refractory period")
    if any(event.name != "spike" for event in events):
        reader.refuse(f"it has the event {next(e.name for e in events if e.name != 'spike')!r}")
    for code in reader.core.codes:
        reader.refuse(f"it runs the code {code.name}")
    return events[0] if events else None


def _threshold(reader: _Reader, event: Event, potential: str) -> dict[str, np.ndarray]:
    """The values of threshold and reset."""
    condition = event.condition
    if not isinstance(condition, Compare) or condition.operator not in ("<", ">"):
        reader.refuse(f"its threshold `{show(condition)}` is not of the form v > v_threshold", condition.span)
    left, right = (condition.left, condition.right) if condition.operator == ">" else (condition.right, condition.left)
    found = linear(subtract(left, right), [Access(potential)])
    if found is None:
        reader.refuse(f"its threshold `{show(condition)}` is not linear in {potential}", condition.span)
    (slope,), rest = found
    for part in (slope, rest):
        reader.check_constant(part, f"threshold `{show(condition)}`", condition.span)
    height = reader.numbers(slope)
    if not (height > 0).all():
        reader.refuse(f"its threshold `{show(condition)}` is crossed from above", condition.span)
    return {"v_threshold": -reader.numbers(rest) / height, "v_reset": _reset(reader, event, potential)}


def _reset(reader: _Reader, event: Event, potential: str) -> np.ndarray:
    statements = [statement for statement in event.reset if not (statement.target == Access(potential) and statement.value == Access(potential))]
    if len(statements) != 1 or statements[0].target != Access(potential):
        written = "; ".join(f"{show(s.target) if isinstance(s.target, Access) else s.target} {s.operator} {show(s.value)}" for s in statements)
        reader.refuse(f"its reset `{written}` is not {potential} = v_reset, and nothing else" if written else "it has no reset")
    statement = statements[0]
    value = statement.value if statement.operator == "=" else Binary(statement.operator[0], Access(potential), statement.value)
    if Access(potential) in set(accesses(value)):
        reader.refuse(f"its reset `{potential} {statement.operator} {show(statement.value)}` does not set {potential} to a value", statement.span)
    reader.check_constant(value, f"reset {potential} {statement.operator} {show(statement.value)}", statement.span)
    return reader.numbers(value)


class _Reader:
    """The compiled equations of a group, and the values of their constants."""

    def __init__(self, module: NetworkModule, group: Group) -> None:
        self.group, compiled = group, module.prepared.compiled[group.name]
        self.model: Model = compiled.model
        self.core: Model = compiled.core
        self._values: Mapping[str, np.ndarray] = {**module._constants, **module.learned_values()}
        self._fixed = constant_in_run(module.prepared.program)

    def refuse(self, what: str, span: Span | None = None) -> NoReturn:
        """Say why the neurons have no such form."""
        raise UnsupportedError(f"{self.group.name!r} has no form in NIR: {what}", span, "NIR knows LIF, LI, IF, I, CubaLIF and CubaLI neurons.")

    def check_constant(self, value: Expr, where: str, span: Span | None) -> None:
        """Refuse what changes during a run."""
        for access in accesses(value):
            name = f"{self.group.name}.{access.variable}"
            role, own = self.core.variable(access).role, access.index in (Index.SELF, Index.SHARED)
            if role not in (Role.PARAMETER, Role.EXTERNAL) or not own or (role is Role.PARAMETER and name not in self._fixed):
                self.refuse(f"its {where} reads {access.variable}, which is not constant", span)

    def numbers(self, value: Expr) -> np.ndarray:
        """The value of an expression of constants for each neuron, in SI units."""
        lines, result, dtype = lower_expression(self.core, value)
        loads: dict[Access, Load] = {}

        def load(expr: Expr) -> Expr:
            for access in accesses(expr):
                loads.setdefault(access, Load(f"a{len(loads)}", access.variable, Index.SELF, self.core.variable(access).dtype))
            return substitute(expr, {access: Name(one.name) for access, one in loads.items()})

        body = tuple(rewrite_line(line, load) for line in lines)
        kernel = Map("coefficient", self.group.name, tuple(loads.values()), body, (Store("value", Index.SELF, result, dtype),))
        arguments: Sequence[np.ndarray] = [self._values[f"{self.group.name}.{access.variable}"] for access in loads]
        (found,) = build_python(python.render(kernel))(*arguments)
        return np.broadcast_to(np.asarray(found, np.float64), (len(self.group),)).copy()
