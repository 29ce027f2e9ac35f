"""Connecting neurons at random, by a probability alone and by a condition and a probability: 15.6 million synapses each."""

from time import perf_counter

from brianlike import *

N = globals().get("N", 12500)
measurements = {}
numbers = []


def connected(neurons, arguments):
    """The synapses, and the seconds that `connect` took; then a step, for which they are sorted."""
    synapses = Synapses(neurons, neurons, on_pre="v_post += 1")
    start = perf_counter()
    synapses.connect(**arguments)
    middle = perf_counter()
    Network(neurons, synapses).run(defaultclock.dt)
    return synapses, middle - start, perf_counter() - middle


for what, arguments in (("p=0.1", {"p": 0.1}), ("condition and p", {"condition": "i != j", "p": 0.1})):
    _, seconds, _ = connected(NeuronGroup(10, "v : 1", threshold="v > 1", reset="v = 0"), arguments)  # compiles or loads what is needed
    measurements[f"10 neurons, the first, {what} (s)"] = seconds
    synapses, seconds, first_step = connected(NeuronGroup(N, "v : 1", threshold="v > 1", reset="v = 0"), arguments)
    measurements[f"connect, {what} (s)"] = seconds
    measurements[f"first step, {what} (s)"] = first_step
    numbers.append(len(synapses))
    del synapses


def activity():
    return sum(numbers)
