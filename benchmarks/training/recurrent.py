"""A training step of a recurrent network: 100 steps, a batch of 256, 700-256-20 current-based neurons, 2 to 10 % of the hidden ones fire in a step."""

from __future__ import annotations

import sys
from dataclasses import replace

from side_by_side import COMPILED, ENGINE, JAX, JAX_HALVES, NORSE, SNNTORCH, SPIKINGJELLY, Case, main
from tasks import Task

PEERS = (ENGINE, SPIKINGJELLY, SNNTORCH, replace(NORSE, at_least=5), COMPILED, replace(JAX, at_least=2.5), replace(JAX_HALVES, at_least=2.5))
CASES = (Case("700-256-20, recurrent", Task(recurrent=True, activity=0.05), PEERS, (0.02, 0.10)),)
NOTE = "SpikingJelly's LIF has no synaptic current: one state, where the others have two."

if __name__ == "__main__":
    sys.exit(main("training/recurrent", __doc__, CASES, NOTE))
