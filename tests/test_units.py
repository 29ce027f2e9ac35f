"""Units: every rule of `brianlike.units` and `codegen.dims` has its test here."""

from __future__ import annotations

import copy
import doctest
import json
import math
import pickle
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import brianlike._quantity
import brianlike._unit_functions
import brianlike.unit_constants as constants
import brianlike.units as units
import codegen.dims
from brianlike._unit_functions import FUNCTIONS, UFUNCS
from brianlike.units import (
    DimensionMismatchError,
    Mohm,
    Quantity,
    amp,
    asarray_si,
    celsius,
    check_units,
    cm,
    dimensions_of,
    fail_for_dimension_mismatch,
    get_dimensions,
    get_unit,
    have_same_dimensions,
    in_best_unit,
    in_unit,
    is_dimensionless,
    mM,
    ms,
    mV,
    nA,
    nS,
    ohm,
    second,
    siemens,
    uF,
    um,
    uS,
    volt,
)
from codegen.dims import DIMENSIONLESS, SCALES, UNITS, Dimensions, dimensions, unit_name

VOLT, SECOND = UNITS["volt"], UNITS["second"]
STEMS = "amp coulomb farad gram gramme hertz joule liter litre meter metre molar mole ohm pascal second siemens volt watt".split()
SHORT = "Hz MHz cm cm2 cm3 kHz mA mM mS mV mm mm2 mm3 ms nA nF nM nS pA pF uA uF uM uS um um2 um3 us".split()


@pytest.fixture
def voltages() -> Quantity:
    return np.array([1.0, 2.0, 3.0]) * mV


def same(left: object, right: object) -> bool:
    return get_dimensions(left) == get_dimensions(right) and bool(np.allclose(asarray_si(left), asarray_si(right), rtol=1e-12, atol=0))


# --- dimensions -----------------------------------------------------------------------------------------------------------------------------

exponents = st.one_of(st.integers(-4, 4), st.sampled_from([Fraction(1, 2), Fraction(-1, 3), 0.5, 1.5]))
any_dimensions = st.builds(lambda values: dimensions(*values), st.tuples(*[exponents] * 7))


@given(any_dimensions, any_dimensions, any_dimensions)
def test_dimensions_form_a_group(a: Dimensions, b: Dimensions, c: Dimensions) -> None:
    assert a * b == b * a
    assert (a * b) * c == a * (b * c)
    assert a / a == DIMENSIONLESS == a**0
    assert a / b == a * b**-1
    assert hash(a * b / b) == hash(a)


@given(any_dimensions, st.sampled_from([2, 3, -1, 0.5, Fraction(1, 3), 1 / 3]))
def test_dimension_powers_can_be_undone(a: Dimensions, exponent: float) -> None:
    assert (a**exponent) ** (1 / exponent) == a
    assert a**exponent / a == a ** (exponent - 1)


@given(any_dimensions)
def test_dimensions_are_shared_and_survive_copies(a: Dimensions) -> None:
    assert pickle.loads(pickle.dumps(a)) is copy.deepcopy(a)
    assert pickle.loads(pickle.dumps(a)) == a
    assert eval(repr(a), {"dimensions": dimensions, "Fraction": Fraction}) == a


@given(any_dimensions)
def test_unit_name_evaluates_to_its_dimensions(a: Dimensions) -> None:
    # Names are what an equation would accept, so they must mean what they stand for.
    assert unit_name(a) == "1" if a.is_dimensionless else eval(unit_name(a), dict(UNITS)) == a


@pytest.mark.parametrize(
    ("dims", "name"),
    [
        (VOLT, "volt"),
        (DIMENSIONLESS, "1"),
        (VOLT / SECOND, "volt/second"),
        (UNITS["siemens"] / UNITS["metre"] ** 2, "siemens/metre**2"),
        (UNITS["farad"] / UNITS["metre"] ** 2, "farad/metre**2"),
        (UNITS["metre"] / SECOND**2, "metre*second**-2"),
        (SECOND**-0.5, "second**-0.5"),
        (VOLT / SECOND**0.5, "volt/second**0.5"),
        (VOLT * SECOND, "volt*second"),
        (VOLT**-1, "volt**-1"),
        (UNITS["mM"], "mmolar"),
    ],
)
def test_unit_name(dims: Dimensions, name: str) -> None:
    assert unit_name(dims) == str(dims) == name


def test_dimensions_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        VOLT ** float("inf")
    with pytest.raises(ValueError, match="7 exponents"):
        Dimensions((1, 2))
    with pytest.raises(AttributeError):
        VOLT.exponents = ()  # type: ignore[misc]


def test_equation_units_are_worth_one() -> None:
    assert {name for name in UNITS if name in SCALES} == {name for name, (scale, _) in SCALES.items() if scale == 1.0}
    assert "mM" in UNITS and "volt" in UNITS and "mV" not in UNITS and "molar" not in UNITS


# --- names --------------------------------------------------------------------------------------------------------------------------------


def test_there_are_exactly_the_203_names() -> None:
    prefixed = {prefix + stem for stem in STEMS for prefix in ("", *"pnumkMGT")}
    assert set(SCALES) == prefixed | {"cmetre", "cmeter", "kelvin", "kilogram"} | set(SHORT)
    assert len(SCALES) == 203 == len(units.UNIT_NAMES)
    assert set(SCALES) < set(units.__all__)
    assert not any(len(name) == 1 for name in units.__all__)


@pytest.mark.parametrize("name", SCALES)
def test_every_name_is_its_SI_value(name: str) -> None:
    unit = getattr(units, name)
    assert unit.view(np.ndarray).item() == SCALES[name][0]
    assert unit.dimensions == SCALES[name][1] == unit.dim
    assert (unit.shape, unit.dtype, repr(unit), str(unit)) == ((), float, name, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ms", 1e-3), ("uM", 1e-3), ("mM", 1.0), ("molar", 1e3), ("gram", 1e-3), ("kgram", 1.0), ("litre", 1e-3), ("um2", 1e-12), ("cm3", 1e-6), ("TMolar", None)],
)
def test_scales(name: str, expected: float | None) -> None:
    assert SCALES.get(name, (None,))[0] == expected


def test_units_cannot_be_changed() -> None:
    unit = mV
    unit += 1 * mV
    assert same(unit, 2 * mV) and mV.view(np.ndarray) == 0.001
    with pytest.raises(ValueError, match="read-only"):
        mV[...] = 2 * mV


def test_celsius_says_what_to_write() -> None:
    for operation in (lambda: 20 * celsius, lambda: celsius * 20, lambda: np.ones(2) * celsius):
        with pytest.raises(TypeError, match="20\\*kelvin \\+ zero_celsius"):
            operation()


def test_constants() -> None:
    assert len(constants.__all__) == 10
    assert same(constants.faraday_constant, 96485.33212331001 * units.coulomb / units.mole)
    assert same(constants.gas_constant, 8.31446261815324 * units.joule / units.kelvin / units.mole)
    # c = 1/sqrt(eps0*mu0)
    assert same(np.round((constants.electric_constant * constants.magnetic_constant) ** -0.5 / (units.metre / second)), 299792458.0)
    assert (constants.gas_constant * (20 * units.kelvin + constants.zero_celsius) / constants.faraday_constant).in_best_unit(2) == "25.26 mV"


# --- arithmetic ----------------------------------------------------------------------------------------------------------------------------


def test_dimensionless_results_are_plain() -> None:
    assert type(10 * ms / ms) is float
    assert type(np.arange(3) * ms / ms) is np.ndarray
    assert volt / mV == 1000.0
    assert type((np.arange(3) * mV).argmax()) in (int, np.int64)


def test_integers_become_floats() -> None:
    times = [1, 2] * ms
    times[0] = 0.5 * ms
    assert same(times, np.array([0.0005, 0.002]) * second)


def test_products_powers_and_roots() -> None:
    assert same(0.1 * nA * 100 * Mohm, 10 * mV)
    assert same((2 * mV) ** 2, 4e-6 * volt**2)
    assert same(np.sqrt(4 * volt**2), 2 * volt)
    assert same((8 * volt**3) ** (1 / 3), 2 * volt)
    assert same(1 / ms, 1000 * units.Hz)
    assert same(-(3 * mV), -3 * mV) and same(abs(-3 * mV), 3 * mV)
    assert same([1, 2] * mV @ ([1, 2] * nA), 5e-12 * units.watt)
    assert 10 * ms // (3 * ms) == 3.0 and same(10 * ms % (3 * ms), 1 * ms)
    assert divmod(10 * ms, 3 * ms)[0] == 3.0


@given(st.floats(-1e6, 1e6), st.floats(0.001, 1e6), st.sampled_from(sorted(SCALES)), st.sampled_from(sorted(SCALES)))
def test_arithmetic_follows_numbers_and_dimensions(x: float, y: float, left: str, right: str) -> None:
    a, b = x * getattr(units, left), y * getattr(units, right)
    si_a, si_b = x * SCALES[left][0], y * SCALES[right][0]
    for result, expected, dims in ((a * b, si_a * si_b, a.dim * b.dim), (a / b, si_a / si_b, a.dim / b.dim)):
        assert asarray_si(result) == expected
        assert get_dimensions(result) == dims
        assert isinstance(result, float) == dims.is_dimensionless
    if a.dim == b.dim:
        assert asarray_si(a + b) == si_a + si_b
        assert (a < b) == (si_a < si_b)
    elif x:
        with pytest.raises(DimensionMismatchError):
            a + b
        with pytest.raises(DimensionMismatchError):
            a < b  # noqa: B015


@pytest.mark.parametrize("operation", [f"a {symbol} b" for symbol in "+ - == != < <= > >= %".split()] + ["np.maximum(a, b)", "np.hypot(a, b)"])
@pytest.mark.parametrize("other", [1 * ms, 1.0, [1.0, 2.0], np.array([3.0])])
def test_other_dimensions_are_refused(operation: str, other: object) -> None:
    for a, b in ((10 * mV, other), (other, 10 * mV)):
        if not (isinstance(a, list) and operation == "a % b"):
            with pytest.raises(DimensionMismatchError):
                eval(operation, {"a": a, "b": b, "np": np})


@pytest.mark.parametrize("number", [0, 0.0, math.inf, -math.inf, math.nan, np.zeros(3), [0, math.inf]])
def test_zero_and_infinity_fit_any_unit(number: object) -> None:
    assert (10 * mV + number).dim == VOLT == (number + 10 * mV).dim
    10 * mV < number  # noqa: B015
    assert fail_for_dimension_mismatch(1 * mV, number) == (VOLT, DIMENSIONLESS)
    with pytest.raises(DimensionMismatchError):
        10 * mV + number * second


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda: 10 * mV + 1 * ms, "`+`: 10. mV (volt) and 1. ms (second) have different units"),
        (lambda: 1 + 10 * mV, "`+`: 1 (no unit) and 10. mV (volt) have different units"),
        (lambda: 10 * mV < 1, "`<`: 10. mV (volt) and 1 (no unit) have different units"),
        (lambda: 10 * mV == 10 * ms, "`==`: 10. mV (volt) and 10. ms (second) have different units"),
        (lambda: np.exp(10 * mV), "np.exp needs a number without unit, not 10. mV (volt); divide it by a unit first"),
        (lambda: 2 ** (1 * mV), "the exponent of `**` needs a number without unit, not 1. mV (volt); divide it by a unit first"),
        (lambda: np.maximum(1 * mV, 1 * nS), "np.maximum: 1. mV (volt) and 1. nS (siemens) have different units"),
    ],
)
def test_messages_name_both_operands(operation: object, message: str) -> None:
    with pytest.raises(DimensionMismatchError) as caught:
        operation()  # type: ignore[operator]
    assert str(caught.value) == message
    assert str(pickle.loads(pickle.dumps(caught.value))) == message


@pytest.mark.parametrize("name", "exp expm1 log log10 log1p log2 sin cos tan sinh cosh tanh arcsin arccos arctan".split())
def test_transcendental_functions_take_pure_numbers(name: str) -> None:
    with pytest.raises(DimensionMismatchError, match=f"np.{name} needs a number without unit"):
        getattr(np, name)(0.5 * mV)
    assert getattr(np, name)(0.5 * mV / volt) == getattr(np, name)(0.0005)


def test_array_exponents_and_units_are_refused() -> None:
    with pytest.raises(TypeError, match="array of exponents"):
        mV ** np.array([1, 2])


def test_quantities_compare_unequal_to_other_things() -> None:
    assert not mV == None and mV != None and not mV == "mV" and mV != object()  # noqa: E711


# --- changing ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2.0, 2 * ms, [1.0, 2.0, 3.0], "0"])
def test_assignment_refuses_other_units(voltages: Quantity, value: object) -> None:
    changes = (lambda: voltages.__setitem__(slice(None), value), lambda: voltages.fill(value), lambda: voltages.put([0], value))
    for change in changes:
        with pytest.raises(DimensionMismatchError):
            change()
    with pytest.raises(DimensionMismatchError):
        voltages.flat = value
    assert same(voltages, [1, 2, 3] * mV)


def test_assignment_takes_the_same_unit_and_zero(voltages: Quantity) -> None:
    voltages[0], voltages[1:] = 0, [5 * mV, 7 * mV]
    assert same(voltages, [0, 5, 7] * mV)
    voltages.fill(1 * mV)
    assert same(voltages, [1, 1, 1] * mV)


def test_in_place_operators(voltages: Quantity) -> None:
    alias = voltages
    voltages += 1 * mV
    voltages *= 2
    assert alias is voltages and same(alias, [4, 6, 8] * mV)
    squares = voltages
    squares *= mV
    assert same(squares, [0.004, 0.006, 0.008] * (volt * mV)) and same(alias, [4, 6, 8] * mV)  # nobody else's quantity changes its unit
    with pytest.raises(DimensionMismatchError, match="in place would turn an array in volt into volt\\*\\*2: give the result a new name"):
        np.multiply(alias, mV, out=alias)
    plain = np.ones(3)
    scaled = plain
    scaled *= mV
    assert same(scaled, np.ones(3) * mV) and np.shares_memory(scaled, plain)
    plain = np.zeros(3)
    with pytest.raises(DimensionMismatchError, match="array in plain numbers into volt"):
        plain += mV
    single = 2 * mV
    single *= nS
    assert single.dim == UNITS["amp"]
    np.add.at(alias, [0, 0], 1 * mV)
    assert same(alias, [6, 6, 8] * mV)
    with pytest.raises(DimensionMismatchError):
        np.add.at(alias, [0], 1.0)


def test_quantity_shares_floats() -> None:
    numbers = np.zeros(3)
    Quantity(numbers, VOLT)[1] = 2 * volt
    assert numbers[1] == 2.0
    Quantity(numbers, VOLT, copy=True)[1] = 3 * volt
    assert numbers[1] == 2.0


# --- leaving -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", [round, math.floor, range, json.dumps, lambda q: q.astype(int)])
def test_leaving_with_a_unit_is_refused(leave: object) -> None:
    with pytest.raises(TypeError):
        leave(10 * mV)  # type: ignore[operator]


def test_numbers_in_si_units_may_leave_as_in_brian() -> None:
    assert float(10 * mV) == 0.01 and int(5 * volt) == 5 and complex(2 * mV) == 0.002 and np.array([10 * mV, 20 * mV]).tolist() == [0.01, 0.02]


def test_pure_numbers_may_leave() -> None:
    assert float(Quantity(3)) == 3.0 and int(Quantity(3)) == 3 and round(Quantity(3.2)) == 3


def test_sympy_is_refused() -> None:
    sympy = pytest.importorskip("sympy")
    x = sympy.Symbol("x")
    for operation in (lambda: x * mV, lambda: mV * x, lambda: x + mV, lambda: x.subs(x, 10 * mV), lambda: sympy.sympify(mV), lambda: x**mV):
        with pytest.raises(TypeError):
            operation()


def test_arrays_hand_over_SI_numbers() -> None:
    assert type(np.asarray(10 * mV)) is np.ndarray and np.asarray(10 * mV) == 0.01
    assert list(asarray_si([1 * ms, 2 * ms])) == [0.001, 0.002]
    assert asarray_si([1, 2]).dtype == float


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy, lambda q: pickle.loads(pickle.dumps(q)), lambda q: q.copy()])
@pytest.mark.parametrize("quantity", [3 * mV, np.arange(6.0).reshape(2, 3) * nS, mV])
def test_copies(copier: object, quantity: Quantity) -> None:
    made = copier(quantity)  # type: ignore[operator]
    assert isinstance(made, Quantity) and same(made, quantity)
    assert not np.shares_memory(asarray_si(made), asarray_si(quantity))


def test_elements_keep_their_unit(voltages: Quantity) -> None:
    assert same(voltages[1], 2 * mV) and same(voltages[1:], [2, 3] * mV)
    assert [same(v, (i + 1) * mV) for i, v in enumerate(voltages)] == [True] * 3
    assert same(voltages.tolist()[2], 3 * mV) and same(voltages.item(0), 1 * mV) and same(voltages.flat[1], 2 * mV)
    assert 2 * mV in voltages
    with pytest.raises(TypeError):
        iter(mV)


# --- numpy's functions --------------------------------------------------------------------------------------------------------------------

X = np.array([1.0, 3.0, 2.0])
Y = np.array([2.0, 5.0, 7.0])
KEPT = """mean(q) sum(q) std(q) median(q) max(q) min(q) ptp(q) cumsum(q) sort(q) diff(q) clip(q,q[0],q[2]) concatenate([q,q]) stack([q,q])
     hstack([q,q]) vstack([q,q]) where([True,False,True],q,q[0]) linspace(q[0],q[1],5) append(q,q) insert(q,1,q[0]) repeat(q,2) tile(q,2)
     roll(q,1) flip(q) reshape(q,(3,1)) unique(q) percentile(q,30) quantile(q,0.3) average(q,weights=[1,2,3]) nanmean(q) nanmax(q) nansum(q)
     take(q,[0,2]) take(q,1) delete(q,0) diag(q) trace(diag(q)) atleast_2d(q) expand_dims(q,0) squeeze(q) ravel(q) transpose(q)
     broadcast_to(q,(2,3)) intersect1d(q,q) union1d(q,q) ediff1d(q) pad(q,1) nan_to_num(q) zeros_like(q) full_like(q,q[0]) interp(1.5,[0,1,2],q)
     choose([0,1,2],q) compress([True,False,True],q) select([[True,False,True]],[q]) bincount([0,1,1],weights=q) histogram_bin_edges(q,4)
     linalg.norm(q) tril(diag(q)) block([q,q]) outer(q,[1,2]) dot(q,[1,2,3]) trapezoid(q) gradient(q) cross(q,[1,2,3]) real(q) copy(q)
     moveaxis(diag(q),0,1) geomspace(q[0],q[1],3)""".split()


@pytest.mark.parametrize("call", KEPT)
def test_functions_that_keep_the_unit(call: str) -> None:
    if call.split("(")[0] == "trapezoid" and not hasattr(np, "trapezoid"):
        pytest.skip("this numpy calls it trapz")
    names = {name: getattr(np, name) for name in dir(np) if not name.startswith("_") and name not in {"in1d", "trapz"}}
    result = eval(call, names | {"q": X * volt})
    assert type(result) is Quantity and result.dim == VOLT
    np.testing.assert_array_equal(result.view(np.ndarray), eval(call, names | {"q": X}))


@pytest.mark.parametrize(
    ("method", "dims"),
    [(name, VOLT) for name in "sum mean std min max cumsum ravel copy flatten squeeze transpose conj".split()]
    + [("var", VOLT**2), ("prod", VOLT**3), ("argmax", DIMENSIONLESS), ("argsort", DIMENSIONLESS)],
)
def test_methods(method: str, dims: Dimensions) -> None:
    result = getattr(X * volt, method)()
    assert get_dimensions(result) == dims and isinstance(result, Quantity) != dims.is_dimensionless
    np.testing.assert_allclose(asarray_si(result), getattr(X, method)())


def test_functions_with_their_own_units() -> None:
    q, t = X * volt, Y * second
    assert np.var(q).dim == VOLT**2
    assert np.prod(np.stack([q, q]), axis=0).dim == VOLT**2 == np.multiply.reduce(np.stack([q, q])).dim
    assert np.gradient(q, t).dim == VOLT / SECOND
    assert np.trapz(q, t).dim == VOLT * SECOND if not hasattr(np, "trapezoid") else np.trapezoid(q, t).dim == VOLT * SECOND
    assert np.interp(1 * ms, t, q).dim == VOLT
    counts, edges = np.histogram(q, bins=3, range=(0 * volt, 3 * volt))
    assert type(counts) is np.ndarray and edges.dim == VOLT
    assert np.histogram(q, 3, density=True)[0].dim == VOLT**-1
    assert [part.dim for part in np.meshgrid(q, t)] == [VOLT, SECOND]
    assert np.einsum("i,i", q, t).dim == VOLT * SECOND
    assert type(np.unique(q, return_counts=True)[1]) is np.ndarray
    assert np.searchsorted(np.sort(q), 2 * volt) == 1
    assert np.arctan2(1 * mV, 1 * mV) == math.atan2(1, 1)
    assert np.isfinite(q).all() and np.sign(-3 * mV) == -1
    assert [part.dim for part in np.split(q, 3)] == [VOLT] * 3
    assert np.add.outer(q, q).dim == VOLT


def test_closeness_has_no_hidden_SI_tolerance() -> None:
    assert not np.allclose(1 * nA, 9 * nA)
    assert np.allclose(1 * nA, 1.5 * nA, atol=1 * nA)
    with pytest.raises(DimensionMismatchError):
        np.isclose(1 * nA, 1 * mV)


@pytest.mark.parametrize(
    "call",
    [
        lambda q: np.concatenate([q, np.ones(2)]),
        lambda q: np.where([True, False, True], q, 1.0),
        lambda q: np.clip(q, 0 * second, 1 * second),
        lambda q: np.copyto(np.zeros(3), q),
        lambda q: np.linspace(q[0], 5, 3),
        lambda q: np.full_like(q, 3.0),
        lambda q: np.sum(q, initial=1.0),
        lambda q: np.percentile(q, 3 * volt),
        lambda q: np.append(q, [1.0]),
        lambda q: np.put(q, [0], [1.0]),
        lambda q: np.maximum.reduce(q, initial=1.0),
        lambda q: np.multiply.accumulate(q),
        lambda q: Quantity([1 * mV, 1 * ms]),
        lambda q: Quantity(q, SECOND),
    ],
)
def test_functions_refuse_mixed_units(call: object) -> None:
    with pytest.raises(DimensionMismatchError):
        call(X * volt)  # type: ignore[operator]


@pytest.mark.parametrize("name", "cumprod apply_along_axis piecewise sinc unwrap vander".split())
def test_functions_without_a_row_are_refused(name: str) -> None:
    function = getattr(np, name)
    with pytest.raises(TypeError, match="is not defined for quantities; divide by a unit first"):
        match name:
            case "apply_along_axis":
                function(np.sum, 0, X * volt)
            case "piecewise":
                function(X * volt, [X > 1], [1])
            case _:
                function(X * volt)


def test_out_is_refused_by_functions() -> None:
    with pytest.raises(TypeError, match="takes no `out`"):
        np.sum(X * volt, out=np.zeros(()))


def test_objects_and_text_are_refused() -> None:
    for other in (np.array(["a"]), np.array([object()]), "a", None):
        with pytest.raises(TypeError):
            mV * other  # type: ignore[operator]


def test_things_with_dimensions_take_part() -> None:
    class View:
        dimensions = VOLT

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            return np.array([1.0, 2.0])

    assert same(2 * mV + View(), [1.002, 2.002] * volt)  # type: ignore[operator]
    assert dimensions_of(View()) == VOLT and list(asarray_si(View())) == [1.0, 2.0]


def test_handled_functions_are_these() -> None:
    """A snapshot: whoever adds or loses a function sees it here. Names depend on numpy's version only where listed."""
    names = {function.__name__ for function in FUNCTIONS}
    optional = set("in1d trapz trapezoid unstack matrix_transpose amax amin max min permute_dims vecdot vector_norm matrix_norm matmul".split())
    expected = """all allclose any append argmax argmin argpartition argsort argwhere around array2string array_equal array_equiv array_repr array_split
     array_str atleast_1d atleast_2d atleast_3d average bincount block broadcast_arrays broadcast_to can_cast choose clip column_stack
     common_type compress concatenate convolve copy copyto corrcoef correlate count_nonzero cov cross cumsum delete det diag diagflat
     diagonal diff digitize dot dsplit dstack ediff1d eig eigh eigvals eigvalsh einsum empty_like expand_dims extract fft fft2 fftn fftshift
     fill_diagonal fix flatnonzero flip fliplr flipud full_like geomspace gradient hfft histogram histogram_bin_edges hsplit hstack ifft
     ifft2 ifftn ifftshift ihfft imag inner insert interp intersect1d inv irfft isclose iscomplex iscomplexobj isin isneginf isposinf isreal
     isrealobj kron lexsort linspace may_share_memory mean median meshgrid min_scalar_type moveaxis nan_to_num nanargmax nanargmin nancumsum
     nanmax nanmean nanmedian nanmin nanpercentile nanquantile nanstd nansum nanvar ndim nonzero norm ones_like outer pad partition
     percentile pinv place polyfit prod ptp put put_along_axis putmask quantile ravel real real_if_close repeat reshape resize result_type
     rfft rfft2 rfftn roll rollaxis rot90 round save savetxt savez savez_compressed searchsorted select setdiff1d setxor1d shape
     shares_memory size sliding_window_view solve sort split squeeze stack std sum swapaxes take take_along_axis tensordot tile trace
     transpose tril trim_zeros triu union1d unique var vdot vsplit vstack where zeros_like""".split()
    assert names - optional == set(expected)
    assert len(FUNCTIONS) > 150 and len(UFUNCS) > 35


# --- text --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "text", "code"),
    [
        (10 * mV, "10. mV", "10. * mV"),
        (3e-9 * siemens, "3. nS", "3. * nS"),
        (1000 * um, "1. mm", "1. * mm"),
        (5 * volt, "5. volt", "5. * volt"),
        (0 * mV, "0. volt", "0. * volt"),
        ([1, 20] * mV, "[ 1. 20.] mV", "array([ 1., 20.]) * mV"),
        (100 * um**2, "100. um2", "100. * um2"),
        (10 * units.msiemens / cm**2, "100. siemens/metre**2", "100. * siemens/metre**2"),
        (2 * mM, "2. mM", "2. * mM"),
        (math.inf * mV, "inf volt", "inf * volt"),
        (uS / cm**2, "uS/cm**2", "uS/cm**2"),
        (1.6e-19 * units.coulomb, "1.6e-19 coulomb", "1.6e-19 * coulomb"),
        (Quantity(2), "2.", "Quantity(2.)"),
    ],
)
def test_text(quantity: Quantity, text: str, code: str) -> None:
    assert (str(quantity), repr(quantity)) == (text, code)
    again = eval(code, vars(units) | {"array": np.array, "inf": math.inf})
    assert same(again, quantity)


def test_text_in_a_unit() -> None:
    assert in_unit(3 * volt, mV) == (3 * volt).in_unit(mV) == "3000. mV"
    assert (10 * mV).in_unit(mV, python_code=True) == "10. * mV"
    assert (30 * siemens / units.metre**2).in_unit(units.msiemens / cm**2) == "3. msiemens/cm**2"
    assert (1.23456 * mV).in_best_unit(2) == in_best_unit(1.23456 * mV, 2) == "1.23 mV"
    assert f"{10 * mV:.2f}" == f"{Quantity(0.01):.2f}" == "0.01" and f"{10 * mV}" == "10. mV"
    assert repr((10 * mV).get_best_unit()) == "mV"
    assert in_best_unit(5) == "5."
    with pytest.raises(DimensionMismatchError):
        in_unit(3 * volt, ms)


def test_latex() -> None:
    assert (10 * mV)._repr_latex_() == r"$10\,\mathrm{mV}$"
    assert mV._repr_latex_() == r"$\mathrm{mV}$"
    assert (uF / cm**2)._repr_latex_() == r"$\mathrm{uF}/\mathrm{cm}^{2}$"
    assert ([1, 2] * mV)._repr_latex_() == r"$\left[\begin{array}{cc}1 & 2\end{array}\right]\,\mathrm{mV}$"
    assert "1e" not in (np.array([1e-20, 1.0]) * volt)._repr_latex_()


# --- functions of quantities ----------------------------------------------------------------------------------------------------------------


def test_dimension_functions() -> None:
    assert get_dimensions(3) is DIMENSIONLESS and get_dimensions([1 * mV, 2 * mV]) == VOLT == get_dimensions(VOLT)
    assert is_dimensionless(3) and not is_dimensionless(mV) and (3 * mV).has_same_dimensions(volt)
    assert have_same_dimensions(1 * mV, nA * Mohm) and not have_same_dimensions(mV, 1)
    assert repr(get_unit(3 * mV)) == "volt"
    assert same(Quantity.with_dimensions(2, VOLT), 2 * volt) and same(Quantity.with_dimensions(2, metre=1), 2 * units.metre)
    with pytest.raises(TypeError, match="has no dimensions"):
        get_dimensions("volt")
    with pytest.raises(DimensionMismatchError):
        fail_for_dimension_mismatch(1 * mV, 1)


def test_arange() -> None:
    assert same(units.arange(0 * ms, 3 * ms, 1 * ms), [0, 1, 2] * ms)
    assert list(units.arange(3)) == [0, 1, 2]
    with pytest.raises(DimensionMismatchError, match="needs a step in second"):
        units.arange(3 * ms)


def test_check_units(caplog: pytest.LogCaptureFixture) -> None:
    @check_units(I=amp, R=ohm, scale=1, same="I", flag=bool, anything=None, result=volt)
    def voltage(I, R, scale=1, same=None, flag=False, anything=None):  # noqa: E741
        return 0.5 if flag else I * R * scale

    assert same(voltage(1 * nA, R=10 * Mohm), 10 * mV)
    assert voltage(0 * nA, 10 * Mohm) == 0 and voltage._arg_names[:2] == ["I", "R"] and voltage._return_unit is volt
    with pytest.raises(DimensionMismatchError, match="argument 'I' of voltage\\(\\) must be in amp, not 1. mV \\(volt\\)"):
        voltage(1 * mV, 1 * ohm)
    with pytest.raises(DimensionMismatchError, match="argument 'scale' of voltage\\(\\) must be a number without unit, not 1. mV"):
        voltage(1 * nA, 1 * ohm, 1 * mV)
    with pytest.raises(DimensionMismatchError, match="argument 'same'"):
        voltage(1 * nA, 1 * ohm, same=1 * mV)
    with pytest.raises(TypeError, match="must be True or False"):
        voltage(1 * nA, 1 * ohm, flag=3)
    with pytest.raises(DimensionMismatchError, match="voltage\\(\\) must return volt, not 0.5 \\(no unit\\)"):
        voltage(1 * nA, 1 * ohm, flag=True)
    with caplog.at_level("WARNING", logger="brianlike"):
        check_units(J=amp)(lambda I: I)  # noqa: E741
    assert "no argument 'J'" in caplog.text


def test_check_units_computes_the_result_unit() -> None:
    @check_units(result=lambda x: x**2)
    def square(x):
        return x * x

    assert same(square(2 * mV), 4e-6 * volt**2)


# --- the module ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [codegen.dims, units, constants, brianlike._quantity])
def test_examples_run(module: object) -> None:
    names = vars(units) | vars(constants) | vars(module)
    outcome = doctest.testmod(module, extraglobs=names, optionflags=doctest.ELLIPSIS)  # type: ignore[arg-type]
    assert outcome.attempted and not outcome.failed


def test_import_is_light() -> None:
    code = "import sys, brianlike.units; print(sorted({'sympy', 'scipy', 'matplotlib', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_ranges_and_histograms_with_a_unit_for_each_axis() -> None:
    assert np.all(range(3) * ms == [0, 1, 2] * ms) and np.all(ms * range(3) == [0, 1, 2] * ms)
    counts, times, neurons = np.histogram2d([0.5, 1.5, 1.6] * ms, [0, 1, 1], bins=[[0, 1, 2] * ms, range(3)])
    assert counts.tolist() == [[1, 0], [0, 2]] and np.all(times == [0, 1, 2] * ms) and neurons.tolist() == [0, 1, 2]
    with pytest.raises(DimensionMismatchError, match="bins of np.histogram2d"):
        np.histogram2d([0.5, 1.5] * ms, [0, 1], bins=[[0, 1, 2] * mV, range(3)])
