"""Counters: which count is believed, what a reset or rollover means, and the energy between readings.

A count that falls or jumps is never believed at once: it stays pending until it was confirmed, so that a device
that answers 0 for a moment does not book its whole register. Rules R4 to R6; the rates that nothing can exceed
are our own design, wide on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from emdx_desktop.domain.history import CounterEpoch, CountSeries, Event, EventKind
from emdx_desktop.domain.readings import DeviceId, Quality

CONFIRMATIONS = 3
"""Consistent readings that turn a pending count into the truth (R4)."""

CONFIRMATION_GAP_MS = 10_000
RATE_MARGIN = 1.2
SLACK_COUNTS = 2
"""R5: a step is plausible up to P_max * dt * 1.2 + 2 counts."""

ROLLOVER_SHARE = 0.95
"""R4: only a counter above this share of its modulus can have rolled over."""

STEP_BACK_SHARE = 0.01
"""R6: a device that restores its last saved count steps back by no more than this share …"""

STEP_BACK_MS = 3_600_000
"""… and by no more than it counted in this time."""

_MIN_RATE_SPAN_MS = 600_000

UNKNOWN_ABSENCE_MS = 3_600_000
"""A newest count that lies in the future says that the clock was set back while the program did not run. How long
that was is unknown: at least an hour is granted (own design), or what was counted meanwhile would pass for a jump."""

DEFAULT_MAX_POWER_W = 7.5e6
"""6300 A at 690 V, three phases: the largest low-voltage feeder. Raised by what the device itself measures."""

_MAX_RATES_PER_H = {
    "volume_water": 1_000.0,
    "volume_gas": 10_000.0,
    "volume_oil": 100.0,
    "pulse_count": 3_600_000.0,
    "operating_time": 2.0,
}


def max_rate_per_ms(quantity: str) -> float:
    """Fastest a counter can run, base units (Wh, varh, VAh, m³, 1, h) a millisecond."""
    return _MAX_RATES_PER_H.get(quantity, DEFAULT_MAX_POWER_W) / 3_600_000


def is_bidirectional(quantity: str) -> bool:
    """Whether the counter may run backwards."""
    return quantity == "energy_balance"


@dataclass(frozen=True, slots=True)
class CounterSeed:
    """What history knows of a counter when the program starts."""

    ts_ms: int
    count: int
    factor: Fraction


@dataclass(slots=True)
class CounterFindings:
    """What guards found out since they were asked last."""

    events: list[Event] = field(default_factory=list)
    epochs: list[CounterEpoch] = field(default_factory=list)


class CounterGuard:
    """Believes or doubts the counts of one series.

    Attributes:
        modulus: Counts at which it rolls over, None when unknown.
    """

    __slots__ = (
        "_candidates",
        "_counts_per_ms",
        "_device_id",
        "_factor",
        "_findings",
        "_hour_marks",
        "_is_bidirectional",
        "_is_of_history",
        "_is_stepped_back",
        "_last_count",
        "_last_ts_ms",
        "_new_meter_reason",
        "_quantity",
        "_rate_per_ms",
        "modulus",
    )

    def __init__(
        self,
        device_id: DeviceId,
        quantity: str,
        findings: CounterFindings,
        modulus: int | None = None,
        seed: CounterSeed | None = None,
    ) -> None:
        """Guard one counter.

        Args:
            device_id: Whose.
            quantity: Which series.
            findings: Where events and epochs are put.
            modulus: Counts at which it rolls over, None when unknown.
            seed: Last reading in history, None for a counter never read before.
        """
        self._device_id = device_id
        self._quantity = quantity
        self._findings = findings
        self.modulus = modulus
        self._is_bidirectional = is_bidirectional(quantity)
        self._rate_per_ms = max_rate_per_ms(quantity)
        self._candidates: list[tuple[int, int]] = []
        self._is_stepped_back = False
        self._new_meter_reason = ""
        self._factor: Fraction | None = seed.factor if seed else None
        self._last_ts_ms = seed.ts_ms if seed else 0
        self._last_count = seed.count if seed else 0
        self._is_of_history = seed is not None
        self._hour_marks = ((self._last_ts_ms, self._last_count),) * 2
        self._counts_per_ms = self._allowed_counts_per_ms()

    def _allowed_counts_per_ms(self) -> float:
        return self._rate_per_ms * RATE_MARGIN / float(self._factor) if self._factor else 0.0

    def allow_power(self, power_w: float) -> None:
        """Raise the fastest plausible rate to what the device measures itself, with room (own design: 4 times)."""
        rate = 4 * power_w / 3_600_000
        if rate > self._rate_per_ms:
            self._rate_per_ms = rate
            self._counts_per_ms = self._allowed_counts_per_ms()

    def shift(self, step_ms: int) -> None:
        """The wall clock was set: times remembered move along, so that durations stay true."""
        self._last_ts_ms += step_ms
        self._candidates = [(ts_ms + step_ms, count) for ts_ms, count in self._candidates]
        first, second = self._hour_marks
        self._hour_marks = ((first[0] + step_ms, first[1]), (second[0] + step_ms, second[1]))

    def expect_new_meter(self, reason: str) -> None:
        """The device was exchanged: its next count starts an epoch of its own."""
        self._new_meter_reason = reason

    def check(self, ts_ms: int, count: int, factor: Fraction | None) -> Quality:
        """Whether a count is believed: GOOD or PENDING. Epochs and events go to the findings."""
        if factor is not self._factor and factor != self._factor:
            return self._check_new_factor(ts_ms, count, factor)
        if factor is None:
            return Quality.PENDING
        if self._new_meter_reason:
            self._start_epoch(ts_ms, count, self._new_meter_reason, self._last_count)
            self._new_meter_reason = ""
            return self._believe(ts_ms, count)
        if self._is_of_history:
            self._is_of_history = False
            ahead_ms = self._last_ts_ms - ts_ms
            if ahead_ms > 0:
                self.shift(-ahead_ms - max(ahead_ms, UNKNOWN_ABSENCE_MS))
        if self._is_plausible_step(ts_ms - self._last_ts_ms, count - self._last_count):
            if self._candidates:
                self._note(
                    EventKind.COUNTER_GLITCH,
                    ts_ms,
                    "showed {first} for a moment and is back at {count}; the moment was discarded",
                    first=self._candidates[0][1],
                    count=count,
                )
            return self._believe(ts_ms, count)
        if self._has_rolled_over(ts_ms, count):
            assert self.modulus is not None
            self._note(EventKind.COUNTER_ROLLOVER, ts_ms, "rolled over at {modulus}", modulus=self.modulus)
            self._start_epoch(ts_ms, 0, "rollover", self.modulus)
            return self._believe(ts_ms, count)
        if self._is_step_back(count):
            if not self._is_stepped_back:
                self._is_stepped_back = True
                self._note(
                    EventKind.COUNTER_GLITCH,
                    ts_ms,
                    "stepped back from {last} to {count}, as after a restart from its last saved count; "
                    "nothing is counted until it passes {last}",
                    last=self._last_count,
                    count=count,
                )
            return Quality.PENDING
        return self._doubt(ts_ms, count)

    def _check_new_factor(self, ts_ms: int, count: int, factor: Fraction | None) -> Quality:
        if factor is None:
            return Quality.PENDING
        old = self._factor
        self._factor = factor
        self._counts_per_ms = self._allowed_counts_per_ms()
        if old is None:
            self._start_epoch(ts_ms, count, "first reading", None)
        else:
            self._note(
                EventKind.METER_CONFIG,
                ts_ms,
                "is worth {new} instead of {old} base units a count: a transformer ratio or pulse weight was changed",
                old=str(old),
                new=str(factor),
            )
            self._start_epoch(ts_ms, count, "factor changed", self._last_count)
        self._new_meter_reason = ""
        return self._believe(ts_ms, count)

    def _is_plausible_step(self, elapsed_ms: int, step: int) -> bool:
        limit = self._counts_per_ms * max(elapsed_ms, 0) + SLACK_COUNTS
        return step <= limit and (step >= 0 or (self._is_bidirectional and step >= -limit))

    def _has_rolled_over(self, ts_ms: int, count: int) -> bool:
        modulus = self.modulus
        if modulus is None or count >= self._last_count or self._last_count <= ROLLOVER_SHARE * modulus:
            return False
        return count >= 0 and self._is_plausible_step(ts_ms - self._last_ts_ms, count - self._last_count + modulus)

    def _is_step_back(self, count: int) -> bool:
        step = self._last_count - count
        (mark_ts_ms, mark_count), (newer_ts_ms, newer_count) = self._hour_marks
        if self._last_ts_ms - newer_ts_ms >= _MIN_RATE_SPAN_MS:
            mark_ts_ms, mark_count = newer_ts_ms, newer_count
        span_ms = self._last_ts_ms - mark_ts_ms
        if span_ms <= 0:
            return False
        hour_counts = (self._last_count - mark_count) * STEP_BACK_MS / span_ms
        return 0 < step <= STEP_BACK_SHARE * self._last_count and step <= hour_counts

    def _doubt(self, ts_ms: int, count: int) -> Quality:
        candidates = self._candidates
        if candidates and self._is_plausible_step(ts_ms - candidates[-1][0], count - candidates[-1][1]):
            if ts_ms - candidates[-1][0] >= CONFIRMATION_GAP_MS:
                candidates.append((ts_ms, count))
        else:
            self._candidates = candidates = [(ts_ms, count)]
        if len(candidates) < CONFIRMATIONS:
            return Quality.PENDING
        start_ms, start_count = candidates[0]
        if start_count < self._last_count:
            kind, reason = EventKind.COUNTER_RESET, "reset"
            message = (
                "fell from {last} to {first} and stayed: it was reset; the energy in between is unknown and not booked"
            )
        else:
            kind, reason = EventKind.COUNTER_JUMP, "jump"
            message = "jumped from {last} to {first}, more than the line can carry; the jump is not booked"
        self._note(kind, ts_ms, message, last=self._last_count, first=start_count)
        self._start_epoch(start_ms, start_count, reason, self._last_count)
        return self._believe(ts_ms, count)

    def _believe(self, ts_ms: int, count: int) -> Quality:
        self._last_ts_ms = ts_ms
        self._last_count = count
        if self._candidates:
            self._candidates = []
        self._is_stepped_back = False
        newer = self._hour_marks[1]
        if not 0 <= ts_ms - newer[0] < STEP_BACK_MS or count < newer[1]:
            self._hour_marks = (newer if count >= newer[1] else (ts_ms, count), (ts_ms, count))
        return Quality.GOOD

    def _start_epoch(self, start_ms: int, start_count: int, reason: str, end_count: int | None) -> None:
        assert self._factor is not None
        self._hour_marks = ((start_ms, start_count),) * 2
        self._findings.epochs.append(
            CounterEpoch(
                self._device_id, self._quantity, start_ms, start_count, self._factor, self.modulus, reason, end_count
            )
        )

    def _note(self, kind: EventKind, ts_ms: int, message: str, **data: object) -> None:
        sentence = "The counter " + message.format(**data) + "."
        self._findings.events.append(Event(ts_ms, kind, sentence, self._device_id, self._quantity, data))


def compute_steps(series: CountSeries) -> list[Fraction]:
    """Base units counted between consecutive readings; exact, length n - 1, never negative for a one-way counter.

    Across the start of an epoch: the rest of the old one up to its last count plus what the new one counted.
    What an unknown last count hides is not booked.
    """
    steps: list[Fraction] = []
    if not len(series.ts_ms):
        return steps
    epochs = series.epochs
    position = _epoch_at(epochs, int(series.ts_ms[0]), 0)
    reached = int(series.counts[0])
    for i in range(1, len(series.ts_ms)):
        amount = Fraction(0)
        next_position = _epoch_at(epochs, int(series.ts_ms[i]), position)
        for newer in epochs[position + 1 : next_position + 1]:
            if newer.end_count is not None:
                amount += _advance(epochs[position], reached, newer.end_count)[0]
            position += 1
            reached = newer.start_count
        step, reached = _advance(epochs[position], reached, int(series.counts[i]))
        steps.append(amount + step)
    return steps


def _epoch_at(epochs: Sequence[CounterEpoch], ts_ms: int, start: int) -> int:
    position = start
    while position + 1 < len(epochs) and epochs[position + 1].start_ms <= ts_ms:
        position += 1
    return position


def _advance(epoch: CounterEpoch, reached: int, next_count: int) -> tuple[Fraction, int]:
    """Base units counted up to the next count, and the count reached by then.

    A count that is lower without a rollover was read before the clock was set back: what it says was counted
    already, and counting goes on where the newer readings stood.
    """
    step = next_count - reached
    if step < 0 and not is_bidirectional(epoch.quantity):
        modulus = epoch.modulus
        if modulus is None or step + modulus > (1 - ROLLOVER_SHARE) * modulus:
            return Fraction(0), reached
        step += modulus
    return step * epoch.factor, next_count
