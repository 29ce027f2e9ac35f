"""Rows of a Deliver without gaps: where neurons at the other end follow each other, as with synapses from all to all, one row is a loop over vectors.

Vectors and single values must give the same bits, so that results depend on neither the length of a row nor where it begins. That holds for arithmetic,
comparisons and choices; functions such as exp have other last bits in vectors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..expr import Binary, Call, Cast, Compare, Expr, Index, Logical, Name, Negate, Not, Number, Truth, Where, walk
from ..ir import Deliver, Let, Line, Load, Select, Store, expressions
from .base import POWERS

EXACT = frozenset({"clip", "abs", "sqrt", "sign"})
"""Functions whose vectors have the bits of single values."""


def vectorizable(kernel: Deliver, rows: Collection[str]) -> bool:
    """Whether the synapses of one row can run at once, if no two of them reach the same neuron; `rows` names arrays in the order of the rows."""
    far = Index.POST if kernel.side is Index.PRE else Index.PRE
    if kernel.sequential or not all(map(_exact_line, kernel.body)):
        return False
    ends: tuple[Load | Store, ...] = (*kernel.loads, *kernel.stores)
    reached = {array: {end.index for end in ends if end.array == array} for array in {end.array for end in ends}}
    for store in kernel.stores:
        if store.index is far and store.add:
            if any(load.array == store.array for load in kernel.loads):
                return False
        elif store.index is not Index.SELF or store.add or reached[store.array] != {Index.SELF}:
            return False
    return not any(load.index is Index.WHOLE for load in kernel.loads)


def _exact_line(line: Line) -> bool:
    return isinstance(line, Let | Select) and all(map(_exact, expressions(line)))


def _exact(expr: Expr) -> bool:
    for node in walk(expr):
        match node:
            case Number() | Truth() | Name() | Negate() | Not() | Compare() | Logical() | Where() | Cast():
                continue
            case Binary("+" | "-" | "*" | "/"):
                continue
            case Binary("**", _, Number(value)) if value in POWERS:
                continue
            case Call(function) if function in EXACT:
                continue
        return False
    return True


def declarations(far: str | None, numbered: bool) -> Iterator[str]:
    """The locals of the loops."""
    if far is not None:
        yield "cdef ptrdiff_t first_far"
    if numbered:
        yield "cdef ptrdiff_t first_element, leap = c.leap"


def statements(far: str | None, inner: Collection[str], numbered: bool) -> Iterator[str]:
    """The loop over one row without gaps, in which numbers of synapses follow each other at the distance `leap`; an `else:` must follow."""
    yield "if c.leap != 0 and rows[row] < rows[row + 1]:" if not numbered else "if c.leap > 0 and rows[row] < rows[row + 1]:"
    if far is not None:
        yield f"    first_far = base + ({NARROW}) - rows[row]"
    if not numbered:
        yield from _run(far, inner, ())
        return
    yield "    first_element = (rows[row] if order == NULL else order[rows[row]]) - rows[row]*leap"
    yield "    if leap == 1:"
    yield from ("    " + line for line in _run(far, inner, ("element = first_element + synapse",)))
    yield "    else:"
    yield from ("    " + line for line in _run(far, inner, ("one_by_one()", "element = first_element + synapse*leap")))


NARROW = "narrow_ends[rows[row]] if c.narrow else ends[rows[row]]"


def _run(far: str | None, inner: Collection[str], head: Collection[str]) -> Iterator[str]:
    yield "    for synapse in range(rows[row], rows[row + 1]):"
    places = (*head, *([] if far is None else [f"{far} = first_far + synapse"]))
    yield from ("        " + line for line in (*places, *inner))
