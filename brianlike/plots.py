"""Pictures of results. matplotlib is imported when the first one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .monitors import SpikeMonitor, StateMonitor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion_matrix", "demo_figure", "gradient_norms", "history_figure", "learning_curve", "raster", "raster_of", "traces"]


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def raster(axes: Axes, monitor: SpikeMonitor, **style: Any) -> None:
    """Spikes as points: time in ms against neuron."""
    given: dict[str, Any] = {"s": 4, "color": "black", "linewidths": 0}
    given |= style
    axes.scatter(monitor.t_ * 1e3, monitor.i, **given)
    axes.set(xlabel="time (ms)", ylabel="neuron", ylim=(-0.5, len(monitor.source) - 0.5))


def raster_of(axes: Axes, spikes: np.ndarray, dt: float = 1.0, **style: Any) -> None:
    """Spikes in an array of shape (T, N) as points: step (or time in units of `dt`) against neuron."""
    step, neuron = np.nonzero(spikes)
    given: dict[str, Any] = {"s": 4, "color": "black", "linewidths": 0}
    axes.scatter(step * dt, neuron, **(given | style))
    axes.set(xlabel="step", ylabel="neuron", xlim=(-0.5 * dt, (len(spikes) - 0.5) * dt), ylim=(-0.5, spikes.shape[1] - 0.5))


def traces(axes: Axes, monitor: StateMonitor, variable: str = "v", offset: float = 0.0, **style: Any) -> None:
    """The recorded values of a variable over time in ms, each neuron `offset` above the one before."""
    values = np.asarray(monitor.values_of(f"{variable}_"))
    for n, row in enumerate(values):
        axes.plot(monitor.t_ * 1e3, row + n * offset, label=str(monitor.record[n]), **style)
    axes.set(xlabel="time (ms)", ylabel=variable)


def confusion_matrix(axes: Axes, labels: np.ndarray, predicted: np.ndarray, names: list[str] | None = None) -> None:
    """How often each class (rows) was taken for each other (columns)."""
    size = int(max(labels.max(), predicted.max())) + 1
    counts = np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
    axes.imshow(counts, cmap="Blues")
    if size <= 12:
        for row, column in zip(*np.nonzero(counts)):
            color = "white" if counts[row, column] > counts.max() / 2 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=7, color=color)
    ticks = range(size)
    axes.set(xlabel="predicted", ylabel="shown", xticks=ticks, yticks=ticks)
    if names is not None:
        axes.set_xticks(ticks, names, fontsize=7)
        axes.set_yticks(ticks, names, fontsize=7)


def gradient_norms(axes: Axes, values: np.ndarray, names: Sequence[str], **style: Any) -> None:
    """The norms of `brianlike.nn.GradientNorms` by step, one line for each layer, on a logarithmic scale; what is 0 is left out."""
    values = np.asarray(values)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"the norms must have the shape (steps, {len(names)}), one column for each name, not {values.shape}")
    for name, column in zip(names, values.T):
        axes.plot(np.where(column > 0, column, np.nan), label=name, **style)
    axes.set(xlabel="step", ylabel="norm of the gradient", yscale="log")
    axes.legend(frameon=False)


def learning_curve(curves: dict[str, list[float]], loss: list[float], title: str) -> Figure:
    """Accuracies by epoch (each curve with its name), and the loss."""
    figure = _figure(7, 4)
    axes = figure.subplots()
    for name, values in curves.items():
        axes.plot(range(1, len(values) + 1), values, label=name)
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1), title=title)
    other = axes.twinx()
    other.plot(range(1, len(loss) + 1), loss, color="gray", linestyle=":", label="loss")
    other.set_ylabel("loss")
    other.set_ylim(bottom=0)
    axes.legend(handles=[*axes.get_lines(), *other.get_lines()], loc="center right", frameon=False)
    return figure


def history_figure(values: dict[str, list[float]], best: int, rasters: dict[str, np.ndarray]) -> Figure:
    """What a training run measured in each epoch: losses, scores, everything else one by one, and rasters of spikes beside them."""
    measured = [name for name in values if name != "seconds"]
    panels = [[n for n in measured if n.removeprefix("validation ") == kind] for kind in dict.fromkeys(n.removeprefix("validation ") for n in measured)]
    figure = _figure(4 * (len(panels) + len(rasters)), 3.2)
    axes = np.atleast_1d(figure.subplots(1, max(1, len(panels) + len(rasters))))
    for axis, names in zip(axes, panels):
        for name in names:
            axis.plot(range(1, len(values[name]) + 1), values[name], label=name)
        axis.axvline(best + 1, color="gray", linestyle=":", linewidth=1)
        axis.set(xlabel="epoch", title=names[0])
        axis.legend(frameon=False)
    for axis, (name, spikes) in zip(axes[len(panels) :], rasters.items()):
        raster_of(axis, spikes)
        axis.set_title(name)
    return figure


def demo_figure(
    image: np.ndarray,
    label: int,
    monitors: tuple[SpikeMonitor, SpikeMonitor, StateMonitor, StateMonitor],
    labels: np.ndarray,
    predicted: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    accuracy: float,
) -> Figure:
    """One test image through the trained network, the confusion matrix, and the learned time constants."""
    input_spikes, hidden_spikes, hidden_v, readout_v = monitors
    figure = _figure(12, 6.6)
    axes = figure.subplots(2, 3)
    raster(axes[0, 0], input_spikes, s=8, color="tab:blue")
    axes[0, 0].set(title=f"a handwritten {label} as spikes (64 pixels)", xlim=(-1, hidden_v.t_[-1] * 1e3 + 1))
    axes[0, 1].set_xlim(axes[0, 0].get_xlim())
    inset = axes[0, 0].inset_axes((0.68, 0.02, 0.3, 0.42))
    inset.imshow(image.reshape(8, 8), cmap="gray_r")
    inset.set(xticks=[], yticks=[])
    raster(axes[0, 1], hidden_spikes)
    axes[0, 1].set_title(f"{len(hidden_spikes.source)} hidden neurons, simulated")
    traces(axes[0, 2], hidden_v, offset=0.0, linewidth=1)
    axes[0, 2].axhline(1.0, color="gray", linestyle=":", linewidth=1)
    axes[0, 2].set(title="membrane potential of four of them", ylabel="v")
    values = np.asarray(readout_v.v)
    for n, row in enumerate(values):
        best = n == int(values.max(1).argmax())
        axes[1, 0].plot(readout_v.t_ * 1e3, row, color="tab:red" if best else "lightgray", zorder=3 if best else 2, label=str(n) if best else None)
    axes[1, 0].set(xlabel="time (ms)", ylabel="v", title="read-out: the highest wins")
    axes[1, 0].legend(frameon=False, loc="upper left")
    confusion_matrix(axes[1, 1], labels, predicted)
    axes[1, 1].set_title(f"{len(labels)} test images, accuracy {accuracy:.3f}")
    bins = np.linspace(0, max(before.max(), after.max()) * 1.05, 25)
    axes[1, 2].hist(before, bins, alpha=0.5, color="gray", label="before training")
    axes[1, 2].hist(after, bins, alpha=0.6, color="tab:green", label="learned")
    axes[1, 2].set(xlabel="membrane time constant (ms)", ylabel="neurons", title="time constants of the hidden neurons")
    axes[1, 2].legend(frameon=False)
    return figure
