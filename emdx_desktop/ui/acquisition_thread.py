"""The thread in which acquisition runs when the window does it itself."""

from __future__ import annotations

import logging
import sys
from typing import Protocol

from PySide6.QtCore import QObject, QThread, Signal

from emdx_desktop.domain.errors import EmdxError
from emdx_desktop.domain.ports import SupervisionPort

logger = logging.getLogger(__name__)

STOP_TIMEOUT_MS = 20_000
"""Longest wait for acquisition to end: it commits its last minute and closes its links meanwhile."""


class BlockingRuntime(SupervisionPort, Protocol):
    """Acquisition and writer behind the port: `run` blocks until `stop`, from any thread."""

    def run(self) -> None:
        """Acquire until told to stop."""

    def stop(self) -> None:
        """Ask `run` to return. Any thread, also before `run` began, also twice."""


class AcquisitionThread(QThread):
    """Runs a runtime.

    Signals:
        failed(str): Acquisition ended by itself; the sentence says why. The window stays.
    """

    failed = Signal(str)

    def __init__(self, runtime: BlockingRuntime, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("acquisition")
        self._runtime = runtime

    def run(self) -> None:
        """The thread's body."""
        try:
            self._runtime.run()
        except EmdxError as fault:
            logger.error("acquisition ended: %s", fault)
            self.failed.emit(str(fault))
        except Exception:  # noqa: BLE001 - the edge of a thread: a bug reaches the hook and the person
            sys.excepthook(*sys.exc_info())
            self.failed.emit(
                self.tr(
                    "Acquisition ended by a mistake of the program - nothing is read or saved any more - "
                    "close the program, start it again and report the log"
                )
            )

    def stop(self) -> bool:
        """Stop the runtime and wait for it. Returns whether it ended in time."""
        self._runtime.stop()
        return not self.isRunning() or self.wait(STOP_TIMEOUT_MS)
