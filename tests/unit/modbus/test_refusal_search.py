"""Finding what a device refuses, step by step."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_fakes import INSTANTS, live_profile, make_point, make_profile

from emdx_desktop.modbus.planner import ReadBlock
from emdx_desktop.modbus.refusal_search import DeviceReads


def visit(reads: DeviceReads, refuses: Callable[[ReadBlock], int]) -> None:
    """One visit: every read once."""
    for block in reads.blocks:
        code = refuses(block)
        if code:
            reads.note_refusal(block, code)
        else:
            reads.note_good(block)


def holding(*registers: int, code: int = 2) -> Callable[[ReadBlock], int]:
    return lambda block: code if any(block.address <= one < block.end for one in registers) else 0


@settings(max_examples=80, deadline=None)
@given(st.sets(st.integers(0, 39), max_size=6), st.sets(st.integers(1, 39), max_size=3), st.booleans())
def test_all_that_is_refused_is_found_and_all_else_is_read(
    refused: set[int], joints: set[int], is_padded: bool
) -> None:
    reads = DeviceReads(live_profile(40), is_padded=is_padded)

    def refuses(block: ReadBlock) -> int:
        is_across = any(block.address < joint < block.end for joint in joints)
        return 2 if is_across or holding(*refused)(block) else 0

    for _ in range(150):
        visit(reads, refuses)
    assert {item.first for item in reads.refused} == refused
    assert not any(refuses(block) for block in reads.blocks)
    read = {register for block in reads.blocks for register in range(block.address, block.end)}
    assert read == set(range(40)) - refused
    assert len(reads.refused_texts()) == len(refused)


def test_one_refusal_that_passes_changes_nothing() -> None:
    reads = DeviceReads(live_profile(10), is_padded=False)
    before = reads.blocks
    visit(reads, holding(3))
    visit(reads, holding())
    visit(reads, holding(3))
    assert reads.blocks == before
    assert reads.refused == ()


def test_a_single_value_is_given_three_chances() -> None:
    reads = DeviceReads(live_profile(1), is_padded=False)
    for _ in range(2):
        visit(reads, holding(0))
        assert reads.refused == ()
    visit(reads, holding(0))
    assert [item.first for item in reads.refused] == [0]
    assert reads.blocks == ()


def test_a_value_that_answers_between_two_refusals_is_kept() -> None:
    reads = DeviceReads(live_profile(2), is_padded=False)
    for _ in range(2):
        visit(reads, holding(1))
    for refused in (holding(1), holding(1), holding()):
        visit(reads, refused)
    assert reads.refused == ()
    visit(reads, holding())
    assert reads.refused == ()


def test_answers_to_reads_of_no_trial_are_nothing_new() -> None:
    reads = DeviceReads(live_profile(2), is_padded=False)
    assert not reads.note_good(reads.blocks[0])


def test_refused_padding_is_tried_without_and_remembered() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 100)]
    reads = DeviceReads(make_profile(points, readable=[(0, 9), (100, 109)]), is_padded=True)
    assert sorted(block.count for block in reads.blocks) == [1, 2]
    for _ in range(6):
        visit(reads, lambda block: 2 if block.count > 1 else 0)
    assert [block.count for block in reads.blocks] == [1, 1]
    assert reads.refused == ()


def test_a_padded_value_that_is_refused_itself_is_given_up() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 100)]
    reads = DeviceReads(make_profile(points, readable=[(0, 9), (100, 109)]), is_padded=True)
    for _ in range(8):
        visit(reads, holding(0, 100))
    assert [item.first for item in reads.refused] == [0, 100]


def test_refusals_are_probed_one_by_one_and_forgotten_together() -> None:
    reads = DeviceReads(live_profile(8), is_padded=False)
    for _ in range(12):
        visit(reads, holding(2, 5))
    assert [(block.address, block.count) for block in reads.probe_blocks()] == [(2, 1), (5, 1)]
    reads.forget_refusals()
    assert reads.refused == ()
    assert [(block.address, block.count) for block in reads.blocks] == [(0, 8)]


def test_two_reads_are_searched_at_the_same_time() -> None:
    points = [make_point(INSTANTS[i], 100 * (i // 4) + i % 4) for i in range(8)]
    reads = DeviceReads(make_profile(points), is_padded=False)
    for _ in range(12):
        visit(reads, holding(1, 102))
    assert [item.first for item in reads.refused] == [1, 102]


def test_what_no_read_can_hold_is_told_too() -> None:
    reads = DeviceReads(make_profile([make_point(INSTANTS[0], 0, 2)], max_registers=1), is_padded=False)
    assert "cannot be read at once" in reads.refused_texts()[0]
