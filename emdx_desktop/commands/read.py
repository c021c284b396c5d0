"""`emdx-desktop read [DEVICE]`: ask once, print every value with its quality. Nothing is recorded."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from zoneinfo import ZoneInfo

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.app.live_board import LiveBoard
from emdx_desktop.app.polling_scope import LineScope, PollingScope, find_polling_scope
from emdx_desktop.attach.attached_supervision import AttachedSupervision
from emdx_desktop.attach.door import find_door
from emdx_desktop.commands.collect import ANSWERING, local_time
from emdx_desktop.commands.site_folder import (
    SiteFolder,
    find_device,
    open_site_folder,
    require_devices,
    site_zone,
)
from emdx_desktop.domain.bus_timing import predict_cycle
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.history import Event
from emdx_desktop.domain.installation import Device, Installation
from emdx_desktop.domain.ports import ReadNow
from emdx_desktop.domain.quantities import QuantityKind, quantity
from emdx_desktop.domain.readings import (
    DeviceId,
    DeviceSnapshot,
    DeviceState,
    GroupReadings,
    LiveValue,
    Notice,
    Quality,
    SiteSnapshot,
)
from emdx_desktop.modbus.planner import plan_bus
from emdx_desktop.storage.folder_lock import DataFolderLock

FAILED_STATES = (DeviceState.SILENT, DeviceState.GATEWAY_DOWN, DeviceState.WAITING)
MIN_PATIENCE_S = 10.0
_INDEX_STEP = Decimal("0.000001")
_DIGITS = 60
"""More than 64 bits in any unit need."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("device", nargs="?", metavar="DEVICE", help="name or id of one device; all without it")


def run(args: argparse.Namespace) -> int:
    """Read; 3 when a device does not answer."""
    folder = open_site_folder(args.data)
    installation = folder.load_installation()
    require_devices(installation)
    wanted = (
        [find_device(installation, args.device)]
        if args.device is not None
        else [device for device in installation.devices if not device.is_archived and device.is_enabled]
    )
    snapshots = _read(folder, installation, wanted)
    zone = site_zone(installation)
    if args.json:
        print(json.dumps(describe_readings(installation, wanted, snapshots, zone), ensure_ascii=False, indent=2))
    else:
        for device in wanted:
            print("\n".join(format_device(device, snapshots.get(device.id), zone)))
    states = [snapshots[device.id].state if device.id in snapshots else DeviceState.WAITING for device in wanted]
    is_bad = any(state in FAILED_STATES for state in states)
    return 3 if is_bad or (args.device is not None and states[0] not in ANSWERING) else 0


def _read(folder: SiteFolder, installation: Installation, wanted: Sequence[Device]) -> dict[DeviceId, DeviceSnapshot]:
    if find_door(folder.path) is not None:
        try:
            attached = AttachedSupervision(folder.path)
        except EnvironmentFault:
            pass  # a door left behind by a crash; the folder's lock decides
        else:
            try:
                return _read_attached(attached, wanted)
            finally:
                attached.close()
    scope = find_polling_scope(installation, folder.catalogue, polls_simulated_profiles=folder.is_demo)
    lock = DataFolderLock(folder.path)
    lock.acquire("read")
    try:
        return asyncio.run(_read_lines(folder, scope, {device.id for device in wanted}))
    finally:
        lock.release()


# --- through a running acquisition ---------------------------------------------------------------------


def _read_attached(attached: AttachedSupervision, wanted: Sequence[Device]) -> dict[DeviceId, DeviceSnapshot]:
    """Ask the acquisition that owns the folder; its answer is the first snapshot with newer values or failures."""
    clock = SystemClock()
    asked_ms = clock.now_ms()
    is_done = threading.Event()

    def is_answered(device: DeviceSnapshot | None) -> bool:
        if device is None:
            return False
        newest_ms = max(device.last_good_ts_ms, device.statistics.last_error_ts_ms)
        return newest_ms >= asked_ms or device.state in (DeviceState.UNREADABLE, DeviceState.DISABLED)

    def listen(snapshot: SiteSnapshot) -> None:
        if all(is_answered(snapshot.devices.get(device.id)) for device in wanted):
            is_done.set()

    leave = attached.subscribe(listen)
    for device in wanted:
        attached.send(ReadNow(device.id))
    is_done.wait(MIN_PATIENCE_S + 2.0 * len(wanted))
    leave()
    latest = attached.latest()
    if latest is None:
        raise EnvironmentFault(
            f"The program that owns the data folder ({attached.owner}) told nothing - try again, or restart it."
        )
    return {device.id: latest.devices[device.id] for device in wanted if device.id in latest.devices}


# --- by ourselves --------------------------------------------------------------------------------------


class _ReadOnce:
    """Listens to a poller until every read group of every wanted device was told once (BusListener)."""

    def __init__(self, board: LiveBoard, line: LineScope) -> None:
        self._board = board
        self._open = {
            (equipped.device.id, point.group)
            for equipped in line.devices
            for point in equipped.profile.points
            if point.quantity is not None and point.group
        }
        self.is_done = asyncio.Event()

    def on_readings(self, readings: GroupReadings) -> None:
        self._board.take(readings)
        self._open.discard((readings.layout.device_id, readings.layout.group))
        self._check()

    def on_device_state(self, device_id: DeviceId, state: DeviceState, detail: str) -> None:
        self._board.set_state(device_id, state, detail)
        if state in (DeviceState.SILENT, DeviceState.GATEWAY_DOWN, DeviceState.UNREADABLE, DeviceState.DISABLED):
            self._open = {(owner, group) for owner, group in self._open if owner != device_id}
            self._check()

    def _check(self) -> None:
        if not self._open:
            self.is_done.set()

    def on_notice(self, notice: Notice) -> None:
        """The state of the device says it, too."""

    def on_notice_cleared(self, key: str) -> None:
        """Nothing was shown."""

    def on_event(self, event: Event) -> None:
        """Nothing is recorded."""


async def _read_lines(folder: SiteFolder, scope: PollingScope, wanted: set[DeviceId]) -> dict[DeviceId, DeviceSnapshot]:
    board = LiveBoard()
    for device_id, state, detail in scope.idle:
        board.place(device_id, state, detail, None)
    lines = [
        replace(line, devices=kept)
        for line in scope.lines
        if (kept := tuple(equipped for equipped in line.devices if equipped.device.id in wanted))
    ]
    await asyncio.gather(*(_read_line(folder, line, board) for line in lines))
    snapshot = board.build(SystemClock().now_ms(), {}, (), 0, 0)
    assert snapshot is not None
    return dict(snapshot.devices)


async def _read_line(folder: SiteFolder, line: LineScope, board: LiveBoard) -> None:
    listener = _ReadOnce(board, line)
    poller = folder.make_poller_factory()(line.gateway, line.devices, listener, SystemClock())
    for equipped in line.devices:
        board.place(equipped.device.id, DeviceState.WAITING, "", poller)
    prediction = predict_cycle(plan_bus(line.gateway, line.devices), line.gateway, line.devices)
    # silent devices are asked twice before they are called so
    patience_s = MIN_PATIENCE_S + 2 * prediction.full_cycle_s + 4 * len(line.devices) * line.gateway.timeout_ms / 1000
    task = asyncio.create_task(poller.run())
    done = asyncio.create_task(listener.is_done.wait())
    await asyncio.wait((task, done), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
    done.cancel()
    task.cancel()
    outcomes = await asyncio.gather(task, done, return_exceptions=True)
    if isinstance(outcomes[0], Exception):
        raise outcomes[0]


# --- what is shown -------------------------------------------------------------------------------------


def describe_readings(
    installation: Installation,
    wanted: Sequence[Device],
    snapshots: dict[DeviceId, DeviceSnapshot],
    zone: ZoneInfo,
) -> dict[str, object]:
    """Everything as JSON-able data; numbers as decimal strings, times with their offset."""
    return {
        "schema": "emdx/read/1",
        "site": installation.site.name,
        "ts": local_time(SystemClock().now_ms(), zone).isoformat(timespec="milliseconds"),
        "devices": [_describe_device(device, snapshots.get(device.id), zone) for device in wanted],
    }


def _describe_device(device: Device, snapshot: DeviceSnapshot | None, zone: ZoneInfo) -> dict[str, object]:
    described: dict[str, object] = {"id": device.id, "name": device.name, "model": device.model}
    if snapshot is None:
        return described | {"state": DeviceState.WAITING.value, "detail": "", "values": []}
    return described | {
        "state": snapshot.state.value,
        "detail": snapshot.detail,
        "values": [_describe_value(id_, live, zone) for id_, live in snapshot.values.items()],
        "unsupported": list(snapshot.unsupported),
    }


def _describe_value(id_: str, live: LiveValue, zone: ZoneInfo) -> dict[str, object]:
    definition = quantity(id_)
    return {
        "quantity": id_,
        "symbol": definition.symbol,
        "value": None if live.value is None else exact_text(id_, live.value),
        "unit": definition.unit,
        "quality": live.quality.name.casefold(),
        "ts": local_time(live.ts_ms, zone).isoformat(timespec="milliseconds") if live.ts_ms else None,
        "detail": live.detail,
    }


def exact_text(quantity_id: str, number: float) -> str:
    """A number in its unit as decimal text: instants with the digits history keeps, others as far as they tell."""
    definition = quantity(quantity_id)
    is_instant = definition.kind is QuantityKind.INSTANT
    with localcontext(prec=_DIGITS):
        step = Decimal(1).scaleb(definition.exponent) if is_instant else _INDEX_STEP
        text = f"{Decimal(repr(number)).quantize(step):f}"
    return text if is_instant else text.rstrip("0").rstrip(".")


def format_device(device: Device, snapshot: DeviceSnapshot | None, zone: ZoneInfo) -> list[str]:
    """A device as lines a person can read."""
    state = snapshot.state.value if snapshot else DeviceState.WAITING.value
    lines = [f"{device.name} ({device.model}): {state}"]
    if snapshot is None:
        return lines
    if snapshot.detail:
        lines.append(f"  {snapshot.detail}")
    for id_, live in snapshot.values.items():
        definition = quantity(id_)
        text = "—" if live.value is None else exact_text(id_, live.value)
        quality = "" if live.quality is Quality.GOOD else f"  {live.quality.name.casefold()} {live.detail}".rstrip()
        when = f"{local_time(live.ts_ms, zone):%H:%M:%S}" if live.ts_ms else "never   "
        lines.append(f"  {definition.symbol:<10} {text:>14} {definition.unit:<5} {when}  {definition.name}{quality}")
    lines += [f"  not offered by the device: {words}" for words in snapshot.unsupported]
    return lines
