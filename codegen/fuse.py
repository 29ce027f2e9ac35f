"""Steps to Program: the network's schedule, the arrays behind the variables, and fewer, larger kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from .dataflow import CHANGEABLE, elementwise, reads, writes
from .expr import Access, Binary, DType, Expr, Index, Name, Number, substitute, walk
from .ir import (
    Array,
    Deliver,
    Extern,
    Kernel,
    Let,
    Line,
    Load,
    Map,
    Model,
    Program,
    Propagator,
    Result,
    Role,
    Select,
    Step,
    Store,
    Variable,
    defined,
)
from .lines import rewrite_line
from .optimize import optimize
from .rare import draws_by_blocks
from .ties import in_order_of_creation

DEFAULT_SCHEDULE = ("start", "groups", "thresholds", "synapses", "resets", "end")


@dataclass(frozen=True, slots=True)
class Part:
    """One object of the network, ready to be placed in it.

    `pre` and `post` name the connected groups; `delayed` the pathways with delays. By the Step's name, `slots` and `orders` override slot and order
    (the Part's own included), `ties` the name that orders Steps of one slot and order (the object's and the Step's), and `clocks` the clock on which a Step
    runs. `clock` is the object's: its texts see the time of that.
    """

    name: str
    model: Model
    steps: tuple[Step, ...]
    pre: str | None = None
    post: str | None = None
    delayed: frozenset[str] = frozenset()
    order: int = 0
    slots: Mapping[str, str] | None = None
    orders: Mapping[str, int] | None = None
    ties: Mapping[str, str] | None = None
    clock: str = "clock"
    clocks: Mapping[str, str] | None = None


def assemble(
    parts: Sequence[Part],
    extra: Sequence[Kernel] = (),
    schedule: Sequence[str] = DEFAULT_SCHEDULE,
    clocks: tuple[tuple[str, int], ...] = (("clock", 1),),
) -> Program:
    """`Steps -> Program`: every Step bound to arrays and put in its place in the schedule; `extra` are the records and tables of the network.

    The Parts come in the order in which users made them.
    """
    models = {part.name: part.model for part in parts}
    arrays: dict[str, Array] = {}
    kernels: list[tuple[tuple[int, int, str], Kernel]] = []
    for part in parts:
        for variable in part.model.variables:
            if variable.role not in (Role.SUBEXPRESSION, Role.LINKED):
                array = declare(part, variable)
                if variable.array is None or array.name not in arrays:  # the owner's own declaration counts
                    arrays[array.name] = array
    for part in parts:
        for step in part.steps:
            bound, new = _bind(part, models, step)
            arrays |= {a.name: a for a in new}
            bound, copies = _read_before_written(bound, arrays)
            arrays |= {a.name: a for a in copies}
            tie = (part.ties or {}).get(step.name, f"{part.name}_{step.name}")
            clock = (part.clocks or {}).get(step.name, part.clock)
            kernels += [((*_slot(kernel, schedule), tie), replace(kernel, clock=clock)) for kernel in bound]
    kernels += [((*_slot(kernel, schedule), kernel.name.replace(".", "_")), kernel) for kernel in extra]
    used = _used(kernel for _, kernel in kernels)
    kept = tuple(a for a in arrays.values() if a.name in used or a.role is Role.CLOCK)
    whole = [(key, number, _reaching(optimize_kernel(kernel), kept)) for number, (key, kernel) in enumerate(kernels)]
    whole.sort(key=lambda item: item[0])  # stable: the kernels of one Step stay in their order
    slots = groupby(whole, key=lambda item: item[0][:2])
    ordered = [kernel for _, tied in slots for kernel in in_order_of_creation([(number, kernel) for _, number, kernel in tied])]
    return Program(kept, (), tuple(ordered), clocks=clocks)


def _reaching(kernel: Kernel, arrays: Sequence[Array]) -> Kernel:
    """`Kernel -> Kernel`: an Extern told what a user's function can reach."""
    if not isinstance(kernel, Extern):
        return kernel
    return replace(kernel, reads=tuple(a.name for a in arrays), writes=tuple(a.name for a in arrays if a.role in CHANGEABLE))


def optimize_kernel(kernel: Kernel) -> Kernel:
    return optimize(kernel) if isinstance(kernel, Map | Deliver) else kernel


def _slot(kernel: Kernel, schedule: Sequence[str]) -> tuple[int, int]:
    """The first two keys of Brian's order: slot, then order (then name)."""
    slots = [s for name in schedule for s in (f"before_{name}", name, f"after_{name}")]
    if kernel.slot not in slots:
        raise ValueError(f"the schedule has no slot '{kernel.slot}'; its slots are {', '.join(schedule)} (each with before_ and after_)")
    return slots.index(kernel.slot), kernel.order


def declare(part: Part, variable: Variable) -> Array:
    """The array behind a variable of an object; all objects of one clock share the clock's, and a table has a space of its own."""
    name = array_name(part.name, variable, part.clock)
    shared = variable.shared or variable.role in (Role.EXTERNAL, Role.CLOCK)
    space = None if shared else name if variable.role is Role.TABLE else name.partition(".")[0]
    return Array(name, space, variable.role, variable.dtype, variable.dimensions)


def array_name(owner: str, variable: Variable, clock: str = "clock") -> str:
    """What the array behind a variable of `owner` is called."""
    return variable.array or f"{clock if variable.role is Role.CLOCK else owner}.{variable.name}"


# ---------------------------------------------------------------------------------------------------------------------------- binding Steps to arrays
class _Binder:
    """Turns the accesses of one Step into loads and stores; `over` tells whose elements run it."""

    def __init__(self, part: Part, models: Mapping[str, Model], over: Index = Index.SELF) -> None:
        self.part, self.models, self.over = part, models, over
        self.loads: dict[Access, Load] = {}

    def owner(self, access: Access) -> tuple[Part | None, str, Variable]:
        group = {Index.PRE: self.part.pre, Index.POST: self.part.post}.get(access.index)
        if access.index is Index.WHOLE:
            sides = (self.part.name, self.part.pre, self.part.post)
            group = next((side for side in sides if side and any(v.name == access.variable for v in self.models[side].variables)), None)
        if group is None:
            return self.part, self.part.name, self.part.model.variable(access.variable)
        return None, group, self.models[group].variable(access.variable)

    def array(self, access: Access) -> tuple[str, Index, DType]:
        _, owner, variable = self.owner(access)
        shared = variable.shared or variable.role in (Role.EXTERNAL, Role.CLOCK)
        index = Index.SHARED if shared else Index.SELF if access.index is self.over else access.index
        return array_name(owner, variable, self.part.clock), index, variable.dtype

    def load(self, access: Access) -> Name:
        if access not in self.loads:
            array, index, dtype = self.array(access)
            suffix = {Index.PRE: "_pre", Index.POST: "_post", Index.WHOLE: "_whole"}.get(access.index, "")
            self.loads[access] = Load(access.variable + suffix, array, index, dtype)
        return Name(self.loads[access].name)

    def body(self, step: Step) -> tuple[Line, ...]:
        def bind(expr: Expr) -> Expr:
            return substitute(expr, {node: self.load(node) for node in walk(expr) if isinstance(node, Access)})

        return tuple(rewrite_line(line, bind) for line in step.body)

    def store(self, result: Result) -> Store:
        array, index, dtype = self.array(result.access)
        return Store(array, index, result.name, dtype)


def _bind(part: Part, models: Mapping[str, Model], step: Step) -> tuple[list[Kernel], list[Array]]:
    binder = _Binder(part, models, step.over)
    body = binder.body(step)
    slot = (part.slots or {}).get(step.name, step.slot)
    orders = part.orders or {}
    order = orders[step.name] if step.name in orders else part.order + step.order
    name = f"{part.name}.{step.name}"
    if step.side is not None:
        return _bind_pathway(part, step, binder, body, slot, order)
    only = None if step.event is None else f"{part.name}.{step.event}"
    space = {Index.SELF: part.name, Index.SHARED: "", Index.PRE: part.pre, Index.POST: part.post}[step.over]
    assert space is not None
    stores, applies, arrays = _stores(step, binder, name, slot, order)
    return [Map(name, space, tuple(binder.loads.values()), body, stores, slot, order, only, step.after, part=step.part), *applies], arrays


def _stores(step: Step, binder: _Binder, name: str, slot: str, order: int) -> tuple[tuple[Store, ...], list[Kernel], list[Array]]:
    """Where results go; sums collect in accumulators of their own, which a Map each adds once, where a Deliver or a write guard asks for it."""
    stores: list[Store] = []
    applies: list[Kernel] = []
    arrays: list[Array] = []
    for number, result in enumerate(step.results):
        _, target, variable = binder.owner(result.access)
        if not result.add or (step.side is None and variable.guard is None):
            stores.append(replace(binder.store(result), add=result.add))
            continue
        accumulator = Array(f"{name}:{variable.name}_{result.access.index.value}", target, Role.ACCUMULATOR, variable.dtype, variable.dimensions)
        arrays.append(accumulator)
        stores.append(Store(accumulator.name, result.access.index, result.name, variable.dtype, add=True))
        after = () if step.side is None else (name,)
        applies.append(_apply(f"{name}:apply{number or ''}", target, variable, accumulator, slot, order, after))
    return tuple(stores), applies, arrays


def _bind_pathway(part: Part, step: Step, binder: _Binder, body: tuple[Line, ...], slot: str, order: int) -> tuple[list[Kernel], list[Array]]:
    name = f"{part.name}.{step.name}"
    side = step.side
    assert side is not None
    source = part.pre if side is Index.PRE else part.post
    stores, applies, arrays = _stores(step, binder, name, slot, order)
    delay = f"{part.name}.{step.name}.delay" if step.name in part.delayed else None
    if delay is not None:
        arrays.append(Array(delay, part.name, Role.INDEX, DType.INT32))
    deliver = Deliver(name, part.name, side, f"{source}.{step.event}", delay, tuple(binder.loads.values()), body, stores, step.sequential, slot, order)
    return [deliver, *applies], arrays


def _read_before_written(kernels: Sequence[Kernel], arrays: Mapping[str, Array]) -> tuple[list[Kernel], list[Array]]:
    """Where the elements of a Map write an array that they also read at other elements (a group linked to itself), they read a copy of it."""
    result: list[Kernel] = []
    copies: list[Array] = []
    for kernel in kernels:
        both = sorted({load.array for load in kernel.loads if load.index is Index.WHOLE} & writes(kernel)) if isinstance(kernel, Map) else []
        for name in both:
            assert isinstance(kernel, Map)
            array, copy = arrays[name], replace(arrays[name], name=f"{kernel.name}:{name.partition('.')[2]}", role=Role.HIDDEN)
            load, store = Load("_value", name, Index.SELF, array.dtype), Store(copy.name, Index.SELF, "_value", array.dtype)
            first = replace(kernel, name=f"{kernel.name}:copy_{name.partition('.')[2]}", space=array.space or "", only=None, after=(), part=None)
            result.append(replace(first, loads=(load,), body=(), stores=(store,)))
            loads = (replace(one, array=copy.name) if one.array == name and one.index is Index.WHOLE else one for one in kernel.loads)
            kernel = replace(kernel, loads=tuple(loads))
            copies.append(copy)
        result.append(kernel)
    return result, copies


def _apply(name: str, target: str, variable: Variable, accumulator: Array, slot: str, order: int, after: tuple[str, ...]) -> Map:
    """What arrived is added once, under the variable's write guard, and the accumulator is emptied."""
    value, arrived, dtype = Name(variable.name), Name("_arrived"), variable.dtype
    loads = [Load(variable.name, array_name(target, variable), Index.SELF, dtype), Load("_arrived", accumulator.name, Index.SELF, dtype)]
    body: list[Line] = [Let("_total", Binary("+", value, arrived), dtype)]
    new = "_total"
    if variable.guard is not None:
        loads.append(Load(variable.guard, f"{target}.{variable.guard}", Index.SELF, DType.BOOL))
        body.append(Select("_guarded", Name(variable.guard), Name("_total"), value, dtype))
        new = "_guarded"
    zero = Let("_nothing", _zero(dtype), dtype)
    stores = (Store(array_name(target, variable), Index.SELF, new, dtype), Store(accumulator.name, Index.SELF, "_nothing", dtype))
    return Map(name, target, tuple(loads), (*body, zero), stores, slot, order, after=after)


def _zero(dtype: DType) -> Expr:
    return Number(0.0 if dtype is DType.FLOAT else 0)


def _used(kernels: Iterable[Kernel]) -> set[str]:
    found: set[str] = set()
    for kernel in kernels:
        found |= reads(kernel) | writes(kernel)
    return found


# ---------------------------------------------------------------------------------------------------------------------------------------------- fusion
def fuse(program: Program) -> Program:
    """`Program -> Program`: a Map joins an earlier one over the same elements if nothing scheduled between them touches what it reads or writes."""
    kernels: list[Kernel] = []
    for kernel in program.kernels:
        place = _partner(kernels, kernel)
        if place is None:
            kernels.append(kernel)
        else:
            kernels[place] = merge(kernels[place], kernel)  # type: ignore[arg-type]
    return replace(program, kernels=tuple(kernels))


def _partner(kernels: Sequence[Kernel], kernel: Kernel) -> int | None:
    if not isinstance(kernel, Map) or kernel.only or kernel.after or not kernel.space or draws_by_blocks(kernel):
        return None
    touched, written = reads(kernel), writes(kernel)
    for place in range(len(kernels) - 1, -1, -1):
        other = kernels[place]
        if isinstance(other, Map) and same_elements(other, kernel) and not (other.only or other.after or draws_by_blocks(other)):
            return place if elementwise(other, kernel) else None
        if touched & writes(other) or written & (reads(other) | writes(other)):
            return None
    return None


def same_elements(first: Map, second: Map) -> bool:
    """Whether two Maps run for the same elements at the same times; of different parts of a group each has its own, which costs no more than its part."""
    return (first.space, first.clock, first.part) == (second.space, second.clock, second.part)


def merge(first: Map, second: Map) -> Map:
    """`Map, Map -> Map`: both bodies in one, the second reading the first one's results as names."""
    current = {store.array: store for store in first.stores}
    loads = {(load.array, load.index, load.delayed): load for load in first.loads}
    taken = {load.name for load in first.loads} | {name for line in first.body for name in defined(line)}
    renamed: dict[Expr, Expr] = {}
    new_loads = list(first.loads)

    def unused(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    for load in second.loads:
        if load.array in current:
            renamed[Name(load.name)] = Name(current[load.array].name)
        elif (load.array, load.index, load.delayed) in loads:
            renamed[Name(load.name)] = Name(loads[load.array, load.index, load.delayed].name)
        else:
            name = unused(load.name)
            renamed[Name(load.name)] = Name(name)
            new_loads.append(replace(load, name=name))
    body = list(first.body)
    for line in second.body:
        for name in defined(line):
            renamed[Name(name)] = Name(unused(name))
        moved = rewrite_line(line, lambda e: substitute(e, renamed))
        body.append(_renamed(moved, {k.name: v.name for k, v in renamed.items() if isinstance(k, Name) and isinstance(v, Name)}))
    stores = {(store.array, store.index, store.delayed): store for store in first.stores}
    for store in second.stores:
        target = renamed.get(Name(store.name), Name(store.name))
        assert isinstance(target, Name)
        stores[store.array, store.index, store.delayed] = replace(store, name=target.name)
    name = f"{first.name}+{second.name.split('.')[-1]}"
    merged = replace(first, name=name, loads=tuple(new_loads), body=tuple(body), stores=tuple(stores.values()))
    result = optimize(merged)
    assert isinstance(result, Map)
    return result


def _renamed(line: Line, names: Mapping[str, str]) -> Line:
    if not isinstance(line, Propagator):
        return replace(line, name=names[line.name])

    def table(rows: tuple[tuple[str | None, ...], ...]) -> tuple[tuple[str | None, ...], ...]:
        return tuple(tuple(None if n is None else names[n] for n in row) for row in rows)

    return replace(line, transition=table(line.transition), input_response=table(line.input_response))
