"""Polls simulated lines with the program's own pollers and notes when each device answered."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.domain.history import Event
from emdx_desktop.domain.installation import Device, Gateway, LineSettings, Link
from emdx_desktop.domain.ports import BusPoller, EquippedDevice
from emdx_desktop.domain.readings import DeviceId, DeviceState, GatewayId, GroupReadings, Notice
from emdx_desktop.modbus.bus_poller import ModbusBusPoller
from emdx_desktop.simulator.bench_profile import bench_profile


@dataclass
class AnswerTimes:
    """A `BusListener` that keeps the monotonic moment of every good answer, by device."""

    good_s: dict[DeviceId, list[float]] = field(default_factory=lambda: defaultdict(list))
    bad: dict[DeviceId, int] = field(default_factory=lambda: defaultdict(int))

    def on_readings(self, readings: GroupReadings) -> None:
        """Note it."""
        if any(readings.qualities):
            self.bad[readings.layout.device_id] += 1
        else:
            self.good_s[readings.layout.device_id].append(time.monotonic())

    def on_device_state(self, device_id: DeviceId, state: DeviceState, detail: str) -> None:
        """Not measured."""

    def on_notice(self, notice: Notice) -> None:
        """Not measured."""

    def on_notice_cleared(self, key: str) -> None:
        """Not measured."""

    def on_event(self, event: Event) -> None:
        """Not measured."""

    def mean_period_s(self, device_id: DeviceId, after_s: float = 0.0) -> float:
        """Mean time from one good answer to the next."""
        times = [moment for moment in self.good_s[device_id] if moment >= after_s]
        return (times[-1] - times[0]) / (len(times) - 1)


def equip_line(
    link: Link, number: int, devices: int, registers: int, baud: int, timeout_ms: int = 1000
) -> tuple[Gateway, list[EquippedDevice]]:
    """A gateway with bench devices at unit ids from 1; device ids are 1000 × line + unit."""
    profile = bench_profile(registers)
    gateway = Gateway(GatewayId(number), f"GW{number}", link, line=LineSettings(baud=baud), timeout_ms=timeout_ms)
    equipped = [
        EquippedDevice(
            Device(DeviceId(1000 * number + unit), f"D{number}-{unit}", gateway.name, profile.id, profile.id, unit),
            profile,
        )
        for unit in range(1, devices + 1)
    ]
    return gateway, equipped


async def poll_for(
    lines: Sequence[tuple[Gateway, Sequence[EquippedDevice]]], seconds: float
) -> tuple[AnswerTimes, list[BusPoller]]:
    """Poll all lines at once for a while."""
    times = AnswerTimes()
    pollers = [ModbusBusPoller(gateway, devices, times, SystemClock()) for gateway, devices in lines]
    tasks = [asyncio.create_task(poller.run()) for poller in pollers]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return times, pollers
