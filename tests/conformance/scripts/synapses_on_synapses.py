"""Synapses whose targets are synapses: modulation on events and by a summed variable."""

from brianlike import *

before = NeuronGroup(3, "dx/dt = (30 + 20*i)*Hz : 1", threshold="x > 1", reset="x = 0", method="euler")
cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
glia = NeuronGroup(
    2,
    """dc/dt = -c/(40*ms) : 1
                         dy/dt = (0.6 + 0.3*i + extra - y)/(20*ms) : 1
                         extra : 1""",
    threshold="y > 0.5",
    reset="y = 0; c += 1",
    method="exact",
)
S = Synapses(
    before,
    cells,
    """w : 1
       modulation : 1
       dtag/dt = -tag/(25*ms) : 1 (clock-driven)""",
    on_pre="v_post += w*(1 + modulation); tag += 0.2",
    on_post="w *= 1.01",
    method="exact",
    delay=0.2 * ms,
)
S.connect()
S.w = "0.2 + 0.05*i + 0.1*j"
to_synapse = Synapses(glia, S, "gain : 1", on_pre="w_post += 0.01*gain")
to_synapse.connect("(i + j) % 2 == 0")
to_synapse.gain = "1 + i - 0.1*j"
summed = Synapses(glia, S, "modulation_post = 0.3*c_pre : 1 (summed)")
summed.connect(j="2*i + k for k in range(0, 4)")
from_synapse = Synapses(S, glia, "level : 1\nextra_post = level*tag_pre : 1 (summed)")
from_synapse.connect(i=[0, 5, 3], j=[0, 1, 1])
from_synapse.level = "0.1 + 0.05*i"
record, glial = StateMonitor(S, ["w", "modulation", "tag"], record=True), StateMonitor(glia, ["c", "y", "extra"], record=True)
monitor, calcium = SpikeMonitor(cells), SpikeMonitor(glia)
run(200 * ms)

spikes = {"cells": monitor, "glia": calcium}
states = {name: (record, name) for name in ("w", "modulation", "tag")} | {"c": (glial, "c"), "y": (glial, "y"), "extra": (glial, "extra")}
final = {"w": S.w[:], "i": to_synapse.i[:], "j": to_synapse.j[:]}
