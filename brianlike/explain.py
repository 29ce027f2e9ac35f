"""Every rung of the compiler, from the user's string to the source, as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from codegen.emit import cython, python, torch
from codegen.fuse import DEFAULT_SCHEDULE
from codegen.ir import Deliver, Map, Program
from codegen.surrogate import Surrogate

from .groups import Group, NeuronGroup
from .namespaces import caller_namespace
from .objects import SimulationObject
from .prepare import Prepared, prepare
from .synapses import Synapses

__all__ = ["explain"]


def explain(*objects: SimulationObject, namespace: Mapping[str, object] | None = None, backend: str = "cython") -> str:
    """What the compiler makes of groups and synapses, rung by rung.

    Parameters
    ----------
    *objects : groups and synapses; synapses bring the groups that they connect
    namespace : dict, optional
        Values of constants in the texts; by default the names visible where `explain` is called.
    backend : 'cython', 'numpy' or 'torch'
        Whose source is shown last.

    Returns
    -------
    str
        The user's text, the resolved model, the core model, the Steps, the Program and the generated source.

    Raises
    ------
    ModelError
        For texts that cannot be compiled, with a caret at the place.

    Examples
    --------
    >>> from brianlike import *
    >>> tau = 10*ms
    >>> G = NeuronGroup(1, 'dv/dt = -v/tau : volt', threshold='v > 10*mV', reset='v = 0*mV', method='exact', name='cell')
    >>> for line in explain(G).splitlines()[:7]:
    ...     print(line)
    1. The user's text
    <BLANKLINE>
    cell = NeuronGroup of 1
      dv/dt = -v/tau : volt
      threshold: v > 10*mV
      reset: v = 0*mV
      method: exact
    """
    names = dict(caller_namespace()) if namespace is None else dict(namespace)
    numbered = enumerate(rungs(objects, names, backend).items(), 1)
    return "\n\n".join(f"{n}. {title}\n\n{text}" for n, (title, text) in numbered)


def rungs(objects: Sequence[SimulationObject], namespace: Mapping[str, object], backend: str) -> dict[str, str]:
    """The title and text of each rung, the user's own first."""
    if backend not in BACKENDS:
        raise ValueError(f"backend must be {', '.join(map(repr, BACKENDS))}, not {backend!r}")
    wanted = _with_ends(objects)
    prepared = prepare(wanted, DEFAULT_SCHEDULE, namespace, monitors=False, gradients=backend == "torch")
    return {
        "The user's text": "\n\n".join(map(user_text, wanted)),
        "Model: what was described, every name resolved": "\n\n".join(str(prepared.resolved[item.name].model) for item in wanted),
        "Core model: convenience written out": "\n\n".join(str(prepared.compiled[item.name].core) for item in wanted),
        "Steps: how, for one element, one slot of the schedule at a time": "\n\n".join(_steps(prepared, item) for item in wanted),
        "Program: where and when": str(prepared.program),
        f"Source ({backend})": BACKENDS[backend](prepared.program),
    }


def _with_ends(objects: Sequence[SimulationObject]) -> list[SimulationObject]:
    found: dict[str, SimulationObject] = {}
    for item in objects:
        if not isinstance(item, Group | Synapses):
            raise TypeError(f"explain takes groups and synapses, not {type(item).__name__}")
        for part in (item.source, item.target, item) if isinstance(item, Synapses) else (item,):
            found[part.name] = part
    if not found:
        raise TypeError("explain needs at least one group or Synapses object")
    return list(found.values())


def user_text(item: SimulationObject) -> str:
    """What the user wrote for one object, line by line."""
    match item:
        case NeuronGroup():
            given = {**item._given, "refractory": item.refractory}
            given = {key: given[key] for key in ("threshold", "reset", "refractory", "method")}
            rows = [f"{item.name} = NeuronGroup of {len(item)}", *_lines(str(item.equations))]
        case Synapses():
            given = {f"on_{path.side.value} ({key})": path.code + _delay(item, key) for key, path in item.pathways.items()}
            rows = [f"{item.name} = Synapses from {item.source.name} to {item.target.name}, {len(item)} of them", *_lines(str(item.equations))]
        case _:
            return repr(item)
    return "\n".join([*rows, *(f"  {key}: {'; '.join(line.strip() for line in _lines(str(value)))}" for key, value in given.items() if value is not None)])


def _delay(synapses: Synapses, key: str) -> str:
    steps = np.unique(synapses.delay_steps(key))
    if not steps.any():
        return ""
    return f"   [after {steps[0]} steps]" if len(steps) == 1 else f"   [after {steps[0]} to {steps[-1]} steps]"


def _lines(text: str) -> list[str]:
    return [f"  {line.strip()}" for line in text.splitlines() if line.strip()]


def _steps(prepared: Prepared, item: SimulationObject) -> str:
    compiled = prepared.compiled[item.name]
    heading = f"{item.name}, integrated by {compiled.method}" if compiled.method else item.name
    return "\n".join([heading, *map(str, compiled.part.steps)])


# ------------------------------------------------------------------------------------------------------------------------------------- the source, last
def _cython(program: Program) -> str:
    arrays = {array.name: array for array in program.arrays}
    return _source([python.render(kernel).text for kernel in program.setup], [cython.render(kernel, arrays).text for kernel in _bodies(program)])


def _numpy(program: Program) -> str:
    return _source([python.render(kernel).text for kernel in program.setup], [python.render(kernel).text for kernel in _bodies(program)])


def _torch(program: Program) -> str:
    gradient = Surrogate()
    return _source([torch.render(kernel, gradient).text for kernel in program.setup], [torch.render(kernel, gradient).text for kernel in _bodies(program)])


BACKENDS: dict[str, Callable[[Program], str]] = {"cython": _cython, "numpy": _numpy, "torch": _torch}


def _bodies(program: Program) -> list[Map | Deliver]:
    return [kernel for kernel in program.kernels if isinstance(kernel, Map | Deliver)]


def _source(setup: list[str], steps: list[str]) -> str:
    once = ["# once, before the first step", *setup] if setup else []
    return "\n\n".join(text.strip("\n") for text in [*once, *(["# in every step"] if steps else []), *steps])
