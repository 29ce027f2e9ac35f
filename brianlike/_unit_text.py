"""How quantities are written: the unit that keeps the numbers short, and the text in plain and LaTeX form."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np

from codegen.dims import SCALES, Dimensions, unit_name

# Names nobody wants to read: second spellings, and scales between the usual thousands.
_NOT_WRITTEN = re.compile(r"gramme$|meter$|lit(er|re)$|^kgram$|^cm$|^cmetre$")
PREFIXES = dict(zip("y z a f p n u m c d da h k M G T P E Z Y".split(), (*range(-24, -2, 3), -2, -1, 1, 2, *range(3, 25, 3)), strict=True))
# Units that users registered, beside those of the language.
REGISTERED: dict[str, tuple[float, Dimensions]] = {}
# A number one rounding error below 1 mV is written as 1 mV, not as 1000 uvolt.
_ROUNDING = 1 - 1e-9


@lru_cache(maxsize=256)
def _written_units(dims: Dimensions) -> tuple[tuple[float, str], ...]:
    """The units of these dimensions, smallest first; of equal ones the shortest name."""
    units = {1.0: unit_name(dims)}
    for name, (scale, of) in (SCALES | REGISTERED).items():
        if of != dims or _NOT_WRITTEN.search(name):
            continue
        known = units.get(scale)
        # Written names can be typed, so `volt` stays long: one-letter names are the user's.
        if known is None or len(name) < len(known):
            units[scale] = name
    return tuple(sorted(units.items()))


def best_unit(numbers: np.ndarray, dims: Dimensions) -> tuple[float, str]:
    """The scale and name of the unit in which the largest finite number lies between 1 and 1000, as far as there is one."""
    units = _written_units(dims)
    sizes = np.abs(numbers[np.isfinite(numbers)])
    largest = float(sizes.max()) if sizes.size else 0.0
    if largest == 0:
        return 1.0, unit_name(dims)
    fitting = [unit for unit in units if unit[0] * _ROUNDING <= largest]
    if fitting:
        return fitting[-1]
    # Far below the smallest prefix, as the charge of an electron, SI is easiest to recognise.
    return units[0] if largest * 1000 >= units[0][0] else (1.0, unit_name(dims))


def register(name: str, scale: float, dims: Dimensions) -> None:
    """Let quantities of these dimensions be written in this unit, too."""
    REGISTERED[name] = (scale, dims)
    _written_units.cache_clear()


def numbers_text(numbers: np.ndarray, precision: int | None = None) -> str:
    """Numbers as numpy prints them."""
    return np.array2string(numbers, precision=precision)


def quantity_text(numbers: np.ndarray, scale: float, name: str, precision: int | None = None) -> str:
    """`10. mV`"""
    text = numbers_text(numbers / scale, precision)
    return text if name == "1" else f"{text} {name}"


def quantity_code(numbers: np.ndarray, scale: float, name: str, precision: int | None = None) -> str:
    """`10. * mV`, or `array([10., 20.]) * mV`: Python that makes the quantity again."""
    scaled = numbers / scale
    text = numbers_text(scaled, precision) if scaled.ndim == 0 else np.array_repr(scaled, precision=precision)
    if name == "1":
        return f"Quantity({text})"
    return f"{text} * {name}"


def unit_latex(name: str) -> str:
    r"""`siemens/metre**2` -> `\mathrm{siemens}/\mathrm{metre}^{2}`"""
    latex = re.sub(r"\*\*\(?(-?[\d./]+)\)?", r"^{\1}", name)
    latex = latex.replace("*", r"\,")
    return re.sub(r"[A-Za-z_]\w*", lambda match: rf"\mathrm{{{match[0]}}}", latex)


def _number_latex(number: Any) -> str:
    return re.sub(r"e([+-])0*(\d+)$", lambda match: rf" \times 10^{{{match[1].strip('+')}{match[2]}}}", f"{number:g}")


def quantity_latex(numbers: np.ndarray, scale: float, name: str) -> str:
    r"""`$10\,\mathrm{mV}$`; long arrays keep their first and last elements."""
    scaled = numbers / scale
    unit = "" if name == "1" else rf"\,{unit_latex(name)}"
    if scaled.ndim == 0:
        return f"${_number_latex(scaled.item())}{unit}$"
    rows = [" & ".join(_number_latex(number) for number in _shortened(np.atleast_1d(row))) for row in _shortened(scaled.reshape(len(scaled), -1))]
    if scaled.ndim == 1:
        rows = [" & ".join(rows)]
    body = r"\\".join(rows)
    return rf"$\left[\begin{{array}}{{{'c' * (body.split(chr(92) * 2)[0].count('&') + 1)}}}{body}\end{{array}}\right]{unit}$"


def _shortened(numbers: np.ndarray) -> list[Any]:
    return list(numbers) if len(numbers) <= 10 else [*numbers[:5], *numbers[-5:]]
