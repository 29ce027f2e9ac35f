"""Electrical coupling by summed variables, and phases that pull on one another (Kuramoto)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(6)
v0, tau = 1.05, 10 * ms
neurons = NeuronGroup(
    10,
    """dv/dt = (v0 - v + Igap)/tau : 1
       Igap : 1""",
    threshold="v > 1",
    reset="v = 0",
    method="euler",
)
neurons.v = random.uniform(size=10)
S = Synapses(
    neurons,
    neurons,
    """w : 1
       Igap_post = w*(v_pre - v_post) : 1 (summed)""",
)
S.connect("i != j")
S.w = "0.02*(1 + i % 3)"

oscillators = NeuronGroup(
    20,
    """dTheta/dt = omega + K/N*coupling : 1
       omega : 1/second (constant)
       coupling : 1
       back : 1""",
    threshold="Theta > 2*pi",
    reset="Theta -= 2*pi",
    method="rk2",
)
K = 40 / second
oscillators.omega = random.uniform(20, 60, 20) / second
oscillators.Theta = random.uniform(0, 2 * np.pi, 20)
C = Synapses(
    oscillators,
    oscillators,
    """coupling_post = sin(Theta_pre - Theta_post) : 1 (summed)
       back_pre = cos(Theta_post)*int(j > i) : 1 (summed)""",
)
C.connect("abs(i - j) < 8 and i != j")
trace, phases = StateMonitor(neurons, ["v", "Igap"], record=True), StateMonitor(oscillators, ["Theta", "coupling", "back"], record=[0, 11])
monitor, turns = SpikeMonitor(neurons), SpikeMonitor(oscillators)
run(300 * ms)

spikes = {"neurons": monitor, "turns": turns}
states = {"v": (trace, "v"), "Igap": (trace, "Igap"), "Theta": (phases, "Theta"), "coupling": (phases, "coupling"), "back": (phases, "back")}
