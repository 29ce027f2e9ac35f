"""Surrogate derivatives: their values, their symmetry and their safety far from threshold."""

import math

import numpy as np
import pytest

from codegen.emit import python
from codegen.errors import Span, UnsupportedError
from codegen.expr import Index, Name, Truth
from codegen.ir import Fire, Let, Load, Map, Store
from codegen.surrogate import (
    SURROGATES,
    ATan,
    Boxcar,
    Exponential,
    Gaussian,
    MultiGaussian,
    Sigmoid,
    SuperSpike,
    Surrogate,
    Triangle,
    TrueGradient,
    derivative,
    margin_of,
)

GRID = np.concatenate([np.linspace(-3, 3, 601), [-1e8, -1e4, 1e4, 1e8]])


def evaluate(expr, u):
    kernel = Map("psi", "", (Load("u", "u", Index.SELF),), (Let("result", expr),), (Store("psi", Index.SELF, "result"),))
    source = python.render(kernel)
    scope: dict = {}
    exec(python.PRELUDE + source.text, scope)
    with np.errstate(all="raise", under="ignore"):
        return np.broadcast_to(scope[source.name](np.asarray(u, dtype=np.float64))[0], np.shape(u))


def value(shape, u):
    return evaluate(shape.shape(Name("u")), u)


@pytest.mark.parametrize("name", SURROGATES)
def test_shapes_are_even_finite_and_positive(name):
    psi = value(SURROGATES[name](), GRID)
    assert np.all(np.isfinite(psi))
    np.testing.assert_array_equal(psi, value(SURROGATES[name](), -GRID))
    assert value(SURROGATES[name](), 0.0) > 0
    assert np.argmax(psi) == np.argmin(np.abs(GRID)) or name == "Boxcar"
    if name != "MultiGaussian":  # whose flanks are negative in the paper too
        assert np.all(psi >= 0)
    assert abs(value(SURROGATES[name](), 1e8)) < 1e-15


@pytest.mark.parametrize(
    ("shape", "u", "expected"),
    [
        (SuperSpike(100.0), 0.02, 1 / 9),
        (SuperSpike(10.0), -0.1, 0.25),
        (Sigmoid(10.0), 0.0, 0.25),
        (Sigmoid(5.0), 0.3, 1 / (1 + math.exp(-1.5)) / (1 + math.exp(1.5))),
        (ATan(2.0), 0.0, 1.0),
        (ATan(2.0), 1 / math.pi, 0.5),
        (Triangle(), 0.25, 0.75),
        (Triangle(), 1.5, 0.0),
        (Gaussian(0.5), 0.0, 0.7978845608028654),
        (Gaussian(0.5), 0.5, 0.7978845608028654 * math.exp(-0.5)),
        (Boxcar(), 0.49, 1.0),
        (Boxcar(), 0.51, 0.0),
        (Exponential(5.0), 0.2, math.exp(-1)),
        (MultiGaussian(), 0.0, 1.15 * 0.7978845608028654 - 0.3 * 0.13298076013381088 * math.exp(-1 / 72)),
    ],
)
def test_values_of_the_papers(shape, u, expected):
    assert value(shape, u) == pytest.approx(expected, rel=1e-14, abs=1e-300)


def test_multi_gaussian_has_negative_flanks():
    assert value(MultiGaussian(), 2.0) < 0


@pytest.mark.parametrize("shape", [Sigmoid(10.0), ATan(2.0), Gaussian(0.5), Boxcar(), Triangle()])
def test_area(shape):
    """With `scale=slope` for Sigmoid, these are derivatives of a step from 0 to 1 (tolerance: the trapezoid rule at jumps, ATan's tails)."""
    u = np.linspace(-400, 400, 1_600_001)
    area = np.sum(value(shape, u)) * (u[1] - u[0])
    assert area * (10 if isinstance(shape, Sigmoid) else 1) == pytest.approx(1, abs=1e-3)


def test_scale_and_width():
    margin = Name("u")
    psi = evaluate(derivative(Surrogate(ATan(), width=2e-3, scale=0.3), margin), 1e-3)
    assert psi == pytest.approx(0.3 / 2e-3 * value(ATan(), 0.5), rel=1e-14)
    given = evaluate(derivative(Surrogate(ATan(), width=2e-3, scale=0.3), margin, Name("u")), 1e-3)
    assert given == pytest.approx(0.3 / 1e-3 * value(ATan(), 1.0), rel=1e-14)
    assert evaluate(derivative(Surrogate(SuperSpike(beta=10)), margin), 0.1) == pytest.approx(0.25)
    assert evaluate(derivative(TrueGradient(), margin), 0.1) == 0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SuperSpike(beta=0), "SuperSpike: beta must be positive, got 0"),
        (lambda: Sigmoid(slope=-1.0), "Sigmoid: slope must be positive, got -1.0"),
        (lambda: ATan(alpha=math.inf), "ATan: alpha must be positive, got inf"),
        (lambda: Gaussian(sigma=math.nan), "Gaussian: sigma must be positive, got nan"),
        (lambda: Exponential(beta=0.0), "Exponential: beta must be positive, got 0.0"),
        (lambda: MultiGaussian(h=-0.1), "MultiGaussian: h must be a number of at least 0, got -0.1"),
        (lambda: Surrogate(ATan(), width=0.0), "Surrogate: width must be positive, got 0.0"),
        (lambda: Surrogate(ATan(), scale=-1.0), "Surrogate: scale must be positive, got -1.0"),
    ],
)
def test_parameters_are_checked(make, text):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == text


def test_threshold_without_a_margin():
    user = "v > 1 and u > 2"
    with pytest.raises(UnsupportedError) as error:
        margin_of(Fire("s", Truth(True, Span(user, 0, len(user)))))
    assert str(error.value) == (
        "a surrogate gradient needs a threshold that is one comparison, such as `v > v_th`\n"
        "  v > 1 and u > 2\n"
        "  ^^^^^^^^^^^^^^^\n"
        "Write the threshold as one comparison, or train with gradient=TrueGradient()."
    )
