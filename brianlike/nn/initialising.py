"""With what a learned variable begins: its values, which elements share one, their unit, signs and mask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from codegen.dims import DIMENSIONLESS, SCALES, unit_name
from codegen.ir import Role

from ..synapses import Synapses
from ..units import DimensionMismatchError, Quantity, asarray_si, get_dimensions
from ..views import evaluated

if TYPE_CHECKING:
    from .parameters import Learn

Namespace = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Start:
    """What a parameter begins with.

    Parameters
    ----------
    shape : of the parameter.
    values : in SI units, one for each number of the parameter, flat.
    scale : the unit in which the parameter is held, in SI.
    share : for each element of the variable, which number of the parameter it has; None if each has its own.
    sign : +1 or -1 for each number, or None.
    mask : which numbers are not structurally 0, or None.
    """

    shape: tuple[int, ...]
    values: np.ndarray
    scale: float
    share: np.ndarray | None = None
    sign: np.ndarray | None = None
    mask: np.ndarray | None = None


def start_of(learn: Learn, namespace: Namespace) -> Start:
    """Evaluate what the user gave; ValueError, with the element, if it cannot be right."""
    share, shape = shares(learn, namespace)
    mask = None if learn.mask is None else _conditions(learn, learn.mask, namespace)
    unit = None if learn.unit is None else _unit(learn)
    values = _values(learn, namespace, share, shape, unit)
    _check_values(learn, values, mask, share)
    scale = _scale(learn, values) if unit is None else unit
    sign = None if learn.sign is None else _signs(learn, values, namespace, share)
    return Start(shape, values, scale, share, sign, mask)


# --------------------------------------------------------------------------------------------------------------------------------------------- sharing
def shares(learn: Learn, namespace: Namespace) -> tuple[np.ndarray | None, tuple[int, ...]]:
    """Which number of the parameter each element has (None: its own), and the shape of the parameter."""
    size = len(learn.owner.state[learn.stored])
    match learn.share:
        case None:
            return None, _own_shape(learn, size)
        case np.ndarray():  # before the names, which numpy would compare with every element
            labels = learn.share.reshape(-1)
        case "all":
            labels = np.zeros(size, np.int64)
        case "source" | "target":
            if not isinstance(learn.owner, Synapses) or learn.declaration.shared:
                raise ValueError(f"share={learn.share!r} of {learn.where}: only a value of every synapse has a source and a target")
            labels = learn.owner.state["i" if learn.share == "source" else "j"]
        case "channel":
            raise ValueError(
                f"share='channel' of {learn.where}: the neurons of {learn.owner.name!r} have no channels. "
                "Make a NeuronModule((channels, height, width), ...), or give an expression that is equal within a channel, such as share='i // 100'"
            )
        case str(text):
            labels = np.broadcast_to(_text(learn, text, namespace), (size,))
        case given:
            labels = np.asarray(given).reshape(-1)
    if labels.shape != (size,) or labels.dtype.kind not in "biuf":
        raise ValueError(f"share of {learn.where} must give one number for each of its {size} elements, not the shape {np.shape(learn.share)}")
    distinct, index = np.unique(labels, return_inverse=True)
    return index.reshape(-1).astype(np.int64), (len(distinct),)


def _own_shape(learn: Learn, size: int) -> tuple[int, ...]:
    """Full connectivity gives (pre, post), so that torch.nn.init can see fan-in and fan-out; everything else is flat."""
    owner = learn.owner
    if isinstance(owner, Synapses) and not learn.declaration.shared and is_full(owner):
        return len(owner.source), len(owner.target)
    return (size,)


def is_full(synapses: Synapses) -> bool:
    """Whether every neuron reaches every other once, in the order of `connect()` without arguments."""
    n_pre, n_post = len(synapses.source), len(synapses.target)
    if len(synapses) != n_pre * n_post:
        return False
    i, j = synapses.state["i"].reshape(n_pre, n_post), synapses.state["j"].reshape(n_pre, n_post)
    return bool((i == np.arange(n_pre)[:, None]).all() and (j == np.arange(n_post)).all())


def _firsts(share: np.ndarray) -> np.ndarray:
    """The first element that has each number."""
    return np.unique(share, return_index=True)[1]


# ---------------------------------------------------------------------------------------------------------------------------------------------- values
def _values(learn: Learn, namespace: Namespace, share: np.ndarray | None, shape: tuple[int, ...], unit: float | None) -> np.ndarray:
    """The numbers of the parameter in SI units, flat."""
    count = math.prod(shape)
    init = learn.init
    if isinstance(init, torch.distributions.Distribution) or (callable(init) and not isinstance(init, np.ndarray)):
        if unit is None and learn.declaration.dimensions != DIMENSIONLESS:
            hint = f"give Learn(..., unit=...) in {unit_name(learn.declaration.dimensions)}"
            raise ValueError(f"{learn.where} has a unit, and what init= gives has none: {hint}, in which it is meant")
        drawn = _drawn(init, shape, learn.where)
        return drawn.reshape(-1) * (1.0 if unit is None else unit)
    if init is None:
        elements = np.array(learn.owner.state[learn.stored], dtype=np.float64)
        return elements if share is None else _alike(learn, elements, share)
    if isinstance(init, str):
        size = len(learn.owner.state[learn.stored])
        elements = np.array(np.broadcast_to(_text(learn, init, namespace, learn.declaration.dimensions), (size,)), np.float64)
        return elements if share is None else elements[_firsts(share)]
    given = _checked_units(learn, init).reshape(-1)
    if share is not None and given.size == len(share) != count:
        return _alike(learn, given, share)
    try:
        return np.broadcast_to(given, (count,)).copy()
    except ValueError:
        raise ValueError(f"init of {learn.where} has the shape {np.shape(init)}, but the parameter has the shape {shape}") from None


def _drawn(init: Any, shape: tuple[int, ...], where: str) -> np.ndarray:
    """Values from a distribution of torch, or from a function such as those of `torch.nn.init`, which fill a tensor or return another."""
    if isinstance(init, torch.distributions.Distribution):
        return np.asarray(init.expand(shape).sample().to(torch.float64))
    empty = torch.zeros(shape, dtype=torch.float64)
    with torch.no_grad():
        found = init(empty)
    result = empty if found is None else torch.as_tensor(found)
    if result.shape != shape:
        raise ValueError(f"init of {where} gave the shape {tuple(result.shape)}, but the parameter has the shape {shape}")
    return np.asarray(result.detach().to(torch.float64))


def _text(learn: Learn, text: str, namespace: Namespace, dimensions: Any = None, condition: bool = False) -> np.ndarray:
    """An expression of the user's for every element, as an assignment to the variable would evaluate it."""
    owner, size = learn.owner, len(learn.owner.state[learn.stored])
    owner._ready()
    return evaluated(text, owner, slice(0, size), namespace, expect_boolean=condition, dimensions=dimensions)


def _alike(learn: Learn, elements: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The number of each share, in which all elements must have the same."""
    first = elements[_firsts(share)]
    different = np.flatnonzero(elements != first[share])
    if different.size and np.isfinite(elements).all():
        bad = int(different[0])
        raise ValueError(
            f"{learn.where} of element {bad} is {Quantity(elements[bad], learn.declaration.dimensions)}, but it shares one number with others that are "
            f"{Quantity(first[share[bad]], learn.declaration.dimensions)} (share={learn.share!r}). Set both alike, or give init="
        )
    return first


def _check_values(learn: Learn, values: np.ndarray, mask: np.ndarray | None, share: np.ndarray | None) -> None:
    kept = np.ones(len(values), bool) if mask is None else mask
    wrong = np.flatnonzero(~np.isfinite(values) & kept)
    if wrong.size:
        bad = int(wrong[0])
        raise ValueError(
            f"{learn.where} of element {bad} is {values[bad]}: initial values must be finite; set {learn.where} (or init=) before making the module"
        )
    if learn.declaration.role is Role.PARAMETER and not learn.is_delay and not values[kept].any():
        raise ValueError(f"{learn.where} is 0 everywhere: it was never set. Set it, for example {learn.where} = ..., or give Learn(init=...)")


def _checked_units(learn: Learn, value: Any) -> np.ndarray:
    dims, wanted = get_dimensions(value), learn.declaration.dimensions
    if dims != wanted:
        raise DimensionMismatchError(f"init of {learn.where} must be in {unit_name(wanted)}", dims, wanted)
    return np.asarray(asarray_si(value), dtype=np.float64)


def _unit(learn: Learn) -> float:
    wanted = learn.declaration.dimensions
    if get_dimensions(learn.unit) != wanted:
        raise DimensionMismatchError(f"unit of {learn.array} must be in {unit_name(wanted)}, not {learn.unit!r}", get_dimensions(learn.unit), wanted)
    return float(asarray_si(learn.unit))


def _scale(learn: Learn, values: np.ndarray) -> float:
    """The SI unit with the prefix that suits the median."""
    wanted = learn.declaration.dimensions
    if wanted == DIMENSIONLESS:
        return 1.0
    typical = max(float(np.median(np.abs(values))), learn.step if learn.is_delay else 0.0)
    prefixes = sorted({scale for scale, dims in SCALES.values() if dims == wanted and math.log10(scale) % 3 < 1e-9} | {1.0})
    fitting = [scale for scale in prefixes if scale <= typical * (1 + 1e-9)]
    return fitting[-1] if fitting and typical > 0 else 1.0


# ------------------------------------------------------------------------------------------------------------------------------------- signs and masks
def _conditions(learn: Learn, given: Any, namespace: Namespace) -> np.ndarray:
    """A truth value for each element."""
    size = len(learn.owner.state[learn.stored])
    if learn.share is not None:
        raise ValueError(f"{learn.where}: mask= and share= cannot go together; a mask is one truth value for each element")
    if given is True:
        return np.ones(size, bool)
    found = _text(learn, given, namespace, condition=True) if isinstance(given, str) else np.asarray(given)
    if found.dtype.kind != "b" or found.size not in (1, size):
        raise ValueError(f"mask of {learn.where} must be an array of {size} truth values or a condition, not {given!r}")
    result: np.ndarray = np.broadcast_to(found.reshape(-1), (size,)).copy()
    if not result.any():
        raise ValueError(f"mask of {learn.where} is False everywhere, so that nothing is left to learn")
    return result


def _signs(learn: Learn, values: np.ndarray, namespace: Namespace, share: np.ndarray | None) -> np.ndarray:
    """+1 or -1 for each number of the parameter."""
    size = len(learn.owner.state[learn.stored])
    if isinstance(learn.sign, str) and learn.sign == "source":
        return _signs_of_sources(learn, values, share)
    given = _text(learn, learn.sign, namespace) if isinstance(learn.sign, str) else np.asarray(learn.sign, np.float64)
    if isinstance(learn.owner, Synapses) and not learn.declaration.shared and given.ndim == 1 and given.size == len(learn.owner.source) != size:
        given = given[learn.owner.state["i"]]
    if given.size not in (1, size) or not np.isin(given, (-1, 1)).all():
        raise ValueError(f"sign of {learn.where} must be 1, -1, 'source', an array of these for each source or synapse, or an expression, not {learn.sign!r}")
    elements = np.broadcast_to(given.reshape(-1), (size,)).astype(np.float64)
    return elements.copy() if share is None else _alike(learn, elements, share)


def _signs_of_sources(learn: Learn, values: np.ndarray, share: np.ndarray | None) -> np.ndarray:
    """The sign of each source neuron, read off its first values (Dale's law)."""
    if not isinstance(learn.owner, Synapses) or learn.declaration.shared:
        raise ValueError(f"sign='source' of {learn.where}: only a value of every synapse has a source; give 1 or -1")
    elements = values if share is None else values[share]
    sources, count = learn.owner.state["i"], len(learn.owner.source)
    positive = np.bincount(sources[elements > 0], minlength=count) > 0
    negative = np.bincount(sources[elements < 0], minlength=count) > 0
    mixed, unknown = np.flatnonzero(positive & negative), np.flatnonzero(~positive & ~negative & (np.bincount(sources, minlength=count) > 0))
    if mixed.size:
        raise ValueError(f"{learn.where}: source {mixed[0]} has values of both signs, so sign='source' cannot tell which it keeps; set values of one sign")
    if unknown.size:
        raise ValueError(f"{learn.where}: the values of source {unknown[0]} are all 0, so sign='source' cannot tell its sign; give sign= as an array")
    signs = np.where(negative, -1.0, 1.0)[sources]
    return signs if share is None else _alike(learn, signs, share)
