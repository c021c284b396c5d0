"""A serial line with real timing: one transaction at a time, every character takes its time.

The clock runs on absolute deadlines: the moment a request starts, each byte's arrival and the end of the
silent interval are computed from one another, never from when a timer happened to fire, so lateness of
timers does not add up. Source of the timing: Modbus over Serial Line V1.02, sections 2.5.1.1 (3.5 characters
of silence, 1.750 ms above 19200 baud) and 2.5.2.1 (ASCII). Written without looking at the planner's formula.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from emdx_desktop.domain.installation import LineSettings, Parity
from emdx_desktop.simulator.faults import FaultSwitches, InjectedFault
from emdx_desktop.simulator.frames import Framing, Request, build_frame, count_line_bytes

BROADCAST_TURNAROUND_S = 0.1
"""Serial Line V1.02 section 2.4.1: typically 100 to 200 ms after a broadcast."""


class Station(Protocol):
    """What hangs on a line: it knows its name, how long it thinks, and answers requests."""

    @property
    def name(self) -> str:
        """Name, as a target of faults."""

    @property
    def latency_s(self) -> float:
        """From the last byte of the request to the first byte of the reply."""

    def answer(self, unit_id: int, pdu: bytes, ts_ms: int) -> bytes:
        """The reply's PDU; all values in it are of the one moment `ts_ms` (UTC)."""


def compute_character_s(settings: LineSettings) -> float:
    """Seconds one character takes: start bit, data bits, parity bit, stop bits."""
    bits = 1 + settings.databits + (settings.parity is not Parity.NONE) + settings.stopbits
    return bits / settings.baud


def compute_silence_s(settings: LineSettings) -> float:
    """Silent interval between frames: 3.5 characters, fixed 1.750 ms above 19200 baud."""
    return 0.00175 if settings.baud > 19200 else 3.5 * compute_character_s(settings)


@dataclass(frozen=True, slots=True)
class Transaction:
    """What happens on the line for one request; all moments on the loop's clock, seconds.

    Attributes:
        request: The request.
        start: First character of the request on the line.
        sent: Last character of the request has arrived at the device.
        first_byte: First character of the reply; `sent` when there is none.
        last_byte: Last character of the reply; `sent` when there is none.
        free: The line may carry the next request.
        frame: Characters of the reply in the line's framing, spoiled if a fault says so; empty for none.
        unit_id: Address in the reply.
        pdu: PDU of the reply; empty when there is no reply or no check sum would fit.
        is_timed_out: The master of the line gave up before the first character came.
        is_dropped: The connection is to be closed instead of answering.
    """

    request: Request
    start: float
    sent: float
    first_byte: float
    last_byte: float
    free: float
    frame: bytes = b""
    unit_id: int = 0
    pdu: bytes = b""
    is_timed_out: bool = False
    is_dropped: bool = False


class SimulatedLine:
    """One line with its stations.

    Attributes:
        name: Name, as a target of faults.
        framing: Of the characters on the line.
        transactions: Requests carried so far.
        busy_s: Seconds the line was not free so far.
    """

    def __init__(
        self,
        name: str,
        stations: Mapping[int, Station],
        settings: LineSettings | None = None,
        *,
        framing: Framing = Framing.RTU,
        faults: FaultSwitches | None = None,
        now_ms: Callable[[], float] | None = None,
        seed: int = 0,
    ) -> None:
        """Put stations on a line.

        Args:
            name: Name.
            stations: By unit id; one station may answer to several.
            settings: Of the serial line; None for a meter with its own Ethernet port: no characters to wait for.
            framing: RTU or ASCII on a serial line, TCP for an Ethernet meter.
            faults: Switches asked at each request.
            now_ms: UTC clock, epoch milliseconds; the computer's own when not given.
            seed: For garbage.
        """
        self.name = name
        self.stations = dict(stations)
        self.settings = settings
        self.framing = framing
        self.character_s = compute_character_s(settings) if settings else 0.0
        self.silence_s = compute_silence_s(settings) if settings else 0.0
        self.transactions = 0
        self.busy_s = 0.0
        self._faults = faults or FaultSwitches()
        self._now_ms = now_ms or (lambda: time.time() * 1000)
        self._random = random.Random(seed)
        self._free = 0.0

    def begin(self, request: Request, now: float, timeout_s: float | None) -> Transaction:
        """Carry a request: decide when it starts and all that follows from it.

        Args:
            request: The request.
            now: The loop's clock, seconds.
            timeout_s: How long the master of the line waits for the first character of a reply; None for a
                serial port of the computer, whose master is the client itself.
        """
        start = max(now, self._free)
        sent = start + (request.line_bytes or count_line_bytes(self.framing, request.pdu)) * self.character_s
        transaction = self._answer(request, now, start, sent, timeout_s)
        self._free = transaction.free
        self.transactions += 1
        self.busy_s += transaction.free - start
        return transaction

    def _answer(self, request: Request, now: float, start: float, sent: float, timeout_s: float | None) -> Transaction:
        given_up = sent + (self.silence_s if timeout_s is None else timeout_s)
        ts_ms = int(self._now_ms() + (sent - now) * 1000)
        if request.unit_id == 0 and self.framing is not Framing.TCP:
            for station in set(self.stations.values()):
                station.answer(0, request.pdu, ts_ms)
            return Transaction(request, start, sent, sent, sent, sent + max(BROADCAST_TURNAROUND_S, self.silence_s))
        station_asked = self.stations.get(request.unit_id)
        targets = (self.name,) if station_asked is None else (self.name, station_asked.name)
        faults = self._faults.take(*targets)
        if InjectedFault.DROPPED_CONNECTION in faults:
            return Transaction(request, start, sent, sent, sent, sent + self.silence_s, is_dropped=True)
        if station_asked is None or InjectedFault.SILENT in faults:
            return Transaction(request, start, sent, sent, sent, given_up, is_timed_out=True)

        latency_s = max(station_asked.latency_s, self.silence_s)
        if InjectedFault.LATE in faults:
            latency_s += faults[InjectedFault.LATE].delay_ms / 1000
        pdu = station_asked.answer(request.unit_id, request.pdu, ts_ms)
        if InjectedFault.EXCEPTION in faults:
            pdu = bytes((request.pdu[0] | 0x80, faults[InjectedFault.EXCEPTION].exception_code & 0xFF))
        unit_id = request.unit_id
        if InjectedFault.WRONG_UNIT in faults:
            unit_id = unit_id % 247 + 1
        frame = build_frame(self.framing, request, pdu, unit_id)
        for kind in (InjectedFault.BAD_CRC, InjectedFault.NOISE_BYTE, InjectedFault.GARBAGE):
            if kind in faults:
                frame = self._spoil(frame, kind)
                pdu = b""
        first_byte = sent + latency_s
        last_byte = first_byte + len(frame) * self.character_s
        is_timed_out = timeout_s is not None and latency_s > timeout_s
        free = given_up if is_timed_out else last_byte + self.silence_s
        return Transaction(request, start, sent, first_byte, last_byte, free, frame, unit_id, pdu, is_timed_out)

    def _spoil(self, frame: bytes, kind: InjectedFault) -> bytes:
        if kind is InjectedFault.NOISE_BYTE:
            return bytes((self._random.choice((0x00, 0x01, 0x55, 0xFF)),)) + frame
        if kind is InjectedFault.GARBAGE:
            return self._random.randbytes(len(frame))
        if self.framing is Framing.TCP:  # no check sum there: the protocol id is what a client checks
            return frame[:2] + b"\xa5\x5a" + frame[4:]
        if self.framing is Framing.ASCII:
            digit = b"0" if frame[-3:-2] != b"0" else b"1"
            return frame[:-3] + digit + frame[-2:]
        return frame[:-1] + bytes((frame[-1] ^ 0x5A,))
