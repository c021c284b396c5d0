"""Rules every test obeys: nothing it started outlives it."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

# before any Qt import: tests draw off screen, also on a PC that has one
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

# libmodbus and pseudo-terminals are written for Linux; dev.py says so when it leaves them out
collect_ignore_glob = [] if sys.platform.startswith("linux") else ["integration/others/*"]

THREAD_END_S = 5.0
LIBMODBUS_SERVER = Path(__file__).parent / "others" / "libmodbus_server.py"
Registers = Mapping[int, Mapping[str, Mapping[int, int]]]  # unit id -> "holding" | "input" -> wire address -> word

_tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
_create_task = asyncio.BaseEventLoop.create_task


def _create_recorded_task(loop: asyncio.BaseEventLoop, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
    task = _create_task(loop, *args, **kwargs)
    _tasks.add(task)
    return task


# every way to make a task ends here, so that a leak is found without walking the whole heap
asyncio.BaseEventLoop.create_task = _create_recorded_task  # type: ignore[method-assign]  # that is the point


@pytest.fixture(autouse=True)
def _nothing_outlives_the_test() -> Iterator[None]:
    """Fail a test that leaves an asyncio task pending or a non-daemon thread alive.

    A thread that is on its way out gets some seconds; what a fixture of wider scope keeps was
    there before the test and is not counted.
    """
    threads_before = set(threading.enumerate())
    tasks_before = set(_tasks)
    yield
    end = time.monotonic() + THREAD_END_S
    for thread in set(threading.enumerate()) - threads_before:
        # pool threads of asyncio and concurrent.futures end with the interpreter, not with a test
        if thread.daemon or thread.name.startswith(("asyncio_", "ThreadPoolExecutor")):
            continue
        thread.join(max(0.0, end - time.monotonic()))
        assert not thread.is_alive(), f"the test left the thread {thread.name!r} running"
    # the tasks of a loop that still runs belong to a fixture that will end it
    pending = [task for task in set(_tasks) - tasks_before if not task.done() and not task.get_loop().is_running()]
    assert not pending, f"the test left asyncio tasks pending: {pending}"


@pytest.fixture
def start_libmodbus(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start a Modbus server not written here: `start_libmodbus({5: {"holding": {0xC558: 230}}})` -> its TCP port.

    With `rtu="/dev/pts/4", baud=9600` it answers on a serial port instead (one unit) and 0 is returned.
    """
    processes: list[subprocess.Popen[str]] = []

    def start(registers: Registers, rtu: str = "", baud: int = 9600) -> int:
        file = tmp_path / f"registers-{len(processes)}.json"
        file.write_text(json.dumps(registers), encoding="utf-8")
        command = [sys.executable, str(LIBMODBUS_SERVER), str(file)]
        if rtu:
            command += ["--rtu", rtu, "--baud", str(baud)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        first = process.stdout.readline().split()
        assert first, "the libmodbus server did not start: is the library installed? `python3 dev.py test` does it"
        return int(first[1]) if first[0] == "port" else 0

    yield start
    for process in processes:
        process.communicate(timeout=10)  # closes its standard input, which ends it
