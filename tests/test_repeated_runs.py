"""Runs after the first use the compiled network again, and still see everything that has changed."""

from __future__ import annotations

import numpy as np
import pytest

from brianlike.only import *


@pytest.fixture(params=["numpy", "cython"], autouse=True)
def backend(request):
    before = prefs.codegen.target
    prefs.codegen.target = request.param
    yield
    prefs.codegen.target = before


def network(**names):
    source = SpikeGeneratorGroup(1, np.zeros(6, int), [0, 1, 2, 3, 4, 5] * ms)
    cells = NeuronGroup(2, "dv/dt = gain*Hz : 1", method="euler", namespace=names or None)
    path = Synapses(source, cells, "w : 1", on_pre="v_post += w", delay=0.2 * ms)
    path.connect(j=0, i=0)
    path.w = 1
    record = StateMonitor(cells, "v", record=True)
    return Network(source, cells, path, record), cells, path, record


def engine_of(net):
    return net._engine


def test_the_engine_is_kept_and_constants_are_read_again():
    net, cells, _, _ = network()
    net.run(1 * ms, namespace={"gain": 0.0})
    first = engine_of(net)
    net.run(1 * ms, namespace={"gain": 1000.0})
    assert engine_of(net) is first
    np.testing.assert_allclose(cells.v[1], 1.0)


def test_a_constant_of_another_unit_is_checked_again():
    net, *_ = network()
    net.run(1 * ms, namespace={"gain": 1.0})
    with pytest.raises(ModelError):
        net.run(1 * ms, namespace={"gain": 1 * mV})
    with pytest.raises(ModelError, match="gain"):
        net.run(1 * ms, namespace={})
    net.run(1 * ms, namespace={"gain": 1.0})


def test_new_delays_weights_and_synapses_count():
    net, cells, path, record = network(gain=0.0)
    net.run(1 * ms)
    first = engine_of(net)
    path.w = 2
    net.run(1 * ms)
    assert engine_of(net) is first
    path.pre.delay = 0.5 * ms
    net.run(1 * ms)
    assert engine_of(net) is not first
    path.connect(i=0, j=1)
    path.w = 1
    net.run(1 * ms)
    arrivals = np.flatnonzero(np.diff(record.v[0])) + 1
    np.testing.assert_array_equal(arrivals, [3, 13, 26, 36])
    np.testing.assert_allclose(cells.v, [1 + 2 + 2 + 1, 1])


def test_inactive_objects_and_another_schedule_count():
    net, cells, path, _ = network(gain=0.0)
    net.run(1 * ms)
    path.active = False
    net.run(1 * ms)
    np.testing.assert_allclose(cells.v, [1, 0])
    path.active = True
    net.schedule = ["start", "synapses", "groups", "thresholds", "resets", "end"]
    net.run(1 * ms)
    np.testing.assert_allclose(cells.v, [2, 0])
