"""Passes that change no result: random kernels give the same bits with and without each of them."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brianlike.build import build_python
from brianlike.simulate import Inputs, NumpyEngine
from codegen.abreast import abreast
from codegen.emit import python
from codegen.expr import Binary, Call, Cast, Compare, DType, Index, Logical, Name, Negate, Not, Number, Where, walk
from codegen.fuse import fuse, merge
from codegen.ir import Array, Fire, Let, Load, Map, Program, Propagator, Role, Select, Store, defined, expressions
from codegen.optimize import fold, hoist, optimize, prune, share
from codegen.verify import verify_program

FLOAT, BOOL, SELF, SHARED = DType.FLOAT, DType.BOOL, Index.SELF, Index.SHARED
NUMBERS = (0.0, 1.0, -1.0, 0.5, 2.0, 3.7, 2, 3, 0, 1e300)
MANY = settings(max_examples=100, deadline=None)


class Writer:
    """Random expressions over names of two types; the same few subtrees come again and again, as in flattened equations."""

    def __init__(self, random, names):
        self.random, self.names = random, dict(names)
        self.seen = {FLOAT: [], BOOL: []}

    def expression(self, dtype, depth=3):
        choice = self.random.random()
        if self.seen[dtype] and choice < 0.25:
            return self.random.choice(self.seen[dtype])
        known = [Name(n) for n, kind in self.names.items() if kind is dtype]
        if depth == 0 or choice < 0.4:
            return self.random.choice(known) if dtype is BOOL or self.random.random() < 0.6 else Number(self.random.choice(NUMBERS))
        found = self.real(depth - 1) if dtype is FLOAT else self.condition(depth - 1)
        if sum(1 for _ in walk(found)) < 12:
            self.seen[dtype].append(found)
        return found

    def real(self, depth):
        def sub():
            return self.expression(FLOAT, depth)

        match self.random.randrange(9):
            case 0 | 1 | 2:
                return Binary(self.random.choice("+-*"), sub(), sub())
            case 3:  # numpy divides by 0, Python does not: one of the two is an array
                return Binary("/", Name("x"), sub())
            case 4:
                return Call(self.random.choice(("exp", "abs", "tanh", "floor", "exprel")), (Cast(FLOAT, sub()),))
            case 5:
                return Where(self.expression(BOOL, depth), sub(), sub())
            case 6:
                return Negate(sub())
            case 7:
                return Cast(FLOAT, self.expression(BOOL, depth))
            case _:
                return Binary("**", Cast(FLOAT, sub()), Number(2))

    def condition(self, depth):
        match self.random.randrange(4):
            case 0 | 1:
                return Compare(self.random.choice(("<", "<=", ">", "==")), self.expression(FLOAT, depth), self.expression(FLOAT, depth))
            case 2:
                return Logical(self.random.choice(("and", "or")), self.expression(BOOL, depth), self.expression(BOOL, depth))
            case _:
                return Not(self.expression(BOOL, depth))

    def value(self):
        """A number that is no literal, since Python does not divide literals by 0."""
        found = self.expression(FLOAT)
        return Cast(FLOAT, found if any(isinstance(node, Name) for node in walk(found)) else Binary("+", Name("x"), found))

    def line(self, name):
        match self.random.randrange(6):
            case 0:
                line, kind = Let(name, self.expression(BOOL), BOOL), BOOL
            case 1:
                line, kind = Fire(name, self.expression(BOOL), None, self.expression(BOOL) if self.random.random() < 0.5 else None), BOOL
            case 2:
                line, kind = Select(name, self.expression(BOOL), self.value(), self.value(), FLOAT), FLOAT
            case _:
                line, kind = Let(name, self.value(), FLOAT), FLOAT
        self.names[name] = kind
        return line


LOADS = (Load("x", "x", SELF), Load("y", "y", SELF), Load("z", "z", SHARED), Load("b", "b", SELF, BOOL))


def random_kernel(random, name="k", loads=LOADS, targets=("x", "y"), lines=6):
    writer = Writer(random, {load.name: load.dtype for load in loads})
    body = tuple(writer.line(f"n{k}") for k in range(lines))
    body += tuple(Let(f"new_{target}", writer.value(), FLOAT) for target in targets)
    return Map(name, "group", loads, body, tuple(Store(target, SELF, f"new_{target}") for target in targets))


def values():
    rng = np.random.default_rng(0)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-300]
    return {
        "x": np.concatenate([rng.normal(size=8), special]),
        "y": np.concatenate([rng.normal(size=8), special[::-1]]),
        "z": np.array([0.7]),
        "b": np.arange(16) % 3 == 0,
    }


def evaluate(kernel):
    arrays = values()
    with np.errstate(all="ignore"):
        results = build_python(python.render(kernel))(*(arrays[load.array] for load in kernel.loads))
    return {store.array: np.broadcast_to(np.asarray(r, np.float64), 16) for store, r in zip(kernel.stores, results)}


def assert_same_bits(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        same = (found[name] == value) & (np.signbit(found[name]) == np.signbit(value)) | (np.isnan(found[name]) & np.isnan(value))
        assert same.all(), f"{name}: {found[name][~same]} instead of {value[~same]}"


def shared(kernel):
    body, names = share(kernel.body, {load.name: load.dtype for load in kernel.loads})
    return replace(kernel, body=body, stores=tuple(replace(s, name=names.get(s.name, s.name)) for s in kernel.stores))


PASSES = {
    "fold": lambda k: replace(k, body=fold(k.body)),
    "share": shared,
    "prune": lambda k: replace(k, body=prune(k.body, [s.name for s in k.stores])),
    "optimize": optimize,
    "optimize twice": lambda k: optimize(optimize(k)),
    "abreast": lambda k: replace(k, body=abreast(k.body, k.loads)),
}


@pytest.mark.parametrize("name", PASSES)
@MANY
@given(seed=st.integers(0, 2**32))
def test_the_pass_changes_no_bit(name, seed):
    kernel = random_kernel(Random(seed))
    changed = PASSES[name](kernel)
    verify_program(program(kernel))
    verify_program(program(changed))
    assert_same_bits(evaluate(changed), evaluate(kernel))


def arrays_of(*kernels):
    names = {part.array for kernel in kernels for part in (*kernel.loads, *kernel.stores)}
    roles = {"x": Role.STATE, "y": Role.STATE, "z": Role.PARAMETER, "b": Role.PARAMETER, "p": Role.PARAMETER}
    return tuple(Array(n, None if n == "z" else "group", roles[n], BOOL if n == "b" else FLOAT) for n in sorted(names))


def program(*kernels):
    return Program(arrays_of(*kernels), (), kernels)


def simulate(prog, steps=3):
    arrays = values() | {"p": np.linspace(-2, 2, 16)}
    engine = NumpyEngine(prog, Inputs(arrays, {"group": 16}))
    engine.set_up()
    engine.run(steps)
    return {name: engine.values[name] for name in ("x", "y")}


PARAMETERS = (Load("p", "p", SELF), Load("z", "z", SHARED), Load("x", "x", SELF), Load("b", "b", SELF, BOOL))


@MANY
@given(seed=st.integers(0, 2**32))
def test_hoisting_changes_no_bit(seed):
    random = Random(seed)
    before = program(random_kernel(random, loads=PARAMETERS, lines=8))
    after = hoist(before)
    verify_program(after)
    assert_same_bits(simulate(after), simulate(before))


@MANY
@given(seed=st.integers(0, 2**32))
def test_merging_changes_no_bit(seed):
    random = Random(seed)
    first = random_kernel(random, "first", targets=("x",), lines=4)
    second = random_kernel(random, "second", loads=LOADS[:2] + PARAMETERS[:1] + LOADS[3:], lines=4)
    one = program(merge(first, second))
    verify_program(one)
    assert_same_bits(simulate(one), simulate(program(first, second)))
    fused = fuse(program(first, second))
    assert len(fused.kernels) == 1
    assert_same_bits(simulate(hoist(fused)), simulate(program(first, second)))


@MANY
@given(seed=st.integers(0, 2**32))
def test_nothing_is_left_to_share_and_nothing_unread(seed):
    random = Random(seed)
    kernel = optimize(random_kernel(random))
    read = {node.name for line in kernel.body for e in expressions(line) for node in walk(e) if isinstance(node, Name)} | {s.name for s in kernel.stores}
    assert {load.name for load in kernel.loads} <= read
    assert all(set(defined(line)) & read for line in kernel.body)
    compound = [node for line in kernel.body for e in expressions(line) for node in set(walk(e)) if isinstance(node, Binary | Call | Where)]
    assert len(compound) == len(set(compound))


def test_what_hangs_on_parameters_only_is_computed_once():
    cost = Call("exp", (Binary("*", Name("p"), Name("z")),))
    kernel = Map("k", "group", PARAMETERS, (Let("new_x", Binary("*", cost, Name("x"))),), (Store("x", SELF, "new_x"),))
    after = hoist(program(kernel))
    assert any(node == cost for line in after.setup[0].body for e in expressions(line) for node in walk(e))
    assert not any(isinstance(node, Call) for line in after.kernels[0].body for e in expressions(line) for node in walk(e))
    changing = replace(kernel, stores=(*kernel.stores, Store("p", SELF, "new_x")))
    assert not hoist(program(changing)).setup


def test_pruning_a_propagator_keeps_the_entries_that_are_read():
    line = Propagator(((Name("x"), Number(0.0)), (Name("y"), Name("x"))), Name("z"), (("a", None), ("c", "d")), ((None, None), (None, "q")))
    (kept,) = prune((line, Let("r", Name("c"))), ["r"])[:1]
    assert kept.names == ("c",)
    assert prune((line,), ["r"]) == ()


def test_chains_of_calls_stand_side_by_side():
    def exp(expr):
        return Call("exp", (expr,))

    x, y, z = map(Name, "xyz")
    last = Let("r", Binary("-", Name("q"), Name("p")))
    chains = [Let("p", Binary("*", exp(exp(x)), exp(z))), Let("q", exp(Binary("+", y, exp(y)))), last]
    first, second = (Let("l0", exp(x)), Let("l3", exp(y))), (Let("l1", exp(Name("l0"))), Let("q", exp(Binary("+", y, Name("l3")))))
    assert abreast(chains, LOADS) == (*first, *second, Let("p", Binary("*", Name("l1"), exp(z))), last)  # z is the same for all: no call in the loop
