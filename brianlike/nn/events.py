"""Input spikes as a list of events: what `forward` takes in place of a dense tensor, so that what does not happen costs nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch

from ..clocks import defaultclock
from ..datasets.events import EventLists


@dataclass(slots=True)
class Sorted:
    """What the compiled engine made of a list of events when it was fed for the second time in a row, and of what: it is fed again in every step of a training
    by whole batches."""

    known: tuple[Any, Any] = (None, None)

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made with this key, or is made now: kept only if it was asked for before, as most events are fed once."""
        known, made = self.known
        if known != key:
            self.known = key, None
            return make()
        if made is None:
            self.known = key, made = key, make()
        return made


@dataclass(frozen=True, eq=False)
class Events:
    """Spikes of a batch, each with its step, its sample and its neuron: a tensor of shape (T, ..., N) of which only what is not 0 is written down.

    Parameters
    ----------
    t, b, n : tensors or arrays of int, shape (events,)
        Step, sample and neuron of each event, in any order. Samples are counted over all axes of the batch, the last one fastest; None for `b` if there is
        no batch.
    shape : tuple of int
        (T, ..., N): time comes first here, also for modules with `batch_first=True`.
    values : tensor or array, shape (events,), optional
        What each event counts; 1 unless given.

    Raises
    ------
    ValueError
        For events outside the shape, and for lists of different lengths.

    Notes
    -----
    Several events of one neuron in one step of one sample are summed, as `torch.Tensor.coalesce` sums entries. Events carry no gradient: give a dense tensor
    if `x.grad` is wanted.

    Examples
    --------
    >>> import torch
    >>> import brianlike.nn as bnn
    >>> x = bnn.Events(t=[0, 2, 2], b=[0, 1, 1], n=[3, 0, 0], shape=(4, 2, 5))
    >>> x
    Events(3 of them, shape=(4, 2, 5))
    >>> x.to_dense()[2]
    tensor([[0., 0., 0., 0., 0.],
            [2., 0., 0., 0., 0.]])
    >>> x[1:3].shape
    (2, 2, 5)
    """

    t: torch.Tensor
    b: torch.Tensor
    n: torch.Tensor
    shape: tuple[int, ...]
    values: torch.Tensor | None = None
    _sorted: ClassVar[Sorted]

    def __post_init__(self) -> None:
        shape = tuple(int(size) for size in self.shape)
        if len(shape) < 2 or min(shape) < 0:
            raise ValueError(f"events have a shape (T, ..., N), not {shape}")
        t, n = _whole_numbers("t", self.t), _whole_numbers("n", self.n)
        b = torch.zeros_like(t) if self.b is None else _whole_numbers("b", self.b)
        values = None if self.values is None else torch.as_tensor(self.values).detach()
        if values is not None and not values.is_floating_point():
            values = values.to(torch.get_default_dtype())
        lengths = {name: tuple(part.shape) for name, part in dict(t=t, b=b, n=n, values=values).items() if part is not None}
        if len(set(lengths.values())) > 1 or t.dim() != 1:
            raise ValueError(f"events need lists of one length: {', '.join(f'{name} has the shape {found}' for name, found in lengths.items())}")
        for name, part, size in (("t", t, shape[0]), ("b", b, math.prod(shape[1:-1])), ("n", n, shape[-1])):
            least, most = map(int, torch.aminmax(part)) if len(part) else (0, -1)
            if len(part) and not 0 <= least <= most < size:
                raise ValueError(f"{name} goes from {least} to {most}, but the shape {shape} has room for 0 to {size - 1}")
        owned = (_owned(part, given) for part, given in ((t, self.t), (b, self.b), (n, self.n)))
        for name, part in dict(zip("tbn", owned), shape=shape, values=values if values is None else _owned(values, self.values, values.dtype)).items():
            object.__setattr__(self, name, part)
        object.__setattr__(self, "_sorted", Sorted())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_sorted": Sorted()}

    # ----------------------------------------------------------------------------------------------------------------------------------------- making
    @classmethod
    def from_dense(cls, x: torch.Tensor) -> Events:
        """What is not 0 in a tensor of shape (T, ..., N)."""
        rows = torch.as_tensor(x).detach()
        rows = rows.reshape(rows.shape[0], -1, rows.shape[-1])
        t, b, n = rows.nonzero().unbind(1)
        values = rows[t, b, n]
        return cls(t, b, n, tuple(x.shape), None if bool((values == 1).all()) else values)

    @classmethod
    def from_sparse(cls, x: torch.Tensor, batch_first: bool = False) -> Events:
        """The entries of a sparse COO tensor of shape (T, ..., N), or (B, T, ..., N)."""
        indices, values, shape = x.detach()._indices(), x.detach()._values(), list(x.shape)
        if x.sparse_dim() != x.dim():
            raise ValueError(f"a sparse input has {x.dim()} sparse axes, not {x.sparse_dim()} and dense ones behind them")
        order = [1, 0, *range(2, x.dim())] if batch_first and x.dim() > 2 else list(range(x.dim()))
        axes, shape = [indices[axis] for axis in order], [shape[axis] for axis in order]
        b = torch.zeros_like(axes[0])
        for axis, size in zip(axes[1:-1], shape[1:-1]):
            b = b * size + axis
        return cls(axes[0], b, axes[-1], tuple(shape), None if bool((values == 1).all()) else values)

    @classmethod
    def from_lists(
        cls,
        samples: EventLists | Sequence[tuple[Any, Any]],
        steps: int,
        dt: Any = None,
        *,
        size: int | None = None,
        chosen: Any = None,
        binary: bool = False,
    ) -> Events:
        """Lists of spikes, one for each sample, in bins.

        Parameters
        ----------
        samples : EventLists, or sequence of (times, channels)
            Times in seconds (or a Quantity), from 0.
        steps : int
            Number of bins; later events are left out.
        dt : Quantity, optional
            Width of a bin (s); by default the step of the default clock.
        size : int
            Number of channels; EventLists know theirs.
        chosen : indices, optional
            Which of the samples; all of them unless given.
        binary : bool
            Whether several events of a channel in a bin count as one.

        Returns
        -------
        Events of shape (steps, samples, size)

        Examples
        --------
        >>> from brianlike import ms
        >>> import brianlike.nn as bnn
        >>> bnn.Events.from_lists([([0.001, 0.0055], [0, 1]), ([0.002], [1])], steps=8, dt=1*ms, size=2).t
        tensor([1, 5, 2], dtype=torch.int32)
        """
        if not isinstance(samples, EventLists):
            if size is None:
                raise ValueError("size= is missing: the number of channels")
            samples = _event_lists(samples, size)
        indices = np.arange(len(samples)) if chosen is None else np.arange(len(samples))[np.asarray(chosen, dtype=np.int64)]
        t, b, n = samples.binned(indices, steps, dt, binary)
        return cls(t, b, n, (steps, len(indices), samples.size))

    @classmethod
    def from_times(cls, times: Any, steps: int, dt: Any = None) -> Events:
        """One spike for each input of each sample, at a given time, as `brianlike.encoders.latency_times` gives them.

        Parameters
        ----------
        times : Quantity or array, shape (samples, inputs)
            In seconds from 0; infinite times are no spikes, and so are those beyond the last step.
        steps : int
        dt : Quantity, optional
            Length of a step (s); by default that of the default clock.

        Returns
        -------
        Events of shape (steps, samples, inputs)

        Examples
        --------
        >>> from brianlike import ms
        >>> import brianlike.nn as bnn
        >>> bnn.Events.from_times([[2, 0.5]]*ms, steps=5, dt=1*ms).t
        tensor([2, 0], dtype=torch.int32)
        """
        given = np.asarray(times, np.float64)
        if given.ndim != 2 or (given < 0).any():
            raise ValueError(f"spike times have the shape (samples, inputs) and are not negative; these have {given.shape}, from {given.min(initial=np.inf)} s")
        when = np.floor(given / (defaultclock.dt_ if dt is None else float(np.asarray(dt))) + 1e-9)
        b, n = np.nonzero(when < steps)
        return cls(torch.from_numpy(when[b, n].astype(np.int32)), torch.from_numpy(b), torch.from_numpy(n), (steps, *given.shape))

    # ----------------------------------------------------------------------------------------------------------------------------------------- reading
    def __len__(self) -> int:
        """The number of steps, as of a tensor."""
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Events({len(self.t)} of them, shape={self.shape})"

    @property
    def device(self) -> torch.device:
        """Where the lists are."""
        return self.t.device

    def __getitem__(self, steps: slice) -> Events:
        """Some of the steps, one after the other, as for truncated backpropagation: `x[100:200]`."""
        if not isinstance(steps, slice) or steps.step not in (None, 1):
            raise TypeError("events are cut in time only: x[begin:end]; to_dense() gives a tensor")
        begin, end, _ = steps.indices(self.shape[0])
        inside = (self.t >= begin) & (self.t < end)
        values = None if self.values is None else self.values[inside]
        return _checked(self.t[inside] - begin, self.b[inside], self.n[inside], (max(0, end - begin), *self.shape[1:]), values)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Events:
        """The same lists on a device; `dtype` is that of the values, if there are any."""
        values = None if self.values is None else self.values.to(device=device, dtype=dtype)
        t, b, n = self.t.to(device), self.b.to(device), self.n.to(device)
        same = all(one is other for one, other in ((t, self.t), (b, self.b), (n, self.n), (values, self.values)))
        return self if same else _checked(t, b, n, self.shape, values)

    def to_dense(self, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The tensor of shape (T, ..., N), in torch's default type unless another is given."""
        kind = dtype or (torch.get_default_dtype() if self.values is None else self.values.dtype)
        flat = torch.zeros(math.prod(self.shape), dtype=kind, device=self.device)
        members, size = math.prod(self.shape[1:-1]), self.shape[-1]
        place = (self.t.long() * members + self.b) * size + self.n
        values = torch.ones((), dtype=kind, device=self.device).expand(len(place)) if self.values is None else self.values.to(kind)
        return flat.index_add_(0, place, values).reshape(self.shape)

    def members(self, batch: torch.Size) -> Events:
        """The events of a batch of this shape, as (T, samples, N): where it has more axes, or axes that are longer than 1, all of these have the same."""
        own = self.shape[1:-1]
        total = math.prod(batch)
        shape = (self.shape[0], total, self.shape[-1])
        if math.prod(own) == total:
            return self if shape == self.shape else _checked(self.t, self.b, self.n, shape, self.values, self._sorted)
        source = torch.arange(math.prod(own)).reshape(own).expand(batch).reshape(-1)  # of each sample
        order = torch.argsort(self.b, stable=True)
        ends = torch.bincount(self.b, minlength=math.prod(own)).cumsum(0)
        counts = torch.diff(ends, prepend=ends.new_zeros(1))[source]
        start = (ends[source] - counts) - (counts.cumsum(0) - counts)
        taken = order[torch.repeat_interleave(start, counts) + torch.arange(int(counts.sum()))]
        b = torch.repeat_interleave(torch.arange(total, dtype=torch.int32), counts)
        values = None if self.values is None else self.values[taken]
        return _checked(self.t[taken], b, self.n[taken], shape, values)


Fed: TypeAlias = torch.Tensor | Events
"""What an input may be."""


def dense(table: Fed, like: torch.Tensor) -> torch.Tensor:
    """A table as a tensor, in the type and on the device of `like`."""
    return table.to(like.device).to_dense(like.dtype) if isinstance(table, Events) else table


def _checked(
    t: torch.Tensor, b: torch.Tensor, n: torch.Tensor, shape: tuple[int, ...], values: torch.Tensor | None, known: Sorted | None = None
) -> Events:
    """Events made from others, which need not be looked through again."""
    made = object.__new__(Events)
    for name, part in dict(t=t, b=b, n=n, shape=shape, values=values, _sorted=known or Sorted()).items():
        object.__setattr__(made, name, part)
    return made


def _whole_numbers(name: str, given: Any) -> torch.Tensor:
    found = torch.as_tensor(given).detach()
    if found.dtype.is_floating_point and len(found):
        raise ValueError(f"{name} holds whole numbers, not {found.dtype}")
    return found if len(found) and not found.is_floating_point() else found.to(torch.int32)


def _owned(part: torch.Tensor, given: Any, dtype: torch.dtype = torch.int32) -> torch.Tensor:
    """A list that does not change with an array of numpy that was given: torch would not notice it."""
    made = part.to(dtype).contiguous()
    return made.clone() if isinstance(given, np.ndarray) and made is part else made


def _event_lists(samples: Sequence[tuple[Any, Any]], size: int) -> EventLists:
    times, channels = [np.asarray(one[0], np.float64).ravel() for one in samples], [np.asarray(one[1]).ravel() for one in samples]
    for number, (when, which) in enumerate(zip(times, channels)):
        if len(when) != len(which):
            raise ValueError(f"sample {number} has {len(when)} times, but {len(which)} channels")
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in times])]).astype(np.int64)
    labels = np.zeros(len(times), np.int64)
    return EventLists(np.concatenate([np.zeros(0), *times]), np.concatenate([np.zeros(0), *channels]).astype(np.int64), offsets, labels, size)
