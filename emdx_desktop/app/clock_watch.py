"""Notices when the wall clock was set or the PC slept, by comparing clocks at short intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emdx_desktop.domain.ports import Clock

STEP_MS = 2_000
"""A wall clock that moved this much against the monotonic one was set; less is slewing."""

SLEEP_S = 2.0
HALT_S = 30.0
"""Nobody looked at the clock for so long: the PC slept (Windows) or the program was halted."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """Something happened to time between two looks.

    Attributes:
        before_ms: Wall time at the look before.
        after_ms: Wall time now.
        gap_ms: How long nobody looked, sleep included.
        step_ms: How far the wall clock was set beyond that; 0 when it was not.
        has_slept: The PC slept or the program was halted.
    """

    before_ms: int
    after_ms: int
    gap_ms: int
    step_ms: int
    has_slept: bool


class ClockWatch:
    """Compares the wall clock with clocks that nobody sets."""

    def __init__(self, clock: Clock, boot_s: Callable[[], float | None] = lambda: None) -> None:
        """Start watching.

        Args:
            clock: Wall and monotonic time.
            boot_s: Seconds that go on while the PC sleeps; None where there is no such clock.
        """
        self._clock = clock
        self._boot_s = boot_s
        self._wall_ms = clock.now_ms()
        self._monotonic_s = clock.monotonic_s()
        self._asleep_base = boot_s()

    @property
    def seen_ms(self) -> int:
        """Wall time at the last look."""
        return self._wall_ms

    def look(self) -> ClockChange | None:
        """What changed since the last look, None for nothing. To be called at least every few seconds."""
        wall_ms, monotonic_s, boot_s = self._clock.now_ms(), self._clock.monotonic_s(), self._boot_s()
        elapsed_s = monotonic_s - self._monotonic_s
        asleep_s = 0.0
        if boot_s is not None and self._asleep_base is not None:
            asleep_s = max(0.0, boot_s - self._asleep_base - elapsed_s)
        gap_ms = round((elapsed_s + asleep_s) * 1000)
        step_ms = wall_ms - self._wall_ms - gap_ms
        before_ms = self._wall_ms
        self._wall_ms, self._monotonic_s, self._asleep_base = wall_ms, monotonic_s, boot_s
        has_slept = asleep_s > SLEEP_S or elapsed_s > HALT_S
        is_set = abs(step_ms) > STEP_MS
        if not has_slept and not is_set:
            return None
        return ClockChange(before_ms, wall_ms, gap_ms, step_ms if is_set else 0, has_slept)
