"""The whole stack against a scripted gateway on loopback: what arrives is right, or a fault, never wrong."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from modbus_fakes import (
    RESET,
    RecordingListener,
    ScriptedGateway,
    echo_profile,
    equip,
    live_profile,
    make_gateway,
    run_real,
)
from modbus_frames import echo_ascii, echo_mbap, echo_rtu, mbap, refusal_pdu, reply_pdu, rtu

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import Gateway, LinkScheme, TransactionIdCheck
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.readings import DeviceState, FaultKind, Quality, RequestStatistics
from emdx_desktop.modbus import bus_poller
from emdx_desktop.modbus.bus_poller import ModbusBusPoller
from emdx_desktop.modbus.framing import make_framing
from emdx_desktop.modbus.links import TcpLink
from emdx_desktop.modbus.requests import ReadRequest

TIMEOUT_MS = 30
REQUEST_SIZES = {LinkScheme.TCP: 12, LinkScheme.RTU_TCP: 8, LinkScheme.ASCII_TCP: 0}
ECHO = {LinkScheme.TCP: echo_mbap, LinkScheme.RTU_TCP: echo_rtu, LinkScheme.ASCII_TCP: echo_ascii}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits keep their proportion to the time-out, which is short here."""
    monkeypatch.setattr(bus_poller, "MIN_QUIET_S", TIMEOUT_MS / 1000)
    monkeypatch.setattr(bus_poller, "FIRST_BACK_OFF_S", 0.02)
    monkeypatch.setattr(bus_poller, "LAST_BACK_OFF_S", 0.05)
    monkeypatch.setattr(bus_poller, "PROBE_S", 0.1)
    monkeypatch.setattr(bus_poller, "PROBE_JITTER_S", 0.01)


async def poll(
    gateway: Gateway,
    devices: Sequence[EquippedDevice],
    *,
    until: Callable[[RecordingListener, ModbusBusPoller], bool],
    limit_s: float = 10.0,
) -> tuple[RecordingListener, ModbusBusPoller]:
    """Poll until something holds; fails when it does not within the limit."""
    listener = RecordingListener()
    poller = ModbusBusPoller(gateway, devices, listener, SystemClock(), min_cycle_s=0.0)
    done = asyncio.Event()
    listener.watch = lambda: done.set() if until(listener, poller) else None
    task = asyncio.create_task(poller.run())
    try:
        async with asyncio.timeout(limit_s):
            await done.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), task.exception()
    return listener, poller


def statistics(poller: ModbusBusPoller) -> RequestStatistics:
    return poller.snapshot().statistics


# --- the address-echo device behind a strictly serial gateway with late replies (C5, C6) --------------------


@pytest.mark.parametrize("pause_ms", [0, 5])
@pytest.mark.parametrize(
    ("scheme", "check", "answered_tid"),
    [
        (LinkScheme.TCP, TransactionIdCheck.STRICT, None),
        (LinkScheme.TCP, TransactionIdCheck.ACCEPT_ZERO, 0),
        (LinkScheme.TCP, TransactionIdCheck.OFF, 4711),
        (LinkScheme.RTU_TCP, TransactionIdCheck.STRICT, None),
        (LinkScheme.ASCII_TCP, TransactionIdCheck.STRICT, None),
    ],
)
def test_late_replies_never_become_values_of_another_request(
    scheme: LinkScheme, check: TransactionIdCheck, answered_tid: int | None, pause_ms: int
) -> None:
    rng = random.Random(5)
    late = iter([0.9, 1.1, 3.0, 1.5, 2.2] * 1000)

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        delay_s = TIMEOUT_MS / 1000 * next(late) if rng.random() < 0.04 else 0.0005
        if scheme is LinkScheme.TCP:
            return [(delay_s, echo_mbap(request, tid=answered_tid))]
        return [(delay_s, ECHO[scheme](request))]

    def is_enough(_: RecordingListener, poller: ModbusBusPoller) -> bool:
        counts = statistics(poller)
        # enough of both, however many time-outs a busy machine adds
        enough = counts.good > 100 and counts.requests >= (100 if pause_ms else 300)
        return enough and counts.errors.get(FaultKind.TIMEOUT, 0) >= 3

    async def main() -> None:
        async with ScriptedGateway(script, request_size=REQUEST_SIZES[scheme]) as server:
            gateway = make_gateway(scheme, port=server.port, timeout_ms=TIMEOUT_MS, tid_check=check, pause_ms=pause_ms)
            devices = equip(echo_profile(60, 2), [7])
            listener, poller = await poll(
                gateway,
                devices,
                until=is_enough,
            )
            assert listener.wrong_values() == []
            assert statistics(poller).good > 100

    run_real(main)


def test_late_replies_that_follow_to_the_next_connection_never_become_values() -> None:
    """A transparent serial server hands what the line says to whoever is connected."""
    rng = random.Random(11)

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        return [(TIMEOUT_MS / 1000 * rng.choice((1.2, 2.5, 3.0)) if rng.random() < 0.03 else 0.0005, echo_rtu(request))]

    async def main() -> None:
        async with ScriptedGateway(script, request_size=8, is_transparent=True) as server:
            gateway = make_gateway(LinkScheme.RTU_TCP, port=server.port, timeout_ms=TIMEOUT_MS)
            devices = equip(echo_profile(20, 2), [7, 8])
            listener, _ = await poll(
                gateway,
                devices,
                until=lambda _, poller: (
                    statistics(poller).requests >= 400 and statistics(poller).errors.get(FaultKind.TIMEOUT, 0) >= 5
                ),
            )
            assert listener.wrong_values() == []

    run_real(main)


def test_a_duplicated_reply_never_becomes_the_value_of_the_next_request() -> None:
    for scheme in (LinkScheme.TCP, LinkScheme.RTU_TCP, LinkScheme.ASCII_TCP):
        count = iter(range(10**6))

        def script(
            request: bytes, scheme: LinkScheme = scheme, count: Any = count
        ) -> list[tuple[float, bytes | object]]:
            frame = ECHO[scheme](request)
            return [(0.0, frame * 2)] if next(count) % 7 == 3 else [(0.0, frame)]

        async def main(scheme: LinkScheme = scheme, script: Any = script) -> None:
            async with ScriptedGateway(script, request_size=REQUEST_SIZES[scheme]) as server:
                gateway = make_gateway(scheme, port=server.port, timeout_ms=TIMEOUT_MS)
                listener, _ = await poll(
                    gateway,
                    equip(echo_profile(10, 2), [7]),
                    until=lambda _, poller: statistics(poller).good >= 60,
                )
                assert listener.wrong_values() == []

        run_real(main)


def test_a_cancelled_request_leaves_nothing_behind_for_the_next() -> None:
    for scheme in (LinkScheme.TCP, LinkScheme.RTU_TCP, LinkScheme.ASCII_TCP):

        async def main(scheme: LinkScheme = scheme) -> None:
            def script(request: bytes) -> list[tuple[float, bytes | object]]:
                return [(0.02, ECHO[scheme](request))]

            async with ScriptedGateway(script, request_size=REQUEST_SIZES[scheme]) as server:
                link = TcpLink("127.0.0.1", server.port, make_framing(scheme, TransactionIdCheck.STRICT))
                await link.open()
                task = asyncio.create_task(link.read(ReadRequest(7, 3, 100, 2), 1.0))
                await asyncio.sleep(0.005)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert not link.is_open
                await link.open()
                assert await link.read(ReadRequest(7, 3, 200, 2), 1.0) == (200, 201)
                await link.close()

        run_real(main)


def test_stale_bytes_in_the_kernels_buffer_are_not_the_next_reply() -> None:
    async def main() -> None:
        async with ScriptedGateway(lambda request: [(0.0, echo_rtu(request))], request_size=8) as server:
            link = TcpLink("127.0.0.1", server.port, make_framing(LinkScheme.RTU_TCP, TransactionIdCheck.STRICT))
            await link.open()
            assert await link.read(ReadRequest(7, 3, 100, 2), 1.0) == (100, 101)
            # sent by the kernel while this loop does something else
            stale = rtu(7, reply_pdu((1, 2)))
            server_socket: socket.socket = server.open_writers[0].get_extra_info("socket")
            socket.socket.send(server_socket._sock, stale)  # type: ignore[attr-defined]  # past asyncio on purpose
            with pytest.raises(LinkFault) as caught:
                await link.read(ReadRequest(7, 3, 200, 2), 1.0)
            assert caught.value.kind is FaultKind.PROTOCOL
            assert link.is_out_of_step
            await link.close()

    run_real(main)


# --- connections ---------------------------------------------------------------------------------------------


def test_a_half_open_connection_is_left_within_three_time_outs_and_one_remains() -> None:
    is_mute = [False]

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        return [] if is_mute[0] else [(0.0, echo_mbap(request))]

    async def main() -> None:
        async with ScriptedGateway(script) as server:
            gateway = make_gateway(port=server.port, timeout_ms=TIMEOUT_MS)
            moments: list[float] = []

            def is_done(listener: RecordingListener, poller: ModbusBusPoller) -> bool:
                now = asyncio.get_running_loop().time()
                if not moments and len(listener.readings) >= 5:
                    is_mute[0] = True
                    moments.append(now)
                if len(moments) == 1 and server.connections == 2:
                    moments.append(now)
                    is_mute[0] = False
                return len(moments) == 2 and len(listener.good(7)) > 20

            await poll(gateway, equip(live_profile(5), [7]), until=is_done)
            assert server.connections >= 2

    run_real(main)


@pytest.mark.parametrize("when", ["instead", "after", "middle"])
def test_resets_cost_no_reading(when: str) -> None:
    count = iter(range(10**6))

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        reply = echo_mbap(request)
        if next(count) % 10 != 9:
            return [(0.0, reply)]
        return {
            "instead": [(0.0, RESET)],
            "after": [(0.0, reply), (0.0, RESET)],
            "middle": [(0.0, reply[:9]), (0.002, RESET)],
        }[when]

    async def main() -> None:
        async with ScriptedGateway(script) as server:
            gateway = make_gateway(port=server.port, timeout_ms=TIMEOUT_MS)
            listener, _ = await poll(
                gateway, equip(echo_profile(3, 2), [7]), until=lambda listener, _: len(listener.readings) >= 50
            )
            assert all(not any(one.qualities) for _, one in listener.readings)
            assert listener.wrong_values() == []
            assert listener.notices == []
            assert server.connections > 5

    run_real(main)


def test_a_name_that_is_not_known_and_a_port_that_is_closed_are_told_in_words() -> None:
    async def main() -> None:
        framing = make_framing(LinkScheme.TCP, TransactionIdCheck.STRICT)
        with pytest.raises(LinkFault, match=r"name .* is unknown"):
            await TcpLink("no-such-host.invalid", 502, framing).open()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            link = TcpLink("127.0.0.1", closed.getsockname()[1], framing)
            with pytest.raises(LinkFault, match="connection refused") as caught:
                await link.open()
        assert caught.value.kind is FaultKind.CONNECT
        with pytest.raises(LinkFault) as closed_fault:
            await link.read(ReadRequest(1, 3, 0, 1), 0.1)
        assert closed_fault.value.kind is FaultKind.CLOSED

    run_real(main)


def test_a_host_that_swallows_the_connection_is_given_up() -> None:
    async def main() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            blockers = []
            for _ in range(4):  # fill the queue of connections nobody accepts
                blocker = socket.socket()
                blocker.setblocking(False)
                blocker.connect_ex(("127.0.0.1", port))
                blockers.append(blocker)
            framing = make_framing(LinkScheme.TCP, TransactionIdCheck.STRICT)
            with pytest.raises(LinkFault, match="does not answer"):
                await TcpLink("127.0.0.1", port, framing, connect_timeout_s=0.05).open()
            for blocker in blockers:
                blocker.close()

    run_real(main)


def test_small_frames_are_sent_at_once_and_a_silent_peer_is_noticed() -> None:
    async def main() -> None:
        async with ScriptedGateway(lambda request: []) as server:
            link = TcpLink("localhost", server.port, make_framing(LinkScheme.TCP, TransactionIdCheck.STRICT))
            await link.open()
            assert link._transport is not None
            sock = link._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            await link.close()

    run_real(main)


# --- replies -------------------------------------------------------------------------------------------------


def test_a_reply_split_at_every_position_is_read() -> None:
    cuts = iter(range(1, 10**6))

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        reply = echo_mbap(request)
        cut = next(cuts) % len(reply)
        return [(0.0, reply[:cut]), (0.001, reply[cut:])]

    async def main() -> None:
        async with ScriptedGateway(script) as server:
            gateway = make_gateway(port=server.port, timeout_ms=200)
            listener, _ = await poll(
                gateway, equip(echo_profile(1, 8), [7]), until=lambda listener, _: len(listener.readings) >= 30
            )
            assert all(not any(one.qualities) for _, one in listener.readings)

    run_real(main)


@pytest.mark.parametrize("noise", [b"\x00", b"\xff", b"\x55\xaa"])
def test_noise_before_and_after_an_rtu_reply_costs_no_reading(noise: bytes) -> None:
    count = iter(range(10**6))

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        return [(0.0, noise + echo_rtu(request) + (noise if next(count) % 5 == 0 else b""))]

    async def main() -> None:
        async with ScriptedGateway(script, request_size=8) as server:
            gateway = make_gateway(LinkScheme.RTU_TCP, port=server.port, timeout_ms=TIMEOUT_MS)
            listener, _ = await poll(
                gateway, equip(echo_profile(2, 4), [7]), until=lambda listener, _: len(listener.readings) >= 30
            )
            assert all(not any(one.qualities) for _, one in listener.readings)
            assert listener.wrong_values() == []

    run_real(main)


def test_local_echo_costs_no_reading() -> None:
    async def main() -> None:
        def script(request: bytes) -> list[tuple[float, bytes | object]]:
            return [(0.0, request + echo_rtu(request))]

        async with ScriptedGateway(script, request_size=8) as server:
            gateway = make_gateway(LinkScheme.RTU_TCP, port=server.port, timeout_ms=TIMEOUT_MS)
            listener, _ = await poll(
                gateway, equip(echo_profile(2, 4), [7]), until=lambda listener, _: len(listener.readings) >= 20
            )
            assert all(not any(one.qualities) for _, one in listener.readings)

    run_real(main)


def test_a_corrupted_check_sum_is_counted_and_the_next_poll_is_good() -> None:
    count = iter(range(10**6))

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        reply = bytearray(echo_rtu(request))
        if next(count) % 6 == 5:
            reply[4] ^= 0x10
        return [(0.0, bytes(reply))]

    async def main() -> None:
        async with ScriptedGateway(script, request_size=8) as server:
            gateway = make_gateway(LinkScheme.RTU_TCP, port=server.port, timeout_ms=TIMEOUT_MS)
            listener, poller = await poll(
                gateway,
                equip(echo_profile(2, 4), [7]),
                until=lambda _, poller: statistics(poller).errors.get(FaultKind.CRC, 0) >= 4,
            )
            assert listener.wrong_values() == []
            assert all(not any(one.qualities) for _, one in listener.readings)
            assert set(statistics(poller).errors) == {FaultKind.CRC}

    run_real(main)


LIES: dict[str, Callable[[bytes], bytes]] = {
    "another function": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], reply_pdu([1] * r[11], 4)),
    "fewer registers": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], reply_pdu([1] * (r[11] - 1))),
    "more registers": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], reply_pdu([1] * (r[11] + 1))),
    "byte count too large": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], b"\x03\xff" + bytes(2 * r[11])),
    "byte count too small": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], b"\x03\x02" + bytes(2 * r[11])),
    "odd byte count": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], b"\x03\x07" + bytes(7)),
    "no registers": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], b"\x03\x00"),
    "refusal of another function": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], refusal_pdu(2, 4)),
    "refusal without a code": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], b"\x83"),
    "another unit": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6] + 1, reply_pdu([1] * r[11])),
    "length 0": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], reply_pdu([1] * r[11]), length=0),
    "length 1": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], reply_pdu([1] * r[11]), length=1),
    "length 65535": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], reply_pdu([1] * r[11]), length=65535),
    "another protocol": lambda r: mbap(int.from_bytes(r[:2], "big"), r[6], reply_pdu([1] * r[11]), protocol=7),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_reply_that_lies_is_a_protocol_fault_and_the_next_cycle_is_good(lie: str) -> None:
    is_lying = [True]

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        return [(0.0, LIES[lie](request) if is_lying[0] else echo_mbap(request))]

    async def main() -> None:
        async with ScriptedGateway(script) as server:
            gateway = make_gateway(port=server.port, timeout_ms=TIMEOUT_MS)

            def is_done(listener: RecordingListener, _: ModbusBusPoller) -> bool:
                is_lying[0] = len(listener.readings) < 2
                return len(listener.readings) >= 5

            listener, poller = await poll(gateway, equip(echo_profile(1, 4), [7]), until=is_done)
            assert listener.wrong_values() == []
            assert set(listener.readings[0][1].qualities) == {Quality.PROTOCOL}
            assert not any(listener.readings[-1][1].qualities)
            assert set(statistics(poller).errors) == {FaultKind.PROTOCOL}
            assert listener.state_of(7) is DeviceState.ANSWERING

    run_real(main)


def test_the_wrong_id_and_then_the_right_one_is_the_right_one() -> None:
    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        tid = int.from_bytes(request[:2], "big")
        return [(0.0, mbap(tid ^ 1, request[6], reply_pdu([9] * request[11])) + echo_mbap(request))]

    async def main() -> None:
        async with ScriptedGateway(script) as server:
            gateway = make_gateway(port=server.port, timeout_ms=TIMEOUT_MS)
            listener, _ = await poll(
                gateway, equip(echo_profile(2, 4), [7]), until=lambda listener, _: len(listener.readings) >= 10
            )
            assert listener.wrong_values() == []
            assert all(not any(one.qualities) for _, one in listener.readings)

    run_real(main)


@pytest.mark.parametrize("scheme", [LinkScheme.TCP, LinkScheme.RTU_TCP, LinkScheme.ASCII_TCP])
def test_ten_megabytes_of_garbage_are_survived(scheme: LinkScheme) -> None:
    flood = [True]
    garbage = random.Random(3).randbytes(1_000_000)

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        if flood[0]:
            flood[0] = False
            return [(0.0, garbage)] * 10
        return [(0.0, ECHO[scheme](request))]

    async def main() -> None:
        async with ScriptedGateway(script, request_size=REQUEST_SIZES[scheme]) as server:
            gateway = make_gateway(scheme, port=server.port, timeout_ms=TIMEOUT_MS)
            listener, _ = await poll(
                gateway, equip(echo_profile(1, 4), [7]), until=lambda listener, _: len(listener.good(7)) >= 5
            )
            assert listener.wrong_values() == []

    run_real(main)


@pytest.mark.parametrize("scheme", [LinkScheme.TCP, LinkScheme.RTU_TCP, LinkScheme.ASCII_TCP])
def test_hundreds_of_fuzzed_replies_through_the_whole_stack_give_no_wrong_value(scheme: LinkScheme) -> None:
    rng = random.Random(17)

    def script(request: bytes) -> list[tuple[float, bytes | object]]:
        reply = bytearray(ECHO[scheme](request))
        if rng.random() < 0.5:
            return [(0.0, bytes(reply))]
        kind = rng.randrange(5)
        if scheme is LinkScheme.TCP and kind == 0:
            reply[rng.randrange(9)] ^= 1 << rng.randrange(8)  # the data itself is TCP's to protect
        elif kind == 0:
            reply[rng.randrange(len(reply))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del reply[rng.randrange(1, len(reply)) :]
        elif kind == 2:
            reply = bytearray(rng.randbytes(rng.randint(1, 30)))
        elif kind == 3:
            reply = reply * 2
        else:
            return [(0.0, RESET)]
        return [(0.0, bytes(reply))]

    async def main() -> None:
        async with ScriptedGateway(script, request_size=REQUEST_SIZES[scheme]) as server:
            gateway = make_gateway(scheme, port=server.port, timeout_ms=8)
            listener, poller = await poll(
                gateway,
                equip(echo_profile(6, 2), [7, 8, 9]),
                until=lambda _, poller: statistics(poller).requests >= (300 if scheme is LinkScheme.TCP else 120),
                limit_s=20,
            )
            assert listener.wrong_values() == []
            assert statistics(poller).good > 30

    run_real(main)
