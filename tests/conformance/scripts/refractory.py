"""Refractoriness as a time, a string for a time, a variable, and a condition; `unless refractory`, `lastspike`, `not_refractory`."""

import numpy as np

from brianlike import *

random = np.random.RandomState(14)
which, step = np.nonzero(random.uniform(size=(3, 2500)) < 150e-4)
source = SpikeGeneratorGroup(3, which, step * 0.1 * ms)
tau = 7 * ms
model = "dv/dt = (1.6 + 0.1*i - v)/tau : 1 (unless refractory)"
fixed = NeuronGroup(3, model, threshold="v > 1", reset="v = 0", refractory=3.06 * ms, method="exact")
text = NeuronGroup(3, model + "\nlong : boolean", threshold="v > 1", reset="v = 0; long = not long", refractory="(2 + 3*int(long) + 0.45*i)*ms", method="exact")
drawn = NeuronGroup(
    3,
    model + "\nref : second\ndg/dt = -g/tau : 1 (unless refractory)",
    threshold="v > 1",
    reset="v = 0; g += 0.1; ref = ref*0.9 + 0.4*ms",
    refractory="ref",
    method="exact",
)
drawn.ref = "(1 + i)*ms"
condition = NeuronGroup(
    3,
    """dv/dt = (2.2 + 0.1*i - v - 3*w)/tau : 1
       dw/dt = (0.2*v - w)/(2*tau) : 1 (unless refractory)
       since = t - lastspike : second
       open = int(not_refractory) : 1""",
    threshold="v > 1",
    reset="w += 0.7",
    refractory="v > 0.8 or since < 0.5*ms*(1 + i)",
    method="euler",
)
no_reset = NeuronGroup(3, "v = sin(2*pi*(40*Hz + i*10*Hz)*t) : 1", threshold="v > 0.9", refractory=8 * ms)
paths = []
for group in (fixed, text, drawn, condition):
    path = Synapses(
        source, group, on_pre="v_post += 0.1; " + ("g_post += 0.05" if group is drawn else "v_post += 0.01*i"), delay=0.3 * ms, on_post="v_post += 0.01"
    )
    path.connect()
    paths.append(path)
record, other = (
    StateMonitor(drawn, ["v", "g", "ref", "lastspike", "not_refractory"], record=True),
    StateMonitor(condition, ["v", "w", "since", "open"], record=True),
)
monitors = [SpikeMonitor(group) for group in (fixed, text, drawn, condition, no_reset)]
net = Network(source, fixed, text, drawn, condition, no_reset, paths, record, other, monitors)
net.run(120 * ms)
drawn.lastspike[1] = net.t - 0.5 * ms
drawn.not_refractory = [True, False, False]
net.run(120 * ms)

spikes = dict(zip(("fixed", "text", "drawn", "condition", "no_reset"), monitors))
states = {name: (record, name) for name in ("v", "g", "ref", "lastspike", "not_refractory")}
states |= {f"condition_{name}": (other, name) for name in ("v", "w", "since", "open")}
