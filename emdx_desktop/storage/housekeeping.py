"""What the writer does beside saving: pack days, seal months, age, checkpoint."""

from __future__ import annotations

from pathlib import Path

import apsw

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import DAY_MS, MINUTE_MS, Event, EventKind, MinuteBatch
from emdx_desktop.domain.ports import Clock
from emdx_desktop.domain.readings import NoticeLevel
from emdx_desktop.storage.connections import DamageErrors
from emdx_desktop.storage.day_packing import DayPacker
from emdx_desktop.storage.history_access import MINUTES_PER_DAY, HistoryAccess
from emdx_desktop.storage.hour_rebuild import HourRebuilder
from emdx_desktop.storage.minute_commit import MinuteCommitter
from emdx_desktop.storage.month_sealing import MonthSealer
from emdx_desktop.storage.months import days_of_month
from emdx_desktop.storage.notice_board import NoticeBoard
from emdx_desktop.storage.space import list_files, load_policy
from emdx_desktop.storage.tail import MINUTE_BITS, tail_id

PACK_GRACE_MS = 10 * MINUTE_MS
"""After midnight UTC: the last minute of the day may still be on its way."""
SEAL_GRACE_MS = DAY_MS + 2 * PACK_GRACE_MS
"""After the end of a month: its last local hour may reach into the next day, which is packed by then."""
SEALED_WITHIN_DAYS = 62
"""The newest sealed month of a folder in use ended no longer ago: a month, the grace, and some."""
LATE_PACK_S = 3600.0
"""Late minutes of old days are packed at most this often: each time may write a sealed month anew."""


class Housekeeping:
    """The slow work of the writer thread, on its connection."""

    def __init__(
        self,
        folder: Path,
        connection: apsw.Connection,
        committer: MinuteCommitter,
        clock: Clock,
        board: NoticeBoard,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._committer = committer
        self._clock = clock
        self._board = board
        self._packer = DayPacker(connection, committer.book, self._open_access)
        self._sealer = MonthSealer(folder, connection, lambda: committer.book)
        self._rebuilder = HourRebuilder(folder, connection, committer.book, self._sealer)
        self._next_late_s = clock.monotonic_s() + LATE_PACK_S
        self._night = -1

    def _open_access(self) -> HistoryAccess:
        return HistoryAccess(self._folder, self._on_damage, self._connection)

    def _on_damage(self, key: str, message: str) -> None:
        self._board.post(key, NoticeLevel.ALARM, message)

    def run_due(self) -> None:
        """Called once a minute: fold the log in, pack yesterday when it is over, and the rest once a night."""
        now_s = self._clock.monotonic_s()
        takes_late = now_s >= self._next_late_s
        self._pack(takes_late)
        night = (self._clock.now_ms() - PACK_GRACE_MS) // DAY_MS
        if takes_late or night != self._night:
            self._next_late_s = now_s + LATE_PACK_S
            self._seal()
            self._rebuild_hours()
        if night != self._night:
            self._retain()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._night = night
        else:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def look_again(self) -> None:
        """The zone may have changed: hours are compared at the next round."""
        self._night = -1

    def run_now(self) -> None:
        """All of it, at once."""
        self._pack(takes_late=True)
        self._seal()
        self._rebuild_hours()
        self._retain()
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _rebuild_hours(self) -> None:
        rebuilt = self._rebuilder.run()
        if rebuilt:
            message = (
                f"The hours of {', '.join(rebuilt)} were made anew, because the site's time zone or its rules changed."
            )
            now = self._clock.now_ms()
            self._committer.commit(MinuteBatch(0, events=(Event(now, EventKind.STORAGE, message),)))

    def _pack(self, takes_late: bool) -> None:
        today = (self._clock.now_ms() - PACK_GRACE_MS) // DAY_MS
        for day in self._tail_days():
            if day == today - 1 or (day < today and takes_late):
                self._packer.pack(day)

    def _tail_days(self) -> list[int]:
        days: list[int] = []
        position = 0
        while True:
            found = self._connection.execute("SELECT min(id) FROM tail WHERE id >= ?", (position,)).get
            if found is None:
                return days
            days.append((found >> MINUTE_BITS) // MINUTES_PER_DAY)
            position = tail_id((days[-1] + 1) * MINUTES_PER_DAY, 0)

    def _seal(self) -> None:
        finished_ms = self._clock.now_ms() - SEAL_GRACE_MS
        for month in self._sealer.months_with_live_days():
            if days_of_month(month).stop * DAY_MS <= finished_ms:
                try:
                    self._sealer.seal(month)
                except (StorageFault, *DamageErrors) as error:
                    self._board.post(
                        f"storage.seal.{month}",
                        NoticeLevel.WARNING,
                        f"The month {month} could not be sealed ({error}); its days stay in the live file.",
                    )
                else:
                    self._board.clear(f"storage.seal.{month}")

    def _retain(self) -> None:
        """Age months beyond the policy, oldest first; counters and hours always stay."""
        policy = load_policy(self._connection)
        newest_month = self._connection.execute("SELECT max(month) FROM sealed_month").get
        if newest_month is None:
            return
        # the clock alone must not decide: set years ahead, it would take every minute away
        today = min(self._clock.now_ms() // DAY_MS, days_of_month(newest_month).stop + SEALED_WITHIN_DAYS)
        oldest_day = today - policy.instant_days
        months = [
            row[0]
            for row in self._connection.execute("SELECT month FROM sealed_month WHERE is_aged = 0 ORDER BY month")
        ]
        for month in months:
            is_over_budget = policy.disk_budget_bytes is not None and (
                sum(file.size_bytes for file in list_files(self._folder)) > policy.disk_budget_bytes
            )
            if days_of_month(month).stop > oldest_day and not is_over_budget:
                break
            self._sealer.age(month)
            why = "the disk budget is used up" if is_over_budget else f"it is older than {policy.instant_days} days"
            now = self._clock.now_ms()
            message = f"Minutes of {month} were reduced to local hours ({why}); energies keep every minute."
            self._committer.commit(MinuteBatch(0, events=(Event(now, EventKind.STORAGE, message),)))
