"""`prefs`: the settings of the simulator, with Brian's names. They live in the running program; no file is ever read."""

from __future__ import annotations

import copy
from collections.abc import Iterator, MutableMapping
from difflib import get_close_matches
from typing import Any, NoReturn

from .preference_table import PREFERENCES, BrianPreference

__all__ = ["BrianPreference", "PreferenceError", "Preferences", "brian_prefs", "prefs"]


class PreferenceError(Exception):
    """A preference that does not exist, or a value that it cannot take."""


class Preferences(MutableMapping[str, Any]):
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
        self._values.update({name: copy.copy(preference.default) for name, preference in PREFERENCES.items()})

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if _is_section(name):
            return _Section(self, name)
        _require(name)
        return self._values[name]

    def __setitem__(self, name: str, value: object) -> None:
        _require(name)
        try:
            self._values[name] = PREFERENCES[name].convert(value)
        except ValueError as error:
            raise PreferenceError(f"preference {name!r} cannot be {value!r}; it takes {error}") from None

    def __delitem__(self, name: str) -> NoReturn:
        raise PreferenceError(f"preference {name!r} cannot be removed; prefs.reset_to_defaults() gives all their first values")

    def __getattr__(self, section: str) -> _Section:
        if _is_section(section):
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
        return [*object.__dir__(self), *self.toplevel_categories]

    def __repr__(self) -> str:
        return "\n".join(f"{name} = {_show(value)}  # {PREFERENCES[name].doc}" for name, value in self._values.items())

    @property
    def toplevel_categories(self) -> list[str]:
        """The first parts of the names."""
        return sorted({name.split(".")[0] for name in PREFERENCES})

    @property
    def as_file(self) -> str:
        """All settings and their values, one a line; to be looked at, no file is ever read."""
        return "".join(f"{name} = {_show(value)}\n" for name, value in sorted(self._values.items()))

    @property
    def defaults_as_file(self) -> str:
        """All settings and their first values, one a line."""
        return "".join(f"{name} = {_show(preference.default)}\n" for name, preference in sorted(PREFERENCES.items()))

    def get_documentation(self, basename: str | None = None, link_targets: bool = True) -> str:
        """What each setting is for; only those whose names begin with `basename`, if it is given."""
        chosen = {name: p for name, p in sorted(PREFERENCES.items()) if basename is None or name.startswith(basename + ".")}
        return "\n".join(f"{name} = {_show(preference.default)}\n    {preference.doc}" for name, preference in chosen.items())

    def register_preferences(self, prefbasename: str, prefbasedoc: str, **prefs: BrianPreference) -> None:
        """Add settings `prefbasename.name` of the user's own.

        Parameters
        ----------
        prefbasename : str
            The first part of their names.
        prefbasedoc : str
            What they are for.
        **prefs : BrianPreference
        """
        for name, preference in prefs.items():
            full = f"{prefbasename}.{name}"
            if PREFERENCES.get(full, preference) is not preference or not full.replace(".", "").isidentifier():
                raise PreferenceError(f"{full!r} cannot be registered: such a preference exists already, or it is not a name")
        for name, preference in prefs.items():
            PREFERENCES[f"{prefbasename}.{name}"] = preference
            self._values[f"{prefbasename}.{name}"] = preference.convert(preference.default)

    def check_all_validated(self) -> None:
        """Every value is checked when it is set: nothing to do."""

    do_validation = check_all_validated

    def read_preference_file(self, file: object) -> NoReturn:
        """Refused: set preferences in the script."""
        raise NotImplementedError("preference files are not read: set preferences in the script, as in prefs.core.default_float_dtype = float32")

    def load_preferences(self) -> NoReturn:
        """Refused: set preferences in the script."""
        self.read_preference_file(None)


class _Section(MutableMapping[str, Any]):
    """`prefs.core`: the settings whose names begin with `core.`"""

    __slots__ = ("_owner", "_prefix")
    _owner: Preferences
    _prefix: str

    def __init__(self, owner: Preferences, prefix: str):
        object.__setattr__(self, "_owner", owner)
        object.__setattr__(self, "_prefix", prefix)

    def __getattr__(self, name: str) -> Any:
        full = f"{self._prefix}.{name}"
        if _is_section(full):
            return _Section(self._owner, full)
        if full not in PREFERENCES:
            raise AttributeError(_unknown(full))
        return self._owner[full]

    def __setattr__(self, name: str, value: object) -> None:
        self._owner[f"{self._prefix}.{name}"] = value

    def __getitem__(self, name: str) -> Any:
        return self._owner[f"{self._prefix}.{name}"]

    def __setitem__(self, name: str, value: object) -> None:
        self._owner[f"{self._prefix}.{name}"] = value

    def __delitem__(self, name: str) -> None:
        del self._owner[f"{self._prefix}.{name}"]

    def __iter__(self) -> Iterator[str]:
        return iter(name[len(self._prefix) + 1 :] for name in PREFERENCES if name.startswith(self._prefix + "."))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __dir__(self) -> list[str]:
        return sorted({name.split(".")[0] for name in self})

    def __repr__(self) -> str:
        return "\n".join(f"{self._prefix}.{name} = {_show(value)}" for name, value in self.items())


def _is_section(name: object) -> bool:
    return isinstance(name, str) and not name.startswith("_") and any(full.startswith(name + ".") for full in PREFERENCES)


def _show(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)


def _unknown(name: object) -> str:
    near = get_close_matches(str(name), PREFERENCES, n=3, cutoff=0.5) or list(PREFERENCES)
    return f"there is no preference {name!r}; did you mean {' or '.join(map(repr, near))}?"


def _require(name: object) -> None:
    if name not in PREFERENCES:
        raise PreferenceError(_unknown(name))


prefs = Preferences()
brian_prefs = prefs
