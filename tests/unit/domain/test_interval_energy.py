from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emdx_desktop.domain.history import CounterEpoch, CountSeries
from emdx_desktop.domain.interval_energy import compute_interval_amounts
from emdx_desktop.domain.readings import DeviceId

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


def epoch(start_ms=0, start_count=0, factor=1, end_count=None, modulus=None):
    return CounterEpoch(
        DeviceId(1), "active_energy_import", start_ms, start_count, Fraction(factor), modulus, "test", end_count
    )


def series(readings, *epochs):
    ts_ms, counts = zip(*readings, strict=True) if readings else ((), ())
    return CountSeries(np.array(ts_ms, dtype=np.int64), np.array(counts, dtype=np.int64), epochs or (epoch(),))


def test_amount_is_index_at_the_end_minus_index_at_the_start():
    readings = [(minute * MINUTE_MS, 2 * minute) for minute in range(121)]
    amounts = compute_interval_amounts(series(readings, epoch(factor=10)), [0, HOUR_MS, 2 * HOUR_MS])
    assert amounts.tolist() == [1200.0, 1200.0]


def test_the_index_at_a_border_is_interpolated_to_the_true_second():
    readings = [(0, 0), (HOUR_MS - 20_000, 100), (HOUR_MS + 40_000, 160), (2 * HOUR_MS, 400)]
    amounts = compute_interval_amounts(series(readings), [0, HOUR_MS, 2 * HOUR_MS])
    assert amounts.tolist() == [120.0, 280.0]


def test_a_border_inside_a_long_gap_is_unknown_never_zero():
    readings = [(0, 0), (HOUR_MS // 2, 50), (3 * HOUR_MS, 400), (4 * HOUR_MS, 500)]
    amounts = compute_interval_amounts(series(readings), [0, HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS, 4 * HOUR_MS])
    assert np.isnan(amounts[:3]).all()
    assert amounts[3] == 100.0


def test_an_interval_across_a_gap_is_known_when_both_borders_are():
    readings = [(0, 0), (10 * MINUTE_MS, 10), (5 * HOUR_MS, 300), (6 * HOUR_MS, 360)]
    assert compute_interval_amounts(series(readings), [0, 6 * HOUR_MS]).tolist() == [360.0]


def test_a_reset_books_what_was_counted_before_and_after():
    readings = [(0, 900), (30 * MINUTE_MS, 950), (40 * MINUTE_MS, 5), (60 * MINUTE_MS, 25)]
    epochs = (epoch(), epoch(start_ms=40 * MINUTE_MS, start_count=5, end_count=950))
    assert compute_interval_amounts(series(readings, *epochs), [0, HOUR_MS]).tolist() == [70.0]


def test_a_changed_factor_counts_from_its_moment_on():
    readings = [(0, 0), (30 * MINUTE_MS, 10), (31 * MINUTE_MS, 10), (60 * MINUTE_MS, 20)]
    epochs = (epoch(factor=1), epoch(start_ms=31 * MINUTE_MS, start_count=10, factor=100, end_count=10))
    assert compute_interval_amounts(series(readings, *epochs), [0, HOUR_MS]).tolist() == [1010.0]


@pytest.mark.parametrize("edges", [[], [0]])
def test_no_interval_gives_no_amount(edges):
    assert len(compute_interval_amounts(series([(0, 0)]), edges)) == 0


def test_no_readings_give_unknown():
    assert np.isnan(compute_interval_amounts(series([]), [0, HOUR_MS])).all()


def test_counts_of_unknown_worth_give_unknown():
    readings = series([(0, 0), (HOUR_MS, 5)])
    nothing_known = CountSeries(readings.ts_ms, readings.counts, ())
    assert np.isnan(compute_interval_amounts(nothing_known, [0, HOUR_MS])).all()


def test_readings_that_do_not_reach_the_borders_give_unknown():
    assert np.isnan(compute_interval_amounts(series([(10, 0), (20, 5)]), [0, HOUR_MS])).all()


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=200), st.integers(1, 30))
def test_intervals_add_up_to_the_whole(steps, minutes):
    counts = np.cumsum([0, *steps])
    readings = [(number * MINUTE_MS, int(count)) for number, count in enumerate(counts)]
    last = len(steps) * MINUTE_MS
    edges = [*range(0, last, minutes * MINUTE_MS), last]
    amounts = compute_interval_amounts(series(readings), edges)
    assert amounts.sum() == pytest.approx(sum(steps))
    assert (amounts >= 0).all()
