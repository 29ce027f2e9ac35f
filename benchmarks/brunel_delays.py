"""Brunel's network with a delay of its own, from 0.1 to 10 ms, for each of 15.6 million synapses, 1 s simulated.

Ours: all of `run(1*second)`, after a first run of one step. Brian's standalone program: the time that it counts itself. The text is `models/brunel.py`.
The number of spikes differs by several percent from one random network to the next.
"""

import sys

from measure import OURS, RUN, Peer, Workload, arguments, main

WORKLOAD = Workload(
    "brunel_delays",
    "brunel",
    peers=(OURS, Peer("brian2", "standalone", targets={RUN: 5.0})),
    given={"drawn_delays": True},
    tolerance=0.2,
    quick={"N": 500, "drawn_delays": True},
)

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
