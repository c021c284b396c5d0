"""The program as a person runs it, off screen: acquisition of eight lines, writer, window panning a trend.

    python window_rig.py FOLDER SECONDS BAUD LINK…

Prints one JSON object: periods of the devices, processor seconds by thread, frames drawn.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
from acquisition_rig import FastClock, bench_installation, bench_runtime

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QElapsedTimer, QTimer

from emdx_desktop.domain.catalogue import ProfileCatalogue
from emdx_desktop.domain.history import DAY_MS, CounterEpoch, SeriesColumn
from emdx_desktop.domain.installation import Gateway
from emdx_desktop.domain.link_text import parse_link
from emdx_desktop.domain.ports import BusListener, BusPoller, Clock, EquippedDevice
from emdx_desktop.domain.quantities import QUANTITIES
from emdx_desktop.domain.readings import DeviceId, GroupReadings
from emdx_desktop.modbus.bus_poller import ModbusBusPoller
from emdx_desktop.simulator.bench_profile import bench_profile
from emdx_desktop.storage.history_importer import SqliteHistoryImporter
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.ui.application import WindowOptions, WindowSession, make_application
from emdx_desktop.ui.widgets.trend_plot import TrendPlot

FRAME_MS = 33
PAN_SHARE = 0.01
FRAMES_ONE_WAY = 60
DEVICES = 32
TREND_DEVICE = DeviceId(1001)
TREND_QUANTITY = "active_power"
WARM_UP_S = 3.0


def import_trend(folder: Path) -> None:
    """A year of minutes for the trend that is panned, up to the start of today."""
    end_ms = int(datetime.now(UTC).timestamp() * 1000) // DAY_MS * DAY_MS
    minutes = np.arange(365 * 1440)
    values = 20_000 + 8_000 * np.sin(minutes * 2 * np.pi / 1440) + np.random.default_rng(0).normal(0, 500, minutes.size)
    quantity = QUANTITIES[TREND_QUANTITY]
    importer = SqliteHistoryImporter(folder, FastClock(), "Europe/Paris")
    column = SeriesColumn(quantity.id, quantity.kind, quantity.exponent)
    importer.import_minutes(TREND_DEVICE, column, end_ms - 365 * DAY_MS, np.rint(values).astype(np.int64))
    importer.add_epoch(
        CounterEpoch(TREND_DEVICE, "active_energy_import", end_ms - 365 * DAY_MS, 0, Fraction(1), None, "bench")
    )
    importer.finish()


class Recorder:
    """Stands between poller and acquisition and notes when each device answered."""

    def __init__(self) -> None:
        self.good_s: dict[DeviceId, list[float]] = defaultdict(list)

    def make_poller(
        self, gateway: Gateway, devices: Sequence[EquippedDevice], listener: BusListener, clock: Clock
    ) -> BusPoller:
        """A poller whose readings are noted on their way."""
        on_readings = listener.on_readings

        def noted(readings: GroupReadings) -> None:
            if not any(readings.qualities):
                self.good_s[readings.layout.device_id].append(time.monotonic())
            on_readings(readings)

        listener.on_readings = noted  # type: ignore[method-assign]  # one instance of the listener, not its class
        return ModbusBusPoller(gateway, devices, listener, clock)


def thread_seconds() -> dict[str, float]:
    """Processor seconds of each thread by its name (Linux)."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    tick = os.sysconf("SC_CLK_TCK")
    seconds: dict[str, float] = defaultdict(float)
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        name = names.get(int(task.name), "other")
        if name.startswith("Dummy"):
            name = "acquisition thread"  # the QThread: Python knows it as a dummy
        seconds[name] += (int(fields[11]) + int(fields[12])) / tick
    return seconds


def main() -> None:
    """Run the window for a while."""
    folder, seconds, baud, *links = sys.argv[1:]
    import_trend(Path(folder))
    application = make_application()
    recorder = Recorder()
    clock = FastClock()
    installation = bench_installation([parse_link(link) for link in links], DEVICES, int(baud))
    runtime, writer = bench_runtime(Path(folder), installation, recorder.make_poller, clock)
    reader = SqliteHistoryReader(Path(folder))
    profile = bench_profile(120)
    options = WindowOptions(runtime=runtime, page="trends", size_px=(1440, 900), is_read_only=True)
    session = WindowSession(runtime, reader, ProfileCatalogue({profile.id: profile}), options, application)
    frames: list[float] = []
    since_frame = QElapsedTimer()
    since_frame.start()

    def on_frame() -> None:
        plot = session.window.findChild(TrendPlot)
        if plot is None or not plot.drawn_point_counts:
            return
        forth = len(frames) // FRAMES_ONE_WAY % 2 == 0
        plot.pan(-PAN_SHARE if forth else PAN_SHARE)
        frames.append(since_frame.restart())

    timer = QTimer()
    timer.setInterval(FRAME_MS)
    timer.timeout.connect(on_frame)
    timer.start()
    measured: dict[str, object] = {}
    before: dict[str, float] = {}

    def on_warm() -> None:
        before.update(thread_seconds(), started=time.monotonic())
        recorder.good_s.clear()
        frames.clear()

    def on_over() -> None:
        wall_s = time.monotonic() - before["started"]
        after = thread_seconds()
        measured["wall_s"] = wall_s
        measured["cpu_s"] = {name: after[name] - before.get(name, 0.0) for name in after}
        measured["frames"] = len(frames)
        measured["longest_frame_ms"] = max(frames, default=None)
        measured["drawn_points"] = plot.drawn_point_counts if (plot := session.window.findChild(TrendPlot)) else []
        session.close()
        application.quit()

    QTimer.singleShot(int(1000 * WARM_UP_S), on_warm)
    QTimer.singleShot(int(1000 * (WARM_UP_S + float(seconds))), on_over)
    session.open()
    application.exec()
    writer.close()
    reader.close()
    measured["periods_s"] = {
        int(device): (times[-1] - times[0]) / (len(times) - 1)
        for device, times in recorder.good_s.items()
        if len(times) > 2
    }
    measured["saved_minute_ms"] = writer.last_saved_minute_ms()
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
