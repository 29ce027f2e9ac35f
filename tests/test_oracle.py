"""Our runs against stored results of Brian 2.9 (`tests/oracle/brian.py` makes them): the same texts, spikes to the step, states to 1e-9."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import brianlike

ORACLE = Path(__file__).resolve().parent / "oracle"
sys.path.insert(0, str(ORACLE))
from oracle_networks import NETWORKS, execute  # noqa: E402

NAMES = {name: getattr(brianlike, name) for name in brianlike.__all__}


@pytest.fixture(params=["numpy", "cython"])
def backend(request):
    before = brianlike.prefs.codegen.target
    brianlike.prefs.codegen.target = request.param
    yield request.param
    brianlike.prefs.codegen.target = before


def stored(name: str) -> dict[str, np.ndarray]:
    with np.load(ORACLE / "results" / f"{name}.npz", allow_pickle=False) as file:
        return {key: file[key] for key in file}


@pytest.mark.parametrize("name", NETWORKS)
def test_same_as_brian(name, backend):
    expected = stored(name)
    found = execute(NETWORKS[name], NAMES)
    assert {key for key in expected if not key.startswith("steps_")} == set(found)
    for key in expected:
        if key.startswith("spikes_"):
            np.testing.assert_array_equal(found[key], expected[key], err_msg=f"{name}: neurons and steps of {key}")
    for key, values in expected.items():
        if key.startswith("state_"):
            ours = found[key][:, expected[key.replace("state_", "steps_", 1)]]
            # 1e-9 of the variable's scale: both round in another order.
            np.testing.assert_allclose(ours, values, rtol=1e-9, atol=1e-9 * np.abs(values).max(), err_msg=f"{name}: {key}")


def test_every_network_is_stored_and_spikes_or_records():
    assert sorted(path.stem for path in (ORACLE / "results").glob("*.npz")) == sorted(NETWORKS)
    for name in NETWORKS:
        for key, values in stored(name).items():
            assert values.size, f"{name}: {key} is empty and compares nothing"


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETWORKS)
def test_stored_results_are_brians(name, tmp_path):
    """With Brian 2 installed here: it still gives what is stored."""
    pytest.importorskip("brian2")
    code = f"import sys; sys.path.insert(0, {str(ORACLE)!r}); import brian, numpy as np; "
    code += f"np.savez(sys.argv[1], **brian.kept(brian.reference(brian.NETWORKS[{name!r}])))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "now.npz")], check=True, cwd=tmp_path)
    with np.load(tmp_path / "now.npz", allow_pickle=False) as now:
        for key, values in stored(name).items():
            np.testing.assert_allclose(now[key], values, rtol=1e-12, err_msg=f"{name}: {key}")
