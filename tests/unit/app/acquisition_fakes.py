"""Fakes of our own ports for the acquisition tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import MinuteBatch, RetentionPolicy
from emdx_desktop.domain.installation import Device, Gateway, Installation, Link, LinkScheme, Site
from emdx_desktop.domain.ports import BusListener, Clock, EquippedDevice
from emdx_desktop.domain.profiles import (
    DeviceProfile,
    Evidence,
    PointDef,
    Priority,
    ReadGroupDef,
    ValueType,
    WordOrder,
)
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    GatewayId,
    GroupLayout,
    GroupReadings,
    Notice,
    RequestStatistics,
)

T0 = 1_790_000_040_000 // 60_000 * 60_000
QUANTITIES = ("active_power", "active_energy_import", "breaker_position")


class FakeClock:
    """Time moves only when told."""

    def __init__(self, now_ms: int = T0, monotonic_s: float = 1000.0) -> None:
        self.wall_ms = now_ms
        self.mono_s = monotonic_s
        self.asleep_s = 0.0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    def boot_s(self) -> float:
        return self.mono_s + self.asleep_s

    def pass_s(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)
        self.mono_s += seconds

    def sleep_pc_s(self, seconds: float) -> None:
        """Linux: the monotonic clock stands still."""
        self.wall_ms += round(seconds * 1000)
        self.asleep_s += seconds

    def step_s(self, seconds: float) -> None:
        self.wall_ms += round(seconds * 1000)


class FakeWriter:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[MinuteBatch] = []
        self.retention: RetentionPolicy | None = None
        self.installations: list[Installation] = []
        self.refusal: str = ""
        self.notice_list: tuple[Notice, ...] = ()
        self.is_closed = False

    def submit(self, batch: MinuteBatch) -> None:
        self.batches.append(batch)

    def replace_installation(self, installation: Installation) -> Installation:
        if self.refusal:
            raise StorageFault(self.refusal)
        stored = replace(installation, revision=len(self.installations) + 2)
        self.installations.append(stored)
        return stored

    def set_retention(self, policy: RetentionPolicy) -> None:
        self.retention = policy

    def last_saved_minute_ms(self) -> int:
        return max((batch.minute_ms for batch in self.batches), default=0)

    def notices(self) -> tuple[Notice, ...]:
        return self.notice_list

    def close(self) -> None:
        self.is_closed = True


class FakePoller:
    """A line that tells what the test says."""

    def __init__(self, gateway: Gateway, devices: Sequence[EquippedDevice], listener: BusListener) -> None:
        self.gateway = gateway
        self.devices = devices
        self.listener = listener
        self.asked: list[DeviceId] = []
        self.is_running = False
        self.behaviour: Callable[[FakePoller], None] | None = None
        self.layouts = {
            equipped.device.id: GroupLayout(equipped.device.id, "live", QUANTITIES, 0.0) for equipped in devices
        }

    async def run(self) -> None:
        self.is_running = True
        try:
            if self.behaviour is not None:
                self.behaviour(self)
            await asyncio.Event().wait()
        finally:
            self.is_running = False

    def tell(
        self, ts_ms: int, power_w: float | None, count: int | None, state: int | None = 1, quality: int = 0
    ) -> None:
        for layout in self.layouts.values():
            codes = bytes([quality if value is None else 0 for value in (power_w, count, state)])
            self.listener.on_readings(
                GroupReadings(layout, ts_ms, (power_w, count, state), codes, (None, Fraction(10), None))
            )

    def read_now(self, device_id: DeviceId) -> None:
        self.asked.append(device_id)

    def snapshot(self) -> BusSnapshot:
        return BusSnapshot(self.gateway.id, self.is_running, 1.0, 1.0, 0.5, RequestStatistics())

    def device_statistics(self, device_id: DeviceId) -> RequestStatistics:
        return RequestStatistics()

    def device_period_s(self, device_id: DeviceId) -> float | None:
        return 1.0

    def unsupported(self, device_id: DeviceId) -> tuple[str, ...]:
        return ()


class FakePollers:
    """Makes fake pollers and remembers them by gateway name, newest last."""

    def __init__(self, behaviour: Callable[[FakePoller], None] | None = None) -> None:
        self.made: list[FakePoller] = []
        self.behaviour = behaviour
        self.has_started = threading.Event()

    def __call__(
        self, gateway: Gateway, devices: Sequence[EquippedDevice], listener: BusListener, clock: Clock
    ) -> FakePoller:
        poller = FakePoller(gateway, devices, listener)
        poller.behaviour = self.behaviour
        self.made.append(poller)
        self.has_started.set()
        return poller

    def of(self, name: str) -> list[FakePoller]:
        return [poller for poller in self.made if poller.gateway.name == name]


def make_point(quantity: str, modulus: int | None = None) -> PointDef:
    return PointDef(
        quantity, quantity, quantity, 0, "1", 2, ValueType.U32, 3, Fraction(1), "live", Evidence.OFFICIAL, "test",
        modulus=modulus,
    )  # fmt: skip


def make_profile(id_: str, evidence: Evidence = Evidence.OFFICIAL) -> DeviceProfile:
    return DeviceProfile(
        id_, "Maker", (), "Family", "Model", "test", {}, evidence, WordOrder.HIGH_FIRST, False, None, None, 125, False,
        (), 0, 50, 1, (ReadGroupDef("live", Priority.LIVE),),
        (make_point("active_power"), make_point("active_energy_import", 2**32)), {},
    )  # fmt: skip


CATALOGUE = ProfileCatalogue({"meter": make_profile("meter"), "secret": make_profile("secret", Evidence.SIMULATION)})


def make_gateway(number: int) -> Gateway:
    return Gateway(GatewayId(number), f"GW{number}", Link(LinkScheme.TCP, f"10.0.0.{number}", 502))


def make_device(number: int, gateway: str = "GW1", profile_id: str = "meter") -> Device:
    return Device(DeviceId(number), f"QF{number}", gateway, "model", profile_id, number)


def make_installation(*devices: Device, gateways: int = 2) -> Installation:
    return Installation(
        Site("Plant", "Europe/Paris"), (), tuple(make_gateway(n + 1) for n in range(gateways)), devices, revision=1
    )
