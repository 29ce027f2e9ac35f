"""What a module is fed: the arguments of `forward` as tables over time, one row a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from codegen.ir import Role

from ..groups import Group
from ..inputs import InputGroup, SpikeGeneratorGroup
from ..objects import SimulationObject
from .events import Events, Fed
from .noise import Samples, samples_of
from .states import State

Tables = dict[str, Fed]
"""What fills the rows of each table: a tensor, or spikes as a list of events."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a run is told beside its inputs: see `NetworkModule.forward`."""

    steps: int | None = None
    batch: tuple[int, ...] = ()
    seed: int | None = None
    samples: int | torch.Tensor | None = None

    def chosen(self, state: State | None, batch: Sequence[int], like: torch.Tensor) -> Samples:
        """Seed and samples as they were given, or else as a state has them."""
        known = (state or {}).get("clock", {})
        seed = known.get("seed") if self.seed is None else self.seed
        return samples_of(seed, known.get("samples") if self.samples is None else self.samples, batch, like)


def common_steps(tables: Mapping[str, Fed], given: int | None) -> int:
    """The number of steps of a run."""
    steps = {table.shape[0] for table in tables.values()} | ({given} if given is not None else set())
    if len(steps) > 1:
        raise ValueError(f"all inputs must have the same number of steps, not {sorted(steps)}")
    if not steps:
        raise ValueError("the network has no InputGroup and no (input) variable, so its number of steps is unknown; give it one, or steps=")
    return steps.pop()


def _first_step(state: State | None) -> np.ndarray:
    """The step at which a run goes on: one, or one for each sample where they differ."""
    known = (state or {}).get("clock", {}).get("t_in_timesteps", torch.zeros((), dtype=torch.int64)).detach().cpu().numpy()
    same = known.size == 0 or bool((known == known.flat[0]).all())
    return np.array(known.flat[0] if known.size else 0) if same else known[..., 0]


def tables_of(objects: Sequence[SimulationObject]) -> list[tuple[str, str, str, str]]:
    """Keyword, table, array and slot ('' for the beginning of a step) of everything that is fed from outside."""
    rows = [(item.name, f"{item.name}.spikes", f"{item.name}._spike", item.when) for item in objects if isinstance(item, InputGroup)]
    fed = [(item, v.name) for item in objects if isinstance(item, Group) for v in item.model.variables if v.role is Role.INPUT]
    names = [name for _, name in fed]
    for item, name in fed:
        key = name if names.count(name) == 1 else f"{item.name}_{name}"
        rows.append((key, f"{item.name}.{name}:table", f"{item.name}.{name}", ""))
    return rows


def one_row(x: Fed, batch_first: bool) -> torch.Tensor:
    """The input of one step with a time axis."""
    if isinstance(x, Events):
        raise TypeError("step() takes the rows of one step: events have steps of their own, so give them to run()")
    x = x.to_dense() if x.layout is torch.sparse_coo else x
    return x.unsqueeze(1 if batch_first and x.dim() > 1 else 0)


class Feeding:
    """The inputs of a module: their names, sizes and order, and how tensors become tables.

    Parameters
    ----------
    objects : those of the network, in its order.
    batch_first : whether a batch axis comes before time.
    """

    def __init__(self, objects: Sequence[SimulationObject], batch_first: bool) -> None:
        self.batch_first = batch_first
        self.generators = [item for item in objects if isinstance(item, SpikeGeneratorGroup)]
        self.inputs: dict[str, tuple[str, int, bool]] = {}
        """For each keyword of `forward`: the table it fills, its number of elements, and whether it holds spikes."""
        for key, table, array, slot in tables_of(objects):
            owner = next(item for item in objects if item.name == array.partition(".")[0])
            self.inputs[key] = (table, len(owner), slot != "")  # type: ignore[arg-type]

    def tables(
        self,
        inputs: Sequence[Fed],
        named: Mapping[str, Fed],
        like: torch.Tensor,
        steps: int | None = None,
        batch: Sequence[int] = (),
        state: State | None = None,
    ) -> Tables:
        """Time first, then the batch, then elements; in the type and on the device of `like`. `steps` and `batch` count where there are no inputs; what a
        SpikeGeneratorGroup fires begins where the state is."""
        given = self.named(inputs, named)
        ready = {key: self._ready(key, value, like) for key, value in given.items()}
        try:
            torch.broadcast_shapes(*(value.shape[1:-1] for value in ready.values()))
        except RuntimeError:
            shapes = ", ".join(f"{key} {tuple(ready[key].shape[1:-1])}" for key in self.inputs)
            raise ValueError(f"inputs have different batch axes: {shapes}") from None
        axes = len(next(iter(ready.values())).shape) - 2 if ready else len(batch)
        first = _first_step(state) if self.generators else np.array(0)
        return self._generated(first, common_steps(ready, steps), axes, like.device) | {self.inputs[key][0]: value for key, value in ready.items()}

    def named(self, inputs: Sequence[Fed], named: Mapping[str, Fed]) -> Tables:
        """All inputs by name; errors for those that are missing, too many, or given twice."""
        keys = list(self.inputs)
        if len(inputs) > len(keys):
            raise TypeError(f"the module takes {len(keys)} inputs ({', '.join(keys)}), not {len(inputs)}")
        given = dict(zip(keys, inputs))
        for name, value in named.items():
            if name not in keys:
                raise TypeError(f"the module has no input {name!r}; its inputs are {', '.join(keys) or 'none'}")
            if name in given:
                raise TypeError(f"input {name!r} is given twice")
            given[name] = value
        missing = [key for key in keys if key not in given]
        if missing:
            raise TypeError(f"input {missing[0]!r} is missing; the module's inputs are {', '.join(keys)}")
        return given

    def _ready(self, key: str, value: Fed, like: torch.Tensor) -> Fed:
        _, size, holds_spikes = self.inputs[key]
        if isinstance(value, Events) or value.layout is torch.sparse_coo:
            return self._ready_events(key, value, like)
        if value.dim() < 2 or value.shape[-1] not in (size, 1) or (value.shape[-1] == 1 and size != 1 and holds_spikes):
            raise ValueError(f"input {key!r} must have the shape (T, ..., {size}), not {tuple(value.shape)}")
        if self.batch_first and value.dim() > 2:
            value = value.transpose(0, 1)
        return value.to(dtype=like.dtype, device=like.device)

    def _ready_events(self, key: str, value: Fed, like: torch.Tensor) -> Fed:
        """Spikes that are given as events; an input that wants a gradient has one for every step and neuron, and is dense."""
        _, size, holds_spikes = self.inputs[key]
        if not holds_spikes:
            raise TypeError(f"input {key!r} is a variable, which has a value in every step: give a dense tensor")
        if not isinstance(value, Events):
            if value.requires_grad:
                return self._ready(key, value.to_dense(), like)
            value = Events.from_sparse(value, self.batch_first)
        if value.shape[-1] != size:
            raise ValueError(f"input {key!r} must have the shape (T, ..., {size}), not {value.shape}")
        return value.to(like.device, like.dtype)

    def _generated(self, first: np.ndarray, steps: int, axes: int, device: torch.device) -> Tables:
        """The spikes of SpikeGeneratorGroups: the same for the whole batch, but for samples that stand at different steps."""
        tables: Tables = {}
        for item in self.generators:
            found = []
            for number in np.unique(first).tolist():
                offsets, indices = item.events_by_step(number, steps, item.clock.dt_)
                t, samples = np.repeat(np.arange(steps, dtype=np.int32), np.diff(offsets)), np.flatnonzero(first == number).astype(np.int32)
                found.append([np.tile(t, len(samples)), np.repeat(samples, len(t)), np.tile(indices, len(samples))])
            t, b, n = (torch.from_numpy(np.concatenate(part)) for part in zip(*found))
            shape = (steps, *(first.shape or [1] * axes), len(item))
            tables[f"{item.name}.spikes"] = Events(t, b, n, shape).to(device)
        return tables
