"""Subgroups as sources, targets, and what is recorded; assignments and connections with their own indices."""

import numpy as np

from brianlike import *

cells = NeuronGroup(
    12,
    """dv/dt = (drive - v)/(10*ms) : 1
       drive : 1
       seen : 1
       mark : integer""",
    threshold="v > 1",
    reset="v = 0",
    method="exact",
)
first, middle, last = cells[:4], cells[4:9], cells[9:]
inner = middle[1:3]
cells.v = "i/20.0"
first.drive, middle.drive = 1.4, "1.1 + 0.1*i"
last.drive = [0.2, 0.3, 0.4]
middle.mark = "i + 10"
inner.mark[0] = 99
last.v["i > 0"] = "0.5 + 0.01*i"
up = Synapses(first, last, "w : 1", on_pre="v_post += w; seen_post += 1", on_post="w *= 0.95")
up.connect()
up.w = "0.05*(1 + i) + 0.01*j"
down = Synapses(last, middle, on_pre="v_post *= 0.5; seen_post += mark_post", delay=0.5 * ms)
down.connect("(i + j) % 2 == 0")
near = Synapses(middle, middle, "k : 1", on_pre="v_post += 0.02*k")
near.connect(condition="abs(i - j) == 1")
near.k = "i - j + 2"
by_arrays = Synapses(middle, last, on_pre="v += 0.03")
by_arrays.connect(i=[0, 4, 2], j=[2, 0, 1])
total = Synapses(first, inner, "seen_pre = v_post*w2 : 1 (summed)\nw2 : 1")
total.connect()
total.w2 = "i + 2*j"
everything, in_middle, in_last = SpikeMonitor(cells), SpikeMonitor(middle), SpikeMonitor(last)
record, part = StateMonitor(cells, ["v", "seen"], record=True), StateMonitor(middle, "v", record=[0, 3])
rates = PopulationRateMonitor(middle)
run(200 * ms)

spikes = {"all": everything, "middle": in_middle, "last": in_last}
states = {"v": (record, "v"), "seen": (record, "seen"), "part": (part, "v")}
final = {
    "w": up.w[:],
    "selected": up.w[first[1:3], last[2:]],
    "down_i": down.i[:],
    "down_j": down.j[:],
    "near": near.k[:],
    "marks": cells.mark[:],
    "rate": rates.rate / Hz,
    "counts": in_middle.count[:],
    "incoming": down.N_incoming[:],
    "index": np.asarray(middle.i[:]),
}
