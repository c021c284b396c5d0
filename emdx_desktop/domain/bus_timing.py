"""How long a line takes.

RTU:    T = (8 + r) * b / baud + max(t_response, g) + g, with r = 5 + 2n bytes for n registers
ASCII:  T = (17 + 2 * (r - 2) + 5) * b / baud + t_response: two characters a byte, colon, check sum of one
        byte, carriage return, line feed; no silent interval (frames have marks)
no line (a meter with its own Ethernet port):  T = t_response

On a network link the way there and back, `NETWORK_S`, comes on top where it does not pass within the silent
interval the gateway keeps anyway. b is the bits a character takes on the wire (start, data, parity,
stop) and g the silent interval: 3.5 characters up to 19200 baud, 1.75 ms above. For n bits instead of
registers r = 5 + ceil(n / 8).

Cycle = sum of T over the reads that are live, plus the pauses devices and gateway ask for, at least
`MIN_LIVE_CYCLE_S`. Mean cycle = the live one stretched by what slower reads take of the line's time:
live / (1 - sum over slower reads of T / interval).

Sources: Modbus over Serial Line V1.02, sections 2.5.1.1 (silent interval), 2.5.2.1 (ASCII frame); Modbus
Application Protocol V1.1b3, sections 6.1 to 6.4 (lengths).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from emdx_desktop.domain.installation import BAUD_RATES, Gateway, LineSettings, LinkScheme, Parity
from emdx_desktop.domain.profiles import READ_INTERVALS_S, Priority
from emdx_desktop.domain.readings import DeviceId

if TYPE_CHECKING:  # ports names BusPlan: at run time the import would go round in a circle
    from emdx_desktop.domain.ports import EquippedDevice

NETWORK_S = 0.0005
"""What a request costs beside the line on a network link: socket, loop, decoding. Measured on loopback
(0.3 to 0.6 ms with decoding); a switched office network adds about as much again."""

SERIAL_PORT_S = 0.0009
"""The same for a serial port of this PC: thread, port, decoding. Measured on a pseudo-terminal (0.8 to 1.0 ms)."""

MIN_LIVE_CYCLE_S = 1.0
"""Live values are asked no more often than this even where the line could (own design: nobody reads faster,
and a meter on its own Ethernet port would otherwise be asked thousands of times a second)."""

FASTEST_FIXED_GAP_BAUD = 19200
FIXED_GAP_S = 0.00175


@dataclass(frozen=True, slots=True)
class PlannedRequest:
    """One read the planner decided on.

    Attributes:
        device_id: Whose.
        unit_id: Address on the line.
        function_code: 1..4.
        address: First register (wire address).
        count: Registers asked for, padding included.
        groups: Read groups it serves.
        priority: Fastest priority among them.
    """

    device_id: DeviceId
    unit_id: int
    function_code: int
    address: int
    count: int
    groups: tuple[str, ...]
    priority: Priority


@dataclass(frozen=True, slots=True)
class BusPlan:
    """All reads of one line."""

    requests: tuple[PlannedRequest, ...]


@dataclass(frozen=True, slots=True)
class CyclePrediction:
    """What a plan takes.

    Attributes:
        line_limit_s: Live reads by the line's formula alone: no client can be faster.
        live_cycle_s: A cycle in which only live reads are due, as this program does it.
        mean_cycle_s: Mean over an hour, slower groups included; infinite when they alone fill the line.
        full_cycle_s: A cycle in which everything is due.
        load_ratio: Share of time the line is busy, 0..1.
        live_requests: Reads of a live cycle.
        live_registers: Registers of a live cycle.
        device_shares: Part of the live cycle each device takes, 0..1.
        dead_device_s: What one silent device costs each time it is asked.
        advice: What would make it faster, sentences for a technician, the best first.
    """

    line_limit_s: float
    live_cycle_s: float
    mean_cycle_s: float
    full_cycle_s: float
    load_ratio: float
    live_requests: int
    live_registers: int
    device_shares: Mapping[DeviceId, float]
    dead_device_s: float
    advice: tuple[str, ...]


def character_bits(line: LineSettings) -> int:
    """Bits one character takes on the wire."""
    return 1 + line.databits + (line.parity is not Parity.NONE) + line.stopbits


def silent_interval_s(line: LineSettings) -> float:
    """Silence between two RTU frames, seconds."""
    if line.baud > FASTEST_FIXED_GAP_BAUD:
        return FIXED_GAP_S
    return 3.5 * character_bits(line) / line.baud


def reply_bytes(function_code: int, count: int) -> int:
    """Bytes of an RTU reply."""
    return 5 + ((count + 7) // 8 if function_code in (1, 2) else 2 * count)


def request_time_s(
    request: PlannedRequest, line: LineSettings | None, response_ms: float, scheme: LinkScheme = LinkScheme.RTU
) -> float:
    """Time of the line one read takes, seconds.

    Args:
        request: The read.
        line: The serial line, None for a meter that has none.
        response_ms: Last byte of the request to first byte of the reply.
        scheme: ASCII frames are longer; behind a Modbus TCP gateway the line is taken for RTU.
    """
    response_s = response_ms / 1000
    if line is None:
        return response_s
    reply = reply_bytes(request.function_code, request.count)
    if scheme in (LinkScheme.ASCII, LinkScheme.ASCII_TCP):
        characters = 17 + 2 * (reply - 2) + 5
        return characters * character_bits(line) / line.baud + response_s
    gap_s = silent_interval_s(line)
    return (8 + reply) * character_bits(line) / line.baud + max(response_s, gap_s) + gap_s


def timeout_s(request: PlannedRequest, gateway: Gateway, response_ms: float) -> float:
    """How long to wait for a reply: as set for the gateway, but never shorter than the line can be.

    Source: own design after the rule "frame time and latency fill at most 0.7 of the time-out".
    """
    return max(gateway.timeout_ms / 1000, request_time_s(request, gateway.line, response_ms, gateway.link.scheme) / 0.7)


def predict_cycle(plan: BusPlan, gateway: Gateway, devices: Sequence[EquippedDevice]) -> CyclePrediction:
    """Predict the cycle of a line.

    Args:
        plan: Its reads.
        gateway: Link, line and pauses.
        devices: The devices of the plan, with their profiles.
    """
    profiles = {equipped.device.id: equipped.profile for equipped in devices}
    beside_s = _time_beside_line_s(gateway)
    limit_s = 0.0
    costs: dict[Priority, float] = defaultdict(float)  # time from one reply to the next, summed
    busy: dict[Priority, float] = defaultdict(float)  # time of the line in it
    per_device: dict[DeviceId, float] = defaultdict(float)
    live_requests = live_registers = 0
    previous: PlannedRequest | None = None
    for request in plan.requests:
        profile = profiles[request.device_id]
        line_s = request_time_s(request, gateway.line, profile.response_ms, gateway.link.scheme)
        cost_s = line_s + beside_s + gateway.pause_ms / 1000
        if previous is not None and previous.device_id == request.device_id:
            cost_s += profile.pause_ms / 1000
        previous = request
        costs[request.priority] += cost_s
        busy[request.priority] += line_s
        if request.priority is Priority.LIVE:
            limit_s += line_s
            live_requests += 1
            live_registers += request.count
            per_device[request.device_id] += cost_s
    live_s = costs[Priority.LIVE]
    slower = [priority for priority in costs if priority is not Priority.LIVE]
    slower_share = sum(costs[priority] / READ_INTERVALS_S[priority] for priority in slower)
    slower_busy = sum(busy[priority] / READ_INTERVALS_S[priority] for priority in slower)
    mean_s = live_s / (1 - slower_share) if slower_share < 1 else math.inf
    cycle_s = max(live_s, MIN_LIVE_CYCLE_S) if live_requests else 0.0
    mean_cycle_s = max(mean_s, MIN_LIVE_CYCLE_S) if live_requests else 0.0
    load = slower_busy + (busy[Priority.LIVE] / mean_cycle_s if live_requests and mean_cycle_s < math.inf else 0.0)
    prediction = CyclePrediction(
        line_limit_s=limit_s,
        live_cycle_s=cycle_s,
        mean_cycle_s=mean_cycle_s,
        full_cycle_s=sum(costs.values()),
        load_ratio=min(1.0, load),
        live_requests=live_requests,
        live_registers=live_registers,
        device_shares={device_id: cost_s / live_s for device_id, cost_s in per_device.items() if live_s > 0},
        dead_device_s=gateway.timeout_ms / 1000,
        advice=(),
    )
    return replace(prediction, advice=_advise(prediction, plan, gateway, devices))


def _time_beside_line_s(gateway: Gateway) -> float:
    """What a request costs beside the line's own time, seconds."""
    if gateway.link.is_serial:
        return SERIAL_PORT_S
    hidden_s = 0.0
    if gateway.line is not None and gateway.link.scheme is not LinkScheme.ASCII_TCP:
        hidden_s = silent_interval_s(gateway.line)
    return max(0.0, NETWORK_S - hidden_s)


def _advise(
    prediction: CyclePrediction, plan: BusPlan, gateway: Gateway, devices: Sequence[EquippedDevice]
) -> tuple[str, ...]:
    """What would make the cycle faster, the best first."""
    if prediction.live_cycle_s <= MIN_LIVE_CYCLE_S or not prediction.live_requests:
        return ("The line is as fast as live values are asked for; nothing needs to be changed.",)
    profiles = {equipped.device.id: equipped.profile for equipped in devices}
    live = [request for request in plan.requests if request.priority is Priority.LIVE]
    fixed_s = prediction.live_cycle_s - prediction.line_limit_s

    def cycle_with(line: LineSettings) -> float:
        return fixed_s + sum(
            request_time_s(request, line, profiles[request.device_id].response_ms, gateway.link.scheme)
            for request in live
        )

    ideas: list[tuple[float, str]] = []
    line = gateway.line
    if line is not None:
        faster = [baud for baud in BAUD_RATES if line.baud < baud <= max(38400, 2 * line.baud)]
        if faster:
            after_s = cycle_with(replace(line, baud=faster[-1]))
            ideas.append(
                (after_s, f"Set the line and all its devices to {faster[-1]} baud: {_from_to(prediction, after_s)}.")
            )
        if line.parity is not Parity.NONE or line.stopbits == 2:
            after_s = cycle_with(replace(line, parity=Parity.NONE, stopbits=1))
            ideas.append((after_s, f"Use no parity and 1 stop bit on the whole line: {_from_to(prediction, after_s)}."))
    if len(prediction.device_shares) > 1:
        after_s = prediction.live_cycle_s / 2
        ideas.append((after_s, f"Move half of the devices to a second gateway: {_from_to(prediction, after_s)}."))
    slowest = max(prediction.device_shares, key=lambda device_id: prediction.device_shares[device_id])
    share = prediction.device_shares[slowest]
    if len(prediction.device_shares) > 1 and share > 2 / len(prediction.device_shares):
        name = next(equipped.device.name for equipped in devices if equipped.device.id == slowest)
        after_s = prediction.live_cycle_s * (1 - share)
        ideas.append(
            (
                after_s,
                f"{name} alone takes {share:.0%} of the cycle; reading fewer of its registers live, or giving it "
                f"a line of its own, helps most: {_from_to(prediction, after_s)} without it.",
            )
        )
    ideas.sort(key=lambda idea: idea[0])
    advice = [text for after_s, text in ideas if after_s < 0.97 * prediction.live_cycle_s]
    if prediction.mean_cycle_s > READ_INTERVALS_S[Priority.MINUTE]:
        advice.insert(
            0, "The line needs longer than a minute for one cycle: minutes without a reading are to be expected."
        )
    advice.append(
        f"A device that does not answer costs {prediction.dead_device_s:.1f} s each time it is asked "
        "(once in 45 s once it is known to be silent); switch off devices that are not there."
    )
    return tuple(advice)


def _from_to(prediction: CyclePrediction, after_s: float) -> str:
    return f"the cycle falls from {prediction.live_cycle_s:.1f} s to {max(after_s, MIN_LIVE_CYCLE_S):.1f} s"
