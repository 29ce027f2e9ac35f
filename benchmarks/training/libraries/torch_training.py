"""What the libraries on torch share: a training step with cross-entropy on the maximum over time and Adam, and weights scaled to an activity."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from tasks import CALIBRATED_ON, LEARNING_RATE, Data, Task, calibrated
from worker import memory


@dataclass
class Training:
    """`forward(x)` gives read-outs (steps, batch, classes) or their maximum over time, and hidden spikes."""

    forward: Callable[[Any], tuple[torch.Tensor, torch.Tensor]]
    parameters: Iterable[torch.Tensor]
    inputs: Any
    labels: torch.Tensor
    hidden_steps: int
    rate: float = LEARNING_RATE

    def __post_init__(self) -> None:
        self.optimiser = torch.optim.Adam(list(self.parameters), self.rate, fused=True)

    def step(self) -> float:
        self.optimiser.zero_grad(set_to_none=True)
        readout, _ = self.forward(self.inputs)
        loss = loss_of(readout, self.labels)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def kept(self) -> int:
        """Bytes that the graph of a forward pass holds: tensors that it saves, or the growth of resident memory, whichever is more."""
        saved: dict[int, int] = {}
        parameters = self.optimiser.param_groups[0]["params"]

        def note(tensor: torch.Tensor) -> torch.Tensor:
            if not any(tensor.numel() == one.numel() and torch.equal(tensor.detach().reshape(-1), one.detach().reshape(-1)) for one in parameters):
                saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            held = self.forward(self.inputs)
        for tensor in (self.inputs, *parameters):
            saved.pop(tensor.untyped_storage().data_ptr(), None)
        del held
        gc.collect()
        before = memory()["now"]
        held = self.forward(self.inputs)
        grown = memory()["now"] - before
        del held
        return max(sum(saved.values()), grown)

    def activity(self) -> float:
        with torch.no_grad():
            return float(self.forward(self.inputs)[1].double().sum()) / self.hidden_steps


def loss_of(readout: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(readout.amax(0) if readout.dim() == 3 else readout, labels)


def threads(number: int) -> None:
    torch.set_num_threads(number)


def tensors(data: Data) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(data.spikes), torch.from_numpy(data.labels)


def hidden_steps(task: Task) -> int:
    return task.steps * task.batch * task.hidden


def to_activity(task: Task, forward: Callable[[Any], tuple[torch.Tensor, torch.Tensor]], weights: Iterable[torch.Tensor], x: torch.Tensor) -> None:
    """Scale weights in place until the hidden neurons of another model than ours are as busy as asked."""
    weights = list(weights)
    originals = [w.detach().clone() for w in weights]
    few = x[:, :CALIBRATED_ON]

    def active(factor: float) -> float:
        for weight, original in zip(weights, originals):
            weight.copy_(factor * original)
        spikes = forward(few)[1]
        return float(spikes.double().mean())

    with torch.no_grad():
        active(calibrated(active, task.activity))
