"""A training step of a wide recurrent network: 700-1024-20, 100 steps, a batch of 256; busy, sparse, and with surrogates of compact support."""

from __future__ import annotations

import sys
from dataclasses import replace

from side_by_side import COMPILED, ENGINE, JAX, JAX_HALVES, Case, main
from tasks import Task

WIDE = Task(hidden=1024, recurrent=True, activity=0.07)


def peers(at_least: float, *more):
    return ENGINE, *more, replace(JAX, at_least=at_least), replace(JAX_HALVES, at_least=at_least)


CASES = (
    Case("at most 10 % fire", WIDE, peers(2, COMPILED), (0.02, 0.10)),
    Case("at most 2 % fire", replace(WIDE, activity=0.013), peers(3), (0.005, 0.02)),
    Case("Triangle", replace(WIDE, surrogate="Triangle"), peers(3), (0.02, 0.10)),
    Case("Boxcar", replace(WIDE, surrogate="Boxcar"), peers(3), (0.02, 0.10)),
)

if __name__ == "__main__":
    sys.exit(main("training/wide", __doc__, CASES))
