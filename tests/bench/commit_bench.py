"""Commit one minute of 255 devices × 60 values, against rows committed the same way."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from pathlib import Path

import apsw
import numpy as np
from measures import Bench, Measured, Row, Setup
from rows_baseline import commit_minutes

from emdx_desktop.domain.history import DeviceMinute, MinuteBatch, MinuteLayout, SeriesColumn
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.connections import apply_writer_pragmas
from emdx_desktop.storage.minute_commit import MinuteCommitter
from emdx_desktop.storage.schema import migrate

DEVICES = 255
INSTANTS, COUNTERS = 54, 6  # the shares of the meter in year_of_minutes.py
POLLS_A_MINUTE = 6


def make_layouts() -> list[MinuteLayout]:
    """Sixty columns for each of 255 devices."""
    by_kind = {
        kind: [quantity for quantity in QUANTITIES.values() if quantity.kind is kind]
        for kind in (QuantityKind.INSTANT, QuantityKind.COUNTER)
    }
    chosen = by_kind[QuantityKind.INSTANT][:INSTANTS] + by_kind[QuantityKind.COUNTER][:COUNTERS]
    columns = tuple(
        SeriesColumn(quantity.id, quantity.kind, quantity.exponent if quantity.kind is QuantityKind.INSTANT else 0)
        for quantity in chosen
    )
    return [MinuteLayout(DeviceId(number), columns) for number in range(1, DEVICES + 1)]


def make_minute(layouts: list[MinuteLayout], minute_ms: int, rng: np.random.Generator) -> MinuteBatch:
    """A minute in which every value is good and was polled six times."""
    columns = INSTANTS + COUNTERS
    devices = []
    for layout in layouts:
        means = rng.integers(10_000, 100_000, columns).tolist()
        devices.append(
            DeviceMinute(
                layout=layout,
                values=tuple(means),
                qualities=bytes(columns),
                polls=(POLLS_A_MINUTE,) * columns,
                lows=tuple(mean - 7 if column < INSTANTS else None for column, mean in enumerate(means)),
                highs=tuple(mean + 9 if column < INSTANTS else None for column, mean in enumerate(means)),
                sums=tuple(POLLS_A_MINUTE * mean + 3 if column < INSTANTS else 0 for column, mean in enumerate(means)),
            )
        )
    return MinuteBatch(minute_ms, tuple(devices))


def commit_ours(file: Path, minutes: int) -> tuple[list[float], list[float]]:
    """Seconds of each full commit, and of as many batches without a device."""
    connection = apsw.Connection(str(file))
    apply_writer_pragmas(connection)
    migrate(connection, 0)
    committer = MinuteCommitter(connection)
    layouts = make_layouts()
    rng = np.random.default_rng(0)
    first_ms = 1_790_000_040_000 // 60_000 * 60_000
    full, empty = [], []
    for minute in range(minutes):
        batch = make_minute(layouts, first_ms + 60_000 * 2 * minute, rng)
        started = time.perf_counter()
        rejected = committer.commit(batch)
        full.append(time.perf_counter() - started)
        assert not rejected, rejected[0]
        batch = MinuteBatch(batch.minute_ms + 60_000)
        started = time.perf_counter()
        committer.commit(batch)
        empty.append(time.perf_counter() - started)
    connection.close()
    return full, empty


def run(setup: Setup) -> Mapping[str, Measured]:
    """Both stores, the same number of minutes on the same disk."""
    minutes = 30 if setup.is_quick else 120
    ours, our_empty = commit_ours(setup.folder / "live.db", minutes)
    rows, rows_empty = commit_minutes(setup.folder / "rows.db", DEVICES * (INSTANTS + COUNTERS), minutes)
    # the first commits also create layouts and tables
    our_ms, our_empty_ms, rows_ms, rows_empty_ms = (
        1000 * statistics.median(times[3:]) for times in (ours, our_empty, rows, rows_empty)
    )
    detail = (
        f"ours {our_ms:.2f} ms (empty {our_empty_ms:.2f}), rows {rows_ms:.1f} ms (empty {rows_empty_ms:.2f}); "
        f"ratio with the empty transaction left in: {our_ms / rows_ms:.3f}"
    )
    return {"commit": Measured((our_ms - our_empty_ms) / (rows_ms - rows_empty_ms), detail)}


BENCH = Bench(
    "commit",
    (Row("commit", "commit a minute of 255 devices × 60 values ÷ rows, synchronous FULL", "<=", 0.15),),
    run,
)
