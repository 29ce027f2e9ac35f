"""One Map on torch: what the elements of a space, or the synapses of an object, compute in a step.

All that does not change from step to step is worked out once: small networks spend much of their time between two operations of torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from codegen.expr import Index
from codegen.ir import Draw, Map, Store

from .delivery import Places, Values

SIDES = (Index.PRE, Index.POST)


class Elements:
    """How a Map is carried out.

    Parameters
    ----------
    kernel, function : the Map, and its body as a function of tensors.
    size : number of elements.
    places : where synapses begin and end, if the elements are synapses.
    """

    def __init__(self, kernel: Map, function: Callable[..., tuple[torch.Tensor, ...]], size: int, places: Places | None) -> None:
        self._function, self._places = function, places
        self._loads = [(load.array, load.index if load.index in SIDES else None) for load in kernel.loads]
        self._draws = [f"{kernel.name}:{line.name}" for line in kernel.body if isinstance(line, Draw)]
        self._stores = [(store.array, 1 if store.index is Index.SHARED and not store.add else size, _special(store)) for store in kernel.stores]

    @property
    def reads(self) -> tuple[str, ...]:
        """The arrays that it loads."""
        return tuple(array for array, _ in self._loads)

    @property
    def writes(self) -> tuple[str, ...]:
        """The arrays that it stores."""
        return tuple(array for array, _, _ in self._stores)

    def run(self, values: Values, rows: Mapping[str, Any]) -> None:
        """Compute the step, with one row of each draw."""
        arguments = [values[array] if side is None else self._gathered(values[array], side) for array, side in self._loads]
        for name in self._draws:
            arguments.append(rows[name])
        for (array, size, special), result in zip(self._stores, self._function(*arguments)):
            full = result if result.dim() and result.shape[-1] == size else result.expand(*result.shape[:-1], size)
            values[array] = full if special is None else self._merged(special, full, values[array])

    def _gathered(self, value: torch.Tensor, side: Index) -> torch.Tensor:
        assert self._places is not None
        return self._places.gather(value, side)

    def _merged(self, store: Store, value: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        """What an array becomes by results that are added to it, or that are those of synapses."""
        if store.index in SIDES:
            assert self._places is not None
            return old + self._places.scatter(value, store.index) if store.add else self._places.overwrite(old, value, store.index)
        return old + (value.sum(-1, keepdim=True) if store.index is Index.SHARED else value)


def _special(store: Store) -> Store | None:
    """A store that does more than to replace the array."""
    return store if store.add or store.index in SIDES else None
