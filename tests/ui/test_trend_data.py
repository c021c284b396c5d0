from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PySide6.QtCore import QLocale
from ui_fakes import NOW_MS, FakeReader, make_installation

from emdx_desktop.domain.history import CountSeries, MinuteSeries, RollupSeries
from emdx_desktop.domain.periods import Period, Span, calendar_period, trailing_period, utc_ms
from emdx_desktop.domain.readings import DeviceId, Quality
from emdx_desktop.ui.envelope import Envelope
from emdx_desktop.ui.time_ticks import step_decimals, time_ticks, value_step, value_ticks
from emdx_desktop.ui.trend_loading import SeriesKey, Step, load_trend

PARIS = ZoneInfo("Europe/Paris")
POWER = SeriesKey(DeviceId(1), "active_power")
ENERGY = SeriesKey(DeviceId(1), "active_energy_import")
THD = SeriesKey(DeviceId(1), "thd_voltage_l1")


def at(text, fold=0):
    return utc_ms(datetime.fromisoformat(text).replace(fold=fold), PARIS)


def load(reader, key, view):
    return load_trend(reader, [key], view, PARIS, NOW_MS, lambda: False).curves[0]


@pytest.fixture
def reader():
    return FakeReader(make_installation())


# --- pyramid ------------------------------------------------------------------------------------------


def test_a_year_of_minutes_is_drawn_in_about_as_many_points_as_asked():
    x = np.arange(525_600) * 60.0
    envelope = Envelope(x, x, x, x)
    for length in (x[-1], x[-1] / 12, 86_400.0, 3600.0):
        piece = envelope.slice(1e6, 1e6 + length, 1500)
        assert len(piece.x) <= 1502


def test_a_single_spike_survives_in_every_level():
    x = np.arange(100_000) * 60.0
    y = np.zeros(100_000)
    y[77_777] = 9.0
    y[3] = -4.0
    piece = Envelope(x, y, y, y).slice(x[0], x[-1], 600)
    assert np.nanmax(piece.high) == 9.0
    assert np.nanmin(piece.low) == -4.0


def test_a_gap_stays_a_gap_in_every_level():
    x = np.arange(100_000) * 60.0
    y = np.ones(100_000)
    y[40_000:60_000] = np.nan
    piece = Envelope(x, y, y, y).slice(x[0], x[-1], 600)
    inside = (piece.x > x[40_100]) & (piece.x < x[59_900])
    assert inside.any()
    assert np.isnan(piece.mean[inside]).all()
    assert np.isfinite(piece.mean[~inside]).sum() > 300


def test_means_of_joined_points_are_means_of_what_is_there():
    x = np.arange(2048.0)
    y = np.arange(2048.0)
    y[1::2] = np.nan
    piece = Envelope(x, y, y, y).slice(0, 2048, 600)
    assert piece.mean[0] == 1.0  # of 0 and 2


def test_an_empty_series_gives_an_empty_piece():
    empty = np.array([])
    assert len(Envelope(empty, empty, empty, empty).slice(0, 1, 100).x) == 0


# --- loading ------------------------------------------------------------------------------------------


def test_hour_and_day_are_minutes_and_gaps_are_gaps(reader):
    curve = load(reader, POWER, trailing_period(Span.DAY, NOW_MS, PARIS))
    assert curve.step is Step.MINUTE
    gap = (curve.ts_s * 1000 >= reader.gap[0]) & (curve.ts_s * 1000 < reader.gap[1])
    assert gap.sum() == 32
    assert np.isnan(curve.mean[gap]).all()
    assert [(g.start_ms, g.end_ms, g.quality) for g in curve.gaps] == [(*reader.gap, Quality.TIMEOUT)]
    assert curve.measured_ratio == pytest.approx(1 - 32 / 1440, abs=1e-3)


def test_minutes_that_are_not_due_are_neither_gap_nor_point(reader):
    curve = load(reader, THD, Period(NOW_MS - 3 * 3_600_000, NOW_MS))
    assert np.isfinite(curve.mean).all()
    assert set(np.diff(curve.ts_s)) == {600.0}
    assert curve.measured_ratio == 1.0


@pytest.mark.parametrize(("span", "step"), [(Span.WEEK, Step.MINUTE), (Span.MONTH, Step.HOUR), (Span.YEAR, Step.HOUR)])
def test_longer_pictures_come_from_roll_ups_with_lowest_and_highest(reader, span, step):
    curve = load(reader, POWER, trailing_period(span, NOW_MS, PARIS))
    assert curve.step is step
    if step is Step.HOUR:
        assert (curve.low < curve.mean).all()
        assert (curve.high > curve.mean).all()


def test_where_minutes_were_given_up_hours_are_drawn(reader, monkeypatch):
    def no_minutes(device_id, quantity, start_ms, end_ms):
        return MinuteSeries(start_ms, np.full(60, np.nan), np.full(60, Quality.NOT_RECORDED, dtype=np.uint8))

    monkeypatch.setattr(reader, "load_minutes", no_minutes)
    assert load(reader, POWER, trailing_period(Span.DAY, NOW_MS, PARIS)).step is Step.HOUR


def test_a_hole_in_roll_ups_is_a_gap(reader, monkeypatch):
    def with_hole(device_id, quantity, start_ms, end_ms, resolution):
        start = np.array([0, 1, 2, 9, 10], dtype=np.int64) * 3_600_000
        ones = np.ones(5)
        return RollupSeries(start, ones, ones, ones, np.ones(5, np.int64), np.ones(5, np.int64))

    monkeypatch.setattr(reader, "load_rollup", with_hole)
    curve = load(reader, POWER, trailing_period(Span.MONTH, NOW_MS, PARIS))
    assert np.isnan(curve.mean).tolist() == [False, False, False, True, False, False]
    assert (curve.gaps[0].start_ms, curve.gaps[0].end_ms) == (3 * 3_600_000, 9 * 3_600_000)


def test_a_lone_minute_between_gaps_is_a_dash_not_nothing(reader, monkeypatch):
    def lone(device_id, quantity, start_ms, end_ms):
        values = np.array([np.nan, 5000.0, np.nan, 1.0, 2.0])
        return MinuteSeries(0, values, np.where(np.isnan(values), 1, 0).astype(np.uint8))

    monkeypatch.setattr(reader, "load_minutes", lone)
    curve = load(reader, POWER, Period(0, 3_600_000))
    piece = curve.envelope.slice(0, 1000, 1000)
    assert piece.x.tolist() == [30.0, 60.0, 90.0, 120.0, 150.0, 210.0, 270.0]
    assert piece.mean[1:4].tolist() == [5.0, 5.0, 5.0]


def test_energy_of_23_and_25_hour_days_is_right(reader):
    view = Period(at("2026-10-01 00:00"), at("2026-11-01 00:00"))
    curve = load(reader, ENERGY, view)
    assert curve.step is Step.DAY
    by_day = dict(zip((curve.ts_s * 1000).round().astype(int).tolist(), curve.mean.tolist(), strict=True))
    day = calendar_period(Span.DAY, at("2026-10-25 12:00"), PARIS)
    # 10 kWh an hour
    assert by_day[(day.start_ms + day.end_ms) // 2] == pytest.approx(250.0)


def test_a_counter_that_was_reset_never_draws_negative_energy(reader, monkeypatch):
    def falling(device_id, quantity, start_ms, end_ms):
        series = FakeReader.load_counts(reader, device_id, quantity, start_ms, end_ms)
        counts = series.counts.copy()
        counts[len(counts) // 2 :] -= int(counts[len(counts) // 2])
        return CountSeries(series.ts_ms, counts, series.epochs)

    monkeypatch.setattr(reader, "load_counts", falling)
    curve = load(reader, ENERGY, trailing_period(Span.DAY, NOW_MS, PARIS))
    assert np.nanmin(curve.mean) >= 0


def test_a_cancelled_load_stops_between_series(reader):
    trend = load_trend(reader, [POWER, THD], Period(NOW_MS - 3_600_000, NOW_MS), PARIS, NOW_MS, lambda: True)
    assert trend.curves == ()


def test_a_series_key_is_remembered_as_text():
    assert SeriesKey.parse(str(POWER)) == POWER
    for rubbish in ("", "x:active_power", "1:nothing", "1"):
        assert SeriesKey.parse(rubbish) is None


# --- ticks --------------------------------------------------------------------------------------------


def texts(start, end, count):
    return [tick.text for tick in time_ticks(start, end, count, PARIS, QLocale("en"))]


def test_midnight_shows_the_date():
    ticks = time_ticks(at("2026-11-18 14:37"), at("2026-11-19 14:37"), 9, PARIS, QLocale("en"))
    assert [tick.text for tick in ticks] == [
        "15:00", "18:00", "21:00", "Thu 19 Nov", "03:00", "06:00", "09:00", "12:00",
    ]  # fmt: skip
    assert [tick.text for tick in ticks if tick.is_midnight] == ["Thu 19 Nov"]


def test_a_day_of_25_hours_says_so_and_names_its_double_hour():
    labels = texts(at("2026-10-25 00:00"), at("2026-10-25 05:00"), 8)
    assert labels[0] == "Sun 25 Oct, 25\u00a0h"
    assert labels[1:] == ["01:00", "02:00 CEST", "02:00 CET", "03:00", "04:00", "05:00"]


def test_a_day_of_23_hours_has_no_hour_that_was_skipped():
    labels = texts(at("2026-03-29 00:00"), at("2026-03-29 05:00"), 5)
    assert labels == ["Sun 29 Mar, 23\u00a0h", "01:00", "03:00", "04:00", "05:00"]


@pytest.mark.parametrize(
    ("start", "end", "first"),
    [
        ("2026-11-19 13:40", "2026-11-19 14:40", "13:40"),
        ("2026-11-10 00:00", "2026-11-19 00:00", "Tue 10 Nov"),
        ("2026-10-19 00:00", "2026-11-19 00:00", "Mon 19 Oct"),
        ("2026-01-01 00:00", "2026-12-31 00:00", "2026"),
        ("2016-01-01 00:00", "2026-12-31 00:00", "2016"),
    ],
)
@pytest.mark.parametrize("count", [4, 9, 14])
def test_there_are_never_too_many_ticks(start, end, first, count):
    labels = texts(at(start), at(end), count)
    assert 2 <= len(labels) <= 1.3 * count + 1
    if count == 14:
        assert labels[0] == first


@pytest.mark.parametrize(("low", "high"), [(0, 233.2), (-9.2, 3), (228.1, 233.9), (0, 0.004), (1e6, 1.2e6)])
def test_value_ticks_are_1_2_5_steps_inside_the_range(low, high):
    ticks = value_ticks(low, high)
    assert 3 <= len(ticks) <= 7
    assert min(ticks) >= low - 1e-9
    assert max(ticks) <= high * (1 + 1e-9)
    assert f"{value_step(high - low):e}"[0] in "125"


def test_tick_labels_have_the_decimals_that_tell_them_apart():
    assert [step_decimals(step) for step in (50.0, 1.0, 0.5, 0.02)] == [0, 0, 1, 2]
    assert value_ticks(5, 5) == [5]
