"""The PC's own clocks, and how the watch reads them."""

from __future__ import annotations

import sys
import time

from acquisition_fakes import FakeClock

from emdx_desktop.app.clock import SystemClock, since_boot_s
from emdx_desktop.app.clock_watch import ClockWatch
from emdx_desktop.app.keep_awake import kept_awake


def test_system_clock_is_utc_and_monotonic() -> None:
    clock = SystemClock()
    assert abs(clock.now_ms() - time.time() * 1000) < 5_000
    assert clock.monotonic_s() <= clock.monotonic_s()


def test_boot_clock_is_there_on_linux() -> None:
    assert (since_boot_s() is not None) == sys.platform.startswith("linux")


def test_watch_without_a_boot_clock_still_sees_a_step() -> None:
    clock = FakeClock()
    watch = ClockWatch(clock)
    assert watch.look() is None
    clock.step_s(-2.5)
    change = watch.look()
    assert change is not None
    assert (change.step_ms, change.has_slept) == (-2500, False)
    assert watch.look() is None


def test_sleep_and_a_step_at_once_are_both_seen() -> None:
    clock = FakeClock()
    watch = ClockWatch(clock, clock.boot_s)
    clock.sleep_pc_s(600)
    clock.step_s(3600)
    change = watch.look()
    assert change is not None
    assert (change.gap_ms, change.step_ms, change.has_slept) == (600_000, 3_600_000, True)


def test_keeping_awake_is_a_context() -> None:
    with kept_awake():
        pass
