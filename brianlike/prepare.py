"""From the user's objects to a Program and the arrays it runs on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from codegen.desugar import relative
from codegen.eventdriven import IN_STEPS
from codegen.expr import Access, DType, Index
from codegen.fuse import Part
from codegen.integrate import DEFAULT_METHODS, Method
from codegen.ir import Array, Deliver, Extern, Fire, Kernel, Let, Model, Program, Result, Role, Table, Variable
from codegen.link import Link, link
from codegen.lower import Detach
from codegen.pipeline import Compiled, Options, compile_model, compile_program
from codegen.traces import Split, split

from .clocks import Clock
from .codes import CodeRunner, SummedUpdater, place_of, places, runners, summed_updaters, with_codes
from .default_functions import functions_of
from .deferred import Deferred
from .expressions import Resolved, external_variable, resolve_model
from .functions import Specified
from .groups import Group, NeuronGroup
from .inputs import InputGroup, PoissonGroup, SpikeGeneratorGroup
from .lookups import Lookup, Marks
from .monitors import Monitor
from .namespaces import externals
from .objects import SimulationObject, acts
from .poisson_input import PoissonInput
from .recorders import record_kernels
from .simulate import Connection, Inputs
from .stages import stages_of
from .state import State, VariableOwner
from .stateupdaters import compiler_methods, log_choice, with_written_step
from .subgroups import Subgroup
from .synapses import Synapses
from .ticks import Rate, Ticks, common_ticks
from .traces import NeuronTraces, add_neurons, arrivals
from .units import Quantity

SPIKE = "_spike"


@dataclass(slots=True)
class Prepared:
    """A network, compiled: its Program, and where every array's values come from.

    Parameters
    ----------
    objects : those that take part, by name.
    members : the objects of the network, also those that are switched off.
    clocks : of the members, with their rates.
    states : the variables that change by themselves, with their owners.
    version : changes when the value of a constant or function does.
    """

    program: Program
    objects: dict[str, SimulationObject]
    compiled: dict[str, Compiled]
    resolved: dict[str, Resolved]
    ticks: Ticks
    members: list[SimulationObject]
    clocks: list[tuple[Clock, Rate]]
    states: list[tuple[VariableOwner, str]]
    parts: tuple[Part, ...] = ()
    extra: tuple[Kernel, ...] = ()
    schedule: tuple[str, ...] = ()
    on_neurons: frozenset[str] = frozenset()
    version: int = 0
    _lookups: dict[str, Lookup] = field(default_factory=dict)
    _constants: dict[str, dict[str, object]] = field(default_factory=dict)

    def read_constants(self, namespace: Mapping[str, object]) -> bool:
        """Take the constants' values from the namespaces as they are now; False where one has another unit or type, or none: then compile anew."""
        fresh: dict[str, Resolved] = {}
        marks: dict[str, Marks] = {}
        for name, resolved in self.resolved.items():
            owner = self.objects[name]
            assert isinstance(owner, Group | Synapses)
            lookup = self._lookups.get(name)
            if lookup is None:
                lookup = self._lookups[name] = Lookup(resolved.model, resolved.constants)
            if lookup.same(owner.namespace, namespace):
                continue
            marks[name] = lookup.marks(owner.namespace, namespace)
            found = externals(resolved.constants, owner.namespace, namespace)
            for constant in resolved.constants:
                if constant not in found or external_variable(constant, *found[constant]) != resolved.model.variable(constant):
                    return False
            functions = functions_of(resolved.model, owner.namespace, namespace, owner)
            if not _interchangeable(functions, resolved.functions):
                return False
            numbers = {number: value for function in functions.values() for number, value in function.numbers.items()}
            values = {**resolved.values, **{constant: value for constant, (value, _) in found.items()}, **numbers}
            if values != resolved.values or not _same_tables(functions, resolved.functions):
                fresh[name] = replace(resolved, values=values, functions=functions)
        for name, seen in marks.items():  # only now, when nothing is refused any more
            self._lookups[name].keep(seen)
        if fresh:
            self.resolved = {**self.resolved, **fresh}
            self._constants.clear()
            self.version += 1
        return True

    def constants(self, name: str) -> dict[str, object]:
        """The constants that the texts of an object use, as quantities."""
        if name not in self._constants:
            resolved = self.resolved[name]
            self._constants[name] = {constant: Quantity(value, resolved.model.variable(constant).dimensions) for constant, value in resolved.values.items()}
        return self._constants[name]

    def from_outside(self) -> dict[str, np.ndarray]:
        """The values of the arrays that come from the namespaces: constants, and the tables behind functions."""
        arrays = self.program.arrays
        return {array.name: self._named(array.name, array.role) for array in arrays if array.role in (Role.EXTERNAL, Role.TABLE)}

    def _named(self, name: str, role: Role) -> np.ndarray:
        owner, _, variable = name.partition(".")
        return np.array([self.resolved[owner].values[variable]]) if role is Role.EXTERNAL else self.resolved[owner].tables[variable]

    def split(self, name: str, parts: Sequence[Part]) -> Split | None:
        """The network with the traces of these synapses on neurons, as far as it can have them there."""
        item, compiled = self.objects[name], self.compiled[name]
        if not isinstance(item, Synapses) or not compiled.core.event_driven or any(step.name == IN_STEPS for step in compiled.part.steps):
            return None
        return split(parts, name, compiled.steps, self.program, arrivals(item))

    def traces(self) -> dict[str, NeuronTraces]:
        """The Synapses whose traces can live on neurons, if their values allow it."""
        found = {}
        for name in self.compiled:
            one = self.split(name, self.parts)
            item = self.objects[name]
            if one is not None and isinstance(item, Synapses):
                reached = [array.name.partition(".")[::2] for array in one.settle.arrays]
                owners = [(self.objects.get(owner), variable) for owner, variable in reached]
                watched = [(owner.state, variable) for owner, variable in owners if isinstance(owner, VariableOwner) and variable in owner.state]
                found[name] = NeuronTraces(item, one, replace(self, program=one.settle, on_neurons=frozenset({name})).inputs(), watched)
        return found

    def with_traces(self, names: frozenset[str]) -> Prepared:
        """The same network, with the traces of these synapses on neurons."""
        parts: Sequence[Part] = self.parts
        for name in sorted(names):
            one = self.split(name, parts)
            assert one is not None
            parts = one.parts
        if not names:
            return self
        program = compile_program(parts, self.extra, self.schedule, self.ticks.table)
        return replace(self, program=program, on_neurons=names)

    def own_steps(self, kernel: Kernel, tick: int, ticks: int) -> tuple[int, int]:
        """The first step of a kernel's clock from `tick` on, and how many begin within `ticks` ticks."""
        every = self.program.every(kernel)
        first = -(-tick // every)
        return first, -(-(tick + ticks) // every) - first

    def inputs(self, seed: int = 0, epoch: int = 0, lean: bool = False) -> Inputs:
        """The arrays of the objects themselves (a run changes them in place), and their connections.

        Lean inputs leave deferred values as they are (see `deferred`), and come without delays.
        """
        values: dict[str, np.ndarray] = {}
        for array in self.program.arrays:
            if lean and _is_delay(array):
                continue
            found = self._deferred(array.name) if lean else None
            if found is None:
                found = self._values(array.name, array.role)
            if found is not None:
                values[array.name] = found
        sizes = {name: len(item) for name, item in self.objects.items() if isinstance(item, Group | Synapses)}
        connections = {name: connection(item) for name, item in self.objects.items() if isinstance(item, Synapses)}
        streams = {name: n for n, name in enumerate(sorted(sizes, key=lambda n: self.objects[n]._number))}
        dtype = {str(item.state.float_dtype) for item in self.objects.values() if isinstance(item, Group | Synapses)}
        if len(dtype) > 1:
            raise TypeError("all objects of a network must have one float type; this one mixes float32 and float64")
        sizes |= {array.space: len(values[array.name]) for array in self.program.arrays if array.role is Role.TABLE and array.space}
        inputs = Inputs(values, sizes, connections, streams=streams, seed=seed, epoch=epoch, float_dtype=dtype.pop() if dtype else "float64")
        for name in self.on_neurons:
            item = self.objects[name]
            assert isinstance(item, Synapses)
            add_neurons(inputs, item, self.program)
        return inputs

    def _deferred(self, name: str) -> np.ndarray | None:
        """The memory of a variable whose values are deferred."""
        owner, _, variable = name.partition(".")
        state: State | None = getattr(self.objects.get(owner), "state", None)
        return state.memory(variable) if state is not None and isinstance(state.pending.get(variable), Deferred) else None

    def delay_steps(self, kernel: Deliver) -> np.ndarray | int:
        """The delays of a pathway in steps of its clock."""
        item = self.objects[kernel.space.partition(":")[0]]
        assert isinstance(item, Synapses)
        return 0 if kernel.delay is None else item.delay_steps(kernel.delay.partition(".")[2].removesuffix(".delay"))

    def has_delays(self, kernel: Deliver) -> bool:
        """Whether the synapses of a pathway have delays of their own."""
        item = self.objects[kernel.space]
        assert isinstance(item, Synapses)
        variable = "_delay_" + str(kernel.delay).partition(".")[2].removesuffix(".delay")
        return kernel.delay is not None and not item.state.variables[variable].shared

    def of(self, array: Array) -> np.ndarray | None:
        """The values behind an array, if it is one of the users'."""
        return self._values(array.name, array.role)

    def _values(self, name: str, role: Role) -> np.ndarray | None:
        owner, _, variable = name.partition(".")
        rate = next((rate for rate in self.ticks.rates if rate.name == owner), None)
        if rate is not None:  # the engine sets the time
            return np.array([{"t": 0.0, "dt": rate.dt, "t_in_timesteps": 0}[variable]])
        item = self.objects.get(owner)
        if role in (Role.EXTERNAL, Role.TABLE):
            return self._named(name, role)
        if isinstance(item, Synapses) and variable.endswith(".delay"):
            return np.broadcast_to(np.asarray(item.delay_steps(variable[: -len(".delay")]), np.int32), (len(item),))
        if isinstance(item, Synapses):
            item.keep_count(variable)
        if isinstance(item, Group | Synapses) and variable in item.state:
            return item.state[variable]
        return None


def _is_delay(array: Array) -> bool:
    return array.role is Role.INDEX and array.name.endswith(".delay")


def _interchangeable(new: Mapping[str, Specified], old: Mapping[str, Specified]) -> bool:
    """Whether nothing but the values behind functions has changed."""
    shapes = [{name: table.shape for function in each.values() for name, table in function.tables.items()} for each in (new, old)]
    return shapes[0] == shapes[1] and {name: f.spec for name, f in new.items()} == {name: f.spec for name, f in old.items()}


def _same_tables(new: Mapping[str, Specified], old: Mapping[str, Specified]) -> bool:
    """Whether the tables behind functions that are interchangeable lie where they did."""
    tables = [[table.ctypes.data for function in each.values() for table in function.tables.values()] for each in (new, old)]
    return tables[0] == tables[1]


def connection(synapses: Synapses) -> Connection:
    """Where the synapses begin and end in the whole groups, whatever parts of them they connect."""
    source, target = synapses.source, synapses.target
    pre, post = ((group._first, group._first + len(group)) for group in (source, target))
    return Connection(synapses.state["i"], synapses.state["j"], len(source._whole), len(target._whole), pre, post)


def _parts(synapses: Synapses) -> frozenset[Index]:
    """The sides on which the synapses see a part of a group."""
    sides = ((Index.PRE, synapses.source), (Index.POST, synapses.target))
    return frozenset(index for index, group in sides if isinstance(group, Subgroup))


def clocks_of(objects: Iterable[SimulationObject]) -> list[Clock]:
    """The clocks of objects and of the code that they run, each once."""
    found = {id(clock): clock for item in objects for clock in (item.clock, *(runner.clock for runner in _runners(item)))}
    return list(found.values())


def _runners(item: SimulationObject) -> list[CodeRunner]:
    return runners(item) if isinstance(item, VariableOwner) else []


def _code_clocks(owner: VariableOwner, name_of: Callable[[Clock], str]) -> dict[str, str]:
    """The clock of each Step that the code of an object becomes."""
    found = {step: name_of(runner.clock) for runner in runners(owner) for step in (runner.name, f"{runner.name}_shared")}
    return found | {step: name_of(updater.clock) for updater in summed_updaters(owner) for step in updater.steps}


def _by_need(synapses: Sequence[Synapses]) -> list[Synapses]:
    """Synapses that are the source or target of others come before these."""
    waiting, found = list(synapses), []
    while waiting:
        ready = [one for one in waiting if not any(end is other for end in (one.source, one.target) for other in waiting)]
        found += ready
        waiting = [one for one in waiting if one not in ready]
    return found


def prepare(
    objects: Iterable[SimulationObject],
    schedule: Sequence[str],
    namespace: Mapping[str, object],
    *,
    detach: Detach | Mapping[str, Detach] = None,
    monitors: bool = True,
    extra: Sequence[Kernel] = (),
    margins: Collection[str] = (),
    delayed: Collection[str] = (),
    gradients: bool = False,
) -> Prepared:
    """Compile the network; groups, synapses and pathways that are not active keep their values and do nothing.

    `detach` tells which resets keep their gradient (of all groups, or by the group's name), `extra` adds kernels (the inputs and records of a module),
    `margins` names the groups whose distance to threshold is kept in the variable `_margin`, `delayed` arrays of delays that change from run to run. With
    `gradients` the Program is to be differentiated: it solves event-driven equations in every step, not from event to event, and draws random numbers one
    by one.
    """
    objects = list(objects)
    present = {item.name: item for item in objects if item.active or isinstance(item, Group | Synapses)}
    still = _linked_sources(present.values())  # what is linked to from outside the network keeps its values
    present |= {item.name: item for item in still}
    ticks = common_ticks(clocks_of([*objects, *still]), present)

    def name_of(clock: Clock) -> str:
        return ticks.of(clock).name

    compiled: dict[str, Compiled] = {}
    resolved: dict[str, Resolved] = {}
    groups = [item for item in present.values() if isinstance(item, Group)]
    synapses = _by_need([item for item in present.values() if isinstance(item, Synapses)])
    inputs = [item for item in present.values() if isinstance(item, PoissonInput)]
    for group in groups:
        aimed = [item for item in inputs if item.target._whole is group]
        resolved[group.name] = _with_events(group, _with_numbers(resolve_model(_model_of(group, aimed), group, namespace), _numbers(group, aimed)))
    models = link({name: one.model for name, one in resolved.items()}, {group.name: _links(group) for group in groups})
    for group in groups:
        resolved[group.name] = replace(resolved[group.name], model=models[group.name])
        aimed = [item for item in inputs if item.target._whole is group]
        kept = detach.get(group.name) if isinstance(detach, Mapping) else detach
        options = replace(_group_options(group, aimed, kept), clock=name_of(group.clock), clocks=_code_clocks(group, name_of))
        compiled[group.name] = compile_model(models[group.name], options)
    for one in synapses:
        for pathway in one.pathways.values():
            _check_event(pathway.source, f"pathway {pathway.key!r} of {one.name!r}", compiled, pathway.event)
        source, target = compiled[one.source._whole.name], compiled[one.target._whole.name]
        summed = tuple(replace(s, neurons=place_of(one.summed_updaters[str(s.target)].target)) for s in one.model.summed)
        connecting = replace(_with_codes(one), pre=source.core.variables, post=target.core.variables, summed=summed)
        resolved[one.name] = resolve_model(connecting, one, namespace)
        models[one.name] = link({**models, one.name: resolved[one.name].model}, {one.name: _links(one)})[one.name]
        resolved[one.name] = replace(resolved[one.name], model=models[one.name])
        clocks = {key: name_of(pathway.source.clock) for key, pathway in one.pathways.items()}
        options = replace(_synapse_options(one, delayed), clock=name_of(one.clock), clocks={**_code_clocks(one, name_of), **clocks})
        if gradients:
            options = replace(options, in_steps=True, slots={**(options.slots or {}), IN_STEPS: f"before_{schedule[0]}"})
        compiled[one.name] = compile_model(relative(models[one.name], _parts(one)), options, source, target)
    _check_one_sum(synapses)
    for name, one_compiled in compiled.items():
        log_choice(name, _given(present[name], "method"), one_compiled.method)
    oldest_first = sorted(compiled.items(), key=lambda entry: present[entry[0]]._number)
    parts = {name: _active(present[name], _with_margin(one.part) if name in margins else one.part) for name, one in oldest_first}
    parts |= {item.name: replace(parts[item.name], steps=()) for item in still}
    kernels = [*extra]
    fed = {k.array for k in extra if isinstance(k, Table)}
    for item in (item for item in present.values() if item not in still):
        if isinstance(item, InputGroup | SpikeGeneratorGroup) and item.active and f"{item.name}.{SPIKE}" not in fed:
            kernels.append(Table(f"{item.name}.spikes", f"{item.name}.{SPIKE}", slot=item.when, order=item.order, clock=name_of(item.clock)))
        elif isinstance(item, Monitor) and monitors:
            kernels += record_kernels(item, parts, compiled, name_of(item.clock))
        if acts(item) and item.active:
            kernels.append(Extern(item.name, item.when, item.order, clock=name_of(item.clock)))
    program = compile_program(list(parts.values()), kernels, schedule, ticks.table, gradients)
    rates = [(clock, ticks.of(clock)) for clock in clocks_of(objects)]
    states = [(item, v.name) for item in (*groups, *synapses) for v in resolved[item.name].model.variables if v.role is Role.STATE]
    return Prepared(program, present, compiled, resolved, ticks, objects, rates, states, tuple(parts.values()), tuple(kernels), tuple(schedule))


def _check_one_sum(synapses: Iterable[Synapses]) -> None:
    """Refuse two sums into one variable of one neuron: each begins at zero, so that the last would win."""
    found: list[tuple[SummedUpdater, range]] = []
    for one in synapses:
        for updater in summed_updaters(one):
            group = updater.target
            place = range(group._first, group._first + len(group))
            for other, taken in found:
                if other.target._whole is group._whole and other.variable == updater.variable and max(place[0], taken[0]) <= min(place[-1], taken[-1]):
                    text = f"{other.name!r} and {updater.name!r} both sum into {group.name}.{updater.variable}"
                    raise NotImplementedError(f"{text}; give the group one variable for each, and add them in a subexpression")
            found.append((updater, place))


def _linked_sources(items: Iterable[SimulationObject]) -> list[Group]:
    """The groups that variables are linked to, directly or through others, and that are not among `items`."""
    found: list[Group] = []
    todo = [item for item in items if isinstance(item, VariableOwner)]
    known = {id(item) for item in todo}
    while todo:
        for source in (target.source for target in todo.pop()._links.values()):
            if id(source) not in known and isinstance(source, Group):
                known.add(id(source))
                found.append(source)
                todo.append(source)
    return found


def _links(item: Group | Synapses) -> dict[str, Link]:
    """What the linked variables of an object stand for."""
    return {name: target.link(name) for name, target in item._links.items()}


def _model_of(group: Group, inputs: Sequence[PoissonInput]) -> Model:
    """The model of a group with the code and the Poisson inputs that belong to it."""
    model = _with_codes(group)
    return replace(model, codes=(*model.codes, *(item.parsed for item in inputs)), variables=(*model.variables, *_numbers(group, inputs)))


def _numbers(group: Group, inputs: Sequence[PoissonInput]) -> dict[Variable, float]:
    """The numbers that the code and the Poisson inputs of a group need."""
    found = [runner.constants for runner in runners(group)] + [item.constants for item in inputs]
    return {constant: value for constants in found for constant, value in constants.items()}


def _with_numbers(resolved: Resolved, numbers: Mapping[Variable, float]) -> Resolved:
    """With these among the constants of the object."""
    return replace(resolved, values={**resolved.values, **{constant.name: value for constant, value in numbers.items()}})


def _with_events(group: Group, resolved: Resolved) -> Resolved:
    """Inputs have spikes without a condition for them."""
    model = resolved.model
    if not isinstance(group, InputGroup | SpikeGeneratorGroup):
        return resolved
    return replace(resolved, model=replace(model, variables=(*model.variables, Variable(SPIKE, Role.EVENT, dtype=DType.BOOL))))


def _check_event(group: VariableOwner, who: str, compiled: Mapping[str, Compiled], event: str = "spike") -> None:
    if any(variable.name == f"_{event}" for variable in compiled[group._whole.name].core.variables):
        return
    if event == "spike":
        raise ValueError(f"{who} waits for spikes of {group.name!r}, which has no threshold; give it one")
    raise ValueError(f"{who} waits for the event {event!r}, which {group.name!r} does not have; name it in its events=")


def _active(item: SimulationObject, part: Part) -> Part:
    """The Part without the Steps of what is switched off."""
    if not item.active:
        return replace(part, steps=())
    silent = {stage.step for stage in stages_of(item) if not stage.active}
    if isinstance(item, Synapses):
        silent |= {name for name, pathway in item.pathways.items() if not pathway.active}
        silent |= {step for updater in summed_updaters(item) if not updater.active for step in updater.steps}
    return replace(part, steps=tuple(step for step in part.steps if step.name not in silent))


def _with_margin(part: Part) -> Part:
    """The Part with one more variable: the margin of its threshold."""
    steps = []
    for step in part.steps:
        margin = next((line.margin for line in step.body if isinstance(line, Fire) and line.margin is not None), None)
        if margin is not None:
            body, results = (*step.body, Let("_margin_now", margin)), (*step.results, Result(Access("_margin"), "_margin_now"))
            step = replace(step, body=body, results=results)
        steps.append(step)
    if tuple(steps) == part.steps:
        raise ValueError(f"{part.name} has no margin: its threshold is not one comparison")
    model = replace(part.model, variables=(*part.model.variables, Variable("_margin", Role.HIDDEN)))
    return replace(part, model=model, steps=tuple(steps))


def _group_options(group: Group, inputs: Sequence[PoissonInput], detach: Detach) -> Options:
    slots, orders, ties = places(group)
    orders |= {item.name: item.order for item in inputs}
    ties |= {item.name: item.name for item in inputs}
    slots |= {"threshold": group.when} if isinstance(group, PoissonGroup) else {}
    for stage in stages_of(group):
        if stage.moved:
            slots[stage.step], orders[stage.step] = stage.when, stage.order
    return Options(method=_methods(group), detach=detach, order=group.order, slots=slots, orders=orders, ties=ties)


def _given(item: SimulationObject, name: str) -> Any:
    """An argument of the constructor, whatever variables the object has; None if it takes no such argument."""
    return item._given.get(name) if isinstance(item, VariableOwner) else None


def _with_codes(item: Group | Synapses) -> Model:
    """The model of an object with the code that runs besides its equations, or in their place."""
    model = with_codes(item, item.model)
    if not isinstance(item, NeuronGroup | Synapses):
        return model
    return with_written_step(model, _given(item, "method"), item.equations, _given(item, "method_options"))


def _methods(item: Group | Synapses) -> tuple[str | Method, ...]:
    if not isinstance(item, NeuronGroup | Synapses):
        return DEFAULT_METHODS
    return compiler_methods(_given(item, "method"), item.equations, {v.name: v for v in item.model.variables})


def _synapse_options(synapses: Synapses, changing: Collection[str]) -> Options:
    pathways = synapses.pathways
    delayed = frozenset(name for name in pathways if synapses.is_delayed(name) or f"{synapses.name}.{name}.delay" in changing)
    slots, orders, ties = places(synapses)
    slots |= {name: pathway.when for name, pathway in pathways.items()}
    orders |= {name: pathway.order for name, pathway in pathways.items()}
    if synapses.state_updater.moved:
        slots["update"], orders["update"] = synapses.state_updater.when, synapses.state_updater.order
    return Options(
        method=_methods(synapses),
        pre=synapses.source._whole.name,
        post=synapses.target._whole.name,
        delayed=delayed,
        order=synapses.order,
        slots=slots,
        orders=orders,
        ties=ties,
    )
