"""The compiled engine as one operator of torch, with its backward run as another."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .engine import CompiledEngine

_engines: weakref.WeakValueDictionary[int, CompiledEngine] = weakref.WeakValueDictionary()


def register(engine: CompiledEngine) -> int:
    """The number by which the operator knows an engine, as long as somebody else holds it."""
    number = id(engine)
    _engines[number] = engine
    return number


@torch.library.custom_op("brianlike::run", mutates_args=())
def run(
    tensors: Sequence[torch.Tensor], engine: int, steps: int, members: int, first: torch.Tensor, checkpoint: int, half: bool, lengths: torch.Tensor, wanted: str
) -> list[torch.Tensor]:
    """A forward run: what it hands out, and behind it what it keeps for the backward run."""
    found = _engines[engine]
    named = dict(zip(found.names, tensors))
    results = found.run(named, found.extent(steps, members, first.tolist(), _is_wide(tensors), checkpoint, half, lengths.tolist()), _names(wanted))
    return [*results.out.values(), *results.tape.values()]


@torch.library.custom_op("brianlike::run_back", mutates_args=())
def run_back(
    tensors: Sequence[torch.Tensor],
    tape: Sequence[torch.Tensor],
    gradients: Sequence[torch.Tensor],
    given: Sequence[int],
    engine: int,
    steps: int,
    members: int,
    first: torch.Tensor,
    checkpoint: int,
    half: bool,
    lengths: torch.Tensor,
    wanted: str,
) -> list[torch.Tensor]:
    """A backward run: the gradients of the wanted tensors. `given` are the numbers of the results whose gradients are in `gradients`."""
    found, names = _engines[engine], _names(wanted)
    wide = _is_wide(tensors)
    variant = found.variant(wide, names)
    named = dict(zip(found.names, tensors))
    known = {variant.out[n]: gradient for n, gradient in zip(given, gradients)}
    extent = found.extent(steps, members, first.tolist(), wide, checkpoint, half, lengths.tolist())
    made = found.run_back(named, dict(zip(variant.tape(extent), tape)), known, extent, names)
    return [made[name].reshape(named[name].shape) if name in made else torch.zeros_like(named[name]) for name in found.names if name in names]


def _names(wanted: str) -> frozenset[str]:
    return frozenset(wanted.split("\n")) if wanted else frozenset()


def _is_wide(tensors: Sequence[torch.Tensor]) -> bool:
    return any(tensor.dtype is torch.float64 for tensor in tensors)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[torch.Tensor]) -> None:
    tensors, *ctx.run = inputs
    engine, *_, wanted = ctx.run
    variant = _engines[engine].variant(_is_wide(tensors), _names(wanted))
    ctx.engine, ctx.count, ctx.results = _engines[engine], len(tensors), len(variant.out)
    ctx.save_for_backward(*tensors, *output[len(variant.out) :])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, gradients: Sequence[torch.Tensor | None]) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        raise RuntimeError("the compiled engine has no second derivatives; make the module with engine='torch' for create_graph=True")
    saved, wanted = ctx.saved_tensors, _names(ctx.run[-1])
    tensors, tape = saved[: ctx.count], saved[ctx.count :]
    given = [n for n, gradient in enumerate(gradients[: ctx.results]) if gradient is not None]
    found: list[torch.Tensor | None] = [None] * ctx.count
    if given:
        made = iter(run_back(list(tensors), list(tape), [gradients[n] for n in given], given, *ctx.run))
        found = [next(made) if name in wanted else None for name in ctx.engine.names]
    return found, *[None] * len(ctx.run)


run.register_autograd(_backward, setup_context=_remember)
