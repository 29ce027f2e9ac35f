"""A run unrolled in time: pieces of steps, recomputed in the backward pass if asked, and samples that end before others.

A sample that ends leaves the batch: what remains is run without it, so its gradients are those of a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from .delivery import Values
from .engine import Ready, TorchEngine
from .noise import Rows as NoiseRows
from .noise import Samples, rows_of
from .recording import Recorder, Reduction
from .states import Past, padded

Feedback = Mapping[str, Callable[[torch.Tensor, Values], torch.Tensor]]
Watch = Callable[[torch.Tensor, Values], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What every array holds between two steps, the events of the last steps, and the number of the next step (one, or one for each sample)."""

    values: Values
    past: Past
    step: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrolling:
    """How a run is carried out.

    Parameters
    ----------
    reductions : of every record, None for one that has a time axis.
    empty : of every record, zeros in the shape of one step.
    events : the records that are 0 after the end of a sample; others keep their last value.
    checkpoint : how many steps the backward pass recomputes at a time; None to keep all.
    keep : as what the compiled engine keeps numbers for the backward pass, 'float' (as they are) or 'bfloat16'.
    feedback : what replaces the row of a table, made from it and the values before the step.
    watch : called after every step with its number and the values.
    samples : seed and samples of what is random; None if nothing is.
    batch : the shape of the batch.
    """

    reductions: Mapping[str, Reduction | None]
    empty: Mapping[str, torch.Tensor]
    events: frozenset[str] = frozenset()
    checkpoint: int | None = None
    keep: str = "float"
    feedback: Feedback = field(default_factory=dict)
    watch: Watch | None = None
    samples: Samples | None = None
    batch: torch.Size = torch.Size()  # noqa: B008  immutable


def unroll(engine: TorchEngine, moment: Moment, tables: Values, steps: int, how: Unrolling) -> tuple[Moment, dict[str, torch.Tensor]]:
    """Run all samples for the same number of steps: the moment after it, and the records."""
    values = dict(moment.values)
    ready = engine.set_up(values)
    rows = {**{name: table.unbind(0) for name, table in tables.items()}, **_noise(engine, moment, steps, values, how)}
    moment, recorders = _advance(engine, ready, Moment(values, moment.past, moment.step), rows, 0, steps, how, _recorders(how))
    records = {}
    for key, recorder in recorders.items():
        empty = how.empty[key]
        recorder.values = [value.expand(empty.shape) for value in recorder.values]
        records[key] = recorder.result(steps, empty)
        if recorder.reduction is not None:
            records[key] = records[key].expand(*empty.shape[:-1], records[key].shape[-1])
    past = {name: padded(moment.past.get(name, []), length, moment.values[name]) for name, length in ready.memory.items()}
    return Moment(moment.values, past, moment.step), records


def unroll_ragged(
    engine: TorchEngine, moment: Moment, tables: Values, steps: int, lengths: torch.Tensor, how: Unrolling
) -> tuple[Moment, dict[str, torch.Tensor]]:
    """Run each sample for as many steps as `lengths` says, which has the shape of the batch."""
    batch, flat = lengths.shape, lengths.reshape(-1)
    order = torch.argsort(flat, descending=True, stable=True)
    begun, values = moment, dict(moment.values)
    ready = engine.set_up(values)
    moving = [name for name in engine.moving if name in values]
    moment = _narrow(Moment(values, moment.past, moment.step), moving, lambda value: _sorted(value, batch, order))
    chosen = order.cpu()
    rows: dict[str, Any] = {name: _sorted_rows(table, batch, order).unbind(0) for name, table in tables.items()}
    rows |= {name: one.narrowed(lambda x: x.reshape(-1)[chosen]) for name, one in _noise(engine, begun, steps, values, how).items()}
    recorders, ended, begin = _recorders(how), _Ended(moving, ready, how), 0
    longest_first = flat[order].tolist()
    for end in sorted(set(longest_first)):
        active = sum(length >= end for length in longest_first)
        moment, recorders = _advance(engine, ready, moment, {name: _first(table, active) for name, table in rows.items()}, begin, end, how, recorders)
        remaining = sum(length > end for length in longest_first)
        ended.add(moment, recorders, end, active, remaining)
        moment = _narrow(moment, moving, lambda value, kept=remaining: value[:kept] if value.dim() > 1 else value)  # type: ignore[misc]
        for recorder in recorders.values():
            recorder.values, recorder.total = [], _map(recorder.total, lambda value, kept=remaining: value[:kept] if value.dim() > 1 else value)  # type: ignore[misc]
        begin = end
    return ended.result(moment, steps, batch, torch.argsort(order))


def checked_lengths(lengths: Any, batch: torch.Size, steps: int, device: torch.device) -> torch.Tensor:
    """The number of steps of each sample, if it can be one."""
    found = torch.as_tensor(lengths, device=device)
    if found.dtype.is_floating_point or found.dtype is torch.bool:
        raise TypeError(f"lengths= takes whole numbers of steps, not {found.dtype}")
    if found.shape != batch:
        raise ValueError(f"lengths= must have the shape of the batch, {tuple(batch)}, not {tuple(found.shape)}")
    if found.numel() and not 1 <= int(found.min()) <= int(found.max()) <= steps:
        raise ValueError(f"lengths= must lie between 1 and the number of steps, {steps}; they lie between {int(found.min())} and {int(found.max())}")
    return found.to(torch.int64)


def _recorders(how: Unrolling) -> dict[str, Recorder]:
    return {key: Recorder(reduction) for key, reduction in how.reductions.items()}


Rows = Mapping[str, Any]


def _noise(engine: TorchEngine, moment: Moment, steps: int, values: Values, how: Unrolling) -> dict[str, NoiseRows]:
    return rows_of(engine.noises, engine.streams, engine.sizes, how.samples, moment.step, steps, values)


def _advance(
    engine: TorchEngine, ready: Ready, moment: Moment, rows: Rows, begin: int, end: int, how: Unrolling, recorders: dict[str, Recorder]
) -> tuple[Moment, dict[str, Recorder]]:
    """Steps `begin` to `end`, in pieces that the backward pass recomputes."""
    if how.checkpoint is None or not torch.is_grad_enabled():
        return _piece(engine, ready, moment, rows, begin, end, how, recorders)
    for first in range(begin, end, how.checkpoint):
        last = min(first + how.checkpoint, end)
        moment, recorders = checkpoint(_piece, engine, ready, moment, rows, first, last, how, recorders, use_reentrant=False)
    return moment, recorders


def _piece(
    engine: TorchEngine, ready: Ready, moment: Moment, rows: Rows, begin: int, end: int, how: Unrolling, recorders: dict[str, Recorder]
) -> tuple[Moment, dict[str, Recorder]]:
    """The same without side effects: what is passed in is left as it was."""
    values, past, step = dict(moment.values), dict(moment.past), moment.step
    recorders = {key: Recorder(recorder.reduction, [*recorder.values], recorder.total) for key, recorder in recorders.items()}
    for n in range(begin, end):
        row = {name: table[n] for name, table in rows.items()}
        for name, function in how.feedback.items():
            row[name] = function(row[name], values)
        engine.step(values, past, ready, row, step, recorders)
        if how.watch is not None:
            how.watch(step, values)
        step = step + 1
    return Moment(values, past, step), recorders


# ------------------------------------------------------------------------------------------------------------------------- samples that have come to an end
def _narrow(moment: Moment, moving: Sequence[str], chosen: Callable[[torch.Tensor], torch.Tensor]) -> Moment:
    """The samples that are chosen; arrays without a batch axis hold for all of them."""
    values = {**moment.values, **{name: chosen(moment.values[name]) for name in moving}}
    step = moment.step if moment.step.dim() == 0 else chosen(moment.step)
    return Moment(values, {name: [chosen(sent) for sent in events] for name, events in moment.past.items()}, step)


def _sorted(value: torch.Tensor, batch: torch.Size, order: torch.Tensor) -> torch.Tensor:
    return value if value.dim() < 2 else value.expand(*batch, value.shape[-1]).reshape(len(order), -1)[order]


def _sorted_rows(table: torch.Tensor, batch: torch.Size, order: torch.Tensor) -> torch.Tensor:
    return table.expand(len(table), *batch, table.shape[-1]).reshape(len(table), len(order), -1)[:, order]


def _unsorted(value: torch.Tensor, axis: int, place: torch.Tensor, batch: torch.Size) -> torch.Tensor:
    """The inverse: samples, which are sorted along an axis, in the order and shape of the batch."""
    return value.index_select(axis, place).reshape(*value.shape[:axis], *batch, *value.shape[axis + 1 :])


def _first(rows: Any, active: int) -> Any:
    """The rows of the first samples; where a row is a function of parameters, they are chosen before numbers are drawn."""
    if isinstance(rows, NoiseRows) and rows.noise.parameters is None:
        return rows.narrowed(lambda x: x[:active])
    return _First(rows, active)


class _First:
    """The rows of the first samples, cut when they are needed."""

    def __init__(self, rows: Sequence[torch.Tensor], active: int) -> None:
        self._rows, self._active = rows, active

    def __getitem__(self, n: int) -> torch.Tensor:
        return self._rows[n][: self._active]


def _map(total: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same made of every tensor in a total: tuples may be nested."""
    if isinstance(total, tuple):
        return tuple(_map(part, function) for part in total)
    return function(total) if isinstance(total, torch.Tensor) else total


class _Ended:
    """What samples left behind, the shortest first; put together and into the order of the batch at the end."""

    def __init__(self, moving: Sequence[str], ready: Ready, how: Unrolling) -> None:
        self.moving, self.ready, self.how = moving, ready, how
        self.values: dict[str, list[torch.Tensor]] = {name: [] for name in moving}
        self.past: dict[str, list[torch.Tensor]] = {name: [] for name in ready.memory}
        self.reduced: dict[str, list[torch.Tensor]] = {key: [] for key in how.reductions}
        self.timed: dict[str, list[torch.Tensor]] = {key: [] for key in how.reductions}
        self.last: dict[str, torch.Tensor] = {}
        self.steps: list[torch.Tensor] = []

    def add(self, moment: Moment, recorders: Mapping[str, Recorder], length: int, active: int, remaining: int) -> None:
        """Take what the samples `remaining:active` hold after their last step."""

        def leaving(value: torch.Tensor) -> torch.Tensor:
            return value.expand(active, value.shape[-1])[remaining:]

        for name in self.moving:
            self.values[name].append(leaving(moment.values[name]))
        for name, events in self.past.items():
            sent = padded(moment.past.get(name, []), self.ready.memory[name], moment.values[name])
            events.append(torch.stack([leaving(value) for value in sent]))
        self.steps.append(moment.step.expand(active, 1)[remaining:])
        for key, recorder in recorders.items():
            if recorder.reduction is not None:
                total = _map(recorder.total, lambda value: leaving(value) if value.dim() > 0 else value)
                self.reduced[key].append(recorder.reduction.finish(total, length))
                continue
            rows = torch.stack([value.expand(active, value.shape[-1]) for value in recorder.values])
            self.timed[key].append(self._filled(key, rows))
            last = rows[-1, remaining:]
            self.last[key] = torch.cat([last, self.last[key]]) if key in self.last else last

    def _filled(self, key: str, rows: torch.Tensor) -> torch.Tensor:
        """The rows of the whole batch: for samples that have ended 0, or their last value."""
        if key not in self.last:
            return rows
        ended = torch.zeros_like(self.last[key]) if key in self.how.events else self.last[key]
        return torch.cat([rows, ended.expand(len(rows), *ended.shape)], 1)

    def result(self, moment: Moment, steps: int, batch: torch.Size, place: torch.Tensor) -> tuple[Moment, dict[str, torch.Tensor]]:
        def whole(parts: list[torch.Tensor], axis: int = 0) -> torch.Tensor:
            return _unsorted(torch.cat(parts[::-1], axis), axis, place, batch)

        records = {}
        for key, reduction in self.how.reductions.items():
            if reduction is not None:
                records[key] = whole(self.reduced[key])
                continue
            rows = torch.cat(self.timed[key])
            rest = self._filled(key, rows[:1, :0]).expand(steps - len(rows), -1, -1)
            records[key] = _unsorted(torch.cat([rows, rest]), 1, place, batch)
        values = {**moment.values, **{name: whole(parts) for name, parts in self.values.items()}}
        past = {name: list(whole(parts, 1).unbind(0)) for name, parts in self.past.items()}
        return Moment(values, past, whole(self.steps)), records
