"""Units as documents print them, and the base units everything is kept in."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

_PREFIXED = ("V", "A", "W", "var", "VA", "Wh", "varh", "VAh", "Hz", "Ah")


def _units() -> dict[str, tuple[str, Fraction]]:
    table: dict[str, tuple[str, Fraction]] = {}
    for base in _PREFIXED:
        for prefix, exponent in (("m", -3), ("", 0), ("k", 3), ("M", 6)):
            table[prefix + base] = (base, Fraction(10) ** exponent)
    table |= {
        "mA": ("A", Fraction(1, 1000)),
        "h": ("h", Fraction(1)),
        "min": ("h", Fraction(1, 60)),
        "s": ("h", Fraction(1, 3600)),
        "m³": ("m³", Fraction(1)),
        "l": ("m³", Fraction(1, 1000)),
        "m³/h": ("m³/h", Fraction(1)),
        "%": ("%", Fraction(1)),
        "°C": ("°C", Fraction(1)),
        "°": ("°", Fraction(1)),
        "1": ("1", Fraction(1)),
        "–": ("–", Fraction(1)),
        "": ("", Fraction(1)),
    }
    return table


BASE_UNITS: Mapping[str, tuple[str, Fraction]] = MappingProxyType(_units())
"""Unit as printed -> (base unit, base units in one of it). `energy_balance` in kWh is 1000 Wh."""


def factor_to(unit: str, base_unit: str) -> Fraction | None:
    """How many `base_unit` one `unit` is, None when they measure different things.

    A plain number ("1" or no unit) fits quantities without a dimension; analogue inputs are kept in mA.
    """
    if unit == base_unit:
        return Fraction(1)
    base, factor = BASE_UNITS.get(unit, (None, Fraction(0)))
    if base is None:
        return None
    if base_unit == "mA":
        return factor * 1000 if base == "A" else None
    dimensionless = ("", "1", "–")
    if base == base_unit or (base in dimensionless and base_unit in dimensionless):
        return factor
    return None
