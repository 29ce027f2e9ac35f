"""The interface of torch modules: shapes, time, state, inputs, parameters, checkpoints and errors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402
from codegen.errors import UnitError, UnsupportedError  # noqa: E402

LIF = """dv/dt = (I - v)/tau_m : 1 (unless refractory)
         dI/dt = -I/tau_s : 1
         tau_m : second (constant)
         tau_s : second (shared, constant)"""


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    seed(3)


def build(n_in=4, n=3, learn=True, delays=True, full=True, **options):
    """Inputs, a recurrent population, and the module made from them."""
    seed(3)
    inputs = InputGroup(n_in, name="inputs")
    cells = NeuronGroup(n, LIF, threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact", name="cells")
    cells.tau_m, cells.tau_s = "(10 + 5*rand())*ms", 5 * ms
    feed = Synapses(inputs, cells, "w : 1", on_pre="I_post += w", name="feed")
    feed.connect() if full else feed.connect(p=0.8)
    feed.w = "1 + rand()"
    loop = Synapses(cells, cells, "w : 1", on_pre="I_post += w", name="loop")
    loop.connect(condition="i != j")
    loop.w = "0.5*randn()"
    if delays:
        loop.delay = "rand()*5*ms"
    wanted = [bnn.Learn(feed, "w"), bnn.Learn(loop, "w"), bnn.Learn(cells, "tau_m", unit=ms, bounds=(2 * ms, 100 * ms))] if learn else []
    options = {"record": {"v": (cells, "v"), "spikes": cells}, "dtype": torch.float64, "namespace": {}} | options
    module = bnn.NetworkModule(Network(inputs, cells, feed, loop), learn=wanted, **options)
    return module, cells, feed, loop


def spikes(*shape, p=0.3):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(1)) < p).double()


# -------------------------------------------------------------------------------------------------------------------------------------- time and shape
def test_inputs_of_row_t_fire_in_step_t():
    inputs, cells = InputGroup(1), NeuronGroup(1, "v : 1", threshold="v > 0.5", reset="v = 0")
    feed = Synapses(inputs, cells, "w : 1", on_pre="v_post += w")
    feed.connect()
    feed.w = 1.0
    module = bnn.NetworkModule(Network(inputs, cells, feed), {"v": (cells, "v"), "spikes": cells}, namespace={})
    x = torch.zeros(6, 1)
    x[2] = 1
    y = module(x)
    assert y.v[:, 0].tolist() == [0, 0, 1, 0, 0, 0]  # delivered in step 2, after the threshold of that step
    assert y.spikes[:, 0].tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3)], ids=str)
def test_any_number_of_batch_axes(batch):
    module, *_ = build()
    x = spikes(20, *batch, 4)
    y = module(x)
    assert y.v.shape == y.spikes.shape == (20, *batch, 3)
    assert y.spikes.sum() > 0
    flat = module(x.reshape(20, -1, 4))
    assert torch.equal(flat.v.reshape(y.v.shape), y.v)
    one = module(x.reshape(20, -1, 4)[:, 0])
    torch.testing.assert_close(one.v, flat.v[:, 0], rtol=0, atol=1e-14)


def test_batch_first():
    module, cells, *_ = build(learn=False)
    swapped = bnn.NetworkModule(Network(*module._objects), module._specs | {"n": bnn.Count(cells)}, batch_first=True, dtype=torch.float64, namespace={})
    x = spikes(20, 5, 4)
    y, z = module(x), swapped(x.transpose(0, 1))
    assert z.v.shape == (5, 20, 3) and z.n.shape == (5, 3)
    assert torch.equal(z.v.transpose(0, 1), y.v) and torch.equal(z.n, y.spikes.sum(0))
    record, _ = swapped.step(x[0])
    assert torch.equal(record.v, y.v[0]) and record.n.shape == (5, 3)
    record, _ = swapped.step(x[0, 0])
    torch.testing.assert_close(record.v, y.v[0, 0], rtol=0, atol=1e-15)


def test_no_steps_give_empty_records():
    module, cells, *_ = build()
    y = module(torch.zeros(0, 2, 4))
    assert y.v.shape == y.spikes.shape == (0, 2, 3)


# ---------------------------------------------------------------------------------------------------------------------------------------------- state
@pytest.mark.parametrize("cuts", [(10,), (1, 2, 3), (7, 13, 14)], ids=str)
def test_pieces_of_a_run_are_the_run(cuts):
    module, *_ = build()
    x = spikes(25, 2, 4)
    whole = module(x)
    assert whole.spikes.sum() > 5
    state, pieces = None, []
    for first, last in zip((0, *cuts), (*cuts, 25)):
        record, state = module.run(x[first:last], state=state)
        pieces.append(record)
    assert torch.equal(torch.cat([p.v for p in pieces]), whole.v)
    assert torch.equal(torch.cat([p.spikes for p in pieces]), whole.spikes)


def test_gradients_flow_through_the_state():
    module, cells, feed, _ = build()
    x = spikes(20, 2, 4)
    whole = torch.autograd.grad(module(x).v.sum(), list(module.parameters()))
    first, state = module.run(x[:11])
    second, _ = module.run(x[11:], state=state)
    parts = torch.autograd.grad(first.v.sum() + second.v.sum(), list(module.parameters()))
    for one, other in zip(whole, parts):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_step_by_step():
    module, *_ = build()
    x = spikes(12, 2, 4)
    whole, state = module(x), None
    for t in range(12):
        record, state = module.step(x[t], state=state)
        assert torch.equal(record.v, whole.v[t]) and torch.equal(record.spikes, whole.spikes[t])
    assert set(state) == {"clock", "cells", "inputs"} and int(state["clock"]["t_in_timesteps"]) == 12
    keyword, _ = module.step(inputs=x[0])
    assert torch.equal(keyword.v, whole.v[0])


def test_the_state_can_be_changed():
    module, *_ = build()
    _, state = module.run(spikes(5, 2, 4))
    state["cells"]["v"] = torch.full((2, 3), 0.25, dtype=torch.float64)
    state["cells"]["I"] = torch.zeros(2, 3, dtype=torch.float64)
    state["cells"].pop("_spike_past")
    record, _ = module.run(torch.zeros(1, 2, 4), state=state)
    assert ((record.v > 0) & (record.v <= 0.25)).all()


def test_a_state_with_unknown_names_is_refused():
    module, *_ = build()
    _, state = module.run(spikes(5, 2, 4))
    with pytest.raises(KeyError, match="the state has 'cels', which the module does not know; it knows cells, clock, inputs"):
        module.run(spikes(5, 2, 4), state={**state, "cels": {}})
    with pytest.raises(KeyError, match="the state has 'cells.u', which the module does not know"):
        module.run(spikes(5, 2, 4), state={**state, "cells": {**state["cells"], "u": torch.zeros(3)}})


def test_the_users_objects_are_left_alone():
    module, cells, *_ = build()
    before = np.array(cells.v_)
    module(spikes(20, 4))
    np.testing.assert_array_equal(cells.v_, before)


# --------------------------------------------------------------------------------------------------------------------------------------------- inputs
def several_inputs():
    a, b = InputGroup(2, name="a"), InputGroup(3, name="b")
    cells = NeuronGroup(2, "dv/dt = (J - v)/(10*ms) : 1\nJ : 1 (input)", threshold="v > 1", reset="v = 0", method="exact", name="cells")
    synapses = [Synapses(source, cells, "w : 1", on_pre="v_post += w") for source in (a, b)]
    for one, weight in zip(synapses, (0.2, 0.3)):
        one.connect()
        one.w = weight
    return bnn.NetworkModule(Network(a, b, cells, synapses), {"v": (cells, "v")}, dtype=torch.float64, namespace={})


def test_several_inputs_by_place_and_by_name():
    module = several_inputs()
    a, b, drive = spikes(9, 4, 2), spikes(9, 4, 3), torch.rand(9, 4, 2)
    expected = module(a, b, drive).v
    assert torch.equal(module(J=drive, b=b, a=a).v, expected)
    assert torch.equal(module(a, J=drive, b=b).v, expected)
    assert torch.equal(module(a, b, drive[..., :1].expand(9, 4, 2)).v, module(a, b, drive[..., :1]).v)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (dict(a=(9, 2), b=(9, 3)), TypeError, "input 'J' is missing; the module's inputs are a, b, J"),
        (dict(a=(9, 2), b=(9, 3), J=(9, 2), c=(9, 1)), TypeError, "the module has no input 'c'; its inputs are a, b, J"),
        (dict(a=(9, 3), b=(9, 3), J=(9, 2)), ValueError, "input 'a' must have the shape (T, ..., 2), not (9, 3)"),
        (dict(a=(9, 1), b=(9, 3), J=(9, 2)), ValueError, "input 'a' must have the shape (T, ..., 2), not (9, 1)"),
        (dict(a=(2,), b=(9, 3), J=(9, 2)), ValueError, "input 'a' must have the shape (T, ..., 2), not (2,)"),
        (dict(a=(9, 2), b=(8, 3), J=(9, 2)), ValueError, "all inputs must have the same number of steps, not [8, 9]"),
        (dict(a=(9, 4, 2), b=(9, 5, 3), J=(9, 4, 2)), ValueError, "inputs have different batch axes: a (4,), b (5,), J (4,)"),
    ],
    ids=["missing", "unknown", "too many neurons", "too few", "no time axis", "different times", "different batches"],
)
def test_wrong_inputs(arguments, error, text):
    with pytest.raises(error) as caught:
        several_inputs()(**{name: torch.zeros(*shape) for name, shape in arguments.items()})
    assert str(caught.value) == text


def test_too_many_inputs_and_one_twice():
    module = several_inputs()
    a, b, drive = torch.zeros(9, 2), torch.zeros(9, 3), torch.zeros(9, 2)
    with pytest.raises(TypeError, match=r"the module takes 3 inputs \(a, b, J\), not 4"):
        module(a, b, drive, drive)
    with pytest.raises(TypeError, match="input 'a' is given twice"):
        module(a, b, drive, a=a)


def test_an_input_without_a_batch_axis_serves_the_whole_batch():
    module = several_inputs()
    a, b, drive = spikes(9, 4, 2), spikes(9, 3), torch.rand(9, 2)
    expected = module(a, b[:, None].expand(9, 4, 3), drive[:, None].expand(9, 4, 2)).v
    for given in (module(a, b, drive), module(b=b, J=drive, a=a)):
        assert given.v.shape == (9, 4, 2)
        torch.testing.assert_close(given.v, expected, rtol=0, atol=1e-15)


# ----------------------------------------------------------------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([1.0, np.nan, 1.0]), "cells.k of element 1 is nan: initial values must be finite; set cells.k (or init=) before making the module"),
        (np.array([1.0, 1.0, np.inf]), "cells.k of element 2 is inf: initial values must be finite; set cells.k (or init=) before making the module"),
        (np.zeros(3), "cells.k is 0 everywhere: it was never set. Set it, for example cells.k = ..., or give Learn(init=...)"),
        (np.array([1.0, 3.0, 1.0]), "cells.k of element 1 is 3., which is not between its bounds (0, 2); set values inside them first"),
        (np.array([1.0, 1.0, 0.0]), "cells.k of element 2 is 0., which is not between its bounds (0, 2); set values inside them first"),
    ],
)
def test_initial_values_that_cannot_be_right(value, text):
    inputs, cells = InputGroup(1), NeuronGroup(3, "dv/dt = -k*v/ms : 1\nk : 1", name="cells")
    cells.k = value
    with pytest.raises(ValueError) as error:
        bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, [bnn.Learn(cells, "k", bounds=(0, 2))], namespace={})
    assert str(error.value) == text


def test_learning_what_is_not_declared_tells_what_to_write():
    cells = NeuronGroup(3, "dv/dt = -v/tau : 1\nk : 1", name="cells", namespace={"tau": 10 * ms})
    with pytest.raises(ValueError) as error:
        bnn.Learn(cells, "tau")
    assert str(error.value) == (
        "'cells' declares no variable 'tau' that could be learned; it has k, v. "
        "A constant becomes learnable by a line such as `tau : 1` in the equations, with its unit for `1`."
    )


def test_a_margin_with_units_needs_a_width():
    inputs = InputGroup(1)
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : volt", threshold="v > 10*mV", reset="v = 0*mV", method="exact", name="cells")
    with pytest.raises(UnitError) as error:
        bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, namespace={})
    assert str(error.value) == (
        "the threshold of cells is in volt, so the surrogate needs a width in volt\n  v > 10*mV\n  ^^^^^^^^^\n"
        "Give the distance over which a spike counts, such as Surrogate(SuperSpike(), width=10*mvolt)."
    )
    with pytest.raises(UnitError, match="the surrogate's width is in second, but the threshold of cells is in volt"):
        bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, gradient=bnn.Surrogate(width=1 * ms), namespace={})
    bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, gradient=bnn.TrueGradient(), namespace={})


def test_thresholds_without_a_margin_are_refused_by_surrogates():
    inputs, cells = InputGroup(1), NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", threshold="v > 1 and i > 0", reset="v = 0", method="exact", name="cells")
    with pytest.raises(UnsupportedError, match="a surrogate gradient needs a threshold that is one comparison"):
        bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, namespace={})
    bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, gradient=bnn.TrueGradient(), namespace={})


def test_what_modules_do_not_have_is_refused_by_name():
    cells = NeuronGroup(2, "v : 1", threshold="v > 1", reset="v = 0", name="cells")
    inputs = InputGroup(3)
    S = Synapses(inputs, cells, "w : 1", on_pre="v_post = w", name="overwrite")
    S.connect()
    S.w = 1
    with pytest.raises(UnsupportedError, match="the result of pathway overwrite.pre depends on the order of its synapses, so it cannot be trained"):
        bnn.NetworkModule(Network(inputs, cells, S), {"v": (cells, "v")}, namespace={})


def test_what_is_computed_where_it_is_used_is_not_recorded():
    cells = NeuronGroup(2, "v : 1\nx = 2*v : 1", threshold="v > 1", reset="v = 0", refractory=1 * ms, name="cells")
    inputs = InputGroup(1)
    for name in ("x", "lastspike"):
        with pytest.raises(UnsupportedError, match=f"record={{'r': ...}}: 'cells' computes '{name}' where it is used; modules record v only"):
            bnn.NetworkModule(Network(inputs, cells), {"r": (cells, name)}, namespace={})
    assert bnn.NetworkModule(Network(inputs, cells), {"r": (cells, "not_refractory")}, namespace={})(torch.ones(3, 1)).r.all()


def test_records_and_learned_objects_must_be_in_the_network():
    inputs, cells, other = InputGroup(1), NeuronGroup(2, "v : 1", name="cells"), NeuronGroup(2, "v : 1\nk : 1", name="other")
    other.k = 1
    with pytest.raises(ValueError, match=r"record=\{'v': \.\.\.\} names 'other', which is not in the network"):
        bnn.NetworkModule(Network(inputs, cells), {"v": (other, "v")}, namespace={})
    with pytest.raises(ValueError, match=r"Learn\('other', 'k'\) names an object that is not in the network"):
        bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, [bnn.Learn(other, "k")], namespace={})
    with pytest.raises(ValueError, match=r"record=\{'u': \.\.\.\}: 'cells' has no variable 'u'; it has v"):
        bnn.NetworkModule(Network(inputs, cells), {"u": (cells, "u")}, namespace={})
    with pytest.raises(ValueError, match=r"record=\{'s': \.\.\.\}: 'cells' has no threshold, so it has no spikes"):
        bnn.NetworkModule(Network(inputs, cells), {"s": cells}, namespace={})
    with pytest.raises(ValueError, match="other.k is to be learned twice"):
        bnn.NetworkModule(Network(inputs, other), {"v": (other, "v")}, [bnn.Learn(other, "k"), bnn.Learn(other, "k")], namespace={})


def test_nan_is_an_error_that_names_the_variable():
    inputs, cells = InputGroup(1), NeuronGroup(3, "dv/dt = v**2/ms : 1", method="euler", name="cells")
    cells.v = [0, 0, 10]
    module = bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, namespace={})
    with pytest.raises(FloatingPointError, match="cells.v of element 2 is not finite after step 50"):
        module(torch.zeros(50, 1))


# --------------------------------------------------------------------------------------------------------------------------------------- parameters
BOUNDS = [(2 * ms, 30 * ms), (2 * ms, None), (None, 30 * ms)]


@pytest.mark.parametrize("bounds", BOUNDS, ids=["both", "below", "above"])
def test_bounds_hold_whatever_the_optimiser_does(bounds):
    inputs, cells = InputGroup(1), NeuronGroup(3, "dv/dt = (1 - v)/tau : 1\ntau : second", method="exact")
    cells.tau = [5, 10, 20] * ms
    learn = [bnn.Learn(cells, "tau", unit=ms, bounds=bounds)]
    module = bnn.NetworkModule(Network(inputs, cells), {"v": (cells, "v")}, learn, dtype=torch.float64, namespace={})
    np.testing.assert_allclose(module.value(cells, "tau").detach().numpy(), [5, 10, 20], rtol=1e-12)
    for sign in (1, -1):
        optimizer = torch.optim.SGD(module.parameters(), lr=1e6)
        for _ in range(3):
            optimizer.zero_grad()
            (sign * module(torch.zeros(10, 1)).v.sum()).backward()
            optimizer.step()
        tau = module.value(cells, "tau").detach()
        assert torch.isfinite(tau).all()
        assert bounds[0] is None or (tau >= 2).all()
        assert bounds[1] is None or (tau <= 30).all()


def test_full_connectivity_is_a_matrix_that_torch_can_fill():
    module, _, feed, loop = build()
    assert module.value(feed, "w").shape == (4, 3) and module.value(loop, "w").shape == (6,)
    torch.nn.init.constant_(module.parameter(feed, "w"), 0.5)
    torch.nn.init.xavier_uniform_(module.parameter(feed, "w"))
    weights = module.value(feed, "w").detach().numpy()
    module.write_back()
    np.testing.assert_allclose(feed.w_, weights.ravel(), rtol=0, atol=0)
    np.testing.assert_array_equal(feed.i, np.repeat(np.arange(4), 3))
    assert weights.std() > 0.1


def test_write_back_gives_the_simulator_the_trained_values():
    module, cells, feed, loop = build()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    x = spikes(30, 1, 4)
    for _ in range(3):
        optimizer.zero_grad()
        (module(x).v - 0.5).square().mean().backward()
        optimizer.step()
    before = np.array(cells.tau_m_)
    module.write_back()
    assert (np.array(cells.tau_m_) != before).all()
    np.testing.assert_allclose(np.array(cells.tau_m_) * 1e3, module.value(cells, "tau_m").detach().numpy(), rtol=1e-15)
    y = module(x)
    again = bnn.NetworkModule(Network(*module._objects), {"v": (cells, "v")}, dtype=torch.float64, namespace={})(x)
    torch.testing.assert_close(again.v, y.v, rtol=1e-12, atol=1e-14)
    prefs.codegen.target = "numpy"
    try:
        simulated = module.simulate(x)
    finally:
        prefs.reset_to_defaults()
    assert torch.equal(simulated.spikes, y.spikes) and y.spikes.sum() > 3
    torch.testing.assert_close(simulated.v, y.v, rtol=0, atol=1e-12)


def test_state_dict_round_trip(tmp_path):
    module, cells, feed, _ = build()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    fresh, *_ = build()
    x = spikes(20, 2, 4)
    assert not torch.equal(fresh(x).v, module(x).v)
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(fresh(x).v, module(x).v)
    assert {key.split(".")[1] for key in module.state_dict() if key.startswith("learned")} == {"synapses_0_w", "synapses_1_w", "neurongroup_0_tau_m"}


def test_parameters_of_another_network_are_refused():
    module, *_ = build(full=False)
    seed(4)
    other, *_ = build(full=False, n=3)
    other_delays = other.state_dict()
    seed(3)
    bigger, *_ = build(n=5)
    with pytest.raises((ValueError, RuntimeError)):
        module.load_state_dict(bigger.state_dict())
    changed = {**other_delays, "_extra_state": {"model": bigger.digest()}}
    with pytest.raises(ValueError, match="these parameters belong to another network: it differs in object1"):
        module.load_state_dict(changed)


@pytest.mark.parametrize("convert", [lambda m: m.double(), lambda m: m.to(torch.float64)], ids=["double()", "to(float64)"])
def test_changing_the_type(convert):
    module, *_ = build(dtype=torch.float32)
    reference, *_ = build(dtype=torch.float64)
    x = spikes(20, 2, 4)
    assert module(x).v.dtype == torch.float32
    module = convert(module)
    assert module(x).v.dtype == torch.float64 and module(x.float()).v.dtype == torch.float64
    assert {p.dtype for p in module.parameters()} == {torch.float64}
    module.load_state_dict(reference.state_dict())  # constants were never rounded to float32
    assert torch.equal(module(x).v, reference(x).v)


def test_shared_parameters_are_one_number():
    module, cells, *_ = build(learn=False)
    one = bnn.NetworkModule(Network(*module._objects), {"v": (cells, "v")}, [bnn.Learn(cells, "tau_s", unit=ms)], dtype=torch.float64, namespace={})
    assert one.value(cells, "tau_s").shape == (1,) and one.value(cells, "tau_s").item() == pytest.approx(5)


# ---------------------------------------------------------------------------------------------------------------------------------------- NeuronModule
def test_layers_in_a_sequence_train():
    torch.manual_seed(0)
    equations = "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second"
    hidden = bnn.NeuronModule(8, equations, threshold="v > 1", reset="v = 0", parameters={"tau": 10 * ms}, learn="tau", method="exact")
    readout = bnn.NeuronModule(2, equations, parameters={"tau": 20 * ms}, method="exact")
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), hidden, torch.nn.Linear(8, 2), readout)
    x, target = torch.rand(1, 5, 4).expand(30, 5, 4) * 6, torch.tensor([0, 1, 0, 1, 1])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x).mean(0), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert net(x).shape == (30, 5, 2)
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    names = [key for key in net.state_dict() if "tau" in key]
    assert names == ["1.network.learned.neurongroup_0_tau.parametrizations.value.original"]


def test_a_layer_keeps_its_state_and_writes_back():
    layer = bnn.NeuronModule(
        3, "dv/dt = (J - v)/tau : 1\nJ : 1 (input)\ntau : second", threshold="v > 1", reset="v = 0", parameters={"tau": 10 * ms},
        learn={"variable": "tau", "unit": ms, "bounds": (1 * ms, 50 * ms)}, output="v", dtype=torch.float64,
    )  # fmt: skip
    x = 3 * torch.rand(12, 2, 3, dtype=torch.float64)
    whole = layer(x)
    first, state = layer.run(x[:5])
    second, state = layer.run(x[5:], state=state)
    assert torch.equal(torch.cat([first, second]), whole)
    one, _ = layer.step(x[0])
    assert torch.equal(one, whole[0])
    with torch.no_grad():
        next(layer.parameters()).add_(0.3)
    layer.write_back()
    np.testing.assert_allclose(np.array(layer.group.tau_) * 1e3, layer.network.value(layer.group, "tau").detach().numpy())


def test_a_layer_needs_an_input():
    with pytest.raises(ValueError, match=r"a NeuronModule needs a variable that is fed from outside: add a line such as `J : 1 \(input\)` to its equations"):
        bnn.NeuronModule(3, "dv/dt = -v/(10*ms) : 1")
