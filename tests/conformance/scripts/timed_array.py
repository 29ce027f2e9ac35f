"""Input that changes in time: one array, one column per neuron, as a rate, inside a function, with a step that is not the simulation's."""

import numpy as np

from brianlike import *

random = np.random.RandomState(3)
current = TimedArray(random.uniform(0.5, 2.5, 40) * nA, dt=5 * ms)
image = TimedArray(random.uniform(0, 2, (60, 4)), dt=3.3 * ms)
coarse = TimedArray([0, 1, 2, 1], dt=0.4 * ms)
tau, R = 8 * ms, 10 * Mohm
cells = NeuronGroup(
    4,
    """dv/dt = (-v + R*I)/tau : volt
       I = current(t)*(1 + 0.1*i) : amp
       drive = image(t, i) : 1
       dx/dt = (drive - x + sin(image(t, 3 - i)))/tau : 1""",
    threshold="v > 10*mV",
    reset="v = 0*mV",
    method="euler",
)
late = NeuronGroup(
    2,
    """dy/dt = (coarse(t) - y)/(2*ms) : 1
       reached : 1""",
    method="exact",
)
late.run_regularly("reached = coarse(t - 0.1*ms) + image(t, 3*i)", dt=1 * ms)
held = NeuronGroup(3, "dv/dt = (coarse(t % (1*ms)) - v)/ms : 1", method="euler")
record, other, third = (
    StateMonitor(cells, ["v", "I", "drive", "x"], record=True),
    StateMonitor(late, ["y", "reached"], record=True),
    StateMonitor(held, "v", record=0),
)
monitor = SpikeMonitor(cells)
run(210 * ms)

spikes = {"cells": monitor}
states = {name: (record, name) for name in ("v", "I", "drive", "x")} | {"y": (other, "y"), "reached": (other, "reached"), "held": (third, "v")}
final = {"called": [current(t * ms) / nA for t in (0, 4.9, 5, 199, 500)], "row": image(7 * ms, 2), "several": current(np.array([0, 12]) * ms) / amp}
