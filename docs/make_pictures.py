"""Make the pictures of the reference: `python docs/make_pictures.py` writes docs/images/connect.png."""

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt

from brianlike import NeuronGroup, Synapses, prefs, seed

RULES = [
    {"condition": "i != j"},
    {"p": 0.2},
    {"p": "exp(-abs(i - j)/3.0)"},
    {"j": "i"},
    {"j": "k for k in range(i - 3, i + 4, 2)", "skip_if_invalid": True},
    {"i": "k for k in sample(j, N_pre, size=2)", "skip_if_invalid": True},
]
"""Arguments of `connect`."""


def call(rule: dict) -> str:
    """The rule as users write it, in short lines."""
    arguments = ", ".join(f"{name}={value!r}" if name != "condition" else repr(value) for name, value in rule.items())
    return textwrap.fill(f"connect({arguments})", 34, subsequent_indent="  ")


def connections(path: Path) -> None:
    """Who is connected to whom after each rule: presynaptic neurons from top to bottom, postsynaptic ones from left to right."""
    prefs.codegen.target = "numpy"
    seed(1)
    figure, axes = plt.subplots(2, 3, figsize=(8, 5.8), layout="constrained")
    for panel, rule in zip(axes.flat, RULES, strict=True):
        cells = NeuronGroup(24, "")
        synapses = Synapses(cells)
        synapses.connect(**rule)
        panel.plot(synapses.j[:], synapses.i[:], "s", markersize=3, color="#1f5a8a")
        panel.set(xlim=(-1, 24), ylim=(24, -1), aspect="equal", xticks=[0, 23], yticks=[0, 23], xlabel="j", ylabel="i")
        panel.set_title(call(rule), family="monospace", fontsize=7, loc="left")
    figure.savefig(path, dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    connections(Path(__file__).resolve().parent / "images" / "connect.png")
