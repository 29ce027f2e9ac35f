"""Ornstein-Uhlenbeck noise, multiplicative noise by Milstein's and Heun's methods, one source of noise for two equations."""

import numpy as np

from brianlike import *

seed(SEED)
tau, sigma, mu, D = 5 * ms, 0.4, 1.5, 0.3
ou = NeuronGroup(60, "dx/dt = (mu - x)/tau + sigma*sqrt(2/tau)*xi : 1", method="euler")
chosen = NeuronGroup(60, "dx/dt = -x/tau + sigma*sqrt(2/tau)*xi : 1")
geometric = {
    method: NeuronGroup(60, "dx/dt = -x/(20*ms) + D*x*xi*(10*ms)**-0.5 : 1", method=method, name=f"geometric_{method}") for method in ("milstein", "heun")
}
for group in geometric.values():
    group.x = 1
shared = NeuronGroup(
    200,
    """dx/dt = -x/tau + sigma*xi_common/tau**.5 : 1
       dy/dt = -y/(2*tau) + sigma*xi_common/tau**.5 + 0.1*xi_own/tau**.5 : 1""",
    method="euler",
)
held = NeuronGroup(
    200,
    "dv/dt = (0.9 - v)/tau + 0.3*sqrt(2/tau)*xi : 1 (unless refractory)",
    threshold="v > 1",
    reset="v = 0",
    refractory=3 * ms,
    method="euler",
)
record = StateMonitor(ou, "x", record=True)
monitor = SpikeMonitor(held)
net = Network(ou, chosen, *geometric.values(), shared, held, record, monitor)
net.run(60 * ms)

x = np.asarray(record.x)
samples = {
    "ou": ou.x[:],
    "first_step": x[:, 1] - x[:, 0],
    "change": x[:, 350] - x[:, 300],
    "milstein": np.log(geometric["milstein"].x[:]),
    "heun": np.log(geometric["heun"].x[:]),
    "difference": shared.x[:] - shared.y[:],
    "sum": shared.x[:] + shared.y[:],
    "count": monitor.count[:],
}
statistics = {
    "variance": np.var(x[:, 200:]),
    "chosen_variance": np.var(chosen.x[:]),
    "autocorrelation": np.mean((x[:, 200:-50] - mu) * (x[:, 250:] - mu)),
    "together": np.mean(shared.x[:] * shared.y[:]),
    "rate": monitor.num_spikes / 60 / 0.06,
    "geometric_mean": np.mean(geometric["heun"].x[:]),
}
