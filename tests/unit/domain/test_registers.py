"""Words become readings: expected numbers are worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest

from emdx_desktop.domain.installation import Device, SupplyDirection
from emdx_desktop.domain.profile_points import WORDS_OF
from emdx_desktop.domain.profiles import (
    DeviceProfile,
    Evidence,
    IdentityDef,
    PointDef,
    Priority,
    ReadGroupDef,
    ScaleRule,
    ScaleStep,
    ValueType,
    WordOrder,
)
from emdx_desktop.domain.quantities import QUANTITIES
from emdx_desktop.domain.readings import DeviceId, GroupReadings, Quality
from emdx_desktop.domain.registers import (
    MAX_PLANS,
    GroupDecoder,
    RegisterBlock,
    auxiliary_values,
    identity_words,
)
from emdx_desktop.domain.words import decode_text, typed_number

U16, S16, U32, S32 = ValueType.U16, ValueType.S16, ValueType.U32, ValueType.S32
FLOAT32, FLOAT64 = ValueType.FLOAT32, ValueType.FLOAT64
GOOD, SENTINEL, IMPLAUSIBLE, PENDING, PROTOCOL = (
    Quality.GOOD,
    Quality.SENTINEL,
    Quality.IMPLAUSIBLE,
    Quality.PENDING,
    Quality.PROTOCOL,
)
ONE = Fraction(1)


def point(key: str, address: int, value_type: ValueType = U16, **changes: object) -> PointDef:
    fields: dict[str, object] = {
        "key": key,
        "quantity": key if key in QUANTITIES else None,
        "label": key,
        "address": address,
        "document_register": f"{address:04X}h",
        "words": WORDS_OF.get(value_type, 1),
        "value_type": value_type,
        "function_code": 3,
        "scale": ONE,
        "group": "live",
        "evidence": Evidence.OFFICIAL,
        "source": "DOC",
    }
    return PointDef(**(fields | changes))  # type: ignore[arg-type] # fields of the dataclass


def profile(*points: PointDef, **changes: object) -> DeviceProfile:
    fields: dict[str, object] = {
        "id": "m1",
        "maker": "Maker",
        "catalogue_numbers": (),
        "family": "Meters",
        "model": "M1",
        "source": "Table",
        "sources": {"DOC": "Table"},
        "evidence": Evidence.OFFICIAL,
        "word_order": WordOrder.HIGH_FIRST,
        "is_byte_swapped": False,
        "serial": None,
        "unit_id_default": None,
        "max_registers": 125,
        "needs_even_count": False,
        "readable": (),
        "pause_ms": 0,
        "response_ms": 0,
        "units": 1,
        "groups": (ReadGroupDef("live", Priority.LIVE), ReadGroupDef("slow", Priority.SLOW)),
        "points": points,
        "scale_rules": {},
    }
    return DeviceProfile(**(fields | changes))  # type: ignore[arg-type] # fields of the dataclass


def decoder(
    definition: DeviceProfile,
    supply: SupplyDirection = SupplyDirection.UPSTREAM,
    scales: Mapping[str, Fraction] | None = None,
) -> GroupDecoder:
    device = Device(DeviceId(3), "QF1", "GW1", "m1", "m1", 5, supply=supply, scales=scales or {})
    return GroupDecoder(definition, "live", device)


def block(address: int, *words: int, unit_offset: int = 0, function_code: int = 3) -> RegisterBlock:
    return RegisterBlock(unit_offset, function_code, address, words)


def columns(readings: GroupReadings) -> dict[str, tuple[float | int | None, Quality]]:
    return {
        quantity: (value, Quality(quality))
        for quantity, value, quality in zip(
            readings.layout.quantities, readings.values, readings.qualities, strict=True
        )
    }


def read_one(definition: PointDef, *words: int, **changes: object) -> tuple[float | int | None, Quality]:
    readings = decoder(profile(definition, **changes)).decode([block(definition.address, *words)], 1, {})
    return columns(readings)[definition.key]


# --- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value_type", "words", "value"),
    [
        (U16, (0xFFFE,), 65534.0),
        (S16, (0xFFFE,), -2.0),
        (U32, (0x0001, 0x0002), 65538.0),
        (S32, (0xFFFF, 0xFFED), -19.0),
        (ValueType.U48, (1, 0, 0), 2.0**32),
        (ValueType.S48, (0xFFFF, 0xFFFF, 0xFFFF), -1.0),
        (ValueType.U64, (0, 1, 0, 0), 2.0**32),
        (ValueType.S64, (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE), -2.0),
        (FLOAT32, (0x4366, 0x0000), 230.0),
        (FLOAT64, (0x406C, 0xC000, 0, 0), 230.0),
        (ValueType.SM16, (0x8005,), -5.0),
        (ValueType.SM16, (0x0005,), 5.0),
        (ValueType.SM32, (0x8000, 0x0005), -5.0),
        (ValueType.BCD16, (0x1234,), 1234.0),
        (ValueType.BCD32, (0x1234, 0x5678), 12345678.0),
        (ValueType.BCD48, (0x0000, 0x0001, 0x0000), 10000.0),
    ],
)
def test_each_type_makes_its_number(value_type: ValueType, words: tuple[int, ...], value: float) -> None:
    definition = point("active_power", 10, value_type)
    assert read_one(definition, *words) == (value, GOOD)
    assert read_one(definition, *reversed(words), word_order=WordOrder.LOW_FIRST) == (value, GOOD)
    swapped = [(word & 0xFF) << 8 | word >> 8 for word in words]
    assert read_one(definition, *swapped, is_byte_swapped=True) == (value, GOOD)


def test_a_nibble_that_is_no_decimal_digit_is_implausible() -> None:
    assert read_one(point("active_power", 10, ValueType.BCD16), 0x12A4) == (None, IMPLAUSIBLE)


@pytest.mark.parametrize(
    "words",
    [
        (0x7FC0, 0x0000),  # NaN
        (0x7F80, 0x0000),  # +Inf
        (0xFF80, 0x0000),  # -Inf
        (0x0000, 0x0001),  # smallest denormal
        (0x807F, 0xFFFF),  # largest negative denormal
    ],
)
def test_a_float_that_is_no_measurement_is_not_available(words: tuple[int, int]) -> None:
    assert read_one(point("active_power", 10, FLOAT32), *words) == (None, SENTINEL)


def test_zero_is_a_measurement_also_when_all_words_are_zero() -> None:
    assert read_one(point("active_power", 10, FLOAT32), 0, 0) == (0.0, GOOD)
    assert read_one(point("active_power", 10, FLOAT64), 0, 0, 0, 1) == (None, SENTINEL)


@pytest.mark.parametrize(
    ("value_type", "sentinel", "words", "quality"),
    [
        (U16, 0xFFFF, (0xFFFF,), SENTINEL),
        (U16, 0x0000, (0x0000,), SENTINEL),
        (U16, 0x8000, (0x8000,), SENTINEL),
        (U16, 0x8000, (0x8001,), GOOD),
        (S16, 0x7FFF, (0x7FFF,), SENTINEL),
        (S16, 0x8000, (0x8000,), SENTINEL),
        (S32, 0x7FFFFFFF, (0x7FFF, 0xFFFF), SENTINEL),
        (FLOAT32, 0xFFFFFFFF, (0xFFFF, 0xFFFF), SENTINEL),
        (FLOAT32, 0x42F60000, (0x42F6, 0x0000), SENTINEL),
        (FLOAT32, 0x42F60000, (0x42F6, 0x0001), GOOD),
        (ValueType.BCD16, 0xFFFF, (0xFFFF,), SENTINEL),
    ],
)
def test_a_sentinel_is_not_available(
    value_type: ValueType, sentinel: int, words: tuple[int, ...], quality: Quality
) -> None:
    value, found = read_one(point("active_power", 10, value_type, sentinels=(sentinel,)), *words)
    assert found is quality
    assert (value is None) is (quality is not GOOD)


def test_a_sentinel_does_not_hide_its_neighbours() -> None:
    definition = profile(
        point("voltage_l1_n", 0, sentinels=(0xFFFF,)),
        point("voltage_l2_n", 1, sentinels=(0xFFFF,)),
        point("voltage_l3_n", 2, sentinels=(0xFFFF,)),
    )
    readings = decoder(definition).decode([block(0, 230, 0xFFFF, 231)], 1, {})
    assert readings.values == (230.0, None, 231.0)
    assert list(readings.qualities) == [GOOD, SENTINEL, GOOD]
    assert "voltage_l2_n (register 0001h)" in readings.detail


@pytest.mark.parametrize(("word", "quality"), [(399, IMPLAUSIBLE), (400, GOOD), (700, GOOD), (701, IMPLAUSIBLE)])
def test_a_value_outside_what_the_profile_allows_is_implausible(word: int, quality: Quality) -> None:
    definition = point("frequency", 0, scale=Fraction(1, 10), valid_min=40.0, valid_max=70.0)
    assert read_one(definition, word)[1] is quality


@pytest.mark.parametrize(("words", "quality"), [((0x447A, 0x0000), GOOD), ((0x447A, 0x2000), IMPLAUSIBLE)])
def test_a_float_on_the_edge_of_what_is_allowed_is_decided_exactly(words: tuple[int, int], quality: Quality) -> None:
    assert read_one(point("frequency", 0, FLOAT32, valid_max=1000.0), *words)[1] is quality


def test_a_float_with_an_awkward_scale_is_exact_too() -> None:
    definition = point("active_power", 0, FLOAT32, scale=Fraction(3, 7))
    assert read_one(definition, 0x40E0, 0x0000) == (3.0, GOOD)


# --- scales ----------------------------------------------------------------------------------------


def test_a_value_without_a_known_scale_is_pending_until_one_is_entered() -> None:
    definition = profile(
        point("active_power", 0, scale=None),
        point("active_energy_import", 1, U32, scale=None),
        point("voltage_l1_n", 3),
    )
    words = [block(0, 50, 0, 7, 230)]
    pending = decoder(definition).decode(words, 1, {})
    assert columns(pending) == {
        "active_power": (None, PENDING),
        "active_energy_import": (None, PENDING),
        "voltage_l1_n": (230.0, GOOD),
    }
    assert pending.factors == (None, None, None)
    assert "enter it for this device" in pending.detail
    entered = {"active_power": Fraction(1, 10), "active_energy_import": Fraction(100)}
    known = decoder(definition, scales=entered).decode(words, 1, {})
    assert columns(known) == {
        "active_power": (5.0, GOOD),
        "active_energy_import": (7, GOOD),
        "voltage_l1_n": (230.0, GOOD),
    }
    assert known.factors == (None, None, Fraction(100))


RULE = ScaleRule(
    "power", ("ct", "vt"), (ScaleStep(Fraction(5000), Fraction(1, 100)), ScaleStep(None, Fraction(1))), "DOC"
)


def ruled() -> DeviceProfile:
    return profile(
        point("active_power", 0, U32, scale=None, scale_rule="power"),
        point("active_energy_import", 2, U32, scale=None, scale_rule="power"),
        point("ct", 10, group="slow", valid_min=1.0),
        point("vt", 11, group="slow", scale=Fraction(1, 100), sentinels=(0xFFFF,)),
        point("unrelated", 12, group="slow", scale=None),
        point("label", 13, ValueType.ASCII, group="slow"),
        point("setting", 14, group=""),
        point("voltage_l1_n", 15, group="slow"),
        scale_rules={"power": RULE},
    )


def test_a_scale_rule_waits_for_all_of_its_selectors() -> None:
    group = decoder(ruled())
    words = [block(0, 0, 100, 0, 5)]
    readings = group.decode(words, 1, {"ct": Fraction(100)})
    assert columns(readings)["active_power"] == (None, PENDING)
    assert "read from another register first" in readings.detail
    readings = group.decode(words, 2, {"ct": Fraction(100), "vt": Fraction(49)})
    assert columns(readings) == {"active_power": (1.0, GOOD), "active_energy_import": (5, GOOD)}
    assert readings.factors == (None, Fraction(1, 100))
    readings = group.decode(words, 3, {"ct": Fraction(100), "vt": Fraction(50)})
    assert columns(readings)["active_power"] == (100.0, GOOD)
    assert readings.factors == (None, Fraction(1))
    again = group.decode(words, 4, {"ct": Fraction(100), "vt": Fraction(50)})
    assert again.factors is readings.factors


def test_auxiliary_values_are_scaled_and_only_good_ones_are_given() -> None:
    definition = ruled()
    assert auxiliary_values(definition, [block(10, 100, 6000, 1, 0x4142, 9, 230)]) == {"ct": 100, "vt": 60}
    assert auxiliary_values(definition, [block(10, 0, 0xFFFF)]) == {}
    assert auxiliary_values(definition, [RegisterBlock(0, 3, 10, None, Quality.TIMEOUT)]) == {}


def test_a_quantity_can_be_a_selector_too() -> None:
    rule = ScaleRule("power", ("frequency",), (ScaleStep(None, ONE),), "DOC")
    definition = profile(point("frequency", 0, scale=Fraction(1, 10)), scale_rules={"power": rule})
    assert auxiliary_values(definition, [block(0, 500)]) == {"frequency": 50}


def test_identity_words_are_given_as_they_came() -> None:
    definition = profile(
        point("mark", 0, ValueType.ASCII, words=2, chars_per_word=1),
        point("serial", 2, U32),
        point("voltage_l1_n", 9),
        identity=(IdentityDef("mark"), IdentityDef("serial")),
        word_order=WordOrder.LOW_FIRST,
    )
    assert identity_words(definition, [block(0, 0x53, 0x4F)]) == {"mark": (0x53, 0x4F)}
    assert identity_words(definition, [block(0, 0x53, 0x4F, 1, 2)]) == {"mark": (0x53, 0x4F), "serial": (1, 2)}


def test_text_is_what_can_be_printed() -> None:
    assert decode_text((0x4142, 0x4300), 2) == "ABC"
    assert decode_text((0x0053, 0x0007, 0x004F), 1) == "S O"


# --- counters --------------------------------------------------------------------------------------


def test_a_counter_is_the_count_of_the_device_with_an_exact_factor() -> None:
    definition = profile(
        point("active_energy_import", 0, U32, scale=Fraction(10)),
        point("active_energy_export", 2, FLOAT32, scale=Fraction(1000), resolution=ONE),
        point("operating_time", 4, U16, scale=Fraction(1, 3600)),
    )
    # 0x3F8CCCCD is 1.10000002384 kWh: 1100 Wh
    readings = decoder(definition).decode([block(0, 0x0001, 0x0000, 0x3F8C, 0xCCCD, 3600)], 1, {})
    assert readings.values == (65536, 1100, 3600)
    assert readings.factors == (Fraction(10), ONE, Fraction(1, 3600))


@pytest.mark.parametrize(
    ("definition", "words", "quality"),
    [
        (point("active_energy_import", 0, ValueType.U64), (0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF), GOOD),
        (point("active_energy_import", 0, ValueType.U64), (0x8000, 0, 0, 0), IMPLAUSIBLE),
        (point("active_energy_import", 0, S32, valid_min=0.0), (0xFFFF, 0xFFFF), IMPLAUSIBLE),
        (point("active_energy_import", 0, FLOAT32, resolution=ONE), (0x7F00, 0), IMPLAUSIBLE),
        (point("active_energy_import", 0, FLOAT64, resolution=Fraction(1, 3)), (0x3FF0, 0, 0, 0), GOOD),
        (point("active_energy_import", 0, U16, bit_mask=0x00FF), (0x0102,), GOOD),
    ],
)
def test_a_count_that_cannot_be_kept_is_implausible(
    definition: PointDef, words: tuple[int, ...], quality: Quality
) -> None:
    assert read_one(definition, *words)[1] is quality


def test_a_masked_number_is_cut_out_of_its_word() -> None:
    assert read_one(point("active_energy_import", 0, U16, bit_mask=0x0FF0, bit_shift=4), 0xABCD) == (0xBC, GOOD)


# --- signs -----------------------------------------------------------------------------------------


def signed() -> DeviceProfile:
    return profile(
        point("active_power", 0, U32, sign_point="sign", atomic="p", valid_min=-1000.0, valid_max=1000.0),
        point("sign", 2, valid_min=0.0, valid_max=1.0, sentinels=(0xFFFF,)),
        point("power_factor", 3, S16, scale=Fraction(1, 100), pf_follows_power=True, atomic="p"),
    )


@pytest.mark.parametrize(
    ("words", "power", "factor"),
    [
        ((0, 500, 0, 80), 500.0, 0.8),
        ((0, 500, 1, 80), -500.0, -0.8),
        ((0, 500, 1, 0xFFB0), -500.0, -0.8),  # whatever the register says about its own sign
        ((0, 0, 1, 80), 0.0, 0.8),  # no power, no direction
    ],
)
def test_a_sign_register_gives_power_and_power_factor_their_direction(
    words: tuple[int, ...], power: float, factor: float
) -> None:
    found = columns(decoder(signed()).decode([block(0, *words)], 1, {}))
    assert found == {"active_power": (power, GOOD), "power_factor": (factor, GOOD)}
    turned = columns(decoder(signed(), SupplyDirection.DOWNSTREAM).decode([block(0, *words)], 1, {}))
    turned_factor = -factor if power else factor
    assert turned == {"active_power": (-power, GOOD), "power_factor": (turned_factor, GOOD)}


@pytest.mark.parametrize(("sign", "quality"), [(2, IMPLAUSIBLE), (0xFFFF, SENTINEL)])
def test_without_a_usable_sign_there_is_no_power_and_no_power_factor(sign: int, quality: Quality) -> None:
    found = columns(decoder(signed()).decode([block(0, 0, 500, sign, 80)], 1, {}))
    assert found == {"active_power": (None, quality), "power_factor": (None, quality)}


def test_a_signed_magnitude_keeps_within_its_limits_on_both_sides() -> None:
    for sign in (0, 1):
        found = columns(decoder(signed()).decode([block(0, 0, 1001, sign, 80)], 1, {}))
        assert found["active_power"] == (None, IMPLAUSIBLE)


def test_magnitude_and_sign_from_two_reads_are_never_combined() -> None:
    found = columns(decoder(signed()).decode([block(0, 0, 500), block(2, 1, 80)], 1, {}))
    assert found == {"active_power": (None, PROTOCOL), "power_factor": (None, PROTOCOL)}


def test_a_power_factor_whose_power_came_apart_is_not_good() -> None:
    found = columns(decoder(signed()).decode([block(0, 0, 500, 1), block(3, 80)], 1, {}))
    assert found == {"active_power": (-500.0, GOOD), "power_factor": (None, PROTOCOL)}
    definition = profile(
        point("active_power", 0, U32, sign_point="sign", atomic="p"),
        point("power_factor", 2, S16, pf_follows_power=True, atomic="p"),
        point("sign", 3),
    )
    found = columns(decoder(definition).decode([block(0, 0, 500, 1), block(3, 1)], 1, {}))
    assert found == {"active_power": (None, PROTOCOL), "power_factor": (None, PROTOCOL)}


def test_a_power_factor_without_its_power_has_the_quality_of_the_power() -> None:
    definition = profile(
        point("active_power", 0, S16, sentinels=(0x7FFF,)),
        point("power_factor", 1, S16, scale=Fraction(1, 100), pf_follows_power=True),
    )
    found = columns(decoder(definition).decode([block(0, 0x7FFF, 80)], 1, {}))
    assert found == {"active_power": (None, SENTINEL), "power_factor": (None, SENTINEL)}


def test_a_power_without_a_scale_still_gives_the_power_factor_its_direction() -> None:
    definition = profile(
        point("active_power", 0, S16, scale=None),
        point("power_factor", 1, S16, scale=Fraction(1, 100), pf_follows_power=True),
    )
    found = columns(decoder(definition).decode([block(0, 0xFFFF, 80)], 1, {}))
    assert found == {"active_power": (None, PENDING), "power_factor": (-0.8, GOOD)}


def leading_lagging(scale: Fraction | None) -> DeviceProfile:
    return profile(
        point("active_power", 0, S16),
        point("power_factor", 1, S16, scale=scale, pf_sign=True, valid_min=-1.01, valid_max=1.01),
    )


@pytest.mark.parametrize(
    ("scale", "word", "factor", "kind"),
    [
        (Fraction(1, 100), 80, 0.8, 1),
        (Fraction(1, 100), 0xFFB0, 0.8, 2),
        (Fraction(-1, 100), 80, 0.8, 2),  # a maker whose plus is leading: the profile turns it
        (Fraction(-1, 100), 0xFFB0, 0.8, 1),
        (Fraction(1, 100), 100, 1.0, 0),
        (Fraction(1, 100), 0, 0.0, 0),
    ],
)
def test_leading_or_lagging_becomes_a_state_of_its_own(scale: Fraction, word: int, factor: float, kind: int) -> None:
    found = columns(decoder(leading_lagging(scale)).decode([block(0, 500, word)], 1, {}))
    assert found["power_factor"] == (factor, GOOD)
    assert found["reactive_kind"] == (kind, GOOD)


def test_an_impossible_power_factor_says_nothing_about_its_kind() -> None:
    found = columns(decoder(leading_lagging(Fraction(1, 100))).decode([block(0, 500, 102)], 1, {}))
    assert found["power_factor"] == (None, IMPLAUSIBLE)
    assert found["reactive_kind"] == (None, IMPLAUSIBLE)


def test_a_power_factor_without_a_scale_says_nothing_about_its_kind() -> None:
    definition = leading_lagging(None)
    assert columns(decoder(definition).decode([block(0, 500, 80)], 1, {}))["reactive_kind"] == (None, PENDING)
    entered = decoder(definition, scales={"power_factor": Fraction(1, 100)})
    assert columns(entered.decode([block(0, 500, 80)], 1, {}))["power_factor"] == (0.8, GOOD)


# --- states ----------------------------------------------------------------------------------------


def test_states_are_cut_out_of_a_status_word_and_named_by_the_table() -> None:
    definition = profile(
        point("breaker_position", 0, bit_mask=0x0006, bit_shift=1, states={1: 0, 2: 1}),
        point("breaker_fault", 0, bit_mask=0x0008, bit_shift=3),
        point("tariff_in_use", 1),
    )
    found = columns(decoder(definition).decode([block(0, 0b1100, 4)], 1, {}))
    assert found == {"breaker_position": (1, GOOD), "breaker_fault": (1, GOOD), "tariff_in_use": (4, GOOD)}
    readings = decoder(definition).decode([block(0, 0b1110, 4)], 1, {})
    assert columns(readings)["breaker_position"] == (None, IMPLAUSIBLE)
    assert "3 is no state the document lists" in readings.detail


def test_a_state_of_three_words_is_named_by_the_table_too() -> None:
    assert read_one(point("tariff_in_use", 0, ValueType.U48, states={5: 2}), 0, 0, 5) == (2, GOOD)
    assert read_one(point("tariff_in_use", 0, ValueType.U48), 0, 0, 5) == (5, GOOD)


@pytest.mark.parametrize(("words", "kind"), [((0, 0, 80), 1), ((0xFFFF, 0xFFFF, 0xFFB0), 2), ((0, 0, 100), 0)])
def test_a_power_factor_of_three_words_says_its_kind_too(words: tuple[int, ...], kind: int) -> None:
    definition = profile(
        point("active_power", 0, S16),
        point("power_factor", 1, ValueType.S48, scale=Fraction(1, 100), pf_sign=True),
    )
    found = columns(decoder(definition).decode([block(0, 500, *words)], 1, {}))
    assert found["reactive_kind"] == (kind, GOOD)


def test_coils_are_states() -> None:
    definition = profile(point("input_1", 7, function_code=2), point("input_2", 8, function_code=2))
    found = columns(decoder(definition).decode([block(7, 1, 0, function_code=2)], 1, {}))
    assert found == {"input_1": (1, GOOD), "input_2": (0, GOOD)}


# --- blocks ----------------------------------------------------------------------------------------


def test_a_failed_block_gives_its_quality_and_words_to_its_values_only() -> None:
    definition = profile(point("voltage_l1_n", 0), point("voltage_l2_n", 10), point("voltage_l3_n", 20))
    blocks = [
        block(0, 230),
        RegisterBlock(0, 3, 10, None, Quality.EXCEPTION, "exception 2: illegal address"),
        RegisterBlock(0, 3, 20, None, Quality.TIMEOUT),
    ]
    readings = decoder(definition).decode(blocks, 1, {})
    assert readings.values == (230.0, None, None)
    assert list(readings.qualities) == [GOOD, Quality.EXCEPTION, Quality.TIMEOUT]
    assert readings.detail == "exception 2: illegal address"
    assert (
        decoder(definition).decode(blocks[:0:-1], 1, {}).detail
        == "voltage_l1_n (register 0000h): the register was not read."
    )


def test_a_block_without_words_is_never_good() -> None:
    definition = profile(point("voltage_l1_n", 0))
    readings = decoder(definition).decode([RegisterBlock(0, 3, 0, None)], 1, {})
    assert list(readings.qualities) == [PROTOCOL]
    readings = decoder(definition).decode([RegisterBlock(0, 3, 0, (5,), Quality.STALE, "old")], 1, {})
    assert list(readings.qualities) == [Quality.STALE]


def test_values_come_from_their_own_unit_and_function_code() -> None:
    definition = profile(
        point("voltage_l1_n", 0),
        point("voltage_l2_n", 0, unit_offset=1),
        point("voltage_l3_n", 0, function_code=4),
        units=2,
    )
    blocks = [block(0, 231, unit_offset=1), block(0, 232, function_code=4), block(0, 230)]
    assert decoder(definition).decode(blocks, 1, {}).values == (230.0, 231.0, 232.0)
    only_one = decoder(definition).decode(blocks[:1], 1, {})
    assert list(only_one.qualities) == [PROTOCOL, GOOD, PROTOCOL]


def test_a_value_split_over_two_reads_is_a_protocol_fault() -> None:
    definition = profile(point("voltage_l1_n", 0, U32))
    readings = decoder(definition).decode([block(0, 1), block(1, 2)], 1, {})
    assert list(readings.qualities) == [PROTOCOL]
    assert "split over two reads" in readings.detail


def test_words_of_other_values_in_a_block_do_not_matter() -> None:
    definition = profile(point("voltage_l1_n", 3), point("voltage_l2_n", 7, S32), word_order=WordOrder.LOW_FIRST)
    assert decoder(definition).decode([block(1, 9, 9, 230, 9, 9, 9, 231, 0, 9)], 1, {}).values == (230.0, 231.0)


def test_a_group_without_quantities_reads_auxiliary_points_only() -> None:
    definition = profile(point("ct", 0), point("label", 1, ValueType.ASCII))
    group = decoder(definition)
    assert group.layout.quantities == ()
    assert [one.key for one in group.points] == ["ct", "label"]
    assert group.decode([block(0, 5, 0x4142)], 1, {}).values == ()


def test_the_layout_is_one_object_and_names_its_period() -> None:
    group = decoder(profile(point("voltage_l1_n", 0)))
    assert group.layout.interval_s == 0.0
    assert group.layout.device_id == DeviceId(3)
    first, second = group.decode([block(0, 1)], 1, {}), group.decode([block(0, 2)], 2, {})
    assert first.layout is second.layout is group.layout
    assert first.factors is second.factors
    assert (second.ts_ms, second.detail) == (2, "")


def test_ever_changing_block_layouts_do_not_pile_up() -> None:
    group = decoder(profile(point("voltage_l1_n", 50)))
    for start in range(2 * MAX_PLANS):
        words: Sequence[int] = [0] * (50 - start) + [230]
        assert group.decode([block(start, *words)], 1, {}).values == (230.0,)
    assert len(group._scales.plans) <= MAX_PLANS


def test_numbers_too_large_for_their_digits_do_not_raise() -> None:
    assert typed_number(0xFFFF_FFFF_FFFF_FFFF, ValueType.U64, 4) == 0xFFFF_FFFF_FFFF_FFFF
