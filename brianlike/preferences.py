"""`prefs`: the few settings of the simulator, with Brian's names. They live in the running program; no file is ever read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

__all__ = ["PreferenceError", "Preferences", "prefs"]


class PreferenceError(Exception):
    """A preference that does not exist, or a value that it cannot take."""


@dataclass(frozen=True, slots=True)
class Preference:
    """One setting: `convert` returns the value in its normal form, or raises ValueError with what would be accepted."""

    default: object
    convert: Callable[[object], object]
    doc: str


def _one_of(*accepted: str) -> Callable[[object], object]:
    def convert(value: object) -> object:
        if not isinstance(value, str) or value not in accepted:
            raise ValueError(" or ".join(map(repr, accepted)))
        return value

    return convert


def _count(value: object) -> object:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError("a whole number from 1")
    return int(value)


def _float_type(value: object) -> object:
    for accepted in (np.float64, np.float32):
        # None would be float64 for numpy.
        if value is accepted or (value is not None and value in (accepted.__name__, np.dtype(accepted))):
            return accepted
    raise ValueError("numpy.float64 or numpy.float32")


PREFERENCES: dict[str, Preference] = {
    "codegen.target": Preference("auto", _one_of("auto", "numpy", "cython"), "what runs a simulation; auto takes cython where a compiler works"),
    "core.default_float_dtype": Preference(np.float64, _float_type, "the type of floating point state, for objects created from now on"),
    "core.threads": Preference(1, _count, "how many threads a simulation uses; results do not depend on it"),
    "core.on_invalid": Preference("warn", _one_of("warn", "raise"), "what happens when a variable becomes NaN or overflows"),
}


class Preferences:
    """The settings, by item (`prefs['core.threads']`) or attribute (`prefs.core.threads`).

    Examples
    --------
    >>> prefs.core.threads = 2
    >>> prefs["core.threads"]
    2
    >>> prefs.reset_to_defaults()
    >>> prefs.core.threads
    1
    """

    __slots__ = ("_values",)
    _values: dict[str, object]

    def __init__(self) -> None:
        object.__setattr__(self, "_values", {})
        self.reset_to_defaults()

    def reset_to_defaults(self) -> None:
        """Give every setting the value it had when the program began."""
        self._values.clear()
        self._values.update({name: preference.default for name, preference in PREFERENCES.items()})

    def __getitem__(self, name: str) -> Any:
        _require(name)
        return self._values[name]

    def __setitem__(self, name: str, value: object) -> None:
        _require(name)
        try:
            self._values[name] = PREFERENCES[name].convert(value)
        except ValueError as error:
            raise PreferenceError(f"preference {name!r} cannot be {value!r}; it takes {error}") from None

    def __getattr__(self, section: str) -> _Section:
        if not section.startswith("_") and any(name.startswith(section + ".") for name in PREFERENCES):
            return _Section(self, section)
        raise AttributeError(_unknown(section))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(_unknown(name))

    def __contains__(self, name: object) -> bool:
        return name in PREFERENCES

    def __iter__(self) -> Iterator[str]:
        return iter(PREFERENCES)

    def __len__(self) -> int:
        return len(PREFERENCES)

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *sorted({name.split(".")[0] for name in PREFERENCES})]

    def __repr__(self) -> str:
        return "\n".join(f"{name} = {_show(value)}  # {PREFERENCES[name].doc}" for name, value in self._values.items())


class _Section:
    """`prefs.core`: the settings whose names begin with `core.`"""

    __slots__ = ("_owner", "_prefix")
    _owner: Preferences
    _prefix: str

    def __init__(self, owner: Preferences, prefix: str):
        object.__setattr__(self, "_owner", owner)
        object.__setattr__(self, "_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        full = f"{self._prefix}.{name}"
        if full not in PREFERENCES:
            raise AttributeError(_unknown(full))
        return self._owner[full]

    def __setattr__(self, name: str, value: object) -> None:
        self._owner[f"{self._prefix}.{name}"] = value

    def __dir__(self) -> list[str]:
        return [name.split(".", 1)[1] for name in PREFERENCES if name.startswith(self._prefix + ".")]


def _show(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)


def _unknown(name: object) -> str:
    near = get_close_matches(str(name), PREFERENCES, n=3, cutoff=0.5) or list(PREFERENCES)
    return f"there is no preference {name!r}; did you mean {' or '.join(map(repr, near))}?"


def _require(name: object) -> None:
    if name not in PREFERENCES:
        raise PreferenceError(_unknown(name))


prefs = Preferences()
