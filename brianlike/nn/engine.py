"""The torch engine: it runs a Program eagerly on tensors, on any device, and defines what its gradients are.

Values are tensors of shape (elements,) or (*batch, elements); every kernel makes new ones, nothing is changed in place.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from codegen.dataflow import constant_in_run, late
from codegen.emit import torch as emitter
from codegen.ir import Deliver, Draw, Map, Program, Record, Role, Table
from codegen.noise import feed_draws
from codegen.surrogate import Gradients, gradient_of

from ..build import build_python
from ..simulate import Connection
from .delays import Shift, shift_of
from .delivery import Delivery, Matrices, Places, Values
from .maps import Elements
from .recording import Recorder


@dataclass(frozen=True, slots=True)
class Ready:
    """What belongs to one run: engines are shared by copies of a module and by threads, so they keep nothing of it.

    Parameters
    ----------
    deliveries : the pathways, with the delays that they have in this run.
    matrices : the weight matrices of those that have any.
    memory : how many steps back the events of an array are needed.
    """

    deliveries: Mapping[str, Delivery]
    matrices: Mapping[str, Matrices]
    memory: Mapping[str, int]


def memory_of(deliveries: Mapping[str, Delivery]) -> dict[str, int]:
    """How many steps back the pathways look for the events of each array."""
    found: dict[str, int] = {}
    for one in deliveries.values():
        if one.memory:
            found[one.kernel.events] = max(found.get(one.kernel.events, 0), one.memory)
    return found


engines: weakref.WeakValueDictionary[str, TorchEngine] = weakref.WeakValueDictionary()
"""All of them by their keys: what a graph that torch compiles can hold of one."""


class TorchEngine:
    """Runs a Program on torch.

    Parameters
    ----------
    program : what to run.
    gradient : how spikes count in gradients, everywhere or by the name of their group.
    connections : the synapses of each Synapses object.
    sizes : number of elements of each space.
    delays : delays in steps, by array name.
    learned : of delays that are learned, the step of their pathway's clock, by array name; their values come with each run.
    streams : ordinals of objects, which keep their random numbers apart.
    """

    def __init__(
        self,
        program: Program,
        gradient: Gradients,
        connections: Mapping[str, Connection],
        sizes: Mapping[str, int],
        delays: Mapping[str, np.ndarray],
        streams: Mapping[str, int],
        learned: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        program, self.noises = feed_draws(program)
        self.program, self.sizes, self.streams = program, sizes, streams
        self.key = secrets.token_hex(8)
        engines[self.key] = self
        self.fixed = constant_in_run(program)
        skip = (Role.CLOCK, Role.ACCUMULATOR, Role.INPUT)
        self.moving = [a.name for a in program.arrays if a.name not in self.fixed and a.role not in skip]
        """The arrays that make the state."""
        self.places = {name: Places(connection) for name, connection in connections.items()}
        self.deliveries: dict[str, Delivery] = {}
        self._functions: dict[str, Callable[..., tuple[torch.Tensor, ...]]] = {}
        for kernel in (*program.setup, *program.kernels):
            if isinstance(kernel, Map | Deliver):
                self._functions[kernel.name] = build_python(emitter.render(kernel, gradient_of(gradient, kernel.space)))
            if isinstance(kernel, Deliver):
                self.deliveries[kernel.name] = self._delivery(kernel, delays)
        self._setup = [self._elements(kernel) for kernel in program.setup]
        self._kernels = [self._elements(kernel) if isinstance(kernel, Map) else kernel for kernel in program.kernels]
        self.memory = memory_of(self.deliveries)
        self.learned = {name: learned[str(one.kernel.delay)] for name, one in self.deliveries.items() if one.kernel.delay in learned}
        self._timed = any(load.array in ("clock.t", "clock.t_in_timesteps") for k in program.kernels if isinstance(k, Map | Deliver) for load in k.loads)

    def _elements(self, kernel: Map) -> Elements:
        size = self.sizes[kernel.space] if kernel.space else 1
        return Elements(kernel, self._functions[kernel.name], size, self.places.get(kernel.space))

    def _delivery(self, kernel: Deliver, delays: Mapping[str, np.ndarray], learned: Shift | None = None) -> Delivery:
        places = self.places[kernel.space]
        steps = np.zeros(len(places), np.int64) if kernel.delay is None else np.asarray(delays[kernel.delay], np.int64)
        draws = any(isinstance(line, Draw) for line in kernel.body)
        constant = not draws and all(load.array in self.fixed for load in kernel.loads) and all(store.add for store in kernel.stores)
        delayed = late(self.program, kernel, kernel.events)
        return Delivery(kernel, self._functions[kernel.name], places, steps + delayed, constant, delayed, learned)

    # ------------------------------------------------------------------------------------------------------------------------------------------ run
    def set_up(self, values: Values) -> Ready:
        """Compute what no step changes: the arrays of the set-up (into `values`), learned delays, and the weight matrices of constant pathways."""
        for setup in self._setup:
            setup.run(values, {})
        deliveries, memory = self.deliveries, self.memory
        if self.learned:
            deliveries = {**deliveries, **{name: self._shifted(name, dt, values) for name, dt in self.learned.items()}}
            memory = memory_of(deliveries)
        found = {name: one.matrices(values) for name, one in deliveries.items()}
        return Ready(deliveries, {name: matrices for name, matrices in found.items() if matrices is not None}, memory)

    def _shifted(self, name: str, dt: float, values: Values) -> Delivery:
        """The pathway with the delays of this run."""
        pathway = self.deliveries[name].kernel
        array = str(pathway.delay)
        learned = shift_of(values[array], dt, len(self.places[pathway.space]))
        return self._delivery(pathway, {array: learned.steps}, learned)

    def step(
        self,
        values: Values,
        past: dict[str, list[torch.Tensor]],
        ready: Ready,
        rows: Mapping[str, Any],
        number: torch.Tensor,
        recorders: Mapping[str, Recorder],
    ) -> None:
        """Advance by the step of this number; `values` and `past` hold the state before and after.

        `rows` has one of each table, and of each draw that is still in a kernel a function of its parameters (see `noise.Rows`).
        """
        if self._timed:
            values["clock.t_in_timesteps"] = number if number.dim() else number[None]
            values["clock.t"] = number * values["clock.dt"]
        for kernel in self._kernels:
            match kernel:
                case Elements():
                    kernel.run(values, rows)
                case Deliver(name):
                    ready.deliveries[name].run(values, past, ready.matrices.get(name), rows)
                case Record(name, array):
                    recorders[name].add(values[array])
                case Table(name, array):
                    values[array] = rows[name]
        for name, steps in ready.memory.items():
            past[name] = [*past.get(name, []), values[name]][-steps:]
