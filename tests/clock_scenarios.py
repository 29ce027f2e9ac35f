"""Networks with several clocks, as one script for Brian 2 and for us: `python tests/clock_scenarios.py brian2` prints the
rows of oracle/clocks.json.

Every scenario takes the package and returns lists of numbers (times in ms).
"""

import importlib
import json
import sys


def _ms(b, values):
    return [round(float(x / b.ms), 6) for x in values]


def counting_at_different_rates(b):
    """Who runs first where ticks meet: slot, then order, then name, whatever the clock."""
    seen = []
    fast = b.NetworkOperation(lambda t: seen.append(["fast", *_ms(b, [t])]), dt=0.1 * b.ms, name="m")
    slow = b.NetworkOperation(lambda t: seen.append(["slow", *_ms(b, [t])]), dt=0.3 * b.ms, name="a")
    odd = b.NetworkOperation(lambda t: seen.append(["odd", *_ms(b, [t])]), dt=0.25 * b.ms, name="z")
    late = b.NetworkOperation(lambda t: seen.append(["late", *_ms(b, [t])]), dt=0.5 * b.ms, when="end", order=-5, name="e")
    b.Network(fast, slow, odd, late).run(1 * b.ms)
    return seen


def durations_that_are_no_steps(b):
    times, slow = [], []
    net = b.Network(b.NetworkOperation(lambda t: times.append(_ms(b, [t])[0])), b.NetworkOperation(lambda t: slow.append(_ms(b, [t])[0]), dt=0.35 * b.ms))
    rows = []
    for length in (0.15, 0.15, 0.15, 0.15, 0.37, 0.0, 0.03, 1.0000001):
        net.run(length * b.ms)
        rows.append([*_ms(b, [net.t]), len(times), len(slow)])
    return [rows, times, slow]


def pathways_see_the_time_of_their_synapses(b):
    source = b.NeuronGroup(1, "v : 1", threshold="True", dt=0.1 * b.ms)
    target = b.NeuronGroup(1, "x : second\ny : second\nn : 1", dt=0.2 * b.ms)
    synapses = b.Synapses(source, target, "w : 1", on_pre="x_post = t\ny_post = dt\nn_post += 1", dt=0.3 * b.ms)
    synapses.connect()
    monitor = b.StateMonitor(target, ["x", "y", "n"], record=True, when="end", dt=0.1 * b.ms)
    net = b.Network(source, target, synapses, monitor)
    net.run(1 * b.ms)
    return [_ms(b, monitor.x[0]), _ms(b, monitor.y[0]), [float(n) for n in monitor.n[0]], _ms(b, [source.t, target.t, synapses.t, net.t])]


def delays_count_steps_of_the_source(b):
    source = b.SpikeGeneratorGroup(2, [0, 1, 0], [0, 0.5, 1] * b.ms, dt=0.5 * b.ms)
    target = b.NeuronGroup(2, "v : 1", dt=0.1 * b.ms)
    synapses = b.Synapses(source, target, "w : 1", on_pre="v_post += w")
    synapses.connect(j="i") if b.__name__ == "brian2" else synapses.connect(i=[0, 1], j=[0, 1])
    synapses.w = [1, 10]
    synapses.delay = [0.7, 0.8] * b.ms  # one step of 0.5 ms, and two
    monitor = b.StateMonitor(target, "v", record=True)
    net = b.Network(source, target, synapses, monitor)
    net.run(1.2 * b.ms)
    net.run(1.2 * b.ms)
    return [[float(v) for v in row] for row in monitor.v]


def neurons_at_two_rates(b):
    eqs = "dv/dt = (1.5 - v)/(2*ms) : 1 (unless refractory)"
    slow = b.NeuronGroup(1, eqs, threshold="v > 1", reset="v = 0", refractory=1.2 * b.ms, method="euler", dt=0.25 * b.ms)
    fast = b.NeuronGroup(1, eqs, threshold="v > 1", reset="v = 0", refractory=1.2 * b.ms, method="euler", dt=0.1 * b.ms)
    up = b.Synapses(slow, fast, on_pre="v_post += 0.3", delay=0.5 * b.ms)
    down = b.Synapses(fast, slow, on_pre="v_post += 0.3")
    up.connect()
    down.connect()
    spikes = [b.SpikeMonitor(group) for group in (slow, fast)]
    values = b.StateMonitor(slow, "v", record=True, dt=0.5 * b.ms, when="end")
    b.Network(slow, fast, up, down, *spikes, values).run(20 * b.ms)
    return [*(_ms(b, m.t) for m in spikes), [round(float(v), 12) for v in values.v[0]], _ms(b, values.t)]


def recording_more_and_less_often(b):
    group = b.NeuronGroup(2, "dv/dt = (i + 1)/ms : 1\nw = v + t/ms : 1", method="euler", dt=0.2 * b.ms)
    often = b.StateMonitor(group, ["v", "w"], record=True, dt=0.1 * b.ms)
    seldom = b.StateMonitor(group, ["v", "w"], record=[1], clock=b.Clock(0.5 * b.ms), when="end")
    b.Network(group, often, seldom).run(1.1 * b.ms)
    return [[round(float(x), 9) for x in [*m.t / b.ms, *m.v.flatten(), *m.w.flatten()]] for m in (often, seldom)]


def a_step_that_changes_between_runs(b):
    clock = b.Clock(0.1 * b.ms)
    source = b.SpikeGeneratorGroup(1, [0, 0], [0.3, 1.1] * b.ms, clock=clock)
    target = b.NeuronGroup(1, "v : 1", dt=0.1 * b.ms)
    synapses = b.Synapses(source, target, on_pre="v_post += 1", delay=0.4 * b.ms)
    synapses.connect()
    spikes, values = b.SpikeMonitor(source), b.StateMonitor(target, "v", record=True)
    net = b.Network(source, target, synapses, spikes, values)
    net.run(1 * b.ms)
    clock.dt = 0.05 * b.ms
    net.run(1 * b.ms)
    return [_ms(b, spikes.t), [float(v) for v in values.v[0]]]


def code_at_another_rate(b):
    group = b.NeuronGroup(1, "v : second\nw : second\nn : 1 (shared)", dt=0.1 * b.ms)
    group.run_regularly("v = t\nw = dt", dt=0.25 * b.ms, when="end")
    group.run_regularly("n += 1", dt=0.3 * b.ms)
    monitor = b.StateMonitor(group, ["v", "w", "n"], record=True, dt=0.05 * b.ms, when="end", order=5)
    b.Network(group, monitor).run(1 * b.ms)
    return [_ms(b, monitor.v[0]), _ms(b, monitor.w[0]), [float(n) for n in monitor.n.flatten()]]


def sums_run_on_the_clock_of_the_target(b):
    source = b.NeuronGroup(2, "dv/dt = (i + 1)/ms : 1", method="euler", dt=0.1 * b.ms)
    target = b.NeuronGroup(1, "total : 1", dt=0.25 * b.ms)
    synapses = b.Synapses(source, target, "w : 1\ntotal_post = v_pre*w : 1 (summed)", dt=0.2 * b.ms)
    synapses.connect()
    synapses.w = 1
    monitor = b.StateMonitor(target, "total", record=True, dt=0.05 * b.ms, when="end")
    b.Network(source, target, synapses, monitor).run(0.8 * b.ms)
    return [round(float(x), 9) for x in monitor.total[0]]


def clock_driven_synapses(b):
    source = b.SpikeGeneratorGroup(1, [0, 0], [0.1, 0.5] * b.ms, dt=0.1 * b.ms)
    target = b.NeuronGroup(1, "v : 1", dt=0.05 * b.ms)
    synapses = b.Synapses(source, target, "dg/dt = -g/ms : 1 (clock-driven)\nv_post = g : 1 (summed)", on_pre="g += 1", method="euler", dt=0.2 * b.ms)
    synapses.connect()
    monitor = b.StateMonitor(target, "v", record=True)
    b.Network(source, target, synapses, monitor).run(1 * b.ms)
    return [round(float(x), 9) for x in monitor.v[0]]


SCENARIOS = [
    counting_at_different_rates, durations_that_are_no_steps, pathways_see_the_time_of_their_synapses, delays_count_steps_of_the_source,
    neurons_at_two_rates, recording_more_and_less_often, a_step_that_changes_between_runs, code_at_another_rate,
    sums_run_on_the_clock_of_the_target, clock_driven_synapses,
]  # fmt: skip

if __name__ == "__main__":
    package = importlib.import_module(sys.argv[1])
    package.prefs.codegen.target = "numpy"
    for scenario in SCENARIOS:
        package.start_scope()
        package.defaultclock.dt = 0.1 * package.ms
        sys.stdout.write(f'    "{scenario.__name__}": {json.dumps(scenario(package))},\n')
