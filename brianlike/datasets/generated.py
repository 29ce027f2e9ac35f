"""Data that are drawn from formulas, as many as are wanted."""

from __future__ import annotations

import numpy as np

from .files import Split


def yin_yang(train: int = 5000, test: int = 1000, seed: int = 0) -> Split:
    """Points of the Yin-Yang sign: `x` of shape (samples, 4) from 0 to 1, `(a, b, 1 - a, 1 - b)`; `y` is 0 for yin, 1 for yang, 2 for the two dots.

    A small task that a linear read-out cannot do (64 %), made for spike times as inputs: each coordinate comes with its mirror image, so that there is an
    early spike on either side.

    Parameters
    ----------
    train, test : int
        Number of points; classes are equally likely.
    seed : int

    Notes
    -----
    Source: L. Kriener, J. Goeltz and M. A. Petrovici (2022), The Yin-Yang dataset, arXiv:2102.08211. The sign has the radius 0.5, its dots have 0.1.

    Examples
    --------
    >>> from brianlike.datasets import yin_yang
    >>> data = yin_yang(train=300, test=60)
    >>> data.x_train.shape, sorted(set(data.y_test.tolist()))
    ((300, 4), [0, 1, 2])
    """
    random = np.random.default_rng(seed)
    wanted = random.integers(3, size=train + test)
    points = np.empty((train + test, 2))
    missing = np.arange(train + test)
    while len(missing):
        drawn = random.random((len(missing), 2))
        fits = yin_yang_class(drawn) == wanted[missing]
        points[missing[fits]] = drawn[fits]
        missing = missing[~fits]
    x = np.concatenate([points, 1 - points], axis=1)
    return Split(x[:train], wanted[:train], x[train:], wanted[train:])


def yin_yang_class(points: np.ndarray) -> np.ndarray:
    """0 for yin, 1 for yang, 2 for a dot, -1 outside of the sign."""
    a, b = points.T
    inside = (a - 0.5) ** 2 + (b - 0.5) ** 2 <= 0.25
    left, right = np.hypot(a - 0.25, b - 0.5), np.hypot(a - 0.75, b - 0.5)
    dot = (left < 0.1) | (right < 0.1)
    yin = (left <= 0.25) | ((b > 0.5) & (right > 0.25))  # the left head, and the upper half without the right head
    return np.where(~inside, -1, np.where(dot, 2, np.where(yin, 0, 1)))


def randman(
    classes: int = 10,
    units: int = 100,
    samples: int = 1000,
    dimensions: int = 1,
    smoothness: float = 2.0,
    spikes: int = 1,
    seed: int = 0,
    test_fraction: float = 0.2,
) -> Split:
    """Spike times on smooth random manifolds, one for each class: `x` of shape (samples, units, spikes), from 0 to 1; `y` is the class.

    Every unit fires the same number of spikes in every class, so counts tell nothing, and all information is in the times. Difficulty is a matter of
    numbers: more dimensions and less smoothness are harder.

    Parameters
    ----------
    classes, units : int
    samples : int
        Of each class.
    dimensions : int
        Of the manifolds.
    smoothness : float
        Exponent by which the amplitudes of a manifold's waves fall with their frequency.
    spikes : int
        Of each unit; each has a manifold of its own.
    seed : int
    test_fraction : float
        A random part of the samples is held out.

    Notes
    -----
    Source: F. Zenke and T. P. Vogels (2021), The remarkable robustness of surrogate gradient learning for instilling complex function in spiking neural
    networks, Neural Computation 33:899. Each coordinate is a product over the manifold's dimensions of
    `sum_k A_k (k + 1)**-smoothness sin(2 pi (k B_k u + C_k))` with uniform A, B, C (A_0 = 0) up to the frequency beyond which amplitudes are below 1e-3,
    scaled to the range from 0 to 1 for each class.

    Examples
    --------
    >>> from brianlike.datasets import randman
    >>> data = randman(classes=3, units=20, samples=50)
    >>> data.x_train.shape, data.x_test.shape
    ((120, 20, 1), (30, 20, 1))
    """
    random = np.random.default_rng(seed)
    x = np.empty((classes, samples, units, spikes))
    for label in range(classes):
        where = random.random((samples, dimensions))
        for spike in range(spikes):
            x[label, :, :, spike] = _manifold(where, units, smoothness, random)
    order = random.permutation(classes * samples)
    flat, labels = x.reshape(-1, units, spikes)[order], np.repeat(np.arange(classes), samples)[order]
    held_out = round(test_fraction * len(flat))
    return Split(flat[held_out:], labels[held_out:], flat[:held_out], labels[:held_out])


def _manifold(where: np.ndarray, units: int, smoothness: float, random: np.random.Generator) -> np.ndarray:
    """The manifold's points (samples, units) at intrinsic coordinates (samples, dimensions)."""
    highest = int(min(np.ceil(1e-3 ** (-1 / smoothness)), 1000))
    order = np.arange(highest)
    amplitude, frequency, phase = random.random((3, units, where.shape[1], highest))
    amplitude[..., 0] = 0
    amplitude *= (order + 1.0) ** -smoothness
    points = np.ones((len(where), units))
    for unit in range(units):
        for dimension in range(where.shape[1]):
            angle = where[:, dimension, None] * (order * frequency[unit, dimension]) + phase[unit, dimension]
            points[:, unit] *= np.sin(2 * np.pi * angle) @ amplitude[unit, dimension]
    low, high = points.min(0), points.max(0)
    return (points - low) / np.where(high > low, high - low, 1.0)
