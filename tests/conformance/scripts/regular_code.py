"""Code at regular times in every slot, with shared results, on synapses and under refractoriness; operations in Python that read and write."""

import numpy as np

from brianlike import *

tau = 10 * ms
cells = NeuronGroup(
    5,
    """dv/dt = (drive - v)/tau : 1 (unless refractory)
       drive : 1
       peak : 1
       total : 1 (shared)
       steps : integer (shared)
       held = v*2 + t/ms : 1 (constant over dt)""",
    threshold="v > 1",
    reset="v = 0",
    refractory=4 * ms,
    method="euler",
)
cells.drive = "1.2 + 0.1*i"
decide = cells.run_regularly("drive = clip(drive + 0.05*sin(t/(3*ms) + i), 0.5, 2)", dt=1 * ms, when="end", order=3)
cells.run_regularly("v += 0.01*i", dt=0.5 * ms)
cells.run_regularly("peak = int(v > peak)*v + int(v <= peak)*peak*0.999", when="after_thresholds")
cells.run_regularly("steps += 1; total = total*0.99 + steps*0.001")
S = Synapses(cells, cells, "w : 1", on_pre="v_post += w")
S.connect("i != j")
S.w = "0.01*(i + 1)"
S.run_regularly("w = clip(w*0.98 + 0.0005*v_post, 0, 0.1)", dt=2 * ms)
order = []


@network_operation(dt=10 * ms, when="before_start")
def swap(t):
    cells.drive = np.asarray(cells.drive[:])[::-1].copy()
    order.append(float(np.sum(cells.v[:])))
    if t > 150 * ms:
        decide.active = False


class Counter:
    def __init__(self):
        self.calls = 0

    def call(self):
        self.calls += 1


counter = Counter()
operation = NetworkOperation(counter.call, dt=0.7 * ms, when="resets", order=1)
record, shared, weights = (
    StateMonitor(cells, ["v", "drive", "peak", "held"], record=True),
    StateMonitor(cells, ["total", "steps"], record=True),
    StateMonitor(S, "w", record=[3]),
)
monitor = SpikeMonitor(cells)
run(200 * ms)

spikes = {"cells": monitor}
states = {name: (record, name) for name in ("v", "drive", "peak", "held")} | {"total": (shared, "total"), "steps": (shared, "steps"), "w": (weights, "w")}
final = {"order": order, "calls": counter.calls, "total": cells.total, "w": S.w[:]}
