"""Synaptic scaling towards a rate, and thresholds that follow activity; scaled by slow code and by a variable of the neuron used in the synapse."""

import numpy as np

from brianlike import *

random = np.random.RandomState(17)
which, step = np.nonzero(random.uniform(size=(30, 4000)) < (10 + 2 * np.arange(30))[:, None] * 1e-4)
source = SpikeGeneratorGroup(30, which, step * 0.1 * ms)
target_rate, tau_rate, tau_scale = 30 * Hz, 60 * ms, 200 * ms
cells = NeuronGroup(
    6,
    """dv/dt = -v/(12*ms) : 1 (unless refractory)
       drate/dt = -rate/tau_rate : Hz
       dvt/dt = (1 - vt)/(80*ms) : 1
       dscale/dt = scale*(1 - rate/target_rate)/tau_scale : 1""",
    threshold="v > vt",
    reset="v = 0; vt += 0.1; rate += 1/tau_rate",
    refractory=2 * ms,
    method="euler",
)
cells.vt, cells.scale = 1, "0.5 + 0.2*i"
S = Synapses(source, cells, "w : 1", on_pre="v_post += w*scale_post")
S.connect("(i + j) % 3 != 0")
S.w = "0.2 + 0.01*(i % 7)"
S.run_regularly("w = w*(1 + 0.02*(target_rate - rate_post)/target_rate)", dt=10 * ms)
record, weights, monitor = StateMonitor(cells, ["v", "rate", "vt", "scale"], record=True), StateMonitor(S, "w", record=[0, 50], dt=5 * ms), SpikeMonitor(cells)
run(400 * ms)

spikes = {"cells": monitor}
states = {name: (record, name) for name in ("v", "rate", "vt", "scale")} | {"w": (weights, "w")}
final = {"w": S.w[:], "targets": cells.get_states(["scale", "vt"])["scale"]}
