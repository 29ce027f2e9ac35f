"""A training loop for people who do not want to write one."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from ..plots import history_figure
from .events import Events
from .optimising import clamp_
from .resume import load_run, random_state, restore_random_state, save_run

Measure = Callable[[Any, Any], Any]


@dataclass(slots=True)
class History:
    """What happened in each epoch.

    Attributes
    ----------
    values : dict of lists
        One number for each epoch: 'loss', 'score', 'validation loss', 'validation score', everything that was watched, and 'seconds'.
    best : int
        The epoch (from 0) with the best weights; -1 before the first.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    best: int = -1

    def __len__(self) -> int:
        return len(self.values.get("loss", ()))

    def add(self, row: Mapping[str, float]) -> None:
        """Append the numbers of one epoch."""
        for name, value in row.items():
            self.values.setdefault(name, []).append(value)

    def save(self, path: str | os.PathLike[str], **more: Any) -> None:
        """Write everything as JSON, with `more` beside it."""
        text = {"epochs": len(self), "best": self.best, "values": self.values, **more}
        Path(path).write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")

    def picture(self, path: str | os.PathLike[str], rasters: Mapping[str, Any] | None = None) -> None:
        """Draw losses, scores and what was watched by epoch, and rasters of spikes: `{'hidden': y.spikes[:, 0]}`, of shape (T, N)."""
        history_figure(self.values, self.best, {name: _array(spikes) for name, spikes in (rasters or {}).items()}).savefig(path, dpi=130)


def fit(
    module: nn.Module,
    train: Iterable[tuple[Any, Any]],
    validation: Iterable[tuple[Any, Any]] | None = None,
    *,
    loss: Measure,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    score: Measure | None = None,
    watch: Mapping[str, Measure] | None = None,
    schedule: Any = None,
    patience: int | None = None,
    clip: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> History:
    """Train a module; afterwards it has the weights of its best epoch.

    Parameters
    ----------
    module : NetworkModule, NeuronModule or any torch module
    train : iterable of (x, y)
        Such as `bnn.loader(...)`: x is what the module takes (a tensor or Events, a tuple of them, or a dict by name), y goes to `loss` and `score`.
    validation : iterable of (x, y), optional
        Decides which epoch is the best; without it, training does.
    loss : callable
        `loss(output, y)` gives the number to be made small, regularisers included.
    optimizer : torch.optim.Optimizer
    epochs : int
        How many in all, those before an interrupt included.
    score : callable, optional
        `score(output, y)` gives a number for a batch, the higher the better, such as the fraction of right answers. It decides which epoch is the best;
        without it, the loss does.
    watch : dict of callables, optional
        More numbers to be kept for each epoch, by name: `{'spikes per neuron': lambda output, y: output.count.mean()}`.
    schedule : torch.optim.lr_scheduler, optional
        Stepped after each epoch.
    patience : int, optional
        Stop after so many epochs without a better one.
    clip : float, optional
        Largest norm of the gradient.
    checkpoint : path, optional
        After each epoch everything is written to this file (safetensors with JSON; no pickle). If it exists, training goes on from there, and ends with the
        same bits as if it had never been interrupted.
    progress : bool
        Show a bar.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        If the loss is not finite: training on it only makes more of it.

    Examples
    --------
    >>> import torch
    >>> import brianlike.nn as bnn
    >>> layer = torch.nn.Linear(2, 1)
    >>> batches = [(torch.eye(2), torch.tensor([[1.0], [3.0]]))]
    >>> history = bnn.fit(layer, batches, loss=torch.nn.functional.mse_loss, optimizer=torch.optim.SGD(layer.parameters(), 0.1), epochs=200, progress=False)
    >>> round(history.values["loss"][-1], 4), len(history)
    (0.0, 200)
    """
    run = _Run(module, optimizer, schedule, getattr(train, "generator", None))
    path = Path(checkpoint) if checkpoint is not None else None
    if path is not None and path.exists():
        run.restore(load_run(path), path)
    measures = {"loss": loss, **({"score": score} if score is not None else {}), **(watch or {})}
    key = ("validation " if validation is not None else "") + ("score" if score is not None else "loss")
    sign = 1.0 if score is not None else -1.0
    history = run.history
    with tqdm(range(len(history), epochs), initial=len(history), total=epochs, unit="epoch", disable=not progress) as bar:
        for epoch in bar:
            if patience is not None and history.best >= 0 and epoch - history.best > patience:
                break
            started = time.perf_counter()
            row = _pass(module, train, measures, optimizer, clip, f"epoch {epoch}")
            if validation is not None:
                with torch.no_grad():
                    row |= {f"validation {name}": value for name, value in _pass(module, validation, measures, None, None, f"epoch {epoch}").items()}
            if schedule is not None:
                schedule.step()
            history.add(row | {"seconds": time.perf_counter() - started})
            if history.best < 0 or sign * row[key] > sign * history.values[key][history.best]:
                history.best, run.best_weights = epoch, copy.deepcopy(module.state_dict())
            if path is not None:
                save_run(path, run.parts())
            bar.set_postfix({name: f"{value:.3g}" for name, value in row.items()})
    if run.best_weights is not None:
        module.load_state_dict(run.best_weights)
    return history


@dataclass(slots=True)
class _Run:
    """Everything that a checkpoint holds."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Any
    generator: torch.Generator | None
    history: History = field(default_factory=History)
    best_weights: dict[str, Any] | None = None

    def parts(self) -> dict[str, Any]:
        """The run as nested dicts."""
        return {
            "module": self.module.state_dict(),
            "best": self.best_weights,
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "history": {"values": self.history.values, "best": self.history.best},
            "random": random_state(self.generator),
        }

    def restore(self, parts: Mapping[str, Any], path: Path) -> None:
        """Go on where the checkpoint was written."""
        if (parts["schedule"] is None) != (self.schedule is None):
            raise ValueError(f"{path} was written {'without' if parts['schedule'] is None else 'with'} a schedule= of the learning rate; go on in the same way")
        self.module.load_state_dict(parts["module"])
        self.optimizer.load_state_dict(parts["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(parts["schedule"])
        self.best_weights, self.history = parts["best"], History(**parts["history"])
        restore_random_state(parts["random"], self.generator)


def _pass(
    module: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    measures: Mapping[str, Measure],
    optimizer: torch.optim.Optimizer | None,
    clip: float | None,
    where: str,
) -> dict[str, float]:
    """The mean of every measure over all samples; with an optimiser, learn from each batch."""
    module.train(optimizer is not None)
    totals, samples = dict.fromkeys(measures, 0.0), 0
    for number, (x, y) in enumerate(batches):
        x, y = _to_device(x, module), _to_device(y, module)
        output = module(*x) if isinstance(x, tuple | list) else module(**x) if isinstance(x, dict) else module(x)
        found = {name: measure(output, y) for name, measure in measures.items()}
        value = found["loss"]
        if not math.isfinite(float(value.detach())):
            raise FloatingPointError(f"the loss is {float(value.detach())} in {where}, batch {number}; a smaller learning rate or clip= may help")
        if optimizer is not None:
            optimizer.zero_grad()
            value.backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
            optimizer.step()
            clamp_(module)
        size = len(y)
        samples += size
        for name, one in found.items():
            totals[name] += (float(one.detach()) if isinstance(one, torch.Tensor) else float(one)) * size
    if not samples:
        raise ValueError("there are no batches: a loader can be used in every epoch, a generator only once")
    return {name: total / samples for name, total in totals.items()}


def _to_device(value: Any, module: nn.Module) -> Any:
    like = next(module.parameters(), None)
    if isinstance(value, torch.Tensor | Events) and like is not None:
        return value.to(like.device)
    if isinstance(value, tuple | list):
        return type(value)(_to_device(v, module) for v in value)
    return {k: _to_device(v, module) for k, v in value.items()} if isinstance(value, dict) else value


def _array(spikes: Any) -> Any:
    return spikes.detach().cpu().numpy() if isinstance(spikes, torch.Tensor) else spikes
