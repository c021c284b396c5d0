"""The poller on a line in virtual time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from modbus_fakes import (
    INSTANTS,
    START_MS,
    FakeLine,
    RecordingListener,
    VirtualClock,
    VirtualLoop,
    equip,
    live_profile,
    make_gateway,
    make_point,
    make_profile,
    run_virtual,
)

from emdx_desktop.domain.bus_timing import predict_cycle
from emdx_desktop.domain.history import EventKind
from emdx_desktop.domain.installation import Gateway, LineSettings, LinkScheme, TransactionIdCheck
from emdx_desktop.domain.ports import EquippedDevice
from emdx_desktop.domain.profiles import Evidence, IdentityDef, ScaleRule, ScaleStep
from emdx_desktop.domain.readings import DeviceId, DeviceState, FaultKind, NoticeLevel, Quality
from emdx_desktop.modbus.bus_poller import ModbusBusPoller
from emdx_desktop.modbus.planner import plan_bus
from emdx_desktop.modbus.requests import ReadRequest

LINE = LineSettings(baud=9600)


class Bench:
    """A poller on a fake line."""

    def __init__(self, gateway: Gateway, devices: Sequence[EquippedDevice], **more: Any) -> None:
        self.gateway = gateway
        self.line = FakeLine(gateway)
        self.listener = RecordingListener()
        self.clock = VirtualClock()
        self.poller = ModbusBusPoller(
            gateway, devices, self.listener, self.clock, link_factory=lambda _: self.line, **more
        )

    def run(self, seconds: float, *steps: tuple[float, Callable[[], None]]) -> Bench:
        """Poll for some virtual seconds, doing the steps at their moments."""

        async def main() -> None:
            start = asyncio.get_running_loop().time()
            task = asyncio.create_task(self.poller.run())
            for at, step in sorted(steps, key=lambda one: one[0]):
                await asyncio.sleep(start + at - asyncio.get_running_loop().time())
                step()
            await asyncio.sleep(start + seconds - asyncio.get_running_loop().time())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled(), task.exception()

        run_virtual(main)
        return self

    def units_asked(self, since: float = 0.0) -> list[int]:
        return [request.unit_id for at, request in self.line.requests if at >= 1000 + since]


def mean_period(moments: list[float], since: float = 0.0) -> float:
    kept = [at for at in moments if at >= 1000 + since]
    return (kept[-1] - kept[0]) / (len(kept) - 1)


def echo_without(*refused: int, code: int = 2) -> Callable[[Any], Any]:
    def answer(request: Any) -> Any:
        words = range(request.address, request.address + request.count)
        return code if set(words) & set(refused) else words

    return answer


# --- rhythm ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("baud", [9600, 38400])
def test_the_cycle_is_the_lines_own_and_as_predicted(baud: int) -> None:
    gateway = make_gateway(line=LineSettings(baud=baud))
    devices = equip(live_profile(120), range(1, 33))
    bench = Bench(gateway, devices).run(60)
    prediction = predict_cycle(plan_bus(gateway, devices), gateway, devices)
    period = mean_period(bench.listener.good(7))
    assert period == pytest.approx(prediction.live_cycle_s, rel=0.01)
    assert period == pytest.approx(prediction.line_limit_s, rel=0.01)
    assert bench.poller.snapshot().cycle_s == pytest.approx(period, rel=0.01)
    assert bench.poller.snapshot().load_ratio == pytest.approx(1.0, abs=0.01)
    assert bench.poller.device_period_s(DeviceId(7)) == pytest.approx(period, rel=0.01)


def test_a_meter_that_answers_at_once_is_asked_once_a_second() -> None:
    bench = Bench(make_gateway(), equip(live_profile(10), [1])).run(30)
    assert mean_period(bench.listener.good(1)) == pytest.approx(1.0, rel=0.01)


def test_slower_groups_are_read_once_in_each_minute_without_starving() -> None:
    points = [
        make_point(INSTANTS[i], 0x100 * i, group=group) for i, group in enumerate(("live", "minute", "slow", "once"))
    ]
    bench = Bench(make_gateway(line=LINE), equip(make_profile(points), range(1, 11))).run(3900)
    for unit in range(1, 11):
        minutes = [one.ts_ms // 60_000 for _, one in bench.listener.of(unit, "minute")]
        assert minutes == list(range(minutes[0], minutes[0] + len(minutes)))
        assert len(minutes) in (65, 66)
        assert len(bench.listener.of(unit, "slow")) in (7, 8)
        assert len(bench.listener.of(unit, "once")) in (1, 2)


def test_slower_groups_of_a_line_are_spread_over_the_minute() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 0x200, group="minute")]
    bench = Bench(make_gateway(line=LINE), equip(make_profile(points), range(1, 21))).run(300)
    seconds = [
        one.ts_ms // 1000 % 60 for unit in range(1, 21) for at, one in bench.listener.of(unit, "minute") if at > 1100
    ]
    assert max(seconds) - min(seconds) > 30


def test_wall_clock_steps_do_not_disturb_the_schedule() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 0x200, group="minute")]
    bench = Bench(make_gateway(line=LINE), equip(make_profile(points), [1]))

    def step(shift_ms: int) -> Callable[[], None]:
        return lambda: setattr(bench.clock, "shift_ms", shift_ms)

    year_ms = 365 * 86_400_000
    bench.run(900, (200, step(-3_600_000)), (400, step(10 * year_ms)), (600, step(-START_MS)))
    assert mean_period(bench.listener.good(1)) == pytest.approx(1.0, rel=0.02)
    gaps = [b - a for a, b in pairwise(bench.listener.good(1, "minute"))]
    assert max(gaps) < 120
    assert len(gaps) >= 12


def test_a_suspended_pc_does_not_catch_up_in_a_burst() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 0x200, group="minute")]
    bench = Bench(make_gateway(line=LINE), equip(make_profile(points), [1]))

    def suspend() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.sleep_through(7200)

    bench.run(7400, (100, suspend))
    assert len([at for at in bench.listener.good(1, "minute") if 8290 < at < 8300]) <= 2
    assert len([at for at in bench.listener.good(1) if 8300 < at < 8310]) <= 11


def test_pauses_of_device_and_gateway_are_kept() -> None:
    points = [make_point(INSTANTS[i], 0x200 * i) for i in range(3)]
    gateway = make_gateway(line=LINE, pause_ms=30)
    bench = Bench(gateway, equip(make_profile(points, pause_ms=200), [1])).run(5)
    moments = [at for at, _ in bench.line.requests]
    one_request_s = 0.02 + 0.0037 + (8 + 7) * 10 / 9600
    gaps = [b - a for a, b in pairwise(moments[:3])]
    assert gaps == pytest.approx([0.2 + one_request_s] * 2, abs=0.002)
    bench = Bench(gateway, equip(live_profile(2), [1, 2])).run(5)
    assert bench.line.requests[1][0] - bench.line.requests[0][0] == pytest.approx(0.03 + one_request_s, abs=0.004)


def test_read_now_comes_next_and_reaches_a_silent_device() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(100), range(1, 11)))
    bench.line.dead = {4}
    bench.run(60, (30, lambda: bench.poller.read_now(DeviceId(4))), (30, lambda: bench.poller.read_now(DeviceId(99))))
    after = bench.units_asked(since=30)
    assert 4 in after[:2]


def test_read_now_wakes_a_line_that_waits() -> None:
    bench = Bench(make_gateway(), equip(live_profile(3), [1]))
    bench.run(2.5, (1.5, lambda: bench.poller.read_now(DeviceId(1))))
    assert [round(at - 1000, 1) for at in bench.listener.good(1)] == [0.0, 1.0, 1.5, 2.0]


# --- dead devices --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dead", [{3, 17, 30}, {1, 2, 3}])
def test_three_dead_devices_of_32_cost_the_others_less_than_5_percent(dead: set[int]) -> None:
    gateway = make_gateway(line=LINE, timeout_ms=500)
    devices = equip(live_profile(120), range(1, 33))
    bench = Bench(gateway, devices)
    bench.line.dead = dead
    bench.run(600)
    healthy = [one for one in devices if one.device.unit_id not in dead]
    limit = predict_cycle(plan_bus(gateway, healthy), gateway, healthy).line_limit_s
    for unit in (4, 16, 32):
        assert mean_period(bench.listener.good(unit)) <= 1.05 * limit
    for unit in dead:
        asked = [at for at, request in bench.line.requests if request.unit_id == unit]
        assert len(asked) > 10
        assert all(45 <= b - a <= 50 for a, b in pairwise(asked[2:])), (
            "every 45 s, and with its jitter never much later"
        )
        assert bench.listener.state_of(unit) is DeviceState.SILENT


def test_a_fifth_of_a_full_site_dead_leaves_the_healthy_within_one_and_a_half_periods() -> None:
    gateway = make_gateway(line=LINE, timeout_ms=1000)
    devices = equip(live_profile(60), range(1, 256))
    bench = Bench(gateway, devices)
    bench.line.dead = set(range(5, 256, 5))
    bench.run(1800)
    healthy = [one for one in devices if one.device.unit_id not in bench.line.dead]
    limit = predict_cycle(plan_bus(gateway, healthy), gateway, healthy).line_limit_s
    assert mean_period(bench.listener.good(1), since=300) <= 1.5 * limit


def test_a_device_is_told_silent_within_two_cycles_and_back_within_a_minute() -> None:
    gateway = make_gateway(line=LINE)
    bench = Bench(gateway, equip(live_profile(60), range(1, 9)))
    silent: list[float] = []
    bench.listener.watch = lambda: (
        silent.append(asyncio.get_running_loop().time())
        if bench.listener.states[-1][:2] == (3, DeviceState.SILENT) and not silent
        else None
    )
    bench.run(400, (100, lambda: bench.line.dead.add(3)), (250, bench.line.dead.clear))
    cycle = bench.poller.snapshot().cycle_s
    assert cycle is not None
    assert silent[0] - 1100 <= 2 * cycle + 3 * 0.5
    back = next(at for at in bench.listener.good(3) if at > 1250)
    assert back - 1250 <= 60
    assert [notice.key for notice in bench.listener.notices] == ["silent.3"]
    assert bench.listener.cleared == ["silent.3"]
    assert "D3 (address 3 on GW1)" in bench.listener.notices[0].message


def test_devices_that_come_back_together_are_not_waited_for_one_by_one() -> None:
    gateway = make_gateway(line=LINE, timeout_ms=1000)
    bench = Bench(gateway, equip(live_profile(60), range(1, 21)))
    bench.line.dead = set(range(2, 21))
    bench.run(400, (200, bench.line.dead.clear))
    for unit in range(2, 21):
        assert next(at for at in bench.listener.good(unit)) - 1200 <= 60


def test_every_minute_of_a_silent_device_says_so() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(60), range(1, 5)))
    bench.line.dead = {2}
    bench.run(600)
    minutes = {one.ts_ms // 60_000 for _, one in bench.listener.of(2)}
    assert len(minutes) >= 10
    assert all(set(one.qualities) == {Quality.TIMEOUT} for _, one in bench.listener.of(2))


def test_one_lost_reply_of_a_healthy_device_is_asked_again_at_once() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), range(1, 4)))
    lost = [20, 50, 80]
    count = iter(range(10**6))
    bench.line.answer = lambda request: None if next(count) in lost else range(request.address, request.address + 10)
    bench.run(120)
    assert all(not any(one.qualities) for _, one in bench.listener.readings)
    assert bench.poller.snapshot().statistics.errors == {FaultKind.TIMEOUT: 3}


@pytest.mark.parametrize(
    ("scheme", "check"),
    [
        (LinkScheme.RTU_TCP, TransactionIdCheck.STRICT),
        (LinkScheme.ASCII_TCP, TransactionIdCheck.STRICT),
        (LinkScheme.TCP, TransactionIdCheck.ACCEPT_ZERO),
        (LinkScheme.TCP, TransactionIdCheck.OFF),
    ],
)
def test_after_a_lost_reply_without_ids_nobody_is_asked_for_a_while_and_the_unit_for_longer(
    scheme: LinkScheme, check: TransactionIdCheck
) -> None:
    bench = Bench(make_gateway(scheme, line=LINE, tid_check=check), equip(live_profile(10), range(1, 4)))
    bench.run(60, (20, lambda: bench.line.dead.add(2)), (20.9, bench.line.dead.clear))
    moments = [at for at, request in bench.line.requests if request.unit_id == 2]
    lost = max(at for at in moments if at < 1020.9)
    following = [(at, request.unit_id) for at, request in bench.line.requests if at > lost]
    assert following[0][0] - lost >= 0.999
    assert min(at for at, unit in following if unit == 2) - lost >= 1.999
    assert all(at - lost > 0.999 for at, _ in following)
    assert any(opened > lost + 0.999 for opened in bench.line.opened)


def test_two_silent_units_in_a_row_close_a_connection_and_known_dead_ones_do_not() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), range(1, 9)))
    bench.run(200, (50, lambda: bench.line.dead.update((3, 4))))
    at_failure = [at for at in bench.line.opened if at > 1001]
    assert len(at_failure) in (1, 2)
    assert all(at < 1060 for at in at_failure)


def test_a_lost_reply_after_the_probe_of_a_dead_device_leaves_the_connection_open() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), range(1, 9)))
    echo = bench.line.answer
    lost: list[int] = []

    def answer(request: ReadRequest) -> Any:
        if len(bench.line.requests) > 1 and asyncio.get_running_loop().time() > 1100:
            before = bench.line.requests[-2][1].unit_id
            if before == 3:
                lost.append(request.unit_id)
                return FaultKind.TIMEOUT
        return echo(request)

    bench.line.answer = answer
    bench.run(600, (50, lambda: bench.line.dead.add(3)))
    assert len(lost) > 5
    assert all(at < 1060 for at in bench.line.opened), "one dead and one lost reply are no dead connection"


def test_a_connection_that_brings_nothing_for_three_time_outs_is_closed() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), [1]))
    bench.run(30, (10, lambda: bench.line.dead.add(1)))
    reopened = [at for at in bench.line.opened if at > 1001]
    assert reopened
    asked = [at for at, _ in bench.line.requests if at >= 1010]
    assert sum(1 for at in asked if at < reopened[0]) <= 3


# --- the line itself -----------------------------------------------------------------------------------------


def test_a_gateway_that_cannot_be_reached_is_told_once_and_tried_with_growing_pauses() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), range(1, 4)))
    bench.line.is_refusing = True
    bench.run(300)
    gaps = [b - a for a, b in pairwise(bench.line.opened)]
    assert 0.8 <= gaps[0] <= 1.2
    assert 24 <= gaps[-1] <= 36.1
    assert max(gaps) <= 36.1
    assert len(bench.listener.notices) == 1
    assert bench.listener.notices[0].level is NoticeLevel.ALARM
    assert all(bench.listener.state_of(unit) is DeviceState.GATEWAY_DOWN for unit in (1, 2, 3))
    assert len({one.ts_ms // 60_000 for _, one in bench.listener.of(1)}) >= 5
    assert not bench.poller.snapshot().is_connected


@pytest.mark.parametrize("trouble", ["refused", "silent"])
def test_a_line_in_trouble_does_not_disturb_its_neighbour(trouble: str) -> None:
    """C1: the cycle of another gateway varies by less than 10 %."""
    ill = Bench(make_gateway(line=LINE), equip(live_profile(60), range(1, 9)))
    well = Bench(make_gateway(line=LINE), equip(live_profile(60), range(1, 9)))
    if trouble == "refused":
        ill.line.is_refusing = True
    else:
        ill.line.dead = set(range(1, 9))

    async def main() -> None:
        tasks = [asyncio.create_task(bench.poller.run()) for bench in (ill, well)]
        await asyncio.sleep(300)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run_virtual(main)
    moments = well.listener.good(1)
    periods = [b - a for a, b in pairwise(moments[2:])]
    assert len(periods) > 50
    assert max(periods) <= 1.1 * min(periods)
    assert ill.listener.good(1) == []


def test_a_gateway_that_comes_back_is_polled_within_a_minute() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), range(1, 4)))
    bench.line.is_refusing = True
    bench.run(400, (290, lambda: setattr(bench.line, "is_refusing", False)))
    assert bench.listener.good(1)[0] - 1290 <= 60
    assert bench.listener.cleared == ["gateway.1"]
    assert bench.listener.state_of(2) is DeviceState.ANSWERING
    assert bench.poller.snapshot().detail == ""


def test_read_now_on_a_line_that_is_down_tries_at_once_but_does_not_spin() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), [1]))
    bench.line.is_refusing = True
    bench.run(100, (60, lambda: bench.poller.read_now(DeviceId(1))))
    assert any(1060 <= at < 1060.1 for at in bench.line.opened)
    assert len(bench.line.opened) < 12


def test_a_connection_closed_at_once_three_times_is_called_a_connection_limit() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), [1]))
    real_open = bench.line.open

    async def open_without_luck() -> None:
        await real_open()
        bench.line.received_bytes = 0

    bench.line.open = open_without_luck  # type: ignore[method-assign]  # one behaviour of the fake
    bench.line.answer = lambda request: FaultKind.CLOSED
    bench.run(60)
    assert "connection limit" in bench.listener.notices[-1].message
    assert len(bench.listener.notices) == 2
    assert len(bench.line.opened) < 8
    assert bench.poller.snapshot().statistics.errors[FaultKind.CONNECTION_LIMIT] >= 1


def test_a_connection_closed_between_requests_costs_no_reading() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), range(1, 4)))
    count = iter(range(10**6))
    bench.line.answer = lambda request: (
        FaultKind.CLOSED if next(count) % 50 == 49 else range(request.address, request.address + 10)
    )
    bench.run(120)
    assert all(not any(one.qualities) for _, one in bench.listener.readings)
    assert bench.listener.notices == []


def test_damage_now_and_then_is_asked_again_and_often_is_told() -> None:
    bench = Bench(make_gateway(LinkScheme.RTU_TCP, line=LINE), equip(live_profile(10), range(1, 4)))
    count = iter(range(10**6))
    bench.line.answer = lambda request: (
        FaultKind.CRC if next(count) % 10 == 9 else range(request.address, request.address + 10)
    )
    bench.run(300)
    assert all(not any(one.qualities) for _, one in bench.listener.readings)
    assert [notice.key for notice in bench.listener.notices] == ["damage.1"]
    assert "termination" in bench.listener.notices[0].message


def test_a_device_whose_replies_are_always_damaged_is_said_to_be_so() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), range(1, 4)))
    bench.line.answer = lambda request: (
        FaultKind.CRC if request.unit_id == 2 else range(request.address, request.address + 10)
    )
    bench.run(300)
    assert bench.listener.state_of(2) is DeviceState.SILENT
    assert "broken" in next(detail for one, _, detail in bench.listener.states if one == 2 and detail)
    assert len(bench.listener.good(1)) > 250


# --- refusals ------------------------------------------------------------------------------------------------


def test_a_refused_register_is_found_named_and_left_out_while_the_rest_is_read() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(40), [1, 2]))
    bench.line.answer = echo_without(23)
    bench.run(120)
    texts = bench.poller.unsupported(DeviceId(1))
    assert len(texts) == 1
    assert INSTANTS[23] in texts[0]
    assert "register 24" in texts[0]
    assert "illegal data address" in texts[0]
    _, last = bench.listener.of(1)[-1]
    assert [i for i, quality in enumerate(last.qualities) if quality] == [last.layout.quantities.index(INSTANTS[23])]
    assert bench.listener.state_of(1) is DeviceState.PARTIAL
    assert {(r.address, r.count) for at, r in bench.line.requests if at > 1110} == {(0, 23), (24, 16)}


def test_a_register_that_is_answered_again_is_read_again_within_a_day() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(4), [1]), min_cycle_s=60.0)
    bench.line.answer = echo_without(2)
    day = 86_400
    bench.run(2 * day + 4000, (day + 3000, lambda: setattr(bench.line, "answer", echo_without())))
    assert bench.poller.unsupported(DeviceId(1)) == ()
    asked_alone = [at for at, request in bench.line.requests if (request.address, request.count) == (2, 1)]
    assert len(asked_alone) <= 8
    assert bench.listener.state_of(1) is DeviceState.ANSWERING


def test_a_joint_the_device_does_not_read_across_is_learned() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(20), [1]))
    bench.line.answer = lambda request: (
        3
        if request.address < 8 < request.address + request.count
        else range(request.address, request.address + request.count)
    )
    bench.run(120)
    assert bench.poller.unsupported(DeviceId(1)) == ()
    assert {(r.address, r.count) for at, r in bench.line.requests if at > 1110} == {(0, 8), (8, 12)}
    assert bench.listener.state_of(1) is DeviceState.ANSWERING


def test_padding_the_device_refuses_is_given_up() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 100)]
    profile = make_profile(points, readable=[(0, 10), (100, 110)])
    bench = Bench(make_gateway(LinkScheme.RTU_TCP, line=LINE), equip(profile, [1]))
    bench.line.answer = lambda request: 2 if request.count > 1 else [request.address]
    bench.run(60)
    assert {(r.address, r.count) for at, r in bench.line.requests if at > 1040} == {(0, 1), (100, 1)}
    assert bench.poller.unsupported(DeviceId(1)) == ()


def test_a_function_the_device_does_not_know_is_not_searched_register_by_register() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(6), [1, 2]))
    bench.line.answer = echo_without(0, code=1)
    bench.run(60)
    assert len(bench.poller.unsupported(DeviceId(1))) == 6
    assert len([r for _, r in bench.line.requests if r.unit_id == 1]) == 3


@pytest.mark.parametrize("code", [4, 8, 0, 7, 9, 200])
def test_passing_faults_are_told_after_ten_minutes_and_cleared(code: int) -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(6), [1, 2]))
    bench.line.answer = lambda request: code if request.unit_id == 1 else range(6)
    bench.run(720, (690, lambda: setattr(bench.line, "answer", echo_without())))
    assert [notice.key for notice in bench.listener.notices] == ["trouble.1"]
    assert 590_000 <= bench.listener.notices[0].since_ts_ms - START_MS <= 620_000
    assert bench.listener.cleared == ["trouble.1"]
    assert len([r for _, r in bench.line.requests if r.unit_id == 1]) > 600


def test_a_busy_device_is_asked_again_after_a_second_without_holding_up_the_others() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(60), range(1, 5)))
    busy = [True]
    bench.line.answer = lambda request: (
        5 if request.unit_id == 2 and busy[0] else range(request.address, request.address + request.count)
    )
    bench.run(30, (5.05, lambda: busy.clear() or busy.append(False)))
    asked = [at for at, request in bench.line.requests if request.unit_id == 2]
    assert all(b - a >= 0.999 for a, b in pairwise(asked[:4]))
    assert mean_period(bench.listener.good(1)) == pytest.approx(1.0, rel=0.05)
    assert bench.listener.notices == []


def test_a_device_busy_for_a_minute_is_told() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(6), [1, 2]))
    bench.line.answer = lambda request: 6 if request.unit_id == 1 else range(6)
    bench.run(90)
    assert [notice.key for notice in bench.listener.notices] == ["trouble.1"]


def test_a_gateway_without_a_path_raises_an_alarm_and_the_others_go_on() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(6), [1, 2]))
    bench.line.answer = lambda request: 10 if request.unit_id == 1 else range(6)
    bench.run(100)
    assert [notice.key for notice in bench.listener.notices] == ["path.1"]
    assert bench.listener.notices[0].level is NoticeLevel.ALARM
    assert len(bench.listener.good(2)) > 90


def test_one_target_that_does_not_respond_is_put_aside_and_all_of_them_reconnect() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(6), [1, 2, 3]))
    bench.line.answer = lambda request: 11 if request.unit_id == 1 else range(6)
    bench.run(200)
    assert bench.listener.state_of(1) is DeviceState.SILENT
    assert len(bench.line.opened) == 1
    assert len([r for _, r in bench.line.requests if r.unit_id == 1]) <= 7
    bench = Bench(make_gateway(line=LINE), equip(live_profile(6), [1, 2, 3]))
    bench.line.answer = lambda request: 11
    bench.run(200)
    assert 2 <= len(bench.line.opened) <= 5


# --- identity and settings -----------------------------------------------------------------------------------


IDENTITY = make_point("serial", 0x300, 2, quantity=None, group="once")


def test_another_serial_number_is_told_as_a_swapped_meter() -> None:
    profile = make_profile([make_point(INSTANTS[0], 0), IDENTITY], identity=[IdentityDef("serial")])
    bench = Bench(make_gateway(line=LINE), equip(profile, [1]))
    serial = [7]
    bench.line.answer = lambda request: (0, serial[0]) if request.address == 0x300 else [1]
    bench.run(7500, (100, lambda: serial.append(serial.pop() + 1)))
    assert [event.kind for event in bench.listener.events] == [EventKind.METER_SWAPPED]
    assert bench.listener.events[0].data == {"serial": {"before": [0, 7], "after": [0, 8]}}
    assert bench.listener.events[0].device_id == 1


def test_a_meter_swapped_while_the_link_was_down_is_noticed_when_it_is_back() -> None:
    profile = make_profile([make_point(INSTANTS[0], 0), IDENTITY], identity=[IdentityDef("serial")])
    bench = Bench(make_gateway(line=LINE), equip(profile, [1]))
    serial = [7]
    bench.line.answer = lambda request: (0, serial[0]) if request.address == 0x300 else [1]

    def swap() -> None:
        serial[0] = 9
        bench.line.dead.clear()

    bench.run(300, (100, lambda: bench.line.dead.add(1)), (200, swap))
    assert [event.kind for event in bench.listener.events] == [EventKind.METER_SWAPPED]


def test_values_of_another_model_are_held_back_until_the_right_one_answers() -> None:
    profile = make_profile(
        [make_point(INSTANTS[0], 0), IDENTITY], identity=[IdentityDef("serial", expected=(0x4C47, 0x5244))]
    )
    bench = Bench(make_gateway(line=LINE), equip(profile, [1]))
    answered: list[tuple[int, ...]] = [(1, 2)]
    bench.line.answer = lambda request: answered[-1] if request.address == 0x300 else [230]
    bench.run(200, (100, lambda: answered.append((0x4C47, 0x5244))))
    assert not [at for at in bench.listener.good(1) if at < 1100]
    assert (
        bench.listener.states[-2][1] is DeviceState.UNREADABLE or bench.listener.states[-1][1] is DeviceState.ANSWERING
    )
    assert [at for at in bench.listener.good(1) if at > 1160]


def test_a_changed_transformer_ratio_is_an_event_and_changes_the_scale() -> None:
    rule = ScaleRule("power", ("ct",), (ScaleStep(Fraction(10), Fraction(1)), ScaleStep(None, Fraction(10))), "test")
    points = [
        make_point(INSTANTS[0], 0, scale=None, scale_rule="power"),
        make_point("ct", 0x300, quantity=None, group="once"),
    ]
    bench = Bench(make_gateway(line=LINE), equip(make_profile(points, scale_rules=[rule]), [1]))
    ratio = [5]
    bench.line.answer = lambda request: [ratio[0]] if request.address == 0x300 else [230]
    bench.run(7500, (100, lambda: ratio.append(ratio.pop() + 15)))
    values = [one.values[0] for _, one in bench.listener.of(1)]
    assert (values[0], values[-1]) == (230, 2300)
    assert [event.kind for event in bench.listener.events] == [EventKind.METER_CONFIG]
    assert bench.listener.events[0].data == {"ct": {"before": "5", "after": "20"}}


# --- who is polled -------------------------------------------------------------------------------------------


def test_models_without_a_public_table_are_polled_on_simulated_lines_only() -> None:
    profile = live_profile(3, evidence=Evidence.SIMULATION)
    bench = Bench(make_gateway(line=LINE), equip(profile, [1])).run(10)
    assert bench.line.requests == []
    assert bench.listener.state_of(1) is DeviceState.UNREADABLE
    bench = Bench(make_gateway(line=LINE), equip(profile, [1]), is_simulated=True).run(10)
    assert bench.listener.good(1)


def test_devices_switched_off_or_archived_are_not_asked() -> None:
    devices = [
        *equip(live_profile(3), [1], is_enabled=False),
        *equip(live_profile(3), [2], is_archived=True),
        *equip(live_profile(3), [3]),
    ]
    bench = Bench(make_gateway(line=LINE), devices).run(10)
    assert set(bench.units_asked()) == {3}
    assert bench.listener.state_of(1) is DeviceState.DISABLED
    assert [one for one, _, _ in bench.listener.states if one == 2] == []
    bench = Bench(make_gateway(line=LINE, is_enabled=False), equip(live_profile(3), [3])).run(10)
    assert bench.line.requests == []
    assert bench.poller.snapshot().predicted_cycle_s is None


def test_statistics_count_requests_errors_and_response_times() -> None:
    bench = Bench(make_gateway(line=LINE), equip(live_profile(10), [1, 2]))
    bench.line.dead = {2}
    bench.run(100)
    mine = bench.poller.device_statistics(DeviceId(1))
    theirs = bench.poller.device_statistics(DeviceId(2))
    assert mine.requests == mine.good == sum(mine.latency_histogram)
    assert mine.latency_histogram[5] == mine.good  # 20 ms latency and 34 ms on the wire
    assert theirs.errors == {FaultKind.TIMEOUT: theirs.requests}
    assert "no answer" in theirs.last_error
    assert "D2 (address 2 on GW1)" in theirs.last_error
    assert bench.poller.snapshot().statistics.requests == mine.requests + theirs.requests
    assert bench.poller.device_statistics(DeviceId(77)).requests == 0
    assert bench.poller.device_period_s(DeviceId(77)) is None
    assert bench.poller.unsupported(DeviceId(77)) == ()


def test_a_block_that_fails_leaves_the_other_blocks_of_its_group_good() -> None:
    points = [make_point(INSTANTS[0], 0), make_point(INSTANTS[1], 0x300)]
    bench = Bench(make_gateway(line=LINE), equip(make_profile(points), [1]))
    bench.line.answer = lambda request: 4 if request.address == 0x300 else [5]
    bench.run(10)
    _, last = bench.listener.of(1)[-1]
    assert dict(zip(last.layout.quantities, last.qualities, strict=True)) == {
        INSTANTS[0]: Quality.GOOD,
        INSTANTS[1]: Quality.EXCEPTION,
    }
    assert "exception 4" in last.detail


def test_a_line_nobody_hangs_on_waits_in_peace() -> None:
    bench = Bench(make_gateway(line=LINE), [])
    bench.run(1000)
    assert bench.line.opened == []
    assert math.isclose(START_MS, bench.clock.shift_ms + START_MS)


def test_a_reading_is_stamped_when_its_own_words_came() -> None:
    points = [make_point(INSTANTS[0], 0, 2), make_point(INSTANTS[1], 0x200, 2, group="minute")]
    bench = Bench(make_gateway(line=LineSettings(1200)), equip(make_profile(points), [1])).run(5)
    live, minute = bench.listener.of(1)[0][1], bench.listener.of(1, "minute")[0][1]
    one_request_ms = 1000 * ((8 + 9) * 10 / 1200 + 2 * 3.5 * 10 / 1200)
    assert live.ts_ms - START_MS == pytest.approx(one_request_ms, abs=2)
    assert minute.ts_ms - live.ts_ms == pytest.approx(one_request_ms, abs=2)


def test_a_unit_whose_late_reply_may_come_is_not_asked_by_hand_or_for_another_device_either() -> None:
    gateway = make_gateway(LinkScheme.RTU_TCP, line=LINE)
    shared = equip(live_profile(10), [2])
    twin = [EquippedDevice(replace(shared[0].device, id=DeviceId(22), name="D22"), shared[0].profile)]
    bench = Bench(gateway, [*shared, *twin, *equip(live_profile(10), [3])])
    lost: list[float] = []

    def lose() -> None:
        bench.line.dead.add(2)
        lost.append(asyncio.get_running_loop().time())

    def ask() -> None:
        for one in (2, 22):
            bench.poller.read_now(DeviceId(one))

    bench.run(40, (20, lose), (20.7, bench.line.dead.clear), (20.8, ask), (21.3, ask))
    asked = [at for at, request in bench.line.requests if request.unit_id == 2]
    failed = min(at for at in asked if at >= lost[0])
    assert min(at for at in asked if at > failed) - failed >= 1.999
    assert [at for at, request in bench.line.requests if request.unit_id == 3 and failed < at < failed + 2]
    assert bench.listener.good(22)[-1] > failed + 2
