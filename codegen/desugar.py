"""Convenience to core: every feature of the language that is not a variable, a flow, an event or a pathway becomes one, here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from . import codes
from .dims import DIMENSIONLESS
from .errors import EquationError
from .expr import (
    ZERO,
    Access,
    Binary,
    Call,
    Cast,
    Compare,
    DType,
    Expr,
    Index,
    Logical,
    Not,
    Number,
    Truth,
    Where,
    accesses,
    is_zero,
    names,
    substitute,
    transform,
)
from .functions import CLOCK_NAMES, DT, T_IN_TIMESTEPS, dtype_of, is_noise, write_out
from .ir import Code, Event, Flow, Model, Pathway, Role, Statement, Variable

LAST_SPIKE = Access("_lastspike_step")
NOT_REFRACTORY = Access("not_refractory")


def desugar(model: Model, pre: Mapping[str, Expr] | None = None, post: Mapping[str, Expr] | None = None) -> Model:
    """`Model -> Model`: the core model, without subexpressions, white noise among the terms of a drift, and refractoriness.

    `pre` and `post` are the subexpressions of the connected groups (see `subexpressions`), which synapses may read.
    """
    model = rewrite(inline(summed(model), pre or {}, post or {}), write_out)
    model = show_last_spike(model)
    model = noise(model)
    return codes.share(refractoriness(model))


def subexpressions(model: Model) -> dict[str, Expr]:
    """The model's subexpressions, each written in terms of stored variables and of functions that the language has.

    Integers drop fractions, as they do in assignments: `k = i % n : integer` holds for the number n of a namespace, which is a float.
    """
    flat: dict[str, Expr] = {}
    for subexpression in model.subexpressions:  # parse orders them by dependency
        value = substitute(write_out(subexpression.value), {_access(model, name): value for name, value in flat.items()})
        declared = model.variable(subexpression.variable).dtype
        flat[subexpression.variable] = Cast(declared, value) if declared in _WHOLE and _is_float(value, model) else value
    return flat


_WHOLE = (DType.INT32, DType.INT64)


def _is_float(value: Expr, model: Model) -> bool:
    # Constants of the namespace that are still unresolved are floats.
    known = {name: DType.FLOAT for name in names(value)}
    return dtype_of(value, known, lambda access: model.variable(access).dtype) is DType.FLOAT


def summed(model: Model) -> Model:
    """`Model -> Model`: a summed variable is set to zero for all neurons, and then all synapses add to it."""
    new: list[Code] = []
    for s in model.summed:
        assert isinstance(s.target, Access)
        variable, side = model.variable(s.target), s.target.index
        zero = Statement(s.target, "=", ZERO if variable.dtype is DType.FLOAT else Number(0))
        first = Code(f"{s.name}_zero", (zero,), "groups", -1, over=side, part=s.neurons)
        new += [first, Code(s.name, (Statement(s.target, "+=", s.value),), "groups", -1)]
    return replace(model, codes=(*model.codes, *new), summed=())


def readings(model: Model, pre: Mapping[str, Expr] | None = None, post: Mapping[str, Expr] | None = None) -> dict[str, Expr]:
    """What can be read without being stored, subexpressions and `lastspike`, written in terms of stored variables only; `pre` and `post` as for `desugar`."""
    shown = {**subexpressions(model), **({"lastspike": Access("lastspike")} if any(v.name == "lastspike" for v in model.variables) else {})}
    table: dict[Expr, Expr] = {}
    for index, group in ((Index.PRE, pre or {}), (Index.POST, post or {})):
        table |= {Access(name, index): seen_from_synapse(value, index) for name, value in group.items()}
    table = {key: substitute(value, _last_spikes()) for key, value in table.items()}
    return {name: substitute(substitute(value, table), _last_spikes()) for name, value in shown.items()}


def relative(model: Model, parts: frozenset[Index]) -> Model:
    """`Model -> Model`: synapses that connect part of a group (on the sides `parts`) count its neurons from the beginning of the part.

    `i_pre` is then the synapse's own `i`, and `i_post` its `j`; the `i` in a subexpression of the group stays that of the whole group.
    """
    own = {Index.PRE: "i", Index.POST: "j"}
    table: dict[Expr, Expr] = {Access("i", index): Access(own[index]) for index in parts}
    return rewrite(model, lambda e: substitute(e, table)) if table else model


def inline(model: Model, pre: Mapping[str, Expr], post: Mapping[str, Expr]) -> Model:
    """`Model -> Model`: write subexpressions out where they are used, also those of the connected groups."""
    table: dict[Expr, Expr] = {_access(model, name): value for name, value in subexpressions(model).items()}
    for index, group in ((Index.PRE, pre), (Index.POST, post)):
        table |= {Access(name, index): seen_from_synapse(value, index) for name, value in group.items()}
    if not table:
        return replace(model, subexpressions=())
    # A subexpression of the synapses may read one of the connected groups, so the table is applied to itself once.
    table = {key: substitute(value, table) for key, value in table.items()}
    return replace(rewrite(model, lambda e: substitute(e, table)), subexpressions=())


def _access(model: Model, name: str) -> Access:
    return Access(name, Index.SHARED if model.variable(name).shared else Index.SELF)


def seen_from_synapse(expr: Expr, index: Index) -> Expr:
    def move(node: Expr) -> Expr:
        if not isinstance(node, Access) or node.variable in CLOCK_NAMES or node.index is Index.WHOLE:
            return node
        return replace(node, index=index)

    return transform(expr, move)


def show_last_spike(model: Model) -> Model:
    """`Model -> Model`: `lastspike` is a whole number of steps inside and seconds in the user's text."""
    table = _last_spikes()
    return rewrite(model, lambda e: substitute(e, table))


def _last_spikes() -> dict[Expr, Expr]:
    seconds = Binary("*", Cast(DType.FLOAT, LAST_SPIKE), DT)
    table: dict[Expr, Expr] = {Access("lastspike"): seconds}
    return table | {Access("lastspike", index): seen_from_synapse(seconds, index) for index in (Index.PRE, Index.POST)}


def noise(model: Model) -> Model:
    """`Model -> Model`: `drift + factor*xi` becomes the drift and the factor, for each noise of an equation."""
    flows = tuple(map(split_noise, model.flows))
    core = replace(model, flows=flows, variables=tuple(v for v in model.variables if v.role is not Role.NOISE))
    rewrite(core, _refuse_noise)
    return core


def split_noise(flow: Flow) -> Flow:
    """`Flow -> Flow`: the factors of noise, read off the right side, which must be linear in it."""
    noises = [access for access in accesses(flow.drift) if is_noise(access.variable)]
    if not noises:
        return flow
    for access in noises:
        if access.index in (Index.PRE, Index.POST):
            _refuse_noise(access)
    from .linear import linear  # which may load sympy

    found = linear(flow.drift, noises)
    if found is None:
        names = ", ".join(f"`{access.variable}`" for access in noises)
        raise EquationError(
            f"d{flow.variable}/dt is not a sum of terms with and without {names} as a factor",
            noises[0].span or flow.span,
            "Noise can be multiplied by something and added to something: write `drift + factor*xi`.",
        )
    factors = {access.variable: factor for access, factor in zip(noises, found[0]) if not is_zero(factor)}
    return replace(flow, drift=found[1], noise=factors)


def _refuse_noise(expr: Expr) -> Expr:
    """What check.py cannot see is text of synapses that reads a subexpression of the neurons."""
    for access in accesses(expr):
        if is_noise(access.variable):
            raise EquationError(
                f"`{access.variable}` is noise, which only the equations that it stands in have, and synapses read a subexpression with it",
                access.span,
                "For a random number, write `randn()`.",
            )
    return expr


def refractoriness(model: Model) -> Model:
    """`Model -> Model`: when an element may fire again, and what stands still until then.

    At the start of an update `not_refractory` says whether at least the refractory period (counted in whole steps) has passed since the last spike; for
    a condition, it stays false for as long as the condition holds. Guarded variables do not flow meanwhile.
    """
    if model.refractory is None:
        return model
    value = model.refractory.value
    if model.refractory.conditional:
        free: Expr = Logical("or", NOT_REFRACTORY, Not(value))
    else:
        free = Compare(">=", Binary("-", T_IN_TIMESTEPS, LAST_SPIKE), Call("timestep", (value, DT)))
    before = (*model.before, Statement(NOT_REFRACTORY, "=", free))
    flows = tuple(_stand_still(model, f) for f in model.flows)
    marks = (Statement(LAST_SPIKE, "=", T_IN_TIMESTEPS), Statement(NOT_REFRACTORY, "=", Truth(False)))
    events = tuple(replace(e, gate=NOT_REFRACTORY, marks=(*e.marks, *marks)) if e.name == "spike" else e for e in model.events)
    return replace(_with_hidden(model), before=before, flows=flows, events=events, refractory=None)


def _stand_still(model: Model, flow: Flow) -> Flow:
    guard = model.variable(flow.variable).guard
    return flow if guard is None else change_flow(flow, lambda e: Where(Access(guard), e, ZERO))


def change_flow(flow: Flow, change: Callable[[Expr], Expr]) -> Flow:
    """`Flow -> Flow`: `change` applied to the drift and to the factors of noise."""
    return replace(flow, drift=change(flow.drift), noise={name: change(factor) for name, factor in flow.noise.items()})


def _with_hidden(model: Model) -> Model:
    present = {v.name for v in model.variables}
    hidden = (
        Variable("_lastspike_step", Role.HIDDEN, DIMENSIONLESS, DType.INT64),
        Variable("not_refractory", Role.HIDDEN, DIMENSIONLESS, DType.BOOL),
    )
    return replace(model, variables=(*model.variables, *(v for v in hidden if v.name not in present)))


def rewrite(model: Model, change: Callable[[Expr], Expr]) -> Model:
    """`Model -> Model`: the same model with `change` applied to every expression."""

    def statements(code: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(replace(s, value=change(s.value)) for s in code)

    def event(e: Event) -> Event:
        return replace(e, condition=change(e.condition), reset=statements(e.reset), gate=None if e.gate is None else change(e.gate))

    def pathway(p: Pathway) -> Pathway:
        return replace(p, code=statements(p.code))

    def code(c: Code) -> Code:
        return replace(c, statements=statements(c.statements))

    refractory = model.refractory
    return replace(
        model,
        flows=tuple(change_flow(f, change) for f in model.flows),
        subexpressions=tuple(replace(s, value=change(s.value)) for s in model.subexpressions),
        events=tuple(map(event, model.events)),
        refractory=None if refractory is None else replace(refractory, value=change(refractory.value)),
        pathways=tuple(map(pathway, model.pathways)),
        before=statements(model.before),
        codes=tuple(map(code, model.codes)),
        event_driven=tuple(change_flow(f, change) for f in model.event_driven),
        summed=tuple(replace(s, value=change(s.value)) for s in model.summed),
    )
