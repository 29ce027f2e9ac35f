"""Running a network: inputs and connections, runs in pieces, magic, stopping, reports, changes of dt, and what goes wrong."""

from __future__ import annotations

import _thread
import logging
import signal
import threading
from collections.abc import Callable

import numpy as np
import pytest
from networks import DT, SIMULATORS

from brianlike.objects import live_objects
from brianlike.only import *


@pytest.fixture(autouse=True, params=SIMULATORS)
def engine(request):
    """Every test here runs on both simulators."""
    start_scope()
    prefs.codegen.target = request.param
    yield request.param
    prefs.reset_to_defaults()
    defaultclock.dt = 0.1 * ms
    defaultclock.timestep = 0


def ramp(n: int = 1, **more: object) -> NeuronGroup:
    """Neurons whose v grows by 1 every millisecond."""
    return NeuronGroup(n, "dv/dt = 1/ms : 1", method="euler", **more)


# ------------------------------------------------------------------------------------------------------------------------------------------ inputs
def test_poisson_spikes_have_their_rates(engine: str) -> None:
    seed(4)
    rates = np.repeat([0, 50, 500, 10_000], 50) * Hz
    P, counts = PoissonGroup(200, rates), []
    M = SpikeMonitor(P)
    net = Network(P, M)
    for _ in range(2):
        net.run(200 * ms)
        counts.append(M.count.reshape(4, 50).sum(1) - sum(counts))
    for count in counts:
        expected = np.array([0, 500, 5000, 100_000])  # 50 neurons, 2000 steps, p = rate*dt; the last one spikes in every step
        assert np.all(np.abs(count - expected) <= 5 * np.sqrt(expected * np.array([0, 1, 1, 0])))
    assert not np.array_equal(*counts)  # fresh numbers in every run


def test_poisson_spikes_are_the_same_on_every_engine_and_again_after_a_seed(engine: str) -> None:
    trains = []
    for target in (engine, *SIMULATORS):
        prefs.codegen.target = target
        seed(7)
        P = PoissonGroup(40, "(20 + 10*i)*Hz*(1 + sin(2*pi*t/(20*ms)))", name="poisson")
        M = SpikeMonitor(P, name="spikes")
        Network(P, M).run(50 * ms)
        trains.append((M.i.tolist(), M.t_.tolist()))
    assert trains[0] == trains[1] == trains[2] and len(trains[0][0]) > 200


def test_poisson_spikes_reach_their_target_in_the_same_step(engine: str) -> None:
    # rates*dt = 1: a spike in every step; v at the end of step n is n + 1. Spikes of slot 'end' are seen by the synapses of the next step only.
    for when, delay, values in (("thresholds", 0, [1, 2, 3]), ("thresholds", 1, [0, 1, 2]), ("end", 0, [0, 1, 2]), ("end", 1, [0, 0, 1])):
        P, G = PoissonGroup(1, 10 * kHz, when=when), NeuronGroup(1, "v : 1")
        S = Synapses(P, G, on_pre="v_post += 1", delay=delay * DT * second)
        S.connect()
        M = StateMonitor(G, "v", record=True, when="after_end")
        Network(P, G, S, M).run(3 * DT * second)
        assert M.v[0].tolist() == values


def test_generated_spikes_repeat_with_their_period(engine: str) -> None:
    P = SpikeGeneratorGroup(2, [0, 1, 0], [0, 0.35, 0.7] * ms, period=1 * ms)
    M = SpikeMonitor(P)
    net = Network(P, M)
    for duration in (0.2, 0.1, 0.5, 2.2):
        net.run(duration * ms)
    # 0.35 ms is in step 3
    assert np.rint(M.t_ / DT).astype(int).tolist() == [0, 3, 7, 10, 13, 17, 20, 23, 27]
    assert M.i.tolist() == [0, 1, 0] * 3
    P.set_spikes([1], [3.5] * ms)
    net.run(1 * ms)
    assert M.i.tolist()[9:] == [1] and M.t_[9] == pytest.approx(3.5e-3)


CONNECTIONS: dict[str, tuple[dict[str, object], list[tuple[int, int]]]] = {
    "all": ({}, [(i, j) for i in range(3) for j in range(4)]),
    "condition": ({"condition": "i == j or (i + j) % 5 == limit"}, [(0, 0), (0, 3), (1, 1), (1, 2), (2, 1), (2, 2)]),
    "condition on variables": ({"condition": "x_pre < y_post"}, [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]),
    "p of 0": ({"p": 0}, []),
    "p as text": ({"p": "int(j == 2)"}, [(0, 2), (1, 2), (2, 2)]),
    "i and j": ({"i": [2, 0, 2], "j": [1, 3, 1]}, [(2, 1), (0, 3), (2, 1)]),
    "one i": ({"i": 1, "j": [0, 3]}, [(1, 0), (1, 3)]),
    "several a pair": ({"condition": "i == 0 and j < 2", "n": 2}, [(0, 0), (0, 0), (0, 1), (0, 1)]),
}


@pytest.mark.parametrize("how", CONNECTIONS)
def test_spikes_arrive_along_the_connections(engine: str, how: str) -> None:
    rule, pairs = CONNECTIONS[how]
    limit = 3
    A, B = NeuronGroup(3, "x : 1\nv : 1", threshold="v > 1", reset="v = 0"), NeuronGroup(4, "y : 1\nv : 1")
    A.x, A.v, B.y = "i", 2, "i"
    S = Synapses(A, B, "w : 1", on_pre="v_post += w")
    S.connect(**rule)
    S.w = "10**i*(j + 1)"
    assert list(zip(S.i[:].tolist(), S.j[:].tolist())) == pairs and limit == 3
    Network(A, B, S).run(DT * second)
    expected = np.zeros(4)
    for i, j in pairs:
        expected[j] += 10.0**i * (j + 1)
    assert B.v[:].tolist() == expected.tolist()


def test_a_probability_connects_that_part(engine: str) -> None:
    seed(1)
    A = NeuronGroup(100, "v : 1", threshold="v > 1", reset="v = 0")
    A.v = 2
    S = Synapses(A, A, on_pre="v_post += 1")
    S.connect("i != j", p=0.3)
    assert abs(len(S) - 0.3 * 9900) < 5 * np.sqrt(9900 * 0.21) and not np.any(S.i[:] == S.j[:])
    net = Network(A, S)
    net.run(DT * second)
    assert A.v[:].tolist() == [0] * 100  # all of it came before the reset
    S2 = Synapses(A, NeuronGroup(1, "v : 1", name="listener"), on_pre="v_post += 1")
    S2.connect()
    A.v = 2
    net.remove(S)
    net.add(S2, S2.target)
    net.run(DT * second)
    assert S2.target.v[0] == 100


# -------------------------------------------------------------------------------------------------------------------------------------- in pieces
def oscillators() -> tuple[Network, NeuronGroup, Synapses]:
    """Coupled neurons with delays of 1 to 3.9 ms."""
    G = NeuronGroup(
        20, "dv/dt = (k*scale - v)/(10*ms) : 1 (unless refractory)\nk : 1", threshold="v > 1", reset="v = 0", refractory=1 * ms, method="exact", name="cells"
    )
    G.k = "1.1 + i*0.03"
    S = Synapses(G, G, "w : 1", on_pre="v_post += w", name="coupling")
    S.connect("i != j and (3*i + 5*j) % 3 == 0")
    S.w, S.delay = "0.02*(i % 3)", "(1 + (i + j) % 30*0.1)*ms"
    return Network(G, S, SpikeMonitor(G, name="spikes"), StateMonitor(G, "v", record=True, name="values")), G, S


def _nothing(net: Network) -> None:
    return


def _write(net: Network) -> None:
    net["coupling"].w = net["coupling"].w[:]
    net["coupling"].delay = net["coupling"].delay[:]
    net["cells"].k = net["cells"].k[:]


def _add_monitor(net: Network) -> None:
    net.add(StateMonitor(net["cells"], "k", record=[1]))


def _add_group(net: Network) -> None:
    net.add(NeuronGroup(3, "x : 1", threshold="x > 1"))


def _other_engine(net: Network) -> None:
    prefs.codegen.target = "cython" if prefs.codegen.target == "numpy" else "numpy"


def _other_threads(net: Network) -> None:
    prefs.core.threads = 3 - prefs.core.threads


def _finer_and_back(net: Network) -> None:
    defaultclock.dt = 0.05 * ms
    defaultclock.dt = 0.1 * ms


def _run_another(net: Network) -> None:
    Network(ramp()).run(0.7 * ms)


BETWEEN = [_nothing, _write, _add_monitor, _add_group, _other_engine, _other_threads, _finer_and_back, _run_another]


@pytest.mark.parametrize("between", BETWEEN)
def test_runs_in_pieces_are_one_run(engine: str, between: Callable[[Network], None]) -> None:
    scale = 1.0
    whole = oscillators()[0]
    whole.run(40 * ms)
    parts = oscillators()[0]
    for duration in (3.3, 0, 0.1, 15, 21.6):
        parts.run(duration * ms)
        between(parts)
    assert parts.t == whole.t and scale == 1.0 and whole["spikes"].num_spikes > 50
    assert np.array_equal(parts["spikes"].i, whole["spikes"].i) and np.allclose(parts["spikes"].t_, whole["spikes"].t_, rtol=0, atol=1e-12)
    if between is _other_engine:
        np.testing.assert_allclose(parts["values"].v, whole["values"].v, rtol=0, atol=1e-12)
    else:
        assert np.array_equal(parts["values"].v, whole["values"].v)


def test_constants_are_read_at_every_run(engine: str) -> None:
    source = InputGroup(1)
    source.set_spikes([0], [0.9] * ms)
    G = NeuronGroup(1, "dv/dt = a/ms : 1", method="euler")
    S = Synapses(source, G, on_pre="v_post += b", delay=1 * ms)
    S.connect()
    net = Network(source, G, S)
    a, b = 1, 0
    net.run(1 * ms)
    assert G.v[0] == pytest.approx(1)
    a, b = 2, 100  # the spike on its way arrives at 1.9 ms, with the b of then
    net.run(1 * ms)
    assert G.v[0] == pytest.approx(103)
    net.run(1 * ms, namespace={"a": -1, "b": 0})
    assert G.v[0] == pytest.approx(102)
    a = 1 * mV
    with pytest.raises(ModelError, match="dv/dt"):
        net.run(1 * ms)
    del a, b
    with pytest.raises(ModelError, match="`a` is not known"):
        net.run(1 * ms)
    assert net.t == 3 * ms and G.v[0] == pytest.approx(102)


def test_what_is_switched_off_does_nothing(engine: str) -> None:
    A = NeuronGroup(1, "dv/dt = 10*kHz : 1", threshold="v > 0.5", reset="v = 0", method="euler")
    B = NeuronGroup(1, "v : 1\nu : 1")
    S = Synapses(A, B, on_pre={"first": "v_post += 1", "second": "u_post += 1"})
    S.connect()
    M, N = SpikeMonitor(A), SpikeMonitor(A)
    net = Network(A, B, S, M, N)
    S.second.active = False
    N.active = False
    net.run(3 * DT * second)
    assert (B.v[0], B.u[0], M.num_spikes, N.num_spikes) == (3, 0, 3, 0)
    S.second.active, S.first.active = True, False
    net.run(2 * DT * second)
    assert (B.v[0], B.u[0], M.num_spikes) == (3, 2, 5)
    A.active = False
    net.run(2 * DT * second)
    assert (A.v[0], B.v[0], B.u[0], M.num_spikes) == (0, 3, 2, 5)
    A.active, S.active, N.active = True, False, True
    net.run(2 * DT * second)
    assert (B.v[0], B.u[0], M.num_spikes, N.num_spikes) == (3, 2, 7, 2)


# ------------------------------------------------------------------------------------------------------------------------------------ changes of dt
def test_time_goes_on_with_another_dt(engine: str) -> None:
    G = NeuronGroup(1, "dv/dt = 1/ms : 1", threshold="v > 0.55", refractory=1.5 * ms, method="euler")
    M, V = SpikeMonitor(G), StateMonitor(G, "v", record=True)
    source = InputGroup(1)
    source.set_spikes([0], [0.8] * ms)
    H = NeuronGroup(1, "v : 1")
    S = Synapses(source, H, on_pre="v_post += 1", delay=1 * ms)
    S.connect()
    W = StateMonitor(H, "v", record=True, when="end")
    net = Network(G, M, V, source, H, S, W)
    net.run(1 * ms)
    assert float(G.lastspike_[0]) == pytest.approx(0.5e-3)
    defaultclock.dt = 0.05 * ms
    assert net.t == 1 * ms and G.t == 1 * ms and float(G.lastspike_[0]) == pytest.approx(0.5e-3)
    net.run(1.5 * ms)
    assert float(net.t_) == pytest.approx(2.5e-3) and len(V.t) == 10 + 30 and G.v[0] == pytest.approx(2.5)
    # the first spike is at 0.5 ms (v = 0.6), the next one 1.5 ms later; the input of 0.8 ms arrives at 1.8 ms
    assert np.allclose(M.t_, [0.5e-3, 2.0e-3], rtol=0, atol=1e-9)
    assert W.t_[np.flatnonzero(W.v[0])[0]] == pytest.approx(1.8e-3)
    assert np.allclose(V.t_, [*np.arange(10) * 1e-4, *(1e-3 + np.arange(30) * 5e-5)], rtol=0, atol=1e-12)


def test_a_dt_that_does_not_fit_the_time_is_refused(engine: str) -> None:
    G = ramp()
    net = Network(G)
    net.run(1 * ms)
    defaultclock.dt = 0.3 * ms
    with pytest.raises(ValueError, match=r"time 0.001 s is no multiple of the step of 'defaultclock' \(0.0003 s\); choose a dt that divides it"):
        net.run(1 * ms)
    defaultclock.dt = 0.5 * ms
    net.run(1 * ms)
    assert net.t == 2 * ms and G.v[0] == pytest.approx(2)


def test_networks_keep_their_own_time(engine: str) -> None:
    A, B = ramp(), NeuronGroup(1, "x = t/ms : 1")
    M = StateMonitor(B, "x", record=True)
    first, second_ = Network(A), Network(B, M)
    first.run(1 * ms)
    second_.run(0.3 * ms)
    assert first.t == 1 * ms and second_.t_ == pytest.approx(3e-4) and np.allclose(M.x[0], [0, 0.1, 0.2])
    first.run(1 * ms)
    assert A.v[0] == pytest.approx(2) and A.t == 2 * ms


# -------------------------------------------------------------------------------------------------------------------------------- magic, stop, report
def test_run_finds_objects_in_variables(engine: str) -> None:
    G = ramp()
    run(1 * ms)
    M = StateMonitor(G, "v", record=True)  # monitors may come later
    run(1 * ms)
    assert G.v[0] == pytest.approx(2) and magic_network.t == 2 * ms and M.v.shape == (1, 10)
    H = ramp(name="newcomer")
    with pytest.raises(MagicError, match=r"'newcomer' is new while .* has already run.* Call start_scope\(\)"):
        run(1 * ms)
    del H
    run(1 * ms)
    assert G.v[0] == pytest.approx(3)
    start_scope()
    assert not collect()
    H = ramp()
    assert collect() == {H}
    run(1 * ms)
    assert magic_network.t == 1 * ms and H.v[0] == pytest.approx(1) and G.v[0] == pytest.approx(3)


def test_an_object_has_one_network(engine: str) -> None:
    G = ramp(name="taken")
    Network(G).run(1 * ms)
    with pytest.raises(RuntimeError, match="'taken' has already run in another network"):
        Network(G).run(1 * ms)
    with pytest.raises(RuntimeError, match="'taken' has already run in another network"):
        run(1 * ms)


def test_what_run_does_not_find_switches_off_what_needs_it(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    G = ramp(name="seen")
    M = StateMonitor(ramp(name="hidden"), "v", record=True, name="watching")
    with caplog.at_level("WARNING", logger="brianlike"):
        run(1 * ms)
    assert "'watching' is switched off: it needs 'hidden', which is not among your variables" in caplog.text
    assert not M.active and G.v[0] == pytest.approx(1) and M.N == 0


def test_objects_that_are_let_go_are_gone_when_a_new_simulation_begins(engine: str) -> None:
    def trial() -> str:
        G = ramp(name="passing*")
        run(1 * ms)
        return G.name

    gone = trial()
    H = ramp()
    run(1 * ms)
    assert gone not in {item.name for item in live_objects()} and H.v[0] == pytest.approx(1)


def test_every_function_has_a_magic_network_of_its_own(engine: str) -> None:
    def trial() -> tuple[float, float]:
        G = NeuronGroup(1, "dv/dt = rate : 1", threshold="v > 9", method="euler")
        S = Synapses(G, G, on_pre="v_post += 1")
        S.connect()
        rate = 1 / ms
        run(1 * ms)
        del rate
        return float(G.v[0]), float(magic_network.t_)

    assert trial() == trial() == (pytest.approx(1), pytest.approx(1e-3))


def test_lists_are_not_seen_by_run(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    groups = [ramp(), ramp()]
    with caplog.at_level("WARNING", logger="brianlike"):
        run(1 * ms)
    assert groups[0].v[0] == 0 and "nothing is simulated" in caplog.text
    net = Network(groups, {"more": ramp()})
    net.run(1 * ms)
    assert len(net) == 3 and all(item.v[0] == pytest.approx(1) for item in net)


@pytest.mark.parametrize("how", ["stop()", "net.stop()"])
def test_a_report_can_stop_the_run(engine: str, how: str) -> None:
    G = ramp()
    net = Network(G)
    seen: list[float] = []

    def report(elapsed: float, completed: float, start: object, duration: object) -> None:
        assert start == 0 * ms and duration == 10 * second
        seen.append(completed)
        if completed > 0:
            stop() if how == "stop()" else net.stop()

    net.run(10 * second, report=report, report_period=0 * ms)
    stopped = net.t_
    assert len(seen) == 2 and seen[0] == 0 and 0 < stopped < 1 and seen[1] == pytest.approx(stopped / 10)
    assert G.v[0] == pytest.approx(stopped * 1000) and float(G.t / second) == pytest.approx(stopped)
    net.run(1 * ms)
    assert net.t_ == pytest.approx(stopped + 1e-3)


def test_an_error_in_a_report_leaves_a_network_that_goes_on(engine: str) -> None:
    G = ramp()
    M = StateMonitor(G, "v", record=True)
    net = Network(G, M)

    def report(elapsed: float, completed: float, start: object, duration: object) -> None:
        if completed > 0:
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        net.run(10 * second, report=report, report_period=0 * ms)
    done = round(net.t_ / DT)
    assert 0 < done < 10_000 and G.v[0] == pytest.approx(done / 10)
    net.run(1 * ms)
    assert M.v[0] == pytest.approx(np.arange(done + 10) / 10)


def test_an_interrupted_run_can_be_continued(engine: str) -> None:
    G = NeuronGroup(10, "n : integer\nalways = t >= 0*ms : boolean", threshold="always", reset="n += 1")
    M = StateMonitor(G, "n", record=[3])
    net = Network(G, M)
    net.run(1 * ms)  # compiles
    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        net.run(10_000 * second)
    done = round(net.t_ / DT)
    assert done > 10 and set(G.n[:].tolist()) == {done} and len(M.t) == done  # whole steps only
    net.run(1 * ms)
    assert set(G.n[:].tolist()) == {done + 10} and np.array_equal(M.n[0], np.arange(done + 10))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_networks_run_in_threads(engine: str) -> None:
    groups = [ramp(name=f"cells_{n}") for n in range(2)]
    threads = [threading.Thread(target=Network(group).run, args=(5 * ms,), kwargs={"namespace": {}}) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(group.v[0] == pytest.approx(5) for group in groups)


def test_reports_as_text(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    net = Network(ramp())
    net.run(20 * ms, report="text", report_period=0 * ms)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Simulating 20. ms from t = 0. second"
    assert lines[-1].startswith("20. ms simulated (100%) in 0.")
    assert all("simulated (" in line and "s to go" in line for line in lines[1:-1])
    net.run(20 * ms, report="stdout")
    assert capsys.readouterr().out.splitlines()[0] == "Simulating 20. ms from t = 20. ms"


def test_reports_as_a_bar(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    Network(ramp()).run(20 * ms, report="tqdm")
    shown = capsys.readouterr().err
    assert "simulating" in shown and "100%" in shown


# --------------------------------------------------------------------------------------------------------------------------------------------- errors
def _waiting_for_spikes() -> Network:
    A = NeuronGroup(1, "v : 1", name="silent")
    S = Synapses(A, A, on_pre="v_post += 1", name="S")
    S.connect()
    return Network(A, S)


def _monitor_of_silence() -> Network:
    A = NeuronGroup(1, "v : 1", name="silent")
    return Network(A, SpikeMonitor(A, name="M"))


def _without_source() -> Network:
    A, B = NeuronGroup(1, "v : 1", threshold="v > 1", name="A"), NeuronGroup(1, "v : 1", name="B")
    S = Synapses(A, B, on_pre="v_post += 1", name="S")
    S.connect()
    return Network(B, S)


def _unconnected() -> Network:
    A = NeuronGroup(1, "v : 1", threshold="v > 1", name="A")
    return Network(A, Synapses(A, A, on_pre="v_post += 1", name="S"))


WRONG: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "negative duration": (lambda: Network(ramp()).run(-1 * ms), ValueError, "a run cannot last -1. * ms: the duration must not be negative"),
    "no unit": (lambda: Network(ramp()).run(1), DimensionMismatchError, "the duration of a run must be a time such as 0.1*ms, not 1 (no unit)"),
    "not a time": (lambda: Network(ramp()).run(1 * mV), DimensionMismatchError, "the duration of a run must be a time such as 0.1*ms, not 1. mV (volt)"),
    "report of a wrong type": (
        lambda: Network(ramp()).run(1 * ms, report=3), TypeError, "report must be 'text', 'stdout', 'stderr', 'tqdm', a function or None, not 3"),
    "unknown report": (
        lambda: Network(ramp()).run(1 * ms, report="loud"), ValueError, "report must be 'text', 'stdout', 'stderr', 'tqdm', a function or None, not 'loud'"),
    "missing source": (lambda: _without_source().run(1 * ms), ValueError, "'S' needs 'A', which is not in the network; add it"),
    "not connected": (lambda: _unconnected().run(1 * ms), TypeError, "'S' has no synapses yet: call S.connect(...) first"),
    "no threshold": (
        lambda: _waiting_for_spikes().run(1 * ms), ValueError, "pathway 'pre' of 'S' waits for spikes of 'silent', which has no threshold; give it one"),
    "nothing to record": (lambda: _monitor_of_silence().run(1 * ms), ValueError, "'silent' has no event 'spike' to record; give it a threshold"),
    "two of one name": (
        lambda: Network(ramp(name="a"), ramp(name="a")), ValueError, "two objects of a network cannot both be called 'a'; give one of them another name="),
    "not an object": (lambda: Network(3), TypeError, "a network holds groups, synapses and monitors (or lists of them), not 3"),
    "two precisions": (
        lambda: Network(ramp(dtype=np.float32), ramp()).run(1 * ms),
        TypeError,
        "all objects of a network must have one float type; this one mixes float32 and float64",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_run_is_refused(engine: str, what: str) -> None:
    action, kind, message = WRONG[what]
    with pytest.raises(kind) as caught:
        action()
    assert type(caught.value) is kind and str(caught.value) == message


def test_a_refused_network_still_runs_when_it_is_put_right(engine: str) -> None:
    net = _without_source()
    with pytest.raises(ValueError, match="needs 'A'"):
        net.run(1 * ms)
    net.add(net["S"].source)
    net["S"].source.v = 2
    net.run(0.3 * ms)
    assert net["B"].v[0] == 3 and net.t_ == pytest.approx(3e-4)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_no_numbers_any_more(engine: str, dtype: type, caplog: pytest.LogCaptureFixture) -> None:
    prefs.core.default_float_dtype = dtype
    G = NeuronGroup(3, "dv/dt = v**2/ms : 1", method="euler", name="cells")
    G.v = [0, 50, 0]
    net = Network(G)
    with caplog.at_level(logging.WARNING, logger="brianlike"):
        net.run(3 * ms)
    assert [r.message for r in caplog.records] == ["cells.v of neuron 1 is inf at t = 0.003 s (1 of 3 values); a smaller dt or another method= often helps"]
    prefs.core.on_invalid = "raise"
    with pytest.raises(FloatingPointError, match="cells.v of neuron 1 is inf at t = 0.004 s"):
        net.run(1 * ms)


def test_values_beyond_all_meaning_are_said_too(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    G = NeuronGroup(2, "v : 1", threshold="v > 1e60", name="cells")
    S = Synapses(G, G, "dw/dt = w/ms : 1 (clock-driven)", name="links", method="euler")
    S.connect("i == j")
    S.w = [1, 1e50]
    with caplog.at_level(logging.WARNING, logger="brianlike"):
        Network(G, S).run(1 * ms)
    assert any("links.w of synapse 1 is 2.59" in r.message for r in caplog.records)


def test_nothing_to_do(engine: str) -> None:
    G = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0")
    G.v = 2
    S = Synapses(G, G, on_pre="v_post += 1")
    S.connect("i > j + 5")
    M = StateMonitor(G, "v", record=[])
    net = Network(G, S, M)
    net.run(0 * ms)
    assert net.t == 0 * ms and G.v[:].tolist() == [2, 2]
    net.run(1 * ms)
    assert len(S) == 0 and M.v.shape == (0, 10) and G.v[:].tolist() == [0, 0]


def test_what_reads_events_before_a_step_has_found_them_sees_those_of_the_step_before() -> None:
    """As in Brian, where events stay until the next threshold: v = 1, 2, 3 > 2.5 is found in step 2, and acted on in step 3."""
    cells = NeuronGroup(1, "dv/dt = 1/(0.1*ms) : 1", threshold="v > 2.5", reset="v = 0", method="euler", name="cells")
    late, usual = SpikeMonitor(cells, when="start"), SpikeMonitor(cells)
    values = StateMonitor(cells, "v", record=0, when="end")
    network = Network(cells, late, usual, values)
    network.schedule = ["start", "resets", "groups", "thresholds", "synapses", "end"]
    network.run(0.5 * ms)
    network.run(0.3 * ms)  # also across two runs
    np.testing.assert_allclose(values.v[0], [1, 2, 3, 1, 2, 3, 1, 2])
    np.testing.assert_allclose(usual.t_ / 1e-4, [2, 5])
    np.testing.assert_allclose(late.t_ / 1e-4, [3, 6])
