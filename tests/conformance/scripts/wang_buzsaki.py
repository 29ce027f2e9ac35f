"""Fast-spiking cells with explicit integrators side by side (Wang & Buzsaki 1996), bursting by a slow variable (Hindmarsh & Rose 1984),
and exponential Euler where a coefficient depends on the variable itself (Morris & Lecar 1981)."""

from brianlike import *

defaultclock.dt = 0.05 * ms
Cm, gL, EL, ENa, EK, gNa, gK = 1 * uF / cm**2, 0.1 * msiemens / cm**2, -65 * mV, 55 * mV, -90 * mV, 35 * msiemens / cm**2, 9 * msiemens / cm**2
eqs = """
dv/dt = (-gNa*m**3*h*(v - ENa) - gK*n**4*(v - EK) - gL*(v - EL) + Iapp)/Cm : volt
m = alpha_m/(alpha_m + beta_m) : 1
alpha_m = 1/exprel(-0.1/mV*(v + 35*mV))/ms : Hz
beta_m = 4*exp(-(v + 60*mV)/(18*mV))/ms : Hz
dh/dt = 5*(alpha_h*(1 - h) - beta_h*h) : 1
alpha_h = 0.07*exp(-(v + 58*mV)/(20*mV))/ms : Hz
beta_h = 1./(exp(-0.1/mV*(v + 28*mV)) + 1)/ms : Hz
dn/dt = 5*(alpha_n*(1 - n) - beta_n*n) : 1
alpha_n = 0.1/exprel(-0.1/mV*(v + 34*mV))/ms : Hz
beta_n = 0.125*exp(-(v + 44*mV)/(80*mV))/ms : Hz
Iapp : amp/metre**2
"""
cells = {m: NeuronGroup(2, eqs, threshold="v > -20*mV", refractory="v > -20*mV", method=m, name=f"cells_{m}") for m in ("euler", "rk4")}
for group in cells.values():
    group.v, group.h, group.n, group.Iapp = -70 * mV, 0.9, 0.1, "(0.5 + 2*i)*uamp/cm**2"
calcium = NeuronGroup(
    3,
    """dV/dt = (-4*msiemens*mInf*(V - 120*mV) - 8*msiemens*w*(V + 84*mV) - 2*msiemens*(V + 60*mV) + I)/(20*uF) : volt
       dw/dt = (wInf - w)/tau : 1
       mInf = 0.5*(1 + tanh((V + 1.2*mV)/(18*mV))) : 1
       wInf = 0.5*(1 + tanh((V - 2*mV)/(30*mV))) : 1
       tau = 10*ms/cosh((V - 2*mV)/(60*mV)) : second
       I : amp""",
    threshold="V > 0*mV",
    refractory="V > 0*mV",
    method="exponential_euler",
)
calcium.V, calcium.w, calcium.I = -60 * mV, 0.014, "(80 + 30*i)*uA"
calcium_record = StateMonitor(calcium, ["V", "w"], record=True)
rose = NeuronGroup(
    3,
    """dx/dt = (y - x**3 + 3*x**2 + 2.0 + i*0.5 - z)/ms : 1
       dy/dt = (1 - 5*x**2 - y)/ms : 1
       dz/dt = 0.005*(4*(x + 1.6) - z)/ms : 1""",
    threshold="x > 1",
    refractory="x > 1",
    method="rk4",
)
rose.x, rose.z = -1.6, 1.5
records = {m: StateMonitor(group, ["v", "h"], record=True) for m, group in cells.items()}
burst = StateMonitor(rose, ["x", "z"], record=True)
spikes = {m: SpikeMonitor(group) for m, group in cells.items()} | {"rose": SpikeMonitor(rose), "calcium": SpikeMonitor(calcium)}
net = Network(list(cells.values()), rose, calcium, calcium_record, list(records.values()), burst, spikes)
net.run(200 * ms)

states = {f"{m}_{name}": (record, name) for m, record in records.items() for name in ("v", "h")} | {"x": (burst, "x"), "z": (burst, "z")}
states |= {"V": (calcium_record, "V"), "w": (calcium_record, "w")}
