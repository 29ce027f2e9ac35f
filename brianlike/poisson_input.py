"""`PoissonInput`: many independent Poisson sources onto one variable, as one binomial number for each neuron and step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from codegen.dims import UNITS, Dimensions
from codegen.errors import UnsupportedError
from codegen.expr import Access, Binary, Call, Expr, Index
from codegen.grammar import parse_expression
from codegen.ir import Code, Role, Statement, Variable

from .codes import bounds, of_part
from .objects import SimulationObject, choose_name
from .state import VariableOwner
from .units import DimensionMismatchError, Quantity, asarray_si, get_dimensions

__all__ = ["PoissonInput"]

_HERTZ = UNITS["hertz"]
ENOUGH = 5  # expected spikes, and expected silences, above which the number of spikes counts as normal


class PoissonInput(SimulationObject):
    """`N` independent Poisson spike trains of one rate for each neuron of a group; every spike adds `weight` to `target_var`.

    In every step the variable grows by `weight` times a binomial number with `N` trials of probability `rate*dt`; where more than 5 spikes and 5
    silences are expected, by a normal number with the same mean and variance. Neurons whose variable is `unless refractory` miss what comes meanwhile.

    Parameters
    ----------
    target : group
        The neurons, or part of a group.
    target_var : str
        The variable.
    N : int
        Number of spike trains for each neuron.
    rate : Quantity
        Rate of each (Hz).
    weight : Quantity or str
        What a spike adds; a string may use variables of the neurons and `i`.
    when, order : str, int
        Slot of the schedule, and place in it.
    name : str, optional
        `poissoninput`, `poissoninput_1`, ... if left out.

    Raises
    ------
    DimensionMismatchError
        If the weight has other dimensions than the variable, or the rate is none.
    KeyError
        If the group has no such variable.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(2, 'dv/dt = -v/(10*ms) : volt', name='cells')
    >>> P = PoissonInput(G, 'v', N=100, rate=10*Hz, weight=0.1*mV)
    >>> run(10*ms)
    >>> bool((G.v > 0*mV).all())
    True
    """

    def __init__(
        self, target: VariableOwner, target_var: str, N: int, rate: Any, weight: Any, when: str = "synapses", order: int = 0, name: str | None = None
    ) -> None:
        name = choose_name(name, "poissoninput")
        if not isinstance(target, VariableOwner):
            raise TypeError(f"the target of a PoissonInput must be a group, not {type(target).__name__}")
        variable = target.variable(target_var)
        if variable is None:
            raise KeyError(f"{target.name!r} has no variable {target_var!r}")
        self._dt = target.clock.dt_
        self._target, self._target_var, self._weight = target, target_var, weight
        self._N, self._rate = _count(N), _rate(rate)
        self.constants: dict[Variable, float] = bounds(name, target)
        spike = self._spike(name, weight, variable.dimensions)
        self._statement = Statement(target_var, "+=", Binary("*", self._spikes(name), spike, spike.span), spike.span)
        self._register(name, when=when, order=order, clock=target.clock)

    def _constant(self, name: str, value: float, dimensions: Dimensions | None = None) -> Expr:
        """A number that compiled kernels take as an argument."""
        variable = Variable(name, Role.EXTERNAL, shared=True, constant=True)
        if dimensions is not None:
            variable = Variable(name, Role.EXTERNAL, dimensions, shared=True, constant=True)
        self.constants[variable] = value
        return Access(name, Index.SHARED)

    def _spikes(self, name: str) -> Expr:
        """How many spikes come in a step."""
        p = self._rate * self._dt
        mean = self._N * p
        if mean > ENOUGH and self._N - mean > ENOUGH:
            spread = self._constant(f"_{name}_spread", math.sqrt(mean * (1 - p)))
            return Binary("+", self._constant(f"_{name}_mean", mean), Binary("*", spread, Call("randn", ())))
        return Call("_binomial", (self._constant(f"_{name}_trials", float(self._N)), self._constant(f"_{name}_probability", p)))

    def _spike(self, name: str, weight: Any, wanted: Dimensions) -> Expr:
        """What one spike adds."""
        if isinstance(weight, str):
            return parse_expression(weight)
        dimensions = get_dimensions(weight)
        if np.ndim(weight) != 0:
            raise TypeError("the weight of a PoissonInput is one value or a string; for one value a neuron, name a variable of the group in a string")
        if dimensions != wanted:
            text = f"the weight of a PoissonInput does not have the same unit as the target variable {self._target_var!r}"
            raise DimensionMismatchError(text, dimensions, wanted)
        return self._constant(f"_{name}_weight", float(asarray_si(weight)), wanted)

    @property
    def target(self) -> VariableOwner:
        """The neurons."""
        return self._target

    @property
    def target_var(self) -> str:
        """The variable that grows."""
        return self._target_var

    @property
    def N(self) -> int:
        """Number of spike trains for each neuron."""
        return self._N

    @property
    def rate(self) -> Quantity:
        """Rate of each (Hz)."""
        return Quantity(self._rate, _HERTZ)

    @property
    def weight(self) -> object:
        """What a spike adds."""
        return self._weight

    @property
    def parsed(self) -> Code:
        """The statement that the neurons run."""
        if self._target.clock.dt_ != self._dt:
            raise UnsupportedError(f"dt of {self._target.name!r} has changed since {self.name!r} was made", None, "Make the PoissonInput anew.")
        return of_part(Code(self.name, (self._statement,), self.when, self.order), self._target)

    def __repr__(self) -> str:
        return f"<PoissonInput {self.name!r}: {self._N} sources onto {self._target.name}.{self._target_var}>"


def _count(number: Any) -> int:
    if isinstance(number, bool | np.bool_) or np.ndim(number) != 0 or get_dimensions(number) != get_dimensions(1) or int(number) != number or number < 0:
        raise TypeError(f"N of a PoissonInput must be a whole number, not {number!r}")
    return int(number)


def _rate(rate: Any) -> float:
    if isinstance(rate, str) or np.ndim(rate) != 0:
        raise TypeError(f"rate of a PoissonInput must be one rate such as 10*Hz, not {rate!r}")
    dimensions, value = get_dimensions(rate), float(asarray_si(rate))
    if dimensions != _HERTZ and value != 0:
        raise DimensionMismatchError("rate of a PoissonInput must be a rate such as 10*Hz", dimensions, _HERTZ)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"rate of a PoissonInput must be finite and not negative, not {rate!r}")
    return value
