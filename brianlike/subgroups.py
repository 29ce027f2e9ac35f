"""`Subgroup`: neurons in a row of a group, seen as a group of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.ir import Model, Variable

from .clocks import Clock
from .codes import CodeRunner, run_regularly
from .objects import choose_name
from .state import State, VariableOwner, Waiting
from .units import Quantity
from .views import VariableView, element_indices

if TYPE_CHECKING:
    from .groups import Group

__all__ = ["Indices", "Subgroup"]


class Window(State):
    """The elements `start` to `stop` of a State, numbered from 0, without arrays of its own."""

    def __init__(self, whole: State, start: int, stop: int):
        self._whole, self._range = whole, slice(start, stop)
        self.size, self.float_dtype = stop - start, whole.float_dtype

    @property
    def variables(self) -> dict[str, Variable]:  # type: ignore[override]
        return self._whole.variables

    @property
    def written(self) -> Counter[str]:  # type: ignore[override]
        return self._whole.written

    @property
    def exposed(self) -> set[str]:  # type: ignore[override]
        return self._whole.exposed

    @property
    def pending(self) -> dict[str, Waiting]:  # type: ignore[override]
        return self._whole.pending

    def version(self, name: str) -> object:
        return self._whole.version(name)

    def dtype(self, name: str) -> np.dtype:
        return self._whole.dtype(name)

    def __getitem__(self, name: str) -> np.ndarray:
        if name == "i":
            return np.arange(self.size, dtype=np.int32)
        if name == "N":
            return np.array([self.size], dtype=np.int32)
        values = self._whole[name]
        return values if self._whole.variables[name].shared else values[self._range]

    def __setitem__(self, name: str, value: object) -> None:
        self[name][:] = value
        self.written[name] += 1

    def __contains__(self, name: object) -> bool:
        return name in self._whole

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)


class Subgroup(VariableOwner):
    """Neurons `start` to `stop - 1` of a group, numbered from 0: what `group[start:stop]` returns.

    It has no values of its own: reading and writing its variables reads and writes the group's. It need not be in a network; its group must.

    Parameters
    ----------
    source : Group
        The whole group.
    start, stop : int
    name : str, optional
        `neurongroup_subgroup`, `neurongroup_subgroup_1`, ... (after the group's name) if left out.

    Attributes
    ----------
    source : Group
    start, stop : int
        Place in the whole group.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> G = NeuronGroup(6, "v : 1", name="cells")
    >>> part = G[2:5]
    >>> part.v = "10*i"
    >>> G.v[:]
    array([ 0.,  0.,  0., 10., 20.,  0.])
    >>> part[1:].start, len(part), part.i[:]
    (3, 3, array([0, 1, 2], dtype=int32))
    """

    source: Group
    start: int
    stop: int

    def __init__(self, source: Group, start: int, stop: int, name: str | None = None):
        chosen = choose_name(name, f"{source.name}_subgroup")
        self.source, self.start, self.stop = source, start, stop
        self.state = Window(source.state, start, stop)
        self.clock = source.clock
        self._register(chosen, when="thresholds", order=source.order + 1, clock=source.clock, namespace=source.namespace)
        self.add_to_magic_network = False
        self._sealed = True

    @property
    def model(self) -> Model:  # type: ignore[override]
        """The model of the whole group."""
        return self.source.model

    @property
    def namespace(self) -> dict[str, object]:
        """The namespace of the whole group."""
        return self.source.namespace

    @namespace.setter
    def namespace(self, value: dict[str, object]) -> None:
        self.source.namespace = value

    @property
    def _whole(self) -> Group:
        return self.source

    @property
    def _first(self) -> int:
        return self.start

    def variable(self, name: str) -> Variable | None:
        return self.source.variable(name)

    def element_indices(self, item: object, namespace: Mapping[str, object] | None = None) -> Any:
        return element_indices(item, self.N, self, namespace)

    def _ready(self) -> None:
        return

    def __getitem__(self, item: object) -> Subgroup:
        """Part of this part; slices only, as in Brian."""
        if not isinstance(item, slice):
            raise TypeError(f"a part of a subgroup is written as a slice, {self.name}[a:b], not [{item!r}]")
        start, stop = contiguous(item, self.N, self.name)
        return Subgroup(self.source, self.start + start, self.start + stop)

    def run_regularly(
        self,
        code: str,
        dt: object = None,
        clock: Clock | None = None,
        when: str = "start",
        order: int = 0,
        name: str | None = None,
        codeobj_class: object = None,
    ) -> CodeRunner:
        """Run statements for every neuron of this part in a slot of every step; parameters as for whole groups, which keep the code."""
        return run_regularly(self, code, dt, clock, when, order, name)

    @property
    def N(self) -> int:
        """Number of neurons."""
        return self.stop - self.start

    def __len__(self) -> int:
        return self.N

    @property
    def i(self) -> VariableView:
        """Index of each neuron within this part; read-only."""
        return self.view("i")

    @property
    def indices(self) -> Indices:
        """Indices by slice, number or condition (see `Indices`)."""
        return Indices(self)

    @property
    def spikes(self) -> np.ndarray:
        """The neurons of this part that spiked in the last step, numbered within it."""
        spikes = self.source.spikes
        return spikes[(spikes >= self.start) & (spikes < self.stop)] - np.int32(self.start)

    @property
    def events(self) -> Mapping[str, str]:
        """The conditions of the whole group's events."""
        return getattr(self.source, "events", {})

    @property
    def equations(self) -> Any:
        """The equations of the whole group; None if it has none."""
        return getattr(self.source, "equations", None)

    @property
    def t(self) -> Quantity:
        """Time of the clock."""
        return self.clock.t

    @property
    def dt(self) -> Quantity:
        """Step of the clock."""
        return self.clock.dt

    def __repr__(self) -> str:
        return f"<Subgroup {self.name!r} of {self.source.name!r} from {self.start} to {self.stop}>"


class Indices:
    """`group.indices[...]`: which neurons a condition, a slice or a number selects.

    As in Brian, a condition on a subgroup gives indices within it, anything else indices within the whole group.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> G = NeuronGroup(6, "v : 1")
    >>> G.indices["i > 3"], G[2:].indices[1:3]
    (array([4, 5]), array([3, 4]))
    """

    __slots__ = ("_owner",)

    def __init__(self, owner: VariableOwner):
        self._owner = owner

    def __getitem__(self, item: object) -> Any:
        owner = self._owner
        found = owner.element_indices(item)
        if isinstance(item, str):
            return found
        return np.arange(owner.state.size)[found] + owner._first


def part_of(group: Group, item: object) -> Subgroup:
    """`group[item]`: a slice, a number, or a list of numbers in a row.

    Raises
    ------
    IndexError
        If the neurons do not follow each other or do not exist.
    TypeError
        If `item` is no index at all.
    """
    if isinstance(item, slice):
        return Subgroup(group, *contiguous(item, group.N, group.name))
    array = np.asarray(item)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"a part of {group.name!r} is a slice [a:b], a number, or an array of numbers in a row, not {item!r}")
    if array.ndim > 1 or not array.size or np.any(np.diff(np.atleast_1d(array)) != 1):
        raise IndexError(f"a part of {group.name!r} must be neurons in a row, such as [3, 4, 5], not {item!r}")
    start, stop = int(array.flat[0]), int(array.flat[-1]) + 1
    if start < 0:
        raise IndexError(f"neurons are counted from 0: {group.name!r} has no part that begins at {start}")
    return Subgroup(group, *_checked(start, stop, group.N, group.name))


def contiguous(item: slice, size: int, name: str) -> tuple[int, int]:
    """First and last + 1 element of a slice; IndexError for steps and for slices without elements."""
    start, stop, step = item.indices(size)
    if step != 1:
        raise IndexError(f"a part of {name!r} must be neurons in a row: [a:b] without a step")
    return _checked(start, stop, size, name)


def _checked(start: int, stop: int, size: int, name: str) -> tuple[int, int]:
    if not start < stop <= size:
        raise IndexError(f"{name!r} has {size} neurons, and none from {start} to before {stop}")
    return start, stop
