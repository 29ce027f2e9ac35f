"""COBAHH: 4000 Hodgkin-Huxley neurons with synaptic conductances, 1 s simulated in 10,000 steps.

Ours and Brian's runtime: all of `run(1*second)`, after a first run of one step; of Brian's also the same without its `before_run`. Brian's standalone
program: the time that it counts itself. The text is `models/cobahh.py` for all. From one random network to the next the number of spikes differs: one
standard deviation is 8 to 10% in both simulators, and the means of 20 networks agree.
"""

import sys

from measure import OURS, RUN, Peer, Workload, arguments, main

WORKLOAD = Workload(
    "cobahh",
    "cobahh",
    peers=(OURS, Peer("brian2", "standalone", targets={RUN: 9.0}), Peer("brian2", targets={RUN: 14.0})),
    tolerance=0.3,
    quick={"N": 200},
)

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
