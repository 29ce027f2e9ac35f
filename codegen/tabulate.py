"""Random numbers of one law for all elements and all steps, found in a table.

A Poisson or binomial number by inversion is the first k whose cumulative probability exceeds a uniform number. Where the parameters are shared and no step
changes them, the set-up computes the cumulative probabilities once, by the arithmetic of the law itself, as whole multiples of 2**-53, which is what
uniform numbers are: the number is then how many of these thresholds do not exceed the uniform one, bit for bit the same.
"""

from __future__ import annotations

from dataclasses import replace

from .dataflow import constant_in_run
from .expr import DType, Expr, Index, Name, Number, walk
from .functions import call
from .ir import Array, Draw, Let, Line, Load, Map, Program, Role, Store

THRESHOLDS = 64
"""As many as the inversion takes steps at most."""

TABLES = {"poisson": "_poisson_thresholds", "binomial": "_binomial_thresholds"}


def tabulate(program: Program) -> Program:
    """`Program -> Program`: draws whose parameters all elements and steps share get a table, computed in the set-up."""
    fixed = constant_in_run(program)
    setup, kernels, arrays = list(program.setup), [], list(program.arrays)
    for kernel in program.kernels:
        if isinstance(kernel, Map) and kernel.only is None:
            kernel, extra, new = _with_tables(kernel, fixed)
            setup += extra
            arrays += new
        kernels.append(kernel)
    return replace(program, arrays=tuple(arrays), setup=tuple(setup), kernels=tuple(kernels))


def _with_tables(kernel: Map, fixed: frozenset[str]) -> tuple[Map, list[Map], list[Array]]:
    shared = {load.name: load for load in kernel.loads if load.index is Index.SHARED and load.array in fixed}
    setup: list[Map] = []
    arrays: list[Array] = []
    loads, body = list(kernel.loads), list[Line]()
    for line in kernel.body:
        if isinstance(line, Draw) and line.law in TABLES and all(_is_fixed(argument, set(shared)) for argument in line.arguments):
            array = Array(f"{kernel.name}:{line.name}_thresholds", None, Role.PARAMETER, DType.INT64, length=THRESHOLDS)
            read = {node.name for argument in line.arguments for node in walk(argument) if isinstance(node, Name)}
            table = Let("thresholds", call(TABLES[line.law], *line.arguments), DType.INT64)
            store = Store(array.name, Index.SELF, table.name, DType.INT64)
            setup.append(Map(f"{array.name}:setup", "", tuple(load for name, load in shared.items() if name in read), (table,), (store,)))
            arrays.append(array)
            name = f"{line.name}_thresholds_"
            loads.append(Load(name, array.name, Index.WHOLE, DType.INT64))
            line = replace(line, thresholds=Name(name))
        body.append(line)
    return replace(kernel, loads=tuple(loads), body=tuple(body)), setup, arrays


def _is_fixed(argument: Expr, shared: set[str]) -> bool:
    """Whether the set-up can compute the parameter (`hoist` has moved what is more than a name)."""
    return isinstance(argument, Number) or (isinstance(argument, Name) and argument.name in shared)
