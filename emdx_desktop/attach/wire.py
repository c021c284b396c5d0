"""What crosses the local socket: JSON, one message a snapshot or command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from emdx_desktop.attach.plain_form import from_plain, to_plain
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.ports import Command, ReadNow, ReplaceInstallation, SetRetention
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceSnapshot,
    DeviceState,
    GatewayId,
    LiveValue,
    Notice,
    Quality,
    RequestStatistics,
    SiteSnapshot,
)

WIRE_VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024 * 1024

_COMMANDS: Mapping[str, type[Command]] = {
    "read_now": ReadNow,
    "replace_installation": ReplaceInstallation,
    "set_retention": SetRetention,
}


class WireFault(EnvironmentFault):
    """A message that is none of ours."""


def pack_snapshot(snapshot: SiteSnapshot, sent: SiteSnapshot | None) -> bytes:
    """A snapshot as the difference to the one sent before: only devices that are other objects."""
    before = sent.devices if sent is not None else {}
    changed = [_plain_device(device) for id_, device in snapshot.devices.items() if before.get(id_) is not device]
    message = {
        "type": "snapshot",
        "sequence": snapshot.sequence,
        "ts_ms": snapshot.ts_ms,
        "devices": changed,
        "gone": [id_ for id_ in before if id_ not in snapshot.devices],
        "buses": [to_plain(bus) for bus in snapshot.buses.values()],
        "notices": [to_plain(notice) for notice in snapshot.notices],
        "last_saved_minute_ms": snapshot.last_saved_minute_ms,
        "installation_revision": snapshot.installation_revision,
    }
    return json.dumps(message, allow_nan=False, separators=(",", ":")).encode()


def unpack_snapshot(data: bytes, before: SiteSnapshot | None) -> SiteSnapshot:
    """The whole snapshot again; devices that did not change stay the same objects.

    Raises:
        WireFault: The message is none of ours.
    """
    try:
        message = json.loads(data)
        devices = dict(before.devices) if before is not None else {}
        for plain in message["devices"]:
            device = _device_of(plain)
            devices[device.device_id] = device
        for id_ in message["gone"]:
            devices.pop(DeviceId(id_), None)
        buses = [from_plain(BusSnapshot, plain) for plain in message["buses"]]
        return SiteSnapshot(
            message["sequence"],
            message["ts_ms"],
            MappingProxyType(devices),
            MappingProxyType({GatewayId(bus.gateway_id): bus for bus in buses}),
            tuple(from_plain(Notice, plain) for plain in message["notices"]),
            message["last_saved_minute_ms"],
            message["installation_revision"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise WireFault(f"The other program speaks another version ({error}) - start both in the same one.") from error


def pack_command(command: Command) -> bytes:
    """A command as a message."""
    name = next(name for name, kind in _COMMANDS.items() if isinstance(command, kind))
    return json.dumps({"type": name, "content": to_plain(command)}, allow_nan=False).encode()


def unpack_command(data: bytes) -> Command:
    """The command of a message.

    Raises:
        WireFault: The message is none of ours.
    """
    try:
        message = json.loads(data)
        return from_plain(_COMMANDS[message["type"]], message["content"])
    except (ValueError, KeyError, TypeError) as error:
        raise WireFault(f"A command could not be understood ({error}).") from error


def _plain_device(device: DeviceSnapshot) -> dict[str, Any]:
    # by hand, not by to_plain: a site has thousands of live values a second
    return {
        "id": device.device_id,
        "state": device.state.value,
        "values": {
            id_: (live.value, int(live.quality), live.ts_ms, live.detail) for id_, live in device.values.items()
        },
        "last_good_ts_ms": device.last_good_ts_ms,
        "period_s": device.period_s,
        "statistics": to_plain(device.statistics),
        "unsupported": device.unsupported,
        "detail": device.detail,
    }


def _device_of(plain: dict[str, Any]) -> DeviceSnapshot:
    values = {
        id_: LiveValue(value, Quality(quality), ts_ms, detail)
        for id_, (value, quality, ts_ms, detail) in plain["values"].items()
    }
    return DeviceSnapshot(
        DeviceId(plain["id"]),
        DeviceState(plain["state"]),
        MappingProxyType(values),
        plain["last_good_ts_ms"],
        plain["period_s"],
        from_plain(RequestStatistics, plain["statistics"]),
        tuple(plain["unsupported"]),
        plain["detail"],
    )
