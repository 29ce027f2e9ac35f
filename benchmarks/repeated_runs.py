"""What surrounds the steps: 10,000 runs of 1 ms, a function called in every step, store and restore, with 100 neurons.

All is timed in `models/repeated_runs.py`, which both run; Brian does fewer runs, since each takes it tens of milliseconds. `of it not steps` is the run of 1
ms less ten steps of a long run, `call of a function` what a step of a long run takes more with a `network_operation` that appends to a list.
"""

import sys

from measure import OURS, Peer, Workload, arguments, main

RUN, CALL = "run(1*ms) (us)", "call of a function (us)"
AGAIN = "restore() and run(1*ms) (us)"

WORKLOAD = Workload(
    "repeated_runs",
    "repeated_runs",
    peers=(OURS, Peer("brian2", targets={RUN: 10.0, AGAIN: 10.0}, given={"runs": 50, "restores": 50})),
    limits={"of it not steps (us)": 200.0, CALL: 3.0, "restore() (us)": 1000.0},
    quick={"N": 10, "runs": 3, "calls": 20, "restores": 3},
)

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
