"""Arrays in two parts, and the files they come from."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Split:
    """A data set in two parts, `x` of shape (samples, ...) and `y` of class numbers."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def split(x: np.ndarray, y: np.ndarray, seed: int, test_fraction: float = 0.2) -> Split:
    """A random part for testing (or for validation), the rest for training.

    Parameters
    ----------
    x : array, shape (samples, ...)
    y : array, shape (samples,)
    seed : int
        The same seed gives the same parts.
    test_fraction : float
        Between 0 and 1.

    Examples
    --------
    >>> from brianlike.datasets import split
    >>> parts = split(np.arange(10.0), np.arange(10) % 2, seed=0, test_fraction=0.3)
    >>> len(parts.x_train), len(parts.x_test)
    (7, 3)
    """
    order = np.random.default_rng(seed).permutation(len(x))
    held_out = round(test_fraction * len(x))
    test, train = order[:held_out], order[held_out:]
    return Split(x[train], y[train], x[test], y[test])


def given_folder(folder: str | os.PathLike[str] | None) -> Path | None:
    """The folder that the user named, here or in BRIANLIKE_DATA."""
    given = folder or os.environ.get("BRIANLIKE_DATA")
    return Path(given) if given else None


def local_file(name: str, folder: str | os.PathLike[str] | None, checksum: str | None = None) -> Path:
    """A file that the user has; errors if it is missing, or not the one with this checksum (`sha256:...`, `md5:...`)."""
    given = given_folder(folder)
    if given is None:
        raise FileNotFoundError(f"{name} is needed: give the folder that holds it, or set the environment variable BRIANLIKE_DATA to it")
    path = given / name
    if not path.is_file():
        raise FileNotFoundError(f"there is no {name} in {given}")
    if checksum is not None:
        check(path, checksum)
    return path


def check(path: Path, checksum: str) -> None:
    """Raise ValueError unless the file has the checksum."""
    algorithm, _, digest = checksum.partition(":")
    if algorithm not in ("md5", "sha256") or not digest:
        raise ValueError(f"a checksum is 'sha256:...' or 'md5:...', not {checksum!r}")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest() if hasattr(hashlib, "file_digest") else hashlib.new(algorithm, file.read()).hexdigest()
    if found != digest.lower():
        raise ValueError(f"{path} is not the published file: its {algorithm} is {found[:12]}..., not {digest[:12]}...")


def downloaded_file(name: str, address: str, checksum: str, folder: str | os.PathLike[str] | None) -> Path:
    """A published file, downloaded once into the folder (by default pooch's cache) and checked."""
    try:
        import pooch
    except ImportError as error:
        raise ImportError(f"{name} is downloaded by pooch: pip install 'brianlike[data]', or put the file where BRIANLIKE_DATA points") from error
    return Path(pooch.retrieve(address + name, known_hash=checksum, fname=name, path=given_folder(folder) or pooch.os_cache("brianlike"), progressbar=False))
