"""The runtime with fake pollers: snapshots, commands, restarts, watchdog, shutdown. Waits on events, never sleeps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from acquisition_fakes import (
    CATALOGUE,
    QUANTITIES,
    T0,
    FakeClock,
    FakePoller,
    FakePollers,
    FakeWriter,
    make_device,
    make_installation,
)

from emdx_desktop.app.polled_line import RestartBrake
from emdx_desktop.app.runtime import AcquisitionRuntime
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import EnvironmentFault, Problem
from emdx_desktop.domain.history import Event, EventKind, RetentionPolicy
from emdx_desktop.domain.installation import Installation, SupplyDirection
from emdx_desktop.domain.ports import ReadNow, ReplaceInstallation, SetRetention
from emdx_desktop.domain.readings import (
    DeviceId,
    DeviceState,
    GatewayId,
    GroupLayout,
    GroupReadings,
    Notice,
    NoticeLevel,
    Quality,
    SiteSnapshot,
)

WAIT_S = 10.0


class Site:
    """A running runtime; snapshots arrive in a list that can be waited for."""

    def __init__(
        self,
        installation: Installation,
        behaviour: Callable[[FakePoller], None] | None = None,
        *,
        is_demo: bool = False,
        look_s: float = 0.01,
    ) -> None:
        self.clock = FakeClock()
        self.writer = FakeWriter()
        self.pollers = FakePollers(behaviour)
        self.runtime = AcquisitionRuntime(
            installation,
            CATALOGUE,
            self.pollers,
            self.writer,
            self.clock,
            boot_s=self.clock.boot_s,
            polls_simulated_profiles=is_demo,
            beat_s=0.005,
            look_s=look_s,
            hang_looks=20,
        )
        self.snapshots: list[SiteSnapshot] = []
        self._changed = threading.Condition()
        self.leave = self.runtime.subscribe(self._on_snapshot)
        self.thread = threading.Thread(target=self.runtime.run)

    def start(self) -> Site:
        self.thread.start()
        return self

    def _on_snapshot(self, snapshot: SiteSnapshot) -> None:
        with self._changed:
            self.snapshots.append(snapshot)
            self._changed.notify_all()

    def wait(self, is_there: Callable[[SiteSnapshot], object]) -> SiteSnapshot:
        with self._changed:
            assert self._changed.wait_for(lambda: self.snapshots and is_there(self.snapshots[-1]), WAIT_S)
            return self.snapshots[-1]

    def stop(self) -> None:
        self.runtime.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

    def events(self) -> list[EventKind]:
        return [event.kind for batch in self.writer.batches for event in batch.events]


@pytest.fixture
def start() -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(*args: object, **kwargs: object) -> Site:
        site = Site(*args, **kwargs)  # type: ignore[arg-type]  # handed through
        sites.append(site)
        return site.start()

    yield make
    for site in sites:
        if site.thread.is_alive():
            site.stop()


def tell_once(poller: FakePoller) -> None:
    poller.tell(T0, 5.0, 100)
    for device_id in poller.layouts:
        poller.listener.on_device_state(device_id, DeviceState.ANSWERING, "")


def test_snapshot_merges_all_lines_and_the_unfinished_minute_is_kept_at_stop(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1), make_device(2, "GW2")), tell_once)
    snapshot = site.wait(lambda s: all(d.state is DeviceState.ANSWERING for d in s.devices.values()))
    assert set(snapshot.devices) == {1, 2}
    assert set(snapshot.buses) == {GatewayId(1), GatewayId(2)}
    live = snapshot.devices[DeviceId(1)].values
    assert live["active_power"] == (5.0, Quality.GOOD, T0, "")
    assert live["active_energy_import"].value == 1000.0
    assert snapshot.installation_revision == 1
    site.stop()
    assert [len(batch.devices) for batch in site.writer.batches] == [2]
    assert site.events() == [EventKind.STARTED, EventKind.STOPPED]
    assert not site.writer.is_closed
    assert all(not poller.is_running for poller in site.pollers.made)
    assert site.runtime.latest() is site.snapshots[-1]


def test_only_changed_devices_are_new_objects(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1), make_device(2, "GW2")), tell_once)
    before = site.wait(lambda s: len(s.devices) == 2 and s.devices[DeviceId(2)].values)
    poller = site.pollers.of("GW1")[0]
    poller.tell(T0 + 1, None, None, None, quality=Quality.TIMEOUT)
    after = site.wait(lambda s: s.devices[DeviceId(1)] is not before.devices[DeviceId(1)])
    assert after.devices[DeviceId(2)] is before.devices[DeviceId(2)]
    power = after.devices[DeviceId(1)].values["active_power"]
    assert (power.value, power.quality, power.ts_ms) == (5.0, Quality.TIMEOUT, T0)


def test_devices_that_are_not_polled_say_why(start: Callable[..., Site]) -> None:
    installation = make_installation(
        make_device(1),
        replace(make_device(2), is_enabled=False),
        make_device(3, profile_id="secret"),
        make_device(4, profile_id="lost"),
        replace(make_device(5), is_archived=True),
        make_device(6, "GW2"),
    )
    off = replace(installation.gateways[1], is_enabled=False)
    site = start(replace(installation, gateways=(installation.gateways[0], off)))
    devices = site.wait(lambda s: len(s.devices) == 5).devices
    assert [device.state for _, device in sorted(devices.items())] == [
        DeviceState.WAITING,
        DeviceState.DISABLED,
        DeviceState.UNREADABLE,
        DeviceState.UNREADABLE,
        DeviceState.DISABLED,
    ]
    assert "gateway is switched off" in devices[DeviceId(6)].detail
    assert "register table" in devices[DeviceId(3)].detail
    assert [list(poller.layouts) for poller in site.pollers.made] == [[1]]


def test_simulated_building_reads_models_without_public_table(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1, profile_id="secret")), is_demo=True)
    site.wait(lambda s: s.buses)
    assert len(site.pollers.made) == 1


def test_commands_reach_poller_and_writer(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1), make_device(2, "GW2")))
    site.wait(lambda s: s.buses)
    site.runtime.send(ReadNow(DeviceId(2)))
    site.runtime.send(SetRetention(RetentionPolicy(30)))
    site.runtime.send(ReplaceInstallation(make_installation(make_device(1))))
    site.wait(lambda s: s.installation_revision == 2)
    assert site.pollers.of("GW2")[0].asked == [2]
    assert site.pollers.of("GW1")[0].asked == []
    assert site.writer.retention == RetentionPolicy(30)


def test_new_installation_restarts_only_lines_that_changed(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1), make_device(2, "GW2"), make_device(3, "GW2")), tell_once)
    site.wait(lambda s: len(s.devices) == 3)
    site.runtime.send(ReplaceInstallation(make_installation(make_device(1), make_device(2, "GW2"))))
    snapshot = site.wait(lambda s: s.installation_revision == 2 and len(s.devices) == 2)
    assert len(site.pollers.of("GW1")) == 1
    old, new = site.pollers.of("GW2")
    assert (old.is_running, list(new.layouts)) == (False, [2])
    assert snapshot.devices[DeviceId(2)].values["active_power"].value == 5.0
    old.tell(T0 + 5, 666.0, 1)  # a stray reply of a poller that was given up
    site.stop()
    assert EventKind.INSTALLATION_CHANGED in site.events()
    assert all(666 not in minute.values for batch in site.writer.batches for minute in batch.devices)


def test_same_installation_again_is_no_event(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1)))
    site.wait(lambda s: s.buses)
    site.runtime.send(ReplaceInstallation(make_installation(make_device(1))))
    site.wait(lambda s: s.installation_revision == 2)
    site.stop()
    assert EventKind.INSTALLATION_CHANGED not in site.events()


def test_installation_that_cannot_be_stored_changes_nothing_and_is_told(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1)))
    site.wait(lambda s: s.buses)
    site.writer.refusal = "The disk is full."
    site.runtime.send(ReplaceInstallation(make_installation(make_device(1), make_device(2))))
    snapshot = site.wait(lambda s: s.notices)
    assert "The disk is full" in snapshot.notices[0].message
    assert snapshot.installation_revision == 1
    site.writer.refusal = ""
    site.runtime.send(ReplaceInstallation(make_installation(make_device(1), make_device(2))))
    assert not site.wait(lambda s: s.installation_revision == 2 and not s.notices).notices


def test_notices_of_pollers_storage_and_clock_are_merged(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1)))
    site.wait(lambda s: s.buses)
    listener = site.pollers.made[0].listener
    listener.on_notice(Notice("limit", NoticeLevel.WARNING, "gateway connection limit", T0))
    site.writer.notice_list = (Notice("disk", NoticeLevel.ALARM, "disk full", T0),)
    site.clock.wall_ms = 1000
    snapshot = site.wait(lambda s: len(s.notices) == 3)
    assert {notice.key for notice in snapshot.notices} == {"limit", "disk", "clock"}
    listener.on_notice_cleared("limit")
    site.wait(lambda s: len(s.notices) == 2)


def test_sleep_of_the_pc_reopens_every_line(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1), make_device(2, "GW2")))
    site.wait(lambda s: s.buses)
    site.clock.sleep_pc_s(7200)
    site.wait(lambda _: len(site.pollers.made) == 4 and all(p.is_running for p in site.pollers.made[2:]))
    assert [poller.is_running for poller in site.pollers.made[:2]] == [False, False]


def test_poller_that_ends_by_a_mistake_is_restarted_and_braked(
    start: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(poller: FakePoller) -> None:
        if poller.gateway.name == "GW1":
            raise ZeroDivisionError

    site = start(make_installation(make_device(1), make_device(2, "GW2")), fail)
    snapshot = site.wait(lambda s: s.notices)
    assert "three times in ten minutes" in snapshot.notices[0].message
    assert len(site.pollers.of("GW1")) == 3
    assert site.pollers.of("GW2")[0].is_running
    site.pollers.behaviour = None
    site.clock.pass_s(601)  # also longer than anybody may sleep: all lines are opened again
    site.wait(lambda s: not s.notices and len(site.pollers.of("GW1")) >= 4)
    site.stop()
    assert EventKind.WATCHDOG in site.events()
    assert "ended by a mistake" in caplog.text


def test_silent_poller_is_restarted_after_three_periods(
    start: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    site = start(make_installation(make_device(1)))
    site.wait(lambda s: s.buses and s.buses[GatewayId(1)].is_connected)
    for _ in range(10):
        made = len(site.pollers.made)
        before = site.runtime.latest()
        site.clock.pass_s(20)
        site.pollers.made[-1].listener.on_notice(Notice(f"n{site.clock.mono_s}", NoticeLevel.INFO, "x", T0))
        site.wait(lambda s, b=before: s is not b)
    assert made == 1  # telling anything is a sign of life
    for _ in range(10):
        before = site.runtime.latest()
        site.clock.pass_s(20)
        site.writer.notice_list = (Notice("tick", NoticeLevel.INFO, str(site.clock.mono_s), T0),)
        site.wait(lambda s, b=before: s is not b)
    site.wait(lambda _: len(site.pollers.made) == 2)
    assert "told nothing for" in caplog.text
    assert "is stuck at" in caplog.text


def test_hung_worker_is_replaced_its_stacks_logged_and_its_poller_unheard(
    start: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    has_hung = threading.Event()

    def hang(poller: FakePoller) -> None:
        if not has_hung.is_set():
            has_hung.set()
            release.wait(WAIT_S)
            poller.tell(T0, 666.0, 666)

    with caplog.at_level(logging.ERROR):
        site = start(make_installation(make_device(1)), hang)
        snapshot = site.wait(lambda s: s.notices and s.buses and s.buses[GatewayId(1)].is_connected)
    assert "hung" in snapshot.notices[0].message
    assert "release.wait(WAIT_S)" in caplog.text
    assert len(site.pollers.made) == 2
    release.set()
    site.pollers.made[1].tell(T0, 5.0, 1)
    site.wait(lambda s: s.devices[DeviceId(1)].values)
    site.stop()
    assert EventKind.WATCHDOG in site.events()
    assert all(666 not in minute.values for batch in site.writer.batches for minute in batch.devices)


def test_worker_that_fails_is_replaced_and_braked(start: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    site = Site(make_installation(make_device(1)), look_s=0.001)

    def fail() -> tuple[Notice, ...]:
        raise ZeroDivisionError

    site.writer.notices = fail  # type: ignore[method-assign]  # a bug in the heart of the loop
    site.start()
    assert site.pollers.has_started.wait(WAIT_S)
    while "three times in ten minutes" not in caplog.text:
        assert site.thread.is_alive()
    site.stop()
    assert len(site.pollers.made) == 3


def test_exception_in_a_callback_is_counted_and_the_loop_goes_on(
    start: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    import asyncio

    def schedule_failure(poller: FakePoller) -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        tell_once(poller)

    site = start(make_installation(make_device(1)), schedule_failure)
    site.wait(lambda s: s.devices and s.devices[DeviceId(1)].values)
    site.stop()
    assert "in the acquisition loop" in caplog.text


def test_command_after_the_end_is_refused(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1)))
    site.wait(lambda s: s.buses)
    site.stop()
    with pytest.raises(EnvironmentFault, match="has ended"):
        site.runtime.send(ReadNow(DeviceId(1)))


def test_turned_supply_direction_starts_new_epochs(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1)), tell_once)
    site.wait(lambda s: s.devices and s.devices[DeviceId(1)].values)
    turned = replace(make_device(1), supply=SupplyDirection.DOWNSTREAM)
    site.runtime.send(ReplaceInstallation(make_installation(turned)))
    site.wait(lambda s: s.installation_revision == 2)
    site.stop()
    epochs = [epoch.reason for batch in site.writer.batches for epoch in batch.epochs]
    assert epochs == ["first reading", "installation changed"]


def test_nothing_is_left_of_what_a_device_meant_before(start: Callable[..., Site]) -> None:
    def tell(poller: FakePoller) -> None:
        if poller.devices[0].device.supply is SupplyDirection.DOWNSTREAM:
            poller.layouts = {DeviceId(1): GroupLayout(DeviceId(1), "fast", QUANTITIES[:1], 0.0)}
            readings = GroupReadings(poller.layouts[DeviceId(1)], T0, (-5.0,), bytes(1), (None,))
            poller.listener.on_readings(readings)
        else:
            poller.tell(T0, 5.0, 100)

    site = start(make_installation(make_device(1)), tell)
    site.wait(lambda s: s.devices and s.devices[DeviceId(1)].values)
    turned = replace(make_device(1), supply=SupplyDirection.DOWNSTREAM)
    site.runtime.send(ReplaceInstallation(make_installation(turned)))
    shown = site.wait(lambda s: s.installation_revision == 2 and s.devices[DeviceId(1)].values)
    assert set(shown.devices[DeviceId(1)].values) == {"active_power"}
    site.stop()
    (minute,) = site.writer.batches[-1].devices
    assert [column.quantity for column in minute.layout.columns] == ["active_power"]
    assert minute.values == (-5,)


def test_retention_that_cannot_be_stored_is_told(start: Callable[..., Site]) -> None:
    def refuse(_policy: RetentionPolicy) -> None:
        raise EnvironmentFault("The disk is full.")

    site = start(make_installation(make_device(1)))
    site.writer.set_retention = refuse  # type: ignore[method-assign]  # the storage refuses
    site.runtime.send(SetRetention(RetentionPolicy(1)))
    assert "The disk is full" in site.wait(lambda s: s.notices).notices[0].message


def test_broken_profiles_are_told() -> None:
    catalogue = ProfileCatalogue(CATALOGUE.profiles, (Problem("x.toml: point[3].words", "is missing."),))
    runtime = AcquisitionRuntime(
        make_installation(make_device(1)),
        catalogue,
        FakePollers(),
        FakeWriter(),
        FakeClock(),
        beat_s=0.005,
        look_s=0.01,
    )
    has_told = threading.Event()
    runtime.subscribe(lambda snapshot: has_told.set() if "x.toml" in snapshot.notices[0].message else None)
    thread = threading.Thread(target=runtime.run)
    thread.start()
    assert has_told.wait(WAIT_S)
    runtime.stop()
    thread.join(WAIT_S)


def test_poller_that_was_stopped_is_not_heard_any_more(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1)))
    site.wait(lambda s: s.buses and s.buses[GatewayId(1)].is_connected)
    listener = site.pollers.made[0].listener
    site.stop()
    listener.on_device_state(DeviceId(1), DeviceState.ANSWERING, "")
    listener.on_notice(Notice("late", NoticeLevel.INFO, "x", T0))
    listener.on_notice_cleared("late")
    listener.on_event(Event(T0, EventKind.METER_SWAPPED, "x"))
    site.pollers.made[0].tell(T0, 1.0, 1)
    latest = site.runtime.latest()
    assert latest is not None
    assert latest.notices == ()
    assert EventKind.METER_SWAPPED not in site.events()


def test_who_left_hears_nothing_more(start: Callable[..., Site]) -> None:
    site = start(make_installation(make_device(1)))
    site.wait(lambda s: s.buses)
    site.leave()
    site.leave()
    heard = len(site.snapshots)
    site.pollers.made[0].tell(T0, 1.0, 1)
    site.stop()
    assert len(site.snapshots) == heard


def test_listener_that_fails_stops_nobody_else(start: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    site = Site(make_installation(make_device(1)))
    calls: list[SiteSnapshot] = []

    def fail(snapshot: SiteSnapshot) -> None:
        calls.append(snapshot)
        raise ZeroDivisionError

    site.runtime.subscribe(fail)
    site.start()
    before = site.wait(lambda s: s.buses)
    site.writer.notice_list = (Notice("tick", NoticeLevel.INFO, "x", T0),)
    site.wait(lambda s: s is not before and s.notices)
    site.stop()
    assert len(calls) == 1
    assert "hears nothing more" in caplog.text
    assert EventKind.WATCHDOG not in site.events()


def test_stop_before_run_ends_at_once() -> None:
    site = Site(make_installation(make_device(1)))
    site.runtime.stop()
    site.runtime.run()
    assert site.events() == [EventKind.STARTED, EventKind.STOPPED]


def test_three_restarts_in_ten_minutes_are_too_many_but_not_in_a_day() -> None:
    brake = RestartBrake()
    assert [brake.note(second) for second in (0, 100, 200)] == [False, False, True]
    slow = RestartBrake()
    assert [slow.note(second) for second in (0, 400, 800, 1200)] == [False] * 4
