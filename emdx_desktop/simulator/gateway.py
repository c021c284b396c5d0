"""Servers on TCP: RS485/IP gateways with a serial line behind them, and meters with their own Ethernet port.

A gateway serves all its connections from one queue, first come first served, one request on the line at a time, as
real ones do. It answers "gateway target failed to respond" (0x0B) on Modbus TCP when a device stays silent for its
own time-out; a transparent one (RTU or ASCII over TCP) just stays silent.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from emdx_desktop.simulator.frames import (
    BrokenStreamError,
    Framing,
    Request,
    build_tcp_frame,
    new_reader,
)
from emdx_desktop.simulator.line import SimulatedLine, Transaction

LOOPBACK = "127.0.0.1"
GATEWAY_TARGET_FAILED = 0x0B


async def sleep_until(deadline: float) -> None:
    """Wait for a moment on the loop's clock; a moment that is past does not wait at all."""
    delay_s = deadline - asyncio.get_running_loop().time()
    if delay_s > 0:
        await asyncio.sleep(delay_s)


class _Connection(asyncio.Protocol):
    """One client of a gateway."""

    def __init__(self, server: TcpServer) -> None:
        self._server = server
        self._reader = new_reader(server.framing)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept, or close at once when the gateway serves as many clients as it can."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._server.admit(self):
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Queue each request that is complete."""
        try:
            for request in self._reader.feed(data):
                self._server.enqueue(self, request)
        except BrokenStreamError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for the next client; requests already queued still go over the line."""
        self._transport = None
        self._server.dismiss(self)

    def write(self, frame: bytes) -> None:
        """Send a reply if the client is still there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()


class TcpServer:
    """A gateway or an Ethernet meter on 127.0.0.1.

    Attributes:
        line: What hangs behind it.
        framing: Of the network side.
        port: TCP port, 0 before `start`.
    """

    def __init__(
        self,
        line: SimulatedLine,
        framing: Framing = Framing.TCP,
        *,
        timeout_ms: int = 1000,
        is_silent_on_timeout: bool = False,
        max_connections: int = 8,
    ) -> None:
        """Describe a server.

        Args:
            line: With serial settings for a gateway, without for an Ethernet meter.
            framing: TCP, or RTU or ASCII over TCP (then the line has the same framing).
            timeout_ms: How long it waits for a device.
            is_silent_on_timeout: Say nothing instead of exception 0x0B on Modbus TCP.
            max_connections: Clients at a time; one more is accepted and closed at once.

        Raises:
            ValueError: A transparent gateway cannot change the framing.
        """
        if framing is not Framing.TCP and line.framing is not framing:
            raise ValueError(f"a {framing} gateway passes frames on as they are; the line has {line.framing}")
        self.line = line
        self.framing = framing
        self.port = 0
        self._timeout_s = timeout_ms / 1000
        self._is_silent_on_timeout = is_silent_on_timeout
        self._max_connections = max_connections
        self._connections: set[_Connection] = set()
        self._queue: asyncio.Queue[tuple[_Connection, Request]] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._worker: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), LOOPBACK, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        self._worker = asyncio.create_task(self._serve(), name=f"gateway {self.line.name}")
        return self.port

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._server is not None:
            self._server.close()
            self.close_connections()
            await self._server.wait_closed()
        if self._worker is not None:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker

    def close_connections(self) -> None:
        """Drop every client, as a gateway does that restarts."""
        for connection in tuple(self._connections):
            connection.close()

    def admit(self, connection: _Connection) -> bool:
        """Whether one more client is served."""
        if len(self._connections) >= self._max_connections:
            return False
        self._connections.add(connection)
        return True

    def dismiss(self, connection: _Connection) -> None:
        """A client has gone."""
        self._connections.discard(connection)

    def enqueue(self, connection: _Connection, request: Request) -> None:
        """Put a request at the end of the queue."""
        self._queue.put_nowait((connection, request))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, request = await self._queue.get()
            transaction = self.line.begin(request, loop.time(), self._timeout_s)
            await self._deliver(connection, transaction)

    async def _deliver(self, connection: _Connection, transaction: Transaction) -> None:
        if transaction.is_dropped:
            await sleep_until(transaction.sent)
            connection.close()
        elif transaction.is_timed_out:
            self._deliver_late(connection, transaction)
            await sleep_until(transaction.free)
            self._report_timeout(connection, transaction.request)
        elif self.framing is Framing.TCP and self.line.framing is not Framing.TCP:
            await self._translate(connection, transaction)
        else:
            await sleep_until(transaction.last_byte)
            connection.write(transaction.frame)

    def _deliver_late(self, connection: _Connection, transaction: Transaction) -> None:
        """What comes after the time-out: a transparent gateway passes it on, one that knows Modbus does not."""
        if transaction.frame and self.framing is not Framing.TCP:
            asyncio.get_running_loop().call_at(transaction.last_byte, connection.write, transaction.frame)

    async def _translate(self, connection: _Connection, transaction: Transaction) -> None:
        request = transaction.request
        if transaction.frame and not transaction.pdu:  # the check sum does not fit: nothing came
            await sleep_until(transaction.sent + self._timeout_s)
            self._report_timeout(connection, request)
        elif transaction.pdu:
            await sleep_until(transaction.last_byte)
            connection.write(build_tcp_frame(request.transaction_id, transaction.unit_id, transaction.pdu))

    def _report_timeout(self, connection: _Connection, request: Request) -> None:
        if self.framing is Framing.TCP and not self._is_silent_on_timeout:
            pdu = bytes((request.pdu[0] | 0x80, GATEWAY_TARGET_FAILED))
            connection.write(build_tcp_frame(request.transaction_id, request.unit_id, pdu))
