"""Events of the last steps that are still to be delivered, as short lists: by the name of their array, the `shape` (steps, elements) of what they are
taken from, and the `step` (the latest has the highest number) and `element` of each event, in that order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Waiting = dict[str, dict[str, np.ndarray]]
_NONE = np.zeros(0, np.int32)


def sparse_events(past: Mapping[str, np.ndarray]) -> Waiting:
    """The events of rasters of shape (steps, elements)."""
    found = {}
    for name, dense in past.items():
        step, element = np.nonzero(dense)
        found[name] = {"shape": np.array(dense.shape), "step": step.astype(np.int64), "element": element.astype(np.int32)}
    return found


def dense_events(waiting: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The reverse of `sparse_events`."""
    past = {}
    for name, lists in waiting.items():
        past[name] = np.zeros(tuple(lists["shape"]), bool)
        past[name][lists["step"], lists["element"]] = True
    return past


def from_ages(lists: Sequence[np.ndarray], size: int) -> dict[str, np.ndarray]:
    """The events of an array of `size` elements from the elements (int32, ascending) of each step, the latest first."""
    steps = len(lists)
    ages = [age for age in range(steps - 1, -1, -1) if len(lists[age])]
    step = np.repeat(np.array([steps - 1 - age for age in ages], np.int64), [len(lists[age]) for age in ages])
    element = np.concatenate([lists[age] for age in ages]) if ages else _NONE
    return {"shape": np.array((steps, size)), "step": step, "element": element}


def by_age(lists: Mapping[str, np.ndarray] | None) -> list[np.ndarray]:
    """The reverse of `from_ages`; no more steps than there are events in."""
    if lists is None or not len(lists["step"]):
        return []
    steps, step = int(lists["shape"][0]), lists["step"]
    ends = np.searchsorted(step, np.arange(int(step[0]), steps + 1))
    return [lists["element"][first:last] for first, last in zip(ends[-2::-1], ends[:0:-1])]
