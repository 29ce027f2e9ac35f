"""Every rung of the compiler, from the user's string to the source, as text."""

from __future__ import annotations

from collections.abc import Mapping

from codegen.emit import cython, python
from codegen.ir import Deliver, Map

from .groups import Group
from .namespaces import caller_namespace
from .objects import SimulationObject
from .prepare import prepare
from .synapses import Synapses

__all__ = ["explain"]


def explain(*objects: SimulationObject, namespace: Mapping[str, object] | None = None, backend: str = "cython") -> str:
    """What the compiler makes of groups and synapses, rung by rung.

    Parameters
    ----------
    *objects : groups and synapses; synapses bring the groups that they connect
    namespace : dict, optional
        Values of constants in the texts; by default the names visible where `explain` is called.
    backend : 'cython', 'python' or 'torch'
        Whose source is shown last.

    Returns
    -------
    str
        The user's text, the resolved model, the core model, the Steps, the Program and the generated source.

    Examples
    --------
    >>> from brianlike import *
    >>> tau = 10*ms
    >>> G = NeuronGroup(1, 'dv/dt = -v/tau : volt', threshold='v > 10*mV', reset='v = 0*mV', method='exact')
    >>> print(explain(G).split(chr(10))[0])
    1. The user's text
    """
    names = dict(caller_namespace()) if namespace is None else dict(namespace)
    wanted = _with_ends(objects)
    prepared = prepare(wanted, ("start", "groups", "thresholds", "synapses", "resets", "end"), names, monitors=False)
    rungs = [
        ("The user's text", "\n\n".join(_text(item) for item in wanted)),
        ("Model: what was described, every name resolved", "\n\n".join(str(prepared.resolved[item.name].model) for item in wanted)),
        ("Core model: convenience written out", "\n\n".join(str(prepared.compiled[item.name].core) for item in wanted)),
        ("Steps: how, for one element, one slot of the schedule at a time", "\n\n".join(_steps(prepared, item) for item in wanted)),
        ("Program: where and when", str(prepared.program)),
        (f"Source ({backend})", _source(prepared, backend)),
    ]
    return "\n\n".join(f"{n}. {title}\n\n{text}" for n, (title, text) in enumerate(rungs, 1))


def _with_ends(objects: tuple[SimulationObject, ...]) -> list[SimulationObject]:
    found: dict[str, SimulationObject] = {}
    for item in objects:
        if not isinstance(item, Group | Synapses):
            raise TypeError(f"explain takes groups and synapses, not {type(item).__name__}")
        for part in (item.source, item.target, item) if isinstance(item, Synapses) else (item,):
            found[part.name] = part
    return list(found.values())


def _text(item: SimulationObject) -> str:
    return repr(item)


def _steps(prepared, item: SimulationObject) -> str:  # type: ignore[no-untyped-def]
    compiled = prepared.compiled[item.name]
    method = f"(integrated by {compiled.method})\n" if compiled.method else ""
    return method + "\n".join(str(step) for step in compiled.part.steps)


def _source(prepared, backend: str) -> str:  # type: ignore[no-untyped-def]
    kernels = [k for k in prepared.program.kernels if isinstance(k, Map | Deliver)]
    setup = "\n".join(python.render(kernel).text for kernel in prepared.program.setup)
    if backend == "cython":
        arrays = {a.name: a for a in prepared.program.arrays}
        steps = "\n".join(cython.render(kernel, arrays).text for kernel in kernels)
    elif backend == "torch":
        from codegen.emit import torch as emitter
        from codegen.surrogate import Surrogate

        setup = ""
        steps = "\n".join(emitter.render(kernel, Surrogate()).text for kernel in (*prepared.program.setup, *kernels))
    elif backend == "python":
        steps = "\n".join(python.render(kernel).text for kernel in kernels)
    else:
        raise ValueError(f"backend must be 'cython', 'python' or 'torch', not {backend!r}")
    return f"{setup}\n{steps}" if setup else steps
