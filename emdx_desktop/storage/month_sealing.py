"""A finished month becomes a file of its own: written beside, synced, verified, renamed, catalogued, then
dropped from the live file. Late days and ageing make a new revision the same way, never in place."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import apsw
import numpy as np

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.storage.chunks import MINUTES_PER_DAY, SERIES_MASK, Day, chunk_id, decode_day, encode_day
from emdx_desktop.storage.connections import create_month_file, open_sealed, write_transaction
from emdx_desktop.storage.day_packing import merge_days
from emdx_desktop.storage.journal_copy import RECOVERY_KEY, pack_journal
from emdx_desktop.storage.months import (
    HISTORY_FOLDER,
    days_of_month,
    month_file_name,
    month_of_day,
    parse_month_file,
)
from emdx_desktop.storage.recovery import remove_revision
from emdx_desktop.storage.rollups import HourRollups, decode_rollups, encode_rollups, merge
from emdx_desktop.storage.schema import MONTH_SCHEMA
from emdx_desktop.storage.series_book import SeriesBook

DAY_MS = 86_400_000
Row = tuple[int, bytes]


def write_month_file(
    folder: Path,
    month: str,
    revision: int,
    chunks: Iterable[Row],
    rollups: Iterable[Row],
    settings: dict[str, str | bytes],
) -> Path:
    """Write, sync, verify and rename a month.

    Args:
        folder: Data folder.
        month: For example `2026-10`.
        revision: 0 for the first.
        chunks: Ascending by rowid.
        rollups: Ascending by series.
        settings: Notes kept in the file.

    Raises:
        StorageFault: What was written cannot be read back; nothing was changed.
    """
    final = folder / HISTORY_FOLDER / month_file_name(month, revision)
    beside = final.with_name(final.name + ".part")
    beside.unlink(missing_ok=True)
    connection = create_month_file(beside)
    try:
        with write_transaction(connection):
            connection.execute(MONTH_SCHEMA)
            connection.executemany("INSERT INTO chunk VALUES (?, ?)", chunks)
            connection.executemany("INSERT INTO rollup VALUES (?, ?)", rollups)
            connection.executemany("INSERT INTO setting VALUES (?, ?)", [("month", month), *settings.items()])
    except BaseException:
        connection.close()
        beside.unlink(missing_ok=True)
        raise
    connection.close()
    _sync(beside)
    _verify(beside)
    beside.replace(final)
    if sys.platform != "win32":
        _sync(final.parent)  # the new name itself; Windows keeps names in its own journal
    return final


def _sync(path: Path) -> None:
    flags = os.O_RDONLY if path.is_dir() or sys.platform != "win32" else os.O_RDWR
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _verify(path: Path) -> None:
    connection = open_sealed(path)
    try:
        answer = connection.execute("PRAGMA integrity_check(1)").fetchall()[0][0]
        if answer != "ok":
            raise StorageFault(f"{path.name} could not be read back ({answer}): check the disk.")
        for rowid, body in connection.execute("SELECT id, body FROM chunk"):
            decode_day(rowid, body)
        for rowid, body in connection.execute("SELECT id, body FROM rollup"):
            decode_rollups(rowid, body)
    except (apsw.Error, StorageFault) as error:
        raise StorageFault(f"{path.name} could not be read back ({error}): check the disk.") from error
    finally:
        connection.close()


class MonthSealer:
    """Seals, re-seals and ages months on the writing connection."""

    def __init__(self, folder: Path, connection: apsw.Connection, book: Callable[[], SeriesBook]) -> None:
        self._folder = folder
        self._connection = connection
        self._book = book

    def months_with_live_days(self) -> list[str]:
        """Months that have packed days or hours in the live file."""
        months: dict[str, None] = {}
        for table in ("chunk", "rollup"):
            position = 0
            while True:
                found = self._connection.execute(f"SELECT min(id) FROM {table} WHERE id >= ?", (position,)).get
                if found is None:
                    break
                month = month_of_day(found >> 24)
                months[month] = None
                position = chunk_id(days_of_month(month).stop, 0)
        return sorted(months)

    def seal(self, month: str) -> None:
        """Move a month's days from the live file into its sealed file.

        Raises:
            StorageFault: It could not be written; nothing was changed.
        """
        days = days_of_month(month)
        span = (chunk_id(days.start, 0), chunk_id(days.stop, 0))
        old = self._old_file(month)
        sealed = open_sealed(old) if old is not None else None
        try:
            final = write_month_file(
                self._folder,
                month,
                self._next_revision(month),
                self._merged_chunks(sealed, span),
                self._merged_rollups(sealed, span),
                self._settings(month, days, is_aged=False),
            )
        finally:
            if sealed is not None:
                sealed.close()
        with write_transaction(self._connection):
            self._catalogue(month, final, is_aged=False)
            self._connection.execute("DELETE FROM chunk WHERE id >= ? AND id < ?", span)
            self._connection.execute("DELETE FROM rollup WHERE id >= ? AND id < ?", span)
        if old is not None:
            remove_revision(old)

    def seal_new(self, month: str, chunks: Iterable[Row], rollups: Iterable[Row]) -> None:
        """Seal a month of which the folder holds nothing yet (import)."""
        settings = self._settings(month, days_of_month(month), is_aged=False)
        final = write_month_file(self._folder, month, self._next_revision(month), chunks, rollups, settings)
        with write_transaction(self._connection):
            self._catalogue(month, final, is_aged=False)

    def replace_rollups(self, month: str, hours: dict[int, HourRollups]) -> None:
        """Write a sealed month anew with other hours; its days stay as they are.

        Raises:
            StorageFault: It could not be written; nothing was changed.
        """
        old = self._old_file(month)
        if old is None:
            return
        sealed = open_sealed(old)
        try:
            final = write_month_file(
                self._folder,
                month,
                self._next_revision(month),
                sealed.execute("SELECT id, body FROM chunk ORDER BY id"),
                [(id_, encode_rollups(id_, part)) for id_, part in sorted(hours.items())],
                self._settings(month, days_of_month(month), is_aged=False),
            )
        finally:
            sealed.close()
        with write_transaction(self._connection):
            self._catalogue(month, final, is_aged=False)
        if old is not None:
            remove_revision(old)

    def age(self, month: str) -> None:
        """Drop the minutes of instants of a sealed month; counters, read offsets and all hours stay.

        Raises:
            StorageFault: It could not be written; nothing was changed.
        """
        old = self._old_file(month)
        if old is None:
            return
        book = self._book()
        kept = {series.id for series in book.all() if not series.has_rollups}
        sealed = open_sealed(old)
        try:
            chunks = (
                (id_, body)
                for id_, body in sealed.execute("SELECT id, body FROM chunk ORDER BY id")
                if id_ & SERIES_MASK in kept
            )
            final = write_month_file(
                self._folder,
                month,
                self._next_revision(month),
                chunks,
                sealed.execute("SELECT id, body FROM rollup ORDER BY id"),
                self._settings(month, days_of_month(month), is_aged=True),
            )
        finally:
            sealed.close()
        with write_transaction(self._connection):
            self._catalogue(month, final, is_aged=True)
        if old is not None:
            remove_revision(old)

    def _catalogue(self, month: str, final: Path, is_aged: bool) -> None:
        row = (month, final.name, final.stat().st_size, int(is_aged))
        self._connection.execute("INSERT OR REPLACE INTO sealed_month VALUES (?, ?, ?, ?)", row)

    def _settings(self, month: str, days: range, is_aged: bool) -> dict[str, str | bytes]:
        return {
            "is_aged": str(int(is_aged)),
            RECOVERY_KEY: pack_journal(self._connection, days.start * DAY_MS, days.stop * DAY_MS),
        }

    def _old_file(self, month: str) -> Path | None:
        row = self._connection.execute("SELECT file FROM sealed_month WHERE month = ?", (month,)).fetchone()
        return self._folder / HISTORY_FOLDER / row[0] if row else None

    def _next_revision(self, month: str) -> int:
        revisions = [
            parsed[1]
            for path in (self._folder / HISTORY_FOLDER).glob(f"{month}*.db")
            if (parsed := parse_month_file(path)) is not None
        ]
        return max(revisions, default=-1) + 1

    def _merged_chunks(self, sealed: apsw.Connection | None, span: tuple[int, int]) -> Iterator[Row]:
        query = "SELECT id, body FROM chunk WHERE id >= ? AND id < ? ORDER BY id"
        live = self._connection.execute(query, span)
        if sealed is None:
            yield from live
            return
        book = self._book()
        for id_, old_body, new_body in _side_by_side(sealed.execute(query, span), live):
            if new_body is None:
                yield id_, old_body or b""
                continue
            if old_body is None:
                yield id_, new_body
                continue
            try:
                old = decode_day(id_, old_body)
            except StorageFault:
                yield id_, new_body
                continue
            new = decode_day(id_, new_body)
            is_counter = book.by_id(id_ & SERIES_MASK).kind is QuantityKind.COUNTER
            values, qualities, _takes, _differs = merge_days(old, new.values.astype(np.int64), _dense(new), is_counter)
            yield id_, encode_day(id_, values, qualities)

    def _merged_rollups(self, sealed: apsw.Connection | None, span: tuple[int, int]) -> Iterator[Row]:
        parts: dict[int, list[HourRollups]] = {}
        if sealed is not None:
            for series, body in sealed.execute("SELECT id, body FROM rollup"):
                parts.setdefault(series, []).append(decode_rollups(series, body))
        for id_, body in self._connection.execute("SELECT id, body FROM rollup WHERE id >= ? AND id < ?", span):
            parts.setdefault(id_ & SERIES_MASK, []).append(decode_rollups(id_, body))
        for series in sorted(parts):
            yield series, encode_rollups(series, merge(parts[series]))


def _dense(day: Day) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.zeros(MINUTES_PER_DAY, np.uint8) if day.qualities is None else day.qualities


def _side_by_side(old: Iterable[Row], new: Iterable[Row]) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    """Two ascending lists of rows as one."""
    old_rows, new_rows = iter(old), iter(new)
    left, right = next(old_rows, None), next(new_rows, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0], left[1], None
            left = next(old_rows, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = next(new_rows, None)
        else:
            yield left[0], left[1], right[1]
            left, right = next(old_rows, None), next(new_rows, None)
