"""The seed of all random numbers, and the epoch that sets trials apart."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

__all__ = ["seed"]


class _Source:
    """Every random number is a function of (seed, epoch, step, element, stream, draw), so only the first two are state."""

    def __init__(self) -> None:
        self.seed = secrets.randbits(32)
        self.epoch = 0
        self.given = False  # by the user


SOURCE = _Source()


def seed(seed: int | None = None) -> None:
    """Make everything random from here on repeatable (or, with None, fresh). It seeds `np.random` too, as in Brian.

    Parameters
    ----------
    seed : int or None
        A whole number from 0 to 2**32 - 1.

    Examples
    --------
    >>> from brianlike import seed
    >>> seed(42)
    """
    if seed is not None and not 0 <= int(seed) < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to 2**32 - 1, not {seed!r}")
    SOURCE.seed = secrets.randbits(32) if seed is None else int(seed)
    SOURCE.epoch = 0
    SOURCE.given = seed is not None
    np.random.seed(SOURCE.seed)


@contextmanager
def next_run(seed: int, epoch: int) -> Iterator[None]:
    """Within it, the next run has this seed and epoch; afterwards everything is as before."""
    before = SOURCE.seed, SOURCE.epoch
    SOURCE.seed, SOURCE.epoch = seed, (epoch - 1) % 2**32
    try:
        yield
    finally:
        SOURCE.seed, SOURCE.epoch = before


def next_epoch() -> tuple[int, int]:
    """Seed and epoch for one run, assignment or connect: the epoch advances, so their numbers are independent."""
    SOURCE.epoch = (SOURCE.epoch + 1) % 2**32
    return SOURCE.seed, SOURCE.epoch
