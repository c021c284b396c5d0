"""An append-only file that keeps minutes while the database refuses them.

Record: magic, length u32, CRC-32 u32, bytes. A record cut short at the end is what a crash leaves; a
damaged one in the middle is set aside, and reading goes on at the next magic.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from emdx_desktop.domain.errors import StorageFault

SPOOL_FILE_NAME = "spool.bin"
_MAGIC = b"EMDXSPL1"
_HEAD = struct.Struct("<8sII")


class SpoolRecord(NamedTuple):
    """One record: `payload` None when it is damaged (then `raw` holds the bytes)."""

    payload: bytes | None
    raw: bytes


class Spool:
    """The spool file of a data folder. Appending is safe from any thread."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / SPOOL_FILE_NAME
        self._lock = threading.Lock()
        self._count = sum(1 for _record in self._records(self._read()))

    def __len__(self) -> int:
        return self._count

    def append(self, payload: bytes) -> None:
        """Keep a record, durable when this returns.

        Raises:
            StorageFault: The file cannot be written either.
        """
        record = _HEAD.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload
        with self._lock:
            try:
                with self.path.open("ab") as file:
                    start = file.tell()
                    try:
                        file.write(record)
                        file.flush()
                        os.fsync(file.fileno())
                    except OSError:
                        # half a record must not stand in front of the next one
                        with contextlib.suppress(OSError):
                            file.truncate(start)
                        raise
            except OSError as error:
                raise StorageFault(f"The spool file {self.path} cannot be written ({error.strerror}).") from error
            self._count += 1

    def records(self) -> Iterator[SpoolRecord]:
        """All records, oldest first; those appended meanwhile are not among them."""
        with self._lock:
            content = self._read()
        yield from self._records(content)

    def drop_first(self, count: int) -> None:
        """Forget records that are safe in the database."""
        with self._lock:
            content = self._read()
            end = 0
            for position, record in enumerate(self._records(content)):
                if position == count:
                    break
                end += len(record.raw)
            rest = content[end:]
            if rest:
                beside = self.path.with_suffix(".part")
                with beside.open("wb") as file:
                    file.write(rest)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self.path)
            else:
                self.path.unlink(missing_ok=True)
            self._count = sum(1 for _record in self._records(rest))

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StorageFault(f"The spool file {self.path} cannot be read ({error.strerror}).") from error

    @staticmethod
    def _records(content: bytes) -> Iterator[SpoolRecord]:
        position = 0
        while position < len(content):
            payload = None
            end = position
            if len(content) - position >= _HEAD.size:
                magic, length, crc = _HEAD.unpack_from(content, position)
                end = position + _HEAD.size + length
                candidate = content[position + _HEAD.size : end]
                if magic == _MAGIC and len(candidate) == length and zlib.crc32(candidate) == crc:
                    payload = candidate
            if payload is None:
                following = content.find(_MAGIC, position + 1)
                end = len(content) if following < 0 else following
            yield SpoolRecord(payload, content[position:end])
            position = end
