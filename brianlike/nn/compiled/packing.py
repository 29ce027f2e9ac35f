"""Lists of input events between a forward run and its backward run: a byte or two for each event."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from ..._training import pack_lists, unpack_lists
from .inputs import Lists, list_names, shared
from .stage import Extent, aligned

BYTES, TILES = "|bytes", "|tiles"
"""After the name of an input's events: these bytes, and for each tile where its own begin and end, its number of events, and whether they have values."""
LONGEST = 5  # bytes of a gap; that of more than 2**32 neurons and steps takes as many again


def pack(events: str, lists: Lists, extent: Extent, size: int) -> dict[str, torch.Tensor]:
    """What a run keeps of lists that it has made, by the names of the tensors. `size` is the number of neurons."""
    first, index, values, graded = lists
    past = first.shape[1] - extent.steps
    ends = np.full(len(first), first.shape[1], np.int64)
    if extent.lengths:  # the longest come first; behind the last step of a tile, lists have not been written
        ends[:] = past + np.array(extent.lengths[:: extent.tile], np.int64)
    counts = first[np.arange(len(first)), ends - 1, -1] - first[:, 0, 0] if first.size else np.zeros(len(first), np.int64)
    far = LONGEST * (1 + first.shape[1] * extent.tile * size // 2**32)
    tiles = np.zeros((len(first), 4), np.int64)
    tiles[:, 3] = graded != 0
    room = counts * (LONGEST + tiles[:, 3] * values.itemsize) + far
    tiles[1:, 0] = np.cumsum(room)[:-1]
    written = aligned(int(room.sum()), np.dtype(np.uint8), sparse=True)
    shared(lambda *taken: pack_lists(first, index, values, size, ends, written, tiles, *taken), len(first))
    lengths = tiles[:, 1] - tiles[:, 0]
    kept, place = aligned(int(lengths.sum()), np.dtype(np.uint8)), 0
    for about, length in zip(tiles, lengths.tolist()):
        kept[place : place + length] = written[about[0] : about[1]]
        about[:2] = place, place + length
        place += length
    return {events + BYTES: torch.from_numpy(kept), events + TILES: torch.from_numpy(tiles)}


def no_bytes(events: str) -> dict[str, torch.Tensor]:
    """The same tensors where nothing is kept."""
    return {events + BYTES: torch.empty(0, dtype=torch.uint8), events + TILES: torch.empty(0, 4, dtype=torch.int64)}


def unpack(events: str, kept: Mapping[str, torch.Tensor], extent: Extent, past: int, size: int) -> dict[str, torch.Tensor]:
    """The lists again, by the names of their tensors; nothing if they were not kept. They begin `past` steps before the run."""
    if not len(kept[events + TILES]):
        return {}
    packed, tiles = (kept[events + part].numpy() for part in (BYTES, TILES))
    counts, graded = tiles[:, 2], np.ascontiguousarray(tiles[:, 3], np.int32)
    rows, total = extent.steps + past, int(counts.sum())
    first = aligned(extent.tiles * rows * (extent.tile + 1), np.dtype(np.int64)).reshape(extent.tiles, rows, extent.tile + 1)
    index, values = aligned(total, np.dtype(np.int32)), aligned(total if graded.any() else 0, extent.real)
    begins = np.cumsum(counts) - counts
    shared(lambda *taken: unpack_lists(first, index, values, size, packed, tiles, begins, *taken), extent.tiles)
    return dict(zip(list_names(events), map(torch.from_numpy, (first, index, values, graded))))
