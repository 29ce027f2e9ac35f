"""Plastic synapses from Poisson inputs: Song, Miller & Abbott (2000), with 100 neurons instead of one."""

from brianlike import *

inputs_per_neuron = globals().get("inputs_per_neuron", 1000)
N = globals().get("N", 100)
taum, taupre, taupost, taue = 10 * ms, 20 * ms, 20 * ms, 5 * ms
E_e, threshold, resting, E_leak = 0 * mV, -54 * mV, -60 * mV, -74 * mV
gmax = 10 / inputs_per_neuron
dApre = 0.01 * gmax
dApost = -1.05 * dApre * taupre / taupost

inputs = PoissonGroup(inputs_per_neuron, rates=15 * Hz)
neurons = NeuronGroup(
    N,
    """dv/dt = (ge*(E_e - v) + E_leak - v)/taum : volt
       dge/dt = -ge/taue : 1""",
    threshold="v > threshold",
    reset="v = resting",
    method="euler",
)
neurons.v = resting
synapses = Synapses(
    inputs,
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
synapses.connect()
synapses.w = "rand()*gmax"
spikes = SpikeMonitor(neurons)
network = Network(inputs, neurons, synapses, spikes)
