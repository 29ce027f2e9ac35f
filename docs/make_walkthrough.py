"""Writes `walkthrough.md`: one neuron on its way through the compiler, every rung taken from the real objects.

    python docs/make_walkthrough.py

A test compares the file with what this script gives, so run it after a change to the compiler.
"""

from __future__ import annotations

from pathlib import Path

from brianlike import *
from brianlike.explain import rungs
from brianlike.prepare import prepare
from codegen.adjoint import adjoint
from codegen.errors import ModelError
from codegen.fuse import DEFAULT_SCHEDULE
from codegen.ir import Kernel, Program, Record, show_kernel
from codegen.surrogate import SuperSpike, Surrogate

SCRIPT = '''\
from brianlike import *

tau_m, tau_s = 20*ms, 5*ms
equations = """dv/dt = (I - v)/tau_m : 1 (unless refractory)
               dI/dt = -I/tau_s : 1"""
cells = NeuronGroup(3, equations, threshold="v > 1", reset="v = 0", refractory=2*ms, method="exact")
recurrent = Synapses(cells, cells, "w : 1", on_pre="I_post += w", delay=1.5*ms)
recurrent.connect()
'''


def network() -> tuple[NeuronGroup, Synapses, dict[str, object]]:
    """The objects of SCRIPT with names that do not depend on what else exists, and the constants."""
    namespace: dict[str, object] = {"tau_m": 20 * ms, "tau_s": 5 * ms}
    equations = "dv/dt = (I - v)/tau_m : 1 (unless refractory)\ndI/dt = -I/tau_s : 1"
    clock = Clock(0.1 * ms)
    cells = NeuronGroup(3, equations, threshold="v > 1", reset="v = 0", refractory=2 * ms, method="exact", clock=clock, dtype="float64", name="cells")
    recurrent = Synapses(cells, cells, "w : 1", on_pre="I_post += w", delay=1.5 * ms, clock=clock, dtype="float64", name="recurrent")
    recurrent.connect()
    return cells, recurrent, namespace


def block(text: str, language: str = "") -> str:
    return f"```{language}\n{text.strip()}\n```"


def kernels(chosen: tuple[Kernel, ...]) -> str:
    """Kernels as `str(Program)` shows them, without the list of arrays."""
    rows = []
    for kernel in chosen:
        first, *rest = show_kernel(kernel)
        rows += [first, *rest]
    return "\n".join(rows)


def of(text: str, name: str) -> str:
    """The part of a rung that belongs to one object."""
    return next(part for part in text.split("\n\n") if part.startswith((name, f"model {name}")))


def function(source: str, name: str) -> str:
    """One generated function: the block of text that defines it."""
    return next(part for part in source.split("\n\n") if part.startswith(f"def {name}("))


def wrong_unit() -> str:
    try:
        explain(NeuronGroup(1, "dv/dt = (I - v)/tau : volt\nI : amp\ntau : second", name="wrong"), namespace={})
    except ModelError as error:
        return f"{type(error).__name__}: {error}"
    raise AssertionError("the wrong unit was not found")


def backward(objects: tuple[NeuronGroup, Synapses], namespace: dict[str, object]) -> tuple[Program, Program]:
    """The forward Program with its tape and the backward one, for the gradient of `recurrent.w` of a loss on `v`."""
    prepared = prepare(objects, DEFAULT_SCHEDULE, namespace, extra=[Record("v", "cells.v", "after_end")])
    return adjoint(prepared.program, Surrogate(SuperSpike(beta=10)), ("recurrent.w",))


def walkthrough() -> str:
    """The whole page."""
    cells, recurrent, namespace = network()
    objects = (cells, recurrent)
    source = {backend: rungs(objects, namespace, backend) for backend in ("cython", "numpy", "torch")}
    text, model, core, steps, _ = list(source["numpy"].values())[:5]
    program = prepare(objects, DEFAULT_SCHEDULE, namespace).program
    cython, numpy, torch = (source[name][f"Source ({name})"] for name in ("cython", "numpy", "torch"))
    update, loop = "cells_update_threshold", cython.split("# in every step\n\n")[1].split("\n\ncdef int ")[0]
    forward, back = backward(objects, namespace)
    tape = "\n".join(f"keep {array} before {kernel}" for kernel, array in forward.tape)
    return f"""# One equation through the files

This page is written by `docs/make_walkthrough.py`; everything in a box is printed by the compiler itself. `print(explain(group))` prints the same
rungs for your own model.

The example is a leaky integrate-and-fire neuron whose current decays, with a refractory period, connected to itself with a delay:

{block(SCRIPT, "python")}

## 1. The user's text

`brianlike/groups.py` and `brianlike/synapses.py` keep the text as it was written. Nothing is compiled yet: constants such as `tau_m` may still change
until `run` is called.

{block(text)}

## 2. Model: what was described

`parse_group` and `parse_synapses` in `codegen/models.py` read the text with Python's `ast` module through a whitelist of nodes (`codegen/grammar.py`);
no text is ever executed. `resolve_model` in `brianlike/expressions.py` then gives every name a meaning (`codegen/resolve.py`) and checks the units on
the tree (`codegen/check.py`). Every node knows where it stands in the text, which is why an error can point at it:

{block(wrong_unit())}

The result is a `Model` (`codegen/ir.py`), frozen data that says *what* the neuron is and nothing about how it is computed. `tau_m` and `tau_s` have
become variables with the role `external`: their values are handed over at run time, so a new value compiles nothing.

{block(of(model, "cells"))}

{block(of(model, "recurrent"))}

## 3. Core model: convenience written out

`desugar` in `codegen/desugar.py` turns conveniences into the four things that later passes know: variables, flows, events and pathways.
Refractoriness becomes a boolean, `not_refractory`, which is computed before each update, gates the threshold and is cleared by a spike; `(unless
refractory)` becomes a `where` in the flow. After this rung no pass has a special case for refractory neurons.

{block(of(core, "cells"))}

## 4. Steps: how, for one element

`lower` in `codegen/lower.py` makes one `Step` for each slot of the schedule, a straight line of single assignments for one neuron or one synapse. The
flow is solved by `propagate` in `codegen/propagate.py`, the row `exact` of `METHODS` in `codegen/integrate.py`: `P_v` and `P_v_I` are entries of the
exponential of the system's matrix. `_exp_difference` is the divided difference of exp, which holds when the two time constants are equal. The
condition splits the flow into two exact solutions, and `v_3` chooses one; they are never blended.

The line `fire` keeps the user's condition, which alone decides about a spike, and the margin, which only gradients use.

{block(steps)}

## 5. Program: where and when

`assemble` in `codegen/fuse.py` puts the Steps into Brian's order (update, threshold, delivery, reset), binds every variable to an array and splits a
pathway in two: a `deliver`, which adds up what arrives, and a `map`, which adds the sum to the neurons once. `fuse` then joins update and threshold,
because nothing scheduled between them touches what they use; the reset stays apart, because delivery lies before it. `hoist` in `codegen/optimize.py`
moves what no step changes into the set-up, where it is computed once. `codegen/pipeline.py` lists the order of all passes.

Computed once:

{block(kernels(program.setup))}

In every step:

{block(kernels(program.kernels))}

## 6. numpy: the definition

`render` in `codegen/emit/python.py` writes each kernel down as a function of whole arrays. `NumpyEngine` in `brianlike/simulate.py` runs them; it
needs no compiler and defines what every other engine must compute. This is the map of update and threshold:

{block(function(numpy, update), "python")}

## 7. Cython: the fast one

`render` in `codegen/emit/cython.py` writes the same kernel as a loop over raw pointers, with positional names, so that equal kernels of different
models have the same text and compile once. The loop runs over whole vectors of elements (`LANES`: as many as fit a register of the processor) with no
remainder, which gives the same bits for any number of neurons; `vd` is a vector of doubles, `vq` one of 64-bit integers, `vm` a mask. `brianlike/build.py`
compiles, caches and loads the text, and the driver in `brianlike/_runtime.pyx` calls the compiled function, step after step, without the interpreter.

{block(loop, "cython")}

## 8. torch: the one with gradients

`render` in `codegen/emit/torch.py` writes the same kernel once more. The spike is hard in the forward direction; `spike(...)` attaches the surrogate
derivative (`_7__`, here SuperSpike) by a detach trick, so autograd sees it and the numbers do not. `TorchEngine` in `brianlike/nn/engine.py` runs the
kernels in the order of the Program.

{block(function(torch, update), "python")}

## 9. The backward Program

`adjoint` in `codegen/adjoint.py` turns the Program into one that runs backwards in time, for the gradient of a loss on `v` by the weights
`recurrent.w`. Each kernel is transposed by its kind: the record of `v` becomes a table of cotangents, the reset stops the cotangent of neurons that
spiked and passes none to the spike itself (it is detached), the delivery becomes a map over synapses that reads the events *as they were when they
were sent*, and the body of the update is reversed line by line (`reverse` in `codegen/derivative.py`). `x~` is the cotangent of `x`. The result is a
Program like any other: the numpy engine runs it, and tests compare it with torch's autograd.

What the forward run must keep:

{block(tape)}

In every step, from the last to the first:

{block(kernels(back.kernels))}
"""


if __name__ == "__main__":
    Path(__file__).with_name("walkthrough.md").write_text(walkthrough(), encoding="utf-8")
