"""Ticks: the greatest common step of the clocks of a network, in which its time is counted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .clocks import Clock, defaultclock

TOGETHER = 1e-4
"""The part of a step by which two times may differ and still be one."""

_EXACT = 1e-9  # what rounding leaves of a ratio of two steps that are decimal numbers


@dataclass(frozen=True, slots=True)
class Rate:
    """One length of a step: the name of its clock in Programs, dt in seconds, and in ticks."""

    name: str
    dt: float
    every: int


@dataclass(frozen=True, slots=True)
class Ticks:
    """The rates of a network's clocks, the fastest first, which is called `clock`.

    Examples
    --------
    >>> from brianlike.units import ms
    >>> ticks = common_ticks([Clock(0.25*ms), Clock(0.1*ms)])
    >>> [(rate.name, rate.every) for rate in ticks.rates]
    [('clock', 2), ('clock_1', 5)]
    >>> ticks.count(1e-3), ticks.steps(ticks.rates[1], 6)
    (20, 2)
    """

    rates: tuple[Rate, ...]

    @property
    def length(self) -> float:
        """Of a tick, in seconds."""
        return self.rates[0].dt / self.rates[0].every

    @property
    def table(self) -> tuple[tuple[str, int], ...]:
        """The clocks as Programs list them."""
        return tuple((rate.name, rate.every) for rate in self.rates)

    def of(self, clock: Clock) -> Rate:
        """The rate of a clock of the network."""
        return next(rate for rate in self.rates if rate.dt == clock.dt_)

    def count(self, t: float) -> int:
        """The ticks before time `t` (seconds): the nearest whole number, or the next one if that is not close enough."""
        exact = t / self.length
        nearest = round(exact)
        count = nearest if abs(nearest - exact) * self.length <= TOGETHER * self.rates[0].dt else math.ceil(exact)
        if count >= 2**62:
            raise ValueError(f"{t:g} s is too long for clocks whose greatest common step is {self.length:g} s; choose steps with a larger one")
        return count

    @staticmethod
    def steps(rate: Rate, tick: int) -> int:
        """The steps of a clock that have begun before a tick; the number of the step that begins there, or next."""
        return -(-tick // rate.every)

    def time(self, tick: int) -> float:
        """The time (seconds) of a tick at which a clock begins a step, or else of the next such tick."""
        return min(self.steps(rate, tick) * rate.dt for rate in self.rates)

    def following(self, tick: int) -> int:
        """The first tick from `tick` on at which a clock begins a step."""
        return min(self.steps(rate, tick) * rate.every for rate in self.rates)


def common_ticks(clocks: Iterable[Clock], taken: Iterable[str] = ()) -> Ticks:
    """The ticks of clocks (of `defaultclock` where there are none); their names avoid those in `taken`."""
    lengths = sorted({clock.dt_ for clock in clocks}) or [defaultclock.dt_]
    ratios = [_ratio(dt / lengths[0]) for dt in lengths]
    parts = math.lcm(*(ratio.denominator for ratio in ratios))
    whole = [int(ratio * parts) for ratio in ratios]
    common = math.gcd(*whole)
    used = set(taken)
    rates: list[Rate] = []
    for dt, every in zip(lengths, whole, strict=True):
        name, number = "clock", 0
        while rates and (number == 0 or name in used):
            number += 1
            name = f"clock_{number}"
        used.add(name)
        rates.append(Rate(name, dt, every // common))
    return Ticks(tuple(rates))


def _ratio(value: float) -> Fraction:
    """The simplest fraction that is the ratio of two steps but for rounding; 1 for steps that are as good as equal."""
    if value - 1 <= TOGETHER:
        return Fraction(1)
    bound = 1
    while True:
        found = Fraction(value).limit_denominator(bound)
        if abs(float(found) - value) <= _EXACT * value:
            return found
        bound *= 2


def steps_before(t: float, dt: float) -> int:
    """The steps of `dt` seconds that begin before time `t`: the nearest whole number, or the next one if that is not close enough."""
    nearest = round(t / dt)
    return nearest if abs(nearest * dt - t) <= TOGETHER * dt else math.ceil(t / dt)


def recounted(events: np.ndarray, step: int, new_step: int, ratio: float) -> np.ndarray:
    """Events of the steps before `step` (latest last), sorted into steps `1/ratio` times as long, before `new_step`; two of one neuron there become one."""
    age, neuron = np.nonzero(events[::-1])
    back = np.maximum(new_step - np.floor((step - 1 - age) * ratio + 0.5).astype(np.int64), 1)
    new = np.zeros((int(back.max(initial=0)), events.shape[1]), bool)
    new[-back, neuron] = True
    return new
