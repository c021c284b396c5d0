"""Looks series up in live file and sealed months through one thread's connections."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import apsw
import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import MINUTE_MS, CounterEpoch
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.chunks import SERIES_MASK, Day, chunk_id, decode_day
from emdx_desktop.storage.connections import DamageErrors, EnvironmentErrors, open_for_reading, open_sealed
from emdx_desktop.storage.journal import load_epochs
from emdx_desktop.storage.local_hours import LocalHours
from emdx_desktop.storage.months import HISTORY_FOLDER, LIVE_FILE_NAME, month_of_day
from emdx_desktop.storage.rollups import HourRollups, decode_rollups, merge
from emdx_desktop.storage.schema import has_all_tables, require_known_version
from emdx_desktop.storage.series_book import SeriesBook
from emdx_desktop.storage.tail import MINUTE_BITS, StoredLayout, TailBlock, decode_rows, tail_id

MINUTES_PER_DAY = 1440
ZONE_KEY = "zone"
_ANY_ID = 2**63 - 1
_LOOK_S = 0.2  # how often to look whether the live file was replaced
_OPEN_MONTHS = 40  # a year's chart beside last year's, and some

Row: TypeAlias = tuple[int, Any]

DamageReport = Callable[[str, str], None]
"""Told the key and the sentence about data that cannot be shown."""


class HistoryAccess:
    """One thread's view of a data folder. Not to be shared between threads."""

    def __init__(self, folder: Path, on_damage: DamageReport, live: apsw.Connection | None = None) -> None:
        """Open the live file.

        Args:
            folder: Data folder.
            on_damage: Told about what cannot be read.
            live: A connection to use instead of one of its own.

        Raises:
            StorageFault: There is none, or a newer release wrote it.
        """
        self._folder = folder
        self._on_damage = on_damage
        self._owns_live = live is None
        self.damaged_tail: list[int] = []
        path = folder / LIVE_FILE_NAME
        if live is None:
            if not path.exists():
                raise StorageFault(f"The data folder {folder} holds no history yet: start acquisition there first.")
            live = open_for_reading(path)
        self.live = live
        try:
            require_known_version(live)
            if not has_all_tables(live):
                raise StorageFault(f"{path} is empty or incomplete: start acquisition there, it makes a fresh one.")
            self._file_id = _file_id(path)
            self._data_version = -1
            self._months: OrderedDict[str, apsw.Connection] = OrderedDict()
            self.month_files: dict[str, str] = {}
            self.book = SeriesBook(live)
            self.layouts: dict[int, StoredLayout] = {}
            self._tail_span = self._chunk_span = (0, _ANY_ID)
            self._next_look_s = 0.0
            self._epochs: dict[tuple[DeviceId, str], tuple[CounterEpoch, ...]] = {}
            self.hours = LocalHours("UTC")
        except DamageErrors as error:
            self.close()
            raise StorageFault(f"{path} is damaged ({error}): start acquisition there, it sets it aside.") from error
        except (StorageFault, *EnvironmentErrors):
            self.close()
            raise

    @property
    def is_current(self) -> bool:
        """Whether the live file is still the one that was opened (a damaged one is set aside and replaced)."""
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return True
        self._next_look_s = now_s + _LOOK_S
        return _file_id(self._folder / LIVE_FILE_NAME) == self._file_id

    def close(self) -> None:
        """Close all connections."""
        for connection in getattr(self, "_months", {}).values():
            connection.close()
        if self._owns_live:
            self.live.close()

    def refresh(self) -> None:
        """Take note of what others committed: new series, layouts, months. Inside a read transaction."""
        version = self.live.execute("PRAGMA data_version").get
        if version == self._data_version and self._owns_live:
            return
        self.book.reload()
        self.layouts = {
            id_: StoredLayout.from_bytes(device, blob)
            for id_, device, blob in self.live.execute("SELECT id, device, series FROM layout")
        }
        self.month_files = dict(self.live.execute("SELECT month, file FROM sealed_month"))
        zone = self.live.execute("SELECT content FROM setting WHERE key = ?", (ZONE_KEY,)).fetchone()
        if zone is not None and zone[0] != self.hours.zone_name:
            self.hours = LocalHours(zone[0])
        # outside of these nothing needs to be looked for: most of what charts ask is sealed
        self._tail_span = self._span("tail")
        self._chunk_span = self._span("chunk")
        self._epochs.clear()
        self._data_version = version

    def epochs(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> tuple[CounterEpoch, ...]:
        """Epochs of a counter that touch [start_ms, end_ms), ascending."""
        key = (device_id, quantity)
        every = self._epochs.get(key)
        if every is None:
            every = load_epochs(self.live, device_id, quantity, -_ANY_ID, _ANY_ID)
            self._epochs[key] = every
        running = 0
        for position, epoch in enumerate(every):
            if epoch.start_ms <= start_ms:
                running = position
        return tuple(epoch for epoch in every[running:] if epoch.start_ms < end_ms)

    def _span(self, table: str) -> tuple[int, int]:
        if not self._owns_live:
            return (0, _ANY_ID)  # on the writer's own connection rows change under way
        lowest = self.live.execute(f"SELECT min(id) FROM {table}").get
        if lowest is None:
            return (_ANY_ID, 0)
        return (lowest, self.live.execute(f"SELECT max(id) FROM {table}").get)

    def month(self, month: str) -> apsw.Connection | None:
        """The sealed file of a month such as `2026-10`, None when it is not sealed or cannot be opened."""
        name = self.month_files.get(month)
        if name is None:
            return None
        connection = self._months.get(name)
        if connection is not None:
            self._months.move_to_end(name)
            return connection
        try:
            connection = open_sealed(self._folder / HISTORY_FOLDER / name)
        except (StorageFault, *DamageErrors) as error:
            self._on_damage(f"storage.month.{month}", f"The sealed month {month} cannot be read: {error}")
            return None
        self._months[name] = connection
        while len(self._months) > _OPEN_MONTHS:
            _name, oldest = self._months.popitem(last=False)
            oldest.close()
        return connection

    def live_chunks(self, ids: Sequence[int]) -> list[Row]:
        """Chunks of the live file."""
        if not ids:
            return []
        if max(ids) < self._chunk_span[0] or min(ids) > self._chunk_span[1]:
            return []
        return _fetch(self.live, "SELECT id, body FROM chunk WHERE id = ?", ids)

    def sealed_chunks(self, ids: Sequence[int]) -> Iterator[Row]:
        """Chunks of sealed months; damage costs what it touches and is told."""
        by_month: dict[str, list[int]] = {}
        last_day = -1
        wanted: list[int] = []
        for id_ in ids:
            day = id_ >> MINUTE_BITS
            if day != last_day:
                last_day = day
                wanted = by_month.setdefault(month_of_day(day), [])
            wanted.append(id_)
        for month, wanted in by_month.items():
            connection = self.month(month)
            if connection is not None:
                yield from self._fetch_sealed(connection, month, "SELECT id, body FROM chunk WHERE id = ?", wanted)

    def _fetch_sealed(self, connection: apsw.Connection, month: str, query: str, ids: Sequence[int]) -> list[Row]:
        try:
            if len(ids) > 2 and ids[-1] - ids[0] < 2 * len(ids):
                # the series of a device stand side by side
                kept = set(ids)
                span = (min(ids), max(ids))
                near: list[Row] = list(connection.execute(query.replace("= ?", "BETWEEN ? AND ?"), span))
                return [row for row in near if row[0] in kept]
            return _fetch(connection, query, ids)
        except (*DamageErrors, *EnvironmentErrors):
            rows: list[Row] = []
            for id_ in ids:
                try:
                    rows += _fetch(connection, query, [id_])
                except (*DamageErrors, *EnvironmentErrors) as error:
                    self._on_damage(
                        f"storage.month.{month}",
                        f"Pages of the sealed month {month} are damaged ({error}), so parts of it are shown as gaps: "
                        "restore history/ from a backup.",
                    )
            return rows

    def decode(self, rowid: int, body: bytes, into: NDArray[np.int32] | None = None) -> Day | None:
        """Unpack a chunk, see `decode_day`; None, and a notice, when it is not what was written."""
        try:
            return decode_day(rowid, body, into)
        except StorageFault as error:
            day, series = rowid >> MINUTE_BITS, rowid & SERIES_MASK
            self._on_damage(
                f"storage.chunk.{month_of_day(day)}",
                f"{error} The day is shown as a gap (series {series}, month {month_of_day(day)}): "
                "restore history/ from a backup.",
            )
            return None

    def packed(self, ids: Iterable[int]) -> list[Row]:
        """Bytes of packed days with their chunk ids; refresh() first. Sealed months, then the live file."""
        wanted = list(ids)
        return [*self.sealed_chunks(wanted), *self.live_chunks(wanted)]

    def decoded(self, ids: Iterable[int]) -> Iterator[tuple[int, Day]]:
        """As `packed`, unpacked."""
        for rowid, body in self.packed(ids):
            day = self.decode(rowid, body)
            if day is not None:
                yield rowid, day

    def days(self, series_ids: Sequence[int], days: range) -> Iterator[tuple[int, Day]]:
        """Packed days of series with their chunk ids; refresh() first. Sealed months, then the live file."""
        return self.decoded([chunk_id(day, series) for day in days for series in series_ids])

    def tail_days(self, first_minute: int, end_minute: int) -> list[int]:
        """UTC days that have tail rows of any device in the range."""
        days: list[int] = []
        first_minute = max(first_minute, self._tail_span[0] >> MINUTE_BITS)
        end_minute = min(end_minute, (self._tail_span[1] >> MINUTE_BITS) + 1)
        minute = first_minute
        while minute < end_minute:
            found = self.live.execute("SELECT min(id) FROM tail WHERE id >= ?", (tail_id(minute, 0),)).get
            if found is None or found >> MINUTE_BITS >= end_minute:
                break
            day = (found >> MINUTE_BITS) // MINUTES_PER_DAY
            days.append(day)
            minute = (day + 1) * MINUTES_PER_DAY
        return days

    def tail(self, device_id: DeviceId, first_minute: int, end_minute: int) -> list[tuple[StoredLayout, TailBlock]]:
        """Tail rows of a device in [first_minute, end_minute), by layout."""
        wanted: list[int] = []
        for day in self.tail_days(first_minute, end_minute):
            start = max(first_minute, day * MINUTES_PER_DAY)
            end = min(end_minute, (day + 1) * MINUTES_PER_DAY)
            wanted += range(tail_id(start, device_id), tail_id(end, device_id), 1 << MINUTE_BITS)
        rows: dict[int, list[Row]] = {}
        cursor = self.live.cursor()
        for id_, layout, body in cursor.executemany(
            "SELECT id, layout, body FROM tail WHERE id = ?", ((id_,) for id_ in wanted)
        ):
            rows.setdefault(layout, []).append((id_, body))
        blocks = []
        for layout_id, members in rows.items():
            layout = self.layouts[layout_id]
            block, damaged = decode_rows(layout, members)
            if damaged:
                self.damaged_tail += damaged
                self._on_damage(
                    "storage.tail",
                    f"{len(damaged)} newest minute(s) of device {device_id} do not match their checksum and are shown "
                    f"as a gap (first {damaged[0] >> MINUTE_BITS} min since 1970).",
                )
            blocks.append((layout, block))
        return blocks

    def stored_rollups(self, series_id: int, first_minute: int, end_minute: int) -> HourRollups:
        """Hours of packed days that start in [first_minute, end_minute)."""
        days = range(first_minute // MINUTES_PER_DAY, (end_minute - 1) // MINUTES_PER_DAY + 1)
        parts: list[HourRollups] = []
        live = _fetch(self.live, "SELECT id, body FROM rollup WHERE id = ?", [chunk_id(d, series_id) for d in days])
        for month in dict.fromkeys(month_of_day(day) for day in days):
            connection = self.month(month)
            if connection is not None:
                query = "SELECT id, body FROM rollup WHERE id = ?"
                for rowid, body in self._fetch_sealed(connection, month, query, [series_id]):
                    parts += self.decode_hours(rowid, body, month)
        for rowid, body in live:
            parts += self.decode_hours(rowid, body, month_of_day(rowid >> MINUTE_BITS))
        return merge(parts).between(first_minute, end_minute)

    def decode_hours(self, rowid: int, body: bytes, month: str) -> list[HourRollups]:
        """Unpack roll-ups; nothing, and a notice, when they are not what was written."""
        try:
            return [decode_rollups(rowid, body)]
        except StorageFault as error:
            self._on_damage(f"storage.rollup.{month}", f"{error} Hours of {month} are missing from charts.")
            return []

    def last_minute(self) -> int:
        """Newest minute committed, -1 for none."""
        row = self.live.execute("SELECT content FROM setting WHERE key = 'last_saved_minute_ms'").fetchone()
        return int(row[0]) // MINUTE_MS if row else -1


def _fetch(connection: apsw.Connection, query: str, ids: Sequence[int]) -> list[Row]:
    return list(connection.cursor().executemany(query, ((id_,) for id_ in ids)))


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
