"""Which lines and devices of an installation are polled, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.installation import Gateway, Installation
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.readings import DeviceId, DeviceState


@dataclass(frozen=True, slots=True)
class LineScope:
    """A gateway with the devices that are read through it; two equal ones need no restart."""

    gateway: Gateway
    devices: tuple[EquippedDevice, ...]


@dataclass(frozen=True, slots=True)
class PollingScope:
    """What is polled, and what is shown without being polled."""

    lines: tuple[LineScope, ...]
    idle: tuple[tuple[DeviceId, DeviceState, str], ...]


def find_polling_scope(
    installation: Installation, catalogue: ProfileCatalogue, *, polls_simulated_profiles: bool = False
) -> PollingScope:
    """Sort the devices of an installation.

    Args:
        installation: All gateways and devices; archived devices are left out.
        catalogue: Profiles.
        polls_simulated_profiles: Also read models whose register table is made up (the simulated building only).
    """
    idle: list[tuple[DeviceId, DeviceState, str]] = []
    lines: list[LineScope] = []
    for gateway in installation.gateways:
        equipped: list[EquippedDevice] = []
        for device in installation.devices:
            if device.gateway != gateway.name or device.is_archived:
                continue
            profile = catalogue.profiles.get(device.profile_id)
            if not (gateway.is_enabled and device.is_enabled):
                what = "device" if gateway.is_enabled else "gateway"
                idle.append((device.id, DeviceState.DISABLED, f"The {what} is switched off in the installation."))
            elif profile is None:
                idle.append(
                    (
                        device.id,
                        DeviceState.UNREADABLE,
                        f'The profile "{device.profile_id}" is missing or broken - the device is not read - '
                        "repair the profile or choose another model.",
                    )
                )
            elif profile.is_simulation_only and not polls_simulated_profiles:
                idle.append(
                    (
                        device.id,
                        DeviceState.UNREADABLE,
                        f"The maker's register table of {device.model} is not public - the device is not read - "
                        "import its table first.",
                    )
                )
            else:
                equipped.append(EquippedDevice(device, profile))
        if equipped:
            lines.append(LineScope(gateway, tuple(equipped)))
    return PollingScope(tuple(lines), tuple(idle))
