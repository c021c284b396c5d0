"""Frames written out by hand for the tests, independent of the code under test."""

from __future__ import annotations

import struct
from collections.abc import Sequence


def crc16(data: bytes) -> bytes:
    """CRC of Modbus over Serial Line V1.02, section 2.5.1.2 and appendix B, bit by bit."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


def rtu(unit_id: int, pdu: bytes) -> bytes:
    """An RTU frame."""
    frame = bytes([unit_id]) + pdu
    return frame + crc16(frame)


def ascii_frame(unit_id: int, pdu: bytes) -> bytes:
    """An ASCII frame (Serial Line V1.02, section 2.5.2)."""
    content = bytes([unit_id]) + pdu
    lrc = -sum(content) & 0xFF
    return b":" + (content + bytes([lrc])).hex().upper().encode() + b"\r\n"


def mbap(tid: int, unit_id: int, pdu: bytes, *, protocol: int = 0, length: int | None = None) -> bytes:
    """A Modbus TCP frame."""
    return struct.pack(">HHHB", tid, protocol, len(pdu) + 1 if length is None else length, unit_id) + pdu


def reply_pdu(words: Sequence[int], function_code: int = 3) -> bytes:
    """PDU of a reply with registers."""
    return struct.pack(f">BB{len(words)}H", function_code, 2 * len(words), *words)


def refusal_pdu(code: int, function_code: int = 3) -> bytes:
    """PDU of an exception."""
    return bytes([function_code | 0x80, code])


def echo_pdu(request_pdu: bytes) -> bytes:
    """What the address-echo device answers: each register holds its own address."""
    function_code, address, count = struct.unpack(">BHH", request_pdu)
    return reply_pdu([(address + i) & 0xFFFF for i in range(count)], function_code)


def echo_mbap(request: bytes, *, tid: int | None = None) -> bytes:
    """The address-echo device's reply to a Modbus TCP request."""
    own_tid = int.from_bytes(request[:2], "big")
    return mbap(own_tid if tid is None else tid, request[6], echo_pdu(request[7:]))


def echo_rtu(request: bytes) -> bytes:
    """The same in RTU."""
    return rtu(request[0], echo_pdu(request[1:-2]))


def echo_ascii(request: bytes) -> bytes:
    """The same in ASCII."""
    content = bytes.fromhex(request[1:-2].decode())
    return ascii_frame(content[0], echo_pdu(content[1:-1]))
