"""What a set of parameters belongs to: a description of a network by digests, so that a mismatch can be named."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from codegen.dataflow import constant_in_run
from codegen.ir import Array, Role

from ..objects import SimulationObject
from ..state import VariableOwner
from ..synapses import Synapses

if TYPE_CHECKING:
    from .module import NetworkModule

_FIXED = (Role.PARAMETER, Role.EXTERNAL, Role.TABLE)


def digest(module: NetworkModule) -> str:
    """A description of a network as JSON, one entry for each thing that can differ: equations, sizes, connections, delays, constants, units, step, schedule.

    Initial states are no part of it: a trained network may start from others.
    """
    objects, compiled = module._objects, module.prepared.compiled
    described: dict[str, str] = {"dt": repr(module.prepared.ticks.rates[0].dt), "schedule": " ".join(module._schedule)}
    for n, item in enumerate(objects):
        connections = item.state["i"].tobytes() + item.state["j"].tobytes() if isinstance(item, Synapses) else b""
        size = len(item) if isinstance(item, VariableOwner) else 0
        equations = _hash(_stable(repr(compiled[item.name].core).replace(item.name, f"object{n}"), objects).encode()) if item.name in compiled else ""
        described[f"object{n}"] = f"{type(item).__name__} {size} {equations} {_hash(connections + str(size).encode())}"
    places = {item.name: n for n, item in enumerate(objects)}
    fixed = constant_in_run(module.prepared.program)
    for array in module.prepared.program.arrays:
        owner, _, name = array.name.partition(".")
        values = module._constants.get(array.name)
        if values is not None and owner in places and array.name in fixed and _counts(array, values):
            described[f"{_plain(name, objects)} of object{places[owner]}"] = _hash(_exact(values))
    for key, held in module.learned.items():
        described[f"unit of {key}"] = repr(held.scale)
    return json.dumps(described, sort_keys=True)


def check_digest(mine: str, theirs: str, names: Sequence[str]) -> None:
    """ValueError with what differs, unless two descriptions are equal; `names` are those of the objects."""
    if mine == theirs:
        return
    own, other = json.loads(mine), json.loads(theirs)
    different = sorted(key for key in {*own, *other} if own.get(key) != other.get(key))
    shown = ", ".join(_named(key, names) for key in different)
    raise ValueError(f"these parameters belong to another network: it differs in {shown or 'its description'}")


def _counts(array: Array, values: np.ndarray) -> bool:
    """Whether the values are part of the description: constants, and delays that are not all zero (which is the same as none)."""
    if array.name.endswith(".delay") and array.role is Role.INDEX:
        return bool(values.any())
    return array.role in _FIXED


def _plain(name: str, objects: Sequence[SimulationObject]) -> str:
    """The name of a constant; those of the machinery contain names of objects, which may be automatic."""
    return re.sub(r"^_(object\d+)_+", r"\1 ", _numbered(name, objects)) if name.startswith("_") else name


def _numbered(text: str, objects: Sequence[SimulationObject]) -> str:
    """The text with `object0`, `object1`, ... for the names of objects, the longest first."""
    for n, item in sorted(enumerate(objects), key=lambda pair: -len(pair[1].name)):
        text = text.replace(item.name, f"object{n}")
    return text


def _exact(values: np.ndarray) -> bytes:
    kind = np.float64 if values.dtype.kind == "f" else np.int64
    return np.ascontiguousarray(values, kind).tobytes()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _named(key: str, names: Sequence[str]) -> str:
    """`object1 (cells)`: what messages call an object of a description."""
    before, found, number = key.rpartition("object")
    known = found and number.isdigit() and int(number) < len(names)
    return f"{before}object{number} ({names[int(number)]})" if known else key


def _stable(text: str, objects: Sequence[SimulationObject]) -> str:
    """The text without the automatic names, which differ from process to process: whole words, and within the names of the machinery."""
    for n, item in enumerate(objects):
        text = text.replace(f"'{item.name}'", f"'object{n}'")
    return re.sub(r"'_\w+'", lambda match: _numbered(match[0], objects), text)
