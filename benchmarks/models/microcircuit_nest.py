"""The network of `microcircuit.py` for NEST: the same numbers, with as many synapses for each pair of populations as the same probability gives on average.

Connecting by probability takes NEST minutes at full scale, so it draws a fixed number of synapses, as the published network does.
"""

import nest
from microcircuit_parameters import *

scale = globals().get("scale", 1.0)
in_degrees = globals().get("in_degrees", "scaled")
neuron = {"C_m": CAPACITANCE, "tau_m": TAU, "tau_syn_ex": TAU_SYNAPSE, "tau_syn_in": TAU_SYNAPSE, "t_ref": REFRACTORY} | {
    "E_L": LEAK,
    "V_th": THRESHOLD,
    "V_reset": RESET,
}
populations, recorders = [], []
for number, (size, (count, weight, current)) in enumerate(zip(sizes(scale), external(scale, in_degrees))):
    population = nest.Create("iaf_psc_exp", size, params=neuron | {"I_e": current})
    population.V_m = nest.random.normal(INITIAL_MEANS[number], INITIAL_DEVIATIONS[number])
    background = nest.Create("poisson_generator", params={"rate": count * EXTERNAL_RATE})
    nest.Connect(background, population, syn_spec={"weight": weight, "delay": STEP})
    recorder = nest.Create("spike_recorder")
    nest.Connect(population, recorder)
    populations.append(population)
    recorders.append(recorder)

for source, target, probability, weight, delay in projections(scale, in_degrees):
    weights = nest.random.normal(weight, RELATIVE_DEVIATION * abs(weight))
    delays = nest.math.max(nest.random.normal(delay, RELATIVE_DEVIATION_OF_DELAYS * delay), STEP)
    number = round(probability * len(populations[source]) * len(populations[target]))
    nest.Connect(populations[source], populations[target], {"rule": "fixed_total_number", "N": number}, {"weight": weights, "delay": delays})


def number_of_synapses():
    return nest.num_connections - 2 * sum(sizes(scale))


def details():
    """Mean rates of the populations in Hz."""
    return {name: r.n_events / size / nest.biological_time * 1000 for name, r, size in zip(POPULATIONS, recorders, sizes(scale))}
