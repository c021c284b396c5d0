from __future__ import annotations

import numpy as np
import pytest

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage import packing
from emdx_desktop.storage.chunks import MINUTES_PER_DAY, decode_day, encode_day
from emdx_desktop.storage.packing import Codec, pack_integers, unpack_integers
from emdx_desktop.storage.rollups import HourRollups, decode_rollups, encode_rollups

VALUES = np.arange(MINUTES_PER_DAY, dtype=np.int64) % 17 * 3


def test_without_pcodec_zlib_keeps_writing_and_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    packed_before = encode_day(5, VALUES, None)
    monkeypatch.setattr(packing, "HAS_PCODEC", False)
    body = encode_day(5, VALUES, None)
    assert body[0] == Codec.ZLIB
    np.testing.assert_array_equal(decode_day(5, body).values, VALUES)
    scratch = np.empty(MINUTES_PER_DAY, np.int32)
    np.testing.assert_array_equal(decode_day(5, body, scratch).values, VALUES)
    with pytest.raises(StorageFault, match="pcodec, which is not installed"):
        decode_day(5, packed_before)


def test_pcodec_comes_first_where_it_is_installed() -> None:
    assert encode_day(5, VALUES, None)[0] == Codec.PCODEC
    assert encode_day(5, VALUES, None, Codec.ZLIB)[0] == Codec.ZLIB


def test_a_day_unpacked_in_place_spares_the_copy() -> None:
    scratch = np.empty(MINUTES_PER_DAY, np.int32)
    assert decode_day(5, encode_day(5, VALUES, None), scratch).values is scratch


@pytest.mark.parametrize("codec", Codec)
def test_a_count_that_does_not_match_is_an_error_not_a_guess(codec: Codec) -> None:
    used, is_wide, payload = pack_integers(VALUES, codec)
    with pytest.raises(StorageFault):
        unpack_integers(used, is_wide, VALUES.size + 1, payload)
    with pytest.raises(StorageFault):
        unpack_integers(used, is_wide, VALUES.size, b"no such thing")
    with pytest.raises(StorageFault, match="Codec 99"):
        unpack_integers(99, is_wide, VALUES.size, payload)


def test_many_short_gaps_cost_few_bytes() -> None:
    qualities = np.full(MINUTES_PER_DAY, 9, np.uint8)
    qualities[::10] = 0  # read every ten minutes
    body = encode_day(5, VALUES, qualities)
    assert len(body) < 200
    back = decode_day(5, body)
    assert back.qualities is not None
    np.testing.assert_array_equal(back.qualities, qualities)


def test_evenly_spaced_hours_cost_few_bytes() -> None:
    steps = np.arange(720, dtype=np.int64)
    same = np.full(720, 60, np.int64)
    hours = HourRollups(steps * 60, same * 4, same * 4, same * 240, same, same)
    body = encode_rollups(3, hours)
    assert len(body) < 200
    np.testing.assert_array_equal(decode_rollups(3, body).starts, hours.starts)
