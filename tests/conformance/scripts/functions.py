"""Functions of the user: in Python with units, with an implementation for numpy, several results of one type, and every built-in one."""

import numpy as np

from brianlike import *


@check_units(x=volt, y=1, result=volt)
def rectified(x, y):
    return np.clip(x, 0 * volt, np.inf * volt) * y


@implementation("numpy", discard_units=True)
@check_units(x=1, result=1)
def hat(x):
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


@declare_types(n="integer", result="boolean")
@check_units(n=1, result=1)
def even(n):
    return np.asarray(n) % 2 == 0


softplus = Function(lambda x: np.log1p(np.exp(x)), arg_units=[1], return_unit=1)
tau = 10 * ms
cells = NeuronGroup(
    5,
    """dv/dt = (rectified(v, 0.5)*0.1 + 12*mV*hat((t - 20*ms - i*ms)/(30*ms)) - v + 14*mV)/tau : volt
       dx/dt = (softplus(sin(t/(4*ms)) + i*0.3) - x)/tau : 1
       counted : integer
       flag : boolean""",
    threshold="v > 15*mV",
    reset="v = -rectified(2*mV, 1 + x); counted += 1; flag = even(counted)",
    method="euler",
)
built_in = NeuronGroup(
    4,
    """a : 1
       b = sin(a) + cos(a) + tan(a/2) + sinh(a/3) + cosh(a/3) + tanh(a) + arcsin(a/4) + arccos(a/4) + arctan(a) : 1
       c = exp(-a) + log(1 + abs(a)) + log10(2 + a) + expm1(a/5) + log1p(abs(a)) + exprel(a) + sqrt(abs(a)) : 1
       d = ceil(a) + 10*floor(a) + 100*sign(a) + 1000*clip(a, -0.5, 0.5) + 1e4*int(a) + abs(a) : 1
       e_ = pi*a + e**a + a**3 + a**-1 + timestep(t, dt) : 1""",
)
built_in.run_regularly("a = 1.9*sin(t/(7*ms) + 1.3*i)")
S = Synapses(cells, cells, "w : 1", on_pre="v_post += rectified(w*mV, hat(w))")
S.connect("i != j")
S.w = "hat(0.1*i) - hat(0.2*j)"
record, table = StateMonitor(cells, ["v", "x", "counted", "flag"], record=True), StateMonitor(built_in, ["a", "b", "c", "d", "e_"], record=True, when="end")
monitor = SpikeMonitor(cells)
run(200 * ms)

spikes = {"cells": monitor}
states = {name: (record, name) for name in ("v", "x", "counted", "flag")} | {name: (table, name) for name in ("a", "b", "c", "d", "e_")}
final = {"w": S.w[:], "direct": rectified(np.array([-1, 2]) * mV, 3) / mV}
