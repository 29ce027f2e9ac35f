"""Maps as loops over vectors: explicit C vectors, because compilers do not vectorise loops that mix booleans, integers and floats.

A Map whose elements reach only themselves (and what all share) computes a vector of elements at a time: with AVX-512, 8 lanes in float64 and 16 in
float32. A boolean is a mask, so conditions need neither branches nor conversions. What depends on shared values only is computed once, before the loop.
Bytes (booleans, events) are collected over a block of vectors and written in one piece. `vectorised` returns None for a kernel that holds something else;
that one is written element by element.

Kinds of lanes, by letter: d double, q int64, h int32 and m mask in float64 kernels; f float, i int32, w int64 (two vectors) and n mask in float32 ones.
`lanes.py` and `vector_prelude.py` define what the text calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ..abreast import abreast
from ..expr import Binary, Call, Cast, Compare, DType, Element, Expr, Index, Logical, Name, Negate, Not, Number, Where, walk
from ..functions import spec_of
from ..ir import Draw, Fire, Let, Line, Load, Map, Select, Store, expressions
from .base import POWERS
from .scalars import INTEGER_DTYPES, SUFFIXES, Types, line_text, written

LANES = {"double": "LANES", "float": "LANES2"}
LETTERS = {"double": {"double": "d", "int64_t": "q", "int32_t": "h", "int": "m"}, "float": {"float": "f", "int64_t": "w", "int32_t": "i", "int": "n"}}
CTYPES = {"d": "vd", "q": "vq", "h": "vh", "m": "vm", "f": "vf", "i": "vi", "w": "vw", "n": "vn"}
ELEMENTS = {"d": "double", "q": "int64_t", "h": "int32_t", "m": "int", "f": "float", "i": "int32_t", "w": "int64_t", "n": "int"}
COMPARED = {"<": "less", "<=": "at_most", ">": "greater", ">=": "at_least", "==": "equal", "!=": "different"}
ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply"}
OF_REALS = frozenset(
    "exp expm1 log log10 log1p sin cos tan sinh cosh tanh arcsin arccos arctan sqrt floor ceil abs sign clip exprel "
    "_erf _inverse_exprel _exprel_slope _exprel_curvature _exp_difference".split()
)
STAGED = {"m": "q", "n": "i"}  # in lanes of which the bytes of a block wait
C_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "abs": "fabs"}


class _NoVectors(Exception):
    """The kernel holds something that is written element by element."""


@dataclass(slots=True)
class _Text:
    """The text of a kernel under construction.

    `real` is the type of its floats; `types` those of all names as vectors see them, `scalars` those of the names whose value all elements share;
    `tables` are the arrays behind loads of whole ones, `steps` the loads of a clock's dt. `early` runs once, before the loop, `inner` in it, `late` behind a
    block, the bytes of which `staged` collects, by array.
    """

    real: str
    types: Types
    scalars: Types
    tables: Mapping[str, str]
    steps: frozenset[str]
    declared: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    staged: dict[str, str] = field(default_factory=dict)
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
        kind = STAGED.get(kind, kind)
        return f"{COMPARED[operator]}_{kind}({self.vector(left, kind)}, {self.vector(right, kind)})"

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
            kind = self.letter(self.real)
            argument = self.vector(call.arguments[0], kind)
            return f"equal_{kind}(({argument} - {argument}), {self.fixed('0.0', kind)})"
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
def vectorised(kernel: Map, ctypes: Mapping[str, str], real: str, steps: frozenset[str]) -> tuple[str, ...] | None:
    """The lines of a loop over `LANES[real]` elements at a time, with its declarations; None for a kernel that is not for vectors.

    `ctypes` are the types of the arrays' elements, `steps` the arrays that hold the dt of a clock.
    """
    reached = {load.index for load in kernel.loads} | {store.index for store in kernel.stores}
    written_arrays = {store.array for store in kernel.stores}
    within = all(store.index is Index.SELF for store in kernel.stores) and reached <= {Index.SELF, Index.SHARED, Index.WHOLE}
    if kernel.only is not None or not within or any(load.index is not Index.SELF and load.array in written_arrays for load in kernel.loads):
        return None
    try:
        text = _body(replace(kernel, body=abreast(kernel.body, kernel.loads)), ctypes, real, steps)
    except _NoVectors:
        return None
    return (*text.declared, *text.early, *(_blocks(text) if text.staged else _vectors(text)))


def _vectors(text: _Text) -> Iterator[str]:
    """The loop, one vector after the other."""
    yield "element = c.begin"
    yield "while element < c.end:"
    yield from ("    " + line for line in [*text.inner, f"element += {LANES[text.real]}"])


def _blocks(text: _Text) -> Iterator[str]:
    """The loop, one block of vectors after the other, with the bytes of a block written at its end."""
    mask = text.letter("int")
    kind = STAGED[mask]
    names = [*text.staged.values(), "none", "first", "place"]
    yield "cdef ptrdiff_t block = c.begin, stop"
    yield f"cdef {CTYPES[kind]} {', '.join(names)}"
    yield f"none = splat_{kind}(0)"
    yield f"first = splat_{kind}(1)"
    yield "while block < c.end:"
    yield "    stop = block + BLOCK if block + BLOCK < c.end else c.end"
    for name in text.staged.values():
        yield f"    {name} = none"
    yield "    element, place = block, first"
    yield "    while element < stop:"
    yield from ("        " + line for line in [*text.inner, f"place = next_{mask}(place)", f"element += {LANES[text.real]}"])
    for array, name in text.staged.items():
        yield f"    spread_{mask}({array} + block, {name}, stop - block)"
    yield from ("    " + line for line in text.late)
    yield "    block = stop"


def _local(storage: str) -> str:
    return "int" if storage == "uint8_t" else storage


def _body(kernel: Map, ctypes: Mapping[str, str], real: str, steps: frozenset[str]) -> _Text:
    tables = {load.name: load.array for load in kernel.loads if load.index is Index.WHOLE}
    text = _Text(real, Types(real, {}, tables), Types(real, {}, tables), tables, frozenset(load.name for load in kernel.loads if load.array in steps))
    uses = Counter(node.name for line in kernel.body for expr in expressions(line) for node in walk(expr) if isinstance(node, Name))
    for load in kernel.loads:
        _load(text, load, _local(ctypes[load.array]), uses[load.name])
    for line in kernel.body:
        text.add(line)
    for store in sorted(kernel.stores, key=lambda store: _local(ctypes[store.array]) != "int"):  # bytes first: what happens where events are needs them
        _store(text, kernel, store, _local(ctypes[store.array]))
    for array in dict.fromkeys(tables.values()):
        text.declared.append(f"cdef int64_t length_{array}")
        text.early.insert(0, f"length_{array} = n{array[1:]}[0]")
    return text


def _load(text: _Text, load: Load, ctype: str, uses: int) -> None:
    if load.index is Index.SELF:
        kind = text.letter(ctype)
        text.types = _with(text.types, load.name, ctype)
        text.declared.append(f"cdef {CTYPES[kind]} {load.name}")
        value = f"load_{kind}({load.array} + element)"
        text.inner.append(f"{load.name} = kept_{kind}({value})" if kind in "df" and uses > 1 else f"{load.name} = {value}")
        return
    text.scalars = _with(text.scalars, load.name, ctype)
    text.types = _with(text.types, load.name, text.real if ctype == "double" else ctype)
    if load.index is Index.SHARED:
        text.declared.append(f"cdef {ctype} {load.name}")
        text.early.append(f"{load.name} = {load.array}[0]")


def _store(text: _Text, kernel: Map, store: Store, ctype: str) -> None:
    """A result in its array; bytes wait for the end of the block."""
    kind, array = text.letter(ctype), store.array
    value = text.vector(Name(store.name), kind)
    if store.add:
        if kind in "mnw":
            raise _NoVectors
        text.inner.append(f"store_{kind}({array} + element, load_{kind}({array} + element) + {value})")
        return
    if kind in STAGED:
        if array in text.staged:
            raise _NoVectors
        text.staged[array] = f"s{len(text.staged)}"
        text.inner.append(f"{text.staged[array]} = stage_{kind}({text.staged[array]}, {value}, place)")
        return
    line = _rare(text, kernel, store)
    events = next((other.array for other in kernel.stores if line is not None and Name(other.name) == line.event and other.array in text.staged), None)
    if line is not None and events is not None and ctype == "int64_t" and text.shared(line.then):
        then = written(line.then, text.scalars)
        text.late.append(f"if any_{STAGED[text.letter('int')]}({text.staged[events]}): mark({array} + block, {events} + block, stop - block, {then})")
        return
    condition = "" if line is None else f"if any_{text.letter('int')}({line.event.name}): "  # type: ignore[union-attr]
    text.inner.append(f"{condition}store_{kind}({array} + element, {value})")


def _rare(text: _Text, kernel: Map, store: Store) -> Select | None:
    """The line that replaces what an array holds only where an event is, as it does the time of the last spike, if that is all that happens to the array."""
    events = {line.name for line in kernel.body if isinstance(line, Fire)} - text.scalars.names.keys()
    kept = {load.array: load.name for load in kernel.loads if load.index is Index.SELF}
    for line in kernel.body:
        if isinstance(line, Select) and line.name == store.name and line.otherwise == Name(kept.get(store.array, "")):
            return line if isinstance(line.event, Name) and line.event.name in events else None
    return None
