"""Our own invariants of Steps and Programs."""

from __future__ import annotations

from collections.abc import Iterable

from .expr import Access, Element, Index, Name, children, walk
from .ir import Deliver, Extern, Kernel, Line, Map, Program, Record, Step, Table, defined, expressions


def _verify_body(body: Iterable[Line], known: set[str], where: str) -> set[str]:
    """Every name is assigned once and before it is used; gives all names known at the end."""
    known = set(known)
    for line in body:
        for node in (node for expr in expressions(line) for node in walk(expr)):
            assert not isinstance(node, Name) or node.name in known, f"{where}: {node!r} is used before it is defined"
        for name in defined(line):
            assert name not in known, f"{where}: {name} is defined twice"
            known.add(name)
    return known


def verify_step(step: Step) -> None:
    """Assert that the names of a Step are assigned once, before use, and that its results exist."""
    known = _verify_body(step.body, set(), f"step {step.name}")
    for result in step.results:
        assert result.name in known, f"step {step.name}: result {result.name} is not defined"
    replaced = [result.access for result in step.results if not result.add]
    assert len(set(replaced)) == len(replaced), f"step {step.name}: a variable has two results"


def verify_program(program: Program) -> None:
    """Assert that arrays and kernels are named once and exist where they are used, and that every body is in single-assignment form."""
    arrays = [array.name for array in program.arrays]
    assert len(set(arrays)) == len(arrays), "an array is declared twice"
    bodies = [kernel.name for kernel in (*program.setup, *program.kernels) if isinstance(kernel, Map | Deliver)]
    assert len(set(bodies)) == len(bodies), "two kernels have one name"
    for kernel in (*program.setup, *program.kernels):
        _verify_kernel(kernel, set(arrays))
        for earlier in kernel.after if isinstance(kernel, Map) else ():
            assert earlier in bodies, f"kernel {kernel.name}: there is no kernel {earlier}"
    if not program.reverse:
        for name, array in program.tape:
            assert name in {kernel.name for kernel in program.kernels} and array in arrays, f"tape: {array} before {name} does not exist"


def _verify_kernel(kernel: Kernel, arrays: set[str]) -> None:
    where = f"kernel {kernel.name}"
    if isinstance(kernel, Extern):
        assert {*kernel.reads, *kernel.writes} <= arrays, f"{where}: it reaches an array that does not exist"
        return
    if isinstance(kernel, Record | Table):
        for name in (kernel.array, *(kernel.gather if isinstance(kernel, Record) else ())):
            assert name in arrays, f"{where}: there is no array {name}"
        return
    loads = [load.name for load in kernel.loads]
    assert len(set(loads)) == len(loads), f"{where}: a name is loaded twice"
    sources = [(load.array, load.index, load.delayed) for load in kernel.loads]
    assert len(set(sources)) == len(sources), f"{where}: a value is loaded twice"
    special = {kernel.only} if isinstance(kernel, Map) else {kernel.events, kernel.delay}
    for array in {load.array for load in kernel.loads} | {store.array for store in kernel.stores} | (special - {None}):
        assert array in arrays, f"{where}: there is no array {array}"
    known = _verify_body(kernel.body, set(loads), where)
    for node in (node for line in kernel.body for expr in expressions(line) for node in walk(expr)):
        assert not isinstance(node, Access), f"{where}: {node!r} is not loaded"
    for store in kernel.stores:
        assert store.name in known, f"{where}: {store.name} is not defined"
    whole = {load.name for load in kernel.loads if load.index is Index.WHOLE}
    for node in (node for line in kernel.body for expr in expressions(line) for node in walk(expr)):
        tables = {part.name for n, part in enumerate(children(node)) if isinstance(part, Name) and isinstance(node, Element) and n == 0}
        assert not isinstance(node, Element) or tables <= whole, f"{where}: {node!r} needs a whole array"
        assert {part.name for part in children(node) if isinstance(part, Name)} - tables <= known - whole, f"{where}: {node!r} has no single value"


