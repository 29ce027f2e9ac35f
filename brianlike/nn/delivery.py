"""One pathway on torch: what the events that arrive in a step do at its synapses and their neurons.

Where the amount that a synapse adds is constant, a step is a product of the events with a matrix, one for each delay; otherwise every synapse computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from codegen.expr import DType, Index
from codegen.ir import Deliver, Draw, Load, Store

from ..build import prelude
from ..simulate import Connection
from .delays import Shift, slope

Values = dict[str, torch.Tensor]
Past = Mapping[str, list[torch.Tensor]]
Matrices = list[tuple[int, torch.Tensor, torch.Tensor | None]]
"""For each delay, what each source adds to each target; and for learned delays what passes gradients to them (see `delays`)."""
DENSE_LIMIT = 2**26  # entries of a weight matrix; larger sparse pathways are summed synapse by synapse


class Places:
    """Where the synapses of one object begin and end, as tensors on any device."""

    def __init__(self, connection: Connection) -> None:
        self.n = {index: connection.ends(index)[1] for index in (Index.PRE, Index.POST)}
        self._ends = {index: torch.from_numpy(np.asarray(connection.ends(index)[0], np.int64)) for index in (Index.PRE, Index.POST)}
        self._moved: dict[tuple[Index, torch.device], torch.Tensor] = {}
        n_pre, n_post = self.n[Index.PRE], self.n[Index.POST]
        order = connection.pre.astype(np.int64) * n_post + connection.post
        self.full = len(order) == n_pre * n_post and bool((order == np.arange(n_pre * n_post)).all())
        """Whether every neuron reaches every other once, in the order of `connect()` without arguments."""

    def __len__(self) -> int:
        return len(self._ends[Index.PRE])

    def ends(self, index: Index, device: torch.device) -> torch.Tensor:
        """The neuron of each synapse on one side."""
        if (index, device) not in self._moved:
            self._moved[index, device] = self._ends[index].to(device)
        return self._moved[index, device]

    def gather(self, value: torch.Tensor, index: Index) -> torch.Tensor:
        """The value of each synapse's neuron."""
        return value.index_select(-1, self.ends(index, value.device))

    def scatter(self, value: torch.Tensor, index: Index) -> torch.Tensor:
        """The sum of the synapses' values for each neuron of one side."""
        value = value.expand(*value.shape[:-1], len(self))
        if self.full:
            matrix = value.unflatten(-1, (self.n[Index.PRE], self.n[Index.POST]))
            return matrix.sum(-2 if index is Index.POST else -1)
        empty = torch.zeros((*value.shape[:-1], self.n[index]), dtype=value.dtype, device=value.device)
        return empty.index_add(-1, self.ends(index, value.device), value)

    def overwrite(self, old: torch.Tensor, value: torch.Tensor, index: Index) -> torch.Tensor:
        """The neurons' values with those of their synapses in their place; of several synapses of one neuron, the last one counts."""
        last = torch.full((self.n[index],), -1, dtype=torch.int64).scatter_reduce(0, self._ends[index], torch.arange(len(self)), "amax").to(value.device)
        return torch.where(last >= 0, value.index_select(-1, last.clamp(min=0)), old)

    def multiply(self, event: torch.Tensor, amount: torch.Tensor, side: Index) -> torch.Tensor:
        """The sum of the synapses' amounts, each times the event of its neuron on one side, for each neuron of the other (full connectivity)."""
        matrix = amount.expand(*amount.shape[:-1], len(self)).unflatten(-1, (self.n[Index.PRE], self.n[Index.POST]))
        matrix = matrix if side is Index.PRE else matrix.transpose(-1, -2)
        return event @ matrix if matrix.dim() == 2 else (event.unsqueeze(-2) @ matrix).squeeze(-2)


class Delivery:
    """How a Deliver is carried out.

    Parameters
    ----------
    kernel, function : the pathway, and its body as a function of tensors.
    places : its synapses.
    steps : the delay of each synapse in steps.
    constant : whether what it adds is the same in every step.
    late : the steps after which an event without a delay arrives.
    learned : for learned delays, how gradients reach them.
    """

    def __init__(
        self,
        kernel: Deliver,
        function: Callable[..., tuple[torch.Tensor, ...]],
        places: Places,
        steps: np.ndarray,
        constant: bool,
        late: int = 0,
        learned: Shift | None = None,
    ) -> None:
        self.kernel, self.places, self.constant = kernel, places, constant
        self._function = function
        self._select = prelude("torch")["select"]
        distinct = np.unique(steps)[::-1]
        self.delays = [(int(d), None if len(distinct) == 1 else torch.from_numpy(steps == d)) for d in distinct]
        self._late, self._learned, self._shift = late, learned is not None, None if learned is None else learned.shift
        self._whole = places.full and len(distinct) == 1 and self._shift is None
        """Whether all synapses of a neuron receive its event at once, so that sums are products of matrices."""

    @property
    def longest(self) -> int:
        """The longest delay in steps."""
        return max((delay for delay, _ in self.delays), default=0)

    @property
    def memory(self) -> int:
        """For how many steps events are needed after the step in which they were sent."""
        return self.longest + self._learned

    def matrices(self, values: Values) -> Matrices | None:
        """The summed contribution of each source to each target, one matrix for each delay; None where there are none, or they would be too large."""
        kernel = self.kernel
        if not self.constant or len(kernel.stores) != 1 or kernel.stores[0].dtype is not DType.FLOAT:
            return None
        store = kernel.stores[0]
        n_source, n_target = self.places.n[kernel.side], self.places.n[store.index]
        if n_source * n_target > DENSE_LIMIT:
            return None
        amount = self.amounts(values)[0]
        slopes = None if self._shift is None else amount.detach() * self._shift
        return [(delay, self.matrix(self._part(amount, chosen), store), self._slope_matrix(slopes, chosen, store)) for delay, chosen in self.delays]

    def amounts(self, values: Values) -> tuple[torch.Tensor, ...]:
        """What each store adds for one event, for every synapse, where that is constant."""
        results = self._function(*(self._at_synapse(load, values) for load in self.kernel.loads))
        return tuple(result.expand(len(self.places)) for result in results)

    def _slope_matrix(self, slopes: torch.Tensor | None, chosen: torch.Tensor | None, store: Store) -> torch.Tensor | None:
        return None if slopes is None else self.matrix(self._part(slopes, chosen), store)

    def matrix(self, amount: torch.Tensor, store: Store) -> torch.Tensor:
        """The sum of the synapses' amounts, by source and target."""
        side, n = self.kernel.side, self.places.n
        if self.places.full and store.index is not side:
            matrix = amount.reshape(n[Index.PRE], n[Index.POST])
            return matrix if side is Index.PRE else matrix.T
        to = self.places.ends(side, amount.device) * n[store.index] + self.places.ends(store.index, amount.device)
        flat = torch.zeros(n[side] * n[store.index], dtype=amount.dtype, device=amount.device)
        return flat.index_add(0, to, amount).reshape(n[side], n[store.index])

    def run(self, values: Values, past: Past, matrices: Matrices | None, rows: Mapping[str, Any]) -> None:
        """Deliver what arrives in this step; `rows` has the functions of draws whose parameters change."""
        if matrices is None:
            self._run_synapses(values, past, rows)
            return
        target = self.kernel.stores[0].array
        for delay, matrix, slopes in matrices:
            event = self._event(delay, values, past)
            if event is not None:
                values[target] = values[target] + event @ matrix
            changed = None if slopes is None else self._slope(delay, values, past)
            if changed is not None and slopes is not None:  # adds 0
                values[target] = values[target] + changed @ slopes

    def _run_synapses(self, values: Values, past: Past, rows: Mapping[str, Any]) -> None:
        event = self._arriving(values, past)
        if event is None:
            return
        arguments = [self._at_synapse(load, values) for load in self.kernel.loads]
        arguments += [rows[f"{self.kernel.name}:{line.name}"] for line in self.kernel.body if isinstance(line, Draw)]
        results = self._function(*arguments)
        for store, result in zip(self.kernel.stores, results):
            if not store.add:
                values[store.array] = self._select(self._spread(event), result, values[store.array])
                continue
            amount = result if result.is_floating_point() else result.to(event.dtype)
            if self._whole and store.index is not self.kernel.side:
                total = self.places.multiply(event, amount, self.kernel.side)
            else:
                total = self.places.scatter(amount * self._spread(event), store.index)
            values[store.array] = values[store.array] + total

    def _spread(self, event: torch.Tensor) -> torch.Tensor:
        """What arrives, for each synapse."""
        return self.places.gather(event, self.kernel.side) if self._whole else event

    def _event(self, delay: int, values: Values, past: Past) -> torch.Tensor | None:
        """The events sent `delay` steps ago; None if there were none yet."""
        if delay == 0:
            return values[self.kernel.events]
        sent = past.get(self.kernel.events, [])
        return sent[-delay] if len(sent) >= delay else None

    def _slope(self, delay: int, values: Values, past: Past) -> torch.Tensor | None:
        """How what arrives changes with the delay, by step; None where nothing has been sent yet."""
        earliest = delay == self._late
        after = None if earliest else self._event(delay - 1, values, past)
        return slope(self._event(delay + 1, values, past), self._event(delay, values, past), after, earliest)

    def _arriving(self, values: Values, past: Past) -> torch.Tensor | None:
        """The event that arrives at each synapse, or (`_whole`) at all synapses of each neuron."""
        if self._whole:
            return self._event(self.delays[0][0], values, past)
        total: torch.Tensor | None = None
        for delay, chosen in self.delays:
            event = self._event(delay, values, past)
            if event is not None:
                part = self._part(self.places.gather(event, self.kernel.side), chosen)
                total = part if total is None else total + part
            changed = None if self._shift is None else self._slope(delay, values, past)
            if changed is not None and self._shift is not None:
                part = self._part(self.places.gather(changed, self.kernel.side) * self._shift, chosen)
                total = part if total is None else total + part
        return total

    @staticmethod
    def _part(value: torch.Tensor, chosen: torch.Tensor | None) -> torch.Tensor:
        return value if chosen is None else torch.where(chosen.to(value.device), value, torch.zeros_like(value))

    def _at_synapse(self, load: Load, values: Values) -> torch.Tensor:
        value = values[load.array]
        return self.places.gather(value, load.index) if load.index in (Index.PRE, Index.POST) else value
