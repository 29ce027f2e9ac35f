"""Looking into the backward pass: how large gradients are, by layer and by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from codegen.expr import Compare, accesses
from codegen.ir import Role

from ..groups import NeuronGroup
from .delivery import Values
from .module import NetworkModule


@dataclass(frozen=True, slots=True)
class _Layer:
    module: NetworkModule
    name: str
    array: str


class GradientNorms:
    """The norm of the loss's gradient by the potential of every group of neurons in every step, while it is used as a context manager.

    The gradient is the total one: by the value at the end of a step, through everything that this value changes later. Its norm is over neurons and
    samples. The forward passes and their backward passes take place inside the context; the squares of several passes are added.

    Parameters
    ----------
    model : torch.nn.Module
        A NetworkModule, a NeuronModule, or anything that contains some.
    variables : dict, optional
        The variable to look at, by group; by default one that the threshold compares, or the first one with a differential equation.

    Attributes
    ----------
    names : list of str
        The layers: where they are in the model, and the variable.
    values : numpy.ndarray of shape (T, layers)
        The norms, where loss and variables count in SI units; 0 where no gradient came by.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, torch
    >>> layer = bnn.NeuronModule(4, '''dv/dt = (J - v)/(10*ms) : 1
    ...                                J : 1 (input)''', threshold='v > 1', reset='v = 0')
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), layer)
    >>> with bnn.GradientNorms(net) as norms:
    ...     net(torch.rand(20, 2, 3)).sum().backward()
    >>> norms.names, norms.values.shape
    (['1.v'], (20, 1))
    """

    def __init__(self, model: nn.Module, variables: Mapping[NeuronGroup, str] | None = None) -> None:
        self._layers: list[_Layer] = []
        asked = dict(variables or {})
        for path, module in model.named_modules():
            if isinstance(module, NetworkModule):
                self._layers += _layers_of(module, path, asked)
        if asked:
            raise ValueError(f"variables= names {next(iter(asked)).name!r}, which the model does not contain")
        if not self._layers:
            raise ValueError("the model contains no NeuronModule and no NetworkModule with neurons")
        self._squares: dict[tuple[int, int], torch.Tensor] = {}
        self._steps = 0

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self._layers]

    @property
    def values(self) -> np.ndarray:
        found = np.zeros((self._steps, len(self._layers)))
        for place, square in self._squares.items():
            found[place] = square.sqrt().item()
        return found

    def __enter__(self) -> GradientNorms:
        for module in {layer.module for layer in self._layers}:
            if module.watch is not None:
                raise RuntimeError("another GradientNorms looks at this model already")
            module.watch = self._watch([n for n, layer in enumerate(self._layers) if layer.module is module])
        return self

    def __exit__(self, *error: object) -> None:
        for layer in self._layers:
            layer.module.watch = None

    def _watch(self, mine: list[int]) -> Callable[[torch.Tensor, Values], None]:
        def watch(number: torch.Tensor, values: Values) -> None:
            step = int(number.max())
            self._steps = max(self._steps, step + 1)
            for n in mine:
                value = values[self._layers[n].array]
                if value.requires_grad:
                    value.register_hook(lambda gradient, place=(step, n): self._add(place, gradient))

        return watch

    def _add(self, place: tuple[int, int], gradient: torch.Tensor) -> None:
        square = gradient.detach().to(torch.float64).square().sum()
        self._squares[place] = self._squares[place] + square if place in self._squares else square


def _layers_of(module: NetworkModule, path: str, asked: dict[Any, str]) -> list[_Layer]:
    groups = [item for item in module.objects if isinstance(item, NeuronGroup)]
    path = path.removesuffix("network").removesuffix(".")
    found = []
    for group in groups:
        states = [v.name for v in group.model.variables if v.role is Role.STATE]
        if group in asked and asked[group] not in states:
            raise ValueError(f"{group.name!r} has no variable {asked[group]!r} with a differential equation; it has {', '.join(states) or 'none'}")
        if not states:
            continue
        variable = asked.pop(group, None) or _compared(group, states)
        where = [path] if path else []
        where += [group.name] if len(groups) > 1 or not path else []
        found.append(_Layer(module, ".".join([*where, variable]), f"{group.name}.{variable}"))
    return found


def _compared(group: NeuronGroup, states: list[str]) -> str:
    """The first variable with a differential equation that the threshold compares; else the first there is."""
    for event in group.model.events:
        if isinstance(event.condition, Compare):
            for access in accesses(event.condition):
                if access.variable in states:
                    return access.variable
    return states[0]
