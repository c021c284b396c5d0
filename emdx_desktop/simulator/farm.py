"""Many lines of equal devices for measuring: exact serial timing, next to no processor time.

Dead devices never answer. The values are plausible and move every second; the first one counts up.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emdx_desktop.domain.errors import ConfigurationError, Problem
from emdx_desktop.domain.installation import BAUD_RATES, LineSettings, LinkScheme, Parity
from emdx_desktop.domain.profiles import DeviceProfile
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.simulator.bench_profile import bench_profile
from emdx_desktop.simulator.faults import FaultSwitches, InjectedFault
from emdx_desktop.simulator.frames import Framing
from emdx_desktop.simulator.line import SimulatedLine
from emdx_desktop.simulator.open_line import OpenLine, choose_line_framing, open_line

_CALM_RAW = {"power_factor": 800, "temperature": 250, "voltage": 23_000, "frequency": 50_000}


class BenchStation:
    """A device of the bench profile, all its registers kept as bytes and renewed once a second."""

    def __init__(self, name: str, unit_id: int, profile: DeviceProfile, response_ms: float) -> None:
        self.name = name
        self.latency_s = response_ms / 1000
        bases = []
        for i, point in enumerate(profile.points):
            quantity = QUANTITIES[point.quantity or ""]
            calm = next((raw for prefix, raw in _CALM_RAW.items() if quantity.id.startswith(prefix)), 10_000 + 37 * i)
            bases.append(calm + unit_id)
        self._bases = np.array(bases, np.int64)
        self._steps = np.array([QUANTITIES[p.quantity or ""].kind is not QuantityKind.COUNTER for p in profile.points])
        self._second = -1
        self._registers = b""

    def answer(self, unit_id: int, pdu: bytes, ts_ms: int) -> bytes:
        """Registers asked for; exceptions 1, 2 and 3 as any device."""
        if pdu[0] != 3 or len(pdu) != 5:
            return bytes((pdu[0] | 0x80, 1))
        first, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= 125:
            return b"\x83\x03"
        second = ts_ms // 1000
        if second != self._second:
            moved = np.where(self._steps, self._bases + second % 50, self._bases + second % 1_000_000_000)
            self._registers = moved.astype(">u4").tobytes()
            self._second = second
        wanted = self._registers[2 * first : 2 * (first + count)]
        if len(wanted) != 2 * count:
            return b"\x83\x02"
        return bytes((3, 2 * count)) + wanted


@dataclass(frozen=True, slots=True)
class FarmPlan:
    """What to measure against.

    Attributes:
        lines: Gateways or serial ports.
        devices: On each line, unit ids from 1.
        baud: Of each line, 8N1 (7E1 on ASCII).
        registers: Holding registers of a device.
        response_ms: Its latency.
        dead: Devices on each line that never answer, spread evenly.
        link: How the lines are reached.
        timeout_ms: Of the gateways.
        is_silent_on_timeout: Gateways say nothing instead of exception 0x0B.
    """

    lines: int = 1
    devices: int = 32
    baud: int = 9600
    registers: int = 120
    response_ms: int = 20
    dead: int = 0
    link: LinkScheme = LinkScheme.TCP
    timeout_ms: int = 450
    is_silent_on_timeout: bool = False

    @property
    def dead_units(self) -> tuple[int, ...]:
        """Unit ids that never answer."""
        return tuple(round((i + 1) * self.devices / (self.dead + 1)) for i in range(self.dead))


def parse_farm_plan(text: str) -> FarmPlan:
    """Read `lines=8,devices=32,baud=9600,registers=120,response_ms=20,dead=3,link=tcp,timeout_ms=450,silent=0`.

    Raises:
        ConfigurationError: All mistakes at once.
    """
    numbers = {"lines": 1, "devices": 32, "baud": 9600, "registers": 120, "response_ms": 20, "dead": 0}
    numbers |= {"timeout_ms": 450, "silent": 0}
    allowed = {"lines": range(1, 65), "devices": range(1, 248), "baud": BAUD_RATES, "registers": range(2, 125, 2)}
    link = LinkScheme.TCP
    problems = []
    for part in filter(None, text.split(",")):
        key, _, value = part.partition("=")
        if key == "link":
            try:
                link = LinkScheme(value)
            except ValueError:
                problems.append(Problem("link", f"{value!r} is none of {', '.join(LinkScheme)}"))
        elif key not in numbers:
            problems.append(Problem(key, f"is not known; known are link, {', '.join(numbers)}"))
        elif not value.isdecimal() or (key in allowed and int(value) not in allowed[key]):
            problems.append(Problem(key, f"{value!r} is not a number that makes sense here"))
        else:
            numbers[key] = int(value)
    if numbers["dead"] >= numbers["devices"]:
        problems.append(Problem("dead", "leaves no device that answers"))
    if problems:
        raise ConfigurationError(problems)
    is_silent = bool(numbers.pop("silent"))
    return FarmPlan(**numbers, link=link, is_silent_on_timeout=is_silent)


class Farm:
    """Running lines.

    Attributes:
        links: Where each line is reached, as a site file writes it.
        ports: TCP port of each line; empty for serial ports.
        lines: The lines, for their counts of transactions.
        faults: Switches; the targets are "line 1" and "line 1 unit 5".
    """

    def __init__(self, lines: Sequence[OpenLine], faults: FaultSwitches) -> None:
        self._open = lines
        self.faults = faults
        self.lines = [line.line for line in lines]
        self.ports = [line.port for line in lines if line.port]
        self.links = [line.link for line in lines]

    async def stop(self) -> None:
        """Close all lines."""
        for line in self._open:
            await line.stop()


def _ignore(fault: InjectedFault) -> None:
    """Bench devices have no counters to reset."""


async def start_farm(
    lines: int,
    devices_per_line: int,
    profile: DeviceProfile,
    baud: int,
    response_ms: float,
    dead_units: Sequence[int] = (),
    *,
    link: LinkScheme = LinkScheme.TCP,
    timeout_ms: int = 450,
    is_silent_on_timeout: bool = False,
) -> Farm:
    """Start lines of bench devices on free loopback ports (or pseudo-terminals)."""
    framing = choose_line_framing(link, has_serial_line=True)
    settings = LineSettings(baud, Parity.EVEN, 1, 7) if framing is Framing.ASCII else LineSettings(baud)
    opened = []
    faults = FaultSwitches()
    for number in range(1, lines + 1):
        name = f"line {number}"
        stations = {
            unit_id: BenchStation(f"{name} unit {unit_id}", unit_id, profile, response_ms)
            for unit_id in range(1, devices_per_line + 1)
            if unit_id not in dead_units
        }
        faults.register([name, *(station.name for station in stations.values())], _ignore)
        line = SimulatedLine(name, stations, settings, framing=framing, faults=faults)
        opened.append(await open_line(line, link, timeout_ms=timeout_ms, is_silent_on_timeout=is_silent_on_timeout))
    return Farm(opened, faults)


async def start_planned_farm(plan: FarmPlan) -> Farm:
    """Start what a plan says, with the bench profile."""
    return await start_farm(
        plan.lines,
        plan.devices,
        bench_profile(plan.registers, plan.response_ms),
        plan.baud,
        plan.response_ms,
        plan.dead_units,
        link=plan.link,
        timeout_ms=plan.timeout_ms,
        is_silent_on_timeout=plan.is_silent_on_timeout,
    )
