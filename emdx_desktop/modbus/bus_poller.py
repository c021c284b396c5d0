"""Polls one line for ever, one request in flight (rules P1 to P9 of the fault list).

Healthy devices are visited in turn, without artificial pauses; slower groups are read when due, as part of
the visit. A device that has failed twice is known to be silent: it leaves the cycle and is probed at most
every `PROBE_S`. Faults of the line never leave `run`: they become readings without values, device states,
notices and statistics. A bug does leave it.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Sequence

from emdx_desktop.domain.bus_timing import MIN_LIVE_CYCLE_S, predict_cycle
from emdx_desktop.domain.errors import LinkFault
from emdx_desktop.domain.installation import Gateway
from emdx_desktop.domain.ports import BusListener, Clock, EquippedDevice
from emdx_desktop.domain.profiles import Priority
from emdx_desktop.domain.readings import (
    QUALITY_OF_FAULT,
    BusSnapshot,
    DeviceId,
    DeviceState,
    FaultKind,
    Quality,
    RequestStatistics,
)
from emdx_desktop.domain.registers import RegisterBlock
from emdx_desktop.modbus.device_identity import check_settings
from emdx_desktop.modbus.device_poll import DevicePoll, GroupSchedule, failed_block, make_device_poll
from emdx_desktop.modbus.line_health import LineHealth
from emdx_desktop.modbus.line_reports import LineReports
from emdx_desktop.modbus.line_statistics import RequestCounter
from emdx_desktop.modbus.links import BusLink, make_link
from emdx_desktop.modbus.planner import ReadBlock, SharedPlans, needs_padding, plan_bus
from emdx_desktop.modbus.requests import BUSY, ILLEGAL, PATH_UNAVAILABLE, TARGET_SILENT, ReadRequest, protocol_fault
from emdx_desktop.modbus.visit import Visit, is_over

PROBE_S = 45.0
"""Known-silent devices are asked this often; with the jitter below back within 60 s of recovering (I7)."""
PROBE_JITTER_S = 3.0
PROBE_SHARE = 0.25
"""At most this share of a line's time goes into probes that get no answer (C22: periods grow by less than 1.5)."""
VISITS_TO_DEAD = 2
DAMAGED_VISITS_TO_DEAD = 5
"""A device whose replies come damaged is there: it is given longer."""
MIN_QUIET_S = 0.3
"""P3: how long late replies are let run dry at least."""
LATE_REPLY_TIMEOUTS = 4
"""On links without transaction ids a unit that timed out is not asked again before this many time-outs have
passed since: until then a late reply of it could pass for the new one (C5 asks for three)."""
FIRST_BACK_OFF_S, LAST_BACK_OFF_S = 1.0, 30.0
SHORT_LIVES_TO_LIMIT = 3
BUSY_WAIT_S = 1.0
RECHECK_S = 86_400.0
SETTINGS_AGE_S = 60.0
REPORT_S = 30.0
SLOWEST_LOOK_S = 60.0
TARGET_FAILURES_TO_RECONNECT = 3

UNSPOILED = frozenset((Quality.GOOD, Quality.PENDING, Quality.SENTINEL))
"""Qualities a device that answers everything may have."""

CAUSES_SILENCE = (FaultKind.TIMEOUT, FaultKind.CRC, FaultKind.PROTOCOL, FaultKind.CLOSED)


class _LineDown(Exception):
    """The link cannot be opened, or is closed by the other side as soon as it is."""

    def __init__(self, fault: LinkFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class ModbusBusPoller:
    """Poller of one line (`ports.BusPoller`; the class itself is a `ports.BusPollerFactory`).

    All methods are called in the acquisition loop's thread.
    """

    def __init__(
        self,
        gateway: Gateway,
        devices: Sequence[EquippedDevice],
        listener: BusListener,
        clock: Clock,
        *,
        is_simulated: bool = False,
        min_cycle_s: float = MIN_LIVE_CYCLE_S,
        link_factory: Callable[[Gateway], BusLink] = make_link,
    ) -> None:
        """Prepare; nothing is opened before `run`.

        Args:
            gateway: The line.
            devices: Its devices; archived ones are passed over.
            listener: Told everything.
            clock: Wall and monotonic time.
            is_simulated: The line is a simulation of ours: models without a public register table are
                polled too. Never on a real line.
            min_cycle_s: Shortest live cycle.
            link_factory: Makes the link.
        """
        self._gateway = gateway
        self._listener = listener
        self._clock = clock
        self._min_cycle_s = min_cycle_s
        self._link = link_factory(gateway)
        self._counter = RequestCounter()
        self._reports = LineReports(gateway, listener, clock)
        self._health = LineHealth()
        present = [equipped for equipped in devices if not equipped.device.is_archived]
        self._idle = [one for one in present if not one.device.is_enabled or not gateway.is_enabled]
        active = [one for one in present if one.device.is_enabled and gateway.is_enabled]
        self._unreadable = [one for one in active if one.profile.is_simulation_only and not is_simulated]
        readable = [one for one in active if not one.profile.is_simulation_only or is_simulated]
        plans = SharedPlans(is_padded=needs_padding(gateway))
        self._polls = [
            make_device_poll(equipped, gateway, plans, index, len(readable)) for index, equipped in enumerate(readable)
        ]
        self._by_id = {poll.id: poll for poll in self._polls}
        self._predicted_s = (
            max(min_cycle_s, predict_cycle(plan_bus(gateway, readable), gateway, readable).mean_cycle_s)
            if readable
            else None
        )
        self._timeout_s = gateway.timeout_ms / 1000
        self._asked: deque[DevicePoll] = deque()
        self._wake = asyncio.Event()
        self._round: deque[DevicePoll] = deque()
        self._round_start_s = 0.0
        self._round_due_s = 0.0
        self._is_round_of_live = False
        self._cycle_s: float | None = None
        self._load_ratio: float | None = None
        self._busy_s = 0.0
        self._probe_free_s = 0.0
        self._bus_free_s = 0.0
        self._is_down = False
        self._has_been_open = False
        self._down_detail = ""
        self._back_off_s = FIRST_BACK_OFF_S
        self._short_lives = 0
        self._is_suspicion_new = True
        self._must_ask_again = False

    # --- ports.BusPoller -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Poll until cancelled. Faults of the line never leave it."""
        self._reports.announce(self._polls, self._idle, self._unreadable)
        if not self._polls:
            await asyncio.Event().wait()
        try:
            while True:
                try:
                    await self._poll_line()
                except _LineDown as down:
                    self._report_line_down(down.fault)
                    wait_s = self._back_off_s * random.uniform(0.8, 1.2)
                    self._back_off_s = min(LAST_BACK_OFF_S, 2 * self._back_off_s)
                    await self._pause(wait_s)
        finally:
            await self._link.close()

    def read_now(self, device_id: DeviceId) -> None:
        """Put all groups of a device at the head of the queue, also of a silent one."""
        poll = self._by_id.get(device_id)
        if poll is not None and poll not in self._asked:
            self._asked.append(poll)
            self._wake.set()

    def snapshot(self) -> BusSnapshot:
        """Newest statistics of the line."""
        return BusSnapshot(
            gateway_id=self._gateway.id,
            is_connected=self._link.is_open and not self._is_down,
            cycle_s=self._cycle_s,
            predicted_cycle_s=self._predicted_s,
            load_ratio=self._load_ratio,
            statistics=self._counter.snapshot(),
            detail=self._down_detail,
        )

    def device_statistics(self, device_id: DeviceId) -> RequestStatistics:
        """Newest statistics of one device."""
        poll = self._by_id.get(device_id)
        return poll.counter.snapshot() if poll is not None else RequestStatistics()

    def device_period_s(self, device_id: DeviceId) -> float | None:
        """Measured period of the device's fastest group."""
        poll = self._by_id.get(device_id)
        return poll.period_s if poll is not None else None

    def unsupported(self, device_id: DeviceId) -> tuple[str, ...]:
        """Registers the device refuses, in words."""
        poll = self._by_id.get(device_id)
        return poll.reads.refused_texts() if poll is not None else ()

    # --- what is next ----------------------------------------------------------------------------------

    async def _poll_line(self) -> None:
        if self._is_down and not self._link.is_open:
            await self._open()
        while True:
            now_s = self._clock.monotonic_s()
            self._report_dead(now_s)
            job = self._take_job(now_s)
            if job is None:
                await self._pause(max(0.001, min(SLOWEST_LOOK_S, self._next_look_s() - now_s)))
            else:
                await self._visit(*job)

    def _take_job(self, now_s: float) -> tuple[DevicePoll, tuple[GroupSchedule, ...], bool] | None:
        """The next visit: device, groups, whether it is a probe of a silent device."""
        asked = next((poll for poll in self._asked if poll.not_before_s <= now_s), None)
        if asked is not None:
            self._asked.remove(asked)
            return asked, asked.groups, False
        for poll in self._polls:
            if max(poll.retry_s, poll.not_before_s) <= now_s:
                poll.retry_s = math.inf
                return poll, poll.retry_groups, False
        if self._must_ask_again and all(poll.is_dead for poll in self._polls):
            # perhaps only the connection was dead: all are asked once more on a new one
            self._must_ask_again = False
            for poll in self._polls:
                poll.next_probe_s = now_s
        if now_s >= self._probe_free_s or all(poll.is_dead for poll in self._polls):
            dead = [poll for poll in self._polls if poll.is_dead and max(poll.next_probe_s, poll.not_before_s) <= now_s]
            if dead:
                poll = min(dead, key=lambda one: one.next_probe_s)
                return poll, poll.groups, True
        return self._take_from_round(now_s)

    def _take_from_round(self, now_s: float) -> tuple[DevicePoll, tuple[GroupSchedule, ...], bool] | None:
        if all(poll.not_before_s > now_s for poll in self._round):
            # the round is over; a device that has to be left alone for a while does not hold up the others
            if now_s < self._round_due_s:
                return None
            self._begin_round(now_s)
        for _ in range(len(self._round)):
            poll = self._round.popleft()
            if poll.is_dead:
                continue
            if poll.not_before_s > now_s:
                self._round.append(poll)
                continue
            groups = poll.due_groups(now_s)
            if groups:
                self._is_round_of_live |= any(group.priority is Priority.LIVE for group in groups)
                return poll, groups, False
        return None

    def _begin_round(self, now_s: float) -> None:
        elapsed_s = now_s - self._round_start_s
        if self._is_round_of_live:
            self._cycle_s = elapsed_s
        if elapsed_s > 0:
            self._load_ratio = min(1.0, self._busy_s / elapsed_s)
        self._busy_s = 0.0
        self._is_round_of_live = False
        self._round_start_s = now_s
        self._round_due_s = now_s + self._min_cycle_s
        self._round = deque(poll for poll in self._polls if not poll.is_dead)

    def _next_look_s(self) -> float:
        """When there may be something to do again."""
        looks = [max(poll.retry_s, poll.not_before_s) for poll in self._polls]
        looks += [max(poll.next_probe_s, poll.not_before_s) for poll in self._polls if poll.is_dead]
        looks += [poll.not_before_s for poll in (*self._round, *self._asked)]
        if all(poll.not_before_s > self._round_due_s for poll in self._round):
            looks.append(self._round_due_s)
        return min(looks)

    async def _pause(self, wait_s: float) -> None:
        """Wait, unless somebody wants a device read at once."""
        self._wake.clear()
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return

    # --- one visit -------------------------------------------------------------------------------------

    async def _visit(self, poll: DevicePoll, groups: tuple[GroupSchedule, ...], is_probe: bool) -> None:
        """Read the groups of a device and tell what came of it."""
        start_s = self._clock.monotonic_s()
        visit = Visit()
        if is_probe:
            poll.next_probe_s = start_s + PROBE_S + random.uniform(0, PROBE_JITTER_S)
            probe = min(poll.reads.blocks, key=lambda block: block.count, default=None)
            if probe is not None:
                await self._read_block(poll, probe, visit)
        if start_s >= poll.recheck_s:
            await self._recheck_refused(poll, visit, start_s)
        for group in groups:
            for block in poll.reads.blocks:
                if group.name in block.groups and block not in visit.answers and not visit.is_silent:
                    await self._read_block(poll, block, visit)
            if visit.is_busy and poll.retry_groups is not groups and not poll.is_dead:
                # C11: once more in a second, then it counts; the other devices do not wait
                poll.retry_groups = groups
                poll.retry_s = poll.not_before_s = self._clock.monotonic_s() + BUSY_WAIT_S
                return
            self._tell_group(poll, group, visit)
        poll.retry_groups = ()
        self._settle(poll, visit, start_s, is_probe)

    async def _recheck_refused(self, poll: DevicePoll, visit: Visit, now_s: float) -> None:
        """C9: once a day, ask for what was refused; if any of it is answered now, forget all refusals."""
        poll.recheck_s = now_s + RECHECK_S
        for block in poll.reads.probe_blocks():
            trial = Visit()
            await self._read_block(poll, block, trial)
            if trial.is_silent:
                visit.take_silence(trial)
                return
            if trial.answers[block].words is not None:
                poll.reads.forget_refusals()
                return

    async def _read_block(self, poll: DevicePoll, block: ReadBlock, visit: Visit) -> None:
        """Read one block, repeated once where that may help (rule P5)."""
        for attempt in (1, 2):
            try:
                words = await self._exchange(poll, block)
            except LinkFault as fault:
                if attempt == 1 and self._is_worth_repeating(poll, fault):
                    continue
                self._take_fault(poll, block, visit, fault)
            else:
                answer = RegisterBlock(block.unit_offset, block.function_code, block.address, words)
                visit.take(block, answer, self._clock.now_ms())
                visit.has_answer = True
                if poll.reads.note_good(block):
                    self._tell_refusals(poll)
            return

    def _is_worth_repeating(self, poll: DevicePoll, fault: LinkFault) -> bool:
        if poll.is_dead or fault.kind is FaultKind.EXCEPTION:
            return False
        if not self._link.has_reliable_tid and not is_over(fault):
            return False  # the reply to the first attempt could pass for the second's
        return fault.kind is not FaultKind.TIMEOUT or poll.has_answered

    def _take_fault(self, poll: DevicePoll, block: ReadBlock, visit: Visit, fault: LinkFault) -> None:
        code = fault.exception_code
        answer = failed_block(block, QUALITY_OF_FAULT[FaultKind(fault.kind)], f"{poll.name}: {fault}.")
        visit.take(block, answer, self._clock.now_ms())
        visit.fault = fault
        if fault.kind in CAUSES_SILENCE or code in (PATH_UNAVAILABLE, TARGET_SILENT):
            # the device is not asked for the rest: each read would cost another time-out
            visit.is_silent = True
            return
        visit.has_answer = True
        if code in ILLEGAL:
            if poll.reads.note_refusal(block, code):
                self._tell_refusals(poll)
        elif code in BUSY:
            visit.is_busy = True
            visit.has_passing_fault = True
        else:
            visit.has_passing_fault = True

    def _tell_refusals(self, poll: DevicePoll) -> None:
        poll.recheck_s = self._clock.monotonic_s() + RECHECK_S if poll.reads.refused else math.inf

    def _tell_group(self, poll: DevicePoll, group: GroupSchedule, visit: Visit) -> None:
        """Decode a group and hand it on."""
        now_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        quality, why = visit.excuse()
        ts_ms = visit.moment_ms(group.name) or now_ms
        blocks = [answer for block, answer in visit.answers.items() if group.name in block.groups]
        if group.has_identity or group.has_settings:
            check_settings(poll, group, blocks, self._listener, now_ms)
        if poll.foreign_identity:
            why = poll.foreign_identity
            readings = poll.decode(group, {}, ts_ms, Quality.IMPLAUSIBLE, why)
        else:
            readings = poll.decode(group, visit.answers, ts_ms, quality, why)
        has_failed = any(answer.words is None and answer.quality is not Quality.EXCEPTION for answer in blocks)
        if group.priority is not Priority.LIVE:
            poll.schedule(group, now_s, now_ms, has_failed=has_failed or visit.is_silent)
            if group.has_identity and poll.foreign_identity:
                group.due_s = now_s + PROBE_S
        elif not visit.is_silent:
            if poll.last_live_s:
                poll.period_s = now_s - poll.last_live_s
            poll.last_live_s = now_s
        if any(readings.qualities) and not set(readings.qualities) <= UNSPOILED:
            visit.partial = visit.partial or readings.detail
        self._reports.hand_on(readings)

    def _settle(self, poll: DevicePoll, visit: Visit, start_s: float, is_probe: bool) -> None:
        """The visit is over: state of the device, notices, when it is asked next."""
        now_s = self._clock.monotonic_s()
        if visit.is_silent and not visit.has_answer:
            self._settle_silent(poll, visit, now_s, start_s, is_probe)
            return
        was_dead = poll.is_dead
        poll.failed_visits = 0
        poll.target_failures = 0
        poll.is_dead = False
        if was_dead:
            poll.want_settings(now_s, 0.0)
            poll.last_live_s = 0.0
            for other in self._polls:  # what came back with it is not left waiting
                if other.is_dead:
                    other.next_probe_s = now_s
            self._probe_free_s = now_s
        if visit.is_busy:
            poll.not_before_s = max(poll.not_before_s, now_s + BUSY_WAIT_S)
        self._reports.tell_trouble(poll, visit, now_s)
        self._reports.tell_answering(poll, visit)

    def _settle_silent(self, poll: DevicePoll, visit: Visit, now_s: float, start_s: float, is_probe: bool) -> None:
        fault = visit.fault
        assert fault is not None, "silence has a fault"
        poll.failed_visits += 1
        is_damaged = fault.kind in (FaultKind.CRC, FaultKind.PROTOCOL)
        is_by_gateway = fault.kind is FaultKind.EXCEPTION
        poll.target_failures = poll.target_failures + 1 if is_by_gateway else 0
        if is_probe:
            self._probe_free_s = now_s + (now_s - start_s) * (1 / PROBE_SHARE - 1)
        if poll.failed_visits >= (DAMAGED_VISITS_TO_DEAD if is_damaged else VISITS_TO_DEAD) and not poll.is_dead:
            poll.is_dead = True
            poll.next_probe_s = now_s + PROBE_S + random.uniform(0, PROBE_JITTER_S)
        poll.next_report_s = now_s + REPORT_S
        if poll.failed_visits < VISITS_TO_DEAD and poll.state is not DeviceState.WAITING:
            return
        self._reports.tell_silent(poll, fault)

    # --- one request -----------------------------------------------------------------------------------

    async def _exchange(self, poll: DevicePoll, block: ReadBlock) -> tuple[int, ...]:
        """One request and its reply, accounted for.

        Raises:
            LinkFault: No values; the link is already in order again for the next request, or closed.
            _LineDown: The link cannot be opened.
        """
        if not self._link.is_open:
            await self._open()
        await self._keep_pauses(poll)
        unit_id = poll.equipped.device.unit_id + block.unit_offset
        request = ReadRequest(unit_id, block.function_code, block.address, block.count)
        start_s = self._clock.monotonic_s()
        try:
            if self._link.is_out_of_step:
                raise protocol_fault("more bytes came than were asked for", is_reply_pending=False)
            words = await self._link.read(request, poll.timeout_of(block, self._gateway))
        except LinkFault as fault:
            took_s = self._note_time(poll, start_s)
            latency_s = took_s if fault.kind is FaultKind.EXCEPTION else None
            ts_ms = self._clock.now_ms()
            message = f"{poll.place}, {request}: {fault}"
            for counter in (self._counter, poll.counter):
                counter.note_fault(FaultKind(fault.kind), message, ts_ms, latency_s)
            await self._mend(poll, unit_id, fault, start_s)
            raise
        took_s = self._note_time(poll, start_s)
        self._counter.note_good(took_s)
        poll.counter.note_good(took_s)
        self._note_alive()
        return words

    def _note_time(self, poll: DevicePoll, start_s: float) -> float:
        """A request is over: the line was busy that long, and pauses start."""
        now_s = self._clock.monotonic_s()
        self._busy_s += now_s - start_s
        self._bus_free_s = now_s + self._gateway.pause_ms / 1000
        poll.not_before_s = max(poll.not_before_s, now_s + poll.equipped.profile.pause_ms / 1000)
        return now_s - start_s

    async def _keep_pauses(self, poll: DevicePoll) -> None:
        """Pauses the gateway and the device ask for. (Late replies are waited out in the queue, not here.)"""
        now_s = self._clock.monotonic_s()
        device_free_s = min(poll.not_before_s, now_s + poll.equipped.profile.pause_ms / 1000)
        wait_s = max(self._bus_free_s, device_free_s) - now_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    def _note_alive(self) -> None:
        """An answer came: the link works."""
        self._health.note_good()
        self._is_suspicion_new = True
        self._note_reachable()

    def _note_reachable(self) -> None:
        """The gateway holds the connection, whatever its devices do."""
        self._back_off_s = FIRST_BACK_OFF_S
        self._short_lives = 0
        if self._is_down:
            self._is_down = False
            self._down_detail = ""
            self._reports.tell_reachable()

    async def _mend(self, poll: DevicePoll, unit_id: int, fault: LinkFault, start_s: float) -> None:
        """Bring the link into a state in which the next reply is the next reply (rules P2 to P4)."""
        link, kind = self._link, fault.kind
        if kind is FaultKind.EXCEPTION:
            self._note_alive()
            if fault.exception_code == TARGET_SILENT and self._is_target_silent_everywhere():
                await link.close()
            return
        self._health.note_bad(kind, self._clock.monotonic_s())
        ratio = self._health.damage_ratio(self._clock.monotonic_s(), self._counter.snapshot().requests)
        self._reports.tell_damage(ratio)
        if kind is FaultKind.CLOSED:
            await link.close()
            if not link.received_bytes:
                self._short_lives += 1
                raise _LineDown(fault)
            return
        self._note_reachable()
        if not link.has_reliable_tid:
            # P3: nobody can tell a late reply from the right one, so it must not find anybody listening
            if not is_over(fault):
                for other in self._polls:  # several devices may share a unit
                    if other.asks_unit(unit_id):
                        free_s = start_s + LATE_REPLY_TIMEOUTS * self._timeout_s
                        other.not_before_s = max(other.not_before_s, free_s)
            await link.quiet(max(self._timeout_s, MIN_QUIET_S))
        elif kind is FaultKind.PROTOCOL:
            await link.close()
        if kind is FaultKind.TIMEOUT and self._health.is_connection_suspect(
            unit_id, self._timeout_s, link.received_bytes, is_counted=self._counts(poll)
        ):
            await link.close()
            self._must_ask_again = self._is_suspicion_new
            self._is_suspicion_new = False

    def _counts(self, poll: DevicePoll) -> bool:
        """P4: known-silent devices say nothing about the link, unless there are no others."""
        return not poll.is_dead or all(one.is_dead for one in self._polls)

    def _is_target_silent_everywhere(self) -> bool:
        """C13: the gateway says of every device, again and again, that it does not respond."""
        if any(poll.target_failures < TARGET_FAILURES_TO_RECONNECT - 1 for poll in self._polls):
            return False
        for poll in self._polls:
            poll.target_failures = 0
        return True

    # --- the link --------------------------------------------------------------------------------------

    async def _open(self) -> None:
        was_down = self._is_down
        try:
            await self._link.open()
        except LinkFault as fault:
            self._counter.note_fault(FaultKind.CONNECT, str(fault), self._clock.now_ms())
            raise _LineDown(fault) from fault
        self._health.note_opened()
        if self._link.has_reliable_tid or was_down or not self._has_been_open:
            now_s = self._clock.monotonic_s()
            for poll in self._polls:
                poll.want_settings(now_s, SETTINGS_AGE_S)
                if was_down and poll.is_dead:
                    poll.next_probe_s = now_s
        self._has_been_open = True

    def _report_line_down(self, fault: LinkFault) -> None:
        """Tell of the line once, of each device's minutes each time."""
        is_limited = self._short_lives >= SHORT_LIVES_TO_LIMIT
        if is_limited:
            self._counter.note_fault(FaultKind.CONNECTION_LIMIT, str(fault), self._clock.now_ms())
        self._is_down = True
        self._down_detail = self._reports.tell_down(fault, is_limited=is_limited)
        self._asked.clear()
        self._round.clear()
        self._round_due_s = 0.0
        self._is_round_of_live = False
        for poll in self._polls:
            poll.last_live_s = 0.0
            self._reports.tell_missing(poll, self._down_detail)
            self._reports.set_state(poll, DeviceState.GATEWAY_DOWN, self._down_detail)

    def _report_dead(self, now_s: float) -> None:
        """Minutes of a silent device say so, also between two probes."""
        for poll in self._polls:
            if poll.is_dead and now_s >= poll.next_report_s:
                poll.next_report_s = now_s + REPORT_S
                self._reports.tell_missing(poll, poll.detail)
