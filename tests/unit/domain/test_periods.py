from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from emdx_desktop.domain.periods import (
    HOUR_MS,
    Period,
    Span,
    calendar_period,
    local_time,
    period_edges,
    trailing_period,
    utc_ms,
)

PARIS = ZoneInfo("Europe/Paris")
KOLKATA = ZoneInfo("Asia/Kolkata")
BEIRUT = ZoneInfo("Asia/Beirut")


def at(text: str, zone=PARIS, fold: int = 0) -> int:
    return utc_ms(datetime.fromisoformat(text).replace(fold=fold), zone)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29 12:00", 23), ("2026-10-25 12:00", 25), ("2026-11-19 12:00", 24)]
)
def test_days_have_the_hours_of_the_local_calendar(day, hours):
    period = calendar_period(Span.DAY, at(day), PARIS)
    assert period.length_ms == hours * HOUR_MS
    assert local_time(period.start_ms, PARIS).strftime("%H:%M") == "00:00"
    assert len(period_edges(Span.HOUR, period.start_ms, period.end_ms, PARIS)) == hours + 1


def test_an_hour_that_comes_twice_is_two_periods():
    first = calendar_period(Span.HOUR, at("2026-10-25 02:30", fold=0), PARIS)
    second = calendar_period(Span.HOUR, at("2026-10-25 02:30", fold=1), PARIS)
    assert first.end_ms == second.start_ms


def test_hours_of_a_half_hour_zone_begin_at_the_local_hour():
    period = calendar_period(Span.HOUR, at("2026-11-19 14:37:20", KOLKATA), KOLKATA)
    assert period == Period(at("2026-11-19 14:00", KOLKATA), at("2026-11-19 15:00", KOLKATA))
    assert period.start_ms % HOUR_MS == HOUR_MS // 2


def test_a_skipped_midnight_begins_the_day_at_the_change():
    # Beirut goes from 00:00 to 01:00 on 29 March 2026
    period = calendar_period(Span.DAY, at("2026-03-29 12:00", BEIRUT), BEIRUT)
    assert local_time(period.start_ms, BEIRUT).strftime("%d %H:%M") == "29 01:00"
    assert period.length_ms == 23 * HOUR_MS
    assert calendar_period(Span.DAY, period.start_ms - 1, BEIRUT).end_ms == period.start_ms


@pytest.mark.parametrize(
    ("span", "start", "end"),
    [
        (Span.WEEK, "2026-11-16 00:00", "2026-11-23 00:00"),
        (Span.MONTH, "2026-11-01 00:00", "2026-12-01 00:00"),
        (Span.YEAR, "2026-01-01 00:00", "2027-01-01 00:00"),
    ],
)
def test_weeks_months_and_years_of_the_calendar(span, start, end):
    assert calendar_period(span, at("2026-11-19 14:37"), PARIS) == Period(at(start), at(end))


@pytest.mark.parametrize("span", list(Span))
def test_periods_follow_each_other_without_a_gap(span):
    period = calendar_period(span, at("2026-03-20 11:00"), PARIS)
    for _ in range(30):
        after = calendar_period(span, period.end_ms, PARIS)
        assert after.start_ms == period.end_ms
        assert calendar_period(span, after.start_ms - 1, PARIS) == period
        period = after


@pytest.mark.parametrize(
    ("span", "start"),
    [
        (Span.HOUR, "2026-03-31 11:37"),
        (Span.DAY, "2026-03-30 12:37"),
        (Span.WEEK, "2026-03-24 12:37"),
        (Span.MONTH, "2026-02-28 12:37"),
        (Span.YEAR, "2025-03-31 12:37"),
    ],
)
def test_a_trailing_period_begins_at_the_same_local_time(span, start):
    end = at("2026-03-31 12:37")
    assert trailing_period(span, end, PARIS) == Period(at(start), end)


def test_a_leap_day_a_year_ago_is_the_last_of_february():
    end = at("2028-02-29 10:00")
    assert trailing_period(Span.YEAR, end, PARIS).start_ms == at("2027-02-28 10:00")


def test_a_december_month_ends_with_the_year():
    period = calendar_period(Span.MONTH, int(datetime(2026, 12, 24, tzinfo=UTC).timestamp() * 1000), UTC)
    assert local_time(period.end_ms, UTC) == datetime(2027, 1, 1, tzinfo=UTC)
