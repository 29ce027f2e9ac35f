"""The adjoint of kernels and small Programs, against autograd through the torch emitter, and finite differences where things are smooth."""

import ast

import numpy as np
import pytest

from codegen import derivative as reverse_mode
from codegen.adjoint import adjoint, dense
from codegen.emit import python
from codegen.emit import torch as torch_emitter
from codegen.errors import UnsupportedError
from codegen.expr import Binary, Call, Cast, Compare, DType, Index, Logical, Name, Negate, Not, Number, Truth, Where
from codegen.functions import FUNCTIONS
from codegen.ir import Array, Deliver, Draw, Fire, Let, Load, Map, Program, Propagator, Record, Role, Select, Store, Table
from codegen.models import parse_group, parse_synapses
from codegen.pipeline import Options, compile_model, compile_program
from codegen.resolve import resolve, unit_external
from codegen.surrogate import SURROGATES, ATan, Boxcar, SuperSpike, Surrogate, TrueGradient
from codegen.verify import verify_program

torch = pytest.importorskip("torch")

SELF, SHARED, PRE, POST = Index.SELF, Index.SHARED, Index.PRE, Index.POST
SURROGATE = Surrogate(SuperSpike(beta=3.0), width=0.5, scale=0.7)
_OPERATORS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


def E(text):
    """Python's syntax for expressions, the compiler's own functions and `a if c else b` included."""
    return _expr(ast.parse(text, mode="eval").body)


def _expr(node):
    match node:
        case ast.Constant(bool() as value):
            return Truth(value)
        case ast.Constant(value):
            return Number(value)
        case ast.Name(name):
            return Name(name)
        case ast.UnaryOp(ast.USub(), operand):
            return Negate(_expr(operand))
        case ast.UnaryOp(ast.Not(), operand):
            return Not(_expr(operand))
        case ast.BinOp(left, operator, right):
            return Binary(_OPERATORS[type(operator)], _expr(left), _expr(right))
        case ast.Compare(left, [operator], [right]):
            return Compare(_OPERATORS[type(operator)], _expr(left), _expr(right))
        case ast.BoolOp(operator, [left, right]):
            return Logical("and" if isinstance(operator, ast.And) else "or", _expr(left), _expr(right))
        case ast.IfExp(test, body, orelse):
            return Where(_expr(test), _expr(body), _expr(orelse))
        case ast.Call(ast.Name("float"), [operand]):
            return Cast(DType.FLOAT, _expr(operand))
        case ast.Call(ast.Name("int"), [operand]):
            return Cast(DType.INT32, _expr(operand))
        case ast.Call(ast.Name(name), arguments):
            return Call(name, tuple(map(_expr, arguments)))
    raise TypeError(ast.dump(node))


def L(name, text, dtype=DType.FLOAT):
    return Let(name, E(text), dtype)


def kernel_of(body, inputs, outputs, dtypes=None):
    dtypes = dtypes or {}
    loads = tuple(Load(name, name, SELF, dtypes.get(name, DType.FLOAT)) for name in inputs)
    return Map("body", "neurons", loads, tuple(body), tuple(Store(f"new_{name}", SELF, name) for name in outputs))


def compile_python(source):
    scope = {}
    exec(python.PRELUDE + source.text, scope)
    return scope[source.name]


def compile_torch(kernel, gradient):
    source = torch_emitter.render(kernel, gradient)
    scope = {}
    exec(torch_emitter.PRELUDE + source.text, scope)
    return scope[source.name]


def cotangents(kernel, active, gradient, values, seeds):
    """The adjoint body in numpy: the cotangents of the active inputs."""
    types = {load.name: load.dtype for load in kernel.loads}
    draws = [line.name for line in kernel.body if isinstance(line, Draw)]
    pairs = [(store.name, f"seed_{n}") for n, store in enumerate(kernel.stores)]
    lines, found = reverse_mode.reverse(kernel.body, types, active, pairs, gradient)
    kept = [line.name for line in lines if isinstance(line, Draw)]
    assert len({n for line in lines for n in reverse_mode.defined(line)}) == sum(len(reverse_mode.defined(line)) for line in lines)
    loads = tuple(Load(name, name, SELF, dtype) for name, dtype in {**types, **{seed: DType.FLOAT for _, seed in pairs}}.items())
    names = [found[name] for name in active if name in found]
    adjoint_kernel = Map("adjoint", "neurons", loads, lines, tuple(Store(name, SELF, name) for name in names))
    drawn = dict(zip(draws, values[len(types) :]))
    with np.errstate(all="ignore"):
        results = compile_python(python.render(adjoint_kernel))(*values[: len(types)], *seeds, *(drawn[name] for name in kept))
    results = dict(zip([name for name in active if name in found], results))
    shape = np.shape(seeds[0])
    return {name: np.broadcast_to(results.get(name, 0.0), shape) for name in active}


def autograd(kernel, active, gradient, values, seeds):
    names = [load.name for load in kernel.loads]
    tensors = [torch.tensor(np.asarray(v), dtype=torch.float64 if n in active else None, requires_grad=n in active) for n, v in zip(names, values)]
    tensors += [torch.tensor(v) for v in values[len(names) :]]
    outputs = compile_torch(kernel, gradient)(*tensors)
    total = sum((torch.as_tensor(out) * torch.tensor(seed)).sum() for out, seed in zip(outputs, seeds))
    wanted = [t for n, t in zip(names, tensors) if n in active]
    grads = torch.autograd.grad(total, wanted, allow_unused=True) if total.requires_grad else [None] * len(wanted)
    return {n: np.zeros(np.shape(seeds[0])) if g is None else g.numpy() for n, g in zip([n for n in names if n in active], grads)}


def compare(body, inputs, outputs, values, active=None, gradient=SURROGATE, dtypes=None, finite=True):
    kernel = kernel_of(body, inputs, outputs, dtypes)
    active = list(inputs) if active is None else active
    size = np.shape(values[0])
    seeds = [np.random.default_rng(n).normal(size=size) for n in range(len(outputs))]
    mine, torchs = (f(kernel, active, gradient, values, seeds) for f in (cotangents, autograd))
    for name in active:
        np.testing.assert_allclose(mine[name], torchs[name], rtol=1e-10, atol=1e-12, err_msg=name)
        assert not finite or np.all(np.isfinite(mine[name]))
    return mine


X = np.array([-1.7, -0.4, 0.0, 0.3, 1.0, 2.5])
Y = np.array([0.6, -0.4, 1.3, 0.3, -2.0, 0.8])

BODIES = {
    "linear": ([L("r", "2.0*x - y/3.0 + (-x)")], "xy"),
    "product": ([L("a", "x*y"), L("r", "a*a*x - a")], "xy"),
    "quotient": ([L("r", "(x + y)/(3.5 + y)")], "xy"),
    "integers": ([L("r", "x*2 + 1/2*y + (7//2)*y")], "xy"),
    "powers": ([L("r", "x**2 + y**3 - x**4 + (x + 3)**2.5 + (y + 3)**-1 + (x + 3)**0.5 + x**1")], "xy"),
    "power of two": ([L("r", "(x + 2)**y")], "xy"),
    "power of a number": ([L("r", "2.5**x")], "x"),
    "remainder": ([L("r", "(x + 0.11) % (y + 0.05) + x % 0.7")], "xy"),
    "floor division": ([L("r", "x // 0.7 * y")], "xy"),
    "exponentials": ([L("r", "exp(x)*exprel(y) + expm1(x*y)")], "xy"),
    "equal time constants": ([L("r", "_exp_difference(x, y)")], "xy"),
    "far time constants": ([L("r", "_exp_difference(-200*x, 200*x)/exp(200*abs(x))")], "x"),
    "where": ([L("r", "x*x if x > y else y - x")], "xy"),
    "where hides": ([L("r", "sqrt(x) if x > 0 else 0.0"), L("q", "1/y if y > 0 else x/abs(y)")], "xy"),
    "where nested": ([L("r", "(log(x) if x < 2 else sqrt(x - 2)) if x > 0 else (1/x if x < 0 else 3*x)")], "x"),
    "where overflow": ([L("r", "y if x < 0.2 else exp(-900*x*x*x*y*y)*y")], "xy"),
    "saturation": ([L("r", "y/(1 + exp(900*x)) + exp(-x*x*1e5)")], "xy"),
    "where conditions": ([L("c", "x > 0 and not y > 0", DType.BOOL), L("r", "x if c or y < -1 else y")], "xy"),
    "literals": ([L("r", "0.1 if x > 0 else 0.3"), L("q", "exp(1.0) + 2*x")], "x"),
    "clip": ([L("r", "clip(x, y - 1, 0.9) + clip(y, -0.3, 0.5)*x")], "xy"),
    "alias": ([L("a", "x"), L("b", "a"), L("r", "b*y + b")], "xy"),
    "casts": ([L("n", "int(x*3)", DType.INT32), L("r", "n*x + float(x > y)*y + n % 3")], "xy"),
    "constants": ([L("r", "floor(x)*y + sign(x)*y + ceil(y)*x")], "xy"),
    "select": ([L("c", "x > y", DType.BOOL), Select("r", Name("c"), E("x*y"), E("y + 2*x"))], "xy"),
    "select expression": ([Select("r", E("x > 0 and y > 0"), E("sqrt(x)*y"), E("x"))], "xy"),
    "deep": ([L("a0", "x*x + y"), *(L(f"a{n}", f"tanh(a{n - 1}*(a{n - 1} + x)*0.5 + sin(a{n - 1})*a{n - 1})*1.3") for n in range(1, 30)), L("r", "a29")], "xy"),
}  # fmt: skip


@pytest.mark.parametrize("case", BODIES)
def test_body_equals_autograd(case):
    body, inputs = BODIES[case]
    outputs = [name for name in ("r", "q") if any(name in reverse_mode.defined(line) for line in body)]
    compare(body, list(inputs), outputs, [X, Y][: len(inputs)])


@pytest.mark.parametrize("case", ["linear", "product", "quotient", "powers", "exponentials", "equal time constants", "deep", "casts"])
def test_body_equals_finite_differences(case):
    body, inputs = BODIES[case]
    kernel = kernel_of(body, list(inputs), ["r"])
    forward = compile_python(python.render(kernel))
    x, y = X + 0.0123, Y + 0.0045
    mine = cotangents(kernel, list(inputs), SURROGATE, [x, y], [np.ones(6)])
    step = 1e-6
    for n, name in enumerate(inputs):
        up, down = [x, y], [x, y]
        up[n], down[n] = up[n] + step, down[n] - step
        numeric = (forward(*up)[0] - forward(*down)[0]) / (2 * step)
        np.testing.assert_allclose(mine[name], numeric, rtol=1e-7, atol=1e-7)


def test_no_exponential_growth():
    lines, _ = reverse_mode.reverse(BODIES["deep"][0], {"x": DType.FLOAT, "y": DType.FLOAT}, "xy", [("r", "seed")], SURROGATE)
    assert len(lines) < 29 * 30
    assert max(len(str(line)) for line in lines) < 1000


# ------------------------------------------------------------------------------------------------------------------------------- the table of functions
SAMPLES = {"arcsin": 0.3, "arccos": 0.3, "log": 2.0, "log10": 2.0, "log1p": 2.0, "sqrt": 2.0}


@pytest.mark.parametrize("name", [n for n, spec in FUNCTIONS.items() if spec.draw is None and "torch" in spec.text])
def test_every_function_has_the_partials_that_torch_has(name):
    spec = FUNCTIONS[name]
    scale = SAMPLES.get(name)
    first = np.linspace(-0.9, 0.9, 9) if scale is None else scale + np.linspace(-0.2, 0.2, 9)
    values = [first, np.linspace(0.7, -0.8, 9)[::-1] - 0.2, np.full(9, 0.4)][: spec.arity]
    if name == "_exp_difference":
        values = [np.array([-3.0, -0.2, 0.0, 0.5, 0.5, 1.0, 2.0, -40.0, 1e-9]), np.array([-3.0, 0.3, 0.0, 0.5, -0.5, 1.0 + 1e-8, -2.0, 3.0, 0.0])]
    if name in ("exprel", "_exprel_slope", "_inverse_exprel"):
        values = [np.array([-30.0, -2.0, -0.5, -1e-3, 0.0, 1e-9, 0.3, 0.51, 20.0])]
    inputs = list("xyz")[: spec.arity]
    dtype = spec.dtype or DType.FLOAT
    body = [Let("v", Call(name, tuple(map(Name, inputs))), dtype), Let("r", Cast(DType.FLOAT, Name("v")) if dtype is not DType.FLOAT else Name("v"))]
    if name == "_exprel_curvature":  # the end of the chain: a constant for the adjoint, though torch could go on
        assert spec.constant
        return
    mine = compare(body, inputs, ["r"], values)
    for n, partial in enumerate(spec.partials(*map(Name, inputs))):
        assert partial is not None or not np.any(mine[inputs[n]])


# ------------------------------------------------------------------------------------------------------------------------------------- spikes, resets
def lif(detach=False):
    return [
        L("v1", "v*0.9 + i*(1 - tau)/tau"),
        Fire("s", E("v1 > th"), E("v1 - th"), E("ok")),
        Select("v2", Name("s"), E("0.1*v1 + r"), E("v1"), detach=detach),
        Select("b2", Name("s"), E("b + 0.3*b"), E("b")),
        L("s_out", "float(s)"),
    ]


V = np.array([0.0, 0.95, 1.2, 1.3, -4.0, 1.05])
LIF_INPUTS = ["v", "i", "tau", "th", "r", "b", "ok"]
LIF_VALUES = [V, Y, np.full(6, 0.5), np.full(6, 1.0), 0.1 * X, 1 + 0.2 * X, np.array([1, 1, 1, 0, 1, 1], dtype=bool)]


@pytest.mark.parametrize("shape", SURROGATES)
@pytest.mark.parametrize("detach", [False, True])
def test_spikes_and_resets(shape, detach):
    gradient = Surrogate(SURROGATES[shape](), width=0.5, scale=0.7)
    mine = compare(lif(detach), LIF_INPUTS, ["v2", "b2", "s_out"], LIF_VALUES, LIF_INPUTS[:-1], gradient, {"ok": DType.BOOL})
    assert mine["th"][3] == 0  # the gate is closed
    assert mine["th"][2] != 0 or shape in ("Boxcar", "Triangle")


def test_true_gradient_of_a_spike_is_zero():
    mine = compare(lif(), LIF_INPUTS, ["v2", "b2", "s_out"], LIF_VALUES, LIF_INPUTS[:-1], TrueGradient(), {"ok": DType.BOOL})
    assert not np.any(mine["th"])


def test_surrogate_by_hand():
    body = [Fire("s", E("v > 1"), E("v - 1")), L("r", "float(s)*w")]
    v, w = np.array([0.5, 1.5]), np.array([2.0, 3.0])
    kernel = kernel_of(body, ["v", "w"], ["r"])
    mine = cotangents(kernel, ["v", "w"], SURROGATE, [v, w], [np.ones(2)])
    np.testing.assert_allclose(mine["v"], w * 0.7 / 0.5 / (1 + 3 * np.abs(v - 1) / 0.5) ** 2, rtol=1e-14)
    np.testing.assert_array_equal(mine["w"], [0.0, 1.0])


def test_spikes_are_exact_and_safe_where_the_margin_is_not_finite():
    v = np.array([np.inf, -np.inf, np.nan, 1e308, 2.0, 0.0])
    body = [Fire("s", E("v > 1"), E("v - 1")), Select("r", Name("s"), E("0.0*w"), E("v")), L("q", "float(s)")]
    kernel = kernel_of(body, ["v", "w"], ["r", "q"])
    outputs = compile_torch(kernel, SURROGATE)(torch.tensor(v, requires_grad=True), torch.ones(6, dtype=torch.float64, requires_grad=True))
    np.testing.assert_array_equal(outputs[1].detach().numpy(), [1, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(outputs[0].detach().numpy(), [0, -np.inf, np.nan, 0, 0, 0])
    mine = compare(body, ["v", "w"], ["r", "q"], [v, np.ones(6)])
    assert mine["v"][0] == 0


def test_select_keeps_the_forward_bits():
    kernel = kernel_of([Select("r", Name("s"), E("x"), E("y"))], ["s", "x", "y"], ["r"])
    x, y = torch.tensor([-0.0, 0.1, -0.0, 3.0]), torch.tensor([1.0, -0.0, -1.0, float("inf")])
    s = torch.tensor([1.0, 0.0, 1.0, 1.0], requires_grad=True)
    r = compile_torch(kernel, SURROGATE)(s, x, y)[0]
    np.testing.assert_array_equal(r.detach().numpy().view(np.int32), torch.tensor([-0.0, -0.0, -0.0, 3.0]).numpy().view(np.int32))
    r.sum().backward()
    np.testing.assert_array_equal(s.grad.numpy(), (torch.tensor([-1.0, 0.1, 1.0, 0.0])).numpy())


def test_graded_events():
    body = [Select("r", Name("s"), E("x*2"), E("y")), L("q", "s*x")]
    compare(body, ["s", "x", "y"], ["r", "q"], [np.array([0.0, 1.0, 0.5, 2.0, 0.0, 1.0]), X, Y])


def test_draws_are_inputs():
    body = [Draw("xi", "normal", 0), Draw("unused", "uniform", 1), L("r", "x*xi + y*xi*xi"), L("q", "unused")]
    compare(body, ["x", "y"], ["r", "q"], [X, Y, X - Y, Y])


def test_a_shared_line_of_a_branch_not_taken_does_not_leak():
    body = [L("root", "sqrt(x)*y"), L("r", "root if x > 0 else y")]
    kernel = kernel_of(body, ["x", "y"], ["r"])
    mine = cotangents(kernel, ["x", "y"], SURROGATE, [np.array([-1.0, 0.0, 4.0]), np.ones(3)], [np.ones(3)])
    np.testing.assert_array_equal(mine["x"], [0.0, 0.0, 0.25])
    np.testing.assert_array_equal(mine["y"], [1.0, 1.0, 2.0])


def test_a_reset_hides_the_overflow_before_it():
    body = [L("v1", "v + 0.1*exp((v - 1)/d)"), Fire("s", E("v1 > 1"), E("v1 - 1")), Select("v2", Name("s"), E("0.0*v + r"), E("v1"))]
    mine = compare(body, ["v", "d", "r"], ["v2"], [np.array([200.0, 0.5]), np.full(2, 0.1), np.zeros(2)])
    assert mine["r"][0] != 0 and mine["r"][1] == 0


# ----------------------------------------------------------------------------------------------------------------------------------------- propagator
def table(text, size):
    return tuple(tuple(f"{text}{i}{j}" for j in range(size)) for i in range(size))


def propagator(size, transition=True, response=True):
    none = ((None,) * size,) * size
    entries = tuple(tuple(E(f"a{i}{j}*k" if i == j else f"a{i}{j}") for j in range(size)) for i in range(size))
    return Propagator(entries, Name("dt"), table("p", size) if transition else none, table("q", size) if response else none)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(("transition", "response"), [(True, True), (True, False), (False, True)])
def test_propagator(size, transition, response):
    generator = np.random.default_rng(size)
    inputs = [f"a{i}{j}" for i in range(size) for j in range(size)] + ["k", "dt"]
    values = [generator.normal(size=4) * 300 for _ in inputs[:-2]] + [generator.normal(size=4), np.full(4, 1e-3)]
    line = propagator(size, transition, response)
    compare([line], inputs, list(line.names), values, inputs[:-1])


def test_propagator_cotangents_of_any_size():
    line = propagator(2)
    inputs = ["a00", "a01", "a10", "a11", "k", "dt"]
    values = [np.full(1, x) for x in (-100.0, 30.0, 0.0, -100.0, 1.0, 1e-4)]
    kernel = kernel_of([line], inputs, list(line.names))
    seeds = [np.full(1, 1.0 + n) for n in range(8)]
    small = cotangents(kernel, inputs[:-1], SURROGATE, values, [s * 1e-12 for s in seeds])
    large = cotangents(kernel, inputs[:-1], SURROGATE, values, [s * 1e12 for s in seeds])
    zero = cotangents(kernel, inputs[:-1], SURROGATE, values, [s * 0 for s in seeds])
    for name in inputs[:-1]:
        np.testing.assert_allclose(large[name], small[name] * 1e24, rtol=1e-13)
        assert zero[name] == 0


def test_what_a_choice_adds_is_known_without_what_it_is_added_to():
    fire = Fire("s", E("m > 0"), Name("m"))
    for added in ("x + y", "y + x", "x - y"):
        kernel = kernel_of([fire, L("t", added), Select("r", Name("s"), Name("t"), Name("x"))], ["m", "x", "y"], ["r"])
        values = [np.array([0.1, -0.2]), np.array([1e16, 2.0]), np.array([0.3, 0.3])]
        found = cotangents(kernel, ["m", "x", "y"], SURROGATE, values, [np.ones(2)])
        sign = -1 if "-" in added else 1
        psi = found["m"] / (sign * 0.3)
        np.testing.assert_allclose(psi, 0.7 / 0.5 / (1 + 3 * np.abs(values[0]) / 0.5) ** 2, rtol=1e-12)  # 1e16 + 0.3 is 1e16
        np.testing.assert_array_equal(found["y"], sign * (values[0] > 0))


def test_a_choice_between_infinities_has_no_gradient():
    body = [L("x", "1/z"), L("t", "x + y"), Fire("s", E("m > 0"), Name("m")), Select("r", Name("s"), Name("t"), Name("x"))]
    values = [np.array([0.1, 0.1]), np.array([1.0, 1.0]), np.array([0.0, 2.0])]
    found = cotangents(kernel_of(body, ["m", "y", "z"], ["r"]), ["m"], SURROGATE, values, [np.ones(2)])
    assert found["m"][0] == 0 and found["m"][1] > 0


# ------------------------------------------------------------------------------------------------------------------ the torch functions are transformable
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_types_and_batches(dtype):
    dtype = getattr(torch, dtype)
    kernel = kernel_of([*lif(), L("n", "timestep(v, th)", DType.INT64), L("m", "n/2 + 0.1*n + exprel(n)"), L("c", "0.1 if ok else 2")],
                       LIF_INPUTS, ["v2", "s", "m", "c"], {"ok": DType.BOOL})  # fmt: skip
    function = compile_torch(kernel, SURROGATE)
    values = [torch.tensor(x, dtype=dtype if x.dtype != bool else None) for x in LIF_VALUES]
    single = function(*values)
    assert all(out.dtype == dtype for out in single)
    batch = function(values[0].expand(3, 2, 6), *values[1:])
    assert batch[0].shape == (3, 2, 6)
    torch.testing.assert_close(batch[0][1, 1], single[0], rtol=0, atol=0)
    mapped = torch.vmap(function, in_dims=(0, *[None] * 6))(values[0].expand(3, 6), *values[1:])
    torch.testing.assert_close(mapped[0][1], single[0], rtol=0, atol=0)


def test_torch_double_backward():
    function = compile_torch(kernel_of([L("r", "exprel(x)*y + _exp_difference(x, y) + (sqrt(x) if x > 0 else y*y)")], ["x", "y"], ["r"]), SURROGATE)
    x, y = (torch.tensor(v + 0.01, requires_grad=True) for v in (X, Y))
    assert torch.autograd.gradcheck(lambda a, b: function(a, b)[0], (x, y))
    assert torch.autograd.gradgradcheck(lambda a, b: function(a, b)[0], (x, y))


@pytest.mark.slow
def test_torch_compile():
    function = compile_torch(kernel_of(lif(), LIF_INPUTS, ["v2", "b2", "s_out"], {"ok": DType.BOOL}), SURROGATE)
    compiled = torch.compile(function, fullgraph=True)
    results = []
    for f in (function, compiled):
        values = [torch.tensor(v, requires_grad=v.dtype != bool) for v in LIF_VALUES]
        sum(out.sum() for out in f(*values)).backward()
        results.append([v.grad for v in values[:-1]])
    for a, b in zip(*results):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


# ------------------------------------------------------------------------------------------------------------------------------------ whole Programs
class Runner:
    """The smallest executor of a Program: numpy or torch, dense, one synapse list a space, delays in steps. Batch axes are in front."""

    def __init__(self, program, sizes, pairs, delays, gradient=None):
        self.program, self.sizes, self.pairs, self.delays = program, sizes, pairs, delays
        self.gradient = gradient
        self.roles = {a.name: a for a in program.arrays}

    def function(self, kernel):
        return compile_torch(kernel, self.gradient) if self.gradient else compile_python(python.render(kernel))

    def index(self, kernel, load):
        if load.index in (PRE, POST):
            return self.pairs[kernel.space][0 if load.index is PRE else 1]
        return None


class Forward(Runner):
    """In torch, so that autograd is the reference; keeps the tape in passing."""

    def run(self, values, steps, tables):
        values, tape, past, records = dict(values), {}, [], {}
        kernels = [dense(k) if isinstance(k, Map | Deliver) else k for k in self.program.kernels]
        functions = {k.name: self.function(k) for k in kernels if isinstance(k, Map)}
        for kernel in self.program.setup:
            self.map(kernel, self.function(kernel), values, past)
        for step in range(steps):
            values["clock.t"] = torch.tensor(1e-3 * step, dtype=torch.float64)
            values["clock.t_in_timesteps"] = torch.tensor(step)
            past.append({})
            for kernel in kernels:
                for name, array in self.program.tape:
                    if name == kernel.name:
                        tape[f"{name}:{array}", step] = values[array].detach().numpy()
                if isinstance(kernel, Table):
                    values[kernel.array] = tables[kernel.name][step]
                elif isinstance(kernel, Record):
                    records.setdefault(kernel.name, []).append(values[kernel.array])
                else:
                    self.map(kernel, functions[kernel.name], values, past)
                past[-1] |= {a.name: values[a.name] for a in self.program.arrays if a.role is Role.EVENT and a.name in values}
        return values, records, tape, past

    def read(self, kernel, load, values, past):
        if not load.delayed:
            value = values[load.array]
            index = self.index(kernel, load)
            value = value if index is None else value[..., index]
        else:
            delay, index = self.delays[kernel.name], self.index(kernel, load)
            now = len(past) - 1
            zero = torch.zeros((), dtype=torch.float64)
            value = torch.stack([past[now - d][load.array][..., i] if now >= d else zero for d, i in zip(delay, index)], -1)
        return value.double() if load.dtype is DType.FLOAT and not value.is_floating_point() else value

    def map(self, kernel, function, values, past):
        results = function(*(self.read(kernel, load, values, past) for load in kernel.loads))
        for store, result in zip(kernel.stores, results):
            if not store.add:
                size = self.sizes[self.roles[store.array].space] if self.roles[store.array].space else None
                values[store.array] = result if size is None else result.broadcast_to(torch.broadcast_shapes(result.shape, (size,)))
            else:
                index = self.index(kernel, store)
                values[store.array] = values[store.array].index_add(-1, torch.as_tensor(index), result.broadcast_to(index.shape))


class Backward(Runner):
    """In numpy, the adjoint Program as it stands."""

    def run(self, values, steps, tables, tape, past):
        sizes = {a.name: self.sizes[a.space] if a.space else None for a in self.program.arrays}
        zeros = {a.name: np.zeros(() if sizes[a.name] is None else sizes[a.name]) for a in self.program.arrays if a.role is Role.COTANGENT}
        events = {a.name for a in self.program.arrays if a.role is Role.EVENT}
        bars = {name: z.copy() for name, z in zeros.items() if name[:-1] not in events}
        event_bars = [{name: z.copy() for name, z in zeros.items() if name[:-1] in events} for _ in range(steps)]
        functions = {k.name: self.function(k) for k in (*self.program.kernels, *self.program.setup) if isinstance(k, Map)}
        records = {}
        for step in reversed(range(steps)):
            values |= {"clock.t": np.array(1e-3 * step), "clock.t_in_timesteps": np.array(step)}
            for kernel in self.program.kernels:
                here = bars | event_bars[step]
                match kernel:
                    case Table(name, array, add):
                        assert add
                        target = event_bars[step] if array in event_bars[step] else bars
                        target[array] = target[array] + tables[name][step]
                    case Record(name, array):
                        records.setdefault(name, [None] * steps)[step] = here[array]
                    case Map():
                        self.map(kernel, functions[kernel.name], values, bars, event_bars, step, tape, past)
        for kernel in self.program.setup:
            self.map(kernel, functions[kernel.name], values, bars, event_bars, 0, tape, past)
        return bars, records

    def map(self, kernel, function, values, bars, event_bars, step, tape, past):
        loaded = []
        for load in kernel.loads:
            at = self.index(kernel, load)
            role = self.roles[load.array].role
            if load.delayed:
                delay = self.delays[kernel.name.rstrip("~")]
                source = [(past[step - d] if role is Role.EVENT else None) if step >= d else None for d in delay]
                value = np.array([0.0 if s is None else float(s[load.array].detach()[i]) for s, i in zip(source, at)])
            else:
                if role is Role.TAPE:
                    value = tape[load.array, step]
                elif role is Role.EVENT:
                    value = np.asarray(past[step][load.array].detach())
                elif role is Role.COTANGENT:
                    value = bars[load.array] if load.array in bars else event_bars[step][load.array]
                else:
                    value = values[load.array]
                value = value if at is None else value[at]
            if load.dtype is DType.FLOAT:
                value = np.asarray(value, dtype=np.float64)
            if load.dtype is DType.BOOL:
                value = np.asarray(value) > 0
            loaded.append(value)
        with np.errstate(all="ignore"):
            results = function(*loaded)
        for store, result in zip(kernel.stores, results):
            at = self.index(kernel, store)
            home = bars if store.array in bars else event_bars[step]
            if not store.add:
                home[store.array] = np.broadcast_to(result, home[store.array].shape).copy()
                continue
            if store.delayed:
                for d, i, g in zip(self.delays[kernel.name.rstrip("~")], at, np.broadcast_to(result, at.shape)):
                    if step >= d:
                        event_bars[step - d][store.array][i] += g
            elif at is not None:
                np.add.at(home[store.array], at, np.broadcast_to(result, at.shape))
            elif home[store.array].ndim == 0:
                elements = self.sizes[kernel.space] if kernel.space else 1
                home[store.array] = home[store.array] + np.sum(np.broadcast_to(result, (elements,)))
            else:
                home[store.array] = home[store.array] + result


FLOAT, BOOL = DType.FLOAT, DType.BOOL
SIZES = {"in": 3, "n": 4, "ff": 7, "rec": 6}
PAIRS = {
    "ff": (np.array([0, 0, 1, 2, 2, 1, 0]), np.array([0, 1, 1, 2, 3, 3, 0])),
    "rec": (np.array([0, 1, 2, 3, 3, 1]), np.array([1, 2, 3, 0, 3, 0])),
}
DELAYS = {"rec.pre": np.array([1, 2, 1, 3, 1, 2]), "ff.plastic": np.array([0, 1, 0, 2, 0, 1, 1])}


def network():
    """Graded input, shared and own time constants, a propagator from the set-up, delays, a trace at the synapses, two resets, an input held by a Table."""
    arrays = [
        Array("clock.t", None, Role.CLOCK), Array("clock.dt", None, Role.CLOCK), Array("in.spike", "in", Role.EVENT),
        *(Array(f"n.{x}", "n", Role.STATE) for x in "vib"), Array("n.tau", "n", Role.PARAMETER), Array("n.taus", None, Role.PARAMETER),
        Array("n.drive", "n", Role.INPUT), Array("n.ok", "n", Role.HIDDEN, BOOL), Array("n.last", "n", Role.HIDDEN), Array("n.spike", "n", Role.EVENT, BOOL),
        Array("n.p", "n", Role.PARAMETER), Array("n.q", "n", Role.PARAMETER), Array("n.ps", None, Role.PARAMETER), Array("ff.w", "ff", Role.PARAMETER),
        Array("ff.x", "ff", Role.STATE), Array("rec.w", "rec", Role.PARAMETER), Array("ff:acc", "n", Role.ACCUMULATOR), Array("rec:acc", "n", Role.ACCUMULATOR),
        Array("n.g", None, Role.STATE),
    ]  # fmt: skip
    matrix = ((E("-1/tau"), E("1/tau")), (Number(0.0), E("-1/taus")))
    setup = Map(
        "n.setup", "n", (Load("tau", "n.tau", SELF), Load("taus", "n.taus", SHARED), Load("dt", "clock.dt", SHARED)),
        (Propagator(matrix, Name("dt"), (("p", "q"), (None, None)), ((None, None), (None, None))), L("ps", "exp(-dt/taus)")),
        (Store("n.p", SELF, "p"), Store("n.q", SELF, "q"), Store("n.ps", SHARED, "ps")),
    )  # fmt: skip
    update = Map(
        "n.update", "n",
        (*(Load(x, f"n.{x}", SELF) for x in ("v", "i", "b", "p", "q", "drive", "last")), Load("ps", "n.ps", SHARED), Load("t", "clock.t", SHARED),
         Load("g", "n.g", SHARED), Load("ok", "n.ok", SELF, BOOL)),
        (L("free", "p*v + q*i + 0.05*drive*sin(3*t) + 0.02*g*v"), Select("v1", Name("ok"), Name("free"), Name("v")), L("i1", "ps*i"),
         L("b1", "b*0.95"), Fire("s", E("v1 > 1 + b1"), E("v1 - (1 + b1)"), Name("ok")), Select("last1", Name("s"), Name("t"), Name("last"), FLOAT, True),
         L("ok1", "t - last1 > 0.0015", BOOL), L("g1", "g*ps + 0.01")),
        (Store("n.v", SELF, "v1"), Store("n.i", SELF, "i1"), Store("n.b", SELF, "b1"), Store("n.spike", SELF, "s", BOOL), Store("n.last", SELF, "last1"),
         Store("n.ok", SELF, "ok1", BOOL), Store("n.g", SHARED, "g1")),
    )  # fmt: skip
    ff = Deliver("ff.pre", "ff", PRE, "in.spike", None, (Load("w", "ff.w", SELF), Load("v_post", "n.v", POST), Load("x", "ff.x", SELF)),
                 (L("c", "w*(1.5 - v_post)*x"),), (Store("ff:acc", POST, "c", add=True),))  # fmt: skip
    plastic = Deliver("ff.plastic", "ff", POST, "n.spike", "ff.delay", (Load("x", "ff.x", SELF), Load("i_pre", "n.b", POST)),
                      (L("x1", "x*0.8 + 0.1*i_pre"),), (Store("ff.x", SELF, "x1"),))  # fmt: skip
    rec = Deliver("rec.pre", "rec", PRE, "n.spike", "rec.delay", (Load("w", "rec.w", SELF),), (L("c", "w*2"),), (Store("rec:acc", POST, "c", add=True),))

    def apply(name):
        return Map(f"{name}:apply", "n", (Load("i", "n.i", SELF), Load("arrived", f"{name}:acc", SELF)), (L("total", "i + arrived"), L("nothing", "0.0")),
                   (Store("n.i", SELF, "total"), Store(f"{name}:acc", SELF, "nothing")), after=(f"{name}.pre",))  # fmt: skip

    reset = Map(
        "n.reset", "n", (Load("s", "n.spike", SELF, BOOL), Load("v", "n.v", SELF), Load("b", "n.b", SELF)),
        (Select("v1", Name("s"), E("v - 1"), Name("v"), FLOAT, True), Select("b1", Name("s"), E("b + 0.3*v1"), Name("b"))),
        (Store("n.v", SELF, "v1"), Store("n.b", SELF, "b1")), only="n.spike",
    )  # fmt: skip
    kernels = (
        Table("drive", "n.drive"), Table("x", "in.spike"), update, ff, apply("ff"), rec, apply("rec"), plastic, reset,
        Record("v", "n.v"), Record("spikes", "n.spike"),
    )  # fmt: skip
    return Program(tuple(arrays), (setup,), kernels)


WRT = ("ff.w", "rec.w", "n.tau", "n.taus", "n.v", "n.drive", "in.spike", "ff.x", "n.g")


@pytest.mark.parametrize("gradient", [SURROGATE, Surrogate(ATan(), scale=0.5), Surrogate(Boxcar(), width=1.0), TrueGradient()])
def test_program_equals_autograd_through_time(gradient):
    steps, generator = 12, np.random.default_rng(3)
    program = network()
    forward, backward = adjoint(program, gradient, WRT)

    def tensor(value, name):
        return torch.tensor(value, dtype=torch.float64, requires_grad=name in WRT)

    start = {
        "clock.dt": 1e-3, "n.v": generator.normal(size=4) * 0.3 + 0.5,
        "n.i": generator.normal(size=4), "n.b": np.zeros(4), "n.tau": np.array([5e-3, 8e-3, 1e-2, 6e-3]),
        "n.taus": 5e-3, "n.last": np.full(4, -1.0), "ff.w": generator.normal(size=7) + 1.5, "ff.x": np.ones(7), "rec.w": generator.normal(size=6), "n.g": 0.3,
        "ff:acc": np.zeros(4), "rec:acc": np.zeros(4), "in.spike": np.zeros(3), "n.drive": np.zeros(4),
    }  # fmt: skip
    values = {name: tensor(value, name) for name, value in start.items()}
    values |= {"n.ok": torch.ones(4, dtype=torch.bool), "n.spike": torch.zeros(4)}
    tables = {
        "x": torch.tensor((generator.random((steps, 3)) < 0.5) * generator.uniform(0.5, 1.5, (steps, 3)), requires_grad=True),
        "drive": torch.tensor(generator.normal(size=(steps, 4)), requires_grad=True),
    }
    runner = Forward(forward, SIZES, PAIRS, DELAYS, gradient)
    final, records, tape, past = runner.run(values, steps, tables)
    seeds = {name: generator.normal(size=(steps, 4)) for name in records}
    loss = sum((torch.stack(records[name]) * torch.tensor(seeds[name])).sum() for name in records)
    parameters = [name for name in WRT if name not in ("n.drive", "in.spike")]
    wanted = [values[name] for name in parameters] + [tables["drive"], tables["x"]]
    expected = dict(zip([*parameters, "drive", "x"], torch.autograd.grad(loss, wanted)))
    assert sum(float(s.detach().sum()) for s in records["spikes"]) > 5

    plain = {name: np.asarray(value.detach()) for name, value in final.items()} | start
    bars, found = Backward(backward, SIZES, PAIRS, DELAYS).run(plain, steps, seeds, tape, past)
    for name in parameters:
        np.testing.assert_allclose(bars[f"{name}~"], expected[name].numpy(), rtol=1e-10, atol=1e-13, err_msg=name)
    for name in ("drive", "x"):
        np.testing.assert_allclose(np.stack(found[name]), expected[name].numpy(), rtol=1e-10, atol=1e-13, err_msg=name)


def test_compiled_network_equals_autograd_through_time():
    """The whole way from equations: refractoriness, exact integration in the set-up, a delayed recurrent pathway, fused kernels."""
    neurons = parse_group(
        "n",
        """dv/dt = (I - v)/tau : 1 (unless refractory)
           dI/dt = -I/taus : 1
           db/dt = -b/taub : 1
           tau : second (constant)
           taub : second (constant)
           taus : second (shared, constant)""",
        "v > 1 + b", "v -= 1\nb += 0.3*v", "2*ms",
    )  # fmt: skip
    neurons = resolve(neurons, {"ms": unit_external("ms")})
    group = compile_model(neurons, Options(detach=False))
    synapses = resolve(parse_synapses("rec", "w : 1", {"pre": "I_post += w*(2 - v_post)"}, pre=neurons.variables, post=neurons.variables))
    recurrent = compile_model(synapses, Options(pre="n", post="n", delayed=frozenset({"pre"})), group, group)
    program = compile_program([group.part, recurrent.part], [Record("v", "n.v", slot="end"), Record("spikes", "n._spike", slot="end")])
    wrt = ("n.tau", "n.taub", "n.taus", "rec.w", "n.v", "n.I")
    forward, backward = adjoint(program, SURROGATE, wrt)
    verify_program(forward)
    verify_program(backward)
    steps, generator = 25, np.random.default_rng(5)
    start = {
        "n.v": generator.random(4), "n.I": generator.random(4) * 20, "n.b": np.zeros(4), "n.tau": generator.uniform(5e-3, 2e-2, 4), "n.taub": np.full(4, 2e-2),
        "n.taus": 1e-2, "rec.w": generator.normal(size=6) + 1, "rec.pre:I_post": np.zeros(4), "clock.dt": 1e-3, "n.ms": 1e-3,
    }  # fmt: skip
    values = {name: torch.tensor(value, dtype=torch.float64, requires_grad=name in wrt) for name, value in start.items()}
    values |= {"n.not_refractory": torch.ones(4, dtype=torch.bool), "n._lastspike_step": torch.full((4,), -1000), "n._spike": torch.zeros(4)}
    final, records, tape, past = Forward(forward, SIZES, PAIRS, DELAYS, SURROGATE).run(values, steps, {})
    assert float(torch.stack(records["spikes"]).detach().sum()) > 5
    seeds = {name: generator.normal(size=(steps, 4)) for name in records}
    loss = sum((torch.stack(records[name]) * torch.tensor(seeds[name])).sum() for name in records)
    expected = torch.autograd.grad(loss, [values[name] for name in wrt])
    plain = {name: np.asarray(value.detach()) for name, value in final.items()} | start
    bars, _ = Backward(backward, SIZES, PAIRS, DELAYS).run(plain, steps, seeds, tape, past)
    for name, gradient in zip(wrt, expected):
        assert np.any(bars[f"{name}~"])
        np.testing.assert_allclose(bars[f"{name}~"], gradient.numpy(), rtol=1e-10, atol=1e-12, err_msg=name)


def test_only_what_the_backward_body_reads_is_kept():
    forward, _ = adjoint(network(), SURROGATE, ("rec.w",))
    assert set(forward.tape) == {
        *(("n.update", f"n.{x}") for x in ("v", "i", "b", "drive", "ok", "g")),
        ("ff.pre", "ff.x"), ("n.reset", "n.v"), ("ff.plastic", "ff.x"), ("ff.plastic", "n.b"), ("ff.pre", "n.v"),
    }  # fmt: skip


def test_programs_read_well_and_are_deterministic():
    first, second = (adjoint(network(), SURROGATE, WRT) for _ in range(2))
    assert first == second
    text = str(first[1])
    assert text.startswith("program (backwards in time)")
    assert "map rec.pre~ over rec" in text
    assert "store n.spike~ [pre, delayed] +=" in text
    assert "table n.v~ += v" in text
    assert "record x <- in.spike~" in text


def test_conditional_maps():
    conditional = Map("m", "n", (Load("x", "n.x", SELF),), (L("y", "2*x"),), (Store("n.v", SELF, "y"),), only="n.spike")
    wide = dense(conditional)
    assert wide.only is None
    assert [load.array for load in wide.loads] == ["n.x", "n.spike", "n.v"]
    assert isinstance(wide.body[-1], Select)


def refused(kernels, wrt=("n.v",)):
    arrays = (Array("n.v", "n", Role.STATE), Array("n.k", "n", Role.PARAMETER, DType.INT32), Array("n.spike", "n", Role.EVENT, BOOL))
    with pytest.raises(UnsupportedError) as error:
        adjoint(Program(arrays, (), tuple(kernels)), SURROGATE, wrt)
    return str(error.value)


def test_refusals():
    load, line = Load("v", "n.v", POST), L("u", "v*2")
    store = Store("n.v", POST, "u")
    assert refused([Deliver("s.pre", "s", PRE, "n.spike", None, (load,), (line,), (store,), sequential=True)]) == (
        "the result of pathway s.pre depends on the order of its synapses, so it has no gradient\n"
        "Only add to the variables of the connected groups (`v_post += w`), and do not read there what the same code adds to."
    )
    assert refused([Map("s.update", "s", (load,), (line,), (store,))]) == (
        "s.update writes `n.v` from several synapses in an order that matters, so it has no gradient"
    )
    early = Map("n.reset", "n", (Load("s", "n.spike", SELF, BOOL),), (L("u", "float(s)"),), (Store("n.v", SELF, "u"),))
    fire = Map("n.update", "n", (Load("v", "n.v", SELF),), (Fire("s", E("v > 1"), E("v - 1")),), (Store("n.spike", SELF, "s", BOOL),))
    assert refused([early, fire]) == "n.reset reads the events `n.spike` before this step has found them: such a schedule has no gradient"
    assert refused([fire], ("n.k",)) == "`n.k` (int32, parameter) has no gradient"
