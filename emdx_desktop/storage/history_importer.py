"""Writes many days at once, straight into packed chunks and sealed months."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import DAY_MS, MINUTE_MS, CounterEpoch, Event, SeriesColumn, StateChange
from emdx_desktop.domain.ports import Clock
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId, Quality
from emdx_desktop.storage.chunks import MINUTES_PER_DAY, SERIES_MASK, Day, chunk_id, decode_day, empty_day, encode_day
from emdx_desktop.storage.connections import DamageErrors, EnvironmentErrors, write_transaction
from emdx_desktop.storage.day_packing import add_rollups, fold_into_chunk, merge_days
from emdx_desktop.storage.folder_check import prepare_folder
from emdx_desktop.storage.folder_lock import DataFolderLock
from emdx_desktop.storage.history_access import ZONE_KEY, HistoryAccess
from emdx_desktop.storage.housekeeping import SEAL_GRACE_MS
from emdx_desktop.storage.journal import insert_epochs, insert_events, insert_states
from emdx_desktop.storage.local_hours import LocalHours, open_zone
from emdx_desktop.storage.minute_commit import LAST_SAVED_KEY, MinuteCommitter, differing_event
from emdx_desktop.storage.month_sealing import MonthSealer
from emdx_desktop.storage.months import days_of_month, month_of_day
from emdx_desktop.storage.recovery import open_live
from emdx_desktop.storage.rollups import HourRollups, encode_rollups, from_minutes, merge
from emdx_desktop.storage.series_book import StoredSeries

PENDING_LIMIT_BYTES = 256 * 1024 * 1024

Ints: TypeAlias = NDArray[np.int64]


class SqliteHistoryImporter:
    """`HistoryImporter` of a data folder that nobody acquires into meanwhile."""

    def __init__(self, folder: Path, clock: Clock, zone: str | None = None) -> None:
        """Take the folder.

        Args:
            folder: Made when missing.
            clock: Says which months are finished.
            zone: IANA zone of the site for local hours; None for that of the stored installation.

        Raises:
            StorageFault: The place is unsafe, owned by somebody, or of a newer release.
        """
        prepare_folder(folder)
        self._folder = folder
        self._clock = clock
        self._lock = DataFolderLock(folder)
        self._lock.acquire("import of history")
        try:
            if zone is not None:
                open_zone(zone)
            self._connection = open_live(folder, clock.now_ms()).connection
        except BaseException:
            self._lock.release()
            raise
        stored = self._connection.execute("SELECT content FROM setting WHERE key = ?", (ZONE_KEY,)).get
        if stored is None and zone is not None:
            with write_transaction(self._connection):
                self._connection.execute("INSERT INTO setting VALUES (?, ?)", (ZONE_KEY, zone))
        self._hours = LocalHours(stored or zone or "UTC")
        committer = MinuteCommitter(self._connection)
        self._book = committer.book
        self._sealer = MonthSealer(folder, self._connection, lambda: self._book)
        self._chunks: dict[str, dict[int, bytes]] = {}
        self._rollups: dict[str, dict[int, HourRollups]] = {}
        self._pending_bytes = 0
        self._last_minute = -1
        self._is_closed = False
        self._hour_cache: tuple[tuple[int, int], Ints] | None = None
        self._begin()

    def _begin(self) -> None:
        # one transaction over all calls: thousands of series would wait for the disk one by one
        self._connection.execute("BEGIN IMMEDIATE")

    def import_minutes(
        self,
        device_id: DeviceId,
        column: SeriesColumn,
        start_ms: int,
        values: NDArray[np.int64],
        is_good: NDArray[np.bool_] | None = None,
    ) -> None:
        """Minutes from `start_ms` (whole minute) on, scaled integers or raw counts, shape (n,).

        Each good minute counts as one poll of its value in the hours.

        Raises:
            StorageFault: The folder refuses.
            ValueError: `start_ms` is no whole minute, or the shapes differ.
        """
        if start_ms % MINUTE_MS or (is_good is not None and is_good.shape != values.shape):
            raise ValueError("start_ms must be a whole minute, is_good as long as values")
        if values.size == 0:
            return
        first = start_ms // MINUTE_MS
        days = range(first // MINUTES_PER_DAY, (first + values.size - 1) // MINUTES_PER_DAY + 1)
        series = self._book.ensure(device_id, column, first)
        if any(chunk_id(day, series.id) in self._chunks.get(month_of_day(day), ()) for day in days):
            # parts of a day were given before: put them where they can be joined
            self._flush()
        self._pack(series, first, values, is_good, days)
        self._book.widen(series.id, first, first + values.size - 1)
        self._last_minute = max(self._last_minute, first + values.size - 1)
        if self._pending_bytes > PENDING_LIMIT_BYTES:
            self._flush()

    def _pack(
        self, series: StoredSeries, first: int, values: Ints, is_good: NDArray[np.bool_] | None, days: range
    ) -> None:
        lead = first - days.start * MINUTES_PER_DAY
        total = len(days) * MINUTES_PER_DAY
        flat = np.zeros(total, np.int64)
        flat[lead : lead + values.size] = values
        qualities = np.full(total, Quality.NOT_RECORDED, np.uint8)
        qualities[lead : lead + values.size] = (
            0 if is_good is None else np.where(is_good, Quality.GOOD, Quality.NOT_RECORDED)
        )
        grid = flat.reshape(-1, MINUTES_PER_DAY)
        by_day = qualities.reshape(-1, MINUTES_PER_DAY)
        has_gaps = [bool(day.any()) for day in by_day]
        for row, day in enumerate(days):
            rowid = chunk_id(day, series.id)
            body = encode_day(rowid, grid[row], by_day[row] if has_gaps[row] else None)
            self._chunks.setdefault(month_of_day(day), {})[rowid] = body
            self._pending_bytes += len(body)
        if not series.has_rollups:
            return
        starts = self._hour_starts(first, values.size)
        for month in dict.fromkeys(month_of_day(day) for day in days):
            span = days_of_month(month)
            low = max(0, span.start * MINUTES_PER_DAY - first)
            high = min(values.size, span.stop * MINUTES_PER_DAY - first)
            kept, hour_starts = values[low:high], starts[low:high]
            if is_good is not None:
                kept, hour_starts = kept[is_good[low:high]], hour_starts[is_good[low:high]]
            hours = from_minutes(hour_starts, kept, kept, kept, np.ones(kept.size, np.int64))
            pending = self._rollups.setdefault(month, {})
            pending[series.id] = merge([pending[series.id], hours]) if series.id in pending else hours

    def _hour_starts(self, first: int, count: int) -> Ints:
        key = (first, count)
        if self._hour_cache is None or self._hour_cache[0] != key:
            self._hour_cache = (key, self._hours.hour_starts(np.arange(first, first + count)))
        return self._hour_cache[1]

    def import_states(self, changes: Sequence[StateChange]) -> None:
        """State changes, ascending."""
        insert_states(self._connection, changes)

    def add_epoch(self, epoch: CounterEpoch) -> None:
        """Factor of a counter from a moment on."""
        insert_epochs(self._connection, [epoch])

    def finish(self) -> None:
        """Seal finished months, make all of it durable, and give the folder back.

        Raises:
            StorageFault: The folder refuses; what was sealed before stays.
        """
        try:
            self._flush()
            if self._last_minute >= 0 and self._last_minute * MINUTE_MS <= self._clock.now_ms():
                self._connection.execute(
                    "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET content = ?2 "
                    "WHERE CAST(content AS INTEGER) < CAST(?2 AS INTEGER)",
                    (LAST_SAVED_KEY, str(self._last_minute * MINUTE_MS)),
                )
            self._connection.execute("COMMIT")
            self._seal_finished()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (*EnvironmentErrors, *DamageErrors) as error:
            raise StorageFault(
                f"History could not be imported completely ({error}): free disk space and import again, "
                "minutes that are there already are not stored twice."
            ) from error
        finally:
            self.close()

    def close(self) -> None:
        """Give the folder back; what was not finished is dropped."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._connection.close()
        self._lock.release()

    def _flush(self) -> None:
        """Put what is pending into sealed files, or into the live file where a month is unfinished or known."""
        chunks, self._chunks = self._chunks, {}
        rollups, self._rollups = self._rollups, {}
        self._pending_bytes = 0
        self._connection.execute("COMMIT")
        with_live_days = set(self._sealer.months_with_live_days())
        sealed = {row[0] for row in self._connection.execute("SELECT month FROM sealed_month")}
        direct = {m for m in chunks if self._is_finished(m) and m not in sealed and m not in with_live_days}
        for month in sorted(chunks):
            rows = chunks[month]
            if month in direct:
                self._seal_directly(month, rows, rollups, direct)
            else:
                self._fold_in(month, rows, has_sealed_before=_month_before(month) in direct)
        self._begin()

    def _seal_directly(
        self, month: str, rows: dict[int, bytes], rollups: dict[str, dict[int, HourRollups]], direct: set[str]
    ) -> None:
        """Seal a month of which the folder held nothing.

        Where local hours do not start with UTC hours, one reaches over the end of the month: it belongs
        to the month it starts in, and the minutes of the other month add to it.
        """
        span = days_of_month(month)
        first, end = span.start * MINUTES_PER_DAY, span.stop * MINUTES_PER_DAY
        hours: dict[int, HourRollups] = {}
        following = rollups.get(month_of_day(span.stop), {})
        for series_id in {*rollups.get(month, {}), *following}:
            parts = [part[series_id] for part in (rollups.get(month, {}), following) if series_id in part]
            joined = merge(parts)
            hours[series_id] = joined.between(first, end)
            reaching_back = joined.between(0, first)
            if reaching_back.starts.size and _month_before(month) not in direct:
                with write_transaction(self._connection):
                    add_rollups(self._connection, series_id, reaching_back)
        encoded = ((id_, encode_rollups(id_, part)) for id_, part in sorted(hours.items()) if part.starts.size)
        self._sealer.seal_new(month, sorted(rows.items()), encoded)

    def _is_finished(self, month: str) -> bool:
        return days_of_month(month).stop * DAY_MS <= self._clock.now_ms() - SEAL_GRACE_MS

    def _fold_in(self, month: str, rows: dict[int, bytes], has_sealed_before: bool) -> None:
        """Join packed days with what the folder holds of them; hours grow by the minutes that are new."""
        access = HistoryAccess(self._folder, _ignore_damage, self._connection)
        try:
            with write_transaction(self._connection):
                access.refresh()
                known: dict[int, list[Day]] = {}
                for rowid, day in access.decoded(rows):
                    known.setdefault(rowid, []).append(day)
                events: list[Event] = []
                # an hour that starts in the month before was counted whole when that was sealed
                skip_before = days_of_month(month).start * MINUTES_PER_DAY if has_sealed_before else 0
                for rowid, body in sorted(rows.items()):
                    self._fold_day(rowid, body, known.get(rowid, []), events, skip_before)
                insert_events(self._connection, events)
        finally:
            access.close()

    def _fold_day(self, rowid: int, body: bytes, known: list[Day], events: list[Event], skip_before: int) -> None:
        series = self._book.by_id(rowid & SERIES_MASK)
        utc_day = rowid >> 24
        new = decode_day(rowid, body)
        values = new.values.astype(np.int64)
        qualities = np.zeros(MINUTES_PER_DAY, np.uint8) if new.qualities is None else new.qualities
        old = Day(*empty_day())
        for day in known:
            present = np.zeros(MINUTES_PER_DAY, np.uint8) if day.qualities is None else day.qualities
            is_counter = series.kind is QuantityKind.COUNTER
            merged, merged_qualities, _takes, _differs = merge_days(
                old, day.values.astype(np.int64), present, is_counter
            )
            old = Day(merged, merged_qualities)
        folded, differing = fold_into_chunk(series, utc_day, old, values, qualities)
        if differing:
            events.append(differing_event(series.device_id, series.quantity, utc_day * MINUTES_PER_DAY, differing))
        if folded is None:
            return
        self._connection.execute("INSERT OR REPLACE INTO chunk VALUES (?, ?)", (rowid, folded))
        if series.has_rollups:
            was_good = np.zeros(MINUTES_PER_DAY, np.bool_) if old.qualities is None else old.qualities == 0
            fresh = np.flatnonzero((qualities == 0) & ~was_good)
            starts = self._hours.hour_starts(utc_day * MINUTES_PER_DAY + fresh)
            kept = values[fresh]
            hours = from_minutes(starts, kept, kept, kept, np.ones(kept.size, np.int64))
            add_rollups(self._connection, series.id, hours.between(skip_before, (utc_day + 1) * MINUTES_PER_DAY))

    def _seal_finished(self) -> None:
        for month in self._sealer.months_with_live_days():
            if self._is_finished(month):
                self._sealer.seal(month)


def _month_before(month: str) -> str:
    return month_of_day(days_of_month(month).start - 1)


def _ignore_damage(_key: str, _message: str) -> None:
    """A damaged day counts as missing here; the reader tells about it."""
