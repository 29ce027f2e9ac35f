"""Random numbers as inputs: a Program whose draws come from outside, so that one noise can be given to any engine, and to each member of a batch its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .dataflow import constant_in_run
from .expr import Expr, Index, Name, Number
from .ir import Array, Deliver, Draw, Kernel, Line, Load, Map, Program, Role, Store, Table
from .optimize import names_read, prune


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a law: a number, or the array that holds it (for each element, unless it is `shared`)."""

    value: float | str
    shared: bool = True


@dataclass(frozen=True, slots=True)
class Noise:
    """What the table `name` (and the array of that name) has to hold: in each step a number of the law for each element of `space`.

    `owner` is the object whose stream the numbers belong to, `number` tells its draws apart. Without `parameters` the draw is still in the kernel, because they
    change during a run: what is needed then is a function of them.
    """

    name: str
    owner: str
    space: str
    law: str
    number: int
    parameters: tuple[Parameter, ...] | None = ()


def feed_draws(program: Program) -> tuple[Program, tuple[Noise, ...]]:
    """`Program -> Program, noise`: draws become loads of arrays that tables fill at the beginning of every step, if their parameters are known then."""
    fixed = constant_in_run(program)
    found: list[Noise] = []
    kernels: list[Kernel] = []
    for kernel in program.kernels:
        if isinstance(kernel, Map | Deliver) and any(isinstance(line, Draw) for line in kernel.body):
            kernel, new = _fed(kernel, fixed)
            found += new
        kernels.append(kernel)
    known = [noise for noise in found if noise.parameters is not None]
    tables = [Table(noise.name, noise.name, clock=_clock(program, noise)) for noise in known]
    arrays = [Array(noise.name, noise.space or None, Role.INPUT, Draw(noise.name, noise.law, 0).dtype) for noise in known]
    return replace(program, arrays=(*program.arrays, *arrays), kernels=(*tables, *kernels)), tuple(found)


def _clock(program: Program, noise: Noise) -> str:
    return next(kernel.clock for kernel in program.kernels if noise.name.startswith(f"{kernel.name}:"))


def _fed(kernel: Map | Deliver, fixed: frozenset[str]) -> tuple[Map | Deliver, list[Noise]]:
    loads = {load.name: load for load in kernel.loads}
    found: list[Noise] = []
    body: list[Line] = []
    extra: list[Load] = []
    for line in kernel.body:
        if not isinstance(line, Draw):
            body.append(line)
            continue
        owner = kernel.space or kernel.name.partition(".")[0]
        noise = Noise(f"{kernel.name}:{line.name}", owner, kernel.space, line.law, line.number, _parameters(line, loads, fixed))
        found.append(noise)
        if noise.parameters is None:
            body.append(line)
        else:
            extra.append(Load(line.name, noise.name, Index.SELF, line.dtype))
    return replace(kernel, loads=(*kernel.loads, *extra), body=tuple(body)), found


def _parameters(line: Draw, loads: dict[str, Load], fixed: frozenset[str]) -> tuple[Parameter, ...] | None:
    """The parameters of a law, where they are known before a run."""
    found: list[Parameter] = []
    for argument in line.arguments:
        parameter = _parameter(argument, loads, fixed)
        if parameter is None:
            return None
        found.append(parameter)
    return tuple(found)


def _parameter(argument: Expr, loads: dict[str, Load], fixed: frozenset[str]) -> Parameter | None:
    match argument:
        case Number(value):
            return Parameter(float(value))
        case Name(name) if name in loads and loads[name].array in fixed and loads[name].index in (Index.SELF, Index.SHARED):
            return Parameter(loads[name].array, loads[name].index is Index.SHARED)
    return None


def draw_apart(program: Program) -> Program:
    """`Program -> Program`: every draw in a Map gets a Map of its own before it, and the other finds the number in an array.

    So a number is drawn once, also where the Map is differentiated or done again: its parameters could differ in their last bits the second time.
    """
    arrays: list[Array] = []
    kernels: list[Kernel] = []
    for kernel in program.kernels:
        while isinstance(kernel, Map) and (line := next((line for line in kernel.body if isinstance(line, Draw)), None)) is not None:
            assert kernel.only is None and not kernel.after, "draws stand apart where every Map runs for all elements"
            array = Array(f"{kernel.name}:{line.name}", kernel.space or None, Role.INPUT, line.dtype)
            drawing, kernel = _apart(kernel, line, array.name)
            arrays.append(array)
            kernels.append(drawing)
        kernels.append(kernel)
    return replace(program, arrays=(*program.arrays, *arrays), kernels=tuple(kernels))


def _apart(kernel: Map, line: Draw, array: str) -> tuple[Map, Map]:
    """A Map that draws, and the Map without that draw."""
    before = kernel.body[: kernel.body.index(line)]
    body = (*prune(before, names_read([line])), line)
    read = names_read(body)
    store = Store(array, Index.SELF, line.name, line.dtype)
    drawing = replace(kernel, name=f"{array}:draw", loads=tuple(load for load in kernel.loads if load.name in read), body=body, stores=(store,))
    rest = tuple(other for other in kernel.body if other is not line)
    return drawing, replace(kernel, loads=(*kernel.loads, Load(line.name, array, Index.SELF, line.dtype)), body=rest)


def drawing_map(program: Program, noise: Noise) -> Map:
    """The Map that draws what the table of a law with parameters has to hold."""
    loads: list[Load] = []
    arguments: list[Expr] = []
    for number, parameter in enumerate(noise.parameters or ()):
        if isinstance(parameter.value, str):
            load = Load(f"parameter_{number}", parameter.value, Index.SHARED if parameter.shared else Index.SELF, program.array(parameter.value).dtype)
            loads.append(load)
            arguments.append(Name(load.name))
        else:
            arguments.append(Number(parameter.value))
    line = Draw("drawn", noise.law, noise.number, tuple(arguments))
    return Map(f"{noise.name}:draw", noise.space, tuple(loads), (line,), (Store(noise.name, Index.SELF, line.name, line.dtype),))
