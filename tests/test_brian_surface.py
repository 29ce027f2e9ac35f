"""What the lines that scripts for Brian 2.9 consist of give: facts measured there, kept in `brian_surface.json`.

A fact is a number, a quantity (SI numbers and exponents of metre, kilogram, second, ampere, kelvin, mole, candela), text, a sequence of facts, or the class of
exception that is raised. Where ours deliberately differs is listed in the design notes.
"""

from __future__ import annotations

import inspect
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import brianlike
from brianlike.monitors import EventMonitor, PopulationRateMonitor, SpikeMonitor, StateMonitor
from brianlike.pathways import Pathway
from brianlike.units import asarray_si, get_dimensions
from codegen.dims import Dimensions

FACTS = json.loads(Path(__file__).with_name("brian_surface.json").read_text())
UNITS = """
x = array([1., 2., 3.])*mV
y = array([3., 1., 2.])*mV
z = array([1., 2., 3.])*ms
M = array([[1., 2.], [3., 4.]])*nA
s = 5*mV
n = array([1., 2., 3.])
import copy, pickle
"""
OBJECTS = '''
G = NeuronGroup(5, """dv/dt = -v/(10*ms) : volt (unless refractory)
u = 2*v : volt
tau : second (shared)
k : integer
b : boolean
w : 1""", threshold='v > 10*mV', reset='v = 0*mV', refractory=2*ms, name='grp')
G.v = 'i*mV'; G.w = [5,4,3,2,1]
S = Synapses(G, G, """q : volt
r : 1""", on_pre='v_post += q', on_post='r += 1', name='syn')
S.connect(i=[0, 0, 1, 2], j=[1, 2, 2, 0])
S.q = '(i+j)*mV'
'''
MORE = """
import numpy as np
ext = 3
"""
NAMES: dict[str, Any] = {}
exec("from brianlike import *", NAMES)


def outcome(setup: str, line: str) -> Any:
    """What the line gives, or the exception."""
    names = dict(NAMES)
    names["start_scope"]()
    exec(setup, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            try:
                code = compile(line, line, "eval")
            except SyntaxError:
                exec(line, names)
                return names.get("r")
            return eval(code, names)
        except Exception as error:
            return error


def agrees(found: Any, fact: list[Any]) -> bool:
    """Whether what was found is what the fact says."""
    match fact:
        case ["raises", name]:
            return isinstance(found, Exception) and any(name == kind.__name__ for kind in type(found).__mro__)
        case ["text", text]:
            return bool(found == text)
        case ["dimensions", exponents]:
            return isinstance(found, Dimensions) and np.allclose([float(e) for e in found.exponents], exponents)
        case ["sequence", facts]:
            return len(found) == len(facts) and all(agrees(*pair) for pair in zip(found, facts, strict=True))
        case ["number" | "quantity", values, *exponents]:
            if isinstance(found, Exception):
                raise found
            wanted = np.array(values, dtype=float)
            dims = [float(e) for e in get_dimensions(found).exponents]
            numbers = asarray_si(found)
            same = numbers.shape == wanted.shape and np.allclose(numbers, wanted, rtol=1e-9, atol=0, equal_nan=True)
            return bool(same and np.allclose(dims, exponents[0] if exponents else np.zeros(7), atol=1e-5))
    raise AssertionError(f"{fact!r} is no fact")


@pytest.fixture(autouse=True)
def numpy_engine() -> Any:
    target = brianlike.prefs.codegen.target
    brianlike.prefs.codegen.target = "numpy"
    yield
    brianlike.prefs.codegen.target = target
    brianlike.defaultclock.dt = 0.1 * brianlike.units.ms


@pytest.mark.parametrize(("line", "fact"), [pytest.param(*row, id=row[0].replace("\n", " ")) for row in FACTS["units"]])
def test_quantities(line: str, fact: list[Any]) -> None:
    found = outcome(UNITS, line)
    assert agrees(found, fact), f"{line}: {found!r}, not {fact}"


@pytest.mark.parametrize(("line", "fact"), [pytest.param(*row, id=row[0].replace("\n", " ")) for row in FACTS["objects"]])
def test_objects(line: str, fact: list[Any]) -> None:
    found = outcome(OBJECTS, line)
    assert agrees(found, fact), f"{line}: {found!r}, not {fact}"


@pytest.mark.parametrize(("line", "fact"), [pytest.param(*row, id=row[0].replace("\n", " ")) for row in FACTS["more"]])
def test_more_lines(line: str, fact: list[Any]) -> None:
    found = outcome(MORE + OBJECTS, line)
    assert agrees(found, fact), f"{line}: {found!r}, not {fact}"


SIGNATURES = {
    brianlike.NeuronGroup: "N model method method_options threshold reset refractory events namespace dtype dt clock order name codeobj_class",
    brianlike.Synapses: "source target model on_pre pre on_post post connect delay on_event multisynaptic_index namespace dtype codeobj_class dt clock order"
    " method method_options name",
    brianlike.PoissonGroup: "N rates dt clock when order namespace name codeobj_class",
    brianlike.SpikeGeneratorGroup: "N indices times dt clock period when order sorted name codeobj_class",
    brianlike.PoissonInput: "target target_var N rate weight when order",
    brianlike.Subgroup: "source start stop name",
    brianlike.TimedArray: "values dt name",
    StateMonitor: "source variables record dt clock when order name codeobj_class",
    SpikeMonitor: "source variables record when order name codeobj_class",
    EventMonitor: "source event variables record when order name codeobj_class",
    PopulationRateMonitor: "source name codeobj_class dtype",
    brianlike.Clock: "dt name",
    brianlike.Function: "pyfunc sympy_func arg_units arg_names return_unit arg_types return_type stateless auto_vectorise",
    brianlike.NetworkOperation: "function dt clock when order name",
    brianlike.Network.run: "self duration report report_period namespace profile level",
    brianlike.Synapses.connect: "self condition i j p n skip_if_invalid namespace level",
    brianlike.NeuronGroup.run_regularly: "self code dt clock when order name codeobj_class",
    brianlike.NeuronGroup.get_states: "self vars units format subexpressions read_only_variables level",
    brianlike.run: "duration report report_period namespace profile level",
    brianlike.store: "name filename",
    brianlike.restore: "name filename restore_random_state",
    brianlike.linked_var: "group_or_variable name index",
    brianlike.in_unit: "x u precision",
    brianlike.have_same_dimensions: "obj1 obj2",
}


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda function: function.__qualname__)
def test_arguments_have_brians_names_and_order(function: Any) -> None:
    wanted = SIGNATURES[function].split()
    assert list(inspect.signature(function).parameters)[: len(wanted)] == wanted


def test_pathways_know_their_ends() -> None:
    names = dict(NAMES)
    exec(OBJECTS, names)
    assert all(isinstance(path, Pathway) for path in (names["S"].pre, names["S"].post))
    assert (names["S"].post.prepost, names["S"].post.target.name, names["S"].pre.clock) == ("post", "grp", brianlike.defaultclock)


def test_objects_of_one_name_do_not_run_together() -> None:
    with pytest.raises(ValueError, match="two objects of a network cannot both be called 'twin'"):
        exec("start_scope(); a = NeuronGroup(1, 'x : 1', name='twin'); b = NeuronGroup(1, 'x : 1', name='twin'); run(1*ms)", dict(NAMES))
