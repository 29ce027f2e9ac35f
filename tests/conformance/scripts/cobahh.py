"""Hodgkin-Huxley neurons with conductance-based synapses (Brette et al. 2007, benchmark 3; Traub & Miles 1991)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(11)
size = 2000 if FULL else 100
excitatory = size * 4 // 5
area = 20000 * umetre**2
Cm = (1 * ufarad * cm**-2) * area
gl, El = (5e-5 * siemens * cm**-2) * area, -60 * mV
EK, ENa = -90 * mV, 50 * mV
g_na, g_kd, VT = (100 * msiemens * cm**-2) * area, (30 * msiemens * cm**-2) * area, -63 * mV
taue, taui, Ee, Ei = 5 * ms, 10 * ms, 0 * mV, -80 * mV
we, wi = (6 if FULL else 40) * nS, (67 if FULL else 200) * nS

eqs = Equations("""
dv/dt = (gl*(El - v) + ge*(Ee - v) + gi*(Ei - v) - g_na*(m*m*m)*h*(v - ENa) - g_kd*(n*n*n*n)*(v - EK))/Cm : volt
dm/dt = alpha_m*(1 - m) - beta_m*m : 1
dn/dt = alpha_n*(1 - n) - beta_n*n : 1
dh/dt = alpha_h*(1 - h) - beta_h*h : 1
dge/dt = -ge*(1./taue) : siemens
dgi/dt = -gi*(1./taui) : siemens
alpha_m = 0.32*(mV**-1)*4*mV/exprel((13*mV - v + VT)/(4*mV))/ms : Hz
beta_m = 0.28*(mV**-1)*5*mV/exprel((v - VT - 40*mV)/(5*mV))/ms : Hz
alpha_h = 0.128*exp((17*mV - v + VT)/(18*mV))/ms : Hz
beta_h = 4./(1 + exp((40*mV - v + VT)/(5*mV)))/ms : Hz
alpha_n = 0.032*(mV**-1)*5*mV/exprel((15*mV - v + VT)/(5*mV))/ms : Hz
beta_n = .5*exp((10*mV - v + VT)/(40*mV))/ms : Hz
""")
P = NeuronGroup(size, model=eqs, threshold="v > -20*mV", refractory=3 * ms, method="exponential_euler")
P.v = El + (random.randn(size) * 5 - 5) * mV
P.ge, P.gi = (random.randn(size) * 1.5 + 4) * 10.0 * nS, (random.randn(size) * 12 + 20) * 10.0 * nS
i, j = np.nonzero(random.uniform(size=(size, size)) < (0.02 if FULL else 0.1))
Ce, Ci = Synapses(P, P, on_pre="ge += we"), Synapses(P, P, on_pre="gi += wi")
Ce.connect(i=i[i < excitatory], j=j[i < excitatory])
Ci.connect(i=i[i >= excitatory], j=j[i >= excitatory])
monitor, record = SpikeMonitor(P), StateMonitor(P, ["v", "m", "h", "n", "ge", "gi"], record=[1, 10, size - 1])
run((50 if FULL else 200) * ms)

spikes = {"P": monitor}
states = {name: (record, name) for name in ("v", "m", "h", "n", "ge", "gi")}
