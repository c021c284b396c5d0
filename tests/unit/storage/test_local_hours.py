"""Offsets are those of the IANA database; the days chosen are in its published rules."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage.local_hours import LocalHours
from emdx_desktop.storage.months import days_of_month, month_of_day, parse_month_file, utc_stamp


def minute(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) // 60  # type: ignore[arg-type,misc]


def hour_lengths(zone: str, first: int, end: int) -> dict[int, int]:
    starts = LocalHours(zone).hour_starts(np.arange(first, end))
    values, counts = np.unique(starts, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", date(2026, 3, 29), 23),
        ("Europe/Paris", date(2026, 10, 25), 25),
        ("Europe/Paris", date(2026, 6, 1), 24),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_days_have_the_hours_they_have(zone: str, day: date, hours: int) -> None:
    local = LocalHours(zone)
    start = local.day_start(day)
    end = local.day_start(date.fromordinal(day.toordinal() + 1))
    assert end - start == hours * 60
    assert hour_lengths(zone, start, end) == {start + 60 * k: 60 for k in range(hours)}


def test_hours_of_kolkata_start_at_half_past_utc() -> None:
    first = minute(2026, 5, 1)
    assert hour_lengths("Asia/Kolkata", first, first + 90) == {first - 30: 30, first + 30: 60}


def test_both_half_hours_of_lord_howe_are_there() -> None:
    # clocks go back from 02:00 (+11:00) to 01:30 (+10:30) on 5 April 2026, 15:00 UTC of the 4th
    turn = minute(2026, 4, 4, 15)
    assert hour_lengths("Australia/Lord_Howe", turn - 60, turn + 90) == {turn - 60: 60, turn: 30, turn + 30: 60}


def test_days_that_start_in_a_range_are_listed_with_the_next() -> None:
    local = LocalHours("Europe/Paris")
    first = minute(2026, 3, 28, 12)
    starts = local.day_starts(first, first + 2 * 1440)
    assert starts == [minute(2026, 3, 28, 23), minute(2026, 3, 29, 22), minute(2026, 3, 30, 22)]
    exact = local.day_starts(minute(2026, 3, 28, 23), minute(2026, 3, 28, 23) + 1)
    assert exact == [minute(2026, 3, 28, 23), minute(2026, 3, 29, 22)]


def test_zones_whole_hours_apart_cut_alike() -> None:
    march = days_of_month("2026-03")
    assert LocalHours("Europe/Paris").cuts(march) == LocalHours("America/New_York").cuts(march)
    assert LocalHours("Asia/Kolkata").cuts(march) != LocalHours("Europe/Paris").cuts(march)
    april = days_of_month("2026-04")
    assert LocalHours("Australia/Lord_Howe").cuts(april) != LocalHours("Australia/Adelaide").cuts(april)


def test_an_unknown_zone_is_told() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(StorageFault, match="not known"):
            LocalHours(name)


def test_months_and_their_files() -> None:
    assert month_of_day(0) == "1970-01"
    assert [len(days_of_month(m)) for m in ("2024-02", "2026-02", "2026-12")] == [29, 28, 31]
    assert month_of_day(days_of_month("2026-12").stop) == "2027-01"
    from pathlib import Path

    assert parse_month_file(Path("2026-10.db")) == ("2026-10", 0)
    assert parse_month_file(Path("x/2026-10.r3.db")) == ("2026-10", 3)
    assert parse_month_file(Path("2026-10.db.damaged-20261103T000000Z")) is None
    assert utc_stamp(0) == "19700101T000000Z"
