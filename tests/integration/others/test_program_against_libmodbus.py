"""The program reads a Modbus server that shares no line of code with it.

Words are written down by hand from the makers' documents: SDM630 has 32-bit floats, high word first, in input registers
(volts of phase 1 at 0000h, total watts at 0034h, kWh at 0048h); 0 146 68 has 32-bit integers of 0.01 V at C558h.
"""

import json
import os
import select
import struct
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


def float_words(number: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", number))
    return high, low


def sdm630_words() -> dict[int, int]:
    words: dict[int, int] = {}
    for address, number in ((0x0000, 230.5), (0x0034, -1250.0), (0x0046, 50.25), (0x0048, 5678.25)):
        words[address], words[address + 1] = float_words(number)
    return words


SITE = """
[site]
name = "Bench"
timezone = "Europe/Paris"
[[gateway]]
name = "GW"
link = "{link}"
timeout_ms = 300
[[device]]
name = "Eastron"
gateway = "GW"
model = "SDM630-Modbus"
unit_id = 1
"""

LEGRAND = """
[[device]]
name = "Legrand"
gateway = "GW"
model = "0 146 68"
unit_id = {unit_id}
"""


class Program:
    """`emdx-desktop` in processes of its own, always on the same data folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "emdx_desktop", *arguments, "--data", str(self._folder / "data")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, encoding="utf-8")
        assert "Traceback" not in done.stderr
        return done

    def import_site(self, text: str) -> None:
        file = self._folder / "site.toml"
        file.write_text(text, encoding="utf-8")
        done = self.run("site", "import", str(file))
        assert done.returncode == 0, done.stderr

    def read(self, *arguments: str) -> tuple[int, dict[str, dict[str, tuple[str | None, str]]]]:
        """Exit code; value and quality by device and quantity."""
        done = self.run("read", "--json", *arguments)
        devices = json.loads(done.stdout)["devices"]
        return done.returncode, {
            device["name"]: {one["quantity"]: (one["value"], one["quality"]) for one in device["values"]}
            for device in devices
        }


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_read_shows_what_the_foreign_server_holds(program: Program, start_libmodbus: Callable[..., int]) -> None:
    port = start_libmodbus({1: {"input": sdm630_words()}, 5: {"holding": {0xC558: 0x0001, 0xC559: 0x59D8}}})
    program.import_site(SITE.format(link=f"tcp://127.0.0.1:{port}") + LEGRAND.format(unit_id=5))
    code, values = program.read()
    assert code == 0
    assert values["Eastron"]["voltage_l1_n"] == ("230.50", "good")
    assert values["Eastron"]["active_power"] == ("-1250", "good")
    assert values["Eastron"]["active_energy_import"] == ("5678250", "good")  # Wh
    assert values["Legrand"]["voltage_l1_n"] == ("885.36", "good")  # 000159D8h × 0.01 V: both words count


def test_read_with_a_silent_device_exits_3_and_gives_the_others(
    program: Program, start_libmodbus: Callable[..., int]
) -> None:
    port = start_libmodbus({1: {"input": sdm630_words()}})
    program.import_site(SITE.format(link=f"tcp://127.0.0.1:{port}") + LEGRAND.format(unit_id=9))
    code, values = program.read()
    assert code == 3
    assert values["Eastron"]["voltage_l1_n"] == ("230.50", "good")
    assert all(value is None and quality != "good" for value, quality in values["Legrand"].values())


@pytest.fixture
def serial_cable() -> Iterator[tuple[str, str]]:
    """Two serial ports wired to each other."""
    ends = [os.openpty(), os.openpty()]
    masters = [master for master, _ in ends]
    for _, port in ends:
        tty.setraw(port)
    wake, stop = os.pipe()

    def carry() -> None:
        while True:
            readable, _, _ = select.select([*masters, wake], [], [])
            if wake in readable:
                return
            for master in readable:
                os.write(masters[1 - masters.index(master)], os.read(master, 1024))

    carrier = threading.Thread(target=carry, name="serial cable")
    carrier.start()
    yield os.ttyname(ends[0][1]), os.ttyname(ends[1][1])
    os.write(stop, b".")
    carrier.join()
    for descriptor in (wake, stop, *(descriptor for end in ends for descriptor in end)):
        os.close(descriptor)


def test_read_over_a_serial_port(
    program: Program, start_libmodbus: Callable[..., int], serial_cable: tuple[str, str]
) -> None:
    ours, theirs = serial_cable
    start_libmodbus({1: {"input": sdm630_words()}}, rtu=theirs, baud=19200)
    site = SITE.format(link=f"rtu://{ours}").replace("timeout_ms = 300", "line = { baud = 19200 }")
    program.import_site(site)
    code, values = program.read("Eastron")
    assert code == 0
    assert values["Eastron"]["voltage_l1_n"] == ("230.50", "good")
    assert values["Eastron"]["frequency"] == ("50.250", "good")
