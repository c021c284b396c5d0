"""Counters: golden values of the project's rules (counters and power quality), and what is never believed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from emdx_desktop.domain.counters import CounterFindings, CounterGuard, CounterSeed, compute_steps
from emdx_desktop.domain.history import CountSeries, EventKind
from emdx_desktop.domain.readings import DeviceId, Quality

T0 = 1_790_000_000_000
KWH_HUNDREDTH = Fraction(10)  # 0.01 kWh in Wh
KWH_TENTH = Fraction(100)
Poll = tuple[float, int]  # seconds, count


class Meter:
    """A guard and everything it believed."""

    def __init__(
        self,
        factor: Fraction = KWH_HUNDREDTH,
        modulus: int | None = None,
        seed: CounterSeed | None = None,
        quantity: str = "active_energy_import",
    ) -> None:
        self.findings = CounterFindings()
        self.guard = CounterGuard(DeviceId(1), quantity, self.findings, modulus, seed)
        self.factor: Fraction | None = factor
        self.good: list[Poll] = []

    def feed(self, *polls: Poll) -> list[Quality]:
        qualities = []
        for seconds, count in polls:
            quality = self.guard.check(T0 + int(seconds * 1000), count, self.factor)
            qualities.append(quality)
            if quality is Quality.GOOD:
                self.good.append((seconds, count))
        return qualities

    def energy_wh(self) -> Fraction:
        series = CountSeries(
            np.array([T0 + int(seconds * 1000) for seconds, _ in self.good], np.int64),
            np.array([count for _, count in self.good], np.int64),
            tuple(self.findings.epochs),
        )
        return sum(compute_steps(series), Fraction(0))

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.findings.events]


G, P = Quality.GOOD, Quality.PENDING


def test_zero_glitch_books_16_39_kwh_and_not_413_50() -> None:
    meter = Meter()
    assert meter.feed((0, 39711), (60, 0), (120, 41350)) == [G, P, G]
    assert meter.energy_wh() == 16390
    assert meter.kinds == [EventKind.COUNTER_GLITCH]
    assert len(meter.findings.epochs) == 1


def test_rollover_of_32_bits_in_hundredths_is_0_20_kwh() -> None:
    meter = Meter(KWH_HUNDREDTH, 2**32)
    assert meter.feed((0, 4294967290), (10, 14)) == [G, G]
    assert meter.energy_wh() == 200
    assert meter.kinds == [EventKind.COUNTER_ROLLOVER]


def test_rollover_of_a_seven_digit_display_in_tenths_is_1_2_kwh() -> None:
    meter = Meter(KWH_TENTH, 10**7)
    assert meter.feed((0, 9999993), (10, 5)) == [G, G]
    assert meter.energy_wh() == 1200


def test_rollover_seen_in_one_epoch_is_counted_by_the_modulus() -> None:
    meter = Meter(KWH_TENTH, 10**7)
    meter.feed((0, 9999993))
    meter.good.append((10, 5))
    assert meter.energy_wh() == 1200


@pytest.mark.parametrize("modulus", [None, 2**16])
def test_counter_reset_yields_gap_not_negative_energy(modulus: int | None) -> None:
    meter = Meter(modulus=modulus)
    assert meter.feed((0, 5000), (30, 5010), (60, 0), (65, 0), (70, 1), (80, 2), (90, 4)) == [G, G, P, P, P, G, G]
    # 10 counts before; after the reset from its first count on: 4
    assert meter.energy_wh() == 140
    assert meter.kinds == [EventKind.COUNTER_RESET]
    epoch = meter.findings.epochs[-1]
    assert (epoch.start_ms, epoch.start_count, epoch.end_count, epoch.reason) == (T0 + 60_000, 0, 5010, "reset")


def test_reset_is_confirmed_only_by_readings_ten_seconds_apart() -> None:
    meter = Meter()
    polls = [(60 + second, 0) for second in range(20)]
    assert meter.feed((0, 5000), *polls) == [G, *[P] * 20]
    assert meter.feed((80, 0)) == [G]


def test_readings_that_disagree_confirm_nothing() -> None:
    meter = Meter()
    assert meter.feed((0, 50_000), (20, 7), (40, 3), (60, 30_000), (80, 2)) == [G, P, P, P, P]
    assert meter.feed((100, 50_010)) == [G]
    assert meter.energy_wh() == 100


def test_implausible_jump_is_pending_then_confirmed_and_never_booked() -> None:
    meter = Meter()
    jump = 5000 + 2**24
    assert meter.feed((0, 5000), (10, jump), (20, jump), (30, jump + 1)) == [G, P, P, G]
    assert meter.kinds == [EventKind.COUNTER_JUMP]
    assert meter.energy_wh() == 10  # what it counted after the jump
    assert meter.findings.epochs[-1].end_count == 5000


def test_step_of_two_counts_is_always_plausible() -> None:
    meter = Meter(Fraction(1_000_000))  # 1 MWh a count: no power bound could allow it within a second
    assert meter.feed((0, 10), (1, 12), (2, 15)) == [G, G, P]


def test_long_gap_allows_a_long_step() -> None:
    meter = Meter()
    assert meter.feed((0, 0), (86_400 * 3, 3_000_000)) == [G, G]
    assert meter.energy_wh() == 30_000_000


def test_small_step_back_waits_until_the_counter_passes_the_old_value() -> None:
    meter = Meter()
    meter.feed(*[(60 * n, 10_000 + n) for n in range(30)])
    assert meter.feed((1800, 10_020), (1860, 10_025), (1920, 10_029), (1980, 10_031)) == [P, P, G, G]
    assert meter.kinds == [EventKind.COUNTER_GLITCH]
    assert meter.energy_wh() == 310
    assert len(meter.findings.epochs) == 1


def test_step_back_by_more_than_an_hour_counts_is_no_saved_value() -> None:
    meter = Meter()
    meter.feed(*[(60 * n, 100_000 + n) for n in range(90)])
    assert meter.feed((5400, 99_500), (5410, 99_500), (5420, 99_500)) == [P, P, G]
    assert meter.kinds == [EventKind.COUNTER_RESET]


def test_changed_factor_closes_the_epoch_and_nothing_is_booked_across_it() -> None:
    meter = Meter()
    meter.feed((0, 1000), (60, 1010))
    meter.factor = Fraction(50)
    assert meter.feed((120, 1100), (180, 1102)) == [G, G]
    assert meter.kinds == [EventKind.METER_CONFIG]
    assert meter.energy_wh() == 10 * 10 + 2 * 50
    assert [epoch.reason for epoch in meter.findings.epochs] == ["first reading", "factor changed"]


def test_equal_factor_in_another_object_changes_nothing() -> None:
    meter = Meter(Fraction(1, 3))
    meter.feed((0, 1))
    meter.factor = Fraction(2, 6)
    meter.feed((60, 2))
    assert meter.findings.events == []


def test_count_without_a_factor_is_pending() -> None:
    meter = Meter()
    meter.factor = None
    assert meter.feed((0, 5)) == [P]
    meter.factor = KWH_HUNDREDTH
    assert meter.feed((1, 5)) == [G]
    meter.factor = None
    assert meter.feed((2, 5)) == [P]


def test_restart_goes_on_from_history_without_a_new_epoch() -> None:
    meter = Meter(seed=CounterSeed(T0, 5000, KWH_HUNDREDTH))
    assert meter.feed((3600, 5100)) == [G]
    assert meter.findings.epochs == []


def test_reset_while_the_program_was_off_is_found() -> None:
    meter = Meter(seed=CounterSeed(T0, 5000, KWH_HUNDREDTH))
    assert meter.feed((3600, 3), (3610, 3), (3620, 3)) == [P, P, G]
    assert meter.kinds == [EventKind.COUNTER_RESET]


def test_exchanged_meter_starts_an_epoch_of_its_own() -> None:
    meter = Meter()
    meter.feed((0, 5000))
    meter.guard.expect_new_meter("meter exchanged")
    assert meter.feed((60, 90_000), (120, 90_001)) == [G, G]
    assert meter.energy_wh() == 10
    assert meter.findings.epochs[-1].reason == "meter exchanged"


def test_clock_set_back_leaves_durations_true() -> None:
    meter = Meter()
    meter.feed((3600, 1000), (3610, 1))
    meter.guard.shift(-3_600_000)
    assert meter.feed((20, 1010)) == [G]
    assert meter.kinds == [EventKind.COUNTER_GLITCH]


def test_measured_power_raises_the_plausible_rate() -> None:
    meter = Meter(Fraction(1))
    meter.feed((0, 0))
    assert meter.feed((10, 55_000)) == [P]  # 19.8 MW
    meter.guard.allow_power(20e6)
    meter.guard.allow_power(1.0)
    assert meter.feed((20, 110_000)) == [G]


def test_balance_counter_may_run_backwards_but_not_wildly() -> None:
    meter = Meter(quantity="energy_balance")
    assert meter.feed((0, 5000), (10, 4990), (20, 10**9)) == [G, G, P]
    assert meter.energy_wh() == -100


def test_rollover_by_more_than_the_line_can_carry_is_doubted() -> None:
    meter = Meter(KWH_HUNDREDTH, 2**32)
    assert meter.feed((0, 2**32 - 10), (10, 50_000_000), (11, -5)) == [G, P, P]


def test_fall_within_an_epoch_without_modulus_books_nothing() -> None:
    meter = Meter()
    meter.feed((0, 100))
    meter.good.append((1, 50))
    assert meter.energy_wh() == 0


def test_unknown_end_of_an_epoch_is_not_booked() -> None:
    meter = Meter()
    meter.feed((0, 100))
    other = Meter()
    other.feed((10, 500), (20, 501))
    meter.findings.epochs += other.findings.epochs
    meter.good += other.good
    assert meter.energy_wh() == 10


def test_no_readings_no_steps() -> None:
    assert compute_steps(CountSeries(np.array([], np.int64), np.array([], np.int64), ())) == []


@pytest.mark.parametrize("modulus", [None, 2**32])
def test_counts_from_before_the_clock_was_set_back_are_not_booked_again(modulus: int | None) -> None:
    meter = Meter(modulus=modulus)
    meter.feed((0, 1000))
    # at 1:00 the clock was set back to 0:00; the minute at 0:02 is still the one written first
    meter.good += [(60, 1051), (120, 1001), (180, 1062)]
    assert meter.energy_wh() == 62 * 10


@pytest.mark.parametrize("ahead_s", [90, 86_400])
def test_clock_set_back_while_the_program_was_off_loses_no_energy(ahead_s: int) -> None:
    meter = Meter(seed=CounterSeed(T0 + ahead_s * 1000, 1000, KWH_HUNDREDTH))
    assert meter.feed((0, 1500), (10, 1501), (20, 10**9)) == [G, G, P]
    assert meter.findings.epochs == []
    assert meter.kinds == []


def test_no_readings_have_no_steps() -> None:
    assert Meter().energy_wh() == 0
