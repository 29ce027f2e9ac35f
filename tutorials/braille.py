"""Reading Braille with a spiking network written as equations (SpyTorch's tutorial 5 in brianlike).

A robot's fingertip slides over 27 Braille characters. The pressure on four of its taxels drives 4 x 32 encoder neurons with learned gain and bias; their
spikes reach 200 recurrently connected neurons; 27 leaky integrators read out, and the highest potential over time names the letter.

    BRIANLIKE_DATA=folder/with/braille.npz python tutorials/braille.py

trains for 60 epochs (about a minute on one core), prints the accuracy on a random fifth of the recordings, runs that fifth in the simulator, and saves the
learning curve as `braille.png`. `--epochs 1 --samples 100` is a quick try.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

import brianlike.nn as bnn
from brianlike import Network, NeuronGroup, Synapses, defaultclock, ms, seed
from brianlike.datasets import Split, braille
from brianlike.plots import learning_curve

COPIES, HIDDEN, CLASSES = 32, 200, 27
BATCH, LEARNING_RATE, RATE_COST = 32, 0.005, 1e-3

encoder_equations = """
dv/dt = (gain*(pressure + bias) - v)/tau_m : 1
pressure : 1 (input)
gain : 1
bias : 1
"""
equations = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s : 1
"""


def build() -> bnn.NetworkModule:
    """The network, as a torch module."""
    constants = {"tau_m": 20 * ms, "tau_s": 10 * ms}
    encoders = NeuronGroup(4 * COPIES, encoder_equations, threshold="v > 1", reset="v = 0", method="exact", namespace=constants)
    encoders.gain, encoders.bias = "4*randn()", "randn()"
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", method="exact", namespace=constants)
    readout = NeuronGroup(CLASSES, equations, method="exact", namespace=constants)
    forward, recurrent, output = (
        Synapses(source, target, "w : 1", on_pre="I_post += w") for source, target in ((encoders, hidden), (hidden, hidden), (hidden, readout))
    )
    for synapses, deviation in ((forward, 1.0), (recurrent, 0.03), (output, 3.0)):
        synapses.connect()
        synapses.w = deviation / np.sqrt(len(synapses.source)) * np.random.randn(len(synapses))
    return bnn.NetworkModule(
        Network(encoders, hidden, readout, forward, recurrent, output),
        record={"v": (readout, "v"), "spikes": hidden, "count": bnn.Count(hidden)},
        learn=[*(bnn.Learn(s, "w") for s in (forward, recurrent, output)), bnn.Learn(encoders, "gain"), bnn.Learn(encoders, "bias")],
        gradient=bnn.Surrogate(bnn.SuperSpike(beta=20)),
    )


def encode(x: np.ndarray) -> torch.Tensor:
    """Recordings (samples, 76, 4) as the input of the encoders: (152, samples, 128), each value held for two steps of 1 ms."""
    held = np.repeat(np.repeat(x, 2, axis=1), COPIES, axis=2)
    return torch.from_numpy(held.transpose(1, 0, 2).astype(np.float32)).contiguous()


def accuracy(model: bnn.NetworkModule, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return float((model(x).v.amax(0).argmax(1) == y).float().mean())


def train(model: bnn.NetworkModule, data: Split, epochs: int) -> tuple[list[float], list[float], list[float]]:
    """Adam with a cosine schedule on the read-out's maximum over time, with a cost on the hidden spikes.

    Returns training accuracy, test accuracy and loss of each epoch.
    """
    x, y, x_test, y_test = encode(data.x_train), torch.from_numpy(data.y_train), encode(data.x_test), torch.from_numpy(data.y_test)
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    training, testing, losses = [], [], []
    with tqdm(range(epochs), unit="epoch") as bar:
        for _ in bar:
            total, right = 0.0, 0
            for chosen in torch.randperm(len(y)).split(BATCH):
                record = model(x[:, chosen])
                scores = record.v.amax(0)
                loss = functional.cross_entropy(scores, y[chosen]) + RATE_COST * record.count.mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(chosen)
                right += int((scores.argmax(1) == y[chosen]).sum())
            schedule.step()
            training.append(right / len(y))
            testing.append(accuracy(model, x_test, y_test))
            losses.append(total / len(y))
            bar.set_postfix(loss=f"{losses[-1]:.3f}", train=f"{training[-1]:.3f}", test=f"{testing[-1]:.3f}")
    return training, testing, losses


def compare(model: bnn.NetworkModule, data: Split) -> None:
    """Run the held-out recordings through the simulator, and through the module in the simulator's precision."""
    model.double()
    x = encode(data.x_test).double()
    with torch.no_grad():
        trained = model(x)
    simulated = model.simulate(x, progress=lambda samples: tqdm(samples, desc="simulating", unit="recording"))
    different = int((trained.spikes != simulated.spikes).sum())
    same = int((trained.v.amax(0).argmax(1) == simulated.v.amax(0).argmax(1)).sum())
    print(f"the simulator's spikes: {int(simulated.spikes.sum())}, {different} of them not the module's; {same} of {x.shape[1]} predictions are the same")


def main() -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--samples", type=int, default=None, help="train on so many recordings only")
    parser.add_argument("--data", default=None, help="folder of braille.npz (default: the environment variable BRIANLIKE_DATA)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--picture", default="braille.png")
    options = parser.parse_args()
    seed(options.seed)
    torch.manual_seed(options.seed)
    defaultclock.dt = 1 * ms
    data = braille(options.data, options.seed)
    if options.samples is not None:
        data = Split(data.x_train[: options.samples], data.y_train[: options.samples], data.x_test, data.y_test)
    model = build()
    training, testing, losses = train(model, data, options.epochs)
    print(f"test accuracy after {options.epochs} epochs: {testing[-1]:.3f} (best {max(testing):.3f}) on {len(data.y_test)} recordings of {CLASSES} letters")
    compare(model, data)
    learning_curve({"training": training, "test": testing}, losses, "Braille letters, 4 taxels").savefig(options.picture, dpi=130)
    print(f"picture: {options.picture}")
    return testing[-1]


if __name__ == "__main__":
    main()
