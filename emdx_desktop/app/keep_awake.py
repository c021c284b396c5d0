"""Asks Windows not to put the PC to sleep while it acquires; elsewhere the system's own settings decide."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

ES_CONTINUOUS = 0x80000000
ES_SYSTEM_REQUIRED = 0x00000001
"""Microsoft, SetThreadExecutionState (winbase.h)."""


@contextlib.contextmanager
def kept_awake() -> Iterator[None]:
    """Hold the PC awake for the calling thread's block; the screen may still go dark."""
    _set_state(ES_CONTINUOUS | ES_SYSTEM_REQUIRED)
    try:
        yield
    finally:
        _set_state(ES_CONTINUOUS)


def _set_state(state: int) -> None:
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.kernel32.SetThreadExecutionState(state)
