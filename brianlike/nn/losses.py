"""Losses on spike times and spike trains. On potentials and counts, torch's own (`cross_entropy`, `mse_loss`) are losses already."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from ..clocks import defaultclock, seconds


def first_spike_time(spikes: torch.Tensor, dt: Any = None) -> torch.Tensor:
    """The time of the first spike (s), or the duration where there is none: what `FirstSpike` records, from spikes of shape (T, ...).

    Parameters
    ----------
    spikes : tensor, shape (T, ..., N)
    dt : Quantity, optional
        Step (s); that of the default clock unless given.

    Examples
    --------
    >>> import torch
    >>> from brianlike import ms
    >>> first_spike_time(torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), dt=1*ms)
    tensor([0.0030, 0.0010])
    """
    step = defaultclock.dt_ if dt is None else seconds(dt, "dt")
    return torch.cumprod(1 - spikes, 0).sum(0) * step


def spike_time_cross_entropy(times: torch.Tensor, labels: torch.Tensor, scale: Any, early: float = 0.0, early_scale: Any = None) -> torch.Tensor:
    """The neuron of the label shall spike first: cross-entropy of `-time/scale`, and a cost on late spikes of the label's neuron.

    Parameters
    ----------
    times : tensor, shape (B, N)
        First spike times in seconds.
    labels : tensor of int, shape (B,)
    scale : Quantity
        By how much earlier (s) a spike must be to count; a fraction of the synaptic time constant.
    early : float
        Weight of the cost `exp(time/early_scale) - 1` on the time of the label's neuron.
    early_scale : Quantity, optional
        By default `scale`.

    Notes
    -----
    Source: J. Goeltz, L. Kriener et al. (2021), Fast and energy-efficient neuromorphic deep learning with first-spike times, Nature Machine Intelligence
    3:823; there scale is 0.2 and early_scale 1 synaptic time constant, and early is 0.005.

    Examples
    --------
    >>> import torch
    >>> from brianlike import ms
    >>> times = torch.tensor([[0.002, 0.008]])
    >>> float(spike_time_cross_entropy(times, torch.tensor([0]), 2*ms)) < float(spike_time_cross_entropy(times, torch.tensor([1]), 2*ms))
    True
    """
    width = seconds(scale, "scale")
    loss: torch.Tensor = functional.cross_entropy(-times / width, labels)
    if early:
        right = times.gather(-1, labels.unsqueeze(-1))
        loss = loss + early * torch.expm1(right / (width if early_scale is None else seconds(early_scale, "early_scale"))).mean()
    return loss


def relative_latency(times: torch.Tensor, labels: torch.Tensor, margin: Any) -> torch.Tensor:
    """The neuron of the label shall spike first, the others at least `margin` later: squared distance to such times, in margins.

    The target of the label's neuron is the earliest time of all; that of a neuron which spikes less than `margin` after it is this time plus `margin`; others
    are right already.

    Parameters
    ----------
    times : tensor, shape (B, N)
        First spike times in seconds.
    labels : tensor of int, shape (B,)
    margin : Quantity
        In seconds.

    Notes
    -----
    Source of the targets: S. R. Kheradpisheh and T. Masquelier (2020), Temporal backpropagation for spiking neural networks with one spike per neuron,
    International Journal of Neural Systems 30:2050027.

    Examples
    --------
    >>> import torch
    >>> from brianlike import ms
    >>> relative_latency(torch.tensor([[0.002, 0.010]]), torch.tensor([0]), 3*ms)
    tensor(0.)
    >>> relative_latency(torch.tensor([[0.002, 0.003]]), torch.tensor([0]), 2*ms)  # the second is half a margin too early
    tensor(0.1250)
    """
    gap = seconds(margin, "margin")
    with torch.no_grad():
        first = times.amin(-1, keepdim=True)
        label = functional.one_hot(labels, times.shape[-1]).bool()
        target = torch.where(label, first, torch.where(times < first + gap, first + gap, times))
    return ((times - target) / gap).square().mean()


def van_rossum(spikes: torch.Tensor, target: torch.Tensor, tau: Any, dt: Any = None) -> torch.Tensor:
    """The squared van Rossum distance between spike trains: one spike more or less, far from others, is 1/2.

    Both trains are filtered by an exponential of time constant tau; the integral of the squared difference over all time, divided by tau, is exact for spikes
    on the grid. Gradients reach `spikes` (and `target`). For analysis on lists of spikes, elephant has this and the Victor-Purpura distance.

    Parameters
    ----------
    spikes, target : tensors of shape (T, ..., N)
    tau : Quantity
        Time constant (s): how far apart two spikes are that count as different.
    dt : Quantity, optional
        Step (s); that of the default clock unless given.

    Returns
    -------
    tensor, shape (..., N)

    Notes
    -----
    Source: M. C. W. van Rossum (2001), A novel spike distance, Neural Computation 13:751.

    Examples
    --------
    >>> import torch
    >>> from brianlike import ms
    >>> one, none = torch.zeros(100, 1), torch.zeros(100, 1)
    >>> one[30] = 1
    >>> van_rossum(one, none, tau=10*ms, dt=1*ms)
    tensor([0.5000])
    """
    step = defaultclock.dt_ if dt is None else seconds(dt, "dt")
    decay = torch.exp(torch.tensor(-step / seconds(tau, "tau"), dtype=torch.float64)).to(spikes)
    difference = spikes - target
    trace = torch.zeros_like(difference[0])
    total = trace
    for row in difference:
        trace = trace * decay + row
        total = total + trace.square()
    return 0.5 * (total * (1 - decay.square()) + trace.square() * decay.square())
