"""Norse: `LIF` and `LIFRecurrent` over time and the leaky integrator `LI`, with its SuperSpike; both have a synaptic current. Feed-forward, the product with
input spikes is made for all steps at once; `LIFRecurrent` makes it itself, step by step.
"""

from __future__ import annotations

import norse.torch as norse
import torch
from norse.torch.functional.leaky_integrator import LIParameters
from norse.torch.functional.lif import LIFParameters
from tasks import TAU_M, TAU_S, Data, Task

from .torch_training import Training, hidden_steps, tensors, threads, to_activity


def prepare(task: Task, data: Data, number: int) -> Training:
    threads(number)
    x, labels = tensors(data)
    rates = {"tau_syn_inv": torch.tensor(1000 / TAU_S), "tau_mem_inv": torch.tensor(1000 / TAU_M)}
    last = torch.nn.Linear(task.hidden, task.outputs, bias=False)
    readout = norse.LI(LIParameters(**rates))
    weights = {name: torch.nn.Parameter(torch.from_numpy(w.T.copy())) for name, w in data.weights.items()}
    if task.recurrent:
        body = norse.LIFRecurrent(
            task.inputs, task.hidden, LIFParameters(**rates), input_weights=weights["forward"], recurrent_weights=weights["recurrent"], autapses=True
        )
    else:
        body = norse.LIF(LIFParameters(**rates))
    last.weight = weights["output"]

    def forward(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        spikes, _ = body(x if task.recurrent else torch.nn.functional.linear(x, weights["forward"]))
        return readout(last(spikes))[0], spikes

    to_activity(task, forward, [weights[name] for name in ("forward", "recurrent") if name in weights], x)
    return Training(forward, list(weights.values()), x, labels, hidden_steps(task))
