"""One library in a process of its own: `python trainer.py '{"library": "jax_scan", "task": {...}}'` trains some steps and prints JSON as its last line.

The first step has everything that is compiled in it and is told apart, as are further steps for warming up. Timed is a whole step: zero gradients, forward,
loss, backward, optimiser, and reading the loss.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from worker import memory  # noqa: E402

FIRST, STEP, KEPT = "first step (s)", "training step (s)", "kept for backward (bytes a neuron and step)"


def busy() -> float:
    """Seconds that processors have worked for others than this process."""
    stat = Path("/proc/stat")
    every = sum(map(int, stat.read_text().split()[1:4])) / os.sysconf("SC_CLK_TCK") if stat.exists() else 0.0
    return every - sum(os.times()[:2])


def measure(job: dict) -> dict:
    from tasks import Task, draw

    task = Task(**job["task"])
    data = draw(task)
    library = import_module(f"libraries.{job['library']}")
    start = time.perf_counter()
    training = library.prepare(task, data, job["threads"], **job.get("options", {}))
    prepared = time.perf_counter()
    losses = [training.step()]
    found = {"preparation (s)": prepared - start, FIRST: time.perf_counter() - prepared}
    for _ in range(job["warm_up"]):
        losses.append(training.step())
    seconds, others, start_of_all = [], busy(), time.perf_counter()
    for _ in range(job["steps"]):
        start = time.perf_counter()
        losses.append(training.step())
        seconds.append(time.perf_counter() - start)
    found[STEP] = min(seconds)
    disturbed = (busy() - others) / (time.perf_counter() - start_of_all)
    if job.get("kept"):
        found[KEPT] = training.kept() / task.neuron_steps
    told = {"losses": losses, "peak": memory()["peak"], "neuron_steps": task.neuron_steps, "others": round(max(0.0, disturbed), 3)}
    return {"measured": found, "seconds": seconds, "activity": training.activity()} | told


if __name__ == "__main__":
    given = {"warm_up": 2, "steps": 5, "threads": 2, **json.loads(sys.argv[1])}
    os.environ.setdefault("OMP_NUM_THREADS", str(given["threads"]))
    sys.stdout.write("\n" + json.dumps(measure(given)) + "\n")
