"""The command line end to end against a Modbus server not written here: import, read, collect, export, attach."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from emdx_desktop.__main__ import main

WAIT_S = 30.0


def sdm630_registers(energy_kwh: float = 1234.5) -> dict[int, int]:
    """Input registers of an Eastron SDM630, by its document: float32, high word first, at even addresses."""
    floats = {0: 230.5, 2: 231.25, 4: 229.75, 6: 1.5, 52: 345.0, 62: 0.98, 70: 50.0, 72: energy_kwh}
    words = {}
    for address, number in floats.items():
        high, low = struct.unpack(">HH", struct.pack(">f", number))
        words[address], words[address + 1] = high, low
    return words


def site_text(port: int, timeout_ms: int = 300) -> str:
    return f"""
[site]
name = "Test plant"
timezone = "Europe/Paris"
[[gateway]]
name = "GW1"
link = "tcp://127.0.0.1:{port}"
timeout_ms = {timeout_ms}
[[device]]
name = "=Meter"
gateway = "GW1"
model = "eastron-sdm630"
unit_id = 1
"""


SILENT = """
[[device]]
name = "Silent"
gateway = "GW1"
model = "eastron-sdm630"
unit_id = 9
"""


@pytest.fixture
def port(start_libmodbus: Callable[..., int]) -> int:
    return start_libmodbus({1: {"input": sdm630_registers()}})


@pytest.fixture
def data(tmp_path: Path, port: int) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(site_text(port), encoding="utf-8")
    folder = tmp_path / "data"
    assert main(["site", "import", str(file), "--data", str(folder)]) == 0
    return folder


def run_json(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*argv, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def collecting(data: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "emdx_desktop", "collect", "--json", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["schema"] == "emdx/collect/1"
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=WAIT_S)


def test_read_shows_what_the_server_holds(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_json(capsys, "read", "--data", str(data))
    assert answer["schema"] == "emdx/read/1"
    (device,) = answer["devices"]
    assert device["state"] == "answering"
    values = {value["quantity"]: value for value in device["values"]}
    assert values["voltage_l1_n"]["value"] == "230.50"
    assert values["active_power"]["value"] == "345"
    assert values["frequency"]["value"] == "50.000"
    assert values["active_energy_import"]["value"] == "1234500"
    assert values["active_energy_import"]["unit"] == "Wh"
    assert {values[id_]["quality"] for id_ in ("voltage_l1_n", "active_power", "active_energy_import")} == {"good"}
    moment = datetime.fromisoformat(values["voltage_l1_n"]["ts"])
    assert moment.utcoffset() is not None
    assert main(["read", "=meter", "--data", str(data)]) == 0
    text = capsys.readouterr().out
    assert "230.50 V" in text


def test_silent_device_exits_3_and_the_others_are_still_given(
    data: Path, port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "two.toml"
    file.write_text(site_text(port) + SILENT, encoding="utf-8")
    assert main(["site", "import", str(file), "--yes", "--data", str(data)]) == 0
    answer = run_json(capsys, "read", "--data", str(data), code=3)
    assert [device["state"] for device in answer["devices"]] == ["answering", "silent"]
    assert answer["devices"][0]["values"]
    assert all(value["value"] is None for value in answer["devices"][1]["values"])


def test_unreachable_gateway_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    file = tmp_path / "site.toml"
    file.write_text(site_text(port), encoding="utf-8")
    assert main(["site", "import", str(file), "--data", str(tmp_path / "d")]) == 0
    answer = run_json(capsys, "read", "=Meter", "--data", str(tmp_path / "d"), code=3)
    assert answer["devices"][0]["state"] == "gateway_down"


def test_collect_records_and_export_gives_it_back(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["collect", "--for", "2.5", "--json", "--data", str(data)]) == 0
    status = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (status["devices_answering"], status["devices"]) == (1, 1)
    today = datetime.now().date()
    argv = ["history", "export", "--from", str(today.replace(day=1)), "--data", str(data)]
    capsys.readouterr()
    assert main(argv) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert set(rows[0]) == {"timestamp", "device", "quantity", "value", "unit", "quality"}
    assert {row["device"] for row in rows} == {"'=Meter"}  # no spreadsheet takes it for a formula
    found = {row["quantity"]: row for row in rows}
    assert (found["voltage_l1_n"]["value"], found["voltage_l1_n"]["quality"]) == ("230.50", "good")
    assert (found["active_energy_import"]["value"], found["active_energy_import"]["unit"]) == ("1234500", "Wh")
    assert datetime.fromisoformat(found["voltage_l1_n"]["timestamp"]).second == 0
    file = data / "out.csv"
    answer = run_json(capsys, *argv, "-o", str(file))
    assert answer["rows"] == len(rows)
    assert not list(data.glob(".out*"))


def test_second_run_goes_on_from_the_counter_and_finds_a_reset(
    data: Path, start_libmodbus: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", "--for", "1.5", "--data", str(data)]) == 0
    port = start_libmodbus({1: {"input": sdm630_registers(energy_kwh=0.0)}})
    file = tmp_path / "moved.toml"
    file.write_text(site_text(port), encoding="utf-8")
    assert main(["site", "import", str(file), "--yes", "--data", str(data)]) == 0
    command = ["collect", "--for", "1.5", "--data", str(data)]
    assert main(command) == 0
    capsys.readouterr()
    argv = ["history", "export", "--quantity", "active_energy_import", "--data", str(data)]
    assert main(argv) == 0
    values = [row["value"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert set(values) == {"1234500"}  # the fall to 0 waits for confirmation; it is never booked at once


def test_plan_bus_says_the_cycle_in_words_and_numbers(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_json(capsys, "plan-bus", "--data", str(data))
    assert answer["schema"] == "emdx/plan-bus/1"
    assert answer["lines"][0]["devices"] == 1
    assert answer["lines"][0]["advice"]
    assert main(["plan-bus", "--data", str(data)]) == 0
    assert "GW1 (tcp://127.0.0.1:" in capsys.readouterr().out


def test_read_and_import_go_through_a_running_collect(
    data: Path,
    port: int,
    collecting: subprocess.Popen[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = run_json(capsys, "read", "--data", str(data))
    assert answer["devices"][0]["state"] == "answering"
    values = {value["quantity"]: value["value"] for value in answer["devices"][0]["values"]}
    assert values["voltage_l1_n"] == "230.50"
    assert main(["collect", "--data", str(data)]) == 3
    assert "in use by collect" in capsys.readouterr().err
    file = tmp_path / "renamed.toml"
    file.write_text(site_text(port).replace("=Meter", "Lights") + "id = 1\n", encoding="utf-8")
    assert main(["site", "import", str(file), "--yes", "--data", str(data)]) == 0
    assert [device["name"] for device in run_json(capsys, "read", "--data", str(data))["devices"]] == ["Lights"]
    collecting.send_signal(signal.SIGINT)
    out, err = collecting.communicate(timeout=WAIT_S)
    assert collecting.returncode == 0, err
    assert err == ""
    assert json.loads(out.splitlines()[-1])["devices_answering"] == 1
    assert not (data / "attach.json").exists()


def test_killed_collect_leaves_nothing_in_the_way(
    data: Path, collecting: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    os.kill(collecting.pid, signal.SIGKILL)
    collecting.wait(WAIT_S)
    assert (data / "attach.json").exists()
    assert run_json(capsys, "read", "--data", str(data))["devices"][0]["state"] == "answering"
    assert main(["collect", "--for", "1", "--data", str(data)]) == 0
