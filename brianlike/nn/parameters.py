"""What is learned: variables of the user's objects as torch parameters, in readable units and within bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from codegen.dims import DIMENSIONLESS, SCALES, unit_name
from codegen.expr import DType
from codegen.ir import Role, Variable

from ..groups import Group
from ..state import VariableOwner
from ..synapses import Synapses
from ..units import DimensionMismatchError, Quantity, asarray_si, get_dimensions


@dataclass(frozen=True, slots=True, eq=False)
class Learn:
    """A variable to be learned: a weight, a time constant, any declared parameter, or the initial value of a differential equation's variable.

    Parameters
    ----------
    owner : NeuronGroup or Synapses
        The object that declares the variable.
    variable : str
        Its name. Declared `(shared)` it is one number, else one for each neuron or synapse.
    unit : Quantity, optional
        The unit in which the parameter is held; by default the SI unit with the prefix that suits the median of the initial values.
    bounds : tuple of two Quantities or None, optional
        The values stay strictly between them (a sigmoid of the parameter); with None on one side, above or below the other (a softplus).
    init : array or Quantity, optional
        Initial values; by default those of the object.
    name : str, optional
        Key in the module's state_dict; by default made from the object's place in the network and the variable's name.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn
    >>> G = NeuronGroup(3, '''dv/dt = -v/tau : 1
    ...                       tau : second''', method='exact')
    >>> G.tau = 20*ms
    >>> bnn.Learn(G, 'tau', unit=ms, bounds=(2*ms, 100*ms)).variable
    'tau'
    """

    owner: VariableOwner
    variable: str
    unit: Any = None
    bounds: tuple[Any, Any] | None = None
    init: Any = None
    name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.owner, Group | Synapses):
            raise TypeError(f"Learn takes a group or synapses and the name of a variable, not {self.owner!r}")
        declared = self.owner.variable(self.variable)
        if declared is None or declared.role not in (Role.PARAMETER, Role.STATE):
            known = sorted(v.name for v in self.owner.model.variables if v.role in (Role.PARAMETER, Role.STATE) and v.dtype is DType.FLOAT)
            raise ValueError(
                f"{self.owner.name!r} declares no variable {self.variable!r} that could be learned; it has {', '.join(known) or 'none'}. "
                f"A constant becomes learnable by a line such as `{self.variable} : {unit_name(declared.dimensions) if declared else '1'}` in the equations"
                f"{'.' if declared else ', with its unit for `1`.'}"
            )
        if declared.dtype is not DType.FLOAT:
            raise TypeError(f"{self.owner.name}.{self.variable} is {declared.dtype.value}; only floating point variables can be learned")

    @property
    def declaration(self) -> Variable:
        declared = self.owner.variable(self.variable)
        assert declared is not None
        return declared

    @property
    def array(self) -> str:
        """The name of the array in the compiled Program."""
        return f"{self.owner.name}.{self.variable}"

    def initial(self) -> np.ndarray:
        """Initial values in SI units, flat; errors if they cannot be right."""
        where = f"{self.owner.name}.{self.variable}"
        values = np.array(self.owner.state[self.variable], dtype=np.float64) if self.init is None else self._given()
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"{where} of element {bad} is {values[bad]}: initial values must be finite; set {where} (or init=) before making the module")
        if self.declaration.role is Role.PARAMETER and not values.any():
            raise ValueError(f"{where} is 0 everywhere: it was never set. Set it, for example {where} = ..., or give Learn(init=...)")
        return values

    def _given(self) -> np.ndarray:
        dims, wanted = get_dimensions(self.init), self.declaration.dimensions
        if dims != wanted:
            raise DimensionMismatchError(f"init of {self.owner.name}.{self.variable} must be in {unit_name(wanted)}", dims, wanted)
        shape = self.owner.state[self.variable].shape
        return np.broadcast_to(np.asarray(asarray_si(self.init), dtype=np.float64).reshape(-1), shape).copy()


class Held(nn.Module):
    """One learned variable: `forward()` gives its values in SI units, flat."""

    def __init__(self, learn: Learn, dtype: torch.dtype, device: torch.device | None) -> None:
        super().__init__()
        values = learn.initial()
        self.scale = _scale(learn, values)
        self.learn = learn
        shape = _shape(learn)
        start = torch.tensor(values / self.scale, dtype=dtype, device=device).reshape(shape)
        self.value = nn.Parameter(start)
        transform = _transform(learn, values, self.scale)
        parametrize.register_parametrization(self, "value", transform)

    def forward(self) -> torch.Tensor:
        """The values in SI units, flat."""
        return self.value.reshape(-1) * self.scale

    @property
    def raw(self) -> nn.Parameter:
        """The parameter that the optimiser changes."""
        return self.parametrizations.value.original


def _shape(learn: Learn) -> tuple[int, ...]:
    """Full connectivity gives (pre, post), so that torch.nn.init can see fan-in and fan-out; everything else is flat."""
    owner = learn.owner
    if isinstance(owner, Synapses) and not learn.declaration.shared and is_full(owner):
        return len(owner.source), len(owner.target)
    return (len(owner.state[learn.variable]),)


def is_full(synapses: Synapses) -> bool:
    """Whether every neuron reaches every other once, in the order of `connect()` without arguments."""
    n_pre, n_post = len(synapses.source), len(synapses.target)
    if len(synapses) != n_pre * n_post:
        return False
    i, j = synapses.state["i"].reshape(n_pre, n_post), synapses.state["j"].reshape(n_pre, n_post)
    return bool((i == np.arange(n_pre)[:, None]).all() and (j == np.arange(n_post)).all())


def _scale(learn: Learn, values: np.ndarray) -> float:
    wanted = learn.declaration.dimensions
    if learn.unit is not None:
        if get_dimensions(learn.unit) != wanted:
            raise DimensionMismatchError(f"unit of {learn.array} must be in {unit_name(wanted)}, not {learn.unit!r}", get_dimensions(learn.unit), wanted)
        return float(asarray_si(learn.unit))
    if wanted == DIMENSIONLESS:
        return 1.0
    typical = float(np.median(np.abs(values)))
    prefixes = sorted({scale for scale, dims in SCALES.values() if dims == wanted and math.log10(scale) % 3 < 1e-9} | {1.0})
    fitting = [scale for scale in prefixes if scale <= typical * (1 + 1e-9)]
    return fitting[-1] if fitting and typical > 0 else 1.0


# ---------------------------------------------------------------------------------------------------------------------------------------- transforms
class Identity(nn.Module):
    """The value is the parameter."""

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return raw

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        return value


class Between(nn.Module):
    """`low + (high - low)*sigmoid(raw)`."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return self.low + (self.high - self.low) * torch.sigmoid(raw)

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        return torch.logit((value - self.low) / (self.high - self.low))


class Beyond(nn.Module):
    """`edge + softplus(raw)`, or `edge - softplus(raw)` for an upper bound."""

    def __init__(self, edge: float, sign: float) -> None:
        super().__init__()
        self.edge, self.sign = edge, sign

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        return self.edge + self.sign * -nn.functional.logsigmoid(-raw)  # torch's softplus is off by 2e-9 beyond 20

    def right_inverse(self, value: torch.Tensor) -> torch.Tensor:
        distance = (value - self.edge) * self.sign
        return distance + torch.log(-torch.expm1(-distance))


def _transform(learn: Learn, values: np.ndarray, scale: float) -> nn.Module:
    if learn.bounds is None:
        return Identity()
    low, high = (_bound(learn, b, scale) for b in learn.bounds)
    inside = np.ones(len(values), bool)
    inside &= True if low is None else values / scale > low
    inside &= True if high is None else values / scale < high
    if not inside.all():
        bad = int(np.flatnonzero(~inside)[0])
        value = Quantity(values[bad], learn.declaration.dimensions)
        raise ValueError(f"{learn.array} of element {bad} is {value}, which is not between its bounds {learn.bounds}; set values inside them first")
    if low is not None and high is not None:
        return Between(low, high)
    return Beyond(low, 1.0) if low is not None else Beyond(high, -1.0) if high is not None else Identity()


def _bound(learn: Learn, bound: Any, scale: float) -> float | None:
    if bound is None:
        return None
    value = float(asarray_si(bound))
    if get_dimensions(bound) != learn.declaration.dimensions and value != 0:
        wanted = unit_name(learn.declaration.dimensions)
        raise DimensionMismatchError(f"bounds of {learn.array} must be in {wanted}, not {bound!r}", get_dimensions(bound), learn.declaration.dimensions)
    return value / scale
