"""Recurrent NMDA (saturating, with a magnesium block, summed over synapses), AMPA and GABA currents (after Brunel & Wang 2001)."""

import numpy as np

from brianlike import *

random = np.random.RandomState(4)
N_E, N_I = 24, 6
V_L, V_thr, V_reset, V_E, V_I = -70 * mV, -50 * mV, -55 * mV, 0 * mV, -70 * mV
tau_AMPA, tau_GABA, tau_rise, tau_decay, alpha, Mg2 = 2 * ms, 10 * ms, 2 * ms, 100 * ms, 0.5 / ms, 1.0
g_m, C_m = 25 * nS, 0.5 * nF
g_AMPA, g_NMDA, g_GABA = 0.1 * nS, 2.5 * nS, 6 * nS

eqs = """
dv/dt = (-g_m*(v - V_L) - I_syn + drive)/C_m : volt (unless refractory)
I_syn = I_AMPA + I_NMDA + I_GABA : amp
I_AMPA = g_AMPA*(v - V_E)*s_AMPA : amp
ds_AMPA/dt = -s_AMPA/tau_AMPA : 1
I_NMDA = g_NMDA*(v - V_E)/(1 + Mg2*exp(-0.062*v/mV)/3.57)*s_NMDA_tot : amp
s_NMDA_tot : 1
I_GABA = g_GABA*(v - V_I)*s_GABA : amp
ds_GABA/dt = -s_GABA/tau_GABA : 1
drive : amp
"""
P_E = NeuronGroup(N_E, eqs, threshold="v > V_thr", reset="v = V_reset", refractory=2 * ms, method="euler")
P_I = NeuronGroup(N_I, eqs, threshold="v > V_thr", reset="v = V_reset", refractory=1 * ms, method="euler")
P_E.v, P_I.v = random.uniform(-70, -50, N_E) * mV, random.uniform(-70, -50, N_I) * mV
P_E.drive, P_I.drive = random.uniform(0.3, 0.6, N_E) * nA, random.uniform(0.2, 0.5, N_I) * nA

eqs_glut = """
s_NMDA_tot_post = w*s_NMDA : 1 (summed)
ds_NMDA/dt = -s_NMDA/tau_decay + alpha*x*(1 - s_NMDA) : 1 (clock-driven)
dx/dt = -x/tau_rise : 1 (clock-driven)
w : 1
"""
C_E_E = Synapses(P_E, P_E, eqs_glut, on_pre="s_AMPA += w; x += 1", delay=0.5 * ms, method="euler")
C_E_E.connect("i != j")
C_E_E.w = "1 + 0.02*(j - i)"
C_E_I = Synapses(P_E, P_I, eqs_glut, on_pre="s_AMPA += 1; x += 1", delay=0.5 * ms, method="euler")
C_E_I.connect()
C_E_I.w = 1
C_I_E, C_I_I = Synapses(P_I, P_E, on_pre="s_GABA += 1", delay=0.5 * ms), Synapses(P_I, P_I, on_pre="s_GABA += 1", delay=0.5 * ms)
C_I_E.connect()
C_I_I.connect("i != j")
m_E, m_I = SpikeMonitor(P_E), SpikeMonitor(P_I)
record, gate = StateMonitor(P_E, ["v", "s_NMDA_tot", "I_syn", "s_GABA"], record=[0, 23]), StateMonitor(C_E_E, ["s_NMDA", "x"], record=[0, 100])
run(200 * ms)

spikes = {"E": m_E, "I": m_I}
states = {"v": (record, "v"), "total": (record, "s_NMDA_tot"), "I": (record, "I_syn"), "gaba": (record, "s_GABA"), "s": (gate, "s_NMDA"), "x": (gate, "x")}
