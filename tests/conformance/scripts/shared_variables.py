"""One value for a whole group: parameters, differential equations, subexpressions, reductions by synapses, assignments and records of them."""

from brianlike import *

cells = NeuronGroup(
    6,
    """dv/dt = (I + field - v)/(10*ms) : 1
       I : 1
       field : 1 (shared)
       pulse = 0.3*sin(2*pi*t/(15*ms)) : 1 (shared)
       inhibition : 1
       offset : 1 (constant, shared)""",
    threshold="v > 1 + offset + inhibition",
    reset="v = pulse*0.1",
    method="euler",
)
pool = NeuronGroup(1, "dm/dt = -m/(6*ms) : 1\nsize : 1 (shared)", method="exact")
cells.I, cells.offset = "1.05 + 0.1*i", 0.05
pool.size = 6
to_pool = Synapses(cells, pool, on_pre="m_post += 1/size_post")
to_pool.connect()
from_pool = Synapses(pool, cells, "strength : 1 (shared)\ninhibition_post = strength*m_pre : 1 (summed)")
from_pool.connect()
from_pool.strength = 0.2
cells.run_regularly("field = pulse + 0.01*t/ms")
record, values, level = (
    StateMonitor(cells, ["v", "inhibition"], record=True),
    StateMonitor(cells, ["field", "pulse"], record=True),
    StateMonitor(pool, "m", record=True),
)
monitor = SpikeMonitor(cells)
run(100 * ms)
cells.offset = "field*0.02"
from_pool.strength = 0.1
run(100 * ms)

spikes = {"cells": monitor}
states = {"v": (record, "v"), "inhibition": (record, "inhibition"), "field": (values, "field"), "pulse": (values, "pulse"), "m": (level, "m")}
final = {"offset": cells.offset[:], "strength": from_pool.strength[:], "pulse": cells.pulse[:]}
