"""SpikingJelly in multi-step mode. Its LIF has no synaptic current: one state, where the others have two. Its read-out is a LIF that does not spike.

Feed-forward: a product for all steps at once, and its multi-step LIF, whose backward pass is an operator of its own. Recurrent: that product again, and its LIF
step by step.
"""

from __future__ import annotations

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from tasks import DT, TAU_M, Data, Task

from .torch_training import Training, hidden_steps, tensors, threads, to_activity


class Recurrent(torch.nn.Module):
    """As `layer.LinearRecurrentContainer`, which multiplies input and last spikes by one matrix in every step; only its recurrent half is left to do here."""

    def __init__(self, task: Task, cell: torch.nn.Module) -> None:
        super().__init__()
        self.weights, self.cell = torch.nn.Linear(task.hidden, task.hidden, bias=False), cell

    def forward(self, currents: torch.Tensor) -> torch.Tensor:
        spikes, out = torch.zeros_like(currents[0]), []
        for current in currents.unbind(0):
            spikes = self.cell(current + self.weights(spikes))
            out.append(spikes)
        return torch.stack(out)


def prepare(task: Task, data: Data, number: int) -> Training:
    threads(number)
    x, labels = tensors(data)
    shape = surrogate.ATan()
    tau = TAU_M / DT
    if task.recurrent:
        body: torch.nn.Module = Recurrent(task, neuron.LIFNode(tau=tau, surrogate_function=shape, detach_reset=True, step_mode="s"))
    else:
        body = neuron.LIFNode(tau=tau, surrogate_function=shape, detach_reset=True, step_mode="m")
    first = layer.Linear(task.inputs, task.hidden, bias=False, step_mode="m")
    last = layer.Linear(task.hidden, task.outputs, bias=False, step_mode="m")
    readout = neuron.NonSpikingLIFNode(tau=tau)
    network = torch.nn.ModuleList([first, body, last, readout])
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(data.weights["forward"]).T)
        last.weight.copy_(torch.from_numpy(data.weights["output"]).T)
        if task.recurrent:
            body.weights.weight.copy_(torch.from_numpy(data.weights["recurrent"]).T)

    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        functional.reset_net(network)
        spikes = body(first(x))
        return read(readout, last(spikes)), spikes

    to_activity(task, forward, [first.weight] + ([body.weights.weight] if task.recurrent else []), x)
    return Training(forward, network.parameters(), x, labels, hidden_steps(task))


def read(readout: torch.nn.Module, currents: torch.Tensor) -> torch.Tensor:
    """The potentials of the read-out at all steps."""
    readout.v, out = torch.zeros_like(currents[0]), []
    for current in currents.unbind(0):
        readout.neuronal_charge(current)
        out.append(readout.v)
    return torch.stack(out)
