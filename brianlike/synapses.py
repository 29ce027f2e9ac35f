"""`Synapses`: which neuron reaches which, with what weight, after what delay, and what happens when a spike arrives."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from typing import Any, NoReturn, Union

import numpy as np

from codegen.dims import DIMENSIONLESS, UNITS
from codegen.errors import EquationError, UnsupportedError
from codegen.expr import Access, Index
from codegen.ir import Model, Role, Summed, Variable
from codegen.parse import parse_equations, parse_synapses

from . import connect as rules
from .clocks import Clock, choose_clock, seconds
from .codes import CodeRunner, SummedUpdater, run_regularly
from .equations import Equations
from .groups import Group, checked_method, refuse_attributes
from .namespaces import caller_namespace
from .objects import choose_name
from .seeding import next_epoch
from .state import State, VariableOwner
from .subgroups import Subgroup
from .units import Quantity
from .views import VariableView, element_indices, evaluated

__all__ = ["Pathway", "Synapses"]

Connectable = Union[Group, Subgroup, "Synapses"]
_LOG = logging.getLogger("brianlike")
_SIDES = {Index.PRE: ("pre", -1), Index.POST: ("post", 1)}


class Pathway:
    """What happens for each synapse of a neuron that spiked, after a delay: `S.pre`, `S.post`, or a name of the user's.

    Attributes
    ----------
    name : str
        Its name in the schedule, such as `synapses_pre`.
    key : str
        Its name within the Synapses object.
    side : Index
        Whose spikes it receives: PRE or POST.
    code : str
    when, order : str, int
        Its slot of the schedule, and its place there; those of `on_pre` come before those of `on_post`.
    active : bool
    """

    __slots__ = ("_synapses", "key", "name", "side", "code", "when", "order", "active")

    def __init__(self, synapses: Synapses, key: str, side: Index, code: str):
        self._synapses = weakref.ref(synapses)
        self.key, self.side, self.code = key, side, code
        self.name = f"{synapses.name}_{key}"
        self.when, self.order, self.active = "synapses", _SIDES[side][1], True

    @property
    def synapses(self) -> Synapses:
        """The object it belongs to."""
        owner = self._synapses()
        if owner is None:
            raise ReferenceError(f"the Synapses object of pathway {self.name!r} exists no more")
        return owner

    @property
    def source(self) -> Connectable:
        """The group whose spikes it receives."""
        return self.synapses.source if self.side is Index.PRE else self.synapses.target

    @property
    def delay(self) -> VariableView:
        """Time from the spike to its effect (s): one value for each synapse, or one for all if given to the constructor."""
        return self.synapses._delay_view(self.key)

    @delay.setter
    def delay(self, value: object) -> None:
        view = self.delay
        if not (isinstance(value, VariableView) and value.is_same(view)):
            view.set_item(slice(None), value)

    def __repr__(self) -> str:
        return f"<pathway {self.name!r} on {_SIDES[self.side][0]}: {self.code!r}>"


class Synapses(VariableOwner):
    """Connections from the neurons of one group to those of another (or the same).

    Parameters
    ----------
    source, target : group
        `target` is `source` if left out.
    model : str or Equations
        Parameters (such as the weight) and subexpressions of each synapse.
    on_pre, on_post : str or dict, optional
        What a synapse does when its pre- or postsynaptic neuron spikes; a dict names several pathways.
    delay : Quantity or dict, optional
        One delay (s) for all synapses of the pathway `pre`, or of the pathways named. Left out, every synapse has its own, at first 0.
    method, namespace, dt, clock, order, name
        As for NeuronGroup.

    Attributes
    ----------
    i, j : VariableView, shape (synapses,)
        Index of the pre- and postsynaptic neuron; read-only.
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
    method: object
    pathways: dict[str, Pathway]
    summed_updaters: dict[str, SummedUpdater]
    contained_objects: list[object]
    connected: bool

    def __init__(
        self,
        source: Connectable,
        target: Connectable | None = None,
        model: str | Equations = "",
        on_pre: str | Mapping[str, str] | None = None,
        on_post: str | Mapping[str, str] | None = None,
        *,
        delay: object = None,
        method: str | tuple[str, ...] | None = None,
        namespace: Mapping[str, object] | None = None,
        dtype: object = None,
        dt: object = None,
        clock: Clock | None = None,
        order: int = 0,
        name: str | None = None,
    ):
        self.source, self.target = _checked_group("source", source), _checked_group("target", source if target is None else target)
        chosen = choose_name(name, "synapses")
        self.method, self.equations = checked_method(method), Equations(model)
        codes = _codes("on_pre", on_pre, "pre"), _codes("on_post", on_post, "post")
        self.model = parse_synapses(chosen, str(self.equations), *codes, self.source.model.variables, self.target.model.variables)
        self.clock, self.name, self.connected, self.contained_objects = choose_clock(dt, clock), chosen, False, []
        refuse_attributes(self, self.model)
        self.state = State(self.model.variables, 0, dtype)
        self.state["N_pre"], self.state["N_post"] = self.source.N, self.target.N
        sides = {key: side for side, code in zip((Index.PRE, Index.POST), codes, strict=True) for key in code}
        self.pathways = {key: Pathway(self, key, side, {**codes[0], **codes[1]}[key]) for key, side in sides.items()}
        for key, pathway in self.pathways.items():
            if hasattr(type(self), key) or key in self.__dict__ or self.variable(key) is not None:
                raise EquationError(f"`{key}` cannot name a pathway: Synapses objects have an attribute or variable of that name", None, "Choose another name.")
            object.__setattr__(self, key, pathway)
        self.summed_updaters = {str(s.target): self._updater(s) for s in self.model.summed}
        _say_clock_driven(self.equations)
        self._set_delays(delay)
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
            name = _delay_name(key)
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
        i, j : int or array of int, shape (synapses,), optional
            The pre- and postsynaptic neurons, pair by pair; a single number goes with all of the other side.
        p : float or str
            Probability with which each of these pairs gets its synapses.
        n : int or str
            How many synapses a pair gets.
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
        Synapses are numbered by presynaptic neuron, then by postsynaptic neuron, within each call; with `i` and `j` in the order given. Nothing is
        created if anything is wrong.
        """
        if skip_if_invalid or isinstance(i, str) or isinstance(j, str):
            raise UnsupportedError("connect() with i or j as text (generator syntax) comes in a later version", None, "Give a condition, or arrays i and j.")
        names = caller_namespace(level) if namespace is None else dict(namespace)
        self._count_ends()
        pairs = self._pairs(condition, i, j, self._pair_function(p, names), self._pair_function(n, names), names)
        self._append(*pairs)

    def _pairs(self, condition: object, i: object, j: object, p: Any, n: Any, names: Mapping[str, object]) -> rules.Pairs:
        n_pre, n_post = self.source.N, self.target.N
        rng = np.random.Generator(np.random.Philox(key=np.array(next_epoch(), dtype=np.uint64)))
        if i is not None or j is not None:
            if condition is not None:
                raise ValueError("connect() takes either a condition or i and j")
            if i is None or j is None:
                raise ValueError("connect() needs both i and j")
            pre, post = rules.from_arrays(i, j, n_pre, n_post)
            kept = (pre, post) if not callable(p) and rules.checked_probability(p) == 1 else rules.thin(pre, post, p, rng)
            return rules.multiply(*kept, n)
        if condition is not None and not isinstance(condition, (str, bool, np.bool_)):
            raise TypeError(f"the condition of connect() is text, True or False, not {condition!r}; pairs are given as i=..., j=...")
        if condition is not None and not isinstance(condition, str) and not condition:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        if not isinstance(condition, str) and not callable(p) and rules.checked_probability(p) == 1 and not callable(n):
            return rules.multiply(*rules.all_to_all(n_pre, n_post), n)
        chosen = self._pair_function(condition, names, boolean=True) if isinstance(condition, str) else None
        return rules.by_condition(n_pre, n_post, chosen, p, rng, n)

    def _pair_function(self, text: Any, names: Mapping[str, object], boolean: bool = False) -> Any:
        """A function of the neurons of many pairs for a text; anything else as it is."""
        if not isinstance(text, str):
            return text

        def values(i: np.ndarray, j: np.ndarray) -> np.ndarray:
            wanted = None if boolean else DIMENSIONLESS
            return evaluated(text, _CandidatePairs(self, i, j), np.arange(i.size), names, expect_boolean=boolean, dimensions=wanted)  # type: ignore[arg-type]

        # Errors in the text must come before any work, and also where there is no pair to look at.
        values(np.zeros(1, np.int32), np.zeros(1, np.int32))
        return values

    def _append(self, i: np.ndarray, j: np.ndarray) -> None:
        old = self.state.size
        if old + i.size > rules.LIMIT:
            raise ValueError(f"one Synapses object can hold 2**31 - 1 synapses; {self.name!r} would have {old + i.size}")
        self.state.resize(old + i.size)
        self.state["i"][old:], self.state["j"][old:] = i, j
        self.state["N"] = self.state.size
        self._count_ends()
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
        """`S.w[item]`: numbers of synapses as for other objects; `S.w[i, j]`: all synapses between these neurons, as they were created."""
        if not isinstance(item, tuple):
            return element_indices(item, self.state.size, self, namespace)
        if len(item) != 2:
            raise IndexError(f"variables of {self.name!r} have two indices, [i, j], not {len(item)}")
        chosen = np.ones(self.state.size, dtype=bool)
        for part, ends, group in zip(item, (self.state["i"], self.state["j"]), (self.source, self.target), strict=True):
            if isinstance(part, str):
                chosen &= evaluated(part, self, None, namespace, expect_boolean=True)
            elif not (isinstance(part, slice) and part == slice(None)):
                wanted = np.zeros(group.N, dtype=bool)
                wanted[element_indices(part, group.N, group, namespace)] = True
                chosen &= wanted[ends]
        return np.flatnonzero(chosen)

    def values_of(self, access: Access, indices: Any = slice(None)) -> np.ndarray:
        """The values (SI) that `access` reaches from the synapses at `indices`, also in the connected groups."""
        match access.index:
            case Index.PRE:
                return self.source.values_of(Access(access.variable), self.state["i"][indices])
            case Index.POST:
                return self.target.values_of(Access(access.variable), self.state["j"][indices])
        return VariableOwner.values_of(self, access, indices)

    def view(self, name: str) -> VariableView:
        if name in ("delay", "delay_") and "pre" in self.pathways:
            return self._delay_view("pre", units=name == "delay")
        return VariableOwner.view(self, name)

    def _delay_view(self, key: str, units: bool = True) -> VariableView:
        name = _delay_name(key)
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
        array of int64, shape (synapses,), or int where all are equal

        Raises
        ------
        ValueError
            If a delay is negative or not finite.
        """
        name = _delay_name(key)
        if name not in self.state or not self.state[name].size:
            return 0
        step = self.pathways[key].source.clock.dt_ if dt is None else dt
        delays = self.state[name]
        bad = np.flatnonzero(~((delays >= 0) & np.isfinite(delays)))
        if bad.size:
            raise ValueError(f"delays must be finite and not negative, but synapse {bad[0]} of {self.name!r} has {delays[bad[0]]:g} s ({key})")
        steps = (delays / step + 0.5).astype(np.int64)
        return int(steps[0]) if np.all(steps == steps[0]) else steps

    def layout(self) -> tuple[object, ...]:
        """Equal as long as connections, delays and the places of pathways in the schedule are as they were."""
        written = self.state.written
        pathways = [(key, p.when, p.order, p.active, written[_delay_name(key)], p.source.clock.dt_) for key, p in self.pathways.items()]
        return (self.state.size, written["i"], written["j"], *pathways)

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
        return self.state.size

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
        return np.bincount(self.state["i"], minlength=self.source.N)

    @property
    def N_incoming_post(self) -> np.ndarray:
        """Number of synapses to each postsynaptic neuron, shape (N_post,)."""
        return np.bincount(self.state["j"], minlength=self.target.N)

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
    def t(self) -> Quantity:
        """Time of the clock."""
        return self.clock.t

    @property
    def dt(self) -> Quantity:
        """Step of the clock."""
        return self.clock.dt

    def snapshot(self) -> dict[str, np.ndarray]:
        """A copy of all values and connections."""
        return self.state.snapshot()

    def restore(self, snapshot: Mapping[str, np.ndarray]) -> None:
        """Go back to a snapshot, also to one with other connections."""
        self.state.restore(snapshot)

    def __getitem__(self, item: object) -> NoReturn:
        raise NotImplementedError(f"parts of Synapses such as {self.name}[{item!r}] come in a later version; index a variable, {self.name}.w[i, j]")

    def __repr__(self) -> str:
        arrow = f"{self.source.name!r} -> {self.target.name!r}"
        return f"<Synapses {self.name!r}: {arrow}, {len(self)} synapses>" if self.connected else f"<Synapses {self.name!r}: {arrow}, not connected>"


def _say_clock_driven(equations: Equations) -> None:
    """Equations are integrated at every step unless they say otherwise; a line in the log tells how to save that."""
    for line in parse_equations(str(equations)):
        if line.kind == "differential" and not {"clock-driven", "event-driven"} & set(line.flags):
            _LOG.info("the synaptic equation of %s is integrated at every step; (event-driven) solves it at events only, (clock-driven) says so", line.name)


class _CandidatePairs:
    """Pairs of neurons that may get synapses, as the owner of the expressions that decide it."""

    def __init__(self, synapses: Synapses, i: np.ndarray, j: np.ndarray):
        self.name, self.namespace, self.clock = synapses.name, synapses.namespace, synapses.clock
        self._groups = {Index.PRE: (synapses.source, i), Index.POST: (synapses.target, j)}
        self._values = {"i": i, "j": j, "N_pre": np.asarray(synapses.source.N), "N_post": np.asarray(synapses.target.N)}
        own = tuple(v for v in synapses.model.variables if v.name in self._values or v.role is Role.CLOCK)
        self.model = Model(synapses.name, own, pre=synapses.model.pre, post=synapses.model.post)

    def values_of(self, access: Access, indices: Any) -> np.ndarray:
        if access.index in self._groups:
            group, ends = self._groups[access.index]
            return group.values_of(Access(access.variable), ends[indices])
        values = self._values[access.variable]
        return values[indices] if values.ndim else values


def _checked_group(what: str, group: object) -> Connectable:
    if not isinstance(group, Group | Subgroup | Synapses):
        raise TypeError(f"the {what} of Synapses must be a group of neurons or Synapses, not {type(group).__name__}")
    return group


def _codes(what: str, given: object, default: str) -> dict[str, str]:
    """The code of each pathway."""
    if given is None:
        return {}
    codes: dict[Any, Any] = dict(given) if isinstance(given, Mapping) else {default: given}
    for key, code in codes.items():
        if not isinstance(key, str) or not isinstance(code, str):
            raise TypeError(f"{what} must be text, or a dict from names of pathways to text, not {given!r}")
    return codes


def _delay_name(key: str) -> str:
    return f"_delay_{key}"


def _checked_delay(delay: float) -> float:
    if not (np.isfinite(delay) and delay >= 0):
        raise ValueError(f"a delay must be finite and not negative, not {delay:g} s")
    return delay
