"""Acquires on a fast clock and prints each minute once it is acknowledged, with the devices it holds; to be killed.

python kill_victim.py FOLDER FACTOR START_MS LINK…
"""

from __future__ import annotations

import sys
from pathlib import Path

from acquisition_rig import FastClock, bench_installation, bench_runtime

from emdx_desktop.domain.history import DeviceMinute, MinuteBatch
from emdx_desktop.domain.link_text import parse_link
from emdx_desktop.domain.readings import Quality
from emdx_desktop.modbus.bus_poller import ModbusBusPoller

DEVICES = 8
BAUD = 115200


def is_good(minute: DeviceMinute) -> bool:
    """Whether the device was read well in that minute: on a busy machine a fast minute may pass without."""
    return all(quality == Quality.GOOD for quality in minute.qualities)


def main() -> None:
    """Run until killed."""
    folder, factor, start_ms, *links = sys.argv[1:]
    held: dict[int, str] = {}
    installation = bench_installation([parse_link(link) for link in links], DEVICES, BAUD)
    runtime, writer = bench_runtime(
        Path(folder),
        installation,
        ModbusBusPoller,
        FastClock(float(factor), int(start_ms)),
        on_saved=lambda minute_ms: print(f"saved {minute_ms} {held.get(minute_ms, '')}", flush=True),
        beat_s=0.02,
    )
    submit = writer.submit

    def note_and_submit(batch: MinuteBatch) -> None:
        held[batch.minute_ms] = ",".join(str(minute.layout.device_id) for minute in batch.devices if is_good(minute))
        submit(batch)

    writer.submit = note_and_submit  # type: ignore[method-assign]  # a minute without readings must not count as lost
    runtime.run()


if __name__ == "__main__":
    main()
