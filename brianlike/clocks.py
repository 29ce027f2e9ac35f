"""Clocks: time in whole steps. `defaultclock` paces every object that was given neither `dt` nor `clock`."""

from __future__ import annotations

import math
import weakref
from typing import Any, Protocol

import numpy as np

from codegen.dims import UNITS

from ._unit_functions import describe
from .units import DimensionMismatchError, Quantity, asarray_si, get_dimensions

__all__ = ["Clock", "defaultclock"]

_SECOND = UNITS["second"]


def seconds(value: object, what: str) -> float:
    """A time as a plain float in seconds; errors name `what`. A bare 0 needs no unit, any other number does."""
    if type(value) is Quantity and value.ndim == 0 and value.dimensions == _SECOND:
        return float(np.ndarray.item(value))
    array = seconds_array(value, what)
    if array.ndim != 0:
        raise TypeError(f"{what} must be one time, not an array of shape {array.shape}")
    return float(array)


def seconds_array(value: object, what: str) -> np.ndarray:
    """Times as plain floats in seconds; errors name `what`. Bare zeros need no unit, other numbers do."""
    dims, array = get_dimensions(value), asarray_si(value)
    if dims != _SECOND and not (dims.is_dimensionless and not array.any()):
        raise DimensionMismatchError(f"{what} must be a time such as 0.1*ms, not {describe(value, dims)}", dims)
    return array


class CountsSteps(Protocol):
    """What keeps a time as a number of steps of a clock."""

    def recount(self, old: float, new: float) -> None:
        """Steps last `new` seconds from now on, not `old`."""


class Clock:
    """Time that advances in steps of `dt`: `t = timestep*dt`.

    Parameters
    ----------
    dt : Quantity
        Length of a step, in seconds.
    name : str
        Shown in messages.

    Examples
    --------
    >>> from brianlike.units import ms
    >>> clock = Clock(0.5*ms)
    >>> clock.timestep = 4
    >>> clock.t
    2. * ms
    """

    epsilon_dt = 1e-4
    """The part of a step by which two times may differ and still be one."""

    __slots__ = ("_dt", "_timestep", "_counting", "name", "__weakref__")

    def __init__(self, dt: object, name: str = "clock*"):
        self.name = _free_name(name)
        self._counting: weakref.WeakSet[CountsSteps] = weakref.WeakSet()
        _LIVE.add(self)
        self._timestep: int = 0
        self._dt: float = 1.0
        self.dt = dt

    def __getstate__(self) -> dict[str, Any]:
        """For copies: without what follows it, of which a copied network may have a part only. What is copied follows its copy."""
        return {"dt": self._dt, "timestep": self._timestep, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._dt, self._timestep, self.name = state["dt"], state["timestep"], state["name"]
        self._counting = weakref.WeakSet()

    @property
    def dt(self) -> Quantity:
        """Length of a step. Setting it keeps `t` to the nearest step; a run refuses a `t` that is no whole number of steps."""
        return Quantity(self._dt, dimensions=_SECOND)

    @dt.setter
    def dt(self, value: object) -> None:
        dt = seconds(value, f"dt of {self.name!r}")
        if not (math.isfinite(dt) and dt > 0):
            raise ValueError(f"dt of {self.name!r} must be positive and finite, not {value!r}")
        if self._timestep:
            self._timestep = round(self._timestep * self._dt / dt)
        for item in self._counting:
            item.recount(self._dt, dt)
        self._dt = dt

    def follow(self, item: CountsSteps) -> None:
        """Tell `item` when dt changes, for as long as it exists."""
        self._counting.add(item)

    @property
    def dt_(self) -> float:
        """Length of a step in seconds, without units."""
        return self._dt

    @dt_.setter
    def dt_(self, value: float) -> None:
        self.dt = Quantity(value, dimensions=_SECOND)

    @property
    def timestep(self) -> int:
        """Number of steps since time 0 (fits in 64 bits)."""
        return self._timestep

    @timestep.setter
    def timestep(self, value: int) -> None:
        step = int(value)
        if step != value or not -(2**62) < step < 2**62:
            raise ValueError(f"timestep of {self.name!r} must be a whole number below 2**62, not {value!r}")
        self._timestep = step

    @property
    def t(self) -> Quantity:
        """Time now."""
        return Quantity(self.t_, dimensions=_SECOND)

    @property
    def t_(self) -> float:
        """Time now in seconds, without units."""
        return self._timestep * self._dt

    def set_time(self, t: float) -> None:
        """Go to time `t` (seconds); ValueError unless it is a whole number of steps, within a ten-thousandth of one."""
        self._check_whole(t, t)
        self.timestep = round(t / self._dt)

    def check_change(self, old: float, t: float) -> None:
        """ValueError unless time `t` (seconds), in whole steps of `old` seconds, is also a whole number of steps now, within a ten-thousandth of one."""
        self._check_whole(round(t / old) * old, t)

    def _check_whole(self, time: float, t: float) -> None:
        if abs(round(t / self._dt) * self._dt - time) > 1e-4 * self._dt:
            raise ValueError(f"time {t:g} s is no multiple of the step of {self.name!r} ({self._dt:g} s); choose a dt that divides it, or a new Network")

    def same_dt(self, other: Clock) -> bool:
        """Whether both clocks tick together."""
        return abs(self._dt - other._dt) <= 1e-4 * min(self._dt, other._dt)

    def __repr__(self) -> str:
        return f"Clock(dt={self.dt!r}, name={self.name!r})"


def _free_name(name: str) -> str:
    """The name as given, or for `stem*` the first of stem, stem_1, ... that no other clock has."""
    if not name.endswith("*"):
        return name
    stem, taken, number = name[:-1], {clock.name for clock in _LIVE}, 0
    while (found := f"{stem}_{number}" if number else stem) in taken:
        number += 1
    return found


_LIVE: weakref.WeakSet[Clock] = weakref.WeakSet()
defaultclock = Clock(Quantity(1e-4, dimensions=_SECOND), name="defaultclock")


def choose_clock(dt: object, clock: Clock | None) -> Clock:
    """The clock of a new object: the one given, one of its own for `dt`, or `defaultclock`."""
    if clock is None:
        return defaultclock if dt is None else Clock(dt)
    if dt is not None:
        raise ValueError("give either dt or clock, not both")
    if not isinstance(clock, Clock):
        raise TypeError(f"clock must be a Clock, not {type(clock).__name__}")
    return clock
