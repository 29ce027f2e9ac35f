"""Spoken digits with a recurrent network (SpyTorch's tutorial 4 in brianlike).

The Spiking Heidelberg Digits: 700 channels of a model cochlea, 20 spoken digits, in 100 bins of 14 ms. 200 recurrently connected hidden neurons, 20 leaky
read-outs. Speakers of the validation part are not in the training part, as those of the test file.

    BRIANLIKE_DATA=folder/with/shd_train.h5/and/shd_test.h5 python tutorials/spytorch_4.py

trains for 200 epochs, prints the accuracy on the test file, and saves `spytorch_4.png` and `spytorch_4.json`; an interrupted run goes on where it was.
`--epochs 1 --samples 100` is a quick try. The files are at https://zenkelab.org/datasets.

Source: F. Zenke, SpyTorch (2019), https://github.com/fzenke/spytorch; B. Cramer et al. (2020), The Heidelberg Spiking Data Sets for the systematic evaluation
of spiking neural networks, IEEE Transactions on Neural Networks and Learning Systems.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import brianlike.nn as bnn
from brianlike import Hz, InputGroup, Network, NeuronGroup, Synapses, defaultclock, ms, seed
from brianlike.datasets import EventLists, shd

HIDDEN, CLASSES, STEPS, BATCH = 200, 20, 100, 256

equations = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s : 1
"""


def build(data: EventLists) -> bnn.NetworkModule:
    """The network as a torch module. Time constants are ten and five bins, as in the original; weights fit the rates of the inputs."""
    constants = {"tau_m": 140 * ms, "tau_s": 70 * ms}
    inputs = InputGroup(data.size)
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", method="exact", namespace=constants)
    readout = NeuronGroup(CLASSES, equations, method="exact", namespace=constants)
    forward, recurrent, output = (
        Synapses(source, target, "w : 1", on_pre="I_post += w") for source, target in ((inputs, hidden), (hidden, hidden), (hidden, readout))
    )
    for synapses in (forward, recurrent, output):
        synapses.connect()
    rate = len(data.times) / (len(data) * data.size * 1.4) * Hz
    bnn.fluctuation_driven(forward, rate, share=0.9)
    bnn.fluctuation_driven(recurrent, 5 * Hz, share=0.1)
    bnn.fluctuation_driven(output, 5 * Hz, of="v", deviation=0.3)
    return bnn.NetworkModule(
        Network(inputs, hidden, readout, forward, recurrent, output),
        record={"highest": bnn.Max((readout, "v")), "count": bnn.Count(hidden)},
        learn=[bnn.Learn(synapses, "w") for synapses in (forward, recurrent, output)],
        gradient=bnn.Surrogate(bnn.SuperSpike(beta=100)),
    )


def loss(y, labels: torch.Tensor) -> torch.Tensor:
    cost = y.count.sum() + (y.count.sum(0) ** 2).mean()  # all spikes; and those of each neuron, squared
    return functional.cross_entropy(y.highest, labels) + 2e-6 * cost


def right(y, labels: torch.Tensor) -> torch.Tensor:
    return (y.highest.argmax(1) == labels).float().mean()


def batches(data: EventLists, shuffle: bool = False):
    """Event lists become dense when their batch is needed."""
    return bnn.loader(data, batch_size=BATCH, shuffle=shuffle, encode=lambda chosen: data.dense(chosen, STEPS, 14 * ms, binary=True))


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--samples", type=int, default=None, help="train on so many recordings only")
    parser.add_argument("--data", default=None, help="folder of the two files (default: the environment variable BRIANLIKE_DATA)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("."), help="where the picture, the numbers and the checkpoint go")
    options = parser.parse_args()
    seed(options.seed)
    torch.manual_seed(options.seed)
    defaultclock.dt = 14 * ms
    data = shd(options.data, validation_speakers=1, seed=options.seed)
    train = data.train if options.samples is None else data.train.only(np.arange(len(data.train))[: options.samples])
    model = build(train)
    history = bnn.fit(
        model,
        batches(train, shuffle=True),
        batches(data.validation),
        loss=loss,
        optimizer=torch.optim.Adamax(model.parameters(), 0.002),
        epochs=options.epochs,
        score=right,
        watch={"spikes per neuron": lambda y, labels: y.count.mean()},
        checkpoint=options.folder / "spytorch_4.safetensors",
    )
    with torch.no_grad():
        found = [(float(right(model(x), labels)), len(labels)) for x, labels in batches(data.test)]
    accuracy = sum(value * n for value, n in found) / len(data.test)
    print(f"test accuracy after {len(history)} epochs: {accuracy:.4f} on {len(data.test)} recordings of {CLASSES} words")
    history.picture(options.folder / "spytorch_4.png")
    history.save(options.folder / "spytorch_4.json", test_accuracy=accuracy, seed=options.seed, samples=options.samples)
    return accuracy


if __name__ == "__main__":
    main()
