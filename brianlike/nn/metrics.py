"""Numbers about activity and cost. Accuracies and confusion matrices: torchmetrics. Analysis of lists of spikes (synchrony, Fano factor, ...): elephant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import torch

from ..clocks import defaultclock, seconds
from ..subgroups import Subgroup
from ..synapses import Synapses
from .choice import WORTHWHILE
from .module import NetworkModule


def firing_rate(spikes: torch.Tensor, dt: Any = None) -> torch.Tensor:
    """Spikes per second of each neuron.

    Parameters
    ----------
    spikes : tensor, shape (T, ..., N)
    dt : Quantity, optional
        Step (s); that of the default clock unless given.

    Returns
    -------
    tensor, shape (..., N)
        In hertz.

    Examples
    --------
    >>> from brianlike import ms
    >>> firing_rate(torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]).double(), dt=1*ms).tolist()
    [500.0, 250.0]
    """
    return spikes.mean(0) / (defaultclock.dt_ if dt is None else seconds(dt, "dt"))


def interval_cv(spikes: torch.Tensor) -> torch.Tensor:
    """The coefficient of variation of each neuron's interspike intervals: 0 for a clock, 1 for a Poisson process; NaN with fewer than two intervals.

    Parameters
    ----------
    spikes : tensor, shape (T, ..., N)

    Returns
    -------
    tensor, shape (..., N)
        Standard deviation over mean, as `scipy.stats.variation` and `elephant.statistics.cv` have it.

    Examples
    --------
    >>> spikes = torch.zeros(100, 2)
    >>> spikes[::10, 0] = 1
    >>> interval_cv(spikes)
    tensor([0., nan])
    """
    trains = (spikes != 0).flatten(1).T
    neuron, step = trains.nonzero(as_tuple=True)
    same = neuron[1:] == neuron[:-1]
    owner, interval = neuron[1:][same], (step[1:] - step[:-1])[same].double()
    empty = interval.new_zeros(len(trains))
    number = empty.index_add(0, owner, torch.ones_like(interval))
    mean = empty.index_add(0, owner, interval) / number
    variance = empty.index_add(0, owner, (interval - mean[owner]).square()) / number
    cv = torch.where(number >= 2, variance.sqrt() / mean, torch.nan)
    return cv.to(spikes.dtype if spikes.is_floating_point() else torch.get_default_dtype()).reshape(spikes.shape[1:])


def sparseness(rates: torch.Tensor, dim: int = 0) -> torch.Tensor:
    """How unevenly activity is spread along an axis: 0 if all are equally active, 1 if one alone is.

    Over stimuli (the batch) it is each neuron's lifetime sparseness, over neurons the population sparseness of each stimulus. The two say different things
    (Willmore and Tolhurst 2001), so report both.

    Parameters
    ----------
    rates : tensor
        Rates or counts, such as `Count(group)` records, of shape (B, N).
    dim : int
        0 for lifetime, -1 for population sparseness.

    Notes
    -----
    `(1 - (sum(r)/n)**2/(sum(r**2)/n))/(1 - 1/n)`; NaN where all are silent. Source: W. E. Vinje and J. L. Gallant (2000), Sparse coding and decorrelation in
    primary visual cortex during natural vision, Science 287:1273, after A. Treves and E. T. Rolls (1991).

    Examples
    --------
    >>> sparseness(torch.tensor([[1.0, 0.0], [1.0, 4.0]]))
    tensor([0., 1.])
    """
    n = rates.shape[dim]
    if n < 2:
        raise ValueError(f"sparseness needs two values or more along its axis, not {n}")
    return (1 - rates.mean(dim).square() / rates.square().mean(dim)) / (1 - 1 / n)


def synaptic_operations(module: NetworkModule, counts: Mapping[Any, torch.Tensor]) -> dict[str, torch.Tensor]:
    """How often a synapse was reached by a spike, for each pathway: what event-driven hardware computes, and pays for.

    Parameters
    ----------
    module : NetworkModule
    counts : dict
        Spikes of each neuron for every group whose spikes reach synapses, of shape (..., N): what `Count(group)` records, and `x.sum(0)` for inputs.

    Returns
    -------
    dict of tensors, shape (...)
        By name of the pathway, such as 'synapses_pre'; one number for each sample.

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn
    >>> inputs = InputGroup(3)
    >>> cells = NeuronGroup(2, 'v : 1', threshold='v > 1', reset='v = 0')
    >>> S = Synapses(inputs, cells, on_pre='v_post += 0.6', name='S')
    >>> S.connect()
    >>> module = bnn.NetworkModule(Network(inputs, cells, S), record={'count': bnn.Count(cells)})
    >>> bnn.synaptic_operations(module, {inputs: torch.tensor([[4.0, 0.0, 1.0]])})
    {'S_pre': tensor([10.])}
    """
    found = {}
    for synapses in (item for item in module._objects if isinstance(item, Synapses)):
        for key, pathway in synapses.pathways.items():
            side = pathway.source
            group, start = (side.source, side.start) if isinstance(side, Subgroup) else (side, 0)
            count = next((given for owner, given in counts.items() if owner is group), None)
            if count is None:
                raise ValueError(f"{pathway.name!r} is reached by spikes of {group.name!r}: counts= must have them too")
            ends = torch.from_numpy(synapses.state["i" if pathway.prepost == "pre" else "j"].astype("int64")) + start
            fan_out = torch.bincount(ends, minlength=len(group)).to(count)
            found[f"{synapses.name}_{key}"] = count @ fan_out
    return found


@dataclass(frozen=True, slots=True)
class Memory:
    """What training keeps in memory, in bytes.

    Attributes
    ----------
    graph : kept between the forward and the backward pass
    inputs : tensors that are fed
    parameters : weights, their gradients, and two moments of an optimiser such as Adam
    """

    graph: int
    inputs: int
    parameters: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.graph + self.inputs + self.parameters

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {getattr(self, name) / 2**20:,.1f} MiB" for name in ("total", "graph", "inputs", "parameters"))
        return f"Memory({parts})"


def memory_estimate(module: NetworkModule, steps: int, batch: int, checkpoint: int | None | EllipsisType = ...) -> Memory:
    """What training on sequences of so many steps and batches of so many samples will keep in memory, before it is tried.

    The compiled engine says what it will keep; lists of the events of dense inputs come on top, 8 bytes for each event. What torch's graph
    keeps is counted on four tiny runs (few steps, one and two samples, silent input) and extrapolated: it is a constant, plus terms
    proportional to steps, to samples and to their product. With a checkpoint that is the graph of so many steps, and the state of every so many steps.

    Parameters
    ----------
    module : NetworkModule
    steps, batch : int
    checkpoint : int or None
        Instead of the module's own.

    Returns
    -------
    Memory

    Examples
    --------
    >>> from brianlike import *
    >>> import brianlike.nn as bnn
    >>> inputs, cells = InputGroup(30), NeuronGroup(20, 'dv/dt = -v/(10*ms) : 1', threshold='v > 1', reset='v = 0', method='exact')
    >>> S = Synapses(inputs, cells, 'w : 1', on_pre='v_post += w')
    >>> S.connect()
    >>> S.w = 0.1
    >>> module = bnn.NetworkModule(Network(inputs, cells, S), record={'spikes': cells}, learn=[bnn.Learn(S, 'w')])
    >>> bnn.memory_estimate(module, steps=100, batch=64).inputs
    768000
    """
    before = module.checkpoint
    if checkpoint is not ...:
        module.checkpoint = checkpoint
    try:
        found = _compiled_graph(module, steps, batch)
        graph = _torch_graph(module, steps, batch) if found is None else found
    finally:
        module.checkpoint = before
    size = module._like.element_size()
    fed = sum(n for _, n, _ in module._feeding.inputs.values())
    learned = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    return Memory(max(0, round(graph)), steps * batch * fed * size, 4 * learned)


def _silence(module: NetworkModule, steps: int, batch: int) -> dict[str, torch.Tensor]:
    """Inputs without events, which take no memory."""
    like = module._like
    inputs = {key: torch.zeros(1, 1, n, dtype=like.dtype, device=like.device) for key, (_, n, _) in module._feeding.inputs.items()}
    return {key: value.expand(*((batch, steps) if module.batch_first else (steps, batch)), -1) for key, value in inputs.items()}


def _compiled_graph(module: NetworkModule, steps: int, batch: int) -> int | None:
    """What the compiled engine keeps and hands out; None if such a run is for torch."""
    choice, found = module._choice, None
    sizes = sum(module._engines[()].sizes.values())
    if choice.engine == "torch" or choice.engine == "auto" and sizes * steps * batch < WORTHWHILE:
        return None
    try:
        from .compiled import Measured, measuring
    except ImportError:
        return None
    before, choice.engine = choice.engine, "cython"
    try:
        for t, n in ((1, 1), (steps, batch)):  # the first one tells whether it can do such runs at all
            found = None
            try:
                with torch.enable_grad(), measuring():
                    module(**_silence(module, t, n), **({} if module._feeding.inputs else {"steps": t, "batch": (n,)}))
            except Measured as measured:
                found = sum(measured.tape.values()) + sum(count for key, count in measured.out.items() if key in module._specs)
            if found is None:
                return None
    finally:
        choice.engine = before
    return found


def _torch_graph(module: NetworkModule, steps: int, batch: int) -> float:
    """What torch keeps, by extrapolation; under a checkpoint of so many steps, and the states between them."""
    if module.checkpoint is not None and module.checkpoint < steps:
        checkpoint, module.checkpoint = module.checkpoint, None
        values = module._initial_values()
        state = sum(values[name].shape[-1] * values[name].element_size() for name in module._moving)
        return _torch_graph(module, checkpoint, batch) + -(-steps // checkpoint) * batch * state
    module.checkpoint = None
    short = max((delivery.longest for engine in module._engines.values() for delivery in engine.deliveries.values()), default=0) + 2
    a, b = short, 2 * short
    kept = {(t, n): _kept(module, t, n) for t in (a, b) for n in (1, 2)}
    both = (kept[b, 2] - kept[b, 1] - kept[a, 2] + kept[a, 1]) / (b - a)
    per_step, per_sample = (kept[b, 1] - kept[a, 1]) / (b - a) - both, kept[a, 2] - kept[a, 1] - both * a
    fixed = kept[a, 1] - per_step * a - per_sample - both * a
    return fixed + per_step * steps + per_sample * batch + both * steps * batch


def _kept(module: NetworkModule, steps: int, batch: int) -> int:
    """Bytes of all tensors that a forward pass keeps for the backward pass, each piece of memory once; parameters and inputs apart."""
    storages: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        alive.append(tensor)  # so that no address is used twice
        return tensor

    like = module._like
    inputs = {key: torch.zeros(steps, batch, n, dtype=like.dtype, device=like.device) for key, (_, n, _) in module._feeding.inputs.items()}
    given = {name: tensor.transpose(0, 1) for name, tensor in inputs.items()} if module.batch_first else inputs
    before, module._choice.engine = module._choice.engine, "torch"
    try:
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            record = module(**given)
    finally:
        module._choice.engine = before
    for tensor in record:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    for tensor in (*inputs.values(), *module.parameters()):
        storages.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(storages.values())
