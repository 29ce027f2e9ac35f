"""Devices: scripts for Brian's standalone mode run here, and their runs can be repeated with other values."""

import numpy as np
import pytest

import brianlike.devices
from brianlike import (
    Hz,
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeMonitor,
    StateMonitor,
    TimedArray,
    device,
    get_device,
    ms,
    mV,
    prefs,
    run,
    seed,
    set_device,
    start_scope,
)
from brianlike.devices import all_devices, reinit_and_delete, reinit_devices, reset_device
from brianlike.units import DimensionMismatchError


@pytest.fixture(autouse=True, params=["numpy", "cython"])
def standalone(request):
    prefs.codegen.target = request.param
    start_scope()
    set_device("cpp_standalone", directory=None, build_on_run=False)
    yield
    reinit_devices()
    reset_device("runtime")


def leaky(number=3):
    return NeuronGroup(number, "dv/dt = (x - v)/tau : 1\ntau : second\nx : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells*")


def test_the_device_in_use():
    assert get_device() is all_devices["cpp_standalone"] and repr(device) == "<device 'cpp_standalone'>" and set(all_devices) == {"runtime", "cpp_standalone"}
    set_device("runtime")
    assert device.name == "runtime"
    reset_device()
    assert device.name == "cpp_standalone"
    with pytest.raises(KeyError, match="there is no device 'cuda_standalone'"):
        set_device("cuda_standalone")
    device.delete(force=True), device.apply_run_args(), device.activate(build_on_run=False), device.seed(3)
    reinit_and_delete()


def test_runs_are_repeated_with_other_values():
    G = leaky()
    G.tau, G.x = 10 * ms, [0.5, 2, 3]
    M, S = SpikeMonitor(G), StateMonitor(G, "v", record=True)
    assert not device.has_been_run
    run(50 * ms)
    first, counts, trace = M.num_spikes, M.count[:].tolist(), S.v[:].copy()
    assert device.has_been_run and device._last_run_time > 0 and device._last_run_completed_fraction == 1 and first > 0
    device.build(directory="output", compile=True)
    device.run(run_args={G.x: 0, G.tau: 5 * ms})
    assert M.num_spikes == 0 and len(S.t) == 500 and (G.tau[:] == 5 * ms).all() and (S.v[:] == 0).all()
    device.run(run_args=[f"{G.name}.x=2.5", f"--{G.name}.tau=0.01"])
    assert len(set(M.count[:])) == 1 and (G.x[:] == 2.5).all()
    device.run()
    assert M.count[:].tolist() == counts and (S.v[:] == trace).all() and G.t == 50 * ms
    device.build(run_args={G.x: 0})
    assert M.num_spikes == 0


def test_what_happens_between_runs_is_repeated():
    seed(5)
    P = PoissonGroup(20, 100 * Hz)
    M = SpikeMonitor(P)
    net = Network(P, M)
    net.run(20 * ms)
    P.rates = 300 * Hz
    net.run(20 * ms)
    times = M.t[:].copy()
    device.run()
    np.testing.assert_array_equal(M.t[:], times)
    assert net.t == 40 * ms and len(np.asarray(times)) > 20
    device.run(run_args={P.rates: np.where(np.arange(20) < 10, 0, 100) * Hz})
    assert (M.i[M.t < 20 * ms] >= 10).all() and (M.i[:] < 10).any()


def test_without_a_seed_random_numbers_are_new():
    seed()
    P = PoissonGroup(20, 500 * Hz)
    M = SpikeMonitor(P)
    run(20 * ms)
    times = np.asarray(M.t[:]).tolist()
    device.run()
    assert np.asarray(M.t[:]).tolist() != times


def test_several_simulations_in_one_script():
    for tau in (5 * ms, 10 * ms):
        device.reinit()
        device.activate()
        start_scope()
        G = leaky(1)
        G.tau, G.x = tau, 1
        run(tau)
        value = G.v[0]
        device.run(run_args={G.x: 0.5})
        assert G.v[0] == pytest.approx(0.5 * value)


def test_wrong_use():
    G = leaky(2)
    with pytest.raises(RuntimeError, match="there has been none"):
        device.run()
    G.tau = 10 * ms
    run(1 * ms)
    with pytest.raises(DimensionMismatchError, match="run_args"):
        device.run(run_args={G.tau: 5 * mV})
    with pytest.raises(TypeError, match=r"run_args: 'x' has shape \(2,\), but the values given have shape \(3,\)"):
        device.run(run_args={G.x: [1, 2, 3]})
    with pytest.raises(ValueError, match="no network that ran has a variable 'nothing.v'"):
        device.run(run_args=["nothing.v=3"])
    with pytest.raises(ValueError, match="'three' is not a number"):
        device.run(run_args=[f"{G.name}.x=three"])
    with pytest.raises(TypeError, match="the keys of run_args are variables"):
        device.run(run_args={"v": 3})
    with pytest.raises(NotImplementedError, match="additional_source_files"):
        device.build(additional_source_files=["a.cpp"])
    for refused in (lambda: device.insert_code("main", "x"), lambda: device.run_function("f"), lambda: device.code_object()):
        with pytest.raises(NotImplementedError, match=r"^device\."):
            refused()
    device.activate(build_on_run=True)
    with pytest.raises(RuntimeError, match=r"device.build\(\) is for set_device\(..., build_on_run=False\)"):
        device.build()
    assert G.v[0] == 0 and isinstance(device.array_cache, dict)


def test_other_devices_do_not_repeat():
    set_device("runtime")
    G = leaky(1)
    G.tau = 10 * ms
    run(1 * ms)
    device.build()
    assert device.has_been_run
    with pytest.raises(NotImplementedError, match="set_device"):
        device.run()
    reset_device()
    assert brianlike.devices.get_device() is all_devices["cpp_standalone"]


def test_values_of_timed_arrays_can_be_replaced():
    stimulus = TimedArray([1, 2, 3] * mV, dt=1 * ms)
    G = NeuronGroup(1, "v = stimulus(t) : volt")
    S = StateMonitor(G, "v", record=0)
    run(3 * ms)
    assert S.v_[0][::10].tolist() == pytest.approx([0.001, 0.002, 0.003])
    device.run(run_args={stimulus: [4, 5, 6] * mV})
    assert S.v_[0][::10].tolist() == pytest.approx([0.004, 0.005, 0.006])
    assert (stimulus.values == [0.001, 0.002, 0.003]).all()
    device.run()
    assert S.v_[0][::10].tolist() == pytest.approx([0.001, 0.002, 0.003])
    device.run(run_args={stimulus: 7 * mV})
    assert S.v_[0].tolist() == pytest.approx([0.007] * 30)
    with pytest.raises(TypeError, match="need the unit and the shape"):
        device.run(run_args={stimulus: [4, 5] * mV})
