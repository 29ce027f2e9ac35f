"""The scripts of the conformance suite with more threads, which change no bit, and in float32, which changes last digits.

In float32 a network computes the same as Brian's in float64 until something hangs on a last digit: a spike that moves by a step, a comparison of values
that would be equal. From there on trajectories part, in any simulator. So most scripts are held to the same spikes and to a few hundred units of float32's
last digit; what is looser stands in `LOOSE`, with its reason. Random scripts are held to Brian's distributions as in float64. Some scripts run by default,
all of them with `-m slow`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from test_conformance import SCRIPTS, SEEDS, assert_same_distribution, execute, is_random, stored

import brianlike
from brianlike import _runtime, build, layout

try:
    build.find_compiler()
except build.CompilerUnavailable as error:
    pytest.skip(f"compiled kernels need a C compiler: {error}", allow_module_level=True)

QUICK = "event_driven force inhibitory_plasticity izhikevich_net magic_runs noise stdp store_restore subgroups triplet".split()
"""Every kind of kernel, in little time: maps, sparse maps, deliveries (additive, per synapse, in order), records, tables, draws, calls."""

ONE_THREAD = {"triplet"}
"""Scripts without a kernel that threads can share."""


def marked(name: str, *more: object, slow: bool = False):
    """Parameters of a test, slow unless the script is a quick one."""
    return pytest.param(name, *more, marks=pytest.mark.slow if slow or name not in QUICK else ())


# ----------------------------------------------------------------------------------------------------------------------------------------------- threads
@pytest.fixture
def from_the_first_element(monkeypatch):
    """Threads share kernels and pathways of any size; yields the list of the threads that were started."""
    before = _runtime.set_threads_from(0)
    monkeypatch.setattr(layout, "SHARED_FROM", 0)
    started = []

    class Counted(_runtime.threading.Thread):
        def start(self):
            if "_work" in self.name:  # those of the driver; texts that are computed when needed have theirs
                started.append(self)
            super().start()

    monkeypatch.setattr(_runtime.threading, "Thread", Counted)
    yield started
    _runtime.set_threads_from(before)


@pytest.mark.parametrize(("name", "threads"), [marked(name, threads, slow=threads > 2) for name in SCRIPTS for threads in (2, 3)])
def test_threads_change_no_bit(name, threads, from_the_first_element):
    brianlike.prefs.codegen.target = "cython"
    one = execute(name, brianlike)
    assert not from_the_first_element
    brianlike.prefs.core.threads = threads
    more = execute(name, brianlike)
    assert len(from_the_first_element) % (threads - 1) == 0
    assert from_the_first_element or name in ONE_THREAD
    assert sorted(one) == sorted(more)
    for key, values in one.items():
        assert more[key].tobytes() == values.tobytes(), f"{name}: {key} with {threads} threads"


# ----------------------------------------------------------------------------------------------------------------------------------------------- float32
@dataclass(frozen=True)
class Tolerance:
    """What float32 may change: values by `states` of their scale; from step `until` on anything, but numbers of spikes and final values by `later` only."""

    reason: str
    states: float = 5e-5
    until: int | None = None
    later: float = 0.0
    keys: tuple[str, ...] = ("",)  # beginnings of the names that this is for


USUAL = Tolerance("400 units of the last digit: sums and decays over a few thousand steps")
LOOSE = {
    "adex_patterns": Tolerance("the upstroke is exponential in v: spikes move by a step or two", 1e-3, until=1300),
    "cobahh": Tolerance("the upstroke multiplies errors", 5e-4),
    "wang_buzsaki": Tolerance("the upstroke multiplies errors", 2e-3),
    "cuba": Tolerance("recurrent and without noise: a spike that moves by a step moves others", until=300),
    "delay_lines": Tolerance("t - delay lies on the edge between two samples of the sound", until=1900, later=0.05),
    "refractory": Tolerance("resets of a group that is refractory on a condition amplify errors", until=500, keys=("condition",)),
    "synapses_on_synapses": Tolerance("x reaches 1 after exactly 200 steps, or one later", until=190, later=0.05, keys=("cells", "w", "tag", "y", "extra")),
    "tsodyks_markram": Tolerance("x reaches 1 exactly at a step, or one later", until=500, keys=("cells", "v", "I", "clock_u", "clock_R")),
    "timed_array": Tolerance("t % (1*ms) lies on the edge between two values of the table", until=3, keys=("held",)),
}


def check(name: str, key: str, ours: np.ndarray, values: np.ndarray, steps: np.ndarray | None, tolerance: Tolerance) -> None:
    what = f"{name}: {key}; {tolerance.reason}"
    until = np.inf if tolerance.until is None else tolerance.until
    if key.startswith("spikes_"):
        np.testing.assert_array_equal(ours[:, ours[1] < until], values[:, values[1] < until], err_msg=what)
        assert abs(ours.shape[1] - values.shape[1]) <= tolerance.later * values.shape[1], what
        return
    if steps is not None:
        ours, values = ours[:, steps][:, steps < until], values[:, steps < until]
    scale = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    allowed = max(tolerance.states, tolerance.later if steps is None else 0.0)
    np.testing.assert_allclose(ours, values, rtol=allowed, atol=allowed * scale, err_msg=what)


@pytest.fixture
def float32(monkeypatch):
    brianlike.prefs.core.default_float_dtype = np.float32


DETERMINISTIC = [name for name in SCRIPTS if not is_random(name)]


@pytest.mark.parametrize(("name", "engine"), [marked(name, engine, slow=engine == "numpy") for name in DETERMINISTIC for engine in ("cython", "numpy")])
def test_in_float32_as_brian_in_float64(name, engine, float32):
    brianlike.prefs.codegen.target = engine
    found, expected = execute(name, brianlike), stored(name)
    loose = LOOSE.get(name, USUAL)
    compared = 0
    for key, values in expected.items():
        kind, _, short = key.partition("_")
        if kind != "steps":
            tolerance = loose if short.startswith(loose.keys) else USUAL
            check(name, key, found[key], values, expected[f"steps_{short}"] if kind == "states" else None, tolerance)
            compared += 1
    assert compared


@pytest.mark.parametrize("name", [marked(name) for name in SCRIPTS if is_random(name)])
def test_in_float32_distributed_as_brians(name, float32):
    brianlike.prefs.codegen.target = "cython"
    assert_same_distribution(name, [execute(name, brianlike, seed) for seed in SEEDS], stored(name))


def test_float32_is_float32(float32):
    """The suite would pass in float64, too."""
    group = brianlike.NeuronGroup(2, "dv/dt = -v/brianlike_ms : 1", namespace={"brianlike_ms": 1 * brianlike.ms}, method="exact")
    assert group.v_[:].dtype == np.float32
    assert all(tolerance.states >= USUAL.states and name in SCRIPTS for name, tolerance in LOOSE.items())


def test_from_how_many_neurons_on_threads_start_depends_on_their_work(monkeypatch):
    started = []
    monkeypatch.setattr(_runtime.threading.Thread, "start", lambda thread, start=_runtime.threading.Thread.start: (started.append(thread), start(thread)))
    brianlike.prefs.codegen.target, brianlike.prefs.core.threads = "cython", 2
    found = {}
    for text in ("-v", "sin(v) - tanh(v) + exp(-v)"):
        for size in (16, 1000, 3000, 100_000):
            started.clear()
            group = brianlike.NeuronGroup(size, f"dv/dt = ({text})/brianlike_ms : 1", namespace={"brianlike_ms": 1 * brianlike.ms}, method="euler")
            brianlike.Network(group).run(0.1 * brianlike.ms)
            found[text, size] = bool(started)
    light, heavy = list(found.values())[:4], list(found.values())[4:]
    assert not light[0] and not heavy[0] and light[-1] and heavy[-1]
    assert sum(heavy) > sum(light)
