"""Linked variables: `G.x = linked_var(other, 'y')` makes `x` another name for a variable of another group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.dims import unit_name
from codegen.expr import Access, Binary, DType, Expr, Number
from codegen.ir import Role, Variable
from codegen.link import Link

from .units import DimensionMismatchError
from .views import VariableView

if TYPE_CHECKING:
    from .state import VariableOwner

__all__ = ["LinkedVariable", "Target", "linked_var"]


@dataclass(frozen=True, slots=True, eq=False)
class LinkedVariable:
    """What `linked_var` returns: to be assigned to a variable that is declared with the flag `linked`."""

    group: VariableOwner
    name: str
    variable: Variable
    index: Any = None


def linked_var(group_or_variable: VariableOwner | VariableView, name: str | None = None, index: Any = None) -> LinkedVariable:
    """The variable of another group that a variable flagged `linked` stands for.

    Parameters
    ----------
    group_or_variable : group or VariableView
        A group, with `name`, or its variable: `linked_var(G, 'v')` and `linked_var(G.v)` are the same.
    name : str, optional
    index : array of int or str, optional
        For each neuron of the linking group, the neuron of the other one; or the name of an integer variable of the linking group that holds it. Left
        out, both have as many neurons, or the other group has one, or its variable is shared.

    Raises
    ------
    KeyError
        If the group has no such variable.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> G, H = NeuronGroup(3, "v : 1", name="G"), NeuronGroup(3, "x : 1 (linked)", name="H")
    >>> H.x = linked_var(G, "v", index=[2, 2, 0])
    >>> G.v = [1, 2, 3]
    >>> H.x
    <H.x: array([3., 3., 1.])>
    """
    if isinstance(group_or_variable, VariableView):
        if name is not None:
            raise ValueError("linked_var takes either a variable, linked_var(G.v), or a group and a name, linked_var(G, 'v')")
        group, variable = group_or_variable.group, group_or_variable.variable
        return LinkedVariable(group, variable.name, variable, index)
    if name is None:
        raise ValueError("linked_var needs the name of the variable: linked_var(G, 'v')")
    found = group_or_variable.variable(name)
    if found is None:
        raise KeyError(f"{group_or_variable.name!r} has no variable {name!r} to link to; it has {', '.join(group_or_variable.variable_names())}")
    return LinkedVariable(group_or_variable, name, found, index)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where a linked variable of an object finds its values.

    `index` is None for the same element, an array of elements, or the name of a variable that holds them, counted from `first`.
    """

    source: VariableOwner
    name: str
    index: np.ndarray | str | None
    first: int
    single: bool
    alone: bool = False

    def places(self, owner: VariableOwner, chosen: Any) -> Any:
        """The elements of the source that those of `owner` at `chosen` stand for."""
        if self.single:
            return np.zeros(np.shape(chosen), dtype=np.int64)
        if self.index is None:
            return chosen
        return self.index[chosen] if isinstance(self.index, np.ndarray) else owner.state[self.index][chosen] + self.first

    def link(self, variable: str) -> Link:
        """What the compiler needs to know."""
        index: Expr | None = None
        if self.index is not None:
            index = Access(index_name(variable) if isinstance(self.index, np.ndarray) else self.index)
            index = Binary("+", index, Number(self.first)) if isinstance(self.index, str) and self.first else index
        return Link(self.source.name, self.name, index, self.single, self.alone)


def index_name(variable: str) -> str:
    """The hidden variable that holds the elements to which a linked variable goes."""
    return f"_index_{variable}"


def checked_target(owner: VariableOwner, variable: Variable, given: LinkedVariable) -> Target:
    """The target of `owner.variable`, if it can be linked to that."""
    name, place = variable.name, f"{given.group.name}.{given.name}"
    if variable.role is not Role.LINKED:
        raise TypeError(f"{name!r} of {owner.name!r} cannot be linked: declare it with the flag linked, `{name} : {unit_name(variable.dimensions)} (linked)`")
    source = given.group
    if not (given.variable.shared or source._whole.state.size == 1):
        owner._ready()  # its elements must be there to be linked one by one
    if "connected" in source.__dict__:
        raise NotImplementedError(f"{name!r} of {owner.name!r} cannot be linked to {place}: the number of synapses can change")
    if given.variable.dimensions != variable.dimensions:
        units = unit_name(variable.dimensions), unit_name(given.variable.dimensions)
        message = f"{name!r} of {owner.name!r} has the unit {units[0]}, but {place}, to which it shall be linked, has {units[1]}"
        raise DimensionMismatchError(message, variable.dimensions, given.variable.dimensions)
    size, whole, first, count = owner.state.size, source._whole, source._first, source.state.size
    single = given.variable.shared or whole.state.size == 1
    if isinstance(given.index, str):
        _check_index_name(owner, name, given.index)
        return Target(whole, given.name, given.index, first, single)
    if given.index is not None:
        return Target(whole, given.name, _checked_index(given.index, f"{owner.name}.{name}", size, count) + first, first, single)
    if count not in (1, size) and not single:
        hint = "give the neuron for each as linked_var(..., index=[...])"
        raise ValueError(f"{name!r} of {owner.name!r} ({size} neurons) cannot be linked to {place} ({count} neurons) one by one; {hint}")
    if single or (first == 0 and count == size):
        return Target(whole, given.name, None, first, single, alone=size == whole.state.size == 1)
    return Target(whole, given.name, np.broadcast_to(np.arange(first, first + count, dtype=np.int32), (size,)), first, single)


def _check_index_name(owner: VariableOwner, name: str, index: str) -> None:
    variable = owner.variable(index)
    if variable is None:
        raise ValueError(f"the index of {owner.name}.{name} is {index!r}, but {owner.name!r} has no variable of that name")
    if variable.dtype not in (DType.INT32, DType.INT64) or variable.role is Role.SUBEXPRESSION:
        raise TypeError(f"the index of {owner.name}.{name} is {index!r}, which must be an integer parameter: `{index} : integer`")
    if variable.shared:
        raise ValueError(f"the index of {owner.name}.{name} is {index!r}, which is shared: every neuron needs its own")


def _checked_index(given: Any, name: str, size: int, count: int) -> np.ndarray:
    index = np.asarray(given)
    if index.dtype.kind not in "iu":
        raise TypeError(f"the index of the linked variable {name} must be an array of whole numbers, not {given!r}")
    if index.shape != (size,):
        raise TypeError(f"the index of the linked variable {name} must have shape ({size},), not {index.shape}")
    bad = index[(index < 0) | (index >= count)]
    if bad.size:
        raise ValueError(f"the index of the linked variable {name} contains {bad[0]}, but there are neurons 0 to {count - 1}")
    return index.astype(np.int32)
