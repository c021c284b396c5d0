"""Eight gateways × 32 devices at once, decoded and stored, while the window pans a trend."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from farm_process import running_farm
from line_limit import cycle_limit_s
from measures import Bench, BenchError, Measured, Row, Setup

LINES, DEVICES, REGISTERS, BAUD = 8, 32, 120, 9600
ACQUISITION_THREADS = ("acquisition worker", "acquisition thread", "history-writer")


def run(setup: Setup) -> Mapping[str, Measured]:
    """Everything in one process, as a person runs it; the simulated lines in another."""
    seconds = 40 if setup.is_quick else 180
    with running_farm(lines=LINES, devices=DEVICES, baud=BAUD, registers=REGISTERS) as links:
        command = [sys.executable, str(Path(__file__).with_name("window_rig.py")), str(setup.folder / "data")]
        command += [str(seconds), str(BAUD), *(str(link) for link in links)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode != 0 or not done.stdout:
        raise BenchError(f"the window ended early: {done.stderr[-300:]}")
    measured = json.loads(done.stdout.splitlines()[-1])
    periods = measured["periods_s"].values()
    if len(periods) != LINES * DEVICES:
        raise BenchError(f"only {len(periods)} of {LINES * DEVICES} devices answered often enough")
    limit_s = cycle_limit_s(DEVICES, REGISTERS, BAUD)
    worst_s = max(periods)
    cpu_s = sum(measured["cpu_s"].get(name, 0.0) for name in ACQUISITION_THREADS)
    by_thread = ", ".join(
        f"{name} {100 * spent / measured['wall_s']:.1f} %" for name, spent in sorted(measured["cpu_s"].items())
    )
    return {
        "cycle": Measured(
            worst_s / limit_s,
            f"slowest of {len(periods)} devices {worst_s:.3f} s, limit {limit_s:.3f} s; {measured['frames']} frames in "
            f"{measured['wall_s']:.0f} s, longest {measured['longest_frame_ms']} ms, points {measured['drawn_points']}",
        ),
        "processor": Measured(100 * cpu_s / measured["wall_s"], by_thread),
    }


BENCH = Bench(
    "window",
    (
        Row("cycle", "8 gateways × 32 at once, stored, window panning: slowest ÷ limit", "<=", 1.02),
        Row("processor", "processor of acquisition and writer meanwhile", "<=", 10, "%"),
    ),
    run,
)
