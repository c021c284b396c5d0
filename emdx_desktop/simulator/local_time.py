"""Local calendar of a site for whole arrays of minutes, daylight saving time included."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.simulator.noise import Floats, Minutes

DAY_MIN = 1440
_EPOCH = date(1970, 1, 1)


def compute_easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar.

    Source: the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8).
    """
    a, b, c = year % 19, year // 100, year % 100
    h = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (b % 4) + 2 * (c // 4) - h - c % 4) % 7
    month, day = divmod(h + weekday - 7 * ((a + 11 * h + 22 * weekday) // 451) + 114, 31)
    return date(year, month, day + 1)


def list_holidays(years: Iterable[int]) -> list[date]:
    """French public holidays (Code du travail, article L3133-1)."""
    fixed = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
    found = []
    for year in years:
        found += [date(year, month, day) for month, day in fixed]
        found += [compute_easter(year) + timedelta(days) for days in (1, 39, 50)]
    return found


@dataclass(frozen=True)
class LocalMinutes:
    """Minutes with what the local calendar says about them; all arrays of shape (n,).

    Attributes:
        minutes: UTC minutes since the epoch, ascending.
        local: Local minutes since the epoch, as a wall clock counts them.
    """

    minutes: Minutes
    local: Minutes

    @cached_property
    def of_day(self) -> Floats:
        """Local minute of the day."""
        return (self.local % DAY_MIN).astype(np.float64)

    @cached_property
    def day(self) -> Minutes:
        """Local days since the epoch."""
        return self.local // DAY_MIN

    @cached_property
    def weekday(self) -> Minutes:
        """0 Monday to 6 Sunday (the epoch was a Thursday)."""
        return (self.day + 3) % 7

    @cached_property
    def is_workday(self) -> NDArray[np.bool_]:
        """Monday to Friday, no holiday."""
        return (self.weekday < 5) & ~np.isin(self.day, self._holidays)

    @cached_property
    def year_angle(self) -> Floats:
        """0 on 1 January, 2 pi a year later (to the day; good for seasons)."""
        return (self.day.astype(np.float64) % 365.2425) * (2 * np.pi / 365.2425)

    @cached_property
    def _holidays(self) -> Minutes:
        first, last = (_EPOCH + timedelta(int(self.day[i])) for i in (0, -1))
        days = [(day - _EPOCH).days for day in list_holidays(range(first.year, last.year + 1))]
        return np.array(days, np.int64)


class LocalCalendar:
    """The calendar of one IANA zone."""

    def __init__(self, zone: str) -> None:
        """Open a zone.

        Raises:
            ZoneInfoNotFoundError: The zone is not known.
        """
        self._zone = ZoneInfo(zone)
        self._offset_min: dict[int, int] = {}

    def read(self, minutes: Minutes) -> LocalMinutes:
        """Local calendar of UTC minutes (ascending, at least one)."""
        first = int(minutes[0]) // 60
        hours = np.arange(first, int(minutes[-1]) // 60 + 1)
        offsets = np.array([self._offset_of_hour(int(hour)) for hour in hours], np.int64)
        return LocalMinutes(minutes, minutes + offsets[minutes // 60 - first])

    def _offset_of_hour(self, hour: int) -> int:
        found = self._offset_min.get(hour)
        if found is None:
            delta = datetime.fromtimestamp(hour * 3600, UTC).astimezone(self._zone).utcoffset()
            found = self._offset_min[hour] = int((delta or timedelta()).total_seconds()) // 60
        return found
