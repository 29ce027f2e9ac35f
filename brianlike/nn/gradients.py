"""How spikes count in gradients, with units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from codegen import surrogate
from codegen.check import expression_type
from codegen.dims import DIMENSIONLESS, unit_name
from codegen.errors import UnitError
from codegen.expr import Compare
from codegen.ir import Model
from codegen.lower import Detach, by_chance
from codegen.surrogate import Shape, SuperSpike
from codegen.surrogate import TrueGradient as TrueGradient

from ..groups import Group
from ..units import asarray_si, get_dimensions


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A spike has the derivative `scale/width * shape(margin/width)` by its margin, the signed distance to threshold (Neftci et al. 2019).

    Parameters
    ----------
    shape : SuperSpike, Sigmoid, ATan, Triangle, Gaussian, Boxcar, Exponential or MultiGaussian
        The derivative as its paper writes it; shape and scale are never folded together.
    width : Quantity, optional
        In the units of the margin (`v - v_th`); required if that has units, else 1.
    scale : float
        Factor of the derivative; a hyper-parameter that matters (Zenke & Vogels 2021).
    detach_reset : None, bool or set of str
        Through which resets no gradient reaches the spike: None for those of variables on the threshold's left side, True for all, False for none, or
        the names of the variables.

    Examples
    --------
    >>> import brianlike.nn as bnn
    >>> bnn.Surrogate(bnn.SuperSpike(beta=10)).scale
    1.0
    """

    shape: Shape = SuperSpike()
    width: Any = None
    scale: float = 1.0
    detach_reset: bool | frozenset[str] | None = None

    def __post_init__(self) -> None:
        if not callable(getattr(self.shape, "shape", None)):
            raise TypeError(f"Surrogate takes a shape such as SuperSpike(beta=10), not {self.shape!r}")
        if isinstance(self.detach_reset, set | list | tuple):
            object.__setattr__(self, "detach_reset", frozenset(self.detach_reset))
        self.in_si()

    def in_si(self) -> surrogate.Surrogate:
        """The same in SI numbers, as the compiler takes it."""
        width = None if self.width is None else float(asarray_si(self.width))
        return surrogate.Surrogate(self.shape, width, self.scale, self.detach_reset)


Gradient = Surrogate | TrueGradient
Gradients = Gradient | Mapping[Group, Gradient]


def compiler_gradient(gradient: Gradients) -> surrogate.Gradients:
    """The gradient as the compiler takes it."""
    if isinstance(gradient, Mapping):
        return {group.name: _compiled(one) for group, one in gradient.items()}
    return _compiled(gradient)


def _compiled(gradient: Gradient) -> surrogate.Gradient:
    if isinstance(gradient, Surrogate):
        return gradient.in_si()
    if isinstance(gradient, TrueGradient):
        return gradient
    raise TypeError(f"gradient= takes Surrogate(...) or TrueGradient(), not {gradient!r}")


def detach_of(gradient: Gradients) -> Detach | dict[str, Detach]:
    """Which resets keep their gradient, where that differs by the name of the group."""
    if isinstance(gradient, Mapping):
        return {group.name: _detach(one) for group, one in gradient.items()}
    return _detach(gradient)


def _detach(gradient: Gradient) -> Detach:
    return gradient.detach_reset if isinstance(gradient, Surrogate) else None


def check_width(gradient: Gradients, models: Mapping[str, Model]) -> None:
    """Every group has a gradient, and a margin with units a width with the same units."""
    if not isinstance(gradient, Mapping):
        _check_width(gradient, models.values())
        return
    given = {group.name: one for group, one in gradient.items()}
    for name, model in models.items():
        if name not in given and any(not by_chance(event.condition) for event in model.events):
            raise ValueError(f"gradient= has one for each of {', '.join(given) or 'no group'}, but none for {name!r}, which has a threshold, too")
        _check_width(given.get(name, TrueGradient()), [model])


def _check_width(gradient: Gradient, models: Iterable[Model]) -> None:
    if not isinstance(gradient, Surrogate):
        return
    given = None if gradient.width is None else get_dimensions(gradient.width)
    for model in models:
        for event in model.events:
            if not isinstance(event.condition, Compare) or by_chance(event.condition):
                continue
            dims, _ = expression_type(event.condition.left, model)
            if given is None and dims != DIMENSIONLESS:
                raise UnitError(
                    f"the threshold of {model.name} is in {unit_name(dims)}, so the surrogate needs a width in {unit_name(dims)}",
                    event.condition.span,
                    f"Give the distance over which a spike counts, such as Surrogate(SuperSpike(), width=10*m{unit_name(dims)}).",
                )
            if given is not None and dims != given:
                raise UnitError(
                    f"the surrogate's width is in {unit_name(given)}, but the threshold of {model.name} is in {unit_name(dims)}",
                    event.condition.span,
                    "Give width= the unit of the threshold.",
                )
