"""What a module hands out: variables, spikes and margins at every step, or reductions of them over time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from ..groups import Group
from ..state import VariableOwner

Target = Group | tuple[VariableOwner, str]


@dataclass(frozen=True, slots=True, eq=False)
class Margin:
    """The distance to threshold (`left - right` of the comparison) of a group, at every step: shape (T, ..., N), in SI units."""

    group: Group


@dataclass(frozen=True, slots=True, eq=False)
class Reduction(ABC):
    """A value over time, made step by step: no array with a time axis is kept for it.

    Parameters
    ----------
    target : a group (its spikes) or a tuple of an object and the name of a variable
    """

    target: Target

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:  # noqa: B027  most take any target
        """Raise an error for a target of which the reduction makes no sense."""

    @abstractmethod
    def add(self, total: Any, value: torch.Tensor) -> Any:
        """The reduction with one more step; `total` (a tensor, or a tuple of them, each shaped as the value) is None in the first."""

    def finish(self, total: Any, steps: int) -> torch.Tensor:
        """The result after all steps."""
        result: torch.Tensor = total
        return result


class Count(Reduction):
    """The sum over time: of spikes, their number; shape (..., N)."""

    def add(self, total: Any, value: torch.Tensor) -> Any:
        return value if total is None else total + value


class Mean(Reduction):
    """The mean over time; shape (..., N)."""

    def add(self, total: Any, value: torch.Tensor) -> Any:
        return value if total is None else total + value

    def finish(self, total: Any, steps: int) -> torch.Tensor:
        result: torch.Tensor = total / steps
        return result


class Max(Reduction):
    """The maximum over time; shape (..., N). Steps that share it share its gradient equally, as in `torch.amax`."""

    def add(self, total: Any, value: torch.Tensor) -> Any:
        if total is None:
            return value, torch.ones_like(value)
        highest, count = total
        above, equal = value > highest, value == highest
        count = torch.where(above, 1.0, count + equal)
        shared = highest + torch.where(equal, value - highest, 0.0) / count  # the same number; its gradient is that of the mean of equals
        return torch.where(above, value, shared), count

    def finish(self, total: Any, steps: int) -> torch.Tensor:
        result: torch.Tensor = total[0]
        return result


class Last(Reduction):
    """The value of the last step; shape (..., N)."""

    def add(self, total: Any, value: torch.Tensor) -> Any:
        return value


class FirstSpike(Reduction):
    """The time of the first spike in seconds, from the beginning of the run; the length of the run for neurons that stay silent; shape (..., N).

    It is the number of steps before the first spike, `sum_t prod_(u <= t) (1 - s_u)`, times dt. Its gradient is that of this product: for a step before the
    first spike, how much sooner a spike there would be; at the first spike, how long it would take to the next one without it.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, torch
    >>> defaultclock.dt = 1*ms
    >>> cells = NeuronGroup(2, '''dv/dt = (J - v)/(10*ms) : 1
    ...                           J : 1 (input)''', threshold='v > 1', reset='v = 0', method='exact')
    >>> model = bnn.NetworkModule(Network(cells), record={'first': bnn.FirstSpike(cells)})
    >>> model(torch.tensor([[2.0, 0.5]]).expand(30, 2)).first
    tensor([0.0060, 0.0300])
    """

    def check(self) -> None:
        if not isinstance(self.target, Group):
            raise TypeError(f"FirstSpike takes a group, whose spikes it looks at, not {self.target!r}")

    def add(self, total: Any, value: torch.Tensor) -> Any:
        if total is None:
            return 1 - value, 1 - value
        silent, steps = total
        silent = silent * (1 - value)
        return silent, steps + silent

    def finish(self, total: Any, steps: int) -> torch.Tensor:
        result: torch.Tensor = total[1] * self.target.clock.dt_  # type: ignore[union-attr]
        return result


RecordSpec = Mapping[str, Target | Margin | Reduction]


@dataclass(slots=True)
class Recorder:
    """One entry of a record while the module runs."""

    reduction: Reduction | None
    values: list[torch.Tensor] = field(default_factory=list)
    total: Any = None

    def add(self, value: torch.Tensor) -> None:
        if self.reduction is None:
            self.values.append(value)
        else:
            self.total = self.reduction.add(self.total, value)

    def result(self, steps: int, empty: torch.Tensor) -> torch.Tensor:
        if self.reduction is not None:
            return empty if self.total is None else self.reduction.finish(self.total, steps)
        return torch.stack(self.values) if self.values else empty[None][:0]


def is_event(owner: VariableOwner, variable: str) -> bool:
    """Whether a variable says which elements had an event: a spike, or one of those in `events=`."""
    return variable == "_spike" or any(event.variable == variable for event in owner.model.events)


def parts(entry: Any) -> tuple[VariableOwner, str, Reduction | None]:
    """Object, variable (`_spike` for spikes, `_high` for events called high, `_margin` for the margin) and reduction of an entry of `record=`."""
    match entry:
        case Reduction(target) if not isinstance(target, Reduction):
            owner, variable, _ = parts(target)
            return owner, variable, entry
        case Margin(group):
            return group, "_margin", None
        case Group():
            return entry, "_spike", None
        case (VariableOwner() as owner, str(name)):
            is_own = owner.variable(name) is None and is_event(owner, f"_{name}")
            return owner, f"_{name}" if is_own else name, None
    raise TypeError(f"record= takes a group, (object, 'variable'), Margin, Count, Mean, Max, Last or FirstSpike, not {entry!r}")
