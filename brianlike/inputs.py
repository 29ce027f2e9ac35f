"""Groups whose spikes are not computed from a membrane: given by the user, by a batch, or at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codegen.dims import UNITS
from codegen.errors import ModelError
from codegen.ir import Model
from codegen.models import parse_group

from .clocks import Clock, choose_clock, seconds, seconds_array
from .equations import Equations
from .groups import Group, checked_size
from .logger import get_logger
from .objects import choose_name
from .units import Quantity, asarray_si, get_dimensions

__all__ = ["InputGroup", "PoissonGroup", "SpikeGeneratorGroup"]

_LOG = get_logger("brianlike.input.spikegeneratorgroup")


class SpikeIndexError(IndexError, ValueError):
    """There is no such neuron; in Brian this is a ValueError."""


class TimeStepError(ModelError, ValueError):
    """The steps of the clock are too long for the spikes."""


class PeriodError(ModelError, ValueError, NotImplementedError):
    """A period is no multiple of dt; in Brian this is a NotImplementedError."""


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTable:
    """Spikes in the order of time, then neuron: `indices` (int32), `times` (seconds), repeated every `period` seconds if that is not 0."""

    indices: np.ndarray
    times: np.ndarray
    period: float = 0.0

    def bins(self, dt: float, owner: str) -> tuple[np.ndarray, int]:
        """The step of each spike and the period in steps (0: none); ValueError if two spikes of a neuron share a step."""
        steps = ((self.times + 1e-3 * dt) / dt).astype(np.int64)
        period = round(self.period / dt)
        if self.period and (abs(period * dt - self.period) > 1e-4 * dt or period < 1):
            raise PeriodError(f"the period of {owner!r} ({self.period:g} s) must be a multiple of its dt ({dt:g} s)")
        if period:
            steps = np.minimum(steps, period - 1)  # a time just below the period must not be rounded into the next one
        order = np.lexsort((self.indices, steps))
        twice = np.flatnonzero((np.diff(steps[order]) == 0) & (np.diff(self.indices[order]) == 0))
        if twice.size:
            neuron, step = self.indices[order[twice[0]]], steps[order[twice[0]]]
            more = f", and {twice.size - 1} more such pairs" if twice.size > 1 else ""
            raise TimeStepError(f"neuron {neuron} of {owner!r} spikes twice in the step at {step * dt:g} s (dt is {dt:g} s){more}; use a smaller dt")
        return steps, period


_NO_SPIKES = SpikeTable(np.zeros(0, dtype=np.int32), np.zeros(0))


class SpikeSource(Group):
    """A group whose spikes are listed beforehand."""

    _spikes: SpikeTable
    _binned: tuple[SpikeTable, float, np.ndarray, np.ndarray, int] | None = None
    _played: SpikeTable | None = None  # what the last run had

    def snapshot(self) -> dict[str, np.ndarray]:
        listed = {"_indices": self._spikes.indices, "_times": self._spikes.times, "_period": np.array(self._spikes.period)}
        return {**super().snapshot(), **listed}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        super().restore({name: values for name, values in snapshot.items() if name not in ("_indices", "_times", "_period")})
        stored = SpikeTable(snapshot["_indices"], snapshot["_times"], float(snapshot["_period"]))
        if not (stored.indices is self._spikes.indices and stored.times is self._spikes.times and stored.period == self._spikes.period):
            self._spikes = stored
        self._played = self._spikes

    def events_by_step(self, first_step: int, steps: int, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """The spikes of the steps from `first_step` on.

        Parameters
        ----------
        first_step, steps : int
        dt : float
            In seconds.

        Returns
        -------
        offsets : array of int64, shape (steps + 1,)
        indices : array of int32
            In step `first_step + k` the neurons `indices[offsets[k]:offsets[k + 1]]` spike.
        """
        bins, indices, period = self._by_step(dt)
        if steps and self._played is not self._spikes:
            self._played = self._spikes
            past = 0 if period else int(np.count_nonzero(bins < first_step))
            if past:
                text = f"{past} spikes of {self.name!r} come before the beginning of this run (t = {first_step * dt:g} s) and are left out"
                _LOG.warn(text, "ignored_spikes")
        if period:
            bins, indices = _repeated(bins, indices, period, first_step, steps)
        edges = np.searchsorted(bins, np.arange(first_step, first_step + steps + 1, dtype=np.int64))
        return edges - edges[0], indices[edges[0] : edges[-1]]

    def _ready(self) -> None:
        """Refuse spikes that the present dt cannot tell apart; dt may change until the run, so this is asked there."""
        self._by_step(self.clock.dt_)

    def _by_step(self, dt: float) -> tuple[np.ndarray, np.ndarray, int]:
        """Step and neuron of each spike, in order, and the period in steps."""
        if self._binned is None or self._binned[:2] != (self._spikes, dt):
            bins, period = self._spikes.bins(dt, self.name)
            order = np.lexsort((self._spikes.indices, bins))  # within a step by neuron, whatever the times
            self._binned = (self._spikes, dt, bins[order], self._spikes.indices[order], period)
        return self._binned[2:]

    def _table(self, indices: object, times: object, period: object, ordered: bool = False) -> SpikeTable:
        """The checked spikes, in order."""
        neurons, moments = _checked_spikes(indices, times, self.N, self.name)
        if not ordered:
            order = np.lexsort((neurons, moments))
            neurons, moments = neurons[order], moments[order]
        elif np.any(np.diff(moments) < 0):
            raise ValueError(f"sorted=True, but the spike times of {self.name!r} are not in order")
        same = np.flatnonzero((np.diff(moments) == 0) & (np.diff(neurons) == 0))
        if same.size:
            raise ValueError(f"neuron {neurons[same[0]]} of {self.name!r} spikes twice at {moments[same[0]]:g} s")
        length = seconds(period, "period")
        if length < 0:
            raise ValueError(f"period of {self.name!r} must not be negative, not {period!r}")
        if length and moments.size and moments[-1] >= length:
            raise ValueError(f"the last spike of {self.name!r} ({moments[-1]:g} s) must come before the end of its period ({length:g} s)")
        return SpikeTable(neurons, moments, length)


def _repeated(bins: np.ndarray, indices: np.ndarray, period: int, first: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The spikes of every repetition that touches the steps `first` to `first + steps`."""
    starts = np.arange(first // period, (first + steps - 1) // period + 1 if steps else first // period, dtype=np.int64) * period
    return (starts[:, None] + bins).ravel(), np.tile(indices, starts.size)


def _checked_spikes(indices: object, times: object, size: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    neurons, moments = np.atleast_1d(np.asarray(indices)), np.atleast_1d(seconds_array(times, f"times of {name!r}")).astype(np.float64)
    if neurons.ndim != 1 or moments.ndim != 1 or neurons.shape != moments.shape:
        raise ValueError(f"indices and times of {name!r} must be lists of one length, but have shapes {neurons.shape} and {moments.shape}")
    if neurons.size and neurons.dtype.kind not in "iu" and not (neurons.dtype.kind == "f" and np.all(neurons == np.floor(neurons))):
        raise TypeError(f"indices of {name!r} must be whole numbers, not {neurons.dtype}")
    bad = neurons[(neurons < 0) | (neurons >= size)]
    if bad.size:
        raise SpikeIndexError(f"{name!r} has neurons 0 to {size - 1}, but indices contains {bad[0]}")
    if not np.all((moments >= 0) & np.isfinite(moments)):
        raise ValueError(f"times of {name!r} must be finite and not negative, but contain {moments[~((moments >= 0) & np.isfinite(moments))][0]:g} s")
    return neurons.astype(np.int32), moments


def _plain_model(name: str) -> Model:
    return parse_group(name, "")


class InputGroup(SpikeSource):
    """Neurons whose spikes come from a batch in `brianlike.nn`; in a plain `run()` they are silent unless `set_spikes` was called.

    Parameters
    ----------
    N : int
        Number of neurons.
    name, dt, clock, order
        As for NeuronGroup.

    Examples
    --------
    >>> inputs = InputGroup(700)
    >>> len(inputs)
    700
    """

    def __init__(self, N: int, name: str | None = None, *, dt: object = None, clock: Clock | None = None, order: int = 0):
        size = checked_size(N)
        chosen = choose_name(name, "inputgroup")
        self.clock = choose_clock(dt, clock)
        self._spikes = _NO_SPIKES
        self._set_up(size, _plain_model(chosen))
        self._register(chosen, when="thresholds", order=order, clock=self.clock)
        self._sealed = True

    def set_spikes(self, indices: object, times: object) -> None:
        """Let neuron `indices[k]` spike at `times[k]` (s) in a plain run.

        Raises
        ------
        IndexError
            If there is no such neuron.
        ValueError
            By the run, if a neuron spikes twice in one step.
        """
        self._spikes = self._table(indices, times, 0)

    def __repr__(self) -> str:
        return f"InputGroup({self.N}, name={self.name!r})"


class SpikeGeneratorGroup(SpikeSource):
    """Neurons that spike at given times.

    Parameters
    ----------
    N : int
        Number of neurons.
    indices : array of int, shape (spikes,)
        Which neuron.
    times : Quantity, shape (spikes,)
        When (s); a spike belongs to the step `int((t + dt/1000)/dt)`.
    dt, clock, order, name
        As for NeuronGroup.
    period : Quantity
        Repeat all of it with this period (s), a multiple of dt; 0*second: once.
    when : str
        Slot of the schedule.
    sorted : bool
        Promise that `times` ascend.

    Raises
    ------
    IndexError
        If there is no such neuron.
    ValueError
        If a time is negative or beyond the period; by the run, if a neuron spikes twice in one step or the period is no multiple of dt.

    Examples
    --------
    >>> from brianlike.units import ms
    >>> G = SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 2]*ms, dt=1*ms)
    >>> G.events_by_step(0, 4, 1e-3)
    (array([0, 0, 1, 3, 3]), array([0, 0, 1], dtype=int32))
    """

    def __init__(
        self,
        N: int,
        indices: object,
        times: object,
        dt: object = None,
        clock: Clock | None = None,
        period: object = 0,
        when: str = "thresholds",
        order: int = 0,
        sorted: bool = False,
        name: str | None = None,
        codeobj_class: object = None,
    ):
        size = checked_size(N)
        chosen = choose_name(name, "spikegeneratorgroup")
        self.clock, self.name = choose_clock(dt, clock), chosen
        self._set_up(size, _plain_model(chosen))
        self._spikes = self._table(indices, times, period, sorted)
        self._register(chosen, when=when, order=order, clock=self.clock)
        self._sealed = True

    def set_spikes(self, indices: object, times: object, period: object = 0, sorted: bool = False) -> None:
        """Replace all spikes; parameters as in the constructor. Nothing changes if they are not accepted."""
        self._spikes = self._table(indices, times, period, sorted)

    @property
    def neuron_index(self) -> np.ndarray:
        """Which neuron spikes, in the order of `spike_time`."""
        return self._spikes.indices.copy()

    @property
    def spike_time(self) -> Quantity:
        """When it does (s), in the order of time."""
        return Quantity(self._spikes.times.copy(), UNITS["second"])

    def __repr__(self) -> str:
        return f"<SpikeGeneratorGroup {self.name!r}: {self._spikes.times.size} spikes of {self.N} neurons>"


class PoissonGroup(Group):
    """Neurons that spike at random, independently, with given rates.

    Parameters
    ----------
    N : int
        Number of neurons.
    rates : Quantity or str
        Rate of each neuron (Hz), one value or shape (N,); a string is evaluated at every step and may use `t`, `i` and constants.
    dt, clock, order, namespace, name
        As for NeuronGroup.
    when : str
        Slot of the schedule.

    Notes
    -----
    In a step a neuron spikes with probability `rates*dt`.

    Examples
    --------
    >>> from brianlike.units import Hz
    >>> P = PoissonGroup(3, [10, 20, 30]*Hz)
    >>> P.rates[1]
    20. * Hz
    >>> P.threshold
    'rand() < rates*dt'
    """

    threshold: str
    events: dict[str, str]
    equations: Equations
    method: None
    reset: None
    refractory: None

    def __init__(
        self,
        N: int,
        rates: object,
        dt: object = None,
        clock: Clock | None = None,
        when: str = "thresholds",
        order: int = 0,
        namespace: Mapping[str, object] | None = None,
        name: str | None = None,
        codeobj_class: object = None,
    ):
        size = checked_size(N)
        chosen = choose_name(name, "poissongroup")
        self.threshold, self.method, self.reset, self.refractory = "rand() < rates*dt", None, None, None
        self.events = {"spike": self.threshold}
        self.equations = Equations(f"rates = {rates} : Hz" if isinstance(rates, str) else "rates : Hz")
        self.clock, self.name = choose_clock(dt, clock), chosen
        self._set_up(size, parse_group(chosen, str(self.equations), self.threshold))
        if not isinstance(rates, str):
            self.view("rates").set_item(slice(None), _checked_rates(rates))
        self._register(chosen, when=when, order=order, clock=self.clock, namespace=namespace)
        self._sealed = True

    def __repr__(self) -> str:
        return f"PoissonGroup({self.N}, ..., name={self.name!r})"


def _checked_rates(rates: object) -> object:
    values = asarray_si(rates)
    if get_dimensions(rates) == UNITS["hertz"] and not np.all((values >= 0) & np.isfinite(values)):
        raise ValueError(f"rates must be finite and not negative, but contain {values[~((values >= 0) & np.isfinite(values))].flat[0]:g} Hz")
    return rates
