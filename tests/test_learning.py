"""What can be learned, and how: sharing, initial values, bounds, signs, masks, groups of parameters."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn.constraints import Clamped  # noqa: E402
from brianlike.only import *  # noqa: E402

EQUATIONS = """dv/dt = (E + g*(E_syn - v) - b - v)/tau : 1
               dg/dt = -g/(5*ms) : 1
               db/dt = -b/tau_b : 1
               E : 1 (constant)
               tau : second (constant)
               tau_b : second (constant)
               theta : 1
               low : 1
               jump : 1
               E_syn : 1"""


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    seed(3)
    torch.manual_seed(3)


def population(n=6):
    """Neurons with every kind of parameter, driven by inputs through a conductance."""
    inputs = InputGroup(3, name="inputs")
    cells = NeuronGroup(n, EQUATIONS, threshold="v > theta", reset="v = low; b += jump", method="euler", name="cells")
    cells.tau, cells.tau_b, cells.theta, cells.low, cells.jump, cells.E_syn, cells.E = 10 * ms, 50 * ms, 1, 0.1, 0.2, 3, 1.2
    feed = Synapses(inputs, cells, "w : 1", on_pre="g_post += w", name="feed")
    feed.connect()
    feed.w = "0.1 + 0.2*rand()"
    return inputs, cells, feed


def module_of(learn, objects, record=None, **options):
    cells = objects[1]
    options = {"dtype": torch.float64, "namespace": {}, "gradient": bnn.Surrogate(detach_reset=False)} | options
    return bnn.NetworkModule(Network(*objects), record or {"v": (cells, "v"), "spikes": cells}, learn, **options)


def drive(steps=40, batch=2):
    return (torch.rand(steps, batch, 3, generator=torch.Generator().manual_seed(1)) < 0.3).double()


def train(module, optimizer, steps=3, sign=1.0):
    for _ in range(steps):
        optimizer.zero_grad()
        (sign * module(drive()).v.sum()).backward()
        optimizer.step()


# --------------------------------------------------------------------------------------------------------------------------------------------- sharing
@pytest.mark.parametrize("variable", ["tau", "tau_b", "theta", "low", "jump", "E_syn"])
@pytest.mark.parametrize(
    ("share", "labels"),
    [(None, [0, 1, 2, 3, 4, 5]), ("all", [0] * 6), ("i // 3", [0, 0, 0, 1, 1, 1]), ([7, 2, 7, 2, 5, 5], [2, 0, 2, 0, 1, 1])],
    ids=["own", "all", "expression", "array"],
)
def test_the_gradient_of_what_is_shared_is_the_sum(variable, share, labels):
    objects = population()
    own = module_of([bnn.Learn(objects[1], variable)], objects)
    shared = module_of([bnn.Learn(objects[1], variable, share=share)], objects)
    grads = [torch.autograd.grad(one(drive()).v.square().sum(), one.parameter(objects[1], variable))[0] for one in (own, shared)]
    assert grads[0].abs().sum() > 0
    expected = torch.zeros(max(labels) + 1, dtype=torch.float64).index_add(0, torch.tensor(labels), grads[0])
    torch.testing.assert_close(grads[1], expected, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        shared.parameter(objects[1], variable).mul_(1 + 0.1 * torch.arange(len(expected)))
    shared.write_back()
    written = objects[1].state[variable]
    np.testing.assert_allclose(written, np.broadcast_to(shared.value(objects[1], variable).detach(), len(expected))[labels] * shared.learned[
        f"neurongroup_0_{variable}"].scale)  # fmt: skip


@pytest.mark.parametrize(("share", "shape"), [("source", (3,)), ("target", (6,)), ("all", (1,)), (None, (3, 6))])
def test_synapses_share_by_their_ends(share, shape):
    objects = population()
    objects[2].w = 0.3
    model = module_of([bnn.Learn(objects[2], "w", share=share)], objects)
    parameter = model.parameter(objects[2], "w")
    assert parameter.shape == shape
    with torch.no_grad():
        parameter.copy_(torch.rand(shape))
    model.write_back()
    matrix = torch.as_tensor(np.array(objects[2].w)).reshape(3, 6)
    expected = {"source": parameter[:, None], "target": parameter[None], "all": parameter, None: parameter}[share]
    assert torch.equal(matrix, expected.detach().expand(3, 6))


def test_what_shares_a_number_must_begin_alike():
    objects = population()
    objects[1].tau = "(10 + i)*ms"
    with pytest.raises(ValueError) as error:
        module_of([bnn.Learn(objects[1], "tau", share="all")], objects)
    assert str(error.value) == (
        "cells.tau of element 1 is 11. ms, but it shares one number with others that are 10. ms (share='all'). Set both alike, or give init="
    )
    model = module_of([bnn.Learn(objects[1], "tau", share="i // 2", init="(10 + i)*ms", unit=ms)], objects)
    torch.testing.assert_close(model.value(objects[1], "tau").detach(), torch.tensor([10.0, 12.0, 14.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="share='source' of cells.tau: only a value of every synapse has a source and a target"):
        module_of([bnn.Learn(objects[1], "tau", share="source")], objects)
    with pytest.raises(ValueError, match="share='channel' of cells.tau: the neurons of 'cells' have no channels"):
        module_of([bnn.Learn(objects[1], "tau", share="channel")], objects)
    with pytest.raises(ValueError, match="share of cells.tau must give one number for each of its 6 elements"):
        module_of([bnn.Learn(objects[1], "tau", share=[0, 1])], objects)


# -------------------------------------------------------------------------------------------------------------------------------------- initial values
def test_text_gives_initial_values_as_an_assignment_does():
    objects = population()
    model = module_of([bnn.Learn(objects[2], "w", init="0.3*randn() + k*i", mask=None)], objects, namespace={"k": 100})
    values = model.value(objects[2], "w").detach().numpy()
    assert 0.05 < (values - 100 * np.arange(3)[:, None]).std() < 0.6
    seed(5)
    first = module_of([bnn.Learn(objects[2], "w", init="randn()")], objects).value(objects[2], "w")
    seed(5)
    objects[2].w = "randn()"
    np.testing.assert_array_equal(first.detach().numpy().ravel(), np.array(objects[2].w))


def test_distributions_and_functions_of_torch_give_initial_values():
    objects = population(200)
    gamma = torch.distributions.Gamma(4.0, 0.2)
    learn = [bnn.Learn(objects[1], "tau", unit=ms, init=gamma), bnn.Learn(objects[2], "w", init=torch.nn.init.orthogonal_)]
    model = module_of(learn, objects)
    tau, w = model.value(objects[1], "tau").detach(), model.value(objects[2], "w").detach()
    assert 15 < tau.mean() < 25 and tau.std() > 3
    torch.testing.assert_close(w @ w.T, torch.eye(3, dtype=torch.float64), rtol=0, atol=1e-6)
    halves = module_of([bnn.Learn(objects[2], "w", init=lambda w: torch.full(w.shape, 0.5))], objects)
    assert (halves.value(objects[2], "w") == 0.5).all()
    with pytest.raises(ValueError, match="cells.tau has a unit, and what init= gives has none: give Learn"):
        module_of([bnn.Learn(objects[1], "tau", init=gamma)], objects)
    with pytest.raises(ValueError, match=r"init of feed.w gave the shape \(2,\), but the parameter has the shape \(3, 200\)"):
        module_of([bnn.Learn(objects[2], "w", init=lambda w: torch.ones(2))], objects)
    with pytest.raises(ValueError, match=r"init of feed.w has the shape \(7,\), but the parameter has the shape \(3, 200\)"):
        module_of([bnn.Learn(objects[2], "w", init=np.ones(7))], objects)


# ------------------------------------------------------------------------------------------------------------------------------------ bounds and signs
def test_clamping_keeps_values_inside_and_lets_them_lie_on_a_bound():
    objects = population()
    objects[1].tau = [5, 5, 10, 10, 20, 20] * ms
    model = module_of([bnn.Learn(objects[1], "tau", unit=ms, bounds=(5 * ms, 20 * ms), constrain="clamp")], objects)
    for rate in (1e4, -1e4):
        optimizer = torch.optim.SGD(model.parameters(), lr=abs(rate))
        train(model, optimizer, 2, np.sign(rate))
        value, raw = model.value(objects[1], "tau").detach(), model.parameter(objects[1], "tau").detach()
        assert ((value >= 5) & (value <= 20)).all() and ((value == 5) | (value == 20)).any()
        assert ((raw < 5) | (raw > 20)).any()  # nobody has moved the parameter back yet
        model.clamp_()
        assert torch.equal(model.parameter(objects[1], "tau").detach(), value)
        optimizer.register_step_post_hook(model.clamp_)
        train(model, optimizer, 1, np.sign(rate))
        raw = model.parameter(objects[1], "tau").detach()
        assert ((raw >= 5) & (raw <= 20)).all()


def test_a_clamped_parameter_finds_back():
    constraint = Clamped(0.0, 1.0)
    raw = torch.tensor([-0.5, 0.25, 1.5], requires_grad=True)
    value = constraint(raw)
    assert value.tolist() == [0.0, 0.25, 1.0]
    assert torch.autograd.grad(value.sum(), raw)[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("constrain", ["transform", "clamp"])
@pytest.mark.parametrize("sign", ["source", [1, -1, 1], "1 - 2*int(i == 1)"], ids=str)
def test_sources_keep_their_sign(sign, constrain):
    objects = population()
    objects[2].w = "(0.1 + rand())*(1 - 2*int(i == 1))"
    model = module_of([bnn.Learn(objects[2], "w", sign=sign, bounds=(0, 2), constrain=constrain)], objects)
    before = np.array(objects[2].w).reshape(3, 6)
    np.testing.assert_allclose(model.value(objects[2], "w").detach(), before, rtol=1e-12)
    for direction in (1, -1):
        optimizer = torch.optim.SGD(model.parameters(), lr=10.0)
        optimizer.register_step_post_hook(model.clamp_)
        train(model, optimizer, 4, direction)
        after = model.value(objects[2], "w").detach().numpy()
        assert np.abs(after - before).max() > 0.05 and np.abs(after).max() <= 2
        assert (after[[0, 2]] >= 0).all() and (after[1] <= 0).all()
        assert constrain == "transform" or (after == 0).any()  # a clamped value lies on its bound


def test_excitatory_and_inhibitory_populations_keep_one_sign_each():
    inputs, cells = InputGroup(4), NeuronGroup(5, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", name="cells")
    excitation, inhibition = cells[:4], cells[4:]
    feed, up, down = (Synapses(source, cells, "w : 1", on_pre="v_post += w") for source in (inputs, excitation, inhibition))
    for one, weight in ((feed, 0.9), (up, 0.1), (down, -0.4)):
        one.connect()
        one.w = weight
    learn = [bnn.Learn(feed, "w"), bnn.Learn(up, "w", sign=1), bnn.Learn(down, "w", sign=-1)]
    model = bnn.NetworkModule(Network(inputs, cells, feed, up, down), {"v": (cells, "v")}, learn, dtype=torch.float64, namespace={})
    x = (torch.rand(30, 4, generator=torch.Generator().manual_seed(1)) < 0.5).double()
    for direction in (1, -1):
        optimizer = torch.optim.SGD(model.parameters(), lr=5)
        for _ in range(3):
            optimizer.zero_grad()
            (direction * model(x).v.square().sum()).backward()
            optimizer.step()
        assert (model.value(up, "w") >= 0).all() and (model.value(down, "w") <= 0).all()


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        ("1 - 2*int(j == 1)", {"sign": "source"}, "feed.w: source 0 has values of both signs, so sign='source' cannot tell which it keeps; "
         "set values of one sign"),
        ("int(i > 0)*1.0", {"sign": "source"}, "feed.w: the values of source 0 are all 0, so sign='source' cannot tell its sign; give sign= as an array"),
        ("1.0", {"sign": -1}, "feed.w of element 0 is 1., which has not the sign that sign= gives; set values of that sign first"),
        ("int(i > 0)*1.0", {"sign": 1}, "feed.w of element 0 is 0., which sign= cannot keep: a softplus never gives 0; set another value, leave these "
         "synapses out (mask= or connect), or use constrain='clamp'"),
        ("1.0", {"sign": 1, "bounds": (-1, 2)}, "bounds of feed.w begin below 0, but with sign=, bounds are those of the magnitude, which is not negative"),
        ("1.0", {"sign": 2}, "sign of feed.w must be 1, -1, 'source', an array of these for each source or synapse, or an expression, not 2"),
        ("1.0", {"bounds": (2, 0)}, "bounds of feed.w must be (low, high) with low < high, not (2, 0)"),
        ("1.0", {"constrain": "hope"}, "constrain= of feed.w must be 'transform' or 'clamp', not 'hope'"),
        ("1.0", {"mask": np.ones(3, bool)}, "mask of feed.w must be an array of 18 truth values or a condition, not array([ True,  True,  True])"),
        ("1.0", {"mask": "i > 10"}, "mask of feed.w is False everywhere, so that nothing is left to learn"),
        ("1.0", {"mask": True, "share": "all"}, "feed.w: mask= and share= cannot go together; a mask is one truth value for each element"),
    ],
    ids=["both signs", "no sign", "other sign", "zero", "magnitude", "sign", "bounds", "constrain", "mask shape", "empty mask", "mask and share"],
)  # fmt: skip
def test_contradictions_are_named(values, options, text):
    objects = population()
    objects[2].w = values
    with pytest.raises(ValueError) as error:
        module_of([bnn.Learn(objects[2], "w", **options)], objects)
    assert str(error.value) == text


# ----------------------------------------------------------------------------------------------------------------------------------------------- masks
@pytest.mark.parametrize("options", [{}, {"bounds": (0, 1)}, {"sign": 1}, {"sign": 1, "constrain": "clamp"}], ids=str)
def test_masked_weights_are_and_stay_zero(options):
    objects = population()
    objects[2].w = "0.2 + 0.1*rand()*int(i != j)"
    model = module_of([bnn.Learn(objects[2], "w", mask="(i + j) % 2 == 0", **options)], objects)
    mask = (np.arange(3)[:, None] + np.arange(6)) % 2 == 0
    np.testing.assert_array_equal(model.mask(objects[2], "w"), mask)
    value = model.value(objects[2], "w").detach().numpy()
    assert (value[~mask] == 0).all() and (value[mask] > 0).all()
    train(model, torch.optim.Adam(model.parameters(), lr=0.01), 3)
    trained = model.value(objects[2], "w").detach().numpy()
    assert (trained[~mask] == 0).all() and (trained[mask] != value[mask]).all()
    with torch.no_grad():  # pruning: half of what is left
        size = model.value(objects[2], "w").abs()
        model.mask(objects[2], "w").logical_and_(size > size[size > 0].median())
    assert int((model.value(objects[2], "w") != 0).sum()) == 4
    assert any(key.endswith("mask") for key in model.state_dict())
    model.write_back()
    assert int((np.array(objects[2].w) != 0).sum()) == 4


def test_masked_and_sparse_connections_are_one_network():
    torch.manual_seed(0)
    objects = population()
    model = module_of([bnn.Learn(objects[2], "w", mask="i == j % 3")], objects)
    sparse = Synapses(objects[0], objects[1], "w : 1", on_pre="g_post += w", name="feed")
    sparse.connect("i == j % 3")
    sparse.w = np.array(objects[2].w).reshape(3, 6)[np.array(sparse.i), np.array(sparse.j)]
    other = module_of([bnn.Learn(sparse, "w")], (*objects[:2], sparse))
    y, z = model(drive()), other(drive())
    torch.testing.assert_close(y.v, z.v, rtol=1e-12, atol=1e-14)
    grads = [torch.autograd.grad(r.v.sum(), m.parameter(s, "w"))[0] for r, m, s in ((y, model, objects[2]), (z, other, sparse))]
    torch.testing.assert_close(grads[0][np.array(sparse.i), np.array(sparse.j)], grads[1], rtol=1e-10, atol=1e-12)
    assert int((grads[0] != 0).sum()) == len(sparse)


def test_a_variable_without_a_mask_says_so():
    objects = population()
    model = module_of([bnn.Learn(objects[2], "w")], objects)
    with pytest.raises(KeyError, match=r"feed.w has no mask; give Learn\(..., mask=True\)"):
        model.mask(objects[2], "w")
    assert module_of([bnn.Learn(objects[2], "w", mask=True)], objects).mask(objects[2], "w").all()


# ------------------------------------------------------------------------------------------------------------------------------------ parameter groups
def test_parameter_groups_have_their_own_options():
    objects = population()
    _, cells, feed = objects
    model = module_of([bnn.Learn(feed, "w"), bnn.Learn(cells, "tau"), bnn.Learn(cells, "theta", name="level"), bnn.Learn(cells, "v")], objects)
    groups = model.parameter_groups({(feed, "w"): {"lr": 0.5}}, lr=1e-3, weight_decay=0.1, tau={"lr": 1e-2, "weight_decay": 0.0}, level={"lr": 1.0})
    assert [(g["name"], g["lr"], g["weight_decay"]) for g in groups] == [("feed.w", 0.5, 0.1), ("tau", 1e-2, 0), ("level", 1, 0.1), ("other", 1e-3, 0.1)]
    assert groups[0]["params"] == [model.parameter(feed, "w")] and groups[3]["params"] == [model.parameter(cells, "v")]
    assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in model.parameters()}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, torch.optim.SGD(model.parameter_groups(lr=0.0, tau={"lr": 1e-3})), 1)
    changed = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert changed == ["learned.neurongroup_0_tau.parametrizations.value.original"]
    with pytest.raises(ValueError, match="parameter_groups: tua is not learned; learned are 'w', 'tau', 'theta', 'v'"):
        model.parameter_groups(lr=1, tua={"lr": 2})
    with pytest.raises(ValueError, match="parameter_groups: cells.tau has options under cells.tau and under tau"):
        model.parameter_groups({(cells, "tau"): {"lr": 1}}, tau={"lr": 2})


def test_layers_have_parameter_groups_and_are_clamped():
    layer = bnn.NeuronModule(
        4, "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second", threshold="v > 1", reset="v = 0", parameters={"tau": 10 * ms},
        learn={"variable": "tau", "unit": ms, "share": "all", "bounds": (5 * ms, 10 * ms), "constrain": "clamp"},
    )  # fmt: skip
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), layer)
    groups = bnn.parameter_groups(net, lr=0.1, tau={"lr": 0.5})
    assert [(len(g["params"]), g["lr"]) for g in groups] == [(1, 0.5), (2, 0.1)]
    assert [g["lr"] for g in layer.parameter_groups(lr=3.0)] == [3.0]
    (raw,) = layer.parameters()
    with torch.no_grad():
        raw.fill_(30.0)
    layer.clamp_()
    assert raw.item() == 10 and raw.shape == (1,)


def test_fit_clamps_after_every_step():
    layer = bnn.NeuronModule(
        3, "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second", parameters={"tau": 10 * ms},
        learn={"variable": "tau", "unit": ms, "bounds": (9 * ms, 11 * ms), "constrain": "clamp"},
    )  # fmt: skip
    x, y = torch.rand(8, 20, 3), torch.zeros(8)
    batches = bnn.loader(x.numpy(), y.numpy(), 4, encode=lambda rows: rows.swapaxes(0, 1))
    bnn.fit(layer, batches, loss=lambda v, _: v.square().mean(), optimizer=torch.optim.SGD(layer.parameters(), 1e4), epochs=1, progress=False)
    (raw,) = layer.parameters()
    assert ((raw >= 9) & (raw <= 11)).all() and (raw != 10).all()
