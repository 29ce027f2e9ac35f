"""What is kept for the backward pass: bytes for each neuron and step, hidden and read-out, 100 steps, a batch of 256, 700-256-20, recurrent; and what it costs
to keep less (`checkpoint=`).

Measured in the same way for all: the tensors that the graph of a forward pass saves, as torch tells (`saved_tensors_hooks`), each storage once, or the
growth of the process's resident memory while that graph is alive, whichever is more. Input spikes and parameters are not counted, nor copies of these.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

from side_by_side import ENGINE, NORSE, OURS, SNNTORCH, SPIKINGJELLY, Answers, Case, measured, options_of, report
from tasks import Task
from trainer import KEPT, STEP

# isort: split
from measure import Row, as_text

EVERY = 20
SAVING = replace(ENGINE, name=f"brianlike, checkpoint={EVERY}", options={"checkpoint": EVERY})
TASK = Task(recurrent=True)
CASE = Case("700-256-20, recurrent", TASK, (ENGINE, SAVING, SPIKINGJELLY, SNNTORCH, NORSE), (0.02, 0.10))
STATES_READ = 1  # the potential of a hidden neuron; read-outs are linear, and so is the synaptic current
LIMITS = {
    (KEPT, OURS): (4 * STATES_READ + 0.2) * TASK.hidden / (TASK.hidden + TASK.outputs),
    (KEPT, SAVING.name): 0.7,
}
MORE_TIME = 1.3


def table(answers: Answers, threads: int) -> list[Row]:
    """Bytes and seconds of each peer; what saves memory is held to the time of what does not."""
    found = []
    own = {what: min(one["measured"][what] for one in given) for peer, given in answers if peer.name == OURS for what in (KEPT, STEP)}
    for what in (KEPT, STEP):
        for peer, given in answers:
            values = tuple(one["measured"][what] for one in given)
            ratio = min(values) / own[what] if peer.name != OURS and own.get(what) else None
            limit = MORE_TIME * own[STEP] if what == STEP and peer.name == SAVING.name and own else LIMITS.get((what, peer.name))
            found.append(Row(what, peer.name, threads, min(values), sorted(values)[len(values) // 2], values, ratio, None, limit))
    return found


def main(cases: Sequence[Case] = (CASE,)) -> int:
    options = options_of(__doc__).parse_args()
    options.kept = True
    answers, said = measured(cases[0], options)
    rows = table(answers, options.threads or 2)
    if not rows:
        said.append("ERROR: ours was not measured")
    return report("training/kept", rows, as_text(rows), said, options)


if __name__ == "__main__":
    sys.exit(main())
