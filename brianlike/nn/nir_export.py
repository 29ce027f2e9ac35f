"""Modules as graphs of the Neuromorphic Intermediate Representation (NIR), for other simulators and for chips (Pedersen et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from codegen.errors import UnsupportedError
from codegen.ir import Deliver, Map, Role

from ..groups import Group, NeuronGroup
from ..inputs import InputGroup
from .forms import Form, form_of
from .layers import OverTime
from .module import NetworkModule
from .neuron import NeuronModule
from .recording import Margin, Reduction, parts

MADE_BY = "brianlike"


def to_nir(module: nn.Module, input_shape: Sequence[int] | None = None, outputs: Sequence[str] | None = None) -> Any:
    """A module as a `nir.NIRGraph`, with the values learned so far.

    Parameters
    ----------
    module : NetworkModule, NeuronModule, or torch.nn.Sequential of NeuronModules and torch layers
        Neurons must be those that NIR knows (see `brianlike.nn.forms`), recognised by the algebra of their equations; synapses must add constant amounts.
        Delays become nodes, one for each distinct delay of a pathway.
    input_shape : sequence of int, optional
        The shape of one step of one sample, where the first layer does not tell: convolutions, pools.
    outputs : sequence of str, optional
        Of a NetworkModule, which entries of its record are outputs of the graph; by default all that NIR can express: spikes, and potentials of neurons that
        do not spike.

    Returns
    -------
    nir.NIRGraph
        `nir.write(path, graph)` writes it. NIR has no step of time, no method and no initial state; `metadata` keeps them for `from_nir`.

    Raises
    ------
    UnsupportedError
        If NIR cannot express something; it says what. Nothing is approximated.

    Notes
    -----
    NIR's equations are continuous. A spike counts as a pulse of height 1 that lasts one step, as tools that integrate by steps have it: an `on_pre` of
    `v_post += w` becomes a weight w into a LIF neuron with r = tau/dt, `I_post += w` one into a CubaLIF neuron with w_in = tau_syn/dt.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn, torch
    >>> layer = bnn.NeuronModule(4, 'dv/dt = (J - v)/(10*ms) : 1\\nJ : 1 (input)', threshold='v > 1', reset='v = 0', method='exact')
    >>> graph = bnn.to_nir(torch.nn.Sequential(torch.nn.Linear(3, 4), layer))
    >>> sorted(graph.nodes)
    ['input', 'layer_0', 'layer_1', 'output']
    >>> graph.nodes['layer_1'].tau
    array([0.01, 0.01, 0.01, 0.01])
    """
    if isinstance(module, NetworkModule):
        return _Network(module, outputs).graph()
    if isinstance(module, NeuronModule | nn.Sequential | OverTime):
        return _Chain(input_shape).graph(module)
    raise UnsupportedError(f"to_nir takes a NetworkModule, a NeuronModule or a torch.nn.Sequential, not {type(module).__name__}")


def nir_package() -> Any:
    """The package `nir`, with a hint where it is missing."""
    try:
        import nir
    except ImportError as error:
        raise ImportError("graphs of NIR need the package nir: pip install 'brianlike[nir]'") from error
    return nir


class _Graph:
    """Nodes and edges while they are collected."""

    def __init__(self) -> None:
        self.nir = nir_package()
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []

    def add(self, name: str, node: Any, *before: str) -> str:
        """A node behind others; its name."""
        assert name not in self.nodes, name
        self.nodes[name] = node
        self.edges += [(one, name) for one in before]
        return name

    def neuron(self, form: Form, shape: Sequence[int], metadata: Mapping[str, Any]) -> Any:
        """A node for neurons."""
        values = {name: value.reshape(tuple(shape)) for name, value in form.values.items()}
        return getattr(self.nir, form.kind)(**values, metadata=dict(metadata))

    def build(self, made_from: str, dt: float) -> Any:
        """The graph."""
        return self.nir.NIRGraph(nodes=self.nodes, edges=self.edges, metadata={"made_by": MADE_BY, "made_from": made_from, "dt": dt})


def _metadata(module: NetworkModule, group: Group, form: Form) -> dict[str, Any]:
    """What NIR has no place for: the method, and initial states that are not 0."""
    initial = {**module._constants, **module.learned_values()}
    found: dict[str, Any] = {"method": str(module.prepared.compiled[group.name].method)}
    for name, variable in (("v", form.potential), ("I", form.current)):
        values = None if variable is None else initial[f"{group.name}.{variable}"]
        if values is not None and values.any():
            found[f"initial_{name}"] = np.broadcast_to(values, (len(group),)).copy()
    return found


# ----------------------------------------------------------------------------------------------------------------------------------- layers, one by one
class _Chain(_Graph):
    """Layers that follow each other."""

    def __init__(self, input_shape: Sequence[int] | None) -> None:
        super().__init__()
        self.shape = None if input_shape is None else tuple(input_shape)
        self.last = ""
        self.dt: float | None = None

    def graph(self, module: nn.Module) -> Any:
        """The graph of a chain of layers."""
        layers = _flat(module, 2)
        for place, (layer, axes) in enumerate(layers):
            self._layer(f"layer_{place}", layer, axes)
        if not self.last or self.shape is None:
            raise UnsupportedError("there is no layer that NIR could express")
        self.add("output", self.nir.Output(output_type={"output": np.array(self.shape)}), self.last)
        return self.build("layers", self.dt or 0.0)

    def _begin(self, shape: Sequence[int]) -> None:
        """The input, once a layer tells its shape."""
        if self.shape is None:
            self.shape = tuple(shape)
        if not self.last:
            self.last = self.add("input", self.nir.Input(input_type={"input": np.array(self.shape)}))

    def _layer(self, name: str, layer: nn.Module, axes: int) -> None:
        if isinstance(layer, nn.Dropout | nn.Identity):  # the identity, once trained
            return
        if isinstance(layer, NeuronModule):
            self._neurons(name, layer)
            return
        maker = _LAYERS.get(type(layer))
        if maker is None:
            hint = "Fold it into the weights of the layer before it." if isinstance(layer, nn.modules.batchnorm._BatchNorm) else None
            raise UnsupportedError(f"NIR cannot express {type(layer).__name__} ({name})", None, hint)
        if self.shape is None and not isinstance(layer, nn.Linear):
            raise UnsupportedError(f"the shape that {name} ({type(layer).__name__}) is given is not known", None, "Give to_nir(module, input_shape=(...)).")
        self._begin((layer.in_features,) if isinstance(layer, nn.Linear) else ())
        assert self.shape is not None
        node = maker(self.nir, layer, self.shape, axes)
        weight = next(layer.parameters(), torch.zeros(()))
        with torch.no_grad():
            self.shape = tuple(layer(torch.zeros([1] * axes + [*self.shape], dtype=weight.dtype, device=weight.device)).shape[axes:])
        self.last = self.add(name, node, self.last)

    def _neurons(self, name: str, layer: NeuronModule) -> None:
        self._begin(layer.shape)
        form = form_of(layer.network, layer.group, _only_input(layer))
        dt = layer.network.prepared.ticks.rates[0].dt
        if self.dt not in (None, dt):
            raise UnsupportedError(f"{name} has a step of {dt:g} s, and a layer before it {self.dt:g} s")
        expected = "spikes" if form.kind.endswith("F") else form.potential
        if layer.output != expected:
            raise UnsupportedError(f"{name} hands on {layer.output!r}, and a {form.kind} neuron of NIR hands on {expected!r}")
        self.dt, self.shape = dt, layer.shape
        node = self.neuron(form, layer.shape, _metadata(layer.network, layer.group, form))
        self.last = self.add(name, node, self.last)
        for variable, back in layer.recurrent.items():
            if not isinstance(back, nn.Linear) or len(layer.shape) > 1:
                raise UnsupportedError(f"NIR cannot express the recurrent layer {type(back).__name__} of {name}.{variable}", None, "Use torch.nn.Linear.")
            self.add(f"{name}_recurrent", _linear(self.nir, back, layer.shape, 1), name)
            self.edges.append((f"{name}_recurrent", name))


def _only_input(layer: NeuronModule) -> str:
    names = [v.name for v in layer.group.model.variables if v.role is Role.INPUT]
    if len(names) != 1:
        raise UnsupportedError(f"{layer.group.name!r} has the inputs {', '.join(names)}, and neurons of NIR have one")
    return names[0]


def _flat(module: nn.Module, axes: int) -> list[tuple[nn.Module, int]]:
    """The layers in order, each with the number of axes before those of a sample."""
    if isinstance(module, nn.Sequential):
        return [one for layer in module for one in _flat(layer, axes)]
    if isinstance(module, OverTime):
        return _flat(module.layers, 1)
    return [(module, axes)]


def _array(value: torch.Tensor) -> np.ndarray:
    return value.detach().to("cpu", torch.float64).numpy().copy()


def _linear(nir: Any, layer: Any, shape: Sequence[int], axes: int) -> Any:
    return nir.Linear(weight=_array(layer.weight)) if layer.bias is None else nir.Affine(weight=_array(layer.weight), bias=_array(layer.bias))


def _convolution(nir: Any, layer: Any, shape: Sequence[int], axes: int) -> Any:
    if layer.padding_mode != "zeros":
        raise UnsupportedError(f"NIR cannot express a convolution with padding_mode={layer.padding_mode!r}")
    if layer.groups != 1:
        raise UnsupportedError(f"NIR cannot express a convolution in {layer.groups} groups: its types take the input channels of one group for those of all")
    if len(set(layer.kernel_size)) > 1:
        raise UnsupportedError(f"NIR cannot express a convolution with the kernel {tuple(layer.kernel_size)}: its types take all sides for equal")
    flat = isinstance(layer, nn.Conv1d)

    def plain(value: Any) -> Any:
        return value if isinstance(value, str) else value[0] if flat else tuple(value)

    bias = np.zeros(layer.out_channels) if layer.bias is None else _array(layer.bias)
    kind = nir.Conv1d if flat else nir.Conv2d
    return kind(
        input_shape=shape[1] if flat else tuple(shape[1:]),
        weight=_array(layer.weight),
        stride=plain(layer.stride),
        padding=plain(layer.padding),
        dilation=plain(layer.dilation),
        groups=layer.groups,
        bias=bias,
    )


def _pool(nir: Any, layer: Any, shape: Sequence[int], axes: int) -> Any:
    pair: Callable[[Any], np.ndarray] = lambda value: np.array([value, value] if isinstance(value, int) else value)  # noqa: E731
    if layer.ceil_mode or not layer.count_include_pad or layer.divisor_override not in (None, 1):
        raise UnsupportedError("NIR cannot express AvgPool2d with ceil_mode, count_include_pad=False or a divisor")
    kind = nir.AvgPool2d if layer.divisor_override is None else nir.SumPool2d
    return kind(kernel_size=pair(layer.kernel_size), stride=pair(layer.stride), padding=pair(layer.padding))


def _flatten(nir: Any, layer: Any, shape: Sequence[int], axes: int) -> Any:
    start, end = (place - axes if place >= 0 else place for place in (layer.start_dim, layer.end_dim))
    if start < 0:
        raise UnsupportedError(f"NIR cannot express a Flatten that begins at axis {layer.start_dim}: time and batch are no part of a sample")
    return nir.Flatten(input_type={"input": np.array(shape)}, start_dim=start, end_dim=end)


_LAYERS: dict[type, Callable[[Any, Any, Sequence[int], int], Any]] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.AvgPool2d: _pool,
    nn.Flatten: _flatten,
}


# ------------------------------------------------------------------------------------------------------------------------------- groups and synapses
class _Network(_Graph):
    """A network of groups and synapses."""

    def __init__(self, module: NetworkModule, outputs: Sequence[str] | None) -> None:
        super().__init__()
        self.module, self.outputs = module, outputs
        self.dt = module.prepared.ticks.rates[0].dt

    def graph(self) -> Any:
        """The graph of a network."""
        reached = self._pathways()
        forms: dict[str, Form] = {}
        for item in self.module.objects:
            if isinstance(item, InputGroup):
                self.add(item.name, self.nir.Input(input_type={"input": np.array([len(item)])}))
            elif isinstance(item, NeuronGroup):
                forms[item.name] = self._group(item, reached.get(item.name, set()))
            elif isinstance(item, Group):
                raise UnsupportedError(f"NIR cannot express {item.name!r} ({type(item).__name__})", None, "Feed its spikes through an InputGroup.")
        self._outputs(forms)
        return self.build("network", self.dt)

    def _group(self, group: NeuronGroup, reached: set[str]) -> Form:
        inputs = [v.name for v in group.model.variables if v.role is Role.INPUT]
        entries = sorted({*reached, *inputs})
        if len(entries) > 1:
            raise UnsupportedError(f"{group.name!r} gets input through {' and '.join(entries)}, and neurons of NIR have one input")
        entry = entries[0] if entries else next((flow.variable for flow in group.model.flows[-1:]), "")
        form = form_of(self.module, group, entry)
        self.nodes[group.name] = self.neuron(form, (len(group),), _metadata(self.module, group, form))
        for name in inputs:
            self.add(f"{group.name}_{name}", self.nir.Input(input_type={"input": np.array([len(group)])}))
            self.edges.append((f"{group.name}_{name}", group.name))
        return form

    def _pathways(self) -> dict[str, set[str]]:
        """Nodes for all synapses; for each group, the variables to which they add."""
        engine = self.module._engines[()]
        with torch.no_grad():
            matrices = engine.set_up(self.module._initial_values()).matrices
        maps = [kernel for kernel in engine.program.kernels if isinstance(kernel, Map)]
        applied = {load.array: one.stores[0].array for one in maps for load in one.loads if load.array != one.stores[0].array}
        reached: dict[str, set[str]] = {}
        for name, delivery in engine.deliveries.items():
            if name not in matrices:
                raise UnsupportedError(f"NIR cannot express the pathway {name!r}: what it adds is not constant")
            accumulator = delivery.kernel.stores[0].array
            group, _, variable = applied.get(accumulator, accumulator).partition(".")
            reached.setdefault(group, set()).add(variable)
            self._pathway(delivery.kernel, group, matrices[name])
        return reached

    def _pathway(self, kernel: Deliver, group: str, matrices: Sequence[tuple[int, torch.Tensor, Any]]) -> None:
        source, stem = kernel.events.partition(".")[0], kernel.name.replace(".", "_")
        for delay, matrix, _ in matrices:
            weight = _array(matrix).T
            if not weight.any() and len(matrices) > 1:
                continue
            before = source
            if delay:
                before = self.add(f"{stem}_delay_{delay}", self.nir.Delay(delay=np.full(weight.shape[1], delay * self.dt)), source)
            self.add(f"{stem}_{delay}" if len(matrices) > 1 else stem, self.nir.Linear(weight=weight), before)
            self.edges.append((f"{stem}_{delay}" if len(matrices) > 1 else stem, group))

    def _outputs(self, forms: Mapping[str, Form]) -> None:
        """Nodes for what is recorded."""
        wanted = self.module._specs if self.outputs is None else {key: self.module._specs[key] for key in self.outputs}
        for key, spec in wanted.items():
            owner, variable, _ = parts(spec)
            form = forms.get(owner.name)
            handed = None if form is None else "_spike" if form.kind.endswith("F") else form.potential
            if isinstance(spec, Reduction | Margin) or variable != handed:
                if self.outputs is not None:
                    raise UnsupportedError(f"NIR cannot express the output {key!r}: a node hands on its spikes, or its potential if it has no threshold")
                continue
            node = self.nir.Output(output_type={"output": np.array([len(owner)])})
            self.add(f"output_{key}" if key in self.nodes else key, node, owner.name)
        if not any(isinstance(node, self.nir.Output) for node in self.nodes.values()):
            hint = "Record the spikes of a group, or the potential of a readout."
            raise UnsupportedError("nothing that is recorded is an output that NIR can express", None, hint)
