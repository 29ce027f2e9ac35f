"""What surrounds the steps of a simulation: runs of 1 ms again and again, a function that is called in every step, stores and restores."""

from time import perf_counter

from brianlike import *

N = globals().get("N", 100)
runs = globals().get("runs", 10_000)
calls = globals().get("calls", 50_000)
restores = globals().get("restores", 1000)
tau = 10 * ms
step = defaultclock.dt
measurements = {}


def measured(what, times):
    """Microseconds that each of so many calls of a function takes."""
    start = perf_counter()
    for _ in range(times):
        what()
    return (perf_counter() - start) / times * 1e6


def again():
    network.restore()
    network.run(1 * ms)


neurons = NeuronGroup(
    N,
    """dv/dt = (I - v)/tau : 1 (unless refractory)
       I : 1""",
    threshold="v > 1",
    reset="v = 0",
    refractory=2 * ms,
    method="exact",
)
neurons.I = "1 + 0.01*i"
synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w", delay=1 * ms)
synapses.connect(p=0.1)
synapses.w = 0.001
spikes = SpikeMonitor(neurons)
record = StateMonitor(neurons, "v", record=[0, 1])
network = Network(neurons, synapses, spikes, record)
network.run(1 * ms)
steps = min(measured(lambda: network.run(calls * step), 1) for _ in range(3))
measurements["run(1*ms) (us)"] = measured(lambda: network.run(1 * ms), runs)
measurements["of it not steps (us)"] = measurements["run(1*ms) (us)"] - 10 * steps / calls

network.store()
network.restore()
measurements["store() (us)"] = measured(network.store, restores)
measurements["restore() (us)"] = measured(network.restore, restores)
measurements["restore() and run(1*ms) (us)"] = measured(again, runs)

counted = []


@network_operation
def operation():
    counted.append(1)


network.add(operation)
network.run(1 * ms)
measurements["call of a function (us)"] = (min(measured(lambda: network.run(calls * step), 1) for _ in range(3)) - steps) / calls


def activity():
    return spikes.num_spikes
