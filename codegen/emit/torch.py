"""torch: the body of a kernel as one pure, differentiable function of tensors; the definition of its gradients.

The function takes any shapes that broadcast (batch axes in front), on any device, in float32 or float64. Gradients use `detach` and `where` only, so
compilation, `vmap` and double backward work.

- A spike is exactly 0 or 1 and carries the surrogate's derivative: `hard + (m - m.detach())*psi`, where `m` is the margin, and 0 wherever the margin is
  not finite or the gate is closed.
- An event is a float tensor, 0 or 1 (or graded, from outside). As a condition it means `event > 0`; plain booleans carry no gradient.
- A branch of `Where` or `Select` that could have an infinite derivative reads its operands through `where(condition, x, x.detach())`: the same values,
  and a backward pass that selects (instead of multiplying by 0) the gradient of the elements that took this branch.
"""

from __future__ import annotations

from ..derivative import singular
from ..expr import Binary, Call, Cast, Compare, DType, Element, Expr, Logical, Name, Negate, Not, Number, Truth, Where, children, names, rebuild, substitute
from ..functions import dtype_of, spec_of
from ..ir import Deliver, Draw, Fire, Force, Let, Line, Map, Propagator, Select, Source
from ..surrogate import Gradient, Surrogate, margin_of, slope
from .base import COMPARISONS, Language, write

PRELUDE = '''
import math

import torch


def reference(*tensors):
    """A tensor whose float type and device literals take; one with axes where there is one."""
    floats = [x for x in tensors if x.is_floating_point()] or list(tensors)
    return next((x for x in floats if x.dim() > 0), floats[0] if floats else torch.zeros((), dtype=torch.float64))


def number(value, like):
    return torch.full((), value, dtype=like.dtype if like.is_floating_point() else torch.float64, device=like.device)


def integer(value, like):
    return torch.full((), value, dtype=torch.int32 if abs(value) < 2**31 else torch.int64, device=like.device)


def boolean(value, like):
    return torch.full((), value, dtype=torch.bool, device=like.device)


def real(x, like):
    """Booleans and integers as floats; floats, and so the gradients of events, as they are."""
    return x if x.is_floating_point() else x.to(like.dtype if like.is_floating_point() else torch.float64)


def truth(x):
    """The boolean that an event is as a condition."""
    return x if x.dtype == torch.bool else x > 0


def blocked(condition, x):
    """x, without gradient where the condition holds."""
    return torch.where(condition, x.detach(), x)


def spike(hard, margin, distance, psi):
    """1 where `hard`, else 0, with the derivative psi by the margin; `distance` is the margin without its gradient."""
    return hard.to(psi.dtype) + (margin - distance) * psi


def select(event, then, otherwise):
    """`then` where the event is set, else `otherwise`, bit for bit; the event's derivative is (then - otherwise), 0 where that is not finite."""
    value = torch.where(truth(event), then, otherwise)
    if not event.is_floating_point() or not value.is_floating_point():
        return value
    step = (torch.as_tensor(then) - torch.as_tensor(otherwise)).detach()
    step = torch.where(torch.isfinite(step), step, 0.0)
    rising, falling = event - event.detach(), event.detach() - event  # both +0, so that even -0 survives the subtraction
    return value - torch.where(step < 0, rising, falling) * step.abs()


def limited(x):
    """x, without gradient where exp(x) overflows: there 0 times infinity would turn the gradient of 1/(1 + exp(x)) into NaN."""
    return torch.where(x > math.log(torch.finfo(x.dtype).max), x.detach(), x)


def forced(fired, value, mask):
    """The given events where the mask holds, with the gradient of the events that they replace."""
    return fired + (torch.where(mask, (value != 0).to(fired.dtype), fired) - fired).detach()


def floor_division(x, y):
    """x // y, a constant for gradients."""
    x, y = (z.detach() if isinstance(z, torch.Tensor) else z for z in (x, y))
    return x // y


def clip(x, low, high):
    low_side = torch.where(x < low, low, x)
    return torch.where(low_side > high, high, low_side)


def timestep(t, dt):
    """The number of the step at time t, as a whole number."""
    t, dt = (z.detach() if isinstance(z, torch.Tensor) else z for z in (t, dt))
    return ((t + 1e-3 * dt) / dt).to(torch.int64)


def value_at(table, index):
    """The values of the table (in its last axis) at whole positions; outside it NaN, or 0 where it holds no floats."""
    outside = (index < 0) | (index >= table.shape[-1])
    index = torch.where(outside, 0, index).to(torch.int64)
    if table.dim() == 1 or index.dim() < 2:
        values = table[..., index]
    else:
        values = torch.take_along_dim(table, index.expand(*table.shape[:-1], index.shape[-1]), -1)
    return torch.where(outside, math.nan if table.is_floating_point() else 0, values)


def table_row(t, dt, interval):
    """The row of a table with one row an `interval` at time t, as a whole number (see the python backend)."""
    t, dt, interval = (z.detach() if isinstance(z, torch.Tensor) else torch.tensor(z, dtype=torch.float64) for z in (t, dt, interval))
    fine = torch.exp2(torch.ceil(torch.log2(8.0 / dt * interval))).floor().clamp(min=1.0)
    return (torch.round(t / (interval / fine)) / fine).to(torch.int64)


def square(x):
    return x * x


def cube(x):
    return x * x * x


def fourth(x):
    return (x * x) * (x * x)


def split(x):
    """Where x is near 0, and x on either side with a harmless number on the other, so that no branch spoils the gradient of the other."""
    near = x.abs() < 0.5
    return near, torch.where(near, x, 0.0), torch.where(near, 1.0, x)


def exprel(x):
    """(exp(x) - 1)/x: the sum of x**k/(k + 1)! near 0."""
    near, z, far = split(x)
    series = torch.zeros_like(z)
    for k in range(16, 0, -1):
        series = (series + 1.0) * z / (k + 1)
    return torch.where(near, series + 1.0, torch.expm1(far) / far)


def inverse_exprel(x):
    """x/(exp(x) - 1), and its limit 1 at 0."""
    return 1.0 / exprel(x)


def exprel_slope(x):
    """The derivative of exprel: the sum of x**k/(k! (k + 2)) near 0."""
    near, z, far = split(x)
    series = torch.zeros_like(z)
    for k in range(16, 0, -1):
        series = (series + 1.0 / (k + 2)) * z / k
    return torch.where(near, series + 0.5, (torch.exp(far) - torch.expm1(far) / far) / far)


def exprel_curvature(x):
    """The second derivative of exprel: the sum of x**k/(k! (k + 3)) near 0."""
    near, z, far = split(x)
    series = torch.zeros_like(z)
    for k in range(16, 0, -1):
        series = (series + 1.0 / (k + 3)) * z / k
    slope = (torch.exp(far) - torch.expm1(far) / far) / far
    return torch.where(near, series + 1.0 / 3.0, (torch.exp(far) - 2.0 * slope) / far)


def exp_difference(x, y):
    """(exp(x) - exp(y))/(x - y), exp(x) at x = y; smooth there, because both sides of the choice have the same derivatives."""
    below = x <= y
    return torch.exp(torch.where(below, y, x)) * exprel(torch.where(below, x - y, y - x))


def square_matrix(rows, dt):
    *entries, dt = torch.broadcast_tensors(*(entry for row in rows for entry in row), dt)
    return torch.stack(entries, -1).unflatten(-1, (len(rows), len(rows))) * dt[..., None, None], dt


def transition(rows, dt):
    """exp(A dt) of each element."""
    return torch.linalg.matrix_exp(square_matrix(rows, dt)[0])


def propagator(rows, dt):
    """P = exp(A dt) and Q = integral of exp(A s) ds over [0, dt], for each element: the blocks of exp([[A, 1], [0, 0]] dt)."""
    matrix, dt = square_matrix(rows, dt)
    size = len(rows)
    identity = torch.eye(size, dtype=matrix.dtype, device=matrix.device) * dt[..., None, None]
    block = torch.cat([torch.cat([matrix, identity], -1), torch.zeros_like(torch.cat([matrix, identity], -1))], -2)
    full = torch.linalg.matrix_exp(block)
    return full[..., :size, :size], full[..., :size, size:]
'''.lstrip()

RESERVED = frozenset(
    "math torch reference number integer boolean real truth blocked spike select limited floor_division clip timestep value_at table_row square cube fourth "
    "split exprel inverse_exprel exprel_slope exprel_curvature exp_difference square_matrix transition propagator".split()
)
_LIKE = "_like"
_GROWING = frozenset({"exp", "expm1", "exprel", "_inverse_exprel"})


def identifier(name: str) -> str:
    """The user's own name, out of the way of the prelude's; different names stay different."""
    return name + "_" if name in RESERVED or name == _LIKE or name.endswith("_") else name


def _literal(value: int | float) -> str:
    text = f'float("{value}")' if value in (float("inf"), float("-inf")) else repr(value)
    return f"({text})" if value < 0 else text


LANGUAGE = Language(
    name="torch",
    number=_literal,
    truth=lambda value: f"boolean({value}, {_LIKE})",
    identifier=identifier,
    invert="(~{0})",
    arithmetic={"+": "({0} + {1})", "-": "({0} - {1})", "*": "({0} * {1})", "/": "({0} / {1})", "//": "floor_division({0}, {1})", "%": "({0} % {1})",
                "**": "({0} ** {1})"},
    comparison=COMPARISONS,
    logic={"and": "({0} & {1})", "or": "({0} | {1})"},
    where="torch.where({0}, {1}, {2})",
    cast={DType.FLOAT: f"real({{0}}, {_LIKE})", DType.INT32: "{0}.to(torch.int32)", DType.INT64: "{0}.to(torch.int64)", DType.BOOL: "({0} != 0)"},
)  # fmt: skip


def render(kernel: Map | Deliver, gradient: Gradient) -> Source:
    """`Kernel -> Source`: the body as one function of tensors; parameters are the loads and then the draws, results are the stored names.

    A draw is a tensor; for a law with arguments, the function of those arguments that gives it.
    """
    draws = [line.name for line in kernel.body if isinstance(line, Draw)]
    parameters = [load.name for load in kernel.loads] + draws
    writer = _Writer({load.name: load.dtype for load in kernel.loads} | {line.name: line.dtype for line in kernel.body if isinstance(line, Draw)}, gradient)
    for line in kernel.body:
        writer.line(line)
    returns = [store.name for store in kernel.stores]
    name = "".join(c if c.isalnum() else "_" for c in kernel.name)
    floats = [load.name for load in kernel.loads if load.dtype is DType.FLOAT]
    like = floats + [line.name for line in kernel.body if isinstance(line, Draw) and not line.arguments] or parameters
    rows = writer.rows
    if any(_LIKE in row for row in rows):
        rows = [f"{_LIKE} = reference({', '.join(map(identifier, like))})", *rows]
    rows.append(f"return ({', '.join(map(identifier, returns))}{',' if returns else ''})")
    text = "\n".join([f"def {name}({', '.join(map(identifier, parameters))}):", *("    " + row for row in rows)])
    return Source("torch", name, text + "\n", tuple(parameters), tuple(returns))


class _Writer:
    """The function under construction: its rows, and the type of every name. `events` are the names that may be booleans or floats with a gradient,
    `hard` the booleans behind the spikes found here."""

    def __init__(self, types: dict[str, DType], gradient: Gradient) -> None:
        self.types, self.gradient = types, gradient
        self.events = {name for name, dtype in types.items() if dtype is DType.BOOL}
        self.hard: dict[str, str] = {}
        self.rows: list[str] = []
        self.count = 0

    def fresh(self, dtype: DType) -> str:
        self.count += 1
        name = f"_{self.count}_"  # ends as no identifier of the user's can
        self.types[name] = dtype
        return name

    def assign(self, name: str, text: str, dtype: DType) -> None:
        self.types[name] = dtype
        self.rows.append(f"{identifier(name)} = {text}")

    def let(self, text: str, dtype: DType = DType.FLOAT) -> Name:
        name = self.fresh(dtype)
        self.assign(name, text, dtype)
        return Name(name)

    def line(self, line: Line) -> None:
        match line:
            case Let(name, value, dtype):
                if dtype is DType.BOOL and isinstance(value, Name):
                    self.events.add(name)
                    self.assign(name, identifier(value.name), dtype)
                else:
                    self.assign(name, self.typed(self.shield(value), dtype), dtype)
            case Fire():
                self.fire(line)
            case Select():
                self.select(line)
            case Propagator():
                self.propagator(line)
            case Force(name, fired, value, mask):
                free, given, where = (identifier(e.name) for e in (fired, value, mask) if isinstance(e, Name))
                self.events.add(name)
                self.assign(name, f"forced({free}, {given}, {where})", DType.BOOL)
            case Draw(name, _, _, arguments):
                if arguments:
                    self.assign(name, f"{identifier(name)}({', '.join(self.typed(a, DType.FLOAT) for a in arguments)})", line.dtype)

    def fire(self, line: Fire) -> None:
        hard = self.let(self.condition(self.shield(line.condition)), DType.BOOL)
        gate = None if line.gate is None else self.let(self.condition(self.shield(line.gate)), DType.BOOL)
        if gate is not None:
            hard = self.let(self.text(Logical("and", hard, gate)), DType.BOOL)
        if isinstance(self.gradient, Surrogate):
            margin = self.let(self.typed(self.shield(margin_of(line)), DType.FLOAT))
            finite: Expr = Call("_finite", (margin,))
            live = self.let(self.text(Where(finite if gate is None else Logical("and", gate, finite), margin, Number(0.0))))
            distance = self.let(f"{identifier(live.name)}.detach()")
            psi = self.let(self.typed(slope(self.gradient, line, distance), DType.FLOAT))
            value = f"spike({', '.join(identifier(n.name) for n in (hard, live, distance, psi))})"
        else:
            value = f"real({identifier(hard.name)}, {_LIKE})"
        self.events.add(line.name)
        self.hard[line.name] = identifier(hard.name)
        self.assign(line.name, value, DType.BOOL)

    def select(self, line: Select) -> None:
        event: Expr
        if isinstance(line.event, Name) and not line.detach and (line.event.name in self.events or self.types[line.event.name] is DType.FLOAT):
            event, call = line.event, f"select({identifier(line.event.name)}, {{0}}, {{1}})"
        else:
            event = self.let(self.condition(self.shield(line.event)), DType.BOOL)
            call = f"torch.where({identifier(event.name)}, {{0}}, {{1}})"
        then, otherwise = self.branches(event, line.then, line.otherwise)
        first = self.typed(then, line.dtype)
        second = self.typed(otherwise, line.dtype)
        self.assign(line.name, call.format(first, second), line.dtype)

    def propagator(self, line: Propagator) -> None:
        rows = ", ".join("[" + ", ".join(self.typed(self.shield(entry), DType.FLOAT) for entry in row) + "]" for row in line.matrix)
        dt = self.typed(line.dt, DType.FLOAT)
        p, q = self.fresh(DType.FLOAT), self.fresh(DType.FLOAT)
        if any(name is not None for row in line.input_response for name in row):
            self.rows.append(f"{identifier(p)}, {identifier(q)} = propagator([{rows}], {dt})")
        else:
            self.rows.append(f"{identifier(p)} = transition([{rows}], {dt})")
        for table, source in ((line.transition, p), (line.input_response, q)):
            for i, row in enumerate(table):
                for j, name in enumerate(row):
                    if name is not None:
                        self.assign(name, f"{identifier(source)}[..., {i}, {j}]", DType.FLOAT)

    # ------------------------------------------------------------------------------------------------------------------------------- expressions
    def kind(self, expr: Expr) -> DType:
        return dtype_of(expr, self.types)

    def shield(self, expr: Expr) -> Expr:
        """`Expr -> Expr`: every branch that could have an infinite derivative reads operands whose gradient is blocked where it is not taken."""
        if isinstance(expr, Where) and (singular(expr.then) or singular(expr.otherwise)):
            condition = self.let(self.condition(self.shield(expr.condition)), DType.BOOL)
            return Where(condition, *self.branches(condition, expr.then, expr.otherwise))
        parts = children(expr)
        return rebuild(expr, tuple(map(self.shield, parts))) if parts else expr

    def branches(self, condition: Expr, then: Expr, otherwise: Expr) -> tuple[Expr, Expr]:
        if not (singular(then) or singular(otherwise)):
            return self.shield(then), self.shield(otherwise)
        taken = self.condition(condition)
        return self.shield(self.block(f"~{taken}", then)), self.shield(self.block(taken, otherwise))

    def block(self, condition: str, branch: Expr) -> Expr:
        if not singular(branch):
            return branch
        replacements: dict[Expr, Expr] = {}
        for name, node in names(branch).items():
            if self.types[name] is DType.FLOAT:
                replacements[node] = self.let(f"blocked({condition}, {identifier(name)})")
        return substitute(branch, replacements)

    def typed(self, expr: Expr, dtype: DType) -> str:
        """The text of a tensor of this type; literals become tensors."""
        kind = self.kind(expr)
        text = self.condition(expr) if dtype is DType.BOOL else self.tensor(expr)
        return f"real({text}, {_LIKE})" if dtype is DType.FLOAT and kind is not DType.FLOAT else text

    def tensor(self, expr: Expr) -> str:
        if not _is_literal(expr):
            return self.text(expr)
        maker = "number" if self.kind(expr) is DType.FLOAT else "integer"
        return f"{maker}({self.text(expr)}, {_LIKE})"

    def condition(self, expr: Expr) -> str:
        if isinstance(expr, Name) and expr.name in self.hard:
            return self.hard[expr.name]
        text = self.text(expr)
        may_be_float = isinstance(expr, Name) and (expr.name in self.events or self.types[expr.name] is not DType.BOOL)
        return f"truth({text})" if may_be_float else text

    def text(self, expr: Expr) -> str:
        return write(expr, self.template)

    def template(self, expr: Expr) -> str:
        """The language's template, with operands brought to the type in which the node computes (torch itself would fall back to its default type)."""
        base = LANGUAGE.template(expr)
        parts = children(expr)
        if isinstance(expr, Call) and expr.function in _GROWING:
            base = base.replace("{0}", "limited({0})")
        return base.format(*(self.operand(expr, n) for n in range(len(parts)))) if parts or isinstance(expr, Call) else base

    def operand(self, parent: Expr, position: int) -> str:
        child = children(parent)[position]
        hole = f"{{{position}}}"
        match parent:
            case Not() | Logical():
                return f"truth({hole})" if isinstance(child, Name) and child.name in self.events else hole
            case Where() if position == 0 or self.kind(parent) is DType.BOOL:
                return f"truth({hole})" if isinstance(child, Name) and child.name in self.events else hole
            case Element():
                return f"integer({hole}, {_LIKE})" if _is_literal(child) else hole
            case Cast() | Negate():
                wide = self.kind(child)
            case Call():
                own = spec_of(parent).dtype
                wide = DType.FLOAT if own is DType.FLOAT else dtype_of(parent, self.types) if own is None else self.kind(child)
            case Compare(_, left, right):
                wide = dtype_of(Binary("+", left, right), self.types)
                if wide is DType.BOOL and isinstance(child, Name) and child.name in self.events:
                    return f"truth({hole})"
            case _:
                wide = dtype_of(parent, self.types)
                wide = DType.INT32 if wide is DType.BOOL and not isinstance(parent, Where) else wide
        if _is_literal(child):
            return hole if _stays_literal(parent, position) else f"{'number' if wide is DType.FLOAT else 'integer'}({hole}, {_LIKE})"
        if wide is DType.FLOAT and self.kind(child) is not DType.FLOAT:
            return f"real({hole}, {_LIKE})"
        return f"{hole}.to(torch.int32)" if wide in (DType.INT32, DType.INT64) and self.kind(child) is DType.BOOL else hole


def _is_literal(expr: Expr) -> bool:
    return isinstance(expr, Number) or (isinstance(expr, Negate) and isinstance(expr.operand, Number))


def _stays_literal(parent: Expr, position: int) -> bool:
    """Whether a literal operand can stay a Python number: beside a tensor, and not where torch computes `2/x` as `2*(1/x)`."""
    parts = children(parent)
    match parent:
        case Negate():
            return True
        case Where():
            return not _is_literal(parts[3 - position])
        case Binary("/", _, _) if position == 0:
            return False
        case Binary() | Compare():
            return not _is_literal(parts[1 - position])
        case Call("clip", _):
            return position > 0 and not isinstance(parts[0], Truth)
    return False
