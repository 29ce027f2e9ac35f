"""Coincidence detection by delays (Jeffress 1948): a sound that moves, delayed to two ears, and delay lines to neurons that prefer a direction."""

import numpy as np

from brianlike import *

defaultclock.dt = 0.02 * ms
random = np.random.RandomState(19)
sound = TimedArray(random.randn(10000), dt=0.02 * ms)
max_delay, angular = 20 * cm / (300 * metre / second), 2 * np.pi / (200 * ms)
ears = NeuronGroup(
    2,
    """x = 3.0*sound(t - delay_) : 1
       delay_ = distance*sin(theta) : second
       distance : second
       dtheta/dt = angular/second*second : radian_
       da/dt = (2*x - a + 3*sin(t/ms))/(2*ms) : 1 (unless refractory)""".replace("radian_", "1"),
    threshold="a > 1",
    reset="a = 0",
    refractory=2.5 * ms,
    method="euler",
)
ears.distance = [0.5 * max_delay, -0.5 * max_delay]
neurons = NeuronGroup(30, "dv/dt = -v/(1*ms) : 1", threshold="v > 0.9", reset="v = 0", method="exact")
S = Synapses(ears, neurons, on_pre="v += 0.5")
S.connect()
S.delay["i == 0"] = "(1.0*j)/(N_post - 1)*1.1*max_delay"
S.delay["i == 1"] = "(1.0*(N_post - j - 1))/(N_post - 1)*1.1*max_delay"
monitor, at_ears, record = SpikeMonitor(neurons), SpikeMonitor(ears), StateMonitor(ears, ["a", "theta", "x"], record=True)
run(200 * ms)

spikes = {"neurons": monitor, "ears": at_ears}
states = {name: (record, name) for name in ("a", "theta", "x")}
final = {"delay": S.delay[:] / ms}
