"""One neuron that leaks, integrates and fires, and the record of its potential in every step."""

from brianlike import *

tau = 10 * ms
neuron = NeuronGroup(1, "dv/dt = (2 - v)/tau : 1", threshold="v > 1", reset="v = 0", method="exact")
record = StateMonitor(neuron, "v", record=True)
network = Network(neuron, record)


def activity():
    """Resets on the record: no monitor of spikes takes part in what is measured."""
    return int((diff(record.v[0]) < -0.5).sum())
