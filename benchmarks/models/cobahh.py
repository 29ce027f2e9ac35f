"""Hodgkin-Huxley neurons with synaptic conductances: benchmark 3 of Brette et al. (2007), with channels after Traub & Miles (1991)."""

from brianlike import *

N = globals().get("N", 4000)
excitatory = N * 4 // 5
probability = min(1, 80 / N)
area = 20000 * umetre**2
C = 1 * ufarad / cm**2 * area
g_leak, g_Na, g_K = 5e-5 * siemens / cm**2 * area, 100 * msiemens / cm**2 * area, 30 * msiemens / cm**2 * area
E_leak, E_Na, E_K, E_e, E_i, V_T = -60 * mV, 50 * mV, -90 * mV, 0 * mV, -80 * mV, -63 * mV
taue, taui = 5 * ms, 10 * ms
we, wi = 6 * nS, 67 * nS

neurons = NeuronGroup(
    N,
    """dv/dt = (g_leak*(E_leak - v) + ge*(E_e - v) + gi*(E_i - v) - g_Na*m**3*h*(v - E_Na) - g_K*n**4*(v - E_K))/C : volt
       dm/dt = alpha_m*(1 - m) - beta_m*m : 1
       dn/dt = alpha_n*(1 - n) - beta_n*n : 1
       dh/dt = alpha_h*(1 - h) - beta_h*h : 1
       dge/dt = -ge/taue : siemens
       dgi/dt = -gi/taui : siemens
       alpha_m = 1.28/exprel((13*mV - v + V_T)/(4*mV))/ms : Hz
       beta_m = 1.4/exprel((v - V_T - 40*mV)/(5*mV))/ms : Hz
       alpha_h = 0.128*exp((17*mV - v + V_T)/(18*mV))/ms : Hz
       beta_h = 4/(1 + exp((40*mV - v + V_T)/(5*mV)))/ms : Hz
       alpha_n = 0.16/exprel((15*mV - v + V_T)/(5*mV))/ms : Hz
       beta_n = 0.5*exp((10*mV - v + V_T)/(40*mV))/ms : Hz""",
    threshold="v > -20*mV",
    refractory="v > -20*mV",
    method="exponential_euler",
)
neurons.v = "E_leak + (randn()*5 - 5)*mV"
neurons.ge = "(randn()*1.5 + 4)*10*nS"
neurons.gi = "(randn()*12 + 20)*10*nS"
excitation = Synapses(neurons, neurons, on_pre="ge += we")
excitation.connect("i < excitatory", p=probability)
inhibition = Synapses(neurons, neurons, on_pre="gi += wi")
inhibition.connect("i >= excitatory", p=probability)
spikes = SpikeMonitor(neurons)
network = Network(neurons, excitation, inhibition, spikes)
