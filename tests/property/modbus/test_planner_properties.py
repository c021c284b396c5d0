"""The planner against brute force."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_fakes import INSTANTS, make_point, make_profile

from emdx_desktop.domain.profiles import READ_INTERVALS_S, DeviceProfile, PointDef
from emdx_desktop.modbus.planner import DevicePlan, plan_device

Span = tuple[int, int]


@st.composite
def profiles(draw: st.DrawFn, *, max_points: int = 6, group_names: Sequence[str] = ("live",)) -> DeviceProfile:
    count = draw(st.integers(1, max_points))
    points = [
        make_point(
            INSTANTS[i],
            draw(st.integers(0, 24)),
            draw(st.sampled_from((1, 1, 2, 2, 4))),
            group=draw(st.sampled_from(group_names)),
            atomic=draw(st.sampled_from(("", "", "", "a", "b"))),
        )
        for i in range(count)
    ]
    ranges = draw(st.lists(st.tuples(st.integers(0, 26), st.integers(0, 12)), max_size=3))
    return make_profile(
        points,
        readable=[(first, first + size) for first, size in ranges],
        max_registers=draw(st.integers(1, 14)),
        needs_even_count=draw(st.booleans()),
    )


def is_allowed(profile: DeviceProfile, first: int, end: int) -> bool:
    """What the document allows, said another way than in the planner."""
    registers = range(first, end)
    if not registers or len(registers) > profile.max_registers:
        return False
    if profile.needs_even_count and len(registers) % 2:
        return False
    spans = [range(point.address, point.address + point.words) for point in profile.points]
    ranges = [range(one.first, one.last + 1) for one in profile.readable]
    if any(set(registers) <= set(one) for one in (*ranges, *spans)):
        return True
    return all(any(r in span for span in spans) and not any(r in one for one in ranges) for r in registers)


def shortest_read(profile: DeviceProfile, spans: Sequence[Span]) -> int | None:
    """Length of the shortest allowed read that holds all spans."""
    low, high = min(first for first, _ in spans), max(end for _, end in spans)
    lengths = [
        end - first
        for first, end in product(range(max(0, low - 15), low + 1), range(high, high + 16))
        if is_allowed(profile, first, end)
    ]
    return min(lengths, default=None)


def partitions(items: list[Span]) -> Iterator[list[list[Span]]]:
    if not items:
        yield []
        return
    for rest in partitions(items[1:]):
        yield [[items[0]], *rest]
        for i in range(len(rest)):
            yield [*rest[:i], [items[0], *rest[i]], *rest[i + 1 :]]


def bundles(profile: DeviceProfile) -> list[Span]:
    """What must come in one read: a point, or all points of an atomic group."""
    spans = [(p.address, p.address + p.words) for p in profile.points if not p.atomic]
    for name in {p.atomic for p in profile.points if p.atomic}:
        members = [p for p in profile.points if p.atomic == name]
        spans.append((min(p.address for p in members), max(p.address + p.words for p in members)))
    return spans


def holds(plan: DevicePlan, point: PointDef) -> bool:
    return any(
        block.address <= point.address and point.address + point.words <= block.end and point.group in block.groups
        for block in plan.blocks
    )


@settings(max_examples=150, deadline=None)
@given(profiles())
def test_reads_are_the_fewest_and_then_the_shortest(profile: DeviceProfile) -> None:
    plan = plan_device(profile, is_padded=False)
    readable = [span for span in bundles(profile) if shortest_read(profile, [span]) is not None]
    best: tuple[int, int] | None = None
    for partition in partitions(readable):
        lengths = [shortest_read(profile, part) for part in partition]
        if None not in lengths:
            cost = (len(lengths), sum(length for length in lengths if length))
            best = min(best, cost) if best else cost
    assert best is not None
    assert (len(plan.blocks), sum(block.count for block in plan.blocks)) == best
    assert len(plan.problems) == len(bundles(profile)) - len(readable)


@settings(max_examples=150, deadline=None)
@given(profiles(max_points=9, group_names=("live", "minute", "slow", "once")), st.booleans())
def test_nothing_is_split_forgotten_or_undocumented(profile: DeviceProfile, is_padded: bool) -> None:
    plan = plan_device(profile, is_padded=is_padded)
    for block in plan.blocks:
        assert is_allowed(profile, block.address, block.end)
        assert all(block.address <= item.first and item.end <= block.end for item in block.items)
    planned = {key for block in plan.blocks for item in block.items for key in item.points}
    for point in profile.points:
        assert holds(plan, point) or point.key not in planned
    for name in {point.atomic for point in profile.points if point.atomic}:
        members = [point for point in profile.points if point.atomic == name]
        served = [b for b in plan.blocks if any(members[0].key in item.points for item in b.items)]
        assert len(served) <= 1
        for block in served:
            assert all(block.address <= p.address and p.address + p.words <= block.end for p in members)
    missing = {point.key for point in profile.points} - planned
    assert missing == {key for key in missing if any(key in problem.where for problem in plan.problems)}


@settings(max_examples=120, deadline=None)
@given(profiles(max_points=8, group_names=("live", "minute")))
def test_a_slower_group_costs_nothing_where_a_faster_read_holds_it(profile: DeviceProfile) -> None:
    plan = plan_device(profile, is_padded=False)
    rhythm = {group.name: READ_INTERVALS_S[group.priority] for group in profile.groups}
    live = [block for block in plan.blocks if block.priority.value == "live"]
    for block in plan.blocks:
        if block.priority.value == "minute":
            for item in block.items:
                assert min(rhythm[group] for group in item.groups) == 60.0
                assert not any(one.address <= item.first and item.end <= one.end for one in live)


@settings(max_examples=120, deadline=None)
@given(profiles(max_points=6))
def test_padded_reads_differ_in_length_wherever_the_document_allows(profile: DeviceProfile) -> None:
    bare = plan_device(profile, is_padded=False)
    padded = plan_device(profile, is_padded=True)
    assert len(padded.blocks) == len(bare.blocks)
    assert [block.items for block in padded.blocks] == [block.items for block in bare.blocks]
    choices = []
    for block in bare.blocks:
        options = {
            end - first
            for first, end in product(range(block.address + 1), range(block.end, block.end + 15))
            if is_allowed(profile, first, end)
        }
        choices.append(options)
    if len(choices) <= 4:
        can_differ = any(len(set(lengths)) == len(lengths) for lengths in product(*choices))
        lengths = [block.count for block in padded.blocks]
        assert (len(set(lengths)) == len(lengths)) == can_differ
