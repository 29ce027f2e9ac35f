"""Trials from a stored state: by name, after changes of weights and parameters, with spikes under way, plastic synapses, and monitors."""

import numpy as np

from brianlike import *

source = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2, 0], [1, 4, 9.9, 10, 12, 21, 22] * ms, period=25 * ms)
cells = NeuronGroup(
    4,
    """dv/dt = (drive - v)/(9*ms) : 1 (unless refractory)
       drive : 1
       n : integer""",
    threshold="v > 1",
    reset="v = 0; n += 1",
    refractory=2 * ms,
    method="exact",
)
cells.drive = "0.9 + 0.1*i"
S = Synapses(
    source,
    cells,
    """w : 1
       dmark/dt = -mark/(15*ms) : 1 (event-driven)""",
    on_pre="v_post += w; mark += 1",
    on_post="w = clip(w + 0.02*mark, 0, 0.5)",
)
S.connect()
S.w = 0.2
S.pre.delay = "0.5*ms*(1 + i + j)"
monitor, record, weights = SpikeMonitor(cells), StateMonitor(cells, "v", record=True), StateMonitor(S, "w", record=[0, 11], dt=2 * ms)
store("initial")
counts, finals, traces = [], [], []
for strength in (0.1, 0.2, 0.3):
    restore("initial")
    S.w = strength
    run(40 * ms)
    counts.append(np.array(monitor.count[:]))
    finals.append(np.array(S.w[:]))
    traces.append(np.asarray(record.v)[3])
store()
cells.drive = 2
run(10 * ms)
during = monitor.num_spikes
restore()
after = monitor.num_spikes, float(magic_network.t / ms), float(cells.drive[0])
run(30.05 * ms)
store("late")
cells.v = 0
restore("late")
run(130 * ms)

spikes = {"cells": monitor}
states = {"v": (record, "v"), "w": (weights, "w")}
final = {"counts": np.ravel(counts), "weights": np.ravel(finals), "traces": np.ravel(traces), "during": during, "after": after, "n": cells.n[:]}
