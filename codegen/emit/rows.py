"""The loops of a Deliver: over the spikes that arrive, and over the synapses of each.

The synapses of a spike lie in one row, between `rows[row]` and `rows[row + 1]`; `ends` has the neuron at the other end of each, in 16 bits where these
neurons are few enough. What belongs to the neuron that spiked is read once a row. Rows are short where delays differ, so those of the next spikes are
fetched while one is worked on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import runs

AHEAD = 8  # spikes
TURNS, SHORT = 4, 6  # so many synapses in one turn of the loop, if they take no more lines than that


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLoop:
    """What a Deliver does, as text.

    Parameters
    ----------
    near, far : names of the neuron that spiked and of the one at the other end; None where nothing needs it.
    once : lines that run once a row.
    inner : lines that run for each synapse.
    arrays : what has values in the order of the rows.
    numbered : whether `inner` needs `element`, the number that the synapse got when it was created.
    even : whether a row without gaps may run as vectors (see `runs`).
    """

    near: str | None
    far: str | None
    once: Sequence[str]
    inner: Sequence[str]
    arrays: Sequence[str]
    numbered: bool
    even: bool = False


def declarations(loop: RowLoop) -> Iterator[str]:
    """The locals of the loop."""
    yield "cdef ptrdiff_t spike, row, synapse, ahead"
    yield "cdef index32 arrivals = c.arrivals"
    yield "cdef index32 rows = c.rows"
    yield "cdef ptrdiff_t part = c.row"
    if loop.near is not None:
        yield "cdef index32 spikes = c.spikes"
    for name in (loop.near, loop.far):
        if name is not None:
            yield f"cdef ptrdiff_t {name}"
    if loop.numbered:
        yield "cdef ptrdiff_t element"
        yield "cdef index32 order = c.order"
    if loop.far is not None:
        yield "cdef ptrdiff_t base = c.base"
        yield "cdef index16 narrow_ends = <index16>c.ends"
        yield "cdef index32 ends = <index32>c.ends"
    if loop.even:
        yield from runs.declarations(loop.far, loop.numbered)


def statements(loop: RowLoop) -> Iterator[str]:
    """The loop."""
    yield "for spike in range(c.begin, c.end):"
    yield "    row = arrivals[spike] + part"
    yield f"    if spike + {2 * AHEAD} < c.end:"
    yield f"        prefetch(&rows[arrivals[spike + {2 * AHEAD}] + part])"
    yield f"    if spike + {AHEAD} < c.end:"
    yield f"        ahead = rows[arrivals[spike + {AHEAD}] + part]"
    if loop.far is not None:
        yield "        prefetch(&narrow_ends[ahead] if c.narrow else <const uint16_t *>&ends[ahead])"
    yield from (f"        prefetch(&{array}[ahead])" for array in loop.arrays)
    if loop.near is not None:
        yield f"    {loop.near} = spikes[spike]"
    yield from ("    " + line for line in loop.once)
    if loop.far is None:
        yield from _row(loop, ())
        return
    if loop.even:
        yield from ("    " + line for line in runs.statements(loop.far, loop.inner, loop.numbered))
    yield f"    {'elif' if loop.even else 'if'} c.narrow:"
    yield from ("    " + line for line in _row(loop, (f"{loop.far} = base + narrow_ends[synapse]",)))
    yield "    else:"
    yield from ("    " + line for line in _row(loop, (f"{loop.far} = base + ends[synapse]",)))


def _row(loop: RowLoop, far: Sequence[str]) -> Iterator[str]:
    body = ["one_by_one()", *(["element = synapse if order == NULL else order[synapse]"] if loop.numbered else []), *far, *loop.inner]
    yield "    synapse = rows[row]"
    if len(body) <= SHORT:
        yield f"    while synapse + {TURNS} <= rows[row + 1]:"
        for _ in range(TURNS):
            yield from ("        " + line for line in (*body, "synapse += 1"))
    yield "    while synapse < rows[row + 1]:"
    yield from ("        " + line for line in (*body, "synapse += 1"))
