"""Time grows linearly in neurons, synapses, events and steps: two decades of each, a line through them, and the slope on logarithmic axes.

Ours alone, in one process with one thread; each point is the smallest of some repeats. `line` is time = fixed + slope*size, fitted to relative errors;
`exponent` is the slope on logarithmic axes of the time without the fixed part; `off the line` is the largest relative distance of a point from the line.
Beyond the caches of the processor neurons and synapses cost more each, which is all that bends the lines. `--plot FILE` draws them.

Neurons: leaky ones, 2000 steps. Steps: of 1000 neurons. Events: spikes of 1000 sources that each reach 1000 of 10,000 targets, 1000 steps. Synapses:
`connect(p=0.1)`, random weights and delays, and the first step, in which they are sorted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from machine import describe
from measure import arguments

from brianlike import *


@dataclass(frozen=True, slots=True)
class Line:
    """How time grows with one size."""

    what: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    fixed: float
    slope: float
    exponent: float
    off: float


def fitted(what: str, sizes: Sequence[int], seconds: Sequence[float]) -> Line:
    """The line of least squared relative errors, with a fixed part that is not negative."""
    x, t = np.asarray(sizes, float), np.asarray(seconds, float)
    fixed, slope = np.linalg.lstsq(np.stack([1 / t, x / t], axis=1), np.ones(len(t)), rcond=None)[0]
    if fixed < 0:
        fixed, slope = 0.0, float(np.sum(x / t) / np.sum((x / t) ** 2))
    moving = np.maximum(t - fixed, 1e-9)
    exponent = np.polyfit(np.log(x), np.log(moving), 1, w=np.sqrt(moving / t))[0]
    off = np.max(np.abs(t / (fixed + slope * x) - 1))
    return Line(what, tuple(sizes), tuple(seconds), float(fixed), float(slope), float(exponent), float(off))


def seconds_of(network: Network, steps: int, repeats: int) -> float:
    network.run(defaultclock.dt)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        network.run(steps * defaultclock.dt)
        taken.append(time.perf_counter() - start)
    return min(taken)


def leaky(number: int) -> NeuronGroup:
    equations = "dv/dt = (I - v)/(20*ms) : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1"
    return NeuronGroup(number, equations, threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact")


def neurons(number: int, repeats: int) -> float:
    return seconds_of(Network(leaky(number)), 2000, repeats)


def steps(number: int, repeats: int) -> float:
    return seconds_of(Network(leaky(1000)), number, repeats)


def events(number: int, repeats: int) -> float:
    """So many synaptic events in 1000 steps, on average."""
    sources = NeuronGroup(1000, "p : 1 (shared, constant)", threshold="rand() < p", reset="")
    sources.p = number / 1000 / 1000 / 1000
    targets = NeuronGroup(10_000, "v : 1")
    synapses = Synapses(sources, targets, on_pre="v_post += 0.5")
    synapses.connect(p=0.1)
    return seconds_of(Network(sources, targets, synapses), 1000, repeats)


def synapses(number: int, repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        cells = leaky(round((10 * number) ** 0.5))
        start = time.perf_counter()
        made = Synapses(cells, cells, "w : 1", on_pre="I_post += w")
        made.connect(p=0.1)
        made.w = "rand()"
        made.delay = "1*ms + 5*ms*rand()"
        Network(cells, made).run(defaultclock.dt)
        taken.append(time.perf_counter() - start)
    return min(taken)


MEASURED: dict[str, tuple[Callable[[int, int], float], float]] = {
    "neurons": (neurons, 1e3),
    "steps": (steps, 1e3),
    "events": (events, 1e6),
    "synapses": (synapses, 1e5),
}
"""What is varied, over two decades from here on."""


def plot(lines: Sequence[Line], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    picture = Figure(figsize=(3.2 * len(lines), 3.2), layout="constrained")
    FigureCanvasAgg(picture)
    for axes, line in zip(picture.subplots(1, len(lines), squeeze=False)[0], lines):
        x = np.geomspace(line.sizes[0], line.sizes[-1], 50)
        axes.loglog(x, line.fixed + line.slope * x, color="0.7")
        axes.loglog(line.sizes, line.seconds, "o", color="C0", markersize=4)
        axes.set_xlabel(line.what)
        axes.set_title(f"exponent {line.exponent:.2f}", fontsize=10)
        axes.grid(alpha=0.3)
    picture.axes[0].set_ylabel("time (s)")
    picture.savefig(path, dpi=120)


def as_text(lines: Sequence[Line]) -> str:
    text = ["| grows | from | to | time (s) from | to | fixed (ms) | each (ns) | exponent | off the line |", "|---|---|---|---|---|---|---|---|---|"]
    for line in lines:
        ends = f"{line.sizes[0]:.0e} | {line.sizes[-1]:.0e} | {line.seconds[0]:.3g} | {line.seconds[-1]:.3g}"
        text.append(f"| {line.what} | {ends} | {line.fixed * 1e3:.2g} | {line.slope * 1e9:.3g} | {line.exponent:.2f} | {line.off:.0%} |")
    return "\n".join(text)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--plot", type=Path, help="draw the lines here")
    parser.add_argument("--only", choices=MEASURED, help="one of the sizes")
    options = parser.parse_args()
    repeats, points = (1, 3) if options.quick else (options.repeats, 7)
    prefs.codegen.target, prefs.core.threads = "cython", options.threads or 1
    lines = []
    for what, (seconds, start) in MEASURED.items():
        if options.only in (None, what):
            sizes = [round(x) for x in np.geomspace(start, 100 * start, points) * (1e-2 if options.quick else 1)]
            seconds(sizes[0], 1)  # compiles
            lines.append(fitted(what, sizes, [seconds(size, repeats) for size in sizes]))
    sys.stdout.write(f"{describe()}\n\n{as_text(lines)}\n\n")
    if options.json is not None:
        found = {"benchmark": "scaling", "machine": describe(), "rows": [asdict(line) for line in lines]}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.plot is not None:
        plot(lines, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
