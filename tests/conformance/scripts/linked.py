"""Variables that belong to another group: one to one, one for all, by index, in equations, resets, synapses and monitors.

Names decide which group steps first, so the groups have names.
"""

import numpy as np

from brianlike import *

source = NeuronGroup(
    5,
    """dx/dt = (sin(2*pi*t/(20*ms) + i) - x)/(5*ms) : 1
       gain : 1""",
    name="m_source",
    method="euler",
)
source.gain = "1 + 0.2*i"
common = NeuronGroup(
    1,
    """dy/dt = -y/(30*ms) : 1
       level : volt (shared)""",
    threshold="y < 0.3",
    reset="y = 1",
    name="z_common",
    method="exact",
)
common.level = 3 * mV
cells = NeuronGroup(
    5,
    """dv/dt = (-v + level*(1 + y) + 2*mV*x*gain)/(8*ms) : volt
       x : 1 (linked)
       y : 1 (linked)
       gain : 1 (linked)
       level : volt (linked)
       product = x*y : 1""",
    threshold="v > 5*mV*(1 + 0.05*i)",
    reset="v -= (2 + x)*mV",
    name="a_cells",
    method="euler",
)
cells.x, cells.y = linked_var(source, "x"), linked_var(common, "y")
cells.gain = linked_var(source, "gain", index=np.array([4, 4, 0, 1, 2]))
cells.level = linked_var(common, "level")
pairs = NeuronGroup(
    6,
    """other : 1 (linked)
       which : integer (constant)
       chosen : volt (linked)
       du/dt = (other - u)/(4*ms) : 1""",
    name="n_pairs",
    method="euler",
)
pairs.which = [0, 4, 1, 3, 3, 2]
pairs.chosen = linked_var(cells, "v", index="which")
pairs.other = linked_var(source.x, index=[0, 0, 1, 1, 2, 2])
back = Synapses(cells, source, on_pre="x_post += 0.1*v_pre/mV")
back.connect(j="i")
record, second_record = StateMonitor(cells, ["v", "x", "product"], record=True), StateMonitor(pairs, ["u", "chosen"], record=True)
monitor, resets = SpikeMonitor(cells), SpikeMonitor(common)
run(100 * ms)
source.gain = 1.5
run(100 * ms)

spikes = {"cells": monitor, "common": resets}
states = {"v": (record, "v"), "x": (record, "x"), "product": (record, "product"), "u": (second_record, "u"), "chosen": (second_record, "chosen")}
final = {"gain": cells.gain[:], "chosen": pairs.chosen[:] / volt}
