"""The farm as benches use it: a process of its own, asked over loopback."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emdx_desktop.domain.errors import ConfigurationError
from emdx_desktop.domain.installation import LinkScheme
from emdx_desktop.simulator.bench_profile import bench_profile
from emdx_desktop.simulator.farm import BenchStation, FarmPlan, parse_farm_plan, start_planned_farm

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


def ask(port: int, unit_id: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(bytes.fromhex("0001 0000 0006") + bytes((unit_id,)) + bytes.fromhex("03 0000 0002"))
        header = client.recv(6)
        return client.recv(int.from_bytes(header[4:6], "big"))[1:]


def test_plan_is_read_with_all_its_mistakes_at_once():
    assert parse_farm_plan("") == FarmPlan()
    plan = parse_farm_plan("lines=8,devices=32,baud=38400,registers=60,response_ms=5,dead=3,link=rtu+tcp,silent=1")
    assert plan == FarmPlan(8, 32, 38400, 60, 5, 3, LinkScheme.RTU_TCP, 450, True)
    assert plan.dead_units == (8, 16, 24)
    with pytest.raises(ConfigurationError) as refused:
        parse_farm_plan("lines=0,baud=9601,registers=3,link=usb,colour=red,dead=40,devices=x")
    wheres = [problem.where for problem in refused.value.problems]
    assert wheres == ["lines", "baud", "registers", "link", "colour", "devices", "dead"]


@pytest.mark.parametrize("registers", [0, 3, 126])
def test_bench_profile_has_two_registers_a_value(registers: int):
    with pytest.raises(ValueError, match="even"):
        bench_profile(registers)
    profile = bench_profile(120)
    assert len(profile.points) == 60
    assert profile.points[0].quantity == "active_energy_import"
    assert [point.address for point in profile.points] == list(range(0, 120, 2))


def test_bench_station_answers_its_registers_and_exceptions():
    station = BenchStation("unit 7", 7, bench_profile(120), 20)
    reply = station.answer(7, bytes.fromhex("03 0002 0004"), 1_000)
    assert reply == bytes((3, 8)) + (23_000 + 7 + 1).to_bytes(4, "big") * 2
    assert station.answer(7, bytes.fromhex("03 0000 0002"), 5_000)[2:] == (10_000 + 7 + 5).to_bytes(4, "big")
    assert station.answer(7, bytes.fromhex("03 0077 0002"), 0) == b"\x83\x02"
    assert station.answer(7, bytes.fromhex("03 0000 0000"), 0) == b"\x83\x03"
    assert station.answer(7, bytes.fromhex("04 0000 0001"), 0) == b"\x84\x01"


@pytest.mark.parametrize("link", [LinkScheme.TCP, LinkScheme.RTU_TCP, LinkScheme.ASCII_TCP])
def test_farm_started_in_this_process_leaves_nothing_open(link: LinkScheme):
    async def main() -> None:
        farm = await start_planned_farm(FarmPlan(lines=2, devices=3, dead=1, link=link))
        assert len(farm.links) == 2
        assert len(farm.ports) == 2
        assert sorted(farm.lines[1].stations) == [1, 3]
        farm.faults.obey({"target": "line 2 unit 3", "fault": "rollover"})
        await farm.stop()

    asyncio.run(main())


def test_farm_answers_obeys_and_ends_when_its_input_closes(start_simulate: Starter):
    process = start_simulate("--farm", "lines=2,devices=4,baud=115200,registers=20,response_ms=1,dead=1,timeout_ms=50")
    ready = read_message(process)
    assert ready["ready"] is True
    assert ready["dead_units"] == [2]
    first, second = ready["ports"]
    assert ready["links"] == {"line 1": f"tcp://127.0.0.1:{first}", "line 2": f"tcp://127.0.0.1:{second}"}
    assert ask(first, 4)[:2] == b"\x03\x04"
    assert ask(second, 2) == b"\x83\x0b"
    assert order(process, '{"target": "line 1 unit 4", "fault": "exception", "exception_code": 6}') == {"done": True}
    assert ask(first, 4) == b"\x83\x06"
    assert ask(first, 3)[:2] == b"\x03\x04"
    assert order(process, '{"target": "line 1", "fault": "counter_reset"}') == {"done": True}
    for mistake in ('{"target": "line 9", "fault": "silent"}', "no json", "[1]"):
        answer = order(process, mistake)
        assert answer["done"] is False
        assert answer["problem"]
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(output)["transactions"] == {"line 1": 3, "line 2": 1}
    assert errors == ""


def test_plan_with_a_mistake_ends_with_2_and_a_sentence(start_simulate: Starter):
    process = start_simulate("--farm", "lines=99")
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (2, "")
    assert errors == "lines: '99' is not a number that makes sense here\n"


def test_farm_that_nobody_listens_to_ends_quietly(start_simulate: Starter):
    process = start_simulate("--farm", "devices=2")
    read_message(process)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.close()
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stdin = process.stdout = None


def test_state_that_cannot_be_read_ends_with_2_and_a_sentence(start_simulate: Starter, tmp_path: Path):
    process = start_simulate("--state", str(tmp_path / "missing.json"))
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (2, "")
    assert errors.count("\n") == 1
    assert "cannot be read" in errors
