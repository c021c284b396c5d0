"""Names of files and months of a data folder."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

LIVE_FILE_NAME = "live.db"
HISTORY_FOLDER = "history"

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MONTH_FILE = re.compile(r"(\d{4}-\d{2})(?:\.r(\d+))?\.db")


@lru_cache(maxsize=8192)
def month_of_day(utc_day: int) -> str:
    """The month a UTC day (counted from 1970) lies in, e.g. `2026-10`."""
    day = date.fromordinal(_EPOCH_ORDINAL + utc_day)
    return f"{day.year:04}-{day.month:02}"


def days_of_month(month: str) -> range:
    """UTC days of a month, counted from 1970."""
    year, number = (int(part) for part in month.split("-"))
    first = date(year, number, 1)
    following = date(year + number // 12, number % 12 + 1, 1)
    return range(first.toordinal() - _EPOCH_ORDINAL, following.toordinal() - _EPOCH_ORDINAL)


def month_file_name(month: str, revision: int) -> str:
    """File of a sealed month. Late data makes a new revision, because Windows replaces no file that is open."""
    return f"{month}.db" if revision == 0 else f"{month}.r{revision}.db"


def parse_month_file(path: Path) -> tuple[str, int] | None:
    """Month and revision of a sealed file's name, None for other files."""
    match = _MONTH_FILE.fullmatch(path.name)
    return (match[1], int(match[2] or 0)) if match else None


def utc_stamp(now_ms: int) -> str:
    """A moment for file names, e.g. `20261103T141500Z`."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now_ms)
    return moment.strftime("%Y%m%dT%H%M%SZ")
