"""Whole models against stored results of Brian 2.9 (`tests/conformance/brian.py` makes them): the same scripts but for the import line.

Deterministic results are equal: spikes to the step, values to 1e-9 of their scale. Random ones come from the same distribution: samples by the two-sample
Kolmogorov-Smirnov test, numbers per run by Student's two-sample t test, each at the level `LEVEL`. Seeds are fixed, so a test that passes goes on passing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import brianlike

CONFORMANCE = Path(__file__).resolve().parent / "conformance"
sys.path.insert(0, str(CONFORMANCE))
from conformance import SCRIPTS, execute, has_full_size, is_random  # noqa: E402

LEVEL = 1e-3
SEEDS = (1, 2, 3, 4)


@pytest.fixture(params=["numpy", "cython"])
def backend(request):
    brianlike.prefs.codegen.target = request.param
    return request.param


def stored(name: str, full: bool = False) -> dict[str, np.ndarray]:
    with np.load(CONFORMANCE / "results" / (f"{name}.full.npz" if full else f"{name}.npz"), allow_pickle=False) as file:
        return {key: file[key] for key in file}


def assert_equal(name: str, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Spikes first: they say most about where two runs part."""
    for key, values in expected.items():
        if key.startswith("spikes_"):
            np.testing.assert_array_equal(found[key], values, err_msg=f"{name}: neurons and steps of {key}")
    for key, values in expected.items():
        if key.startswith(("states_", "final_")):
            ours = found[key][:, expected[key.replace("states_", "steps_", 1)]] if key.startswith("states_") else found[key]
            assert ours.shape == values.shape, f"{name}: {key} has shape {ours.shape}, Brian's {values.shape}"
            scale = np.abs(values[np.isfinite(values)]).max(initial=0.0)
            np.testing.assert_allclose(ours, values, rtol=1e-9, atol=1e-9 * scale, err_msg=f"{name}: {key}")


def assert_same_distribution(name: str, runs: list[dict[str, np.ndarray]], expected: dict[str, np.ndarray]) -> None:
    wrong = []
    for key, values in expected.items():
        if key.startswith("samples_"):
            ours = np.concatenate([run[key] for run in runs]).astype(np.float32)
            if (p := stats.ks_2samp(ours, values).pvalue) < LEVEL:
                wrong.append(f"{key}: p = {p:.2g}, means {ours.mean():.4g} and {values.mean():.4g}, deviations {ours.std():.4g} and {values.std():.4g}")
        elif key.startswith("statistics_"):
            ours = np.concatenate([run[key] for run in runs])
            if np.ptp(ours) == np.ptp(values) == 0:
                p = float(ours[0] == values[0])
            else:
                p = stats.ttest_ind(ours, values).pvalue
            if p < LEVEL:
                wrong.append(f"{key}: p = {p:.2g}, {ours.mean():.4g} +- {ours.std():.2g}, Brian's {values.mean():.4g} +- {values.std():.2g}")
    assert not wrong, f"{name}: " + "; ".join(wrong)


@pytest.mark.parametrize("name", [name for name in SCRIPTS if not is_random(name)])
def test_same_as_brian(name, backend):
    assert_equal(name, execute(name, brianlike), stored(name))


@pytest.mark.parametrize("name", [name for name in SCRIPTS if is_random(name)])
def test_distributed_as_brians(name):
    brianlike.prefs.codegen.target = "cython"
    runs = [execute(name, brianlike, seed) for seed in SEEDS]
    assert_same_distribution(name, runs, stored(name))
    assert_equal(name, runs[0], {key: values for key, values in stored(name).items() if key.startswith(("final_", "spikes_"))})


@pytest.mark.parametrize("name", [name for name in SCRIPTS if is_random(name)])
def test_engines_draw_the_same(name):
    found = {}
    for engine in ("numpy", "cython"):
        brianlike.prefs.codegen.target = engine
        found[engine] = execute(name, brianlike)
    for key, values in found["numpy"].items():
        np.testing.assert_allclose(found["cython"][key], values, rtol=1e-7, atol=1e-7 * np.abs(values).max(initial=0.0), err_msg=f"{name}: {key}")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(filter(has_full_size, SCRIPTS)))
def test_full_size(name):
    brianlike.prefs.codegen.target = "cython"
    if is_random(name):
        assert_same_distribution(name, [execute(name, brianlike, seed, full=True) for seed in SEEDS], stored(name, full=True))
    else:
        assert_equal(name, execute(name, brianlike, full=True), stored(name, full=True))


def test_every_script_is_stored_and_leaves_something():
    names = sorted(path.name.removesuffix(".npz") for path in (CONFORMANCE / "results").glob("*.npz"))
    assert names == sorted([*SCRIPTS, *(f"{name}.full" for name in SCRIPTS if has_full_size(name))])
    for name in SCRIPTS:
        results = stored(name)
        assert results, f"{name} stores nothing"
        for key, values in results.items():
            assert values.size, f"{name}: {key} is empty and compares nothing"
            assert np.isfinite(values).any(), f"{name}: {key} holds no number"


def test_the_tests_of_distributions_have_power():
    """Brian's own seeds agree with one another, and a change of a few deviations is found."""
    for name in filter(is_random, SCRIPTS):
        for key, values in stored(name).items():
            if key.startswith("statistics_") and np.ptp(values):
                assert stats.ttest_ind(values[:4], values[4:]).pvalue > LEVEL / 100, f"{name}: {key}"
                assert stats.ttest_ind(values[:4] + 4 * values.std(), values[4:]).pvalue < LEVEL, f"{name}: {key}"
            elif key.startswith("samples_"):
                half = values.size // 2
                assert stats.ks_2samp(values[:half], values[half:]).pvalue > LEVEL / 100, f"{name}: {key}"


@pytest.mark.oracle
@pytest.mark.parametrize("name", SCRIPTS)
def test_stored_results_are_brians(name, tmp_path):
    """With Brian 2 installed here: it still gives what is stored."""
    pytest.importorskip("brian2")
    code = f"import sys; sys.path.insert(0, {str(CONFORMANCE)!r}); import brian, numpy as np; np.savez(sys.argv[1], **brian.reference({name!r}))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "now.npz")], check=True, cwd=tmp_path)
    with np.load(tmp_path / "now.npz", allow_pickle=False) as now:
        for key, values in stored(name).items():
            np.testing.assert_allclose(now[key], values, rtol=1e-12, err_msg=f"{name}: {key}")
