"""What the data folder holds, how fast it grows and when the disk is full."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import RetentionPolicy, StorageReport, StoredFile
from emdx_desktop.domain.readings import Notice, NoticeLevel
from emdx_desktop.storage.chunks import chunk_id
from emdx_desktop.storage.months import HISTORY_FOLDER, days_of_month, parse_month_file
from emdx_desktop.storage.spool import Spool

RETENTION_DAYS_KEY = "retention_instant_days"
RETENTION_BUDGET_KEY = "retention_disk_budget_bytes"
SPACE_NOTICE = "storage.space"
_LEVELS = ((0.01, NoticeLevel.ALARM), (0.05, NoticeLevel.ALARM), (0.20, NoticeLevel.WARNING))
"""Free share of the disk below which a notice comes up (faults.md, S5)."""


def load_policy(connection: apsw.Connection) -> RetentionPolicy:
    """The retention policy in force."""
    settings = dict(connection.execute("SELECT key, content FROM setting WHERE key LIKE 'retention_%'"))
    days = settings.get(RETENTION_DAYS_KEY)
    budget = settings.get(RETENTION_BUDGET_KEY)
    default = RetentionPolicy()
    return RetentionPolicy(int(days) if days else default.instant_days, int(budget) if budget else None)


def store_policy(connection: apsw.Connection, policy: RetentionPolicy) -> None:
    """Keep a retention policy. Inside a write transaction."""
    budget = "" if policy.disk_budget_bytes is None else str(policy.disk_budget_bytes)
    connection.executemany(
        "INSERT OR REPLACE INTO setting VALUES (?, ?)",
        [(RETENTION_DAYS_KEY, str(policy.instant_days)), (RETENTION_BUDGET_KEY, budget)],
    )


def list_files(folder: Path) -> tuple[StoredFile, ...]:
    """All files of history: the live file with its log, sealed months, what was set aside, the spool."""
    found = []
    for path in sorted([*folder.glob("*"), *(folder / HISTORY_FOLDER).glob("*")]):
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            continue  # the log comes and goes
        if path.is_file():
            parsed = parse_month_file(path)
            month = parsed[0] if parsed else ""
            found.append(StoredFile(path.relative_to(folder).as_posix(), size, parsed is not None, month))
    return tuple(found)


def bytes_per_day(connection: apsw.Connection) -> float | None:
    """Growth, from the newest sealed month and from the packed days of the live file; None before either exists."""
    row = connection.execute(
        "SELECT month, size_bytes FROM sealed_month WHERE is_aged = 0 ORDER BY month DESC LIMIT 1"
    ).fetchone()
    rates = []
    if row is not None:
        rates.append(row[1] / len(days_of_month(row[0])))
    newest = connection.execute("SELECT max(id) FROM chunk").get
    if newest is not None:
        last_day = newest >> 24
        size, days = connection.execute(
            "SELECT sum(length(body)), count(DISTINCT id >> 24) FROM chunk WHERE id >= ?", (chunk_id(last_day - 6, 0),)
        ).get
        # 1.1: what pages and roll-ups add to packed days, as measured on sealed months
        rates.append(1.1 * size / days)
    return max(rates) if rates else None


def report_space(folder: Path, connection: apsw.Connection, notices: tuple[str, ...]) -> StorageReport:
    """Files, sizes and forecast."""
    files = list_files(folder)
    total = sum(file.size_bytes for file in files)
    free = shutil.disk_usage(folder).free
    rate = bytes_per_day(connection)
    budget = load_policy(connection).disk_budget_bytes
    room = free if budget is None else min(free, max(0, budget - total))
    try:
        spooled = len(Spool(folder))
    except StorageFault:
        spooled = 0
    return StorageReport(
        files=files,
        total_bytes=total,
        free_bytes=free,
        bytes_per_day=rate,
        budget_bytes=budget,
        days_until_full=room / rate if rate else None,
        spooled_batches=spooled,
        notices=notices,
    )


def space_notice(folder: Path, since_ms: int) -> Notice | None:
    """A notice when the disk runs low, None when it does not.

    Raises:
        StorageFault: The disk does not answer.
    """
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        raise StorageFault(f"The disk of {folder} does not answer ({error.strerror}).") from error
    share = usage.free / usage.total if usage.total else 0.0
    for limit, level in _LEVELS:
        if share < limit:
            return Notice(
                SPACE_NOTICE,
                level,
                f"The disk of {folder} has {usage.free / 1e9:.1f} GB left ({100 * share:.1f} %, below {limit:.0%}); "
                "when it is full, minutes wait in memory: free some space or lower the disk budget.",
                since_ms,
            )
    return None
