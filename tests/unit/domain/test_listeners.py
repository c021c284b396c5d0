"""Who hears of snapshots, and that one who fails does not silence the others."""

from __future__ import annotations

import logging

import pytest

from emdx_desktop.domain.listeners import SnapshotListeners
from emdx_desktop.domain.readings import SiteSnapshot

SNAPSHOT = SiteSnapshot(1, 0, {}, {}, (), 0, 0)


def test_a_listener_hears_until_it_leaves_and_may_leave_twice() -> None:
    listeners, heard = SnapshotListeners(), []
    leave = listeners.add(heard.append)
    listeners.tell(SNAPSHOT)
    leave()
    leave()
    listeners.tell(SNAPSHOT)
    assert heard == [SNAPSHOT]


def test_a_listener_that_fails_is_dropped_and_the_others_hear(caplog: pytest.LogCaptureFixture) -> None:
    listeners, heard, failed = SnapshotListeners(), [], []

    def fail(snapshot: SiteSnapshot) -> None:
        failed.append(snapshot)
        raise ValueError("a mistake in a window")

    listeners.add(fail)
    listeners.add(heard.append)
    with caplog.at_level(logging.CRITICAL, "emdx_desktop"):
        listeners.tell(SNAPSHOT)
        listeners.tell(SNAPSHOT)
    assert (len(failed), len(heard)) == (1, 2)
