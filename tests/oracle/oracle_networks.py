"""Deterministic networks as text that Brian 2 and brianlike both execute, and what is compared of them.

A text may use every name of `from brian2 import *` (or brianlike) and `np`. It leaves `spikes` (name -> SpikeMonitor) and `states` (name -> (StateMonitor,
variable)), or `final` (name -> values at the end).
"""

from __future__ import annotations

from typing import Any

import numpy as np

LIF_DELAYS = """
times = np.array([1, 3, 3.1, 7, 7, 12, 12.1, 20, 21, 22, 30, 31])*ms
source = SpikeGeneratorGroup(4, [0, 1, 0, 2, 3, 0, 1, 2, 3, 0, 1, 2], times)
tau, El = 8*ms, -65*mV
cells = NeuronGroup(6, '''dv/dt = (El - v + g)/tau : volt (unless refractory)
                          dg/dt = -g/(3*ms) : volt''',
                    threshold='v > -60*mV', reset='v = El - 2*mV', refractory=4*ms, method='exact')
cells.v = 'El + 0.3*i*mV'
feed = Synapses(source, cells, 'w : volt', on_pre='g_post += w')
feed.connect()
feed.w = '(9 + 2*i + 1.5*j)*mV'
feed.delay = '(0.1 + 0.7*i + 0.34*j)*ms'
kick = Synapses(cells, cells, on_pre='v_post += 0.9*mV', delay=1.5*ms)
kick.connect('i != j')
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['v', 'g'], record=True)
states = {'v': (record, 'v'), 'g': (record, 'g')}
net = Network(source, cells, feed, kick, spikes['cells'], record)
net.run(25*ms)
net.run(25*ms)
"""

TWO_PATHWAYS = """
before = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2, 0, 0, 1], [1, 2, 3, 10, 10, 10, 15, 16, 17]*ms)
after = NeuronGroup(2, 'dv/dt = (1.2 + 0.1*i - v)/(9*ms) : 1', threshold='v > 1', reset='v = 0', method='exact')
pair = Synapses(before, after, '''w : 1
                                  a : 1
                                  b : 1''',
                on_pre={'feed': 'v_post += w', 'mark': '''a = 0.5*a + 1
                                                          w = clip(w - 0.02*b, 0, 1)'''},
                on_post='''b = 0.25*b + 1
                           w = clip(w + 0.03*a, 0, 1)''',
                delay={'feed': 1*ms, 'mark': 0.2*ms})
pair.connect()
pair.w = '0.05*(1 + i + 2*j)'
spikes = {'after': SpikeMonitor(after)}
record = StateMonitor(pair, ['w', 'a', 'b'], record=True)
cells = StateMonitor(after, 'v', record=True)
states = {'w': (record, 'w'), 'a': (record, 'a'), 'b': (record, 'b'), 'v': (cells, 'v')}
net = Network(before, after, pair, spikes['after'], record, cells)
net.run(40*ms)
"""

STDP = """
before = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2, 0, 0, 1], [1, 2, 3, 10, 10.2, 10.4, 15, 16, 17]*ms, period=20*ms)
after = NeuronGroup(2, 'dv/dt = (1.3 + 0.1*i - v)/(9*ms) : 1', threshold='v > 1', reset='v = 0', method='exact')
plastic = Synapses(before, after, '''w : 1
                                     dap/dt = -ap/(20*ms) : 1 (event-driven)
                                     dam/dt = -am/(15*ms) : 1 (event-driven)''',
                   on_pre='''v_post += w
                             ap += 0.01
                             w = clip(w + am, 0, 0.3)''',
                   on_post='''am -= 0.012
                              w = clip(w + ap, 0, 0.3)''')
plastic.connect()
plastic.w = 0.1
plastic.pre.delay = '0.1*(1 + i)*ms'
spikes = {'after': SpikeMonitor(after)}
record = StateMonitor(plastic, 'w', record=True)
states = {'w': (record, 'w')}
net = Network(before, after, plastic, spikes['after'], record)
net.run(100*ms)
"""

CUBA = """
random = np.random.RandomState(7)
n, n_exc = 200, 160
cells = NeuronGroup(n, '''dv/dt = (ge + gi - (v + 49*mV))/(20*ms) : volt (unless refractory)
                          dge/dt = -ge/(5*ms) : volt
                          dgi/dt = -gi/(10*ms) : volt''',
                    threshold='v > -50*mV', reset='v = -60*mV', refractory=5*ms, method='exact')
cells.v = (-60 + 10*random.uniform(size=n))*mV
pairs = [np.flatnonzero(random.uniform(size=n*n) < 0.1) for _ in range(2)]
exc = Synapses(cells, cells, on_pre='ge += 1.62*mV')
inh = Synapses(cells, cells, on_pre='gi -= 9*mV')
exc.connect(i=pairs[0][pairs[0] < n_exc*n]//n, j=pairs[0][pairs[0] < n_exc*n] % n)
inh.connect(i=pairs[1][pairs[1] >= n_exc*n]//n, j=pairs[1][pairs[1] >= n_exc*n] % n)
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['v', 'ge', 'gi'], record=[0, 199])
states = {'v': (record, 'v'), 'ge': (record, 'ge'), 'gi': (record, 'gi')}
net = Network(cells, exc, inh, spikes['cells'], record)
net.run(200*ms)
"""

HODGKIN_HUXLEY = """
defaultclock.dt = 0.02*ms
Cm = 1*uF/cm**2
gl, gna, gk = 0.3*msiemens/cm**2, 120*msiemens/cm**2, 36*msiemens/cm**2
El, Ena, Ek = -54.4*mV, 50*mV, -77*mV
cells = NeuronGroup(5, '''
    dv/dt = (I - gl*(v - El) - gna*m**3*h*(v - Ena) - gk*n**4*(v - Ek))/Cm : volt
    dm/dt = am*(1 - m) - bm*m : 1
    dh/dt = ah*(1 - h) - bh*h : 1
    dn/dt = an*(1 - n) - bn*n : 1
    am = 1/exprel(-(v + 40*mV)/(10*mV))/ms : Hz
    bm = 4*exp(-(v + 65*mV)/(18*mV))/ms : Hz
    ah = 0.07*exp(-(v + 65*mV)/(20*mV))/ms : Hz
    bh = 1/(1 + exp(-(v + 35*mV)/(10*mV)))/ms : Hz
    an = 0.1/exprel(-(v + 55*mV)/(10*mV))/ms : Hz
    bn = 0.125*exp(-(v + 65*mV)/(80*mV))/ms : Hz
    I : amp/metre**2''',
    threshold='v > -20*mV', refractory='v > -20*mV', method='exponential_euler')
cells.v = -65*mV
cells.m, cells.h, cells.n = 0.053, 0.596, 0.318
cells.I = '(2 + 4*i)*uA/cm**2'
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['v', 'm', 'h', 'n'], record=[0, 4])
states = {'v': (record, 'v'), 'm': (record, 'm'), 'h': (record, 'h'), 'n': (record, 'n')}
net = Network(cells, spikes['cells'], record)
net.run(20*ms)
"""

IZHIKEVICH = """
kinds = np.array([[0.02, 0.2, -65, 8], [0.02, 0.2, -55, 4], [0.02, 0.2, -50, 2], [0.1, 0.2, -65, 2], [0.02, 0.25, -65, 2]]).T
cells = NeuronGroup(5, '''
    dv/dt = (0.04/ms/mV)*v**2 + (5/ms)*v + 140*mV/ms - u + I : volt
    du/dt = a*(b*v - u) : volt/second
    I : volt/second
    a : 1/second
    b : 1/second
    c : volt
    d : volt/second''',
    threshold='v >= 30*mV', reset='''v = c
                                     u += d''', method='euler')
cells.a, cells.b, cells.c, cells.d = kinds[0]/ms, kinds[1]/ms, kinds[2]*mV, kinds[3]*volt/second
cells.I = 10*mV/ms
cells.v = -65*mV
cells.u = 'b*v'
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['v', 'u'], record=[0, 2])
states = {'v': (record, 'v'), 'u': (record, 'u')}
net = Network(cells, spikes['cells'], record)
net.run(200*ms)
"""

INTEGRATORS = """
cells = {}
for method in ('euler', 'rk2', 'rk4', 'heun'):
    cells[method] = NeuronGroup(2, '''dx/dt = y/ms : 1
                                      dy/dt = (mu*(1 - x**2)*y - x + drive)/ms : 1
                                      drive = 0.3*sin(2*pi*t/(4*ms)) : 1 (shared)
                                      mu : 1 (constant)''', method=method, name='with_' + method)
    cells[method].mu = '0.5 + i'
    cells[method].x = 'cos(1.0*i)'
spikes = {}
records = {method: StateMonitor(group, ['x', 'y'], record=True) for method, group in cells.items()}
states = {f'{method}_{name}': (record, name) for method, record in records.items() for name in ('x', 'y')}
net = Network(cells, records)
net.run(10*ms)
"""

REFRACTORINESS = """
cells = NeuronGroup(4, '''dv/dt = (1.5 - v)/(5*ms) : 1 (unless refractory)
                          dth/dt = (1 - th)/(20*ms) : 1
                          free = int(not_refractory) : 1
                          since = t - lastspike : second
                          gap : second''',
                    threshold='v > th', reset='''v = 0
                                                 th += 0.2''', refractory='(1 + 0.5*i)*ms', method='exact')
cells.th = 1
held = NeuronGroup(3, '''dv/dt = (1.4 - v)/(4*ms) : 1
                         dw/dt = -w/(6*ms) : 1 (unless refractory)''',
                   threshold='v > 1', reset='w += 0.3', refractory='v > 0.9', method='euler')
held.v = '0.2*i'
push = Synapses(cells, held, on_pre='''v_post -= 0.15
                                       w_post += 0.01''', delay=0.3*ms)
push.connect()
spikes = {'cells': SpikeMonitor(cells), 'held': SpikeMonitor(held)}
record, other = StateMonitor(cells, ['v', 'th', 'free'], record=True), StateMonitor(held, ['v', 'w'], record=True)
states = {'v': (record, 'v'), 'th': (record, 'th'), 'free': (record, 'free'), 'held_v': (other, 'v'), 'held_w': (other, 'w')}
net = Network(cells, held, push, spikes['cells'], spikes['held'], record, other)
net.run(40*ms)
"""

CHAIN = """
first = SpikeGeneratorGroup(1, [0, 0, 0], [0, 1, 5]*ms)
relay = NeuronGroup(5, 'v : 1', threshold='v > 0.5', reset='v = 0')
start = Synapses(first, relay, on_pre='v_post = 1')
start.connect(i=0, j=0)
on = Synapses(relay, relay, on_pre='v_post = 1')
on.connect(i=[0, 1, 2, 3], j=[1, 2, 3, 4])
on.delay = [0, 0.1, 0.14, 0.25]*ms
count = NeuronGroup(1, 'n : 1')
tally = Synapses(relay, count, on_pre='n_post += 1')
tally.connect()
spikes = {'relay': SpikeMonitor(relay)}
early = StateMonitor(relay, 'v', record=True)
late = StateMonitor(relay, 'v', record=True, when='end')
total = StateMonitor(count, 'n', record=True, when='after_synapses')
states = {'early': (early, 'v'), 'late': (late, 'v'), 'n': (total, 'n')}
net = Network(first, relay, start, on, count, tally, spikes['relay'], early, late, total)
net.run(8*ms)
"""

ADEX = """
C, gL, EL, VT, DeltaT = 281*pF, 30*nS, -70.6*mV, -50.4*mV, 2*mV
Vcut = VT + 5*DeltaT
cells = NeuronGroup(4, '''dvm/dt = (gL*(EL - vm) + gL*DeltaT*exp((vm - VT)/DeltaT) + I - w)/C : volt
                          dw/dt = (a*(vm - EL) - w)/tauw : amp
                          I : amp
                          a : siemens (constant)
                          b : amp (constant)
                          tauw : second (constant)''',
                    threshold='vm > Vcut', reset='vm = -70.6*mV; w += b', method='euler')
cells.tauw, cells.a, cells.b = 144*ms, 4*nS, '0.08*nA/(i + 1)'
cells.vm, cells.I = EL, '(0.6 + 0.15*i)*nA'
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['vm', 'w'], record=True)
states = {'vm': (record, 'vm'), 'w': (record, 'w')}
net = Network(cells, spikes['cells'], record)
net.run(80*ms)
"""

COBA = """
random = np.random.RandomState(3)
taum, taue, taui, Ee, Ei, El, Vt, Vr = 20*ms, 5*ms, 10*ms, 60*mV, -20*mV, 0*mV, 10*mV, 0*mV
cells = NeuronGroup(50, '''dv/dt = (-(v - El) + ge*(Ee - v) + gi*(Ei - v) + 11*mV)/taum : volt (unless refractory)
                           dge/dt = -ge/taue : 1
                           dgi/dt = -gi/taui : 1''',
                    threshold='v > Vt', reset='v = Vr', refractory=3*ms, method='exponential_euler')
cells.v = random.uniform(0, 10, 50)*mV
flat = np.flatnonzero(random.uniform(size=2500) < 0.2)
both = Synapses(cells, cells, '''w : 1
                                 excitatory : boolean (constant)''', on_pre='''ge_post += w*int(excitatory)
                                                                           gi_post += 5*w*int(not excitatory)''')
both.connect(i=flat//50, j=flat % 50)
both.excitatory = 'i < 40'
both.w = '0.02 + 0.0005*j'
both.delay = random.randint(0, 30, flat.size)*0.1*ms
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['v', 'ge', 'gi'], record=[1, 49])
states = {'v': (record, 'v'), 'ge': (record, 'ge'), 'gi': (record, 'gi')}
net = Network(cells, both, spikes['cells'], record)
net.run(100*ms)
"""

TRACES = """
before = NeuronGroup(3, '''dx/dt = (0.9 + 0.3*i - x)/(7*ms) : 1
                            dmark/dt = -mark/(20*ms) : 1''', threshold='x > 0.8', reset='''x -= 0.8
                                                                                          mark += 1''', method='exact')
after = NeuronGroup(4, '''dv/dt = -v/(10*ms) : 1
                           dmark/dt = -mark/(15*ms) : 1
                           hits : integer''', threshold='v > 1', reset='''v = 0
                                                                         mark += 1''', method='exact')
plastic = Synapses(before, after, '''w : 1
                                     last : second''',
                   on_pre='''v_post += w
                             hits_post += 1
                             w = clip(w - 0.02*mark_post, 0, 1)
                             last = t''',
                   on_post='w = clip(w + 0.01*mark_pre, 0, 1)', delay=0.5*ms)
plastic.connect('(i + j) % 2 == 0')
plastic.w = '0.3 + 0.1*j'
spikes = {'before': SpikeMonitor(before), 'after': SpikeMonitor(after)}
record, cells = StateMonitor(plastic, ['w', 'last'], record=True), StateMonitor(after, ['v', 'hits'], record=True)
states = {'w': (record, 'w'), 'last': (record, 'last'), 'v': (cells, 'v'), 'hits': (cells, 'hits')}
net = Network(before, after, plastic, spikes['before'], spikes['after'], record, cells)
net.run(60*ms)
"""

ARITHMETIC = """
spikes, states = {}, {}
cells = NeuronGroup(9, '''dx/dt = (floor(2.5*sin(t/ms)) + (i % 3) - (i - 4) % 3 + i//2 - (4 - i)//2)/(10*ms) : 1
                           dy/dt = (abs(x) - clip(x, -1, 1) + i/2 + 1/2 + 3//2)/(10*ms) : 1
                           dz/dt = (int(x > y or not y > 1) - sign(x - 1)*int(y < x and x < 2*y))/(5*ms) : 1
                           dq/dt = (exp(-y/5) + log(1 + y) + sqrt(1 + y) + tanh(x) + arctan(y) + expm1(-y) + exprel(x/3) + ceil(x) - q)/(10*ms) : 1
                           r = x**2 + 2**y - x*y + 3.0 % 2 + log10(2 + y) : 1
                           k : integer
                           f : boolean''', method='euler')
cells.x = '-3 + i*0.75'
cells.y = '1 + (i//3) % 2 + 0.5*(i - 5)/2'
cells.k = 'i**2 - 7'
cells.k['i % 2 == 1'] = 'k//2'
cells.f = 'x > 0 and k % 3 == 1'
cells.y[3:5] = 0.25
cells.x['f'] = '10 + k'
cells.z = 'int(x) + int(f)*2 + int(k/4)'
record = StateMonitor(cells, ['x', 'y', 'z', 'q', 'r', 'k'], record=True)
states = {name: (record, name) for name in ('x', 'y', 'z', 'q', 'r', 'k')}
net = Network(cells, record)
net.run(6*ms)
"""

COUPLED = """
cells = NeuronGroup(3, '''dv/dt = (g + h - v)/(9*ms) : 1
                           dg/dt = (h - g)/(4*ms) : 1
                           dh/dt = -h/(3*ms) : 1''', threshold='v > 0.35', reset='v = 0', method='exact')
cells.h = '2 + i'
cells.v, cells.g = 0.1, '0.2*i'
turned = NeuronGroup(2, '''dx/dt = -x/(8*ms) + y*Hz*omega + 3*Hz : 1
                            dy/dt = -x*Hz*omega : 1
                            omega : 1 (constant)''', method='exact')
turned.omega = '10 + 20*i'
turned.x = 1
spikes = {'cells': SpikeMonitor(cells)}
record, other = StateMonitor(cells, ['v', 'g', 'h'], record=True), StateMonitor(turned, ['x', 'y'], record=True)
states = {'v': (record, 'v'), 'g': (record, 'g'), 'h': (record, 'h'), 'x': (other, 'x'), 'y': (other, 'y')}
net = Network(cells, turned, spikes['cells'], record, other)
net.run(50*ms)
"""

SCHEDULE = """
def build(label, schedule):
    source = SpikeGeneratorGroup(2, [0, 1, 0, 1, 0], [0, 0.3, 0.6, 0.7, 1.5]*ms, period=3*ms, name=label + '_source')
    cells = NeuronGroup(2, '''dv/dt = -v/(2*ms) : 1
                               last_t : second''', threshold='v > 0.9', reset='''v -= 0.75
                                                                               last_t = t''', method='exact', name=label + '_cells')
    add = Synapses(source, cells, on_pre='v_post += 0.6', name=label + '_b_add')
    add.connect()
    scale = Synapses(source, cells, on_pre='v_post *= 0.5', name=label + '_a_scale')
    scale.connect('i == j')
    halve = Synapses(source, cells, on_pre='v_post = v_post/2 + 0.3', name=label + '_c_set', delay=0.1*ms)
    halve.connect(i=[0, 1], j=[1, 0])
    halve.pre.order = -2
    back = Synapses(cells, cells, on_pre='v_pre += 0.1*(j - i)', name=label + '_back')
    back.connect('i != j')
    monitor = SpikeMonitor(cells, name=label + '_spikes')
    records = {when: StateMonitor(cells, ['v', 'last_t'], record=True, when=when, name=label + '_' + when)
               for when in ('start', 'after_groups', 'before_synapses', 'after_thresholds', 'resets', 'end')}
    net = Network(source, cells, add, scale, halve, back, monitor, records)
    if schedule:
        net.schedule = schedule
    net.run(10*ms)
    return monitor, records


spikes, states = {}, {}
for label, schedule in (('usual', None), ('other', ['start', 'synapses', 'groups', 'thresholds', 'resets', 'end']),
                        ('late', ['start', 'thresholds', 'groups', 'resets', 'synapses', 'end'])):
    spikes[label], records = build(label, schedule)
    states |= {label + '_' + when + '_' + name: (record, name) for when, record in records.items() for name in ('v', 'last_t')}
"""

DURATIONS = """
source = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2, 2], [0.3, 0.7, 0.95, 1.1, 1.4, 2.3, 2.9]*ms)
cells = NeuronGroup(3, '''dv/dt = 1/ms : 1
                           s : second''', threshold='v > 0.55', reset='v = 0; s = t', method='euler')
path = Synapses(source, cells, on_pre='v_post += 0.1*(t/ms)')
path.connect('i == j')
path.delay = '0.35*ms*(1 + i)'
spikes = {'source': SpikeMonitor(source), 'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['v', 's'], record=True)
states = {'v': (record, 'v'), 's': (record, 's')}
net = Network(source, cells, path, spikes['source'], spikes['cells'], record)
for duration in (0.3, 0.7, 0.05, 0.26, 0, 1.1, 0.14, 0.1, 0.449):
    net.run(duration*ms)
"""

STORE = """
source = SpikeGeneratorGroup(2, [0, 1, 0], [0.1, 0.8, 0.9]*ms)
cells = NeuronGroup(2, 'dv/dt = (2 - v)/ms : 1 (unless refractory)', threshold='v > 0.55', reset='v = 0', refractory=0.5*ms, method='euler')
path = Synapses(source, cells, 'w : 1', on_pre='v_post += w', delay=0.5*ms)
path.connect()
path.w = '0.1*(1 + i)'
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, 'v', record=True)
states = {'v': (record, 'v')}
net = Network(source, cells, path, spikes['cells'], record)
net.run(1*ms)
net.store()
cells.v = '0.1*i'
net.run(0.6*ms)
net.restore()
path.w = 0.3
net.run(1.5*ms)
"""

MULTIPLE = """
before = SpikeGeneratorGroup(4, [0, 1, 2, 3, 1], [0, 0, 0.2, 0.5, 1.1]*ms)
after = NeuronGroup(3, 'v : 1')
many = Synapses(before, after, '''w : 1
                                  k : 1''', on_pre='''h = w*(1 + v_post)
                                                    k += h
                                                    v_post = 0.9*v_post + h''')
many.connect('i != j', n=2)
many.connect(i=[3, 0, 3], j=[2, 0, 1])
many.connect(i=2, j=[1, 2, 2])
many.w = '0.01*(1 + i + 10*j)'
many.w['i == 1'] = '2*w'
many.w[3, :] = 0.5
many.delay = '0.1*(j % 2)*ms'
record, cells = StateMonitor(many, ['k', 'w'], record=True), StateMonitor(after, 'v', record=True)
spikes = {}
states = {'k': (record, 'k'), 'w': (record, 'w'), 'v': (cells, 'v')}
net = Network(before, after, many, record, cells)
net.run(2*ms)
"""

GUARDS = """
source = SpikeGeneratorGroup(2, np.arange(40) % 2, np.arange(40)*0.25*ms)
cells = NeuronGroup(3, '''dv/dt = (0.4 - v)/(3*ms) : 1 (unless refractory)
                           dg/dt = -g/(2*ms) : 1 (unless refractory)
                           lock : boolean
                           n : integer''', threshold='v + g > 1', reset='''v = -0.2
                                                                         g *= 0.5
                                                                         n += 1''', refractory='lock or (t - lastspike) < (0.5 + 0.3*i)*ms', method='euler')
cells.lock = 'i == 2'
path = Synapses(source, cells, 'w : 1', on_pre='''v_post += w
                                                 g_post = g_post + 0.5*w
                                                 w = 0.95*w + 0.01*int(not_refractory_post)''', on_post='v_post -= 0.05', delay={'pre': 0.2*ms})
path.connect()
path.w = '0.3 + 0.1*i'
free = NeuronGroup(2, 'dv/dt = 0.5/ms : 1', threshold='v > 0.3', reset='', refractory=0.4*ms, method='euler')
never = NeuronGroup(2, 'dv/dt = 0.5/ms : 1 (unless refractory)', threshold='v > 0.3', reset='v = 0', refractory='i*0.3*ms', method='heun')
spikes = {'cells': SpikeMonitor(cells), 'free': SpikeMonitor(free), 'never': SpikeMonitor(never)}
record, weights = StateMonitor(cells, ['v', 'g', 'n'], record=True), StateMonitor(path, 'w', record=True)
states = {'v': (record, 'v'), 'g': (record, 'g'), 'n': (record, 'n'), 'w': (weights, 'w')}
net = Network(source, cells, path, free, never, *spikes.values(), record, weights)
net.run(11*ms)
"""

CODES = """
cells = NeuronGroup(5, '''dv/dt = (1.4 + drive - v)/(7*ms) : 1 (unless refractory)
                          drive : 1
                          old : 1
                          seen : integer
                          big : boolean
                          gain : 1 (shared)
                          rounds : integer (shared)
                          noise = 0.1*sin(40*v + i) + 0.01*now : 1 (constant over dt)
                          now = t/ms : 1 (shared, constant over dt)
                          ref : second''',
                    threshold='v > 1', reset='v = 0.2*old', refractory='ref', method='euler',
                    events={'high': 'v > 0.8', 'odd': 'rounds % 3 == 0 and big'})
cells.ref = '(0.2 + 0.4*i)*ms'
cells.gain = 1
cells.run_regularly('''before = gain
                       rounds += 1
                       gain = 1 + 0.001*rounds
                       kick = 0.002*gain*before
                       old = 0.5*v
                       v += kick*(1 + i)
                       drive = noise*gain
                       big = v > 0.5''')
cells.run_regularly('v *= 0.999; seen = seen + int(big)', when='after_groups')
cells.run_regularly('drive += 0.01', order=-1, name='first')
cells.run_regularly('drive *= 1.01', dt=0.3*ms, order=2)
cells.run_on_event('high', 'seen += 10; v += 0.01')
cells.run_on_event('odd', 'drive -= 0.1', when='end', order=3)
cells.set_event_schedule('odd', when='after_synapses')
part = cells[1:3]
part.run_regularly('v += 0.001*i')
others = NeuronGroup(3, 'count : integer', name='others')
tell = Synapses(cells, others, 'w : integer', on_pre={'spiked': 'count_post += 1', 'was_high': 'count_post += w'},
                on_event={'was_high': 'high'}, delay={'was_high': 0.3*ms})
tell.connect(True)
tell.w = '10*(1 + i)'
tell.run_regularly('w += 1', dt=1*ms)
spikes = {'cells': SpikeMonitor(cells)}
record = StateMonitor(cells, ['v', 'drive', 'seen', 'big', 'noise'], record=True)
shared = StateMonitor(cells, ['gain', 'now'], record=0)
counts = StateMonitor(others, 'count', record=True)
states = {name: (record, name) for name in ['v', 'drive', 'seen', 'big', 'noise']}
states |= {name: (shared, name) for name in ['gain', 'now']}
states['count'] = (counts, 'count')
net = Network(cells, others, tell, spikes['cells'], record, shared, counts)
net.run(20*ms)
"""

SYNAPTIC_EQUATIONS = """
before = SpikeGeneratorGroup(3, [0, 1, 2, 0, 1, 2, 0, 0, 1], [1, 2, 3, 10, 10.2, 10.4, 15, 16, 17]*ms, period=20*ms)
after = NeuronGroup(4, '''dv/dt = (1.1 + 0.1*i + current + 0.1*gap - v)/(9*ms) : 1
                          current : 1
                          gap : 1''', threshold='v > 1', reset='v = 0', method='euler')
mixed = Synapses(before, after, '''w : 1
                                    dmark/dt = -mark/(20*ms) : 1 (event-driven)
                                    dslow/dt = (goal - slow)/(35*ms) : 1 (event-driven)
                                    goal = 0.5*w : 1
                                    dg/dt = (x - g)/(4*ms) : 1 (clock-driven)
                                    dx/dt = -x*(1 + v_post)/(3*ms) : 1 (clock-driven)
                                    arrivals : integer
                                    seen_at : second
                                    current_post = 0.05*w*g : 1 (summed)''',
                 on_pre='''seen_at = lastupdate
                           x += 1
                           mark += 0.1
                           arrivals += 1
                           w = clip(w - 0.05*slow, 0, 2)''',
                 on_post='''slow -= 0.1*mark
                            w = clip(w + mark, 0, 2)''', method='rk4')
mixed.connect()
mixed.w = '0.5 + 0.1*i + 0.2*j'
mixed.delay = '(0.1 + 0.3*i + 0.2*j)*ms'
mixed.post.delay = '0.2*j*ms'
junctions = Synapses(after, after, '''conductance : 1
                                      gap_post = conductance*(v_pre - v_post) : 1 (summed)''')
junctions.connect(condition='abs(i - j) == 1')
junctions.conductance = '0.5 + 0.1*i'
spikes = {'after': SpikeMonitor(after)}
record = StateMonitor(mixed, ['w', 'mark', 'slow', 'g', 'x', 'arrivals', 'lastupdate', 'seen_at'], record=True)
cells = StateMonitor(after, ['v', 'current', 'gap'], record=True)
states = {name: (record, name) for name in ['w', 'mark', 'slow', 'g', 'x', 'arrivals', 'lastupdate', 'seen_at']}
states |= {name: (cells, name) for name in ['v', 'current', 'gap']}
net = Network(before, after, mixed, junctions, spikes['after'], record, cells)
net.run(45*ms)
"""

NETWORKS = {
    "arithmetic": ARITHMETIC,
    "coupled": COUPLED,
    "schedule": SCHEDULE,
    "durations": DURATIONS,
    "multiple": MULTIPLE,
    "store": STORE,
    "guards": GUARDS,
    "adex": ADEX,
    "coba": COBA,
    "traces": TRACES,
    "lif_delays": LIF_DELAYS,
    "two_pathways": TWO_PATHWAYS,
    "stdp": STDP,
    "cuba": CUBA,
    "hodgkin_huxley": HODGKIN_HUXLEY,
    "izhikevich": IZHIKEVICH,
    "integrators": INTEGRATORS,
    "refractoriness": REFRACTORINESS,
    "chain": CHAIN,
    "codes": CODES,
    "synaptic_equations": SYNAPTIC_EQUATIONS,
}


def execute(text: str, names: dict[str, Any]) -> dict[str, np.ndarray]:
    """Run a network's text among `names`; spikes as neuron and step number, states in SI units."""
    space = {**names, "np": np, "__name__": "oracle_network"}
    clock = names["defaultclock"]
    try:
        exec(text, space)  # the texts of this file
        return _results(space)
    finally:
        clock.dt = 0.1 * names["ms"]


def _results(space: dict[str, Any]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for name, monitor in space["spikes"].items():
        steps = np.rint(np.asarray(monitor.t) / np.asarray(monitor.source.clock.dt_).item()).astype(np.int32)
        neurons = np.asarray(monitor.i).astype(np.int32)
        order = np.lexsort((neurons, steps))
        found[f"spikes_{name}"] = np.stack([neurons[order], steps[order]])
    for name, (monitor, variable) in space["states"].items():
        found[f"state_{name}"] = np.asarray(getattr(monitor, variable), dtype=np.float64)
    return found
