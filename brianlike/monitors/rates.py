"""`PopulationRateMonitor`: how often the neurons of a group fire, on average."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from codegen.dims import UNITS

from ..groups import Group
from ..objects import choose_name
from ..subgroups import Subgroup
from ..units import Quantity
from .base import Column, Monitor, Number
from .smoothing import smooth, steps_in, window_of

_SECOND, _HERTZ = UNITS["second"], UNITS["hertz"]


class PopulationRateMonitor(Monitor):
    """Records the firing rate of a group, averaged over its neurons, at each step.

    Parameters
    ----------
    source : group or part of a group
    name : str, optional
    codeobj_class : None
        Accepted for scripts written for Brian.
    dtype : dtype
        Type in which rates are kept.

    Attributes
    ----------
    t : Quantity, shape (steps,)
        Times (s), the beginning of each step.
    rate : Quantity, shape (steps,)
        Spikes in the step, divided by the number of neurons and by dt (Hz); `rate_` without units.

    Raises
    ------
    ValueError
        If the source never spikes.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(2, "v : 1", threshold="t < 0.15*ms and i < 1")
    >>> monitor = PopulationRateMonitor(G)
    >>> Network(G, monitor).run(0.4*ms)
    >>> monitor.rate
    array([5., 5., 0., 0.]) * kHz
    >>> bins, rates = monitor.binned_rate(0.2*ms)
    >>> rates
    array([5., 0.]) * kHz
    """

    source: Group | Subgroup

    def __init__(self, source: Group | Subgroup, name: str | None = None, codeobj_class: object = None, dtype: object = np.float64):
        if not isinstance(source, Group | Subgroup):
            raise TypeError(f"PopulationRateMonitor records the spikes of a group of neurons, not of {type(source).__name__}")
        if "spike" not in getattr(source._whole, "events", {"spike": ""}):
            raise ValueError(f"{source.name!r} has no event 'spike' to record; give it a threshold")
        self.source = source
        self._times, self._rates = Column(np.float64), Column(dtype)
        self._register(choose_name(name, "ratemonitor"), when="end", order=0, clock=source.clock)

    @property
    def sources(self) -> tuple[int, int]:
        """First and last + 1 neuron, counted in the whole group, whose spikes count."""
        return self.source._first, self.source._first + len(self.source)

    def append(self, steps: np.ndarray, counts: np.ndarray) -> None:
        """Add the numbers of spikes in steps of the clock."""
        dt = self.clock.dt_
        self._times.append(np.asarray(steps) * dt)
        self._rates.append(np.asarray(counts) / len(self.source) / dt)

    @property
    def rate_(self) -> np.ndarray:
        """Rate at each step in Hz, without units."""
        self._fetch()
        return self._rates.copied()

    @property
    def rate(self) -> Quantity:
        """Rate at each step."""
        return Quantity(self.rate_, _HERTZ)

    @property
    def N(self) -> int:
        """Number of steps recorded."""
        return Number(len(self.t_))

    def __len__(self) -> int:
        return self.N

    def smooth_rate(self, window: Any = "gaussian", width: object = None) -> Quantity:
        """The rate at each step, smoothed over time.

        Parameters
        ----------
        window : 'gaussian', 'flat' or array
            An array needs an odd number of weights, one a step; they are scaled to a sum of 1.
        width : Quantity
            For 'gaussian', the standard deviation (s), cut off after two of them on either side; for 'flat', the length, rounded to an odd number of steps.

        Returns
        -------
        Quantity, shape (steps,)
            In Hz.
        """
        return Quantity(smooth(self.rate_, window_of(window, width, self.clock.dt_)), _HERTZ)

    def binned_rate(self, bin_size: object) -> tuple[Quantity, Quantity]:
        """The rate averaged in bins of time.

        Parameters
        ----------
        bin_size : Quantity
            A multiple of dt (s).

        Returns
        -------
        bins : Quantity, shape (bins,)
            The beginning of each bin (s).
        rates : Quantity, shape (bins,)
            In Hz; the last bin may have fewer steps.
        """
        steps = steps_in(bin_size, self.clock.dt_)
        rates = self.rate_
        first = np.arange(0, len(rates), steps)
        counts = np.diff([*first, len(rates)])
        means = np.add.reduceat(rates, first) / counts if len(rates) else np.zeros(0)
        return Quantity(self.t_[first], _SECOND), Quantity(means, _HERTZ)

    def _names(self) -> list[str]:
        return ["t", "rate", "N"]

    def snapshot(self) -> dict[str, np.ndarray]:
        """What has been recorded, for `restore`."""
        return {"t": self._times.joined(), "rate": self._rates.joined()}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot."""
        self._times.replace(snapshot["t"])
        self._rates.replace(snapshot["rate"])

    def __repr__(self) -> str:
        return f"<PopulationRateMonitor {self.name!r} of {self.source.name!r} at {self.N} times>"
