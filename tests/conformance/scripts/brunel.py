"""The four regimes of a sparse network of excitatory and inhibitory neurons (Brunel 2000, figure 8), small and with synapses scaled to match."""

import numpy as np

from brianlike import *

seed(SEED)
excitatory, inhibitory = (4000, 1000) if FULL else (400, 100)
epsilon, tau, theta, Vr, refractory_time = 0.1, 20 * ms, 20 * mV, 10 * mV, 2 * ms
CE = int(epsilon * excitatory)
J = 0.1 * mV * 1000 / CE
threshold_rate = theta / (J * CE * tau)

statistics = {}
for regime, g, external, D in (("SR", 3.0, 2.0, 1.5), ("SIf", 6.0, 4.0, 1.5), ("AI", 5.0, 2.0, 1.5), ("SIs", 4.5, 0.95, 1.5)):
    start_scope()
    cells = NeuronGroup(
        excitatory + inhibitory, "dv/dt = -v/tau : volt (unless refractory)", threshold="v > theta", reset="v = Vr", refractory=refractory_time, method="exact"
    )
    cells.v = "Vr + rand()*(theta - Vr)"
    E, I = cells[:excitatory], cells[excitatory:]
    exc = Synapses(E, cells, on_pre="v += J", delay=D * ms)
    exc.connect(p=epsilon)
    inh = Synapses(I, cells, on_pre="v += -g*J", delay=D * ms)
    inh.connect(p=epsilon)
    drive = PoissonInput(cells, "v", N=CE, rate=external * threshold_rate, weight=J)
    monitor, rate = SpikeMonitor(cells), PopulationRateMonitor(cells)
    run(50 * ms)
    spikes_before = monitor.num_spikes
    run(200 * ms)
    late = rate.rate[500:] / Hz
    statistics[f"{regime}_rate"] = (monitor.num_spikes - spikes_before) / len(cells) / 0.2
    statistics[f"{regime}_fluctuation"] = np.std(late.reshape(-1, 10).mean(axis=1)) / (1 + late.mean())
    intervals = [np.diff(np.asarray(t)) for t in monitor.spike_trains().values() if len(t) > 4]
    statistics[f"{regime}_cv"] = np.mean([i.std() / i.mean() for i in intervals]) if intervals else 0.0
