"""Code that a group runs besides its equations: in every step (`run_regularly`), or when an event happens (`run_on_event`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from codegen.expr import Access, Binary, DType, Expr, Index, Name, substitute
from codegen.ir import Code, Model, Role, Variable
from codegen.parse import parse_statements

from .clocks import Clock, choose_clock
from .objects import SimulationObject, Weak, choose_name
from .state import VariableOwner

__all__ = ["CodeRunner"]

STORED = "subexpression_update"  # the code that stores what is constant over dt


class CodeRunner(SimulationObject):
    """Statements that the elements of a group run in a slot of every step, or when their event happens.

    `run_regularly` and `run_on_event` make it and keep it in `group.contained_objects`; taken out there, it no longer runs.

    Attributes
    ----------
    name, when, order, clock, active
        As for every object; `active = False` switches the code off.
    code : str
    event : str or None
        The event whose elements run the code; None: all elements do.
    group : group or Synapses

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(2, 'v : 1', name='cells')
    >>> kick = G.run_regularly('v += 1')
    >>> run(0.3*ms)
    >>> kick.active = False
    >>> run(1*ms)
    >>> G.v
    <cells.v: array([3., 3.])>
    """

    add_to_magic_network = False
    _joins = False  # its group runs it
    code: str
    event: str | None

    def __init__(self, group: VariableOwner, code: str, *, name: str, when: str, order: int, clock: Clock, event: str | None = None):
        if not isinstance(code, str):
            raise TypeError(f"the code of {group.name!r} must be text, not {type(code).__name__}")
        statements = parse_statements(code)
        self._group, self.code, self.event = Weak(group), code, event
        self._register(choose_name(name, "coderunner"), when=when, order=order, clock=clock)
        self._parsed = of_part(Code(self.name, statements, self.when, self.order, event), group)

    @property
    def group(self) -> VariableOwner:
        """The group whose elements run the code."""
        owner = self._group()
        if owner is None:
            raise ReferenceError(f"the group of {self.name!r} exists no more")
        return owner

    @property
    def parsed(self) -> Code:
        """The code as part of a model."""
        return self._parsed

    @property
    def constants(self) -> dict[Variable, float]:
        """The numbers that the code needs, beside those of the namespace."""
        return bounds(self.name, self.group)

    def place(self) -> tuple[object, ...]:
        """Equal as long as the code runs where and when it did."""
        return id(self), self.when, self.order, self.active, self.clock.dt_

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} in slot {self.when!r}: {self.code!r}>"


class SummedUpdater:
    """What sums a variable of the synapses into one of their neurons, in every step: `S.summed_updaters['x_post']`.

    Attributes
    ----------
    name : str
        Its name in the schedule, such as `synapses_summed_variable_x_post`.
    target : group
        The group whose variable gets the sum.
    when, order : str, int
        Slot of the schedule, and place in it: before the target's equations.
    active : bool
    """

    def __init__(self, name: str, step: str, variable: str, target: Any):
        self.name, self.step, self.variable, self.target = name, step, variable, target
        self.when, self.order, self.active = "groups", target.order - 1, True

    @property
    def clock(self) -> Clock:
        """The clock of the target."""
        clock: Clock = self.target.clock
        return clock

    @property
    def steps(self) -> tuple[str, str]:
        """The Steps it consists of."""
        return f"{self.step}_zero", self.step

    def place(self) -> tuple[object, ...]:
        """Equal as long as it runs where and when it did."""
        return self.name, self.when, self.order, self.active

    def __repr__(self) -> str:
        return f"<SummedUpdater {self.name!r}>"


def runners(owner: VariableOwner) -> list[CodeRunner]:
    """The code that a group runs besides its equations."""
    return [item for item in getattr(owner, "contained_objects", ()) if isinstance(item, CodeRunner)]


def summed_updaters(owner: VariableOwner) -> list[SummedUpdater]:
    """What sums variables of Synapses into their neurons."""
    return list(getattr(owner, "summed_updaters", {}).values())


def with_codes(owner: VariableOwner, model: Model) -> Model:
    """The model with the code that is switched on."""
    return replace(model, codes=(*model.codes, *(runner.parsed for runner in runners(owner) if runner.active)))


def places(owner: VariableOwner) -> tuple[dict[str, str], dict[str, int], dict[str, str]]:
    """Slot, order and tie of each Step that a group's code becomes, by its name."""
    slots: dict[str, str] = {}
    orders: dict[str, int] = {}
    ties = dict.fromkeys((STORED, f"{STORED}_shared"), f"{owner.name}_{STORED}")
    for runner in runners(owner):
        for step in (runner.name, f"{runner.name}_shared"):
            slots[step], orders[step], ties[step] = runner.when, runner.order, runner.name
    for updater in summed_updaters(owner):
        for step in updater.steps:
            slots[step], orders[step], ties[step] = updater.when, updater.order, updater.name
    return slots, orders, ties


def bounds(name: str, group: VariableOwner) -> dict[Variable, float]:
    """The constants that code `name` for part of a group needs: the first neuron and how many there are, whose values are no part of any text."""
    if group._whole is group:
        return {}
    numbers = {"first": group._first, "size": group.state.size}
    return {Variable(_bound(name, key).variable, Role.EXTERNAL, dtype=DType.INT32, shared=True, constant=True): value for key, value in numbers.items()}


def _bound(name: str, key: str) -> Access:
    return Access(f"_{name}_{key}", Index.SHARED)


def of_part(code: Code, group: VariableOwner) -> Code:
    """Code for part of a group in terms of the whole, which runs it: `i` counts from the first neuron of the part, and `N` are the neurons there."""
    if group._whole is group:
        return code
    table: dict[Expr, Expr] = {Name("i"): Binary("-", Name("i"), _bound(code.name, "first")), Name("N"): _bound(code.name, "size")}
    statements = tuple(replace(s, value=substitute(s.value, table)) for s in code.statements)
    return replace(code, statements=statements, part=place_of(group))


def place_of(group: VariableOwner) -> tuple[int, int] | None:
    """The first and the last + 1 neuron of a part, in the whole group; None for a whole group."""
    return None if group._whole is group else (group._first, group._first + group.state.size)


def run_regularly(owner: VariableOwner, code: str, dt: object, clock: Clock | None, when: str, order: int, name: str | None) -> CodeRunner:
    """The CodeRunner behind `owner.run_regularly(...)`, added to the `contained_objects` of the group (the whole one, for part of a group)."""
    whole = owner._whole
    own = owner.clock if dt is None and clock is None else choose_clock(dt, clock)
    if name is None:
        name = _free(f"{owner.name}_run_regularly", (item.name for item in runners(whole)))
    elif name in {item.name for item in runners(whole)}:
        raise ValueError(f"{owner.name!r} has code called {name!r} already; choose another name")
    runner = CodeRunner(owner, code, name=name, when=when, order=order, clock=own)
    whole.contained_objects.append(runner)
    return runner


def _free(stem: str, taken: Iterable[str]) -> str:
    """The first of stem, stem_1, stem_2, ... that the group has not given."""
    names = set(taken)
    number = 0
    while (name := f"{stem}_{number}" if number else stem) in names:
        number += 1
    return name
