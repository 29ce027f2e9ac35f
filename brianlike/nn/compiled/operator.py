"""The compiled engine as one operator of torch, with its backward run as another."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import unset_fake_temporarily

from ...build import CompilerUnavailable
from .engine import CompiledEngine, Refused
from .operations import padded

_engines: weakref.WeakValueDictionary[str, CompiledEngine] = weakref.WeakValueDictionary()


def register(engine: CompiledEngine) -> CompiledEngine:
    """The operator knows it by its key from now on, as long as somebody else holds it: a key that no other process has, as graphs are kept on disk."""
    _engines[engine.key] = engine
    return engine


def _known(engine: str) -> CompiledEngine:
    found = _engines.get(engine)
    if found is None:  # outside of compiled graphs the autograd node holds it
        raise RuntimeError("the module of this compiled graph is gone: keep it as long as its graphs are used")
    return found


@torch.library.custom_op("brianlike::run", mutates_args=())
def run(
    tensors: Sequence[torch.Tensor], engine: str, steps: int, members: int, first: torch.Tensor, checkpoint: int, half: bool, lengths: torch.Tensor, wanted: str
) -> list[torch.Tensor]:
    """A forward run: what it hands out, and behind it what it keeps for the backward run."""
    found = _known(engine)
    named = dict(zip(found.names, tensors))
    results = found.run(named, found.extent(steps, members, first.tolist(), _is_wide(tensors), checkpoint, half, lengths.tolist()), _names(wanted))
    return [*results.out.values(), *results.tape.values()]


@torch.library.custom_op("brianlike::run_back", mutates_args=())
def run_back(
    tensors: Sequence[torch.Tensor],
    tape: Sequence[torch.Tensor],
    gradients: Sequence[torch.Tensor],
    given: Sequence[int],
    engine: str,
    steps: int,
    members: int,
    first: torch.Tensor,
    checkpoint: int,
    half: bool,
    lengths: torch.Tensor,
    wanted: str,
) -> list[torch.Tensor]:
    """A backward run: the gradients of the wanted tensors. `given` are the numbers of the results whose gradients are in `gradients`."""
    found, names = _known(engine), _names(wanted)
    wide = _is_wide(tensors)
    variant = found.variant(wide, names)
    named = dict(zip(found.names, tensors))
    known = {variant.out[n]: gradient for n, gradient in zip(given, gradients)}
    extent = found.extent(steps, members, first.tolist(), wide, checkpoint, half, lengths.tolist())
    made = found.run_back(named, dict(zip(variant.tape(extent), tape)), known, extent, names)
    shapes = {name: (named[name].shape, named[name].dtype) for name in found.names if name in names}
    return [made[name].reshape(shape) if name in made else torch.zeros(shape, dtype=dtype) for name, (shape, dtype) in shapes.items()]


def _names(wanted: str) -> frozenset[str]:
    return frozenset(wanted.split("\n")) if wanted else frozenset()


def _is_wide(tensors: Sequence[torch.Tensor]) -> bool:
    return any(tensor.dtype is torch.float64 for tensor in tensors)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: list[torch.Tensor]) -> None:
    """Save what the backward run reads, and of other tensors their shapes."""
    tensors, *ctx.run = inputs
    engine, wanted, checkpoint = _known(ctx.run[0]), _names(ctx.run[-1]), ctx.run[4]
    variant = engine.variant(_is_wide(tensors), wanted)
    read = engine.read_back(variant, bool(checkpoint))
    ctx.engine, ctx.results = engine, len(variant.out)
    ctx.shapes = [None if name in read else (tensor.shape, tensor.dtype) for name, tensor in zip(engine.names, tensors)]
    ctx.save_for_backward(*(tensor for name, tensor in zip(engine.names, tensors) if name in read), *output[len(variant.out) :])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, gradients: Sequence[torch.Tensor | None]) -> tuple[Any, ...]:
    if torch.is_grad_enabled():
        raise RuntimeError("the compiled engine has no second derivatives; make the module with engine='torch' for create_graph=True")
    saved, wanted = iter(ctx.saved_tensors), _names(ctx.run[-1])
    tensors = [next(saved) if shape is None else _unread(*shape) for shape in ctx.shapes]
    given = [n for n, gradient in enumerate(gradients[: ctx.results]) if gradient is not None]
    found: list[torch.Tensor | None] = [None] * len(tensors)
    if given:
        made = iter(run_back(tensors, list(saved), [gradients[n] for n in given], given, *ctx.run))
        found = [next(made) if name in wanted else None for name in ctx.engine.names]
    return found, *[None] * len(ctx.run)


def _unread(shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    """What stands for a tensor whose values nobody reads."""
    return torch.full((), torch.nan if dtype.is_floating_point else 0, dtype=dtype).expand(shape)


run.register_autograd(_backward, setup_context=_remember)


# ----------------------------------------------------------------------------------------------------------------------------------- graphs that torch compiles
@run.register_fake
def _run_in_graph(
    tensors: Sequence[torch.Tensor], engine: str, steps: int, members: int, first: torch.Tensor, checkpoint: int, half: bool, lengths: torch.Tensor, wanted: str
) -> list[torch.Tensor]:
    """What a run hands out and keeps, without values. Every shape is compiled for itself; only how many events there are is not known before."""
    found, like = _known(engine), tensors[0]
    shapes = [(tuple(map(int, tensor.shape)), tensor.dtype) for tensor in tensors]
    begins = (0,) * int(first.shape[0])
    with unset_fake_temporarily():
        given = {name: torch.zeros((), dtype=dtype).expand(shape) for name, (shape, dtype) in zip(found.names, shapes)}
        extent = found.extent(int(steps), int(members), begins, _is_wide(tensors), int(checkpoint), half)
        results, counted = found.outline(given, extent, _names(wanted))
        outlines = [(name, tuple(value.shape), value.dtype) for name, value in (*results.out.items(), *results.tape.items())]
    context = torch.library.get_ctx() if counted else None
    return [
        like.new_empty((context.new_dynamic_size(),) if context is not None and name in counted else shape, dtype=dtype) for name, shape, dtype in outlines
    ]


@run_back.register_fake
def _run_back_in_graph(
    tensors: Sequence[torch.Tensor],
    tape: Sequence[torch.Tensor],
    gradients: Sequence[torch.Tensor],
    given: Sequence[int],
    engine: str,
    steps: int,
    members: int,
    first: torch.Tensor,
    checkpoint: int,
    half: bool,
    lengths: torch.Tensor,
    wanted: str,
) -> list[torch.Tensor]:
    """The gradients without a value: those of matrices are parts of rows that are whole vectors."""
    found, names = _known(engine), _names(wanted)
    matrices = {part.name for parts in found.network.parts.values() for part in parts if part.dense}
    made = []
    for name, tensor in zip(found.names, tensors):
        if name in names:
            row = padded(int(tensor.shape[-1])) if name in matrices else tensor.shape[-1]
            made.append(tensor.new_empty((*tensor.shape[:-1], row))[..., : tensor.shape[-1]])
    return made


def outcome(engine: CompiledEngine, wide: bool, wanted: Sequence[str]) -> tuple[Sequence[str], Collection[str]]:
    """The names of what a run with these gradients hands out, and the arrays that have gradients."""
    if not torch.compiler.is_compiling():
        variant = engine.variant(wide, frozenset(wanted))
        return variant.out, variant.active
    reason, out, active = _described(engine.key, wide, "\n".join(wanted)).split("\f")
    if reason:
        raise Refused(reason)
    return out.split("\n"), active.split("\n")


@torch.compiler.assume_constant_result
def _described(engine: str, wide: bool, wanted: str) -> str:
    """The same, and why it is refused if it is, as what a graph can hold of it."""
    try:
        variant = _known(engine).variant(wide, _names(wanted))
    except (Refused, CompilerUnavailable) as refused:
        return f"{refused}\f\f"
    return "\f".join(["", "\n".join(variant.out), "\n".join(sorted(variant.active))])
