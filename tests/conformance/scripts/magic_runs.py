"""Objects found by `run()`, groups made in functions and put into a Network, runs that continue, changes in between, `stop`, names taken from the caller."""

import numpy as np

from brianlike import *

tau, gain = 10 * ms, 1.2
G = NeuronGroup(3, "dv/dt = (gain + 0.1*i - v)/tau : 1", threshold="v > th", reset="v = 0", method="exact", namespace={"th": 1.0})
M = SpikeMonitor(G)
watching = False


@network_operation(when="end")
def watch():
    if watching and G.v[1] > 0.75:
        stop()


run(40 * ms)
gain = 1.4
G.v[0] = 0.9
run(40 * ms)
G.namespace["th"] = 0.8
run(20 * ms, namespace={"gain": 1.6, "tau": 5 * ms})
first = np.asarray(M.t / ms), np.asarray(M.i)
watching = True
run(50 * ms)
stopped = float(G.t / ms)
start_scope()


def build(drive):
    local_tau = 4 * ms
    group = NeuronGroup(2, "dx/dt = (drive - x)/local_tau : 1", threshold="x > 0.7", reset="x = 0", method="exact", name="local*")
    monitor = SpikeMonitor(group)
    network = Network(collect())
    network.run(30 * ms)
    return group, monitor, network


(group_1, one, net_1), (group_2, two, net_2) = build(1.0), build(2.0)
local_tau, drive = 4 * ms, 0.9
net_2.run(20 * ms)
spikes = {"one": one, "two": two, "magic": M}
final = {"t": first[0], "i": first[1], "v": G.v[:], "stopped": stopped, "x": group_2.x[:], "times": [net_1.t / ms, net_2.t / ms]}
