"""Words printed in documents, read through the profiles that are shipped. None comes from our own encoder."""

from fractions import Fraction
from pathlib import Path

import pytest

from emdx_desktop.domain.installation import Device
from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.domain.readings import DeviceId, GroupReadings, Quality
from emdx_desktop.domain.registers import GroupDecoder, RegisterBlock, auxiliary_values, identity_words
from emdx_desktop.domain.words import decode_text
from emdx_desktop.modbus.profile_loader import load_profile

DEVICES = Path(__file__).parents[3] / "resources" / "devices"


def profile_of(name: str) -> DeviceProfile:
    return load_profile(DEVICES / f"{name}.toml")


def decode(
    profile: DeviceProfile,
    group: str,
    blocks: list[tuple[int, int, str]],
    auxiliary: dict[str, Fraction] | None = None,
) -> dict[str, tuple[float | int | None, Quality]]:
    """Quality and value by quantity; blocks as (function code, address, words in hex)."""
    device = Device(DeviceId(1), "QF1", "GW1", profile.id, profile.id, 6)
    read = [RegisterBlock(0, code, at, words_of(text)) for code, at, text in blocks]
    readings: GroupReadings = GroupDecoder(profile, group, device).decode(read, 0, auxiliary or {})
    return {
        quantity: (value, Quality(quality))
        for quantity, value, quality in zip(
            readings.layout.quantities, readings.values, readings.qualities, strict=True
        )
    }


def words_of(text: str) -> tuple[int, ...]:
    octets = bytes.fromhex(text)
    return tuple(octets[i] << 8 | octets[i + 1] for i in range(0, len(octets), 2))


def test_0_046_77_voltage_of_the_guide() -> None:
    """Legrand, Measurement to supervision guide: 00 03 99 18 h = 235 800 mV = 235.8 V (register 200xh, 2 words)."""
    values = decode(profile_of("legrand-004677"), "live", [(3, 0x2000, "00 03 99 18")])
    assert values["voltage_l1_n"] == (235.8, Quality.GOOD)


def test_0_046_77_power_factor_of_the_guide() -> None:
    """The same guide: 00 52 h = 82 in decimal = 0.82."""
    values = decode(profile_of("legrand-004677"), "live", [(3, 0x2007, "00 52")])
    assert values["power_factor"] == (0.82, Quality.GOOD)


def test_0_046_77_partial_energy_of_the_guide_is_pending_until_its_scale_is_entered() -> None:
    """The guide reads 00 00 00 02 from 200Ch before the reset; it does not say what a count is worth."""
    values = decode(profile_of("legrand-004677"), "energy", [(3, 0x200A, "00 00 00 07 00 00 00 02 00 00 0E 10")])
    assert values["active_energy_import_partial"] == (None, Quality.PENDING)


def test_signed_long_of_the_guide() -> None:
    """The same guide: FF FF FF ED signed = -19, x scale 0.01 = -0.19 kW; C568h of 0 146 68 has that scale."""
    values = decode(profile_of("legrand-0146-68"), "live", [(3, 0xC568, "FF FF FF ED")])
    assert values["active_power"] == (-190.0, Quality.GOOD)


def test_0_146_68_reads_230_volts_at_c558() -> None:
    """ModbusTable LGR EN v1.01: C558h, 2 words, unsigned long, 0.01 V; its example asks C558h and answers 230 V.

    The reply it prints is abridged to one word, 08FCh = 2300, and multiplies that by 0.01 to 230 V. Two
    documents (PDF and XLS) and a driver in use say 0.01 V, which makes 230 V 23000 = 59D8h; that holds here.
    """
    profile = profile_of("legrand-0146-68")
    assert decode(profile, "live", [(3, 0xC558, "00 00 59 D8")])["voltage_l1_n"] == (230.0, Quality.GOOD)
    assert decode(profile, "live", [(3, 0xC558, "00 00 08 FC")])["voltage_l1_n"] == (23.0, Quality.GOOD)


@pytest.mark.parametrize(
    ("group", "address", "text", "quantity"),
    [
        ("live", 0xC558, "FF FF FF FF", "voltage_l1_n"),  # NOTE1: unsigned long
        ("live", 0xC568, "7F FF FF FF", "active_power"),  # NOTE2: signed long
        ("live", 0xC56C, "7F FF FF FF", "apparent_power"),  # PDF
        ("live", 0xC56C, "FF FF FF FF", "apparent_power"),  # XLS
        ("totals", 0xC86F, "FF FF", "active_energy_import"),  # NOTE1: unsigned word
        ("distortion", 0xC950, "FF FF", "thd_voltage_l12"),
    ],
)
def test_0_146_68_says_not_available(group: str, address: int, text: str, quantity: str) -> None:
    """NOTE1 and NOTE2 of the official table: u32 FFFFFFFFh, u16 FFFFh, s32 7FFFFFFFh, s16 7FFFh."""
    values = decode(profile_of("legrand-0146-68"), group, [(3, address, text)])
    assert values[quantity] == (None, Quality.SENTINEL)


def test_0_146_68_maximum_of_average_power_is_at_51078() -> None:
    """The table's register number 51079 is address 51078 = C786h: unsigned long, 0.01 kW. 02h = 20 W."""
    profile = profile_of("legrand-0146-68")
    assert profile.point("active_power_demand_max").document_register == "51079"
    values = decode(profile, "peaks", [(3, 51078, "00 00 00 02")])
    assert values["active_power_demand_max"] == (20.0, Quality.GOOD)


@pytest.mark.parametrize(("text", "kind"), [("00 00 03 7A", 1), ("FF FF FC 86", 2), ("00 00 03 E8", 0)])
def test_0_146_68_power_factor_says_leading_or_lagging(text: str, kind: int) -> None:
    """C56Eh: "-: leading and + : lagging", 0.001: 037Ah = 890; FFFFFC86h = -890; 03E8h = 1000."""
    imported = "00 00 00 13" + "00 00 00 00" * 2
    exported = "FF FF FF ED" + "00 00 00 00" * 2
    size = abs(int.from_bytes(bytes.fromhex(text), "big", signed=True)) / 1000
    for power, sign in ((imported, 1), (exported, -1)):
        values = decode(profile_of("legrand-0146-68"), "live", [(3, 0xC568, power + text)])
        assert values["power_factor"] == (sign * size, Quality.GOOD)
        assert values["reactive_kind"] == (kind, Quality.GOOD)


def test_em340_sends_the_low_word_first_and_its_overflow_as_ffff_7fff() -> None:
    """EM300/ET300 protocol V2R9: INT32 LSW first, overflow 7FFFFFFFh is sent as FFFF 7FFF.

    2301 tenths of a volt are 08FDh: low word 08FD, high word 0000.
    """
    values = decode(profile_of("carlo-gavazzi-em340"), "live", [(4, 0x0000, "08 FD 00 00 FF FF 7F FF")])
    assert values["voltage_l1_n"] == (230.1, Quality.GOOD)
    assert values["voltage_l2_n"] == (None, Quality.SENTINEL)


def test_countis_says_soco() -> None:
    """Socomec identification group C350h: 0053 004F 0043 004F, one character a word."""
    profile = profile_of("socomec-countis-e27-e28")
    expected = {entry.point: entry.expected for entry in profile.identity}["signature"]
    assert expected == (0x0053, 0x004F, 0x0043, 0x004F)
    block = RegisterBlock(0, 3, 0xC350, (0x0053, 0x004F, 0x0043, 0x004F))
    assert identity_words(profile, [block]) == {"signature": expected}
    assert decode_text(expected, profile.point("signature").chars_per_word) == "SOCO"


def test_countis_e27_gives_frequency_in_millihertz() -> None:
    """C55Eh of E1x and E2x counts mHz (OpenEMS, E13 table): 50 000 = C350h is 50 Hz."""
    values = decode(profile_of("socomec-countis-e27-e28"), "live", [(3, 0xC55E, "00 00 C3 50")])
    assert values["frequency"] == (50.0, Quality.GOOD)


def test_sdm630_float_is_ieee_754_high_word_first() -> None:
    """SDM630 protocol V1.7: 32-bit IEEE 754, high word first. 230.0 is 43660000h by IEEE 754 itself
    (sign 0, exponent 134 = 86h, mantissa 1.796875 - 1)."""
    values = decode(profile_of("eastron-sdm630"), "live", [(4, 0x0000, "43 66 00 00")])
    assert values["voltage_l1_n"] == (230.0, Quality.GOOD)


@pytest.mark.parametrize(
    ("ct_ratio", "wh_per_count", "watts"),
    [
        (1, 10, 1.0),
        (10, 100, 1.0),
        (100, 1_000, 1.0),
        (4_999, 10_000, 1.0),
        (5_000, 10_000, 100.0),
        (60_000, 100_000, 100.0),
    ],
)
def test_4_120_45_decades_follow_the_ct_ratio(ct_ratio: int, wh_per_count: int, watts: float) -> None:
    """Notes P and E of the table: W x 0.01 below 5000, x 1 from there; Wh per count by decade of the CT ratio.

    0064h = 100 counts of power.
    """
    profile = profile_of("legrand-412045")
    auxiliary = auxiliary_values(profile, [RegisterBlock(0, 3, 0x1200, (ct_ratio,))])
    assert auxiliary == {"ct_ratio": ct_ratio}
    powers = decode(profile, "live", [(3, 0x1014, "00 00 00 64 00 00 00 00 00 00 00 00 00 00 00 00")], auxiliary)
    assert powers["active_power"] == (watts, Quality.GOOD)
    device = Device(DeviceId(1), "QF1", "GW1", profile.id, profile.id, 6)
    block = RegisterBlock(0, 3, 0x101C, (0, 1, 0, 2, 0, 3, 0, 4))
    readings = GroupDecoder(profile, "energy", device).decode([block], 0, auxiliary)
    assert readings.layout.quantities == (
        "active_energy_import",
        "reactive_energy_import",
        "active_energy_export",
        "reactive_energy_export",
    )
    assert readings.values == (1, 2, 3, 4)
    assert readings.factors == (Fraction(wh_per_count),) * 4


def test_4_120_45_sign_register_makes_a_power_negative() -> None:
    """F4N200 and PR 106: 101Ah and 101Bh, 0 positive, 1 negative."""
    words = "00 00 00 64 00 00 00 C8 00 00 01 00 00 01 00 00"
    values = decode(profile_of("legrand-412045"), "live", [(3, 0x1014, words)], {"ct_ratio": Fraction(1)})
    assert values["active_power"] == (-1.0, Quality.GOOD)
    assert values["reactive_power"] == (2.0, Quality.GOOD)


def test_1000h_twins_take_ct_times_vt() -> None:
    """Note P of F4N200: CT x VT chooses. 100 x 60.00 = 6000 is above 5000; VT 6000 = 1770h in hundredths."""
    profile = profile_of("ime-1000h")
    auxiliary = auxiliary_values(profile, [RegisterBlock(0, 3, 0x1200, (100, 0x1770))])
    assert auxiliary == {"ct_ratio": 100, "vt_ratio": 60}
    words = "00 00 00 64 00 00 00 00 00 00 00 00 00 00 00 00"
    assert decode(profile, "live", [(3, 0x1014, words)], auxiliary)["active_power"] == (100.0, Quality.GOOD)
