"""A finished UTC day leaves the tail: one chunk a series, and its local hours, in one transaction."""

from __future__ import annotations

from collections.abc import Callable

import apsw
import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.history import Event
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.chunks import SERIES_MASK, Day, chunk_id, empty_day, encode_day
from emdx_desktop.storage.connections import write_transaction
from emdx_desktop.storage.history_access import MINUTES_PER_DAY, HistoryAccess
from emdx_desktop.storage.journal import insert_events
from emdx_desktop.storage.minute_commit import differing_event
from emdx_desktop.storage.rollups import HourRollups, decode_rollups, encode_rollups, from_minutes, merge
from emdx_desktop.storage.series_book import SeriesBook, StoredSeries
from emdx_desktop.storage.tail import DEVICE_MASK, StoredLayout, TailBlock, tail_id

Ints = NDArray[np.int64]
_NOT_RECORDED = empty_day()[1][0]


def merge_days(
    old: Day, new_values: Ints, new_qualities: NDArray[np.uint8], is_counter: bool
) -> tuple[Ints, NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Put new minutes to old ones. Same again is nothing; instants keep the first, counters the later index.

    Returns:
        Values, qualities, where something was taken over, where two good values differ. Shape (1440,).
    """
    old_qualities = np.zeros(MINUTES_PER_DAY, np.uint8) if old.qualities is None else old.qualities
    old_values = old.values.astype(np.int64)
    added = (new_qualities == 0) & (old_qualities != 0)
    differs = (new_qualities == 0) & (old_qualities == 0) & (old_values != new_values)
    takes = added | ((old_qualities == _NOT_RECORDED) & (new_qualities != _NOT_RECORDED))
    if is_counter:
        takes = takes | differs
    values = np.where(takes, new_values, old_values)
    qualities = np.where(takes, new_qualities, old_qualities).astype(np.uint8)
    return values, qualities, takes, differs


class DayPacker:
    """Packs days on the writing connection."""

    def __init__(self, connection: apsw.Connection, book: SeriesBook, open_access: Callable[[], HistoryAccess]) -> None:
        self._connection = connection
        self._book = book
        self._open_access = open_access

    def pack(self, utc_day: int) -> bool:
        """Pack all tail rows of a day, finished or late, in one transaction.

        Returns:
            Whether there were any.
        """
        first, end = utc_day * MINUTES_PER_DAY, (utc_day + 1) * MINUTES_PER_DAY
        span = (tail_id(first, 0), tail_id(end, 0))
        devices = [
            DeviceId(row[0])
            for row in self._connection.execute(
                f"SELECT DISTINCT id & {DEVICE_MASK} FROM tail WHERE id >= ? AND id < ?", span
            )
        ]
        if not devices:
            return False
        access = self._open_access()
        try:
            with write_transaction(self._connection):
                access.refresh()
                for device_id in devices:
                    self._pack_device(access, device_id, utc_day)
                self._connection.executemany(
                    "INSERT INTO quarantine(ts_ms, reason, record) "
                    "SELECT (id >> 24) * 60000, 'damaged tail row ' || id, body FROM tail WHERE id = ?",
                    [(id_,) for id_ in access.damaged_tail],
                )
                self._connection.execute("DELETE FROM tail WHERE id >= ? AND id < ?", span)
        except BaseException:
            self._book.reload()
            raise
        finally:
            access.close()
        return True

    def _pack_device(self, access: HistoryAccess, device_id: DeviceId, utc_day: int) -> None:
        first = utc_day * MINUTES_PER_DAY
        tail = access.tail(device_id, first, first + MINUTES_PER_DAY)
        by_series: dict[int, list[tuple[int, StoredLayout, TailBlock]]] = {}
        starts_of = {id(block): access.hours.hour_starts(block.minutes) for _layout, block in tail}
        for layout, block in tail:
            for k, series_id in enumerate(layout.series):
                by_series.setdefault(series_id, []).append((k, layout, block))
        known: dict[int, list[tuple[int, Day]]] = {}
        for rowid, day in access.days(sorted(by_series), range(utc_day, utc_day + 1)):
            known.setdefault(rowid & SERIES_MASK, []).append((rowid, day))
        events: list[Event] = []
        chunks: list[tuple[int, bytes]] = []
        for series_id, parts in by_series.items():
            series = self._book.by_id(series_id)
            # a minute of a device has one row, so rows of several layouts never meet
            values, qualities = empty_day()
            pieces: list[HourRollups] = []
            old = _combined([day for _rowid, day in known.get(series_id, [])], series)
            for k, layout, block in parts:
                where = block.minutes - first
                values[where] = block.values[:, k]
                qualities[where] = block.qualities[:, k]
                if k < layout.instant_count:
                    keep = block.qualities[:, k] == 0
                    if old is not None:
                        keep &= False if old.qualities is None else old.qualities[where] != 0
                    pieces.append(
                        from_minutes(
                            starts_of[id(block)][keep],
                            block.lows[keep, k],
                            block.highs[keep, k],
                            block.sums[keep, k],
                            block.polls[keep, k],
                        )
                    )
            present = np.flatnonzero(qualities != _NOT_RECORDED)
            if not present.size:
                continue  # all its rows are damaged
            body, differing = fold_into_chunk(series, utc_day, old, values, qualities)
            if body is not None:
                chunks.append((chunk_id(utc_day, series_id), body))
            if differing:
                events.append(differing_event(device_id, series.quantity, first, differing))
            add_rollups(self._connection, series_id, merge(pieces))
            self._book.widen(series_id, first + int(present[0]), first + int(present[-1]))
        self._connection.executemany("INSERT OR REPLACE INTO chunk VALUES (?, ?)", sorted(chunks))
        insert_events(self._connection, events)


def _combined(days: list[Day], series: StoredSeries) -> Day | None:
    """What is packed already: in the sealed month, and late minutes of it in the live file."""
    if not days:
        return None
    combined = days[0]
    for day in days[1:]:
        qualities = np.zeros(MINUTES_PER_DAY, np.uint8) if day.qualities is None else day.qualities
        is_counter = series.kind is QuantityKind.COUNTER
        values, merged, _takes, _differs = merge_days(combined, day.values.astype(np.int64), qualities, is_counter)
        combined = Day(values, merged)
    return combined


def fold_into_chunk(
    series: StoredSeries, utc_day: int, old: Day | None, values: Ints, qualities: NDArray[np.uint8]
) -> tuple[bytes | None, int]:
    """Make the live chunk of a day.

    Returns:
        Its bytes (None when nothing is new), and how many minutes came again with another value.
    """
    if old is None:
        return encode_day(chunk_id(utc_day, series.id), values, qualities), 0
    is_counter = series.kind is QuantityKind.COUNTER
    merged, merged_qualities, takes, differs = merge_days(old, values, qualities, is_counter)
    differing = int(differs.sum())
    if not takes.any():
        return None, differing
    return encode_day(chunk_id(utc_day, series.id), merged, merged_qualities), differing


def add_rollups(connection: apsw.Connection, series_id: int, hours: HourRollups) -> None:
    """Add hours of minutes nobody counted yet to the live file. Inside a write transaction."""
    if hours.starts.size == 0:
        return
    first_day, last_day = (int(hours.starts[k]) // MINUTES_PER_DAY for k in (0, -1))
    for utc_day in range(first_day, last_day + 1):
        rowid = chunk_id(utc_day, series_id)
        part = hours.between(utc_day * MINUTES_PER_DAY, (utc_day + 1) * MINUTES_PER_DAY)
        if part.starts.size == 0:
            continue
        row = connection.execute("SELECT body FROM rollup WHERE id = ?", (rowid,)).fetchone()
        if row is not None:
            part = merge([decode_rollups(rowid, row[0]), part])
        connection.execute("INSERT OR REPLACE INTO rollup VALUES (?, ?)", (rowid, encode_rollups(rowid, part)))
