"""Networks: what runs together, in which order, for how long; and the magic `run` that finds the objects itself."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

import numpy as np

from codegen.dims import UNITS
from codegen.errors import UnsupportedError
from codegen.fuse import DEFAULT_SCHEDULE
from codegen.ir import Deliver, Map, Propagator, Role

from .build import CompilerUnavailable
from .clocks import Clock, seconds
from .engines import Engine, NumpySimulation
from .groups import Group
from .monitors import SpikeMonitor, StateMonitor
from .namespaces import caller_namespace
from .objects import SimulationObject
from .preferences import prefs
from .prepare import Prepared, blueprint, prepare
from .synapses import Synapses
from .units import Quantity

__all__ = ["MagicError", "Network", "magic_network", "run", "start_scope", "stop"]

_LOG = logging.getLogger("brianlike")
Report = str | Callable[[Quantity, float, Quantity, Quantity], None] | None
CHUNK_SECONDS = 0.05  # how long a call into an engine lasts: between calls Ctrl-C and reports have their turn


class MagicError(Exception):
    """`run` cannot tell which objects belong together; use a Network."""


class Network:
    """Objects that run together.

    Parameters
    ----------
    *objects : groups, synapses, monitors, or lists of them

    Attributes
    ----------
    schedule : list of str
        The slots of a step, in order.
    t : Quantity
        Time simulated so far.

    Examples
    --------
    >>> from brianlike import *
    >>> G = NeuronGroup(2, 'dv/dt = (1 - v)/(10*ms) : 1', method='exact')
    >>> net = Network(G)
    >>> net.run(10*ms)
    >>> net.t
    10. * ms
    """

    def __init__(self, *objects: object, name: str = "network") -> None:
        self.name = name
        self.objects: list[SimulationObject] = []
        self.schedule: list[str] = list(DEFAULT_SCHEDULE)
        self._steps = 0
        self._dt: float | None = None  # the length of each of these steps (None: no run yet)
        self._engine: Engine | None = None
        self._waiting: dict[str, np.ndarray] | None = None  # what the next engine has to deliver, where no engine holds it
        self._signature: object = None
        self._stopped = False
        self.add(*objects)

    def add(self, *objects: object) -> None:
        """Add objects, or lists and dicts of them."""
        for item in _flat(objects):
            if item not in self.objects:
                self.objects.append(item)
        names = [item.name for item in self.objects]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two objects of a network cannot both be called {twice[0]!r}; give one of them another name=")

    def remove(self, *objects: object) -> None:
        """Take objects out."""
        for item in _flat(objects):
            self.objects.remove(item)

    def __iter__(self) -> Iterator[SimulationObject]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    def __contains__(self, name: object) -> bool:
        return any(item.name == name or item is name for item in self.objects)

    def __getitem__(self, name: str) -> SimulationObject:
        for item in self.objects:
            if item.name == name:
                return item
        raise KeyError(f"the network has no object {name!r}; it has {', '.join(sorted(o.name for o in self.objects))}")

    def __repr__(self) -> str:
        return f"Network({', '.join(item.name for item in self.objects)})"

    @property
    def clock(self) -> Clock:
        """The clock of all objects. Several clocks in one network come in a later version."""
        clocks = {id(item.clock): item.clock for item in self.objects}
        different = [c for c in clocks.values() if not c.same_dt(next(iter(clocks.values())))]
        if different:
            raise NotImplementedError("objects with different dt in one network come in a later version; give all of them one dt")
        if not clocks:
            raise ValueError("the network has no objects")
        return next(iter(clocks.values()))

    @property
    def t(self) -> Quantity:
        """Time simulated so far."""
        return Quantity(self.t_, UNITS["second"])

    @property
    def t_(self) -> float:
        """Time simulated so far in seconds, without units."""
        return 0.0 if self._dt is None else self._steps * self._dt

    # --------------------------------------------------------------------------------------------------------------------------------------- running
    def run(
        self,
        duration: object,
        report: Report = None,
        report_period: object = None,
        namespace: Mapping[str, object] | None = None,
        level: int = 0,
    ) -> None:
        """Simulate for `duration`.

        Parameters
        ----------
        duration : Quantity
            In seconds; rounded to whole steps.
        report : 'tqdm', 'text', callable or None
            A progress bar; a line now and then; or a function of (elapsed seconds, fraction done, start, duration).
        report_period : Quantity
            Time between reports (10 s of waiting, by default).
        namespace : dict, optional
            Values of constants in the texts; by default the names visible where `run` is called.
        level : int
            How many callers further up those names are looked for.

        Raises
        ------
        ValueError
            For a negative duration.
        ModelError
            For texts that cannot be run, with a caret at the place.
        """
        clock = self.clock
        length = seconds(duration, "the duration of a run")
        if length < 0:
            raise ValueError(f"a run cannot last {duration!r}: the duration must not be negative")
        steps = int(np.ceil(length / clock.dt_ - 1e-4))
        names = dict(caller_namespace(level)) if namespace is None else dict(namespace)
        self._recount(clock)
        engine = self._prepare(names)
        self._stopped = False
        progress = _progress(report, 10.0 if report_period is None else seconds(report_period, "report_period"), self.t, steps, clock.dt_)
        _RUNNING.append(self)
        try:
            with _ctrl_c(self.stop):
                self._advance(engine, steps, progress)
        finally:
            _RUNNING.remove(self)
            engine.collect()
            for item in self.objects:
                item.clock.timestep = self._steps
            progress.close()
        self._check_values(engine.prepared)

    def _advance(self, engine: Engine, steps: int, progress: _Progress) -> None:
        engine.begin(self._steps, steps)
        done, chunk = 0, min(steps, 16)
        while done < steps and not self._stopped:
            chunk = min(chunk, steps - done)
            start = time.perf_counter()
            engine.advance(chunk)
            elapsed = max(time.perf_counter() - start, 1e-9)
            done += chunk
            self._steps += chunk
            progress.update(done)
            chunk = max(1, int(chunk * min(4.0, max(0.25, CHUNK_SECONDS / elapsed))))

    def stop(self) -> None:
        """End the run after the steps under way; to be called from a report function."""
        self._stopped = True

    def _recount(self, clock: Clock) -> None:
        """Count time, and what is still to be delivered, in steps of the clock: dt may have changed since the last run."""
        if self._dt is not None and self._dt != clock.dt_:
            before, now, ratio = self._steps, clock.whole_steps(self.t_), self._dt / clock.dt_
            past = self._waiting if self._engine is None else self._engine.past()
            if past is not None:
                self._waiting = {name: _recounted(events, before, now, ratio) for name, events in past.items()}
            self._steps, self._engine = now, None
        self._dt = clock.dt_

    def _prepare(self, names: Mapping[str, object]) -> Engine:
        """The engine for the network as it is now; the last one if only values have changed."""
        for item in self.objects:
            if isinstance(item, Synapses):
                item._ready()
        self._check_complete()
        signature = (prefs["codegen.target"], blueprint(self.objects, self.schedule))
        if self._engine is not None and signature == self._signature and self._engine.prepared.read_constants(names):
            return self._engine
        prepared = prepare(self.objects, self.schedule, names)
        past = self._waiting if self._engine is None else self._engine.past()
        engine = make_engine(prepared)
        engine.begin(self._steps, 0)
        if past is not None:
            engine.set_past(past)
        self._engine, self._signature, self._waiting = engine, signature, None
        return engine

    def _check_complete(self) -> None:
        present = {id(item) for item in self.objects}
        for item in self.objects:
            needs = [item.source, item.target] if isinstance(item, Synapses) else [item.source] if isinstance(item, SpikeMonitor | StateMonitor) else []
            for need in needs:
                if id(need) not in present:
                    raise ValueError(f"{item.name!r} needs {need.name!r}, which is not in the network; add it")

    def _check_values(self, prepared: Prepared) -> None:
        """One warning (or error) for the first variable that is no longer a number."""
        for item in prepared.objects.values():
            if not isinstance(item, Group | Synapses):
                continue
            for variable in prepared.resolved[item.name].model.variables if item.name in prepared.resolved else ():
                if variable.role is not Role.STATE:
                    continue
                values = item.state[variable.name]
                bad = np.flatnonzero(~np.isfinite(values))
                if len(bad):
                    text = f"{item.name}.{variable.name} of neuron {bad[0]} is {values[bad[0]]} at t = {self.t_:g} s ({len(bad)} of {len(values)} values)"
                    hint = "a smaller dt or another method= often helps"
                    if prefs["core.on_invalid"] == "raise":
                        raise FloatingPointError(f"{text}; {hint}")
                    _LOG.warning("%s; %s", text, hint)
                    return

    def explain(self) -> str:
        """The compiled network as text: the Program that a run executes."""
        return str(prepare(self.objects, self.schedule, caller_namespace()).program)


@contextlib.contextmanager
def _ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call `stop`, and take effect at the end, when no step is half done; a second one takes effect at once."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    caught: list[FrameType | None] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if caught:
            before(number, frame)
        caught.append(frame)
        stop()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if caught:
        before(signal.SIGINT, caught[0])


def _recounted(events: np.ndarray, step: int, new_step: int, ratio: float) -> np.ndarray:
    """Events of the steps before `step` (latest last), sorted into steps `1/ratio` times as long, before `new_step`; two of one neuron there become one."""
    age, neuron = np.nonzero(events[::-1])
    back = np.maximum(new_step - np.floor((step - 1 - age) * ratio + 0.5).astype(np.int64), 1)
    new = np.zeros((int(back.max(initial=0)), events.shape[1]), bool)
    new[-back, neuron] = True
    return new


def make_engine(prepared: Prepared) -> Engine:
    """The engine that `prefs.codegen.target` asks for; without a compiler, or for what cannot be compiled, numpy with one line in the log."""
    target = prefs["codegen.target"]
    if target == "numpy":
        return NumpySimulation(prepared)
    try:
        from .drive import CythonSimulation

        _refuse_changing_matrices(prepared)
        return CythonSimulation(prepared)
    except (CompilerUnavailable, ImportError, UnsupportedError) as error:
        if target == "cython":
            raise
        _warn_once(" ".join(str(error).split("\n")))
        return NumpySimulation(prepared)


def _refuse_changing_matrices(prepared: Prepared) -> None:
    """A matrix exponential is computed by numpy before the first step; compiled kernels have none."""
    for kernel in prepared.program.kernels:
        if isinstance(kernel, Map | Deliver) and any(isinstance(line, Propagator) for line in kernel.body):
            raise UnsupportedError(
                f"the coupled equations of {kernel.space} have coefficients that change during the run, so `exact` needs a matrix exponential in every step.",
                hint="With method='rk4' or 'exponential_euler' they are compiled.",
            )


_WARNED: set[str] = set()


def _warn_once(text: str) -> None:
    if text not in _WARNED:
        _WARNED.add(text)
        _LOG.warning("Simulations run on numpy, which is slower: %s", text)


def _flat(objects: object) -> Iterator[SimulationObject]:
    if isinstance(objects, SimulationObject):
        yield objects
    elif isinstance(objects, Mapping):
        for item in objects.values():
            yield from _flat(item)
    elif isinstance(objects, list | tuple | set | Network):
        for item in objects:
            yield from _flat(item)
    else:
        raise TypeError(f"a network holds groups, synapses and monitors (or lists of them), not {objects!r}")


# ---------------------------------------------------------------------------------------------------------------------------------------------- progress
class _Progress:
    """Reports on a run; this one says nothing."""

    def update(self, done: int) -> None:
        return

    def close(self) -> None:
        return


class _Bar(_Progress):
    def __init__(self, steps: int, dt: float) -> None:
        from tqdm.auto import tqdm

        self._bar, self._dt = tqdm(total=round(steps * dt, 9), unit="s", unit_scale=True, desc="simulating"), dt
        self._done = 0

    def update(self, done: int) -> None:
        self._bar.update((done - self._done) * self._dt)
        self._done = done

    def close(self) -> None:
        self._bar.close()


class _Periodic(_Progress):
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


def _progress(report: Report, period: float, start: Quantity, steps: int, dt: float) -> _Progress:
    match report:
        case None:
            return _Progress()
        case "tqdm":
            return _Bar(steps, dt)
        case "text" | "stdout":
            return _Periodic(_text_report, period, start, steps, dt)
    if callable(report):
        return _Periodic(report, period, start, steps, dt)
    raise ValueError(f"report must be 'tqdm', 'text', a function or None, not {report!r}")


# ------------------------------------------------------------------------------------------------------------------------------------------------- magic
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
_RUNNING: list[Network] = []


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
    for network in _RUNNING:
        network.stop()


def start_scope() -> None:
    """Let `run` forget all objects that exist now."""
    from .objects import live_objects

    existing = live_objects()
    magic_network._scope = existing[-1]._number + 1 if existing else 0
    magic_network.objects = []
