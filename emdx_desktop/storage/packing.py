"""Integers to few bytes and back: pcodec where it is installed, zlib always.

pcodec carries no checksum (most flipped bits decode to wrong numbers in silence): whoever stores
these bytes adds one.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.errors import StorageFault

try:
    from pcodec import ChunkConfig
    from pcodec.standalone import simple_compress, simple_decompress_into
except ImportError:  # zlib keeps writing and reading; what pcodec wrote waits until it is back
    HAS_PCODEC = False
else:
    HAS_PCODEC = True
    _CONFIG = ChunkConfig(compression_level=8)


class Codec(IntEnum):
    """Stored in each chunk: never renumber."""

    PCODEC = 1
    ZLIB = 2


Ints: TypeAlias = NDArray[np.int64] | NDArray[np.int32]

_PCODEC = int(Codec.PCODEC)
_INT32_MIN, _INT32_MAX = -(2**31), 2**31 - 1


def pack_integers(
    values: NDArray[np.int64] | NDArray[np.int32], codec: Codec | None = None
) -> tuple[Codec, bool, bytes]:
    """Pack integers of any size.

    Args:
        values: Shape (n,).
        codec: None for the best one at hand.

    Returns:
        Codec used, whether as 64-bit integers, bytes.
    """
    if codec is None:
        codec = Codec.PCODEC if HAS_PCODEC else Codec.ZLIB
    if values.size == 0:
        return codec, False, b""
    is_wide = values.dtype.itemsize > 4 and bool(values.min() < _INT32_MIN or values.max() > _INT32_MAX)
    narrow: NDArray[np.int64] | NDArray[np.int32]
    narrow = np.ascontiguousarray(values, np.int64) if is_wide else np.ascontiguousarray(values, np.int32)
    if codec is Codec.PCODEC:
        return codec, is_wide, bytes(simple_compress(narrow, _CONFIG))
    return codec, is_wide, zlib.compress(_shuffle(narrow), 6)


def unpack_integers(
    codec: int, is_wide: bool, count: int, payload: bytes, into: NDArray[np.int32] | None = None
) -> Ints:
    """Inverse of `pack_integers`.

    Args:
        codec: As packed.
        is_wide: As packed.
        count: How many integers.
        payload: As packed.
        into: Filled and returned when the integers are narrow; spares a copy. Shape (count,).

    Raises:
        StorageFault: The codec is unknown or not installed, or the bytes do not hold `count` integers.
    """
    if into is not None and codec == _PCODEC and HAS_PCODEC and not is_wide:
        # the hot path of charts
        _decompress(payload, into)
        return into
    dtype: np.dtype[np.int64] | np.dtype[np.int32] = np.dtype(np.int64) if is_wide else np.dtype(np.int32)
    if count == 0:
        return np.empty(0, dtype)
    if codec == Codec.PCODEC:
        if not HAS_PCODEC:
            raise StorageFault(
                "This part of history was packed with pcodec, which is not installed, so it is not shown: install it."
            )
        out: Ints = into if into is not None and not is_wide else np.empty(count, dtype)
        _decompress(payload, out)
        return out
    if codec == Codec.ZLIB:
        try:
            raw = zlib.decompress(payload)
        except zlib.error as error:
            raise StorageFault(f"Packed values cannot be read ({error}).") from error
        if len(raw) != count * dtype.itemsize:
            raise StorageFault("Packed values end too early.")
        return _unshuffle(raw, dtype, count)
    raise StorageFault(f"Codec {codec} is unknown: it was written by a newer release.")


def _decompress(payload: bytes, out: Ints) -> None:
    try:
        progress = simple_decompress_into(payload, out)
    except (RuntimeError, TypeError) as error:
        raise StorageFault(f"Packed values cannot be read ({error}).") from error
    if progress.n_processed != out.size or not progress.finished:
        raise StorageFault("Packed values end too early.")


def _shuffle(values: NDArray[np.int64] | NDArray[np.int32]) -> bytes:
    """Zigzag differences, the first byte of all, then the second of all …: what deflate can use."""
    unsigned = np.dtype(f"<u{values.dtype.itemsize}")
    deltas = np.empty_like(values)
    deltas[0] = values[0]
    np.subtract(values[1:], values[:-1], out=deltas[1:])  # wraps, and the sum wraps back
    bits = values.dtype.itemsize * 8
    zigzag = (deltas << 1).view(unsigned) ^ (deltas >> (bits - 1)).view(unsigned)
    planes: NDArray[np.uint8] = zigzag.view(np.uint8).reshape(values.size, -1).T
    return planes.tobytes()


def _unshuffle(raw: bytes, dtype: np.dtype[np.int64] | np.dtype[np.int32], count: int) -> Ints:
    planes = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, count)
    zigzag = np.ascontiguousarray(planes.T).view(f"<u{dtype.itemsize}").reshape(count)
    deltas = (zigzag >> 1).view(dtype) ^ -(zigzag & 1).view(dtype)
    if dtype.itemsize == 8:
        return np.cumsum(deltas, dtype=np.int64)
    return np.cumsum(deltas, dtype=np.int32)
