"""What a live file must not lose, as a small database in bytes: installation, series, epochs, settings.

Each sealed month carries one, so that history stays readable when the live file is lost; one lies beside the live
file, so that acquisition goes on when the live file is damaged before its first month is over.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import apsw

from emdx_desktop.storage import configuration
from emdx_desktop.storage.connections import open_sealed, write_transaction

COPY_FILE_NAME = "live.recovery"
RECOVERY_KEY = "recovery"
JOURNAL_TABLES = ("series", "epoch", "state_change", "event")
_COPY_MAGIC = b"EMDXRCV1"
_COPY_HEAD = struct.Struct("<8sI")


def pack_journal(connection: apsw.Connection, first_ms: int, end_ms: int) -> bytes:
    """Series, epochs, installation, settings, and the states and events in [first_ms, end_ms)."""
    small = apsw.Connection(":memory:")
    try:
        small.execute("PRAGMA page_size=512")
        for table in JOURNAL_TABLES:
            ddl = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
            small.execute(ddl)
            where = f" WHERE ts_ms >= {first_ms} AND ts_ms < {end_ms}" if table in ("state_change", "event") else ""
            _copy_rows(connection, small, table, where)
        configuration.create_tables(small)
        installation = configuration.load_installation(connection)
        if installation is not None:
            configuration.replace_installation(small, installation)
        small.execute("CREATE TABLE setting(key TEXT PRIMARY KEY, content TEXT NOT NULL)")
        _copy_rows(connection, small, "setting", " WHERE key = 'zone' OR key LIKE 'retention_%'")
        return zlib.compress(small.serialize("main"), 9)
    finally:
        small.close()


def _copy_rows(source: apsw.Connection, target: apsw.Connection, table: str, where: str = "") -> None:
    rows = source.execute(f"SELECT * FROM {table}{where}").fetchall()
    if rows:
        marks = ",".join("?" * len(rows[0]))
        target.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", rows)


def restore_sealed_journals(connection: apsw.Connection, months: Sequence[Path]) -> None:
    """Take what sealed months know about series, epochs, installation, states and events; newest first.

    Inside a write transaction.
    """
    for path in reversed(months):
        sealed = open_sealed(path)
        try:
            row = sealed.execute("SELECT content FROM setting WHERE key = ?", (RECOVERY_KEY,)).fetchone()
        finally:
            sealed.close()
        if row is not None:
            _unpack_journal(bytes(row[0]), connection)


def write_copy(folder: Path, connection: apsw.Connection) -> None:
    """Write installation, series, epochs and settings beside the live file; the copy is always a whole one.

    Raises:
        OSError: It cannot be written; the copy of before is untouched.
    """
    packed = pack_journal(connection, 0, 0)
    path = folder / COPY_FILE_NAME
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(_COPY_HEAD.pack(_COPY_MAGIC, zlib.crc32(packed)) + packed)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def restore_copy(folder: Path, connection: apsw.Connection) -> bool:
    """Fill a live file that has no installation from the copy beside it.

    Returns:
        Whether an installation was restored.
    """
    if configuration.load_installation(connection) is not None:
        return False
    packed = _read_copy(folder)
    if packed is None:
        return False
    with write_transaction(connection):
        _unpack_journal(packed, connection)
    return configuration.load_installation(connection) is not None


def _read_copy(folder: Path) -> bytes | None:
    """The copy's content; None when there is none or it is not what was written."""
    try:
        content = (folder / COPY_FILE_NAME).read_bytes()
    except OSError:
        return None
    packed = content[_COPY_HEAD.size :]
    if content[: _COPY_HEAD.size] != _COPY_HEAD.pack(_COPY_MAGIC, zlib.crc32(packed)):
        return None
    return packed


def _unpack_journal(packed: bytes, connection: apsw.Connection) -> None:
    """Add the rows of a journal to those that are there; an installation only where there is none."""
    small = apsw.Connection(":memory:")
    try:
        small.deserialize("main", zlib.decompress(packed))
        for table in (*JOURNAL_TABLES, "setting"):
            _copy_rows(small, connection, table)
        if configuration.load_installation(connection) is None:
            installation = configuration.load_installation(small)
            if installation is not None:
                configuration.replace_installation(connection, installation)
    finally:
        small.close()
