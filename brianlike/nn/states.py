"""The state of a module between two runs: `{object: {variable: tensor}}`, to be passed on, detached or changed at will."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from codegen.ir import Program, Role

from .delivery import Values

State = dict[str, dict[str, torch.Tensor]]
Past = dict[str, list[torch.Tensor]]


def detached(state: State) -> State:
    """The same state, through which no gradient flows: for back-propagation through time in pieces (truncated).

    Examples
    --------
    >>> import brianlike.nn as bnn, torch
    >>> v = torch.ones(2, requires_grad=True)
    >>> bnn.detached({'cells': {'v': 2*v}})
    {'cells': {'v': tensor([2., 2.])}}
    """
    return {owner: {name: value.detach() for name, value in variables.items()} for owner, variables in state.items()}


def leave(values: Values, past: Past, step: torch.Tensor, names: Sequence[str]) -> State:
    """The state after a run.

    Parameters
    ----------
    values, past : what the arrays hold, and the events of the last steps.
    step : number of the next step.
    names : the arrays that change in a run.
    """
    state: State = {"clock": {"t_in_timesteps": step}}
    for name in names:
        owner, _, variable = name.partition(".")
        state.setdefault(owner, {})[variable] = values[name]
    for name, sent in past.items():
        owner, _, variable = name.partition(".")
        state[owner][f"{variable}_past"] = torch.stack(torch.broadcast_tensors(*sent))
    return state


def padded(sent: list[torch.Tensor], steps: int, like: torch.Tensor) -> list[torch.Tensor]:
    """The events of the last `steps` steps: none before the first."""
    return [torch.zeros_like(sent[0] if sent else like)] * (steps - len(sent)) + sent[-steps:]


def enter(state: State, names: Sequence[str]) -> tuple[Values, Past, torch.Tensor | None]:
    """The arrays, events and number of the next step that a state gives; what it does not name stays as in the initial state."""
    known = {name: tuple(name.split(".", 1)) for name in names}
    _refuse_unknown(state, {*(("clock", name) for name in ("t_in_timesteps", "seed", "samples")), *known.values()})
    values: Values = {}
    past: Past = {}
    for name, (owner, variable) in known.items():
        if variable in state.get(owner, {}):
            values[name] = state[owner][variable]
        if f"{variable}_past" in state.get(owner, {}):
            past[name] = list(state[owner][f"{variable}_past"].unbind(0))
    return values, past, state.get("clock", {}).get("t_in_timesteps")


def _refuse_unknown(state: State, known: set[tuple[str, ...]]) -> None:
    owners = sorted({owner for owner, _ in known})
    for owner, variables in state.items():
        if owner not in owners:
            raise KeyError(f"the state has {owner!r}, which the module does not know; it knows {', '.join(owners)}")
        for name in variables:
            if (owner, name.removesuffix("_past")) not in known:
                has = sorted(variable for o, variable in known if o == owner)
                raise KeyError(f"the state has '{owner}.{name}', which the module does not know; it knows {', '.join(has)}")


def check_finite(program: Program, values: Values, step: torch.Tensor) -> None:
    """Training on NaN only makes more of it, so a state variable that is not finite is an error."""
    for array in program.arrays:
        if array.role is not Role.STATE or array.name not in values:
            continue
        value = values[array.name].detach()
        if sum_is_finite(value) or bool(torch.isfinite(value).all()):
            continue
        bad = torch.nonzero(~torch.isfinite(value))[0].tolist()
        raise FloatingPointError(
            f"{array.name} of element {bad[-1]} is not finite after step {int(step.max())}; "
            "a smaller learning rate, bounds= on the parameters or a smaller dt may help"
        )


def sum_is_finite(value: torch.Tensor) -> bool:
    """Whether the sum of all elements is finite, which it is not where an element is not: quick, but a sum can overflow.

    On a CPU numpy makes it: torch would wake threads that then stay awake for milliseconds."""
    plain = type(value) is torch.Tensor and not torch._C._are_functorch_transforms_active()
    on_cpu = plain and value.device.type == "cpu" and value.dtype in (torch.float32, torch.float64)
    return math.isfinite(float(np.add.reduce(value.numpy(), axis=None)) if on_cpu else float(value.sum()))
