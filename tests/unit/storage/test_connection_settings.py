from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage.connections import (
    PAGE_SIZE_BYTES,
    apply_writer_pragmas,
    open_for_reading,
    open_sealed,
    write_transaction,
)


def test_the_writer_syncs_fully_and_never_checkpoints_by_itself(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "live.db"))
    apply_writer_pragmas(connection, 1234)
    found = {name: connection.pragma(name) for name in ("page_size", "journal_mode", "synchronous", "foreign_keys")}
    assert found == {"page_size": 16384, "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    found = {name: connection.pragma(name) for name in ("wal_autocheckpoint", "trusted_schema", "cell_size_check")}
    assert found == {"wal_autocheckpoint": 0, "trusted_schema": 0, "cell_size_check": 1}
    assert connection.pragma("busy_timeout") == 1234
    connection.close()


def test_a_file_with_another_page_size_is_refused(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "live.db"))
    connection.execute("PRAGMA page_size=4096")
    connection.execute("PRAGMA journal_mode=wal")
    connection.execute("CREATE TABLE t(x)")
    with pytest.raises(StorageFault, match=f"4096 bytes instead of {PAGE_SIZE_BYTES}"):
        apply_writer_pragmas(connection)
    connection.close()


def test_a_transaction_that_fails_leaves_nothing() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(x)")
    with pytest.raises(apsw.SQLError), write_transaction(connection):
        connection.execute("INSERT INTO t VALUES (1); INSERT INTO nowhere VALUES (1)")
    assert connection.execute("SELECT count(*) FROM t").get == 0
    connection.close()


def test_readers_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "live.db"
    connection = apsw.Connection(str(path))
    apply_writer_pragmas(connection)
    connection.execute("CREATE TABLE t(x)")
    reader = open_for_reading(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("INSERT INTO t VALUES (1)")
    reader.close()
    connection.close()


def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFault, match="cannot be opened"):
        open_for_reading(tmp_path / "live.db")
    with pytest.raises(StorageFault, match="missing from charts"):
        open_sealed(tmp_path / "2026-10.db").execute("SELECT 1 FROM chunk")
