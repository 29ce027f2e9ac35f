"""Values of variables in and out of objects, in several formats: `group.get_states(format=...)`, `group.set_states(...)`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from codegen.functions import CLOCK_NAMES

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["ImportExport"]


class ImportExport(ABC):
    """A format for the values of variables. A subclass gives `name`, `export_data` and `import_data`; `ImportExport.register` makes it known.

    Examples
    --------
    >>> sorted(ImportExport.methods)
    ['dict', 'pandas']
    """

    methods: ClassVar[dict[str, ImportExport]] = {}

    @staticmethod
    def register(importerexporter: ImportExport) -> None:
        """Make a format known under its name.

        Raises
        ------
        ValueError
            If it is no ImportExport object, or another format has that name.
        """
        if not isinstance(importerexporter, ImportExport):
            raise ValueError(f"a format is an object of a subclass of ImportExport, not {type(importerexporter).__name__}")
        if importerexporter.name in ImportExport.methods:
            raise ValueError(f"there is a format {importerexporter.name!r} already; choose another name")
        ImportExport.methods[importerexporter.name] = importerexporter

    @property
    @abstractmethod
    def name(self) -> str:
        """What users write as `format=`."""

    @staticmethod
    @abstractmethod
    def export_data(group: Any, variables: Sequence[str], units: bool = True, level: int = 0) -> Any:
        """Copies of the values of `variables`."""

    @staticmethod
    @abstractmethod
    def import_data(group: Any, data: Any, units: bool = True, level: int = 0) -> None:
        """Give the variables the values in `data`."""


def chosen_format(name: object) -> ImportExport:
    """The format of that name; NotImplementedError if there is none."""
    if not isinstance(name, str) or name not in ImportExport.methods:
        raise NotImplementedError(f"there is no format {name!r}; the formats are {', '.join(map(repr, sorted(ImportExport.methods)))}")
    return ImportExport.methods[name]


def check_writable(group: VariableOwner, names: Sequence[str]) -> None:
    """Refuse values of variables that cannot be set, before any is."""
    for name in names:
        if name in CLOCK_NAMES or not group.view(name).writable:
            raise TypeError(f"{name!r} of {group.name!r} is read-only; get_states(read_only_variables=False) leaves such variables out")


class _Dictionaries(ImportExport):
    """A dict from names to arrays or quantities."""

    @property
    def name(self) -> str:
        return "dict"

    @staticmethod
    def export_data(group: Any, variables: Sequence[str], units: bool = True, level: int = 0) -> dict[str, Any]:
        return {name: _value(group, name, units, level) for name in variables}

    @staticmethod
    def import_data(group: Any, data: Mapping[str, Any], units: bool = True, level: int = 0) -> None:
        check_writable(group, list(data))
        for name, value in data.items():
            group.view(name if units else name + "_").set_item(slice(None), value, level)


class _DataFrames(ImportExport):
    """A pandas DataFrame with one row for each element, in SI units."""

    @property
    def name(self) -> str:
        return "pandas"

    @staticmethod
    def export_data(group: Any, variables: Sequence[str], units: bool = True, level: int = 0) -> Any:
        try:
            import pandas
        except ImportError as error:
            raise ImportError(f"format='pandas' needs the package pandas, which cannot be imported: {error}") from error
        _refuse_units(units)
        return pandas.DataFrame(_Dictionaries.export_data(group, variables, units=False, level=level), index=_rows(group))

    @staticmethod
    def import_data(group: Any, data: Any, units: bool = True, level: int = 0) -> None:
        _refuse_units(units)
        check_writable(group, list(data.columns))
        for name in data.columns:
            values, view = data[name].to_numpy(), group.view(name + "_")
            view.set_item(slice(None), values[0] if group.variable(name).shared and len(values) else values, level)


def _rows(group: Any) -> Any:
    return range(len(group))


def _refuse_units(units: bool) -> None:
    if units:
        raise NotImplementedError("a pandas DataFrame has no units: write units=False to get or give plain SI numbers")


def _value(group: Any, name: str, units: bool, level: int) -> Any:
    """A copy of the values of a variable, also of those that belong to the clock."""
    if name in CLOCK_NAMES:
        clock = group.clock
        return {"t": clock.t if units else clock.t_, "dt": clock.dt if units else clock.dt_, "t_in_timesteps": clock.timestep}[name]
    value = group.view(name if units else name + "_").get_item(slice(None), level)
    return value.copy() if isinstance(value, np.ndarray) else value


ImportExport.register(_Dictionaries())
ImportExport.register(_DataFrames())
