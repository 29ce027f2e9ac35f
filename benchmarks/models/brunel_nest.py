"""The network of `brunel.py` for NEST: the same parameters, each pair of neurons connected with the same probability."""

import nest

N = globals().get("N", 12500)
excitatory = N * 4 // 5
inputs = excitatory // 10
tau, theta, resting = 20.0, 20.0, 10.0  # ms and mV
J, g = 0.1 * 1000 / inputs, 5.0
external_rate = 2 * theta / (J * inputs * tau) * 1000  # Hz, of each of the inputs

neuron = {"tau_m": tau, "C_m": 1.0, "E_L": 0.0, "V_m": 0.0, "V_th": theta, "V_reset": resting, "t_ref": 2.0, "I_e": 0.0}
neurons = nest.Create("iaf_psc_delta", N, params=neuron)
connect = {"rule": "pairwise_bernoulli", "p": 0.1, "allow_autapses": True}
nest.Connect(neurons[:excitatory], neurons, connect, {"weight": J, "delay": 1.5})
nest.Connect(neurons[excitatory:], neurons, connect, {"weight": -g * J, "delay": 1.5})
external = nest.Create("poisson_generator", params={"rate": inputs * external_rate})
nest.Connect(external, neurons, syn_spec={"weight": J, "delay": 1.5})
recorder = nest.Create("spike_recorder")
nest.Connect(neurons, recorder)
