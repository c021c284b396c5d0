"""Words of page Trends: names of curves and axes, gaps, periods."""

from __future__ import annotations

from datetime import tzinfo

from PySide6.QtCore import QCoreApplication, QLocale

from emdx_desktop.domain.history import MINUTE_MS
from emdx_desktop.domain.periods import Period, local_time
from emdx_desktop.domain.quantities import QUANTITIES
from emdx_desktop.ui.number_format import NumberFormat, display_unit
from emdx_desktop.ui.time_ticks import day_text
from emdx_desktop.ui.trend_loading import Step, Trend, TrendCurve
from emdx_desktop.ui.wording import gap_word, quantity_name

translate = QCoreApplication.translate


def curve_quantity(curve: TrendCurve) -> str:
    """Name and symbol, with the step for energies."""
    definition = QUANTITIES[curve.key.quantity]
    name = f"{quantity_name(definition)} {definition.symbol}"
    return translate("Trends", "{0} per {1}").format(name, step_word(curve.step)) if curve.is_energy else name


def step_word(step: Step) -> str:
    """A step in words."""
    return {
        Step.MINUTE: translate("Trends", "minute"),
        Step.FIVE_MINUTES: translate("Trends", "5 min"),
        Step.HOUR: translate("Trends", "hour"),
        Step.DAY: translate("Trends", "day"),
        Step.MONTH: translate("Trends", "month"),
    }[step]


def axis_title(curve: TrendCurve) -> str:
    """Quantity and unit above a pane."""
    base = QUANTITIES[curve.key.quantity].unit
    name = {
        "W": translate("Trends", "Active power"),
        "var": translate("Trends", "Reactive power"),
        "VA": translate("Trends", "Apparent power"),
        "V": translate("Trends", "Voltage"),
        "A": translate("Trends", "Current"),
        "Hz": translate("Trends", "Frequency"),
        "%": translate("Trends", "Share"),
        "°C": translate("Trends", "Temperature"),
        "1": translate("Trends", "Power factor"),
        "Wh": translate("Trends", "Active energy"),
        "varh": translate("Trends", "Reactive energy"),
        "VAh": translate("Trends", "Apparent energy"),
        "m³": translate("Trends", "Volume"),
        "m³/h": translate("Trends", "Flow"),
        "h": translate("Trends", "Time"),
        "mA": translate("Trends", "Analogue input"),
    }.get(base, translate("Trends", "Value"))
    if curve.is_energy:
        name = translate("Trends", "{0} per {1}").format(
            translate("Trends", "Pulses") if base == "1" else name, step_word(curve.step)
        )
    symbol = display_unit(base).symbol
    return f"{name}, {symbol}" if symbol else name


def gap_text(device: str, numbers: NumberFormat, start_ms: int, end_ms: int, quality: int) -> str:
    """Whose gap, why and how long."""
    minutes = round((end_ms - start_ms) / MINUTE_MS)
    if minutes < 120:
        length = numbers.with_unit(str(minutes), "min")
    elif minutes < 2880:
        length = numbers.with_unit(str(round(minutes / 60)), "h")
    else:
        length = translate("Trends", "{0} days").format(round(minutes / 1440))
    return f"{device}: {gap_word(quality)}, {length}"


def note_text(trend: Trend) -> str:
    """What lines, tints and hatches mean in this trend."""
    if not trend.curves:
        return ""
    instants = [curve for curve in trend.curves if not curve.is_energy]
    parts = []
    if any(curve.step is Step.MINUTE for curve in instants):
        parts.append(translate("Trends", "Lines: means from minutes; tint: lowest to highest minute."))
    for step in (Step.HOUR, Step.DAY):
        if any(curve.step is step for curve in instants):
            word = {Step.HOUR: translate("Trends", "hours"), Step.DAY: translate("Trends", "days")}[step]
            parts.append(
                translate("Trends", "Lines: means from {0}; tint: lowest to highest of every reading.").format(word)
            )
    if len(instants) < len(trend.curves):
        parts.append(translate("Trends", "Steps: differences of the index."))
    parts.append(translate("Trends", "Hatched: no data."))
    return " ".join(parts)


def period_text(period: Period, zone: tzinfo, locale: QLocale) -> str:
    """A period as a person says it: a day, a month, a year, or from when to when."""
    start, end = local_time(period.start_ms, zone), local_time(period.end_ms - 1, zone)
    first, last = day_text(period.start_ms, zone, locale), day_text(period.end_ms - 1, zone, locale)
    is_whole_days = start.hour == start.minute == 0 and (end.hour, end.minute) == (23, 59)
    if is_whole_days and start.date() == end.date():
        text = f"{first} {start.year}"
    elif is_whole_days and start.day == 1 and (start.month, start.year) == (end.month, end.year):
        text = f"{locale.monthName(start.month)} {start.year}"
    elif is_whole_days and (start.day, start.month, end.day, end.month) == (1, 1, 31, 12):
        text = str(start.year) if start.year == end.year else f"{start.year} – {end.year}"
    elif is_whole_days or period.length_ms > 20 * 86_400_000:
        text = f"{first} {start.year} – {last} {end.year}"
    elif start.date() == end.date():
        until = local_time(period.end_ms, zone)
        text = f"{first}, {start:%H:%M} – {until:%H:%M}"
    else:
        until = local_time(period.end_ms, zone)
        text = f"{first} {start:%H:%M} – {last} {until:%H:%M}"
    return text
