"""A run unrolled in time: samples of different lengths, recomputed pieces, truncated gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd.graph import saved_tensors_hooks  # noqa: E402
from trained_models import NEURONS, network  # noqa: E402

import brianlike.nn as bnn  # noqa: E402
from brianlike.only import *  # noqa: E402

LENGTHS = [7, 20, 1, 12, 20, 7]


def gradients(module, loss):
    return dict(zip((name for name, _ in module.named_parameters()), torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)))


def same(one, other, tolerance=1e-12):
    assert one.keys() == other.keys()
    for name in one:
        if one[name] is None or other[name] is None:
            assert one[name] is other[name] is None
            continue
        torch.testing.assert_close(one[name], other[name], rtol=tolerance, atol=tolerance * float(other[name].abs().max()))


# -------------------------------------------------------------------------------------------------------------------------------------------- lengths
def ragged(neuron):
    """A module that records everything that has a rule after the end, inputs full of NaN after the end, and a loss with weights for every entry."""
    module, inputs = network(NEURONS[neuron], batch=len(LENGTHS))
    cells = next(item for item in module._objects if item.name == "cells")
    record = {"spikes": cells, "v": (cells, "v"), "margin": bnn.Margin(cells), "count": bnn.Count(cells), "mean": bnn.Mean((cells, "v"))}
    record |= {"max": bnn.Max((cells, "v")), "last": bnn.Last((cells, "v")), "spiking": bnn.Last(cells)}
    learn = [held.learn for held in module.learned.values()]
    module = bnn.NetworkModule(Network(*module._objects), record, learn, module._gradient, dtype=torch.float64, namespace={})
    ((name, x),) = inputs.items()
    x = x[:20]
    spoiled = x.clone()
    for n, length in enumerate(LENGTHS):
        spoiled[length:, n] = torch.nan
    generator = torch.Generator().manual_seed(0)
    return module, x, spoiled, lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_sample_with_a_length_is_a_run_of_its_own(neuron):
    module, x, spoiled, noise = ragged(neuron)
    y, state = module.run(spoiled, lengths=torch.tensor(LENGTHS))
    size = y.v.shape[-1]
    # v also counts after the end of a sample, where it stands still
    weights = {key: noise(*value.shape) for key, value in y._asdict().items()}
    loss = sum((weights[key] * value).sum() for key, value in y._asdict().items())
    loss = loss + sum((noise(size) * value).sum() for name, value in state["cells"].items() if name in ("v", "I"))
    found = gradients(module, loss)
    assert y.spikes.sum() > 3
    noise = ragged(neuron)[-1]
    weights = {key: noise(*value.shape) for key, value in y._asdict().items()}
    more = [noise(size) for name in state["cells"] if name in ("v", "I")]
    total = 0
    for n, length in enumerate(LENGTHS):
        one, after = module.run(x[:length, n])
        for key, value in one._asdict().items():
            mine = getattr(y, key)[:, n] if getattr(y, key).dim() == 3 else getattr(y, key)[n]
            if mine.dim() == 2:
                rest = torch.zeros_like(value[-1]) if key == "spikes" else value[-1]
                value = torch.cat([value, rest.expand(20 - length, -1)])
                total = total + (weights[key][:, n] * value).sum()
            else:
                total = total + (weights[key][n] * value).sum()
            torch.testing.assert_close(mine, value, rtol=1e-12, atol=1e-15)
        total = total + sum((w * after["cells"][name]).sum() for w, name in zip(more, (name for name in after["cells"] if name in ("v", "I"))))
        for name, value in after["cells"].items():
            mine = state["cells"][name]
            mine = mine[:, n] if name.endswith("_past") else mine[n]
            torch.testing.assert_close(mine, value.expand_as(mine), msg=lambda text, name=name: f"{name}: {text}")
        assert int(state["clock"]["t_in_timesteps"][n]) == length
    same(found, gradients(module, total), 1e-9 if neuron == "Hodgkin-Huxley" else 1e-11)


def test_runs_with_lengths_go_on_from_their_states():
    module, x, _, _ = ragged("LIF")
    first, second = torch.tensor([3, 8, 1, 5, 8, 8]), torch.tensor(LENGTHS)
    _, state = module.run(x[:8], lengths=first)
    shifted = torch.stack([torch.cat([x[start:, n], x[:start, n]]) for n, start in enumerate(first)], 1)
    y, _ = module.run(shifted[:12], state=state, lengths=second.clamp(max=12))
    for n, (start, more) in enumerate(zip(first.tolist(), second.clamp(max=12).tolist())):
        alone = module(shifted[:, n].roll(start, 0)[: start + more])
        torch.testing.assert_close(y.v[:more, n], alone.v[start:], rtol=1e-12, atol=1e-15)


def test_lengths_have_the_shape_of_the_batch():
    module, x, spoiled, _ = ragged("LIF")
    y = module(spoiled, lengths=LENGTHS)
    wide = module(spoiled.unflatten(1, (2, 3)), lengths=torch.tensor(LENGTHS).reshape(2, 3))
    assert torch.equal(wide.v.flatten(1, 2), y.v) and torch.equal(wide.count.flatten(0, 1), y.count)
    first = bnn.NetworkModule(Network(*module._objects), module._specs, dtype=torch.float64, batch_first=True, namespace={})
    assert torch.equal(first(spoiled.transpose(0, 1), lengths=LENGTHS).v.transpose(0, 1), y.v)
    one = module(x[:, 0], lengths=7)
    torch.testing.assert_close(one.v[:7], y.v[:7, 0], rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("lengths", "error", "text"),
    [
        ([1, 2], ValueError, r"lengths= must have the shape of the batch, \(6,\), not \(2,\)"),
        ([0, 2, 3, 4, 5, 6], ValueError, "lengths= must lie between 1 and the number of steps, 20; they lie between 0 and 6"),
        ([1, 2, 3, 4, 5, 21], ValueError, "lengths= must lie between 1 and the number of steps, 20; they lie between 1 and 21"),
        ([1.0, 2, 3, 4, 5, 6], TypeError, "lengths= takes whole numbers of steps, not torch.float32"),
    ],
)
def test_wrong_lengths(lengths, error, text):
    module, x, _, _ = ragged("LIF")
    with pytest.raises(error, match=text):
        module(x, lengths=lengths)


# --------------------------------------------------------------------------------------------------------------------------------------- checkpointing
class Kept:
    """Counts the bytes that the forward pass keeps for the backward pass, each tensor once."""

    def __enter__(self):
        self.sizes = {}
        self.hooks = saved_tensors_hooks(self.pack, lambda x: x)
        self.hooks.__enter__()
        return self

    def pack(self, x):
        self.sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    def __exit__(self, *error):
        self.hooks.__exit__(*error)


@pytest.mark.parametrize(
    ("neuron", "piece", "lengths"),
    [*((neuron, 6, None) for neuron in NEURONS), ("LIF", 1, None), ("LIF", 100, None), ("LIF", 6, LENGTHS), ("AdEx", 6, LENGTHS)],
)
def test_recomputed_pieces_give_the_same_gradients(neuron, piece, lengths):
    module, x, _, _ = ragged(neuron)
    results = []
    for module.checkpoint in (None, piece):
        y = module(x, lengths=lengths)
        results.append((y, gradients(module, sum((value**2).sum() for value in y))))
    for one, other in zip(results[0][0], results[1][0]):
        assert torch.equal(one, other)
    for name, gradient in results[0][1].items():
        assert gradient is results[1][1][name] or torch.equal(gradient, results[1][1][name]), name


def test_recomputing_keeps_less():
    module, _, _, _ = ragged("LIF")
    x = (torch.rand(100, 16, 6, generator=torch.Generator().manual_seed(1)) < 0.2).double()
    kept = {}
    for module.checkpoint in (None, 10):
        with Kept() as record:
            loss = module(x).max.sum()
        kept[module.checkpoint] = sum(record.sizes.values())
        loss.backward()
    assert kept[10] < kept[None] / 4, kept


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True])
def test_a_piece_has_at_least_one_step(wrong):
    module, _, _, _ = ragged("LIF")
    with pytest.raises(ValueError, match="checkpoint= takes a number of steps, 1 or more"):
        bnn.NetworkModule(Network(*module._objects), module._specs, checkpoint=wrong, namespace={})


# ------------------------------------------------------------------------------------------------------------------------------------------ truncated
def test_a_detached_state_truncates_gradients():
    """The gradient of pieces with detached states is that of each piece from a given state; what came before counts as a constant."""
    module, x, _, _ = ragged("LIF")
    state, pieces, whole = None, 0, module(x)
    for n in range(0, 20, 5):
        y, state = module.run(x[n : n + 5], state=state)
        state = bnn.detached(state)
        pieces = pieces + y.v.square().sum()
        torch.testing.assert_close(y.v, whole.v[n : n + 5], rtol=0, atol=0)
    assert all(not value.requires_grad for variables in state.values() for value in variables.values())
    truncated = gradients(module, pieces)
    full = gradients(module, whole.v.square().sum())
    w = next(name for name in full if "synapses" in name)
    assert truncated[w].abs().sum() > 0
    assert not torch.allclose(truncated[w], full[w], rtol=1e-3)
    # independently: the last piece alone, from a state made without gradients
    with torch.no_grad():
        _, before = module.run(x[:15])
    last = gradients(module, module.run(x[15:], state=before)[0].v.square().sum())
    state, parts = None, []
    for n in range(0, 20, 5):
        y, state = module.run(x[n : n + 5], state=state)
        state = bnn.detached(state)
        parts.append(gradients(module, y.v.square().sum()))
    same(parts[-1], last)
    summed = {name: sum(p[name] for p in parts if p[name] is not None) for name in truncated if truncated[name] is not None}
    same(summed, {name: value for name, value in truncated.items() if value is not None})


def test_the_initial_state_is_where_runs_start():
    module, x, _, _ = ragged("adaptive")
    state = module.initial_state(6)
    assert state["cells"]["v"].shape == (6, 4) and int(state["clock"]["t_in_timesteps"]) == 0
    again, after = module.run(x, state=state)
    assert torch.equal(again.v, module(x).v)
    assert {owner: {name: value.shape for name, value in variables.items()} for owner, variables in after.items()} == {
        owner: {name: value.shape for name, value in variables.items()} for owner, variables in state.items()
    }
    found = gradients(module, again.v.sum())
    assert found["learned.neurongroup_0_v.parametrizations.value.original"].abs().sum() > 0
    np.testing.assert_array_equal(state["cells"]["v"][0].detach().numpy(), module.learned["neurongroup_0_v"]().detach().numpy())
