"""Numbers as people read them: 4 significant digits live, fixed prefix, true minus, narrow thousands.

Source: design language of the program, section 6; the choice of kilo for powers and energies is our own design.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from fractions import Fraction

from PySide6.QtCore import QLocale

THIN_SPACE = "\u202f"
MINUS = "\u2212"
NO_BREAK_SPACE = "\u00a0"
MISSING = "\u2013"
"""What was never measured is an en dash, never 0."""

LIVE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class DisplayUnit:
    """How a base unit is shown: the prefix is fixed, never chosen per sample.

    Attributes:
        symbol: As shown, e.g. `kW`.
        divisor: Base units per unit shown.
        max_decimals: Most decimals that mean anything.
    """

    symbol: str
    divisor: int
    max_decimals: int


_DISPLAY_UNITS = {
    "W": DisplayUnit("kW", 1000, 3),
    "var": DisplayUnit("kvar", 1000, 3),
    "VA": DisplayUnit("kVA", 1000, 3),
    "Wh": DisplayUnit("kWh", 1000, 3),
    "varh": DisplayUnit("kvarh", 1000, 3),
    "VAh": DisplayUnit("kVAh", 1000, 3),
    "V": DisplayUnit("V", 1, 2),
    "A": DisplayUnit("A", 1, 3),
    "Hz": DisplayUnit("Hz", 1, 3),
    "%": DisplayUnit("%", 1, 2),
    "°C": DisplayUnit("°C", 1, 1),
    "m³": DisplayUnit("m³", 1, 3),
    "m³/h": DisplayUnit("m³/h", 1, 3),
    "h": DisplayUnit("h", 1, 2),
    "1": DisplayUnit("", 1, 3),
}


def display_unit(base_unit: str) -> DisplayUnit:
    """How a base unit of `domain/quantities.py` is shown."""
    return _DISPLAY_UNITS.get(base_unit, DisplayUnit(base_unit, 1, 3))


def counter_decimals(base_units_per_count: Fraction | None, unit: DisplayUnit) -> int:
    """Decimals that show each count of a meter; 1 when its resolution is not known."""
    if base_units_per_count is None or base_units_per_count <= 0:
        return min(1, unit.max_decimals)
    step = float(base_units_per_count) / unit.divisor
    return min(unit.max_decimals, max(0, math.ceil(-math.log10(step) - 1e-9)))


class NumberFormat:
    """Decimal sign of the language, thousands U+202F in all of them."""

    def __init__(self, locale: QLocale) -> None:
        self._decimal_sign = locale.decimalPoint()
        self.locale = locale

    def fixed(self, number: float | Fraction, decimals: int) -> str:
        """A number with exactly `decimals` decimals."""
        text = f"{float(number):,.{decimals}f}"
        if text.startswith("-"):
            # a rounded zero has no sign
            text = (MINUS if any(digit in text for digit in "123456789") else "") + text[1:]
        return text.replace(",", THIN_SPACE).replace(".", self._decimal_sign)

    def live(self, number: float, max_decimals: int = 3) -> str:
        """A number with 4 significant digits, never more decimals than mean anything."""
        return self.fixed(number, live_decimals(number, max_decimals))

    def with_unit(self, text: str, symbol: str) -> str:
        """A number and its unit, not to be broken over two lines."""
        return f"{text}{NO_BREAK_SPACE}{symbol}" if symbol else text


def live_decimals(number: float, max_decimals: int) -> int:
    """Decimals that leave 4 significant digits."""
    if number == 0 or not math.isfinite(number):
        return min(LIVE_DIGITS - 1, max_decimals)
    return min(max_decimals, max(0, LIVE_DIGITS - 1 - math.floor(math.log10(abs(number)))))


def format_age(age_s: float, numbers: NumberFormat) -> str:
    """1.9 s, 34 s, 2 min, 3 h, 4 d."""
    age_s = max(0.0, age_s)
    if age_s < 9.95:
        return numbers.with_unit(numbers.fixed(age_s, 1), "s")
    if age_s < 59.5:
        return numbers.with_unit(numbers.fixed(age_s, 0), "s")
    if age_s < 3600:
        return numbers.with_unit(numbers.fixed(age_s // 60, 0), "min")
    if age_s < 86_400:
        return numbers.with_unit(numbers.fixed(age_s // 3600, 0), "h")
    return numbers.with_unit(numbers.fixed(age_s // 86_400, 0), "d")


def local_moment(ts_ms: int, zone: tzinfo) -> datetime:
    """A UTC moment in local time of the site."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(zone)


def format_clock(ts_ms: int, zone: tzinfo) -> str:
    """Local hour and minute, 24 h."""
    return local_moment(ts_ms, zone).strftime("%H:%M")
