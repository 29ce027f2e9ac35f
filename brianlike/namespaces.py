"""Where the names in a user's text get their values when the model itself does not define them."""

from __future__ import annotations

import sys
from collections import ChainMap
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any

import numpy as np

from codegen.dims import DIMENSIONLESS, Dimensions
from codegen.functions import CONSTANTS
from codegen.resolve import unit_external, unit_value

from ._runtime import instances
from .logger import get_logger
from .units import asarray_si, get_dimensions

__all__ = ["caller_namespace", "externals", "get_local_namespace"]

_LOG = get_logger(__name__)
_WARNED: set[str] = set()
_OWN = (__name__.partition(".")[0], Dimensions.__module__.partition(".")[0])  # the packages whose frames are not the user's


def caller_namespace(level: int = 0) -> Mapping[str, object]:
    """The names visible in the code that called into this package, local ones first: the caller's own tables, not copies of their thousand names.

    Frames of the package itself do not count, so `level=0` is the user's own frame from however deep inside it is asked; `level=1` is the caller of that.
    """
    frame = _caller(level)
    return frame.f_globals if frame.f_locals is frame.f_globals else ChainMap(frame.f_locals, frame.f_globals)


def caller_instances(kind: type, level: int = 0) -> list[Any]:
    """The objects of a class that names visible in the calling code stand for, also those of global names that local ones hide."""
    frame = _caller(level)
    return [*instances(frame.f_globals.values(), kind), *instances(frame.f_locals.values(), kind)]


def _caller(level: int) -> FrameType:
    frame = sys._getframe(2)
    while frame.f_back is not None and _is_own(frame.f_globals):
        frame = frame.f_back
    for _ in range(level):
        if frame.f_back is None:
            raise ValueError(f"level={level} is above the outermost frame")
        frame = frame.f_back
    return frame


def _is_own(module: Mapping[str, object]) -> bool:
    return str(module.get("__name__", "")).partition(".")[0] in _OWN


def get_local_namespace(level: int = 0) -> dict[str, object]:
    """The names visible to the caller, to be passed on as `namespace=`; `level=1` is the caller's caller."""
    return dict(caller_namespace(level))


def externals(names: Iterable[str], group_namespace: Mapping[str, object] | None, run_namespace: Mapping[str, object]) -> dict[str, tuple[float, Dimensions]]:
    """The value (SI) and dimensions of each name that is known.

    Constants and units come first, then the object's own `namespace=`, then that of the run. Names found nowhere are left out: the compiler reports them
    with a caret. True and False keep their type.

    Raises
    ------
    TypeError
        If a name stands for something that is not one number.
    """
    found: dict[str, tuple[float, Dimensions]] = {}
    for name in names:
        own = _built_in(name)
        if own is not None:
            _warn_of_conflict(name, own, group_namespace, run_namespace)
            found[name] = own
            continue
        for namespace in (group_namespace, run_namespace):
            if namespace is not None and name in namespace:
                found[name] = constant(name, namespace[name])
                break
    return found


def _built_in(name: str) -> tuple[float, Dimensions] | None:
    if name in CONSTANTS:
        return CONSTANTS[name], DIMENSIONLESS
    unit = unit_external(name)
    return None if unit is None else (unit_value(name), unit.dimensions)


def constant(name: str, value: object) -> tuple[float, Dimensions]:
    """One external value as an SI number and its dimensions."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value), DIMENSIONLESS
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0):
        raise TypeError(
            f"`{name}` is an array of shape {np.shape(value)}, but constants of equations are single numbers; "
            f"give every element its own value through a parameter `{name} : ... (constant)`"
        )
    if isinstance(value, str) or not isinstance(value, (int, float, np.number, np.ndarray)) and getattr(value, "dimensions", None) is None:
        raise TypeError(f"`{name}` is {_article(type(value).__name__)}, not a number; rename it, or give its value in namespace=")
    try:
        dims, number = get_dimensions(value), asarray_si(value)
    except TypeError as error:
        raise TypeError(f"`{name}` cannot be a constant of equations: {error}") from None
    if number.ndim != 0 or np.iscomplexobj(number):
        raise TypeError(f"`{name}` must be one real number to be a constant of equations, not {value!r}")
    return float(number), dims


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _warn_of_conflict(name: str, own: tuple[float, Dimensions], *namespaces: Mapping[str, object] | None) -> None:
    """Say once that a constant or unit hides a number of the user's with the same name."""
    if name in _WARNED:
        return
    for namespace in namespaces:
        other = None if namespace is None else namespace.get(name)
        if other is None:
            continue
        try:
            differs = constant(name, other) != own
        except TypeError:  # what cannot be a constant cannot be meant
            continue
        if differs:
            _WARNED.add(name)
            text = f"`{name}` in equations is the built-in constant or unit, not your variable of that name ({other!r}); rename the variable"
            _LOG.warn(text, "resolution_conflict")
            return
