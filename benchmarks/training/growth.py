"""Cost of a training step against its steps, batch, hidden neurons and their activity: two decades of each, a line through them, the slope on logarithmic axes.

Ours alone, in one process, forward, loss, backward and optimiser; each point is the smallest of some repeats. `exponent` and `off the line` are those of
[scaling.py](../scaling.py). `--plot FILE` draws the lines.

Steps: batch 16, 700-256-20, recurrent. Batch: 50 steps of the same. Neurons: 700-N-20, feed-forward, batch 32, 50 steps. Activity: 512 recurrent neurons, batch
64, 100 steps, from 0.2 % to 20 % that fire in a step; what is not for spikes is the fixed part.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import side_by_side as shared
import torch
from libraries import ours
from tasks import Task, draw

from brianlike import prefs

# isort: split
from scaling import as_text, fitted, plot

BASE = Task(recurrent=True)
VARIED: dict[str, tuple[Callable[[float], Task], float]] = {
    "steps": (lambda size: replace(BASE, batch=16, steps=round(size)), 100),
    "batch": (lambda size: replace(BASE, batch=round(size), steps=50), 40),
    "neurons": (lambda size: replace(BASE, recurrent=False, batch=32, steps=50, hidden=round(size)), 150),
    "activity": (lambda size: replace(BASE, hidden=512, batch=64, activity=size), 0.002),
}
"""What is varied, over two decades from here on."""


def seconds(task: Task, repeats: int, options) -> tuple[float, float]:
    """The shortest training step, and the activity that was measured."""
    training = ours.prepare(task, draw(task), options.threads or 2, engine=options.engine)
    training.step()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        training.step()
        taken.append(time.perf_counter() - start)
    return min(taken), training.activity()


def main() -> int:
    parser = shared.options_of(__doc__)
    parser.add_argument("--plot", type=Path, help="draw the lines here")
    parser.set_defaults(repeats=5)
    options = parser.parse_args()
    repeats, points = (1, 3) if options.quick else (options.repeats, 7)
    prefs.codegen.target = "cython"
    torch.set_num_threads(options.threads or 2)
    lines = []
    for what, (task, start) in VARIED.items():
        if options.only in (None, what):
            sizes = np.geomspace(start, 100 * start, points) if not options.quick else start * np.array([1.0, 2.0, 4.0])
            tasks = [replace(task(size), inputs=20, input_rate=0.2) if options.quick else task(size) for size in sizes]
            measured = [seconds(one, repeats, options) for one in tasks]
            across = [active if what == "activity" else size for size, (_, active) in zip(sizes, measured)]
            lines.append(fitted(what, across, [taken for taken, _ in measured]))
    status = shared.report("training/growth", lines, as_text(lines), [], options)
    if options.plot is not None:
        plot(lines, options.plot)
    return status


if __name__ == "__main__":
    sys.exit(main())
