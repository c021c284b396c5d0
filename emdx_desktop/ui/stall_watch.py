"""Measures how long the window did not answer: a late timer is a stall."""

from __future__ import annotations

import logging
import time

from PySide6.QtCore import QObject, Qt, QTimer, Slot

logger = logging.getLogger(__name__)

INTERVAL_MS = 100
LOGGED_FROM_MS = 250.0


class StallWatch(QObject):
    """A timer that compares when it comes with when it should come."""

    def __init__(self, parent: QObject | None = None, interval_ms: int = INTERVAL_MS) -> None:
        super().__init__(parent)
        self._last_s = 0.0
        self.stalls_ms: list[float] = []
        self.is_recording = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self._on_timer_timeout)

    def start(self, *, is_recording: bool = False) -> None:
        """Begin; with `is_recording` every lateness is kept in `stalls_ms` (for measurements)."""
        self.is_recording = is_recording
        self.stalls_ms.clear()
        self._last_s = time.monotonic()
        self._timer.start()

    def stop(self) -> None:
        """End."""
        self._timer.stop()

    @property
    def worst_ms(self) -> float:
        """Longest stall recorded."""
        return max(self.stalls_ms, default=0.0)

    @Slot()
    def _on_timer_timeout(self) -> None:
        now_s = time.monotonic()
        stall_ms = (now_s - self._last_s) * 1000 - self._timer.interval()
        self._last_s = now_s
        if self.is_recording:
            self.stalls_ms.append(max(0.0, stall_ms))
        if stall_ms > LOGGED_FROM_MS:
            logger.warning("the window did not answer for %.0f ms", stall_ms)
