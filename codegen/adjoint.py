"""Reverse mode for whole Programs: back-propagation through time as one more Program, which every backend runs like any other.

Every kernel is transposed by its kind, and the steps run from the last to the first.

- Each float array `x` that depends on what is trained gets a cotangent `x~`, the derivative of the loss by the value that `x` has at that moment. A
  kernel that overwrites `x` finds in `x~` the cotangent of the new value and leaves that of the old one; a kernel that only reads `x` adds to `x~`.
- A Map becomes a Map that recomputes its body from what it read, which is on the tape (array `kernel:x`, role TAPE) if anything writes it during the
  run, and otherwise in the array itself; the running time is known to engines. The past of EVENT arrays is kept anyway, so it is read from them.
- The cotangent of an EVENT array is one for each step, zero at first, and gathers what that step's event did, later arrivals through delays included.
- A Deliver becomes a Map over its synapses, called `deliver~`, which loads (and adds to) events as they were when they were sent.
- A Record becomes a Table that adds to the cotangent, and a Table a Record of it.
- A value shared by all elements is transposed in a Map over one element, whose `space` is "" and whose name ends in `~shared`.
- Set-up kernels are transposed too; `setup` of the backward Program runs after its last step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from .derivative import active_names, reverse, used
from .errors import UnsupportedError
from .expr import ZERO, Binary, Cast, DType, Index, Name
from .ir import Array, Deliver, Extern, Kernel, Let, Line, Load, Map, Program, Record, Role, Select, Store, Table, defined
from .surrogate import Gradients, gradient_of

CONSTANT_ROLES = frozenset({Role.CLOCK, Role.INDEX})


def adjoint(program: Program, gradient: Gradients, wrt: tuple[str, ...]) -> tuple[Program, Program]:
    """`Program -> Program, Program`: the forward Program with its tape, and the backward one.

    `wrt` names the arrays whose gradient is wanted. After the backward run `x~` is that of the parameter `x`, or of the initial value of a variable; the
    gradient of an array that a Table feeds is the record of that Table's name.
    """
    _check(program, wrt)
    scene = _Scene(program, gradient, active_arrays(program, gradient, wrt), _varying(program), frozenset(wrt))
    kernels = [new for kernel in reversed(program.kernels) for new in _transpose(scene, kernel)]
    setup = [new for kernel in reversed(program.setup) for new in _transpose_map(scene, kernel)]
    kept = dict.fromkeys(load.array for kernel in (*kernels, *setup) if isinstance(kernel, Map) for load in kernel.loads)
    tape = tuple((k.name, array) for k in program.kernels for array in _read(k) if _taped(k.name, array) in kept)
    arrays = {array.name: array for array in program.arrays}
    cotangents = [Array(_bar(a.name), a.space, Role.COTANGENT) for a in program.arrays if a.name in scene.active]
    copies = [replace(arrays[array], name=_taped(kernel, array), role=Role.TAPE) for kernel, array in tape]
    backward = Program((*program.arrays, *copies, *cotangents), tuple(setup), tuple(kernels), reverse=True)
    return replace(program, tape=tape), backward


@dataclass(frozen=True, slots=True)
class _Scene:
    """What every kernel's transpose needs to know about the Program."""

    program: Program
    gradient: Gradients
    active: frozenset[str]
    varying: frozenset[str]
    wrt: frozenset[str]


def _bar(array: str) -> str:
    return f"{array}~"


def _taped(kernel: str, array: str) -> str:
    return f"{kernel}:{array}"


def _read(kernel: Kernel) -> tuple[str, ...]:
    """The arrays that a kernel reads, each once."""
    return tuple(dict.fromkeys(load.array for load in dense(kernel).loads)) if isinstance(kernel, Map | Deliver) else ()


# -------------------------------------------------------------------------------------------------------------------------- what the Program depends on
def _check(program: Program, wrt: Iterable[str]) -> None:
    """Refuse, by name, what has no transpose."""
    for name in wrt:
        array = program.array(name)
        if not _can_be_active(array):
            raise UnsupportedError(f"`{name}` ({array.dtype.value}, {array.role.value}) has no gradient")
    last = {store.array: n for n, kernel in enumerate(program.kernels) for store in _stores(kernel)}
    for n, kernel in enumerate(program.kernels):
        if isinstance(kernel, Map) and kernel.part is not None:
            raise TypeError(f"kernel {kernel.name} runs for part of {kernel.space}; take the adjoint of the Program that `widen` makes")
        if isinstance(kernel, Deliver) and kernel.sequential:
            raise UnsupportedError(
                f"the result of pathway {kernel.name} depends on the order of its synapses, so it has no gradient",
                hint="Only add to the variables of the connected groups (`v_post += w`), and do not read there what the same code adds to.",
            )
        if isinstance(kernel, Extern):
            raise UnsupportedError(f"the function {kernel.name} has no gradient: nothing is known of what it does", hint="Leave it out of the network.")
        if not isinstance(kernel, Map | Deliver):
            continue
        for load in dense(kernel).loads:
            if program.array(load.array).role is Role.EVENT and not load.delayed and last.get(load.array, -1) >= n:
                raise UnsupportedError(f"{kernel.name} reads the events `{load.array}` before this step has found them: such a schedule has no gradient")
        for store in kernel.stores:
            if isinstance(kernel, Map) and store.index in (Index.PRE, Index.POST):
                if not store.add or any(load.array == store.array for load in kernel.loads):
                    raise UnsupportedError(f"{kernel.name} writes `{store.array}` from several synapses in an order that matters, so it has no gradient")


def _stores(kernel: Kernel) -> Iterator[Store]:
    match kernel:
        case Map() | Deliver():
            yield from kernel.stores
        case Table(name, array):
            yield Store(array, Index.SELF, name)


def _can_be_active(array: Array) -> bool:
    return array.role is Role.EVENT or (array.dtype is DType.FLOAT and array.role not in CONSTANT_ROLES)


def _varying(program: Program) -> frozenset[str]:
    """The arrays whose values change during a run in ways that a step's number does not tell: the running time is known backwards, too."""
    return frozenset(store.array for kernel in program.kernels for store in _stores(kernel))


def active_arrays(program: Program, gradient: Gradients, wrt: Iterable[str]) -> frozenset[str]:
    """The arrays that depend on those in `wrt` in a way that has a derivative."""
    allowed = {a.name for a in program.arrays if _can_be_active(a)}
    maps = [dense(kernel) for kernel in (*program.setup, *program.kernels) if isinstance(kernel, Map | Deliver)]
    active = set(wrt)
    while True:
        before = len(active)
        for kernel in maps:
            names = _active_in(kernel, gradient, active)
            active |= {store.array for store in kernel.stores if store.name in names and store.array in allowed}
        if len(active) == before:
            return frozenset(active)


def _active_in(kernel: Map, gradient: Gradients, active: Iterable[str]) -> set[str]:
    arrays = set(active)
    return active_names(kernel.body, _types(kernel), [load.name for load in kernel.loads if load.array in arrays], gradient_of(gradient, kernel.space))


def _types(kernel: Map) -> dict[str, DType]:
    return {load.name: load.dtype for load in kernel.loads}


# ------------------------------------------------------------------------------------------------------------------------- kernels without conditions
def unconditional(program: Program) -> Program:
    """`Program -> Program`: every Map of a step runs for all elements of its group, in every step. Deliveries remain."""
    kernels = tuple(dense(kernel) if isinstance(kernel, Map) and kernel.part is None else kernel for kernel in program.kernels)
    return replace(program, kernels=kernels)


def dense(kernel: Map | Deliver) -> Map:
    """`Kernel -> Map`: the same results with every element computing, whether or not its event is set."""
    match kernel:
        case Deliver():
            return _dense_deliver(kernel)
        case Map(only=None):
            return kernel if not kernel.after else replace(kernel, after=())
    events = {load.name for load in kernel.loads if load.array == kernel.only}
    if any(isinstance(line, Select) and isinstance(line.event, Name) and line.event.name in events for line in kernel.body):
        return replace(kernel, only=None, after=())
    assert kernel.only is not None
    return _conditional(kernel, Load(_unused("event", kernel), kernel.only, Index.SELF, DType.BOOL), kernel)


def _dense_deliver(kernel: Deliver) -> Map:
    event = Load(_unused("event", kernel), kernel.events, kernel.side, DType.FLOAT, kernel.delay is not None)
    return _conditional(kernel, event, Map(kernel.name, kernel.space, kernel.loads, kernel.body, (), kernel.slot, kernel.order))


def _conditional(kernel: Map | Deliver, event: Load, frame: Map) -> Map:
    """Additions are scaled by the event, other results replace where it is set."""
    loads = {(load.array, load.index): load for load in (*kernel.loads, event)}
    body: list[Line] = list(kernel.body)
    stores: list[Store] = []
    for number, store in enumerate(kernel.stores):
        name = _unused(f"_kept_{number}", kernel)
        stores.append(replace(store, name=name))
        if store.add:
            factor = Name(event.name) if event.dtype is DType.FLOAT else Cast(DType.FLOAT, Name(event.name))
            product = Binary("*", factor, Name(store.name))
            body.append(Let(name, product if store.dtype is DType.FLOAT else Cast(store.dtype, product), store.dtype))
            continue
        key = (store.array, store.index)
        loads.setdefault(key, Load(_unused(f"_old_{number}", kernel), store.array, store.index, store.dtype))
        body.append(Select(name, Name(event.name), Name(store.name), Name(loads[key].name), store.dtype))
    every = tuple(dict.fromkeys((*kernel.loads, *loads.values())))
    return replace(frame, loads=every, body=tuple(body), stores=tuple(stores), only=None, after=())


def _unused(stem: str, kernel: Map | Deliver) -> str:
    taken = {load.name for load in kernel.loads} | {name for line in kernel.body for name in defined(line)}
    while stem in taken:
        stem = f"_{stem}"
    return stem


# ---------------------------------------------------------------------------------------------------------------------------------- the four transposes
def _transpose(scene: _Scene, kernel: Kernel) -> Iterator[Kernel]:
    match kernel:
        case Map() | Deliver():
            yield from _transpose_map(scene, dense(kernel))
        case Record(name, array, slot, order):
            if array in scene.active:
                yield Table(name, _bar(array), True, slot, order)
        case Table():
            yield from _transpose_table(scene, kernel)


def _transpose_table(scene: _Scene, table: Table) -> Iterator[Kernel]:
    """What an array takes from outside has the array's cotangent; what it was before counts no more."""
    if table.array not in scene.active:
        return
    array = scene.program.array(table.array)
    if table.array in scene.wrt:
        yield Record(table.name, _bar(table.array), table.slot, table.order)
    if table.add or array.role is Role.EVENT:
        return
    store = Store(_bar(table.array), Index.SHARED if array.space is None else Index.SELF, "nothing")
    yield Map(f"{table.name}~zero", array.space or "", (), (Let("nothing", ZERO),), (store,), table.slot, table.order)


def _transpose_map(scene: _Scene, kernel: Map) -> Iterator[Map]:
    """Values shared by all elements first: their Map sets cotangents that the elements' Map then adds to."""
    kernel = _distinct(kernel)
    stores = [store for store in kernel.stores if store.array in scene.active]
    shared = [store for store in stores if store.index is Index.SHARED and not store.add]
    if shared:
        yield _transpose_part(scene, kernel, shared, one=True)
    if len(shared) < len(stores):
        yield _transpose_part(scene, kernel, [store for store in stores if store not in shared], one=False)


def _distinct(kernel: Map) -> Map:
    """`Map -> Map`: every array loaded once from each side."""
    first: dict[tuple[str, Index, bool], Load] = {}
    again: list[Line] = []
    for load in kernel.loads:
        known = first.setdefault((load.array, load.index, load.delayed), load)
        if known is not load:
            again.append(Let(load.name, Name(known.name), load.dtype))
    return replace(kernel, loads=tuple(first.values()), body=(*again, *kernel.body)) if again else kernel


def _transpose_part(scene: _Scene, kernel: Map, stores: list[Store], one: bool) -> Map:
    types = _types(kernel)
    taken = {*types, *(name for line in kernel.body for name in defined(line))}
    seeds: list[tuple[str, str]] = []
    bars: list[Load] = []
    for number, store in enumerate(stores):
        name = f"_bar_{number}"
        while name in taken:
            name = f"_{name}"
        seeds.append((store.name, name))
        bars.append(Load(name, _bar(store.array), store.index, DType.FLOAT, store.delayed))
    active = [load.name for load in kernel.loads if load.array in scene.active]
    lines, found = reverse(kernel.body, types, active, seeds, gradient_of(scene.gradient, kernel.space))
    extra, new_stores = _cotangent_stores(scene, kernel, stores, found, taken | {name for line in lines for name in defined(line)})
    body = (*lines, *extra)
    read = {name for line in body for name in used(line)}
    loads = (*(_from_tape(scene, kernel, load) for load in kernel.loads if load.name in read), *(load for load in bars if load.name in read))
    if one:
        _check_shared(kernel, loads)
    name, space = (f"{kernel.name}~shared", "") if one else (f"{kernel.name}~", kernel.space)
    return Map(name, space, loads, body, tuple(new_stores), kernel.slot, kernel.order)


def _cotangent_stores(
    scene: _Scene, kernel: Map, stores: list[Store], found: Mapping[str, str], taken: set[str]
) -> tuple[list[Line], list[Store]]:
    """Cotangents of what was overwritten are set, all others added to; those of events are one for each step and need no clearing."""
    replaced = {store.array: store for store in stores if not store.add and scene.program.array(store.array).role is not Role.EVENT}
    new: list[Store] = []
    for load in kernel.loads:
        if load.name in found:
            new.append(Store(_bar(load.array), load.index, found[load.name], add=load.array not in replaced, delayed=load.delayed))
            replaced.pop(load.array, None)
    if not replaced:
        return [], new
    nothing = "_nothing"
    while nothing in taken:
        nothing = f"_{nothing}"
    return [Let(nothing, ZERO)], [*new, *(Store(_bar(array), store.index, nothing) for array, store in replaced.items())]


def _from_tape(scene: _Scene, kernel: Map, load: Load) -> Load:
    constant = load.array not in scene.varying or scene.program.array(load.array).role is Role.EVENT
    return load if constant else replace(load, array=_taped(kernel.name, load.array))


def _check_shared(kernel: Map, loads: tuple[Load, ...]) -> None:
    for load in loads:
        if load.index is not Index.SHARED:
            raise UnsupportedError(f"{kernel.name} computes a value shared by all elements from `{load.array}`, which each has its own: it has no gradient")
