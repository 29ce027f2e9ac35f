"""Short-term depression and facilitation (Tsodyks, Pawelzik & Markram 1998), event-driven and clock-driven, between spiking neurons."""

from brianlike import *

tau_e, taum = 3 * ms, 20 * ms
source = NeuronGroup(4, "dx/dt = (10 + 15*i)*Hz : 1", threshold="x > 1", reset="x -= 1", method="euler")
source.x = "0.2*i"
cells = NeuronGroup(
    4,
    """dv/dt = (-v + I)/taum : 1
       dI/dt = -I/tau_e : 1""",
    threshold="v > 1",
    reset="v = 0",
    method="exact",
)
action = """u += U*(1 - u)
            I_post += A*u*R
            R += -u*R"""
model = """A : 1
           U : 1 (constant)
           tau_f : second (constant)
           tau_r : second (constant)
           du/dt = -u/tau_f : 1 ({kind})
           dR/dt = (1 - R)/tau_r : 1 ({kind})"""
depressing = Synapses(source, cells, model.format(kind="event-driven"), on_pre=action)
facilitating = Synapses(source, cells, model.format(kind="clock-driven"), on_pre=action, method="exact", delay=0.7 * ms)
depressing.connect("i != j")
facilitating.connect("i != j")
depressing.A, depressing.U, depressing.tau_f, depressing.tau_r = 10, 0.5, 3 * ms, 300 * ms
facilitating.A, facilitating.U, facilitating.tau_f, facilitating.tau_r = "8 + i", 0.05, "600*ms + 10*j*ms", 100 * ms
depressing.R, facilitating.R = 1, 1
record, monitor = StateMonitor(cells, ["v", "I"], record=True), SpikeMonitor(cells)
event, clock = StateMonitor(depressing, ["u", "R"], record=[0, 5]), StateMonitor(facilitating, ["u", "R"], record=[0, 5])
run(400 * ms)

spikes = {"cells": monitor}
states = {"v": (record, "v"), "I": (record, "I"), "u": (event, "u"), "R": (event, "R"), "clock_u": (clock, "u"), "clock_R": (clock, "R")}
