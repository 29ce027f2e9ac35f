"""Event-driven equations of every linear kind beside the same equations integrated at each step, with delays, several pathways and parameters per synapse."""

import numpy as np

from brianlike import *

random = np.random.RandomState(21)
which, step = np.nonzero(random.uniform(size=(4, 3000)) < 60e-4)
source = SpikeGeneratorGroup(4, which, step * 0.1 * ms)
cells = NeuronGroup(3, "dv/dt = (1.1 + 0.1*i - v)/(9*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
target = 0.3
model = """
da/dt = -a/tau_a : 1 ({0})
db/dt = (target - b)/(30*ms) : 1 ({0})
dc/dt = (a - c)/(12*ms) : 1 ({0})
dd/dt = (5 - d)*Hz : 1 ({0})
w : 1
tau_a : second (constant)
"""
action = {"early": "a += 1; w = 0.9*w + 0.01*c", "late": "b -= 0.1*a; v_post += 0.02*w"}
paths = {}
for kind in ("event-driven", "clock-driven"):
    options = {} if kind == "event-driven" else {"method": "exact"}
    S = Synapses(
        source, cells, model.format(kind), on_pre=action, on_post="d = 0.5*d; c += 0.1*b", delay={"early": 0.3 * ms}, name=kind.replace("-", "_"), **options
    )
    S.connect()
    S.tau_a, S.w, S.c = "(10 + 5*j)*ms", "1 + 0.1*i", 0.2
    S.late.delay = "0.2*i*ms"
    S.post.delay = 0.5 * ms
    paths[kind] = S
events, clock = paths.values()
events_record, clock_record = StateMonitor(events, ["a", "b", "c", "d", "w"], record=[0, 7]), StateMonitor(clock, ["a", "b", "c", "d", "w"], record=[0, 7])
monitor, record = SpikeMonitor(cells), StateMonitor(cells, "v", record=True)
run(150 * ms)
events.tau_a, clock.tau_a = 7 * ms, 7 * ms
run(150 * ms)

spikes = {"cells": monitor}
states = {f"{kind}_{name}": (monitor_, name) for kind, monitor_ in (("event", events_record), ("clock", clock_record)) for name in "abcdw"} | {
    "v": (record, "v")
}
final = {name: getattr(events, name)[:] for name in "abcdw"} | {"lastupdate": events.lastupdate[:] / second}
