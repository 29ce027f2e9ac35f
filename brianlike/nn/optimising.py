"""Between parameters and optimisers: groups with their own learning rates, and constraints that are kept after every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from .parameters import Held, Learn

Key = Any
"""A variable (`'tau_m'`), a key of the state dict (`'neurongroup_0_tau_m'`), or `(object, variable)`."""


def parameter_groups(module: nn.Module, overrides: Mapping[Key, Mapping[str, Any]] | None = None, /, **options: Any) -> list[dict[str, Any]]:
    """The parameters of a module in groups for `torch.optim`, each with its own options.

    Parameters
    ----------
    module : NetworkModule, NeuronModule, or any torch module with such modules in it
    overrides : dict, optional
        From what is learned, as its variable, its name in `Learn(name=)` or `(object, variable)`, to a dict of options.
    **options
        Options of the optimiser for all parameters, such as `lr`; those whose value is a dict are overrides.

    Returns
    -------
    list of dict
        One group for each override (with `name`), then one for all other parameters.

    Raises
    ------
    ValueError
        If an override names nothing that is learned, or one parameter has two.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, torch
    >>> layer = bnn.NeuronModule(4, '''dv/dt = (J - v)/tau : 1
    ...                                J : 1 (input)
    ...                                tau : second''', threshold='v > 1', reset='v = 0', parameters={'tau': 10*ms}, learn='tau')
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), layer)
    >>> groups = bnn.parameter_groups(net, lr=1e-3, tau={'lr': 1e-2})
    >>> [(len(group['params']), group['lr']) for group in groups]
    [(1, 0.01), (2, 0.001)]
    >>> optimizer = torch.optim.Adam(groups)
    """
    wanted: dict[Key, Mapping[str, Any]] = {**(overrides or {}), **{name: value for name, value in options.items() if isinstance(value, Mapping)}}
    common = {name: value for name, value in options.items() if not isinstance(value, Mapping)}
    held = [(name.rpartition(".")[2], part) for name, part in module.named_modules() if isinstance(part, Held)]
    taken: dict[int, Key] = {}
    groups: list[dict[str, Any]] = []
    for key, own in wanted.items():
        chosen = [part for name, part in held if _matches(key, name, part.learn)]
        if not chosen:
            known = ", ".join(repr(part.learn.variable) for _, part in held) or "nothing"
            raise ValueError(f"parameter_groups: {_shown(key)} is not learned; learned are {known}")
        for part in chosen:
            if id(part.raw) in taken:
                raise ValueError(f"parameter_groups: {part.learn.where} has options under {_shown(taken[id(part.raw)])} and under {_shown(key)}")
            taken[id(part.raw)] = key
        groups.append({"params": [part.raw for part in chosen], "name": _shown(key), **common, **own})
    rest = [parameter for parameter in module.parameters() if id(parameter) not in taken]
    return [*groups, {"params": rest, **({"name": "other"} if groups else {}), **common}] if rest else groups


def clamp_(module: nn.Module) -> None:
    """Move every parameter with `constrain='clamp'`, and every delay, inside its bounds."""
    for part in module.modules():
        if isinstance(part, Held):
            part.clamp_()


def _matches(key: Key, name: str, learn: Learn) -> bool:
    return key in (name, learn.variable) if isinstance(key, str) else key == (learn.owner, learn.variable)


def _shown(key: Key) -> str:
    return key if isinstance(key, str) else f"{key[0].name}.{key[1]}" if isinstance(key, tuple) else repr(key)
