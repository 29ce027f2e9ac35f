"""Reports on a run that is under way."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from .units import Quantity

__all__ = ["Progress", "Report", "progress_of"]

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
    """Calls a function of (elapsed seconds, fraction done, start, duration) at the start, every period, and at the end."""

    def __init__(self, function: Callable[..., None], period: float, start: Quantity, steps: int, dt: float) -> None:
        self._function, self._period, self._start, self._steps = function, period, start, steps
        self._duration = Quantity(steps * dt, start.dimensions)
        self._began = self._last = time.perf_counter()
        self._function(0.0, 0.0, start, self._duration)

    def update(self, done: int) -> None:
        now = time.perf_counter()
        if now - self._last >= self._period or done == self._steps:
            self._last = now
            self._function(now - self._began, done / max(1, self._steps), self._start, self._duration)


def _text_report(elapsed: float, completed: float, start: Quantity, duration: Quantity) -> None:
    if completed == 0.0:
        sys.stdout.write(f"Simulating {duration} from t = {start}\n")
    elif completed < 1.0:
        sys.stdout.write(f"{completed * duration} simulated ({completed:.0%}) in {elapsed:.0f} s, about {elapsed * (1 / completed - 1):.0f} s to go\n")
    else:
        sys.stdout.write(f"{duration} simulated (100%) in {elapsed:.1f} s\n")


def progress_of(report: Report, period: float, start: Quantity, steps: int, dt: float) -> Progress:
    match report:
        case None:
            return Progress()
        case "tqdm":
            return _Bar(steps, dt)
        case "text" | "stdout":
            return _Periodic(_text_report, period, start, steps, dt)
    if callable(report):
        return _Periodic(report, period, start, steps, dt)
    raise ValueError(f"report must be 'tqdm', 'text', a function or None, not {report!r}")
