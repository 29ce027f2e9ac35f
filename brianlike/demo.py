"""The demo: one set of equation strings, trained on handwritten digits and then simulated."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from . import nn as bnn
from .build import CompilerUnavailable, find_compiler
from .clocks import defaultclock
from .datasets import Split, digits, latency
from .groups import NeuronGroup
from .inputs import InputGroup
from .monitors import SpikeMonitor, StateMonitor
from .network import Network
from .seeding import seed as set_seed
from .synapses import Synapses
from .units import ms

EQUATIONS = """
dv/dt = (I - v)/tau_m : 1
dI/dt = -I/tau_s      : 1
tau_m                 : second (constant)
"""
STEPS, HIDDEN, BATCH, LEARNING_RATE = 40, 150, 64, 0.005


@dataclass(slots=True)
class DemoNetwork:
    """The groups of the demo, and the module made from them."""

    inputs: InputGroup
    hidden: NeuronGroup
    readout: NeuronGroup
    network: Network
    module: bnn.NetworkModule


def build_network(n_inputs: int, n_classes: int) -> DemoNetwork:
    """A recurrent network of leaky integrate-and-fire neurons with a leaky read-out; weights and time constants are learned."""
    namespace = {"tau_s": 5 * ms}
    inputs = InputGroup(n_inputs)
    hidden = NeuronGroup(HIDDEN, EQUATIONS, threshold="v > 1", reset="v = 0", method="exact", namespace=namespace)
    readout = NeuronGroup(n_classes, EQUATIONS, method="exact", namespace=namespace)
    hidden.tau_m = "clip(15 + 5*randn(), 5, 50)*ms"
    readout.tau_m = 20 * ms
    forward = _connected(inputs, hidden, "0.4 + randn()")
    recurrent = _connected(hidden, hidden, "0.1*randn()")
    output = _connected(hidden, readout, "0.3*randn()")
    network = Network(inputs, hidden, readout, forward, recurrent, output)
    module = bnn.NetworkModule(
        network,
        record={"v": (readout, "v"), "spikes": hidden},
        learn=[
            *(bnn.Learn(synapses, "w") for synapses in (forward, recurrent, output)),
            *(bnn.Learn(group, "tau_m", unit=ms, bounds=(2 * ms, 100 * ms)) for group in (hidden, readout)),
        ],
        gradient=bnn.Surrogate(bnn.SuperSpike(beta=10)),
        dtype=torch.float64,
    )
    return DemoNetwork(inputs, hidden, readout, network, module)


def _connected(source: InputGroup | NeuronGroup, target: NeuronGroup, weights: str) -> Synapses:
    synapses = Synapses(source, target, "w : 1", on_pre="I_post += w")
    synapses.connect()
    synapses.w = weights
    return synapses


def train(module: bnn.NetworkModule, x: torch.Tensor, y: torch.Tensor, epochs: int) -> None:
    """Cross-entropy of the read-out's maximum over time, Adam, cosine schedule; with a progress bar."""
    optimizer = torch.optim.Adam(module.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, epochs))
    with tqdm(range(epochs), desc="training", unit="epoch") as bar:
        for _ in bar:
            total = 0.0
            for chosen in torch.randperm(len(y)).split(BATCH):
                loss = functional.cross_entropy(module(x[:, chosen]).v.amax(0), y[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += float(loss.detach()) * len(chosen)
            schedule.step()
            bar.set_postfix(loss=f"{total / len(y):.4f}")


def run_demo(epochs: int, seed: int, picture: str) -> bool:
    """Train, test, simulate, compare, draw; whether simulator and module agree on every test image."""
    start = time.perf_counter()
    set_seed(seed)
    torch.manual_seed(seed)
    dt, threads = defaultclock.dt, torch.get_num_threads()
    defaultclock.dt = 1 * ms
    torch.set_num_threads(1)  # tensors this small gain nothing from more (31 s against 33 s), and a busy machine makes threads wait for each other
    try:
        return _run(epochs, digits(seed), picture, start)
    finally:
        defaultclock.dt = dt
        torch.set_num_threads(threads)


def _run(epochs: int, data: Split, picture: str, start: float) -> bool:
    x_train, x_test = (torch.from_numpy(latency(x, STEPS, 15 * ms)).double() for x in (data.x_train, data.x_test))
    y_train, y_test = torch.from_numpy(data.y_train), torch.from_numpy(data.y_test)
    print(f"{len(y_train)} images of handwritten digits to train on, {len(y_test)} held out; one spike a pixel, the brighter the sooner")
    demo = build_network(x_train.shape[-1], 10)
    before = np.array(demo.hidden.tau_m / ms)
    train(demo.module, x_train, y_train, epochs)
    with torch.no_grad():
        trained = demo.module(x_test)
    predicted = trained.v.amax(0).argmax(1)
    accuracy = float((predicted == y_test).double().mean())
    print(f"test accuracy: {accuracy:.3f}  ({trained.spikes.sum(0).mean():.1f} spikes a hidden neuron and image)")
    demo.module.write_back()
    began = time.perf_counter()
    simulated = demo.module.simulate(x_test, progress=lambda samples: tqdm(samples, desc=f"simulating ({_engine()})", unit="image"))
    elapsed = time.perf_counter() - began
    different = int((simulated.spikes != trained.spikes).sum())
    same = int((simulated.v.amax(0).argmax(1) == predicted).sum())
    total = int(trained.spikes.sum())
    agree = different == 0 and same == len(predicted)
    if agree:
        print(f"simulator and module agree: the same {total} spikes, the same {same} predictions ({elapsed:.1f} s for {len(predicted)} images)")
    else:
        print(f"simulator and module DISAGREE: {different} of {total} spikes differ, {len(predicted) - same} of {len(predicted)} predictions")
    _draw(demo, data, x_test, predicted.numpy(), before, accuracy, picture)
    print(f"picture: {picture}   ({time.perf_counter() - start:.0f} s in all)")
    return agree


def _engine() -> str:
    """The engine that a run uses here."""
    from .preferences import prefs

    try:
        if prefs["codegen.target"] != "numpy":
            find_compiler()
            return "cython"
    except CompilerUnavailable:
        pass
    return "numpy"


def _draw(demo: DemoNetwork, data: Split, x_test: torch.Tensor, predicted: np.ndarray, before: np.ndarray, accuracy: float, path: str) -> None:
    """Simulate one test image with monitors, and put everything into one picture."""
    from .plots import demo_figure

    image = int(np.flatnonzero(predicted == data.y_test)[0])
    when, which = np.nonzero(x_test[:, image].numpy())
    demo.inputs.set_spikes(which, when * defaultclock.dt)
    shown = list(range(0, HIDDEN, HIDDEN // 4))[:4]
    spikes = SpikeMonitor(demo.inputs), SpikeMonitor(demo.hidden)
    monitors = (*spikes, StateMonitor(demo.hidden, "v", record=shown), StateMonitor(demo.readout, "v", record=True))
    network = Network(*demo.network.objects, *monitors)
    for group in (demo.hidden, demo.readout):
        group.v, group.I = 0, 0
    network.run(STEPS * defaultclock.dt)
    figure = demo_figure(data.x_test[image], int(data.y_test[image]), monitors, data.y_test, predicted, before, np.array(demo.hidden.tau_m / ms), accuracy)
    figure.savefig(path, dpi=130)
