"""From tail to packed day to sealed month: what is read stays the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from storage_rig import POLLS, FakeClock, batch, count, installation, offset_ms, power, utc_ms, voltage

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import (
    DAY_MS,
    MINUTE_MS,
    CounterEpoch,
    CountSeries,
    DeviceMinute,
    Event,
    EventKind,
    MinuteBatch,
    MinuteLayout,
    MinuteSeries,
    Resolution,
    RetentionPolicy,
    RollupSeries,
    SeriesColumn,
    StateChange,
)
from emdx_desktop.domain.installation import (
    Device,
    Gateway,
    Installation,
    LineSettings,
    Link,
    LinkScheme,
    Panel,
    Parity,
    Role,
    Site,
    SupplyDirection,
    TransactionIdCheck,
)
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId, GatewayId, Quality
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import SqliteHistoryWriter, open_writer

START_MS = utc_ms(2026, 9, 29, 20)
START = START_MS // MINUTE_MS
D1 = DeviceId(1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START_MS + 12 * 60 * MINUTE_MS)


@pytest.fixture
def writer(tmp_path: Path, clock: FakeClock) -> Iterator[SqliteHistoryWriter]:
    writer = open_writer(tmp_path, clock)
    yield writer
    writer.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[SqliteHistoryReader]:
    reader = SqliteHistoryReader(tmp_path)
    yield reader
    reader.close()


def assert_same(left: object, right: object) -> None:
    assert isinstance(left, MinuteSeries | CountSeries | RollupSeries)
    for name in left.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def read_all(reader: SqliteHistoryReader) -> list[object]:
    start, end = START_MS - 3 * DAY_MS, START_MS + 3 * DAY_MS
    found: list[object] = []
    for device in (1, 2):
        found.append(reader.load_minutes(DeviceId(device), "voltage_l1_n", start, end))
        found.append(reader.load_counts(DeviceId(device), "active_energy_import", start, end))
        found += [reader.load_rollup(DeviceId(device), "active_power", start, end, r) for r in Resolution]
    return found


def test_minutes_counts_and_offsets_come_back_from_the_tail(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader
) -> None:
    for minute in range(START, START + 10):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    series = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + 12 * MINUTE_MS)
    assert series.values[:10].tolist() == [voltage(m, 1) / 100 for m in range(START, START + 10)]
    assert np.isnan(series.values[10:]).all()
    assert series.qualities.tolist() == [0] * 10 + [Quality.NOT_RECORDED] * 2
    counts = reader.load_counts(D1, "active_energy_import", START_MS, START_MS + DAY_MS)
    assert counts.counts.tolist() == [count(m, 1) for m in range(START, START + 10)]
    assert counts.ts_ms.tolist() == [m * MINUTE_MS + offset_ms(m) for m in range(START, START + 10)]
    assert writer.last_saved_minute_ms() == (START + 9) * MINUTE_MS


@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Kolkata", "Asia/Kathmandu"])
def test_packing_and_sealing_change_nothing_that_is_read(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock, tmp_path: Path, zone: str
) -> None:
    writer.replace_installation(installation(zone))
    minutes = [m for m in range(START, START + 36 * 60) if not 100 < m - START < 160]
    for minute in minutes:
        quality = Quality.TIMEOUT if 700 <= minute - START < 730 else Quality.GOOD
        writer.submit(batch(minute, quality=quality))
    writer.wait_until_saved()
    from_tail = read_all(reader)
    clock.ms = START_MS + 2 * DAY_MS
    writer.maintain()
    packed = read_all(reader)
    assert not list((tmp_path / "history").glob("*.db"))
    clock.ms = utc_ms(2026, 11, 10)
    writer.maintain()
    assert sorted(path.name for path in (tmp_path / "history").iterdir()) == ["2026-09.db", "2026-10.db"]
    sealed = read_all(reader)
    for one, two, three in zip(from_tail, packed, sealed, strict=True):
        assert_same(one, two)
        assert_same(one, three)
    assert reader.notices() == ()
    rollup = reader.load_rollup(D1, "active_power", 0, clock.ms, Resolution.DAY)
    assert rollup.polls.sum() == POLLS * (len(minutes) - 30)
    assert rollup.minutes.sum() == len(minutes) - 30


def test_hours_stand_on_every_poll(writer: SqliteHistoryWriter, reader: SqliteHistoryReader) -> None:
    for minute in range(START, START + 60):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    hour = reader.load_rollup(D1, "active_power", START_MS, START_MS + 60 * MINUTE_MS, Resolution.HOUR)
    watts = [power(m, 1) for m in range(START, START + 60)]
    assert hour.start_ms.tolist() == [START_MS]
    assert hour.lows.tolist() == [min(watts) - 3]
    assert hour.highs.tolist() == [max(watts) + 5]
    assert hour.means[0] == pytest.approx((POLLS * sum(watts) - 60) / (POLLS * 60), rel=1e-14)
    assert (hour.polls[0], hour.minutes[0]) == (POLLS * 60, 60)


def test_gaps_say_why_and_not_due_is_none(writer: SqliteHistoryWriter, reader: SqliteHistoryReader) -> None:
    for minute in range(START, START + 30):
        if 20 <= minute - START < 25:
            continue  # the program was not running
        quality = Quality.GOOD
        if 5 <= minute - START < 9:
            quality = Quality.TIMEOUT
        if 9 <= minute - START < 12:
            quality = Quality.NOT_DUE
        writer.submit(batch(minute, quality=quality))
    writer.wait_until_saved()
    gaps = reader.load_gaps(D1, "voltage_l1_n", START_MS - DAY_MS, START_MS + DAY_MS)
    assert [((g.start_ms - START_MS) // MINUTE_MS, (g.end_ms - START_MS) // MINUTE_MS, g.quality) for g in gaps] == [
        (5, 9, Quality.TIMEOUT),
        (20, 25, Quality.NOT_RECORDED),
    ]
    assert reader.load_gaps(DeviceId(77), "voltage_l1_n", 0, START_MS) == ()


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_minute_that_comes_again_is_nothing_and_another_value_is_an_event(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock, is_packed: bool
) -> None:
    for minute in range(START, START + 5):
        writer.submit(batch(minute))
    if is_packed:
        clock.ms += DAY_MS
        writer.maintain()
    writer.submit(batch(START + 1))
    writer.wait_until_saved()
    writer.maintain()
    before = reader.load_rollup(D1, "voltage_l1_n", START_MS, START_MS + DAY_MS, Resolution.HOUR)
    assert reader.load_events(0, clock.ms) == ()
    other = batch(START + 2).devices[0]
    values = (other.values[0] + 9, other.values[1] + 2, other.values[2], other.values[3])  # type: ignore[operator]
    writer.submit(MinuteBatch((START + 2) * MINUTE_MS, (type(other)(other.layout, values, *_rest(other)),)))
    writer.wait_until_saved()
    writer.maintain()
    series = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + 5 * MINUTE_MS)
    assert series.values[2] == voltage(START + 2, 1) / 100, "instants keep what was written first"
    counts = reader.load_counts(D1, "active_energy_import", START_MS, START_MS + 5 * MINUTE_MS)
    assert counts.counts[2] == count(START + 2, 1) + 2, "counters take the later index"
    events = reader.load_events(0, clock.ms)
    assert {(e.kind, e.quantity) for e in events} == {
        (EventKind.IMPORT_DIFFERS, "voltage_l1_n"),
        (EventKind.IMPORT_DIFFERS, "active_energy_import"),
    }
    assert_same(before, reader.load_rollup(D1, "voltage_l1_n", START_MS, START_MS + DAY_MS, Resolution.HOUR))


def _rest(minute: object) -> tuple[object, ...]:
    return tuple(getattr(minute, name) for name in ("qualities", "polls", "lows", "highs", "sums"))


def test_late_minutes_rewrite_a_sealed_month_beside(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock, tmp_path: Path
) -> None:
    evens = range(START, START + 180, 2)
    odds = range(START + 1, START + 180, 2)
    for minute in evens:
        writer.submit(batch(minute))
    writer.wait_until_saved()
    clock.ms = utc_ms(2026, 11, 20)
    writer.maintain()
    sealed = tmp_path / "history" / "2026-09.db"
    assert sealed.exists()
    for minute in odds:
        writer.submit(batch(minute, quality=Quality.GOOD))
    writer.wait_until_saved()
    before = read_all(reader)
    writer.maintain()
    assert not sealed.exists()
    assert (tmp_path / "history" / "2026-09.r1.db").exists()
    for one, two in zip(before, read_all(reader), strict=True):
        assert_same(one, two)
    series = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + 180 * MINUTE_MS)
    assert series.values.tolist() == [voltage(m, 1) / 100 for m in range(START, START + 180)]
    hours = reader.load_rollup(D1, "voltage_l1_n", START_MS, START_MS + 180 * MINUTE_MS, Resolution.HOUR)
    assert hours.polls.tolist() == [60 * POLLS] * 3


def test_a_whole_day_is_read_at_once(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    day_ms = utc_ms(2026, 10, 3)
    first = day_ms // MINUTE_MS
    clock.ms = day_ms + DAY_MS
    for minute in range(first, first + 1440):
        writer.submit(batch(minute, devices=(1,)))
    writer.wait_until_saved()
    from_tail = reader.load_device_day(D1, day_ms)
    clock.ms = day_ms + 2 * DAY_MS
    writer.maintain()
    packed = reader.load_device_day(D1, day_ms)
    assert set(packed) == {"voltage_l1_n", "active_power"}
    for quantity, series in packed.items():
        assert_same(from_tail[quantity], series)
        assert_same(series, reader.load_minutes(D1, quantity, day_ms, day_ms + DAY_MS))
    assert reader.load_device_day(D1, day_ms - 5 * DAY_MS) == {}
    assert reader.load_device_day(DeviceId(99), day_ms) == {}


def test_states_events_and_epochs_are_kept(writer: SqliteHistoryWriter, reader: SqliteHistoryReader) -> None:
    changes = tuple(StateChange(D1, "breaker_position", START_MS + k * 1000, k % 2) for k in range(4))
    unknown = StateChange(D1, "breaker_position", START_MS + 9000, None)
    event = Event(START_MS, EventKind.STARTED, "started", None, "", {"version": "1"})
    old = CounterEpoch(D1, "active_energy_import", START_MS, 10, Fraction(1, 3), 10**8, "first reading")
    new = CounterEpoch(D1, "active_energy_import", START_MS + 60_000, 0, Fraction(10), None, "reset", end_count=99)
    writer.submit(MinuteBatch(START_MS, states=(*changes, unknown), events=(event, event), epochs=(old, new)))
    writer.submit(MinuteBatch(START_MS, states=changes, events=(event,), epochs=(old,)))
    writer.wait_until_saved()
    found = reader.load_states(D1, "breaker_position", START_MS + 1500, START_MS + DAY_MS)
    assert [change.code for change in found] == [1, 0, 1, None]
    assert list(reader.load_events(START_MS, START_MS + 1)) == [event]
    counts = reader.load_counts(D1, "active_energy_import", START_MS + 120_000, START_MS + DAY_MS)
    assert counts.epochs == (new,)
    counts = reader.load_counts(D1, "active_energy_import", START_MS, START_MS + DAY_MS)
    assert counts.epochs == (old, new)


def test_series_tells_what_has_history(writer: SqliteHistoryWriter, reader: SqliteHistoryReader) -> None:
    writer.submit(batch(START))
    writer.submit(MinuteBatch(START_MS + MINUTE_MS, states=(StateChange(D1, "input_1", START_MS, 1),)))
    writer.submit(batch(START + 7))
    writer.wait_until_saved()
    found = {info.column.quantity: info for info in reader.series(D1)}
    assert set(found) == {
        "voltage_l1_n",
        "active_power",
        "active_energy_import",
        "read_offset_ms.energies",
        "input_1",
    }
    assert (found["active_power"].first_ms, found["active_power"].last_ms) == (START_MS, START_MS + 8 * MINUTE_MS)
    assert len(reader.series()) == 9


def test_ageing_keeps_energies_and_hours(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    for minute in range(START, START + 120):
        writer.submit(batch(minute))
    clock.ms = utc_ms(2026, 11, 20)
    writer.maintain()
    hours = reader.load_rollup(D1, "active_power", 0, clock.ms, Resolution.HOUR)
    counts = reader.load_counts(D1, "active_energy_import", 0, START_MS + DAY_MS)
    writer.set_retention(RetentionPolicy(instant_days=30))
    writer.maintain()
    assert np.isnan(reader.load_minutes(D1, "active_power", START_MS, START_MS + DAY_MS).values).all()
    assert_same(hours, reader.load_rollup(D1, "active_power", 0, clock.ms, Resolution.HOUR))
    assert_same(counts, reader.load_counts(D1, "active_energy_import", 0, START_MS + DAY_MS))
    assert any("2026-09" in event.message for event in reader.load_events(0, clock.ms + 1))
    writer.set_retention(RetentionPolicy(disk_budget_bytes=1))
    writer.maintain()
    assert reader.storage_report().budget_bytes == 1


def test_a_clock_set_ten_years_ahead_takes_no_minutes_away(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    writer.submit(batch(START))
    clock.ms = utc_ms(2026, 11, 20)
    writer.maintain()
    clock.ms = utc_ms(2036, 11, 20)
    writer.maintain()
    writer.submit(batch(clock.ms // MINUTE_MS))
    clock.ms += 3 * DAY_MS
    writer.maintain()
    kept = reader.load_minutes(D1, "active_power", START_MS, START_MS + MINUTE_MS)
    assert kept.values.tolist() == [power(START, 1)]


def test_report_tells_files_growth_and_forecast(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    assert reader.storage_report().bytes_per_day is None
    assert reader.storage_report().days_until_full is None
    writer.submit(batch(START))
    writer.wait_until_saved()
    writer.maintain()
    report = reader.storage_report()
    assert report.bytes_per_day is not None
    assert report.bytes_per_day > 0
    assert report.days_until_full is not None
    assert report.total_bytes == sum(file.size_bytes for file in report.files)
    clock.ms = utc_ms(2026, 11, 20)
    writer.maintain()
    assert next((f.name, f.is_sealed, f.month) for f in reader.storage_report().files) == (
        "history/2026-09.db",
        True,
        "2026-09",
    )


def test_installation_revision_grows_and_devices_never_leave(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader
) -> None:
    assert reader.load_installation() is None
    first = writer.replace_installation(installation())
    second = writer.replace_installation(installation("Asia/Kolkata"))
    assert (first.revision, second.revision) == (1, 2)
    assert reader.load_installation() == second
    with pytest.raises(StorageFault, match="Mars"):
        writer.replace_installation(installation("Mars/Olympus"))
    assert reader.load_installation() == second


def test_a_closed_reader_and_an_empty_folder_say_so(tmp_path: Path) -> None:
    reader = SqliteHistoryReader(tmp_path / "nothing")
    assert reader.load_installation() is None
    with pytest.raises(StorageFault, match="no history yet"):
        reader.load_minutes(D1, "voltage_l1_n", 0, MINUTE_MS)
    reader.close()
    with pytest.raises(StorageFault, match="closed"):
        reader.load_events(0, 1)


@pytest.mark.parametrize("is_sealed", [False, True])
def test_another_time_zone_makes_the_hours_anew(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock, is_sealed: bool
) -> None:
    writer.replace_installation(installation("Europe/Paris"))
    first = utc_ms(2026, 9, 30, 20) // MINUTE_MS
    for minute in range(first, first + 480):  # over the end of a month, so that half an hour reaches into it
        writer.submit(batch(minute))
    writer.wait_until_saved()
    clock.ms = utc_ms(2026, 11, 20) if is_sealed else utc_ms(2026, 10, 2, 0, 5)
    writer.maintain()
    whole = reader.load_rollup(D1, "active_power", 0, clock.ms, Resolution.HOUR)
    assert set((whole.start_ms // MINUTE_MS % 60).tolist()) == {0}
    writer.replace_installation(installation("Asia/Kolkata"))
    writer.maintain()
    half = reader.load_rollup(D1, "active_power", 0, clock.ms, Resolution.HOUR)
    assert set((half.start_ms // MINUTE_MS % 60).tolist()) == {30}
    assert half.minutes.sum() == 480
    assert half.minutes.max() == 60
    assert "made anew" in reader.load_events(0, clock.ms + 1)[-1].message
    writer.replace_installation(installation("Europe/London"))
    writer.maintain()
    again = reader.load_rollup(D1, "active_power", 0, clock.ms, Resolution.HOUR)
    assert again.start_ms.tolist() == whole.start_ms.tolist()
    assert again.minutes.tolist() == whole.minutes.tolist()


def test_a_late_minute_and_another_zone_at_once_count_nothing_twice(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    writer.replace_installation(installation("UTC"))
    for minute in range(START, START + 60):
        writer.submit(batch(minute, devices=(1,)))
    writer.wait_until_saved()
    clock.ms += 40 * DAY_MS
    writer.maintain()
    writer.submit(batch(START + 60, devices=(1,)))
    writer.replace_installation(installation("Asia/Kolkata"))
    writer.maintain()
    hours = reader.load_rollup(D1, "active_power", START_MS - DAY_MS, START_MS + DAY_MS, Resolution.HOUR)
    assert hours.minutes.sum() == 61


def test_yesterday_is_packed_and_last_month_sealed_without_being_asked(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock, tmp_path: Path
) -> None:
    days = range(START, START + 5 * 1440, 1440)  # 29 September to 3 October, 20:00
    for minute in days:
        clock.ms = (minute + 1) * MINUTE_MS
        writer.submit(batch(minute))
        writer.wait_until_saved()
    files = {file.name: file for file in reader.storage_report().files}
    assert "history/2026-09.db" in files
    series = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + 5 * DAY_MS)
    assert series.values[::1440].tolist() == [voltage(m, 1) / 100 for m in days]
    assert files["live.db-wal"].size_bytes < 1_000_000
    assert writer.notices() == ()


def test_a_month_of_an_older_revision_that_stayed_behind_is_removed(
    writer: SqliteHistoryWriter, clock: FakeClock, tmp_path: Path
) -> None:
    writer.submit(batch(START))
    writer.wait_until_saved()
    clock.ms = utc_ms(2026, 11, 20)
    writer.maintain()
    old = tmp_path / "history" / "2026-09.db"
    kept = old.read_bytes()
    writer.submit(batch(START + 1))
    writer.wait_until_saved()
    writer.maintain()
    writer.close()
    old.write_bytes(kept)  # as if a reader had held it open on Windows
    open_writer(tmp_path, clock).close()
    assert [path.name for path in (tmp_path / "history").iterdir()] == ["2026-09.r1.db"]


def test_a_quantity_whose_decimals_changed_reads_as_one(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    coarse = MinuteLayout(D1, (SeriesColumn("voltage_l1_n", QuantityKind.INSTANT, -1),))
    fine = MinuteLayout(D1, (SeriesColumn("voltage_l1_n", QuantityKind.INSTANT, -2),))
    for minute, layout, value in ((START, coarse, 2301), (START + 1, fine, 23057)):
        row = DeviceMinute(layout, (value,), bytes(1), (1,), (value,), (value,), (value,))
        writer.submit(MinuteBatch(minute * MINUTE_MS, (row,)))
    writer.wait_until_saved()
    for _round in range(2):
        series = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + 2 * MINUTE_MS)
        assert series.values.tolist() == [230.1, 230.57]
        day = reader.load_device_day(D1, START_MS)["voltage_l1_n"]
        assert np.nansum(day.values) == pytest.approx(460.67)
        gaps = reader.load_gaps(D1, "voltage_l1_n", START_MS, START_MS + 2 * MINUTE_MS)
        assert gaps == ()
        clock.ms += 2 * DAY_MS
        writer.maintain()


def _with(minute: DeviceMinute, **changes: object) -> MinuteBatch:
    return MinuteBatch(START_MS, (replace(minute, **changes),))  # type: ignore[arg-type]


def test_a_minute_of_today_may_come_again(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    clock.ms = START_MS + 30 * MINUTE_MS
    first = batch(START).devices[0]
    nothing = (None,) * 4

    def look() -> tuple[list[float], list[int], int]:
        end = START_MS + MINUTE_MS
        return (
            reader.load_minutes(D1, "voltage_l1_n", START_MS, end).values.tolist(),
            reader.load_counts(D1, "active_energy_import", START_MS, end).counts.tolist(),
            int(reader.load_rollup(D1, "active_power", START_MS, end, Resolution.HOUR).polls.sum()),
        )

    silent = _with(
        first, values=nothing, qualities=bytes([1] * 4), polls=(0,) * 4, lows=nothing, highs=nothing, sums=(0,) * 4
    )
    whole = ([voltage(START, 1) / 100], [count(START, 1)], POLLS)
    writer.submit(silent)
    writer.submit(batch(START, devices=(1,)))  # a good value takes the place of none
    writer.wait_until_saved()
    assert look() == whole
    writer.submit(batch(START, devices=(1,)))
    writer.submit(silent)  # and none takes the place of no value
    writer.wait_until_saved()
    assert look() == whole
    assert reader.load_events(0, clock.ms) == ()
    later = count(START, 1) + 3
    writer.submit(_with(first, values=(voltage(START, 1) + 1, later, power(START, 1), offset_ms(START))))
    writer.wait_until_saved()
    assert look() == (whole[0], [later], POLLS)
    assert {event.quantity for event in reader.load_events(0, clock.ms)} == {"voltage_l1_n", "active_energy_import"}


def test_a_whole_minute_that_comes_again_otherwise_is_one_event(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    clock.ms = START_MS + 30 * MINUTE_MS
    phases = (f"{name}_l{phase}" for name in ("current", "active_power") for phase in (1, 2, 3))
    layout = MinuteLayout(D1, tuple(SeriesColumn(name, QuantityKind.INSTANT, 0) for name in phases))
    for value in (7, 8):
        values = (value,) * 6
        writer.submit(
            MinuteBatch(START_MS, (DeviceMinute(layout, values, bytes(6), (1,) * 6, values, values, values),))
        )
    writer.wait_until_saved()
    assert [(event.device_id, event.quantity) for event in reader.load_events(0, clock.ms)] == [(D1, "")]


def test_a_minute_of_today_may_come_in_parts_of_several_layouts(
    writer: SqliteHistoryWriter, reader: SqliteHistoryReader, clock: FakeClock
) -> None:
    clock.ms = START_MS + 30 * MINUTE_MS
    extra = MinuteLayout(D1, (SeriesColumn("frequency", QuantityKind.INSTANT, -3),))
    writer.submit(batch(START, devices=(1,)))
    writer.submit(
        MinuteBatch(START_MS, (DeviceMinute(extra, (50012,), bytes(1), (2,), (50010,), (50014,), (100024,)),))
    )
    writer.wait_until_saved()
    end = START_MS + MINUTE_MS
    assert reader.load_minutes(D1, "frequency", START_MS, end).values.tolist() == [50.012]
    assert reader.load_minutes(D1, "voltage_l1_n", START_MS, end).values.tolist() == [voltage(START, 1) / 100]
    hour = reader.load_rollup(D1, "frequency", START_MS, end, Resolution.HOUR)
    assert (hour.lows[0], hour.highs[0], hour.polls[0]) == (50.010, 50.014, 2)
    assert hour.means[0] == pytest.approx(50.012)


def test_a_whole_installation_comes_back(writer: SqliteHistoryWriter, reader: SqliteHistoryReader) -> None:
    sent = Installation(
        Site("Plant é", "Europe/Paris", "EUR", "north"),
        (Panel("Main", "ground floor"), Panel("Roof")),
        (
            Gateway(
                GatewayId(4),
                "GW",
                Link(LinkScheme.RTU_TCP, "10.0.0.1", 502),
                "Main",
                LineSettings(19200, Parity.EVEN, 1, 8),
                1500,
                5,
                TransactionIdCheck.OFF,
                False,
                "behind the wall",
            ),
            Gateway(GatewayId(2), "Serial", Link(LinkScheme.RTU, serial_port="/dev/ttyUSB0")),
        ),
        (
            Device(
                DeviceId(9),
                "QF1",
                "GW",
                "0 146 68",
                "legrand-014668",
                5,
                sub_address=1,
                description="d",
                circuit="Light",
                zones=("Floor 2", "Floor 1"),
                position=3,
                side="left",
                phase="l1",
                supply=SupplyDirection.DOWNSTREAM,
                role=Role.PRODUCER,
                scales={"active_power": Fraction(1, 3)},
                is_enabled=False,
            ),
            Device(DeviceId(2), "QF2", "Serial", "x", "generic", 6),
        ),
        ("Light", "Power"),
        ("Floor 1", "Floor 2"),
    )
    stored = writer.replace_installation(sent)
    assert stored == replace(sent, revision=1)
    assert reader.load_installation() == stored
    shrunk = writer.replace_installation(replace(sent, devices=sent.devices[:1], gateways=sent.gateways[:1]))
    assert shrunk.devices == (sent.devices[0], replace(sent.devices[1], is_archived=True))
    assert reader.load_installation() == shrunk
