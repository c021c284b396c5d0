"""Simulated lines in a process of their own, so that what measures and what answers do not share an interpreter.

    python farm.py lines=8,devices=32,baud=9600,registers=120

Prints one JSON object with the links and ends when standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import sys

from emdx_desktop.simulator.farm import parse_farm_plan, start_planned_farm


async def serve(plan: str) -> None:
    """Start all lines, tell their links, and wait for standard input to close."""
    farm = await start_planned_farm(parse_farm_plan(plan))
    print(json.dumps({"links": farm.links}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await farm.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
