"""C types and Cython text of expressions and lines, one value at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from ..expr import Binary, Call, Cast, Compare, DType, Element, Expr, Logical, Name, Negate, Not, Number, Truth, Where, walk
from ..functions import spec_of
from ..ir import Draw, Fire, Let, Line, Select
from .base import COMPARISONS, POWERS, Language, write

RANKS = ("int", "int32_t", "int64_t", "float", "double")  # the type of `a + b` is the later one; `int` is that of booleans
SUFFIXES = {"double": "", "float": "f", "int64_t": "_long", "int32_t": "_int", "int": "_int"}
INTEGER_DTYPES = {DType.INT32: "int32_t", DType.INT64: "int64_t", DType.BOOL: "int"}


@dataclass(frozen=True, slots=True)
class Types:
    """The C types of the values assigned so far; `real` is that of FLOAT, `tables` names the array behind each load of a whole one."""

    real: str
    names: Mapping[str, str]
    tables: Mapping[str, str] = field(default_factory=dict)

    def of(self, expr: Expr) -> str:
        match expr:
            case Number(int() as value):
                return "int32_t" if abs(value) < 2**31 else "int64_t" if abs(value) < 2**63 else self.real
            case Number():
                return self.real
            case Truth() | Not() | Compare() | Logical():
                return "int"
            case Name(name):
                return self.names[name]
            case Negate(operand):
                return self.of(operand)
            case Cast(dtype, operand):
                return INTEGER_DTYPES.get(dtype) or self.floating(self.of(operand))
            case Where(_, then, otherwise):
                return self.common(then, otherwise)
            case Binary("/", left, right):
                return self.floating(self.common(left, right))
            case Binary("**", left, Number(value)) if value in POWERS:
                return self.of(left)
            case Binary("**", left, right):
                return self.floating(self.common(left, right))
            case Binary(_, left, right):
                return self.common(left, right)
            case Element(Name(table)):
                return self.names[table]
            case Call():
                return self._call(expr)
        raise TypeError(f"the Cython backend cannot type {type(expr).__name__}: {expr!r}")

    def _call(self, call: Call) -> str:
        dtype = spec_of(call).dtype
        if dtype in INTEGER_DTYPES:
            return INTEGER_DTYPES[dtype]
        common = self.common(*call.arguments)
        return common if dtype is None else self.floating(common)

    def common(self, *parts: Expr) -> str:
        return max((self.of(part) for part in parts), key=RANKS.index)

    def floating(self, ctype: str) -> str:
        """The type in which a function of reals computes."""
        return ctype if ctype in ("double", "float") else self.real


def _number(value: int | float, real: str = "double") -> str:
    if isinstance(value, int) and abs(value) < 2**63:
        return f"({value})" if value < 0 else str(value)
    value = float(value)
    text = "NAN" if math.isnan(value) else repr(value) if math.isfinite(value) else "INFINITY" if value > 0 else "(-INFINITY)"
    if real == "float":
        return f"(<float>{text})"
    return f"({text})" if value < 0 and math.isfinite(value) else text


LANGUAGE = Language(
    name="cython",
    number=_number,
    truth=lambda value: "1" if value else "0",
    arithmetic={"+": "({0} + {1})", "-": "({0} - {1})", "*": "({0} * {1})", "/": "({0} / {1})", "//": "floor_divide({0}, {1})", "%": "floor_modulo({0}, {1})"}
    | {"**": "pow({0}, {1})"},
    comparison=COMPARISONS,
    logic={"and": "({0} & {1})", "or": "({0} | {1})"},
    where="where({0}, {1}, {2})",
    cast={DType.FLOAT: "(<double>{0})", DType.INT32: "(<int32_t>{0})", DType.INT64: "(<int64_t>{0})", DType.BOOL: "({0} != 0)"},
)


def _template(types: Types) -> Callable[[Expr], str]:
    """The templates of LANGUAGE, with the variant of each function that fits the types of its arguments."""

    def template(expr: Expr) -> str:
        text = LANGUAGE.template(expr)
        match expr:
            case Number(value):
                return _number(value, types.real)
            case Cast(DType.FLOAT):
                return f"(<{types.of(expr)}>{{0}})"
            case Binary("/", left, right) if types.common(left, right) not in ("float", "double"):
                return f"(<{types.real}>{{0}} / <{types.real}>{{1}})"
            case Binary("//" | "%" | "**") | Where():
                return _variant(text, types.of(expr))
            case Call() if spec_of(expr).dtype in (None, DType.FLOAT):
                return _variant(text, types.of(expr))
            case Name(name) if name in types.tables:
                return f"{types.tables[name]}, length_{types.tables[name]}"
            case Element(Name(table)):
                suffix = "_byte" if types.names[table] == "int" else SUFFIXES[types.names[table]]
                return f"value_at{suffix}({{0}}, <int64_t>{{1}})"
        return text

    return template


def _variant(text: str, ctype: str) -> str:
    name, bracket, rest = text.partition("(")
    return name + SUFFIXES[ctype] + bracket + rest


def written(expr: Expr, types: Types) -> str:
    """The expression as Cython; with float32, all literals of an expression are double if one of its values is (t, dt)."""
    if types.real == "float" and any(isinstance(e, Name) and types.names[e.name] == "double" for e in walk(expr)):
        types = replace(types, real="double")
    return write(expr, _template(types))


def line_text(line: Line, types: Types) -> tuple[str, str]:
    """The type and the value of what a line assigns."""
    match line:
        case Let(_, value, dtype):
            return INTEGER_DTYPES.get(dtype) or types.floating(types.of(value)), _converted(value, dtype, types)
        case Fire(_, condition, _, gate):
            return "int", written(condition if gate is None else Logical("and", condition, gate), types)
        case Select(_, event, then, otherwise, dtype):
            chosen = Where(event, then, otherwise)
            return INTEGER_DTYPES.get(dtype) or types.floating(types.of(chosen)), _converted(chosen, dtype, types)
        case Draw(_, law, number, arguments) if arguments:
            values = ", ".join(f"<double>{written(argument, types)}" for argument in arguments)
            return "int64_t", f"draw_{law}(seed, epoch, stream, {number}, step, <uint32_t>element, {values})"
        case Draw(_, law, number):
            return types.real, f"draw_{law}{SUFFIXES[types.real]}(seed, epoch, stream, {number}, step, <uint32_t>element)"
    raise TypeError(f"not a line of a step: {line!r}")


def _converted(value: Expr, dtype: DType, types: Types) -> str:
    text, ctype = written(value, types), types.of(value)
    if dtype is DType.BOOL and ctype != "int":
        return f"({text} != 0)"
    wanted = INTEGER_DTYPES.get(dtype)
    return text if wanted in (None, ctype) else f"<{wanted}>{text}"
