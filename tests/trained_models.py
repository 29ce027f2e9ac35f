"""Small networks of well-known neurons, driven so that they spike, for tests of gradients."""

from dataclasses import dataclass

import numpy as np
import torch

import brianlike.nn as bnn
from brianlike.only import *


@dataclass(frozen=True)
class Neuron:
    """A neuron model and a drive under which it fires within `steps` steps of `dt` (ms)."""

    equations: str
    threshold: str
    reset: str
    method: str
    values: dict[str, object]
    learn: tuple[str, ...]
    weight: object
    width: object = None
    refractory: object = False
    dt: float = 1.0
    steps: int = 25
    unit: str = "1"


LIF = Neuron(
    """dv/dt = (I - v)/tau_m : 1 (unless refractory)
       dI/dt = -I/tau_s : 1
       tau_m : second (constant)
       tau_s : second (shared, constant)""",
    "v > 1", "v = 0", "exact",
    {"tau_m": "(15 + 10*rand())*ms", "tau_s": 5 * ms, "v": "0.5*rand()"},
    ("tau_m", "tau_s", "v", "I"), 1.5, refractory=2 * ms,
)  # fmt: skip
ADAPTIVE = Neuron(
    """dv/dt = (I - v)/tau_m : 1
       dI/dt = -I/tau_s : 1
       db/dt = -b/tau_b : 1
       v_th = 1 + beta*b : 1
       beta : 1
       tau_m : second (constant)
       tau_s : second (constant)
       tau_b : second (shared)""",
    "v > v_th", "v -= 1; b += 0.6", "exact",
    {"tau_m": "(15 + 10*rand())*ms", "tau_s": "(4 + 3*rand())*ms", "tau_b": 40 * ms, "beta": "0.5 + rand()", "v": "0.5*rand()"},
    ("tau_m", "tau_s", "tau_b", "beta", "v"), 1.5,
)  # fmt: skip
IZHIKEVICH = Neuron(
    """dv/dt = (0.04*v**2 + 5*v + 140 - u + I)/ms : 1
       du/dt = a*(b*v - u)/ms : 1
       dI/dt = -I/(5*ms) : 1
       a : 1
       b : 1 (shared)
       c : 1
       d : 1""",
    "v > 30", "v = c; u += d", "euler",
    {"a": "0.02 + 0.08*rand()", "b": 0.2, "c": "-65 + 15*rand()", "d": "2 + 6*rand()", "v": -65, "u": -13},
    ("a", "b", "c", "d", "v", "u"), 30.0, width=20.0, dt=0.5, steps=30,
)  # fmt: skip
ADEX = Neuron(
    """dv/dt = (gL*(EL - v) + gL*DT*exp((v - VT)/DT) + I - u)/C : volt
       du/dt = (a*(v - EL) - u)/tau_w : amp
       dI/dt = -I/tau_s : amp
       EL = -70.6*mV : volt
       gL : siemens (shared)
       C : farad
       DT : volt (shared)
       VT : volt
       a : siemens
       tau_w : second
       tau_s : second (constant)
       jump : amp""",
    "v > -40*mV", "v = EL; u += jump", "euler",
    {"C": 281 * pF, "gL": 30 * nS, "DT": 2 * mV, "VT": "-50.4*mV + randn()*mV", "a": 4 * nS, "tau_w": "(100 + 40*rand())*ms", "tau_s": 8 * ms,
     "jump": 80.5 * pA, "v": "-70.6*mV + 10*rand()*mV"},
    ("C", "gL", "VT", "a", "tau_w", "tau_s", "jump", "v"), 2 * nA, width=10 * mV, dt=0.5, steps=40, unit="amp",
)  # fmt: skip
HODGKIN_HUXLEY = Neuron(
    """dv/dt = (gl*(El - v) - g_na*(m*m*m)*h*(v - ENa) - g_kd*(n*n*n*n)*(v - EK) + I)/Cm : volt
       dm/dt = alpha_m*(1 - m) - beta_m*m : 1
       dn/dt = alpha_n*(1 - n) - beta_n*n : 1
       dh/dt = alpha_h*(1 - h) - beta_h*h : 1
       dI/dt = -I/(5*ms) : amp
       alpha_m = 0.32*4/exprel((13*mV - v + VT)/(4*mV))/ms : Hz
       beta_m = 0.28*5/exprel((v - VT - 40*mV)/(5*mV))/ms : Hz
       alpha_h = 0.128*exp((17*mV - v + VT)/(18*mV))/ms : Hz
       beta_h = 4./(1 + exp((40*mV - v + VT)/(5*mV)))/ms : Hz
       alpha_n = 0.032*5/exprel((15*mV - v + VT)/(5*mV))/ms : Hz
       beta_n = 0.5*exp((10*mV - v + VT)/(40*mV))/ms : Hz
       Cm = 200*pF : farad
       gl = 10*nS : siemens
       El = -65*mV : volt
       EK = -90*mV : volt
       ENa = 50*mV : volt
       VT = -63*mV : volt
       g_na : siemens
       g_kd : siemens (shared)""",
    "v > -20*mV", "", "exponential_euler",
    {"g_na": "(20 + 2*rand())*uS", "g_kd": 6 * uS, "v": "(-65 + 5*rand())*mV", "m": 0.05, "h": 0.6, "n": 0.3},
    ("g_na", "g_kd", "v", "m", "n"), 10 * nA, width=20 * mV, refractory="v > -20*mV", dt=0.1, steps=40, unit="amp",
)  # fmt: skip
NEURONS = {"LIF": LIF, "adaptive": ADAPTIVE, "Izhikevich": IZHIKEVICH, "AdEx": ADEX, "Hodgkin-Huxley": HODGKIN_HUXLEY}


def network(neuron, shape=None, *, gradient=None, record=("v",), size=4, inputs=6, batch=2, method=None, delays=True, detach_reset=None, extra_learn=()):
    """A module with a population driven by inputs and by itself, with a delay for each recurrent synapse; and graded input events."""
    seed(7)
    defaultclock.dt = neuron.dt * ms
    source = InputGroup(inputs, name="source")  # names of their own: they decide the order in which synapses deliver
    events = {"threshold": neuron.threshold, "reset": neuron.reset or None, "refractory": neuron.refractory}
    cells = NeuronGroup(size, neuron.equations, method=method or neuron.method, name="cells", **events)
    for name, value in neuron.values.items():
        setattr(cells, name, value)
    feed = Synapses(source, cells, f"w : {neuron.unit}", on_pre="I_post += w", name="feed")
    feed.connect()
    feed.w = neuron.weight * (0.2 + np.random.rand(len(feed)))
    loop = Synapses(cells, cells, f"w : {neuron.unit}", on_pre="I_post += w", name="loop")
    loop.connect(p=0.7)
    loop.w = neuron.weight * 0.3 * np.random.randn(len(loop))
    if delays:
        loop.delay = f"rand()*{4 * neuron.dt}*ms"
    learn = [bnn.Learn(feed, "w"), bnn.Learn(loop, "w"), *(bnn.Learn(cells, name) for name in neuron.learn)]
    gradient = gradient or bnn.Surrogate(shape or bnn.SuperSpike(beta=10), width=neuron.width, detach_reset=detach_reset)
    recorded = {"spikes": cells, **{name: (cells, name) for name in record}}
    module = bnn.NetworkModule(Network(source, cells, feed, loop), recorded, learn, gradient, dtype=torch.float64, namespace={})
    generator = torch.Generator().manual_seed(3)
    fired = torch.rand(neuron.steps, batch, inputs, generator=generator) < 0.25
    x = fired * (0.8 + 0.4 * torch.rand(fired.shape, generator=generator, dtype=torch.float64))
    return module, {source.name: x}


def custom(equations, values, learn, *, method, threshold="v > 1", reset="v = 0", steps=30, batch=2, size=3, inputs=5, gradient=None, refractory=False,
           synapse="w : 1", on_pre="I_post += w", on_post=None, synaptic=None, learn_synaptic=("w",), weight=1.5, record=("v",), delay=None, dt=1.0):
    """A module of inputs and one population with the synapses' own code, for one feature each."""  # fmt: skip
    seed(11)
    defaultclock.dt = dt * ms
    source = InputGroup(inputs)
    cells = NeuronGroup(size, equations, threshold=threshold, reset=reset, method=method, refractory=refractory)
    for name, value in values.items():
        setattr(cells, name, value)
    feed = Synapses(source, cells, synapse, on_pre=on_pre, on_post=on_post)
    feed.connect()
    feed.w = weight * (0.2 + np.random.rand(len(feed)))
    for name, value in (synaptic or {}).items():
        setattr(feed, name, value)
    if delay:
        feed.delay = delay
    learned = [*(bnn.Learn(feed, name) for name in learn_synaptic), *(bnn.Learn(cells, name) for name in learn)]
    recorded = {"spikes": cells, **{name: (cells, name) for name in record}}
    objects = Network(source, cells, feed)
    module = bnn.NetworkModule(objects, recorded, learned, gradient or bnn.Surrogate(bnn.SuperSpike(beta=5)), dtype=torch.float64, namespace={})
    generator = torch.Generator().manual_seed(5)
    x = (torch.rand(steps, batch, inputs, generator=generator) < 0.3).double()
    return module, {source.name: x}, cells, feed
