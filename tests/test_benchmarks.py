"""The benchmarks still run: each one's own part, tiny and without peers; and what compares and reports figures does."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PROGRAMS = sorted(
    path.relative_to(BENCHMARKS).with_suffix("").as_posix()
    for path in (*BENCHMARKS.glob("*.py"), *BENCHMARKS.glob("training/*.py"))
    if "__main__" in path.read_text() and path.stem not in ("worker", "all", "trainer")
)
ALIKE = {f"training/{name}" for name in ("feed_forward", "recurrent", "wide", "long", "epoch")}
"""Sizes of what `training/adaptive` runs as well."""
SIZES = {"N", "drawn_delays", "inputs_per_neuron", "scale", "in_degrees", "runs", "calls", "restores"}

try:
    from brianlike import build

    build.find_compiler()
except build.CompilerUnavailable as error:
    pytest.skip(f"benchmarks measure compiled kernels: {error}", allow_module_level=True)


@pytest.fixture
def measure(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import measure

    return measure


def start(name, *more, **variables):
    path = os.pathsep.join(filter(None, [str(BENCHMARKS.parent), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, more)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": path, **variables})


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in PROGRAMS])
def test_each_benchmark_runs(name, tmp_path):
    answer = start(name, "--quick", "--json", tmp_path / "figures.json", *(["--only", "cobahh"] if name == "threads" else []))
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-2000:]
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["benchmark"] == name and found["rows"]
    for row in found["rows"]:
        assert re.search(re.escape(row.get("what", "grows")), answer.stdout)
        assert row.get("peer", "brianlike").startswith("brianlike") and all(value == value for value in row.get("values", ()))
        if row.get("what") == "run (s)":
            assert row["minimum"] > 0


def test_the_page_lists_every_benchmark_and_has_a_place_for_its_table():
    page = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    for name in PROGRAMS:
        assert f"[{name}.py]({name}.py)" in page
        assert page.count(f"<!-- {name} -->") == page.count(f"<!-- end of {name} -->") == 1


def test_all_replaces_a_table_and_keeps_the_others(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import all as every

    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n<!-- y -->\nkept\n<!-- end of y -->\n"
    output = "some family, 2 cores, Linux, Python 3.11.7, numpy 2\n\n| t |\n|---|\n| 1 |\n\nsaid\n"
    new = every.written(page, "x", output)
    assert new == page.replace("old\n", "some family, 2 cores, Linux, Python 3.11.7, numpy 2\n\n| t |\n|---|\n| 1 |\n\nsaid\n")
    assert every.written(new, "x", output) == new
    with pytest.raises(ValueError, match="no place for z"):
        every.written(page, "z", output)
    assert sorted(every.NAMES) == PROGRAMS


def test_names_that_models_begin_with_are_not_hidden_by_their_imports():
    read = set()
    for path in (BENCHMARKS / "models").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "globals().get":
                read.add(ast.literal_eval(node.args[0]))
    assert read == SIZES
    imported: dict[str, object] = {}
    exec("from brianlike import *", imported)
    assert not read & set(imported)


# ---------------------------------------------------------------------------------------------------------------------------------------------- figures
def answered(measure, peer, seconds, activity):
    one = measure.Measured.__new__(measure.Measured)
    one.peer, one.answers = peer, [{"measured": {measure.RUN: value}, "activity": activity} for value in seconds]
    return one


def test_ratios_are_those_of_minima_with_as_many_threads(measure):
    peer, two = measure.Peer("brian2", "standalone", targets={measure.RUN: 3.0}), measure.Peer("brianlike", threads=2)
    workload = measure.Workload("w", "cuba", (), limits={measure.RUN: 5.0})
    parts = [answered(measure, measure.OURS, (2.0, 4.0, 3.0), 100), answered(measure, peer, (8.0, 9.0), 102), answered(measure, two, (1.0,), 100)]
    ours, other, faster = measure.rows(workload, parts)
    assert (ours.minimum, ours.median, ours.ratio, ours.limit) == (2.0, 3.0, None, 5.0)
    assert (other.ratio, other.target, other.limit) == (4.0, 3.0, None) and faster.ratio is None
    assert "| run (s) | Brian 2 standalone | 1 | 8 | 8.5 | 4 | 3 |" in measure.as_text([other])


def test_silence_and_another_network_are_errors(measure):
    workload, peer = measure.Workload("w", "cuba", (), tolerance=0.05), measure.Peer("nest")
    silent = [answered(measure, measure.OURS, (1.0,), 0)]
    assert measure.disagreements(workload, silent) == ["ERROR: nothing happens in this network"]
    for activity, wrong in ((104, False), (96, False), (106, True), (0, True)):
        parts = [answered(measure, measure.OURS, (1.0,), 100), answered(measure, peer, (1.0,), activity)]
        assert bool(measure.disagreements(workload, parts)) == wrong


def test_a_missing_peer_is_said_to_be_missing(measure, monkeypatch, capsys):
    monkeypatch.delenv("BRIAN2_PYTHON", raising=False)
    with pytest.raises(measure.Missing, match="give --brian2 PYTHON or set BRIAN2_PYTHON"):
        measure.interpreter("brian2", Namespace(brian2=None))
    monkeypatch.setenv("BRIAN2_PYTHON", "/somewhere/python")
    assert measure.interpreter("brian2", Namespace(brian2=None)) == "/somewhere/python"
    assert measure.interpreter("brian2", Namespace(brian2="/else/python")) == "/else/python"
    with pytest.raises(measure.Missing, match="No such file"):
        measure.ask(["/somewhere/python"], {})
    with pytest.raises(measure.Missing, match="ZeroDivisionError"):
        measure.ask([sys.executable, "-c", "1/0"], os.environ)


def test_a_peer_without_its_package_is_left_out_and_ours_is_measured(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ModuleNotFoundError: no brian2' >&2\nexit 1\n")
    broken.chmod(0o755)
    answer = start("single_neuron", "--repeats", 1, "--duration", 0.05, "--brian2", broken)
    assert answer.returncode == 0, answer.stderr
    assert "Brian 2 runtime is not measured: ModuleNotFoundError: no brian2" in answer.stdout and "| run (s) | brianlike | 1 |" in answer.stdout
