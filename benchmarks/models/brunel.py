"""A sparse network of excitatory and inhibitory neurons that fires irregularly: Brunel (2000), g = 5, external rate twice the threshold's."""

from brianlike import *

N = globals().get("N", 12500)
drawn_delays = globals().get("drawn_delays", False)  # a delay of its own for each synapse, instead of 1.5 ms for all
excitatory = N * 4 // 5
inputs = excitatory // 10  # excitatory synapses that arrive at a neuron, and as many from outside
tau, theta, resting = 20 * ms, 20 * mV, 10 * mV
J, g = 0.1 * mV * 1000 / inputs, 5.0
external_rate = 2 * theta / (J * inputs * tau)

neurons = NeuronGroup(N, "dv/dt = -v/tau : volt (unless refractory)", threshold="v > theta", reset="v = resting", refractory=2 * ms, method="exact")
delay = {} if drawn_delays else {"delay": 1.5 * ms}
excitation = Synapses(neurons[:excitatory], neurons, on_pre="v += J", **delay)
excitation.connect(p=0.1)
inhibition = Synapses(neurons[excitatory:], neurons, on_pre="v += -g*J", **delay)
inhibition.connect(p=0.1)
if drawn_delays:
    excitation.delay = "0.1*ms + 9.9*ms*rand()"
    inhibition.delay = "0.1*ms + 9.9*ms*rand()"
external = PoissonInput(neurons, "v", N=inputs, rate=external_rate, weight=J)
spikes = SpikeMonitor(neurons)
network = Network(neurons, excitation, inhibition, external, spikes)
