"""Opens database files with the settings the data depends on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import apsw

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage.sqlite_gate import require_safe_sqlite

PAGE_SIZE_BYTES = 16_384
BUSY_TIMEOUT_MS = 10_000
APPLICATION_ID = 0x454D4458  # "EMDX", in the header of each of our files

EnvironmentErrors = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.ReadOnlyError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.NoMemError,
    apsw.ProtocolError,
)
"""The database refuses for now: nothing is wrong with the data."""

DamageErrors = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)
"""The file itself is damaged."""


def apply_writer_pragmas(connection: apsw.Connection, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
    """Settings of the one writing connection; page size first, because WAL mode freezes it.

    Raises:
        StorageFault: The page size did not take effect.
    """
    connection.set_busy_timeout(busy_timeout_ms)
    connection.execute(f"PRAGMA page_size={PAGE_SIZE_BYTES}")
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    page_size = connection.pragma("page_size")
    if page_size != PAGE_SIZE_BYTES:
        raise StorageFault(
            f"The database has pages of {page_size} bytes instead of {PAGE_SIZE_BYTES}, so it was not made by this "
            "program: choose another data folder."
        )


def open_for_reading(path: Path) -> apsw.Connection:
    """A connection to the live file that never writes nor checkpoints.

    Raises:
        StorageFault: There is no such file, or it cannot be opened.
    """
    require_safe_sqlite()
    try:
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            # mode=ro cannot create the -shm file a WAL database needs, hence read-write with query_only
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except EnvironmentErrors as error:
        raise StorageFault(
            f"{path} cannot be opened ({error}), so history cannot be shown: check the data folder."
        ) from error
    connection.set_busy_timeout(2_000)
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


def open_sealed(path: Path) -> apsw.Connection:
    """A connection to a sealed month: immutable, so neither locks nor side files are needed.

    Raises:
        StorageFault: There is no such file, or it cannot be opened.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
    except EnvironmentErrors as error:
        raise StorageFault(f"{path} cannot be opened ({error}), so its month is missing from charts.") from error
    return connection


def create_month_file(path: Path) -> apsw.Connection:
    """A new file for a month under construction: no journal, because it counts only once verified and renamed."""
    connection = apsw.Connection(str(path))
    connection.execute(f"PRAGMA page_size={PAGE_SIZE_BYTES}")
    connection.execute("PRAGMA journal_mode=off")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    return connection


@contextlib.contextmanager
def write_transaction(connection: apsw.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, rolled back when anything is raised."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def read_transaction(connection: apsw.Connection) -> Iterator[None]:
    """One consistent view of the live file; keep it short, a long one holds back the checkpoint."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
