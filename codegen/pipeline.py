"""The one place that lists the order of passes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from .adjoint import adjoint, unconditional
from .arrivals import share_accumulators
from .desugar import desugar, subexpressions
from .eventdriven import catch_up, in_every_step, refuse_between_events
from .expr import Expr
from .fuse import DEFAULT_SCHEDULE, Part, assemble, fuse
from .integrate import DEFAULT_METHODS
from .ir import Kernel, Model, Program, Step
from .join import join
from .keep import keep
from .lower import Detach, Methods, lower, with_events
from .optimize import hoist
from .rare import draw_by_blocks
from .surrogate import Gradients
from .tabulate import tabulate


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an object is lowered.

    Parameters
    ----------
    method : integrator, or several of which the first that fits is taken.
    detach : which resets keep gradients from their event (see `lower.lower`).
    pre, post : names of the connected groups (synapses only).
    delayed : names of the pathways with delays.
    order : the object's place among those of one slot.
    clock : the object's clock, by its name in the Program.
    in_steps : solve event-driven equations in every step, not from event to event.
    slots, orders, ties, clocks : slot, order, name in the order of the schedule, and clock of single Steps, by the Step's name.
    """

    method: Methods = DEFAULT_METHODS
    detach: Detach = None
    pre: str | None = None
    post: str | None = None
    delayed: frozenset[str] = frozenset()
    order: int = 0
    in_steps: bool = False
    slots: Mapping[str, str] | None = None
    orders: Mapping[str, int] | None = None
    ties: Mapping[str, str] | None = None
    clock: str = "clock"
    clocks: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """One object of a network after every pass that concerns it alone, with the rungs in between (for `explain`, and `steps` for `traces`)."""

    model: Model
    core: Model
    part: Part
    method: str | None
    steps: tuple[Step, ...] = ()


def compile_model(model: Model, options: Options, pre: Compiled | None = None, post: Compiled | None = None) -> Compiled:
    """`Model -> Part`: a resolved and checked model, desugared and lowered. `pre` and `post` are the groups that synapses connect."""
    if pre is not None and post is not None:
        model = replace(model, pre=pre.core.variables, post=post.core.variables)
    core = with_events(desugar(model, _inner(pre), _inner(post)))
    one_group = options.pre is not None and options.pre == options.post
    lowered = lower(core, options.method, options.detach, one_group)
    places = (options.order, options.slots, options.orders, options.ties, options.clock, options.clocks)
    if options.in_steps:
        refuse_between_events(core)
        steps = (*lowered.steps, *in_every_step(core.event_driven))
    else:
        steps = tuple(catch_up(step, core.event_driven) for step in lowered.steps)
    part = Part(model.name, core, steps, options.pre, options.post, options.delayed, *places)
    return Compiled(model, core, part, lowered.method, lowered.steps)


def _inner(group: Compiled | None) -> dict[str, Expr]:
    return {} if group is None else subexpressions(group.model)


def compile_program(
    parts: Sequence[Part],
    extra: Sequence[Kernel] = (),
    schedule: Sequence[str] = DEFAULT_SCHEDULE,
    clocks: tuple[tuple[str, int], ...] = (("clock", 1),),
    gradients: bool = False,
) -> Program:
    """`Parts -> Program`: scheduled, fused, and with everything that no step changes moved to the set-up.

    `gradients`: the Program is to be differentiated, so random numbers are drawn as the texts say, one for each element, and not in the ways that are faster:
    every threshold keeps its margin, and noise can come from outside.
    """
    program = share_accumulators(assemble(parts, extra, schedule, clocks))
    return hoist(fuse(program)) if gradients else tabulate(hoist(fuse(draw_by_blocks(program))))


def joined_program(program: Program) -> Program:
    """`Program -> Program`: for training, with as few Maps as the order of the schedule allows, each over a whole group and in every step."""
    return join(unconditional(program))


def training_programs(program: Program, gradient: Gradients, wrt: tuple[str, ...], again: Collection[str] = ()) -> tuple[Program, Program]:
    """`Program -> Program, Program`: forward, and backward with few bits between them (`adjoint` tells what `wrt` is, `keep` what `again` is).

    An engine keeps, of every step, the events, the arrays of role TAPE, and what `Program.tape` lists.
    """
    return keep(*adjoint(unconditional(program), gradient, wrt), again)
