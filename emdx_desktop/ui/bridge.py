"""Every crossing between threads and the window, in one file.

Live snapshots: the newest wins, the ones between are dropped. Queries: each has a request number, the
answer to an old question is ignored. What crosses is frozen; nothing raised crosses as an exception
except a bug, which is raised again in the window's thread so that it reaches the hooks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, QTimer, Signal, Slot

from emdx_desktop.domain.errors import EmdxError
from emdx_desktop.domain.ports import SupervisionPort
from emdx_desktop.domain.readings import SiteSnapshot

MIN_DELIVERY_INTERVAL_S = 0.1
"""A flood of snapshots becomes at most ten deliveries a second, whatever the sender does."""

QUERY_THREADS = 2


class SnapshotRelay(QObject):
    """Brings snapshots from the port's thread into the window's.

    Signals:
        snapshot_ready(SiteSnapshot): The newest snapshot, in the window's thread.
    """

    snapshot_ready = Signal(object)
    _posted = Signal()

    def __init__(self, port: SupervisionPort, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._port = port
        self._lock = threading.Lock()
        self._newest: SiteSnapshot | None = None
        self._is_posted = False
        self._is_stopped = True
        self._unsubscribe: Callable[[], None] | None = None
        self._last_delivery_s = 0.0
        self.delivery_count = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._deliver)
        self._posted.connect(self._on_posted, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Subscribe; the snapshot known already is delivered first."""
        self._is_stopped = False
        newest = self._port.latest()
        if newest is not None:
            self._take(newest)
        self._unsubscribe = self._port.subscribe(self._take)

    def stop(self) -> None:
        """Unsubscribe. Nothing is delivered afterwards, also not what a thread is just handing over."""
        with self._lock:
            self._is_stopped = True
            self._newest = None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._timer.stop()

    def _take(self, snapshot: SiteSnapshot) -> None:
        """Any thread. The lock is held while posting so that `stop` cannot run in between."""
        with self._lock:
            if self._is_stopped:
                return
            self._newest = snapshot
            if not self._is_posted:
                self._is_posted = True
                self._posted.emit()

    @Slot()
    def _on_posted(self) -> None:
        wait_s = self._last_delivery_s + MIN_DELIVERY_INTERVAL_S - time.monotonic()
        if wait_s > 0 and self._last_delivery_s:
            self._timer.start(round(wait_s * 1000) + 1)
        else:
            self._deliver()

    @Slot()
    def _deliver(self) -> None:
        with self._lock:
            snapshot, self._newest, self._is_posted = self._newest, None, False
        if snapshot is not None:
            self._last_delivery_s = time.monotonic()
            self.delivery_count += 1
            self.snapshot_ready.emit(snapshot)


class Cancellation:
    """Tells a running query that nobody waits for it any more."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Say so."""
        self._event.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether to give up."""
        return self._event.is_set()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a query came to: a result, a sentence, or a bug."""

    channel: str
    number: int
    result: Any = None
    fault: str = ""
    bug: Exception | None = None


@dataclass(slots=True)
class _Question:
    number: int
    cancellation: Cancellation
    on_result: Callable[[Any], None]
    on_fault: Callable[[str], None]


class _Work(QRunnable):
    """One query in a thread of the pool."""

    def __init__(
        self,
        channel: str,
        number: int,
        work: Callable[[Cancellation], Any],
        cancellation: Cancellation,
        hand_over: Callable[[_Answer], None],
    ) -> None:
        super().__init__()
        self._channel = channel
        self._number = number
        self._work = work
        self._cancellation = cancellation
        self._hand_over = hand_over

    def run(self) -> None:
        """Run the query unless nobody waits for it any more."""
        if self._cancellation.is_cancelled:
            return
        try:
            answer = _Answer(self._channel, self._number, result=self._work(self._cancellation))
        except EmdxError as fault:
            answer = _Answer(self._channel, self._number, fault=str(fault))
        except Exception as bug:  # noqa: BLE001 - the edge of a thread: raised again in the window's
            answer = _Answer(self._channel, self._number, bug=bug)
        self._hand_over(answer)


class QueryPool(QObject):
    """Runs queries beside the window. One question a channel: a new one makes the old one stale."""

    _answered = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(QUERY_THREADS)
        # connections of the history are per thread: threads stay until the end
        self._pool.setExpiryTimeout(-1)
        self._lock = threading.Lock()
        self._is_closed = False
        self._last_number = 0
        self._questions: dict[str, _Question] = {}
        self._answered.connect(self._on_answered, Qt.ConnectionType.QueuedConnection)

    def ask(
        self,
        channel: str,
        work: Callable[[Cancellation], Any],
        on_result: Callable[[Any], None],
        on_fault: Callable[[str], None],
    ) -> None:
        """Run `work` in the pool; `on_result` or `on_fault` (one sentence) is called in this thread.

        A question already open on this channel is cancelled and its answer ignored.
        """
        if self._is_closed:
            return
        self.cancel(channel)
        self._last_number += 1
        cancellation = Cancellation()
        self._questions[channel] = _Question(self._last_number, cancellation, on_result, on_fault)
        self._pool.start(_Work(channel, self._last_number, work, cancellation, self._hand_over))

    def cancel(self, channel: str) -> None:
        """Nobody waits for this channel's answer any more."""
        question = self._questions.pop(channel, None)
        if question is not None:
            question.cancellation.cancel()

    def is_busy(self, channel: str) -> bool:
        """Whether an answer is awaited."""
        return channel in self._questions

    def close(self) -> None:
        """Cancel everything and wait for the threads. No answer is delivered afterwards."""
        with self._lock:
            self._is_closed = True
        for channel in tuple(self._questions):
            self.cancel(channel)
        self._pool.clear()
        self._pool.waitForDone()

    def _hand_over(self, answer: _Answer) -> None:
        """A thread of the pool. `close` waits for these threads, so the object is alive here."""
        with self._lock:
            if not self._is_closed:
                self._answered.emit(answer)

    @Slot(object)
    def _on_answered(self, answer: _Answer) -> None:
        question = self._questions.get(answer.channel)
        if self._is_closed or question is None or question.number != answer.number:
            return
        del self._questions[answer.channel]
        if answer.bug is not None:
            question.on_fault(
                self.tr("The program made a mistake here - this part is not shown - see the log and report it")
            )
            raise answer.bug
        if answer.fault:
            question.on_fault(answer.fault)
        else:
            question.on_result(answer.result)
