"""A module made again from plain data (see `description`). Nothing here runs code: texts go through the parser, names are looked up in closed tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import torch

from codegen.dims import UNITS, Dimensions

from ..clocks import Clock
from ..groups import Group, NeuronGroup
from ..inputs import InputGroup, PoissonGroup, SpikeGeneratorGroup
from ..linked import linked_var
from ..network import Network
from ..objects import SimulationObject, checked_slot
from ..poisson_input import PoissonInput
from ..stages import stages_of
from ..state import VariableOwner
from ..synapses import Synapses
from ..timed_arrays import TimedArray
from ..units import Quantity
from .description import Data, Description, named_types
from .initialising import Start
from .module import NetworkModule
from .parameters import Learn, Stored

_SECOND = UNITS["second"]
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}


def rebuild(description: Description, device: torch.device | str | None = None) -> NetworkModule:
    """The module; its parameters have the right shapes, and values that are still to be loaded."""
    data = description.data
    reader = _Reader(description)
    for one in data["objects"]:
        reader.make(one)
    for one in data["objects"]:
        reader.link(one)
    for one in data["objects"]:
        reader.fill(one)
    network = Network(*(reader.objects[name] for name in data["network"]))
    network.schedule = data["schedule"]
    record = {key: reader.value(spec) for key, spec in data["record"]}
    learn = [reader.learn(one) for one in data["learn"]]
    options = {name: data["options"][name] for name in ("batch_first", "checkpoint", "check_finite", "keep", "engine") if name in data["options"]}
    gradient = reader.value(data["gradient"])
    module = NetworkModule(network, record, learn, gradient, **options, dtype=_DTYPES[data["dtype"]], device=device, namespace={})
    for one in data["learn"]:
        module.learned[one["name"]].raw.requires_grad_(bool(one["trained"]))
    return module


class _Reader:
    """Makes objects, in the order in which they were made first, and finds them again by name."""

    def __init__(self, description: Description) -> None:
        self.arrays, self._types = description.arrays, named_types()
        self.clock = Clock(Quantity(_number(description.data["dt"]), _SECOND))
        self.objects: dict[str, SimulationObject] = {}

    # --------------------------------------------------------------------------------------------------------------------------------------- values
    def value(self, data: Data) -> Any:
        """What `description` was given."""
        match data:
            case None | bool() | int() | float() | str():
                return data
            case {"items": items, "kind": kind}:
                return {"tuple": tuple, "list": list, "frozenset": frozenset}[kind](self.value(item) for item in items)
            case {"pairs": pairs}:
                return {self.value(key): self.value(value) for key, value in pairs}
            case {"type": name, "fields": values}:
                return self._types[name](**{key: self.value(value) for key, value in values.items()})
            case {"value": value, "dimensions": exponents}:
                return Quantity(self.array(value) if isinstance(value, Mapping) else _number(value), dimensions(exponents))
            case {"object": _}:
                return self.place(data)
        raise ValueError(f"cannot be read: {str(data)[:80]}")

    def array(self, data: Mapping[str, str]) -> np.ndarray:
        """An array of the file."""
        return self.arrays[data["array"]]

    def place(self, data: Mapping[str, Any]) -> Any:
        """An object, or a part of a group."""
        owner = self.objects[data["object"]]
        return owner[data["start"] : data["stop"]] if "start" in data and isinstance(owner, Group) else owner

    def constants(self, data: Mapping[str, Data]) -> dict[str, object]:
        """The namespace of an object."""
        found: dict[str, object] = {}
        for name, one in data.items():
            if isinstance(one, Mapping) and "times" in one:
                values = Quantity(self.arrays[one["times"]], dimensions(one["dimensions"]))
                found[name] = TimedArray(values, dt=Quantity(_number(one["dt"]), _SECOND))
            else:
                found[name] = self.value(one)
        return found

    # -------------------------------------------------------------------------------------------------------------------------------------- objects
    def make(self, data: Mapping[str, Data]) -> None:
        """An object by its class: the same arguments as before."""
        item = _MAKERS[data["class"]](self, data)
        item.active, item.when = bool(data["active"]), checked_slot(data["when"])
        self.objects[data["name"]] = item
        if not isinstance(item, VariableOwner):
            return
        for stage, (when, order, active) in zip(stages_of(item), data["stages"], strict=True):
            stage.active = bool(active)
            if when is not None:
                stage.when = when
            if order is not None:
                stage.order = order
        for one in data["codes"]:
            group: Any = self.place(one["group"])
            if one["event"] is None:
                runner = group.run_regularly(one["code"], clock=self.clock, when=one["when"], order=one["order"], name=one["name"])
            else:
                runner = group.run_on_event(one["event"], one["code"], when=one["when"], order=one["order"])
            runner.active = bool(one["active"])

    def common(self, data: Mapping[str, Data], *names: str) -> dict[str, Any]:
        """Arguments that most constructors have, and these others as they stand."""
        return {"clock": self.clock, "order": data["order"], "name": data["name"], **{name: data[name] for name in names}}

    def size(self, data: Mapping[str, Data]) -> int:
        """The number of neurons, which must be that of the values that the file holds: so nobody allocates what the file has not."""
        held = self.array(data["state"]["i"]).size
        if data["N"] != held:
            raise ValueError(f"{data['name']} has {data['N']} neurons, and values for {held}")
        return held

    def link(self, data: Mapping[str, Data]) -> None:
        """The variables that are those of another object."""
        for name, one in data.get("links", {}).items():
            source: Any = self.objects[one["source"]]
            index = self.array(one["index"]) if isinstance(one["index"], Mapping) else one["index"]
            whole = source[one["first"] :] if isinstance(index, str) and one["first"] else source
            setattr(self.objects[data["name"]], name, linked_var(whole, one["variable"], index=index))

    def fill(self, data: Mapping[str, Data]) -> None:
        """The values of all variables."""
        item = self.objects[data["name"]]
        if not isinstance(item, VariableOwner):
            return
        for name, one in data["state"].items():
            values = self.array(one)
            if isinstance(item, Synapses) and name.startswith("_delay_") and name not in item.state:
                item._delay_view(name.removeprefix("_delay_"))
            if isinstance(item, Synapses):
                item.keep_count(name)
            if name not in item.state or item.state[name].shape != values.shape:
                raise ValueError(f"{item.name}.{name} of shape {values.shape} has no place in the network")
            if item.state.variables[name].name not in _INDICES:
                item.state[name] = values

    def learn(self, data: Mapping[str, Data]) -> Learn:
        """What is learned, with constraints as they were worked out."""
        owner: Any = self.objects[data["object"]]
        shape = tuple(int(n) for n in data["shape"])
        share, sign, mask = (None if data[name] is None else self.array(data[name]) for name in ("share", "sign", "mask"))
        plain = Learn(owner, data["variable"])
        dims = plain.declaration.dimensions
        expected = len(owner.state[plain.stored])
        count = prod(shape)
        if (share.shape != (expected,) or share.min() < 0 or share.max() >= count) if share is not None else count != expected:
            raise ValueError(f"{plain.where} has {expected} values, which a parameter of shape {shape} cannot give")
        scale = _number(data["scale"])
        low, high = (None if bound is None else Quantity(_number(bound), dims) for bound in data["bounds"])
        start = Start(shape, np.full(count, scale), scale, share, sign, mask)
        bounds = None if low is None and high is None else (low, high)
        return Learn(owner, data["variable"], bounds=bounds, init=Stored(start), name=data["name"], constrain=data["constrain"])


_INDICES = ("i", "j", "N", "N_pre", "N_post", "N_incoming", "N_outgoing")


def dimensions(exponents: Sequence[Any]) -> Dimensions:
    """Dimensions from the exponents of the base units."""
    return Dimensions(tuple(Fraction(one) if isinstance(one, str) else one for one in exponents))


def _number(value: Any) -> Any:
    if not isinstance(value, bool | int | float):
        raise ValueError(f"{value!r} is not a number")
    return value


# ------------------------------------------------------------------------------------------------------------------------ what is particular to each class
Maker = Callable[[_Reader, Mapping[str, Data]], SimulationObject]


def _neurons(reader: _Reader, data: Mapping[str, Data]) -> SimulationObject:
    return NeuronGroup(
        reader.size(data),
        data["equations"],
        events=data["events"],
        refractory=False if data["refractory"] is None else reader.value(data["refractory"]),
        namespace=reader.constants(data["constants"]),
        method=_method(data),
        **reader.common(data, "threshold", "reset", "method_options"),
    )


def _synapses(reader: _Reader, data: Mapping[str, Data]) -> SimulationObject:
    source, target = reader.place(data["source"]), reader.place(data["target"])
    codes = {side: {p["key"]: p["code"] for p in data["pathways"] if p["side"] == side} for side in ("pre", "post")}
    synapses = Synapses(
        source,
        target,
        data["equations"],
        on_pre=codes["pre"],
        on_post=codes["post"],
        on_event={p["key"]: p["event"] for p in data["pathways"]},
        delay={key: Quantity(0.0, _SECOND) for key in data["shared_delays"]},
        namespace=reader.constants(data["constants"]),
        method=_method(data),
        **reader.common(data, "multisynaptic_index", "method_options"),
    )
    for one in data["pathways"]:
        pathway = synapses.pathways[one["key"]]
        pathway.when, pathway.order, pathway.active = one["when"], one["order"], bool(one["active"])
    for name, when, order, active in data["summed"]:
        updater = synapses.summed_updaters[name]
        updater.when, updater.order, updater.active = when, order, bool(active)
    i, j = (reader.array(data["state"][name]) for name in ("i", "j"))
    if i.size:
        synapses.connect(i=i, j=j)
    return synapses


def _inputs(reader: _Reader, data: Mapping[str, Data]) -> SimulationObject:
    group = InputGroup(reader.size(data), **reader.common(data))
    group.set_spikes(*_spikes(reader, data))
    return group


def _generator(reader: _Reader, data: Mapping[str, Data]) -> SimulationObject:
    indices, times = _spikes(reader, data)
    period = Quantity(_number(data["period"]), _SECOND)
    return SpikeGeneratorGroup(reader.size(data), indices, times, period=period, when=data["when"], **reader.common(data))


def _poisson(reader: _Reader, data: Mapping[str, Data]) -> SimulationObject:
    rates = Quantity(0.0, UNITS["hertz"]) if data["rates"] is None else data["rates"]
    return PoissonGroup(reader.size(data), rates, when=data["when"], namespace=reader.constants(data["constants"]), **reader.common(data))


def _poisson_input(reader: _Reader, data: Mapping[str, Data]) -> SimulationObject:
    rate, weight = Quantity(_number(data["rate"]), UNITS["hertz"]), reader.value(data["weight"])
    return PoissonInput(reader.place(data["target"]), data["target_var"], data["N"], rate, weight, data["when"], data["order"], data["name"])


def _spikes(reader: _Reader, data: Mapping[str, Data]) -> tuple[np.ndarray, Quantity]:
    return reader.array(data["spikes"]["indices"]), Quantity(reader.array(data["spikes"]["times"]), _SECOND)


def _method(data: Mapping[str, Data]) -> Any:
    names = data["method"]
    if names is None:
        return None
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"method {names!r} is not a list of names")
    return names[0] if len(names) == 1 else names


_MAKERS: dict[str, Maker] = {
    "NeuronGroup": _neurons,
    "Synapses": _synapses,
    "InputGroup": _inputs,
    "SpikeGeneratorGroup": _generator,
    "PoissonGroup": _poisson,
    "PoissonInput": _poisson_input,
}
