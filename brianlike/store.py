"""The state of a network, kept in memory or in a file: `store()` and `restore()`.

A file is an archive of plain arrays (the `.npz` format of numpy, without pickles), so reading it can run no code. One file can hold several states.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .objects import SimulationObject
from .seeding import SOURCE

__all__ = ["StoredState", "read_state", "write_state"]

FORMAT = "brianlike state 1"
_HEAD = "states.json"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class StoredState:
    """All that a run changes.

    Parameters
    ----------
    t : time in seconds.
    clocks : step of each object's clock, in seconds.
    objects : the arrays of each object: variables, connections, records.
    waiting : for each array of events, (steps, elements, step and element of each event): what is still to be delivered.
    random : seed, epoch, and the state of numpy's generator.
    """

    t: float
    clocks: dict[str, float]
    objects: dict[str, Arrays]
    waiting: dict[str, Arrays]
    random: Arrays


def state_of_objects(objects: Iterable[SimulationObject]) -> dict[str, Arrays]:
    """Copies of what each object holds."""
    return {item.name: item.snapshot() for item in objects if hasattr(item, "snapshot")}


def check_names(objects: Iterable[SimulationObject], stored: StoredState) -> None:
    """KeyError unless the stored state is one of just these objects."""
    have = {item.name for item in objects if hasattr(item, "snapshot")}
    for names, what in ((have - stored.objects.keys(), "has nothing for"), (stored.objects.keys() - have, "has more objects than the network:")):
        if names:
            listed = ", ".join(map(repr, sorted(names)))
            raise KeyError(f"the stored state {what} {listed}; objects must have the names that they had when it was stored")


def random_state() -> Arrays:
    """Where all random numbers stand, also those of `np.random`."""
    _, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    rest = {"position": position, "has_gauss": has_gauss, "gauss": gauss, "seed": SOURCE.seed, "epoch": SOURCE.epoch}
    return {"keys": np.array(keys), **{name: np.array(value) for name, value in rest.items()}}


def set_random_state(state: Arrays) -> None:
    """Go back to where random numbers stood."""
    SOURCE.seed, SOURCE.epoch = int(state["seed"]), int(state["epoch"])
    np.random.set_state(("MT19937", state["keys"], int(state["position"]), int(state["has_gauss"]), float(state["gauss"])))


# ----------------------------------------------------------------------------------------------------------------------------------------------- files
def write_state(filename: str | os.PathLike[str], name: str, stored: StoredState) -> None:
    """Add a state to a file, or replace the one of that name there. The file is whole at every moment, also if the program ends in between.

    Raises
    ------
    ValueError
        If the file exists and is no such file; it stays as it is.
    """
    path = Path(filename)
    states = _read(path, lambda other: other != name) if path.exists() else {}
    states[name] = stored
    head: dict[str, Any] = {"format": FORMAT, "states": {}}
    arrays: Arrays = {}
    for key, state in states.items():
        head["states"][key] = {"t": state.t, "clocks": state.clocks, "arrays": {}}
        for place, names, values in _flat(state):
            member = f"{len(arrays)}"
            arrays[member] = values
            head["states"][key]["arrays"][member] = [place, *names]
    handle, temporary = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # compressing would take ten times as long
                archive.writestr(_HEAD, json.dumps(head))
                for member, values in arrays.items():
                    with archive.open(f"{member}.npy", "w", force_zip64=True) as target:
                        np.lib.format.write_array(target, np.asanyarray(values), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_state(filename: str | os.PathLike[str], name: str) -> StoredState:
    """A state out of a file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no file of stored states.
    KeyError
        If it has no state of that name.
    """
    found: list[str] = []

    def wanted(other: str) -> bool:
        found.append(other)
        return other == name

    states = _read(Path(filename), wanted)
    if name not in states:
        raise KeyError(f"{str(filename)!r} has no stored state {name!r}; it has {', '.join(map(repr, found))}")
    return states[name]


def _flat(state: StoredState) -> Iterable[tuple[str, tuple[str, ...], np.ndarray]]:
    for place, groups in (("objects", state.objects), ("waiting", state.waiting)):
        for owner, arrays in groups.items():
            yield place, (owner,), np.zeros(0)  # an object without arrays is one, too
            yield from ((place, (owner, variable), values) for variable, values in arrays.items())
    yield from (("random", (variable,), values) for variable, values in state.random.items())


def _read(path: Path, wanted: Callable[[str], bool]) -> dict[str, StoredState]:
    """The states of a file whose names are wanted; the others are not looked at."""
    try:
        with zipfile.ZipFile(path) as archive:
            head = json.loads(archive.read(_HEAD))
            if head["format"] != FORMAT:
                raise ValueError(f"{str(path)!r} was written by another version ({head['format']!r}); this one reads {FORMAT!r}")
            return {name: _state(archive, entry) for name, entry in head["states"].items() if wanted(name)}
    except (zipfile.BadZipFile, KeyError, EOFError, json.JSONDecodeError) as error:
        raise ValueError(f"{str(path)!r} is no file of stored states, or it is damaged: {error}") from error


def _state(archive: zipfile.ZipFile, entry: Mapping[str, Any]) -> StoredState:
    found: dict[str, dict[str, Arrays]] = {"objects": {}, "waiting": {}}
    random: Arrays = {}
    for member, (place, *names) in entry["arrays"].items():
        if place == "random":
            random[names[0]] = _array(archive, member)
        elif len(names) == 1:
            found[place][names[0]] = {}
        else:
            found[place][names[0]][names[1]] = _array(archive, member)
    return StoredState(float(entry["t"]), {name: float(dt) for name, dt in entry["clocks"].items()}, found["objects"], found["waiting"], random)


def _array(archive: zipfile.ZipFile, member: str) -> np.ndarray:
    with archive.open(f"{member}.npy") as source:
        values: np.ndarray = np.lib.format.read_array(source, allow_pickle=False)
    return values
