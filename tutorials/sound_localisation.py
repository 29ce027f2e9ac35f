"""Where does a sound come from? One model, wired by hand and simulated, then trained (after the tutorial of D. Goodman, Cosyne 2022).

A tone reaches the two ears with a difference of phase that tells its direction. Each ear has 100 auditory nerve fibres, Poisson neurons whose rate follows
the tone; a fibre's own delay shifts its phase. The same equation of a coincidence detector is then used three times:

1. as theory says (L. A. Jeffress 1948): each detector hears one fibre of each ear, whose delays make up for one direction; the busiest detector tells it;
2. trained: 30 detectors hear all fibres, 12 leaky integrators name one of 12 directions; all weights are learned by gradient descent;
3. simulated again: the learned weights go back to the Brian-style objects, which are connected to the ears and listen to new sounds.

    python tutorials/sound_localisation.py

takes half a minute and saves `sound_localisation.png` and `.json`. `--sounds 512 --epochs 2` is a quick try.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.nn import functional
from tqdm import tqdm

import brianlike.nn as bnn
from brianlike import Hz, InputGroup, Network, NeuronGroup, SpikeMonitor, StateMonitor, Synapses, TimedArray, defaultclock, ms, pi, seed

FIBRES, DETECTORS, CLASSES = 100, 30, 12
LENGTH = 100  # steps of 1 ms: two periods of the tone
BATCH, LEARNING_RATE = 64, 0.01

ear_equations = """
theta = 2*pi*frequency*t + phase(t) + difference(t)*right - shift : 1
rate = 600*Hz*(0.5*(1 + sin(theta)))**2 : Hz
right : 1 (constant)
shift : 1 (constant)
"""
detector_equations = "dv/dt = -v/tau : 1"


def ears(difference: np.ndarray, phase: np.ndarray) -> tuple[NeuronGroup, SpikeMonitor]:
    """Fibres of both ears for one sound of 100 ms after another: the left ear's fibres delay it more and more, the right ear's less and less."""
    names = {
        "frequency": 20 * Hz,
        "pi": pi,
        "Hz": Hz,
        "difference": TimedArray(difference, dt=LENGTH * ms),
        "phase": TimedArray(phase, dt=LENGTH * ms),
    }
    fibres = NeuronGroup(2 * FIBRES, ear_equations, threshold="rand() < rate*dt", reset="", namespace=names)
    fibres.right = np.repeat([0, 1], FIBRES)
    fibres.shift = np.concatenate([np.linspace(0, np.pi / 2, FIBRES), np.linspace(np.pi / 2, 0, FIBRES)])
    return fibres, SpikeMonitor(fibres)


def sounds(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Differences of phase between the ears from -pi/2 to pi/2, the phase at which each sound begins, and the class of its direction."""
    difference = generator.uniform(-np.pi / 2, np.pi / 2, count)
    return difference, generator.uniform(0, 2 * np.pi, count), np.floor((difference + np.pi / 2) / np.pi * CLASSES).astype(np.int64)


def as_tensor(spikes: SpikeMonitor, count: int) -> torch.Tensor:
    """The recorded spikes of all sounds, of shape (time, sounds, fibres)."""
    step = np.rint(spikes.t_ / defaultclock.dt_).astype(np.int64)
    raster = torch.zeros(LENGTH, count, 2 * FIBRES)
    raster[step % LENGTH, step // LENGTH, np.asarray(spikes.i)] = 1
    return raster


def jeffress(difference: np.ndarray, phase: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """The hand-made circuit: spikes of each detector in each sound, and the spikes of the fibres."""
    fibres, heard = ears(difference, phase)
    detectors = NeuronGroup(FIBRES, detector_equations, threshold="v > 1", reset="v = 0", method="exact", namespace={"tau": 1 * ms})
    one_pair = Synapses(fibres, detectors, on_pre="v_post += 1.6")  # two spikes in one step reach 1.18 after the leak, one in each step never 1
    one_pair.connect(j="i % 100")
    coincidences = SpikeMonitor(detectors)
    Network(fibres, heard, detectors, one_pair, coincidences).run(len(difference) * LENGTH * ms)
    sound = np.rint(coincidences.t_ / defaultclock.dt_).astype(np.int64) // LENGTH
    counts = np.zeros((len(difference), FIBRES))
    np.add.at(counts, (sound, np.asarray(coincidences.i)), 1)
    return counts, as_tensor(heard, len(difference))


def estimate(counts: np.ndarray) -> np.ndarray:
    """The direction of the busiest detectors: the peak of the counts, smoothed over neighbouring detectors."""
    bump = np.exp(-(np.linspace(-2.5, 2.5, 41) ** 2))
    smooth = np.stack([np.convolve(row, bump, "same") / np.convolve(np.ones(FIBRES), bump, "same") for row in counts])
    best = np.linspace(np.pi / 2, -np.pi / 2, FIBRES)  # where a fibre of the right ear is late, that of the left is early
    return best[smooth.argmax(1)]


def build() -> tuple[bnn.NetworkModule, tuple[Synapses, Synapses]]:
    """Fibres to detectors to read-out, all connected with all, as a torch module; and the synapses."""
    names = {"tau": 20 * ms}
    heard = InputGroup(2 * FIBRES)
    detectors = NeuronGroup(DETECTORS, detector_equations, threshold="v > 1", reset="v = 0", method="exact", namespace=names)
    readout = NeuronGroup(CLASSES, detector_equations, method="exact", namespace=names)
    hidden = Synapses(heard, detectors, "w : 1", on_pre="v_post += w")
    output = Synapses(detectors, readout, "w : 1", on_pre="v_post += w")
    for synapses in (hidden, output):
        synapses.connect()
        synapses.w = np.random.randn(len(synapses)) / np.sqrt(len(synapses.source))
    model = bnn.NetworkModule(
        Network(heard, detectors, readout, hidden, output),
        record={"v": bnn.Mean((readout, "v")), "spikes": detectors},
        learn=[bnn.Learn(hidden, "w"), bnn.Learn(output, "w")],
        gradient=bnn.Surrogate(bnn.Sigmoid(slope=5), scale=5),
    )
    return model, (hidden, output)


def train(model: bnn.NetworkModule, x: torch.Tensor, y: torch.Tensor, epochs: int) -> list[float]:
    """Adam on the cross-entropy of the read-out's mean potential; the loss of each epoch."""
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    losses = []
    with tqdm(range(epochs), unit="epoch") as bar:
        for _ in bar:
            total = 0.0
            for chosen in torch.randperm(len(y)).split(BATCH):
                loss = functional.cross_entropy(model(x[:, chosen]).v, y[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(chosen)
            losses.append(total / len(y))
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
    return losses


def listen(model: bnn.NetworkModule, synapses: tuple[Synapses, Synapses], difference: np.ndarray, phase: np.ndarray) -> tuple[np.ndarray, torch.Tensor, int]:
    """The trained circuit connected to the ears themselves, for one sound after another.

    Returns the read-out's mean potential in each sound, the spikes of the fibres, and the number of the detectors' spikes.
    """
    model.write_back()
    names = {"tau": 20 * ms}
    fibres, heard = ears(difference, phase)
    detectors = NeuronGroup(DETECTORS, detector_equations, threshold="v > 1", reset="v = 0", method="exact", namespace=names)
    readout = NeuronGroup(CLASSES, detector_equations, method="exact", namespace=names)
    wired = [Synapses(source, target, "w : 1", on_pre="v_post += w") for source, target in ((fibres, detectors), (detectors, readout))]
    for mine, learned in zip(wired, synapses):
        mine.connect()
        mine.w = learned.w
    for group in (detectors, readout):  # silence between two sounds
        group.run_regularly("v = 0", dt=LENGTH * ms, when="start")
    potential, fired = StateMonitor(readout, "v", record=True, when="end"), SpikeMonitor(detectors)
    Network(fibres, heard, detectors, readout, *wired, potential, fired).run(len(difference) * LENGTH * ms)
    mean = np.asarray(potential.v).reshape(CLASSES, len(difference), LENGTH).mean(2).T
    return mean, as_tensor(heard, len(difference)), fired.num_spikes


def picture(path: Path, results: dict[str, object], difference: np.ndarray, guess: np.ndarray, named: np.ndarray, x: torch.Tensor, weights: np.ndarray) -> None:
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    step, fibre = torch.nonzero(x[:, 0], as_tuple=True)
    axes[0, 0].scatter(step, fibre, s=3, c=np.where(fibre < FIBRES, "tab:blue", "tab:red"), linewidths=0)
    axes[0, 0].set(title=f"a sound with a difference of {np.degrees(difference[0]):.0f} degrees", xlabel="time (ms)", ylabel="fibres of the left and right ear")
    degrees, limit = np.degrees(difference), (-95, 95)
    axes[0, 1].plot(limit, limit, color="gray", linewidth=0.8)
    axes[0, 1].scatter(degrees, np.degrees(guess), s=6, alpha=0.5, linewidths=0)
    axes[0, 1].set(
        title=f"wired by hand: median error {results['jeffress_error']:.0f} degrees",
        xlabel="difference of phase (degrees)",
        ylabel="told by the circuit",
        xlim=limit,
        ylim=limit,
    )
    centre = (named + 0.5) / CLASSES * 180 - 90
    axes[1, 0].plot(limit, limit, color="gray", linewidth=0.8)
    axes[1, 0].scatter(degrees, centre + np.random.default_rng(0).uniform(-4, 4, len(centre)), s=6, alpha=0.5, linewidths=0, color="tab:green")
    axes[1, 0].set(
        title=f"trained: median error {results['trained_error']:.0f} degrees",
        xlabel="difference of phase (degrees)",
        ylabel="told by the circuit",
        xlim=limit,
        ylim=limit,
    )
    edge = np.abs(weights).max()
    image = axes[1, 1].imshow(weights, aspect="auto", cmap="RdBu_r", vmin=-edge, vmax=edge, interpolation="nearest", origin="lower")
    axes[1, 1].axhline(FIBRES - 0.5, color="black", linewidth=0.8)
    axes[1, 1].set(title="learned weights", xlabel="detector (sorted)", ylabel="fibres of the left and right ear")
    figure.colorbar(image, ax=axes[1, 1])
    figure.savefig(path, dpi=120)


def main() -> dict[str, object]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=int, default=4096, help="to train on; a quarter as many are held out")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", default=".", help="where results go")
    options = parser.parse_args()
    folder = Path(options.folder)
    seed(options.seed)
    torch.manual_seed(options.seed)
    defaultclock.dt = 1 * ms
    generator = np.random.default_rng(options.seed)
    difference, phase, classes = sounds(options.sounds, generator)
    held_difference, held_phase, held_classes = sounds(options.sounds // 4, generator)

    counts, x_test = jeffress(held_difference, held_phase)
    guess = estimate(counts)
    by_hand = np.clip(np.floor((guess + np.pi / 2) / np.pi * CLASSES), 0, CLASSES - 1)

    fibres, heard = ears(difference, phase)
    Network(fibres, heard).run(len(difference) * LENGTH * ms)
    model, synapses = build()
    losses = train(model, as_tensor(heard, len(difference)), torch.from_numpy(classes), options.epochs)
    with torch.no_grad():
        named = model(x_test).v.argmax(1).numpy()
    model.double()
    mean, x, spikes = listen(model, synapses, held_difference, held_phase)
    with torch.no_grad():
        again = model(x.double())

    def error(told: np.ndarray) -> float:
        return float(np.degrees(np.median(np.abs(told - held_difference))))

    results: dict[str, object] = {
        "sounds": options.sounds,
        "epochs": options.epochs,
        "seed": options.seed,
        "chance": 1 / CLASSES,
        "jeffress_accuracy": float((by_hand == held_classes).mean()),
        "jeffress_error": error(guess),
        "trained_accuracy": float((named == held_classes).mean()),
        "trained_error": error((named + 0.5) / CLASSES * np.pi - np.pi / 2),
        "simulated_accuracy": float((mean.argmax(1) == held_classes).mean()),
        "simulated_spikes": spikes,
        "module_spikes": int(again.spikes.sum()),
        "same_predictions": int((again.v.argmax(1).numpy() == mean.argmax(1)).sum()),
        "loss": losses,
    }
    print(f"12 directions, {len(held_classes)} new sounds; chance is {results['chance']:.3f}")
    print(f"wired by hand: accuracy {results['jeffress_accuracy']:.3f}, median error {results['jeffress_error']:.1f} degrees")
    print(f"trained: accuracy {results['trained_accuracy']:.3f}, median error {results['trained_error']:.1f} degrees")
    print(f"the trained circuit simulated behind the ears: accuracy {results['simulated_accuracy']:.3f}")
    same = f"{results['same_predictions']} of {len(held_classes)} predictions the same"
    print(f"the sounds it heard there, in the module: {results['module_spikes']} spikes where the simulator has {spikes}, {same}")
    weights = model.value(synapses[0], "w").detach().numpy()
    order = np.argsort((weights[:FIBRES] * np.arange(FIBRES)[:, None]).sum(0))
    picture(folder / "sound_localisation.png", results, held_difference, guess, named, x_test, weights[:, order])
    (folder / "sound_localisation.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"results: {folder}")
    return results


if __name__ == "__main__":
    main()
