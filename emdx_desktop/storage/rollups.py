"""Local hours of an instant: lowest, highest and sum over every poll, and how many there were."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage.packing import Codec, pack_integers, unpack_integers

FORMAT_VERSION = 1
_HEAD = struct.Struct("<BBHI")
_PART = struct.Struct("<BBI")
_PROGRESSION = 0  # part codec: first value and step, for equal or evenly spaced numbers
_LARGEST = 2**50  # beyond it an hour's sum may not fit in 64 bits; no meter measures such a thing

Ints = NDArray[np.int64]


class RollupDamaged(StorageFault):
    """Roll-ups that are not what was written."""


class HourRollups(NamedTuple):
    """Hours of one series, ascending, all shape (n,), scaled integers.

    Attributes:
        starts: UTC minute at which the local hour starts.
        lows, highs: Lowest and highest poll.
        sums: Sum of all polls.
        polls: Good polls.
        minutes: Minutes with at least one.
    """

    starts: Ints
    lows: Ints
    highs: Ints
    sums: Ints
    polls: Ints
    minutes: Ints

    @classmethod
    def empty(cls) -> HourRollups:
        """No hours."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, none, none, none)

    def between(self, first_minute: int, end_minute: int) -> HourRollups:
        """Hours that start in [first_minute, end_minute)."""
        low, high = np.searchsorted(self.starts, (first_minute, end_minute))
        return HourRollups(*(part[low:high] for part in self))


def condense(hour_starts: Ints, lows: Ints, highs: Ints, sums: Ints, polls: Ints, minutes: Ints) -> HourRollups:
    """Put entries with the same start together.

    Args:
        hour_starts: Ascending, shape (n,); the others are aligned with it.
    """
    if hour_starts.size == 0:
        return HourRollups.empty()
    firsts = np.flatnonzero(np.concatenate(([True], hour_starts[1:] != hour_starts[:-1])))
    return HourRollups(
        hour_starts[firsts],
        np.minimum.reduceat(lows, firsts),
        np.maximum.reduceat(highs, firsts),
        np.add.reduceat(sums, firsts),
        np.add.reduceat(polls, firsts),
        np.add.reduceat(minutes, firsts),
    )


def from_minutes(hour_starts: Ints, lows: Ints, highs: Ints, sums: Ints, polls: Ints) -> HourRollups:
    """Hours from minutes; those without a poll or beyond any meter are left out."""
    usable = (polls > 0) & (lows > -_LARGEST) & (highs < _LARGEST)
    if not usable.all():
        hour_starts, lows, highs, sums, polls = (part[usable] for part in (hour_starts, lows, highs, sums, polls))
    return condense(hour_starts, lows, highs, sums, polls, np.ones(polls.size, np.int64))


def merge(parts: Sequence[HourRollups]) -> HourRollups:
    """Hours of several sources that never saw the same minute."""
    filled = [part for part in parts if part.starts.size]
    if not filled:
        return HourRollups.empty()
    if len(filled) == 1:
        return filled[0]
    joined = [np.concatenate(columns) for columns in zip(*filled, strict=True)]
    if (joined[0][1:] <= joined[0][:-1]).any():
        order = np.argsort(joined[0], kind="stable")
        joined = [column[order] for column in joined]
        return condense(*joined)
    return HourRollups(*joined)


def encode_rollups(rowid: int, hours: HourRollups, codec: Codec | None = None) -> bytes:
    """Pack hours; the CRC-32 covers the rowid too."""
    means = hours.sums // np.maximum(hours.polls, 1)
    columns = (
        hours.starts,
        means,
        means - hours.lows,
        hours.highs - means,
        hours.sums - means * hours.polls,  # keeps the sum exact
        hours.polls,
        hours.minutes,
    )
    payload = b"".join(_encode_column(column, codec) for column in columns)
    head = _HEAD.pack(FORMAT_VERSION, 0, hours.starts.size, 0)[:4]
    crc = zlib.crc32(payload, zlib.crc32(head, zlib.crc32(rowid.to_bytes(8, "little"))))
    return head + crc.to_bytes(4, "little") + payload


def _encode_column(column: Ints, codec: Codec | None) -> bytes:
    first = int(column[0]) if column.size else 0
    step = int(column[1] - column[0]) if column.size > 1 else 0
    if column.size <= 1 or bool((column[1:] - column[:-1] == step).all()):
        return _PART.pack(_PROGRESSION, 0, 16) + struct.pack("<qq", first, step)
    used, is_wide, payload = pack_integers(column, codec)
    return _PART.pack(used, is_wide, len(payload)) + payload


def decode_rollups(rowid: int, body: bytes) -> HourRollups:
    """Inverse of `encode_rollups`.

    Raises:
        RollupDamaged: A bit is not as it was written.
    """
    if len(body) < _HEAD.size:
        raise RollupDamaged(f"Roll-ups {rowid} are cut short.")
    version, _spare, count, crc = _HEAD.unpack_from(body)
    actual = zlib.crc32(memoryview(body)[_HEAD.size :], zlib.crc32(body[:4], zlib.crc32(rowid.to_bytes(8, "little"))))
    if actual != crc or version != FORMAT_VERSION:
        raise RollupDamaged(f"Roll-ups {rowid} do not match their checksum.")
    columns: list[Ints] = []
    position = _HEAD.size
    for _column in range(7):
        codec, is_wide, size = _PART.unpack_from(body, position)
        position += _PART.size
        payload = body[position : position + size]
        position += size
        if codec == _PROGRESSION:
            first, step = struct.unpack("<qq", payload)
            columns.append(first + step * np.arange(count, dtype=np.int64))
        else:
            columns.append(unpack_integers(codec, bool(is_wide), count, payload).astype(np.int64, copy=False))
    starts, means, below, above, residual, polls, minutes = columns
    return HourRollups(starts, means - below, means + above, means * polls + residual, polls, minutes)
