"""The csv: what each row says, times across a clock change, and cells no spreadsheet takes for a formula."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.commands.history import HEADER, exact_decimal, export_history, parse_range, quote_cell
from emdx_desktop.commands.site_folder import load_counter_seeds, open_site_folder
from emdx_desktop.domain.counters import CounterSeed
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault
from emdx_desktop.domain.history import MINUTE_MS, CounterEpoch, SeriesColumn, StateChange
from emdx_desktop.domain.installation import Device, Gateway, Installation, Link, LinkScheme, Site, SupplyDirection
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.domain.readings import DeviceId, GatewayId
from emdx_desktop.storage.history_importer import SqliteHistoryImporter
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import open_writer

PARIS = ZoneInfo("Europe/Paris")
# clocks go back at 01:00 UTC on 25 October 2026
START = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp() * 1000)
DEVICE = Device(DeviceId(1), '=HYPERLINK("x")', "GW1", "m", "p", 1)
INSTALLATION = Installation(
    Site("S", "Europe/Paris"), (), (Gateway(GatewayId(1), "GW1", Link(LinkScheme.TCP, "192.0.2.1", 502)),), (DEVICE,)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = open_writer(tmp_path, SystemClock())
    writer.replace_installation(INSTALLATION)
    writer.close()
    importer = SqliteHistoryImporter(tmp_path, SystemClock())
    power = SeriesColumn("active_power", QuantityKind.INSTANT, 0)
    minutes = np.arange(-5, 85, dtype=np.int64)
    importer.import_minutes(DEVICE.id, power, START, minutes, minutes != 3)
    energy = SeriesColumn("active_energy_import", QuantityKind.COUNTER, 0, "live")
    importer.import_minutes(DEVICE.id, energy, START, 1000 + np.arange(90, dtype=np.int64))
    offsets = SeriesColumn("read_offset_ms.live", QuantityKind.COUNTER, 0, "live")
    importer.import_minutes(DEVICE.id, offsets, START, np.full(90, 1_500, np.int64))
    importer.add_epoch(
        CounterEpoch(DEVICE.id, "active_energy_import", START, 1000, Fraction(1, 4), None, "first reading")
    )
    importer.import_states(
        [
            StateChange(DEVICE.id, "breaker_position", START - 1000, 1),
            StateChange(DEVICE.id, "breaker_position", START + 2 * MINUTE_MS + 7, 2),
            StateChange(DEVICE.id, "breaker_position", START + 4 * MINUTE_MS, None),
        ]
    )
    importer.finish()
    return tmp_path


def export(folder: Path, start_ms: int, end_ms: int, *quantities: str) -> list[dict[str, str]]:
    target = folder / "out.csv"
    chosen = frozenset(quantities) if quantities else None
    count = export_history(open_site_folder(folder), INSTALLATION, [DEVICE], chosen, start_ms, end_ms, str(target))
    rows = list(csv.DictReader(io.StringIO(target.read_text(encoding="utf-8"))))
    assert len(rows) == count
    return rows


def test_instants_have_their_minute_and_gaps_have_no_row(folder: Path) -> None:
    rows = export(folder, START, START + 10 * MINUTE_MS, "active_power")
    assert [row["value"] for row in rows] == ["-5", "-4", "-3", "-2", "-1", "0", "1", "2", "4"]
    assert rows[0] == {
        "timestamp": "2026-10-25T02:30:00+02:00",
        "device": '\'=HYPERLINK("x")',
        "quantity": "active_power",
        "value": "-5",
        "unit": "W",
        "quality": "good",
    }


def test_both_hours_of_a_clock_change_are_told_apart_by_their_offset(folder: Path) -> None:
    rows = export(folder, START, START + 90 * MINUTE_MS, "active_power")
    at_half_past_two = [row["timestamp"] for row in rows if "T02:30:00" in row["timestamp"]]
    assert at_half_past_two == ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"]


def test_counters_are_an_index_at_their_true_moment(folder: Path) -> None:
    rows = export(folder, START, START + 2 * MINUTE_MS, "active_energy_import")
    assert [(row["timestamp"], row["value"], row["unit"]) for row in rows] == [
        ("2026-10-25T02:30:01.500+02:00", "250", "Wh"),
        ("2026-10-25T02:31:01.500+02:00", "250.25", "Wh"),
    ]


def test_states_are_changes_and_the_unknown_is_empty(folder: Path) -> None:
    rows = export(folder, START, START + 10 * MINUTE_MS, "breaker_position")
    assert [(row["timestamp"], row["value"], row["quality"]) for row in rows] == [
        ("2026-10-25T02:32:00.007+02:00", "2", "good"),
        ("2026-10-25T02:34:00.000+02:00", "", "not_recorded"),
    ]


def test_everything_is_there_without_a_choice_but_no_read_offsets(folder: Path) -> None:
    rows = export(folder, START, START + MINUTE_MS)
    assert {row["quantity"] for row in rows} == {"active_power", "active_energy_import"}


def test_export_to_standard_output_begins_with_the_header(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_history(open_site_folder(folder), INSTALLATION, [DEVICE], None, START, START + MINUTE_MS, "-")
    assert capsys.readouterr().out.splitlines()[0] == HEADER


def test_failed_export_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = folder / "out.csv"
    target.write_text("old", encoding="utf-8")

    def fail(*_args: object) -> None:
        raise EnvironmentFault("damaged")

    monkeypatch.setattr(SqliteHistoryReader, "load_minutes", fail)
    with pytest.raises(EnvironmentFault):
        export(folder, START, START + MINUTE_MS)
    assert target.read_text(encoding="utf-8") == "old"
    assert not list(folder.glob(".out*"))


def test_seeds_are_the_last_readings_with_their_factor(folder: Path) -> None:
    reader = SqliteHistoryReader(folder)
    try:
        seeds = load_counter_seeds(reader)
    finally:
        reader.close()
    assert seeds == {
        (DEVICE.id, "active_energy_import"): CounterSeed(START + 89 * MINUTE_MS + 1_500, 1089, Fraction(1, 4))
    }


@pytest.mark.parametrize(
    ("changed", "is_seeded"),
    [(replace(DEVICE, supply=SupplyDirection.DOWNSTREAM), False), (replace(DEVICE, description="attic"), True)],
)
def test_device_read_as_something_else_meanwhile_does_not_go_on_from_its_last_count(
    folder: Path, changed: Device, is_seeded: bool
) -> None:
    writer = open_writer(folder, SystemClock())
    writer.replace_installation(replace(INSTALLATION, devices=(changed,)))
    writer.close()
    reader = SqliteHistoryReader(folder)
    try:
        assert bool(load_counter_seeds(reader)) is is_seeded
    finally:
        reader.close()


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("QF1", '"QF1"'),
        ('a "b"', '"a ""b"""'),
        ('=HYPERLINK("http://x")', '"\'=HYPERLINK(""http://x"")"'),
        ("+1", '"\'+1"'),
        ("-1", '"\'-1"'),
        ("@SUM", '"\'@SUM"'),
        ("  =1", '"\'  =1"'),
        ("\t=1", '"\'\t=1"'),
        ("a;=b", '"a;=b"'),
    ],
)
def test_cell_is_quoted_and_never_a_formula(text: str, cell: str) -> None:
    assert quote_cell(text) == cell


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Fraction(5), "5"),
        (Fraction(1, 4), "0.25"),
        (Fraction(-3, 8), "-0.375"),
        (Fraction(10**20), "100000000000000000000"),
        (Fraction(1, 3), "0.333333"),
        (Fraction(2, 10**9), "0.000000002"),
    ],
)
def test_index_is_exact_decimal(number: Fraction, text: str) -> None:
    assert exact_decimal(number) == text


def test_range_is_local_and_today_by_default() -> None:
    now_ms = START
    start_ms, end_ms = parse_range(None, None, PARIS, now_ms)
    assert datetime.fromtimestamp(start_ms / 1000, PARIS).isoformat() == "2026-10-25T00:00:00+02:00"
    assert end_ms == now_ms + MINUTE_MS
    start_ms, end_ms = parse_range("2026-10-25", "2026-10-26", PARIS, now_ms)
    assert end_ms - start_ms == 25 * 3_600_000
    start_ms, end_ms = parse_range("2026-10-25T02:30+01:00", "2026-10-25T03:00", PARIS, now_ms)
    assert end_ms - start_ms == 30 * MINUTE_MS


def test_every_wrong_moment_is_told() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_range("soon", "0001-01-01", PARIS, START)
    assert [problem.where for problem in caught.value.problems] == ["--from", "--to"]
