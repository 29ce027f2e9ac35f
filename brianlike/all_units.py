"""Every unit of the SI with a name, with every prefix, and their squares and cubes: `mmetre2`, `khenry`, `dawatt`.

>>> from brianlike.all_units import mhenry, umetre2
>>> 3*mhenry, 5*mmetre2
(0.003 * ohm*second, 5. * mm2)
"""

from __future__ import annotations

from codegen.dims import DIMENSIONLESS, UNITS, Dimensions
from codegen.dims import dimensions as _dimensions

from ._unit_text import PREFIXES
from .units import Unit

_METRE, _SECOND, _CANDELA, _MOLE, _KILOGRAM = UNITS["metre"], UNITS["second"], UNITS["candela"], UNITS["mole"], UNITS["kilogram"]
_VOLUME = _METRE**3

_STEMS: dict[str, tuple[int, Dimensions]] = {
    **{name: (0, UNITS[name]) for name in "metre meter second amp ampere mole hertz newton pascal joule watt coulomb volt farad ohm siemens".split()},
    **{name: (0, UNITS[name]) for name in "weber tesla henry".split()},
    **{name: (-3, _KILOGRAM) for name in ("gram", "gramme")},
    **{name: (-3, _VOLUME) for name in ("liter", "litre")},
    "molar": (3, _MOLE / _VOLUME),
    "mol": (0, _MOLE),
    "candle": (0, _CANDELA),
    "radian": (0, DIMENSIONLESS),
    "steradian": (0, DIMENSIONLESS),
    "lumen": (0, _CANDELA),
    "lux": (0, _CANDELA / _METRE**2),
    "becquerel": (0, DIMENSIONLESS / _SECOND),
    "gray": (0, (_METRE / _SECOND) ** 2),
    "sievert": (0, (_METRE / _SECOND) ** 2),
    "katal": (0, _MOLE / _SECOND),
}
"""Name: the power of ten that leads to SI units, and the dimensions."""


def _units() -> dict[str, Unit]:
    found: dict[str, Unit] = {}
    plain = {"kilogram": _KILOGRAM, "kilogramme": _KILOGRAM, "kelvin": _dimensions(kelvin=1)}
    stems = {prefix + stem: (power + shift, dims) for stem, (power, dims) in _STEMS.items() for prefix, shift in {"": 0, **PREFIXES}.items()}
    for name, (power, dims) in {**stems, **{name: (0, dims) for name, dims in plain.items()}}.items():
        for exponent in (1,) if name.endswith(("liter", "litre")) else (1, 2, 3):
            full = name if exponent == 1 else f"{name}{exponent}"
            found[full] = Unit.create(dims**exponent, full, scale=exponent * power)
    return found


globals().update(_units())
all_units = [globals()[name] for name in sorted(_units())]
__all__ = sorted(_units())
