"""What `read`, `collect` and the demo print."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from emdx_desktop.commands.collect import describe_status, format_status
from emdx_desktop.commands.demo import format_table
from emdx_desktop.commands.read import describe_readings, exact_text, format_device
from emdx_desktop.domain.installation import Device, Installation, Site
from emdx_desktop.domain.readings import (
    BusSnapshot,
    DeviceId,
    DeviceSnapshot,
    DeviceState,
    GatewayId,
    LiveValue,
    Notice,
    NoticeLevel,
    Quality,
    RequestStatistics,
    SiteSnapshot,
)

PARIS = ZoneInfo("Europe/Paris")
T0 = 1_790_000_000_000
DEVICE = Device(DeviceId(1), "QF1", "GW1", "m", "p", 1)
OTHER = Device(DeviceId(2), "QF2", "GW1", "m", "p", 2)
INSTALLATION = Installation(Site("Plant", "Europe/Paris"), devices=(DEVICE, OTHER))
SHOWN = DeviceSnapshot(
    DeviceId(1),
    DeviceState.PARTIAL,
    {
        "active_power": LiveValue(345.0, Quality.GOOD, T0),
        "frequency": LiveValue(None, Quality.SENTINEL, 0, "the device says: not available"),
    },
    T0,
    1.0,
    RequestStatistics(),
    ("register 5",),
    "some registers are refused",
)


@pytest.mark.parametrize(
    ("quantity", "number", "text"),
    [
        ("voltage_l1_n", 230.5, "230.50"),
        ("active_power", 345.0, "345"),
        ("frequency", 49.9996, "50.000"),
        ("active_energy_import", 2297050200.0, "2297050200"),
        ("active_energy_import", 100.0, "100"),
        ("operating_time", 26976.269166666665, "26976.269167"),
        ("volume_water", 0.25, "0.25"),
        ("breaker_position", 2.0, "2"),
        ("active_energy_import", 1e15, "1000000000000000"),
        ("active_energy_import", 2.0**64 * 1e6, "18446744073709552000000000"),
    ],
)
def test_number_is_decimal_text(quantity: str, number: float, text: str) -> None:
    assert exact_text(quantity, number) == text


def test_json_has_strings_for_numbers_and_offsets_for_times() -> None:
    described = describe_readings(INSTALLATION, [DEVICE, OTHER], {DeviceId(1): SHOWN}, PARIS)
    first, second = described["devices"]  # type: ignore[misc]  # a list of two
    assert first["values"][0] == {
        "quantity": "active_power",
        "symbol": "P",
        "value": "345",
        "unit": "W",
        "quality": "good",
        "ts": "2026-09-21T16:13:20.000+02:00",
        "detail": "",
    }
    assert (first["values"][1]["value"], first["values"][1]["ts"]) == (None, None)
    assert (second["state"], second["values"]) == ("waiting", [])


def test_text_says_quality_and_what_the_device_refuses() -> None:
    lines = format_device(DEVICE, SHOWN, PARIS)
    assert lines[0] == "QF1 (m): partial"
    assert "16:13:20" in lines[2]
    assert "sentinel the device says: not available" in lines[3]
    assert lines[4] == "  not offered by the device: register 5"
    assert format_device(OTHER, None, PARIS) == ["QF2 (m): waiting"]


def test_status_is_one_line_or_one_json_object() -> None:
    bus = BusSnapshot(GatewayId(1), True, 3.81, 4.0, 0.9, RequestStatistics())
    idle = BusSnapshot(GatewayId(2), False, None, None, None, RequestStatistics())
    snapshot = SiteSnapshot(
        1,
        T0,
        {DeviceId(1): SHOWN},
        {bus.gateway_id: bus, idle.gateway_id: idle},
        (Notice("k", NoticeLevel.WARNING, "words", T0),),
        T0 // 60_000 * 60_000,
        1,
    )
    assert format_status(snapshot, PARIS) == "16:13:20  1/1 devices  2 lines  cycle 3.8 s  saved 16:13"
    status = describe_status(snapshot, PARIS)
    assert status["last_saved"] == "2026-09-21T16:13:00+02:00"
    assert status["lines"] == [
        {"gateway_id": 1, "connected": True, "cycle_s": 3.81},
        {"gateway_id": 2, "connected": False, "cycle_s": None},
    ]
    assert format_table(INSTALLATION, snapshot) == ["  QF1                      on         P       345 W"]
    empty = SiteSnapshot(1, T0, {}, {}, (), 0, 1)
    assert format_status(empty, PARIS) == "16:13:20  0/0 devices  0 lines  nothing saved yet"
    assert describe_status(empty, PARIS)["last_saved"] is None
