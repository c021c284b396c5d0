"""Minutes under a clock that steps, sleeps and slews (T1 to T6)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from acquisition_fakes import CATALOGUE, QUANTITIES, T0, FakeClock, FakeWriter, make_device

from emdx_desktop.app.clock_watch import ClockWatch
from emdx_desktop.app.counter_book import CounterBook
from emdx_desktop.app.minute_keeper import MinuteKeeper
from emdx_desktop.domain.counters import CounterSeed
from emdx_desktop.domain.history import MINUTE_MS, Event, EventKind
from emdx_desktop.domain.installation import Device, SupplyDirection
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.readings import DeviceId, GroupLayout, GroupReadings, Quality

LAYOUT = GroupLayout(DeviceId(1), "live", QUANTITIES, 0.0)
HOUR_S = 3600.0


class Desk:
    """A keeper with its fakes."""

    def __init__(self, clock: FakeClock | None = None, seed: CounterSeed | None = None) -> None:
        self.clock = clock or FakeClock()
        self.writer = FakeWriter()
        self.count = 1000
        seeds = {(DeviceId(1), "active_energy_import"): seed} if seed else None
        watch = ClockWatch(self.clock, self.clock.boot_s)
        self.keeper = MinuteKeeper(self.writer, self.clock, watch, CounterBook(seeds))

    def poll(self, power_w: float = 5.0, count: int | None = None) -> GroupReadings:
        self.count = self.count + 1 if count is None else count
        readings = GroupReadings(
            LAYOUT, self.clock.now_ms(), (power_w, self.count, 1), bytes(3), (None, Fraction(10), None)
        )
        return self.keeper.take(readings)

    def run_s(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.pass_s(1.0)
            self.keeper.beat()
            self.poll()

    @property
    def minutes(self) -> list[int]:
        return [(batch.minute_ms - T0) // MINUTE_MS for batch in self.writer.batches if batch.devices]

    def events(self, kind: EventKind) -> list[Event]:
        return [event for batch in self.writer.batches for event in batch.events if event.kind is kind]


def test_each_minute_is_handed_over_once_it_is_over() -> None:
    desk = Desk()
    desk.run_s(59)
    assert desk.minutes == []
    desk.run_s(121)
    assert desk.minutes == [0, 1, 2]
    first = desk.writer.batches[0].devices[0]
    assert first.polls[0] == 59
    assert [epoch.reason for epoch in desk.writer.batches[0].epochs] == ["first reading"]
    assert [change.code for change in desk.writer.batches[0].states] == [1]


def test_reading_after_the_boundary_closes_the_minute_before_the_beat_does() -> None:
    desk = Desk()
    desk.poll()
    desk.clock.pass_s(60)
    desk.poll()
    assert desk.minutes == [0]


def test_unfinished_minute_is_handed_over_at_stop_with_states_unknown() -> None:
    desk = Desk()
    desk.run_s(10)
    desk.keeper.stop()
    assert desk.minutes == [0]
    assert [change.code for change in desk.writer.batches[0].states] == [1, None]


def test_slewing_and_half_a_second_are_no_event_and_no_gap() -> None:
    desk = Desk()
    for _ in range(120):
        desk.clock.wall_ms += 1
        desk.run_s(1)
    desk.clock.step_s(0.5)
    desk.run_s(60)
    desk.clock.step_s(-0.5)
    desk.run_s(60)
    assert desk.minutes == [0, 1, 2, 3]
    assert desk.events(EventKind.CLOCK_STEP) == []


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, -24 * HOUR_S])
def test_step_is_an_event_with_before_and_after_and_counters_go_on(step_s: float) -> None:
    desk = Desk()
    desk.run_s(70)
    desk.clock.step_s(step_s)
    desk.run_s(70)
    (event,) = desk.events(EventKind.CLOCK_STEP)
    assert event.data["after_ms"] - event.data["before_ms"] == step_s * 1000  # type: ignore[operator]  # integers
    shift = int(step_s // 60)
    assert desk.minutes == [0, 1, 1 + shift]
    assert desk.events(EventKind.COUNTER_RESET) == desk.events(EventKind.COUNTER_JUMP) == []
    assert all(minute.qualities[1] == Quality.GOOD for b in desk.writer.batches for minute in b.devices)


@pytest.mark.parametrize("is_stamped_before", [False, True])
@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S, 40.0, -40.0])
def test_reading_between_a_step_and_the_beat_is_no_jump(step_s: float, is_stamped_before: bool) -> None:
    desk = Desk()
    desk.run_s(90)
    desk.clock.pass_s(0.2)
    stamp_ms = desk.clock.now_ms()
    desk.clock.step_s(step_s)
    desk.count += 30
    ts_ms = stamp_ms if is_stamped_before else desk.clock.now_ms()
    readings = GroupReadings(LAYOUT, ts_ms, (5.0, desk.count, 1), bytes(3), (None, Fraction(10), None))
    assert desk.keeper.take(readings).qualities == bytes(3)
    desk.clock.pass_s(0.2)
    assert desk.keeper.beat() is not None
    assert desk.keeper.beat() is None
    for _ in range(60):
        desk.clock.pass_s(1.0)
        desk.keeper.beat()
        assert desk.poll(count=desk.count + 20).qualities == bytes(3)
    desk.keeper.stop()
    assert desk.events(EventKind.COUNTER_JUMP) == desk.events(EventKind.COUNTER_GLITCH) == []


def test_clock_set_back_writes_the_same_minutes_again_for_the_writer_to_merge() -> None:
    desk = Desk()
    desk.run_s(180)
    desk.clock.step_s(-120)
    desk.run_s(180)
    assert desk.minutes == [0, 1, 2, 3, 1, 2, 3]


def test_ten_years_ahead_are_quarantined_and_back_again() -> None:
    desk = Desk()
    desk.run_s(70)
    desk.clock.step_s(10 * 365 * 24 * HOUR_S)
    desk.run_s(130)
    notice = desk.keeper.notice()
    assert notice is not None
    assert "not stored" in notice.message
    assert desk.poll(7.0).values[0] == 7.0
    assert desk.minutes == [0, 1]
    desk.clock.step_s(-10 * 365 * 24 * HOUR_S)
    desk.run_s(70)
    assert desk.keeper.notice() is None
    assert desk.minutes == [0, 1, 3]
    assert len(desk.events(EventKind.CLOCK_STEP)) == 2


def test_two_days_ahead_are_believed_after_an_hour() -> None:
    desk = Desk()
    desk.run_s(5)
    desk.clock.step_s(48 * HOUR_S)
    desk.run_s(3600)
    desk.clock.step_s(60)
    desk.run_s(10)
    assert desk.keeper.is_clock_doubted
    desk.run_s(3700)
    assert not desk.keeper.is_clock_doubted
    assert desk.minutes[-1] > 2880


def test_clock_without_battery_stores_nothing_until_it_is_set() -> None:
    desk = Desk(FakeClock(now_ms=1_000))
    desk.run_s(130)
    assert desk.writer.batches == []
    desk.keeper.record(Event(1, EventKind.STARTED, "x"))
    desk.clock.wall_ms = T0
    desk.run_s(70)
    assert desk.minutes in ([0], [0, 1])
    assert len(desk.events(EventKind.STARTED)) == 1


def test_clock_that_falls_to_1970_stores_nothing_more() -> None:
    desk = Desk()
    desk.run_s(10)
    desk.clock.wall_ms = 5_000
    desk.run_s(130)
    assert desk.minutes == [0]
    desk.keeper.record(Event(1, EventKind.STOPPED, "x"))
    desk.keeper.stop()
    assert desk.events(EventKind.STOPPED)
    assert "1970-01-01" in (desk.keeper.notice() or pytest.fail("no notice")).message


def test_stop_with_doubted_clock_and_nothing_to_say_writes_nothing() -> None:
    desk = Desk(FakeClock(now_ms=1_000))
    desk.keeper.stop()
    assert desk.writer.batches == []


def test_events_under_a_doubted_clock_leave_the_newest_saved_minute_alone() -> None:
    desk = Desk()
    desk.run_s(70)
    desk.clock.step_s(10 * 365 * 24 * HOUR_S)
    desk.run_s(5)
    saved_ms = desk.writer.last_saved_minute_ms()
    desk.keeper.record(Event(desk.clock.now_ms(), EventKind.STOPPED, "Acquisition stopped."))
    desk.keeper.stop()
    assert len(desk.events(EventKind.STOPPED)) == 1
    assert desk.writer.last_saved_minute_ms() == saved_ms


def test_clock_beyond_the_calendar_is_still_told() -> None:
    desk = Desk()
    desk.clock.wall_ms = 10**15
    desk.keeper.beat()
    assert "ms" in (desk.keeper.notice() or pytest.fail("no notice")).message


def test_sleep_of_two_hours_is_a_gap_with_a_reason_and_no_burst_of_minutes() -> None:
    desk = Desk()
    desk.run_s(70)
    desk.clock.sleep_pc_s(2 * HOUR_S)
    change = desk.keeper.beat()
    assert change is not None
    assert change.has_slept
    assert change.step_ms == 0
    desk.run_s(60)
    assert desk.minutes == [0, 1, 121]
    (event,) = desk.events(EventKind.SUSPEND)
    assert event.data == {"before_ms": T0 + 70_000, "after_ms": T0 + 7_270_000}
    assert desk.events(EventKind.CLOCK_STEP) == []
    codes = [(c.ts_ms - T0, c.code) for batch in desk.writer.batches for c in batch.states]
    assert codes == [(1_000, 1), (70_000, None), (7_271_000, 1)]


def test_sleep_on_windows_is_seen_by_the_long_gap() -> None:
    desk = Desk()
    desk.run_s(5)
    desk.clock.pass_s(2 * HOUR_S)
    change = desk.keeper.beat()
    assert change is not None
    assert (change.has_slept, change.step_ms) == (True, 0)


@pytest.mark.parametrize("bits", [31, 32])
def test_monotonic_clock_crosses_its_rollovers_without_a_stall(bits: int) -> None:
    desk = Desk(FakeClock(monotonic_s=2**bits / 1000 - 60))
    desk.run_s(180)
    assert desk.minutes == [0, 1, 2]
    assert desk.events(EventKind.CLOCK_STEP) == desk.events(EventKind.SUSPEND) == []


def test_count_that_falls_is_pending_in_what_is_shown_and_kept() -> None:
    desk = Desk()
    desk.poll(count=50_000)
    desk.clock.pass_s(5)
    shown = desk.poll(count=0)
    assert (shown.values[1], shown.qualities[1]) == (None, Quality.PENDING)
    assert "three readings" in shown.detail
    desk.clock.pass_s(5)
    assert desk.poll(count=50_001).qualities == bytes(3)
    desk.keeper.stop()
    assert [event.kind for event in desk.writer.batches[0].events] == [EventKind.COUNTER_GLITCH]
    assert desk.writer.batches[0].devices[0].values[1] == 50_001


def test_restart_goes_on_from_the_seed_without_an_epoch() -> None:
    desk = Desk(seed=CounterSeed(T0 - 60_000, 990, Fraction(10)))
    desk.poll()
    desk.keeper.stop()
    assert desk.writer.batches[0].epochs == ()


def test_exchanged_meter_starts_new_epochs() -> None:
    desk = Desk()
    desk.poll(count=50_000)
    desk.keeper.record(Event(T0, EventKind.METER_SWAPPED, "x", DeviceId(1)))
    desk.clock.pass_s(5)
    assert desk.poll(count=3).qualities == bytes(3)
    desk.keeper.stop()
    assert [epoch.reason for epoch in desk.writer.batches[0].epochs] == ["first reading", "meter exchanged"]


def test_modulus_of_the_profile_is_used_also_when_the_supply_is_downstream() -> None:
    desk = Desk()
    plain = make_device(1)
    turned = Device(DeviceId(2), "T", "GW1", "model", "meter", 2, supply=SupplyDirection.DOWNSTREAM)
    profile = CATALOGUE.profiles["meter"]
    desk.keeper.equip([EquippedDevice(plain, profile), EquippedDevice(turned, profile)])
    desk.poll(count=2**32 - 1)
    layout = GroupLayout(DeviceId(2), "live", ("active_energy_export",), 0.0)
    desk.keeper.take(GroupReadings(layout, T0, (2**32 - 1,), bytes(1), (Fraction(10),)))
    desk.clock.pass_s(5)
    assert desk.poll(count=1).qualities == bytes(3)
    turned_poll = GroupReadings(layout, T0 + 5_000, (1,), bytes(1), (Fraction(10),))
    assert desk.keeper.take(turned_poll) is turned_poll
    desk.keeper.stop()
    assert [event.kind for event in desk.writer.batches[0].events] == [EventKind.COUNTER_ROLLOVER] * 2


def test_modulus_of_a_newer_profile_is_used_by_counters_known_before() -> None:
    desk = Desk()
    desk.poll(count=2**32 - 1)
    desk.keeper.equip([EquippedDevice(make_device(1), CATALOGUE.profiles["meter"])])
    desk.clock.pass_s(5)
    assert desk.poll(count=1).qualities == bytes(3)


def test_restart_within_a_minute_keeps_the_part_that_is_written() -> None:
    desk = Desk()
    desk.run_s(10)
    desk.keeper.stop()
    again = MinuteKeeper(desk.writer, desk.clock, ClockWatch(desk.clock), CounterBook())
    desk.keeper = again
    desk.run_s(120)
    assert desk.minutes == [0, 1]
    assert sum(len(batch.epochs) for batch in desk.writer.batches) == 2
