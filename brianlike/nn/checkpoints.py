"""Modules in files: safetensors for the numbers, JSON in its header for the texts. Reading one runs no code and unpickles nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .description import Description, describe
from .module import NetworkModule
from .neuron import NeuronModule

FORMAT, VERSION = "brianlike model", 1
_WEIGHT = "weight/"
Tensors = dict[str, torch.Tensor]


class CheckpointError(ValueError):
    """A file that is damaged, of another kind, or that belongs to another module."""


def save(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a module to a file; the file is either the old one or the new one, whatever happens.

    Parameters
    ----------
    module : NetworkModule, NeuronModule, or any torch module
        Of the first two, all that makes them is written: equations, thresholds, resets, connections, delays, constants and their units, dt, initial values,
        parameters and their constraints. Of others, only the weights; torch layers are Python code, which no file holds.
    path : str or path

    Raises
    ------
    UnsupportedError
        If only Python code could make the module again (functions in equations, methods of integration of your own); it names what.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, tempfile, torch
    >>> layer = bnn.NeuronModule(4, '''dv/dt = (J - v)/tau : 1
    ...                                J : 1 (input)
    ...                                tau : second''', threshold='v > 1', reset='v = 0', parameters={'tau': 10*ms}, learn='tau')
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bnn.save(layer, f"{folder}/layer.safetensors")
    ...     again = bnn.load(f"{folder}/layer.safetensors")
    >>> x = torch.rand(20, 2, 4)
    >>> torch.equal(again(x), layer(x))
    True
    """
    from safetensors.torch import save_file

    tensors, extra = {}, {}
    for key, value in module.state_dict().items():
        if isinstance(value, torch.Tensor):
            tensors[_WEIGHT + key] = value.detach().cpu().contiguous().clone()
        else:
            extra[key] = value
    data: dict[str, Any] = {"module": None, "extra": extra}
    network = _network_of(module)
    if network is not None:
        description = describe(network)
        tensors |= {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in description.arrays.items()}
        data["module"] = {"class": type(module).__name__, "network": description.data, **_layer(module)}
    text = json.dumps(data)
    header = {FORMAT: json.dumps({"version": VERSION, "sha256": _checksum(text, tensors), "model": text})}  # one entry: safetensors does not order them
    target = Path(path)
    temporary = target.with_name(target.name + ".part")
    try:
        save_file(tensors, temporary, header)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], into: nn.Module | None = None, device: torch.device | str | None = None) -> Any:
    """The module in a file that `save` wrote.

    Parameters
    ----------
    path : str or path
    into : torch module, optional
        A module that takes the weights; equations, connections, constants and units must be those of the file. Left out, the module is made again.
    device : torch.device, optional
        Where the module is made.

    Returns
    -------
    module
        Its groups and synapses are `module[name]`.

    Raises
    ------
    CheckpointError
        If the file is damaged, was not written by `save`, or belongs to another module.
    """
    data, tensors = _read(Path(path))
    weights = {key.removeprefix(_WEIGHT): value for key, value in tensors.items() if key.startswith(_WEIGHT)}
    arrays = {key: value.numpy() for key, value in tensors.items() if not key.startswith(_WEIGHT)}
    try:
        module = _rebuilt(data["module"], arrays, path, device) if into is None else into
        module.load_state_dict({**weights, **data["extra"]})
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError, AssertionError) as error:
        raise CheckpointError(f"{path} does not fit {'the module' if into is not None else 'together'}: {error}") from error
    return module


def _rebuilt(data: Any, arrays: Mapping[str, np.ndarray], path: Any, device: Any) -> nn.Module:
    from .rebuilding import rebuild

    if data is None:
        raise CheckpointError(f"{path} holds weights only: make the module, and load them with load(path, into=module)")
    network = rebuild(Description(data["network"], dict(arrays)), device)
    if data["class"] == "NetworkModule":
        return network
    if data["class"] == "NeuronModule":
        return NeuronModule.around(network, tuple(int(n) for n in data["shape"]), data["output"])
    raise CheckpointError(f"{path} holds a {data['class']!r}, which this version does not know")


def _network_of(module: nn.Module) -> NetworkModule | None:
    """The network of a module that can be made again."""
    if type(module) is NeuronModule and not module.recurrent:
        return module.network
    return module if type(module) is NetworkModule else None


def _layer(module: nn.Module) -> dict[str, Any]:
    return {"shape": list(module.shape), "output": module.output} if isinstance(module, NeuronModule) else {}


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged or no safetensors file: {error}") from error
    if FORMAT not in header:
        raise CheckpointError(f"{path} was not written by brianlike.nn.save: its header names no model")
    try:
        head = json.loads(header[FORMAT])
        version, text = head["version"], head["model"]
        if version != VERSION:
            raise CheckpointError(f"{path} has version {version} of the format, and this brianlike reads version {VERSION}; another version wrote it")
        if head["sha256"] != _checksum(text, tensors):
            raise CheckpointError(f"{path} is damaged: its checksum differs from that of its content")
        data = json.loads(text)
        return {"module": data["module"], "extra": dict(data["extra"])}, tensors
    except CheckpointError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} has a description that cannot be read: {error}") from error


def _checksum(text: str, tensors: Tensors) -> str:
    """A digest of everything in the file."""
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        found.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return found.hexdigest()
