"""The torch engine: it runs a Program eagerly on tensors, on any device, and defines what its gradients are.

Values are tensors of shape (elements,) or (*batch, elements); every kernel makes new ones, nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from codegen.dataflow import constant_in_run, late
from codegen.emit import torch as emitter
from codegen.errors import UnsupportedError
from codegen.expr import DType, Index
from codegen.ir import Deliver, Draw, Load, Map, Program, Record, Role, Table
from codegen.surrogate import Gradient

from ..build import build_python, prelude
from ..simulate import Connection
from .recording import Recorder

Values = dict[str, torch.Tensor]
DENSE_LIMIT = 2**26  # entries of a weight matrix; larger sparse pathways are summed synapse by synapse


@dataclass(slots=True)
class Plan:
    """How a Deliver is carried out: where its synapses begin and end, and which of them have which delay."""

    source: torch.Tensor
    target: dict[Index, torch.Tensor]
    n_source: int
    delays: list[tuple[int, torch.Tensor | None]]
    full: bool
    constant: bool


class TorchEngine:
    """Runs a Program on torch.

    Parameters
    ----------
    program : what to run.
    gradient : how spikes count in gradients.
    connections : the synapses of each Synapses object.
    sizes : number of elements of each space.
    delays : delays in steps, by array name.
    """

    def __init__(
        self, program: Program, gradient: Gradient, connections: Mapping[str, Connection], sizes: Mapping[str, int], delays: Mapping[str, np.ndarray]
    ) -> None:
        self.program, self.sizes, self.connections = program, sizes, connections
        self.fixed = constant_in_run(program)
        self.events = {a.name for a in program.arrays if a.role is Role.EVENT}
        self._functions: dict[str, Callable[..., tuple[torch.Tensor, ...]]] = {}
        self._plans: dict[str, Plan] = {}
        for kernel in (*program.setup, *program.kernels):
            if isinstance(kernel, Map | Deliver):
                self._refuse(kernel)
                self._functions[kernel.name] = build_python(emitter.render(kernel, gradient))
            if isinstance(kernel, Deliver):
                self._plans[kernel.name] = self._plan(kernel, delays)
        self.memory = max((d for plan in self._plans.values() for d, _ in plan.delays), default=0)
        self._past_needed = {k.events for k in program.kernels if isinstance(k, Deliver) and any(d for d, _ in self._plans[k.name].delays)}
        self._select = prelude("torch")["select"]
        self._timed = any(load.array in ("clock.t", "clock.t_in_timesteps") for k in program.kernels if isinstance(k, Map | Deliver) for load in k.loads)

    @staticmethod
    def _refuse(kernel: Map | Deliver) -> None:
        if any(isinstance(line, Draw) for line in kernel.body):
            raise UnsupportedError(f"{kernel.name} draws random numbers, which modules do not have yet", None, "Feed random spikes through an InputGroup.")
        if isinstance(kernel, Deliver) and kernel.sequential:
            raise UnsupportedError(
                f"the result of pathway {kernel.name} depends on the order of its synapses, so it cannot be trained",
                None,
                "Only add to variables of the connected groups (`v_post += w`), and do not read there what the same code adds to.",
            )

    def _plan(self, kernel: Deliver, delays: Mapping[str, np.ndarray]) -> Plan:
        connection = self.connections[kernel.space]
        ends, n_source = connection.ends(kernel.side)
        steps = np.zeros(len(ends), np.int64) if kernel.delay is None else np.asarray(delays[kernel.delay], np.int64)
        steps = steps + late(self.program, kernel, kernel.events)
        distinct = np.unique(steps)[::-1]
        groups = [(int(d), None if len(distinct) == 1 else torch.from_numpy(steps == d)) for d in distinct]
        target = {index: torch.from_numpy(np.asarray(connection.ends(index)[0], np.int64)) for index in (Index.PRE, Index.POST)}
        n_pre, n_post = connection.n_pre, connection.n_post
        order = connection.pre.astype(np.int64) * n_post + connection.post
        full = len(order) == n_pre * n_post and bool((order == np.arange(n_pre * n_post)).all())
        constant = all(load.array in self.fixed for load in kernel.loads) and all(store.add for store in kernel.stores)
        return Plan(torch.from_numpy(np.asarray(ends, np.int64)), target, n_source, groups, full, constant)

    # ------------------------------------------------------------------------------------------------------------------------------------------ run
    def set_up(self, values: Values) -> dict[str, list[tuple[int, torch.Tensor]]]:
        """Compute what no step changes: the arrays of the set-up (into `values`) and the weight matrices of constant pathways."""
        for setup in self.program.setup:
            self._map(setup, values)
        matrices: dict[str, list[tuple[int, torch.Tensor]]] = {}
        for kernel in self.program.kernels:
            if isinstance(kernel, Deliver) and self._plans[kernel.name].constant:
                found = self._matrices(kernel, values)
                if found is not None:
                    matrices[kernel.name] = found
        return matrices

    def run(
        self,
        values: Values,
        past: dict[str, list[torch.Tensor]],
        tables: Mapping[str, torch.Tensor],
        first: int,
        steps: int,
        recorders: Mapping[str, Recorder],
        like: torch.Tensor,
    ) -> None:
        """Advance `steps` steps from number `first`; `values` and `past` hold the state before and after."""
        matrices = self.set_up(values)
        rows = {name: table.unbind(0) for name, table in tables.items()}
        for n in range(steps):
            if self._timed:
                values["clock.t_in_timesteps"] = torch.tensor([first + n], device=like.device)
                values["clock.t"] = (first + n) * values["clock.dt"]
            for kernel in self.program.kernels:
                match kernel:
                    case Map():
                        self._map(kernel, values)
                    case Deliver():
                        self._deliver(kernel, values, past, matrices)
                    case Record(name, array):
                        recorders[name].add(values[array])
                    case Table(name, array):
                        values[array] = rows[name][n]
            for name in self._past_needed:
                past[name] = [*past.get(name, []), values[name]][-self.memory :]

    def _map(self, kernel: Map, values: Values) -> None:
        arguments = [self._load(load, kernel.space, values) for load in kernel.loads]
        results = self._functions[kernel.name](*arguments)
        for store, result in zip(kernel.stores, results):
            if store.add or store.index not in (Index.SELF, Index.SHARED):
                raise UnsupportedError(f"a module cannot add into {store.array} from all elements of {kernel.space}")
            size = self.sizes[kernel.space] if store.index is Index.SELF else 1
            values[store.array] = result if result.shape[-1:] == (size,) else result.expand(*result.shape[:-1], size)

    def _load(self, load: Load, space: str, values: Values) -> torch.Tensor:
        value = values[load.array]
        if load.index in (Index.PRE, Index.POST):
            places = torch.from_numpy(np.asarray(self.connections[space].ends(load.index)[0], np.int64)).to(value.device)
            return value.index_select(-1, places)
        return value

    # ------------------------------------------------------------------------------------------------------------------------------------- delivery
    def _deliver(self, kernel: Deliver, values: Values, past: dict[str, list[torch.Tensor]], matrices: dict[str, list[tuple[int, torch.Tensor]]]) -> None:
        if kernel.name in matrices:
            store = kernel.stores[0]
            for delay, matrix in matrices[kernel.name]:
                event = self._event(kernel, delay, values, past)
                if event is not None:
                    values[store.array] = values[store.array] + event @ matrix
            return
        plan = self._plans[kernel.name]
        event = self._arriving(kernel, plan, values, past)
        if event is None:
            return
        results = self._functions[kernel.name](*(self._at_synapse(load, plan, values) for load in kernel.loads))
        for store, result in zip(kernel.stores, results):
            if store.add:
                amount = result * event if result.is_floating_point() else result.to(event.dtype) * event
                places = plan.target[store.index].to(event.device)
                empty = torch.zeros((*amount.shape[:-1], values[store.array].shape[-1]), dtype=amount.dtype, device=amount.device)
                values[store.array] = values[store.array] + empty.index_add(-1, places, amount.expand(*amount.shape[:-1], len(places)))
            else:
                values[store.array] = self._select(event, result, values[store.array])

    def _matrices(self, kernel: Deliver, values: Values) -> list[tuple[int, torch.Tensor]] | None:
        """The summed contribution of each source to each target, one matrix for each delay; None where that would be too large."""
        plan = self._plans[kernel.name]
        if len(kernel.stores) != 1 or kernel.stores[0].dtype is not DType.FLOAT:
            return None
        store = kernel.stores[0]
        n_target = self.connections[kernel.space].ends(store.index)[1]
        other_side = store.index is not kernel.side
        if plan.n_source * n_target > DENSE_LIMIT:
            return None
        amount = self._functions[kernel.name](*(self._at_synapse(load, plan, values) for load in kernel.loads))[0]
        amount = amount.expand(len(plan.source))
        matrices = []
        for delay, chosen in plan.delays:
            part = amount if chosen is None else torch.where(chosen.to(amount.device), amount, torch.zeros_like(amount))
            if plan.full and other_side:
                n_pre, n_post = self.connections[kernel.space].n_pre, self.connections[kernel.space].n_post
                matrix = part.reshape(n_pre, n_post)
                matrices.append((delay, matrix if kernel.side is Index.PRE else matrix.T))
                continue
            places = (plan.source * n_target + plan.target[store.index]).to(part.device)
            flat = torch.zeros(plan.n_source * n_target, dtype=part.dtype, device=part.device)
            matrices.append((delay, flat.index_add(0, places, part).reshape(plan.n_source, n_target)))
        return matrices

    def _event(self, kernel: Deliver, delay: int, values: Values, past: dict[str, list[torch.Tensor]]) -> torch.Tensor | None:
        """The events sent `delay` steps ago; None if there were none yet."""
        if delay == 0:
            return values[kernel.events]
        sent = past.get(kernel.events, [])
        return sent[-delay] if len(sent) >= delay else None

    def _arriving(self, kernel: Deliver, plan: Plan, values: Values, past: dict[str, list[torch.Tensor]]) -> torch.Tensor | None:
        """The event that arrives at each synapse."""
        total: torch.Tensor | None = None
        for delay, chosen in plan.delays:
            event = self._event(kernel, delay, values, past)
            if event is None:
                continue
            here = event.index_select(-1, plan.source.to(event.device))
            part = here if chosen is None else torch.where(chosen.to(here.device), here, torch.zeros_like(here))
            total = part if total is None else total + part
        return total

    def _at_synapse(self, load: Load, plan: Plan, values: Values) -> torch.Tensor:
        value = values[load.array]
        if load.index in (Index.PRE, Index.POST):
            return value.index_select(-1, plan.target[load.index].to(value.device))
        return value
