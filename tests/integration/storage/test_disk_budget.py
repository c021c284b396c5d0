"""A disk budget gives up minutes of the oldest months, and no more of them than it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from storage_rig import FakeClock, installation, utc_ms

from emdx_desktop.domain.history import DAY_MS, MINUTE_MS, Resolution, RetentionPolicy, SeriesColumn
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.history_importer import SqliteHistoryImporter
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import open_writer

D1 = DeviceId(1)
POWER = SeriesColumn("active_power", QuantityKind.INSTANT, 0)
ENERGY = SeriesColumn("active_energy_import", QuantityKind.COUNTER, 0, "energies")
MONTHS_MS = (utc_ms(2026, 7, 1), utc_ms(2026, 8, 1), utc_ms(2026, 9, 1))
MINUTES = 25 * 1440


def test_a_disk_budget_reduces_the_oldest_month_and_no_more_than_needed(tmp_path: Path) -> None:
    clock = FakeClock(utc_ms(2026, 10, 20))
    writer = open_writer(tmp_path, clock)
    writer.replace_installation(installation())
    writer.close()
    importer = SqliteHistoryImporter(tmp_path, clock, "UTC")
    rng = np.random.default_rng(1)
    for start_ms in MONTHS_MS:
        for number in range(1, 9):  # noise, which takes its two bytes a sample whatever the codec
            values = rng.integers(0, 60_000, MINUTES)
            importer.import_minutes(DeviceId(number), POWER, start_ms, values)
        importer.import_minutes(D1, ENERGY, start_ms, start_ms // MINUTE_MS + np.arange(MINUTES))
    importer.finish()

    writer = open_writer(tmp_path, clock)
    writer.maintain()
    reader = SqliteHistoryReader(tmp_path)
    whole = reader.storage_report().total_bytes
    end_ms = MONTHS_MS[-1] + 30 * DAY_MS
    hours = reader.load_rollup(D1, "active_power", MONTHS_MS[0], end_ms, Resolution.HOUR)
    counts = reader.load_counts(D1, "active_energy_import", MONTHS_MS[0], end_ms)

    def has_minutes(start_ms: int) -> bool:
        values = reader.load_minutes(D1, "active_power", start_ms, start_ms + MINUTES * MINUTE_MS).values
        return not bool(np.isnan(values).any())

    writer.set_retention(RetentionPolicy(disk_budget_bytes=whole + 1_000_000))
    writer.maintain()
    assert [has_minutes(start_ms) for start_ms in MONTHS_MS] == [True, True, True], "within the budget all is kept"
    writer.set_retention(RetentionPolicy(disk_budget_bytes=whole - 200_000))
    writer.maintain()
    writer.maintain()
    assert [has_minutes(start_ms) for start_ms in MONTHS_MS] == [False, True, True]
    assert reader.storage_report().total_bytes <= whole - 200_000
    told = [event.message for event in reader.load_events(0, clock.ms + 1) if "disk budget" in event.message]
    assert len(told) == 1
    assert "2026-07" in told[0]
    again = reader.load_rollup(D1, "active_power", MONTHS_MS[0], end_ms, Resolution.HOUR)
    assert again.means.tolist() == hours.means.tolist()
    assert (
        reader.load_counts(D1, "active_energy_import", MONTHS_MS[0], end_ms).counts.tolist() == counts.counts.tolist()
    )
    reader.close()
    writer.close()
