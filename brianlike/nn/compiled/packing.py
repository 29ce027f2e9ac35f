"""Lists of input events between a forward run and its backward run: a byte or two for each event."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from .inputs import Lists, list_names
from .operations import Kind
from .stage import Stage, address, aligned

BYTES, TILES = "|bytes", "|tiles"
"""After the name of an input's events: these bytes, and for each tile where its own begin and end, its number of events, and whether they have values."""


def _driven(stage: Stage, lists: Lists, size: int, ends: np.ndarray, begins: np.ndarray, written: np.ndarray, tiles: np.ndarray) -> int:
    """The address of what the driver is told (see `_packed_lists.h`)."""
    first, index, values, graded = lists
    places = [address(part) if part.size else 0 for part in (first, index, values, graded, ends, begins, written, tiles)]
    told = np.array([first.shape[1], first.shape[2] - 1, size, values.itemsize, *places], np.int64)
    stage.kept += [told, lists, ends, begins, written, tiles]
    return address(told)


class Packing:
    """Lists that become bytes when a forward run is through with a tile. `size` is the number of neurons."""

    def __init__(self, stage: Stage, lists: Lists, size: int) -> None:
        first, _, values, _ = lists
        extent, (count, rows, _) = stage.extent, first.shape
        ends = np.full(count, rows, np.int64)
        if extent.lengths:  # the longest come first; behind the last step of a tile, lists have not been written
            ends[:] = rows - extent.steps + np.array(extent.lengths[:: extent.tile], np.int64)
        room = rows * extent.tile * size * (1 + values.itemsize)  # a gap takes no more bytes than there are neurons in it
        self.tiles = np.zeros((count, 4), np.int64)
        self.tiles[:, 0] = np.arange(count) * room
        self.written = aligned(count * room, np.dtype(np.uint8), sparse=True)
        stage.after(Kind.PACK_LISTS, address=_driven(stage, lists, size, ends, np.zeros(count, np.int64), self.written, self.tiles))

    def kept(self, events: str) -> dict[str, torch.Tensor]:
        """What the backward run needs, by the names of the tensors; after the run."""
        lengths = self.tiles[:, 1] - self.tiles[:, 0]
        kept = aligned(int(lengths.sum()), np.dtype(np.uint8))
        ends = np.cumsum(lengths)
        for (begin, end, *_), place in zip(self.tiles.tolist(), (ends - lengths).tolist()):
            kept[place : place + end - begin] = self.written[begin:end]
        tiles = np.concatenate([np.stack([ends - lengths, ends], 1), self.tiles[:, 2:]], 1)
        return {events + BYTES: torch.from_numpy(kept), events + TILES: torch.from_numpy(tiles)}


def no_bytes(events: str) -> dict[str, torch.Tensor]:
    """The same tensors where nothing is kept."""
    return {events + BYTES: torch.empty(0, dtype=torch.uint8), events + TILES: torch.empty(0, 4, dtype=torch.int64)}


def unpack(stage: Stage, events: str, kept: Mapping[str, torch.Tensor], past: int, size: int) -> dict[str, torch.Tensor]:
    """Lists that bytes become again before a run is in a tile, by the names of their tensors; nothing if they were not kept. They begin `past` steps before
    the run."""
    if not len(kept[events + TILES]):
        return {}
    extent, (packed, tiles) = stage.extent, (kept[events + part].numpy() for part in (BYTES, TILES))
    counts, graded, rows = tiles[:, 2], tiles[:, 3].astype(np.int32), extent.steps + past
    total = int(counts.sum())
    first = aligned(extent.tiles * rows * (extent.tile + 1), np.dtype(np.int64)).reshape(extent.tiles, rows, extent.tile + 1)
    lists = first, aligned(total, np.dtype(np.int32)), aligned(total if graded.any() else 0, extent.real), graded
    stage.before(Kind.UNPACK_LISTS, address=_driven(stage, lists, size, counts, np.cumsum(counts) - counts, packed, tiles))
    return dict(zip(list_names(events), map(torch.from_numpy, lists)))
