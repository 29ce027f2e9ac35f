"""`NeuronGroup`: neurons that share equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from codegen.errors import EquationError, UnsupportedError
from codegen.ir import Model, Role
from codegen.parse import parse_group

from .clocks import Clock, choose_clock, seconds
from .equations import Equations
from .objects import choose_name
from .state import LAST_SPIKE, State, VariableOwner
from .subgroups import Indices, Subgroup, part_of
from .units import Quantity
from .views import VariableView, element_indices

__all__ = ["Group", "NeuronGroup"]


class Group(VariableOwner):
    """What neurons of every kind have: a number, their index `i`, the spikes of the last step."""

    _size: int
    _fired: np.ndarray
    _find_fired: Callable[[], np.ndarray] | None = None  # during a run

    def _set_up(self, size: int, model: Model, dtype: object = None) -> None:
        """Allocate the variables of `model`."""
        self._size = size
        refuse_attributes(self, model)
        self.model = model
        self.state = State(model.variables, size, dtype)
        self._fired = np.zeros(0, dtype=np.int32)
        self.state["i"] = np.arange(size, dtype=np.int32)
        self.state["N"] = size
        if LAST_SPIKE in self.state:
            self.state[LAST_SPIKE] = round(-1e4 / self.clock.dt_)
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

    def run_regularly(self, *arguments: object, **keywords: object) -> NoReturn:
        """Comes in a later version."""
        raise NotImplementedError("run_regularly comes in a later version; call run() in a loop and change variables in between")


class NeuronGroup(Group):
    """Neurons that follow the same equations, each with its own values.

    Parameters
    ----------
    N : int
        Number of neurons, from 1.
    model : str or Equations
        Differential equations, parameters and subexpressions, in SI units.
    method : str, optional
        How the equations are integrated; the first of exact, euler and heun that can if left out. A tuple of names is tried in order.
    threshold : str, optional
        Condition under which a neuron spikes.
    reset : str, optional
        Statements that a neuron runs after a spike.
    refractory : False, Quantity or str
        Time (s) after a spike without another one; a string gives a time or a condition.
    events : dict, optional
        Custom events; not supported yet.
    namespace : dict, optional
        Values of the constants in all texts of the group. Left out, they are looked up where `run` is called.
    dtype : dtype, optional
        float64 or float32; `prefs.core.default_float_dtype` if left out.
    dt : Quantity, optional
        Step of a clock of the group's own (s).
    clock : Clock, optional
        `defaultclock` if left out.
    order : int
        Place within a slot of the schedule.
    name : str, optional
        `neurongroup`, `neurongroup_1`, ... if left out.

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

    method: str | tuple[str, ...] | None
    threshold: str | None
    reset: str | None
    refractory: str | None
    equations: Equations

    def __init__(
        self,
        N: int,
        model: str | Equations = "",
        method: str | tuple[str, ...] | None = None,
        *,
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
    ):
        if events:
            raise UnsupportedError(f"custom events ({', '.join(events)}) come in a later version", None, "Use threshold= and reset=.")
        size = checked_size(N)
        chosen = choose_name(name, "neurongroup")
        self.method = checked_method(method)
        self.equations = Equations(model)
        self.threshold, self.reset = _text("threshold", threshold), _text("reset", reset)
        pause = _pause(refractory)
        self.refractory = pause if isinstance(pause, str) or pause is None else f"{pause!r}*second"
        parsed = parse_group(chosen, str(self.equations), self.threshold, self.reset, pause)
        self.clock = choose_clock(dt, clock)
        self._set_up(size, parsed, dtype)
        self._register(chosen, when="groups", order=order, clock=self.clock, namespace=namespace)
        self._sealed = True

    def __repr__(self) -> str:
        given = [f"{key}={value!r}" for key in ("threshold", "reset", "refractory", "method") if (value := getattr(self, key)) is not None]
        return f"NeuronGroup({', '.join([str(self._size), repr(str(self.equations)), *given, f'name={self.name!r}'])})"

    def run_on_event(self, *arguments: object, **keywords: object) -> NoReturn:
        """Comes in a later version."""
        raise NotImplementedError("run_on_event comes in a later version, with custom events; use threshold= and reset=")

    def set_event_schedule(self, *arguments: object, **keywords: object) -> NoReturn:
        """Comes in a later version."""
        raise NotImplementedError("set_event_schedule comes in a later version")


def checked_size(number: object, what: str = "N") -> int:
    """A number of neurons."""
    if isinstance(number, (bool, np.bool_)) or not isinstance(number, (int, float, np.integer, np.floating)) or int(number) != number:
        raise TypeError(f"{what} must be a whole number of neurons, not {number!r}")
    if not 1 <= number < 2**31:
        raise ValueError(f"{what} must be from 1 to 2**31 - 1, not {number!r}")
    return int(number)


def checked_method(method: object) -> str | tuple[str, ...] | None:
    if method is None or isinstance(method, str):
        return method
    if isinstance(method, (tuple, list)) and method and all(isinstance(name, str) for name in method):
        return tuple(method)
    raise TypeError(f"method must be the name of an integrator such as 'exact' or 'euler', not {method!r}")


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


def refuse_attributes(owner: VariableOwner, model: Model) -> None:
    """Refuse variables that `owner.name` could never reach."""
    taken = {name for name in (*dir(type(owner)), *_annotated(type(owner)), *owner.__dict__) if not name.startswith("_")}
    for variable in model.variables:
        if variable.name in taken and variable.role not in (Role.INDEX, Role.CLOCK):
            message = f"`{variable.name}` cannot name a variable: every {type(owner).__name__} has an attribute of that name"
            raise EquationError(message, variable.span, "Choose another name.")


def _annotated(kind: type) -> set[str]:
    return {name for parent in kind.__mro__ for name in parent.__dict__.get("__annotations__", {})}
