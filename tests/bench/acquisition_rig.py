"""Acquisition and writer put together as `collect` does it, with bench devices, on a clock that may run faster."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from polled_lines import equip_line

from emdx_desktop.app.runtime import AcquisitionRuntime
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.installation import Gateway, Installation, Link, Site
from emdx_desktop.domain.ports import BusListener, BusPollerFactory, Clock, EquippedDevice
from emdx_desktop.domain.profiles import Priority
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceState,
    GroupLayout,
    GroupReadings,
    RequestStatistics,
)
from emdx_desktop.simulator.bench_profile import bench_profile
from emdx_desktop.storage.history_writer import SqliteHistoryWriter, open_writer

REGISTERS = 120


class FastClock:
    """Wall and monotonic time that both run `factor` times as fast as the PC's."""

    def __init__(self, factor: float = 1.0, start_ms: int | None = None) -> None:
        self._factor = factor
        self._start_s = time.monotonic()
        self._start_ms = time.time_ns() // 1_000_000 if start_ms is None else start_ms

    def monotonic_s(self) -> float:
        """Seconds."""
        return self._start_s + self._factor * (time.monotonic() - self._start_s)

    def now_ms(self) -> int:
        """UTC, epoch milliseconds."""
        return self._start_ms + int(1000 * self._factor * (time.monotonic() - self._start_s))


class ScriptedPoller:
    """A poller without a line: good readings of every device, each `period_s` of the clock."""

    def __init__(
        self,
        gateway: Gateway,
        devices: Sequence[EquippedDevice],
        listener: BusListener,
        clock: Clock,
        period_s: float,
        real_period_s: float,
    ) -> None:
        self._gateway = gateway
        self._devices = devices
        self._listener = listener
        self._clock = clock
        self._period_s = period_s
        self._real_period_s = real_period_s
        self._layouts: list[tuple[GroupLayout, tuple[Fraction | None, ...]]] = []
        for equipped in devices:
            quantities = tuple(point.quantity for point in equipped.profile.points if point.quantity)
            factors = tuple(
                Fraction(1) if QUANTITIES[quantity].kind is QuantityKind.COUNTER else None for quantity in quantities
            )
            self._layouts.append((GroupLayout(equipped.device.id, "live", quantities, 0.0), factors))

    async def run(self) -> None:
        """Tell readings for ever."""
        for equipped in self._devices:
            self._listener.on_device_state(equipped.device.id, DeviceState.ANSWERING, "")
        due_s = self._clock.monotonic_s()
        while True:
            for layout, factors in self._layouts:
                self._listener.on_readings(self._make(layout, factors))
            due_s += self._period_s
            late_s = self._clock.monotonic_s() - due_s
            await asyncio.sleep(max(0.0, self._real_period_s * (1 - late_s / self._period_s)))

    def _make(self, layout: GroupLayout, factors: tuple[Fraction | None, ...]) -> GroupReadings:
        now_ms = self._clock.now_ms()
        swing = 1 + 0.1 * math.sin(now_ms / 300_000 + layout.device_id)
        values = tuple(
            now_ms // 1000 % 1_000_000_000 if factor is not None else (100 + column) * swing
            for column, factor in enumerate(factors)
        )
        return GroupReadings(layout, now_ms, values, bytes(len(values)), factors)

    def read_now(self, device_id: DeviceId) -> None:
        """Nothing to hurry."""

    def snapshot(self) -> BusSnapshot:
        """A line that is fine."""
        return BusSnapshot(self._gateway.id, True, self._period_s, self._period_s, 0.5, RequestStatistics())

    def device_statistics(self, device_id: DeviceId) -> RequestStatistics:
        """None kept."""
        return RequestStatistics()

    def device_period_s(self, device_id: DeviceId) -> float | None:
        """As told."""
        return self._period_s

    def unsupported(self, device_id: DeviceId) -> tuple[str, ...]:
        """Nothing is refused."""
        return ()


def bench_installation(links: Sequence[Link], devices: int, baud: int) -> Installation:
    """A site of equal lines of bench devices."""
    lines = [equip_line(link, number, devices, REGISTERS, baud) for number, link in enumerate(links, 1)]
    return Installation(
        Site("Bench", "Europe/Paris"),
        gateways=tuple(gateway for gateway, _ in lines),
        devices=tuple(equipped.device for _, line in lines for equipped in line),
    )


def bench_runtime(
    folder: Path,
    installation: Installation,
    make_poller: BusPollerFactory,
    clock: Clock,
    on_saved: Callable[[int], None] | None = None,
    beat_s: float = 0.25,
) -> tuple[AcquisitionRuntime, SqliteHistoryWriter]:
    """Acquisition into a data folder. Run it, stop it, then close the writer."""
    profile = bench_profile(REGISTERS)
    assert profile.groups[0].priority is Priority.LIVE
    writer = open_writer(folder, clock, on_saved, purpose="bench")
    stored = writer.replace_installation(installation)
    catalogue = ProfileCatalogue({profile.id: profile})
    return AcquisitionRuntime(stored, catalogue, make_poller, writer, clock, beat_s=beat_s), writer
