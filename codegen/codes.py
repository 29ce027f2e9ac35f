"""Code that runs in a slot of every step: what of it runs once for all elements, and what for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .expr import Access, Call, DType, Expr, Index, Name, substitute, walk
from .functions import dtype_of, spec_of
from .ir import Code, Model, Role, Statement, Variable


def once(code: Sequence[Statement]) -> list[bool]:
    """Which statements run once for all elements: writes of shared variables, and local names that depend only on what is shared.

    Random functions are not shared: each element draws its own, unless a shared variable is what receives the number.
    """
    local: set[str] = set()
    found: list[bool] = []
    for statement in code:
        target = statement.target
        if isinstance(target, Access):
            found.append(target.index is Index.SHARED)
            continue
        same = is_shared(statement.value, local) and (statement.operator == "=" or target in local)
        (local.add if same else local.discard)(target)
        found.append(same)
    return found


def is_shared(expr: Expr, local: set[str]) -> bool:
    """Whether an expression has one value for all elements; `local` are the local names that have."""
    for node in walk(expr):
        match node:
            case Access(_, index) if index is not Index.SHARED:
                return False
            case Name(name) if name not in local:
                return False
            case Call() if spec_of(node).draw is not None:
                return False
    return True


def share(model: Model) -> Model:
    """`Model -> Model`: code that writes shared variables becomes two Codes, one that runs once and one for the elements, in this order."""
    codes: list[Code] = []
    hidden: list[Variable] = []
    for code in model.codes:
        if code.over is not Index.SELF or not any(isinstance(s.target, Access) and s.target.index is Index.SHARED for s in code.statements):
            codes.append(code)
            continue
        parts, variables = _split(model, code)
        codes += parts
        hidden += variables
    return replace(model, codes=tuple(codes), variables=(*model.variables, *hidden))


def _split(model: Model, code: Code) -> tuple[list[Code], list[Variable]]:
    """The shared part, the rest (if any), and the variables that carry local names from one to the other."""
    shared = [s for s, same in zip(code.statements, once(code.statements)) if same]
    rest = [s for s, same in zip(code.statements, once(code.statements)) if not same]
    types: dict[str, DType] = {}
    for statement in shared:
        if isinstance(statement.target, str):
            types[statement.target] = dtype_of(statement.value, types, lambda a: model.variable(a).dtype)
    own = {s.target for s in rest if isinstance(s.target, str)}
    read = {node.name for s in rest for node in walk(s.value) if isinstance(node, Name)} & types.keys() - own
    carried = {name: Access(f"_{code.name}_{name}", Index.SHARED) for name in types if name in read}
    shared += [Statement(access, "=", Name(name)) for name, access in carried.items()]
    table: dict[Expr, Expr] = {Name(name): access for name, access in carried.items()}
    rest = [replace(s, value=substitute(s.value, table)) for s in rest]
    parts = [replace(code, name=f"{code.name}_shared" if rest else code.name, statements=tuple(shared), over=Index.SHARED, part=None)]
    parts += [replace(code, statements=tuple(rest))] if rest else []
    return parts, [Variable(access.variable, Role.HIDDEN, dtype=types[name], shared=True) for name, access in carried.items()]
