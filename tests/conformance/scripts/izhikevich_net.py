"""A thousand (small: two hundred) neurons of four parameters each, drawn in the script (after Izhikevich 2003)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(33)
size = 1000 if FULL else 200
Ne = size * 4 // 5
re, ri = random.uniform(size=Ne), random.uniform(size=size - Ne)
noise = TimedArray(random.randn(250, size) * np.where(np.arange(size) < Ne, 5.0, 2.0), dt=1 * ms)
group = NeuronGroup(
    size,
    """dv/dt = (0.04*v**2 + 5*v + 140 - u + I + noise(t, i))/ms : 1
       du/dt = a*(b*v - u)/ms : 1
       dI/dt = -I/ms : 1
       a : 1
       b : 1
       c : 1
       d : 1""",
    threshold="v >= 30",
    reset="v = c; u += d",
    method="euler",
    dt=0.5 * ms,
)
group.a, group.b = np.r_[0.02 * np.ones(Ne), 0.02 + 0.08 * ri], np.r_[0.2 * np.ones(Ne), 0.25 - 0.05 * ri]
group.c, group.d = np.r_[-65 + 15 * re**2, -65 * np.ones(size - Ne)], np.r_[8 - 6 * re**2, 2 * np.ones(size - Ne)]
group.v = -65
group.u = "b*v"
weights = np.vstack([0.5 * random.uniform(size=(Ne, size)), -random.uniform(size=(size - Ne, size))]) * 1000 / size
S = Synapses(group, group, "w : 1", on_pre="I_post += w")
S.connect()
S.w = weights.flatten()
monitor, record = SpikeMonitor(group), StateMonitor(group, ["v", "u"], record=[0, size - 1])
run((50 if FULL else 200) * ms)

spikes = {"group": monitor}
states = {"v": (record, "v"), "u": (record, "u")}
