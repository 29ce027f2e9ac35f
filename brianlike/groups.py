"""`NeuronGroup`: neurons that share equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from codegen.ir import Model, Role
from codegen.models import parse_group

from .clocks import Clock, choose_clock, seconds
from .codes import CodeRunner, run_regularly
from .equations import Equations
from .logger import get_logger
from .objects import checked_order, checked_slot, choose_name
from .stages import Stage
from .state import LAST_SPIKE, State, VariableOwner
from .stateupdaters import checked_method, checked_options
from .subgroups import Indices, Subgroup, part_of
from .units import Quantity
from .views import VariableView, element_indices

__all__ = ["Group", "NeuronGroup"]

_LOG = get_logger("brianlike.groups.neurongroup")
_FIRED = "_fired"  # the last step's spikes, in a snapshot


class Group(VariableOwner):
    """What neurons of every kind have: a number, their index `i`, the spikes of the last step."""

    contained_objects: list[object]
    start: int
    stop: int
    _size: int
    _fired: np.ndarray
    _find_fired: Callable[[], np.ndarray] | None = None  # during a run

    def _set_up(self, size: int, model: Model, dtype: object = None) -> None:
        """Allocate the variables of `model`."""
        self._size = size
        self.start, self.stop = 0, size
        self.contained_objects = []
        say_hidden(self, model)
        self.model = model
        self.state = State(model.variables, size, dtype)
        self._fired = np.zeros(0, dtype=np.int32)
        self.state["i"] = np.arange(size, dtype=np.int32)
        self.state["N"] = size
        if LAST_SPIKE in self.state:
            self.state[LAST_SPIKE] = round(-1e4 / self.clock.dt_)
            self.clock.follow(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if LAST_SPIKE in self.state:
            self.clock.follow(self)

    def recount(self, old: float, new: float) -> None:
        """Keep the time of the last spikes when the step of the clock changes (the clock calls this)."""
        self.state[LAST_SPIKE] = np.rint(self.state[LAST_SPIKE] * (old / new))

    def element_indices(self, item: object, namespace: Mapping[str, object] | None = None) -> Any:
        return element_indices(item, self._size, self, namespace)

    def _ready(self) -> None:
        return

    @property
    def spikes(self) -> np.ndarray:
        """The neurons that spiked in the last step; during a run, in the step under way once its thresholds have been found."""
        return self._fired if self._find_fired is None else self._find_fired()

    @spikes.setter
    def spikes(self, neurons: object) -> None:
        self._fired = np.asarray(neurons)

    def snapshot(self) -> dict[str, np.ndarray]:
        return {**super().snapshot(), _FIRED: self.spikes.copy()}

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        super().restore({name: values for name, values in snapshot.items() if name != _FIRED})
        self._fired = snapshot[_FIRED].copy()

    @property
    def source(self) -> Group:
        """The group itself; that of a part of a group will be the whole."""
        return self

    @property
    def N(self) -> int:
        """Number of neurons."""
        return self._size

    def __len__(self) -> int:
        return self._size

    @property
    def i(self) -> VariableView:
        """Index of each neuron; read-only."""
        return self.view("i")

    @property
    def t(self) -> Quantity:
        """Time of the clock."""
        return self.clock.t

    @property
    def dt(self) -> Quantity:
        """Step of the clock."""
        return self.clock.dt

    @property
    def indices(self) -> Indices:
        """Indices of the neurons that a condition, a slice or a number selects: `G.indices['v > 10*mV']`."""
        return Indices(self)

    def __getitem__(self, item: object) -> Subgroup:
        """Neurons in a row as a group of their own: `G[10:20]`, `G[3]`, `G[[4, 5, 6]]`."""
        return part_of(self, item)

    def run_regularly(
        self,
        code: str,
        dt: object = None,
        clock: Clock | None = None,
        when: str = "start",
        order: int = 0,
        name: str | None = None,
        codeobj_class: object = None,
    ) -> CodeRunner:
        """Run statements for every neuron in a slot of every step.

        Parameters
        ----------
        code : str
            Statements such as those of a reset. Those that write shared variables run once, before the others.
        dt : Quantity, optional
            Time (s) between two runs of the code; that of the group if left out.
        clock : Clock, optional
            A clock instead of `dt`.
        when, order : str, int
            Slot of the schedule, and place in it.
        name : str, optional
            `<group>_run_regularly`, `<group>_run_regularly_1`, ... if left out. It breaks ties within a slot.
        codeobj_class
            Accepted for scripts written for Brian, without effect.

        Returns
        -------
        CodeRunner
            `active = False` switches the code off.

        Examples
        --------
        >>> from brianlike import *
        >>> G = NeuronGroup(3, 'v : 1', name='cells')
        >>> op = G.run_regularly('v += i')
        >>> run(0.2*ms)
        >>> G.v
        <cells.v: array([0., 2., 4.])>
        """
        return run_regularly(self, code, dt, clock, when, order, name)


class NeuronGroup(Group):
    """Neurons that follow the same equations, each with its own values.

    Parameters
    ----------
    N : int
        Number of neurons, from 1.
    model : str or Equations
        Differential equations, parameters and subexpressions, in SI units.
    method : str, StateUpdateMethod or function, optional
        How the equations are integrated; the first of exact, euler and heun that can if left out. Several are tried in order. A function of equations,
        variables and options gives the code of a step.
    method_options : dict, optional
        Options of the method: `simplify` of exact.
    threshold : str, optional
        Condition under which a neuron spikes.
    reset : str, optional
        Statements that a neuron runs after a spike.
    refractory : False, Quantity or str
        Time (s) after a spike without another one; a string gives a time or a condition.
    events : dict, optional
        Conditions of further events, by name; `run_on_event` gives them an effect. They are checked after the threshold, whatever the refractoriness.
    namespace : dict, optional
        Values of the constants in all texts of the group. Left out, they are looked up where `run` is called.
    dtype : dtype, optional
        float64 or float32; `prefs.core.default_float_dtype` if left out. A dict from variables to types is checked, but changes nothing.
    dt : Quantity, optional
        Step of a clock of the group's own (s).
    clock : Clock, optional
        `defaultclock` if left out.
    order : int
        Place within a slot of the schedule.
    name : str, optional
        `neurongroup`, `neurongroup_1`, ... if left out.
    codeobj_class
        Accepted for scripts written for Brian, without effect.

    Attributes
    ----------
    threshold, reset, refractory : str or None
    equations : Equations

    Raises
    ------
    EquationError, UnitError, UnknownNameError, UnsupportedError
        For texts that cannot be accepted, with a caret at the place.

    Examples
    --------
    >>> from brianlike.units import ms, mV
    >>> G = NeuronGroup(3, "dv/dt = -v/tau : volt\\ntau : second", threshold="v > 10*mV", reset="v = 0*mV", refractory=2*ms, name="cells")
    >>> G.v = "i*mV"
    >>> G.tau = 20*ms
    >>> G.v
    <cells.v: array([0., 1., 2.]) * mV>
    >>> G.v["i > 0"] += 1*mV
    >>> G.v_
    <cells.v_: array([0.   , 0.002, 0.003])>
    """

    refractory: str | None
    equations: Equations
    events: dict[str, str]
    state_updater: Stage
    thresholder: dict[str, Stage]
    resetter: dict[str, Stage | CodeRunner]

    def __init__(
        self,
        N: int,
        model: str | Equations = "",
        method: Any = None,
        method_options: Mapping[str, object] | None = None,
        threshold: str | None = None,
        reset: str | None = None,
        refractory: object = False,
        events: Mapping[str, str] | None = None,
        namespace: Mapping[str, object] | None = None,
        dtype: object = None,
        dt: object = None,
        clock: Clock | None = None,
        order: int = 0,
        name: str | None = None,
        codeobj_class: object = None,
    ):
        size = checked_size(N)
        chosen = choose_name(name, "neurongroup")
        method = checked_method(method)
        threshold, reset = _text("threshold", threshold), _text("reset", reset)
        self._given = {"method": method, "method_options": checked_options(method_options, method), "threshold": threshold, "reset": reset}
        self.equations = Equations(model)
        pause = _pause(refractory)
        self.refractory = pause if isinstance(pause, str) or pause is None else f"{pause!r}*second"
        self.events = _events(chosen, threshold, events)
        parsed = parse_group(chosen, str(self.equations), self.events.get("spike"), reset, pause, {k: v for k, v in self.events.items() if k != "spike"})
        self.clock = choose_clock(dt, clock)
        self._set_up(size, parsed, dtype)
        self._register(chosen, when="groups", order=order, clock=self.clock, namespace=namespace)
        self.state_updater = Stage(self, "stateupdater", "update", "groups")
        self.thresholder = {
            event: Stage(self, f"{event}_thresholder", *(("threshold", "thresholds") if event == "spike" else (f"threshold_{event}", "after_thresholds")))
            for event in self.events
        }
        self.resetter = {} if reset is None or "spike" not in self.events else {"spike": Stage(self, "spike_resetter", "reset", "resets")}
        self._sealed = True
        if threshold is not None and reset is None and pause is None:
            text = f"{chosen!r} has a threshold, but neither a reset nor a refractory period; if that is meant, give reset=''"
            _LOG.warn(text, "only_threshold", once=True)
        if pause is None and any("unless refractory" in equation.flags for equation in self.equations.values()):
            _LOG.warn(f"{chosen!r} has variables that change unless refractory, but no refractory period", "no_refractory", once=True)

    def __repr__(self) -> str:
        given = [f"{key}={value!r}" for key in ("threshold", "reset", "refractory", "method") if (value := self._given.get(key, self.refractory)) is not None]
        return f"NeuronGroup({', '.join([str(self._size), repr(str(self.equations)), *given, f'name={self.name!r}'])})"

    def _repr_html_(self) -> str:
        return f"{type(self).__name__} '{self.name}', {self._size} neurons:<br>{self.equations._repr_html_()}"

    def run_on_event(self, event: str, code: str, when: str = "after_resets", order: int | None = None) -> CodeRunner:
        """Run statements for the neurons in which an event happens.

        Parameters
        ----------
        event : str
            A name in `events`; each can have code once.
        code : str
            Statements; like a reset, they may write what is `unless refractory`.
        when, order : str, int
            Slot of the schedule, and place in it (that of the group if left out).

        Raises
        ------
        ValueError
            If there is no such event, or it has code already.

        Examples
        --------
        >>> from brianlike import *
        >>> G = NeuronGroup(2, 'v : 1', events={'high': 'v > 1'}, name='cells')
        >>> react = G.run_on_event('high', 'v = 0')
        >>> G.v = [1, 2]
        >>> run(0.1*ms)
        >>> G.v
        <cells.v: array([1., 0.])>
        """
        if event not in self.events:
            hint = "; give the group a threshold" if event == "spike" else f"; its events are {', '.join(map(repr, self.events)) or 'none'}"
            raise ValueError(f"{self.name!r} has no event {event!r}{hint}")
        if (event == "spike" and self._given["reset"] is not None) or any(isinstance(o, CodeRunner) and o.event == event for o in self.contained_objects):
            raise ValueError(f"the event {event!r} of {self.name!r} has code already")
        place = self.order if order is None else order
        runner = CodeRunner(self, code, name=f"{self.name}_{event}_resetter", when=when, order=place, clock=self.clock, event=event)
        self.contained_objects.append(runner)
        self.resetter[event] = runner
        return runner

    @property
    def user_equations(self) -> Equations:
        """The equations as they were given."""
        return self.equations

    @property
    def event_codes(self) -> dict[str, str]:
        """The statements of each event that has some."""
        codes = {} if self._given["reset"] is None else {"spike": self._given["reset"]}
        return codes | {item.event: item.code for item in self.contained_objects if isinstance(item, CodeRunner) and item.event is not None}

    @property
    def _schedules(self) -> dict[str, tuple[str, int]]:
        """Slot and order in which the conditions of events are checked, where they were set."""
        return {event: (stage.when, stage.order) for event, stage in self.thresholder.items() if stage.moved}

    def set_event_schedule(self, event: str, when: str = "after_thresholds", order: int | None = None) -> None:
        """Choose the slot in which the condition of an event is checked.

        Parameters
        ----------
        event : str
            A name in `events`; `spike` is that of the threshold.
        when, order : str, int
            Slot of the schedule, and place in it (that of the group if left out).
        """
        if event not in self.events:
            raise ValueError(f"{self.name!r} has no event {event!r}; its events are {', '.join(map(repr, self.events)) or 'none'}")
        slot, place = checked_slot(when), self.order if order is None else checked_order(order)
        self.thresholder[event].when, self.thresholder[event].order = slot, place


def _events(name: str, threshold: str | None, events: Mapping[str, str] | None) -> dict[str, str]:
    """The condition of every event, that of the threshold first."""
    found = {} if threshold is None else {"spike": threshold}
    for event, condition in (events or {}).items():
        if event == "spike" and threshold is not None:
            raise ValueError(f"{name!r} has both a threshold and an event 'spike'; give one of them")
        if not isinstance(event, str) or not isinstance(condition, str):
            raise TypeError(f"events maps names to conditions in strings, not {event!r} to {condition!r}")
        found[event] = condition
    return found


def checked_size(number: object, what: str = "N") -> int:
    """A number of neurons."""
    if isinstance(number, (bool, np.bool_)) or not isinstance(number, (int, float, np.integer, np.floating)) or not np.isfinite(number):
        raise TypeError(f"{what} must be a whole number of neurons, not {number!r}")
    if not 1 <= number < 2**31:
        raise ValueError(f"{what} must be from 1 to 2**31 - 1, not {number!r}")
    if int(number) != number:  # often a fraction of another number, such as 0.29*100
        _LOG.warn(f"{number!r} is not a whole number of neurons: {int(number)} is used", "size")
    return int(number)


def _text(what: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{what} must be text, not {value!r}")


def _pause(refractory: object) -> str | float | None:
    """The refractory period in seconds, its text, or None."""
    if refractory is False or refractory is None:
        return None
    if isinstance(refractory, str):
        return refractory
    if np.ndim(refractory) > 0:  # type: ignore[arg-type]
        raise TypeError("refractory must be one time or a string; for one time a neuron write 'ref : second' in the equations and refractory='ref'")
    if isinstance(refractory, bool):
        raise TypeError("refractory must be False, a time or a string, not True")
    return seconds(refractory, "refractory")


def say_hidden(owner: VariableOwner, model: Model) -> None:
    """Say which variables Python cannot reach as `owner.name`, because every such object has an attribute of that name; equations can use them."""
    taken = {name for name in (*dir(type(owner)), *_annotated(type(owner)), *owner.__dict__) if not name.startswith("_")}
    for variable in model.variables:
        if variable.name in taken and variable.role not in (Role.INDEX, Role.CLOCK):
            text = f"every {type(owner).__name__} has an attribute {variable.name!r}, which hides the variable of that name from Python"
            _LOG.warn(f"{text}; read and set it as group.view({variable.name!r})[:]", "hidden_variable", once=True)


def _annotated(kind: type) -> set[str]:
    return {name for parent in kind.__mro__ for name in parent.__dict__.get("__annotations__", {})}
