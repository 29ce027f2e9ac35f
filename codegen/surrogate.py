"""How a spike counts in gradients: surrogate derivatives of the step function, one dataclass each.

A shape is the derivative of a spike by the dimensionless distance `u = margin/width` from threshold, as printed in the paper that it comes from. `scale`
and `width` stand beside it and are never folded into it: the scale of a surrogate changes training more than its shape (Zenke & Vogels 2021).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, pi, sqrt
from typing import Protocol

from .errors import UnsupportedError
from .expr import ONE, Binary, Call, Compare, Expr, Negate, Number, Where, divide, multiply
from .ir import Fire


def _require_positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 < value < inf:
            raise ValueError(f"{owner}: {name} must be positive, got {value!r}")


class Shape(Protocol):
    """A derivative of the step function: even in `u`, positive at the threshold, finite everywhere."""

    def shape(self, u: Expr) -> Expr: ...


@dataclass(frozen=True, slots=True)
class SuperSpike:
    """`1/(1 + beta*|u|)**2`, peak 1: the derivative of a fast sigmoid, up to its sign (Zenke & Ganguli 2018, Neural Computation 30:1514)."""

    beta: float = 10.0

    def __post_init__(self) -> None:
        _require_positive("SuperSpike", beta=self.beta)

    def shape(self, u: Expr) -> Expr:
        distance = Binary("+", ONE, Binary("*", Number(float(self.beta)), _absolute(u)))
        return Binary("/", ONE, Binary("**", distance, Number(2)))


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """`s(k*u) * s(-k*u)` with `s(x) = 1/(1 + exp(-x))`, peak 1/4; `scale=k` makes it the derivative of `s(k*u)` (Zenke & Vogels 2021, Neural Comp. 33:899)."""

    slope: float = 10.0

    def __post_init__(self) -> None:
        _require_positive("Sigmoid", slope=self.slope)

    def shape(self, u: Expr) -> Expr:
        decay = Call("exp", (Binary("*", Number(-float(self.slope)), _absolute(u)),))  # exp(-|k u|) cannot overflow
        return Binary("/", decay, Binary("**", Binary("+", ONE, decay), Number(2)))


@dataclass(frozen=True, slots=True)
class ATan:
    """`alpha/2 / (1 + (pi/2*alpha*u)**2)`, peak alpha/2: the derivative of an arc tangent (Fang et al. 2021, ICCV, arXiv 2007.05785)."""

    alpha: float = 2.0

    def __post_init__(self) -> None:
        _require_positive("ATan", alpha=self.alpha)

    def shape(self, u: Expr) -> Expr:
        angle = Binary("*", Number(pi / 2 * self.alpha), u)
        return Binary("/", Number(self.alpha / 2), Binary("+", ONE, Binary("**", angle, Number(2))))


@dataclass(frozen=True, slots=True)
class Triangle:
    """`max(0, 1 - |u|)`, peak 1; `scale=0.3` is the dampening factor of the paper (Bellec et al. 2018, NeurIPS, arXiv 1803.09574)."""

    def shape(self, u: Expr) -> Expr:
        return Call("clip", (Binary("-", ONE, _absolute(u)), Number(0.0), ONE))


@dataclass(frozen=True, slots=True)
class Gaussian:
    """The normal density of `u` with standard deviation `sigma` (Yin, Corradi & Bohte 2020, ICONS, arXiv 2005.11633)."""

    sigma: float = 0.5

    def __post_init__(self) -> None:
        _require_positive("Gaussian", sigma=self.sigma)

    def shape(self, u: Expr) -> Expr:
        return _normal_density(u, 0.0, self.sigma)


@dataclass(frozen=True, slots=True)
class Boxcar:
    """1 for `|u| <= 1/2`, else 0: with `width=a` the rectangle of width a and area 1 (Wu et al. 2018, Frontiers in Neuroscience 12:331)."""

    def shape(self, u: Expr) -> Expr:
        return Where(Compare("<=", _absolute(u), Number(0.5)), ONE, Number(0.0))


@dataclass(frozen=True, slots=True)
class Exponential:
    """`exp(-beta*|u|)`, peak 1 (Shrestha & Orchard 2018, SLAYER, NeurIPS, arXiv 1810.08646)."""

    beta: float = 5.0

    def __post_init__(self) -> None:
        _require_positive("Exponential", beta=self.beta)

    def shape(self, u: Expr) -> Expr:
        return Call("exp", (Binary("*", Number(-float(self.beta)), _absolute(u)),))


@dataclass(frozen=True, slots=True)
class MultiGaussian:
    """`(1+h) N(u; 0, sigma) - h N(u; sigma, s*sigma) - h N(u; -sigma, s*sigma)`, the paper's `scale` being 0.5 (Yin, Corradi & Bohte 2021, Nature
    Machine Intelligence 3:905). The only shape here with negative flanks, which is its purpose."""

    sigma: float = 0.5
    h: float = 0.15
    s: float = 6.0

    def __post_init__(self) -> None:
        _require_positive("MultiGaussian", sigma=self.sigma, s=self.s)
        if not (isfinite(self.h) and self.h >= 0):
            raise ValueError(f"MultiGaussian: h must be a number of at least 0, got {self.h!r}")

    def shape(self, u: Expr) -> Expr:
        wide = self.s * self.sigma
        centre = Binary("*", Number(1.0 + self.h), _normal_density(u, 0.0, self.sigma))
        flanks = Binary("+", _normal_density(u, self.sigma, wide), _normal_density(u, -self.sigma, wide))
        return Binary("-", centre, Binary("*", Number(float(self.h)), flanks))


SURROGATES: dict[str, type[Shape]] = {
    shape.__name__: shape for shape in (SuperSpike, Sigmoid, ATan, Triangle, Gaussian, Boxcar, Exponential, MultiGaussian)
}


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Spikes have the derivative `scale/width * shape(margin/width)` by the threshold's margin.

    Parameters
    ----------
    shape : one of SURROGATES.
    width : in SI units of the margin; None where the margin has no unit, and then 1.
    detach_reset : through which resets no gradient reaches the spike: None for those of variables on the threshold's left side, True for all,
        False for none, or the names of the variables.
    """

    shape: Shape = SuperSpike()
    width: float | None = None
    scale: float = 1.0
    detach_reset: bool | frozenset[str] | None = None

    def __post_init__(self) -> None:
        _require_positive("Surrogate", scale=self.scale, width=1.0 if self.width is None else self.width)


@dataclass(frozen=True, slots=True)
class TrueGradient:
    """The derivative of a spike as it is: 0. Gradients flow through everything else."""


Gradient = Surrogate | TrueGradient


def derivative(gradient: Gradient, margin: Expr, width: Expr | None = None) -> Expr:
    """The derivative of a spike by its margin, `scale/width * shape(margin/width)`; `width` stands in for that of the gradient."""
    match gradient:
        case TrueGradient():
            return Number(0.0)
        case Surrogate(shape, None, scale) if width is None:
            return multiply(Number(scale), shape.shape(margin))
        case Surrogate(shape, number, scale) if width is None and number is not None:
            return multiply(Number(scale / number), shape.shape(divide(margin, Number(float(number)))))
        case Surrogate(shape, _, scale) if width is not None:
            return multiply(divide(Number(scale), width), shape.shape(divide(margin, width)))
    raise TypeError(f"not a gradient: {gradient!r}")


Gradients = Gradient | Mapping[str, Gradient]


def gradient_of(gradient: Gradients, space: str) -> Gradient:
    """The gradient of the spikes of one group; those of a group that is not among several have none."""
    return gradient.get(space, TrueGradient()) if isinstance(gradient, Mapping) else gradient


def slope(gradient: Gradient, fire: Fire, margin: Expr) -> Expr:
    """The derivative of a spike by its margin."""
    return ONE if fire.chance else derivative(gradient, margin)


def margin_of(fire: Fire) -> Expr:
    """The margin of a threshold; a surrogate gradient cannot do without."""
    if fire.margin is None:
        raise UnsupportedError(
            "a surrogate gradient needs a threshold that is one comparison, such as `v > v_th`",
            fire.condition.span,
            "Write the threshold as one comparison, or train with gradient=TrueGradient().",
        )
    return fire.margin


def _absolute(u: Expr) -> Expr:
    return Call("abs", (u,))


def _normal_density(u: Expr, mean: float, sigma: float) -> Expr:
    z = divide(u if mean == 0 else Binary("-", u, Number(mean)), Number(sigma))
    exponent = Binary("*", Number(0.5), Binary("**", z, Number(2)))
    return Binary("*", Number(1 / (sigma * sqrt(2 * pi))), Call("exp", (Negate(exponent),)))
