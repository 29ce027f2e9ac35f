"""Surrogate gradients: a random task that only they solve (SpyTorch's tutorial 1 in brianlike).

256 samples of random spikes, 100 inputs firing at 5 Hz for 200 ms, have random labels. Four hidden neurons and two leaky read-outs, the higher maximum wins,
shall learn them by heart. Trained with the true gradient (a spike has none, so the hidden weights stay as they are) and with a surrogate.

    python tutorials/spytorch_1.py

runs 1000 steps of Adam for each (three minutes on one core), prints both accuracies, and saves `spytorch_1.png` and `spytorch_1.json`.
`--iterations 20` is a quick try.

Source: F. Zenke, SpyTorch (2019), https://github.com/fzenke/spytorch; E. O. Neftci, H. Mostafa and F. Zenke (2019), Surrogate gradient learning in spiking
neural networks, IEEE Signal Processing Magazine 36:51.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import brianlike.nn as bnn
from brianlike import Hz, InputGroup, Network, NeuronGroup, Synapses, defaultclock, ms, seed
from brianlike.encoders import poisson

INPUTS, HIDDEN, CLASSES, SAMPLES, STEPS = 100, 4, 2, 256, 200

# A neuron is two equations: the membrane leaks towards its input current, which decays by itself. The method is their exact solution.
equations = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s : 1
"""


def build(gradient: bnn.Surrogate | bnn.TrueGradient) -> bnn.NetworkModule:
    """The network as a torch module. What differs between the two runs is one argument."""
    constants = {"tau_m": 10 * ms, "tau_s": 5 * ms}
    inputs = InputGroup(INPUTS)
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", method="exact", namespace=constants)
    readout = NeuronGroup(CLASSES, equations, method="exact", namespace=constants)
    forward = Synapses(inputs, hidden, "w : 1", on_pre="I_post += w")
    output = Synapses(hidden, readout, "w : 1", on_pre="I_post += w")
    for synapses in (forward, output):
        synapses.connect()
        synapses.w = 7 / np.sqrt(len(synapses.source)) * np.random.randn(len(synapses))
    return bnn.NetworkModule(
        Network(inputs, hidden, readout, forward, output),
        record={"highest": bnn.Max((readout, "v")), "count": bnn.Count(hidden)},
        learn=[bnn.Learn(forward, "w"), bnn.Learn(output, "w")],
        gradient=gradient,
    )


def right(y, labels: torch.Tensor) -> torch.Tensor:
    return (y.highest.argmax(1) == labels).float().mean()


def main() -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("."), help="where the picture and the numbers go")
    options = parser.parse_args()
    defaultclock.dt = 1 * ms
    random = np.random.default_rng(options.seed)
    x = torch.from_numpy(poisson(np.full((SAMPLES, INPUTS), 5.0) * Hz, STEPS, seed=random)).float()
    labels = torch.from_numpy(random.integers(CLASSES, size=SAMPLES))
    histories, accuracies = {}, {}
    for name, gradient in {"true gradient": bnn.TrueGradient(), "surrogate": bnn.Surrogate(bnn.SuperSpike(beta=100))}.items():
        seed(options.seed)
        model = build(gradient)
        with torch.no_grad():
            accuracies["before"] = float(right(model(x), labels))
        histories[name] = bnn.fit(
            model,
            [(x, labels)],
            loss=lambda y, labels: functional.cross_entropy(y.highest, labels),
            optimizer=torch.optim.Adam(model.parameters(), 0.02),
            epochs=options.iterations,
            score=right,
            watch={"spikes per neuron": lambda y, labels: y.count.mean()},
        )
        accuracies[name] = histories[name].values["score"][-1]
    for name, value in accuracies.items():
        print(f"accuracy, {name}: {value:.3f}")
    histories["surrogate"].picture(options.folder / "spytorch_1.png", {"input of the first sample": x[:, 0]})
    settings = {"iterations": options.iterations, "seed": options.seed}
    losses = {name: history.values["loss"][:: max(1, options.iterations // 50)] for name, history in histories.items()}
    (options.folder / "spytorch_1.json").write_text(json.dumps({"settings": settings, "accuracy": accuracies, "loss": losses}, indent=1) + "\n")
    return accuracies


if __name__ == "__main__":
    main()
