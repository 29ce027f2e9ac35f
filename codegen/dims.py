"""Physical dimensions, the unit names of equations, and how both are written in messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

Exponent = int | Fraction | float

BASE_UNITS = ("metre", "kilogram", "second", "amp", "kelvin", "mole", "candela")


def _normalise(exponent: Exponent) -> Exponent:
    """The simplest equal number: an int, else a fraction with a small denominator, else the float itself."""
    if type(exponent) is int:
        return exponent
    try:
        fraction = Fraction(exponent)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"the exponent of a dimension must be finite, not {exponent}") from error
    # (1/3)*3 must give 1 again, although no float is a third.
    simple = fraction.limit_denominator(1000)
    if abs(simple - fraction) > Fraction(1, 10**12):
        return float(exponent)
    return simple.numerator if simple.denominator == 1 else simple


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Dimensions:
    """The exponents of metre, kilogram, second, ampere, kelvin, mole and candela, compared by value.

    >>> UNITS["volt"] / UNITS["ohm"] == UNITS["amp"]
    True
    >>> (UNITS["second"] ** -0.5) ** 2 == UNITS["hertz"]
    True
    >>> str(UNITS["farad"] / UNITS["metre"] ** 2)
    'farad/metre**2'
    """

    exponents: tuple[Exponent, ...]
    _hash: int = field(init=False)

    def __post_init__(self) -> None:
        if len(self.exponents) != len(BASE_UNITS):
            raise ValueError(f"dimensions have {len(BASE_UNITS)} exponents, not {len(self.exponents)}")
        exponents = tuple(_normalise(exponent) for exponent in self.exponents)
        object.__setattr__(self, "exponents", exponents)
        object.__setattr__(self, "_hash", hash(exponents))

    @property
    def is_dimensionless(self) -> bool:
        """Whether this is the dimension of a pure number."""
        return self is DIMENSIONLESS or not any(self.exponents)

    def __mul__(self, other: Dimensions) -> Dimensions:
        if not isinstance(other, Dimensions):
            return NotImplemented
        return _product(self, other)

    def __truediv__(self, other: Dimensions) -> Dimensions:
        if not isinstance(other, Dimensions):
            return NotImplemented
        return _quotient(self, other)

    def __pow__(self, exponent: Exponent) -> Dimensions:
        return _power(self, exponent)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Dimensions):
            return NotImplemented
        return self.exponents == other.exponents

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Callable[[tuple[Exponent, ...]], Dimensions], tuple[tuple[Exponent, ...]]]:
        return _interned, (self.exponents,)

    def __repr__(self) -> str:
        names = ("metre", "kilogram", "second", "ampere", "kelvin", "mole", "candela")
        given = ", ".join(f"{name}={exponent!r}" for name, exponent in zip(names, self.exponents, strict=True) if exponent)
        return f"dimensions({given})"

    def __str__(self) -> str:
        return unit_name(self)


@lru_cache(maxsize=4096)
def _interned(exponents: tuple[Exponent, ...]) -> Dimensions:
    # One object for each dimension: then comparing is mostly `is`, and the caches below find their keys at once.
    return Dimensions(exponents)


def _from_exponents(exponents: tuple[Exponent, ...]) -> Dimensions:
    return _interned(tuple(_normalise(exponent) for exponent in exponents))


@lru_cache(maxsize=4096)
def _product(left: Dimensions, right: Dimensions) -> Dimensions:
    return _from_exponents(tuple(a + b for a, b in zip(left.exponents, right.exponents, strict=True)))


@lru_cache(maxsize=4096)
def _quotient(left: Dimensions, right: Dimensions) -> Dimensions:
    return _from_exponents(tuple(a - b for a, b in zip(left.exponents, right.exponents, strict=True)))


@lru_cache(maxsize=4096)
def _power(base: Dimensions, exponent: Exponent) -> Dimensions:
    factor = _normalise(exponent)
    return _from_exponents(tuple(a * factor for a in base.exponents))


def dimensions(
    metre: Exponent = 0,
    kilogram: Exponent = 0,
    second: Exponent = 0,
    ampere: Exponent = 0,
    kelvin: Exponent = 0,
    mole: Exponent = 0,
    candela: Exponent = 0,
) -> Dimensions:
    """The dimensions with these exponents, one shared object for equal ones.

    >>> dimensions(metre=1, second=-2)
    dimensions(metre=1, second=-2)
    """
    return _from_exponents((metre, kilogram, second, ampere, kelvin, mole, candela))


DIMENSIONLESS = dimensions()

_METRE, _KILOGRAM, _SECOND, _AMPERE, _KELVIN, _MOLE, _CANDELA = (_from_exponents(tuple(int(i == j) for j in range(7))) for i in range(7))
_HERTZ = DIMENSIONLESS / _SECOND
_COULOMB = _AMPERE * _SECOND
_NEWTON = _KILOGRAM * _METRE / _SECOND**2
_PASCAL = _NEWTON / _METRE**2
_JOULE = _NEWTON * _METRE
_WATT = _JOULE / _SECOND
_VOLT = _WATT / _AMPERE
_OHM = _VOLT / _AMPERE
_SIEMENS = _AMPERE / _VOLT
_FARAD = _COULOMB / _VOLT
_MOLAR = _MOLE / _METRE**3

# stem: (power of ten that leads to SI, dimensions)
_STEMS: dict[str, tuple[int, Dimensions]] = {
    "amp": (0, _AMPERE),
    "coulomb": (0, _COULOMB),
    "farad": (0, _FARAD),
    "gram": (-3, _KILOGRAM),
    "gramme": (-3, _KILOGRAM),
    "hertz": (0, _HERTZ),
    "joule": (0, _JOULE),
    "liter": (-3, _METRE**3),
    "litre": (-3, _METRE**3),
    "meter": (0, _METRE),
    "metre": (0, _METRE),
    "molar": (3, _MOLAR),
    "mole": (0, _MOLE),
    "ohm": (0, _OHM),
    "pascal": (0, _PASCAL),
    "second": (0, _SECOND),
    "siemens": (0, _SIEMENS),
    "volt": (0, _VOLT),
    "watt": (0, _WATT),
}
_PREFIXES = {"": 0, "p": -12, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12}
_CENTI = -2
# symbol: (stem, the prefixes under which it has a short name). No bare symbol: one-letter names belong to the user's variables.
_SHORT = {
    "Hz": ("hertz", ("", "k", "M")),
    "m": ("metre", ("u", "m")),
    "M": ("molar", ("n", "u", "m")),
    "S": ("siemens", ("n", "u", "m")),
    "V": ("volt", ("m",)),
    "A": ("amp", ("p", "n", "u", "m")),
    "F": ("farad", ("p", "n", "u")),
    "s": ("second", ("u", "m")),
}


def _scale(power: int) -> float:
    # float("1e-6") is the double next to a millionth; 10.0**-6 need not be.
    return float(f"1e{power}")


def _scales() -> dict[str, tuple[float, Dimensions]]:
    scales = {"kelvin": (1.0, _KELVIN), "kilogram": (1.0, _KILOGRAM)}
    for stem, (power, dims) in _STEMS.items():
        scales |= {prefix + stem: (_scale(power + shift), dims) for prefix, shift in _PREFIXES.items()}
    for symbol, (stem, prefixes) in _SHORT.items():
        scales |= {prefix + symbol: scales[prefix + stem] for prefix in prefixes}
    scales |= {name: (_scale(_CENTI), _METRE) for name in ("cmetre", "cmeter", "cm")}
    for name, power in (("um", -6), ("mm", -3), ("cm", _CENTI)):
        scales |= {f"{name}{n}": (_scale(n * power), _METRE**n) for n in (2, 3)}
    return scales


SCALES: dict[str, tuple[float, Dimensions]] = _scales()
"""Every unit name of the language: its value in SI units and its dimensions."""

_RARE: dict[str, Dimensions] = {
    "ampere": _AMPERE,
    "becquerel": _HERTZ,
    "candela": _CANDELA,
    "candle": _CANDELA,
    "gray": (_METRE / _SECOND) ** 2,
    "henry": _OHM * _SECOND,
    "katal": _MOLE / _SECOND,
    "kilogramme": _KILOGRAM,
    "lumen": _CANDELA,
    "lux": _CANDELA / _METRE**2,
    "mol": _MOLE,
    "newton": _NEWTON,
    "radian": DIMENSIONLESS,
    "sievert": (_METRE / _SECOND) ** 2,
    "steradian": DIMENSIONLESS,
    "tesla": _VOLT * _SECOND / _METRE**2,
    "weber": _VOLT * _SECOND,
}


def _units() -> dict[str, Dimensions]:
    plain = {name: dims for name, (scale, dims) in SCALES.items() if scale == 1.0} | _RARE
    powers = {f"{name}{n}": dims**n for name, dims in plain.items() if name not in ("Hz", "mM", "kliter", "klitre") for n in (2, 3)}
    return plain | powers


UNITS: dict[str, Dimensions] = _units()
"""The unit names an equation may use: those worth exactly one SI unit, so that equations need no conversion."""

# In the order of preference, where several texts would say the same.
_NAMED: dict[str, Dimensions] = {
    "second": _SECOND,
    "metre": _METRE,
    "kilogram": _KILOGRAM,
    "amp": _AMPERE,
    "kelvin": _KELVIN,
    "mole": _MOLE,
    "candela": _CANDELA,
    "volt": _VOLT,
    "ohm": _OHM,
    "siemens": _SIEMENS,
    "farad": _FARAD,
    "coulomb": _COULOMB,
    "mmolar": _MOLAR,
    "joule": _JOULE,
    "watt": _WATT,
    "pascal": _PASCAL,
    "newton": _NEWTON,
    "hertz": _HERTZ,
}
_FACTORS: dict[str, Dimensions] = {
    "/second": _HERTZ,
    "/metre**2": _METRE**-2,
    "/metre": _METRE**-1,
    "/metre**3": _METRE**-3,
    "/second**0.5": _SECOND**-0.5,
    "/mole": _MOLE**-1,
    "/kelvin": _KELVIN**-1,
    "/kelvin/mole": (_KELVIN * _MOLE) ** -1,
    "*second": _SECOND,
    "*metre": _METRE,
    "*metre**2": _METRE**2,
    "*second**0.5": _SECOND**0.5,
}
_POWERS: dict[str, Exponent] = {"**2": 2, "**-1": -1, "**-2": -2, "**3": 3, "**0.5": Fraction(1, 2), "**-0.5": Fraction(-1, 2)}


def _factor(name: str, exponent: Exponent) -> str:
    if exponent == 1:
        return name
    # Halves and quarters as decimals; 1/3 has none.
    if isinstance(exponent, Fraction) and exponent != Fraction(repr(float(exponent))):
        return f"{name}**({exponent})"
    return f"{name}**{float(exponent) if isinstance(exponent, Fraction) else exponent}"


@lru_cache(maxsize=1024)
def unit_name(dims: Dimensions) -> str:
    """The shortest usual SI unit of these dimensions, as text that an equation accepts.

    >>> unit_name(UNITS["volt"]), unit_name(DIMENSIONLESS)
    ('volt', '1')
    >>> unit_name(UNITS["metre"] / UNITS["second"] ** 2)
    'metre*second**-2'
    """
    if dims.is_dimensionless:
        return "1"
    for name, named in _NAMED.items():
        if dims == named:
            return name
    base = [(name, exponent) for name, exponent in zip(BASE_UNITS, dims.exponents, strict=True) if exponent]
    if len(base) == 1:
        return _factor(*base[0])
    for factor, by in _FACTORS.items():
        for name, named in _NAMED.items():
            if dims == named * by:
                return name + factor
    for power, exponent in _POWERS.items():
        for name, named in _NAMED.items():
            if dims == named**exponent:
                return name + power
    for over in ("volt", "amp"):
        for name, named in _NAMED.items():
            if dims == named / _NAMED[over]:
                return f"{name}/{over}"
    return "*".join(_factor(name, exponent) for name, exponent in base)
