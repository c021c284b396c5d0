"""The acquiring side: gives snapshots to other programs of the same user and takes their commands.

Threads: one that accepts, and two for each attached program, blocked in the socket nearly all the time. They are
beside the acquisition loop on purpose: a slow reader must never hold up a line.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge
from pathlib import Path

from emdx_desktop.attach.door import close_door, open_door
from emdx_desktop.attach.wire import MAX_MESSAGE_BYTES, pack_snapshot, unpack_command
from emdx_desktop.domain.errors import EnvironmentFault
from emdx_desktop.domain.ports import SupervisionPort
from emdx_desktop.domain.readings import SiteSnapshot

logger = logging.getLogger(__name__)

MAX_GUESTS = 16
END_S = 5.0
LOOK_S = 0.25
"""A thread that waits for a message looks this often whether it is over: closing a socket wakes nobody."""


class AttachServer:
    """Serves a port to attached programs."""

    def __init__(self, port: SupervisionPort, folder: Path, purpose: str) -> None:
        """Begin to listen.

        Args:
            port: The acquisition.
            folder: Its data folder, whose lock the caller holds.
            purpose: What it is called, e.g. `collect`.
        Raises:
            EnvironmentFault: The socket cannot be made.
        """
        self._port = port
        self._folder = folder
        try:
            self._door, self._listener = open_door(folder, purpose)
        except OSError as error:
            raise EnvironmentFault(f"Other programs cannot attach: {error}.") from error
        self._lock = threading.Lock()
        self._guests: set[_Guest] = set()
        self._is_closing = threading.Event()
        self._leave = port.subscribe(self._on_snapshot)
        self._thread = threading.Thread(target=self._accept, name="attach", daemon=True)
        self._thread.start()

    def _on_snapshot(self, snapshot: SiteSnapshot) -> None:
        with self._lock:
            guests = list(self._guests)
        for guest in guests:
            guest.offer(snapshot)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError) as error:
                logger.warning("a program could not attach: %s", error)
                if self._is_closing.wait(LOOK_S):  # what fails now may fail for long, such as no free handle
                    return
                continue
            with self._lock:
                if self._is_closing.is_set():
                    connection.close()
                    return
                if len(self._guests) >= MAX_GUESTS:
                    connection.close()
                    continue
                guest = _Guest(connection, self._door.key, self._port, self._dismiss)
                self._guests.add(guest)
            guest.start()

    def _dismiss(self, guest: _Guest) -> None:
        with self._lock:
            self._guests.discard(guest)

    def close(self) -> None:
        """Send everybody away and stop listening."""
        self._leave()
        with self._lock:
            self._is_closing.set()
            guests = list(self._guests)
        for guest in guests:
            guest.close()
        try:
            Client(self._door.address).close()  # closing a listener does not wake who accepts
        except OSError:
            logger.debug("nobody accepts any more")
        self._thread.join(END_S)
        self._listener.close()
        close_door(self._folder, self._door)
        end_s = time.monotonic() + END_S  # for all together: one that reads nothing more is left behind
        for guest in guests:
            guest.join(end_s)


class _Guest:
    """One attached program. Only the newest snapshot waits for it: a slow one skips what came between."""

    def __init__(
        self, connection: Connection, key: bytes, port: SupervisionPort, on_gone: Callable[[_Guest], None]
    ) -> None:
        self._connection = connection
        self._key = key
        self._port = port
        self._on_gone = on_gone
        self._condition = threading.Condition()
        self._newest: SiteSnapshot | None = port.latest()
        self._is_closed = False
        self._is_welcome = False
        self._sender = threading.Thread(target=self._send_all, name="attach send", daemon=True)
        self._receiver = threading.Thread(target=self._receive_all, name="attach receive", daemon=True)

    def start(self) -> None:
        """Authenticate, then serve."""
        self._receiver.start()

    def offer(self, snapshot: SiteSnapshot) -> None:
        """A newer snapshot is there."""
        with self._condition:
            self._newest = snapshot
            self._condition.notify()

    def close(self) -> None:
        """Let the threads end."""
        with self._condition:
            self._is_closed = True
            self._condition.notify()

    def join(self, end_s: float) -> None:
        """Wait for the threads until a monotonic moment; one that never finished its greeting is left behind."""
        if self._is_welcome:
            self._sender.join(max(0.0, end_s - time.monotonic()))
            self._receiver.join(max(0.0, end_s - time.monotonic()))

    def _receive_all(self) -> None:
        try:
            deliver_challenge(self._connection, self._key)
            answer_challenge(self._connection, self._key)
            self._sender.start()
            self._is_welcome = True
            while not self._is_closed:
                if self._connection.poll(LOOK_S):
                    self._port.send(unpack_command(self._connection.recv_bytes(MAX_MESSAGE_BYTES)))
        except EOFError:
            logger.debug("an attached program left")
        except (OSError, AuthenticationError, EnvironmentFault) as error:
            logger.warning("an attached program was sent away: %s", error)
        finally:
            self.close()
            if self._is_welcome:
                self._sender.join(END_S)
            self._connection.close()
            self._on_gone(self)

    def _send_all(self) -> None:
        sent: SiteSnapshot | None = None
        try:
            while True:
                with self._condition:
                    while not self._is_closed and self._newest is sent:
                        self._condition.wait()
                    if self._is_closed:
                        break
                    newest = self._newest
                assert newest is not None
                self._connection.send_bytes(pack_snapshot(newest, sent))
                sent = newest
        except (OSError, ValueError) as error:
            logger.info("an attached program left: %s", error)
            self.close()
