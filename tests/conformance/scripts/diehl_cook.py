"""Unsupervised learning of patterns: lateral inhibition, adaptive thresholds, plasticity of rates, normalised weights, a run each (after Diehl & Cook)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(12)
n_input, n_e = 36, 8
v_rest_e, v_reset_e, v_thresh_e = -65 * mV, -65 * mV, -52 * mV
v_rest_i, v_reset_i, v_thresh_i = -60 * mV, -45 * mV, -40 * mV
tc_theta, theta_plus, offset = 1e4 * ms, 0.5 * mV, 8 * mV
tc_pre, tc_post_1, tc_post_2, nu_pre, nu_post, wmax = 20 * ms, 20 * ms, 40 * ms, 0.002, 0.02, 1.0

neuron_e = """
dv/dt = ((v_rest_e - v) + (I_synE + I_synI)/nS)/(100*ms) : volt (unless refractory)
I_synE = ge*nS*-v : amp
I_synI = gi*nS*(-100*mV - v) : amp
dge/dt = -ge/(1.0*ms) : 1
dgi/dt = -gi/(2.0*ms) : 1
dtheta/dt = -theta/tc_theta : volt
dtimer/dt = 1 : second
"""
neuron_i = """
dv/dt = ((v_rest_i - v) + (I_synE + I_synI)/nS)/(10*ms) : volt (unless refractory)
I_synE = ge*nS*-v : amp
I_synI = gi*nS*(-85*mV - v) : amp
dge/dt = -ge/(1.0*ms) : 1
dgi/dt = -gi/(2.0*ms) : 1
"""
E = NeuronGroup(
    n_e,
    neuron_e,
    threshold="(v > theta - offset + v_thresh_e) and (timer > refrac_e)",
    refractory="refrac_e",
    reset="v = v_reset_e; theta += theta_plus; timer = 0*ms",
    method="euler",
    namespace={"refrac_e": 5 * ms},
)
I = NeuronGroup(n_e, neuron_i, threshold="v > v_thresh_i", refractory=2 * ms, reset="v = v_reset_i", method="euler")
E.v, I.v, E.theta = v_rest_e - 20 * mV, v_rest_i - 20 * mV, "8*mV + 0.1*mV*i"
X = SpikeGeneratorGroup(n_input, [], [] * second, name="X")
inputs = Synapses(
    X,
    E,
    """w : 1
       post2before : 1
       dpre/dt = -pre/tc_pre : 1 (event-driven)
       dpost1/dt = -post1/tc_post_1 : 1 (event-driven)
       dpost2/dt = -post2/tc_post_2 : 1 (event-driven)""",
    on_pre="ge_post += w; pre = 1.; w = clip(w + nu_pre*post1*-1, 0, wmax)",
    on_post="post2before = post2; w = clip(w + nu_post*pre*post2before, 0, wmax); post1 = 1.; post2 = 1.",
    name="XE",
)
inputs.connect()
inputs.w = random.uniform(size=len(inputs)) * 0.3 + 0.003
inputs.delay = random.randint(0, 100, len(inputs)) * 0.1 * ms
excite, inhibit = Synapses(E, I, on_pre="ge_post += 10.4"), Synapses(I, E, on_pre="gi_post += 17.")
excite.connect(j="i")
inhibit.connect(condition="i != j")
counts, monitor = SpikeMonitor(E, record=False), SpikeMonitor(E)
record = StateMonitor(E, ["v", "theta"], record=[0, 5])
net = Network(X, E, I, inputs, excite, inhibit, counts, monitor, record)
patterns = random.uniform(size=(2, n_input)) < 0.4
responses = []


def normalise():
    dense = np.zeros((n_input, n_e))
    dense[inputs.i, inputs.j] = inputs.w[:]
    factors = 40.0 / dense.sum(axis=0)
    inputs.w = (dense * factors)[inputs.i, inputs.j]


for trial in range(4):
    normalise()
    which, step = np.nonzero(random.uniform(size=(n_input, 600)) < patterns[trial % 2][:, None] * 250e-4)
    X.set_spikes(which, step * 0.1 * ms + net.t)
    seen = np.array(counts.count[:])
    net.run(60 * ms)
    X.set_spikes([], [] * second)
    net.run(20 * ms)
    responses.append(counts.count[:] - seen)

spikes = {"E": monitor}
states = {"v": (record, "v"), "theta": (record, "theta")}
final = {"w": inputs.w[:], "responses": np.ravel(responses), "theta": E.theta / volt, "post1": inputs.post1[:]}
