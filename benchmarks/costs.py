"""What each part of a network costs: nanoseconds for a neuron and step, for a synaptic event, for a value recorded, and so on.

Ours alone, in one process; each figure is the smallest of some repeats, less that of the same network without the part. Sources of events are 1000 neurons
of which 20 fire in every step; each of their spikes reaches about 1000 of 10,000 neurons, so there are 20,000 events a step. The figures of
`docs/performance.md` are these.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from machine import describe
from measure import arguments
from scaling import seconds_of as shortest_run

from brianlike import *

STEPS = 500
LEAKY = "dv/dt = (I - v)/(20*ms) : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1"


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure: of what, for each what, in nanoseconds."""

    what: str
    each: str
    nanoseconds: float


def seconds_of(objects: list, repeats: int) -> float:
    """The shortest of some runs."""
    return shortest_run(Network(*objects), STEPS, repeats)


def leaky(N: int) -> NeuronGroup:
    return NeuronGroup(N, LEAKY, threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact")


def hodgkin_huxley(N: int) -> NeuronGroup:
    rates = """dv/dt = (I - 0.3*(v + 54.4) - 120*m**3*h*(v - 50) - 36*n**4*(v + 77))/ms : 1
               dm/dt = (1/exprel(-(v + 40)/10)*(1 - m) - 4*exp(-(v + 65)/18)*m)/ms : 1
               dh/dt = (0.07*exp(-(v + 65)/20)*(1 - h) - h/(1 + exp(-(v + 35)/10)))/ms : 1
               dn/dt = (0.1/exprel(-(v + 55)/10)*(1 - n) - 0.125*exp(-(v + 65)/80)*n)/ms : 1
               I : 1"""
    group = NeuronGroup(N, rates, threshold="v > 0", refractory="v > 0", method="exponential_euler")
    group.v, group.n, group.m, group.h = -65, 0.32, 0.05, 0.6
    return group


def beating() -> NeuronGroup:
    """1000 neurons of which 20 fire in every step."""
    return NeuronGroup(1000, "unused : 1", threshold="i % 50 == t_in_timesteps % 50", reset="")


def of_neurons(N: int, repeats: int) -> Iterator[Cost]:
    noisy = NeuronGroup(N, "dv/dt = -v/(20*ms) + 0.1*xi*ms**-0.5 : 1", method="euler")
    quiet = NeuronGroup(N, "dv/dt = -v/(20*ms) : 1", method="euler")
    plain = seconds_of([leaky(N)], repeats)
    group, few, many = leaky(N), leaky(N), leaky(N)
    for what, seconds in {
        "two decays, threshold, refractoriness: `exact`": plain,
        "Hodgkin-Huxley: `exponential_euler`": seconds_of([hodgkin_huxley(N)], repeats),
        "noise `xi`": seconds_of([noisy], repeats) - seconds_of([quiet], repeats),
        "`PoissonGroup`, 10 Hz": seconds_of([PoissonGroup(N, 10 * Hz)], repeats),
        "`PoissonInput`, 2 spikes a step": seconds_of([few, PoissonInput(few, "I", 1000, 20 * Hz, 0.001)], repeats) - plain,
        "`PoissonInput`, 20 spikes a step": seconds_of([many, PoissonInput(many, "I", 10_000, 20 * Hz, 0.001)], repeats) - plain,
        "`StateMonitor` of one variable": seconds_of([group, StateMonitor(group, "v", record=True)], repeats) - plain,
    }.items():
        yield Cost(what, "neuron and step", seconds / N / STEPS * 1e9)


KINDS = {
    "one weight for all": {"on_pre": "I_post += 0.001"},
    "a weight for each": {"model": "w : 1", "on_pre": "I_post += w"},
    "a weight and a delay for each": {"model": "w : 1", "on_pre": "I_post += w"},
    "a trace and a weight that changes": {
        "model": "w : 1\ndx/dt = -x/(20*ms) : 1 (event-driven)",
        "on_pre": "x += 0.01\nw = clip(w - 0.001*x, 0, 1)\nI_post += w",
    },
    "in order, each reads what the last one wrote": {"model": "w : 1", "on_pre": "I_post = I_post*0.999 + w"},
}
"""Pathways of ever more work."""


def of_events(N: int, repeats: int) -> Iterator[Cost]:
    without = seconds_of([beating(), leaky(N)], repeats)
    for what, texts in KINDS.items():
        sources, targets = beating(), leaky(N)
        synapses = Synapses(sources, targets, **texts)
        synapses.connect(p=0.1)
        if "w" in texts.get("model", ""):
            synapses.w = "0.001*rand()"
        if "delay" in what:
            synapses.delay = "0.1*ms + 9.9*ms*rand()"
        events = STEPS * 20 * len(synapses) / 1000
        yield Cost(what, "synaptic event", (seconds_of([sources, targets, synapses], repeats) - without) / events * 1e9)


def of_synapses(N: int, repeats: int) -> Iterator[Cost]:
    """What is computed for every synapse in every step."""
    number = N // 10
    without = seconds_of([beating(), leaky(number)], repeats)
    for what, model in {
        "`clock-driven` equation": "w : 1\ndx/dt = (w - x)/(10*ms) : 1 (clock-driven)",
        "`(summed)` variable": "w : 1\nI_post = 0.001*w : 1 (summed)",
    }.items():
        sources = beating()
        targets = NeuronGroup(number, "dv/dt = (I - v)/(20*ms) : 1\nI : 1", method="exact") if "summed" in what else leaky(number)
        synapses = Synapses(sources, targets, model, method="exact")
        synapses.connect(p=0.1)
        yield Cost(what, "synapse and step", (seconds_of([sources, targets, synapses], repeats) - without) / len(synapses) / STEPS * 1e9)


def of_calls(repeats: int) -> Iterator[Cost]:
    """What a step costs beside arithmetic."""
    small = seconds_of([leaky(16)], repeats)
    yield Cost("16 neurons", "step", small / STEPS * 1e9)
    called = NetworkOperation(lambda: None)
    yield Cost("`network_operation` that does nothing", "step", (seconds_of([leaky(16), called], repeats) - small) / STEPS * 1e9)

    @implementation("numpy", discard_units=True)
    @check_units(x=1, result=1)
    def python_function(x):
        return x

    group = NeuronGroup(16, "dv/dt = -python_function(v)/(20*ms) : 1", method="euler", namespace={"python_function": python_function})
    yield Cost("Python function in an equation of 16 neurons", "step", seconds_of([group], repeats) / STEPS * 1e9)
    network = Network(leaky(16))
    network.run(defaultclock.dt)
    start = time.perf_counter()
    for _ in range(100):
        network.run(0 * ms)
    yield Cost("`run` beside its steps", "run", (time.perf_counter() - start) / 100 * 1e9)


def main() -> int:
    options = arguments(__doc__).parse_args()
    N, repeats = (1000, 1) if options.quick else (10_000, options.repeats)
    prefs.codegen.target, prefs.core.threads = "cython", options.threads or 1
    if options.float32:
        prefs.core.default_float_dtype = float32
    BrianLogger.log_level_error()
    costs = [*of_neurons(N, repeats), *of_events(N, repeats), *of_synapses(N, repeats), *of_calls(repeats)]
    sys.stdout.write(f"{describe()}\n\n| part | for each | ns |\n|---|---|---|\n")
    sys.stdout.write("".join(f"| {cost.what} | {cost.each} | {cost.nanoseconds:.3g} |\n" for cost in costs))
    if options.json is not None:
        found = {"benchmark": "costs", "machine": describe(), "rows": [asdict(cost) for cost in costs]}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
