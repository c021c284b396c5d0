"""Acquisition of 255 devices in a process of its own that prints its memory; what `collect` holds while it runs.

    python memory_rig.py FOLDER real SECONDS LINK…      polls simulated lines
    python memory_rig.py FOLDER fast HOURS              scripted readings on a clock that runs 120 times as fast

Prints `minute RESIDENT_BYTES` lines: minutes are those of the clock.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from pathlib import Path

from acquisition_rig import FastClock, ScriptedPoller, bench_installation, bench_runtime

from emdx_desktop.domain.history import DAY_MS
from emdx_desktop.domain.installation import Link, LinkScheme
from emdx_desktop.domain.link_text import parse_link
from emdx_desktop.modbus.bus_poller import ModbusBusPoller

FAST = 120.0
POLL_S = 30.0
LINES, DEVICES, BAUD = 8, 32, 9600
SITE_DEVICES = 255
BEFORE_NIGHT_MS = 90 * 60_000
"""The fast run begins so long before a UTC midnight, when a finished day is packed."""


def resident_bytes() -> int:
    """Memory this process holds (Linux)."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run for as long as asked, printing memory once a minute of the clock."""
    folder, mode, length, *links = sys.argv[1:]
    if mode == "real":
        clock = FastClock()
        installation = bench_installation([parse_link(link) for link in links], DEVICES, BAUD)
        make_poller = ModbusBusPoller
        minutes = int(float(length) // 60)
        beat_s = 0.25
    else:
        midnight_ms = (time.time_ns() // 1_000_000 // DAY_MS - 5) * DAY_MS
        clock = FastClock(FAST, midnight_ms - BEFORE_NIGHT_MS)
        nowhere = [Link(LinkScheme.TCP, "127.0.0.1", port) for port in range(1, LINES + 1)]
        installation = bench_installation(nowhere, DEVICES, BAUD)
        make_poller = functools.partial(ScriptedPoller, period_s=POLL_S, real_period_s=POLL_S / FAST)  # type: ignore[assignment]
        minutes = int(60 * float(length))
        beat_s = 0.05
    # 8 × 32 is 256: one less is what a site has
    installation = type(installation)(
        installation.site, gateways=installation.gateways, devices=installation.devices[:SITE_DEVICES]
    )
    runtime, writer = bench_runtime(Path(folder), installation, make_poller, clock, beat_s=beat_s)
    thread = threading.Thread(target=runtime.run, name="runtime")
    thread.start()
    start_s = clock.monotonic_s()
    for minute in range(1, minutes + 1):
        while clock.monotonic_s() < start_s + 60 * minute:
            time.sleep(0.05)
        print(minute, resident_bytes(), flush=True)
    runtime.stop()
    thread.join()
    writer.close()


if __name__ == "__main__":
    main()
