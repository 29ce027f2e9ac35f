"""Reading spike times: smooth random manifolds (Zenke and Vogels 2021) in brianlike.

Ten classes; in each, a hundred inputs spike once, at times that lie on a smooth random surface. Counts tell nothing, all information is in the times. A hundred
hidden neurons, ten leaky read-outs. The weights begin where the equations say that potentials fluctuate up to the threshold.

    python tutorials/randman.py

trains for 10 epochs on 7200 samples (half a minute on one core; 800 more decide which epoch is the best), prints the accuracy on 2000 others, and saves
`randman.png` and `randman.json`. `--epochs 2 --samples 20` is a quick try.

Source: F. Zenke and T. P. Vogels (2021), The remarkable robustness of surrogate gradient learning for instilling complex function in spiking neural networks,
Neural Computation 33:899.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import brianlike.nn as bnn
from brianlike import Hz, InputGroup, Network, NeuronGroup, Synapses, defaultclock, ms, seed
from brianlike.datasets import randman, split
from brianlike.encoders import at_times

UNITS, HIDDEN, CLASSES, STEPS, DIMENSIONS = 100, 100, 10, 100, 2

equations = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s : 1
"""


def build() -> bnn.NetworkModule:
    """The network as a torch module. Each input spikes once in 100 ms; of hidden neurons we hope for about as much."""
    constants = {"tau_m": 20 * ms, "tau_s": 10 * ms}
    inputs = InputGroup(UNITS)
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", method="exact", namespace=constants)
    readout = NeuronGroup(CLASSES, equations, method="exact", namespace=constants)
    forward = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w")
    output = Synapses(hidden, readout, "w : 1", on_pre="I_post += w")
    forward.connect()
    output.connect()
    bnn.fluctuation_driven(forward, 10 * Hz)
    bnn.fluctuation_driven(output, 10 * Hz, of="v", deviation=1.0)
    return bnn.NetworkModule(
        Network(inputs, hidden, readout, forward, output),
        record={"highest": bnn.Max((readout, "v")), "count": bnn.Count(hidden), "spikes": hidden},
        learn=[bnn.Learn(forward, "w"), bnn.Learn(output, "w")],
        gradient=bnn.Surrogate(bnn.SuperSpike(beta=10)),
    )


def right(y, labels: torch.Tensor) -> torch.Tensor:
    return (y.highest.argmax(1) == labels).float().mean()


def batches(x: np.ndarray, y: np.ndarray, shuffle: bool = False):
    """Times from 0 to 1 become spikes within 100 ms."""
    return bnn.loader(x, y, 250, encode=lambda times: at_times(times * STEPS * ms, STEPS), shuffle=shuffle)


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1000, help="of each class, a fifth of them for testing")
    parser.add_argument("--smoothness", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("."), help="where the picture and the numbers go")
    options = parser.parse_args()
    seed(options.seed)
    torch.manual_seed(options.seed)
    defaultclock.dt = 1 * ms
    data = randman(CLASSES, UNITS, options.samples, DIMENSIONS, smoothness=options.smoothness, seed=options.seed)
    parts = split(data.x_train, data.y_train, options.seed, 0.1)
    model = build()
    history = bnn.fit(
        model,
        batches(parts.x_train, parts.y_train, shuffle=True),
        batches(parts.x_test, parts.y_test),
        loss=lambda y, labels: functional.cross_entropy(y.highest, labels) + 0.02 * bnn.spikes_above(y.count, 3),
        optimizer=torch.optim.Adam(model.parameters(), 0.01),
        epochs=options.epochs,
        score=right,
        watch={"spikes per neuron": lambda y, labels: y.count.mean()},
    )
    with torch.no_grad():
        found = [(float(right(model(x), labels)), len(labels)) for x, labels in batches(data.x_test, data.y_test)]
        ((x, _), *_) = batches(data.x_test, data.y_test)
        rasters = {"input of a sample": x[:, 0], "hidden neurons": model(x[:, :1]).spikes[:, 0]}
    accuracy = sum(value * n for value, n in found) / len(data.y_test)
    print(f"test accuracy after {options.epochs} epochs: {accuracy:.4f} on {len(data.y_test)} samples of {CLASSES} classes")
    history.picture(options.folder / "randman.png", rasters)
    history.save(options.folder / "randman.json", test_accuracy=accuracy, seed=options.seed, samples=options.samples, smoothness=options.smoothness)
    return accuracy


if __name__ == "__main__":
    main()
