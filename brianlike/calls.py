"""The user's functions that a run calls, and what users see of the run meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Protocol

import numpy as np

from codegen.dataflow import CHANGEABLE
from codegen.ir import Extern, Role

from .groups import Group
from .monitors import Monitor, StateMonitor
from .prepare import SPIKE, Prepared, clocks_of
from .state import State, VariableOwner

LARGE = 1 << 13
"""Elements from which on an array that users hold counts as changed at every run, and is not compared."""


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
        self._watched: list[Callable[[bool], object]] = []
        self._copied: Collection[str] | None = None
        self._seen: object = None  # what the last set-up was computed from
        objects = prepared.objects.values()
        self._owners = [item for item in objects if isinstance(item, VariableOwner)]
        self._monitors = [item for item in objects if isinstance(item, Monitor)]
        events = {array.name for array in prepared.program.arrays}
        self.spiking = [(item, event) for item in objects if isinstance(item, Group) and (event := f"{item.name}.{SPIKE}") in events]
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
            if self._watched:
                self.set_up_if_changed(running=True)

        return call

    def set_up_if_changed(self, running: bool = False) -> None:
        """Compute anew what no step changes, if anything has changed that it depends on."""
        if self._copied is not self._engine.copied:
            self._copied = self._engine.copied
            self._watched = _watched(self._prepared, self._copied)
        now = (self._prepared.version, [version(running) for version in self._watched])
        if now != self._seen:
            self._engine.set_up()
            self._seen = now

    def begin(self) -> None:
        """A run begins: let the objects show what happens in it."""
        self.failure = None
        for item in self._owners:
            item.state.locked = True
        for group, event in self.spiking:
            group._find_fired = partial(self._spikes, event)
        for monitor in self._monitors:
            monitor._collect = self._engine.collect

    def _spikes(self, event: str) -> np.ndarray:
        return self._engine.spikes_now(event, self._kernel)

    def end(self) -> None:
        """The run is over."""
        for item in self._owners:
            item.state.locked = False
        for group, _ in self.spiking:
            group._find_fired = None
        for monitor in self._monitors:
            monitor._collect = None
            if isinstance(monitor, StateMonitor):
                monitor._constants = self._prepared.constants(monitor.source._whole.name)

    def raise_failure(self) -> None:
        """Raise what a function raised, once."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure


def _watched(prepared: Prepared, copied: Collection[str]) -> list[Callable[[bool], object]]:
    """For each array that users can change and from which the set-up computes something, or of which the engine has copies, a function whose result
    shows that it has changed."""
    program = prepared.program
    read = {load.array for kernel in program.setup for load in kernel.loads} | set(copied)
    found: list[Callable[[bool], object]] = []
    for name in sorted(read):
        owner, _, variable = name.partition(".")
        item, role = prepared.objects.get(owner), program.array(name).role
        if role in CHANGEABLE and isinstance(item, VariableOwner) and variable in item.state:
            found.append(partial(_version, item.state, variable))
        elif role is Role.TABLE:  # users have its array
            found.append(partial(_content, prepared, name))
    return found


def _version(state: State, name: str, running: bool) -> object:
    """Equal as long as nobody but a run has changed a variable. A large array that users hold is not compared in every step of a run: there they must
    assign to it."""
    if name in state.exposed and state.size > LARGE:
        return state.written[name] if running else object()
    return state.version(name)


def _content(prepared: Prepared, name: str, running: bool) -> object:
    return prepared.from_outside()[name].tobytes()
