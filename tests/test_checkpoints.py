"""Modules in files: what comes back is the same to the last bit, and what is damaged or foreign is refused."""

import json
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

import dynamics  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from trained_models import NEURONS, network  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.checkpoints import FORMAT, VERSION, _checksum  # noqa: E402
from brianlike.only import *  # noqa: E402
from codegen.errors import UnsupportedError  # noqa: E402


@pytest.fixture(autouse=True)
def clock_as_before():
    before = defaultclock.dt
    seed(3)
    yield
    defaultclock.dt = before


def read(path):
    with safe_open(path, framework="pt") as file:
        head = json.loads(file.metadata()[FORMAT])
        return head, json.loads(head["model"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write(path, data, tensors, **changes):
    """A file with a right checksum around wrong content."""
    text = json.dumps(data)
    head = {"version": VERSION, "sha256": _checksum(text, tensors), "model": text} | changes
    save_file(tensors, path, {FORMAT: json.dumps(head)})


def trained(module, inputs):
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    sum(value.square().sum() for value in module(**inputs)).backward()
    optimizer.step()
    return module


def assert_same(module, again, inputs):
    y, z = module(**inputs), again(**inputs)
    assert all(torch.equal(one, other) for one, other in zip(y, z)) and y._fields == z._fields
    grads = [torch.autograd.grad(sum(v.square().sum() for v in r), list(m.parameters()), allow_unused=True) for r, m in ((y, module), (z, again))]
    assert all(one is other is None or torch.equal(one, other) for one, other in zip(*grads))
    assert module.digest() == again.digest()


# ---------------------------------------------------------------------------------------------------------------------------------------- there and back
@pytest.mark.parametrize("name", NEURONS)
def test_the_zoo_comes_back(name, tmp_path):
    module, inputs = network(NEURONS[name])
    before = trained(module, inputs)
    module.save(tmp_path / "model")
    again = bnn.load(tmp_path / "model")
    assert_same(before, again, inputs)
    assert before(**inputs).spikes.sum() > 0
    bnn.save(again, tmp_path / "second")
    assert (tmp_path / "model").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("name", dynamics.MODELS)
def test_whatever_runs_inside_a_module_comes_back(name, tmp_path):
    module, _ = dynamics.build(name)
    x, seeds = dynamics.inputs(), {"seed": 4} if name in dynamics.NOISY else {}
    module.save(tmp_path / "model")
    again = bnn.load(tmp_path / "model")
    y, z = module(x, **seeds), again(x, **seeds)
    assert y.spikes.sum() > 0 and all(torch.equal(one, other) for one, other in zip(y, z)) and again.digest() == module.digest()


def everything():
    """A network with every kind of object, option and constraint."""
    defaultclock.dt = 0.5 * ms
    drive, gain = TimedArray([[0.1, 0.2], [0.0, 0.4], [0.3, 0.1]], dt=2 * ms), 1.5
    inputs, extra = InputGroup(3, name="inputs"), SpikeGeneratorGroup(2, [0, 1, 0], [1, 2, 4] * ms, name="extra", period=6 * ms)
    equations = """dv/dt = (g*I + drive(t, i % 2) - v)/tau + slow/tau : 1 (unless refractory)
                   dI/dt = -I/tau_s : 1
                   slow : 1 (linked)
                   b : 1
                   theta = 1 + b : 1
                   tau : second (constant)
                   g : 1 (shared)"""
    names = {"drive": drive, "tau_s": 5 * ms}
    cells = NeuronGroup(6, equations, threshold="v > theta", reset="v = 0; b += jump", refractory="1*ms + 0.1*ms*i", method="euler", name="cells",
                        namespace=names, events={"high": "I > 2"})  # fmt: skip
    lag = NeuronGroup(1, "dx/dt = (1 - x)/(20*ms) : 1", method="exact", name="lag")
    cells.slow = linked_var(lag, "x")
    cells.tau, cells.g, cells.b = "(10 + i)*ms", 1.1, 0.05
    feed = Synapses(inputs, cells, "w : 1", on_pre="I_post += gain*w", name="feed", delay=1 * ms)
    loop = Synapses(cells[:4], cells[2:], "w : 1\nk : 1", on_pre={"pre": "I_post += w", "more": "I_post += 0.1*k"}, on_post="I_pre += 0.01*w",
                    name="loop", multisynaptic_index="m")  # fmt: skip
    side = Synapses(extra, cells, "w : 1", on_pre="I_post += w", name="side")
    feed.connect()
    loop.connect(p=0.6, n=2)
    side.connect(j="i + 1")
    feed.w, loop.w, loop.k, side.w = "0.5 + rand()", "-0.1 - rand()", "rand()", 0.3
    loop.delay, loop.more.delay = "rand()*3*ms", "0.5*ms*i"
    loop.more.when, cells.resetter["spike"].when = "end", "after_resets"
    learn = [
        bnn.Learn(feed, "w", mask="i != j", bounds=(0, 3)),
        bnn.Learn(loop, "w", sign=-1, constrain="clamp", name="inhibition"),
        bnn.Learn(loop, "more.delay", share="source", bounds=(0 * ms, 8 * ms)),
        bnn.Learn(cells, "tau", unit=ms, share="i // 2", init="(12 + i)*ms", bounds=(2 * ms, None)),
        bnn.Learn(cells, "b", bounds=(None, 1)),
        bnn.Learn(cells, "v", init=0.25),
    ]
    net = Network(inputs, extra, cells, lag, feed, loop, side)
    net.schedule = ["start", "groups", "thresholds", "synapses", "resets", "end"]
    record = {"v": (cells, "v"), "spikes": cells, "n": bnn.Count(cells), "top": bnn.Max((cells, "I")), "margin": bnn.Margin(cells)}
    gradient = bnn.Surrogate(bnn.Triangle(), width=0.7, scale=0.3, detach_reset={"b"})
    names = {"jump": 0.02, "gain": gain}
    return bnn.NetworkModule(net, record, learn, gradient, batch_first=True, checkpoint=7, dtype=torch.float64, namespace=names, engine="torch")


def spikes(batch=2, steps=40):
    return {"inputs": (torch.rand(batch, steps, 3, generator=torch.Generator().manual_seed(1)) < 0.3).double()}


def test_every_part_of_a_module_comes_back(tmp_path):
    module = everything()
    trained(module, spikes())
    module.mask(module["feed"], "w")[1, 2] = False
    next(module.parameters()).requires_grad_(False)
    module.save(tmp_path / "model")
    again = bnn.load(tmp_path / "model")
    assert module(**spikes()).spikes.sum() > 5
    y, z = module(**spikes()), again(**spikes())
    assert all(torch.equal(one, other) for one, other in zip(y, z)) and again.digest() == module.digest()
    assert [p.requires_grad for p in again.parameters()] == [False] + [True] * 5 and again.checkpoint == 7 and again._choice.engine == "torch"
    names = [(name, tuple(p.shape), p.dtype) for name, p in module.named_parameters()]
    assert names == [(name, tuple(p.shape), p.dtype) for name, p in again.named_parameters()]
    cells, loop = again["cells"], again["loop"]
    with pytest.raises(KeyError, match="the module has no object 'none'; it has inputs, extra, cells, lag, feed, loop, side"):
        again["none"]
    assert isinstance(cells, NeuronGroup) and len(loop) == len(module["loop"])
    np.testing.assert_array_equal(loop.m, module["loop"].m)
    optimizers = [torch.optim.SGD([p for p in m.parameters() if p.requires_grad], lr=0.1) for m in (module, again)]
    for one, optimizer in zip((module, again), optimizers):  # constraints are kept, too
        one.zero_grad()
        one(**spikes()).v.sum().backward()
        optimizer.step()
        one.clamp_()
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), again.parameters()))
    again.write_back()
    assert (np.array(loop.w) <= 0).all() and np.array(cells.tau).min() > 0.002
    np.testing.assert_array_equal(again.simulate(**spikes()).spikes, again(**spikes()).spikes.detach())


def test_a_module_is_saved_as_it_was_made(tmp_path):
    """Not as the user's objects are now: a simulation may have changed them, and delays."""
    module = everything()
    loop, cells = module["loop"], module["cells"]
    expected = module(**spikes())
    loop.delay, loop.k, cells.I = 2 * ms, 5, 3
    module["side"].delay = 1 * ms  # there were none
    module.save(tmp_path / "model")
    assert torch.equal(bnn.load(tmp_path / "model")(**spikes()).v, expected.v)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_types_come_back(dtype, tmp_path):
    module = everything().to(dtype)
    module.save(tmp_path / "model")
    again = bnn.load(tmp_path / "model")
    assert {p.dtype for p in again.parameters()} == {dtype}
    assert torch.equal(again(**spikes()).v, module(**spikes()).v)


def test_weights_go_into_a_module_that_was_made_again(tmp_path):
    seed(3)
    module = trained(everything(), spikes())
    module.save(tmp_path / "model")
    seed(3)
    fresh = everything()
    assert not torch.equal(fresh(**spikes()).v, module(**spikes()).v)
    assert bnn.load(tmp_path / "model", into=fresh) is fresh
    assert torch.equal(fresh(**spikes()).v, module(**spikes()).v)
    net = torch.nn.Sequential(torch.nn.Linear(3, 2))
    bnn.save(net, tmp_path / "layers")
    other = torch.nn.Sequential(torch.nn.Linear(3, 2))
    bnn.load(tmp_path / "layers", into=other)
    assert torch.equal(other[0].weight, net[0].weight)
    with pytest.raises(bnn.CheckpointError, match=r"layers holds weights only: make the module, and load them with load\(path, into=module\)"):
        bnn.load(tmp_path / "layers")


# ------------------------------------------------------------------------------------------------------------------------------------- whom they belong to
def simple(n=3, tau=10, delay=1, w=0.5, dt=1, on_pre="v_post += w", constant=1.0, schedule=None, start=0.0, drive=(0.1, 0.2), rate=20):
    defaultclock.dt = dt * ms
    inputs, equations = InputGroup(2, name="inputs"), "dv/dt = (a + drive(t) - v)/tau : 1\ntau : second"
    cells = NeuronGroup(n, equations, threshold="v > 1", reset="v = 0", name="cells", method="euler")
    cells.tau, cells.v = tau * ms, start
    feed = Synapses(inputs, cells, "w : 1\nk : 1", on_pre=on_pre, name="feed")
    feed.connect()
    feed.w, feed.k, feed.delay = w, 2, delay * ms
    net = Network(inputs, cells, feed, PoissonInput(cells, "v", N=5, rate=rate * Hz, weight=0.01))
    if schedule:
        net.schedule = schedule
    names = {"a": constant, "drive": TimedArray(drive, dt=2 * ms)}
    return bnn.NetworkModule(net, {"v": (cells, "v")}, [bnn.Learn(feed, "w")], dtype=torch.float64, namespace=names)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tau": 11}, "tau of object1 (cells)"),
        ({"constant": 1.1}, "a of object1 (cells)"),
        ({"delay": 2}, "pre.delay of object2 (feed)"),
        ({"dt": 0.5}, "dt, object3 probability of object1 (cells), pre.delay of object2 (feed)"),
        ({"on_pre": "v_post += 2*w"}, "object2 (feed)"),
        ({"drive": [0.1, 0.3]}, "object1 drive of object1 (cells)"),
        ({"rate": 21}, "object3 probability of object1 (cells)"),
        ({"schedule": ["start", "groups", "synapses", "thresholds", "resets", "end"]}, "schedule"),
    ],
    ids=["parameter", "constant", "delay", "dt", "equations", "table", "PoissonInput", "schedule"],
)
def test_a_mismatch_is_named(change, text, tmp_path):
    module = simple()
    with pytest.raises(ValueError) as error:
        simple(**change).load_state_dict(module.state_dict())
    assert str(error.value) == f"these parameters belong to another network: it differs in {text}"
    simple(w=0.7, start=0.5).load_state_dict(module.state_dict())  # weights are what is loaded, and states are where it starts
    module.save(tmp_path / "model")
    with pytest.raises(bnn.CheckpointError, match="model does not fit the module: these parameters belong to another network"):
        bnn.load(tmp_path / "model", into=simple(**change))


def test_delays_that_are_zero_are_none():
    module, other = simple(delay=0), simple(delay=0.2)
    other.load_state_dict(module.state_dict())


# ------------------------------------------------------------------------------------------------------------------------------------------- bad files
def test_damage_is_found(tmp_path):
    simple().save(tmp_path / "model")
    content = (tmp_path / "model").read_bytes()
    length = int.from_bytes(content[:8], "little")
    places = [*range(0, len(content), 41), length + 7, length + 8, len(content) - 1]
    for place in places:
        broken = bytearray(content)
        broken[place] ^= 1
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(bnn.CheckpointError):
            bnn.load(tmp_path / "broken")
    for size in (0, 7, 100, length, len(content) - 1):
        (tmp_path / "broken").write_bytes(content[:size])
        with pytest.raises(bnn.CheckpointError, match="is damaged"):
            bnn.load(tmp_path / "broken")
    (tmp_path / "broken").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(bnn.CheckpointError, match="is damaged or no safetensors file"):
        bnn.load(tmp_path / "broken")
    save_file({"a": torch.ones(2)}, tmp_path / "other")
    with pytest.raises(bnn.CheckpointError, match="other was not written by brianlike.nn.save: its header names no model"):
        bnn.load(tmp_path / "other")
    _, data, tensors = read(tmp_path / "model")
    write(tmp_path / "newer", data, tensors, version=2)
    with pytest.raises(bnn.CheckpointError, match="newer has version 2 of the format, and this brianlike reads version 1; another version wrote it"):
        bnn.load(tmp_path / "newer")


def changed(data, path, value):
    *places, last = path
    at = data
    for place in places:
        at = at[place]
    at[last] = value
    return data


OBJECTS = ("module", "network", "objects")
CODE = "x():\n    pass\nopen('never-written', 'w').write('x')\ndef y"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*OBJECTS, 1, "equations"), "dv/dt = __import__('os').system('touch never-written')/second : 1"),
        ((*OBJECTS, 1, "threshold"), "v > open('never-written', 'w').write('x')"),
        ((*OBJECTS, 1, "reset"), "v = (lambda: 0)()"),
        ((*OBJECTS, 2, "pathways", 0, "code"), "import os"),
        ((*OBJECTS, 1, "method"), ["os.system"]),
        ((*OBJECTS, 1, "class"), "Popen"),
        (("module", "class"), "Popen"),
        ((*OBJECTS, 1, "N"), 2**31 - 1),
        ((*OBJECTS, 1, "when"), "__class__ or so"),
        ((*OBJECTS, 1, "refractory"), {"type": "Popen", "fields": {"args": "x"}}),
        (("module", "network", "gradient"), {"type": "Network", "fields": {}}),
        (("module", "network", "dt"), "0.1"),
        (("module", "network", "dt"), -1.0),
        (("module", "network", "learn", 0, "shape"), [1000, 1000]),
        (("module", "network", "learn", 0, "object"), "nobody"),
        (("module", "network", "learn", 0, "scale"), "1"),
        (("module", "network", "record"), [["v", {"items": [{"object": "cells"}, "__dict__"], "kind": "tuple"}]]),
        ((*OBJECTS, 2, "state", "i", "array"), "weight/learned.synapses_0_w.parametrizations.value.original"),
        ((*OBJECTS, 1, "constants", "a"), {"value": "1", "dimensions": [0] * 7}),
        ((*OBJECTS, 2, "state", "i", "array"), "array/missing"),
        (("module",), [[]]),
        (("module", "network"), None),
        ((*OBJECTS, 2, "pathways", 0, "key"), CODE),
        ((*OBJECTS, 1, "events"), {CODE: "v > 2"}),
        ((*OBJECTS, 1, "name"), CODE),
        (("module", "network", "schedule"), ["start", CODE]),
        (("module", "network", "record", 0, 0), CODE),
        (("module", "network", "learn", 0, "name"), CODE),
    ],
    ids=lambda value: str(value).split("(")[-1][:40],
)  # fmt: skip
def test_hostile_content_is_refused(path, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simple().save("model")
    _, data, tensors = read("model")
    write("hostile", changed(data, path, value), tensors)
    with pytest.raises(bnn.CheckpointError):
        bnn.load("hostile")
    assert not (tmp_path / "never-written").exists()


def test_connections_must_lie_within_their_groups(tmp_path):
    simple().save(tmp_path / "model")
    _, data, tensors = read(tmp_path / "model")
    place = data["module"]["network"]["objects"][2]["state"]["j"]["array"]
    tensors[place][0] = 10**6
    write(tmp_path / "hostile", data, tensors)
    with pytest.raises(bnn.CheckpointError, match="hostile does not fit together"):
        bnn.load(tmp_path / "hostile")


def test_what_is_python_code_is_refused_by_name(tmp_path):
    def module(equations, method="euler", gradient=None):
        cells = NeuronGroup(2, equations, threshold="v > 1", reset="v = 0", method=method, name="cells")
        net = Network(InputGroup(1), cells)
        return bnn.NetworkModule(net, {"v": (cells, "v")}, gradient=gradient or bnn.Surrogate(), namespace={})

    with pytest.raises(UnsupportedError, match="gradient= is .*, which is Python code of your own, and a checkpoint holds none"):
        module("dv/dt = -v/ms : 1", gradient=bnn.Surrogate(type("Own", (bnn.SuperSpike,), {})())).save(tmp_path / "model")
    own = ExplicitStateUpdater("x_new = x + dt*f(x, t)")
    with pytest.raises(UnsupportedError, match="'cells' has the method .*, which is Python code of your own"):
        module("dv/dt = -v/ms : 1", method=own).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_layer_comes_back(tmp_path):
    layer = bnn.NeuronModule(
        4, "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second", threshold="v > 1", reset="v = 0", parameters={"tau": 10 * ms},
        learn={"variable": "tau", "unit": ms, "share": "all", "bounds": (5 * ms, 20 * ms)}, output="v",
    )  # fmt: skip
    x = 3 * torch.rand(30, 2, 4)
    layer.save(tmp_path / "layer")
    again = bnn.load(tmp_path / "layer")
    assert isinstance(again, bnn.NeuronModule) and torch.equal(again(x), layer(x)) and again.output == "v"
    assert again.state_dict().keys() == layer.state_dict().keys()
    again.write_back()
    np.testing.assert_allclose(again.group.tau / ms, 10, rtol=1e-6)


def test_of_layers_with_torch_layers_in_them_the_weights_are_kept(tmp_path):
    def layer():
        return bnn.NeuronModule(
            4, "dv/dt = (J - v)/(10*ms) : 1\nJ : 1 (input)", threshold="v > 1", reset="v = 0", recurrent=torch.nn.Linear(4, 4), dt=1 * ms
        )  # fmt: skip

    first, second, x = layer(), layer(), 3 * torch.rand(20, 2, 4)
    first.save(tmp_path / "layer")
    with pytest.raises(bnn.CheckpointError, match="layer holds weights only"):
        bnn.load(tmp_path / "layer")
    assert not torch.equal(first(x), second(x))
    assert torch.equal(bnn.load(tmp_path / "layer", into=second)(x), first(x))
