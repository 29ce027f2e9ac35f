"""A module as plain data: texts and numbers that JSON can hold, and arrays. `rebuilding` makes the module again.

Objects are described by the arguments that would make them; texts stay texts, and go through the parser again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.dims import UNITS, Dimensions
from codegen.errors import UnsupportedError
from codegen.expr import Number
from codegen.surrogate import SURROGATES

from ..codes import CodeRunner
from ..default_functions import ABSENT, meaning_of
from ..groups import NeuronGroup
from ..inputs import InputGroup, PoissonGroup, SpikeGeneratorGroup
from ..objects import SimulationObject
from ..poisson_input import PoissonInput
from ..stages import stages_of
from ..state import VariableOwner
from ..subgroups import Subgroup
from ..synapses import Synapses
from ..timed_arrays import TimedArray
from ..units import Quantity, asarray_si, get_dimensions
from .gradients import Surrogate, TrueGradient
from .parameters import Held
from .recording import Margin, Reduction

if TYPE_CHECKING:
    from .module import NetworkModule

Data = Any
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Description:
    """What JSON holds, and the arrays that it names."""

    data: dict[str, Data]
    arrays: Arrays = field(default_factory=dict)


def describe(module: NetworkModule) -> Description:
    """All that makes the module; UnsupportedError names what only Python code could make again."""
    writer = _Writer(module)
    objects = sorted(_members(module), key=lambda item: item._number)
    data = {
        "dt": module.prepared.ticks.rates[0].dt,
        "schedule": list(module._schedule),
        "objects": [writer.object(item) for item in objects],
        "network": [item.name for item in module._objects],
        "record": [[key, writer.value(spec, f"record={{{key!r}: ...}}")] for key, spec in module._specs.items()],
        "learn": [writer.learn(key, held) for key, held in module.learned.items()],
        "gradient": writer.value(module._gradient, "gradient="),
        "options": {name: getattr(module, name) for name in ("batch_first", "checkpoint", "check_finite", "keep")} | {"engine": module._choice.engine},
        "dtype": str(module._like.dtype).removeprefix("torch."),
    }
    return Description(data, writer.arrays)


def _members(module: NetworkModule) -> list[SimulationObject]:
    """The objects of the network, and those outside that they are linked to."""
    return list({item.name: item for item in (*module._objects, *module.prepared.objects.values())}.values())


def named_types() -> dict[str, type]:
    """The classes of values that a file can hold, by name."""
    reductions = [kind for kind in _subclasses(Reduction) if kind.__module__.startswith(__name__.rpartition(".")[0] + ".")]
    return {kind.__name__: kind for kind in (Surrogate, TrueGradient, Margin, *SURROGATES.values(), *reductions)}


def _subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for child in type.__subclasses__(kind):
        yield child
        yield from _subclasses(child)


class _Writer:
    """Collects the arrays while it describes."""

    def __init__(self, module: NetworkModule) -> None:
        self.module, self.arrays = module, {}
        self._types = {kind: name for name, kind in named_types().items()}
        self._learned = module.learned_values()

    arrays: Arrays

    # --------------------------------------------------------------------------------------------------------------------------------------- values
    def value(self, value: Any, where: str) -> Data:
        """Numbers, texts, quantities, arrays, objects of the network, and the classes of this package."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, np.bool_ | np.integer | np.floating):
            return value.item()
        if isinstance(value, VariableOwner):
            return self.place(value)
        if isinstance(value, tuple | list | frozenset):
            items = sorted(value) if isinstance(value, frozenset) else value
            return {"items": [self.value(item, where) for item in items], "kind": type(value).__name__}
        if isinstance(value, Quantity | np.ndarray):
            numbers = np.asarray(asarray_si(value))
            held = numbers.item() if numbers.ndim == 0 else {"array": self.array(where, numbers)}
            return {"value": held, "dimensions": exponents(get_dimensions(value))}
        if isinstance(value, Mapping):
            return {"pairs": [[self.value(key, where), self.value(item, where)] for key, item in value.items()]}
        if type(value) in self._types and is_dataclass(value):
            return {"type": self._types[type(value)], "fields": {f.name: self.value(getattr(value, f.name), where) for f in fields(value)}}
        raise UnsupportedError(f"{where} is {value!r}, which is Python code of your own, and a checkpoint holds none", None, "Save the weights alone.")

    def array(self, name: str, values: np.ndarray) -> str:
        """Keep an array; its name."""
        key = f"array/{len(self.arrays)}/{name}"
        self.arrays[key] = np.ascontiguousarray(values)
        return key

    def place(self, owner: VariableOwner) -> Data:
        """An object, or a part of a group."""
        if isinstance(owner, Subgroup):
            return {"object": owner.source.name, "start": owner.start, "stop": owner.stop}
        return {"object": owner.name}

    # -------------------------------------------------------------------------------------------------------------------------------------- objects
    def object(self, item: SimulationObject) -> Data:
        """One object: what its constructor takes, where it stands in the schedule, its values."""
        if not type(item).__module__.startswith(__name__.partition(".")[0] + "."):
            raise UnsupportedError(f"{item.name!r} is a {type(item).__name__}, a class of your own, and a checkpoint holds no code", None, "Save the weights.")
        data = {"class": type(item).__name__, "name": item.name, "order": item.order, "when": item.when, "active": item.active, **own(item, self)}
        if not isinstance(item, VariableOwner):
            return data
        return data | {
            "constants": self.constants(item),
            "stages": [[stage._when, stage._order, stage.active] for stage in stages_of(item)],
            "codes": [self.code(runner) for runner in getattr(item, "contained_objects", ()) if isinstance(runner, CodeRunner)],
            "links": {name: self.link(target) for name, target in item._links.items()},
            "state": {name: {"array": self.array(f"{item.name}.{name}", values)} for name, values in self.state(item).items()},
        }

    def constants(self, item: VariableOwner) -> Data:
        """The constants and tables over time that the texts use, with the values that the module took."""
        resolved = self.module.prepared.resolved.get(item.name)
        if resolved is None:
            return {}
        found = {name: self.value(self._quantity(resolved.values[name], resolved.model.variable(name).dimensions), name) for name in resolved.constants}
        for name in resolved.functions:
            meaning = meaning_of(name, item.namespace, self.module._names)
            if meaning is ABSENT:
                continue
            if not isinstance(meaning, TimedArray):
                raise UnsupportedError(
                    f"{item.name!r} calls {name}(), a Python function of yours, and a checkpoint holds no code", None, "Save the weights alone."
                )
            found[name] = {"times": self.array(name, meaning.values), "dt": meaning.dt, "dimensions": exponents(meaning.dim)}
        return found

    @staticmethod
    def _quantity(value: float, dimensions: Dimensions) -> Any:
        return value if isinstance(value, bool | np.bool_) else Quantity(value, dimensions)

    def code(self, runner: CodeRunner) -> Data:
        """The arguments of `run_regularly` or `run_on_event`."""
        data = {"code": runner.code, "name": runner.name, "when": runner.when, "order": runner.order, "active": runner.active, "event": runner.event}
        return data | {"group": self.place(runner.group)}

    def link(self, target: Any) -> Data:
        """The arguments of `linked_var`."""
        index = target.index
        data = {"source": target.source.name, "variable": target.name, "first": target.first}
        return data | {"index": {"array": self.array(target.name, index)} if isinstance(index, np.ndarray) else index}

    def state(self, item: VariableOwner) -> Arrays:
        """The values with which the module starts; of what is learned, those learned so far."""
        found = {}
        for name in item.state:
            array = f"{item.name}.{name.removeprefix('_delay_')}.delay" if name.startswith("_delay_") else f"{item.name}.{name}"
            values = self._learned.get(array)
            if values is None:
                values = self._delays(item, name, array) if name.startswith("_delay_") else self.module._constants.get(array, item.state[name])
            found[name] = np.array(values).reshape(item.state[name].shape)
        return found

    def _delays(self, item: VariableOwner, name: str, array: str) -> np.ndarray:
        """The delays, unless they were changed after the module was made: then those that it has."""
        assert isinstance(item, Synapses)
        dt, now = self.module.prepared.ticks.rates[0].dt, item.state[name]
        steps = self.module._constants.get(array, np.zeros(len(item), np.int32))  # without delays, the module has no array for them
        if np.array_equal(np.broadcast_to(item.delay_steps(name.removeprefix("_delay_"), dt), steps.shape), steps):
            return now
        return (steps * dt)[: now.size]

    # ---------------------------------------------------------------------------------------------------------------------------------------- learn
    def learn(self, key: str, held: Held) -> Data:
        """The arguments of `Learn`, as they were worked out."""
        learn, start = held.learn, held.start
        data = {"name": key, "object": learn.owner.name, "variable": learn.variable, "constrain": learn.constrain, "shape": list(start.shape)}
        bounds = [None if bound is None else float(asarray_si(bound)) for bound in learn.bounds or (None, None)]
        arrays = {"share": start.share, "sign": start.sign, "mask": start.mask}
        kept = {name: None if array is None else {"array": self.array(f"{key}.{name}", array)} for name, array in arrays.items()}
        return data | kept | {"bounds": bounds, "scale": held.scale, "trained": held.raw.requires_grad}


def exponents(dimensions: Dimensions) -> list[Any]:
    """The exponents of the base units; fractions as texts."""
    return [value if isinstance(value, int | float) else str(value) for value in dimensions.exponents]


# ------------------------------------------------------------------------------------------------------------------------ what is particular to each class
@singledispatch
def own(item: SimulationObject, writer: _Writer) -> Mapping[str, Data]:
    """The arguments of the constructor that no other class has."""
    raise UnsupportedError(f"a checkpoint cannot hold {item.name!r} ({type(item).__name__})", None, "Save the weights alone.")


@own.register
def _(item: NeuronGroup, writer: _Writer) -> Mapping[str, Data]:
    events = {name: text for name, text in item.events.items() if name != "spike" or item._given["threshold"] is None}
    return {
        "N": len(item),
        "equations": str(item.equations),
        "threshold": item._given["threshold"],
        "reset": item._given["reset"],
        "refractory": writer.value(_pause(item), item.name),
        "events": events,
        **_integration(item),
    }


@own.register
def _(item: InputGroup, writer: _Writer) -> Mapping[str, Data]:
    return {"N": len(item), **_spikes(item, writer)}


@own.register
def _(item: SpikeGeneratorGroup, writer: _Writer) -> Mapping[str, Data]:
    return {"N": len(item), **_spikes(item, writer)}


@own.register
def _(item: PoissonGroup, writer: _Writer) -> Mapping[str, Data]:
    rates = item.equations["rates"].expr
    return {"N": len(item), "rates": None if rates is None else rates.code}


@own.register
def _(item: PoissonInput, writer: _Writer) -> Mapping[str, Data]:
    weight = writer.value(item.weight, f"weight of {item.name}")
    return {"target": writer.place(item.target), "target_var": item.target_var, "N": item.N, "rate": float(asarray_si(item.rate)), "weight": weight}


@own.register
def _(item: Synapses, writer: _Writer) -> Mapping[str, Data]:
    text, index = str(item.equations), item.multisynaptic_index
    shared = [key for key, pathway in item.pathways.items() if pathway.delay_name in item.state and item.state.variables[pathway.delay_name].shared]
    return {
        "source": writer.place(item.source),
        "target": writer.place(item.target),
        "equations": text if index is None else text.removesuffix(f"\n{index} : integer"),
        "multisynaptic_index": index,
        "shared_delays": shared,
        "pathways": [
            {"key": key, "side": p.prepost, "code": p.code, "event": p.event, "when": p.when, "order": p.order, "active": p.active}
            for key, p in item.pathways.items()
        ],
        "summed": [[name, updater.when, updater.order, updater.active] for name, updater in item.summed_updaters.items()],
        **_integration(item),
    }


def _pause(item: NeuronGroup) -> object:
    """The refractory period as it was given: a time or a text."""
    pause = item.model.refractory
    return Quantity(pause.value.value, UNITS["second"]) if pause is not None and isinstance(pause.value, Number) else item.refractory


def _integration(item: NeuronGroup | Synapses) -> dict[str, Data]:
    method = item._given["method"]
    names = [] if method is None else list(method) if isinstance(method, tuple) else [method]
    for one in names:
        if not isinstance(one, str):
            raise UnsupportedError(f"{item.name!r} has the method {one!r}, which is Python code of your own, and a checkpoint holds none", None, "Name one.")
    return {"method": names or None, "method_options": dict(item._given["method_options"])}


def _spikes(item: InputGroup | SpikeGeneratorGroup, writer: _Writer) -> dict[str, Data]:
    table = item._spikes
    held = {"indices": table.indices, "times": table.times}
    return {"spikes": {name: {"array": writer.array(f"{item.name}.{name}", values)} for name, values in held.items()}, "period": table.period}
