"""Whatever integers and qualities a day has, it comes back bit for bit; what was touched never does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.storage.chunks import ChunkDamaged, decode_day, encode_day
from emdx_desktop.storage.packing import Codec, pack_integers, unpack_integers
from emdx_desktop.storage.rollups import HourRollups, RollupDamaged, condense, decode_rollups, encode_rollups, merge

INT64 = st.integers(-(2**63), 2**63 - 1)
EXTREMES = st.sampled_from([-(2**63), 2**63 - 1, -(2**31) - 1, -(2**31), 2**31 - 1, 2**31, 0, -1, 1])
ROWID = st.integers(0, 2**47)


@st.composite
def days(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    fill = draw(st.one_of(INT64, EXTREMES))
    values = np.full(1440, fill, np.int64)
    for start, value in draw(st.lists(st.tuples(st.integers(0, 1439), st.one_of(INT64, EXTREMES)), max_size=12)):
        values[start::7] = value
    qualities = np.zeros(1440, np.uint8)
    for start, length, quality in draw(
        st.lists(st.tuples(st.integers(0, 1439), st.integers(1, 1440), st.integers(0, 10)), max_size=30)
    ):
        qualities[start : start + length] = quality
    return values, qualities


@settings(max_examples=150, deadline=None)
@given(days(), ROWID, st.sampled_from(Codec))
def test_a_day_comes_back_as_it_was(day: tuple[np.ndarray, np.ndarray], rowid: int, codec: Codec) -> None:
    values, qualities = day
    back = decode_day(rowid, encode_day(rowid, values, qualities, codec))
    good = qualities == 0
    if back.qualities is None:
        assert good.all()
    else:
        np.testing.assert_array_equal(back.qualities, qualities)
    np.testing.assert_array_equal(back.values[good], values[good])


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, st.integers(0, 300), elements=st.one_of(INT64, EXTREMES)), st.sampled_from(Codec))
def test_integers_come_back_as_they_were(values: np.ndarray, codec: Codec) -> None:
    used, is_wide, payload = pack_integers(values, codec)
    np.testing.assert_array_equal(unpack_integers(used, is_wide, values.size, payload), values)


@settings(max_examples=100, deadline=None)
@given(days(), ROWID, st.sampled_from(Codec), st.data())
def test_a_flipped_bit_is_always_found(
    day: tuple[np.ndarray, np.ndarray], rowid: int, codec: Codec, data: st.DataObject
) -> None:
    body = bytearray(encode_day(rowid, *day, codec))
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    body[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ChunkDamaged):
        decode_day(rowid, bytes(body))


@settings(max_examples=50, deadline=None)
@given(days(), ROWID, st.data())
def test_a_chunk_cut_short_or_in_another_place_is_found(
    day: tuple[np.ndarray, np.ndarray], rowid: int, data: st.DataObject
) -> None:
    body = encode_day(rowid, *day)
    with pytest.raises(StorageFault):
        decode_day(rowid, body[: data.draw(st.integers(0, len(body) - 1))])
    with pytest.raises(ChunkDamaged):
        decode_day(rowid + 1, body)


@st.composite
def hours(draw: st.DrawFn) -> HourRollups:
    count = draw(st.integers(0, 40))
    starts = np.cumsum(
        np.array(draw(st.lists(st.sampled_from([30, 60, 120]), min_size=count, max_size=count)), np.int64)
    )
    lows = np.array(draw(st.lists(st.integers(-(2**40), 2**40), min_size=count, max_size=count)), np.int64)
    highs = lows + np.array(draw(st.lists(st.integers(0, 10**6), min_size=count, max_size=count)), np.int64)
    polls = np.array(draw(st.lists(st.integers(1, 4000), min_size=count, max_size=count)), np.int64)
    sums = lows * polls + draw(st.integers(0, 7)) * (highs - lows)
    return HourRollups(starts, lows, highs, sums, polls, np.minimum(polls, 60))


@settings(max_examples=80, deadline=None)
@given(hours(), ROWID, st.sampled_from(Codec))
def test_hours_come_back_with_their_exact_sums(rollups: HourRollups, rowid: int, codec: Codec) -> None:
    body = encode_rollups(rowid, rollups, codec)
    for back, sent in zip(decode_rollups(rowid, body), rollups, strict=True):
        np.testing.assert_array_equal(back, sent)
    damaged = bytearray(body)
    damaged[len(body) // 2] ^= 4
    with pytest.raises(RollupDamaged):
        decode_rollups(rowid, bytes(damaged))


@settings(max_examples=60, deadline=None)
@given(hours(), st.data())
def test_hours_split_anywhere_and_joined_conserve_polls_and_sums(rollups: HourRollups, data: st.DataObject) -> None:
    count = rollups.starts.size
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), np.bool_)
    parts = [HourRollups(*(column[chosen] for column in rollups)) for chosen in (mask, ~mask)]
    for back, sent in zip(merge(parts), rollups, strict=True):
        np.testing.assert_array_equal(back, sent)
    twice = merge([rollups, rollups])
    assert twice.sums.sum() == 2 * rollups.sums.sum()
    assert twice.polls.sum() == 2 * rollups.polls.sum()
    assert condense(*HourRollups.empty()).starts.size == 0
