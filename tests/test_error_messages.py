"""Every error a user can cause, word for word: `tests/golden/errors.txt`. `python tests/test_error_messages.py --regenerate` rewrites that file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import user_errors

from codegen.check import check_expression, check_model, resolve, resolve_expression
from codegen.desugar import desugar
from codegen.dims import DIMENSIONLESS, UNITS
from codegen.errors import ModelError
from codegen.expr import DType
from codegen.ir import Role, Variable
from codegen.lower import lower
from codegen.models import parse_group, parse_synapses
from codegen.parse import parse_equations, parse_expression, parse_statements, parse_unit

GOLDEN = Path(__file__).parent / "golden" / "errors.txt"

EQUATIONS = """
dv/dt = (R*I - v)/tau_m : volt (unless refractory)
dg/dt = -g/tau_m : siemens
u = g*v : amp
I : amp
R : ohm
tau_m : second (constant)
count : integer
active : boolean
drive : 1 (input)
common : volt (shared)
"""
WEIGHTS = "w : volt\nn : integer"
OUTSIDE = {"v_th": Variable("v_th", Role.EXTERNAL, UNITS["volt"]), "a": Variable("a", Role.EXTERNAL)}


def group(equations: str = EQUATIONS, **more: object) -> None:
    check_model(resolve(parse_group("group", equations, **more), OUTSIDE))  # type: ignore[arg-type]


def with_line(line: str) -> None:
    group(EQUATIONS + line)


def noise(text: str) -> None:
    """A method and equations, and after `;` a threshold."""
    method, _, equations = text.partition(": ")
    equations, _, condition = equations.partition("; ")
    model = resolve(parse_group("group", equations, threshold=condition or None), {})
    check_model(model)
    lower(desugar(model), method)


def threshold(text: str) -> None:
    group(threshold=text)


def reset(text: str) -> None:
    group(threshold="v > v_th", reset=text)


def refractory(value: str | float) -> None:
    group(threshold="v > v_th", refractory=value)


def event(text: str) -> None:
    group(events={"burst": text})


NEURONS = resolve(parse_group("neurons", EQUATIONS, "v > v_th", refractory=0.002), OUTSIDE).variables


def synapses(code: str, equations: str = WEIGHTS) -> None:
    pre = (Variable("rate", Role.PARAMETER, UNITS["hertz"]),)
    check_model(resolve(parse_synapses("synapses", equations, {"pre": code}, {}, pre, NEURONS), OUTSIDE))


def synapse_equations(equations: str) -> None:
    synapses("", equations)


def assignment(text: str) -> None:
    own = (Variable("v", Role.STATE, UNITS["volt"]), Variable("i", Role.INDEX, DIMENSIONLESS, DType.INT32))
    check_expression(resolve_expression(parse_expression(text), own, externals=OUTSIDE), own, externals=OUTSIDE)


BAD: dict[Callable[[str], object], tuple[str, ...]] = {
    parse_expression: (
        "",
        "  # only a comment",
        '__import__("os").system("x")',
        "import os",
        "v.__class__",
        "v.__class__.__mro__[1]",
        "().x",
        "v[0]",
        "'text'",
        "(lambda: 1)()",
        "[v for v in x]",
        "{1: 2}",
        "x if v > 1 else y",
        "(v := 3)",
        "v ^ 2",
        "v > 1 & v < 2",
        "v | w",
        "~v",
        "!v",
        "v @ w",
        "v is None",
        "v in w",
        "None",
        "0 < v < 1",
        "a == b == c",
        "v + await x",
        "_hidden + 1",
        "class + 1",
        "9" * 400,
        "9223372036854775808",
        "1e400",
        "1_000",
        "0x1F",
        "2mV",
        "3j",
        "007",
        "2 (v + w)",
        "(v)(w)",
        "v w",
        "1 2",
        "v +",
        "* v",
        "v + * w",
        "v == not w",
        "-not w",
        "(v + w",
        "v + w)",
        "()",
        "(v, w)",
        "v, w",
        "exp(v,)",
        "exp",
        "exp()",
        "exp(1, 2)",
        "clip(v)",
        "rand(3)",
        "exp(x=1)",
        "exp(*v)",
        "_exprel_slope(v)",
        "sµm + 1",
        "x² + 1",
        "v\\w",
        "v $ w",
        "v; w",
        "v = w",
        "v + w: volt",
        "x" * 65,
        "(" * 10_000 + "v" + ")" * 10_000,
        "(" * 101 + "v" + ")" * 101,
        "-" * 300 + "v",
        "+".join(["v"] * 300),
        " or ".join(["v"] * 300),
        "+".join(["v"] * 3000),
        "v" * 3 + " + 1" * 2000 + " + €",
    ),
    parse_statements: (
        "v",
        "v == 1",
        "v++",
        "v = ",
        "= 3",
        "v = w = 3",
        "v, w = 1, 2",
        "v.x = 3",
        "v[0] = 3",
        "v @= 3",
        "v := 3",
        "print(v)",
        "del v",
        "for i in x: v = 1",
        "pi = 3",
        "exp = 3",
        "mV = 3",
        "_x = 3",
        "v = 1; w = 2 +; x = 3",
        "v = 1\nw = (2\nx = 3",
    ),
    parse_unit: (
        "",
        "mV",
        "bool",
        "int",
        "float",
        "boolean*volt",
        "vollt",
        "Volt",
        "2*volt",
        "volt + amp",
        "volt**x",
        "volt**1000",
        "volt**",
        "exp(volt)",
        "volt^2",
        "1; x : 1",
    ),
    parse_equations: (
        "dv/dt = -v/tau",
        "dv/dt = -v/tau\ndw/dt = -w/tau : 1",
        "x = 3\ny : volt",
        "x\ny : volt",
        "dv/dt : volt",
        "dv/dx = 1 : 1",
        "d2v/dt2 = 1 : 1",
        "d/dt = 3 : 1",
        "v' = 3 : 1",
        "a, b : volt",
        "v + w : volt",
        "v : mV",
        "v : volt mV",
        "v :",
        "v : (constant)",
        "v : volt (constnt)",
        "v : volt (constant, constant)",
        "v : volt (constant,)",
        "v : volt (unless refractory)",
        "dv/dt = 1/second : 1 (constant)",
        "dv/dt = 1/second : boolean",
        "v : volt : amp",
        "x : 1; y : 1",
        "_v : volt",
        "for : volt",
        "exp : 1",
        "e : 1",
        "mV : volt",
        "1x : volt",
        "dv/dt = (I +\n   * v)/tau  # continued\n  : volt",
        ": volt",
    ),
    synapse_equations: (
        "dw/dt = -w/second : 1 (event-driven, clock-driven)",
        "dw/dt = -w/second + xi*second**-0.5 : 1 (event-driven)",
        "dw/dt = -w/second : 1 (event-driven)\ndx/dt = w/second : 1",
        "dw/dt = -w/second : 1 (event-driven)\nx = 2*w : 1\ny : 1\nI_post = x*amp : amp (summed)",
        "dw/dt = -x/second : 1 (event-driven)\ndx/dt = -x/second : 1",
        "dw/dt = -w/second : 1 (event-driven)\nlastupdate : second",
        "I_post = w : 1 (summed)",
        "I_post = 1*amp : amp (summed, shared)",
        "v_post = 1*mV : volt (summed)",
        "w = 1 : 1 (summed)",
        "w_pre : 1",
        "delay : second",
        "j : 1",
        "v : volt",
        "w : 1 (input)",
        "w : 1\nw : 1",
    ),
    with_line: (
        "t : second",
        "i : 1",
        "xi : 1",
        "lastspike : second",
        "v : volt",
        "x_post : 1",
        "x : volt (linked, shared)",
        "x : volt (constant, input)",
        "x = v : amp (constant over dt)",
        "x = v : volt (constant over dt, shared)",
        "x = y : 1\ny = z + 1 : 1\nz = 2*x : 1",
        "x = x : 1",
        "dx/dt = (I - v)/tau_m : volt",
        "dx/dt = v - x : volt",
        "dx/dt = (v - x)/taum : volt",
        "dx/dt = (V - x)/tau_m : volt",
        "dx/dt = -x/tau_m + 1 : volt",
        "dx/dt = exp(v)/tau_m : 1",
        "dx/dt = active/tau_m : 1",
        "x = v : amp",
        "x = 0 : volt",
        "x = v > v_th : 1",
        "x = v/v_th : boolean",
        "x = rand() : 1",
        "x = v : volt (shared)",
        "x = v + zzzzzz : volt",
        "x = (v\n   # a remark\n   + I*2) : volt",
        "x = clip(v, 0, 1) : volt",
        "x = clip(v, I, v) : volt",
        "x = int(v) : integer",
        "x = abs(active) : 1",
        "x = v**a : 1",
        "x = v**v_th : 1",
        "x = 2**v : 1",
        "x = v**1000 : 1",
        "x = v % I : volt",
        "x = v // I : 1",
        "x = timestep(v, dt) : integer",
        "x = active + 1 : 1",
        "x = -active : 1",
        "x = not v : boolean",
        "x = active and v : boolean",
        "x = active > 1 : boolean",
        "x = active == 1 : boolean",
        "x = active < active : boolean",
        "x = exp : 1",
    ),
    noise: (
        "euler: dx/dt = xi : 1",
        "euler: dx/dt = xi*ms**-0.5 : 1\ndy/dt = xi*ms**-0.5 : 1",
        "euler: x = xi : second**-0.5",
        "euler: dx/dt = sqrt(xi_1*ms**0.5)/ms : 1",
        "euler: dx/dt = xi_1*xi_2 : 1",
        "euler: xi_1 : 1",
        "euler: dx/dt = xi*ms**-0.5 : 1; x > xi*second**0.5",
        "euler: dx/dt = -y/ms : 1\ny = x + xi_1*ms**0.5 : 1; y > 1",
        "euler: dx/dt = x*xi*ms**-0.5 : 1",
        "euler: dx/dt = t/ms*xi*ms**-0.5 : 1",
        "exact: dx/dt = xi*ms**-0.5 : 1",
        "rk2: dx/dt = xi*ms**-0.5 : 1",
        "rk4: dx/dt = xi*ms**-0.5 : 1",
        "exponential_euler: dx/dt = xi*ms**-0.5 : 1",
        "milstein: dx/dt = (xi_1 + xi_2)*ms**-0.5 : 1",
        "milstein: dx/dt = xi_1*ms**-0.5 : 1\ndy/dt = xi_1*ms**-0.5 : 1",
        "gsl_rkf45: dx/dt = -x/ms : 1",
    ),
    threshold: ("xi > 1*second**-0.5", "v", "v > 1", "v > 0", "v > I", "v > v_th or 1", "u", "v >", "v = v_th", "w > v_th", "v > v_thr", "v > 20*mv"),
    event: ("v",),
    reset: (
        "v = v + xi_1*volt*second**0.5",
        "xi = 3",
        "v = 0",
        "v = I",
        "v += 1",
        "v *= v",
        "v /= 2*second",
        "v //= 2*volt",
        "v **= 2",
        "w += 1",
        "t = 0*second",
        "dt = 1*ms",
        "i = 3",
        "u = 0*amp",
        "drive = 1",
        "tau_m = 3*ms",
        "common = v",
        "v_th = v",
        "a += 1",
        "not_refractory = True",
        "v = lastspike*volt/second",
        "j = 3",
        "count += True",
        "active = 1",
        "active += 1",
        "v = active",
        "x = v; count = x",
        "x = v; y = xx",
        "x = 1; x += v",
        "v_post = v",
    ),
    refractory: ("5", "v", "v/v_th", "5*mV", "a*v_th > 3"),
    synapses: (
        "v += n",
        "v_post += n",
        "v_pre += w",
        "rate += w",
        "v += w*rate_pre",
        "w += v_posst",
        "N_pre = 3",
        "i = 2",
        "common_post = w",
        "tau_m = 3*ms",
        "u_post = 3*amp",
    ),
    assignment: ("eval(v)", "exq(v)", "Exp(v)", "v(i)", "pi(3)", "clip(20 + 5*randn(), 5, 60)*mss", "v + 1", "i + j", "rand"),
}


def report(function: Callable[[str], object], text: str) -> str:
    """What the user sees; `accepted` where nothing is wrong."""
    shown = text if len(text) < 100 else f"{text[:40]} ... ({len(text)} characters)"
    title = f"{function.__name__}: {shown!r}"
    try:
        function(text)
    except ModelError as error:
        return f"{title}\n{type(error).__name__}: {error}\n"
    return f"{title}\naccepted\n"


def test_refractory_number() -> None:
    with pytest.raises(ModelError, match="-1 seconds"):
        refractory(-1)


def test_reset_without_threshold() -> None:
    with pytest.raises(ModelError, match="a reset without a threshold would never happen\n  v = 0\\*volt\n  \\^{10}\nAdd `threshold"):
        group(reset="v = 0*volt")


def everything() -> str:
    texts = [report(function, text) for function, texts in BAD.items() for text in texts]
    return "\n".join([*texts, *map(user_errors.report, user_errors.MISTAKES)])


def test_messages() -> None:
    expected = GOLDEN.read_text(encoding="utf-8")
    assert everything() == expected, "messages changed; if that is meant: python tests/test_error_messages.py --regenerate"


def test_nothing_bad_is_accepted() -> None:
    assert "\naccepted\n" not in everything()


if __name__ == "__main__":
    if sys.argv[1:] != ["--regenerate"]:
        sys.exit("usage: python tests/test_error_messages.py --regenerate")
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(everything(), encoding="utf-8")
