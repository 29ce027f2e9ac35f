"""One integrate-and-fire neuron with a StateMonitor that keeps each of 100,000 steps: what a step costs where there is nothing to compute.

Ours and Brian's runtime: all of `run(10*second)`, after a first run of one step; of Brian's also the same without its `before_run`. The text is
`models/single_neuron.py`.
"""

import sys

from measure import OURS, RUN, Peer, Workload, arguments, main

WORKLOAD = Workload("single_neuron", "single_neuron", peers=(OURS, Peer("brian2", targets={RUN: 100.0})), duration=10.0)

if __name__ == "__main__":
    sys.exit(main(WORKLOAD, arguments(__doc__).parse_args()))
