"""From what to how: a core Model becomes one Step for each slot of the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .divisions import by_products
from .errors import UnsupportedError
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
    Name,
    Negate,
    Number,
    accesses,
    show,
    substitute,
    subtract,
    transform,
    walk,
)
from .fresh import Fresh
from .functions import dtype_of, spec_of
from .integrate import Method, integrate
from .ir import Code, Draw, Event, Fire, Let, Line, Model, Pathway, Result, Role, Select, Statement, Step, Variable
from .lines import rewrite_line

Methods = str | Method | Sequence[str | Method]
Detach = bool | frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Lowered:
    """The Steps of one object and the integrator that was chosen for it (None without differential equations)."""

    steps: tuple[Step, ...]
    method: str | None


def lower(model: Model, method: Methods, detach: Detach = None, one_group: bool = False) -> Lowered:
    """`Model -> Steps`: update, threshold and reset of a group; update and pathways of synapses.

    `detach` tells through which resets gradients do not reach the event: None for those of variables on the threshold's left side, True for all, False
    for none, or the names of the variables. `one_group`: the synapses connect a group with itself.
    """
    steps: list[Step] = []
    chosen = None
    if model.flows or model.before:
        step, chosen = _update(model, method)
        steps.append(step)
    for event in model.events:
        steps.append(_threshold(model, event))
        if event.reset:
            steps.append(_reset(model, event, detach))
    steps += [_pathway(model, pathway, one_group) for pathway in model.pathways]
    steps += [_code(model, code, one_group) for code in model.codes]
    return Lowered(_number_draws(steps), chosen)


def _number_draws(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The Steps with one number for each of their draws: those of one object in one step of time are told apart by nothing else."""
    count = 0
    numbered = []
    for step in steps:
        lines: list[Line] = []
        for line in step.body:
            lines.append(replace(line, number=count) if isinstance(line, Draw) else line)
            count += isinstance(line, Draw)
        numbered.append(replace(step, body=tuple(lines)))
    return tuple(numbered)


class _Body:
    """The lines of a Step under construction: what every variable and temporary is called by now."""

    def __init__(self, model: Model) -> None:
        taken = {f"{v.name}{suffix}" for table in (model.variables, model.pre, model.post) for v in table for suffix in ("", "_pre", "_post")}
        self.model, self.fresh = model, Fresh(taken)
        self.lines: list[Line] = []
        self.now: dict[Expr, Expr] = {}
        self.types: dict[str, DType] = {}
        self.written: dict[Access, str] = {}
        self.draws = 0

    def read(self, expr: Expr) -> Expr:
        """The expression with current names, every stateful call drawn in a line of its own."""
        return transform(substitute(expr, self.now), self._draw)

    def _draw(self, node: Expr) -> Expr:
        law = spec_of(node).draw if isinstance(node, Call) else None
        if law is None or not isinstance(node, Call):
            return node
        name = self.fresh(node.function.removeprefix("_"))
        line = Draw(name, law, self.draws, node.arguments)
        self.lines.append(line)
        self.types[name] = line.dtype
        self.draws += 1
        return Name(name)

    def type_of(self, expr: Expr) -> DType:
        return dtype_of(expr, self.types, lambda a: self.model.variable(a).dtype)

    def let(self, stem: str, value: Expr, dtype: DType | None = None) -> Name:
        name = self.fresh(stem)
        natural = self.type_of(value)
        dtype = dtype or natural
        self.lines.append(Let(name, value if natural is dtype else Cast(dtype, value), dtype))
        self.types[name] = dtype
        return Name(name)

    def append(self, line: Fire | Select, dtype: DType) -> Name:
        self.lines.append(line)
        self.types[line.name] = dtype
        return Name(line.name)

    def write(self, access: Access, value: Name) -> None:
        self.now[access] = value
        self.written[access] = value.name

    def results(self) -> tuple[Result, ...]:
        return tuple(Result(access, name) for access, name in self.written.items())


def lower_expression(model: Model, expr: Expr) -> tuple[tuple[Line, ...], str, DType]:
    """`Expr -> lines`: the lines that compute a resolved expression, the name of its value and its type."""
    body = _Body(model)
    value = body.let("value", body.read(expr))
    return tuple(body.lines), value.name, body.types[value.name]


# -------------------------------------------------------------------------------------------------------------------------------------------- groups
def _update(model: Model, method: Methods) -> tuple[Step, str | None]:
    body = _Body(model)
    for statement in model.before:
        _assign(body, statement)
    chosen = None
    if model.flows:
        lines, new, chosen = integrate(model.flows, method, body.fresh)
        for line in lines:
            # Read line by line: a random function draws anew wherever the method evaluates it.
            body.lines.append(rewrite_line(by_products(line, model), body.read))
        for flow in model.flows:
            body.written[Access(flow.variable)] = new[flow.variable]
    return Step("update", "groups", 0, tuple(body.lines), body.results()), chosen


def _threshold(model: Model, event: Event) -> Step:
    body = _Body(model)
    condition = body.read(event.condition)
    gate = None if event.gate is None else body.read(event.gate)
    fired = body.append(Fire(body.fresh(event.name), condition, margin(condition), gate, by_chance(event.condition)), DType.BOOL)
    for statement in event.marks:
        _assign(body, statement, event=fired, detach=True)
    results = (Result(Access(event.variable), fired.name), *body.results())
    name, slot = ("threshold", "thresholds") if event.name == "spike" else (f"threshold_{event.name}", "after_thresholds")
    return Step(name, slot, 0, tuple(body.lines), results)


def margin(condition: Expr) -> Expr | None:
    """A number that is positive exactly where a comparison holds; None for a condition that is not one comparison."""
    match condition:
        case Compare(">" | ">=", left, right):
            return subtract(left, right)
        case Compare("<" | "<=", left, right):
            return subtract(right, left)
    return None


def by_chance(condition: Expr) -> bool:
    """Whether a condition is `rand() < p`: it holds with a probability that is known."""
    match condition:
        case Compare("<" | "<=", Call("rand"), probability) | Compare(">" | ">=", probability, Call("rand")):
            return all(not isinstance(node, Call) or spec_of(node).draw is None for node in walk(probability))
    return False


def _reset(model: Model, event: Event, detach: Detach) -> Step:
    body = _Body(model)
    detached = _detached(model, event, detach)
    fired = Access(event.variable)
    for statement in event.reset:
        target = statement.target
        if isinstance(target, Access) and target.index is Index.SHARED:
            raise UnsupportedError(
                f"`{target.variable}` is shared by all neurons and cannot be changed by the reset of some of them",
                statement.span,
                "Declare it without (shared), or change it in run_regularly code.",
            )
        _assign(body, statement, event=fired, detach=isinstance(target, Access) and target.variable in detached)
    name = "reset" if event.name == "spike" else f"reset_{event.name}"
    return Step(name, "resets", 0, tuple(body.lines), body.results(), event=event.variable)


def _detached(model: Model, event: Event, detach: Detach) -> frozenset[str]:
    every = frozenset(v.name for v in model.variables)
    if detach is None:
        left = event.condition.left if isinstance(event.condition, Compare) else event.condition
        return frozenset(a.variable for a in accesses(left))
    if isinstance(detach, bool):
        return every if detach else frozenset()
    return detach


def _assign(body: _Body, statement: Statement, event: Expr | None = None, detach: bool = False, guard: Expr | None = None) -> None:
    """Append one assignment; with `event`, only elements that fired keep the new value."""
    value = body.read(_value(statement))
    if isinstance(statement.target, str):
        body.now[Name(statement.target)] = body.let(statement.target, value)
        return
    access = statement.target
    dtype = body.model.variable(access).dtype
    stem = _stem(access)
    condition = event if event is not None else guard
    if condition is None:
        body.write(access, body.let(stem, value, dtype))
        return
    if body.type_of(value) is not dtype:
        value = Cast(dtype, value)
    line = Select(body.fresh(stem), body.read(condition), value, body.read(access), dtype, detach)
    body.write(access, body.append(line, dtype))


def _stem(access: Access) -> str:
    return access.variable + {Index.PRE: "_pre", Index.POST: "_post"}.get(access.index, "")


def _value(statement: Statement) -> Expr:
    """The right side of `x op= value`, written out."""
    if statement.operator == "=":
        return statement.value
    target: Expr = Name(statement.target) if isinstance(statement.target, str) else statement.target
    return Binary(statement.operator[:-1], target, statement.value, statement.span)


# ------------------------------------------------------------------------------------------------------------------------------------- statements
_NEURONS = (Index.PRE, Index.POST)


def _code(model: Model, code: Code, one_group: bool) -> Step:
    """The Step of a Code. Synapses may add to their neurons, or set them (the last synapse wins), to what does not depend on who came before."""
    body = _Body(model)
    sums: dict[Access, Expr] = {}
    outward = [s for s in code.statements if isinstance(s.target, Access) and s.target.index in _NEURONS and s.target.index is not code.over]
    wrong = _dependent(model, code, outward, one_group)
    if wrong is not None:
        raise UnsupportedError(
            f"code that all synapses run at once cannot set `{show(wrong.target)}`",  # type: ignore[arg-type]
            wrong.span,
            "Add to it with `+=`, or set it once with `=`, and read it in other code only.",
        )
    for statement in code.statements:
        if statement in outward and statement.operator != "=":
            _sum(body, statement, sums, None if code.event is None else Access(f"_{code.event}"))
        else:
            _assign(body, statement, guard=_condition(model, code, statement.target))
    results = (*body.results(), *_sums(body, sums))
    event = None if code.event is None else f"_{code.event}"
    return Step(code.name, code.slot, code.order, tuple(body.lines), results, event=event, over=code.over, part=code.part)


def _dependent(model: Model, code: Code, outward: Sequence[Statement], one_group: bool) -> Statement | None:
    """The first statement whose result depends on the order of the synapses, but for the last one that sets a variable of a neuron."""
    targets = [s.target for s in outward if isinstance(s.target, Access)]
    reached = {Access(t.variable, index) for t in targets for index in (_NEURONS if one_group else (t.index,))}
    for statement in code.statements if outward else ():
        if any(node in reached or (node.index is Index.WHOLE and model.variable(node).role is not Role.TABLE) for node in accesses(statement.value)):
            return statement if statement in outward else outward[0]
    for statement, target in zip(outward, targets, strict=True):
        others = sum(other.variable == target.variable and (one_group or other.index is target.index) for other in targets) > 1
        is_sum = statement.operator in ("+=", "-=") and model.variable(target).dtype is not DType.BOOL
        replaces = statement.operator == "=" and not (others or code.event)
        if model.variable(target).shared or not (replaces or (is_sum and not (others and any(s.operator == "=" for s in outward)))):
            return statement
    return None


def _condition(model: Model, code: Code, target: Access | str) -> Expr | None:
    """Where a statement of the code takes effect."""
    if code.event is not None:
        return Access(f"_{code.event}")
    guard = model.variable(target).guard if isinstance(target, Access) else None
    return None if guard is None or not isinstance(target, Access) else Access(guard, target.index)


# ------------------------------------------------------------------------------------------------------------------------------------------ synapses
def _pathway(model: Model, pathway: Pathway, one_group: bool) -> Step:
    """The Step of one pathway: sums into the connected groups where the order of synapses cannot matter, else synapse after synapse."""
    order = -1 if pathway.side is Index.PRE else 1
    sequential = not order_independent(model, pathway.code, one_group)
    lines, results = _sequential(model, pathway) if sequential else _additive(model, pathway)
    return Step(pathway.name, "synapses", order, lines, results, pathway.side, f"_{pathway.event}", sequential)


def order_independent(model: Model, code: Sequence[Statement], one_group: bool) -> bool:
    """Whether the code adds to variables of the connected groups that nobody in it reads, and otherwise writes only the synapse's own.

    Where the two groups are one, `x_pre` and `x_post` are one array, and writing one of them is writing what the other reads.
    """
    sums = {s.target for s in code if isinstance(s.target, Access) and s.target.index in (Index.PRE, Index.POST)}
    if one_group:
        sums |= {Access(a.variable, index) for a in sums for index in (Index.PRE, Index.POST)}
    return all(_independent(model, statement, sums) for statement in code)


def _independent(model: Model, statement: Statement, sums: set[Access]) -> bool:
    if any(node in sums for node in walk(statement.value)):
        return False
    if sums and any(node.index is Index.WHOLE and model.variable(node).role is not Role.TABLE for node in accesses(statement.value)):
        return False  # it may be one of the arrays that the sums go to
    target = statement.target
    if not isinstance(target, Access) or target.index is Index.SELF:
        return True
    variable = model.variable(target)
    return target.index is not Index.SHARED and not variable.shared and variable.dtype is not DType.BOOL and statement.operator in ("+=", "-=")


def _additive(model: Model, pathway: Pathway) -> tuple[tuple[Line, ...], tuple[Result, ...]]:
    body = _Body(model)
    sums: dict[Access, Expr] = {}
    for statement in pathway.code:
        target = statement.target
        if not isinstance(target, Access) or target.index not in (Index.PRE, Index.POST):
            _assign(body, statement)
        else:
            _sum(body, statement, sums)
    results = (*body.results(), *_sums(body, sums))
    return tuple(body.lines), results


def _sum(body: _Body, statement: Statement, sums: dict[Access, Expr], chosen: Expr | None = None) -> None:
    """Note what `x_post += value` adds, where `chosen` holds."""
    assert isinstance(statement.target, Access)
    value = body.read(statement.value)
    part = value if statement.operator == "+=" else Negate(value)
    if chosen is not None:
        dtype = body.type_of(value)
        part = body.append(Select(body.fresh("part"), body.read(chosen), part, ZERO if dtype is DType.FLOAT else Number(0), dtype), dtype)
    sums[statement.target] = Binary("+", sums[statement.target], part) if statement.target in sums else part


def _sums(body: _Body, sums: dict[Access, Expr]) -> tuple[Result, ...]:
    results = []
    for target, value in sums.items():
        name = body.let(f"add_{_stem(target)}", value, body.model.variable(target).dtype)
        results.append(Result(target, name.name, add=True))
    return tuple(results)


def _sequential(model: Model, pathway: Pathway) -> tuple[tuple[Line, ...], tuple[Result, ...]]:
    body = _Body(model)
    for statement in pathway.code:
        guard = None
        if isinstance(statement.target, Access):
            name = model.variable(statement.target).guard
            guard = None if name is None else Access(name, statement.target.index)
        _assign(body, statement, guard=guard)
    return tuple(body.lines), body.results()


def event_variable(event: Event) -> Variable:
    """The hidden boolean that tells which elements fired in this step."""
    return Variable(event.variable, Role.EVENT, dtype=DType.BOOL)


def with_events(model: Model) -> Model:
    """`Model -> Model`: the variables that events are stored in, declared."""
    present = {v.name for v in model.variables}
    new = tuple(event_variable(e) for e in model.events if e.variable not in present)
    return replace(model, variables=(*model.variables, *new))
