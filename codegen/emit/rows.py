"""The loops of a Deliver: over the spikes that arrive, and over the synapses of each.

The synapses of a spike lie in one row, between `rows[row]` and `rows[row + 1]`; `ends` has the neuron at the other end of each, in 16 bits where these
neurons are few enough. What belongs to the neuron that spiked is read once a row. Rows are short where delays differ, so those of the next spikes are
fetched while one is worked on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

AHEAD = 4  # spikes


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLoop:
    """What a Deliver does, as text.

    Parameters
    ----------
    near, far : names of the neuron that spiked and of the one at the other end; None where nothing needs it.
    once : lines that run once a row.
    inner : lines that run for each synapse.
    numbered : whether `inner` needs `element`, the number that the synapse got when it was created.
    """

    near: str | None
    far: str | None
    once: Sequence[str]
    inner: Sequence[str]
    numbered: bool


def declarations(loop: RowLoop) -> Iterator[str]:
    """The locals of the loop."""
    yield "cdef ptrdiff_t spike, source, row, synapse, ahead"
    yield "cdef index32 spikes = c.spikes"
    yield "cdef index32 rows = c.rows"
    yield "cdef ptrdiff_t first_source = c.first, stride = c.stride, offset = c.row"
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


def statements(loop: RowLoop) -> Iterator[str]:
    """The loop."""
    yield "for spike in range(c.begin, c.end):"
    yield "    source = spikes[spike]"
    yield "    row = (source - first_source) * stride + offset"
    yield f"    if spike + {2 * AHEAD} < c.end:"
    yield f"        ahead = (spikes[spike + {2 * AHEAD}] - first_source) * stride + offset"
    yield "        prefetch(&rows[ahead])"
    if loop.far is not None:
        yield f"    if spike + {AHEAD} < c.end:"
        yield f"        ahead = (spikes[spike + {AHEAD}] - first_source) * stride + offset"
        yield "        prefetch(&narrow_ends[rows[ahead]] if c.narrow else <const uint16_t *>&ends[rows[ahead]])"
    if loop.near is not None:
        yield f"    {loop.near} = source"
    yield from ("    " + line for line in loop.once)
    if loop.far is None:
        yield from _row(loop, ())
        return
    yield "    if c.narrow:"
    yield from ("    " + line for line in _row(loop, (f"{loop.far} = base + narrow_ends[synapse]",)))
    yield "    else:"
    yield from ("    " + line for line in _row(loop, (f"{loop.far} = base + ends[synapse]",)))


def _row(loop: RowLoop, far: Sequence[str]) -> Iterator[str]:
    yield "    for synapse in range(rows[row], rows[row + 1]):"
    yield "        one_by_one()"
    if loop.numbered:
        yield "        element = synapse if order == NULL else order[synapse]"
    yield from ("        " + line for line in (*far, *loop.inner))
