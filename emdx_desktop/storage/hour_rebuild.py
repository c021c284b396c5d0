"""Makes local hours anew where the site's zone, or a new release of its rules, cuts them differently.

Days need nothing of it: they are put together from hours when they are read. Hours are made from minutes then:
their lowest and highest poll are those of the minute means, and each minute counts as one poll.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from emdx_desktop.storage.chunks import MINUTES_PER_DAY, SERIES_BITS, SERIES_MASK, chunk_id, decode_day
from emdx_desktop.storage.connections import open_sealed, write_transaction
from emdx_desktop.storage.day_packing import add_rollups
from emdx_desktop.storage.history_access import ZONE_KEY
from emdx_desktop.storage.local_hours import LocalHours
from emdx_desktop.storage.month_sealing import MonthSealer
from emdx_desktop.storage.months import HISTORY_FOLDER, days_of_month
from emdx_desktop.storage.rollups import HourRollups, from_minutes, merge
from emdx_desktop.storage.series_book import SeriesBook

RULES_KEY = "hour_rules"


class HourRebuilder:
    """Compares how each month's hours were cut with how they would be cut now. On the writing connection."""

    def __init__(self, folder: Path, connection: apsw.Connection, book: SeriesBook, sealer: MonthSealer) -> None:
        self._folder = folder
        self._connection = connection
        self._book = book
        self._sealer = sealer

    def run(self) -> tuple[str, ...]:
        """Rebuild what differs, note how the rest is cut.

        Returns:
            Months that were rebuilt.
        """
        zone = self._connection.execute("SELECT content FROM setting WHERE key = ?", (ZONE_KEY,)).get
        hours = LocalHours(zone or "UTC")
        text = self._connection.execute("SELECT content FROM setting WHERE key = ?", (RULES_KEY,)).get
        noted: dict[str, str] = json.loads(text) if text else {}
        sealed = dict(self._connection.execute("SELECT month, file FROM sealed_month WHERE is_aged = 0"))
        live = set(self._sealer.months_with_live_days())
        rebuilt = []
        current = {month: hours.cuts(days_of_month(month)) for month in sorted({*sealed, *live})}
        # late days of a sealed month hold its minutes a second time until it is sealed anew
        for month in live & sealed.keys():
            del current[month]
        for month, cuts in current.items():
            if noted.get(month, cuts) != cuts:
                self._rebuild(month, sealed.get(month), hours)
                rebuilt.append(month)
        if current.items() - noted.items():
            with write_transaction(self._connection):
                content = json.dumps(noted | current)
                self._connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (RULES_KEY, content))
        return tuple(rebuilt)

    def _rebuild(self, month: str, sealed_file: str | None, hours: LocalHours) -> None:
        days = days_of_month(month)
        span = (chunk_id(days.start, 0), chunk_id(days.stop, 0))
        if sealed_file is None:
            with write_transaction(self._connection):
                self._connection.execute("DELETE FROM rollup WHERE id >= ? AND id < ?", span)
                for series_id, part in self._hours_of(self._connection, span, hours):
                    add_rollups(self._connection, series_id, part)
        else:
            sealed = open_sealed(self._folder / HISTORY_FOLDER / sealed_file)
            try:
                by_series: dict[int, list[HourRollups]] = {}
                for series_id, part in self._hours_of(sealed, span, hours):
                    by_series.setdefault(series_id, []).append(part)
            finally:
                sealed.close()
            first = days.start * MINUTES_PER_DAY
            whole = {series_id: merge(parts) for series_id, parts in by_series.items()}
            self._sealer.replace_rollups(
                month, {id_: part.between(first, days.stop * MINUTES_PER_DAY) for id_, part in whole.items()}
            )
            with write_transaction(self._connection):
                for series_id, part in whole.items():
                    # belongs to the month before; sealing puts it there
                    add_rollups(self._connection, series_id, part.between(0, first))

    def _hours_of(
        self, connection: apsw.Connection, span: tuple[int, int], hours: LocalHours
    ) -> Iterator[tuple[int, HourRollups]]:
        rows: list[Any] = connection.execute("SELECT id, body FROM chunk WHERE id >= ? AND id < ?", span).fetchall()
        for rowid, body in rows:
            if not self._book.by_id(rowid & SERIES_MASK).has_rollups:
                continue
            day = decode_day(rowid, body)
            good = np.arange(MINUTES_PER_DAY) if day.qualities is None else np.flatnonzero(day.qualities == 0)
            kept = day.values[good].astype(np.int64)
            starts = hours.hour_starts((rowid >> SERIES_BITS) * MINUTES_PER_DAY + good)
            yield rowid & SERIES_MASK, from_minutes(starts, kept, kept, kept, np.ones(kept.size, np.int64))
