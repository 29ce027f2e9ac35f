"""The functions that equations may call: their dimensions, types, derivatives and text in every backend.

One FunctionSpec a function. Names that begin with an underscore are the compiler's own; no user text can reach them. A backend's text may call the
definitions of its prelude (`emit/python.py`, `emit/torch.py`, `emit/cython.py`), which stand in the generated source itself. A function from outside
brings its FunctionSpec along, in the node that calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .dims import Dimensions
from .errors import UnsupportedError
from .expr import ONE, Access, Binary, Call, Cast, Compare, DType, Element, Expr, Index, Logical, Name, Negate, Not, Number, Truth, Where, transform, walk
from .ir import Variable

Partials = Callable[..., tuple[Expr | None, ...]]


@dataclass(frozen=True, slots=True)
class Signature:
    """The units of a function from outside.

    Parameters
    ----------
    names : of its arguments.
    arguments : for each argument its dimensions, None for any, or the name of an argument that has the same.
    result : dimensions, or a function from those of the arguments.
    conditions : for each argument whether it is a boolean; None where both are accepted.
    """

    names: tuple[str, ...]
    arguments: tuple[Dimensions | str | None, ...]
    result: Dimensions | Callable[[tuple[Dimensions, ...]], Dimensions]
    conditions: tuple[bool | None, ...] = ()


def _no_partials(*arguments: Expr) -> tuple[Expr | None, ...]:
    raise UnsupportedError("a Python function has no derivative", None, "Write what it computes into the equations.")


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """One function.

    Parameters
    ----------
    arity : number of arguments.
    dimensions : `none` (arguments and result are dimensionless), `same` (the result has the dimensions that all arguments share), `sqrt`, `sign`
        (any dimensions, dimensionless result) or `steps` (two times to a number of steps); or a Signature.
    partials : the derivative by each argument as an expression of the arguments; None where the function counts as constant in that argument.
    text : how each backend writes the call, with `{0}`, `{1}` for the arguments.
    dtype : type of the result; None keeps that of the first argument.
    draw : the law of a random function, which the compiler turns into `Draw`; such a function is not stateless and has no text.
    stateless : whether equal arguments give equal results.
    definition : for a function from outside that the language can express, what a call with these arguments means.
    variables : what the definition reads; they join those of the model.
    implementation : for any other function from outside, the Python function of arrays (in SI units) that computes it.
    """

    name: str
    arity: int
    text: dict[str, str] = field(hash=False)
    partials: Partials = field(compare=False, default=_no_partials)
    dimensions: str | Signature = "none"
    dtype: DType | None = DType.FLOAT
    draw: str | None = None
    stateless: bool = True
    definition: Callable[[tuple[Expr, ...]], Expr] | None = None
    variables: tuple[Variable, ...] = ()
    implementation: Callable[..., object] | None = None

    @property
    def constant(self) -> bool:
        """Whether the function counts as constant for gradients, in every argument."""
        return all(p is None for p in self.partials(*(Name(f"a{n}") for n in range(self.arity))))


def call(function: str, *arguments: Expr) -> Call:
    return Call(function, arguments)


def _b(operator: str, left: Expr, right: Expr) -> Binary:
    return Binary(operator, left, right)


def _number(value: float) -> Number:
    return Number(value)


def _square(x: Expr) -> Expr:
    return _b("*", x, x)


def _constant(*arguments: Expr) -> tuple[None, ...]:
    return (None,) * len(arguments)


def _plain(
    name: str, partial: Callable[[Expr], Expr | None], python: str | None = None, c: str | None = None, torch: str | None = None, **more: object
) -> FunctionSpec:
    """A function of one argument that every backend has under a name of its own."""
    text = {"python": (python or f"np.{name}") + "({0})", "cython": (c or name) + "({0})", "torch": (torch or f"torch.{name}") + "({0})"}
    return FunctionSpec(name, 1, text, lambda x: (partial(x),), **more)  # type: ignore[arg-type]


def _difference_partial(x: Expr, y: Expr) -> Expr:
    """d/dx of the divided difference of exp, in the form that cannot overflow on either side of x = y."""
    below = _b("*", call("exp", y), call("_exprel_slope", _b("-", x, y)))
    distance = _b("-", y, x)
    above = _b("*", call("exp", x), _b("-", call("exprel", distance), call("_exprel_slope", distance)))
    return Where(Compare("<=", x, y), below, above)


def _inverse_exprel_partial(x: Expr) -> Expr:
    return Negate(_b("*", call("_exprel_slope", x), _square(call("_inverse_exprel", x))))


def _clip_partials(x: Expr, low: Expr, high: Expr) -> tuple[Expr, Expr, Expr]:
    inside = Logical("and", Compare(">=", x, low), Compare("<=", x, high))
    zero = Number(0.0)
    return Where(inside, ONE, zero), Where(Compare("<", x, low), ONE, zero), Where(Compare(">", x, high), ONE, zero)


def _sech_squared(x: Expr) -> Expr:
    return _b("-", ONE, _square(call("tanh", x)))


_SPECS = (
    _plain("sin", lambda x: call("cos", x)),
    _plain("cos", lambda x: Negate(call("sin", x))),
    _plain("tan", lambda x: _b("+", ONE, _square(call("tan", x)))),
    _plain("sinh", lambda x: call("cosh", x)),
    _plain("cosh", lambda x: call("sinh", x)),
    _plain("tanh", _sech_squared),
    _plain("arcsin", lambda x: _b("/", ONE, call("sqrt", _b("-", ONE, _square(x)))), c="asin"),
    _plain("arccos", lambda x: Negate(_b("/", ONE, call("sqrt", _b("-", ONE, _square(x))))), c="acos"),
    _plain("arctan", lambda x: _b("/", ONE, _b("+", ONE, _square(x))), c="atan"),
    _plain("exp", lambda x: call("exp", x)),
    _plain("log", lambda x: _b("/", ONE, x)),
    _plain("log10", lambda x: _b("/", _number(0.4342944819032518), x)),
    _plain("expm1", lambda x: call("exp", x)),
    _plain("log1p", lambda x: _b("/", ONE, _b("+", ONE, x))),
    _plain("exprel", lambda x: call("_exprel_slope", x), python="exprel", torch="exprel"),
    _plain("sqrt", lambda x: _b("/", _number(0.5), call("sqrt", x)), dimensions="sqrt"),
    _plain("abs", lambda x: call("sign", x), c="fabs", dimensions="same", dtype=None),
    _plain("sign", lambda x: None, c="sign", dimensions="sign", dtype=None),
    _plain("ceil", lambda x: None, dimensions="same"),
    _plain("floor", lambda x: None, dimensions="same"),
    FunctionSpec(
        "clip", 3, {"python": "np.clip({0}, {1}, {2})", "cython": "clip({0}, {1}, {2})", "torch": "clip({0}, {1}, {2})"}, _clip_partials, "same", None
    ),
    FunctionSpec(
        "timestep",
        2,
        {"python": "timestep({0}, {1})", "cython": "timestep({0}, {1})", "torch": "timestep({0}, {1})"},
        _constant,
        "steps",
        DType.INT64,
    ),
    FunctionSpec("rand", 0, {}, _constant, draw="uniform", stateless=False),
    FunctionSpec("randn", 0, {}, _constant, draw="normal", stateless=False),
    FunctionSpec("poisson", 1, {}, _constant, dtype=DType.INT64, draw="poisson", stateless=False),
    # The compiler's own.
    FunctionSpec("_binomial", 2, {}, _constant, dtype=DType.INT64, draw="binomial", stateless=False),
    FunctionSpec("_poisson_thresholds", 1, {"python": "poisson_thresholds({0})"}, _constant, dtype=DType.INT64),
    FunctionSpec("_binomial_thresholds", 2, {"python": "binomial_thresholds({0}, {1})"}, _constant, dtype=DType.INT64),
    FunctionSpec("_probability_classes", 1, {"python": "probability_classes({0})"}, _constant, dtype=DType.INT64),
    FunctionSpec(
        "_table_row",
        3,
        {"python": "table_row({0}, {1}, {2})", "cython": "table_row({0}, {1}, {2})", "torch": "table_row({0}, {1}, {2})"},
        _constant,
        dtype=DType.INT64,
    ),
    _plain("_inverse_exprel", _inverse_exprel_partial, python="inverse_exprel", c="inverse_exprel", torch="inverse_exprel"),
    _plain("_exprel_slope", lambda x: call("_exprel_curvature", x), python="exprel_slope", c="exprel_slope", torch="exprel_slope"),
    _plain("_exprel_curvature", lambda x: None, python="exprel_curvature", c="exprel_curvature", torch="exprel_curvature"),
    _plain("_erf", lambda x: _b("*", _number(1.1283791670955126), call("exp", Negate(_square(x)))), python="erf", c="erf", torch="torch.erf"),
    _plain("_finite", lambda x: None, python="np.isfinite", c="isfinite", torch="torch.isfinite", dtype=DType.BOOL),
    FunctionSpec(
        "_exp_difference",
        2,
        {"python": "exp_difference({0}, {1})", "cython": "exp_difference({0}, {1})", "torch": "exp_difference({0}, {1})"},
        lambda x, y: (_difference_partial(x, y), _difference_partial(y, x)),
    ),
)

FUNCTIONS: dict[str, FunctionSpec] = {spec.name: spec for spec in _SPECS}
USER_FUNCTIONS: frozenset[str] = frozenset(name for name in FUNCTIONS if not name.startswith("_")) | {"int"}
CONSTANTS: dict[str, float] = {"pi": 3.141592653589793, "e": 2.718281828459045, "inf": float("inf")}
CLOCK_NAMES = ("t", "dt", "t_in_timesteps")


def is_noise(name: str) -> bool:
    """Whether the name means white noise, as `xi` and `xi_name` do everywhere."""
    return name == "xi" or name.startswith("xi_")


def spec_of(call: Call) -> FunctionSpec:
    """What is known of the function that is called."""
    return FUNCTIONS[call.function] if call.spec is None else call.spec


def lasting(expr: Expr) -> bool:
    """Whether the expression has one value for equal operands: it calls nothing with a state of its own."""
    return all(spec_of(node).stateless for node in walk(expr) if isinstance(node, Call))


def calls_python(expr: Expr) -> bool:
    """Whether the expression calls a Python function from outside."""
    return any(spec_of(node).implementation is not None for node in walk(expr) if isinstance(node, Call))


def write_out(expr: Expr) -> Expr:
    """`Expr -> Expr`: functions from outside that the language can express, replaced by what they mean."""

    def rule(node: Expr) -> Expr:
        definition = node.spec.definition if isinstance(node, Call) and node.spec is not None else None
        return node if definition is None or not isinstance(node, Call) else definition(node.arguments)

    return transform(expr, rule)


T, DT = Access("t", Index.SHARED), Access("dt", Index.SHARED)
T_IN_TIMESTEPS = Access("t_in_timesteps", Index.SHARED)


def dtype_of(expr: Expr, names: Mapping[str, DType], access: Callable[[Access], DType] | None = None) -> DType:
    """The type of an expression: `/` and `**` give floats, other arithmetic the wider of its operands.

    `names` gives the types of names, `access` those of variables (kernels have none: they reach variables through their loads).
    """
    match expr:
        case Number(value):
            return DType.FLOAT if isinstance(value, float) else DType.INT32 if abs(value) < 2**31 else DType.INT64
        case Truth() | Not() | Compare() | Logical():
            return DType.BOOL
        case Name(name):
            return names[name]
        case Access():
            if access is None:
                raise TypeError(f"kernels reach variables through their loads: {expr!r}")
            return access(expr)
        case Negate(operand):
            return dtype_of(operand, names, access)
        case Cast(dtype):
            return dtype
        case Binary("/" | "**"):
            return DType.FLOAT
        case Binary(_, left, right) | Where(_, left, right):
            return _widest(dtype_of(left, names, access), dtype_of(right, names, access))
        case Element(table):
            return dtype_of(table, names, access)
        case Call(_, arguments):
            return spec_of(expr).dtype or _widest(*(dtype_of(a, names, access) for a in arguments))
    raise TypeError(f"not an expression: {expr!r}")


_WIDTH = {DType.BOOL: 0, DType.INT32: 1, DType.INT64: 2, DType.FLOAT: 3}


def _widest(*types: DType) -> DType:
    return max(types, key=_WIDTH.__getitem__)
