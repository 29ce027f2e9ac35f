"""STDP: 1000 Poisson inputs onto 100 neurons, all to all with plastic synapses, 10 s simulated.

Ours and Brian's runtime: all of `run(10*second)`, after a first run of one step; of Brian's also the same without its `before_run`. Brian's standalone
program: the time that it counts itself. The text is `models/stdp.py` for all. Spikes are those of the 100 neurons; one standard deviation between seeds is 8
to 9% of a second's in both simulators, and the means of 20 seeds agree.
"""

import sys

from measure import OURS, RUN, Peer, Workload, arguments, main

WORKLOAD = Workload(
    "stdp",
    "stdp",
    peers=(OURS, Peer("brian2", "standalone", targets={RUN: 3.0}), Peer("brian2", targets={RUN: 20.0})),
    duration=10.0,
    tolerance=0.3,
    quick={"inputs_per_neuron": 1000, "N": 10},
    quick_duration=0.2,
)

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
