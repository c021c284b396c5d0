"""Tables of the live file and of a sealed month, and how an older live file is brought up to date."""

from __future__ import annotations

from collections.abc import Mapping

import apsw

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage.connections import APPLICATION_ID, write_transaction

SCHEMA_VERSION = 1

_VERSION_1 = """
CREATE TABLE migration(version INTEGER PRIMARY KEY, applied_ms INTEGER NOT NULL) STRICT;
CREATE TABLE setting(key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE series(
    id INTEGER PRIMARY KEY,
    device INTEGER NOT NULL,
    quantity TEXT NOT NULL,
    kind TEXT NOT NULL,
    exponent INTEGER NOT NULL,
    read_group TEXT NOT NULL,
    first_minute INTEGER NOT NULL,
    last_minute INTEGER NOT NULL,
    UNIQUE(device, quantity, exponent)
) STRICT;
CREATE TABLE layout(id INTEGER PRIMARY KEY, device INTEGER NOT NULL, series BLOB NOT NULL) STRICT;
-- id = minute since 1970 << 24 | device: newest minutes, in time order
CREATE TABLE tail(id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
-- id = UTC day since 1970 << 24 | series
CREATE TABLE chunk(id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
-- id = UTC day in which the local hour starts << 24 | series
CREATE TABLE rollup(id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE state_change(
    device INTEGER NOT NULL, quantity TEXT NOT NULL, ts_ms INTEGER NOT NULL, code INTEGER,
    PRIMARY KEY(device, quantity, ts_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE event(
    id INTEGER PRIMARY KEY, ts_ms INTEGER NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL,
    device INTEGER NOT NULL, quantity TEXT NOT NULL, data TEXT NOT NULL,
    UNIQUE(ts_ms, kind, device, quantity, message)
) STRICT;
CREATE TABLE epoch(
    device INTEGER NOT NULL, quantity TEXT NOT NULL, start_ms INTEGER NOT NULL, start_count INTEGER NOT NULL,
    factor_numerator TEXT NOT NULL, factor_denominator TEXT NOT NULL, modulus TEXT, reason TEXT NOT NULL,
    end_count INTEGER,
    PRIMARY KEY(device, quantity, start_ms)
) STRICT, WITHOUT ROWID;
CREATE TABLE sealed_month(
    month TEXT PRIMARY KEY, file TEXT NOT NULL, size_bytes INTEGER NOT NULL, is_aged INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE quarantine(id INTEGER PRIMARY KEY, ts_ms INTEGER NOT NULL, reason TEXT NOT NULL, record BLOB NOT NULL)
STRICT;
"""

_MIGRATIONS: Mapping[int, str] = {1: _VERSION_1}
"""Statements that lead from the version before to this one."""

MONTH_SCHEMA = """
CREATE TABLE setting(key TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE chunk(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE rollup(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""

REQUIRED_TABLES = frozenset(
    [
        "migration",
        "setting",
        "series",
        "layout",
        "tail",
        "chunk",
        "rollup",
        "state_change",
        "event",
        "epoch",
        "sealed_month",
        "quarantine",
    ]
)


def require_known_version(connection: apsw.Connection) -> int:
    """The schema version of a live file, 0 for a new one.

    Raises:
        StorageFault: The file belongs to another program or to a newer release.
    """
    version = int(connection.pragma("user_version"))
    if version > SCHEMA_VERSION:
        raise StorageFault(
            f"The data folder was written by a newer release (format {version}, this release knows {SCHEMA_VERSION}); "
            "it was left untouched: update the program."
        )
    if version > 0 and connection.pragma("application_id") != APPLICATION_ID:
        raise StorageFault("live.db belongs to another program; it was left untouched: choose another data folder.")
    return version


def migrate(connection: apsw.Connection, now_ms: int) -> bool:
    """Bring a live file to this release's format, each step in a transaction of its own.

    Returns:
        Whether the file was new.

    Raises:
        StorageFault: A newer release wrote it.
    """
    found = require_known_version(connection)
    for version in range(found + 1, SCHEMA_VERSION + 1):
        with write_transaction(connection):
            connection.execute(_MIGRATIONS[version])
            connection.execute("INSERT INTO migration VALUES (?, ?)", (version, now_ms))
            connection.execute(f"PRAGMA user_version={version}")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    return found == 0


def has_all_tables(connection: apsw.Connection) -> bool:
    """Whether the schema is whole."""
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
    return names >= REQUIRED_TABLES
