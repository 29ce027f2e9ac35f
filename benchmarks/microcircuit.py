"""The cortical microcircuit of Potjans & Diesmann at full scale: 77,169 neurons, 0.3 billion synapses, 1 s simulated with two threads, against NEST.

Ours: `set-up` is all of the script and a first run of one step, so compiling or loading kernels and sorting synapses are in it; `run` is all of
`run(1*second)` after that. NEST: `set-up` is all of the script, `Prepare` and a first `Run` of one step; `run` is `Run`. Memory is what the process holds
behind the set-up, and held at most, less what it held after the import, for each synapse. Texts are `models/microcircuit.py` and
`models/microcircuit_nest.py`; `models/microcircuit_parameters.py` says where both differ from the published network. `--scale` makes it smaller. NEST needs
15 GB at full scale.
"""

import sys
from dataclasses import replace

from measure import OURS, RUN, Peer, Workload, arguments, main

SET_UP, STEADY, PEAK = "set-up (s)", "bytes a synapse", "bytes a synapse, peak"
WORKLOAD = Workload(
    "microcircuit",
    "microcircuit",
    peers=(replace(OURS, threads=2), Peer("nest", threads=2, targets={RUN: 15.0, SET_UP: 3.0})),
    limits={STEADY: 12.0, PEAK: 24.0},
    shown=(RUN, SET_UP, STEADY, PEAK, "peak memory (GB)"),
    quick={"scale": 0.01},
    quick_duration=0.02,
)


def options(parser):
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the neurons (1)")
    parser.add_argument("--in-degrees", choices=("scaled", "kept"), default="scaled", help="of a smaller network; kept from 0.47 on")
    chosen = parser.parse_args()
    chosen.given = {"scale": chosen.scale, "in_degrees": chosen.in_degrees}
    return chosen


if __name__ == "__main__":
    chosen = options(arguments(__doc__))
    limits = {STEADY: 8.0, PEAK: 16.0} if chosen.float32 else WORKLOAD.limits
    sys.exit(main(replace(WORKLOAD, limits=limits), chosen))
