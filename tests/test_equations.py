"""`Equations` as data: what they tell about themselves, how they are combined and changed."""

import pytest

from brianlike import Equations, Expression, NeuronGroup, Statements, ms, nA, volt
from brianlike.equations import SingleEquation
from brianlike.units import amp, mV
from codegen.errors import EquationError, UnitError

TEXT = """dv/dt = (-v + I)/tau : volt (unless refractory)
I = R*J : volt
J = a*exp(v/(10*mV)) : amp  # current
tau : second (constant, shared)
flag : boolean
k : integer"""


@pytest.fixture
def equations():
    return Equations(TEXT)


def test_names_by_kind(equations):
    assert list(equations) == ["v", "I", "J", "tau", "flag", "k"] and len(equations) == 6 and "v" in equations
    assert equations.names == set(equations) and equations.eq_names == {"v", "I", "J"} and equations.identifiers == {"R", "a", "exp", "mV"}
    assert (equations.diff_eq_names, equations.subexpr_names, equations.parameter_names) == ({"v"}, {"I", "J"}, {"tau", "flag", "k"})
    assert equations.dimensions["J"] == amp.dimensions
    assert equations.eq_expressions == [("v", Expression("(-v + I)/tau")), ("I", Expression("R*J")), ("J", Expression("a*exp(v/(10*mV))"))]
    assert equations.diff_eq_expressions == equations.eq_expressions[:1]
    assert [equation.varname for equation in equations.ordered] == ["J", "I", "v", "flag", "k", "tau"]
    with pytest.raises(KeyError):
        equations["nothing"]


def test_single_equations(equations):
    v, k = equations["v"], equations["k"]
    assert (v.type, v.varname, v.var_type, v.flags, v.unit, v.dim) == ("differential equation", "v", "float", ["unless refractory"], volt, volt.dimensions)
    assert v.expr == Expression("(-v + I)/tau") and v.identifiers == {"v", "I", "tau"} and v.stochastic_variables == set()
    assert (k.type, k.var_type, k.expr, k.identifiers) == ("parameter", "integer", None, set())
    assert equations["I"].type == "subexpression" and equations["flag"].var_type == "boolean"
    assert str(v) == "dv/dt = (-v + I)/tau : volt (unless refractory)" and repr(k) == "<parameter k : integer>"
    assert r"\frac{dv}{dt}" in v._repr_latex_()
    again = SingleEquation("differential equation", "v", volt, expr=Expression("(-v+I)/tau"), flags=["unless refractory"])
    assert again == v and hash(again) == hash(v) and again != k
    assert Equations([v, k]) == Equations("dv/dt = (-v + I)/tau : volt (unless refractory)\nk : integer")
    assert Equations(list(equations.values())) == equations


def test_subexpressions_are_put_in(equations):
    ((name, expression),) = equations.get_substituted_expressions()
    assert name == "v" and expression.identifiers == {"v", "R", "a", "exp", "mV", "tau"}
    assert [name for name, _ in equations.get_substituted_expressions(include_subexpressions=True)] == ["J", "I", "v"]
    assert Equations("dv/dt = -x : 1/second\nx = a + b : 1/second**2").get_substituted_expressions()[0][1] == Expression("-(a + b)")


def test_dependencies(equations):
    needs = {name: [(need.equation.varname, need.via) for need in found] for name, found in equations.dependencies.items()}
    assert needs == {"J": [("v", ())], "I": [("J", ()), ("v", ("J",))], "v": [("v", ()), ("I", ()), ("tau", ()), ("J", ("I",))]}


@pytest.mark.parametrize(
    ("noise", "kind"), [("", None), (" + xi*ms**-0.5", "additive"), (" + v*xi*ms**-0.5", "multiplicative"), (" + sin(t/ms)*xi_a*ms**-0.5", "multiplicative")]
)
def test_noise(noise, kind):
    equations = Equations(f"dv/dt = -v/ms{noise} : 1")
    assert equations.stochastic_type == kind and equations.is_stochastic == (kind is not None)
    assert equations.stochastic_variables == ({"xi_a"} if "xi_a" in noise else {"xi"} if noise else set())


def test_noise_in_a_subexpression():
    equations = Equations("dv/dt = s*v/ms : 1\ns = xi_1*ms**0.5 : 1")
    assert equations.stochastic_type == "multiplicative"


def test_substitutions(equations):
    renamed = equations.substitute(v="u", R="R_2", a=2 * nA)
    assert renamed.diff_eq_names == {"u"} and renamed["J"].expr == Expression("(2e-09*amp)*exp(u/(10*mV))") and "R_2" in renamed.identifiers
    assert Equations("x = q : 1", q="a + b")["x"].expr == Expression("a + b"), "an expression for a name that is no variable"
    assert Equations("x = 2*q : 1", q="a + b")["x"].expr == Expression("2*a + b"), "as text, without brackets, as in Brian"
    assert Equations("x = q : 1", q=True)["x"].expr == Expression("(True)") and Equations("x = q : 1", nothing=3) == Equations("x = q : 1")
    with pytest.raises(ValueError, match="`v` is a variable of the equations and can be renamed, but not replaced by the value 3"):
        equations.substitute(v=3)
    with pytest.raises(ValueError, match="'u \\+ 1' is not a name"):
        equations.substitute(v="u + 1")
    with pytest.raises(EquationError, match="declared twice"):
        equations.substitute(v="I")
    with pytest.raises(TypeError, match="not by None"):
        equations.substitute(R=None)


def test_sums():
    assert Equations("x : 1") + "y : 1" == "x : 1" + Equations("y : 1") == Equations("x : 1\ny : 1")
    assert hash(Equations("x=2*y : 1")) == hash(Equations("x = 2*y  : 1"))
    with pytest.raises(EquationError, match="declared twice"):
        Equations("x : 1") + Equations("x : 1")
    for wrong in (3, ["x : 1"], [3]):
        with pytest.raises(TypeError):
            Equations("x : 1") + 3 if wrong == 3 else Equations(wrong)


@pytest.mark.parametrize("name", "t dt t_in_timesteps xi xi_a i N not_refractory refractory refractory_until mV volt pi e sin class None _x 3".split())
def test_names_that_variables_cannot_have(name):
    with pytest.raises(SyntaxError):
        Equations.check_identifier(name)
    with pytest.raises(SyntaxError):
        Equations(f"{name} : 1")


@pytest.mark.parametrize("name", "a_b a__b m V j lastspike x1 dx n_ beta".split())
def test_names_that_they_can_have(name):
    Equations.check_identifier(name)
    assert Equations(f"d{name}/dt = -{name}/second : 1").diff_eq_names == {name}


def test_rules_for_names_of_ones_own(monkeypatch):
    monkeypatch.setattr(Equations, "_checks", [])

    def short(name):
        if len(name) > 3:
            raise ValueError(f"{name} is too long")

    Equations.register_identifier_check(short)
    Equations("abc : 1")
    with pytest.raises(ValueError, match="abcd is too long"):
        Equations("abcd : 1")


def test_circles_are_refused_at_once():
    with pytest.raises(ValueError, match="subexpressions need each other in a circle"):
        Equations("x = y : 1\ny = x : 1")


def test_units_can_be_checked():
    tau = 10 * ms  # noqa: F841
    right, wrong = Equations("dv/dt = -v/tau : volt"), Equations("dv/dt = -v : volt")
    right.check_units(NeuronGroup(1, right))
    with pytest.raises(UnitError):
        wrong.check_units(NeuronGroup(1, wrong))
    with pytest.raises(UnitError):
        right.check_units(NeuronGroup(1, right), run_namespace={"tau": 10 * mV})


def test_code_strings():
    assert Statements("x = 3; y += z").identifiers == {"x", "y", "z"} and str(Statements(" x = 3 ")) == "x = 3"
    assert Expression("a*b").identifiers == {"a", "b"} and Expression("a") != Statements("a") and repr(Expression("a")) == "Expression('a')"
    assert Expression("f + g*xi + h*xi_2").split_stochastic() == (Expression("f"), {"xi": Expression("g"), "xi_2": Expression("h")})
    assert len({Expression("a"), Expression("a"), Statements("a")}) == 2
    with pytest.raises(SyntaxError):
        Expression("a +")
    with pytest.raises(TypeError, match="give one of the two"):
        Expression()
