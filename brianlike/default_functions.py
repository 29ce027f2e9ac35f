"""The functions that every text may call, as Brian's scripts know them, and where the other functions of a text come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.errors import UnknownNameError
from codegen.expr import Call
from codegen.functions import FUNCTIONS, USER_FUNCTIONS
from codegen.ir import Model
from codegen.resolve import called

from .functions import Function, Specifiable, Specified
from .units import asarray_si, second

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["DEFAULT_FUNCTIONS", "timestep"]

_STRANGER = "Say what it takes and gives: decorate it with `@check_units(x=volt, result=1)`, or make it a `Function(...)`."


def timestep(t: Any, dt: Any) -> Any:
    """The number of the step at time `t`, as equations count: rounding errors below a thousandth of a step do not matter.

    Examples
    --------
    >>> from brianlike.units import ms
    >>> timestep(0.3*ms, 0.1*ms)
    3
    """
    times, step = asarray_si(t), asarray_si(dt)
    steps = ((times + 1e-3 * step) / step).astype(np.int64)
    return int(steps) if steps.ndim == 0 else steps


def _exprel(x: Any) -> Any:
    x = np.asarray(x, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(x == 0, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x))[()]


def _python_of(name: str) -> Callable[..., Any]:
    own: dict[str, Callable[..., Any]] = {
        "int": lambda x: np.asarray(x).astype(np.int32)[()],
        "exprel": _exprel,
        "timestep": timestep,
        "rand": lambda _vectorisation_idx: np.random.rand(*np.shape(_vectorisation_idx)),
        "randn": lambda _vectorisation_idx: np.random.randn(*np.shape(_vectorisation_idx)),
        "poisson": lambda lam, _vectorisation_idx: np.random.poisson(lam, np.shape(_vectorisation_idx) or None),
    }
    return own.get(name) or getattr(np, name)


def _default(name: str) -> Function:
    """Brian's table has an entry for each function of the language; the compiler has its own."""
    spec = FUNCTIONS.get(name)
    count = 1 if spec is None else spec.arity
    units: list[Any] = [second, second] if name == "timestep" else [None] * count
    drawn = spec is not None and spec.draw is not None
    kind = "integer" if name in ("int", "timestep", "poisson") else "float"
    return Function(_python_of(name), arg_units=units, return_unit=1, return_type=kind, stateless=not drawn, auto_vectorise=drawn)


DEFAULT_FUNCTIONS: dict[str, Function] = {name: _default(name) for name in sorted(USER_FUNCTIONS)}
"""The functions that every text may call. An entry that is replaced (or added) is used instead."""
_ORIGINAL = dict(DEFAULT_FUNCTIONS)
ABSENT = object()


def functions_of(model: Model, own: Mapping[str, object] | None, run: Mapping[str, object], owner: VariableOwner) -> dict[str, Specified]:
    """The functions from outside that the texts of a model call, by name; names found nowhere are left out: the compiler reports them with a caret."""
    meanings = {name: (meaning_of(name, own, run), node) for name, node in called(model).items()}
    return {name: _specified(name, meaning, node, owner) for name, (meaning, node) in meanings.items() if meaning is not ABSENT}


def meaning_of(name: str, own: Mapping[str, object] | None, run: Mapping[str, object]) -> object:
    """What a function's name stands for outside; ABSENT for the functions of the language, and where it is found nowhere."""
    default = DEFAULT_FUNCTIONS.get(name)
    if default is not None and default is not _ORIGINAL.get(name):
        return default
    if name not in USER_FUNCTIONS:
        for namespace in (own, run):
            if namespace is not None and name in namespace:
                return namespace[name]
    return ABSENT


def _specified(name: str, value: object, node: Call, owner: VariableOwner) -> Specified:
    if isinstance(value, Specifiable):
        return value.specify(name, owner)
    if callable(value) and hasattr(value, "_arg_units") and getattr(value, "_return_unit", None) is not None:
        return Function(value).specify(name, owner)
    what = "is a function whose units are not known" if callable(value) else f"is not a function, but {value!r}"
    raise UnknownNameError(f"`{name}` {what}", node.span, _STRANGER if callable(value) else f"To multiply, write `{name}*(...)`.")
