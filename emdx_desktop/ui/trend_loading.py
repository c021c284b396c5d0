"""Loads what a trend draws: minutes, roll-ups or energies, ready as a pyramid. Runs beside the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from emdx_desktop.domain.history import MINUTE_MS, CountSeries, GapRun, MinuteSeries, Resolution, RollupSeries
from emdx_desktop.domain.interval_energy import MAX_INTERPOLATION_MS, compute_interval_amounts
from emdx_desktop.domain.periods import HOUR_MS, Period, Span, period_edges
from emdx_desktop.domain.ports import HistoryReader
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import DeviceId, Quality
from emdx_desktop.ui.envelope import Envelope, Floats
from emdx_desktop.ui.number_format import DisplayUnit, display_unit

MAX_SERIES = 8
"""More than eight in one picture are too many to tell apart."""

DAY_MS = 24 * HOUR_MS
MINUTES_UP_TO_MS = 10 * DAY_MS
HOURS_UP_TO_MS = 800 * DAY_MS
MAX_GAPS = 200


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """A series a person can choose."""

    device_id: DeviceId
    quantity: str

    def __str__(self) -> str:
        return f"{self.device_id}:{self.quantity}"

    @staticmethod
    def parse(text: str) -> SeriesKey | None:
        """The key of a remembered text, None when it is none."""
        device, _, quantity = text.partition(":")
        if not device.isdecimal() or quantity not in QUANTITIES:
            return None
        return SeriesKey(DeviceId(int(device)), quantity)


class Step(Enum):
    """What one point of a curve stands for."""

    MINUTE = "minute"
    FIVE_MINUTES = "5 min"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class TrendGap:
    """A stretch without data and why, in view of a person."""

    start_ms: int
    end_ms: int
    quality: int


@dataclass(frozen=True, slots=True)
class TrendCurve:
    """One series, ready to be drawn.

    Attributes:
        key: Which.
        unit: Unit shown; values below are in it.
        is_energy: Amounts per step of a counter, drawn as steps; otherwise means, drawn as a line.
        step: What one point stands for.
        ts_s: Middle of each point, epoch seconds, shape (n,) (for the cross-hair).
        low, mean, high: Shape (n,); NaN draws a gap.
        envelope: What is drawn.
        gaps: Why there are gaps.
        measured_ratio: Share of minutes measured; None when the step does not tell.
    """

    key: SeriesKey
    unit: DisplayUnit
    is_energy: bool
    step: Step
    ts_s: Floats
    low: Floats
    mean: Floats
    high: Floats
    envelope: Envelope
    gaps: tuple[TrendGap, ...] = ()
    measured_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Trend:
    """Everything a trend draws.

    Attributes:
        window: What was loaded, wider than what is shown.
        step: Resolution asked for.
        curves: In the order chosen.
    """

    window: Period
    step: Step
    curves: tuple[TrendCurve, ...]


def step_for(length_ms: int) -> Step:
    """Resolution of a picture of this length. Own design: never more than 15,000 points a series in view."""
    if length_ms <= MINUTES_UP_TO_MS:
        return Step.MINUTE
    return Step.HOUR if length_ms <= HOURS_UP_TO_MS else Step.DAY


def energy_step_for(length_ms: int) -> Step:
    """Interval of energies in a picture of this length."""
    if length_ms <= 3 * HOUR_MS:
        return Step.FIVE_MINUTES
    if length_ms <= MINUTES_UP_TO_MS:
        return Step.HOUR
    return Step.DAY if length_ms <= HOURS_UP_TO_MS else Step.MONTH


def load_trend(
    reader: HistoryReader,
    keys: Sequence[SeriesKey],
    view: Period,
    zone: tzinfo,
    now_ms: int,
    is_cancelled: Callable[[], bool],
) -> Trend:
    """Load the series of a trend for a view and half its length at either side.

    Args:
        reader: History.
        keys: Which series, at most `MAX_SERIES`.
        view: What is to be seen.
        zone: The site's.
        now_ms: UTC; nothing later is asked for.
        is_cancelled: Asked between series.
    Raises:
        StorageFault: The history cannot be read.
    """
    margin_ms = view.length_ms // 2
    window = Period(view.start_ms - margin_ms, min(view.end_ms + margin_ms, max(now_ms, view.start_ms) + MINUTE_MS))
    curves = []
    for key in keys[:MAX_SERIES]:
        if is_cancelled():
            break
        if QUANTITIES[key.quantity].kind is QuantityKind.COUNTER:
            curves.append(_load_energy(reader, key, view, window, zone))
        else:
            curves.append(_load_instants(reader, key, view, window))
    return Trend(window, step_for(view.length_ms), tuple(curves))


def _load_instants(reader: HistoryReader, key: SeriesKey, view: Period, window: Period) -> TrendCurve:
    step = step_for(view.length_ms)
    if step is Step.MINUTE:
        series = reader.load_minutes(key.device_id, key.quantity, window.start_ms, window.end_ms)
        if np.isfinite(series.values).any():
            gaps = reader.load_gaps(key.device_id, key.quantity, window.start_ms, window.end_ms)
            return _minute_curve(key, series, gaps, view)
        # minutes may have been given up long ago: hours are kept
        step = Step.HOUR
    resolution = Resolution.DAY if step is Step.DAY else Resolution.HOUR
    rollup = reader.load_rollup(key.device_id, key.quantity, window.start_ms, window.end_ms, resolution)
    return _rollup_curve(key, rollup, step)


def _minute_curve(key: SeriesKey, series: MinuteSeries, gaps: Sequence[GapRun], view: Period) -> TrendCurve:
    unit = display_unit(QUANTITIES[key.quantity].unit)
    ts_ms = series.start_ms + MINUTE_MS * np.arange(len(series.values), dtype=np.int64)
    # a quantity read more slowly than a minute has minutes that are not due: neither gap nor point
    is_due = series.qualities != Quality.NOT_DUE
    ts_s = (ts_ms[is_due] + MINUTE_MS / 2) / 1000
    values = series.values[is_due] / unit.divisor
    in_view = (ts_s * 1000 >= view.start_ms) & (ts_s * 1000 < view.end_ms)
    due_count = int(in_view.sum())
    measured = int(np.isfinite(values[in_view]).sum()) / due_count if due_count else None
    x, drawn = _with_short_dashes(ts_s, values, MINUTE_MS / 1000)
    shown_gaps = sorted(gaps, key=lambda gap: gap.start_ms - gap.end_ms)[:MAX_GAPS]
    return TrendCurve(
        key,
        unit,
        False,
        Step.MINUTE,
        ts_s,
        values,
        values,
        values,
        Envelope(x, drawn, drawn, drawn),
        tuple(TrendGap(gap.start_ms, gap.end_ms, gap.quality) for gap in shown_gaps),
        measured,
    )


def _with_short_dashes(x: Floats, values: Floats, width: float) -> tuple[Floats, Floats]:
    """A lone value between two gaps would draw nothing: it becomes a dash as long as its minute."""
    is_finite = np.isfinite(values)
    left = np.concatenate([[False], is_finite[:-1]])
    right = np.concatenate([is_finite[1:], [False]])
    lone = np.flatnonzero(is_finite & ~left & ~right)
    if len(lone) == 0:
        return x, values
    at = np.concatenate([lone, lone + 1])
    xs = np.concatenate([x[lone] - width / 2, x[lone] + width / 2])
    return np.insert(x, at, xs), np.insert(values, at, np.concatenate([values[lone], values[lone]]))


def _rollup_curve(key: SeriesKey, rollup: RollupSeries, step: Step) -> TrendCurve:
    unit = display_unit(QUANTITIES[key.quantity].unit)
    nominal_ms = HOUR_MS if step is Step.HOUR else DAY_MS
    ts_s = (rollup.start_ms + nominal_ms / 2) / 1000
    parts = [values / unit.divisor for values in (rollup.lows, rollup.means, rollup.highs)]
    if len(ts_s):
        # days have up to 25 hours; what is further apart is a gap
        breaks = np.flatnonzero(np.diff(rollup.start_ms) > 1.5 * nominal_ms) + 1
        ts_s = np.insert(ts_s, breaks, ts_s[breaks] - nominal_ms / 1000)
        parts = [np.insert(values, breaks, np.nan) for values in parts]
    low, mean, high = parts
    gaps = _holes(rollup.start_ms, nominal_ms)
    return TrendCurve(key, unit, False, step, ts_s, low, mean, high, Envelope(ts_s, low, mean, high), gaps)


def _holes(start_ms: NDArray[np.int64], nominal_ms: int) -> tuple[TrendGap, ...]:
    at = np.flatnonzero(np.diff(start_ms) > 1.5 * nominal_ms)
    return tuple(
        TrendGap(int(start_ms[i]) + nominal_ms, int(start_ms[i + 1]), Quality.NOT_RECORDED) for i in at[:MAX_GAPS]
    )


def _load_energy(reader: HistoryReader, key: SeriesKey, view: Period, window: Period, zone: tzinfo) -> TrendCurve:
    step = energy_step_for(view.length_ms)
    if step is Step.FIVE_MINUTES:
        first = window.start_ms - window.start_ms % (5 * MINUTE_MS)
        edges = list(range(first, window.end_ms + 5 * MINUTE_MS, 5 * MINUTE_MS))
    else:
        span = {Step.HOUR: Span.HOUR, Step.DAY: Span.DAY, Step.MONTH: Span.MONTH}[step]
        edges = period_edges(span, window.start_ms, window.end_ms, zone)
    counts: CountSeries = reader.load_counts(
        key.device_id, key.quantity, edges[0] - MAX_INTERPOLATION_MS, edges[-1] + MAX_INTERPOLATION_MS
    )
    unit = display_unit(QUANTITIES[key.quantity].unit)
    amounts = compute_interval_amounts(counts, edges) / unit.divisor
    edges_s = np.asarray(edges, dtype=np.float64) / 1000
    x = np.repeat(edges_s, 2)[1:-1]
    drawn = np.repeat(amounts, 2)
    # a NaN between neighbours would be joined: steps are drawn as they are, a gap has NaN on both its corners
    middle_s = (edges_s[:-1] + edges_s[1:]) / 2
    return TrendCurve(key, unit, True, step, middle_s, amounts, amounts, amounts, Envelope(x, drawn, drawn, drawn))
