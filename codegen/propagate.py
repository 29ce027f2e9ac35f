"""The exact flow of linear equations, `x' = A x + b`, as lines of a Step.

`x(t + dt) = P x + Q b` with `P = exp(A dt)` and `Q = integral of exp(A s) ds over [0, dt]`. Where A has only decays and one-way couplings between them, the
entries are closed forms built on divided differences of exp, which hold when time constants are equal, nearly equal or cross; else the entries come from
one matrix exponential (`Propagator`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .errors import IntegrationError
from .expr import ZERO, Access, Expr, Name, Where, depends, is_zero, multiply, show, total, transform, walk
from .fresh import Fresh, Update
from .functions import DT, call
from .ir import Flow, Let, Line, Propagator
from .linear import linear

Matrix = list[list[Expr]]


def propagate(flows: Sequence[Flow], fresh: Fresh) -> Update:
    """`flows -> lines`: the exact step; a boolean that makes variables stand still splits it into two exact steps."""
    guards = _guards(flows)
    if not guards:
        return _system(flows, fresh)
    guard = guards[0]
    lines: list[Line] = []
    moving, at_move = propagate(_given(flows, guard, True), fresh)
    resting, at_rest = propagate(_given(flows, guard, False), fresh)
    lines += [*moving, *resting]
    affected = _affected(flows, guard)
    new: dict[str, str] = {}
    for flow in flows:
        name = flow.variable
        if name not in affected:
            new[name] = at_move[name]
            continue
        new[name] = fresh(name)
        lines.append(Let(new[name], Where(guard, Name(at_move[name]), Name(at_rest[name]))))
    return lines, new


def _affected(flows: Sequence[Flow], guard: Expr) -> set[str]:
    """The variables that flow differently on the two sides of `guard`: those it stops, and all that they drive."""
    found = {f.variable for f in flows if depends(f.drift, frozenset({guard}))}
    while True:
        more = {f.variable for f in flows if depends(f.drift, frozenset(Access(name) for name in found))} | found
        if more == found:
            return found
        found = more


def _guards(flows: Sequence[Flow]) -> list[Expr]:
    """Conditions at the root of a drift: the equations are linear on either side of them."""
    return list(dict.fromkeys(f.drift.condition for f in flows if isinstance(f.drift, Where)))


def _given(flows: Sequence[Flow], guard: Expr, holds: bool) -> list[Flow]:
    def choose(node: Expr) -> Expr:
        if isinstance(node, Where) and node.condition == guard:
            return node.then if holds else node.otherwise
        return node

    return [replace(flow, drift=transform(flow.drift, choose)) for flow in flows]


def _system(flows: Sequence[Flow], fresh: Fresh) -> Update:
    states: list[Expr] = [Access(f.variable) for f in flows]
    matrix: Matrix = []
    rest: list[Expr] = []
    for flow in flows:
        found = linear(flow.drift, states)
        if found is None:
            raise IntegrationError(
                f"`exact` needs linear equations, and d{flow.variable}/dt = {show(flow.drift)} is not linear in {_culprits(flow, states)}",
                flow.span,
                "Use method='rk4' or 'exponential_euler' (or leave `method` out to let the first suitable one be chosen).",
            )
        matrix.append(found[0])
        rest.append(found[1])
    lines: list[Line] = []
    new: dict[str, str] = {}
    names = [f.variable for f in flows]
    for block in _blocks(matrix):
        part = [[matrix[i][j] for j in block] for i in block]
        sources = [rest[i] for i in block]
        solve = _closed if _is_closed(part, sources) else _exponential
        if solve is _exponential:
            _refuse_oscillation(part, [flows[i] for i in block])
        new |= solve(part, sources, [names[i] for i in block], lines, fresh)
    return lines, {name: new[name] for name in names}


def _culprits(flow: Flow, states: Sequence[Expr]) -> str:
    found = [s for s in dict.fromkeys(walk(flow.drift)) if s in states and linear(flow.drift, [s]) is None]
    return ", ".join(map(show, found)) or "the state variables together"


def _blocks(matrix: Matrix) -> list[list[int]]:
    """Sets of equations that are coupled at all, directly or through others; each is solved on its own."""
    size = len(matrix)
    linked = [{j for j in range(size) if not is_zero(matrix[i][j]) or not is_zero(matrix[j][i])} for i in range(size)]
    seen: set[int] = set()
    blocks = []
    for start in range(size):
        if start in seen:
            continue
        block, todo = set(), [start]
        while todo:
            k = todo.pop()
            if k not in block:
                block.add(k)
                todo += linked[k] - block
        seen |= block
        blocks.append(sorted(block))
    return blocks


def _is_closed(matrix: Matrix, rest: Sequence[Expr]) -> bool:
    """Whether no variable that is driven by another drives a third (or itself in a circle), and drivers have no constant term."""
    size = len(matrix)
    drives = {j for i in range(size) for j in range(size) if i != j and not is_zero(matrix[i][j])}
    driven = {i for i in range(size) for j in range(size) if i != j and not is_zero(matrix[i][j])}
    return not drives & driven and all(is_zero(rest[j]) for j in drives)


def _closed(matrix: Matrix, rest: Sequence[Expr], names: Sequence[str], lines: list[Line], fresh: Fresh) -> dict[str, str]:
    """Decays: P_ii = exp(a_i dt), Q_ii = dt exprel(a_i dt). A driver j of i: P_ij = a_ij dt (exp(a_i dt) - exp(a_j dt))/(a_i dt - a_j dt)."""
    size = len(names)
    rate: list[Expr] = []
    for i in range(size):
        if is_zero(matrix[i][i]):
            rate.append(ZERO)
            continue
        rate.append(_let(f"a_{names[i]}", multiply(matrix[i][i], DT), lines, fresh))
    new = {}
    for i in range(size):
        terms = [Access(names[i]) if is_zero(rate[i]) else multiply(_let(f"P_{names[i]}", call("exp", rate[i]), lines, fresh), Access(names[i]))]
        for j in range(size):
            if i != j and not is_zero(matrix[i][j]):
                response = multiply(multiply(matrix[i][j], DT), call("_exp_difference", rate[i], rate[j]))
                terms.append(multiply(_let(f"P_{names[i]}_{names[j]}", response, lines, fresh), Access(names[j])))
        if not is_zero(rest[i]):
            response = DT if is_zero(rate[i]) else multiply(DT, call("exprel", rate[i]))
            terms.append(multiply(_let(f"Q_{names[i]}", response, lines, fresh), rest[i]))
        new[names[i]] = fresh(names[i])
        lines.append(Let(new[names[i]], total(terms)))
    return new


def _let(stem: str, value: Expr, lines: list[Line], fresh: Fresh) -> Expr:
    name = fresh(stem)
    lines.append(Let(name, value))
    return Name(name)


def _refuse_oscillation(matrix: Matrix, flows: Sequence[Flow]) -> None:
    if not _circular(matrix):
        return
    from .algebra import oscillates  # loads sympy; only models with mutual coupling need it

    if oscillates(matrix):
        raise IntegrationError(
            f"`exact` has no real closed-form solution for the coupled equations of {', '.join(f.variable for f in flows)}",
            flows[0].span,
            "Use method='rk4' or 'euler' for these equations.",
        )


def _exponential(matrix: Matrix, rest: Sequence[Expr], names: Sequence[str], lines: list[Line], fresh: Fresh) -> dict[str, str]:
    size = len(names)
    reach = _reach(matrix)
    transition = tuple(tuple(fresh(f"P_{names[i]}_{names[j]}") if reach[i][j] else None for j in range(size)) for i in range(size))
    response = tuple(tuple(fresh(f"Q_{names[i]}_{names[j]}") if reach[i][j] and not is_zero(rest[j]) else None for j in range(size)) for i in range(size))
    lines.append(Propagator(tuple(map(tuple, matrix)), DT, transition, response))
    new = {}
    for i in range(size):
        terms: list[Expr] = [multiply(Name(p), Access(names[j])) for j, p in enumerate(transition[i]) if p is not None]
        terms += [multiply(Name(q), rest[j]) for j, q in enumerate(response[i]) if q is not None]
        new[names[i]] = fresh(names[i])
        lines.append(Let(new[names[i]], total(terms)))
    return new


def _reach(matrix: Matrix) -> list[list[bool]]:
    """Whether j influences i within a step, directly or through others (always true for i = j)."""
    size = len(matrix)
    reach = [[i == j or not is_zero(matrix[i][j]) for j in range(size)] for i in range(size)]
    for k in range(size):
        for i in range(size):
            for j in range(size):
                reach[i][j] = reach[i][j] or (reach[i][k] and reach[k][j])
    return reach


def _circular(matrix: Matrix) -> list[int]:
    """The variables that influence themselves through others."""
    reach = _reach(matrix)
    size = len(matrix)
    return [i for i in range(size) if any(i != j and reach[i][j] and reach[j][i] for j in range(size))]


def has_equilibrium(flows: Sequence[Flow]) -> bool:
    """Whether linear equations have exactly one equilibrium (`dv/dt = I/tau` has none)."""
    states = [Access(f.variable) for f in flows]
    rows = [linear(flow.drift, states) for flow in flows]
    matrix = [row[0] for row in rows if row is not None]
    if len(matrix) < len(rows):
        return True  # not linear: another question
    circular = _circular(matrix)
    if any(is_zero(matrix[i][i]) for i in range(len(matrix)) if i not in circular):
        return False
    if not circular:
        return True
    from .algebra import is_singular  # loads sympy, which `oscillates` needs anyway

    return not is_singular([[matrix[i][j] for j in circular] for i in circular])
