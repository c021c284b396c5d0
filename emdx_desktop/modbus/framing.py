"""Frames of the three transmission modes: requests out, replies in, byte by byte.

pymodbus builds the requests and takes replies apart (its framers and PDUs). What stands in front of it here
finds the reply in what a real line delivers: noise before and after, an echo of the own request, replies in
pieces or two at once, replies to somebody else. It never holds more than `MAX_PENDING_BYTES`.

Why: one noise byte in front of an RTU reply makes pymodbus drop the reply (its decoder gives up the whole
buffer at the first candidate with a wrong check sum), and a wrong check sum, another's reply and silence look
all the same to its callers (tried with 3.16.1; docs/adr/0003).
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from binascii import Error as HexError
from binascii import unhexlify

from pymodbus.framer.ascii import FramerAscii
from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import LinkScheme, TransactionIdCheck
from emdx_desktop.domain.readings import FaultKind
from emdx_desktop.modbus.reply_guard import read_words
from emdx_desktop.modbus.requests import EXCEPTION_MARK, NO_ANSWER, ReadRequest, protocol_fault

MAX_PENDING_BYTES = 4096
"""Most bytes kept while looking for a reply; more without one is a fault of the line, not patience."""

MAX_FOREIGN_FRAMES = 1000
"""Most replies with another transaction id passed over during one request."""

_REQUESTS = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
_DECODER = DecodePDU(is_server=False)


class Framing(ABC):
    """One exchange at a time: `encode` starts it, `feed` and at the deadline `finish` end it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._request = ReadRequest(1, 3, 0, 1)
        self._sent = b""
        self._has_damage = False

    @property
    @abstractmethod
    def has_reliable_tid(self) -> bool:
        """Whether a late reply is told from the right one by its transaction id."""

    @property
    def has_leftover(self) -> bool:
        """Bytes came behind the reply: on a link without transaction ids the next reply may be an old one."""
        return bool(self._buffer)

    def forget(self) -> None:
        """A new connection: what the one before left in pieces has no meaning on it."""
        self._buffer.clear()

    def encode(self, request: ReadRequest) -> bytes:
        """Start an exchange: forget all before, return the frame to send."""
        self._buffer.clear()
        self._has_damage = False
        self._request = request
        message = _REQUESTS[request.function_code](
            dev_id=request.unit_id, address=request.address, count=request.count, transaction_id=self._next_tid()
        )
        self._sent = self._build(message)
        return self._sent

    def feed(self, data: bytes) -> tuple[int, ...] | None:
        """Take bytes from the line.

        Returns:
            The words asked for, None while the reply is not complete.
        Raises:
            LinkFault: The device refused, or the stream cannot hold the reply any more.
        """
        if len(self._buffer) + len(data) > MAX_PENDING_BYTES:
            # Only what is still needed to see the first frame is looked at: memory stays bounded.
            data = data[: max(0, MAX_PENDING_BYTES - len(self._buffer))]
            self._buffer += data
            words = self._search(is_last=True)
            if words is not None:
                return words
            self._buffer.clear()
            raise protocol_fault("a stream of bytes that hold no reply came")
        self._buffer += data
        return self._search(is_last=False)

    def finish(self) -> tuple[int, ...]:
        """The deadline has come: what is there decides.

        Returns:
            The words, if the reply was there behind something that looked like its beginning.
        Raises:
            LinkFault: `crc` for a damaged reply, `protocol` for another's, `timeout` for silence.
        """
        words = self._search(is_last=True)
        if words is not None:
            return words
        if self._has_damage:
            raise LinkFault("a damaged reply came", kind=FaultKind.CRC)
        if self._buffer:
            # the reply itself may still come
            raise LinkFault("only part of a reply, or noise, came", kind=FaultKind.CRC, retryable=False)
        raise LinkFault(self._silence(), kind=FaultKind.TIMEOUT)

    def missing_bytes(self) -> int:
        """How many bytes to wait for before looking again, at least 1."""
        return 1

    def _silence(self) -> str:
        return NO_ANSWER

    def _next_tid(self) -> int:
        return 0

    @abstractmethod
    def _build(self, message: ModbusPDU) -> bytes:
        """The frame of a request."""

    @abstractmethod
    def _search(self, *, is_last: bool) -> tuple[int, ...] | None:
        """Look for the reply; with `is_last` nothing more will come."""


class RtuFraming(Framing):
    """RTU frames: address, PDU, CRC-16. A frame has no beginning mark, so its check sum finds it."""

    def __init__(self) -> None:
        super().__init__()
        self._framer = FramerRTU(_DECODER)
        self._missing = 1

    @property
    def has_reliable_tid(self) -> bool:
        """RTU frames carry none."""
        return False

    def encode(self, request: ReadRequest) -> bytes:
        """Start an exchange."""
        self._missing = 5
        return super().encode(request)

    def missing_bytes(self) -> int:
        """Five bytes are the shortest reply; once its beginning is seen, what it announces."""
        return self._missing

    def _build(self, message: ModbusPDU) -> bytes:
        return self._framer.buildFrame(message)

    def _search(self, *, is_last: bool) -> tuple[int, ...] | None:
        buffer, request = self._buffer, self._request
        head = bytes((request.unit_id, request.function_code, request.byte_count & 0xFF))
        refusal = bytes((request.unit_id, request.function_code | EXCEPTION_MARK))
        self._missing = 1
        start = 0
        while True:
            candidates = [at for at in (buffer.find(head, start), buffer.find(refusal, start)) if at >= 0]
            if not candidates:
                break
            start = min(candidates)
            size = 5 + request.byte_count if buffer.startswith(head, start) else 5
            end = start + size
            if len(buffer) >= end:
                _, unit_id, _, pdu = self._framer.decode(bytes(buffer[start:end]))
                if pdu:
                    del buffer[:end]
                    return read_words(request, unit_id, pdu)
                self._has_damage = True
            elif not is_last:
                # The first that looks right is waited for: what follows may be its data.
                self._missing = end - len(buffer)
                return None
            start += 1
        self._refuse_foreign(is_last=is_last)
        if len(buffer) < 5:
            self._missing = 5 - len(buffer)
        return None

    def _refuse_foreign(self, *, is_last: bool) -> None:
        """Raise when the buffer holds an intact frame of another exchange: the line is out of step."""
        buffer = bytes(self._buffer)
        first = len(self._sent) if buffer.startswith(self._sent) else 0  # an adapter that hears itself
        last = min(len(buffer) - 4, 300) if is_last else first + 1
        for start in range(first, last):
            for size in _rtu_sizes(buffer[start : start + 3]):
                frame = buffer[start : start + size]
                if len(frame) == size and _is_intact(frame) and frame != self._sent:
                    raise protocol_fault(
                        f"a frame of address {frame[0]}, function {frame[1] & 0x7F}, came; {self._request} was asked"
                    )


def _rtu_sizes(head: bytes) -> tuple[int, ...]:
    """How long an RTU frame with this beginning may be: as a reply, and as another master's request."""
    if len(head) < 3:
        return ()
    function_code = head[1]
    if function_code & EXCEPTION_MARK:
        return (5,)
    if function_code <= 4:
        return (5 + head[2], 8)
    return (8,)


def _is_intact(frame: bytes) -> bool:
    return FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


class AsciiFraming(Framing):
    """ASCII frames: a colon, hexadecimal digits, LRC, carriage return and line feed."""

    def __init__(self) -> None:
        super().__init__()
        self._framer = FramerAscii(_DECODER)

    @property
    def has_reliable_tid(self) -> bool:
        """ASCII frames carry none."""
        return False

    def missing_bytes(self) -> int:
        """The shortest refusal first; once the beginning of the right reply is seen, what it announces."""
        request = self._request
        head = b":%02X%02X%02X" % (request.unit_id, request.function_code, request.byte_count)
        size = 11 + 2 * request.byte_count if self._buffer.startswith(head) else 11
        return max(1, size - len(self._buffer))

    def _build(self, message: ModbusPDU) -> bytes:
        return self._framer.buildFrame(message)

    def _search(self, *, is_last: bool) -> tuple[int, ...] | None:
        buffer = self._buffer
        while (end := buffer.find(b"\r\n")) >= 0:
            start = buffer.rfind(b":", 0, end)  # a colon always begins a new frame
            frame = bytes(buffer[start : end + 2]) if start >= 0 else b""
            del buffer[: end + 2]
            if frame == self._sent:
                continue
            try:
                content = unhexlify(frame[1:-2])
            except HexError:
                content = b""
            pdu = b""
            if len(content) >= 3:
                _, unit_id, _, pdu = self._framer.decode(frame)
            if not pdu:
                self._has_damage = True
                continue
            return read_words(self._request, unit_id, pdu)
        return None


class MbapFraming(Framing):
    """Modbus TCP frames: transaction id, protocol id 0, length, unit id, PDU.

    Source: Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 3.1.3 and 4.4.2: a reply whose
    transaction id belongs to no request in hand is passed over.
    """

    def __init__(self, tid_check: TransactionIdCheck) -> None:
        super().__init__()
        self._framer = FramerSocket(_DECODER)
        self._tid_check = tid_check
        # a random start: replies to the connection before this one do not fit by chance
        self._tid = random.randrange(1, 0x10000)
        self._foreign = 0

    @property
    def has_reliable_tid(self) -> bool:
        """Only when every reply must carry the id of its request."""
        return self._tid_check is TransactionIdCheck.STRICT

    def encode(self, request: ReadRequest) -> bytes:
        """Start an exchange under a new transaction id. Pieces of a reply under way are kept."""
        self._foreign = 0
        if not self.has_reliable_tid:
            return super().encode(request)
        pending = bytes(self._buffer)
        frame = super().encode(request)
        self._buffer += pending
        return frame

    def missing_bytes(self) -> int:
        """The header first, then what it announces."""
        return 1

    def _next_tid(self) -> int:
        self._tid = self._tid % 0xFFFF + 1  # 1..65535: 0 would look like a gateway that drops ids
        return self._tid

    def _silence(self) -> str:
        if self._foreign:
            return f"no answer came in time, but {self._foreign} with another transaction id did"
        return super()._silence()

    def _build(self, message: ModbusPDU) -> bytes:
        return self._framer.buildFrame(message)

    def _is_ours(self, tid: int) -> bool:
        if self._tid_check is TransactionIdCheck.OFF:
            return True
        return tid == self._tid or (tid == 0 and self._tid_check is TransactionIdCheck.ACCEPT_ZERO)

    def _search(self, *, is_last: bool) -> tuple[int, ...] | None:
        buffer = self._buffer
        while len(buffer) >= 6:
            length = int.from_bytes(buffer[4:6], "big")
            if buffer[2] or buffer[3] or not 2 <= length <= 254:
                buffer.clear()
                raise protocol_fault("what came is not Modbus TCP")
            size = 6 + length
            if len(buffer) < size:
                return None
            _, unit_id, tid, pdu = self._framer.decode(bytes(buffer[:size]))
            del buffer[:size]
            if not self._is_ours(tid):
                self._foreign += 1
                if self._foreign > MAX_FOREIGN_FRAMES:
                    raise protocol_fault("a stream of replies with other transaction ids came")
                continue
            return read_words(self._request, unit_id, pdu)
        return None

    def take_idle(self, data: bytes) -> None:
        """Bytes between two requests: late replies; kept in step, forgotten.

        Raises:
            LinkFault: `protocol` when the stream is not Modbus TCP.
        """
        self._buffer += data[:MAX_PENDING_BYTES]
        while len(self._buffer) >= 6:
            length = int.from_bytes(self._buffer[4:6], "big")
            if self._buffer[2] or self._buffer[3] or not 2 <= length <= 254 or len(data) > MAX_PENDING_BYTES:
                self._buffer.clear()
                raise protocol_fault("what came between two requests is not Modbus TCP")
            if len(self._buffer) < 6 + length:
                return
            del self._buffer[: 6 + length]


def make_framing(scheme: LinkScheme, tid_check: TransactionIdCheck) -> Framing:
    """The framing of a link."""
    if scheme is LinkScheme.TCP:
        return MbapFraming(tid_check)
    if scheme in (LinkScheme.RTU, LinkScheme.RTU_TCP):
        return RtuFraming()
    return AsciiFraming()
