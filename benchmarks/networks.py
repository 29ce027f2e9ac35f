"""The networks of the benchmarks, written as users write them."""

from brianlike import *


def cuba(size: int = 4000) -> Network:
    """Current-based integrate-and-fire network (Vogels & Abbott 2005) in the version of Brette et al. 2007 that Brian's CUBA benchmark uses."""
    excitatory = int(0.8 * size)
    namespace = {
        "taum": 20 * ms,
        "taue": 5 * ms,
        "taui": 10 * ms,
        "Vt": -50 * mV,
        "Vr": -60 * mV,
        "El": -49 * mV,
        "we": 60 * 0.27 / 10 * mV,  # excitatory synapses: 1.62 mV
        "wi": -20 * 4.5 / 10 * mV,  # inhibitory synapses: -9 mV
        "excitatory": excitatory,
    }
    equations = """
    dv/dt  = (ge + gi - (v - El))/taum : volt (unless refractory)
    dge/dt = -ge/taue : volt
    dgi/dt = -gi/taui : volt
    """
    p = min(1.0, 80 / size)  # 80 synapses arrive at a neuron, 0.02 of 4000
    neurons = NeuronGroup(size, equations, threshold="v > Vt", reset="v = Vr", refractory=5 * ms, method="exact", namespace=namespace)
    neurons.v = "Vr + rand()*(Vt - Vr)"
    excitation = Synapses(neurons, neurons, on_pre="ge += we", namespace=namespace)
    excitation.connect("i < excitatory", p=p, namespace=namespace)
    inhibition = Synapses(neurons, neurons, on_pre="gi += wi", namespace=namespace)
    inhibition.connect("i >= excitatory", p=p, namespace=namespace)
    return Network(neurons, excitation, inhibition, SpikeMonitor(neurons, name="spikes"))


def small(size: int = 100) -> Network:
    """A network so small that a short run shows the cost of a run, not that of its steps."""
    namespace = {"tau": 10 * ms}
    equations = """
    dv/dt = (I - v)/tau : 1 (unless refractory)
    I : 1
    """
    neurons = NeuronGroup(size, equations, threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact", namespace=namespace)
    neurons.I = "1 + 0.01*i"
    synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w", delay=1 * ms)
    synapses.connect(p=0.1)
    synapses.w = 0.001
    return Network(neurons, synapses, SpikeMonitor(neurons), StateMonitor(neurons, "v", record=[0, 1]))
