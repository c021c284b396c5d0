"""The one door to the wire: a link carries one request at a time and gives words or a fault.

Transport is our own (asyncio for TCP, a thread for a serial port), frames are pymodbus's: docs/adr/0003.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from abc import ABC, abstractmethod

from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import Gateway
from emdx_desktop.domain.readings import FaultKind
from emdx_desktop.modbus.framing import Framing, MbapFraming, make_framing
from emdx_desktop.modbus.requests import ReadRequest, protocol_fault

CONNECT_TIMEOUT_S = 5.0
"""Longest wait for a connection, name look-up included (own design)."""

KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES = 30, 10, 3
"""The Modbus TCP guide V1.0b, section 4.3.2 asks for keep-alive; the times are our own design."""


class BusLink(ABC):
    """A link to one line. Not for several callers at once: one request in flight.

    Attributes:
        received_bytes: Bytes that came since the link was opened.
    """

    received_bytes: int = 0

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether a request can be sent."""

    @property
    @abstractmethod
    def has_reliable_tid(self) -> bool:
        """Whether a late reply is told from the right one by its transaction id."""

    @property
    @abstractmethod
    def is_out_of_step(self) -> bool:
        """Bytes came that belong to no request, on a link where the next reply could be an old one."""

    @abstractmethod
    async def open(self) -> None:
        """Open it, closing first what was open.

        Raises:
            LinkFault: `connect`, with the reason.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close it; never fails."""

    @abstractmethod
    async def quiet(self, wait_s: float) -> None:
        """Let late replies run dry: nothing that comes within `wait_s` is taken for a later reply.

        A network link is closed by it (the next `open` starts clean), a serial port stays open.
        """

    @abstractmethod
    async def read(self, request: ReadRequest, timeout_s: float) -> tuple[int, ...]:
        """Ask once, without repeating.

        Cancelling closes the link, because the reply may still come.

        Args:
            request: What to ask.
            timeout_s: From sending to the last byte of the reply.
        Returns:
            One word a register, or one 0 / 1 a bit.
        Raises:
            LinkFault: No usable reply, and why.
        """


class _Wire(asyncio.Protocol):
    """Hands what the transport reports to the link that made it, as long as it is the link's wire."""

    def __init__(self, link: TcpLink) -> None:
        self._link = link

    def data_received(self, data: bytes) -> None:
        self._link.take_bytes(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.take_loss(self, exc)


class TcpLink(BusLink):
    """Modbus TCP, RTU over TCP and ASCII over TCP."""

    def __init__(self, host: str, port: int, framing: Framing, *, connect_timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        self._host = host
        self._port = port
        self._framing = framing
        self._connect_timeout_s = connect_timeout_s
        self._wire: _Wire | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[tuple[int, ...]] | None = None
        self._is_out_of_step = False

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def has_reliable_tid(self) -> bool:
        """Modbus TCP with strict checking only."""
        return self._framing.has_reliable_tid

    @property
    def is_out_of_step(self) -> bool:
        """Bytes came between two requests, or behind a reply."""
        return self._is_out_of_step

    async def open(self) -> None:
        """Connect.

        Raises:
            LinkFault: `connect`.
        """
        await self.close()
        loop = asyncio.get_running_loop()
        wire = _Wire(self)
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                transport, _ = await loop.create_connection(lambda: wire, self._host, self._port)
        except TimeoutError:
            raise LinkFault(
                f"{self._host}:{self._port} does not answer the connection", kind=FaultKind.CONNECT
            ) from None
        except socket.gaierror as error:
            raise LinkFault(f'the name "{self._host}" is unknown', kind=FaultKind.CONNECT) from error
        except OSError as error:
            reason = "refused" if isinstance(error, ConnectionRefusedError) else (error.strerror or str(error)).lower()
            raise LinkFault(f"{self._host}:{self._port}: connection {reason}", kind=FaultKind.CONNECT) from error
        self._framing.forget()
        self._wire, self._transport = wire, transport
        self.received_bytes = 0
        self._is_out_of_step = False
        _set_socket_options(transport.get_extra_info("socket"))

    async def close(self) -> None:
        """Drop the connection at once: nothing of ours is worth flushing."""
        transport, self._transport, self._wire = self._transport, None, None
        if transport is not None:
            transport.abort()
            await asyncio.sleep(0)  # the loop closes the socket in its next round

    async def quiet(self, wait_s: float) -> None:
        """Close and wait."""
        await self.close()
        await asyncio.sleep(wait_s)

    async def read(self, request: ReadRequest, timeout_s: float) -> tuple[int, ...]:
        """Ask once."""
        if not self.has_reliable_tid:
            # What waits in the kernel's buffer would be taken for the reply: two rounds of the loop bring
            # it here first (one lets the selector see it, one lets it be delivered).
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if self._is_out_of_step:
                raise protocol_fault("bytes came that nobody had asked for", is_reply_pending=False)
        transport = self._transport
        if transport is None or transport.is_closing():
            raise LinkFault("the connection was closed by the other side", kind=FaultKind.CLOSED)
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[tuple[int, ...]] = loop.create_future()
        self._waiter = waiter
        transport.write(self._framing.encode(request))
        timer = loop.call_later(timeout_s, self._take_deadline, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            timer.cancel()
            self._waiter = None
            if self._framing.has_leftover and not self.has_reliable_tid:
                self._is_out_of_step = True

    def take_bytes(self, wire: _Wire, data: bytes) -> None:
        """Bytes came on a wire. One that was given up has nothing to say any more."""
        if wire is not self._wire:
            return
        self.received_bytes += len(data)
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._take_idle_bytes(data)
            return
        try:
            words = self._framing.feed(data)
        except LinkFault as fault:
            waiter.set_exception(fault)
        else:
            if words is not None:
                waiter.set_result(words)

    def _take_idle_bytes(self, data: bytes) -> None:
        if not isinstance(self._framing, MbapFraming) or not self.has_reliable_tid:
            self._is_out_of_step = True
            if self._transport is not None and len(data) > 1024:
                self._transport.abort()  # a flood: nothing that follows is worth reading
            return
        try:
            self._framing.take_idle(data)
        except LinkFault:
            if self._transport is not None:
                self._transport.abort()

    def take_loss(self, wire: _Wire, error: Exception | None) -> None:
        """A wire was closed."""
        if wire is not self._wire:
            return
        self._transport = self._wire = None
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            how = "reset" if error is not None else "closed"
            waiter.set_exception(LinkFault(f"the connection was {how} by the other side", kind=FaultKind.CLOSED))

    def _take_deadline(self, waiter: asyncio.Future[tuple[int, ...]]) -> None:
        if waiter.done():
            return
        try:
            waiter.set_result(self._framing.finish())
        except LinkFault as fault:
            waiter.set_exception(fault)


def _set_socket_options(sock: socket.socket) -> None:
    """No delay for small frames; a silent peer is noticed even when nobody asks it anything."""
    with contextlib.suppress(OSError):  # the peer may be gone already: the first request will tell
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, amount in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL_S),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ):
            option = getattr(socket, name, None)
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, amount)


def make_link(gateway: Gateway) -> BusLink:
    """The link of a gateway, closed."""
    framing = make_framing(gateway.link.scheme, gateway.tid_check)
    if gateway.link.is_serial:
        from emdx_desktop.modbus.serial_link import SerialLink  # pyserial is needed for serial ports only

        return SerialLink(gateway.link.serial_port, gateway.line, framing)
    return TcpLink(gateway.link.host, gateway.link.port, framing)
