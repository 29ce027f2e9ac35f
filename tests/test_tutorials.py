"""The tutorials run, on small settings; what they gave on full ones is stored beside them and is what their pages say."""

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from test_datasets import write_shd  # noqa: E402

from brianlike import defaultclock, ms, start_scope  # noqa: E402

TUTORIALS = Path(__file__).resolve().parents[1] / "tutorials"


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a script as `python tutorials/NAME.py ARGUMENTS` would, in this process, and return what it printed."""
    pytest.importorskip("matplotlib"), pytest.importorskip("safetensors")

    def script(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments), "--folder", str(tmp_path)])
        runpy.run_path(str(TUTORIALS / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    start_scope()
    yield script
    defaultclock.dt = 0.1 * ms
    start_scope()


def stored(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def test_spytorch_1(run, tmp_path):
    printed = run("spytorch_1", "--iterations", 30)
    assert "accuracy, true gradient: 0." in printed and "accuracy, surrogate: 0." in printed
    found = stored(tmp_path / "spytorch_1.json")
    assert found["loss"]["surrogate"][-1] < found["loss"]["true gradient"][-1] < found["loss"]["true gradient"][0]
    assert (tmp_path / "spytorch_1.png").stat().st_size > 10_000


@pytest.mark.parametrize("name, arguments", [("spytorch_2", ()), ("spytorch_3", ("--few-spikes",))])
def test_fashion(run, tmp_path, name, arguments):
    if not (Path(os.environ.get("BRIANLIKE_DATA", "/nonexistent")) / "fashion_mnist.npz").is_file():
        pytest.skip("set BRIANLIKE_DATA to a folder that holds fashion_mnist.npz to run this tutorial")
    printed = run("spytorch_2", "--epochs", 1, "--samples", 300, *arguments)
    assert "test accuracy after 1 epochs: 0." in printed and (tmp_path / f"{name}.safetensors").exists()
    found = stored(tmp_path / f"{name}.json")
    assert found["test_accuracy"] > 0.05 and 0 < found["spikes_per_neuron"] < 2 and (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_spytorch_4(run, tmp_path):
    write_shd(tmp_path / "shd_train.h5", [0] * 20 + [1] * 10)
    write_shd(tmp_path / "shd_test.h5", [4] * 12)
    printed = run("spytorch_4", "--epochs", 2, "--samples", 20, "--data", tmp_path)
    assert "test accuracy after 2 epochs: 0." in printed and printed.strip().endswith("on 12 recordings of 20 words")
    values = stored(tmp_path / "spytorch_4.json")["values"]
    assert values["loss"][1] < values["loss"][0] and len(values["validation score"]) == 2 and 1 < values["spikes per neuron"][0] < 50


def test_randman(run, tmp_path):
    printed = run("randman", "--epochs", 6, "--samples", 100)
    assert "of 10 classes" in printed
    found = stored(tmp_path / "randman.json")
    assert found["test_accuracy"] > 0.3 and found["values"]["spikes per neuron"][0] > 0.2  # chance is 0.1; potentials reach the threshold from the start


def test_sound_localisation(run, tmp_path):
    printed = run("sound_localisation", "--sounds", 256, "--epochs", 1)
    found = stored(tmp_path / "sound_localisation.json")
    assert found["jeffress_accuracy"] > 0.2 and found["jeffress_error"] < 20  # chance is 0.083 and 52 degrees
    assert found["module_spikes"] == found["simulated_spikes"] > 100 and found["same_predictions"] == 64
    assert "wired by hand: accuracy" in printed and (tmp_path / "sound_localisation.png").stat().st_size > 50_000


def test_time_constants(run, tmp_path):
    printed = run("time_constants", "--seeds", 1, "--epochs", 1, "--samples", 64)
    assert "spread and learned - learned: " in printed
    assert [len(curve[0]) for curve in stored(tmp_path / "time_constants.json")["curves"].values()] == [1, 1, 1]
    assert (tmp_path / "time_constants.png").stat().st_size > 20_000


# ----------------------------------------------------------------------------------------------------------------------------------------------- results
def test_stored_results_are_those_of_full_settings():
    one, manifolds = stored(TUTORIALS / "results" / "spytorch_1.json"), stored(TUTORIALS / "results" / "randman.json")
    assert one["settings"]["iterations"] == 1000 and one["accuracy"]["surrogate"] >= 0.80 and 0.4 < one["accuracy"]["true gradient"] < 0.6
    assert manifolds["samples"] == 1000 and manifolds["test_accuracy"] >= 0.93
    sounds = stored(TUTORIALS / "results" / "sound_localisation.json")
    assert sounds["trained_accuracy"] > 0.7 > sounds["jeffress_accuracy"] > 2 * sounds["chance"] and sounds["module_spikes"] == sounds["simulated_spikes"]
    rhythms = stored(TUTORIALS / "results" / "time_constants.json")["curves"]
    fixed, learned, spread = ([curve[-1] for curve in rhythms[name]] for name in ("fixed", "learned", "spread and learned"))
    assert len(fixed) == 5 and all(b > a for a, b in zip(fixed, learned)) and all(b > a for a, b in zip(fixed, spread))
    many, few = stored(TUTORIALS / "results" / "spytorch_2.json"), stored(TUTORIALS / "results" / "spytorch_3.json")
    assert many["samples"] is few["samples"] is None and many["test_accuracy"] >= 0.85 and few["test_accuracy"] >= 0.81
    assert few["spikes_per_neuron"] < 0.5 * many["spikes_per_neuron"]


def test_the_page_has_every_tutorial_and_its_result():
    text = (TUTORIALS.parent / "docs" / "tutorials.md").read_text(encoding="utf-8")
    assert {path.name for path in TUTORIALS.glob("*.py")} <= set(np.unique([word.strip("[]`()./") for word in text.replace("/", " ").split()]))
    for path in (TUTORIALS / "results").glob("*.json"):
        found = stored(path)
        numbers = [found[key] for key in ("test_accuracy",) if key in found] + list(
            found.get("accuracy", {}).values() if isinstance(found.get("accuracy"), dict) else []
        )
        for number in numbers:
            assert f"{number:.3f}" in text or f"{number:.4f}" in text, f"{path.name} has {number:.4f}, which docs/tutorials.md does not"
