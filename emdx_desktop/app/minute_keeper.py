"""Turns checked readings into minutes at the writer's door, whatever the clock does."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from emdx_desktop.app.clock_watch import STEP_MS, ClockChange, ClockWatch
from emdx_desktop.app.counter_book import CounterBook
from emdx_desktop.domain.history import MINUTE_MS, Event, EventKind, MinuteBatch
from emdx_desktop.domain.minute import MinuteFolder
from emdx_desktop.domain.ports import Clock, EquippedDevice, HistoryWriter
from emdx_desktop.domain.readings import DeviceId, GroupReadings, Notice, NoticeLevel

logger = logging.getLogger(__name__)

EARLIEST_PLAUSIBLE_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""This program did not exist before: an earlier clock has lost its battery."""

QUARANTINE_STEP_MS = 86_400_000
QUARANTINE_S = 3600.0
"""A clock set forward by more than a day is believed after it stood for an hour (own design): history must not
be filled with minutes of a wrong year by a slip of the hand, nor stay empty when the clock was wrong before."""

LATEST_MS = 10_000
"""A reading is handed over as soon as its reply is there, at the latest when the rest of the visit was tried. One
that is further from now was stamped before the clock was set (own design)."""

CLOCK_NOTICE_KEY = "clock"


class MinuteKeeper:
    """Folds readings, closes minutes at wall-clock boundaries and hands them to the writer.

    Only minute boundaries follow the wall clock. When it is set back the same minutes come again: the writer keeps
    the instants written first and the later counter indexes.
    """

    def __init__(self, writer: HistoryWriter, clock: Clock, watch: ClockWatch, counters: CounterBook) -> None:
        self._writer = writer
        self._clock = clock
        self._watch = watch
        self._counters = counters
        self._folder = MinuteFolder()
        self._events: list[Event] = []
        self._minute_ms = _minute_of(clock.now_ms())
        # a restart within a minute: its first part is on disk, and a minute has one value
        self._is_minute_written = 0 < writer.last_saved_minute_ms() == self._minute_ms
        self._doubts_clock_until_s: float | None = None
        if clock.now_ms() < EARLIEST_PLAUSIBLE_MS:
            self._doubts_clock_until_s = float("inf")
        self._doubted_since_ms = clock.now_ms()
        self._doubted_step_ms = 0
        self._untold_change: ClockChange | None = None

    @property
    def is_clock_doubted(self) -> bool:
        """Readings are shown but not stored."""
        return self._doubts_clock_until_s is not None

    def notice(self) -> Notice | None:
        """What a person should know about the clock."""
        if not self.is_clock_doubted:
            return None
        shown = _shown(self._clock.now_ms())
        return Notice(
            CLOCK_NOTICE_KEY,
            NoticeLevel.ALARM,
            f"The PC's clock says {shown}, which cannot be right or moved by more than a day - readings are shown "
            "but not stored - set the clock; a clock that stays as it is will be believed after an hour.",
            self._doubted_since_ms,
        )

    def take(self, readings: GroupReadings) -> GroupReadings:
        """Check and fold one poll; returns what may be shown."""
        if abs(readings.ts_ms - self._watch.seen_ms) > STEP_MS:
            # perhaps the clock was set since the last beat: counters must know it before they judge a step
            self._look()
            now_ms = self._clock.now_ms()
            if abs(readings.ts_ms - now_ms) > LATEST_MS:
                readings = replace(readings, ts_ms=now_ms)
        if self.is_clock_doubted:
            return readings
        if readings.ts_ms >= self._minute_ms + MINUTE_MS:
            self._close_until(readings.ts_ms)
        checked = self._counters.check(readings)
        self._folder.fold(checked)
        return checked

    def record(self, event: Event) -> None:
        """Keep an event with the minute that is open."""
        self._events.append(event)
        if event.kind is EventKind.METER_SWAPPED and event.device_id is not None:
            self._counters.expect_new_meter(event.device_id, "meter exchanged")

    def equip(self, devices: Iterable[EquippedDevice]) -> None:
        """Learn the counters of these devices."""
        self._counters.equip(devices)

    def expect_other_counters(self, device_id: DeviceId, reason: str) -> None:
        """What the device counts changes its meaning: its counters start epochs of their own."""
        self._counters.expect_new_meter(device_id, reason)

    def forget(self, device_ids: Iterable[DeviceId]) -> None:
        """These devices are not polled any more."""
        self._folder.forget(device_ids, self._clock.now_ms())

    def beat(self) -> ClockChange | None:
        """Look at the clocks and close what is over. To be called several times a second."""
        self._look()
        now_ms = self._clock.now_ms()
        if not self.is_clock_doubted and now_ms >= self._minute_ms + MINUTE_MS:
            self._close_until(now_ms)
        change, self._untold_change = self._untold_change, None
        return change

    def _look(self) -> None:
        change = self._watch.look()
        if change is not None:
            self._take_clock_change(change)
            if self._untold_change is None or change.has_slept:
                self._untold_change = change
        elif self._doubts_clock_until_s is not None and self._clock.monotonic_s() >= self._doubts_clock_until_s:
            self._believe_clock()

    def stop(self) -> None:
        """Hand over the unfinished minute."""
        now_ms = self._clock.now_ms()
        if not self.is_clock_doubted:
            self._folder.forget_states(now_ms)
            self._submit()
        elif self._events:
            # of no minute: a doubtful one would stand as the newest saved for years
            self._writer.submit(MinuteBatch(0, events=self._take_events()))

    def _close_until(self, now_ms: int) -> None:
        self._submit()
        self._minute_ms = _minute_of(now_ms)

    def _submit(self) -> None:
        folded = self._folder.close(self._minute_ms)
        findings = self._counters.take_findings()
        devices = () if self._is_minute_written else folded.devices
        self._is_minute_written = False
        events = (*self._take_events(), *findings.events)
        if devices or folded.states or events or findings.epochs:
            self._writer.submit(MinuteBatch(self._minute_ms, devices, folded.states, events, tuple(findings.epochs)))

    def _take_events(self) -> tuple[Event, ...]:
        taken, self._events = tuple(self._events), []
        return taken

    def _take_clock_change(self, change: ClockChange) -> None:
        was_doubted = self.is_clock_doubted
        if change.has_slept:
            self._folder.forget_states(change.before_ms)
            self._events.append(
                Event(
                    change.before_ms,
                    EventKind.SUSPEND,
                    f"The PC slept or the program was halted for {change.gap_ms // 1000} s; nothing was read.",
                    data={"before_ms": change.before_ms, "after_ms": change.after_ms},
                )
            )
        if change.step_ms:
            direction = "forward" if change.step_ms > 0 else "back"
            self._events.append(
                Event(
                    change.before_ms if not was_doubted else change.after_ms,
                    EventKind.CLOCK_STEP,
                    f"The PC's clock was set {direction} by {abs(change.step_ms) / 1000:.1f} s, from "
                    f"{_shown(change.after_ms - change.step_ms)} to {_shown(change.after_ms)}.",
                    data={"before_ms": change.after_ms - change.step_ms, "after_ms": change.after_ms},
                )
            )
            logger.warning("%s", self._events[-1].message)
            self._counters.shift(change.step_ms)
            self._folder.shift(change.step_ms)
        if not was_doubted:
            self._submit()  # what was gathered belongs before the change
        self._judge_clock(change)
        self._minute_ms = _minute_of(change.after_ms)

    def _judge_clock(self, change: ClockChange) -> None:
        if change.after_ms < EARLIEST_PLAUSIBLE_MS:
            self._doubt_clock(float("inf"), change)
        elif change.before_ms < EARLIEST_PLAUSIBLE_MS:
            self._doubts_clock_until_s = None
        elif change.step_ms:
            self._doubted_step_ms = change.step_ms + (self._doubted_step_ms if self.is_clock_doubted else 0)
            if self._doubted_step_ms > QUARANTINE_STEP_MS:
                self._doubt_clock(self._clock.monotonic_s() + QUARANTINE_S, change)
            else:
                self._doubts_clock_until_s = None

    def _doubt_clock(self, until_s: float, change: ClockChange) -> None:
        if not self.is_clock_doubted:
            self._doubted_since_ms = change.before_ms
        self._doubts_clock_until_s = until_s

    def _believe_clock(self) -> None:
        self._doubts_clock_until_s = None
        self._minute_ms = _minute_of(self._clock.now_ms())


def _minute_of(ts_ms: int) -> int:
    return ts_ms // MINUTE_MS * MINUTE_MS


def _shown(ts_ms: int) -> str:
    try:
        return datetime.fromtimestamp(ts_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a clock beyond the calendar
        return f"{ts_ms} ms"
