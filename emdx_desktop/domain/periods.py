"""Periods of the local calendar: hours, days of 23 to 25 hours, weeks, months, years.

A period is [start, end) in UTC milliseconds; its borders are those of the site's zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

HOUR_MS = 3_600_000


class Span(StrEnum):
    """Lengths of a period people ask for."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"  # Monday to Sunday
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Period:
    """[start_ms, end_ms), UTC epoch milliseconds."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """Length, ms; a local day has 23 to 25 hours."""
        return self.end_ms - self.start_ms


def local_time(ts_ms: int, zone: tzinfo) -> datetime:
    """A UTC moment as local time, aware."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(zone)


def utc_ms(local: datetime, zone: tzinfo) -> int:
    """A naive local time as UTC milliseconds.

    Of a time that comes twice the first is meant (or the second if `fold` is 1); a time that is skipped is
    taken with the offset before the change, so a skipped midnight is the moment of the change itself.
    """
    return round(local.replace(tzinfo=zone).timestamp() * 1000)


def _floor(local: datetime, span: Span) -> datetime:
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if span is Span.WEEK:
        return day - timedelta(days=day.weekday())
    if span is Span.MONTH:
        return day.replace(day=1)
    if span is Span.YEAR:
        return day.replace(month=1, day=1)
    return day


def _stepped(local: datetime, span: Span, count: int) -> datetime:
    if span is Span.DAY:
        return local + timedelta(days=count)
    if span is Span.WEEK:
        return local + timedelta(weeks=count)
    months = local.year * 12 + local.month - 1 + count * (12 if span is Span.YEAR else 1)
    year, month = divmod(months, 12)
    first_of_next = datetime(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    last_day = (first_of_next - timedelta(days=1)).day
    return local.replace(year=year, month=month + 1, day=min(local.day, last_day))


def calendar_period(span: Span, ts_ms: int, zone: tzinfo) -> Period:
    """The hour, day, week, month or year of the local calendar that holds a moment."""
    local = local_time(ts_ms, zone)
    if span is Span.HOUR:
        past_ms = (local.minute * 60 + local.second) * 1000 + local.microsecond // 1000
        return Period(ts_ms - past_ms, ts_ms - past_ms + HOUR_MS)
    start = _floor(local.replace(tzinfo=None), span)
    return Period(utc_ms(start, zone), utc_ms(_stepped(start, span, 1), zone))


def trailing_period(span: Span, end_ms: int, zone: tzinfo) -> Period:
    """The period that ends now and began at the same time of the local clock one span ago."""
    if span is Span.HOUR:
        return Period(end_ms - HOUR_MS, end_ms)
    local = local_time(end_ms, zone).replace(tzinfo=None)
    return Period(utc_ms(_stepped(local, span, -1), zone), end_ms)


def period_edges(step: Span, start_ms: int, end_ms: int, zone: tzinfo) -> list[int]:
    """Borders of the calendar's hours, days … that touch [start_ms, end_ms), ascending, both ends included."""
    period = calendar_period(step, start_ms, zone)
    edges = [period.start_ms]
    while edges[-1] < end_ms:
        edges.append(period.end_ms)
        period = calendar_period(step, period.end_ms, zone)
    return edges
