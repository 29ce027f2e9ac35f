"""The reverse mode on the lines of one kernel: from the cotangents of what it computes to the cotangents of what it reads.

The body is first flattened to one operation a line, equal operations once, so that nothing grows exponentially; partial derivatives share those lines.
What counts as constant stands in the functions' specifications and `_backward`: comparisons, booleans, integers, `//` and the functions whose partial is None.

A cotangent of 0 contributes nothing, even through a partial that is infinite or NaN, so that a branch not taken never leaks and `1/(1 + exp(x))` has
the derivative 0 where exp overflows. Values that are finite whenever the inputs are, are `tame`: a product with one of them needs no guard, nor does a
quotient whose cotangent did not come through a choice (`Where`, `Select`, `Fire`) that `masked` it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .errors import UnsupportedError
from .expr import (
    ONE,
    ZERO,
    Binary,
    Call,
    Cast,
    Compare,
    DType,
    Element,
    Expr,
    Logical,
    Name,
    Negate,
    Not,
    Number,
    Truth,
    Where,
    children,
    negate,
    rebuild,
    show,
    walk,
)
from .functions import dtype_of, spec_of
from .ir import Draw, Fire, Force, Let, Line, Propagator, Select, defined, expressions
from .surrogate import Gradient, TrueGradient, margin_of, slope

_BOUNDED = frozenset("sin cos tanh arctan abs sign ceil floor clip timestep _finite _erf".split())
def singular(expr: Expr) -> bool:
    """Whether a derivative of the expression can be infinite or NaN where its operands are finite."""
    return any(_singular_node(node) for node in walk(expr))


def _singular_node(node: Expr) -> bool:
    match node:
        case Binary("/" | "%", _, right):
            return not isinstance(right, Number)
        case Binary("**", _, Number(value)):
            return value < 1
        case Binary("**"):
            return True
        case Call(function):
            return function not in _BOUNDED
    return False


def prune(body: Iterable[Line], needed: Iterable[str]) -> tuple[Line, ...]:
    """`Lines -> Lines`: those that the needed names depend on."""
    wanted, kept = set(needed), []
    for line in reversed(tuple(body)):
        if wanted.isdisjoint(defined(line)):
            continue
        wanted |= used(line)
        kept.append(line)
    return tuple(reversed(kept))


def used(line: Line) -> set[str]:
    """The names that a line reads."""
    return {node.name for expr in expressions(line) for node in walk(expr) if isinstance(node, Name)}


def reverse(
    body: tuple[Line, ...],
    types: Mapping[str, DType],
    active: Iterable[str],
    seeds: Iterable[tuple[str, str]],
    gradient: Gradient,
    taken: Iterable[str] = (),
) -> tuple[tuple[Line, ...], dict[str, str]]:
    """`Lines -> Lines`: the body recomputed, then reversed; and the name of the cotangent of every active input that has one.

    `types` holds the types of the inputs, `active` those with a gradient; `seeds` pairs computed (or input) names with the names of their cotangents,
    which are further inputs; `taken` are more names not to use.
    """
    seeds = tuple(seeds)
    writer = _Reverse(types, frozenset(active), gradient, {*taken, *types, *(c for _, c in seeds), *(name for line in body for name in defined(line))})
    for line in body:
        writer.forward(line)
    for name, cotangent in seeds:
        writer.types[cotangent] = DType.FLOAT
        writer.tame.add(cotangent)
        writer.give(writer.resolve(name), Name(cotangent))
    recomputed = tuple(writer.record)
    for line in reversed(recomputed):
        writer.backward(line)
    results = {name: writer.named(writer.sum(name), f"_d_{name}").name for name in types if writer.cotangents.get(name)}
    return prune(writer.lines, results.values()), results


def active_names(body: Iterable[Line], types: Mapping[str, DType], active: Iterable[str], gradient: Gradient) -> set[str]:
    """The names that depend on the active inputs in a way that has a derivative."""
    lines = tuple(body)
    writer = _Reverse(types, frozenset(active), gradient, {*types, *(name for line in lines for name in defined(line))})
    for line in lines:
        writer.forward(line)
    return {name for name in (*types, *writer.types) if writer.is_active(writer.resolve(name))}


class _Reverse:
    """The lines under construction. `record` is the recomputed body with its Fires and Selects, one operation a line."""

    def __init__(self, types: Mapping[str, DType], active: frozenset[str], gradient: Gradient, taken: set[str]) -> None:
        self.types, self.gradient, self.taken = dict(types), gradient, taken
        self.active, self.tame, self.masked = set(active), set(types), set[str]()
        self.lines: list[Line] = []
        self.record: list[Line] = []
        self.known: dict[str, Name] = {}
        self.alias: dict[str, Expr] = {}
        self.nodes: dict[str, Expr] = {}
        self.cotangents: dict[str, list[Expr]] = {}
        self.count = 0

    # ------------------------------------------------------------------------------------------------------------------------------------ writing
    def fresh(self, stem: str = "") -> str:
        while True:
            self.count += 1
            name = f"{stem or '_'}{self.count}"
            if name not in self.taken:
                self.taken.add(name)
                return name

    def resolve(self, name: str) -> Expr:
        return self.alias.get(name, Name(name))

    def atom(self, expr: Expr) -> Expr:
        """The expression as a name or a literal, its operations in lines of their own, each once."""
        match expr:
            case Name(name):
                return self.resolve(name)
            case Number() | Truth():
                return expr
            case Negate(Number()):
                return negate(expr.operand)
        node = rebuild(expr, tuple(map(self.atom, children(expr))))
        key = repr(node)
        if key not in self.known:
            self.known[key] = self.assign(self.fresh(), node)
        return self.known[key]

    def assign(self, name: str, node: Expr, dtype: DType | None = None) -> Name:
        """A new line `name = node`, where node is one operation."""
        self.types[name] = dtype or dtype_of(node, self.types)
        if self._is_tame(node):
            self.tame.add(name)
        if self._is_active(node):
            self.active.add(name)
        self.nodes[name] = node
        line = Let(name, node, self.types[name])
        self.lines.append(line)
        self.record.append(line)
        return Name(name)

    def named(self, expr: Expr, stem: str) -> Name:
        """The expression under a name of its own."""
        name = stem if stem not in self.taken else self.fresh(stem)
        self.taken.add(name)
        return self.assign(name, expr, DType.FLOAT)

    def is_tame(self, expr: Expr) -> bool:
        return not isinstance(expr, Name) or expr.name in self.tame

    def _is_tame(self, node: Expr) -> bool:
        return not _singular_node(node) and all(map(self.is_tame, children(node) or (node,)))

    def is_active(self, expr: Expr) -> bool:
        return isinstance(expr, Name) and expr.name in self.active

    def _is_active(self, node: Expr) -> bool:
        match node:
            case Cast(DType.FLOAT, operand) | Negate(operand):
                return self.is_active(operand)
            case Cast() | Not() | Compare() | Logical() | Binary("//"):
                return False
            case Where(_, then, otherwise):
                return self.is_active(then) or self.is_active(otherwise)
            case Call(_, arguments):
                return any(map(self.is_active, arguments)) and any(
                    self.is_active(a) and p is not None for a, p in zip(arguments, spec_of(node).partials(*arguments))
                )
            case Element(table):
                if self.is_active(table):
                    raise UnsupportedError(f"`{show(node)}` reaches other elements of an array that is trained, which has no gradient yet")
                return False
            case Name():
                return self.is_active(node)
        return any(map(self.is_active, children(node)))

    # ------------------------------------------------------------------------------------------------------------------------------------ forward
    def forward(self, line: Line) -> None:
        """Recompute a line, one operation a line, under its own name."""
        match line:
            case Let(name, value, dtype):
                self.let(name, value, dtype)
            case Fire():
                self.fire(line)
            case Select(name, event, then, otherwise, dtype, detach):
                self.select(name, self.atom(event), self.cast(then, dtype), self.cast(otherwise, dtype), dtype, detach)
            case Draw(name, law, number, arguments):
                self.types[name] = line.dtype
                self.tame.add(name)
                self.lines.append(Draw(name, law, number, tuple(map(self.atom, arguments))))
            case Propagator():
                self.propagator(line)
            case Force(name, fired, value, mask):
                self.force(name, self.atom(fired), self.atom(Compare("!=", self.atom(value), ZERO)), self.atom(mask))

    def force(self, name: str, fired: Expr, value: Expr, mask: Expr) -> None:
        self.types[name] = DType.BOOL
        self.tame.add(name)
        self.lines.append(Let(name, Where(mask, value, fired), DType.BOOL))
        if self.is_active(fired):
            self.active.add(name)
            self.record.append(Force(name, fired, value, mask))

    def cast(self, expr: Expr, dtype: DType) -> Expr:
        """The expression as an atom of this type."""
        atom = self.atom(expr)
        kind = dtype_of(atom, self.types)
        if kind is dtype or (kind is not DType.FLOAT and dtype is not DType.FLOAT):
            return atom
        return Number(float(atom.value)) if isinstance(atom, Number) and dtype is DType.FLOAT else self.atom(Cast(dtype, atom))

    def let(self, name: str, value: Expr, dtype: DType) -> None:
        if isinstance(value, Name | Number | Truth) or dtype_of(value, self.types) is not dtype:
            self.alias[name] = self.cast(value, dtype)
            self.types[name] = dtype
            return
        node = rebuild(value, tuple(map(self.atom, children(value))))
        key = repr(node)
        if key in self.known:
            self.alias[name] = self.known[key]
            self.types[name] = dtype
        else:
            self.known[key] = self.assign(name, node, dtype)

    def fire(self, line: Fire) -> None:
        condition = self.atom(line.condition)
        gate = None if line.gate is None else self.atom(line.gate)
        value = condition if gate is None else Logical("and", condition, gate)
        self.types[line.name] = DType.BOOL
        self.tame.add(line.name)
        self.lines.append(Let(line.name, value, DType.BOOL))
        if isinstance(self.gradient, TrueGradient):
            return
        margin = self.cast(margin_of(line), DType.FLOAT)
        if self.is_active(margin):
            self.active.add(line.name)
            self.record.append(Fire(line.name, condition, margin, gate, line.chance))

    def select(self, name: str, event: Expr, then: Expr, otherwise: Expr, dtype: DType, detach: bool) -> None:
        condition = self.truth(event)
        self.types[name] = dtype
        self.lines.append(Let(name, Where(condition, then, otherwise), dtype))
        if self.is_tame(then) and self.is_tame(otherwise):
            self.tame.add(name)
        if dtype is not DType.FLOAT:
            return
        through_event = self.is_active(event) and not detach
        if through_event or self.is_active(then) or self.is_active(otherwise):
            self.active.add(name)
            self.record.append(Select(name, event, then, otherwise, dtype, not through_event))

    def truth(self, event: Expr) -> Expr:
        """The boolean that an event is as a condition."""
        return event if dtype_of(event, self.types) is DType.BOOL else self.atom(Compare(">", event, ZERO))

    def propagator(self, line: Propagator) -> None:
        matrix = tuple(tuple(self.cast(entry, DType.FLOAT) for entry in row) for row in line.matrix)
        flat = Propagator(matrix, self.cast(line.dt, DType.FLOAT), line.transition, line.input_response)
        self.types.update(dict.fromkeys(line.names, DType.FLOAT))
        self.lines.append(flat)
        if any(self.is_active(entry) for row in matrix for entry in row):
            self.active.update(line.names)
            self.record.append(flat)

    # ----------------------------------------------------------------------------------------------------------------------------------- backward
    def give(self, target: Expr, contribution: Expr) -> None:
        """Add to the cotangent of an active name."""
        if isinstance(target, Name) and target.name in self.active and not _is_zero(contribution):
            self.cotangents.setdefault(target.name, []).append(contribution)

    def sum(self, name: str) -> Expr:
        """The cotangent of a name, complete once every line that reads it was reversed."""
        terms = self.cotangents[name]
        result = terms[0]
        for term in terms[1:]:
            both = _is_masked(result, self.masked) and _is_masked(term, self.masked)
            result = self.marked(Binary("+", result, term), both)
        return result

    def marked(self, node: Expr, masked: bool) -> Expr:
        atom = self.atom(node)
        if masked and isinstance(atom, Name):
            self.masked.add(atom.name)
        return atom

    def scaled(self, g: Expr, partial: Expr) -> Expr:
        """The cotangent times a partial; nothing where the cotangent was set to 0 by a choice."""
        match partial:
            case Number(value) if value == 1:
                return g
            case Number(value) if value == -1:
                return self.marked(Negate(g), _is_masked(g, self.masked))
            case Where(condition, Number(1.0), Number(0.0)):
                return self.chosen(self.atom(condition), g, ZERO)
        factor = self.cast(partial, DType.FLOAT)
        return self.guarded(g, Binary("*", g, factor), self.is_tame(factor))

    def guarded(self, g: Expr, product: Expr, safe: bool) -> Expr:
        masked = _is_masked(g, self.masked)
        return self.marked(product, masked) if safe else self.marked(Where(Compare("==", g, ZERO), ZERO, product), masked)

    def chosen(self, condition: Expr, then: Expr, otherwise: Expr) -> Expr:
        return self.marked(Where(condition, then, otherwise), True)

    def backward(self, line: Line) -> None:
        """Hand the cotangent of a line's result to its operands."""
        if isinstance(line, Propagator):
            self.backward_propagator(line)
            return
        name = defined(line)[0]
        if name not in self.cotangents or not isinstance(line, Let | Fire | Select | Force):
            return
        g = self.sum(name)
        match line:
            case Let(_, node):
                self.backward_node(name, node, g)
            case Force(_, fired):
                self.give(fired, g)
            case Fire(_, _, margin, gate) if margin is not None:
                psi = self.atom(slope(self.gradient, line, margin))
                finite: Expr = Call("_finite", (margin,))
                live = self.atom(finite if gate is None else Logical("and", gate, finite))
                self.give(margin, self.chosen(live, self.atom(Binary("*", g, psi)), ZERO))
            case Select(_, event, then, otherwise):
                condition = self.truth(event)
                self.give(then, self.chosen(condition, g, ZERO))
                self.give(otherwise, self.chosen(condition, ZERO, g))
                if not line.detach:
                    step = self.step(then, otherwise)
                    value = Binary("*", step, g)
                    tame = self.is_tame(step)
                    self.give(event, self.atom(value) if tame else self.chosen(self.atom(Call("_finite", (step,))), self.atom(value), ZERO))

    def step(self, then: Expr, otherwise: Expr) -> Expr:
        """How far `then` is from `otherwise`: of `x + y` and `x` it is y, so that nobody needs x (where x is finite)."""
        node = self.nodes.get(then.name) if isinstance(then, Name) and self.is_tame(then) else None
        match node:
            case Binary("+", left, right) if left == otherwise:
                return self.cast(right, DType.FLOAT)
            case Binary("+", left, right) if right == otherwise:
                return self.cast(left, DType.FLOAT)
            case Binary("-", left, right) if left == otherwise:
                return self.atom(Negate(self.cast(right, DType.FLOAT)))
        return self.atom(Binary("-", then, otherwise))

    def backward_node(self, name: str, node: Expr, g: Expr) -> None:
        match node:
            case Negate(operand):
                self.give(operand, self.scaled(g, Number(-1.0)))
            case Cast(DType.FLOAT, operand) | (Name() as operand):
                self.give(operand, g)
            case Where(condition, then, otherwise):
                if self.is_active(then):
                    self.give(then, self.chosen(condition, g, ZERO))
                if self.is_active(otherwise):
                    self.give(otherwise, self.chosen(condition, ZERO, g))
            case Call(_, arguments):
                for argument, partial in zip(arguments, spec_of(node).partials(*arguments)):
                    if partial is not None and self.is_active(argument):
                        self.give(argument, self.scaled(g, partial))
            case Binary(operator, left, right):
                self.backward_binary(name, operator, left, right, g)

    def backward_binary(self, name: str, operator: str, left: Expr, right: Expr, g: Expr) -> None:
        by_left, by_right = self.is_active(left), self.is_active(right)
        match operator:
            case "+" | "-" | "%":
                self.give(left, g)
                if by_right:
                    slopes: dict[str, Expr] = {"+": ONE, "-": Number(-1.0), "%": Negate(Binary("//", left, right))}
                    self.give(right, self.scaled(g, slopes[operator]))
            case "*":
                if by_left:
                    self.give(left, self.scaled(g, right))
                if by_right:
                    self.give(right, self.scaled(g, left))
            case "/":
                quotient = self.guarded(g, Binary("/", g, right), isinstance(right, Number) or not _is_masked(g, self.masked))
                self.give(left, quotient)
                if by_right:
                    self.give(right, self.scaled(self.scaled(quotient, Name(name)), Number(-1.0)))
            case "**":
                if by_left:
                    self.give(left, self.scaled(g, _power_by_base(left, right)))
                if by_right:
                    absent = Logical("and", Compare("==", left, ZERO), Compare(">=", right, ZERO))
                    by_exponent = Where(absent, ZERO, Binary("*", Name(name), Call("log", (left,))))
                    self.give(right, self.scaled(g, by_exponent))

    def backward_propagator(self, line: Propagator) -> None:
        """The derivative of a matrix exponential in one direction is a block of a larger one: exp([[X', G], [0, X']]), X' the transpose of X, has the
        cotangent of X above its diagonal, G being that of exp(X) (Higham 2008, Functions of Matrices, 3.16). Q is a block of exp([[A, 1], [0, 0]] dt),
        so the same holds for it. G is scaled to 1, because a large block would cost the exponential its precision."""
        size = len(line.matrix)
        tables = [self.table(names) for names in (line.transition, line.input_response)]
        given = [g for table in tables for row in table for g in row if not _is_zero(g)]
        if not given:
            return
        norm: Expr = Call("abs", (given[0],))
        for g in given[1:]:
            norm = self.atom(Binary("+", norm, Call("abs", (g,))))
        norm = self.atom(Where(Compare(">", norm, ZERO), norm, ONE))
        of_p, of_q = ([[ZERO if _is_zero(g) else self.atom(Binary("/", g, norm)) for g in row] for row in table] for table in tables)
        block = _direction_block(line.matrix, of_p, of_q)
        width = len(block) // 2
        found: list[list[str | None]] = [[None] * len(block) for _ in block]
        for i, row in enumerate(line.matrix):
            for j, entry in enumerate(row):
                found[i][width + j] = self.fresh() if self.is_active(entry) else None
        none: tuple[tuple[str | None, ...], ...] = ((None,) * len(block),) * len(block)
        big = Propagator(tuple(map(tuple, block)), line.dt, tuple(map(tuple, found)), none)
        self.lines.append(big)
        self.types.update(dict.fromkeys(big.names, DType.FLOAT))
        for i in range(size):
            for j in range(size):
                name = found[i][width + j]
                if name is not None:
                    self.give(line.matrix[i][j], self.atom(Binary("*", Name(name), norm)))

    def table(self, names: tuple[tuple[str | None, ...], ...]) -> list[list[Expr]]:
        return [[self.sum(n) if n is not None and n in self.cotangents else ZERO for n in row] for row in names]


def _direction_block(matrix: tuple[tuple[Expr, ...], ...], of_p: list[list[Expr]], of_q: list[list[Expr]]) -> list[list[Expr]]:
    """[[X', G], [0, X']] without the factor dt: X is A and G the cotangent of P; with a cotangent of Q, X is [[A, 1], [0, 0]] and G [[P~, Q~], [0, 0]]."""
    size = len(matrix)
    with_q = any(not _is_zero(g) for row in of_q for g in row)
    width = 2 * size if with_q else size
    block: list[list[Expr]] = [[ZERO] * (2 * width) for _ in range(2 * width)]
    for i in range(size):
        for j in range(size):
            block[j][i] = block[width + j][width + i] = matrix[i][j]
            block[i][width + j] = of_p[i][j]
            if with_q:
                block[i][width + size + j] = of_q[i][j]
        if with_q:
            block[size + i][i] = block[width + size + i][width + i] = ONE
    return block


def _power_by_base(base: Expr, exponent: Expr) -> Expr:
    """`y*x**(y - 1)`, and 0 for y = 0 whatever x is."""
    match exponent:
        case Number(value) if value == 2:
            return Binary("*", Number(2.0), base)
        case Number(value):
            return Binary("*", Number(float(value)), Binary("**", base, Number(value - 1))) if value else ZERO
    slope = Binary("*", exponent, Binary("**", base, Binary("-", exponent, ONE)))
    return Where(Compare("==", exponent, ZERO), ZERO, slope)


def _is_zero(expr: Expr) -> bool:
    return isinstance(expr, Number) and expr.value == 0


def _is_masked(expr: Expr, masked: set[str]) -> bool:
    return isinstance(expr, Name) and expr.name in masked
