"""What every test begins with: the default clock, preferences and magic scope that a new process has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from brianlike import defaultclock, ms, prefs, start_scope


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    yield
    defaultclock.timestep = 0
    defaultclock.dt = 0.1 * ms
    prefs.reset_to_defaults()
    start_scope()
