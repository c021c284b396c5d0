"""Consecutive minutes of a series, put together from packed days and the tail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId, Quality
from emdx_desktop.storage.chunks import MINUTES_PER_DAY, SERIES_BITS, SERIES_MASK, Day, decode_complete_days
from emdx_desktop.storage.history_access import HistoryAccess, Row
from emdx_desktop.storage.series_book import StoredSeries
from emdx_desktop.storage.tail import MINUTE_BITS, StoredLayout, TailBlock

Ints = NDArray[np.int64]
DAYS_AT_ONCE = 32
_LOWEST = np.iinfo(np.int64).min  # its absolute value overflows
_NOT_RECORDED = int(Quality.NOT_RECORDED)


class Stretch:
    """Consecutive minutes of one series, put together from packed days and the tail."""

    def __init__(self, first: int, end: int) -> None:
        self.first, self.end = first, end
        self._narrow: NDArray[np.int32] | None = np.zeros(end - first, np.int32)
        self._wide: Ints | None = None
        self.qualities = np.full(end - first, _NOT_RECORDED, np.uint8)

    @property
    def values(self) -> Ints | NDArray[np.int32]:
        """The integers; narrow as long as all fit."""
        if self._narrow is not None:
            return self._narrow
        assert self._wide is not None  # set when the narrow ones went
        return self._wide

    def _widen(self) -> Ints:
        if self._wide is None:
            self._wide = self.values.astype(np.int64)
            self._narrow = None
        return self._wide

    def lay_packed(self, view: HistoryAccess, rows: Sequence[Row], is_counter: bool) -> None:
        """Unpack days and put them in."""
        laid: set[int] = set()
        for start in range(0, len(rows), DAYS_AT_ONCE):
            batch = rows[start : start + DAYS_AT_ONCE]
            if not self._lay_complete(batch, laid):
                self._lay_one_by_one(view, batch, laid, is_counter)

    def _lay_complete(self, rows: Sequence[Row], laid: set[int]) -> bool:
        """The common case of charts: days in a row, without a gap, that lie wholly within. False for any other."""
        first_day, count = rows[0][0] >> MINUTE_BITS, len(rows)
        low = first_day * MINUTES_PER_DAY - self.first
        high = low + count * MINUTES_PER_DAY
        if self._narrow is None or low < 0 or high > self.qualities.size:
            return False
        days = [rowid >> MINUTE_BITS for rowid, _body in rows]
        if days != list(range(first_day, first_day + count)) or not laid.isdisjoint(days):
            return False
        target = self._narrow[low:high].reshape(count, MINUTES_PER_DAY)
        if not decode_complete_days(rows, target):
            target[:] = 0
            return False
        self.qualities[low:high] = 0
        laid.update(days)
        return True

    def _lay_one_by_one(self, view: HistoryAccess, rows: Sequence[Row], laid: set[int], is_counter: bool) -> None:
        for rowid, body in rows:
            day = rowid >> MINUTE_BITS
            content = view.decode(rowid, body)
            if content is not None:
                self.lay_day(day, content, is_counter)
                laid.add(day)

    def lay_day(self, utc_day: int, day: Day, is_counter: bool) -> None:
        """Put a packed day in; a minute that is there already stays, unless it is a counter's."""
        start = utc_day * MINUTES_PER_DAY
        low, high = max(start, self.first), min(start + MINUTES_PER_DAY, self.end)
        if low < high:
            there = slice(low - start, high - start)
            qualities = np.zeros(high - low, np.uint8) if day.qualities is None else day.qualities[there]
            self._lay(np.arange(low, high) - self.first, day.values[there], qualities, is_counter)

    def lay_tail(self, series_id: int, tail: Sequence[tuple[StoredLayout, TailBlock]], is_counter: bool) -> None:
        """Put tail rows in."""
        for layout, block in tail:
            if series_id in layout.series:
                k = layout.series.index(series_id)
                where = block.minutes - self.first
                inside = (where >= 0) & (where < self.qualities.size)
                self._lay(where[inside], block.values[inside, k], block.qualities[inside, k], is_counter)

    def _lay(
        self, where: Ints, values: Ints | NDArray[np.int32], qualities: NDArray[np.uint8], is_counter: bool
    ) -> None:
        present = self.qualities[where]
        takes = (present == _NOT_RECORDED) | ((present != 0) & (qualities == 0))
        if is_counter:
            takes |= qualities == 0
        fits = self._narrow is not None and (
            values.dtype == np.int32 or bool((np.abs(values) < 2**31 - 1).all() and (values != _LOWEST).all())
        )
        target = self.values if fits else self._widen()
        target[where[takes]] = values[takes]
        self.qualities[where[takes]] = qualities[takes]

    def as_day(self) -> Day:
        """Values and qualities."""
        return Day(self.values, self.qualities if self.qualities.any() else None)


class Stretches:
    """Minutes [first, end) of series of one device: fetched together, each unpacked once."""

    def __init__(
        self, view: HistoryAccess, device_id: DeviceId, every: Sequence[StoredSeries], first: int, end: int
    ) -> None:
        self._view = view
        self._first, self._end = first, end
        self._content: dict[int, Day] = {}
        self._tail: list[tuple[StoredLayout, TailBlock]] = []
        self._rows: dict[int, list[Row]] = {}
        if end <= first:
            return
        ids = sorted(
            day << SERIES_BITS | series.id
            for series in every
            for day in range(max(first, series.first_minute) // MINUTES_PER_DAY, (end - 1) // MINUTES_PER_DAY + 1)
        )
        self._tail = view.tail(device_id, first, end)
        for row in view.packed(ids):
            self._rows.setdefault(row[0] & SERIES_MASK, []).append(row)

    def of(self, series: StoredSeries) -> Day:
        """One of them."""
        day = self._content.get(series.id)
        if day is None:
            is_counter = series.kind is QuantityKind.COUNTER
            stretch = Stretch(self._first, self._end)
            stretch.lay_packed(self._view, self._rows.get(series.id, ()), is_counter)
            stretch.lay_tail(series.id, self._tail, is_counter)
            day = self._content[series.id] = stretch.as_day()
        return day
