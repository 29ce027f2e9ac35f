"""Values of very many elements that are computed when somebody needs them, and take up no memory until then.

They were assigned by a text that depends on nothing that changes, such as `S.w = '0.1*randn()'`, or a run keeps them in a smaller form.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _connections
from .preferences import prefs
from .sorting import counted

if TYPE_CHECKING:
    from .expressions import Evaluation
    from .state import State

DEFER_FROM = 1 << 18  # elements
SHARED_FROM = 1 << 20  # elements; below this a second thread is not worth its start
CHUNK = 1 << 15  # elements that one evaluation of a text looks at: its temporary arrays stay in the cache


class Deferred:
    """The values of one variable, as the text that gives them."""

    def __init__(self, state: State, name: str, evaluation: Evaluation) -> None:
        self._state, self._name, self._evaluation = state, name, evaluation

    def settle(self) -> None:
        """Write the values into the array of the state."""
        self.each(self._state.memory(self._name).__setitem__)
        self._state.pending.pop(self._name, None)

    def each(self, take: Callable[[slice, np.ndarray], Any]) -> None:
        """Hand over the values of one slice after the other, in several threads where there are many."""
        owner = None if self._state.owner is None else self._state.owner()
        if owner is None:
            raise ReferenceError("the object of these values exists no more")
        by_slices(self._evaluation, owner, 0, self._state.size, take)

    def distinct(self, name: str) -> np.ndarray:
        """Nothing: no run changes these values."""
        return np.zeros(0)


class ParkedEnds:
    """The neurons that synapses connect, as the number of synapses of each source, and targets in few bits."""

    def __init__(self, state: State, counts: np.ndarray, targets: np.ndarray) -> None:
        self._state, self._counts, self._targets = state, counts, targets

    def settle(self) -> None:
        """Write `i` and `j` into the arrays of the state."""
        self._state.memory("j")[:] = self._targets
        self._state.memory("i")[:] = np.repeat(np.arange(len(self._counts), dtype=np.int32), self._counts)
        for name in ("i", "j"):
            self._state.pending.pop(name, None)

    def distinct(self, name: str) -> np.ndarray:
        """Nothing: these are whole numbers."""
        return np.zeros(0)


def defer(state: State, name: str, evaluation: Evaluation) -> None:
    """Let a text stand for all values of a variable."""
    state.pending.pop(name, None)
    _connections.release(state.memory(name), 0)
    state.pending[name] = Deferred(state, name, evaluation)
    state.written[name] += 1


def park_ends(state: State, n_pre: int, n_post: int) -> None:
    """Keep `i` and `j` in few bits, if synapses are numbered by source and 16 bits are enough for a target."""
    if "i" in state.pending or n_post > 1 << 16 or not _connections.ascending(state["i"]):
        return
    parked = ParkedEnds(state, np.diff(counted(state["i"], n_pre)), state["j"].astype(np.uint16))
    for name in ("i", "j"):
        _connections.release(state.memory(name), 0)
        state.pending[name] = parked


def by_slices(evaluation: Evaluation, owner: Any, first: int, last: int, take: Callable[[slice, np.ndarray], Any]) -> None:
    """Evaluate a text slice by slice, in several threads where there are many elements."""
    threads = prefs["core.threads"] if last - first >= SHARED_FROM and not evaluation.calls_python else 1
    edges = [first + (last - first) * part // threads for part in range(threads + 1)]

    def work(part: int) -> None:
        for start in range(edges[part], edges[part + 1], CHUNK):
            chosen = slice(start, min(start + CHUNK, edges[part + 1]))
            take(chosen, evaluation(owner, chosen))

    if threads == 1:
        work(0)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
