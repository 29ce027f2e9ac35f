"""The module's batch in the simulator: one sample after the other, through the kernels that `run` uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..choosing import make_engine
from ..engines import Engine
from ..groups import Group
from ..seeding import next_run
from ..synapses import Synapses
from .events import Fed, dense
from .feeding import Call, common_steps
from .recording import Recorder, is_event, parts

if TYPE_CHECKING:
    from .module import NetworkModule


def simulate(module: NetworkModule, tables: Mapping[str, Fed], call: Call, progress: Callable[..., Any] | None) -> Any:
    """The record of `module(x)`, computed by the simulator from the same initial values. The user's objects are as before afterwards."""
    prepared = module.prepared
    items = [item for item in prepared.objects.values() if isinstance(item, Group | Synapses)]
    before = {item.name: item.state.snapshot() for item in items}
    steps = common_steps(tables, call.steps)
    batch = torch.broadcast_shapes(*(table.shape[1:-1] for table in tables.values()), call.batch)
    chosen = call.chosen(None, batch, module._like)
    numbers = chosen.numbers.reshape(-1).tolist()
    flat = {name: _flat(dense(table, module._like).detach().to("cpu"), batch) for name, table in tables.items()}
    _check_spikes(module, flat)
    start = {**module._constants, **module.learned_values()}
    try:
        _enter_learned(module)
        engine = make_engine(prepared)  # which reads the delays
        samples = batch.numel()
        results: list[dict[str, torch.Tensor]] = []
        for n in progress(range(samples)) if progress else range(samples):
            _enter(items, start)
            engine.forget()
            with next_run(chosen.seed, numbers[n]):
                engine.begin(0, steps, {name: table[:, n] for name, table in flat.items()})
            engine.advance(steps)
            results.append(_read(module, engine, steps))
    finally:
        for item in items:
            item.state.restore(before[item.name])
    return module._record_type(*(_stack([r[key] for r in results], batch, parts(spec)[2] is None, module) for key, spec in module._specs.items()))


def _flat(table: torch.Tensor, batch: torch.Size) -> np.ndarray:
    """The table of every sample, shape (T, samples, N)."""
    missing = [1] * (len(batch) - (table.dim() - 2))
    full = table.reshape(table.shape[0], *missing, *table.shape[1:]).expand(table.shape[0], *batch, table.shape[-1])
    found: np.ndarray = full.reshape(table.shape[0], -1, table.shape[-1]).numpy()
    return found


def _enter(items: list[Group | Synapses], start: dict[str, np.ndarray]) -> None:
    for item in items:
        for name in item.state.variables:
            values = start.get(f"{item.name}.{name}")
            if values is not None:
                item.state[name] = values


def _enter_learned(module: NetworkModule) -> None:
    values = module.learned_values()
    for held in module.learned.values():
        held.learn.owner.state[held.learn.stored] = values[held.learn.array]


def _check_spikes(module: NetworkModule, tables: dict[str, np.ndarray]) -> None:
    for key, (table, _, holds_spikes) in module._feeding.inputs.items():
        if holds_spikes and not np.isin(tables[table], (0, 1)).all():
            raise ValueError(f"the simulator knows whole spikes only: input {key!r} must hold 0 and 1")


def _read(module: NetworkModule, engine: Engine, steps: int) -> dict[str, torch.Tensor]:
    """One sample's record, shape (T, N) or (N,)."""
    found = engine.records()
    results = {}
    for key, spec in module._specs.items():
        owner, variable, reduction = parts(spec)
        if is_event(owner, variable):
            indices, when = found[key]
            dense = np.zeros((steps, owner.state.size))
            dense[when.astype(np.int64), indices.astype(np.int64)] = 1.0
        else:
            _, dense = found[key]
            dense = np.broadcast_to(dense, (steps, dense.shape[-1]))
        rows = torch.from_numpy(np.array(dense, np.float64))
        recorder = Recorder(reduction)
        for row in rows:
            recorder.add(row)
        results[key] = recorder.result(steps, rows[:0].sum(0))
    return results


def _stack(samples: list[torch.Tensor], batch: torch.Size, timed: bool, module: NetworkModule) -> torch.Tensor:
    axis = 1 if timed else 0
    value = torch.stack(samples, axis)
    shape = (value.shape[0], *batch, value.shape[-1]) if timed else (*batch, value.shape[-1])
    value = value.reshape(shape).to(module._like.dtype)
    return value.transpose(0, 1) if timed and module.batch_first and value.dim() > 2 else value
