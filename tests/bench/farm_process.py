"""Starts simulated lines in another process and ends them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator

from measures import BenchError

from emdx_desktop.domain.installation import Link
from emdx_desktop.domain.link_text import parse_link


@contextlib.contextmanager
def running_farm(**plan: object) -> Iterator[list[Link]]:
    """Simulated lines in another process, for as long as the block runs.

    Args:
        plan: As the text of `simulator.farm.parse_farm_plan`: lines, devices, baud, registers, dead, link …

    Raises:
        BenchError: It did not start.
    """
    text = ",".join(f"{key}={value}" for key, value in plan.items())
    command = [sys.executable, "-m", "emdx_desktop", "simulate", "--farm", text]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        if not first:
            raise BenchError("the simulated lines did not start")
        yield [parse_link(link) for link in json.loads(first)["links"].values()]
    finally:
        process.communicate(timeout=20)
