"""Neurons with time constants of their own learn what unfolds in time (after N. Perez-Nieves, V. Leung, P. L. Dragotti and D. Goodman 2021).

Three volleys of spikes arrive, separated by two intervals that are short or long: 8, 25, 70 or 160 ms each, sixteen rhythms in all. The volleys jitter, come
on random channels and drown a little in noise: nothing but the intervals tells the rhythm. A recurrent network of leaky neurons names it, three times with
the same weights to begin with:

- fixed: all membranes have 20 ms, all synaptic currents 10 ms, and only weights are learned;
- learned: the same, and every neuron learns both of its time constants;
- spread and learned: they begin with time constants drawn from gamma distributions around the same means.

    python tutorials/time_constants.py --seeds 5

trains 15 networks (about 15 minutes on one core), prints the accuracies of each seed and saves `time_constants.png` and `.json`.
`--seeds 1 --epochs 1 --samples 128` is a quick try. Source: Nature Communications 12:5791 (2021).
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.nn import functional
from tqdm import tqdm

import brianlike.nn as bnn
from brianlike import InputGroup, Network, NeuronGroup, Synapses, defaultclock, ms, seed

CHANNELS, HIDDEN = 48, 48
INTERVALS = (8, 25, 70, 160)  # ms
CLASSES = len(INTERVALS) ** 2
STEPS, STEP = 190, 2  # of 2 ms
BATCH, LEARNING_RATE, SLOWEST = 64, 5e-3, 200
CONDITIONS = ("fixed", "learned", "spread and learned")

equations = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s : 1
tau_m : second (constant)
tau_s : second (constant)
"""


def rhythms(count: int, generator: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes of shape (steps, samples, channels) and the class of each sample."""
    classes = generator.integers(CLASSES, size=count)
    intervals = np.array(INTERVALS)[np.stack([classes // len(INTERVALS), classes % len(INTERVALS)], 1)]
    onset = generator.uniform(5, 25, (count, 1))
    volleys = np.concatenate([onset, onset + intervals.cumsum(1)], 1)  # (samples, 3), ms
    spikes = generator.random((STEPS, count, CHANNELS)) < 0.004 * STEP  # noise of 4 spikes a second
    takes_part = generator.random((count, 3, CHANNELS)) < 0.5
    times = volleys[:, :, None] + generator.normal(0, 1.0, takes_part.shape)
    sample, volley, channel = np.nonzero(takes_part)
    step = np.clip(times[sample, volley, channel] / STEP, 0, STEPS - 1).astype(np.int64)
    spikes[step, sample, channel] = True
    return torch.from_numpy(spikes).float(), torch.from_numpy(classes)


def build(condition: str) -> tuple[bnn.NetworkModule, NeuronGroup]:
    """The network of one condition. The same seed gives the same weights in all of them."""
    channels = InputGroup(CHANNELS)
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", method="exact")
    readout = NeuronGroup(CLASSES, equations, method="exact")
    wires = [Synapses(a, b, "w : 1", on_pre="I_post += w") for a, b in ((channels, hidden), (hidden, hidden), (hidden, readout))]
    for synapses, deviation in zip(wires, (5.0, 1.0, 1.0)):
        synapses.connect()
        synapses.w = deviation / np.sqrt(len(synapses.source)) * np.random.randn(len(synapses))
    for group in (hidden, readout):
        group.tau_m, group.tau_s = 20 * ms, 10 * ms
    if condition == "spread and learned":
        shape = 3.0
        hidden.tau_m = np.clip(np.random.gamma(shape, 20 / shape, HIDDEN), 3, 0.9 * SLOWEST) * ms
        hidden.tau_s = np.clip(np.random.gamma(shape, 10 / shape, HIDDEN), 3, 0.9 * SLOWEST) * ms
    learn = [bnn.Learn(synapses, "w") for synapses in wires]
    if condition != "fixed":
        learn += [bnn.Learn(group, name, unit=ms, bounds=(2 * ms, SLOWEST * ms)) for group in (hidden, readout) for name in ("tau_m", "tau_s")]
    model = bnn.NetworkModule(
        Network(channels, hidden, readout, *wires),
        record={"v": bnn.Max((readout, "v")), "count": bnn.Count(hidden)},
        learn=learn,
        gradient=bnn.Surrogate(bnn.SuperSpike(beta=10)),
    )
    return model, hidden


def train(
    model: bnn.NetworkModule, condition: str, data: tuple[torch.Tensor, torch.Tensor], held_out: tuple[torch.Tensor, torch.Tensor], epochs: int, title: str
) -> list[float]:
    """Adam on the cross-entropy of the read-out's maximum over time, faster for time constants; the accuracy on new samples after each epoch."""
    (x, y), (x_test, y_test) = data, held_out
    faster = {} if condition == "fixed" else {name: {"lr": 4 * LEARNING_RATE} for name in ("tau_m", "tau_s")}
    optimizer = torch.optim.Adam(model.parameter_groups(faster, lr=LEARNING_RATE))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    accuracies = []
    with tqdm(range(epochs), desc=title, unit="epoch") as bar:
        for _ in bar:
            for chosen in torch.randperm(len(y)).split(BATCH):
                record = model(x[:, chosen])
                loss = functional.cross_entropy(record.v, y[chosen]) + 1e-3 * functional.relu(record.count - 20).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
            with torch.no_grad():
                accuracies.append(float((model(x_test).v.argmax(1) == y_test).float().mean()))
            bar.set_postfix(loss=f"{float(loss.detach()):.3f}", test=f"{accuracies[-1]:.3f}")
    return accuracies


def picture(path: Path, curves: dict[str, np.ndarray], learned: np.ndarray, sample: torch.Tensor, rhythm: int) -> None:
    """An example, the accuracies of all seeds, and the time constants that one network learned."""
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    step, channel = torch.nonzero(sample, as_tuple=True)
    axes[0].scatter(step * STEP, channel, s=5, color="black", linewidths=0)
    intervals = f"{INTERVALS[rhythm // len(INTERVALS)]} and {INTERVALS[rhythm % len(INTERVALS)]} ms"
    axes[0].set(title=f"one of 16 rhythms: {intervals}", xlabel="time (ms)", ylabel="channel")
    for (name, rows), color in zip(curves.items(), ("tab:gray", "tab:blue", "tab:green")):
        epochs = np.arange(1, rows.shape[1] + 1)
        axes[1].plot(epochs, rows.T, color=color, alpha=0.25, linewidth=0.8)
        axes[1].plot(epochs, rows.mean(0), color=color, linewidth=2, label=f"{name}: {rows[:, -1].mean():.2f}")
    axes[1].axhline(1 / CLASSES, color="black", linestyle=":", linewidth=0.8)
    axes[1].set(title=f"new samples, {len(next(iter(curves.values())))} seeds", xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    axes[1].legend(frameon=False, loc="upper left", title="time constants")
    axes[2].scatter(*learned, s=14, color="tab:green", alpha=0.7, linewidths=0)
    axes[2].plot(20, 10, "o", color="black", markerfacecolor="none", label="fixed")
    axes[2].set(title="learned by the hidden neurons", xlabel="membrane (ms)", ylabel="synaptic current (ms)", xscale="log", yscale="log")
    ticks = [3, 10, 30, 100]
    axes[2].set_xticks(ticks, map(str, ticks))
    axes[2].set_yticks(ticks, map(str, ticks))
    axes[2].minorticks_off()
    axes[2].legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> dict[str, object]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--samples", type=int, default=1600, help="to train on; half as many are held out")
    parser.add_argument("--folder", default=".", help="where results go")
    options = parser.parse_args()
    folder = Path(options.folder)
    torch.set_num_threads(1)
    defaultclock.dt = STEP * ms
    curves: dict[str, list[list[float]]] = {condition: [] for condition in CONDITIONS}
    for number in range(1, options.seeds + 1):
        generator = np.random.default_rng(number)
        data, held_out = rhythms(options.samples, generator), rhythms(options.samples // 2, generator)
        for condition in CONDITIONS:
            seed(number)
            torch.manual_seed(number)
            model, hidden = build(condition)
            curves[condition].append(train(model, condition, data, held_out, options.epochs, f"seed {number}, {condition}"))
        print(f"seed {number}: " + ", ".join(f"{condition} {curves[condition][-1][-1]:.3f}" for condition in CONDITIONS), flush=True)
    last = {condition: [row[-1] for row in rows] for condition, rows in curves.items()}
    for before, after in pairwise(CONDITIONS):
        gain = np.subtract(last[after], last[before])
        print(f"{after} - {before}: {gain.mean():+.3f} on average, better with {int((gain > 0).sum())} of {len(gain)} seeds")
    learned = np.stack([model.value(hidden, name).detach().numpy() for name in ("tau_m", "tau_s")])
    picture(folder / "time_constants.png", {name: np.array(rows) for name, rows in curves.items()}, learned, held_out[0][:, 0], int(held_out[1][0]))
    results: dict[str, object] = {"epochs": options.epochs, "samples": options.samples, "chance": 1 / CLASSES, "curves": curves}
    (folder / "time_constants.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"results: {folder}")
    return results


if __name__ == "__main__":
    main()
