"""`BinomialFunction`: binomial random numbers in equations and code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from codegen.dims import DIMENSIONLESS
from codegen.expr import Binary, Cast, DType, Expr, Number
from codegen.functions import FunctionSpec, Signature, call

from .functions import Function, Specified

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["BinomialFunction"]


@dataclass(frozen=True, slots=True)
class BinomialDraw:
    """A draw, or with `approximate` its normal approximation where that is good."""

    n: int
    p: float
    approximate: bool

    def __call__(self, arguments: tuple[Expr, ...]) -> Expr:
        mean, others = self.n * self.p, self.n * (1 - self.p)
        if self.approximate and mean > 5 and others > 5:
            width = float(np.sqrt(mean * (1 - self.p)))
            return Binary("+", Number(mean), Binary("*", Number(width), call("randn")))
        return Cast(DType.FLOAT, call("_binomial", Number(self.n), Number(self.p)))


class BinomialFunction(Function):
    """Binomial random numbers: a function without arguments that equations and code can call.

    Parameters
    ----------
    n : int
        Number of trials.
    p : float
        Probability of each.
    approximate : bool
        Draw from the normal distribution with the same mean and variance where `n*p` and `n*(1 - p)` are above 5.
    name : str
        Accepted, as in Brian.

    Raises
    ------
    ValueError
        For a negative number of trials, or a p that is no probability.

    Examples
    --------
    >>> from brianlike import *
    >>> events = BinomialFunction(10, 1.0)
    >>> G = NeuronGroup(3, 'x : 1')
    >>> G.x = 'events()'
    >>> G.x[:]
    array([10., 10., 10.])
    """

    def __init__(self, n: int, p: float, approximate: bool = True, name: str = "_binomial*"):
        if int(n) != n or n < 0:
            raise ValueError(f"the number of trials must be a whole number from 0, not {n!r}")
        if not 0 <= p <= 1:
            raise ValueError(f"a probability is from 0 to 1, not {p!r}")
        self.n, self.p, self.approximate, self.name = int(n), float(p), bool(approximate), name.removesuffix("*")
        Function.__init__(self, self._draw, arg_units=[], return_unit=1, return_type="float", stateless=False)

    def _draw(self) -> float:
        mean, others = self.n * self.p, self.n * (1 - self.p)
        if self.approximate and mean > 5 and others > 5:
            return float(np.random.normal(mean, np.sqrt(mean * (1 - self.p))))
        return float(np.random.binomial(self.n, self.p))

    def specify(self, name: str, owner: VariableOwner) -> Specified:
        """The function as the texts of `owner` see it under this name."""
        definition = BinomialDraw(self.n, self.p, self.approximate)
        return Specified(FunctionSpec(name, 0, {}, dimensions=Signature((), (), DIMENSIONLESS), stateless=False, definition=definition))
