import struct
from fractions import Fraction

import pytest

from emdx_desktop.domain.profiles import AddressRange, IdentityDef, ScaleRule, ScaleStep, ValueType
from emdx_desktop.simulator.device import FixedMoment, SimulatedDevice
from emdx_desktop.simulator.faults import InjectedFault

F = Fraction


def ask(device: SimulatedDevice, address: int, count: int, function_code: int = 3, unit_id: int = 1) -> bytes:
    return device.answer(unit_id, struct.pack(">BHH", function_code, address, count), 0)


def words(reply: bytes) -> list[int]:
    assert reply[1] == len(reply) - 2
    return list(struct.unpack(f">{(len(reply) - 2) // 2}H", reply[2:]))


@pytest.fixture
def voltmeter(make_point, make_profile) -> SimulatedDevice:
    profile = make_profile(
        make_point("voltage_l1_n", ValueType.U32, 2, address=0x2000, scale=F(1, 1000), sentinels=(0xFFFFFFFF,)),
        make_point("current_l1", ValueType.U32, 2, address=0x2004, sentinels=(0xFFFFFFFF,)),
        readable=(AddressRange(3, 0x2000, 0x200F),),
        max_registers=12,
    )
    return SimulatedDevice("V", profile, 1, FixedMoment({"voltage_l1_n": 235.8}))


def test_voltage_of_the_guide(voltmeter: SimulatedDevice):
    assert ask(voltmeter, 0x2000, 2) == bytes.fromhex("03 04 00 03 99 18")


def test_what_is_not_measured_is_the_documents_unavailable(voltmeter: SimulatedDevice):
    assert words(ask(voltmeter, 0x2004, 2)) == [0xFFFF, 0xFFFF]


def test_hole_in_a_readable_range_is_zero_and_outside_is_refused(voltmeter: SimulatedDevice):
    assert words(ask(voltmeter, 0x2000, 6)) == [0x0003, 0x9918, 0, 0, 0xFFFF, 0xFFFF]
    assert ask(voltmeter, 0x2010, 1) == b"\x83\x02"
    assert ask(voltmeter, 0x200E, 3) == b"\x83\x02"


def test_part_of_a_value_is_its_words(voltmeter: SimulatedDevice):
    assert words(ask(voltmeter, 0x2001, 2)) == [0x9918, 0]


@pytest.mark.parametrize(("count", "reply"), [(0, b"\x83\x03"), (13, b"\x83\x03")])
def test_count_that_is_not_allowed_is_refused(voltmeter: SimulatedDevice, count: int, reply: bytes):
    assert ask(voltmeter, 0x2000, count) == reply


def test_other_functions_and_short_requests_are_refused(voltmeter: SimulatedDevice):
    assert ask(voltmeter, 0x2000, 2, function_code=4) == b"\x84\x01"
    assert voltmeter.answer(1, b"\x03\x20", 0) == b"\x83\x01"
    assert voltmeter.answer(1, bytes.fromhex("06 20 00 00 01"), 0) == b"\x86\x01"


def test_odd_count_is_refused_where_only_even_ones_are_allowed(make_point, make_profile):
    point = make_point("voltage_l1_n", ValueType.FLOAT32, 2, function_code=4)
    device = SimulatedDevice("E", make_profile(point, needs_even_count=True), 1, FixedMoment({"voltage_l1_n": 230.0}))
    assert ask(device, 0, 1, function_code=4) == b"\x84\x03"
    assert ask(device, 0, 2, function_code=4) == bytes.fromhex("04 04 43 66 00 00")


def test_without_readable_ranges_only_the_points_own_registers_answer(make_point, make_profile):
    profile = make_profile(
        make_point("voltage_l1_n", ValueType.U16, 1), make_point("voltage_l2_n", ValueType.U16, 1, address=2)
    )
    device = SimulatedDevice("N", profile, 1, FixedMoment())
    assert words(ask(device, 0, 1)) == [0]
    assert ask(device, 0, 3) == b"\x83\x02"


def test_sign_stands_in_its_own_register(make_point, make_profile):
    profile = make_profile(
        make_point("active_power", ValueType.U32, 2, sign_point="sign"),
        make_point("sign", ValueType.U16, 1, address=2, quantity=None),
    )
    feeding = SimulatedDevice("P", profile, 1, FixedMoment({"active_power": -500.0}))
    assert words(ask(feeding, 0, 3)) == [0, 500, 1]
    using = SimulatedDevice("P", profile, 1, FixedMoment({"active_power": 500.0}))
    assert words(ask(using, 0, 3)) == [0, 500, 0]
    unknown = SimulatedDevice("P", profile, 1, FixedMoment())
    assert words(ask(unknown, 0, 3)) == [0, 0, 0]


def test_power_factor_sign_means_leading_or_lagging_where_the_document_says_so(make_point, make_profile):
    # 0 146 68: "-: leading and +: lagging"
    profile = make_profile(make_point("power_factor", ValueType.S16, 1, scale=F(1, 1000), pf_sign=True))
    lagging = FixedMoment({"power_factor": -0.95, "reactive_power": 10.0})
    leading = FixedMoment({"power_factor": 0.95, "reactive_power": -10.0})
    assert words(ask(SimulatedDevice("F", profile, 1, lagging), 0, 1)) == [950]
    assert words(ask(SimulatedDevice("F", profile, 1, leading), 0, 1)) == [0x10000 - 950]


def test_settings_identity_texts_and_serial_number(make_point, make_profile):
    profile = make_profile(
        make_point("ct", ValueType.U16, 1, address=0, quantity=None),
        make_point("model", ValueType.U32, 2, address=1, quantity=None),
        make_point("label", ValueType.ASCII, 1, address=3, quantity=None),
        make_point("serial", ValueType.U16, 1, address=4, quantity=None),
        make_point("spare", ValueType.U16, 1, address=5, quantity=None),
        identity=(IdentityDef("model", (0x1234, 0x5678)), IdentityDef("serial")),
    )
    device = SimulatedDevice("A", profile, 1, FixedMoment(), settings={"ct": 60}, texts={"label": "QF"})
    first = words(ask(device, 0, 6))
    assert first[:4] == [60, 0x1234, 0x5678, 0x5146]
    assert first[5] == 0
    assert first[4] == words(ask(device, 4, 1))[0]
    assert first[4] != words(ask(SimulatedDevice("B", profile, 1, FixedMoment()), 4, 1))[0]


def test_scale_follows_the_current_transformer(make_point, make_profile):
    rule = ScaleRule("energy", ("ct",), (ScaleStep(F(10), F(10)), ScaleStep(None, F(100))), "L45")
    profile = make_profile(
        make_point("ct", ValueType.U16, 1, address=0, quantity=None),
        make_point("active_energy_import", ValueType.U32, 2, address=1, scale=None, scale_rule="energy"),
        scale_rules={"energy": rule},
    )
    total = FixedMoment(counters={"active_energy_import": F(123_456)})
    assert words(ask(SimulatedDevice("A", profile, 1, total, settings={"ct": 1}), 0, 3)) == [1, 0, 12345]
    assert words(ask(SimulatedDevice("A", profile, 1, total, settings={"ct": 60}), 0, 3)) == [60, 0, 1234]


def test_state_is_the_devices_own_code(make_point, make_profile):
    profile = make_profile(
        make_point("breaker_position", ValueType.U16, 1, states={7: 1, 8: 0}),
        make_point("breaker_fault", ValueType.U16, 1, address=1),
        make_point("input_1", ValueType.U16, 1, address=2, sentinels=(0xFFFF,)),
    )
    moment = FixedMoment(states={"breaker_position": 0, "breaker_fault": 3})
    assert words(ask(SimulatedDevice("S", profile, 1, moment), 0, 3)) == [8, 3, 0xFFFF]


def test_two_states_share_a_register(make_point, make_profile):
    profile = make_profile(
        make_point("input_1", ValueType.U16, 1, bit_mask=1),
        make_point("input_2", ValueType.U16, 1, bit_mask=4, bit_shift=2),
    )
    moment = FixedMoment(states={"input_1": 1, "input_2": 1})
    assert words(ask(SimulatedDevice("S", profile, 1, moment), 0, 1)) == [5]


def test_bits_of_function_2_are_packed_low_bit_first(make_point, make_profile):
    points = [make_point(f"input_{n}", ValueType.U16, 1, address=n, function_code=2) for n in range(1, 11)]
    moment = FixedMoment(states={f"input_{n}": int(n in (1, 3, 10)) for n in range(1, 11)})
    device = SimulatedDevice("S", make_profile(*points, max_registers=5), 1, moment)
    assert ask(device, 1, 10, function_code=2) == bytes((2, 2, 0b00000101, 0b00000010))


def test_model_code_read_alone_and_voltage_read_in_a_block(make_point, make_profile):
    # Carlo Gavazzi EM340: 000Bh alone is the identification code 341
    profile = make_profile(
        make_point("voltage_l31", ValueType.S32, 2, address=0xA, scale=F(1, 10)),
        make_point("model", ValueType.U16, 1, address=0xB, quantity=None),
        identity=(IdentityDef("model", (341,)),),
    )
    device = SimulatedDevice("EM340", profile, 1, FixedMoment({"voltage_l31": 400.0}))
    assert words(ask(device, 0xB, 1)) == [341]
    assert words(ask(device, 0xA, 2)) == [0, 4000]


def test_device_with_two_units_answers_each_from_its_own_registers(make_point, make_profile):
    profile = make_profile(
        make_point("voltage_l1_n", ValueType.U16, 1),
        make_point("voltage_l2_n", ValueType.U16, 1, unit_offset=1),
        units=2,
    )
    device = SimulatedDevice("CX", profile, 7, FixedMoment({"voltage_l1_n": 231, "voltage_l2_n": 232}))
    assert list(device.unit_ids) == [7, 8]
    assert words(ask(device, 0, 1, unit_id=7)) == [231]
    assert words(ask(device, 0, 1, unit_id=8)) == [232]


class Counting:
    def __init__(self) -> None:
        self.total = F(0)

    def at(self, ts_ms: int) -> FixedMoment:
        return FixedMoment(counters={"active_energy_import": self.total})


def test_counter_shows_whole_counts_and_keeps_the_rest(make_point, make_profile):
    source = Counting()
    profile = make_profile(make_point("active_energy_import", ValueType.U32, 2, scale=F(10)))
    device = SimulatedDevice("C", profile, 1, source)
    shown = []
    for _ in range(4):
        source.total += F(25, 2)
        shown.append(words(ask(device, 0, 2))[1])
    assert shown == [1, 2, 3, 5]


def test_counter_reset_starts_again_from_zero(make_point, make_profile):
    source = Counting()
    source.total = F(70_000)
    profile = make_profile(
        make_point("active_energy_import", ValueType.U32, 2),
        make_point("voltage_l1_n", ValueType.U16, 1, address=2),
        make_point("active_energy_export", ValueType.U32, 2, address=3),
    )
    device = SimulatedDevice("C", profile, 1, source)
    assert words(ask(device, 0, 2)) == [1, 4464]
    device.carry_out(InjectedFault.COUNTER_RESET)
    assert words(ask(device, 0, 2)) == [0, 0]
    source.total += 9
    assert words(ask(device, 0, 2)) == [0, 9]


def test_rollover_passes_the_end_of_the_range(make_point, make_profile):
    source = Counting()
    profile = make_profile(
        make_point("active_energy_import", ValueType.U32, 2, modulus=10_000_000),
        make_point("copy", ValueType.FLOAT32, 2, address=2, quantity="active_energy_import", resolution=F(1)),
    )
    device = SimulatedDevice("C", profile, 1, source)
    device.carry_out(InjectedFault.ROLLOVER)
    assert words(ask(device, 0, 4)) == [*divmod(9_999_997, 65536), 0, 0]
    source.total += 4
    assert words(ask(device, 0, 2)) == [0, 1]
