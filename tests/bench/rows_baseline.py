"""The store to beat: a row per value in the shape peewee gives it (rowid table, index over series and time).

Written and read without peewee's own overhead, straight through apsw, so that the comparison flatters nobody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import apsw
import numpy as np
import peewee
from numpy.typing import NDArray
from playhouse.apsw_ext import APSWDatabase

MINUTES_A_BATCH = 1440


class Sample(peewee.Model):
    """One value."""

    series = peewee.IntegerField()
    ts = peewee.IntegerField()
    number = peewee.IntegerField()

    class Meta:
        indexes = ((("series", "ts"), False),)


def create_rows_file(file: Path, synchronous: str) -> None:
    """Let peewee make the table and its index."""
    database = APSWDatabase(str(file), pragmas=(("journal_mode", "wal"), ("synchronous", synchronous)))
    with database.bind_ctx([Sample]), database:
        database.create_tables([Sample])


def open_rows_file(file: Path, synchronous: str = "FULL") -> apsw.Connection:
    """A fresh connection with the settings of the comparison."""
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute(f"PRAGMA synchronous={synchronous}")
    return connection


def write_year(file: Path, columns: Mapping[str, tuple[int, NDArray[np.int64]]], first_series: int = 1) -> int:
    """Write columns in time order, as a running program would.

    Returns:
        Samples written.
    """
    create_rows_file(file, "OFF")  # only how fast it is made, not what it becomes
    connection = open_rows_file(file, "OFF")
    table = np.stack([values for _, values in columns.values()])
    count = table.shape[1]
    insert = "INSERT INTO sample (series, ts, number) VALUES (?, ?, ?)"
    for start in range(0, count, MINUTES_A_BATCH):
        block = table[:, start : start + MINUTES_A_BATCH].T.tolist()
        connection.execute("BEGIN")
        connection.executemany(
            insert,
            [
                (first_series + series, 60 * (start + minute), number)
                for minute, row in enumerate(block)
                for series, number in enumerate(row)
            ],
        )
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return int(table.size)


def read_range(connection: apsw.Connection, series: Sequence[int], start_s: int, end_s: int) -> list[NDArray[np.int64]]:
    """Read series over a range, each an array of (ts, number)."""
    query = "SELECT ts, number FROM sample WHERE series = ? AND ts >= ? AND ts < ? ORDER BY ts"
    return [np.array(connection.execute(query, (one, start_s, end_s)).fetchall(), np.int64) for one in series]


def commit_minutes(file: Path, series: int, minutes: int) -> tuple[list[float], list[float]]:
    """Commit minutes of `series` values each, synchronous FULL.

    Returns:
        Seconds of each full commit, and of as many commits that write one small row only.
    """
    create_rows_file(file, "FULL")
    connection = open_rows_file(file)
    connection.execute("CREATE TABLE marker (id INTEGER PRIMARY KEY, content TEXT)")
    connection.execute("INSERT INTO marker VALUES (1, '0')")
    insert = "INSERT INTO sample (series, ts, number) VALUES (?, ?, ?)"
    rng = np.random.default_rng(0)
    full, empty = [], []
    for minute in range(minutes):
        numbers = rng.integers(0, 100_000, series).tolist()
        started = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, [(one, 60 * minute, number) for one, number in enumerate(numbers)])
        connection.execute("UPDATE marker SET content = ?", (str(minute),))
        connection.execute("COMMIT")
        full.append(time.perf_counter() - started)
        started = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE marker SET content = ?", (str(-minute),))
        connection.execute("COMMIT")
        empty.append(time.perf_counter() - started)
    connection.close()
    return full, empty
