"""The one writer thread of a data folder: commits minutes, packs days, seals months, keeps house."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import apsw

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import DAY_MS, MINUTE_MS, Event, EventKind, MinuteBatch, RetentionPolicy
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.ports import Clock
from emdx_desktop.domain.readings import Notice, NoticeLevel
from emdx_desktop.domain.site_difference import counts_otherwise
from emdx_desktop.storage import configuration
from emdx_desktop.storage.batch_record import batch_from_bytes, batch_to_bytes
from emdx_desktop.storage.connections import (
    BUSY_TIMEOUT_MS,
    DamageErrors,
    EnvironmentErrors,
    open_for_reading,
    write_transaction,
)
from emdx_desktop.storage.folder_check import prepare_folder
from emdx_desktop.storage.folder_lock import DataFolderLock
from emdx_desktop.storage.history_access import ZONE_KEY
from emdx_desktop.storage.housekeeping import Housekeeping
from emdx_desktop.storage.journal import insert_events
from emdx_desktop.storage.journal_copy import write_copy
from emdx_desktop.storage.local_hours import open_zone
from emdx_desktop.storage.minute_commit import MinuteCommitter
from emdx_desktop.storage.months import LIVE_FILE_NAME
from emdx_desktop.storage.notice_board import NoticeBoard
from emdx_desktop.storage.recovery import open_live, set_live_aside
from emdx_desktop.storage.space import SPACE_NOTICE, space_notice, store_policy
from emdx_desktop.storage.spool import Spool

RUNNING_FILE_NAME = "writer.running"
QUEUE_LIMIT = 240
"""Minutes; with 255 devices about 250 MB. What comes beyond goes to the spool file."""
HELD_LIMIT = 1440
"""Minutes kept in memory while the disk takes nothing at all."""
CHECKPOINT_S = 60.0
REPLAY_S = 5.0
REFUSED_ALARM_S = 60.0
FUTURE_LIMIT_MS = DAY_MS

SavedListener = Callable[[int], None]
_Result = TypeVar("_Result")
_Job = Callable[[], None]
_log = logging.getLogger(__name__)


def open_writer(
    folder: Path,
    clock: Clock,
    on_saved: SavedListener | None = None,
    *,
    purpose: str = "acquisition",
    busy_timeout_ms: int = BUSY_TIMEOUT_MS,
) -> SqliteHistoryWriter:
    """Take a data folder and start its writer thread.

    Args:
        folder: Made when missing.
        clock: Wall time decides which days are finished; monotonic time when to keep house.
        on_saved: Called in the writer thread with the minute's start after each commit.
        purpose: What a second opener is told, e.g. `collect`.
        busy_timeout_ms: How long a commit waits for a lock that another program holds.

    Raises:
        StorageFault: The place is unsafe or refused, somebody owns it, or a newer release wrote it.
    """
    prepare_folder(folder)
    lock = DataFolderLock(folder)
    lock.acquire(purpose)
    try:
        return SqliteHistoryWriter(folder, lock, clock, on_saved, busy_timeout_ms)
    except BaseException:
        lock.release()
        raise


class SqliteHistoryWriter:
    """`HistoryWriter` of a data folder. Made by `open_writer`."""

    def __init__(
        self, folder: Path, lock: DataFolderLock, clock: Clock, on_saved: SavedListener | None, busy_timeout_ms: int
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._clock = clock
        self._on_saved = on_saved
        self._busy_timeout_ms = busy_timeout_ms
        self._board = NoticeBoard(clock)
        self._spool = Spool(folder)
        self._condition = threading.Condition()
        self._queue: deque[MinuteBatch | _Job] = deque()
        self._held: deque[MinuteBatch] = deque()  # what neither database nor spool takes
        self._lost_minutes = 0
        self._is_closing = False
        self._last_saved_ms = 0
        self._refused_since_s: float | None = None
        self._next_replay_s = 0.0
        self._next_checkpoint_s = 0.0
        self._is_copy_due = False
        self._next_copy_s = 0.0
        self._copied_series = 0
        self._check_thread: threading.Thread | None = None
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="history-writer")
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self._thread.join()
            raise

    # --- any thread ----------------------------------------------------------------------------------

    def submit(self, batch: MinuteBatch) -> None:
        """Queue a minute; never blocks on the database.

        Raises:
            StorageFault: The writer was closed.
        """
        with self._condition:
            if self._is_closing:
                raise StorageFault("The writer of history was closed: nothing can be saved any more.")
            if len(self._queue) < QUEUE_LIMIT:
                self._queue.append(batch)
                self._condition.notify()
                return
        # the thread is stuck in a lock for hours: keep memory bounded
        self._spool_or_queue(batch)

    def replace_installation(self, installation: Installation) -> Installation:
        """Store a new installation and return it with its revision. Blocks until committed.

        Raises:
            StorageFault: It could not be stored; nothing was changed.
        """
        open_zone(installation.site.timezone)
        return self._call(lambda: self._store_installation(installation))

    def set_retention(self, policy: RetentionPolicy) -> None:
        """Change how long minutes are kept. Blocks until committed.

        Raises:
            StorageFault: It could not be stored.
        """
        self._call(lambda: self._store_policy(policy))

    def last_saved_minute_ms(self) -> int:
        """Start of the newest minute committed, 0 for none."""
        return self._last_saved_ms

    def notices(self) -> tuple[Notice, ...]:
        """Trouble of the storage, in words."""
        return self._board.notices()

    def spooled_batches(self) -> int:
        """Minutes that wait in the spool file."""
        return len(self._spool)

    def wait_until_saved(self, timeout_s: float = 30.0) -> None:
        """Block until all that was submitted so far is committed or spooled.

        Raises:
            StorageFault: It takes longer.
        """
        self._call(self._replay_if_accepted, timeout_s)

    def maintain(self) -> None:
        """Replay, pack finished days, seal finished months, apply retention, checkpoint: now. Blocks."""
        self._call(self._keep_house_now, timeout_s=None)

    def close(self) -> None:
        """Commit what is queued and stop. A second call does nothing."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join()

    def _call(self, work: Callable[[], _Result], timeout_s: float | None = 60.0) -> _Result:
        future: Future[_Result] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except (*EnvironmentErrors, *DamageErrors) as error:
                fault = StorageFault(f"The database refused ({error}), so nothing was changed: try again.")
                fault.__cause__ = error
                future.set_exception(fault)
            except StorageFault as error:
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)  # a bug: whoever waits must not wait for ever
                raise

        with self._condition:
            if self._is_closing:
                raise StorageFault("The writer of history was closed.")
            self._queue.append(job)
            self._condition.notify()
        try:
            return future.result(timeout_s)
        except TimeoutError as error:
            raise StorageFault("The database is busy: try again in a minute.") from error

    # --- writer thread -------------------------------------------------------------------------------

    def _run(self, started: Future[None]) -> None:
        try:
            self._start()
        except BaseException as error:  # noqa: BLE001  # handed to the thread that waits in __init__
            started.set_exception(error)
            return
        started.set_result(None)
        while True:
            with self._condition:
                if not self._queue and not self._is_closing:
                    self._condition.wait(1.0)
                item = self._queue.popleft() if self._queue else None
                is_done = item is None and self._is_closing
            if is_done:
                break
            try:
                if isinstance(item, MinuteBatch):
                    self._store(item)
                elif item is not None:
                    item()
                self._keep_house()
            except Exception as error:  # noqa: BLE001  # loop edge: a bug must not end saving
                _log.exception("history writer")
                self._board.post("storage.bug", NoticeLevel.ALARM, f"Saving met an unexpected fault ({error!r}).")
                if isinstance(item, MinuteBatch):
                    self._quarantine(batch_to_bytes(item), repr(error))
        self._stop()

    def _start(self) -> None:
        marker = self._folder / RUNNING_FILE_NAME
        was_unclean = marker.exists()
        self._open()
        try:
            marker.touch()
        except OSError as error:
            self._connection.close()
            raise StorageFault(f"The data folder {self._folder} cannot be written ({error.strerror}).") from error
        self._replay()
        if was_unclean:
            self._check_thread = threading.Thread(target=self._quick_check, name="history-check")
            self._check_thread.start()

    def _open(self, remarks: tuple[str, ...] = ()) -> None:
        opened = open_live(self._folder, self._clock.now_ms(), self._busy_timeout_ms, remarks)
        self._connection = opened.connection
        self._committer = MinuteCommitter(opened.connection)
        self._housekeeping = Housekeeping(self._folder, opened.connection, self._committer, self._clock, self._board)
        row = opened.connection.execute("SELECT content FROM setting WHERE key = 'last_saved_minute_ms'").fetchone()
        self._last_saved_ms = max(self._last_saved_ms, int(row[0]) if row else 0)
        self._is_copy_due = bool(len(self._committer.book))
        for number, remark in enumerate(opened.remarks):
            self._board.post(f"storage.recovered.{self._clock.now_ms()}.{number}", NoticeLevel.ALARM, remark)
        if opened.remarks:
            now = self._clock.now_ms()
            events = tuple(Event(now, EventKind.STORAGE, remark) for remark in opened.remarks)
            self._committer.commit(MinuteBatch(self._last_saved_ms, events=events))

    def _stop(self) -> None:
        if self._check_thread is not None:
            self._check_thread.join()
        try:
            self._replay()
            for batch in self._held:
                self._spool.append(batch_to_bytes(batch))
            if self._is_copy_due:
                self._write_copy()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except StorageFault:
            _log.exception("%d minute(s) could neither be saved nor spooled and are lost", len(self._held))
        except (*EnvironmentErrors, *DamageErrors):
            _log.warning("the log could not be folded in at the end; the next start does it", exc_info=True)
        self._connection.close()
        (self._folder / RUNNING_FILE_NAME).unlink(missing_ok=True)
        self._lock.release()

    def _store(self, batch: MinuteBatch) -> None:
        if batch.minute_ms > self._clock.now_ms() + FUTURE_LIMIT_MS:
            self._quarantine(batch_to_bytes(batch), "it lies more than a day in the future")
            return
        # minutes may be committed in any order, so what waits in the spool holds nothing up;
        # while the database refuses, each try may cost the whole busy time-out: then only now and then
        if not self._may_try() or not self._commit(batch):
            self._spool_or_queue(batch)

    def _may_try(self) -> bool:
        return self._refused_since_s is None or self._clock.monotonic_s() >= self._next_replay_s

    def _commit(self, batch: MinuteBatch) -> bool:
        """Commit a batch; False when the database refuses for now."""
        try:
            rejected = self._committer.commit(batch)
        except EnvironmentErrors as error:
            self._note_refusal(error)
            return False
        except DamageErrors as error:
            self._replace_live(str(error))
            try:
                rejected = self._committer.commit(batch)
            except (*EnvironmentErrors, *DamageErrors) as again:
                self._note_refusal(again)
                return False
        for minute, reason in rejected:
            poison = MinuteBatch(batch.minute_ms, devices=(minute,))
            self._quarantine(batch_to_bytes(poison), reason)
        self._refused_since_s = None
        if not len(self._spool) and not self._held:
            self._board.clear("storage.refused")
        self._last_saved_ms = max(self._last_saved_ms, batch.minute_ms)
        if batch.epochs or len(self._committer.book) != self._copied_series:
            self._is_copy_due = True
        if self._on_saved is not None:
            self._on_saved(batch.minute_ms)
        return True

    def _note_refusal(self, error: Exception) -> None:
        now_s = self._clock.monotonic_s()
        if self._refused_since_s is None:
            self._refused_since_s = now_s
        is_long = now_s - self._refused_since_s >= REFUSED_ALARM_S
        causes: dict[type[Exception], str] = {
            apsw.FullError: "the disk is full",
            apsw.BusyError: "another program holds it",
            apsw.LockedError: "another program holds it",
            apsw.ReadOnlyError: "the folder is read-only",
        }
        cause = causes.get(type(error), str(error))
        self._board.post(
            "storage.refused",
            NoticeLevel.ALARM if is_long else NoticeLevel.WARNING,
            f"The database refuses to save ({cause}); minutes are kept in {self._spool.path.name} and saved as soon as "
            "it accepts: free disk space, or close programs that use the data folder.",
        )
        self._next_replay_s = now_s + REPLAY_S

    def _spool_or_queue(self, batch: MinuteBatch) -> None:
        try:
            self._spool.append(batch_to_bytes(batch))
        except StorageFault as fault:
            # the disk refuses everything: memory is all there is
            with self._condition:
                self._held.append(batch)
                while len(self._held) > HELD_LIMIT:
                    self._held.popleft()
                    self._lost_minutes += 1
                held, lost = len(self._held), self._lost_minutes
            loss = f" {lost} minute(s) did not fit any more and are lost." if lost else ""
            self._board.post(
                "storage.spool",
                NoticeLevel.ALARM,
                f"{fault} The last {held} minute(s) are kept in memory only: do not switch off, free disk space.{loss}",
            )

    def _commit_held(self) -> bool:
        """Commit what only memory keeps; False when the database refuses again."""
        while self._held:
            if not self._commit(self._held[0]):
                return False
            with self._condition:
                self._held.popleft()
        if not self._lost_minutes:
            self._board.clear("storage.spool")
        return True

    def _replay_if_accepted(self) -> None:
        if self._may_try():
            self._replay()

    def _replay(self) -> None:
        """Commit what memory and the spool keep until the database refuses again."""
        if not self._commit_held():
            return
        if not len(self._spool):
            if self._refused_since_s is None:
                self._board.clear("storage.refused")
            return
        done = 0
        for record in self._spool.records():
            if record.payload is None:
                self._quarantine(record.raw, "the spooled record is damaged")
            else:
                try:
                    batch = batch_from_bytes(record.payload)
                except StorageFault as fault:
                    self._quarantine(record.payload, str(fault))
                else:
                    if not self._commit(batch):
                        break
            done += 1
        if done:
            self._spool.drop_first(done)
        if not len(self._spool):
            self._board.clear("storage.refused")

    def _quarantine(self, record: bytes, reason: str) -> None:
        """Keep what cannot be stored, so that it neither blocks the queue nor is lost."""
        now = self._clock.now_ms()
        message = f"A minute was put aside ({reason}); the others were saved. It is kept in the quarantine table."
        try:
            with write_transaction(self._connection):
                self._connection.execute(
                    "INSERT INTO quarantine(ts_ms, reason, record) VALUES (?, ?, ?)", (now, reason, record)
                )
            self._committer.commit(
                MinuteBatch(self._last_saved_ms, events=(Event(now, EventKind.STORAGE, message, data={"why": reason}),))
            )
        except (*EnvironmentErrors, *DamageErrors):
            # then beside the database: it is never thrown away
            with (self._folder / "quarantine.bin").open("ab") as file:
                file.write(record)
        self._board.post("storage.quarantine", NoticeLevel.WARNING, message)

    def _replace_live(self, reason: str) -> None:
        """Set a damaged live file aside at run time and go on with a fresh one."""
        self._connection.close()
        remark = set_live_aside(self._folder, self._clock.now_ms(), reason)
        self._open((remark,))

    def _quick_check(self) -> None:
        """After an unclean stop, in a thread of its own with a connection of its own."""
        try:
            connection = open_for_reading(self._folder / LIVE_FILE_NAME)
        except StorageFault:
            _log.warning("quick_check could not open the live file", exc_info=True)
            return
        try:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchall()[0][0])
        except DamageErrors as error:
            answer = str(error)
        except EnvironmentErrors:
            return
        finally:
            connection.close()
        if answer != "ok":
            with self._condition:
                self._queue.append(lambda: self._replace_live(answer))
                self._condition.notify()

    def _store_installation(self, installation: Installation) -> Installation:
        with write_transaction(self._connection):
            before = configuration.load_installation(self._connection)
            stored = configuration.replace_installation(self._connection, installation)
            known = {device.id: device for device in before.devices} if before is not None else {}
            insert_events(
                self._connection,
                [
                    Event(
                        self._clock.now_ms(),
                        EventKind.INSTALLATION_CHANGED,
                        f"{device.name} is read as something else than before: its counters are counted anew.",
                        device.id,
                    )
                    for device in stored.devices
                    if device.id in known and counts_otherwise(known[device.id], device)
                ],
            )
            self._connection.execute(
                "INSERT OR REPLACE INTO setting VALUES (?, ?)", (ZONE_KEY, installation.site.timezone)
            )
        self._housekeeping.look_again()
        self._is_copy_due = True
        self._next_copy_s = 0.0
        return stored

    def _store_policy(self, policy: RetentionPolicy) -> None:
        with write_transaction(self._connection):
            store_policy(self._connection, policy)
        self._is_copy_due = True

    # --- housekeeping --------------------------------------------------------------------------------

    def _keep_house(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._is_copy_due and now_s >= self._next_copy_s:
            self._write_copy()
        if (len(self._spool) or self._held) and not self._queue and self._may_try():
            self._replay()
        if now_s < self._next_checkpoint_s:
            return
        self._next_checkpoint_s = now_s + CHECKPOINT_S
        try:
            self._housekeeping.run_due()
        except (*EnvironmentErrors, StorageFault) as error:
            # a full disk stops packing, not acquisition; the tail keeps the minutes until it works
            self._board.post(
                "storage.housekeeping",
                NoticeLevel.WARNING,
                f"Packing history is waiting ({error}); minutes are saved meanwhile, and packed when it works again.",
            )
        except DamageErrors as error:
            self._replace_live(str(error))
        else:
            self._board.clear("storage.housekeeping")
        notice = space_notice(self._folder, self._clock.now_ms())
        if notice is None:
            self._board.clear(SPACE_NOTICE)
        else:
            self._board.post(notice.key, notice.level, notice.message)

    def _write_copy(self) -> None:
        """Keep beside the live file what acquisition cannot go on without, should the live file be lost."""
        self._next_copy_s = self._clock.monotonic_s() + CHECKPOINT_S
        try:
            write_copy(self._folder, self._connection)
        except (OSError, *EnvironmentErrors):
            _log.warning("the recovery copy could not be written; it is tried again in a minute", exc_info=True)
        else:
            self._is_copy_due = False
            self._copied_series = len(self._committer.book)

    def _keep_house_now(self) -> None:
        self._replay()
        self._housekeeping.run_now()

    @property
    def minutes_behind(self) -> int:
        """Minutes between now and the newest one saved, for a watchdog."""
        return max(0, (self._clock.now_ms() - self._last_saved_ms) // MINUTE_MS)
