"""Batches for training: time first, encoded only when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..datasets.events import EventLists
from .events import Events, Fed

Encode = Callable[[Any], Any]


class Samples(Dataset):
    """Labelled samples for torch's DataLoader: a whole batch is encoded at once.

    Parameters
    ----------
    x : array of shape (samples, ...), or EventLists
    y : array of shape (samples, ...), optional
        Labels, or any targets; those of the EventLists by default.
    encode : callable
        Takes a part of `x` (for EventLists: indices) and returns an array or tensor of shape (T, B, N), or Events of that shape.
    """

    def __init__(self, x: Any, y: Any, encode: Encode) -> None:
        if len(x) != len(y):
            raise ValueError(f"there are {len(x)} samples, but {len(y)} labels")
        self.x, self.y, self.encode = x, torch.as_tensor(np.asarray(y)), encode

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Fed, torch.Tensor]:
        x, y = self.__getitems__([index])
        return (replace(x, shape=(x.shape[0], *x.shape[2:])) if isinstance(x, Events) else x[:, 0]), y[0]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Fed, torch.Tensor]:
        chosen = np.asarray(indices, dtype=np.int64)
        encoded = self.encode(chosen if isinstance(self.x, EventLists) else self.x[chosen])
        if isinstance(encoded, Events):
            return encoded, self.y[torch.from_numpy(chosen)]
        x = encoded if isinstance(encoded, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(encoded))
        return (x if x.is_floating_point() else x.to(torch.get_default_dtype())), self.y[torch.from_numpy(chosen)]


def loader(
    x: Any,
    y: Any = None,
    batch_size: int = 64,
    *,
    encode: Encode | None = None,
    steps: int | None = None,
    dt: Any = None,
    binary: bool = False,
    shuffle: bool = False,
    **options: Any,
) -> Any:
    """A torch DataLoader of `(x, y)` batches with time first, for `fit` or a loop of your own.

    Parameters
    ----------
    x : array of shape (samples, ...), or EventLists
    y : array of shape (samples, ...), optional
        Labels, or any targets; those of the EventLists by default.
    batch_size : int
    encode : callable, optional
        Turns a part of `x` into spikes or currents of shape (T, B, N), or `bnn.Events`, such as `lambda x: latency(x, 100, 20*ms)`; for EventLists it gets
        indices (`lambda chosen: data.dense(chosen, 100, 14*ms)`). Without it `x` has the shape (samples, T, N).
    steps : int, optional
        For EventLists, in place of `encode`: batches are `bnn.Events` of so many bins, and never dense.
    dt : Quantity, optional
        Width of these bins (s); by default the step of the default clock.
    binary : bool
        Whether several events of a channel in such a bin count as one.
    shuffle : bool
        Draw the samples in a new order in each epoch.
    **options
        Anything else that DataLoader takes: `drop_last`, `generator`, `num_workers`, ...

    Returns
    -------
    DataLoader

    Examples
    --------
    >>> import numpy as np, torch
    >>> import brianlike.nn as bnn
    >>> batches = bnn.loader(np.zeros((10, 30, 4), np.float32), np.arange(10) % 2, batch_size=5)
    >>> [(x.shape, y.tolist()) for x, y in batches]
    [(torch.Size([30, 5, 4]), [0, 1, 0, 1, 0]), (torch.Size([30, 5, 4]), [1, 0, 1, 0, 1])]
    """
    if isinstance(x, EventLists):
        if encode is None and steps is None:
            raise ValueError("event lists need steps= and dt=, or encode=, such as `lambda chosen: data.dense(chosen, steps=100, dt=10*ms)`")
        if steps is not None:
            if encode is not None:
                raise ValueError("a loader takes encode=, or steps= and dt=, not both")
            encode = partial(_as_events, x, steps, dt, binary)
        y = x.labels if y is None else y
    elif steps is not None:
        raise ValueError("steps= is for EventLists; arrays have their steps, or encode= makes them")
    elif y is None:
        raise ValueError("labels are missing: give them after x")
    samples = Samples(x, y, encode or _time_first)
    return DataLoader(samples, batch_size=batch_size, shuffle=shuffle, collate_fn=_whole, **options)


def _whole(batch: Any) -> Any:
    """`__getitems__` has made the batch."""
    return batch


def _as_events(data: EventLists, steps: int, dt: Any, binary: bool, chosen: Any) -> Events:
    return Events.from_lists(data, steps, dt, chosen=chosen, binary=binary)


def _time_first(x: Any) -> Any:
    if x.ndim < 3:
        raise ValueError(f"without encode= samples have the shape (samples, T, N), not {tuple(x.shape)}")
    return x.swapaxes(0, 1)
