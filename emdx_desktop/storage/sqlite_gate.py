"""Refuses SQLite releases that can lose committed transactions."""

from __future__ import annotations

import apsw

from emdx_desktop.domain.errors import StorageFault

FIRST_AFFECTED = (3, 7, 0)
FIRST_SAFE = (3, 51, 3)
"""SQLite 3.7.0 to 3.51.2 can lose commits when a WAL is reset while another connection checkpoints
(https://sqlite.org/wal.html, "the WAL-reset bug")."""


def require_safe_sqlite(version: str | None = None) -> None:
    """Refuse an affected SQLite.

    Args:
        version: For example `3.54.1`; None for the one apsw bundles.

    Raises:
        StorageFault: The release can lose data.
    """
    text = apsw.sqlite_lib_version() if version is None else version
    release = tuple(int(part) for part in text.split(".")[:3])
    if FIRST_AFFECTED <= release < FIRST_SAFE:
        raise StorageFault(
            f"SQLite {text} can lose saved minutes (releases 3.7.0 to 3.51.2 are affected), so nothing was opened: "
            "install apsw 3.51.3 or newer, for example with `python3 dev.py setup`."
        )
