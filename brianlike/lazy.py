"""Names of a library that is loaded when one of them is first used."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from .units import Quantity

__all__ = ["LazyName", "bare"]


class LazyName:
    """Stands for `name` of `module`, which is imported at the first use: a call, an attribute, an item, `isinstance`, a base class.

    Calls hand quantities over as their numbers in SI units: the library does not know units.

    Parameters
    ----------
    module : str
        Such as `matplotlib.pyplot`.
    name : str, optional
        Left out, the module itself.
    """

    __slots__ = ("_module", "_name", "_found", "__weakref__")
    _found: Any

    def __init__(self, module: str, name: str | None = None):
        for key, value in (("_module", module), ("_name", name), ("_found", self)):
            object.__setattr__(self, key, value)

    def _target(self) -> Any:
        # rcParams and others may be replaced while a program runs, so only the module is remembered.
        if self._found is self:
            object.__setattr__(self, "_found", importlib.import_module(self._module))
        if self._name is None:
            return self._found
        try:
            return getattr(self._found, self._name)
        except AttributeError:
            raise AttributeError(f"the installed {self._module.partition('.')[0]} has no {self._name!r}") from None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._target()(*map(bare, arguments), **{name: bare(value) for name, value in keywords.items()})

    def __getattr__(self, name: str) -> Any:
        # Looking at a name, as notebooks and doctest do, must not load the library.
        if name.startswith("_") and (name in _NOT_ASKED or not name.startswith("__")):
            raise AttributeError(name)
        found = getattr(self._target(), name)
        return LazyName(self._module, name) if self._name is None and callable(found) and not isinstance(found, (type, ModuleType)) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target(), name, value)

    def __getitem__(self, item: Any) -> Any:
        return self._target()[item]

    def __setitem__(self, item: Any, value: Any) -> None:
        self._target()[item] = bare(value)

    def __contains__(self, item: object) -> bool:
        return item in self._target()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._target())

    def __len__(self) -> int:
        return len(self._target())

    def __or__(self, other: Any) -> Any:
        return self._target() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._target()

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self._target())

    def __subclasscheck__(self, value: type) -> bool:
        return issubclass(value, self._target())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._target(),)

    def __dir__(self) -> list[str]:
        return dir(self._target())

    def __repr__(self) -> str:
        return f"<{self._module}{'' if self._name is None else '.' + self._name}, loaded when it is used>"


_NOT_ASKED = frozenset({"__wrapped__", "__file__", "__test__", "__signature__", "__text_signature__", "__module__", "__name__", "__qualname__", "__path__"})


def bare(value: Any) -> Any:
    """`value` with quantities, also views on variables and those in lists, as plain numbers in SI units."""
    if isinstance(value, Quantity):
        return value.view(np.ndarray) if value.ndim else float(value.view(np.ndarray))
    if isinstance(value, list):
        return [bare(item) for item in value]
    if type(value) is tuple:
        return tuple(bare(item) for item in value)
    # Views on the variables of a group have items with units.
    return bare(value[:]) if isinstance(getattr(type(value), "dimensions", None), property) else value
