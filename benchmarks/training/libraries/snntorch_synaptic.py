"""snnTorch: `Synaptic` and `RSynaptic`, which have a synaptic current, in a loop over time; products with input spikes and for the read-out are made for all
steps at once. Its default reset, by subtraction, which costs less than that to zero; its own fast sigmoid.
"""

from __future__ import annotations

from math import exp

import snntorch
import torch
from snntorch import surrogate
from tasks import BETA, DT, LEARNING_RATE, TAU_M, TAU_S, Data, Task

from .torch_training import Training, hidden_steps, tensors, threads, to_activity

GAIN = DT / TAU_M


def prepare(task: Task, data: Data, number: int) -> Training:
    threads(number)
    x, labels = tensors(data)
    decays = {"alpha": exp(-DT / TAU_S), "beta": exp(-DT / TAU_M)}
    shape = surrogate.fast_sigmoid(slope=BETA)
    if task.recurrent:
        cell = snntorch.RSynaptic(**decays, linear_features=task.hidden, spike_grad=shape)
        cell.recurrent.bias = None
    else:
        cell = snntorch.Synaptic(**decays, spike_grad=shape)
    readout = snntorch.Synaptic(**decays, reset_mechanism="none", spike_grad=shape)
    first, last = torch.nn.Linear(task.inputs, task.hidden, bias=False), torch.nn.Linear(task.hidden, task.outputs, bias=False)
    network = torch.nn.ModuleList([first, cell, last])
    with torch.no_grad():
        first.weight.copy_(torch.from_numpy(data.weights["forward"]).T)
        last.weight.copy_(GAIN * torch.from_numpy(data.weights["output"]).T)  # its current is not scaled by the step
        if task.recurrent:
            cell.recurrent.weight.copy_(torch.from_numpy(data.weights["recurrent"]).T)

    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        currents = first(x)
        state = (torch.zeros_like(currents[0]),) * (3 if task.recurrent else 2)
        out = []
        for current in currents.unbind(0):
            if task.recurrent:
                state = cell(current, *state)
                out.append(state[0])
            else:
                spikes, *state = cell(current, *state)
                out.append(spikes)
        spikes = torch.stack(out)
        currents = last(spikes)
        synaptic = potential = torch.zeros_like(currents[0])
        read = []
        for current in currents.unbind(0):
            _, synaptic, potential = readout(current, synaptic, potential)
            read.append(potential)
        return torch.stack(read), spikes

    to_activity(task, forward, [first.weight] + ([cell.recurrent.weight] if task.recurrent else []), x)
    return Training(forward, network.parameters(), x, labels, hidden_steps(task), GAIN * LEARNING_RATE)
