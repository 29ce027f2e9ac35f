"""Fast-spiking cells with explicit integrators side by side (Wang & Buzsaki 1996), and bursting by a slow variable (Hindmarsh & Rose 1984)."""

from brianlike import *

defaultclock.dt = 0.02 * ms
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
cells = {
    m: NeuronGroup(2, eqs, threshold="v > -20*mV", refractory="v > -20*mV", method=m, name=f"cells_{m}") for m in ("euler", "rk2", "rk4", "exponential_euler")
}
for group in cells.values():
    group.v, group.h, group.n, group.Iapp = -70 * mV, 0.9, 0.1, "(0.5 + 2*i)*uamp/cm**2"
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
spikes = {m: SpikeMonitor(group) for m, group in cells.items()} | {"rose": SpikeMonitor(rose)}
net = Network(list(cells.values()), rose, list(records.values()), burst, spikes)
net.run(200 * ms)

states = {f"{m}_{name}": (record, name) for m, record in records.items() for name in ("v", "h")} | {"x": (burst, "x"), "z": (burst, "z")}
