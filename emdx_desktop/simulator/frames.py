"""Modbus frames as a server sees them: TCP, RTU and ASCII, with their check sums.

Written from the documents and not from a client library, so that the simulator is a second opinion.
Sources: Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3 (MBAP header); Modbus over
Serial Line V1.02, sections 2.5.1 (RTU), 2.5.2 (ASCII), 6.2.1 (LRC) and 6.2.2 (CRC).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_PDU_BYTES = 253
MAX_RTU_BYTES = 256
MAX_ASCII_BYTES = 513
LONGEST_UNKNOWN_BYTES = 12
_MBAP_BYTES = 7


class Framing(StrEnum):
    """How a request is wrapped."""

    TCP = "tcp"
    RTU = "rtu"
    ASCII = "ascii"


@dataclass(frozen=True, slots=True)
class Request:
    """One request taken off a link.

    Attributes:
        unit_id: Address, 0 is broadcast.
        pdu: Function code and data.
        transaction_id: Of the MBAP header, 0 on serial framings.
        line_bytes: Characters the frame had on the link (serial framings).
    """

    unit_id: int
    pdu: bytes
    transaction_id: int = 0
    line_bytes: int = 0


def _build_crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC_TABLE = _build_crc_table()


def compute_crc(data: bytes) -> bytes:
    """CRC-16 of a serial frame, low byte first, as it stands on the wire."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def compute_lrc(data: bytes) -> int:
    """Two's complement of the sum of all bytes."""
    return -sum(data) & 0xFF


def build_rtu_frame(unit_id: int, pdu: bytes) -> bytes:
    """Address, PDU and CRC."""
    body = bytes((unit_id,)) + pdu
    return body + compute_crc(body)


def build_ascii_frame(unit_id: int, pdu: bytes) -> bytes:
    """Colon, address, PDU and LRC as capital hexadecimal digits, CR LF."""
    body = bytes((unit_id,)) + pdu
    return b":" + (body + bytes((compute_lrc(body),))).hex().upper().encode() + b"\r\n"


def build_tcp_frame(transaction_id: int, unit_id: int, pdu: bytes) -> bytes:
    """MBAP header and PDU."""
    return transaction_id.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit_id,)) + pdu


def build_frame(framing: Framing, request: Request, pdu: bytes, unit_id: int | None = None) -> bytes:
    """The answer to a request in its own framing; `unit_id` only to answer wrongly on purpose."""
    address = request.unit_id if unit_id is None else unit_id
    if framing is Framing.TCP:
        return build_tcp_frame(request.transaction_id, address, pdu)
    if framing is Framing.RTU:
        return build_rtu_frame(address, pdu)
    return build_ascii_frame(address, pdu)


def count_line_bytes(framing: Framing, pdu: bytes) -> int:
    """Characters a PDU takes on a serial line: address and check sum included."""
    if framing is Framing.ASCII:
        return 1 + 2 * (len(pdu) + 2) + 2
    return len(pdu) + 3


class RequestReader(Protocol):
    """Cuts a stream of bytes into requests."""

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes, return the requests that are complete now."""

    def reset(self) -> None:
        """Forget an unfinished frame (the line was silent)."""


class BrokenStreamError(Exception):
    """Bytes no server can make sense of; a real one closes the connection."""


class TcpRequestReader:
    """Requests with an MBAP header."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes, return the requests that are complete now.

        Raises:
            BrokenStreamError: Protocol id or length cannot be.
        """
        buffer = self._buffer
        buffer += data
        requests = []
        while len(buffer) >= _MBAP_BYTES:
            length = int.from_bytes(buffer[4:6], "big")
            if buffer[2:4] != b"\0\0" or not 2 <= length <= MAX_PDU_BYTES + 1:
                raise BrokenStreamError(f"header {bytes(buffer[:7]).hex(' ')}")
            if len(buffer) < 6 + length:
                break
            requests.append(
                Request(buffer[6], bytes(buffer[_MBAP_BYTES : 6 + length]), int.from_bytes(buffer[:2], "big"))
            )
            del buffer[: 6 + length]
        return requests

    def reset(self) -> None:
        """TCP has no silence that means anything."""


def _rtu_request_bytes(head: bytes) -> int | None:
    """Length of the RTU request that starts here; None when its function does not say."""
    function_code = head[1]
    if 1 <= function_code <= 6:
        return 8
    if function_code in (15, 16):
        return 9 + head[6] if len(head) > 6 else 9
    if function_code == 22:
        return 10
    if function_code == 23:
        return 13 + head[10] if len(head) > 10 else 13
    if function_code in (7, 11, 12, 17):
        return 4
    if function_code == 43:
        return 7
    return None


def _fits(frame: bytes) -> bool:
    return compute_crc(frame[:-2]) == frame[-2:]


class RtuRequestReader:
    """Requests in RTU framing; finds the next frame again after noise."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes, return the requests that are complete now."""
        self._buffer += data
        requests = []
        while (place := self._find()) is not None:
            start, end = place
            requests.append(Request(self._buffer[start], self._buffer[start + 1 : end - 2], line_bytes=end - start))
            self._buffer = self._buffer[end:]
        self._buffer = self._buffer[-MAX_RTU_BYTES:]
        return requests

    def reset(self) -> None:
        """Forget an unfinished frame."""
        self._buffer = b""

    def _find(self) -> tuple[int, int] | None:
        """First place where a check sum fits, noise before it passed over."""
        size = len(self._buffer)
        for start in range(size - 3):
            length = _rtu_request_bytes(self._buffer[start : start + 11])
            # An unknown function has no known length: the first short one whose check sum fits.
            lengths: Iterable[int] = (length,) if length is not None else range(4, LONGEST_UNKNOWN_BYTES + 1)
            for candidate in lengths:
                if start + candidate <= size and _fits(self._buffer[start : start + candidate]):
                    return start, start + candidate
        return None


class AsciiRequestReader:
    """Requests in ASCII framing; a colon starts a frame wherever it comes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Request]:
        """Take bytes, return the requests that are complete now."""
        buffer = self._buffer
        buffer += data
        requests = []
        while (end := buffer.find(b"\r\n")) >= 0:
            frame = bytes(buffer[:end])
            del buffer[: end + 2]
            colon = frame.rfind(b":")
            if colon < 0:
                continue
            try:
                body = bytes.fromhex(frame[colon + 1 :].decode("ascii"))
            except ValueError:  # neither hexadecimal nor ASCII: noise
                continue
            if len(body) >= 3 and compute_lrc(body[:-1]) == body[-1]:
                requests.append(Request(body[0], body[1:-1], line_bytes=end + 2 - colon))
        if len(buffer) > MAX_ASCII_BYTES:
            buffer.clear()
        return requests

    def reset(self) -> None:
        """Forget an unfinished frame."""
        self._buffer.clear()


def new_reader(framing: Framing) -> RequestReader:
    """A reader for a new connection."""
    if framing is Framing.TCP:
        return TcpRequestReader()
    return RtuRequestReader() if framing is Framing.RTU else AsciiRequestReader()
