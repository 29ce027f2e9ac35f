"""Samples with numbers of steps of their own: the longest come first, so that those that are left in a step are the first members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..events import Events
from ..recording import Reduction


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """The numbers of steps of the members of a batch.

    Parameters
    ----------
    order : the members, the longest first.
    place : where each member is in this order.
    own : the numbers of steps, in this order.
    """

    order: torch.Tensor
    place: torch.Tensor
    own: torch.Tensor

    @classmethod
    def of(cls, lengths: torch.Tensor) -> Lengths:
        """Those that `lengths=` gives."""
        flat = lengths.reshape(-1).cpu()
        order = torch.argsort(flat, descending=True, stable=True)
        return cls(order, torch.argsort(order), flat[order])

    def sorted(self, value: torch.Tensor, axis: int) -> torch.Tensor:
        """The members along an axis, the longest first."""
        return value.index_select(axis, self.order)

    def returned(self, value: torch.Tensor, axis: int) -> torch.Tensor:
        """The members along an axis, in their own order again."""
        return value.index_select(axis, self.place)

    def last(self, rows: torch.Tensor) -> torch.Tensor:
        """What each member had in its last step; `rows` has the shape (steps, members, elements)."""
        return rows[self.own - 1, torch.arange(len(self.own))]

    def sorted_events(self, events: Events) -> Events:
        """The events (T, members, N) of members in this order, as far as these go."""
        b = self.place.to(torch.int32)[events.b]
        inside = events.t < self.own[b]
        values = None if events.values is None else events.values[inside]
        return Events(events.t[inside], b[inside], events.n[inside], events.shape, values)

    def filled(self, rows: torch.Tensor, events: bool) -> torch.Tensor:
        """The rows of all steps: after the end of a member no events, but its last values."""
        left = torch.arange(len(rows))[:, None, None] < self.own[:, None]
        return torch.where(left, rows, torch.zeros_like(rows[0]) if events else self.last(rows))

    def reduced(self, reduction: Reduction, rows: torch.Tensor) -> torch.Tensor:
        """A reduction that has no operation of its own, made from the steps that each member has."""
        total, begin, left, ended = None, 0, len(self.own), []
        for end in sorted(set(self.own.tolist())):
            for row in rows[begin:end].unbind(0):
                total = reduction.add(total, row[:left])
            begin, still = end, int((self.own > end).sum())
            ended.append(reduction.finish(_cut(total, still, left), end))
            total, left = _cut(total, 0, still), still
        return torch.cat(ended[::-1])


def _cut(total: Any, first: int, last: int) -> Any:
    """What belongs to some members."""
    if isinstance(total, tuple):
        return tuple(_cut(part, first, last) for part in total)
    return total[first:last] if isinstance(total, torch.Tensor) and total.dim() > 0 else total
