"""The variables of an object as a table: what each is, and its values as stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.dims import Dimensions
from codegen.ir import Role

from .units import Unit, get_unit
from .views import VariableView

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["VariableFacts", "Variables"]


class VariableFacts:
    """What there is to know of a variable.

    Attributes
    ----------
    name : str
    owner : object
        The object that has it.
    """

    def __init__(self, view: VariableView):
        self._view = view
        self.name, self.owner = view.name, view.group

    @property
    def dim(self) -> Dimensions:
        """Its dimensions."""
        return self._view.dimensions

    dimensions = dim

    @property
    def unit(self) -> Unit:
        """Its SI unit."""
        return get_unit(self.dim)

    @property
    def scalar(self) -> bool:
        """Whether all elements share one value."""
        return self._view.variable.shared

    @property
    def size(self) -> int:
        """Number of values."""
        return len(self._view)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.asarray(self.get_value()).dtype

    @property
    def read_only(self) -> bool:
        """Whether it cannot be set."""
        return not self._view.writable

    @property
    def constant(self) -> bool:
        """Whether it does not change in a run."""
        return self._view.variable.constant or self._view.variable.role is Role.INDEX

    def get_value(self) -> Any:
        """A copy of the values, in SI units."""
        return VariableView(self.owner, self._view.variable, units=False)[:]

    def get_value_with_unit(self) -> Any:
        """A copy of the values."""
        return self._view[:]

    def __repr__(self) -> str:
        return f"<VariableFacts {self.owner.name}.{self.name} in {self.unit}>"


class Variables(Mapping[str, VariableFacts]):
    """`owner.variables`: the variables of an object by name.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> G = NeuronGroup(4, "v : volt", name="cells")
    >>> G.variables["v"].unit, G.variables["v"].size, "w" in G.variables
    (volt, 4, False)
    """

    def __init__(self, owner: VariableOwner):
        self._owner = owner

    def __getitem__(self, name: str) -> VariableFacts:
        variable = self._owner.variable(name)
        if variable is None:
            raise KeyError(name)
        return VariableFacts(VariableView(self._owner, variable))

    def __iter__(self) -> Iterator[str]:
        return iter(self._owner.variable_names())

    def __len__(self) -> int:
        return len(self._owner.variable_names())
