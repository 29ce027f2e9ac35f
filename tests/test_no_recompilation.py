"""What a compiler sees: a changed number compiles nothing, other names compile nothing, and a monitor compiles what is new in it.

A kernel is compiled if its text has not been seen (`brianlike.build`), so the tests compare the texts that runs ask for; one counts the calls of a compiler.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import brianlike
from brianlike import build, drive

try:
    COMPILER = build.find_compiler()
except build.CompilerUnavailable as error:
    pytest.skip(f"compiled kernels need a C compiler: {error}", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[1]
IMPORT = "from brianlike import *\n"
RUN = "\nnetwork.run(2 * ms)\n"


def benchmark(name: str, **smaller: object) -> str:
    """A model of the benchmarks, small."""
    given = "".join(f"{key} = {value!r}\n" for key, value in smaller.items())
    return IMPORT + given + (ROOT / "benchmarks" / "models" / f"{name}.py").read_text(encoding="utf-8").replace(IMPORT, "")


MIXED = """
tau, sigma, rate = 10 * ms, 0.3, 30 * Hz
current = TimedArray([0, 1, 2, 1], dt=0.7 * ms)
source = PoissonGroup(20, rates=rate)
given = SpikeGeneratorGroup(5, [0, 1, 2, 4], [0.1, 0.5, 1, 1.5] * ms)
cells = NeuronGroup(
    30,
    '''dv/dt = (drive + current(t) + total - v)/tau + sigma*sqrt(2/tau)*xi : 1 (unless refractory)
       drive : 1
       total : 1
       fired : 1''',
    threshold="v > 1", reset="v = 0; fired += 1", refractory="1*ms + 0.1*ms*i", method="euler", events={"low": "v < -1"})
cells.drive = "0.5 + 0.01*i"
cells.run_on_event("low", "v = 0")
regular = cells.run_regularly("drive = clip(drive*1.001, 0, 3)", dt=1 * ms)
plastic = Synapses(source, cells, '''w : 1
                                     dx/dt = -x/(20*ms) : 1 (clock-driven)
                                     total_post = 0.1*x : 1 (summed)''',
                   on_pre="x += w; v_post += 0.1*w", on_post="w = clip(w*1.01, 0, 1)", method="exact", delay=0.5 * ms)
plastic.connect(p=0.5)
plastic.w = "0.1*rand()"
direct = Synapses(given, cells, on_pre="v_post += 0.5")
direct.connect(j="i + 5*k for k in range(0, 3)")
direct.delay = "0.1*ms*j"
network = Network(source, given, cells, plastic, direct, PoissonInput(cells, "v", N=10, rate=100 * Hz, weight=0.05))
"""

PARTS = """
size, cut = 300, 100
cells = NeuronGroup(size, "dv/dt = -v/(10*ms) : 1\\nu = 2*v : 1\\ntotal : 1", threshold="v > 1", reset="v = 0", method="exact")
first, second = cells[:cut], cells[cut:]
second.run_regularly("v += 0.01*i/N")
inputs = [PoissonInput(first, "v", N=2000, rate=100 * Hz, weight=0.1), PoissonInput(second, "v", N=2000, rate=200 * Hz, weight=0.1)]
between = Synapses(first, second, "w : 1\\ntotal_post = w : 1 (summed)", on_pre="v_post += w")
between.connect(p=0.3)
network = Network(cells, between, inputs, StateMonitor(second, "u", record=[3, 4]), SpikeMonitor(first, variables="u"))
"""

MODELS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "cuba": (
        benchmark("cuba", N=200),
        {
            "constant": ("taum, taue, taui = 20 * ms", "taum, taue, taui = 25 * ms"),
            "equal constants": ("5 * ms, 10 * ms", "10 * ms, 10 * ms"),
            "size": ("N = 200", "N = 333"),
            "few": ("N = 200", "N = 5"),
            "weight": ("1.62 * mV", "1.7 * mV"),
            "refractory": ("refractory=5 * ms", "refractory=4.2 * ms"),
            "probability": ("80 / N", "20 / N"),
        },
    ),
    "cobahh": (
        benchmark("cobahh", N=200),
        {
            "constant": ("-80 * mV, -63 * mV", "-75 * mV, -62 * mV"),
            "size": ("N = 200", "N = 90"),
            "weight": ("6 * nS", "5 * nS"),
            "area": ("20000", "10000"),
        },
    ),
    "brunel": (
        benchmark("brunel", N=500),
        {
            "constant": ("20 * ms, 20 * mV", "30 * ms, 20 * mV"),
            "size": ("N = 500", "N = 700"),
            "weight": (", 5.0", ", 4.5"),
            "delay": ('"delay": 1.5 * ms', '"delay": 2.5 * ms'),
            "input": ("= 2 * theta", "= 3 * theta"),
            "number of inputs": ("excitatory // 10 ", "excitatory // 5 "),
        },
    ),
    "brunel_delays": (
        benchmark("brunel", N=500, drawn_delays=True),
        {
            "constant": ("20 * ms, 20 * mV", "30 * ms, 20 * mV"),
            "size": ("N = 500", "N = 700"),
            "weight": (", 5.0", ", 4.5"),
            "delays": ('inhibition.delay = "0.1*ms + 9.9', 'inhibition.delay = "0.1*ms + 5.2'),
        },
    ),
    "stdp": (
        benchmark("stdp", inputs_per_neuron=50, N=10),
        {
            "constant": ("10 * ms, 20 * ms, 20 * ms, 5 * ms", "9 * ms, 15 * ms, 30 * ms, 4 * ms"),
            "size": ("N = 10\n", "N = 17\n"),
            "rate": ("15 * Hz", "20 * Hz"),
            "weights": ("rand()*gmax", "0.5*gmax"),
            "inputs": ("inputs_per_neuron = 50", "inputs_per_neuron = 80"),
        },
    ),
    "mixed": (
        IMPORT + MIXED,
        {
            "constant": ("10 * ms, 0.3, 30", "12 * ms, 0.2, 20"),
            "no noise": ("10 * ms, 0.3", "10 * ms, 0.0"),
            "size": ("    30,", "    41,"),
            "sources": ("PoissonGroup(20", "PoissonGroup(7"),
            "weights": ("0.1*rand()", "0.2"),
            "table": ("[0, 1, 2, 1]", "[3, 1, 2, 1, 5]"),
            "regular": ("dt=1 * ms)", "dt=0.5 * ms)"),
            "input": ("N=10, rate=100 * Hz, weight=0.05", "N=1000, rate=50 * Hz, weight=0.01"),
            "spikes": ("[0.1, 0.5, 1, 1.5]", "[0.1, 0.2, 0.3, 1.5]"),
            "delay": ("delay=0.5 * ms", "delay=0.9 * ms"),
            "initial": ("0.5 + 0.01*i", "0.7"),
        },
    ),
    "parts": (
        IMPORT + PARTS,
        {
            "size": ("size, cut = 300, 100", "size, cut = 400, 100"),
            "cut": ("300, 100", "300, 77"),
            "recorded": ("[3, 4]", "[100]"),
            "input": ("200 * Hz", "80 * Hz"),
        },
    ),
}
ALWAYS = {
    "dt": (IMPORT, IMPORT + "defaultclock.dt = 0.05 * ms\n"),
    "duration": (RUN, "\nnetwork.run(3.3 * ms)\n"),
    "seed": (IMPORT, IMPORT + "seed(4321)\n"),
    "threads": (IMPORT, IMPORT + "prefs.core.threads = 2\n"),
    "again": (RUN, RUN + RUN),
    "restored": (RUN, "\nnetwork.store()" + RUN + "network.restore()" + RUN),
}
CHANGES = [(model, change) for model, (_, own) in MODELS.items() for change in (*own, *ALWAYS)]


@pytest.fixture
def texts(monkeypatch):
    """A function that runs a script and returns the texts of the kernels that it asks for."""
    asked: set[str] = set()
    build_cython = build.build_cython

    def noted(sources):
        asked.update(source.text for source in sources)
        return build_cython(sources)

    assert drive.build_cython is build_cython
    monkeypatch.setattr(drive, "build_cython", noted)

    def run(script: str) -> set[str]:
        asked.clear()
        brianlike.start_scope()
        brianlike.prefs.codegen.target = "cython"
        brianlike.prefs.core.threads = 1
        try:
            exec(compile(script, "<script>", "exec"), {"__name__": "script"})
        finally:
            brianlike.defaultclock.dt = 0.1 * brianlike.ms
        assert asked
        return set(asked)

    return run


def changed(script: str, old: str, new: str) -> str:
    assert script.count(old) == 1, f"{old!r} stands {script.count(old)} times in the script"
    return script.replace(old, new)


@pytest.fixture(scope="module")
def seen():
    """Texts of the unchanged scripts."""
    return {}


@pytest.mark.parametrize(("model", "change"), CHANGES)
def test_a_changed_number_compiles_nothing(model, change, texts, seen):
    script, own = MODELS[model]
    if model not in seen:
        seen[model] = texts(script + RUN)
    assert not texts(changed(script + RUN, *(own | ALWAYS)[change])) - seen[model]


SMALL = (
    IMPORT
    + """
neurons = NeuronGroup({n}, "dv/dt = -v/(10*ms) : 1", threshold="v > 1", reset="v = 0", method="exact")
synapses = Synapses(neurons, neurons, "w : 1", on_pre="v_post += w")
synapses.connect(i=[0, 1, 2], j=[2, {n} - 1, 0])
synapses.w = 0.1
network = Network(neurons, synapses)
"""
)


@pytest.mark.parametrize("other", [3, 17, 4095, 4096, 65_535, 65_537, 200_000])
def test_no_size_has_code_of_its_own(texts, other):
    assert texts(SMALL.format(n=other) + RUN) == texts(SMALL.format(n=100) + RUN)


# ------------------------------------------------------------------------------------------------------------------------------------------------- names
NAMES = {
    "variables": {"v": "potential", "ge": "g_of_e", "gi": "a_gi"},
    "constants": {"taum": "z", "taue": "tau_1", "taui": "b", "threshold_value": "q"},
    "objects": {"neurons": "some_cells", "excitation": "a_first", "inhibition": "z_last"},
}
NAMED = (
    IMPORT
    + """
taum, taue, taui, threshold_value = 20 * ms, 5 * ms, 10 * ms, 1.2
neurons = NeuronGroup(
    50,
    '''dv/dt = (ge - gi - v)/taum : 1 (unless refractory)
       dge/dt = -ge/taue : 1
       dgi/dt = -gi/taui : 1''',
    threshold="v > threshold_value", reset="v = 0", refractory=1 * ms, method="exact", name="neurons")
excitation = Synapses(neurons, neurons, "w : 1", on_pre="ge_post += w", name="excitation")
inhibition = Synapses(neurons, neurons, on_pre="gi_post += 0.1", name="inhibition")
excitation.connect(p=0.2)
inhibition.connect(p=0.2)
network = Network(neurons, excitation, inhibition)
"""
)


@pytest.mark.parametrize("which", NAMES)
def test_other_names_compile_nothing(which, texts):
    import re

    renamed = NAMED
    for old, new in NAMES[which].items():
        renamed, count = re.subn(rf"\b(d?){old}(_post|/dt)?\b", rf"\g<1>{new}\g<2>", renamed)
        assert count
    assert renamed != NAMED
    assert texts(renamed + RUN) == texts(NAMED + RUN)


def test_equal_code_in_two_objects_is_one_kernel(texts):
    once = texts(SMALL.format(n=50) + RUN)
    twice = SMALL.format(n=50) + SMALL.format(n=60).replace(IMPORT, "").replace("neurons", "others").replace("synapses", "more").replace(
        "network =", "second ="
    )
    assert texts(twice + "\nnetwork.run(1 * ms)\nsecond.run(1 * ms)\n") == once


# ---------------------------------------------------------------------------------------------------------------------------------------------- monitors
MONITORS = {
    "SpikeMonitor(neurons)": 0,
    "StateMonitor(neurons, ['v', 'ge'], record=True)": 0,
    "StateMonitor(neurons, 'v', record=[1, 3], dt=0.5 * ms)": 0,
    "StateMonitor(excitation, 'w', record=[1, 3])": 0,
    "PopulationRateMonitor(neurons)": 0,
    "SpikeMonitor(neurons, variables='ge')": 0,
    "StateMonitor(neurons, 'twice', record=True)": 1,
}


@pytest.mark.parametrize("monitor", MONITORS)
def test_a_monitor_compiles_only_what_is_new(monitor, texts):
    script = NAMED.replace("dge/dt", "twice = 2*v : 1\n       dge/dt", 1)
    before = texts(script + RUN)
    after = texts(script + f"monitor = {monitor}\nnetwork.add(monitor)" + RUN)
    assert len(after - before) == MONITORS[monitor]  # `twice` joins the kernel that writes v


def test_another_object_compiles_only_what_is_new(texts):
    before = texts(NAMED + RUN)
    more = "\nothers = NeuronGroup(3, 'dx/dt = cos(x)/ms : 1', method='euler')\nnetwork.add(others)"
    after = texts(NAMED + more + RUN)
    assert before <= after and len(after - before) == 1


# -------------------------------------------------------------------------------------------------------------------------------------- the compiler itself
@pytest.mark.skipif(os.name == "nt", reason="the compiler is wrapped in a shell script")
def test_how_often_a_compiler_is_called(tmp_path):
    log, wrapper = tmp_path / "log", tmp_path / "compiler"
    log.touch()
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(log))}\nexec {shlex.join(COMPILER.command)} "$@"\n')
    wrapper.chmod(0o755)
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    variables = {**os.environ, "PYTHONPATH": path, "CC": str(wrapper), "BRIANLIKE_CACHE_DIR": str(tmp_path / "cache")}

    def compiled(script: str) -> int:
        before = len(builds(log))
        subprocess.run([sys.executable, "-c", script], env=variables, check=True, timeout=300)
        return len(builds(log)) - before

    script = NAMED + RUN
    assert compiled(script) == 1  # all kernels together, as one module
    assert compiled(script) == 0
    other = script.replace("20 * ms, 5 * ms", "21 * ms, 4 * ms").replace("    50,", "    77,").replace("2 * ms)\n", "5 * ms)\n")
    other = other.replace(IMPORT, IMPORT + "defaultclock.dt = 0.2 * ms; seed(5); prefs.core.threads = 2\n").replace("neurons", "cells").replace("ge", "g1")
    assert compiled(other) == 0
    assert compiled(script.replace("network = Network(", "network = Network(SpikeMonitor(neurons), ")) == 0
    assert compiled(script.replace("v = 0", "v = 0.1*gi")) == 1


def builds(log: Path) -> list[str]:
    """The calls that made a module; others ask for the compiler's version."""
    return [line for line in log.read_text().splitlines() if "--version" not in line]
