"""Inhibitory plasticity that balances excitation (Vogels et al. 2011)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(2)
NE, NI = 80, 20
taum, tau_ampa, tau_gaba, tau_stdp = 20 * ms, 5 * ms, 10 * ms, 20 * ms
gl, El, Ee, Ei, Vt, memc = 10 * nS, -60 * mV, 0 * mV, -80 * mV, -50 * mV, 200 * pF
bgcurrent, eta, alpha, gmax = 250 * pA, 0.05, 3 * Hz * 20 * ms * 2, 100
eqs = """
dv/dt = (-gl*(v - El) - (g_ampa*(v - Ee) + g_gaba*(v - Ei)) + bgcurrent)/memc : volt (unless refractory)
dg_ampa/dt = -g_ampa/tau_ampa : siemens
dg_gaba/dt = -g_gaba/tau_gaba : siemens
"""
neurons = NeuronGroup(NE + NI, eqs, threshold="v > Vt", reset="v = El", refractory=5 * ms, method="euler")
Pe, Pi = neurons[:NE], neurons[NE:]
neurons.v = random.uniform(-70, -52, NE + NI) * mV


def pairs(source, target):
    return dict(zip("ij", np.nonzero(random.uniform(size=(len(source), len(target))) < 0.2)))


con_e = Synapses(Pe, neurons, on_pre="g_ampa += 3*nS")
con_e.connect(**pairs(Pe, neurons))
con_ii = Synapses(Pi, Pi, on_pre="g_gaba += 3*nS")
con_ii.connect(**pairs(Pi, Pi))
con_ie = Synapses(
    Pi,
    Pe,
    """w : 1
       dApre/dt = -Apre/tau_stdp : 1 (event-driven)
       dApost/dt = -Apost/tau_stdp : 1 (event-driven)""",
    on_pre="""Apre += 1.
              w = clip(w + (Apost - alpha)*eta, 0, gmax)
              g_gaba += w*nS""",
    on_post="""Apost += 1.
               w = clip(w + Apre*eta, 0, gmax)""",
)
con_ie.connect(**pairs(Pi, Pe))
con_ie.w = 1e-2
monitor, rate = SpikeMonitor(neurons), PopulationRateMonitor(Pe)
run(100 * ms)
eta = 0.1
run(150 * ms)

spikes = {"neurons": monitor}
final = {"w": con_ie.w[:], "rate": rate.rate / Hz, "smooth": rate.smooth_rate(window="flat", width=5.1 * ms) / Hz, "v": neurons.v / volt}
