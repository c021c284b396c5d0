"""The PC's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """Wall and monotonic time of this PC."""

    def now_ms(self) -> int:
        """UTC, epoch milliseconds. May step."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Never steps back."""
        return time.monotonic()


def since_boot_s() -> float | None:
    """Seconds since boot, sleep included; None where the system has no such clock.

    Linux' monotonic clock stands still while the PC sleeps, so the difference of the two is the time slept.
    Windows' monotonic clock goes on instead: there a long gap between two looks says the same (PEP 418).
    """
    boot_clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boot_clock) if boot_clock is not None else None
