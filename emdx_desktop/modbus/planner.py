"""Which reads a device needs: the fewest, each within what its maker's document allows.

Rhythm by rhythm, the fastest first (live, minute, slow, once): the points of a rhythm are joined into the
fewest reads, and among those into the fewest registers. Points of a slower rhythm that lie inside a read of a
faster one are taken from it and cost nothing. They are not joined otherwise: a register added to a live read
is paid in every cycle, a read of its own once a minute (own design).

Rules: no value and no atomic group is ever split over two reads; a magnitude and its sign travel together; no
register is read that the document does not list; and on links where a late reply cannot be told by a
transaction id, the reads of one unit and function get different lengths, as far as the documented ranges
allow, so that the reply to one is never taken for the reply to another (rule P6).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from emdx_desktop.domain.bus_timing import BusPlan, PlannedRequest
from emdx_desktop.domain.errors import Problem
from emdx_desktop.domain.installation import Gateway, TransactionIdCheck
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.profiles import READ_INTERVALS_S, DeviceProfile, PointDef, Priority

MAX_BITS = 2000
"""Most coils or inputs in one read (Modbus Application Protocol V1.1b3, section 6.1)."""

_RHYTHMS = sorted(Priority, key=lambda priority: READ_INTERVALS_S[priority])


@dataclass(frozen=True, slots=True)
class PlanItem:
    """Registers that must come in one read: a value, or all values of an atomic group.

    Attributes:
        unit_offset: Added to the device's unit id.
        function_code: 1..4.
        first: First wire address.
        end: Behind the last.
        points: Keys of the points, in the profile's order.
        groups: Read groups they belong to.
        priority: Fastest priority among them.
    """

    unit_offset: int
    function_code: int
    first: int
    end: int
    points: tuple[str, ...]
    groups: tuple[str, ...]
    priority: Priority


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One read.

    Attributes:
        unit_offset: Added to the device's unit id.
        function_code: 1..4.
        address: First wire address.
        count: Registers (or bits), padding included.
        items: What it was made for, ascending by address.
        groups: Read groups it serves.
        priority: Fastest priority among them.
    """

    unit_offset: int
    function_code: int
    address: int
    count: int
    # what tells reads apart stands above; a read is looked up several times a visit
    items: tuple[PlanItem, ...] = field(hash=False)
    groups: tuple[str, ...] = field(hash=False)
    priority: Priority = field(hash=False)

    @property
    def end(self) -> int:
        """Behind the last address."""
        return self.address + self.count


@dataclass(frozen=True, slots=True)
class Refusals:
    """What a device turned out to refuse.

    Attributes:
        items: (unit offset, function code, first address) of items that are not asked for any more.
        barriers: (function code, address): a read may not hold both this address and the one before it.
        is_padding_refused: The device refuses registers that its document lists as readable.
    """

    items: frozenset[tuple[int, int, int]] = frozenset()
    barriers: frozenset[tuple[int, int]] = frozenset()
    is_padding_refused: bool = False


NO_REFUSALS = Refusals()


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """The reads of one device.

    Attributes:
        blocks: Ascending by rhythm, unit offset, function code and address.
        refused: Items left out because the device refuses them.
        problems: Mistakes of the profile: items no allowed read can hold. They are left out.
    """

    blocks: tuple[ReadBlock, ...]
    refused: tuple[PlanItem, ...] = ()
    problems: tuple[Problem, ...] = ()


def plan_device(profile: DeviceProfile, *, is_padded: bool, refusals: Refusals = NO_REFUSALS) -> DevicePlan:
    """Plan the reads of a device.

    Args:
        profile: Its registers, limits and readable ranges.
        is_padded: The link cannot tell a late reply by a transaction id.
        refusals: What the device turned out to refuse.
    """
    items: dict[tuple[int, int], list[PlanItem]] = defaultdict(list)
    refused: list[PlanItem] = []
    problems: list[Problem] = []
    for item in _make_items(profile, problems):
        if (item.unit_offset, item.function_code, item.first) in refusals.items:
            refused.append(item)
        else:
            items[item.unit_offset, item.function_code].append(item)
    blocks: list[ReadBlock] = []
    for (unit_offset, function_code), some in sorted(items.items()):
        allowed = _AllowedReads(profile, unit_offset, function_code, refusals, refused)
        planned = _plan_items(profile, some, allowed, problems)
        if is_padded and not refusals.is_padding_refused:
            planned = _pad(planned, allowed)
        blocks += planned
    blocks.sort(key=lambda block: _RHYTHMS.index(block.priority))
    return DevicePlan(tuple(blocks), tuple(refused), tuple(problems))


class SharedPlans:
    """Plans of the families on a line: devices of one family have the same plan, made once."""

    def __init__(self, *, is_padded: bool) -> None:
        self.is_padded = is_padded
        self._plans: dict[int, tuple[DeviceProfile, DevicePlan]] = {}

    def of(self, profile: DeviceProfile) -> DevicePlan:
        """The plan of a family."""
        # by identity: a profile cannot be hashed; it is kept beside its plan, so its id stays its own
        if id(profile) not in self._plans:
            self._plans[id(profile)] = profile, plan_device(profile, is_padded=self.is_padded)
        return self._plans[id(profile)][1]


def plan_bus(gateway: Gateway, devices: Sequence[EquippedDevice]) -> BusPlan:
    """The fewest reads that serve all groups of all devices of a line (`ports.BusPlanner`).

    Devices that are switched off or have no register table are not asked and not planned.
    """
    requests: list[PlannedRequest] = []
    plans = SharedPlans(is_padded=needs_padding(gateway))
    for equipped in devices:
        device, profile = equipped.device, equipped.profile
        if not device.is_enabled or device.is_archived:
            continue
        requests += (
            PlannedRequest(
                device_id=device.id,
                unit_id=device.unit_id + block.unit_offset,
                function_code=block.function_code,
                address=block.address,
                count=block.count,
                groups=block.groups,
                priority=block.priority,
            )
            for block in plans.of(profile).blocks
        )
    return BusPlan(tuple(requests))


def bare_block(profile: DeviceProfile, items: Sequence[PlanItem], refusals: Refusals) -> ReadBlock:
    """The shortest read that holds neighbouring items of one planned read, to find out what a device refuses."""
    one = items[0]
    allowed = _AllowedReads(profile, one.unit_offset, one.function_code, refusals, ())
    read = allowed.cover(min(item.first for item in items), max(item.end for item in items))
    assert read is not None, "part of an allowed read is allowed"
    groups = tuple(dict.fromkeys(group for item in items for group in item.groups))
    priority = min((item.priority for item in items), key=_RHYTHMS.index)
    return ReadBlock(one.unit_offset, one.function_code, read[0], read[1] - read[0], tuple(items), groups, priority)


def needs_padding(gateway: Gateway) -> bool:
    """Whether replies of this link carry nothing that ties them to their request."""
    return not (gateway.link.has_transaction_id and gateway.tid_check is TransactionIdCheck.STRICT)


class _AllowedReads:
    """The reads of one unit and function that the document (and the device) allow.

    A read must lie inside one readable range (a range's end may be the end of a table the device does
    not read across) or, outside the ranges, hold registers of points only.
    """

    def __init__(
        self,
        profile: DeviceProfile,
        unit_offset: int,
        function_code: int,
        refusals: Refusals,
        refused: Iterable[PlanItem],
    ) -> None:
        self.step = 2 if profile.needs_even_count and function_code > 2 else 1
        limit = profile.max_registers if function_code > 2 else min(MAX_BITS, 16 * profile.max_registers)
        self.limit = limit - limit % self.step
        ranges = [(one.first, one.last + 1) for one in profile.readable if one.function_code == function_code]
        listed = {
            address
            for point in profile.points
            if point.function_code == function_code and point.unit_offset == unit_offset
            for address in range(point.address, point.address + point.words)
        }
        runs = _runs(address for address in listed if not any(first <= address < end for first, end in ranges))
        # A value that lies across a range's end may still be read by itself.
        crossing = [
            (point.address, point.address + point.words)
            for point in profile.points
            if point.function_code == function_code and point.unit_offset == unit_offset
        ]
        holes = {
            address
            for item in refused
            if (item.unit_offset, item.function_code) == (unit_offset, function_code)
            for address in range(item.first, item.end)
        }
        barriers = {address for code, address in refusals.barriers if code == function_code}
        self.segments = sorted(
            {piece for segment in (*ranges, *runs, *crossing) for piece in _cut(segment, holes, barriers)}
        )

    def cover(self, first: int, end: int, length: int | None = None) -> tuple[int, int] | None:
        """The shortest allowed read that holds [first, end), as (first, end), or None.

        Args:
            first: First address it must hold.
            end: Behind the last address it must hold.
            length: Exactly this long instead.
        """
        wanted = length or -(-(end - first) // self.step) * self.step
        if wanted > self.limit:
            return None
        for low, high in self.segments:
            if low <= first and end <= high and wanted <= high - low:
                start = min(first, high - wanted)
                return start, start + wanted
        return None

    def longest(self, first: int, end: int) -> int:
        """Length of the longest allowed read that holds [first, end)."""
        widest = max(high - low for low, high in self.segments if low <= first and end <= high)
        return min(self.limit, widest - widest % self.step)


def _runs(addresses: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive addresses as (first, end)."""
    runs: list[tuple[int, int]] = []
    for address in sorted(addresses):
        if runs and runs[-1][1] == address:
            runs[-1] = (runs[-1][0], address + 1)
        else:
            runs.append((address, address + 1))
    return runs


def _cut(segment: tuple[int, int], holes: set[int], barriers: set[int]) -> list[tuple[int, int]]:
    """A segment without refused registers, cut at barriers."""
    first, end = segment
    pieces: list[tuple[int, int]] = []
    inside = [hole for hole in holes if first <= hole < end] + [cut for cut in barriers if first < cut < end]
    start = first
    for mark in sorted(set(inside)):
        if mark > start:
            pieces.append((start, mark))
        start = mark + 1 if mark in holes else mark
    if end > start:
        pieces.append((start, end))
    return pieces


def _make_items(profile: DeviceProfile, problems: list[Problem]) -> list[PlanItem]:
    """Points that are polled, merged where they must be read together."""
    priorities = {group.name: group.priority for group in profile.groups}
    polled = [point for point in profile.points if point.group]
    bundles = _Bundles(polled)
    for point in polled:
        if point.sign_point:
            bundles.join(point, profile.point(point.sign_point))
    by_name: dict[str, PointDef] = {}
    for point in polled:
        if point.atomic:
            bundles.join(by_name.setdefault(point.atomic, point), point)
    items = []
    for points in bundles.all():
        if len({(point.unit_offset, point.function_code) for point in points}) > 1:
            problems.append(
                Problem(
                    f"{profile.id}: {', '.join(point.key for point in points)}",
                    "must be read together, but lie under different unit ids or functions; they are not read",
                )
            )
            continue
        groups = tuple(dict.fromkeys(point.group for point in points if point.group))
        items.append(
            PlanItem(
                unit_offset=points[0].unit_offset,
                function_code=points[0].function_code,
                first=min(point.address for point in points),
                end=max(point.address + point.words for point in points),
                points=tuple(point.key for point in points),
                groups=groups,
                priority=min((priorities[group] for group in groups), key=_RHYTHMS.index),
            )
        )
    return items


class _Bundles:
    """Points that must be read together (union of sets)."""

    def __init__(self, points: Iterable[PointDef]) -> None:
        self._bundles = {point.key: [point] for point in points}

    def join(self, one: PointDef, other: PointDef) -> None:
        """Put two points, and all bound to them, into one bundle."""
        mine = self._bundles.setdefault(one.key, [one])
        theirs = self._bundles.setdefault(other.key, [other])
        if mine is theirs:
            return
        mine += theirs
        for point in theirs:
            self._bundles[point.key] = mine

    def all(self) -> Iterable[list[PointDef]]:
        """Each bundle once."""
        return {id(bundle): bundle for bundle in self._bundles.values()}.values()


def _plan_items(
    profile: DeviceProfile, items: Sequence[PlanItem], allowed: _AllowedReads, problems: list[Problem]
) -> list[ReadBlock]:
    """Blocks for the items of one unit and function, rhythm by rhythm."""
    blocks: list[ReadBlock] = []
    for rhythm in _RHYTHMS:
        own: list[PlanItem] = []
        for item in sorted((one for one in items if one.priority is rhythm), key=lambda one: (one.first, one.end)):
            host = next((i for i, b in enumerate(blocks) if b.address <= item.first and item.end <= b.end), None)
            if host is not None:
                blocks[host] = _with_item(blocks[host], item)
            elif allowed.cover(item.first, item.end) is None:
                problems.append(
                    Problem(
                        f"{profile.id}: {', '.join(item.points)}",
                        f"registers {item.first}–{item.end - 1} cannot be read at once: at most {allowed.limit}, "
                        "and only registers the document lists; they are not read",
                    )
                )
            else:
                own.append(item)
        blocks += _fewest_reads(own, allowed, rhythm)
    return sorted(blocks, key=lambda block: (_RHYTHMS.index(block.priority), block.address))


def _with_item(block: ReadBlock, item: PlanItem) -> ReadBlock:
    items = tuple(sorted((*block.items, item), key=lambda one: (one.first, one.end)))
    return replace(block, items=items, groups=tuple(dict.fromkeys((*block.groups, *item.groups))))


def _fewest_reads(items: Sequence[PlanItem], allowed: _AllowedReads, rhythm: Priority) -> list[ReadBlock]:
    """Partition items, ascending by (first, end), into the fewest reads, then the fewest registers.

    Reads over neighbours suffice: if a read holds items i and k but not j between them (by first
    address), then either j reaches no further than k, so the read holds j too, or j holds k, so k may
    move to the read of j. best[k] is the cheapest way to read the first k items.
    """
    best: list[tuple[int, int, int, tuple[int, int]]] = [(0, 0, 0, (0, 0))]  # reads, registers, cut, (first, end)
    for k in range(1, len(items) + 1):
        candidates = []
        end = 0
        for j in range(k - 1, -1, -1):
            end = max(end, items[j].end)
            read = allowed.cover(items[j].first, end)
            if read is not None:
                candidates.append((best[j][0] + 1, best[j][1] + read[1] - read[0], j, read))
            elif end - items[j].first > allowed.limit:
                break
        best.append(min(candidates))
    blocks: list[ReadBlock] = []
    k = len(items)
    while k > 0:
        _, _, j, (first, end) = best[k]
        members = tuple(items[j:k])
        groups = tuple(dict.fromkeys(group for item in members for group in item.groups))
        blocks.append(
            ReadBlock(members[0].unit_offset, members[0].function_code, first, end - first, members, groups, rhythm)
        )
        k = j
    return blocks[::-1]


def _pad(blocks: Sequence[ReadBlock], allowed: _AllowedReads) -> list[ReadBlock]:
    """Give blocks different lengths where allowed reads can.

    Lengths are handed out in rising order, each to the block that can grow least (earliest deadline
    first), which finds different lengths for all whenever they exist. Blocks left over keep theirs.
    """
    waiting = sorted(range(len(blocks)), key=lambda i: blocks[i].count)
    longest = {i: _longest(blocks[i], allowed) for i in waiting}
    lengths: dict[int, int] = {}
    length = 0
    while waiting:
        length = max(length + allowed.step, blocks[waiting[0]].count)
        ready = [i for i in waiting if blocks[i].count <= length]
        for i in [i for i in ready if longest[i] < length]:
            waiting.remove(i)
            ready.remove(i)
        if ready:
            chosen = min(ready, key=lambda i: (longest[i], blocks[i].count))
            lengths[chosen] = length
            waiting.remove(chosen)
    padded = []
    for i, block in enumerate(blocks):
        if i in lengths and lengths[i] > block.count:
            read = allowed.cover(block.address, block.end, lengths[i])
            assert read is not None, "an interval inside a longer allowed read is allowed"
            padded.append(replace(block, address=read[0], count=lengths[i]))
        else:
            padded.append(block)
    return padded


def _longest(block: ReadBlock, allowed: _AllowedReads) -> int:
    return allowed.longest(block.address, block.end)
