"""Given spikes in place of those that thresholds find: the `force=` of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch

from ..groups import Group
from ..state import VariableOwner
from ..subgroups import Subgroup
from .events import Events, Fed

GIVEN, WHERE = ":forced", ":mask"
"""After the name of an array of events: the tables of those that are given, and of where they replace those that the group finds."""


def forced_arrays(tables: Mapping[str, object]) -> tuple[str, ...]:
    """The arrays of events whose tables are there, in the order of their names."""
    return tuple(sorted(name.removesuffix(GIVEN) for name in tables if name.endswith(GIVEN)))


def forced_tables(
    force: Mapping[Any, Any], known: Mapping[str, Collection[str]], like: torch.Tensor, *, batch_first: bool, row: bool, check: bool
) -> dict[str, Fed]:
    """The tables that `force=` asks for, time first.

    Parameters
    ----------
    force : by group, part of a group, or (group, 'event'): spikes, or a tuple of them and a mask.
    known : the arrays of events of each group that has a condition for them.
    like : of the type and on the device of the tables.
    batch_first : whether a batch axis comes before time.
    row : whether what is given is that of one step, without a time axis.
    check : whether values that are neither 0 nor 1 are looked for.
    """
    found: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for target, given in force.items():
        array, owner = _target(target, known)
        spikes, mask = _spikes_and_mask(owner, given, like, batch_first, row)
        if check and bool(((spikes != 0) & (spikes != 1) & mask).any()):
            wrong = spikes[(spikes != 0) & (spikes != 1) & mask][0].item()
            raise ValueError(f"force= gives {owner.name!r} spikes that are {wrong}; a spike is 1, and none is 0")
        whole = owner._whole
        if owner is not whole:
            margins = (owner._first, len(whole) - owner._first - len(owner))
            spikes, mask = (torch.nn.functional.pad(value, margins) for value in (spikes, mask))
        if array in found:
            spikes, mask = _together(found[array], (spikes, mask), owner)
        found[array] = spikes, mask
    return {f"{array}{end}": table for array, tables in found.items() for end, table in zip((GIVEN, WHERE), tables)}


def _target(target: Any, known: Mapping[str, Collection[str]]) -> tuple[str, Group | Subgroup]:
    """The array of events, and the group or the part of one that an entry names."""
    owner, event = target if isinstance(target, tuple) and len(target) == 2 else (target, "spike")
    if not isinstance(owner, Group | Subgroup) or not isinstance(event, str):
        raise TypeError(f"force= takes groups, parts of them, and tuples such as (group, 'event'), not {target!r}")
    array = f"{owner._whole.name}._{event}"
    own = known.get(owner._whole.name)
    if own is None:
        raise ValueError(f"force= names {owner.name!r}, which is not a group with a threshold in this network; what is fed is given as an input")
    if array not in own:
        events = [name.rpartition("._")[2] for name in own]
        raise ValueError(f"{owner.name!r}, which force= names, has no {event!r}, but {', '.join(map(repr, events))}: write ({owner.name}, {events[0]!r})")
    return array, owner


def _spikes_and_mask(owner: Group | Subgroup, given: Any, like: torch.Tensor, batch_first: bool, row: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Both with time first, of one shape."""
    spikes, mask = given if isinstance(given, tuple) else (given, None)
    if isinstance(spikes, Events):
        if row:
            raise TypeError("step() takes the rows of one step: events have steps of their own, so give them to run()")
        spikes = spikes.to_dense(like.dtype)
        spikes = spikes.transpose(0, 1) if batch_first and spikes.dim() > 2 else spikes
    elif spikes.layout is torch.sparse_coo:
        spikes = spikes.to_dense()
    spikes = spikes.to(dtype=like.dtype, device=like.device)
    axes = "(..., " if row else "(T, ..., "
    if spikes.dim() < (1 if row else 2) or spikes.shape[-1] != len(owner):
        raise ValueError(f"force= of {owner.name!r} must have the shape {axes}{len(owner)}), not {tuple(spikes.shape)}")
    mask = torch.as_tensor(True if mask is None else mask, device=like.device).to(torch.bool)
    try:
        mask = mask.expand_as(spikes)
    except RuntimeError:
        raise ValueError(f"the mask of force= of {owner.name!r} has the shape {tuple(mask.shape)}, which does not fit that of its spikes") from None
    if row:
        return spikes[None], mask[None]
    return (spikes.transpose(0, 1), mask.transpose(0, 1)) if batch_first and spikes.dim() > 2 else (spikes, mask)


def _together(one: tuple[torch.Tensor, torch.Tensor], other: tuple[torch.Tensor, torch.Tensor], owner: VariableOwner) -> tuple[torch.Tensor, torch.Tensor]:
    """What two entries give to one group."""
    if len(one[0]) != len(other[0]):
        raise ValueError(f"force= gives {owner._whole.name!r} {len(one[0])} and {len(other[0])} steps")
    axes = max(value.dim() for value in (*one, *other))
    a, on_a, b, on_b = (value.reshape(len(value), *[1] * (axes - value.dim()), *value.shape[1:]) for value in (*one, *other))
    return torch.where(on_b, b, a), on_a | on_b
