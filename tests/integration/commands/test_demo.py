"""The demo without a screen, in processes of its own: prepared once, really polled, counters go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emdx_desktop.commands.demo import DEMO_MARK, prepare_demo, running_simulator
from emdx_desktop.commands.site_folder import open_site_folder
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault
from emdx_desktop.domain.history import EventKind
from emdx_desktop.storage.history_reader import SqliteHistoryReader

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "data"
    told: list[str] = []
    prepare_demo(folder, told.append, long_days=3)
    assert told[-1].startswith("History is ready")
    assert "Preparing history 1/16" in told[0]
    return folder


def run_demo(folder: Path, seconds: int) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment["QT_QPA_PLATFORM"] = "offscreen"
    command = [sys.executable, "-m", "emdx_desktop", "--demo", "--data", str(folder), "--for", str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_demo_is_polled_shown_and_goes_on_without_a_step(demo_folder: Path) -> None:
    out = run_demo(demo_folder, 14)
    assert "16/16 devices" in out
    for name in ("demo-live.png", "demo-trends.png", "demo-last-hour.csv"):
        assert str(demo_folder / name) in out
        assert (demo_folder / name).stat().st_size > 1000
    run_demo(demo_folder, 3)
    reader = SqliteHistoryReader(demo_folder)
    try:
        end_ms = json.loads((demo_folder / DEMO_MARK).read_text())["prepared_to_ms"] + DAY_MS
        kinds = {event.kind for event in reader.load_events(end_ms - 5 * DAY_MS, end_ms)}
        assert {EventKind.STARTED, EventKind.STOPPED} <= kinds
        assert not kinds & {EventKind.COUNTER_RESET, EventKind.COUNTER_JUMP, EventKind.METER_CONFIG}
        assert not kinds & {EventKind.METER_SWAPPED, EventKind.WATCHDOG, EventKind.IMPORT_DIFFERS}
        for device in open_site_folder(demo_folder).load_installation().devices:
            for info in reader.series(device.id):
                if info.column.quantity in ("active_energy_import", "volume_water", "volume_gas"):
                    epochs = reader.load_counts(device.id, info.column.quantity, end_ms - 2 * DAY_MS, end_ms).epochs
                    assert len(epochs) == 1
    finally:
        reader.close()


def test_demo_goes_on_where_its_live_file_is_damaged(demo_folder: Path) -> None:
    before = open_site_folder(demo_folder).load_installation()
    (demo_folder / "live.db").write_bytes(b"garbage" * 5000)
    assert "16/16 devices" in run_demo(demo_folder, 12)
    after = open_site_folder(demo_folder).load_installation()
    assert [(device.id, device.name) for device in after.devices] == [(one.id, one.name) for one in before.devices]
    assert len(list(demo_folder.glob("live.db.damaged-*Z"))) == 1


def test_folder_of_a_real_site_is_never_taken_for_the_demo(tmp_path: Path) -> None:
    (tmp_path / "live.db").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="not the demo"):
        prepare_demo(tmp_path, print, long_days=1)


def test_demo_that_was_interrupted_is_prepared_anew(tmp_path: Path) -> None:
    left = tmp_path / "data.preparing"
    left.mkdir()
    (left / "live.db").write_bytes(b"half")
    (tmp_path / "data").mkdir()
    prepare_demo(tmp_path / "data", lambda _line: None, long_days=1)
    assert open_site_folder(tmp_path / "data").is_demo
    assert not left.exists()


def test_simulator_that_does_not_start_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"did not start.*simulator\.log"), running_simulator(tmp_path):
        pytest.fail("there is no state to start from")
    assert "cannot be read" in (tmp_path / "simulator.log").read_text()
