"""torch.compile of a functional loop written by hand. The equations are those of ours, to the last constant.

Compiled is one step, or a few at once (`chunk`): the whole loop as one graph takes minutes to compile and is no faster. Products with input spikes and for the
read-out are made for all steps at once, outside.
"""

from __future__ import annotations

import numpy as np
import torch
from tasks import BETA, MODELS, TAU_M, Data, Task, exact

from .torch_training import Training, hidden_steps, tensors, threads


class Spike(torch.autograd.Function):
    """1 where the margin is positive; backwards SuperSpike."""

    @staticmethod
    def forward(ctx, margin):
        ctx.save_for_backward(margin)
        return (margin > 0).to(margin.dtype)

    @staticmethod
    def backward(ctx, gradient):
        return gradient / (1 + BETA * ctx.saved_tensors[0].abs()) ** 2


def prepare(task: Task, data: Data, number: int, chunk: int = 5, compiled: bool = True) -> Training:
    threads(number)
    x, labels = tensors(data)
    parameters = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in {**data.weights, **data.times}.items()}
    model, recurrent = MODELS[task.model], task.recurrent
    a, c, b = (float(value) for value in exact(np.float64(TAU_M), np))

    def hidden(amounts, constants, weights, *state):
        out = []
        for amount in amounts:
            state = model.update(state, constants, torch)
            spikes = Spike.apply(model.margin(state))
            *rest, last = model.reset(state, spikes, spikes.detach())
            last = last + amount
            if recurrent:
                last = torch.addmm(last, spikes, weights)
            state = (*rest, last)
            out.append(spikes)
        return state, out

    def reading(amounts, v, i, highest):
        for amount in amounts:
            v, i = a * v + c * i, b * i + amount
            highest = torch.maximum(highest, v)
        return v, i, highest

    if compiled:
        hidden, reading = torch.compile(hidden, fullgraph=True, dynamic=False), torch.compile(reading, fullgraph=True, dynamic=False)

    def forward(x):
        constants = model.constants(parameters, torch)
        amounts = torch.nn.functional.linear(x, parameters["forward"].T).unbind(0)
        state = tuple(torch.zeros(x.shape[1], task.hidden) for _ in range(len(model.states) + 1))
        spikes = []
        for start in range(0, task.steps, chunk):
            state, fired = hidden(amounts[start : start + chunk], constants, parameters.get("recurrent"), *state)
            spikes += fired
        all_spikes = torch.stack(spikes)
        read = (all_spikes @ parameters["output"]).unbind(0)
        zero = torch.zeros(x.shape[1], task.outputs)
        kept = zero, zero, zero - torch.inf
        for start in range(0, task.steps, chunk):
            kept = reading(read[start : start + chunk], *kept)
        return kept[2], all_spikes

    return Training(forward, list(parameters.values()), x, labels, hidden_steps(task))
