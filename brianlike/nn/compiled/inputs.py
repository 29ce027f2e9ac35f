"""What a run is fed, as a tile finds it: lists of input events, and rows of numbers made from them where something reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch

from ..._training import EventSorting
from ..events import Events
from .lengths import Lengths
from .operations import Kind
from .parallel import thread_count, together
from .stage import Extent, Stage, address, aligned

LISTS = ("first", "index", "value", "graded")
"""For each tile and step, and each member in it: where its events begin in `index` and `value`; and for each tile whether a value is not 1."""
Lists = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def list_names(events: str) -> tuple[str, ...]:
    """The names of the tensors that hold the events of an input as lists."""
    return tuple(f"{events}|{part}" for part in LISTS)


PIECE = 16384
"""How many events a thread takes at a time: what they are brought to stays in a level 2 cache."""


def made_lists(
    events: str, fed: Events, batch: torch.Size, each: Lengths | None, before: torch.Tensor | None, extent: Extent
) -> dict[str, torch.Tensor]:
    """The events of a run (T, ..., N) as lists, by the names of their tensors; those of the rows `before` it come first.

    Where all members have the same, only those of one tile are written down, and all tiles share them.
    """
    real, tiles = torch.float64 if extent.wide else torch.float32, extent.tiles
    common = tiles > 1 and math.prod(fed.shape[1:-1]) == 1 and (before is None or bool((before == before[:, :1]).all()))
    if common:
        extent, batch, each = replace(extent, members=extent.tile), torch.Size([extent.tile]), None
        before = None if before is None else before[:, : extent.tile]
    given = fed.members(batch) if each is None else each.sorted_events(fed.members(batch))
    t, b, n, values = given.t, given.b, given.n, given.values
    past = 0 if before is None else len(before)
    found = None if before is None else before.detach().nonzero()

    def made() -> Lists:
        amounts = None if values is None else values.to(real).contiguous().numpy()
        step, member, neuron = (part.contiguous().numpy() for part in (t, b, n))
        return sorted_events(step, member, neuron, amounts, past, extent, given.shape[-1])

    if before is None or found is None or not len(found):
        parts = [part for part in (t, b, n, values) if part is not None]
        if any(part.is_inference() for part in parts):  # they have no versions
            lists = made()
        else:
            versions = tuple(part._version for part in parts)
            lists = given._sorted.get((versions, past, extent.steps, extent.members, extent.tile, extent.wide), made)
    else:
        sent = before[tuple(found.unbind(1))].detach().to(real)
        values = torch.cat([sent, torch.ones(len(t), dtype=real) if values is None else values.to(real)])
        t, b, n = (torch.cat([old.to(torch.int32), new]) for old, new in zip((found - found.new_tensor([past, 0, 0])).unbind(1), (t, b, n)))
        lists = made()
    if common:
        first, index, amounts, graded = lists
        lists = np.repeat(first, tiles, 0), index, amounts, np.repeat(graded, tiles)
    return dict(zip(list_names(events), map(torch.from_numpy, lists)))


def sorted_events(
    t: np.ndarray, b: np.ndarray, n: np.ndarray, amounts: np.ndarray | None, past: int, extent: Extent, size: int, piece: int = PIECE
) -> Lists:
    """Events in any order (int32: step, member, neuron; and what each counts, unless that is 1) as lists that begin `past` steps before the run."""
    rows, tiles, tile = extent.steps + past, extent.tiles, extent.tile
    first = aligned(tiles * rows * (tile + 1), np.dtype(np.int64)).reshape(tiles, rows, tile + 1)
    index, values, graded = aligned(len(t), np.dtype(np.int32)), aligned(len(t), extent.real, sparse=True), np.zeros(tiles, np.int32)
    piece = max(piece, 8 * tiles)  # or there were more cuts than events
    between = aligned(len(t), np.dtype(np.uint64)), aligned(0 if amounts is None else len(t), extent.real)
    sorting = EventSorting(t, b, n, amounts, past, rows, extent.members, tile, size, piece, first, index, values, graded, *between)
    shared(sorting.split, sorting.pieces)
    sorting.between()
    shared(sorting.order, tiles)
    for number in np.flatnonzero(graded == 0) if graded.any() else ():  # gradients read the values of all tiles or of none
        values[first[number, 0, 0] : first[number, -1, -1]] = 1
    return first, index, values, graded


def shared(work: Callable[[np.ndarray, np.ndarray], None], pieces: int) -> None:
    """`work` on as many threads as there are, each of which takes the number of a piece after the other; it is given the next one, and the sign to stop."""
    following, stop = np.zeros(1, np.int64), np.zeros(1, np.int32)
    together(lambda _: work(following, stop), thread_count(pieces), stop)


def no_lists(events: str) -> dict[str, torch.Tensor]:
    """The same tensors for an input that is given otherwise."""
    return {name: torch.empty(0, dtype=torch.int64) for name in list_names(events)}


def given_lists(tensors: Mapping[str, torch.Tensor], events: str) -> Lists | None:
    """The lists that a run was given for an input, if it was given any."""
    names = list_names(events)
    if names[0] not in tensors or not tensors[names[0]].numel():
        return None
    first, index, values, graded = (tensors[name].numpy() for name in names)
    return first, index, values, graded


def places_of(lists: Lists) -> dict[str, int]:
    """Where lists are, as fields of an operation."""
    first, index, values, graded = lists
    return dict(first=address(first), index=address(index), value=address(values), extra=address(graded))


def spread(stage: Stage, lists: Lists, place: int, row: int, size: int, *, delay: int, slots: int = 1, before: int | None = None) -> None:
    """Row t + `delay` of an input's lists as numbers in the tile, in one of some slots after the other; with `before`, that row before the first step."""
    fields = places_of(lists) | dict(words=lists[0].shape[1])
    write = stage.step if before is None else stage.before
    write(Kind.SPREAD, place=place, stride=row, size=size, delay=delay if before is None else before, n_source=slots, **fields)


def rows_of_lists(lists: Lists, steps: np.ndarray, size: int) -> np.ndarray:
    """Rows of the lists as numbers: of each member in each of `steps`, an array of shape (rows, members)."""
    first, index, values, graded = lists
    members = np.arange(steps.shape[1])
    tile, place = np.divmod(members, first.shape[2] - 1)
    begin, end = first[tile, steps, place].ravel(), first[tile, steps, place + 1].ravel()
    counts = end - begin
    row, at = np.repeat(np.arange(steps.size), counts), np.arange(counts.sum()) + np.repeat(begin - (np.cumsum(counts) - counts), counts)
    made = np.zeros((steps.size, size), values.dtype)
    made[row, index[at]] = np.where(graded[tile[row % len(members)]] != 0, values[at], 1) if graded.any() else 1
    return made.reshape(*steps.shape, size)
