"""Opens the live file whatever state it was left in: what is damaged is set aside, nothing is deleted."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import apsw

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage import configuration
from emdx_desktop.storage.chunks import chunk_id
from emdx_desktop.storage.connections import (
    BUSY_TIMEOUT_MS,
    DamageErrors,
    EnvironmentErrors,
    apply_writer_pragmas,
    open_sealed,
    write_transaction,
)
from emdx_desktop.storage.journal_copy import restore_copy, restore_sealed_journals
from emdx_desktop.storage.months import (
    HISTORY_FOLDER,
    LIVE_FILE_NAME,
    days_of_month,
    parse_month_file,
    utc_stamp,
)
from emdx_desktop.storage.schema import has_all_tables, migrate
from emdx_desktop.storage.sqlite_gate import require_safe_sqlite


class OpenedLive(NamedTuple):
    """The live file, ready to write, and what had to be done for it, in words."""

    connection: apsw.Connection
    remarks: tuple[str, ...]


def open_live(
    folder: Path, now_ms: int, busy_timeout_ms: int = BUSY_TIMEOUT_MS, set_aside: tuple[str, ...] = ()
) -> OpenedLive:
    """Open or make the live file.

    Args:
        folder: Data folder.
        now_ms: UTC, epoch milliseconds.
        busy_timeout_ms: How long a lock of another program is waited for.
        set_aside: What was said when the file of before was set aside while running.

    Raises:
        StorageFault: The place refuses, or a newer release wrote the file.
    """
    require_safe_sqlite()
    path = folder / LIVE_FILE_NAME
    remarks = list(set_aside)
    if path.exists() and path.stat().st_size == 0:
        remarks.append(_set_aside(path, now_ms, "it was empty"))
    for is_second in (False, True):
        try:
            connection = _open(path, now_ms, busy_timeout_ms)
        except DamageErrors as error:
            if is_second:
                raise StorageFault(f"{path} cannot be made anew ({error}): check the disk.") from error
            remarks.append(_set_aside(path, now_ms, str(error)))
        except EnvironmentErrors as error:
            raise StorageFault(
                f"{path} cannot be opened ({error}), so nothing can be saved: "
                "close programs that use it, check permissions and free space."
            ) from error
        else:
            break
    was_set_aside = bool(remarks)
    # the copy is newer than any sealed month, so it comes first
    is_restored = restore_copy(folder, connection)
    remarks += _catalogue_months(folder, connection, now_ms)
    if was_set_aside and configuration.load_installation(connection) is None:
        remarks.append("The installation could not be restored: import the site file again.")
    elif is_restored and not was_set_aside:
        remarks.append(f"{LIVE_FILE_NAME} was missing; a fresh one was started with the installation of before.")
    return OpenedLive(connection, tuple(remarks))


def _open(path: Path, now_ms: int, busy_timeout_ms: int) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        apply_writer_pragmas(connection, busy_timeout_ms)
        if not migrate(connection, now_ms) and not has_all_tables(connection):
            raise apsw.CorruptError("tables are missing")
        configuration.create_tables(connection)
        # the small tables are read at once, so their damage shows now and not in an hour
        for table in ("series", "layout", "sealed_month", "setting", "epoch"):
            connection.execute(f"SELECT * FROM {table}").fetchall()
        for table in ("tail", "chunk"):
            # where every reader begins, and where the next minute goes
            connection.execute(f"SELECT min(id) FROM {table}").fetchall()
            connection.execute(f"SELECT max(id) FROM {table}").fetchall()
        configuration.load_installation(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def set_live_aside(folder: Path, now_ms: int, reason: str) -> str:
    """Move a damaged live file out of the way; its connections must be closed. Returns the sentence to show."""
    return _set_aside(folder / LIVE_FILE_NAME, now_ms, reason)


def _set_aside(path: Path, now_ms: int, reason: str) -> str:
    target = _free_name(path, f"damaged-{utc_stamp(now_ms)}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(target.with_name(target.name + suffix))
    return (
        f"{path.name} was damaged ({reason}) and was set aside as {target.name}; a fresh one was started and "
        "acquisition goes on. Sealed months are safe; the newest days are in the file set aside: keep it for repair."
    )


def _free_name(path: Path, ending: str) -> Path:
    target = path.with_name(f"{path.name}.{ending}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{ending}-{number}")
    return target


def _catalogue_months(folder: Path, connection: apsw.Connection, now_ms: int) -> list[str]:
    """Make the catalogue match the folder: the files are the truth."""
    remarks: list[str] = []
    history = folder / HISTORY_FOLDER
    history.mkdir(exist_ok=True)
    for part in history.glob("*.part*"):
        part.unlink()  # a file under construction that a crash left; its data are still in the live file
    catalogued = dict(connection.execute("SELECT month, file FROM sealed_month"))
    found: dict[str, list[tuple[int, Path]]] = {}
    for path in history.glob("*.db"):
        parsed = parse_month_file(path)
        if parsed is not None:
            found.setdefault(parsed[0], []).append((parsed[1], path))
    added: list[tuple[str, Path]] = []
    for month, files in found.items():
        files.sort(reverse=True)
        if catalogued.get(month) in [path.name for _revision, path in files]:
            for _revision, path in files:
                if path.name != catalogued[month]:
                    # an old revision that was still open, or a new one that a crash left uncatalogued:
                    # all it holds is in the catalogued file or in the live one
                    remove_revision(path)
            continue
        for _revision, path in files:
            reason = month_damage(path, month)
            if reason:
                remarks.append(_set_aside(path, now_ms, reason))
            else:
                added.append((month, path))
                break
    missing = [month for month in catalogued if month not in found]
    if missing:
        remarks.append(
            f"Sealed months {', '.join(missing)} are missing from {history}: their history is shown as gaps; "
            "put the files back from a backup."
        )
    with write_transaction(connection):
        connection.executemany("DELETE FROM sealed_month WHERE month = ?", [(month,) for month in missing])
        taken = []
        for month, path in sorted(added):
            if not _drop_what_is_sealed(connection, month, path):
                target = _free_name(path, f"superseded-{utc_stamp(now_ms)}")
                path.rename(target)
                remarks.append(
                    f"{path.name} does not agree with the days of {month} in {LIVE_FILE_NAME} and was set aside as "
                    f"{target.name}; the live days are shown."
                )
                continue
            taken.append(path)
            is_aged = month_setting(path, "is_aged") == "1"
            row = (month, path.name, path.stat().st_size, int(is_aged))
            connection.execute("INSERT OR REPLACE INTO sealed_month VALUES (?, ?, ?, ?)", row)
        restore_sealed_journals(connection, taken)
    return remarks


def _drop_what_is_sealed(connection: apsw.Connection, month: str, path: Path) -> bool:
    """After a crash between the renaming of a sealed month and its entry in the catalogue: finish the entry.

    Returns:
        False when the live file holds days of the month that the sealed file does not hold in the same bytes.
    """
    days = days_of_month(month)
    span = (chunk_id(days.start, 0), chunk_id(days.stop, 0))
    sealed = open_sealed(path)
    try:
        for id_, body in connection.execute("SELECT id, body FROM chunk WHERE id >= ? AND id < ?", span):
            if sealed.execute("SELECT body FROM chunk WHERE id = ?", (id_,)).fetchone() != (body,):
                return False
    finally:
        sealed.close()
    connection.execute("DELETE FROM chunk WHERE id >= ? AND id < ?", span)
    connection.execute("DELETE FROM rollup WHERE id >= ? AND id < ?", span)
    return True


def month_setting(path: Path, key: str) -> str:
    """A note in a sealed month, empty when it has none."""
    sealed = open_sealed(path)
    try:
        row = sealed.execute("SELECT content FROM setting WHERE key = ?", (key,)).fetchone()
    finally:
        sealed.close()
    return str(row[0]) if row else ""


def remove_revision(path: Path) -> None:
    """Delete a month's file that another revision replaced."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return  # Windows: a reader has it open; the next start removes it


def month_damage(path: Path, month: str) -> str:
    """Why a sealed file cannot be used, empty when it can."""
    try:
        sealed = open_sealed(path)
    except (StorageFault, *DamageErrors) as error:
        return str(error)
    try:
        settings = dict(sealed.execute("SELECT key, content FROM setting WHERE key = 'month'"))
        if settings.get("month") != month:
            return "it is not the month its name says"
        sealed.execute("SELECT max(id) FROM chunk").fetchall()
    except apsw.Error as error:
        return str(error)
    finally:
        sealed.close()
    return ""
