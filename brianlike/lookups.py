"""What the names in texts stand for outside, and whether they still stand for it when the next run begins."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codegen.dims import DIMENSIONLESS
from codegen.functions import CONSTANTS
from codegen.ir import Model
from codegen.resolve import called

from .blueprints import Blueprint
from .default_functions import ABSENT, meaning_of
from .timed_arrays import TimedArray
from .units import Quantity

Marks = tuple[dict[str, object], dict[str, object]]
_NUMBERS = (float, int, np.float64)
_MISSING = object()


class Lookup:
    """The names that the texts of one object take from outside.

    Looking a constant up and making a number of it takes much longer than to see that it is the same as at the last run.

    Parameters
    ----------
    model : the resolved model.
    constants : the names of its constants.
    """

    __slots__ = ("constants", "functions", "_seen", "_called")

    def __init__(self, model: Model, constants: tuple[str, ...]) -> None:
        self.constants = tuple(name for name in constants if name not in CONSTANTS)
        self.functions = tuple(called(model))
        self._seen: dict[str, object] = {}
        self._called: dict[str, object] = {}

    def marks(self, own: Mapping[str, object], run: Mapping[str, object]) -> Marks:
        """What tells later whether the names stand for the same, for `keep`."""
        constants = {name: _mark(own[name] if name in own else run.get(name, _MISSING)) for name in self.constants}
        return constants, {name: _function_mark(meaning_of(name, own, run)) for name in self.functions}

    def keep(self, marks: Marks) -> None:
        """Note what the names stand for now."""
        self._seen, self._called = marks

    def same(self, own: Mapping[str, object], run: Mapping[str, object]) -> bool:
        """Whether all names stand for what they stood for; False also where that is not known without a closer look."""
        for name in self.constants:
            value = own[name] if name in own else run.get(name, _MISSING)
            mark = _mark(value)
            if mark is None or mark != self._seen.get(name):
                return False
        for name in self.functions:
            mark = _function_mark(meaning_of(name, own, run))
            if mark is None or mark != self._called.get(name):
                return False
        return True


def _mark(value: object) -> object:
    """Equal for values that are equal constants; None for what needs a closer look. Quantities can change in place, so it holds their numbers."""
    if type(value) in _NUMBERS:
        return value, DIMENSIONLESS
    if isinstance(value, Quantity) and value.ndim == 0:
        return np.ndarray.item(value), value.dimensions
    return None


def _function_mark(value: object) -> object:
    """The same for what texts call."""
    if value is ABSENT:
        return ABSENT
    if type(value) is TimedArray:  # its values may change in place: engines read them anyway
        return Blueprint([value.dt, value.dim], [value, value.values])
    return None
