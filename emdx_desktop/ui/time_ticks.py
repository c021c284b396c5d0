"""Ticks of a time axis in local time of the site: midnights with their date, 23 and 25 hour days said so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from PySide6.QtCore import QLocale

from emdx_desktop.domain.periods import HOUR_MS, Span, calendar_period, local_time, utc_ms

_MINUTES = (1, 2, 5, 10, 15, 30)
_HOURS = (1, 2, 3, 6, 12)
_DAYS = (1, 2, 3, 7, 14)
_MONTHS = (1, 2, 3, 6, 12)
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class TimeTick:
    """One tick.

    Attributes:
        ts_ms: UTC.
        text: Label.
        is_midnight: A day begins here and other ticks are finer.
    """

    ts_ms: int
    text: str
    is_midnight: bool = False


def time_ticks(start_ms: int, end_ms: int, max_ticks: int, zone: tzinfo, locale: QLocale) -> list[TimeTick]:
    """Ticks in [start_ms, end_ms], at most about `max_ticks`."""
    length_ms = max(1, end_ms - start_ms)
    room_ms = length_ms / max(1, max_ticks)
    for minutes in _MINUTES:
        if minutes * 60_000 >= room_ms:
            return list(_minute_ticks(start_ms, end_ms, minutes * 60_000, zone, locale))
    for hours in _HOURS:
        if hours * HOUR_MS >= room_ms:
            return list(_hour_ticks(start_ms, end_ms, hours, zone, locale))
    for days in _DAYS:
        if days * DAY_MS >= room_ms:
            return list(_day_ticks(start_ms, end_ms, days, zone, locale))
    for months in _MONTHS:
        if months * 30 * DAY_MS >= room_ms:
            return list(_month_ticks(start_ms, end_ms, months, zone, locale))
    years = -(-int(room_ms) // (360 * DAY_MS))
    return list(_month_ticks(start_ms, end_ms, 12 * years, zone, locale))


def day_text(ts_ms: int, zone: tzinfo, locale: QLocale) -> str:
    """Thu 19 Nov, and the hours of the day where these are not 24."""
    local = local_time(ts_ms, zone)
    weekday = locale.dayName(local.isoweekday(), QLocale.FormatType.ShortFormat)
    text = f"{weekday} {local.day} {_month(local, locale)}"
    hours = round(calendar_period(Span.DAY, ts_ms, zone).length_ms / HOUR_MS, 1)
    return text if hours == 24 else f"{text}, {hours:g}\u00a0h"


def _month(local: datetime, locale: QLocale) -> str:
    return locale.monthName(local.month, QLocale.FormatType.ShortFormat)


def _clock_text(local: datetime) -> str:
    text = local.strftime("%H:%M")
    # an hour that comes twice is named apart
    other = local.replace(fold=1 - local.fold)
    return f"{text} {local.tzname()}" if other.utcoffset() != local.utcoffset() else text


def _is_midnight(ts_ms: int, zone: tzinfo) -> bool:
    return calendar_period(Span.DAY, ts_ms, zone).start_ms == ts_ms


def _minute_ticks(start_ms: int, end_ms: int, step_ms: int, zone: tzinfo, locale: QLocale) -> Iterator[TimeTick]:
    ts_ms = calendar_period(Span.HOUR, start_ms, zone).start_ms
    while ts_ms <= end_ms:
        if ts_ms >= start_ms:
            yield _clock_tick(ts_ms, zone, locale)
        ts_ms += step_ms


def _clock_tick(ts_ms: int, zone: tzinfo, locale: QLocale) -> TimeTick:
    if _is_midnight(ts_ms, zone):
        return TimeTick(ts_ms, day_text(ts_ms, zone, locale), is_midnight=True)
    return TimeTick(ts_ms, _clock_text(local_time(ts_ms, zone)))


def _hour_ticks(start_ms: int, end_ms: int, hours: int, zone: tzinfo, locale: QLocale) -> Iterator[TimeTick]:
    """Hours 0, 3, 6 … of each local day, also on days of 23 or 25 hours."""
    ts_ms = calendar_period(Span.DAY, start_ms, zone).start_ms
    while ts_ms <= end_ms:
        local = local_time(ts_ms, zone)
        is_first = _is_midnight(ts_ms, zone)
        is_wanted = is_first or (local.minute == 0 and local.hour % hours == 0 and (hours == 1 or local.fold == 0))
        if is_wanted and ts_ms >= start_ms:
            yield _clock_tick(ts_ms, zone, locale)
        ts_ms = calendar_period(Span.HOUR, ts_ms, zone).end_ms


def _dates(
    start_ms: int, end_ms: int, zone: tzinfo, first: datetime, step: Callable[[datetime], datetime]
) -> Iterator[int]:
    local = first
    ts_ms = utc_ms(local, zone)
    while ts_ms <= end_ms:
        if ts_ms >= start_ms:
            yield ts_ms
        local = step(local)
        ts_ms = utc_ms(local, zone)


def _day_ticks(start_ms: int, end_ms: int, days: int, zone: tzinfo, locale: QLocale) -> Iterator[TimeTick]:
    day = local_time(start_ms, zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0)
    if days >= 7:
        day -= timedelta(days=day.weekday())
    else:
        # the same days of the calendar are marked however the picture is moved
        day -= timedelta(days=day.toordinal() % days)
    for ts_ms in _dates(start_ms, end_ms, zone, day, lambda local: local + timedelta(days=days)):
        yield TimeTick(ts_ms, day_text(ts_ms, zone, locale))


def _month_ticks(start_ms: int, end_ms: int, months: int, zone: tzinfo, locale: QLocale) -> Iterator[TimeTick]:
    local = local_time(start_ms, zone)
    first_month = (local.year * 12 + local.month - 1) // months * months

    def from_months(count: int) -> datetime:
        return datetime(count // 12, count % 12 + 1, 1)

    def step(month: datetime) -> datetime:
        return from_months(month.year * 12 + month.month - 1 + months)

    for ts_ms in _dates(start_ms, end_ms, zone, from_months(first_month), step):
        month = local_time(ts_ms, zone)
        is_january = month.month == 1
        yield TimeTick(ts_ms, str(month.year) if is_january else _month(month, locale), is_midnight=is_january)


def value_ticks(low: float, high: float, max_count: int = 6) -> list[float]:
    """Ticks at 1-2-5 steps inside [low, high], about `max_count` at most."""
    length = high - low
    if not length > 0:
        return [low]
    step = value_step(length, max_count)
    first = int(-(-low // step))
    ticks = []
    while first * step <= high + step * 1e-9:
        ticks.append(first * step)
        first += 1
    return ticks


def value_step(length: float, max_count: int = 6) -> float:
    """The smallest 1-2-5 step that divides a length into `max_count` parts at most."""
    power = 10.0 ** int(f"{length / max_count:e}".split("e")[1])
    room = max_count + 0.5
    return next((factor * power for factor in (1.0, 2.0, 5.0) if length / (factor * power) <= room), 10.0 * power)


def step_decimals(step: float) -> int:
    """Decimals that tell ticks of this step apart."""
    exponent = int(f"{step:e}".split("e")[1])
    return max(0, -exponent)
