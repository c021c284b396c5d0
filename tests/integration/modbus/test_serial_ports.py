"""Serial lines over pseudo-terminals: RTU and ASCII, with what a real line adds."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import tty
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from modbus_fakes import RecordingListener, echo_profile, equip, make_gateway, run_real
from modbus_frames import echo_ascii, echo_rtu

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import BAUD_RATES, LineSettings, LinkScheme, Parity, TransactionIdCheck
from emdx_desktop.domain.readings import DeviceState, FaultKind
from emdx_desktop.modbus import bus_poller
from emdx_desktop.modbus.bus_poller import ModbusBusPoller
from emdx_desktop.modbus.framing import make_framing
from emdx_desktop.modbus.links import make_link
from emdx_desktop.modbus.requests import ReadRequest
from emdx_desktop.modbus.serial_link import SerialLink, port_settings


class Slave:
    """The device at the other end of a pseudo-terminal: answers what `answer` makes of a request."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)
        self.answer: Callable[[bytes], list[bytes]] = lambda request: [echo_rtu(request)]
        self._pending = b""

    def attach(self, *, is_ascii: bool = False) -> None:
        """Answer in the running loop."""

        def on_bytes() -> None:
            self._pending += os.read(self._master, 1000)
            while True:
                end = self._pending.find(b"\n") + 1 if is_ascii else 8
                if not end or len(self._pending) < end:
                    return
                request, self._pending = self._pending[:end], self._pending[end:]
                for piece in self.answer(request):
                    os.write(self._master, piece)

        asyncio.get_running_loop().add_reader(self._master, on_bytes)

    def detach(self) -> None:
        asyncio.get_running_loop().remove_reader(self._master)

    def unplug(self) -> None:
        """The adapter is pulled out."""
        os.close(self._slave)
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self._master >= 0:
            self.unplug()


@pytest.fixture
def slave() -> Iterator[Slave]:
    one = Slave()
    yield one
    one.close()


def make_serial_link(slave: Slave, scheme: LinkScheme = LinkScheme.RTU, line: LineSettings | None = None) -> SerialLink:
    return SerialLink(slave.name, line, make_framing(scheme, TransactionIdCheck.STRICT))


@pytest.mark.parametrize("baud", BAUD_RATES)
@pytest.mark.parametrize(
    ("parity", "stopbits"), [(Parity.NONE, 1), (Parity.NONE, 2), (Parity.EVEN, 1), (Parity.ODD, 1)]
)
def test_rtu_is_read_at_every_speed_and_parity(slave: Slave, baud: int, parity: Parity, stopbits: int) -> None:
    async def main() -> None:
        slave.attach()
        link = make_serial_link(slave, line=LineSettings(baud, parity, stopbits))
        await link.open()
        assert await link.read(ReadRequest(5, 3, 100, 3), 1.0) == (100, 101, 102)
        await link.close()
        slave.detach()

    run_real(main)


def test_a_port_gets_the_bits_of_its_line_and_a_pseudo_terminal_none(slave: Slave) -> None:
    line = LineSettings(19200, Parity.EVEN, 2, 7)
    assert port_settings("COM3", line) == {
        "port": "COM3",
        "baudrate": 19200,
        "bytesize": 7,
        "parity": "E",
        "stopbits": 2,
    }
    assert port_settings("/dev/ttyUSB0", LineSettings(9600, Parity.ODD))["parity"] == "O"
    assert port_settings("/dev/ttyUSB0", LineSettings(9600))["parity"] == "N"
    bare = port_settings(slave.name, line)
    assert (bare["bytesize"], bare["parity"]) == (8, "N")


def test_a_port_opens_again_after_it_was_closed(slave: Slave) -> None:
    async def main() -> None:
        slave.attach()
        link = make_serial_link(slave, line=LineSettings(19200, Parity.EVEN))
        for _ in range(3):
            await link.open()
            assert await link.read(ReadRequest(5, 3, 100, 3), 1.0) == (100, 101, 102)
        await link.close()
        slave.detach()

    run_real(main)


def test_ascii_is_read_with_seven_data_bits(slave: Slave) -> None:
    async def main() -> None:
        slave.answer = lambda request: [echo_ascii(request)]
        slave.attach(is_ascii=True)
        link = make_serial_link(slave, LinkScheme.ASCII, LineSettings(9600, Parity.EVEN, 1, databits=7))
        await link.open()
        assert await link.read(ReadRequest(5, 3, 100, 3), 1.0) == (100, 101, 102)
        await link.close()
        slave.detach()

    run_real(main)


def test_the_silent_interval_is_kept_between_two_requests(slave: Slave) -> None:
    moments: list[float] = []

    def answer(request: bytes) -> list[bytes]:
        moments.append(time.monotonic())
        return [echo_rtu(request)]

    async def main() -> None:
        slave.answer = answer
        slave.attach()
        link = make_serial_link(slave, line=LineSettings(1200))
        await link.open()
        for _ in range(4):
            await link.read(ReadRequest(5, 3, 100, 3), 1.0)
        await link.close()
        slave.detach()

    run_real(main)
    assert all(b - a >= 3.5 * 10 / 1200 for a, b in pairwise(moments))


@pytest.mark.parametrize("noise", [b"\x00", b"\xff", b"\x05\x03"])
def test_noise_pieces_and_echo_on_a_line_cost_no_reading(slave: Slave, noise: bytes) -> None:
    def answer(request: bytes) -> list[bytes]:
        reply = echo_rtu(request)
        return [request, noise, reply[:4], reply[4:]]

    async def main() -> None:
        slave.answer = answer
        slave.attach()
        link = make_serial_link(slave)
        await link.open()
        for address in range(100, 120):
            assert await link.read(ReadRequest(5, 3, address, 3), 1.0) == tuple(range(address, address + 3))
        await link.close()
        slave.detach()

    run_real(main)


def test_what_waits_in_the_port_is_not_the_next_reply(slave: Slave) -> None:
    async def main() -> None:
        slave.answer = lambda request: [echo_rtu(request), echo_rtu(request)]
        slave.attach()
        link = make_serial_link(slave)
        await link.open()
        for address in range(100, 110):
            assert await link.read(ReadRequest(5, 3, address, 3), 1.0) == tuple(range(address, address + 3))
            await asyncio.sleep(0.002)
        await link.close()
        slave.detach()

    run_real(main)


def test_silence_and_damage_are_told_apart_on_a_port(slave: Slave) -> None:
    async def main() -> None:
        slave.answer = lambda request: []
        slave.attach()
        link = make_serial_link(slave)
        await link.open()
        with pytest.raises(LinkFault) as silence:
            await link.read(ReadRequest(5, 3, 100, 3), 0.05)
        slave.answer = lambda request: [echo_rtu(request)[:-1] + b"\x00"]
        with pytest.raises(LinkFault) as damage:
            await link.read(ReadRequest(5, 3, 100, 3), 0.05)
        assert (silence.value.kind, damage.value.kind) == (FaultKind.TIMEOUT, FaultKind.CRC)
        await link.close()
        slave.detach()

    run_real(main)


def test_a_cancelled_request_closes_the_port_and_ends_its_thread(slave: Slave) -> None:
    async def main() -> None:
        slave.answer = lambda request: []
        slave.attach()
        link = make_serial_link(slave)
        await link.open()
        task = asyncio.create_task(link.read(ReadRequest(5, 3, 100, 3), 60.0))
        await asyncio.sleep(0.01)
        start = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert time.monotonic() - start < 0.5
        assert not link.is_open
        assert not [one for one in threading.enumerate() if one.name.startswith("line ")]
        slave.detach()

    run_real(main)


def test_a_port_that_is_not_there_or_was_pulled_out_is_told_in_words(slave: Slave) -> None:
    async def main() -> None:
        gateway = make_gateway(LinkScheme.RTU, serial_port="/dev/no-such-port", line=LineSettings())
        with pytest.raises(LinkFault, match="cannot be opened") as missing:
            await make_link(gateway).open()
        assert missing.value.kind is FaultKind.CONNECT
        link = make_serial_link(slave)
        with pytest.raises(LinkFault) as closed:
            await link.read(ReadRequest(5, 3, 100, 3), 0.1)
        assert closed.value.kind is FaultKind.CLOSED
        await link.open()
        slave.unplug()
        with pytest.raises(LinkFault, match="is gone") as gone:
            await link.read(ReadRequest(5, 3, 100, 3), 0.5)
        assert gone.value.kind is FaultKind.CLOSED
        assert not link.is_open
        await link.close()

    run_real(main)


@pytest.mark.parametrize("scheme", [LinkScheme.RTU, LinkScheme.ASCII])
def test_a_serial_line_is_polled_and_late_replies_never_become_other_values(
    slave: Slave, scheme: LinkScheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_poller, "MIN_QUIET_S", 0.03)
    echo = echo_rtu if scheme is LinkScheme.RTU else echo_ascii
    count = iter(range(10**6))

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def answer(request: bytes) -> list[bytes]:
            if next(count) % 25 == 24:
                loop.call_later(0.045 + 0.03 * (next(count) % 2), os.write, slave._master, echo(request))
                return []
            return [echo(request)]

        slave.answer = answer
        slave.attach(is_ascii=scheme is LinkScheme.ASCII)
        line = LineSettings(115200, databits=7 if scheme is LinkScheme.ASCII else 8, parity=Parity.EVEN)
        gateway = make_gateway(scheme, serial_port=slave.name, line=line, timeout_ms=30)
        listener = RecordingListener()
        poller = ModbusBusPoller(gateway, equip(echo_profile(6, 2), [7, 8]), listener, SystemClock(), min_cycle_s=0.0)
        done = asyncio.Event()
        listener.watch = lambda: done.set() if poller.snapshot().statistics.requests > 150 else None
        task = asyncio.create_task(poller.run())
        async with asyncio.timeout(10):
            await done.wait()
        assert poller.snapshot().is_connected
        assert listener.state_of(7) in (DeviceState.ANSWERING, DeviceState.PARTIAL)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.1)
        slave.detach()
        assert listener.wrong_values() == []
        assert poller.snapshot().statistics.good > 100

    run_real(main)


def test_the_loop_is_free_while_a_serial_port_waits(slave: Slave) -> None:
    async def main() -> None:
        link = make_serial_link(slave)
        await link.open()
        task = asyncio.create_task(link.read(ReadRequest(5, 3, 0, 1), 0.2))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.005)
            ticks += 1
        assert task.exception() is not None
        assert ticks > 10
        await link.close()

    run_real(main)
