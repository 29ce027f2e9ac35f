"""Groups, monitors, plasticity and code with steps of their own that need not divide one another."""

from brianlike import *

fast = NeuronGroup(3, "dv/dt = (1.5 + 0.2*i - v)/(6*ms) : 1", threshold="v > 1", reset="v = 0", method="euler", dt=0.05 * ms)
slow = NeuronGroup(
    3,
    """dv/dt = (0.4 - v)/(9*ms) : 1
       seen : 1""",
    threshold="v > 0.8",
    reset="v = 0",
    method="euler",
    dt=0.25 * ms,
)
odd = NeuronGroup(2, "dv/dt = (1.2 - v)/(7*ms) : 1", threshold="v > 1", reset="v = 0.1*i", method="exact", clock=Clock(0.3 * ms))
up = Synapses(fast, slow, on_pre="v_post += 0.2; seen_post += 1")
up.connect()
up.delay = "(0.1 + 0.12*i + 0.3*j)*ms"
down = Synapses(slow, odd, on_pre="v_post += 0.05*(1 + i)", on_post="v_pre -= 0.01")
down.connect()
decay = Synapses(odd, fast, "dw/dt = -w/(20*ms) : 1 (clock-driven)", on_pre="v_post += 0.02*w; w += 0.5", dt=0.2 * ms, method="exact")
decay.connect()
decay.w = 1
slow.run_regularly("seen *= 0.5", dt=3 * ms)
noted = []


@network_operation(dt=1.7 * ms)
def note(t):
    noted.append(t / ms)


of_fast, of_slow, of_odd = SpikeMonitor(fast), SpikeMonitor(slow), SpikeMonitor(odd)
fast_v, odd_v = StateMonitor(fast, "v", record=True, dt=0.1 * ms), StateMonitor(odd, "v", record=True)
slow_v, weights = StateMonitor(slow, ["v", "seen"], record=True, dt=1 * ms), StateMonitor(decay, "w", record=[0, 5], dt=0.7 * ms)
run(100.2 * ms)
run(100 * ms)

spikes = {"fast": of_fast, "slow": of_slow, "odd": of_odd}
states = {"fast": (fast_v, "v"), "slow": (slow_v, "v"), "seen": (slow_v, "seen"), "odd": (odd_v, "v"), "w": (weights, "w")}
final = {"calls": noted, "t_w": weights.t / ms, "t_odd": odd_v.t / ms, "end": [defaultclock.t / ms, fast.t / ms, odd.t / ms]}
