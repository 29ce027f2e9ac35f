"""`TimedArray`: values over time, given beforehand, which equations call as a function of the time."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.dims import UNITS
from codegen.tables import table_function

from .build import prelude
from .clocks import defaultclock, seconds, seconds_array
from .functions import Function, Specified
from .units import Quantity, asarray_si, get_dimensions

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["TimedArray"]

_NUMBERS = count()


class TimedArray(Function):
    """A function of time that is constant for `dt`, then jumps to its next value.

    Before its first value it has that one, after its last value that one. With two axes it is a function of time and of a column, such as the index
    of the neuron; a column that does not exist gives NaN.

    Parameters
    ----------
    values : array or Quantity, shape (times,) or (times, columns)
    dt : Quantity
        How long each value lasts (s).
    name : str, optional

    Attributes
    ----------
    values : array
        In SI units.
    dt : float
        In seconds.

    Raises
    ------
    NotImplementedError
        For other numbers of axes.
    ValueError
        Without values, or for a dt that is not positive.

    Notes
    -----
    Times are rounded to a grid at least 8 times as fine as the steps of the clock, so a step begins with the value that its time stands for although
    times are not exact in binary numbers.

    Examples
    --------
    >>> from brianlike import *
    >>> current = TimedArray([0, 2, 1]*nA, dt=10*ms)
    >>> current(15*ms)
    2. * nA
    >>> G = NeuronGroup(1, 'I = current(t) : amp')
    >>> stimulus = TimedArray([[1, 2], [3, 4]], dt=10*ms)
    >>> H = NeuronGroup(2, 'dv/dt = (stimulus(t, i) - v)/(5*ms) : 1')
    """

    def __init__(self, values: Any, dt: Any, name: str | None = None):
        numbers = np.array(asarray_si(values), dtype=float)
        if numbers.ndim not in (1, 2):
            raise NotImplementedError(f"a TimedArray has one or two axes (times, columns), not the shape {numbers.shape}")
        if not numbers.size:
            raise ValueError("a TimedArray needs at least one value")
        self.dt = seconds(dt, "dt of a TimedArray")
        if not self.dt > 0:
            raise ValueError(f"dt of a TimedArray must be positive, not {dt!r}")
        number = next(_NUMBERS)
        self.name = name.replace("*", "") if name is not None else "_timedarray" + (f"_{number}" if number else "")
        self.values, self.dim = numbers, get_dimensions(values)
        units: list[Any] = [Quantity(1.0, UNITS["second"]), 1][: numbers.ndim]
        Function.__init__(self, self._value, arg_units=units, arg_names=["t", "i"][: numbers.ndim], return_unit=Quantity(1.0, self.dim))

    def __call__(self, *arguments: Any) -> Any:
        """The value at a time (and for a column), with its unit."""
        return self._value(*arguments)

    def _value(self, *arguments: Any) -> Any:
        if len(arguments) != self.values.ndim:
            raise TypeError(f"this TimedArray is a function of {'the time' if self.values.ndim == 1 else 'the time and a column'}")
        times = seconds_array(arguments[0], "the time of a TimedArray").astype(float)
        row = np.clip(prelude("python")["table_row"](times, defaultclock.dt_, self.dt), 0, len(self.values) - 1)
        if self.values.ndim == 1:
            found = self.values[row]
        else:
            column = np.asarray(arguments[1]).astype(np.int64)
            inside = (column >= 0) & (column < self.values.shape[1])
            found = np.where(inside, self.values[row, np.where(inside, column, 0)], np.nan)
        return found[()] if self.dim.is_dimensionless else Quantity(found, self.dim)

    def is_locally_constant(self, dt: object) -> bool:
        """Whether no value ends within a step of `dt`: its own dt is a multiple of that."""
        step = float(asarray_si(dt))
        return step <= self.dt and float(np.floor(self.dt / step)) == self.dt / step

    def specify(self, name: str, owner: VariableOwner) -> Specified:
        """The function as the texts of `owner` see it under this name."""
        stem = f"_{owner.name}__{name}"
        steady = self.is_locally_constant(owner.clock.dt_)
        spec, numbers = table_function(name, stem, self.dt, self.values.shape, self.dim, steady)
        return Specified(spec, dict(numbers), {stem: self.values.ravel()})

    def __repr__(self) -> str:
        return f"<TimedArray {self.name!r}: {' x '.join(map(str, self.values.shape))} values, one every {Quantity(self.dt, UNITS['second'])!r}>"
