"""Samples as lists of events, turned into dense arrays only batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..clocks import defaultclock, seconds


@dataclass(frozen=True, slots=True, eq=False)
class EventLists:
    """Labelled samples, each a list of events (a time and a channel), all in three flat arrays.

    Parameters
    ----------
    times : array, shape (events,)
        In seconds, from 0.
    channels : array of int, shape (events,)
    offsets : array of int, shape (samples + 1,)
        Sample n has the events from `offsets[n]` to `offsets[n + 1]`.
    labels : array of int, shape (samples,)
    size : int
        Number of channels.
    extra : dict of arrays, optional
        Anything else with a value for each sample, such as its speaker.

    Examples
    --------
    >>> from brianlike import ms
    >>> from brianlike.datasets import EventLists
    >>> data = EventLists(np.array([0.001, 0.0055, 0.002]), np.array([0, 1, 1]), np.array([0, 2, 3]), np.array([4, 7]), size=2)
    >>> data.dense([0, 1], steps=8, dt=1*ms).shape
    (8, 2, 2)
    >>> data[1]
    (array([0.002]), array([1]), 7)
    """

    times: np.ndarray
    channels: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    size: int
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        samples = len(self.labels)
        if len(self.offsets) != samples + 1 or self.offsets[0] != 0 or self.offsets[-1] != len(self.times) or (np.diff(self.offsets) < 0).any():
            raise ValueError(f"offsets must rise from 0 to the number of events, {len(self.times)}, in {samples + 1} values")
        if len(self.channels) != len(self.times):
            raise ValueError(f"there are {len(self.times)} times, but {len(self.channels)} channels")
        if len(self.channels) and not 0 <= self.channels.min() <= self.channels.max() < self.size:
            raise ValueError(f"channels go from {self.channels.min()} to {self.channels.max()}, but there are {self.size} of them, from 0")
        for name, values in self.extra.items():
            if len(values) != samples:
                raise ValueError(f"extra {name!r} has {len(values)} values for {samples} samples")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, sample: int) -> tuple[np.ndarray, np.ndarray, int]:
        """Times, channels and label of one sample."""
        if not -len(self) <= sample < len(self):
            raise IndexError(f"there are {len(self)} samples, so none has the number {sample}")
        n = sample % len(self)
        here = slice(self.offsets[n], self.offsets[n + 1])
        return self.times[here], self.channels[here], int(self.labels[n])

    def __repr__(self) -> str:
        return f"EventLists({len(self)} samples, {len(self.times)} events, {self.size} channels)"

    def only(self, chosen: Any) -> EventLists:
        """Some of the samples: indices, or a mask with a value for each sample."""
        indices = np.arange(len(self))[np.asarray(chosen)]
        events, lengths = self._events(indices)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return EventLists(self.times[events], self.channels[events], offsets, self.labels[indices], self.size, {k: v[indices] for k, v in self.extra.items()})

    def _events(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The places of all events of some samples, one sample after the other, and how many each has."""
        lengths = np.diff(self.offsets)[indices]
        starts = np.repeat(self.offsets[:-1][indices] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) if len(indices) else np.zeros(0, np.int64)
        return (starts + np.arange(int(lengths.sum()))).astype(np.int64), lengths

    @property
    def duration(self) -> float:
        """The time of the last event, in seconds."""
        return float(self.times.max()) if len(self.times) else 0.0

    def dense(self, chosen: Sequence[int] | np.ndarray, steps: int, dt: Any = None, binary: bool = False) -> np.ndarray:
        """Events of some samples in bins.

        Parameters
        ----------
        chosen : indices of the samples
        steps : int
            Number of bins; later events are left out.
        dt : Quantity, optional
            Width of a bin (s); by default the step of the default clock.
        binary : bool
            Whether several events of a channel in a bin count as one.

        Returns
        -------
        array of float32, shape (steps, samples, channels)
        """
        step, sample, channel = self.binned(chosen, steps, dt)
        indices = np.asarray(chosen, dtype=np.int64)
        place = (step.astype(np.int64) * len(indices) + sample) * self.size + channel
        dense = np.zeros((steps, len(indices), self.size), np.float32)
        if binary:
            dense.reshape(-1)[place] = 1.0
        else:
            dense[...] = np.bincount(place, minlength=dense.size).reshape(dense.shape)
        return dense

    def binned(
        self, chosen: Sequence[int] | np.ndarray, steps: int, dt: Any = None, binary: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bin, sample and channel (int32) of each event of some samples, one sample after the other; parameters as for `dense`."""
        indices = np.arange(len(self))[np.asarray(chosen, dtype=np.int64)]
        width = defaultclock.dt_ if dt is None else seconds(dt, "dt")
        events, lengths = self._events(indices)
        step = np.floor(self.times[events].astype(np.float64) / width + 1e-9)
        sample = np.repeat(np.arange(len(indices), dtype=np.int32), lengths)
        channel = self.channels[events].astype(np.int32)
        inside = step < steps
        if not inside.all():
            step, sample, channel = step[inside], sample[inside], channel[inside]
        step = step.astype(np.int32)
        if binary:
            place = np.sort((sample.astype(np.int64) * steps + step) * self.size + channel)
            place = place[np.diff(place, prepend=-1) > 0]
            rest, channel = np.divmod(place, self.size)
            sample, step = np.divmod(rest, steps)
        return step.astype(np.int32), sample.astype(np.int32), channel.astype(np.int32)
        return step, sample, channel


@dataclass(frozen=True, slots=True)
class EventSplit:
    """A data set of events in three parts."""

    train: EventLists
    validation: EventLists
    test: EventLists
