"""Delays that are learned: whole steps as in the simulator forwards, the central difference of one step backwards."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import brianlike.nn as bnn  # noqa: E402
from brianlike.nn import delivery  # noqa: E402
from brianlike.only import *  # noqa: E402

LATE = ["start", "groups", "synapses", "thresholds", "resets", "end"]  # what fires in a step is delivered in the next one


@pytest.fixture(autouse=True)
def one_millisecond():
    defaultclock.dt = 1 * ms
    seed(3)


def linear_network(delays, schedule=None, on_pre="x_post += w", model="w : 1", share=None, **learn):
    """Inputs, and neurons without a threshold: what is recorded is linear in what arrives."""
    inputs, cells = InputGroup(3, name="inputs"), NeuronGroup(2, "dv/dt = (x - v)/(5*ms) : 1\ndx/dt = -x/(3*ms) : 1", method="exact", name="cells")
    feed = Synapses(inputs, cells, model, on_pre=on_pre, name="feed")
    feed.connect()
    feed.w = "0.5 + rand()"
    feed.delay = np.asarray(delays) * ms
    net = Network(inputs, cells, feed)
    if schedule:
        net.schedule = schedule
    learned = [bnn.Learn(feed, "delay", unit=ms, share=share, **learn), bnn.Learn(feed, "w")]
    return bnn.NetworkModule(net, {"v": (cells, "v")}, learned, dtype=torch.float64, namespace={}), feed


def drive(steps=14, batch=2):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(steps, batch, 3, generator=generator) < 0.3) * torch.rand(steps, batch, 3, generator=generator, dtype=torch.float64)


def loss_of(module, x, weights):
    return (module(x).v * weights).sum()


@pytest.mark.parametrize("path", ["matrices", "synapses"])
@pytest.mark.parametrize("schedule", [None, LATE], ids=["", "late"])
@pytest.mark.parametrize("share", [None, "source", "target", "all"])
def test_the_gradient_is_the_central_difference_of_one_step(share, schedule, path, monkeypatch):
    if path == "synapses":
        monkeypatch.setattr(delivery, "DENSE_LIMIT", 0)
    delays = {None: [0, 1, 2, 3, 6, 6], "source": [0, 0, 2, 2, 5, 5], "target": [1, 4] * 3, "all": [2] * 6}[share]
    module, feed = linear_network(delays, schedule, share=share)
    x, weights = drive(), torch.rand(14, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    raw = module.parameter(feed, "delay")
    (found,) = torch.autograd.grad(loss_of(module, x, weights), raw)
    expected = torch.zeros_like(found)
    with torch.no_grad():
        at = raw.clone()
        for n in np.ndindex(raw.shape):
            values = []
            for step in (1, -1 if at[n] > 0 else 0):
                raw.copy_(at)
                raw[n] += step
                values.append(loss_of(module, x, weights) / (1 if at[n] == 0 else 2))
            expected[n] = values[0] - values[1]
            raw.copy_(at)
    assert (found != 0).all()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_delays_of_synapses_with_variables_of_their_own():
    module, feed = linear_network([0, 1, 2, 3, 6, 6], on_pre="used = 1; x_post += w", model="w : 1\nused : 1")
    plain, other = linear_network([0, 1, 2, 3, 6, 6])
    plain.parameter(other, "w").data.copy_(module.parameter(feed, "w"))
    x, weights = drive(), torch.rand(14, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found, expected = (torch.autograd.grad(loss_of(m, x, weights), m.parameter(s, "delay"))[0] for m, s in ((module, feed), (plain, other)))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cuts", [(5,), (1, 2, 9)], ids=str)
def test_gradients_of_pieces_are_those_of_the_whole(cuts):
    module, feed = linear_network([1, 1, 2, 3, 6, 6])
    x, weights = drive(), torch.rand(14, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = torch.autograd.grad(loss_of(module, x, weights), list(module.parameters()))
    state, loss = None, 0.0
    for first, last in zip((0, *cuts), (*cuts, 14)):
        record, state = module.run(x[first:last], state=state)
        loss = loss + (record.v * weights[first:last]).sum()
    for one, other in zip(whole, torch.autograd.grad(loss, list(module.parameters()))):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_gradients_with_recomputed_steps_and_samples_of_different_lengths():
    module, feed = linear_network([0, 1, 2, 3, 6, 6])
    x, weights = drive(batch=3), torch.rand(14, 3, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    whole = torch.autograd.grad(loss_of(module, x, weights), list(module.parameters()))
    module.checkpoint = 4
    for one, other in zip(whole, torch.autograd.grad(loss_of(module, x, weights), list(module.parameters()))):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    lengths = torch.tensor([14, 5, 9])
    ragged = torch.autograd.grad((module(x, lengths=lengths).v * weights * (torch.arange(14)[:, None] < lengths)[..., None]).sum(), list(module.parameters()))
    alone = [torch.autograd.grad(loss_of(module, x[:n, k : k + 1], weights[:n, k : k + 1]), list(module.parameters())) for k, n in enumerate(lengths.tolist())]
    for place, one in enumerate(ragged):
        torch.testing.assert_close(one, sum(grads[place] for grads in alone), rtol=1e-12, atol=1e-12)


def recurrent(learn=True, delay="rand()*6*ms"):
    inputs = InputGroup(4, name="inputs")
    equations = "dv/dt = (I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1"
    cells = NeuronGroup(5, equations, threshold="v > 1", reset="v = 0", method="exact", name="cells")
    feed = Synapses(inputs, cells, "w : 1", on_pre="I_post += w", name="feed")
    loop = Synapses(cells, cells, "w : 1", on_pre="I_post += w", on_post={"back": "I_pre += 0.1"}, name="loop")
    feed.connect()
    loop.connect("i != j")
    feed.w, loop.w = "1 + rand()", "0.5*randn()"
    loop.delay = delay
    loop.back.delay = "i*ms"
    learned = [bnn.Learn(loop, "delay", bounds=(0 * ms, 10 * ms)), bnn.Learn(loop, "back.delay", unit=ms)] if learn else []
    module = bnn.NetworkModule(Network(inputs, cells, feed, loop), {"v": (cells, "v"), "spikes": cells}, learned, dtype=torch.float64, namespace={})
    return module, cells, loop


def spikes(steps=60, batch=2):
    return (torch.rand(steps, batch, 4, generator=torch.Generator().manual_seed(1)) < 0.3).double()


@pytest.mark.parametrize("delay", ["rand()*6*ms", "0*ms"], ids=["different", "none yet"])
def test_learned_delays_are_those_of_the_simulator(delay):
    module, cells, loop = recurrent(delay=delay)
    names = [name.split(".")[1] for name, _ in module.named_parameters()]
    assert names == ["synapses_1_delay", "synapses_1_back_delay"]
    before = module(spikes()).spikes.detach()
    optimizer = torch.optim.Adam(module.parameters(), lr=2)
    optimizer.register_step_post_hook(module.clamp_)
    for direction in (1, 1, -1):
        optimizer.zero_grad()
        (direction * module(spikes()).v.square().sum()).backward()
        assert all(p.grad.abs().sum() > 0 for p in module.parameters())
        optimizer.step()
        y, simulated = module(spikes()), module.simulate(spikes())
        assert torch.equal(simulated.spikes, y.spikes) and y.spikes.sum() > 20 and not torch.equal(y.spikes, before)
        torch.testing.assert_close(simulated.v, y.v.detach(), rtol=0, atol=1e-12)
    module.write_back()
    np.testing.assert_allclose(loop.delay / ms, module.value(loop, "delay").detach() * module.learned["synapses_1_delay"].scale * 1e3)
    np.testing.assert_allclose(loop.back.delay / ms, module.value(loop, "back.delay").detach())
    assert np.asarray(loop.delay).min() >= 0 and np.asarray(loop.delay).max() <= 0.01
    fixed = bnn.NetworkModule(Network(*module._objects), {"spikes": cells}, dtype=torch.float64, namespace={})
    assert torch.equal(fixed(spikes()).spikes, y.spikes)


def test_delays_are_found():
    """Coincidence detection: each input spikes once, and the sum must peak at step 20; only the right delays do that."""
    inputs, cells = InputGroup(5), NeuronGroup(1, "dv/dt = -v/(2*ms) : 1", method="exact", name="cells")
    feed = Synapses(inputs, cells, "w : 1", on_pre="v_post += w", name="feed")
    feed.connect()
    feed.w, feed.delay = 1, 8 * ms
    learn = [bnn.Learn(feed, "delay", unit=ms, bounds=(0 * ms, 20 * ms))]
    module = bnn.NetworkModule(Network(inputs, cells, feed), {"v": (cells, "v")}, learn, dtype=torch.float64, namespace={})
    when = torch.tensor([4, 7, 10, 13, 16])
    x = torch.zeros(40, 5, dtype=torch.float64)
    x[when, torch.arange(5)] = 1
    smooth = torch.exp(-((torch.arange(40.0) - 20).square()) / 72)[:, None].double()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.5)
    optimizer.register_step_post_hook(module.clamp_)
    for _ in range(60):
        optimizer.zero_grad()
        (-(module(x).v * smooth).sum()).backward()
        optimizer.step()
    arrival = when + module.value(feed, "delay").detach().reshape(-1).round()
    assert (arrival - arrival[0]).abs().max() <= 1 and (arrival - 19).abs().max() <= 1  # v decays, so the best arrival is a step early


def test_one_delay_for_all_synapses_is_one_number():
    inputs, cells = InputGroup(2), NeuronGroup(2, "dv/dt = -v/(2*ms) : 1", method="exact")
    feed = Synapses(inputs, cells, "w : 1", on_pre="v_post += w", delay=2 * ms, name="feed")
    feed.connect()
    feed.w = 1
    module = bnn.NetworkModule(Network(inputs, cells, feed), {"v": (cells, "v")}, [bnn.Learn(feed, "delay", unit=ms)], dtype=torch.float64, namespace={})
    (raw,) = module.parameters()
    assert raw.shape == (1,) and raw.item() == 2
    with torch.no_grad():
        raw.fill_(4.6)
    x = torch.zeros(8, 2)
    x[1] = 1
    assert module(x).v[:, 0].nonzero().flatten().tolist() == [6, 7]
    module.write_back()
    assert feed.delay == 4.6 * ms


def test_what_cannot_be_a_delay():
    with pytest.raises(ValueError, match="'feed' has no pathway 'post' whose delay could be learned; it has 'pre'"):
        bnn.Learn(linear_network([1] * 6)[1], "post.delay")
    with pytest.raises(ValueError, match=r"bounds of feed.delay begin below 0, but a delay cannot be negative"):
        linear_network([1] * 6, bounds=(-1 * ms, None))
    with pytest.raises(ValueError, match=r"feed.delay of element 4 is 5. ms, which is not between its bounds \(0. \* second, 3. \* ms\)"):
        linear_network([1, 1, 1, 1, 5, 1], bounds=(0 * ms, 3 * ms))
    with pytest.raises(ValueError, match=r"sign= does not go with a delay \(feed.delay\)"):
        linear_network([1] * 6, sign=1)
    module, feed = linear_network([1] * 6)
    with torch.no_grad():
        module.parameter(feed, "delay")[1] = float("nan")
    with pytest.raises(FloatingPointError, match="the learned delay of synapse 2 is nan s; a smaller learning rate or bounds= may help"):
        module(drive())
