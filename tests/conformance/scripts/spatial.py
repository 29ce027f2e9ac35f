"""Connections by distance: a condition, a probability that falls with distance, a generator over neighbours, sampling, and no self-connections."""

import numpy as np

from brianlike import *

seed(SEED)
rows, columns, spacing = 20, 20, 50 * umetre
grid = NeuronGroup(
    rows * columns,
    """x : metre
       y : metre
       v : 1""",
    threshold="False",
)
grid.x = "(i // rows)*spacing - rows/2.0*spacing"
grid.y = "(i % rows)*spacing - columns/2.0*spacing"
sigma, reach = 100 * umetre, 150 * umetre

near = Synapses(grid, grid, "w : 1", on_pre="v_post += w")
near.connect("i != j and sqrt((x_pre - x_post)**2 + (y_pre - y_post)**2) < reach")
near.w = "exp(-((x_pre - x_post)**2 + (y_pre - y_post)**2)/(2*sigma**2))"
near.delay = "sqrt((x_pre - x_post)**2 + (y_pre - y_post)**2)/(0.3*metre/second)"
falling = Synapses(grid, grid)
falling.connect(condition="i != j", p="1.5*exp(-((x_pre - x_post)**2 + (y_pre - y_post)**2)/(2*sigma**2))")
neighbours = Synapses(grid, grid)
neighbours.connect(j="k for k in range(i - 3, i + 4) if i != k", skip_if_invalid=True)
sampled = Synapses(grid, grid)
sampled.connect(j="k for k in sample(N_post, p=0.05) if k != i")
fixed = Synapses(grid, grid)
fixed.connect(j="k for k in sample(N_post, size=7)")
constant = Synapses(grid, grid)
constant.connect(p=0.03)
net = Network(grid, near, falling, neighbours, sampled, fixed, constant)
net.run(0.1 * ms)


def distances(synapses):
    i, j = synapses.i[:], synapses.j[:]
    return np.hypot((grid.x[:][i] - grid.x[:][j]) / spacing, (grid.y[:][i] - grid.y[:][j]) / spacing)


chosen = np.random.RandomState(0).permutation(len(falling))[:300]
samples = {
    "distance": distances(falling)[chosen] + 1e-3 * np.random.RandomState(SEED).uniform(size=300),
    "outgoing": falling.N_outgoing_pre[:300:3],
    "incoming": constant.N_incoming_post[::4],
    "sampled_targets": np.asarray(sampled.j)[::50],
    "fixed_targets": np.asarray(fixed.j)[::15],
}
statistics = {"falling": len(falling), "sampled": len(sampled), "constant": len(constant), "fixed": len(fixed)}
final = {
    "near_i": near.i[:],
    "near_j": near.j[:],
    "near_w": near.w[:],
    "near_delay": near.delay / second,
    "neighbours_i": neighbours.i[:],
    "neighbours_j": neighbours.j[:],
    "fixed_i": fixed.i[:],
    "N_incoming": near.N_incoming_post[:],
    "strongest": near.w["x_pre > x_post and y_pre == y_post"],
}
