"""Maps as loops over vectors: explicit C vectors, because compilers do not vectorise loops that mix booleans, integers and floats.

A Map whose elements reach only themselves (and what all share) computes a vector of elements at a time: with AVX-512, 8 lanes in float64 and 16 in
float32. A boolean is a mask, all bits of a lane set or none, as wide as the floats beside it, so conditions need neither branches nor conversions. What
depends on shared values only is computed once, before the loop. `vectorised` returns None for a kernel that holds something else; that one is written
element by element.

Kinds of lanes, by letter: d double, q int64, h int32 and m mask in float64 kernels; f float, i int32, w int64 (two vectors) and n mask in float32 ones.
`vector_prelude.py` defines what the text calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..expr import Binary, Call, Cast, Compare, DType, Element, Expr, Index, Logical, Name, Negate, Not, Number, Where, walk
from ..functions import spec_of
from ..ir import Draw, Fire, Let, Line, Load, Map, Select, expressions
from .base import POWERS
from .scalars import INTEGER_DTYPES, SUFFIXES, Types, line_text, written

LANES = {"double": "LANES", "float": "LANES2"}
LETTERS = {"double": {"double": "d", "int64_t": "q", "int32_t": "h", "int": "m"}, "float": {"float": "f", "int64_t": "w", "int32_t": "i", "int": "n"}}
CTYPES = {"d": "vd", "q": "vq", "h": "vh", "m": "vq", "f": "vf", "i": "vi", "w": "vw", "n": "vi"}
ELEMENTS = {"d": "double", "q": "int64_t", "h": "int32_t", "m": "int", "f": "float", "i": "int32_t", "w": "int64_t", "n": "int"}
COMPARED = {"<": "less", "<=": "at_most", ">": "greater", ">=": "at_least", "==": "equal", "!=": "different"}
ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply"}
OF_REALS = frozenset(
    "exp expm1 log log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan sqrt floor ceil abs sign clip exprel "
    "_erf _inverse_exprel _exprel_slope _exprel_curvature _exp_difference".split()
)
C_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "abs": "fabs"}


class _NoVectors(Exception):
    """The kernel holds something that is written element by element."""


@dataclass(slots=True)
class _Text:
    """The text of a kernel under construction.

    `real` is the type of its floats; `types` those of all names as vectors see them, `scalars` those of the names whose value all elements share;
    `tables` are the arrays behind loads of whole ones, `steps` the loads of a clock's dt. `early` runs once, before the loop, `inner` in it.
    """

    real: str
    types: Types
    scalars: Types
    tables: Mapping[str, str]
    steps: frozenset[str]
    declared: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)
    constants: dict[tuple[str, str], str] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------------------------------------------------ types
    def letter(self, ctype: str) -> str:
        """The kind of lanes that hold values of this C type."""
        if ctype not in LETTERS[self.real]:
            raise _NoVectors
        return LETTERS[self.real][ctype]

    def kind(self, expr: Expr) -> str:
        return self.letter(self.types.of(expr))

    def shared(self, expr: Expr) -> bool:
        """Whether all elements have the same value."""
        return all(node.name in self.scalars.names or node.name in self.tables for node in walk(expr) if isinstance(node, Name))

    # ----------------------------------------------------------------------------------------------------------------------------------- expressions
    def constant(self, expr: Expr, kind: str) -> str:
        """The name of a vector that holds one shared value in all lanes."""
        text, ctype = written(expr, self.scalars), self.scalars.of(expr)
        if kind == "f" and ctype == "double" and not self._narrow(expr):
            raise _NoVectors
        if kind in "mn":
            text = text if ctype == "int" else f"({text} != 0)"
        elif ctype != ELEMENTS[kind]:
            text = f"<{ELEMENTS[kind]}>{text}"
        return self.fixed(text, kind)

    def fixed(self, text: str, kind: str) -> str:
        key = (text, kind)
        if key not in self.constants:
            name = f"k{len(self.constants)}"
            self.constants[key] = name
            self.declared.append(f"cdef {CTYPES[kind]} {name}")
            self.early.append(f"{name} = splat_{kind}({text})")
        return self.constants[key]

    def _narrow(self, expr: Expr) -> bool:
        """Whether a double loses nothing that matters in a float: a step does not, time does, unless a function brings it into a range."""
        times = [node.name for node in walk(expr) if isinstance(node, Name) and self.scalars.names.get(node.name) == "double"]
        return set(times) <= self.steps or isinstance(expr, Call | Element)

    def vector(self, expr: Expr, kind: str) -> str:
        """The expression as a vector of this kind."""
        if self.shared(expr):
            return self.constant(expr, kind)
        own = self.kind(expr)
        return self.converted(self.written(expr), own, kind)

    def converted(self, text: str, own: str, kind: str) -> str:
        return text if own == kind else f"{own}_to_{kind}({text})"

    def common(self, *parts: Expr) -> str:
        return self.letter(self.types.common(*parts))

    def written(self, expr: Expr) -> str:
        """The text of an expression that differs between elements, as a vector of its own kind."""
        match expr:
            case Name(name):
                return name
            case Negate(operand):
                kind = self.kind(expr)
                if kind in "mn":
                    raise _NoVectors
                return f"negate_w({self.vector(operand, kind)})" if kind == "w" else f"(-{self.vector(operand, kind)})"
            case Not(operand):
                return f"(~{self.vector(operand, self.kind(expr))})"
            case Cast(_, operand):
                return self.vector(operand, self.kind(expr))
            case Where(condition, then, otherwise):
                kind = self.kind(expr)
                return f"where_{kind}({self.vector(condition, self.letter('int'))}, {self.vector(then, kind)}, {self.vector(otherwise, kind)})"
            case Compare(operator, left, right):
                return self._compared(operator, left, right)
            case Logical(operator, left, right):
                kind = self.letter("int")
                return f"({self.vector(left, kind)} {'&' if operator == 'and' else '|'} {self.vector(right, kind)})"
            case Binary():
                return self._binary(expr)
            case Element(Name(table), index):
                return self._element(table, index)
            case Call():
                return self._call(expr)
        raise _NoVectors

    def _compared(self, operator: str, left: Expr, right: Expr) -> str:
        kind = self.common(left, right)
        if kind in "mn":
            kind = {"m": "q", "n": "i"}[kind]
        a, b = self.vector(left, kind), self.vector(right, kind)
        return f"{COMPARED[operator]}_{kind}({a}, {b})" if kind in "hw" else f"({a} {operator} {b})"

    def _binary(self, expr: Binary) -> str:
        kind = self.kind(expr)
        match expr:
            case Binary("**", left, Number(value)) if value in POWERS:
                if kind in "mn":
                    raise _NoVectors
                return f"{POWERS[int(value)]}_{kind}({self.vector(left, kind)})"
            case Binary("//", left, right) if kind not in "mnwi":
                return f"floor_divide_{kind}({self.vector(left, kind)}, {self.vector(right, kind)})"
            case Binary("%", left, right) if kind not in "mnwi":
                return f"floor_modulo_{kind}({self.vector(left, kind)}, {self.vector(right, kind)})"
            case Binary("**", left, right):
                return f"pow_{kind}({self.vector(left, kind)}, {self.vector(right, kind)})"
            case Binary("/", left, right):
                return f"({self.vector(left, kind)} / {self.vector(right, kind)})"
            case Binary(operator, left, right) if operator in ARITHMETIC and kind not in "mn":
                a, b = self.vector(left, kind), self.vector(right, kind)
                return f"{ARITHMETIC[operator]}_w({a}, {b})" if kind == "w" else f"({a} {operator} {b})"
        raise _NoVectors

    def _element(self, table: str, index: Expr) -> str:
        ctype = self.types.names[table]
        if self.real != "double" or ctype == "float":
            raise _NoVectors
        suffix = "_byte" if ctype == "int" else SUFFIXES[ctype]
        return f"value_at_v{suffix}({self.tables[table]}, length_{self.tables[table]}, {self.vector(index, 'q')})"

    def _call(self, call: Call) -> str:
        spec = spec_of(call)
        if call.function in ("timestep", "_table_row"):
            arguments = ", ".join(self.vector(argument, self.letter("double")) for argument in call.arguments)
            return f"{call.function.removeprefix('_')}_d({arguments})"
        if call.function == "_finite":
            argument = self.vector(call.arguments[0], self.letter(self.real))
            return f"(({argument} - {argument}) == {self.fixed('0.0', self.letter(self.real))})"
        kind = self.kind(call)
        if spec.implementation is not None or call.function not in OF_REALS or kind not in "df":
            raise _NoVectors
        name = C_NAMES.get(call.function, call.function.removeprefix("_"))
        return f"{name}_{kind}({', '.join(self.vector(argument, kind) for argument in call.arguments)})"

    # ----------------------------------------------------------------------------------------------------------------------------------------- lines
    def add(self, line: Line) -> None:
        """One line of the body: before the loop if all elements share what it assigns."""
        assert isinstance(line, Let | Select | Fire | Draw)
        if not isinstance(line, Draw) and all(map(self.shared, expressions(line))):
            ctype, value = line_text(line, self.scalars)
            self.declared.append(f"cdef {ctype} {line.name}")
            self.early.append(f"{line.name} = {value}")
            self.scalars = _with(self.scalars, line.name, ctype)
            narrow = self.real if ctype == "double" else ctype
            self.types = _with(self.types, line.name, narrow)
            return
        ctype, text = self._line(line)
        self.declared.append(f"cdef {CTYPES[self.letter(ctype)]} {line.name}")
        self.inner.append(f"{line.name} = {text}")
        self.types = _with(self.types, line.name, ctype)

    def _line(self, line: Let | Select | Fire | Draw) -> tuple[str, str]:
        match line:
            case Let(_, value, dtype):
                return self._assigned(value, dtype)
            case Select(_, event, then, otherwise, dtype):
                return self._assigned(Where(event, then, otherwise), dtype)
            case Fire(_, condition, _, gate):
                return self._assigned(condition if gate is None else Logical("and", condition, gate), DType.BOOL)
            case Draw(_, law, number, arguments):
                where = f"seed, epoch, stream, {number}, step, <uint32_t>element"
                if not arguments:
                    return self.real, f"draw_{law}_{self.letter(self.real)}({where})"
                kind = self.letter("int64_t")
                if isinstance(line.thresholds, Name):
                    values = "".join(f", <double>{written(argument, self.scalars)}" for argument in arguments)
                    return "int64_t", f"find_{law}_{kind}({where}, {self.tables[line.thresholds.name]}{values})"
                if self.real != "double":
                    raise _NoVectors
                values = "".join(f", {self.vector(argument, 'd')}" for argument in arguments)
                return "int64_t", f"draw_{law}_{kind}({where}{values})"
        raise _NoVectors

    def _assigned(self, value: Expr, dtype: DType) -> tuple[str, str]:
        ctype = INTEGER_DTYPES.get(dtype) or self.types.floating(self.types.of(value))
        return ctype, self.vector(value, self.letter(ctype))


def _with(types: Types, name: str, ctype: str) -> Types:
    return replace(types, names={**types.names, name: ctype})


# ---------------------------------------------------------------------------------------------------------------------------------------------- kernels
def vectorised(kernel: Map, ctypes: Mapping[str, str], real: str, steps: frozenset[str]) -> tuple[list[str], list[str], list[str]] | None:
    """Declarations, what runs before the loop, and the body of the loop over `LANES[real]` elements at a time; None for a kernel that is not for vectors.

    `ctypes` are the types of the arrays' elements, `steps` the arrays that hold the dt of a clock.
    """
    reached = {load.index for load in kernel.loads} | {store.index for store in kernel.stores}
    written_arrays = {store.array for store in kernel.stores}
    within = all(store.index is Index.SELF for store in kernel.stores) and reached <= {Index.SELF, Index.SHARED, Index.WHOLE}
    if kernel.only is not None or not within or any(load.index is not Index.SELF and load.array in written_arrays for load in kernel.loads):
        return None
    try:
        return _body(kernel, ctypes, real, steps)
    except _NoVectors:
        return None


def _local(storage: str) -> str:
    return "int" if storage == "uint8_t" else storage


def _body(kernel: Map, ctypes: Mapping[str, str], real: str, steps: frozenset[str]) -> tuple[list[str], list[str], list[str]]:
    tables = {load.name: load.array for load in kernel.loads if load.index is Index.WHOLE}
    text = _Text(real, Types(real, {}, tables), Types(real, {}, tables), tables, frozenset(load.name for load in kernel.loads if load.array in steps))
    for load in kernel.loads:
        _load(text, load, _local(ctypes[load.array]))
    for line in kernel.body:
        text.add(line)
    kept = {load.array: load.name for load in kernel.loads if load.index is Index.SELF}
    for store in kernel.stores:
        _store(text, kernel.body, store.array, store.name, store.add, _local(ctypes[store.array]), kept)
    for array in dict.fromkeys(tables.values()):
        text.declared.append(f"cdef int64_t length_{array}")
        text.early.insert(0, f"length_{array} = n{array[1:]}[0]")
    return text.declared, text.early, text.inner


def _load(text: _Text, load: Load, ctype: str) -> None:
    if load.index is Index.SELF:
        kind = text.letter(ctype)
        text.types = _with(text.types, load.name, ctype)
        text.declared.append(f"cdef {CTYPES[kind]} {load.name}")
        text.inner.append(f"{load.name} = load_{kind}({load.array} + element)")
        return
    text.scalars = _with(text.scalars, load.name, ctype)
    text.types = _with(text.types, load.name, text.real if ctype == "double" else ctype)
    if load.index is Index.SHARED:
        text.declared.append(f"cdef {ctype} {load.name}")
        text.early.append(f"{load.name} = {load.array}[0]")


def _store(text: _Text, body: Sequence[Line], array: str, name: str, add: bool, ctype: str, kept: Mapping[str, str]) -> None:
    """What is only replaced where an event is (times of spikes) is stored only where there is one."""
    kind = text.letter(ctype)
    value = text.vector(Name(name), kind)
    if add:
        if kind in "mnw":
            raise _NoVectors
        text.inner.append(f"store_{kind}({array} + element, load_{kind}({array} + element) + {value})")
        return
    events = {line.name for line in body if isinstance(line, Fire)} - text.scalars.names.keys()
    rare = [line for line in body if isinstance(line, Select) and line.name == name and line.otherwise == Name(kept.get(array, ""))]
    condition = "".join(f"if any_{text.letter('int')}({line.event.name}): " for line in rare if isinstance(line.event, Name) and line.event.name in events)
    text.inner.append(f"{condition}store_{kind}({array} + element, {value})")
