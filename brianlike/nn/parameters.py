"""What is learned: variables of the user's objects as torch parameters, in readable units and within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize

from codegen.dims import unit_name
from codegen.expr import DType
from codegen.ir import Role, Variable

from ..groups import Group
from ..pathways import delay_name
from ..state import VariableOwner
from ..synapses import Synapses
from ..units import DimensionMismatchError, Quantity, asarray_si, get_dimensions
from .constraints import Clamped, Masked, Signed, constraint
from .initialising import Start, start_of

TRANSFORM, CLAMP = "transform", "clamp"


@dataclass(frozen=True, slots=True, eq=False)
class Learn:
    """A variable to be learned: a weight, a delay, a time constant, any declared parameter, or the initial value of a differential equation's variable.

    Parameters
    ----------
    owner : NeuronGroup or Synapses
        The object that declares the variable.
    variable : str
        Its name. Declared `(shared)` it is one number, else one for each neuron or synapse, unless `share` says otherwise. `'delay'` and
        `'post.delay'` are the delays of pathways.
    unit : Quantity, optional
        The unit in which the parameter is held; by default the SI unit with the prefix that suits the median of the initial values.
    bounds : tuple of two Quantities or None, optional
        Between which the values stay; None on one side leaves it open. With `sign`, bounds of the magnitude.
    init : array, Quantity, str, torch.distributions.Distribution or function, optional
        Initial values; by default those of the object. Text is evaluated as an assignment to the variable would be (`'0.3*randn()'`), with the random
        numbers of `seed`; where elements share a number, it is that of the first of them. A distribution or a function that fills a tensor of the
        parameter's shape (such as those of `torch.nn.init`) gives numbers in `unit`, with the random numbers of torch.
    name : str, optional
        Key in the module's state_dict; by default made from the object's place in the network and the variable's name.
    share : str or array of int, optional
        Which elements have one number in common: `'all'`, those of one `'source'` or `'target'` (synapses), of one `'channel'` (layers), those for which
        an expression is equal (`'i // 100'`), or those of one number in an array.
    sign : 1, -1, 'source', array or str, optional
        The sign that values keep (Dale's law): one for all, that of each source neuron's initial values, one for each source or synapse as an array, or
        an expression such as `'1 - 2*int(i >= 80)'`.
    mask : True, array of bool or str, optional
        Values where it is False are 0 and stay 0. `NetworkModule.mask` gives it back, to be changed while training; True masks nothing at first.
    constrain : 'transform' or 'clamp'
        How bounds and signs are kept: values are a sigmoid or softplus of the parameter, strictly inside; or the parameter is moved back inside after
        every step of the optimiser, by `NetworkModule.clamp_`, and may lie on a bound. Delays are always clamped, at 0 unless bounds say otherwise.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn
    >>> G = NeuronGroup(3, '''dv/dt = -v/tau : 1
    ...                       tau : second''', method='exact')
    >>> G.tau = 20*ms
    >>> bnn.Learn(G, 'tau', unit=ms, bounds=(2*ms, 100*ms)).variable
    'tau'
    >>> bnn.Learn(G, 'tau', share='all', init='10*ms + 5*rand()*ms', bounds=(2*ms, None), constrain='clamp').share
    'all'
    """

    owner: VariableOwner
    variable: str
    unit: Any = None
    bounds: tuple[Any, Any] | None = None
    init: Any = None
    name: str | None = None
    share: Any = field(default=None, kw_only=True)
    sign: Any = field(default=None, kw_only=True)
    mask: Any = field(default=None, kw_only=True)
    constrain: str = field(default=TRANSFORM, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.owner, Group | Synapses):
            raise TypeError(f"Learn takes a group or synapses and the name of a variable, not {self.owner!r}")
        if self.constrain not in (TRANSFORM, CLAMP):
            raise ValueError(f"constrain= of {self.where} must be 'transform' or 'clamp', not {self.constrain!r}")
        if isinstance(self.owner, Synapses) and (self.variable == "delay" or self.variable.endswith(".delay")):
            self._check_delay(self.owner)
            return
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

    def _check_delay(self, owner: Synapses) -> None:
        if self._pathway not in owner.pathways:
            known = ", ".join(map(repr, owner.pathways)) or "none"
            raise ValueError(f"{owner.name!r} has no pathway {self._pathway!r} whose delay could be learned; it has {known}")
        for option in ("sign", "mask"):
            if getattr(self, option) is not None:
                raise ValueError(f"{option}= does not go with a delay ({self.where})")
        owner._delay_view(self._pathway)  # memory for the delays, where there is none yet

    @property
    def is_delay(self) -> bool:
        """Whether it is a delay."""
        return isinstance(self.owner, Synapses) and (self.variable == "delay" or self.variable.endswith(".delay"))

    @property
    def _pathway(self) -> str:
        return "pre" if self.variable == "delay" else self.variable.removesuffix(".delay")

    @property
    def stored(self) -> str:
        """The name under which the object stores the values."""
        return delay_name(self._pathway) if self.is_delay else self.variable

    @property
    def step(self) -> float:
        """The step of the clock that counts a delay, in seconds."""
        assert isinstance(self.owner, Synapses)
        return self.owner.pathways[self._pathway].source.clock.dt_

    @property
    def declaration(self) -> Variable:
        """The declaration of the variable."""
        return self.owner.state.variables[self.stored]

    @property
    def array(self) -> str:
        """The name of the array in the compiled Program."""
        return f"{self.owner.name}.{self._pathway}.delay" if self.is_delay else f"{self.owner.name}.{self.variable}"

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.owner.name}.{self.variable}"


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """For `Learn(init=)`: a parameter as a checkpoint describes it, whose values are still to come."""

    start: Start


class Held(nn.Module):
    """One learned variable: `forward()` gives its values in SI units, flat.

    Attributes
    ----------
    value : the values in their unit, in the shape of the parameter; assigning to it sets the parameter behind them.
    raw : the parameter that the optimiser changes.
    """

    share: torch.Tensor | None

    def __init__(self, learn: Learn, dtype: torch.dtype, device: torch.device | None, namespace: Mapping[str, object]) -> None:
        super().__init__()
        start = learn.init.start if isinstance(learn.init, Stored) else start_of(learn, namespace)
        self.learn, self.scale, self.start = learn, start.scale, start
        values = start.values / start.scale
        kept_by, mask = _constraint(learn, values, start), start.mask
        self.value = nn.Parameter(torch.tensor(values, dtype=dtype, device=device).reshape(start.shape))
        self.register_buffer("share", None if start.share is None else torch.from_numpy(start.share).to(device), persistent=False)
        parametrize.register_parametrization(self, "value", kept_by.to(device=device, dtype=dtype))
        if mask is not None:
            shaped = torch.from_numpy(mask).reshape(start.shape).to(device)
            parametrize.register_parametrization(self, "value", Masked(shaped, float(np.median(values[mask]))))

    def forward(self) -> torch.Tensor:
        """The values in SI units, flat."""
        flat = self.value.reshape(-1) * self.scale
        return flat if self.share is None else flat[self.share]

    @property
    def raw(self) -> nn.Parameter:
        """The parameter that the optimiser changes."""
        return self.parametrizations.value.original

    @property
    def mask(self) -> torch.Tensor | None:
        """Which values are not structurally 0; None without a mask."""
        return next((part.mask for part in self.parametrizations.value if isinstance(part, Masked)), None)

    @torch.no_grad()
    def clamp_(self) -> None:
        """Move the parameter inside its bounds, where they are kept by clamping."""
        for part in self.parametrizations.value:
            if isinstance(part, Clamped | Signed):
                part.clamp_(self.raw)


def _constraint(learn: Learn, values: np.ndarray, start: Start) -> nn.Module:
    """The bounds and signs as a module; ValueError names an initial value that they exclude."""
    low, high = (None, None) if learn.bounds is None else (_bound(learn, bound, start.scale) for bound in learn.bounds)
    transform = learn.constrain == TRANSFORM and not learn.is_delay
    low = 0.0 if low is None and (learn.is_delay or start.sign is not None) else low
    if low is not None and low < 0 and (learn.is_delay or start.sign is not None):
        what = "a delay cannot be negative" if learn.is_delay else "with sign=, bounds are those of the magnitude, which is not negative"
        raise ValueError(f"bounds of {learn.where} begin below 0, but {what}")
    if low is not None and high is not None and not low < high:
        raise ValueError(f"bounds of {learn.where} must be (low, high) with low < high, not {learn.bounds}")
    if not isinstance(learn.init, Stored):
        _check_inside(learn, values, start, low, high, transform)
    found = constraint(low, high, transform)
    return found if start.sign is None else Signed(torch.from_numpy(start.sign).reshape(start.shape), found)


def _check_inside(learn: Learn, values: np.ndarray, start: Start, low: float | None, high: float | None, transform: bool) -> None:
    kept = np.ones(len(values), bool) if start.mask is None else start.mask
    if start.sign is not None:
        wrong = np.flatnonzero((values * start.sign < 0) & kept)
        if wrong.size:
            bad = int(wrong[0])
            value = Quantity(values[bad] * start.scale, learn.declaration.dimensions)
            raise ValueError(f"{learn.where} of element {bad} is {value}, which has not the sign that sign= gives; set values of that sign first")
    size = values if start.sign is None else values * start.sign
    inside = kept.copy()
    if low is not None:
        inside &= size > low if transform else size >= low
    if high is not None:
        inside &= size < high if transform else size <= high
    wrong = np.flatnonzero(~inside & kept)
    if not wrong.size:
        return
    bad = int(wrong[0])
    value = Quantity(values[bad] * start.scale, learn.declaration.dimensions)
    if start.sign is not None and values[bad] == 0:
        hint = "a softplus never gives 0; set another value, leave these synapses out (mask= or connect), or use constrain='clamp'"
        raise ValueError(f"{learn.where} of element {bad} is {value}, which sign= cannot keep: {hint}")
    given = learn.bounds if learn.bounds is not None else (Quantity(0.0, learn.declaration.dimensions), None)
    raise ValueError(f"{learn.where} of element {bad} is {value}, which is not between its bounds {given}; set values inside them first")


def _bound(learn: Learn, bound: Any, scale: float) -> float | None:
    if bound is None:
        return None
    value = float(asarray_si(bound))
    if get_dimensions(bound) != learn.declaration.dimensions and value != 0:
        wanted = unit_name(learn.declaration.dimensions)
        raise DimensionMismatchError(f"bounds of {learn.array} must be in {wanted}, not {bound!r}", get_dimensions(bound), learn.declaration.dimensions)
    return value / scale
