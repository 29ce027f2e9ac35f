"""Two threads against one: how much faster COBAHH, Brunel's network and a microcircuit of a third are, and whether all bits of all variables are the same.

All of `run(...)` after a first run of one step, in turn with one and two threads. Bits are compared by a digest of what `Network.get_states` returns in the
end.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from measure import OURS, Row, Workload, activities, arguments, measure, report, rows

WORKLOADS = (
    Workload("cobahh", "cobahh", (OURS, replace(OURS, threads=2)), quick={"N": 200}),
    Workload("brunel", "brunel", (OURS, replace(OURS, threads=2)), quick={"N": 500}),
    Workload("microcircuit", "microcircuit", (OURS, replace(OURS, threads=2)), given={"scale": 0.3}, quick={"scale": 0.01}),
)
LEAST = 1.6


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--only", choices=[workload.name for workload in WORKLOADS], help="one of the networks")
    options = parser.parse_args()
    options.digest, options.repeats = True, 1 if options.quick else options.repeats
    table: list[Row] = []
    said: list[str] = []
    for workload in WORKLOADS:
        if options.only in (None, workload.name):
            taking_part, missing = measure(workload, options)
            digests = {answer["digest"] for one in taking_part for answer in one.answers}
            said += [f"{workload.name}: {activities(taking_part)}", *missing]
            said.append(f"{workload.name}: all bits are the same" if len(digests) == 1 else f"ERROR: {workload.name}: {len(digests)} different results")
            one, *two = rows(workload, taking_part)
            table.append(replace(one, what=f"{workload.name}, {one.what}"))
            for more in two:  # how many times as fast as one thread
                table.append(replace(more, what=f"{workload.name}, {more.what}", ratio=one.minimum / more.minimum, target=LEAST))
    said.insert(0, "In this table, \"times ours\" is one thread's time over two threads'.")
    return report("threads", table, said, options)


if __name__ == "__main__":
    sys.exit(main())
