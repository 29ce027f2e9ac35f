"""Traces on neurons: what all synapses of a neuron have in common is kept and caught up once for the neuron, not once for each synapse.

A variable that is solved from event to event is the same for all synapses of a neuron if spikes of that side alone change it, if each arrives at all of
them in one step, and if what it is changed by does not depend on the synapse. Its value and the time of its last update then live in a space of their
own with one element for each neuron (`S:pre` or `S:post` for synapses `S`):

- a Deliver over that space catches up the neuron's traces when its spike arrives, and changes them,
- the pathway itself reads them there, those of its own side once for each row of synapses,
- those of the other side are caught up for all neurons by a Map (where most of them are reached), or by the pathway, synapse by synapse.

What users see is worked out from these when they look: `Split.settle` computes the value of each synapse at the time of its own last update.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .dataflow import constant_in_run, reads, writes
from .eventdriven import LAST_UPDATE, catch_up, solved
from .expr import Access, Binary, Expr, Index, Name, substitute, walk
from .fresh import Fresh
from .functions import DT, T, calls_python
from .fuse import Part, array_name, assemble
from .ir import Deliver, Draw, Extern, Flow, Let, Line, Model, Program, Propagator, Result, Role, Select, Step, Variable, defined, expressions
from .lines import rewrite_line
from .optimize import prune

SIDES = (Index.PRE, Index.POST)
LAST = "_last"
"""The time at which a spike of the neuron arrived last."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What the pass must know about the connections.

    together : the pathways whose spikes arrive at all synapses of a neuron in one step.
    wide : the pathways that reach so many neurons on the other side that their traces are best caught up for all of them at once.
    """

    together: frozenset[str]
    wide: frozenset[str]


@dataclass(frozen=True, slots=True)
class Split:
    """A network in which one Synapses object keeps traces on neurons.

    parts : all Parts of the network, those new that hold neurons first.
    sides : each trace, with the side whose neurons it lives on.
    settle : a Program with one Map, which gives the traces of each synapse the values that they had at its `lastupdate`.
    """

    parts: tuple[Part, ...]
    sides: Mapping[str, Index] = field(hash=False)
    settle: Program


def space_of(synapses: str, side: Index) -> str:
    """The space of the neurons on one side of a Synapses object."""
    return f"{synapses}:{side.value}"


def split(parts: Sequence[Part], name: str, steps: Sequence[Step], plain: Program, arrivals: Arrivals) -> Split | None:
    """`Parts -> Parts`: the synapses `name` with their common traces on neurons; None if they have none.

    `steps` are those of the synapses before traces are caught up, `plain` is the Program in which every synapse has its own.
    """
    table = {part.name: part for part in parts}
    part = table[name]
    present = {step.name for step in part.steps}
    steps = [step for step in steps if step.name in present and step.side is not None]
    sides = common_traces(part, {p.name: p.model for p in parts}, steps, plain, arrivals.together)
    if not sides:
        return None
    return _Splitter(table, part, steps, sides, arrivals).result()


# --------------------------------------------------------------------------------------------------------------------------------- which traces can move
def common_traces(part: Part, models: Mapping[str, Model], steps: Sequence[Step], plain: Program, together: Collection[str]) -> dict[str, Index]:
    """The variables that are the same for all synapses of a neuron, and on which side, as far as the texts tell."""
    flows = {flow.variable: flow for flow in part.model.event_driven}
    foreign = _touched_elsewhere(part, plain)
    if f"{part.name}.lastupdate" in foreign or any(LAST_UPDATE in _read(step.body) or _writes(step, LAST_UPDATE) for step in steps):
        return {}
    sides: dict[str, Index] = {}
    for name in flows:
        writers = [step for step in steps if _writes(step, Access(name))]
        found = {step.side for step in writers}
        if len(found) == 1 and all(step.name in together for step in writers) and f"{part.name}.{name}" not in foreign:
            sides[name] = found.pop()  # type: ignore[assignment]
    _follow(sides, flows, steps, foreign, part.name)
    fixed = constant_in_run(plain)

    def array(access: Access) -> str:
        return _array(part, models, access)

    while True:
        kept = {
            name: side
            for name, side in sides.items()
            if _flows_alone(name, side, flows, sides, lambda a: array(a) in fixed) and all(_same_for_all(s, name, side, sides, array) for s in steps)
        }
        if kept == sides:
            return sides if _closed_form([flows[name] for name in sides]) else {}
        sides = kept


def _follow(sides: dict[str, Index], flows: Mapping[str, Flow], steps: Sequence[Step], foreign: Collection[str], owner: str) -> None:
    """Traces that no pathway changes belong to the side of those that drive them."""
    for _ in flows:
        for name, flow in flows.items():
            drivers = {sides.get(node.variable) for node in _read([Let("", flow.drift)]) if node.index is Index.SELF and node.variable != name}
            free = name not in sides and f"{owner}.{name}" not in foreign and not any(_writes(step, Access(name)) for step in steps)
            if free and len(drivers) == 1 and None not in drivers:
                sides[name] = drivers.pop()  # type: ignore[assignment]


def _touched_elsewhere(part: Part, plain: Program) -> set[str]:
    """The arrays that anything but the pathways of these synapses reads or writes: monitors and other code. Functions of the user's reach values
    through their objects, which see to it that these are worked out, and notice when they change."""
    found: set[str] = set()
    for kernel in plain.kernels:
        if not isinstance(kernel, Extern) and not (isinstance(kernel, Deliver) and kernel.space == part.name):
            found |= reads(kernel) | writes(kernel)
    return found


def _array(part: Part, models: Mapping[str, Model], access: Access) -> str:
    owner = {Index.PRE: part.pre, Index.POST: part.post}.get(access.index) or part.name
    return array_name(owner, models[owner].variable(access.variable), part.clock)


def _read(lines: Iterable[Line]) -> set[Access]:
    return {node for line in lines for expr in expressions(line) for node in walk(expr) if isinstance(node, Access)}


def _writes(step: Step, access: Access) -> bool:
    return any(result.access == access for result in step.results)


def _flows_alone(name: str, side: Index, flows: Mapping[str, Flow], sides: Mapping[str, Index], fixed: Callable[[Access], bool]) -> bool:
    """Whether a trace flows by itself, or with others of its side, at a rate that is that of the neuron and never changes; and no other reads it."""
    for node in _read([Let("", flows[name].drift)]):
        own = node.index is Index.SELF and sides.get(node.variable) is side
        if not own and not (node.index in (Index.SHARED, side) and fixed(node)):
            return False
    return not any(Access(name) in _read([Let("", flow.drift)]) for other, flow in flows.items() if sides.get(other) is not side)


def _same_for_all(step: Step, name: str, side: Index, sides: Mapping[str, Index], array: Callable[[Access], str]) -> bool:
    """Whether a pathway changes a trace, if it does, to what is the same for all synapses of the neuron."""
    result = next((r for r in step.results if r.access == Access(name)), None)
    if result is None:
        return True
    lines = prune(step.body, [result.name])
    if result.add or any(not isinstance(line, Let | Select) or any(map(calls_python, expressions(line))) for line in lines):
        return False
    changed = {array(r.access) for r in step.results if r.access.index is not Index.SELF}
    for node in _read(lines):
        own = node.index is Index.SELF and sides.get(node.variable) is side
        if not own and not (node.index in (Index.SHARED, side) and array(node) not in changed):
            return False
    return True


def _closed_form(flows: Sequence[Flow]) -> bool:
    lines, _ = solved(flows, Fresh()) if flows else ([], {})
    return not any(isinstance(line, Propagator | Draw) for line in lines)


# ------------------------------------------------------------------------------------------------------------------------------------ the Parts they need
class _Splitter:
    def __init__(self, table: dict[str, Part], part: Part, steps: Sequence[Step], sides: Mapping[str, Index], arrivals: Arrivals) -> None:
        self.table, self.part, self.steps, self.sides, self.arrivals = table, part, steps, sides, arrivals
        self.flows = {side: [f for f in part.model.event_driven if sides.get(f.variable) is side] for side in SIDES}
        self.rest = [f for f in part.model.event_driven if f.variable not in sides]
        self.neurons = {side: self._neurons(side) for side in SIDES}
        self.reached: dict[str, list[Variable]] = {}

    def _neurons(self, side: Index) -> Part:
        """The space of the neurons of one side, which sees what the synapses share."""
        part = self.part
        shared = [v for v in part.model.variables if (v.shared or v.role is Role.EXTERNAL) and v.role not in (Role.CLOCK, Role.SUBEXPRESSION, Role.LINKED)]
        variables = [replace(v, array=array_name(part.name, v, part.clock)) for v in shared]
        variables += [v for v in part.model.variables if v.role is Role.CLOCK]
        variables += [Variable(name, Role.HIDDEN) for name in (LAST, *(flow.variable for flow in self.flows[side]))]
        name = space_of(part.name, side)
        pre, post = (part.pre, None) if side is Index.PRE else (None, part.post)
        return Part(name, Model(name, tuple(variables)), (), pre, post, clock=part.clock)

    def result(self) -> Split:
        new = [self._pathway(step) for step in self.steps]
        part = self.part
        changed = {step.name: step for step in new}
        ties = {**(part.ties or {}), **{step.name: f"{self._tie(step)} 2" for step in new}}
        part = replace(part, steps=tuple(changed.get(step.name, step) for step in part.steps), ties=ties)
        settling = replace(part, steps=(self._settle(),), ties=None)
        parts = {**self.table, part.name: part}
        for name, variables in self.reached.items():
            parts[name] = replace(parts[name], model=_with(parts[name].model, variables))
        still = {name: replace(one, steps=()) for name, one in parts.items()}
        quiet = [replace(one, steps=()) for one in self.neurons.values()]
        program = assemble([*quiet, *(still | {part.name: settling}).values()], clocks=((part.clock, 1),), schedule=("start",))
        return Split((*self.neurons.values(), *parts.values()), self.sides, program)

    def _tie(self, step: Step) -> str:
        return (self.part.ties or {}).get(step.name, f"{self.part.name}_{step.name}")

    def _place(self, side: Index, step: Step, like: Step, rank: int, delayed: bool = False) -> None:
        """Add a Step to the neurons of a side, scheduled as the pathway `like` is."""
        part, own = self.part, self.neurons[side]
        slot = (part.slots or {}).get(like.name, like.slot)
        order = (part.orders or {}).get(like.name, part.order + like.order)
        clock = (part.clocks or {}).get(like.name, part.clock)
        self.neurons[side] = replace(
            own, steps=(*own.steps, step), delayed=own.delayed | ({step.name} if delayed else set()), slots={**(own.slots or {}), step.name: slot},
            orders={**(own.orders or {}), step.name: order}, ties={**(own.ties or {}), step.name: f"{self._tie(like)} {rank}"},
            clocks={**(own.clocks or {}), step.name: clock},
        )  # fmt: skip

    def _variable(self, side: Index, name: str) -> None:
        own = self.neurons[side]
        self.neurons[side] = replace(own, model=_with(own.model, [Variable(name, Role.HIDDEN)]))

    def _reach(self, side: Index, name: str) -> Access:
        """How a synapse reaches a value of its neuron: through a variable of the connected group."""
        group = self.part.pre if side is Index.PRE else self.part.post
        assert group is not None
        alias = f"_{self.part.name}_{side.value}_{name}"
        known = self.reached.setdefault(group, [])
        if all(variable.name != alias for variable in known):
            known.append(Variable(alias, Role.HIDDEN, array=f"{space_of(self.part.name, side)}.{name}"))
        return Access(alias, side)

    def _pathway(self, step: Step) -> Step:
        """A pathway that reads traces where they live, and the Steps of the neurons that it needs before it."""
        together = step.name in self.arrivals.together
        wanted = [result for result in step.results if result.access.variable not in self.sides or result.access.index is not Index.SELF]
        lines = prune(step.body, [result.name for result in wanted])
        needed = {node.variable for node in _read(lines) if node.index is Index.SELF and node.variable in self.sides}
        if together:
            self._arrival(step, needed)
        now: dict[Expr, Expr] = {}
        caught: list[Line] = []
        fresh = Fresh(_taken(step))
        for side in SIDES:
            read = [flow for flow in self.flows[side] if flow.variable in needed]
            if not read:
                continue
            if together and side is step.side:
                changed = {result.access for result in step.results}
                now.update((Access(f.variable), self._reach(side, _before(f.variable, step) if Access(f.variable) in changed else f.variable)) for f in read)
            elif together and step.name in self.arrivals.wide:
                self._all_now(side, step, [flow.variable for flow in read])
                now.update((Access(flow.variable), self._reach(side, _now(flow.variable, step))) for flow in read)
            else:
                new, more = self._caught_up(side, fresh, T)
                caught += more
                now.update((Access(flow.variable), Name(new[flow.variable])) for flow in read)
        body = [*caught, *(rewrite_line(line, lambda e: substitute(e, now)) for line in lines)]
        results = tuple(wanted)
        if not together and not self.rest:
            stamp = fresh("now")
            body.append(Let(stamp, T))
            results += (Result(LAST_UPDATE, stamp),)
        return catch_up(replace(step, body=tuple(body), results=results), self.rest)

    def _caught_up(self, side: Index, fresh: Fresh, until: Expr) -> tuple[dict[str, str], list[Line]]:
        """The lines by which a synapse catches up the traces of its neuron."""
        elapsed = fresh("elapsed")
        lines, new = solved(self.flows[side], fresh)
        table: dict[Expr, Expr] = {DT: Name(elapsed)}
        table.update((Access(flow.variable), self._reach(side, flow.variable)) for flow in self.flows[side])
        first = Let(elapsed, Binary("-", until, self._reach(side, LAST)))
        return new, [first, *(rewrite_line(line, lambda e: substitute(e, table)) for line in lines)]

    def _arrival(self, step: Step, needed: Collection[str]) -> None:
        """The traces of the neurons whose spike arrives are caught up and changed; what they were in between is kept where the synapses need it."""
        assert step.side is not None
        side, fresh = step.side, Fresh(_taken(step))
        lines, new, stamp = self._flow_to_now(side, fresh)
        now: dict[Expr, Expr] = {Access(name): Name(value) for name, value in new.items()}
        changed = {result.access.variable: result.name for result in step.results if result.access.index is Index.SELF and result.access.variable in new}
        lines += [rewrite_line(line, lambda e: substitute(e, now)) for line in prune(step.body, changed.values())]
        results = [Result(Access(name), changed.get(name, value)) for name, value in new.items()]
        for name in (name for name in changed if name in needed):
            self._variable(side, _before(name, step))
            results.append(Result(Access(_before(name, step)), new[name]))
        body = (*lines, Let(stamp, T))
        arrival = Step(step.name, step.slot, step.order, body, (*results, Result(Access(LAST), stamp)), side, step.event)
        self._place(side, arrival, step, 0, step.name in self.part.delayed)

    def _flow_to_now(self, side: Index, fresh: Fresh) -> tuple[list[Line], dict[str, str], str]:
        stamp = fresh("now")
        if not self.flows[side]:
            return [], {}, stamp
        elapsed = fresh("elapsed")
        lines, new = solved(self.flows[side], fresh)
        table: dict[Expr, Expr] = {DT: Name(elapsed)}
        return [Let(elapsed, Binary("-", T, Access(LAST))), *(rewrite_line(line, lambda e: substitute(e, table)) for line in lines)], new, stamp

    def _all_now(self, side: Index, step: Step, names: Sequence[str]) -> None:
        """The traces of all neurons of the other side as they are when spikes of this pathway arrive."""
        lines, new, _ = self._flow_to_now(side, Fresh(_taken(step)))
        for name in names:
            self._variable(side, _now(name, step))
        results = tuple(Result(Access(_now(name, step)), new[name]) for name in names)
        assert step.side is not None
        arrival = f"{space_of(self.part.name, step.side)}.{step.name}"
        self._place(side, Step(f"{step.name}_now", step.slot, step.order, tuple(lines), results, after=(arrival,)), step, 1)

    def _settle(self) -> Step:
        """The traces of every synapse at the time of its own last update."""
        lines: list[Line] = []
        results: list[Result] = []
        fresh = Fresh({v.name for v in self.part.model.variables})
        for side in SIDES:
            if self.flows[side]:
                new, more = self._caught_up(side, fresh, LAST_UPDATE)
                lines += more
                results += [Result(Access(name), value) for name, value in new.items()]
        return Step("settle", "start", 0, tuple(lines), tuple(results))


def _with(model: Model, variables: Iterable[Variable]) -> Model:
    known = {variable.name for variable in model.variables}
    return replace(model, variables=(*model.variables, *(v for v in variables if v.name not in known)))


def _before(name: str, step: Step) -> str:
    return f"_{name}_before_{step.name}"


def _now(name: str, step: Step) -> str:
    return f"_{name}_now_{step.name}"


def _taken(step: Step) -> set[str]:
    return {name for line in step.body for name in defined(line)} | {node.variable for node in _read(step.body)}
