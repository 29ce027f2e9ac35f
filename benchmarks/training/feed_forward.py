"""A training step of a feed-forward network: 100 steps, a batch of 256, 700-256-20 current-based neurons, 2 % of the inputs fire in a step."""

from __future__ import annotations

import sys
from dataclasses import replace

from side_by_side import COMPILED, ENGINE, JAX, JAX_HALVES, NORSE, SNNTORCH, SPIKINGJELLY, Case, main
from tasks import Task

PEERS = (
    ENGINE,
    replace(ENGINE, name="brianlike, event lists", options={"events": True}),
    replace(SPIKINGJELLY, at_least=7),
    SNNTORCH,
    NORSE,
    COMPILED,
    replace(JAX, at_least=4),
    replace(JAX_HALVES, at_least=4),
)
CASES = (Case("700-256-20", Task(activity=0.05), PEERS, (0.01, 0.12)),)
NOTE = "SpikingJelly's LIF has no synaptic current: one state, where the others have two."

if __name__ == "__main__":
    sys.exit(main("training/feed_forward", __doc__, CASES, NOTE))
