"""Weights that make membrane potentials fluctuate as wanted, computed from the equations: the response of the potential to one spike, whatever the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from codegen.dims import UNITS, unit_name
from codegen.expr import DType
from codegen.ir import Role
from codegen.surrogate import TrueGradient

from ..groups import Group, NeuronGroup
from ..inputs import InputGroup
from ..namespaces import caller_namespace
from ..network import Network
from ..subgroups import Subgroup
from ..synapses import Synapses
from ..units import DimensionMismatchError, Quantity, asarray_si, get_dimensions
from .module import NetworkModule
from .recording import Margin

FIRST, LONGEST = 64, 2**15  # steps that are looked at first, and until which a response must have decayed


@dataclass(frozen=True, slots=True)
class Response:
    """What one spike does to neurons at rest, in SI units.

    Attributes
    ----------
    kernel : array, shape (T, N)
        The deviation of each neuron's potential (of `v - v_th`, the two sides of its threshold) after a spike of weight 1 at step 0.
    rest : array, shape (N,)
        The potential (`v - v_th`, or the variable) without input; the distance to threshold is `-rest`.
    dt : float
    """

    kernel: np.ndarray
    rest: np.ndarray
    dt: float

    @property
    def integral(self) -> np.ndarray:
        """The kernel's integral over time: how much the mean rises with `weight*rate`."""
        found: np.ndarray = self.kernel.sum(0) * self.dt
        return found

    @property
    def square(self) -> np.ndarray:
        """The integral of its square: how much the variance rises with `weight**2*rate`."""
        found: np.ndarray = np.square(self.kernel).sum(0) * self.dt
        return found


def linear_response(synapses: Synapses, variable: str = "w", *, of: str | None = None, namespace: Mapping[str, object] | None = None) -> Response:
    """The response of each target neuron's potential to one spike of weight 1, to first order, from rest.

    The target's equations are integrated as in a run, by its own method and step, without spikes of its own, until its initial state has settled; then the
    derivative of all later states by one event is computed along (forward-mode differentiation): exact for linear models, the linearisation at rest for others.

    Parameters
    ----------
    synapses : Synapses
        With one pathway `on_pre` that is proportional to the weight. Other parameters of the synapses count with their mean.
    variable : str
        The weight.
    of : str, optional
        The variable whose response is wanted; by default the two sides of the threshold.
    namespace : dict, optional
        Values of constants in the texts; by default the names visible where this is called.

    Raises
    ------
    ValueError
        If what a spike adds is not proportional to the weight, or the response does not decay.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn
    >>> defaultclock.dt = 0.1*ms
    >>> cells = NeuronGroup(2, 'dv/dt = -v/(10*ms) : 1', threshold='v > 1', reset='v = 0', method='exact')
    >>> S = Synapses(InputGroup(5), cells, 'w : 1', on_pre='v_post += w')
    >>> S.connect()
    >>> bnn.linear_response(S).square.round(4)  # the integral of exp(-2 t/(10 ms)), in seconds
    array([0.005, 0.005])
    """
    names = dict(caller_namespace()) if namespace is None else dict(namespace)
    group = _target(synapses)
    if of is None and not group.model.events:
        raise ValueError(f"{group.name!r} has no threshold: name the variable that shall fluctuate with of=, such as of='v'")
    one = _respond(synapses, group, variable, 1.0, of, names, LONGEST)
    two = _respond(synapses, group, variable, 2.0, of, names, FIRST)
    if not np.allclose(two.kernel, 2 * one.kernel[: len(two.kernel)], rtol=1e-6, atol=1e-9 * np.abs(one.kernel).max()):
        raise ValueError(f"what a spike adds through {synapses.name!r} is not proportional to {variable!r}, so one weight says nothing about others")
    if not one.kernel.any():
        raise ValueError(f"spikes that arrive through {synapses.name!r} do not change {of or 'the threshold condition'} of {group.name!r}")
    return one


def _target(synapses: Synapses) -> NeuronGroup:
    group = synapses.target.source if isinstance(synapses.target, Subgroup) else synapses.target
    if not isinstance(group, NeuronGroup):
        raise TypeError(f"the target of {synapses.name!r} must be a NeuronGroup, not {type(group).__name__}")
    if set(synapses.pathways) != {"pre"}:
        raise ValueError(f"{synapses.name!r} must have one pathway, on_pre, not {', '.join(synapses.pathways) or 'none'}")
    return group


def _probe(synapses: Synapses, group: NeuronGroup, variable: str, weight: float) -> tuple[InputGroup, Synapses]:
    """One input that reaches every target neuron by a synapse like the given ones, of this weight (SI)."""
    declared = {v.name: v for v in synapses.model.variables if v.role is Role.PARAMETER and v.dtype is DType.FLOAT}
    if variable not in declared:
        raise ValueError(f"{synapses.name!r} has no parameter {variable!r}; it has {', '.join(declared) or 'none'}")
    source = InputGroup(1, dt=group.clock.dt)
    probe = Synapses(source, group, str(synapses.equations), on_pre=synapses.pathways["pre"].code, namespace=synapses.namespace)
    source.add_to_magic_network = probe.add_to_magic_network = False
    probe.connect()
    for name in declared:
        values = np.asarray(synapses.state[name], dtype=np.float64)
        probe.state[name][...] = weight if name == variable else values.mean() if values.size else 0.0
    return source, probe


def _respond(synapses: Synapses, group: NeuronGroup, variable: str, weight: float, of: str | None, names: Mapping[str, object], longest: int) -> Response:
    """The response, of as many steps as it takes to decay, or of `longest` if that is fewer than any response takes."""
    source, probe = _probe(synapses, group, variable, weight)
    target: Any = Margin(group) if of is None else (group, of)
    module = NetworkModule(Network(source, group, probe), {"potential": target}, gradient=TrueGradient(), dtype=torch.float64, namespace=names)
    state = _settled(module, source, group)
    steps = FIRST
    with torch.no_grad():
        while steps <= longest:
            with forward_ad.dual_level():
                event = torch.zeros(steps, 1, dtype=torch.float64)
                kick = torch.zeros_like(event)
                kick[0] = 1
                record, _ = _silent(module, source, group, forward_ad.make_dual(event, kick), state)
                potential = forward_ad.unpack_dual(record.potential)
                kernel = np.zeros((steps, len(group))) if potential.tangent is None else potential.tangent.numpy().copy()
                rest = potential.primal[0].numpy().copy()
            power = np.square(kernel)
            if longest == FIRST or power[-steps // 8 :].sum() <= 1e-8 * power.sum():
                return Response(kernel, rest, group.clock.dt_)
            steps *= 2
    raise ValueError(f"the response of {group.name!r} has not decayed after {longest} steps: a potential without a leak has no stationary fluctuations")


def _silent(module: NetworkModule, source: InputGroup, group: Group, events: torch.Tensor, state: Any) -> tuple[Any, Any]:
    """Run without spikes of the group, and with 0 for everything else that is fed from outside."""
    steps = len(events)
    fed = {key: torch.zeros(steps, 1, dtype=torch.float64) for key in module._feeding.inputs}
    force = {group: torch.zeros(steps, len(group), dtype=torch.float64)} if group.model.events else {}
    return module.run(**(fed | {source.name: events}), state=state, force=force)


def _settled(module: NetworkModule, source: InputGroup, group: Group) -> Any:
    """The state in which the potential rests."""
    state, before = None, None
    steps = 256
    for _ in range(LONGEST // steps):
        record, state = _silent(module, source, group, torch.zeros(steps, 1, dtype=torch.float64), state)
        now = record.potential
        moved = (now[-1] - now[0]).abs().max() if before is None else (now[-1] - before).abs().max()
        if moved <= 1e-6 * now.abs().max():
            return state
        before = now[-1]
    raise ValueError(f"{group.name!r} does not come to rest without input within {LONGEST} steps, so it has no fluctuations about a resting state")


def fluctuation_driven(
    synapses: Synapses,
    rate: Any,
    variable: str = "w",
    *,
    xi: float = 1.0,
    deviation: Any = None,
    mean: Any = 0.0,
    share: float = 1.0,
    of: str | None = None,
    namespace: Mapping[str, object] | None = None,
) -> Response:
    """Draw weights such that, for inputs of given rates, the target's membrane potential fluctuates up to its threshold.

    With n synapses of rate nu and the response eps(t) of the potential to one spike of weight 1, weights of mean m and standard deviation s give the
    potential the mean `m*n*nu*integral(eps)` and the variance `(m**2 + s**2)*n*nu*integral(eps**2)`. They are chosen for each target neuron by its own
    in-degree and response, which is computed from its equations (`linear_response`): no model needs a formula of its own.

    Parameters
    ----------
    synapses : Synapses
        Connected already; its weights are replaced. Draws follow `seed`.
    rate : Quantity
        Rate of the sources (Hz): one for all, or one for each source neuron.
    variable : str
        The weight.
    xi : float
        By how many standard deviations the mean potential is below the threshold; from 1 (many spikes) to 3 (few).
    deviation : Quantity, optional
        The standard deviation of the potential itself, instead of `xi`; needed where there is no threshold.
    mean : Quantity
        By how much the mean potential shall differ from rest, in the unit of the potential; 0 for weights with mean 0.
    share : float
        The part of the variance that these synapses make, where several reach the neurons, such as 0.9 for inputs and 0.1 for recurrent ones.
    of : str, optional
        The variable that shall fluctuate; by default the two sides of the threshold.
    namespace : dict, optional
        As for NetworkModule.

    Returns
    -------
    Response
        What the computation used: response and rest of each target neuron.

    Raises
    ------
    ValueError
        If the mean alone makes a larger variance than wanted, or a neuron rests above its threshold.

    Notes
    -----
    Source: J. Rossbroich, J. Gygax and F. Zenke (2022), Fluctuation-driven initialization for spiking neural network training, Neuromorphic Computing and
    Engineering 2:044016.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn
    >>> seed(1)
    >>> defaultclock.dt = 1*ms
    >>> cells = NeuronGroup(50, '''dv/dt = (I - v)/(20*ms) : 1
    ...                            dI/dt = -I/(5*ms) : 1''', threshold='v > 1', reset='v = 0', method='exact')
    >>> S = Synapses(InputGroup(100), cells, 'w : 1', on_pre='I_post += w')
    >>> S.connect()
    >>> response = bnn.fluctuation_driven(S, 10*Hz, xi=2)
    >>> round(float(np.std(S.w)), 1)
    0.7
    """
    names = dict(caller_namespace()) if namespace is None else dict(namespace)
    response = linear_response(synapses, variable, of=of, namespace=names)
    group = _target(synapses)
    declared = group.variable(of) if of is not None else None
    wanted = None if of is None or declared is None else declared.dimensions
    offset = _in_units("mean", mean, wanted)
    if deviation is None and of is not None:
        raise ValueError("of= names a variable, which has no threshold: give the wanted deviation= too")
    sigma = np.broadcast_to((-response.rest - offset) / xi if deviation is None else _in_units("deviation", deviation, wanted), response.rest.shape)
    if not 0 < share <= 1:
        raise ValueError(f"share must be between 0 and 1, not {share!r}")
    if (sigma <= 0).any():
        bad = int(np.flatnonzero(sigma <= 0)[0])
        raise ValueError(f"neuron {bad} of {group.name!r} rests at its threshold or above it, so it spikes without input; give deviation=, or another model")
    to = np.asarray(synapses.state["j"]) + (synapses.target.start if isinstance(synapses.target, Subgroup) else 0)
    arriving = np.bincount(to, weights=_rates(synapses, rate)[np.asarray(synapses.state["i"])], minlength=len(response.rest))
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.where(offset == 0, 0.0, offset / (arriving * response.integral))
        variance = share * sigma**2 / (arriving * response.square) - middle**2
    reached = np.unique(to)
    if (variance[reached] < 0).any():
        bad = int(reached[variance[reached] < 0][0])
        raise ValueError(f"the mean alone gives the potential of neuron {bad} a larger variance than wanted; lower mean=, or raise deviation= (or lower xi=)")
    weights = middle[to] + np.sqrt(variance[to]) * np.random.standard_normal(len(to))
    synapses.state[variable][...] = weights
    return response


def _rates(synapses: Synapses, rate: Any) -> np.ndarray:
    if get_dimensions(rate) != UNITS["hertz"]:
        raise DimensionMismatchError("rate must be in hertz, such as 10*Hz", get_dimensions(rate), UNITS["hertz"])
    values = np.asarray(asarray_si(rate), dtype=np.float64)
    if not (values > 0).all() or values.ndim > 1 or values.size not in (1, len(synapses.source)):
        raise ValueError(f"rate must be above 0: one value, or one for each of the {len(synapses.source)} neurons of {synapses.source.name!r}")
    full: np.ndarray = np.broadcast_to(values, (len(synapses.source),))
    return full


def _in_units(what: str, value: Any, wanted: Any) -> float:
    """SI number; units are checked where they are known."""
    dims = get_dimensions(value)
    number = float(asarray_si(value))
    if wanted is not None and dims != wanted and number != 0:
        raise DimensionMismatchError(f"{what} must be in {unit_name(wanted)}, not {Quantity(number, dims)!r}", dims, wanted)
    return number
