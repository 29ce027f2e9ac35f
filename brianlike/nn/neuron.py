"""`NeuronModule`: a population of neurons as one layer, for networks whose synapses are torch layers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from codegen.ir import Role

from ..equations import Equations
from ..groups import NeuronGroup
from ..namespaces import caller_namespace
from ..network import Network
from ..units import Quantity, asarray_si, get_dimensions
from .constants import copy_keeping
from .delivery import Values
from .feeding import Call
from .gradients import Gradient, Surrogate
from .module import NetworkModule
from .optimising import clamp_, parameter_groups
from .parameters import Learn
from .states import State
from .unroll import Feedback


class NeuronModule(nn.Module):
    r"""Neurons that follow equations, as a torch layer.

    Parameters
    ----------
    N : int or tuple of int
        Number of neurons: the size of the last axis; or the sizes of the last axes, such as (channels, height, width).
    model : str or Equations
        As for NeuronGroup; variables flagged `(input)` are the arguments of `forward`.
    threshold, reset, refractory, method, dt : as for NeuronGroup
    learn : str, or list of str or dict
        Variables to be learned: names, or dicts with the arguments of `Learn` (`variable`, `unit`, `bounds`, `init`, ...).
    parameters : dict, optional
        Values of parameters and initial states, as they would be assigned to a NeuronGroup (`{'tau': 20*ms}`); arrays may have any shape that broadcasts
        to that of the neurons, such as (channels, 1, 1).
    recurrent : torch.nn.Module or dict, optional
        A layer from the neurons to themselves, with a delay of one step: in every step it is given the last step's spikes (the output, of neurons without
        a threshold), and what it returns is added to the first input variable. A dict gives a layer for each input variable.
    gradient : Surrogate or TrueGradient
    output : str, optional
        What `forward` returns: 'spikes' or the name of a variable; by default spikes, or the first variable of neurons without a threshold.
    batch_first, checkpoint, check_finite, dtype, device, namespace, engine, keep : as for NetworkModule; dtype and device, where given, are those of
        `recurrent`, too

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

    Between convolutions, on (T, B, C, H, W):

    >>> filters = bnn.NeuronModule((6, 5, 5), 'dv/dt = (J - v)/(10*ms) : 1\nJ : 1 (input)', threshold='v > 1', reset='v = 0')
    >>> net = torch.nn.Sequential(bnn.OverTime(torch.nn.Conv2d(1, 6, 3), torch.nn.BatchNorm2d(6)), filters, bnn.OverTime(torch.nn.AvgPool2d(2)))
    >>> net(torch.rand(20, 2, 1, 7, 7)).shape
    torch.Size([20, 2, 6, 2, 2])
    """

    def __init__(
        self,
        N: int | Sequence[int],
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
        recurrent: nn.Module | Mapping[str, nn.Module] | None = None,
        dt: object = None,
        batch_first: bool = False,
        checkpoint: int | None = None,
        check_finite: bool = True,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        namespace: Mapping[str, object] | None = None,
        engine: str = "auto",
        keep: str = "float",
    ) -> None:
        super().__init__()
        names = dict(caller_namespace()) if namespace is None else dict(namespace)
        size = math.prod(N) if isinstance(N, Sequence) else N
        self.group = NeuronGroup(size, model, method, threshold=threshold, reset=reset, refractory=refractory, dt=dt, namespace=namespace)
        self.group.add_to_magic_network = False
        self.shape = tuple(N) if isinstance(N, Sequence) else (len(self.group),)
        if not any(v.role is Role.INPUT for v in self.group.model.variables):
            raise ValueError("a NeuronModule needs a variable that is fed from outside: add a line such as `J : 1 (input)` to its equations")
        for name, value in (parameters or {}).items():
            setattr(self.group, name, self._flat(value))
        self.output = output or ("spikes" if threshold is not None else self._first_variable())
        entries = [learn] if isinstance(learn, str | Mapping) else list(learn)
        learned = [Learn(self.group, **({"variable": e} if isinstance(e, str) else self._by_channel(e))) for e in entries]
        record: dict[str, Any] = {"output": self.group if self.output == "spikes" else (self.group, self.output)}
        self.network = NetworkModule(
            Network(self.group), record, learned, gradient, batch_first=batch_first, checkpoint=checkpoint, check_finite=check_finite, dtype=dtype,
            device=device, namespace=names, engine=engine, keep=keep,
        )  # fmt: skip
        self.recurrent = nn.ModuleDict(self._recurrent_layers(recurrent))
        if dtype is not None or device is not None:
            self.recurrent.to(dtype=dtype, device=device)

    def _first_variable(self) -> str:
        states = [v.name for v in self.group.model.variables if v.role is Role.STATE]
        if not states:
            raise ValueError("neurons without a threshold and without differential equations have no output; name one with output=")
        return states[0]

    def _flat(self, value: Any) -> Any:
        """A value for each neuron of a shape, as groups take it."""
        if np.ndim(value) < 2:
            return value
        return Quantity(np.broadcast_to(asarray_si(value), self.shape).reshape(-1), get_dimensions(value))

    def _by_channel(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `Learn`, with the neurons of a channel (of the first axis) as labels."""
        if entry.get("share") != "channel" or len(self.shape) == 1:
            return dict(entry)
        return {**entry, "share": np.arange(len(self.group)) // math.prod(self.shape[1:])}

    def _recurrent_layers(self, recurrent: nn.Module | Mapping[str, nn.Module] | None) -> dict[str, nn.Module]:
        inputs = list(self.network.inputs)
        layers = {} if recurrent is None else {inputs[0]: recurrent} if isinstance(recurrent, nn.Module) else dict(recurrent)
        for name, layer in layers.items():
            if name not in inputs:
                raise ValueError(f"recurrent= names {name!r}, which is not an input variable; there are {', '.join(inputs)}")
            if not isinstance(layer, nn.Module):
                raise TypeError(f"recurrent= takes layers of torch, not {layer!r}")
        return layers

    # ----------------------------------------------------------------------------------------------------------------------------------------- running
    def forward(
        self, *inputs: torch.Tensor, lengths: Any = None, seed: int | None = None, samples: int | torch.Tensor | None = None, **named: torch.Tensor
    ) -> torch.Tensor:
        """The output of every step, shape (T, ..., N), from the initial state; inputs are in SI units, of shape (T, ..., N).

        `lengths` are the numbers of steps of the samples; `seed` and `samples` are what noise depends on; all as for NetworkModule.
        """
        output, _ = self.run(*inputs, lengths=lengths, seed=seed, samples=samples, **named)
        return output

    def run(
        self,
        *inputs: torch.Tensor,
        state: State | None = None,
        lengths: Any = None,
        seed: int | None = None,
        samples: int | torch.Tensor | None = None,
        **named: torch.Tensor,
    ) -> tuple[torch.Tensor, State]:
        """The output from a state (None: the initial one), and the state after the last step; in the state, neurons have one axis."""
        call = Call(seed=seed, samples=samples)
        record, new = self.network.run_with(self._feedback(), self._rows(inputs, named), call, state=state, lengths=lengths)
        return self._shaped(record.output), new

    def step(
        self,
        *inputs: torch.Tensor,
        state: State | None = None,
        seed: int | None = None,
        samples: int | torch.Tensor | None = None,
        **named: torch.Tensor,
    ) -> tuple[torch.Tensor, State]:
        """One step: inputs and output of shape (..., N), and the state after it."""
        record, new = self.network.step_with(self._feedback(), self._rows(inputs, named), Call(1, seed=seed, samples=samples), state=state)
        return self._shaped(record.output), new

    def initial_state(self, *batch: int) -> State:
        """The state before the first step, for a batch of this shape: what `run` and `step` start from."""
        return self.network.initial_state(*batch)

    def _rows(self, inputs: Sequence[torch.Tensor], named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        given = self.network.named_inputs(inputs, named)
        return {key: self._one_axis(key, value) for key, value in given.items()} if len(self.shape) > 1 else given

    def _one_axis(self, key: str, value: torch.Tensor) -> torch.Tensor:
        axes = len(self.shape)
        try:
            return value.expand(*value.shape[:-axes], *self.shape).flatten(-axes)
        except RuntimeError:
            raise ValueError(f"input {key!r} must have the last axes {self.shape}, not the shape {tuple(value.shape)}") from None

    def _shaped(self, output: torch.Tensor) -> torch.Tensor:
        return output.unflatten(-1, self.shape) if len(self.shape) > 1 and output.shape[-1] != 1 else output

    def _feedback(self) -> Feedback:
        """What the recurrent layers add to the row of an input: made anew in every call, since copies of a module have layers of their own."""
        fed_by = f"{self.group.name}.{'_spike' if self.group.model.events else self.output}"

        def added(layer: nn.Module) -> Callable[[torch.Tensor, Values], torch.Tensor]:
            def row_with(row: torch.Tensor, values: Values) -> torch.Tensor:
                last = values[fed_by]
                batch = torch.broadcast_shapes(row.shape[:-1], last.shape[:-1])
                returned = layer(last.expand(*batch, len(self.group)).reshape(-1, *self.shape))
                return row + returned.reshape(*batch, -1)

            return row_with

        return {f"{self.group.name}.{name}:table": added(layer) for name, layer in self.recurrent.items()}

    # ----------------------------------------------------------------------------------------------------------------------------------------- learned
    @classmethod
    def around(cls, network: NetworkModule, shape: tuple[int, ...], output: str) -> NeuronModule:
        """The layer that consists of a network with one group and one record, `output`."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        (group,) = (item for item in network.objects if isinstance(item, NeuronGroup))
        layer.group, layer.shape, layer.output, layer.network, layer.recurrent = group, shape, output, network, nn.ModuleDict()
        return layer

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters and all that makes the layer to a file, from which `bnn.load` makes it again; see `brianlike.nn.save`."""
        from .checkpoints import save

        save(self, path)

    def write_back(self) -> None:
        """Put the learned values into `group`."""
        self.network.write_back()

    def parameter_groups(self, overrides: Mapping[Any, Mapping[str, Any]] | None = None, /, **options: Any) -> list[dict[str, Any]]:
        """Groups of parameters with their own learning rates, for `torch.optim`; see `brianlike.nn.parameter_groups`."""
        return parameter_groups(self, overrides, **options)

    def clamp_(self, *_: object) -> None:
        """Move what is constrained by clamping inside its bounds; to be called after every step of the optimiser."""
        clamp_(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> NeuronModule:
        """Parameters and recurrent layers of its own, for the same neurons."""
        return copy_keeping(self, memo, [self.group])

    def extra_repr(self) -> str:
        return f"{self.shape if len(self.shape) > 1 else self.shape[0]}, output={self.output!r}"
