"""The user's functions that a run calls, and what users see of the run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

import numpy as np

from codegen.dataflow import CHANGEABLE
from codegen.ir import Extern

from .groups import Group
from .monitors import Monitor, StateMonitor
from .prepare import SPIKE, Prepared, clocks_of
from .state import VariableOwner


class Running(Protocol):
    """An engine, as far as calls are concerned."""

    @property
    def step(self) -> int:
        """The step under way."""

    def stop(self) -> None:
        """End with the step under way."""

    @property
    def copied(self) -> Collection[str]:
        """Arrays that no step changes and of which the engine has copies; `set_up` renews them."""

    def set_up(self) -> None:
        """Compute anew what no step changes."""

    def collect(self) -> None:
        """Hand what was recorded to the monitors."""

    def spikes_now(self, event: str, kernel: Extern | None) -> np.ndarray:
        """The neurons that fired last, as `kernel` sees it."""


class Calls:
    """The functions that a run calls, by the name of their Extern kernel.

    None of them raises: the first exception is kept in `failure`, and the run ends behind the step under way, so that it can go on from there.
    """

    def __init__(self, prepared: Prepared, engine: Running) -> None:
        self._prepared, self._engine = prepared, engine
        self.failure: BaseException | None = None
        self._kernel: Extern | None = None
        self._clocks = [(clock, prepared.ticks.of(clock).every) for clock in clocks_of(prepared.objects.values())]
        self._watched = _watched(prepared, engine.copied)
        self._seen: list[int] = []
        self.functions = {kernel.name: self._function(kernel) for kernel in prepared.program.kernels if isinstance(kernel, Extern)}

    def _function(self, kernel: Extern) -> Callable[[], None]:
        operation = self._prepared.objects[kernel.name]

        def call() -> None:
            if self.failure is not None or not operation.active:
                return
            step = self._engine.step
            for clock, every in self._clocks:
                clock.timestep = -(-step // every)
            self._kernel = kernel
            try:
                operation.run()
            except BaseException as error:  # raised again behind the step
                self.failure = error
                self._engine.stop()
            self._kernel = None
            if self._watched and self._versions() != self._seen:
                self._engine.set_up()
                self._seen = self._versions()

        return call

    def _versions(self) -> list[int]:
        return [owner.state.written[variable] for owner, variable in self._watched]

    def begin(self) -> None:
        """A run begins: let the objects show what happens in it."""
        self.failure, self._seen = None, self._versions()
        for item in self._prepared.objects.values():
            if isinstance(item, VariableOwner):
                item.state.locked = True
            if isinstance(item, Group) and any(a.name == f"{item.name}.{SPIKE}" for a in self._prepared.program.arrays):
                item._find_fired = partial(self._spikes, f"{item.name}.{SPIKE}")
            elif isinstance(item, Monitor):
                item._collect = self._engine.collect

    def _spikes(self, event: str) -> np.ndarray:
        return self._engine.spikes_now(event, self._kernel)

    def end(self) -> None:
        """The run is over."""
        for item in self._prepared.objects.values():
            if isinstance(item, VariableOwner):
                item.state.locked = False
            if isinstance(item, Group):
                item._find_fired = None
            elif isinstance(item, Monitor):
                item._collect = None
            if isinstance(item, StateMonitor):
                item._constants = self._prepared.constants(item.source._whole.name)

    def raise_failure(self) -> None:
        """Raise what a function raised, once."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure


def _watched(prepared: Prepared, copied: Collection[str]) -> list[tuple[VariableOwner, str]]:
    """The variables that users can change and from which the set-up computes something, or of which the engine has copies."""
    program = prepared.program
    read = {load.array for kernel in program.setup for load in kernel.loads} | set(copied)
    found = []
    for name in sorted(read):
        owner, _, variable = name.partition(".")
        item = prepared.objects.get(owner)
        if program.array(name).role in CHANGEABLE and isinstance(item, VariableOwner) and variable in item.state:
            found.append((item, variable))
    return found
