from datetime import UTC, date, datetime

import numpy as np
import pytest

from emdx_desktop.simulator.local_time import LocalCalendar, compute_easter, list_holidays
from emdx_desktop.simulator.noise import hash_unit, smooth, white


def minute_of(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) // 60


@pytest.mark.parametrize("day", [date(2024, 3, 31), date(2025, 4, 20), date(2026, 4, 5), date(2027, 3, 28)])
def test_easter_of_known_years(day: date):
    assert compute_easter(day.year) == day


def test_holidays_fixed_and_moving():
    days = list_holidays([2026])
    assert len(days) == 11
    assert date(2026, 11, 11) in days
    assert date(2026, 5, 14) in days  # Ascension
    assert date(2026, 5, 25) in days  # Whit Monday


def test_local_time_in_spring_and_autumn():
    calendar = LocalCalendar("Europe/Paris")
    # 29 March 2026: 01:00 UTC is 03:00 local, an hour is missing
    time = calendar.read(np.arange(minute_of(2026, 3, 29, 0, 59), minute_of(2026, 3, 29, 1, 1)))
    assert list(time.of_day) == [119.0, 180.0]
    # 25 October 2026: 01:00 UTC is 02:00 local again
    time = calendar.read(np.arange(minute_of(2026, 10, 25, 0, 59), minute_of(2026, 10, 25, 1, 1)))
    assert list(time.of_day) == [179.0, 120.0]


def test_weekday_and_working_day():
    time = LocalCalendar("Europe/Paris").read(np.array([minute_of(2026, 11, day, 12) for day in (9, 10, 11, 14, 15)]))
    assert list(time.weekday) == [0, 1, 2, 5, 6]
    assert list(time.is_workday) == [True, True, False, False, False]


def test_noise_is_a_function_of_time_and_evenly_spread():
    minutes = np.arange(29_000_000, 29_050_000)
    values = hash_unit(minutes, 3)
    assert values.min() >= 0
    assert values.max() < 1
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert np.corrcoef(values[1:], values[:-1])[0, 1] == pytest.approx(0, abs=0.02)
    assert np.array_equal(hash_unit(minutes[100:200], 3), values[100:200])
    assert not np.array_equal(hash_unit(minutes, 4), values)
    assert white(minutes, 3).min() < -0.99
    wandering = smooth(minutes, 30, 3)
    # interpolation of the same knots from another start: equal but for the last bit
    assert np.allclose(smooth(minutes[100:200], 30, 3), wandering[100:200], rtol=0, atol=1e-9)
    assert np.abs(np.diff(wandering)).max() < 2 / 30 + 1e-6
    assert smooth(minutes[:0], 30, 3).shape == (0,)
