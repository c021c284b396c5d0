"""Words from documents; none was made with our own code."""

from fractions import Fraction

import pytest

from emdx_desktop.domain.profiles import ScaleRule, ScaleStep, ValueType, WordOrder
from emdx_desktop.simulator import point_encoding as encoding

F = Fraction


@pytest.mark.parametrize(
    ("value_type", "words", "scale", "value", "expected"),
    [
        # Legrand measurement guide: 235.8 V in mV
        (ValueType.U32, 2, F(1, 1000), 235.8, (0x0003, 0x9918)),
        # the same guide: power factor 0.82 in hundredths
        (ValueType.U16, 1, F(1, 100), 0.82, (0x0052,)),
        # the same guide: signed long -0.19 kW in hundredths of a kW
        (ValueType.S32, 2, F(10), -190, (0xFFFF, 0xFFED)),
        # 0 146 68 register table: C558h, 2300 x 0.1 V ... the register pair holds 230.00 V in 0.01 V
        (ValueType.U32, 2, F(1, 100), 230.0, (0x0000, 0x59D8)),
        # IEEE 754: 230.0 is 43660000h; Eastron SDM630 sends the high word first
        (ValueType.FLOAT32, 2, F(1), 230.0, (0x4366, 0x0000)),
        (ValueType.FLOAT64, 4, F(1), 1.0, (0x3FF0, 0, 0, 0)),
        # sign and magnitude: the top bit is the sign
        (ValueType.SM16, 1, F(1), -5, (0x8005,)),
        (ValueType.SM32, 2, F(1), -5, (0x8000, 0x0005)),
        (ValueType.BCD16, 1, F(1), 1234, (0x1234,)),
        (ValueType.BCD32, 2, F(1), 12345678, (0x1234, 0x5678)),
        (ValueType.U48, 3, F(1), 0x100000002, (1, 0, 2)),
        (ValueType.S48, 3, F(1), -1, (0xFFFF, 0xFFFF, 0xFFFF)),
        (ValueType.U64, 4, F(1), 1, (0, 0, 0, 1)),
        (ValueType.S64, 4, F(1), -2, (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE)),
        (ValueType.S16, 1, F(1, 10), -0.25, (0xFFFE,)),
    ],
)
def test_value_becomes_the_words_of_its_type(
    make_point,
    make_profile,
    value_type: ValueType,
    words: int,
    scale: Fraction,
    value: float,
    expected: tuple[int, ...],
):
    point = make_point("active_power", value_type, words, scale=scale)
    content = encoding.encode_instant(point, value, scale)
    assert encoding.split_words(point, content, make_profile(point)) == expected


def test_low_word_first_and_swapped_bytes(make_point, make_profile):
    point = make_point("active_power", ValueType.S32, 2)
    content = encoding.encode_instant(point, 0x12345678, F(1))
    # Carlo Gavazzi EM340: low word first, high byte first
    low_first = make_profile(point, word_order=WordOrder.LOW_FIRST)
    assert encoding.split_words(point, content, low_first) == (0x5678, 0x1234)
    swapped = make_profile(point, is_byte_swapped=True)
    assert encoding.split_words(point, content, swapped) == (0x3412, 0x7856)


def test_text_two_characters_or_one_a_word(make_point, make_profile):
    two = make_point("serial", ValueType.ASCII, 2, quantity=None)
    assert encoding.split_words(two, encoding.encode_text(two, "AB1"), make_profile(two)) == (0x4142, 0x3120)
    # Socomec identification group: "SOCO" is 0053 004F 0043 004F
    one = make_point("serial", ValueType.ASCII, 4, quantity=None, chars_per_word=1)
    assert encoding.split_words(one, encoding.encode_text(one, "SOCO"), make_profile(one)) == (0x53, 0x4F, 0x43, 0x4F)


def test_value_beyond_the_register_stays_at_its_end_and_is_no_sentinel(make_point):
    point = make_point("voltage_l1_n", ValueType.U16, 1, sentinels=(0xFFFF,))
    assert encoding.encode_instant(point, 1e9, F(1)) == 0xFFFE
    negative = make_point("voltage_l1_n", ValueType.S16, 1, sentinels=(0x8000, 0xFFFF))
    assert encoding.encode_instant(negative, -1e9, F(1)) == 0x8001
    assert encoding.encode_instant(negative, -1, F(1)) == 0


def test_register_with_its_sign_elsewhere_holds_the_magnitude(make_point):
    point = make_point("active_power", ValueType.U32, 2, sign_point="sign")
    assert encoding.encode_instant(point, -500, F(1)) == 500


def test_unavailable_is_the_first_sentinel_or_nan_or_zero(make_point):
    assert encoding.encode_unavailable(make_point("x", ValueType.U32, 2, sentinels=(0xFFFFFFFF, 1))) == 0xFFFFFFFF
    assert encoding.encode_unavailable(make_point("x", ValueType.FLOAT32, 2)) == 0x7FC00000
    assert encoding.encode_unavailable(make_point("x", ValueType.U16, 1)) == 0


def test_counter_rolls_over_where_its_document_or_its_register_says(make_point):
    assert encoding.encode_count(make_point("x", ValueType.U16, 1), 0x10005, F(1)) == 5
    assert encoding.encode_count(make_point("x", ValueType.U32, 2, modulus=10_000_000), 10_000_003, F(1)) == 3
    assert encoding.encode_count(make_point("x", ValueType.BCD16, 1), 10_012, F(1)) == 0x0012
    assert encoding.encode_count(make_point("x", ValueType.S32, 2), -2, F(1)) == 0xFFFFFFFE
    # 2.5 kWh in a float counter of kWh that resolves 10 Wh: 250 counts; 2.5 is 40200000h
    point = make_point("x", ValueType.FLOAT32, 2, resolution=F(10))
    assert encoding.encode_count(point, 250, F(1000)) == 0x40200000


def test_part_of_a_register_is_masked_and_shifted(make_point):
    point = make_point("x", ValueType.U16, 1, bit_mask=0x0F00, bit_shift=8)
    assert encoding.encode_raw(point, 0xA) == 0x0A00
    assert encoding.compute_raw_range(point) == (0, 15)


def test_scale_by_rule_by_document_or_assumed(make_point, make_profile):
    # 4 120 45, note E: k < 10: 10 Wh a count, k < 100: 100 Wh, else 1000 Wh (shortened)
    rule = ScaleRule(
        "energy", ("ct",), (ScaleStep(F(10), F(10)), ScaleStep(F(100), F(100)), ScaleStep(None, F(1000))), "L45"
    )
    ratio = make_point("ct", ValueType.U16, 1, quantity=None)
    counter = make_point("active_energy_import", ValueType.U32, 2, scale=None, scale_rule="energy")
    unknown = make_point("active_power", ValueType.U32, 2, scale=None)
    profile = make_profile(ratio, counter, unknown, scale_rules={"energy": rule})
    for ct, scale in ((5, 10), (60, 100), (100, 1000)):
        assert encoding.resolve_scale(counter, profile, {"ct": ct}, {}) == scale
    assert encoding.resolve_scale(unknown, profile, {}, {}) == 1
    assert encoding.resolve_scale(unknown, profile, {}, {"active_power": F(1, 10)}) == F(1, 10)
    assert encoding.resolve_scale(ratio, profile, {}, {}) == 1
    with pytest.raises(ValueError, match="says nothing"):
        encoding.select_scale(ScaleRule("x", ("ct",), (ScaleStep(F(10), F(1)),), ""), F(10))
