"""What must never happen: a minute lost that was acknowledged, a damaged chunk that shows a wrong value."""

from __future__ import annotations

import random
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import apsw
import numpy as np
from farm_process import running_farm
from history_bench import START_MS, import_years
from kill_victim import BAUD, DEVICES
from measures import Bench, BenchError, Measured, Row, Setup

from emdx_desktop.domain.history import MINUTE_MS
from emdx_desktop.domain.quantities import QUANTITIES, QuantityKind
from emdx_desktop.domain.readings import DeviceId, Quality
from emdx_desktop.storage.chunks import SERIES_MASK
from emdx_desktop.storage.history_reader import SqliteHistoryReader

CLOCK_FACTOR = 180  # a minute lasts a third of a second
PROBE_QUANTITIES = ("voltage_l1_n", "active_energy_import")


def acknowledged_until_killed(
    command: list[str], patience_s: float, rng: random.Random
) -> list[tuple[int, frozenset[int]]]:
    """Start the victim, let it acknowledge at least two minutes, kill it at a random moment after.

    Returns:
        Minutes it acknowledged, epoch ms, each with the devices that were read well in it.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    received = b""
    kill_s = float("inf")
    end_s = time.monotonic() + patience_s
    while time.monotonic() < min(kill_s, end_s):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, min(kill_s, end_s) - time.monotonic()))
        if readable:
            data = process.stdout.read1()  # type: ignore[attr-defined]  # a BufferedReader
            if not data:
                break
            received += data
            if received.count(b"\n") >= 2 and kill_s == float("inf"):
                kill_s = time.monotonic() + rng.uniform(0.0, 2.0)
    process.kill()
    rest, errors = process.communicate()
    received += rest
    complete = received[: received.rfind(b"\n") + 1].decode().split("\n")
    minutes = []
    for line in complete:
        if line.startswith("saved "):
            _, minute_ms, devices = line.split(" ")
            minutes.append((int(minute_ms), frozenset(map(int, filter(None, devices.split(","))))))
    if len(minutes) < 2:
        raise BenchError(f"acquisition did not start again after a kill: {errors.decode()[-300:]}")
    return minutes


def missing_minutes(folder: Path, acknowledged: Mapping[int, frozenset[int]]) -> int:
    """Acknowledged minutes of any device that cannot be read back."""
    first, end = min(acknowledged), max(acknowledged) + MINUTE_MS
    missing = 0
    reader = SqliteHistoryReader(folder)
    for unit in range(1, DEVICES + 1):
        device = DeviceId(1000 + unit)
        wanted = np.array(sorted(minute for minute, devices in acknowledged.items() if device in devices), np.int64)
        series = reader.load_minutes(device, PROBE_QUANTITIES[0], first, end)
        qualities = series.qualities[(wanted - series.start_ms) // MINUTE_MS]
        counted = reader.load_counts(device, PROBE_QUANTITIES[1], first, end).ts_ms // MINUTE_MS * MINUTE_MS
        missing += int(((qualities == Quality.NOT_RECORDED) | ~np.isin(wanted, counted)).sum())
    reader.close()
    return missing


def held(acknowledged: Mapping[int, frozenset[int]]) -> int:
    """Device minutes that were acknowledged."""
    return sum(map(len, acknowledged.values()))


def run_kills(setup: Setup) -> Mapping[str, Measured]:
    """Kill acquisition again and again in one folder; each start must come up by itself."""
    kills = 10 if setup.is_quick else 50
    rng = random.Random(0)
    folder = setup.folder / "data"
    acknowledged: dict[int, frozenset[int]] = {}
    start_ms = (time.time_ns() // 1_000_000) - 3 * 86_400_000
    missing = 0
    with running_farm(lines=1, devices=DEVICES, baud=BAUD, response_ms=1) as links:
        for number in range(1, kills + 1):
            command = [sys.executable, str(Path(__file__).with_name("kill_victim.py")), str(folder)]
            command += [str(CLOCK_FACTOR), str(start_ms), *(str(link) for link in links)]
            minutes = acknowledged_until_killed(command, 30, rng)
            acknowledged.update(minutes)
            missing = missing_minutes(folder, acknowledged)
            start_ms = minutes[-1][0] + 5 * MINUTE_MS
            if number % 10 == 0:
                setup.say(f"{number} kills, {held(acknowledged)} device minutes acknowledged, {missing} missing")
    check = apsw.Connection(str(folder / "live.db"))
    verdict = check.execute("PRAGMA integrity_check").get
    check.close()
    if verdict != "ok":
        raise BenchError(f"live.db is damaged after the kills: {verdict}")
    return {
        "kills": Measured(missing, f"{kills} kills, {held(acknowledged)} minutes of {DEVICES} devices acknowledged"),
    }


def flip_bits(folder: Path, chunks: int, rng: random.Random) -> set[tuple[str, int]]:
    """Flip one bit in each of many chunks of sealed months.

    Returns:
        Month file and chunk id of each.
    """
    files = sorted((folder / "history").glob("*.db"))
    every = []
    for file in files:
        connection = apsw.Connection(str(file))
        every += [(file, id_) for (id_,) in connection.execute("SELECT id FROM chunk")]
        connection.close()
    chosen = rng.sample(every, chunks)
    for file in files:
        connection = apsw.Connection(str(file))
        connection.execute("PRAGMA journal_mode=off")
        connection.execute("BEGIN")
        for _, id_ in (one for one in chosen if one[0] == file):
            body = bytearray(connection.execute("SELECT body FROM chunk WHERE id = ?", (id_,)).get)
            position = rng.randrange(8 * len(body))
            body[position // 8] ^= 1 << position % 8
            connection.execute("UPDATE chunk SET body = ? WHERE id = ?", (bytes(body), id_))
        connection.execute("COMMIT")
        connection.close()
    return {(file.name, id_) for file, id_ in chosen}


def run_flips(setup: Setup) -> Mapping[str, Measured]:
    """Flip one bit in each of 1,000 chunks, then read everything: what is shown must be what was written."""
    days, chunks = (20, 100) if setup.is_quick else (200, 1000)
    folder = setup.folder / "data"
    folder.mkdir()
    (columns,) = import_years(folder, 1, days * 1440, setup.say)
    flipped = flip_bits(folder, chunks, random.Random(0))
    reader = SqliteHistoryReader(folder)
    device, end_ms = DeviceId(1), START_MS + days * 86_400_000
    numbers = {
        info.column.quantity: number
        for number, info in enumerate(sorted(reader.series(device), key=lambda info: info.column.quantity))
    }
    assert len(numbers) == len(columns)
    wrong = gaps = 0
    for name, (exponent, written) in columns.items():
        if QUANTITIES[name].kind is QuantityKind.COUNTER:
            read = reader.load_counts(device, name, START_MS, end_ms)
            minutes = (read.ts_ms - START_MS) // MINUTE_MS
            wrong += int((read.counts != written[minutes]).sum())
            gaps += written.size - minutes.size
        else:
            series = reader.load_minutes(device, name, START_MS, end_ms)
            shown = series.qualities == Quality.GOOD
            difference = np.abs(series.values[shown] - written[shown] * 10.0**exponent)
            wrong += int((difference > 0.01 * 10.0**exponent).sum())
            gaps += int((~shown).sum())
    notices = len(reader.notices())
    reader.close()
    found = gaps / 1440
    series_hit = len({id_ & SERIES_MASK for _, id_ in flipped})
    detail = f"{found:.0f} of {chunks} damaged chunks shown as gaps ({series_hit} series, {notices} notices)"
    return {"wrong": Measured(wrong, detail), "found": Measured(found / chunks * 100, detail)}


BENCHES = (
    Bench("kill", (Row("kills", "acknowledged minutes missing after kill -9 × 50", "<=", 0),), run_kills),
    Bench(
        "flips",
        (
            Row("wrong", "wrong values shown after one flipped bit in each of 1,000 chunks", "<=", 0),
            Row("found", "flipped chunks found", ">=", 100, "%"),
        ),
        run_flips,
    ),
)
