"""Ours: the network as equations, `NetworkModule`. Options: `engine`, `events` (input as event lists), `checkpoint`."""

from __future__ import annotations

from typing import Any

import brianlike.nn as bnn  # isort: skip  before torch, as brianlike/nn/idle.py wants it

import torch
from tasks import BETA, CONDITIONS, DT, EQUATIONS, Data, Task

from brianlike import InputGroup, Network, NeuronGroup, Synapses, defaultclock, ms

from .torch_training import Training, hidden_steps, tensors, threads

SHAPES = {"SuperSpike": bnn.SuperSpike(BETA), "Triangle": bnn.Triangle(), "Boxcar": bnn.Boxcar()}


def module(task: Task, data: Data, count: bool = False, **options: Any) -> bnn.NetworkModule:
    """The network with its first weights; the record is the maximum of read-outs over time, or, if `count`, the hidden neurons' numbers of spikes."""
    defaultclock.dt = DT * ms
    threshold, reset, method = CONDITIONS[task.model]
    inputs = InputGroup(task.inputs)
    hidden = NeuronGroup(task.hidden, EQUATIONS[task.model], threshold=threshold, reset=reset, method=method)
    for name, values in data.times.items():
        setattr(hidden, name, values * ms)
    readout = NeuronGroup(task.outputs, EQUATIONS["current"], method="exact")
    between = {"forward": (inputs, hidden), "output": (hidden, readout)} | ({"recurrent": (hidden, hidden)} if task.recurrent else {})
    synapses = {}
    for name, (source, target) in between.items():
        synapses[name] = Synapses(source, target, "w : 1", on_pre="I_post += w")
        synapses[name].connect()
        synapses[name].w = data.weights[name].ravel()
    return bnn.NetworkModule(
        Network(inputs, hidden, readout, *synapses.values()),
        record={"count": bnn.Count(hidden)} if count else {"v": bnn.Max((readout, "v"))},
        learn=[bnn.Learn(one, "w") for one in synapses.values()] + [bnn.Learn(hidden, name, unit=ms) for name in data.times],
        gradient=bnn.Surrogate(SHAPES[task.surrogate]),
        dtype=torch.float32,
        **options,
    )


class Ours(Training):
    """As other libraries on torch; activity is counted by a second module with the same parameters, so that training need not count."""

    def activity(self) -> float:
        self.counting.load_state_dict(self.network.state_dict())
        with torch.no_grad():
            return float(self.counting(self.inputs).count.double().sum()) / self.hidden_steps


def prepare(task: Task, data: Data, number: int, engine: str | None = None, events: bool = False, checkpoint: int | None = None) -> Training:
    threads(number)
    x, labels = tensors(data)
    options = {} if engine is None else {"engine": engine}
    x = bnn.Events.from_dense(x) if events else x
    network = module(task, data, checkpoint=checkpoint, **options)
    training = Ours(lambda x: (network(x).v, None), network.parameters(), x, labels, hidden_steps(task))
    training.network, training.counting = network, module(task, data, count=True, **options)
    return training
