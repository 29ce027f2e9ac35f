"""Read-outs, losses on spikes, costs on counts, encoders, and what is measured of activity and memory."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike import encoders  # noqa: E402
from brianlike.only import *  # noqa: E402


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    seed(2)
    torch.manual_seed(2)


def raster(*shape, p=0.1, seed=1):
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < p).double()


def network(record, n_in=6, n=5, **options):
    inputs, cells = InputGroup(n_in), NeuronGroup(n, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
    feed, loop = Synapses(inputs, cells, "w : 1", on_pre="v_post += w"), Synapses(cells, cells, "w : 1", on_pre="v_post += w")
    feed.connect()
    feed.w = "0.3 + 0.4*rand()"
    loop.connect(condition="i != j")
    loop.w = "0.2*randn()"
    loop.delay = 2 * ms
    learn = [bnn.Learn(feed, "w"), bnn.Learn(loop, "w")]
    options = {"dtype": torch.float64, "namespace": {}} | options
    return bnn.NetworkModule(Network(inputs, cells, feed, loop), record(cells), learn, **options), inputs, cells


# ------------------------------------------------------------------------------------------------------------------------------------------- read-outs
def test_the_first_spike_of_each_neuron():
    module, _, cells = network(lambda cells: {"first": bnn.FirstSpike(cells), "spikes": cells})
    x = raster(40, 3, 6, p=0.12)
    x[:, 2] = 0
    y = module(x)
    assert y.spikes[:, :2].sum() > 5 and y.spikes[:, 2].sum() == 0
    expected = torch.where(y.spikes.sum(0) > 0, y.spikes.argmax(0) * 1e-3, 0.040).double()
    assert torch.allclose(y.first, expected) and torch.allclose(bnn.first_spike_time(y.spikes), expected)
    assert torch.equal(module.simulate(x).first, y.first)


def test_the_gradient_of_a_first_spike_is_that_of_its_product():
    spikes = torch.tensor([0.0, 1, 0, 0, 1, 0], dtype=torch.float64)[:, None].requires_grad_()
    (gradient,) = torch.autograd.grad(bnn.first_spike_time(spikes, dt=1 * ms).sum(), spikes)
    # one step earlier at step 0; without the spike of step 1 the first would be at step 4; later ones change nothing
    assert torch.allclose(gradient[:, 0] * 1e3, torch.tensor([-1.0, -3, 0, 0, 0, 0], dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda s: bnn.first_spike_time(s, dt=1 * ms), torch.rand(6, 2, dtype=torch.float64, requires_grad=True))


def test_first_spikes_are_learned():
    module, _, cells = network(lambda cells: {"first": bnn.FirstSpike(cells)})
    x, target = raster(40, 1, 6, p=0.12), torch.tensor([[5.0, 10, 15, 20, 25]]) * 1e-3
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    losses = []
    for _ in range(60):
        loss = ((module(x).first - target) / 0.01).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_first_spikes_are_those_of_a_group():
    cells = NeuronGroup(1, "dv/dt = -v/(10*ms) : 1", threshold="v > 1")
    with pytest.raises(TypeError, match="^FirstSpike takes a group, whose spikes it looks at, not "):
        bnn.FirstSpike((cells, "v"))


# ---------------------------------------------------------------------------------------------------------------------------------------------- losses
def test_the_right_neuron_shall_spike_first():
    times = torch.tensor([[0.004, 0.010, 0.006]], dtype=torch.float64, requires_grad=True)
    label = torch.tensor([2])
    loss = bnn.spike_time_cross_entropy(times, label, 2 * ms)
    expected = -torch.log(torch.exp(-times[0, 2] / 0.002) / torch.exp(-times[0] / 0.002).sum())
    assert torch.allclose(loss, expected)
    (gradient,) = torch.autograd.grad(loss, times)
    assert gradient[0, 2] > 0 > gradient[0, 0]
    early = bnn.spike_time_cross_entropy(times, label, 2 * ms, early=0.5, early_scale=10 * ms)
    assert torch.allclose(early - loss, 0.5 * torch.expm1(torch.tensor(0.6, dtype=torch.float64)))


def test_others_shall_spike_later():
    times = torch.tensor([[0.004, 0.010, 0.006, 0.004]], dtype=torch.float64)
    loss = bnn.relative_latency(times, torch.tensor([2]), 3 * ms)
    assert float(loss) == pytest.approx(((2 / 3) ** 2 + 1 + 1) / 4)  # target 4 ms; the others 7 or more


def test_van_rossum_distances_are_exact():
    def exact(one, other, tau):
        """From the closed form: the sum of exp(-|t - t'|/tau) over pairs, with signs, times 1/2."""
        t, s = (np.concatenate([one, other]), np.repeat([1.0, -1.0], [len(one), len(other)]))
        return 0.5 * float((s[:, None] * s * np.exp(-np.abs(t[:, None] - t) / tau)).sum())

    a, b = raster(60, 4), raster(60, 4, seed=5)
    found = bnn.van_rossum(a, b, tau=8 * ms)
    for n in range(4):
        assert float(found[n]) == pytest.approx(exact(*(x[:, n].nonzero()[:, 0].numpy() * 1e-3 for x in (a, b)), 0.008), rel=1e-12)
    assert bnn.van_rossum(a, a, tau=8 * ms).tolist() == [0] * 4
    assert torch.autograd.gradcheck(lambda s: bnn.van_rossum(s, b[:12], 8 * ms), torch.rand(12, 4, dtype=torch.float64, requires_grad=True))
    later = a.roll(1, 0)
    assert bool((bnn.van_rossum(a, later, 20 * ms) < bnn.van_rossum(a, later, 2 * ms)).all())


# --------------------------------------------------------------------------------------------------------------------------------------- regularisers
def test_costs_are_spytorchs():
    spikes = raster(30, 8, 5)
    count = spikes.sum(0)
    assert torch.allclose(8 * 5 * bnn.spikes_l1(count), spikes.sum())
    assert torch.allclose(8**2 * bnn.spikes_l2(count), (spikes.sum((0, 1)) ** 2).mean())


def test_bounds_cost_nothing_within():
    count = torch.tensor([[0.0, 2.0, 6.0], [1.0, 2.0, 8.0]])  # per sample 0.5, 2 and 7
    assert float(bnn.spikes_above(count, 2)) == pytest.approx(25 / 3) and float(bnn.spikes_below(count, 2)) == pytest.approx(2.25 / 3)
    assert float(bnn.spikes_above(count, 7)) == 0 == float(bnn.spikes_below(count, 0.5))
    assert bnn.spikes_l1(count[0]) == count[0].mean() and torch.equal(bnn.spikes_l2(count.reshape(2, 1, 3)), bnn.spikes_l2(count))


COSTS = {"l1": bnn.spikes_l1, "l2": bnn.spikes_l2, "above": lambda count: bnn.spikes_above(count, 1), "below": lambda count: bnn.spikes_below(count, 15)}


@pytest.mark.parametrize("name", COSTS)
def test_costs_change_activity(name):
    cost, up = COSTS[name], name == "below"
    module, _, _ = network(lambda cells: {"count": bnn.Count(cells)})
    x = raster(40, 8, 6, p=0.25)
    before = float(module(x).count.mean().detach())
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(15):
        optimizer.zero_grad()
        cost(module(x).count).backward()
        optimizer.step()
    after = float(module(x).count.mean().detach())
    assert after > 1.1 * before if up else after < 0.9 * before


# -------------------------------------------------------------------------------------------------------------------------------------------- encoders
def test_torch_and_numpy_encode_alike():
    x = torch.rand(5, 7, dtype=torch.float64)
    assert np.array_equal(bnn.LatencyEncoder(40, 15 * ms)(x).numpy(), encoders.latency(x.numpy(), 40, 15 * ms))
    assert bnn.LatencyEncoder(40, 15 * ms, threshold=0.5)(x).sum() < bnn.LatencyEncoder(40, 15 * ms)(x).sum()
    signal = torch.randn(50, 3, 2, dtype=torch.float64).cumsum(0)
    for graded in (False, True):
        assert np.array_equal(bnn.LevelCrossingEncoder(0.7, graded)(signal).numpy(), encoders.level_crossing(signal.numpy(), 0.7, graded))
    held = bnn.CurrentEncoder(2, 3, hold=4)
    with torch.no_grad():
        held.gain.fill_(2.0), held.bias.fill_(1.0)
    samples = torch.randn(5, 6, 2)  # (samples, time, channels)
    assert np.allclose(held(samples.transpose(0, 1)).detach().numpy(), 2 * (encoders.hold(samples.numpy(), 4, 3) + 1), atol=1e-6)


def test_poisson_spikes_have_their_rates():
    encoder = bnn.PoissonEncoder(500, generator=torch.Generator().manual_seed(3))
    spikes = encoder(torch.tensor([[0.0, 30.0, 5000.0]]).repeat(40, 1))
    assert spikes.shape == (500, 40, 3) and spikes.mean((0, 1)).tolist() == pytest.approx([0, 0.03, 1], rel=0.1)
    changing = bnn.PoissonEncoder()(torch.tensor([0.0, 1000.0, 0.0])[:, None])
    assert changing[:, 0].tolist() == [0, 1, 0]


def test_current_encoders_learn():
    encoder = bnn.CurrentEncoder(2, 3)
    assert sorted(name for name, _ in encoder.named_parameters()) == ["bias", "gain"]
    encoder(torch.ones(4, 2)).sum().backward()
    assert torch.equal(encoder.bias.grad, 4 * encoder.gain.detach()) and encoder.gain.grad.abs().sum() > 0


def test_levels_have_a_height():
    with pytest.raises(ValueError, match="^a level must have a height above 0, not 0$"):
        bnn.LevelCrossingEncoder(0)


# --------------------------------------------------------------------------------------------------------------------------------------------- metrics
def test_rates():
    spikes = raster(200, 3, 4)
    assert torch.allclose(bnn.firing_rate(spikes, dt=0.5 * ms), spikes.sum(0) / 0.1)
    assert torch.allclose(bnn.firing_rate(spikes), spikes.sum(0) / 0.2)


def test_the_cv_of_intervals_is_scipys():
    from scipy.stats import variation

    spikes = raster(300, 2, 3, p=0.05)
    spikes[:, 0, 0] = 0
    spikes[:7, 0, 0] = torch.tensor([1.0, 0, 0, 0, 0, 0, 1])
    found = bnn.interval_cv(spikes)
    assert found.shape == (2, 3) and torch.isnan(found[0, 0])
    for b, n in ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2)):
        assert float(found[b, n]) == pytest.approx(variation(np.diff(spikes[:, b, n].nonzero()[:, 0].numpy())), rel=1e-12)
    assert float(bnn.interval_cv(raster(200_000, 1, p=0.02))[0]) == pytest.approx(1, abs=0.03)


def test_sparseness_over_stimuli_and_over_neurons():
    rates = torch.tensor([[1.0, 0, 3], [1, 5, 1], [1, 0, 2]], dtype=torch.float64)
    lifetime, population = bnn.sparseness(rates), bnn.sparseness(rates, -1)
    assert lifetime.tolist() == pytest.approx([0, 1, (1 - 4 / (14 / 3)) / (2 / 3)]) and population.shape == (3,)
    assert float(population[0]) == pytest.approx((1 - (4 / 3) ** 2 / (10 / 3)) / (2 / 3))
    with pytest.raises(ValueError, match="^sparseness needs two values or more along its axis, not 1$"):
        bnn.sparseness(rates[:1])


def test_synaptic_operations_are_events_times_fan_out():
    module, inputs, cells = network(lambda cells: {"count": bnn.Count(cells), "spikes": cells})
    x = raster(40, 3, 6, p=0.2)
    y = module(x)
    found = bnn.synaptic_operations(module, {inputs: x.sum(0), cells: y.count})
    feed, loop = (item for item in module._objects if isinstance(item, Synapses))
    assert torch.equal(found[f"{feed.name}_pre"], x.sum((0, 2)) * 5) and torch.equal(found[f"{loop.name}_pre"], y.spikes.sum((0, 2)) * 4)
    with pytest.raises(ValueError, match="is reached by spikes of 'neurongroup"):
        bnn.synaptic_operations(module, {inputs: x.sum(0)})


def test_memory_is_known_before_training():
    record = lambda cells: {"v": (cells, "v"), "count": bnn.Count(cells)}  # noqa: E731
    for options in ({}, {"batch_first": True}):
        module, _, _ = network(record, n_in=12, n=20, engine="torch", **options)
        estimate = bnn.memory_estimate(module, steps=60, batch=16)
        from brianlike.nn.metrics import _kept

        assert estimate.graph == pytest.approx(_kept(module, 60, 16), rel=0.01) and estimate.graph > 8 * 60 * 16 * 20 * 3
        assert estimate.inputs == 8 * 60 * 16 * 12 and estimate.parameters == 4 * 8 * (12 * 20 + 20 * 19)
        assert estimate.total == estimate.graph + estimate.inputs + estimate.parameters
        assert str(estimate).startswith(f"Memory(total {estimate.total / 2**20:,.1f} MiB, graph ")
    whole = bnn.memory_estimate(module, 60, 16).graph
    assert bnn.memory_estimate(module, 60, 16, checkpoint=5).graph < whole / 4 and module.checkpoint is None
