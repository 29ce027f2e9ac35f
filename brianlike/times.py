"""Functions of time that Brian shows to users."""

from __future__ import annotations

from typing import Any

from .clocks import defaultclock
from .default_functions import timestep as timestep
from .magic import magic_network
from .network import Network
from .units import second

__all__ = ["schedule_propagation_offset", "timestep"]


def schedule_propagation_offset(net: Network | None = None) -> Any:
    """The shortest time from a spike to its delivery: 0 where, as usual, delivery follows the thresholds in a step, otherwise dt of `defaultclock`.

    Parameters
    ----------
    net : Network, optional
        That of `run` if left out.
    """
    schedule = (magic_network if net is None else net).schedule
    return 0 * second if schedule.index("thresholds") < schedule.index("synapses") else defaultclock.dt
