"""The magic network: `run` finds the objects itself, among the variables of its caller."""

from __future__ import annotations

import contextlib
import gc
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .logger import get_logger
from .namespaces import caller_instances, caller_namespace
from .network import RUNNING, Network, require_different_names
from .objects import Simulation, SimulationObject, live_objects
from .progress import Report
from .summaries import ProfilingSummary, SchedulingSummary, entries_of

__all__ = ["MagicError", "MagicNetwork", "collect", "magic_network", "profiling_summary", "restore", "run", "scheduling_summary",
           "start_scope", "stop", "store"]  # fmt: skip

_LOG = get_logger(__name__)


class MagicError(Exception):
    """`run` cannot tell which objects belong together; use a Network."""


class MagicNetwork(Network):
    """The network of all objects that the caller of `run` has in variables; there is one, `magic_network`.

    Notes
    -----
    Objects that never ran begin a new simulation, at t = 0. Objects of the last simulation continue it. A mix of both is a MagicError, monitors apart.
    Between runs the network holds no objects: those that the user lets go of are gone.
    """

    def __init__(self) -> None:
        if "magic_network" in globals():
            raise ValueError("there is one magic network, `magic_network`; make a Network for objects of your choice")
        super().__init__(name="magicnetwork")
        self._scope = 0
        self._current: weakref.ref[Simulation] | None = None

    def add(self, *objects: object) -> None:
        """Not possible: the magic network finds its objects itself."""
        if objects:
            raise MagicError("objects cannot be added to the magic network, which finds them in your variables; make a Network for them")

    def remove(self, *objects: object) -> None:
        """Not possible: the magic network finds its objects itself."""
        raise MagicError("objects cannot be removed from the magic network, which finds them in your variables; set their active to False, or use a Network")

    def collect(self, level: int = 0) -> list[SimulationObject]:
        """The objects that the caller has in variables, oldest first."""
        found = {id(item): item for item in caller_instances(SimulationObject, level)}
        return sorted((v for v in found.values() if v.add_to_magic_network and v._number >= self._scope), key=lambda item: item._number)

    def _gather(self, level: int) -> None:
        """Take the caller's objects, and what the last run of them left; a new set of objects begins at t = 0."""
        found = self.collect(level)
        require_different_names(found)
        self._take(found)

    @contextlib.contextmanager
    def holding(self, objects: Sequence[SimulationObject]) -> Iterator[None]:
        """The network with these objects, whichever the caller has."""
        self._take(list(objects))
        try:
            yield
        finally:
            self._release()

    def _take(self, objects: list[SimulationObject]) -> None:
        current = None if self._current is None else self._current()
        known = [item for item in objects if current is not None and item._simulation is current]
        new = [item for item in objects if item._simulation is None and item.invalidates_magic_network]
        if known and new:
            raise MagicError(
                f"{new[0].name!r} is new while {known[0].name!r} has already run: it is not clear whether a simulation begins or goes on. Call start_scope() "
                "before you make the objects of a new simulation, or put the objects into a Network; collect() lists those that run() sees"
            )
        if new or current is None:
            current = Simulation()
            self._current = weakref.ref(current)
            self._forget_runs()
            gc.collect()  # objects of earlier simulations give their names free
        for item in objects:
            if item._simulation is None:
                item._simulation = current
        self.objects, self._simulation = objects, current
        if current.kept is not None:
            self._take_back(current.kept)

    def _release(self) -> None:
        """Hold no object any more; the objects themselves hold what the next run of them needs."""
        current = None if self._current is None else self._current()
        if current is not None:
            current.kept = self._give_away()
        self.objects, self._simulation = [], None

    def _complete(self, members: list[SimulationObject]) -> list[SimulationObject]:
        """What needs an object that is not there is switched off."""
        for item, need in list(self._missing(members)):
            if item.active:
                _LOG.warn(f"{item.name!r} is switched off: it needs {need.name!r}, which is not among your variables", "dependency_warning")
                item.active = False
            self.objects = [other for other in self.objects if other is not item]
        return self._members

    def run(
        self,
        duration: object,
        report: Report = None,
        report_period: object = None,
        namespace: Mapping[str, object] | None = None,
        profile: bool | None = None,
        level: int = 0,
    ) -> None:
        """See `Network.run`."""
        names = caller_namespace(level) if namespace is None else namespace
        self._gather(level)
        try:
            if not self.objects:
                text = "run() found no objects in your variables, so nothing is simulated; those in lists and dicts are not seen: use a Network"
                _LOG.warn(text, "magic_objects")
            super().run(duration, report, report_period, names, profile)
        finally:
            self._release()

    def store(self, name: str = "default", filename: str | os.PathLike[str] | None = None, level: int = 0) -> None:
        """See `Network.store`."""
        self._gather(level)
        try:
            super().store(name, filename)
        finally:
            self._release()

    def restore(self, name: str = "default", filename: str | os.PathLike[str] | None = None, restore_random_state: bool = False, level: int = 0) -> None:
        """See `Network.restore`."""
        self._gather(level)
        try:
            super().restore(name, filename, restore_random_state)
        finally:
            self._release()

    def get_states(
        self, units: bool = True, format: str = "dict", subexpressions: bool = False, read_only_variables: bool = True, level: int = 0
    ) -> dict[str, Any]:
        """See `Network.get_states`."""
        self._gather(level)
        try:
            return super().get_states(units, format, subexpressions, read_only_variables, level)
        finally:
            self._release()

    def set_states(self, values: Mapping[str, Any], units: bool = True, format: str = "dict", level: int = 0) -> None:
        """See `Network.set_states`."""
        self._gather(level)
        try:
            super().set_states(values, units, format, level)
        finally:
            self._release()

    def __repr__(self) -> str:
        return "MagicNetwork()"


magic_network = MagicNetwork()


def collect(level: int = 0) -> set[SimulationObject]:
    """The objects that `run` would simulate: those that the calling code has in variables.

    Parameters
    ----------
    level : int
        How many callers further up they are looked for.

    Examples
    --------
    >>> from brianlike import *
    >>> start_scope()
    >>> G = NeuronGroup(1, 'v : 1')
    >>> collect() == {G}
    True
    """
    return set(magic_network.collect(level))


def run(
    duration: object,
    report: Report = None,
    report_period: object = None,
    namespace: Mapping[str, object] | None = None,
    profile: bool | None = None,
    level: int = 0,
) -> None:
    """Simulate every object that the calling code has in a variable.

    See `Network.run` for the parameters and errors.

    Raises
    ------
    MagicError
        If some objects have run before and others are new.

    Examples
    --------
    >>> from brianlike import *
    >>> tau = 10*ms
    >>> G = NeuronGroup(1, 'dv/dt = -v/tau : 1', method='exact')
    >>> G.v = 1
    >>> run(10*ms)
    >>> float(G.v[0].round(4))
    0.3679
    """
    magic_network.run(duration, report, report_period, namespace, profile, level)


def stop() -> None:
    """End the run that is under way, after its current step; to be called from a report function or a network operation."""
    for network in RUNNING:
        network.stop()


def store(name: str = "default", filename: str | os.PathLike[str] | None = None) -> None:
    """Keep the state of all objects that the calling code has in variables; see `Network.store`.

    Examples
    --------
    >>> from brianlike import *
    >>> start_scope()
    >>> G = NeuronGroup(1, 'dv/dt = 1/ms : 1', method='euler')
    >>> store()
    >>> run(1*ms)
    >>> restore()
    >>> G.v[0]
    np.float64(0.0)
    """
    magic_network.store(name, filename)


def restore(name: str = "default", filename: str | os.PathLike[str] | None = None, restore_random_state: bool = False) -> None:
    """Go back to what `store` kept; see `Network.restore`."""
    magic_network.restore(name, filename, restore_random_state)


def profiling_summary(net: Network | None = None, show: int | None = None) -> ProfilingSummary:
    """What took the time in the last `run(..., profile=True)`.

    Parameters
    ----------
    net : Network, optional
        The magic network if left out.
    show : int, optional
        How many parts to show, the longest first; all if left out.

    Raises
    ------
    ValueError
        If nothing was measured.

    Examples
    --------
    >>> from brianlike import *
    >>> start_scope()
    >>> G = NeuronGroup(1, 'dv/dt = -v/(10*ms) : 1', method='exact', name='decay')
    >>> run(1*ms, profile=True)
    >>> profiling_summary().names
    ['decay_update']
    """
    return ProfilingSummary((magic_network if net is None else net).profiling_info, show)


def scheduling_summary(net: Network | None = None) -> SchedulingSummary:
    """What a step of the network does, in its order; by default that of the objects that the calling code has in variables.

    Examples
    --------
    >>> from brianlike import *
    >>> start_scope()
    >>> G = NeuronGroup(1, 'dv/dt = -v/(10*ms) : 1', threshold='v > 1', reset='v = 0', name='cells')
    >>> print(scheduling_summary())
    object                                | part of             | Clock dt             | when       | order | active
    --------------------------------------+---------------------+----------------------+------------+-------+-------
    cells_stateupdater (StateUpdater)     | cells (NeuronGroup) | 100. us (every step) | groups     |     0 | yes
    cells_spike_thresholder (Thresholder) | cells (NeuronGroup) | 100. us (every step) | thresholds |     0 | yes
    cells_spike_resetter (Resetter)       | cells (NeuronGroup) | 100. us (every step) | resets     |     0 | yes
    """
    if net is not None:
        return net.scheduling_summary()
    return SchedulingSummary(entries_of(magic_network.collect(), magic_network.schedule))


def start_scope() -> None:
    """Let `run` forget all objects that exist now."""
    existing = live_objects()
    magic_network._scope = existing[-1]._number + 1 if existing else 0
