"""Events of the user's own: several conditions, code that runs on them, pathways and monitors that listen to them."""

from brianlike import *

tau = 10 * ms
cells = NeuronGroup(
    6,
    """dv/dt = (1.3 + 0.1*i - v)/tau : 1
       dc/dt = -c/(30*ms) : 1
       last : second
       number : integer
       inside : boolean""",
    threshold="v > 1",
    reset="v = 0; c += 0.4",
    refractory=2 * ms,
    events={"crossing": "v > 0.5 and not inside", "below": "v < 0.5 and inside", "full": "c > 0.8"},
    method="euler",
)
cells.run_on_event("crossing", "last = t; inside = True; number += 1")
cells.run_on_event("below", "inside = False", when="before_end", order=2)
cells.run_on_event("full", "c = 0.1*i")
cells.set_event_schedule("below", when="after_resets", order=1)
readers = NeuronGroup(4, "dr/dt = -r/tau : 1", method="exact")
listen = Synapses(
    cells,
    readers,
    "w : 1",
    on_pre={"up": "r_post += w", "down": "r_post -= 0.5*w", "spike": "w *= 0.99"},
    on_event={"up": "crossing", "down": "full", "spike": "spike"},
    delay={"up": 0.4 * ms},
)
listen.connect("(i + j) % 2 == 0")
listen.w = "1 + 0.1*i"
single = Synapses(cells, readers, on_pre="r_post += 0.01", on_event="full")
single.connect(j="i % 4")
crossing, full, monitor = EventMonitor(cells, "crossing", variables=["c", "number"]), EventMonitor(cells, "full"), SpikeMonitor(cells)
record, read = StateMonitor(cells, ["v", "c", "last", "number"], record=True), StateMonitor(readers, "r", record=True)
run(250 * ms)

spikes = {"crossing": crossing, "full": full, "cells": monitor}
states = {name: (record, name) for name in ("v", "c", "last", "number")} | {"r": (read, "r")}
final = {"w": listen.w[:], "c_at_crossing": crossing.c[:], "number_of_2": crossing.values("number")[2], "trains": crossing.event_trains()[3] / second}
