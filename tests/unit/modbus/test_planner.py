"""Plans of single devices, looked at closely."""

from __future__ import annotations

from modbus_fakes import INSTANTS, equip, live_profile, make_gateway, make_point, make_profile

from emdx_desktop.domain.installation import LinkScheme, TransactionIdCheck
from emdx_desktop.domain.profiles import DeviceProfile, IdentityDef
from emdx_desktop.modbus.planner import Refusals, needs_padding, plan_bus, plan_device


def spans(
    profile: DeviceProfile, *, is_padded: bool = False, refusals: Refusals | None = None
) -> list[tuple[int, int]]:
    plan = plan_device(profile, is_padded=is_padded, refusals=refusals or Refusals())
    return [(block.address, block.count) for block in plan.blocks]


def test_neighbours_are_read_together_up_to_the_devices_limit() -> None:
    assert spans(live_profile(100, max_registers=125)) == [(0, 100)]
    assert sorted(spans(live_profile(100, max_registers=60))) in ([(0, 40), (40, 60)], [(0, 60), (60, 40)])


def test_gaps_are_crossed_only_where_the_document_lists_them() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 10)]
    assert spans(make_profile(points)) == [(0, 1), (10, 1)]
    assert spans(make_profile(points, readable=[(0, 20)])) == [(0, 11)]
    assert spans(make_profile(points, readable=[(0, 9), (10, 20)])) == [(0, 1), (10, 1)]


def test_a_value_with_a_carry_is_never_torn() -> None:
    points = [make_point(INSTANTS[i], 2 * i, 2) for i in range(10)]
    for block in plan_device(make_profile(points, max_registers=5), is_padded=False).blocks:
        assert block.count <= 5
        assert block.address % 2 == 0
        assert block.count % 2 == 0


def test_a_sign_and_an_atomic_group_travel_with_their_values() -> None:
    points = [
        make_point(INSTANTS[0], 0, 2, sign_point="sign"),
        make_point("sign", 9, quantity=None),
        make_point(INSTANTS[1], 2, 2, atomic="power"),
        make_point(INSTANTS[2], 6, 2, atomic="power"),
    ]
    profile = make_profile(points, readable=[(0, 9)], max_registers=10)
    assert spans(profile) == [(0, 10)]
    plan = plan_device(make_profile(points, readable=[(0, 9)], max_registers=6), is_padded=False)
    assert [(block.address, block.count) for block in plan.blocks] == [(2, 6)]
    assert INSTANTS[0] in plan.problems[0].where
    assert "at most 6" in plan.problems[0].message


def test_what_must_be_read_together_but_cannot_is_a_problem_of_the_profile() -> None:
    points = [make_point(INSTANTS[0], 0, atomic="a"), make_point(INSTANTS[1], 1, atomic="a", function_code=4)]
    plan = plan_device(make_profile(points), is_padded=False)
    assert plan.blocks == ()
    assert len(plan.problems) == 1


def test_functions_and_unit_ids_are_read_apart() -> None:
    points = [
        make_point(INSTANTS[0], 0),
        make_point(INSTANTS[1], 1, function_code=4),
        make_point(INSTANTS[2], 2, unit_offset=1),
        make_point(INSTANTS[3], 3, function_code=1),
        make_point(INSTANTS[4], 4, function_code=1),
    ]
    plan = plan_bus(make_gateway(), equip(make_profile(points, needs_even_count=False), [10]))
    assert [(one.unit_id, one.function_code, one.address, one.count) for one in plan.requests] == [
        (10, 1, 3, 2),
        (10, 3, 0, 1),
        (10, 4, 1, 1),
        (11, 3, 2, 1),
    ]


def test_even_counts_are_made_with_documented_registers_only() -> None:
    point = make_point(INSTANTS[0], 5)
    assert spans(make_profile([point], readable=[(0, 5)], needs_even_count=True)) == [(4, 2)]
    assert spans(make_profile([point], readable=[(5, 9)], needs_even_count=True)) == [(5, 2)]
    assert spans(make_profile([point], needs_even_count=True)) == []


def test_points_without_a_group_are_documented_but_not_polled() -> None:
    points = [make_point(INSTANTS[0], 0), make_point("setting", 1, quantity=None, group=""), make_point(INSTANTS[1], 2)]
    profile = make_profile([*points, make_point("command", 50, quantity=None, group="")])
    assert spans(profile) == [(0, 3)]


def test_slower_values_inside_a_live_read_come_with_it() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 4), make_point(INSTANTS[2], 2, group="minute")]
    plan = plan_device(make_profile(points, readable=[(0, 9)]), is_padded=False)
    assert [block.groups for block in plan.blocks] == [("live", "minute")]


def test_lengths_differ_only_where_no_transaction_id_protects() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 100), make_point(INSTANTS[2], 200)]
    profile = make_profile(points, readable=[(0, 5), (100, 105)])
    assert [count for _, count in spans(profile)] == [1, 1, 1]
    assert len({count for _, count in spans(profile, is_padded=True)}) == 3
    assert spans(profile, is_padded=True)[2] == (200, 1)
    assert spans(profile, is_padded=True, refusals=Refusals(is_padding_refused=True)) == spans(profile)
    assert not needs_padding(make_gateway())
    assert needs_padding(make_gateway(tid_check=TransactionIdCheck.ACCEPT_ZERO))
    assert needs_padding(make_gateway(LinkScheme.RTU_TCP))


def test_refused_registers_are_left_out_and_not_read_across() -> None:
    profile = live_profile(10)
    refusals = Refusals(items=frozenset({(0, 3, 4)}))
    assert spans(profile, refusals=refusals) == [(0, 4), (5, 5)]
    assert [item.first for item in plan_device(profile, is_padded=False, refusals=refusals).refused] == [4]
    assert spans(profile, refusals=Refusals(barriers=frozenset({(3, 7), (4, 2)}))) == [(0, 7), (7, 3)]
    edge = Refusals(items=frozenset({(0, 3, 0), (0, 3, 9)}), barriers=frozenset({(3, 1)}))
    assert spans(profile, refusals=edge) == [(1, 8)]


def test_devices_switched_off_are_not_planned() -> None:
    profile = make_profile([make_point(INSTANTS[0], 0)], identity=[IdentityDef(INSTANTS[0])])
    devices = [*equip(profile, [1], is_enabled=False), *equip(profile, [2], is_archived=True), *equip(profile, [3])]
    assert [one.unit_id for one in plan_bus(make_gateway(), devices).requests] == [3]
