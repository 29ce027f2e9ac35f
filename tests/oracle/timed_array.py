"""Run with Brian 2.9: which value of a TimedArray holds in each step, for many pairs of dt; written to results/timed_array.json.

A row of the file is [dt of the group (ms), dt of the array (ms), x or y, the step of each change to the next value, the first value].
"""

import json
from pathlib import Path

from brian2 import *

prefs.codegen.target = "numpy"
BrianLogger.log_level_error()
GROUPS = [0.1, 0.05, 0.025, 0.2, 0.5, 1 / 3, 0.3, 0.07, 1.0]
ARRAYS = [0.1, 1.0, 0.3, 0.25, 1 / 3, 0.07, 0.15, 0.05, 2.5]

rows = []
for group_dt in GROUPS:
    for array_dt in ARRAYS:
        start_scope()
        values = TimedArray(np.arange(30.0), dt=array_dt * ms)
        G = NeuronGroup(1, "x = values(t) : 1\ny = values(t + dt/2) : 1", dt=group_dt * ms)
        M = StateMonitor(G, ["x", "y"], record=True)
        Network(G, M).run(150 * group_dt * ms, namespace={"values": values})
        for name in "xy":
            found = getattr(M, name)[0].astype(int)
            changes = np.repeat(np.arange(1, len(found)), np.diff(found))
            rows.append([group_dt, array_dt, name, changes.tolist(), int(found[0])])
(Path(__file__).parent / "results" / "timed_array.json").write_text(json.dumps(rows))
