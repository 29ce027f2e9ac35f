"""A training step of 1000 steps with a batch of 32: 700-256-20 current-based neurons, recurrent."""

from __future__ import annotations

import sys
from dataclasses import replace

from side_by_side import COMPILED, ENGINE, JAX, JAX_HALVES, NORSE, SNNTORCH, SPIKINGJELLY, Case, main
from tasks import Task

LIBRARIES = tuple(replace(peer, at_least=15) for peer in (SPIKINGJELLY, SNNTORCH, NORSE))
PEERS = (ENGINE, *LIBRARIES, COMPILED, replace(JAX, at_least=3), replace(JAX_HALVES, at_least=3))
CASES = (Case("1000 steps, batch of 32", Task(steps=1000, batch=32, recurrent=True), PEERS, (0.02, 0.10)),)
NOTE = "Ours is held to 15 times the best library on torch. SpikingJelly's LIF has no synaptic current: one state, where the others have two."

if __name__ == "__main__":
    sys.exit(main("training/long", __doc__, CASES, NOTE))
