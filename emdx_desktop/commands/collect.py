"""`emdx-desktop collect`: acquire and record without a window."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from zoneinfo import ZoneInfo

from emdx_desktop.app.clock import SystemClock
from emdx_desktop.commands.site_folder import open_site_folder, opened_to_others, require_devices, site_zone
from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.domain.ports import SupervisionPort
from emdx_desktop.domain.readings import DeviceState, NoticeLevel, SiteSnapshot
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import open_writer

STATUS_S = 5.0
LOGGED_STATUS_S = 60.0
"""Where the lines go into a file, as under a service, one a minute is enough."""
END_S = 2.0
ANSWERING = (DeviceState.ANSWERING, DeviceState.PARTIAL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("--for", dest="seconds", type=_seconds, metavar="SECONDS", help="stop after this time")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < 1e9:
        raise ValueError
    return seconds


def run(args: argparse.Namespace) -> int:
    """Acquire until interrupted, or for a time."""
    folder = open_site_folder(args.data)
    folder.require_live_file()
    # the writer comes first: it repairs what a crash or a damaged disk left
    writer = open_writer(folder.path, SystemClock(), purpose="collect")
    try:
        reader = SqliteHistoryReader(folder.path)
        try:
            try:
                installation = folder.load_installation()
            except ConfigurationError:
                for notice in writer.notices():  # why there is none: nobody else would say it
                    print(f"! {notice.message}", file=sys.stderr)
                raise
            require_devices(installation)
            runtime = folder.make_runtime(installation, writer, reader)
        finally:
            reader.close()
        status = StatusPrinter(runtime, site_zone(installation), as_json=args.json)
        stop_on_signals(runtime.stop)
        timer = threading.Timer(args.seconds, runtime.stop) if args.seconds else None
        with opened_to_others(runtime, folder, "collect"):
            try:
                status.start()
                if timer is not None:
                    timer.daemon = True
                    timer.start()
                runtime.run()
            finally:
                if timer is not None:
                    timer.cancel()
                status.stop()
    finally:
        writer.close()
    return 0


def stop_on_signals(stop: Callable[[], object]) -> None:
    """Have an interruption (Ctrl+C, a service that is stopped) end a command in order."""

    def obey(_number: int, _frame: FrameType | None) -> None:
        stop()

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, obey)


class StatusPrinter:
    """Prints a line of status now and then, in a thread of its own: a terminal that stalls must not stall a line."""

    def __init__(self, port: SupervisionPort, zone: ZoneInfo, *, as_json: bool) -> None:
        self._port = port
        self._zone = zone
        self._as_json = as_json
        self._every_s = STATUS_S if sys.stdout.isatty() else LOGGED_STATUS_S
        self._is_stopping = threading.Event()
        self._has_snapshot = threading.Event()
        self._leave = port.subscribe(lambda _snapshot: self._has_snapshot.set())
        self._thread = threading.Thread(target=self._print_all, name="status", daemon=True)
        self._told: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End with a last line."""
        self._is_stopping.set()
        self._has_snapshot.set()
        self._thread.join(END_S)

    def _print_all(self) -> None:
        try:
            self._has_snapshot.wait()
            self._leave()
            self._print()
            while not self._is_stopping.wait(self._every_s):
                self._print()
            self._print()
        except (OSError, ValueError):
            # nobody reads standard output any more; what Python would still flush at exit goes nowhere
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def _print(self) -> None:
        snapshot = self._port.latest()
        if snapshot is None:
            return
        if self._as_json:
            print(json.dumps(describe_status(snapshot, self._zone), ensure_ascii=False), flush=True)
            return
        for notice in snapshot.notices:
            if notice.level is not NoticeLevel.INFO and (notice.key, notice.message) not in self._told:
                self._told.add((notice.key, notice.message))
                print(f"! {notice.message}", flush=True)
        print(format_status(snapshot, self._zone), flush=True)


def describe_status(snapshot: SiteSnapshot, zone: ZoneInfo) -> dict[str, object]:
    """The status as JSON-able data."""
    return {
        "schema": "emdx/collect/1",
        "ts": local_time(snapshot.ts_ms, zone).isoformat(),
        "devices_answering": sum(1 for device in snapshot.devices.values() if device.state in ANSWERING),
        "devices": len(snapshot.devices),
        "lines": [
            {"gateway_id": bus.gateway_id, "connected": bus.is_connected, "cycle_s": _rounded(bus.cycle_s)}
            for bus in snapshot.buses.values()
        ],
        "last_saved": local_time(snapshot.last_saved_minute_ms, zone).isoformat()
        if snapshot.last_saved_minute_ms
        else None,
        "notices": [
            {"key": notice.key, "level": notice.level.value, "message": notice.message} for notice in snapshot.notices
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def format_status(snapshot: SiteSnapshot, zone: ZoneInfo) -> str:
    """One line a person can read."""
    answering = sum(1 for device in snapshot.devices.values() if device.state in ANSWERING)
    cycles = [bus.cycle_s for bus in snapshot.buses.values() if bus.cycle_s is not None]
    saved = snapshot.last_saved_minute_ms
    return (
        f"{local_time(snapshot.ts_ms, zone):%H:%M:%S}  {answering}/{len(snapshot.devices)} devices"
        f"  {len(snapshot.buses)} lines"
        + (f"  cycle {max(cycles):.1f} s" if cycles else "")
        + (f"  saved {local_time(saved, zone):%H:%M}" if saved else "  nothing saved yet")
    )


def local_time(ts_ms: int, zone: ZoneInfo) -> datetime:
    """A moment in the site's zone, with its offset."""
    return datetime.fromtimestamp(ts_ms / 1000, UTC).astimezone(zone)
