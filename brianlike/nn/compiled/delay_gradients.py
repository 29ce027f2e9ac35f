"""The gradients of learned delays and of the weights behind them: threads own sources, and add in blocks of steps, from the last one to the first.

So the bits are the same for any number of threads, and however many steps go back before gradients are added. A source's events meet cotangents of as many
steps as there are delays, which stay near while a member's steps of one block are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..._training import delayed_gradients
from .backwards import DelayedGradient
from .parallel import thread_count, together
from .stage import Extent, address, aligned

NEAR = 512 * 1024  # bytes of the gradients that a thread works on at a time


@dataclass(slots=True)
class DelayGradients:
    """The gradients of several pathways, with what the backward run left for them of a period of steps at a time.

    Parameters
    ----------
    parts : what is added to, and by what.
    slopes : of pathways whose synapses compute, a row of sums for each tile.
    """

    parts: Sequence[DelayedGradient]
    slopes: Mapping[str, Sequence[np.ndarray]]
    extent: Extent
    functions: Mapping[str, int]
    period: int
    active: np.ndarray = field(init=False)
    done: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.active, self.done = self.extent.active, [self.extent.steps for _ in self.parts]

    def add(self, first: int, last: int) -> None:
        """Add what is known when the steps from `first` to `last` have gone back: whole blocks, and at the end the rest."""
        work: list[tuple[DelayedGradient, int, int, int, int]] = []
        for number, one in enumerate(self.parts):
            begin = -(-first // one.part.block) * one.part.block if first else -one.head + 1 if one.head else 0
            work += [(one, a, b, begin, self.done[number]) for a, b in _sources(one)]
            self.done[number] = min(begin, self.done[number])
        stop, taken = np.zeros(1, np.int32), iter(work)

        def share(_: int) -> None:
            for piece in taken:  # a list's iterator gives each piece to one thread
                if stop[0]:
                    return
                self._add(*piece, first, stop)

        if work:
            together(share, thread_count(len(work)), stop)
        for one in self.parts if first else ():  # what later steps left stays behind those of the next period
            one.bars[:, one.head + self.period : one.head + self.period + one.tail] = one.bars[:, one.head : one.head + one.tail].copy()

    def _add(self, one: DelayedGradient, a: int, b: int, begin: int, end: int, first: int, stop: np.ndarray) -> None:
        part, extent, events, both = one.part, self.extent, one.events, one.sums.ndim == 2
        place, item = part.pairs if both else part.place, extent.real.itemsize
        function, pairs = (self.functions["delayed_gradients"], self.functions["delayed_pairs"]) if both else (self.functions["delayed_gradient"], 0)
        fields = [function, pairs, address(one.sums), a, b, address(one.bars), one.bars.shape[1], part.width, item, first - one.head]
        fields += [begin, end, extent.members, extent.tile, one.past, part.arrivals.late]
        if "" in events:
            fields += [0, 0, 0, 0, 0, address(events[""]), events[""].shape[-1]]
        else:
            lists = [address(events[name]) for name in ("first", "index", "value", "graded")]
            fields += [events["first"].shape[1], *lists, 0, 0]
        fields += [address(part.row), address(place), address(part.flat), part.block, part.reach, part.early]
        near = aligned(2 * (2 * part.block + part.reach) * part.width * item if both else 1, np.dtype(np.int8))
        numbers = np.empty(part.n_source + 64, np.int32)
        delayed_gradients(np.array(fields, np.int64), near, numbers, self.active, stop)

    def finish(self, out: dict[str, torch.Tensor], amounts: Mapping[str, torch.Tensor]) -> None:
        """Put the gradients among those that are handed out, by name."""
        for one in self.parts:
            part = one.part
            out[part.name] = torch.from_numpy(np.ascontiguousarray(one.sums[:, 0]) if one.sums.ndim == 2 else one.sums)
            if one.sums.ndim == 2:
                step = one.sums[:, 1] * np.where(part.place < part.width, 1, 0.5).astype(one.sums.dtype)
                found = torch.from_numpy(part.in_order(step * amounts[part.name].detach().numpy()))
                out[part.shift] = out[part.shift] + found if part.shift in out else found
        for name, tiles in self.slopes.items():
            out[name] = torch.from_numpy(np.concatenate(tiles)).sum(0)


def _sources(one: DelayedGradient) -> list[tuple[int, int]]:
    """Ranges of sources whose gradients stay near."""
    row = one.part.row
    pieces = max(2, -(-one.sums.nbytes // NEAR))
    cuts = np.unique(np.searchsorted(row, np.linspace(0, row[-1], pieces + 1)))
    cuts[-1:] = one.part.n_source
    bounds = np.unique(np.concatenate([[0], cuts]))
    return [(int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:])]
