"""The cortical microcircuit of Potjans & Diesmann (2014) in numbers: sizes, connections, weights, delays, input; no simulator.

The published network draws a fixed number of synapses K for each pair of populations, with multapses. Here each pair of neurons is connected with
probability `K/(pre*post)`, which is `-log(1 - p)` of the published p up to rounding: the same mean numbers, 0.3 billion in all, that now vary a little, and
no multapses. Weights are not cut at zero (ten standard deviations away), and delays below a step become a step, where the published ones are drawn again.

With `scale` below 1 there are so many times fewer neurons. In-degrees are either scaled with them, in which case weights grow by the root and a constant
current replaces the mean input that is lost (van Albada et al. 2015), or kept, which needs a scale of at least 0.47.
"""

from math import log, sqrt

POPULATIONS = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
FULL_SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)
PROBABILITIES = (  # of at least one synapse; rows are targets, columns sources
    (0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0),
    (0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0),
    (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0),
    (0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0),
    (0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0),
    (0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0),
    (0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252),
    (0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443),
)
EXTERNAL_INPUTS = (1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100)
EXTERNAL_RATE = 8.0  # Hz
FULL_RATES = (0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829)  # Hz, of the full network: what the current of a smaller one replaces
INITIAL_MEANS = (-68.28, -63.16, -63.33, -63.45, -63.11, -61.66, -66.72, -61.43)  # mV
INITIAL_DEVIATIONS = (5.36, 4.57, 4.74, 4.94, 4.94, 4.55, 5.46, 4.48)
CAPACITANCE, TAU, TAU_SYNAPSE, REFRACTORY = 250.0, 10.0, 0.5, 2.0  # pF, ms
LEAK, THRESHOLD, RESET = -65.0, -50.0, -65.0  # mV
WEIGHT, RELATIVE_DEVIATION, INHIBITION = 87.81, 0.1, -4.0  # pA: a potential of 0.15 mV
DELAYS, RELATIVE_DEVIATION_OF_DELAYS = {"E": 1.5, "I": 0.75}, 0.5  # ms
STEP = 0.1  # ms


def sizes(scale):
    """How many neurons each population has."""
    return [round(scale * size) for size in FULL_SIZES]


def in_degree_factor(scale, in_degrees):
    """How many times as many synapses arrive at a neuron as in the full network."""
    if in_degrees not in ("kept", "scaled"):
        raise ValueError(f"in-degrees are 'kept' or 'scaled', not {in_degrees!r}")
    return 1.0 if in_degrees == "kept" else scale


def projections(scale, in_degrees):
    """(source, target, probability, mean weight in pA, mean delay in ms) of each pair of populations that is connected."""
    factor = in_degree_factor(scale, in_degrees)
    for target, row in enumerate(PROBABILITIES):
        for source, published in enumerate(row):
            if not published:
                continue
            probability = -log(1 - published) * factor / scale
            if probability > 1:
                raise ValueError(f"in-degrees cannot be kept at scale {scale}: it must be at least 0.47")
            name = POPULATIONS[source]
            weight = WEIGHT * (1 if name.endswith("E") else INHIBITION) * (2 if (name, POPULATIONS[target]) == ("L4E", "L23E") else 1)
            yield source, target, probability, weight / sqrt(factor), DELAYS[name[-1]]


def external(scale, in_degrees):
    """(number of inputs, their weight in pA, constant current in pA) of each population."""
    factor = in_degree_factor(scale, in_degrees)
    for target, number in enumerate(EXTERNAL_INPUTS):
        mean = WEIGHT * number * EXTERNAL_RATE
        for source, other, probability, weight, _ in projections(1.0, "kept"):
            if other == target:
                mean += weight * probability * FULL_SIZES[source] * FULL_RATES[source]
        yield round(factor * number), WEIGHT / sqrt(factor), (1 - sqrt(factor)) * mean * TAU_SYNAPSE * 1e-3
