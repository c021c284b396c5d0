"""Many whole days unpacked in one loop: the same as one by one, or not at all."""

from __future__ import annotations

import numpy as np

from emdx_desktop.storage.chunks import MINUTES_PER_DAY, decode_complete_days, encode_day
from emdx_desktop.storage.packing import Codec


def test_complete_days_are_unpacked_together_and_any_other_kind_is_left_to_the_careful_way() -> None:
    values = np.arange(MINUTES_PER_DAY, dtype=np.int64) * 7 - 3_000
    good = [(id_, encode_day(id_, values + id_, None)) for id_ in (1, 2, 3)]
    out = np.zeros((3, MINUTES_PER_DAY), np.int32)
    assert decode_complete_days(good, out)
    assert all(np.array_equal(row, values + id_) for row, (id_, _body) in zip(out, good, strict=True))

    gap = np.zeros(MINUTES_PER_DAY, np.uint8)
    gap[5] = 1
    flipped = bytearray(good[1][1])
    flipped[-1] ^= 1
    for other in (
        encode_day(2, values, gap),
        encode_day(2, values * 2**33, None),
        encode_day(2, values, None, Codec.ZLIB),
        encode_day(9, values, None),
        bytes(flipped),
        good[1][1][:5],
    ):
        assert not decode_complete_days([good[0], (2, other), good[2]], out)
