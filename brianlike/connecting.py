"""What `Synapses.connect` is asked for -> the pairs of neurons that get synapses, in the order of creation.

Texts are evaluated on numpy for many candidates at a time; `connect.py` has the rules on arrays, `codegen/generator.py` the language of generators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.check import text_of
from codegen.dims import DIMENSIONLESS, Dimensions
from codegen.errors import DataTypeError, ElementError, EquationError, Span
from codegen.expr import Access, Call, DType, Expr, Index, Name, walk
from codegen.expr import names as names_in
from codegen.functions import FUNCTIONS
from codegen.generator import Generator, Range, Sample, is_generator, parse_generator
from codegen.grammar import parse_expression
from codegen.ir import Model, Role, Variable

from . import connect as rules
from .bounds import UNKNOWN, Limits, limits
from .preferences import prefs
from .randomness import Elements
from .sampling import Tiles
from .seeding import next_epoch
from .state import VariableOwner
from .subgroups import Subgroup
from .views import evaluated, evaluation_of

if TYPE_CHECKING:
    from .synapses import Synapses

Namespace = Mapping[str, object]
TEXTS = 8  # chunks of candidates for which the texts of a generator, which are looked through anew each time, are evaluated at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of one call of `connect`, as the user gave them."""

    condition: object = None
    i: object = None
    j: object = None
    p: object = 1.0
    n: object = 1
    skip_if_invalid: bool = False


def requested_pairs(synapses: Synapses, request: Request, namespace: Namespace) -> rules.Pairs:
    """The pairs of neurons that a call of `connect` makes synapses for; errors come before anything is made."""
    _check(request)
    key = next_epoch()
    if isinstance(request.i, str):
        return _generated(synapses, parse_generator(request.i), Index.PRE, request, namespace, key)
    if isinstance(request.j, str):
        return _generated(synapses, parse_generator(request.j), Index.POST, request, namespace, key)
    n = _pair_function(synapses, request.n, namespace, request.i is not None)
    if request.i is not None:
        i, j = _numbers(request.i, synapses.source), _numbers(request.j, synapses.target)
        pre, post = rules.from_arrays(i, j, len(synapses.source), len(synapses.target))
        p = _pair_function(synapses, request.p, namespace, True)
        kept = (pre, post) if not callable(p) and rules.checked_probability(p) == 1 else rules.thin(pre, post, p, key)
        return rules.multiply(*kept, n)
    return _by_condition(synapses, request, n, namespace, key)


def _numbers(given: object, group: VariableOwner) -> object:
    """The neurons of a group that a part of it means; anything else as it is."""
    return np.arange(given.start, given.stop) - group._first if isinstance(given, Subgroup) else given


def _check(request: Request) -> None:
    """Refuse arguments that do not go together."""
    condition, i, j = request.condition, request.i, request.j
    if condition is not None and not isinstance(condition, (str, bool, np.bool_)):
        raise TypeError(f"the condition of connect() is text, True or False, not {condition!r}; pairs are given as i=..., j=...")
    if condition is not None and (i is not None or j is not None):
        raise ValueError("connect() takes either a condition or i and j")
    if isinstance(condition, str) and is_generator(condition):
        message = "a generator cannot be the condition of connect()"
        raise EquationError(message, Span(condition, 0, len(condition)), "Write `connect(j='...')` for a generator.")
    if isinstance(i, str) or isinstance(j, str):
        text, other = ("i", "j") if isinstance(i, str) else ("j", "i")
        if i is not None and j is not None:
            raise TypeError(f"connect() takes either {text} as text or {other}, not both: the text says which neurons each of the others reaches")
        if isinstance(request.p, str) or rules.checked_probability(request.p) != 1:
            raise ValueError("connect() takes no p beside a generator; write `... for k in sample(N_post, p=...)`, or `... if rand() < p`")
        return
    if (i is None) != (j is None):
        raise ValueError("connect() needs both i and j, or one of them as text")
    if i is not None and request.skip_if_invalid:
        raise ValueError("skip_if_invalid is for generators in text; leave invalid neurons out of the arrays i and j")


# ------------------------------------------------------------------------------------------------------------------------------------ conditions
def _by_condition(synapses: Synapses, request: Request, n: Any, namespace: Namespace, key: rules.Key) -> rules.Pairs:
    n_pre, n_post = len(synapses.source), len(synapses.target)
    text = request.condition
    if not isinstance(text, str) and text is not None and not text:
        return rules.NOTHING
    condition = _PairFunction(synapses, text, namespace, boolean=True) if isinstance(text, str) else None
    p: Any = _probability(synapses, request.p, namespace)
    if condition is None and not callable(n) and isinstance(p, float) and p == 1:
        return rules.multiply(*rules.all_to_all(n_pre, n_post), n)
    python = any(isinstance(function, _PairFunction) and function.calls_python for function in (condition, p, n))
    chances, exact = _Chances(condition, p if isinstance(p, _PairFunction) else None), None if isinstance(p, _PairFunction) else np.clip(p, 0.0, 1.0)
    tiles = None if condition is None and exact is not None else Tiles(n_pre, n_post, chances.most, exact)
    return rules.by_condition(n_pre, n_post, condition, p, key, n, runs=None if tiles is None else tiles.runs, threads=1 if python else prefs["core.threads"])


def _probability(synapses: Synapses, given: Any, namespace: Namespace) -> Any:
    """One probability; one for each presynaptic neuron where a text depends on nothing else; or a function of pairs."""
    if not isinstance(given, str):
        return rules.checked_probability(given)
    function = _PairFunction(synapses, given, namespace)
    if function.random or _depending(synapses, parse_expression(given), Index.POST):
        return function
    pre = np.arange(len(synapses.source), dtype=np.int32)
    return np.array(function(pre, np.zeros(pre.size, np.int32)), np.float64) if pre.size and len(synapses.target) else 0.0


def _pair_function(synapses: Synapses, text: Any, namespace: Namespace, in_order: bool) -> Any:
    """A function of the neurons of many pairs for a text; anything else as it is."""
    return _PairFunction(synapses, text, namespace, in_order=in_order) if isinstance(text, str) else text


class _PairFunction:
    """The values of a text for pairs of neurons. Errors in it come before any work, also where there is no pair to look at.

    Random numbers belong to pairs of neurons, or, `in_order`, to the calls: where pairs may occur more than once.
    """

    def __init__(self, synapses: Synapses, text: str, namespace: Namespace, *, boolean: bool = False, in_order: bool = False) -> None:
        expr, zero = parse_expression(text), np.zeros(1, np.int32)
        _refuse_synaptic(synapses, expr)
        self._candidates, dimensions = _Candidates(synapses, {Index.PRE: zero, Index.POST: zero}), None if boolean else DIMENSIONLESS
        self._evaluation = evaluation_of(expr, self._candidates, namespace, expect_boolean=boolean, dimensions=dimensions)  # type: ignore[arg-type]
        self._asked: int | None = 0 if in_order else None
        self(zero, zero)

    @property
    def random(self) -> bool:
        """Whether it draws random numbers, or may do so."""
        return self.calls_python or self._evaluation.random

    @property
    def calls_python(self) -> bool:
        """Whether functions from outside take part."""
        return self._evaluation.calls_python

    def limits(self, rows: np.ndarray, columns: np.ndarray) -> Limits:
        """Between which limits the values lie for the pairs of tiles with these edges."""
        sides = {Index.PRE: (rows, (-1, 1)), Index.POST: (columns, (1, -1))}

        def leaf(access: Access, variable: Variable) -> Limits:
            if access.index is Index.WHOLE or variable.role is Role.TABLE:
                return UNKNOWN
            side = {"i": Index.PRE, "j": Index.POST}.get(access.variable, Index.SELF) if access.index is Index.SELF else access.index
            if side not in sides or variable.shared:
                value = self._evaluation.value_of(self._candidates, access, slice(0, 1))  # type: ignore[arg-type]
                return limits(value, value) if np.ndim(value) == 0 else UNKNOWN
            edges, shape = sides[side]
            whole = variable.dtype in (DType.INT32, DType.INT64)
            if access.index is Index.SELF:
                return limits(edges[:-1].reshape(shape), (edges[1:] - 1).reshape(shape), whole=whole)
            numbers = np.arange(edges[0], edges[-1], dtype=np.int32)
            values = self._evaluation.value_of(self._candidates.at(numbers, numbers), access, slice(0, numbers.size))  # type: ignore[arg-type]
            values, starts = np.broadcast_to(np.asarray(values, np.float64), numbers.shape), edges[:-1] - edges[0]
            return limits(np.minimum.reduceat(values, starts).reshape(shape), np.maximum.reduceat(values, starts).reshape(shape), whole=whole)

        return self._evaluation.limits(leaf)

    def __call__(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        places: Elements = (i, j)
        if self._asked is not None:
            places = slice(self._asked, self._asked + i.size)
            self._asked += i.size
        return self._evaluation(self._candidates.at(i, j), slice(0, i.size), places)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Chances:
    """Upper limits of the probability that a pair is chosen, for tiles of pairs: where a condition cannot hold, or p is small, most pairs need not be asked."""

    condition: _PairFunction | None
    p: _PairFunction | None

    def most(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """For the tiles between these edges."""
        found = np.ones(())
        if self.p is not None:
            most = self.p.limits(rows, columns)
            found = np.where(most.doubt, 1.0, np.clip(most.high, 0.0, 1.0))
        if self.condition is not None:
            truth = self.condition.limits(rows, columns)
            found = np.where(truth.doubt | (truth.high > 0), found, 0.0)
        return found


# -------------------------------------------------------------------------------------------------------------------------------------- generators
def _generated(synapses: Synapses, generator: Generator, target: Index, request: Request, namespace: Namespace, key: rules.Key) -> rules.Pairs:
    """The pairs of a generator that gives neurons of the side `target` for each neuron of the other."""
    found: list[rules.Pairs] = [rules.NOTHING]
    loop = _Loop(synapses, generator, target, namespace, request.skip_if_invalid)
    n: Any = parse_expression(request.n) if isinstance(request.n, str) else request.n
    loop.check(n)
    for outer, inner, result in loop.accepted(key):

        def times(outer: np.ndarray, result: np.ndarray, inner: np.ndarray | None = inner) -> np.ndarray:
            return loop.values(n, outer, inner, result)

        pair = rules.multiply(outer, result, times if isinstance(n, Expr) else n)
        found.append(pair)
        rules.check_total(sum(one.size for one, _ in found))
    outer, result = (np.concatenate([part[side].astype(np.int32) for part in found]) for side in (0, 1))
    return (outer, result) if target is Index.POST else (result, outer)


@dataclass(frozen=True, slots=True)
class _Loop:
    """A generator at work: row by row of the neurons that it starts from (`outer`), with the values of its variable (`inner`)."""

    synapses: Synapses
    generator: Generator
    target: Index
    namespace: Namespace
    skip: bool

    @property
    def outer(self) -> Index:
        return Index.PRE if self.target is Index.POST else Index.POST

    def check(self, n: object) -> None:
        """Refuse what cannot be evaluated, before any work and also where there is nothing to evaluate."""
        generator, zero = self.generator, np.zeros(1, np.int64)
        sources = _source_parts(generator.source)
        for expr in (generator.element, generator.condition, n, *sources):
            if isinstance(expr, Expr):
                _refuse_synaptic(self.synapses, expr, generator.variable)
        for expr in (generator.element, *sources):
            self._refuse_target(expr)
        for expr in sources:
            self.values(expr, zero)
        self.values(generator.element, zero, zero)
        if generator.condition is not None:
            self.values(generator.condition, zero, zero, zero, None)
        if isinstance(n, Expr):
            self.values(n, zero, zero, zero)

    def _refuse_target(self, expr: Expr) -> None:
        """The numbers to choose from and the neuron chosen cannot depend on the neuron chosen."""
        known = {name: node for name, node in _depending(self.synapses, expr, self.target).items() if name != self.generator.variable}
        for name, node in known.items():
            index = "j" if self.target is Index.POST else "i"
            message = f"`{name}` is not known before {index} is chosen"
            raise EquationError(message, node.span, "Use it in a condition: `... if ...`.")

    def values(
        self,
        expr: Expr,
        outer: np.ndarray,
        inner: np.ndarray | None = None,
        result: np.ndarray | None = None,
        dimensions: Dimensions | None = DIMENSIONLESS,
    ) -> np.ndarray:
        """The values of one of the generator's expressions; what is not given cannot be used in it."""
        ends = {self.outer: outer} if result is None else {self.outer: outer, self.target: result}
        name = self.generator.variable
        extra = {} if name is None or inner is None else {name: inner}
        return _Candidates(self.synapses, ends, extra).values(expr, self.namespace, dimensions=dimensions)

    def truth(self, expr: Expr, outer: np.ndarray, inner: np.ndarray | None = None, result: np.ndarray | None = None) -> np.ndarray:
        """Where a condition holds; a number counts as true unless it is zero."""
        return self.values(expr, outer, inner, result, None) != 0

    def accepted(self, key: rules.Key) -> Iterator[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
        """Neurons, values of the variable and neurons chosen, a bounded number at a time."""
        generator, size = self.generator, _size(self.synapses, self.target)
        rows, condition = np.arange(_size(self.synapses, self.outer)), generator.condition
        if condition is not None and self._is_of_row(condition):
            rows, condition = rows[self.truth(condition, rows)], None
        # A neuron that does not exist has no variables, so it is an error before the condition is asked.
        early = condition is not None and bool(set(_depending(self.synapses, condition, self.target)) - {"i", "j", generator.variable})
        for outer, inner in self._candidates(rows, key):
            result = inner
            if inner is None or generator.element != Name(str(generator.variable)):
                result = _whole(self.values(generator.element, outer, inner), generator.element)
            assert result is not None
            chosen = (result >= 0) & (result < size)
            if not self.skip and (early or condition is None):
                self._require(chosen, outer, result)
            if self.skip or early:
                outer, inner, result = outer[chosen], None if inner is None else inner[chosen], result[chosen]
            if condition is not None:
                chosen = self.truth(condition, outer, inner, result)
                outer, inner, result = outer[chosen], None if inner is None else inner[chosen], result[chosen]
                self._require((result >= 0) & (result < size), outer, result)
            yield outer, inner, result

    def _is_of_row(self, condition: Expr) -> bool:
        """Whether a condition holds for all or none of the candidates of a row."""
        drawn = any(isinstance(node, Call) and (node.function not in FUNCTIONS or FUNCTIONS[node.function].draw) for node in walk(condition))
        names = _reached(self.synapses, condition)
        return not drawn and self.generator.variable not in names and not _depending(self.synapses, condition, self.target)

    def _candidates(self, rows: np.ndarray, key: rules.Key) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        source = self.generator.source
        if source is None:
            for start in range(0, rows.size, TEXTS * rules.CHUNK):
                yield rows[start : start + TEXTS * rules.CHUNK], None
            return
        numbers = source.range if isinstance(source, Sample) else source
        strict = isinstance(source, Range)
        low, high, step = (_whole(self.values(expr, rows), expr, strict) for expr in (numbers.low, numbers.high, numbers.step))
        sizes, chunk = rules.range_sizes(low, high, step), TEXTS * rules.CHUNK
        match source:
            case Range():
                chosen = rules.every(sizes, chunk)
            case Sample(_, p, None) if p is not None:
                chosen = rules.with_probability(sizes, self.values(p, rows), key, chunk)
            case Sample(_, None, size) if size is not None:
                wanted = self._sample_sizes(_whole(self.values(size, rows), size), sizes, rows, size)
                chosen = rules.of_size(sizes, wanted, key, chunk)
            case _:
                raise TypeError(f"not a source of numbers: {source!r}")
        for row, place in chosen:
            yield rows[row], low[row] + place * step[row]

    def _sample_sizes(self, wanted: np.ndarray, sizes: np.ndarray, rows: np.ndarray, expr: Expr) -> np.ndarray:
        """How many of each row are drawn."""
        bad = np.flatnonzero(((wanted < 0) | (wanted > sizes)) & (sizes > 0)) if not self.skip else np.zeros(0, int)
        if bad.size:
            neuron = f"{'i' if self.target is Index.POST else 'j'} = {rows[bad[0]]}"
            message = f"`{text_of(expr)}` draws {wanted[bad[0]]} of {sizes[bad[0]]} numbers for {neuron}"
            raise ElementError(message, expr.span, "Draw fewer, or give skip_if_invalid=True.")
        return np.clip(wanted, 0, sizes)

    def _require(self, valid: np.ndarray, outer: np.ndarray, result: np.ndarray) -> None:
        if np.all(valid):
            return
        group, side = (self.synapses.target, "target") if self.target is Index.POST else (self.synapses.source, "source")
        one, other = ("j", "i") if self.target is Index.POST else ("i", "j")
        bad = int(np.flatnonzero(~valid)[0])
        message = f"`{text_of(self.generator.element)}` gives {one} = {result[bad]} for {other} = {outer[bad]}"
        message += f", but the {side} {group.name!r} has neurons 0 to {len(group) - 1}"
        raise ElementError(message, self.generator.element.span, "Add a condition (`... if ...`), or give skip_if_invalid=True.")


def _source_parts(source: Range | Sample | None) -> tuple[Expr, ...]:
    match source:
        case Range(low, high, step):
            return low, high, step
        case Sample(numbers, p, size):
            return (*_source_parts(numbers), *(part for part in (p, size) if part is not None))
    return ()


def _whole(values: np.ndarray, expr: Expr, strict: bool = False) -> np.ndarray:
    """The whole part of numbers; with `strict`, numbers that are not whole are refused."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    bad = np.flatnonzero(~np.isfinite(values) | (strict & (values != np.trunc(values))))
    if bad.size:
        message = f"`{text_of(expr)}` is {values[bad[0]]:g}, not a whole number"
        raise DataTypeError(message, expr.span, "Divide with `//`, or write `int(...)` around it.")
    return values.astype(np.int64)


# ------------------------------------------------------------------------------------------------------------------------------ names in the texts
def _size(synapses: Synapses, side: Index) -> int:
    return len(synapses.source if side is Index.PRE else synapses.target)


def _reached(synapses: Synapses, expr: Expr) -> dict[str, Name]:
    """The names of an expression and of the subexpressions it uses, each with the name in the user's text that leads there."""
    inner = {s.variable: s.value for s in synapses.model.subexpressions}
    found = dict(names_in(expr))
    todo = list(found.items())
    while todo:
        name, node = todo.pop()
        for other in names_in(inner[name]) if name in inner else ():
            if other not in found:
                found[other] = node
                todo.append((other, node))
    return found


def _depending(synapses: Synapses, expr: Expr, side: Index) -> dict[str, Name]:
    """The names in an expression whose values depend on the neuron of one side."""
    model = synapses.model
    own = {v.name for v in model.variables}
    neurons = {v.name for v in (model.pre if side is Index.PRE else model.post) if not v.shared and v.role is not Role.EXTERNAL}
    index, suffix, plain = ("i", "_pre", set()) if side is Index.PRE else ("j", "_post", neurons)
    names = {index} | (({f"{name}{suffix}" for name in neurons} | plain) - own)
    return {name: node for name, node in _reached(synapses, expr).items() if name in names}


def _refuse_synaptic(synapses: Synapses, expr: Expr, variable: str | None = None) -> None:
    """Refuse what belongs to single synapses: they do not exist yet."""
    stored = {v.name for v in synapses.model.variables if not v.shared and v.role is not Role.SUBEXPRESSION} - {"i", "j"}
    for name, node in _reached(synapses, expr).items():
        if name in stored and name != variable:
            message = f"`{name}` belongs to single synapses, and connect() decides which there are"
            raise EquationError(message, node.span, "Use `i`, `j` and the variables of the neurons, such as `x_pre` and `y_post`.")


class _Candidates:
    """Pairs of neurons that may get synapses, or neurons of one side, as the owner of the expressions that decide it."""

    def __init__(self, synapses: Synapses, ends: Mapping[Index, np.ndarray], extra: Mapping[str, np.ndarray] | None = None):
        self.name, self.namespace, self.clock = synapses.name, synapses.namespace, synapses.clock
        self._synapses, self._ends = synapses, ends
        pre, post, model = ends.get(Index.PRE), ends.get(Index.POST), synapses.model
        self._values = {name: end for name, end in (("i", pre), ("j", post)) if end is not None}
        self._values |= {"N_pre": np.asarray(len(synapses.source)), "N_post": np.asarray(len(synapses.target)), **(extra or {})}
        own = tuple(v for v in model.variables if v.name not in (extra or {}) and (v.shared or v.name in self._values or v.role is Role.SUBEXPRESSION))
        own += tuple(Variable(name, Role.INDEX, dtype=DType.INT64) for name in extra or {})
        subexpressions = tuple(s for s in model.subexpressions if s.variable not in (extra or {}))
        before, after = (tuple(v for v in side if v.shared or end is not None) for side, end in ((model.pre, pre), (model.post, post)))
        self.model = Model(synapses.name, own, subexpressions=subexpressions, pre=before, post=after)

    def at(self, i: np.ndarray, j: np.ndarray) -> _Candidates:
        """The same for other pairs."""
        other = copy(self)
        other._ends, other._values = {Index.PRE: i, Index.POST: j}, {**self._values, "i": i, "j": j}
        return other

    def values(self, expr: Expr, namespace: Namespace, *, dimensions: Dimensions | None = None) -> np.ndarray:
        """The values of an expression, one for each pair."""
        count = next(iter(self._ends.values())).size
        return evaluated(expr, self, slice(0, count), namespace, dimensions=dimensions)  # type: ignore[arg-type]

    def values_of(self, access: Access, indices: Any, namespace: Namespace | None = None) -> np.ndarray:
        """The values (SI) that `access` reaches from the pairs at `indices`."""
        if access.index in (Index.PRE, Index.POST):
            group, ends = self._synapses.source if access.index is Index.PRE else self._synapses.target, self._ends.get(access.index)
            return group.values_of(Access(access.variable), slice(0) if ends is None else ends[indices], namespace)
        if access.variable not in self._values:
            return self._synapses.values_of(access, indices, namespace)
        values = self._values[access.variable]
        return values[indices] if values.ndim else values
