"""A serial port of this PC, served by a thread of its own.

A thread per port, because asyncio cannot wait for a serial port on Windows, and because the silent interval
between frames (1.75 ms) is shorter than the 15.6 ms its timers tick there: docs/adr/0003.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import serial

from emdx_desktop.domain.bus_timing import character_bits, silent_interval_s
from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import LineSettings, Parity
from emdx_desktop.domain.readings import FaultKind
from emdx_desktop.modbus.framing import Framing
from emdx_desktop.modbus.links import BusLink
from emdx_desktop.modbus.requests import ReadRequest


def _forget_outcome(job: asyncio.Future[tuple[int, ...]]) -> None:
    """Nobody waits for a cancelled exchange: its fault is looked at, so that the loop does not report it."""
    if not job.cancelled():
        job.exception()


READ_SLICE_S = 0.02
"""Longest the thread waits in one call: how exact deadlines are, and how soon a cancel is seen."""

FEW_BYTES = 4
"""So few that waiting for them byte by byte costs nothing."""

_PORT_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError)  # serial.SerialException is an OSError
try:
    import termios
except ImportError:  # Windows has no terminals
    pass
else:
    _PORT_ERRORS += (termios.error,)

_PARITIES = {Parity.NONE: serial.PARITY_NONE, Parity.EVEN: serial.PARITY_EVEN, Parity.ODD: serial.PARITY_ODD}


class PortSettings(TypedDict):
    """What a serial port is opened with."""

    port: str
    baudrate: int
    bytesize: int
    parity: str
    stopbits: int


def port_settings(name: str, line: LineSettings) -> PortSettings:
    """Settings of a port.

    A pseudo-terminal carries bytes: it has neither data bits nor parity, and refuses when asked for them alone,
    as it is when opened a second time.
    """
    real_name = os.path.realpath(name) if name.startswith("/") else name
    has_bits = not real_name.startswith("/dev/pts/")
    return PortSettings(
        port=real_name,
        baudrate=line.baud,
        bytesize=line.databits if has_bits else 8,
        parity=_PARITIES[line.parity] if has_bits else serial.PARITY_NONE,
        stopbits=line.stopbits,
    )


class SerialLink(BusLink):
    """RTU or ASCII on a serial port."""

    def __init__(self, port: str, line: LineSettings | None, framing: Framing) -> None:
        self._name = port
        self._line = line or LineSettings()
        self._framing = framing
        self._port: serial.Serial | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._is_cancelled = threading.Event()
        self._gap_s = silent_interval_s(self._line)
        self._character_s = character_bits(self._line) / self._line.baud
        self._last_byte_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._port is not None

    @property
    def has_reliable_tid(self) -> bool:
        """A serial line has none."""
        return False

    @property
    def is_out_of_step(self) -> bool:
        """Never: what waits in the port is thrown away before each request."""
        return False

    async def open(self) -> None:
        """Open the port.

        Raises:
            LinkFault: `connect`.
        """
        await self.close()
        self._is_cancelled.clear()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"line {self._name}")
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open)
        except LinkFault:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the port, after the exchange under way has noticed, and end the thread."""
        self._is_cancelled.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.submit(self._close)
            # Waiting for its end keeps the port from being opened twice; it takes a slice, or as long as a
            # port that does not take bytes any more, so the loop is not held up meanwhile.
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, thread.shutdown))

    async def quiet(self, wait_s: float) -> None:
        """Wait; the input is thrown away before the next request.

        The port stays open: closing it would not stop a late reply, and toggles the control lines that
        some adapters switch their driver with.
        """
        await asyncio.sleep(wait_s)

    async def read(self, request: ReadRequest, timeout_s: float) -> tuple[int, ...]:
        """Ask once."""
        if self._port is None or self._thread is None:
            raise LinkFault(f"the serial port {self._name} was closed", kind=FaultKind.CLOSED)
        job = asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, request, timeout_s)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            self._is_cancelled.set()
            job.add_done_callback(_forget_outcome)
            await self.close()
            raise

    # --- in the thread ---------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._port = serial.Serial(
                **port_settings(self._name, self._line), timeout=READ_SLICE_S, write_timeout=5.0, exclusive=True
            )
        except _PORT_ERRORS as error:
            # a terminal's error has its words as the last of its arguments
            message = f"the serial port {self._name} cannot be opened ({error.args[-1] if error.args else error})"
            raise LinkFault(message, kind=FaultKind.CONNECT) from error
        self.received_bytes = 0

    def _close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            with contextlib.suppress(*_PORT_ERRORS):
                port.close()

    def _exchange(self, request: ReadRequest, timeout_s: float) -> tuple[int, ...]:
        port = self._port
        if port is None:
            raise LinkFault(f"the serial port {self._name} was closed", kind=FaultKind.CLOSED)
        try:
            rest_s = self._last_byte_s + self._gap_s - time.monotonic()
            if rest_s > 0:
                time.sleep(rest_s)
            port.reset_input_buffer()
            port.write(self._framing.encode(request))
            deadline_s = time.monotonic() + timeout_s
            has_begun = False
            while not self._is_cancelled.is_set():
                data = self._receive(port, has_begun)
                has_begun = has_begun or bool(data)
                now_s = time.monotonic()
                if data:
                    self._last_byte_s = now_s
                    self.received_bytes += len(data)
                    words = self._framing.feed(data)
                    if words is not None:
                        return words
                if now_s >= deadline_s:
                    return self._framing.finish()
        except _PORT_ERRORS as error:
            self._close()
            raise LinkFault(f"the serial port {self._name} is gone ({error})", kind=FaultKind.CLOSED) from error
        raise LinkFault("the request was cancelled", kind=FaultKind.CLOSED)

    def _receive(self, port: serial.Serial, has_begun: bool) -> bytes:
        """Bytes of the reply, waiting a slice for them at most.

        Once a reply has begun the line says how long the rest takes: it is slept through, because waking up
        for each character of it would cost ten times the processor time (measured on a pseudo-terminal).
        """
        missing = self._framing.missing_bytes()
        lacking = missing - port.in_waiting
        if has_begun and lacking > FEW_BYTES:
            time.sleep(min(READ_SLICE_S, 0.9 * lacking * self._character_s))
            return bytes(port.read(port.in_waiting))
        return bytes(port.read(max(missing, missing - lacking)))
