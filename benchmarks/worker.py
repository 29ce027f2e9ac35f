"""One measurement in a process of its own: `python worker.py '{"package": "brianlike", "model": "cuba", "duration": 1}'` prints JSON as its last line.

Runs in the environment of the peer, so it knows the standard library and what the peer brings. A model of `models/` is executed with the names in `given`
set and its import line changed to the peer's; it leaves a `network`, or `measurements` that it has made itself.

What the time of a run is: all of `network.run(duration)` after a first run of one step, and of Brian's runtime also the same without its `before_run`, which
makes code objects and reads the cache in every run; NEST, `Run` after `Prepare` and a first `Run` of one step. Standalone programs are built here and timed
by themselves (see `measure.standalone`).
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

MODELS = Path(__file__).resolve().parent / "models"
IMPORT = "from brianlike import *"
STEP = 1e-4  # seconds


def memory() -> dict[str, int]:
    """Resident bytes now and at most, where the system tells."""
    status = Path("/proc/self/status")
    if not status.exists():
        return {"now": 0, "peak": 0}
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return {name: 1024 * int(fields[key].split()[0]) for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))}


def names_after_import(job: dict) -> dict:
    """The names a model begins with: those of the package, set up for one-threaded or many-threaded runs, and those given."""
    space: dict = {"__name__": "model", "__file__": str(MODELS / f"{job['model']}.py")}
    if job["package"] == "nest":
        exec('import nest; nest.set_verbosity("M_ERROR")', space)
        nest = space["nest"]
        nest.local_num_threads, nest.resolution, nest.rng_seed = job["threads"], STEP * 1000, job.get("seed", 1)
        return space | job["given"]
    exec(f"from {job['package']} import *", space)
    prefs = space["prefs"]
    prefs.codegen.target = "cython"
    if job.get("float32"):
        prefs.core.default_float_dtype = space["float32"]
    if job["package"] == "brianlike":
        prefs.core.threads = job["threads"]
    if job.get("directory"):
        prefs.devices.cpp_standalone.openmp_threads = job["threads"] if job["threads"] > 1 else 0
        space["set_device"]("cpp_standalone", directory=job["directory"], build_on_run=False)
    if job.get("cache") and job["package"] == "brian2":
        prefs.codegen.runtime.cython.cache_dir = job["cache"]
    space["seed"](job.get("seed", 1))
    return space | job["given"]


def make(job: dict, space: dict) -> None:
    path = MODELS / f"{job['model']}.py"
    text = path.read_text(encoding="utf-8").replace(IMPORT, f"from {job['package']} import *")
    exec(compile(text, str(path), "exec"), space)


def run(space: dict, duration: float) -> tuple[float, float]:
    """Seconds of a run, and those behind Brian's `before_run`; names in the model's texts are looked up among those of the model."""
    network, stamps = space["network"], []
    before_run = getattr(network, "before_run", None)
    if before_run is not None:  # Brian 2

        def noted(namespace):
            before_run(namespace)
            stamps.append(time.perf_counter())

        network.before_run = noted
    start = time.perf_counter()
    exec(f"network.run({duration!r}*second)", space)
    end = time.perf_counter()
    if before_run is not None:
        del network.before_run
    return end - start, end - (stamps[-1] if stamps else start)


def activity(space: dict, job: dict) -> int:
    """Spikes, or whatever else a model counts."""
    if "activity" in space:
        return int(space["activity"]())
    if job["package"] == "nest":
        return int(sum(recorder.n_events for recorder in space.get("recorders", [space.get("recorder")])))
    return int(sum(monitor.num_spikes for monitor in space.get("spike_monitors", [space.get("spikes")])))


def digest(network) -> str:
    """Of the bits of all variables of all objects of a network."""
    bits = hashlib.sha256()
    for name, values in sorted(network.get_states(units=False).items()):
        for variable, value in sorted(values.items()):
            bits.update(f"{name}.{variable}".encode())
            bits.update(memoryview(value).cast("B") if hasattr(value, "flags") and value.flags.c_contiguous and value.size else repr(value).encode())
    return bits.hexdigest()


def measure(job: dict) -> dict:
    sys.path.insert(0, str(MODELS))
    space = names_after_import(job)
    before, start = memory()["now"], time.perf_counter()
    make(job, space)
    if "measurements" in space:
        return {"measured": space["measurements"], "activity": activity(space, job)}
    if job.get("directory"):
        exec(f"network.run({job['duration']!r}*second)", space)
        space["device"].build(directory=job["directory"], compile=True, run=False, debug=False)
        return {"measured": {}, "activity": 0}
    if job["package"] == "nest":
        nest = space["nest"]
        nest.Prepare()
        nest.Run(STEP * 1000)
        set_up, held = time.perf_counter() - start, memory()["now"] - before
        start = time.perf_counter()
        nest.Run(job["duration"] * 1000)
        seconds = time.perf_counter() - start
        nest.Cleanup()
    else:
        run(space, STEP)
        set_up, held = time.perf_counter() - start, memory()["now"] - before
        seconds, behind = run(space, job["duration"])
    found: dict = {"measured": {"run (s)": seconds, "set-up (s)": set_up, "peak memory (GB)": memory()["peak"] / 1e9}, "activity": activity(space, job)}
    if job["package"] == "brian2":
        found["measured"]["run without before_run (s)"] = behind
    if "number_of_synapses" in space:
        found["synapses"] = int(space["number_of_synapses"]())
        found["measured"]["bytes a synapse"] = held / found["synapses"]
        found["measured"]["bytes a synapse, peak"] = (memory()["peak"] - before) / found["synapses"]
    if "details" in space:
        found["details"] = space["details"]()
    if job.get("digest"):
        found["digest"] = digest(space["network"])
    return found


if __name__ == "__main__":
    answer = measure({"threads": 1, "given": {}, "duration": 1.0, **json.loads(sys.argv[1])})
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
