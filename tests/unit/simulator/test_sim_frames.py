import pytest

from emdx_desktop.simulator.frames import (
    AsciiRequestReader,
    BrokenStreamError,
    Framing,
    Request,
    RtuRequestReader,
    TcpRequestReader,
    build_ascii_frame,
    build_frame,
    build_rtu_frame,
    build_tcp_frame,
    compute_crc,
    compute_lrc,
    count_line_bytes,
    new_reader,
)

# Modbus over Serial Line V1.02, section 6.2.2: a message 02 07 has the check sum 1241h, sent as 41 12.
# The other frames are worked out by hand from the same document and the MBAP header of the TCP guide.
READ_10_OF_UNIT_17 = bytes.fromhex("11 03 00 6B 00 03 76 87")


def test_crc_of_the_documents_example():
    assert compute_crc(bytes.fromhex("02 07")) == bytes.fromhex("41 12")
    assert compute_crc(READ_10_OF_UNIT_17[:-2]) == READ_10_OF_UNIT_17[-2:]


def test_lrc_is_the_twos_complement_of_the_sum():
    assert compute_lrc(bytes.fromhex("11 03 00 6B 00 03")) == 0x7E


def test_frames_as_they_stand_on_the_wire():
    pdu = bytes.fromhex("03 00 6B 00 03")
    assert build_rtu_frame(0x11, pdu) == READ_10_OF_UNIT_17
    assert build_ascii_frame(0x11, pdu) == b":1103006B00037E\r\n"
    assert build_tcp_frame(0x1501, 0xFF, bytes.fromhex("03 02 00 05")) == bytes.fromhex(
        "15 01 00 00 00 05 FF 03 02 00 05"
    )


def test_answer_goes_back_in_the_framing_and_with_the_transaction_of_its_request():
    request = Request(5, b"\x03\x00\x00\x00\x01", transaction_id=0x0102)
    reply = b"\x03\x02\x00\x07"
    assert build_frame(Framing.TCP, request, reply) == bytes.fromhex("01 02 00 00 00 05 05 03 02 00 07")
    assert build_frame(Framing.RTU, request, reply) == build_rtu_frame(5, reply)
    assert build_frame(Framing.ASCII, request, reply, unit_id=6) == build_ascii_frame(6, reply)


def test_line_characters_of_a_read_and_its_reply():
    # performance formula: 8 characters out, 5 + 2n back; ASCII: colon, two digits a byte, CR LF
    assert count_line_bytes(Framing.RTU, bytes(5)) == 8
    assert count_line_bytes(Framing.RTU, bytes(2 + 240)) == 245
    assert count_line_bytes(Framing.ASCII, bytes(5)) == 17


@pytest.mark.parametrize("framing", list(Framing))
def test_request_is_found_however_it_is_cut_into_segments(framing: Framing):
    pdu = bytes.fromhex("03 C5 58 00 02")
    stream = build_frame(framing, Request(5, pdu, 7), pdu) + build_frame(framing, Request(6, pdu, 8), pdu)
    for cut in range(1, len(stream)):
        reader = new_reader(framing)
        found = reader.feed(stream[:cut]) + reader.feed(stream[cut:])
        assert [(request.unit_id, request.pdu) for request in found] == [(5, pdu), (6, pdu)]


def test_rtu_reader_finds_the_frame_after_noise():
    reader = RtuRequestReader()
    assert [r.unit_id for r in reader.feed(b"\x55\xff" + READ_10_OF_UNIT_17)] == [0x11]


def test_rtu_reader_knows_writes_and_functions_without_a_known_length():
    write = build_rtu_frame(1, bytes.fromhex("10 00 01 00 01 02 00 07"))
    masked = build_rtu_frame(1, bytes.fromhex("16 00 04 00 F2 00 25"))
    both = build_rtu_frame(1, bytes.fromhex("17 00 03 00 01 00 0E 00 01 02 00 FF"))
    report = build_rtu_frame(1, b"\x11")
    identify = build_rtu_frame(1, bytes.fromhex("2B 0E 01 00"))
    unknown = build_rtu_frame(1, bytes.fromhex("64 01 02"))
    for frame in (write, masked, both, report, identify, unknown):
        assert [r.pdu for r in RtuRequestReader().feed(frame)] == [frame[1:-2]]
    reader = RtuRequestReader()
    assert reader.feed(unknown[:-1]) == []
    assert len(reader.feed(unknown[-1:])) == 1


def test_rtu_reader_does_not_grow_on_garbage():
    reader = RtuRequestReader()
    for _ in range(50):
        assert reader.feed(b"\x64" * 100) == []
    reader.reset()
    assert len(reader.feed(READ_10_OF_UNIT_17)) == 1


def test_ascii_reader_passes_over_noise_bad_digits_and_a_wrong_check_sum():
    reader = AsciiRequestReader()
    assert reader.feed(b"no colon\r\n:1103006B00037F\r\n:11xx\r\n:11\xff0\r\n:11\r\n") == []
    assert [r.unit_id for r in reader.feed(b"garbage:1103006B00037E\r\n")] == [0x11]
    assert reader.feed(b":" + b"1" * 600) == []
    assert reader.feed(b"\r\n") == []
    reader.reset()
    assert len(reader.feed(b":1103006B00037E\r\n")) == 1


@pytest.mark.parametrize("header", ["0001 0001 0006 01", "0001 0000 0000 01", "0001 0000 FFFF 01"])
def test_tcp_reader_refuses_a_header_that_cannot_be(header: str):
    reader = TcpRequestReader()
    reader.reset()
    with pytest.raises(BrokenStreamError):
        reader.feed(bytes.fromhex(header))
