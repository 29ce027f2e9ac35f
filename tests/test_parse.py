"""Parsing: the tree that a text means, where every part of it stands, and that no text does anything else."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.dims import DIMENSIONLESS, UNITS
from codegen.errors import EquationError, ModelError
from codegen.expr import Binary, Call, Cast, Compare, DType, Expr, Index, Logical, Name, Negate, Not, Number, Truth, children, show, walk
from codegen.functions import CONSTANTS, FUNCTIONS, USER_FUNCTIONS
from codegen.ir import Role, Variable
from codegen.models import parse_group, parse_synapses
from codegen.parse import Equation, parse_equations, parse_expression, parse_statements, parse_unit

V, W, X = Name("v"), Name("w"), Name("x")

MEANINGS = {
    "1": Number(1),
    "1.": Number(1.0),
    ".5e-3": Number(0.0005),
    "00": Number(0),
    "9223372036854775807": Number(2**63 - 1),
    "True": Truth(True),
    "inf": Number(float("inf")),
    "+v": V,
    "-v**2": Negate(Binary("**", V, Number(2))),
    "2**-v": Binary("**", Number(2), Negate(V)),
    "v**w**x": Binary("**", V, Binary("**", W, X)),
    "v - w - x": Binary("-", Binary("-", V, W), X),
    "v/w*x": Binary("*", Binary("/", V, W), X),
    "v//w % x": Binary("%", Binary("//", V, W), X),
    "v or w and not x": Logical("or", V, Logical("and", W, Not(X))),
    "v or w or x": Logical("or", Logical("or", V, W), X),
    "v or (w or x)": Logical("or", V, Logical("or", W, X)),
    "not v == w": Not(Compare("==", V, W)),
    "int(v)": Cast(DType.INT32, V),
    "clip(v, w, x)": Call("clip", (V, W, X)),
    "rand()": Call("rand", ()),
    " (\n v )\t+ # remark\n w": Binary("+", V, W),
    "ﬁ\u00a0+ v": Binary("+", Name("fi"), V),  # Python reads the ligature as two letters
}


@pytest.mark.parametrize("text", MEANINGS)
def test_meaning(text: str) -> None:
    assert parse_expression(text) == MEANINGS[text]


def test_integers_and_floats_stay_apart() -> None:
    assert isinstance(parse_expression("1").value, int) and isinstance(parse_expression("1.0").value, float)  # type: ignore[union-attr]


def test_as_deep_as_allowed() -> None:
    assert sum(1 for _ in walk(parse_expression(" + ".join(["v"] * 200)))) == 399
    assert parse_expression("(" * 100 + "v" + ")" * 100) == V


# ------------------------------------------------------------------------------------------------------------------------------------- positions
def excerpts(expr: Expr) -> list[str]:
    return [node.span.excerpt for node in walk(expr) if node.span is not None]


def test_spans_of_an_expression() -> None:
    assert excerpts(parse_expression("  (a +b)*-c  ")) == ["a", "b", "a +b", "c", "-c", "(a +b)*-c"]
    assert excerpts(parse_expression("a or b or c < 2")) == ["a", "b", "a or b", "c", "2", "c < 2", "a or b or c < 2"]


def test_spans_behind_letters_of_several_bytes() -> None:
    assert excerpts(parse_expression("ﬁ + a*ﬁ")) == ["ﬁ", "a", "ﬁ", "a*ﬁ", "ﬁ + a*ﬁ"]


EQUATIONS = """
# an integrate-and-fire neuron: the colon here is a remark
dv / dt = (I
           - v)/tau  # leak : of current
        : volt (unless
                refractory)
I = R*J : volt
R : ohm   # resistance
J:amp(constant)
on : boolean (shared, constant)
n : integer
g : siemens/(metre**2)
tau : second
"""


def test_equations() -> None:
    volt, amp = UNITS["volt"], UNITS["amp"]
    drift = Binary("/", Binary("-", Name("I"), V), Name("tau"))
    assert parse_equations(EQUATIONS) == (
        Equation("differential", "v", drift, volt, DType.FLOAT, ("unless refractory",)),
        Equation("subexpression", "I", Binary("*", Name("R"), Name("J")), volt, DType.FLOAT),
        Equation("parameter", "R", None, UNITS["ohm"], DType.FLOAT),
        Equation("parameter", "J", None, amp, DType.FLOAT, ("constant",)),
        Equation("parameter", "on", None, DIMENSIONLESS, DType.BOOL, ("shared", "constant")),
        Equation("parameter", "n", None, DIMENSIONLESS, DType.INT32),
        Equation("parameter", "g", None, UNITS["siemens"] / UNITS["metre"] ** 2, DType.FLOAT),
        Equation("parameter", "tau", None, UNITS["second"], DType.FLOAT),
    )


def test_spans_of_equations_refer_to_the_whole_text() -> None:
    first = parse_equations(EQUATIONS)[0]
    assert first.value is not None and first.span is not None
    for node in walk(first.value):
        assert node.span is not None and node.span.text is EQUATIONS
    assert children(first.value)[1].span.excerpt == "tau"  # type: ignore[union-attr]
    assert first.span.excerpt.startswith("dv / dt") and first.span.excerpt.endswith("refractory)")


@pytest.mark.parametrize("text", ["", "   ", "\n# nothing\n"])
def test_no_equations(text: str) -> None:
    assert parse_equations(text) == ()


def test_an_expression_may_end_in_a_lone_name() -> None:
    for value in ("a*\n b", "(a\n + b)", "a + (\n b\n)", "a and\n b", "\n b"):
        (equation,) = parse_equations(f"x = {value} : volt")
        assert equation.kind == "subexpression"


UNITS_TEXTS = {
    "1": (DIMENSIONLESS, DType.FLOAT),
    "boolean": (DIMENSIONLESS, DType.BOOL),
    "integer": (DIMENSIONLESS, DType.INT32),
    " volt ": (UNITS["volt"], DType.FLOAT),
    "1/second": (UNITS["hertz"], DType.FLOAT),
    "Hz": (UNITS["hertz"], DType.FLOAT),
    "siemens/metre**2": (UNITS["siemens"] / UNITS["metre"] ** 2, DType.FLOAT),
    "second**-0.5": (UNITS["second"] ** -0.5, DType.FLOAT),
    "volt**(1/3)": ((UNITS["volt"] ** (1 / 3)), DType.FLOAT),
    "(amp*second)/(volt)": (UNITS["farad"], DType.FLOAT),
}


@pytest.mark.parametrize("text", UNITS_TEXTS)
def test_units(text: str) -> None:
    assert parse_unit(text) == UNITS_TEXTS[text]


# ------------------------------------------------------------------------------------------------------------------------------------- statements
def test_statements() -> None:
    code = parse_statements("\n v = 1; w+=clip(v,\n 0, 1) # remark; x = 2\n;; x **= v <= 2\n")
    assert [(s.target, s.operator, show(s.value)) for s in code] == [("v", "=", "1"), ("w", "+=", "clip(v, 0, 1)"), ("x", "**=", "v <= 2")]
    assert [s.span.excerpt for s in code if s.span] == ["v = 1", "w+=clip(v,\n 0, 1)", "x **= v <= 2"]


@pytest.mark.parametrize("operator", ["=", "+=", "-=", "*=", "/=", "//=", "%=", "**="])
def test_every_assignment(operator: str) -> None:
    assert parse_statements(f"v{operator}-w")[0].operator == operator


# ----------------------------------------------------------------------------------------------------------------------------------------- models
def test_group() -> None:
    model = parse_group("neurons", EQUATIONS, "v > 1*volt", "v = 0*volt", 0.005, {"burst": "n > 3"})
    declared = {v.name: v for v in model.variables}
    assert declared["v"].role is Role.STATE and declared["v"].guard == "not_refractory"
    assert declared["I"].role is Role.SUBEXPRESSION and declared["J"].constant and declared["on"].shared
    assert declared["t"] == Variable("t", Role.CLOCK, UNITS["second"], shared=True)
    assert declared["lastspike"].dimensions == UNITS["second"] and declared["_lastspike_step"].dtype is DType.INT64
    assert declared["not_refractory"].dtype is DType.BOOL
    assert [e.name for e in model.events] == ["spike", "burst"] and model.refractory is not None and model.refractory.value == Number(0.005)


def test_without_refractory_there_is_no_guard() -> None:
    model = parse_group("neurons", EQUATIONS)
    assert model.variable("v").guard is None and model.events == () and model.refractory is None
    assert not {"lastspike", "not_refractory"} & {v.name for v in model.variables}


def test_refractory_condition() -> None:
    for text, conditional in (("v > 0*volt", True), ("not on", True), ("5*tau", False)):
        refractory = parse_group("neurons", EQUATIONS, "on", refractory=text).refractory
        assert refractory is not None and refractory.conditional is conditional


def test_input() -> None:
    assert parse_group("g", "J : amp (input)").variable("J").role is Role.INPUT


def test_subexpressions_are_ordered() -> None:
    model = parse_group("g", "a = b + c : 1\nb = 2*c : 1\nc : 1\nd = a : 1")
    assert [s.variable for s in model.subexpressions] == ["b", "a", "d"]


def test_equations_can_be_given_parsed() -> None:
    assert parse_group("g", parse_equations(EQUATIONS)) == parse_group("g", EQUATIONS)


def test_synapses() -> None:
    post = (Variable("v", Role.STATE, UNITS["volt"]),)
    model = parse_synapses("s", "w : volt", {"pre": "v_post += w", "late": "w = 0*volt"}, {"post": "w *= 2"}, (), post)
    assert [(p.name, p.side) for p in model.pathways] == [("pre", Index.PRE), ("late", Index.PRE), ("post", Index.POST)]
    assert {"w", "i", "j", "N", "N_pre", "N_post", "t", "dt"} <= {v.name for v in model.variables} and model.post == post


@pytest.mark.parametrize("name", ["", "_g", "a b", "g'", "../x", "é"])
def test_names_of_objects(name: str) -> None:
    with pytest.raises(ModelError):
        parse_group(name, "")


def test_places_of_conditions_that_are_joined_and_bracketed() -> None:
    expr = parse_expression("(v > 1) and (w) and u")
    assert isinstance(expr, Logical) and expr.left.span is not None and expr.left.span.excerpt == "(v > 1) and (w)"


# ------------------------------------------------------------------------------------------------------------------------------------- properties
NUMBERS = st.one_of(st.integers(0, 2**63 - 1), st.floats(min_value=0, allow_nan=False, allow_infinity=False), st.sampled_from(list(CONSTANTS)))
LEAVES = st.one_of(st.sampled_from(["v", "w_post", "tau_m", "True", "False"]), NUMBERS.map(str))


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    infix = ["+", "-", "*", "/", "//", "%", "**", "<", "<=", ">", ">=", "==", "!=", "and", "or"]
    functions = sorted(USER_FUNCTIONS - {"int"})
    return st.one_of(
        st.tuples(st.sampled_from(["-", "+", "not "]), inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, st.sampled_from(infix), inner).map(lambda p: f"({p[0]}) {p[1]} ({p[2]})"),
        # Without brackets the text may be refused (chained comparisons), but what is read must still survive showing.
        st.tuples(inner, st.sampled_from(infix), inner).map(" ".join),
        st.tuples(st.sampled_from(functions), inner).map(lambda p: f"{p[0]}({', '.join([p[1]] * FUNCTIONS[p[0]].arity)})"),
        inner.map(lambda text: f"int({text})"),
    )


EXPRESSIONS = st.recursive(LEAVES, _compound, max_leaves=20)


def parsed(text: str) -> Expr | None:
    try:
        return parse_expression(text)
    except ModelError:
        return None


@given(EXPRESSIONS)
def test_parse_undoes_show(text: str) -> None:
    tree = parsed(text)
    if tree is not None:
        again = parse_expression(show(tree))
        assert again == tree
        assert [type(n.value) for n in walk(again) if isinstance(n, Number)] == [type(n.value) for n in walk(tree) if isinstance(n, Number)]


@given(EXPRESSIONS)
def test_the_text_under_a_node_means_that_node(text: str) -> None:
    tree = parsed(text)
    for node in walk(tree) if tree is not None else ():
        assert node.span is not None and parse_expression(node.span.excerpt) == node


PIECES = st.sampled_from(
    ["v", "1", "2.5", "xi", "exp", "clip", "rand()", "(", ")", ",", " ", "\n", "#", ":", ";", "=", "+=", "-", "+", "**", "/", "//", "<", "and", "not", "or"]
    + ["dv/dt", "volt", "mV", "constant", "unless refractory", "\t", "\r", "\x0c", "é", "²", "ﬁ", "\ud800", "\x00", "\\", "'", "lambda", "if", "__x", ".", "["]
)
HOSTILE = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=30).map("".join), st.lists(PIECES, max_size=20).map(" ".join))


@settings(max_examples=300)
@given(HOSTILE)
def test_any_text_is_read_or_refused(text: str) -> None:
    for function in (parse_expression, parse_statements, parse_unit, parse_equations):
        try:
            function(text)
        except ModelError as error:
            assert str(error)
    try:
        parse_group("g", text, text, text, text)
    except ModelError as error:
        assert str(error)


LARGE = {
    "brackets": "(" * 4000 + "v" + ")" * 4000,
    "signs": "-" * 9000 + "v",
    "nots": "not " * 1900 + "v",
    "sum": "+".join(["v"] * 900),
    "powers": "**".join(["v"] * 900),
    "alternatives": " or ".join(["v"] * 900),
    "comparisons": " < ".join(["v"] * 900),
    "calls": "exp(" * 99 + "v" + ")" * 99 + "+v" * 300,
    "digits": "9" * 9000,
    "letters": "v" * 9000,
    "arguments": "clip(" + ",".join(["v"] * 900) + ")",
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_large_texts_are_refused(text: str) -> None:
    with pytest.raises(EquationError):
        parse_expression(text)


LONG = {
    "declarations": "".join(f"x{n} : 1\n" for n in range(9_000)),
    "no units": "x = 1\n" * 16_000,
    "line ends": "x = a" + "\n" * 99_000 + "b*",
    "names": "\n".join("x" * 49_000),
    "digits": "1" * 99_000,
    "flags": "x : 1 " + "(" * 99_000,
    "letters": "d" * 99_000,
    "semicolons": "v = 1;" * 16_000,
    "too much": "x : 1\n" * 20_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_long_texts_are_read_or_refused_soon(text: str) -> None:
    start = time.process_time()
    for function in (parse_equations, parse_statements, parse_expression, parse_unit):
        with contextlib.suppress(ModelError):
            function(text)
    assert time.process_time() - start < 5  # seconds; quadratic behaviour would take minutes


AUDIT = """
import sys
sys.path.insert(0, sys.argv[1])
from codegen.models import parse_group
from codegen.parse import parse_equations, parse_expression, parse_statements, parse_unit
from codegen.errors import ModelError
import encodings.utf_8, encodings.ascii, traceback
corpus = open(sys.argv[2], encoding="utf-8").read().split("\\x1e")
seen = []
ALLOWED = ("compile", "object.__getattr__", "sys._getframe")
sys.addaudithook(lambda event, arguments: None if event in ALLOWED else seen.append((event, str(arguments)[:80])))
for text in corpus:
    for function in (parse_expression, parse_statements, parse_unit, parse_equations, lambda x: parse_group("g", x, x, x, x)):
        try:
            function(text)
        except ModelError:
            pass
found, count = list(seen), len(corpus)
print(count, found)
"""
ATTACKS = (
    "v + w",
    "dv/dt = -v/tau : volt (constant)",
    '__import__("os").system("x")',
    "().__class__.__bases__[0].__subclasses__()",
    "v.subs.__globals__['__builtins__']['__import__']('os')",
    "eval('1')",
    "exec('import os')",
    "open('x', 'w')",
    "breakpoint()",
    "lambda: 1",
    "[x for x in (1,)]",
    "f'{v}'",
    "(yield)",
    "9**9**9**9",
    "1e400",
    "v = 1\nimport os\nos.system('x')",
    "x : 1\n'''",
    "x : volt**9**9**9",
)


def test_no_text_runs_code(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\x1e".join((*ATTACKS, *LARGE.values())), encoding="utf-8")
    root = str(Path(__file__).parent.parent)
    result = subprocess.run([sys.executable, "-c", AUDIT, root, str(corpus)], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(len(ATTACKS) + len(LARGE)), "[]"]
