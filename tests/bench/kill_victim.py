"""Acquires from simulated lines on a fast clock and prints each minute once it is acknowledged; made to be killed.

python kill_victim.py FOLDER FACTOR START_MS LINK…
"""

from __future__ import annotations

import sys
from pathlib import Path

from acquisition_rig import FastClock, bench_installation, bench_runtime

from emdx_desktop.domain.link_text import parse_link
from emdx_desktop.modbus.bus_poller import ModbusBusPoller

DEVICES = 8
BAUD = 115200


def main() -> None:
    """Run until killed."""
    folder, factor, start_ms, *links = sys.argv[1:]
    installation = bench_installation([parse_link(link) for link in links], DEVICES, BAUD)
    runtime, _writer = bench_runtime(
        Path(folder),
        installation,
        ModbusBusPoller,
        FastClock(float(factor), int(start_ms)),
        on_saved=lambda minute_ms: print(f"saved {minute_ms}", flush=True),
        beat_s=0.02,
    )
    runtime.run()


if __name__ == "__main__":
    main()
