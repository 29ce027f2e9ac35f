"""What monitors give: variables at spikes, values and trains per neuron, counts only, rates, single elements, times, several steps, recording switched off."""

import numpy as np

from brianlike import *

cells = NeuronGroup(
    5,
    """dv/dt = (1.1 + 0.1*i - v)/(8*ms) : volt2
       da/dt = -a/(30*ms) : 1
       volts = v*2 : volt2""".replace("volt2", "1"),
    threshold="v > 1",
    reset="v = 0; a += 1",
    method="exact",
)
with_variables = SpikeMonitor(cells, variables=["v", "a"])
counting = SpikeMonitor(cells, record=False)
rate = PopulationRateMonitor(cells)
trace = StateMonitor(cells, ["v", "volts"], record=[1, 3])
everything = StateMonitor(cells, True, record=2, dt=0.5 * ms)
late = StateMonitor(cells, "a", record=[4], when="end")
run(100 * ms)
trace.active = False
run(50 * ms)
trace.active = True
run(60 * ms)
trace.record_single_timestep()

i, t = with_variables.it
spikes = {"cells": with_variables}
states = {"v": (trace, "v"), "volts": (trace, "volts"), "a": (late, "a"), "single": (everything, "v")}
trains = with_variables.spike_trains()
final = {
    "t": trace.t / ms,
    "one": trace[3].v,
    "count": counting.count[:],
    "number": [int(n) for n in (counting.num_spikes, with_variables.num_spikes, np.asarray(with_variables.N), len(rate.t), np.asarray(trace.N))],
    "a_at_spikes": with_variables.a[:],
    "values": with_variables.values("v")[2],
    "all_values": with_variables.all_values()["a"][4],
    "train": trains[1] / ms,
    "it": np.concatenate([i, t / ms]),
    "rate": rate.rate / Hz,
    "gaussian": rate.smooth_rate(window="gaussian", width=2 * ms) / Hz,
    "flat": rate.smooth_rate(window="flat", width=1.1 * ms) / Hz,
    "own": rate.smooth_rate(window=np.array([0.2, 0.6, 0.2])) / Hz,
    "times": everything.t / ms,
}
