"""FORCE learning (Sussillo & Abbott 2009) of a spiking network's output by recursive least squares in a network operation (after Nicola & Clopath 2017)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(9)
N, G, Q, alpha = 80, 0.04, 10.0, 2 * ms * 0.1
defaultclock.dt = 0.1 * ms
td, tr, tm, tref = 20 * ms, 2 * ms, 10 * ms, 2 * ms
vt, vr, bias = -40, -65, -39.5
weights = G * random.randn(N, N) * (random.uniform(size=(N, N)) < 0.2) / np.sqrt(N * 0.04) * 40
eta = Q * (2 * random.uniform(size=N) - 1)
target = TimedArray(np.sin(2 * np.pi * np.arange(3000) * 1e-4 * 20), dt=0.1 * ms)
neurons = NeuronGroup(
    N,
    """dv/dt = (-v + bias + IPSC + eta*z)/tm : 1 (unless refractory)
       dIPSC/dt = -IPSC/tr + h : 1
       dh/dt = -h/td : Hz
       dr/dt = -r/tr + hr : 1
       dhr/dt = -hr/td : Hz
       eta : 1 (constant)
       z : 1 (shared)
       error : 1 (shared)""",
    threshold="v > vt",
    reset="v = vr; hr += 1/(tr*td)*ms",
    refractory=tref,
    method="euler",
)
neurons.v = vr + random.uniform(size=N) * (vt - vr)
neurons.eta = eta
static = Synapses(neurons, neurons, "w : 1 (constant)", on_pre="h_post += w/(tr*td)*ms")
i, j = np.nonzero(weights)
static.connect(i=i, j=j)
static.w = weights[i, j]
P, phi = np.eye(N) * 0.1, np.zeros(N)


@network_operation(dt=2 * ms, when="end")
def learn(t):
    global P, phi
    r = np.asarray(neurons.r_[:]) * 1e1
    neurons.z = phi @ r
    neurons.error = neurons.z_ - target(t)
    if t > 20 * ms:
        k = P @ r
        c = 1.0 / (1.0 + r @ k)
        P = P - c * np.outer(k, k)
        phi = phi - c * k * float(neurons.error_[:])


record, monitor = StateMonitor(neurons, ["z", "error"], record=True), SpikeMonitor(neurons)
trace = StateMonitor(neurons, ["v", "r"], record=[0, 79])
run(200 * ms)

spikes = {"neurons": monitor}
states = {"z": (record, "z"), "error": (record, "error"), "v": (trace, "v"), "r": (trace, "r")}
final = {"phi": phi}
