"""`NeuronModule`: a population of neurons as one layer, for networks whose synapses are torch layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from codegen.ir import Role

from ..equations import Equations
from ..groups import NeuronGroup
from ..namespaces import caller_namespace
from ..network import Network
from .gradients import Gradient, Surrogate
from .module import NetworkModule
from .optimising import clamp_, parameter_groups
from .parameters import Learn
from .states import State


class NeuronModule(nn.Module):
    """Neurons that follow equations, as a torch layer.

    Parameters
    ----------
    N : int
        Number of neurons: the size of the last axis.
    model : str or Equations
        As for NeuronGroup; variables flagged `(input)` are the arguments of `forward`.
    threshold, reset, refractory, method, dt : as for NeuronGroup
    learn : str, or list of str or dict
        Variables to be learned: names, or dicts with the arguments of `Learn` (`variable`, `unit`, `bounds`, `init`, ...).
    parameters : dict, optional
        Values of parameters and initial states, as they would be assigned to a NeuronGroup (`{'tau': 20*ms}`).
    gradient : Surrogate or TrueGradient
    output : str, optional
        What `forward` returns: 'spikes' or the name of a variable; by default spikes, or the first variable of neurons without a threshold.
    batch_first, dtype, device, namespace : as for NetworkModule

    Attributes
    ----------
    group : NeuronGroup
        The neurons, as `run` would simulate them; `write_back()` puts learned values there.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, torch
    >>> layer = bnn.NeuronModule(4, '''dv/dt = (J - v)/tau : 1
    ...                                J : 1 (input)
    ...                                tau : second''', threshold='v > 1', reset='v = 0', parameters={'tau': 10*ms}, learn='tau')
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), layer)
    >>> net(torch.rand(20, 2, 3)).shape
    torch.Size([20, 2, 4])
    """

    def __init__(
        self,
        N: int,
        model: str | Equations,
        threshold: str | None = None,
        reset: str | None = None,
        refractory: object = False,
        method: Any = None,
        *,
        learn: str | Sequence[str | Mapping[str, Any]] = (),
        parameters: Mapping[str, Any] | None = None,
        gradient: Gradient = Surrogate(),  # noqa: B008  frozen
        output: str | None = None,
        dt: object = None,
        batch_first: bool = False,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        namespace: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        names = dict(caller_namespace()) if namespace is None else dict(namespace)
        self.group = NeuronGroup(N, model, method, threshold=threshold, reset=reset, refractory=refractory, dt=dt, namespace=namespace)
        self.group.add_to_magic_network = False
        if not any(v.role is Role.INPUT for v in self.group.model.variables):
            raise ValueError("a NeuronModule needs a variable that is fed from outside: add a line such as `J : 1 (input)` to its equations")
        for name, value in (parameters or {}).items():
            setattr(self.group, name, value)
        self.output = output or ("spikes" if threshold is not None else self._first_variable())
        entries = [learn] if isinstance(learn, str | Mapping) else list(learn)
        learned = [Learn(self.group, **({"variable": e} if isinstance(e, str) else dict(e))) for e in entries]
        record: dict[str, Any] = {"output": self.group if self.output == "spikes" else (self.group, self.output)}
        self.network = NetworkModule(Network(self.group), record, learned, gradient, batch_first=batch_first, dtype=dtype, device=device, namespace=names)

    def _first_variable(self) -> str:
        states = [v.name for v in self.group.model.variables if v.role is Role.STATE]
        if not states:
            raise ValueError("neurons without a threshold and without differential equations have no output; name one with output=")
        return states[0]

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """The output of every step, shape (T, ..., N), from the initial state; inputs are in SI units, of shape (T, ..., N)."""
        output: torch.Tensor = self.network(*inputs, **named).output
        return output

    def run(self, *inputs: torch.Tensor, state: State | None = None, **named: torch.Tensor) -> tuple[torch.Tensor, State]:
        """The output from a state (None: the initial one), and the state after the last step."""
        record, new = self.network.run(*inputs, state=state, **named)
        return record.output, new

    def step(self, *inputs: torch.Tensor, state: State | None = None, **named: torch.Tensor) -> tuple[torch.Tensor, State]:
        """One step: inputs and output of shape (..., N), and the state after it."""
        record, new = self.network.step(*inputs, state=state, **named)
        return record.output, new

    def write_back(self) -> None:
        """Put the learned values into `group`."""
        self.network.write_back()

    def parameter_groups(self, overrides: Mapping[Any, Mapping[str, Any]] | None = None, /, **options: Any) -> list[dict[str, Any]]:
        """Groups of parameters with their own learning rates, for `torch.optim`; see `brianlike.nn.parameter_groups`."""
        return parameter_groups(self, overrides, **options)

    def clamp_(self, *_: object) -> None:
        """Move what is constrained by clamping inside its bounds; to be called after every step of the optimiser."""
        clamp_(self)

    def extra_repr(self) -> str:
        return f"output={self.output!r}"
