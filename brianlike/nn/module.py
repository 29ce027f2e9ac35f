"""`NetworkModule`: a network of groups and synapses as a torch module."""

from __future__ import annotations

import hashlib
import json
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from codegen.dataflow import constant_in_run
from codegen.errors import UnsupportedError
from codegen.expr import DType
from codegen.force import force_events
from codegen.ir import Kernel, Record, Role, Table

from ..clocks import Clock
from ..codes import with_codes
from ..groups import Group
from ..inputs import InputGroup, PoissonGroup, SpikeGeneratorGroup
from ..monitors import Monitor
from ..namespaces import caller_namespace
from ..network import Network
from ..objects import SimulationObject
from ..prepare import Prepared, prepare
from ..state import VariableOwner
from ..subgroups import Subgroup
from ..synapses import Synapses
from .delivery import Values
from .engine import TorchEngine
from .gradients import Gradient, Surrogate, check_width, compiler_gradient, detach_of
from .parameters import Held, Learn
from .recording import Recorder, RecordSpec, parts

State = dict[str, dict[str, torch.Tensor]]
spytorch_schedule = ["thresholds", "groups", "resets", "synapses"]
"""The order within a step that SpyTorch's loop has: spike from the old potential, update, reset, then deliver (with recurrent delays of one dt)."""


class NetworkModule(nn.Module):
    """A network as a torch module: what `run` simulates, with gradients.

    Parameters
    ----------
    network : Network
        Groups and synapses; monitors in it are ignored. Initial values and constants are those of the moment when the module is made.
    record : dict
        What `forward` returns, by name: `(group, 'v')` for a variable, a group for its spikes, `Margin(group)`, or one of these reduced over time by
        `Count`, `Mean`, `Max` or `Last`.
    learn : list of Learn
        What becomes a parameter.
    gradient : Surrogate or TrueGradient
        How spikes count in gradients.
    batch_first : bool
        Whether inputs and records are (B, T, N) instead of (T, B, N).
    dtype : torch.dtype
        Of parameters and states: torch's default unless given. In float64 the module and the simulator agree spike for spike.
    device : torch.device
    namespace : dict, optional
        Values of constants in the texts; by default the names visible where the module is made.

    Raises
    ------
    ModelError
        For models that cannot be trained (by name, with a caret at the user's text), for units of the surrogate's width that do not fit.
    ValueError
        For initial values that are not finite, were never set, or lie outside their bounds.

    Notes
    -----
    `x[t]` fires in step t, `y.spikes[t]` are the spikes and `y.v[t]` the values at the end of step t, as `StateMonitor(when='end')` records them.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, torch
    >>> inputs = InputGroup(3)
    >>> cells = NeuronGroup(2, 'dv/dt = -v/(10*ms) : 1', threshold='v > 1', reset='v = 0', method='exact')
    >>> S = Synapses(inputs, cells, 'w : 1', on_pre='v_post += w')
    >>> S.connect()
    >>> S.w = 0.6
    >>> model = bnn.NetworkModule(Network(inputs, cells, S), record={'spikes': cells}, learn=[bnn.Learn(S, 'w')])
    >>> y = model(torch.ones(5, 1, 3))
    >>> y.spikes.shape
    torch.Size([5, 1, 2])
    """

    def __init__(
        self,
        network: Network,
        record: RecordSpec,
        learn: Sequence[Learn] = (),
        gradient: Gradient = Surrogate(),  # noqa: B008  frozen
        *,
        batch_first: bool = False,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        namespace: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self._objects = [item for item in network.objects if not isinstance(item, Monitor | Subgroup)]
        self._gradient, self.batch_first = gradient, batch_first
        self._schedule = list(network.schedule)
        self._clock = _common_clock(self._objects)
        self._specs = dict(record)
        self._names = dict(caller_namespace()) if namespace is None else dict(namespace)
        self._refuse()
        self.prepared = self._prepare(())
        check_width(gradient, [c.core for c in self.prepared.compiled.values()])
        self._inputs = _inputs(self._objects)
        self._make_parameters(learn, dtype or torch.get_default_dtype(), torch.device(device) if device is not None else None)
        self._constants = self._collect()
        self._engines: dict[tuple[str, ...], TorchEngine] = {(): self._engine(self.prepared)}
        self._cast: dict[tuple[torch.dtype, torch.device], Values] = {}
        self._record_type = namedtuple("Record", list(self._specs))  # type: ignore[misc]

    # ------------------------------------------------------------------------------------------------------------------------------------------ making
    def _refuse(self) -> None:
        for item in self._objects:
            if isinstance(item, PoissonGroup):
                message = f"{item.name} draws random spikes, which modules do not have yet"
                raise UnsupportedError(message, None, "Use an InputGroup, and give the module spikes drawn by torch.bernoulli.")
            if not isinstance(item, Group | Synapses):
                raise UnsupportedError(f"a module cannot hold {item.name} ({type(item).__name__})", None, "Leave it out of the network.")
            traces = [*item.model.event_driven, *(item.model.flows if isinstance(item, Synapses) else ())]
            if traces or item.model.summed:
                what = f"the equation of {traces[0].variable}" if traces else f"the sum {item.model.summed[0].name}"
                message = f"{item.name} has {what}, and modules have no equations of synapses yet"
                raise UnsupportedError(message, None, "Give the variable to the neurons, and add to it in on_pre.")
            for code in with_codes(item, item.model).codes:
                message = f"{item.name} runs the code {code.name} in every step, which modules do not have yet"
                raise UnsupportedError(message, None, "Write it as equations, a threshold and a reset, or leave it out.")

    def _prepare(self, forced: tuple[str, ...]) -> Prepared:
        first, last = self._schedule[0], self._schedule[-1]
        kernels: list[Kernel] = []
        for key, table, array, slot in _tables(self._objects):
            del key
            kernels.append(Table(table, array, slot=slot or f"before_{first}"))
        margins = set()
        for key, spec in self._specs.items():
            owner, variable, _ = parts(spec)
            if isinstance(owner, Subgroup):
                message = f"record={{{key!r}: ...}} names part of {owner.source.name!r}, and modules record whole groups"
                raise UnsupportedError(message, None, f"Record the group, and take [..., {owner.start}:{owner.stop}] of the result.")
            if owner not in self._objects:
                raise ValueError(f"record={{{key!r}: ...}} names {owner.name!r}, which is not in the network")
            _check_record(key, owner, variable)
            if variable == "_margin":
                margins.add(owner.name)
            kernels.append(Record(key, f"{owner.name}.{variable}", f"after_{last}"))
        prepared = prepare(
            self._objects, self._schedule, self._names, detach=detach_of(self._gradient), monitors=False, extra=kernels, margins=frozenset(margins)
        )
        if forced:
            prepared.program = force_events(prepared.program, forced)
        return prepared

    def _engine(self, prepared: Prepared) -> TorchEngine:
        inputs = prepared.inputs()
        return TorchEngine(prepared.program, compiler_gradient(self._gradient), inputs.connections, inputs.sizes, inputs.values)

    def _make_parameters(self, learn: Sequence[Learn], dtype: torch.dtype, device: torch.device | None) -> None:
        self.learned = nn.ModuleDict()
        self._learned_arrays: dict[str, str] = {}
        for entry in learn:
            if entry.owner not in self._objects:
                raise ValueError(f"Learn({entry.owner.name!r}, {entry.variable!r}) names an object that is not in the network")
            if entry.array in self._learned_arrays:
                raise ValueError(f"{entry.array} is to be learned twice")
            key = entry.name or self._key(entry)
            if key in self.learned or not key.isidentifier():
                raise ValueError(f"Learn(name={key!r}) must be an identifier of its own")
            self.learned[key] = Held(entry, dtype, device)
            self._learned_arrays[entry.array] = key
        self.register_buffer("_like", torch.zeros((), dtype=dtype, device=device), persistent=False)

    def _key(self, entry: Learn) -> str:
        kinds = [item for item in self._objects if type(item) is type(entry.owner)]
        place = next(n for n, item in enumerate(kinds) if item is entry.owner)
        return f"{type(entry.owner).__name__.lower()}_{place}_{entry.variable}"

    def _collect(self) -> dict[str, np.ndarray]:
        """The values of every array that is not learned, in full precision."""
        values = self.prepared.inputs().values
        return {name: value.copy() for name, value in values.items() if name not in self._learned_arrays}

    # ----------------------------------------------------------------------------------------------------------------------------------------- running
    def forward(self, *inputs: torch.Tensor, force: Mapping[Any, Any] | None = None, **named: torch.Tensor) -> Any:
        """Run from the initial state.

        Parameters
        ----------
        *inputs, **named : tensors of shape (T, ..., N)
            Spikes of each InputGroup (0 and 1, or graded) and values of each `(input)` variable (SI), in the order of the network or by name.
        force : dict, optional
            `{group: (spikes, mask)}`: spikes of shape (T, ..., N) that replace the group's own where `mask` (None: everywhere) holds. Gradients pass as
            if nothing had been replaced.

        Returns
        -------
        Record
            A named tuple with one tensor for each name in `record=`.
        """
        record, _ = self.run(*inputs, force=force, **named)
        return record

    def run(self, *inputs: torch.Tensor, state: State | None = None, force: Mapping[Any, Any] | None = None, **named: torch.Tensor) -> tuple[Any, State]:
        """Run from a state (None: the initial one) and return the record and the state after the last step.

        The state is a dict `{object: {variable: tensor}}`, to be passed on, detached or changed at will.
        """
        tables = self._tables_of(inputs, named)
        steps = {table.shape[0] for table in tables.values()}
        if len(steps) > 1:
            raise ValueError(f"all inputs must have the same number of steps, not {sorted(steps)}")
        if not steps:
            raise ValueError("the network has no InputGroup and no (input) variable, so its number of steps is unknown; give it one")
        forced = self._forced(force or {})
        return self._run(tables, forced, steps.pop(), state)

    def step(self, *inputs: torch.Tensor, state: State | None = None, **named: torch.Tensor) -> tuple[Any, State]:
        """One step: inputs of shape (..., N), a record without a time axis, and the state after it."""
        record, new = self.run(*map(self._one_row, inputs), state=state, **{k: self._one_row(x) for k, x in named.items()})
        timed = [parts(spec)[2] is None for spec in self._specs.values()]
        return self._record_type(*(v.select(1 if self.batch_first and v.dim() > 2 else 0, 0) if t else v for v, t in zip(record, timed))), new

    def _one_row(self, x: torch.Tensor) -> torch.Tensor:
        """The input of one step with a time axis."""
        return x.unsqueeze(1 if self.batch_first and x.dim() > 1 else 0)

    def _run(self, tables: dict[str, torch.Tensor], forced: dict[str, tuple[torch.Tensor, torch.Tensor]], steps: int, state: State | None) -> tuple[Any, State]:
        engine = self._engine_for(tuple(sorted(forced)))
        values = self._initial_values()
        past: dict[str, list[torch.Tensor]] = {}
        first = 0
        if state is not None:
            first = self._enter(state, values, past)
        for event, (spikes, mask) in forced.items():
            tables[f"{event}:forced"], tables[f"{event}:mask"] = spikes, mask
        recorders = {key: Recorder(parts(spec)[2]) for key, spec in self._specs.items()}
        engine.run(values, past, tables, first, steps, recorders, self._like)
        batch = torch.broadcast_shapes(*(table.shape[1:-1] for table in tables.values()))
        results = []
        for key, spec in self._specs.items():
            owner, _, reduction = parts(spec)
            size = len(owner)
            empty = torch.zeros((*batch, size), dtype=self._like.dtype, device=self._like.device)
            recorders[key].values = [v.expand(*batch, v.shape[-1]) for v in recorders[key].values]
            value = recorders[key].result(steps, empty)
            results.append(value.expand(*batch, value.shape[-1]) if reduction is not None else value)
        self._check(values, first + steps)
        record = self._record_type(*(self._output(v, parts(s)[2] is None) for v, s in zip(results, self._specs.values())))
        return record, self._leave(values, past, first + steps)

    def _output(self, value: torch.Tensor, timed: bool) -> torch.Tensor:
        return value.transpose(0, 1) if timed and self.batch_first and value.dim() > 2 else value

    def _engine_for(self, forced: tuple[str, ...]) -> TorchEngine:
        if forced not in self._engines:
            self._engines[forced] = self._engine(self._prepare(forced))
        return self._engines[forced]

    def _initial_values(self) -> Values:
        """Every array before the first step: constants and initial states, parameters evaluated once, accumulators empty."""
        values = dict(self._cast_constants())
        for array, key in self._learned_arrays.items():
            values[array] = self.learned[key]()
        return values

    def _cast_constants(self) -> Values:
        key = (self._like.dtype, self._like.device)
        if key not in self._cast:
            cast: Values = {}
            for array in self.prepared.program.arrays:
                if array.name in self._learned_arrays:
                    continue
                if array.name in self._constants:
                    tensor = torch.from_numpy(self._constants[array.name])
                    is_float = array.dtype is DType.FLOAT
                    cast[array.name] = tensor.to(device=key[1], dtype=key[0] if is_float else None)
                elif array.role in (Role.EVENT, Role.ACCUMULATOR):
                    size = 1 if array.space is None else len(self.prepared.objects[array.space])  # type: ignore[arg-type]
                    dtype = key[0] if array.dtype is DType.FLOAT or array.role is Role.EVENT else torch.int64
                    cast[array.name] = torch.zeros(size, dtype=dtype, device=key[1])
            self._cast = {key: cast}
        return self._cast[key]

    # ------------------------------------------------------------------------------------------------------------------------------------------- state
    def _moving(self) -> list[str]:
        fixed = constant_in_run(self.prepared.program)
        skip = (Role.CLOCK, Role.ACCUMULATOR, Role.INPUT)
        return [a.name for a in self.prepared.program.arrays if a.name not in fixed and a.role not in skip]

    def _leave(self, values: Values, past: Mapping[str, list[torch.Tensor]], step: int) -> State:
        state: State = {"clock": {"t_in_timesteps": torch.tensor(step)}}
        for name in self._moving():
            owner, _, variable = name.partition(".")
            if name in values:
                state.setdefault(owner, {})[variable] = values[name]
        for name, sent in past.items():
            owner, _, variable = name.partition(".")
            if sent:
                shape = torch.broadcast_shapes(*(s.shape for s in sent))
                state[owner][f"{variable}_past"] = torch.stack([s.expand(shape) for s in sent])
        return state

    def _enter(self, state: State, values: Values, past: dict[str, list[torch.Tensor]]) -> int:
        known = {name: tuple(name.split(".", 1)) for name in self._moving()}
        self._refuse_unknown(state, {("clock", "t_in_timesteps"), *known.values()})
        for name, (owner, variable) in known.items():
            if variable in state.get(owner, {}):
                values[name] = state[owner][variable]
            if f"{variable}_past" in state.get(owner, {}):
                past[name] = list(state[owner][f"{variable}_past"].unbind(0))
        return int(state.get("clock", {}).get("t_in_timesteps", torch.tensor(0)))

    @staticmethod
    def _refuse_unknown(state: State, known: set[tuple[str, ...]]) -> None:
        owners = sorted({owner for owner, _ in known})
        for owner, variables in state.items():
            if owner not in owners:
                raise KeyError(f"the state has {owner!r}, which the module does not know; it knows {', '.join(owners)}")
            for name in variables:
                if (owner, name.removesuffix("_past")) not in known:
                    has = sorted(variable for o, variable in known if o == owner)
                    raise KeyError(f"the state has '{owner}.{name}', which the module does not know; it knows {', '.join(has)}")

    def _check(self, values: Values, step: int) -> None:
        """Training on NaN only makes more of it, so it is an error here."""
        for array in self.prepared.program.arrays:
            if array.role is Role.STATE and array.name in values and not torch.isfinite(values[array.name].detach()).all():
                bad = torch.nonzero(~torch.isfinite(values[array.name].detach()))[0].tolist()
                raise FloatingPointError(
                    f"{array.name} of element {bad[-1]} is not finite after step {step}; "
                    "a smaller learning rate, bounds= on the parameters or a smaller dt may help"
                )

    # ------------------------------------------------------------------------------------------------------------------------------------------ inputs
    def _tables_of(self, inputs: Sequence[torch.Tensor], named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        keys = list(self._inputs)
        if len(inputs) > len(keys):
            raise TypeError(f"the module takes {len(keys)} inputs ({', '.join(keys)}), not {len(inputs)}")
        given = dict(zip(keys, inputs))
        for name, value in named.items():
            if name not in keys:
                raise TypeError(f"the module has no input {name!r}; its inputs are {', '.join(keys) or 'none'}")
            if name in given:
                raise TypeError(f"input {name!r} is given twice")
            given[name] = value
        missing = [key for key in keys if key not in given]
        if missing:
            raise TypeError(f"input {missing[0]!r} is missing; the module's inputs are {', '.join(keys)}")
        ready = {key: self._ready(key, value) for key, value in given.items()}
        try:
            torch.broadcast_shapes(*(value.shape[1:-1] for value in ready.values()))
        except RuntimeError:
            shapes = ", ".join(f"{key} {tuple(ready[key].shape[1:-1])}" for key in keys)
            raise ValueError(f"inputs have different batch axes: {shapes}") from None
        return self._generators(given) | {self._inputs[key][0]: value for key, value in ready.items()}

    def _ready(self, key: str, value: torch.Tensor) -> torch.Tensor:
        size = self._inputs[key][1]
        if value.dim() < 2 or value.shape[-1] not in (size, 1) or (value.shape[-1] == 1 and size != 1 and self._inputs[key][2]):
            raise ValueError(f"input {key!r} must have the shape (T, ..., {size}), not {tuple(value.shape)}")
        if self.batch_first and value.dim() > 2:
            value = value.transpose(0, 1)
        return value.to(dtype=self._like.dtype, device=self._like.device)

    def _generators(self, given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The spikes of SpikeGeneratorGroups, the same for the whole batch."""
        tables = {}
        for item in self._objects:
            if isinstance(item, SpikeGeneratorGroup):
                like = next(iter(given.values()), None)
                if like is None:
                    raise ValueError("a module needs an InputGroup or an (input) variable to know how many steps to run")
                steps = like.shape[1 if self.batch_first and like.dim() > 2 else 0]
                offsets, indices = item.events_by_step(0, steps, item.clock.dt_)
                dense = torch.zeros(steps, *[1] * (like.dim() - 2), len(item), dtype=self._like.dtype, device=self._like.device)
                rows = np.repeat(np.arange(steps), np.diff(offsets))
                dense.view(steps, -1)[torch.from_numpy(rows), torch.from_numpy(indices.astype(np.int64))] = 1.0
                tables[f"{item.name}.spikes"] = dense
        return tables

    def _forced(self, force: Mapping[Any, Any]) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        forced = {}
        for group, given in force.items():
            if group not in self._objects or not self.prepared.compiled[group.name].core.events:
                raise ValueError(f"force= names {getattr(group, 'name', group)!r}, which is not a spiking group of this network")
            spikes, mask = given if isinstance(given, tuple) else (given, None)
            spikes = spikes.to(dtype=self._like.dtype, device=self._like.device)
            mask = torch.ones_like(spikes) if mask is None else torch.as_tensor(mask, device=self._like.device)
            mask = mask.to(torch.bool).expand_as(spikes)
            if self.batch_first and spikes.dim() > 2:
                spikes, mask = spikes.transpose(0, 1), mask.transpose(0, 1)
            forced[f"{group.name}._spike"] = (spikes, mask)
        return forced

    # ---------------------------------------------------------------------------------------------------------------------------------------- parameters
    def parameter(self, owner: SimulationObject, variable: str) -> nn.Parameter:
        """The parameter behind `Learn(owner, variable)`: (pre, post) under full connectivity, flat otherwise; before its transform, in its unit."""
        key = self._learned_arrays.get(f"{owner.name}.{variable}")
        if key is None:
            raise KeyError(f"{owner.name}.{variable} is not learned")
        return self.learned[key].raw

    def value(self, owner: SimulationObject, variable: str) -> torch.Tensor:
        """The current values of a learned variable in its unit, shaped as its parameter."""
        key = self._learned_arrays.get(f"{owner.name}.{variable}")
        if key is None:
            raise KeyError(f"{owner.name}.{variable} is not learned")
        return self.learned[key].value

    @torch.no_grad()
    def learned_values(self) -> dict[str, np.ndarray]:
        """The current values of everything learned in SI units, flat, by array name."""
        return {array: self.learned[key]().detach().to("cpu", torch.float64).numpy() for array, key in self._learned_arrays.items()}

    def write_back(self) -> None:
        """Put the learned values into the user's objects, so that `run` simulates them."""
        for array, values in self.learned_values().items():
            owner, _, variable = array.partition(".")
            item = self.prepared.objects[owner]
            item.state[variable][...] = values  # type: ignore[attr-defined]
        self._constants = self._collect()
        self._cast = {}

    def simulate(self, *inputs: torch.Tensor, progress: Callable[..., Any] | None = None, **named: torch.Tensor) -> Any:
        """Run the batch in the simulator, with the values learned so far: the same record as `forward`, without gradients.

        Parameters
        ----------
        *inputs, **named : as for `forward`; spikes must be 0 or 1
        progress : callable, optional
            Wraps the iteration over samples, such as `tqdm`.
        """
        from .replay import simulate

        tables = self._tables_of(inputs, named)
        return simulate(self, tables, progress)

    # --------------------------------------------------------------------------------------------------------------------------------------- checkpoints
    def get_extra_state(self) -> dict[str, str]:
        """What the parameters belong to: equations, connectivity, units."""
        return {"model": self.digest()}

    def set_extra_state(self, state: dict[str, str]) -> None:
        if state.get("model") != self.digest():
            mine, theirs = json.loads(self.digest()), json.loads(state.get("model", "{}"))
            different = [key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key)]
            raise ValueError(f"these parameters belong to another network: it differs in {', '.join(sorted(different)) or 'its description'}")

    def digest(self) -> str:
        """A description of the network that parameters can be matched with, as JSON: equations, sizes, connections and units."""
        described: dict[str, str] = {}
        for n, item in enumerate(self._objects):
            text = repr(self.prepared.compiled[item.name].core).replace(item.name, f"object{n}")
            connections = item.state["i"].tobytes() + item.state["j"].tobytes() if isinstance(item, Synapses) else b""
            digest = hashlib.sha256(connections + str(len(item)).encode()).hexdigest()[:16]  # type: ignore[arg-type]
            equations = hashlib.sha256(_stable(text, self._objects).encode()).hexdigest()[:16]
            described[f"object{n}"] = f"{type(item).__name__} {len(item)} {equations} {digest}"  # type: ignore[arg-type]
        for key, held in self.learned.items():
            described[f"unit of {key}"] = repr(held.scale)
        return json.dumps(described, sort_keys=True)

    def extra_repr(self) -> str:
        return ", ".join(f"{item.name}: {len(item)}" for item in self._objects)  # type: ignore[arg-type]


def _check_record(key: str, owner: VariableOwner, variable: str) -> None:
    where = f"record={{{key!r}: ...}}: {owner.name!r}"
    if variable in ("_spike", "_margin"):
        if not isinstance(owner, InputGroup | SpikeGeneratorGroup) and not owner.model.events:
            raise ValueError(f"{where} has no threshold, so it has no spikes")
        return
    declared = owner.variable(variable)
    recordable = [v.name for v in owner.model.variables if v.role in (Role.STATE, Role.PARAMETER, Role.INPUT)]
    if declared is None:
        raise ValueError(f"{where} has no variable {variable!r}; it has {', '.join(recordable) or 'none'}")
    if declared.role is Role.LINKED:
        raise UnsupportedError(f"{where} has {variable!r} from another object; record it there")
    if declared.role is Role.SUBEXPRESSION:
        raise UnsupportedError(f"{where} computes {variable!r} where it is used; modules record {', '.join(recordable)} only")


def _stable(text: str, objects: Sequence[SimulationObject]) -> str:
    """The text without the automatic names, which differ from process to process."""
    for n, item in enumerate(objects):
        text = text.replace(f"'{item.name}'", f"'object{n}'")
    return text


def _common_clock(objects: Sequence[SimulationObject]) -> Clock:
    """The one clock of all objects; an error names two that differ."""
    if not objects:
        raise ValueError("a module needs a network with objects")
    first = objects[0]
    for item in objects:
        if not item.clock.same_dt(first.clock):
            message = f"a module has one clock, but {first.name} has dt = {first.clock.dt!r} and {item.name} has dt = {item.clock.dt!r}"
            raise UnsupportedError(message, None, "Give all of them one dt.")
    return first.clock


def _inputs(objects: Sequence[SimulationObject]) -> dict[str, tuple[str, int, bool]]:
    """For each keyword of `forward`: the table it fills, its number of elements, and whether it holds spikes."""
    found: dict[str, tuple[str, int, bool]] = {}
    for key, table, array, slot in _tables(objects):
        owner = next(item for item in objects if item.name == array.partition(".")[0])
        found[key] = (table, len(owner), slot != "")  # type: ignore[arg-type]
    return found


def _tables(objects: Sequence[SimulationObject]) -> list[tuple[str, str, str, str]]:
    """Keyword, table, array and slot ('' for the beginning of a step) of everything that is fed from outside."""
    rows = [(item.name, f"{item.name}.spikes", f"{item.name}._spike", item.when) for item in objects if isinstance(item, InputGroup)]
    fed = [(item, v.name) for item in objects if isinstance(item, Group) for v in item.model.variables if v.role is Role.INPUT]
    names = [name for _, name in fed]
    for item, name in fed:
        key = name if names.count(name) == 1 else f"{item.name}_{name}"
        rows.append((key, f"{item.name}.{name}:table", f"{item.name}.{name}", ""))
    return rows
