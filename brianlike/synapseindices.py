"""Which synapses users mean: `S.w[i, j, k]`, `S[0, :]`, `S['i != j']`."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .subgroups import Subgroup
from .views import element_indices, evaluated

if TYPE_CHECKING:
    from .synapses import Synapses

__all__ = ["SynapticSubgroup"]


class SynapticSubgroup:
    """Some synapses of one object, as `S[...]` gives them: to record (`StateMonitor(S, 'w', record=S[0, :])`), or to index with (`S.w[S[0, :]]`).

    Raises
    ------
    RuntimeError
        When it is used after synapses were added: their numbers may mean others.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> from brianlike.synapses import Synapses
    >>> S = Synapses(NeuronGroup(3, ""), model="w : 1", name="wires")
    >>> S.connect("i != j")
    >>> S[0, :]
    <SynapticSubgroup: 2 of the 6 synapses of 'wires'>
    >>> S[0, :].indices
    array([0, 1])
    """

    __slots__ = ("_synapses", "_indices", "_size")

    def __init__(self, synapses: Synapses, indices: np.ndarray):
        self._synapses, self._indices, self._size = weakref.ref(synapses), indices, len(synapses)

    @property
    def synapses(self) -> Synapses:
        """The object it is a part of."""
        owner = self._synapses()
        if owner is None:
            raise ReferenceError("the Synapses object of this part exists no more")
        return owner

    @property
    def indices(self) -> np.ndarray:
        """The numbers of the synapses, in order of creation."""
        if len(self.synapses) != self._size:
            raise RuntimeError(f"synapses have been added to {self.synapses.name!r} since this part of it was chosen; choose it again")
        return self._indices

    def __len__(self) -> int:
        return len(self._indices)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.indices, dtype=dtype)

    def __repr__(self) -> str:
        return f"<SynapticSubgroup: {len(self)} of the {self._size} synapses of {self.synapses.name!r}>"


def synapse_indices(synapses: Synapses, item: object, namespace: Mapping[str, object] | None = None) -> Any:
    """An int, slice or array of synapses for what users write between brackets.

    Parameters
    ----------
    item
        Numbers of synapses in the order of creation, a slice or a condition; or a pair (pre, post) or triple (pre, post, multisynaptic index), each part of
        which is a number, a slice, a list of numbers, booleans or a condition.

    Notes
    -----
    As in Brian, a neuron that does not exist has no synapses, and a negative number is no neuron.
    """
    if isinstance(item, SynapticSubgroup):
        if item.synapses is not synapses:
            raise IndexError(f"{item!r} cannot index {synapses.name!r}")
        return item.indices
    if item is None or item is True:
        return slice(None)
    if not isinstance(item, tuple):
        return element_indices(item, synapses.state.size, synapses, namespace)
    if len(item) not in (2, 3):
        raise IndexError(f"variables of {synapses.name!r} have the indices [synapse], [i, j] or [i, j, k], not {len(item)}")
    if len(item) == 3 and synapses.multisynaptic_index is None and item[2] != slice(None):
        raise IndexError(f"{synapses.name!r} does not number the synapses between two neurons; give it multisynaptic_index='k' when it is made")
    chosen = np.ones(synapses.state.size, dtype=bool)
    for part, ends, group in zip(item, _coordinates(synapses), (synapses.source, synapses.target, None), strict=False):
        count = None if group is None else len(group)
        if isinstance(part, Subgroup) and group is not None:
            first = part.start - group._first  # parts of the source mean the same neurons where the source is a part itself
            part = slice(max(first, 0), max(first + len(part), 0))
        if isinstance(part, str):
            chosen &= evaluated(part, synapses, None, namespace, expect_boolean=True)
        elif not (isinstance(part, slice) and part == slice(None)):
            chosen &= _contains(part, ends, count, synapses)
    return np.flatnonzero(chosen)


def _coordinates(synapses: Synapses) -> list[np.ndarray]:
    """Presynaptic neuron, postsynaptic neuron and, if there is one, multisynaptic index of each synapse."""
    third = synapses.multisynaptic_index
    return [synapses.state[name] for name in ("i", "j", *(() if third is None else (third,)))]


def _contains(part: object, values: np.ndarray, count: int | None, synapses: Synapses) -> np.ndarray:
    """For each value, whether a part of an index selects it; `count` is how many values there can be (None: one more than the largest)."""
    size = int(values.max(initial=-1)) + 1 if count is None else count
    wanted = np.zeros(size, dtype=bool)
    if isinstance(part, slice):
        wanted[part] = True
        return wanted[values]
    array = np.asarray(part)
    if array.dtype == np.bool_:
        if array.shape != (size,):
            raise IndexError(f"a boolean index of the neurons of {synapses.name!r} must have shape ({size},), not {array.shape}")
        return array[values]
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{synapses.name!r} is indexed by whole numbers, slices, booleans or a condition in a string, not {part!r}")
    wanted[array[(array >= 0) & (array < size)].astype(np.int64)] = True
    return wanted[values]


def occurrences(pre: np.ndarray, post: np.ndarray, n_post: int) -> np.ndarray:
    """How many synapses between the same neurons come before each synapse.

    >>> occurrences(np.array([0, 1, 0, 0]), np.array([2, 2, 2, 1]), 3)
    array([0, 0, 1, 0], dtype=int32)
    """
    pairs = pre.astype(np.int64) * n_post + post
    order = np.argsort(pairs, kind="stable")
    ordered = pairs[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    numbers = np.arange(pairs.size) - np.repeat(first, np.diff(first, append=pairs.size))
    result = np.empty(pairs.size, dtype=np.int32)
    result[order] = numbers
    return result
