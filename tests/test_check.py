"""Names, units and types of models that are right (those that are wrong: test_error_messages.py), and our own invariants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from codegen.check import (
    check_expression,
    check_model,
    expression_type,
    resolve,
    resolve_expression,
    unresolved,
)
from codegen.dims import DIMENSIONLESS, UNITS
from codegen.errors import DataTypeError, EquationError, UnitError, UnknownNameError
from codegen.expr import Access, Binary, DType, Index, Name, Number, accesses, walk
from codegen.grammar import parse_expression
from codegen.ir import Array, Deliver, Let, Load, Map, Model, Program, Record, Result, Role, Step, Store, Variable
from codegen.models import parse_group, parse_synapses
from codegen.resolve import unit_external, unit_value
from codegen.verify import verify_program, verify_step

VOLT, SECOND = UNITS["volt"], UNITS["second"]
FLOAT, INT, LONG, BOOL = DType.FLOAT, DType.INT32, DType.INT64, DType.BOOL

NEURON = """
dv/dt = (R*I_total - v)/tau + drift : volt (unless refractory)
I_total = I*int(t > 10*ms)*int(on) + 2*nA : amp
I : amp (input)
R : ohm
on : boolean
n : integer
vth : volt (constant)
scale : 1 (shared)
"""
EXTERNAL = {
    "tau": Variable("tau", Role.PARAMETER, SECOND),
    "drift": Variable("drift", Role.EXTERNAL, VOLT / SECOND),
    "unused": Variable("unused", Role.EXTERNAL),
}


def neuron(**more: object) -> Model:
    return resolve(parse_group("neuron", NEURON, "v > vth and not_refractory", "old = v; v = old/2; n += 1", 0.002, **more), EXTERNAL)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------------------------------------ resolve
def test_unresolved_asks_for_what_is_missing_and_says_where() -> None:
    found = unresolved(parse_group("g", NEURON, "v > vth + theta", "x = v; v = x + y; z += 1", 0.002))
    assert list(found) == ["tau", "drift", "theta", "y", "z"]
    assert all(node.span is not None and node.span.excerpt == name for name, node in found.items())


def test_a_local_is_local_from_its_assignment_on() -> None:
    assert set(unresolved(parse_group("g", "v : 1", "v > 1", "v = x; x = 2; v = x"))) == {"x"}
    assert set(unresolved(parse_group("g", "v : 1", "v > 1", "x = 2; v = x"))) == set()


def test_resolve_knows_shared_and_external() -> None:
    model = neuron()
    drift = set(accesses(model.flows[0].drift))
    assert drift == {Access(n, Index.SELF) for n in ("R", "I_total", "v")} | {Access(n, Index.SHARED) for n in ("tau", "drift")}
    externals = {v.name: v for v in model.variables if v.role is Role.EXTERNAL}
    assert set(externals) == {"tau", "drift", "ms", "nA"} and all(v.shared and v.constant for v in externals.values())
    assert externals["ms"].dimensions == SECOND


def test_resolve_keeps_locals_as_names() -> None:
    code = neuron().events[0].reset
    assert [s.target for s in code] == ["old", Access("v"), Access("n")]
    assert code[1].value == Binary("/", Name("old"), Number(2))


def test_resolve_twice_changes_nothing() -> None:
    model = neuron()
    assert resolve(model) == model and unresolved(model) == {}


def test_resolve_keeps_positions() -> None:
    for node in walk(neuron().flows[0].drift):
        assert node.span is not None and node.span.text == NEURON


def test_refractory_by_a_boolean_variable_is_a_condition() -> None:
    for text, conditional in (("on", True), ("tau", False), ("5*ms", False), ("v > vth", True)):
        model = resolve(parse_group("g", NEURON, "v > vth", "v = 0*volt", text), EXTERNAL)
        check_model(model)
        assert model.refractory is not None and model.refractory.conditional is conditional


def test_synapses_reach_both_neurons() -> None:
    group = neuron()
    on_pre = "v += w*scale_pre; R_post = R_pre; y = n + i + j + N_pre + i_pre; w += v_pre*t_post/k"
    model = resolve(parse_synapses("s", "w : volt\nk = 2*ms : second", {"pre": on_pre}, {}, group.variables, group.variables))
    check_model(model)
    code = model.pathways[0].code
    assert code[0].target == Access("v", Index.POST) and code[1].target == Access("R", Index.POST)
    assert set(accesses(code[0].value)) == {Access("w"), Access("scale", Index.PRE)}
    assert set(accesses(code[2].value)) == {
        Access("n", Index.POST),
        Access("i"),
        Access("j"),
        Access("N_pre", Index.SHARED),
        Access("i", Index.PRE),
    }
    assert Access("t", Index.SHARED) in accesses(code[3].value)


def test_synapses_have_a_namespace_of_their_own() -> None:
    model = parse_synapses("s", "w : 1", {"pre": "w = w + dt/tau"}, {}, neuron().variables, neuron().variables)
    assert set(unresolved(model)) == {"tau"}
    assert resolve(model, EXTERNAL).variable("tau").role is Role.EXTERNAL


def test_units_are_externals() -> None:
    assert unit_external("mV") == Variable("mV", Role.EXTERNAL, VOLT, shared=True, constant=True)
    assert unit_external("newton") is not None and unit_external("tau") is None
    assert unit_value("mV") == 1e-3 and unit_value("newton") == 1.0 and unit_value("msecond") == 1e-3


def test_the_namespace_may_give_a_unit_another_meaning() -> None:
    expr = resolve_expression(parse_expression("2*mV"), (), externals={"mV": Variable("mV", Role.EXTERNAL)})
    assert check_expression(expr, (), externals={"mV": Variable("mV", Role.EXTERNAL)}) == (DIMENSIONLESS, FLOAT)


# -------------------------------------------------------------------------------------------------------------------------------------------- types
OWN = (
    Variable("v", Role.STATE, VOLT),
    Variable("on", Role.PARAMETER, dtype=BOOL),
    Variable("n", Role.PARAMETER, dtype=INT),
    Variable("step", Role.PARAMETER, dtype=LONG),
    Variable("x", Role.PARAMETER),
    Variable("t", Role.CLOCK, SECOND, shared=True),
)
TYPES = {
    "1": (DIMENSIONLESS, INT),
    "3000000000": (DIMENSIONLESS, LONG),
    "1.0": (DIMENSIONLESS, FLOAT),
    "inf": (DIMENSIONLESS, FLOAT),
    "True": (DIMENSIONLESS, BOOL),
    "v": (VOLT, FLOAT),
    "-n": (DIMENSIONLESS, INT),
    "n + 1": (DIMENSIONLESS, INT),
    "n + step": (DIMENSIONLESS, LONG),
    "n*x": (DIMENSIONLESS, FLOAT),
    "n/2": (DIMENSIONLESS, FLOAT),
    "n//2": (DIMENSIONLESS, INT),
    "n % 3": (DIMENSIONLESS, INT),
    "n**2": (DIMENSIONLESS, FLOAT),
    "v % (2*mV)": (VOLT, FLOAT),
    "v // mV": (DIMENSIONLESS, FLOAT),
    "v**2": (VOLT**2, FLOAT),
    "v**-0.5": (VOLT**-0.5, FLOAT),
    "(v**(1/3))**3": (VOLT, FLOAT),
    "x**n": (DIMENSIONLESS, FLOAT),
    "v*v/(2*ohm)": (UNITS["watt"], FLOAT),
    "v > 3*mV": (DIMENSIONLESS, BOOL),
    "on == True": (DIMENSIONLESS, BOOL),
    "not on and n > 1 or on": (DIMENSIONLESS, BOOL),
    "int(on)": (DIMENSIONLESS, INT),
    "int(v/mV)": (DIMENSIONLESS, INT),
    "sqrt(v)": (VOLT**0.5, FLOAT),
    "sign(v)": (DIMENSIONLESS, FLOAT),
    "sign(n)": (DIMENSIONLESS, INT),
    "abs(v)": (VOLT, FLOAT),
    "abs(n)": (DIMENSIONLESS, INT),
    "exp(n)": (DIMENSIONLESS, FLOAT),
    "clip(v, 0*volt, 1*mV)": (VOLT, FLOAT),
    "clip(n, 0, 1)": (DIMENSIONLESS, INT),
    "clip(n, 0.5, 1)": (DIMENSIONLESS, FLOAT),
    "timestep(t, 2*ms)": (DIMENSIONLESS, LONG),
    "clip(20 + 5*randn(), 5, 60)*ms": (SECOND, FLOAT),
    "rand() < 0.5": (DIMENSIONLESS, BOOL),
    "um**2*siemens/cm**2": (UNITS["siemens"], FLOAT),
}


@pytest.mark.parametrize("text", TYPES)
def test_types(text: str) -> None:
    expr = resolve_expression(parse_expression(text), OWN)
    assert check_expression(expr, OWN) == TYPES[text]
    assert expression_type(expr, Model("m", OWN)) == TYPES[text]


def test_types_of_locals() -> None:
    assert expression_type(Binary("*", Name("a"), Access("v")), Model("m", OWN), {"a": (SECOND, INT)}) == (VOLT * SECOND, FLOAT)


# -------------------------------------------------------------------------------------------------------------------------------------------- models
def test_a_right_model_is_accepted() -> None:
    check_model(neuron())
    check_model(neuron(events={"rare": "rand() < 0.1"}))


ACCEPTED_RESETS = (
    "v = 0*volt",
    "v *= 2",
    "v /= n",
    "v %= 2*mV",
    "n //= 2",
    "n = -n",
    "n = int(v/mV)",
    "on = not on",
    "on = v > vth",
    "R = n*ohm",
    "x = v; x = n; n = x",
    "x = 1; x += 0.5; R = x*ohm",
    "v += rand()*mV",
    "v = int(on)*vth + int(not on)*v",
    "v = lastspike*volt/second",
)


@pytest.mark.parametrize("reset", ACCEPTED_RESETS)
def test_right_resets_are_accepted(reset: str) -> None:
    check_model(resolve(parse_group("g", NEURON, "v > vth", reset, 0.002), EXTERNAL))


def test_shared_subexpression() -> None:
    check_model(resolve(parse_group("g", "a : 1 (shared)\nb = 2*a*t/second : 1 (shared)\nc : 1")))


def test_subexpressions_cannot_explode() -> None:
    doubling = "x0 : 1\n" + "\n".join(f"x{n} = x{n - 1}*x{n - 1} : 1" for n in range(1, 31))
    chain = "x0 : 1\n" + "\n".join(f"x{n} = x{n - 1} + 1 : 1" for n in range(1, 400))
    for equations in (doubling, chain):
        with pytest.raises(EquationError, match="written out"):
            check_model(resolve(parse_group("g", equations)))


def test_an_error_is_one_of_a_few_kinds() -> None:
    with pytest.raises(UnknownNameError):
        resolve(parse_group("g", "dv/dt = -v/tau : 1"))
    with pytest.raises(UnitError):
        check_model(resolve(parse_group("g", "dv/dt = -v/tau : 1"), {"tau": Variable("tau", Role.EXTERNAL, VOLT)}))
    with pytest.raises(DataTypeError):
        check_model(resolve(parse_group("g", "v : 1", "v")))


# ---------------------------------------------------------------------------------------------------------------------------------------- invariants
STEP = Step("s", "groups", 0, (Let("a", Access("v")), Let("b", Name("a"))), (Result(Access("v"), "b"),))


def test_verify_step() -> None:
    verify_step(STEP)
    for body, results in (
        ((Let("a", Name("a")),), ()),
        ((Let("a", Number(1)), Let("a", Number(2))), ()),
        ((), (Result(Access("v"), "a"),)),
        ((Let("a", Number(1)),), (Result(Access("v"), "a"), Result(Access("v"), "a"))),
    ):
        with pytest.raises(AssertionError):
            verify_step(replace(STEP, body=body, results=results))


ARRAYS = (Array("g.v", "g", Role.STATE), Array("g.w", "g", Role.STATE), Array("g.spike", "g", Role.EVENT))
KERNEL = Map("k", "g", (Load("v", "g.v", Index.SELF),), (Let("a", Name("v")),), (Store("g.v", Index.SELF, "a"),))
PROGRAM = Program(ARRAYS, (), (KERNEL, Record("r", "g.v")), tape=(("k", "g.v"),))


def test_verify_program() -> None:
    verify_program(PROGRAM)
    wrong = (
        replace(KERNEL, loads=(Load("v", "g.x", Index.SELF),)),
        replace(KERNEL, loads=(Load("v", "g.v", Index.SELF), Load("v", "g.w", Index.SELF))),
        replace(KERNEL, loads=(*KERNEL.loads, Load("u", "g.v", Index.SELF))),
        replace(KERNEL, body=(Let("a", Name("u")),)),
        replace(KERNEL, body=(Let("v", Name("v")),)),
        replace(KERNEL, body=(Let("a", Access("v")),)),
        replace(KERNEL, stores=(Store("g.v", Index.SELF, "b"),)),
        replace(KERNEL, only="g.burst"),
        replace(KERNEL, after=("nobody",)),
        Deliver("k", "s", Index.PRE, "g.burst", None, (), (), ()),
        Record("r", "g.x"),
    )
    for kernel in wrong:
        with pytest.raises(AssertionError):
            verify_program(replace(PROGRAM, kernels=(kernel,), tape=()))
    with pytest.raises(AssertionError):
        verify_program(replace(PROGRAM, kernels=(KERNEL, KERNEL)))
    with pytest.raises(AssertionError):
        verify_program(replace(PROGRAM, tape=(("k", "g.x"),)))
