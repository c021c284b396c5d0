"""The line's own timing, against the formula of the document, worked out here again by hand."""

import math

import pytest

from emdx_desktop.domain.installation import LineSettings, Parity
from emdx_desktop.simulator.faults import FaultSwitches, InjectedFault
from emdx_desktop.simulator.frames import Framing, Request, build_rtu_frame
from emdx_desktop.simulator.line import SimulatedLine, compute_character_s, compute_silence_s


class Echo:
    """Answers with as many registers as were asked for."""

    def __init__(self, name: str = "echo", latency_s: float = 0.02):
        self.name = name
        self.latency_s = latency_s
        self.asked_at: list[int] = []

    def answer(self, unit_id: int, pdu: bytes, ts_ms: int) -> bytes:
        self.asked_at.append(ts_ms)
        count = int.from_bytes(pdu[3:5], "big")
        return bytes((pdu[0], 2 * count)) + bytes(2 * count)


def read(unit_id: int, count: int) -> Request:
    return Request(unit_id, b"\x03\x00\x00" + count.to_bytes(2, "big"))


def line_of(station: Echo, settings: LineSettings | None, **options) -> SimulatedLine:
    return SimulatedLine("line", {5: station}, settings, now_ms=lambda: 1_000_000.0, **options)


@pytest.mark.parametrize(
    ("settings", "bits"),
    [
        (LineSettings(9600), 10),
        (LineSettings(9600, Parity.EVEN), 11),
        (LineSettings(9600, Parity.NONE, 2), 11),
        (LineSettings(9600, Parity.EVEN, 1, 7), 10),
    ],
)
def test_character_has_start_data_parity_and_stop_bits(settings: LineSettings, bits: int):
    assert compute_character_s(settings) == pytest.approx(bits / 9600)


def test_silence_is_three_and_a_half_characters_and_fixed_above_19200():
    assert compute_silence_s(LineSettings(9600)) == pytest.approx(3.5 * 10 / 9600)
    assert compute_silence_s(LineSettings(19200, Parity.EVEN)) == pytest.approx(3.5 * 11 / 19200)
    assert compute_silence_s(LineSettings(38400)) == 0.00175


@pytest.mark.parametrize("baud", [1200, 9600, 19200, 38400, 115200])
@pytest.mark.parametrize("bits", [10, 11])
@pytest.mark.parametrize("latency_s", [0.0, 0.02, 0.1])
def test_read_takes_what_the_formula_says(baud: int, bits: int, latency_s: float):
    settings = LineSettings(baud, Parity.NONE if bits == 10 else Parity.ODD)
    line = line_of(Echo(latency_s=latency_s), settings)
    silence_s = 0.00175 if baud > 19200 else 3.5 * bits / baud
    for registers in (1, 60, 125):
        expected = (8 + 5 + 2 * registers) * bits / baud + max(latency_s, silence_s) + silence_s
        transaction = line.begin(read(5, registers), line_end(line), 1.0)
        assert transaction.free - transaction.start == pytest.approx(expected, rel=1e-9)


def line_end(line: SimulatedLine) -> float:
    return line.busy_s + 100.0


def test_cycle_of_32_devices_does_not_drift_however_late_the_timers_are():
    # performance table: 9600 baud, 20 ms, 1x120 registers, 10 bits, 32 devices: 9.19 s
    line = line_of(Echo(), LineSettings(9600))
    now = 50.0
    for _ in range(32):
        transaction = line.begin(read(5, 120), now, 1.0)
        now = transaction.last_byte + 0.9 * line.silence_s  # a timer that is always late, within the silence
    assert transaction.free - 50.0 == pytest.approx(9.19, abs=0.01)
    assert line.transactions == 32
    assert line.busy_s == pytest.approx(transaction.free - 50.0)


def test_request_waits_until_the_line_is_free():
    line = line_of(Echo(), LineSettings(9600))
    first = line.begin(read(5, 10), 10.0, 1.0)
    assert line.begin(read(5, 10), 10.001, 1.0).start == first.free


def test_values_are_of_the_moment_the_request_has_arrived():
    station = Echo()
    line_of(station, LineSettings(9600)).begin(read(5, 10), 10.0, 1.0)
    assert station.asked_at == [1_000_000 + math.floor(8 * 10 / 9600 * 1000)]


def test_ascii_takes_two_characters_a_byte():
    line = line_of(Echo(latency_s=0.05), LineSettings(9600, Parity.EVEN, 1, 7), framing=Framing.ASCII)
    transaction = line.begin(read(5, 10), 10.0, 1.0)
    characters = 17 + 1 + 2 * (1 + 2 + 20 + 1) + 2
    expected = characters * 10 / 9600 + 0.05 + 3.5 * 10 / 9600
    assert transaction.free - transaction.start == pytest.approx(expected)


def test_ethernet_meter_has_no_characters_to_wait_for():
    transaction = line_of(Echo(latency_s=0.01), None, framing=Framing.TCP).begin(read(5, 10), 10.0, 1.0)
    assert transaction.free - transaction.start == pytest.approx(0.01)


def test_silent_or_unknown_device_blocks_the_line_for_the_time_out():
    switches = FaultSwitches()
    line = line_of(Echo(), LineSettings(9600), faults=switches)
    switches.switch_on("echo", InjectedFault.SILENT)
    for unit_id in (5, 9):
        transaction = line.begin(read(unit_id, 10), line_end(line), 0.5)
        assert transaction.is_timed_out
        assert transaction.free - transaction.sent == pytest.approx(0.5)
        assert transaction.frame == b""


def test_on_a_serial_port_nobody_but_the_client_waits():
    line = line_of(Echo(), LineSettings(9600))
    transaction = line.begin(read(9, 10), 10.0, None)
    assert transaction.free - transaction.sent == pytest.approx(line.silence_s)


def test_broadcast_is_heard_by_all_and_answered_by_none():
    station = Echo()
    transaction = line_of(station, LineSettings(9600)).begin(read(0, 10), 10.0, 1.0)
    assert station.asked_at
    assert transaction.frame == b""
    assert transaction.free - transaction.sent == pytest.approx(0.1)


@pytest.mark.parametrize("framing", list(Framing))
def test_faults_of_the_line_spoil_the_frame(framing: Framing):
    switches = FaultSwitches()
    settings = None if framing is Framing.TCP else LineSettings(9600)
    line = line_of(Echo(), settings, framing=framing, faults=switches)
    good = line.begin(read(5, 2), 10.0, 1.0)
    assert good.pdu == b"\x03\x04\0\0\0\0"
    for kind in (InjectedFault.BAD_CRC, InjectedFault.NOISE_BYTE, InjectedFault.GARBAGE):
        switches.switch_on("line", kind, times=1)
        spoiled = line.begin(read(5, 2), line_end(line), 1.0)
        assert spoiled.frame != good.frame
        assert spoiled.pdu == b""
        if kind is InjectedFault.NOISE_BYTE:
            assert spoiled.frame[1:] == good.frame
        else:
            assert len(spoiled.frame) == len(good.frame)


def test_bad_check_sum_of_an_ascii_frame_is_still_a_digit():
    switches = FaultSwitches()
    line = line_of(Echo(), LineSettings(9600), framing=Framing.ASCII, faults=switches)
    switches.switch_on("line", InjectedFault.BAD_CRC)
    for unit in range(1, 40):
        line.stations[unit] = Echo()
        frame = line.begin(read(unit, 1), line_end(line), 1.0).frame
        bytes.fromhex(frame[1:-2].decode())
        assert -sum(bytes.fromhex(frame[1:-4].decode())) & 0xFF != int(frame[-4:-2], 16)


def test_wrong_unit_exception_late_and_dropped_connection():
    switches = FaultSwitches()
    line = line_of(Echo(), LineSettings(9600), faults=switches)
    switches.switch_on("echo", InjectedFault.WRONG_UNIT, times=1)
    wrong = line.begin(read(5, 1), 10.0, 1.0)
    assert (wrong.unit_id, wrong.frame) == (6, build_rtu_frame(6, b"\x03\x02\0\0"))
    switches.switch_on("echo", InjectedFault.EXCEPTION, exception_code=6, times=1)
    assert line.begin(read(5, 1), 20.0, 1.0).pdu == b"\x83\x06"
    switches.switch_on("echo", InjectedFault.LATE, delay_ms=300, times=1)
    late = line.begin(read(5, 1), 30.0, 1.0)
    assert late.first_byte - late.sent == pytest.approx(0.32)
    assert not late.is_timed_out
    switches.switch_on("echo", InjectedFault.LATE, delay_ms=1300, times=1)
    too_late = line.begin(read(5, 1), 40.0, 1.0)
    assert too_late.is_timed_out
    assert too_late.free - too_late.sent == pytest.approx(1.0)
    switches.switch_on("line", InjectedFault.DROPPED_CONNECTION, times=1)
    assert line.begin(read(5, 1), 50.0, 1.0).is_dropped
