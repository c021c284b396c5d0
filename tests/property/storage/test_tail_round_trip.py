"""A minute of any layout and any numbers comes back from its tail row."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emdx_desktop.domain.history import DeviceMinute, MinuteLayout, SeriesColumn
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.tail import LayoutPlan, StoredLayout, decode_rows, encode_minutes, tail_id

VALUE = st.one_of(st.integers(-(2**50), 2**50), st.integers(-300, 300))
COUNT = st.one_of(st.integers(0, 2**63 - 1), st.just(2**63 - 1))


@st.composite
def minutes(draw: st.DrawFn) -> DeviceMinute:
    kinds = draw(st.lists(st.sampled_from([QuantityKind.INSTANT, QuantityKind.COUNTER]), min_size=1, max_size=9))
    columns = tuple(SeriesColumn(f"q{i}", kind, 0) for i, kind in enumerate(kinds))
    values, qualities, polls, lows, highs, sums = [], [], [], [], [], []
    for kind in kinds:
        quality = draw(st.sampled_from([0, 0, 0, 1, 9]))
        count = draw(st.integers(1, 5000)) if quality == 0 else 0
        if quality:
            row = (None, None, None, 0)
        elif kind is QuantityKind.COUNTER:
            row = (draw(COUNT), None, None, 0)
        else:
            value = draw(VALUE)
            low, high = value - draw(st.integers(0, 2**40)), value + draw(st.integers(0, 2**40))
            row = (value, low, high, value * count + draw(st.integers(-count, count)))
        for column, number in zip((values, lows, highs, sums), row, strict=True):
            column.append(number)
        qualities.append(quality)
        polls.append(count)
    return DeviceMinute(
        MinuteLayout(DeviceId(7), columns),
        tuple(values),
        bytes(qualities),
        tuple(polls),
        tuple(lows),
        tuple(highs),
        tuple(sums),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(minutes(), min_size=1, max_size=5))
def test_minutes_come_back_as_they_were(sent: list[DeviceMinute]) -> None:
    for minute in sent:
        plan = LayoutPlan(minute.layout, 3)
        stored = StoredLayout(DeviceId(7), tuple(100 + i for i in plan.order), plan.instant_count)
        rowids = [tail_id(m, 7) for m in (5, 6)]
        rows = encode_minutes([(id_, plan, plan.pack(minute), plan.stored_qualities(minute)) for id_ in rowids])
        assert [(row[0], row[1]) for row in rows] == [(id_, 3) for id_ in rowids]
        block, damaged = decode_rows(stored, [(row[0], row[2]) for row in rows])
        assert damaged == ()
        assert block.minutes.tolist() == [5, 6]
        for k, i in enumerate(plan.order):
            assert block.qualities[:, k].tolist() == [minute.qualities[i]] * 2
            assert block.polls[:, k].tolist() == [minute.polls[i]] * 2
            if minute.qualities[i] == 0:
                assert block.values[:, k].tolist() == [minute.values[i]] * 2
                if k < plan.instant_count:
                    assert block.lows[0, k] == minute.lows[i]
                    assert block.highs[0, k] == minute.highs[i]
                    assert block.sums[0, k] == minute.sums[i]


@settings(max_examples=100, deadline=None)
@given(minutes(), st.data())
def test_a_flipped_bit_costs_the_row_and_nothing_else(minute: DeviceMinute, data: st.DataObject) -> None:
    plan = LayoutPlan(minute.layout, 1)
    stored = StoredLayout(DeviceId(7), plan.order, plan.instant_count)
    whole = [tail_id(m, 7) for m in (1, 2, 3)]
    rows = encode_minutes([(id_, plan, plan.pack(minute), plan.stored_qualities(minute)) for id_ in whole])
    body = bytearray(rows[1][2])
    bit = data.draw(st.integers(0, 8 * len(body) - 1))
    body[bit // 8] ^= 1 << bit % 8
    block, damaged = decode_rows(
        stored, [(rows[0][0], rows[0][2]), (rows[1][0], bytes(body)), (rows[2][0], rows[2][2])]
    )
    assert damaged == (whole[1],)
    assert np.array_equal(block.minutes, [1, 3])
