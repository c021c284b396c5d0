"""The newest minutes: one row per device and minute, packed so that a minute of 255 devices costs milliseconds.

A body holds: version u8, flags u8, byte widths of values, low and high distances, sum residuals and polls
(u8 each), one spare byte; values of instants; value − low; high − value; sum − value × polls; polls of all
columns; counts of plain columns (counters, read offsets) as 64 bits; qualities if any is not GOOD; CRC-32
over rowid and all before it. Columns stand instants first. Differences wrap at 64 bits and wrap back.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import DeviceMinute, MinuteLayout, SeriesColumn
from emdx_desktop.domain.quantities import READ_OFFSET_PREFIX, QuantityKind
from emdx_desktop.domain.readings import DeviceId

MINUTE_BITS = 24
DEVICE_MASK = (1 << MINUTE_BITS) - 1
FORMAT_VERSION = 1

_HEADER_BYTES = 8
_HAS_QUALITIES = 1
_SIGNED = {1: "<i1", 2: "<i2", 4: "<i4", 8: "<i8"}
_UNSIGNED = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<u8"}

Ints: TypeAlias = NDArray[np.int64]


def tail_id(minute: int, device_id: int) -> int:
    """Rowid of a tail row; `minute` counts from 1970."""
    return minute << MINUTE_BITS | device_id


def is_plain(column: SeriesColumn) -> bool:
    """Kept as it is, without mean, low and high: counters and read offsets."""
    return column.kind is not QuantityKind.INSTANT or column.quantity.startswith(READ_OFFSET_PREFIX)


class TailDamaged(StorageFault):
    """A tail row that is not what was written."""


class BadMinuteError(ValueError):
    """A minute that breaks its contract (wrong lengths, a good value missing, beyond 64 bits)."""


def _picker(indices: Sequence[int]) -> Callable[[Sequence[int | None]], tuple[int | None, ...]]:
    if not indices:
        return lambda _columns: ()
    if len(indices) == 1:
        only = indices[0]
        return lambda columns: (columns[only],)
    return itemgetter(*indices)


class LayoutPlan:
    """How the columns of one layout are put into a tail row."""

    def __init__(self, layout: MinuteLayout, layout_id: int) -> None:
        self.layout = layout  # keeps the object alive: the committer finds plans by identity
        self.layout_id = layout_id
        plain = [i for i, column in enumerate(layout.columns) if is_plain(column)]
        instants = [i for i, column in enumerate(layout.columns) if not is_plain(column)]
        self.order = (*instants, *plain)
        self.instant_count = len(instants)
        self.plain_count = len(plain)
        # lows and highs of plain columns are None, so only those of instants are packed; a leading run is a slice
        leads = instants == list(range(len(instants)))
        self._instants = itemgetter(slice(len(instants))) if leads else _picker(instants)
        width = 3 * len(self.order) + 2 * len(instants)
        self._pack = struct.Struct(f"<{width}q").pack
        self._nothing = bytes(8 * width)

    def pack(self, minute: DeviceMinute) -> bytes:
        """Values, sums and polls of all columns, lows and highs of instants, as 64-bit integers.

        Raises:
            BadMinuteError: The minute breaks its contract.
        """
        if not minute.qualities.count(0):
            self._check_lengths(minute)
            return self._nothing
        pick = self._instants
        try:
            # the common minute: all good, so no None anywhere among the instants
            packed = self._pack(*minute.values, *minute.sums, *minute.polls, *pick(minute.lows), *pick(minute.highs))
        except (struct.error, IndexError):
            return self._pack_with_gaps(minute)
        if len(minute.values) != len(minute.qualities) or len(minute.sums) != len(minute.polls):
            self._check_lengths(minute)
        return packed

    def _pack_with_gaps(self, minute: DeviceMinute) -> bytes:
        self._check_lengths(minute)
        for column, value, quality in zip(self.layout.columns, minute.values, minute.qualities, strict=True):
            if quality == 0 and value is None:
                raise BadMinuteError(f"{column.quantity} is good but has no value")
        values = [0 if value is None else value for value in minute.values]
        lows = [value if low is None else low for low, value in zip(minute.lows, values, strict=True)]
        highs = [value if high is None else high for high, value in zip(minute.highs, values, strict=True)]
        pick = self._instants
        try:
            return self._pack(*values, *minute.sums, *minute.polls, *pick(lows), *pick(highs))
        except struct.error as error:
            raise BadMinuteError("a number does not fit in 64 bits") from error

    def _check_lengths(self, minute: DeviceMinute) -> None:
        parts = (minute.values, minute.qualities, minute.polls, minute.lows, minute.highs, minute.sums)
        if any(len(part) != len(self.order) for part in parts):
            raise BadMinuteError("the number of values does not match the columns")

    def stored_qualities(self, minute: DeviceMinute) -> bytes:
        """Qualities in stored order, empty when all are GOOD."""
        qualities = minute.qualities
        if qualities.count(0) == len(qualities):
            return b""
        return bytes([qualities[i] for i in self.order])


def encode_minutes(rows: Sequence[tuple[int, LayoutPlan, bytes, bytes]]) -> list[tuple[int, int, bytes]]:
    """Make tail rows of a whole minute at once.

    Args:
        rows: Rowid, plan, `LayoutPlan.pack` and `LayoutPlan.stored_qualities` of each device.

    Returns:
        Rowid, layout id and body, ascending.
    """
    groups: dict[tuple[tuple[int, ...], int], list[tuple[int, LayoutPlan, bytes, bytes]]] = {}
    for row in rows:
        groups.setdefault((row[1].order, row[1].instant_count), []).append(row)
    encoded: list[tuple[int, int, bytes]] = []
    crc32 = zlib.crc32
    for (order, instants), members in groups.items():
        bodies = _encode_group(order, instants, b"".join([member[2] for member in members]))
        for (rowid, plan, _packed, qualities), body in zip(members, bodies, strict=True):
            if qualities:
                body = b"%c\x01%b%b" % (FORMAT_VERSION, body[2:], qualities)
            crc = crc32(body, crc32(rowid.to_bytes(8, "little")))
            encoded.append((rowid, plan.layout_id, body + crc.to_bytes(4, "little")))
    encoded.sort()
    return encoded


def _encode_group(order: tuple[int, ...], instants: int, packed: bytes) -> list[bytes]:
    count, n = len(order), instants
    matrix = np.frombuffer(packed, np.int64).reshape(-1, 3 * count + 2 * n)
    # contiguous copies: each is passed over several times
    values, sums, polls = (np.ascontiguousarray(matrix[:, k * count : (k + 1) * count]) for k in range(3))
    lows, highs = matrix[:, 3 * count : 3 * count + n], matrix[:, 3 * count + n :]
    if order != tuple(range(count)):
        columns = np.array(order)
        values, sums, polls = values[:, columns], sums[:, columns], polls[:, columns]
    instant_values = values[:, :n]
    low_distance = (instant_values - lows).view(np.uint64)
    high_distance = (highs - instant_values).view(np.uint64)
    residual = sums[:, :n] - instant_values * polls[:, :n]
    parts = (
        (instant_values, _signed_widths(instant_values), _SIGNED),
        (low_distance, _unsigned_widths(low_distance), _UNSIGNED),
        (high_distance, _unsigned_widths(high_distance), _UNSIGNED),
        (residual, _signed_widths(residual), _SIGNED),
        (polls, _unsigned_widths(polls.view(np.uint64)), _UNSIGNED),
    )
    counts = values[:, n:].astype("<i8")
    widths = np.stack([part[1] for part in parts], axis=1)
    combined = widths.astype(np.int64) @ np.array([1, 16, 256, 4096, 65536])
    bodies: list[bytes] = [b""] * len(matrix)
    for shared in np.unique(combined):
        rows = np.flatnonzero(combined == shared)
        key = widths[rows[0]]
        is_all = rows.size == len(matrix)
        header = np.array([FORMAT_VERSION, 0, *key, 0], np.uint8)
        pieces = [np.broadcast_to(header, (rows.size, _HEADER_BYTES))]
        for (array, _widths, types), size in zip(parts, key.tolist(), strict=True):
            pieces.append(_as_bytes((array if is_all else array[rows]).astype(types[size])))
        pieces.append(_as_bytes(counts if is_all else counts[rows]))
        block = np.concatenate(pieces, axis=1)
        flat, stride = block.tobytes(), block.shape[1]
        for position, row in enumerate(rows.tolist()):
            bodies[row] = flat[position * stride : (position + 1) * stride]
    return bodies


def _as_bytes(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    if array.shape[1] == 0:
        return np.empty((array.shape[0], 0), np.uint8)
    return np.ascontiguousarray(array).view(np.uint8)


def _signed_widths(array: Ints) -> NDArray[np.uint8]:
    # x ^ (x >> 63) is x or -x - 1: what must fit beside the sign bit
    return _unsigned_widths((array ^ (array >> 63)).view(np.uint64) << np.uint64(1))


def _unsigned_widths(array: NDArray[np.uint64]) -> NDArray[np.uint8]:
    largest = array.max(axis=1, initial=0)
    limits = np.array([0xFF, 0xFFFF, 0xFFFFFFFF], np.uint64)
    widths: NDArray[np.uint8] = np.array([1, 2, 4, 8], np.uint8)[np.searchsorted(limits, largest)]
    return widths


class StoredLayout(NamedTuple):
    """A layout as stored: series ids, instants first."""

    device_id: DeviceId
    series: tuple[int, ...]
    instant_count: int

    def to_bytes(self) -> bytes:
        """What the `layout` table keeps."""
        return struct.pack(f"<{len(self.series) + 1}I", self.instant_count, *self.series)

    @classmethod
    def from_bytes(cls, device_id: int, blob: bytes) -> StoredLayout:
        """Inverse of `to_bytes`."""
        instant_count, *series = struct.unpack(f"<{len(blob) // 4}I", blob)
        return cls(DeviceId(device_id), tuple(series), instant_count)


class TailBlock(NamedTuple):
    """Tail rows of one layout, in columns.

    Attributes:
        minutes: Minutes since 1970, ascending, shape (m,).
        values, qualities, polls: Shape (m, n), columns as in the stored layout.
        lows, highs, sums: Shape (m, instant_count).
    """

    minutes: Ints
    values: Ints
    qualities: NDArray[np.uint8]
    polls: Ints
    lows: Ints
    highs: Ints
    sums: Ints


def decode_rows(layout: StoredLayout, rows: Iterable[tuple[int, bytes]]) -> tuple[TailBlock, tuple[int, ...]]:
    """Decode rows of one layout.

    Args:
        layout: Theirs.
        rows: Rowid and body, ascending.

    Returns:
        The rows that are whole, and the rowids of damaged ones.
    """
    damaged: list[int] = []
    groups: dict[tuple[bytes, int], list[tuple[int, bytes]]] = {}
    for rowid, body in rows:
        crc = zlib.crc32(memoryview(body)[:-4], zlib.crc32(rowid.to_bytes(8, "little")))
        if len(body) < _HEADER_BYTES + 4 or crc.to_bytes(4, "little") != body[-4:] or body[0] != FORMAT_VERSION:
            damaged.append(rowid)
            continue
        groups.setdefault((body[:_HEADER_BYTES], len(body)), []).append((rowid, body))
    blocks = [_decode_group(layout, header, members) for (header, _length), members in groups.items()]
    if len(blocks) == 1:
        return blocks[0], tuple(damaged)
    columns, n = len(layout.series), layout.instant_count
    if not blocks:
        wide, narrow = np.empty((0, columns), np.int64), np.empty((0, n), np.int64)
        empty = TailBlock(np.empty(0, np.int64), wide, np.empty((0, columns), np.uint8), wide, narrow, narrow, narrow)
        return empty, tuple(damaged)
    joined = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    return TailBlock(*(part[order] for part in joined)), tuple(damaged)


def _decode_group(layout: StoredLayout, header: bytes, members: list[tuple[int, bytes]]) -> TailBlock:
    stacked = np.frombuffer(b"".join([body for _rowid, body in members]), np.uint8).reshape(len(members), -1)
    n, columns = layout.instant_count, len(layout.series)
    plain = columns - n
    _version, flags, w_value, w_low, w_high, w_residual, w_polls, _spare = header
    position = _HEADER_BYTES

    def take(count: int, kind: str, width: int) -> NDArray[np.generic]:
        nonlocal position
        part = np.ascontiguousarray(stacked[:, position : position + count * width])
        position += count * width
        return part.view(kind) if count else np.empty((len(members), 0), kind)

    values = take(n, _SIGNED[w_value], w_value).astype(np.int64)
    lows = values - take(n, _UNSIGNED[w_low], w_low).astype(np.uint64).view(np.int64)
    highs = values + take(n, _UNSIGNED[w_high], w_high).astype(np.uint64).view(np.int64)
    residual = take(n, _SIGNED[w_residual], w_residual).astype(np.int64)
    polls = take(columns, _UNSIGNED[w_polls], w_polls).astype(np.uint64).view(np.int64)
    counts = take(plain, "<i8", 8).astype(np.int64)
    if flags & _HAS_QUALITIES:
        qualities = take(columns, "<u1", 1).astype(np.uint8)
    else:
        qualities = np.zeros((len(members), columns), np.uint8)
    return TailBlock(
        minutes=np.array([rowid >> MINUTE_BITS for rowid, _body in members], np.int64),
        values=np.concatenate((values, counts), axis=1),
        qualities=qualities,
        polls=polls,
        lows=lows,
        highs=highs,
        sums=values * polls[:, :n] + residual,
    )
