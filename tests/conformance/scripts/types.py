"""Integers and booleans: division, remainder, truncation, conversion, comparison, in equations, resets and synapses."""

from brianlike import *

cells = NeuronGroup(
    8,
    """dv/dt = (1.35 + 0.1*level - v)/(6*ms) : 1
       level : integer
       up : boolean
       kind : integer (constant)
       toggles : integer
       remainder : integer
       quotient : 1
       ratio = level/(kind + 1) : 1
       both = up and level > 2 : boolean
       code = int(both)*4 + int(not up)*2 + int(v*10) : integer
       phase = (t_in_timesteps % 7) : integer""",
    threshold="v > 1 or (up and v > 0.9)",
    reset="""v = -0.2
             up = not up
             toggles += int(up)
             level = (level*3 + kind) % 11 - 3
             remainder = level % -4
             quotient = level // 2 + (-level) // 3""",
    method="euler",
)
cells.kind = "i % 3"
cells.level = "5 - i"
cells.up = "i % 2 == 0"
cells.v = 0.1
S = Synapses(
    cells,
    cells,
    "n : integer\ngate : boolean\nw : 1",
    on_pre="n += 1; gate = n % 3 != 0; v_post += w*int(gate) - 0.01*level_pre; level_post = level_post - int(gate and up_post)",
)
S.connect("i // 2 != j // 2")
S.w = "0.03*(1 + (i - j) % 4)"
record = StateMonitor(cells, ["v", "level", "up", "toggles", "remainder", "quotient", "ratio", "both", "code", "phase"], record=True)
monitor = SpikeMonitor(cells)
run(200 * ms)

spikes = {"cells": monitor}
states = {name: (record, name) for name in ("v", "level", "up", "toggles", "remainder", "quotient", "ratio", "both", "code", "phase")}
final = {
    "n": S.n[:],
    "gate": S.gate[:],
    "w": S.w[:],
    "chosen": cells.v["up and level > 0"],
    "kinds": [cells.level[:].dtype.kind == "i", cells.up[:].dtype == bool],
}
