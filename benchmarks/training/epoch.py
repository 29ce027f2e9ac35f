"""An epoch of data of the size of the Spiking Heidelberg Digits: 8156 samples, 700 channels, 100 bins, 200 recurrent neurons, 20 classes, batches of 256.

Spikes are synthetic and as many as there: about 8000 in a sample, so that every ninth input fires in a bin. The time is that of 8156/256 training steps, the
shortest that was measured; loading of data is left out.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from side_by_side import COMPILED, ENGINE, JAX, JAX_HALVES, NORSE, SNNTORCH, SPIKINGJELLY, Case, main
from tasks import Task

SAMPLES, BATCH = 8156, 256
LIBRARIES = tuple(replace(peer, at_least=5) for peer in (SPIKINGJELLY, SNNTORCH, NORSE))
TASK = Task(batch=BATCH, hidden=200, recurrent=True, input_rate=0.11)
CASES = (Case("one epoch", TASK, (ENGINE, *LIBRARIES, COMPILED, JAX, JAX_HALVES), (0.02, 0.10), times=SAMPLES / BATCH),)
NOTE = "Ours is held to 5 times the best library on torch. An epoch is 8156/256 of the shortest training steps. SpikingJelly's LIF has no synaptic current."

if __name__ == "__main__":
    sys.exit(main("training/epoch", __doc__, CASES, NOTE))
