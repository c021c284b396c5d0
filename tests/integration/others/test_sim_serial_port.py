"""The pseudo-terminal, from a client that sets baud rate and raw mode itself."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Awaitable, Callable

import pytest

from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.installation import LineSettings, Parity
from emdx_desktop.simulator import serial_port
from emdx_desktop.simulator.faults import FaultSwitches, InjectedFault
from emdx_desktop.simulator.frames import Framing, Request, build_frame
from emdx_desktop.simulator.line import SimulatedLine
from emdx_desktop.simulator.serial_port import SerialPort

PATIENCE_S = 10.0
PDU = bytes.fromhex("03 00 00 00 32")


class Meter:
    name = "meter"
    latency_s = 0.005

    def answer(self, unit_id: int, pdu: bytes, ts_ms: int) -> bytes:
        count = int.from_bytes(pdu[3:5], "big")
        return bytes((pdu[0], 2 * count)) + bytes(range(2 * count))


class Client:
    """What a program on this computer does with the port."""

    def __init__(self, path: str, speed: int):
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._file)
        attributes = termios.tcgetattr(self._file)
        attributes[4] = attributes[5] = speed
        termios.tcsetattr(self._file, termios.TCSANOW, attributes)
        self._received: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._on_readable)

    def _on_readable(self) -> None:
        self._received.put_nowait((self._loop.time(), os.read(self._file, 4096)))

    def write(self, data: bytes) -> None:
        os.write(self._file, data)

    async def read(self, size: int) -> tuple[bytes, list[float]]:
        data, moments = b"", []
        while len(data) < size:
            moment, piece = await self._received.get()
            data += piece
            moments.append(moment)
        return data, moments

    def close(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)


def run(
    steps: Callable[[Client, FaultSwitches, SerialPort], Awaitable[None]],
    framing: Framing = Framing.RTU,
    speed: int = termios.B9600,
) -> None:
    async def main() -> None:
        faults = FaultSwitches()
        settings = LineSettings(9600, Parity.EVEN, 1, 7) if framing is Framing.ASCII else LineSettings(9600)
        port = SerialPort(SimulatedLine("COM", {5: Meter()}, settings, framing=framing, faults=faults))
        client = Client(await port.start(), speed)
        try:
            await asyncio.wait_for(steps(client, faults, port), PATIENCE_S)
        finally:
            client.close()
            await port.stop()
            await port.stop()

    asyncio.run(main())


@pytest.mark.parametrize("framing", [Framing.RTU, Framing.ASCII])
def test_reply_comes_byte_by_byte_at_the_lines_speed(framing: Framing):
    async def steps(client: Client, faults: FaultSwitches, port: SerialPort) -> None:
        loop = asyncio.get_running_loop()
        wanted = build_frame(framing, Request(5, PDU), bytes((3, 100)) + bytes(range(100)))
        begun = loop.time()
        client.write(build_frame(framing, Request(5, PDU), PDU))
        data, moments = await client.read(len(wanted))
        assert data == wanted
        asked = 8 if framing is Framing.RTU else 17
        limit = (asked + len(wanted)) * 10 / 9600 + 0.005
        assert moments[-1] - begun >= 0.99 * limit
        assert len(moments) > 5  # not in one piece
        assert moments[0] - begun < moments[-1] - begun - 0.5 * len(wanted) * 10 / 9600

    run(steps, framing)


def test_client_at_another_baud_rate_is_not_understood():
    async def steps(client: Client, faults: FaultSwitches, port: SerialPort) -> None:
        client.write(build_frame(Framing.RTU, Request(5, PDU), PDU))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.read(1), 0.2)
        assert port.line.transactions == 0

    run(steps, speed=termios.B19200)


def test_silent_device_then_a_request_that_is_answered():
    async def steps(client: Client, faults: FaultSwitches, port: SerialPort) -> None:
        faults.switch_on("meter", InjectedFault.SILENT, times=1)
        client.write(build_frame(Framing.RTU, Request(5, PDU), PDU))
        client.write(build_frame(Framing.RTU, Request(5, PDU), PDU))
        data, _ = await client.read(105)
        assert len(data) == 105
        assert port.line.transactions == 2

    run(steps)


def test_port_survives_a_client_that_closes_and_comes_again():
    async def steps(client: Client, faults: FaultSwitches, port: SerialPort) -> None:
        for _ in range(3):
            other = Client(port.path, termios.B9600)
            client._loop.remove_reader(client._file)
            other.write(build_frame(Framing.RTU, Request(5, PDU), PDU))
            data, _ = await other.read(105)
            other.close()
            assert len(data) == 105

    run(steps)


def test_windows_is_told_that_it_has_no_pseudo_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "win32")
    port = SerialPort(SimulatedLine("COM", {}, LineSettings(9600)))
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(EnvironmentFault, match="Windows has no pseudo-terminals"):
            loop.run_until_complete(port.start())
    finally:
        loop.close()


def test_unfinished_request_is_forgotten_after_a_silence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(serial_port, "PATIENCE_S", 0.0)

    async def steps(client: Client, faults: FaultSwitches, port: SerialPort) -> None:
        frame = build_frame(Framing.RTU, Request(5, PDU), PDU)
        # the same bytes would be a frame if the first half were kept
        client.write(frame[:4])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.read(1), 0.05)
        client.write(frame[4:])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.read(1), 0.05)
        client.write(frame)
        data, _ = await client.read(105)
        assert len(data) == 105
        assert port.line.transactions == 1

    run(steps)


def test_line_without_characters_writes_its_reply_at_once():
    async def main() -> None:
        port = SerialPort(SimulatedLine("COM", {5: Meter()}))
        client = Client(await port.start(), termios.B9600)
        client.write(build_frame(Framing.RTU, Request(5, PDU), PDU))
        data, _ = await asyncio.wait_for(client.read(105), PATIENCE_S)
        assert len(data) == 105
        client.close()
        await port.stop()

    asyncio.run(main())
