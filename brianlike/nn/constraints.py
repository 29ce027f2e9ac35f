"""Where learned values may lie: bounds, signs and masks, kept by a transform of the parameter or by moving it back after a step of the optimiser."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn


class Constraint(Protocol):
    """A parametrization of torch: from the parameter that the optimiser changes to the value, and back."""

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        """The value of the parameter."""

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        """A parameter that has this value."""


class Identity(nn.Module):
    """The value is the parameter."""

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return raw

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        return value


class Between(nn.Module):
    """`low + (high - low)*sigmoid(raw)`."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return self.low + (self.high - self.low) * torch.sigmoid(raw)

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        return torch.logit((value - self.low) / (self.high - self.low))


class Beyond(nn.Module):
    """`edge + softplus(raw)`, or `edge - softplus(raw)` for an upper bound."""

    def __init__(self, edge: float, sign: float) -> None:
        super().__init__()
        self.edge, self.sign = edge, sign

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return self.edge + self.sign * -nn.functional.logsigmoid(-raw)  # torch's softplus is off by 2e-9 beyond 20

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        distance = (value - self.edge) * self.sign
        return distance + torch.log(-torch.expm1(-distance))


class Clamped(nn.Module):
    """The parameter itself, from `low` to `high`; outside, the nearest of the two, with the gradient of the parameter, so that it finds back.

    `clamp_` moves the parameter inside: projected gradient descent, if it is called after every step of the optimiser.
    """

    def __init__(self, low: float | None, high: float | None) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        inside = raw.detach().clamp(self.low, self.high)
        return torch.where(inside == raw, raw, inside + (raw - raw.detach()))

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        return value

    def clamp_(self, raw: torch.Tensor) -> None:
        """Move the parameter inside its bounds."""
        raw.clamp_(self.low, self.high)


class Signed(nn.Module):
    """`sign*magnitude`: the sign is fixed, the magnitude is learned under a constraint of its own."""

    sign: torch.Tensor

    def __init__(self, sign: torch.Tensor, magnitude: nn.Module) -> None:
        super().__init__()
        self.register_buffer("sign", sign, persistent=False)
        self.magnitude = magnitude

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.sign * self.magnitude(raw)
        return value

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        raw: torch.Tensor = self.magnitude.right_inverse(value * self.sign)
        return raw

    def clamp_(self, raw: torch.Tensor) -> None:
        """Move the magnitude inside its bounds."""
        if isinstance(self.magnitude, Clamped):
            self.magnitude.clamp_(raw)


class Masked(nn.Module):
    """0 where the mask is False: such a value does not change and passes no gradient, whatever the parameter behind it is."""

    mask: torch.Tensor

    def __init__(self, mask: torch.Tensor, inside: float) -> None:
        super().__init__()
        self.register_buffer("mask", mask)
        self.inside = inside  # a value that every constraint accepts

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return torch.where(self.mask, value, torch.zeros_like(value))

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        return torch.where(self.mask, value, torch.full_like(value, self.inside))


def constraint(low: float | None, high: float | None, transform: bool) -> nn.Module:
    """What keeps a value between two bounds (None: none)."""
    if low is None and high is None:
        return Identity()
    if not transform:
        return Clamped(low, high)
    if low is not None and high is not None:
        return Between(low, high)
    return Beyond(low, 1.0) if low is not None else Beyond(high, -1.0)  # type: ignore[arg-type]
