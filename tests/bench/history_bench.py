"""A year of minutes of four meters: bytes a sample, and reads against a row per value."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
from measures import Bench, BenchError, Measured, Row, Setup
from numpy.typing import NDArray
from rows_baseline import open_rows_file, read_range, write_year
from year_of_minutes import MINUTES, year

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.domain.history import DAY_MS, MINUTE_MS, CounterEpoch, SeriesColumn
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.history_importer import SqliteHistoryImporter
from emdx_desktop.storage.history_reader import SqliteHistoryReader

DEVICES = 4
BLOCKS = 5
START_MS = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1000
ZONE = "Europe/Paris"
YEAR_QUANTITIES = ("voltage_l1_n", "active_power", "current_l2")

Columns = Mapping[str, tuple[int, NDArray[np.int64]]]


def import_years(folder: Path, devices: int, minutes: int, say: Callable[[str], None]) -> list[Columns]:
    """Write the years into a fresh data folder.

    Returns:
        What was written, by device.
    """
    written = []
    importer = SqliteHistoryImporter(folder, SystemClock(), ZONE)
    for number in range(1, devices + 1):
        columns = {name: (exponent, values[:minutes]) for name, (exponent, values) in year(seed=number - 1).items()}
        for name, (exponent, values) in columns.items():
            kind = QUANTITIES[name].kind
            importer.import_minutes(DeviceId(number), SeriesColumn(name, kind, exponent), START_MS, values)
            if kind is QuantityKind.COUNTER:
                epoch = CounterEpoch(
                    DeviceId(number), name, START_MS, int(values[0]), Fraction(1), modulus=None, reason="first reading"
                )
                importer.add_epoch(epoch)
        written.append(columns)
        say(f"meter {number} of {devices} written")
    importer.finish()
    return written


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def median_ms(action: Callable[[int], object], rounds: int) -> float:
    """Median time of a call, ms; the first call warms up and is not counted."""
    times = []
    for number in range(rounds + 1):
        started = time.perf_counter()
        action(number)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[1:])


def median_pair_ms(ours: Callable[[int], object], rows: Callable[[int], object], calls: int) -> tuple[float, float]:
    """Median times of two calls, ms, in alternating blocks, so that what else runs on the machine meets both alike.

    Within a block the calls follow each other as they do when a person pages through days; the first of a
    block, which finds the processor's caches full of the other store's data, is not counted for either.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for block in range(BLOCKS):
        for action, taken in zip((ours, rows), times, strict=True):
            for number in range(calls + 1):
                started = time.perf_counter()
                action(block * calls + number)
                if number:
                    taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(times[0]), statistics.median(times[1])


def check_year(reader: SqliteHistoryReader, columns: Columns, minutes: int) -> None:
    """What is read is what was written.

    Raises:
        BenchError: It is not: speed is worth nothing then.
    """
    end_ms = START_MS + minutes * MINUTE_MS
    for name, (exponent, values) in columns.items():
        if QUANTITIES[name].kind is QuantityKind.COUNTER:
            read = reader.load_counts(DeviceId(1), name, START_MS, end_ms).counts
            is_same = np.array_equal(read, values)
        else:
            series = reader.load_minutes(DeviceId(1), name, START_MS, end_ms)
            is_same = np.allclose(series.values, values * 10.0**exponent, rtol=1e-12, atol=1e-9)
        if not is_same:
            raise BenchError(f"{name} reads back differently from what was written")


def read_day(reader: SqliteHistoryReader, day: int) -> int:
    """All quantities of a device on one day; returns the values read."""
    start_ms = START_MS + day * DAY_MS
    instants = reader.load_device_day(DeviceId(1), start_ms)
    count = sum(series.values.size for series in instants.values())
    counters = reader.load_device_counts(DeviceId(1), start_ms, start_ms + DAY_MS)
    return count + sum(series.counts.size for series in counters.values())


def run(setup: Setup) -> Mapping[str, Measured]:
    """Ours and rows, one after the other on the same disk; files stay in the page cache for both."""
    devices = 2 if setup.is_quick else DEVICES
    minutes = 60 * 1440 if setup.is_quick else MINUTES
    days = minutes // 1440
    ours = setup.folder / "ours"
    ours.mkdir()
    started = time.perf_counter()
    written = import_years(ours, devices, minutes, setup.say)
    import_s = time.perf_counter() - started
    samples = sum(values.size for columns in written for _, values in columns.values())
    our_bytes = folder_bytes(ours)

    rows_file = setup.folder / "rows.db"
    row_samples = write_year(rows_file, written[0])
    rows_bytes = folder_bytes(setup.folder) - our_bytes
    setup.say(f"rows of one meter written: {rows_bytes / row_samples:.1f} bytes a sample")

    reader = SqliteHistoryReader(ours)
    check_year(reader, written[0], minutes)
    counters = [name for name in written[0] if QUANTITIES[name].kind is QuantityKind.COUNTER]
    end_ms = START_MS + minutes * MINUTE_MS

    def read_year(number: int) -> object:
        return reader.load_minutes(DeviceId(1), YEAR_QUANTITIES[number % 3], START_MS, end_ms)

    def read_year_afresh(number: int) -> None:
        fresh = SqliteHistoryReader(ours)
        fresh.load_minutes(DeviceId(1), YEAR_QUANTITIES[number % 3], START_MS, end_ms)
        fresh.close()

    our_fresh_year_ms = median_ms(read_year_afresh, 9)
    our_count_ms = median_ms(lambda _: reader.load_counts(DeviceId(1), counters[0], START_MS, end_ms), 9)
    expected = 1440 * len(written[0])
    if read_day(reader, 3) != expected:
        raise BenchError(f"a day should hold {expected} values")

    rows = open_rows_file(rows_file)
    names = list(written[0])
    all_series = range(1, len(names) + 1)

    def read_rows_year(number: int) -> object:
        return read_range(rows, [names.index(YEAR_QUANTITIES[number % 3]) + 1], 0, minutes * 60)

    def read_rows_day(number: int) -> object:
        day = number * 7 % days
        return read_range(rows, all_series, day * 86_400, (day + 1) * 86_400)

    our_year_ms, rows_year_ms = median_pair_ms(read_year, read_rows_year, 4)
    our_day_ms, rows_day_ms = median_pair_ms(lambda number: read_day(reader, number * 7 % days), read_rows_day, 12)
    reader.close()
    rows.close()
    return {
        "bytes": Measured(
            our_bytes / samples,
            f"{samples / 1e6:.1f} M samples in {our_bytes / 1e6:.1f} MB, written in {import_s:.1f} s "
            f"with roll-ups; rows: {rows_bytes / row_samples:.1f} bytes",
        ),
        "year": Measured(
            rows_year_ms / our_year_ms,
            f"ours {our_year_ms:.2f} ms with open files ({our_fresh_year_ms:.2f} ms opening them, ratio "
            f"{rows_year_ms / our_fresh_year_ms:.0f}; a counter {our_count_ms:.2f} ms), rows {rows_year_ms:.0f} ms",
        ),
        "day": Measured(rows_day_ms / our_day_ms, f"ours {our_day_ms:.3f} ms, rows {rows_day_ms:.1f} ms"),
    }


BENCH = Bench(
    "history",
    (
        Row("bytes", "bytes a sample, 4 meters × 30 quantities × a year of minutes", "<=", 1.30, "B"),
        Row("year", "one quantity for a year: times faster than rows", ">=", 80, "×"),
        Row("day", "all quantities of a device for a day: times faster than rows", ">=", 50, "×"),
    ),
    run,
)
