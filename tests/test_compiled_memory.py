"""What the compiled engine keeps for the backward pass: checkpoints, halves, buffers that are used again. None of it changes what it must not change."""

import gc
import itertools
import os
import signal
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import trained_models  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike._training import halves  # noqa: E402
from brianlike.nn.compiled import backwards, engine, packing  # noqa: E402
from brianlike.nn.compiled.buffers import UNCOUNTED, Buffers, buffers  # noqa: E402
from brianlike.nn.compiled.engine import CompiledEngine  # noqa: E402
from brianlike.nn.compiled.inputs import sorted_events  # noqa: E402
from brianlike.nn.compiled.packing import Packing, unpack  # noqa: E402
from brianlike.nn.compiled.stage import Extent, Stage, aligned  # noqa: E402
from brianlike.only import *  # noqa: E402

STEPS, BATCH, INPUTS, HIDDEN, OUTPUTS = 23, 11, 30, 20, 5  # 11 samples: a whole tile and a part of one


@pytest.fixture(autouse=True)
def _fresh():
    threads, before = torch.get_num_threads(), defaultclock.dt
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
    defaultclock.dt = before
    start_scope()


def network(*, delay=0 * ms, refractory=False, dtype=torch.float32, sparse=False, **options):
    """Inputs, recurrent neurons and a read-out, with every kind of record."""
    seed(3)
    defaultclock.dt = 1 * ms
    equations = """dv/dt = (I - v)/tau_m : 1
                   dI/dt = -I/(5*ms) : 1
                   tau_m : second (constant)"""
    inputs = InputGroup(INPUTS, name="inputs")  # names of their own: they decide the order in which synapses deliver
    hidden = NeuronGroup(HIDDEN, equations, threshold="v > 1", reset="v = 0", refractory=refractory, method="exact", name="hidden")
    readout = NeuronGroup(OUTPUTS, equations, method="exact", name="readout")
    hidden.tau_m, readout.tau_m = 20 * ms, 20 * ms
    objects = [inputs, hidden, readout]
    for source, target, scale, late in ((inputs, hidden, 1.5, delay), (hidden, hidden, 0.5, delay), (hidden, readout, 0.5, 0 * ms)):
        synapses = Synapses(source, target, "w : 1", on_pre="I_post += w", delay=late, name=f"{source.name}_{target.name}")
        synapses.connect(p=0.15 if sparse else 1)
        synapses.w = f"{scale}*randn()"
        objects.append(synapses)
    record = {"v": (readout, "v"), "spikes": hidden, "count": bnn.Count(hidden), "high": bnn.Max((readout, "v")), "reached": bnn.Max(hidden)}
    record |= {"mean": bnn.Mean((hidden, "I")), "last": bnn.Last((readout, "v")), "first": bnn.FirstSpike(hidden)}
    learn = [*(bnn.Learn(item, "w") for item in objects[3:]), bnn.Learn(hidden, "tau_m", unit=ms)]
    return bnn.NetworkModule(Network(*objects), record, learn, dtype=dtype, engine="cython", namespace={}, **options)


def inputs_of(dtype=torch.float32, graded=False):
    generator = torch.Generator().manual_seed(5)
    fired = (torch.rand(STEPS, BATCH, INPUTS, generator=generator) < 0.2).to(dtype)
    return fired * (1 + 0.5 * torch.rand(fired.shape, generator=generator, dtype=dtype)) if graded else fired


def loss_of(record):
    generator = torch.Generator().manual_seed(1)
    return sum((value * torch.randn(value.shape, generator=generator).to(value.dtype)).sum() for value in record)


def gradients(module, x, retain=False):
    x = x.clone().requires_grad_()
    record = module(x)
    return (*record, *torch.autograd.grad(loss_of(record), [x, *module.parameters()], retain_graph=retain))


def assert_same_bits(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert torch.equal(one, other)


# ------------------------------------------------------------------------------------------------------------------------------------------ checkpoints
OPTIONS = {
    "plain": {}, "delays": {"delay": 3 * ms}, "refractory": {"refractory": 2 * ms}, "double": {"dtype": torch.float64},
    "sparse": {"sparse": True, "delay": 2 * ms},
}  # fmt: skip


@pytest.mark.parametrize("graded", [False, True], ids=["spikes", "graded"])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_checkpoint_changes_no_bit(name, graded):
    module = network(**OPTIONS[name])
    x = inputs_of(module._like.dtype, graded)
    expected = gradients(module, x)
    assert float(expected[1].detach().sum()) > 100 and all(bool(torch.count_nonzero(one)) for one in expected)
    for steps in (1, 4, 7, STEPS - 1, STEPS, 100):
        module.checkpoint = steps
        assert_same_bits(gradients(module, x), expected)


@pytest.mark.parametrize("name", ["plain", "delays", "sparse"])
def test_how_many_steps_wait_for_the_gradients_of_weights_changes_no_bit(name, monkeypatch):
    module, x = network(**OPTIONS[name]), inputs_of()
    expected = gradients(module, x)
    of_step = (2 * 32 + 16) * 4 * BATCH
    for steps in (1, 5, 11, 40):
        monkeypatch.setattr(backwards, "ROWS", steps * of_step)
        for checkpoint in (None, 3, 8):
            module.checkpoint = checkpoint
            assert_same_bits(gradients(module, x), expected)


@pytest.mark.parametrize("neuron", trained_models.NEURONS)
def test_a_checkpoint_in_every_neuron(neuron):
    module, x = trained_models.network(trained_models.NEURONS[neuron])
    module = bnn.NetworkModule(
        Network(*module.objects), module._specs, [held.learn for held in module.learned.values()], module._gradient, dtype=torch.float64, engine="cython",
        namespace={},
    )  # fmt: skip
    (x,) = x.values()
    expected = gradients(module, x)
    for steps in (4, 13):
        module.checkpoint = steps
        assert_same_bits(gradients(module, x), expected)


def test_pieces_of_a_run_under_checkpoints():
    module, x = network(delay=3 * ms, refractory=2 * ms), inputs_of()

    def in_two():
        first, state = module.run(x[:9])
        second, _ = module.run(x[9:], state=state)
        return torch.autograd.grad(loss_of(first) + loss_of(second), list(module.parameters()))

    expected = in_two()
    module.checkpoint = 4
    assert_same_bits(in_two(), expected)


# --------------------------------------------------------------------------------------------------------------------------------------------- buffers
def test_a_buffer_comes_back_when_its_last_view_is_gone():
    pool = Buffers(most=10 * 2**20, patience=60)
    lent = pool.take(2**20)
    place, view = lent.ctypes.data, torch.from_numpy(lent[64:128]).view(2, 32)[1]
    view.fill_(7)
    del lent
    other = pool.take(2**20)
    other[:] = 1
    assert other.ctypes.data != place and pool.waiting == 0 and view.eq(7).all()
    del view
    assert pool.waiting == 2**20 and pool.take(2**20 - 300).ctypes.data == place


def test_what_waits_is_bounded_and_leaves():
    pool = Buffers(most=5 * 2**20, patience=60)
    several = [pool.take(2 * 2**20) for _ in range(4)]
    del several
    assert pool.waiting == 4 * 2**20
    pool.release()
    assert pool.waiting == 0
    pool = Buffers(most=2**27, patience=0.05)
    lent = pool.take(2**20)
    time.sleep(0.1)
    del lent
    deadline = time.monotonic() + 20
    while (pool._waiting or pool._returned) and time.monotonic() < deadline:  # without anybody asking
        time.sleep(0.02)
    assert not pool._waiting and not pool._returned


def test_an_array_that_ends_while_the_lock_is_held():
    pool = Buffers(most=2**27, patience=60)
    lent = pool.take(2**20)
    with pool._lock:
        del lent
    assert pool.waiting == 2**20


def test_small_arrays_are_not_pooled():
    pool = Buffers(most=2**27, patience=60)
    lent = pool.take(1000)
    del lent
    assert pool.waiting == 0


def counted():
    """Whether the system counts all memory that is asked for."""
    strict = Path("/proc/sys/vm/overcommit_memory")
    return not UNCOUNTED or strict.exists() and strict.read_text().strip() == "2"


@pytest.mark.skipif(counted(), reason="the system counts all memory that is asked for")
def test_room_of_which_little_is_touched_may_be_larger_than_memory():
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    room = Buffers(most=2**20, patience=60).take(3 * whole, sparse=True)
    room[0] = room[-1] = 1
    assert room.size == 3 * whole and int(room[0]) + int(room[-1]) == 2


# Batches that are large enough for buffers: what is run between, meanwhile, or not to its end changes nothing.
def large(checkpoint=None):
    module, x = network(delay=2 * ms, checkpoint=checkpoint), inputs_of().repeat(1, 30, 1)
    return module, x


@pytest.mark.parametrize("checkpoint", [None, 6])
def test_several_forward_passes_before_several_backward_passes(checkpoint):
    module, x = large(checkpoint)
    other = x.flip(0)
    expected, expected_other = gradients(module, x), gradients(module, other)
    parameters = list(module.parameters())
    first, second = module(x), module(other)
    with torch.no_grad():
        module(x.roll(1, 0))
    for _ in range(2):
        assert_same_bits(torch.autograd.grad(loss_of(first), parameters, retain_graph=True), expected[-len(parameters) :])
        assert_same_bits(torch.autograd.grad(loss_of(second), parameters, retain_graph=True), expected_other[-len(parameters) :])
        module(other)
    assert_same_bits(first, expected[: len(first)])


@pytest.mark.parametrize("checkpoint", [None, 6])
def test_threads_that_call_one_module(checkpoint):
    module, x = large(checkpoint)
    given = [x.roll(n, 0) for n in range(4)]
    expected = [gradients(module, one) for one in given]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            for found, right in zip(pool.map(lambda one: gradients(module, one), given), expected):
                assert_same_bits(found, right)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_an_interrupt_in_a_run_leaves_nothing_behind(error, call, monkeypatch):
    module, x = large()
    expected = gradients(module, x)
    del module
    gc.collect()
    module, x = large()
    whole, count = engine.run_tiles, itertools.count(1)

    def interrupted(*arguments):
        done = whole(*arguments)
        if next(count) == call:
            raise error
        return done

    monkeypatch.setattr(engine, "run_tiles", interrupted)
    with pytest.raises(error):
        gradients(module, x)
    monkeypatch.setattr(engine, "run_tiles", whole)
    assert_same_bits(gradients(module, x), expected)


def test_memory_of_repeated_training_does_not_grow():
    module, x = large()
    for _ in range(2):
        gradients(module, x)
    gc.collect()
    before, lent = buffers.waiting, buffers._lent
    for _ in range(5):
        gradients(module, x)
    assert before > 2**20 and buffers.waiting == before and buffers._lent == lent == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_computes_the_same():
    module, x = large()

    def few():  # so small that torch itself needs no threads, which do not survive a fork
        record = module(x)
        return torch.autograd.grad(record.high.sum() + record.last.square().sum(), list(module.parameters()))

    expected = few()
    with buffers._lock:  # as if another thread were just taking one
        child = os.fork()
        if child == 0:
            os._exit(0 if all(torch.equal(one, other) for one, other in zip(few(), expected)) else 1)
    deadline = time.monotonic() + 60
    while (state := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    if state == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert state == (child, 0)
    assert_same_bits(few(), expected)


# ---------------------------------------------------------------------------------------------------------------------------------------- bytes that are kept
def compiled(neuron, size=256, dtype=torch.float32, learn=(), **options):
    """A population of a well-known neuron without a record of every step."""
    seed(7)
    defaultclock.dt = neuron.dt * ms
    source = InputGroup(6, name="source")
    events = {"threshold": neuron.threshold, "reset": neuron.reset, "refractory": neuron.refractory}
    cells = NeuronGroup(size, neuron.equations, **events, method=neuron.method, name="cells")
    for name, value in neuron.values.items():
        setattr(cells, name, value)
    feed = Synapses(source, cells, f"w : {neuron.unit}", on_pre="I_post += w", name="feed")
    feed.connect()
    feed.w = neuron.weight
    gradient = bnn.Surrogate(bnn.SuperSpike(beta=10), width=neuron.width)
    learned = [bnn.Learn(feed, "w"), *(bnn.Learn(cells, name) for name in learn)]
    record = {"count": bnn.Count(cells)}
    return bnn.NetworkModule(Network(source, cells, feed), record, learned, gradient, dtype=dtype, engine="cython", namespace={}, **options)


def kept_in_truth(module, steps, batch):
    """The bytes of the tensors that autograd saves, and of the record; no input fires, so lists of events are empty."""
    storages = {}

    def pack(tensor):
        if tensor.numel() * tensor.element_size() >= steps * batch:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    x = torch.zeros(1, 1, 6).expand(steps, batch, 6)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        record = module(x)
    return sum(storages.values()) + sum(value.numel() * value.element_size() for value in record)


KEPT = {"LIF": 1, "adaptive": 1, "AdEx": 2}


@pytest.mark.parametrize("name", KEPT)
def test_bytes_kept_of_a_neuron_in_a_step(name):
    module = compiled(trained_models.NEURONS[name])
    steps, batch, size = 200, 16, 256
    bytes_of = bnn.memory_estimate(module, steps, batch).graph / (steps * batch * size)
    assert 4 * KEPT[name] < bytes_of <= 4 * KEPT[name] + (0.35 if trained_models.NEURONS[name].refractory else 0.2)
    assert bytes_of * steps * batch * size == pytest.approx(kept_in_truth(module, steps, batch), rel=0.02)
    module.keep = "bfloat16"
    halves = bnn.memory_estimate(module, steps, batch).graph / (steps * batch * size)
    assert bytes_of - halves == pytest.approx(2 * KEPT[name], rel=1e-6)
    fewer = bnn.memory_estimate(module, steps, batch, checkpoint=40).graph / (steps * batch * size)
    assert fewer <= 0.7 and module.checkpoint is None
    module.checkpoint = 40
    assert fewer * steps * batch * size == pytest.approx(kept_in_truth(module, steps, batch), rel=0.02)


# -------------------------------------------------------------------------------------------------------------------------------------------------- halves
def test_halves_change_no_result_and_gradients_by_their_rounding():
    module, x = network(delay=2 * ms), inputs_of()
    expected = gradients(module, x)
    module.keep = "bfloat16"
    found = gradients(module, x)
    records = len(module(x))
    assert_same_bits(found[:records], expected[:records])
    for one, other in zip(found[records:], expected[records:]):
        # Each kept number is wrong by 2**-9 of itself at most; a gradient is a sum over 23 steps of products of their
        # surrogates, whose errors (several times those of what was kept, where the surrogate is steep) add like random numbers.
        assert (one - other).norm() < 0.02 * other.norm()
    assert any(not torch.equal(one, other) for one, other in zip(found, expected))
    module.checkpoint = 5
    assert_same_bits(gradients(module, x), expected)


def test_halves_round_to_the_nearest_and_ties_to_even():
    tied = torch.tensor([1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8, 3.4e38, 1e-40, 0.0, -0.0, float("inf"), -float("inf")], dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    values = torch.cat([tied, torch.randn(1000, generator=generator, dtype=torch.float64) * 10.0 ** torch.randint(-38, 38, (1000,), generator=generator)])
    for dtype in (torch.float32, torch.float64):
        given = values.to(dtype).numpy()
        np.testing.assert_array_equal(halves(given).view(np.int16), torch.from_numpy(given).to(torch.bfloat16).view(torch.int16).numpy())
    assert np.isnan((halves(np.array([np.nan, -np.nan])).astype(np.uint32) << 16).view(np.float32)).all()
    twice = np.array([1 + 2.0**-8 + 2.0**-40, 1 + 2.0**-8 - 2.0**-40, -1 - 2.0**-8 - 2.0**-40])  # rounded to float first, they would be ties
    assert (halves(twice).astype(np.uint32) << 16).view(np.float32).tolist() == [1 + 2.0**-7, 1.0, -1 - 2.0**-7]


def test_keep_is_checked():
    with pytest.raises(ValueError, match="^keep= takes 'float' or 'bfloat16', not 'half'$"):
        network(keep="half")


# ------------------------------------------------------------------------------------------------------------------------------------------------- inputs
@pytest.mark.parametrize("values", [False, True])
def test_of_an_input_only_its_events_are_kept(values):
    module, x = network(), inputs_of()
    x = x * 2 if values else x
    events, sizes = int((x != 0).sum()), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append((tensor.dtype, tensor.numel())) or tensor, lambda tensor: tensor):
        module(x)
    assert sizes.count((torch.uint8, events * (5 if values else 1))) == 1  # gaps in an input of 30 neurons are small
    assert not [count for dtype, count in sizes if dtype is torch.float32 and count >= x.numel()]


def test_bits_of_maxima_are_kept_of_samples_with_ties():
    """A read-out whose maximum is the 0 that it begins with has it for some steps."""
    defaultclock.dt = 1 * ms
    source, cells = InputGroup(3, name="source"), NeuronGroup(5, "dv/dt = -v/(10*ms) : 1", method="exact", name="cells")
    feed = Synapses(source, cells, "w : 1", on_pre="v_post += w", name="feed")
    feed.connect()
    feed.w = [1, 0.8, 0.6, 0.4, 0.2, -0.5, -0.4, -0.3, -0.2, -0.1, 0, 0, 0, 0, 0]
    x = torch.zeros(12, 11, 3)
    x[4, :, 0] = x[6, 2, 1] = 1
    x[:, 5, 0], x[5, 5, 1] = 0, 1
    found, saved = [], []
    for which in ("torch", "cython"):
        record = {"high": bnn.Max((cells, "v"))}
        module = bnn.NetworkModule(Network(source, cells, feed), record, [bnn.Learn(feed, "w")], dtype=torch.float64, engine=which, namespace={})
        given = x.double().requires_grad_()
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append((tensor.dtype, tensor.numel())) or tensor, lambda tensor: tensor):
            high = module(given).high
        found.append((high, *torch.autograd.grad((high * torch.arange(1.0, 6.0)).sum(), [given, *module.parameters()])))
    assert (torch.uint8, 12) in saved  # of one sample, in each step
    for one, other in zip(*found):
        torch.testing.assert_close(one, other)


def test_lists_that_nobody_reads_are_not_kept():
    x, sizes = inputs_of(), []
    for learn in (["w"], []):
        module = network()
        learned = [held.learn for held in module.learned.values()]
        module = bnn.NetworkModule(Network(*module.objects), module._specs, learned[1 - len(learn) :], engine="cython", namespace={})
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()) or tensor, lambda tensor: tensor):
            module(x)
        assert sizes.count(int((x != 0).sum())) == 1  # in the first of the two


def packed_and_back(lists, extent, past, size):
    """What is kept of lists, and the lists that are made of it, by a run that does nothing else."""
    stage = Stage({}, {}, {}, extent)
    written = Packing(stage, lists, size)
    engine._carry_out(stage, engine.Desks(stage, extent.steps))
    kept, stage = written.kept("x"), Stage({}, {}, {}, extent)
    found = unpack(stage, "x", kept, past, size)
    engine._carry_out(stage, engine.Desks(stage, extent.steps), None, (0, extent.steps))
    return kept, [part.numpy() for part in found.values()]


@pytest.mark.parametrize("wide", [False, True])
def test_lists_of_events_become_bytes_and_back(wide):
    rng, past, real = np.random.default_rng(1), 2, np.dtype(np.float64 if wide else np.float32)
    lengths_of = {19: tuple(range(20, 1, -1))}
    for members, size, density in ((11, 30, 0.3), (5, 70000, 1e-3), (19, 700, 0.02), (19, 7000, 0.02), (1, 10**6, 1e-5), (3, 9, 0)):
        lengths = lengths_of.get(members, ())
        extent = Extent(20, members, min(8, members), (0,), 1e-3, wide, lengths=lengths)
        shape = 20, members, size
        places = np.unique(rng.integers(0, np.prod(shape), rng.binomial(np.prod(shape), density)))
        t, b, n = (part.astype(np.int32) for part in np.unravel_index(places, shape))
        inside = t < np.array(lengths)[b] if lengths else np.full(len(t), True)
        for amounts in (None, np.where(b < 8, 1, rng.integers(2, 5, len(t))).astype(real)):
            chosen = amounts if amounts is None else np.ascontiguousarray(amounts[inside])
            lists = sorted_events(*(np.ascontiguousarray(part[inside]) for part in (t, b, n)), chosen, past, extent, size)
            kept, (first, index, values, graded) = packed_and_back(lists, extent, past, size)
            assert np.array_equal(graded != 0, lists[3] != 0)
            assert np.array_equal(np.diff(first), np.diff(lists[0]))
            for tile in range(extent.tiles):
                here, there = slice(first[tile, 0, 0], first[tile, -1, -1]), slice(lists[0][tile, 0, 0], lists[0][tile, -1, -1])
                assert np.array_equal(index[here], lists[1][there])
                assert not graded.any() or np.array_equal(values[here], lists[2][there])
            if amounts is None and size == 700:
                assert kept["x|bytes"].numel() <= 1.03 * inside.sum()


def test_a_gap_may_be_longer_than_a_number_of_four_bytes(monkeypatch):
    monkeypatch.setattr(packing, "aligned", lambda count, *how, **more: aligned(min(count, 2**20), *how))  # room for as many events is not needed
    extent = Extent(40, 2, 2, (0,), 1e-3, False)
    events = [np.array(part, np.int32) for part in ([3, 39], [1, 0], [5, 2**27 - 1])]
    lists = sorted_events(*events, None, 0, extent, 2**27)
    _, (first, index, *_) = packed_and_back(lists, extent, 0, 2**27)
    assert np.array_equal(first, lists[0]) and index.tolist() == [5, 2**27 - 1]


@pytest.mark.parametrize("checkpoint", [None, 5])
def test_a_dense_input_can_go_before_the_backward_pass(checkpoint):
    module, x = network(checkpoint=checkpoint), inputs_of()
    expected = torch.autograd.grad(loss_of(module(x)), list(module.parameters()))
    loss, known = loss_of(module(x)), weakref.ref(x)
    del x
    gc.collect()
    assert known() is None
    assert_same_bits(torch.autograd.grad(loss, list(module.parameters())), expected)


@pytest.mark.parametrize("name", OPTIONS)
def test_backward_runs_read_nothing_that_is_not_kept(name, monkeypatch):
    module, x = network(**OPTIONS[name]), inputs_of(network(**OPTIONS[name])._like.dtype)
    found = []
    for checkpoint in (None, 5):
        module.checkpoint = checkpoint
        found += [gradients(module, x), torch.autograd.grad(loss_of(module(x)), list(module.parameters()))]
    monkeypatch.setattr(CompiledEngine, "read_back", lambda self, *given: frozenset(self.names))
    for checkpoint in (None, 5):
        module.checkpoint = checkpoint
        assert_same_bits(gradients(module, x), found.pop(0))
        assert_same_bits(torch.autograd.grad(loss_of(module(x)), list(module.parameters())), found.pop(0))
