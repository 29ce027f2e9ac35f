"""What a run is fed, as a tile finds it: lists of input events, and rows of numbers made from them where something reads them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ..._training import event_lists
from ..events import Events
from .operations import Kind
from .stage import Extent, Stage, address

LISTS = ("first", "index", "value", "graded")
"""For each tile and step, and each member in it: where its events begin in `index` and `value`; and for each tile whether a value is not 1."""
Lists = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def list_names(events: str) -> tuple[str, ...]:
    """The names of the tensors that hold the events of an input as lists."""
    return tuple(f"{events}|{part}" for part in LISTS)


def made_lists(events: str, given: Events, before: torch.Tensor | None, extent: Extent) -> dict[str, torch.Tensor]:
    """The events of a run (T, members, N) as lists, by the names of their tensors; those of the rows `before` it come first."""
    real = torch.float64 if extent.wide else torch.float32
    t, b, n, values = given.t, given.b, given.n, given.values
    past = 0 if before is None else len(before)
    if before is not None:
        t = t + past
        found = before.detach().nonzero().to(torch.int32)
        if len(found):
            sent = before[tuple(found.long().unbind(1))].detach().to(real)
            values = torch.cat([sent, torch.ones(len(t), dtype=real) if values is None else values.to(real)])
            t, b, n = (torch.cat([old, new]) for old, new in zip(found.unbind(1), (t, b, n)))
    amounts = None if values is None else values.to(real).contiguous().numpy()
    parts = (part.contiguous().numpy() for part in (t, b, n))
    made = event_lists(*parts, amounts, extent.steps + past, extent.members, extent.tile, given.shape[-1], extent.wide)
    return dict(zip(list_names(events), map(torch.from_numpy, made)))


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


def spread(stage: Stage, lists: Lists, place: int, row: int, size: int, *, delay: int, slots: int = 1, before: int | None = None) -> None:
    """Row t + `delay` of an input's lists as numbers in the tile, in one of some slots after the other; with `before`, that row before the first step."""
    first, index, values, graded = lists
    fields = dict(first=address(first), index=address(index), value=address(values), extra=address(graded), words=first.shape[1])
    write = stage.step if before is None else stage.before
    write(Kind.SPREAD, place=place, stride=row, size=size, delay=delay if before is None else before, n_source=slots, **fields)


def trimmed(lists: Lists) -> Lists:
    """Lists that a scan has made, without the room that each tile had for more; and without values, if all of them are 1."""
    first, index, values, graded = lists
    begins = first[:, 0, 0]
    ends = np.maximum(begins, first.reshape(len(first), -1).max(1, initial=0))  # steps after the last one of a tile have no offsets
    counts = ends - begins
    moved = first - (begins - (np.cumsum(counts) - counts))[:, None, None]
    parts = [slice(begin, end) for begin, end in zip(begins, ends)]
    kept = np.concatenate([index[:0], *(index[part] for part in parts)])
    return moved, kept, np.concatenate([values[:0], *(values[part] for part in parts)]) if graded.any() else values[:0].copy(), graded


def dense_rows(lists: Lists, begin: int, members: int, size: int) -> np.ndarray:
    """The rows from `begin` to the end as numbers, shape (rows, members, size)."""
    first, index, values, graded = lists
    tiles, count, tile = first.shape[0], first.shape[1], first.shape[2] - 1
    rows = np.zeros((count - begin, members, size), values.dtype)
    for number in range(tiles):
        ends = first[number, begin:]
        here = slice(ends[0, 0], ends[-1, -1])
        lengths = np.diff(ends, axis=1)
        row = np.repeat(np.arange(count - begin), lengths.sum(1))
        member = number * tile + np.repeat(np.tile(np.arange(tile), count - begin), lengths.ravel())
        rows[row, member, index[here]] = values[here] if graded[number] else 1
    return rows
