"""Graphs of the Neuromorphic Intermediate Representation: recognised by algebra, there and back, and against NIR's equations integrated by hand."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nir = pytest.importorskip("nir")

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.forms import form_of  # noqa: E402
from brianlike.only import *  # noqa: E402
from codegen.errors import UnsupportedError  # noqa: E402


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    seed(3)
    torch.manual_seed(3)


CONSTANTS = {"tau": 10 * ms, "tau_s": 5 * ms, "E": 0.1, "R": 2.0, "top": 1.5}


def form(equations, threshold="v > 1", reset="v = 0", entry="J", method=None, **options):
    cells = NeuronGroup(3, equations, threshold=threshold, reset=reset, name="cells", method=method, **options)
    if "k : 1" in equations:
        cells.k = "1 + i"
    module = bnn.NetworkModule(Network(cells, InputGroup(1)), {"v": (cells, "v")}, gradient=bnn.TrueGradient(), namespace=CONSTANTS)
    return form_of(module, cells, entry)


def values(**given):
    return {name: pytest.approx(np.broadcast_to(value, 3), rel=1e-12) for name, value in given.items()}


# --------------------------------------------------------------------------------------------------------------------------------------- recognition
LIF = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
RECOGNISED = [
    ("LIF", "dv/dt = (J - v)/tau : 1\nJ : 1 (input)", {}, LIF),
    ("LIF", "dv/dt = -(v - J)/tau : 1\nJ : 1 (input)", {"threshold": "1 < v"}, LIF),
    ("LIF", "dv/dt = (E - v + R*J)*(1/tau) : 1\nJ : 1 (input)", {"threshold": "2*v > E + 2", "reset": "v = E/2"},
     {"tau": 0.01, "r": 2.0, "v_leak": 0.1, "v_threshold": 1.05, "v_reset": 0.05}),
    ("LIF", "dv/dt = rate*(J - v) + (E - v)/(2*tau) : 1\nrate = 1/(2*tau) : Hz\nJ : 1 (input)", {}, LIF | {"r": 0.5, "v_leak": 0.05}),
    ("LIF", "dv/dt = ((v + 1)**2 - v**2 - 2*v - 1 + k*J - v)/tau : 1\nJ : 1 (input)\nk : 1", {}, LIF | {"r": [1.0, 2.0, 3.0]}),
    ("LIF", "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\nk : 1", {"threshold": "v > k*top", "reset": "v = -k"},
     LIF | {"v_threshold": [1.5, 3.0, 4.5], "v_reset": [-1.0, -2.0, -3.0]}),
    ("LI", "dv/dt = (E + J - v)/tau : 1\nJ : 1 (input)", {"threshold": None, "reset": None}, {"tau": 0.01, "r": 1.0, "v_leak": 0.1}),
    ("LIF", "dv/dt = (E - v)/tau : 1", {"entry": "v"}, LIF | {"r": 10.0, "v_leak": 0.1}),
    ("IF", "dv/dt = R*J/tau : 1\nJ : 1 (input)", {}, {"r": 200.0, "v_threshold": 1.0, "v_reset": 0.0}),
    ("I", "dv/dt = J/ms : 1\nJ : 1 (input)", {"threshold": None, "reset": None}, {"r": 1000.0}),
    ("IF", "dv/dt = 0/second : 1", {"entry": "v"}, {"r": 1000.0, "v_threshold": 1.0, "v_reset": 0.0}),
    ("CubaLIF", "dv/dt = (R*x - v)/tau : 1\ndx/dt = (3*J - x)/tau_s : 1\nJ : 1 (input)", {},
     {"tau_mem": 0.01, "tau_syn": 0.005, "r": 2.0, "v_leak": 0.0, "w_in": 3.0, "v_threshold": 1.0, "v_reset": 0.0}),
    ("CubaLIF", "dI/dt = -I/tau_s : 1\ndv/dt = (E + I - v)/tau : 1", {"entry": "I"},
     {"tau_mem": 0.01, "tau_syn": 0.005, "r": 1.0, "v_leak": 0.1, "w_in": 5.0, "v_threshold": 1.0, "v_reset": 0.0}),
    ("CubaLI", "dI/dt = -I/tau_s : 1\ndv/dt = (I - v)/tau : 1", {"entry": "I", "threshold": None, "reset": None},
     {"tau_mem": 0.01, "tau_syn": 0.005, "r": 1.0, "v_leak": 0.0, "w_in": 5.0}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "equations", "options", "expected"), RECOGNISED, ids=[f"{n}-{row[0]}" for n, row in enumerate(RECOGNISED)])
def test_neurons_are_recognised_by_their_algebra(kind, equations, options, expected):
    found = form(equations, **options)
    assert found.kind == kind and {name: list(value) for name, value in found.values.items()} == values(**expected)


def test_units_become_si_numbers():
    equations = "dv/dt = (E_L - v)/tau + I/C : volt\ndI/dt = -I/tau_s : amp\nC : farad"
    cells = NeuronGroup(3, equations, threshold="v > -50*mV", reset="v = -70*mV", method="exact", name="cells", namespace={"E_L": -65 * mV})
    cells.C = 200 * pF
    module = bnn.NetworkModule(Network(cells, InputGroup(1)), {"s": cells}, gradient=bnn.TrueGradient(), namespace=CONSTANTS)
    found = form_of(module, cells, "I")
    assert {name: list(value) for name, value in found.values.items()} == values(
        tau_mem=0.01, tau_syn=0.005, r=0.01 / 200e-12, v_leak=-0.065, w_in=5.0, v_threshold=-0.05, v_reset=-0.07
    )


REFUSED = [
    ("dv/dt = (J - v)/tau : 1\nJ : 1 (input)", {"reset": "v -= 1"}, "its reset `v -= 1` does not set v to a value"),
    ("dv/dt = (J - v)/tau : 1\nJ : 1 (input)\nk : 1", {"reset": "v = 0; k += 1"}, "its reset `v = 0; k += 1` is not v = v_reset, and nothing else"),
    ("dv/dt = (J - v)/tau : 1\nJ : 1 (input)", {"reset": None, "refractory": 2 * ms}, "it has a refractory period"),
    ("dv/dt = (J - v)/tau : 1\nJ : 1 (input)", {"reset": ""}, "it has no reset"),
    ("dv/dt = (J - v**2)/tau : 1\nJ : 1 (input)", {"method": "euler"}, "its equation dv/dt = (J - v**2)/tau is not linear in v and J"),
    ("dv/dt = (J + v)/tau : 1\nJ : 1 (input)", {}, "its equation of v does not decay: the rate of the leak is 100 per second"),
    ("dv/dt = (J*cos(t/ms) - v)/tau : 1\nJ : 1 (input)", {"method": "euler"}, "its dv/dt reads t, which is not constant"),
    ("dv/dt = (J - v)/tau : 1\nJ : 1 (input)", {"threshold": "v >= 1"}, "its threshold `v >= 1` is not of the form v > v_threshold"),
    ("dv/dt = (J - v)/tau : 1\nJ : 1 (input)", {"threshold": "v < 1"}, "its threshold `v < 1` is crossed from above"),
    ("dv/dt = (J - v)/tau : 1\ndb/dt = -b/tau : 1\nJ : 1 (input)", {"threshold": "v > 1 + b"},
     "its threshold `v > 1 + b` does not read one of its differential equations"),
    ("dv/dt = (J - v)/tau : 1\nda/dt = -a/tau : 1\ndb/dt = -b/tau : 1\nJ : 1 (input)", {},
     "it has 3 differential equations, and such neurons have one or two"),
    ("dv/dt = (I - v)/tau : 1\ndI/dt = (E - I)/tau_s : 1", {"entry": "I"}, "its current I does not decay to 0"),
    ("dv/dt = I/tau : 1\ndI/dt = -I/tau_s : 1", {"entry": "I"}, "its current I drives a potential without a leak"),
    ("dv/dt = (I - v)/tau : 1\ndI/dt = -I/tau_s : 1", {"entry": "v"}, "what arrives is added to v past the current I"),
    ("dv/dt = E/tau : 1", {"entry": "v"}, "v changes by itself, without an input and without a leak"),
    ("dv/dt = (J + I - v)/tau : 1\ndI/dt = -I/tau_s : 1\nJ : 1 (input)", {}, "its dv/dt reads J, which is not constant"),
]  # fmt: skip


@pytest.mark.parametrize(("equations", "options", "text"), REFUSED, ids=[row[2] for row in REFUSED])
def test_other_neurons_are_refused_by_name(equations, options, text):
    with pytest.raises(UnsupportedError) as error:
        form(equations, **options)
    lines = str(error.value).splitlines()
    assert lines[0] == f"'cells' has no form in NIR: {text}" and lines[-1] == "NIR knows LIF, LI, IF, I, CubaLIF and CubaLI neurons."


# ----------------------------------------------------------------------------------------------------------------------------------- there and back
EQUATIONS = {
    "LIF": ("dv/dt = (E - v + R*J)/tau : 1\nJ : 1 (input)\ntau : second", "v > 1", "v = -0.1"),
    "LI": ("dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second", None, None),
    "IF": ("dv/dt = J/tau : 1\nJ : 1 (input)\ntau : second", "v > 1", "v = 0"),
    "I": ("dv/dt = J/tau : 1\nJ : 1 (input)\ntau : second", None, None),
    "CubaLIF": ("dv/dt = (I - v)/tau : 1\ndI/dt = (3*J - I)/tau_s : 1\nJ : 1 (input)\ntau : second", "v > 1", "v = 0"),
    "CubaLI": ("dv/dt = (I - v)/tau : 1\ndI/dt = (J - I)/tau_s : 1\nJ : 1 (input)\ntau : second", None, None),
}


def layer(kind, n, method="exact", **options):
    equations, threshold, reset = EQUATIONS[kind]
    size = int(np.prod(n))
    tau = (10 + np.arange(size) % 7).reshape(n) * ms
    return bnn.NeuronModule(
        n, equations, threshold, reset, method="euler" if kind in ("IF", "I") else method, parameters={"tau": tau, "v": 0.05 * np.ones(size)},
        dtype=torch.float64, namespace=CONSTANTS, **options,
    )  # fmt: skip


def by_hand(node, x, dt, v, method):
    """NIR's equations for inputs held over a step: by Euler's method, or exactly."""
    name, spikes, potentials = type(node).__name__, [], []
    current = torch.zeros_like(x[0])

    def leaky(value, target, tau):
        tau = torch.as_tensor(tau)
        factor = dt / tau if method == "euler" else -torch.expm1(-dt / tau)
        return value + factor * (target - value)

    for row in x:
        drive = row
        if name.startswith("Cuba"):
            before, target = current, torch.as_tensor(node.w_in) * row
            current = leaky(before, target, node.tau_syn)
            if method == "euler":
                drive = before
            else:  # tau_mem*dv/dt = v_leak - v + r*I with I on its way from `before` to `target`
                m, s = torch.as_tensor(node.tau_mem), torch.as_tensor(node.tau_syn)
                decay, change = torch.exp(-dt / m), (torch.exp(-dt / m) - torch.exp(-dt / s)) * s / (m - s)
                v = v * decay + (torch.as_tensor(node.v_leak) + torch.as_tensor(node.r) * target) * (1 - decay)
                v = v + torch.as_tensor(node.r) * (before - target) * change
                drive = None
        if drive is not None:
            r = torch.as_tensor(node.r)
            if name in ("I", "IF"):
                v = v + dt * r * drive
            else:
                v = leaky(v, torch.as_tensor(node.v_leak) + r * drive, getattr(node, "tau_mem", getattr(node, "tau", None)))
        if name.endswith("F"):
            fired = v > torch.as_tensor(node.v_threshold)
            spikes.append(fired.double())
            v = torch.where(fired, torch.as_tensor(node.v_reset), v)
        potentials.append(v)
    return torch.stack(spikes or potentials)


@pytest.mark.parametrize("method", ["exact", "euler"])
@pytest.mark.parametrize("kind", EQUATIONS)
def test_a_layer_is_what_nir_says_and_comes_back(kind, method, tmp_path):
    before = layer(kind, 5, method)
    x = 2.5 * torch.rand(60, 3, 5, dtype=torch.float64)
    expected = before(x).detach()
    graph = bnn.to_nir(before)
    (node,) = (one for one in graph.nodes.values() if type(one).__name__ == kind)
    by_equations = by_hand(node, x, 1e-3, torch.full((3, 5), 0.05, dtype=torch.float64), method)
    torch.testing.assert_close(by_equations, expected, rtol=1e-9, atol=1e-12)
    assert not kind.endswith("F") or 20 < expected.sum() < 800
    nir.write(tmp_path / "graph.nir", graph)
    again = bnn.from_nir(tmp_path / "graph.nir", dtype=torch.float64)
    torch.testing.assert_close(again(x).detach(), expected, rtol=1e-12, atol=1e-14)
    assert np.isclose(node.metadata["initial_v"], 0.05).all() and graph.metadata["dt"] == 1e-3


def test_layers_of_torch_come_back(tmp_path):
    net = torch.nn.Sequential(
        bnn.OverTime(torch.nn.Conv2d(2, 4, 3, padding=1, stride=(1, 2), bias=False)),
        layer("LIF", (4, 6, 3)),
        bnn.OverTime(torch.nn.AvgPool2d((2, 1)), torch.nn.Conv2d(4, 6, 2), torch.nn.Dropout(0.0)),
        layer("IF", (6, 2, 2)),
        torch.nn.Flatten(2),
        torch.nn.Linear(24, 3),
        layer("CubaLIF", 3, recurrent=torch.nn.Linear(3, 3, bias=False)),
        torch.nn.Linear(3, 2, bias=False),
        layer("LI", 2),
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(6)
    x = (torch.rand(40, 3, 2, 6, 6) < 0.4).double()
    expected = net(x)
    middle = torch.nn.Sequential(*list(net)[:7])(x)
    assert 5 < middle.sum() < 300 and expected.std() > 0.01
    nir.write(tmp_path / "graph.nir", bnn.to_nir(net, input_shape=(2, 6, 6)))
    again = bnn.from_nir(str(tmp_path / "graph.nir"), dtype=torch.float64)
    torch.testing.assert_close(again(x), expected, rtol=1e-10, atol=1e-12)
    assert [type(one).__name__ for one in again][-2:] == ["Linear", "NeuronModule"]
    with pytest.raises(UnsupportedError, match=r"the shape that layer_0 \(Conv2d\) is given is not known"):
        bnn.to_nir(net)


def network(delays=True, on_pre="I_post += w"):
    inputs, extra = InputGroup(4, name="inputs"), InputGroup(2, name="extra")
    equations = "dv/dt = (I - v)/tau : 1\ndI/dt = -I/tau_s : 1\ntau : second"
    hidden = NeuronGroup(6, equations, threshold="v > 1", reset="v = 0", method="exact", name="hidden")
    second = NeuronGroup(3, "dv/dt = -v/tau : 1\ntau : second", threshold="v > 0.8", reset="v = 0.1", method="exact", name="second")
    readout = NeuronGroup(2, equations, method="exact", name="readout")
    hidden.tau, second.tau, readout.tau, hidden.v = "(10 + i)*ms", 12 * ms, 20 * ms, 0.1
    pairs = [(inputs, hidden, "I", 1.0), (extra, second, "v", 0.5), (hidden, hidden, "I", 0.3), (hidden, second, "v", 0.3), (second, hidden, "I", -0.2),
             (hidden, readout, "I", 0.4), (second, readout, "I", 0.3)]  # fmt: skip
    synapses = []
    for n, (source, target, variable, weight) in enumerate(pairs):
        one = Synapses(source, target, "w : 1", on_pre=f"{variable}_post += w", name=f"path_{n}")
        one.connect("i != j" if source is target else "True", p=1 if n % 2 else 0.8)
        one.w = f"{weight}*(0.5 + rand())"
        if delays and n in (2, 5):
            one.delay = "rand()*4*ms"
        synapses.append(one)
    record = {"v": (readout, "v"), "spikes": hidden, "second": second}
    net = Network(inputs, extra, hidden, second, readout, *synapses)
    return bnn.NetworkModule(net, record, [bnn.Learn(synapses[0], "w")], dtype=torch.float64, namespace=CONSTANTS)


@pytest.mark.parametrize("delays", [False, True], ids=["", "delays"])
def test_networks_come_back(delays, tmp_path):
    module = network(delays)
    with torch.no_grad():
        next(module.parameters()).mul_(1.2)  # what was learned is what is written
    x = {"inputs": (torch.rand(60, 3, 4) < 0.25).double(), "extra": (torch.rand(60, 3, 2) < 0.2).double()}
    expected = module(**x)
    assert expected.spikes.sum() > 20 and expected.second.sum() > 20
    graph = bnn.to_nir(module)
    kinds = [type(node).__name__ for node in graph.nodes.values()]
    assert kinds.count("CubaLIF") == 1 and kinds.count("LIF") == 1 and kinds.count("CubaLI") == 1 and kinds.count("Output") == 3
    assert (kinds.count("Delay") > 2) == delays
    nir.write(tmp_path / "graph.nir", graph)
    again = bnn.from_nir(tmp_path / "graph.nir", dtype=torch.float64)
    y = again(**x)
    assert torch.equal(y.spikes, expected.spikes) and torch.equal(y.output_second, expected.second)  # `second` is the name of a group
    torch.testing.assert_close(y.v, expected.v, rtol=1e-12, atol=1e-13)
    y.v.sum().backward()
    assert all(p.grad is not None for p in again.parameters()) and len(list(again.parameters())) >= 7
    assert set(bnn.to_nir(module, outputs=["v"]).outputs) == {"v"}


def test_a_recurrent_network_is_nirs_equations_by_euler():
    """Spikes are pulses of one step: I += dt/tau_syn*(w_in*S - I), v += dt/tau*(v_leak - v + r*I), with S of the last step."""
    inputs = InputGroup(4, name="inputs")
    hidden = NeuronGroup(5, "dv/dt = (I - v)/(20*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1", reset="v = 0", method="euler", name="hidden")
    feed, loop = (Synapses(source, hidden, "w : 1", on_pre="I_post += w", name=name) for source, name in ((inputs, "feed"), (hidden, "loop")))
    for one, weight in ((feed, "1.5*rand()"), (loop, "0.5*randn()")):
        one.connect()
        one.w = weight
    module = bnn.NetworkModule(Network(inputs, hidden, feed, loop), {"out": hidden}, dtype=torch.float64, namespace={})
    nodes = bnn.to_nir(module).nodes
    x = (torch.rand(80, 4) < 0.3).double()
    node, w, u = nodes["hidden"], torch.from_numpy(nodes["feed_pre"].weight), torch.from_numpy(nodes["loop_pre"].weight)
    v = current = torch.zeros(5, dtype=torch.float64)
    found, dt = [], 1e-3
    for row in x:
        v = v + dt / torch.from_numpy(node.tau_mem) * (torch.from_numpy(node.v_leak) - v + torch.from_numpy(node.r) * current)
        current = current + dt / torch.from_numpy(node.tau_syn) * -current
        spikes = (v > torch.from_numpy(node.v_threshold)).double()
        v = torch.where(spikes > 0, torch.from_numpy(node.v_reset), v)
        arriving = w @ row + u @ spikes
        current = current + dt / torch.from_numpy(node.tau_syn) * torch.from_numpy(node.w_in) * arriving
        found.append(spikes)
    assert torch.equal(torch.stack(found), module(x).out) and torch.stack(found).sum() > 10


def test_graphs_of_others():
    """No metadata, a graph in the graph, recurrent weights: as snnTorch and Norse write them."""
    lif = nir.LIF(tau=np.full(3, 0.02), r=np.ones(3), v_leak=np.zeros(3), v_threshold=np.full(3, 0.5))
    inner = nir.NIRGraph(
        nodes={"input": nir.Input({"input": np.array([3])}), "lif": lif, "w_rec": nir.Affine(np.full((3, 3), 0.1), np.zeros(3)),
               "output": nir.Output({"output": np.array([3])})},
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )  # fmt: skip
    graph = nir.NIRGraph(
        nodes={"in": nir.Input({"input": np.array([2])}), "fc": nir.Affine(np.ones((3, 2)), np.full(3, 0.3)), "rec": inner,
               "out": nir.Output({"output": np.array([3])})},
        edges=[("in", "fc"), ("fc", "rec"), ("rec", "out")],
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"NIR has no step of time, and the neurons of 'rec_lif' need one: give from_nir\(graph, dt=...\)"):
        bnn.from_nir(graph)
    net = bnn.from_nir(graph, dt=1 * ms, method="euler", learn=["tau", "v_threshold"], dtype=torch.float64)
    assert isinstance(net, torch.nn.Sequential) and len(net) == 2 and list(net[1].recurrent) == ["J"]
    assert {name.split(".")[-4] for name, _ in net[1].network.named_parameters()} == {"neurongroup_0_tau", "neurongroup_0_v_threshold"}
    x = (torch.rand(50, 2) < 0.5).double()
    v, spikes, found = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), []
    for row in x:
        v = v + 1e-3 / 0.02 * (torch.ones(3, 2, dtype=torch.float64) @ row + 0.3 + 0.1 * spikes.sum() - v)
        spikes = (v > 0.5).double()
        v = v * (1 - spikes)
        found.append(spikes)
    assert torch.equal(net(x[:, None])[:, 0], torch.stack(found)) and torch.stack(found).sum() > 5


def test_what_nir_cannot_express_is_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"NIR cannot express BatchNorm2d \(layer_0\)\nFold it into the weights of the layer before it."):
        bnn.to_nir(torch.nn.Sequential(bnn.OverTime(torch.nn.BatchNorm2d(3))), input_shape=(3, 4, 4))
    with pytest.raises(UnsupportedError, match="NIR cannot express a convolution in 3 groups: its types take the input channels of one group for those of all"):
        bnn.to_nir(torch.nn.Sequential(bnn.OverTime(torch.nn.Conv2d(3, 3, 1, groups=3))), input_shape=(3, 4, 4))
    with pytest.raises(UnsupportedError, match=r"NIR cannot express a convolution with the kernel \(2, 3\): its types take all sides for equal"):
        bnn.to_nir(torch.nn.Sequential(bnn.OverTime(torch.nn.Conv2d(3, 3, (2, 3)))), input_shape=(3, 4, 4))
    with pytest.raises(UnsupportedError, match="layer_0 hands on 'v', and a LIF neuron of NIR hands on 'spikes'"):
        bnn.to_nir(layer("LIF", 3, output="v"))
    with pytest.raises(UnsupportedError, match="NIR cannot express the output 'n': a node hands on its spikes, or its potential if it has no threshold"):
        inputs, cells = InputGroup(1, name="inputs"), NeuronGroup(1, "dv/dt = -v/(5*ms) : 1", threshold="v > 1", reset="v = 0", method="exact", name="cells")
        bnn.to_nir(bnn.NetworkModule(Network(inputs, cells), {"n": bnn.Count(cells), "s": cells}, namespace={}), outputs=["n"])
    plastic = Synapses(inputs, cells, "w : 1\nx : 1", on_pre="x += 0.1; v_post += w*x", name="plastic")
    plastic.connect()
    plastic.w = 1
    with pytest.raises(UnsupportedError, match="NIR cannot express the pathway 'plastic.pre': what it adds is not constant"):
        bnn.to_nir(bnn.NetworkModule(Network(inputs, cells, plastic), {"s": cells}, namespace={}))
    two = Synapses(inputs, cells, "w : 1", on_pre="v_post += w", name="two")
    two.connect()
    two.w = 1
    driven = NeuronGroup(1, "dv/dt = (J - v)/(5*ms) : 1\nJ : 1 (input)", threshold="v > 1", reset="v = 0", method="exact", name="driven")
    both = Synapses(inputs, driven, "w : 1", on_pre="v_post += w")
    both.connect()
    both.w = 1
    with pytest.raises(UnsupportedError, match="'driven' gets input through J and v, and neurons of NIR have one input"):
        bnn.to_nir(bnn.NetworkModule(Network(inputs, driven, both), {"s": driven}, namespace={}))
    with pytest.raises(UnsupportedError, match="to_nir takes a NetworkModule, a NeuronModule or a torch.nn.Sequential, not Linear"):
        bnn.to_nir(torch.nn.Linear(2, 2))
    scale = nir.NIRGraph.from_list(nir.Scale(np.ones(3)), nir.Threshold(np.ones(3)))
    with pytest.raises(UnsupportedError, match=r"the node 'scale' \(Scale\) has no counterpart here"):
        bnn.from_nir(scale, dt=1 * ms)
