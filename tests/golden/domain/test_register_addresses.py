"""Addresses and scales copied by hand from the makers' tables, against the profiles that are shipped.

A profile made from a wrong column would pass every test that reads it back through itself.
"""

from fractions import Fraction
from pathlib import Path

import pytest

from emdx_desktop.domain.profiles import Priority
from emdx_desktop.modbus.profile_loader import load_profile

DEVICES = Path(__file__).parents[3] / "resources" / "devices"

ROWS: list[tuple[str, str, int, int, str, str | None]] = [
    # profile, quantity, function code, address, type, base units per count
    # Legrand, ModbusTable LGR EN v1.01: 0.01 V, 0.01 Hz, mA, 0.01 kW, kWh, MWh, 0.1 %
    ("legrand-0146-68", "voltage_l12", 3, 0xC552, "u32", "1/100"),
    ("legrand-0146-68", "voltage_l1_n", 3, 0xC558, "u32", "1/100"),
    ("legrand-0146-68", "frequency", 3, 0xC55E, "u32", "1/100"),
    ("legrand-0146-68", "current_l1", 3, 0xC560, "u32", "1/1000"),
    ("legrand-0146-68", "current_n", 3, 0xC566, "u32", "1/1000"),
    ("legrand-0146-68", "active_power", 3, 0xC568, "s32", "10"),
    ("legrand-0146-68", "reactive_power", 3, 0xC56A, "s32", "10"),
    ("legrand-0146-68", "apparent_power", 3, 0xC56C, "s32", "10"),
    ("legrand-0146-68", "power_factor", 3, 0xC56E, "s32", "1/1000"),
    ("legrand-0146-68", "active_power_l3", 3, 0xC574, "s32", "10"),
    ("legrand-0146-68", "power_factor_l3", 3, 0xC586, "s32", "1/1000"),
    ("legrand-0146-68", "active_energy_import_partial", 3, 0xC65C, "u32", "1000"),
    ("legrand-0146-68", "reactive_energy_import_partial", 3, 0xC65E, "u32", "1000"),
    ("legrand-0146-68", "active_power_demand_max", 3, 51078, "u32", "10"),
    ("legrand-0146-68", "active_energy_import", 3, 0xC86F, "u16", "1000000"),  # Ea+, Er+, Ea-, Er-: not in pairs
    ("legrand-0146-68", "active_energy_export", 3, 0xC871, "u16", "1000000"),
    ("legrand-0146-68", "thd_current_n", 3, 0xC959, "u16", "1/10"),
    ("legrand-0146-68", "short_voltage_l12", 3, 51281, "u16", "1/100"),
    ("legrand-0146-68", "short_active_power", 3, 0xC85C, "s16", "10"),
    # Legrand 412045 / BTicino F4N200 / IME PR 106: mV, mA, 0.1 Hz, 0.01
    ("legrand-412045", "voltage_l1_n", 3, 0x1000, "u32", "1/1000"),
    ("legrand-412045", "current_l1", 3, 0x1006, "u32", "1/1000"),
    ("legrand-412045", "voltage_l12", 3, 0x100E, "u32", "1/1000"),
    ("legrand-412045", "active_power", 3, 0x1014, "u32", None),
    ("legrand-412045", "sign_of_active_power", 3, 0x101A, "u16", "1"),
    ("legrand-412045", "active_energy_import", 3, 0x101C, "u32", None),
    ("legrand-412045", "reactive_energy_import", 3, 0x101E, "u32", None),
    ("legrand-412045", "active_energy_export", 3, 0x1020, "u32", None),
    ("legrand-412045", "reactive_energy_export", 3, 0x1022, "u32", None),
    ("legrand-412045", "power_factor", 3, 0x1024, "s16", "1/100"),
    ("legrand-412045", "frequency", 3, 0x1026, "u16", "1/10"),
    ("legrand-412045", "ct_ratio", 3, 4608, "u16", "1"),
    ("ime-1000h", "vt_ratio", 3, 0x1201, "u16", "1/100"),
    ("ime-1000h-96x96", "vt_ratio", 3, 0x1207, "u16", "1/100"),
    # Legrand guide and IME Conto D2
    ("legrand-004677", "voltage_l1_n", 3, 0x2000, "u32", "1/1000"),
    ("legrand-004677", "active_power", 3, 8196, "u32", None),
    ("legrand-004677", "power_factor", 3, 8199, "s16", "1/100"),
    ("legrand-004677", "active_energy_import_partial", 3, 0x200C, "u32", None),
    ("legrand-004677", "operating_time", 3, 8206, "u32", "1/3600"),
    # Socomec common table as OpenEMS reads E27/E28: mHz, 10 W, 10 Wh
    ("socomec-countis-e27-e28", "frequency", 3, 0xC55E, "u32", "1/1000"),
    ("socomec-countis-e27-e28", "active_power", 3, 0xC568, "s32", "10"),
    ("socomec-countis-e27-e28", "active_energy_import", 3, 0xC702, "u32", "10"),
    ("socomec-countis-e27-e28", "reactive_energy_import", 3, 0xC704, "u32", "10"),
    ("socomec-countis-e27-e28", "active_energy_export", 3, 0xC708, "u32", "10"),
    # Eastron SDM630 protocol V1.7: input registers 30001 and on
    ("eastron-sdm630", "voltage_l1_n", 4, 0, "float32", "1"),
    ("eastron-sdm630", "active_power", 4, 30053 - 30001, "float32", "1"),
    ("eastron-sdm630", "power_factor", 4, 30063 - 30001, "float32", "1"),
    ("eastron-sdm630", "frequency", 4, 30071 - 30001, "float32", "1"),
    ("eastron-sdm630", "active_energy_import", 4, 30073 - 30001, "float32", "1000"),
    ("eastron-sdm630", "active_energy_export", 4, 30075 - 30001, "float32", "1000"),
    ("eastron-sdm630", "voltage_l12", 4, 0xC8, "float32", "1"),
    ("eastron-sdm630", "thd_voltage_l12", 4, 0x14E, "float32", "1"),
    # Carlo Gavazzi EM300/ET300 protocol V2R9: V x 10, A x 1000, W x 10, PF x 1000, Hz x 10, kWh x 10
    ("carlo-gavazzi-em340", "voltage_l1_n", 4, 0x0000, "s32", "1/10"),
    ("carlo-gavazzi-em340", "current_l1", 4, 0x000C, "s32", "1/1000"),
    ("carlo-gavazzi-em340", "active_power", 4, 0x0028, "s32", "1/10"),
    ("carlo-gavazzi-em340", "power_factor", 4, 0x0031, "s16", "1/1000"),
    ("carlo-gavazzi-em340", "frequency", 4, 0x0033, "s16", "1/10"),
    ("carlo-gavazzi-em340", "active_energy_import", 4, 0x0034, "s32", "100"),
    ("carlo-gavazzi-em340", "active_energy_export", 4, 0x004E, "s32", "100"),
    ("carlo-gavazzi-em340", "identification_code", 3, 0x000B, "u16", "1"),
]


@pytest.mark.parametrize(("profile_id", "key", "function_code", "address", "value_type", "scale"), ROWS)
def test_a_row_is_where_the_document_puts_it(
    profile_id: str, key: str, function_code: int, address: int, value_type: str, scale: str | None
) -> None:
    point = load_profile(DEVICES / f"{profile_id}.toml").point(key)
    assert (point.function_code, point.address, point.value_type.value) == (function_code, address, value_type)
    assert point.scale == (None if scale is None else Fraction(scale))


@pytest.mark.parametrize(
    ("profile_id", "max_registers", "needs_even_count", "word_order"),
    [
        ("legrand-0146-68", 125, False, "high_first"),
        ("eastron-sdm630", 80, True, "high_first"),
        ("carlo-gavazzi-em340", 50, False, "low_first"),
    ],
)
def test_limits_of_one_read_are_those_of_the_document(
    profile_id: str, max_registers: int, needs_even_count: bool, word_order: str
) -> None:
    profile = load_profile(DEVICES / f"{profile_id}.toml")
    assert (profile.max_registers, profile.needs_even_count) == (max_registers, needs_even_count)
    assert profile.word_order == word_order


@pytest.mark.parametrize("path", sorted(DEVICES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_device_has_something_to_show_at_once(path: Path) -> None:
    profile = load_profile(path)
    live = {group.name for group in profile.groups if group.priority is Priority.LIVE}
    assert any(point.quantity for point in profile.points if point.group in live)
