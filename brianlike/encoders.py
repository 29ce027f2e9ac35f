"""Codes that turn numbers into spikes, on numpy arrays; `brianlike.nn` has the same on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.dims import UNITS

from .clocks import defaultclock, seconds, seconds_array
from .units import DimensionMismatchError, Quantity, asarray_si, get_dimensions, second

__all__ = ["at_times", "hold", "latency", "latency_times", "level_crossing", "poisson"]


def latency(intensity: np.ndarray, steps: int, tau: object, threshold: float = 0.2) -> np.ndarray:
    """Spikes whose time tells the intensity: a strong input charges a leaky neuron to its threshold sooner.

    One spike for each intensity above `threshold`, at `tau*log(x/(x - threshold))`, the time at which a leaky integrator driven by x reaches the
    threshold (as in SpyTorch's tutorials).

    Parameters
    ----------
    intensity : array, shape (samples, inputs), from 0 to 1
    steps : int
        Length of the result; later spikes are left out.
    tau : Quantity
        Time constant (s).
    threshold : float
        Weaker inputs stay silent.

    Returns
    -------
    array of bool, shape (steps, samples, inputs)

    Examples
    --------
    >>> from brianlike import ms, defaultclock
    >>> defaultclock.dt = 1*ms
    >>> latency(np.array([[1.0, 0.5, 0.1]]), 20, 10*ms).nonzero()[0]
    array([2, 5])
    """
    return _at(np.asarray(latency_times(intensity, tau, threshold)), steps)


def latency_times(intensity: np.ndarray, tau: object, threshold: float = 0.2) -> Quantity:
    """The times of the spikes of `latency`, infinite for intensities that give none: what `brianlike.nn.Events.from_times` takes.

    Examples
    --------
    >>> from brianlike import ms
    >>> latency_times(np.array([[1.0, 0.5, 0.1]]), 10*ms)
    array([[2.23143551, 5.10825624,        inf]]) * ms
    """
    x = np.asarray(intensity, dtype=np.float64)
    scale = seconds(tau, "tau")
    with np.errstate(divide="ignore", invalid="ignore"):
        return Quantity(np.where(x > threshold, scale * np.log(x / (x - threshold)), np.inf), dim=second.dim)


def at_times(times: Any, steps: int) -> np.ndarray:
    """Spikes at given times.

    Parameters
    ----------
    times : Quantity, shape (samples, inputs) or (samples, inputs, spikes)
        In seconds from 0; infinite times are no spikes, and so are those beyond the last step.
    steps : int
        Length of the result.

    Returns
    -------
    array of bool, shape (steps, samples, inputs)

    Examples
    --------
    >>> from brianlike import ms, defaultclock
    >>> defaultclock.dt = 1*ms
    >>> at_times([[0, 3.5]]*ms, 5)[:, 0].astype(int)
    array([[1, 0],
           [0, 0],
           [0, 0],
           [0, 1],
           [0, 0]])
    """
    values = seconds_array(times, "times").astype(np.float64)
    if values.ndim == 3:
        return np.asarray(np.logical_or.reduce([_at(values[..., n], steps) for n in range(values.shape[2])], axis=0))
    return _at(values, steps)


def _at(times: np.ndarray, steps: int) -> np.ndarray:
    if (times < 0).any():
        raise ValueError(f"spike times must not be negative, but one is {float(times.min())} s")
    when = np.floor(times / defaultclock.dt_ + 1e-9)
    spikes = np.zeros((steps, *times.shape), dtype=bool)
    sample, unit = np.nonzero(when < steps)
    spikes[when[sample, unit].astype(np.int64), sample, unit] = True
    return spikes


def poisson(rates: Any, steps: int, seed: int | np.random.Generator | None = None) -> np.ndarray:
    """Random spikes of given rates: in each step one with the probability `rate*dt`, as those of a PoissonGroup.

    Parameters
    ----------
    rates : Quantity, shape (samples, inputs), or (steps, samples, inputs) where they change
        In hertz; `rate*dt` beyond 1 is an error.
    steps : int
    seed : int or numpy Generator, optional

    Returns
    -------
    array of bool, shape (steps, samples, inputs)

    Examples
    --------
    >>> from brianlike import Hz, ms, defaultclock
    >>> defaultclock.dt = 1*ms
    >>> poisson(np.full((2, 1000), 50.0)*Hz, 100, seed=1).mean().round(3).item()
    0.05
    """
    probability = _rates(rates) * defaultclock.dt_
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError(f"rates must be between 0 and 1/dt = {1 / defaultclock.dt_:g} Hz")
    random = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(seed)
    shape = probability.shape if probability.ndim == 3 else (steps, *probability.shape)
    if shape[0] != steps:
        raise ValueError(f"rates are given for {shape[0]} steps, not {steps}")
    return np.asarray(random.random(shape) < probability)


def _rates(rates: Any) -> np.ndarray:
    if get_dimensions(rates) != UNITS["hertz"]:
        raise DimensionMismatchError("rates must be in hertz, such as 10*Hz", get_dimensions(rates), UNITS["hertz"])
    return np.asarray(asarray_si(rates), dtype=np.float64)


def level_crossing(signal: np.ndarray, step: float, graded: bool = False) -> np.ndarray:
    """Spikes when a signal has risen (first half of the channels) or fallen (second half) by a whole level since the last one: delta modulation.

    Nothing is sent while a signal rests; rate follows its slope. The receiver adds and subtracts levels to have the signal back, to one level.

    Parameters
    ----------
    signal : array, shape (steps, ..., inputs)
    step : float
        Height of a level, in the unit of the signal.
    graded : bool
        Whether an event has the number of levels that were crossed in its step as its size, instead of 1. Modules take graded events.

    Returns
    -------
    array of float, shape (steps, ..., 2*inputs)
        In the first step nothing has changed yet.

    Examples
    --------
    >>> level_crossing(np.array([[0.0], [0.6], [1.1], [1.0], [-0.2]]), 0.5)
    array([[0., 0.],
           [1., 0.],
           [1., 0.],
           [0., 0.],
           [0., 1.]])
    """
    if not step > 0:
        raise ValueError(f"a level must have a height above 0, not {step!r}")
    values = np.asarray(signal, dtype=np.float64)
    level = np.zeros(values.shape[1:])
    events = np.zeros((*values.shape[:-1], 2 * values.shape[-1]))
    for n, row in enumerate(values):
        away = (row - values[0]) / step - level
        crossed = np.trunc(away + np.sign(away) * 1e-9)
        level += crossed
        crossed = crossed if graded else np.sign(crossed)
        events[n] = np.concatenate([np.maximum(crossed, 0), np.maximum(-crossed, 0)], axis=-1)
    return events


def hold(samples: np.ndarray, steps: int, copies: int = 1) -> np.ndarray:
    """Recordings as input currents: every value is held for `steps` steps, time comes first, and each channel reaches `copies` neurons in a row.

    Parameters
    ----------
    samples : array, shape (samples, time, channels)
    steps, copies : int

    Returns
    -------
    array, shape (time*steps, samples, channels*copies)

    Examples
    --------
    >>> hold(np.array([[[1.0, 2.0]]]), steps=2, copies=2)[:, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    held = np.repeat(np.repeat(np.asarray(samples), steps, axis=1), copies, axis=2)
    return np.ascontiguousarray(held.transpose(1, 0, 2))
