"""Lets matplotlib draw quantities, as their numbers in SI units, from the moment on when a program loads matplotlib."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from .lazy import bare
from .units import Quantity, Unit

__all__ = ["install"]

_WATCHED = "matplotlib.units"


class _Watch:
    """A finder that waits for matplotlib's table of units and adds ours to it: importing matplotlib for that would take longer than all the rest."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if name != _WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _register(units: Any) -> None:
    class Converter(units.ConversionInterface):
        """Quantities as their numbers in SI units."""

        @staticmethod
        def convert(value: Any, unit: Any, axis: Any) -> Any:
            return bare(value)

    units.registry[Quantity] = units.registry[Unit] = Converter()


def install() -> None:
    """Register with matplotlib if it is loaded, and otherwise when it is."""
    if _WATCHED in sys.modules:
        _register(sys.modules[_WATCHED])
    elif not any(isinstance(finder, _Watch) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch())
