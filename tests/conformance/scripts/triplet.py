"""Plasticity by triplets of spikes (Pfister & Gerstner 2006): two traces on each side, all event-driven."""

import numpy as np

from brianlike import *

random = np.random.RandomState(8)
taup, taux, taum, tauy = 16.8 * ms, 101 * ms, 33.7 * ms, 125 * ms
A2p, A3p, A2m, A3m = 7.5e-10, 9.3e-3, 7e-3, 2.3e-4
rates = np.array([5, 10, 20, 40, 60])
steps = 5000


def train(number):
    which, step = np.nonzero(random.uniform(size=(number, steps)) < rates[np.arange(number) % 5][:, None] * 1e-4)
    return SpikeGeneratorGroup(number, which, step * 0.1 * ms)


before, after = train(10), train(5)
S = Synapses(
    before,
    after,
    """w : 1
       dr1/dt = -r1/taup : 1 (event-driven)
       dr2/dt = -r2/taux : 1 (event-driven)
       do1/dt = -o1/taum : 1 (event-driven)
       do2/dt = -o2/tauy : 1 (event-driven)""",
    on_pre="""w = clip(w - o1*(A2m + A3m*r2), 0, 1)
              r1 += 1
              r2 += 1""",
    on_post="""w = clip(w + r1*(A2p + A3p*o2), 0, 1)
               o1 += 1
               o2 += 1""",
)
S.connect()
S.w = "0.3 + 0.04*i"
S.pre.delay = "(i % 3)*0.2*ms"
record = StateMonitor(S, ["w", "r1", "o2"], record=[0, 7, 49], dt=1 * ms)
run(steps * 0.1 * ms)

states = {name: (record, name) for name in ("w", "r1", "o2")}
final = {name: getattr(S, name)[:] for name in ("w", "r1", "r2", "o1", "o2")}
