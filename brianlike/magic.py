"""The magic network: `run` finds the objects itself, among the variables of its caller."""

from __future__ import annotations

from collections.abc import Mapping

from .monitors import SpikeMonitor, StateMonitor
from .namespaces import caller_namespace
from .network import RUNNING, Network
from .objects import SimulationObject, live_objects
from .progress import Report

__all__ = ["MagicError", "MagicNetwork", "magic_network", "run", "start_scope", "stop"]


class MagicError(Exception):
    """`run` cannot tell which objects belong together; use a Network."""


class MagicNetwork(Network):
    """The network of all objects that the caller of `run` has in variables."""

    def __init__(self) -> None:
        super().__init__(name="magic_network")
        self._scope = 0

    def collect(self, names: Mapping[str, object]) -> None:
        """Take the objects among `names`; a new set of objects starts again at t = 0."""
        found = {id(v): v for v in names.values() if isinstance(v, SimulationObject) and v.add_to_magic_network and v._number >= self._scope}
        objects = sorted(found.values(), key=lambda item: item._number)
        if not objects:
            raise MagicError("run() found no groups in your variables; objects in lists and dicts are not seen: put them into a Network")
        known = [o for o in objects if any(o is p for p in self.objects)]
        new = [o for o in objects if not any(o is p for p in self.objects) and not isinstance(o, SpikeMonitor | StateMonitor)]
        if self.objects and known and new and self._steps:
            raise MagicError(f"{new[0].name!r} is new while {known[0].name!r} has already run; call start_scope() first, or use a Network")
        if not known:
            self._steps, self._dt, self._engine, self._waiting, self._signature = 0, None, None, None, None
            for item in objects:
                item.clock.timestep = 0
        self.objects = objects


magic_network = MagicNetwork()


def run(
    duration: object,
    report: Report = None,
    report_period: object = None,
    namespace: Mapping[str, object] | None = None,
    level: int = 0,
) -> None:
    """Simulate every object that the calling code has in a variable.

    See `Network.run` for the parameters and errors.

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
    names = dict(caller_namespace(level))
    magic_network.collect(names)
    magic_network.run(duration, report, report_period, names if namespace is None else namespace)


def stop() -> None:
    """End the run that is under way, after its current steps; to be called from a report function."""
    for network in RUNNING:
        network.stop()


def start_scope() -> None:
    """Let `run` forget all objects that exist now."""
    existing = live_objects()
    magic_network._scope = existing[-1]._number + 1 if existing else 0
    magic_network.objects = []
