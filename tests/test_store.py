"""store() and restore(): everything that a run changes comes back, in memory and from files, on both engines."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from networks import SIMULATORS

from brianlike import *


@pytest.fixture(params=SIMULATORS)
def engine(request: pytest.FixtureRequest):
    prefs.codegen.target = request.param
    yield request.param
    prefs.reset_to_defaults()


def network(name: str = "") -> Network:
    """Spikes under way with several delays, refractory neurons, plastic weights, a generator with a period, records."""
    G = NeuronGroup(
        5, "dv/dt = (1.5 + 0.1*i - v)/(10*ms) : 1 (unless refractory)", threshold="v > 1", reset="v = 0", refractory=3 * ms, method="exact", name=f"cells{name}"
    )
    feed = SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 4] * ms, period=7 * ms, name=f"feed{name}")
    S = Synapses(feed, G, "w : 1", on_pre="v_post += w \n w += 0.01", name=f"links{name}")
    S.connect()
    S.w, S.delay = "0.1*(i + 1)", "(0.5 + i + 0.3*j)*ms"
    R = Synapses(G, G, on_pre="v_post -= 0.05", delay=4 * ms, name=f"inhibition{name}")
    R.connect("i != j")
    spikes, states = SpikeMonitor(G, name=f"spikes{name}"), StateMonitor(G, "v", record=[0, 3], name=f"states{name}")
    return Network(G, feed, S, R, spikes, states)


def everything(net: Network) -> dict[str, np.ndarray]:
    """All that users can see."""
    found = {}
    for item in net:
        found |= {f"{item.name}.{key}": values for key, values in item.snapshot().items()}
    return {**found, "t": np.array(net.t_)}


def assert_same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize("where", ["memory", "file"])
def test_a_run_goes_on_from_a_stored_state_as_it_did(engine: str, where: str, tmp_path: Path) -> None:
    filename = None if where == "memory" else tmp_path / "state"
    net = network()
    net.run(23.3 * ms)
    net.store(filename=filename)
    stored = everything(net)
    net.run(30 * ms)
    expected = everything(net)
    assert net["spikes"].num_spikes > len(stored["spikes.i"]) > 0
    net.restore(filename=filename)
    assert_same(everything(net), stored)
    assert net.t == 23.3 * ms and net["cells"].t == 23.3 * ms and net["cells"].clock.timestep == 233
    net.run(30 * ms)
    assert_same(everything(net), expected)


def test_a_file_serves_another_process_and_the_other_engine(engine: str, tmp_path: Path) -> None:
    net = network()
    net.run(23.3 * ms)
    net.store(filename=tmp_path / "state")
    net.run(30 * ms)
    expected = everything(net)
    other = "numpy" if engine == "cython" else "cython"
    del net
    prefs.codegen.target = other
    fresh = network()
    fresh.restore(filename=str(tmp_path / "state"))
    fresh.run(30 * ms)
    found = everything(fresh)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)


def test_several_states_in_one_file_and_the_order_of_synapses(engine: str, tmp_path: Path) -> None:
    net = network()
    S = net["links"]
    S.connect(i=[1, 0], j=[4, 4])
    S.w, S.delay = "i + 10*j", "0.1*(3 - i)*ms"
    before = (S.i[:].tolist(), S.j[:].tolist(), S.w[:].tolist(), S.delay_[:].tolist())
    net.store("first", tmp_path / "states")
    net.run(5 * ms)
    net.store("second", tmp_path / "states")
    S.connect(i=0, j=0)
    S.w = 7
    net.restore("first", tmp_path / "states")
    assert (S.i[:].tolist(), S.j[:].tolist(), S.w[:].tolist(), S.delay_[:].tolist()) == before and net.t == 0 * ms
    net.restore("second", tmp_path / "states")
    assert net.t == 5 * ms and S.w[:].tolist() != before[2]
    net.run(1 * ms)
    assert [path.name for path in tmp_path.iterdir()] == ["states"]


def test_trials_are_independent_unless_random_numbers_are_restored(engine: str) -> None:
    P = PoissonGroup(50, 200 * Hz, name="noise")
    M = SpikeMonitor(P, name="noise_spikes")
    net = Network(P, M)
    seed(5)
    net.store()

    def trial(again: bool) -> list[float]:
        net.restore(restore_random_state=again)
        net.run(20 * ms)
        return [*M.t_, *np.random.rand(3)]

    first, second, third = trial(False), trial(False), trial(True)
    assert first != second and trial(True) == third and first[-3:] != second[-3:]


def test_the_magic_network(engine: str) -> None:
    start_scope()
    G = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler")
    M = StateMonitor(G, "v", record=0)
    store()
    for _ in range(3):
        restore()
        run(1 * ms)
        assert M.v[0].round(9).tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] and magic_network.t == 1 * ms
    store("later")
    run(1 * ms)
    restore("later")
    assert G.v[0] == pytest.approx(1) and M.N == 10 and magic_network.t == 1 * ms


def test_a_changed_step_goes_back_too(engine: str) -> None:
    defaultclock.dt = 0.1 * ms
    G = NeuronGroup(1, "dv/dt = 1/ms : 1", method="euler")
    net = Network(G)
    net.run(1 * ms)
    net.store()
    defaultclock.dt = 0.5 * ms
    net.run(1 * ms)
    net.restore()
    assert defaultclock.dt == 0.1 * ms and G.clock.timestep == 10
    net.run(1 * ms)
    assert G.v[0] == pytest.approx(2)


def test_spikes_of_a_generator_go_back(engine: str) -> None:
    feed = SpikeGeneratorGroup(1, [0], [1] * ms)
    M = SpikeMonitor(feed)
    net = Network(feed, M)
    net.store()
    feed.set_spikes([0, 0], [2, 3] * ms)
    net.run(5 * ms)
    assert M.t_.round(9).tolist() == [0.002, 0.003]
    net.restore()
    net.run(5 * ms)
    assert M.t_.round(9).tolist() == [0.001]


# --------------------------------------------------------------------------------------------------------------------------------------------- errors
def test_what_does_not_fit_is_refused_and_changes_nothing(engine: str, tmp_path: Path) -> None:
    net = network()
    with pytest.raises(KeyError, match="there is no stored state 'default'; there is none"):
        net.restore()
    net.run(5 * ms)
    net.store(filename=tmp_path / "state")
    net.run(5 * ms)
    before = everything(net)
    with pytest.raises(KeyError, match="has no stored state 'other'; it has 'default'"):
        net.restore("other", tmp_path / "state")
    with pytest.raises(FileNotFoundError):
        net.restore(filename=tmp_path / "missing")
    extra = NeuronGroup(1, "v : 1", name="extra")
    net.add(extra)
    with pytest.raises(KeyError, match="has nothing for 'extra'"):
        net.restore(filename=tmp_path / "state")
    net.remove(extra, net["states"])
    with pytest.raises(KeyError, match="has more objects than the network: 'states'"):
        net.restore(filename=tmp_path / "state")
    assert_same(everything(net), {name: values for name, values in before.items() if not name.startswith("states.")})


@pytest.mark.parametrize("damage", ["text", "cut", "pickle"])
def test_files_that_are_none_are_refused(damage: str, tmp_path: Path) -> None:
    net, path = network(), tmp_path / "state"
    net.store(filename=path)
    if damage == "text":
        path.write_text("not a state")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        with zipfile.ZipFile(path) as archive:
            head = json.loads(archive.read("states.json"))
            members = {name: archive.read(name) for name in archive.namelist() if name != "states.json"}
        member = next(name for name, place in head["states"]["default"]["arrays"].items() if place == ["objects", "cells", "v"])
        with zipfile.ZipFile(path, "w") as archive, archive.open(f"{member}.npy", "w") as target:
            np.lib.format.write_array(target, np.array([print], dtype=object), allow_pickle=True)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("states.json", json.dumps(head))
            for name, values in members.items():
                if name != f"{member}.npy":
                    archive.writestr(name, values)
    content = path.read_bytes()
    with pytest.raises(ValueError):
        net.restore(filename=path)
    if damage != "pickle":
        with pytest.raises(ValueError, match="no file of stored states"):
            net.store("second", path)
    assert path.read_bytes() == content and [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, path = network(), tmp_path / "state"
    net.store(filename=path)
    content = path.read_bytes()

    def full(*arguments: object, **keywords: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="no space left"):
        net.store("second", path)
    assert path.read_bytes() == content and [p.name for p in tmp_path.iterdir()] == ["state"]


def test_not_in_the_middle_of_a_step(engine: str) -> None:
    net = Network(NeuronGroup(1, "v : 1"))
    caught = []

    @network_operation
    def inside() -> None:
        for action in (net.store, net.restore):
            with pytest.raises(RuntimeError, match="in the middle of a step"):
                action()
        caught.append(True)

    net.add(inside)
    net.run(0.1 * ms)
    assert caught
