"""Pair-based plasticity of spike timing with event-driven traces (Song, Miller & Abbott 2000)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(5)
N = 200
taum, taupre, taupost, taue = 10 * ms, 20 * ms, 20 * ms, 5 * ms
Ee, vt, vr, El = 0 * mV, -54 * mV, -60 * mV, -74 * mV
gmax, dApre = 0.05, 0.01
dApost = -dApre * taupre / taupost * 1.05 * gmax
dApre *= gmax

fired = random.uniform(size=(N, 3000)) < 25 * 1e-4
which, step = np.nonzero(fired)
order = np.argsort(step, kind="stable")
source = SpikeGeneratorGroup(N, which[order], step[order] * 0.1 * ms)
neurons = NeuronGroup(
    2,
    """dv/dt = (ge*(Ee - v) + El - v)/taum : volt
       dge/dt = -ge/taue : 1""",
    threshold="v > vt",
    reset="v = vr",
    method="euler",
)
neurons.v = vr
S = Synapses(
    source,
    neurons,
    """w : 1
       dApre/dt = -Apre/taupre : 1 (event-driven)
       dApost/dt = -Apost/taupost : 1 (event-driven)""",
    on_pre="""ge += w
              Apre += dApre
              w = clip(w + Apost, 0, gmax)""",
    on_post="""Apost += dApost
               w = clip(w + Apre, 0, gmax)""",
)
S.connect()
S.w = random.uniform(size=2 * N) * gmax
S.post.delay = "j*0.3*ms"
weights, record, monitor = StateMonitor(S, "w", record=[0, 1, 100]), StateMonitor(neurons, ["v", "ge"], record=True), SpikeMonitor(neurons)
run(300 * ms)

spikes = {"neurons": monitor}
states = {"w": (weights, "w"), "v": (record, "v"), "ge": (record, "ge")}
final = {"w": S.w[:], "Apre": S.Apre[:], "Apost": S.Apost[:], "lastupdate": S.lastupdate[:] / second}
