"""Opening a line to the world: a gateway, an Ethernet meter's port or a serial port, whatever its scheme says."""

from __future__ import annotations

from dataclasses import dataclass

from emdx_desktop.domain.installation import LinkScheme
from emdx_desktop.simulator.frames import Framing
from emdx_desktop.simulator.gateway import LOOPBACK, TcpServer
from emdx_desktop.simulator.line import SimulatedLine
from emdx_desktop.simulator.serial_port import SerialPort

_LINE_FRAMING = {
    LinkScheme.TCP: Framing.RTU,
    LinkScheme.RTU_TCP: Framing.RTU,
    LinkScheme.RTU: Framing.RTU,
    LinkScheme.ASCII_TCP: Framing.ASCII,
    LinkScheme.ASCII: Framing.ASCII,
}


def choose_line_framing(scheme: LinkScheme, has_serial_line: bool) -> Framing:
    """Framing of the characters on a line that is reached by a scheme."""
    return _LINE_FRAMING[scheme] if has_serial_line else Framing.TCP


@dataclass(frozen=True, slots=True)
class OpenLine:
    """A line that can be reached.

    Attributes:
        line: What hangs on it.
        link: As a site file writes it.
        port: TCP port, 0 for a serial port.
    """

    line: SimulatedLine
    link: str
    port: int
    server: TcpServer | SerialPort

    async def stop(self) -> None:
        """Close it."""
        await self.server.stop()


async def open_line(
    line: SimulatedLine, scheme: LinkScheme, *, timeout_ms: int = 1000, is_silent_on_timeout: bool = False
) -> OpenLine:
    """Open a line on a free loopback port, or as a pseudo-terminal.

    Raises:
        EnvironmentFault: This operating system has no pseudo-terminals.
    """
    if scheme in (LinkScheme.RTU, LinkScheme.ASCII):
        serial_port = SerialPort(line)
        path = await serial_port.start()
        return OpenLine(line, f"{scheme}://{path}", 0, serial_port)
    network = Framing.TCP if scheme is LinkScheme.TCP else line.framing
    server = TcpServer(line, network, timeout_ms=timeout_ms, is_silent_on_timeout=is_silent_on_timeout)
    port = await server.start()
    return OpenLine(line, f"{scheme}://{LOOPBACK}:{port}", port, server)
