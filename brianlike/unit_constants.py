"""Physical constants as quantities: CODATA 2022; those that the SI defines are exact.

>>> gas_constant * (20*kelvin + zero_celsius) / faraday_constant
25.26171... * mV
"""

from __future__ import annotations

from .units import amp, coulomb, farad, joule, kelvin, kilogram, metre, mole

avogadro_constant = 6.02214076e23 / mole
boltzmann_constant = 1.380649e-23 * joule / kelvin
electric_constant = 8.8541878188e-12 * farad / metre
electron_mass = 9.1093837139e-31 * kilogram
elementary_charge = 1.602176634e-19 * coulomb
faraday_constant = avogadro_constant * elementary_charge
gas_constant = avogadro_constant * boltzmann_constant
magnetic_constant = 1.25663706127e-6 * joule / metre / amp**2
molar_mass_constant = 1.00000000105e-3 * kilogram / mole
zero_celsius = 273.15 * kelvin

__all__ = [
    "avogadro_constant",
    "boltzmann_constant",
    "electric_constant",
    "electron_mass",
    "elementary_charge",
    "faraday_constant",
    "gas_constant",
    "magnetic_constant",
    "molar_mass_constant",
    "zero_celsius",
]
