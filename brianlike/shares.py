"""Which neurons each thread works on: the same ones in all kernels, so that threads seldom wait for each other and their caches keep what they need.

The groups of a network stand in one order, and every thread has a range of it, of about the same cost: groups as a whole, or their first or last neurons.
Results do not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from codegen.costs import nanoseconds
from codegen.expr import Index
from codegen.ir import Deliver, Map, Program, Role

LINE = 16  # neurons: ranges begin at whole vectors, so threads do not share cache lines
PER_SYNAPSE = 1e-3  # nanoseconds in a step, about: spikes at some hertz, and steps of 0.1 ms
OWN = ""  # the kind of cost that is a group's own
MOST_ARRANGED = 100  # groups; arranging more would take longer than it saves


def targets(program: Program, kernel: Deliver) -> list[tuple[str, Index]]:
    """The groups to whose accumulators a pathway adds, and the ends of synapses that they are at."""
    arrays = [(program.array(store.array), store.index) for store in kernel.stores]
    return list(dict.fromkeys((array.space, index) for array, index in arrays if array.role is Role.ACCUMULATOR and array.space))


def group_costs(program: Program, sizes: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """For each group with accumulators what it costs in a step, in nanoseconds: its own kernels, and the spikes of each source."""
    found: dict[str, dict[str, float]] = {}
    for kernel in program.kernels:
        if isinstance(kernel, Deliver):
            for space, _ in targets(program, kernel):
                own = found.setdefault(space, {OWN: 0.0})
                own[kernel.events] = own.get(kernel.events, 0.0) + PER_SYNAPSE * sizes[kernel.space]
    for kernel in program.kernels:
        if isinstance(kernel, Map) and kernel.only is None and kernel.space in found:
            found[kernel.space][OWN] += nanoseconds(kernel) * sizes[kernel.space]
    return found


def arranged_groups(costs: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The groups in an order such that a cut which halves the whole cost also nearly halves each kind of it.

    Parameters
    ----------
    costs : mapping
        For each group its cost of each kind, such as its equations, or the spikes of one source, which may be few or many.

    Examples
    --------
    >>> arranged_groups({"a": {"own": 6, "in": 6}, "b": {"own": 6, "in": 0}, "c": {"own": 0, "in": 6}})
    ['a', 'b', 'c']
    """
    names = list(costs)
    kinds = sorted({kind for own in costs.values() for kind in own})
    table = np.array([[costs[name].get(kind, 0.0) for kind in kinds] for name in names]).reshape(len(names), len(kinds))
    if not 2 < len(names) <= MOST_ARRANGED or not table.sum() > 0:
        return names
    weights = table.sum(0) / table.sum()
    relative = table / np.maximum(table.sum(0), 1e-300)
    first = np.zeros(len(names), bool)
    found = _score(relative, weights, first, int(np.argmax(table.sum(1))))
    divided, improved = int(np.argmax(table.sum(1))), True
    while improved:
        improved = False
        for place in range(len(names)):
            for candidate in (divided, place):
                flipped = first.copy()
                flipped[place] = not flipped[place]
                score = _score(relative, weights, flipped, candidate)
                if score < found - 1e-12:
                    first, divided, found, improved = flipped, candidate, score, True
    before = [name for place, name in enumerate(names) if first[place] and place != divided]
    behind = [name for place, name in enumerate(names) if not first[place] and place != divided]
    return [*before, names[divided], *behind]


def _score(relative: np.ndarray, weights: np.ndarray, first: np.ndarray, divided: int) -> float:
    """How far from a half each kind of cost is, where `first` come before the cut, which lies in the group `divided`."""
    whole = first.copy()
    whole[divided] = False
    before, own = relative[whole].sum(0), relative[divided]
    share = float(np.clip((0.5 - before @ weights) / max(own @ weights, 1e-300), 0, 1))
    off = before + share * own - 0.5
    return float(weights @ (off * off) + 10 * (off @ weights) ** 2)


def divided(order: Sequence[str], costs: Mapping[str, np.ndarray], threads: int) -> dict[str, tuple[int, ...]]:
    """For each group the first neuron of each thread, and the end; `costs`: of every neuron, padded to whole lines.

    Examples
    --------
    >>> divided(["a", "b"], {"a": np.ones(32), "b": np.ones(96)}, 2)
    {'a': (0, 32, 32), 'b': (0, 32, 96)}
    """
    starts, place = {}, 0
    for name in order:
        starts[name] = place
        place += len(costs[name])
    reached = np.cumsum(np.concatenate([[0.0], *(costs[name] for name in order)]))
    wanted = np.searchsorted(reached, reached[-1] * np.arange(1, threads) / threads)
    found = {}
    for name in order:
        size = len(costs[name])
        inner = (np.clip(wanted - starts[name], 0, size) // LINE * LINE).tolist()
        found[name] = (0, *inner, size)
    return found


def bases(places: Sequence[tuple[int, tuple[int, ...]]], n_far: int, widest: int) -> np.ndarray | None:
    """Where the part of each thread begins, or each of its parts of at most so many neurons, where groups lie behind one another.

    Parameters
    ----------
    places : sequence of (int, tuple)
        Where each group begins, and its division among threads.
    n_far, widest : int

    Returns
    -------
    array or None
        None if threads do not have one range each.

    Examples
    --------
    >>> bases([(0, (0, 32, 32)), (32, (0, 32, 96))], 128, 1 << 16)
    array([ 0, 64])
    """
    threads = len(places[0][1]) - 1
    owner = np.full(n_far, -1, np.int64)
    for start, cuts in places:
        for thread, (first, stop) in enumerate(zip(cuts, cuts[1:])):
            owner[max(start + first, 0) : max(start + stop, 0)] = thread
    highest = np.maximum.accumulate(owner)
    if np.any(highest != owner, where=owner >= 0):
        return None
    firsts = np.append(np.searchsorted(highest, np.arange(threads)), n_far)
    pieces = -(-int(np.diff(firsts).max()) // widest)
    steps = [first + -(-(stop - first) // (pieces * LINE)) * LINE * np.arange(pieces) for first, stop in zip(firsts, firsts[1:])]
    return np.minimum(np.concatenate(steps), np.repeat(firsts[1:], pieces)).astype(np.int64)
