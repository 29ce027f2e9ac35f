"""Traces of synapses that a run keeps on neurons (`codegen.traces`), and what users see of them meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from codegen.expr import Index
from codegen.ir import Array, Program
from codegen.traces import LAST, SIDES, Arrivals, Split, space_of

from .simulate import Connection, Inputs, NumpyEngine
from .state import State, padded
from .synapses import Synapses

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""How far, relatively, the traces of one neuron's synapses may be from each other: they were computed over different intervals."""
REACH = 4
"""The traces of all neurons of a side are caught up at once if a spike reaches at least one of so many."""

Values = Callable[[Array], np.ndarray | None]


def arrivals(synapses: Synapses) -> Arrivals:
    """Which pathways have one delay, and which reach most neurons on their other side."""
    together = frozenset(key for key in synapses.pathways if np.ndim(synapses.delay_steps(key)) == 0)
    wide = set()
    for key, pathway in synapses.pathways.items():
        other = synapses.target if pathway.source is synapses.source else synapses.source
        if len(synapses) * REACH >= len(pathway.source) * len(other._whole):
            wide.add(key)
    return Arrivals(together, frozenset(wide))


def add_neurons(inputs: Inputs, synapses: Synapses, program: Program) -> None:
    """Add the spaces of a Synapses object's neurons to what a Program needs: their size, who reaches them, and after what delay."""
    connection = inputs.connections[synapses.name]
    for side, count in ((Index.PRE, connection.n_pre), (Index.POST, connection.n_post)):
        space, own = space_of(synapses.name, side), np.arange(count, dtype=np.int32)
        inputs.sizes[space], inputs.connections[space] = count, Connection(own, own, count, count)
        for key in synapses.pathways:
            if any(array.name == f"{space}.{key}.delay" for array in program.arrays):
                inputs.values[f"{space}.{key}.delay"] = np.full(count, synapses.delay_steps(key), np.int32)


class NeuronTraces:
    """The traces of one Synapses object, on its neurons.

    Each run begins with `take`, if users have changed something, and ends with values of synapses that wait in `State.pending` until somebody asks:
    `settle` computes them.

    Attributes
    ----------
    arrays : dict
        By the name of the array in a Program, one value for each neuron: the traces, and when a spike of the neuron arrived last.
    """

    def __init__(self, synapses: Synapses, split: Split, inputs: Inputs, parameters: Sequence[tuple[State, str]]) -> None:
        self._watched = parameters
        self.synapses, self.state, self.sides = synapses, synapses.state, split.sides
        self.connection = inputs.connections[synapses.name]
        self._program, self._inputs = split.settle, inputs
        self._parameters: dict[str, np.ndarray] = {}
        self._kernel = next(kernel for kernel in split.settle.kernels if kernel.name == f"{synapses.name}.settle")
        self._names = (*split.sides, "lastupdate")
        counts = {Index.PRE: self.connection.n_pre, Index.POST: self.connection.n_post}
        self.arrays: dict[str, np.ndarray] = {}
        for side in SIDES:
            for name in self._names_on(side):
                self.arrays[self._array(name, side)] = np.zeros(padded(counts[side]), self.state.float_dtype)
        self._sizes = counts
        if self.state.keeper is not None:
            self.state.beside = self.state.keeper.kept()
        self.state.keeper = self
        self._seen: list[int] | None = None  # the versions of what the neurons have, or of what they could not have
        self._refused: list[int] | None = None
        self._digest = b""
        self._engine: NumpyEngine | None = None

    def _array(self, name: str, side: Index) -> str:
        return f"{space_of(self.synapses.name, side)}.{name}"

    def _names_on(self, side: Index) -> tuple[str, ...]:
        return (LAST, *(name for name, where in self.sides.items() if where is side))

    def _on(self, name: str, side: Index) -> np.ndarray:
        """One value for each neuron."""
        return self.arrays[self._array(name, side)][: self._sizes[side]]

    def _versions(self) -> list[int]:
        return [self.state.written[name] for name in self._names] + [state.written[name] for state, name in self._watched]

    # --------------------------------------------------------------------------------------------------------------------------- from synapses to neurons
    def ready(self, values: Values) -> bool:
        """Whether the neurons have the traces of the synapses, or can take them over, because those of one neuron agree.

        `values` gives the parameters of the equations as they are now. If these have changed, the past goes by the old ones.
        """
        parameters = {array.name: found for array in self._program.arrays if (found := self._parameter(array, values)) is not None}
        same = parameters.keys() == self._parameters.keys() and all(np.array_equal(parameters[name], self._parameters[name]) for name in parameters)
        beside, self.state.beside = self.state.beside, {}
        if not beside and same and (self._unchanged() if self._seen is not None else self._refused == self._versions()):
            return self._seen is not None
        self.state.settle()
        if not same:
            self._parameters = {name: array.copy() for name, array in parameters.items()}
        taken = self._adopt(beside) or self._take()
        self._seen, self._refused = (self._versions(), None) if taken else (None, self._versions())
        self._digest = self._summary()
        return taken

    def _unchanged(self) -> bool:
        """Whether nobody has given synapses other values since the neurons had them."""
        exposed = self.state.exposed.intersection(self._names)
        if self._seen == self._versions() and not exposed:
            return True
        return bool(self._digest) and not self.state.pending.keys() & set(self._names) and self._digest == self._summary()

    def _summary(self) -> bytes:
        """What tells whether an array has changed, where somebody may have it."""
        if not self.state.exposed.intersection(self._names):
            return b""
        return b"".join(hashlib.blake2b(self.state[name].data, digest_size=16).digest() for name in self._names)

    def _adopt(self, beside: Mapping[str, np.ndarray]) -> bool:
        """Take traces as they were kept on neurons before, if they still are what the synapses show, to the last bit."""
        if {name: values.shape for name, values in beside.items()} != {name: values.shape for name, values in self._copies().items()}:
            return False
        for name, values in beside.items():
            self.arrays[name][: len(values)] = values
        expected = self._settled({name: np.zeros_like(self.state[name]) for name in self.sides}, self.state["lastupdate"])
        return all(np.array_equal(expected[name], self.state[name]) for name in self.sides)

    def _copies(self) -> dict[str, np.ndarray]:
        return {self._array(name, side): self._on(name, side).copy() for side in SIDES for name in self._names_on(side)}

    def kept(self) -> dict[str, np.ndarray]:
        """The traces on neurons, if they are those of the synapses."""
        return self._copies() if self._seen is not None and self._unchanged() else {}

    def _take(self) -> bool:
        updated = self.state["lastupdate"]
        if not np.isfinite(updated).all() or not all(np.isfinite(self.state[name]).all() for name in self.sides):
            return False
        at_once = updated.size == 0 or bool((updated == updated[0]).all())
        uniform = True
        for side in SIDES:
            ends, count = self.connection.ends(side)
            names = [name for name, where in self.sides.items() if where is side]
            last = self._on(LAST, side)
            last[...] = updated[0] if at_once and updated.size else 0.0
            if not names or not updated.size:
                continue
            if at_once and all(bool((self.state[name] == self.state[name][0]).all()) for name in names):
                for name in names:
                    self._on(name, side)[...] = self.state[name][0]
                continue
            uniform = False
            # The synapse that was updated first tells most about the trace of its neuron: later values have decayed further.
            first = np.full(count, np.inf)
            np.minimum.at(first, ends, updated)
            earliest = np.flatnonzero(updated == first[ends])[::-1]
            chosen = np.full(count, -1)
            chosen[ends[earliest]] = earliest
            has = chosen >= 0
            last[...] = np.where(has, first, 0.0)
            for name in names:
                self._on(name, side)[...] = np.where(has, self.state[name][chosen], 0.0)
        return uniform or self._agree()

    def _agree(self) -> bool:
        """Whether the neurons' traces give back those of the synapses."""
        expected = self._settled({name: np.zeros_like(self.state[name]) for name in self.sides}, self.state["lastupdate"])
        tolerance = TOLERANCE[str(self.state.float_dtype)]
        return all(bool(np.allclose(expected[name], self.state[name], rtol=tolerance, atol=0.0)) for name in self.sides)

    # --------------------------------------------------------------------------------------------------------------------------- from neurons to synapses
    def leave(self) -> None:
        """A run goes on: from now on values of synapses must be worked out."""
        for name in self._names:
            self.state.pending[name] = self

    def before_call(self) -> None:
        """A function of the user's is about to run: who has an array finds the values there."""
        if self.state.exposed.intersection(self._names):
            self.settle()

    def untouched(self) -> bool:
        """Whether such a function has neither asked for values nor changed any."""
        return self.state.pending.get("lastupdate") is self and self._seen == self._versions()

    def end(self) -> None:
        """A run is over: who has an array finds the values there."""
        if self.state.exposed.intersection(self._names):
            self.settle()

    def settle(self) -> None:
        """Give every synapse the time of its own last update, and the values that its traces had then."""
        for name in self._names:
            self.state.pending.pop(name, None)
        updated = self.state["lastupdate"]
        for side in SIDES:
            np.maximum(updated, self._on(LAST, side)[self.connection.ends(side)[0]], out=updated)
        self._settled({name: self.state[name] for name in self.sides}, updated)
        self._digest = self._summary()

    def _settled(self, into: dict[str, np.ndarray], updated: np.ndarray) -> dict[str, np.ndarray]:
        values = dict(self._parameters)
        values |= {self._array(name, side): self._on(name, side) for side in SIDES for name in self._names_on(side)}
        values |= {f"{self.synapses.name}.{name}": array for name, array in into.items()}
        values[f"{self.synapses.name}.lastupdate"] = updated
        self._inputs.values = values
        if self._engine is None:
            self._engine = NumpyEngine(self._program, self._inputs)
        self._engine.values = values
        self._engine.one_map(self._kernel)  # type: ignore[arg-type]
        return into

    def _parameter(self, array: Array, values: Values) -> np.ndarray | None:
        owner, _, name = array.name.partition(".")
        return None if array.name in self.arrays or (owner == self.synapses.name and name in self._names) else values(array)

    def distinct(self, name: str) -> np.ndarray:
        """The values of a trace, one for each neuron."""
        return self._on(name, self.sides[name])
