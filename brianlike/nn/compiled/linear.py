"""Linear pathways as matrices from sources to targets, one for each delay: dense where most pairs are connected, else in compressed rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from codegen.outside import Arrivals

from ..delivery import Delivery, Values

FILLED = 0.25  # of the pairs are connected, from which on a matrix is dense
DENSE, SPARSE, ROW = 0.25, 1.5, 4
"""What an event costs a target of a dense matrix, a synapse of a sparse one, and a row of that, if it costs 1 a synapse that reaches a window on time."""


@dataclass(frozen=True, eq=False)
class Part:
    """The synapses of a linear pathway that share one delay.

    Attributes
    ----------
    name : of the arrivals, and the number of the part.
    arrivals : what the pathway adds to.
    delivery : the torch engine's, which computes the amounts.
    delay : after how many steps an event arrives.
    n_source, n_target : the shape of the matrix.
    chosen : the synapses of a sparse part in the order of its rows (all of them: None); `row` and `target` are its structure.
    picked : which synapses a dense part holds; None for all.
    """

    name: str
    arrivals: Arrivals
    delivery: Delivery
    delay: int
    n_source: int
    n_target: int
    dense: bool
    chosen: torch.Tensor | None = None
    picked: torch.Tensor | None = None
    row: np.ndarray | None = None
    target: np.ndarray | None = None

    def amounts(self, values: Values) -> torch.Tensor:
        """What the operator is given: a matrix (sources, targets), or the amounts of the synapses in the order of the rows."""
        assert self.arrivals.store is not None
        amount = self.delivery.amounts(values)[self.arrivals.store]
        if not self.dense:
            return amount if self.chosen is None else amount[self.chosen]
        if self.picked is not None:
            amount = torch.where(self.picked, amount, torch.zeros_like(amount))
        return self.delivery.matrix(amount, self.arrivals.pathway.stores[self.arrivals.store])


def parts_of(arrivals: Arrivals, delivery: Delivery) -> list[Part]:
    """The parts of a linear pathway, the longest delay first."""
    assert arrivals.store is not None
    side, store = arrivals.pathway.side, arrivals.pathway.stores[arrivals.store]
    places = delivery.places
    n_source, n_target = places.n[side], places.n[store.index]
    cpu = torch.device("cpu")
    sources, targets = places.ends(side, cpu).numpy(), places.ends(store.index, cpu).numpy()
    found = []
    for number, (delay, picked) in enumerate(delivery.delays):
        synapses = np.arange(len(sources)) if picked is None else np.flatnonzero(picked.numpy())
        name = f"{arrivals.name}:{number}"
        common = (name, arrivals, delivery, delay, n_source, n_target)
        if len(synapses) >= FILLED * n_source * n_target:
            found.append(Part(*common, True, picked=picked))
            continue
        row, order, target = rows_of(sources[synapses], targets[synapses], n_source)
        chosen = synapses if order is None else synapses[order]
        whole = order is None and len(synapses) == len(sources)
        found.append(Part(*common, False, None if whole else torch.from_numpy(chosen), None, row, target))
    return found


def takes_longer(parts: Sequence[Part]) -> bool:
    """Whether parts by delay cost more than one pass over the synapses of a source, whatever their delays (see `delayed.py`)."""
    synapses, cost = 0, 0.0
    for part in parts:
        count = part.n_source * part.n_target if part.target is None else len(part.target)
        count = int(part.picked.sum()) if part.picked is not None else count
        synapses += count
        cost += DENSE * part.n_target * part.n_source if part.dense else SPARSE * count + ROW * part.n_source
    return len(parts) > 1 and cost > synapses


def rows_of(sources: np.ndarray, targets: np.ndarray, n_source: int) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Synapses by source: where those of each begin, their order (None: as they are), and their targets."""
    order = np.argsort(sources, kind="stable").astype(np.int64)
    row = np.zeros(n_source + 1, np.int64)
    np.cumsum(np.bincount(sources, minlength=n_source), out=row[1:])
    same = bool((order == np.arange(len(order))).all())
    return row, None if same else order, targets[order].astype(np.int32)


def memory_of(parts: Sequence[Part], events: str) -> int:
    """How many steps back the events of an array are needed."""
    return max((part.delay for part in parts if part.arrivals.pathway.events == events), default=0)
