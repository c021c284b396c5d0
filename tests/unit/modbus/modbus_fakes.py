"""Fakes for the tests of polling: profiles, a line in virtual time, a scripted gateway on loopback."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

from emdx_desktop.domain.bus_timing import PlannedRequest, request_time_s
from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.history import Event
from emdx_desktop.domain.installation import (
    Device,
    Gateway,
    LineSettings,
    Link,
    LinkScheme,
    TransactionIdCheck,
)
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.profiles import (
    AddressRange,
    DeviceProfile,
    Evidence,
    IdentityDef,
    PointDef,
    Priority,
    ReadGroupDef,
    ScaleRule,
    ValueType,
    WordOrder,
)
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import (
    DeviceId,
    DeviceState,
    FaultKind,
    GatewayId,
    GroupReadings,
    Notice,
    Quality,
)
from emdx_desktop.modbus.links import BusLink
from emdx_desktop.modbus.requests import ReadRequest

T = TypeVar("T")

GROUPS = (
    ReadGroupDef("live", Priority.LIVE),
    ReadGroupDef("minute", Priority.MINUTE),
    ReadGroupDef("slow", Priority.SLOW),
    ReadGroupDef("once", Priority.ONCE),
)
INSTANTS = tuple(
    id_ for id_, one in QUANTITIES.items() if one.kind is QuantityKind.INSTANT and not id_.startswith("power_factor")
)
START_MS = 1_795_000_020_000
"""Wall clock at the start of virtual tests: 20 s into a minute."""


def make_point(key: str, address: int, words: int = 1, **more: Any) -> PointDef:
    """An unsigned value of one or two words, in units of 1; `quantity=None` for an auxiliary point."""
    settings: dict[str, Any] = {
        "quantity": key,
        "label": key,
        "document_register": str(address + 1),
        "value_type": {1: ValueType.U16, 2: ValueType.U32, 3: ValueType.U48, 4: ValueType.U64}[words],
        "function_code": 3,
        "scale": Fraction(1),
        "group": "live",
        "evidence": Evidence.SIMULATION,
        "source": "test",
    }
    return PointDef(key=key, address=address, words=words, **(settings | more))


def make_profile(
    points: Sequence[PointDef],
    *,
    readable: Sequence[tuple[int, int]] = (),
    max_registers: int = 125,
    needs_even_count: bool = False,
    evidence: Evidence = Evidence.OFFICIAL,
    pause_ms: int = 0,
    response_ms: int = 20,
    identity: Sequence[IdentityDef] = (),
    scale_rules: Sequence[ScaleRule] = (),
) -> DeviceProfile:
    """A family with these points; ranges are first and last register of function 3."""
    used = {point.group for point in points}
    return DeviceProfile(
        id="test",
        maker="Test",
        catalogue_numbers=(),
        family="Test",
        model="Test meter",
        source="own design",
        sources={},
        evidence=evidence,
        word_order=WordOrder.HIGH_FIRST,
        is_byte_swapped=False,
        serial=None,
        unit_id_default=None,
        max_registers=max_registers,
        needs_even_count=needs_even_count,
        readable=tuple(AddressRange(3, first, last) for first, last in readable),
        pause_ms=pause_ms,
        response_ms=response_ms,
        units=1,
        groups=tuple(group for group in GROUPS if group.name in used),
        points=tuple(points),
        scale_rules={rule.name: rule for rule in scale_rules},
        identity=tuple(identity),
    )


def live_profile(count: int, *, first: int = 0, apart: int = 1, **more: Any) -> DeviceProfile:
    """`count` one-word live values, `apart` registers from one to the next."""
    points = [make_point(INSTANTS[i], first + i * apart) for i in range(count)]
    return make_profile(points, **more)


def make_gateway(
    scheme: LinkScheme = LinkScheme.TCP,
    *,
    port: int = 502,
    host: str = "127.0.0.1",
    serial_port: str = "",
    timeout_ms: int = 500,
    line: LineSettings | None = None,
    tid_check: TransactionIdCheck = TransactionIdCheck.STRICT,
    **more: Any,
) -> Gateway:
    """Gateway 1, called GW1."""
    is_network = not serial_port
    link = Link(scheme, host if is_network else "", port if is_network else 0, serial_port)
    return Gateway(GatewayId(1), "GW1", link, line=line, timeout_ms=timeout_ms, tid_check=tid_check, **more)


def equip(profile: DeviceProfile, units: Sequence[int], **more: Any) -> list[EquippedDevice]:
    """One device a unit; its id is its unit."""
    return [
        EquippedDevice(Device(DeviceId(unit), f"D{unit}", "GW1", "test", profile.id, unit, **more), profile)
        for unit in units
    ]


@dataclass
class RecordingListener:
    """A `BusListener` that remembers."""

    readings: list[tuple[float, GroupReadings]] = field(default_factory=list)
    states: list[tuple[DeviceId, DeviceState, str]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    watch: Callable[[], None] = lambda: None

    def on_readings(self, readings: GroupReadings) -> None:
        self.readings.append((asyncio.get_running_loop().time(), readings))
        self.watch()

    def on_device_state(self, device_id: DeviceId, state: DeviceState, detail: str) -> None:
        self.states.append((device_id, state, detail))
        self.watch()

    def on_notice(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.watch()

    def on_notice_cleared(self, key: str) -> None:
        self.cleared.append(key)
        self.watch()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self.watch()

    def of(self, device_id: int, group: str = "live") -> list[tuple[float, GroupReadings]]:
        """Readings of a group of a device with their moments."""
        return [
            (at, one) for at, one in self.readings if (one.layout.device_id, one.layout.group) == (device_id, group)
        ]

    def good(self, device_id: int, group: str = "live") -> list[float]:
        """Moments at which all values of a group were good."""
        return [at for at, one in self.of(device_id, group) if not any(one.qualities)]

    def state_of(self, device_id: int) -> DeviceState:
        """Newest state of a device."""
        return next(state for one, state, _ in reversed(self.states) if one == device_id)

    def wrong_values(self) -> list[str]:
        """Values of an address-echo device that are good and not their own address (each key ends in it)."""
        wrong = []
        for _, one in self.readings:
            for quantity, value, quality in zip(one.layout.quantities, one.values, one.qualities, strict=True):
                if quality == Quality.GOOD and value != ECHO_ADDRESSES[quantity]:
                    wrong.append(f"{quantity} = {value}")
        return wrong


ECHO_ADDRESSES: dict[str, int] = {}
"""Address of each quantity of the address-echo profile."""


def echo_profile(blocks: int, per_block: int, *, is_fixed: bool = True) -> DeviceProfile:
    """Registers whose value is their own address, in blocks that cannot be joined.

    With `is_fixed` all blocks have the same length and nothing around them may be read, so that a late
    reply to one looks exactly like the reply to another.
    """
    points = []
    ECHO_ADDRESSES.clear()
    for i in range(blocks * per_block):
        block, place = divmod(i, per_block)
        address = 1000 + 20 * block + place
        points.append(make_point(INSTANTS[i], address))
        ECHO_ADDRESSES[INSTANTS[i]] = address
    readable = [] if is_fixed else [(1000 + 20 * block, 1019 + 20 * block) for block in range(blocks)]
    return make_profile(points, readable=readable, response_ms=1)


# --- virtual time ----------------------------------------------------------------------------------------


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: the time it was told to wait has passed."""

    now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now_s += timeout
        assert timeout is not None, "everything waits for something that never comes"
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose hours pass at once."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def sleep_through(self, seconds: float) -> None:
        """The PC was suspended."""
        self._jumping.now_s += seconds


class VirtualClock:
    """`Clock` on the running loop's time; the wall clock may be moved."""

    def __init__(self) -> None:
        self.shift_ms = 0

    def now_ms(self) -> int:
        return START_MS + self.shift_ms + round((self.monotonic_s() - 1000) * 1000)

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


def run_virtual(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time; anything the loop would only log fails the test (I8)."""
    return _run(main, VirtualLoop())


def run_real(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in real time; anything the loop would only log fails the test (I8)."""
    return _run(main, asyncio.new_event_loop())


def _run(main: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop) -> T:
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    try:
        result = loop.run_until_complete(main())
        leftovers = asyncio.all_tasks(loop)
        assert not leftovers, leftovers
    finally:
        loop.close()
    assert not unhandled, unhandled
    return result


Answer = Sequence[int] | FaultKind | int | None
"""Words; a fault; an exception code; None for silence."""


class FakeLine(BusLink):
    """A line in virtual time: takes what a real one would take, answers what `answer` says.

    Attributes:
        requests: (moment, request) of every request.
        opened: Moments it was opened.
        is_refusing: Opening fails.
        registers: Answered by default: each register holds its own address.
    """

    def __init__(self, gateway: Gateway, *, response_s: float = 0.02) -> None:
        self.gateway = gateway
        self.response_s = response_s
        self.requests: list[tuple[float, ReadRequest]] = []
        self.opened: list[float] = []
        self.closed = 0
        self.is_refusing = False
        self.dead: set[int] = set()
        self.answer: Callable[[ReadRequest], Answer] = lambda request: range(
            request.address, request.address + request.count
        )
        self._is_open = False
        self._is_busy = False

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def has_reliable_tid(self) -> bool:
        return self.gateway.link.has_transaction_id and self.gateway.tid_check is TransactionIdCheck.STRICT

    @property
    def is_out_of_step(self) -> bool:
        return False

    async def open(self) -> None:
        self.opened.append(asyncio.get_running_loop().time())
        if self.is_refusing:
            raise LinkFault("connection refused", kind=FaultKind.CONNECT)
        self._is_open = True
        self.received_bytes = 0

    async def close(self) -> None:
        self.closed += self._is_open
        self._is_open = False

    async def quiet(self, wait_s: float) -> None:
        await self.close()
        await asyncio.sleep(wait_s)

    async def read(self, request: ReadRequest, timeout_s: float) -> tuple[int, ...]:
        assert self._is_open
        assert not self._is_busy, "two requests in flight"
        self._is_busy = True
        self.requests.append((asyncio.get_running_loop().time(), request))
        try:
            answer = None if request.unit_id in self.dead else self.answer(request)
            if answer is None or answer is FaultKind.TIMEOUT:
                await asyncio.sleep(timeout_s)
                raise LinkFault("no answer came in time", kind=FaultKind.TIMEOUT)
            planned = PlannedRequest(DeviceId(0), 0, request.function_code, 0, request.count, (), Priority.LIVE)
            await asyncio.sleep(request_time_s(planned, self.gateway.line, self.response_s * 1000))
            if isinstance(answer, FaultKind):
                if answer is FaultKind.CLOSED:
                    self._is_open = False
                raise LinkFault("broken", kind=answer)
            self.received_bytes += 5
            if isinstance(answer, int):
                raise LinkFault(
                    f"exception {answer}",
                    kind=FaultKind.EXCEPTION,
                    retryable=answer not in (1, 2, 3),
                    exception_code=answer,
                )
            return tuple(answer)
        finally:
            self._is_busy = False


# --- real time: a scripted gateway on loopback -------------------------------------------------------------

RESET = object()
"""In a script: the connection is reset."""

Script = Callable[[bytes], Sequence[tuple[float, bytes | object]]]


class ScriptedGateway:
    """A TCP server that answers what a script says: a function from request bytes to (delay, bytes or RESET).

    Requests are served one after the other, as by a gateway with one line behind it: a request waits for
    the delays of those before it, whichever connection they came on. A reply goes to the connection its
    request came on, or, with `is_transparent`, to whatever connection is open then.
    """

    def __init__(self, script: Script, *, request_size: int = 12, is_transparent: bool = False) -> None:
        self.script = script
        self.request_size = request_size
        self.is_transparent = is_transparent
        self.connections = 0
        self.open_writers: list[asyncio.StreamWriter] = []
        self.requests: list[bytes] = []
        self.port = 0
        self._queue: asyncio.Queue[tuple[bytes, asyncio.StreamWriter]] = asyncio.Queue()

    async def __aenter__(self) -> ScriptedGateway:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        for writer in list(self.open_writers):
            writer.transport.abort()
        for _ in range(200):
            if not self.open_writers:
                break
            await asyncio.sleep(0.001)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_writers.append(writer)
        try:
            while True:
                request = await self._next_request(reader)
                self.requests.append(request)
                self._queue.put_nowait((request, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()
        finally:
            self.open_writers.remove(writer)

    async def _next_request(self, reader: asyncio.StreamReader) -> bytes:
        if self.request_size:
            return await reader.readexactly(self.request_size)
        return await reader.readuntil(b"\r\n")

    async def _work(self) -> None:
        while True:
            request, writer = await self._queue.get()
            for delay_s, what in self.script(request):
                if delay_s:
                    await asyncio.sleep(delay_s)
                target = self.open_writers[-1] if self.is_transparent and self.open_writers else writer
                if what is RESET:
                    target.transport.abort()
                elif not target.transport.is_closing():
                    assert isinstance(what, bytes)
                    target.write(what)
