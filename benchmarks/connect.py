"""Connecting 12,500 neurons at random with 15.6 million synapses: by `p=0.1`, and by a condition and p.

Timed in `models/connect.py`, which both run: `connect` of ten neurons, the first in the process, which compiles or loads code; then `connect` of all, with
nothing left to load; and the first step after it, for which synapses are sorted.
"""

import sys

from measure import OURS, Peer, Workload, arguments, main

TARGETS = {"connect, p=0.1 (s)": 40.0, "connect, condition and p (s)": 20.0}
WORKLOAD = Workload("connect", "connect", peers=(OURS, Peer("brian2", targets=TARGETS)), tolerance=0.01, quick={"N": 200})

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
