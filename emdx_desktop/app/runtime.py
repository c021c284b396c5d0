"""Acquisition behind the supervision port: snapshots out, commands in, and a watchdog over the worker."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping

from emdx_desktop.app.clock_watch import ClockWatch
from emdx_desktop.app.counter_book import CounterBook, SeriesKey
from emdx_desktop.app.keep_awake import kept_awake
from emdx_desktop.app.live_board import LiveBoard
from emdx_desktop.app.minute_keeper import MinuteKeeper
from emdx_desktop.app.polled_line import AcquisitionDesk, RestartBrake
from emdx_desktop.app.worker import BEAT_S, AcquisitionWorker
from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.counters import CounterSeed
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.history import Event, EventKind
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.listeners import SnapshotListeners
from emdx_desktop.domain.ports import BusPollerFactory, Clock, Command, HistoryWriter
from emdx_desktop.domain.readings import Notice, NoticeLevel, SiteSnapshot

logger = logging.getLogger(__name__)

LOOK_S = 1.0
HANG_LOOKS = 20
"""S12: the worker is taken for hung when its loop did not turn over so many looks, a second apart. Looks are
counted, not seconds: a PC that slept in between does not look hung."""

SAFE_MODE_LOOKS = 600
WORKER_END_S = 10.0
_WATCHDOG_KEY = "watchdog"


class AcquisitionRuntime:
    """Implements SupervisionPort. `run` blocks; everything else may be called from any thread.

    `run` itself is the watchdog. The loop turns in a worker thread of its own, because a thread that hangs cannot
    be ended in Python: it is given up, and another one takes its place.
    """

    def __init__(
        self,
        installation: Installation,
        catalogue: ProfileCatalogue,
        make_poller: BusPollerFactory,
        writer: HistoryWriter,
        clock: Clock,
        *,
        seeds: Mapping[SeriesKey, CounterSeed] | None = None,
        boot_s: Callable[[], float | None] = lambda: None,
        polls_simulated_profiles: bool = False,
        beat_s: float = BEAT_S,
        look_s: float = LOOK_S,
        hang_looks: int = HANG_LOOKS,
    ) -> None:
        """Make a runtime; nothing is polled before `run`.

        Args:
            installation: What is stored in the data folder.
            catalogue: Profiles.
            make_poller: Makes the poller of a line.
            writer: History; stays open when the runtime stops.
            clock: Wall and monotonic time.
            seeds: Last reading of each counter in history.
            boot_s: Clock that goes on while the PC sleeps.
            polls_simulated_profiles: Also read models whose table is made up (simulated building only).
            beat_s: How often the loop looks at clocks, commands and snapshots.
            look_s: How often the watchdog looks.
            hang_looks: Looks without a beat that mean the worker hangs.
        """
        self._writer = writer
        self._clock = clock
        self._catalogue = catalogue
        self._installation = installation
        self._polls_simulated_profiles = polls_simulated_profiles
        self._beat_s = beat_s
        self._look_s = look_s
        self._hang_looks = hang_looks
        keeper = MinuteKeeper(writer, clock, ClockWatch(clock, boot_s), CounterBook(seeds))
        self._desk = AcquisitionDesk(clock, make_poller, LiveBoard(), keeper)
        for number, problem in enumerate(catalogue.problems):
            message = f"A device profile is broken - its models cannot be read - repair the file: {problem}"
            notice = Notice(f"profile-{number}", NoticeLevel.WARNING, message, clock.now_ms())
            self._desk.notices[notice.key] = notice
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._is_stopping = threading.Event()
        self._has_ended = False
        self._lock = threading.Lock()
        self._listeners = SnapshotListeners()
        self._latest: SiteSnapshot | None = None

    # --- the port ----------------------------------------------------------------------------------

    def subscribe(self, listener: Callable[[SiteSnapshot], None]) -> Callable[[], None]:
        """Call `listener` with each merged snapshot, in the acquisition thread; returns the way out."""
        return self._listeners.add(listener)

    def latest(self) -> SiteSnapshot | None:
        """The newest snapshot, None before the first."""
        return self._latest

    def send(self, command: Command) -> None:
        """Hand a command over; returns at once.

        Raises:
            EnvironmentFault: Acquisition has ended.
        """
        if self._has_ended:
            raise EnvironmentFault("Acquisition has ended - the command was not carried out - start the program again.")
        self._commands.put(command)

    def _publish(self, snapshot: SiteSnapshot) -> None:
        self._latest = snapshot
        self._listeners.tell(snapshot)

    # --- running -----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask `run` to return; the unfinished minute is handed to the writer. Any thread, also twice."""
        self._is_stopping.set()

    def run(self) -> None:
        """Acquire until `stop`."""
        keeper = self._desk.keeper
        keeper.record(Event(self._clock.now_ms(), EventKind.STARTED, "Acquisition started."))
        brake = RestartBrake()
        try:
            with kept_awake():
                while not self._is_stopping.is_set():
                    why = self._run_worker()
                    if not why:
                        break
                    self._note_restart(why, brake.note(self._clock.monotonic_s()))
        finally:
            self._has_ended = True
            keeper.record(Event(self._clock.now_ms(), EventKind.STOPPED, "Acquisition stopped."))
            keeper.stop()

    def _run_worker(self) -> str:
        """Run one worker to its end; returns why it must be replaced, empty when it was stopped."""
        worker = AcquisitionWorker(
            self._desk,
            self._writer,
            self._catalogue,
            self._installation,
            self._commands,
            self._publish,
            beat_s=self._beat_s,
            polls_simulated_profiles=self._polls_simulated_profiles,
        )
        failures: list[BaseException] = []

        def body() -> None:
            try:
                worker.run()
            except Exception as error:
                failures.append(error)
                logger.exception("the acquisition worker ended by a mistake")

        thread = threading.Thread(target=body, name="acquisition worker", daemon=True)
        thread.start()
        beats, idle_looks = -1, 0
        while thread.is_alive() and not self._is_stopping.wait(self._look_s):
            idle_looks = idle_looks + 1 if worker.beats == beats else 0
            beats = worker.beats
            if idle_looks >= self._hang_looks:
                self._log_stacks()
                worker.give_up()
                self._installation = worker.installation
                return "hung"
        worker.stop()
        thread.join(WORKER_END_S)
        self._installation = worker.installation
        if thread.is_alive():
            self._log_stacks()
            worker.give_up()
        return "ended by a mistake of the program" if failures else ""

    def _note_restart(self, why: str, is_crash_loop: bool) -> None:
        now_ms = self._clock.now_ms()
        message = f"Acquisition {why} and was started again; the log says where."
        if is_crash_loop:
            message = (
                f"Acquisition {why}, three times in ten minutes - it pauses for ten minutes - "
                "see the log, and restart the program."
            )
        notice = Notice(_WATCHDOG_KEY, NoticeLevel.ALARM, message, now_ms)
        self._desk.notices[_WATCHDOG_KEY] = notice
        self._desk.keeper.record(Event(now_ms, EventKind.WATCHDOG, message))
        logger.error("%s", message)
        if is_crash_loop:
            self._is_stopping.wait(self._look_s * SAFE_MODE_LOOKS)

    @staticmethod
    def _log_stacks() -> None:
        """What every thread is doing, for the log."""
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            logger.error("thread %s:\n%s", names.get(ident, ident), "".join(traceback.format_stack(frame)))
