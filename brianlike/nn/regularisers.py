"""Costs on spike counts, made from what `Count(group)` records: no raster is kept for them.

All take counts of shape (..., N), average over the batch first (spikes per sample of each neuron) and then over neurons, so that their strength depends on
neither batch size nor network size. SpyTorch's sums over a batch of B samples and N neurons are `B*N*spikes_l1` and `B**2*spikes_l2`.
"""

from __future__ import annotations

import torch


def _per_neuron(count: torch.Tensor) -> torch.Tensor:
    """Spikes per sample of each neuron."""
    return count.flatten(0, -2).mean(0) if count.dim() > 1 else count


def spikes_l1(count: torch.Tensor) -> torch.Tensor:
    """Spikes per neuron and sample: every spike costs the same.

    Parameters
    ----------
    count : tensor, shape (..., N)
        As `Count(group)` records it.

    Notes
    -----
    Source: F. Zenke, SpyTorch (2019), tutorial 3.

    Examples
    --------
    >>> spikes_l1(torch.tensor([[0.0, 2.0], [0.0, 4.0]]))
    tensor(1.5000)
    """
    return _per_neuron(count).mean()


def spikes_l2(count: torch.Tensor) -> torch.Tensor:
    """The square of each neuron's spikes per sample, averaged over neurons: activity is spread over neurons.

    Parameters
    ----------
    count : tensor, shape (..., N)

    Notes
    -----
    Source: F. Zenke, SpyTorch (2019), tutorial 3.

    Examples
    --------
    >>> spikes_l2(torch.tensor([[0.0, 2.0], [0.0, 4.0]]))
    tensor(4.5000)
    """
    return _per_neuron(count).square().mean()


def spikes_above(count: torch.Tensor, limit: float) -> torch.Tensor:
    """The squared excess of each neuron's spikes per sample over a limit: nothing is changed below it.

    Parameters
    ----------
    count : tensor, shape (..., N)
    limit : float
        Spikes per sample.

    Notes
    -----
    Source: N. Perez-Nieves, V. C. H. Leung, P. L. Dragotti and D. F. M. Goodman (2021), Neural heterogeneity promotes robust learning, Nature
    Communications 12:5791.

    Examples
    --------
    >>> spikes_above(torch.tensor([[0.0, 2.0], [0.0, 4.0]]), limit=1)
    tensor(2.)
    """
    return torch.relu(_per_neuron(count) - limit).square().mean()


def spikes_below(count: torch.Tensor, limit: float) -> torch.Tensor:
    """The squared lack of each neuron's spikes per sample under a limit: silent neurons, which have small gradients, are woken up.

    Parameters
    ----------
    count : tensor, shape (..., N)
    limit : float
        Spikes per sample.

    Notes
    -----
    Source: as for `spikes_above`.

    Examples
    --------
    >>> spikes_below(torch.tensor([[0.0, 2.0], [0.0, 4.0]]), limit=1)
    tensor(0.5000)
    """
    return torch.relu(limit - _per_neuron(count)).square().mean()
