"""Names of Brian's that are other things here: base classes for `isinstance`, tables of units and constants, and what tidies up."""

from __future__ import annotations

import gc
import sys
from typing import NoReturn

from codegen.dims import UNITS
from codegen.functions import CONSTANTS

from . import all_units, units
from .build import cache_folder, empty_cache
from .clocks import defaultclock
from .groups import Group as NeuronsOfAnyKind
from .objects import SimulationObject
from .preferences import prefs
from .state import VariableOwner as VariableOwner

BrianObject = Nameable = Trackable = SimulationObject
Group = VariableOwner
SpikeSource = NeuronsOfAnyKind

DEFAULT_UNITS = {
    **{name: unit for module in (all_units, units) for name, unit in vars(module).items() if isinstance(unit, units.Unit)},
    **{name: getattr(units, name, None) or units.Unit.create(dims, name) for name, dims in UNITS.items()},
}
"""The units that texts may name."""
DEFAULT_CONSTANTS = dict(CONSTANTS)
"""The constants that equations may name."""

__all__ = [
    "BrianObject",
    "DEFAULT_CONSTANTS",
    "DEFAULT_UNITS",
    "Group",
    "Nameable",
    "SpikeSource",
    "Trackable",
    "VariableOwner",
    "clear_cache",
    "restore_initial_state",
    "test",
]


def restore_initial_state() -> None:
    """Give preferences and the step of `defaultclock` the values they had when the program began."""
    prefs.reset_to_defaults()
    defaultclock.dt = 0.1 * units.ms
    gc.collect()


def clear_cache(target: str) -> None:
    """Delete the compiled code that is kept between programs.

    Parameters
    ----------
    target : str
        `'cython'`.

    Raises
    ------
    ValueError
        For a target that keeps nothing.
    """
    if target != "cython":
        raise ValueError(f"there is no cache for {target!r}; compiled code is kept for 'cython' only")
    empty_cache(cache_folder())


def test(*arguments: object, **keywords: object) -> NoReturn:
    """Says how to run the tests: they are part of the source, not of what is installed."""
    raise NotImplementedError(f"run the tests in a copy of the source, with `{sys.executable} -m pytest`")
