"""Notices by key, posted by one thread and read by others."""

from __future__ import annotations

import threading

from emdx_desktop.domain.ports import Clock
from emdx_desktop.domain.readings import Notice, NoticeLevel


class NoticeBoard:
    """One notice a key; a changed one keeps the moment it came up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._notices: dict[str, Notice] = {}

    def post(self, key: str, level: NoticeLevel, message: str) -> None:
        """Show a notice."""
        with self._lock:
            old = self._notices.get(key)
            since = old.since_ts_ms if old is not None else self._clock.now_ms()
            self._notices[key] = Notice(key, level, message, since)

    def clear(self, key: str) -> None:
        """It is over."""
        with self._lock:
            self._notices.pop(key, None)

    def notices(self) -> tuple[Notice, ...]:
        """All notices."""
        with self._lock:
            return tuple(self._notices.values())
