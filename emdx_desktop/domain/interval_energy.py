"""What a counter counted in given intervals: index at the end minus index at the start.

An index at a border is interpolated between the readings around it; where these lie too far apart the
interval is unknown, never 0 (rules R2 and R3).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.counters import compute_steps
from emdx_desktop.domain.history import CountSeries

MAX_INTERPOLATION_MS = 3_600_000
"""Readings further apart than an hour do not give an index in between (R3)."""


def compute_interval_amounts(
    series: CountSeries, edges_ms: Sequence[int], max_gap_ms: int = MAX_INTERPOLATION_MS
) -> NDArray[np.float64]:
    """Amount counted in each interval.

    Args:
        series: Readings that reach beyond the first and the last edge.
        edges_ms: Borders, ascending, shape (n + 1,).
        max_gap_ms: Longest distance of the two readings around a border.
    Returns:
        Base units (Wh, varh, m³ …), shape (n,); NaN where the index at a border is unknown.
    """
    count = len(edges_ms) - 1
    amounts = np.full(max(0, count), np.nan)
    ts_ms = series.ts_ms
    if count < 1 or len(ts_ms) == 0 or not series.epochs:
        return amounts  # without an epoch nobody knows what a count is worth
    edges = np.asarray(edges_ms, dtype=np.int64)
    # the readings around each border, and nothing between: the steps between them are exact all the same
    before = np.searchsorted(ts_ms, edges, side="right") - 1
    after = np.searchsorted(ts_ms, edges, side="left")
    is_inside = (before >= 0) & (after < len(ts_ms))
    before, after = np.maximum(before, 0), np.minimum(after, len(ts_ms) - 1)
    is_known = is_inside & (ts_ms[after] - ts_ms[before] <= max_gap_ms)
    needed = np.unique(np.concatenate([before[is_known], after[is_known]]))
    if len(needed) == 0:
        return amounts
    steps = compute_steps(CountSeries(ts_ms[needed], series.counts[needed], series.epochs))
    index = [Fraction(0)]
    for step in steps:
        index.append(index[-1] + step)
    place = {int(reading): position for position, reading in enumerate(needed)}

    def index_at(edge: int) -> Fraction | None:
        if not is_known[edge]:
            return None
        first, last = int(before[edge]), int(after[edge])
        low, high = index[place[first]], index[place[last]]
        span_ms = int(ts_ms[last] - ts_ms[first])
        if span_ms == 0:
            return low
        return low + (high - low) * Fraction(int(edges[edge] - ts_ms[first]), span_ms)

    at_start = index_at(0)
    for number in range(count):
        at_end = index_at(number + 1)
        if at_start is not None and at_end is not None:
            amounts[number] = float(at_end - at_start)
        at_start = at_end
    return amounts
