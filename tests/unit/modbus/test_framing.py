"""Finding the reply in what a line delivers."""

from __future__ import annotations

import pytest
from modbus_frames import ascii_frame, crc16, mbap, refusal_pdu, reply_pdu, rtu

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import LinkScheme, TransactionIdCheck
from emdx_desktop.domain.readings import FaultKind
from emdx_desktop.modbus.framing import (
    MAX_PENDING_BYTES,
    AsciiFraming,
    Framing,
    MbapFraming,
    RtuFraming,
    make_framing,
)
from emdx_desktop.modbus.requests import ReadRequest

REQUEST = ReadRequest(5, 3, 0xC558, 3)
WORDS = (0x0003, 0x9918, 0x0052)
PDU = reply_pdu(WORDS)


def fault_of(framing: Framing, data: bytes) -> LinkFault:
    def exchange() -> None:
        assert framing.feed(data) is None
        framing.finish()

    with pytest.raises(LinkFault) as caught:
        exchange()
    return caught.value


def flood(framing: Framing, data: bytes, times: int) -> LinkFault:
    def exchange() -> None:
        for _ in range(times):
            framing.feed(data)

    with pytest.raises(LinkFault) as caught:
        exchange()
    return caught.value


def start(framing: Framing) -> bytes:
    return framing.encode(REQUEST)


def tid_of(request: bytes) -> int:
    return int.from_bytes(request[:2], "big")


def test_requests_are_framed_as_the_standard_says() -> None:
    pdu = bytes.fromhex("03C5580003")
    assert start(RtuFraming()) == rtu(5, pdu)
    assert start(AsciiFraming()) == ascii_frame(5, pdu)
    frame = start(MbapFraming(TransactionIdCheck.STRICT))
    assert frame == mbap(tid_of(frame), 5, pdu)


@pytest.mark.parametrize("scheme", list(LinkScheme))
def test_each_link_gets_its_framing(scheme: LinkScheme) -> None:
    framing = make_framing(scheme, TransactionIdCheck.STRICT)
    assert framing.has_reliable_tid == (scheme is LinkScheme.TCP)


@pytest.mark.parametrize("check", [TransactionIdCheck.ACCEPT_ZERO, TransactionIdCheck.OFF])
def test_ids_that_are_not_checked_strictly_are_not_relied_on(check: TransactionIdCheck) -> None:
    assert not make_framing(LinkScheme.TCP, check).has_reliable_tid


@pytest.mark.parametrize(
    "noise", [b"\x00", b"\xff", b"\x01", b"\x55", b"\x05", b"\x05\x03", b"\x05\x03\x06", b"\x83" * 9]
)
def test_noise_before_an_rtu_reply_does_not_lose_it(noise: bytes) -> None:
    framing = RtuFraming()
    start(framing)
    words = framing.feed(noise + rtu(5, PDU))
    assert (words or framing.finish()) == WORDS


def test_local_echo_is_passed_over_in_rtu_and_ascii() -> None:
    for framing, frame in ((RtuFraming(), rtu(5, PDU)), (AsciiFraming(), ascii_frame(5, PDU))):
        sent = start(framing)
        assert framing.feed(sent) is None
        assert framing.feed(frame) == WORDS


def test_local_echo_whose_address_looks_like_a_byte_count_is_passed_over() -> None:
    framing = RtuFraming()
    sent = framing.encode(ReadRequest(5, 3, 0x0600, 3))  # 05 03 06 ...: the beginning of the right reply
    assert framing.feed(sent) is None
    assert framing.feed(rtu(5, PDU)) == WORDS


@pytest.mark.parametrize("make", [RtuFraming, AsciiFraming, lambda: MbapFraming(TransactionIdCheck.STRICT)])
def test_a_reply_split_at_every_position_is_put_together(make: type[Framing]) -> None:
    framing = make()
    for cut in range(1, 200):
        sent = start(framing)
        frame = {
            RtuFraming: lambda: rtu(5, PDU),
            AsciiFraming: lambda: ascii_frame(5, PDU),
            MbapFraming: lambda sent=sent: mbap(tid_of(sent), 5, PDU),
        }[type(framing)]()
        if cut >= len(frame):
            break
        assert framing.feed(frame[:cut]) is None
        assert framing.feed(frame[cut:]) == WORDS
    sent = start(framing)
    assert cut > 10


def test_a_reply_that_comes_byte_by_byte_is_put_together() -> None:
    framing = RtuFraming()
    start(framing)
    results = [framing.feed(bytes([byte])) for byte in b"\x00" + rtu(5, PDU)]
    assert results[:-1] == [None] * (len(results) - 1)
    assert results[-1] == WORDS


def test_a_serial_port_is_told_how_many_bytes_to_wait_for() -> None:
    framing = RtuFraming()
    start(framing)
    assert framing.missing_bytes() == 5
    framing.feed(rtu(5, PDU)[:4])
    assert framing.missing_bytes() == 7
    framing.encode(REQUEST)
    framing.feed(b"\x00\x01")
    assert framing.missing_bytes() == 3
    ascii_framing = AsciiFraming()
    start(ascii_framing)
    assert ascii_framing.missing_bytes() == 11
    ascii_framing.feed(b":0503060003")
    assert ascii_framing.missing_bytes() == 12  # 9918 0052, check sum, end of line
    start(ascii_framing)
    ascii_framing.feed(b"::0503060003")
    assert ascii_framing.missing_bytes() == 1
    assert MbapFraming(TransactionIdCheck.STRICT).missing_bytes() == 1


def test_two_replies_in_one_segment_give_the_first_and_leave_a_trace() -> None:
    framing = RtuFraming()
    start(framing)
    assert framing.feed(rtu(5, PDU) + rtu(5, PDU)) == WORDS
    assert framing.has_leftover


@pytest.mark.parametrize("framing", [RtuFraming(), AsciiFraming()])
def test_a_damaged_reply_is_told_from_silence(framing: Framing) -> None:
    start(framing)
    good = rtu(5, PDU) if isinstance(framing, RtuFraming) else ascii_frame(5, PDU)
    bad = good.replace(b"\x99", b"\x98") if isinstance(framing, RtuFraming) else good.replace(b"99", b"98")
    assert fault_of(framing, bad).kind is FaultKind.CRC
    start(framing)
    assert fault_of(framing, b"").kind is FaultKind.TIMEOUT


def test_a_cut_off_reply_is_damage() -> None:
    framing = RtuFraming()
    start(framing)
    assert fault_of(framing, rtu(5, PDU)[:-1]).kind is FaultKind.CRC


def test_a_reply_behind_something_that_looked_like_its_beginning_is_found_at_the_deadline() -> None:
    framing = RtuFraming()
    start(framing)
    refusal = rtu(5, refusal_pdu(2))
    assert framing.feed(b"\x05\x03\x06" + refusal) is None
    with pytest.raises(LinkFault) as caught:
        framing.finish()
    assert caught.value.exception_code == 2


@pytest.mark.parametrize(
    "frame",
    [
        rtu(6, PDU),
        rtu(5, reply_pdu(WORDS, 4)),
        rtu(5, reply_pdu(WORDS[:2])),
        rtu(5, refusal_pdu(2, 4)),
        rtu(5, bytes.fromhex("06C5580003")),
        rtu(7, bytes.fromhex("03C5580003")),  # another master asks
        rtu(5, bytes.fromhex("03C5600003")),  # another master asks the same device
    ],
)
def test_an_intact_frame_of_somebody_else_is_refused_at_once(frame: bytes) -> None:
    framing = RtuFraming()
    start(framing)
    with pytest.raises(LinkFault) as caught:
        framing.feed(frame)
    assert caught.value.kind is FaultKind.PROTOCOL


def test_somebody_elses_frame_behind_noise_is_no_mere_damage() -> None:
    framing = RtuFraming()
    start(framing)
    assert fault_of(framing, b"\x00" + rtu(9, PDU)).kind is FaultKind.PROTOCOL


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 200])
def test_refusals_carry_their_code(code: int) -> None:
    for framing in (RtuFraming(), AsciiFraming(), MbapFraming(TransactionIdCheck.STRICT)):
        sent = start(framing)
        frame = {
            RtuFraming: rtu(5, refusal_pdu(code)),
            AsciiFraming: ascii_frame(5, refusal_pdu(code)),
            MbapFraming: mbap(tid_of(sent), 5, refusal_pdu(code)),
        }[type(framing)]
        fault = fault_of(framing, frame)
        assert (fault.kind, fault.exception_code) == (FaultKind.EXCEPTION, code)
        assert fault.retryable == (code not in (1, 2, 3))


@pytest.mark.parametrize(
    "noise",
    [b"\xff\x00", b":", b":05", b":zz\r\n", b"\r\n", b":0503\r\n", b":05\r\n", b"::::"],
)
def test_noise_before_an_ascii_reply_does_not_lose_it(noise: bytes) -> None:
    framing = AsciiFraming()
    start(framing)
    assert framing.feed(noise + ascii_frame(5, PDU)) == WORDS


def test_an_ascii_frame_of_another_unit_is_refused() -> None:
    framing = AsciiFraming()
    start(framing)
    assert fault_of(framing, ascii_frame(6, PDU)).kind is FaultKind.PROTOCOL


def test_bits_come_eight_to_a_byte_lowest_first() -> None:
    framing = RtuFraming()
    framing.encode(ReadRequest(5, 1, 0, 10))
    assert framing.feed(rtu(5, bytes([1, 2, 0b1000_0101, 0b10]))) == (1, 0, 1, 0, 0, 0, 0, 1, 0, 1)
    framing.encode(ReadRequest(5, 2, 0, 3))
    assert framing.feed(rtu(5, bytes([2, 1, 0b110]))) == (0, 1, 1)


# --- transaction ids -----------------------------------------------------------------------------------


def test_a_late_reply_with_another_id_is_passed_over() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    late = tid_of(start(framing))
    now = tid_of(start(framing))
    assert framing.feed(mbap(late, 5, reply_pdu((1, 2, 3)))) is None
    assert framing.feed(mbap(now, 5, PDU)) == WORDS


def test_strict_does_not_take_a_zero_id_and_says_what_came() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    start(framing)
    fault = fault_of(framing, mbap(0, 5, PDU))
    assert fault.kind is FaultKind.TIMEOUT
    assert "another transaction id" in str(fault)


def test_zero_ids_are_taken_where_allowed_and_any_where_off() -> None:
    framing = MbapFraming(TransactionIdCheck.ACCEPT_ZERO)
    sent = start(framing)
    assert framing.feed(mbap(tid_of(sent) ^ 0x1234, 5, reply_pdu((7, 7, 7)))) is None
    assert framing.feed(mbap(0, 5, PDU)) == WORDS
    framing = MbapFraming(TransactionIdCheck.OFF)
    sent = start(framing)
    assert framing.feed(mbap(tid_of(sent) ^ 1, 5, PDU)) == WORDS


def test_an_id_is_never_zero_and_returns_only_after_all_others() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    ids = [framing._next_tid() for _ in range(65_535)]
    assert len(set(ids)) == 65_535
    assert 0 not in ids


def test_a_late_reply_in_two_pieces_around_the_next_request_keeps_the_stream_in_step() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    late = mbap(tid_of(start(framing)), 5, PDU)
    assert framing.feed(late[:9]) is None
    now = tid_of(start(framing))
    assert framing.feed(late[9:] + mbap(now, 5, PDU)) == WORDS


@pytest.mark.parametrize("length", [0, 1, 255, 65535])
def test_an_impossible_length_ends_the_exchange(length: int) -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    sent = start(framing)
    assert fault_of(framing, mbap(tid_of(sent), 5, PDU, length=length)).kind is FaultKind.PROTOCOL


def test_another_protocol_id_ends_the_exchange() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    sent = start(framing)
    assert fault_of(framing, mbap(tid_of(sent), 5, PDU, protocol=1)).kind is FaultKind.PROTOCOL


@pytest.mark.parametrize(
    "pdu",
    [
        reply_pdu(WORDS, 4),
        reply_pdu(WORDS[:2]),
        reply_pdu((*WORDS, 1)),
        b"\x03\x06\x00\x01",
        b"\x03\x04" + PDU[2:],
        b"\x03\x05" + PDU[2:7],
        b"\x03\x07" + PDU[2:] + b"\x00",
        b"\x03\x00",
        b"\x03",
        b"\x83",
        b"\x83\x02\x00",
        b"\x84\x02",
        b"\x80\x02",
        b"\x10\xc5\x58\x00\x03",
    ],
)
def test_a_reply_that_does_not_fit_its_request_is_never_good(pdu: bytes) -> None:
    for framing in (MbapFraming(TransactionIdCheck.STRICT), AsciiFraming()):
        sent = start(framing)
        frame = mbap(tid_of(sent), 5, pdu) if isinstance(framing, MbapFraming) else ascii_frame(5, pdu)
        assert fault_of(framing, frame).kind in (FaultKind.PROTOCOL, FaultKind.CRC)


def test_another_unit_under_the_right_id_is_refused() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    sent = start(framing)
    assert fault_of(framing, mbap(tid_of(sent), 6, PDU)).kind is FaultKind.PROTOCOL


# --- bounded -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("byte", [b"\x00", b"\x05", b"\x55", b"\xff", b":"])
def test_a_stream_of_garbage_stays_bounded(byte: bytes) -> None:
    for framing in (RtuFraming(), AsciiFraming(), MbapFraming(TransactionIdCheck.STRICT)):
        start(framing)
        assert flood(framing, byte * 64, 200).kind is FaultKind.PROTOCOL
        assert len(framing._buffer) <= MAX_PENDING_BYTES


def test_a_reply_in_front_of_a_flood_is_still_taken() -> None:
    framing = RtuFraming()
    start(framing)
    assert framing.feed(rtu(5, PDU) + b"\x00" * 100_000) == WORDS
    assert len(framing._buffer) <= MAX_PENDING_BYTES


def test_a_flood_of_replies_with_other_ids_ends_the_exchange() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    sent = start(framing)
    stray = mbap(tid_of(sent) ^ 1, 5, PDU)
    assert flood(framing, stray, 2000).kind is FaultKind.PROTOCOL


def test_late_replies_between_requests_are_forgotten_and_garbage_is_told() -> None:
    framing = MbapFraming(TransactionIdCheck.STRICT)
    sent = start(framing)
    late = mbap(tid_of(sent), 5, PDU)
    framing.take_idle(late[:5])
    framing.take_idle(late[5:] + late[:8])
    framing.take_idle(late[8:])
    now = tid_of(start(framing))
    assert framing.feed(mbap(now, 5, PDU)) == WORDS
    for garbage in (b"\xff" * 20, mbap(1, 5, PDU, length=0), b"\x00" * 10_000):
        with pytest.raises(LinkFault):
            framing.take_idle(garbage)


def test_the_check_sum_of_the_tests_is_the_standards() -> None:
    assert crc16(bytes.fromhex("0207")) == bytes.fromhex("4112")  # Serial Line V1.02, appendix B
