"""The acquisition loop: lines, commands, clocks and snapshots in one asyncio loop of one thread."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Collection
from typing import Any

from emdx_desktop.app.polled_line import AcquisitionDesk, PolledLine
from emdx_desktop.app.polling_scope import find_polling_scope
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.history import Event, EventKind, RetentionPolicy
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.ports import Command, HistoryWriter, ReadNow, ReplaceInstallation, SetRetention
from emdx_desktop.domain.readings import DeviceId, Notice, NoticeLevel, SiteSnapshot
from emdx_desktop.domain.site_difference import counts_otherwise, difference

logger = logging.getLogger(__name__)

BEAT_S = 0.25
"""Snapshots, commands, clocks and minute boundaries are looked at four times a second."""

_MAX_SENTENCES = 20
COMMAND_NOTICE_KEY = "command"
"""Notice of a command that could not be carried out."""


class AcquisitionWorker:
    """One run of the loop. When it hangs it is given up and another one takes its place."""

    def __init__(
        self,
        desk: AcquisitionDesk,
        writer: HistoryWriter,
        catalogue: ProfileCatalogue,
        installation: Installation,
        commands: queue.SimpleQueue[Command],
        publish: Callable[[SiteSnapshot], None],
        *,
        beat_s: float = BEAT_S,
        polls_simulated_profiles: bool = False,
    ) -> None:
        self.installation = installation
        self.beats = 0
        self.loop_errors = 0
        self._desk = desk
        self._writer = writer
        self._catalogue = catalogue
        self._commands = commands
        self._publish = publish
        self._beat_s = beat_s
        self._polls_simulated_profiles = polls_simulated_profiles
        self._lines: list[PolledLine] = []
        self._is_stopping = threading.Event()
        self._is_given_up = False
        self._storing: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask the loop to end in order. Any thread."""
        self._is_stopping.set()

    def give_up(self) -> None:
        """Another worker goes on: should this one ever wake up, it must touch nothing that is shared."""
        self._is_given_up = True
        self._is_stopping.set()
        for line in self._lines:
            line.give_up()

    def run(self) -> None:
        """Run the loop until it is stopped."""
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._on_loop_error)
        try:
            loop.run_until_complete(self._main())
        finally:
            try:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
            finally:
                loop.close()

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback of a library let escape (I8): counted and logged, the loop goes on."""
        self.loop_errors += 1
        logger.error("in the acquisition loop: %s", context.get("message"), exc_info=context.get("exception"))

    async def _main(self) -> None:
        await self._apply(self.installation)
        try:
            while not self._is_stopping.is_set():
                self.beats += 1
                await self._beat()
                await asyncio.sleep(self._beat_s)
        finally:
            if self._storing is not None:
                await asyncio.gather(self._storing, return_exceptions=True)
            await asyncio.gather(*(line.stop() for line in self._lines))
            self._publish_snapshot()

    async def _beat(self) -> None:
        change = self._desk.keeper.beat()
        if change is not None and change.has_slept:
            # sockets of before the sleep are dead or soon will be
            for line in self._lines:
                await line.stop()
                line.start()
        await self._obey()
        for line in self._lines:
            await line.check()
        self._publish_snapshot()

    def _publish_snapshot(self) -> None:
        if self._is_given_up:
            return
        desk = self._desk
        notices = dict(desk.notices)
        clock_notice = desk.keeper.notice()
        for notice in (*self._writer.notices(), *((clock_notice,) if clock_notice else ())):
            notices[notice.key] = notice
        snapshot = desk.board.build(
            desk.clock.now_ms(),
            {line.scope.gateway.id: line.poller.snapshot() for line in self._lines if line.poller is not None},
            tuple(notices.values()),
            self._writer.last_saved_minute_ms(),
            self.installation.revision,
        )
        if snapshot is not None:
            self._publish(snapshot)

    # --- commands ----------------------------------------------------------------------------------

    async def _obey(self) -> None:
        if self._storing is not None:
            if not self._storing.done():
                return  # commands keep their order
            task, self._storing = self._storing, None
            task.result()
        while self._storing is None:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            self._obey_one(command)

    def _obey_one(self, command: Command) -> None:
        if isinstance(command, ReadNow):
            for line in self._lines:
                if command.device_id in line.device_ids and line.poller is not None:
                    line.poller.read_now(command.device_id)
        elif isinstance(command, SetRetention):
            self._storing = asyncio.get_running_loop().create_task(self._set_retention(command.policy))
        elif isinstance(command, ReplaceInstallation):
            self._storing = asyncio.get_running_loop().create_task(self._replace(command.installation))

    async def _replace(self, installation: Installation) -> None:
        """Store a new installation, then restart the lines that changed. Storing blocks, so not in this thread."""
        desk, before = self._desk, self.installation
        try:
            stored = await asyncio.get_running_loop().run_in_executor(
                None, self._writer.replace_installation, installation
            )
        except EnvironmentFault as fault:
            self._note_refusal(f"The installation was not changed: {fault}")
            return
        desk.notices.pop(COMMAND_NOTICE_KEY, None)
        sentences = difference(before, stored)
        if sentences:
            shown = sentences[:_MAX_SENTENCES]
            desk.keeper.record(
                Event(
                    desk.clock.now_ms(),
                    EventKind.INSTALLATION_CHANGED,
                    " ".join(shown),
                    data={"changes": len(sentences), "revision": stored.revision},
                )
            )
        known = {device.id: device for device in before.devices}
        await self._apply(
            stored,
            changed={
                device.id
                for device in stored.devices
                if device.id in known and counts_otherwise(known[device.id], device)
            },
        )

    async def _set_retention(self, policy: RetentionPolicy) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._writer.set_retention, policy)
        except EnvironmentFault as fault:
            self._note_refusal(f"How long history is kept was not changed: {fault}")

    def _note_refusal(self, message: str) -> None:
        logger.error("%s", message)
        self._desk.notices[COMMAND_NOTICE_KEY] = Notice(
            COMMAND_NOTICE_KEY, NoticeLevel.ALARM, message, self._desk.clock.now_ms()
        )

    async def _apply(self, installation: Installation, changed: Collection[DeviceId] = ()) -> None:
        """Poll what this installation says; lines that stay the same are not touched.

        Args:
            installation: Stored already.
            changed: Devices whose readings mean something else than before.
        """
        desk = self._desk
        scope = find_polling_scope(
            installation, self._catalogue, polls_simulated_profiles=self._polls_simulated_profiles
        )
        kept = [line for line in self._lines if line.scope in scope.lines]
        gone = [line for line in self._lines if line not in kept]
        await asyncio.gather(*(line.stop() for line in gone))
        wanted: set[DeviceId] = {equipped.device.id for line in scope.lines for equipped in line.devices}
        desk.keeper.forget(({id_ for line in gone for id_ in line.device_ids} - wanted).union(changed))
        for device_id in changed:  # now that nobody reads them by their old meaning any more
            desk.keeper.expect_other_counters(device_id, "installation changed")
        desk.keeper.equip([equipped for line in scope.lines for equipped in line.devices])
        desk.board.keep_only(wanted.union(device_id for device_id, _, _ in scope.idle).difference(changed))
        for device_id, state, detail in scope.idle:
            desk.board.place(device_id, state, detail, None)
        kept_scopes = [line.scope for line in kept]
        started = [PolledLine(line, desk) for line in scope.lines if line not in kept_scopes]
        self._lines = kept + started
        self.installation = installation
        for line in started:
            line.start()
