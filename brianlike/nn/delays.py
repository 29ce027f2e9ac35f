"""Delays that are learned: whole steps forwards, as in the simulator; backwards, what a step more or less would change.

An event that synapse k sends in step s arrives in step s + d. With g[t] the cotangent of what arrives in step t, the derivative by d is that of the central
difference, the sum over events of (g[s + d + 1] - g[s + d - 1])/2. Summed by parts it needs no cotangent of another step: the sum over t of
g[t]*(sent[t - d - 1] - sent[t - d + 1])/2, which a forward pass can multiply with a shift whose value is 0 and whose derivative by the delay is 1/dt.
Nothing can arrive before it is sent: at d = 0 the difference is the forward one, sent[t - 1] - sent[t].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True, slots=True)
class Shift:
    """The delays of one pathway in a run.

    Parameters
    ----------
    steps : the delay of each synapse in whole steps.
    shift : 0 for each synapse, with the gradient of its delay in steps; None if nobody asks for it.
    """

    steps: np.ndarray
    shift: torch.Tensor | None


def shift_of(delays: torch.Tensor, dt: float, count: int) -> Shift:
    """The delays (s) of `count` synapses, one for each or one for all, in steps of `dt`: `int(delay/dt + 0.5)`."""
    exact = delays.detach().to("cpu", torch.float64).numpy()
    wrong = np.flatnonzero(~(np.isfinite(exact) & (exact >= 0)))
    if wrong.size:
        raise FloatingPointError(f"the learned delay of synapse {wrong[0]} is {exact[wrong[0]]:g} s; a smaller learning rate or bounds= may help")
    steps = np.broadcast_to(np.floor(exact / dt + 0.5).astype(np.int64), (count,))
    if not (torch.is_grad_enabled() and delays.requires_grad):
        return Shift(steps, None)
    return Shift(steps, ((delays - delays.detach()) / dt).expand(count))


def slope(before: torch.Tensor | None, now: torch.Tensor | None, after: torch.Tensor | None, earliest: bool) -> torch.Tensor | None:
    """What arrives with a delay one step longer (`before`: sent a step earlier) less what arrives with one a step shorter (`after`), for each step.

    None stands for events before the first step. At the `earliest` arrival the present delay takes the place of a shorter one.
    """
    other, weight = (now, 1.0) if earliest else (after, 0.5)
    if before is None and other is None:
        return None
    if before is None:
        return -weight * other.detach()  # type: ignore[union-attr]
    return weight * before.detach() if other is None else weight * (before - other).detach()
