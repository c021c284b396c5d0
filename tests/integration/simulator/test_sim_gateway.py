"""Servers on loopback, asked with frames made by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from emdx_desktop.domain.installation import LineSettings
from emdx_desktop.simulator.faults import FaultSwitches, InjectedFault
from emdx_desktop.simulator.frames import Framing, Request, build_frame
from emdx_desktop.simulator.gateway import LOOPBACK, TcpServer
from emdx_desktop.simulator.line import SimulatedLine

FAST = LineSettings(115200)
PATIENCE_S = 10.0


class AddressEcho:
    """The value of each register is its own address: an answer to another request is seen at once."""

    def __init__(self, name: str, latency_s: float = 0.002):
        self.name = name
        self.latency_s = latency_s

    def answer(self, unit_id: int, pdu: bytes, ts_ms: int) -> bytes:
        first, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        return bytes((pdu[0], 2 * count)) + b"".join((first + i).to_bytes(2, "big") for i in range(count))


@dataclass
class Bench:
    framing: Framing
    server: TcpServer
    faults: FaultSwitches
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.server.port)
        self.clients.append(writer)
        return reader, writer

    def request(self, address: int, count: int = 1, unit_id: int = 5, transaction_id: int = 0) -> bytes:
        pdu = b"\x03" + address.to_bytes(2, "big") + count.to_bytes(2, "big")
        return build_frame(self.framing, Request(unit_id, pdu, transaction_id), pdu)

    def reply(self, address: int, unit_id: int = 5, transaction_id: int = 0) -> bytes:
        return build_frame(
            self.framing, Request(unit_id, b"", transaction_id), b"\x03\x02" + address.to_bytes(2, "big")
        )


def run(
    steps: Callable[[Bench], Awaitable[None]],
    framing: Framing = Framing.TCP,
    settings: LineSettings | None = FAST,
    **options: object,
) -> None:
    async def main() -> None:
        faults = FaultSwitches()
        line_framing = framing if settings is None or framing is not Framing.TCP else Framing.RTU
        stations = {5: AddressEcho("five"), 6: AddressEcho("six")}
        line = SimulatedLine("GW", stations, settings, framing=line_framing, faults=faults)
        bench = Bench(framing, TcpServer(line, framing, **{"timeout_ms": 60} | options), faults)
        await bench.server.start()
        try:
            await asyncio.wait_for(steps(bench), PATIENCE_S)
        finally:
            for client in bench.clients:
                client.close()
            await bench.server.stop()

    asyncio.run(main())


@pytest.mark.parametrize("framing", list(Framing))
def test_gateway_answers_in_its_framing(framing: Framing):
    async def steps(bench: Bench) -> None:
        reader, writer = await bench.connect()
        writer.write(bench.request(0xC558, transaction_id=0x1234))
        wanted = bench.reply(0xC558, transaction_id=0x1234)
        assert await reader.readexactly(len(wanted)) == wanted

    run(steps, framing)


def test_ethernet_meter_answers():
    async def steps(bench: Bench) -> None:
        reader, writer = await bench.connect()
        writer.write(bench.request(7, transaction_id=3))
        wanted = bench.reply(7, transaction_id=3)
        assert await reader.readexactly(len(wanted)) == wanted

    run(steps, settings=None)


def test_two_clients_share_one_queue_in_order_of_arrival():
    async def steps(bench: Bench) -> None:
        (reader_a, writer_a), (reader_b, writer_b) = await bench.connect(), await bench.connect()
        for turn in range(5):
            writer_a.write(bench.request(2 * turn, transaction_id=turn))
            writer_b.write(bench.request(2 * turn + 1, unit_id=6, transaction_id=turn))
        for turn in range(5):
            assert await reader_a.readexactly(11) == bench.reply(2 * turn, transaction_id=turn)
            assert await reader_b.readexactly(11) == bench.reply(2 * turn + 1, 6, turn)
        assert bench.server.line.transactions == 10

    run(steps)


def test_gateway_says_target_failed_for_a_silent_device():
    async def steps(bench: Bench) -> None:
        bench.faults.switch_on("five", InjectedFault.SILENT)
        reader, writer = await bench.connect()
        writer.write(bench.request(1, transaction_id=9) + bench.request(2, unit_id=6, transaction_id=10))
        assert await reader.readexactly(9) == bytes.fromhex("0009 0000 0003 05 83 0B")
        assert await reader.readexactly(11) == bench.reply(2, 6, 10)

    run(steps)


def test_gateway_may_stay_silent_instead():
    async def steps(bench: Bench) -> None:
        reader, writer = await bench.connect()
        writer.write(bench.request(1, unit_id=99, transaction_id=9) + bench.request(2, transaction_id=10))
        assert await reader.readexactly(11) == bench.reply(2, transaction_id=10)

    run(steps, is_silent_on_timeout=True)


@pytest.mark.parametrize("kind", [InjectedFault.BAD_CRC, InjectedFault.NOISE_BYTE, InjectedFault.GARBAGE])
def test_gateway_that_knows_modbus_never_passes_a_spoiled_frame_on(kind: InjectedFault):
    async def steps(bench: Bench) -> None:
        bench.faults.switch_on("GW", kind, times=1)
        reader, writer = await bench.connect()
        writer.write(bench.request(1, transaction_id=1) + bench.request(2, transaction_id=2))
        assert await reader.readexactly(9) == bytes.fromhex("0001 0000 0003 05 83 0B")
        assert await reader.readexactly(11) == bench.reply(2, transaction_id=2)

    run(steps)


def test_transparent_gateway_passes_a_spoiled_frame_on():
    async def steps(bench: Bench) -> None:
        bench.faults.switch_on("five", InjectedFault.NOISE_BYTE, times=1)
        reader, writer = await bench.connect()
        writer.write(bench.request(1))
        assert (await reader.readexactly(8))[1:] == bench.reply(1)

    run(steps, Framing.RTU)


def test_late_reply_of_a_transparent_gateway_comes_after_the_time_out():
    async def steps(bench: Bench) -> None:
        bench.faults.switch_on("five", InjectedFault.LATE, delay_ms=150, times=1)
        reader, writer = await bench.connect()
        writer.write(bench.request(1) + bench.request(2, unit_id=6))
        assert await reader.readexactly(7) == bench.reply(2, 6)
        assert await reader.readexactly(7) == bench.reply(1)

    run(steps, Framing.RTU)


def test_late_reply_is_lost_behind_a_gateway_that_knows_modbus():
    async def steps(bench: Bench) -> None:
        bench.faults.switch_on("five", InjectedFault.LATE, delay_ms=100, times=1)
        reader, writer = await bench.connect()
        writer.write(bench.request(1, transaction_id=1))
        assert (await reader.readexactly(9))[-1] == 0x0B
        writer.write(bench.request(2, transaction_id=2))
        assert await reader.readexactly(11) == bench.reply(2, transaction_id=2)

    run(steps)


@pytest.mark.parametrize("framing", list(Framing))
def test_connection_is_dropped_instead_of_an_answer(framing: Framing):
    async def steps(bench: Bench) -> None:
        bench.faults.switch_on("five", InjectedFault.DROPPED_CONNECTION, times=1)
        reader, writer = await bench.connect()
        writer.write(bench.request(1))
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)
        reader, writer = await bench.connect()
        writer.write(bench.request(1))
        assert await reader.readexactly(len(bench.reply(1))) == bench.reply(1)

    run(steps, framing)


def test_one_client_too_many_is_closed_at_once_until_another_leaves():
    async def steps(bench: Bench) -> None:
        reader, writer = await bench.connect()
        writer.write(bench.request(1))
        await reader.readexactly(11)
        refused, _ = await bench.connect()
        assert await refused.read() == b""
        writer.close()
        await writer.wait_closed()
        while True:  # the server hears of the end in its own time
            reader, writer = await bench.connect()
            writer.write(bench.request(1))
            if await reader.read(11) == bench.reply(1):
                break

    run(steps, max_connections=1)


def test_broken_header_closes_the_connection():
    async def steps(bench: Bench) -> None:
        reader, writer = await bench.connect()
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(1)

    run(steps)


def test_client_that_leaves_early_harms_nobody():
    async def steps(bench: Bench) -> None:
        _, writer = await bench.connect()
        writer.write(bench.request(1))
        await writer.drain()
        writer.close()
        reader, writer = await bench.connect()
        writer.write(bench.request(2))
        assert await reader.readexactly(11) == bench.reply(2)

    run(steps)


def test_transparent_gateway_cannot_change_the_framing():
    line = SimulatedLine("GW", {}, FAST, framing=Framing.RTU)
    with pytest.raises(ValueError, match="as they are"):
        TcpServer(line, Framing.ASCII)


def test_measured_cycle_meets_the_lines_own_limit():
    """32 reads of 60 registers at 115200 baud: real sockets and timers, on the loop's clock."""

    async def steps(bench: Bench) -> None:
        loop = asyncio.get_running_loop()
        reader, writer = await bench.connect()
        begun = 0.0
        for turn in range(33):
            writer.write(bench.request(turn, count=60, transaction_id=turn))
            await reader.readexactly(9 + 120)
            if turn == 0:
                begun = loop.time()
        taken = loop.time() - begun
        limit = 32 * ((8 + 5 + 120) * 10 / 115200 + 0.002 + 0.00175)
        # a busy machine may be slower than the line, never faster
        assert taken >= 0.99 * limit
        assert bench.server.line.busy_s == pytest.approx(33 / 32 * limit, rel=1e-6)

    run(steps)
