"""Graphs of the Neuromorphic Intermediate Representation (NIR) as modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from codegen.dims import UNITS
from codegen.errors import UnsupportedError

from ..clocks import Clock
from ..groups import Group, NeuronGroup
from ..inputs import InputGroup
from ..network import Network
from ..synapses import Synapses
from ..units import Quantity
from .gradients import Gradient, Surrogate
from .layers import OverTime
from .module import NetworkModule
from .neuron import NeuronModule
from .nir_export import MADE_BY, nir_package
from .parameters import Learn

_SECOND = UNITS["second"]
_TIMES = frozenset({"tau", "tau_mem", "tau_syn"})


@dataclass(frozen=True, slots=True)
class _Family:
    """Neurons whose input is held over a step (`J`), and the same where synapses add pulses of one step to `entry`."""

    held: str
    pulsed: str
    parameters: tuple[str, ...]
    unused: tuple[str, ...]  # by the pulsed form: they are in `pulse`
    entry: str
    pulse: Callable[[Mapping[str, np.ndarray], float], np.ndarray]


_FAMILIES = {
    "LI": _Family(
        "dv/dt = (v_leak - v + r*J)/tau : 1", "dv/dt = (v_leak - v)/tau : 1", ("tau", "r", "v_leak"), ("r",), "v", lambda p, dt: p["r"] / (p["tau"] / dt)
    ),
    "I": _Family("dv/dt = r*J/second : 1", "dv/dt = 0/second : 1", ("r",), ("r",), "v", lambda p, dt: p["r"] / (1 / dt)),
    "CubaLI": _Family(
        "dv/dt = (v_leak - v + r*I)/tau_mem : 1\ndI/dt = (w_in*J - I)/tau_syn : 1",
        "dv/dt = (v_leak - v + r*I)/tau_mem : 1\ndI/dt = -I/tau_syn : 1",
        ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
        ("w_in",),
        "I",
        lambda p, dt: p["w_in"] / (p["tau_syn"] / dt),
    ),
}
_NEURONS = {f"{name}{firing}": family for name, family in _FAMILIES.items() for firing in ("", "F")}
_WEIGHTS = ("Linear", "Affine")


def from_nir(
    graph: Any,
    dt: Any = None,
    *,
    method: str | None = None,
    gradient: Gradient = Surrogate(),  # noqa: B008  frozen
    learn: Sequence[str] = ("w",),
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """The module that a graph of NIR describes.

    Parameters
    ----------
    graph : nir.NIRGraph, or str or path
        A path is read with `nir.read`.
    dt : Quantity, optional
        Step of time; that of the graph's metadata if left out. NIR itself has none.
    method : str, optional
        How neurons are integrated: by default as the metadata say, else 'exact', which solves NIR's equations under inputs held over a step. Tools that
        integrate by steps (`v += dt/tau*(v_leak - v + r*S)`) are matched by 'euler'.
    gradient : Surrogate or TrueGradient
    learn : sequence of str
        Parameters that are learned, wherever neurons or synapses have them: `w`, `tau`, `tau_mem`, `tau_syn`, `r`, `v_leak`, `v_threshold`, `v_reset`.
        Weights of torch layers are parameters in any case.
    dtype, device : as for NetworkModule

    Returns
    -------
    torch.nn.Sequential or NetworkModule
        Layers, if nodes follow each other (with recurrent weights from neurons to themselves, which act a step later); else, and for what was a
        NetworkModule, a network of groups and synapses with the names of the nodes. There, what a spike adds is a pulse of one step (see `to_nir`).

    Raises
    ------
    UnsupportedError
        For what has no counterpart, by the name of the node.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, torch
    >>> layer = bnn.NeuronModule(4, 'dv/dt = (J - v)/(10*ms) : 1\\nJ : 1 (input)', threshold='v > 1', reset='v = 0', method='exact')
    >>> again = bnn.from_nir(bnn.to_nir(layer))
    >>> x = 3*torch.rand(50, 2, 4)
    >>> torch.equal(again(x), layer(x))
    True
    """
    nir = nir_package()
    found = graph if isinstance(graph, nir.NIRGraph) else nir.read(graph)
    metadata = found.metadata if isinstance(found.metadata, Mapping) else {}
    known = _text(metadata.get("made_by")) == MADE_BY
    if dt is None and known and float(metadata.get("dt", 0.0)) > 0:
        dt = Quantity(float(metadata["dt"]), _SECOND)
    nodes, edges = _unfold(found)
    plan = _Plan(nodes, edges, dt, method, gradient, tuple(learn), dtype, device)
    chain = None if known and _text(metadata.get("made_from")) == "network" else plan.chain()
    return plan.layers(chain) if chain is not None else plan.network()


def _unfold(graph: Any, prefix: str = "") -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The nodes and edges of a graph with those of the graphs in it: their inputs and outputs become plain edges."""
    nodes: dict[str, Any] = {}
    edges = [(f"{prefix}{a}", f"{prefix}{b}") for a, b in graph.edges]
    for name, node in graph.nodes.items():
        if type(node).__name__ != "NIRGraph":
            nodes[f"{prefix}{name}"] = node
            continue
        inner, wires = _unfold(node, f"{prefix}{name}_")
        ports = {kind: [key for key, one in inner.items() if type(one).__name__ == kind] for kind in ("Input", "Output")}
        if any(len(keys) != 1 for keys in ports.values()):
            counts = f"{len(ports['Input'])} inputs and {len(ports['Output'])} outputs"
            raise UnsupportedError(f"the graph in node {prefix + name!r} has {counts} instead of one each")
        edges = [(ports["Output"][0] if a == prefix + name else a, ports["Input"][0] if b == prefix + name else b) for a, b in edges]
        edges += wires
        nodes |= inner
    if not prefix:
        for name in [key for key, one in nodes.items() if type(one).__name__ in ("Input", "Output")]:
            before, after = [a for a, b in edges if b == name], [b for a, b in edges if a == name]
            if before and after:  # a port of a graph inside
                edges = [edge for edge in edges if name not in edge] + [(a, b) for a in before for b in after]
                del nodes[name]
    return nodes, edges


@dataclass(frozen=True, slots=True)
class _Neurons:
    """What a node of neurons becomes: equations, and the values of their parameters."""

    equations: str
    threshold: str | None
    reset: str | None
    values: dict[str, Any]
    output: str
    method: str
    shape: tuple[int, ...]
    entry: str
    pulse: np.ndarray

    def group(self, name: str, clock: Clock) -> NeuronGroup:
        """Them as a group."""
        group = NeuronGroup(int(np.prod(self.shape)), self.equations, self.method, threshold=self.threshold, reset=self.reset, clock=clock, name=name)
        for variable, value in self.values.items():
            setattr(group, variable, value)
        return group


@dataclass(slots=True)
class _Plan:
    nodes: dict[str, Any]
    edges: list[tuple[str, str]]
    dt: Any
    method: str | None
    gradient: Gradient
    learn: tuple[str, ...]
    dtype: torch.dtype | None
    device: Any

    def kind(self, name: str) -> str:
        return type(self.nodes[name]).__name__

    def before(self, name: str) -> list[str]:
        return [a for a, b in self.edges if b == name]

    def after(self, name: str) -> list[str]:
        return [b for a, b in self.edges if a == name]

    # --------------------------------------------------------------------------------------------------------------------------------------- neurons
    def neurons(self, name: str, held: bool) -> _Neurons:
        """The neurons of a node; `held`: their input is a variable that is held over a step, otherwise what synapses add."""
        node, family, firing = self.nodes[name], _NEURONS[self.kind(name)], self.kind(name).endswith("F")
        wanted = (*family.parameters, *(("v_threshold", "v_reset") if firing else ()))
        given = {one: np.asarray(getattr(node, one), np.float64) for one in wanted}
        shape = np.broadcast_shapes(*(value.shape for value in given.values()))
        flat = {one: np.broadcast_to(value, shape).reshape(-1).copy() for one, value in given.items()}
        kept = {one: value for one, value in flat.items() if held or one not in family.unused}
        lines = [family.held, "J : 1 (input)"] if held else [family.pulsed]
        lines += [f"{one} : {'second' if one in _TIMES else '1'}" for one in kept]
        metadata = node.metadata if isinstance(node.metadata, Mapping) else {}
        values: dict[str, Any] = {one: Quantity(value, _SECOND) if one in _TIMES else value for one, value in kept.items()}
        values |= {variable: np.asarray(metadata[f"initial_{variable}"]) for variable in ("v", "I") if f"initial_{variable}" in metadata}
        return _Neurons(
            "\n".join(lines),
            "v > v_threshold" if firing else None,
            "v = v_reset" if firing else None,
            values,
            "spikes" if firing else "v",
            self.method or _text(metadata.get("method")) or "exact",
            shape or (1,),
            family.entry,
            family.pulse(flat, self.step(name)),
        )

    def step(self, name: str) -> float:
        """The step of time in seconds."""
        if self.dt is None:
            raise ValueError(f"NIR has no step of time, and the neurons of {name!r} need one: give from_nir(graph, dt=...)")
        return float(Clock(self.dt).dt_)

    # ---------------------------------------------------------------------------------------------------------------------------------------- layers
    def chain(self) -> list[tuple[str, str | None]] | None:
        """Nodes that follow each other, each with the node of its recurrent weights; None where they do not."""
        starts, ends = [name for name in self.nodes if self.kind(name) == "Input"], [name for name in self.nodes if self.kind(name) == "Output"]
        if len(starts) != 1 or len(ends) != 1:
            return None
        loops: dict[str, str] = {}
        for name in self.nodes:
            around = self.before(name)
            if self.kind(name) in _WEIGHTS and len(around) == 1 and self.after(name) == around and self.kind(around[0]) in _NEURONS:
                loops[around[0]] = name
        found: list[tuple[str, str | None]] = []
        at = starts[0]
        while at != ends[0]:
            following = [name for name in self.after(at) if name != loops.get(at)]
            if len(following) != 1 or len([a for a in self.before(following[0]) if a != loops.get(following[0])]) != 1 or len(found) > len(self.nodes):
                return None
            at = following[0]
            found.append((at, loops.get(at)))
        used = {starts[0], *(name for pair in found for name in pair if name)}
        if used != set(self.nodes) or any(self.kind(name) == "Delay" for name in used):
            return None
        return found[:-1]

    def layers(self, chain: list[tuple[str, str | None]]) -> nn.Sequential:
        """A Sequential of torch layers and neurons."""
        made: list[nn.Module] = []
        for name, loop in chain:
            if self.kind(name) in _NEURONS:
                made.append(self.layer(name, loop))
                continue
            maker = _LAYERS.get(self.kind(name))
            if maker is None:
                raise UnsupportedError(f"the node {name!r} ({self.kind(name)}) has no counterpart here")
            made.append(maker(self.nodes[name]).to(dtype=self.dtype or torch.get_default_dtype(), device=self.device))
        return nn.Sequential(*made)

    def layer(self, name: str, loop: str | None) -> NeuronModule:
        """Neurons as a layer."""
        neurons = self.neurons(name, held=True)
        known = [one for one in self.learn if one in neurons.values]
        recurrent = None if loop is None else _weights(self.nodes[loop])
        shape = neurons.shape if len(neurons.shape) > 1 else neurons.shape[0]
        return NeuronModule(
            shape, neurons.equations, neurons.threshold, neurons.reset, False, neurons.method, learn=known, parameters=neurons.values, gradient=self.gradient,
            output=neurons.output, recurrent=recurrent, dt=self.dt, dtype=self.dtype or torch.get_default_dtype(), device=self.device, namespace={},
        )  # fmt: skip

    # --------------------------------------------------------------------------------------------------------------------------------------- network
    def network(self) -> NetworkModule:
        """Groups and synapses."""
        clock = Clock(Quantity(self.step(next(iter(self.nodes))), _SECOND))
        fed = {b for a, b in self.edges if self.kind(a) == "Input" and self.kind(b) in _NEURONS}
        groups: dict[str, Group] = {}
        neurons: dict[str, _Neurons] = {}
        for name in self.nodes:
            if self.kind(name) == "Input" and not set(self.after(name)) <= fed:
                shape = np.atleast_1d(np.asarray(self.nodes[name].input_type["input"]))
                groups[name] = InputGroup(int(np.prod(shape)), name=name, clock=clock)
            elif self.kind(name) in _NEURONS:
                if name in fed and len(self.before(name)) > 1:
                    raise UnsupportedError(f"the neurons {name!r} have an input of the graph and others; give it weights of its own")
                neurons[name] = self.neurons(name, held=name in fed)
                groups[name] = neurons[name].group(name, clock)
            elif self.kind(name) not in ("Input", "Output", "Delay", "Linear"):
                hint = "Its bias can be a weight from an input that is always 1." if self.kind(name) == "Affine" else None
                raise UnsupportedError(f"the node {name!r} ({self.kind(name)}) has no counterpart among groups and synapses", None, hint)
        synapses = [made for name in self.nodes if self.kind(name) == "Linear" for made in self.pathways(name, groups, neurons)]
        record: dict[str, Any] = {}
        for name in self.nodes:
            for source in self.before(name) if self.kind(name) == "Output" else ():
                if source not in neurons:
                    raise UnsupportedError(f"the output {name!r} is not that of neurons")
                record[name] = groups[source] if neurons[source].output == "spikes" else (groups[source], "v")
        learned = [Learn(item, one) for item in (*groups.values(), *synapses) for one in self.learn if one in item.state and item.state[one].any()]
        network = Network(*groups.values(), *synapses)
        return NetworkModule(network, record, learned, self.gradient, dtype=self.dtype, device=self.device, namespace={})

    def pathways(self, name: str, groups: Mapping[str, Group], neurons: Mapping[str, _Neurons]) -> list[Synapses]:
        """Synapses for a node of weights, from each of its sources to each of its targets."""
        weight = np.asarray(self.nodes[name].weight, np.float64)
        made: list[Synapses] = []
        for before in self.before(name):
            delay, source = (None, before) if self.kind(before) != "Delay" else (np.asarray(self.nodes[before].delay, np.float64), self.before(before)[0])
            for target in self.after(name):
                if source not in groups or target not in neurons:
                    raise UnsupportedError(f"the weights {name!r} lead from {source!r} to {target!r}, which are not both neurons or inputs")
                known = neurons[target]
                called = f"{name}_{len(made)}" if made else name
                one = Synapses(groups[source], groups[target], "w : 1", on_pre=f"{known.entry}_post += w", clock=groups[target].clock, name=called)
                one.connect()
                one.w = (weight.T * known.pulse).ravel()
                if delay is not None:
                    one.delay = Quantity(np.repeat(np.broadcast_to(delay.reshape(-1), (weight.shape[1],)), weight.shape[0]), _SECOND)
                made.append(one)
        return made


# ----------------------------------------------------------------------------------------------------------------------------------------- torch layers
def _weights(node: Any) -> nn.Module:
    weight = torch.from_numpy(np.array(node.weight, np.float64))
    bias = getattr(node, "bias", None)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=torch.float64)
    return _filled(layer, weight, bias)


def _filled(layer: Any, weight: torch.Tensor, bias: Any) -> nn.Module:
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(np.array(bias, np.float64)))
    found: nn.Module = layer
    return found


def _plain(value: Any) -> Any:
    """A number, text or tuple, as torch's constructors take it."""
    if isinstance(value, str | bytes):
        return _text(value)
    array = np.asarray(value)
    return int(array) if array.ndim == 0 else tuple(int(one) for one in array)


def _convolution(node: Any) -> nn.Module:
    weight = torch.from_numpy(np.array(node.weight, np.float64))
    kind: Any = nn.Conv1d if weight.dim() == 3 else nn.Conv2d
    options = {name: _plain(getattr(node, name)) for name in ("stride", "padding", "dilation", "groups")}
    layer = kind(weight.shape[1] * options["groups"], weight.shape[0], tuple(weight.shape[2:]), dtype=torch.float64, **options)
    return OverTime(_filled(layer, weight, node.bias))


def _pool(node: Any) -> nn.Module:
    divisor = 1 if type(node).__name__ == "SumPool2d" else None
    return OverTime(nn.AvgPool2d(_plain(node.kernel_size), _plain(node.stride), _plain(node.padding), divisor_override=divisor))


def _flatten(node: Any) -> nn.Module:
    start, end = _plain(node.start_dim), _plain(node.end_dim)
    return OverTime(nn.Flatten(start + 1 if start >= 0 else start, end + 1 if end >= 0 else end))


_LAYERS: dict[str, Any] = {
    "Linear": _weights,
    "Affine": _weights,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "AvgPool2d": _pool,
    "SumPool2d": _pool,
    "Flatten": _flatten,
}


def _text(value: Any) -> str:
    """Text as files give it back."""
    return value.decode() if isinstance(value, bytes) else "" if value is None else str(value)
