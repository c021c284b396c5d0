"""A serial port with a line of devices behind it, as a pseudo-terminal (not available on Windows).

A pseudo-terminal passes bytes at any speed; here the reply is written byte by byte at the moments its characters would
have arrived, and a client that set another baud rate than the line's is not understood.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress

from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.simulator.frames import Request, new_reader
from emdx_desktop.simulator.gateway import sleep_until
from emdx_desktop.simulator.line import SimulatedLine, Transaction

if sys.platform != "win32":
    import termios
    import tty

WRITE_STEP_S = 0.001
"""Characters that arrive within this time are written together: a timer per character burns the processor."""

PATIENCE_S = 1.0
"""After this much silence an unfinished request is forgotten."""


class SerialPort:
    """The computer's end of a line, under the name `path`.

    Attributes:
        line: What hangs on it.
        path: Name of the port, empty before `start`.
    """

    def __init__(self, line: SimulatedLine) -> None:
        self.line = line
        self.path = ""
        self._reader = new_reader(line.framing)
        self._queue: asyncio.Queue[Request] = asyncio.Queue()
        self._master = -1
        self._slave = -1
        self._heard = 0.0
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Open the pseudo-terminal; returns the port's name.

        Raises:
            EnvironmentFault: This operating system has none.
        """
        if sys.platform == "win32":
            raise EnvironmentFault(
                "Windows has no pseudo-terminals - the simulated serial port is not available - "
                "use the gateways of the simulated building instead."
            )
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        asyncio.get_running_loop().add_reader(self._master, self._on_readable)
        self._worker = asyncio.create_task(self._serve(), name=f"serial port {self.line.name}")
        return self.path

    async def stop(self) -> None:
        """Close the port."""
        if self._worker is None:
            return
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await self._worker
        asyncio.get_running_loop().remove_reader(self._master)
        # The slave end stays open all the time: with no end open, reading the master is an error on Linux.
        os.close(self._master)
        os.close(self._slave)
        self._worker = None

    def _on_readable(self) -> None:
        try:
            data = os.read(self._master, 4096)
        except BlockingIOError:
            return
        now = asyncio.get_running_loop().time()
        if now - self._heard > PATIENCE_S:
            self._reader.reset()
        self._heard = now
        if not self._is_understood():
            return
        for request in self._reader.feed(data):
            self._queue.put_nowait(request)

    def _is_understood(self) -> bool:
        """Whether the client speaks at the line's baud rate (a pseudo-terminal keeps no parity)."""
        if sys.platform == "win32" or self.line.settings is None:
            return True
        speed: int = termios.tcgetattr(self._slave)[5]
        wanted: int = getattr(termios, f"B{self.line.settings.baud}")
        return speed == wanted

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            request = await self._queue.get()
            await self._write_paced(self.line.begin(request, loop.time(), None))

    async def _write_paced(self, transaction: Transaction) -> None:
        loop = asyncio.get_running_loop()
        frame = transaction.frame
        character_s = self.line.character_s
        written = 0
        while written < len(frame):
            step = max(1, int(WRITE_STEP_S / character_s)) if character_s else len(frame)
            due = min(written + step, len(frame))
            await sleep_until(transaction.first_byte + due * character_s)
            # What a late timer missed is written along, so that the last byte is on time again.
            if character_s:
                due = max(due, min(len(frame), int((loop.time() - transaction.first_byte) / character_s)))
            self._write(frame[written:due])
            written = due

    def _write(self, data: bytes) -> None:
        with suppress(BlockingIOError):  # nobody reads: a real line drops the characters too
            os.write(self._master, data)
