"""Clock, batches and a data folder for tests of the writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from emdx_desktop.domain.history import (
    MINUTE_MS,
    DeviceMinute,
    MinuteBatch,
    MinuteLayout,
    SeriesColumn,
)
from emdx_desktop.domain.installation import Installation, Site
from emdx_desktop.domain.quantities import QuantityKind, read_offset_series
from emdx_desktop.domain.readings import DeviceId, Quality

POLLS = 4


def utc_ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type,misc]


class FakeClock:
    """Stands still until told."""

    def __init__(self, now_ms: int) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


def installation(zone: str = "UTC") -> Installation:
    return Installation(Site("Test", zone))


COLUMNS = (
    SeriesColumn("voltage_l1_n", QuantityKind.INSTANT, -2),
    SeriesColumn("active_energy_import", QuantityKind.COUNTER, 0, "energies"),
    SeriesColumn("active_power", QuantityKind.INSTANT, 0),
    SeriesColumn(read_offset_series("energies"), QuantityKind.COUNTER, 0, "energies"),
)
LAYOUTS = {DeviceId(number): MinuteLayout(DeviceId(number), COLUMNS) for number in range(1, 9)}


def voltage(minute: int, device: int) -> int:
    return 23000 + (minute * 7 + device * 13) % 400


def power(minute: int, device: int) -> int:
    return 1000 * device + minute % 97


def count(minute: int, device: int) -> int:
    return minute * 5 + device


def offset_ms(minute: int) -> int:
    return 30_000 + minute % 20_000


def device_minute(minute: int, device: int, quality: Quality = Quality.GOOD) -> DeviceMinute:
    layout = LAYOUTS[DeviceId(device)]
    if quality is not Quality.GOOD:
        nothing = (None,) * 4
        return DeviceMinute(layout, nothing, bytes([quality] * 4), (0,) * 4, nothing, nothing, (0,) * 4)
    volts, watts = voltage(minute, device), power(minute, device)
    return DeviceMinute(
        layout,
        (volts, count(minute, device), watts, offset_ms(minute)),
        bytes(4),
        (POLLS, POLLS, POLLS, POLLS),
        (volts - 50, None, watts - 3, None),
        (volts + 60, None, watts + 5, None),
        (POLLS * volts + 1, 0, POLLS * watts - 1, 0),
    )


def batch(minute: int, devices: Sequence[int] = (1, 2), quality: Quality = Quality.GOOD) -> MinuteBatch:
    return MinuteBatch(minute * MINUTE_MS, tuple(device_minute(minute, device, quality) for device in devices))
