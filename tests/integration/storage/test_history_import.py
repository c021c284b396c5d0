"""Import: straight into packed days and sealed months, the same to a reader as if it had been acquired."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from storage_rig import FakeClock, batch, installation, utc_ms, voltage

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import (
    DAY_MS,
    MINUTE_MS,
    CounterEpoch,
    EventKind,
    Resolution,
    SeriesColumn,
    StateChange,
)
from emdx_desktop.domain.quantities import QuantityKind, read_offset_series
from emdx_desktop.domain.readings import DeviceId, Quality
from emdx_desktop.storage.history_importer import SqliteHistoryImporter
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import open_writer

D1 = DeviceId(1)
VOLTAGE = SeriesColumn("voltage_l1_n", QuantityKind.INSTANT, -2)
ENERGY = SeriesColumn("active_energy_import", QuantityKind.COUNTER, 0, "energies")
OFFSET = SeriesColumn(read_offset_series("energies"), QuantityKind.COUNTER, 0, "energies")
START_MS = utc_ms(2026, 3, 27, 13)
NOW_MS = utc_ms(2026, 5, 15, 12)
MINUTES = (NOW_MS - START_MS) // MINUTE_MS


def volts() -> np.ndarray:
    return 23000 + np.random.default_rng(1).integers(-300, 300, MINUTES)


def import_all(folder: Path, values: np.ndarray, is_good: np.ndarray | None = None, zone: str = "Europe/Paris") -> None:
    importer = SqliteHistoryImporter(folder, FakeClock(NOW_MS), zone)
    importer.import_minutes(D1, VOLTAGE, START_MS, values, is_good)
    importer.finish()


@pytest.mark.parametrize("zone", ["Europe/Paris", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_minutes_and_local_days_come_back(tmp_path: Path, zone: str) -> None:
    values = volts()
    is_good = np.ones(MINUTES, np.bool_)
    is_good[5000:5100] = False
    import_all(tmp_path, values, is_good, zone)
    assert sorted(path.name for path in (tmp_path / "history").iterdir()) == ["2026-03.db", "2026-04.db"]
    reader = SqliteHistoryReader(tmp_path)
    series = reader.load_minutes(D1, "voltage_l1_n", START_MS, NOW_MS)
    np.testing.assert_array_equal(series.values[is_good], values[is_good] / 100)
    assert np.isnan(series.values[~is_good]).all()
    assert set(series.qualities[~is_good].tolist()) == {Quality.NOT_RECORDED}
    hours = reader.load_rollup(D1, "voltage_l1_n", START_MS - DAY_MS, NOW_MS, Resolution.HOUR)
    days = reader.load_rollup(D1, "voltage_l1_n", START_MS - DAY_MS, NOW_MS, Resolution.DAY)
    for rollup in (hours, days):
        assert rollup.polls.sum() == is_good.sum()
        assert (rollup.means * rollup.polls).sum() == pytest.approx(values[is_good].sum() / 100, rel=1e-12)
        assert rollup.lows.min() == values[is_good].min() / 100
        assert rollup.highs.max() == values[is_good].max() / 100
    reader.close()


def test_days_of_summer_time_have_23_hours(tmp_path: Path) -> None:
    import_all(tmp_path, volts())
    reader = SqliteHistoryReader(tmp_path)
    days = reader.load_rollup(D1, "voltage_l1_n", utc_ms(2026, 3, 28), utc_ms(2026, 3, 31), Resolution.DAY)
    assert days.start_ms.tolist() == [utc_ms(2026, 3, 28, 23), utc_ms(2026, 3, 29, 22), utc_ms(2026, 3, 30, 22)]
    assert days.minutes.tolist() == [23 * 60, 24 * 60, 24 * 60]
    reader.close()


def test_the_same_again_is_nothing_and_another_value_is_an_event(tmp_path: Path) -> None:
    values = volts()
    import_all(tmp_path, values)
    before = {path.name: path.read_bytes() for path in (tmp_path / "history").iterdir()}
    import_all(tmp_path, values)
    assert {path.name: path.read_bytes() for path in (tmp_path / "history").iterdir()} == before
    reader = SqliteHistoryReader(tmp_path)
    hours = reader.load_rollup(D1, "voltage_l1_n", START_MS, NOW_MS, Resolution.HOUR)
    assert hours.polls.sum() == MINUTES
    assert reader.load_events(0, NOW_MS) == ()
    other = values.copy()
    other[100:103] += 5
    import_all(tmp_path, other)
    (event,) = reader.load_events(0, NOW_MS)
    assert (event.kind, event.quantity, event.data["minutes"]) == (EventKind.IMPORT_DIFFERS, "voltage_l1_n", 3)
    series = reader.load_minutes(D1, "voltage_l1_n", START_MS, NOW_MS)
    np.testing.assert_array_equal(series.values, values / 100)
    reader.close()


def test_gaps_are_filled_by_a_later_import(tmp_path: Path) -> None:
    values = volts()
    is_even = np.arange(MINUTES) % 2 == 0
    import_all(tmp_path, values, is_even)
    import_all(tmp_path, values, ~is_even)
    reader = SqliteHistoryReader(tmp_path)
    series = reader.load_minutes(D1, "voltage_l1_n", START_MS, NOW_MS)
    np.testing.assert_array_equal(series.values, values / 100)
    days = reader.load_rollup(D1, "voltage_l1_n", 0, NOW_MS, Resolution.DAY)
    assert days.polls.sum() == MINUTES
    assert days.minutes.sum() == MINUTES
    reader.close()


def test_parts_of_a_day_in_several_calls_are_joined(tmp_path: Path) -> None:
    values = volts()
    importer = SqliteHistoryImporter(tmp_path, FakeClock(NOW_MS), "UTC")
    for first in range(0, MINUTES, 20_000):
        importer.import_minutes(D1, VOLTAGE, START_MS + first * MINUTE_MS, values[first : first + 20_000])
    importer.import_minutes(D1, VOLTAGE, START_MS, values[:0])
    importer.finish()
    reader = SqliteHistoryReader(tmp_path)
    np.testing.assert_array_equal(reader.load_minutes(D1, "voltage_l1_n", START_MS, NOW_MS).values, values / 100)
    hours = reader.load_rollup(D1, "voltage_l1_n", 0, NOW_MS, Resolution.HOUR)
    assert (hours.polls.sum(), hours.polls.max()) == (MINUTES, 60)
    reader.close()


def test_counters_keep_counts_seconds_epochs_and_states(tmp_path: Path) -> None:
    importer = SqliteHistoryImporter(tmp_path, FakeClock(NOW_MS), "UTC")
    counts = np.cumsum(np.full(MINUTES, 2**33, np.int64))
    importer.import_minutes(D1, ENERGY, START_MS, counts)
    importer.import_minutes(D1, OFFSET, START_MS, np.full(MINUTES, 41_000, np.int64))
    epoch = CounterEpoch(D1, ENERGY.quantity, START_MS, 0, Fraction(1, 7), None, "first reading")
    importer.add_epoch(epoch)
    importer.import_states([StateChange(D1, "input_1", START_MS, 1)])
    importer.finish()
    reader = SqliteHistoryReader(tmp_path)
    found = reader.load_counts(D1, ENERGY.quantity, START_MS + 42_000, START_MS + 5 * MINUTE_MS)
    assert found.ts_ms.tolist() == [START_MS + k * MINUTE_MS + 41_000 for k in range(1, 5)]
    assert found.counts.tolist() == counts[1:5].tolist()
    assert found.epochs == (epoch,)
    assert reader.load_states(D1, "input_1", 0, NOW_MS)[0].code == 1
    assert reader.load_rollup(D1, ENERGY.quantity, START_MS, NOW_MS, Resolution.DAY).start_ms.size == 0
    reader.close()


def test_acquisition_goes_on_in_the_day_the_import_ended(tmp_path: Path) -> None:
    import_all(tmp_path, volts())
    clock = FakeClock(NOW_MS)
    writer = open_writer(tmp_path, clock)
    writer.replace_installation(installation("Europe/Paris"))
    first = NOW_MS // MINUTE_MS
    for minute in range(first - 5, first + 5):
        writer.submit(batch(minute, devices=(1,)))
    writer.wait_until_saved()
    reader = SqliteHistoryReader(tmp_path)

    def look() -> tuple[list[float], int, list[int]]:
        series = reader.load_minutes(D1, "voltage_l1_n", NOW_MS - 5 * MINUTE_MS, NOW_MS + 5 * MINUTE_MS)
        day = reader.load_rollup(D1, "voltage_l1_n", utc_ms(2026, 5, 14), NOW_MS, Resolution.DAY)
        return series.values.tolist(), int(day.minutes.sum()), day.polls.tolist()

    found = look()
    assert found[0] == [v / 100 for v in volts()[-5:]] + [voltage(first + k, 1) / 100 for k in range(5)]
    assert found[1] == 14 * 60 + 5  # from local midnight, 22:00 UTC, to 12:05 UTC
    clock.ms += 2 * DAY_MS
    writer.maintain()
    assert look() == found
    writer.close()
    reader.close()


def test_a_folder_somebody_acquires_into_is_refused(tmp_path: Path) -> None:
    writer = open_writer(tmp_path, FakeClock(NOW_MS))
    with pytest.raises(StorageFault, match="in use"):
        SqliteHistoryImporter(tmp_path, FakeClock(NOW_MS))
    writer.close()


def test_an_import_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    importer = SqliteHistoryImporter(tmp_path, FakeClock(NOW_MS), "UTC")
    importer.import_minutes(D1, VOLTAGE, START_MS, volts())
    importer.close()
    importer.close()
    reader = SqliteHistoryReader(tmp_path)
    assert reader.series() == []
    reader.close()
    with pytest.raises(StorageFault, match="Mars"):
        SqliteHistoryImporter(tmp_path, FakeClock(NOW_MS), "Mars/Olympus")
    importer = SqliteHistoryImporter(tmp_path, FakeClock(NOW_MS))
    with pytest.raises(ValueError, match="whole minute"):
        importer.import_minutes(D1, VOLTAGE, START_MS + 1, volts())
    importer.close()
