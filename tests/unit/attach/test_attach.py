"""Both sides of the local socket."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from emdx_desktop.attach import attached_supervision, server
from emdx_desktop.attach import door as door_module
from emdx_desktop.attach.attached_supervision import LOST_NOTICE_KEY, AttachedSupervision
from emdx_desktop.attach.door import DOOR_FILE_NAME, close_door, find_door, knock, open_door
from emdx_desktop.attach.plain_form import from_plain, to_plain
from emdx_desktop.attach.server import AttachServer
from emdx_desktop.attach.wire import WireFault, pack_command, pack_snapshot, unpack_command, unpack_snapshot
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.history import RetentionPolicy
from emdx_desktop.domain.installation import Device, Gateway, Installation, LineSettings, Link, LinkScheme, Panel, Site
from emdx_desktop.domain.ports import Command, ReadNow, ReplaceInstallation, SetRetention
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceSnapshot,
    DeviceState,
    FaultKind,
    GatewayId,
    LiveValue,
    Notice,
    NoticeLevel,
    Quality,
    RequestStatistics,
    SiteSnapshot,
)

WAIT_S = 10.0


def make_device(number: int, power_w: float | None = 5.0) -> DeviceSnapshot:
    return DeviceSnapshot(
        DeviceId(number),
        DeviceState.ANSWERING,
        {
            "active_power": LiveValue(power_w, Quality.GOOD, 1000, ""),
            "frequency": LiveValue(None, Quality.TIMEOUT, 0, "x"),
        },
        1000,
        1.5,
        RequestStatistics(7, 6, {FaultKind.CRC: 1}),
        ("register 5",),
        "fine",
    )


def make_snapshot(sequence: int, *devices: DeviceSnapshot) -> SiteSnapshot:
    bus = BusSnapshot(GatewayId(1), True, 1.0, 2.0, 0.5, RequestStatistics(), "ok")
    return SiteSnapshot(
        sequence,
        1234,
        {device.device_id: device for device in devices},
        {bus.gateway_id: bus},
        (Notice("k", NoticeLevel.WARNING, "m", 5),),
        60_000,
        3,
    )


class FakePort:
    """A port whose snapshots the test hands out."""

    def __init__(self) -> None:
        self.newest: SiteSnapshot | None = None
        self.listeners: list[Callable[[SiteSnapshot], None]] = []
        self.commands: list[Command] = []
        self.has_command = threading.Event()
        self.is_gone = False

    def subscribe(self, listener: Callable[[SiteSnapshot], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def latest(self) -> SiteSnapshot | None:
        return self.newest

    def send(self, command: Command) -> None:
        if self.is_gone:
            raise EnvironmentFault("gone")
        self.commands.append(command)
        self.has_command.set()

    def publish(self, snapshot: SiteSnapshot) -> None:
        self.newest = snapshot
        for listener in list(self.listeners):
            listener(snapshot)


class Watcher:
    """Waits for a snapshot."""

    def __init__(self, attached: AttachedSupervision) -> None:
        self._condition = threading.Condition()
        self._attached = attached
        self.heard: list[SiteSnapshot] = []
        self.leave = attached.subscribe(self._on_snapshot)

    def _on_snapshot(self, snapshot: SiteSnapshot) -> None:
        with self._condition:
            self.heard.append(snapshot)
            self._condition.notify_all()

    def wait(self, is_there: Callable[[SiteSnapshot], object]) -> SiteSnapshot:
        def check() -> object:
            latest = self._attached.latest()
            return latest is not None and is_there(latest)

        with self._condition:
            assert self._condition.wait_for(check, WAIT_S)
        latest = self._attached.latest()
        assert latest is not None
        return latest


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOOK_S", 0.01)
    monkeypatch.setattr(attached_supervision, "LOOK_S", 0.01)


@pytest.fixture
def port() -> FakePort:
    return FakePort()


@pytest.fixture
def serving(port: FakePort, tmp_path: Path) -> Iterator[AttachServer]:
    serving = AttachServer(port, tmp_path, "collect")
    yield serving
    serving.close()


@pytest.fixture
def attached(serving: AttachServer, tmp_path: Path) -> Iterator[AttachedSupervision]:
    attached = AttachedSupervision(tmp_path, retry_s=0.01)
    yield attached
    attached.close()


def test_snapshots_arrive_and_unchanged_devices_stay_the_same_objects(
    port: FakePort, attached: AttachedSupervision
) -> None:
    watcher = Watcher(attached)
    one, two = make_device(1), make_device(2)
    port.publish(make_snapshot(1, one, two))
    first = watcher.wait(lambda s: s.sequence == 1)
    assert first == make_snapshot(1, one, two)
    port.publish(make_snapshot(2, one, make_device(2, 9.0)))
    second = watcher.wait(lambda s: s.sequence == 2)
    assert second.devices[DeviceId(1)] is first.devices[DeviceId(1)]
    assert second.devices[DeviceId(2)].values["active_power"].value == 9.0
    port.publish(make_snapshot(3, one))
    assert set(watcher.wait(lambda s: s.sequence == 3).devices) == {1}


def test_who_attaches_later_gets_everything_at_once(port: FakePort, serving: AttachServer, tmp_path: Path) -> None:
    port.newest = make_snapshot(7, make_device(1))
    attached = AttachedSupervision(tmp_path)
    assert Watcher(attached).wait(lambda s: s.sequence == 7).devices
    assert attached.owner == f"collect, process {os.getpid()}"
    attached.close()


def test_commands_reach_the_owner(port: FakePort, attached: AttachedSupervision) -> None:
    attached.send(ReadNow(DeviceId(5)))
    assert port.has_command.wait(WAIT_S)
    assert port.commands == [ReadNow(DeviceId(5))]


def test_slow_reader_skips_what_came_between(port: FakePort, serving: AttachServer, tmp_path: Path) -> None:
    port.newest = make_snapshot(1, *(make_device(n) for n in range(200)))
    _, connection = knock(tmp_path)  # reads nothing: the socket fills up
    for sequence in range(2, 200):
        port.publish(make_snapshot(sequence, *(make_device(n) for n in range(200))))
    before = None
    received = []
    while before is None or before.sequence < 199:
        before = unpack_snapshot(connection.recv_bytes(), before)
        received.append(before.sequence)
    assert len(received) < 100
    connection.close()


def test_lost_owner_is_told_and_found_again(port: FakePort, tmp_path: Path) -> None:
    first = AttachServer(port, tmp_path, "collect")
    attached = AttachedSupervision(tmp_path, retry_s=0.01)
    watcher = Watcher(attached)
    port.publish(make_snapshot(1, make_device(1)))
    watcher.wait(lambda s: s.sequence == 1)
    first.close()
    lost = watcher.wait(lambda s: any(notice.key == LOST_NOTICE_KEY for notice in s.notices))
    assert {device.state for device in lost.devices.values()} == {DeviceState.WAITING}
    assert not any(bus.is_connected for bus in lost.buses.values())
    with pytest.raises(EnvironmentFault, match="is gone"):
        attached.send(ReadNow(DeviceId(1)))
    second = AttachServer(port, tmp_path, "collect")
    port.publish(make_snapshot(9, make_device(1)))
    again = watcher.wait(lambda s: s.sequence == 9)
    assert [notice.key for notice in again.notices] == ["k"]
    watcher.leave()
    watcher.leave()
    attached.close()
    second.close()


def test_loss_before_the_first_snapshot_is_quiet(port: FakePort, tmp_path: Path) -> None:
    serving = AttachServer(port, tmp_path, "collect")
    attached = AttachedSupervision(tmp_path, retry_s=0.01)
    serving.close()
    attached.close()
    assert attached.latest() is None


def test_nobody_to_attach_to_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="Nobody acquires"):
        AttachedSupervision(tmp_path)


def test_stale_door_is_a_sentence(port: FakePort, tmp_path: Path) -> None:
    serving = AttachServer(port, tmp_path, "collect")
    kept = (tmp_path / DOOR_FILE_NAME).read_text()
    serving.close()
    assert find_door(tmp_path) is None
    (tmp_path / DOOR_FILE_NAME).write_text(kept)
    with pytest.raises(EnvironmentFault, match="does not answer"):
        AttachedSupervision(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows protects the folder, not the file")
def test_key_and_socket_are_for_the_owner_only_and_no_network_port_is_open(
    serving: AttachServer, tmp_path: Path
) -> None:
    door = find_door(tmp_path)
    assert door is not None
    assert stat.S_IMODE((tmp_path / DOOR_FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(door.address).stat().st_mode) == 0o600
    assert len(door.key) == 32


def test_wrong_key_is_refused(serving: AttachServer, port: FakePort, tmp_path: Path) -> None:
    file = tmp_path / DOOR_FILE_NAME
    door = find_door(tmp_path)
    assert door is not None
    file.write_text(file.read_text().replace(door.key.hex(), "00" * 32))
    with pytest.raises(EnvironmentFault, match="refused"):
        knock(tmp_path)
    assert port.commands == []


def test_garbage_command_ends_only_its_own_connection(
    port: FakePort, serving: AttachServer, attached: AttachedSupervision, tmp_path: Path
) -> None:
    _, bad = knock(tmp_path)
    bad.send_bytes(b'{"type": "format_disk", "content": {}}')
    with pytest.raises((EOFError, OSError)):
        bad.recv_bytes()
    bad.close()
    attached.send(ReadNow(DeviceId(1)))
    assert port.has_command.wait(WAIT_S)


def test_who_never_greets_does_not_hold_up_others_or_the_end(port: FakePort, tmp_path: Path) -> None:
    serving = AttachServer(port, tmp_path, "collect")
    door = find_door(tmp_path)
    assert door is not None
    silent = Client(door.address)
    attached = AttachedSupervision(tmp_path)
    attached.send(ReadNow(DeviceId(1)))
    assert port.has_command.wait(WAIT_S)
    attached.close()
    serving.close()
    silent.close()


def test_deep_folder_gets_its_socket_elsewhere(port: FakePort, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    serving = AttachServer(port, deep, "collect")
    attached = AttachedSupervision(deep)
    door = find_door(deep)
    assert door is not None
    attached.close()
    serving.close()
    if sys.platform != "win32":
        assert not Path(door.address).parent.exists() or Path(door.address).parent == deep


def test_folder_that_cannot_hold_a_socket_is_a_fault(port: FakePort, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot attach"):
        AttachServer(port, tmp_path / "missing", "collect")


def test_installation_crosses_whole() -> None:
    installation = Installation(
        Site("S", "Europe/Paris"),
        (Panel("P"),),
        (Gateway(GatewayId(1), "G", Link(LinkScheme.RTU, serial_port="COM3"), line=LineSettings(19200)),),
        (
            Device(DeviceId(1), "D", "G", "m", "p", 5, scales={"active_power": Fraction(1, 3)}, zones=("Z",)),
            Device(DeviceId(2), "E", "G", "m", "p", 6, sub_address=2, is_archived=True),
        ),
        ("C",),
        ("Z",),
        4,
    )
    for command in (ReplaceInstallation(installation), SetRetention(RetentionPolicy(5, None)), ReadNow(DeviceId(3))):
        assert unpack_command(pack_command(command)) == command


@pytest.mark.parametrize("data", [b"", b"[]", b'{"type":"x"}', b'{"type":"read_now","content":{"device_id":"1"}}'])
def test_message_of_another_form_is_a_fault(data: bytes) -> None:
    with pytest.raises(WireFault):
        unpack_command(data)
    with pytest.raises(WireFault):
        unpack_snapshot(data, None)


def test_snapshot_without_a_number_never_becomes_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        pack_snapshot(make_snapshot(1, make_device(1, float("nan"))), None)


def test_tuples_of_fixed_length_and_whole_floats_are_built() -> None:
    assert from_plain(tuple[int, str], [1, "a"]) == (1, "a")
    assert from_plain(float, 1) == 1.0
    assert to_plain(replace(RetentionPolicy(), instant_days=3)) == {"instant_days": 3, "disk_budget_bytes": None}


def test_too_many_guests_are_sent_away(
    port: FakePort, serving: AttachServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_GUESTS", 1)
    first = AttachedSupervision(tmp_path)
    with pytest.raises(EnvironmentFault, match="refused"):
        knock(tmp_path)
    first.send(ReadNow(DeviceId(1)))
    assert port.has_command.wait(WAIT_S)
    first.close()


def test_refused_command_sends_only_its_sender_away(
    port: FakePort, serving: AttachServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port.is_gone = True
    _, connection = knock(tmp_path)
    connection.send_bytes(pack_command(ReadNow(DeviceId(1))))
    with pytest.raises((EOFError, OSError)):
        connection.recv_bytes()
    connection.close()
    assert "sent away: gone" in caplog.text


def test_owner_that_keeps_silent_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "GREETING_S", 0.01)
    door, listener = open_door(tmp_path, "collect")  # listens, but never greets
    with pytest.raises(EnvironmentFault, match="keeps silent"):
        knock(tmp_path)
    listener.close()
    close_door(tmp_path, door)
