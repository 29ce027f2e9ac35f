"""What a module keeps of its network beside parameters: constants in full precision, cast to the type and device that it has; objects that copies share."""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from codegen.expr import DType
from codegen.ir import Role

from ..prepare import Prepared
from .delivery import Values

M = TypeVar("M", bound=nn.Module)


def cast(prepared: Prepared, constants: Mapping[str, np.ndarray], learned: Container[str], dtype: torch.dtype, device: torch.device) -> Values:
    """The arrays that are not learned, before the first step: constants and initial states, and accumulators and events that are empty."""
    found: Values = {}
    for array in prepared.program.arrays:
        if array.name in learned:
            continue
        is_float = array.dtype is DType.FLOAT
        if array.name in constants:
            found[array.name] = torch.from_numpy(constants[array.name]).to(device=device, dtype=dtype if is_float else None)
        elif array.role in (Role.EVENT, Role.ACCUMULATOR):
            size = 1 if array.space is None else len(prepared.objects[array.space])  # type: ignore[arg-type]
            kind = dtype if is_float or array.role is Role.EVENT else torch.int64
            found[array.name] = torch.zeros(size, dtype=kind, device=device)
    return found


def copy_keeping(module: M, memo: dict[int, Any], kept: Sequence[object]) -> M:
    """A deep copy that shares some objects with the original."""
    memo |= {id(item): item for item in kept}
    copied = nn.Module.__new__(type(module))
    memo[id(module)] = copied
    copied.__dict__.update(copy.deepcopy(module.__dict__, memo))
    return copied
