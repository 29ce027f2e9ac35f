"""Poisson groups with rates in every form and summed Poisson input, some of it masked by refractoriness."""

import numpy as np

from brianlike import *

seed(SEED)
tau, rate = 10 * ms, 40 * Hz
modulation = TimedArray(np.array([[20, 60, 100], [90, 30, 10]]) * Hz, dt=100 * ms)
plain = PoissonGroup(50, rates=rate)
each = PoissonGroup(3, rates=np.array([10, 100, 400]) * Hz)
wave = PoissonGroup(50, rates="rate*(1 + cos(2*pi*t*10*Hz))")
timed = PoissonGroup(3, rates="modulation(t, i)")
cells = NeuronGroup(100, "dv/dt = -v/tau : volt", method="exact")
weak, strong = PoissonInput(cells, "v", N=100, rate=8 * Hz, weight=0.1 * mV), PoissonInput(cells, "v", 5, 30 * Hz, weight="0.5*mV*(1 + (i % 2))")
spiking = NeuronGroup(100, "dv/dt = -v/tau : 1 (unless refractory)", threshold="v > 1", reset="v = 0", refractory=5 * ms, method="exact")
drive = PoissonInput(spiking, "v", N=1000, rate=10 * Hz, weight=0.02)
synaptic = Synapses(plain, spiking, on_pre="v_post += 0.05")
synaptic.connect(j="i")
monitors = {name: SpikeMonitor(group) for name, group in (("plain", plain), ("each", each), ("wave", wave), ("timed", timed), ("spiking", spiking))}
record = StateMonitor(cells, "v", record=True)
net = Network(plain, each, wave, timed, cells, weak, strong, spiking, drive, synaptic, *monitors.values(), record)
net.run(200 * ms)

v = np.asarray(record.v) / 1e-3
samples = {
    "counts": monitors["plain"].count[:],
    "first": [float(times[0] / ms) for times in monitors["plain"].spike_trains().values() if len(times)],
    "wave_times": monitors["wave"].t[::7] / ms,
    "v": cells.v[:] / mV,
    "spiking_counts": monitors["spiking"].count[:],
}
statistics = {f"each_{k}": monitors["each"].count[k] for k in range(3)} | {f"timed_{k}": monitors["timed"].count[k] for k in range(3)}
statistics |= {
    "mean": v[:, 1000:].mean(),
    "variance": v[:, 1000:].var(),
    "odd": v[1::2, 1000:].mean() - v[::2, 1000:].mean(),
    "spiking": monitors["spiking"].num_spikes,
}
