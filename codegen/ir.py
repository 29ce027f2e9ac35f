"""The languages of the compiler: `Model` (what), `Step` (how), `Kernel` and `Program` (where and when), `Source` (text).

Everything here is frozen data; behaviour lives in the passes. `str()` of any of them is readable and deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from .dims import DIMENSIONLESS, Dimensions, unit_name
from .errors import Span
from .expr import Access, DType, Expr, Index, show


# ---------------------------------------------------------------------------------------------------------------- Model: what the user described
class Role(Enum):
    """What a variable is, which decides who may write it and when it can change."""

    STATE = "state"  # has a differential equation
    PARAMETER = "parameter"  # declared, written by the user, by resets and by synapses
    SUBEXPRESSION = "subexpression"  # a name for an expression; never stored
    INPUT = "input"  # fed from outside at every step, constant over the step
    LINKED = "linked"  # another name for a variable of another object
    EXTERNAL = "external"  # a constant of the namespace in which run() was called
    CLOCK = "clock"  # t, dt, t_in_timesteps
    INDEX = "index"  # i, j, N, ...: read-only, fixed by the object's size and connections
    HIDDEN = "hidden"  # not_refractory, lastspike: written by the machinery
    NOISE = "noise"  # xi: white noise in differential equations, drawn anew in each step
    EVENT = "event"  # whether the element fired in this step
    ACCUMULATOR = "accumulator"  # what arrived in this step, zero at its start
    COTANGENT = "cotangent"  # derivative of the loss, in a backward Program
    TAPE = "tape"  # a value that the forward Program kept for the backward one
    TABLE = "table"  # values reached by a computed position: a space of its own, fixed during a run


@dataclass(frozen=True, slots=True)
class Variable:
    """A name the equations can use. `guard` names the boolean that must hold for anything but a reset to write it (`unless refractory`); `array` is the
    full name of the array behind it (`G.v`) where that belongs to another object."""

    name: str
    role: Role
    dimensions: Dimensions = DIMENSIONLESS
    dtype: DType = DType.FLOAT
    shared: bool = False
    constant: bool = False
    guard: str | None = None
    span: Span | None = field(default=None, compare=False, repr=False)
    array: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """`d variable / dt = drift`, and once `desugar` has run, plus `factor*xi` for each `{xi: factor}` of `noise`."""

    variable: str
    drift: Expr
    span: Span | None = field(default=None, compare=False, repr=False)
    noise: Mapping[str, Expr] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Subexpression:
    """`variable = value`, replaced wherever it is used."""

    variable: str
    value: Expr
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Statement:
    """`target operator value`; `operator` is `=` or an augmented assignment such as `+=`. An Access target is a variable, a str a local name."""

    target: Access | str
    operator: str
    value: Expr
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Refractory:
    """How long, or while what holds, an element cannot fire again."""

    value: Expr  # a duration in seconds, or a boolean condition
    conditional: bool


@dataclass(frozen=True, slots=True)
class Event:
    """Elements where `condition` (and `gate`) holds after the update fire: they run `marks` at once and `reset` in the slot of resets."""

    name: str
    condition: Expr
    reset: tuple[Statement, ...] = ()
    gate: Expr | None = None
    marks: tuple[Statement, ...] = ()

    @property
    def variable(self) -> str:
        """The boolean variable that tells which elements fired in this step."""
        return f"_{self.name}"


@dataclass(frozen=True, slots=True)
class Code:
    """Statements that every element runs in `slot` of every step; with `event`, only elements whose event fired in this step.

    `part` restricts the elements to some in a row, from the first to the last + 1. `over` tells whose elements these are: the object's own, those of a
    connected group (PRE, POST), or one for all (SHARED). Write guards hold, except in code of an event, which resets are the model of.
    """

    name: str
    statements: tuple[Statement, ...]
    slot: str
    order: int = 0
    event: str | None = None
    clock: str | None = None
    over: Index = Index.SELF
    part: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Summed:
    """`target` of every pre- or postsynaptic neuron is the sum of `value` over its synapses, anew in every step.

    `stated` are the dimensions that the synapses' equations give, `neurons` the first and last + 1 of the connected neurons where they are part of a
    group.
    """

    name: str
    target: Access | str
    value: Expr
    stated: Dimensions
    neurons: tuple[int, int] | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Pathway:
    """Code that runs for every synapse of a neuron (on side `PRE` or `POST`) whose event arrives."""

    name: str
    side: Index
    code: tuple[Statement, ...]
    event: str = "spike"


@dataclass(frozen=True, slots=True)
class Model:
    """One object of the user's network: its variables, how they flow, when they jump.

    `variables` are the object's own; `pre` and `post` those of the groups that a Synapses object connects. Names in expressions are resolved to
    `Access` nodes once `check.resolve` has run. `before` (written by `desugar`) runs at the start of every update.
    """

    name: str
    variables: tuple[Variable, ...] = ()
    flows: tuple[Flow, ...] = ()
    subexpressions: tuple[Subexpression, ...] = ()
    events: tuple[Event, ...] = ()
    refractory: Refractory | None = None
    pathways: tuple[Pathway, ...] = ()
    pre: tuple[Variable, ...] = ()
    post: tuple[Variable, ...] = ()
    before: tuple[Statement, ...] = ()
    codes: tuple[Code, ...] = ()
    event_driven: tuple[Flow, ...] = ()
    summed: tuple[Summed, ...] = ()

    def variable(self, access: Access | str) -> Variable:
        """The declaration behind a name or an access; KeyError if there is none."""
        name, table = (access, self.variables) if isinstance(access, str) else (access.variable, self._table(access.index))
        for variable in table:
            if variable.name == name:
                return variable
        raise KeyError(name)

    def _table(self, index: Index) -> tuple[Variable, ...]:
        if index is Index.WHOLE:
            return (*self.variables, *self.pre, *self.post)
        return {Index.PRE: self.pre, Index.POST: self.post}.get(index, self.variables)

    def __str__(self) -> str:
        rows = [f"model {self.name}"]
        subexpressions = {s.variable: s.value for s in self.subexpressions}
        for v in self.variables:
            flags = [v.role.value, *(["shared"] if v.shared else []), *(["constant"] if v.constant else []), *([f"guard {v.guard}"] if v.guard else [])]
            kind = unit_name(v.dimensions) if v.dtype is DType.FLOAT else v.dtype.value
            value = f" = {show(subexpressions[v.name])}" if v.name in subexpressions else ""
            rows.append(f"  {v.name}{value} : {kind} ({', '.join(flags)})")
        rows += [f"  before {show_statement(s)}" for s in self.before]
        rows += [f"  d{f.variable}/dt = " + " + ".join([show(f.drift), *(f"({show(factor)})*{xi}" for xi, factor in f.noise.items())]) for f in self.flows]
        rows += [f"  d{flow.variable}/dt = {show(flow.drift)} from event to event" for flow in self.event_driven]
        rows += [f"  {s.target if isinstance(s.target, str) else show(s.target)} = sum of {show(s.value)}" for s in self.summed]
        if self.refractory:
            rows.append(f"  refractory {'while' if self.refractory.conditional else 'for'} {show(self.refractory.value)}")
        for event in self.events:
            rows.append(f"  {event.name} where {show(event.condition)}" + (f" and {show(event.gate)}" if event.gate is not None else ""))
            rows += [f"    mark {show_statement(s)}" for s in event.marks]
            rows += [f"    reset {show_statement(s)}" for s in event.reset]
        for pathway in self.pathways:
            rows.append(f"  pathway {pathway.name} on {pathway.side.value} {pathway.event}")
            rows += [f"    {show_statement(s)}" for s in pathway.code]
        for code in self.codes:
            rows += [f"  {_show_code(code)}", *(f"    {show_statement(s)}" for s in code.statements)]
        return "\n".join(rows)


def _show_code(code: Code) -> str:
    text = f"code {code.name} in {code.slot}"
    text += f" on {code.event}" if code.event else ""
    text += "" if code.over is Index.SELF else f" once for each {code.over.value}" if code.over is not Index.SHARED else " once"
    return text + ("" if code.part is None else " for [{}:{}]".format(*code.part))


def show_statement(statement: Statement) -> str:
    """The statement as the user would write it."""
    target = statement.target if isinstance(statement.target, str) else show(statement.target)
    return f"{target} {statement.operator} {show(statement.value)}"


# ------------------------------------------------------------------------------------------------------- Step: a straight-line program for one element
@dataclass(frozen=True, slots=True)
class Let:
    """`name = value`; every name is assigned once."""

    name: str
    value: Expr
    dtype: DType = DType.FLOAT


@dataclass(frozen=True, slots=True)
class Fire:
    """`name` is 1 where the user's `condition` holds (and `gate`, if any). `margin` (positive above threshold) serves gradients only.

    `chance`: the margin is a probability minus a uniform number, so the expected event has the derivative 1 by the probability, whatever the surrogate.
    """

    name: str
    condition: Expr
    margin: Expr | None = None
    gate: Expr | None = None
    chance: bool = False


@dataclass(frozen=True, slots=True)
class Select:
    """`name = then if event else otherwise`, never a blend. `detach`: gradients do not flow into `event` from here."""

    name: str
    event: Expr
    then: Expr
    otherwise: Expr
    dtype: DType = DType.FLOAT
    detach: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """`name` is a fresh random number: `uniform` on [0, 1), `normal`, `poisson` (with its mean as argument), `binomial` (number of trials, probability) or
    `bernoulli` (true with that probability). `number` tells the draws of one object apart. `thresholds` (see `tabulate` and `rare`) only help to find the
    same number faster."""

    name: str
    law: str
    number: int
    arguments: tuple[Expr, ...] = ()
    thresholds: Expr | None = None

    @property
    def dtype(self) -> DType:
        return {"poisson": DType.INT64, "binomial": DType.INT64, "bernoulli": DType.BOOL}.get(self.law, DType.FLOAT)


@dataclass(frozen=True, slots=True)
class Propagator:
    """The flow of `x' = A x + b` over `dt`: `x(t + dt) = P x + Q b` with `P = exp(A dt)`, `Q = integral of exp(A s) ds over [0, dt]`.

    `matrix` holds the entries of A, row by row; `transition` and `input_response` name the entries of P and Q in the same order, with None for those
    nobody needs.
    """

    matrix: tuple[tuple[Expr, ...], ...]
    dt: Expr
    transition: tuple[tuple[str | None, ...], ...]
    input_response: tuple[tuple[str | None, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(n for table in (self.transition, self.input_response) for row in table for n in row if n is not None)


@dataclass(frozen=True, slots=True)
class Force:
    """`name` is the event `value` where `mask` holds, else `fired`. Gradients pass to `fired` as if nothing had been replaced."""

    name: str
    fired: Expr
    value: Expr
    mask: Expr


Line = Let | Fire | Select | Draw | Propagator | Force


@dataclass(frozen=True, slots=True)
class Result:
    """The variable behind `access` becomes the value `name` (or grows by it, with `add`)."""

    access: Access
    name: str
    add: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What one element does in one slot of the schedule. It reads variables (`Access`), computes names, and hands out results at the end.

    `side` is None except for a pathway, where it is the side whose events run this Step. `event` is the variable of the event whose elements run it
    (None: all elements). `over` tells whose elements, as in `Code`. `sequential`: the result depends on the order of the synapses, which must be that in
    which they were created. With `after`, just in steps in which a Deliver of those names delivered anything. With `part`, just elements in a row, from
    the first to the last + 1.
    """

    name: str
    slot: str
    order: int
    body: tuple[Line, ...]
    results: tuple[Result, ...]
    side: Index | None = None
    event: str | None = None
    sequential: bool = False
    over: Index = Index.SELF
    after: tuple[str, ...] = ()
    part: tuple[int, int] | None = None

    def __str__(self) -> str:
        head = f"step {self.name} (slot {self.slot}, order {self.order}"
        head += f", on {self.side.value} {self.event}{', sequential' if self.sequential else ''}" if self.side else ""
        head += ")" if self.over is Index.SELF else f", for {self.over.value})"
        rows = [head, *("  " + show_line(line) for line in self.body)]
        return "\n".join(rows + [f"  {show(r.access)} {'+=' if r.add else '<-'} {r.name}" for r in self.results])


def show_line(line: Line) -> str:
    match line:
        case Let(name, value):
            return f"{name} = {show(value)}"
        case Fire(name, condition, margin, gate, chance):
            text = f"{name} = fire({show(condition)}{', by chance' if chance else ''}"
            text += f", margin {show(margin)}" if margin is not None else ""
            return text + (f", gate {show(gate)})" if gate is not None else ")")
        case Select(name, event, then, otherwise, _, detach):
            return f"{name} = {show(then)} if {show(event)} else {show(otherwise)}{'  [detached]' if detach else ''}"
        case Draw(name, law, number, arguments, thresholds):
            by_table = "" if thresholds is None else f" by {show(thresholds)}"
            return f"{name} = draw {law}{'(' + ', '.join(map(show, arguments)) + ')' if arguments else ''} #{number}{by_table}"
        case Force(name, fired, value, mask):
            return f"{name} = {show(value)} where forced by {show(mask)} else {show(fired)}"
        case Propagator(matrix):
            entries = "; ".join(", ".join(map(show, row)) for row in matrix)
            return f"{', '.join(line.names)} = propagator([{entries}], dt)"
    raise TypeError(f"not a line: {line!r}")


def defined(line: Line) -> tuple[str, ...]:
    """The names that a line assigns."""
    return line.names if isinstance(line, Propagator) else (line.name,)


def expressions(line: Line) -> tuple[Expr, ...]:
    """The expressions that a line evaluates."""
    match line:
        case Let(_, value):
            return (value,)
        case Fire(_, condition, margin, gate):
            return tuple(e for e in (condition, margin, gate) if e is not None)
        case Select(_, event, then, otherwise):
            return (event, then, otherwise)
        case Draw(_, _, _, arguments, thresholds):
            return arguments if thresholds is None else (*arguments, thresholds)
        case Force(_, fired, value, mask):
            return (fired, value, mask)
        case Propagator(matrix, dt):
            return (*(entry for row in matrix for entry in row), dt)
    raise TypeError(f"not a line: {line!r}")


# -------------------------------------------------------------------------------------------------------------- Program: the network, step after step
@dataclass(frozen=True, slots=True)
class Array:
    """The values of one variable of one object. `space` is the object whose elements it has (None: one value). Arrays with role TAPE or EVENT
    keep their past. `length` is the number of values of one without a space that has more than one."""

    name: str
    space: str | None
    role: Role
    dtype: DType = DType.FLOAT
    dimensions: Dimensions = DIMENSIONLESS
    length: int = 1


@dataclass(frozen=True, slots=True)
class Load:
    """`name` is the element's value of `array`, reached by `index`. `delayed`: as it was when the event that arrives now was sent."""

    name: str
    array: str
    index: Index
    dtype: DType = DType.FLOAT
    delayed: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """`array` becomes (or grows by, with `add`) the value `name`. Adding into an array with fewer axes sums over the missing ones."""

    array: str
    index: Index
    name: str
    dtype: DType = DType.FLOAT
    add: bool = False
    delayed: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """Every element of `space` runs `body`. With `only`, just the elements whose event array `only` is set; with `after`, just in steps in which any
    Deliver of those names delivered anything (nothing would change otherwise). With `part`, just elements in a row, from the first to the last + 1."""

    name: str
    space: str
    loads: tuple[Load, ...]
    body: tuple[Line, ...]
    stores: tuple[Store, ...]
    slot: str = ""
    order: int = 0
    only: str | None = None
    after: tuple[str, ...] = ()
    clock: str = "clock"
    part: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Deliver:
    """Synapses of `space` whose event arrives run `body`.

    `events` is the event array on side `side`, `delay` the array of delays in steps (None: no delay). Stores with `add` go to accumulators and are
    scaled by a graded event; the other stores replace. `sequential`: synapse after synapse, in the order of sending, source and creation.
    """

    name: str
    space: str
    side: Index
    events: str
    delay: str | None
    loads: tuple[Load, ...]
    body: tuple[Line, ...]
    stores: tuple[Store, ...]
    sequential: bool = False
    slot: str = ""
    order: int = 0
    clock: str = "clock"


@dataclass(frozen=True, slots=True)
class Record:
    """The values of `array` in this step become row `step` of the record `name`.

    Of an array of events, the elements that have one are recorded, with the values of `gather` there; with `count`, only how many they are.
    """

    name: str
    array: str
    slot: str = ""
    order: int = 0
    clock: str = "clock"
    gather: tuple[str, ...] = ()
    count: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`array` takes (or grows by, with `add`) row `step` of the table `name`, which comes from outside: spikes of inputs, held inputs, cotangents."""

    name: str
    array: str
    add: bool = False
    slot: str = ""
    order: int = 0
    clock: str = "clock"


@dataclass(frozen=True, slots=True)
class Extern:
    """A function from outside the Program runs here. It may read `reads` and change `writes`; `assemble` fills in both: all that users can reach."""

    name: str
    slot: str = ""
    order: int = 0
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    clock: str = "clock"


Kernel = Map | Deliver | Record | Table | Extern


@dataclass(frozen=True, slots=True)
class Program:
    """A network: arrays, what is computed once (`setup`), what every step computes (`kernels`, in order).

    Time is counted in ticks, the greatest common step of all clocks: `clocks` tells how many ticks a step of each takes, and a kernel runs when a step
    of its clock begins.
    `reverse`: steps run from the last to the first. `tape` lists the (kernel, array) pairs whose values the forward Program keeps: the value the array
    has just before that kernel runs. Of arrays of the role TAPE that its kernels write, it keeps the value at the end of each step.
    """

    arrays: tuple[Array, ...]
    setup: tuple[Map, ...]
    kernels: tuple[Kernel, ...]
    reverse: bool = False
    tape: tuple[tuple[str, str], ...] = ()
    clocks: tuple[tuple[str, int], ...] = (("clock", 1),)

    def every(self, kernel: Kernel) -> int:
        """How many ticks lie between two runs of a kernel."""
        return dict(self.clocks).get(kernel.clock, 1)

    def array(self, name: str) -> Array:
        for array in self.arrays:
            if array.name == name:
                return array
        raise KeyError(name)

    def __str__(self) -> str:
        rows = ["program (backwards in time)" if self.reverse else "program"]
        rows += [f"  {name} every {every} ticks" for name, every in self.clocks if len(self.clocks) > 1]
        rows += [f"  array {a.name} [{a.space or 'shared'}] {a.dtype.value} {a.role.value}" for a in self.arrays]
        for title, kernels in (("setup", self.setup), ("step", self.kernels)):
            for kernel in kernels:
                mark = f"  [{kernel.clock}]" if len(self.clocks) > 1 and title == "step" else ""
                rows += [f"  {title} {line}{mark}" if n == 0 else f"    {line}" for n, line in enumerate(show_kernel(kernel))]
        rows += [f"  keep {array} before {kernel}" for kernel, array in self.tape]
        return "\n".join(rows)


def show_kernel(kernel: Kernel) -> Iterator[str]:
    match kernel:
        case Record(name, array, gather=gather, count=count):
            along = f" with {', '.join(gather)}" if gather else ""
            yield f"record {name} <- {'number of ' if count else ''}{array}{along}"
        case Table(name, array, add):
            yield f"table {array} {'+=' if add else '<-'} {name}"
        case Extern(name):
            yield f"call {name}"
        case Map() | Deliver():
            yield from _show_body(kernel)


def _show_body(kernel: Map | Deliver) -> Iterator[str]:
    if isinstance(kernel, Map):
        after = f" after {', '.join(kernel.after)}" if kernel.after else ""
        part = "" if kernel.part is None else "[{}:{}]".format(*kernel.part)
        yield f"map {kernel.name} over {kernel.space}{part}" + (f" where {kernel.only}" if kernel.only else "") + after
    else:
        delay = f" delayed by {kernel.delay}" if kernel.delay else ""
        yield f"deliver {kernel.name} over {kernel.space} on {kernel.side.value} {kernel.events}{delay}{', sequential' if kernel.sequential else ''}"
    for load in kernel.loads:
        yield f"  {load.name} = load {load.array} [{load.index.value}{', delayed' if load.delayed else ''}]"
    for line in kernel.body:
        yield "  " + show_line(line)
    for store in kernel.stores:
        yield f"  store {store.array} [{store.index.value}{', delayed' if store.delayed else ''}] {'+=' if store.add else '<-'} {store.name}"


# ------------------------------------------------------------------------------------------------------------------------------ Source: what is built
@dataclass(frozen=True, slots=True)
class Source:
    """Generated text: `text` defines a function called `name` in `language`; `parameters` and `returns` list its values in order."""

    language: str
    name: str
    text: str
    parameters: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
