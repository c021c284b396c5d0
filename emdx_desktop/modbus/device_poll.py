"""What the poller keeps about one device: its reads, when they are due, and how it has answered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from emdx_desktop.domain.bus_timing import PlannedRequest, timeout_s
from emdx_desktop.domain.installation import Gateway
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.profiles import READ_INTERVALS_S, Priority
from emdx_desktop.domain.readings import DeviceId, DeviceState, GroupReadings, Quality
from emdx_desktop.domain.registers import GroupDecoder, RegisterBlock
from emdx_desktop.modbus.line_statistics import RequestCounter
from emdx_desktop.modbus.planner import ReadBlock, SharedPlans
from emdx_desktop.modbus.refusal_search import DeviceReads

FIRST_PHASE_S, LAST_PHASE_S = 2.0, 47.0
"""Within which seconds of the minute slower groups are read: early enough that a long cycle does not push
the reading into the next minute, and spread so that not all devices of a line are due in one cycle."""

GROUP_ORDER = (Priority.ONCE, Priority.LIVE, Priority.MINUTE, Priority.SLOW)
"""Scales and identity first: what follows is decoded with them."""


@dataclass
class GroupSchedule:
    """One read group of a device.

    Attributes:
        name: Of the group.
        priority: Its rhythm.
        decoder: Words to readings.
        phase_s: Seconds into its interval at which it is due.
        due_s: Monotonic moment it is due; 0 at once.
        read_s: When it was last read; None for never.
        has_settings: It holds scale selectors or settings.
        has_identity: It holds identification points.
    """

    name: str
    priority: Priority
    decoder: GroupDecoder
    phase_s: float
    due_s: float = 0.0
    read_s: float | None = None
    has_settings: bool = False
    has_identity: bool = False


@dataclass(eq=False)
class DevicePoll:
    """State of one device on its line. Times are monotonic seconds.

    Attributes:
        equipped: The device and its profile.
        place: `QF1 (address 5 on GW1)`, for people.
        reads: Its reads.
        groups: Its groups, in the order they are read.
        auxiliary: Newest scale selectors and settings.
        identity: Words of its identification points, as last seen.
        foreign_identity: Why its values are held back: another model answers. Empty when all is well.
        timeouts_s: Time-out of each read.
        state: As last told.
        detail: As last told.
        failed_visits: Visits in a row without any answer.
        is_dead: Known to be silent: probed now and then, not part of the cycle.
        next_probe_s: When it is probed next.
        not_before_s: Not asked before.
        retry_s: When a busy device is asked once more; infinite for not.
        retry_groups: What is asked then.
        next_report_s: When the minutes of a dead device are told again that it is dead.
        last_live_s: When its fastest group was last read.
        period_s: Measured period of its fastest group.
        trouble_s: Since when it refuses with a passing fault; None for not.
        target_failures: Visits in a row in which the gateway said that the device does not respond.
        recheck_s: When refused registers are tried again.
    """

    equipped: EquippedDevice
    place: str
    reads: DeviceReads
    groups: tuple[GroupSchedule, ...]
    counter: RequestCounter = field(default_factory=RequestCounter)
    auxiliary: dict[str, Fraction] = field(default_factory=dict)
    identity: dict[str, tuple[int, ...]] = field(default_factory=dict)
    foreign_identity: str = ""
    timeouts_s: dict[ReadBlock, float] = field(default_factory=dict)
    state: DeviceState = DeviceState.WAITING
    detail: str = ""
    failed_visits: int = 0
    is_dead: bool = False
    next_probe_s: float = 0.0
    not_before_s: float = 0.0
    retry_s: float = math.inf
    retry_groups: tuple[GroupSchedule, ...] = ()
    next_report_s: float = 0.0
    last_live_s: float = 0.0
    period_s: float | None = None
    trouble_s: float | None = None
    target_failures: int = 0
    recheck_s: float = math.inf

    @property
    def id(self) -> DeviceId:
        """Id of the device."""
        return self.equipped.device.id

    @property
    def name(self) -> str:
        """Name of the device."""
        return self.equipped.device.name

    @property
    def has_answered(self) -> bool:
        """Whether it answered when it was last asked."""
        return self.failed_visits == 0 and self.state is not DeviceState.WAITING

    def asks_unit(self, unit_id: int) -> bool:
        """Whether some of its reads go to this unit."""
        own_id = self.equipped.device.unit_id
        return any(own_id + block.unit_offset == unit_id for block in self.reads.blocks)

    def due_groups(self, now_s: float) -> tuple[GroupSchedule, ...]:
        """Groups to read at this visit."""
        return tuple(group for group in self.groups if group.due_s <= now_s)

    def next_due_s(self) -> float:
        """When the first group is due."""
        return min((group.due_s for group in self.groups), default=math.inf)

    def schedule(self, group: GroupSchedule, now_s: float, wall_ms: int, *, has_failed: bool) -> None:
        """Set when a group is due next.

        Slower groups are due once in each minute (ten minutes, hour) of the wall clock, at the device's
        own second of it. Only the distance to the next such moment is taken from the wall clock, anew each
        time, so a step of the clock shifts one reading by less than an interval and nothing after it.
        """
        interval_s = READ_INTERVALS_S[group.priority]
        if not interval_s:
            return
        if has_failed:
            group.due_s = now_s + min(5.0, interval_s)
            return
        group.read_s = now_s
        interval_ms = int(interval_s * 1000)
        group.due_s = now_s + (interval_ms - wall_ms % interval_ms) / 1000 + group.phase_s

    def want_settings(self, now_s: float, age_s: float) -> None:
        """Identity and settings are read again, unless they were within `age_s` (rule P7)."""
        for group in self.groups:
            is_fresh = group.read_s is not None and now_s - group.read_s <= age_s
            if group.priority is Priority.ONCE and not is_fresh:
                group.due_s = 0.0

    def timeout_of(self, block: ReadBlock, gateway: Gateway) -> float:
        """How long to wait for the reply to a block, seconds."""
        known = self.timeouts_s.get(block)
        if known is None:
            request = PlannedRequest(
                self.id, 0, block.function_code, block.address, block.count, block.groups, block.priority
            )
            known = timeout_s(request, gateway, self.equipped.profile.response_ms)
            self.timeouts_s[block] = known
        return known

    def decode(
        self, group: GroupSchedule, answers: Mapping[ReadBlock, RegisterBlock], ts_ms: int, quality: Quality, why: str
    ) -> GroupReadings:
        """Readings of a group from the answers of a visit.

        Args:
            group: The group.
            answers: What came for each read.
            ts_ms: UTC moment of the reply.
            quality: For reads that were not done.
            why: Their reason in words.
        """
        blocks = [
            answers.get(block) or failed_block(block, quality, why)
            for block in self.reads.blocks
            if group.name in block.groups
        ]
        if self.reads.refused:
            blocks += self._refused_blocks(group)
        return group.decoder.decode(blocks, ts_ms, self.auxiliary)

    def _refused_blocks(self, group: GroupSchedule) -> Iterable[RegisterBlock]:
        for item in self.reads.refused:
            if group.name in item.groups:
                yield RegisterBlock(
                    item.unit_offset,
                    item.function_code,
                    item.first,
                    None,
                    Quality.EXCEPTION,
                    f"The device refuses register {item.first}.",
                )


def failed_block(block: ReadBlock, quality: Quality, why: str) -> RegisterBlock:
    """The answer that did not come."""
    return RegisterBlock(block.unit_offset, block.function_code, block.address, None, quality, why)


def make_device_poll(
    equipped: EquippedDevice, gateway: Gateway, plans: SharedPlans, index: int, total: int
) -> DevicePoll:
    """A device as the poller starts with it.

    Args:
        equipped: The device and its profile.
        gateway: Its line.
        plans: Plans of the families on the line.
        index: Its place among the devices of the line, from 0: spreads slower groups over the minute.
        total: Devices of the line.
    """
    device, profile = equipped.device, equipped.profile
    selectors = {key for rule in profile.scale_rules.values() for key in rule.points}
    identities = {entry.point for entry in profile.identity}
    phase_s = FIRST_PHASE_S + (LAST_PHASE_S - FIRST_PHASE_S) * (index + 0.5) / max(1, total)
    groups = []
    for definition in sorted(profile.groups, key=lambda one: GROUP_ORDER.index(one.priority)):
        decoder = GroupDecoder(profile, definition.name, device)
        keys = {point.key for point in decoder.points}
        groups.append(
            GroupSchedule(
                name=definition.name,
                priority=definition.priority,
                decoder=decoder,
                phase_s=phase_s,
                has_settings=bool(keys & selectors) or definition.priority is Priority.ONCE,
                has_identity=bool(keys & identities),
            )
        )
    return DevicePoll(
        equipped=equipped,
        place=f"{device.name} (address {device.unit_id} on {gateway.name})",
        reads=DeviceReads(profile, is_padded=plans.is_padded, plan=plans.of(profile)),
        groups=tuple(groups),
    )
