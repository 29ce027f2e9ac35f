"""Random numbers that are drawn in the tile, where they are used: the same whenever they are asked for, and none is stored."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from codegen.noise import Noise

from ..._connections import row_function
from ..._training import CONTEXT_BYTES
from .operations import Kind, Place, padded
from .stage import Stage

SEED, SAMPLES = "noise|seed", "noise|samples"
"""The names of the tensors with the seed of a run, and the numbers of its members."""

Tensors = Mapping[str, torch.Tensor]


def draw(stage: Stage, noise: Noise, stream: int, tensors: Tensors, place: Place) -> None:
    """A row of numbers of a law that needs uniform or normal ones only; of others by its thresholds, which the tensor of its name holds."""
    thresholds = tensors[noise.name]
    flags = 2 if noise.law not in ("uniform", "normal") else 1 if noise.law == "uniform" else 0
    law = dict(flags=flags, index=thresholds.data_ptr() if len(thresholds) else 0, rows=len(thresholds), targets=place.item)
    which = dict(first=tensors[SAMPLES].data_ptr(), value=int(tensors[SEED]), n_source=stream, words=noise.number)
    room = stage.memory.take(padded(place.size) * 8)
    stage.step(Kind.DRAW, function=row_function(), place=place.address, stride=place.row, size=place.size, extra=room, **which, **law)


def is_simple(noise: Noise, tensors: Tensors) -> bool:
    """Whether `draw` can do it; a Map draws what is left."""
    return noise.law in ("uniform", "normal") or len(tensors[noise.name]) > 0


def drawing(stage: Stage, streams: Mapping[str, int], kernel: str, tensors: Tensors) -> dict[str, int]:
    """What the operation of a Map needs where the Map draws: a context for each member. `streams` are those of all Maps that do."""
    if kernel not in streams:
        return {}
    room = stage.memory.take(stage.extent.tile * CONTEXT_BYTES)
    return dict(flags=1, extra=room, first=tensors[SAMPLES].data_ptr(), words=int(tensors[SEED]), n_source=streams[kernel])
