"""What every test begins with: the default clock, preferences and magic scope that a new process has; and every compiled Program is verified."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import brianlike.prepare
from brianlike import defaultclock, ms, prefs, start_scope
from codegen.verify import verify_program


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    yield
    defaultclock.timestep = 0
    defaultclock.dt = 0.1 * ms
    prefs.reset_to_defaults()
    start_scope()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Torch runs on one thread."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _verified_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays and kernels are named once, and every body is in single-assignment form."""
    compile_program = brianlike.prepare.compile_program

    def verified(*arguments, **options):
        program = compile_program(*arguments, **options)
        verify_program(program)
        return program

    monkeypatch.setattr(brianlike.prepare, "compile_program", verified)
