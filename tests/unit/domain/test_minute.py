"""Folding polls into minutes; expected numbers are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest

from emdx_desktop.domain.history import MINUTE_MS, DeviceMinute
from emdx_desktop.domain.minute import FoldedMinute, MinuteFolder
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId, GroupLayout, GroupReadings, Quality

M0 = 1_790_000_040_000 // MINUTE_MS * MINUTE_MS
LIVE = GroupLayout(
    DeviceId(1), "live", ("voltage_l1_n", "active_power", "active_energy_import", "breaker_position"), 0.0
)
G, T, P = Quality.GOOD, Quality.TIMEOUT, Quality.PENDING


def poll(
    offset_ms: int,
    values: Sequence[float | int | None],
    qualities: Sequence[Quality] | None = None,
    layout: GroupLayout = LIVE,
) -> GroupReadings:
    codes = bytes(qualities) if qualities is not None else bytes(len(values))
    return GroupReadings(layout, M0 + offset_ms, tuple(values), codes, (Fraction(10),) * len(values))


def fold(*polls: GroupReadings) -> FoldedMinute:
    folder = MinuteFolder()
    for one in polls:
        folder.fold(one)
    return folder.close(M0)


def column(minute: DeviceMinute, quantity: str) -> tuple[object, ...]:
    i = [c.quantity for c in minute.layout.columns].index(quantity)
    return (
        minute.values[i],
        Quality(minute.qualities[i]),
        minute.polls[i],
        minute.lows[i],
        minute.highs[i],
        minute.sums[i],
    )


def test_minute_holds_mean_low_high_sum_and_polls_of_instants_and_last_count() -> None:
    folded = fold(
        poll(5_000, (230.0, 1000.0, 70, 1)), poll(25_000, (231.5, 1001.0, 71, 1)), poll(55_000, (229.0, -4.0, 73, 2))
    )
    (minute,) = folded.devices
    # (230.00 + 231.50 + 229.00) / 3 = 230.1666… V, kept in hundredths
    assert column(minute, "voltage_l1_n") == (23017, G, 3, 22900, 23150, 69050)
    # (1000 + 1001 - 4) / 3 = 665.666… W
    assert column(minute, "active_power") == (666, G, 3, -4, 1001, 1997)
    assert column(minute, "active_energy_import") == (73, G, 3, None, None, 0)
    assert column(minute, "read_offset_ms.live") == (55_000, G, 1, None, None, 0)
    assert [(change.ts_ms - M0, change.code) for change in folded.states] == [(5_000, 1), (55_000, 2)]
    assert [(c.kind, c.exponent, c.group) for c in minute.layout.columns] == [
        (QuantityKind.INSTANT, -2, ""),
        (QuantityKind.INSTANT, 0, ""),
        (QuantityKind.COUNTER, 0, "live"),
        (QuantityKind.COUNTER, 0, "live"),
    ]


def test_half_is_rounded_to_even_for_means() -> None:
    (minute,) = fold(poll(0, (0.0, 1.0, 1, 0)), poll(1000, (0.0, 2.0, 1, 0))).devices
    assert column(minute, "active_power")[0] == 2
    (minute,) = fold(poll(0, (0.0, 2.0, 1, 0)), poll(1000, (0.0, 3.0, 1, 0))).devices
    assert column(minute, "active_power")[0] == 2


def test_only_good_samples_enter_statistics() -> None:
    (minute,) = fold(
        poll(0, (230.0, 10.0, 5, 1)),
        poll(10_000, (None, 20.0, None, 1), (T, G, P, G)),
        poll(20_000, (None, None, None, None), (T, T, T, T)),
    ).devices
    assert column(minute, "voltage_l1_n") == (23000, G, 1, 23000, 23000, 23000)
    assert column(minute, "active_power") == (15, G, 2, 10, 20, 30)
    assert column(minute, "active_energy_import")[:2] == (5, G)
    assert column(minute, "read_offset_ms.live")[0] == 0


def test_silent_minute_has_no_values_and_the_last_bad_quality() -> None:
    folded = fold(
        poll(0, (None,) * 4, (T,) * 4),
        poll(9_000, (None,) * 4, (Quality.PROTOCOL, T, T, T)),
    )
    (minute,) = folded.devices
    assert minute.values == (None, None, None, None)
    assert bytes(minute.qualities) == bytes([Quality.PROTOCOL, T, T, T])
    assert minute.polls == (0, 0, 0, 0)
    assert folded.states == ()


def test_pending_count_keeps_the_earlier_reading_and_its_own_moment() -> None:
    layout = GroupLayout(DeviceId(1), "e", ("active_energy_import", "active_energy_export"), 0.0)
    (minute,) = fold(poll(1_000, (5, 6), layout=layout), poll(50_000, (7, None), (G, P), layout)).devices
    assert column(minute, "active_energy_import")[0] == 5
    assert column(minute, "active_energy_export")[0] == 6
    assert column(minute, "read_offset_ms.e")[0] == 1_000


def test_count_that_is_pending_all_minute_says_so_beside_a_good_one() -> None:
    layout = GroupLayout(DeviceId(1), "e", ("active_energy_import", "active_energy_export"), 0.0)
    (minute,) = fold(poll(50_000, (7, None), (G, P), layout)).devices
    assert column(minute, "active_energy_import")[:2] == (7, G)
    assert column(minute, "active_energy_export")[:2] == (None, P)


def test_float_called_a_count_is_never_kept() -> None:
    layout = GroupLayout(DeviceId(1), "e", ("active_energy_import",), 0.0)
    (minute,) = fold(poll(0, (7.5,), layout=layout)).devices
    assert column(minute, "active_energy_import")[:2] == (None, Quality.IMPLAUSIBLE)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e300, None])
def test_number_that_is_none_is_never_kept_as_good(wrong: float | None) -> None:
    (minute,) = fold(poll(0, (wrong, 1.0, 1, 1)), poll(1, (230.0, 1.0, 1, 1))).devices
    assert column(minute, "voltage_l1_n") == (None, Quality.IMPLAUSIBLE, 0, None, None, 0)
    assert column(minute, "active_power")[0] == 1


def test_group_read_more_slowly_than_a_minute_is_not_due_in_between() -> None:
    slow = GroupLayout(DeviceId(1), "slow", ("temperature", "volume_water"), 600.0)
    folder = MinuteFolder()
    folder.fold(poll(30_000, (21.5, 7), layout=slow))
    folder.close(M0)
    qualities = [bytes(folder.close(M0 + n * MINUTE_MS).devices[0].qualities) for n in range(1, 13)]
    assert qualities[:10] == [bytes([Quality.NOT_DUE] * 3)] * 10
    assert qualities[11] == bytes([Quality.STALE] * 3)


def test_slow_group_that_failed_stays_failed_until_it_answers() -> None:
    slow = GroupLayout(DeviceId(1), "slow", ("temperature",), 600.0)
    folder = MinuteFolder()
    folder.fold(poll(0, (None,), (T,), slow))
    folder.close(M0)
    assert bytes(folder.close(M0 + MINUTE_MS).devices[0].qualities) == bytes([T])


def test_line_slower_than_a_minute_is_not_due_but_a_stopped_one_is_stale() -> None:
    layout = GroupLayout(DeviceId(1), "live", ("frequency",), 0.0)
    folder = MinuteFolder()
    folder.fold(poll(0, (50.0,), layout=layout))
    folder.fold(poll(59_000, (50.0,), layout=layout))
    folder.close(M0)
    assert folder.close(M0 + MINUTE_MS).devices[0].qualities == bytes([Quality.NOT_DUE])
    folder.fold(poll(125_000, (50.0,), layout=layout))
    folder.fold(poll(130_000, (50.0,), layout=layout))
    folder.close(M0 + 2 * MINUTE_MS)
    assert folder.close(M0 + 3 * MINUTE_MS).devices[0].qualities == bytes([Quality.STALE])


def test_state_is_unknown_from_the_first_failed_poll_of_a_silent_minute() -> None:
    folder = MinuteFolder()
    folder.fold(poll(0, (230.0, 1.0, 1, 1)))
    folder.fold(poll(50_000, (None,) * 4, (T,) * 4))
    assert [change.code for change in folder.close(M0).states] == [1]
    folder.fold(poll(70_000, (None,) * 4, (T,) * 4))
    changes = folder.close(M0 + MINUTE_MS).states
    assert [(change.ts_ms - M0, change.code) for change in changes] == [(50_000, None)]
    folder.fold(poll(130_000, (230.0, 1.0, 1, 1)))
    assert [change.code for change in folder.close(M0 + 2 * MINUTE_MS).states] == [1]


def test_device_of_states_only_has_changes_but_no_minute() -> None:
    layout = GroupLayout(DeviceId(2), "io", ("input_1",), 0.0)
    folded = fold(poll(3, (1,), layout=layout))
    assert folded.devices == ()
    assert [(change.quantity, change.code) for change in folded.states] == [("input_1", 1)]


def test_counters_alone_and_partly_good_are_counted() -> None:
    layout = GroupLayout(DeviceId(1), "e", ("active_energy_import",), 0.0)
    (minute,) = fold(
        poll(0, (5,), layout=layout), poll(1, (None,), (T,), layout), poll(2_000, (6,), layout=layout)
    ).devices
    assert column(minute, "active_energy_import") == (6, G, 2, None, None, 0)


def test_restarted_line_goes_on_from_the_known_state() -> None:
    folder = MinuteFolder()
    folder.fold(poll(0, (230.0, 1.0, 1, 1)))
    folder.close(M0)
    again = GroupLayout(DeviceId(1), "live", LIVE.quantities, 0.0)
    folder.fold(poll(61_000, (230.0, 1.0, 2, 1), layout=again))
    folded = folder.close(M0 + MINUTE_MS)
    assert folded.states == ()
    assert len(folded.devices[0].values) == 4


def test_layout_is_the_same_object_minute_after_minute() -> None:
    folder = MinuteFolder()
    folder.fold(poll(0, (230.0, 1.0, 1, 1)))
    first = folder.close(M0).devices[0].layout
    folder.fold(poll(61_000, (230.0, 1.0, 1, 1)))
    assert folder.close(M0 + MINUTE_MS).devices[0].layout is first


def test_device_that_is_forgotten_has_no_minutes_and_unknown_states() -> None:
    folder = MinuteFolder()
    folder.fold(poll(0, (230.0, 1.0, 1, 1)))
    folder.close(M0)
    folder.forget([DeviceId(1), DeviceId(9)], M0 + 70_000)
    folded = folder.close(M0 + MINUTE_MS)
    assert folded.devices == ()
    assert [(change.ts_ms - M0, change.code) for change in folded.states] == [(70_000, None)]


def test_states_are_unknown_after_a_stop() -> None:
    folder = MinuteFolder()
    folder.fold(poll(0, (230.0, 1.0, 1, 1)))
    folder.forget_states(M0 + 5)
    assert [change.code for change in folder.close(M0).states] == [1, None]
    folder.forget_states(M0 + 6)
    assert folder.close(M0 + MINUTE_MS).states == ()


def test_poll_stamped_a_moment_outside_the_minute_keeps_its_offset_inside() -> None:
    (minute,) = fold(poll(-3, (230.0, 1.0, 1, 1))).devices
    assert column(minute, "read_offset_ms.live")[0] == 0


def test_due_minutes_move_along_when_the_clock_is_set() -> None:
    slow = GroupLayout(DeviceId(1), "slow", ("temperature",), 600.0)
    folder = MinuteFolder()
    folder.fold(poll(0, (20.0,), layout=slow))
    folder.close(M0)
    hour_ms = 60 * MINUTE_MS
    folder.shift(hour_ms)
    # one minute after the reading by the new clock: nothing is due yet
    assert folder.close(M0 + hour_ms + MINUTE_MS).devices[0].qualities == bytes([Quality.NOT_DUE])
