"""Where the local socket of a data folder is and what opens it: address and key in a file only its owner can read."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path

from emdx_desktop.domain.errors import EnvironmentFault

DOOR_FILE_NAME = "attach.json"
SOCKET_NAME = "attach.sock"
MAX_UNIX_PATH = 100
"""A path of a Unix socket holds 107 bytes."""
GREETING_S = 5.0


@dataclass(frozen=True, slots=True)
class Door:
    """Address and key of a running acquisition.

    Attributes:
        address: Path of a Unix socket, or name of a Windows pipe; never a network port.
        key: Shared secret, made anew at each start.
        process: Process id of the owner.
        purpose: Which command it runs, e.g. `collect`.
    """

    address: str
    key: bytes
    process: int
    purpose: str


def open_door(folder: Path, purpose: str) -> tuple[Door, Listener]:
    """Listen, and write down how to reach it. The caller holds the folder's lock, so what is there is stale."""
    if sys.platform == "win32":
        address = rf"\\.\pipe\emdx-desktop-{secrets.token_hex(16)}"
        listener = Listener(address, "AF_PIPE")
    else:
        address = str(folder / SOCKET_NAME)
        if len(os.fsencode(address)) > MAX_UNIX_PATH:
            # mkdtemp makes it for this user only
            address = str(Path(tempfile.mkdtemp(prefix="emdx-")) / SOCKET_NAME)
        Path(address).unlink(missing_ok=True)
        listener = Listener(address, "AF_UNIX", backlog=16)
        os.chmod(address, 0o600)
    door = Door(address, secrets.token_bytes(32), os.getpid(), purpose)
    _write_door(folder, door)
    return door, listener


def _write_door(folder: Path, door: Door) -> None:
    content = {"address": door.address, "key": door.key.hex(), "process": door.process, "purpose": door.purpose}
    part = folder / f"{DOOR_FILE_NAME}.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)
    part.replace(folder / DOOR_FILE_NAME)


def close_door(folder: Path, door: Door) -> None:
    """Take away what `open_door` made."""
    (folder / DOOR_FILE_NAME).unlink(missing_ok=True)
    socket = Path(door.address)
    if sys.platform != "win32":
        socket.unlink(missing_ok=True)
        if socket.parent != folder:
            socket.parent.rmdir()


def find_door(folder: Path) -> Door | None:
    """The door that is written down; None for none. It may be stale."""
    try:
        content = json.loads((folder / DOOR_FILE_NAME).read_text(encoding="utf-8"))
        return Door(content["address"], bytes.fromhex(content["key"]), content["process"], content["purpose"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def knock(folder: Path) -> tuple[Door, Connection]:
    """Connect to the acquisition that owns a data folder.

    Raises:
        EnvironmentFault: There is none, or it does not answer.
    """
    door = find_door(folder)
    if door is None:
        raise EnvironmentFault(f"Nobody acquires into {folder} just now.")
    try:
        connection = Client(door.address)
    except OSError as error:
        raise EnvironmentFault(f"The program that acquired into {folder} does not answer ({error}).") from error
    try:
        if not connection.poll(GREETING_S):
            raise EOFError("it keeps silent")
        answer_challenge(connection, door.key)
        deliver_challenge(connection, door.key)
    except (OSError, EOFError, AuthenticationError) as error:
        connection.close()
        raise EnvironmentFault(f"The program that acquires into {folder} refused the connection ({error}).") from error
    except BaseException:
        connection.close()
        raise
    return door, connection
