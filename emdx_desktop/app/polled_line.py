"""One line being polled: its poller's task, what it tells, and its restarts."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field

from emdx_desktop.app.live_board import LiveBoard
from emdx_desktop.app.minute_keeper import MinuteKeeper
from emdx_desktop.app.polling_scope import LineScope
from emdx_desktop.domain.history import Event, EventKind
from emdx_desktop.domain.ports import BusPoller, BusPollerFactory, Clock
from emdx_desktop.domain.readings import DeviceId, DeviceState, GroupReadings, Notice, NoticeLevel

logger = logging.getLogger(__name__)

MAX_RESTARTS = 3
RESTART_WINDOW_S = 600.0
"""Crash-loop brake (S12): after three restarts in ten minutes there is a pause of ten minutes."""

MIN_PERIOD_S = 60.0
SILENT_PERIODS = 3
"""S12: a poller that told nothing for three periods is restarted. A device known to be dead is asked every 45 s,
so a minute is the shortest period anybody can rely on."""


class RestartBrake:
    """Counts restarts."""

    def __init__(self) -> None:
        self._restarts_s: deque[float] = deque(maxlen=MAX_RESTARTS)

    def note(self, now_s: float) -> bool:
        """Note a restart; whether there were too many in too short a time."""
        self._restarts_s.append(now_s)
        return len(self._restarts_s) == MAX_RESTARTS and now_s - self._restarts_s[0] < RESTART_WINDOW_S


@dataclass(slots=True)
class AcquisitionDesk:
    """What all lines of a site share. Touched in the acquisition loop's thread only."""

    clock: Clock
    make_poller: BusPollerFactory
    board: LiveBoard
    keeper: MinuteKeeper
    notices: dict[str, Notice] = field(default_factory=dict)


class PolledLine:
    """Runs the poller of one line."""

    def __init__(self, scope: LineScope, desk: AcquisitionDesk) -> None:
        self.scope = scope
        self.poller: BusPoller | None = None
        self._desk = desk
        self._brake = RestartBrake()
        self._paused_until_s: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._ear: _LineEar | None = None
        self._heard_s = 0.0

    @property
    def device_ids(self) -> list[DeviceId]:
        """Devices polled on the line."""
        return [equipped.device.id for equipped in self.scope.devices]

    def start(self) -> None:
        """Start a new poller in the running loop."""
        desk = self._desk
        self._ear = _LineEar(self, desk)
        self._paused_until_s = None
        desk.notices.pop(self._pause_key, None)
        self._heard_s = desk.clock.monotonic_s()
        self.poller = desk.make_poller(self.scope.gateway, self.scope.devices, self._ear, desk.clock)
        for device_id in self.device_ids:
            desk.board.place(device_id, DeviceState.WAITING, "", self.poller)
        self._task = asyncio.get_running_loop().create_task(self.poller.run(), name=f"line {self.scope.gateway.name}")

    def give_up(self) -> None:
        """Hear nothing more of the poller. Any thread."""
        if self._ear is not None:
            self._ear.close()

    async def stop(self) -> None:
        """Cancel the poller and wait for its end."""
        self.give_up()
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        for outcome in await asyncio.gather(task, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("the poller of %s ended by a mistake", self.scope.gateway.name, exc_info=outcome)

    def note_heard(self) -> None:
        """The poller told something."""
        self._heard_s = self._desk.clock.monotonic_s()

    async def check(self) -> None:
        """Restart a poller that ended or that tells nothing any more."""
        now_s = self._desk.clock.monotonic_s()
        if self._paused_until_s is not None:
            if now_s >= self._paused_until_s:
                self.start()
            return
        assert self._task is not None
        if self._task.done():
            await self._restart("ended by a mistake of the program")
        elif now_s - self._heard_s > self._patience_s:
            for frame in self._task.get_stack():
                logger.error("%s is stuck at %s:%d", self._task.get_name(), frame.f_code.co_filename, frame.f_lineno)
            await self._restart(f"told nothing for {now_s - self._heard_s:.0f} s")

    @property
    def _patience_s(self) -> float:
        assert self.poller is not None
        bus = self.poller.snapshot()
        return SILENT_PERIODS * max(MIN_PERIOD_S, bus.cycle_s or 0.0, bus.predicted_cycle_s or 0.0)

    @property
    def _pause_key(self) -> str:
        return f"line-paused-{self.scope.gateway.id}"

    async def _restart(self, why: str) -> None:
        await self.stop()
        desk, name = self._desk, self.scope.gateway.name
        now_ms = desk.clock.now_ms()
        message = f'Polling of line "{name}" {why} and was started again.'
        logger.error("%s", message)
        if self._brake.note(desk.clock.monotonic_s()):
            message = (
                f'Polling of line "{name}" {why}, three times in ten minutes - it pauses for ten minutes - see the log.'
            )
            self._paused_until_s = desk.clock.monotonic_s() + RESTART_WINDOW_S
            desk.notices[self._pause_key] = Notice(self._pause_key, NoticeLevel.ALARM, message, now_ms)
            for device_id in self.device_ids:
                desk.board.set_state(device_id, DeviceState.GATEWAY_DOWN, message)
        else:
            self.start()
        desk.keeper.record(Event(now_ms, EventKind.WATCHDOG, message))


class _LineEar:
    """Listens to one poller; deaf once the poller was given up, so that a stray reply of it reaches nobody."""

    def __init__(self, line: PolledLine, desk: AcquisitionDesk) -> None:
        self._line = line
        self._desk = desk
        self._is_open = True
        self._notice_keys: set[str] = set()

    def close(self) -> None:
        """Hear nothing more; what was noticed is over."""
        self._is_open = False
        for key in self._notice_keys:
            self._desk.notices.pop(key, None)

    def on_readings(self, readings: GroupReadings) -> None:
        if self._is_open:
            self._line.note_heard()
            self._desk.board.take(self._desk.keeper.take(readings))

    def on_device_state(self, device_id: DeviceId, state: DeviceState, detail: str) -> None:
        if self._is_open:
            self._line.note_heard()
            self._desk.board.set_state(device_id, state, detail)

    def on_notice(self, notice: Notice) -> None:
        if self._is_open:
            self._line.note_heard()
            self._notice_keys.add(notice.key)
            self._desk.notices[notice.key] = notice

    def on_notice_cleared(self, key: str) -> None:
        if self._is_open:
            self._notice_keys.discard(key)
            self._desk.notices.pop(key, None)

    def on_event(self, event: Event) -> None:
        if self._is_open:
            self._desk.keeper.record(event)
