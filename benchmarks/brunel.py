"""Brunel's network: 12,500 neurons, 15.6 million synapses with one delay, Poisson input, 1 s simulated; also against NEST, both with two threads.

Ours: all of `run(1*second)`, after a first run of one step. Brian's standalone program: the time that it counts itself. NEST: `Run` after `Prepare` and a
first `Run` of one step; its Poisson generator gives each neuron a train of its own, as `PoissonInput` does. Texts are `models/brunel.py` and
`models/brunel_nest.py`.

From one random network of this kind to the next the number of spikes differs by some percent (one standard deviation is about 5%), in all simulators alike.
"""

import sys
from dataclasses import replace

from measure import OURS, RUN, Peer, Workload, arguments, main

WORKLOAD = Workload(
    "brunel",
    "brunel",
    peers=(OURS, Peer("brian2", "standalone", targets={RUN: 6.0}), replace(OURS, threads=2), Peer("nest", threads=2, targets={RUN: 10.0})),
    tolerance=0.2,
    quick={"N": 500},
)

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
