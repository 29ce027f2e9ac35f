"""Explicit methods, stochastic ones among them, from their textbook form: `x_new = x + dt*f(x, t) + g(x, t)*dW`.

A description is a few assignments over `x` (the state), `t`, `dt`, `f(x, t)` (the drift), `g(x, t)` (the coefficient of a noise) and `dW` (that noise's
increment over the step, of variance dt). It stands for one equation with one noise. For several equations every name has a value for each variable; for
several noises (`xi_a`, `xi_b`, ...) what contains `g` or `dW` is worked out for each of them and summed in the result, and the rest counts once. Where a
method is `joint`, the states at which it evaluates `f` and `g` take all noises at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .errors import EquationError, IntegrationError
from .expr import (
    ZERO,
    Access,
    Binary,
    Call,
    Expr,
    Name,
    Negate,
    add,
    children,
    divide,
    is_zero,
    multiply,
    names,
    negate,
    rebuild,
    substitute,
    subtract,
    total,
    walk,
)
from .fresh import Fresh, Update
from .functions import DT, FUNCTIONS, T, call
from .grammar import Piece, blank_comments, read_expression
from .ir import Draw, Flow, Let, Line

_GIVEN = {"t": T, "dt": DT}


@dataclass(frozen=True, slots=True)
class Explicit:
    """A method by its description: intermediate `statements`, and the `output`, which is `x_new`.

    `noise` is what it can integrate: None (no noise), `additive`, `diagonal` (one noise in each equation, shared by none) or `any`.
    """

    statements: tuple[tuple[str, Expr], ...]
    output: Expr
    noise: str | None = None
    order: int = 1
    name: str = "explicit"
    joint: bool = False

    def __call__(self, flows: Sequence[Flow], fresh: Fresh) -> Update:
        return _Evaluation(self, flows, fresh).update()


@dataclass(frozen=True, slots=True)
class _Parts:
    """The value of a description's expression for one variable: what no noise reaches (`still`), and what one noise adds (`moved`).

    `mixed`: `moved` would not vanish without that noise, so it cannot be summed over several.
    """

    still: Expr
    moved: Expr = ZERO
    mixed: bool = False

    @property
    def whole(self) -> Expr:
        return add(self.still, self.moved)

    @property
    def pure(self) -> bool:
        return is_zero(self.still) and not is_zero(self.moved) and not self.mixed


class _Evaluation:
    """One description applied to the equations of one object."""

    def __init__(self, method: Explicit, flows: Sequence[Flow], fresh: Fresh) -> None:
        self.method, self.flows, self.fresh = method, flows, fresh
        self.lines: list[Line] = []
        self.noises: list[str | None] = list(dict.fromkeys(name for flow in flows for name in flow.noise)) or [None]
        self.increments = {noise: self._increment(noise) for noise in self.noises if noise is not None}
        self.named: dict[tuple[str, str, str | None], _Parts] = {}  # intermediate values
        self.known: dict[tuple[Expr, str, str | None], Expr] = {}  # of f, g and the stages that they are evaluated at

    def _increment(self, noise: str) -> Expr:
        drawn = self.fresh(noise)
        self.lines.append(Draw(drawn, "normal", 0))
        return self._let(f"dW_{noise}", multiply(call("sqrt", DT), Name(drawn)))

    def _let(self, stem: str, value: Expr) -> Expr:
        if isinstance(value, Name | Access) or is_zero(value):
            return value
        name = self.fresh(stem)
        self.lines.append(Let(name, value))
        return Name(name)

    def update(self) -> Update:
        for name, value in self.method.statements:
            for noise in self.noises:
                for flow in self.flows:
                    self._define(name, value, flow, noise)
        new: dict[str, str] = {}
        for flow in self.flows:
            parts = [self._parts(self.method.output, flow, noise) for noise in self.noises]
            if len(parts) > 1 and any(part.mixed for part in parts):
                self._refuse_several(flow)
            value = parts[0].still
            for part in parts:
                value = add(value, part.moved)
            new[flow.variable] = self.fresh(flow.variable)
            self.lines.append(Let(new[flow.variable], value))
        return self.lines, new

    def _refuse_several(self, flow: Flow) -> None:
        raise IntegrationError(
            f"`{self.method.name}` does not say how the noises {', '.join(f'`{n}`' for n in self.noises)} combine",
            flow.span,
            "In its description, let `x_new` use `f` only where no noise has been added to its argument; or use method='heun'.",
        )

    def _define(self, name: str, value: Expr, flow: Flow, noise: str | None) -> None:
        parts = self._parts(value, flow, noise)
        first = self.named.get((name, flow.variable, self.noises[0]))
        still = self._let(f"{name}_{flow.variable}", parts.still) if first is None else first.still
        stem = f"{name}_{flow.variable}" + (f"_{noise}" if len(self.noises) > 1 else "")
        self.named[name, flow.variable, noise] = replace(parts, still=still, moved=self._let(stem, parts.moved))

    # ------------------------------------------------------------------------------------------------------------------------------- expressions
    def _parts(self, expr: Expr, flow: Flow, noise: str | None) -> _Parts:
        match expr:
            case Name("x"):
                return _Parts(Access(flow.variable))
            case Name("dW"):
                return _Parts(ZERO, ZERO if noise is None else self.increments[noise])
            case Name(name):
                return _Parts(_GIVEN[name]) if name in _GIVEN else self.named[name, flow.variable, noise]
            case Call("f" | "g", _):
                return self._slope(expr, flow, noise)
        parts = [self._parts(part, flow, noise) for part in children(expr)]
        match expr, parts:
            case Negate(), [operand]:
                return replace(operand, still=negate(operand.still), moved=negate(operand.moved))
            case Binary("+" | "-" as sign), [left, right]:
                join = add if sign == "+" else subtract
                return _Parts(join(left.still, right.still), join(left.moved, right.moved), left.mixed or right.mixed)
            case Binary("*"), [left, right]:
                return _product(left, right)
            case Binary("/"), [left, right] if is_zero(right.moved):
                return replace(left, still=divide(left.still, right.still), moved=divide(left.moved, right.still))
        return _other(expr, parts)

    def _slope(self, expr: Call, flow: Flow, noise: str | None) -> _Parts:
        """The drift, or the coefficient of `noise`, at the state and time that the arguments give."""
        if expr.function == "g" and (noise is None or noise not in flow.noise):
            return _Parts(ZERO)
        state, time = expr.arguments
        stage = {other.variable: self._at(state, other, noise) for other in self.flows}
        moved = any(not is_zero(part.moved) for part in stage.values())
        reached = noise if moved or expr.function == "g" else None
        if (expr, flow.variable, reached) not in self.known:
            value = flow.drift if expr.function == "f" else flow.noise[str(noise)]
            at: dict[Expr, Expr] = {T: self._parts(time, flow, noise).whole}
            if state != Name("x"):
                at |= {Access(name): self._stage(state, name, part, noise if moved else None) for name, part in stage.items()}
            self.known[expr, flow.variable, reached] = self._let(f"{expr.function}_{flow.variable}", substitute(value, at))
        found = self.known[expr, flow.variable, reached]
        if expr.function == "g":
            return _Parts(ZERO, found)
        return _Parts(ZERO, found, True) if moved else _Parts(found)

    def _at(self, state: Expr, flow: Flow, noise: str | None) -> _Parts:
        """A state at which `f` and `g` are evaluated."""
        if not self.method.joint:
            return self._parts(state, flow, noise)
        each = [self._parts(state, flow, one) for one in self.noises]
        return _Parts(total([each[0].still, *(part.moved for part in each)]))

    def _stage(self, state: Expr, variable: str, part: _Parts, noise: str | None) -> Expr:
        if (state, variable, noise) not in self.known:
            self.known[state, variable, noise] = self._let(f"{variable}_stage", part.whole)
        return self.known[state, variable, noise]


def _product(left: _Parts, right: _Parts) -> _Parts:
    moved = add(multiply(left.moved, right.whole), multiply(left.still, right.moved))
    mixed = (left.mixed or right.mixed) and not (left.pure or right.pure)
    return _Parts(multiply(left.still, right.still), moved, mixed)


def _other(expr: Expr, parts: Sequence[_Parts]) -> _Parts:
    """A function or a power of values."""
    moving = [part for part in parts if not is_zero(part.moved)]
    if not moving:
        return _Parts(ZERO if _vanishes(expr, parts) else rebuild(expr, tuple(part.still for part in parts)))
    return _Parts(ZERO, rebuild(expr, tuple(part.whole for part in parts)), not all(part.pure for part in moving))


def _vanishes(expr: Expr, parts: Sequence[_Parts]) -> bool:
    """Whether this is a power of an increment that is not there, as in `dW**2` for equations without noise."""
    return isinstance(expr, Binary) and expr.operator == "**" and is_zero(parts[0].still)


# --------------------------------------------------------------------------------------------------------------------------------------- descriptions
_CALL = re.compile(r"(?<![\w.])([fg])\s*\(")
_ASSIGNMENT = re.compile(r"([A-Za-z]\w*)\s*=(?!=)")
_RESULT = "x_new"
_HINT = "A description has lines such as `k = dt*f(x, t)`, and `x_new = x + k` last."


def describe(text: str, noise: str | None = None, order: int = 1, name: str = "explicit", joint: bool = False) -> Explicit:
    """`text -> Explicit`: lines `name = expression`, the last of which gives `x_new`."""
    statements: list[tuple[str, Expr]] = []
    known = {"x", "t", "dt", "dW"}
    for start, end in ((m.start(), m.end()) for m in re.finditer(r"[^\n]+", blank_comments(text))):
        line = Piece(text, 0, blank_comments(text)).cut(start, end)
        if not line.code:
            continue
        match = _ASSIGNMENT.match(line.code)
        if match is None or (statements and statements[-1][0] == _RESULT):
            raise EquationError("this is not a line of a description", line.span(), _HINT)
        if match[1] in {"x", "t", "dt", "dW", "f", "g"}:
            raise EquationError(f"`{match[1]}` is given and cannot be assigned", line.span(0, match.end(1)), "Choose another name.")
        value = _read(line.cut(match.end()))
        for other, node in names(value).items():
            if other not in known:
                raise EquationError(f"`{other}` is not known", node.span, "Use `x`, `t`, `dt`, `f(x, t)`, `g(x, t)`, `dW`, and names from earlier lines.")
        statements.append((match[1], value))
        known.add(match[1])
    if not statements or statements[-1][0] != _RESULT:
        raise EquationError("the description does not say what `x_new` is", None, _HINT)
    return Explicit(tuple(statements[:-1]), statements[-1][1], noise, order, name, joint)


def _read(piece: Piece) -> Expr:
    """An expression with calls of `f` and `g`, each of which stands as one name while the rest is read."""
    code, found = piece.code, dict[Expr, Expr]()
    while (match := _CALL.search(code)) is not None:
        end, comma = _closing(piece, match.end())
        state, time = (_read(piece.cut(a, b)) for a, b in ((match.end(), comma), (comma + 1, end)))
        placeholder = f"{match[1]}_{len(found)}"
        found[Name(placeholder)] = Call(match[1], (state, time), piece.span(match.start(), end + 1))
        code = code[: match.start()] + placeholder.ljust(end + 1 - match.start()) + code[end + 1 :]
    value = read_expression(replace(piece, code=code))
    for node in walk(value):
        if isinstance(node, Call) and node.function not in FUNCTIONS:
            raise EquationError(f"`{node.function}` is not a function that descriptions can call", node.span, _HINT)
    return substitute(value, found)


def _closing(piece: Piece, start: int) -> tuple[int, int]:
    """Where the bracket that was opened before `start` closes, and where the only comma inside it is."""
    depth, commas = 0, list[int]()
    for place in range(start, len(piece.code)):
        character = piece.code[place]
        if character == ")" and depth == 0:
            if len(commas) != 1:
                break
            return place, commas[0]
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            commas.append(place)
    raise EquationError("`f` and `g` take a state and a time", piece.span(), "Write `f(x, t)`.")


# Brian's methods.
EULER = describe("x_new = x + dt*f(x, t) + g(x, t)*dW", "additive", 1, "euler")

# Heun's rule for the noise (Stratonovich) and Euler's for the drift, as in Brian; without noise it is Euler's method.
HEUN = describe(
    """x_support = x + g(x, t)*dW
       g_support = g(x_support, t + dt)
       x_new = x + dt*f(x, t) + 0.5*dW*(g(x, t) + g_support)""",
    "any",
    1,
    "heun",
    joint=True,
)

# Milstein's method for Stratonovich equations with diagonal noise. The derivative in `g*dg/dx/2*dW**2` is a difference over a small part of the noise's
# own step: it needs no derivatives of functions, and where `g` is sqrt(x) it does not ask for the slope at 0 nor leave the side that x is on.
MILSTEIN = describe(
    """x_support = x + 0.001*dt**0.5*g(x, t)
       g_support = g(x_support, t)
       k = (g_support - g(x, t))/(0.002*dt**0.5)*dW**2
       x_new = x + dt*f(x, t) + g(x, t)*dW + k""",
    "diagonal",
    1,
    "milstein",
)
