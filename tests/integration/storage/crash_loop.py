"""Kills a writer at random moments and counts what is missing afterwards."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import apsw
import numpy as np
from storage_rig import FakeClock, voltage

from emdx_desktop.domain.history import MINUTE_MS
from emdx_desktop.domain.readings import DeviceId
from emdx_desktop.storage.history_reader import SqliteHistoryReader
from emdx_desktop.storage.history_writer import open_writer

VICTIM = Path(__file__).with_name("crash_victim.py")


class CrashResult(NamedTuple):
    """Over all kills: minutes acknowledged, of them missing or wrong, and how often the file was not whole."""

    acknowledged: int
    missing: int
    wrong: int
    damaged: int


def run_crash_loop(folder: Path, kills: int, seed: int = 0) -> CrashResult:
    """Start a writer, kill -9 it after a random number of minutes, look, and start again.

    Args:
        folder: Data folder.
        kills: How often.
        seed: Of the random moments.
    """
    rng = random.Random(seed)
    # late in a day, so that packing runs while it is killed
    first = 29_600_000 // 1440 * 1440 + 1300
    acknowledged: list[int] = []
    damaged = 0
    for _kill in range(kills):
        process = subprocess.Popen(
            [sys.executable, str(VICTIM), str(folder), str(first)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        target = rng.randint(1, 400)
        for line in process.stdout:
            acknowledged.append(int(line))
            if acknowledged[-1] - first >= target:
                break
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().split("\n")[:-1]]
        process.stdout.close()
        process.wait()
        connection = apsw.Connection(str(folder / "live.db"))
        damaged += connection.execute("PRAGMA integrity_check").get != "ok"
        connection.close()
        first = acknowledged[-1] + rng.randint(1, 900)
    open_writer(folder, FakeClock((first + 1) * MINUTE_MS)).close()
    reader = SqliteHistoryReader(folder)
    missing = wrong = 0
    low = min(acknowledged)
    for device in (1, 2, 3):
        values = reader.load_minutes(
            DeviceId(device), "voltage_l1_n", low * MINUTE_MS, (max(acknowledged) + 1) * MINUTE_MS
        ).values
        for minute in acknowledged:
            missing += bool(np.isnan(values[minute - low]))
        for position in np.flatnonzero(~np.isnan(values)).tolist():
            wrong += values[position] != voltage(low + position, device) / 100
    reader.close()
    return CrashResult(len(acknowledged), missing, wrong, damaged)
