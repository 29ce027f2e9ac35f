"""Codes that turn numbers into spikes, as torch layers; `brianlike.encoders` has the same on numpy arrays."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..clocks import defaultclock, seconds


class LatencyEncoder(nn.Module):
    """One spike for each intensity above a threshold, the stronger the sooner: at `tau*log(x/(x - threshold))`.

    Parameters
    ----------
    steps : int
        Length of the result; later spikes are left out.
    tau : Quantity
        Time constant (s).
    threshold : float
        Weaker inputs stay silent.
    dt : Quantity, optional
        Step (s); that of the default clock unless given.

    Notes
    -----
    `forward` takes intensities of shape (..., N), from 0 to 1, and gives spikes of shape (steps, ..., N), as `brianlike.encoders.latency` does.

    Examples
    --------
    >>> from brianlike import ms
    >>> import torch
    >>> LatencyEncoder(20, 10*ms, dt=1*ms)(torch.tensor([1.0, 0.5, 0.1])).nonzero()
    tensor([[2, 0],
            [5, 1]])
    """

    def __init__(self, steps: int, tau: Any, threshold: float = 0.2, dt: Any = None) -> None:
        super().__init__()
        self.steps, self.threshold = steps, threshold
        self.ratio = seconds(tau, "tau") / (defaultclock.dt_ if dt is None else seconds(dt, "dt"))

    def forward(self, intensity: torch.Tensor) -> torch.Tensor:
        x = intensity.double()
        when = torch.floor(torch.where(x > self.threshold, self.ratio * torch.log(x / (x - self.threshold)), torch.inf) + 1e-9)
        within = when < self.steps
        spikes = torch.zeros((self.steps, *x.shape), dtype=intensity.dtype, device=x.device)
        return spikes.scatter_(0, torch.where(within, when, 0).long().unsqueeze(0), within.to(spikes.dtype).unsqueeze(0))


class PoissonEncoder(nn.Module):
    """Random spikes: in each step one with the probability `rate*dt`.

    Parameters
    ----------
    steps : int, optional
        Length of the result; not needed where rates have a time axis already.
    dt : Quantity, optional
        Step (s); that of the default clock unless given.
    generator : torch.Generator, optional
        Of the random numbers; torch's own unless given.

    Notes
    -----
    `forward` takes rates in hertz: with `steps`, of shape (..., N); without, of shape (T, ..., N). Rates beyond 1/dt give a spike in every step.

    Examples
    --------
    >>> from brianlike import ms
    >>> import torch
    >>> spikes = PoissonEncoder(100, dt=1*ms)(torch.full((2, 1000), 50.0))
    >>> spikes.shape, 0.045 < float(spikes.mean()) < 0.055
    (torch.Size([100, 2, 1000]), True)
    """

    def __init__(self, steps: int | None = None, dt: Any = None, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.steps, self.generator = steps, generator
        self.dt = defaultclock.dt_ if dt is None else seconds(dt, "dt")

    def forward(self, rates: torch.Tensor) -> torch.Tensor:
        probability = (rates * self.dt).clamp(0, 1)
        if self.steps is not None:
            probability = probability.expand(self.steps, *rates.shape)
        return torch.bernoulli(probability, generator=self.generator)


class LevelCrossingEncoder(nn.Module):
    """Spikes when a signal has risen (first half of the channels) or fallen (second half) by a whole level since the last one: delta modulation.

    Parameters
    ----------
    step : float
        Height of a level, in the unit of the signal.
    graded : bool
        Whether an event has the number of levels that were crossed in its step as its size, instead of 1.

    Notes
    -----
    `forward` takes signals of shape (T, ..., N) and gives events of shape (T, ..., 2*N), as `brianlike.encoders.level_crossing` does.

    Examples
    --------
    >>> import torch
    >>> LevelCrossingEncoder(0.5)(torch.tensor([[0.0], [0.6], [1.1], [1.0], [-0.2]]))
    tensor([[0., 0.],
            [1., 0.],
            [1., 0.],
            [0., 0.],
            [0., 1.]])
    """

    def __init__(self, step: float, graded: bool = False) -> None:
        super().__init__()
        if not step > 0:
            raise ValueError(f"a level must have a height above 0, not {step!r}")
        self.step, self.graded = step, graded

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        values = signal.detach().double()
        level = torch.zeros_like(values[0])
        rows = []
        for row in values:
            away = (row - values[0]) / self.step - level
            crossed = torch.trunc(away + torch.sign(away) * 1e-9)
            level = level + crossed
            crossed = crossed if self.graded else torch.sign(crossed)
            rows.append(torch.cat([crossed.clamp(min=0), crossed.clamp(max=0).abs()], -1))
        return torch.stack(rows).to(signal.dtype)


class CurrentEncoder(nn.Module):
    """Each channel as the current of several neurons, with a gain and a bias of their own that are learned: `gain*(x + bias)`.

    Feed it to a group with an `(input)` variable: the neurons make the spikes, and their equations are up to you.

    Parameters
    ----------
    channels, copies : int
        Channel n reaches the neurons from `n*copies` to `(n + 1)*copies - 1`.
    gain, bias : float
        Standard deviations of the initial values, which are normal with mean 0.
    hold : int
        For how many steps each value is held.

    Notes
    -----
    `forward` takes signals of shape (T, ..., channels) and gives currents of shape (T*hold, ..., channels*copies). Source: F. Zenke, SpyTorch (2019),
    tutorial 5.

    Examples
    --------
    >>> import torch
    >>> CurrentEncoder(4, 32, hold=2)(torch.zeros(76, 10, 4)).shape
    torch.Size([152, 10, 128])
    """

    def __init__(self, channels: int, copies: int, gain: float = 1.0, bias: float = 1.0, hold: int = 1) -> None:
        super().__init__()
        self.copies, self.hold = copies, hold
        self.gain = nn.Parameter(gain * torch.randn(channels * copies))
        self.bias = nn.Parameter(bias * torch.randn(channels * copies))

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        held = signal.repeat_interleave(self.hold, 0).repeat_interleave(self.copies, -1)
        return self.gain * (held + self.bias)
