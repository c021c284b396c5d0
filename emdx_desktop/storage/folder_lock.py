"""One owner per data folder, by a lock of the operating system that a crash releases."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import BinaryIO

from emdx_desktop.domain.errors import StorageFault

LOCK_FILE_NAME = "owner.lock"
OWNER_FILE_NAME = "owner.json"

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class DataFolderLock:
    """Held while a process acquires into a folder. The file may lie about after a crash; the lock does not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None

    def acquire(self, purpose: str = "acquisition") -> None:
        """Take the lock.

        Args:
            purpose: What a second one is told, e.g. `collect`.

        Raises:
            StorageFault: Somebody else holds it; says who.
        """
        try:
            file = (self._folder / LOCK_FILE_NAME).open("a+b")
        except OSError as error:
            raise StorageFault(
                f"The data folder {self._folder} cannot be written ({error.strerror}), so nothing can be saved there: "
                "check its permissions or choose another folder."
            ) from error
        if not _try_lock(file):
            file.close()
            raise StorageFault(
                f"The data folder {self._folder} is in use by {self.owner() or 'another program'}; "
                "two owners would poll the meters twice: close that one first, or open the folder to look only."
            )
        self._file = file
        note = {"process": os.getpid(), "host": socket.gethostname(), "purpose": purpose}
        # beside the lock file: Windows lets nobody read a locked byte range
        (self._folder / OWNER_FILE_NAME).write_text(json.dumps(note), encoding="utf-8")

    def owner(self) -> str:
        """Who wrote the owner note, in words; empty when there is none."""
        try:
            note = json.loads((self._folder / OWNER_FILE_NAME).read_text(encoding="utf-8"))
            return f"{note['purpose']} (process {note['process']} on {note['host']})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def release(self) -> None:
        """Give it back; does nothing when it is not held."""
        if self._file is not None:
            (self._folder / OWNER_FILE_NAME).unlink(missing_ok=True)
            self._file.close()  # closing drops the lock
            self._file = None
