"""`emdx-desktop --demo`: a simulated building, really polled over Modbus, with thirteen months of history."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.app.paths import default_data_folder
from emdx_desktop.app.runtime import AcquisitionRuntime
from emdx_desktop.commands import window
from emdx_desktop.commands.collect import ANSWERING, format_status, stop_on_signals
from emdx_desktop.commands.history import export_history
from emdx_desktop.commands.read import exact_text
from emdx_desktop.commands.screenshot import save_picture
from emdx_desktop.commands.site_folder import (
    DEMO_MARK,
    SiteFolder,
    open_site_folder,
    opened_to_others,
    require_folder,
    site_zone,
)
from emdx_desktop.domain.errors import ConfigurationError, EnvironmentFault, Problem
from emdx_desktop.domain.history import MINUTE_MS, CounterEpoch
from emdx_desktop.domain.installation import Installation
from emdx_desktop.domain.quantities import QUANTITIES
from emdx_desktop.domain.readings import SiteSnapshot
from emdx_desktop.domain.site_file import parse_site_file
from emdx_desktop.simulator.building import DemoBuilding
from emdx_desktop.simulator.history import DemoHistory
from emdx_desktop.storage.history_importer import SqliteHistoryImporter
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import SqliteHistoryWriter, open_writer
from emdx_desktop.storage.months import LIVE_FILE_NAME

STATE_FILE = "simulator.json"
SIMULATOR_LOG = "simulator.log"
READY_S = 30.0
END_S = 10.0
HEADLESS_S = 30.0
TABLE_S = 5.0
EXPORT_MS = 60 * MINUTE_MS
PICTURE_SIZE_PX = (1440, 900)
_TABLE_QUANTITIES = (
    "active_power",
    "voltage_l1_n",
    "volume_flow_water",
    "volume_flow_gas",
    "volume_water",
    "volume_gas",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments beside --demo."""
    parser.add_argument(
        "--for",
        dest="demo_seconds",
        type=float,
        default=HEADLESS_S,
        metavar="SECONDS",
        help="with --demo and without a screen: how long the live table runs (default 30)",
    )


def default_demo_folder() -> Path:
    """Beside the folder of a real site, never in it."""
    return default_data_folder().with_name("emdx-desktop-demo")


def run(args: argparse.Namespace) -> int:
    """Prepare once, start the simulator, then show it."""
    path: Path = args.data
    if not (path / DEMO_MARK).is_file():
        prepare_demo(path, print)
    folder = open_site_folder(path)
    attached = window.attach_if_owned(folder)
    if attached is not None:
        attached.close()
        if has_screen():
            return window.run(folder)
        raise EnvironmentFault(
            f"The demo runs already, in {path} - a second one would be in its way - end that one first."
        )
    with running_simulator(path) as links:
        _take_links(folder, links)
        return window.run(folder) if has_screen() else _run_without_screen(folder, args.demo_seconds)


def has_screen() -> bool:
    """Whether a window could be seen."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


# --- preparing -----------------------------------------------------------------------------------------


def prepare_demo(path: Path, tell: Callable[[str], None], *, long_days: int | None = None) -> None:
    """Make the demo's data folder with its history. It is there whole or not at all.

    Args:
        path: Data folder to make.
        tell: Given each line of progress.
        long_days: Days of history; thirteen months without it.
    Raises:
        ConfigurationError: The folder holds a real site.
        EnvironmentFault: It cannot be written.
    """
    if (path / LIVE_FILE_NAME).exists():
        message = f"{path} holds a site that is not the demo; choose another folder."
        raise ConfigurationError([Problem("--data", message)])
    part = path.with_name(f"{path.name}.preparing")
    try:
        if part.exists():
            shutil.rmtree(part)  # of a demo that was interrupted while it was prepared
        require_folder(part)
        _fill(part, tell, long_days)
        if path.is_dir():
            for made in part.iterdir():
                made.rename(path / made.name)
            part.rmdir()
        else:
            part.rename(path)
    except OSError as error:
        raise EnvironmentFault(
            f"The demo cannot be prepared in {path} ({error.strerror}) - there is nothing to show - free some space."
        ) from error


def _fill(part: Path, tell: Callable[[str], None], long_days: int | None) -> None:
    started_s = time.monotonic()
    folder = open_site_folder(part)
    building = DemoBuilding(folder.catalogue)
    clock = SystemClock()
    placeholders = {name: f"tcp://127.0.0.1:{port}" for port, name in enumerate(building.lines, 50_001)}
    parsed = parse_site_file(building.write_site_file(placeholders), folder.catalogue)
    writer = open_writer(part, clock, purpose="the demo's preparation")
    try:
        installation = writer.replace_installation(parsed.installation)
    finally:
        writer.close()
    ids = {device.name: device.id for device in installation.devices}
    history = DemoHistory(building, clock.now_ms(), **({} if long_days is None else {"long_days": long_days}))
    importer = SqliteHistoryImporter(part, clock, installation.site.timezone)
    try:
        told = ""
        for piece in history.generate():
            if piece.device != told:
                told = piece.device
                number = history.device_names.index(told) + 1
                tell(f"Preparing history {number}/{len(history.device_names)}: {told}")
            importer.import_minutes(ids[piece.device], piece.column, piece.start_ms, piece.values, piece.is_good)
            if piece.factor is not None:
                importer.add_epoch(
                    CounterEpoch(
                        ids[piece.device],
                        piece.column.quantity,
                        piece.start_ms,
                        int(piece.values[0]),
                        piece.factor,
                        piece.modulus,
                        "first reading",
                    )
                )
        importer.finish()
    finally:
        importer.close()
    (part / STATE_FILE).write_text(json.dumps(history.start_state()), encoding="utf-8")
    (part / DEMO_MARK).write_text(json.dumps({"prepared_to_ms": history.end_ms}), encoding="utf-8")
    tell(f"History is ready after {time.monotonic() - started_s:.0f} s.")


# --- the simulator process -----------------------------------------------------------------------------


@contextmanager
def running_simulator(path: Path) -> Iterator[Mapping[str, str]]:
    """Run the simulated building in a process of its own; yields the links of its lines.

    Raises:
        EnvironmentFault: It does not start.
    """
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "emdx_desktop"]
    with (path / SIMULATOR_LOG).open("ab") as log:
        process = subprocess.Popen(
            [*program, "simulate", "--state", str(path / STATE_FILE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        # a simulator that keeps silent is ended, which ends the wait for its first line
        watchdog = threading.Timer(READY_S, process.kill)
        watchdog.start()
        try:
            first = process.stdout.readline()
            watchdog.cancel()
            try:
                links = {str(name): str(link) for name, link in json.loads(first)["links"].items()}
            except (ValueError, KeyError, TypeError) as error:
                raise EnvironmentFault(
                    f"The simulated building did not start - there is nothing to poll - see {path / SIMULATOR_LOG}."
                ) from error
            yield links
        finally:
            watchdog.cancel()
            process.stdin.close()  # its order to end
            process.stdout.close()
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _take_links(folder: SiteFolder, links: Mapping[str, str]) -> Installation:
    """The lines are reached at other ports each time."""
    # the writer comes first: it repairs what a crash or a damaged disk left
    writer = open_writer(folder.path, SystemClock(), purpose="the demo")
    try:
        previous = folder.find_installation()
        text = DemoBuilding(folder.catalogue).write_site_file(links)
        parsed = parse_site_file(text, folder.catalogue, previous)
        if previous is not None and replace(parsed.installation, revision=previous.revision) == previous:
            return previous
        return writer.replace_installation(parsed.installation)
    finally:
        writer.close()


# --- without a screen ----------------------------------------------------------------------------------


def _run_without_screen(folder: SiteFolder, seconds: float) -> int:
    """A live table for a while, or until interrupted, then pictures of the window and a csv."""
    is_stopping = threading.Event()
    stop_on_signals(is_stopping.set)
    clock = SystemClock()
    writer = open_writer(folder.path, clock, purpose="the demo")
    try:
        reader = SqliteHistoryReader(folder.path)
        try:
            installation = folder.load_installation()
            runtime = folder.make_runtime(installation, writer, reader)
            thread = threading.Thread(target=runtime.run, name="acquisition")
            with opened_to_others(runtime, folder, "the demo"):
                thread.start()
                try:
                    _show_table(runtime, installation, seconds, is_stopping)
                    made = _make_files(folder, installation, runtime, reader, writer)
                finally:
                    runtime.stop()
                    thread.join()
        finally:
            reader.close()
    finally:
        writer.close()
    print("Made without a screen:")
    for file in made:
        print(f"  {file}")
    return 0


def _make_files(
    folder: SiteFolder,
    installation: Installation,
    runtime: AcquisitionRuntime,
    reader: SqliteHistoryReader,
    writer: SqliteHistoryWriter,
) -> list[Path]:
    pictures = {page: folder.path / f"demo-{page}.png" for page in ("live", "trends")}
    for page, picture in pictures.items():
        save_picture(folder, reader, runtime, None, page, picture, PICTURE_SIZE_PX, "light", "en")
    table = folder.path / "demo-last-hour.csv"
    end_ms = writer.last_saved_minute_ms() + MINUTE_MS
    alive = [device for device in installation.devices if not device.is_archived]
    export_history(folder, installation, alive, None, end_ms - EXPORT_MS, end_ms, str(table))
    return [*pictures.values(), table]


def _show_table(
    runtime: AcquisitionRuntime, installation: Installation, seconds: float, is_stopping: threading.Event
) -> None:
    zone = site_zone(installation)
    is_terminal = sys.stdout.isatty()
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > 0:
        if is_stopping.wait(min(TABLE_S, left_s)):
            return
        snapshot = runtime.latest()
        if snapshot is None:
            continue
        lines = [format_status(snapshot, zone), *format_table(installation, snapshot)]
        print(("\x1b[H\x1b[2J" if is_terminal else "") + "\n".join(lines), flush=True)


def format_table(installation: Installation, snapshot: SiteSnapshot) -> list[str]:
    """One line a device: name, state and its most telling values."""
    lines = []
    for device in installation.devices:
        shown = snapshot.devices.get(device.id)
        if shown is None:
            continue
        cells = []
        for id_ in _TABLE_QUANTITIES:
            live = shown.values.get(id_)
            if live is not None and live.value is not None:
                definition = QUANTITIES[id_]
                cells.append(f"{definition.symbol} {exact_text(id_, live.value):>9} {definition.unit}")
        state = "on" if shown.state in ANSWERING else shown.state.value
        lines.append(f"  {device.name:<24} {state:<10} " + "   ".join(cells[:3]))
    return lines
