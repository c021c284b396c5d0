"""Writes minutes as fast as it can and prints each one that is acknowledged, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from storage_rig import FakeClock, batch

from emdx_desktop.domain.history import MINUTE_MS
from emdx_desktop.storage.history_writer import open_writer


def main() -> None:
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    clock = FakeClock(first * MINUTE_MS)

    def tell(minute_ms: int) -> None:
        sys.stdout.write(f"{minute_ms // MINUTE_MS}\n")
        sys.stdout.flush()

    writer = open_writer(folder, clock, on_saved=tell)
    for minute in range(first, first + 10_000_000):
        clock.ms = (minute + 1) * MINUTE_MS
        writer.submit(batch(minute, devices=(1, 2, 3)))
        writer.wait_until_saved()


if __name__ == "__main__":
    main()
