"""How long a line takes, against numbers worked out by hand and published tables."""

from __future__ import annotations

import math

import pytest
from modbus_fakes import INSTANTS, equip, live_profile, make_gateway, make_point, make_profile

from emdx_desktop.domain.bus_timing import (
    CyclePrediction,
    PlannedRequest,
    character_bits,
    predict_cycle,
    reply_bytes,
    request_time_s,
    silent_interval_s,
    timeout_s,
)
from emdx_desktop.domain.installation import Gateway, LineSettings, LinkScheme, Parity
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.profiles import Priority
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.modbus.planner import plan_bus


def request(count: int, function_code: int = 3) -> PlannedRequest:
    return PlannedRequest(DeviceId(1), 1, function_code, 0, count, ("live",), Priority.LIVE)


def predict(gateway: Gateway, devices: list[EquippedDevice]) -> CyclePrediction:
    return predict_cycle(plan_bus(gateway, devices), gateway, devices)


@pytest.mark.parametrize(
    ("line", "bits"),
    [
        (LineSettings(9600), 10),
        (LineSettings(9600, Parity.EVEN), 11),
        (LineSettings(9600, stopbits=2), 11),
        (LineSettings(9600, Parity.ODD, databits=7), 10),
    ],
)
def test_a_character_is_as_many_bits_as_its_settings_say(line: LineSettings, bits: int) -> None:
    assert character_bits(line) == bits


def test_the_silent_interval_is_fixed_above_19200_baud() -> None:
    assert silent_interval_s(LineSettings(9600)) == pytest.approx(0.003646, abs=1e-6)
    assert silent_interval_s(LineSettings(19200, Parity.EVEN)) == pytest.approx(0.002005, abs=1e-6)
    assert silent_interval_s(LineSettings(38400)) == 0.00175


# 10 bits a character, from the table of the line limit: two reads of 60, one of 125
@pytest.mark.parametrize(
    ("baud", "response_ms", "two_of_60_ms", "one_of_125_ms"),
    [
        (9600, 20, 324.4, 297.6),
        (9600, 50, 384.4, 327.6),
        (9600, 100, 484.4, 377.6),
        (19200, 20, 182.2, 158.8),
        (19200, 100, 342.2, 238.8),
        (38400, 20, 112.8, 90.2),
        (38400, 50, 172.8, 120.2),
    ],
)
def test_a_read_takes_as_long_as_the_table_says(
    baud: int, response_ms: float, two_of_60_ms: float, one_of_125_ms: float
) -> None:
    line = LineSettings(baud)
    assert 2000 * request_time_s(request(60), line, response_ms) == pytest.approx(two_of_60_ms, abs=0.1)
    assert 1000 * request_time_s(request(125), line, response_ms) == pytest.approx(one_of_125_ms, abs=0.1)


def test_a_fast_device_still_waits_for_the_silent_interval() -> None:
    line = LineSettings(9600)
    assert request_time_s(request(1), line, 0) == pytest.approx(15 * 10 / 9600 + 2 * 3.5 * 10 / 9600)


def test_ascii_takes_two_characters_a_byte_and_no_silence() -> None:
    # ":" + 01 03 00 00 00 0A F2 + CR LF = 17; ":" + 01 03 14 + 20 bytes + LRC + CR LF = 51
    line = LineSettings(9600, Parity.EVEN, databits=7)
    assert request_time_s(request(10), line, 30, LinkScheme.ASCII) == pytest.approx((17 + 51) * 10 / 9600 + 0.03)


def test_bits_come_eight_to_a_byte_and_ethernet_meters_have_no_line() -> None:
    assert (reply_bytes(1, 9), reply_bytes(2, 8), reply_bytes(4, 3)) == (7, 6, 11)
    assert request_time_s(request(100), None, 30) == 0.03


def test_a_time_out_is_never_shorter_than_the_line() -> None:
    assert timeout_s(request(10), make_gateway(timeout_ms=500, line=LineSettings(9600)), 20) == 0.5
    slow = make_gateway(timeout_ms=500, line=LineSettings(1200))
    assert timeout_s(request(125), slow, 20) > 263 * 10 / 1200


def test_the_cycle_of_32_devices_is_the_tables() -> None:
    devices = equip(live_profile(120, response_ms=20), range(1, 33))
    gateway = make_gateway(line=LineSettings(9600))
    prediction = predict(gateway, devices)
    assert prediction.line_limit_s == pytest.approx(9.19, abs=0.01)
    assert prediction.live_cycle_s == prediction.mean_cycle_s == pytest.approx(9.19, abs=0.01)
    assert prediction.live_requests == 32
    assert prediction.live_registers == 32 * 120
    assert sum(prediction.device_shares.values()) == pytest.approx(1)
    assert prediction.load_ratio == pytest.approx(1)
    assert prediction.dead_device_s == 0.5


def test_pauses_and_slower_groups_stretch_the_mean_cycle() -> None:
    points = [
        make_point(INSTANTS[0], 0),
        make_point(INSTANTS[1], 0x200),
        make_point(INSTANTS[2], 0x400, group="minute"),
    ]
    gateway = make_gateway(line=LineSettings(1200), pause_ms=100)
    prediction = predict(gateway, equip(make_profile(points, pause_ms=500), range(1, 6)))
    one_s = 15 * 10 / 1200 + 2 * 3.5 * 10 / 1200  # the latency of 20 ms hides in the silent interval
    live_s = 5 * (2 * one_s + 2 * 0.1 + 0.5)
    minute_s = 5 * (one_s + 0.1 + 0.5)
    assert prediction.live_cycle_s == pytest.approx(live_s)
    assert prediction.mean_cycle_s == pytest.approx(live_s / (1 - minute_s / 60))
    assert prediction.full_cycle_s == pytest.approx(live_s + minute_s)
    assert prediction.load_ratio < 0.6


def test_a_line_that_slower_groups_fill_never_gets_round() -> None:
    points = [make_point(INSTANTS[0], 0)] + [
        make_point(INSTANTS[i], 0x200 * i, 2, group="minute") for i in range(1, 30)
    ]
    prediction = predict(make_gateway(line=LineSettings(1200)), equip(make_profile(points), range(1, 33)))
    assert prediction.mean_cycle_s == math.inf
    assert prediction.load_ratio == 1.0
    assert "longer than a minute" in prediction.advice[0]


def test_nothing_live_has_no_cycle() -> None:
    profile = make_profile([make_point(INSTANTS[0], 0, group="minute")])
    prediction = predict(make_gateway(line=LineSettings()), equip(profile, [1]))
    assert (prediction.live_cycle_s, prediction.mean_cycle_s, prediction.device_shares) == (0.0, 0.0, {})
    assert "nothing needs to be changed" in prediction.advice[0]


def test_a_meter_on_ethernet_and_a_port_of_this_pc_are_predicted_too() -> None:
    prediction = predict(make_gateway(), equip(live_profile(10), [1]))
    assert prediction.live_cycle_s == 1.0
    serial = make_gateway(LinkScheme.RTU, serial_port="/dev/ttyUSB0", line=LineSettings(38400))
    prediction = predict(serial, equip(live_profile(120), range(1, 33)))
    assert 1.0 < prediction.live_cycle_s / prediction.line_limit_s < 1.02
    ascii_tcp = make_gateway(LinkScheme.ASCII_TCP, line=LineSettings(38400))
    prediction = predict(ascii_tcp, equip(live_profile(120), range(1, 33)))
    assert prediction.live_cycle_s > prediction.line_limit_s


def test_advice_names_speed_parity_second_gateway_and_the_heaviest_device() -> None:
    heavy = equip(live_profile(125, response_ms=2000), [40])
    light = equip(live_profile(20), range(1, 10))
    gateway = make_gateway(line=LineSettings(9600, Parity.EVEN))
    advice = " ".join(predict(gateway, [*light, *heavy]).advice)
    assert "38400 baud" in advice
    assert "second gateway" in advice
    assert "D40 alone takes" in advice
    assert "silent" in advice
    advice = " ".join(predict(gateway, equip(live_profile(125), range(1, 33))).advice)
    assert "no parity" in advice
    assert "alone takes" not in advice


def test_advice_for_the_fastest_line_does_not_promise_more_speed() -> None:
    gateway = make_gateway(line=LineSettings(115200))
    advice = predict(gateway, equip(live_profile(125), range(1, 61))).advice
    assert not any("baud" in text for text in advice)
    single = predict(make_gateway(line=LineSettings(115200), pause_ms=2000), equip(live_profile(125), [1])).advice
    assert len(single) == 1
    wide = predict(make_gateway(pause_ms=500), equip(live_profile(125), [1, 2, 3])).advice
    assert any("second gateway" in text for text in wide)
