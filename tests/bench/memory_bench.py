"""Memory of acquisition and writer for 255 devices: flat after ten minutes, flat over an accelerated day.

Flat means: over the last part of the run a straight line through the samples rises by less than the bar.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from farm_process import running_farm
from measures import Bench, BenchError, Measured, Row, Setup
from memory_rig import BAUD, DEVICES, LINES

from emdx_desktop.domain.history import MINUTE_MS, EventKind
from emdx_desktop.domain.quantities import QuantityKind
from emdx_desktop.storage.history_reader import SqliteHistoryReader

MIB = 2**20
LEAST_SAVED_SHARE = 0.95
"""A fast clock makes a second of work look like two minutes asleep; a run with more gaps than this proves little."""


def sampled_memory(folder: Path, arguments: Sequence[str], timeout_s: float) -> list[int]:
    """Resident bytes, one sample a minute of the rig's clock."""
    command = [sys.executable, str(Path(__file__).with_name("memory_rig.py")), str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    samples = [int(line.split()[1]) for line in done.stdout.splitlines()]
    if done.returncode != 0 or len(samples) < 3:
        raise BenchError(f"acquisition ended early: {done.stderr[-300:]}")
    return samples


def rise_mib(samples: Sequence[int]) -> float:
    """Rise of a straight line through the samples, MiB from first to last."""
    slope = np.polyfit(np.arange(len(samples)), np.array(samples) / MIB, 1)[0]
    return float(slope) * (len(samples) - 1)


def saved_text(folder: Path) -> str:
    """How much was really saved meanwhile."""
    reader = SqliteHistoryReader(folder)
    series = reader.series()
    devices = len({info.device_id for info in series})
    minutes = (max(info.last_ms for info in series) - min(info.first_ms for info in series)) // 60_000 + 1
    probe = next(info for info in series if info.column.kind is QuantityKind.INSTANT)
    read = reader.load_minutes(
        probe.device_id, probe.column.quantity, probe.first_ms, probe.first_ms + minutes * MINUTE_MS
    )
    # the first and the last minute are cut by start and stop: not every device was read in them
    share = float(np.isfinite(read.values[1:-1]).mean())
    events = Counter(event.kind for event in reader.load_events(0, 2**50))
    reader.close()
    if share < LEAST_SAVED_SHARE:
        raise BenchError(
            f"the machine was too busy: only {share:.1%} of the minutes were saved, acquisition took the PC for "
            f"asleep {events[EventKind.SUSPEND]} times"
        )
    return f"{devices} devices, {len(series)} series, {minutes} minutes, {share:.1%} of them saved"


def run_minutes(setup: Setup) -> Mapping[str, Measured]:
    """Ten real minutes on simulated lines."""
    seconds = 180 if setup.is_quick else 600
    folder = setup.folder / "real"
    with running_farm(lines=LINES, devices=DEVICES, baud=BAUD) as links:
        samples = sampled_memory(folder, ["real", str(seconds), *(str(link) for link in links)], seconds + 120)
    late = samples[len(samples) // 3 :]
    text = (
        f"{samples[0] / MIB:.1f} MiB after 1 minute, {samples[-1] / MIB:.1f} MiB after "
        f"{len(samples)}; rise over the last {len(late)}; {saved_text(folder)}"
    )
    return {"minutes": Measured(rise_mib(late), text)}


def run_day(setup: Setup) -> Mapping[str, Measured]:
    """Scripted readings on a fast clock, from the evening over two nights: is the second like the first?

    Packing a day needs memory, and on the fast clock half an hour of minutes waits meanwhile; what the first
    night took is kept by the process and must do for the second.
    """
    hours = 5 if setup.is_quick else 27
    folder = setup.folder / "fast"
    memory = np.array(sampled_memory(folder, ["fast", str(hours)], hours * 60)) / MIB
    evening, after_first, end = memory[60:80].mean(), memory[180:240].mean(), memory[-60:].mean()
    text = (
        f"{evening:.1f} MiB before the first night, {after_first:.1f} after it, {end:.1f} after {hours} hours "
        f"(peak {memory.max():.1f}); {saved_text(folder)}"
    )
    return {"day": Measured(float(end - after_first), text)}


BENCH = Bench("memory", (Row("minutes", "rise of memory, 255 devices, minutes 4 to 10", "<=", 1, "MiB"),), run_minutes)
BENCH_DAY = Bench(
    "memory-day",
    (Row("day", "rise of memory, 255 devices, an accelerated day, night to night", "<=", 2, "MiB"),),
    run_day,
)
