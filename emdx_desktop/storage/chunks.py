"""One UTC day of one series, packed: the bytes of a chunk.

Layout (little endian): codec id u8, version u8, number of good values u16, flags u8, length of the
quality section u16, CRC-32 u32; quality section; packed values. The CRC covers the chunk's rowid, the
header without the CRC, and all that follows, so a chunk in the wrong place is found as well.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.readings import Quality
from emdx_desktop.storage.packing import Codec, pack_integers, unpack_integers

MINUTES_PER_DAY = 1440
SERIES_BITS = 24
SERIES_MASK = (1 << SERIES_BITS) - 1
FORMAT_VERSION = 1

_HEAD = struct.Struct("<BBHBH")
_CRC = struct.Struct("<I")
_ALL = struct.Struct("<BBHBHI")
_PREFIX = _HEAD.size + _CRC.size
_RUN = np.dtype([("start", "<u2"), ("length", "<u2"), ("quality", "u1")])
_WIDE = 1  # Flag.WIDE as a plain number: this is the hot path
_NOT_RECORDED = int(Quality.NOT_RECORDED)


class Flag(IntEnum):
    """Bits of the flags byte."""

    WIDE = 1  # packed as 64-bit integers instead of 32-bit
    DEFLATED_QUALITY = 2  # qualities as deflated bytes, one a minute, instead of runs


class ChunkDamaged(StorageFault):
    """A chunk that is not what was written. Nothing of it may be shown."""


class Day(NamedTuple):
    """One UTC day of one series.

    Attributes:
        values: Integers, shape (1440,); meaningless where the quality is not GOOD.
        qualities: `Quality` of each minute, shape (1440,); None when all are GOOD.
    """

    values: NDArray[np.int64] | NDArray[np.int32]
    qualities: NDArray[np.uint8] | None


def chunk_id(utc_day: int, series: int) -> int:
    """Rowid of a chunk."""
    return utc_day << SERIES_BITS | series


def encode_day(
    rowid: int, values: NDArray[np.int64], qualities: NDArray[np.uint8] | None, codec: Codec | None = None
) -> bytes:
    """Pack a day.

    Args:
        rowid: Where it will be stored.
        values: Shape (1440,).
        qualities: Shape (1440,), None when all are GOOD.
        codec: None for the best one at hand.
    """
    flags = 0
    section = b""
    good = values
    if qualities is not None and qualities.any():
        good = values[qualities == 0]
        section, deflated = _encode_qualities(qualities)
        if deflated:
            flags |= Flag.DEFLATED_QUALITY
    used, is_wide, payload = pack_integers(good, codec)
    if is_wide:
        flags |= Flag.WIDE
    head = _HEAD.pack(used, FORMAT_VERSION, good.size, flags, len(section))
    return head + _CRC.pack(_checksum(rowid, head, section, payload)) + section + payload


def decode_day(rowid: int, body: bytes, into: NDArray[np.int32] | None = None) -> Day:
    """Unpack a day and check it.

    Args:
        rowid: Where it was stored.
        body: Its bytes.
        into: Shape (1440,); a day without gaps and wide numbers is unpacked there and spares a copy.

    Raises:
        ChunkDamaged: A bit is not as it was written.
    """
    if len(body) < _PREFIX:
        raise ChunkDamaged(f"Chunk {rowid} is cut short.")
    codec, version, count, flags, section_bytes, crc = _ALL.unpack_from(body)
    if zlib.crc32(body[_PREFIX:], zlib.crc32(rowid.to_bytes(8, "little") + body[: _HEAD.size])) != crc:
        raise ChunkDamaged(f"Chunk {rowid} does not match its checksum.")
    if version != FORMAT_VERSION:
        raise ChunkDamaged(f"Chunk {rowid} has the unknown format {version}.")
    payload = body[_PREFIX + section_bytes :]
    if count == MINUTES_PER_DAY:
        return Day(unpack_integers(codec, flags & _WIDE != 0, count, payload, into), None)
    packed = unpack_integers(codec, bool(flags & Flag.WIDE), count, payload)
    section = body[_PREFIX : _PREFIX + section_bytes]
    qualities = _decode_qualities(section, bool(flags & Flag.DEFLATED_QUALITY))
    values = np.zeros(MINUTES_PER_DAY, packed.dtype)
    values[qualities == 0] = packed
    return Day(values, qualities)


def decode_complete_days(rows: Iterable[tuple[int, bytes]], into: NDArray[np.int32]) -> bool:
    """Unpack days of which all minutes are good and narrow: the common case of charts, in one loop.

    Args:
        rows: Rowids and bodies.
        into: Shape (number of rows, 1440); filled row by row.
    Returns:
        False when any of them is another kind of day, or damaged: then `decode_day` tells.
    """
    for target, (rowid, body) in zip(into, rows, strict=True):
        if len(body) < _PREFIX:
            return False
        codec, version, count, flags, section_bytes, crc = _ALL.unpack_from(body)
        if count != MINUTES_PER_DAY or flags or section_bytes or version != FORMAT_VERSION:
            return False
        payload = body[_PREFIX:]
        if zlib.crc32(payload, zlib.crc32(rowid.to_bytes(8, "little") + body[: _HEAD.size])) != crc:
            return False
        try:
            if unpack_integers(codec, False, count, payload, target) is not target:
                return False
        except StorageFault:
            return False
    return True


def _checksum(rowid: int, head: bytes, section: bytes, payload: bytes) -> int:
    crc = zlib.crc32(head, zlib.crc32(rowid.to_bytes(8, "little")))
    return zlib.crc32(payload, zlib.crc32(section, crc))


def quality_runs(qualities: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Runs of equal quality: starts, ends (exclusive) and the quality, good runs included."""
    if qualities.size == 0:
        empty = np.empty(0, np.int64)
        return empty, empty, np.empty(0, np.uint8)
    edges = np.flatnonzero(qualities[1:] != qualities[:-1]) + 1
    starts = np.concatenate(([0], edges)).astype(np.int64)
    ends = np.concatenate((edges, [qualities.size])).astype(np.int64)
    return starts, ends, qualities[starts]


def _encode_qualities(qualities: NDArray[np.uint8]) -> tuple[bytes, bool]:
    starts, ends, codes = quality_runs(qualities)
    bad = codes != 0
    runs = np.empty(int(bad.sum()), _RUN)
    runs["start"], runs["length"], runs["quality"] = starts[bad], (ends - starts)[bad], codes[bad]
    as_runs = runs.tobytes()
    if len(as_runs) <= 32:
        return as_runs, False
    # a quantity that is due every ten minutes has 288 runs a day; deflate sees the pattern
    deflated = zlib.compress(qualities.tobytes(), 9)
    return (deflated, True) if len(deflated) < len(as_runs) else (as_runs, False)


def _decode_qualities(section: bytes, is_deflated: bool) -> NDArray[np.uint8]:
    if is_deflated:
        return np.frombuffer(zlib.decompress(section), np.uint8)
    qualities = np.zeros(MINUTES_PER_DAY, np.uint8)
    for start, length, quality in np.frombuffer(section, _RUN).tolist():
        qualities[start : start + length] = quality
    return qualities


def empty_day() -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """A day in which nothing was recorded."""
    return np.zeros(MINUTES_PER_DAY, np.int64), np.full(MINUTES_PER_DAY, _NOT_RECORDED, np.uint8)
