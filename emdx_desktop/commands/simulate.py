"""`emdx-desktop simulate`: the simulated building, or a farm of equal lines for measuring, in a process of its own.

One JSON line on standard output says that it is ready and where its lines are reached. Orders come as JSON lines on
standard input (see `simulator/faults.py`), each is acknowledged by one line. The process ends when standard input
closes, or on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import selectors
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from emdx_desktop.app.paths import resource_folder
from emdx_desktop.domain.errors import ConfigurationError, EmdxError, Problem
from emdx_desktop.modbus.profile_loader import load_catalogue
from emdx_desktop.simulator.building import DemoBuilding
from emdx_desktop.simulator.farm import FarmPlan, parse_farm_plan, start_planned_farm
from emdx_desktop.simulator.faults import FaultSwitches
from emdx_desktop.simulator.line import SimulatedLine
from emdx_desktop.simulator.meters import CounterTotals, read_totals
from emdx_desktop.simulator.server import SimulatedSite

STDIN_FD = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="counters to start from, as the demo's history left them (JSON)"
    )
    parser.add_argument("--seed", type=int, default=0, help="changes what is left to chance (default 0)")
    parser.add_argument(
        "--farm",
        metavar="PLAN",
        help="lines=8,devices=32,baud=9600,registers=120,response_ms=20[,dead=3][,link=tcp|rtu+tcp|ascii+tcp|rtu|ascii]"
        "[,timeout_ms=450][,silent=1]: equal devices for measuring instead of the building",
    )


def run(args: argparse.Namespace) -> int:
    """Run until standard input closes; exit code 2 for bad input, 3 when a line cannot be opened."""
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            if args.farm is not None:
                runner.run(_run_farm(parse_farm_plan(args.farm)))
            else:
                runner.run(_run_building(args.state, args.seed))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    except EmdxError as error:
        print(error, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 0
    return 0


def load_state(path: Path) -> dict[str, CounterTotals]:
    """Counters to start from.

    Raises:
        ConfigurationError: The file cannot be read or is something else.
    """
    try:
        return read_totals(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    except ValueError as error:
        raise ConfigurationError([Problem(str(path), f"is not what a demo left behind: {error}")]) from error


async def _run_building(state: Path | None, seed: int) -> None:
    totals = load_state(state) if state else {}
    building = DemoBuilding(load_catalogue([resource_folder() / "devices"]))
    site = SimulatedSite(building, totals, seed=seed)
    links = await site.start()
    ready = {"ready": True, "links": dict(links), "site": building.write_site_file(links)}
    await _serve_until_closed(ready, site.faults, site.stop)
    _say_stopped(site.lines.values())


def _new_loop() -> asyncio.AbstractEventLoop:
    """A loop whose timers are finer than a millisecond: epoll rounds up to whole ones, select does not."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _run_farm(plan: FarmPlan) -> None:
    farm = await start_planned_farm(plan)
    names = [f"line {number}" for number in range(1, plan.lines + 1)]
    ready = {
        "ready": True,
        "links": dict(zip(names, farm.links, strict=True)),
        "ports": farm.ports,
        "dead_units": plan.dead_units,
    }
    await _serve_until_closed(ready, farm.faults, farm.stop)
    _say_stopped(farm.lines)


async def _serve_until_closed(
    ready: Mapping[str, object], faults: FaultSwitches, stop: Callable[[], Awaitable[None]]
) -> None:
    """Announce, obey orders until standard input closes or SIGTERM comes, then stop."""
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[str | None] = asyncio.Queue()
    with suppress(NotImplementedError):  # Windows: the process is ended by closing its standard input
        loop.add_signal_handler(signal.SIGTERM, orders.put_nowait, None)
    threading.Thread(target=_read_orders, args=(loop, orders), name="orders", daemon=True).start()
    _say(ready)
    try:
        while (order := await orders.get()) is not None:
            _say(_obey(order, faults))
    finally:
        await stop()


def _read_orders(loop: asyncio.AbstractEventLoop, orders: asyncio.Queue[str | None]) -> None:
    """Pass on each line of standard input, at its end None.

    The file descriptor is read without Python's buffered reader: a daemon thread that holds the reader's lock
    aborts the interpreter on its way out.
    """
    unfinished = b""
    while data := os.read(STDIN_FD, 4096):
        *lines, unfinished = (unfinished + data).split(b"\n")
        for line in lines:
            if line.strip() and not loop.is_closed():
                loop.call_soon_threadsafe(orders.put_nowait, line.decode("utf-8", "replace"))
    if not loop.is_closed():
        loop.call_soon_threadsafe(orders.put_nowait, None)


def _obey(order: str, faults: FaultSwitches) -> dict[str, object]:
    try:
        parsed = json.loads(order)
        if not isinstance(parsed, dict):
            return {"done": False, "problem": "an order is a JSON object on one line"}
        faults.obey(parsed)
    except ValueError as error:
        return {"done": False, "problem": f"not JSON: {error}"}
    except ConfigurationError as error:
        return {"done": False, "problem": str(error)}
    return {"done": True}


def _say_stopped(lines: Iterable[SimulatedLine]) -> None:
    transactions = {line.name: line.transactions for line in lines}
    _say({"stopped": True, "cpu_s": round(time.process_time(), 3), "transactions": transactions})


def _say(message: Mapping[str, object]) -> None:
    try:
        print(json.dumps(message), flush=True)
    except BrokenPipeError:
        # nobody listens any more; what Python would still flush at exit goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
