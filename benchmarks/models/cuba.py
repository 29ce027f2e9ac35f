"""Excitation and inhibition by exponential currents: Vogels & Abbott (2005), as benchmark 2 of Brette et al. (2007) has it."""

from brianlike import *

N = globals().get("N", 4000)
excitatory = N * 4 // 5
probability = min(1, 80 / N)  # 80 synapses arrive at a neuron, 0.02 of 4000
taum, taue, taui = 20 * ms, 5 * ms, 10 * ms
threshold, resting, drive = -50 * mV, -60 * mV, -49 * mV
we, wi = 1.62 * mV, -9 * mV

neurons = NeuronGroup(
    N,
    """dv/dt = (ge + gi - (v - drive))/taum : volt (unless refractory)
       dge/dt = -ge/taue : volt
       dgi/dt = -gi/taui : volt""",
    threshold="v > threshold",
    reset="v = resting",
    refractory=5 * ms,
    method="exact",
)
neurons.v = "resting + rand()*(threshold - resting)"
excitation = Synapses(neurons, neurons, on_pre="ge += we")
excitation.connect("i < excitatory", p=probability)
inhibition = Synapses(neurons, neurons, on_pre="gi += wi")
inhibition.connect("i >= excitatory", p=probability)
spikes = SpikeMonitor(neurons)
network = Network(neurons, excitation, inhibition, spikes)
