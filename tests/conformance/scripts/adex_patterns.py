"""Eight firing patterns of the adaptive exponential model under a step of current (parameters after Naud et al. 2008, table 1)."""

import numpy as np

from brianlike import *

kinds = np.array(
    [  # C pF, gL nS, EL mV, VT mV, DeltaT mV, a nS, tauw ms, b pA, Vr mV, I pA
        [200, 10, -70, -50, 2, 2, 30, 0, -58, 500],  # tonic
        [200, 12, -70, -50, 2, 2, 300, 60, -58, 500],  # adapting
        [130, 18, -58, -50, 2, 4, 150, 120, -50, 400],  # initial burst
        [200, 10, -58, -50, 2, 2, 120, 100, -46, 210],  # regular bursting
        [200, 12, -70, -50, 2, -10, 300, 0, -58, 300],  # delayed, accelerating
        [200, 12, -70, -50, 2, -6, 300, 0, -58, 110],  # delayed, regular bursting
        [100, 10, -65, -50, 2, -10, 90, 30, -47, 350],  # transient
        [100, 12, -60, -50, 2, -11, 130, 30, -48, 160],  # irregular
    ],
    dtype=float,
).T
eqs = """
dv/dt = (gL*(EL - v) + gL*DeltaT*exp((v - VT)/DeltaT) - w + I(t)*amplitude)/C : volt
dw/dt = (a*(v - EL) - w)/tauw : amp
C : farad (constant)
gL : siemens (constant)
EL : volt (constant)
VT : volt (constant)
DeltaT : volt (constant)
a : siemens (constant)
tauw : second (constant)
b : amp (constant)
Vr : volt (constant)
amplitude : amp (constant)
"""
I = TimedArray([0] + 9 * [1], dt=20 * ms)
cells = NeuronGroup(8, eqs, threshold="v > 0*mV", reset="v = Vr; w += b", method="euler")
cells.C, cells.gL, cells.EL, cells.VT, cells.DeltaT = kinds[0] * pF, kinds[1] * nS, kinds[2] * mV, kinds[3] * mV, kinds[4] * mV
cells.a, cells.tauw, cells.b, cells.Vr, cells.amplitude = kinds[5] * nS, kinds[6] * ms, kinds[7] * pA, kinds[8] * mV, kinds[9] * pA
cells.v = "EL"
record = StateMonitor(cells, ["v", "w"], record=True, when="end")
monitor = SpikeMonitor(cells, variables=["w"])
run(200 * ms)

spikes = {"cells": monitor}
states = {"v": (record, "v"), "w": (record, "w")}
final = {"w_at_spikes_of_0": monitor.values("w")[0]}
