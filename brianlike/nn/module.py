"""`NetworkModule`: a network of groups and synapses as a torch module."""

from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from codegen.errors import UnsupportedError
from codegen.force import force_events
from codegen.ir import Kernel, Record, Table
from codegen.widen import widen

from ..monitors import Monitor
from ..namespaces import caller_namespace
from ..network import Network
from ..objects import SimulationObject
from ..poisson_input import PoissonInput
from ..prepare import Prepared, prepare
from ..subgroups import Subgroup
from .acceptance import check_record, common_clock, refuse_objects, refuse_program
from .choice import Choice
from .constants import cast, copy_keeping
from .delivery import Values
from .engine import TorchEngine
from .events import Fed
from .feeding import Call, Feeding, Tables, common_steps, one_row, tables_of
from .forcing import forced_arrays, forced_tables
from .gradients import Gradients, Surrogate, check_width, compiler_gradient, detach_of
from .identity import check_digest, digest
from .optimising import clamp_, parameter_groups
from .parameters import Held, Learn
from .recording import RecordSpec, is_event, parts
from .states import State, check_finite, enter, leave, padded
from .unroll import Feedback, Moment, Unrolling, Watch, checked_lengths

spytorch_schedule = ["thresholds", "groups", "resets", "synapses"]
"""The order within a step that SpyTorch's loop has: spike from the old potential, update, reset, then deliver (with recurrent delays of one dt)."""


class NetworkModule(nn.Module):
    """A network as a torch module: what `run` simulates, with gradients.

    Parameters
    ----------
    network : Network
        Groups and synapses; monitors in it are ignored. Initial values and constants are those of the moment when the module is made.
    record : dict
        What `forward` returns, by name: `(group, 'v')` for a variable, a group for its spikes, `(group, 'event')` for events of its own, `Margin(group)`,
        or one of these reduced over time by `Count`, `Mean`, `Max` or `Last`.
    learn : list of Learn
        What becomes a parameter.
    gradient : Surrogate or TrueGradient, or dict of them
        How spikes count in gradients; a dict has one for each group, `{group: Surrogate(...)}`.
    batch_first : bool
        Whether inputs and records are (B, T, N) instead of (T, B, N).
    checkpoint : int, optional
        The backward pass keeps the state of every so many steps, and computes what lies between again: the same gradients in less memory.
        About the square root of the number of steps needs least.
    check_finite : bool
        Whether a state variable that is not finite after a run is an error (FloatingPointError). Compiled modules do not look.
    dtype : torch.dtype
        Of parameters and states: torch's default unless given. In float64 the module and the simulator agree spike for spike.
    device : torch.device
    namespace : dict, optional
        Values of constants in the texts; by default the names visible where the module is made.
    engine : {'auto', 'torch', 'cython'}
        What carries out runs: torch, step by step, on any device; or compiled kernels, whole batches at a time on several threads, which hand runs that
        they cannot do to torch. 'auto' takes compiled kernels for runs that are worth it. What was chosen, and why, is in the log.
    keep : {'float', 'bfloat16'}
        As what compiled kernels keep numbers of every step for the backward pass. 'bfloat16' takes half the memory: results are the same, gradients have
        relative errors of about 2**-9. It changes nothing under `checkpoint`, nor on torch.

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
        gradient: Gradients = Surrogate(),  # noqa: B008  frozen
        *,
        batch_first: bool = False,
        checkpoint: int | None = None,
        check_finite: bool = True,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        namespace: Mapping[str, object] | None = None,
        engine: str = "auto",
        keep: str = "float",
    ) -> None:
        super().__init__()
        self._objects = [item for item in network.objects if not isinstance(item, Monitor | Subgroup)]
        self._gradient, self.batch_first = gradient, batch_first
        if checkpoint is not None and (not isinstance(checkpoint, int) or isinstance(checkpoint, bool) or checkpoint < 1):
            raise ValueError(f"checkpoint= takes a number of steps, 1 or more, not {checkpoint!r}")
        if keep not in ("float", "bfloat16"):
            raise ValueError(f"keep= takes 'float' or 'bfloat16', not {keep!r}")
        self.checkpoint, self.check_finite, self.keep = checkpoint, check_finite, keep
        self._schedule = list(network.schedule)
        self._clock = common_clock(self._objects)
        self._specs = dict(record)
        self._names = dict(caller_namespace()) if namespace is None else dict(namespace)
        refuse_objects(self._objects)
        self._delays = {entry.array: entry.step for entry in learn if entry.is_delay}
        self.prepared = self._prepare(())
        check_width(gradient, {name: one.core for name, one in self.prepared.compiled.items()})
        self._feeding = Feeding(self._objects, batch_first)
        self._make_parameters(learn, dtype or torch.get_default_dtype(), torch.device(device) if device is not None else None)
        self._constants = self._collect()
        self._cast: dict[tuple[torch.dtype, torch.device], Values] = {}
        self._engines: dict[tuple[str, ...], TorchEngine] = {(): self._engine(self.prepared)}
        self._choice = Choice(engine, self._compiled, f"the module of {', '.join(item.name for item in self._objects)}")
        start = self._initial_values()
        self._moving = [name for name in self._engines[()].moving if name in start]
        events = {name: [f"{name}.{event.variable}" for event in one.core.events] for name, one in self.prepared.compiled.items()}
        self._events = {name: own for name, own in events.items() if own}
        self.watch: Watch | None = None
        self._record_type = namedtuple("Record", list(self._specs))  # type: ignore[misc]
        self._cast_constants()

    # ------------------------------------------------------------------------------------------------------------------------------------------ making
    def _prepare(self, forced: tuple[str, ...]) -> Prepared:
        first, last = self._schedule[0], self._schedule[-1]
        kernels: list[Kernel] = []
        for key, table, array, slot in tables_of(self._objects):
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
            check_record(key, owner, variable)
            if variable == "_margin":
                margins.add(owner.name)
            kernels.append(Record(key, f"{owner.name}.{variable}", f"after_{last}"))
        options: dict[str, Any] = dict(detach=detach_of(self._gradient), margins=frozenset(margins), delayed=self._delays, gradients=True)
        prepared = prepare(self._objects, self._schedule, self._names, monitors=False, extra=kernels, **options)
        refuse_program(prepared)
        if forced:
            prepared.program = force_events(prepared.program, forced)
        prepared.program = widen(prepared.program)  # tensors are computed as a whole
        return prepared

    def _engine(self, prepared: Prepared) -> TorchEngine:
        inputs = prepared.inputs()
        return TorchEngine(prepared.program, compiler_gradient(self._gradient), inputs.connections, inputs.sizes, inputs.values, inputs.streams, self._delays)

    def _compiled(self, engine: TorchEngine) -> Any:
        from .compiled import CompiledEngine, register

        reductions = {key: parts(spec)[2] for key, spec in self._specs.items()}
        connections = self.prepared.inputs().connections
        return register(CompiledEngine(engine, compiler_gradient(self._gradient), connections, reductions, self._moving, float(self._clock.dt_)))

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
            self.learned[key] = Held(entry, dtype, device, self._names)
            self._learned_arrays[entry.array] = key
        self.register_buffer("_like", torch.zeros((), dtype=dtype, device=device), persistent=False)

    def _key(self, entry: Learn) -> str:
        kinds = [item for item in self._objects if type(item) is type(entry.owner)]
        place = next(n for n, item in enumerate(kinds) if item is entry.owner)
        return f"{type(entry.owner).__name__.lower()}_{place}_{entry.variable.replace('.', '_')}"

    def _collect(self) -> dict[str, np.ndarray]:
        """The values of every array that is not learned, in full precision."""
        values = self.prepared.inputs().values
        return {name: value.copy() for name, value in values.items() if name not in self._learned_arrays}

    # ----------------------------------------------------------------------------------------------------------------------------------------- running
    def forward(
        self,
        *inputs: Fed,
        force: Mapping[Any, Any] | None = None,
        lengths: Any = None,
        seed: int | None = None,
        samples: int | torch.Tensor | None = None,
        steps: int | None = None,
        batch: Sequence[int] = (),
        **named: Fed,
    ) -> Any:
        """Run from the initial state.

        Parameters
        ----------
        *inputs, **named : tensors of shape (T, ..., N)
            Spikes of each InputGroup (0 and 1, or graded) and values of each `(input)` variable (SI), in the order of the network or by name. Spikes can also
            be `bnn.Events` or a sparse COO tensor: compiled kernels never make them dense, the torch engine does.
        force : dict, optional
            Spikes (T, ..., N) to replay, by group, part of a group, or (group, 'event'): a tensor or `bnn.Events`, or a tuple of one and a mask that tells
            where it replaces what the group finds.
        lengths : tensor of int, optional
            How many steps each sample has, shaped as the batch. After its end a sample has no spikes, its variables stay as they are, reductions
            stop, and what its inputs hold does not matter: results and gradients are those of a run of its own.
        seed : int, optional
            What noise depends on, beside the number of the sample, the element and the step; by default a number from torch's generator.
        samples : int or tensor of int, optional
            The number of the first sample (by default 0), or of each, shaped as the batch. Whatever the batch, a sample of a number has one noise.
        steps, batch : int and tuple of int, optional
            The number of steps and the shape of the batch, where no input gives them.

        Returns
        -------
        Record
            A named tuple with one tensor for each name in `record=`.
        """
        more: dict[str, Any] = named
        record, _ = self.run(*inputs, force=force, lengths=lengths, seed=seed, samples=samples, steps=steps, batch=batch, **more)
        return record

    def run(
        self,
        *inputs: Fed,
        state: State | None = None,
        force: Mapping[Any, Any] | None = None,
        lengths: Any = None,
        seed: int | None = None,
        samples: int | torch.Tensor | None = None,
        steps: int | None = None,
        batch: Sequence[int] = (),
        **named: Fed,
    ) -> tuple[Any, State]:
        """Run from a state (None: the initial one) and return the record and the state after the last step.

        The state is a dict `{object: {variable: tensor}}`, to be passed on, detached (`bnn.detached`) or changed at will. It knows the seed and the
        samples: noise goes on as if the run had not been interrupted.
        """
        call = Call(steps, tuple(batch), seed, samples)
        return self.run_with({}, self.named_inputs(inputs, named), call, state=state, force=force, lengths=lengths)

    def step(
        self,
        *inputs: Fed,
        state: State | None = None,
        force: Mapping[Any, Any] | None = None,
        seed: int | None = None,
        samples: int | torch.Tensor | None = None,
        batch: Sequence[int] = (),
        **named: Fed,
    ) -> tuple[Any, State]:
        """One step: inputs (and what is forced) of shape (..., N), a record without a time axis, and the state after it."""
        return self.step_with({}, self.named_inputs(inputs, named), Call(1, tuple(batch), seed, samples), state=state, force=force)

    def named_inputs(self, inputs: Sequence[Fed], named: Mapping[str, Fed]) -> dict[str, Fed]:
        """All inputs by name, as `forward` is given them; errors for those that are missing, unknown, or given twice."""
        return self._feeding.named(inputs, named)

    @property
    def objects(self) -> tuple[SimulationObject, ...]:
        """The objects of the network, without monitors."""
        return tuple(self._objects)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, in the order in which `forward` takes them."""
        return tuple(self._feeding.inputs)

    def run_with(
        self,
        feedback: Feedback,
        inputs: Mapping[str, Fed],
        call: Call = Call(),  # noqa: B008  frozen
        *,
        state: State | None = None,
        force: Mapping[Any, Any] | None = None,
        lengths: Any = None,
    ) -> tuple[Any, State]:
        """`run`, with functions that change the row of a table in every step."""
        tables = self._feeding.tables((), inputs, self._like, call.steps, call.batch, state)
        return self._run(tables | self._forced(force, False), state, lengths, feedback, call)

    def step_with(
        self,
        feedback: Feedback,
        inputs: Mapping[str, Fed],
        call: Call = Call(1),  # noqa: B008  frozen
        *,
        state: State | None = None,
        force: Mapping[Any, Any] | None = None,
    ) -> tuple[Any, State]:
        """`step`, with functions that change the row of a table."""
        tables = self._feeding.tables((), {key: one_row(x, self.batch_first) for key, x in inputs.items()}, self._like, call.steps, call.batch, state)
        record, new = self._run(tables | self._forced(force, True), state, None, feedback, call)
        timed = [parts(spec)[2] is None for spec in self._specs.values()]
        return self._record_type(*(v.select(1 if self.batch_first and v.dim() > 2 else 0, 0) if t else v for v, t in zip(record, timed))), new

    def initial_state(self, *batch: int) -> State:
        """The state before the first step, for a batch of this shape: what `run` and `step` start from."""
        values = self._initial_values()
        spread = {name: values[name].expand(*batch, values[name].shape[-1]) for name in self._moving}
        past = {name: padded([], length, spread[name]) for name, length in self._engines[()].memory.items()}
        return leave(spread, past, torch.zeros((), dtype=torch.int64, device=self._like.device), self._moving)

    def _forced(self, force: Mapping[Any, Any] | None, row: bool) -> Tables:
        """Given events, as tables."""
        return forced_tables(force, self._events, self._like, batch_first=self.batch_first, row=row, check=self._checks) if force else {}

    @property
    def _checks(self) -> bool:
        return self.check_finite and not (torch.compiler.is_compiling() or self._like.is_meta)

    def _run(self, tables: Tables, state: State | None, lengths: Any, feedback: Feedback, call: Call) -> tuple[Any, State]:
        steps = common_steps(tables, call.steps)
        engine = self._engine_for(forced_arrays(tables))
        values = self._initial_values()
        entered, past, number = enter(state or {}, self._moving)
        values |= entered
        shapes = [*(table.shape[1:-1] for table in tables.values()), *(value.shape[:-1] for value in entered.values()), call.batch]
        batch = torch.broadcast_shapes(*shapes)
        samples = call.chosen(state, batch, self._like) if engine.noises else None
        reductions, empty, events = {}, {}, set()
        for key, spec in self._specs.items():
            owner, variable, reductions[key] = parts(spec)
            declared = owner.variable(variable)
            size = 1 if declared is not None and declared.shared else len(owner)
            empty[key] = torch.zeros((*batch, size), dtype=self._like.dtype, device=self._like.device)
            if is_event(owner, variable):
                events.add(key)
        options: dict[str, Any] = dict(checkpoint=self.checkpoint, keep=self.keep, feedback=feedback, watch=self.watch, samples=samples, batch=batch)
        how = Unrolling(reductions=reductions, empty=empty, events=frozenset(events), **options)
        number = torch.zeros((), dtype=torch.int64, device=self._like.device) if number is None else number.to(self._like.device)
        moment = Moment(values, past, number)
        each = None if lengths is None else checked_lengths(lengths, batch, steps, self._like.device)
        moment, records = self._choice.unroll(engine, moment, tables, steps, each, how)
        if self._checks:
            check_finite(self.prepared.program, moment.values, moment.step)
        record = self._record_type(*(self._output(value, reductions[key] is None) for key, value in records.items()))
        left = leave(moment.values, moment.past, moment.step, self._moving)
        if samples is not None:
            left["clock"] |= samples.state
        return record, left

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
            self._cast = {key: cast(self.prepared, self._constants, self._learned_arrays, *key)}
        return self._cast[key]

    # ---------------------------------------------------------------------------------------------------------------------------------------- parameters
    def parameter(self, owner: SimulationObject, variable: str) -> nn.Parameter:
        """The parameter behind `Learn(owner, variable)`: (pre, post) under full connectivity, flat otherwise; before its transform, in its unit."""
        return self._held(owner, variable).raw

    def value(self, owner: SimulationObject, variable: str) -> torch.Tensor:
        """The current values of a learned variable in its unit, shaped as its parameter."""
        return self._held(owner, variable).value

    def mask(self, owner: SimulationObject, variable: str) -> torch.Tensor:
        """The mask of a learned variable, shaped as its parameter, to be changed in place: where it is False, the value is 0 from then on."""
        mask = self._held(owner, variable).mask
        if mask is None:
            raise KeyError(f"{owner.name}.{variable} has no mask; give Learn(..., mask=True)")
        return mask

    def _held(self, owner: SimulationObject, variable: str) -> Held:
        for held in self.learned.values():
            if held.learn.owner is owner and variable in (held.learn.variable, held.learn.stored):
                return held
        raise KeyError(f"{owner.name}.{variable} is not learned")

    def parameter_groups(self, overrides: Mapping[Any, Mapping[str, Any]] | None = None, /, **options: Any) -> list[dict[str, Any]]:
        """Groups of parameters with their own learning rates, for `torch.optim`; see `brianlike.nn.parameter_groups`."""
        return parameter_groups(self, overrides, **options)

    def clamp_(self, *_: object) -> None:
        """Move what is constrained by clamping inside its bounds: `optimizer.register_step_post_hook(model.clamp_)` does so after every step."""
        clamp_(self)

    @torch.no_grad()
    def learned_values(self) -> dict[str, np.ndarray]:
        """The current values of everything learned in SI units, flat, by array name."""
        return {array: self.learned[key]().detach().to("cpu", torch.float64).numpy() for array, key in self._learned_arrays.items()}

    def write_back(self) -> None:
        """Put the learned values into the user's objects, so that `run` simulates them."""
        values = self.learned_values()
        for held in self.learned.values():
            held.learn.owner.state[held.learn.stored] = values[held.learn.array]
        self._constants = self._collect()
        self._cast = {}
        self._cast_constants()

    def simulate(
        self,
        *inputs: Fed,
        progress: Callable[..., Any] | None = None,
        seed: int | None = None,
        samples: int | torch.Tensor | None = None,
        steps: int | None = None,
        batch: Sequence[int] = (),
        **named: Fed,
    ) -> Any:
        """Run the batch in the simulator, with the values learned so far: the same record as `forward`, without gradients.

        Parameters
        ----------
        *inputs, **named : as for `forward`; spikes must be 0 or 1
        progress : callable, optional
            Wraps the iteration over samples, such as `tqdm`.
        seed, samples, steps, batch : as for `forward`; with the same seed the simulator has the same noise
        """
        from .replay import simulate

        tables = self._feeding.tables(inputs, named, self._like, steps, batch)
        return simulate(self, tables, Call(steps, tuple(batch), seed, samples), progress)

    # --------------------------------------------------------------------------------------------------------------------------------------- checkpoints
    def get_extra_state(self) -> dict[str, str]:
        """What the parameters belong to: equations, connectivity, units."""
        return {"model": self.digest()}

    def set_extra_state(self, state: dict[str, str]) -> None:
        """ValueError, with what differs, unless the parameters belong to this network."""
        check_digest(self.digest(), state.get("model", "{}"), [item.name for item in self._objects])

    def digest(self) -> str:
        """A description of the network that parameters can be matched with, as JSON: equations, sizes, connections, delays, constants and units."""
        return digest(self)

    def __getitem__(self, name: str) -> Any:
        """The group or synapses of this name, as of a Network."""
        for item in self._objects:
            if item.name == name:
                return item
        raise KeyError(f"the module has no object {name!r}; it has {', '.join(item.name for item in self._objects)}")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters and all that makes the module to a file, from which `bnn.load` makes it again; see `brianlike.nn.save`."""
        from .checkpoints import save

        save(self, path)

    # -------------------------------------------------------------------------------------------------------------------------------------------- torch
    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> NetworkModule:
        """`to`, `double`, `cuda` ...: constants follow at once, so that a compiled step does not have to."""
        super()._apply(fn, recurse)
        self._cast_constants()
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> NetworkModule:
        """Parameters of its own for the same network: the user's objects and what is compiled from them are not copied."""
        return copy_keeping(self, memo, [self.prepared, self._feeding, self._names, self._clock, *self._objects, *self._engines.values(), self._choice])

    def extra_repr(self) -> str:
        return ", ".join(f"{item.name}: {item.N if isinstance(item, PoissonInput) else len(item)}" for item in self._objects)  # type: ignore[arg-type]
