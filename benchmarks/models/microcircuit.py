"""The cortical microcircuit of Potjans & Diesmann (2014), one Synapses object for each pair of populations: see `microcircuit_parameters.py`."""

from microcircuit_parameters import *

from brianlike import *

scale = globals().get("scale", 1.0)
in_degrees = globals().get("in_degrees", "scaled")
C, tau, tau_synapse = CAPACITANCE * pF, TAU * ms, TAU_SYNAPSE * ms
leak, threshold, resting = LEAK * mV, THRESHOLD * mV, RESET * mV

equations = """dv/dt = (leak - v)/tau + (I + I_constant)/C : volt (unless refractory)
               dI/dt = -I/tau_synapse : amp
               I_constant : amp (constant)"""
populations, inputs = [], []
for number, (size, (count, weight, current)) in enumerate(zip(sizes(scale), external(scale, in_degrees))):
    population = NeuronGroup(size, equations, threshold="v > threshold", reset="v = resting", refractory=REFRACTORY * ms, method="exact")
    population.v = f"({INITIAL_MEANS[number]} + {INITIAL_DEVIATIONS[number]}*randn())*mV"
    population.I_constant = current * pA
    inputs.append(PoissonInput(population, "I", N=count, rate=EXTERNAL_RATE * Hz, weight=weight * pA))
    populations.append(population)

synapses = []
for source, target, probability, weight, delay in projections(scale, in_degrees):
    pathway = Synapses(populations[source], populations[target], "w : amp", on_pre="I_post += w")
    pathway.connect(p=probability)
    pathway.w = f"{weight}*(1 + {RELATIVE_DEVIATION}*randn())*pA"
    pathway.delay = f"clip({delay}*(1 + {RELATIVE_DEVIATION_OF_DELAYS}*randn()), {STEP}, 1000)*ms"
    synapses.append(pathway)
spike_monitors = [SpikeMonitor(population, record=False) for population in populations]
network = Network(*populations, *inputs, *synapses, *spike_monitors)


def number_of_synapses():
    return sum(len(pathway) for pathway in synapses)


def details():
    """Mean rates of the populations in Hz."""
    passed = float(network.t / second)
    return {name: float(array(monitor.count).mean() / passed) for name, monitor in zip(POPULATIONS, spike_monitors)}
