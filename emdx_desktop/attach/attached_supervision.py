"""The looking side: a window, or a command, attached to the acquisition of another program."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from emdx_desktop.attach.door import knock
from emdx_desktop.attach.wire import MAX_MESSAGE_BYTES, pack_command, unpack_snapshot
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.listeners import SnapshotListeners
from emdx_desktop.domain.ports import Command
from emdx_desktop.domain.readings import DeviceState, Notice, NoticeLevel, SiteSnapshot

logger = logging.getLogger(__name__)

LOOK_S = 0.25
RETRY_S = 2.0
END_S = 5.0
LOST_NOTICE_KEY = "attach"


class AttachedSupervision:
    """Implements SupervisionPort over the local socket of a data folder. Connects again by itself."""

    def __init__(self, folder: Path, retry_s: float = RETRY_S) -> None:
        """Connect.

        Args:
            folder: Data folder that another program acquires into.
            retry_s: Wait between two attempts to connect again.
        Raises:
            EnvironmentFault: Nobody acquires into it, or does not answer.
        """
        self._folder = folder
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._listeners = SnapshotListeners()
        self._latest: SiteSnapshot | None = None
        self._is_closing = threading.Event()
        self._connection: Connection | None
        door, self._connection = knock(folder)
        self.owner = f"{door.purpose}, process {door.process}"
        self._thread = threading.Thread(target=self._receive_all, name="attached", daemon=True)
        self._thread.start()

    def subscribe(self, listener: Callable[[SiteSnapshot], None]) -> Callable[[], None]:
        """Call `listener` with each snapshot, in a thread of this object; returns the way out."""
        return self._listeners.add(listener)

    def latest(self) -> SiteSnapshot | None:
        """The newest snapshot, None before the first."""
        return self._latest

    def send(self, command: Command) -> None:
        """Hand a command over.

        Raises:
            EnvironmentFault: The other side is gone.
        """
        message = pack_command(command)
        with self._lock:
            try:
                if self._connection is None:
                    raise OSError("no connection")
                self._connection.send_bytes(message)
            except (OSError, ValueError) as error:
                raise EnvironmentFault(
                    f"The acquisition of {self._folder} is gone ({error}) - the command was not carried out - "
                    "start collect again."
                ) from error

    def close(self) -> None:
        """Leave."""
        self._is_closing.set()
        self._thread.join(END_S)

    def _receive_all(self) -> None:
        while not self._is_closing.is_set():
            connection = self._connection
            if connection is None:
                self._connect_again()
                continue
            try:
                # what the other side sends first is whole; what was known stays until then
                before: SiteSnapshot | None = None
                while not self._is_closing.is_set():
                    if connection.poll(LOOK_S):
                        before = unpack_snapshot(connection.recv_bytes(MAX_MESSAGE_BYTES), before)
                        self._publish(before)
            except (OSError, EOFError, EnvironmentFault) as error:
                logger.warning("the connection to acquisition was lost: %s", error)
                self._publish_loss()
            with self._lock:
                connection.close()
                self._connection = None

    def _connect_again(self) -> None:
        if self._is_closing.wait(self._retry_s):
            return
        try:
            door, connection = knock(self._folder)
        except EnvironmentFault as fault:
            logger.debug("%s", fault)
            return
        self.owner = f"{door.purpose}, process {door.process}"
        with self._lock:
            self._connection = connection

    def _publish(self, snapshot: SiteSnapshot) -> None:
        self._latest = snapshot
        self._listeners.tell(snapshot)

    def _publish_loss(self) -> None:
        latest = self._latest
        if latest is None:
            return
        notice = Notice(
            LOST_NOTICE_KEY,
            NoticeLevel.ALARM,
            "The program that reads the meters has ended or does not answer - what is shown is old - "
            "start collect again; this window finds it by itself.",
            time.time_ns() // 1_000_000,
        )
        # nobody asks the devices now: their last values stay, with their age, but none counts as answering
        devices = {id_: replace(device, state=DeviceState.WAITING) for id_, device in latest.devices.items()}
        buses = {id_: replace(bus, is_connected=False) for id_, bus in latest.buses.items()}
        notices = (*latest.notices, notice)
        sequence = latest.sequence + 1
        self._publish(replace(latest, sequence=sequence, devices=devices, buses=buses, notices=notices))
