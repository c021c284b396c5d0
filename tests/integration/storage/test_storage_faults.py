"""Bad days: kills, torn logs, locks, full disks, damaged files. Nothing acknowledged is lost, nothing deleted."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import apsw
import numpy as np
import pytest
from crash_loop import run_crash_loop
from storage_rig import FakeClock, batch, device_minute, installation, utc_ms, voltage

from emdx_desktop.domain.errors import StorageFault
from emdx_desktop.domain.history import (
    DAY_MS,
    MINUTE_MS,
    CounterEpoch,
    DeviceMinute,
    EventKind,
    MinuteBatch,
    Resolution,
    RetentionPolicy,
)
from emdx_desktop.domain.readings import DeviceId, NoticeLevel, Quality
from emdx_desktop.storage.folder_lock import DataFolderLock
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import SqliteHistoryWriter, open_writer
from emdx_desktop.storage.journal_copy import COPY_FILE_NAME
from emdx_desktop.storage.minute_commit import MinuteCommitter
from emdx_desktop.storage.space import load_policy

START_MS = utc_ms(2026, 10, 5, 6)
START = START_MS // MINUTE_MS
D1 = DeviceId(1)

Opener = Callable[..., SqliteHistoryWriter]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START_MS + 60 * MINUTE_MS)


@pytest.fixture
def start(tmp_path: Path, clock: FakeClock) -> Iterator[Opener]:
    writers: list[SqliteHistoryWriter] = []

    def opener(busy_timeout_ms: int = 50) -> SqliteHistoryWriter:
        writers.append(open_writer(tmp_path, clock, busy_timeout_ms=busy_timeout_ms))
        return writers[-1]

    yield opener
    for writer in writers:
        writer.close()


def shown(folder: Path, count: int) -> list[float]:
    reader = SqliteHistoryReader(folder)
    values = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + count * MINUTE_MS).values
    reader.close()
    return values.tolist()


def expected(count: int) -> list[float]:
    return [voltage(START + k, 1) / 100 for k in range(count)]


def test_kill_minus_nine_loses_nothing_acknowledged(tmp_path: Path) -> None:
    result = run_crash_loop(tmp_path, kills=5)
    assert result.acknowledged > 20
    assert result[1:] == (0, 0, 0)


def test_a_torn_log_always_opens_with_a_prefix_of_the_minutes(tmp_path: Path, clock: FakeClock) -> None:
    whole = tmp_path / "whole"
    writer = open_writer(whole, clock)
    for minute in range(START, START + 25):
        writer.submit(batch(minute))
        writer.wait_until_saved()
    copy = tmp_path / "copy"
    shutil.copytree(whole, copy)  # as a power cut would leave it: log not folded in
    writer.close()
    log = (copy / "live.db-wal").read_bytes()
    rng = random.Random(4)
    lengths = set()
    for trial in range(24):
        torn = tmp_path / f"torn{trial}"
        shutil.copytree(copy, torn)
        (torn / "live.db-shm").unlink(missing_ok=True)
        damaged = bytearray(log)
        position = rng.randrange(32, len(log))
        if trial % 3 == 0:
            damaged = damaged[:position]
        elif trial % 3 == 1:
            damaged[position] ^= 1 << rng.randrange(8)
        else:
            start = position // 512 * 512
            damaged[start : start + 512] = bytes(len(damaged[start : start + 512]))
        (torn / "live.db-wal").write_bytes(damaged)
        open_writer(torn, clock).close()
        connection = apsw.Connection(str(torn / "live.db"))
        assert connection.execute("PRAGMA integrity_check").get == "ok"
        has_data = connection.execute("SELECT count(*) FROM tail").get
        connection.close()
        values = shown(torn, 25)
        good = [value for value in values if value == value]
        assert good == expected(len(good)), "a prefix, and every value as it was"
        assert has_data == 2 * len(good)
        lengths.add(len(good))
        shutil.rmtree(torn)
    assert len(lengths) > 3


def test_a_locked_database_spills_and_replays(tmp_path: Path, start: Opener, clock: FakeClock) -> None:
    writer = start()
    writer.submit(batch(START))
    writer.wait_until_saved()
    holder = apsw.Connection(str(tmp_path / "live.db"))
    holder.execute("BEGIN IMMEDIATE")
    for minute in range(START + 1, START + 5):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    assert writer.spooled_batches() == 4
    assert [(n.key, n.level) for n in writer.notices()] == [("storage.refused", NoticeLevel.WARNING)]
    assert "another program holds it" in writer.notices()[0].message
    clock.ms += 61_000
    writer.submit(batch(START + 5))
    writer.wait_until_saved()
    assert writer.notices()[0].level is NoticeLevel.ALARM
    holder.execute("ROLLBACK")
    holder.close()
    clock.ms += 6_000
    writer.wait_until_saved()
    assert writer.spooled_batches() == 0
    assert writer.notices() == ()
    assert shown(tmp_path, 6) == expected(6)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (apsw.IOError("disk I/O error"), "disk I/O error"),
        (apsw.ReadOnlyError("attempt to write a readonly database"), "read-only"),
        (apsw.CantOpenError("unable to open database file"), "unable to open"),
        (apsw.FullError("database or disk is full"), "the disk is full"),
    ],
)
def test_whatever_the_database_refuses_with_minutes_wait_and_are_saved(
    tmp_path: Path,
    start: Opener,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    error: apsw.Error,
    words: str,
) -> None:
    writer = start()
    refusing = True
    commit = MinuteCommitter.commit

    def maybe(committer: MinuteCommitter, minutes: MinuteBatch) -> tuple[tuple[DeviceMinute, str], ...]:
        if refusing:
            raise error
        return commit(committer, minutes)

    monkeypatch.setattr(MinuteCommitter, "commit", maybe)
    for minute in range(START, START + 3):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    assert writer.spooled_batches() == 3
    assert words in writer.notices()[0].message
    refusing = False
    clock.ms += 6_000
    writer.wait_until_saved()
    assert writer.spooled_batches() == 0
    assert writer.notices() == ()
    assert shown(tmp_path, 3) == expected(3)
    assert not list(tmp_path.glob("live.db.damaged-*"))


def test_a_full_disk_spills_and_resumes_alone(tmp_path: Path, start: Opener, clock: FakeClock) -> None:
    writer = start()
    writer.submit(batch(START))
    writer.wait_until_saved()
    connection = writer._connection
    pages = connection.execute("PRAGMA page_count").get
    connection.execute(f"PRAGMA max_page_count={pages}")
    for minute in range(START + 1, START + 200):
        writer.submit(batch(minute, devices=range(1, 9)))
    writer.wait_until_saved()
    assert writer.spooled_batches() > 0
    assert "the disk is full" in writer.notices()[0].message
    connection.execute("PRAGMA max_page_count=1000000")
    clock.ms += 6_000
    writer.wait_until_saved()
    assert writer.spooled_batches() == 0
    assert shown(tmp_path, 200) == expected(200)


def test_the_spool_survives_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    writer = open_writer(tmp_path, clock, busy_timeout_ms=10)
    holder = apsw.Connection(str(tmp_path / "live.db"))
    holder.execute("BEGIN IMMEDIATE")
    for minute in range(START, START + 3):
        writer.submit(batch(minute))
    writer.close()
    holder.close()
    assert (tmp_path / "spool.bin").exists()
    again = open_writer(tmp_path, clock)
    again.close()
    assert not (tmp_path / "spool.bin").exists()
    assert shown(tmp_path, 3) == expected(3)


def test_poison_is_put_aside_and_blocks_nobody(tmp_path: Path, start: Opener) -> None:
    writer = start()
    good = device_minute(START, 1)
    poison = device_minute(START, 2)
    broken = DeviceMinute(poison.layout, (2**70, 1, 1, 1), *[getattr(poison, n) for n in poison.__slots__[2:]])
    writer.submit(MinuteBatch(START_MS, (broken, good)))
    writer.submit(batch(START + 1))
    writer.wait_until_saved()
    assert shown(tmp_path, 2) == expected(2)
    assert [notice.key for notice in writer.notices()] == ["storage.quarantine"]
    connection = apsw.Connection(str(tmp_path / "live.db"))
    assert connection.execute("SELECT count(*) FROM quarantine").get == 1
    connection.close()


def test_minutes_from_the_future_are_put_aside(tmp_path: Path, start: Opener, clock: FakeClock) -> None:
    writer = start()
    clock.ms = START_MS
    writer.submit(batch(START + 2 * 1440))
    writer.submit(batch(START))
    writer.wait_until_saved()
    assert shown(tmp_path, 1) == expected(1)
    assert writer.last_saved_minute_ms() == START_MS
    reader = SqliteHistoryReader(tmp_path)
    assert [event.kind for event in reader.load_events(0, START_MS + DAY_MS)] == [EventKind.STORAGE]
    reader.close()


@pytest.mark.parametrize("damage", ["empty", "garbage", "header", "schema", "log"])
def test_a_damaged_live_file_is_set_aside_and_a_fresh_one_started(
    tmp_path: Path, start: Opener, clock: FakeClock, damage: str
) -> None:
    clock.ms = utc_ms(2026, 11, 20)
    writer = open_writer(tmp_path, clock)
    writer.replace_installation(installation("Europe/Paris"))
    for minute in range(START, START + 5):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    writer.maintain()  # October is sealed
    writer.close()
    live = tmp_path / "live.db"
    content = bytearray(live.read_bytes())
    if damage == "empty":
        content.clear()
    elif damage == "garbage":
        content = bytearray(random.Random(1).randbytes(len(content)))
    elif damage == "header":
        content[:16] = bytes(16)
    elif damage == "schema":
        content[100:16_384] = random.Random(2).randbytes(16_284)
    else:
        (tmp_path / "live.db-wal").write_bytes(random.Random(3).randbytes(5000))
        (tmp_path / "live.db-shm").write_bytes(random.Random(3).randbytes(5000))
    live.write_bytes(content)
    again = start()
    aside = list(tmp_path.glob("live.db.damaged-*"))
    if damage == "log":
        assert aside == [], "a log that is garbage holds nothing; the file itself is whole"
    else:
        assert len(aside) == 1
        assert aside[0].read_bytes() == bytes(content), "kept as it was"
        notice = again.notices()[0]
        assert notice.level is NoticeLevel.ALARM
        assert aside[0].name in notice.message
    # series, installation and the sealed month are back; acquisition goes on
    assert shown(tmp_path, 5) == expected(5)
    again.submit(batch(START + 1440 * 45))
    again.wait_until_saved()
    reader = SqliteHistoryReader(tmp_path)
    stored = reader.load_installation()
    assert stored is not None
    assert stored.site.timezone == "Europe/Paris"
    assert reader.load_rollup(D1, "active_power", 0, clock.ms, Resolution.DAY).polls.tolist() == [20, 4]
    reader.close()


def test_damage_found_while_running_sets_the_file_aside(tmp_path: Path, start: Opener) -> None:
    writer = start()
    for minute in range(START, START + 3):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    writer._call(lambda: writer._replace_live("quick_check found a page twice"))
    writer.submit(batch(START + 3))
    writer.wait_until_saved()
    assert len(list(tmp_path.glob("live.db.damaged-*"))) >= 1
    assert np.isnan(shown(tmp_path, 4)).tolist() == [True, True, True, False]
    assert any("quick_check found a page twice" in notice.message for notice in writer.notices())
    assert not any("missing" in notice.message for notice in writer.notices())
    reader = SqliteHistoryReader(tmp_path)
    assert any("quick_check found a page twice" in event.message for event in reader.load_events(0, 2 * START_MS))
    reader.close()


def test_an_unclean_stop_is_checked_in_the_background(tmp_path: Path, start: Opener) -> None:
    first = start()
    first.submit(batch(START))
    first.wait_until_saved()
    first.close()
    (tmp_path / "writer.running").touch()  # as a kill leaves it
    second = start()
    second.submit(batch(START + 1))
    second.wait_until_saved()
    second.close()
    assert second.notices() == ()
    assert not (tmp_path / "writer.running").exists()
    assert shown(tmp_path, 2) == expected(2)


def test_a_thousand_flipped_bits_are_all_found_and_none_is_shown(tmp_path: Path, clock: FakeClock) -> None:
    clock.ms = utc_ms(2026, 11, 20)
    writer = open_writer(tmp_path, clock)
    days = 20
    for day in range(days):
        for minute in range(START + 1440 * day, START + 1440 * day + 30):
            writer.submit(batch(minute, devices=range(1, 9)))
    writer.wait_until_saved(120)
    writer.maintain()
    writer.close()
    sealed = tmp_path / "history" / "2026-10.db"
    connection = apsw.Connection(str(sealed))
    rows = list(connection.execute("SELECT id, body FROM chunk"))
    connection.close()
    assert len(rows) == days * 8 * 4
    rng = random.Random(9)
    flipped = 0
    while flipped < 1000:
        connection = apsw.Connection(str(sealed))
        with connection:
            for rowid, body in rows:
                damaged = bytearray(body)
                bit = rng.randrange(8 * len(body))
                damaged[bit // 8] ^= 1 << bit % 8
                connection.execute("UPDATE chunk SET body = ? WHERE id = ?", (bytes(damaged), rowid))
        connection.close()
        flipped += len(rows)
        assert_nothing_is_shown(tmp_path, days)


def assert_nothing_is_shown(folder: Path, days: int) -> None:
    reader = SqliteHistoryReader(folder)
    for device in range(1, 9):
        series = reader.load_minutes(DeviceId(device), "voltage_l1_n", START_MS, START_MS + days * DAY_MS)
        assert np.isnan(series.values).all()
        assert set(series.qualities.tolist()) == {Quality.NOT_RECORDED}
        power = reader.load_minutes(DeviceId(device), "active_power", START_MS, START_MS + days * DAY_MS)
        assert np.isnan(power.values).all()
        counts = reader.load_counts(DeviceId(device), "active_energy_import", START_MS, START_MS + days * DAY_MS)
        assert counts.counts.size == 0
        assert reader.load_device_day(DeviceId(device), START_MS // DAY_MS * DAY_MS) == {}
    assert [notice.level for notice in reader.notices()] == [NoticeLevel.ALARM]
    assert "2026-10" in reader.storage_report().notices[0]
    reader.close()


def test_damaged_pages_of_a_sealed_month_cost_that_month_only(tmp_path: Path, clock: FakeClock) -> None:
    clock.ms = utc_ms(2026, 12, 20)
    november = (utc_ms(2026, 11, 5) - START_MS) // MINUTE_MS
    writer = open_writer(tmp_path, clock)
    for minute in (START, START + november):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    writer.maintain()
    writer.close()
    sealed = tmp_path / "history" / "2026-10.db"
    content = bytearray(sealed.read_bytes())
    content[16_384:] = random.Random(1).randbytes(len(content) - 16_384)
    sealed.write_bytes(content)
    reader = SqliteHistoryReader(tmp_path)
    values = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + (november + 1) * MINUTE_MS).values
    assert np.isnan(values[0])
    assert values[-1] == voltage(START + november, 1) / 100
    assert reader.notices()
    reader.close()


def test_a_garbage_month_file_is_set_aside_and_a_missing_one_is_told(tmp_path: Path, clock: FakeClock) -> None:
    history = tmp_path / "history"
    history.mkdir()
    (history / "2026-08.db").write_bytes(b"")
    (history / "2026-07.db").write_bytes(b"garbage" * 100)
    (history / "2026-06.db.part").write_bytes(b"half")
    clock.ms = utc_ms(2026, 11, 20)
    writer = open_writer(tmp_path, clock)
    writer.submit(batch(START))
    writer.wait_until_saved()
    writer.maintain()
    writer.close()
    names = sorted(path.name.split("-2026")[0] for path in history.iterdir())
    assert names == ["2026-07.db.damaged", "2026-08.db.damaged", "2026-10.db"]
    (history / "2026-10.db").rename(tmp_path / "elsewhere.db")
    writer = open_writer(tmp_path, clock)
    assert "2026-10" in writer.notices()[0].message
    writer.close()
    (tmp_path / "elsewhere.db").rename(history / "2026-10.db")
    open_writer(tmp_path, clock).close()
    assert shown(tmp_path, 1) == expected(1)


def test_a_crash_between_renaming_a_month_and_its_entry_is_finished(tmp_path: Path, clock: FakeClock) -> None:
    writer = open_writer(tmp_path, clock)
    for minute in range(START, START + 90):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    clock.ms = START_MS + 2 * DAY_MS
    writer.maintain()  # packed, not sealed
    writer.close()
    before = (tmp_path / "live.db").read_bytes()
    clock.ms = utc_ms(2026, 11, 20)
    writer = open_writer(tmp_path, clock)
    writer.maintain()
    writer.close()
    (tmp_path / "live.db").write_bytes(before)
    writer = open_writer(tmp_path, clock)
    writer.maintain()
    assert writer.notices() == ()
    writer.close()
    assert [path.name for path in (tmp_path / "history").iterdir()] == ["2026-10.db"]
    reader = SqliteHistoryReader(tmp_path)
    hours = reader.load_rollup(D1, "active_power", START_MS, clock.ms, Resolution.HOUR)
    assert hours.polls.tolist() == [240, 120], "hours are not counted twice"
    reader.close()
    assert shown(tmp_path, 90) == expected(90)


def test_a_newer_format_is_refused_and_left_untouched(tmp_path: Path, clock: FakeClock) -> None:
    open_writer(tmp_path, clock).close()
    connection = apsw.Connection(str(tmp_path / "live.db"))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    content = (tmp_path / "live.db").read_bytes()
    with pytest.raises(StorageFault, match="newer release"):
        open_writer(tmp_path, clock)
    with pytest.raises(StorageFault, match="newer release"):
        SqliteHistoryReader(tmp_path).load_events(0, 1)
    assert (tmp_path / "live.db").read_bytes() == content


def test_a_data_folder_has_one_owner(tmp_path: Path, start: Opener, clock: FakeClock) -> None:
    writer = start()
    with pytest.raises(StorageFault, match=r"in use by acquisition \(process \d+ on "):
        open_writer(tmp_path, clock)
    writer.close()
    lock = DataFolderLock(tmp_path)
    lock.acquire()
    lock.release()
    lock.release()


def test_a_folder_that_refuses_is_told_at_once(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFault, match="cannot be written"):
        open_writer(tmp_path / "file", clock)


def test_names_with_accents_and_blanks_are_fine(tmp_path: Path, clock: FakeClock) -> None:
    folder = tmp_path / "Usine é 中 100%"
    clock.ms = utc_ms(2026, 11, 20)
    writer = open_writer(folder, clock)
    writer.submit(batch(START))
    writer.wait_until_saved()
    writer.maintain()
    writer.close()
    assert shown(folder, 1) == expected(1)


def test_readers_of_many_threads_let_go_of_their_files(tmp_path: Path, start: Opener) -> None:
    writer = start()
    writer.submit(batch(START))
    writer.wait_until_saved()
    reader = SqliteHistoryReader(tmp_path)
    faults: list[BaseException] = []

    def read() -> None:
        try:
            for _round in range(20):
                assert reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + MINUTE_MS).values[0] > 0
        except BaseException as error:  # noqa: BLE001  # told below
            faults.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for minute in range(START + 1, START + 20):
        writer.submit(batch(minute))
    for thread in threads:
        thread.join()
    assert faults == []
    del threads, thread
    assert len(reader._open) == 0, "connections end with their thread"
    reader.close()


def test_submitting_to_a_closed_writer_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    writer = open_writer(tmp_path, clock)
    writer.close()
    writer.close()
    with pytest.raises(StorageFault, match="closed"):
        writer.submit(batch(START))
    with pytest.raises(StorageFault, match="closed"):
        writer.maintain()


def test_when_the_spool_refuses_too_memory_keeps_the_minutes(tmp_path: Path, start: Opener, clock: FakeClock) -> None:
    writer = start()
    writer.submit(batch(START))
    writer.wait_until_saved()
    (tmp_path / "spool.bin").mkdir()  # nothing can be appended to a folder
    holder = apsw.Connection(str(tmp_path / "live.db"))
    holder.execute("BEGIN IMMEDIATE")
    for minute in range(START + 1, START + 4):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    assert {notice.key for notice in writer.notices()} == {"storage.refused", "storage.spool"}
    holder.execute("ROLLBACK")
    holder.close()
    clock.ms += 6_000
    writer.wait_until_saved()
    assert writer.notices() == ()
    assert shown(tmp_path, 4) == expected(4)
    (tmp_path / "spool.bin").rmdir()


def test_a_damaged_page_found_after_an_unclean_stop_sets_the_file_aside(
    tmp_path: Path, start: Opener, clock: FakeClock
) -> None:
    first = start()
    for minute in range(START, START + 60):
        first.submit(batch(minute, devices=range(1, 9)))
    first.wait_until_saved()
    root = first._connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'tail'").get
    first.close()
    content = bytearray((tmp_path / "live.db").read_bytes())
    content[(root - 1) * 16_384 : root * 16_384] = bytes(16_384)
    (tmp_path / "live.db").write_bytes(content)
    (tmp_path / "writer.running").touch()
    second = start()
    assert second._check_thread is not None
    second._check_thread.join()
    second.submit(batch(START + 60))
    second.wait_until_saved()
    assert len(list(tmp_path.glob("live.db.damaged-*"))) == 1
    assert shown(tmp_path, 61)[60] == voltage(START + 60, 1) / 100


def test_a_listener_that_fails_does_not_end_saving(tmp_path: Path, clock: FakeClock) -> None:
    calls: list[int] = []

    def listener(minute_ms: int) -> None:
        calls.append(minute_ms)
        if len(calls) == 1:
            raise RuntimeError("bug")

    writer = open_writer(tmp_path, clock, listener)
    writer.submit(batch(START))
    writer.submit(batch(START + 1))
    writer.wait_until_saved()
    assert "storage.bug" in [notice.key for notice in writer.notices()]
    writer.close()
    assert len(calls) == 2
    assert shown(tmp_path, 2) == expected(2)


def test_an_installation_is_refused_while_the_database_is(tmp_path: Path, start: Opener) -> None:
    writer = start()
    holder = apsw.Connection(str(tmp_path / "live.db"))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFault, match="nothing was changed"):
        writer.replace_installation(installation("Europe/Paris"))
    holder.close()
    assert writer.replace_installation(installation("Europe/Paris")).revision == 1


def test_a_flood_of_minutes_is_kept(tmp_path: Path, start: Opener) -> None:
    writer = start()
    gate = threading.Event()
    future = threading.Thread(target=lambda: writer._call(gate.wait))
    future.start()
    for minute in range(START, START + 300):
        writer.submit(batch(minute, devices=(1,)))
    gate.set()
    future.join()
    writer.wait_until_saved()
    assert shown(tmp_path, 300) == expected(300)


def test_a_damaged_newest_minute_is_a_gap_and_is_kept_when_its_day_is_packed(
    tmp_path: Path, start: Opener, clock: FakeClock
) -> None:
    writer = start()
    for minute in range(START, START + 3):
        writer.submit(batch(minute, devices=(1,)))
    writer.wait_until_saved()

    def flip() -> bytes:
        body = bytearray(writer._connection.execute("SELECT body FROM tail ORDER BY id LIMIT 1").get)
        body[12] ^= 8
        writer._connection.execute("UPDATE tail SET body = ? WHERE id = (SELECT min(id) FROM tail)", (bytes(body),))
        return bytes(body)

    damaged = writer._call(flip)
    reader = SqliteHistoryReader(tmp_path)
    for _round in range(2):
        series = reader.load_minutes(D1, "voltage_l1_n", START_MS, START_MS + 3 * MINUTE_MS)
        assert np.isnan(series.values).tolist() == [True, False, False]
        clock.ms = START_MS + 2 * DAY_MS
        writer.maintain()
    assert [notice.key for notice in reader.notices()] == ["storage.tail"]
    reader.close()
    kept = writer._call(lambda: writer._connection.execute("SELECT record FROM quarantine").get)
    assert kept == damaged


def test_a_device_whose_only_minute_is_damaged_does_not_stop_packing(start: Opener, clock: FakeClock) -> None:
    writer = start()
    writer.submit(batch(START))
    writer.submit(batch(START + 1, devices=(2,)))
    writer.wait_until_saved()

    def flip() -> None:
        body = bytearray(writer._connection.execute("SELECT body FROM tail WHERE id & 0xFFFFFF = 1").get)
        body[12] ^= 8
        writer._connection.execute("UPDATE tail SET body = ? WHERE id & 0xFFFFFF = 1", (bytes(body),))

    writer._call(flip)
    clock.ms = START_MS + 2 * DAY_MS
    writer.maintain()
    left = writer._call(
        lambda: writer._connection.execute("SELECT (SELECT count(*) FROM tail), (SELECT count(*) FROM quarantine)").get
    )
    assert left == (0, 1)


def test_who_waits_for_work_that_ends_by_a_bug_is_told(start: Opener) -> None:
    writer = start()
    with pytest.raises(ZeroDivisionError):
        writer._call(lambda: 1 // 0, timeout_s=None)
    writer.submit(batch(START))
    writer.wait_until_saved()
    assert writer.last_saved_minute_ms() == START_MS


@pytest.mark.parametrize("damage", ["empty", "garbage", "missing"])
def test_a_live_file_lost_before_its_first_month_is_over_leaves_the_installation(
    tmp_path: Path, start: Opener, damage: str
) -> None:
    first = start()
    first.replace_installation(installation("Europe/Paris"))
    first.set_retention(RetentionPolicy(instant_days=700))
    epoch = CounterEpoch(D1, "active_energy_import", START_MS, 5, Fraction(10), 10**8, "first reading")
    first.submit(MinuteBatch(START_MS, batch(START).devices, epochs=(epoch,)))
    first.wait_until_saved()
    first.close()
    live = tmp_path / "live.db"
    if damage == "missing":
        live.unlink()
    else:
        live.write_bytes(b"" if damage == "empty" else random.Random(1).randbytes(50_000))
    again = start()
    again.submit(batch(START + 1))
    again.wait_until_saved()
    reader = SqliteHistoryReader(tmp_path)
    stored = reader.load_installation()
    assert stored is not None
    assert stored.site.timezone == "Europe/Paris"
    counts = reader.load_counts(D1, "active_energy_import", START_MS, START_MS + 2 * MINUTE_MS)
    assert [(one.factor, one.modulus) for one in counts.epochs] == [(Fraction(10), 10**8)]
    reader.close()
    assert again._call(lambda: load_policy(again._connection)) == RetentionPolicy(instant_days=700)
    assert not any("import the site file" in notice.message for notice in again.notices())


def test_when_the_copy_is_damaged_too_a_person_is_asked_for_the_site_file(tmp_path: Path, start: Opener) -> None:
    first = start()
    first.replace_installation(installation("Europe/Paris"))
    first.close()
    copy = bytearray((tmp_path / COPY_FILE_NAME).read_bytes())
    copy[-1] ^= 1
    (tmp_path / COPY_FILE_NAME).write_bytes(copy)
    (tmp_path / "live.db").write_bytes(b"")
    again = start()
    assert any("import the site file" in notice.message for notice in again.notices())
    assert again.replace_installation(installation("Europe/Paris")).revision == 1


def test_any_damaged_page_of_the_live_file_is_survived_with_its_installation(tmp_path: Path, clock: FakeClock) -> None:
    whole = tmp_path / "whole"
    writer = open_writer(whole, clock)
    writer.replace_installation(installation("Europe/Paris"))
    for minute in range(START, START + 3):
        writer.submit(batch(minute))
    writer.wait_until_saved()
    writer.close()
    content = (whole / "live.db").read_bytes()
    for position in range(0, len(content), 16_384):
        folder = tmp_path / f"page{position}"
        shutil.copytree(whole, folder)
        (folder / "live.db").write_bytes(content[:position] + bytes(16_384) + content[position + 16_384 :])
        writer = open_writer(folder, clock)
        writer.submit(batch(START + 3))
        writer.wait_until_saved()
        writer.submit(batch(START + 4))  # the first one may have shown the damage
        writer.wait_until_saved()
        assert writer.spooled_batches() == 0
        reader = SqliteHistoryReader(folder)
        stored = reader.load_installation()
        assert stored is not None
        assert stored.site.timezone == "Europe/Paris"
        reader.close()
        writer.close()
        assert shown(folder, 5)[4] == expected(5)[4]
        shutil.rmtree(folder)


def test_only_an_unclean_stop_is_followed_by_a_check(tmp_path: Path, start: Opener) -> None:
    start().close()
    clean = start()
    assert clean._check_thread is None
    clean.close()
    (tmp_path / "writer.running").touch()  # as a kill leaves it
    assert start()._check_thread is not None


def test_a_disk_full_amid_an_installation_is_told_and_changes_nothing(tmp_path: Path, start: Opener) -> None:
    writer = start()
    writer.replace_installation(installation("Europe/Paris"))
    pages = writer._call(lambda: writer._connection.execute("PRAGMA page_count").get)
    writer._call(lambda: writer._connection.execute(f"PRAGMA max_page_count={pages}").get)
    many = replace(installation("UTC"), zones=tuple(f"Zone {number}" for number in range(5000)))
    with pytest.raises(StorageFault, match="nothing was changed"):
        writer.replace_installation(many)
    reader = SqliteHistoryReader(tmp_path)
    stored = reader.load_installation()
    assert stored is not None
    assert stored.site.timezone == "Europe/Paris"
    reader.close()
