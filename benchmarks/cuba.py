"""CUBA: 4000 neurons with exponential currents, 50 s simulated in 500,000 steps.

Ours and Brian's runtime: all of `run(50*second)`, after a first run of one step; of Brian's also the same without its `before_run`. Brian's standalone
program: the time that it counts itself. The text is `models/cuba.py` for all.
"""

import sys

from measure import OURS, RUN, Peer, Workload, arguments, main

WORKLOAD = Workload(
    "cuba",
    "cuba",
    peers=(OURS, Peer("brian2", "standalone", targets={RUN: 3.0}), Peer("brian2", targets={RUN: 12.0})),
    duration=50.0,
    quick={"N": 200},
)

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
