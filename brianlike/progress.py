"""Reports on a run that is under way."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from .units import Quantity

__all__ = ["Progress", "Report", "TextReport", "progress_of"]

Report = str | Callable[[Quantity, float, Quantity, Quantity], None] | None


class Progress:
    """Reports on a run; this one says nothing."""

    def update(self, done: int) -> None:
        return

    def close(self) -> None:
        return


class _Bar(Progress):
    def __init__(self, steps: int, dt: float) -> None:
        from tqdm.auto import tqdm

        self._bar, self._dt = tqdm(total=round(steps * dt, 9), unit="s", unit_scale=True, desc="simulating"), dt
        self._done = 0

    def update(self, done: int) -> None:
        self._bar.update((done - self._done) * self._dt)
        self._done = done

    def close(self) -> None:
        self._bar.close()


class _Periodic(Progress):
    """Calls a function of (elapsed time, fraction done, start, duration) at the start, every period, and at the end."""

    def __init__(self, function: Callable[..., None], period: float, start: Quantity, steps: int, dt: float) -> None:
        self._function, self._period, self._start, self._steps = function, period, start, steps
        self._duration = Quantity(steps * dt, start.dimensions)
        self._began = self._last = time.perf_counter()
        self._function(Quantity(0.0, start.dimensions), 0.0, start, self._duration)

    def update(self, done: int) -> None:
        now = time.perf_counter()
        if now - self._last >= self._period or done == self._steps:
            self._last = now
            elapsed = Quantity(now - self._began, self._start.dimensions)
            self._function(elapsed, done / max(1, self._steps), self._start, self._duration)


class TextReport:
    """A report in words, written to a file: `run(..., report=TextReport(sys.stderr))`.

    Parameters
    ----------
    stream : file
        Open for writing text.

    Examples
    --------
    >>> from brianlike.units import ms
    >>> report = TextReport(sys.stdout)
    >>> report(2000*ms, 0.5, 0*ms, 100*ms)
    50. ms simulated (50%) in 2.0 s, about 2.0 s to go
    """

    def __init__(self, stream: TextIO):
        self.stream = stream

    def __call__(self, elapsed: Quantity, completed: float, start: Quantity, duration: Quantity) -> None:
        waited = float(elapsed)
        if completed == 0.0:
            text = f"Simulating {duration} from t = {start}"
        elif completed < 1.0:
            text = f"{completed * duration} simulated ({completed:.0%}) in {_words(waited)}, about {_words(waited * (1 / completed - 1))} to go"
        else:
            text = f"{duration} simulated (100%) in {_words(waited)}"
        self.stream.write(text + "\n")
        self.stream.flush()


def _words(seconds: float) -> str:
    """A time of waiting: `3.2 s`, `4 min 10 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def progress_of(report: Report, period: float, start: Quantity, steps: int, dt: float) -> Progress:
    """What tells the user how far a run is.

    Raises
    ------
    ValueError, TypeError
        For a `report` that is none.
    """
    match report:
        case None:
            return Progress()
        case "tqdm":
            return _Bar(steps, dt)
        case "text" | "stdout":
            return _Periodic(TextReport(sys.stdout), period, start, steps, dt)
        case "stderr":
            return _Periodic(TextReport(sys.stderr), period, start, steps, dt)
        case str():
            raise ValueError(f"report must be 'text', 'stdout', 'stderr', 'tqdm', a function or None, not {report!r}")
    if callable(report):
        return _Periodic(report, period, start, steps, dt)
    raise TypeError(f"report must be 'text', 'stdout', 'stderr', 'tqdm', a function or None, not {report!r}")
