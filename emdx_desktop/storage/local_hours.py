"""Where local hours and local days of the site's zone begin, in UTC minutes.

A UTC hour cannot make a day in Kolkata, so roll-ups stand on local hours. Where the offset changes, a new
hour begins at that instant: both 02:00 hours of an autumn night are there, each by itself.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault

MINUTES_PER_DAY = 1440
_PROBE_MINUTES = 360  # no zone ever changed its offset twice within six hours
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_zone(name: str) -> ZoneInfo:
    """The zone with an IANA name.

    Raises:
        StorageFault: This system does not know it.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise StorageFault(f'The time zone "{name}" is not known, so local hours cannot be formed.') from error


class LocalHours:
    """Hours and days of one zone."""

    def __init__(self, zone_name: str) -> None:
        self.zone_name = zone_name
        self._zone = open_zone(zone_name)
        self._segments: dict[int, tuple[tuple[int, int], ...]] = {}

    def offset_minutes(self, utc_minute: int) -> int:
        """Local time minus UTC at a moment."""
        offset = (_EPOCH + timedelta(minutes=utc_minute)).astimezone(self._zone).utcoffset()
        assert offset is not None  # an aware moment in a ZoneInfo always has one
        return int(offset.total_seconds() // 60)

    def day_segments(self, utc_day: int) -> tuple[tuple[int, int], ...]:
        """Stretches of a UTC day with the same offset: first minute (since 1970) and offset in minutes.

        The first minute of the first stretch is that of the day, also when the stretch began before.
        """
        known = self._segments.get(utc_day)
        if known is not None:
            return known
        start = utc_day * MINUTES_PER_DAY
        found = [(start, self.offset_minutes(start))]
        for probe in range(start, start + MINUTES_PER_DAY, _PROBE_MINUTES):
            after = self.offset_minutes(probe + _PROBE_MINUTES - 1)
            if after == found[-1][1]:
                continue
            low, high = probe - 1, probe + _PROBE_MINUTES - 1
            while high - low > 1:
                middle = (low + high) // 2
                if self.offset_minutes(middle) == found[-1][1]:
                    low = middle
                else:
                    high = middle
            found.append((high, after))
        segments = tuple(found)
        self._segments[utc_day] = segments
        return segments

    def hour_starts(self, minutes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Start of the local hour of each minute.

        Args:
            minutes: UTC minutes since 1970, ascending, shape (n,).

        Returns:
            UTC minutes, shape (n,).
        """
        if minutes.size == 0:
            return minutes.copy()
        first_day = int(minutes[0]) // MINUTES_PER_DAY - 1  # an hour may have begun the day before
        last_day = int(minutes[-1]) // MINUTES_PER_DAY
        edges: list[int] = []
        offsets: list[int] = []
        for day in range(first_day, last_day + 1):
            for edge, offset in self.day_segments(day):
                if not offsets or offset != offsets[-1]:
                    edges.append(edge)
                    offsets.append(offset)
        which = np.searchsorted(np.array(edges, np.int64), minutes, "right") - 1
        offset_of = np.array(offsets, np.int64)[which]
        starts = minutes - (minutes + offset_of) % 60
        return np.maximum(starts, np.array(edges, np.int64)[which])

    def local_day(self, utc_minute: int) -> date:
        """Local date of a moment."""
        return (_EPOCH + timedelta(minutes=utc_minute)).astimezone(self._zone).date()

    def day_start(self, day: date) -> int:
        """UTC minute at which a local date begins."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        return int((midnight - _EPOCH).total_seconds() // 60)

    def day_starts(self, first_minute: int, end_minute: int) -> list[int]:
        """Local days that begin in [first_minute, end_minute), and after them the start of the one that follows."""
        day = self.local_day(first_minute)
        if self.day_start(day) < first_minute:
            day += timedelta(days=1)
        starts = [self.day_start(day)]
        while starts[-1] < end_minute:
            day += timedelta(days=1)
            starts.append(self.day_start(day))
        return starts

    def cuts(self, utc_days: range) -> str:
        """Where the hours of these days are cut, as text to compare. Zones whole hours apart cut the same."""
        found = [(self.day_segments(utc_days.start)[0][1]) % 60]
        edges: list[tuple[int, int]] = []
        for day in utc_days:
            for edge, offset in _merged(self.day_segments(day))[1:]:
                edges.append((edge, offset % 60))
        return repr((found, edges))


def _merged(segments: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """Segments without the edges at which no hour is cut."""
    kept = [segments[0]]
    for edge, offset in segments[1:]:
        falls_on_hour = (edge + kept[-1][1]) % 60 == 0
        if offset % 60 != kept[-1][1] % 60 or not falls_on_hour:
            kept.append((edge, offset))
    return kept
