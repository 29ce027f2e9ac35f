"""Monitors of every kind, as one script for Brian 2 and for us: `python tests/monitor_scenarios.py brian2` prints the rows
of oracle/monitors.json.

Every scenario takes the package and returns numbers, in SI units.
"""

import importlib
import json
import sys

import numpy as np


def _plain(values):
    """Nested lists of numbers with nine digits."""
    values = np.asarray(values, dtype=float)
    return [_plain(row) for row in values] if values.ndim else float(f"{values:.9g}") if abs(values) > 1e-12 else 0.0


def _neurons(b, **options):
    group = b.NeuronGroup(
        3,
        """dv/dt = 1/ms : 1 (unless refractory)
        n : 1 (shared)
        k : integer
        s = v*n + t/ms : 1
        x = 2*n : 1 (shared)
        age = t - lastspike : second""",
        threshold="v > 0.25",
        reset="v = 0",
        refractory=0.2 * b.ms,
        method="euler",
        events={"high": "v > 0.15"},
        **options,
    )
    group.n, group.v, group.k = 3, "i*0.1", "i"
    return group


def values_of_every_kind(b):
    group = _neurons(b, order=2)
    names = ["v", "n", "lastspike", "not_refractory", "i", "s", "x", "k", "age"]
    some, all_of_them = b.StateMonitor(group, names, record=[0, 2]), b.StateMonitor(group, ["n", "x"], record=True)
    parts = b.StateMonitor(group[1:], ["v", "s"], record=[1]), b.StateMonitor(group[1:], "v", record=group[2:])
    late = b.StateMonitor(group, ["v", "s", "lastspike"], record=1, when="end", order=-1, dt=0.2 * b.ms)
    net = b.Network(group, some, all_of_them, *parts, late)
    net.run(0.5 * b.ms)
    net.run(0.5 * b.ms)
    rows = [_plain(getattr(some, name)) for name in names] + [_plain(some.t), _plain(all_of_them.n), _plain(all_of_them.x)]
    rows += [_plain(getattr(parts[0], name)) for name in ("v", "s")] + [_plain(parts[1].v), _plain(parts[0].record), _plain(parts[1].record)]
    rows += [_plain(getattr(late, name)) for name in ("v", "s", "lastspike", "t")]
    rows += [_plain(some[2].s), _plain(some[[0, 2]].k), _plain(some.v_[1]), _plain(all_of_them[group[1:]].n)]
    some.record_single_timestep()
    late.record_single_timestep()
    return [*rows, _plain(some.t), *(_plain(getattr(some, name)) for name in names), _plain(late.t), _plain(late.s)]


def spikes_and_what_they_carry(b):
    group = _neurons(b, order=-3)
    names = ["v", "n", "s", "lastspike", "not_refractory", "k", "x"]
    spikes, few = b.SpikeMonitor(group, names), b.SpikeMonitor(group[1:], "v")
    counter, early, last = b.SpikeMonitor(group, record=False), b.SpikeMonitor(group, when="start"), b.SpikeMonitor(group, "v", when="end")
    net = b.Network(group, spikes, few, counter, early, last)
    net.run(1.2 * b.ms)
    rows = [_plain(getattr(spikes, name)[:]) for name in [*names, "i", "t", "count"]]
    rows += [_plain(few.v[:]), _plain(few.i[:]), _plain(few.t[:]), _plain(few.count[:]), [_plain(train) for train in few.spike_trains().values()]]
    rows += [_plain(counter.count[:]), int(counter.num_spikes), len(spikes), _plain(early.i[:]), _plain(early.t[:]), _plain(last.v[:])]
    rows += [[_plain(values) for values in spikes.values("s").values()], sorted(spikes.all_values()), [_plain(v) for v in spikes.all_values()["k"].values()]]
    return [*rows, sorted(spikes.get_states()), sorted(counter.get_states()), spikes.when, spikes.order, last.order, sorted(spikes.record_variables)]


def events_of_its_own(b):
    group = _neurons(b)
    high, part = b.EventMonitor(group, "high", ["v", "s"]), b.EventMonitor(group[2:], "high", record=False)
    spike = b.EventMonitor(group, "spike", "v")
    b.Network(group, high, part, spike).run(1 * b.ms)
    rows = [_plain(high.i[:]), _plain(high.t[:]), _plain(high.v[:]), _plain(high.s[:]), _plain(part.count[:]), _plain(spike.v[:]), len(part)]
    return [*rows, [_plain(train) for train in high.event_trains().values()], high.when, high.order, spike.when]


def rates_of_populations(b):
    group = _neurons(b)
    slow = b.NeuronGroup(2, "dv/dt = (i + 1)/ms : 1", threshold="v > 0.9", reset="v = 0", method="euler", dt=0.25 * b.ms)
    all_of_it, part, other = b.PopulationRateMonitor(group), b.PopulationRateMonitor(group[1:]), b.PopulationRateMonitor(slow)
    net = b.Network(group, slow, all_of_it, part, other)
    net.run(1 * b.ms)
    net.run(0.5 * b.ms)
    rows = [_plain(m.rate) for m in (all_of_it, part, other)] + [_plain(m.t) for m in (all_of_it, part, other)]
    rows += [_plain(all_of_it.smooth_rate("flat", 0.25 * b.ms)), _plain(all_of_it.smooth_rate("flat", width=0.3 * b.ms))]
    rows += [_plain(all_of_it.smooth_rate(width=0.1 * b.ms)), _plain(other.smooth_rate("gaussian", 0.3 * b.ms))]
    return [*rows, _plain(all_of_it.smooth_rate(np.array([1, 2, 1]))), all_of_it.when, all_of_it.order, all_of_it.name]


def synapses_and_their_parts(b):
    source = b.SpikeGeneratorGroup(3, [0, 1, 2, 0], [0.1, 0.2, 0.2, 0.5] * b.ms)
    target = b.NeuronGroup(2, "v : 1")
    synapses = b.Synapses(source, target, "w : 1\nc : 1 (shared)\nboth = w + c : 1", on_pre="v_post += w\nw += 1")
    synapses.connect()
    synapses.w, synapses.c = "i + 10*j", 7
    full = b.StateMonitor(synapses, ["w", "c", "both"], record=True)
    some = b.StateMonitor(synapses, "w", record=synapses[1:, 0])
    one = b.StateMonitor(synapses, "w", record=[3, 1], dt=0.2 * b.ms, when="end")
    b.Network(source, target, synapses, full, some, one).run(0.7 * b.ms)
    rows = [_plain(full.w), _plain(full.c), _plain(full.both), _plain(some.w), _plain(some.record), _plain(one.w), _plain(one.t), _plain(one[1].w)]
    return [*rows, _plain(full[synapses[2, 1]].w), _plain(full[[1, 4]].w)]


SCENARIOS = [values_of_every_kind, spikes_and_what_they_carry, events_of_its_own, rates_of_populations, synapses_and_their_parts]

if __name__ == "__main__":
    package = importlib.import_module(sys.argv[1])
    package.prefs.codegen.target = "numpy"
    for scenario in SCENARIOS:
        package.start_scope()
        package.defaultclock.dt = 0.1 * package.ms
        sys.stdout.write(f'    "{scenario.__name__}": {json.dumps(scenario(package))},\n')
