"""Kernels as Cython: loops over raw pointers, whose text is the same for kernels that differ in names only.

A kernel becomes `int kernel_<hash>(void **p, KernelContext *c)`. The table `p` holds one pointer an array, in the order of `Source.parameters`; no two
of them may overlap. The module's `kernels` maps the name to the address and a signature, by which the runtime checks what it is given: a letter for
the kind (M: a Map whose elements are independent, m: one with sums or other shared targets, O: a Map over the spikes of an event, Dp and Do: a Deliver
for the spikes of the pre- or postsynaptic side), then for each array the letter of its type (d, f, i, q, B), those of its indices (s: self, h: shared,
p: pre, o: post, r: a synaptic value in the order of the rows), and `!` if it is written.

Same bits for any number of elements and of threads: the loop of a Map runs over whole vectors (`vectors.py`) or, where it is not for vectors, over whole
blocks of 16 elements, so arrays are padded to a multiple of 16 and no element is ever computed by a scalar remainder. Loops over spikes and synapses are
kept scalar. In blocks, bytes (booleans, events) are widened in loops of their own: next to them, gcc 12 computes doubles in vectors of 16 bytes only (3
times slower, measured).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from ..errors import UnsupportedError
from ..expr import Compare, DType, Expr, Index, Name, Number, Where, transform
from ..functions import calls_python
from ..ir import Array, Deliver, Draw, Fire, Force, Let, Line, Load, Map, Propagator, Role, Select, Source, Store, expressions
from ..rare import draws_by_blocks
from .prelude import PRELUDE as PRELUDE
from .prelude import prelude
from .rows import RowLoop, declarations, statements
from .runs import vectorizable
from .scalars import INTEGER_DTYPES, SUFFIXES, Types, line_text
from .vectors import vectorised

BLOCK = 16
VERSION = 4  # of the generated code and of KernelContext; part of every cache key

POINTERS = {"double": "f64", "float": "f32", "int32_t": "i32", "int64_t": "i64", "uint8_t": "u8"}
LETTERS = {"double": "d", "float": "f", "int32_t": "i", "int64_t": "q", "uint8_t": "B"}
INDEX_LETTERS = {Index.SELF: "s", Index.SHARED: "h", Index.PRE: "p", Index.POST: "o", Index.WHOLE: "h"}  # the kernel itself minds the length
LENGTH = "length of "  # before the name of an array reached as a whole: a parameter with the number of its elements
REALS = {"float64": "double", "float32": "float"}


# ------------------------------------------------------------------------------------------------------------------------------------------ canonical
def canonical(kernel: Map | Deliver) -> tuple[Map | Deliver, tuple[str, ...]]:
    """`kernel -> kernel`: names become positions (a0 arrays, x0 values), so kernels that differ in names only become equal; with the arrays' names.

    What only the driver needs (slot, order, event, delay) is emptied.
    """
    kernel = replace(kernel, body=_as_conditions(kernel))
    names = tuple(dict.fromkeys([load.array for load in kernel.loads] + [store.array for store in kernel.stores]))
    arrays = {name: f"a{n}" for n, name in enumerate(names)}
    assigned = [load.name for load in kernel.loads] + [line.name for line in kernel.body if not isinstance(line, Propagator)]
    values = {name: f"x{n}" for n, name in enumerate(assigned)}
    if len(values) < len(assigned):
        raise TypeError(f"kernel {kernel.name} assigns a name twice")
    loads = tuple(replace(load, name=values[load.name], array=arrays[load.array]) for load in kernel.loads)
    body = tuple(_rename_line(line, values, kernel.name) for line in kernel.body)
    stores = tuple(replace(store, name=_known(store.name, values, kernel.name), array=arrays[store.array]) for store in kernel.stores)
    match kernel:
        case Map(only=only):
            spikes = None if only is None else arrays.get(only, "")
            return Map("", "", loads, body, stores, only=spikes), names
        case Deliver(side=side, sequential=sequential):
            return Deliver("", "", side, "", None, loads, body, stores, sequential), names
    raise TypeError(f"not a kernel with a body: {kernel!r}")


def compilable(kernel: Map | Deliver) -> bool:
    """Whether this backend has every line of the kernel; numpy runs the others, from within the loop."""
    if any(load.index is Index.WHOLE and any(store.array == load.array for store in kernel.stores) for load in kernel.loads):
        return False  # it reaches other elements of an array that it changes at the same time
    return not any(isinstance(line, Propagator) or any(map(calls_python, expressions(line))) for line in kernel.body)


def _known(name: str, values: Mapping[str, str], kernel: str) -> str:
    if name not in values:
        raise TypeError(f"kernel {kernel} uses {name!r} and never assigns it")
    return values[name]


def _unforced(line: Line) -> Line:
    """Without gradients, a forced event is a choice like any other."""
    if not isinstance(line, Force):
        return line
    return Let(line.name, Where(line.mask, Compare("!=", line.value, Number(0.0)), line.fired), DType.BOOL)


def _as_conditions(kernel: Map | Deliver) -> tuple[Line, ...]:
    """The body with an event that is a number (it may be graded) as the condition that it is above 0, where it is one."""
    types = {load.name: load.dtype for load in kernel.loads}
    lines: list[Line] = []
    for line in kernel.body:
        if isinstance(line, Select) and isinstance(line.event, Name) and types.get(line.event.name, DType.BOOL) is not DType.BOOL:
            line = replace(line, event=Compare(">", line.event, Number(0)))
        types |= {line.name: line.dtype} if isinstance(line, Let | Select | Draw) else {}
        lines.append(_unforced(line))
    return tuple(lines)


def _rename_line(line: Line, values: Mapping[str, str], kernel: str) -> Line:
    def rule(expr: Expr) -> Expr:
        return Name(_known(expr.name, values, kernel)) if isinstance(expr, Name) else expr

    def new(expr: Expr) -> Expr:
        return transform(expr, rule)

    match line:
        case Let(name, value, dtype):
            return Let(values[name], new(value), dtype)
        case Fire(name, condition, _, gate):
            return Fire(values[name], new(condition), None, None if gate is None else new(gate))
        case Select(name, event, then, otherwise, dtype):
            return Select(values[name], new(event), new(then), new(otherwise), dtype)
        case Draw(name, law, number, arguments, thresholds):
            return Draw(values[name], law, number, tuple(map(new, arguments)), None if thresholds is None else new(thresholds))
        case Propagator():
            raise UnsupportedError(
                f"kernel {kernel}: the Cython backend has no Propagator inside a step", hint="It is computed once, by numpy, before the first step."
            )
    raise TypeError(f"not a line: {line!r}")


def _ends(kernel: Map | Deliver) -> tuple[Load | Store, ...]:
    """Where the kernel touches arrays."""
    return (*kernel.loads, *kernel.stores)


def independent(kernel: Map | Deliver) -> bool:
    """Whether elements neither share a target nor need an order, so that threads may take parts of them."""
    return isinstance(kernel, Map) and kernel.only is None and all(store.index is Index.SELF for store in kernel.stores)


# --------------------------------------------------------------------------------------------------------------------------------------------- render
def render(kernel: Map | Deliver, arrays: Mapping[str, Array], float_dtype: str = "float64", steady: Collection[str] = (), batch: bool = False) -> Source:
    """`kernel -> Source`: a function named by the hash of its own text; `parameters` are the arrays behind its pointers.

    `steady` names arrays that nothing changes in a run: a Deliver finds the synaptic ones among them in the order of its rows (see `by_row`). With `batch`,
    a Map runs for several members of a batch: `int kernel_<hash>(void **p, KernelContext *c, const ptrdiff_t *strides, ptrdiff_t members)`, in which
    `strides` are the elements of each array from one member to the next, 0 for arrays that all of them share; `c` is one context, or one for each member
    if the Map draws.
    """
    for part in _ends(kernel):
        if part.delayed:
            raise UnsupportedError(f"kernel {kernel.name}: the Cython backend cannot reach the past of {part.array}")
    for load in kernel.loads:
        if load.index is Index.WHOLE and any(store.array == load.array for store in kernel.stores):
            raise UnsupportedError(f"kernel {kernel.name} reaches other elements of {load.array}, which it changes at the same time")
    positional, names = canonical(kernel)
    ctypes = {f"a{n}": storage(arrays[name], REALS[float_dtype]) for n, name in enumerate(names)}
    rows = frozenset(f"a{n}" for n, name in enumerate(names) if name in by_row(kernel, steady))
    steps = frozenset(f"a{n}" for n, name in enumerate(names) if arrays[name].role is Role.CLOCK and name.endswith(".dt"))
    text = "\n".join(_function(positional, ctypes, REALS[float_dtype], steps, rows, batch))
    name = "kernel_" + hashlib.sha256(f"{VERSION}\n{text}".encode()).hexdigest()[:16]
    lengths = [LENGTH + names[int(array[1:])] for array in _whole(positional)]
    return Source("cython", name, text.replace("KERNEL", name), (*names, *lengths))


def by_row(kernel: Map | Deliver, steady: Collection[str]) -> frozenset[str]:
    """The arrays of synaptic values that a Deliver takes in the order of its rows, and that may therefore be a sorted copy."""
    if not isinstance(kernel, Deliver):
        return frozenset()
    indices: dict[str, set[Index]] = {}
    for part in _ends(kernel):
        indices.setdefault(part.array, set()).add(part.index)
    return frozenset(name for name, found in indices.items() if found == {Index.SELF} and name in steady and not any(s.array == name for s in kernel.stores))


def _whole(kernel: Map | Deliver) -> tuple[str, ...]:
    """The arrays that are reached by a computed position."""
    return tuple(dict.fromkeys(load.array for load in kernel.loads if load.index is Index.WHOLE))


def storage(array: Array, real: str) -> str:
    """The C type of an array's elements: events are bytes, times of a clock are double in float32, too."""
    if array.role is Role.EVENT or array.dtype is DType.BOOL:
        return "uint8_t"
    if array.dtype is DType.FLOAT:
        return "double" if array.role is Role.CLOCK else real
    return INTEGER_DTYPES[array.dtype]


def _signature(kernel: Map | Deliver, ctypes: Mapping[str, str], rows: Collection[str]) -> str:
    kind = f"D{INDEX_LETTERS[kernel.side]}" if isinstance(kernel, Deliver) else "O" if kernel.only is not None else "M" if independent(kernel) else "m"
    parts: dict[str, set[str]] = {name: set() for name in ctypes}
    for part in _ends(kernel):
        if not (isinstance(part, Load) and isinstance(kernel, Map) and part.array == kernel.only):
            parts[part.array].add("r" if part.array in rows else INDEX_LETTERS[part.index])
    written = {store.array for store in kernel.stores}
    tokens = [LETTERS[ctypes[name]] + "".join(sorted(letters)) + "!" * (name in written) for name, letters in parts.items()]
    return " ".join([kind, *tokens, *("qh" for _ in _whole(kernel))])


def _function(kernel: Map | Deliver, ctypes: Mapping[str, str], real: str, steps: frozenset[str], rows: frozenset[str], batch: bool) -> Iterator[str]:
    """The lines of the kernel: the loop over pointers that do not overlap, and the function that unpacks the table for it."""
    pointers = {**ctypes, **{f"n{name[1:]}": "int64_t" for name in _whole(kernel)}}
    parameters = ", ".join(f"{POINTERS[ctype]} {name}" for name, ctype in pointers.items())
    yield f"cdef {'inline ' if batch else ''}void KERNEL_loop({parameters + ', ' if parameters else ''}KernelContext *c) noexcept nogil:"
    if isinstance(kernel, Map) and draws_by_blocks(kernel):
        yield "    " + _by_blocks(kernel, ctypes)
    else:
        yield from ("    " + text for text in _over_elements(kernel, ctypes, real, steps, rows))
    yield ""
    arguments = [f"<{POINTERS[ctype]}>p[{n}]" for n, ctype in enumerate(pointers.values())]
    if batch:
        yield "cdef int KERNEL(void **p, KernelContext *c, const ptrdiff_t *strides, ptrdiff_t members) noexcept nogil:"
        yield "    cdef ptrdiff_t member"
        yield "    for member in range(members):"
        context = "c + member" if any(isinstance(line, Draw) for line in kernel.body) else "c"
        yield f"        KERNEL_loop({', '.join([*(f'{text} + member*strides[{n}]' for n, text in enumerate(arguments)), context])})"
    else:
        yield "cdef int KERNEL(void **p, KernelContext *c) noexcept nogil:"
        yield f"    KERNEL_loop({', '.join([*arguments, 'c'])})"
    yield "    return 0"
    yield ""
    yield f'kernels["KERNEL"] = (<uintptr_t><void *>KERNEL, "{_signature(kernel, ctypes, rows)}")'
    yield ""


def _by_blocks(kernel: Map, ctypes: Mapping[str, str]) -> str:
    """A Map that draws for whole blocks of elements: one call does it all."""
    match kernel.body, kernel.stores:
        case (Draw(name, law, number, (Name(p),), Name(classes)),), (Store(out, Index.SELF, stored, DType.BOOL, False, False),) if stored == name:
            arrays = {load.name: load.array for load in kernel.loads}
            place = f"{out}, c.begin, c.end, c.size, c.seed, c.epoch, c.stream, {number}, c.step"
            kind = LETTERS[ctypes[arrays[p]]]
            return f"draw_{law}_{kind}({place}, {arrays[p]}, n{arrays[p][1:]}[0], {arrays[classes]}[0])"
    raise UnsupportedError(f"kernel {kernel.name}: the Cython backend draws for blocks of elements in kernels of their own")


def _over_elements(kernel: Map | Deliver, ctypes: Mapping[str, str], real: str, steps: frozenset[str], rows: frozenset[str]) -> Iterator[str]:
    vectors = vectorised(kernel, ctypes, real, steps) if isinstance(kernel, Map) else None
    yield from _one_by_one(kernel, ctypes, real, rows) if vectors is None else _by_vectors(kernel, vectors)


def _by_vectors(kernel: Map | Deliver, lines: Sequence[str]) -> Iterator[str]:
    """A Map, one vector at a time."""
    yield "cdef ptrdiff_t element"
    yield from _drawing(kernel)
    yield from lines


def _one_by_one(kernel: Map | Deliver, ctypes: Mapping[str, str], real: str, rows: frozenset[str]) -> Iterator[str]:
    """The loop, one element at a time."""
    types = Types(real, {}, {load.name: load.array for load in kernel.loads if load.index is Index.WHOLE})
    staged = _staged(kernel, ctypes)
    wide = "int64_t" if real == "double" else "int32_t"
    early, once, late, declared = _loads(kernel, ctypes, staged, rows)
    declared += [f"cdef {wide} wide_{name}[{BLOCK}]" for name in staged]
    for load in kernel.loads:
        types = replace(types, names={**types.names, load.name: _local(ctypes[load.array])})
    inner = [*late]
    for line in kernel.body:
        ctype, value = line_text(line, types)
        name = line.name  # type: ignore[union-attr]  # a Propagator never comes here
        types = replace(types, names={**types.names, name: ctype})
        declared.append(f"cdef {ctype} {name}")
        inner.append(f"{name} = {value}")
    inner += _stores(kernel, ctypes, types, {name: wide for name in staged})
    if isinstance(kernel, Deliver):
        loop = _row_loop(kernel, once, inner or ["pass"], rows)
        yield from [*declarations(loop), *_context(kernel), *declared, *early, *statements(loop)]
        return
    yield from [*_context(kernel), *declared, *early]
    yield from _loop(kernel, inner or ["pass"], staged)


def _local(storage: str) -> str:
    return "int" if storage == "uint8_t" else storage


def _element(index: Index) -> str:
    return {Index.SELF: "element", Index.SHARED: "0", Index.PRE: "pre", Index.POST: "post"}[index]


def _staged(kernel: Map | Deliver, ctypes: Mapping[str, str]) -> tuple[str, ...]:
    """The arrays of bytes that a Map over all elements reaches by element only."""
    if isinstance(kernel, Deliver) or kernel.only is not None:
        return ()
    shared = {part.array for part in _ends(kernel) if part.index is not Index.SELF}
    return tuple(name for name, ctype in ctypes.items() if ctype == "uint8_t" and name not in shared)


def _loads(
    kernel: Map | Deliver, ctypes: Mapping[str, str], staged: tuple[str, ...], rows: Collection[str]
) -> tuple[list[str], list[str], list[str], list[str]]:
    """What is read before the loop (shared values that the kernel does not write), once a row of synapses, inside the loop, and the declarations."""
    written = {store.array for store in kernel.stores}
    early: list[str] = []
    once: list[str] = []
    late: list[str] = []
    declared: list[str] = []
    near = kernel.side if isinstance(kernel, Deliver) else None
    for name in _whole(kernel):
        declared.append(f"cdef int64_t length_{name}")
        early.append(f"length_{name} = n{name[1:]}[0]")
    for load in kernel.loads:
        if load.index is Index.WHOLE:
            continue
        declared.append(f"cdef {_local(ctypes[load.array])} {load.name}")
        spikes = isinstance(kernel, Map) and kernel.only is not None and load.array == kernel.only
        place = "synapse" if load.array in rows else _element(load.index)
        value = "1" if spikes else f"wide_{load.array}[lane] != 0" if load.array in staged else f"{load.array}[{place}]"
        text = f"{load.name} = {value}"
        kept = load.array not in written
        (early if spikes or (load.index is Index.SHARED and kept) else once if load.index is near and kept else late).append(text)
    return early, once, late, declared


def _stores(kernel: Map | Deliver, ctypes: Mapping[str, str], types: Types, staged: Mapping[str, str]) -> Iterator[str]:
    """Results, after all loads; those that elements share must not come from the padding."""
    for store in kernel.stores:
        ctype = ctypes[store.array]
        value = store.name
        if store.array in staged:
            kind = staged[store.array]
            text = f"where{SUFFIXES[kind]}({value} != 0, 1, 0)"
            yield f"wide_{store.array}[lane] = {text}" if not store.add else f"wide_{store.array}[lane] += {text}"
            continue
        if ctype == "uint8_t" and not store.add:
            value = f"<uint8_t>({value} != 0)" if types.names[value] != "int" else f"<uint8_t>{value}"
        elif types.names[value] != ctype:
            value = f"<{ctype}>{value}"
        text = f"{store.array}[{_element(store.index)}] {'+=' if store.add else '='} {value}"
        guarded = isinstance(kernel, Map) and kernel.only is None and store.index is not Index.SELF
        yield f"if element < size: {text}" if guarded else text


def _uses(kernel: Map | Deliver, index: Index) -> bool:
    return any(part.index is index for part in _ends(kernel))


def _context(kernel: Map | Deliver) -> Iterator[str]:
    """The fields of the context that the loop needs, as locals."""
    yield from _drawing(kernel)
    match kernel:
        case Map(only=None):
            yield "cdef ptrdiff_t block, lane, size = c.size"
            yield from _own_ends(kernel)
        case Map():
            yield "cdef ptrdiff_t spike"
            yield "cdef index32 spikes = <index32>c.spikes"
            yield from _own_ends(kernel)


def _own_ends(kernel: Map | Deliver) -> Iterator[str]:
    """The elements of a Map, and the neurons that they connect."""
    yield "cdef ptrdiff_t element"
    for index, side in ((Index.PRE, "i"), (Index.POST, "j")):
        if _uses(kernel, index):
            yield f"cdef index32 {side} = <index32>c.{side}"
            yield f"cdef ptrdiff_t {_element(index)}"


def _row_loop(kernel: Deliver, once: Sequence[str], inner: Sequence[str], rows: Collection[str]) -> RowLoop:
    far = Index.POST if kernel.side is Index.PRE else Index.PRE
    drawn = any(isinstance(line, Draw) for line in kernel.body)
    numbered = drawn or any(part.index is Index.SELF and part.array not in rows for part in _ends(kernel))
    names = {index: _element(index) if _uses(kernel, index) else None for index in (kernel.side, far)}
    return RowLoop(near=names[kernel.side], far=names[far], once=once, inner=inner, arrays=sorted(rows), numbered=numbered, even=vectorizable(kernel, rows))


def _drawing(kernel: Map | Deliver) -> Iterator[str]:
    if any(isinstance(line, Draw) for line in kernel.body):
        yield "cdef uint32_t seed = c.seed, epoch = c.epoch, stream = c.stream"
        yield "cdef uint64_t step = c.step"


def _neighbours(kernel: Map | Deliver, position: str) -> Iterator[str]:
    for index, side in ((Index.PRE, "i"), (Index.POST, "j")):
        if _uses(kernel, index):
            yield f"{_element(index)} = {side}[{position}]"


def _loop(kernel: Map, inner: Sequence[str], staged: tuple[str, ...]) -> Iterator[str]:
    match kernel:
        case Map(only=None):
            read = {load.array for load in kernel.loads} | {store.array for store in kernel.stores if store.add}
            yield f"for block in range(c.begin, c.end, {BLOCK}):"
            for name in (name for name in staged if name in read):
                yield f"    for lane in range({BLOCK}):"
                yield f"        wide_{name}[lane] = {name}[block + lane]"
            yield f"    for lane in range({BLOCK}):"
            yield "        element = block + lane"
            inner = [*_neighbours(kernel, "element if element < size else size - 1"), *inner]
            yield from ("        " + text for text in inner)
            for name in (name for name in staged if any(store.array == name for store in kernel.stores)):
                yield f"    for lane in range({BLOCK}):"
                yield f"        {name}[block + lane] = <uint8_t>wide_{name}[lane]"
        case Map():
            yield "for spike in range(c.begin, c.end):"
            yield "    one_by_one()"
            yield "    element = spikes[spike]"
            yield from ("    " + text for text in [*_neighbours(kernel, "element"), *inner])


def render_module(sources: Sequence[Source]) -> str:
    """`Sources -> text` of one .pyx; its `kernels` maps each name to (address, signature)."""
    distinct = {source.name: source.text for source in sources}
    text = "\n".join(distinct[name] for name in sorted(distinct))
    return prelude(text) + "\n" + text
