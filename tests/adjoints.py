"""Gradients by the adjoint Program on numpy, to be compared with those of torch."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from brianlike.nn.gradients import compiler_gradient
from brianlike.nn.noise import rows_of, samples_of
from brianlike.nn.parameters import Held
from brianlike.simulate import Inputs, NumpyEngine
from codegen.adjoint import adjoint
from codegen.noise import feed_draws
from codegen.verify import verify_program


@dataclass(frozen=True)
class Gradients:
    """Records, and the derivatives of `sum(record * cotangent)`: by array name (SI, flat) for what is learned, by keyword for inputs."""

    records: dict[str, np.ndarray]
    learned: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray]


def adjoint_gradients(module, inputs, cotangents, force=None, seed=0, passes=adjoint) -> Gradients:
    """Run `module` (records over time only) forwards and backwards on numpy. `inputs` and `cotangents` are tensors of shape (T, N) or (T, B, N).

    `passes` makes the two Programs.
    """
    keys = dict(module._feeding.inputs)
    tables = {keys[key][0]: x.detach().numpy() for key, x in inputs.items()}
    for group, (spikes, mask) in (force or {}).items():
        tables[f"{group.name}._spike:forced"], tables[f"{group.name}._spike:mask"] = spikes.numpy(), mask.numpy()
    first = next(iter(inputs.values()))
    steps, batch = first.shape[0], first.shape[1] if first.dim() == 3 else None
    prepared = module._prepare(tuple(sorted(f"{group.name}._spike" for group in force or {})))
    fed = {table.name: table.array for table in prepared.program.kernels if table.name in tables and not table.name.endswith((":forced", ":mask"))}
    learned = tuple(held.learn.array for held in module.learned.values())
    program, noises = feed_draws(prepared.program)
    forward, backward = passes(program, compiler_gradient(module._gradient), (*learned, *fed.values()))
    verify_program(forward)
    verify_program(backward)

    arrays = prepared.inputs()
    arrays.values = {name: value.copy() for name, value in {**arrays.values, **module.learned_values()}.items()}
    for array in fed.values():  # graded events are floats
        arrays.values[array] = np.zeros(arrays.sizes[program.array(array).space])
    records: dict[str, list[np.ndarray]] = {key: [] for key in module._specs}
    arrays.tables = {name: _rows(table) for name, table in tables.items()}
    drawn = _noise(noises, arrays, batch, seed, steps)
    arrays.tables |= {name: _rows(rows) for name, rows in drawn.items()}
    arrays.recorders = {key: _collector(rows) for key, rows in records.items()}
    engine = NumpyEngine(forward, arrays, batch=batch, keep=steps)
    engine.set_up()
    parameters = {name: torch.from_numpy(np.array(value)) for name, value in engine.values.items()}
    for rows in drawn.values():
        rows.values.update(parameters)
    engine.run(steps)

    found: dict[str, list[np.ndarray]] = {name: [] for name in fed}
    values = Inputs(
        engine.values,
        arrays.sizes,
        arrays.connections,
        tables=arrays.tables | {key: _rows(value.numpy()) for key, value in cotangents.items()},
        recorders={name: _collector(rows) for name, rows in found.items()},
    )
    reverse = NumpyEngine(backward, values, batch=batch, keep=steps, forward=engine)
    reverse.run(steps)
    reverse.set_up()
    by_table = {keys[key][0]: key for key in inputs}
    return Gradients(
        {key: np.stack([np.broadcast_to(row, cotangents[key].shape[1:]) for row in rows]) for key, rows in records.items()},
        {array: _summed(reverse.values[f"{array}~"]) for array in learned},
        {by_table[name]: np.stack(rows[::-1]) for name, rows in found.items()},
    )


def _rows(table):
    return lambda step: np.asarray(table[step])


def _noise(noises, arrays, batch, seed, steps):
    shape = () if batch is None else (batch,)
    samples = samples_of(seed, None, shape, torch.zeros((), dtype=torch.float64))
    return rows_of(noises, arrays.streams, arrays.sizes, samples, torch.zeros((), dtype=torch.int64), steps, {})


def _collector(rows):
    return lambda step, values: rows.append(np.array(values, dtype=np.float64))


def _summed(values):
    return values.sum(0) if values.ndim > 1 else values


def torch_gradients(module, inputs, cotangents, force=None, seed=0) -> Gradients:
    """The same by autograd."""
    leaves = {key: x.detach().clone().requires_grad_() for key, x in inputs.items()}
    record = module(force=force, seed=seed, **leaves)
    loss = sum((getattr(record, key) * cotangent).sum() for key, cotangent in cotangents.items())
    held: dict[str, Held] = {h.learn.array: h for h in module.learned.values()}
    wanted = [*leaves.values(), *(h.raw for h in held.values())]
    grads = torch.autograd.grad(loss, wanted, allow_unused=True)
    arrays = [np.zeros(w.shape) if g is None else g.numpy() for g, w in zip(grads, wanted)]
    learned = {name: g.reshape(-1) / h.scale for (name, h), g in zip(held.items(), arrays[len(leaves) :])}
    return Gradients({key: getattr(record, key).detach().numpy() for key in cotangents}, learned, dict(zip(leaves, arrays)))


def random_cotangents(module, inputs, seed=0, force=None):
    """One random derivative of the loss for each recorded number."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        record = module(force=force, **inputs)
    return {key: torch.randn(value.shape, generator=generator, dtype=value.dtype) for key, value in record._asdict().items()}


def assert_same_gradients(module, inputs, cotangents=None, force=None, rtol=1e-10, zero=(), seed=0) -> Gradients:
    """Both ways agree to `rtol` of the largest entry, and no gradient is zero everywhere, but those named in `zero`."""
    cotangents = random_cotangents(module, inputs, force=force) if cotangents is None else cotangents
    one, other = adjoint_gradients(module, inputs, cotangents, force, seed), torch_gradients(module, inputs, cotangents, force, seed)
    for key, value in one.records.items():
        _assert_close(f"record {key}", value, other.records[key], 1e-11)
    for kind in ("learned", "inputs"):
        for name, value in getattr(one, kind).items():
            expected = getattr(other, kind)[name]
            assert np.isfinite(expected).all(), f"{name}: torch's gradient is not finite"
            assert (np.abs(expected).max() > 0) == (name not in zero), f"{name}: gradient {np.abs(expected).max()}"
            _assert_close(name, value, expected, rtol)
    return replace(one, records=other.records)


def _assert_close(name, value, expected, rtol):
    np.testing.assert_allclose(value, expected, rtol=0, atol=rtol * np.abs(expected).max(initial=1e-300), err_msg=name)
