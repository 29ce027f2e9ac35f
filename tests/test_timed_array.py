"""TimedArray: the same values as in Brian, in every place where a function can stand, on both engines."""

# ruff: noqa: F841  (the texts of models use the names)
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from brianlike import *
from brianlike.only import TimedArray
from codegen.errors import IntegrationError, ModelError

BRIAN = [tuple(row) for row in json.loads((Path(__file__).parent / "oracle" / "results" / "timed_array.json").read_text())]
ENGINES = pytest.mark.parametrize("target", ["numpy", "cython"])


@ENGINES
def test_rounding_is_that_of_brian(target):
    """81 pairs of dt, most of them not multiples of each other; at the beginning and in the middle of each step."""
    prefs.codegen.target = target
    by_dt: dict[float, list] = {}
    for row in BRIAN:
        by_dt.setdefault(row[0], []).append(row)
    for group_dt, rows in by_dt.items():
        arrays = {f"values_{n}": TimedArray(np.arange(30.0), dt=row[1] * ms) for n, row in enumerate(rows)}
        moments = {"x": "t", "y": "t + dt/2"}
        text = "\n".join(f"v_{n} = values_{n}({moments[row[2]]}) : 1" for n, row in enumerate(rows))
        defaultclock.dt = group_dt * ms
        G = NeuronGroup(1, text, namespace=arrays)
        M = StateMonitor(G, True, record=True)
        Network(G, M).run(150 * group_dt * ms)
        for n, (_, array_dt, name, changes, first) in enumerate(rows):
            wanted = first + np.searchsorted(changes, np.arange(150), side="right")
            np.testing.assert_array_equal(getattr(M, f"v_{n}")[0], wanted, err_msg=f"dt {group_dt} ms, array {array_dt} ms, {name}")


@pytest.mark.parametrize("dt", [1e-4, 3e-5, 1e-3, 7e-5])
@pytest.mark.parametrize("multiple", [1, 3, 10, 64])
def test_whole_multiples_change_exactly_on_time(dt, multiple):
    """The value of row k holds from step k*multiple on, for as long as 30 s of simulated time."""
    array = TimedArray(np.arange(10.0), dt=dt * multiple * second)
    G = NeuronGroup(1, "x = array(k*dt) : 1\nk : 1", dt=dt * second, namespace={"array": array})
    for row in range(1, 10):
        for step, wanted in ((row * multiple, row), (row * multiple - 1, row - 1)):
            G.k = step
            assert G.x[0] == wanted
    long = TimedArray(np.arange(int(30 / dt / multiple) + 2.0), dt=dt * multiple * second)
    G = NeuronGroup(1, "x = long(k*dt) : 1\nk : 1", dt=dt * second, namespace={"long": long})
    for row in np.random.default_rng(1).integers(1, len(long.values) - 1, 50):
        G.k = row * multiple
        assert G.x[0] == row


@ENGINES
def test_two_axes(target):
    """Row by time, column by neuron; clamped in time, NaN in columns that do not exist."""
    prefs.codegen.target = target
    defaultclock.dt = 1 * ms
    rates = TimedArray([[1, 2, 3], [4, 5, 6]] * Hz, dt=2 * ms)
    G = NeuronGroup(4, "r = rates(t, i) : Hz\nback = rates(t, 2 - i) : Hz")
    M = StateMonitor(G, ["r", "back"], record=True)
    Network(G, M).run(5 * ms)
    row = [0, 0, 1, 1, 1]
    wanted = np.array([[1, 2, 3, np.nan], [4, 5, 6, np.nan]])[row].T
    np.testing.assert_array_equal(M.r / Hz, wanted)
    np.testing.assert_array_equal(M.back / Hz, np.array([[3, 2, 1, np.nan], [6, 5, 4, np.nan]])[row].T)


@ENGINES
def test_everywhere_in_a_network(target):
    """Equations, threshold, reset, rates, run_regularly, synaptic code, connect, and text assignment."""
    prefs.codegen.target = target
    defaultclock.dt = 1 * ms
    drive = TimedArray([0, 1, 2, 3, 4] * mV / ms, dt=1 * ms)
    limit = TimedArray([100, 100, 1, 100, 100] * mV, dt=1 * ms)
    level = TimedArray([0.5, 1.5, 2.5] * mV, dt=1 * ms)
    on = TimedArray([0, 0, 1000, 0] * Hz, dt=1 * ms)
    number = TimedArray([1, 2, 3], dt=1 * ms)
    G = NeuronGroup(1, "dv/dt = drive(t) : volt\nw : 1", threshold="v > limit(t)", reset="v = level(t)", method="euler")
    G.run_regularly("w = number(t)")
    P = PoissonGroup(1, "on(t)")
    H = NeuronGroup(1, "n : 1")
    S = Synapses(P, H, on_pre="n_post += number(t)")
    S.connect("number(0*ms) == 1")
    K = NeuronGroup(2, "x : 1")
    K.x = "number(i*ms)"
    M = StateMonitor(G, ["v", "w"], record=0)
    spikes = SpikeMonitor(P)
    Network(G, P, H, S, M, spikes).run(5 * ms)
    np.testing.assert_allclose(M.v[0] / mV, [0, 0, 1, 2.5, 5.5])
    np.testing.assert_array_equal(M.w[0], [1, 2, 3, 3, 3])
    np.testing.assert_array_equal(spikes.t / ms, [2])
    assert H.n[0] == 3
    np.testing.assert_array_equal(K.x, [1, 2])


def test_a_call_from_python_has_units():
    current = TimedArray([1, 2, 3] * nA, dt=1 * ms)
    assert current(0.5 * ms) == 1 * nA and current(1 * ms) == 2 * nA
    np.testing.assert_array_equal(current([-1, 2.5, 99] * ms) / nA, [1, 3, 3])
    grid = TimedArray([[1, 2], [3, 4]], dt=1 * ms)
    np.testing.assert_array_equal(grid(1 * ms, [0, 1, 2, -1]), [3, 4, np.nan, np.nan])
    with pytest.raises(DimensionMismatchError, match="must be a time"):
        current(3)
    with pytest.raises(TypeError, match="is a function of the time and a column"):
        grid(1 * ms)
    np.testing.assert_allclose(current.values, [1e-9, 2e-9, 3e-9])
    assert current.dt == 1e-3 and current.dim == get_dimensions(amp)


@ENGINES
def test_new_values_hold_from_the_next_run_on(target):
    prefs.codegen.target = target
    defaultclock.dt = 1 * ms
    G = NeuronGroup(1, "x : 1")
    G.run_regularly("x = stimulus(t)")
    net = Network(G)
    for values in ([1, 2, 3], [4, 5, 6], [7, 8, 9, 10]):
        stimulus = TimedArray(values, dt=1 * ms)
        net.run(1 * ms)
        assert G.x[0] == values[min(len(values) - 1, round(net.t / ms) - 1)]


@ENGINES
def test_exact_takes_what_is_constant_over_a_step(target):
    """An array whose dt is a multiple of the group's; the solution is that of pieces of constant input."""
    prefs.codegen.target = target
    defaultclock.dt = 0.5 * ms
    I = TimedArray([0, 1, -1, 2], dt=1 * ms)  # noqa: E741
    G = NeuronGroup(1, "dv/dt = (I(t) - v)/(3*ms) : 1", method="exact")
    M = StateMonitor(G, "v", record=0)
    Network(G, M).run(4 * ms)
    v, wanted = 0.0, []
    for step in range(8):
        wanted.append(v)
        v = I.values[step // 2] + (v - I.values[step // 2]) * np.exp(-0.5 / 3)
    np.testing.assert_allclose(M.v[0], wanted, rtol=1e-13)


@pytest.mark.parametrize("text", ["finer(t)", "odd(t)", "fine(2*t)", "fine(t) + t/ms"])
def test_exact_refuses_what_changes_during_a_step(text):
    defaultclock.dt = 0.5 * ms
    arrays = {"fine": TimedArray([0, 1], dt=1 * ms), "finer": TimedArray([0, 1], dt=0.25 * ms), "odd": TimedArray([0, 1], dt=0.75 * ms)}
    G = NeuronGroup(1, f"dv/dt = ({text} - v)/(3*ms) : 1", method="exact", namespace=arrays)
    with pytest.raises(IntegrationError, match="constant over a step"):
        Network(G).run(1 * ms)
    assert arrays["fine"].is_locally_constant(0.5 * ms) and not arrays["odd"].is_locally_constant(0.5 * ms)


def test_refuses_what_cannot_be_a_table():
    with pytest.raises(NotImplementedError, match=r"not the shape \(\)"):
        TimedArray(3, dt=1 * ms)
    with pytest.raises(ValueError, match="at least one value"):
        TimedArray([], dt=1 * ms)
    with pytest.raises(ValueError, match="must be positive"):
        TimedArray([1], dt=-1 * ms)
    with pytest.raises(DimensionMismatchError, match="must be a time such as"):
        TimedArray([1], dt=1)
    I = TimedArray([1, 2] * nA, dt=1 * ms)  # noqa: E741
    for text, message in {
        "x = I(i) : amp": "`I` takes second, but `i` is a plain number",
        "x = I(t, i) : amp": "`I` takes 1 argument, not 2",
        "x = I(t) : volt": "`x` is volt, but gets amp",
    }.items():
        with pytest.raises(ModelError, match=message.replace("(", r"\(").replace(")", r"\)")):
            Network(NeuronGroup(1, text, namespace={"I": I})).run(1 * ms)


def test_in_a_module():
    """brianlike.nn looks values up as the simulator does."""
    torch = pytest.importorskip("torch")
    import brianlike.nn as bnn

    defaultclock.dt = 1 * ms
    drive = TimedArray([[1, 2], [3, 4]] / ms, dt=1 * ms)
    inputs = InputGroup(1)
    G = NeuronGroup(2, "dv/dt = drive(t, i) : 1", method="euler")
    model = bnn.NetworkModule(Network(inputs, G), record={"v": (G, "v")}, dtype=torch.float64)
    with torch.no_grad():
        v = model(torch.zeros(3, 1)).v.numpy()
    np.testing.assert_allclose(v, [[1, 2], [4, 6], [7, 10]])
