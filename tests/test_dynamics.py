"""Whatever runs inside a module beside the equations of neurons is what the simulator runs, has the gradient of its equations, and matters."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import dynamics  # noqa: E402
from adjoints import assert_same_gradients  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402
from codegen.errors import ModelError, UnsupportedError  # noqa: E402

every_model = pytest.mark.parametrize("name", dynamics.MODELS)
every_noise = pytest.mark.parametrize("name", dynamics.NOISY)


@pytest.fixture(autouse=True)
def _fresh():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    prefs.reset_to_defaults()
    defaultclock.dt = 0.1 * ms
    start_scope()


def assert_same_records(one, other, tolerance=1e-9):
    for name in one._fields:
        a, b = getattr(one, name), getattr(other, name)
        assert a.shape == b.shape, name
        if name in ("spikes", "noise", "high"):
            assert torch.equal(a, b), name
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("engine", ["numpy", "cython"])
@every_model
def test_the_simulator_gives_the_same(engine, name):
    prefs.codegen.target = engine
    module, _ = dynamics.build(name)
    x = dynamics.inputs()
    with torch.no_grad():
        y = module(x, seed=7)
    assert y.spikes.sum() > 10
    assert_same_records(y, module.simulate(x, seed=7))


@every_model
def test_it_matters(name):
    x = dynamics.inputs()
    with torch.no_grad():
        with_it, without = (dynamics.build(name, on, learn=False)[0](x, seed=7) for on in (True, False))
    assert not torch.equal(with_it.v, without.v)


@every_model
def test_pieces_of_a_run_are_the_run(name):
    module, _ = dynamics.build(name)
    x = dynamics.inputs()
    with torch.no_grad():
        whole, last = module.run(x, seed=7)
        first, state = module.run(x[:13], seed=7)
        second, state = module.run(x[13:14], state=state)
        third, state = module.run(x[14:], state=state)
    for key in whole._fields:
        assert torch.equal(torch.cat([getattr(part, key) for part in (first, second, third)]), getattr(whole, key)), key
    for owner, variables in last.items():
        for variable, value in variables.items():
            assert torch.equal(state[owner][variable].expand(value.shape), value), (owner, variable)


@pytest.mark.parametrize("name", [name for name in dynamics.MODELS if name not in dynamics.WITHOUT_ADJOINT])
def test_gradients_are_those_of_the_adjoint_program(name):
    module, built = dynamics.build(name)
    assert_same_gradients(module, {"source": dynamics.inputs()}, seed=7)


def test_the_adjoint_program_refuses_by_name_what_only_torch_has():
    module, built = dynamics.build("synapses_that_set")
    with pytest.raises(UnsupportedError, match="gap.gap_run_regularly writes `cells.m` from several synapses in an order that matters"):
        assert_same_gradients(module, {"source": dynamics.inputs()})


@every_model
def test_gradients_are_finite_differences(name):
    """Without what depends on a spike's margin: the true gradient, where no spike changes."""
    module, built = dynamics.build(name, gradient=bnn.TrueGradient())
    x = dynamics.inputs(steps=25)
    generator = torch.Generator().manual_seed(1)
    weights = {key: torch.randn(value.shape, generator=generator, dtype=torch.float64) for key, value in module(x, seed=7)._asdict().items()}

    def loss():
        y = module(x, seed=7)
        return sum((getattr(y, key) * weight).sum() for key, weight in weights.items()), y.spikes

    value, spikes = loss()
    scale = float(value.detach().abs())
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients):
        if gradient is None:
            continue
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * 1e-6 * direction
                moved, same = loss()
                parameter -= sign * 1e-6 * direction
            assert torch.equal(same, spikes)
            sides.append(moved)
        numeric = (sides[0] - sides[1]) / 2e-6
        torch.testing.assert_close((gradient * direction).sum(), numeric, rtol=2e-5, atol=1e-5 * scale)


@every_model
def test_a_file_holds_all_of_it(name, tmp_path):
    module, _ = dynamics.build(name)
    x = dynamics.inputs()
    with torch.no_grad():
        expected = module(x, seed=7)
        bnn.save(module, tmp_path / "module.safetensors")
        start_scope()
        assert_same_records(expected, bnn.load(tmp_path / "module.safetensors")(x, seed=7), tolerance=0)


# ----------------------------------------------------------------------------------------------------------------------------- different groups, generators
def two_units(gradient):
    """A group in volt, and one without a unit."""
    defaultclock.dt = 1 * ms
    inputs = InputGroup(4, name="source")
    first = NeuronGroup(3, "dv/dt = -v/(10*ms) : volt", threshold="v > 10*mV", reset="v = 0*mV", method="exact", name="first")
    second = NeuronGroup(2, "dv/dt = -v/(8*ms) : 1", threshold="v > 1", reset="v -= 1", method="exact", name="second")
    feed = Synapses(inputs, first, "w : volt", on_pre="v_post += w", name="feed")
    on = Synapses(first, second, "w : 1", on_pre="v_post += w", name="on")
    feed.connect(), on.connect()
    feed.w, on.w = "(3 + i + j)*mV", "0.5 + 0.2*i"
    record = {"a": first, "b": second, "v": (second, "v")}
    learn = [bnn.Learn(feed, "w"), bnn.Learn(on, "w")]
    made = gradient(first, second)
    return bnn.NetworkModule(Network(inputs, first, second, feed, on), record, learn, made, dtype=torch.float64, namespace={})


def test_groups_have_gradients_of_their_own():
    x = {"source": (torch.rand(30, 2, 4, generator=torch.Generator().manual_seed(1)) < 0.3).double()}
    mine = bnn.Surrogate(bnn.SuperSpike(beta=2), width=5 * mV), bnn.Surrogate(bnn.Triangle(), width=2)
    both = two_units(lambda first, second: {first: mine[0], second: mine[1]})
    assert_same_gradients(both, x)
    other = two_units(lambda first, second: {first: mine[0], second: bnn.Surrogate(width=3)})
    gradients = [torch.autograd.grad(module(**x).b.sum(), list(module.parameters())) for module in (both, other)]
    assert not torch.equal(gradients[0][0], gradients[1][0])
    with pytest.raises(ValueError, match="gradient= has one for each of first, but none for 'second', which has a threshold, too"):
        two_units(lambda first, second: {first: mine[0]})
    with pytest.raises(ModelError, match="the surrogate.s width is in 1, but the threshold of first is in volt"):
        two_units(lambda first, second: {first: mine[1], second: mine[1]})


def test_resets_are_detached_by_group():
    x = {"source": (torch.rand(30, 2, 4, generator=torch.Generator().manual_seed(1)) < 0.3).double()}
    shape, gradients = bnn.SuperSpike(beta=2), []
    for detach in (None, False):
        module = two_units(lambda first, second: {first: bnn.Surrogate(shape, width=5 * mV), second: bnn.Surrogate(shape, detach_reset=detach)})  # noqa: B023
        assert_same_gradients(module, x)
        gradients.append(torch.autograd.grad(module(**x).v.sum(), list(module.parameters())))
    assert all(not torch.equal(a, b) for a, b in zip(*gradients))


def test_gradients_by_group_are_kept_in_files(tmp_path):
    x = (torch.rand(30, 2, 4, generator=torch.Generator().manual_seed(1)) < 0.3).double()
    module = two_units(lambda first, second: {first: bnn.Surrogate(width=5 * mV), second: bnn.Surrogate(bnn.Triangle())})
    bnn.save(module, tmp_path / "module.safetensors")
    start_scope()
    again = bnn.load(tmp_path / "module.safetensors")
    for one, other in zip(*(torch.autograd.grad(m(x).v.sum(), list(m.parameters())) for m in (module, again))):
        assert torch.equal(one, other)


def test_generated_spikes_go_on_in_the_next_piece():
    defaultclock.dt = 1 * ms
    generator = SpikeGeneratorGroup(2, [0, 1, 0], [1, 4, 7] * ms, name="generator")
    cells = NeuronGroup(2, "dv/dt = -v/(10*ms) : 1", method="exact", name="cells")
    feed = Synapses(generator, cells, on_pre="v_post += 1", name="feed")
    feed.connect("i == j")
    module = bnn.NetworkModule(Network(generator, cells, feed), {"v": (cells, "v")}, dtype=torch.float64, namespace={})
    whole, (first, state) = module(steps=10), module.run(steps=6)
    second, state = module.run(steps=3, state=state)
    third, _ = module.step(state=state)
    assert torch.equal(torch.cat([first.v, second.v, third.v[None]]), whole.v) and whole.v[9].min() > 0


def test_layers_have_noise():
    layer = bnn.NeuronModule(3, "dv/dt = (J - v)/(10*ms) + 0.1*xi*ms**-0.5 : 1\nJ : 1 (input)", dtype=torch.float64, method="euler")
    x = torch.ones(12, 4, 3, dtype=torch.float64)
    whole = layer(x, seed=1)
    assert torch.equal(whole, layer(x, seed=1)) and not torch.equal(whole, layer(x, seed=2))
    torch.testing.assert_close(layer(x[:, 2:], seed=1, samples=2), whole[:, 2:], rtol=0, atol=1e-14)
    first, state = layer.run(x[:5], seed=1)
    second, _ = layer.run(x[5:], state=state)
    assert torch.equal(torch.cat([first, second]), whole)


# -------------------------------------------------------------------------------------------------------------------------------------------------- noise
@every_noise
def test_the_same_seed_is_the_same_noise_however_the_batch_is_split(name):
    module, _ = dynamics.build(name)
    x = dynamics.inputs((2, 3))
    with torch.no_grad():
        whole = module(x, seed=11)
        rows = [module(x[:, n], seed=11, samples=3 * n) for n in range(2)]
        single = module(x[:, 1, 2], seed=11, samples=torch.tensor(5))
        other = module(x, seed=12)
        moved = module(x, seed=11, samples=torch.arange(6).flip(0).reshape(2, 3))
    for n, row in enumerate(rows):
        torch.testing.assert_close(row.v, whole.v[:, n], rtol=0, atol=1e-12)
    torch.testing.assert_close(single.v, whole.v[:, 1, 2], rtol=0, atol=1e-12)
    assert not torch.equal(other.v, whole.v) and not torch.equal(moved.v, whole.v)


@every_noise
def test_samples_of_different_lengths_have_their_noise(name):
    module, _ = dynamics.build(name)
    x = dynamics.inputs()
    lengths = torch.tensor([17, 40, 9])
    with torch.no_grad():
        y, state = module.run(x, seed=3, lengths=lengths)
        for n, length in enumerate(lengths.tolist()):
            alone = module(x[:length, n], seed=3, samples=n)
            torch.testing.assert_close(y.v[:length, n], alone.v, rtol=0, atol=1e-12)
        more, _ = module.run(dynamics.inputs(steps=8), state=state)
        for n, length in enumerate(lengths.tolist()):
            alone = module(torch.cat([x[:length, n], dynamics.inputs(steps=8)[:, n]]), seed=3, samples=n)
            torch.testing.assert_close(more.v[:, n], alone.v[length:], rtol=0, atol=1e-12)


@every_noise
def test_checkpointing_repeats_the_noise(name):
    gradients = []
    for checkpoint in (None, 7):
        module, _ = dynamics.build(name, checkpoint=checkpoint)
        gradients.append(torch.autograd.grad(module(dynamics.inputs(), seed=3).v.square().sum(), list(module.parameters()), allow_unused=True))
    for one, other in zip(*gradients):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_torch_gives_the_seed():
    module, _ = dynamics.build("white_noise")
    x = dynamics.inputs()
    with torch.no_grad():
        torch.manual_seed(1)
        first, second = module(x), module(x)
        torch.manual_seed(1)
        again = module(x)
    assert torch.equal(first.v, again.v) and not torch.equal(first.v, second.v)


def test_members_of_a_batch_have_noise_of_their_own():
    module, _ = dynamics.build("white_noise")
    x = dynamics.inputs((1,)).expand(-1, 5, -1)
    with torch.no_grad():
        v = module(x, seed=1).v
    assert all(not torch.equal(v[:, 0], v[:, n]) for n in range(1, 5))
    assert abs(np.corrcoef(v[:, 0].ravel() - v.mean(1).ravel(), v[:, 1].ravel() - v.mean(1).ravel())[0, 1]) < 0.7


def test_a_network_of_noise_alone_has_steps_and_a_batch():
    defaultclock.dt = 1 * ms
    noise = PoissonGroup(50, rates="(50 + 10*i)*Hz", name="noise")
    module = bnn.NetworkModule(Network(noise), {"spikes": noise, "count": bnn.Count(noise)}, dtype=torch.float64, namespace={})
    with torch.no_grad():
        y = module(steps=400, batch=(30,), seed=4)
        assert y.spikes.shape == (400, 30, 50)
        expected = 400 * (0.05 + 0.01 * torch.arange(50))
        assert ((y.count.mean(0) - expected).abs() < 5 * (expected / 30).sqrt()).all()
        simulated = module.simulate(steps=400, batch=(30,), seed=4)
    assert torch.equal(simulated.spikes, y.spikes)
    with pytest.raises(ValueError, match="the network has no InputGroup and no .* variable, so its number of steps is unknown; give it one, or steps="):
        module()


def test_the_probability_of_a_chance_spike_has_the_derivative_one():
    defaultclock.dt = 1 * ms
    cells = NeuronGroup(3, "p : 1", threshold="rand() < p", name="cells")
    cells.p = [0.2, 0.5, 0.8]
    for gradient, slope in ((bnn.Surrogate(width=10 * mV), 1.0), (bnn.TrueGradient(), 0.0)):
        module = bnn.NetworkModule(Network(cells), {"spikes": cells}, [bnn.Learn(cells, "p")], gradient, dtype=torch.float64, namespace={})
        spikes = module(steps=10, batch=(4,), seed=1).spikes
        weights = torch.arange(10 * 4 * 3, dtype=torch.float64).reshape(10, 4, 3)
        loss = (spikes * weights).sum()
        found = torch.autograd.grad(loss, module.parameter(cells, "p"))[0] if slope else torch.zeros(3, dtype=torch.float64)
        torch.testing.assert_close(found, slope * weights.sum((0, 1)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_uniform_numbers_are_below_one_in_any_type(dtype):
    defaultclock.dt = 1 * ms
    cells = NeuronGroup(2000, "u : 1", name="cells")
    cells.run_regularly("u = rand()")
    module = bnn.NetworkModule(Network(cells), {"u": (cells, "u")}, dtype=dtype, namespace={})
    u = module(steps=20, seed=1).u
    assert u.dtype == dtype and u.min() >= 0 and u.max() < 1 and abs(float(u.float().mean()) - 0.5) < 0.01


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seed": -1}, r"a seed is a whole number from 0 to 2\*\*32 - 1, not -1"),
        ({"samples": torch.arange(4)}, r"samples= must hold whole numbers in the shape of the batch, \(3,\), not torch.int64 \(4,\)"),
        ({"samples": torch.ones(3)}, "samples= must hold whole numbers"),
        ({"samples": -1}, r"samples= must be numbers from 0 to 2\*\*32 - 1"),
    ],
)
def test_wrong_seeds_and_samples(options, text):
    module, _ = dynamics.build("white_noise")
    with pytest.raises(ValueError, match=text):
        module(dynamics.inputs(), **options)


# ------------------------------------------------------------------------------------------------------------------------------------------------- traces
def test_event_driven_and_clock_driven_traces_are_one():
    """Spikes, weights and gradients, which the jumps at events would not give."""
    records, gradients = [], []
    for name in ("stdp", "stdp_clock_driven"):
        module, _ = dynamics.build(name)
        y = module(dynamics.inputs())
        records.append(y)
        gradients.append(torch.autograd.grad(y.w.square().sum() + y.v.square().sum(), list(module.parameters())))
    assert torch.equal(records[0].spikes, records[1].spikes)
    torch.testing.assert_close(records[0].w, records[1].w, rtol=1e-12, atol=1e-12)
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("engine", ["numpy", "cython"])
def test_plasticity_in_a_run_is_that_of_the_module(engine):
    """Event by event in the simulator, where every synapse or neuron has its traces: the same weights after the run."""
    prefs.codegen.target = engine
    module, built = dynamics.build("stdp")
    x = dynamics.inputs((1,))
    with torch.no_grad():
        y, state = module.run(x)
    inputs, cells, feed = built.objects
    steps, neurons = np.nonzero(x[:, 0].numpy())
    inputs.set_spikes(neurons, steps * ms)
    spikes = SpikeMonitor(cells)
    Network(*built.objects, spikes).run(dynamics.STEPS * ms)
    assert len(spikes.i) == int(y.spikes.sum()) > 10
    np.testing.assert_allclose(feed.w_[:], state["feed"]["w"][0].numpy(), rtol=1e-12, atol=1e-12)
    assert np.ptp(np.asarray(feed.w_) - np.asarray(module._constants.get("feed.w", module.learned_values().get("feed.w")))) > 0.05


def refused(objects, text, **options):
    with pytest.raises(UnsupportedError, match=text):
        bnn.NetworkModule(Network(objects), {}, namespace={}, **options)


def test_what_modules_cannot_hold_is_refused_by_name():
    inputs, cells = dynamics.source(), dynamics.lif()
    traced = Synapses(inputs, cells, "dx/dt = -x/(5*ms) : 1 (event-driven)\nw : 1", on_pre="x += 1", name="traced")
    traced.connect()
    traced.run_regularly("w = x", name="reader")
    refused([inputs, cells, traced], "the code reader of traced uses `x`, whose value between events only the simulator has")

    late = Synapses(inputs, cells, "dx/dt = -x/(5*ms) : 1 (event-driven)", on_pre="x += lastupdate/second", name="late")
    late.connect()
    refused([inputs, cells, late], "pathway pre of late uses `lastupdate`, whose value between events")

    moving = Synapses(inputs, cells, "dx/dt = -x*v_post/(5*ms) : 1 (event-driven)", on_pre="x += 1", name="moving")
    moving.connect()
    refused([inputs, cells, moving], "the event-driven equation of `x` of moving reads `v`, which changes between events")

    setting = Synapses(inputs, cells, "w : 1", on_pre="v_post = w", name="setting")
    setting.connect()
    refused([inputs, cells, setting], "the result of pathway setting.pre depends on the order of its synapses")

    cells.run_regularly("v *= 0.9", dt=2 * ms, name="slow")
    refused([inputs, cells], "a module has one clock, but source has dt = .* and slow has dt = ")


def test_python_is_refused_by_name():
    inputs, cells = dynamics.source(), dynamics.lif()

    @network_operation(name="operation")
    def operation():
        pass

    refused([inputs, cells, operation], r"a module cannot hold operation \(NetworkOperation\)")

    @check_units(x=1, result=1)
    def squashed(x):
        return np.tanh(x)

    group = NeuronGroup(2, "v : 1", threshold="squashed(v) > 1", namespace={"squashed": squashed})
    refused([inputs, group], "`squashed` is a Python function")
