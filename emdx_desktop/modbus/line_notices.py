"""Sentences about a line and its devices: one notice a cause, not one a poll."""

from __future__ import annotations

from emdx_desktop.domain.ports import BusListener, Clock
from emdx_desktop.domain.readings import Notice, NoticeLevel


class LineNotices:
    """Raises each notice once and clears it once."""

    def __init__(self, listener: BusListener, clock: Clock) -> None:
        self._listener = listener
        self._clock = clock
        self._active: dict[str, Notice] = {}

    def show(self, key: str, level: NoticeLevel, message: str) -> None:
        """Raise a notice, or change its words; silent when it says the same already."""
        before = self._active.get(key)
        if before is not None and (before.level, before.message) == (level, message):
            return
        notice = Notice(key, level, message, before.since_ts_ms if before else self._clock.now_ms())
        self._active[key] = notice
        self._listener.on_notice(notice)

    def clear(self, key: str) -> None:
        """The cause is gone."""
        if self._active.pop(key, None) is not None:
            self._listener.on_notice_cleared(key)
