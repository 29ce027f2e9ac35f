"""A training run in one file: weights, the optimiser, the epoch, random numbers. safetensors with JSON in its header; reading it runs no code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]


def save_run(path: Path, parts: Mapping[str, Any]) -> None:
    """Write named parts (nested dicts and lists of tensors, numbers, texts); the file is either the old one or the new one, whatever happens."""
    from safetensors.torch import save_file

    tensors: Tensors = {}
    structure = _take_tensors(parts, "", tensors)
    temporary = path.with_name(path.name + ".part")
    save_file(tensors, temporary, {"run": json.dumps(structure)})
    os.replace(temporary, path)


def load_run(path: Path) -> dict[str, Any]:
    """The parts of a file that `save_run` wrote."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if "run" not in metadata:
        raise ValueError(f"{path} was not written by fit: it has no description of a training run")
    restored: dict[str, Any] = _put_tensors(json.loads(metadata["run"]), tensors)
    return restored


def _take_tensors(value: Any, name: str, tensors: Tensors) -> Any:
    """The value with its tensors replaced by their names; `tensors` receives them."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _take_tensors(v, f"{name}.{key}" if name else str(key), tensors)] for key, v in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_take_tensors(v, f"{name}.{n}", tensors) for n, v in enumerate(value)]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{name} is a {type(value).__name__}, which a checkpoint cannot hold; it takes tensors, numbers, texts, lists and dicts")


def _put_tensors(value: Any, tensors: Tensors) -> Any:
    match value:
        case {"tensor": name}:
            return tensors[name]
        case {"dict": pairs}:
            return {key: _put_tensors(v, tensors) for key, v in pairs}
        case {"list": values}:
            return [_put_tensors(v, tensors) for v in values]
        case {"tuple": values}:
            return tuple(_put_tensors(v, tensors) for v in values)
    return value


def random_state(generator: torch.Generator | None) -> dict[str, Any]:
    """Where torch's, numpy's and the loader's random numbers stand."""
    kind, keys, position, has_gauss, cached = np.random.get_state()
    state: dict[str, Any] = {"torch": torch.get_rng_state(), "numpy": [kind, torch.from_numpy(np.asarray(keys, np.int64)), position, has_gauss, cached]}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state | ({"loader": generator.get_state()} if generator is not None else {})


def restore_random_state(state: Mapping[str, Any], generator: torch.Generator | None) -> None:
    """Go on with random numbers where they stood."""
    torch.set_rng_state(state["torch"])
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "loader" in state and generator is not None:
        generator.set_state(state["loader"])
