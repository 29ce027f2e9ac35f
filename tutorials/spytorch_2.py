"""Fashion-MNIST with spike times as inputs (SpyTorch's tutorials 2 and 3 in brianlike).

Each pixel is one spike, the brighter the sooner. 100 hidden neurons and 10 leaky read-outs; the highest potential over time names the piece of clothing.

    BRIANLIKE_DATA=folder/with/fashion_mnist.npz python tutorials/spytorch_2.py
    BRIANLIKE_DATA=folder/with/fashion_mnist.npz python tutorials/spytorch_2.py --few-spikes

train for 30 epochs (three minutes on one core), the second with a cost on spikes as in tutorial 3, and print the accuracy on the 10,000 test images. 5,000 of
the training images are held out to choose the best epoch. An interrupted run goes on where it was when it is started again. Without the file the data are
downloaded. `--epochs 1 --samples 500` is a quick try.

Source: F. Zenke, SpyTorch (2019), https://github.com/fzenke/spytorch. Weights and learning rate are about ten times larger than there, since our neurons follow
their equations exactly: a spike of weight 1 lifts the potential by 0.09 in the next step instead of 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import brianlike.nn as bnn
from brianlike import InputGroup, Network, NeuronGroup, Synapses, defaultclock, ms, seed
from brianlike.datasets import Split, fashion_mnist, split
from brianlike.encoders import latency_times

INPUTS, HIDDEN, CLASSES, STEPS, BATCH = 784, 100, 10, 100, 256

equations = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s : 1
"""


def build(weight: float) -> bnn.NetworkModule:
    """The network as a torch module. Maximum and spike counts are made step by step: nothing is kept that has a time axis."""
    constants = {"tau_m": 10 * ms, "tau_s": 5 * ms}
    inputs = InputGroup(INPUTS)
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", method="exact", namespace=constants)
    readout = NeuronGroup(CLASSES, equations, method="exact", namespace=constants)
    forward = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w")
    output = Synapses(hidden, readout, "w : 1", on_pre="I_post += w")
    for synapses in (forward, output):
        synapses.connect()
        synapses.w = weight / np.sqrt(len(synapses.source)) * np.random.randn(len(synapses))
    return bnn.NetworkModule(
        Network(inputs, hidden, readout, forward, output),
        record={"highest": bnn.Max((readout, "v")), "count": bnn.Count(hidden)},
        learn=[bnn.Learn(forward, "w"), bnn.Learn(output, "w")],
        gradient=bnn.Surrogate(bnn.SuperSpike(beta=100)),
    )


def right(y, labels: torch.Tensor) -> torch.Tensor:
    return (y.highest.argmax(1) == labels).float().mean()


def batches(x: np.ndarray, y: np.ndarray, shuffle: bool = False):
    """Images become spikes when their batch is needed, as a list: what does not happen costs nothing."""
    return bnn.loader(x, y, BATCH, encode=lambda images: bnn.Events.from_times(latency_times(images, 20 * ms), STEPS), shuffle=shuffle)


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few-spikes", action="store_true", help="with tutorial 3's cost on spikes")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--samples", type=int, default=None, help="use so many images only, for training and for testing")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("."), help="where the picture, the numbers and the checkpoint go")
    options = parser.parse_args()
    name = "spytorch_3" if options.few_spikes else "spytorch_2"
    seed(options.seed)
    torch.manual_seed(options.seed)
    defaultclock.dt = 1 * ms
    data = fashion_mnist()
    if options.samples is not None:
        data = Split(*(part[: options.samples] for part in (data.x_train, data.y_train, data.x_test, data.y_test)))
    parts = split(data.x_train, data.y_train, options.seed, 1 / 12)

    model = build(3.0 if options.few_spikes else 7.0)
    strength = 1e-5 if options.few_spikes else 0.0

    def loss(y, labels: torch.Tensor) -> torch.Tensor:
        cost = y.count.sum() + (y.count.sum(0) ** 2).mean()  # all spikes; and those of each neuron, squared
        return functional.cross_entropy(y.highest, labels) + strength * cost

    spikes = {"spikes per neuron": lambda y, labels: y.count.mean()}
    history = bnn.fit(
        model,
        batches(parts.x_train, parts.y_train, shuffle=True),
        batches(parts.x_test, parts.y_test),
        loss=loss,
        optimizer=torch.optim.Adam(model.parameters(), 0.002),
        epochs=options.epochs,
        score=right,
        watch=spikes,
        checkpoint=options.folder / f"{name}.safetensors",
    )
    with torch.no_grad():
        found = [(right(y, labels), y.count.mean(), len(labels)) for y, labels in ((model(x), labels) for x, labels in batches(data.x_test, data.y_test))]
    accuracy, count = (sum(float(row[n]) * row[2] for row in found) / len(data.y_test) for n in (0, 1))
    print(f"test accuracy after {len(history)} epochs: {accuracy:.4f}, {count:.3f} spikes per hidden neuron and image")
    history.picture(options.folder / f"{name}.png")
    history.save(options.folder / f"{name}.json", test_accuracy=accuracy, spikes_per_neuron=count, seed=options.seed, samples=options.samples)
    return accuracy


if __name__ == "__main__":
    main()
