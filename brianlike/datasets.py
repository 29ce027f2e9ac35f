"""Real data for demos, tutorials and tests, and the codes that turn numbers into spikes.

Files are read from a folder of the user's: the argument `folder`, or the environment variable `BRIANLIKE_DATA`. Nothing is downloaded, nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .clocks import defaultclock, seconds

__all__ = ["Split", "braille", "digits", "latency"]

_BRAILLE_SHA256 = "6fd166759205b1911e0f7d113be28faf3f9fecc1c1d3c87f9cda7065fec850cc"


@dataclass(frozen=True, slots=True)
class Split:
    """A data set in two parts, `x` of shape (samples, ...) and `y` of class numbers."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def digits(seed: int = 0) -> Split:
    """The 1797 handwritten digits that scikit-learn ships (8 x 8 pixels from 0 to 1), a random fifth of them for testing.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998).

    Examples
    --------
    >>> from brianlike.datasets import digits
    >>> digits().x_train.shape
    (1438, 64)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("the digits come with scikit-learn: pip install 'brianlike[demo]'") from error
    images, labels = load_digits(return_X_y=True)
    return split(images / 16.0, labels.astype(np.int64), seed)


def split(x: np.ndarray, y: np.ndarray, seed: int, test_fraction: float = 0.2) -> Split:
    """A random part for testing, the rest for training."""
    order = np.random.default_rng(seed).permutation(len(x))
    held_out = round(test_fraction * len(x))
    test, train = order[:held_out], order[held_out:]
    return Split(x[train], y[train], x[test], y[test])


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
    path = _file("braille.npz", folder, _BRAILLE_SHA256)
    with np.load(path, allow_pickle=False) as data:
        pressure, labels = data["taxels"][:, :, list(taxels)].astype(np.float64), data["label"].astype(np.int64)
    parts = split(pressure, labels, seed)
    mean, deviation = parts.x_train.mean((0, 1)), parts.x_train.std((0, 1))
    return Split((parts.x_train - mean) / deviation, parts.y_train, (parts.x_test - mean) / deviation, parts.y_test)


def _file(name: str, folder: str | os.PathLike[str] | None, digest: str) -> Path:
    given = folder or os.environ.get("BRIANLIKE_DATA")
    if not given:
        raise FileNotFoundError(f"{name} is needed: give the folder that holds it, or set the environment variable BRIANLIKE_DATA to it")
    path = Path(given) / name
    if not path.is_file():
        raise FileNotFoundError(f"there is no {name} in {given}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise ValueError(f"{path} is not the published file: its SHA-256 is {found[:12]}..., not {digest[:12]}...")
    return path


def latency(intensity: np.ndarray, steps: int, tau: object, threshold: float = 0.2) -> np.ndarray:
    """Spikes whose time tells the intensity: a strong input charges a leaky neuron to its threshold sooner.

    One spike for each intensity above `threshold`, at `tau*log(x/(x - threshold))`, the time at which a leaky integrator driven by x reaches the
    threshold (as in SpyTorch's tutorials).

    Parameters
    ----------
    intensity : array, shape (samples, inputs), from 0 to 1
    steps : int
        Length of the result; later spikes are left out.
    tau : Quantity
        Time constant (s).
    threshold : float
        Weaker inputs stay silent.

    Returns
    -------
    array of bool, shape (steps, samples, inputs)

    Examples
    --------
    >>> from brianlike import ms, defaultclock
    >>> defaultclock.dt = 1*ms
    >>> latency(np.array([[1.0, 0.5, 0.1]]), 20, 10*ms).nonzero()[0]
    array([2, 5])
    """
    x = np.asarray(intensity, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(x > threshold, seconds(tau, "tau") * np.log(x / (x - threshold)), np.inf)
    when = np.floor(times / defaultclock.dt_ + 1e-9)
    spikes = np.zeros((steps, *x.shape), dtype=bool)
    sample, unit = np.nonzero(when < steps)
    spikes[when[sample, unit].astype(np.int64), sample, unit] = True
    return spikes
