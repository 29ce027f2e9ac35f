"""torch's own layers between layers of neurons."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class OverTime(nn.Module):
    """Layers of torch that know no time, applied to every step of (T, B, ...): time becomes a part of the batch.

    What a layer computes over the batch, such as the mean of BatchNorm, is computed over all steps of all samples.

    Parameters
    ----------
    *layers : torch.nn.Module
        One after the other, as in `torch.nn.Sequential`.
    batch_first : bool
        Whether tensors are (B, T, ...): it matters with `lengths` only.

    Examples
    --------
    >>> import brianlike.nn as bnn, torch
    >>> convolution = bnn.OverTime(torch.nn.Conv2d(1, 6, 3), torch.nn.BatchNorm2d(6), torch.nn.AvgPool2d(2))
    >>> convolution(torch.rand(20, 4, 1, 28, 28)).shape
    torch.Size([20, 4, 6, 13, 13])
    """

    def __init__(self, *layers: nn.Module, batch_first: bool = False) -> None:
        super().__init__()
        if not layers:
            raise ValueError("OverTime takes one layer or more")
        self.layers = nn.Sequential(*layers)
        self.batch_first = batch_first

    def forward(self, x: torch.Tensor, lengths: Any = None) -> torch.Tensor:
        """The layers' output of every step.

        Parameters
        ----------
        x : tensor of shape (T, B, ...)
        lengths : tensor of int, optional
            How many steps each sample has: the layers see nothing of what comes after, and the output there is 0.
        """
        if x.dim() < 3:
            raise ValueError(f"OverTime takes tensors of shape (T, B, ...), not {tuple(x.shape)}; layers take (T, ...) as a batch of T by themselves")
        together = x.flatten(0, 1)
        if lengths is None:
            output: torch.Tensor = self.layers(together)
            return output.unflatten(0, x.shape[:2])
        steps = torch.arange(x.shape[1 if self.batch_first else 0], device=x.device)
        lengths = torch.as_tensor(lengths, device=x.device)
        inside = steps < lengths[:, None] if self.batch_first else steps[:, None] < lengths
        places = inside.flatten().nonzero().squeeze(-1)
        some: torch.Tensor = self.layers(together.index_select(0, places))
        empty = torch.zeros(len(together), *some.shape[1:], dtype=some.dtype, device=some.device)
        return empty.index_copy(0, places, some).unflatten(0, x.shape[:2])

    def extra_repr(self) -> str:
        return "batch_first=True" if self.batch_first else ""
