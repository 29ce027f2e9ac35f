"""Touch: Braille letters under a robot's finger."""

from __future__ import annotations

import os

import numpy as np

from .files import Split, local_file, split

BRAILLE_CHECKSUM = "sha256:6fd166759205b1911e0f7d113be28faf3f9fecc1c1d3c87f9cda7065fec850cc"


def braille(folder: str | os.PathLike[str] | None = None, seed: int = 0, taxels: tuple[int, ...] = (1, 2, 6, 10)) -> Split:
    """Pressure on a robot's fingertip that slides over 27 Braille characters, 50 times each: `x` of shape (samples, 76, taxels), standardised per taxel.

    Parameters
    ----------
    folder : path, optional
        Where `braille.npz` is; the environment variable BRIANLIKE_DATA by default.
    seed : int
        Of the random fifth that is held out for testing.
    taxels : tuple of int
        Which of the 12 taxels are used; these four carry most of the information.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file is missing, or not the one that was published.

    Notes
    -----
    Data: S. F. Muller-Cleve et al. (2022), Braille letter reading: a benchmark for spatio-temporal pattern recognition on neuromorphic hardware,
    Frontiers in Neuroscience 16:951164; CC BY 4.0.
    """
    path = local_file("braille.npz", folder, BRAILLE_CHECKSUM)
    with np.load(path, allow_pickle=False) as data:
        pressure, labels = data["taxels"][:, :, list(taxels)].astype(np.float64), data["label"].astype(np.int64)
    parts = split(pressure, labels, seed)
    mean, deviation = parts.x_train.mean((0, 1)), parts.x_train.std((0, 1))
    return Split((parts.x_train - mean) / deviation, parts.y_train, (parts.x_test - mean) / deviation, parts.y_test)
