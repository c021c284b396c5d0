"""A site without meters: the ports of the domain, faked with its own dataclasses."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import (
    CounterEpoch,
    CountSeries,
    Event,
    GapRun,
    MinuteSeries,
    Resolution,
    RollupSeries,
    SeriesColumn,
    SeriesInfo,
    StateChange,
    StorageReport,
)
from emdx_desktop.domain.installation import (
    Device,
    Gateway,
    Installation,
    LineSettings,
    Link,
    LinkScheme,
    Panel,
    Site,
)
from emdx_desktop.domain.ports import Command
from emdx_desktop.domain.profiles import (
    DeviceProfile,
    Evidence,
    PointDef,
    Priority,
    ReadGroupDef,
    ValueType,
    WordOrder,
)
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
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

MINUTE_MS = 60_000
NOW_MS = int(datetime(2026, 11, 19, 13, 37, 24, tzinfo=UTC).timestamp() * 1000)
ZONE = "Europe/Paris"

LIVE_VALUES = {
    "voltage_l1_n": 231.42,
    "voltage_l2_n": 230.18,
    "voltage_l3_n": 232.04,
    "voltage_l12": 399.81,
    "current_l1": 325.613,
    "current_l2": 311.7,
    "current_l3": 321.6,
    "current_n": 21.4,
    "active_power": 208_400.0,
    "active_power_l1": 70_900.0,
    "active_power_l2": 67_300.0,
    "active_power_l3": 70_200.0,
    "reactive_power": 75_600.0,
    "apparent_power": 221_700.0,
    "power_factor": 0.94,
    "frequency": 50.012,
    "thd_voltage_l1": 3.6,
    "active_energy_import": 1_521_228_600.0,
    "operating_time": 18_412.0,
}
POWERS_W = {1: 208_400.0, 2: 14_900.0, 3: 33_800.0, 4: 41_600.0, 5: -9_200.0}


def make_profile() -> DeviceProfile:
    """A meter with what the tests need; no real device's table."""
    points = []
    for number, id_ in enumerate((*LIVE_VALUES, "breaker_position", "residual_current")):
        is_counter = QUANTITIES[id_].kind is QuantityKind.COUNTER
        group = "energy" if is_counter else "slow" if id_.startswith("thd") else "live"
        points.append(
            PointDef(
                key=id_,
                quantity=id_,
                label=id_,
                address=2 * number,
                document_register=str(2 * number),
                words=2,
                value_type=ValueType.U32,
                function_code=3,
                scale=Fraction(100) if is_counter else Fraction(1),
                group=group,
                evidence=Evidence.OFFICIAL,
                source="test",
            )
        )
    return DeviceProfile(
        id="test-meter",
        maker="Maker",
        catalogue_numbers=("0 000 01",),
        family="Meters",
        model="Meter 3",
        source="test",
        sources={"test": "test"},
        evidence=Evidence.OFFICIAL,
        word_order=WordOrder.HIGH_FIRST,
        is_byte_swapped=False,
        serial=None,
        unit_id_default=None,
        max_registers=125,
        needs_even_count=False,
        readable=(),
        pause_ms=0,
        response_ms=20,
        units=1,
        groups=(
            ReadGroupDef("live", Priority.LIVE),
            ReadGroupDef("energy", Priority.MINUTE),
            ReadGroupDef("slow", Priority.SLOW),
        ),
        points=tuple(points),
        scale_rules={},
    )


def make_installation(revision: int = 1) -> Installation:
    """Two panels, two lines, seven devices."""

    def device(number: int, name: str, gateway: str, **more: object) -> Device:
        return Device(DeviceId(number), name, gateway, "0 000 01", "test-meter", number + 4, **more)  # type: ignore[arg-type]

    def gateway(number: int, name: str, panel: str) -> Gateway:
        link = Link(LinkScheme.TCP, f"192.168.1.{99 + number}", 502)
        return Gateway(GatewayId(number), name, link, panel=panel, line=LineSettings())

    return Installation(
        site=Site("North plant", ZONE),
        panels=(Panel("Main panel"), Panel("Workshop panel"), Panel("Water, gas")),
        gateways=(
            gateway(1, "GW1", "Main panel"),
            gateway(2, "GW2", "Workshop panel"),
            gateway(3, "GW3", "Water, gas"),
        ),
        devices=(
            device(1, "QF0 Incomer", "GW1", circuit="Incomer"),
            device(2, "QF1 Lighting", "GW1", fed_by="QF0 Incomer"),
            device(3, "QF2 HVAC roof unit", "GW1", fed_by="QF0 Incomer"),
            device(4, "QF3 Compressed air", "GW2"),
            device(5, "PV inverter", "GW2"),
            device(6, "QF12 Welding", "GW2"),
            device(7, "Cold water", "GW3"),
            device(8, "Old meter", "GW1", is_archived=True),
        ),
        revision=revision,
    )


def make_device_snapshot(number: int, ts_ms: int = NOW_MS, shift: float = 0.0) -> DeviceSnapshot:
    """A device that answers, except number 6."""
    statistics = RequestStatistics(
        requests=9214,
        good=9201,
        errors={FaultKind.TIMEOUT: 11, FaultKind.CRC: 2},
        latency_histogram=(0, 0, 120, 4800, 4000, 200, 60, 20, 1, 0, 0, 0, 0, 0, 0, 0),
        last_error="no answer within 1000 ms",
        last_error_ts_ms=ts_ms - 600_000,
    )
    if number == 6:
        return DeviceSnapshot(
            DeviceId(6),
            DeviceState.SILENT,
            {"active_power": LiveValue(1200.0, Quality.TIMEOUT, ts_ms - 3_600_000, "no answer")},
            ts_ms - 3_600_000,
            None,
            replace(statistics, good=9000),
            detail=(
                "QF12 Welding does not answer since 13:37. Its counter goes on: nothing is lost, only late. "
                "Check the meter's supply and RS485 plug, address 10."
            ),
        )
    if number == 7:
        values = {
            "volume_flow_water": LiveValue(0.4, Quality.GOOD, ts_ms - 1900),
            "volume_water": LiveValue(1234.567, Quality.GOOD, ts_ms - 1900),
        }
        return DeviceSnapshot(DeviceId(7), DeviceState.ANSWERING, values, ts_ms - 1900, 3.8, statistics)
    values = {id_: LiveValue(value + shift, Quality.GOOD, ts_ms - 1900) for id_, value in LIVE_VALUES.items()}
    values["active_power"] = LiveValue(POWERS_W[number] + shift, Quality.GOOD, ts_ms - 1900)
    values["operating_time"] = LiveValue(18_412.0, Quality.GOOD, ts_ms - 400_000)
    values["power_factor"] = LiveValue(0.94, Quality.IMPLAUSIBLE, ts_ms - 60_000, "outside -1 to 1")
    values["breaker_position"] = LiveValue(1 if number != 3 else 0, Quality.GOOD, ts_ms - 1900)
    return DeviceSnapshot(
        DeviceId(number),
        DeviceState.ANSWERING,
        values,
        ts_ms - 1900,
        3.8,
        statistics,
        unsupported=("Residual current: register C5A0h is refused (illegal address)",) if number == 1 else (),
    )


def make_snapshot(
    sequence: int = 1,
    *,
    ts_ms: int = NOW_MS,
    shift: float = 0.0,
    before: SiteSnapshot | None = None,
    changed: Sequence[int] = (),
    notices: tuple[Notice, ...] = (),
    revision: int = 1,
) -> SiteSnapshot:
    """A snapshot; with `before`, devices that are not in `changed` are the very same objects."""
    devices: Mapping[DeviceId, DeviceSnapshot]
    if before is None:
        devices = {DeviceId(n): make_device_snapshot(n, ts_ms, shift) for n in range(1, 8)}
    else:
        devices = dict(before.devices) | {DeviceId(n): make_device_snapshot(n, ts_ms, shift) for n in changed}
    buses = {GatewayId(n): BusSnapshot(GatewayId(n), True, 3.8, 3.7, 0.8, RequestStatistics()) for n in (1, 2, 3)}
    return SiteSnapshot(sequence, ts_ms, devices, buses, notices, ts_ms - ts_ms % MINUTE_MS - MINUTE_MS, revision)


class FakePort:
    """Snapshots from any thread, commands kept; `run` blocks until `stop`."""

    def __init__(self, snapshot: SiteSnapshot | None = None) -> None:
        self._latest = snapshot
        self._listeners: list[Callable[[SiteSnapshot], None]] = []
        self._stopped = threading.Event()
        self.started = threading.Event()
        self.commands: list[Command] = []
        self.command_fault: Exception | None = None
        self.run_fault: Exception | None = None
        self.log: list[str] = []

    @property
    def listener_count(self) -> int:
        return len(self._listeners)

    def subscribe(self, listener: Callable[[SiteSnapshot], None]) -> Callable[[], None]:
        self._listeners.append(listener)

        def leave() -> None:
            self.log.append("unsubscribed")
            self._listeners.remove(listener)

        return leave

    def latest(self) -> SiteSnapshot | None:
        return self._latest

    def send(self, command: Command) -> None:
        if self.command_fault is not None:
            raise self.command_fault
        self.commands.append(command)

    def post(self, snapshot: SiteSnapshot) -> None:
        self._latest = snapshot
        for listener in tuple(self._listeners):
            listener(snapshot)

    def run(self) -> None:
        self.started.set()
        if self.run_fault is not None:
            raise self.run_fault
        self._stopped.wait(10)
        self.log.append("run ended")

    def stop(self) -> None:
        self.log.append("stop")
        self._stopped.set()


def day_shape(ts_s: np.ndarray) -> np.ndarray:
    """A load with a day in it, W."""
    hour = (ts_s / 3600 + 1) % 24
    ripple = 4000 * np.sin(ts_s / 411.0) + 2500 * np.sin(ts_s / 97.0)
    return 45_000 + 160_000 * np.clip(np.sin((hour - 5.5) / 13 * math.pi), 0, 1) + ripple


class FakeReader:
    """History computed on the fly; faults can be switched on."""

    def __init__(self, installation: Installation | None) -> None:
        self.installation = installation
        self.fault: StorageFault | None = None
        self.gate: threading.Event | None = None
        self.first_ms = NOW_MS - 400 * 86_400_000
        self.last_ms = NOW_MS - NOW_MS % MINUTE_MS
        self.calls: list[tuple[str, str]] = []
        # minutes in which device 1 did not answer: 03:10 to 03:42 local, this morning
        start_ms = self.last_ms - 10 * 3_600_000 - 27 * MINUTE_MS
        self.gap = (start_ms, start_ms + 32 * MINUTE_MS)

    def _enter(self, call: str, quantity: str = "") -> None:
        self.calls.append((call, quantity))
        if self.gate is not None:
            self.gate.wait(10)
        if self.fault is not None:
            raise self.fault

    def load_installation(self) -> Installation | None:
        self._enter("installation")
        return self.installation

    def load_minutes(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> MinuteSeries:
        self._enter("minutes", quantity)
        start_ms = max(start_ms - start_ms % MINUTE_MS, self.first_ms - self.first_ms % MINUTE_MS)
        end_ms = min(end_ms, self.last_ms)
        ts_ms = np.arange(start_ms, max(start_ms, end_ms), MINUTE_MS)
        values = self._values(device_id, quantity, ts_ms)
        qualities = np.zeros(len(ts_ms), dtype=np.uint8)
        if quantity.startswith("thd"):
            not_due = (ts_ms // MINUTE_MS) % 10 != 0
            qualities[not_due] = Quality.NOT_DUE
        in_gap = (ts_ms >= self.gap[0]) & (ts_ms < self.gap[1])
        qualities[in_gap] = Quality.TIMEOUT
        values[qualities != 0] = np.nan
        return MinuteSeries(start_ms, values, qualities)

    @staticmethod
    def _values(device_id: DeviceId, quantity: str, ts_ms: np.ndarray) -> np.ndarray:
        load = day_shape(ts_ms / 1000.0)
        if quantity.startswith("voltage"):
            return 234.0 - load / 50_000 + np.sin(ts_ms / 333_000.0)
        if quantity.startswith("thd"):
            return 3.0 + load / 200_000
        return load / (1 + 3 * (int(device_id) - 1))

    def load_counts(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> CountSeries:
        self._enter("counts", quantity)
        start_ms = max(start_ms, self.first_ms)
        ts_ms = np.arange(start_ms - start_ms % MINUTE_MS, min(end_ms, self.last_ms), MINUTE_MS, dtype=np.int64)
        counts = ((ts_ms - self.first_ms) // 36_000).astype(np.int64)  # 100 counts an hour
        epoch = CounterEpoch(device_id, quantity, self.first_ms, 0, Fraction(100), None, "start")
        return CountSeries(ts_ms, counts, (epoch,))

    def load_rollup(
        self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int, resolution: Resolution
    ) -> RollupSeries:
        self._enter("rollup", quantity)
        step_ms = 3_600_000 if resolution is Resolution.HOUR else 86_400_000
        start_ms = max(start_ms, self.first_ms)
        ts_ms = np.arange(start_ms - start_ms % step_ms, min(end_ms, self.last_ms), step_ms, dtype=np.int64)
        means = self._values(device_id, quantity, ts_ms)
        polls = np.full(len(ts_ms), 900)
        return RollupSeries(ts_ms, means * 0.93, means, means * 1.07, polls, polls // 15)

    def load_device_day(self, device_id: DeviceId, day_start_ms: int) -> Mapping[str, MinuteSeries]:
        return {}

    def load_gaps(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> Sequence[GapRun]:
        self._enter("gaps", quantity)
        if quantity.startswith("thd") or self.gap[1] <= start_ms or self.gap[0] >= end_ms:
            return ()
        return (GapRun(self.gap[0], self.gap[1], Quality.TIMEOUT),)

    def load_states(self, device_id: DeviceId, quantity: str, start_ms: int, end_ms: int) -> Sequence[StateChange]:
        return ()

    def load_events(self, start_ms: int, end_ms: int) -> Sequence[Event]:
        return ()

    def series(self, device_id: DeviceId | None = None) -> Sequence[SeriesInfo]:
        self._enter("series")
        ids = ("active_power", "voltage_l1_n", "voltage_l2_n", "thd_voltage_l1", "active_energy_import")
        return (
            *tuple(
                SeriesInfo(
                    DeviceId(number),
                    SeriesColumn(id_, QUANTITIES[id_].kind, QUANTITIES[id_].exponent),
                    self.first_ms,
                    self.last_ms,
                )
                for number in range(1, 7)
                for id_ in ids
            ),
            SeriesInfo(
                DeviceId(1), SeriesColumn("read_offset_ms.energy", QuantityKind.INSTANT, 0), self.first_ms, self.last_ms
            ),
        )

    def storage_report(self) -> StorageReport:
        return StorageReport((), 0, 0, None, None, None, 0)

    def close(self) -> None:
        pass


NOTICES = (
    Notice(
        "disk",
        NoticeLevel.WARNING,
        "The disk is almost full: 1.2 GB left. Recording stops in about 9 days. Free some space or move the folder.",
        NOW_MS,
    ),
    Notice("clock", NoticeLevel.INFO, "The clock was set back by 4 s. Minutes stay as written. Nothing to do.", NOW_MS),
)
