"""The simulator's processes on pseudo-terminals (Linux only)."""

import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emdx_desktop.simulator.frames import build_rtu_frame

START = """
import argparse, sys
from emdx_desktop.commands import simulate
parser = argparse.ArgumentParser()
simulate.add_arguments(parser)
sys.exit(simulate.run(parser.parse_args()))
"""
Starter = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_simulate() -> Iterator[Starter]:
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", START, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def read_message(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def order(process: subprocess.Popen[str], text: str) -> dict[str, object]:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return read_message(process)


@pytest.mark.parametrize("link", ["rtu", "ascii", "ascii+tcp"])
def test_farm_says_how_each_kind_of_line_is_reached(start_simulate: Starter, link: str):
    process = start_simulate("--farm", f"devices=2,link={link}")
    (where,) = read_message(process)["links"].values()
    assert where.startswith(f"{link}://")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_building_goes_on_from_the_counters_it_is_given(start_simulate: Starter, tmp_path: Path):
    state = tmp_path / "state.json"
    minute = int(time.time()) // 60
    # 5 000 m³ at this minute (in milli-units times seconds); all other meters have counted for two years
    totals = {"volume_water": 5_000 * 3_600_000}
    state.write_text(json.dumps({"Cold water": {"minute": minute, "totals": totals}}), encoding="utf-8")
    process = start_simulate("--state", str(state), "--seed", "3")
    ready = read_message(process)
    assert list(ready["links"]) == ["GW1", "GW2", "PV", "COM1"]
    assert ready["site"].count("[[device]]") == 16
    client = os.open(ready["links"]["COM1"].removeprefix("rtu://"), os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(client)
        attributes = termios.tcgetattr(client)
        attributes[4] = attributes[5] = termios.B19200
        termios.tcsetattr(client, termios.TCSANOW, attributes)
        os.write(client, build_rtu_frame(1, bytes.fromhex("03 0000 0002")))
        reply = b""
        while len(reply) < 9:
            assert select.select([client], [], [], 10)[0]
            reply += os.read(client, 9)
    finally:
        os.close(client)
    litres = int.from_bytes(reply[3:7], "big")
    assert reply == build_rtu_frame(1, bytes((3, 4)) + litres.to_bytes(4, "big"))
    assert 5_000_000 <= litres < 5_000_200
    assert order(process, '{"target": "QF5 Paint oven", "fault": "silent"}') == {"done": True}
    process.communicate(timeout=20)
    assert process.returncode == 0
