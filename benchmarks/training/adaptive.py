"""A training step of recurrent networks of adaptive neurons (LIF, and AdEx by Euler's method) that learn two time constants for each neuron: 700-256-20."""

from __future__ import annotations

import sys
from dataclasses import replace

from side_by_side import ENGINE, JAX, JAX_HALVES, Case, main
from tasks import Task

PEERS = (ENGINE, replace(JAX, at_least=3), replace(JAX_HALVES, at_least=3))
CASES = (
    Case("adaptive LIF", Task(recurrent=True, model="adaptive"), PEERS, (0.02, 0.10)),
    Case("AdEx", Task(recurrent=True, model="adex"), PEERS, (0.02, 0.10)),
)

if __name__ == "__main__":
    sys.exit(main("training/adaptive", __doc__, CASES))
