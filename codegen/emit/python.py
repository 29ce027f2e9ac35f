"""Plain Python on numpy arrays: the definition that every other backend is tested against."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnsupportedError
from ..expr import Call, DType, Expr, walk
from ..functions import FunctionSpec
from ..ir import Deliver, Draw, Fire, Force, Let, Line, Map, Propagator, Select, Source, expressions
from .base import COMPARISONS, Language, write

PRELUDE = '''
import numpy as np


def exprel(x):
    """(exp(x) - 1)/x, and its limit 1 at 0."""
    x = np.asarray(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(x == 0, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x)).astype(np.result_type(x, np.float32), copy=False)


def inverse_exprel(x):
    """x/(exp(x) - 1), and its limit 1 at 0."""
    x = np.asarray(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(x == 0, 1.0, np.where(x == np.inf, 0.0, x / np.where(x == 0, 1.0, np.expm1(x)))).astype(np.result_type(x, np.float32), copy=False)


def exprel_slope(x):
    """The derivative of exprel: the sum of x**k/(k! (k + 2)) near 0, (exp(x) - exprel(x))/x elsewhere."""
    x = np.asarray(x)
    near = np.abs(x) < 0.5
    z = np.where(near, x, 0.0)
    series = np.zeros_like(z)
    for k in range(16, 0, -1):
        series = (series + 1.0 / (k + 2)) * z / k
    far = np.where(near, 1.0, x)
    return np.where(near, series + 0.5, (np.exp(far) - np.expm1(far) / far) / far)


def exprel_curvature(x):
    """The second derivative of exprel: the sum of x**k/(k! (k + 3)) near 0, (exp(x) - 2 exprel_slope(x))/x elsewhere."""
    x = np.asarray(x)
    near = np.abs(x) < 0.5
    z = np.where(near, x, 0.0)
    series = np.zeros_like(z)
    for k in range(16, 0, -1):
        series = (series + 1.0 / (k + 3)) * z / k
    far = np.where(near, 1.0, x)
    return np.where(near, series + 1.0 / 3.0, (np.exp(far) - 2.0 * exprel_slope(far)) / far)


def exp_difference(x, y):
    """(exp(x) - exp(y))/(x - y), exp(x) at x = y; the larger exponential is taken out, so nothing overflows or cancels."""
    return np.exp(np.maximum(x, y)) * exprel(-np.abs(np.subtract(x, y)))


def timestep(t, dt):
    """The number of the step at time t, as a whole number."""
    return np.asarray((t + 1e-3 * dt) / dt).astype(np.int64)


def value_at(table, index):
    """The values of the table (in its last axis) at whole positions; outside it NaN, or 0 where it holds no floats."""
    table, index = np.asarray(table), np.asarray(index)
    outside = (index < 0) | (index >= table.shape[-1])
    index = np.where(outside, 0, index)
    if table.ndim == 1 or index.ndim < 2:
        values = table[..., index]
    else:
        values = np.take_along_axis(table, np.broadcast_to(index, (*table.shape[:-1], index.shape[-1])), -1)
    return np.where(outside, np.array(np.nan if table.dtype.kind == "f" else 0, table.dtype), values)


def table_row(t, dt, interval):
    """The row of a table with one row an `interval` at time t. Times are rounded to a grid that is at least 8 times as fine as the steps of the clock, so
    that a time just below the beginning of a row belongs to it."""
    fine = np.maximum(np.floor(np.exp2(np.ceil(np.log2(8.0 / dt * interval)))), 1.0)
    row = np.rint(t / (interval / fine)) / fine
    return np.where(row > -9e18, np.where(row < 9e18, row, 9e18), -9e18).astype(np.int64)


def square(x):
    return x * x


def cube(x):
    return x * x * x


def fourth(x):
    return (x * x) * (x * x)


def power(x, y):
    x = np.asarray(x)
    return np.power(x if x.dtype.kind == "f" else x.astype(np.float64), y)


def erf(x):
    return np.vectorize(_math_erf, otypes=[np.float64])(x)


def poisson_thresholds(mean):
    """For each k, the whole multiple of 2**-53 from which on a uniform number gives a Poisson number above k; -1 where inversion is not the way."""
    mean = float(np.ravel(mean)[0])
    if mean >= 10:
        return np.full(64, -1, np.int64)
    return thresholds(np.exp(-np.array([mean])), lambda k: mean / k, 64 if mean > 0 else 0)


def binomial_thresholds(trials, probability):
    """As `poisson_thresholds`, for binomial numbers; probabilities above 1/2 are not for the table either."""
    n, p = np.floor(float(np.ravel(trials)[0])), float(np.ravel(probability)[0])
    if p > 0.5 or n * p >= 10 or n > 1e18:
        return np.full(64, -1, np.int64)
    if not (n > 0 and p > 0):
        return thresholds(np.array([1.0]), lambda k: 0.0, 0)
    odds = p / (1.0 - p)
    return thresholds(np.exp(n * np.log1p(-np.array([p]))), lambda k: (n + 1.0) * odds / k - odds, int(min(n, 64)))


def thresholds(first, ratio, most):
    """`first` is P(0), `ratio(k)` is P(k)/P(k - 1); no number is above `most`."""
    table = np.full(64, np.iinfo(np.int64).max)
    p = total = float(first[0])
    for k in range(most):
        table[k] = int(np.ceil(total * 2.0**53))
        p = p * ratio(k + 1.0)
        total = total + p
    return table


def probability_classes(p):
    """A bit for each class of probabilities that occurs: 0 from 1/16 on, k from 2**-(k + 1) up to 2**-k; -1 where none is a probability."""
    p = np.ravel(np.asarray(p, np.float64))
    if not (p >= 0).any():
        return np.array([-1])
    classes = np.minimum(-np.frexp(p[p > 0])[1], 32)
    return np.array([np.bitwise_or.reduce(1 << np.where(classes < 4, 0, classes).astype(np.int64), initial=0)])


def propagator(matrix, dt):
    """P = exp(A dt) and Q = integral of exp(A s) ds over [0, dt], for each element: the blocks of exp([[A, 1], [0, 0]] dt)."""
    size = len(matrix)
    shape = np.broadcast_shapes(*(np.shape(entry) for row in matrix for entry in row))
    block = np.zeros((*shape, 2 * size, 2 * size))
    for i, row in enumerate(matrix):
        for j, entry in enumerate(row):
            block[..., i, j] = entry
        block[..., i, size + i] = 1.0
    full = matrix_exponential(block * np.asarray(dt)[..., None, None])
    return full[..., :size, :size], full[..., :size, size:]


def matrix_exponential(matrix):
    """exp of each matrix in the last two axes, by scaling to a norm of at most 1/2, Taylor's series and squaring (Moler & Van Loan 2003)."""
    norm = np.max(np.sum(np.abs(matrix), axis=-1), initial=0.0)
    squarings = max(0, int(np.ceil(np.log2(norm))) + 1) if norm > 0 and np.isfinite(norm) else 0
    scaled = matrix / 2.0**squarings
    identity = np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape)
    result = identity
    for k in range(18, 0, -1):
        result = identity + scaled @ result / k
    for _ in range(squarings):
        result = result @ result
    return result


from math import erf as _math_erf
'''.lstrip()

RESERVED = frozenset(
    "np value_at table_row exprel inverse_exprel exprel_slope exprel_curvature exp_difference timestep square cube fourth power erf propagator "
    "matrix_exponential poisson_thresholds binomial_thresholds probability_classes thresholds".split()
)


def identifier(name: str) -> str:
    """The user's own name, out of the way of the prelude's; different names stay different."""
    return name + "_" if name in RESERVED or name.endswith("_") else name


def _number(value: int | float) -> str:
    text = "np.inf" if value == float("inf") else "-np.inf" if value == float("-inf") else repr(value)
    return f"({text})" if value < 0 else text


def language(float_dtype: str) -> Language:
    return Language(
        name="python",
        number=_number,
        identifier=identifier,
        invert="np.logical_not({0})",
        arithmetic={"+": "({0} + {1})", "-": "({0} - {1})", "*": "({0} * {1})", "/": "({0} / {1})", "//": "({0} // {1})", "%": "({0} % {1})",
                    "**": "power({0}, {1})"},
        comparison=COMPARISONS,
        logic={"and": "np.logical_and({0}, {1})", "or": "np.logical_or({0}, {1})"},
        where="np.where({0}, {1}, {2})",
        cast={DType.FLOAT: f"np.asarray({{0}}).astype(np.{float_dtype})", DType.INT32: "np.asarray({0}).astype(np.int32)",
              DType.INT64: "np.asarray({0}).astype(np.int64)", DType.BOOL: "np.asarray({0}).astype(np.bool_)"},
    )  # fmt: skip


def render(kernel: Map | Deliver, float_dtype: str = "float64") -> Source:
    """`Kernel -> Source`: the body as one function of arrays; parameters are the loads, the draws and the Python functions that it calls
    (see `functions`), results are the stored names.

    A draw is an array; for a law with arguments, the function of those arguments that gives it.
    """
    specs = functions(kernel)
    plain, called = language(float_dtype).template, {spec: f"_function_{n}" for n, spec in enumerate(specs)}

    def template(expr: Expr) -> str:
        if isinstance(expr, Call) and expr.spec in called:
            return f"{called[expr.spec]}({', '.join(f'{{{n}}}' for n in range(len(expr.arguments)))})"
        return plain(expr)

    def text(expr: Expr) -> str:
        return write(expr, template)

    draws = [line.name for line in kernel.body if isinstance(line, Draw)]
    parameters = [load.name for load in kernel.loads] + draws + list(called.values())
    rows = [row for line in kernel.body for row in _line(line, text)]
    returns = [store.name for store in kernel.stores]
    name = "".join(c if c.isalnum() else "_" for c in kernel.name)
    result = ", ".join(map(identifier, returns))
    lines = [f"def {name}({', '.join(map(identifier, parameters))}):", *("    " + row for row in rows), f"    return ({result}{',' if returns else ''})"]
    return Source("python", name, "\n".join(lines) + "\n", tuple(parameters), tuple(returns))


def functions(kernel: Map | Deliver) -> tuple[FunctionSpec, ...]:
    """The Python functions from outside that a kernel calls."""
    nodes = (node for line in kernel.body for expr in expressions(line) for node in walk(expr))
    return tuple(dict.fromkeys(node.spec for node in nodes if isinstance(node, Call) and node.spec is not None and node.spec.implementation is not None))


def _line(line: Line, text: Callable[[Expr], str]) -> list[str]:
    match line:
        case Let(name, value):
            return [f"{identifier(name)} = {text(value)}"]
        case Fire(name, condition, _, None):
            return [f"{identifier(name)} = {text(condition)}"]
        case Fire(name, condition, _, gate) if gate is not None:
            return [f"{identifier(name)} = np.logical_and({text(condition)}, {text(gate)})"]
        case Select(name, event, then, otherwise):
            return [f"{identifier(name)} = np.where({text(event)}, {text(then)}, {text(otherwise)})"]
        case Force(name, fired, value, mask):
            return [f"{identifier(name)} = np.where({text(mask)}, {text(value)} != 0, {text(fired)})"]
        case Draw(name, _, _, arguments):
            return [f"{identifier(name)} = {identifier(name)}({', '.join(map(text, arguments))})"] if arguments else []
        case Propagator():
            return _propagator(line, text)
    raise UnsupportedError(f"python cannot print {type(line).__name__}")


def _propagator(line: Propagator, text: Callable[[Expr], str]) -> list[str]:
    matrix = ", ".join("[" + ", ".join(map(text, row)) + "]" for row in line.matrix)
    stem = line.names[0]
    rows = [f"{stem}_P, {stem}_Q = propagator([{matrix}], {text(line.dt)})"]
    for table, letter in ((line.transition, "P"), (line.input_response, "Q")):
        rows += [f"{identifier(name)} = {stem}_{letter}[..., {i}, {j}]" for i, row in enumerate(table) for j, name in enumerate(row) if name is not None]
    return rows
