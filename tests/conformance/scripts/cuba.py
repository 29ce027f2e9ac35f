"""Excitatory and inhibitory neurons with exponential currents (Brette et al. 2007, benchmark 2; Vogels & Abbott 2005)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(7)
size = 4000 if FULL else 400
excitatory = size * 4 // 5
taum, taue, taui = 20 * ms, 5 * ms, 10 * ms
Vt, Vr, El = -50 * mV, -60 * mV, -49 * mV

cells = NeuronGroup(
    size,
    """dv/dt = (ge + gi - (v - El))/taum : volt (unless refractory)
       dge/dt = -ge/taue : volt
       dgi/dt = -gi/taui : volt""",
    threshold="v > Vt",
    reset="v = Vr",
    refractory=5 * ms,
    method="exact",
)
cells.v = Vr + random.uniform(size=size) * (Vt - Vr)
probability = 80 / size
exc, inh = Synapses(cells, cells, on_pre="ge += 1.62*mV"), Synapses(cells, cells, on_pre="gi -= 9*mV")
i, j = np.nonzero(random.uniform(size=(size, size)) < probability)
exc.connect(i=i[i < excitatory], j=j[i < excitatory])
inh.connect(i=i[i >= excitatory], j=j[i >= excitatory])
monitor, record = SpikeMonitor(cells), StateMonitor(cells, ["v", "ge", "gi"], record=[0, 100, size - 1])
run((50 if FULL else 200) * ms)

spikes = {"cells": monitor}
states = {name: (record, name) for name in ("v", "ge", "gi")}
