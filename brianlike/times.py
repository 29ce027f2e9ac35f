"""Functions of time that Brian shows to users."""

from __future__ import annotations

from typing import Any

import numpy as np

from .clocks import defaultclock
from .magic import magic_network
from .network import Network
from .units import asarray_si, second

__all__ = ["schedule_propagation_offset", "timestep"]


def timestep(t: Any, dt: Any) -> Any:
    """The number of the step at time `t`, as equations count: rounding errors below a thousandth of a step do not matter.

    Examples
    --------
    >>> from brianlike.units import ms
    >>> timestep(0.3*ms, 0.1*ms)
    3
    """
    times, step = asarray_si(t), asarray_si(dt)
    steps = ((times + 1e-3 * step) / step).astype(np.int64)
    return int(steps) if steps.ndim == 0 else steps


def schedule_propagation_offset(net: Network | None = None) -> Any:
    """The shortest time from a spike to its delivery: 0 where, as usual, delivery follows the thresholds in a step, otherwise dt of `defaultclock`.

    Parameters
    ----------
    net : Network, optional
        That of `run` if left out.
    """
    schedule = (magic_network if net is None else net).schedule
    return 0 * second if schedule.index("thresholds") < schedule.index("synapses") else defaultclock.dt
