"""`Synapses`: which neuron reaches which, with what weight, after what delay, and what happens when a spike arrives."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Union

import numpy as np

from codegen.dims import UNITS
from codegen.errors import EquationError
from codegen.expr import Access, Index
from codegen.ir import Role, Summed, Variable
from codegen.models import parse_synapses
from codegen.parse import parse_equations

from . import _connections
from . import connect as rules
from .clocks import Clock, choose_clock, seconds
from .codes import CodeRunner, SummedUpdater, run_regularly
from .connecting import Request, requested_pairs
from .deferred import Deferred
from .equations import Equations
from .groups import Group, say_hidden
from .logger import get_logger
from .namespaces import caller_namespace
from .objects import choose_name
from .pathways import Pathway, delay_name
from .sorting import counted
from .stages import Stage
from .state import State, VariableOwner
from .stateupdaters import checked_method, checked_options
from .subgroups import Indices, Subgroup
from .synapseindices import SynapticSubgroup, occurrences, synapse_indices
from .units import Quantity
from .views import Number, ReachedView, VariableView

__all__ = ["Synapses"]

Connectable = Union[Group, Subgroup, "Synapses"]
_COUNTS = {"N_incoming": "j", "N_outgoing": "i"}
"""The variables that count the synapses of a neuron, and where its number stands."""
_LOG = get_logger(__name__)


class Synapses(VariableOwner):
    """Connections from the neurons of one group to those of another (or the same).

    Parameters
    ----------
    source, target : group
        `target` is `source` if left out.
    model : str or Equations
        Parameters (such as the weight) and subexpressions of each synapse.
    on_pre, on_post : str or dict, optional
        What a synapse does when its pre- or postsynaptic neuron spikes; a dict names several pathways. `pre` and `post` are their former names.
    delay : Quantity or dict, optional
        One delay (s) for all synapses of the pathway `pre`, or of the pathways named. Left out, every synapse has its own, at first 0.
    on_event : str or dict
        The event that pathways wait for; a dict gives it by pathway, `spike` for the others.
    multisynaptic_index : str, optional
        Name of an integer variable that numbers the synapses between the same two neurons: 0, 1, ...
    method, namespace, dt, clock, order, name
        As for NeuronGroup.
    connect, codeobj_class, method_options
        Accepted for scripts written for Brian; `connect` only as None.

    Attributes
    ----------
    i, j : VariableView, shape (synapses,)
        Index of the pre- and postsynaptic neuron; read-only.
    N_incoming, N_outgoing : VariableView, shape (synapses,)
        Number of synapses onto the postsynaptic, and from the presynaptic, neuron of each synapse; read-only.
    pathways : dict from name to Pathway
        Also attributes of their own: `S.pre`, `S.post`.

    Examples
    --------
    >>> from brianlike.groups import NeuronGroup
    >>> from brianlike.units import ms
    >>> G = NeuronGroup(3, "v : 1", threshold="v > 1", reset="v = 0")
    >>> S = Synapses(G, G, "w : 1", on_pre="v_post += w")
    >>> S.connect(i=[0, 1], j=2)
    >>> S.w = [0.5, 0.25]
    >>> S.delay = 1*ms
    >>> S.w[1, :]
    array([0.25])
    """

    source: Connectable
    target: Connectable
    equations: Equations
    state_updater: Stage
    pathways: dict[str, Pathway]
    summed_updaters: dict[str, SummedUpdater]
    contained_objects: list[object]
    connected: bool

    def __init__(
        self,
        source: Connectable,
        target: Connectable | None = None,
        model: str | Equations | None = None,
        on_pre: str | Mapping[str, str] | None = None,
        pre: str | Mapping[str, str] | None = None,
        on_post: str | Mapping[str, str] | None = None,
        post: str | Mapping[str, str] | None = None,
        connect: None = None,
        delay: object = None,
        on_event: str | Mapping[str, str] = "spike",
        multisynaptic_index: str | None = None,
        namespace: Mapping[str, object] | None = None,
        dtype: object = None,
        codeobj_class: object = None,
        dt: object = None,
        clock: Clock | None = None,
        order: int = 0,
        method: Any = None,
        method_options: Mapping[str, object] | None = None,
        name: str | None = "synapses*",
    ):
        if connect is not None:
            raise TypeError("Synapses() has no argument connect; make the object, then call its method connect(...)")
        on_pre, on_post = _renamed("pre", pre, on_pre), _renamed("post", post, on_post)
        self.multisynaptic_index, model = multisynaptic_index, _with_index("" if model is None else model, multisynaptic_index)
        self.source, self.target = _checked_group("source", source), _checked_group("target", source if target is None else target)
        chosen = choose_name(name, "synapses")
        method, self.equations = checked_method(method), Equations(model)
        self._given = {"method": method, "method_options": checked_options(method_options, method)}
        codes = _codes("on_pre", on_pre, "pre"), _codes("on_post", on_post, "post")
        events = _events(on_event, [*codes[0], *codes[1]])
        for side, code in ((self.source, codes[0]), (self.target, codes[1])):
            _check_events(side, {key: events[key] for key in code})
        self.model = parse_synapses(chosen, str(self.equations), *codes, self.source.model.variables, self.target.model.variables, events)
        self._steps: dict[str, tuple[object, np.ndarray | int]] = {}
        self.clock, self.name, self.connected, self.contained_objects = choose_clock(dt, clock), chosen, False, []
        say_hidden(self, self.model)
        self.state = State(tuple(v for v in self.model.variables if v.name not in _COUNTS), 0, dtype)
        self.state["N_pre"], self.state["N_post"] = self.source.N, self.target.N
        sides = {key: side for side, code in zip((Index.PRE, Index.POST), codes, strict=True) for key in code}
        self.pathways = {key: Pathway(self, key, side, {**codes[0], **codes[1]}[key], events[key]) for key, side in sides.items()}
        for key, pathway in self.pathways.items():
            # A variable of that name is known to the equations, and hidden from Python, as in Brian.
            if hasattr(type(self), key) or key in self.__dict__:
                raise EquationError(f"`{key}` cannot name a pathway: Synapses objects have an attribute of that name", None, "Choose another name.")
            object.__setattr__(self, key, pathway)
        self.summed_updaters = {str(s.target): self._updater(s) for s in self.model.summed}
        _say_clock_driven(self.equations)
        self._set_delays(delay)
        self.state_updater = Stage(self, "stateupdater", "update", "groups")
        self._register(chosen, when="groups", order=order, clock=self.clock, namespace=namespace)
        self._sealed = True

    def _updater(self, summed: Summed) -> SummedUpdater:
        plain, _, side = str(summed.target).rpartition("_")
        return SummedUpdater(f"{self.name}_{summed.name}", summed.name, plain, self.source if side == "pre" else self.target)

    def _set_delays(self, delay: object) -> None:
        given = {} if delay is None else dict(delay) if isinstance(delay, Mapping) else {"pre": delay}
        for key, value in given.items():
            if key not in self.pathways:
                known = ", ".join(map(repr, self.pathways)) or "none"
                raise ValueError(f"delay is given for pathway {key!r}, but {self.name!r} has the pathways {known}")
            name = delay_name(key)
            self.state.add(Variable(name, Role.PARAMETER, UNITS["second"], shared=True), np.float64)
            self.state[name] = _checked_delay(seconds(value, f"delay of {key!r}"))

    # ---------------------------------------------------------------------------------------------------------------------------- connecting
    def connect(
        self,
        condition: str | bool | None = None,
        i: object = None,
        j: object = None,
        p: float | str = 1.0,
        n: int | str = 1,
        skip_if_invalid: bool = False,
        namespace: Mapping[str, object] | None = None,
        level: int = 0,
    ) -> None:
        """Create synapses, after those that exist already; from every neuron to every neuron if nothing is given.

        Parameters
        ----------
        condition : str or bool, optional
            The pairs that get synapses: uses `i`, `j`, `N_pre`, `N_post`, variables such as `x_pre` and `y_post`, and constants.
        i, j : int or array of int, shape (synapses,), or str, optional
            The pre- and postsynaptic neurons, pair by pair; a single number goes with all of the other side. Text, given for one of the two, says which
            neurons each of the other side reaches (see the notes).
        p : float or str
            Probability with which each of these pairs gets its synapses; not beside a text for `i` or `j`.
        n : int or str
            How many synapses a pair gets.
        skip_if_invalid : bool
            Whether a text for `i` or `j` may give neurons that do not exist: they are left out.
        namespace : dict, optional
            Values of constants; those visible to the caller (or `level` frames above) if left out.

        Raises
        ------
        IndexError
            If there is no such neuron.
        ModelError
            If a string cannot be understood, with a caret at the place.

        Notes
        -----
        Synapses are numbered by presynaptic neuron, then by postsynaptic neuron, within each call; with `i` and `j` in the order given, with a text for
        `i` by postsynaptic neuron. Nothing is created if anything is wrong.

        A text is an expression, or a generator: `j='k for k in range(low, high, step) if condition'`, where `range` may be
        `sample(low, high, step, p=...)` or `sample(..., size=...)`. What it runs over may depend on the neuron it starts from, the condition also on the
        neuron it gives (`x_post`).

        Examples
        --------
        >>> from brianlike.groups import NeuronGroup
        >>> S = Synapses(NeuronGroup(4, ""), name="wires")
        >>> S.connect(j="i + k for k in range(-1, 2, 2)", skip_if_invalid=True)
        >>> S.i[:], S.j[:]
        (array([0, 1, 1, 2, 2, 3], dtype=int32), array([1, 0, 2, 1, 3, 2], dtype=int32))
        """
        names = caller_namespace(level) if namespace is None else dict(namespace)
        self._count_ends()
        request = Request(condition=condition, i=i, j=j, p=p, n=n, skip_if_invalid=skip_if_invalid)
        self._append(*requested_pairs(self, request, names))

    def _append(self, i: np.ndarray, j: np.ndarray) -> None:
        old = self.state.size
        if old + i.size > rules.LIMIT:
            raise ValueError(f"one Synapses object can hold 2**31 - 1 synapses; {self.name!r} would have {old + i.size}")
        self.state.resize(old + i.size, {"i": i, "j": j})
        self.state["N"] = self.state.size
        self._count_ends()
        if self.multisynaptic_index is not None:
            self.state[self.multisynaptic_index] = occurrences(self.state["i"], self.state["j"], len(self.target))
        for name in _COUNTS.keys() & set(self.state):
            self._update_count(name)
        object.__setattr__(self, "connected", True)

    # ------------------------------------------------------------------------------------------------------------------------------ variables
    def _ready(self) -> None:
        if not self.connected:
            raise TypeError(f"{self.name!r} has no synapses yet: call {self.name}.connect(...) first")
        self._count_ends()

    def _count_ends(self) -> None:
        """Where other synapses are the source or the target, their number grows with each `connect`."""
        for name, group in (("N_pre", self.source), ("N_post", self.target)):
            if self.state[name][0] != group.N:
                self.state[name] = group.N

    def element_indices(self, item: object, namespace: Mapping[str, object] | None = None) -> Any:
        """`S.w[item]`: numbers of synapses as for other objects; `S.w[i, j]` or `S.w[i, j, k]`: synapses between these neurons, as they were created."""
        return synapse_indices(self, item, namespace)

    def values_of(self, access: Access, indices: Any = slice(None), namespace: Mapping[str, object] | None = None) -> np.ndarray:
        """The values (SI) that `access` reaches from the synapses at `indices`, also in the connected groups."""
        match access.index:
            case Index.PRE:
                return self.source.values_of(Access(access.variable), self.state["i"][indices], namespace)
            case Index.POST:
                return self.target.values_of(Access(access.variable), self.state["j"][indices], namespace)
        self.keep_count(access.variable)
        return VariableOwner.values_of(self, access, indices, namespace)

    def variable(self, name: str) -> Variable | None:
        if name in _COUNTS and "model" in self.__dict__:
            return next((v for v in self.model.variables if v.name == name), None)
        found = VariableOwner.variable(self, name)
        if found is None and "pathways" in self.__dict__ and not name.endswith("_"):
            reached = self._reached(name)
            return None if reached is None else reached.variable
        return found

    def keep_count(self, name: str) -> None:
        """Keep an array of N_incoming or N_outgoing from now on: only those who read it pay for it."""
        if name in _COUNTS and name not in self.state:
            self.state.add(self.model.variable(name))
            self._update_count(name)

    def _update_count(self, name: str) -> None:
        ends = self.state[_COUNTS[name]]
        self.state[name] = np.bincount(ends)[ends] if ends.size else 0

    def view(self, name: str) -> VariableView:
        self.keep_count(name.removesuffix("_"))
        if name in ("delay", "delay_") and "pre" in self.pathways:
            return self._delay_view("pre", units=name == "delay")
        if VariableOwner.variable(self, name) is None and VariableOwner.variable(self, name.removesuffix("_")) is None:
            reached = self._reached(name)
            return VariableOwner.view(self, name) if reached is None else reached
        return VariableOwner.view(self, name)

    def _reached(self, name: str) -> VariableView | None:
        """`S.v_pre`, `S.v_post`, and `S.v` for the latter: a variable of the neurons that the synapses connect, one value for each synapse."""
        plain = name.removesuffix("_") if name not in ("_pre", "_post") else name
        for suffix, group, index in (("_pre", self.source, Index.PRE), ("_post", self.target, Index.POST), ("", self.target, Index.POST)):
            variable = group.variable(plain.removesuffix(suffix)) if plain.endswith(suffix) else None
            if variable is not None and not variable.name.startswith("_"):
                return ReachedView(self, variable, group, index, plain == name)
        return None

    def _delay_view(self, key: str, units: bool = True) -> VariableView:
        name = delay_name(key)
        if name not in self.state:  # memory for delays of single synapses only where somebody uses them
            self.state.add(Variable(name, Role.PARAMETER, UNITS["second"]), np.float64)
        return VariableView(self, self.state.variables[name], units, "delay" if key == "pre" else f"{key}.delay")

    def delay_steps(self, key: str, dt: float | None = None) -> np.ndarray | int:
        """The delays of a pathway in steps, `int(delay/dt + 0.5)`.

        Parameters
        ----------
        key : str
            Name of the pathway.
        dt : float, optional
            In seconds; the step of the group that sends the spikes if left out.

        Returns
        -------
        array of int32, shape (synapses,), or int where all are equal; it may be shared, so do not write into it

        Raises
        ------
        ValueError
            If a delay is negative or not finite.
        """
        name = delay_name(key)
        if name not in self.state or not self.state.memory(name).size:
            return 0
        step, state = self.pathways[key].source.clock.dt_ if dt is None else dt, self.state
        stamp, known = (state.written[name], state.size, step), self._steps.get(key)
        if known is not None and known[0] == stamp and name not in state.exposed:
            return known[1]
        steps, found = np.empty(state.memory(name).size, np.int32), []

        def take(chosen: slice, delays: np.ndarray) -> None:
            low, high, bad = _connections.rounded(np.ascontiguousarray(delays), step, steps[chosen])
            if bad >= 0:
                text = f"synapse {chosen.start + bad} of {self.name!r} has {delays[bad]:g} s ({key})"
                raise ValueError(f"delays must be finite and not negative, but {text}")
            found.append((low, high))

        waiting = state.pending.get(name)
        if isinstance(waiting, Deferred):
            waiting.each(take)
        else:
            take(slice(0, steps.size), state[name])
        low, high = min(low for low, _ in found), max(high for _, high in found)
        result = low if low == high else steps
        if not isinstance(waiting, Deferred):  # those that are computed when needed shall take up no memory
            self._steps[key] = (stamp, result)
        return result

    def is_delayed(self, key: str) -> bool:
        """Whether any delay of a pathway may be one step or more."""
        name = delay_name(key)
        if name in self.state and isinstance(self.state.pending.get(name), Deferred):
            return True
        return bool(np.any(self.delay_steps(key)))

    def layout(self) -> tuple[object, ...]:
        """Equal as long as connections, delays and the places of pathways in the schedule are as they were, with clocks of the same dt."""
        state = self.state
        pathways = [(p.when, p.order, p.active, state.version(p.delay_name)) for p in self.pathways.values()]
        return state.size, state.version("i"), state.version("j"), *pathways

    @property
    def i(self) -> VariableView:
        """Presynaptic neuron of each synapse; read-only."""
        return self.view("i")

    @property
    def j(self) -> VariableView:
        """Postsynaptic neuron of each synapse; read-only."""
        return self.view("j")

    @property
    def N(self) -> int:
        """Number of synapses."""
        return Number(self.state.size)

    def __len__(self) -> int:
        return self.state.size

    @property
    def N_pre(self) -> int:
        """Number of presynaptic neurons."""
        return self.source.N

    @property
    def N_post(self) -> int:
        """Number of postsynaptic neurons."""
        return self.target.N

    @property
    def N_outgoing_pre(self) -> np.ndarray:
        """Number of synapses from each presynaptic neuron, shape (N_pre,)."""
        return np.diff(counted(self.state["i"], self.source.N)).astype(np.int64)

    @property
    def N_incoming_post(self) -> np.ndarray:
        """Number of synapses to each postsynaptic neuron, shape (N_post,)."""
        return np.diff(counted(self.state["j"], self.target.N)).astype(np.int64)

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
        """Run statements for every synapse in a slot of every step; parameters as for groups of neurons.

        What such code changes in the connected neurons it adds: `v_post += w`.
        """
        return run_regularly(self, code, dt, clock, when, order, name)

    @property
    def indices(self) -> Indices:
        """Numbers of synapses: `S.indices[i, j]`, by slice, number or condition."""
        return Indices(self)

    @property
    def t(self) -> Quantity:
        """Time of the clock."""
        return self.clock.t

    @property
    def dt(self) -> Quantity:
        """Step of the clock."""
        return self.clock.dt

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        super().restore(snapshot)
        object.__setattr__(self, "connected", True)  # also where the stored connections come from another program
        for name in (_COUNTS.keys() & set(self.state)) - snapshot.keys():
            self._update_count(name)

    def __getitem__(self, item: object) -> SynapticSubgroup:
        chosen = np.arange(self.state.size)[synapse_indices(self, item)]
        return SynapticSubgroup(self, np.atleast_1d(chosen))

    def __repr__(self) -> str:
        arrow = f"{self.source.name!r} -> {self.target.name!r}"
        return f"<Synapses {self.name!r}: {arrow}, {len(self)} synapses>" if self.connected else f"<Synapses {self.name!r}: {arrow}, not connected>"


def _say_clock_driven(equations: Equations) -> None:
    """Equations are integrated at every step unless they say otherwise; a line in the log tells how to save that."""
    for line in parse_equations(str(equations)):
        if line.kind == "differential" and not {"clock-driven", "event-driven"} & set(line.flags):
            text = f"the synaptic equation of {line.name} is integrated at every step; (event-driven) solves it at events only, (clock-driven) says so"
            _LOG.info(text, "clock_driven")


def _check_events(group: Connectable, events: Mapping[str, str]) -> None:
    """Refuse to wait for what a group does not have; whether it has a threshold is asked when it runs."""
    for key, event in events.items():
        if isinstance(group, Synapses):
            raise ValueError(f"pathway {key!r} waits for the event {event!r} of {group.name!r}, but Synapses have no events")
        known = {"spike", *getattr(group, "events", ())}
        if event not in known:
            names = ", ".join(map(repr, sorted(known)))
            raise ValueError(f"pathway {key!r} waits for the event {event!r} of {group.name!r}, whose events are {names}; name it in its events=")


def _events(on_event: str | Mapping[str, str], keys: list[str]) -> dict[str, str]:
    """The event that each pathway waits for."""
    if isinstance(on_event, str):
        return dict.fromkeys(keys, on_event)
    if not isinstance(on_event, Mapping):
        raise TypeError(f"on_event must be the name of an event, or a dict from pathways to names, not {on_event!r}")
    return {key: on_event.get(key, "spike") for key in keys}


def _checked_group(what: str, group: object) -> Connectable:
    if not isinstance(group, Group | Subgroup | Synapses):
        raise TypeError(f"the {what} of Synapses must be a group of neurons or Synapses, not {type(group).__name__}")
    return group


def _renamed(old: str, given: Any, new: Any) -> Any:
    """The code of an argument that Brian once called `pre` or `post`."""
    if given is None:
        return new
    if new is not None:
        raise TypeError(f"Synapses() takes either on_{old} or its former name {old}, not both")
    warnings.warn(f"the argument {old} of Synapses() is now called on_{old}", DeprecationWarning, stacklevel=3)
    return given


def _with_index(model: str | Equations, index: str | None) -> str | Equations:
    """The equations with one more variable, the multisynaptic index."""
    if index is None:
        return model
    if not isinstance(index, str):
        raise TypeError(f"multisynaptic_index is the name of a variable, not {index!r}")
    return Equations(model) + f"{index} : integer"


def _codes(what: str, given: object, default: str) -> dict[str, str]:
    """The code of each pathway."""
    if given is None:
        return {}
    codes: dict[Any, Any] = dict(given) if isinstance(given, Mapping) else {default: given}
    for key, code in codes.items():
        if not isinstance(key, str) or not isinstance(code, str):
            raise TypeError(f"{what} must be text, or a dict from names of pathways to text, not {given!r}")
    return codes


def _checked_delay(delay: float) -> float:
    if not (np.isfinite(delay) and delay >= 0):
        raise ValueError(f"a delay must be finite and not negative, not {delay:g} s")
    return delay
