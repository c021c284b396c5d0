"""Writes one batch of minutes in one transaction."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from emdx_desktop.domain.history import (
    MINUTE_MS,
    DeviceMinute,
    Event,
    EventKind,
    MinuteBatch,
    MinuteLayout,
)
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.connections import write_transaction
from emdx_desktop.storage.journal import insert_epochs, insert_events, insert_states
from emdx_desktop.storage.series_book import SeriesBook
from emdx_desktop.storage.tail import (
    BadMinuteError,
    LayoutPlan,
    StoredLayout,
    TailBlock,
    decode_rows,
    encode_minutes,
    is_plain,
    tail_id,
)

LAST_SAVED_KEY = "last_saved_minute_ms"
MOST_NAMED = 4
"""Series of a device that get an event each when a minute comes again. After the clock was set back an hour all do,
minute after minute: with a large site that would be a million events."""


class MinuteCommitter:
    """Keeps what makes committing fast: the plans of layouts and the numbers of series."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.book = SeriesBook(connection)
        self._plans: dict[int, LayoutPlan] = {}
        self._layouts: dict[StoredLayout, int] = {}
        self._load_layouts()

    def _load_layouts(self) -> None:
        self._layouts = {
            StoredLayout.from_bytes(device, blob): id_
            for id_, device, blob in self._connection.execute("SELECT id, device, series FROM layout")
        }

    def forget(self) -> None:
        """After a rollback: what was noted may not be stored."""
        self._plans.clear()
        self.book.reload()
        self._load_layouts()

    def commit(self, batch: MinuteBatch) -> tuple[tuple[DeviceMinute, str], ...]:
        """Write a batch.

        Returns:
            Minutes of devices that break their contract, with the reason; the others are committed.
        """
        minute = batch.minute_ms // MINUTE_MS
        rejected: list[tuple[DeviceMinute, str]] = []
        try:
            with write_transaction(self._connection):
                self._insert_minutes(minute, batch.devices, rejected)
                insert_states(self._connection, batch.states)
                insert_events(self._connection, batch.events)
                insert_epochs(self._connection, batch.epochs)
                self._connection.execute(
                    "INSERT INTO setting VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET content = ?2 "
                    "WHERE CAST(content AS INTEGER) < CAST(?2 AS INTEGER)",
                    (LAST_SAVED_KEY, str(batch.minute_ms)),
                )
        except BaseException:
            self.forget()
            raise
        return tuple(rejected)

    def _insert_minutes(
        self, minute: int, devices: Iterable[DeviceMinute], rejected: list[tuple[DeviceMinute, str]]
    ) -> None:
        packed: list[tuple[int, LayoutPlan, bytes, bytes]] = []
        minutes: dict[int, tuple[LayoutPlan, DeviceMinute]] = {}
        for device in devices:
            plan = self._plans.get(id(device.layout)) or self._plan(device.layout, minute)
            rowid = tail_id(minute, device.layout.device_id)
            if not plan.order:
                continue
            try:
                packed.append((rowid, plan, plan.pack(device), plan.stored_qualities(device)))
            except BadMinuteError as error:
                rejected.append((device, str(error)))
                continue
            minutes[rowid] = (plan, device)
        rows = encode_minutes(packed)
        before = self._connection.total_changes()
        self._connection.executemany("INSERT OR IGNORE INTO tail VALUES (?, ?, ?)", rows)
        if self._connection.total_changes() - before != len(rows):
            for rowid, layout_id, body in rows:
                self._merge_row(rowid, layout_id, body, minutes[rowid][0])

    def _plan(self, layout: MinuteLayout, minute: int) -> LayoutPlan:
        series = [self.book.ensure(layout.device_id, column, minute).id for column in layout.columns]
        plain = [id_ for id_, column in zip(series, layout.columns, strict=True) if is_plain(column)]
        instants = [id_ for id_, column in zip(series, layout.columns, strict=True) if not is_plain(column)]
        stored = StoredLayout(layout.device_id, (*instants, *plain), len(instants))
        layout_id = self._layouts.get(stored)
        if layout_id is None:
            self._connection.execute(
                "INSERT INTO layout(device, series) VALUES (?, ?)", (layout.device_id, stored.to_bytes())
            )
            layout_id = self._connection.last_insert_rowid()
            self._layouts[stored] = layout_id
        plan = LayoutPlan(layout, layout_id)
        self._plans[id(layout)] = plan
        return plan

    def stored_layouts(self) -> dict[int, StoredLayout]:
        """All layouts by number."""
        return {id_: layout for layout, id_ in self._layouts.items()}

    def _merge_row(self, rowid: int, layout_id: int, body: bytes, plan: LayoutPlan) -> None:
        """A minute that is there already: same again is nothing, another value is an event.

        Instants keep what was written first, counters take the later index (clock set back).
        """
        old_layout_id, old_body = self._connection.execute("SELECT layout, body FROM tail WHERE id = ?", (rowid,)).get
        if old_body == body and old_layout_id == layout_id:
            return
        layouts = self.stored_layouts()
        old_layout, new_layout = layouts[old_layout_id], layouts[layout_id]
        old, damaged = decode_rows(old_layout, [(rowid, old_body)])
        new, _none = decode_rows(new_layout, [(rowid, body)])
        if damaged:
            self._connection.execute("UPDATE tail SET layout = ?, body = ? WHERE id = ?", (layout_id, body, rowid))
            return
        merged = _MergedMinute()
        merged.take(old_layout, old)
        differing = merged.merge(new_layout, new)
        self._connection.execute("DELETE FROM tail WHERE id = ?", (rowid,))
        minute = merged.build(self.book, plan.layout.device_id)
        merged_plan = self._plan(minute.layout, rowid >> 24)
        row = (rowid, merged_plan, merged_plan.pack(minute), merged_plan.stored_qualities(minute))
        self._connection.executemany("INSERT INTO tail VALUES (?, ?, ?)", encode_minutes([row]))
        del self._plans[id(minute.layout)]
        quantities = [self.book.by_id(series).quantity for series in differing]
        if len(quantities) > MOST_NAMED:
            quantities = [""]
        insert_events(
            self._connection,
            [differing_event(plan.layout.device_id, quantity, rowid >> 24, 1) for quantity in quantities],
        )


def differing_event(device_id: DeviceId, quantity: str, minute: int, count: int) -> Event:
    """Another value came for minutes that have one; without a quantity for many of them at once."""
    return Event(
        minute * MINUTE_MS,
        EventKind.IMPORT_DIFFERS,
        f"{quantity or 'Several quantities'}: {count} minute(s) came again with another value; "
        "instants kept the first, counters took the later index.",
        device_id,
        quantity,
        {"minutes": count},
    )


class _MergedMinute:
    """Columns of one minute by series: value, quality, polls, low, high, sum."""

    def __init__(self) -> None:
        self._columns: dict[int, tuple[int, int, int, int, int, int]] = {}
        self._plain: set[int] = set()

    def take(self, layout: StoredLayout, block: TailBlock) -> None:
        for series, column in _columns_of(layout, block):
            self._columns[series] = column
        self._plain.update(layout.series[layout.instant_count :])

    def merge(self, layout: StoredLayout, block: TailBlock) -> list[int]:
        """Add another row; returns the series whose good values differ."""
        self._plain.update(layout.series[layout.instant_count :])
        differing = []
        for series, column in _columns_of(layout, block):
            old = self._columns.get(series)
            if old is None or (old[1] != 0 and column[1] == 0):
                self._columns[series] = column
            elif old[1] == 0 and column[1] == 0 and old[0] != column[0]:
                differing.append(series)
                if series in self._plain:
                    self._columns[series] = column
        return differing

    def build(self, book: SeriesBook, device_id: DeviceId) -> DeviceMinute:
        series = sorted(self._columns)
        columns = [self._columns[id_] for id_ in series]
        return DeviceMinute(
            MinuteLayout(device_id, tuple(book.by_id(id_).column for id_ in series)),
            tuple(column[0] if column[1] == 0 else None for column in columns),
            bytes(column[1] for column in columns),
            tuple(column[2] for column in columns),
            tuple(column[3] for column in columns),
            tuple(column[4] for column in columns),
            tuple(column[5] for column in columns),
        )


def _columns_of(layout: StoredLayout, block: TailBlock) -> list[tuple[int, tuple[int, int, int, int, int, int]]]:
    columns = []
    for k, series in enumerate(layout.series):
        value, quality, polls = int(block.values[0, k]), int(block.qualities[0, k]), int(block.polls[0, k])
        if k < layout.instant_count:
            extremes = (int(block.lows[0, k]), int(block.highs[0, k]), int(block.sums[0, k]))
        else:
            extremes = (value, value, 0)
        columns.append((series, (value, quality, polls, *extremes)))
    return columns
