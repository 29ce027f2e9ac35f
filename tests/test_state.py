"""State arrays, and variables as users read and write them."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brianlike import deferred
from brianlike.clocks import Clock, defaultclock
from brianlike.equations import Equations
from brianlike.groups import NeuronGroup
from brianlike.logger import catch_logs
from brianlike.namespaces import caller_namespace, externals
from brianlike.objects import live_objects
from brianlike.preferences import PREFERENCES, PreferenceError, prefs
from brianlike.state import State
from brianlike.units import DimensionMismatchError, Quantity, amp, ms, mV, nA, second, volt
from codegen.dims import DIMENSIONLESS, UNITS
from codegen.errors import EquationError, ModelError, UnitError, UnknownNameError
from codegen.expr import DType
from codegen.ir import Role, Variable

VARIABLES = (
    Variable("v", Role.STATE, UNITS["volt"]),
    Variable("common", Role.PARAMETER, shared=True),
    Variable("k", Role.PARAMETER, dtype=DType.INT32),
    Variable("step", Role.PARAMETER, dtype=DType.INT64),
    Variable("flag", Role.PARAMETER, dtype=DType.BOOL),
    Variable("not_refractory", Role.HIDDEN, dtype=DType.BOOL),
    Variable("y", Role.SUBEXPRESSION),
    Variable("t", Role.CLOCK, shared=True),
    Variable("tau", Role.EXTERNAL, shared=True),
)
TEXT = """
dv/dt = -v/(10*ms) : volt
x : 1
gain = 2*x : 1
k : integer
flag : boolean
common : amp (shared)
"""


@pytest.fixture
def G() -> NeuronGroup:
    return NeuronGroup(4, TEXT, threshold="v > 10*mV", reset="v = 0*mV", refractory=2 * ms, name="cells")


# -------------------------------------------------------------------------------------------------------------------------------------------- State
@given(st.integers(0, 100), st.sampled_from(["float64", "float32"]))
def test_every_array_is_the_aligned_beginning_of_whole_vectors(size: int, dtype: str) -> None:
    state = State(VARIABLES, size, dtype)
    assert set(state) == {"v", "common", "k", "step", "flag", "not_refractory"}
    assert [str(state[n].dtype) for n in ("v", "k", "step", "flag")] == [dtype, "int32", "int64", "bool"]
    for name in state:
        base = state.base(name)
        assert base.ctypes.data % 64 == 0 and base.size % 16 == 0 and base.size >= 16
        assert state[name].ctypes.data == base.ctypes.data
        assert len(state[name]) == (1 if name == "common" else size)
    assert not state["v"].any() and state["not_refractory"].all()


@given(st.lists(st.integers(0, 70), min_size=1, max_size=6))
def test_growing_keeps_values_and_starts_the_new_ones_afresh(sizes: list[int]) -> None:
    state, model = State(VARIABLES, 0), np.zeros(0)
    state["common"] = 7
    for size in sizes:
        state.resize(size)
        model = np.concatenate([model, np.zeros(size)])[:size] if size > model.size else model[:size]
        assert np.array_equal(state["v"], model) and state["not_refractory"].all() and state["common"] == 7
        assert not state.base("v")[size:].any()
        model = np.arange(size) + 1.0
        state["v"], state.base("v")[size:] = model, 99  # kernels may leave anything behind the end


def test_restore_goes_back_also_to_another_size() -> None:
    state = State(VARIABLES, 3)
    state["v"] = 1, 2, 3
    kept = state.snapshot()
    state["v"] = 0
    state.resize(20)
    state.add(Variable("later", Role.PARAMETER), np.float64)
    state["later"] = 5
    state.restore(kept)
    assert state.size == 3 and list(state["v"]) == [1, 2, 3] and list(state["later"]) == [0, 0, 0]
    with pytest.raises(ValueError, match="has variables that the object has not: foreign"):
        state.restore({"foreign": np.zeros(3)})


def test_float32_by_preference_at_construction(G: NeuronGroup) -> None:
    prefs.core.default_float_dtype = np.float32
    try:
        single = NeuronGroup(2, TEXT)
    finally:
        prefs.reset_to_defaults()
    assert single.state["v"].dtype == np.float32 and G.state["v"].dtype == np.float64
    assert NeuronGroup(2, TEXT, dtype="float32").state["v"].dtype == np.float32
    with pytest.raises(TypeError, match="float64 or float32, not int32"):
        NeuronGroup(2, TEXT, dtype=np.int32)


# -------------------------------------------------------------------------------------------------------------------------------------------- views
def test_values_have_units_and_can_be_had_without(G: NeuronGroup) -> None:
    G.v = [1, 2, 3, 4] * mV
    assert isinstance(G.v[:], Quantity) and G.v[1] == 2 * mV and G.v_[1] == 2e-3
    assert np.array_equal(G.v[1:3], [2, 3] * mV) and np.array_equal(G.v[[3, -4]], [4, 1] * mV)
    assert np.array_equal(G.v[np.array([True, False, False, True])], [1, 4] * mV)
    assert repr(G.v) == "<cells.v: array([1., 2., 3., 4.]) * mV>" and len(G.v) == 4
    G.v_ = 0.5
    G.common = 3 * nA
    assert np.all(G.v == 500 * mV) and G.common[:] == 3 * nA and float(G.common_) == pytest.approx(3e-9)


def test_reading_gives_copies(G: NeuronGroup) -> None:
    part, array = G.x[1:], np.asarray(G.x)
    part += 1
    array += 1
    assert not G.state["x"].any()


def test_strings_index_and_set(G: NeuronGroup) -> None:
    limit = 1
    G.x = "i + 1"
    G.x["i > limit"] = "-x"
    assert list(G.x) == [1, 2, -3, -4] and list(G.x["x < 0"]) == [-3, -4]
    G.x["i == 0"] = 10
    G.flag = [True, False, True, False]
    assert list(G.x["flag"]) == [10, -3] and list(G.x[G.flag & (G.x < 0)]) == [-3] and list(~G.flag) == [False, True, False, True]
    G.k, G.flag, G.v = "i*2", "i > 1", "i*volt"
    assert G.x[0] == 10 and list(G.k) == [0, 2, 4, 6] and list(G.flag) == [False, False, True, True] and G.v[2] == 2 * volt
    assert limit == 1


def test_long_arrays_are_computed_in_parts(G: NeuronGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "CHUNK", 3)
    G.x = "i + int(rand() < 2)"
    assert list(G.x) == [1, 2, 3, 4] and list(G.gain) == [2, 4, 6, 8] and list(G.x["x > 3 or i == 0"]) == [1, 4]
    G.x = "rand()"
    assert len(set(G.x)) == 4


def test_random_text_differs_between_neurons_and_calls(G: NeuronGroup) -> None:
    G.x = "rand()"
    first = G.x[:].copy()
    G.x = "rand()"
    assert len(set(first) | set(G.x[:])) == 8


def test_in_place(G: NeuronGroup) -> None:
    G.v = 1 * mV
    G.v += 2 * mV
    G.v *= 2
    G.v[1:3] -= 1 * mV
    G.x[G.v > 5.5 * mV] += 0.5
    G.x["v > 5.5*mV"] += 0.5
    G.k += 3
    G.k //= 2
    assert np.allclose(G.v_, [6e-3, 5e-3, 5e-3, 6e-3]) and list(G.x) == [1, 0, 0, 1] and list(G.k) == [1] * 4
    view = G.v
    view += 1 * mV
    assert np.allclose(G.v_[0], 7e-3)


def test_arithmetic_and_numpy(G: NeuronGroup) -> None:
    G.v, G.x = [1, 2, 3, 4] * mV, [1, 2, 3, 4]
    q, x = G.v[:], G.x[:]
    for result, expected in (
        (G.v + 1 * mV, q + 1 * mV),
        (1 * mV - G.v, 1 * mV - q),
        (G.v * G.x, q * x),
        (G.x * mV, x * mV),
        (2 / G.x, 2 / x),
        (G.x**2, x**2),
        (np.array([1.0, 2, 3, 4]) * G.v, x * q),
        (-G.v, -q),
        (abs(-G.x), x),
        (G.x % 2, x % 2),
        (np.exp(G.v / mV), np.exp(q / mV)),
        (np.mean(G.v), q.mean()),
        (G.v.max(), 4 * mV),
        (np.concatenate([G.v, q]), np.concatenate([q, q])),
        (np.add(q, G.v), q + q),
        (np.where(G.x > 2, G.x, 0), [0, 0, 3, 4]),
        (np.asarray(G.v), [1e-3, 2e-3, 3e-3, 4e-3]),
    ):
        assert np.all(np.asarray(result) == np.asarray(expected)), expected
        assert getattr(result, "dimensions", DIMENSIONLESS) == getattr(expected, "dimensions", DIMENSIONLESS)
    for comparison in (G.v > 2 * mV, G.v >= 3 * mV, 2 * mV < G.v, G.v != q):
        assert comparison.dtype == bool
    assert 3 * mV in G.v and [float(x) for x in G.x] == [1, 2, 3, 4]
    with pytest.raises(DimensionMismatchError):
        G.v + 1
    with pytest.raises(DimensionMismatchError):
        G.v < 1 * ms  # noqa: B015


def test_the_whole_of_a_stored_variable_is_the_objects_array_as_in_brian(G: NeuronGroup) -> None:
    G.v = [1, 2, 3, 4] * mV
    G.v[:][1] = 9 * mV
    values = G.v_[:]
    values[0] = 5
    assert G.v_[:].round(9).tolist() == [5, 0.009, 0.003, 0.004]
    part, copied, gain = G.v[1:3], np.array(G.v), G.gain[:]
    part[:], copied[:], gain[:] = 0 * mV, 0, 0
    assert G.v_[:].round(9).tolist() == [5, 0.009, 0.003, 0.004]
    before = G.state.written["v"]
    G.v + 1 * mV
    assert G.state.written["v"] == before  # nobody got the array


def test_another_axis(G: NeuronGroup) -> None:
    G.v = [1, 2, 3, 4] * mV
    assert G.v[:, None].shape == (4, 1) and G.v[None, :].shape == (1, 4)


def test_zero_infinity_and_nan_fit_any_unit(G: NeuronGroup) -> None:
    G.v = 0
    G.v[1], G.v[2] = np.inf, np.nan
    assert np.array_equal(G.v_, [0, np.inf, np.nan, 0], equal_nan=True)


def test_integers_drop_fractions_as_in_brian(G: NeuronGroup) -> None:
    with catch_logs() as logs:
        G.k = [0.5, 1.9, -1.9, 3]
    assert G.k[:].tolist() == [0, 1, -1, 3] and "fractions of what it was given are dropped" in logs[0][2]
    G.k = "i*0.7"
    assert G.k[:].tolist() == [0, 0, 1, 2]


def test_subexpressions_are_computed_when_read(G: NeuronGroup) -> None:
    G.x = "i"
    assert list(G.gain) == [0, 2, 4, 6] and G.gain[3] == 6 and list(G.gain[1:3]) == [2, 4] and list(G.gain["x > 2"]) == [6]
    with pytest.raises(TypeError, match="'gain' of 'cells' is read-only"):
        G.gain = 3


def test_last_spike_is_in_seconds(G: NeuronGroup) -> None:
    assert np.all(G.lastspike == -1e4 * second) and np.all(G.not_refractory)
    G.lastspike[1] = 5 * ms
    assert G.state["_lastspike_step"][1] == 50 and G.lastspike[1] == 5 * ms and list(G.x["lastspike > 0*second"]) == [0]


WRONG = {
    "G.v = 3": (DimensionMismatchError, "cells.v has the unit volt, but the value is 3 (no unit); write value*volt, or use cells.v_ for plain SI numbers"),
    "G.v = 3*second": (DimensionMismatchError, "cells.v has the unit volt, but the value is 3. second (second)"),
    "G.v = [1, 2]*mV": (ValueError, "cells.v has shape (4,) here, but the value has shape (2,)"),
    "G.v[1:3] = [1, 2, 3]*mV": (ValueError, "cells.v has shape (2,) here, but the value has shape (3,)"),
    "G.v = '3'": (UnitError, "`3` has the unit 1 where volt is needed\n  3\n  ^\nMultiply by the unit, as in `(3)*volt`."),
    "G.v = 'nothing*volt'": (UnknownNameError, "`nothing` is not known"),
    "G.v = None": (TypeError, "cells.v takes numbers, quantities or an expression in a string, not None"),
    "G.x = 1j": (TypeError, "cells.x takes real numbers, quantities or an expression in a string"),
    "G.v += 'rand()'": (TypeError, "a string cannot change 'v' in place; write cells.v = 'v + ...' instead"),
    "G.v['i > 1'] = [1, 2, 3]*mV": (ValueError, "cells.v has shape (2,) here, but the value has shape (3,)"),
    "G.v['i']": (ModelError, "`i` is a number where a condition is needed"),
    "G.v[4]": (IndexError, "index 4 is out of range for 'cells' with 4 elements"),
    "G.v[1.5]": (TypeError, "'cells' is indexed by whole numbers, slices, booleans or a condition in a string, not 1.5"),
    "G.v[np.array([True])]": (IndexError, "a boolean index of 'cells' must have shape (4,), not (1,)"),
    "G.k = 2**31": (ValueError, "cells.k takes whole numbers from -2147483648 to 2147483647, not 2147483648"),
    "G.k = np.nan": (ValueError, "cells.k takes whole numbers from -2147483648 to 2147483647, not nan"),
    "G.flag = 2": (TypeError, "cells.flag is boolean: it takes True, False or a condition, not 2"),
    "G.common[1]": (IndexError, "'common' is shared: it has one value, cells.common[:]"),
    "G.common = 'i*nA'": (EquationError, "`common` is shared, but `i` differs from element to element"),
    "G.i = 3": (TypeError, "'i' of 'cells' is read-only"),
    "G.i[0] = 3": (TypeError, "'i' of 'cells' is read-only"),
    "G.threshold = 'v > 1*mV'": (TypeError, "'threshold' of 'cells' cannot be changed"),
    "G.gian": (AttributeError, "'cells' has no variable or attribute 'gian'; did you mean 'gain'?"),
    "G.tau = 3*ms": (AttributeError, "'cells' has no variable or attribute 'tau'"),
    "np.add(G.x, 1, out=G.x)": (TypeError, "np.add cannot write into cells.x; assign its result"),
    "G.x.sort()": (AttributeError, "cells.x has no attribute 'sort'"),
    "G.when = 3": (ValueError, "when must name a slot of the schedule such as 'start'"),
    "G.order = 'first'": (TypeError, "order must be a whole number, not 'first'"),
}


@pytest.mark.parametrize("code", WRONG)
def test_wrong_use_is_refused_and_changes_nothing(G: NeuronGroup, code: str) -> None:
    before = G.state.snapshot()
    error, text = WRONG[code]
    with pytest.raises(error) as caught:
        exec(code, {"G": G, "np": np, "mV": mV, "second": second, "ms": ms})
    assert str(caught.value).startswith(text)
    assert all(np.array_equal(before[name], values) for name, values in G.state.snapshot().items())


def test_other_attributes_must_be_announced(G: NeuronGroup) -> None:
    G.add_attribute("position")
    G.position = 3
    G.active = False
    assert G.position == 3 and not G.active and "v" in dir(G)
    with pytest.raises(AttributeError, match="has 'v' already"):
        G.add_attribute("v")


def test_get_and_set_states(G: NeuronGroup) -> None:
    G.v, G.x = 1 * mV, "i"
    states = G.get_states(subexpressions=True)
    assert states["v"][0] == 1 * mV and list(states["gain"]) == [0, 2, 4, 6] and list(states["i"]) == [0, 1, 2, 3]
    other = NeuronGroup(4, TEXT)
    other.set_states(G.get_states(["v", "x"], units=False), units=False)
    assert np.all(other.v == G.v[:]) and np.all(other.x == G.x[:])


# -------------------------------------------------------------------------------------------------------------- names, clocks, namespaces, preferences
def test_names_become_free_with_their_object() -> None:
    first, second_ = NeuronGroup(1, name="freed*"), NeuronGroup(1, name="freed*")  # a stem of its own: other tests' groups may still exist
    assert (first.name, second_.name) == ("freed", "freed_1") and live_objects()[-2:] == [first, second_]
    del first
    assert NeuronGroup(1, name="freed*").name == "freed" and NeuronGroup(1).name.startswith("neurongroup")
    with pytest.raises(ValueError, match="'2 cells' cannot be a name"):
        NeuronGroup(1, name="2 cells")


def test_clock() -> None:
    clock = Clock(0.5 * ms)
    clock.timestep = 7
    assert clock.t == 3.5 * ms and clock.dt_ == 5e-4
    clock.dt = 0.25 * ms
    assert clock.timestep == 14 and clock.t == 3.5 * ms
    clock.set_time(1e-3)
    assert clock.timestep == 4 and defaultclock.dt == 0.1 * ms
    for dt, error in ((0 * ms, ValueError), (-1 * ms, ValueError), (np.inf * second, ValueError), (1, DimensionMismatchError), ([1, 2] * ms, TypeError)):
        with pytest.raises(error):
            Clock(dt)
        with pytest.raises(error):
            clock.dt = dt
    with pytest.raises(ValueError, match="is no multiple of the step"):
        clock.set_time(1.1e-3)
    with pytest.raises(ValueError, match="give either dt or clock"):
        NeuronGroup(1, dt=1 * ms, clock=clock)
    assert NeuronGroup(1, clock=clock).clock is clock and NeuronGroup(1, dt=1 * ms).dt == 1 * ms and NeuronGroup(1).clock is defaultclock


def test_externals_come_from_units_then_group_then_caller() -> None:
    found = externals(["tau", "mV", "pi", "on", "q", "missing"], {"tau": 3 * ms}, {"tau": 9, "mV": 5, "on": True, "q": np.float32(2)})
    assert found == {
        "tau": (0.003, UNITS["second"]),
        "mV": (0.001, UNITS["volt"]),
        "pi": (np.pi, DIMENSIONLESS),
        "on": (True, DIMENSIONLESS),
        "q": (2.0, DIMENSIONLESS),
    }
    for value in (np.zeros(3), [1, 2], "text", print, None, 1j, [1, 2] * mV):
        with pytest.raises(TypeError, match="`a` "):
            externals(["a"], None, {"a": value})


def test_a_hidden_variable_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        externals(["nS"], None, {"nS": 12345})
    assert len(caplog.records) == 1 and "`nS` in equations is the built-in constant or unit" in caplog.text


def test_names_are_those_of_the_user_however_deep_the_call() -> None:
    here = "local"
    assert caller_namespace()["here"] == here and caller_namespace()["TEXT"] is TEXT

    def inner() -> object:
        here = "inner"
        return caller_namespace()["here"], caller_namespace(1)["here"], here

    assert inner() == ("inner", "local", "inner")


@pytest.mark.parametrize("name", PREFERENCES)
def test_preferences(name: str) -> None:
    assert name in prefs and prefs[name] == PREFERENCES[name].default
    with pytest.raises(PreferenceError, match="cannot be <object object .*>; it takes"):
        prefs[name] = object()
    assert operator.attrgetter(name)(prefs) == PREFERENCES[name].default


def test_preferences_refuse_what_they_do_not_know() -> None:
    with pytest.raises(PreferenceError, match="there is no preference 'core.thread'; did you mean 'core.threads'"):
        prefs["core.thread"] = 2
    with pytest.raises(PreferenceError, match="did you mean 'codegen.target'"):
        prefs.codegen.traget = "numpy"
    with pytest.raises(AttributeError, match="there is no preference 'cores'"):
        prefs.cores = 2
    prefs.core.threads = 2
    assert prefs["core.threads"] == 2
    prefs.reset_to_defaults()
    assert prefs.core.threads == 1


# ---------------------------------------------------------------------------------------------------------------------------------------- Equations
def test_equations_add_rename_and_insert_values() -> None:
    leak = Equations("dx/dt = -x/tau + x_0  # x stays\nx_0 : volt/second (constant)\n".replace("x_0  #", "x_0 : volt  #"), x="v", tau=10 * ms)
    assert str(leak).splitlines() == ["dv/dt = -v/(0.01*second) + x_0 : volt  # x stays", "x_0 : volt/second (constant)"]
    both = leak + "u = v : volt" + Equations("k : integer")
    assert both.names == {"v", "x_0", "u", "k"} and list(both) == ["v", "x_0", "u", "k"] and len(both) == 4
    assert (both.diff_eq_names, both.subexpr_names, both.parameter_names) == ({"v"}, {"u"}, {"x_0", "k"})
    assert both.dimensions["u"] == UNITS["volt"] and both["u"].type == "subexpression"
    assert ("a : 1" + Equations("b : 1")).names == {"a", "b"}
    assert Equations("x : volt", volt="second").dimensions["x"] == UNITS["volt"], "units are no identifiers to rename"
    assert Equations("a : 1", a="b") == Equations("b : 1") and "\\frac{dv}{dt}" in leak._repr_latex_()


def test_equations_refuse() -> None:
    with pytest.raises(EquationError, match=r"the equation of `v` has no unit"):
        Equations("dv/dt = -v/tau")
    with pytest.raises(ValueError, match="`x` is a variable of the equations and can be renamed, but 'a\\+b' is not a name"):
        Equations("x = y : 1", x="a+b")
    with pytest.raises(EquationError, match="a value is missing"):
        Equations("x = y : 1", y="a+")
    with pytest.raises(TypeError, match="can be replaced by a name or one number"):
        Equations("x = y : 1", y=[1, 2] * amp)
    with pytest.raises(EquationError, match="declared twice"):
        NeuronGroup(1, Equations("a : 1") + "a : 1")
