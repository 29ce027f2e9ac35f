"""A run carried out by the compiled engine: what `unroll` does, with the same results."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from codegen.ir import Record

from ..delivery import Values
from ..events import Events, Fed
from ..noise import rows_of
from ..recording import Max, Reduction
from ..states import padded
from ..unroll import Moment, Unrolling
from . import operator
from .draws import SAMPLES, SEED
from .engine import CompiledEngine
from .inputs import given_lists, made_lists, no_lists, rows_of_lists
from .lengths import Lengths
from .network import PAST, reduction_kind
from .stage import is_event


def unroll_compiled(
    engine: CompiledEngine, moment: Moment, tables: Mapping[str, Fed], steps: int, how: Unrolling, lengths: torch.Tensor | None = None
) -> tuple[Moment, dict[str, torch.Tensor]]:
    """`unroll` by the compiled engine, or `unroll_ragged` where samples have lengths of their own."""
    network = engine.network
    values = dict(moment.values)
    engine.set_ups.run(values)
    batch = how.batch
    members = batch.numel()
    given: dict[str, torch.Tensor] = {name: values[name] for name in engine.constants}
    for name in network.moving:
        value = values[name].detach() if is_event(engine.arrays[name]) else values[name]  # events are found anew before anything reads them
        given[name] = value.expand(*batch, value.shape[-1]).reshape(members, -1)
    lists: dict[str, Events] = {}
    for array, name in network.inputs().items():
        if name in network.noises:
            given[name] = _thresholds(engine, moment, name, steps, values, how)
            continue
        table = tables[name]
        if isinstance(table, Events):
            lists[array], given[name] = table, torch.empty(0, dtype=torch.int64)
        else:
            given[name] = _spread(table, steps, batch, engine.size(array))
    if how.samples is not None:
        given |= {SEED: torch.tensor([how.samples.seed]), SAMPLES: how.samples.numbers.reshape(-1).contiguous()}
    given |= engine.amounts(values)
    network = engine.network_of(given)
    for events, past in network.memory.items():
        sent = padded(moment.past.get(events, []), past, values[events])
        rows = torch.stack([row.expand(*batch, row.shape[-1]).reshape(members, -1) for row in sent])
        given[events + PAST] = rows.to(values[events].dtype) if rows.dtype is torch.bool else rows
    first = _first_steps(moment.step, batch)
    each = None if lengths is None else Lengths.of(lengths)
    if each is not None:
        first = first if len(first) == 1 else each.sorted(first, 0)
        given |= {name: each.sorted(given[name], 0) for name in (*network.moving, SAMPLES) if name in given}
        rows = (*network.inputs().values(), *(events + PAST for events in network.memory))
        given |= {name: each.sorted(given[name], 1) for name in rows if given[name].dim() > 1 and given[name].stride(1)}
    wide = any(value.dtype is torch.float64 for value in given.values())
    for events in engine.fed_events:
        if events not in lists:
            given |= no_lists(events)
            continue
        before = given[events + PAST] if moment.past.get(events) else torch.zeros(network.past(events), 0, 0) if network.past(events) else None
        given |= made_lists(events, lists[events], batch, each, before, engine.extent(steps, members, first.tolist(), wide))
    names = engine.names
    tensors = [given[name] for name in names]
    wanted = [name for name in names if given[name].requires_grad] if torch.is_grad_enabled() else []
    handed_out, active = operator.outcome(engine, wide, wanted)  # refuses before anything is run
    kept = how.checkpoint or 0, how.keep == "bfloat16"
    ends = torch.empty(0, dtype=torch.int64) if each is None else each.own
    found = operator.run(tensors, engine.key, steps, members, first, *kept, ends, "\n".join(wanted))
    shown = {kernel.name: kernel.array for kernel in network.program.kernels if isinstance(kernel, Record)}
    out = {name: value if shown.get(name, name.removesuffix(PAST)) in active else value.detach() for name, value in zip(handed_out, found)}

    def whole(value: torch.Tensor, axis: int) -> torch.Tensor:
        value = value if each is None else each.returned(value, axis)
        return value.reshape(*value.shape[:axis], *batch, value.shape[-1])

    for name in network.moving:
        values[name] = whole(out[name], 0)
    for array, name in network.inputs().items():
        if array in values:  # what was fed in the last step
            fed = given_lists(given, array) if array in lists else None
            if fed is not None:
                row = (torch.full((members,), steps) if each is None else each.own).numpy() + fed[0].shape[1] - steps - 1
                last = torch.from_numpy(rows_of_lists(fed, row[None], engine.size(array))[0])
            else:
                last = given[name][-1] if each is None else each.last(given[name])
            values[array] = whole(last, 0)
    records = {}
    for key, reduction in network.reductions.items():
        value = out.get(key)
        if value is None:
            value = values[shown[key]].expand(steps, members, -1)
        elif reduction_kind(reduction) is not None and reduction is not None:
            ends = steps if each is None else each.own[:, None]
            records[key] = whole(reduction.finish((value,) if isinstance(reduction, Max) else value, ends), 0)
            continue
        if reduction is None:
            records[key] = whole(value if each is None else each.filled(value, key in how.events), 1)
        else:
            records[key] = whole(_reduced(reduction, value, steps) if each is None else each.reduced(reduction, value), 0)
    past_events = {events: list(whole(out[events + PAST], 1).unbind(0)) for events in network.memory}
    return Moment(values, past_events, moment.step + (steps if lengths is None else lengths.unsqueeze(-1))), records


def _first_steps(step: torch.Tensor, batch: torch.Size) -> torch.Tensor:
    """The number of the first step: one, or one for each member where they differ."""
    if not step.dim():
        return step.reshape(1)
    own = step.squeeze(-1).expand(batch).reshape(-1)
    if torch.compiler.is_compiling():  # whether they differ is not known there
        return own.contiguous()
    return own[:1].clone() if bool((own == own[0]).all()) else own.contiguous()


def _spread(table: torch.Tensor, steps: int, batch: torch.Size, size: int) -> torch.Tensor:
    """A table with one axis for the batch; it may lack axes of the batch, and have one value for all elements."""
    missing = [1] * (len(batch) + 2 - table.dim())
    whole = table.reshape(table.shape[0], *missing, *table.shape[1:]).expand(steps, *batch, size)
    return whole.reshape(steps, batch.numel(), size)


def _thresholds(engine: CompiledEngine, moment: Moment, name: str, steps: int, values: Values, how: Unrolling) -> torch.Tensor:
    """The table of a law whose numbers come from one; of any other no numbers."""
    noises = [noise for noise in engine.engine.noises if noise.name == name]
    found = rows_of(noises, engine.engine.streams, engine.engine.sizes, how.samples, moment.step, steps, values)[name].thresholds()
    return torch.empty(0, dtype=torch.int64) if found is None else found


def _reduced(reduction: Reduction, rows: torch.Tensor, steps: int) -> torch.Tensor:
    """A reduction that has no operation of its own, made from all steps."""
    total = None
    for row in rows.unbind(0):
        total = reduction.add(total, row)
    return reduction.finish(total, steps)
