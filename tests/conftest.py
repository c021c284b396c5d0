"""Rules every test obeys: nothing it started outlives it."""

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

# before any Qt import: tests draw off screen, also on a PC that has one
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

THREAD_END_S = 5.0

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
