"""Reads of one data folder, from any thread, each short."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import (
    MINUTE_MS,
    CountSeries,
    Event,
    GapRun,
    MinuteSeries,
    Resolution,
    RollupSeries,
    SeriesColumn,
    SeriesInfo,
    StateChange,
    StorageReport,
)
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.quantities import QuantityKind, read_offset_series
from emdx_desktop.domain.readings import DeviceId, Notice, NoticeLevel, Quality
from emdx_desktop.storage import configuration, journal
from emdx_desktop.storage.chunks import (
    MINUTES_PER_DAY,
    SERIES_BITS,
    SERIES_MASK,
    Day,
    decode_complete_days,
    quality_runs,
)
from emdx_desktop.storage.connections import DamageErrors, EnvironmentErrors, read_transaction
from emdx_desktop.storage.history_access import HistoryAccess, Row
from emdx_desktop.storage.months import LIVE_FILE_NAME
from emdx_desktop.storage.rollups import HourRollups, condense, from_minutes, merge
from emdx_desktop.storage.series_book import StoredSeries
from emdx_desktop.storage.space import report_space
from emdx_desktop.storage.stretches import Stretch, Stretches
from emdx_desktop.storage.tail import MINUTE_BITS

Ints = NDArray[np.int64]
_LONGEST_DAY_MINUTES = 25 * 60
_NOT_RECORDED = int(Quality.NOT_RECORDED)


class SqliteHistoryReader:
    """`HistoryReader` over a data folder; each thread gets connections of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[_ThreadAccess] = weakref.WeakSet()
        self._notices: dict[str, Notice] = {}
        self._is_closed = False

    # --- connections ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _view(self) -> Iterator[HistoryAccess]:
        """This thread's connections inside one read transaction of the live file.

        Raises:
            StorageFault: The folder cannot be read.
        """
        if self._is_closed:
            raise StorageFault("History was closed: open the data folder again.")
        held: _ThreadAccess | None = getattr(self._local, "held", None)
        if held is not None and not held.access.is_current:
            held.close()
            held = None
        if held is None:
            held = _ThreadAccess(HistoryAccess(self._folder, self._note_damage))
            self._local.held = held
            with self._lock:
                self._open.add(held)
        try:
            with read_transaction(held.access.live):
                held.access.refresh()
                yield held.access
        except DamageErrors as error:
            self._note_damage("storage.live", f"live.db is damaged ({error}): the newest history cannot be shown.")
            raise StorageFault(
                f"{self._folder / LIVE_FILE_NAME} is damaged ({error}), so history cannot be shown: "
                "restart acquisition, it sets the file aside and goes on."
            ) from error
        except EnvironmentErrors as error:
            raise StorageFault(f"History in {self._folder} cannot be read just now ({error}): try again.") from error

    def _note_damage(self, key: str, message: str) -> None:
        with self._lock:
            self._notices.setdefault(key, Notice(key, NoticeLevel.ALARM, message, time.time_ns() // 1_000_000))

    def notices(self) -> tuple[Notice, ...]:
        """What could not be shown, one per cause."""
        with self._lock:
            return tuple(self._notices.values())

    def close_thread(self) -> None:
        """Close this thread's connections: a pool's threads call it before they end."""
        held: _ThreadAccess | None = getattr(self._local, "held", None)
        if held is not None:
            held.close()
            self._local.held = None

    def close(self) -> None:
        """Close the connections of all threads."""
        self._is_closed = True
        with self._lock:
            held = list(self._open)
        for access in held:
            access.close()

    # --- reads ---------------------------------------------------------------------------------------

    def load_installation(self) -> Installation | None:
        """The stored installation, None when none was stored yet."""
        if not (self._folder / LIVE_FILE_NAME).exists():
            return None
        with self._view() as view:
            return configuration.load_installation(view.live)

    def load_minutes(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> MinuteSeries:
        """Minutes in [start_ms, end_ms) of an instant."""
        first, end = _minute_range(start_ms, end_ms)
        with self._view() as view:
            stretches = [
                (series, _load_stretch(view, series, first, end)) for series in view.book.of(device_id, quantity)
            ]
        return _to_minutes(stretches, first, end)

    def load_device_day(self, device_id: DeviceId, day_start_ms: int) -> Mapping[str, MinuteSeries]:
        """All instants of one UTC day, by quantity."""
        day = day_start_ms // MINUTE_MS // MINUTES_PER_DAY
        first, end = day * MINUTES_PER_DAY, (day + 1) * MINUTES_PER_DAY
        stretches: dict[str, list[tuple[StoredSeries, Day]]] = {}
        with self._view() as view:
            wanted = view.book.instants_of(device_id)
            tail = view.tail(device_id, first, end)
            rows = view.packed([day << SERIES_BITS | series.id for series in wanted])
            if rows and not tail and len(rows) == len(wanted):
                complete = _complete_day(rows, wanted, first)
                if complete is not None:
                    return complete
            packed: dict[int, list[Row]] = {}
            for row in rows:
                packed.setdefault(row[0] & SERIES_MASK, []).append(row)
            for series in wanted:
                stretch = Stretch(first, end)
                stretch.lay_packed(view, packed.get(series.id, []), is_counter=False)
                stretch.lay_tail(series.id, tail, is_counter=False)
                if (stretch.qualities != _NOT_RECORDED).any():
                    stretches.setdefault(series.quantity, []).append((series, stretch.as_day()))
        return {quantity: _to_minutes(parts, first, end) for quantity, parts in stretches.items()}

    def load_counts(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> CountSeries:
        """Readings of a counter in [start_ms, end_ms), by the true moment of each."""
        with self._view() as view:
            return _load_counts(view, device_id, [quantity], start_ms, end_ms)[quantity]

    def load_device_counts(self, device_id: DeviceId, start_ms: int, end_ms: int) -> Mapping[str, CountSeries]:
        """Readings of all counters of a device in [start_ms, end_ms), by quantity, seen at one moment."""
        with self._view() as view:
            counters = [series for series in view.book.of_device(device_id) if series.kind is QuantityKind.COUNTER]
            return _load_counts(view, device_id, [series.quantity for series in counters], start_ms, end_ms)

    def load_rollup(
        self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int, resolution: Resolution
    ) -> RollupSeries:
        """Local hours or days that start in [start_ms, end_ms)."""
        first, end = -(-start_ms // MINUTE_MS), -(-end_ms // MINUTE_MS)
        parts: list[_ScaledHours] = []
        with self._view() as view:
            every = view.book.of(device_id, quantity)
            first, end = _clip(view, every, first, end)
            if first >= end:
                return _to_rollups([])
            day_starts: list[int] = []
            hours_end = end
            if resolution is Resolution.DAY:
                day_starts = view.hours.day_starts(first, end)
                hours_end = day_starts[-1]
                first = day_starts[0]
            for series in every:
                hours = merge(
                    [view.stored_rollups(series.id, first, hours_end), _tail_hours(view, series, first, hours_end)]
                )
                if day_starts:
                    hours = _days_of(hours, np.array(day_starts, np.int64), end)
                parts.append((series.exponent, hours))
        return _to_rollups(parts)

    def load_gaps(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> Sequence[GapRun]:
        """Runs of minutes without a good value that were due."""
        first, end = _minute_range(start_ms, end_ms)
        with self._view() as view:
            every = view.book.of(device_id, quantity)
            if not every:
                return ()
            # before the first and after the newest minute there is nothing that could be missing
            first = max(first, min(series.first_minute for series in every))
            end = min(end, view.last_minute() + 1)
            if end <= first:
                return ()
            qualities = np.full(end - first, _NOT_RECORDED, np.uint8)
            for series in every:
                content = _load_stretch(view, series, first, end)
                stretch = np.zeros(end - first, np.uint8) if content.qualities is None else content.qualities
                better = (stretch == 0) | (qualities == _NOT_RECORDED)
                qualities = np.where(better, stretch, qualities)
        return _gaps(qualities, first)

    def load_states(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> Sequence[StateChange]:
        """Changes in the range, preceded by the last one before it if any."""
        with self._view() as view:
            return journal.load_states(view.live, device_id, quantity, start_ms, end_ms)

    def load_events(self, start_ms: int, end_ms: int) -> Sequence[Event]:
        """Events in the range, ascending."""
        with self._view() as view:
            return journal.load_events(view.live, start_ms, end_ms)

    def series(self, device_id: DeviceId | None = None) -> Sequence[SeriesInfo]:
        """What has history: minutes and states."""
        with self._view() as view:
            rows = view.book.all() if device_id is None else view.book.of_device(device_id)
            newest = _newest_tail_minutes(view)
            found = [
                SeriesInfo(
                    series.device_id,
                    series.column,
                    series.first_minute * MINUTE_MS,
                    (max(series.last_minute, newest.get(series.id, 0)) + 1) * MINUTE_MS,
                )
                for series in rows
            ]
            for device, quantity, first, last in view.live.execute(
                "SELECT device, quantity, min(ts_ms), max(ts_ms) FROM state_change "
                "WHERE ?1 IS NULL OR device = ?1 GROUP BY device, quantity",
                (device_id,),
            ):
                column = SeriesColumn(quantity, QuantityKind.STATE, 0)
                found.append(SeriesInfo(DeviceId(device), column, first, last))
        return found

    def storage_report(self) -> StorageReport:
        """Files, sizes and forecast."""
        with self._view() as view:
            return report_space(self._folder, view.live, tuple(notice.message for notice in self.notices()))


_ScaledHours = tuple[int, HourRollups]


class _ThreadAccess:
    """Closes a thread's connections when the thread ends: its local storage drops the last reference."""

    def __init__(self, access: HistoryAccess) -> None:
        self.access = access
        self._finalizer = weakref.finalize(self, access.close)

    def close(self) -> None:
        self._finalizer()


def _complete_day(rows: Sequence[Row], wanted: Sequence[StoredSeries], first: int) -> dict[str, MinuteSeries] | None:
    """The common day, all its series without a gap. None for any other day."""
    by_id = {series.id: series for series in wanted}
    in_order = [by_id[rowid & SERIES_MASK] for rowid, _body in rows]
    quantities = [series.quantity for series in in_order]
    if len(set(quantities)) < len(quantities) or any(series.exponent > 0 for series in in_order):
        return None  # among others: the decimals kept of a quantity changed on this day
    integers = np.empty((len(rows), MINUTES_PER_DAY), np.int32)
    if not decode_complete_days(rows, integers):
        return None
    # all series in one step: a call for each costs as much as the division itself
    scaled = np.divide(integers, np.array([[10.0**-series.exponent] for series in in_order]))
    qualities = np.zeros(integers.shape, np.uint8)
    start_ms = first * MINUTE_MS
    return {
        quantity: MinuteSeries(start_ms, values, goods)
        for quantity, values, goods in zip(quantities, scaled, qualities, strict=True)
    }


def _minute_range(start_ms: int, end_ms: int) -> tuple[int, int]:
    first = start_ms // MINUTE_MS
    return first, max(first, -(-end_ms // MINUTE_MS))


def _clip(view: HistoryAccess, every: Sequence[StoredSeries], first: int, end: int) -> tuple[int, int]:
    """Leave out the time before a quantity has history (but for the local day it began in) and after."""
    if not every:
        return first, first
    began = min(series.first_minute for series in every) - _LONGEST_DAY_MINUTES
    ended = max(view.last_minute(), *(series.last_minute for series in every)) + 1
    low = max(first, began)
    return low, max(low, min(end, ended))


def _load_counts(
    view: HistoryAccess, device_id: DeviceId, quantities: Iterable[str], start_ms: int, end_ms: int
) -> dict[str, CountSeries]:
    by_quantity = {quantity: view.book.of(device_id, quantity) for quantity in quantities}
    every = [series for group in by_quantity.values() for series in group]
    first, end = _clip(view, every, *_minute_range(start_ms, end_ms))
    offsets_of = {series.id: _offset_series(view, series) for series in every}
    offsets = {offset.id: offset for group in offsets_of.values() for offset in group}
    content = Stretches(view, device_id, [*every, *offsets.values()], first, end)
    minutes_ms = np.arange(first, end, dtype=np.int64) * MINUTE_MS
    found: dict[str, CountSeries] = {}
    for quantity, group in by_quantity.items():
        parts = [_readings(content, series, offsets_of[series.id], minutes_ms, start_ms, end_ms) for series in group]
        epochs = view.epochs(device_id, quantity, start_ms, end_ms)
        if len(parts) == 1:
            found[quantity] = CountSeries(*parts[0], epochs)
            continue
        ts = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
        counts = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, np.int64)
        order = np.argsort(ts, kind="stable")
        found[quantity] = CountSeries(ts[order], counts[order], epochs)
    return found


def _readings(
    content: Stretches,
    series: StoredSeries,
    offset_series: Sequence[StoredSeries],
    minutes_ms: Ints,
    start_ms: int,
    end_ms: int,
) -> tuple[Ints, Ints]:
    """Moments and counts of one counter, good ones only, ascending."""
    day = content.of(series)
    ts = minutes_ms
    for offset in offset_series:
        read = content.of(offset)
        moved = minutes_ms + np.clip(read.values, 0, MINUTE_MS - 1)
        ts = moved if read.qualities is None else np.where(read.qualities == 0, moved, ts)
    counts = day.values.astype(np.int64)
    if day.qualities is not None:
        good = day.qualities == 0
        ts, counts = ts[good], counts[good]
    # an offset lies within its minute, so the moments ascend
    low, high = ts.searchsorted(start_ms), ts.searchsorted(end_ms)
    return ts[low:high], counts[low:high]


def _load_stretch(view: HistoryAccess, series: StoredSeries, first: int, end: int) -> Day:
    """Minutes [first, end) of a series."""
    return Stretches(view, series.device_id, [series], first, end).of(series)


def _offset_series(view: HistoryAccess, counter: StoredSeries) -> Sequence[StoredSeries]:
    """Series of milliseconds into each minute at which a counter was read; none where nobody noted it."""
    if counter.group:
        return view.book.of(counter.device_id, read_offset_series(counter.group))
    candidates = view.book.offsets_of(counter.device_id)
    return candidates if len(candidates) == 1 else ()


def _to_minutes(stretches: Sequence[tuple[StoredSeries, Day]], first: int, end: int) -> MinuteSeries:
    if len(stretches) == 1:
        series, content = stretches[0]
        scaled = _scale(content.values, series.exponent)
        if content.qualities is None:
            return MinuteSeries(first * MINUTE_MS, scaled, np.zeros(end - first, np.uint8))
        if content.qualities.any():
            scaled[content.qualities != 0] = np.nan
        return MinuteSeries(first * MINUTE_MS, scaled, content.qualities)
    # none at all, or the decimals kept of this quantity changed once
    values = np.full(end - first, np.nan)
    qualities = np.full(end - first, _NOT_RECORDED, np.uint8)
    for series, content in stretches:
        found = np.zeros(end - first, np.uint8) if content.qualities is None else content.qualities
        good = found == 0
        qualities = np.where(good | (qualities == _NOT_RECORDED), found, qualities)
        values[good] = _scale(content.values[good], series.exponent)
    return MinuteSeries(first * MINUTE_MS, values, qualities)


def _scale(values: NDArray[np.int64] | NDArray[np.int32], exponent: int) -> NDArray[np.float64]:
    # dividing by a power of ten rounds once, multiplying by 0.01 twice: 23012 / 100 is 230.12
    if exponent < 0:
        return np.divide(values, 10.0**-exponent, dtype=np.float64)
    return np.multiply(values, 10.0**exponent, dtype=np.float64)


def _tail_hours(view: HistoryAccess, series: StoredSeries, first: int, end: int) -> HourRollups:
    """The running hours, from the tail; minutes that are packed already (a late repeat) do not count twice."""
    if not series.has_rollups or end <= first:
        return HourRollups.empty()
    parts = []
    # an hour that starts before `end` may end after it
    for layout, block in view.tail(series.device_id, first, end + 90):
        if series.id not in layout.series[: layout.instant_count]:
            continue
        k = layout.series.index(series.id)
        keep = block.qualities[:, k] == 0
        for day in view.tail_days(first, end + 90):
            for _rowid, content in view.days([series.id], range(day, day + 1)):
                where = block.minutes - day * MINUTES_PER_DAY
                inside = (where >= 0) & (where < MINUTES_PER_DAY)
                packed = np.zeros(MINUTES_PER_DAY, np.uint8) if content.qualities is None else content.qualities
                keep[inside] &= packed[where[inside]] != 0
        hour_starts = view.hours.hour_starts(block.minutes[keep])
        parts.append(
            from_minutes(
                hour_starts, block.lows[keep, k], block.highs[keep, k], block.sums[keep, k], block.polls[keep, k]
            )
        )
    return merge(parts).between(first, end)


def _days_of(hours: HourRollups, day_starts: Ints, end: int) -> HourRollups:
    """Local days from local hours; only those that start before `end`."""
    if hours.starts.size == 0:
        return hours
    which = np.searchsorted(day_starts, hours.starts, "right") - 1
    days = condense(day_starts[which], *hours[1:])
    return days.between(int(day_starts[0]), end)


def _to_rollups(parts: Sequence[_ScaledHours]) -> RollupSeries:
    filled = [(exponent, hours) for exponent, hours in parts if hours.starts.size]
    starts = np.concatenate([hours.starts for _e, hours in filled]) if filled else np.empty(0, np.int64)

    def column(pick: str) -> NDArray[np.float64]:
        scaled = [_scale(getattr(hours, pick), exponent) for exponent, hours in filled]
        return np.concatenate(scaled) if scaled else np.empty(0)

    def count(pick: str) -> Ints:
        return np.concatenate([getattr(hours, pick) for _e, hours in filled]) if filled else np.empty(0, np.int64)

    order = np.argsort(starts, kind="stable")
    polls = count("polls")[order]
    sums = column("sums")[order]
    means = np.divide(sums, polls, out=np.full(polls.shape, np.nan), where=polls > 0)
    return RollupSeries(
        starts[order] * MINUTE_MS, column("lows")[order], means, column("highs")[order], polls, count("minutes")[order]
    )


def _gaps(qualities: NDArray[np.uint8], first: int) -> tuple[GapRun, ...]:
    return tuple(
        GapRun((first + start) * MINUTE_MS, (first + end) * MINUTE_MS, quality)
        for start, end, quality in zip(*(part.tolist() for part in quality_runs(qualities)), strict=True)
        if quality not in (Quality.GOOD, Quality.NOT_DUE)
    )


def _newest_tail_minutes(view: HistoryAccess) -> dict[int, int]:
    """Newest minute of each series that is still in the tail (of the last stretch of it)."""
    newest: dict[int, int] = {}
    rows = view.live.execute(
        "SELECT id, layout FROM tail ORDER BY id DESC LIMIT ?", (max(2_000, 20 * len(view.layouts)),)
    )
    seen: set[int] = set()
    for id_, layout_id in rows:
        if layout_id in seen:
            continue
        seen.add(layout_id)
        for series in view.layouts[layout_id].series:
            newest[series] = max(newest.get(series, 0), id_ >> MINUTE_BITS)
    return newest
